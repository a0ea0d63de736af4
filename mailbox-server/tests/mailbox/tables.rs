//! Can the rules be driven without a server, step by step, and is expiry bounded?

use std::time::Instant;

use bytes::Bytes;
use kith_common::{
    envelope::{Payload, sign},
    keys::SigningKey,
    service::{
        Code, Failure, Stamp,
        mailbox::{Days, Fetch, Fetched, Open, Operation, PutBody},
    },
    time::Timestamp,
};
use mailbox_server::{
    limits::SWEEP_BLOBS_MAX,
    mailbox::Bounds,
    store::sqlite::{Tables, answer},
};

use crate::client::{Keys, blob, random, seen};

const DAY_MS: u64 = 86_400_000;
const NOON: Timestamp = Timestamp::from_millis(20_000 * DAY_MS + DAY_MS / 2);
const BOUNDS: Bounds = Bounds {
    queues_max: 3,
    bytes_max: 1 << 40,
    queue_blobs_max: u16::MAX,
    queue_bytes_max: 1 << 40,
};

/// Tables and a clock.
struct World {
    tables: Tables,
    now: Timestamp,
    count: u128,
}

impl World {
    fn new(bounds: Bounds) -> Self {
        Self { tables: Tables::in_memory(bounds).unwrap(), now: NOON, count: 0 }
    }

    fn stamp(&mut self) -> Stamp {
        self.count += 1;
        let nonce = self.count.to_be_bytes();
        Stamp { audience: "mail.example.org".to_owned(), time: self.now, nonce }
    }

    fn ask(&mut self, operation: Operation, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let (tables, body) = (&mut self.tables, Bytes::from(body));
        answer(tables, "mail.example.org", self.now, operation, &body, &mut random())
    }

    fn signed<T: Payload>(key: &SigningKey, value: T) -> Vec<u8> {
        sign(key, value).into_bytes().into_vec()
    }

    fn open(&mut self, keys: &Keys, days: Days) -> Result<Vec<u8>, Failure> {
        let (stamp, writer) = (self.stamp(), *keys.writer.public());
        let (blobs_max, bytes_max) = (u16::MAX, 1 << 40);
        let open = Open { stamp, writer, days, blobs_max, bytes_max, card: None, access: None };
        self.ask(Operation::Open, Self::signed(&keys.owner, open))
    }

    fn put(&mut self, keys: &Keys, number: u32) -> Result<Vec<u8>, Failure> {
        let body = PutBody::signed(&keys.writer, self.stamp(), &blob(number));
        self.ask(Operation::Put, body)
    }

    fn fetch(&mut self, keys: &Keys) -> Result<Fetched, Failure> {
        let fetch = Fetch { stamp: self.stamp(), delete: vec![], wait_ms: 0 };
        let reply = self.ask(Operation::Fetch, Self::signed(&keys.owner, fetch))?;
        Ok(Fetched::decode(&reply).unwrap())
    }

    fn later(&mut self, days: u64) {
        self.now = self.now.plus_millis(days * DAY_MS);
    }

    fn sweep(&mut self) -> usize {
        let mut batches = 1;
        while self.tables.sweep(self.now, SWEEP_BLOBS_MAX).unwrap() {
            batches += 1;
        }
        batches
    }
}

#[test]
fn blobs_end_after_their_days() {
    let mut world = World::new(BOUNDS);
    let (short, long) = (Keys::new(), Keys::new());
    world.open(&short, Days::One).unwrap();
    world.open(&long, Days::Seven).unwrap();
    world.put(&short, 1).unwrap();
    world.put(&long, 2).unwrap();
    world.now = world.now.plus_millis(DAY_MS - 1);
    world.sweep();
    assert_eq!(seen(&world.fetch(&short).unwrap()), [(1, Some(1))], "not a moment too early");
    world.now = world.now.plus_millis(DAY_MS / 12);
    world.sweep();
    assert!(world.fetch(&short).unwrap().items.is_empty());
    assert_eq!(seen(&world.fetch(&long).unwrap()), [(1, Some(2))]);
    world.later(7);
    world.sweep();
    assert!(world.fetch(&long).unwrap().items.is_empty());
    assert_eq!((world.tables.totals().blobs, world.tables.totals().bytes), (0, 0));
    world.put(&short, 3).unwrap();
    assert_eq!(seen(&world.fetch(&short).unwrap()), [(2, Some(3))], "numbers go on");
}

#[test]
fn what_ends_first_need_not_stand_first() {
    let mut world = World::new(BOUNDS);
    let keys = Keys::new();
    world.open(&keys, Days::Seven).unwrap();
    world.put(&keys, 1).unwrap();
    world.open(&keys, Days::One).unwrap();
    world.put(&keys, 2).unwrap();
    world.later(2);
    world.sweep();
    assert_eq!(seen(&world.fetch(&keys).unwrap()), [(1, Some(1))]);
}

#[test]
fn a_file_of_the_first_version_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mailbox.sqlite");
    let open = || Tables::open(&path, BOUNDS).unwrap();
    let mut world = World { tables: open(), now: NOON, count: 0 };
    let keys = Keys::new();
    world.open(&keys, Days::One).unwrap();
    world.put(&keys, 1).unwrap();
    let earlier = "DROP TABLE ends; CREATE INDEX blobs_end ON blobs (end_hour);
                   PRAGMA user_version = 1";
    rusqlite::Connection::open(&path).unwrap().execute_batch(earlier).unwrap();
    world.tables = open();
    world.sweep();
    assert_eq!(seen(&world.fetch(&keys).unwrap()), [(1, Some(1))]);
    world.later(2);
    world.sweep();
    assert!(world.fetch(&keys).unwrap().items.is_empty());
}

