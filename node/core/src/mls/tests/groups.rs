//! Does what one end seals open at the other, in any order, and by its own bytes alone?

use super::*;
use crate::limits::{GROUP_MESSAGES_MAX, GROUP_STATE_BYTES_MAX, SEALED_PLAIN_BYTES_MAX};

#[test]
fn what_is_sealed_opens_and_names_its_group() {
    let mut pair = pair();
    let sealed = pair.seal(b"hello bob");
    assert_eq!(group_of(&sealed), Ok(pair.receiving.id()));
    assert_eq!(pair.sending.id(), pair.receiving.id());
    assert_eq!(pair.sending.to(), pair.bob.device());
    assert_eq!(pair.receiving.from(), pair.alice.device());
    assert_eq!(pair.open(&sealed).unwrap(), b"hello bob");
}

#[test]
fn messages_open_in_any_order_and_once() {
    let mut pair = pair();
    let sealed: Vec<_> = (0..40_u8).map(|number| pair.seal(&[number])).collect();
    for number in (0..40_u8).rev().filter(|number| number % 3 != 0) {
        assert_eq!(pair.open(&sealed[usize::from(number)]).unwrap(), [number]);
    }
    for number in 0..40_u8 {
        let expected = match number % 3 {
            0 => Ok(vec![number]),
            _ => Err(MlsError::Opened(u32::from(number))),
        };
        assert_eq!(pair.open(&sealed[usize::from(number)]), expected);
    }
    assert_eq!(pair.receiving.opened(), 40);
}

#[test]
fn the_last_message_opens_first_and_all_others_after_it() {
    let mut pair = pair();
    let sealed: Vec<_> = (0..GROUP_MESSAGES_MAX).map(|_| pair.seal(b"x")).collect();
    assert_eq!(pair.sending.seal(&pair.alice, b"x", &mut rng(1)), Err(MlsError::Spent));
    pair.open(sealed.last().unwrap()).unwrap();
    let state = pair.receiving.to_bytes();
    assert!(state.len() < GROUP_STATE_BYTES_MAX, "{} bytes", state.len());
    pair.receiving = Receiving::from_bytes(&state).unwrap();
    for message in sealed.iter().rev().skip(1) {
        pair.open(message).unwrap();
    }
}

#[test]
fn both_ends_go_on_from_their_bytes() {
    let mut pair = pair();
    let first = pair.seal(b"first");
    pair.sending = Sending::from_bytes(&pair.sending.to_bytes()).unwrap();
    let second = pair.seal(b"second");
    assert_eq!(pair.sending.sealed(), 2);
    pair.receiving = Receiving::from_bytes(&pair.receiving.to_bytes()).unwrap();
    assert_eq!(pair.open(&second).unwrap(), b"second");
    pair.receiving = Receiving::from_bytes(&pair.receiving.to_bytes()).unwrap();
    assert_eq!(pair.open(&first).unwrap(), b"first");
}

#[test]
fn a_package_secret_goes_on_from_its_bytes() {
    for last_resort in [false, true] {
        let package = make_package(&bob(), NOW, 30 * DAY_MS, last_resort, &mut rng(1)).unwrap();
        let secret = PackageSecret::from_bytes(&package.secret.to_bytes().unwrap()).unwrap();
        assert_eq!(secret.reference(), package.secret.reference());
        assert_eq!(secret.last_resort(), last_resort);
        assert_eq!(secret.ends(), NOW.plus_millis(30 * DAY_MS));
        let checked = check_package(&alice(), &package.public, bob().device(), NOW).unwrap();
        assert_eq!(checked.reference(), secret.reference());
        assert_eq!(checked.last_resort(), last_resort);
        assert_eq!(checked.ends(), secret.ends());
        let (_, welcome) = Sending::begin(&alice(), checked, NOW, &mut rng(2)).unwrap();
        assert_eq!(welcome_package(&welcome), Ok(secret.reference()));
        assert!(join(&bob(), &secret, &welcome, None, NOW).is_ok());
    }
}

#[test]
fn a_last_resort_serves_two_groups() {
    let package = make_package(&bob(), NOW, 14 * DAY_MS, true, &mut rng(1)).unwrap();
    let mut plain = Vec::new();
    for (seed, writer) in [(2, alice()), (3, mallory())] {
        let (mut sending, welcome) = begin(&writer, &package.public, bob().device(), seed);
        let (mut receiving, from) = join(&bob(), &package.secret, &welcome, None, NOW).unwrap();
        assert_eq!(from, writer.device());
        let sealed = sending.seal(&writer, b"x", &mut rng(seed)).unwrap();
        plain.extend_from_slice(&receiving.open(&bob(), &sealed).unwrap());
    }
    assert_eq!(plain, b"xx");
}

#[test]
fn a_last_resort_welcome_that_comes_again_makes_the_same_group() {
    let package = make_package(&bob(), NOW, 14 * DAY_MS, true, &mut rng(1)).unwrap();
    let (_, welcome) = begin(&alice(), &package.public, bob().device(), 2);
    let join = || join(&bob(), &package.secret, &welcome, None, NOW).unwrap().0;
    assert_eq!(join().id(), join().id());
}

#[test]
fn the_same_randomness_makes_the_same_bytes() {
    let run = |seed| {
        let package = package_of(&bob(), seed);
        let (mut sending, welcome) = begin(&alice(), &package.public, bob().device(), seed);
        let sealed = sending.seal(&alice(), b"hello", &mut rng(seed)).unwrap();
        let secret = package.secret.to_bytes().unwrap();
        (package.public, secret, welcome, sealed, sending.to_bytes())
    };
    assert_eq!(run(1), run(1));
    let (one, other) = (run(1), run(2));
    assert_ne!(one.0, other.0);
    assert_ne!(one.3, other.3);
}

#[test]
fn long_and_empty_messages_are_carried() {
    let mut pair = pair();
    let long = vec![7; SEALED_PLAIN_BYTES_MAX];
    let sealed = pair.seal(&long);
    assert_eq!(pair.open(&sealed).unwrap(), long);
    let sealed = pair.seal(b"");
    assert_eq!(pair.open(&sealed).unwrap(), b"");
    let over = vec![7; SEALED_PLAIN_BYTES_MAX + 1];
    let refused = pair.sending.seal(&pair.alice, &over, &mut rng(1));
    assert_eq!(refused, Err(MlsError::TooLarge { bytes: over.len(), max: over.len() - 1 }));
}

#[test]
fn sizes_are_as_the_limits_say() {
    let mut pair = pair();
    let package = package_of(&bob(), 1);
    let overhead = pair.seal(&[0; 200]).len() - 200;
    let sizes = [
        ("package", package.public.len()),
        ("package secret", package.secret.to_bytes().unwrap().len()),
        ("welcome", pair.welcome.len()),
        ("overhead", overhead),
        ("sending", pair.sending.to_bytes().len()),
        ("receiving", pair.receiving.to_bytes().len()),
    ];
    println!("{sizes:?}");
    assert!(sizes.iter().all(|(_, bytes)| *bytes < 5000), "{sizes:?}");
    assert!(overhead <= 256);
}
