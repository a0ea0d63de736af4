//! Do the stories that people will live come out right? Each in a small world of its own.

use kith_common::ids::AccountId;
use kith_core::{
    contacts::Status, delivery::DeliveryState, engine::Command, limits::PENDING_ENTRIES_MAX,
};
use kith_tests::sim::{World, network::Weather, plan};

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// alice and bob, one device each, contacts of each other.
fn alice_and_bob(test: &'static str) -> (World, usize, usize) {
    let mut world = World::new(1, test);
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    world.run_ms(100);
    world.befriend(alice, bob);
    world.settle();
    (world, alice, bob)
}

fn texts(world: &World, node: usize, with: usize) -> Vec<String> {
    let shown = world.history(node, world.account(with), usize::MAX);
    shown.into_iter().filter_map(|message| message.text).collect()
}

fn states(world: &World, node: usize, with: usize) -> Vec<DeliveryState> {
    let shown = world.history(node, world.account(with), usize::MAX);
    shown.into_iter().filter_map(|message| message.state).collect()
}

fn status(world: &World, node: usize, with: usize) -> Option<Status> {
    let account: AccountId = world.account(with);
    world.nodes.get(node)?.engine().contact(account).map(|contact| contact.status)
}

#[test]
fn a_hundred_messages_wait_for_somebody_who_is_away() {
    let (mut world, alice, bob) = alice_and_bob("a_hundred_messages");
    world.set_running(bob, false);
    for number in 0..100 {
        world.say(alice, bob, &format!("number {number}"));
        world.run_ms(500);
    }
    world.run_ms(HOUR_MS);
    assert_eq!(states(&world, alice, bob), [DeliveryState::Queued; 100]);
    world.set_running(bob, true);
    world.run_until(2 * MINUTE_MS, "all are there", |w| texts(w, bob, alice).len() == 100);
    assert_eq!(texts(&world, bob, alice), texts(&world, alice, bob));
    world.settle();
    world.check_silence();
}

#[test]
fn two_who_are_rarely_there_at_once_miss_nothing() {
    let (mut world, alice, bob) = alice_and_bob("two_who_are_rarely_there");
    for round in 0..20 {
        let (here, away) = if round % 2 == 0 { (alice, bob) } else { (bob, alice) };
        world.set_running(away, false);
        world.say(here, away, &format!("round {round}, first"));
        world.run_ms(10 * MINUTE_MS);
        world.say(here, away, &format!("round {round}, second"));
        world.run_ms(100);
        world.set_running(away, true);
        world.run_ms(2000);
        world.set_running(here, false);
        world.run_ms(5000);
        world.set_running(here, true);
    }
    world.settle();
    assert_eq!(texts(&world, alice, bob).len(), 40);
    world.check_silence();
}

#[test]
fn a_split_network_grows_together() {
    for silently in [false, true] {
        let (mut world, alice, bob) = alice_and_bob("a_split_network");
        world.partition(vec![0, 1], silently);
        for number in 0..30 {
            world.say(alice, bob, &format!("from alice {number}"));
            world.say(bob, alice, &format!("from bob {number}"));
            world.run_ms(20_000);
        }
        assert_eq!(texts(&world, bob, alice).len(), 30);
        world.settle();
        let shown = texts(&world, bob, alice);
        assert_eq!(shown.len(), 60);
        // What the other side wrote meanwhile stands where it was written, and is marked late.
        let late = |node, with| {
            let shown = world.history(node, world.account(with), usize::MAX);
            shown.iter().filter(|message| message.late).count()
        };
        assert!((27..=30).contains(&late(alice, bob)), "{} are late", late(alice, bob));
        assert!((27..=30).contains(&late(bob, alice)), "{} are late", late(bob, alice));
        assert!(shown[0].ends_with(" 0") && shown[59].ends_with(" 29"));
        world.check_silence();
    }
}

