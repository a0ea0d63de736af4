//! What is signed here for Python to verify? Every kind of envelope, at its bounds.

use std::{convert::Infallible, fs, path::PathBuf};

use data_encoding::HEXLOWER;
use kith_common::{
    account::{
        Absorbs, Account, Checkpoint, Cut, DeviceAck, DeviceAdd, DeviceKeys, DeviceRetire,
        DeviceUntrust, Genesis, Last, MovedTo, Seat, TransportCert, Untrust,
    },
    crypto,
    entry::{Entry, EntryKind, Mark, Text, hash_body},
    envelope::{Payload, sign},
    frame::{ContactRequest, Frame},
    frontier::Frontier,
    ids::{AccountId, BaseId, DeviceId, EntryId, LogId},
    keys::SigningKey,
    limits::{
        ABSORBED_ACCOUNTS_MAX, ABSORBED_DEVICES_MAX, ACCESS_BYTES_MAX, ADDRESS_BYTES_MAX,
        ADDRESSES_MAX, AUDIENCE_BYTES_MAX, BOOTSTRAPS_MAX, CARD_BYTES_MAX, CARD_SEALED_BYTES_MAX,
        DELETED_ENTRIES_MAX, DROPPED_DEVICES_MAX, FETCH_ITEMS_MAX, FETCH_WAIT_MS_MAX,
        FRAME_ACCOUNTS_MAX, FRAME_ENTRIES_MAX, FRAME_HEADS_MAX, FRAME_HINTS_MAX, FRAME_RECORDS_MAX,
        GREETING_BYTES_MAX, HISTORIES_MAX, LINK_MESSAGE_BYTES_MAX, LINK_OFFER_BYTES_MAX,
        MAILBOXES_MAX, NAME_BYTES_MAX, PACKAGE_BYTES_MAX, RECORD_BYTES_MAX, REPLACED_MAX, SEQ_MAX,
        SETTLED_DEVICES_MAX, TEXT_BYTES_MAX, TRANSPORT_ID_BYTES_MAX,
    },
    linking::{CodeMail, JoinRequest, LinkAccept, LinkCode, LinkOffer, TOKEN_BYTES, check_number},
    mail::{MailboxUrl, QueueAddress, QueueSeed},
    own::{Clear, ContactNote, MailboxSetting, Own, Setting},
    service::{
        Code, Failure, Stamp,
        mailbox::{
            Close, Days, Done, Fetch, Fetched, Incarnation, Item, Open, Opened, Put, PutBody,
            Standing, Status, Stored,
        },
    },
    share::ContactCard,
    time::{Hlc, Timestamp},
};
use rand_core::{TryCryptoRng, TryRng};
use serde_json::{Value, json};

use crate::{finding, received};

/// A generator that draws one known seed or nonce.
pub(crate) struct OneDraw<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> TryRng for OneDraw<N> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, space: &mut [u8]) -> Result<(), Infallible> {
        space.copy_from_slice(&self.0);
        Ok(())
    }
}

impl<const N: usize> TryCryptoRng for OneDraw<N> {}

/// Envelopes at their bounds, in the form that `verify_vectors.py` reads.
#[derive(Default)]
struct Outgoing(Vec<Value>);

impl Outgoing {
    fn put<T: Payload>(&mut self, kind: &str, key: &SigningKey, value: T) -> Box<[u8]> {
        let signed = sign(key, value);
        assert_eq!(received(kind, signed.bytes()), Ok(signed.id()), "{kind} at its bounds");
        self.0.push(json!({
            "kind": kind,
            "signer": HEXLOWER.encode(signed.signer()),
            "envelope": HEXLOWER.encode(signed.bytes()),
            "id": HEXLOWER.encode(signed.id().as_bytes()),
        }));
        signed.into_bytes()
    }
}

fn largest_marks(count: u8) -> Vec<Mark> {
    let mark = |n: u8| Mark {
        device: DeviceId::from_bytes([n; 32]),
        seq: SEQ_MAX,
        id: EntryId::from_bytes([!n; 32]),
    };
    (0..count).map(mark).collect()
}

