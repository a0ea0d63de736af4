//! Does everything reach the other end, whatever it takes, and at what cost?

use kith_common::{
    entry::{Entry, EntryKind, Text, hash_body},
    envelope::sign,
    ids::{AccountId, EntryId, LogId},
    keys::SigningKey,
    limits::BODY_SALT_BYTES,
    time::{Hlc, Timestamp},
};

use super::*;
use crate::{log::Draft, session::Link, store::memory::MemoryStore};

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn write(log: &mut Log, store: &mut MemoryStore) {
    write_text(log, store, "hello".to_owned());
}

fn write_text(log: &mut Log, store: &mut MemoryStore, text: String) {
    let draft = Draft {
        account: AccountId::from_bytes([1; 32]),
        account_head: EntryId::from_bytes([0; 32]),
        kind: EntryKind::TEXT,
        body: Text { text, reply_to: None }.encode([7; BODY_SALT_BYTES]),
    };
    log.write(&key(), Timestamp::from_millis(1), draft, store).unwrap();
}

/// Sends until nothing more may set off. Returns how many frames that were.
fn send(outgoing: &mut Outgoing, log: &Log, store: &MemoryStore, now: Uptime) -> usize {
    let batch = |_| outgoing.next_batch(log, store, 0, now).unwrap();
    (0..).map(batch).take_while(|entries| !entries.is_empty()).count()
}

/// Each frame takes two of these entries.
#[test]
fn a_log_takes_more_of_the_window_when_something_arrives_and_one_frame_when_nothing_does() {
    let mut store = MemoryStore::new();
    let id = LogId::from_bytes([1; 32]);
    let mut log = Log::load(&store, id, crate::store::LogNumber(1)).unwrap();
    for _ in 0..80 {
        write_text(&mut log, &mut store, "x".repeat(SYNC_FRAME_BYTES / 2));
    }
    let now = Uptime::from_millis(0);
    let mut outgoing = Outgoing::new(now);
    outgoing.frontier(Covered::new(), 0, now);
    let mut seq = 0;
    for frames in [2, 4, 8, 16, 32] {
        seq += 2 * send(&mut outgoing, &log, &store, now) as u64;
        assert!(outgoing.flying_bytes() >= frames * SYNC_FRAME_BYTES || seq == 80);
        outgoing.frontier(Covered::from([(AuthorNumber(0), seq)]), 0, now);
    }
    assert_eq!(seq, 80, "everything was sent");
    // It was lost.
    outgoing.frontier(Covered::new(), 0, now);
    assert_eq!(send(&mut outgoing, &log, &store, now), 32, "a full window");
    let due = outgoing.deadline().unwrap();
    assert_eq!(outgoing.overdue(due), Overdue::SendAgain);
    assert_eq!(send(&mut outgoing, &log, &store, due), 1);
    outgoing.frontier(Covered::from([(AuthorNumber(0), 2)]), 0, due);
    assert_eq!(send(&mut outgoing, &log, &store, due), 2);
}

/// The other end answers each time that it has nothing: it cannot take the entry yet.
#[test]
fn what_is_not_taken_is_offered_ever_more_seldom() {
    let mut store = MemoryStore::new();
    let id = LogId::from_bytes([1; 32]);
    let mut log = Log::load(&store, id, crate::store::LogNumber(1)).unwrap();
    write(&mut log, &mut store);
    let mut outgoing = Outgoing::new(Uptime::from_millis(0));
    outgoing.frontier(Covered::new(), 0, Uptime::from_millis(0));
    let mut now = Uptime::from_millis(0);
    let mut waits_s = Vec::new();
    while waits_s.len() < 8 {
        assert_eq!(outgoing.next_batch(&log, &store, 0, now).unwrap().len(), 1);
        outgoing.frontier(Covered::new(), 0, now.plus_millis(1));
        let due = outgoing.deadline().unwrap();
        assert_eq!(outgoing.overdue(due), Overdue::SendAgain);
        waits_s.push((due.millis() - now.millis()) / 1000);
        now = due;
    }
    assert_eq!(waits_s, [3, 6, 12, 24, 48, 60, 60, 60]);
    // Once it arrives, the next one is waited for as at first.
    outgoing.next_batch(&log, &store, 0, now).unwrap();
    outgoing.frontier(Covered::from([(AuthorNumber(0), 1)]), 0, now);
    assert_eq!(outgoing.deadline(), None);
    write(&mut log, &mut store);
    assert_eq!(outgoing.next_batch(&log, &store, 0, now).unwrap().len(), 1);
    let wait_ms = outgoing.deadline().unwrap().millis() - now.millis();
    assert_eq!(wait_ms / 1000, RESEND_MS_MIN / 1000);
}

