//! What must every store do? One function for each behaviour, run on memory and on SQLite.
//!
//! A behaviour panics if it is broken; errors of the store itself come back as errors.

use kith_common::{ids::EntryId, time::Timestamp};
use kith_core::store::{
    AuthorNumber, Body, EntryRow, LogNumber, Place, Position, RecordKind, Store, StoreError,
    memory::MemoryStore,
};

mod changes;

/// What a behaviour gives back.
pub type Outcome = Result<(), StoreError>;

/// A behaviour that every store must show, from an empty store on.
pub type Behaviour = fn(&mut dyn TestStore) -> Outcome;

/// A store that can be put through transactions and closed.
pub trait TestStore {
    /// To be read.
    fn store(&self) -> &dyn Store;

    /// To be written.
    fn store_mut(&mut self) -> &mut dyn Store;

    /// Begins a transaction.
    ///
    /// # Errors
    /// If the store refuses.
    fn begin(&mut self) -> Outcome;

    /// Keeps what was written.
    ///
    /// # Errors
    /// If the store refuses.
    fn commit(&mut self) -> Outcome;

    /// Takes back what was written.
    ///
    /// # Errors
    /// If the store refuses.
    fn rollback(&mut self) -> Outcome;

    /// Drops the store as it is, without a commit, and opens it again.
    ///
    /// # Errors
    /// If the store refuses.
    fn reopen(&mut self) -> Outcome;
}

/// Memory outlives nothing; dropping it between two commits is the same as a rollback.
impl TestStore for MemoryStore {
    fn store(&self) -> &dyn Store {
        self
    }

    fn store_mut(&mut self) -> &mut dyn Store {
        self
    }

    fn begin(&mut self) -> Outcome {
        Ok(())
    }

    fn commit(&mut self) -> Outcome {
        Self::commit(self);
        Ok(())
    }

    fn rollback(&mut self) -> Outcome {
        Self::rollback(self);
        Ok(())
    }

    fn reopen(&mut self) -> Outcome {
        Self::rollback(self);
        Ok(())
    }
}

/// Every behaviour with its name.
pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("records_are_written_over_and_removed", records_are_written_over_and_removed),
    ("records_are_listed_by_kind", records_are_listed_by_kind),
    ("records_take_any_bytes", records_take_any_bytes),
    ("entries_come_back_whole", entries_come_back_whole),
    ("chains_ascend_from_a_place", chains_ascend_from_a_place),
    ("the_newest_come_first", the_newest_come_first),
    ("pages_meet_without_gap_or_repetition", pages_meet_without_gap_or_repetition),
    ("entries_are_found_in_their_own_log", entries_are_found_in_their_own_log),
    ("a_wrong_place_is_refused", a_wrong_place_is_refused),
    ("a_chain_begins_anywhere", a_chain_begins_anywhere),
    ("bodies_come_and_go", changes::bodies_come_and_go),
    ("a_moved_entry_is_found_where_it_is", changes::a_moved_entry_is_found_where_it_is),
    ("only_what_is_there_is_replaced", changes::only_what_is_there_is_replaced),
    ("a_chain_is_cut_and_goes_on", changes::a_chain_is_cut_and_goes_on),
    ("a_chain_cut_to_nothing_begins_anywhere", changes::a_chain_cut_to_nothing_begins_anywhere),
    ("a_rollback_takes_changes_back", changes::a_rollback_takes_changes_back),
    ("changes_survive_a_commit_only", changes::changes_survive_a_commit_only),
    ("erasing_touches_nothing_else", changes::erasing_touches_nothing_else),
    ("a_rollback_takes_everything_back", a_rollback_takes_everything_back),
    ("a_chain_goes_on_after_a_rollback", a_chain_goes_on_after_a_rollback),
    ("a_commit_survives", a_commit_survives),
    ("without_a_commit_nothing_survives", without_a_commit_nothing_survives),
];

