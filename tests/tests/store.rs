//! Do both stores behave, and does the one on disk keep its promises against thieves and crashes?

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use kith::sqlite::SqliteStore;
use kith_common::{
    ids::{AccountId, DeviceId, EntryId, LogId},
    keys::Secret,
};
use kith_core::store::{
    Body, EntryRow, LogNumber, Position, RecordKind, Store, memory::MemoryStore,
};
use kith_tests::store_conformance::{BEHAVIOURS, Outcome, TestStore, entry, place};
use proptest::prelude::*;
use tempfile::TempDir;

type Result<T = ()> = core::result::Result<T, Box<dyn Error>>;

fn master() -> Secret<32> {
    Secret::copied(&[7; 32])
}

/// A database in a folder of its own.
struct Disk {
    store: Option<SqliteStore>,
    folder: TempDir,
}

impl Disk {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = SqliteStore::create(&folder.path().join("store.db"), &master())?;
        Ok(Self { store: Some(store), folder })
    }

    #[expect(clippy::unwrap_used, reason = "absent only while it is opened again")]
    fn open(&mut self) -> &mut SqliteStore {
        self.store.as_mut().unwrap()
    }
}

impl TestStore for Disk {
    #[expect(clippy::unwrap_used, reason = "absent only while it is opened again")]
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn store_mut(&mut self) -> &mut dyn Store {
        self.open()
    }

    fn begin(&mut self) -> Outcome {
        self.open().begin()
    }

    fn commit(&mut self) -> Outcome {
        self.open().commit()
    }

    fn rollback(&mut self) -> Outcome {
        self.open().rollback()
    }

    fn reopen(&mut self) -> Outcome {
        drop(self.store.take());
        self.store = Some(SqliteStore::open(&self.folder.path().join("store.db"), &master())?);
        Ok(())
    }
}

#[test]
fn memory_conforms() -> Result {
    for (name, behaviour) in BEHAVIOURS {
        println!("{name}");
        behaviour(&mut MemoryStore::new())?;
    }
    Ok(())
}

#[test]
fn sqlite_conforms() -> Result {
    for (name, behaviour) in BEHAVIOURS {
        println!("{name}");
        behaviour(&mut Disk::new()?)?;
    }
    Ok(())
}

#[derive(Debug, Clone)]
enum Step {
    Put {
        kind: u8,
        key: u8,
        value: Vec<u8>,
    },
    Remove {
        kind: u8,
        key: u8,
    },
    /// The next entry of a chain; `skip` ≠ 0 makes its place wrong, unless it is the first.
    Add {
        log: u32,
        author: u16,
        ahead: u64,
        skip: u64,
    },
    /// Another clock and another body for an entry, or for the place behind the last.
    Replace {
        log: u32,
        author: u16,
        back: u64,
        eff: u64,
        body: Body,
    },
    Truncate {
        log: u32,
        author: u16,
        back: u64,
    },
    Erase,
    Page {
        log: u32,
        from: u8,
        limit: usize,
    },
    Commit,
    Rollback,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let put = (0..6_u8, 0..4_u8, proptest::collection::vec(any::<u8>(), 0..40));
    prop_oneof![
        3 => put.prop_map(|(kind, key, value)| Step::Put { kind, key, value }),
        1 => (0..6_u8, 0..4_u8).prop_map(|(kind, key)| Step::Remove { kind, key }),
        8 => (0..2_u32, 0..4_u16, 1..4_u64, prop_oneof![9 => Just(0_u64), 1 => 1..3_u64])
            .prop_map(|(log, author, ahead, skip)| Step::Add { log, author, ahead, skip }),
        5 => (0..2_u32, 0..4_u16, 0..5_u64, 0..12_u64, body())
            .prop_map(|(log, author, back, eff, body)| {
                Step::Replace { log, author, back, eff, body }
            }),
        1 => (0..2_u32, 0..4_u16, 0..5_u64)
            .prop_map(|(log, author, back)| Step::Truncate { log, author, back }),
        1 => Just(Step::Erase),
        4 => (0..2_u32, any::<u8>(), 0..6_usize)
            .prop_map(|(log, from, limit)| Step::Page { log, from, limit }),
        2 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        1 => Just(Step::Reopen),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        Just(Body::Missing),
        Just(Body::Deleted),
        (0..5000_usize).prop_map(|size| Body::Here(vec![3; size].into())),
    ]
}

const KINDS: [RecordKind; 6] = [
    RecordKind::Profile,
    RecordKind::Contact,
    RecordKind::Log,
    RecordKind::Frontier,
    RecordKind::Setting,
    RecordKind::Evidence,
];

