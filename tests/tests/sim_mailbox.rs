//! Do messages reach people who are never there at once? Mailboxes in small worlds (spec 09).

use kith_common::account::Untrust;
use kith_core::{
    contacts::Status,
    delivery::DeliveryState,
    engine::Command,
    store::{RecordKind, Store as _},
};
use kith_tests::sim::{World, plan, seeds};

/// Seeds in the normal run.
const SEEDS: u64 = 40;
const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// alice and bob, contacts, each with a mailbox at the same server.
fn alice_and_bob(test: &'static str, seed: u64) -> (World, usize, usize, usize) {
    let mut world = World::new(seed, test);
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    let server = world.mailbox();
    world.run_ms(100);
    world.befriend(alice, bob);
    world.settle();
    for node in [alice, bob] {
        world.choose_mailboxes(node, &[server]);
    }
    world.run_ms(MINUTE_MS);
    (world, alice, bob, server)
}

/// Two nodes never reach each other but by mail.
fn apart(world: &mut World, nodes: &[usize]) {
    for (at, one) in nodes.iter().enumerate() {
        for other in nodes.iter().skip(at + 1) {
            world.keep_apart(*one, *other);
        }
    }
}

fn texts(world: &World, node: usize, with: usize) -> Vec<String> {
    let shown = world.history(node, world.account(with), usize::MAX);
    shown.into_iter().filter_map(|message| message.text).collect()
}

fn states(world: &World, node: usize, with: usize) -> Vec<DeliveryState> {
    let shown = world.history(node, world.account(with), usize::MAX);
    shown.into_iter().filter_map(|message| message.state).collect()
}

#[test]
fn who_is_never_there_at_once_gets_everything_in_order_and_once() {
    let (mut world, alice, bob, _) = alice_and_bob("who_is_never_there_at_once", 1);
    world.set_running(bob, false);
    for number in 0..30 {
        world.say(alice, bob, &format!("number {number}"));
        world.run_ms(20_000);
    }
    world.set_running(alice, false);
    world.run_ms(HOUR_MS);
    world.set_running(bob, true);
    world.run_ms(MINUTE_MS);
    let expected: Vec<String> = (0..30).map(|number| format!("number {number}")).collect();
    assert_eq!(texts(&world, bob, alice), expected);
    world.say(bob, alice, "all there");
    world.run_ms(MINUTE_MS);
    world.set_running(bob, false);
    world.set_running(alice, true);
    world.run_ms(MINUTE_MS);
    assert_eq!(states(&world, alice, bob), [DeliveryState::DeliveredAll; 30]);
    assert_eq!(texts(&world, alice, bob).last().map(String::as_str), Some("all there"));
    world.set_running(bob, true);
    world.settle();
    world.check_silence();
}

#[test]
fn a_mailbox_that_loses_everything_at_any_moment_loses_nothing() {
    for seed in 0..40 {
        let (mut world, alice, bob, server) = alice_and_bob("a_mailbox_that_loses", seed);
        apart(&mut world, &[alice, bob]);
        world.set_running(bob, false);
        let wipe_at = world.below(200_000);
        let mut wiped = false;
        for number in 0..10 {
            world.say(alice, bob, &format!("number {number}"));
            for _ in 0..20 {
                world.run_ms(1000);
                if !wiped && world.now_ms() % 400_000 > wipe_at {
                    world.wipe_mailbox(server);
                    wiped = true;
                }
                if number == 5 {
                    world.set_running(bob, true);
                }
            }
        }
        world.wipe_mailbox(server);
        world.run_ms(2 * HOUR_MS);
        let expected: Vec<String> = (0..10).map(|number| format!("number {number}")).collect();
        assert_eq!(texts(&world, bob, alice), expected, "seed {seed}");
        assert_eq!(states(&world, alice, bob), [DeliveryState::DeliveredAll; 10], "seed {seed}");
    }
}

#[test]
fn who_starts_learns_soon_that_a_mailbox_has_lost_what_was_put() {
    let (mut world, alice, bob, server) = alice_and_bob("who_starts_learns_soon", 10);
    world.set_running(bob, false);
    world.say(alice, bob, "once");
    world.run_ms(MINUTE_MS);
    world.set_running(alice, false);
    world.wipe_mailbox(server);
    // Bob looks for himself first: so there is a queue again, with another name.
    world.set_running(bob, true);
    world.run_ms(MINUTE_MS);
    assert_eq!(texts(&world, bob, alice), [""; 0]);
    world.set_running(bob, false);
    world.set_running(alice, true);
    world.run_ms(MINUTE_MS);
    world.set_running(alice, false);
    world.set_running(bob, true);
    world.run_ms(MINUTE_MS);
    assert_eq!(texts(&world, bob, alice), ["once"]);
}

