//! Is what was erased really nowhere in the files? These tests look for every 16 bytes of it.

use std::{collections::BTreeSet, ops::RangeInclusive};

use super::*;

/// As short as a piece may be that is looked for.
const PIECE_BYTES: usize = 16;

/// All pieces of some sealed rows.
struct Pieces {
    sorted: Vec<[u8; PIECE_BYTES]>,
    /// Which first three bytes there are: most of what a file holds is told from that.
    heads: Vec<bool>,
}

impl Pieces {
    fn of(sealed: &[Vec<u8>]) -> Self {
        let mut sorted: Vec<_> = sealed.iter().flat_map(|row| windows(row)).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut heads = vec![false; 1 << 24];
        for piece in &sorted {
            heads[head(piece)] = true;
        }
        Self { sorted, heads }
    }

    /// How many places in the files of a folder hold one of the pieces.
    fn found(&self, folder: &Path) -> usize {
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        files
            .map(|file| windows(&fs::read(file).unwrap()).filter(|piece| self.has(piece)).count())
            .sum()
    }

    fn has(&self, piece: &[u8; PIECE_BYTES]) -> bool {
        self.heads[head(piece)] && self.sorted.binary_search(piece).is_ok()
    }

    /// Nearly all of them: a row that goes on in another page is cut there.
    fn most(&self) -> usize {
        self.sorted.len() * 9 / 10
    }
}

fn head(piece: &[u8; PIECE_BYTES]) -> usize {
    usize::from(piece[0]) << 16 | usize::from(piece[1]) << 8 | usize::from(piece[2])
}

fn windows(bytes: &[u8]) -> impl Iterator<Item = [u8; PIECE_BYTES]> {
    bytes.windows(PIECE_BYTES).map(|window| window.try_into().unwrap())
}

/// What is sealed in the rows of a chain, from a number on.
fn sealed(store: &SqliteStore, author: u16, from: u64, limit: u64) -> BTreeMap<u64, Vec<u8>> {
    let mut statement = store
        .connection
        .prepare_cached(
            "SELECT seq, sealed FROM entries \
             WHERE log = 1 AND author = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3",
        )
        .unwrap();
    let rows = statement
        .query_map(params![author, from.cast_signed(), limit.cast_signed()], |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
        });
    rows.unwrap().map(Result::unwrap).collect()
}

/// The files as they would be found if the process were killed now.
fn killed(folder: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

fn reopened(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&folder.path().join("store.db"), &master()).unwrap()
}

/// Many of 20 bytes, some of 3 KiB, a few of 60 KiB, which go on in overflow pages.
fn body_bytes(seq: u64) -> usize {
    match seq % 25 {
        0 => 60 << 10,
        5 | 10 | 15 | 20 => 3 << 10,
        _ => 20,
    }
}

fn row(author: u16, seq: u64, body: Body) -> EntryRow {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&seq.to_be_bytes());
    id[8..10].copy_from_slice(&author.to_be_bytes());
    EntryRow {
        place: Place { log: LOG, author: AuthorNumber(author), seq },
        position: Position { eff: seq << 16, id: EntryId::from_bytes(id) },
        depth: seq,
        received_at: Timestamp::from_millis(seq),
        late: false,
        envelope: vec![5; 180].into(),
        body,
    }
}

fn here(seq: u64) -> Body {
    Body::Here(vec![6; body_bytes(seq)].into())
}

const ENTRIES: u64 = 500;

/// A store with 500 entries of two authors in turns, committed in pieces, and what is on the disk
/// of them. Every seventh of the first author came without its body and got it later.
fn filled() -> (TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::create(&folder.path().join("store.db"), &master()).unwrap();
    for seq in 1..=ENTRIES / 2 {
        let first = if seq.is_multiple_of(7) { Body::Missing } else { here(seq) };
        store.add_entry(&row(1, seq, first)).unwrap();
        store.add_entry(&row(2, seq, here(seq))).unwrap();
        if seq.is_multiple_of(40) {
            store.commit().unwrap();
        }
    }
    store.commit().unwrap();
    for seq in (7..=ENTRIES / 2).step_by(7) {
        store.replace_entry(&row(1, seq, here(seq))).unwrap();
    }
    store.commit().unwrap();
    (folder, store)
}