#[test]
fn a_request_is_answered_or_waits_for_ever() {
    let mut world = World::new(2, "a_request_is_answered");
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    world.run_ms(100);
    world.ask(alice, bob);
    world.say(alice, bob, "sent before the answer");
    world.run_until(MINUTE_MS, "bob is asked", |w| status(w, bob, alice) == Some(Status::Pending));
    world.run_ms(HOUR_MS);
    assert_eq!(status(&world, alice, bob), Some(Status::Requested));
    assert_eq!(texts(&world, bob, alice), [""; 0], "nothing but the request arrives");
    let greeting = world.nodes[bob].engine().contacts()[0].greeting.clone();
    assert_eq!(greeting, "greeting of alice.phone");
    world.command(bob, Command::Accept(world.account(alice)));
    world.befriend_later(alice, bob);
    world.settle();
    assert_eq!(texts(&world, bob, alice), ["sent before the answer"]);
    world.check_silence();
}

#[test]
fn two_who_ask_each_other_agree() {
    for seed in 0..20 {
        let mut world = World::new(seed, "two_who_ask_each_other");
        world.weather.latency_ms_spread = 3000;
        let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
        world.run_ms(100);
        world.befriend(alice, bob);
        world.run_until(2 * MINUTE_MS, "both agree", |w| {
            status(w, alice, bob) == Some(Status::Contact)
                && status(w, bob, alice) == Some(Status::Contact)
        });
        world.settle();
        world.check_silence();
    }
}

#[test]
fn nothing_passes_a_block_until_it_is_lifted() {
    let (mut world, alice, bob) = alice_and_bob("nothing_passes_a_block");
    world.say(alice, bob, "before");
    world.run_ms(MINUTE_MS);
    world.command(bob, Command::Block(world.account(alice)));
    world.run_ms(1000);
    for number in 0..5 {
        world.say(alice, bob, &format!("while blocked {number}"));
        world.run_ms(5 * MINUTE_MS);
    }
    assert_eq!(texts(&world, bob, alice), ["before"]);
    assert_eq!(states(&world, alice, bob)[1..], [DeliveryState::Queued; 5]);
    assert!(!world.nodes[alice].engine().contacts()[0].online);
    // Not even after a restart.
    world.set_running(bob, false);
    world.set_running(bob, true);
    world.run_ms(10 * MINUTE_MS);
    assert_eq!(texts(&world, bob, alice), ["before"]);
    world.command(bob, Command::Unblock(world.account(alice)));
    world.settle();
    assert_eq!(texts(&world, bob, alice).len(), 6);
    world.check_silence();
}

#[test]
fn a_request_survives_a_block_by_the_asker() {
    let mut world = World::new(3, "a_request_survives_a_block");
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    world.run_ms(100);
    world.set_running(bob, false);
    world.ask(alice, bob);
    world.run_ms(1000);
    world.command(alice, Command::Block(world.account(bob)));
    world.run_ms(1000);
    world.command(alice, Command::Unblock(world.account(bob)));
    world.run_ms(1000);
    assert_eq!(status(&world, alice, bob), Some(Status::Requested));
    world.set_running(bob, true);
    world.run_until(5 * MINUTE_MS, "bob is asked", |w| {
        status(w, bob, alice) == Some(Status::Pending)
    });
    // Blocking somebody who asked and changing one's mind is no agreement.
    world.command(bob, Command::Block(world.account(alice)));
    world.command(bob, Command::Unblock(world.account(alice)));
    world.run_ms(10 * MINUTE_MS);
    assert_eq!(status(&world, bob, alice), Some(Status::Pending));
    assert_eq!(status(&world, alice, bob), Some(Status::Requested));
}

