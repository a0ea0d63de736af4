//! A mailbox is killed, away for a while, or loses its disk, at every moment of a story of two people
//! who are never online together: is anything lost, out of order, or shown twice?

#![expect(clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::{
    collections::BTreeSet,
    fmt,
    time::{Duration, Instant},
};

use kith_tests::process::{Mailbox, Person, until};

const ALICE: usize = 0;
const BOB: usize = 1;
/// Moments at which it can strike: between all that people do.
const MOMENTS: usize = 13;
/// Times that each is there alone until all has arrived.
const TURNS_MAX: usize = 6;
/// Longer than it takes to try once more what was refused: nothing comes any more.
const LONG_ENOUGH: Duration = Duration::from_secs(9);

/// What happens to the mailboxes.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// Killed, and there again at once.
    Kill,
    /// Killed, and there again after the next thing that people do.
    Away,
    /// Killed, and there again with an empty disk.
    Wipe,
}

/// Two people who are never there at once, each with a mailbox.
struct Story {
    people: [Person; 2],
    mailboxes: [Mailbox; 2],
    /// What each has said, in order.
    said: [Vec<String>; 2],
    /// Whether each had everything when they looked last.
    has_all: [bool; 2],
    blow: Blow,
    strikes_at: usize,
    moment: usize,
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at moment {}", self.blow, self.strikes_at)
    }
}

/// Waits until something is so; whether it came to that.
fn soon(is_so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + LONG_ENOUGH;
    until("something is so, or takes long enough", LONG_ENOUGH * 2, || {
        let found = is_so();
        (found || Instant::now() > end).then_some(found)
    })
}

impl Story {
    fn begin(blow: Blow, strikes_at: usize) -> Self {
        let mailboxes = [Mailbox::start(), Mailbox::start()];
        let mut people = ["Alice", "Bob"].map(Person::with_mail);
        people[ALICE].befriends(&people[BOB]);
        for (person, mailbox) in people.iter().zip(&mailboxes) {
            person.chooses(&[&mailbox.url()]);
        }
        people[ALICE].is_known_to(&people[BOB]);
        people[BOB].is_known_to(&people[ALICE]);
        people.iter_mut().for_each(Person::down);
        let said = people.each_ref().map(|person| vec![format!("{} is ready", person.name)]);
        Self { people, mailboxes, said, has_all: [false; 2], blow, strikes_at, moment: 0 }
    }

    /// It strikes now, or what struck before ends, or neither.
    fn moment(&mut self) {
        let after = self.moment.checked_sub(self.strikes_at);
        for mailbox in &mut self.mailboxes {
            match (self.blow, after) {
                (Blow::Kill, Some(0)) => mailbox.restart(),
                (Blow::Wipe, Some(0)) => mailbox.wipe(),
                (Blow::Away, Some(0)) => mailbox.kill(),
                (Blow::Away, Some(1)) => mailbox.up(),
                _ => {}
            }
        }
        self.moment += 1;
    }

    fn says(&mut self, who: usize, text: &str) {
        let [one, other] = [&self.people[who], &self.people[1 - who]];
        one.says(other, text);
        self.said[who].push(text.to_owned());
    }

    /// Whether a letter lies there for somebody.
    fn waits_for(&self, who: usize) -> bool {
        self.mailboxes[who].blobs() > 0
    }

    /// Whether somebody has taken everything that lay there.
    fn has_taken_all(&self, who: usize) -> bool {
        self.mailboxes[who].queues() >= 3 && self.mailboxes[who].blobs() == 0
    }

    /// Looks at what somebody who is there sees: nothing twice, nothing before its time.
    fn look(&mut self, who: usize) {
        let history = self.people[who].history(&self.people[1 - who]);
        let ids: BTreeSet<&str> = history.iter().map(|message| message.id.as_str()).collect();
        assert_eq!(ids.len(), history.len(), "{self:?}: something is shown twice");
        let mut is_all = true;
        for (writer, said) in self.said.iter().enumerate() {
            let own = history.iter().filter(|message| message.author.me == (writer == who));
            let shown: Vec<&str> = own.map(|message| message.text.as_str()).collect();
            assert!(said.iter().map(String::as_str).take(shown.len()).eq(shown.iter().copied()));
            is_all &= shown.len() == said.len();
        }
        let mut own = history.iter().filter(|message| message.author.me);
        is_all &= own.all(|message| message.state.as_deref() == Some("delivered_all"));
        self.has_all[who] = is_all;
    }

    /// Somebody is there alone, takes what lies there and leaves what the other lacks.
    fn turn(&mut self, who: usize) {
        self.people[who].up();
        soon(|| self.has_taken_all(who));
        self.look(who);
        // Where the other has no queue any more nothing can be left.
        if !self.has_all[1 - who] && self.mailboxes[1 - who].queues() > 0 {
            soon(|| self.waits_for(1 - who));
        }
        self.look(who);
        self.people[who].down();
    }

    fn tell(&mut self) {
        self.moment();
        self.people[ALICE].up();
        self.moment();
        for number in 0..3 {
            self.says(ALICE, &format!("number {number}"));
        }
        self.moment();
        soon(|| self.waits_for(BOB));
        self.moment();
        self.people[ALICE].down();
        self.moment();
        self.people[BOB].up();
        self.moment();
        soon(|| self.has_taken_all(BOB));
        self.look(BOB);
        self.moment();
        self.says(BOB, "all there?");
        self.moment();
        soon(|| self.waits_for(ALICE));
        self.moment();
        self.people[BOB].down();
        self.moment();
        self.people[ALICE].up();
        self.moment();
        soon(|| self.has_taken_all(ALICE));
        self.moment();
        self.look(ALICE);
        self.moment();
        self.people[ALICE].down();
        assert_eq!(self.moment, MOMENTS);
        self.moment();
    }

    fn end(mut self) {
        for turn in 0..TURNS_MAX {
            if self.has_all == [true; 2] {
                println!("{self:?}: {turn} more turns");
                return;
            }
            self.turn(BOB);
            self.turn(ALICE);
        }
        panic!("{self:?}: something is lost: {:?}", self.has_all);
    }
}

/// The whole story, once for each moment.
fn at_every_moment(blow: Blow) {
    std::thread::scope(|scope| {
        for moment in 0..MOMENTS {
            scope.spawn(move || {
                let mut story = Story::begin(blow, moment);
                story.tell();
                story.end();
            });
        }
    });
}

#[test]
fn a_mailbox_is_killed() {
    at_every_moment(Blow::Kill);
}

#[test]
fn a_mailbox_is_away_for_a_while() {
    at_every_moment(Blow::Away);
}

#[test]
fn a_mailbox_loses_its_disk() {
    at_every_moment(Blow::Wipe);
}