fn kind(number: u8) -> RecordKind {
    KINDS.into_iter().cycle().nth(usize::from(number)).unwrap_or(RecordKind::Profile)
}

/// Number and clock of the last entry of a chain.
fn last(store: &dyn Store, log: u32, author: u16) -> Result<(u64, u64)> {
    let chain = store.chain(place(log, author, 0), usize::MAX)?;
    Ok(chain.last().map_or((0, 0), |row| (row.place.seq, row.position.eff)))
}

/// Does one step; what comes back must be the same from every store.
fn carry_out(test: &mut dyn TestStore, step: &Step) -> Result<String> {
    Ok(match *step {
        Step::Put { kind: number, key, ref value } => {
            test.store_mut().put_record(kind(number), &[key], value)?;
            String::new()
        }
        Step::Remove { kind: number, key } => {
            test.store_mut().remove_record(kind(number), &[key])?;
            String::new()
        }
        Step::Add { log, author, ahead, skip } => {
            let last = last(test.store(), log, author)?;
            let row = entry(log, author, last.0 + 1 + skip, last.1 + ahead);
            format!("{:?}", test.store_mut().add_entry(&row).is_ok())
        }
        Step::Replace { log, author, back, eff, ref body } => {
            let seq = (last(test.store(), log, author)?.0 + 1).saturating_sub(back);
            let row = EntryRow { body: body.clone(), ..entry(log, author, seq, eff) };
            format!("{:?}", test.store_mut().replace_entry(&row).is_ok())
        }
        Step::Truncate { log, author, back } => {
            let seq = (last(test.store(), log, author)?.0 + 1).saturating_sub(back);
            test.store_mut().truncate_chain(place(log, author, seq))?;
            String::new()
        }
        Step::Erase => {
            test.store_mut().erase();
            String::new()
        }
        Step::Page { log, from, limit } => {
            let all = test.store().newest(LogNumber(log), None, usize::MAX)?;
            let start = all.get(usize::from(from) % (all.len() + 1)).map(|row| row.position);
            // Also below positions that nothing has: between two ids of one clock.
            let below = start.map(|position| match from % 3 {
                0 => Position { id: EntryId::from_bytes([0x80; 32]), ..position },
                _ => position,
            });
            let found = test.store().newest(LogNumber(log), below, limit)?;
            let find = |row: &EntryRow| test.store().find(row.place.log, row.position.id);
            let places: Vec<_> = found.iter().map(find).collect();
            format!("{found:?} {places:?}")
        }
        Step::Commit => test.commit().map(|()| String::new())?,
        Step::Rollback => test.rollback().map(|()| String::new())?,
        Step::Reopen => test.reopen().map(|()| String::new())?,
    })
}

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// Everything a store holds, by the order and by the chains.
fn content(store: &dyn Store) -> Result<(Vec<Records>, Vec<Vec<EntryRow>>)> {
    let records = KINDS
        .into_iter()
        .map(|kind| Ok(store.records(kind)?.into_iter().collect()))
        .collect::<Result<_>>()?;
    let mut entries: Vec<Vec<EntryRow>> = Vec::new();
    for log in 0..2 {
        entries.push(store.newest(LogNumber(log), None, usize::MAX)?);
        for author in 0..4 {
            entries.push(store.chain(place(log, author, 0), usize::MAX)?);
        }
    }
    Ok((records, entries))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sqlite_does_what_memory_does(steps in proptest::collection::vec(step(), 1..60)) {
        let same = || -> Result {
            let (mut disk, mut memory) = (Disk::new()?, MemoryStore::new());
            for (number, step) in steps.iter().enumerate() {
                let (found, expected) = (carry_out(&mut disk, step)?, carry_out(&mut memory, step)?);
                assert_eq!(found, expected, "step {number}: {step:?}");
            }
            assert_eq!(content(disk.store())?, content(&memory)?);
            Ok(())
        };
        same().map_err(|error| TestCaseError::fail(error.to_string()))?;
    }
}

