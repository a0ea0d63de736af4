//! Two accounts of Alice have become one. Her tablet was off then: it has not come over, and is
//! perhaps in other hands.
use kith_common::{
    account::{Standing, Untrust, acknowledge},
    entry::{Entry, EntryKind},
    envelope::Signed,
    frame::Frame,
    ids::{DeviceId, EntryId},
    time::{Hlc, Uptime},
};
use kith_core::engine::{Command, Context, Engine, Event, Identity, Input, Output};
use kith_tests::sim::{World, malice::entry_of, thief::Thief};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const MINUTE: u64 = 60_000;

/// Alice's old account on phone and tablet, the new one on a laptop; Carol knows both.
struct Story {
    world: World,
    old: usize,
    new: usize,
    carol: usize,
    phone: usize,
    tablet: usize,
    laptop: usize,
    carols: usize,
}

fn begin(test: &'static str) -> Story {
    let mut world = World::new(7, test);
    world.entries_go = true;
    let (old, new) = (world.person("alice", 2), world.person("alice2", 1));
    let carol = world.person("carol", 1);
    world.run_ms(10);
    world.tell_own_places(old);
    world.befriend(old, carol);
    world.run_ms(2 * MINUTE);
    let [phone, tablet] = world.people[old].nodes[..] else { panic!("two devices") };
    let (laptop, carols) = (world.people[new].nodes[0], world.people[carol].nodes[0]);
    world.say(tablet, carol, "before");
    world.run_ms(MINUTE);
    world.set_running(tablet, false);
    let key = world.people[old].recovery();
    assert!(world.merge(phone, laptop, Some(key)));
    world.run_ms(5 * MINUTE);
    Story { world, old, new, carol, phone, tablet, laptop, carols }
}

impl Story {
    fn device(&self) -> DeviceId {
        self.world.nodes[self.tablet].key().device()
    }

    fn standing(&self, node: usize) -> Option<Standing> {
        let (account, engine) = (self.world.account(self.new), self.world.nodes[node].engine());
        let known = engine.account_of_contact(account);
        known.unwrap_or(&engine.identity().account).standing(self.device())
    }

    fn invites(&self, node: usize) -> bool {
        let (account, engine) = (self.world.account(self.new), self.world.nodes[node].engine());
        let known = engine.account_of_contact(account);
        known.unwrap_or(&engine.identity().account).invites(self.device())
    }

    fn untrust(&mut self, node: usize) {
        let (device, why) = (self.device(), Untrust::Stolen);
        let authority = self.world.nodes[node].authority();
        let command = Command::Untrust { device, why, since: None, authority };
        self.world.command(node, command);
        let answer = self.world.answers.last().expect("an answer");
        assert!(answer.1.is_ok(), "{answer:?}");
        self.world.run_ms(MINUTE);
    }

    /// Phone and laptop settle what they have: nothing that was said on the base before counts.
    fn settle(&mut self, nodes: &[usize]) {
        let devices: Vec<DeviceId> =
            [self.phone, self.laptop].map(|node| self.world.nodes[node].key().device()).into();
        for node in nodes {
            let authority = self.world.nodes[*node].authority();
            self.world.command(*node, Command::Settle { devices: devices.clone(), authority });
            self.world.run_ms(MINUTE);
        }
    }

    fn shown(&self, node: usize) -> Vec<String> {
        let with = if node == self.carols { self.new } else { self.carol };
        let history = self.world.history(node, self.world.account(with), 100);
        history.into_iter().filter_map(|message| message.text).collect()
    }

