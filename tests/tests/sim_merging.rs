//! Do two accounts of one person become one, for them and for everybody they know?
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is wrong"
)]

use std::collections::BTreeSet;

use kith_common::{
    account::{Standing, Untrust},
    ids::{AccountId, DeviceId, LogId},
};
use kith_core::{
    contacts::{Status, Validity},
    engine::{Answer, Command},
    store::{RecordKind, Store},
};
use kith_tests::sim::{World, network::Weather, seeds};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_core::Rng;

const MINUTE_MS: u64 = 60_000;

/// Alice has two accounts: an old one on phone and tablet, a new one on a laptop. Bob is a contact
/// of both, on two devices; Carol only of the old one, Dave only of the new one.
struct Story {
    world: World,
    old: usize,
    new: usize,
    bob: usize,
    carol: usize,
    dave: usize,
}

const PHONE: usize = 0;
const TABLET: usize = 1;
const LAPTOP: usize = 2;

impl Story {
    fn begin(seed: u64, test: &'static str) -> Self {
        let mut world = World::new(seed, test);
        world.entries_go = true;
        let old = world.person("alice", 2);
        let new = world.person("alice2", 1);
        let bob = world.person("bob", 2);
        let carol = world.person("carol", 1);
        let dave = world.person("dave", 1);
        world.run_ms(10);
        for person in [old, bob] {
            world.tell_own_places(person);
        }
        for (one, other) in [(old, bob), (new, bob), (old, carol), (new, dave)] {
            world.befriend(one, other);
            world.run_ms(2 * MINUTE_MS);
        }
        let mut story = Self { world, old, new, bob, carol, dave };
        let (phone, laptop) = (story.at(PHONE), story.at(LAPTOP));
        let (bobs, carols, daves) = (story.first(bob), story.first(carol), story.first(dave));
        for (node, to, text) in [
            (phone, bob, "old to bob"),
            (bobs, old, "bob to old"),
            (laptop, bob, "new to bob"),
            (bobs, new, "bob to new"),
            (carols, old, "carol to old"),
            (phone, carol, "old to carol"),
            (daves, new, "dave to new"),
        ] {
            story.world.say(node, to, text);
            story.world.run_ms(5_000);
        }
        story.world.run_ms(MINUTE_MS);
        story
    }

    /// A device of Alice.
    fn at(&self, device: usize) -> usize {
        match device {
            LAPTOP => self.world.people[self.new].nodes[0],
            _ => self.world.people[self.old].nodes[device],
        }
    }

    fn first(&self, person: usize) -> usize {
        self.world.people[person].nodes[0]
    }

    fn merge(&mut self) {
        let key = self.world.people[self.old].recovery();
        let (phone, laptop) = (self.at(PHONE), self.at(LAPTOP));
        assert!(self.world.merge(phone, laptop, Some(key)), "nobody confirmed");
        self.world.run_ms(3 * MINUTE_MS);
    }

    fn account_at(&self, node: usize) -> AccountId {
        self.world.nodes[node].engine().identity().account.id()
    }

    fn standing(&self, at: usize, device: usize) -> Option<Standing> {
        let device: DeviceId = self.world.nodes[self.at(device)].key().device();
        let (account, engine) = (self.world.account(self.new), self.world.nodes[at].engine());
        let known = engine.account_of_contact(account);
        known.unwrap_or(&engine.identity().account).standing(device)
    }

    fn shown(&self, node: usize, with: usize) -> Vec<String> {
        let history = self.world.history(node, self.world.account(with), 100);
        history.into_iter().filter_map(|message| message.text).collect()
    }

    /// Whoever sits at a node writes to somebody they know, by the account they know; if they can.
    fn somebody_says(&mut self, node: usize, text: &str) -> bool {
        if !self.world.nodes[node].is_running() {
            return false;
        }
        let contacts = self.world.nodes[node].engine().contacts();
        let known = contacts.iter().filter(|contact| contact.status == Status::Contact);
        let Some(to) = known.map(|contact| contact.account).max() else { return false };
        let answered = self.world.answers.len();
        let send = Command::Send { to, text: text.to_owned(), reply_to: None };
        self.world.command(node, send);
        self.world.run_ms(10);
        let answers = self.world.answers.iter().skip(answered);
        answers.into_iter().any(|(at, answer)| *at == node && matches!(answer, Ok(Answer::Sent(_))))
    }

