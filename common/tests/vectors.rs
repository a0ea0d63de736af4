//! Does this code write and read what an independent implementation writes and reads?
//!
//! `tests/vectors/*.json` are made by Python on stock libraries. Here the same values are made from
//! the same seeds and must be equal byte for byte; what Python calls refused must be refused, for
//! the same reason. The other way round, envelopes made here go to `target/vectors-from-rust.json`
//! for `verify_vectors.py`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "vectors/accounts.rs"]
mod accounts;
#[path = "vectors/cases.rs"]
mod cases;
#[path = "vectors/devices.rs"]
mod devices;
#[path = "vectors/finding.rs"]
mod finding;
#[path = "vectors/mail.rs"]
mod mail;
#[path = "vectors/mailbox.rs"]
mod mailbox;
#[path = "vectors/outgoing.rs"]
mod outgoing;

use std::{collections::BTreeMap, fmt::Debug};

use kith_common::{
    account::{
        Absorbs, Account, Checkpoint, Cut, DeviceAck, DeviceAdd, DeviceKeys, DeviceRetire,
        DeviceUntrust, Genesis, Last, MovedTo, Seat, TransportCert, Untrust,
    },
    codec::{DecodeError, Writer},
    crypto,
    entry::{Entry, EntryKind, Mark, Text, check_body, hash_body, vouched},
    envelope::{Payload, Signed, sign},
    finding::Record,
    frame::{CarriedEntry, ContactRequest, Frame},
    frontier::Frontier,
    ids::{AccountId, BaseId, DeviceId, EntryId, LogId},
    keys::SigningKey,
    linking::{JoinRequest, LinkAccept, LinkOffer},
    own::Clear,
    service::mailbox::{Close, Fetch, Open, Put, Status},
    share::{ContactCard, ShareError, SharedId},
    time::Timestamp,
};

use self::{
    cases::{
        CarriedCase, EnvelopeCase, FILES, Fields, File, FrameCase, FrameFields, HeadCase, Hex,
        HintCase, IgnoredFrame, MarkCase, RefusedFrame, boxes, load, some,
    },
    devices::QueueCase,
    outgoing::OneDraw,
};

const fn reason(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::Malformed => "malformed",
        DecodeError::NotCanonical => "not-canonical",
        DecodeError::WrongType => "wrong-type",
        DecodeError::TooLarge { .. } => "too-large",
        DecodeError::Value(_) => "value",
        DecodeError::Missing(_) => "missing",
        DecodeError::UnknownCritical(_) => "unknown-critical",
        DecodeError::Trailing => "trailing",
        _ => "a refusal that the spec does not name",
    }
}

fn account_id(hex: &Hex) -> AccountId {
    AccountId::from_bytes(hex.fixed())
}

fn device_id(hex: &Hex) -> DeviceId {
    DeviceId::from_bytes(hex.fixed())
}

fn base_id(hex: &Hex) -> BaseId {
    BaseId::from_bytes(hex.fixed())
}

fn entry_id(hex: &Hex) -> EntryId {
    EntryId::from_bytes(hex.fixed())
}

fn marks(list: &[MarkCase]) -> Vec<Mark> {
    let mark = |case: &MarkCase| Mark {
        device: DeviceId::from_bytes(case.device.fixed()),
        seq: case.seq,
        id: entry_id(&case.id),
    };
    list.iter().map(mark).collect()
}

