//! Which entries belong in, and where? One conversation as a DAG of device chains (spec 03).
//!
//! [`Log::receive`] takes entries from a peer, [`Log::write`] makes one of ours. An entry is
//! accepted when it is authentic, continues its device's chain, and everything it names is there;
//! what comes too early waits in [`pending`], within bounds.

mod candidate;
mod chain;
mod erase;
mod pending;
mod receive;
mod record;
mod rules;
mod shelf;
mod trim;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kith_common::{
    entry::{self, Entry, EntryKind, Mark},
    envelope::sign,
    frontier::Frontier,
    ids::{AccountId, DeviceId, EntryId, LogId},
    keys::SigningKey,
    limits::{FRONTIER_MARKS_MAX, PARENTS_MAX, SEQ_MAX},
    time::{Hlc, Timestamp},
};

pub(crate) use self::{
    candidate::{Candidate, Envelope},
    chain::{Chain, Covered, Head},
    receive::{Evidence, Received, SaidCut},
    rules::{Cut, Limit},
};
use self::{pending::Pending, rules::Decision, shelf::Shelf};
use crate::{
    limits::AUTHORS_MAX,
    store::{AuthorNumber, Body, LogNumber, Place, Position, RecordKind, Store, StoreError},
};

/// One conversation.
#[derive(Debug)]
pub struct Log {
    id: LogId,
    number: LogNumber,
    chains: Vec<Chain>,
    highest: Option<Position>,
    /// The last entries of the chains that have moved in this run: what new ones name.
    recent: BTreeMap<AuthorNumber, VecDeque<Head>>,
    pending: Pending,
    /// How far former devices are believed.
    limits: BTreeMap<DeviceId, Limit>,
    /// What was put aside of devices that may still answer.
    shelves: Vec<Shelf>,
    /// Devices that may be believed further than before.
    lifted: BTreeSet<DeviceId>,
    /// The highest number of a device that an entry here names though it is beyond a cut, or there
    /// was no room for it.
    absent: BTreeMap<DeviceId, u64>,
    /// Whether a number went over from a chain that was cut back to nothing to another one.
    renumbered: bool,
    /// Devices of which histories were put aside to make room for what a cut names.
    crowded: BTreeSet<DeviceId>,
    /// Whether something came in that stands below what named it.
    disordered: bool,
    /// How far other devices of the person have read.
    reads: BTreeMap<DeviceId, u64>,
    /// What was deleted of each device, whenever it comes.
    cleared: BTreeMap<DeviceId, u64>,
    /// Entries that were deleted and have not come yet.
    doomed: BTreeSet<(DeviceId, EntryId)>,
    /// Entries that came without their bodies.
    missing: BTreeSet<(AuthorNumber, u64)>,
    /// Whether there are new ones among these.
    lacks_bodies: bool,
    overlooked: Overlooked,
    changed: bool,
    is_new: bool,
}

/// What there was no room to remember, and is looked for once there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Overlooked {
    /// Deleted entries that have not come yet.
    doomed: bool,
    /// Entries that came without their bodies.
    missing: bool,
}

/// What an entry would add to the log, whatever it says.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) account: AccountId,
    pub(crate) account_head: EntryId,
    pub(crate) kind: EntryKind,
    pub(crate) body: Vec<u8>,
}

impl Log {
    /// The log as the store has it, or a new one with this number.
    pub(crate) fn load(
        store: &dyn Store,
        id: LogId,
        number: LogNumber,
    ) -> Result<Self, StoreError> {
        match store.record(RecordKind::Log, id.as_bytes())? {
            Some(value) => record::decode(id, &value)
                .map_err(|error| StoreError::new("Reading the state of a log", error)),
            None => Ok(Self::new(id, number)),
        }
    }

    fn new(id: LogId, number: LogNumber) -> Self {
        Self {
            id,
            number,
            chains: Vec::new(),
            highest: None,
            recent: BTreeMap::new(),
            pending: Pending::default(),
            limits: BTreeMap::new(),
            shelves: Vec::new(),
            lifted: BTreeSet::new(),
            absent: BTreeMap::new(),
            renumbered: false,
            crowded: BTreeSet::new(),
            disordered: false,
            reads: BTreeMap::new(),
            cleared: BTreeMap::new(),
            doomed: BTreeSet::new(),
            missing: BTreeSet::new(),
            lacks_bodies: false,
            overlooked: Overlooked::default(),
            changed: false,
            is_new: true,
        }
    }

    /// Writes the state of the log if it changed; part of the same transaction as the entries.
    /// Returns whether it was written for the first time.
    pub(crate) fn save(&mut self, store: &mut dyn Store) -> Result<bool, StoreError> {
        if std::mem::take(&mut self.changed) {
            store.put_record(RecordKind::Log, self.id.as_bytes(), &record::encode(self))?;
            return Ok(std::mem::take(&mut self.is_new));
        }
        Ok(false)
    }