/// A place.
pub const fn place(log: u32, author: u16, seq: u64) -> Place {
    Place { log: LogNumber(log), author: AuthorNumber(author), seq }
}

/// An entry whose other fields follow from its place and its clock; every third has no body (one
/// half missing, one half deleted) and every second came late, so that nothing is constant.
pub fn entry(log: u32, author: u16, seq: u64, eff: u64) -> EntryRow {
    let mut name = Vec::from(log.to_be_bytes());
    name.extend_from_slice(&author.to_be_bytes());
    name.extend_from_slice(&seq.to_be_bytes());
    let id = EntryId::of(&name);
    EntryRow {
        place: place(log, author, seq),
        position: Position { eff, id },
        depth: seq ^ u64::from(author),
        received_at: Timestamp::from_millis(eff ^ 0xff),
        late: seq.is_multiple_of(2),
        envelope: name.clone().into(),
        body: match seq % 6 {
            0 => Body::Deleted,
            3 => Body::Missing,
            _ => Body::Here(name.into()),
        },
    }
}

/// Records: put, read, put over, remove.
///
/// # Errors
/// If the store fails.
pub fn records_are_written_over_and_removed(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    assert_eq!(store.record(RecordKind::Contact, b"bob")?, None);
    store.put_record(RecordKind::Contact, b"bob", b"Bob")?;
    assert_eq!(store.record(RecordKind::Contact, b"bob")?.as_deref(), Some(&b"Bob"[..]));
    store.put_record(RecordKind::Contact, b"bob", b"Robert")?;
    assert_eq!(store.record(RecordKind::Contact, b"bob")?.as_deref(), Some(&b"Robert"[..]));
    assert_eq!(store.records(RecordKind::Contact)?.len(), 1);
    assert_eq!(store.record(RecordKind::Contact, b"bo")?, None);
    store.remove_record(RecordKind::Contact, b"bob")?;
    store.remove_record(RecordKind::Contact, b"bob")?;
    assert_eq!(store.record(RecordKind::Contact, b"bob")?, None);
    Ok(())
}

/// Records of one kind do not meet those of another, even under one key.
///
/// # Errors
/// If the store fails.
pub fn records_are_listed_by_kind(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    store.put_record(RecordKind::Contact, b"same", b"a contact")?;
    store.put_record(RecordKind::Log, b"same", b"a log")?;
    store.put_record(RecordKind::Log, b"other", b"another log")?;
    store.put_record(RecordKind::Evidence, b"", b"evidence")?;
    let mut logs = store.records(RecordKind::Log)?;
    logs.sort();
    let expected =
        [(b"other".to_vec(), b"another log".to_vec()), (b"same".to_vec(), b"a log".to_vec())];
    assert_eq!(logs, expected);
    assert_eq!(store.records(RecordKind::Setting)?, []);
    store.remove_record(RecordKind::Log, b"same")?;
    assert_eq!(store.record(RecordKind::Contact, b"same")?.as_deref(), Some(&b"a contact"[..]));
    Ok(())
}

/// Empty and longest keys and values.
///
/// # Errors
/// If the store fails.
pub fn records_take_any_bytes(test: &mut dyn TestStore) -> Outcome {
    let long = vec![0xff; 512 * 1024];
    let store = test.store_mut();
    store.put_record(RecordKind::Profile, b"", b"")?;
    store.put_record(RecordKind::Setting, &[0; 64], &long)?;
    store.put_record(RecordKind::Setting, &[0; 63], b"shorter key")?;
    assert_eq!(store.record(RecordKind::Profile, b"")?, Some(Vec::new()));
    assert_eq!(store.record(RecordKind::Setting, &[0; 64])?, Some(long));
    assert_eq!(store.record(RecordKind::Setting, &[])?, None);
    Ok(())
}

