//! What load does a mailbox-server take? Measured on the true program from another process, beside a
//! bare server that only writes into SQLite and commits for many at once, and beside XMPP servers
//! that store messages of people who are away. Nothing here is asserted; `scripts/mailbox-figures`
//! runs all of it. Words behind `--` choose parts: puts, fetches, waiting, peers; of these a number
//! chooses how many clients ask, and `file` leaves out PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a figure that cannot be had is a failure"
)]

#[path = "load/bare.rs"]
mod bare;
#[path = "../tests/mailbox/client.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod client;
#[path = "../tests/mailbox/cluster.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod cluster;
#[path = "load/drive.rs"]
mod drive;
#[path = "load/ours.rs"]
mod ours;
#[path = "../tests/mailbox/program.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod program;
#[path = "load/waiting.rs"]
mod waiting;
#[path = "load/xmpp.rs"]
mod xmpp;

use cluster::Cluster;
use drive::{Measured, median};
use xmpp::Peer;

/// Clients that ask at the same time, each one thing at a time.
const CLIENTS: [usize; 3] = [1, 16, 64];
/// Queues among which blobs are spread.
const QUEUES: usize = 100;
const ROUNDS: usize = 3;
/// Blobs that are fetched many at a time.
const TAKEN: usize = 12_000;
const PARTS: [&str; 4] = ["puts", "fetches", "waiting", "peers"];

/// What is to be measured.
struct Wanted(Vec<String>);

impl Wanted {
    fn part(&self, name: &str) -> bool {
        let is_part = |word: &&String| PARTS.contains(&word.as_str());
        self.0.iter().find(is_part).is_none() || self.0.iter().any(|word| word == name)
    }

    fn clients(&self) -> Vec<usize> {
        let said: Vec<_> = self.0.iter().filter_map(|word| word.parse().ok()).collect();
        if said.is_empty() { CLIENTS.to_vec() } else { said }
    }

    /// Stores by name, with the flag that chooses them.
    fn stores(&self, cluster: &Cluster) -> Vec<(&'static str, Vec<String>)> {
        let mut stores = vec![("SQLite", vec![])];
        if !self.0.iter().any(|word| word == "file") {
            stores.push(("PostgreSQL", vec![cluster.flag()]));
        }
        stores
    }
}

#[tokio::main]
async fn main() {
    let words = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    let wanted = Wanted(words.collect());
    if wanted.0.first().is_some_and(|word| word == bare::WORD) {
        return bare::serve();
    }
    let cluster = Cluster::start(&[]).await;
    println!("Load average at the start: {}", drive::load_average());
    if wanted.part("puts") {
        puts(&wanted, &cluster);
    }
    if wanted.part("fetches") {
        fetches(&wanted, &cluster);
    }
    let memory = if wanted.part("waiting") { Some(waiting::all().await) } else { None };
    if wanted.part("peers") {
        peers(&wanted, memory);
    }
    println!("\nLoad average at the end: {}", drive::load_average());
}

/// Each round measures all one after the other, so that ratios are of one moment.
fn puts(wanted: &Wanted, cluster: &Cluster) {
    println!("\n4 KiB, each put durable before it is answered; medians of {ROUNDS} rounds:\n");
    println!("| clients | store | puts/s | p50 | p99 | of the bare server |");
    println!("|---|---|---|---|---|---|");
    for clients in wanted.clients() {
        let blobs = blobs(clients);
        let stores = wanted.stores(cluster);
        let mut measured = vec![("bare", Vec::new())];
        measured.extend(stores.iter().map(|(name, _)| (*name, Vec::new())));
        for _ in 0..ROUNDS {
            measured[0].1.push(bare::puts(clients, blobs));
            for ((_, flags), (_, rounds)) in stores.iter().zip(&mut measured[1..]) {
                rounds.push(ours::puts(flags, QUEUES, clients, blobs));
            }
        }
        for (name, rounds) in &measured {
            let ratios = rounds.iter().zip(&measured[0].1).map(|(one, bare)| one.rate / bare.rate);
            let Measured { rate, p50, p99 } = Measured::median(rounds);
            let ratio = median(ratios.collect());
            println!("| {clients} | {name} | {rate:.0} | {p50:.2?} | {p99:.2?} | {ratio:.2} |");
        }
    }
}

