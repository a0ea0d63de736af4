//! How many durable puts a second, and how much memory for each client that waits? Measured on the
//! true program, beside a bare server that only writes into SQLite and commits for many at once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a figure that cannot be had is a failure"
)]

#[path = "../tests/mailbox/client.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod client;
#[path = "../tests/mailbox/program.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod program;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    time::{Duration, Instant},
};

use client::{Keys, blob, metric};

use kith_common::service::mailbox::{Operation, PutBody};
use program::Program;

const CLIENTS: u32 = 16;
const SECONDS: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let (ours, slowest) = puts(&program).await;
    program.kill();
    let bare = bare_puts();
    println!("{CLIENTS} clients, 4 KiB, one at a time each:");
    println!("  mailbox-server {ours:.0} durable puts/s, 99 % within {slowest:?}");
    println!("  bare TCP and SQLite {bare:.0} durable puts/s; we reach {:.2} of it", ours / bare);
    for waiting in [1000, 10_000] {
        let (fetches, sockets) = (memory(waiting, false).await, memory(waiting, true).await);
        println!("  {waiting} waiting: {fetches} bytes each by fetch, {sockets} by WebSocket");
    }
}

/// Puts in a second, and the time within which 99 of 100 are answered. Requests are signed before.
async fn puts(program: &Program) -> (f64, Duration) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..CLIENTS {
        let (mut client, keys) = (program.client().await, Keys::new());
        let mut open = client.open_request(&keys);
        (open.blobs_max, open.bytes_max) = (u16::MAX, 1 << 30);
        client.open_as(&keys, open).await.unwrap();
        let bodies: Vec<_> = (0..8000)
            .map(|k| PutBody::signed(&keys.writer, client.stamp(), &blob(n << 16 | k)))
            .collect();
        tasks.spawn(async move {
            let (mut times, began) = (Vec::new(), Instant::now());
            for body in bodies {
                if began.elapsed() > SECONDS {
                    break;
                }
                let sent = Instant::now();
                client.ask(Operation::Put, &body).await.unwrap();
                times.push(sent.elapsed());
            }
            (times.len(), began.elapsed(), times)
        });
    }
    let (mut rate, mut times) = (0.0, Vec::new());
    for (count, took, some) in tasks.join_all().await {
        rate += count as f64 / took.as_secs_f64();
        times.extend(some);
    }
    times.sort_unstable();
    (rate, times[times.len() * 99 / 100])
}

/// The least that must be done: 4 KiB come in, one thread inserts and commits for all that wait, a
/// byte goes out.
fn bare_puts() -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(folder.path().join("bare.sqlite")).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "synchronous", "FULL").unwrap();
    db.execute_batch("CREATE TABLE blobs (id INTEGER PRIMARY KEY, bytes BLOB)").unwrap();
    let (write, jobs) = mpsc::channel::<(Vec<u8>, mpsc::Sender<()>)>();
    std::thread::spawn(move || {
        while let Ok(first) = jobs.recv() {
            let batch: Vec<_> = std::iter::once(first).chain(jobs.try_iter().take(255)).collect();
            db.execute_batch("BEGIN").unwrap();
            for (bytes, _) in &batch {
                let sql = "INSERT INTO blobs (bytes) VALUES (?1)";
                db.prepare_cached(sql).unwrap().execute([bytes]).unwrap();
            }
            db.execute_batch("COMMIT").unwrap();
            batch.into_iter().for_each(|(_, answer)| answer.send(()).unwrap());
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, write) = (stream.unwrap(), write.clone());
            std::thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                let (answer, done) = mpsc::channel();
                let mut bytes = vec![0; 4096];
                while stream.read_exact(&mut bytes).is_ok() {
                    write.send((bytes.clone(), answer.clone())).unwrap();
                    done.recv().unwrap();
                    stream.write_all(&[1]).unwrap();
                }
            });
        }
    });
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| std::thread::spawn(move || bare_client(address))).collect();
    clients.into_iter().map(|client| client.join().unwrap()).sum()
}

fn bare_client(address: SocketAddr) -> f64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (blob, began, mut count) = (vec![7; 4096], Instant::now(), 0.0);
    while began.elapsed() < SECONDS {
        stream.write_all(&blob).unwrap();
        stream.read_exact(&mut [0]).unwrap();
        count += 1.0;
    }
    count / began.elapsed().as_secs_f64()
}

/// Bytes of resident memory for each client that waits.
async fn memory(waiting: u64, sockets: bool) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &["--connections-per-address=20000"]);
    let keys = Keys::new();
    program.client().await.open(&keys).await;
    let before = resident(program.child.id());
    let mut clients = Vec::new();
    for _ in 0..waiting {
        let mut client = program.client().await;
        if sockets {
            client.upgrade().await;
            let fetch = client.fetch_request(&keys, &[], 0);
            client.say(&kith_common::service::mailbox::live::ask(Operation::Fetch, &fetch)).await;
            client.hear().await.unwrap();
        } else {
            let body = client.fetch_request(&keys, &[], 60_000);
            client.begin(Operation::Fetch, &body).await;
        }
        clients.push(client);
    }
    let name = if sockets { "kith_mailbox_live" } else { "kith_mailbox_waiting" };
    while metric(program.health, name).await < waiting {
        tokio::task::yield_now().await;
    }
    let after = resident(program.child.id());
    program.kill();
    (after - before) / waiting
}

fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