/// Every field of an entry, with extreme values.
///
/// # Errors
/// If the store fails.
pub fn entries_come_back_whole(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    let mut rows = vec![entry(1, 1, 1, 10), entry(1, 1, 2, 20), entry(1, 1, 3, 30)];
    rows.push(EntryRow {
        depth: u64::MAX,
        received_at: Timestamp::from_millis(u64::MAX),
        envelope: vec![7; 2048].into(),
        body: Body::Here(vec![8; 61_440].into()),
        ..entry(u32::MAX, u16::MAX, 1, u64::MAX - 1)
    });
    rows.push(EntryRow { body: Body::Here([].into()), ..entry(0, 0, 1, 0) });
    rows.push(EntryRow { body: Body::Deleted, ..entry(0, 1, 1, 0) });
    rows.push(EntryRow { body: Body::Missing, ..entry(0, 2, 1, 0) });
    for row in &rows {
        assert_eq!(store.entry(row.place)?, None);
        store.add_entry(row)?;
    }
    for row in &rows {
        assert_eq!(store.entry(row.place)?.as_ref(), Some(row));
        assert_eq!(store.newest(row.place.log, None, 1)?.len(), 1);
    }
    assert_eq!(store.entry(place(1, 1, 0))?, None);
    assert_eq!(store.entry(place(1, 1, u64::MAX))?, None);
    Ok(())
}

/// A chain is read from its middle, in pieces, and past its end.
///
/// # Errors
/// If the store fails.
pub fn chains_ascend_from_a_place(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    for seq in 1..=5 {
        store.add_entry(&entry(1, 1, seq, 10 * seq))?;
        store.add_entry(&entry(1, 2, seq, 10 * seq + 1))?;
        store.add_entry(&entry(2, 1, seq, 10 * seq))?;
    }
    for (from, limit, expected) in [
        (1, 10, vec![1, 2, 3, 4, 5]),
        (0, 2, vec![1, 2]),
        (3, 2, vec![3, 4]),
        (5, usize::MAX, vec![5]),
        (6, 10, vec![]),
        (u64::MAX, 10, vec![]),
        (1, 0, vec![]),
    ] {
        let rows = store.chain(place(1, 2, from), limit)?;
        let wanted: Vec<EntryRow> =
            expected.into_iter().map(|seq| entry(1, 2, seq, 10 * seq + 1)).collect();
        assert_eq!(rows, wanted, "from {from}, at most {limit}");
    }
    assert_eq!(store.chain(place(1, 3, 1), 10)?, []);
    Ok(())
}

/// The order is that of positions, not of arrival, and logs are kept apart.
///
/// # Errors
/// If the store fails.
pub fn the_newest_come_first(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    let mut rows =
        vec![entry(1, 1, 1, 50), entry(1, 2, 1, 20), entry(1, 1, 2, 60), entry(1, 3, 1, 10)];
    for row in &rows {
        store.add_entry(row)?;
    }
    store.add_entry(&entry(2, 1, 1, 55))?;
    rows.sort_by_key(|row| core::cmp::Reverse(row.position));
    assert_eq!(store.newest(LogNumber(1), None, 10)?, rows);
    assert_eq!(
        store.newest(LogNumber(1), None, 2)?,
        rows.iter().take(2).cloned().collect::<Vec<_>>()
    );
    assert_eq!(store.newest(LogNumber(1), None, 0)?, []);
    assert_eq!(store.newest(LogNumber(3), None, 10)?, []);
    Ok(())
}

/// Pages of every size, where many entries have one clock: each entry is on exactly one page.
///
/// # Errors
/// If the store fails.
pub fn pages_meet_without_gap_or_repetition(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    let mut rows = Vec::new();
    for seq in 1..=6 {
        for author in 1..=5 {
            // Authors tie, an author never ties with itself: that is how clocks come.
            rows.push(entry(1, author, seq, 10 * seq + u64::from(author) % 2));
        }
    }
    for row in &rows {
        store.add_entry(row)?;
    }
    rows.sort_by_key(|row| core::cmp::Reverse(row.position));
    for page in 1..=rows.len() + 1 {
        let mut seen = Vec::new();
        let mut below = None;
        for _ in 0..=rows.len().div_ceil(page) {
            let found = store.newest(LogNumber(1), below, page)?;
            assert!(found.len() <= page);
            below = found.last().map(|last| last.position).or(below);
            seen.extend(found);
        }
        assert_eq!(seen, rows, "pages of {page}");
    }
    Ok(())
}

