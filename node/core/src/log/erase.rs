//! What was deleted? Bodies that are gone for good on this account's devices; the headers stay, so
//! that the chains still hold for everybody else (spec 07 R7).

use kith_common::{
    entry::Mark,
    ids::{DeviceId, EntryId},
};

use super::Log;
use crate::{
    limits::{AUTHORS_MAX, DOOMED_MAX, MISSING_MAX, SYNC_ROWS},
    store::{AuthorNumber, Body, EntryRow, Place, Store, StoreError},
    view,
};

impl Log {
    /// Deletes single entries, also such as have not come yet. Returns the places that changed.
    pub(crate) fn delete(
        &mut self,
        marks: &[Mark],
        store: &mut dyn Store,
    ) -> Result<Vec<Place>, StoreError> {
        let mut gone = Vec::new();
        for mark in marks {
            match self.named(mark, store)? {
                Some((author, _)) => {
                    if let Some(row) = self.row(author, mark.seq, store)? {
                        gone.extend(self.empty(row, store)?);
                    }
                }
                None => {
                    self.doom(mark.device, mark.id);
                    self.delete_aside(mark, store)?;
                }
            }
        }
        Ok(gone)
    }

    /// Deletes everything through these marks, also what has not come yet. Returns the places that
    /// changed.
    pub(crate) fn clear(
        &mut self,
        marks: &[Mark],
        store: &mut dyn Store,
    ) -> Result<Vec<Place>, StoreError> {
        let mut gone = Vec::new();
        for mark in marks {
            self.raise_cleared(mark.device, mark.seq);
            self.clear_aside(mark, store)?;
            let chains: Vec<(AuthorNumber, u64)> =
                self.chains_of(mark.device).map(|(number, chain)| (number, chain.first)).collect();
            for (author, first) in chains {
                self.clear_chain((author, first), mark.seq, store, &mut gone)?;
            }
        }
        Ok(gone)
    }

    /// Remembers that a chain is cleared. Of more devices that are not here than a log has chains,
    /// nothing is kept: they are made up.
    fn raise_cleared(&mut self, device: DeviceId, seq: u64) {
        let not_here = |known: &DeviceId| !self.is_here(*known);
        if !self.cleared.contains_key(&device) && not_here(&device) {
            let strangers = self.cleared.keys().filter(|known| not_here(known)).count();
            if strangers >= AUTHORS_MAX {
                return;
            }
        }
        let slot = self.cleared.entry(device).or_default();
        self.changed |= *slot < seq;
        *slot = (*slot).max(seq);
    }

    /// An entry is to be deleted when it comes. What there is no room for is heard again later.
    fn doom(&mut self, device: DeviceId, id: EntryId) {
        if self.doomed.len() < DOOMED_MAX {
            self.changed |= self.doomed.insert((device, id));
        } else {
            self.changed |= !self.overlooked.doomed;
            self.overlooked.doomed = true;
        }
    }

    /// Whether deletions were overlooked for want of room, and there is room again.
    pub(crate) fn take_overlooked_deletions(&mut self) -> bool {
        let due = self.overlooked.doomed && self.doomed.len() <= DOOMED_MAX / 2;
        if due {
            self.overlooked.doomed = false;
            self.changed = true;
        }
        due
    }

    fn clear_chain(
        &mut self,
        (author, first): (AuthorNumber, u64),
        last: u64,
        store: &mut dyn Store,
        gone: &mut Vec<Place>,
    ) -> Result<(), StoreError> {
        let mut seq = first;
        while seq <= last {
            let from = Place { log: self.number, author, seq };
            let rows = store.chain(from, SYNC_ROWS)?;
            let Some(end) = rows.last() else { break };
            seq = end.place.seq + 1;
            for row in rows.into_iter().filter(|row| row.place.seq <= last) {
                gone.extend(self.empty(row, store)?);
            }
        }
        Ok(())
    }

    /// Nothing is to be deleted that has not come yet: what other devices deleted is heard again.
    pub(crate) fn forget_doomed(&mut self) {
        self.changed |= !self.doomed.is_empty();
        self.doomed.clear();
    }

    /// Asks again for the bodies that nobody has deleted who is believed. Returns whether there are
    /// any.
    pub(crate) fn want_again(
        &mut self,
        is_deleted: &dyn Fn(&Mark) -> bool,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        let chains: Vec<(AuthorNumber, DeviceId, u64)> =
            self.chains().map(|(number, chain)| (number, chain.device, chain.first)).collect();
        let mut any = false;
        for (author, device, mut seq) in chains {
            loop {
                let rows = store.chain(Place { log: self.number, author, seq }, SYNC_ROWS)?;
                let Some(end) = rows.last() else { break };
                seq = end.place.seq + 1;
                for row in rows.into_iter().filter(|row| row.body == Body::Deleted) {
                    let mark = Mark { device, seq: row.place.seq, id: row.position.id };
                    if !self.is_cleared(&mark) && !is_deleted(&mark) {
                        any |= self.want_body(row, store)?;
                    }
                }
            }
        }
        self.want_aside(is_deleted, store)?;
        Ok(any)
    }

