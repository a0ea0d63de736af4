//! Does a device come in, and an account go over, if the two devices are never there at once?

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

use kith_core::{
    contacts::Status,
    delivery::DeliveryState,
    engine::{Answer, Command, CommandError},
    store::{RecordKind, Store},
};
use kith_tests::sim::{World, network::Weather, seeds};

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// alice with one device and a mailbox, and bob who is her contact.
struct Story {
    world: World,
    alice: usize,
    bob: usize,
    server: usize,
}

impl Story {
    fn begin(test: &'static str, seed: u64) -> Self {
        let mut world = World::new(seed, test);
        let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
        let server = world.mailbox();
        world.run_ms(100);
        world.befriend(alice, bob);
        world.settle();
        for node in [alice, bob] {
            world.choose_mailboxes(node, &[server]);
        }
        for number in 0..5 {
            world.say(bob, alice, &format!("bob {number}"));
            world.say(alice, bob, &format!("alice {number}"));
            world.run_ms(1000);
        }
        world.run_ms(MINUTE_MS);
        Self { world, alice, bob, server }
    }

    fn apart(&mut self, nodes: &[usize]) {
        for (at, one) in nodes.iter().enumerate() {
            for other in &nodes[at + 1..] {
                self.world.keep_apart(*one, *other);
            }
        }
    }

    /// The computer starts the one system; the other one is off.
    fn boot(&mut self, on: usize, off: usize, ms: u64) {
        self.world.set_joining(off, false);
        self.world.set_joining(on, true);
        self.world.run_ms(ms);
    }

    /// The old system, in which the person confirms what the new one shows.
    fn boot_old(&mut self, old: usize, new: usize, ms: u64) {
        self.boot(old, new, ms / 2);
        if let Some(check) = self.world.joining_check(new)
            && self.world.nodes[old].is_running()
            && self.world.guest_checks(old).contains(&check)
        {
            self.world.confirm(old, &check);
        }
        self.world.run_ms(ms / 2);
    }

    fn texts(&self, node: usize, with: usize) -> Vec<String> {
        let shown = self.world.history(node, self.world.account(with), usize::MAX);
        let mut texts: Vec<String> = shown.into_iter().filter_map(|it| it.text).collect();
        texts.sort();
        texts
    }

    fn states(&self, node: usize, with: usize) -> Vec<DeliveryState> {
        let shown = self.world.history(node, self.world.account(with), usize::MAX);
        shown.into_iter().filter_map(|message| message.state).collect()
    }
}

#[test]
fn a_device_comes_in_with_three_starts_of_each_system() {
    let mut story = Story::begin("a_device_comes_in", 1);
    let (old, bob) = (story.alice, story.bob);
    let said = story.texts(old, bob);
    let code = story.world.code_by_mail(old);
    story.world.run_ms(MINUTE_MS);
    let new = story.world.reads_code(old, code);
    story.apart(&[old, new, bob]);
    story.boot(new, old, MINUTE_MS);
    assert_eq!(story.world.joining_check(new), None);
    story.boot_old(old, new, MINUTE_MS);
    story.boot(new, old, MINUTE_MS);
    assert!(story.world.joining_check(new).is_some());
    story.boot_old(old, new, MINUTE_MS);
    story.boot(new, old, MINUTE_MS);
    assert!(!story.world.is_joining(new));
    // What one has, the other has; nobody was there twice.
    assert_eq!(said.len(), 10);
    assert_eq!(story.texts(new, bob), said);
    let contact = story.world.nodes[new].engine().contact(story.world.account(bob)).unwrap();
    assert_eq!(contact.status, Status::Contact);
    let boxes = story.world.nodes[new].engine().mailboxes();
    assert!(boxes.iter().all(|it| it.queues_open == it.queues), "{boxes:?}");
    assert_eq!(boxes.len(), 1);
    // Both systems hear a contact, and the contact hears both.
    story.world.say(bob, story.alice, "to both");
    story.world.say(new, bob, "from the new one");
    story.world.run_ms(MINUTE_MS);
    story.boot(old, new, MINUTE_MS);
    story.boot(new, old, MINUTE_MS);
    story.boot(old, new, MINUTE_MS);
    for (node, other) in [(new, old), (old, new)] {
        story.boot(node, other, MINUTE_MS);
        assert!(story.texts(node, bob).contains(&"to both".to_owned()), "{node}");
        assert!(story.texts(node, bob).contains(&"from the new one".to_owned()), "{node}");
    }
    assert_eq!(story.texts(bob, story.alice).len(), 12);
    story.world.run_ms(MINUTE_MS);
    assert!(story.states(bob, story.alice).iter().all(|it| *it == DeliveryState::DeliveredAll));
}