    /// Everybody shows all that was said with them, old and new, in one conversation.
    fn check_all_see(&self, alice: &[usize]) {
        let with_bob = ["old to bob", "bob to old", "new to bob", "bob to new"];
        for node in alice {
            let name = &self.world.nodes[*node].name;
            assert_eq!(self.account_at(*node), self.world.account(self.new), "{name}");
            assert_eq!(self.shown(*node, self.bob), with_bob, "{name} with bob");
            assert_eq!(self.shown(*node, self.carol), ["carol to old", "old to carol"], "{name}");
            assert_eq!(self.shown(*node, self.dave), ["dave to new"], "{name} with dave");
        }
        for node in &self.world.people[self.bob].nodes {
            assert_eq!(self.shown(*node, self.new), with_bob, "at bob");
            self.check_one_alice(*node);
        }
        let carols = self.first(self.carol);
        assert_eq!(self.shown(carols, self.new), ["carol to old", "old to carol"]);
        self.check_one_alice(carols);
    }

    /// Whoever knew Alice knows her once, under the account that stays.
    fn check_one_alice(&self, node: usize) {
        let engine = self.world.nodes[node].engine();
        assert_eq!(engine.contact(self.world.account(self.old)), None);
        let contact = engine.contact(self.world.account(self.new)).expect("alice");
        assert_eq!(contact.status, Status::Contact, "at {}", self.world.nodes[node].name);
        assert_eq!(contact.validity, Validity::Unvalidated);
        assert_eq!(engine.contacts().len(), 1);
    }
}

#[test]
fn two_accounts_become_one_for_everybody() {
    let mut story = Story::begin(1, "two_accounts_become_one_for_everybody");
    let all = [PHONE, TABLET, LAPTOP].map(|device| story.at(device));
    story.merge();
    story.check_all_see(&all);
    for device in [PHONE, TABLET, LAPTOP] {
        for at in [story.at(LAPTOP), story.first(story.bob), story.first(story.carol)] {
            assert!(story.standing(at, device).is_some_and(|standing| standing.stands()));
        }
    }
    // What is said from now on is one conversation for all.
    let (laptop, carols) = (story.at(LAPTOP), story.first(story.carol));
    story.world.say(laptop, story.carol, "from the laptop");
    story.world.run_ms(MINUTE_MS);
    story.world.say(carols, story.new, "to wherever you are");
    story.world.run_ms(MINUTE_MS);
    for node in all.into_iter().chain([carols]) {
        let with = if node == carols { story.new } else { story.carol };
        let shown = story.shown(node, with);
        assert_eq!(shown[2..], ["from the laptop", "to wherever you are"]);
    }
    // And it survives a start.
    for node in 0..story.world.nodes.len() {
        story.world.set_running(node, false);
        story.world.set_running(node, true);
    }
    story.world.run_ms(MINUTE_MS);
    for node in all {
        assert_eq!(story.shown(node, story.carol).len(), 4);
        assert_eq!(story.account_at(node), story.world.account(story.new));
    }
    story.check_one_alice(carols);
}

#[test]
fn who_was_away_goes_over_when_they_come_back() {
    let mut story = Story::begin(2, "who_was_away_goes_over_when_they_come_back");
    let (tablet, bobs, bobs_other) =
        (story.at(TABLET), story.first(story.bob), story.world.people[story.bob].nodes[1]);
    for node in [tablet, bobs_other, bobs] {
        story.world.set_running(node, false);
    }
    story.merge();
    // Only the phone is left of the old account, and is gone when the others come.
    story.world.set_running(story.at(PHONE), false);
    for node in [bobs, bobs_other, tablet] {
        story.world.set_running(node, true);
    }
    story.world.run_ms(5 * MINUTE_MS);
    story.world.set_running(story.at(PHONE), true);
    story.world.run_ms(5 * MINUTE_MS);
    story.check_all_see(&[PHONE, TABLET, LAPTOP].map(|device| story.at(device)));
}