#[test]
fn what_was_lost_is_put_again_in_the_middle_of_a_talk() {
    let (mut world, alice, bob, server) = alice_and_bob("what_was_lost", 11);
    let mut said = Vec::new();
    for (one, other) in [(alice, bob), (bob, alice), (alice, bob)] {
        world.set_running(other, false);
        world.set_running(one, true);
        world.run_ms(MINUTE_MS);
        said.push(format!("number {}", said.len()));
        world.say(one, other, said.last().unwrap());
        world.run_ms(MINUTE_MS);
    }
    world.set_running(alice, false);
    world.wipe_mailbox(server);
    for node in [bob, alice, bob, alice] {
        world.set_running(node, true);
        world.run_ms(MINUTE_MS);
        world.set_running(node, false);
    }
    for (one, other) in [(alice, bob), (bob, alice)] {
        world.set_running(one, true);
        assert_eq!(texts(&world, one, other), said);
        assert!(states(&world, one, other).iter().all(|it| *it == DeliveryState::DeliveredAll));
        world.set_running(one, false);
    }
}

#[test]
fn a_stranger_knocks_and_is_answered_without_ever_meeting() {
    let mut world = World::new(3, "a_stranger_knocks");
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    let server = world.mailbox();
    world.run_ms(100);
    apart(&mut world, &[alice, bob]);
    world.choose_mailboxes(alice, &[server]);
    world.choose_mailboxes(bob, &[server]);
    world.run_ms(MINUTE_MS);
    let card = world.nodes[bob].engine().card();
    assert_eq!(card.knocks.len(), 1);
    world.set_running(bob, false);
    let with = world.account(bob);
    let greeting = "it is me".to_owned();
    world.command(alice, Command::AddContact { card: Box::new(card), name: None, greeting });
    world.say(alice, bob, "sent before the answer");
    world.run_ms(MINUTE_MS);
    world.set_running(alice, false);
    world.set_running(bob, true);
    world.run_ms(MINUTE_MS);
    let asked = world.nodes[bob].engine().contact(world.account(alice)).unwrap();
    assert_eq!((asked.status, asked.greeting.as_str()), (Status::Pending, "it is me"));
    world.command(bob, Command::Accept(world.account(alice)));
    world.befriend_later(alice, bob);
    world.say(bob, alice, "welcome");
    world.run_ms(MINUTE_MS);
    world.set_running(bob, false);
    world.set_running(alice, true);
    world.run_ms(MINUTE_MS);
    assert_eq!(world.nodes[alice].engine().contact(with).unwrap().status, Status::Contact);
    assert_eq!(texts(&world, alice, bob), ["sent before the answer", "welcome"]);
    world.set_running(alice, false);
    world.set_running(bob, true);
    world.run_ms(MINUTE_MS);
    assert_eq!(texts(&world, bob, alice), ["sent before the answer", "welcome"]);
}

/// Whoever removes somebody closes the queue; whoever asks again says where the answer goes.
#[test]
fn who_was_removed_answers_to_the_queue_of_the_new_request() {
    let (mut world, alice, bob, _) = alice_and_bob("who_was_removed_answers", 16);
    apart(&mut world, &[alice, bob]);
    // Both groups are joined.
    for (one, other) in [(alice, bob), (bob, alice), (alice, bob)] {
        world.say(one, other, "hello");
        world.run_ms(MINUTE_MS);
    }
    let card = Box::new(world.nodes[alice].engine().card());
    world.set_running(alice, false);
    world.command(bob, Command::Remove(world.account(alice)));
    world.run_ms(MINUTE_MS);
    world.command(bob, Command::AddContact { card, name: None, greeting: String::new() });
    world.run_ms(MINUTE_MS);
    world.set_running(bob, false);
    world.set_running(alice, true);
    world.run_ms(HOUR_MS);
    world.set_running(alice, false);
    world.set_running(bob, true);
    world.run_ms(HOUR_MS);
    let status = world.nodes[bob].engine().contact(world.account(alice)).unwrap().status;
    assert_eq!(status, Status::Contact);
}

