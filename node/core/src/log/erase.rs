//! What was deleted? Bodies that are gone for good on this account's devices; the headers stay, so
//! that the chains still hold for everybody else (spec 07 R7).

use kith_common::{entry::Mark, ids::DeviceId};

use super::Log;
use crate::{
    limits::{DOOMED_MAX, SYNC_ROWS},
    store::{AuthorNumber, Body, EntryRow, Place, Store, StoreError},
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

    fn empty(&mut self, row: EntryRow, store: &mut dyn Store) -> Result<Option<Place>, StoreError> {
        if row.body == Body::Deleted {
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

    /// Whether an entry that comes now was deleted before.
    pub(super) fn take_doomed(&mut self, device: DeviceId, seq: u64) -> bool {
        let cleared = self.cleared.get(&device).is_some_and(|through| seq <= *through);
        self.doomed.remove(&(device, seq)) || cleared
    }

    /// Entries whose bodies nobody has handed on yet.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (AuthorNumber, u64)> {
        self.missing.iter().copied()
    }
}
