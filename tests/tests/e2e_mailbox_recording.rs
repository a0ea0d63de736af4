//! Somebody has everything that a mailbox-server was ever given, and later takes both homes with all
//! their keys: which letters can be opened? Those that were begun with a last resort that is still
//! kept (spec 09 R6), those that never came to who could read them, and no others.
//!
//! Tried here: every queue's seed in both homes on every blob; then every group and the private half
//! of every package of both homes on what is inside. That a new group is begun every day is tried in
//! the simulation; here a mailbox loses its disk, which has the same effect.

#![expect(clippy::unwrap_used, reason = "tests and their helpers fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use kith::{
    home::{self, Passphrase},
    sqlite::SqliteStore,
};
use kith_common::{
    codec::{DecodeError, Reader},
    keys::SigningKey,
    mail::{Letter, QueueAddress, QueueSeed, Sealed},
    service::mailbox::{Operation, PutBody},
    time::Timestamp,
};
use kith_core::{
    mls::{self, PackageSecret, Receiving},
    store::{RecordKind, Store},
};
use kith_tests::process::{Mailbox, Person, Wiretap};
use tempfile::TempDir;

const ANY: usize = 1 << 20;
/// The shortest piece of a sealed row that is looked for.
const PIECE_BYTES: usize = 16;

/// What a home holds that could open a letter.
struct Home {
    device: SigningKey,
    seeds: Vec<QueueSeed>,
    groups: Vec<Vec<u8>>,
    packages: Vec<PackageSecret>,
}

/// A part of each record that is of use to whoever took it. The shapes are those of `kith_core`.
impl Home {
    fn taken(folder: &Path) -> Self {
        let keys = home::unlock(folder, &Passphrase::None).unwrap();
        let store = SqliteStore::open(&home::database(folder), &keys.master).unwrap();
        let mut taken = Self {
            device: keys.device,
            seeds: Vec::new(),
            groups: Vec::new(),
            packages: Vec::new(),
        };
        let records = |kind| store.records(kind).unwrap().into_iter().map(|(_, value)| value);
        for value in records(RecordKind::Queue) {
            taken.seeds.push(own_seed(&mut Reader::new(&value)).unwrap());
        }
        for value in records(RecordKind::Place) {
            taken.seeds.extend(Reader::all(&value, places).unwrap());
        }
        for value in records(RecordKind::Lane) {
            // The rest of the record is no key.
            taken.groups.extend(groups(&mut Reader::new(&value)).unwrap());
        }
        for value in records(RecordKind::Package) {
            let secret = Reader::all(&value, package).unwrap();
            taken.packages.push(PackageSecret::from_bytes(&secret).unwrap());
        }
        taken
    }

    /// Whether a blob's outer layer opens, and what is in it.
    fn unwraps(&self, blob: &[u8]) -> Option<Sealed> {
        let opened = self.seeds.iter().find_map(|seed| seed.open_blob(blob).ok());
        opened.map(|content| Sealed::decode(&content).unwrap())
    }

    /// The letter in it, if a key of this home opens that; `welcomes` are all that were recorded.
    fn opens(&self, sealed: &Sealed, welcomes: &[Box<[u8]>]) -> Option<Letter> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let now = Timestamp::from_millis(u64::try_from(now).unwrap());
        let known = self.groups.iter().filter_map(|group| Receiving::from_bytes(group).ok());
        let joined = welcomes.iter().flat_map(|welcome| {
            let join = |secret| mls::join(&self.device, secret, welcome, None, now).ok();
            self.packages.iter().filter_map(join).map(|(group, _)| group).collect::<Vec<_>>()
        });
        let mut groups = known.chain(joined);
        let content = groups.find_map(|mut group| group.open(&self.device, &sealed.message).ok());
        content.map(|content| Letter::decode(&content).unwrap())
    }

    fn last_resorts(&self) -> BTreeSet<[u8; 32]> {
        let last = self.packages.iter().filter(|package| package.last_resort());
        last.map(|package| *package.reference().as_bytes()).collect()
    }
}

/// What stands behind the seed is no key.
fn own_seed(reader: &mut Reader<'_>) -> Result<QueueSeed, DecodeError> {
    reader.tuple("queue", 11)?;
    reader.uint()?;
    reader.fixed::<32>("owner")?;
    reader.text("url", ANY)?;
    reader.fixed("seed").map(QueueSeed::from_bytes)
}

