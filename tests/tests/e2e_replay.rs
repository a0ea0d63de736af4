//! Real talk through real nodes: days of an IRC channel, their authors split over two ends.
//!
//! The day in `tests/data`, or every day of the file that `KITH_CHAT` names.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests and their helpers fail by panicking"
)]

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use kith_tests::{
    chat::{self, Line},
    process::{Message, PATIENCE, Person, until},
};

/// Messages in a row while both ends are there.
const TOGETHER: usize = 60;
/// Messages in a row of one end while the other is away.
const ALONE: usize = 25;
const LONG: Duration = Duration::from_secs(60);

/// Which end the author of a line sits at.
fn side_of(line: &Line) -> usize {
    line.author.bytes().map(usize::from).sum::<usize>() % 2
}

/// One end: who sits there and what they will still write.
#[derive(Debug)]
struct End {
    person: Person,
    to: &'static str,
    waiting: VecDeque<Line>,
    away: bool,
}

/// A day's talk on its way through two nodes.
#[derive(Debug)]
struct Replay {
    ends: [End; 2],
    /// Id and end of every line that was sent.
    sent: BTreeMap<u64, (String, usize)>,
}

impl Replay {
    fn new(day: &[Line]) -> Self {
        let (alice, bob) = (Person::start("Alice"), Person::start("Bob"));
        alice.befriends(&bob);
        let end = |side: usize, person: Person, to: &'static str| {
            let mine = day.iter().filter(|line| side_of(line) == side).cloned();
            End { person, to, waiting: mine.collect(), away: false }
        };
        let ends = [end(0, alice, "Bob"), end(1, bob, "Alice")];
        Self { ends, sent: BTreeMap::new() }
    }

    /// The end whose next line comes first in the day among those that can write it now.
    fn next_end(&self) -> Option<usize> {
        let able = (0..2).filter(|side| self.may_write(*side));
        able.min_by_key(|side| self.ends[*side].waiting.front().map(|line| line.line))
    }

    /// Whether an end is there and what its next line answers is there too, or will come.
    fn may_write(&self, side: usize) -> bool {
        let end = &self.ends[side];
        let Some(line) = end.waiting.front() else { return false };
        if end.away {
            return false;
        }
        let Some(answered) = line.answers() else { return true };
        let Some((id, by)) = self.sent.get(&answered) else { return false };
        *by == side || !self.ends[*by].away || end.person.api().has(end.to, id)
    }

    /// Sends the next line of an end; an answer waits until what it answers is there.
    fn write(&mut self, side: usize) {
        let end = &mut self.ends[side];
        let line = end.waiting.pop_front().expect("the end has something to write");
        let api = end.person.api();
        let reply_to = line.answers().map(|answered| self.sent[&answered].0.as_str());
        if let Some(id) = reply_to {
            let what = format!("what line {} answers is there", line.line);
            until(&what, PATIENCE, || api.has(end.to, id).then_some(()));
        }
        let id = api.send(end.to, &line.text, reply_to).expect("the line is taken");
        self.sent.insert(line.line, (id, side));
    }

    /// Writes up to so many lines, as many as can be written now.
    fn write_some(&mut self, lines: usize) {
        for _ in 0..lines {
            let Some(side) = self.next_end() else { return };
            self.write(side);
        }
    }

    /// One end goes, in order or by force, the other writes on, and the one comes back.
    fn part(&mut self, leaving: usize, by_force: bool) {
        let end = &mut self.ends[leaving];
        if by_force {
            end.person.kill();
        } else {
            end.person.down();
        }
        end.away = true;
        self.write_some(ALONE);
        self.ends[leaving].person.up();
        self.ends[leaving].away = false;
    }

    /// Writes everything; how often an end was away.
    fn run(&mut self) -> usize {
        let mut parted = 0;
        while self.ends.iter().any(|end| !end.waiting.is_empty()) {
            self.write_some(TOGETHER);
            self.part(parted % 2, parted % 4 < 2);
            parted += 1;
        }
        parted
    }

    fn agree(&self, lines: usize) -> [Vec<Message>; 2] {
        let [alice, bob] = self.ends.each_ref().map(|end| &end.person);
        alice.agrees(bob, lines, LONG);
        [alice.history(bob), bob.history(alice)]
    }
}

/// Same order at both ends, every line once and as it was, answers below what they answer.
fn check(day: &[Line], replay: &Replay, histories: &[Vec<Message>; 2]) {
    let [at_alice, at_bob] = histories;
    let ids = |history: &[Message]| history.iter().map(|m| m.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(at_alice), ids(at_bob), "both ends show the same order");
    for history in histories {
        let places: BTreeMap<&str, usize> =
            history.iter().enumerate().map(|(place, m)| (m.id.as_str(), place)).collect();
        assert_eq!(places.len(), day.len(), "every line once");
        let place_of = |line: u64| places[replay.sent[&line].0.as_str()];
        let mut last = [None, None];
        for line in day {
            let place = place_of(line.line);
            let message = &history[place];
            assert_eq!(message.text.as_bytes(), line.text.as_bytes(), "line {}", line.line);
            let answered = line.answers().map(|answered| replay.sent[&answered].0.clone());
            assert_eq!(message.reply_to, answered, "line {}", line.line);
            if let Some(answered) = line.answers() {
                assert!(place_of(answered) < place, "line {} stands above its question", line.line);
            }
            let before = last[side_of(line)].replace(place);
            assert!(before < Some(place), "line {} stands above an earlier one", line.line);
        }
    }
}

fn replay_day(day: &[Line]) {
    let begun = Instant::now();
    let mut replay = Replay::new(day);
    let parted = replay.run();
    let histories = replay.agree(day.len());
    check(day, &replay, &histories);
    let answers = day.iter().filter(|line| line.answers().is_some()).count();
    println!(
        "{}: {} lines, {answers} answers, {parted} times apart, {:.1} s",
        day[0].day,
        day.len(),
        begun.elapsed().as_secs_f64()
    );
}

#[test]
fn a_day_of_real_talk_is_the_same_at_both_ends() {
    for day in chat::days() {
        replay_day(&day);
    }
}