#[test]
fn where_one_mailbox_fails_another_serves() {
    let (mut world, alice, bob, first) = alice_and_bob("where_one_mailbox_fails", 4);
    let second = world.mailbox();
    world.choose_mailboxes(bob, &[first, second]);
    world.run_ms(MINUTE_MS);
    apart(&mut world, &[alice, bob]);
    world.set_running(bob, false);
    world.set_mailbox(first, false);
    world.say(alice, bob, "to the second");
    world.run_ms(5 * MINUTE_MS);
    assert!(world.blobs_at(second) > 0);
    world.set_running(bob, true);
    world.run_ms(MINUTE_MS);
    assert_eq!(texts(&world, bob, alice), ["to the second"]);
}

#[test]
fn what_lies_long_is_put_again_before_it_ends() {
    let (mut world, alice, bob, server) = alice_and_bob("what_lies_long", 5);
    apart(&mut world, &[alice, bob]);
    world.set_running(bob, false);
    world.say(alice, bob, "old");
    world.run_ms(MINUTE_MS);
    let begin = world.blobs_at(server);
    world.run_ms(3 * DAY_MS);
    assert_eq!(world.blobs_at(server), begin, "nothing is put twice before its time");
    // A week keeps it; put again after half of that, it is there after nine days too.
    world.run_ms(6 * DAY_MS);
    world.set_running(alice, false);
    world.run_ms(HOUR_MS);
    world.set_running(bob, true);
    world.run_ms(MINUTE_MS);
    assert_eq!(texts(&world, bob, alice), ["old"]);
}

#[test]
fn a_full_queue_is_filled_again_once_it_was_read() {
    let (mut world, alice, bob, server) = alice_and_bob("a_full_queue", 6);
    apart(&mut world, &[alice, bob]);
    world.set_running(bob, false);
    for number in 0..700 {
        world.say(alice, bob, &format!("number {number}"));
        world.run_ms(3000);
    }
    let full = world.blobs_at(server);
    assert!((500..=530).contains(&full), "{full}");
    world.run_ms(10 * MINUTE_MS);
    assert_eq!(world.blobs_at(server), full, "nobody tries blindly");
    world.set_running(bob, true);
    world.run_ms(5 * MINUTE_MS);
    assert_eq!(texts(&world, bob, alice).len(), 700);
    world.run_ms(5 * MINUTE_MS);
    assert_eq!(states(&world, alice, bob), [DeliveryState::DeliveredAll; 700]);
}

#[test]
fn all_devices_of_two_people_get_everything() {
    let mut world = World::new(7, "all_devices_of_two_people");
    let (alice, bob) = (world.person("alice", 2), world.person("bob", 3));
    let server = world.mailbox();
    world.run_ms(100);
    world.tell_own_places(alice);
    world.tell_own_places(bob);
    world.befriend(alice, bob);
    world.settle();
    world.choose_mailboxes(0, &[server]);
    world.choose_mailboxes(2, &[server]);
    world.run_ms(MINUTE_MS);
    apart(&mut world, &[0, 1, 2, 3, 4]);
    for node in 0..5 {
        world.set_running(node, false);
    }
    // Each is there alone, one after the other.
    for round in 0..4 {
        for node in 0..5 {
            world.set_running(node, true);
            world.run_ms(20_000);
            let to = if node < 2 { bob } else { alice };
            world.say(node, to, &format!("round {round} by {node}"));
            world.run_ms(20_000);
            world.set_running(node, false);
        }
    }
    for node in (0..5).chain(0..5) {
        world.set_running(node, true);
        world.run_ms(20_000);
        if node < 4 {
            world.set_running(node, false);
        }
    }
    for node in 0..5 {
        world.set_running(node, true);
        let with = if node < 2 { bob } else { alice };
        assert_eq!(texts(&world, node, with).len(), 20, "node {node}");
    }
    world.run_ms(5 * MINUTE_MS);
    for node in 0..5 {
        let with = if node < 2 { bob } else { alice };
        let own = states(&world, node, with);
        assert!(own.iter().all(|state| *state == DeliveryState::DeliveredAll), "{node}: {own:?}");
    }
}