fn places(reader: &mut Reader<'_>) -> Result<Vec<QueueSeed>, DecodeError> {
    reader.tuple("place", 5)?;
    for _ in ["version", "number", "clock"] {
        reader.uint()?;
    }
    let mut seeds = Vec::new();
    for _ in ["queues", "replies"] {
        seeds.extend(QueueAddress::read_list(reader)?.into_iter().map(|queue| queue.seed));
    }
    Ok(seeds)
}

fn group(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    reader.tuple("group", 3)?;
    reader.bytes("id", ANY)?;
    let state = reader.bytes("state", ANY)?.to_vec();
    reader.uint()?;
    Ok(state)
}

fn groups(reader: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, DecodeError> {
    reader.tuple("lane", 12)?;
    reader.uint()?;
    reader.fixed::<32>("account")?;
    let mut groups = Vec::new();
    if reader.array("outbox", 3)? > 0 {
        groups.push(group(reader)?);
        reader.bytes("welcome", ANY)?;
        reader.bool()?;
    }
    for _ in 0..reader.array("stock", ANY)? {
        reader.bytes("package", ANY)?;
    }
    for _ in 0..reader.array("groups", ANY)? {
        groups.push(group(reader)?);
    }
    Ok(groups)
}

fn package(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    reader.tuple("package", 5)?;
    reader.uint()?;
    if reader.array("device", 1)? > 0 {
        reader.fixed::<32>("device")?;
    }
    reader.uint()?;
    reader.bytes("package", ANY)?;
    reader.bytes("secret", ANY).map(<[u8]>::to_vec)
}

/// All blobs that were put, in order.
fn blobs(tap: &Wiretap) -> Vec<Vec<u8>> {
    let asked = tap.carried().into_iter().flat_map(|carried| carried.asked());
    let puts = asked.filter(|asked| asked.operation() == Some(Operation::Put));
    let mut blobs: Vec<Vec<u8>> = Vec::new();
    for put in puts {
        let blob = PutBody::decode(&put.body).unwrap().blob.to_vec();
        // A request that was cut short is made again.
        if !blobs.contains(&blob) {
            blobs.push(blob);
        }
    }
    blobs
}

/// Whether who may look into the queue was given a blob.
fn came(tap: &Wiretap, blob: &[u8]) -> bool {
    tap.carried().iter().any(|carried| carried.back.windows(blob.len()).any(|part| part == blob))
}

/// A copy of a home whose node does not run.
fn copied(person: &Person) -> TempDir {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let copy = builder.prefix("kith-copy-").tempdir().unwrap();
    for entry in person.home().read_dir().unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

/// The sealed records of a home.
fn rows(home: &Path) -> BTreeSet<Vec<u8>> {
    let database = rusqlite::Connection::open(home::database(home)).unwrap();
    let mut statement = database.prepare("SELECT sealed FROM records").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    rows.map(Result::unwrap).filter(|row| row.len() >= PIECE_BYTES).collect()
}

/// How many places in the files of a home hold a piece of these rows.
fn found(home: &Path, rows: &BTreeSet<Vec<u8>>) -> usize {
    let pieces: BTreeSet<&[u8]> = rows.iter().flat_map(|row| row.windows(PIECE_BYTES)).collect();
    let files = home.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap());
    let places = |bytes: Vec<u8>| bytes.windows(PIECE_BYTES).filter(|w| pieces.contains(w)).count();
    files.map(places).sum()
}

/// Letters by Alice in two groups, the second one begun with a package that a letter of Bob's brought;
/// and a copy of Bob's home from before he read the last one. They never meet: those who do need no
/// last resort.
fn story(alice: &mut Person, bob: &mut Person, mailbox: &mut Mailbox) -> TempDir {
    let mut said: Vec<String> = Vec::new();
    let mut says = |mailbox: &Mailbox, one: &Person, other: &Person, text: &str| {
        mailbox.gets(|| one.says(other, text));
        said.push(text.to_owned());
        said.clone()
    };
    let link = bob.link();
    bob.down();
    mailbox.gets(|| alice.kith(&["contact", "add", &link]).json());
    alice.down();
    bob.up();
    bob.sees(alice, "status", "pending");
    bob.kith(&["contact", "accept", &alice.name]).json();
    let known = says(mailbox, bob, alice, "begun with a package of the first letter");
    bob.down();
    alice.up();
    alice.shows(bob, &known);
    let known = says(mailbox, alice, bob, "in the group of the last resort");
    alice.down();
    bob.up();
    bob.shows(alice, &known);
    let known = says(mailbox, bob, alice, "and again");
    bob.down();
    alice.up();
    alice.shows(bob, &known);
    says(mailbox, alice, bob, "this is lost at first");
    alice.down();

    mailbox.wipe();
    bob.up();
    bob.has_open_queues();
    bob.down();
    let before = copied(bob);
    alice.up();
    mailbox.holds(1);
    let known = says(mailbox, alice, bob, "in the new group");
    alice.down();
    bob.up();
    bob.shows(alice, &known);
    let known = says(mailbox, bob, alice, "so it is");
    bob.down();
    alice.up();
    alice.shows(bob, &known);
    alice.is_heard_by(bob);
    alice.down();
    before
}

#[test]
fn of_letters_that_came_only_those_of_a_last_resort_open_with_the_homes() {
    let mut mailbox = Mailbox::start();
    let tap = Wiretap::before(mailbox.port());
    let [mut alice, mut bob] = ["Alice", "Bob"].map(Person::with_mail);
    bob.chooses(&[&tap.url()]);
    alice.chooses(&[&tap.url()]);
    let before = story(&mut alice, &mut bob, &mut mailbox);

    let blobs = blobs(&tap);
    let homes = [&alice, &bob].map(|person| Home::taken(&person.home()));
    let earlier = Home::taken(before.path());
    // The outer layer opens: both who write and who read have its seed.
    let unwrapped = |blob: &Vec<u8>| homes.each_ref().map(|home| home.unwraps(blob));
    let sealed: Vec<Sealed> = blobs
        .iter()
        .map(|blob| unwrapped(blob).into_iter().flatten().next().expect("the outer layer opens"))
        .collect();
    assert!(sealed.len() >= 7, "{} letters were recorded", sealed.len());

    let mut begun: BTreeMap<[u8; 32], [u8; 32]> = BTreeMap::new();
    let welcomes: Vec<Box<[u8]>> = sealed.iter().filter_map(|it| it.welcome.clone()).collect();
    for letter in &sealed {
        if let Some(welcome) = &letter.welcome {
            let group = *mls::group_of(&letter.message).unwrap().as_bytes();
            begun.insert(group, *mls::welcome_package(welcome).unwrap().as_bytes());
        }
    }
    let last_resorts: BTreeSet<[u8; 32]> = homes.iter().flat_map(Home::last_resorts).collect();
    let (mut open, mut closed, mut lost, mut opened_earlier) = (0, 0, 0, 0);
    for (letter, blob) in sealed.iter().zip(&blobs) {
        let group = *mls::group_of(&letter.message).unwrap().as_bytes();
        let by_last_resort = last_resorts.contains(&begun[&group]);
        let opens = homes.iter().any(|home| home.opens(letter, &welcomes).is_some());
        if !came(&tap, blob) {
            // What opens it waits for it.
            assert!(opens, "a letter that did not come");
            lost += 1;
            continue;
        }
        assert_eq!(opens, by_last_resort, "a letter of a group begun by {:?}", begun[&group]);
        open += usize::from(opens);
        closed += usize::from(!opens);
        opened_earlier += usize::from(!opens && earlier.opens(letter, &welcomes).is_some());
    }
    // What is put again after something new is known of the other begins a group too; but only the
    // first of all was begun with a card: the request that it carried brought packages.
    assert!(begun.len() >= 4, "{} groups", begun.len());
    assert_eq!(begun.values().filter(|package| last_resorts.contains(*package)).count(), 1);
    assert_eq!(lost, 1, "letters were gone with the disk");
    assert!(open >= 1 && closed >= 5, "{open} open and {closed} do not");
    assert!(opened_earlier >= 2, "who had not read them yet could open {opened_earlier}");

    // Nothing of what Bob had then and has no more is left in his files.
    let now = rows(&bob.home());
    let gone: BTreeSet<Vec<u8>> = rows(before.path()).difference(&now).cloned().collect();
    assert!(gone.len() >= 3, "the lane, its package and more are other ones: {}", gone.len());
    assert_eq!(found(&bob.home(), &gone), 0, "pieces of old records");
    assert!(found(before.path(), &gone) > 0 && found(&bob.home(), &now) > 0);
}
