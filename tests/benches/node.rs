//! How long does a message take from the keyboard to its tick, and what does an idle node cost?
//!
//! Two true nodes on loopback. Beside them, in the same run, the least that such a message needs on
//! this machine: two durable appends, one after the other, and two crossings of loopback.
#![expect(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops where its set-up fails, and prints"
)]

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use kith_tests::process::Person;
use serde_json::json;

const MESSAGES: usize = 300;
const IDLE: Duration = Duration::from_secs(60);

fn main() {
    let (mut alice, mut bob) = (Person::start("Alice"), Person::start("Bob"));
    alice.befriends(&bob);
    println!("{}", json!({ "figure": "tick", "milliseconds": ticks(&alice, &bob) }));
    println!("{}", json!({ "figure": "tick_limit", "milliseconds": limits() }));
    println!("{}", json!({ "figure": "idle", "of": idle(&alice) }));
    alice.down();
    bob.down();
}

/// From the request to write until the event that says that all of Bob's devices have it.
fn ticks(alice: &Person, bob: &Person) -> serde_json::Value {
    let api = alice.api();
    let events = api.events();
    let mut taken = Vec::new();
    for number in 0..MESSAGES {
        let start = Instant::now();
        let id = api.send("Bob", &format!("message {number}"), None).expect("taken");
        events.wait_state(&id, "delivered_all");
        taken.push(start.elapsed());
    }
    assert_eq!(bob.history(alice).len(), MESSAGES, "every message is there");
    quantiles(taken)
}

fn limits() -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |name: &str| {
        OpenOptions::new().create(true).append(true).open(folder.path().join(name)).expect("a file")
    };
    let (mut one, mut other) = (open("one"), open("other"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a connection");
        socket.set_nodelay(true).expect("no delay");
        let mut buffer = [0; 500];
        while socket.read_exact(&mut buffer).is_ok() {
            append(&mut other);
            if socket.write_all(&buffer).is_err() {
                return;
            }
        }
    });
    let mut socket = TcpStream::connect(address).expect("a connection");
    socket.set_nodelay(true).expect("no delay");
    let mut taken = Vec::new();
    for _ in 0..MESSAGES {
        let start = Instant::now();
        append(&mut one);
        socket.write_all(&[0; 500]).expect("sent");
        socket.read_exact(&mut [0; 500]).expect("answered");
        taken.push(start.elapsed());
    }
    quantiles(taken)
}

fn append(file: &mut File) {
    file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).expect("durable");
}

fn quantiles(mut taken: Vec<Duration>) -> serde_json::Value {
    taken.sort_unstable();
    let at = |part: f64| {
        let index = (taken.len() as f64 * part) as usize;
        taken[index.min(taken.len() - 1)].as_secs_f64() * 1000.0
    };
    json!({ "p50": at(0.5), "p90": at(0.9), "p99": at(0.99) })
}

/// Resident memory, and processor time over a minute in which nothing happens.
fn idle(person: &Person) -> serde_json::Value {
    let before = processor_ticks(person.process_id());
    std::thread::sleep(IDLE);
    let used = processor_ticks(person.process_id()) - before;
    let status = std::fs::read_to_string(format!("/proc/{}/status", person.process_id()));
    let status = status.expect("a process");
    let resident = status.lines().find(|line| line.starts_with("VmRSS")).expect("a line");
    let kibibytes: f64 = resident.split_whitespace().nth(1).expect("a number").parse().expect("it");
    // The kernel counts in hundredths of a second.
    let share = used as f64 / 100.0 / IDLE.as_secs_f64() * 100.0;
    json!({ "resident_mib": kibibytes / 1024.0, "core_percent": share })
}

fn processor_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    fields[11].parse::<u64>().expect("user") + fields[12].parse::<u64>().expect("system")
}