#[test]
fn nobody_writes_when_there_is_nothing_to_say() {
    let (mut world, alice, bob, _) = alice_and_bob("nobody_writes", 8);
    apart(&mut world, &[alice, bob]);
    world.say(alice, bob, "one");
    world.say(bob, alice, "two");
    world.run_ms(10 * MINUTE_MS);
    assert_eq!(states(&world, alice, bob), [DeliveryState::DeliveredAll; 1]);
    let put = world.letters_put;
    world.run_ms(2 * DAY_MS);
    assert_eq!(world.letters_put, put);
}

#[test]
fn months_of_letters_open() {
    let (mut world, alice, bob, _) = alice_and_bob("months_of_letters", 9);
    apart(&mut world, &[alice, bob]);
    let mut said = 0;
    for day in 0..60_u64 {
        let (here, away) = if day % 2 == 0 { (alice, bob) } else { (bob, alice) };
        world.set_running(away, false);
        world.set_running(here, true);
        world.run_ms(MINUTE_MS);
        world.say(here, away, &format!("day {day}"));
        said += 1;
        world.run_ms(DAY_MS);
    }
    world.set_running(alice, true);
    world.set_running(bob, true);
    world.run_ms(HOUR_MS);
    assert_eq!(texts(&world, alice, bob).len(), said);
    assert_eq!(texts(&world, bob, alice).len(), said);
    let refused = |node: usize| world.nodes[node].engine().refusals().get("bad_letter").copied();
    assert_eq!((refused(alice), refused(bob)), (None, None));
}

#[test]
fn random_worlds_by_mail() {
    seeds::each(SEEDS, |seed| drop(plan::run_by_mail(seed, "random_worlds_by_mail")));
}

/// Seed 725 of the random worlds: the server forgets the answer to carol's last letter, so that its
/// tick waits for half of the queue's days.
#[test]
fn a_tick_waits_for_a_forgotten_answer() {
    drop(plan::run_by_mail(725, "random_worlds_by_mail"));
}

/// What lies in the queues of a stolen tablet goes, and nothing more is put there.
#[test]
fn a_stolen_device_gets_no_letters() {
    let mut world = World::new(11, "a_stolen_device_gets_no_letters");
    let (alice, bob) = (world.person("alice", 3), world.person("bob", 1));
    let server = world.mailbox();
    world.run_ms(100);
    world.tell_own_places(alice);
    world.befriend(alice, bob);
    world.settle();
    world.choose_mailboxes(0, &[server]);
    world.choose_mailboxes(3, &[server]);
    world.run_ms(MINUTE_MS);
    apart(&mut world, &[0, 1, 2, 3]);
    let tablet = 1;
    world.set_running(tablet, false);
    world.say(3, alice, "before");
    world.run_ms(5 * MINUTE_MS);
    let device = world.nodes[tablet].key().device();
    assert!(world.blobs_at(server) > 0, "letters wait for the tablet");
    for node in [0, 2] {
        let authority = world.nodes[node].authority();
        let why = Untrust::Stolen;
        world.command(node, Command::Untrust { device, why, since: None, authority });
        world.run_ms(MINUTE_MS);
    }
    world.run_ms(5 * MINUTE_MS);
    assert_eq!(world.blobs_at(server), 0, "its queues are gone");
    world.say(3, alice, "after");
    world.run_ms(5 * MINUTE_MS);
    assert_eq!(world.blobs_at(server), 0);
    for node in [0, 2] {
        assert_eq!(texts(&world, node, bob), ["before", "after"]);
    }
    // Whoever has it now may look: nothing comes.
    world.set_running(tablet, true);
    world.run_ms(HOUR_MS);
    assert_eq!(texts(&world, tablet, bob), [""; 0]);
}

/// The answer to a letter may end before it is read, or go with its server: then it is said again.
#[test]
fn an_answer_that_is_lost_is_said_again() {
    for wiped in [false, true] {
        let (mut world, alice, bob, server) = alice_and_bob("an_answer_that_is_lost", 12);
        apart(&mut world, &[alice, bob]);
        world.run_ms(10_000);
        world.say(bob, alice, "have you got it?");
        world.run_ms(3_000);
        world.set_running(bob, false);
        world.run_ms(MINUTE_MS);
        assert_eq!(texts(&world, alice, bob), ["have you got it?"]);
        if wiped {
            world.wipe_mailbox(server);
        }
        world.run_ms(10 * DAY_MS);
        world.set_running(bob, true);
        world.run_ms(5 * DAY_MS);
        assert_eq!(states(&world, bob, alice), [DeliveryState::DeliveredAll], "wiped: {wiped}");
    }
}

