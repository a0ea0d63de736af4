//! How fast are entries taken in, against what the signature check alone and the store alone cost?
//!
//! `scripts/figures` reads the figures of one run and prints the ratios that docs/performance.md
//! quotes. Rates of different runs are not to be compared.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark stops where its set-up fails"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kith::sqlite::SqliteStore;
use kith_common::{
    crypto,
    keys::{Secret, SigningKey},
};
use kith_core::{
    engine::{Command, Input, LinkId},
    store::{EntryRow, Store, memory::MemoryStore},
};
use kith_tests::pair::{
    CONVERSATION, Side, Transactions, entry_frames, frames, identity, join, talk,
};

const LINK: LinkId = LinkId(1);
const ENTRIES: usize = 4000;
/// Entries of this size that a frame of `SYNC_FRAME_BYTES` takes.
const PER_FRAME: usize = 128;

/// A conversation of two people who write in turns of a few messages; held by Alice.
fn conversation(entries: usize) -> (Side<MemoryStore>, Side<MemoryStore>) {
    let mut alice = Side::new(1, MemoryStore::new());
    let mut bob = Side::new(2, MemoryStore::new());
    befriend(&mut alice, &mut bob);
    join(&mut alice, &mut bob, LINK);
    let (a, b) = (alice.account(), bob.account());
    let text =
        |n: usize| format!("{n}: a line of about the length that people write in chat rooms");
    for n in 0..entries / 8 {
        let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
        for k in 0..4 {
            let say = |to| Command::Send { to, text: text(n * 8 + k), reply_to: None };
            to_b.extend(frames(alice.command(say(b))));
            to_a.extend(frames(bob.command(say(a))));
        }
        talk(&mut alice, &mut bob, LINK, &mut to_a, &mut to_b);
    }
    (alice, bob)
}

fn befriend<A: Transactions, B: Transactions>(alice: &mut Side<A>, bob: &mut Side<B>) {
    alice.befriend(bob.engine.card());
    bob.befriend(alice.engine.card());
}

/// Bob's device with an empty store and a session with an Alice who has nothing to say.
fn fresh<S: Transactions>(store: S) -> Side<S> {
    let mut bob = Side::new(2, store);
    let mut alice = Side::new(1, MemoryStore::new());
    befriend(&mut alice, &mut bob);
    join(&mut alice, &mut bob, LINK);
    bob
}

fn take_in<S: Transactions>(bob: &mut Side<S>, incoming: Vec<Vec<u8>>) {
    for bytes in incoming {
        black_box(bob.handle(Input::Frame { link: LINK, bytes }));
    }
}

fn check_all_there<S: Transactions>(bob: &Side<S>, expected: usize) {
    let alice = identity(1).account.id();
    let positions = bob.engine.positions(&bob.store, alice).expect("the store reads");
    assert_eq!(positions.len(), expected, "every entry was taken in");
}

fn in_core(criterion: &mut Criterion) {
    let (alice, bob) = conversation(ENTRIES);
    let singly = entry_frames(&alice, bob.account(), 1);
    let bulk = entry_frames(&alice, bob.account(), PER_FRAME);
    let mut group = criterion.benchmark_group("core");
    group.throughput(Throughput::Elements(ENTRIES as u64));
    group.sample_size(10);

    let key = SigningKey::from_seed(&[7; 32]);
    let rows = alice.store.newest(CONVERSATION, None, ENTRIES).expect("the store reads");
    let message = rows[0].envelope.to_vec();
    let signature = raw_signature(&message);
    group.bench_function("verify", |bencher| {
        bencher.iter(|| {
            for _ in 0..ENTRIES {
                assert!(crypto::verify(black_box(key.public()), &message, &signature));
            }
        });
    });
    for (name, frames) in [("live", &singly), ("bulk", &bulk)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (fresh(MemoryStore::new()), frames.clone()),
                |(mut bob, frames)| {
                    take_in(&mut bob, frames);
                    bob
                },
                BatchSize::PerIteration,
            );
        });
        let mut bob = fresh(MemoryStore::new());
        take_in(&mut bob, frames.clone());
        check_all_there(&bob, ENTRIES);
    }
    group.finish();
}

/// The signature of key 7 over a message, by the library directly.
fn raw_signature(message: &[u8]) -> [u8; 64] {
    let pair = libsodium_rs::crypto_sign::keypair_from_seed(&[7; 32]).expect("a key pair");
    libsodium_rs::crypto_sign::sign_detached(message, &pair.secret_key).expect("a signature")
}

fn on_disk(criterion: &mut Criterion) {
    let (alice, bob) = conversation(ENTRIES);
    let bulk = entry_frames(&alice, bob.account(), PER_FRAME);
    let rows: Vec<EntryRow> =
        alice.store.newest(CONVERSATION, None, usize::MAX).expect("the store reads");
    let folder = tempfile::tempdir().expect("a folder");
    let mut number = 0;
    let mut open = || {
        number += 1;
        let path = folder.path().join(format!("{number}.db"));
        SqliteStore::create(&path, &Secret::copied(&[1; 32])).expect("a new store")
    };
    let mut group = criterion.benchmark_group("disk");
    group.throughput(Throughput::Elements(ENTRIES as u64));
    group.sample_size(10);
    group.bench_function("raw", |bencher| {
        bencher.iter_custom(|rounds| {
            (0..rounds).map(|_| time(open(), |store| insert(store, &rows))).sum()
        });
    });
    group.bench_function("bulk", |bencher| {
        bencher.iter_custom(|rounds| {
            (0..rounds).map(|_| time(fresh(open()), |bob| take_in(bob, bulk.clone()))).sum()
        });
    });
    let mut bob = fresh(open());
    take_in(&mut bob, bulk);
    check_all_there(&bob, ENTRIES);
    group.finish();
}

/// The same rows, as many in a transaction, with nothing checked.
fn insert(store: &mut SqliteStore, rows: &[EntryRow]) {
    let mut rows: Vec<&EntryRow> = rows.iter().collect();
    rows.reverse();
    for chunk in rows.chunks(PER_FRAME) {
        store.begin_transaction();
        for row in chunk {
            store.add_entry(row).expect("the store takes it");
        }
        store.commit_transaction();
    }
}

fn time<T>(mut state: T, work: impl FnOnce(&mut T)) -> Duration {
    let start = Instant::now();
    work(&mut state);
    start.elapsed()
}

criterion_group!(benches, in_core, on_disk);
criterion_main!(benches);
