//! Do the rules of a log hold? Each test draws its DAG, time from left to right.
//!
//! `a1` is the first entry of alice.phone, `b2` the second of bob.phone; a prime marks a rival with
//! the same number. An entry stands behind its device's previous one and behind what is drawn
//! leading to it.

mod bounds;
mod cuts;
mod erasure;
mod forks;
mod histories;
mod hostile;
mod property;
mod reading;
mod writing;

use std::{collections::BTreeMap, sync::LazyLock};

use kith_common::{
    entry::{Text, hash_body},
    envelope::Signed,
    frame::CarriedEntry,
    limits::{BODY_BYTES_MAX, BODY_SALT_BYTES},
};

use super::*;
use crate::{
    limits::{AUTHORS_MAX, PENDING_BYTES_MAX, PENDING_ENTRIES_MAX},
    refusal::Refusal,
    store::{Body, EntryRow, memory::MemoryStore},
};

const LOG: LogId = LogId::from_bytes([0x10; 32]);
const BEGIN_MS: u64 = 1_700_000_000_000;
const HOUR_MS: u64 = 60 * 60 * 1000;

fn key(device: u8) -> SigningKey {
    SigningKey::from_seed(&[device; 32])
}

const fn account(device: u8) -> AccountId {
    AccountId::from_bytes([device; 32])
}

/// Whoever may write: every name has a device and an account of its own.
static PEOPLE: LazyLock<BTreeMap<DeviceId, AccountId>> =
    LazyLock::new(|| (0..=u8::MAX).map(|name| (key(name).device(), account(name))).collect());

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(BEGIN_MS + ms)
}

/// An entry as its writer made it.
#[derive(Clone)]
struct Made {
    entry: Entry,
    mark: Mark,
    carried: CarriedEntry,
}

/// What all devices have written, honest or not.
#[derive(Default)]
struct Dag {
    made: BTreeMap<String, Made>,
}

impl Dag {
    /// Writes an entry behind `parents`, one second after the one written before.
    fn write(&mut self, name: &str, parents: &str) -> &mut Self {
        self.write_with(name, parents, |_| {})
    }

    /// As `write`, at a time of one's own.
    fn write_at(&mut self, name: &str, parents: &str, ms: u64) -> &mut Self {
        self.write_with(name, parents, |entry| entry.hlc = Hlc::at(at(ms)))
    }

    /// As `write`, with something changed before it is signed.
    fn write_with(
        &mut self,
        name: &str,
        parents: &str,
        change: impl FnOnce(&mut Entry),
    ) -> &mut Self {
        let device = name.as_bytes()[0];
        let seq: u64 = name[1..].trim_end_matches('\'').parse().unwrap();
        let rivals = ["'", ""].map(|prime| format!("{}{}{prime}", device as char, seq - 1));
        let own_line = rivals.iter().skip(usize::from(!name.ends_with('\'')));
        let prev = own_line.filter_map(|name| self.made.get(name)).next();
        let parents: Vec<&Made> = parents.split_whitespace().map(|name| &self.made[name]).collect();
        let below = || prev.into_iter().chain(parents.iter().copied());
        let body = Text { text: name.to_owned(), reply_to: None }.encode([7; BODY_SALT_BYTES]);
        let mut entry = Entry {
            log: LOG,
            account: account(device),
            seq,
            prev: prev.map(|prev| prev.mark.id),
            depth: 1 + below().map(|made| made.entry.depth).max().unwrap_or(0),
            hlc: Hlc::at(at(1000 * (1 + self.made.len() as u64))),
            parents: parents.iter().map(|made| made.mark).collect(),
            account_head: EntryId::from_bytes([0; 32]),
            kind: EntryKind::TEXT,
            body_hash: hash_body(&body),
            body_bytes: body.len() as u64,
        };
        entry.parents.sort_unstable();
        change(&mut entry);
        let envelope = sign(&key(device), entry.clone()).into_bytes();
        self.keep(name, entry, CarriedEntry { envelope, body: Some(body.into()) });
        self
    }

    fn keep(&mut self, name: &str, entry: Entry, carried: CarriedEntry) {
        let device = key(name.as_bytes()[0]).device();
        let mark = Mark { device, seq: entry.seq, id: EntryId::of(&carried.envelope) };
        self.made.insert(name.to_owned(), Made { entry, mark, carried });
    }