#[test]
fn who_was_removed_gets_nothing_and_may_come_back() {
    let (mut world, alice, bob) = alice_and_bob("who_was_removed");
    world.say(alice, bob, "before");
    world.run_ms(MINUTE_MS);
    world.command(bob, Command::Remove(world.account(alice)));
    world.run_ms(1000);
    world.say(alice, bob, "to nobody");
    world.run_ms(HOUR_MS);
    assert_eq!(status(&world, bob, alice), None);
    assert_eq!(states(&world, alice, bob)[1..], [DeliveryState::Queued]);
    world.ask(bob, alice);
    world.settle();
    assert_eq!(texts(&world, bob, alice), ["before", "to nobody"]);
    world.check_silence();
}

#[test]
fn reading_is_told_only_if_one_wants() {
    let (mut world, alice, bob) = alice_and_bob("reading_is_told");
    let with_alice = world.account(alice);
    let read = |world: &mut World, text: &str, tells: Option<bool>| {
        if let Some(on) = tells {
            world.command(bob, Command::SetReadReceipts(on));
        }
        world.say(alice, bob, text);
        world.run_ms(MINUTE_MS);
        world.command(bob, Command::MarkRead(with_alice));
        world.run_ms(MINUTE_MS);
        assert_eq!(world.nodes[bob].engine().contacts()[0].unread, 0);
        states(world, alice, bob)
    };
    let (all, read_all) = (DeliveryState::DeliveredAll, DeliveryState::Read);
    assert_eq!(read(&mut world, "one", None), [all]);
    assert_eq!(read(&mut world, "two", Some(true)), [read_all, read_all]);
    assert_eq!(read(&mut world, "three", Some(false)), [read_all, read_all, all]);
    // What is said about the fourth tells nothing about the third.
    assert_eq!(read(&mut world, "four", None), [read_all, read_all, all, all]);
    world.restart_all();
    assert_eq!(states(&world, alice, bob), [read_all, read_all, all, all]);
}

#[test]
fn a_clock_a_day_ahead_holds_up_its_own_messages_only() {
    let (mut world, alice, bob) = alice_and_bob("a_clock_ahead");
    let carol = world.person("carol", 1);
    world.run_ms(100);
    world.befriend(bob, carol);
    world.befriend(alice, carol);
    world.settle();
    let skew_ms = i64::try_from(25 * HOUR_MS).unwrap();
    world.nodes[alice].skew_ms = skew_ms;
    for number in 0..100 {
        world.say(alice, bob, &format!("early {number}"));
        world.run_ms(50);
    }
    world.say(bob, alice, "on time");
    world.say(bob, carol, "also on time");
    world.run_ms(5_000);
    let links = world.nodes[bob].next_link_number();
    world.run_ms(10 * MINUTE_MS);
    assert_eq!(texts(&world, bob, alice), ["on time"]);
    assert_eq!(texts(&world, alice, bob).len(), 101);
    assert_eq!(states(&world, bob, alice), [DeliveryState::DeliveredAll]);
    assert_eq!(texts(&world, carol, bob), ["also on time"]);
    assert_eq!(world.nodes[bob].next_link_number(), links, "the link stands meanwhile");
    // A new link comes up too: clocks may differ by two days for a session.
    world.set_connected(alice, false);
    world.run_ms(MINUTE_MS);
    world.set_connected(alice, true);
    world.say(bob, alice, "later");
    world.run_ms(10 * MINUTE_MS);
    assert_eq!(states(&world, bob, alice)[1..], [DeliveryState::DeliveredAll]);
    // Her clock is put right; what it stamped comes when that time has come.
    world.nodes[alice].skew_ms = 0;
    world.run_ms(HOUR_MS);
    world.settle();
    assert_eq!(texts(&world, bob, alice).len(), 102);
}

