//! Do real conversations come through? A public chat channel, replayed between many pairs.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{crypto, ids::EntryId};

use super::{World, network::Weather};
use crate::chat::Line;

/// People that the authors of a day are mapped to.
const PEOPLE: usize = 12;

fn person(author: &str) -> usize {
    let [first, ..] = crypto::hash(b"kith/simulation/irc", author.as_bytes());
    usize::from(first) % PEOPLE
}

/// A line between two people.
struct Said<'a> {
    line: &'a Line,
    from: usize,
    to: usize,
}

/// Whom each line speaks to: who is answered, else who is named in front, else whoever spoke last.
fn addressed(lines: &[Line]) -> Vec<Said<'_>> {
    let by_number: BTreeMap<u64, usize> =
        lines.iter().map(|line| (line.line, person(&line.author))).collect();
    let authors: BTreeSet<&str> = lines.iter().map(|line| line.author.as_str()).collect();
    let mut last = 0;
    let mut said = Vec::new();
    for line in lines {
        let from = person(&line.author);
        let answered = line.answers().and_then(|number| by_number.get(&number).copied());
        let named = line.text.split([':', ',']).next().filter(|name| authors.contains(name));
        let candidates = [answered, named.map(person), Some(last), Some((from + 1) % PEOPLE)];
        let to = candidates.into_iter().flatten().find(|to| *to != from);
        said.extend(to.map(|to| Said { line, from, to }));
        last = from;
    }
    said
}

/// Replays a day and checks that everybody ends with the same, true conversations. Returns how
/// many messages there were and how many of them are answers.
///
/// # Panics
/// If anything is lost, changed or out of order.
pub fn replay(lines: &[Line], test: &'static str) -> (usize, usize) {
    let mut world = World::new(lines.len() as u64, test);
    world.weather = Weather { latency_ms_min: 20, latency_ms_spread: 200, ..Weather::default() };
    for number in 0..PEOPLE {
        world.person(&format!("person{number}"), 1);
    }
    world.run_ms(100);
    let said = addressed(lines);
    let pairs: BTreeSet<(usize, usize)> =
        said.iter().map(|said| (said.from.min(said.to), said.from.max(said.to))).collect();
    for (one, other) in pairs {
        world.befriend(one, other);
    }
    world.run_ms(2 * 60 * 1000);
    let mut written: BTreeMap<u64, EntryId> = BTreeMap::new();
    let mut answers = 0;
    for (index, said) in said.iter().enumerate() {
        if index % 10 == 0 {
            come_and_go(&mut world);
        }
        let reply_to = target(&mut world, said, &written);
        answers += usize::from(reply_to.is_some());
        world.set_running(said.from, true);
        world.reply(said.from, said.to, &said.line.text, reply_to);
        world.run_ms(1000);
        let newest = world.history(said.from, world.account(said.to), 3);
        let own = newest.iter().rfind(|message| message.mine).expect("it is written at once");
        assert_eq!(own.text.as_deref(), Some(said.line.text.as_str()));
        assert_eq!(own.reply_to, reply_to);
        written.insert(said.line.line, own.id);
    }
    world.settle();
    check(&world, &said, &written);
    (said.len(), answers)
}

fn come_and_go(world: &mut World) {
    let node = usize::try_from(world.below(PEOPLE as u64)).unwrap_or(0);
    match world.below(4) {
        0 => world.set_running(node, false),
        1 => world.set_connected(node, false),
        _ => {
            world.set_running(node, true);
            world.set_connected(node, true);
        }
    }
}

/// The answered message, once whoever answers has it; `None` if it stands in another conversation.
fn target(world: &mut World, said: &Said<'_>, written: &BTreeMap<u64, EntryId>) -> Option<EntryId> {
    let answered = *written.get(&said.line.answers()?)?;
    let known = &world.book.entries[&answered];
    if known.log != world.log(said.from, said.to) {
        return None;
    }
    let known = known.clone();
    if !world.book.views[said.from].has(&known) {
        for node in [said.from, said.to] {
            world.set_running(node, true);
            world.set_connected(node, true);
        }
        let from = said.from;
        world.run_until(5 * 60 * 1000, "what is answered has come", |world| {
            world.book.views[from].has(&known)
        });
    }
    Some(answered)
}

/// Every conversation, at both its ends, is the channel's: the same texts in the same order.
fn check(world: &World, said: &[Said<'_>], written: &BTreeMap<u64, EntryId>) {
    let mut logs: BTreeMap<(usize, usize), Vec<&Line>> = BTreeMap::new();
    for Said { line, from, to } in said {
        logs.entry((*from.min(to), *from.max(to))).or_default().push(line);
    }
    for ((one, other), lines) in logs {
        for (node, with) in [(one, other), (other, one)] {
            let shown = world.history(node, world.account(with), usize::MAX);
            assert_eq!(shown.len(), lines.len());
            for (message, line) in shown.iter().zip(&lines) {
                assert_eq!(message.text.as_deref(), Some(line.text.as_str()), "line {}", line.line);
                assert_eq!(message.id, written[&line.line]);
                assert_eq!(message.mine, person(&line.author) == node);
            }
            for (index, message) in shown.iter().enumerate() {
                let answered = message.reply_to;
                let above = |id| shown[..index].iter().any(|earlier| earlier.id == id);
                assert!(answered.is_none_or(above), "an answer stands above its question");
            }
        }
    }
}