/// A chain of one device that begins at a time. Those that are broken have no signature that holds.
fn chain_at(
    begins_ms: u64,
    (count, text_bytes): (u64, usize),
    is_broken: impl Fn(u64) -> bool,
) -> Vec<CarriedEntry> {
    let mut made: Vec<CarriedEntry> = Vec::new();
    for seq in 1..=count {
        let text = Text { text: "x".repeat(text_bytes), reply_to: None };
        let body = text.encode([7; BODY_SALT_BYTES]);
        let entry = Entry {
            log: LogId::from_bytes([1; 32]),
            account: AccountId::from_bytes([1; 32]),
            seq,
            prev: made.last().map(|entry| EntryId::of(&entry.envelope)),
            parents: Vec::new(),
            depth: seq,
            hlc: Hlc::at(Timestamp::from_millis(begins_ms)),
            account_head: EntryId::from_bytes([0; 32]),
            kind: EntryKind::TEXT,
            body_hash: hash_body(&body),
            body_bytes: body.len() as u64,
        };
        let mut envelope = sign(&key(), entry).into_bytes();
        if is_broken(seq) {
            *envelope.last_mut().unwrap() ^= 1;
        }
        made.push(CarriedEntry { envelope, body: Some(body.into()) });
    }
    made
}

fn chain(begins_ms: u64, count: u64) -> Vec<CarriedEntry> {
    chain_at(begins_ms, (count, 1), |_| false)
}

/// A chain of which only the newest entry has a signature that holds: whoever got it at one
/// time has taken it in (spec 03 R4), and has to hand it on.
fn held_together_by_its_end((count, text_bytes): (u64, usize)) -> Vec<CarriedEntry> {
    chain_at(1, (count, text_bytes), |seq| seq < count)
}

/// One who holds a log.
struct Holder {
    log: Log,
    store: MemoryStore,
    /// Refusals that count against whoever sent it.
    counted: usize,
}

impl Holder {
    fn new() -> Self {
        let store = MemoryStore::new();
        let id = LogId::from_bytes([1; 32]);
        let log = Log::load(&store, id, crate::store::LogNumber(1)).unwrap();
        Self { log, store, counted: 0 }
    }

    fn receive(&mut self, entries: Vec<CarriedEntry>) {
        let at = Timestamp::from_millis(1000);
        let received = self.log.receive(entries, &|_, _| Ok(()), at, &mut self.store).unwrap();
        self.counted += received.refused.iter().filter(|refusal| !refusal.is_harmless()).count();
    }

    /// Writes with a phone that is honest.
    fn write(&mut self) {
        let draft = Draft {
            account: AccountId::from_bytes([9; 32]),
            account_head: EntryId::from_bytes([0; 32]),
            kind: EntryKind::TEXT,
            body: Text { text: "mine".into(), reply_to: None }.encode([7; BODY_SALT_BYTES]),
        };
        self.log.write(&honest(), Timestamp::from_millis(1000), draft, &mut self.store).unwrap();
    }

    /// Sends to another one for as long as there is something to send, some hours at most.
    fn send_to(&self, other: &mut Self) {
        let mut now = Uptime::from_millis(0);
        let mut outgoing = Outgoing::new(now);
        let covered = |other: &Self| self.log.covered(&other.log.heads(), &self.store).unwrap();
        outgoing.frontier(covered(other), 0, now);
        for _ in 0..300 {
            // What comes together is taken in together.
            let batch = |_| outgoing.next_batch(&self.log, &self.store, 0, now).unwrap();
            let frames = (0..).map(batch).take_while(|entries| !entries.is_empty());
            other.receive(frames.flatten().collect());
            outgoing.frontier(covered(other), 0, now);
            let Some(due) = outgoing.deadline() else { break };
            now = due;
            outgoing.overdue(now);
        }
    }

    /// How many entries of the liar and of the honest phone are here.
    fn has(&self) -> [u64; 2] {
        [key(), honest()].map(|key| self.log.last_seq(key.device()))
    }
}

fn honest() -> SigningKey {
    SigningKey::from_seed(&[9; 32])
}

/// A liar's chain takes more than one frame. What stands behind it is of the person's own phone.
#[test]
fn what_only_its_end_makes_authentic_is_handed_on() {
    // The last two are all that may wait (spec 03).
    for (count, text_bytes) in [(600, 500), (1000, 500), (136, 61_000)] {
        let [mut here, mut other] = [Holder::new(), Holder::new()];
        here.receive(held_together_by_its_end((count, text_bytes)));
        assert_eq!(here.has(), [count, 0], "here it was taken in");
        here.write();
        here.send_to(&mut other);
        assert_eq!(other.has(), [count, 1]);
    }
}

/// The other end has a longer history of the liar; here a second one is, of which only the end is
/// signed well, and an honest answer to it.
#[test]
fn a_second_history_that_only_its_end_makes_authentic_is_handed_on() {
    for first in [0, 100, 1000] {
        let [mut here, mut other] = [Holder::new(), Holder::new()];
        here.receive(chain(2, first));
        other.receive(chain(2, first));
        here.receive(held_together_by_its_end((600, 500)));
        assert_eq!(here.has(), [first.max(600), 0], "here it was taken in");
        here.write();
        here.send_to(&mut other);
        assert_eq!((other.has(), other.counted), ([first.max(600), 1], 0), "beside {first}");
    }
}