/// Starts one system after the other, as long as it takes or until it has become ridiculous; before
/// some of these starts the server loses everything.
fn boot_until_joined(story: &mut Story, new: usize, wipe_before: impl Fn(u64) -> bool) -> u64 {
    let old = story.alice;
    for start in 0..40 {
        if wipe_before(start) {
            story.world.wipe_mailbox(story.server);
        }
        let ms = 20_000 + story.world.below(MINUTE_MS);
        if start % 2 == 0 {
            story.boot(new, old, ms);
        } else {
            story.boot_old(old, new, ms);
        }
        if !story.world.is_joining(new) {
            return start;
        }
    }
    panic!("nobody came in");
}

#[test]
fn whatever_is_lost_at_whichever_step_it_comes_right() {
    for wiped in 0..8 {
        let mut story = Story::begin("whatever_is_lost", wiped);
        let (old, bob) = (story.alice, story.bob);
        let said = story.texts(old, bob);
        let code = story.world.code_by_mail(old);
        story.world.run_ms(MINUTE_MS);
        let new = story.world.reads_code(old, code);
        story.apart(&[old, new, bob]);
        boot_until_joined(&mut story, new, |start| start == wiped);
        if wiped > 5 {
            story.world.wipe_mailbox(story.server);
        }
        for _ in 0..4 {
            story.boot(old, new, MINUTE_MS);
            story.boot(new, old, MINUTE_MS);
        }
        assert_eq!(story.texts(new, bob), said, "wiped before start {wiped}");
    }
}

#[test]
fn in_any_weather_a_device_comes_in() {
    seeds::each(30, |seed| {
        let mut story = Story::begin("in_any_weather", seed);
        let (old, bob) = (story.alice, story.bob);
        let said = story.texts(old, bob);
        let code = story.world.code_by_mail(old);
        story.world.run_ms(MINUTE_MS);
        let new = story.world.reads_code(old, code);
        story.apart(&[old, new, bob]);
        story.world.weather = Weather {
            latency_ms_min: 20,
            latency_ms_spread: 2_000,
            loss_per_mille: 150,
            crash_per_mille: 30,
            ..Weather::default()
        };
        let wipes: Vec<u64> = (0..2).map(|_| story.world.below(10)).collect();
        boot_until_joined(&mut story, new, |start| wipes.contains(&start));
        story.world.weather = Weather::default();
        for _ in 0..4 {
            story.boot(old, new, 2 * MINUTE_MS);
            story.boot(new, old, 2 * MINUTE_MS);
        }
        assert_eq!(story.texts(new, bob), said, "seed {seed}");
        story.world.say(bob, story.alice, "to both");
        story.world.run_ms(MINUTE_MS);
        for (node, other) in [(old, new), (new, old)] {
            story.boot(node, other, MINUTE_MS);
            assert!(story.texts(node, bob).contains(&"to both".to_owned()), "{seed} {node}");
        }
    });
}

