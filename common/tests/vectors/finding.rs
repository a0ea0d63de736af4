//! Do devices leave and find each other's records as an independent implementation does?

use data_encoding::HEXLOWER;
use kith_common::{
    account::Account,
    envelope::Signed,
    finding::{
        AddressKey, AnnounceSecret, CheckedRecord, Day, FindKey, Found, Record, RecordKey,
        RecordRefusal, Schedule, check_record, key_of_record,
    },
    limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, ANNOUNCED_DAYS_MAX},
    share::{ContactCard, SharedId},
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    cases::{FrameCase, Hex, IgnoredFrame, Refused, RefusedFrame, boxes, load_as, some},
    check_frames, device_id,
    devices::QueueCase,
    outgoing::OneDraw,
    reason, received, share_reason,
};

#[derive(Deserialize)]
struct FindingFile {
    refused: Vec<Refused>,
    announce_keys: Vec<AnnounceKeyCase>,
    days: Vec<DaysCase>,
    namespaces: Vec<NamespaceCase>,
    seek_tokens: Vec<SeekCase>,
    records: Vec<RecordCase>,
    records_kept: Vec<KeptCase>,
    records_refused: Vec<RefusedRecord>,
    records_closed: Vec<RefusedRecord>,
    schedules: Vec<ScheduleCase>,
    schedules_refused: Vec<RefusedSchedule>,
    ids: Vec<IdCase>,
    found_cards: Vec<CardCase>,
    found_cards_refused: Vec<RefusedCard>,
    frames: Vec<FrameCase>,
    frames_refused: Vec<RefusedFrame>,
    frames_ignored: Vec<IgnoredFrame>,
}

#[derive(Deserialize)]
struct AnnounceKeyCase {
    secret: Hex,
    day: u32,
    public: Hex,
    key: Hex,
}

#[derive(Deserialize)]
struct DaysCase {
    now: u64,
    days: Vec<u32>,
}

#[derive(Deserialize)]
struct NamespaceCase {
    addresses_key: Hex,
    day: u32,
    namespace: String,
}

#[derive(Deserialize)]
struct SeekCase {
    addresses_key: Hex,
    record_key: Hex,
    asker: Hex,
    answerer: Hex,
    token: Hex,
}

#[derive(Deserialize)]
struct RecordCase {
    name: String,
    secret: Hex,
    day: u32,
    addresses_key: Hex,
    now: u64,
    nonce: Hex,
    offered: Vec<String>,
    addresses: Vec<String>,
    sequence: u64,
    not_after: u64,
    key: Hex,
    record: Hex,
}

#[derive(Deserialize)]
struct KeptCase {
    name: String,
    key: Hex,
    now: u64,
    record: Hex,
}

#[derive(Deserialize)]
struct RefusedRecord {
    name: String,
    refusal: String,
    addresses_key: Option<Hex>,
    key: Hex,
    now: u64,
    record: Hex,
}

#[derive(Deserialize)]
struct ScheduleCase {
    name: String,
    secret: Hex,
    salt: Hex,
    addresses: Hex,
    first: u32,
    keys: Vec<Hex>,
    body: Hex,
}

#[derive(Deserialize)]
struct RefusedSchedule {
    name: String,
    refusal: String,
    body: Hex,
}

#[derive(Deserialize)]
struct IdCase {
    recovery: Hex,
    checksum: Hex,
    text: String,
    slots: Vec<SlotCase>,
    addresses: Hex,
    proofs: Vec<ProofCase>,
}

#[derive(Deserialize)]
struct SlotCase {
    day: u32,
    slot: u8,
    public: Hex,
    key: Hex,
}

#[derive(Deserialize)]
struct ProofCase {
    asker: Hex,
    answerer: Hex,
    proof: Hex,
}

