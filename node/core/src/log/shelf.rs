//! What if a device is accused and may still answer? What lies beyond its cut is put aside: not
//! shown, not named, not handed on, and there again if the device is believed (spec 03 R13).

use std::collections::BTreeSet;

use kith_common::{
    account::Last, entry::Mark, envelope::Signed, ids::DeviceId, limits::HISTORIES_MAX,
    time::Timestamp,
};

use super::{
    Candidate, Cut, Envelope, Limit, Log, Received, candidate::authenticate, erase::shred,
    rules::Decision,
};
use crate::{
    limits::{SYNC_ROWS, TRASH_MS},
    store::{AuthorNumber, Body, EntryRow, LogNumber, Place, Store, StoreError},
    view,
};

/// Entries of one history, put aside. They stand in the store under a log number of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shelf {
    pub(super) device: DeviceId,
    pub(super) author: AuthorNumber,
    pub(super) first: u64,
    pub(super) last: u64,
    /// Since when it is decided that they do not come back, unless another cut says otherwise.
    pub(super) rubbish_since: Option<Timestamp>,
}

/// Log numbers from here on are those of shelves: the odd ones stand apart from the even ones, so
/// that the end of one can be copied to another.
const SHELVES: [u32; 2] = [1 << 31, 3 << 30];

impl Log {
    /// Puts the entries of a chain aside that stand at a number and behind it.
    pub(super) fn put_aside(
        &mut self,
        author: AuthorNumber,
        from: u64,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let Some(device) = self.chain(author).map(|chain| chain.device) else { return Ok(()) };
        self.shelve(device, Place { log: self.number, author, seq: from }, store)
    }

    /// Copies a chain from a place on to a shelf.
    fn shelve(
        &mut self,
        device: DeviceId,
        mut from: Place,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let author = self.free_shelf(from.log);
        let first = from.seq;
        loop {
            let rows = store.chain(from, SYNC_ROWS)?;
            let Some(end) = rows.last() else { break };
            from.seq = end.place.seq + 1;
            for row in rows {
                let place = Place { log: self.shelf_number(author), author, seq: row.place.seq };
                store.add_entry(&EntryRow { place, ..row })?;
            }
        }
        if from.seq > first {
            let last = from.seq - 1;
            self.shelves.push(Shelf { device, author, first, last, rubbish_since: None });
            self.changed = true;
        }
        Ok(())
    }

    /// A shelf that is not among the rows of this log number.
    fn free_shelf(&self, apart_from: LogNumber) -> AuthorNumber {
        let free = |author: &AuthorNumber| {
            self.shelf_number(*author) != apart_from
                && self.shelves.iter().all(|shelf| shelf.author != *author)
        };
        let free = (0..u16::MAX).map(AuthorNumber).find(free);
        free.unwrap_or(AuthorNumber(u16::MAX))
    }

    fn shelf_number(&self, author: AuthorNumber) -> LogNumber {
        let [even, odd] = SHELVES;
        LogNumber(self.number.0 | if author.0.is_multiple_of(2) { even } else { odd })
    }

    fn on_shelf(&self, shelf: Shelf, seq: u64) -> Place {
        Place { log: self.shelf_number(shelf.author), author: shelf.author, seq }
    }

    /// The last number of a device among what was put aside; 0 if nothing was.
    pub(super) fn last_aside(&self, device: DeviceId) -> u64 {
        let shelves = self.shelves.iter().filter(|shelf| shelf.device == device);
        shelves.map(|shelf| shelf.last).max().unwrap_or(0)
    }

    /// Whether anything of a device is here, put aside or not.
    pub(crate) fn has_anything_of(&self, device: DeviceId) -> bool {
        self.last_seq(device) > 0 || self.last_aside(device) > 0
    }

