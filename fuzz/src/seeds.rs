//! Where does a corpus begin? With what honest devices say, so that a mutation is nearly right.

use kith_common::{
    account::{
        Absorbs, Checkpoint, Cut, DeviceAdd, DeviceKeys, DeviceRetire, DeviceUntrust, Last,
        MovedTo, Seat, TransportCert, Untrust, acknowledge,
    },
    codec::Writer,
    crypto,
    entry::{Mark, Text},
    envelope::{Signed, sign},
    frame::{ContactRequest, Frame},
    ids::{BaseId, EntryId, LogId},
    linking::{CodeMail, JoinRequest, LinkAccept, LinkCode, LinkOffer, commitment},
    mail::{MailboxUrl, QueueAddress, QueueSeed},
    own::{Clear, ContactNote, MailboxSetting, Own, Setting},
    service::mailbox::Days,
    share::{ContactCard, SharedId},
    time::Timestamp,
};

use crate::{
    cast::CAST,
    cbor::Value,
    engine::{self, checks::rows_of, setting::SETTING},
    finding, mail, record,
};

/// Inputs for the targets, by their names.
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let alice = CAST.alice.account.proof();
    let seat = Signed::<Seat>::decode(&alice[1]).expect("a seat behind the genesis");
    let add = Signed::<DeviceAdd>::decode(&alice[2]).expect("an addition behind it");
    let acks = [seat.claim().devices[0].to_vec(), add.claim().device.to_vec()];
    let [vote, retire, list, large_seat, cut, moved, absorbs] = operations(seat.claim());
    let cert = TransportCert {
        transport: [1; 38].into(),
        audience: [2; 38].into(),
        not_after: 1_767_225_600_000,
    };
    let cert = sign(&CAST.bob.devices[0], cert).into_bytes().into_vec();
    vec![
        ("envelope_genesis", envelopes(&[alice[0].to_vec()])),
        ("envelope_device_ack", envelopes(&acks)),
        ("envelope_device_add", envelopes(&[alice[2].to_vec()])),
        ("envelope_device_untrust", envelopes(&[vote])),
        ("envelope_device_retire", envelopes(&[retire])),
        ("envelope_checkpoint", envelopes(&[list])),
        ("envelope_seat", envelopes(&[alice[1].to_vec(), large_seat])),
        ("envelope_cut", envelopes(&[cut])),
        ("envelope_moved_to", envelopes(&[moved])),
        ("envelope_absorbs", envelopes(&[absorbs])),
        ("envelope_clear", envelopes(&[clear()])),
        ("envelope_join_request", envelopes(&[linking()[0].clone()])),
        ("envelope_link_offer", envelopes(&[linking()[1].clone()])),
        ("envelope_link_accept", envelopes(&[linking()[2].clone()])),
        ("envelope_transport_cert", envelopes(&[cert])),
        ("envelope_entry", envelopes(&entries())),
        ("envelope_frontier", envelopes(&frontiers())),
        ("envelope_contact_request", envelopes(&[request()])),
        ("account_fold", accounts()),
        ("codec", codec()),
        ("frame", frames()),
        ("text_body", texts()),
        ("own_body", own_bodies()),
        ("link_code", link_codes()),
        ("shared_string", strings()),
        ("link", links()),
        ("mail", mail::seeds::mail(&queue())),
        ("service", mail::seeds::service(&queue())),
        ("mls", mail::seeds::for_mls()),
        ("joining", mail::seeds::joining(&queue())),
        ("finding", finding::seeds(extended)),
        ("record", record::seeds(bootstraps())),
        ("engine", engine::seeds::runs()),
    ]
}

/// Each whole, its payload alone, with an extension, and with extensions in the header.
fn envelopes(envelopes: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for envelope in envelopes {
        seeds.push([&[0], envelope.as_slice()].concat());
        let Some(Value::Tag(_, parts)) = Value::parse(envelope) else { continue };
        let Value::Array(parts) = *parts else { continue };
        let Some(Value::Bytes(payload)) = parts.get(2) else { continue };
        seeds.push([&[1], payload.as_slice()].concat());
        seeds.push([&[1], extended(payload).as_slice()].concat());
        seeds.push([&[2, 1, 0xa0], payload.as_slice()].concat());
        seeds.push([&[2, 4, 0xa1, 0x18, 0x80, 0x00], payload.as_slice()].concat());
    }
    seeds
}

