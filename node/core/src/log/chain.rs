//! What has one device written? A chain for an honest device; more if it wrote several histories.

use kith_common::{
    entry::Mark,
    ids::{DeviceId, EntryId},
    limits::{FRONTIER_MARKS_MAX, HISTORIES_MAX},
    time::Timestamp,
};

use super::Log;
use crate::{
    limits::{AUTHORS_MAX, HISTORY_MAX, RECENT_MAX},
    store::{AuthorNumber, EntryRow, Place, Position, Store, StoreError},
};

/// The newest entry of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) position: Position,
    pub(crate) depth: u64,
}

impl Head {
    /// Where a chain stands that has no entry.
    pub(super) const fn before(first: u64) -> Self {
        let position = Position { eff: 0, id: EntryId::from_bytes([0; 32]) };
        Self { seq: first - 1, position, depth: 0 }
    }

    pub(super) const fn of(row: &EntryRow) -> Self {
        Self { seq: row.place.seq, position: row.position, depth: row.depth }
    }
}

/// Entries of one device, each naming the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) device: DeviceId,
    /// Number of its first entry: above 1 for a branch, that is from where it differs.
    pub(crate) first: u64,
    /// The chain that it branched off.
    pub(crate) base: Option<AuthorNumber>,
    /// Its newest entry; below `first` if it has none.
    pub(crate) head: Head,
    /// Whether no entry names the head yet.
    pub(crate) is_tip: bool,
    /// How far this account has read the chain.
    pub(crate) read: u64,
    /// Entries behind `read` that are not shown.
    pub(crate) hidden: u64,
}

impl Chain {
    pub(super) const fn new(device: DeviceId, first: u64, base: Option<AuthorNumber>) -> Self {
        let head = Head::before(first);
        Self { device, first, base, head, is_tip: false, read: first - 1, hidden: 0 }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.head.seq < self.first
    }

    const fn reaches(&self, seq: u64) -> bool {
        self.first <= seq && seq <= self.head.seq
    }

    pub(super) const fn unread(&self) -> u64 {
        self.head.seq.saturating_sub(self.read.saturating_add(self.hidden))
    }
}

/// A chain and how far it goes.
pub(crate) type Covered = std::collections::BTreeMap<AuthorNumber, u64>;

impl Log {
    /// The chains with their numbers.
    pub(crate) fn chains(&self) -> impl Iterator<Item = (AuthorNumber, &Chain)> {
        (0_u16..).map(AuthorNumber).zip(&self.chains)
    }

    pub(super) fn chains_of(
        &self,
        device: DeviceId,
    ) -> impl Iterator<Item = (AuthorNumber, &Chain)> {
        self.chains().filter(move |(_, chain)| chain.device == device)
    }

    pub(super) fn chain(&self, number: AuthorNumber) -> Option<&Chain> {
        self.chains.get(usize::from(number.0))
    }

    pub(super) fn chain_mut(&mut self, number: AuthorNumber) -> Option<&mut Chain> {
        self.chains.get_mut(usize::from(number.0))
    }

    /// How many histories of a device are here.
    pub(super) fn histories(&self, device: DeviceId) -> usize {
        self.chains_of(device).filter(|(_, chain)| !chain.is_empty()).count()
    }

    /// The number that a chain of a device gets: of one that was cut back to nothing, its own or of
    /// a device that is out for good, or a new one.
    pub(super) fn number_for(&self, device: DeviceId) -> Option<AuthorNumber> {
        let is_empty = |(_, chain): &(AuthorNumber, &Chain)| chain.is_empty();
        if let Some((own, _)) = self.chains_of(device).find(is_empty) {
            return Some(own);
        }
        // The last one is for what this device writes.
        if self.chains.len() + 1 < AUTHORS_MAX {
            return u16::try_from(self.chains.len()).ok().map(AuthorNumber);
        }
        let mut empty = self.chains().filter(is_empty);
        empty.find(|(_, chain)| self.is_out(chain.device)).map(|(number, _)| number)
    }

    /// Whether no history of a device that is not here comes in any more.
    pub(super) fn is_full_for(&self, device: DeviceId) -> bool {
        match self.histories(device) {
            0 => self.number_for(device).is_none(),
            histories => histories >= HISTORIES_MAX,
        }
    }

    /// Begins a chain under a number that it was given.
    pub(super) fn begin(&mut self, number: AuthorNumber, chain: Chain) {
        match self.chain_mut(number) {
            Some(slot) => {
                *slot = chain;
                self.renumbered = true;
            }
            None => self.chains.push(chain),
        }
    }

    /// Whether numbers have gone over to other chains: what anybody has under them nobody knows.
    pub(crate) fn take_renumbered(&mut self) -> bool {
        std::mem::take(&mut self.renumbered)
    }

    /// The last number of a device's longest chain; 0 if it never wrote.
    pub fn last_seq(&self, device: DeviceId) -> u64 {
        self.chains_of(device).map(|(_, chain)| chain.head.seq).max().unwrap_or(0)
    }

    /// The entry that a mark names, if it is stored.
    pub(crate) fn named(
        &self,
        mark: &Mark,
        store: &dyn Store,
    ) -> Result<Option<(AuthorNumber, Head)>, StoreError> {
        for (number, chain) in self.chains_of(mark.device) {
            if !chain.reaches(mark.seq) {
                continue;
            }
            let head = self.head_at(number, mark.seq, store)?;
            if let Some(head) = head.filter(|head| head.position.id == mark.id) {
                return Ok(Some((number, head)));
            }
        }
        Ok(None)
    }

