//! Which seeds does a run try? As many at once as there are processors.
//!
//! `KITH_SEEDS=10000` runs more, `SEED=42` begins elsewhere.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// Runs something with each seed of a run that has `usual` seeds where nothing else is wanted.
pub fn each(usual: u64, run: impl Fn(u64) + Sync) {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = number("SEED").unwrap_or(1);
    let count = number("KITH_SEEDS").unwrap_or(usual);
    let next = AtomicU64::new(first);
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < first + count
                {
                    run(seed);
                }
            });
        }
    });
}
