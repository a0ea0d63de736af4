//! What if nothing needs to outlive the process? A store in memory, for simulation and tests.

use std::collections::BTreeMap;

use kith_common::ids::EntryId;

use super::{AuthorNumber, EntryRow, LogNumber, Place, Position, RecordKind, Store, StoreError};

type RecordKey = (RecordKind, Vec<u8>);

/// A store in memory with transactions: [`commit`](Self::commit) keeps and
/// [`rollback`](Self::rollback) takes back everything written since the last of either.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    records: BTreeMap<RecordKey, Vec<u8>>,
    chains: BTreeMap<(LogNumber, AuthorNumber), BTreeMap<u64, EntryRow>>,
    order: BTreeMap<(LogNumber, Position), (AuthorNumber, u64)>,
    undo: Vec<Undo>,
}

#[derive(Debug, Clone)]
enum Undo {
    Record(RecordKey, Option<Vec<u8>>),
    Added(Place),
    Removed(EntryRow),
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps what was written.
    pub fn commit(&mut self) {
        self.undo.clear();
    }

    /// Takes back what was written since the last commit.
    pub fn rollback(&mut self) {
        for step in std::mem::take(&mut self.undo).into_iter().rev() {
            match step {
                Undo::Record(key, Some(value)) => drop(self.records.insert(key, value)),
                Undo::Record(key, None) => drop(self.records.remove(&key)),
                Undo::Added(place) => drop(self.take_out(place)),
                Undo::Removed(row) => self.put_in(row),
            }
        }
    }

    /// Number of entries held, over all logs.
    pub fn entry_count(&self) -> usize {
        self.order.len()
    }

    fn at(&self, place: Place) -> Option<&EntryRow> {
        self.chains.get(&(place.log, place.author))?.get(&place.seq)
    }

    fn put_in(&mut self, row: EntryRow) {
        let Place { log, author, seq } = row.place;
        self.order.insert((log, row.position), (author, seq));
        self.chains.entry((log, author)).or_default().insert(seq, row);
    }

    fn take_out(&mut self, place: Place) -> Option<EntryRow> {
        let chain = self.chains.get_mut(&(place.log, place.author))?;
        let row = chain.remove(&place.seq)?;
        self.order.remove(&(place.log, row.position));
        Some(row)
    }
}

impl Store for MemoryStore {
    fn record(&self, kind: RecordKind, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.records.get(&(kind, key.to_vec())).cloned())
    }

    fn records(&self, kind: RecordKind) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let from = (kind, Vec::new());
        Ok(self
            .records
            .range(from..)
            .take_while(|((found, _), _)| *found == kind)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect())
    }

    fn put_record(&mut self, kind: RecordKind, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let key = (kind, key.to_vec());
        let before = self.records.insert(key.clone(), value.to_vec());
        self.undo.push(Undo::Record(key, before));
        Ok(())
    }

    fn remove_record(&mut self, kind: RecordKind, key: &[u8]) -> Result<(), StoreError> {
        let key = (kind, key.to_vec());
        if let Some(before) = self.records.remove(&key) {
            self.undo.push(Undo::Record(key, Some(before)));
        }
        Ok(())
    }

    fn add_entry(&mut self, row: &EntryRow) -> Result<(), StoreError> {
        let Place { log, author, seq } = row.place;
        let last = self.chains.get(&(log, author)).and_then(|chain| chain.keys().next_back());
        if last.is_some_and(|last| last + 1 != seq) {
            return Err(StoreError::new("Adding an entry", "its place is taken or not yet next"));
        }
        self.put_in(row.clone());
        self.undo.push(Undo::Added(row.place));
        Ok(())
    }

    fn replace_entry(&mut self, row: &EntryRow) -> Result<(), StoreError> {
        let Some(before) = self.take_out(row.place) else {
            return Err(StoreError::new("Changing an entry", "it is not there"));
        };
        self.put_in(row.clone());
        self.undo.extend([Undo::Removed(before), Undo::Added(row.place)]);
        Ok(())
    }

    fn truncate_chain(&mut self, from: Place) -> Result<(), StoreError> {
        let chain = self.chains.get(&(from.log, from.author));
        let seqs: Vec<u64> = chain
            .into_iter()
            .flat_map(|chain| chain.range(from.seq..))
            .map(|(seq, _)| *seq)
            .collect();
        for seq in seqs.into_iter().rev() {
            let removed = self.take_out(Place { seq, ..from });
            self.undo.extend(removed.map(Undo::Removed));
        }
        Ok(())
    }

    fn erase(&mut self) {}

    fn erase_soon(&mut self) {}

    fn entry(&self, place: Place) -> Result<Option<EntryRow>, StoreError> {
        Ok(self.at(place).cloned())
    }

    fn find(&self, log: LogNumber, id: EntryId) -> Result<Option<Place>, StoreError> {
        let lowest = (log, Position { eff: 0, id: EntryId::from_bytes([0; 32]) });
        Ok(self
            .order
            .range(lowest..)
            .take_while(|((found, _), _)| *found == log)
            .find(|((_, position), _)| position.id == id)
            .map(|(_, (author, seq))| Place { log, author: *author, seq: *seq }))
    }

    fn chain(&self, from: Place, limit: usize) -> Result<Vec<EntryRow>, StoreError> {
        let chain = self.chains.get(&(from.log, from.author));
        let rows = chain.into_iter().flat_map(|chain| chain.range(from.seq..));
        Ok(rows.take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn newest(
        &self,
        log: LogNumber,
        below: Option<Position>,
        limit: usize,
    ) -> Result<Vec<EntryRow>, StoreError> {
        let top = Position { eff: u64::MAX, id: EntryId::from_bytes([0xff; 32]) };
        let lowest = Position { eff: 0, id: EntryId::from_bytes([0; 32]) };
        Ok(self
            .order
            .range((log, lowest)..(log, below.unwrap_or(top)))
            .rev()
            .take(limit)
            .filter_map(|(_, (author, seq))| {
                self.at(Place { log, author: *author, seq: *seq }).cloned()
            })
            .collect())
    }
}
