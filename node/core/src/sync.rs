//! What does the other end lack? Entries on their way to one device, for one log (spec 04).
//!
//! The receiver's frontier is the only word on what arrived. Until it covers what was sent, that
//! counts as in flight; without progress everything above the frontier is sent again, in rounds
//! that go on behind what was sent.

mod turns;

use std::collections::{BTreeMap, VecDeque};

use kith_common::{
    entry::Mark, frame::CarriedEntry, ids::DeviceId, limits::FRAME_ENTRIES_MAX, time::Uptime,
};

use crate::{
    limits::{
        FRONTIER_ASK_MS, PENDING_BYTES_MAX, PENDING_ENTRIES_MAX, RESEND_MS_MAX, RESEND_MS_MIN,
        SLOW_LINE_BYTES_PER_MS, SYNC_AHEAD_ROWS, SYNC_FRAME_BYTES, SYNC_PROBE_BYTES,
        SYNC_WINDOW_BYTES, SYNC_WINDOW_BYTES_FIRST,
    },
    log::{Covered, Log},
    store::{AuthorNumber, EntryRow, Place, Store, StoreError},
};

/// What one device on one link has, and what is on its way there.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// What the device has by its own word, or because it sent it.
    has: Covered,
    /// How far this round through the log has got in each chain.
    sent: Covered,
    /// Bytes of each chain that were sent in this round.
    sent_bytes: BTreeMap<AuthorNumber, usize>,
    flying: VecDeque<Flying>,
    flying_bytes: usize,
    taking: Taking,
    /// How much of the link's window this log may take.
    window_bytes: usize,
    /// How much it may take of it before anything is known to arrive.
    share_bytes: usize,
    /// Whether a frontier has come on this link: before, nobody knows what to send.
    heard: bool,
    /// How far the device is in each chain, by its own word.
    promised: Vec<(DeviceId, u64)>,
    /// What is to be sent again, or further, as soon as there is room.
    due: Option<Due>,
    wake_at: Uptime,
    wait_ms: u64,
}

#[derive(Debug)]
struct Flying {
    author: AuthorNumber,
    seq: u64,
    bytes: usize,
}

/// Whether the other end takes what it is sent of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taking {
    /// Nobody knows yet.
    Unknown,
    Something,
    /// Of what was sent last nothing has arrived.
    Nothing,
}

/// What follows when nothing has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Everything above the frontier is sent again.
    FromFrontier,
    /// This round goes on: what is behind may be what the other end waits for.
    Further,
}

/// What a silent link needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    Nothing,
    /// The other end never said how far it is.
    AskFrontier,
    /// What was sent has not arrived.
    SendAgain,
}

impl Outgoing {
    pub(crate) fn new(uptime: Uptime) -> Self {
        Self {
            has: Covered::new(),
            sent: Covered::new(),
            sent_bytes: BTreeMap::new(),
            flying: VecDeque::new(),
            flying_bytes: 0,
            taking: Taking::Unknown,
            window_bytes: SYNC_WINDOW_BYTES_FIRST,
            share_bytes: SYNC_WINDOW_BYTES_FIRST,
            heard: false,
            promised: Vec::new(),
            due: None,
            wake_at: uptime.plus_millis(FRONTIER_ASK_MS),
            wait_ms: RESEND_MS_MIN,
        }
    }

    /// The device has entries: it sent them.
    pub(crate) fn note(&mut self, covered: &Covered) {
        for (author, seq) in covered {
            let slot = self.has.entry(*author).or_default();
            *slot = (*slot).max(*seq);
        }
        self.land();
    }

    /// Bytes that were sent and are not known to have arrived.
    pub(crate) const fn flying_bytes(&self) -> usize {
        self.flying_bytes
    }

