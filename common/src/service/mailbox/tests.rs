//! Do requests and answers come back as they were, and is everything else refused?

use core::fmt::Debug;

use proptest::{option, prelude::*};

use super::{
    live::{ANSWERED_BYTES_MAX, ASKED_BYTES_MAX, Answer, ask, asked},
    *,
};
use crate::{
    codec::Writer,
    envelope::{Payload, Signed, sign},
    keys::SigningKey,
    limits::{
        ACCESS_BYTES_MAX, AUDIENCE_BYTES_MAX, BLOB_BYTES_MAX, FETCH_ITEMS_MAX, FETCH_WAIT_MS_MAX,
        FETCHED_BYTES_MAX, SEQ_MAX,
    },
    service::{Request, Stamp},
    time::Timestamp,
};

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn stamp() -> impl Strategy<Value = Stamp> {
    let audience = "[a-z0-9.:-]{1,256}";
    (audience, 0..=Timestamp::LAST.millis(), any::<[u8; 16]>()).prop_map(
        |(audience, millis, nonce)| Stamp { audience, time: Timestamp::from_millis(millis), nonce },
    )
}

fn days() -> impl Strategy<Value = Days> {
    prop_oneof![Just(Days::One), Just(Days::Seven)]
}

fn card() -> impl Strategy<Value = Option<Box<[u8]>>> {
    option::of((1..=CARD_BYTES_MAX).prop_map(|length| vec![7; length].into()))
}

fn numbers() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::btree_set(0..=SEQ_MAX, 0..=FETCH_ITEMS_MAX)
        .prop_map(|set| set.into_iter().collect())
}

fn comes_back<T: Request + Clone + PartialEq + Debug>(value: &T) {
    let signed = sign(&key(), value.clone());
    assert!(signed.bytes().len() <= T::ENVELOPE_BYTES_MAX);
    let read = Signed::<T>::decode(signed.bytes()).unwrap();
    assert_eq!((read.claim(), read.claim().stamp()), (value, value.stamp()));
    assert_eq!(read.verify().unwrap(), signed);
}

fn longest() -> Stamp {
    let audience = "a".repeat(AUDIENCE_BYTES_MAX);
    Stamp { audience, time: Timestamp::LAST, nonce: [0xff; 16] }
}

#[test]
fn the_largest_requests_fit() {
    let stamp = longest();
    let (card, access) = (vec![1; CARD_BYTES_MAX].into(), "w".repeat(ACCESS_BYTES_MAX));
    comes_back(&Open {
        stamp: stamp.clone(),
        writer: [2; 32],
        days: Days::Seven,
        blobs_max: u16::MAX,
        bytes_max: SEQ_MAX,
        card: Some(card),
        access: Some(access),
    });
    let last = SEQ_MAX - (FETCH_ITEMS_MAX as u64 - 1);
    let delete = (last..=SEQ_MAX).collect();
    comes_back(&Fetch { stamp: stamp.clone(), delete, wait_ms: FETCH_WAIT_MS_MAX });
    comes_back(&Status { stamp: stamp.clone() });
    comes_back(&Close { stamp: stamp.clone() });
    comes_back(&Put { stamp: stamp.clone(), hash: [3; 32] });
    let body = PutBody::signed(&key(), stamp, &vec![4; BLOB_BYTES_MAX]);
    assert!(body.len() <= Operation::Put.body_bytes_max());
    assert!(ask(Operation::Put, &body).len() <= ASKED_BYTES_MAX);
}

#[test]
fn the_largest_answer_fits() {
    let blob: Box<[u8]> = vec![1; SizeClass::Kib4.bytes()].into();
    let full = FETCH_ITEMS_MAX as u64 / 2;
    let items = (0..FETCH_ITEMS_MAX as u64)
        .map(|n| Item { number: SEQ_MAX - 511 + n, blob: (n < full).then(|| blob.clone()) })
        .collect();
    let incarnation = Incarnation::from_bytes([2; 16]);
    let fetched = Fetched { incarnation, items, more: true };
    let written = fetched.encode();
    assert!(written.len() <= FETCHED_BYTES_MAX, "{}", written.len());
    assert!(Answer::Done(Operation::Fetch, &written).encode().len() <= ANSWERED_BYTES_MAX);
    assert_eq!(Fetched::decode(&written), Ok(fetched));
}

#[test]
fn blobs_have_one_of_five_sizes() {
    assert_eq!(SizeClass::fitting(0), Some(SizeClass::Kib4));
    assert_eq!(SizeClass::fitting(4096), Some(SizeClass::Kib4));
    assert_eq!(SizeClass::fitting(4097), Some(SizeClass::Kib16));
    assert_eq!(SizeClass::fitting(BLOB_BYTES_MAX + 1), None);
    assert_eq!(SizeClass::of_blob(4097), None);
    for class in SizeClass::ALL {
        assert_eq!(SizeClass::of_blob(class.bytes()), Some(class));
    }
}

fn refused<T: Payload>(content: impl FnOnce(&mut Writer)) -> DecodeError {
    let mut writer = Writer::new();
    content(&mut writer);
    let bytes = writer.finish();
    Reader::all(&bytes, T::read).err().unwrap()
}