fn extended(map: &[u8]) -> Vec<u8> {
    let Some(Value::Map(mut fields)) = Value::parse(map) else { return map.to_vec() };
    let number = Value::Negative(300);
    let list = Value::Array(vec![Value::Bool(true), Value::Text("later".to_owned()), number]);
    fields.push((Value::Uint(128), list));
    fields.push((Value::Uint(255), Value::Bytes(vec![1, 2, 3])));
    Value::Map(fields).encode()
}

/// A vote, a retirement, a list, a seat that drops devices and goes on for Bob, a cut, a move, an
/// absorbs.
fn operations(seat: &Seat) -> [Vec<u8>; 7] {
    let (alice, account) = (&CAST.alice, CAST.alice.id());
    let [phone, tablet] = [0, 1].map(|n: usize| DeviceKeys {
        device: alice.devices[n].device(),
        authority: *alice.authorities[n].public(),
    });
    let (key, base) = (&alice.authorities[0], BaseId::from_bytes([4; 32]));
    let device = tablet.device;
    let vote = DeviceUntrust { account, base, device, why: Untrust::Stolen };
    let mut devices = vec![phone, tablet];
    devices.sort_unstable();
    let absorbed = vec![CAST.bob.id()];
    let seat = Seat { epoch: 1 << 40, dropped: vec![device], absorbed, ..seat.clone() };
    let to = CAST.bob.id();
    let mut taken = CAST.bob.devices.each_ref().map(|device| device.device()).to_vec();
    taken.sort_unstable();
    let absorbs = Absorbs { account, base, from: to, devices: taken };
    let (entry, received) = (EntryId::from_bytes([5; 32]), Timestamp::from_millis(1 << 40));
    let lasts = vec![Last { seq: 70_000, entry, received }];
    let since = received.plus_millis(1);
    let cut = Cut { account, log: LogId::from_bytes([6; 32]), device, lasts, since };
    [
        sign(key, vote).into_bytes(),
        sign(key, DeviceRetire { account, base, device }).into_bytes(),
        sign(key, Checkpoint { account, base, devices }).into_bytes(),
        sign(&alice.recovery, seat).into_bytes(),
        sign(key, cut).into_bytes(),
        sign(key, MovedTo { account, base, to }).into_bytes(),
        sign(key, absorbs).into_bytes(),
    ]
    .map(<[u8]>::into_vec)
}

fn entries() -> Vec<Vec<u8>> {
    let log = LogId::direct(CAST.alice.id(), CAST.bob.id());
    let rows = rows_of(&SETTING.alice, log);
    assert!(rows.len() > 2, "they have talked");
    rows.into_iter().map(|row| row.envelope.into_vec()).collect()
}

fn frontiers() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for bytes in SETTING.genuine.iter().rev() {
        if let Ok(Some(Frame::Frontiers { frontiers, .. })) = Frame::decode(bytes) {
            found.extend(frontiers.into_iter().map(<[u8]>::into_vec));
        }
    }
    found.truncate(3);
    found
}

fn request() -> Vec<u8> {
    let request = ContactRequest {
        to_account: CAST.alice.id(),
        to_device: CAST.alice.devices[0].device(),
        transport: [1; 38].into(),
        audience: [2; 38].into(),
        proof: CAST.bob.account.proof().to_vec(),
        name: "Bob".to_owned(),
        greeting: "hello".to_owned(),
        addresses: vec!["/ip4/127.0.0.1/udp/4001/quic-v1".to_owned()],
        absorbed: vec![],
    };
    sign(&CAST.bob.devices[0], request).into_bytes().into_vec()
}