    /// The device's own word on what it has, newer than all before; it may have lost something.
    /// `others` are the bytes of other logs on their way on this link.
    pub(crate) fn frontier(&mut self, covered: Covered, others: usize, uptime: Uptime) {
        let before = self.awaited();
        self.has = covered;
        self.heard = true;
        let after = self.awaited();
        if after < before {
            self.taking = Taking::Something;
            self.due = None;
            self.window_bytes = (2 * self.window_bytes).min(SYNC_WINDOW_BYTES);
        }
        self.land();
        if after < before || after == 0 {
            self.wait_ms = RESEND_MS_MIN;
            self.wake_later(others, uptime);
        }
    }

    /// Whether the device has said on this link what it has.
    pub(crate) const fn has_heard(&self) -> bool {
        self.heard
    }

    /// The device's own word on how far it is, as far as that may be news for us.
    pub(crate) fn promise(&mut self, marks: &[Mark]) {
        self.promised = marks.iter().map(|mark| (mark.device, mark.seq)).collect();
    }

    /// How many entries the device has of which we know, and how many of these are here.
    pub(crate) fn progress(&self, log: &Log) -> (u64, u64) {
        let both = |(device, seq): &(DeviceId, u64)| ((*seq).min(log.last_seq(*device)), *seq);
        self.promised.iter().map(both).fold((0, 0), |(have, all), (h, a)| (have + h, all + a))
    }

    /// A slow line needs its time for what is on its way: to send it again would only add to it.
    fn wake_later(&mut self, others: usize, uptime: Uptime) {
        let crossing_ms = (others + self.flying_bytes) as u64 / SLOW_LINE_BYTES_PER_MS;
        self.wake_at = uptime.plus_millis(self.wait_ms + crossing_ms);
    }

    /// Entries that were sent in this round and that the device does not have.
    fn awaited(&self) -> u64 {
        let has = |author| self.has.get(author).copied().unwrap_or(0);
        self.sent.iter().map(|(author, seq)| seq.saturating_sub(has(author))).sum()
    }

    /// What was sent before something that has arrived is on its way no more, taken or not.
    fn land(&mut self) {
        let has = |flying: &Flying| self.has.get(&flying.author).is_some_and(|s| *s >= flying.seq);
        let landed = self.flying.iter().rposition(has).map_or(0, |last| last + 1);
        self.flying.drain(..landed);
        self.flying_bytes = self.flying.iter().map(|flying| flying.bytes).sum();
        if self.awaited() == 0 {
            self.begin_round();
            self.due = None;
            if self.taking == Taking::Nothing {
                self.taking = Taking::Unknown;
            }
        }
    }

    fn begin_round(&mut self) {
        self.sent.clear();
        self.sent_bytes.clear();
    }

    /// When something is overdue; never, while nothing is awaited, or what is due waits for room.
    pub(crate) fn deadline(&self) -> Option<Uptime> {
        let awaits = self.due.is_none() && self.awaited() > 0;
        (!self.heard || awaits).then_some(self.wake_at)
    }

    pub(crate) fn overdue(&mut self, uptime: Uptime) -> Overdue {
        if self.deadline().is_none_or(|at| at > uptime) {
            return Overdue::Nothing;
        }
        self.wait_ms = self.wait_ms.saturating_mul(2).min(RESEND_MS_MAX);
        self.wake_at = uptime.plus_millis(self.wait_ms);
        if !self.heard {
            return Overdue::AskFrontier;
        }
        self.flying.clear();
        self.flying_bytes = 0;
        if self.taking == Taking::Nothing {
            self.due = Some(Due::Further);
            self.window_bytes = (2 * self.window_bytes).min(SYNC_PROBE_BYTES);
        } else {
            self.due = Some(Due::FromFrontier);
            self.window_bytes = SYNC_FRAME_BYTES;
        }
        self.taking = Taking::Nothing;
        Overdue::SendAgain
    }