    /// Breaks the signature of an entry; whoever builds on it names it as it is then.
    fn spoil(&mut self, name: &str) -> &mut Self {
        let Made { entry, mut carried, .. } = self.made[name].clone();
        *carried.envelope.last_mut().unwrap() ^= 1;
        self.keep(name, entry, carried);
        self
    }

    fn name_of(&self, id: EntryId) -> &str {
        self.made.iter().find(|(_, made)| made.mark.id == id).map_or("?", |(name, _)| name)
    }

    fn batch(&self, names: &str) -> Vec<CarriedEntry> {
        names.split_whitespace().map(|name| self.made[name].carried.clone()).collect()
    }
}

/// A device that takes entries in.
struct Holder {
    log: Log,
    store: MemoryStore,
    refused: Vec<Refusal>,
    liars: Vec<DeviceId>,
}

impl Holder {
    fn new() -> Self {
        let (log, store) = (Log::new(LOG, LogNumber(1)), MemoryStore::new());
        Self { log, store, refused: Vec::new(), liars: Vec::new() }
    }

    fn receive(&mut self, entries: Vec<CarriedEntry>, now: Timestamp) -> Received {
        let writers = |device, account| match PEOPLE.get(&device) {
            Some(own) if *own == account => Ok(()),
            _ => Err(Refusal::NotEntitled),
        };
        let received = self.log.receive(entries, &writers, now, &mut self.store).unwrap();
        self.refused.extend(&received.refused);
        self.liars.extend(received.liars.iter().map(|(device, _)| *device));
        received
    }

    fn get(&mut self, dag: &Dag, names: &str, now: Timestamp) -> Received {
        self.receive(dag.batch(names), now)
    }

    fn rows(&self) -> Vec<EntryRow> {
        let mut rows = self.store.newest(self.log.number(), None, usize::MAX).unwrap();
        rows.reverse();
        rows
    }

    fn shown(&self, dag: &Dag) -> String {
        let names: Vec<&str> = self.rows().iter().map(|row| dag.name_of(row.position.id)).collect();
        names.join(" ")
    }

    fn write(&mut self, device: u8, now: Timestamp) -> Entry {
        let body = Text { text: "own".to_owned(), reply_to: None }.encode([7; BODY_SALT_BYTES]);
        let draft = Draft {
            account: account(device),
            account_head: EntryId::from_bytes([0; 32]),
            kind: EntryKind::TEXT,
            body,
        };
        let (place, _) = self.log.write(&key(device), now, draft, &mut self.store).unwrap();
        let row = self.store.entry(place).unwrap().unwrap();
        Signed::<Entry>::decode(&row.envelope).unwrap().claim().clone()
    }
}

/// What a holder makes of what came.
#[derive(Default)]
struct Outcome {
    /// What is shown, in order.
    shown: &'static str,
    /// How many entries wait.
    waits: usize,
    /// What was refused.
    refused: &'static [Refusal],
    /// Which devices are proven to lie.
    liars: &'static [u8],
}

/// Hands the batches over one after the other, an hour after the beginning.
fn check(dag: &Dag, batches: &[&str], outcome: &Outcome) {
    let mut holder = Holder::new();
    for batch in batches {
        holder.get(dag, batch, at(HOUR_MS));
    }
    assert_eq!(holder.shown(dag), outcome.shown, "shown after {batches:?}");
    assert_eq!(holder.log.pending_count(), outcome.waits, "waiting after {batches:?}");
    assert_eq!(holder.refused, outcome.refused, "refused after {batches:?}");
    let liars: Vec<DeviceId> = outcome.liars.iter().map(|name| key(*name).device()).collect();
    assert_eq!(holder.liars, liars, "liars after {batches:?}");
    for row in holder.rows() {
        let made = &dag.made[dag.name_of(row.position.id)];
        assert_eq!(row.envelope, made.carried.envelope);
        assert_eq!(row.body.bytes(), made.carried.body.as_deref());
    }
}

fn shows(dag: &Dag, batches: &[&str], shown: &'static str) {
    check(dag, batches, &Outcome { shown, ..Outcome::default() });
}

/// ```text
/// a1 ───────► a2
///    ╲       ╱
///     ► b1 ─►
/// ```
#[test]
fn an_answer_stands_behind_its_question_whatever_the_clocks_say() {
    let mut dag = Dag::default();
    dag.write_at("a1", "", 5000).write_at("b1", "a1", 1000).write_at("a2", "b1", 3000);
    shows(&dag, &["a1 b1 a2"], "a1 b1 a2");
    shows(&dag, &["a1", "b1", "a2"], "a1 b1 a2");
}