fn stamped(writer: &mut Writer, length: usize) -> &mut Writer {
    writer.map(length);
    Stamp { audience: "a".to_owned(), ..longest() }.write(writer);
    writer
}

#[test]
fn what_is_outside_its_bounds_is_refused() {
    let numbers = |list: &'static [u64]| {
        move |w: &mut Writer| {
            stamped(w, 5).uint(3).array(list.len());
            for number in list {
                w.uint(*number);
            }
            w.uint(4).uint(0);
        }
    };
    assert_eq!(refused::<Fetch>(numbers(&[2, 1])), DecodeError::NotCanonical);
    assert_eq!(refused::<Fetch>(numbers(&[1, 1])), DecodeError::NotCanonical);
    let late = |w: &mut Writer| {
        stamped(w, 5).uint(3).array(0).uint(4).uint(60_001);
    };
    assert!(matches!(refused::<Fetch>(late), DecodeError::TooLarge { what: "wait", .. }));
    let open = |days: u64, blobs: u64| {
        move |w: &mut Writer| {
            stamped(w, 7).uint(3).bytes(&[0; 32]).uint(4).uint(days);
            w.uint(5).uint(blobs).uint(6).uint(0);
        }
    };
    assert_eq!(refused::<Open>(open(2, 1)), DecodeError::Value("days"));
    assert_eq!(refused::<Open>(open(1, 0)), DecodeError::Value("blobs at most"));
    let nobody = Stamp { audience: String::new(), ..longest() };
    let nobody = |w: &mut Writer| nobody.write(w.map(3));
    assert_eq!(refused::<Status>(nobody), DecodeError::Value("audience"));
    let known = |w: &mut Writer| {
        stamped(w, 4).uint(3).uint(0);
    };
    assert_eq!(refused::<Status>(known), DecodeError::UnknownCritical(3));
}

#[test]
fn messages_of_a_websocket_come_back() {
    for operation in Operation::ALL {
        assert_eq!(asked(&ask(operation, b"body")), Ok((operation, &b"body"[..])));
        let answer = Answer::Done(operation, b"reply");
        assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    }
    for answer in [Answer::Refused(b"why"), Answer::News] {
        assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    }
    assert!(asked(&Answer::News.encode()).is_err() && asked(&[0x82]).is_err());
    assert!(asked(&[0x82, 24, 1]).is_err() && asked(&[0x81, 1]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn requests_come_back(
        stamp in stamp(), writer: [u8; 32], days in days(), blobs_max in 1..=u16::MAX,
        bytes_max in 0..=SEQ_MAX, card in card(), access in option::of("[^\0]{1,16}"),
        delete in numbers(), wait_ms in 0..=FETCH_WAIT_MS_MAX, hash: [u8; 32],
    ) {
        comes_back(&Fetch { stamp: stamp.clone(), delete, wait_ms });
        comes_back(&Put { stamp: stamp.clone(), hash });
        comes_back(&Status { stamp: stamp.clone() });
        comes_back(&Close { stamp: stamp.clone() });
        comes_back(&Open { stamp, writer, days, blobs_max, bytes_max, card, access });
    }

    #[test]
    fn answers_come_back(
        incarnation: [u8; 16], blobs_max in 1..=u16::MAX, bytes_max in 0..=SEQ_MAX, days in days(),
        card in card(), numbers in numbers(), more: bool,
    ) {
        let incarnation = Incarnation::from_bytes(incarnation);
        let opened = Opened { incarnation, blobs_max, bytes_max };
        prop_assert_eq!(Opened::decode(&opened.encode()), Ok(opened));
        let stored = Stored { incarnation };
        prop_assert_eq!(Stored::decode(&stored.encode()), Ok(stored));
        let standing = Standing { incarnation, days, card };
        prop_assert_eq!(Standing::decode(&standing.encode()), Ok(standing));
        prop_assert_eq!(Done::decode(&Done.encode()), Ok(Done));
        let item = |number: u64| Item { number, blob: number.is_multiple_of(9).then(|| vec![1; 4096].into()) };
        let fetched = Fetched { incarnation, items: numbers.into_iter().map(item).collect(), more };
        prop_assert_eq!(Fetched::decode(&fetched.encode()), Ok(fetched));
    }

    #[test]
    fn a_put_lends_what_it_holds(put: Vec<u8>, blob: Vec<u8>) {
        let body = PutBody { put: &put, blob: &blob };
        let written = body.encode();
        prop_assert_eq!(PutBody::decode(&written), Ok(body));
    }

    #[test]
    fn decoding_anything_never_panics(bytes: Vec<u8>) {
        let _ = Signed::<Open>::decode(&bytes);
        let _ = Signed::<Put>::decode(&bytes);
        let _ = Signed::<Fetch>::decode(&bytes);
        let _ = Signed::<Status>::decode(&bytes);
        let _ = Signed::<Close>::decode(&bytes);
        let _ = Reader::all(&bytes, Open::read);
        let _ = Reader::all(&bytes, Fetch::read);
        let _ = PutBody::decode(&bytes);
        let _ = Opened::decode(&bytes);
        let _ = Stored::decode(&bytes);
        let _ = Fetched::decode(&bytes);
        let _ = Standing::decode(&bytes);
        let _ = Done::decode(&bytes);
        let _ = asked(&bytes);
        let _ = Answer::decode(&bytes);
    }
}