    /// The next entries to send, each after what it depends on; empty if there is nothing to send
    /// or enough is in flight. `others` are the bytes of other logs on their way on this link.
    pub(crate) fn next_batch(
        &mut self,
        log: &Log,
        store: &dyn Store,
        others: usize,
        uptime: Uptime,
    ) -> Result<Vec<CarriedEntry>, StoreError> {
        let mut batch = Vec::new();
        let room = self.room();
        if !self.heard || room == 0 {
            return Ok(batch);
        }
        let mut cursors = self.next_cursors(log);
        let mut bytes = 0;
        while batch.len() < FRAME_ENTRIES_MAX && bytes < SYNC_FRAME_BYTES {
            let Some(row) = lowest(&mut cursors, log, store)? else { break };
            let Place { author, seq, .. } = row.place;
            let carried = CarriedEntry { envelope: row.envelope, body: row.body.into_bytes() };
            let size = carried.frame_bytes();
            if bytes + size > room && self.flying_bytes + bytes > 0 {
                break;
            }
            bytes += size;
            self.sent.insert(author, seq);
            *self.sent_bytes.entry(author).or_default() += size;
            self.flying.push_back(Flying { author, seq, bytes: size });
            batch.push(carried);
        }
        self.flying_bytes += bytes;
        if !batch.is_empty() {
            self.due = None;
            self.wake_later(others, uptime);
        }
        Ok(batch)
    }

    /// Bytes that may set off. Where each log gets a small share nobody goes beyond it, but for one
    /// entry; else the last frame may.
    fn room(&self) -> usize {
        if self.is_rationed() {
            return self.share_bytes.saturating_sub(self.flying_bytes);
        }
        if self.flying_bytes < self.window_bytes { usize::MAX } else { 0 }
    }

    fn is_rationed(&self) -> bool {
        self.taking == Taking::Unknown && self.share_bytes < SYNC_WINDOW_BYTES_FIRST
    }

    /// Where to go on. A round of which nothing is taken ends where the other end keeps no more,
    /// and the next one begins at the frontier.
    fn next_cursors(&mut self, log: &Log) -> Vec<Cursor> {
        if self.due == Some(Due::FromFrontier) {
            self.begin_round();
        }
        let cursors = self.cursors(log);
        if self.due != Some(Due::Further) || !cursors.is_empty() {
            return cursors;
        }
        self.begin_round();
        self.window_bytes = SYNC_FRAME_BYTES;
        self.cursors(log)
    }

    fn cursors(&self, log: &Log) -> Vec<Cursor> {
        let at = |covered: &Covered, author| covered.get(&author).copied().unwrap_or(0);
        let stuck = self.taking == Taking::Nothing;
        log.chains()
            .filter(|(author, _)| !stuck || self.may_wait_there(*author))
            .map(|(author, chain)| {
                let has = at(&self.has, author);
                let next = (has.max(at(&self.sent, author)) + 1).max(chain.first);
                let most = last_kept(has.max(chain.first - 1));
                let last = if stuck { chain.head.seq.min(most) } else { chain.head.seq };
                Cursor { author, next, last, rows: VecDeque::new() }
            })
            .filter(|cursor| cursor.next <= cursor.last)
            .collect()
    }

    /// Whether the other end has room for more of a chain that cannot be taken in yet. A frame more
    /// is what entries cost on their way.
    fn may_wait_there(&self, author: AuthorNumber) -> bool {
        let sent = self.sent_bytes.get(&author).copied().unwrap_or(0);
        sent <= PENDING_BYTES_MAX + SYNC_FRAME_BYTES
    }
}

/// The last entry of a chain that can wait for what it depends on.
const fn last_kept(has: u64) -> u64 {
    has.saturating_add(PENDING_ENTRIES_MAX as u64)
}

/// A chain that is being read.
struct Cursor {
    author: AuthorNumber,
    next: u64,
    last: u64,
    rows: VecDeque<EntryRow>,
}

impl Cursor {
    fn fill(&mut self, log: &Log, store: &dyn Store) -> Result<(), StoreError> {
        if self.rows.is_empty() && self.next <= self.last {
            let from = Place { log: log.number(), author: self.author, seq: self.next };
            let limit = usize::try_from(self.last - self.next + 1).unwrap_or(SYNC_AHEAD_ROWS);
            self.rows = store.chain(from, limit.min(SYNC_AHEAD_ROWS))?.into();
            self.next += self.rows.len() as u64;
            if self.rows.is_empty() {
                return Err(StoreError::new("Reading a chain", "an entry is missing"));
            }
        }
        Ok(())
    }
}