/// ```text
/// a1 (5 s)
/// b1 (3 s)
/// c1 (4 s)
/// ```
#[test]
fn what_nothing_connects_stands_by_time() {
    let mut dag = Dag::default();
    dag.write_at("a1", "", 5000).write_at("b1", "", 3000).write_at("c1", "", 4000);
    for order in ["a1 b1 c1", "c1 b1 a1", "b1 a1 c1"] {
        shows(&dag, &[order], "b1 c1 a1");
    }
}

/// ```text
/// a1 (1 s)
/// b1 (1 s)
/// ```
#[test]
fn entries_of_one_moment_stand_by_their_ids() {
    let mut dag = Dag::default();
    dag.write_at("a1", "", 1000).write_at("b1", "", 1000);
    let expected = if dag.made["a1"].mark.id < dag.made["b1"].mark.id { "a1 b1" } else { "b1 a1" };
    shows(&dag, &["a1 b1"], expected);
    shows(&dag, &["b1", "a1"], expected);
}

/// ```text
/// a1 ─► a2 ─► a3
/// ```
#[test]
fn a_chain_may_come_in_any_order() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a3", "");
    shows(&dag, &["a3", "a2", "a1"], "a1 a2 a3");
    shows(&dag, &["a3 a1 a2"], "a1 a2 a3");
    check(&dag, &["a3", "a1"], &Outcome { shown: "a1", waits: 1, ..Outcome::default() });
}

/// ```text
/// a1 ──► b1 ──► c1
///   ╲         ╱
///    ─► a2 ─►
/// ```
#[test]
fn an_entry_waits_for_all_its_parents() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("b1", "a1").write("a2", "").write("c1", "b1 a2");
    check(&dag, &["c1"], &Outcome { waits: 1, ..Outcome::default() });
    check(&dag, &["c1", "a1 a2"], &Outcome { shown: "a1 a2", waits: 1, ..Outcome::default() });
    shows(&dag, &["c1", "b1", "a2", "a1"], "a1 b1 a2 c1");
    shows(&dag, &["c1 b1 a2 a1"], "a1 b1 a2 c1");
}

/// ```text
/// a1
///    ╲ (names a1 by another id)
///     ► b1
/// ```
#[test]
fn a_parent_that_does_not_exist_is_waited_for() {
    let mut dag = Dag::default();
    dag.write("a1", "").write_with("b1", "a1", |entry| {
        entry.parents[0].id = EntryId::from_bytes([9; 32]);
    });
    check(&dag, &["a1 b1"], &Outcome { shown: "a1", waits: 1, ..Outcome::default() });
    let mut holder = Holder::new();
    holder.get(&dag, "b1", at(HOUR_MS));
    holder.get(&dag, "a1", at(HOUR_MS));
    assert_eq!(holder.log.last_seq(key(b'b').device()), 0);
}

/// ```text
/// a1 ─► a2 ─► a3          a1 and a2: the signature is broken
/// ```
#[test]
fn an_entry_is_believed_if_the_next_one_names_it() {
    let mut dag = Dag::default();
    dag.write("a1", "").spoil("a1").write("a2", "").spoil("a2").write("a3", "");
    // In one batch only the newest signature is looked at.
    shows(&dag, &["a1 a2 a3"], "a1 a2 a3");
    // One by one, the broken ones are noticed; believed they are all the same.
    for batches in [["a1", "a2", "a3"], ["a3", "a2", "a1"], ["a2", "a3", "a1"], ["a1", "a3", "a2"]]
    {
        let liars = b"aa";
        check(&dag, &batches, &Outcome { shown: "a1 a2 a3", liars, ..Outcome::default() });
    }
}

/// ```text
/// a1 ─► a2                a2: the signature is broken
/// ```
#[test]
fn an_entry_with_a_broken_signature_at_the_end_waits() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").spoil("a2").write("a3", "");
    let waiting = Outcome { shown: "a1", waits: 1, ..Outcome::default() };
    check(&dag, &["a1 a2"], &waiting);
    check(&dag, &["a1 a2", "a2", "a1"], &waiting);
    check(
        &dag,
        &["a1 a2", "a3"],
        &Outcome { shown: "a1 a2 a3", liars: b"a", ..Outcome::default() },
    );
}

/// ```text
/// a1 ─► a2
///   ╲─► a2′               a2′: the signature is broken
/// ```
#[test]
fn nobody_is_convicted_by_a_broken_signature() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a2'", "").spoil("a2'");
    let waits = Outcome { shown: "a1 a2", waits: 1, ..Outcome::default() };
    check(&dag, &["a1 a2", "a2'"], &waits);
    check(&dag, &["a1", "a2'", "a2"], &waits);
}