/// Found by id in the right log only, also where two logs hold the same id.
///
/// # Errors
/// If the store fails.
pub fn entries_are_found_in_their_own_log(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    let (here, there) = (entry(1, 1, 1, 10), entry(2, 7, 1, 10));
    store.add_entry(&here)?;
    store.add_entry(&there)?;
    assert_eq!(store.find(LogNumber(1), here.position.id)?, Some(here.place));
    assert_eq!(store.find(LogNumber(2), here.position.id)?, None);
    assert_eq!(store.find(LogNumber(2), there.position.id)?, Some(there.place));
    assert_eq!(store.find(LogNumber(1), EntryId::from_bytes([0; 32]))?, None);
    let twin = EntryRow { position: here.position, ..entry(3, 1, 1, 10) };
    store.add_entry(&twin)?;
    assert_eq!(store.find(LogNumber(1), here.position.id)?, Some(here.place));
    assert_eq!(store.find(LogNumber(3), here.position.id)?, Some(twin.place));
    Ok(())
}

/// Neither a taken place nor one with a gap before it; the refusal changes nothing.
///
/// # Errors
/// If the store fails.
pub fn a_wrong_place_is_refused(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    store.add_entry(&entry(1, 1, 1, 10))?;
    store.add_entry(&entry(1, 1, 2, 20))?;
    for seq in [0, 1, 2, 4, u64::MAX] {
        assert!(store.add_entry(&entry(1, 1, seq, 99)).is_err(), "seq {seq}");
    }
    assert_eq!(store.newest(LogNumber(1), None, 10)?, [entry(1, 1, 2, 20), entry(1, 1, 1, 10)]);
    store.add_entry(&entry(1, 1, 3, 30))?;
    Ok(())
}

/// The first number of a chain is free; from there on it has no gaps and nothing before it.
///
/// # Errors
/// If the store fails.
pub fn a_chain_begins_anywhere(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    let rows = [entry(1, 1, 7, 70), entry(1, 1, 8, 80)];
    for row in &rows {
        store.add_entry(row)?;
    }
    for seq in [1, 6, 7, 8, 10] {
        assert!(store.add_entry(&entry(1, 1, seq, 90)).is_err(), "seq {seq}");
    }
    assert_eq!(store.chain(place(1, 1, 1), 10)?, rows);
    assert_eq!(store.entry(place(1, 1, 6))?, None);
    test.commit()?;
    test.reopen()?;
    let store = test.store_mut();
    assert!(store.add_entry(&entry(1, 1, 6, 90)).is_err());
    store.add_entry(&entry(1, 1, 9, 90))?;
    assert_eq!(store.chain(place(1, 1, 8), 10)?, [entry(1, 1, 8, 80), entry(1, 1, 9, 90)]);
    Ok(())
}

