//! Do records open for whoever was told how, and for nobody else?

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::{
    account::Account,
    share::{ContactCard, SharedId},
};

const NOW: Timestamp = Timestamp::from_millis(20_780 * DAY_MS + 5 * HOUR_MS + 1234);

struct Device {
    secret: AnnounceSecret,
    addresses: AddressKey,
    rng: ChaCha20Rng,
}

impl Device {
    fn new(seed: u8) -> Self {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let secret = AnnounceSecret::random(&mut rng);
        Self { secret, addresses: AddressKey::random(&mut rng), rng }
    }

    fn record(&mut self, now: Timestamp, addresses: &[&str]) -> (RecordKey, Box<[u8]>) {
        let signer = self.secret.key(Day::of(now));
        let addresses: Vec<String> = addresses.iter().map(|at| (*at).to_owned()).collect();
        let sequence = next_sequence(now, 0, &mut self.rng);
        let value = self.addresses.seal_record(&signer, &addresses, (now, sequence), &mut self.rng);
        (RecordKey::of(signer.public()), value)
    }

    fn schedule(&self, now: Timestamp) -> Schedule {
        Schedule::of(&self.secret, self.addresses.clone(), Day::of(now))
    }
}

#[test]
fn who_was_told_finds_the_record_of_each_day_and_reads_it() {
    let mut alice = Device::new(1);
    let told = Schedule::decode(&alice.schedule(NOW).encode([9; 16])).unwrap();
    for days in [0, 1, 30] {
        let now = NOW.plus_millis(days * DAY_MS);
        let (key, value) = alice.record(now, &["/ip4/192.0.2.1/udp/1/quic-v1"]);
        assert_eq!(told.key(Day::of(now)), Some(key));
        let found = told.addresses.open_record(key, &value, now).unwrap();
        assert_eq!(found.addresses, ["/ip4/192.0.2.1/udp/1/quic-v1"]);
        let seconds = now.millis() / 1000;
        assert!(found.sequence <= seconds && found.sequence + 600 > seconds);
    }
    assert_eq!(told.key(Day(Day::of(NOW).0 + 31)), None);
    assert_eq!(told.key(Day(Day::of(NOW).0 - 1)), None);
    assert_eq!(told.days_left(Day(Day::of(NOW).0 + 22)), 9);
}

#[test]
fn a_keeper_refuses_what_is_not_signed_by_its_key_or_has_no_day_to_live() {
    let (key, value) = Device::new(1).record(NOW, &[]);
    let (other, _) = Device::new(2).record(NOW, &[]);
    let check = |key: RecordKey, value: &[u8], now| check_record(key.as_bytes(), value, now);
    let checked = check(key, &value, NOW).unwrap();
    assert!(checked.not_after > NOW && checked.not_after <= NOW.plus_millis(RECORD_AGE_MS_MAX));
    assert_eq!(check(other, &value, NOW), Err(RecordRefusal::Key));
    assert_eq!(check(key, &value, checked.not_after), Err(RecordRefusal::Time));
    let early = Timestamp::from_millis(NOW.millis() - 2 * HOUR_MS);
    assert_eq!(check(key, &value, early), Err(RecordRefusal::Time));
    assert!(matches!(check_record(&[1; 31], &value, NOW), Err(RecordRefusal::Key)));
    let mut changed = value.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert_eq!(check(key, &changed, NOW), Err(RecordRefusal::Signature));
    changed[last] ^= 1;
    changed[500] ^= 1;
    assert_eq!(check(key, &changed, NOW), Err(RecordRefusal::Signature));
    let longer = [&value[..], &[0; 100]].concat();
    assert!(matches!(check(key, &longer, NOW), Err(RecordRefusal::Malformed(_))));
}

#[test]
fn only_the_key_of_addresses_opens_a_record_and_only_under_its_own_key() {
    let mut alice = Device::new(1);
    let (key, value) = alice.record(NOW, &["/ip4/192.0.2.1/tcp/1"]);
    let opened = Device::new(2).addresses.open_record(key, &value, NOW);
    assert_eq!(opened, Err(RecordRefusal::Sealed));
    // Mallory, a contact of both, signs what Alice has sealed.
    let mallory = Device::new(3).secret.key(Day::of(NOW));
    let stolen = Signed::<Record>::decode(&value).unwrap().claim().clone();
    let moved = sign(&mallory, stolen);
    let key = RecordKey::of(mallory.public());
    let opened = alice.addresses.open_record(key, moved.bytes(), NOW);
    assert_eq!(opened, Err(RecordRefusal::Sealed));
}

#[test]
fn records_look_alike_whatever_they_say() {
    let relayed =
        format!("/ip4/192.0.2.1/udp/1/quic-v1/p2p/{0}/p2p-circuit/p2p/{0}", "Q".repeat(52));
    let (_, short) = Device::new(1).record(NOW, &[]);
    let (_, long) = Device::new(2).record(NOW, &[relayed.as_str(); 16]);
    assert_eq!(short.len(), long.len());
    assert!(short.len() + 60 <= RECORD_BYTES_MAX, "{} bytes", short.len());
}

