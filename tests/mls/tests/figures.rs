//! What does sealing cost, in bytes and in time?

use std::time::Instant;

use kith_common::{keys::SigningKey, time::Timestamp};
use kith_core::mls::{Receiving, Sending, check_package, join, make_package};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const ROUNDS: u32 = 500;
const MONTH_MS: u64 = 30 * 24 * 60 * 60 * 1000;

fn micros<T>(what: &str, mut run: impl FnMut() -> T) {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        run();
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
    println!("{what:32} {each:8.0} µs");
}

#[test]
#[ignore = "figures, not a test"]
fn figures() {
    let (alice, bob) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
    let rng = &mut ChaCha20Rng::from_seed([3; 32]);
    let now = Timestamp::from_millis(50 * 12 * MONTH_MS);
    let package = make_package(&bob, now, MONTH_MS, false, rng).unwrap();
    let checked = check_package(&alice, &package.public, bob.device(), now).unwrap();
    let (mut sending, welcome) = Sending::begin(&alice, checked.clone(), now, rng).unwrap();
    let (receiving, _) = join(&bob, &package.secret, &welcome, None, now).unwrap();
    let sealed: Vec<_> = (0..1024).map(|_| sending.seal(&alice, &[7; 200], rng).unwrap()).collect();
    let mut worst = Receiving::from_bytes(&receiving.to_bytes()).unwrap();
    worst.open(&bob, &sealed[1023]).unwrap();

    for (what, bytes) in [
        ("package", package.public.len()),
        ("its private half", package.secret.to_bytes().unwrap().len()),
        ("welcome", welcome.len()),
        ("around a message of 200 bytes", sealed[0].len() - 200),
        ("state of who sends", sending.to_bytes().len()),
        ("state of who receives", receiving.to_bytes().len()),
        ("the same, 1,023 still to come", worst.to_bytes().len()),
    ] {
        println!("{what:32} {bytes:8} bytes");
    }

    micros("make a package", || make_package(&bob, now, MONTH_MS, false, rng).unwrap());
    micros("check a package", || {
        check_package(&alice, &package.public, bob.device(), now).unwrap()
    });
    micros("begin", || Sending::begin(&alice, checked.clone(), now, rng).unwrap());
    micros("join", || join(&bob, &package.secret, &welcome, None, now).unwrap());
    let (mut sending, _) = Sending::begin(&alice, checked, now, rng).unwrap();
    micros("seal 200 bytes", || sending.seal(&alice, &[7; 200], rng).unwrap());
    let mut in_order = receiving.to_bytes();
    let mut next = sealed.iter();
    micros("open 200 bytes, in order", || {
        let mut receiving = Receiving::from_bytes(&in_order).unwrap();
        receiving.open(&bob, next.next().unwrap()).unwrap();
        in_order = receiving.to_bytes();
    });
    let mut next = sealed.iter().rev().skip(1);
    micros("open 200 bytes, newest first", || worst.open(&bob, next.next().unwrap()).unwrap());
    micros("open the 1,024th first", || {
        let mut receiving = Receiving::from_bytes(&receiving.to_bytes()).unwrap();
        receiving.open(&bob, &sealed[1023]).unwrap()
    });
}