#[derive(Deserialize)]
struct CardCase {
    name: String,
    says: String,
    addresses: Vec<String>,
    knocks: Vec<(Hex, QueueCase)>,
    recovery: Hex,
    checksum: Hex,
    asker: Hex,
    answerer: Hex,
    proof: Vec<Hex>,
    nonce: Hex,
    card: Hex,
    sealed: Hex,
}

#[derive(Deserialize)]
struct RefusedCard {
    name: String,
    refusal: String,
    recovery: Hex,
    checksum: Hex,
    asker: Hex,
    answerer: Hex,
    sealed: Hex,
}

fn file() -> FindingFile {
    load_as("10-finding")
}

const fn record_reason(refusal: &RecordRefusal) -> &'static str {
    match refusal {
        RecordRefusal::Malformed(error) => reason(error),
        RecordRefusal::Key => "key",
        RecordRefusal::Signature => "signature",
        RecordRefusal::Time => "time",
        RecordRefusal::Sealed => "sealed",
        _ => "a refusal that the spec does not name",
    }
}

fn address_key(hex: &Hex) -> AddressKey {
    AddressKey::from_bytes(hex.fixed())
}

fn shared_id(recovery: &Hex, checksum: &Hex) -> SharedId {
    SharedId { recovery: recovery.fixed(), checksum: checksum.fixed() }
}

#[test]
fn announce_keys_follow_from_secret_and_day() {
    for case in some(&file().announce_keys) {
        let signer = AnnounceSecret::from_bytes(&case.secret.fixed()).key(Day(case.day));
        assert_eq!(*signer.public(), case.public.fixed(), "day {}", case.day);
        assert_eq!(*RecordKey::of(signer.public()).as_bytes(), case.key.fixed());
    }
}

#[test]
fn the_same_days_count_and_places_have_the_same_names() {
    let file = file();
    for case in some(&file.days) {
        let days: Vec<Day> = case.days.iter().copied().map(Day).collect();
        assert_eq!(Day::around(Timestamp::from_millis(case.now)), days, "at {}", case.now);
    }
    for case in some(&file.namespaces) {
        assert_eq!(address_key(&case.addresses_key).namespace(Day(case.day)), case.namespace);
    }
    for case in some(&file.seek_tokens) {
        let key = RecordKey::from_bytes(case.record_key.fixed());
        let token =
            address_key(&case.addresses_key).seek_token(key, &case.asker.0, &case.answerer.0);
        assert_eq!(token, case.token.fixed());
    }
}

#[test]
fn records_are_equal_and_open() {
    for case in some(&file().records) {
        let (addresses, now) = (address_key(&case.addresses_key), Timestamp::from_millis(case.now));
        let signer = AnnounceSecret::from_bytes(&case.secret.fixed()).key(Day(case.day));
        let mut rng = OneDraw(case.nonce.fixed::<24>());
        let sequence = case.sequence;
        let made = addresses.seal_record(&signer, &case.offered, (now, sequence), &mut rng);
        assert_eq!(Hex(made.into_vec()), case.record, "{}", case.name);
        let key = RecordKey::from_bytes(case.key.fixed());
        let not_after = Timestamp::from_millis(case.not_after);
        let found = Found { sequence, not_after, addresses: case.addresses.clone() };
        assert_eq!(addresses.open_record(key, &case.record.0, now), Ok(found), "{}", case.name);
        let checked = check_record(&case.key.0, &case.record.0, now);
        assert_eq!(checked, Ok(CheckedRecord { sequence, not_after }), "{}", case.name);
        assert_eq!(key_of_record(&case.record.0), Ok(key), "{}", case.name);
    }
}

#[test]
fn records_are_kept_at_their_bounds_and_refused_beyond() {
    let file = file();
    for case in some(&file.records_kept) {
        let checked = check_record(&case.key.0, &case.record.0, Timestamp::from_millis(case.now));
        assert!(checked.is_ok(), "{}: {checked:?}", case.name);
    }
    for case in some(&file.records_refused) {
        let checked = check_record(&case.key.0, &case.record.0, Timestamp::from_millis(case.now));
        let refusal = checked.map_err(|refusal| record_reason(&refusal));
        assert_eq!(refusal.err(), Some(case.refusal.as_str()), "{}", case.name);
    }
    for case in some(&file.refused) {
        let read = received(&case.kind, &case.envelope.0);
        assert_eq!(read.err(), Some(case.refusal.as_str()), "{}", case.name);
    }
}

