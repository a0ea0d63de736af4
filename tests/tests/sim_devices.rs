//! Do a person's devices act as one, and does a stolen one lose? Several devices for each person.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is wrong"
)]

use kith_common::{
    account::{Standing, Untrust},
    ids::{AccountId, DeviceId},
};
use kith_core::{
    contacts::Validity,
    engine::{Answer, Command, CommandError},
};
use kith_tests::sim::World;
use rand_core::Rng;

const MINUTE_MS: u64 = 60_000;

struct Story {
    world: World,
    alice: usize,
    bob: usize,
}

impl Story {
    /// Alice and Bob with this many devices, all settled, acquainted, everybody on line.
    fn begin(seed: u64, test: &'static str, alice: usize, bob: usize) -> Self {
        let mut world = World::new(seed, test);
        let (alice, bob) = (world.person("alice", alice), world.person("bob", bob));
        world.run_ms(10);
        world.tell_own_places(alice);
        world.tell_own_places(bob);
        world.befriend(alice, bob);
        world.run_ms(5 * MINUTE_MS);
        Self { world, alice, bob }
    }

    fn node(&self, person: usize, device: usize) -> usize {
        self.world.people[person].nodes[device]
    }

    fn device(&self, person: usize, device: usize) -> DeviceId {
        use kith_common::keys::SigningKey;
        let key: SigningKey = self.world.nodes[self.node(person, device)].key();
        key.device()
    }

    fn account(&self, person: usize) -> AccountId {
        self.world.account(person)
    }

    /// What a device shows of a conversation.
    fn shown(&self, node: usize, with: usize) -> Vec<String> {
        let history = self.world.history(node, self.account(with), usize::MAX);
        history.into_iter().filter_map(|message| message.text).collect()
    }

    fn untrust(&mut self, (by, about): (usize, usize), why: Untrust) {
        let authority = self.world.people[self.alice].authority(by);
        let device = self.device(self.alice, about);
        let node = self.node(self.alice, by);
        self.world.command(node, Command::Untrust { device, why, since: None, authority });
    }

    /// How the device of Alice stands, as somebody's node knows.
    fn standing(&self, at: usize, device: usize) -> Option<Standing> {
        let device = self.device(self.alice, device);
        let engine = self.world.nodes[at].engine();
        let own = engine.identity().account.id() == self.account(self.alice);
        if own {
            return engine.identity().account.standing(device);
        }
        engine.account_of_contact(self.account(self.alice))?.standing(device)
    }

    fn last_answer(&self, node: usize) -> &Result<Answer, CommandError> {
        let mut answers = self.world.answers.iter().rev();
        &answers.find(|(at, _)| *at == node).expect("a command was answered").1
    }

    fn only_running(&mut self, nodes: &[usize]) {
        for node in 0..self.world.nodes.len() {
            let wanted = nodes.contains(&node);
            if self.world.nodes[node].is_running() != wanted {
                self.world.set_running(node, wanted);
            }
        }
    }
}

/// A1 writes, B1 gets it; then B2 gets it from A1 or B1, and A2 from B1 or B2, A1 gone.
#[test]
fn any_holder_delivers() {
    for (second, third) in [("A1", "B1"), ("B1", "B1"), ("A1", "B2"), ("B1", "B2")] {
        let mut story = Story::begin(7, "any_holder_delivers", 2, 2);
        let (alice, bob) = (story.alice, story.bob);
        let [a1, a2, b1, b2] =
            [story.node(alice, 0), story.node(alice, 1), story.node(bob, 0), story.node(bob, 1)];
        let node = |name: &str| match name {
            "A1" => a1,
            "B1" => b1,
            _ => b2,
        };
        story.only_running(&[a1, b1]);
        story.world.run_ms(1000);
        story.world.say(a1, bob, "hello");
        story.world.run_ms(MINUTE_MS);
        assert_eq!(story.shown(b1, alice), ["hello"]);
        assert!(story.shown_if_running(b2, alice).is_none());
        story.only_running(&[node(second), b2]);
        story.world.run_ms(3 * MINUTE_MS);
        assert_eq!(story.shown(b2, alice), ["hello"], "{second} delivers to B2");
        story.only_running(&[node(third), a2]);
        story.world.run_ms(3 * MINUTE_MS);
        assert_eq!(story.shown(a2, bob), ["hello"], "{third} delivers to A2");
    }
}

