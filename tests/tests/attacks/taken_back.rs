//! What a thief said in the self log goes with his cut: also what he said of validity and drafts.
use super::forging::own_words;
use kith_common::{
    account::Untrust,
    frame::Frame,
    ids::EntryId,
    own::{ContactNote, Own},
};
use kith_core::{
    contacts::{Status, Validity},
    engine::{Command, Input},
};
use kith_tests::sim::World;

const MINUTE: u64 = 60_000;

struct Story {
    world: World,
    alice: usize,
    carol: usize,
}

fn begin(test: &'static str) -> Story {
    let mut world = World::new(3, test);
    world.entries_go = true;
    let (alice, carol) = (world.person("alice", 3), world.person("carol", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend(alice, carol);
    world.run_ms(3 * MINUTE);
    Story { world, alice, carol }
}

impl Story {
    fn says(&mut self, owns: &[Own]) {
        let alice = self.world.account(self.alice);
        let (phone, tablet) =
            (self.world.people[self.alice].nodes[0], self.world.people[self.alice].nodes[1]);
        let (log, entries) = own_words(&self.world, (tablet, phone), alice, owns);
        self.world.nodes[tablet].honest = false;
        for link in self.world.links_between(phone, tablet) {
            let bytes = Frame::Entries { log, entries: entries.clone() }.encode();
            self.world.input(phone, Input::Frame { link, bytes });
        }
        self.world.run_ms(MINUTE);
    }

    fn untrust(&mut self, since: kith_common::time::Timestamp) {
        let [phone, tablet, laptop] = self.world.people[self.alice].nodes[..] else { panic!() };
        let device = self.world.nodes[tablet].key().device();
        self.world.set_running(tablet, false);
        for node in [phone, laptop] {
            let authority = self.world.nodes[node].authority();
            self.world.command(
                node,
                Command::Untrust { device, why: Untrust::Stolen, since: Some(since), authority },
            );
            self.world.run_ms(2 * MINUTE);
        }
    }

    fn now(&mut self) -> kith_common::time::Timestamp {
        self.world.run_ms(MINUTE);
        let phone = self.world.people[self.alice].nodes[0];
        let now = self.world.nodes[phone].clock(self.world.now_ms());
        self.world.run_ms(MINUTE);
        now
    }
}

fn validity(said: Validity, test: &'static str) {
    let mut story = begin(test);
    let since = story.now();
    let carol = story.world.account(story.carol);
    let note = ContactNote { validity: Some(said as u8), ..ContactNote::about(carol) };
    story.says(&[Own::Contact(Box::new(note))]);
    let phone = story.world.people[story.alice].nodes[0];
    let shown = |story: &Story| {
        story.world.nodes[phone].engine().contact(carol).map(|c| (c.status, c.validity))
    };
    assert_eq!(shown(&story), Some((Status::Contact, said)));
    story.untrust(since);
    assert_eq!(shown(&story), Some((Status::Contact, Validity::Unvalidated)));
}

#[test]
fn what_a_thief_validated_is_not_validated() {
    validity(Validity::Validated, "what_a_thief_validated_is_not_validated");
}

#[test]
fn whom_a_thief_called_compromised_is_not() {
    validity(Validity::Compromised, "whom_a_thief_called_compromised_is_not");
}

/// Carol becomes one with an account of hers that Alice had not validated.
#[test]
fn a_doubt_of_merging_that_a_thief_answers_comes_back() {
    let mut story = begin("a_doubt_of_merging_that_a_thief_answers_comes_back");
    let (old, new) = (story.carol, story.world.person("carol2", 1));
    story.world.run_ms(10);
    story.world.befriend(story.alice, new);
    story.world.run_ms(3 * MINUTE);
    let [phone, carols, carols2] =
        [story.alice, old, new].map(|person| story.world.people[person].nodes[0]);
    let with = story.world.account(old);
    // While the device is still Alice's.
    let validated = Some(Validity::Validated as u8);
    let note = ContactNote { validity: validated, ..ContactNote::about(with) };
    story.says(&[Own::Contact(Box::new(note))]);
    let key = story.world.people[old].recovery();
    assert!(story.world.merge(carols, carols2, Some(key)));
    story.world.run_ms(10 * MINUTE);
    let carol = story.world.account(new);
    let shown =
        |story: &Story| story.world.nodes[phone].engine().contact(carol).map(|c| c.validity);
    assert_eq!(shown(&story), Some(Validity::Unvalidated));
    let since = story.now();
    let doubt = EntryId::from_bytes(*carol.as_bytes());
    let replaces = vec![doubt];
    let note = ContactNote { validity: validated, replaces, ..ContactNote::about(carol) };
    story.says(&[Own::Contact(Box::new(note))]);
    assert_eq!(shown(&story), Some(Validity::Validated));
    story.untrust(since);
    assert_eq!(shown(&story), Some(Validity::Unvalidated));
}

#[test]
fn what_a_thief_began_to_write_is_gone_after_a_start_too() {
    let mut story = begin("what_a_thief_began_to_write_is_gone_after_a_start_too");
    let since = story.now();
    let carol = story.world.account(story.carol);
    let log = story.world.log(story.alice, story.carol);
    story.says(&[Own::Draft { log, text: "send me your card number".to_owned() }]);
    let phone = story.world.people[story.alice].nodes[0];
    let draft = |story: &Story| story.world.nodes[phone].engine().draft(carol).map(str::to_owned);
    assert!(draft(&story).is_some());
    story.untrust(since);
    assert_eq!(draft(&story), None);
    story.world.set_running(phone, false);
    story.world.set_running(phone, true);
    assert_eq!(draft(&story), None, "after a start");
}