/// Deletes every body of the first author but for each third and cuts the second author at 100.
/// Returns what was sealed before in these rows and what stays.
fn delete(store: &mut SqliteStore) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for (seq, before) in sealed(store, 1, 1, ENTRIES) {
        if seq.is_multiple_of(3) {
            kept.push(before);
        } else {
            store.replace_entry(&row(1, seq, Body::Deleted)).unwrap();
            gone.push(before);
        }
    }
    for (seq, before) in sealed(store, 2, 1, ENTRIES) {
        if seq < 100 { &mut kept } else { &mut gone }.push(before);
    }
    store.truncate_chain(Place { log: LOG, author: AuthorNumber(2), seq: 100 }).unwrap();
    (gone, kept)
}

fn check_content(store: &SqliteStore) {
    let chain = |author| {
        store.chain(Place { log: LOG, author: AuthorNumber(author), seq: 1 }, usize::MAX).unwrap()
    };
    for (found, seq) in chain(1).iter().zip(1..) {
        let body = if seq % 3 == 0 { here(seq) } else { Body::Deleted };
        assert_eq!(*found, row(1, seq, body));
    }
    assert_eq!(chain(1).len() as u64, ENTRIES / 2);
    let wanted: Vec<EntryRow> = (1..100).map(|seq| row(2, seq, here(seq))).collect();
    assert_eq!(chain(2), wanted);
}

#[test]
fn nothing_of_what_was_erased_is_left_in_the_files() {
    let (folder, mut store) = filled();
    let (gone, kept) = delete(&mut store);
    let (gone, kept) = (Pieces::of(&gone), Pieces::of(&kept));
    let before = gone.found(folder.path());
    assert!(before >= gone.most(), "{before} pieces are found before");
    store.erase();
    store.commit().unwrap();
    assert_eq!(gone.found(folder.path()), 0);
    assert!(kept.found(folder.path()) >= kept.most(), "the search works");
    check_content(&store);

    let copy = killed(&folder);
    assert_eq!(gone.found(copy.path()), 0);
    let after_kill = reopened(&copy);
    check_content(&after_kill);
    drop((after_kill, store));
    for folder in [&folder, &copy] {
        assert_eq!(gone.found(folder.path()), 0);
        check_content(&reopened(folder));
        assert_eq!(gone.found(folder.path()), 0);
    }
}

/// What a crash between the commit and the erasing leaves: the next start sees to it.
#[test]
fn erasing_is_made_up_for_after_a_crash() {
    let (folder, mut store) = filled();
    let (gone, _) = delete(&mut store);
    let gone = Pieces::of(&gone);
    store.commit().unwrap();
    let copy = killed(&folder);
    assert!(gone.found(copy.path()) > 0, "without erasing it would be left");
    let store = reopened(&copy);
    assert_eq!(gone.found(copy.path()), 0);
    check_content(&store);
}

/// A transaction that was taken back may have been written to the log in part: it is cut as well.
#[test]
fn what_was_never_committed_is_erased_too() {
    let (folder, mut store) = filled();
    for seq in 1..=90 {
        store.add_entry(&row(3, seq, Body::Here(vec![7; 60 << 10].into()))).unwrap();
    }
    let gone: Vec<Vec<u8>> = sealed(&store, 3, 1, 20).into_values().collect();
    let gone = Pieces::of(&gone);
    store.rollback().unwrap();
    assert!(gone.found(folder.path()) > 0, "the cache was too small for it");
    store.erase();
    store.commit().unwrap();
    assert_eq!(gone.found(folder.path()), 0);
}

/// Rows that SQLite moves between pages leave copies behind which `secure_delete` does not know:
/// see the schema. Here rows of all sizes come, grow, shrink and go in any order.
#[test]
fn no_row_leaves_a_copy_when_its_neighbours_change() {
    for seed in 1..=3 {
        let (folder, mut gone, store) = shuffled(seed);
        let live: BTreeSet<Vec<u8>> =
            AUTHORS.flat_map(|author| sealed(&store, author, 0, 1 << 20).into_values()).collect();
        gone.retain(|row| !live.contains(row));
        assert!(gone.len() > 500, "{} rows changed", gone.len());
        assert_eq!(Pieces::of(&gone).found(folder.path()), 0, "seed {seed}");
    }
}

