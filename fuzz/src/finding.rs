//! Is what devices leave for each other read in full or refused: records, announcements, cards for
//! who knows an id?

use kith_common::{
    crypto,
    envelope::{Signed, sign},
    finding::{
        AddressKey, AnnounceSecret, CheckedRecord, Day, FindKey, Record, RecordKey, RecordRefusal,
        Schedule, check_record, key_of_record, next_sequence,
    },
    keys::{Secret, SigningKey},
    limits::{
        ADDRESS_BYTES_MAX, ADDRESSES_MAX, ANNOUNCED_DAYS_MAX, BODY_SALT_BYTES,
        CARD_SEALED_BYTES_MAX, RECORD_BYTES_MAX, RECORD_PLAIN_BYTES,
    },
    share::{ContactCard, SharedId},
    time::Timestamp,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    cast::CAST,
    cbor::Value,
    engine::setting::START,
    envelope::{self, wrapped},
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const LINK: (&[u8], &[u8]) = (b"asker", b"answerer");
const NONCE: [u8; 24] = [0x5a; 24];

/// The first byte says what is read: a record, what a record says, what is sealed in one with or
/// without its length, an announcement, a card, or what is sealed in one.
pub(crate) fn finding(data: &[u8]) {
    match data.split_first() {
        Some((0, value)) => record(value),
        Some((1, payload)) => {
            if let Some(value) = signed(payload) {
                record(&value);
            }
        }
        Some((2, plain)) => record(&sealed(plain)),
        Some((3, content)) => {
            let length = u32::try_from(content.len()).expect("an input is short");
            record(&sealed(&[&length.to_be_bytes(), content].concat()));
        }
        Some((4, body)) => schedule(body),
        Some((5, sealed)) => card(sealed),
        Some((_, content)) => {
            let id = SharedId::of(&CAST.alice.account);
            card(&crypto::seal(&card_key(&id), NONCE, &card_context(), content));
        }
        None => {}
    }
}

fn signer() -> SigningKey {
    AnnounceSecret::from_bytes(&[0x51; 32]).key(Day::of(START))
}

fn addresses() -> AddressKey {
    AddressKey::from_bytes([0x52; 32])
}

/// A record that says this, if a record can, signed in earnest.
fn signed(payload: &[u8]) -> Option<Vec<u8>> {
    let read = Signed::<Record>::decode(&wrapped::<Record>(payload)).ok()?;
    Some(sign(&signer(), read.claim().clone()).into_bytes().into_vec())
}

/// A record in which this was sealed in earnest, with zeros behind.
fn sealed(plain: &[u8]) -> Vec<u8> {
    let mut plain = plain.to_vec();
    plain.resize(RECORD_PLAIN_BYTES, 0);
    let key = addresses().expose(Secret::copied);
    let sealed = crypto::seal(&key, NONCE, &record_context(signer().public()), &plain);
    let end = START.millis() + DAY_MS;
    let numbers = [Value::Uint(7), Value::Uint(end)];
    let fields = numbers.into_iter().chain([Value::Bytes(sealed)]).zip(0..);
    let payload = Value::Map(fields.map(|(value, key)| (Value::Uint(key), value)).collect());
    signed(&payload.encode()).expect("it is in order")
}

fn record_context(signer: &[u8; 32]) -> Vec<u8> {
    [b"kith/record/1", signer.as_slice()].concat()
}

fn record(value: &[u8]) {
    let Ok(key) = key_of_record(value) else {
        let refused = check_record(&[0; 32], value, START);
        assert!(matches!(refused, Err(RecordRefusal::Malformed(_))), "{refused:?}");
        return;
    };
    assert!(value.len() <= RECORD_BYTES_MAX);
    assert_eq!(check_record(&[0; 32], value, START), Err(RecordRefusal::Key));
    envelope::check::<Record>(value);
    let read = Signed::<Record>::decode(value).expect("it has a key");
    let (sequence, not_after) = (read.claim().sequence, read.claim().not_after);
    let end = not_after.millis();
    let said = opened_slowly(value, read.signer());
    let around = [end, end.saturating_sub(1), end.saturating_sub(DAY_MS)];
    for now in around.into_iter().chain([end.saturating_sub(DAY_MS + 1), START.millis()]) {
        let expected = if end <= now || end - now > DAY_MS {
            Err(RecordRefusal::Time)
        } else if read.signature_holds() {
            Ok(CheckedRecord { sequence, not_after })
        } else {
            Err(RecordRefusal::Signature)
        };
        let now = Timestamp::from_millis(now);
        assert_eq!(check_record(key.as_bytes(), value, now), expected);
        let opened = addresses().open_record(key, value, now);
        match expected {
            Err(refusal) => assert_eq!(opened, Err(refusal)),
            Ok(_) => assert_eq!(opened.ok().map(|found| found.addresses), said),
        }
    }
    if let Some(said) = said {
        comes_back(&said, sequence);
    }
}

/// The addresses in a record by an obvious reading.
fn opened_slowly(value: &[u8], signer: &[u8; 32]) -> Option<Vec<String>> {
    let Value::Map(fields) = Value::parse(&envelope::payload(value))? else { return None };
    let (_, Value::Bytes(sealed)) = fields.get(2)? else { return None };
    let key = addresses().expose(Secret::copied);
    let plain = crypto::open(&key, &record_context(signer), sealed).ok()?;
    let (length, rest) = plain.split_first_chunk()?;
    let (content, zeros) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let Value::Map(mut fields) = Value::parse(content)? else { return None };
    if fields.is_empty() || zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    let (key, Value::Array(items)) = fields.remove(0) else { return None };
    let is_right = key == Value::Uint(0)
        && items.len() <= ADDRESSES_MAX
        && Value::Map(fields).is_all_extensions();
    let text = |item| match item {
        Value::Text(text) if text.len() <= ADDRESS_BYTES_MAX => Some(text),
        _ => None,
    };
    if is_right { items.into_iter().map(text).collect() } else { None }
}

/// What was read can be said again, in a record that counts more.
fn comes_back(said: &[String], sequence: u64) {
    let (signer, addresses) = (signer(), addresses());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let next = next_sequence(START, sequence, &mut rng);
    let value = addresses.seal_record(&signer, said, (START, next), &mut rng);
    let key = RecordKey::of(signer.public());
    let found = addresses.open_record(key, &value, START).expect("what is sealed here opens");
    assert_eq!((found.addresses.as_slice(), found.sequence), (said, next));
    assert!(next > sequence || next == kith_common::limits::SEQ_MAX);
}

fn schedule(body: &[u8]) {
    let Ok(said) = Schedule::decode(body) else { return };
    let (salt, content) = body.split_at(BODY_SALT_BYTES);
    let encoded = said.encode(salt.try_into().expect("a salt in front"));
    let known = Value::parse(content).expect("a body is in the one allowed form");
    assert_eq!(encoded[BODY_SALT_BYTES..], known.without_extensions().encode());
    assert_eq!(Schedule::decode(&encoded).as_ref(), Ok(&said));
    assert!(said.keys.len() <= ANNOUNCED_DAYS_MAX);
    for (key, days) in said.keys.iter().zip(0..) {
        let Some(day) = said.first.0.checked_add(days).map(Day) else { continue };
        assert_eq!(said.key(day), Some(RecordKey::of(key)));
        assert_eq!(said.days_left(day), said.keys.len() - days as usize);
    }
    let behind = u32::try_from(said.keys.len()).expect("a month");
    for day in [said.first.0.checked_sub(1), said.first.0.checked_add(behind)] {
        assert_eq!(day.and_then(|day| said.key(Day(day))), None);
    }
}

/// The key of cards as spec 10 words it.
fn card_key(id: &SharedId) -> Secret<32> {
    let found = crypto::hash_parts(b"kith/find/1", &[&id.recovery, &id.checksum]);
    crypto::derive(&Secret::copied(&found), b"findcard", 1)
}

fn card_context() -> Vec<u8> {
    [b"\x0bkith/card/1\x05".as_slice(), LINK.0, b"\x08", LINK.1].concat()
}

fn card(sealed: &[u8]) {
    let id = SharedId::of(&CAST.alice.account);
    let find = FindKey::of(&id);
    let opened = find.open_card(&id, sealed, LINK).ok();
    let fits = sealed.len() <= CARD_SEALED_BYTES_MAX;
    let content = crypto::open(&card_key(&id), &card_context(), sealed).ok().filter(|_| fits);
    let card = content.and_then(|content| ContactCard::from_bytes(&content).ok());
    assert_eq!(opened, card.filter(|card| SharedId::of(&card.account) == id));
    let Some(card) = opened else { return };
    assert!(find.open_card(&id, sealed, (LINK.1, LINK.0)).is_err(), "it serves on one link alone");
    let bob = SharedId::of(&CAST.bob.account);
    assert!(FindKey::of(&bob).open_card(&bob, sealed, LINK).is_err());
    let again = find.seal_card(&card, LINK, &mut ChaCha8Rng::seed_from_u64(1));
    if again.len() <= CARD_SEALED_BYTES_MAX {
        assert_eq!(find.open_card(&id, &again, LINK), Ok(card));
    }
}

/// Seeds of the target here; `extended` is given a map and gives back one with extensions.
pub(crate) fn seeds(extended: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Vec<u8>> {
    let numbered = |number: u8, bytes: &[u8]| [&[number], bytes].concat();
    let said = ["/ip4/192.0.2.7/udp/4001/quic-v1", "/ip6/2001:db8::7/tcp/4001"].map(str::to_owned);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let sequence = START.millis() / 1000;
    let value = addresses().seal_record(&signer(), &said, (START, sequence), &mut rng);
    let payload = envelope::payload(&value);
    let items = said.map(Value::Text).to_vec();
    let content = Value::Map(vec![(Value::Uint(0), Value::Array(items))]).encode();
    let length = u32::try_from(content.len()).expect("two addresses");
    let month = Schedule::of(&AnnounceSecret::from_bytes(&[0x53; 32]), addresses(), Day::of(START));
    let nowhere = Schedule { keys: vec![], ..month.clone() };
    let last = Schedule { first: Day(u32::MAX), ..month.clone() };
    let body = month.encode([3; 16]);
    let later = [&[3; 16], extended(&body[16..]).as_slice()].concat();
    let card = |account| ContactCard {
        account,
        name: "Alice".to_owned(),
        addresses: vec!["/ip4/192.0.2.9/udp/8451/quic-v1/p2p-circuit".to_owned()],
        knocks: vec![],
    };
    let hers = card(CAST.alice.account.clone());
    let find = FindKey::of(&SharedId::of(&hers.account));
    vec![
        numbered(0, &value),
        numbered(1, &payload),
        numbered(1, &extended(&payload)),
        numbered(2, &[&length.to_be_bytes(), content.as_slice()].concat()),
        numbered(3, &content),
        numbered(3, &extended(&content)),
        numbered(4, &body),
        numbered(4, &later),
        numbered(4, &nowhere.encode([4; 16])),
        numbered(4, &last.encode([5; 16])),
        numbered(5, &find.seal_card(&hers, LINK, &mut rng)),
        numbered(6, &hers.to_bytes()),
        numbered(6, &extended(&hers.to_bytes())),
        numbered(6, &card(CAST.bob.account.clone()).to_bytes()),
    ]
}