    pub(super) fn is_cleared(&self, mark: &Mark) -> bool {
        self.cleared.get(&mark.device).is_some_and(|through| mark.seq <= *through)
    }

    fn want_body(&mut self, row: EntryRow, store: &mut dyn Store) -> Result<bool, StoreError> {
        let place = row.place;
        let shown = view::open(&row)?.entry.kind.is_shown();
        if let Some(chain) = self.chain_mut(place.author)
            && chain.read < place.seq
        {
            chain.hidden = chain.hidden.saturating_sub(u64::from(shown));
        }
        self.miss(place);
        store.replace_entry(&EntryRow { body: Body::Missing, ..row })?;
        self.changed = true;
        Ok(true)
    }

    fn empty(&mut self, row: EntryRow, store: &mut dyn Store) -> Result<Option<Place>, StoreError> {
        let place = row.place;
        if !shred(row, store)? {
            return Ok(None);
        }
        self.missing.remove(&(place.author, place.seq));
        if let Some(chain) = self.chain_mut(place.author)
            && chain.read < place.seq
        {
            chain.hidden += 1;
        }
        self.changed = true;
        Ok(Some(place))
    }

    /// What was deleted of a chain, from a place on, stays deleted though its entries go and may
    /// come again: another cut may believe more.
    pub(super) fn doom_deleted(
        &mut self,
        device: DeviceId,
        mut from: Place,
        store: &dyn Store,
    ) -> Result<(), StoreError> {
        loop {
            let rows = store.chain(from, SYNC_ROWS)?;
            let Some(end) = rows.last() else { return Ok(()) };
            from.seq = end.place.seq + 1;
            for row in rows.into_iter().filter(|row| row.body == Body::Deleted) {
                self.doom(device, row.position.id);
            }
        }
    }

    /// Whether an entry that comes now was deleted before.
    pub(super) fn take_doomed(&mut self, mark: &Mark) -> bool {
        self.doomed.remove(&(mark.device, mark.id)) || self.is_cleared(mark)
    }

    /// A body is to be asked for; what there is no room for is looked for later.
    pub(super) fn miss(&mut self, place: Place) {
        if self.missing.len() < MISSING_MAX {
            self.missing.insert((place.author, place.seq));
            self.lacks_bodies = true;
        } else {
            self.overlooked.missing = true;
        }
        self.changed = true;
    }

    /// Bodies have come: there may be room for others.
    pub(super) fn look_for_missing(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        self.lacks_bodies |= !self.missing.is_empty();
        if self.overlooked.missing && self.missing.len() <= MISSING_MAX / 2 {
            self.overlooked.missing = false;
            self.miss_from((AuthorNumber(0), 0), store)?;
        }
        Ok(())
    }

    /// Nobody has these bodies: asks for others first, if there are more than can be asked for.
    pub(crate) fn ask_for_others(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let Some((author, seq)) = self.missing.last().filter(|_| self.overlooked.missing) else {
            return Ok(());
        };
        let next = (*author, seq + 1);
        self.missing.clear();
        self.overlooked.missing = false;
        // That is no news: the pauses between two rounds go on growing.
        let lacks_bodies = self.lacks_bodies;
        self.miss_from(next, store)?;
        self.miss_from((AuthorNumber(0), 0), store)?;
        self.lacks_bodies = lacks_bodies;
        Ok(())
    }

    /// Looks for entries without bodies from a place on, as far as there is room.
    fn miss_from(
        &mut self,
        from: (AuthorNumber, u64),
        store: &dyn Store,
    ) -> Result<(), StoreError> {
        let behind = self.chains().filter(|(number, _)| *number >= from.0);
        let chains: Vec<(AuthorNumber, u64)> =
            behind.map(|(number, chain)| (number, chain.first)).collect();
        for (author, first) in chains {
            let mut seq = if author == from.0 { first.max(from.1) } else { first };
            loop {
                let rows = store.chain(Place { log: self.number, author, seq }, SYNC_ROWS)?;
                let Some(end) = rows.last() else { break };
                seq = end.place.seq + 1;
                for row in rows.iter().filter(|row| row.body == Body::Missing) {
                    if !self.missing.contains(&(author, row.place.seq)) {
                        self.miss(row.place);
                    }
                }
                if self.overlooked.missing {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether bodies are missing that nobody was asked for.
    pub(crate) fn take_lacks_bodies(&mut self) -> bool {
        std::mem::take(&mut self.lacks_bodies)
    }

    /// Entries whose bodies nobody has handed on yet.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (AuthorNumber, u64)> {
        self.missing.iter().copied()
    }
}

/// Deletes the body of an entry, unless deleting leaves it alone. Returns whether there was one to delete, or to
/// wait for.
pub(super) fn shred(row: EntryRow, store: &mut dyn Store) -> Result<bool, StoreError> {
    if row.body == Body::Deleted || view::open(&row)?.entry.kind.is_kept() {
        return Ok(false);
    }
    store.replace_entry(&EntryRow { body: Body::Deleted, ..row })?;
    store.erase();
    Ok(true)
}
