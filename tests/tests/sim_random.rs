//! Do the promises hold whatever happens? Random people, weather and lies, one seed each.
//!
//! `KITH_SEEDS=10000` runs more, `SEED=42` begins elsewhere.

use kith_tests::sim::{plan, seeds};

/// Seeds in the normal run.
const SEEDS: u64 = 300;

#[test]
fn random_worlds() {
    seeds::each(SEEDS, |seed| drop(plan::run(seed, "random_worlds")));
}

#[test]
fn random_worlds_with_new_devices() {
    seeds::each(SEEDS, |seed| drop(plan::run_growing(seed, "random_worlds_with_new_devices")));
}

/// Carol removes Alice, who asks again, at each device of Carol's with another greeting; one of these
/// makes a contact of her otherwise.
#[test]
fn who_asks_again_is_shown_the_same_everywhere() {
    drop(plan::run(19_108, "who_asks_again_is_shown_the_same_everywhere"));
}