/// After a rollback reads see the state before, as if nothing had been written.
///
/// # Errors
/// If the store fails.
pub fn a_rollback_takes_everything_back(test: &mut dyn TestStore) -> Outcome {
    test.begin()?;
    test.store_mut().put_record(RecordKind::Setting, b"kept", b"old")?;
    test.store_mut().put_record(RecordKind::Setting, b"gone", b"old")?;
    test.store_mut().add_entry(&entry(1, 1, 1, 10))?;
    test.commit()?;
    test.begin()?;
    let store = test.store_mut();
    store.put_record(RecordKind::Setting, b"kept", b"new")?;
    store.put_record(RecordKind::Setting, b"kept", b"newer")?;
    store.put_record(RecordKind::Setting, b"more", b"new")?;
    store.remove_record(RecordKind::Setting, b"gone")?;
    store.add_entry(&entry(1, 1, 2, 20))?;
    store.add_entry(&entry(1, 2, 1, 20))?;
    assert_eq!(store.record(RecordKind::Setting, b"kept")?, Some(b"newer".to_vec()));
    assert_eq!(store.newest(LogNumber(1), None, 10)?.len(), 3);
    test.rollback()?;
    let store = test.store();
    let mut settings = store.records(RecordKind::Setting)?;
    settings.sort();
    let expected = [(b"gone".to_vec(), b"old".to_vec()), (b"kept".to_vec(), b"old".to_vec())];
    assert_eq!(settings, expected);
    assert_eq!(store.newest(LogNumber(1), None, 10)?, [entry(1, 1, 1, 10)]);
    assert_eq!(store.find(LogNumber(1), entry(1, 1, 2, 20).position.id)?, None);
    test.rollback()
}

/// The place that a rollback freed is the next one again.
///
/// # Errors
/// If the store fails.
pub fn a_chain_goes_on_after_a_rollback(test: &mut dyn TestStore) -> Outcome {
    test.begin()?;
    test.store_mut().add_entry(&entry(1, 1, 1, 10))?;
    test.commit()?;
    test.begin()?;
    test.store_mut().add_entry(&entry(1, 1, 2, 20))?;
    test.store_mut().add_entry(&entry(1, 1, 3, 30))?;
    test.rollback()?;
    test.begin()?;
    assert!(test.store_mut().add_entry(&entry(1, 1, 4, 40)).is_err());
    test.store_mut().add_entry(&entry(1, 1, 2, 25))?;
    test.commit()?;
    let rows = test.store().chain(place(1, 1, 1), 10)?;
    assert_eq!(rows, [entry(1, 1, 1, 10), entry(1, 1, 2, 25)]);
    Ok(())
}

/// What was committed is there after the store was dropped and opened again.
///
/// # Errors
/// If the store fails.
pub fn a_commit_survives(test: &mut dyn TestStore) -> Outcome {
    test.begin()?;
    test.store_mut().put_record(RecordKind::Contact, b"bob", b"Bob")?;
    for seq in 1..=20 {
        test.store_mut().add_entry(&entry(1, 1, seq, seq))?;
    }
    test.commit()?;
    test.reopen()?;
    assert_eq!(test.store().record(RecordKind::Contact, b"bob")?, Some(b"Bob".to_vec()));
    assert_eq!(test.store().chain(place(1, 1, 1), 100)?.len(), 20);
    test.begin()?;
    test.store_mut().add_entry(&entry(1, 1, 21, 21))?;
    test.commit()?;
    test.reopen()?;
    assert_eq!(test.store().newest(LogNumber(1), None, 1)?, [entry(1, 1, 21, 21)]);
    Ok(())
}

/// What was not committed is gone, whether or not a transaction was begun by word.
///
/// # Errors
/// If the store fails.
pub fn without_a_commit_nothing_survives(test: &mut dyn TestStore) -> Outcome {
    test.begin()?;
    test.store_mut().put_record(RecordKind::Contact, b"bob", b"Bob")?;
    test.store_mut().add_entry(&entry(1, 1, 1, 1))?;
    test.reopen()?;
    assert_eq!(test.store().records(RecordKind::Contact)?, []);
    assert_eq!(test.store().entry(entry(1, 1, 1, 1).place)?, None);
    test.store_mut().put_record(RecordKind::Contact, b"carol", b"Carol")?;
    test.reopen()?;
    assert_eq!(test.store().records(RecordKind::Contact)?, []);
    test.store_mut().put_record(RecordKind::Contact, b"dave", b"Dave")?;
    test.commit()?;
    test.commit()?;
    test.reopen()?;
    assert_eq!(test.store().records(RecordKind::Contact)?.len(), 1);
    Ok(())
}
