//! After a merge the self log of the account that ended is shared on. A tablet that came over from
//! there is in the hands of somebody who does not know its passphrase.
use super::forging::{opened, own_words};
use kith_common::{
    account::Untrust,
    entry::{EntryKind, Mark},
    frame::Frame,
    ids::LogId,
    own::Own,
};
use kith_core::engine::{Command, CommandError, Input};
use kith_tests::sim::World;

const MINUTE: u64 = 60_000;
const PHONE: usize = 0;
const TABLET: usize = 1;

struct Story {
    world: World,
    old: usize,
    new: usize,
    carol: usize,
}

fn begin(test: &'static str, tablet_is_there: bool) -> Story {
    let mut world = World::new(3, test);
    world.entries_go = true;
    let (old, new, carol) =
        (world.person("alice", 2), world.person("alice2", 1), world.person("carol", 1));
    world.run_ms(10);
    world.tell_own_places(old);
    world.befriend(old, carol);
    world.run_ms(2 * MINUTE);
    let carols = world.people[carol].nodes[0];
    for n in 0..120 {
        world.say(carols, old, &format!("number {n}"));
        world.run_ms(20);
    }
    world.run_ms(MINUTE);
    let (phone, tablet, laptop) = (
        world.people[old].nodes[PHONE],
        world.people[old].nodes[TABLET],
        world.people[new].nodes[0],
    );
    if !tablet_is_there {
        world.set_running(tablet, false);
    }
    let key = world.people[old].recovery();
    assert!(world.merge(phone, laptop, Some(key)));
    world.run_ms(5 * MINUTE);
    for node in [phone, laptop] {
        assert_eq!(world.nodes[node].engine().identity().account.id(), world.account(new));
        assert_eq!(world.history(node, world.account(carol), 1000).len(), 120);
    }
    Story { world, old, new, carol }
}

fn marks(world: &World, node: usize, log: LogId) -> Vec<Mark> {
    let rows = world.nodes[node].all_rows();
    let mut marks: Vec<Mark> = rows
        .iter()
        .map(opened)
        .filter(|(.., e)| e.log == log)
        .map(|(device, id, entry)| Mark { device, seq: entry.seq, id })
        .collect();
    marks.sort_unstable();
    marks
}

impl Story {
    fn nodes(&self) -> (usize, usize, usize) {
        let old = &self.world.people[self.old].nodes;
        (old[PHONE], old[TABLET], self.world.people[self.new].nodes[0])
    }

    /// The tablet says something in the self log of the account that ended.
    fn says(&mut self, to: usize, owns: &[Own]) {
        let (_, tablet, _) = self.nodes();
        let old = self.world.account(self.old);
        let (log, entries) = own_words(&self.world, (tablet, to), old, owns);
        let links = self.world.links_between(to, tablet);
        assert!(!links.is_empty());
        for link in links {
            let bytes = Frame::Entries { log, entries: entries.clone() }.encode();
            self.world.input(to, Input::Frame { link, bytes });
        }
        self.world.nodes[tablet].honest = false;
        self.world.run_ms(MINUTE);
    }
}

#[test]
fn no_more_than_49_go_at_once_through_the_old_self_log() {
    let mut story = begin("no_more_than_49_go_at_once_through_the_old_self_log", true);
    let (phone, _, laptop) = story.nodes();
    let log = story.world.log(story.old, story.carol);
    let carol = story.world.nodes[story.world.people[story.carol].nodes[0]].key().device();
    let all: Vec<Mark> =
        marks(&story.world, phone, log).into_iter().filter(|m| m.device == carol).collect();
    assert_eq!(all.len(), 120);
    let before = [phone, laptop].map(|n| story.world.nodes[n].bodies());
    let owns: Vec<Own> = all.chunks(49).map(|c| Own::Delete { log, entries: c.to_vec() }).collect();
    story.says(phone, &owns);
    let after = [phone, laptop].map(|n| story.world.nodes[n].bodies());
    println!("texts in the stores of phone and laptop: {before:?} then {after:?}");
    assert!(before[0] - after[0] <= 49, "{before:?} {after:?}");
}

#[test]
fn the_old_self_log_is_never_deleted() {
    let mut story = begin("the_old_self_log_is_never_deleted", true);
    let (phone, tablet, laptop) = story.nodes();
    let log = LogId::own(story.world.account(story.old));
    let own: Vec<Mark> = marks(&story.world, phone, log);
    println!("entries of the old self log: {}", own.len());
    let owns: Vec<Own> = own.chunks(49).map(|c| Own::Delete { log, entries: c.to_vec() }).collect();
    let lost = |world: &World, node: usize| {
        let rows = world.nodes[node].all_rows();
        rows.iter()
            .filter(|row| {
                opened(row).2.log == log
                    && opened(row).2.kind != EntryKind::CUT
                    && row.body.bytes().is_none()
            })
            .count()
    };
    let before = lost(&story.world, phone);
    story.world.run_ms(MINUTE);
    let stolen_at = story.world.nodes[phone].clock(story.world.now_ms());
    story.world.run_ms(MINUTE);
    story.says(phone, &owns);
    println!(
        "bodies lost at phone {} (before {before}), laptop {}",
        lost(&story.world, phone),
        lost(&story.world, laptop)
    );
    // Now the tablet is cut off: whatever it did is to be taken back, and the words are heard again.
    let device = story.world.nodes[tablet].key().device();
    story.world.set_running(tablet, false);
    for node in [laptop, phone] {
        let authority = story.world.nodes[node].authority();
        story.world.command(
            node,
            Command::Untrust { device, why: Untrust::Stolen, since: Some(stolen_at), authority },
        );
        story.world.run_ms(2 * MINUTE);
    }
    for node in [phone, laptop] {
        println!(
            "{} knows {:?}",
            story.world.nodes[node].name,
            story.world.nodes[node]
                .engine()
                .contacts()
                .iter()
                .map(|c| (c.name.clone(), c.status))
                .collect::<Vec<_>>()
        );
    }
    let knows = |node: usize| story.world.nodes[node].engine().contacts().len();
    assert_eq!((knows(phone), knows(laptop)), (1, 1), "carol is gone from the list");
    assert_eq!(lost(&story.world, phone), before, "what our devices told each other is no message");
}

/// The tablet was off when the accounts merged, and is stolen.
#[test]
fn a_device_that_has_not_come_over_can_be_cut_off() {
    let mut story = begin("a_device_that_has_not_come_over_can_be_cut_off", false);
    let (phone, tablet, laptop) = story.nodes();
    let device = story.world.nodes[tablet].key().device();
    println!(
        "in the list of devices: {}",
        story.world.nodes[laptop].engine().devices().iter().any(|d| d.device == device)
    );
    for node in [laptop, phone] {
        let authority = story.world.nodes[node].authority();
        story.world.command(
            node,
            Command::Untrust { device, why: Untrust::Stolen, since: None, authority },
        );
        story.world.run_ms(MINUTE);
        println!("{:?}", story.world.answers.last());
    }
    story.world.set_running(tablet, true);
    story.world.run_ms(10 * MINUTE);
    let standing = story.world.nodes[laptop].engine().identity().account.standing(device);
    println!("afterwards: {standing:?}");
    let refused =
        story.world.answers.iter().any(|(_, a)| matches!(a, Err(CommandError::UnknownDevice)));
    assert!(!refused && !standing.is_some_and(|s| s.stands()));
}