fn put_entries(out: &mut Outgoing, key: &SigningKey, account: AccountId) {
    let log = LogId::direct(account, AccountId::from_bytes([7; 32]));
    let body = Text { text: "☃".repeat(20_000), reply_to: None }.encode([9; 16]);
    let small = Entry {
        log,
        account,
        seq: 1,
        prev: None,
        parents: vec![],
        depth: 1,
        hlc: Hlc::ZERO,
        account_head: EntryId::from_bytes([0; 32]),
        kind: EntryKind::TEXT,
        body_hash: hash_body(&body),
        body_bytes: body.len() as u64,
    };
    out.put("entry", key, small.clone());
    let large = Entry {
        seq: SEQ_MAX,
        prev: Some(EntryId::from_bytes([0xff; 32])),
        parents: largest_marks(8),
        depth: SEQ_MAX,
        hlc: Hlc::from_bits(u64::MAX),
        kind: EntryKind(255),
        ..small
    };
    out.put("entry", key, large);
    let (received, read) = (largest_marks(128), largest_marks(128));
    out.put("frontier", key, Frontier { log, received, read });
}

fn put_session(out: &mut Outgoing, key: &SigningKey, account: &Account) -> Value {
    let longest: Box<[u8]> = [0xee; TRANSPORT_ID_BYTES_MAX].into();
    let (transport, audience) = (longest.clone(), longest.clone());
    out.put("transport-cert", key, TransportCert { transport, audience, not_after: u64::MAX });
    let target = SigningKey::from_seed(&[0x55; 32]);
    let request = ContactRequest {
        to_account: account.id(),
        to_device: target.device(),
        transport: longest.clone(),
        audience: longest,
        proof: account.proof().to_vec(),
        name: "n".repeat(NAME_BYTES_MAX),
        greeting: String::new(),
        addresses: vec![],
        absorbed: vec![account.proof().to_vec()],
    };
    let plain = out.put("contact-request", key, request);
    let sealed = crypto::seal_to(&mut OneDraw([0x66; 32]), target.device(), &plain).unwrap();
    let seed = target.expose_seed(|seed| HEXLOWER.encode(seed));
    let (plain, sealed) = (HEXLOWER.encode(&plain), HEXLOWER.encode(&sealed));
    json!([{ "seed": seed, "plain": plain, "sealed": sealed }])
}

/// The other operations, as large as they may be.
fn put_operations(out: &mut Outgoing, key: &SigningKey, ack: Box<[u8]>, base: BaseId) {
    let account = Account::genesis(key).0;
    let device = DeviceId::from_bytes([0xfe; 32]);
    let many = |count: usize| (0..count).map(|n| [u8::try_from(n).unwrap(); 32]);
    let why = Untrust::Stolen;
    out.put("device-untrust", key, DeviceUntrust { account, base, device, why });
    out.put("device-retire", key, DeviceRetire { account, base, device });
    let devices = many(SETTLED_DEVICES_MAX)
        .map(|n| DeviceKeys { device: DeviceId::from_bytes(n), authority: n });
    out.put("checkpoint", key, Checkpoint { account, base, devices: devices.collect() });
    let dropped = many(DROPPED_DEVICES_MAX).map(DeviceId::from_bytes).collect();
    let devices = vec![ack; SETTLED_DEVICES_MAX];
    let absorbed = many(ABSORBED_ACCOUNTS_MAX).map(AccountId::from_bytes).collect();
    out.put("seat", key, Seat { account, epoch: u64::MAX, devices, dropped, absorbed });
    let another = AccountId::from_bytes([0xfd; 32]);
    out.put("moved-to", key, MovedTo { account, base, to: another });
    for count in [0, ABSORBED_DEVICES_MAX] {
        let devices = many(count).map(DeviceId::from_bytes).collect();
        out.put("absorbs", key, Absorbs { account, base, from: another, devices });
    }
    let log = LogId::from_bytes([1; 32]);
    let received = Timestamp::from_millis(Timestamp::LAST.millis() - 1);
    for count in [0, HISTORIES_MAX] {
        let last = |entry| Last { seq: SEQ_MAX, entry: EntryId::from_bytes(entry), received };
        let lasts = many(count).map(last).collect();
        out.put("cut", key, Cut { account, log, device, lasts, since: Timestamp::LAST });
    }
}

