//! How does a node keep entries and records on disk? One SQLite database with sealed rows.
//!
//! What a row says and whom it names is sealed (see `sqlite/row.rs`). In the clear stand the local
//! numbers of logs and authors, sequence numbers, clocks and the sizes of rows: how much was
//! written when, but neither by whom nor what. A row opens only in its own place, so rows cannot be
//! swapped; an old row put back into its own place, or a row taken away, goes unnoticed.

mod row;
mod schema;
#[cfg(test)]
mod tests;

use core::fmt;
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use kith_common::{ids::EntryId, keys::Secret};
use kith_core::store::{
    AuthorNumber, EntryRow, LogNumber, Place, Position, RecordKind, Store, StoreError,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use self::row::{EntryPlace, RowKeys};

/// Empties rows, which is how they are removed; see the schema.
const EMPTY: &str = "UPDATE entries SET log = NULL, author = NULL, seq = NULL, eff = NULL, \
                     name = NULL, sealed = NULL";

/// The columns of an entry that say what it is.
struct SealedEntry {
    eff: i64,
    name: i64,
    sealed: Vec<u8>,
}

/// A store in a SQLite database that belongs to this process alone.
///
/// The first write begins a transaction if none is open. [`commit`](Self::commit) returns after
/// the disk has everything; what was not committed is gone after a crash or a drop.
pub struct SqliteStore {
    connection: Connection,
    keys: RowKeys,
    begun: bool,
    /// Last sequence numbers of the chains added to since the last rollback; asking the database
    /// before every insert costs a quarter of it.
    last_seqs: BTreeMap<(LogNumber, AuthorNumber), u64>,
    /// Whether something that was asked to be erased may still be in the write-ahead log.
    erasing: bool,
    /// When that is asked for by itself.
    erase_at: Option<Instant>,
}

/// Each erasing writes all records again: letters have it done once for all of a minute.
const ERASE_PAUSE: Duration = Duration::from_secs(60);

impl SqliteStore {
    /// Makes a new database, readable by its owner only.
    ///
    /// # Errors
    /// If something stands at the path already or the disk refuses.
    pub fn create(path: &Path, master: &Secret<32>) -> Result<Self, StoreError> {
        let keys = RowKeys::new(master);
        let connection = schema::create(path, &keys)?;
        Ok(Self::new(connection, keys))
    }

    /// Opens a database made by [`create`](Self::create). A missing one is never made anew here: a
    /// node that forgot what it signed would contradict itself.
    ///
    /// # Errors
    /// If it is missing, open in another process, made by a newer version, damaged, or sealed under
    /// another key.
    pub fn open(path: &Path, master: &Secret<32>) -> Result<Self, StoreError> {
        let keys = RowKeys::new(master);
        let has_crashed = schema::has_log(path);
        let connection = schema::open(path, &keys)?;
        let mut store = Self::new(connection, keys);
        if has_crashed {
            // What was to be erased soon may not have been.
            store.erase_soon();
        }
        Ok(store)
    }

    const fn new(connection: Connection, keys: RowKeys) -> Self {
        Self {
            connection,
            keys,
            begun: false,
            last_seqs: BTreeMap::new(),
            erasing: false,
            erase_at: None,
        }
    }

    /// Begins a transaction if none is open.
    ///
    /// # Errors
    /// If the database refuses, or took the open transaction back by itself.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        if self.begun {
            return self.still_begun();
        }
        self.run("BEGIN IMMEDIATE", "Beginning a transaction")?;
        self.begun = true;
        Ok(())
    }

    /// Keeps what was written since the transaction began, then [erases](Store::erase) if that was
    /// asked for; with no transaction open only that.
    ///
    /// # Errors
    /// If the disk refuses. What was written is then taken back, unless the erasing alone failed;
    /// the next commit tries it again.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if self.erase_at.is_some_and(|at| at <= Instant::now()) {
            self.erasing = true;
        }
        if self.erasing && !self.begun {
            self.begin()?;
        }
        if self.begun {
            let kept = self.finish();
            match kept {
                Ok(()) => self.begun = false,
                Err(_) => self.rollback()?,
            }
            kept?;
        }
        if self.erasing {
            schema::empty_log(&self.connection)?;
            (self.erasing, self.erase_at) = (false, None);
        }
        Ok(())
    }

    /// Takes back what was written since the transaction began.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn rollback(&mut self) -> Result<(), StoreError> {
        if self.begun && !self.connection.is_autocommit() {
            self.run("ROLLBACK", "Taking a transaction back")?;
        }
        self.begun = false;
        self.last_seqs.clear();
        Ok(())
    }

    fn finish(&self) -> Result<(), StoreError> {
        self.still_begun()?;
        if self.erasing {
            self.renew_records().map_err(failed("Erasing former records"))?;
        }
        self.run("COMMIT", "Writing to the disk")
    }

    /// Writes all records into pages that were emptied before, where nothing former is left: see
    /// the schema.
    fn renew_records(&self) -> rusqlite::Result<()> {
        type Columns = (i64, Vec<u8>, Vec<u8>);
        let records: Vec<Columns> = self
            .connection
            .prepare_cached("SELECT kind, name, sealed FROM records ORDER BY kind, name")?
            .query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        self.connection.prepare_cached("DELETE FROM records")?.execute(())?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO records (kind, name, sealed) VALUES (?1, ?2, ?3)")?;
        for record in records {
            insert.execute(record)?;
        }
        Ok(())
    }

    /// The last sequence number of a chain, or `None` if it has no entry.
    fn last_seq(&self, log: LogNumber, author: AuthorNumber) -> Result<Option<u64>, StoreError> {
        if let Some(last) = self.last_seqs.get(&(log, author)) {
            return Ok(Some(*last));
        }
        self.connection
            .prepare_cached("SELECT max(seq) FROM entries WHERE log = ?1 AND author = ?2")
            .and_then(|mut statement| {
                statement.query_row(params![log.0, author.0], |row| row.get::<_, Option<i64>>(0))
            })
            .map(|last| last.map(i64::cast_unsigned))
            .map_err(failed("Reading the end of a chain"))
    }

    fn seal(&self, row: &EntryRow) -> SealedEntry {
        let EntryRow { place, position: Position { eff, id }, .. } = *row;
        SealedEntry {
            eff: signed(eff),
            name: self.keys.entry_name(id),
            sealed: self.keys.seal_entry(EntryPlace { place, eff }, row),
        }
    }

    fn append(&self, place: Place, entry: &SealedEntry) -> rusqlite::Result<()> {
        let Place { log, author, seq } = place;
        let SealedEntry { eff, name, sealed } = entry;
        self.connection
            .prepare_cached(
                "INSERT INTO entries (log, author, seq, eff, name, sealed) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![log.0, author.0, seq.cast_signed(), eff, name, sealed])
            .map(drop)
    }

    /// The number of the row at a place and the size of what is sealed there.
    fn row_at(&self, place: Place) -> rusqlite::Result<Option<(i64, isize)>> {
        let Ok(seq) = i64::try_from(place.seq) else { return Ok(None) };
        self.connection
            .prepare_cached(
                "SELECT number, length(sealed) FROM entries \
                 WHERE log = ?1 AND author = ?2 AND seq = ?3",
            )?
            .query_row(params![place.log.0, place.author.0, seq], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
    }

    /// Writes over a row in place if the new one is no larger; else empties it and appends.
    fn overwrite(&self, row: &EntryRow, number: i64, size: isize) -> rusqlite::Result<()> {
        let entry = self.seal(row);
        if entry.sealed.len().cast_signed() > size {
            let empty = format!("{EMPTY} WHERE number = ?1");
            self.connection.prepare_cached(&empty)?.execute([number])?;
            return self.append(row.place, &entry);
        }
        let SealedEntry { eff, name, sealed } = entry;
        self.connection
            .prepare_cached(
                "UPDATE entries SET eff = ?1, name = ?2, sealed = ?3 WHERE number = ?4",
            )?
            .execute(params![eff, name, sealed, number])
            .map(drop)
    }

    fn run(&self, statement: &str, doing: &'static str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(statement)
            .and_then(|mut statement| statement.execute(()))
            .map(drop)
            .map_err(failed(doing))
    }

    /// SQLite takes a transaction back by itself when the disk is full: what is written afterwards
    /// must not be kept without what went before.
    fn still_begun(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            return Err(StoreError::new("Writing to the disk", "the transaction was taken back"));
        }
        Ok(())
    }

    /// Reads a row of `author, seq, eff, sealed`.
    fn entry_row(&self, log: LogNumber, row: &Row<'_>) -> Result<EntryRow, StoreError> {
        const DOING: &str = "Reading an entry";
        let author = AuthorNumber(row.get(0).map_err(failed(DOING))?);
        let seq: i64 = row.get(1).map_err(failed(DOING))?;
        let place = Place { log, author, seq: seq.cast_unsigned() };
        let eff = row.get(2).map(unsigned).map_err(failed(DOING))?;
        let sealed = row.get_ref(3).map_err(failed(DOING))?;
        let sealed = sealed.as_blob().map_err(|cause| StoreError::new(DOING, cause))?;
        self.keys.open_entry(EntryPlace { place, eff }, sealed)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if self.erase_at.is_some() && !self.begun {
            self.erasing = true;
            // If the disk refuses, the next one to open it finds the log.
            let _ = self.commit();
        }
    }
}

