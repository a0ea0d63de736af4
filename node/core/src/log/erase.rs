//! What was deleted? Bodies that are gone for good on this account's devices; the headers stay, so
//! that the chains still hold for everybody else (spec 07 R7).

use kith_common::{
    entry::{EntryKind, Mark},
    ids::DeviceId,
};

use super::Log;
use crate::{
    limits::{DOOMED_MAX, MISSING_MAX, SYNC_ROWS},
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
                None if self.doomed.len() < DOOMED_MAX => {
                    self.changed |= self.doomed.insert((mark.device, mark.seq));
                }
                None => {}
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
            let slot = self.cleared.entry(mark.device).or_default();
            self.changed |= *slot < mark.seq;
            *slot = (*slot).max(mark.seq);
            let chains: Vec<(AuthorNumber, u64)> =
                self.chains_of(mark.device).map(|(number, chain)| (number, chain.first)).collect();
            for (author, first) in chains {
                self.clear_chain((author, first), mark.seq, store, &mut gone)?;
            }
        }
        Ok(gone)
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
                    let cleared = self.cleared.get(&device).is_some_and(|to| mark.seq <= *to);
                    if !cleared && !is_deleted(&mark) {
                        any |= self.want_body(row, store)?;
                    }
                }
            }
        }
        Ok(any)
    }

    fn want_body(&mut self, row: EntryRow, store: &mut dyn Store) -> Result<bool, StoreError> {
        let place = row.place;
        if self.missing.len() >= MISSING_MAX {
            return Ok(false);
        }
        let shown = view::open(&row)?.entry.kind.is_shown();
        if let Some(chain) = self.chain_mut(place.author)
            && chain.read < place.seq
        {
            chain.hidden = chain.hidden.saturating_sub(u64::from(shown));
        }
        self.missing.insert((place.author, place.seq));
        self.lacks_bodies = true;
        store.replace_entry(&EntryRow { body: Body::Missing, ..row })?;
        self.changed = true;
        Ok(true)
    }

    fn empty(&mut self, row: EntryRow, store: &mut dyn Store) -> Result<Option<Place>, StoreError> {
        if row.body == Body::Deleted || view::open(&row)?.entry.kind == EntryKind::CUT {
            return Ok(None);
        }
        let place = row.place;
        self.missing.remove(&(place.author, place.seq));
        if let Some(chain) = self.chain_mut(place.author)
            && chain.read < place.seq
        {
            chain.hidden += 1;
        }
        store.replace_entry(&EntryRow { body: Body::Deleted, ..row })?;
        store.erase();
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
                if self.doomed.len() < DOOMED_MAX {
                    self.doomed.insert((device, row.place.seq));
                }
            }
        }
    }

    /// Whether an entry that comes now was deleted before.
    pub(super) fn take_doomed(&mut self, device: DeviceId, seq: u64) -> bool {
        let cleared = self.cleared.get(&device).is_some_and(|through| seq <= *through);
        self.doomed.remove(&(device, seq)) || cleared
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
