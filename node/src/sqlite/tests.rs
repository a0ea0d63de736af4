//! What only somebody with the file in hand can try: these tests know the schema.

mod erase;

use std::{fs, path::PathBuf};

use kith_common::time::Timestamp;
use kith_core::store::Body;
use tempfile::TempDir;

use super::*;

const LOG: LogNumber = LogNumber(1);
const ALICE: AuthorNumber = AuthorNumber(1);

fn master() -> Secret<32> {
    Secret::copied(&[7; 32])
}

fn entry(seq: u64) -> EntryRow {
    EntryRow {
        place: Place { log: LOG, author: ALICE, seq },
        position: Position {
            eff: seq << 16,
            id: EntryId::from_bytes([u8::try_from(seq).unwrap(); 32]),
        },
        depth: seq,
        received_at: Timestamp::from_millis(seq),
        late: false,
        envelope: format!("envelope {seq}").into_bytes().into(),
        body: Body::Here(format!("body {seq}").into_bytes().into()),
    }
}

/// A closed database with three entries of Alice and two contacts.
fn closed() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut store = SqliteStore::create(&path, &master()).unwrap();
    for seq in 1..=3 {
        store.add_entry(&entry(seq)).unwrap();
    }
    store.put_record(RecordKind::Contact, b"bob", b"Bob").unwrap();
    store.put_record(RecordKind::Contact, b"carol", b"Carol").unwrap();
    store.commit().unwrap();
    (folder, path)
}

fn tamper(path: &Path, statements: &str) {
    Connection::open(path).unwrap().execute_batch(statements).unwrap();
}

fn refused(opened: Result<SqliteStore, StoreError>) -> String {
    opened.unwrap_err().to_string()
}

#[test]
fn swapped_entries_do_not_open() {
    let (_folder, path) = closed();
    tamper(
        &path,
        "CREATE TEMP TABLE old AS SELECT seq, sealed FROM entries;
         UPDATE entries SET sealed = (SELECT sealed FROM old WHERE old.seq = 3 - entries.seq)
         WHERE seq < 3;",
    );
    let store = SqliteStore::open(&path, &master()).unwrap();
    for seq in [1, 2] {
        let error = store.entry(entry(seq).place).unwrap_err().to_string();
        assert!(error.contains("changed, moved"), "{error}");
    }
    assert_eq!(store.entry(entry(3).place).unwrap(), Some(entry(3)));
    assert!(store.newest(LOG, None, 10).is_err());
}

#[test]
fn an_entry_moved_in_the_order_or_to_another_log_does_not_open() {
    for change in ["eff = eff + 1", "log = 2", "author = 2", "seq = 4"] {
        let (_folder, path) = closed();
        tamper(&path, &format!("UPDATE entries SET {change} WHERE seq = 3"));
        let store = SqliteStore::open(&path, &master()).unwrap();
        let found: Vec<_> = [(1, 1, 3), (2, 1, 3), (1, 2, 3), (1, 1, 4)]
            .map(|(log, author, seq)| Place {
                log: LogNumber(log),
                author: AuthorNumber(author),
                seq,
            })
            .map(|place| store.entry(place))
            .into_iter()
            .collect();
        assert!(found.iter().any(Result::is_err), "{change}");
        assert!(!found.iter().any(|row| matches!(row, Ok(Some(_)))), "{change}");
    }
}

#[test]
fn exchanged_records_do_not_open() {
    let (_folder, path) = closed();
    tamper(
        &path,
        "CREATE TEMP TABLE old AS SELECT name, sealed FROM records;
         UPDATE records SET sealed = (SELECT sealed FROM old WHERE old.name <> records.name);",
    );
    let store = SqliteStore::open(&path, &master()).unwrap();
    assert!(store.record(RecordKind::Contact, b"bob").is_err());
    assert!(store.records(RecordKind::Contact).is_err());
}

#[test]
fn a_record_of_another_kind_does_not_open() {
    let (_folder, path) = closed();
    tamper(&path, "UPDATE records SET kind = 5");
    let store = SqliteStore::open(&path, &master()).unwrap();
    assert!(store.records(RecordKind::Setting).is_err());
}

#[test]
fn any_changed_byte_of_a_row_is_noticed() {
    let (_folder, path) = closed();
    let sealed: Vec<u8> = Connection::open(&path)
        .unwrap()
        .query_row("SELECT sealed FROM entries WHERE seq = 2", (), |row| row.get(0))
        .unwrap();
    let keys = RowKeys::new(&master());
    let place = EntryPlace { place: entry(2).place, eff: entry(2).position.eff };
    assert_eq!(keys.open_entry(place, &sealed).unwrap(), entry(2));
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(keys.open_entry(place, &changed).is_err(), "byte {at}");
    }
    assert!(keys.open_entry(place, &sealed[..10]).is_err());
}

#[test]
fn a_wrong_key_opens_nothing() {
    let (_folder, path) = closed();
    let error = refused(SqliteStore::open(&path, &Secret::copied(&[8; 32])));
    assert!(error.contains("the key does not fit"), "{error}");
}

#[test]
fn a_newer_schema_is_refused() {
    let (_folder, path) = closed();
    tamper(&path, "PRAGMA user_version = 3");
    let error = refused(SqliteStore::open(&path, &master()));
    assert!(error.contains("newer Kith"), "{error}");
}