fn files_contain(folder: &Path, wanted: &[u8]) -> Result<bool> {
    for file in fs::read_dir(folder)? {
        let bytes = fs::read(file?.path())?;
        if bytes.windows(wanted.len()).any(|seen| seen == wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a thief of the disk may look for, each with what it is.
fn tell_tales() -> Vec<(&'static str, Vec<u8>)> {
    let (alice, bob) = (AccountId::from_bytes([0xa1; 32]), AccountId::from_bytes([0xb0; 32]));
    let device = DeviceId::from_bytes([0xd0; 32]);
    vec![
        ("text", b"meet me at the lighthouse".to_vec()),
        ("envelope", b"an envelope with a signature".to_vec()),
        ("name", b"Bob Marlow".to_vec()),
        ("setting", b"setting-key-of-note".to_vec()),
        ("account", bob.as_bytes().to_vec()),
        ("device", device.as_bytes().to_vec()),
        ("log", LogId::direct(alice, bob).as_bytes().to_vec()),
        ("entry", EntryId::of(b"an entry").as_bytes().to_vec()),
        ("master key", vec![7; 32]),
    ]
}

/// Ids are looked for by their first half too: a truncated id still names somebody.
#[test]
fn nothing_that_is_said_or_names_anybody_is_on_the_disk() -> Result {
    let mut disk = Disk::new()?;
    let tales = tell_tales();
    let tale = |what: &str| {
        let found = tales.iter().find(|(name, _)| *name == what);
        found.map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    };
    let mut id = [0; 32];
    id.copy_from_slice(&tale("entry"));
    let row = EntryRow {
        position: Position { eff: 1 << 57, id: EntryId::from_bytes(id) },
        envelope: tale("envelope").into(),
        body: Body::Here(tale("text").into()),
        ..entry(1, 1, 1, 0)
    };
    let store = disk.open();
    store.add_entry(&row)?;
    store.put_record(RecordKind::Contact, &tale("account"), &tale("name"))?;
    store.put_record(RecordKind::Log, &tale("log"), &tale("device"))?;
    store.put_record(RecordKind::Setting, &tale("setting"), b"on")?;
    store.put_record(RecordKind::Evidence, &tale("device"), &tale("envelope"))?;
    store.commit()?;
    store.remove_record(RecordKind::Setting, &tale("setting"))?;
    store.commit()?;
    for time in ["open", "closed"] {
        for (what, bytes) in &tales {
            let half: Vec<u8> = bytes.iter().copied().take(12).collect();
            assert!(!files_contain(disk.folder.path(), &half)?, "{what} while {time}");
        }
        assert!(files_contain(disk.folder.path(), b"CREATE TABLE entries")?, "the search works");
        drop(disk.store.take());
    }
    disk.reopen()?;
    assert_eq!(disk.store().entry(row.place)?, Some(row));
    Ok(())
}

const CHILD_FOLDER: &str = "KITH_TEST_STORE";

/// Not a test of its own: what the killed process does. It adds entries for ever, three to a
/// commit, and prints the last number of each commit once that has returned.
#[test]
fn child_that_commits() -> Result {
    let Some(path) = std::env::var_os(CHILD_FOLDER).map(PathBuf::from) else {
        return Ok(());
    };
    let mut store = SqliteStore::open(&path, &master())?;
    let mut seq = store.newest(LogNumber(1), None, 1)?.first().map_or(0, |row| row.place.seq);
    loop {
        store.begin()?;
        for _ in 0..3 {
            seq += 1;
            store.add_entry(&entry(1, 1, seq, seq))?;
        }
        store.put_record(RecordKind::Setting, b"last", &seq.to_be_bytes())?;
        store.commit()?;
        println!("\ncommitted {seq}");
    }
}

/// Kills the child in the middle of its work; returns the last commit it told of.
fn killed_after(path: &Path, commits: usize) -> Result<u64> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "child_that_commits", "--nocapture", "--test-threads=1"])
        .env(CHILD_FOLDER, path)
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("no output of the child")?;
    let (mut last, mut told) = (0, 0);
    for line in BufReader::new(output).lines() {
        let line = line?;
        let Some(seq) = line.strip_prefix("committed ").and_then(|seq| seq.parse().ok()) else {
            continue;
        };
        (last, told) = (seq, told + 1);
        if told == commits {
            child.kill()?;
        }
    }
    child.wait()?;
    assert!(told >= commits, "the child ended by itself");
    Ok(last)
}

#[test]
fn a_killed_process_loses_nothing_it_committed() -> Result {
    let mut disk = Disk::new()?;
    let path = disk.folder.path().join("store.db");
    for commits in [1, 40, 7, 300] {
        drop(disk.store.take());
        let last = killed_after(&path, commits)?;
        disk.reopen()?;
        let chain = disk.store().chain(place(1, 1, 1), usize::MAX)?;
        let found = chain.len() as u64;
        assert!(found >= last, "{last} were committed, {found} are there");
        assert_eq!(found % 3, 0, "a transaction is there in part");
        for (row, seq) in chain.iter().zip(1..) {
            assert_eq!(*row, entry(1, 1, seq, seq));
        }
        let record = disk.store().record(RecordKind::Setting, b"last")?;
        assert_eq!(record, Some(found.to_be_bytes().to_vec()));
    }
    Ok(())
}