/// Additions and lists, a dispute, a quorum, forks of lists and of seats, wrong ones, merges, a real
/// proof.
fn accounts() -> Vec<Vec<u8>> {
    let seat = |epoch, devices, dropped| [8, epoch, devices, dropped, 0];
    let add = |by, new, flaws, base| [1, by, new, flaws, base];
    let vote = |by, about, base| [2, by, about, 1, base];
    let retire = |by, base| [3, by, by, 0, base];
    let list = |by, devices, base| [4, by, devices, 0, base];
    let settled = [seat(0, 1, 0), add(0, 1, 0, 0), list(0, 3, 0), add(1, 2, 0, 1), list(0, 7, 1)];
    let settled = [settled.as_flattened(), list(1, 7, 1).as_slice(), &retire(2, 2)].concat();
    let dispute = [seat(0, 7, 0), add(2, 3, 0, 0), vote(2, 0, 0), vote(0, 2, 0), vote(1, 2, 0)];
    let lists = [seat(0, 7, 0), list(0, 5, 0), list(2, 5, 0), list(1, 6, 0), list(2, 6, 0)];
    let seats = [seat(0, 3, 0), seat(1, 1, 2), vote(0, 1, 1), seat(1, 2, 1), seat(2, 1, 6)];
    let wrong =
        [seat(0, 3, 0), add(0, 2, 1, 0), add(0, 3, 2, 0), add(0, 4, 4, 0), add(0, 5, 24, 0)];
    let moves = |by, to, base| [5, by, 0, to, base];
    let absorbs = |by, from, devices, base| [6, by, devices, from, base];
    let ack = |by, new, flaws| [7, by, new, flaws, 0];
    let taken = [
        seat(0, 3, 0),
        absorbs(0, 1, 0x1c, 0),
        ack(0, 2, 0),
        ack(0, 3, 1),
        ack(0, 4, 4),
        ack(1, 4, 0),
        absorbs(1, 2, 0x30, 0),
        list(0, 7, 0),
        list(1, 7, 0),
        moves(0, 1, 1),
        moves(1, 1, 1),
        moves(2, 2, 1),
        moves(0, 3, 1),
        moves(3, 0, 1),
    ];
    let moved =
        [seat(0, 1, 0), moves(0, 1, 0), moves(0, 2, 0), moves(255, 3, 0), absorbs(0, 1, 0, 0)];
    let mut real = Vec::new();
    for envelope in CAST.alice.account.proof() {
        real.push(0);
        let length = u16::try_from(envelope.len()).expect("an envelope is short");
        real.extend_from_slice(&length.to_be_bytes());
        real.extend_from_slice(envelope);
    }
    let mut seeds = vec![settled];
    seeds.extend([dispute, lists, seats, wrong, moved].map(|run| run.as_flattened().to_vec()));
    seeds.push(taken.as_flattened().to_vec());
    // Without the genesis in front, which the real proof brings.
    seeds.push([&[255], real.as_slice()].concat());
    seeds
}

fn codec() -> Vec<Vec<u8>> {
    let mut writer = Writer::new();
    let steps = [0, 1, 2, 3, 4, 6, 9];
    writer.uint(1000).int(-70_000).bool(true).bytes(&[7; 30]).text("tekst");
    writer.array(3).uint(1).uint(1 << 40).uint(24).map(2).uint(0).uint(5).uint(1).int(-1);
    let script = [&[2, 7], steps.as_slice(), &writer.finish()].concat();
    let rest = [2, 3, 5, 7, 8, 0x44, 1, 2, 3, 4, 0x82, 0x18, 0x20, 0xf4, 0xd2, 0x19, 1, 0];
    let map = extended(&[0xa0]);
    let deep = [0x81, 0x81, 0x82, 0x01, 0x38, 0x63];
    vec![script, rest.to_vec(), [&[0], map.as_slice()].concat(), [&[1], deep.as_slice()].concat()]
}