#[test]
fn only_a_database_of_ours_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let error = refused(SqliteStore::open(&path, &master()));
    assert!(error.contains("missing"), "{error}");
    assert!(!path.exists());
    fs::write(&path, "a shopping list, nothing more; long enough for a header".repeat(20)).unwrap();
    let error = refused(SqliteStore::open(&path, &master()));
    assert!(error.contains("no Kith database"), "{error}");
    fs::remove_file(&path).unwrap();
    tamper(&path, "CREATE TABLE other (x)");
    let error = refused(SqliteStore::open(&path, &master()));
    assert!(error.contains("no Kith database"), "{error}");
}

#[test]
fn a_database_is_never_made_over_another() {
    let (_folder, path) = closed();
    let error = refused(SqliteStore::create(&path, &master()));
    assert!(error.contains("already"), "{error}");
    let store = SqliteStore::open(&path, &master()).unwrap();
    assert_eq!(store.entry(entry(3).place).unwrap(), Some(entry(3)));
}

#[test]
fn a_damaged_database_says_what_to_do() {
    let (_folder, path) = closed();
    let mut bytes = fs::read(&path).unwrap();
    let page = 4096;
    bytes[3 * page..].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let store = SqliteStore::open(&path, &master()).unwrap();
    let errors = [
        store.entry(entry(3).place).err(),
        store.newest(LOG, None, 9).err(),
        store.records(RecordKind::Setting).err(),
        store.records(RecordKind::Contact).err(),
    ];
    let errors: Vec<String> = errors.into_iter().flatten().map(|e| e.to_string()).collect();
    assert!(!errors.is_empty());
    for error in errors {
        assert!(error.contains("put a copy of the whole home in its place"), "{error}");
    }
}

#[test]
fn two_nodes_never_have_one_database() {
    let (_folder, path) = closed();
    let first = SqliteStore::open(&path, &master()).unwrap();
    let error = refused(SqliteStore::open(&path, &master()));
    assert!(error.contains("another Kith has this home open"), "{error}");
    drop(first);
    assert!(SqliteStore::open(&path, &master()).is_ok());
}

/// Names are hashes of 64 bits: two ids could share one, and the right entry must be told apart.
#[test]
fn entries_with_one_name_are_told_apart() {
    let (_folder, path) = closed();
    let name = RowKeys::new(&master()).entry_name(entry(3).position.id);
    tamper(&path, &format!("UPDATE entries SET name = {name}"));
    let store = SqliteStore::open(&path, &master()).unwrap();
    assert_eq!(store.find(LOG, entry(3).position.id).unwrap(), Some(entry(3).place));
    assert_eq!(store.find(LOG, EntryId::from_bytes([99; 32])).unwrap(), None);
}

/// A full disk: SQLite takes the transaction back by itself, in the middle of an input.
#[test]
fn a_transaction_lost_in_the_middle_is_not_half_kept() {
    let (_folder, path) = closed();
    let mut store = SqliteStore::open(&path, &master()).unwrap();
    store.begin().unwrap();
    store.put_record(RecordKind::Setting, b"first", b"1").unwrap();
    store.connection.execute_batch("ROLLBACK").unwrap();
    assert!(store.put_record(RecordKind::Setting, b"second", b"2").is_err());
    assert!(store.commit().is_err());
    assert_eq!(store.records(RecordKind::Setting).unwrap(), []);
    store.put_record(RecordKind::Setting, b"third", b"3").unwrap();
    store.commit().unwrap();
    assert_eq!(store.records(RecordKind::Setting).unwrap().len(), 1);
}

#[test]
fn the_write_ahead_log_stays_small_and_settings_hold() {
    let (folder, path) = closed();
    let mut store = SqliteStore::open(&path, &master()).unwrap();
    for round in 0..400_u64 {
        store.put_record(RecordKind::Log, &round.to_be_bytes(), &[1; 60_000]).unwrap();
        store.commit().unwrap();
    }
    let log = fs::metadata(folder.path().join("store.db-wal")).unwrap().len();
    assert!(log < 8 << 20, "{log} bytes after writing 24 MB");
    let number =
        |name| store.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((number("synchronous"), number("secure_delete")), (2, 1));
    assert_eq!((number("cache_size"), number("temp_store")), (-4096, 2));
    let mode = |name| {
        store.connection.pragma_query_value(None, name, |row| row.get::<_, String>(0)).unwrap()
    };
    assert_eq!((mode("journal_mode"), mode("locking_mode")), ("wal".into(), "exclusive".into()));
    drop(store);
    assert!(!folder.path().join("store.db-wal").exists());
    assert!(!folder.path().join("store.db-shm").exists());
}

#[test]
fn clocks_keep_their_order() {
    for pair in [0, 1, 1 << 57, (1 << 63) - 1, 1 << 63, u64::MAX].windows(2) {
        assert!(signed(pair[0]) < signed(pair[1]));
        assert_eq!(unsigned(signed(pair[0])), pair[0]);
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, path) = closed();
    let mut store = SqliteStore::open(&path, &master()).unwrap();
    store.put_record(RecordKind::Setting, b"a", b"b").unwrap();
    store.commit().unwrap();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}
