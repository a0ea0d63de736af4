//! Is everything refused that is not one of our groups, and does nothing bring us down?

use proptest::prelude::*;

use super::*;
use kith_common::limits::{PACKAGE_BYTES_MAX, WELCOME_BYTES_MAX};

use super::{desk::Desk, provider::Random};
use crate::limits::{GROUP_STATE_BYTES_MAX, SEALED_BYTES_MAX};

#[test]
fn a_package_is_bound_to_its_device() {
    let package = package_of(&bob(), 1).public;
    let by = |me: &SigningKey, owner: DeviceId| check_package(me, &package, owner, NOW).map(drop);
    assert_eq!(by(&alice(), bob().device()), Ok(()));
    assert_eq!(by(&alice(), mallory().device()), Err(MlsError::OtherDevice));
    assert_eq!(by(&bob(), bob().device()), Err(MlsError::OtherDevice));
}

#[test]
fn a_package_has_its_time() {
    let package = package_of(&bob(), 1).public;
    let at = |ms: i64| {
        let now = Timestamp::from_millis(NOW.millis().saturating_add_signed(ms));
        check_package(&alice(), &package, bob().device(), now)
            .and_then(|package| Sending::begin(&alice(), package, now, &mut rng(1)))
            .map(drop)
    };
    let day = i64::try_from(DAY_MS).unwrap();
    assert_eq!(at(-3 * day), Err(MlsError::Lifetime));
    assert_eq!(at(-2 * day), Ok(()));
    assert_eq!(at(0), Ok(()));
    assert_eq!(at(30 * day), Ok(()));
    assert_eq!(at(30 * day + 1000), Err(MlsError::Lifetime));
}

#[test]
fn a_package_ends_also_for_who_made_it() {
    let pair = pair();
    let end = pair.secret.ends();
    let at = |now| join(&pair.bob, &pair.secret, &pair.welcome, None, now).map(drop);
    assert_eq!(at(end.plus_millis(9 * DAY_MS)), Ok(()));
    assert_eq!(at(end.plus_millis(9 * DAY_MS + 1)), Err(MlsError::Lifetime));
}