    /// The log's id.
    pub(crate) const fn id(&self) -> LogId {
        self.id
    }

    /// The number of the log in the store.
    pub const fn number(&self) -> LogNumber {
        self.number
    }

    /// Entries that wait for what they depend on.
    pub fn pending_count(&self) -> usize {
        self.pending.count()
    }

    /// The device behind an author number.
    pub fn device(&self, author: AuthorNumber) -> Option<DeviceId> {
        self.chain(author).map(|chain| chain.device)
    }

    /// Entries by these devices that are shown and that this account has not read.
    pub(crate) fn unread(&self, by: impl Fn(DeviceId) -> bool) -> u64 {
        self.chains.iter().filter(|chain| by(chain.device)).map(Chain::unread).sum()
    }

    /// Everything is read. Returns whether anything changed.
    pub(crate) fn mark_read(&mut self) -> bool {
        let mut any = false;
        for chain in &mut self.chains {
            any |= chain.read < chain.head.seq;
            chain.read = chain.read.max(chain.head.seq);
            chain.hidden = 0;
        }
        self.changed |= any;
        any
    }

    /// Another device of the person has read through these marks, whether their entries are here
    /// already or not. Returns whether anything changed.
    pub(crate) fn mark_read_through(
        &mut self,
        marks: &[Mark],
        store: &dyn Store,
    ) -> Result<bool, StoreError> {
        let mut any = false;
        for mark in marks {
            if !self.reads.contains_key(&mark.device) && !self.is_here(mark.device) {
                // Of more devices that are not here than a log has chains, nothing is kept.
                let strangers = self.reads.keys().filter(|known| !self.is_here(**known)).count();
                if strangers >= AUTHORS_MAX {
                    continue;
                }
            }
            let goal = self.reads.entry(mark.device).or_default();
            if *goal >= mark.seq {
                continue;
            }
            *goal = mark.seq;
            any = true;
            let numbers: Vec<AuthorNumber> =
                self.chains_of(mark.device).map(|(number, _)| number).collect();
            for number in numbers {
                self.read_chain(number, mark.seq, store)?;
            }
        }
        self.changed |= any;
        Ok(any)
    }

    fn is_here(&self, device: DeviceId) -> bool {
        self.chains_of(device).next().is_some()
    }

    /// Whether more was read here than any device of the person has told the others.
    pub(crate) fn has_untold_reads(&self) -> bool {
        let told = |chain: &Chain| self.reads.get(&chain.device).copied().unwrap_or(0);
        self.chains.iter().any(|chain| chain.read >= chain.first && chain.read > told(chain))
    }

    /// Nothing was read: what other devices say of it is heard again.
    pub(crate) fn forget_reads(&mut self) {
        self.reads.clear();
    }

    /// What was read is what has been heard since it was forgotten, no more.
    pub(crate) fn read_as_heard(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let heard = |chain: &Chain| self.reads.get(&chain.device).copied().unwrap_or(0);
        let other: Vec<(AuthorNumber, u64)> = self
            .chains()
            .map(|(number, chain)| (number, heard(chain).clamp(chain.first - 1, chain.head.seq)))
            .filter(|(number, read)| self.chain(*number).is_some_and(|chain| chain.read != *read))
            .collect();
        for (number, read) in other {
            let hidden = self.count_hidden(number, read, store)?;
            if let Some(chain) = self.chain_mut(number) {
                (chain.read, chain.hidden) = (read, hidden);
            }
            self.changed = true;
        }
        Ok(())
    }

    fn read_chain(
        &mut self,
        number: AuthorNumber,
        goal: u64,
        store: &dyn Store,
    ) -> Result<(), StoreError> {
        let Some(chain) = self.chain(number) else { return Ok(()) };
        let read = goal.min(chain.head.seq);
        if read <= chain.read {
            return Ok(());
        }
        let all = chain.hidden == 0 || read == chain.head.seq;
        let hidden = if all { 0 } else { self.count_hidden(number, read, store)? };
        if let Some(chain) = self.chain_mut(number) {
            (chain.read, chain.hidden) = (read, hidden);
        }
        Ok(())
    }

    /// Entries of a chain behind a number that are not shown.
    fn count_hidden(
        &self,
        author: AuthorNumber,
        behind: u64,
        store: &dyn Store,
    ) -> Result<u64, StoreError> {
        let rows = store.chain(Place { log: self.number, author, seq: behind + 1 }, usize::MAX)?;
        let mut hidden = 0;
        for row in rows {
            let shown = crate::view::open(&row)?.entry.kind.is_shown();
            hidden += u64::from(!shown || row.body == Body::Deleted);
        }
        Ok(hidden)
    }

