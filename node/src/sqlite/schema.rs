//! How is the database laid out, and who may open it? Schema version 2.

use std::{fs::File, io, path::Path, time::Duration};

use kith_core::store::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use thiserror::Error;

use super::row::RowKeys;

/// `kith` in ASCII; marks the file as ours.
const APPLICATION_ID: i32 = 0x6b69_7468;
const SCHEMA_VERSION: i32 = 2;

/// `secure_delete` overwrites what a row leaves behind, but not the copies that SQLite may leave in
/// the unused part of a page when it moves rows between pages. So rows of `entries` never move: they
/// are appended, overwritten by no more bytes, or emptied, and neither grow nor go; an emptied row
/// is in no index. Records are few: erasing writes them all anew. Indexes may keep names (keyed
/// hashes) and clocks of what is gone.
const TABLES: &str = "
CREATE TABLE checks (number INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
CREATE TABLE records (
    kind INTEGER NOT NULL,
    name BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE entries (
    number INTEGER PRIMARY KEY,
    log INTEGER,
    author INTEGER,
    seq INTEGER,
    eff INTEGER,
    name INTEGER,
    sealed BLOB
) STRICT;
CREATE UNIQUE INDEX entries_by_place ON entries (log, author, seq) WHERE log IS NOT NULL;
CREATE INDEX entries_by_eff ON entries (log, eff) WHERE log IS NOT NULL;
CREATE INDEX entries_by_name ON entries (name) WHERE name IS NOT NULL;
";

/// One process at a time: the lock is taken on the first read and kept until the store is dropped.
/// A page cache of 4 MiB and no memory map keep an idle node small. The write-ahead log goes into the
/// database at 1,000 pages (SQLite's default), so it holds 4 MiB and one transaction at most; what a
/// large transaction took is given back.
const SETTINGS: &str = "
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA cache_size = -4096;
PRAGMA mmap_size = 0;
PRAGMA temp_store = MEMORY;
PRAGMA journal_size_limit = 4194304;
PRAGMA cell_size_check = ON;
PRAGMA trusted_schema = OFF;
";

/// Why a database could not be made or opened.
#[derive(Debug, Error)]
enum SchemaError {
    #[error("a database is there already; use another home, or `kith` without `init`")]
    Exists,
    #[error(
        "the database is missing; put it back from a copy of the whole home, or begin a new home \
         with `kith init` elsewhere"
    )]
    Missing,
    #[error("another Kith has this home open; stop it first, or use another home")]
    InUse,
    #[error("this is no Kith database; put the right one back from a copy of the whole home")]
    Foreign,
    #[error(
        "a newer Kith wrote this database (schema {found}, this one knows {SCHEMA_VERSION}); \
         install the newer version"
    )]
    Newer { found: i32 },
    #[error("the key does not fit this database; keys and database must come from one home")]
    WrongKey,
    #[error("the write-ahead log could not be emptied; it may still hold what was deleted")]
    Log,
    #[error("the file cannot be read or written: {0}")]
    File(#[from] io::Error),
    #[error("the database is damaged; put a copy of the whole home in its place")]
    Damaged,
    #[error("the database refuses: {0}")]
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for SchemaError {
    fn from(cause: rusqlite::Error) -> Self {
        match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse,
            Some(ErrorCode::NotADatabase) => Self::Foreign,
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged,
            _ => Self::Database(cause),
        }
    }
}

/// A sentence for what only a copy can mend.
pub(super) fn damage(cause: &rusqlite::Error) -> Option<String> {
    let is_damage = matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt));
    is_damage.then(|| SchemaError::Damaged.to_string())
}

pub(super) fn create(path: &Path, keys: &RowKeys) -> Result<Connection, StoreError> {
    create_database(path, keys).map_err(|cause| StoreError::new("Making the database", cause))
}

pub(super) fn open(path: &Path, keys: &RowKeys) -> Result<Connection, StoreError> {
    open_database(path, keys).map_err(|cause| StoreError::new("Opening the database", cause))
}

/// Whether the last to use the database has left its log behind, as one does that crashes.
pub(super) fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// Writes the log into the database and cuts it to nothing: it held what is deleted by now.
pub(super) fn empty_log(connection: &Connection) -> Result<(), StoreError> {
    truncate_log(connection)
        .map_err(|cause| StoreError::new("Erasing what was deleted from the disk", cause))
}

fn create_database(path: &Path, keys: &RowKeys) -> Result<Connection, SchemaError> {
    create_private(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => SchemaError::Exists,
        _ => SchemaError::File(cause),
    })?;
    let mut connection = connect(path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute("INSERT INTO checks VALUES (1, ?1)", [keys.check_value()])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    Ok(connection)
}

fn open_database(path: &Path, keys: &RowKeys) -> Result<Connection, SchemaError> {
    if !path.try_exists()? {
        return Err(SchemaError::Missing);
    }
    let connection = connect(path)?;
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if number("application_id")? != APPLICATION_ID {
        return Err(SchemaError::Foreign);
    }
    match number("user_version")? {
        SCHEMA_VERSION => {}
        found if found > SCHEMA_VERSION => return Err(SchemaError::Newer { found }),
        _ => return Err(SchemaError::Foreign),
    }
    let check: Vec<u8> =
        connection.query_row("SELECT sealed FROM checks WHERE number = 1", (), |row| row.get(0))?;
    if !keys.check_opens(&check) {
        return Err(SchemaError::WrongKey);
    }
    // A process that was killed may have been about to do so.
    truncate_log(&connection)?;
    Ok(connection)
}

fn truncate_log(connection: &Connection) -> Result<(), SchemaError> {
    let (busy, frames): (i64, i64) = connection
        .prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    if (busy, frames) == (0, 0) { Ok(()) } else { Err(SchemaError::Log) }
}

fn connect(path: &Path) -> Result<Connection, SchemaError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.execute_batch(SETTINGS)?;
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT;")?;
    Ok(connection)
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