/// A liar has shown four beginnings to one holder and a fifth to another, whose person answered in
/// the middle of it; it went on.
#[test]
fn an_honest_answer_to_the_middle_of_a_fifth_history_is_handed_on() {
    for (named, count) in [(500, 900), (500, 3000), (1500, 3000), (1500, 5000)] {
        let [mut here, mut other] = [Holder::new(), Holder::new()];
        (2..6).for_each(|rival| other.receive(chain(rival, 1)));
        let mut fifth = chain(1, count);
        let rest = fifth.split_off(named);
        here.receive(fifth);
        here.write();
        here.write();
        here.receive(rest);
        here.send_to(&mut other);
        assert_eq!((other.has(), other.counted), ([1, 2], 0), "{named} of {count}");
    }
}

/// Whoever has four histories of a device says so, and is not offered a fifth.
#[test]
fn a_fifth_history_is_not_offered_to_who_has_four() {
    let mut here = Holder::new();
    here.receive(chain(1, 3));
    here.write();
    let now = Uptime::from_millis(0);
    for histories in 3..=4 {
        let mut outgoing = Outgoing::new(now);
        outgoing.frontier(Covered::new(), 0, now);
        let device = key().device();
        let mark = |n: u8| Mark { device, seq: 1, id: EntryId::from_bytes([n; 32]) };
        outgoing.promise(&(0..histories).map(mark).collect::<Vec<_>>());
        let sent = outgoing.next_batch(&here.log, &here.store, 0, now).unwrap().len();
        assert_eq!(sent, if histories < 4 { 4 } else { 1 });
    }
}

/// As the engine does it.
fn send_on(
    link: &mut Link,
    logs: &BTreeMap<LogId, Log>,
    store: &MemoryStore,
    now: Uptime,
) -> Vec<(LogId, u64)> {
    let mut sent = Vec::new();
    while link.has_room()
        && let Some(id) = link.turns.pop_front()
    {
        for _ in 0..crate::limits::SYNC_TURN_FRAMES {
            let entries = link.next_batch(&logs[&id], store, now).unwrap();
            if entries.is_empty() {
                break;
            }
            link.queue(id);
            sent.push((id, entries.len() as u64));
        }
    }
    sent
}

/// Seconds until one log is over a line with a round trip of 100 ms, while the other end takes
/// nothing of some others.
fn seconds_beside(stuck: u8) -> u64 {
    const COUNT: u64 = 160;
    let mut store = MemoryStore::new();
    let mut logs = BTreeMap::new();
    let mut now = Uptime::from_millis(0);
    let mut link = Link::new([1].into(), [2].into(), now);
    for number in 0..=stuck {
        let id = LogId::from_bytes([number; 32]);
        let log_number = crate::store::LogNumber(u32::from(number) + 1);
        let mut log = Log::load(&store, id, log_number).unwrap();
        let count = if number == stuck { COUNT } else { 4 };
        for _ in 0..count {
            write_text(&mut log, &mut store, "x".repeat(SYNC_FRAME_BYTES / 2));
        }
        logs.insert(id, log);
        let mut outgoing = Outgoing::new(now);
        outgoing.frontier(Covered::new(), 0, now);
        link.outgoing.insert(id, outgoing);
        link.queue(id);
    }
    let healthy = LogId::from_bytes([stuck; 32]);
    let mut has = 0;
    while has < COUNT && now.millis() < 3_600_000 {
        let sent = send_on(&mut link, &logs, &store, now);
        now = now.plus_millis(100);
        let came = sent.iter().filter(|(id, _)| *id == healthy).map(|(_, count)| count);
        has += came.sum::<u64>();
        for id in sent.iter().map(|(id, _)| *id).collect::<std::collections::BTreeSet<_>>() {
            let covered = if id == healthy {
                Covered::from([(AuthorNumber(0), has)])
            } else {
                Covered::new()
            };
            let others = link.flying_bytes_beside(id);
            link.outgoing.get_mut(&id).unwrap().frontier(covered, others, now);
            link.queue(id);
        }
        let mut again = Vec::new();
        for (id, outgoing) in &mut link.outgoing {
            if outgoing.overdue(now) == Overdue::SendAgain {
                again.push(*id);
            }
        }
        again.into_iter().for_each(|id| link.queue(id));
    }
    now.millis() / 1000
}

#[test]
fn what_is_never_taken_keeps_no_other_log_waiting() {
    let seconds = [0, 16, 32, 40].map(seconds_beside);
    assert!(seconds.iter().all(|seconds| *seconds < 60), "{seconds:?}");
}