#[test]
fn records_that_say_nothing_are_kept_but_do_not_open() {
    for case in some(&file().records_closed) {
        let now = Timestamp::from_millis(case.now);
        assert!(check_record(&case.key.0, &case.record.0, now).is_ok(), "{}", case.name);
        let key = RecordKey::from_bytes(case.key.fixed());
        let addresses = address_key(case.addresses_key.as_ref().expect(&case.name));
        let opened = addresses.open_record(key, &case.record.0, now);
        let refusal = opened.map_err(|refusal| record_reason(&refusal));
        assert_eq!(refusal.err(), Some(case.refusal.as_str()), "{}", case.name);
    }
}

#[test]
fn announcements_are_equal() {
    let file = file();
    for case in some(&file.schedules) {
        let (addresses, first) = (address_key(&case.addresses), Day(case.first));
        let keys = case.keys.iter().map(Hex::fixed).collect();
        let said = Schedule { addresses: addresses.clone(), first, keys };
        assert_eq!(Hex(said.encode(case.salt.fixed())), case.body, "{}", case.name);
        assert_eq!(Schedule::decode(&case.body.0).as_ref(), Ok(&said), "{}", case.name);
        let secret = AnnounceSecret::from_bytes(&case.secret.fixed());
        let mut made = Schedule::of(&secret, addresses, first);
        assert_eq!(made.keys.len(), ANNOUNCED_DAYS_MAX);
        made.keys.truncate(case.keys.len());
        assert_eq!(made, said, "{}", case.name);
    }
    for case in some(&file.schedules_refused) {
        let refusal = Schedule::decode(&case.body.0).map_err(|error| reason(&error));
        assert_eq!(refusal.err(), Some(case.refusal.as_str()), "{}", case.name);
    }
}

#[test]
fn the_same_follows_from_an_id() {
    for case in some(&file().ids) {
        let id = shared_id(&case.recovery, &case.checksum);
        assert_eq!(id.encode(), case.text);
        let find = FindKey::of(&id);
        assert_eq!(find.addresses(), address_key(&case.addresses));
        for slot in some(&case.slots) {
            let signer = find.signer(Day(slot.day), slot.slot);
            assert_eq!(*signer.public(), slot.public.fixed(), "{} {}", slot.day, slot.slot);
            let key = find.keys(Day(slot.day)).nth(slot.slot.into());
            assert_eq!(key, Some(RecordKey::from_bytes(slot.key.fixed())));
        }
        for ProofCase { asker, answerer, proof } in some(&case.proofs) {
            assert_eq!(find.proof(&asker.0, &answerer.0), proof.fixed());
            assert!(find.proves(&proof.fixed(), &asker.0, &answerer.0));
            assert!(!find.proves(&proof.fixed(), &answerer.0, &asker.0));
        }
    }
}

#[test]
fn cards_are_equal_and_open_for_who_has_the_id() {
    let file = file();
    for case in some(&file.found_cards) {
        let id = shared_id(&case.recovery, &case.checksum);
        let knock = |(device, queue): &(Hex, QueueCase)| (device_id(device), queue.address());
        let card = ContactCard {
            account: Account::fold(&boxes(&case.proof)).expect(&case.name),
            name: case.says.clone(),
            addresses: case.addresses.clone(),
            knocks: case.knocks.iter().map(knock).collect(),
        };
        assert_eq!(Hex(card.to_bytes()), case.card, "{}", case.name);
        let (find, link) = (FindKey::of(&id), (&*case.asker.0, &*case.answerer.0));
        let mut rng = OneDraw(case.nonce.fixed::<24>());
        let sealed = find.seal_card(&card, link, &mut rng);
        assert_eq!(Hex(sealed.into_vec()), case.sealed, "{}", case.name);
        assert_eq!(find.open_card(&id, &case.sealed.0, link), Ok(card), "{}", case.name);
    }
    for case in some(&file.found_cards_refused) {
        let id = shared_id(&case.recovery, &case.checksum);
        let link = (&*case.asker.0, &*case.answerer.0);
        let opened = FindKey::of(&id).open_card(&id, &case.sealed.0, link);
        let refusal = opened.map_err(|error| share_reason(&error));
        assert_eq!(refusal.err(), Some(case.refusal.as_str()), "{}", case.name);
    }
}

