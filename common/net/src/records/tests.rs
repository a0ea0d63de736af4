//! Is what counts kept, within all bounds, in whatever order it comes?

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU64, Ordering},
};

use kith_common::{finding::AddressKey, finding::RecordKey as Place, keys::SigningKey};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

const NOW_MS: u64 = 1_800_000_000_000;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// A record under the key of the device with this number.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Made {
    key: Vec<u8>,
    value: Vec<u8>,
}

fn made(device: u8, sequence: u64) -> Made {
    made_at(device, sequence, NOW_MS)
}

fn made_at(device: u8, sequence: u64, now_ms: u64) -> Made {
    let signer = SigningKey::from_seed(&[device; 32]);
    let mut rng = ChaCha20Rng::seed_from_u64(sequence ^ now_ms);
    let value = AddressKey::from_bytes([device; 32]).seal_record(
        &signer,
        &["/ip4/192.0.2.1/tcp/4001".to_owned()],
        (Timestamp::from_millis(now_ms), NOW_MS / 1000 + sequence + 1),
        &mut rng,
    );
    Made { key: Place::of(signer.public()).as_bytes().to_vec(), value: value.into() }
}

struct Case {
    records: Records,
    now: Arc<AtomicU64>,
}

impl Case {
    fn new(records_max: usize, per_source_max: usize) -> Self {
        let now = Arc::new(AtomicU64::new(NOW_MS));
        let clock = Arc::clone(&now);
        let clock = Box::new(move || Timestamp::from_millis(clock.load(Ordering::SeqCst)));
        let own = libp2p::identity::Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let limits = RecordLimits { records_max, per_source_max };
        Self { records: Records::new(own.public().into(), limits, clock), now }
    }

    fn offer(&mut self, made: &Made, source: Option<Source>) -> Result<Kept, Refusal> {
        self.records.offer(&made.key, &made.value, source)
    }

    fn offer_own(&mut self, made: &Made) -> Result<Kept, Refusal> {
        self.offer(made, None)
    }