    /// Whoever has the tablet writes in the old log, and it comes by way of the phone.
    fn steals_and_writes(&mut self, text: &str) {
        Thief::new(&mut self.world, self.tablet);
        let (old, log) = (self.world.account(self.old), self.world.log(self.old, self.carol));
        let key = self.world.nodes[self.tablet].key();
        let rows = self.world.nodes[self.carols].all_rows();
        let read = rows.iter().map(|row| Signed::<Entry>::decode(&row.envelope).expect("an entry"));
        let mine = read.filter(|one| *one.signer() == *key.public() && one.claim().log == log);
        let last = mine.max_by_key(|one| one.claim().seq);
        let entry = Entry {
            log,
            account: old,
            seq: last.as_ref().map_or(1, |one| one.claim().seq + 1),
            prev: last.as_ref().map(Signed::id),
            parents: vec![],
            depth: last.as_ref().map_or(1, |one| one.claim().depth + 1),
            hlc: Hlc::at(self.world.nodes[self.tablet].clock(self.world.now_ms())),
            account_head: EntryId::from_bytes([0; 32]),
            kind: EntryKind::TEXT,
            body_hash: [0; 32],
            body_bytes: 0,
        };
        let entries = vec![entry_of(&key, entry, text)];
        let links = self.world.links_between(self.carols, self.phone);
        assert!(!links.is_empty(), "carol and the phone are linked");
        let bytes = Frame::Entries { log, entries }.encode();
        self.world.input(self.carols, Input::Frame { link: links[0], bytes });
        self.world.run_ms(MINUTE);
    }

    fn is_dropped(&mut self) {
        for node in [self.phone, self.laptop, self.carols] {
            let standing = self.standing(node);
            assert!(matches!(standing, Some(Standing::Former(former)) if former.is_final));
        }
        self.steals_and_writes("I am Alice");
        assert_eq!(self.shown(self.carols), ["before"]);
    }

    /// Phone and laptop settle themselves, neither hearing of the other.
    fn settle_unseen(&mut self) {
        let devices: Vec<DeviceId> =
            [self.phone, self.laptop].map(|node| self.world.nodes[node].key().device()).into();
        self.world.keep_apart(self.phone, self.laptop);
        self.world.set_running(self.carols, false);
        for node in [self.phone, self.laptop] {
            let authority = self.world.nodes[node].authority();
            self.world.command(node, Command::Settle { devices: devices.clone(), authority });
        }
        self.world.run_ms(MINUTE);
        self.world.join_network();
        self.world.set_running(self.carols, true);
        self.world.run_ms(5 * MINUTE);
        for node in [self.phone, self.laptop, self.carols] {
            assert!(self.standing(node).is_none() && !self.invites(node));
        }
    }

    /// Whether the tablet, when it starts, takes itself for cut off.
    fn takes_itself_for_cut_off(&self) -> bool {
        let tablet = &self.world.nodes[self.tablet];
        let me =
            Identity { account: self.world.people[self.old].account.clone(), device: tablet.key() };
        let mut out = Vec::new();
        let mut cx = Context {
            now: tablet.clock(self.world.now_ms()),
            uptime: Uptime::from_millis(0),
            rng: &mut ChaCha8Rng::seed_from_u64(1),
            store: &mut tablet.store.clone(),
            out: &mut out,
        };
        Engine::open(me, "alice", &mut cx).expect("the store can be read");
        out.iter().any(|output| matches!(output, Output::Event(Event::CutOff { .. })))
    }
}

#[test]
fn while_it_is_invited_what_it_writes_counts() {
    let mut story = begin("while_it_is_invited_what_it_writes_counts");
    for node in [story.phone, story.laptop, story.carols] {
        assert!(story.invites(node) && story.standing(node).is_none());
    }
    let device = story.device();
    let listed = story.world.nodes[story.laptop].engine().devices();
    let listed = listed.iter().find(|view| view.device == device).expect("in the list");
    assert_eq!((listed.standing, listed.online), (None, false));
    story.steals_and_writes("nobody knows yet");
    assert_eq!(story.shown(story.carols), ["before", "nobody knows yet"]);
}

#[test]
fn a_contact_sees_nothing_that_it_writes_after_the_cut() {
    let mut story = begin("a_contact_sees_nothing_that_it_writes_after_the_cut");
    story.untrust(story.laptop);
    for node in [story.phone, story.laptop, story.carols] {
        assert!(matches!(story.standing(node), Some(Standing::Former(_))));
    }
    story.steals_and_writes("I am Alice");
    for node in [story.carols, story.phone, story.laptop] {
        assert_eq!(story.shown(node), ["before"]);
    }
    // A checkpoint forgets the vote, and nobody invites the tablet again, then or later.
    story.settle(&[story.laptop, story.phone]);
    story.settle(&[story.phone, story.laptop]);
    for node in [story.phone, story.laptop, story.carols] {
        assert_eq!(story.standing(node), None, "forgotten");
        assert!(!story.invites(node), "{} is not invited again", story.world.nodes[node].name);
        assert_eq!(story.shown(node), ["before"]);
    }
    story.steals_and_writes("I am still Alice");
    assert_eq!(story.shown(story.carols), ["before"]);
    let device = story.device();
    let listed = story.world.nodes[story.laptop].engine().devices();
    let listed = listed.iter().find(|view| view.device == device).expect("in the list");
    assert!(matches!(listed.standing, Some(Standing::Former(_))));
}

