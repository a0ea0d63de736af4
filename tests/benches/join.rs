//! How long does a new device take to get everything, against raw inserts of the same rows?
//!
//! Once between two engines in this thread, each with a database, and once between two true nodes
//! on loopback. `KITH_CHAT` names the chat, `KITH_MESSAGES` the length of the generated history.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops where its set-up fails, and prints"
)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use kith::{
    home::{self, Passphrase},
    sqlite::SqliteStore,
};
use kith_common::keys::Secret;
use kith_core::{engine::LinkId, store::EntryRow};
use kith_tests::{
    pair::{Side, devices, join},
    past::{self, CONVERSATIONS, Said, contact},
    process::{Person, Setup},
};
use serde_json::{Value, json};

const MESSAGES: usize = 200_000;
const LONG: Duration = Duration::from_secs(600);
/// Pause between two looks at the new device: short against what is measured, and each look costs it
/// a fiftieth of that.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Raw inserts are measured so often; the median counts.
const RAW_TIMES: usize = 3;

fn main() {
    let count = std::env::var("KITH_MESSAGES").map(|text| text.parse().expect("a number"));
    let generated = count.unwrap_or(MESSAGES);
    let pasts = [("chat", past::chat()), ("generated", past::generated(generated))];
    for (name, said) in pasts {
        for (between, figures) in [("engines", engines(&said)), ("nodes", nodes(&said))] {
            let messages = said.len();
            println!(
                "{}",
                json!({ "figure": "join", "of": name, "messages": messages, between: figures })
            );
        }
    }
}

fn engines(said: &[Said]) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |name: &str| {
        SqliteStore::create(&folder.path().join(name), &Secret::copied(&[1; 32])).expect("a store")
    };
    let [phone, _] = devices();
    let held = past::lived(phone, said);
    let mut store = open("phone");
    past::copy(&held.store, &mut store);
    drop(held);
    let [phone, tablet] = devices();
    let mut phone = Side::of(phone, store);
    let mut tablet = Side::of(tablet, open("tablet"));
    let start = Instant::now();
    join(&mut phone, &mut tablet, LinkId(100));
    let taken = start.elapsed();
    let rows = past::rows(&tablet.store);
    assert_eq!(held_messages(&rows), said.len(), "everything has come");
    json!({ "seconds": taken.as_secs_f64(), "raw": raw(&rows, open, taken) })
}

/// Messages among the rows of all logs but the first, which is the self log.
fn held_messages(logs: &[Vec<EntryRow>]) -> usize {
    logs.iter().skip(1).map(Vec::len).sum()
}

/// The same rows into the same kind of store, with nothing checked: as many in a transaction as a
/// frame brings, and eight times as many.
fn raw(logs: &[Vec<EntryRow>], open: impl Fn(&str) -> SqliteStore, taken: Duration) -> Value {
    let figures = [128, 1024].map(|per_transaction| {
        let mut times: Vec<f64> = (0..RAW_TIMES)
            .map(|time| {
                let mut store = open(&format!("{per_transaction}-{time}"));
                let start = Instant::now();
                past::insert(&mut store, logs, per_transaction);
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let raw = times[RAW_TIMES / 2];
        let ratio = taken.as_secs_f64() / raw;
        json!({ "per_transaction": per_transaction, "seconds": raw, "ratio": ratio })
    });
    json!(figures)
}

fn nodes(said: &[Said]) -> Value {
    let mut phone = Person::init("Alice", Setup::default());
    past::fill(&phone.home(), said);
    phone.up();
    let newest: Vec<(String, String)> = (0..CONVERSATIONS)
        .map(|number| {
            let name = contact(number);
            let page =
                phone.api().get(&format!("/api/contacts/{}/messages?limit=1", escape(&name)));
            let id = page.value()[0]["id"].as_str().expect("a message").to_owned();
            (name, id)
        })
        .collect();
    let mut tablet = phone.begins("tablet").confirmed_by(&phone);
    let before = cpu_seconds(&phone);
    let start = Instant::now();
    tablet.up();
    let up = start.elapsed();
    for (name, id) in &newest {
        while !tablet.api().has(name, id) {
            assert!(start.elapsed() < LONG, "{name} is not complete");
            std::thread::sleep(LOOK_AGAIN);
        }
    }
    let taken = start.elapsed();
    let peak = [peak_mib(&phone), peak_mib(&tablet)];
    let cpu = [cpu_seconds(&phone) - before, cpu_seconds(&tablet)];
    phone.down();
    tablet.down();
    let logs = past::rows(&store_of(&tablet.home()));
    assert_eq!(held_messages(&logs), said.len(), "everything has come");
    let folder = tempfile::tempdir().expect("a folder");
    let open = |name: &str| {
        SqliteStore::create(&folder.path().join(name), &Secret::copied(&[1; 32])).expect("a store")
    };
    json!({
        "seconds": taken.as_secs_f64(),
        "of_which_start": up.as_secs_f64(),
        "raw": raw(&logs, open, taken),
        "cpu_seconds": { "old": cpu[0], "new": cpu[1] },
        "peak_mib": { "old": peak[0], "new": peak[1] },
    })
}

fn escape(name: &str) -> String {
    kith::client::escape(name)
}

fn store_of(home: &Path) -> SqliteStore {
    let keys = home::unlock(home, &Passphrase::None).expect("a home without a passphrase");
    SqliteStore::open(&home::database(home), &keys.master).expect("its database")
}

/// The time that a node's process has been running on a core, in steps of 0.01 s.
fn cpu_seconds(person: &Person) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", person.process_id()));
    let status = status.expect("a process");
    let (_, behind_name) = status.rsplit_once(')').expect("a name in brackets");
    let ticks = |at| behind_name.split_whitespace().nth(at).and_then(|text| text.parse().ok());
    let [user, system]: [f64; 2] = [11, 12].map(|at| ticks(at).expect("a number"));
    (user + system) / 100.0
}

/// The most memory that a node's process has ever had.
fn peak_mib(person: &Person) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", person.process_id()));
    let status = status.expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a line");
    let kibibytes: f64 = line.split_whitespace().nth(1).expect("a number").parse().expect("it");
    kibibytes / 1024.0
}