/// The same for records, which do move.
#[test]
fn no_record_leaves_a_copy_when_its_neighbours_change() {
    for seed in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::create(&folder.path().join("store.db"), &master()).unwrap();
        let mut random = Random(seed);
        let mut seen = BTreeSet::new();
        for round in 0..1500 {
            let key = random.below(200).to_be_bytes();
            if random.below(4) == 0 {
                store.remove_record(RecordKind::Draft, &key).unwrap();
            } else {
                let size = [10, 40, 300, 900, 2000, 9000][random.below(6)];
                store.put_record(RecordKind::Draft, &key, &vec![4; size]).unwrap();
            }
            if round % 20 == 0 {
                store.commit().unwrap();
                seen.extend(sealed_records(&store));
            }
        }
        let before = store.records(RecordKind::Draft).unwrap();
        store.erase();
        store.commit().unwrap();
        let live = sealed_records(&store);
        let gone: Vec<Vec<u8>> = seen.into_iter().filter(|row| !live.contains(row)).collect();
        assert!(gone.len() > 300, "{} rows changed", gone.len());
        assert_eq!(Pieces::of(&gone).found(folder.path()), 0, "seed {seed}");
        let live: Vec<Vec<u8>> = live.into_iter().collect();
        assert!(Pieces::of(&live).found(folder.path()) > 0, "the search works");
        assert_eq!(store.records(RecordKind::Draft).unwrap(), before);
    }
}

fn sealed_records(store: &SqliteStore) -> BTreeSet<Vec<u8>> {
    let mut statement = store.connection.prepare_cached("SELECT sealed FROM records").unwrap();
    let rows = statement.query_map((), |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

const AUTHORS: RangeInclusive<u16> = 1..=4;

/// A store after erasing, with everything that was sealed in it and replaced or removed.
fn shuffled(seed: u64) -> (TempDir, Vec<Vec<u8>>, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::create(&folder.path().join("store.db"), &master()).unwrap();
    let mut random = Random(seed);
    let mut lasts = AUTHORS.map(|author| (author, 0)).collect::<BTreeMap<u16, u64>>();
    let mut gone = Vec::new();
    for round in 0..1500 {
        for _ in 0..[1, 1, 1, 8][random.below(4)] {
            let author = random.author();
            let last = lasts.get_mut(&author).unwrap();
            *last += 1;
            store.add_entry(&row(author, *last, random.body())).unwrap();
        }
        let author = random.author();
        let last = lasts.get_mut(&author).unwrap();
        for _ in 0..random.below(3) {
            if let Some(seq) =
                (*last > 0).then(|| 1 + random.below(usize::try_from(*last).unwrap()) as u64)
            {
                gone.extend(sealed(&store, author, seq, 1).into_values());
                store.replace_entry(&row(author, seq, random.body())).unwrap();
            }
        }
        if random.below(30) == 0 {
            let seq = last.saturating_sub(random.below(40) as u64).max(1);
            gone.extend(sealed(&store, author, seq, 1 << 20).into_values());
            let place = Place { log: LOG, author: AuthorNumber(author), seq };
            store.truncate_chain(place).unwrap();
            *last = seq - 1;
        }
        if round % 20 == 0 {
            store.commit().unwrap();
        }
    }
    store.erase();
    store.commit().unwrap();
    (folder, gone, store)
}

/// Numbers that look random and are the same each time (Knuth's generator).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn author(&mut self) -> u16 {
        AUTHORS.start() + u16::try_from(self.below(AUTHORS.count())).unwrap()
    }

    fn body(&mut self) -> Body {
        let size = match self.below(10) {
            0 | 1 => return Body::Missing,
            2 => return Body::Deleted,
            3 => 3000,
            _ => 20 + self.below(400),
        };
        Body::Here(vec![8; size].into())
    }
}