    /// How far this device has received, and read if that is shared.
    pub(crate) fn frontier(
        &self,
        with_read: bool,
        store: &dyn Store,
    ) -> Result<Frontier, StoreError> {
        let received = self.heads();
        let read = if with_read { self.read_marks(store)? } else { Vec::new() };
        Ok(Frontier { log: self.id, received, read })
    }

    /// The newest entry of each chain.
    pub(crate) fn heads(&self) -> Vec<Mark> {
        let chains = self.chains.iter().filter(|chain| !chain.is_empty());
        let mark = |chain: &Chain| Mark {
            device: chain.device,
            seq: chain.head.seq,
            id: chain.head.position.id,
        };
        let mut marks: Vec<Mark> = chains.take(FRONTIER_MARKS_MAX).map(mark).collect();
        marks.sort_unstable();
        marks
    }

    /// The last entry of each chain that was read.
    pub(crate) fn read_marks(&self, store: &dyn Store) -> Result<Vec<Mark>, StoreError> {
        let mut read = Vec::new();
        for (number, chain) in self.chains().take(FRONTIER_MARKS_MAX) {
            let (device, seq) = (chain.device, chain.read);
            if seq >= chain.first
                && let Some(head) = self.head_at(number, seq, store)?
            {
                read.push(Mark { device, seq, id: head.position.id });
            }
        }
        read.sort_unstable();
        Ok(read)
    }

    /// The last entry of each chain that satisfies a condition; chains are read from their ends.
    pub(crate) fn last_where(
        &self,
        store: &dyn Store,
        condition: &dyn Fn(&crate::store::EntryRow) -> Result<bool, StoreError>,
    ) -> Result<Vec<Mark>, StoreError> {
        let mut marks = Vec::new();
        for (number, chain) in self.chains() {
            let mut seq = chain.head.seq;
            while seq >= chain.first {
                let Some(row) = self.row(number, seq, store)? else { break };
                if condition(&row)? {
                    marks.push(Mark { device: chain.device, seq, id: row.position.id });
                    break;
                }
                seq -= 1;
            }
        }
        marks.sort_unstable();
        Ok(marks)
    }

    /// Writes an entry of our own: it names everything that nobody has named yet (spec 03 R8).
    pub(crate) fn write(
        &mut self,
        key: &SigningKey,
        now: Timestamp,
        draft: Draft,
        store: &mut dyn Store,
    ) -> Result<(Place, EntryId), StoreError> {
        let device = key.device();
        if !self.is_here(device) && self.chains.len() < AUTHORS_MAX {
            self.chains.push(Chain::new(device, 1, None));
        }
        let own = self.chains_of(device).map(|(_, chain)| chain).max_by_key(|c| c.head.seq);
        let own = own.filter(|chain| !chain.is_empty()).map(|chain| chain.head);
        let parents = self.tips(device);
        let depth = parents.iter().map(|(_, depth)| *depth).chain(own.map(|head| head.depth)).max();
        let entry = Entry {
            log: self.id,
            account: draft.account,
            seq: own.map_or(0, |head| head.seq) + 1,
            prev: own.map(|head| head.position.id),
            parents: parents.into_iter().map(|(mark, _)| mark).collect(),
            depth: depth.map_or(1, |depth| (depth + 1).min(SEQ_MAX)),
            hlc: Hlc::at(now),
            account_head: draft.account_head,
            kind: draft.kind,
            body_hash: entry::hash_body(&draft.body),
            body_bytes: draft.body.len() as u64,
        };
        let signed = sign(key, entry);
        let id = signed.id();
        let candidate = Candidate {
            id,
            device,
            envelope: Envelope::Authentic(signed),
            doubted: false,
            body: Body::Here(draft.body.into()),
            received_at: None,
        };
        match self.decide(&candidate, now, store)? {
            Decision::Accept(entering) => {
                let place = entering.place;
                self.accept(candidate, entering, now, store)?;
                Ok((place, id))
            }
            _ => Err(StoreError::new("Writing a message", "the log's own state is inconsistent")),
        }
    }

    /// Heads of other devices that no entry names, the newest [`PARENTS_MAX`], with their depths.
    fn tips(&self, except: DeviceId) -> Vec<(Mark, u64)> {
        let mut tips: Vec<&Chain> =
            self.chains.iter().filter(|c| c.is_tip && c.device != except).collect();
        tips.sort_by_key(|chain| std::cmp::Reverse(chain.head.position));
        tips.truncate(PARENTS_MAX);
        let mut tips: Vec<(Mark, u64)> = tips
            .into_iter()
            .map(|chain| {
                let Head { seq, position, depth } = chain.head;
                (Mark { device: chain.device, seq, id: position.id }, depth)
            })
            .collect();
        tips.sort_unstable();
        tips
    }
}

#[cfg(test)]
mod tests;