    /// The last entries of a device that came before a time, put aside or not, one for each history,
    /// ascending; at most [`HISTORIES_MAX`], of more those that came first.
    pub(crate) fn lasts_before(
        &self,
        device: DeviceId,
        time: Timestamp,
        store: &dyn Store,
    ) -> Result<Vec<Last>, StoreError> {
        let here = self.chains_of(device).map(|(author, chain)| {
            (Place { log: self.number, author, seq: chain.head.seq }, chain.first)
        });
        let aside = self.shelves_of(device).into_iter();
        let aside = aside.map(|shelf| (self.on_shelf(shelf, shelf.last), shelf.first));
        let mut lasts: Vec<Last> = Vec::new();
        let mut continued = BTreeSet::new();
        for (mut place, first) in here.chain(aside) {
            while place.seq >= first
                && let Some(row) = store.entry(place)?
            {
                if row.received_at < time {
                    let (seq, entry) = (place.seq, row.position.id);
                    lasts.push(Last { seq, entry, received: row.received_at });
                    let first = store.entry(Place { seq: first, ..place })?;
                    let first = first.as_ref().map(view::open).transpose()?;
                    continued.extend(first.and_then(|row| row.entry.prev));
                    break;
                }
                place.seq -= 1;
            }
        }
        lasts.retain(|last| !continued.contains(&last.entry));
        lasts.sort_unstable_by_key(|last| (last.received, *last));
        lasts.truncate(HISTORIES_MAX);
        lasts.sort_unstable();
        lasts.dedup();
        Ok(lasts)
    }

    /// Takes in again what is believed now, and throws away what has long not been.
    pub(super) fn readmit(
        &mut self,
        now: Timestamp,
        store: &mut dyn Store,
        received: &mut Received,
    ) -> Result<(), StoreError> {
        let lifted = std::mem::take(&mut self.lifted);
        // What one device wrote may name what another did.
        let mut progress = !lifted.is_empty();
        while std::mem::take(&mut progress) {
            let of_lifted = |shelf: &&Shelf| {
                lifted.contains(&shelf.device) && !self.crowded.contains(&shelf.device)
            };
            let shelves: Vec<Shelf> = self.shelves.iter().filter(of_lifted).copied().collect();
            for shelf in shelves {
                progress |= self.readmit_from(shelf, now, store, received)?;
            }
        }
        // Where the entry that a cut names is back, what leads elsewhere goes.
        for device in lifted {
            let Some(Limit::Cut(Cut { lasts, .. })) = self.limits.get(&device) else { continue };
            let mut is_here = false;
            for last in lasts {
                is_here |= self.named(last, store)?.is_some();
            }
            if is_here {
                received.trimmed |= self.trim(device, store)?;
            }
        }
        self.throw_away(now, store)
    }

    /// Erases what has been rubbish for a day: until then a cut may be on its way that believes
    /// more, and nobody else may have what is here.
    fn throw_away(&mut self, now: Timestamp, store: &mut dyn Store) -> Result<(), StoreError> {
        for at in 0..self.shelves.len() {
            let Some(shelf) = self.shelves.get_mut(at) else { break };
            let limit = self.limits.get(&shelf.device);
            let is_rubbish = matches!(limit, Some(Limit::Cut(cut)) if cut.is_final);
            let since = is_rubbish.then(|| shelf.rubbish_since.unwrap_or(now));
            self.changed |= since != shelf.rubbish_since;
            shelf.rubbish_since = since;
        }
        let is_due = |shelf: &&Shelf| {
            shelf.rubbish_since.is_some_and(|since| since.plus_millis(TRASH_MS) <= now)
        };
        let due: Vec<Shelf> = self.shelves.iter().filter(is_due).copied().collect();
        for shelf in due {
            self.doom_deleted(shelf.device, self.on_shelf(shelf, shelf.first), store)?;
            self.empty_shelf(shelf, store)?;
            store.erase();
        }
        Ok(())
    }