fn queue() -> QueueAddress {
    let url = MailboxUrl::parse("https://mail.example.org").expect("the address of a server");
    QueueAddress { url, seed: QueueSeed::from_bytes([0x77; 32]), days: Days::One }
}

/// The messages by which a device joins; the check number of the first two.
fn put_linking(out: &mut Outgoing, key: &SigningKey, account: &Account, ack: Box<[u8]>) -> Value {
    let name = "t".repeat(NAME_BYTES_MAX);
    let reply = Some(queue());
    let join = JoinRequest { token: [0x71; TOKEN_BYTES], commitment: [0x72; 32], name, reply };
    let request = out.put("join-request", key, join);
    let offer = LinkOffer {
        account: account.id(),
        inviter: [0x73; 32],
        nonce: [0x74; 32],
        proof: account.proof().to_vec(),
        request: crypto::hash_plain(&request),
    };
    let offer = out.put("link-offer", key, offer);
    out.put(
        "link-accept",
        key,
        LinkAccept { opening: [0x75; 32], acknowledgement: ack, brings: account.proof().to_vec() },
    );
    json!({
        "request": HEXLOWER.encode(&request),
        "offer": HEXLOWER.encode(&offer),
        "opening": HEXLOWER.encode(&[0x75; 32]),
        "number": check_number(&request, &offer, &[0x75; 32]),
    })
}

/// Requests to a mailbox-server at their bounds; the body of a put.
fn put_mailbox(out: &mut Outgoing, key: &SigningKey) -> String {
    let audience = "a".repeat(AUDIENCE_BYTES_MAX);
    let stamp = Stamp { audience, time: Timestamp::LAST, nonce: [0x81; 16] };
    let open = Open {
        stamp: stamp.clone(),
        writer: [0x82; 32],
        days: Days::Seven,
        blobs_max: u16::MAX,
        bytes_max: SEQ_MAX,
        card: Some(vec![0x83; CARD_BYTES_MAX].into()),
        access: Some("☃".repeat(ACCESS_BYTES_MAX / 3)),
    };
    out.put("mailbox-open", key, open);
    let delete = (0..FETCH_ITEMS_MAX as u64).map(|n| SEQ_MAX - 511 + n).collect();
    let fetch = Fetch { stamp: stamp.clone(), delete, wait_ms: FETCH_WAIT_MS_MAX };
    out.put("mailbox-fetch", key, fetch);
    out.put("mailbox-status", key, Status { stamp: stamp.clone() });
    out.put("mailbox-close", key, Close { stamp: stamp.clone() });
    out.put("mailbox-put", key, Put { stamp: stamp.clone(), hash: [0x84; 32] });
    HEXLOWER.encode(&PutBody::signed(key, stamp, &[0x85; 4096]))
}

/// Answers of a mailbox-server, each with the rule of the page.
fn replies() -> Vec<(&'static str, String)> {
    let incarnation = Incarnation::from_bytes([0x86; 16]);
    let blob = |number: usize| number.is_multiple_of(2).then(|| vec![0x87; 4096].into());
    let items = (0..FETCH_ITEMS_MAX).map(|n| Item { number: n as u64, blob: blob(n) });
    let card = Some(vec![0x88; CARD_BYTES_MAX].into());
    let replies = [
        ("opened", Opened { incarnation, blobs_max: u16::MAX, bytes_max: SEQ_MAX }.encode()),
        ("stored", Stored { incarnation }.encode()),
        ("fetched", Fetched { incarnation, items: items.collect(), more: true }.encode()),
        ("standing", Standing { incarnation, days: Days::One, card }.encode()),
        ("done", Done.encode()),
        ("failure", Failure::with(Code::Stale, SEQ_MAX).encode()),
    ];
    replies.map(|(type_, bytes)| (type_, HEXLOWER.encode(&bytes))).to_vec()
}