/// ```text
/// a1 ─► a2  (depth 5)
/// ```
#[test]
fn a_wrong_depth_splits_nobody() {
    for depth in [0, 1, 3, 5, SEQ_MAX] {
        let mut dag = Dag::default();
        dag.write("a1", "").write_with("a2", "", |entry| entry.depth = depth);
        dag.write_with("b1", "a2", |entry| entry.depth = 2);
        check(&dag, &["a1 a2 b1"], &Outcome { shown: "a1 a2 b1", ..Outcome::default() });
    }
}

/// ```text
/// a1 ─► a2 (also names a1 as a parent)
/// ```
#[test]
fn a_parent_in_the_own_chain_is_refused() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "a1");
    let refused = &[Refusal::Place];
    check(&dag, &["a1 a2"], &Outcome { shown: "a1", refused, ..Outcome::default() });
}

/// ```text
/// a1 (of another log)     b1 (for carol's account)
/// ```
#[test]
fn entries_of_other_logs_and_accounts_are_refused() {
    let mut dag = Dag::default();
    dag.write_with("a1", "", |entry| entry.log = LogId::from_bytes([0x11; 32]));
    dag.write_with("b1", "", |entry| entry.account = account(b'c'));
    let refused = &[Refusal::OtherLog, Refusal::NotEntitled];
    check(&dag, &["a1 b1"], &Outcome { refused, ..Outcome::default() });
}

/// ```text
/// a1 ─► a2 (25 hours ahead) ─► a3
/// ```
#[test]
fn an_entry_from_the_future_is_taken_when_its_time_comes() {
    let mut dag = Dag::default();
    dag.write("a1", "").write_at("a2", "", 25 * HOUR_MS).write_at("a3", "", 2000);
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2 a3", at(HOUR_MS - 1));
    assert_eq!(holder.shown(&dag), "a1");
    assert_eq!(holder.refused, [Refusal::AheadOfClock]);
    // Its clock does not move ours.
    assert_eq!(holder.write(b'b', at(HOUR_MS - 1)).hlc, Hlc::at(at(HOUR_MS - 1)));
    holder.get(&dag, "a2", at(HOUR_MS));
    assert_eq!(holder.log.last_seq(key(b'a').device()), 3);
    assert_eq!(holder.log.pending_count(), 0);
}

/// ```text
/// a1 (24 hours ahead) ─► own (at our own time)
/// ```
#[test]
fn a_clock_that_is_fast_does_not_move_ours() {
    let mut dag = Dag::default();
    dag.write_at("a1", "", 25 * HOUR_MS);
    let mut holder = Holder::new();
    holder.get(&dag, "a1", at(HOUR_MS));
    for now in [at(HOUR_MS - 1), at(0), at(HOUR_MS)] {
        let own = holder.write(b'b', now);
        assert_eq!(own.hlc, Hlc::at(now), "others see our time, not that of whom we answer");
    }
    let eff: Vec<u64> = holder.rows().iter().map(|row| row.position.eff).collect();
    assert!(eff.is_sorted_by(|a, b| a < b));
    assert_eq!(holder.log.last_seq(key(b'b').device()), 3);
}

/// ```text
/// a1 (1 s)
/// b1 (59 min 30 s)        c1 (1 min) comes last
/// ```
#[test]
fn what_comes_long_after_it_was_written_is_marked_late() {
    let mut dag = Dag::default();
    dag.write_at("a1", "", 1000).write_at("b1", "", HOUR_MS - 30_000);
    dag.write_at("c1", "", 60_000).write_at("d1", "", HOUR_MS - 31_000);
    dag.write_at("e1", "", HOUR_MS - 60_000);
    let mut holder = Holder::new();
    holder.get(&dag, "a1 b1 c1 d1 e1", at(HOUR_MS));
    let late: Vec<(&str, bool)> =
        holder.rows().iter().map(|row| (dag.name_of(row.position.id), row.late)).collect();
    // d1 sorts above b1, but is too young; a1 and b1 came in at the end.
    let expected = [("a1", false), ("c1", true), ("e1", true), ("d1", false), ("b1", false)];
    assert_eq!(late, expected);
}