#[test]
fn two_accounts_become_one_and_nobody_was_there_twice() {
    seeds::each(12, |seed| {
        let mut story = Story::begin("two_accounts_become_one", seed);
        let (old, bob) = (story.alice, story.bob);
        let ends = story.world.person("alice2", 1);
        let carol = story.world.person("carol", 1);
        let (second, carols) =
            (story.world.people[ends].nodes[0], story.world.people[carol].nodes[0]);
        story.world.run_ms(100);
        story.world.befriend(ends, carol);
        story.world.run_ms(MINUTE_MS);
        story.world.entries_go = true;
        story.world.choose_mailboxes(second, &[story.server]);
        story.world.choose_mailboxes(carols, &[story.server]);
        story.world.say(second, carol, "of the second account");
        story.world.run_ms(MINUTE_MS);
        let code = story.world.code_by_mail(old);
        story.world.run_ms(MINUTE_MS);
        let key = story.world.people[ends].recovery();
        story.apart(&[old, bob, second, carols]);
        story.world.reads_code_to_merge(second, old, code, key);
        let wipe = seed % 8;
        boot_until_joined(&mut story, second, |start| start == wipe);
        for _ in 0..4 {
            story.boot(old, second, 2 * MINUTE_MS);
            story.boot(second, old, 2 * MINUTE_MS);
        }
        let stays = story.world.account(story.alice);
        for (node, other) in [(old, second), (second, old)] {
            story.boot(node, other, 2 * MINUTE_MS);
            let engine = story.world.nodes[node].engine();
            assert_eq!(engine.identity().account.id(), stays, "seed {seed}");
            assert_eq!(engine.identity().account.devices().len(), 2, "seed {seed}");
            for with in [bob, carol] {
                let contact = engine.contact(story.world.account(with));
                let status = contact.map(|contact| contact.status);
                assert_eq!(status, Some(Status::Contact), "seed {seed} {node} {with}");
            }
            assert_eq!(story.texts(node, bob).len(), 10, "seed {seed} {node}");
            assert_eq!(story.texts(node, carol), ["of the second account"], "seed {seed} {node}");
        }
        // Who knew the account that ended hears of the other one by a letter too.
        story.boot(old, second, MINUTE_MS);
        story.world.say(old, carol, "of the one account");
        story.world.run_ms(MINUTE_MS);
        for node in [old, second] {
            story.world.set_running(node, false);
        }
        story.world.set_running(carols, true);
        story.world.run_ms(2 * MINUTE_MS);
        let engine = story.world.nodes[carols].engine();
        assert_eq!(engine.contacts().len(), 1, "seed {seed}");
        let contact = engine.contact(stays).map(|contact| contact.status);
        assert_eq!(contact, Some(Status::Contact), "seed {seed}");
        let said = ["of the one account", "of the second account"];
        assert_eq!(story.texts(carols, story.alice), said, "seed {seed}");
    });
}

#[test]
fn a_code_that_others_have_brings_in_whom_the_person_compares() {
    let mut story = Story::begin("a_code_that_others_have", 5);
    let (old, bob) = (story.alice, story.bob);
    let code = story.world.code_by_mail(old);
    story.world.run_ms(MINUTE_MS);
    let thieves: Vec<usize> = (0..4).map(|_| story.world.reads_code(old, code.clone())).collect();
    let new = story.world.reads_code(old, code.clone());
    let late = story.world.reads_code(old, code);
    let mut all = vec![old, bob, new, late];
    all.extend(&thieves);
    story.apart(&all);
    story.world.set_running(old, false);
    for thief in thieves.iter().chain([&new]) {
        story.world.set_joining(*thief, true);
        story.world.run_ms(10_000);
        story.world.set_joining(*thief, false);
    }
    story.boot(old, new, MINUTE_MS);
    story.world.set_running(old, false);
    for joiner in thieves.iter().chain([&new, &late]) {
        story.world.set_joining(*joiner, true);
        story.world.run_ms(10_000);
        story.world.set_joining(*joiner, false);
    }
    story.boot(old, new, 10_000);
    let shown = story.world.guest_checks(old);
    assert_eq!(shown.len(), 5, "five wait beside each other, and no sixth");
    assert_eq!(story.world.joining_check(late), None);
    let check = story.world.joining_check(new).unwrap();
    assert_eq!(shown.iter().filter(|other| **other == check).count(), 1);
    story.world.confirm(old, &check);
    story.world.run_ms(MINUTE_MS);
    assert!(story.world.guest_checks(old).is_empty());
    story.boot(new, old, MINUTE_MS);
    assert!(!story.world.is_joining(new));
    for thief in thieves.iter().chain([&late]) {
        story.world.set_joining(*thief, true);
        story.world.run_ms(5 * MINUTE_MS);
        assert!(story.world.is_joining(*thief));
        story.world.set_joining(*thief, false);
    }
}