fn frames() -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> =
        SETTING.genuine.iter().chain(&SETTING.greeting).cloned().collect();
    for bytes in &mut frames {
        // One tag says as much as 64.
        if let Ok(Some(Frame::Hello { tags })) = Frame::decode(bytes) {
            *bytes = Frame::Hello { tags: tags.into_iter().take(2).collect() }.encode();
        }
    }
    frames.extend(later_frames());
    frames.push(vec![0x82, 0x18, 0xc8, 0xa0]);
    frames.push(vec![0x82, 0x03, 0xa2, 0x00, 0x41, 0x01, 0x18, 0x80, 0xf5]);
    frames
}

fn texts() -> Vec<Vec<u8>> {
    let reply_to = Some(EntryId::from_bytes([3; 32]));
    let plain = Text { text: "Grüezi".to_owned(), reply_to: None }.encode([1; 16]);
    let answer = Text { text: "ok".to_owned(), reply_to }.encode([2; 16]);
    let later = [&[3; 16], extended(&answer[16..]).as_slice()].concat();
    vec![plain, answer, later]
}

fn mark(n: u8) -> Mark {
    let device = CAST.bob.devices[usize::from(n & 1)].device();
    Mark { device, seq: u64::from(n), id: EntryId::from_bytes([n; 32]) }
}

fn marks() -> Vec<Mark> {
    let mut marks = vec![mark(1), mark(2), mark(4)];
    marks.sort_unstable();
    marks
}

fn clear() -> Vec<u8> {
    let log = LogId::direct(CAST.alice.id(), CAST.bob.id());
    let clear = Clear { account: CAST.alice.id(), log, through: marks() };
    sign(&CAST.alice.authorities[0], clear).into_bytes().into_vec()
}

fn queue() -> QueueAddress {
    let url = MailboxUrl::parse("https://mail.example.org").expect("the address of a server");
    QueueAddress { url, seed: QueueSeed::from_bytes([6; 32]), days: Days::Seven }
}

/// The messages with which Alice's tablet joined.
fn linking() -> [Vec<u8>; 3] {
    let (alice, tablet) = (&CAST.alice, &CAST.alice.devices[1]);
    let authority = alice.authorities[1].public();
    let join = JoinRequest {
        token: [1; 16],
        commitment: commitment(&[2; 32], tablet.device(), authority),
        name: "tablet".to_owned(),
        reply: Some(queue()),
    };
    let join = sign(tablet, join).into_bytes();
    let offer = LinkOffer {
        account: alice.id(),
        inviter: *alice.authorities[0].public(),
        nonce: [3; 32],
        proof: alice.account.proof()[..2].to_vec(),
        request: crypto::hash_plain(&join),
    };
    let offer = sign(&alice.devices[0], offer).into_bytes();
    let inviter = *alice.authorities[0].public();
    let ack = acknowledge(tablet, inviter, *authority, [3; 32], alice.id());
    let acknowledgement = ack.into_bytes();
    let accept =
        sign(tablet, LinkAccept { opening: [2; 32], acknowledgement, brings: vec![] }).into_bytes();
    [join, offer, accept].map(<[u8]>::into_vec)
}

/// One of each kind with its number in front, some with extensions.
fn own_bodies() -> Vec<Vec<u8>> {
    let (account, log) = (CAST.bob.id(), LogId::direct(CAST.alice.id(), CAST.bob.id()));
    let note = ContactNote {
        account,
        proof: CAST.bob.account.proof()[..2].to_vec(),
        name: Some("Bob".to_owned()),
        status: Some(2),
        greeting: Some("hello".to_owned()),
        validity: Some(1),
        replaces: vec![EntryId::from_bytes([3; 32])],
    };
    let QueueAddress { url, days, .. } = queue();
    let mailbox = MailboxSetting { url, days, access: "word".to_owned() };
    let bodies = [
        Own::Contact(Box::new(note)),
        Own::Contact(Box::new(ContactNote::about(account))),
        Own::Read { log, marks: marks() },
        Own::Delete { log, entries: marks() },
        Own::Clear { clear: clear().into() },
        Own::Setting(Setting::Name("Alice".to_owned())),
        Own::Setting(Setting::ReadReceipts(true)),
        Own::Draft { log, text: "Dear Bob".to_owned() },
        Own::DeviceName { device: CAST.alice.devices[1].device(), name: "tablet".to_owned() },
        Own::Setting(Setting::Mailboxes(vec![mailbox])),
        Own::Setting(Setting::Findable(false)),
        Own::Setting(Setting::RelayOnly(true)),
        Own::Setting(Setting::Bootstraps(bootstraps())),
    ];
    let mut seeds = Vec::new();
    for own in bodies {
        let body = own.encode([4; 16]);
        let kind = own.kind().0;
        let (salt, content) = body.split_at(16);
        seeds.push([&[kind], body.as_slice()].concat());
        seeds.push([&[kind], salt, extended(content).as_slice()].concat());
    }
    seeds
}