#[test]
fn clocks_days_apart_are_told_to_both_until_they_are_put_right() {
    let (mut world, alice, bob) = alice_and_bob("clocks_days_apart");
    let warnings = |world: &World| [alice, bob].map(|n| world.nodes[n].engine().warnings());
    world.set_connected(alice, false);
    world.nodes[alice].skew_ms = -i64::try_from(3 * 24 * HOUR_MS).unwrap();
    world.say(alice, bob, "from the past");
    world.run_ms(MINUTE_MS);
    world.set_connected(alice, true);
    assert_eq!(warnings(&world), [[].into(), Vec::<String>::new()]);
    world.run_ms(10 * MINUTE_MS);
    let about = |name| {
        let clocks = format!("The clock of this device or of {name}'s differs by about 3 days");
        vec![format!("{clocks}: check date and time")]
    };
    assert_eq!(warnings(&world), [about("bob"), about("alice")]);
    assert_eq!(texts(&world, bob, alice).len(), 0);
    world.nodes[alice].skew_ms = 0;
    world.run_until(5 * MINUTE_MS, "it is there", |w| texts(w, bob, alice).len() == 1);
    assert_eq!(warnings(&world), [[].into(), Vec::<String>::new()]);
}

#[test]
fn a_thousand_early_messages_cost_neither_the_link_nor_a_storm() {
    let (mut world, alice, bob) = alice_and_bob("a_thousand_early_messages");
    world.set_connected(bob, false);
    world.run_ms(MINUTE_MS);
    world.nodes[alice].skew_ms = i64::try_from(25 * HOUR_MS).unwrap();
    for number in 0..PENDING_ENTRIES_MAX + 200 {
        world.say(alice, bob, &format!("early {number}"));
    }
    world.run_ms(MINUTE_MS);
    world.set_connected(bob, true);
    world.run_until(2 * MINUTE_MS, "they meet", |w| w.nodes[bob].engine().device_count() == 1);
    world.run_ms(MINUTE_MS);
    let (links, frames) = (world.nodes[bob].next_link_number(), world.frames_sent);
    world.run_ms(20 * MINUTE_MS);
    assert_eq!(world.nodes[bob].next_link_number(), links, "the link stands meanwhile");
    let per_minute = (world.frames_sent - frames) / 20;
    assert!(per_minute < 40, "{per_minute} frames a minute");
    assert_eq!(texts(&world, bob, alice).len(), 0);
    world.run_ms(HOUR_MS);
    assert_eq!(texts(&world, bob, alice).len(), PENDING_ENTRIES_MAX + 200);
    assert_eq!(world.nodes[bob].next_link_number(), links, "nor does it end then");
}

#[test]
fn a_clock_that_jumps_back_does_not_silence_anybody() {
    let (mut world, alice, bob) = alice_and_bob("a_clock_that_jumps");
    world.nodes[alice].skew_ms = i64::try_from(20 * HOUR_MS).unwrap();
    world.say(alice, bob, "ahead");
    world.run_ms(MINUTE_MS);
    world.nodes[alice].skew_ms = -i64::try_from(72 * HOUR_MS).unwrap();
    world.nodes[bob].skew_ms = -i64::try_from(12 * HOUR_MS).unwrap();
    for number in 0..5 {
        world.say(alice, bob, &format!("back {number}"));
        world.say(bob, alice, &format!("answer {number}"));
        world.run_ms(MINUTE_MS);
    }
    world.nodes[alice].skew_ms = 0;
    world.nodes[bob].skew_ms = 0;
    world.settle();
    let shown = texts(&world, bob, alice);
    assert_eq!((shown.len(), shown[0].as_str()), (11, "ahead"));
}

#[test]
fn a_contact_hands_messages_on_between_devices_that_never_meet() {
    let mut world = World::new(4, "a_contact_hands_messages_on");
    let (alice, bob) = (world.person("alice", 2), world.person("bob", 1));
    let [phone, tablet, bobs] = [0, 1, 2];
    world.run_ms(100);
    world.tell_own_places(alice);
    world.befriend(alice, bob);
    world.settle();
    world.set_running(tablet, false);
    world.say(phone, bob, "from the phone");
    world.run_ms(MINUTE_MS);
    world.say(bobs, alice, "to both");
    world.run_ms(MINUTE_MS);
    // Only one of her devices has it.
    assert_eq!(states(&world, bobs, alice), [DeliveryState::Delivered]);
    world.set_running(phone, false);
    world.run_ms(MINUTE_MS);
    world.set_running(tablet, true);
    world.run_until(2 * MINUTE_MS, "the tablet has both", |w| texts(w, tablet, bob).len() == 2);
    assert_eq!(texts(&world, tablet, bob), ["from the phone", "to both"]);
    world.run_ms(MINUTE_MS);
    assert_eq!(states(&world, bobs, alice), [DeliveryState::DeliveredAll]);
    world.settle();
    world.check_silence();
}