/// The entry that comes first in the order, over all chains.
fn lowest(
    cursors: &mut [Cursor],
    log: &Log,
    store: &dyn Store,
) -> Result<Option<EntryRow>, StoreError> {
    for cursor in &mut *cursors {
        cursor.fill(log, store)?;
    }
    let first = cursors
        .iter_mut()
        .filter(|cursor| !cursor.rows.is_empty())
        .min_by_key(|cursor| cursor.rows.front().map(|row| row.position));
    Ok(first.and_then(|cursor| cursor.rows.pop_front()))
}

#[cfg(test)]
mod tests {
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

    /// A chain of which only the newest entry has a signature that holds: whoever got it at one
    /// time has taken it in (spec 03 R4), and has to hand it on.
    fn held_together_by_its_end(count: u64, text_bytes: usize) -> Vec<CarriedEntry> {
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
                hlc: Hlc::at(Timestamp::from_millis(1)),
                account_head: EntryId::from_bytes([0; 32]),
                kind: EntryKind::TEXT,
                body_hash: hash_body(&body),
                body_bytes: body.len() as u64,
            };
            let mut envelope = sign(&key(), entry).into_bytes();
            if seq < count {
                *envelope.last_mut().unwrap() ^= 1;
            }
            made.push(CarriedEntry { envelope, body: Some(body.into()) });
        }
        made
    }

    /// A liar's chain takes more than one frame. What stands behind it is of the person's own phone.
    #[test]
    fn what_only_its_end_makes_authentic_is_handed_on() {
        // The last two are all that may wait (spec 03).
        [(600, 500), (1000, 500), (136, 61_000)].into_iter().for_each(hand_on);
    }

    fn hand_on((count, text_bytes): (u64, usize)) {
        let id = LogId::from_bytes([1; 32]);
        let number = crate::store::LogNumber(1);
        let at = Timestamp::from_millis(1000);
        let (mut here, mut there) = (MemoryStore::new(), MemoryStore::new());
        let mut log = Log::load(&here, id, number).unwrap();
        let chain = held_together_by_its_end(count, text_bytes);
        log.receive(chain, &|_, _| Ok(()), at, &mut here).unwrap();
        assert_eq!(log.last_seq(key().device()), count, "here it was taken in");
        let mine = SigningKey::from_seed(&[9; 32]);
        let draft = Draft {
            account: AccountId::from_bytes([9; 32]),
            account_head: EntryId::from_bytes([0; 32]),
            kind: EntryKind::TEXT,
            body: Text { text: "mine".into(), reply_to: None }.encode([7; BODY_SALT_BYTES]),
        };
        log.write(&mine, at, draft, &mut here).unwrap();
        let mut other = Log::load(&there, id, number).unwrap();
        let mut now = Uptime::from_millis(0);
        let mut outgoing = Outgoing::new(now);
        outgoing.frontier(Covered::new(), 0, now);
        for _ in 0..200 {
            // What comes together is taken in together.
            let batch = |_| outgoing.next_batch(&log, &here, 0, now).unwrap();
            let frames = (0..).map(batch).take_while(|entries| !entries.is_empty());
            let entries: Vec<CarriedEntry> = frames.flatten().collect();
            other.receive(entries, &|_, _| Ok(()), at, &mut there).unwrap();
            let covered = log.covered(&other.heads(), &here).unwrap();
            outgoing.frontier(covered, 0, now);
            let Some(due) = outgoing.deadline() else { break };
            now = due;
            outgoing.overdue(now);
        }
        let has = [key().device(), mine.device()].map(|device| other.last_seq(device));
        assert_eq!(has, [count, 1], "after {} minutes", now.millis() / 60_000);
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
}