    /// What stands at a number of a chain.
    pub(super) fn head_at(
        &self,
        number: AuthorNumber,
        seq: u64,
        store: &dyn Store,
    ) -> Result<Option<Head>, StoreError> {
        match self.chain(number) {
            Some(chain) if chain.head.seq == seq && !chain.is_empty() => Ok(Some(chain.head)),
            _ if let Some(head) = self.recent_at(number, seq) => Ok(Some(head)),
            _ => Ok(self.row(number, seq, store)?.as_ref().map(Head::of)),
        }
    }

    /// Where every entry stands, in order.
    pub(crate) fn places(&self, store: &dyn Store) -> Result<Vec<Place>, StoreError> {
        let mut places = Vec::new();
        let mut below = None;
        loop {
            let rows = store.newest(self.number, below, HISTORY_MAX)?;
            let Some(last) = rows.last() else { break };
            below = Some(last.position);
            places.extend(rows.iter().map(|row| row.place));
        }
        places.reverse();
        Ok(places)
    }

    fn recent_at(&self, number: AuthorNumber, seq: u64) -> Option<Head> {
        let recent = self.recent.get(&number)?;
        recent.iter().rev().find(|head| head.seq == seq).copied()
    }

    /// Remembers the end of a chain that goes on.
    pub(super) fn remember(&mut self, number: AuthorNumber) {
        let Some(head) = self.chain(number).filter(|chain| !chain.is_empty()).map(|c| c.head)
        else {
            return;
        };
        let recent = self.recent.entry(number).or_default();
        if recent.len() >= RECENT_MAX {
            recent.pop_front();
        }
        recent.push_back(head);
    }

    pub(super) fn row(
        &self,
        author: AuthorNumber,
        seq: u64,
        store: &dyn Store,
    ) -> Result<Option<EntryRow>, StoreError> {
        store.entry(Place { log: self.number, author, seq })
    }

    /// An entry of the device at this number, whatever its id.
    pub(crate) fn any_at(
        &self,
        device: DeviceId,
        seq: u64,
        store: &dyn Store,
    ) -> Result<Option<EntryRow>, StoreError> {
        match self.chains_of(device).find(|(_, chain)| chain.reaches(seq)) {
            Some((number, _)) => self.row(number, seq, store),
            None => Ok(None),
        }
    }

    /// Whether a mark contradicts what is stored: the number is known, the id is not.
    pub(crate) fn contradicts(&self, mark: &Mark, store: &dyn Store) -> Result<bool, StoreError> {
        let known = self.chains_of(mark.device).any(|(_, chain)| chain.reaches(mark.seq));
        Ok(known && self.named(mark, store)?.is_none())
    }

    /// What this device has taken in of another since then, the newest first.
    pub(crate) fn received_since(
        &self,
        device: DeviceId,
        since: Timestamp,
        store: &dyn Store,
    ) -> Result<Vec<EntryRow>, StoreError> {
        let mut received = Vec::new();
        for (number, chain) in self.chains_of(device) {
            let mut seq = chain.head.seq;
            while seq >= chain.first {
                let row = self.row(number, seq, store)?;
                let Some(row) = row.filter(|row| row.received_at > since) else { break };
                received.push(row);
                seq -= 1;
            }
        }
        Ok(received)
    }

    /// All entries of a device, chain by chain.
    pub(crate) fn entries_of(
        &self,
        device: DeviceId,
        store: &dyn Store,
    ) -> Result<Vec<EntryRow>, StoreError> {
        let mut entries = Vec::new();
        for (author, chain) in self.chains_of(device) {
            entries.extend(
                store.chain(Place { log: self.number, author, seq: chain.first }, usize::MAX)?,
            );
        }
        Ok(entries)
    }

    /// How far a device was read, by what was told of it.
    pub(crate) fn told_read(&self, device: DeviceId) -> u64 {
        self.reads.get(&device).copied().unwrap_or(0)
    }

    /// How much of our chains somebody has who says so in marks.
    pub(crate) fn covered(&self, marks: &[Mark], store: &dyn Store) -> Result<Covered, StoreError> {
        let mut covered = Covered::new();
        for mark in marks {
            if let Some((number, _)) = self.named(mark, store)? {
                self.cover(&mut covered, number, mark.seq);
                continue;
            }
            // Further than we are: it has all of ours, if there is but one history.
            let mut chains = self.chains_of(mark.device);
            if let (Some((number, chain)), None) = (chains.next(), chains.next())
                && mark.seq > chain.head.seq
            {
                self.cover(&mut covered, number, chain.head.seq);
            }
        }
        Ok(covered)
    }

    /// Marks that say as much as both lists together; of each history the last.
    pub(crate) fn joined_marks(
        &self,
        before: &[Mark],
        mut marks: Vec<Mark>,
        store: &dyn Store,
    ) -> Result<Vec<Mark>, StoreError> {
        let covered = self.covered(&marks, store)?;
        for mark in before {
            let said = match self.named(mark, store)? {
                Some((number, _)) => covered.get(&number).is_some_and(|seq| *seq >= mark.seq),
                None => true,
            };
            if !said {
                marks.push(*mark);
            }
        }
        marks.truncate(FRONTIER_MARKS_MAX);
        Ok(marks)
    }

    /// Whoever has an entry has all before it, on the chains that this one branched off too.
    pub(super) fn cover(&self, covered: &mut Covered, number: AuthorNumber, seq: u64) {
        let mut next = Some((number, seq));
        while let Some((number, seq)) = next {
            let slot = covered.entry(number).or_default();
            *slot = (*slot).max(seq);
            next = self.chain(number).and_then(|chain| Some((chain.base?, chain.first - 1)));
        }
    }
}
