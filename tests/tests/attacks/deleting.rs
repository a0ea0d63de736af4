//! How much do stolen devices delete, and how soon?
use super::{
    forging::{opened, own_words},
    story::{MINUTE, Story},
};
use kith_common::{
    account::Untrust,
    entry::Mark,
    envelope::sign,
    frame::Frame,
    ids::{EntryId, LogId},
    keys::SigningKey,
    own::{Clear, Own},
};
use kith_core::engine::{Command, Input};
use kith_tests::sim::World;

/// Who says of the laptop's orders that they were carried out.
enum Word {
    Nobody,
    /// The tablet, which nobody has unlocked: as something read, and under a key that is not its own.
    Unlocked,
    /// The tablet, with its authority key.
    Signed(Before),
}

/// What the laptop has become before that.
enum Before {
    Nothing,
    /// The tablet has put it out.
    VotedOut,
    /// It went by its own word.
    Retired,
}

/// Laptop and tablet are stolen. The laptop orders more deletions than it may; how many bodies are
/// left on the phone a minute later.
fn left(test: &'static str, word: &Word) -> usize {
    let Story { mut world, alice, carol, phone, tablet, laptop, carols } = Story::new(test);
    for number in 0..120 {
        world.say(carols, alice, &format!("number {number}"));
        world.run_ms(1000);
    }
    world.run_ms(MINUTE);
    assert_eq!(world.nodes[phone].bodies(), 120);
    world.nodes.iter_mut().for_each(|node| node.honest = false);
    let orders = deletions(&world, world.log(alice, carol), (carols, phone));
    says(&mut world, laptop, phone, &orders);
    let words = words(&world, alice, (tablet, laptop), word);
    let device = world.nodes[laptop].key().device();
    match word {
        Word::Signed(Before::VotedOut) => {
            let authority = world.nodes[tablet].authority();
            let (why, since) = (Untrust::Stolen, None);
            world.command(tablet, Command::Untrust { device, why, since, authority });
        }
        Word::Signed(Before::Retired) => retires(&mut world, laptop, phone),
        Word::Signed(Before::Nothing) | Word::Nobody | Word::Unlocked => {}
    }
    world.run_ms(1000);
    let was_out = world.nodes[phone].engine().identity().account.standing(device);
    let was_out = was_out.is_some_and(|standing| !standing.stands());
    assert_eq!(was_out, matches!(word, Word::Signed(Before::VotedOut | Before::Retired)));
    says(&mut world, tablet, phone, &words);
    world.run_ms(MINUTE);
    world.nodes[phone].bodies()
}

/// A stolen device says that it is the person's no more.
fn retires(world: &mut World, stolen: usize, to: usize) {
    let node = &world.nodes[stolen];
    let account = &node.engine().identity().account;
    let retired = account.retire(&node.authority(), node.key().device()).unwrap();
    let proofs = vec![account.join(&[retired]).unwrap().proof().to_vec()];
    for link in world.links_between(to, stolen) {
        let bytes = Frame::Accounts { proofs: proofs.clone() }.encode();
        world.input(to, Input::Frame { link, bytes });
    }
}

/// Everything that somebody wrote, as another device has it.
fn deletions(world: &World, log: LogId, (author, at): (usize, usize)) -> Vec<Own> {
    let device = world.nodes[author].key().device();
    let rows = world.nodes[at].all_rows();
    let of_author = rows.iter().map(opened).filter(|(by, _, e)| *by == device && e.log == log);
    let mut marks: Vec<Mark> =
        of_author.map(|(device, id, entry)| Mark { device, seq: entry.seq, id }).collect();
    marks.sort_unstable();
    marks.chunks(40).map(|some| Own::Delete { log, entries: some.to_vec() }).collect()
}

fn words(world: &World, alice: usize, (by, about): (usize, usize), word: &Word) -> Vec<Own> {
    let account = world.account(alice);
    let (device, log) = (world.nodes[about].key().device(), LogId::own(account));
    let marks = vec![Mark { device, seq: 1 << 40, id: EntryId::from_bytes([1; 32]) }];
    let signed = |key: &SigningKey| {
        let clear = Clear { account, log, through: marks.clone() };
        Own::Clear { clear: sign(key, clear).into_bytes() }
    };
    match word {
        Word::Nobody => vec![],
        Word::Unlocked => {
            vec![Own::Read { log, marks: marks.clone() }, signed(&world.nodes[by].key())]
        }
        Word::Signed(_) => vec![signed(&world.nodes[by].authority())],
    }
}

/// A stolen device says something in the self log.
fn says(world: &mut World, stolen: usize, to: usize, owns: &[Own]) {
    let account = world.nodes[to].engine().identity().account.id();
    let (log, entries) = own_words(world, (stolen, to), account, owns);
    for link in world.links_between(to, stolen) {
        let bytes = Frame::Entries { log, entries: entries.clone() }.encode();
        world.input(to, Input::Frame { link, bytes });
    }
    world.run_ms(1000);
}

#[test]
fn an_unlocked_device_deletes_no_more_than_it_may() {
    let left = left("an_unlocked_device_deletes_no_more_than_it_may", &Word::Nobody);
    assert!(left >= 120 - 49, "{left} are left");
}

#[test]
fn two_unlocked_devices_delete_no_more_than_they_may() {
    let left = left("two_unlocked_devices_delete_no_more_than_they_may", &Word::Unlocked);
    assert!(left >= 120 - 2 * 49, "{left} are left");
}

#[test]
fn nobody_speaks_for_a_device_that_stands() {
    let word = Word::Signed(Before::Nothing);
    let left = left("nobody_speaks_for_a_device_that_stands", &word);
    assert!(left >= 120 - 49, "{left} are left");
}

/// The thief knows the passphrase of the tablet and gives the laptop up.
#[test]
fn one_voice_alone_carries_nothing_out() {
    let word = Word::Signed(Before::VotedOut);
    let left = left("one_voice_alone_carries_nothing_out", &word);
    assert!(left >= 120 - 49, "{left} are left");
}

#[test]
fn nobody_speaks_for_a_device_that_went_by_its_own_word() {
    let word = Word::Signed(Before::Retired);
    let left = left("nobody_speaks_for_a_device_that_went_by_its_own_word", &word);
    assert!(left >= 120 - 49, "{left} are left");
}
