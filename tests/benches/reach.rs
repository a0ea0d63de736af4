//! How long does it take from nothing running to the first message, for two who know an id alone?
//!
//! Three true programs on loopback: a bootstrap and two nodes, started when the clock starts, with
//! new homes. Times of c-toxcore for the same are printed by `scripts/tox_connect.c`.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops where its set-up fails, and prints"
)]

use std::time::{Duration, Instant};

use kith_tests::process::{Bootstrap, PATIENCE, Person, Setup, until};
use serde_json::json;

const RUNS: usize = 50;

fn main() {
    let mut taken: [Vec<Duration>; 2] = Default::default();
    for _ in 0..RUNS {
        let mut bootstrap = Bootstrap::start();
        let setup = Setup::beginning_at(&[&bootstrap]);
        let [mut alice, mut bob] = ["Alice", "Bob"].map(|name| Person::init(name, setup.clone()));
        let id = bob.init["account"].as_str().expect("an id").to_owned();
        bootstrap.kill();

        let start = Instant::now();
        bootstrap.up();
        bob.up();
        alice.up();
        alice.kith(&["contact", "add", &id, "--greeting", "hello"]).json();
        bob.sees(&alice, "greeting", "hello");
        taken[0].push(start.elapsed());
        bob.kith(&["contact", "accept", "Alice"]).json();
        alice.sees(&bob, "status", "contact");
        alice.says(&bob, "how are you?");
        until("the message is there", PATIENCE, || (bob.history(&alice).len() == 1).then_some(()));
        taken[1].push(start.elapsed());
    }
    let [greeting, message] = taken.map(quantiles);
    println!("{}", json!({ "figure": "reach", "greeting": greeting, "message": message }));
}

fn quantiles(mut taken: Vec<Duration>) -> serde_json::Value {
    taken.sort_unstable();
    let at = |hundredths: usize| {
        let rank = (taken.len() * hundredths).div_ceil(100).max(1);
        taken[rank - 1].as_secs_f64()
    };
    json!({ "runs": taken.len(), "p50_s": at(50), "p99_s": at(99) })
}