/// ```text
/// (a1) ─► a2 ─► a3 ─► …   a1 is withheld
/// ```
#[test]
fn what_waits_is_bounded_in_number() {
    let mut dag = Dag::default();
    for seq in 1..=PENDING_ENTRIES_MAX + 11 {
        dag.write(&format!("a{seq}"), "");
    }
    let mut holder = Holder::new();
    for seq in 2..=PENDING_ENTRIES_MAX + 11 {
        holder.get(&dag, &format!("a{seq}"), at(HOUR_MS));
    }
    assert_eq!(holder.log.pending_count(), PENDING_ENTRIES_MAX);
    assert_eq!(holder.refused, [Refusal::PendingFull; 10]);
    // Nothing is lost: what was refused is sent again.
    holder.get(&dag, "a1", at(HOUR_MS));
    assert_eq!(holder.log.pending_count(), 0);
    for seq in PENDING_ENTRIES_MAX + 2..=PENDING_ENTRIES_MAX + 11 {
        holder.get(&dag, &format!("a{seq}"), at(HOUR_MS));
    }
    assert_eq!(holder.log.last_seq(key(b'a').device()), PENDING_ENTRIES_MAX as u64 + 11);
}

/// ```text
/// (a1) ─► a2 ─► a3 ─► …   a1 is withheld, each body is as large as may be
///      ╲─► a2′, a2″, …    small, with broken signatures
/// ```
#[test]
fn what_waits_is_bounded_in_bytes() {
    let mut dag = Dag::default();
    dag.write("a1", "");
    let body: Box<[u8]> = vec![1; BODY_BYTES_MAX].into();
    let hash = hash_body(&body);
    let fit = PENDING_BYTES_MAX / BODY_BYTES_MAX;
    for doubtful in [0, PENDING_ENTRIES_MAX] {
        let mut holder = Holder::new();
        for number in 0..doubtful as u64 {
            let name = format!("a2{}", "'".repeat(1 + usize::try_from(number).unwrap()));
            dag.write_with(&name, "", |entry| entry.hlc = Hlc::from_bits(number)).spoil(&name);
            holder.get(&dag, &name, at(HOUR_MS));
        }
        assert_eq!(holder.log.pending_count(), doubtful);
        for seq in 2..=fit as u64 + 5 {
            let name = format!("a{seq}");
            dag.write_with(&name, "", |entry| {
                entry.body_hash = hash;
                entry.body_bytes = body.len() as u64;
            });
            let mut carried = dag.made[&name].carried.clone();
            carried.body = Some(body.clone());
            holder.receive(vec![carried], at(HOUR_MS));
        }
        // What is authentic has pushed out what is not; the bound stands.
        let large = holder.log.pending.authentic_count();
        assert!((fit - 3..=fit).contains(&large), "{large} of {fit}");
        assert!(holder.log.pending_count() <= PENDING_ENTRIES_MAX);
        assert!(holder.log.pending.bytes() <= PENDING_BYTES_MAX);
        assert!(holder.refused.iter().all(|refusal| *refusal == Refusal::PendingFull));
    }
}

/// ```text
/// a1 ─► a2 ─► a3          a2: no body; a3: another one
/// ```
#[test]
fn a_body_may_be_missing_but_not_wrong() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a3", "");
    dag.made.get_mut("a2").unwrap().carried.body = None;
    let mut wrong = dag.batch("a3");
    let mut body = wrong[0].body.clone().unwrap().to_vec();
    *body.last_mut().unwrap() ^= 1;
    wrong[0].body = Some(body.into());
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2", at(HOUR_MS));
    holder.receive(wrong, at(HOUR_MS));
    assert_eq!(holder.shown(&dag), "a1 a2");
    assert_eq!(holder.rows()[1].body, Body::Missing);
    assert_eq!(holder.refused, [Refusal::Body]);
    holder.get(&dag, "a3", at(HOUR_MS));
    assert_eq!(holder.shown(&dag), "a1 a2 a3");
}

/// ```text
/// a1 ─► a2                each comes many times
/// ```
#[test]
fn what_is_there_is_not_taken_again() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "");
    shows(&dag, &["a1 a1 a2 a2", "a2", "a1 a2"], "a1 a2");
    shows(&dag, &["a2", "a2", "a2 a1 a1"], "a1 a2");
    let mut holder = Holder::new();
    assert_eq!(holder.get(&dag, "a1 a2", at(HOUR_MS)).accepted.len(), 2);
    let again = holder.get(&dag, "a2", at(HOUR_MS));
    assert!(again.accepted.is_empty());
    assert_eq!(again.sender_has, Covered::from([(AuthorNumber(0), 2)]));
}