#[test]
fn a_queue_goes_whose_owner_does_not_come() {
    let mut world = World::new(BOUNDS);
    let (here, away) = (Keys::new(), Keys::new());
    world.open(&here, Days::Seven).unwrap();
    world.open(&away, Days::Seven).unwrap();
    world.later(20);
    world.fetch(&here).unwrap();
    world.later(10);
    world.put(&away, 1).unwrap();
    world.sweep();
    world.fetch(&here).unwrap();
    assert_eq!(world.tables.totals().queues, 2, "thirty days are allowed");
    world.later(1);
    world.sweep();
    assert_eq!(world.fetch(&away).unwrap_err().code, Code::UnknownQueue);
    world.fetch(&here).unwrap();
    let totals = world.tables.totals();
    assert_eq!((totals.queues, totals.blobs, totals.bytes), (1, 0, 0));
}

#[test]
fn the_server_has_bounds_for_all_queues_together() {
    let mut world = World::new(Bounds { bytes_max: 10_000, ..BOUNDS });
    let keys = [(); 4].map(|()| Keys::new());
    for keys in &keys[..3] {
        world.open(keys, Days::One).unwrap();
    }
    assert_eq!(world.open(&keys[3], Days::One).unwrap_err().code, Code::NoRoom);
    world.open(&keys[2], Days::Seven).expect("a queue that is there can be opened again");
    world.put(&keys[0], 1).unwrap();
    world.put(&keys[1], 2).unwrap();
    assert_eq!(world.put(&keys[2], 3).unwrap_err().code, Code::NoRoom);
    assert!(world.fetch(&keys[2]).unwrap().items.is_empty(), "no mark for who is not full");
    let close = kith_common::service::mailbox::Close { stamp: world.stamp() };
    world.ask(Operation::Close, World::signed(&keys[0].owner, close)).unwrap();
    world.sweep();
    world.put(&keys[2], 3).expect("there is room again");
}

/// A million where it is asked for (`KITH_EXPIRED=1000000`), fewer in the run of every change.
#[test]
fn what_is_over_goes_in_bounded_batches_and_its_space_is_used_again() {
    let count: usize = std::env::var("KITH_EXPIRED").map_or(20_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mailbox.sqlite");
    let bounds = Bounds { queues_max: 1000, ..BOUNDS };
    let tables = Tables::open(&path, bounds).unwrap();
    let mut world = World { tables, now: NOON, count: 0 };
    // As many queues as hold so many blobs.
    let queues = count.div_ceil(50_000);
    let keys = Keys::new();
    world.open(&keys, Days::One).unwrap();
    for _ in 1..queues {
        world.open(&Keys::new(), Days::One).unwrap();
    }
    fill(&path, count / queues);
    world.tables = Tables::open(&path, bounds).unwrap();
    let size = || std::fs::metadata(&path).unwrap().len();
    world.later(2);
    let (mut longest, mut batches, began) = (0, 0, Instant::now());
    loop {
        let batch = Instant::now();
        world.tables.begin().unwrap();
        let more = world.tables.sweep(world.now, SWEEP_BLOBS_MAX).unwrap();
        world.tables.commit().unwrap();
        longest = longest.max(batch.elapsed().as_millis());
        batches += 1;
        if !more {
            break;
        }
        world.put(&keys, batches).unwrap();
    }
    let (took, before) = (began.elapsed(), size());
    println!("{count} blobs in {batches} batches, {took:?}, the longest {longest} ms");
    assert!(usize::try_from(batches).unwrap() >= count / SWEEP_BLOBS_MAX, "in batches");
    let left = "SELECT count(*) FROM ends WHERE queue NOT IN (SELECT id >> 32 FROM blobs)";
    let left: i64 =
        rusqlite::Connection::open(&path).unwrap().query_row(left, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "what is over is looked for no more");
    fill(&path, count / queues / 2);
    assert!(size() <= before + (1 << 20), "the file did not grow: {before}, {}", size());
}

/// Puts so many blobs into each queue, behind the back of the tables.
fn fill(path: &std::path::Path, count: usize) {
    let mut db = rusqlite::Connection::open(path).unwrap();
    let change = db.transaction().unwrap();
    let sql = "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT ?1)
               INSERT INTO blobs (id, end_hour, hash, bytes)
               SELECT (queues.id << 32) + 1000000 + n, ?2, randomblob(32), zeroblob(512)
               FROM n, queues";
    let end_hour = i64::try_from(NOON.millis() / 3_600_000).unwrap() + 25;
    change.execute(sql, (i64::try_from(count).unwrap(), end_hour)).unwrap();
    change.execute("INSERT OR IGNORE INTO ends SELECT ?1, id FROM queues", [end_hour]).unwrap();
    let sql = "UPDATE queues SET blobs = blobs + ?1, bytes = bytes + ?1 * 512";
    change.execute(sql, [i64::try_from(count).unwrap()]).unwrap();
    change.commit().unwrap();
}
