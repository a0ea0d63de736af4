//! What opens recorded bytes after a device was taken? Nothing that was opened before.

use super::*;

#[test]
fn the_key_of_an_opened_message_is_gone_from_the_state() {
    let mut pair = pair();
    let (first, second) = (pair.seal(b"first"), pair.seal(b"second"));
    pair.open(&second).unwrap();
    let waiting = pair.receiving.to_bytes();
    let copy = Receiving::from_bytes(&waiting).unwrap().open(&pair.bob, &first).unwrap();
    assert_eq!(*copy, b"first", "while it waits, its key is in the state");

    pair.open(&first).unwrap();
    let after = pair.receiving.to_bytes();
    let waiting = state::without_sum(&waiting).unwrap();
    let lost: Vec<_> = waiting.windows(32).filter(|bytes| !contains(&after, bytes)).collect();
    assert!(lost.len() >= 32, "a key and a nonce went");
    for number in [0, 1] {
        let sealed = [&first, &second][number];
        let again = Receiving::from_bytes(&after).unwrap().open(&pair.bob, sealed);
        assert_eq!(again, Err(MlsError::Opened(u32::try_from(number).unwrap())));
    }
}

#[test]
fn nothing_from_before_a_message_was_opened_is_left_behind_it() {
    let mut pair = pair();
    let sealed = pair.seal(b"hello");
    let before = pair.receiving.to_bytes();
    pair.open(&sealed).unwrap();
    let after = pair.receiving.to_bytes();
    // What differs at first is the secret of the whole tree: it makes every key of the group.
    let tree = changed(&before, &after);
    assert!(!contains(&after, &before[tree..tree + 32]));
}

#[test]
fn the_package_is_needed_to_open_the_welcome_again() {
    let mut pair = pair();
    let sealed = pair.seal(b"hello");
    let (mut again, _) = join(&pair.bob, &pair.secret, &pair.welcome, None, NOW).unwrap();
    assert!(again.open(&pair.bob, &sealed).is_ok(), "so it has to go when the group is stored");

    let init_key = {
        let secret = pair.secret.to_bytes().unwrap();
        // Version, kind, reference, the package and its length; then the key and its length.
        let package = package_of(&pair.bob, 7).public.len() - 4;
        let start = 34 + 2 + package + 1;
        secret[start..start + 32].to_vec()
    };
    let (_, public) = kith_common::crypto::suite::xwing_keypair(&init_key).unwrap();
    assert!(contains(&package_of(&pair.bob, 7).public, &public), "it is the private key");
    assert!(!contains(&pair.receiving.to_bytes(), &init_key));
    pair.open(&sealed).unwrap();
    assert!(!contains(&pair.receiving.to_bytes(), &init_key));
}

#[test]
fn who_sent_cannot_open_what_was_sent() {
    let mut pair = pair();
    let before = pair.sending.to_bytes();
    let sealed = pair.seal(b"hello");
    let after = pair.sending.to_bytes();
    assert!(opens_as_receiver(&before, &sealed), "before, the state makes every key");
    assert!(!opens_as_receiver(&after, &sealed));
}

#[test]
fn the_device_key_is_in_no_state() {
    let mut pair = pair();
    let sealed = pair.seal(b"hello");
    pair.open(&sealed).unwrap();
    let package = package_of(&pair.bob, 1).secret.to_bytes().unwrap();
    let states = [pair.sending.to_bytes(), pair.receiving.to_bytes(), package];
    for key in [&pair.alice, &pair.bob] {
        key.expose_seed(|seed| assert!(states.iter().all(|state| !contains(state, seed))));
    }
}

#[test]
fn secrets_do_not_print_themselves() {
    let pair = pair();
    let shown = format!("{:?} {:?} {:?}", pair.sending, pair.receiving, pair.secret);
    assert!(shown.len() < 300, "{shown}");
}

/// Whether a stolen sender's state, turned into that of the other member, opens the message.
fn opens_as_receiver(state: &[u8], sealed: &[u8]) -> bool {
    let (alice, bob) = (alice(), bob());
    let library = 69;
    let state = state::without_sum(state).unwrap();
    (library..state.len() - 4).any(|at| {
        if state[at..at + 4] != [0; 4] {
            return false;
        }
        let mut turned = state.to_vec();
        turned[0] = 2;
        turned[33..65].copy_from_slice(alice.device().as_bytes());
        turned[at..at + 4].copy_from_slice(&[0, 0, 0, 1]);
        let turned = state::with_sum(turned.into());
        Receiving::from_bytes(&turned).is_ok_and(|mut state| state.open(&bob, sealed).is_ok())
    })
}

fn changed(before: &[u8], after: &[u8]) -> usize {
    // Behind the count, which changes with every message.
    let library = 69;
    let same = before[library..].iter().zip(&after[library..]).take_while(|(a, b)| a == b).count();
    library + same
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