#[test]
fn crashes_neither_lose_nor_double() {
    for seed in 0..10 {
        let mut world = World::new(seed, "crashes_neither_lose_nor_double");
        let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
        world.run_ms(100);
        world.befriend(alice, bob);
        world.settle();
        world.weather = Weather { crash_per_mille: 250, group_ms: 5, ..Weather::default() };
        for number in 0..60 {
            world.say(alice, bob, &format!("from alice {number}"));
            world.say(bob, alice, &format!("from bob {number}"));
            world.run_ms(3000);
        }
        world.settle();
        let shown = texts(&world, bob, alice);
        assert!((5..120).contains(&shown.len()), "{} of 120 were committed", shown.len());
        world.restart_all();
        assert_eq!(texts(&world, bob, alice), shown);
    }
}

#[test]
fn what_is_lost_on_a_link_that_stands_is_said_again() {
    for seed in 0..20 {
        let mut world = World::new(seed, "what_is_lost_on_a_link");
        let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
        world.weather = Weather { loss_per_mille: 500, ..Weather::default() };
        world.run_ms(100);
        world.befriend(alice, bob);
        for number in 0..10 {
            world.say(alice, bob, &format!("number {number}"));
            world.run_ms(700);
        }
        // Half of everything is still lost.
        world.settle_within(15 * MINUTE_MS);
        assert_eq!(texts(&world, bob, alice).len(), 10);
    }
}

#[test]
fn a_long_absence_is_caught_up_within_bounds() {
    let (mut world, alice, bob) = alice_and_bob("a_long_absence");
    world.set_running(bob, false);
    for number in 0..3000 {
        world.say(alice, bob, &format!("number {number}"));
        world.run_ms(20);
    }
    let long = "x".repeat(59_000);
    for number in 0..100 {
        world.say(alice, bob, &format!("{number} {long}"));
        world.run_ms(20);
    }
    world.set_running(bob, true);
    world.settle();
    assert_eq!(texts(&world, bob, alice).len(), 3100);
    world.check_silence();
}

#[test]
fn an_answer_stands_behind_its_question_on_both_sides() {
    let (mut world, alice, bob) = alice_and_bob("an_answer_stands_behind");
    // bob's clock is hours behind: by time alone his answers would stand above the questions.
    world.nodes[bob].skew_ms = -i64::try_from(5 * HOUR_MS).unwrap();
    for number in 0..10 {
        let question = format!("question {number}");
        world.say(alice, bob, &question);
        world.run_ms(10_000);
        let asked = world.book.find(&question);
        assert!(asked.is_some());
        world.reply(bob, alice, &format!("answer {number}"), asked);
        world.run_ms(10_000);
    }
    let expected: Vec<String> = (0..10)
        .flat_map(|number| [format!("question {number}"), format!("answer {number}")])
        .collect();
    assert_eq!(texts(&world, alice, bob), expected);
    assert_eq!(texts(&world, bob, alice), expected);
}

#[test]
fn a_seed_always_does_the_same() {
    for seed in [5, 6, 7] {
        let run = || {
            let world = plan::run(seed, "a_seed_always_does_the_same");
            let entries: Vec<_> = world.book.entries.keys().copied().collect();
            (entries, world.frames_sent, world.now_ms())
        };
        assert_eq!(run(), run());
    }
}