/// So many that a measurement takes some seconds.
const fn blobs(clients: usize) -> usize {
    if clients == 1 { 1_000 } else { 12_000 }
}

fn fetches(wanted: &Wanted, cluster: &Cluster) {
    println!(
        "\nFetches, medians of {ROUNDS} rounds. One: a queue holds one blob of 4 KiB, which one"
    );
    println!(
        "fetch takes and the next one acknowledges. Many: a queue holds 120, which one fetch takes.\n"
    );
    println!("| clients | store | fetches/s, one | p50 | p99 | blobs/s, many |");
    println!("|---|---|---|---|---|---|");
    for clients in wanted.clients() {
        for (name, flags) in wanted.stores(cluster) {
            let one: Vec<_> = (0..ROUNDS).map(|_| ours::fetch_one(&flags, clients)).collect();
            let many = (0..ROUNDS).map(|_| ours::fetch_many(&flags, QUEUES, clients, TAKEN));
            let Measured { rate, p50, p99 } = Measured::median(&one);
            let taken = median(many.collect());
            println!("| {clients} | {name} | {rate:.0} | {p50:.2?} | {p99:.2?} | {taken:.0} |");
        }
    }
}

/// Each round measures all one after the other, so that ratios are of one moment.
fn peers(wanted: &Wanted, memory: Option<u64>) {
    println!(
        "\nStored for people who are away and delivered when they come: ours 4 KiB, each durable"
    );
    println!("and answered; the others 1,000 bytes in one stream, answered once at the end.\n");
    println!("| server | mailboxes | clients | stored/s | ours is | delivered/s | ours is |");
    println!("|---|---|---|---|---|---|---|");
    let all = [(1, 1), (1, 16), (QUEUES, 1), (QUEUES, 16)];
    for (queues, clients) in all.into_iter().filter(|(_, some)| wanted.clients().contains(some)) {
        let (mut ours, mut others) = (Vec::new(), Peer::ALL.map(|peer| (peer, Vec::new())));
        for _ in 0..ROUNDS {
            ours.push(ours::put_and_fetch(queues, clients, blobs(clients) / 2));
            for (peer, rounds) in &mut others {
                rounds.push(xmpp::start(*peer).store_and_deliver(clients, queues));
            }
        }
        print_peer("ours", queues, clients, &ours, &ours);
        for (peer, rounds) in &others {
            print_peer(peer.name(), queues, clients, rounds, &ours);
        }
    }
    println!();
    for peer in Peer::ALL {
        let (name, bytes) = (peer.name(), xmpp::start(peer).bytes_idle());
        print!("{name}: {bytes} bytes for each idle connection");
        if let Some(memory) = memory {
            print!("; a waiting fetch is {:.2} of it", memory as f64 / bytes as f64);
        }
        println!();
    }
}

type Rates = (f64, f64);

fn print_peer(name: &str, queues: usize, clients: usize, rounds: &[Rates], ours: &[Rates]) {
    let of = |which: fn(&Rates) -> f64| {
        let ratios = ours.iter().zip(rounds).map(|(ours, one)| which(ours) / which(one));
        (median(rounds.iter().map(which).collect()), median(ratios.collect()))
    };
    let ((stored, puts), (taken, fetches)) = (of(|rates| rates.0), of(|rates| rates.1));
    println!(
        "| {name} | {queues} | {clients} | {stored:.0} | {puts:.2} × | {taken:.0} | {fetches:.2} × |"
    );
}