#[test]
fn it_comes_in_as_nothing_better_when_it_acknowledges_late() {
    let mut story = begin("it_comes_in_as_nothing_better_when_it_acknowledges_late");
    let account = story.world.nodes[story.laptop].engine().identity().account.clone();
    let (key, authority) =
        (story.world.nodes[story.tablet].key(), story.world.nodes[story.tablet].authority());
    let inviters = [story.laptop, story.phone].map(|n| *story.world.nodes[n].authority().public());
    let acks: Vec<Box<[u8]>> = inviters
        .iter()
        .map(|by| acknowledge(&key, *by, *authority.public(), [5; 32], account.id()).into_bytes())
        .collect();
    assert_eq!(account.join(&acks).unwrap().standing(key.device()), Some(Standing::Added));
    story.untrust(story.laptop);
    let replays = |story: &Story, node: usize| {
        let known = story.world.nodes[node].engine().identity().account.clone();
        known.join(account.proof()).unwrap().join(&acks).unwrap().standing(key.device())
    };
    assert!(matches!(replays(&story, story.phone), Some(Standing::Former(_))));
    story.settle(&[story.laptop, story.phone]);
    story.settle(&[story.laptop, story.phone]);
    assert_eq!(replays(&story, story.phone), None);
    // What the tablet itself would do.
    story.world.nodes[story.tablet].honest = false;
    story.world.set_running(story.tablet, true);
    story.world.run_ms(10 * MINUTE);
    for node in [story.phone, story.laptop, story.carols] {
        assert!(!story.standing(node).is_some_and(Standing::stands));
    }
}

/// It came over, and is voted out; then a checkpoint forgets that it was ever there.
#[test]
fn who_came_over_and_was_voted_out_is_not_invited_again() {
    let mut story = begin("who_came_over_and_was_voted_out_is_not_invited_again");
    story.world.set_running(story.tablet, true);
    story.world.run_ms(5 * MINUTE);
    assert_eq!(story.standing(story.carols), Some(Standing::Added));
    story.world.set_running(story.tablet, false);
    story.untrust(story.phone);
    story.settle(&[story.laptop, story.phone]);
    story.settle(&[story.phone, story.laptop]);
    for node in [story.phone, story.laptop, story.carols] {
        assert!(story.standing(node).is_none() && !story.invites(node));
    }
    story.steals_and_writes("I am back");
    assert_eq!(story.shown(story.carols), ["before"]);
}

/// What was cut stays cut when a checkpoint has forgotten who wrote it.
#[test]
fn what_was_cut_does_not_come_back() {
    let mut story = begin("what_was_cut_does_not_come_back");
    let stolen_at = story.world.nodes[story.laptop].clock(story.world.now_ms());
    story.world.run_ms(MINUTE);
    story.steals_and_writes("I am Alice");
    assert_eq!(story.shown(story.carols), ["before", "I am Alice"]);
    let (device, why, since) = (story.device(), Untrust::Stolen, Some(stolen_at));
    let authority = story.world.nodes[story.laptop].authority();
    story.world.command(story.laptop, Command::Untrust { device, why, since, authority });
    story.world.run_ms(MINUTE);
    assert_eq!(story.shown(story.carols), ["before"]);
    story.settle(&[story.laptop, story.phone]);
    for node in [story.carols, story.phone, story.laptop] {
        assert_eq!(story.standing(node), None, "forgotten");
        assert_eq!(story.shown(node), ["before"]);
    }
}

