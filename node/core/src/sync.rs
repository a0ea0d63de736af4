//! What does the other end lack? Entries on their way to one device, for one log (spec 04).
//!
//! The receiver's frontier is the only word on what arrived. Until it covers what was sent, that
//! counts as in flight; without progress everything above the frontier is sent again, in rounds
//! that go on behind what was sent.

mod turns;

use std::collections::{BTreeMap, VecDeque};

use kith_common::{
    entry::Mark,
    frame::CarriedEntry,
    ids::DeviceId,
    limits::{FRAME_ENTRIES_MAX, HISTORIES_MAX},
    time::Uptime,
};

use crate::{
    limits::{
        AUTHORS_MAX, FRONTIER_ASK_MS, PENDING_BYTES_MAX, PENDING_ENTRIES_MAX, RESEND_MS_MAX,
        RESEND_MS_MIN, SLOW_LINE_BYTES_PER_MS, SYNC_AHEAD_ROWS, SYNC_FRAME_BYTES, SYNC_PROBE_BYTES,
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
    /// How far the device is in each of its chains, by its own word.
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
            .filter(|(author, chain)| {
                at(&self.has, *author) >= chain.first || self.may_begin_there(chain.device)
            })
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

    /// Whether the other end has room for one more history of a device, by its own word.
    fn may_begin_there(&self, device: DeviceId) -> bool {
        let histories = self.promised.iter().filter(|(known, _)| *known == device).count();
        histories < HISTORIES_MAX && self.promised.len() < AUTHORS_MAX
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

/// Entries, with the last of each chain.
pub(crate) type Batch = (Vec<CarriedEntry>, Vec<Mark>);

/// Whether an entry that a device wrote may be handed on.
pub(crate) type MayGo<'a> = &'a dyn Fn(DeviceId, &EntryRow) -> bool;

/// Entries of a log above what somebody has, each after what it depends on, up to a number of bytes
/// but at least one. Of each chain as many as `may_go` lets; nothing that the device wrote itself.
pub(crate) fn entries_above(
    log: &Log,
    store: &dyn Store,
    has: &Covered,
    (may_go, to): (MayGo<'_>, DeviceId),
    bytes_max: usize,
) -> Result<Batch, StoreError> {
    let mut cursors: Vec<Cursor> = log
        .chains()
        .filter(|(_, chain)| chain.device != to)
        .map(|(author, chain)| {
            let next = (has.get(&author).copied().unwrap_or(0) + 1).max(chain.first);
            Cursor { author, next, last: chain.head.seq, rows: VecDeque::new() }
        })
        .filter(|cursor| cursor.next <= cursor.last)
        .collect();
    let (mut entries, mut marks, mut bytes) = (Vec::new(), BTreeMap::new(), 0);
    while let Some(row) = lowest(&mut cursors, log, store)? {
        let author = row.place.author;
        let Some(device) = log.device(author) else { continue };
        if !may_go(device, &row) {
            // What follows in this chain is later still.
            cursors.retain(|cursor| cursor.author != author);
            continue;
        }
        let mark = Mark { device, seq: row.place.seq, id: row.position.id };
        let carried = CarriedEntry { envelope: row.envelope, body: row.body.into_bytes() };
        bytes += carried.frame_bytes();
        if !entries.is_empty() && bytes > bytes_max || entries.len() >= FRAME_ENTRIES_MAX {
            break;
        }
        marks.insert(author, mark);
        entries.push(carried);
    }
    Ok((entries, marks.into_values().collect()))
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
mod tests;