impl Story {
    fn shown_if_running(&self, node: usize, with: usize) -> Option<Vec<String>> {
        self.world.nodes[node].is_running().then(|| self.shown(node, with))
    }
}

#[test]
fn all_devices_that_are_there_get_a_message_at_once() {
    let mut story = Story::begin(8, "all_devices_that_are_there_get_a_message_at_once", 3, 3);
    let (alice, bob) = (story.alice, story.bob);
    story.world.say(story.node(alice, 0), bob, "to all");
    story.world.run_ms(1000);
    for device in 0..3 {
        assert_eq!(story.shown(story.node(bob, device), alice), ["to all"]);
        assert_eq!(story.shown(story.node(alice, device), bob), ["to all"]);
    }
}

#[test]
fn names_settings_drafts_and_what_was_read_are_the_same_everywhere() {
    let mut story = Story::begin(9, "names_settings_drafts_and_what_was_read_are_the_same", 3, 1);
    let (alice, bob) = (story.alice, story.bob);
    let [phone, tablet, laptop] = [0, 1, 2].map(|device| story.node(alice, device));
    let with = story.account(bob);
    for text in ["one", "two", "three"] {
        story.world.say(story.node(bob, 0), alice, text);
    }
    story.world.run_ms(1000);
    story.world.command(phone, Command::Rename(with, "Robert".to_owned()));
    story.world.command(tablet, Command::SetReadReceipts(true));
    story.world.command(laptop, Command::KeepDraft { to: with, text: "dear".to_owned() });
    story.world.command(laptop, Command::MarkRead(with));
    story.world.run_ms(MINUTE_MS);
    for node in [phone, tablet, laptop] {
        let engine = story.world.nodes[node].engine();
        let contact = engine.contact(with).unwrap();
        assert_eq!((contact.name.as_str(), contact.unread), ("Robert", 0));
        assert_eq!(contact.draft.as_deref(), Some("dear"));
        assert!(engine.profile().read_receipts);
    }
    story.world.command(phone, Command::Remove(with));
    story.world.run_ms(MINUTE_MS);
    for node in [phone, tablet, laptop] {
        assert_eq!(story.world.nodes[node].engine().contact(with), None);
    }
}