    fn pass(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    fn refused(&self, kind: Refusal) -> u64 {
        self.records.refused().find(|(found, _)| *found == kind).unwrap().1
    }

    fn contents(&self) -> Vec<Made> {
        let held = self.records.records();
        let held = held.map(|held| Made { key: held.key.to_vec(), value: held.value.clone() });
        let mut held: Vec<_> = held.collect();
        held.sort();
        held
    }

    /// Devices, the one whose key is nearest to us first.
    fn by_distance(&self, devices: u8) -> Vec<u8> {
        let mut devices: Vec<u8> = (0..devices).collect();
        devices.sort_by_key(|device| self.records.distance(&made(*device, 1).key));
        devices
    }
}

fn source(number: u8) -> Option<Source> {
    Some(Source::Network([192, 0, 2, number].into()))
}

#[test]
fn the_newest_under_a_key_counts() {
    let mut case = Case::new(10, 10);
    assert_eq!(case.offer_own(&made(1, 5)), Ok(Kept::New));
    assert_eq!(case.offer_own(&made(1, 5)), Ok(Kept::Known));
    assert_eq!(case.offer_own(&made(1, 4)), Err(Refusal::Older));
    assert_eq!(case.offer_own(&made(1, 6)), Ok(Kept::Newer));
    assert_eq!(case.contents(), [made(1, 6)]);
    let other = made_at(1, 6, NOW_MS + 1);
    assert_ne!(other, made(1, 6));
    assert_eq!(case.offer_own(&other), Err(Refusal::Older), "as new, and not the first");
    assert_eq!(case.refused(Refusal::Older), 2);
}

#[test]
fn what_could_be_forged_is_refused() {
    let mut case = Case::new(10, 10);
    let good = made(1, 1);
    let mut forged = good.clone();
    *forged.value.last_mut().unwrap() ^= 1;
    let elsewhere = Made { key: made(2, 1).key, ..good.clone() };
    let long = Made { value: [good.value.clone(), vec![0; 1024]].concat(), ..good.clone() };
    for (made, refusal) in [
        (forged, Refusal::Signature),
        (elsewhere, Refusal::Key),
        (Made { key: Vec::new(), ..good.clone() }, Refusal::Key),
        (Made { key: vec![0; 5000], ..good.clone() }, Refusal::Key),
        (Made { value: Vec::new(), ..good.clone() }, Refusal::Malformed),
        (long, Refusal::Malformed),
        (made_at(1, 1, NOW_MS - 24 * HOUR_MS), Refusal::Time),
        (made_at(1, 1, NOW_MS + 2 * HOUR_MS), Refusal::Time),
    ] {
        assert_eq!(case.offer_own(&made), Err(refusal));
        assert_eq!(case.offer(&made, source(1)), Err(refusal));
        assert!(case.records.put(Record::new(made.key, made.value)).is_err());
    }
    assert_eq!(case.refused(Refusal::Key), 9);
    assert!(
        case.records.add_provider(ProviderRecord::new(good.key, PeerId::random(), vec![])).is_err()
    );
    assert_eq!(case.refused(Refusal::Provider), 1);
    assert!(case.records.is_empty() && case.records.sources.is_empty());
}

#[test]
fn one_source_fills_no_more_than_its_share() {
    let mut case = Case::new(10, 2);
    assert_eq!(case.offer(&made(1, 1), source(1)), Ok(Kept::New));
    assert_eq!(case.offer(&made(2, 1), source(1)), Ok(Kept::New));
    assert_eq!(case.offer(&made(3, 1), source(1)), Err(Refusal::Source));
    assert_eq!(case.offer(&made(3, 1), source(2)), Ok(Kept::New));
    assert_eq!(
        case.offer(&made(3, 2), source(1)),
        Err(Refusal::Source),
        "nor takes over another's"
    );
    assert_eq!(case.offer(&made(1, 2), source(1)), Ok(Kept::Newer));
    assert_eq!(case.offer(&made(1, 3), source(2)), Ok(Kept::Newer), "somebody who has moved");
    assert_eq!(case.offer(&made(4, 1), source(1)), Ok(Kept::New));
    for device in 5..9 {
        assert_eq!(case.offer_own(&made(device, 1)), Ok(Kept::New));
    }
    case.pass(24 * HOUR_MS);
    case.records.sweep();
    assert!(case.records.sources.is_empty());
}

#[test]
fn the_farthest_gives_way_to_a_nearer_one() {
    let mut case = Case::new(2, 10);
    let [near, middle, far] = case.by_distance(3).try_into().unwrap();
    assert_eq!(case.offer(&made(middle, 1), source(1)), Ok(Kept::New));
    assert_eq!(case.offer(&made(far, 1), source(1)), Ok(Kept::New));
    assert_eq!(case.offer(&made(near, 1), source(2)), Ok(Kept::New));
    assert_eq!(case.offer(&made(far, 1), source(1)), Err(Refusal::Far));
    assert_eq!(case.offer(&made(middle, 2), source(1)), Ok(Kept::Newer), "not one more");
    assert_eq!(case.records.len(), 2);
    assert_eq!(case.records.sources.values().sum::<usize>(), 2);
    let own = made(far, 2);
    assert!(
        case.records.put(Record::new(own.key, own.value)).is_ok(),
        "ours goes out all the same"
    );
    assert_eq!(case.records.len(), 2);
}

#[test]
fn what_has_ended_is_neither_told_nor_kept() {
    let mut case = Case::new(10, 10);
    let key = RecordKey::new(&made(1, 1).key);
    case.offer_own(&made(1, 1)).unwrap();
    case.pass(22 * HOUR_MS);
    assert!(case.records.get(&key).is_some());
    case.pass(HOUR_MS);
    assert!(case.records.get(&key).is_none() && case.records.value(key.as_ref()).is_none());
    assert_eq!((case.records.records().count(), case.records.len()), (0, 1));
    case.records.sweep();
    assert!(case.records.is_empty());
    let later = NOW_MS + 23 * HOUR_MS;
    assert_eq!(case.offer_own(&made_at(1, 1, later)), Ok(Kept::New));
}

#[test]
fn what_ended_stands_in_nobodys_way() {
    let mut case = Case::new(1, 10);
    case.offer_own(&made(1, 1)).unwrap();
    case.pass(23 * HOUR_MS);
    assert_eq!(case.offer_own(&made_at(1, 0, NOW_MS + 23 * HOUR_MS)), Ok(Kept::New));
}

#[test]
fn what_libp2p_says_of_a_record_is_not_looked_at() {
    let mut case = Case::new(10, 10);
    let made = made(1, 1);
    let record = Record {
        publisher: Some(PeerId::random()),
        expires: Some(Instant::now()),
        ..Record::new(made.key.clone(), made.value.clone())
    };
    case.records.put(record).unwrap();
    let found = case.records.get(&RecordKey::new(&made.key)).unwrap().into_owned();
    assert_eq!((found.publisher, &found.value), (None, &made.value));
    let left = found.expires.unwrap().duration_since(Instant::now());
    assert!(left > Duration::from_secs(22 * 3600) && left < Duration::from_secs(23 * 3600));
}

#[test]
fn everything_is_handed_on_once_an_hour() {
    let mut case = Case::new(10, 10);
    for device in 0..3 {
        case.offer_own(&made(device, 1)).unwrap();
    }
    assert_eq!(case.records.take_due(10).len(), 0);
    case.pass(HOUR_MS);
    assert_eq!(case.records.take_due(2).len(), 2);
    assert_eq!(case.records.take_due(2).len(), 1);
    assert_eq!(case.records.take_due(2).len(), 0);
    case.pass(24 * HOUR_MS);
    assert_eq!(case.records.take_due(10).len(), 0, "nothing that has ended");
}

#[test]
fn others_can_take_our_turn_but_not_twice() {
    let mut case = Case::new(10, 10);
    let record = made(1, 1);
    case.offer_own(&record).unwrap();
    let late = HOUR_MS - HAND_ON_SPREAD_MS - 1;
    case.pass(late);
    case.offer(&record, source(1)).unwrap();
    case.pass(late);
    assert_eq!(case.records.take_due(1).len(), 0);
    case.offer(&record, source(1)).unwrap();
    case.pass(HAND_ON_SPREAD_MS + 1);
    assert_eq!(case.records.take_due(1).len(), 1);
}

#[test]
fn what_was_handed_on_once_can_be_spared_again() {
    let mut case = Case::new(10, 10);
    let record = made(1, 1);
    case.offer_own(&record).unwrap();
    case.pass(HOUR_MS + HAND_ON_SPREAD_MS);
    let due = case.records.take_due(1).remove(0);
    // libp2p puts what goes out into our own store too.
    case.records.put(due).unwrap();
    let late = HOUR_MS - HAND_ON_SPREAD_MS - 1;
    case.pass(late);
    case.offer(&record, source(1)).unwrap();
    case.pass(HAND_ON_SPREAD_MS + 1);
    assert_eq!(case.records.take_due(1).len(), 0, "somebody else has done it");
}

/// Three records of each of twelve devices.
static POOL: LazyLock<Vec<Made>> = LazyLock::new(|| {
    (0..12).flat_map(|device| (1..4).map(move |sequence| made(device, sequence))).collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_does_not_matter(
        order in Just((0..36_usize).collect::<Vec<_>>()).prop_shuffle(),
        count in 0..36_usize,
        room in 1..14_usize,
    ) {
        let mut case = Case::new(room, 100);
        let offered = &order[..count];
        for index in offered {
            let _ = case.offer_own(&POOL[*index]);
            prop_assert!(case.records.len() <= room);
        }
        let newest = |device: u8| {
            let of_device = offered.iter().filter(|index| **index / 3 == usize::from(device));
            of_device.max().map(|index| POOL[*index].clone())
        };
        let mut expected: Vec<_> =
            case.by_distance(12).into_iter().filter_map(newest).take(room).collect();
        expected.sort();
        prop_assert_eq!(case.contents(), expected);
    }

    #[test]
    fn bounds_hold_whatever_comes(
        offers in prop::collection::vec((0..36_usize, 0..4_u8, 0..3_u64), 0..80),
        room in 1..8_usize,
        share in 1..4_usize,
    ) {
        let mut case = Case::new(room, share);
        for (index, number, hours) in offers {
            case.pass(hours * HOUR_MS);
            let _ = case.offer(&POOL[index], source(number).filter(|_| number > 0));
            if hours == 2 {
                case.records.sweep();
            }
            prop_assert!(case.records.len() <= room);
            let counted: usize = case.records.sources.values().copied().sum();
            let held = case.records.kept.values().filter(|held| held.source.is_some()).count();
            prop_assert_eq!(counted, held);
            prop_assert!(case.records.sources.values().all(|count| (1..=share).contains(count)));
        }
    }

    #[test]
    fn arbitrary_bytes_are_never_kept(
        key in prop::collection::vec(any::<u8>(), 0..80),
        value in prop::collection::vec(any::<u8>(), 0..1200),
        (place, byte) in (0..900_usize, 1..=255_u8),
    ) {
        let mut case = Case::new(10, 10);
        prop_assert!(case.records.offer(&key, &value, source(1)).is_err());
        let mut bent = POOL[0].clone();
        let place = place % bent.value.len();
        bent.value[place] ^= byte;
        prop_assert!(case.offer_own(&bent).is_err());
        prop_assert!(case.records.is_empty());
    }
}