/// Bodies of the self log, each kind as large and as small as it may be.
fn own_bodies(account: &Account, clear: Box<[u8]>) -> Vec<Value> {
    let (log, id) = (LogId::own(account.id()), AccountId::from_bytes([7; 32]));
    let name = || "n".repeat(NAME_BYTES_MAX);
    let replaces = (0..u8::try_from(REPLACED_MAX).unwrap()).map(|n| EntryId::from_bytes([n; 32]));
    let full = ContactNote {
        account: id,
        proof: account.proof().to_vec(),
        name: Some(name()),
        status: Some(4),
        greeting: Some("g".repeat(GREETING_BYTES_MAX)),
        validity: Some(2),
        replaces: replaces.collect(),
    };
    let deleted = u8::try_from(DELETED_ENTRIES_MAX).unwrap();
    let QueueAddress { url, days, .. } = queue();
    let mailbox = MailboxSetting { url, days, access: "w".repeat(ACCESS_BYTES_MAX) };
    let bodies = [
        Own::Contact(Box::new(full)),
        Own::Contact(Box::new(ContactNote::about(id))),
        Own::Read { log, marks: largest_marks(128) },
        Own::Read { log, marks: vec![] },
        Own::Delete { log, entries: largest_marks(deleted) },
        Own::Clear { clear },
        Own::Setting(Setting::Name(name())),
        Own::Setting(Setting::ReadReceipts(false)),
        Own::Setting(Setting::Mailboxes(vec![mailbox; MAILBOXES_MAX])),
        Own::Setting(Setting::Findable(false)),
        Own::Setting(Setting::RelayOnly(true)),
        Own::Setting(Setting::Bootstraps(vec!["b".repeat(ADDRESS_BYTES_MAX); BOOTSTRAPS_MAX])),
        Own::Setting(Setting::Bootstraps(vec![])),
        Own::Draft { log, text: "d".repeat(TEXT_BYTES_MAX) },
        Own::Draft { log, text: String::new() },
        Own::DeviceName { device: DeviceId::from_bytes([0xfe; 32]), name: name() },
    ];
    let written = bodies.iter().map(|own| {
        let body = own.encode([8; 16]);
        assert_eq!(Own::decode(own.kind(), &body).as_ref(), Ok(&Some(own.clone())));
        json!({ "kind": own.kind().0, "body": HEXLOWER.encode(&body) })
    });
    written.collect()
}

/// Frames 6 to 17, as full as they may be.
fn frames(account: &Account) -> Vec<String> {
    let log = LogId::own(account.id());
    let wanted = |n: usize| Mark {
        device: DeviceId::from_bytes([1; 32]),
        seq: 1 + n as u64,
        id: EntryId::from_bytes([2; 32]),
    };
    let head = (account.id(), account.head());
    let addresses = vec!["a".repeat(ADDRESS_BYTES_MAX); ADDRESSES_MAX];
    let device = (DeviceId::from_bytes([3; 32]), addresses);
    let message: Box<[u8]> = vec![4; LINK_MESSAGE_BYTES_MAX + 48].into();
    let frames = [
        Frame::Accounts { proofs: vec![account.proof().to_vec(); FRAME_ACCOUNTS_MAX] },
        Frame::AccountHeads { heads: vec![head; FRAME_HEADS_MAX] },
        Frame::Want { log, entries: (0..FRAME_ENTRIES_MAX).map(wanted).collect() },
        Frame::Join { sealed: message.clone() },
        Frame::Offer { sealed: vec![5; LINK_OFFER_BYTES_MAX + 48].into() },
        Frame::Accept { sealed: message },
        Frame::Hints { devices: vec![device; FRAME_HINTS_MAX] },
        Frame::Packages { packages: vec![vec![1; PACKAGE_BYTES_MAX].into(); 8] },
        Frame::Seek { tokens: vec![[6; 32]; FRAME_RECORDS_MAX] },
        Frame::Records { records: vec![vec![7; RECORD_BYTES_MAX].into(); FRAME_RECORDS_MAX] },
        Frame::Who { proof: [8; 32] },
        Frame::Card { sealed: vec![9; CARD_SEALED_BYTES_MAX].into() },
    ];
    let written = frames.iter().map(|frame| {
        let bytes = frame.encode();
        assert_eq!(Frame::decode(&bytes).as_ref(), Ok(&Some(frame.clone())));
        HEXLOWER.encode(&bytes)
    });
    written.collect()
}