#[test]
fn junk_old_blobs_and_an_old_code_change_nothing() {
    let mut story = Story::begin("junk_old_blobs", 6);
    let (old, bob) = (story.alice, story.bob);
    let code = story.world.code_by_mail(old);
    story.world.run_ms(MINUTE_MS);
    let new = story.world.reads_code(old, code.clone());
    story.apart(&[old, new, bob]);
    story.boot(new, old, 10_000);
    story.world.flood_queue(story.server, &code.mail.as_ref().unwrap().queue, 50);
    story.boot(old, new, MINUTE_MS);
    story.boot(new, old, 10_000);
    story.world.flood_queue(story.server, &code.mail.as_ref().unwrap().queue, 40);
    story.boot_old(old, new, 2 * MINUTE_MS);
    story.boot(new, old, MINUTE_MS);
    assert!(!story.world.is_joining(new));
    // What was recorded is said again, on a code that ended and on the next one.
    story.boot(old, new, MINUTE_MS);
    let next = story.world.code_by_mail(old);
    story.world.run_ms(MINUTE_MS);
    story.world.replay_blobs(story.server, &next.mail.as_ref().unwrap().queue);
    story.world.run_ms(MINUTE_MS);
    assert!(story.world.nodes[old].engine().guests().is_empty());
    assert!(story.world.nodes[old].engine().link_code().is_some());
}

#[test]
fn a_code_by_mail_ends_after_a_day_and_leaves_nothing() {
    let mut story = Story::begin("a_code_by_mail_ends", 7);
    let (old, bob) = (story.alice, story.bob);
    let code = story.world.code_by_mail(old);
    story.world.run_ms(MINUTE_MS);
    assert_eq!(story.world.nodes[old].engine().code_is_open(), Some(true));
    let queues = story.world.queues_at(story.server);
    let new = story.world.reads_code(old, code);
    story.apart(&[old, new, bob]);
    story.boot(new, old, 10_000);
    story.boot(old, new, 10_000);
    let kept = |story: &Story| story.world.nodes[old].store.records(RecordKind::Linking);
    assert_eq!(kept(&story).unwrap().len(), 2);
    story.world.set_running(old, false);
    story.world.run_ms(23 * HOUR_MS);
    story.boot(old, new, MINUTE_MS);
    assert!(story.world.nodes[old].engine().link_code().is_some());
    story.world.run_ms(2 * HOUR_MS);
    assert!(story.world.nodes[old].engine().link_code().is_none());
    assert!(kept(&story).unwrap().is_empty());
    assert_eq!(story.world.queues_at(story.server), queues, "only the new device's is left");
    story.boot(new, old, 10_000);
    story.boot(old, new, 10_000);
    assert!(story.world.nodes[old].engine().guests().is_empty());
}

#[test]
fn what_opens_the_linking_goes_when_it_has_served() {
    let mut story = Story::begin("what_opens_the_linking", 8);
    let (old, bob) = (story.alice, story.bob);
    let before = story.world.queues_at(story.server);
    let code = story.world.code_by_mail(old);
    story.world.run_ms(MINUTE_MS);
    let new = story.world.reads_code(old, code);
    story.apart(&[old, new, bob]);
    boot_until_joined(&mut story, new, |_| false);
    story.world.run_ms(MINUTE_MS);
    story.boot(old, new, 2 * MINUTE_MS);
    assert!(story.world.nodes[old].engine().link_code().is_none());
    let kept = story.world.nodes[old].store.records(RecordKind::Linking).unwrap();
    assert!(kept.is_empty());
    story.boot(new, old, 2 * MINUTE_MS);
    story.boot(old, new, 25 * HOUR_MS);
    story.boot(new, old, 2 * MINUTE_MS);
    // The new device has as many queues as the old one; those of the linking are closed.
    let boxes = story.world.nodes[new].engine().mailboxes();
    let queues: usize = boxes.iter().map(|it| it.queues).sum();
    assert_eq!(story.world.queues_at(story.server), before + queues as u64);
}

#[test]
fn a_code_by_mail_wants_a_mailbox_that_answers() {
    let mut world = World::new(9, "a_code_by_mail_wants");
    let alice = world.person("alice", 1);
    let server = world.mailbox();
    world.run_ms(100);
    let last = |world: &mut World| {
        world.command(0, Command::LinkDeviceByMail);
        world.run_ms(100);
        world.answers.last().unwrap().1.clone()
    };
    assert_eq!(last(&mut world), Err(CommandError::NoMailbox));
    world.set_mailbox(server, false);
    world.choose_mailboxes(alice, &[server]);
    world.run_ms(10_000);
    assert_eq!(last(&mut world), Err(CommandError::MailboxClosed));
    world.set_mailbox(server, true);
    world.run_ms(MINUTE_MS);
    assert!(matches!(last(&mut world), Ok(Answer::LinkCode { .. })));
}