/// The recovery key invites nobody: the tablet waits for the next decision, and nothing is lost.
#[test]
fn a_recovery_keeps_it_waiting_and_no_longer_than_the_next_decision() {
    let mut story = begin("a_recovery_keeps_it_waiting_and_no_longer_than_the_next_decision");
    let recovery = story.world.people[story.new].recovery();
    let devices = story.world.nodes[story.laptop].engine().devices();
    let keep: Vec<DeviceId> = devices.into_iter().map(|view| view.device).collect();
    assert!(keep.contains(&story.device()));
    story.world.command(
        story.laptop,
        Command::Recover { recovery, keep, without: Vec::new(), since: None },
    );
    story.world.run_ms(MINUTE);
    assert!(story.world.answers.last().expect("an answer").1.is_ok());
    for node in [story.phone, story.laptop, story.carols] {
        assert!(story.standing(node).is_none() && !story.invites(node));
    }
    // It writes while it knows nothing of all this, and waits with it.
    story.world.set_connected(story.tablet, false);
    story.world.set_running(story.tablet, true);
    story.world.say(story.tablet, story.carol, "from the tablet");
    story.world.run_ms(MINUTE);
    story.world.set_connected(story.tablet, true);
    story.world.run_ms(5 * MINUTE);
    assert_eq!(story.shown(story.carols), ["before"]);
    story.settle(&[story.laptop, story.phone]);
    story.world.run_ms(5 * MINUTE);
    assert_eq!(story.standing(story.carols), Some(Standing::Added));
    for node in [story.carols, story.phone, story.laptop, story.tablet] {
        let name = &story.world.nodes[node].name;
        assert_eq!(story.shown(node), ["before", "from the tablet"], "{name}");
    }
}

#[test]
fn a_recovery_that_does_not_keep_it_drops_it() {
    let mut story = begin("a_recovery_that_does_not_keep_it_drops_it");
    let recovery = story.world.people[story.new].recovery();
    let keep = vec![story.world.nodes[story.phone].key().device()];
    story.world.command(
        story.laptop,
        Command::Recover { recovery, keep, without: Vec::new(), since: None },
    );
    story.world.run_ms(MINUTE);
    story.settle(&[story.laptop, story.phone]);
    story.is_dropped();
}

#[test]
fn a_second_recovery_drops_whom_the_first_one_left_waiting() {
    let mut story = begin("a_second_recovery_drops_whom_the_first_one_left_waiting");
    let devices = story.world.nodes[story.laptop].engine().devices();
    let all: Vec<DeviceId> = devices.into_iter().map(|view| view.device).collect();
    for keep in [all, vec![story.world.nodes[story.phone].key().device()]] {
        let recovery = story.world.people[story.new].recovery();
        story.world.command(
            story.laptop,
            Command::Recover { recovery, keep, without: Vec::new(), since: None },
        );
        story.world.run_ms(MINUTE);
    }
    story.is_dropped();
}

/// It is there, and a checkpoint was made without it: it is asked again, and erases nothing.
#[test]
fn who_came_over_and_is_forgotten_is_asked_again() {
    let mut story = begin("who_came_over_and_is_forgotten_is_asked_again");
    story.world.set_running(story.tablet, true);
    story.world.run_ms(5 * MINUTE);
    assert_eq!(story.standing(story.laptop), Some(Standing::Added));
    story.world.set_running(story.tablet, false);
    story.settle_unseen();
    story.world.set_running(story.tablet, true);
    story.world.run_ms(5 * MINUTE);
    assert_eq!(story.standing(story.tablet), None);
    assert!(!story.takes_itself_for_cut_off());
    story.settle(&[story.laptop, story.phone]);
    story.world.run_ms(5 * MINUTE);
    for node in [story.phone, story.laptop, story.carols, story.tablet] {
        assert_eq!(story.standing(node), Some(Standing::Added));
    }
}

/// Nobody invites it, so a vote alone would say nothing.
#[test]
fn who_is_left_waiting_can_be_voted_out() {
    let mut story = begin("who_is_left_waiting_can_be_voted_out");
    story.settle_unseen();
    story.untrust(story.phone);
    for node in [story.phone, story.laptop, story.carols] {
        assert!(matches!(story.standing(node), Some(Standing::Former(_))));
    }
    story.settle(&[story.laptop, story.phone]);
    for node in [story.phone, story.laptop, story.carols] {
        assert!(story.standing(node).is_none() && !story.invites(node));
    }
    story.steals_and_writes("I am Alice");
    assert_eq!(story.shown(story.carols), ["before"]);
}

#[test]
fn who_was_voted_out_is_told_when_it_comes_back() {
    let mut story = begin("who_was_voted_out_is_told_when_it_comes_back");
    story.untrust(story.laptop);
    story.world.nodes[story.tablet].honest = false;
    story.world.set_running(story.tablet, true);
    story.world.run_ms(5 * MINUTE);
    assert!(story.takes_itself_for_cut_off());
}