#[test]
fn what_is_signed_here_is_written_for_python() {
    let [recovery, device, authority, second] =
        [0x31, 0x32, 0x33, 0x34].map(|n| SigningKey::from_seed(&[n; 32]));
    let mut out = Outgoing::default();
    let genesis = out.put("genesis", &recovery, Genesis);
    let id = Account::genesis(&recovery).0;
    let mut put_ack = |device: &SigningKey, inviter: [u8; 32], authority: [u8; 32]| {
        let ack = DeviceAck { inviter, authority, nonce: [0x35; 32], account: id };
        out.put("device-ack", device, ack)
    };
    let first = put_ack(&device, *recovery.public(), *authority.public());
    let new = put_ack(&second, *authority.public(), [0x36; 32]);
    let seat = Seat {
        account: id,
        epoch: 0,
        devices: vec![first.clone()],
        dropped: vec![],
        absorbed: vec![],
    };
    let seat = out.put("seat", &recovery, seat);
    let base = BaseId::from_bytes(*EntryId::of(&seat).as_bytes());
    let add = out.put("device-add", &authority, DeviceAdd { account: id, base, device: new });
    put_operations(&mut out, &recovery, first.clone(), base);
    let account = Account::fold(&[genesis, seat, add]).unwrap();
    assert_eq!(account.devices().len(), 2);
    put_entries(&mut out, &device, account.id());
    let sealed = put_session(&mut out, &second, &account);
    let check = put_linking(&mut out, &device, &account, first);
    let (log, through) = (LogId::own(account.id()), largest_marks(128));
    let clear = Clear { account: account.id(), log, through };
    let clear = out.put("clear", &authority, clear);
    let put = put_mailbox(&mut out, &device);
    let (records, claims) = finding::records();
    for claim in claims {
        out.put("record", &device, claim);
    }
    let addresses = vec!["a".repeat(ADDRESS_BYTES_MAX); ADDRESSES_MAX];
    let mail = Some(CodeMail { queue: queue(), access: "word".to_owned() });
    let code = LinkCode { key: device.device(), token: [0x76; TOKEN_BYTES], addresses, mail };
    assert_eq!(LinkCode::decode(&code.encode()).as_ref(), Ok(&code));
    let card = ContactCard {
        account: account.clone(),
        name: "Zoë".to_owned(),
        addresses: vec![],
        knocks: vec![],
    };
    let written = json!({
        "envelopes": out.0,
        "account": HEXLOWER.encode(account.id().as_bytes()),
        "head": HEXLOWER.encode(account.head().as_bytes()),
        "link": card.encode(),
        "sealed": sealed,
        "own": own_bodies(&account, clear),
        "frames": frames(&account),
        "code": code.encode(),
        "check": check,
        "put": put,
        "replies": replies(),
        "records": records,
        "schedules": finding::schedules(),
        "found_cards": finding::found_cards(&card),
    });
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("vectors-from-rust.json");
    fs::write(path, serde_json::to_vec_pretty(&written).unwrap()).unwrap();
}