    /// Takes in the beginning of what stands on a shelf, as far as it is believed. Returns whether
    /// anything came in.
    fn readmit_from(
        &mut self,
        shelf: Shelf,
        now: Timestamp,
        store: &mut dyn Store,
        received: &mut Received,
    ) -> Result<bool, StoreError> {
        let mut next = shelf.first;
        let mut believed = true;
        while believed && next <= shelf.last {
            let rows = store.chain(self.on_shelf(shelf, next), SYNC_ROWS)?;
            let candidates = authenticate(rows.into_iter().filter_map(candidate_of).collect());
            believed = !candidates.is_empty();
            for candidate in candidates {
                match self.decide(&candidate, now, store)? {
                    Decision::Accept(entering) => {
                        received.accepted.push(entering.place);
                        self.accept(candidate, entering, now, store)?;
                    }
                    Decision::Known(_) => {}
                    Decision::Wait | Decision::Refuse(_) => {
                        believed = false;
                        break;
                    }
                }
                next += 1;
            }
        }
        if next == shelf.first {
            return Ok(false);
        }
        self.shelve(shelf.device, self.on_shelf(shelf, next), store)?;
        self.empty_shelf(shelf, store)?;
        Ok(true)
    }

    /// Deletes an entry that was put aside.
    pub(super) fn delete_aside(
        &mut self,
        mark: &Mark,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        for shelf in self.shelves_of(mark.device) {
            if let Some(row) = store.entry(self.on_shelf(shelf, mark.seq))?
                && row.position.id == mark.id
            {
                shred(row, store)?;
            }
        }
        Ok(())
    }

    /// Deletes what was put aside of a chain through a mark.
    pub(super) fn clear_aside(
        &mut self,
        mark: &Mark,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        for shelf in self.shelves_of(mark.device) {
            let mut next = shelf.first;
            while next <= mark.seq {
                let rows = store.chain(self.on_shelf(shelf, next), SYNC_ROWS)?;
                let Some(end) = rows.last() else { break };
                next = end.place.seq + 1;
                for row in rows.into_iter().filter(|row| row.place.seq <= mark.seq) {
                    shred(row, store)?;
                }
            }
        }
        Ok(())
    }

    /// Of what was put aside the bodies are missing that nobody has deleted who is believed: they
    /// are asked for when their entries come in again.
    pub(super) fn want_aside(
        &self,
        is_deleted: &dyn Fn(&Mark) -> bool,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        for shelf in &self.shelves {
            let (device, mut next) = (shelf.device, shelf.first);
            loop {
                let rows = store.chain(self.on_shelf(*shelf, next), SYNC_ROWS)?;
                let Some(end) = rows.last() else { break };
                next = end.place.seq + 1;
                for row in rows.into_iter().filter(|row| row.body == Body::Deleted) {
                    let mark = Mark { device, seq: row.place.seq, id: row.position.id };
                    if !self.is_cleared(&mark) && !is_deleted(&mark) {
                        store.replace_entry(&EntryRow { body: Body::Missing, ..row })?;
                    }
                }
            }
        }
        Ok(())
    }

    fn shelves_of(&self, device: DeviceId) -> Vec<Shelf> {
        self.shelves.iter().filter(|shelf| shelf.device == device).copied().collect()
    }

    fn empty_shelf(&mut self, shelf: Shelf, store: &mut dyn Store) -> Result<(), StoreError> {
        store.truncate_chain(self.on_shelf(shelf, shelf.first))?;
        self.shelves.retain(|known| *known != shelf);
        self.changed = true;
        Ok(())
    }

    /// Removes every entry from the store, those that were put aside too.
    pub(crate) fn discard(mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        for shelf in self.shelves.clone() {
            self.empty_shelf(shelf, store)?;
        }
        for (author, chain) in self.chains() {
            store.truncate_chain(Place { log: self.number, author, seq: chain.first })?;
        }
        store.erase();
        Ok(())
    }
}

fn candidate_of(row: EntryRow) -> Option<Candidate> {
    let signed = Signed::decode(&row.envelope).ok()?;
    Some(Candidate {
        id: signed.id(),
        device: DeviceId::from_bytes(*signed.signer()),
        envelope: Envelope::Doubtful(signed),
        doubted: false,
        body: row.body,
        received_at: Some(row.received_at),
    })
}