impl Store for SqliteStore {
    fn record(&self, kind: RecordKind, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        const DOING: &str = "Reading a record";
        let name = self.keys.record_name(kind, key);
        let mut statement = self
            .connection
            .prepare_cached("SELECT sealed FROM records WHERE kind = ?1 AND name = ?2")
            .map_err(failed(DOING))?;
        let mut rows = statement.query(params![kind as u8, name]).map_err(failed(DOING))?;
        let Some(row) = rows.next().map_err(failed(DOING))? else {
            return Ok(None);
        };
        let (found, value) = self.record_row(kind, &name, row, 0)?;
        if found == key {
            Ok(Some(value))
        } else {
            Err(StoreError::new(DOING, "two records have one name; the database is damaged"))
        }
    }

    fn records(&self, kind: RecordKind) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        const DOING: &str = "Reading records";
        let mut statement = self
            .connection
            .prepare_cached("SELECT name, sealed FROM records WHERE kind = ?1")
            .map_err(failed(DOING))?;
        let mut rows = statement.query([kind as u8]).map_err(failed(DOING))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed(DOING))? {
            let name: [u8; row::RECORD_NAME_BYTES] = row.get(0).map_err(failed(DOING))?;
            found.push(self.record_row(kind, &name, row, 1)?);
        }
        Ok(found)
    }

    fn put_record(&mut self, kind: RecordKind, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.begin()?;
        let name = self.keys.record_name(kind, key);
        let sealed = self.keys.seal_record(kind, &name, key, value);
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO records (kind, name, sealed) VALUES (?1, ?2, ?3)",
            )
            .and_then(|mut statement| statement.execute(params![kind as u8, name, sealed]))
            .map(drop)
            .map_err(failed("Writing a record"))
    }

    fn remove_record(&mut self, kind: RecordKind, key: &[u8]) -> Result<(), StoreError> {
        self.begin()?;
        let name = self.keys.record_name(kind, key);
        self.connection
            .prepare_cached("DELETE FROM records WHERE kind = ?1 AND name = ?2")
            .and_then(|mut statement| statement.execute(params![kind as u8, name]))
            .map(drop)
            .map_err(failed("Removing a record"))
    }

    fn add_entry(&mut self, row: &EntryRow) -> Result<(), StoreError> {
        const DOING: &str = "Adding an entry";
        self.begin()?;
        let Place { log, author, seq } = row.place;
        let next = self.last_seq(log, author)?.is_none_or(|last| last.checked_add(1) == Some(seq));
        if !next || i64::try_from(seq).is_err() {
            return Err(StoreError::new(DOING, "its place is taken or not yet next"));
        }
        self.append(row.place, &self.seal(row)).map_err(failed(DOING))?;
        self.last_seqs.insert((log, author), seq);
        Ok(())
    }

    fn replace_entry(&mut self, row: &EntryRow) -> Result<(), StoreError> {
        const DOING: &str = "Changing an entry";
        self.begin()?;
        let Some((number, size)) = self.row_at(row.place).map_err(failed(DOING))? else {
            return Err(StoreError::new(DOING, "it is not there"));
        };
        self.overwrite(row, number, size).map_err(failed(DOING))
    }

    fn truncate_chain(&mut self, from: Place) -> Result<(), StoreError> {
        self.begin()?;
        let Ok(seq) = i64::try_from(from.seq) else {
            return Ok(());
        };
        self.last_seqs.remove(&(from.log, from.author));
        self.connection
            .prepare_cached(&format!("{EMPTY} WHERE log = ?1 AND author = ?2 AND seq >= ?3"))
            .and_then(|mut statement| {
                statement.execute(params![from.log.0, from.author.0, seq]).map(drop)
            })
            .map_err(failed("Removing entries"))
    }

    fn erase(&mut self) {
        self.erasing = true;
    }

    fn erase_soon(&mut self) {
        self.erase_at.get_or_insert_with(|| Instant::now() + ERASE_PAUSE);
    }

    fn entry(&self, place: Place) -> Result<Option<EntryRow>, StoreError> {
        Ok(self.chain(place, 1)?.pop().filter(|row| row.place == place))
    }

    fn find(&self, log: LogNumber, id: EntryId) -> Result<Option<Place>, StoreError> {
        const DOING: &str = "Finding an entry";
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT author, seq, eff, sealed FROM entries WHERE name = ?1 AND log = ?2",
            )
            .map_err(failed(DOING))?;
        let mut rows =
            statement.query(params![self.keys.entry_name(id), log.0]).map_err(failed(DOING))?;
        while let Some(row) = rows.next().map_err(failed(DOING))? {
            let found = self.entry_row(log, row)?;
            if found.position.id == id {
                return Ok(Some(found.place));
            }
        }
        Ok(None)
    }

    fn chain(&self, from: Place, limit: usize) -> Result<Vec<EntryRow>, StoreError> {
        const DOING: &str = "Reading entries of an author";
        let Ok(seq) = i64::try_from(from.seq) else {
            return Ok(Vec::new());
        };
        // A bound LIMIT would make SQLite prepare the statement anew each time.
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT author, seq, eff, sealed FROM entries \
                 WHERE log = ?1 AND author = ?2 AND seq >= ?3 ORDER BY seq",
            )
            .map_err(failed(DOING))?;
        let mut rows =
            statement.query(params![from.log.0, from.author.0, seq]).map_err(failed(DOING))?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(row) = rows.next().map_err(failed(DOING))?
        {
            found.push(self.entry_row(from.log, row)?);
        }
        Ok(found)
    }

    /// The database orders by `eff` alone, as ids are sealed; rows with one `eff` (few: at most one
    /// of each author) are gathered and put in order here.
    fn newest(
        &self,
        log: LogNumber,
        below: Option<Position>,
        limit: usize,
    ) -> Result<Vec<EntryRow>, StoreError> {
        const DOING: &str = "Reading the newest entries";
        if limit == 0 {
            return Ok(Vec::new());
        }
        let highest = signed(below.map_or(u64::MAX, |position| position.eff));
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT author, seq, eff, sealed FROM entries \
                 WHERE log = ?1 AND eff <= ?2 ORDER BY eff DESC",
            )
            .map_err(failed(DOING))?;
        let mut rows = statement.query(params![log.0, highest]).map_err(failed(DOING))?;
        let mut found: Vec<EntryRow> = Vec::new();
        let mut tied: Vec<EntryRow> = Vec::new();
        while let Some(row) = rows.next().map_err(failed(DOING))? {
            let eff = row.get(2).map(unsigned).map_err(failed(DOING))?;
            if tied.first().is_some_and(|first| first.position.eff != eff) {
                take_tied(&mut tied, below, &mut found);
                if found.len() >= limit {
                    break;
                }
            }
            tied.push(self.entry_row(log, row)?);
        }
        take_tied(&mut tied, below, &mut found);
        found.truncate(limit);
        Ok(found)
    }
}

impl SqliteStore {
    fn record_row(
        &self,
        kind: RecordKind,
        name: &[u8; row::RECORD_NAME_BYTES],
        row: &Row<'_>,
        column: usize,
    ) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
        const DOING: &str = "Reading a record";
        let sealed = row.get_ref(column).map_err(failed(DOING))?;
        let sealed = sealed.as_blob().map_err(|cause| StoreError::new(DOING, cause))?;
        self.keys.open_record(kind, name, sealed)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("begun", &self.begun).finish_non_exhaustive()
    }
}

fn take_tied(tied: &mut Vec<EntryRow>, below: Option<Position>, found: &mut Vec<EntryRow>) {
    tied.sort_unstable_by_key(|row| core::cmp::Reverse(row.position));
    let lower = |row: &EntryRow| below.is_none_or(|below| row.position < below);
    found.extend(tied.drain(..).filter(lower));
}

/// A number of 64 bits as SQLite's signed one, in the same order.
const fn signed(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

fn failed(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |cause| match schema::damage(&cause) {
        Some(damage) => StoreError::new(doing, damage),
        None => StoreError::new(doing, cause),
    }
}