fn check_made(file: &File, case: &EnvelopeCase) {
    let EnvelopeCase { name, .. } = case;
    match &case.fields {
        Fields::Genesis {} => check(file, case, Genesis),
        Fields::DeviceAck { inviter, authority, nonce, account } => {
            let account = account_id(account);
            let (inviter, authority) = (inviter.fixed(), authority.fixed());
            check(file, case, DeviceAck { inviter, authority, nonce: nonce.fixed(), account });
        }
        Fields::DeviceAdd { .. }
        | Fields::DeviceUntrust { .. }
        | Fields::DeviceRetire { .. }
        | Fields::Checkpoint { .. }
        | Fields::Seat { .. }
        | Fields::MovedTo { .. }
        | Fields::Absorbs { .. }
        | Fields::Cut { .. } => check_operation(file, case),
        Fields::Clear { .. }
        | Fields::JoinRequest { .. }
        | Fields::LinkOffer { .. }
        | Fields::LinkAccept { .. } => check_among_devices(file, case),
        Fields::TransportCert { transport, audience, not_after } => {
            let (transport, audience) = (transport.boxed(), audience.boxed());
            check(file, case, TransportCert { transport, audience, not_after: *not_after });
        }
        Fields::Entry { .. } => check(file, case, entry(&case.fields).expect(name)),
        Fields::Frontier { log, received, read } => {
            let log = LogId::from_bytes(log.fixed());
            let (received, read) = (marks(received), marks(read));
            check(file, case, Frontier { log, received, read });
        }
        Fields::ContactRequest { .. } => check(file, case, request(&case.fields).expect(name)),
        Fields::MailboxOpen { .. }
        | Fields::MailboxPut { .. }
        | Fields::MailboxFetch { .. }
        | Fields::MailboxStatus { .. }
        | Fields::MailboxClose { .. } => mailbox::check_request(file, case),
    }
}

fn check_operation(file: &File, case: &EnvelopeCase) {
    match &case.fields {
        Fields::DeviceAdd { account, base, device } => {
            let (account, base) = (account_id(account), base_id(base));
            check(file, case, DeviceAdd { account, base, device: device.boxed() });
        }
        Fields::DeviceUntrust { account, base, device, reason } => {
            let (account, base) = (account_id(account), base_id(base));
            let why = if *reason == 2 { Untrust::Stolen } else { Untrust::Removed };
            check(file, case, DeviceUntrust { account, base, device: device_id(device), why });
        }
        Fields::DeviceRetire { account, base, device } => {
            let (account, base) = (account_id(account), base_id(base));
            check(file, case, DeviceRetire { account, base, device: device_id(device) });
        }
        Fields::Checkpoint { account, base, devices } => {
            let (account, base) = (account_id(account), base_id(base));
            let keys = devices.iter().map(|one| DeviceKeys {
                device: device_id(&one.device),
                authority: one.authority.fixed(),
            });
            check(file, case, Checkpoint { account, base, devices: keys.collect() });
        }
        Fields::Seat { account, epoch, devices, dropped, absorbed } => {
            let dropped = dropped.iter().map(device_id).collect();
            let absorbed = absorbed.iter().map(account_id).collect();
            let (account, devices) = (account_id(account), boxes(devices));
            check(file, case, Seat { account, epoch: *epoch, devices, dropped, absorbed });
        }
        Fields::MovedTo { account, base, to } => {
            let (account, base, to) = (account_id(account), base_id(base), account_id(to));
            check(file, case, MovedTo { account, base, to });
        }
        Fields::Absorbs { account, base, from, devices } => {
            let (account, base, from) = (account_id(account), base_id(base), account_id(from));
            let devices = devices.iter().map(device_id).collect();
            check(file, case, Absorbs { account, base, from, devices });
        }
        Fields::Cut { account, log, device, lasts, since } => {
            let last = |(seq, entry, received): &(u64, Hex, u64)| {
                let (entry, received) = (entry_id(entry), Timestamp::from_millis(*received));
                Last { seq: *seq, entry, received }
            };
            let lasts = lasts.iter().map(last).collect();
            let (account, log) = (account_id(account), LogId::from_bytes(log.fixed()));
            let (device, since) = (device_id(device), Timestamp::from_millis(*since));
            check(file, case, Cut { account, log, device, lasts, since });
        }
        _ => panic!("{} is no operation", case.name),
    }
}