#[test]
fn without_the_words_a_quorum_must_agree() {
    let mut story = Story::begin(3, "without_the_words_a_quorum_must_agree");
    for person in [story.old, story.bob] {
        let first = story.first(person);
        let authorities: Vec<_> = story.world.people[person]
            .nodes
            .iter()
            .map(|n| story.world.nodes[*n].authority())
            .collect();
        for (node, authority) in
            story.world.people[person].nodes.clone().into_iter().zip(authorities)
        {
            let settle = Command::Settle { devices: vec![], authority };
            let _ = first;
            story.world.command(node, settle);
            story.world.run_ms(MINUTE_MS);
        }
    }
    let (phone, tablet, laptop) = (story.at(PHONE), story.at(TABLET), story.at(LAPTOP));
    let key = story.world.nodes[phone].authority();
    assert!(story.world.merge(phone, laptop, Some(key)));
    story.world.run_ms(2 * MINUTE_MS);
    let waits = |(node, answer): &(usize, Result<Answer, _>)| {
        *node == phone && matches!(answer, Ok(Answer::Waits { have: 1, need: 2 }))
    };
    assert!(story.world.answers.iter().any(waits), "one of two has agreed");
    // Nothing has changed for anybody.
    for node in [phone, tablet] {
        assert_eq!(story.account_at(node), story.world.account(story.old));
    }
    let pending = story.world.nodes[tablet].engine().identity().account.pending_moves().len();
    assert_eq!(pending, 1, "the tablet sees what the phone wants");
    story.world.say(story.first(story.carol), story.old, "still there?");
    story.world.run_ms(MINUTE_MS);
    assert_eq!(story.shown(tablet, story.carol).last().map(String::as_str), Some("still there?"));
    let authority = story.world.nodes[tablet].authority();
    story.world.command(tablet, Command::AgreeToMerge { authority });
    story.world.run_ms(5 * MINUTE_MS);
    for node in [phone, tablet, laptop] {
        assert_eq!(story.account_at(node), story.world.account(story.new));
        assert_eq!(story.shown(node, story.carol).len(), 3);
    }
    story.check_one_alice(story.first(story.carol));
}

#[test]
fn a_device_that_came_over_can_be_cut_off_in_the_old_logs_too() {
    let mut story = Story::begin(4, "a_device_that_came_over_can_be_cut_off_in_the_old_logs_too");
    story.merge();
    let (laptop, tablet) = (story.at(LAPTOP), story.at(TABLET));
    let device = story.world.nodes[tablet].key().device();
    let carols = story.first(story.carol);
    story.world.say(tablet, story.carol, "before");
    story.world.run_ms(MINUTE_MS);
    let authority = story.world.nodes[laptop].authority();
    let why = Untrust::Stolen;
    story.world.command(laptop, Command::Untrust { device, why, since: None, authority });
    let authority = story.world.nodes[story.at(PHONE)].authority();
    let phone = story.at(PHONE);
    story.world.command(phone, Command::Untrust { device, why, since: None, authority });
    story.world.run_ms(MINUTE_MS);
    for node in [laptop, phone, carols] {
        let standing = story.standing(node, TABLET);
        assert!(matches!(standing, Some(Standing::Former(_))), "{standing:?}");
    }
    let shown = story.shown(carols, story.new);
    assert_eq!(shown, ["carol to old", "old to carol", "before"]);
}

#[test]
fn two_accounts_that_knew_each_other_are_no_contacts_of_themselves() {
    let mut world = World::new(5, "two_accounts_that_knew_each_other");
    world.entries_go = true;
    let (old, new) = (world.person("alice", 1), world.person("alice2", 1));
    world.run_ms(10);
    world.befriend(old, new);
    world.run_ms(MINUTE_MS);
    let (phone, laptop) = (world.people[old].nodes[0], world.people[new].nodes[0]);
    world.say(phone, new, "note to self");
    world.run_ms(MINUTE_MS);
    world.command(laptop, Command::KeepDraft { to: world.account(old), text: "and".to_owned() });
    world.run_ms(MINUTE_MS);
    assert!([phone, laptop].iter().all(|node| world.nodes[*node].bodies() == 1));
    let key = world.nodes[phone].authority();
    assert!(world.merge(phone, laptop, Some(key)), "a single device decides alone");
    world.run_ms(3 * MINUTE_MS);
    for node in [phone, laptop] {
        let engine = world.nodes[node].engine();
        assert_eq!(engine.identity().account.id(), world.account(new));
        assert!(engine.contacts().is_empty(), "{:?}", engine.contacts());
        assert_eq!(engine.identity().account.devices().len(), 2);
        // What they wrote to each other can nobody read any more: nothing of it is left.
        assert_eq!(world.nodes[node].bodies(), 0, "{}", world.nodes[node].name);
        let log = LogId::direct(world.account(old), world.account(new));
        for kind in [RecordKind::Log, RecordKind::Frontier, RecordKind::Draft, RecordKind::Cut] {
            let records = world.nodes[node].store.records(kind).expect("memory can be read");
            let left = records.iter().filter(|(key, _)| key.starts_with(log.as_bytes()));
            assert_eq!(left.count(), 0, "{kind:?} of {}", world.nodes[node].name);
        }
    }
    // Nor does it come back.
    for node in [phone, laptop] {
        world.set_running(node, false);
        world.set_running(node, true);
    }
    world.run_ms(MINUTE_MS);
    assert!([phone, laptop].iter().all(|node| world.nodes[*node].bodies() == 0));
}