/// Both sign the same list without having heard of each other: no command makes the new base.
#[test]
fn a_base_that_nobody_saw_coming_invites_it_by_the_next_decision() {
    let mut story = begin("a_base_that_nobody_saw_coming_invites_it_by_the_next_decision");
    story.settle_unseen();
    // It knows nothing of that, comes over as far as it can, and is there after the next decision.
    story.world.set_running(story.tablet, true);
    story.world.run_ms(5 * MINUTE);
    assert_eq!(story.standing(story.laptop), None);
    story.settle(&[story.laptop, story.phone]);
    story.world.run_ms(5 * MINUTE);
    for node in [story.phone, story.laptop, story.carols] {
        assert_eq!(story.standing(node), Some(Standing::Added));
    }
    story.world.say(story.tablet, story.carol, "here I am");
    story.world.run_ms(MINUTE);
    assert_eq!(story.shown(story.carols), ["before", "here I am"]);
}

/// The same of a device that was only added, in an account that never merged.
#[test]
fn what_was_cut_of_an_added_device_does_not_come_back() {
    let mut world = World::new(8, "what_was_cut_of_an_added_device_does_not_come_back");
    world.entries_go = true;
    let (alice, bob) = (world.person("alice", 2), world.person("bob", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend(alice, bob);
    world.run_ms(2 * MINUTE);
    let [phone, tablet] = world.people[alice].nodes[..] else { panic!("two devices") };
    let bobs = world.people[bob].nodes[0];
    let added = world.link_device(phone).expect("a new device");
    world.run_ms(2 * MINUTE);
    let account = |world: &World| world.nodes[phone].engine().identity().account.clone();
    let device = world.nodes[added].key().device();
    assert_eq!(account(&world).standing(device), Some(Standing::Added));
    let stolen_at = world.nodes[phone].clock(world.now_ms());
    world.run_ms(MINUTE);
    Thief::new(&mut world, added);
    world.say(added, bob, "I am Alice");
    world.run_ms(MINUTE);
    world.set_running(added, false);
    let shown = |world: &World, node: usize| {
        let with = if node == bobs { alice } else { bob };
        world.history(node, world.account(with), 100).len()
    };
    assert_eq!(shown(&world, bobs), 1);
    let authority = world.nodes[phone].authority();
    let (why, since) = (Untrust::Stolen, Some(stolen_at));
    world.command(phone, Command::Untrust { device, why, since, authority });
    world.run_ms(MINUTE);
    assert_eq!(shown(&world, bobs), 0);
    for node in [phone, tablet] {
        let authority = world.nodes[node].authority();
        world.command(node, Command::Settle { devices: vec![], authority });
        world.run_ms(MINUTE);
    }
    assert_eq!(account(&world).standing(device), None, "forgotten");
    for node in [bobs, phone, tablet] {
        assert_eq!(shown(&world, node), 0, "{}", world.nodes[node].name);
    }
}

/// It came over and was voted out while it was off; the checkpoint behind that has forgotten it.
#[test]
fn who_came_over_and_was_voted_out_and_forgotten_takes_itself_for_cut_off() {
    let mut story = begin("who_came_over_and_was_voted_out_and_forgotten_takes_itself_for_cut_off");
    story.world.set_running(story.tablet, true);
    story.world.run_ms(5 * MINUTE);
    assert_eq!(story.standing(story.carols), Some(Standing::Added));
    story.world.set_running(story.tablet, false);
    story.untrust(story.phone);
    story.untrust(story.laptop);
    story.settle(&[story.laptop, story.phone]);
    for node in [story.phone, story.laptop, story.carols] {
        assert!(story.standing(node).is_none() && !story.invites(node));
    }
    story.world.nodes[story.tablet].honest = false;
    story.world.set_running(story.tablet, true);
    story.world.run_ms(10 * MINUTE);
    let engine = story.world.nodes[story.tablet].engine.as_ref();
    let knows = engine.map(|engine| engine.identity().account.standing(story.device()));
    println!("the tablet knows of itself: {knows:?}");
    assert!(engine.is_none() || story.takes_itself_for_cut_off());
}