fn check_among_devices(file: &File, case: &EnvelopeCase) {
    match &case.fields {
        Fields::Clear { account, log, through } => {
            let (account, log) = (account_id(account), LogId::from_bytes(log.fixed()));
            let through = marks(through);
            check(file, case, Clear { account, log, through });
        }
        Fields::JoinRequest { token, commitment, name, reply } => {
            let (token, commitment) = (token.fixed(), commitment.fixed());
            let (name, reply) = (name.clone(), reply.as_ref().map(QueueCase::address));
            check(file, case, JoinRequest { token, commitment, name, reply });
        }
        Fields::LinkOffer { account, inviter, nonce, proof, request } => {
            let (account, inviter) = (account_id(account), inviter.fixed());
            let (nonce, proof, request) = (nonce.fixed(), boxes(proof), request.fixed());
            check(file, case, LinkOffer { account, inviter, nonce, proof, request });
        }
        Fields::LinkAccept { opening, acknowledgement, brings } => {
            let (acknowledgement, brings) = (acknowledgement.boxed(), boxes(brings));
            check(file, case, LinkAccept { opening: opening.fixed(), acknowledgement, brings });
        }
        _ => panic!("{} is no message among devices", case.name),
    }
}

fn entry(fields: &Fields) -> Option<Entry> {
    let Fields::Entry { log, account, seq, prev, parents, depth, hlc, .. } = fields else {
        return None;
    };
    let Fields::Entry { account_head, kind, body_hash, body_bytes, .. } = fields else {
        return None;
    };
    Some(Entry {
        log: LogId::from_bytes(log.fixed()),
        account: account_id(account),
        seq: *seq,
        prev: prev.as_ref().map(entry_id),
        parents: marks(parents),
        depth: *depth,
        hlc: hlc.clock(),
        account_head: entry_id(account_head),
        kind: EntryKind(*kind),
        body_hash: body_hash.fixed(),
        body_bytes: *body_bytes,
    })
}

fn request(fields: &Fields) -> Option<ContactRequest> {
    let Fields::ContactRequest { to_account, to_device, transport, audience, proof, .. } = fields
    else {
        return None;
    };
    let Fields::ContactRequest { name, greeting, addresses, absorbed, .. } = fields else {
        return None;
    };
    Some(ContactRequest {
        to_account: account_id(to_account),
        to_device: DeviceId::from_bytes(to_device.fixed()),
        transport: transport.boxed(),
        audience: audience.boxed(),
        proof: boxes(proof),
        name: name.clone(),
        greeting: greeting.clone(),
        addresses: addresses.clone(),
        absorbed: absorbed.iter().map(|proof| boxes(proof)).collect(),
    })
}

/// Signs the value anew and reads Python's envelope: both must be the same in every respect.
fn check<T: Payload + Clone + PartialEq + Debug>(file: &File, case: &EnvelopeCase, value: T) {
    let name = &case.name;
    let mut writer = Writer::new();
    value.write(&mut writer);
    assert_eq!(Hex(writer.finish()), case.payload, "payload of {name}");
    let signed = sign(&file.key(&case.signer), value);
    assert_eq!(Hex(signed.bytes().to_vec()), case.envelope, "envelope of {name}");
    assert_eq!(signed.id(), entry_id(&case.id), "id of {name}");
    let read = Signed::<T>::decode(&case.envelope.0).expect(name);
    assert_eq!(read.verify().expect(name), signed, "{name} as read");
}

/// Decodes and verifies an envelope; the id or the name of the refusal.
fn received(kind: &str, bytes: &[u8]) -> Result<EntryId, &'static str> {
    fn as_kind<T: Payload>(bytes: &[u8]) -> Result<EntryId, &'static str> {
        let signed = Signed::<T>::decode(bytes).map_err(|error| reason(&error))?;
        signed.verify().map(|verified| verified.id()).map_err(|_| "signature")
    }
    match kind {
        "genesis" => as_kind::<Genesis>(bytes),
        "device-ack" => as_kind::<DeviceAck>(bytes),
        "device-add" => as_kind::<DeviceAdd>(bytes),
        "device-untrust" => as_kind::<DeviceUntrust>(bytes),
        "device-retire" => as_kind::<DeviceRetire>(bytes),
        "checkpoint" => as_kind::<Checkpoint>(bytes),
        "seat" => as_kind::<Seat>(bytes),
        "moved-to" => as_kind::<MovedTo>(bytes),
        "absorbs" => as_kind::<Absorbs>(bytes),
        "cut" => as_kind::<Cut>(bytes),
        "clear" => as_kind::<Clear>(bytes),
        "join-request" => as_kind::<JoinRequest>(bytes),
        "link-offer" => as_kind::<LinkOffer>(bytes),
        "link-accept" => as_kind::<LinkAccept>(bytes),
        "transport-cert" => as_kind::<TransportCert>(bytes),
        "entry" => as_kind::<Entry>(bytes),
        "frontier" => as_kind::<Frontier>(bytes),
        "contact-request" => as_kind::<ContactRequest>(bytes),
        "mailbox-open" => as_kind::<Open>(bytes),
        "mailbox-put" => as_kind::<Put>(bytes),
        "mailbox-fetch" => as_kind::<Fetch>(bytes),
        "mailbox-status" => as_kind::<Status>(bytes),
        "mailbox-close" => as_kind::<Close>(bytes),
        "record" => as_kind::<Record>(bytes),
        _ => panic!("no such kind: {kind}"),
    }
}