#[test]
fn addresses_that_do_not_fit_are_left_out_from_the_end() {
    let relayed =
        format!("/ip4/192.0.2.1/udp/1/quic-v1/p2p/{0}/p2p-circuit/p2p/{0}", "Q".repeat(52));
    let mut alice = Device::new(1);
    let addresses =
        [&[relayed.as_str(); 2][..], &["/ip4/192.0.2.1/udp/65535/quic-v1"; 20]].concat();
    let (key, value) = alice.record(NOW, &addresses);
    let found = alice.addresses.open_record(key, &value, NOW).unwrap().addresses;
    assert!(found.len() >= 12 && found.len() <= ADDRESSES_MAX, "{}", found.len());
    assert_eq!(found, addresses[..found.len()]);
}

#[test]
fn the_sequence_grows_even_within_a_second() {
    let mut alice = Device::new(1);
    let seconds = NOW.millis() / 1000;
    let mut last = 0;
    for _ in 0..1000 {
        let next = next_sequence(NOW, last, &mut alice.rng);
        assert!(next > last && next + 600 > seconds && next <= seconds.max(last + 1));
        last = next;
    }
    assert_eq!(next_sequence(NOW, seconds + 99, &mut alice.rng), seconds + 100);
    assert_eq!(next_sequence(NOW, SEQ_MAX, &mut alice.rng), SEQ_MAX);
}

#[test]
fn days_overlap_for_clocks_that_differ() {
    let at = |hours: u64| Timestamp::from_millis(1000 * DAY_MS + hours * HOUR_MS);
    assert_eq!(Day::around(at(1)), [Day(1000), Day(999)]);
    assert_eq!(Day::around(at(2)), [Day(1000)]);
    assert_eq!(Day::around(at(22)), [Day(1000), Day(1001)]);
    let changes: Vec<u64> = [0, 2, 21, 22, 23]
        .map(|hours| (Day::next_change(at(hours)).millis() - 1000 * DAY_MS) / HOUR_MS)
        .into();
    assert_eq!(changes, [2, 22, 22, 24, 24]);
}

#[test]
fn behind_the_last_day_there_is_none() {
    let device = Device::new(1);
    let schedule = Schedule::of(&device.secret, device.addresses.clone(), Day(u32::MAX - 1));
    assert_eq!(schedule.keys.len(), 2);
}

#[test]
fn meeting_places_say_nothing_of_the_keys_of_records() {
    let (alice, bob) = (Device::new(1), Device::new(2));
    let today = alice.addresses.namespace(Day(1));
    assert_eq!(today.len(), 32);
    assert_ne!(today, alice.addresses.namespace(Day(2)));
    assert_ne!(today, bob.addresses.namespace(Day(1)));
}

fn account(seed: u8) -> Account {
    let key = |n: u8| SigningKey::from_seed(&[n; 32]);
    Account::create(&key(seed), &key(seed + 1), &key(seed + 2), [seed; 32])
}

#[test]
fn who_knows_an_id_finds_proves_it_and_reads_the_card() {
    let alice = SharedId::of(&account(1));
    let (hers, theirs) = (FindKey::of(&alice), FindKey::of(&alice));
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let slot = 2;
    let signer = hers.signer(Day(7), slot);
    assert!(theirs.keys(Day(7)).any(|key| key == RecordKey::of(signer.public())));
    assert!(theirs.keys(Day(8)).all(|key| key != RecordKey::of(signer.public())));
    let proof = theirs.proof(b"asker", b"answerer");
    assert!(hers.proves(&proof, b"asker", b"answerer"));
    assert!(!hers.proves(&proof, b"answerer", b"asker"), "it serves on one link alone");
    let bob = FindKey::of(&SharedId::of(&account(10)));
    assert!(!bob.proves(&proof, b"asker", b"answerer"));
    let card = |account| ContactCard {
        account,
        name: "Alice".to_owned(),
        addresses: Vec::new(),
        knocks: Vec::new(),
    };
    let link = (b"asker".as_slice(), b"answerer".as_slice());
    let sealed = hers.seal_card(&card(account(1)), link, &mut rng);
    assert_eq!(theirs.open_card(&alice, &sealed, link), Ok(card(account(1))));
    assert!(theirs.open_card(&alice, &sealed, (link.1, link.0)).is_err());
    assert!(bob.open_card(&alice, &sealed, link).is_err());
    // Mallory knows the id and answers with an account of his own.
    let forged = theirs.seal_card(&card(account(20)), link, &mut rng);
    assert_eq!(hers.open_card(&alice, &forged, link), Err(crate::share::ShareError::Mismatch));
}

proptest! {
    #[test]
    fn whatever_comes_is_refused_without_a_panic(key: Vec<u8>, value: Vec<u8>) {
        let _ = check_record(&key, &value, NOW);
        let _ = Schedule::decode(&value);
        let _ = Device::new(1).addresses.open_record(RecordKey::from_bytes([1; 32]), &value, NOW);
    }

    #[test]
    fn a_record_with_any_byte_changed_is_refused(at in 0_usize..900, flip in 1_u8..) {
        let (key, mut value) = Device::new(1).record(NOW, &["/ip4/192.0.2.1/tcp/1"]);
        value[at] ^= flip;
        prop_assert!(check_record(key.as_bytes(), &value, NOW).is_err());
    }

    #[test]
    fn schedules_come_back(first: u32, days in 0_usize..=31) {
        let device = Device::new(4);
        let mut schedule =
            Schedule::of(&device.secret, device.addresses.clone(), Day(first));
        schedule.keys.truncate(days);
        prop_assert_eq!(Schedule::from_bytes(&schedule.to_bytes()), Ok(schedule));
    }
}