/// Anybody may write, go away, come back, crash; some day the accounts merge. In the end everybody
/// shows the same, and all that was said.
fn stormy(seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6d65_7267);
    let mut below = move |end: u64| rng.next_u64() % end.max(1);
    let mut story = Story::begin(seed, "merges_in_any_weather");
    let calm = below(3) == 0;
    let mut some = |end| if calm { 0 } else { below(end) };
    story.world.weather = Weather {
        loss_per_mille: some(60),
        double_per_mille: some(40),
        reorder_per_mille: some(80),
        break_per_mille: some(15),
        crash_per_mille: some(10),
        latency_ms_min: 5,
        latency_ms_spread: 1 + some(150),
        group_ms: some(5),
    };
    let when = below(25);
    let mut merged = false;
    let mut said = Vec::new();
    for step in 0..30 {
        let pause_ms = below(6000);
        story.world.run_ms(pause_ms);
        if step >= when && !merged {
            let (phone, laptop) = (story.at(PHONE), story.at(LAPTOP));
            for node in [phone, laptop] {
                story.world.set_connected(node, true);
                story.world.set_running(node, true);
            }
            let key = story.world.people[story.old].recovery();
            let weather = std::mem::take(&mut story.world.weather);
            merged = story.world.merge(phone, laptop, Some(key));
            assert!(merged, "nobody confirmed");
            story.world.weather = weather;
        }
        let node = usize::try_from(below(story.world.nodes.len() as u64)).expect("small");
        match below(10) {
            0 => story.world.crash(node),
            1 => story.world.set_connected(node, false),
            2 | 3 => {
                story.world.set_connected(node, true);
                story.world.set_running(node, true);
            }
            _ => {
                let word = format!("word {step}");
                if story.somebody_says(node, &word) {
                    said.push(word);
                }
            }
        }
    }
    for node in 0..story.world.nodes.len() {
        story.world.set_connected(node, true);
        story.world.set_running(node, true);
    }
    story.world.weather = Weather::default();
    story.world.run_ms(10 * MINUTE_MS);
    check_all_is_there(&story, &said);
}

/// Everybody shows the same of each conversation, and all that was said, once.
fn check_all_is_there(story: &Story, said: &[String]) {
    let alice = [PHONE, TABLET, LAPTOP].map(|device| story.at(device));
    let mut all = Vec::new();
    for with in [story.bob, story.carol, story.dave] {
        let one = story.shown(alice[0], with);
        all.extend(one.clone());
        for node in alice {
            let name = &story.world.nodes[node].name;
            assert_eq!(story.account_at(node), story.world.account(story.new), "{name}");
            assert_eq!(story.shown(node, with), one, "{name}");
        }
        for node in story.world.people[with].nodes.clone() {
            let name = &story.world.nodes[node].name;
            assert_eq!(story.shown(node, story.new), one, "{name}");
            story.check_one_alice(node);
        }
    }
    for word in said {
        assert!(all.contains(word), "{word} is gone");
    }
    let once: BTreeSet<&String> = all.iter().collect();
    assert_eq!(once.len(), all.len(), "something is there twice: {all:?}");
}

#[test]
fn merges_in_any_weather() {
    seeds::each(24, stormy);
}

/// The program ends after the other device has confirmed, and before the account that is to end has
/// said so.
#[test]
fn a_merge_that_broke_off_is_begun_again() {
    let mut story = Story::begin(6, "a_merge_that_broke_off_is_begun_again");
    let (phone, laptop) = (story.at(PHONE), story.at(LAPTOP));
    assert!(story.world.merge(phone, laptop, None));
    story.world.run_ms(2 * MINUTE_MS);
    assert_eq!(story.account_at(phone), story.world.account(story.old), "nothing was decided");
    story.merge();
    story.check_all_see(&[PHONE, TABLET, LAPTOP].map(|device| story.at(device)));
}