fn link_codes() -> Vec<Vec<u8>> {
    let code = LinkCode {
        key: CAST.alice.devices[0].device(),
        token: [5; 16],
        addresses: vec!["/ip4/127.0.0.1/tcp/4001".to_owned()],
        mail: Some(CodeMail { queue: queue(), access: "word".to_owned() }),
    };
    let text = code.encode();
    let (_, content) = text.split_once(':').expect("a prefix in front");
    let content = data_encoding::BASE64URL_NOPAD.decode(content.as_bytes()).expect("base64url");
    vec![
        [&[0], text.as_bytes()].concat(),
        [&[1], content.as_slice()].concat(),
        [&[1], extended(&content).as_slice()].concat(),
    ]
}

/// Frames 6 to 17, each as a seed of its own.
fn later_frames() -> Vec<Vec<u8>> {
    let log = LogId::direct(CAST.alice.id(), CAST.bob.id());
    let [join, offer, accept] = linking().map(Vec::into_boxed_slice);
    let device = CAST.bob.devices[0].device();
    let addresses = vec!["/ip4/127.0.0.1/tcp/4001".to_owned()];
    let frames = [
        Frame::Accounts { proofs: vec![CAST.bob.account.proof()[..2].to_vec(), Vec::new()] },
        Frame::AccountHeads { heads: vec![(CAST.bob.id(), CAST.bob.account.head())] },
        Frame::Want { log, entries: marks() },
        Frame::Join { sealed: join },
        Frame::Offer { sealed: offer },
        Frame::Accept { sealed: accept },
        Frame::Hints { devices: vec![(device, addresses)] },
        Frame::Packages { packages: vec![vec![7; 2700].into()] },
        Frame::Seek { tokens: vec![[1; 32]] },
        Frame::Records { records: vec![vec![7; 955].into()] },
        Frame::Who { proof: [2; 32] },
        Frame::Card { sealed: vec![7; 500].into() },
    ];
    frames.iter().map(Frame::encode).collect()
}

fn strings() -> Vec<Vec<u8>> {
    let text = SharedId::of(&CAST.alice.account).encode();
    let symbols: Vec<u8> = text[5..84]
        .bytes()
        .map(|c| b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".iter().position(|s| *s == c).unwrap_or(0))
        .map(|symbol| u8::try_from(symbol).expect("five bits"))
        .collect();
    vec![
        [&[0], text.as_bytes()].concat(),
        [&[0], text.to_uppercase().as_bytes()].concat(),
        [&[1], symbols.as_slice()].concat(),
    ]
}

fn links() -> Vec<Vec<u8>> {
    let card = ContactCard {
        account: CAST.bob.account.clone(),
        name: "Bob".to_owned(),
        addresses: vec!["/ip4/127.0.0.1/tcp/4001".to_owned()],
        knocks: Vec::new(),
    };
    let link = card.encode();
    let (_, content) = link.split_once('#').expect("a link has two parts");
    let content = data_encoding::BASE64URL_NOPAD.decode(content.as_bytes()).expect("base64url");
    vec![
        [&[0], link.as_bytes()].concat(),
        [&[1], content.as_slice()].concat(),
        [&[1], extended(&content).as_slice()].concat(),
    ]
}

fn bootstraps() -> Vec<String> {
    vec!["/dnsaddr/boot.example.org".to_owned()]
}