/// The tablet hears of the draft before it hears who Bob is.
#[test]
fn a_draft_for_somebody_who_waits_to_be_accepted_is_the_same_everywhere() {
    let test = "a_draft_for_somebody_who_waits_to_be_accepted_is_the_same_everywhere";
    let mut world = World::new(14, test);
    let (alice, bob) = (world.person("alice", 2), world.person("bob", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend_later(alice, bob);
    world.run_ms(MINUTE_MS);
    let mut story = Story { world, alice, bob };
    let [phone, tablet] = [0, 1].map(|device| story.node(alice, device));
    let bobs = story.node(bob, 0);
    story.world.set_running(tablet, false);
    story.world.add_contact(bobs, alice);
    story.world.run_ms(MINUTE_MS);
    let with = story.account(bob);
    story.world.command(phone, Command::KeepDraft { to: with, text: "who are you?".to_owned() });
    story.world.run_ms(MINUTE_MS);
    story.world.set_running(bobs, false);
    story.world.set_running(tablet, true);
    story.world.run_ms(MINUTE_MS);
    // What it knows survives a restart.
    story.world.set_running(tablet, false);
    story.world.set_running(tablet, true);
    story.world.run_ms(MINUTE_MS);
    story.world.command(phone, Command::Accept(with));
    story.world.run_ms(MINUTE_MS);
    for node in [phone, tablet] {
        let contact = story.world.nodes[node].engine().contact(with).expect("Bob");
        assert_eq!(
            contact.draft.as_deref(),
            Some("who are you?"),
            "{}",
            story.world.nodes[node].name
        );
    }
    story.world.settle();
}

/// What is read soon after something else was read is told after a pause.
#[test]
fn what_was_read_just_before_the_end_is_told_after_a_restart() {
    let test = "what_was_read_just_before_the_end_is_told_after_a_restart";
    let mut story = Story::begin(15, test, 2, 1);
    let [phone, tablet] = [0, 1].map(|device| story.node(story.alice, device));
    let (alice, bobs, with) = (story.alice, story.node(story.bob, 0), story.account(story.bob));
    for text in ["one", "two"] {
        story.world.say(bobs, alice, text);
        story.world.run_ms(1000);
        story.world.command(phone, Command::MarkRead(with));
        story.world.run_ms(1000);
    }
    let unread = |story: &Story, node: usize| {
        story.world.nodes[node].engine().contact(with).expect("Bob").unread
    };
    assert_eq!((unread(&story, phone), unread(&story, tablet)), (0, 1), "not told yet");
    story.world.set_running(phone, false);
    story.world.set_running(phone, true);
    story.world.run_ms(MINUTE_MS);
    assert_eq!((unread(&story, phone), unread(&story, tablet)), (0, 0));
}

/// ```text
/// laptop → phone: one voice, not answered
/// ```
#[test]
fn what_a_stolen_device_writes_afterwards_is_nowhere() {
    for seed in 0..20 {
        let mut story =
            Story::begin(seed, "what_a_stolen_device_writes_afterwards_is_nowhere", 3, 2);
        story.world.entries_go = true;
        let (alice, bob) = (story.alice, story.bob);
        let (phone, laptop) = (story.node(alice, 0), story.node(alice, 2));
        story.world.say(phone, bob, "before");
        story.world.run_ms(MINUTE_MS);
        // The thief writes while nobody knows, some of it backdated, and goes on afterwards.
        let cut_off = story.world.below(2) == 0;
        story.world.set_connected(phone, cut_off);
        story.world.nodes[phone].skew_ms = -30 * 60_000;
        story.world.say(phone, bob, "thief 1");
        let pause = story.world.below(300);
        story.world.run_ms(pause);
        story.untrust((2, 0), Untrust::Stolen);
        story.world.say(phone, bob, "thief 2");
        story.world.run_ms(1000);
        assert_eq!(*story.last_answer(laptop), Ok(Answer::Done));
        story.world.set_connected(phone, true);
        story.world.say(phone, bob, "thief 3");
        story.world.run_ms(5 * MINUTE_MS);
        let everybody: Vec<usize> = (1..3)
            .map(|device| (story.node(alice, device), bob))
            .chain((0..2).map(|device| (story.node(bob, device), alice)))
            .map(|(node, with)| {
                let shown = story.shown(node, with);
                assert_eq!(shown.first().map(String::as_str), Some("before"), "{shown:?}");
                for text in ["thief 2", "thief 3"] {
                    assert!(!shown.iter().any(|shown| shown == text), "{seed}: {shown:?}");
                }
                shown.len()
            })
            .collect();
        assert!(everybody.windows(2).all(|two| two[0] == two[1]), "{seed}: {everybody:?}");
        let knows = story.standing(story.node(bob, 0), 0);
        assert!(matches!(knows, Some(Standing::Former(_))), "{knows:?}");
        // Who was out learns it, too, and falls silent.
        assert!(matches!(story.standing(phone, 0), Some(Standing::Former(_))));
    }
}

/// ```text
/// phone → laptop, phone → tablet; then laptop → phone, tablet → phone, in any order
/// ```
#[test]
fn of_three_devices_the_two_win_whoever_acts_first() {
    for seed in 0..30 {
        let mut story = Story::begin(seed, "of_three_devices_the_two_win_whoever_acts_first", 3, 2);
        story.world.entries_go = true;
        let (alice, bob) = (story.alice, story.bob);
        let mut votes = vec![(0, 1), (0, 2), (1, 0), (2, 0)];
        let first = usize::try_from(story.world.rng_for_tests().next_u32()).unwrap_or(0) % 4;
        votes.rotate_left(first);
        for (by, about) in votes {
            let pause = story.world.below(3000);
            story.world.run_ms(pause);
            story.untrust((by, about), Untrust::Stolen);
        }
        story.world.run_ms(5 * MINUTE_MS);
        for node in
            [story.node(alice, 1), story.node(alice, 2), story.node(bob, 0), story.node(bob, 1)]
        {
            let former = story.standing(node, 0);
            assert!(
                matches!(former, Some(Standing::Former(f)) if f.is_final),
                "{seed}: {former:?}"
            );
            assert_eq!(story.standing(node, 1), Some(Standing::Settled), "{seed}");
            assert_eq!(story.standing(node, 2), Some(Standing::Settled), "{seed}");
        }
        // And they go on.
        story.world.say(story.node(alice, 1), bob, "still here");
        story.world.run_ms(5 * MINUTE_MS);
        for (node, with) in [(story.node(alice, 2), bob), (story.node(bob, 1), alice)] {
            assert_eq!(story.shown(node, with).last().map(String::as_str), Some("still here"));
        }
        let contact = story.world.nodes[story.node(bob, 0)].engine().contact(story.account(alice));
        assert_ne!(contact.unwrap().validity, Validity::Compromised);
    }
}

/// ```text
/// phone → laptop, laptop → phone: both disputed; then the recovery key
/// ```
#[test]
fn of_two_devices_neither_wins_and_the_recovery_key_decides() {
    let mut story =
        Story::begin(11, "of_two_devices_neither_wins_and_the_recovery_key_decides", 2, 2);
    story.world.entries_go = true;
    let (alice, bob) = (story.alice, story.bob);
    let (phone, laptop, bobs) = (story.node(alice, 0), story.node(alice, 1), story.node(bob, 0));
    story.world.say(laptop, bob, "before");
    story.world.run_ms(MINUTE_MS);
    story.untrust((0, 1), Untrust::Stolen);
    story.world.run_ms(MINUTE_MS);
    assert!(matches!(story.standing(bobs, 1), Some(Standing::Former(f)) if !f.is_final));
    story.untrust((1, 0), Untrust::Stolen);
    story.world.run_ms(5 * MINUTE_MS);
    for node in [bobs, story.node(bob, 1), laptop, phone] {
        assert_eq!(story.standing(node, 0), Some(Standing::Disputed));
        assert_eq!(story.standing(node, 1), Some(Standing::Disputed));
    }
    let validity = |story: &Story| {
        let engine = story.world.nodes[bobs].engine();
        engine.contact(story.account(alice)).unwrap().validity
    };
    assert_eq!(validity(&story), Validity::Compromised, "contacts are warned");
    let recovery = story.world.people[alice].recovery();
    story
        .world
        .command(laptop, Command::Recover { recovery, keep: vec![], without: vec![], since: None });
    story.world.run_ms(5 * MINUTE_MS);
    assert_eq!(*story.last_answer(laptop), Ok(Answer::Done));
    for node in [bobs, story.node(bob, 1), laptop, phone] {
        assert!(matches!(story.standing(node, 0), Some(Standing::Former(f)) if f.is_final));
        assert_eq!(story.standing(node, 1), Some(Standing::Settled));
    }
    assert_ne!(validity(&story), Validity::Compromised, "then it is clear");
    story.world.say(laptop, bob, "it is me");
    story.world.run_ms(5 * MINUTE_MS);
    assert_eq!(story.shown(story.node(bob, 1), alice), ["before", "it is me"]);
}

#[test]
fn what_one_device_deletes_is_gone_on_all_and_stays_with_the_other_person() {
    let mut story = Story::begin(12, "what_one_device_deletes_is_gone_on_all", 3, 1);
    story.world.entries_go = true;
    let (alice, bob) = (story.alice, story.bob);
    let (phone, tablet, laptop) =
        (story.node(alice, 0), story.node(alice, 1), story.node(alice, 2));
    for text in ["one", "two", "three"] {
        story.world.say(story.node(bob, 0), alice, text);
    }
    story.world.run_ms(MINUTE_MS);
    story.world.set_running(laptop, false);
    let with = story.account(bob);
    let two = story.world.history(phone, with, 10)[1].id;
    story.world.command(phone, Command::Delete { with, entries: vec![two] });
    story.world.run_ms(MINUTE_MS);
    assert_eq!(*story.last_answer(phone), Ok(Answer::Deleted(1)));
    assert_eq!(story.shown(tablet, bob), ["one", "three"]);
    story.world.set_running(laptop, true);
    story.world.run_ms(3 * MINUTE_MS);
    assert_eq!(story.shown(laptop, bob), ["one", "three"]);
    assert_eq!(story.shown(story.node(bob, 0), alice), ["one", "two", "three"]);
    // In bulk it rests for a day on the other devices, unless it is wanted at once.
    let authority = story.world.people[alice].authority(0);
    story.world.command(phone, Command::Clear { with, before: None, authority });
    story.world.run_ms(MINUTE_MS);
    assert!(story.shown(phone, bob).is_empty() && story.shown(tablet, bob).is_empty());
    let unread = |node: usize| story.world.nodes[node].engine().contact(with).unwrap().unread;
    assert_eq!((unread(phone), unread(tablet)), (0, 0));
    let bodies = |story: &Story, node: usize| story.world.nodes[node].bodies();
    assert_eq!((bodies(&story, phone), bodies(&story, tablet)), (0, 2));
    story.world.run_ms(25 * 60 * MINUTE_MS);
    assert_eq!(bodies(&story, tablet), 0);
    assert_eq!(story.shown(story.node(bob, 0), alice), ["one", "two", "three"]);
}

/// ```text
/// tablet → laptop, of which phone has more; laptop → tablet; then phone → laptop
/// ```
#[test]
fn what_another_device_had_before_the_vote_stays_whoever_decides() {
    let mut story =
        Story::begin(13, "what_another_device_had_before_the_vote_stays_whoever_decides", 3, 1);
    story.world.entries_go = true;
    let (alice, bob) = (story.alice, story.bob);
    let [phone, tablet, thief] = [0, 1, 2].map(|device| story.node(alice, device));
    story.world.say(thief, bob, "early");
    story.world.run_ms(MINUTE_MS);
    story.only_running(&[phone, thief]);
    story.world.run_ms(1000);
    story.world.say(thief, bob, "late");
    story.world.run_ms(MINUTE_MS);
    story.only_running(&[tablet]);
    story.world.run_ms(1000);
    story.untrust((1, 2), Untrust::Stolen);
    story.world.run_ms(1000);
    story.only_running(&[phone, tablet]);
    story.world.run_ms(3 * MINUTE_MS);
    assert_eq!(story.shown(phone, bob), ["early", "late"]);
    story.only_running(&[phone, thief]);
    story.world.run_ms(3 * MINUTE_MS);
    story.untrust((2, 1), Untrust::Stolen);
    story.world.run_ms(3 * MINUTE_MS);
    assert_eq!(story.shown(phone, bob), ["early", "late"]);
    story.only_running(&[phone, tablet]);
    story.untrust((0, 2), Untrust::Stolen);
    story.world.run_ms(3 * MINUTE_MS);
    for node in [phone, tablet] {
        assert_eq!(story.shown(node, bob), ["early", "late"], "{}", story.world.nodes[node].name);
    }
}

/// ```text
/// laptop (t) → phone, t → tablet; phone → t and tablet → t, each alone
/// ```
#[test]
fn devices_that_are_all_disputed_find_each_other() {
    let mut story = Story::begin(14, "devices_that_are_all_disputed_find_each_other", 3, 1);
    story.world.entries_go = true;
    let alice = story.alice;
    let [phone, tablet, _] = [0, 1, 2].map(|device| story.node(alice, device));
    story.untrust((2, 0), Untrust::Stolen);
    story.untrust((2, 1), Untrust::Stolen);
    story.world.run_ms(MINUTE_MS);
    for (node, device) in [(phone, 0), (tablet, 1)] {
        story.only_running(&[node]);
        story.world.run_ms(1000);
        story.untrust((device, 2), Untrust::Stolen);
        story.world.run_ms(1000);
        assert_eq!(story.standing(node, device), Some(Standing::Disputed));
    }
    story.only_running(&[phone, tablet]);
    story.world.run_ms(3 * MINUTE_MS);
    for node in [phone, tablet] {
        for device in [0, 1] {
            assert_eq!(story.standing(node, device), Some(Standing::Settled));
        }
    }
}