#[test]
fn frames_of_finding_are_equal() {
    let file = file();
    check_frames(&file.frames, &file.frames_refused, &file.frames_ignored);
}

/// A record with the longest addresses, and one with none; with what opens them.
pub(crate) fn records() -> (Vec<Value>, Vec<Record>) {
    let (secret, addresses_key) =
        (AnnounceSecret::from_bytes(&[0x91; 32]), AddressKey::from_bytes([0x92; 32]));
    let signer = secret.key(Day(u32::MAX));
    let key = RecordKey::of(signer.public());
    let now = Timestamp::from_millis(1 << 47);
    let longest = "a".repeat(ADDRESS_BYTES_MAX);
    let made = [vec![], vec![longest; 2], vec!["/ip4/192.0.2.1/tcp/1".to_owned(); ADDRESSES_MAX]]
        .map(|addresses| {
            let when = (now, now.millis() / 1000);
            let record =
                addresses_key.seal_record(&signer, &addresses, when, &mut OneDraw([0x93; 24]));
            let found = addresses_key.open_record(key, &record, now).map(|found| found.addresses);
            assert_eq!(found.as_ref(), Ok(&addresses));
            let claim = Signed::<Record>::decode(&record).unwrap().claim().clone();
            let case = json!({
                "name": format!("{} addresses", addresses.len()),
                "addresses_key": addresses_key.expose(|key| HEXLOWER.encode(key)),
                "addresses": addresses,
                "key": HEXLOWER.encode(key.as_bytes()),
                "record": HEXLOWER.encode(&record),
            });
            (case, claim)
        });
    made.into_iter().unzip()
}

/// Announcements of as many and as few days as may be.
pub(crate) fn schedules() -> Vec<Value> {
    let secret = AnnounceSecret::from_bytes(&[0x94; 32]);
    let full = Schedule::of(&secret, AddressKey::from_bytes([0x95; 32]), Day(u32::MAX - 31));
    let none = Schedule { first: Day(u32::MAX), keys: vec![], ..full.clone() };
    let cases = [full, none].map(|schedule| {
        let body = schedule.encode([0x96; 16]);
        assert_eq!(Schedule::decode(&body).as_ref(), Ok(&schedule));
        json!({
            "name": format!("{} days", schedule.keys.len()),
            "body": HEXLOWER.encode(&body),
        })
    });
    cases.to_vec()
}

/// A card for whoever has the id of this account.
pub(crate) fn found_cards(card: &ContactCard) -> Vec<Value> {
    let id = SharedId::of(&card.account);
    let (find, link) = (FindKey::of(&id), ([0x97; 38].as_slice(), [0x98; 64].as_slice()));
    let sealed = find.seal_card(card, link, &mut OneDraw([0x99; 24]));
    assert_eq!(find.open_card(&id, &sealed, link).as_ref(), Ok(card));
    vec![json!({
        "name": card.name,
        "recovery": HEXLOWER.encode(&id.recovery),
        "checksum": HEXLOWER.encode(&id.checksum),
        "asker": HEXLOWER.encode(link.0),
        "answerer": HEXLOWER.encode(link.1),
        "card": HEXLOWER.encode(&card.to_bytes()),
        "sealed": HEXLOWER.encode(&sealed),
    })]
}