#[test]
fn seeds_make_the_same_keys() {
    for name in FILES {
        for (who, key) in &load(name).keys {
            let made = SigningKey::from_seed(&key.seed.fixed());
            assert_eq!(*made.public(), key.public.fixed(), "{who}");
        }
    }
}

#[test]
fn envelopes_are_equal_byte_for_byte() {
    for name in FILES {
        let file = load(name);
        for case in some(&file.envelopes) {
            check_made(&file, case);
        }
    }
}

#[test]
fn accepted_envelopes_are_accepted() {
    for case in FILES.iter().flat_map(|name| load(name).accepted) {
        let read = received(&case.kind, &case.envelope.0);
        assert_eq!(read, Ok(entry_id(&case.id)), "{}", case.name);
    }
}

#[test]
fn refused_envelopes_are_refused_for_the_reason_given() {
    let mut wrong = Vec::new();
    for name in FILES {
        for case in some(&load(name).refused) {
            let read = received(&case.kind, &case.envelope.0);
            if read != Err(case.refusal.as_str()) {
                wrong.push(format!("{name}, {}: {read:?}, not {}", case.name, case.refusal));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn share_reason(error: &ShareError) -> &'static str {
    match error {
        ShareError::Checksum => "checksum",
        ShareError::Version => "version",
        ShareError::IdAlone => "id-alone",
        ShareError::NotALink => "not-a-link",
        ShareError::Card(_) => "card",
        ShareError::Account(_) => "account",
        ShareError::Mismatch => "mismatch",
        _ => "a refusal that the spec does not name",
    }
}

#[test]
fn shared_strings_are_equal() {
    let file = load("02-account");
    for case in some(&file.strings) {
        let shared = SharedId { recovery: case.recovery.fixed(), checksum: case.checksum.fixed() };
        assert_eq!(SharedId::decode(&case.text), Ok(shared), "{}", case.name);
        assert_eq!(shared.encode(), case.text.to_lowercase(), "{}", case.name);
    }
    for case in some(&file.strings_refused) {
        let refusal = SharedId::decode(&case.text).map_err(|error| share_reason(&error));
        assert_eq!(refusal.err(), Some(case.refusal.as_str()), "{}", case.name);
    }
}

#[test]
fn links_are_equal() {
    let file = load("02-account");
    for case in some(&file.links) {
        let account = Account::fold(&boxes(&case.proof)).expect(&case.name);
        assert_eq!(account.id(), account_id(&case.account));
        let (name, addresses) = (case.name.clone(), case.addresses.clone());
        let card = ContactCard { account, name, addresses, knocks: vec![] };
        assert_eq!(card.encode(), case.text);
        assert_eq!(ContactCard::decode(&case.text), Ok(card));
    }
    for case in some(&file.links_refused) {
        let refusal = ContactCard::decode(&case.text).map_err(|error| share_reason(&error));
        assert_eq!(refusal.err(), Some(case.refusal.as_str()), "{}", case.name);
    }
}

#[test]
fn direct_logs_have_the_same_names() {
    for case in some(&load("03-log").logs) {
        let log = LogId::direct(account_id(&case.one), account_id(&case.other));
        assert_eq!(log, LogId::from_bytes(case.log.fixed()));
    }
}

#[test]
fn bodies_are_equal() {
    let file = load("03-log");
    for case in some(&file.bodies) {
        let text = Text { text: case.text.clone(), reply_to: case.reply_to.as_ref().map(entry_id) };
        assert_eq!(Hex(text.encode(case.salt.fixed())), case.body, "{}", case.name);
        assert_eq!(hash_body(&case.body.0), case.hash.fixed(), "{}", case.name);
        assert_eq!(Text::decode(&case.body.0), Ok(text), "{}", case.name);
    }
    for case in some(&file.bodies_refused) {
        let refusal = Text::decode(&case.body.0).map_err(|error| reason(&error));
        assert_eq!(refusal.err(), Some(case.refusal.as_str()), "{}", case.name);
    }
    let named = file.envelope("alice.phone 2");
    let named = entry(&named.fields).unwrap();
    assert_eq!(check_body(&named, &file.bodies[0].body.0), Ok(()));
    assert!(check_body(&named, &file.bodies[1].body.0).is_err());
}

#[test]
fn the_chain_rule_is_the_same() {
    for case in some(&load("03-log").chains) {
        let first = Signed::<Entry>::decode(&case.first.0).unwrap();
        assert!(!first.signature_holds(), "{}", case.name);
        let second = Signed::<Entry>::decode(&case.second.0).unwrap().verify().unwrap();
        let id = first.id();
        assert_eq!(vouched(first, id, &second).is_ok(), case.authentic, "{}", case.name);
    }
}

/// The order as spec 03 R7 words it, over a handful of entries.
fn effective(entries: &BTreeMap<EntryId, Entry>, id: EntryId) -> u64 {
    let entry = &entries[&id];
    let before = entry.parents.iter().map(|mark| mark.id).chain(entry.prev);
    before.map(|id| 1 + effective(entries, id)).fold(entry.hlc.bits(), u64::max)
}

#[test]
fn the_order_is_what_the_spec_says() {
    let file = load("03-log");
    let entries: BTreeMap<EntryId, Entry> = file
        .envelopes
        .iter()
        .filter(|case| file.order.iter().any(|placed| placed.name == case.name))
        .map(|case| (entry_id(&case.id), entry(&case.fields).unwrap()))
        .collect();
    let mut order: Vec<(u64, EntryId)> =
        entries.keys().map(|id| (effective(&entries, *id), *id)).collect();
    order.sort_unstable();
    let expected: Vec<(u64, EntryId)> = some(&file.order)
        .iter()
        .map(|placed| (u64::from_str_radix(&placed.eff, 16).unwrap(), entry_id(&placed.id)))
        .collect();
    assert_eq!(order, expected);
}

#[test]
fn a_fork_is_two_entries_of_one_device_with_one_number() {
    let file = load("03-log");
    let [one, other] = [0, 1].map(|at| file.envelope(&file.fork[at]));
    assert_eq!(one.signer, other.signer);
    assert_ne!(one.id, other.id);
    let [one, other] = [one, other].map(|case| entry(&case.fields).unwrap());
    assert_eq!((one.log, one.seq), (other.log, other.seq));
}

fn made_frame(fields: &FrameFields) -> Frame {
    match fields {
        FrameFields::Hello { tags } => Frame::Hello { tags: tags.iter().map(Hex::fixed).collect() },
        FrameFields::Certificate { cert, proof, addresses } => Frame::Certificate {
            cert: cert.boxed(),
            proof: boxes(proof),
            addresses: addresses.clone(),
        },
        FrameFields::Request { sealed } => Frame::Request { sealed: sealed.boxed() },
        FrameFields::Frontiers { ask, frontiers } => {
            Frame::Frontiers { ask: *ask, frontiers: boxes(frontiers) }
        }
        FrameFields::Entries { log, entries } => {
            let carried = |case: &CarriedCase| CarriedEntry {
                envelope: case.envelope.boxed(),
                body: case.body.as_ref().map(Hex::boxed),
            };
            let log = LogId::from_bytes(log.fixed());
            Frame::Entries { log, entries: entries.iter().map(carried).collect() }
        }
        FrameFields::Accounts { proofs } => {
            Frame::Accounts { proofs: proofs.iter().map(|proof| boxes(proof)).collect() }
        }
        FrameFields::AccountHeads { heads } => {
            let head = |case: &HeadCase| (account_id(&case.account), entry_id(&case.head));
            Frame::AccountHeads { heads: heads.iter().map(head).collect() }
        }
        FrameFields::Want { log, entries } => {
            Frame::Want { log: LogId::from_bytes(log.fixed()), entries: marks(entries) }
        }
        FrameFields::Join { sealed } => Frame::Join { sealed: sealed.boxed() },
        FrameFields::Offer { sealed } => Frame::Offer { sealed: sealed.boxed() },
        FrameFields::Accept { sealed } => Frame::Accept { sealed: sealed.boxed() },
        FrameFields::Hints { devices } => {
            let hint = |case: &HintCase| (device_id(&case.device), case.addresses.clone());
            Frame::Hints { devices: devices.iter().map(hint).collect() }
        }
        FrameFields::Packages { packages } => {
            Frame::Packages { packages: packages.iter().map(Hex::boxed).collect() }
        }
        FrameFields::Seek { tokens } => {
            Frame::Seek { tokens: tokens.iter().map(Hex::fixed).collect() }
        }
        FrameFields::Records { records } => Frame::Records { records: boxes(records) },
        FrameFields::Who { proof } => Frame::Who { proof: proof.fixed() },
        FrameFields::Card { sealed } => Frame::Card { sealed: sealed.boxed() },
    }
}

fn check_frames(good: &[FrameCase], refused: &[RefusedFrame], ignored: &[IgnoredFrame]) {
    for case in some(good) {
        let frame = made_frame(&case.fields);
        assert_eq!(Hex(frame.encode()), case.frame, "{}", case.name);
        assert_eq!(Frame::decode(&case.frame.0), Ok(Some(frame)), "{}", case.name);
    }
    for case in some(refused) {
        let refusal = Frame::decode(&case.frame.0).map_err(|error| reason(&error));
        assert_eq!(refusal.err(), Some(case.refusal.as_str()), "{}", case.name);
    }
    for case in ignored {
        assert_eq!(Frame::decode(&case.frame.0), Ok(None), "{}", case.name);
    }
}

#[test]
fn frames_are_equal() {
    for name in ["04-sync", "05-session", "08-linking"] {
        let file = load(name);
        check_frames(&file.frames, &file.frames_refused, &file.frames_ignored);
    }
}

#[test]
fn pair_keys_and_tags_are_equal() {
    let file = load("05-session");
    for case in some(&file.pairs) {
        let keys = file.key(&case.own).pair_keys(file.key(&case.other).device()).unwrap();
        assert!(keys.send.expose(|key| key == case.send.0), "{} to {}", case.own, case.other);
        assert!(keys.receive.expose(|key| key == case.receive.0));
        let mut said = Vec::new();
        for part in [b"kith/hello/1".as_slice(), &case.own_transport.0, &case.other_transport.0] {
            said.push(u8::try_from(part.len()).unwrap());
            said.extend_from_slice(part);
        }
        assert_eq!(crypto::keyed_hash(&keys.send, &said)[..16], case.tag.0);
    }
}

#[test]
fn sealed_boxes_are_equal_and_open() {
    for name in ["05-session", "08-linking"] {
        let file = load(name);
        for case in some(&file.sealed) {
            let to = file.key(&case.to);
            let mut rng = OneDraw(case.ephemeral_seed.fixed::<32>());
            let sealed = crypto::seal_to(&mut rng, to.device(), &case.plain.0).unwrap();
            assert_eq!(Hex(sealed), case.sealed);
            assert_eq!(to.open(&case.sealed.0).map(Hex), Ok(case.plain.clone()));
            assert!(file.key("bob.phone").open(&case.sealed.0).is_err());
        }
    }
}

#[test]
fn cuts_travel_in_entries() {
    let file = load("03-log");
    for case in some(&file.cuts) {
        let named = entry(&file.envelope(&case.entry).fields).unwrap();
        assert_eq!((named.kind, check_body(&named, &case.body.0)), (EntryKind::CUT, Ok(())));
        let cut = Signed::<Cut>::decode(&case.body.0[16..]).unwrap().verify().unwrap();
        assert_eq!(cut.id(), entry_id(&case.cut), "{}", case.entry);
        assert_eq!((cut.value().account, cut.value().log), (named.account, named.log));
    }
}