/// Where the mailbox that has the letters dies, they are put into the other one.
#[test]
fn letters_move_when_their_mailbox_dies() {
    let (mut world, alice, bob, first) = alice_and_bob("letters_move", 13);
    let second = world.mailbox();
    world.choose_mailboxes(bob, &[first, second]);
    world.run_ms(MINUTE_MS);
    apart(&mut world, &[alice, bob]);
    world.set_running(bob, false);
    world.say(alice, bob, "to the first");
    world.run_ms(5 * MINUTE_MS);
    assert_eq!(world.blobs_at(second), 0);
    world.set_mailbox(first, false);
    world.run_ms(8 * HOUR_MS);
    world.set_running(alice, false);
    world.set_running(bob, true);
    world.run_ms(MINUTE_MS);
    assert_eq!(texts(&world, bob, alice), ["to the first"]);
}

/// Where letters lie in two mailboxes, both are looked after.
#[test]
fn letters_in_two_mailboxes_are_looked_after_in_both() {
    let (mut world, alice, bob, first) = alice_and_bob("letters_in_two_mailboxes", 15);
    let second = world.mailbox();
    world.choose_mailboxes(bob, &[first, second]);
    world.run_ms(MINUTE_MS);
    apart(&mut world, &[alice, bob]);
    world.set_running(bob, false);
    world.say(alice, bob, "to the first");
    world.run_ms(MINUTE_MS);
    world.set_mailbox(first, false);
    world.say(alice, bob, "to the second");
    world.run_ms(MINUTE_MS);
    assert_eq!((world.blobs_at(first), world.blobs_at(second)), (1, 1));
    world.wipe_mailbox(first);
    world.set_mailbox(first, true);
    world.run_ms(DAY_MS);
    world.set_running(alice, false);
    world.set_running(bob, true);
    world.run_ms(MINUTE_MS);
    assert_eq!(texts(&world, bob, alice), ["to the first", "to the second"]);
}

/// Whoever runs the mailbox of a contact cannot have a node put the same again and again.
#[test]
fn a_server_that_always_begins_anew_is_asked_ever_less() {
    let (mut world, alice, bob, server) = alice_and_bob("a_server_that_begins_anew", 17);
    apart(&mut world, &[alice, bob]);
    world.set_running(bob, false);
    world.run_ms(MINUTE_MS);
    world.make_forgetful(server);
    let before = world.letters_put;
    world.say(alice, bob, "again and again");
    world.run_ms(DAY_MS);
    // 5 s, doubling up to half an hour.
    let put = world.letters_put - before;
    assert!((2..=60).contains(&put), "{put} letters in a day");
}

/// Whoever has a link may close the queue that it names, and open another one there.
#[test]
fn who_seizes_a_queue_has_one_that_nobody_names() {
    let mut world = World::new(18, "who_seizes_a_queue");
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    let server = world.mailbox();
    world.run_ms(100);
    apart(&mut world, &[alice, bob]);
    world.choose_mailboxes(alice, &[server]);
    world.choose_mailboxes(bob, &[server]);
    world.run_ms(MINUTE_MS);
    let (_, old) = world.nodes[bob].engine().card().knocks[0].clone();
    world.seize_queue(server, &old);
    world.run_ms(HOUR_MS);
    let card = world.nodes[bob].engine().card();
    assert_ne!(card.knocks[0].1, old);
    let card = Box::new(card);
    world.command(alice, Command::AddContact { card, name: None, greeting: String::new() });
    world.run_ms(MINUTE_MS);
    let asked = world.nodes[bob].engine().contact(world.account(alice)).unwrap();
    assert_eq!(asked.status, Status::Pending);
}

/// Keys of letters that never came, and packages that nobody used, go in time.
#[test]
fn keys_that_have_served_go() {
    let (mut world, alice, bob, _) = alice_and_bob("keys_that_have_served_go", 14);
    apart(&mut world, &[alice, bob]);
    world.say(alice, bob, "one");
    world.say(bob, alice, "two");
    world.run_ms(10 * MINUTE_MS);
    for node in [alice, bob] {
        world.choose_mailboxes(node, &[]);
    }
    world.run_ms(60 * DAY_MS);
    for node in [alice, bob] {
        let packages = world.nodes[node].store.records(RecordKind::Package).unwrap();
        assert_eq!(packages.len(), 0);
        assert!(!world.nodes[node].engine().reads_letters());
    }
}