/// Each message that is left out costs its reader a key.
#[test]
fn whoever_leaps_on_and_on_gets_no_further() {
    let (alice, bob) = (alice(), bob());
    let package = package_of(&bob, 7);
    let (random, desk) = (Random::draw(&mut rng(8)), Desk::default());
    let checked = check_package(&alice, &package.public, bob.device(), NOW).unwrap();
    let (message, moment) = checked.into_message(NOW).unwrap();
    let (mut group, welcome) = sending::pair(&alice, message, moment, &random, &desk).unwrap();
    let (mut receiving, _) = join(&bob, &package.secret, &welcome, None, NOW).unwrap();
    let (mut opened, mut refused) = (0, 0);
    for number in 1..=4_000 {
        let sealed = group.encrypt_application_message(b"x", Vec::new()).unwrap();
        if number % 1_000 > 0 {
            continue;
        }
        match receiving.open(&bob, &sealed.to_bytes().unwrap()) {
            Ok(_) => opened += 1,
            Err(MlsError::Beyond(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        let state = receiving.to_bytes();
        assert!(state.len() <= GROUP_STATE_BYTES_MAX, "{} bytes", state.len());
        receiving = Receiving::from_bytes(&state).expect("what is stored can be read");
    }
    assert_eq!((opened, refused), (1, 3));
}

#[test]
fn a_welcome_is_for_one_device_and_by_one() {
    let pair = pair();
    let other = package_of(&pair.bob, 70).secret;
    let by = |me: &SigningKey, secret: &PackageSecret, from| {
        join(me, secret, &pair.welcome, from, NOW).map(drop)
    };
    assert_eq!(by(&pair.bob, &other, None), Err(MlsError::OtherPackage));
    assert_eq!(by(&pair.bob, &pair.secret, Some(mallory().device())), Err(MlsError::OtherSender));
    assert!(by(&mallory(), &pair.secret, None).is_err());
}

#[test]
fn a_message_opens_in_its_group_only() {
    let mut ours = pair();
    let package = package_of(&bob(), 20);
    let (mut sending, welcome) = begin(&mallory(), &package.public, bob().device(), 21);
    join(&bob(), &package.secret, &welcome, None, NOW).unwrap();
    let foreign = sending.seal(&mallory(), b"x", &mut rng(1)).unwrap();
    assert_eq!(ours.open(&foreign), Err(MlsError::OtherGroup));
    let sealed = ours.seal(b"hello");
    assert_eq!(ours.receiving.open(&mallory(), &sealed), Err(MlsError::OtherGroup));
    assert!(matches!(
        ours.sending.seal(&mallory(), b"hello", &mut rng(1)),
        Err(MlsError::OtherGroup)
    ));
    assert_eq!(ours.open(&sealed).unwrap(), b"hello");
}

#[test]
fn a_refused_message_changes_nothing() {
    let mut pair = pair();
    let sealed = pair.seal(b"hello");
    let before = pair.receiving.to_bytes();
    let mut bad = sealed.clone();
    *bad.last_mut().unwrap() ^= 1;
    assert_eq!(pair.open(&bad), Err(MlsError::Forged));
    assert_eq!(pair.receiving.to_bytes(), before);
    assert_eq!(pair.open(&sealed).unwrap(), b"hello");
}

#[test]
fn what_is_too_large_is_not_read() {
    let mut pair = pair();
    let large = |max: usize| MlsError::TooLarge { bytes: max + 1, max };
    let bytes = vec![0; SEALED_BYTES_MAX + 1];
    let package = check_package(&alice(), &bytes[..=PACKAGE_BYTES_MAX], bob().device(), NOW);
    assert_eq!(package.map(drop), Err(large(PACKAGE_BYTES_MAX)));
    assert_eq!(welcome_package(&bytes[..=WELCOME_BYTES_MAX]), Err(large(WELCOME_BYTES_MAX)));
    assert_eq!(pair.open(&bytes), Err(large(SEALED_BYTES_MAX)));
}

#[test]
fn one_kind_is_not_taken_for_another() {
    let mut pair = pair();
    let (package, sealed) = (package_of(&bob(), 1).public, pair.seal(b"x"));
    assert_eq!(welcome_package(&package), Err(MlsError::Malformed));
    assert_eq!(group_of(&package), Err(MlsError::Malformed));
    assert_eq!(group_of(&pair.welcome), Err(MlsError::Malformed));
    assert_eq!(welcome_package(&sealed), Err(MlsError::Malformed));
}

/// One change of some bytes.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Grow(u8),
    Insert(prop::sample::Index, Vec<u8>),
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (index(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        2 => index().prop_map(Change::Cut),
        1 => any::<u8>().prop_map(Change::Grow),
        1 => (index(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ]
}

impl Change {
    pub(super) fn of(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Self::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Grow(byte) => bytes.push(*byte),
            Self::Insert(at, new) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
        }
        bytes
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_changed_package_is_refused(change in change()) {
        let changed = change.of(&package_of(&bob(), 1).public);
        prop_assert!(check_package(&alice(), &changed, bob().device(), NOW).is_err());
    }

    #[test]
    fn a_changed_welcome_is_refused(change in change()) {
        let pair = pair();
        let changed = change.of(&pair.welcome);
        prop_assert!(join(&pair.bob, &pair.secret, &changed, None, NOW).is_err());
    }

    #[test]
    fn a_changed_message_is_refused(change in change(), plain: Vec<u8>) {
        let mut pair = pair();
        let sealed = pair.seal(&plain);
        prop_assert!(pair.open(&change.of(&sealed)).is_err());
        prop_assert_eq!(pair.open(&sealed).unwrap(), plain);
    }

    #[test]
    fn a_damaged_state_is_not_taken_up(change in change()) {
        let pair = pair();
        let sending = change.of(&pair.sending.to_bytes());
        prop_assert!(Sending::from_bytes(&sending).is_err());
        let receiving = change.of(&pair.receiving.to_bytes());
        prop_assert!(Receiving::from_bytes(&receiving).is_err());
        let secret = change.of(&pair.secret.to_bytes().unwrap());
        prop_assert!(PackageSecret::from_bytes(&secret).is_err());
    }

    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        let mut pair = pair();
        prop_assert!(check_package(&alice(), &bytes, bob().device(), NOW).is_err());
        prop_assert!(join(&pair.bob, &pair.secret, &bytes, None, NOW).is_err());
        prop_assert!(pair.open(&bytes).is_err());
    }
}
