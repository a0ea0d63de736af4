//! Does a thief lose, whatever the order of what happens? Random thefts, one seed each.
//!
//! `KITH_SEEDS=10000` runs more, `SEED=42` begins elsewhere.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use kith_tests::sim::theft::{self, Deed};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs thefts with many seeds, as many at once as there are processors.
fn thefts(seeds: u64, test: &'static str, deeds: &[Deed]) {
    let first = number("SEED").unwrap_or(1);
    let count = number("KITH_SEEDS").unwrap_or(seeds);
    let next = AtomicU64::new(first);
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < first + count
                {
                    theft::run(seed, test, deeds);
                }
            });
        }
    });
}

#[test]
fn random_thefts() {
    thefts(100, "random_thefts", &Deed::ALL);
}

#[test]
fn thefts_with_votes_and_messages() {
    let deeds = [Deed::Accuse, Deed::Say, Deed::Backdate, Deed::Withhold, Deed::Noise];
    thefts(100, "thefts_with_votes_and_messages", &deeds);
}
