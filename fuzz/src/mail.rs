//! Does everything about mail have one form: letters and what is around them, requests to a
//! mailbox-server and its replies, what a device keeps that joins by mail? What is for MLS must be
//! refused without a crash.

use core::fmt::Debug;

use kith_common::{
    codec::DecodeError,
    limits::BODY_SALT_BYTES,
    mail::{Announcement, Letter, MailboxUrl, Sealed},
    service::{
        Failure,
        mailbox::{
            Close, Done, Fetch, Fetched, Open, Opened, Put, PutBody, Standing, Status, Stored, live,
        },
    },
};
use kith_core::{
    linking::MailJoiner,
    mls::{self, PackageSecret, Receiving, Sending},
};

use crate::{cast::CAST, cbor::Value, engine::setting::START, envelope::envelope};

/// The first byte says what is read.
pub(crate) fn mail(data: &[u8]) {
    match data.split_first() {
        Some((0, bytes)) => one_form(bytes, Letter::decode, Letter::encode),
        Some((1, bytes)) => one_form(bytes, Sealed::decode, Sealed::encode),
        Some((2, body)) => announcement(body),
        Some((_, text)) => url(&String::from_utf8_lossy(text)),
        None => {}
    }
}

/// The first byte says what is read.
pub(crate) fn service(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind {
        0 => envelope::<Open>(bytes),
        1 => envelope::<Put>(bytes),
        2 => envelope::<Fetch>(bytes),
        3 => envelope::<Status>(bytes),
        4 => envelope::<Close>(bytes),
        5 => one_form(bytes, Opened::decode, Opened::encode),
        6 => one_form(bytes, Stored::decode, Stored::encode),
        7 => one_form(bytes, Fetched::decode, Fetched::encode),
        8 => one_form(bytes, Standing::decode, Standing::encode),
        9 => one_form(bytes, Done::decode, |done| done.encode()),
        10 => failure(bytes),
        11 => put_body(bytes),
        _ => over_a_socket(bytes),
    }
}

/// The first byte says what is read.
pub(crate) fn for_mls(data: &[u8]) {
    let (me, other) = (&CAST.alice.devices[0], CAST.bob.devices[0].device());
    match data.split_first() {
        Some((0, bytes)) => drop(mls::check_package(me, bytes, other, START)),
        Some((1, bytes)) => drop(mls::welcome_package(bytes)),
        Some((2, bytes)) => drop(mls::group_of(bytes)),
        Some((3, bytes)) => {
            if let Ok(state) = Sending::from_bytes(bytes) {
                assert_eq!(state.to_bytes().as_slice(), bytes);
            }
        }
        Some((4, bytes)) => {
            if let Ok(state) = Receiving::from_bytes(bytes) {
                assert_eq!(state.to_bytes().as_slice(), bytes);
            }
        }
        Some((_, bytes)) => drop(PackageSecret::from_bytes(bytes)),
        None => {}
    }
}

/// What is kept while a device joins by mail: our own, yet a damaged one must end in an error.
pub(crate) fn joining(data: &[u8]) {
    let Ok(joiner) = MailJoiner::load(data) else { return };
    let saved = joiner.save().expect("what was kept can be kept");
    let again = MailJoiner::load(&saved).expect("what was saved can be read");
    assert_eq!(again.save().expect("what was kept can be kept"), saved);
    assert_eq!(again.check(), joiner.check());
}

fn one_form<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    let Ok(read) = decode(bytes) else { return };
    let encoded = encode(&read);
    let known = Value::parse(bytes).expect("it is in the one allowed form");
    assert_eq!(encoded, known.without_extensions().encode());
    assert_eq!(decode(&encoded), Ok(read));
}

fn announcement(body: &[u8]) {
    let Ok(said) = Announcement::decode(body) else { return };
    let (salt, content) = body.split_at(BODY_SALT_BYTES);
    let encoded = said.encode(salt.try_into().expect("a salt in front"));
    let known = Value::parse(content).expect("a body is in the one allowed form");
    assert_eq!(encoded[BODY_SALT_BYTES..], known.without_extensions().encode());
    assert_eq!(Announcement::decode(&encoded), Ok(said));
}

fn url(text: &str) {
    let Ok(url) = MailboxUrl::parse(text) else { return };
    assert_eq!(url.as_str(), text, "an address has one spelling");
    assert!(text.ends_with(url.audience()));
}

/// A sentence may be any text.
fn failure(bytes: &[u8]) {
    one_form(bytes, Failure::decode, Failure::encode);
}

fn put_body(bytes: &[u8]) {
    let Ok(body) = PutBody::decode(bytes) else { return };
    assert_eq!(body.encode(), bytes);
}

fn over_a_socket(bytes: &[u8]) {
    if let Ok((operation, body)) = live::asked(bytes) {
        assert_eq!(live::ask(operation, body), bytes);
    }
    if let Ok(answer) = live::Answer::decode(bytes) {
        let again = answer.encode();
        assert_eq!(live::Answer::decode(&again), Ok(answer));
    }
}

/// Seeds of the targets here.
pub mod seeds {
    use kith_common::{
        envelope::{Payload, sign},
        ids::EntryId,
        linking::{CodeMail, LinkCode},
        mail::{Card, QueueAddress},
        service::{
            Code, Stamp,
            mailbox::{Days, Incarnation, Item},
        },
    };
    use kith_core::limits::PACKAGE_MS;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    fn numbered(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number], bytes].concat()
    }

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::from_seed([9; 32])
    }

    /// For `mail`.
    pub fn mail(queue: &QueueAddress) -> Vec<Vec<u8>> {
        let [alice, bob] = [&CAST.alice, &CAST.bob].map(|it| (it.id(), it.devices[0].device()));
        let letter = Letter {
            from: alice,
            to: bob,
            frames: vec![vec![0x82, 3, 0xa0].into()],
            packages: vec![vec![7; 40].into()],
            joined: vec![vec![8; 16].into()],
            heard: Some(EntryId::from_bytes([4; 32])),
            reply: vec![queue.clone()],
            told: Some(EntryId::from_bytes([5; 32])),
        };
        let short = Letter { heard: None, reply: vec![], told: None, ..letter.clone() };
        let sealed = |welcome| Sealed { welcome, message: vec![5; 30].into() }.encode();
        let said = |queues| Announcement { queues }.encode([3; 16]);
        vec![
            numbered(0, &letter.encode()),
            numbered(0, &short.encode()),
            numbered(1, &sealed(None)),
            numbered(1, &sealed(Some(vec![6; 20].into()))),
            numbered(2, &said(vec![queue.clone()])),
            numbered(2, &said(vec![])),
            numbered(3, b"https://mail.example.org"),
            numbered(3, b"http://192.168.1.5:8448"),
            numbered(3, b"https://[2001:db8::1]:8448"),
        ]
    }

    fn stamp() -> Stamp {
        Stamp { audience: "mail.example.org".to_owned(), time: START, nonce: [1; 16] }
    }

    fn request<T: Payload>(number: u8, request: T) -> Vec<u8> {
        let envelope = sign(&CAST.alice.devices[0], request);
        numbered(number, &numbered(0, envelope.bytes()))
    }

    /// For `service`.
    pub fn service(queue: &QueueAddress) -> Vec<Vec<u8>> {
        let incarnation = Incarnation::from_bytes([2; 16]);
        let card = Card { package: vec![7; 40].into() };
        let card: Box<[u8]> = queue.seed.seal_card(&card, &mut rng()).into();
        let open = Open {
            stamp: stamp(),
            writer: [3; 32],
            days: Days::One,
            blobs_max: 20,
            bytes_max: 1 << 20,
            card: Some(card.clone()),
            access: Some("word".to_owned()),
        };
        let items = vec![
            Item { number: 7, blob: Some(vec![4; 4096].into()) },
            Item { number: 9, blob: None },
        ];
        let body = PutBody::signed(&CAST.alice.devices[0], stamp(), &[4; 4096]);
        let standing = Standing { incarnation, days: Days::Seven, card: Some(card) };
        let fetched = Fetched { incarnation, items, more: false };
        vec![
            request(0, open),
            request(1, Put { stamp: stamp(), hash: [5; 32] }),
            request(2, Fetch { stamp: stamp(), delete: vec![1, 5], wait_ms: 50_000 }),
            request(3, Status { stamp: stamp() }),
            request(4, Close { stamp: stamp() }),
            numbered(7, &fetched.encode()),
            numbered(8, &standing.encode()),
            numbered(9, &Done.encode()),
            numbered(10, &Failure::with(Code::Stale, 1 << 40).encode()),
            numbered(11, &body),
            numbered(12, &live::ask(kith_common::service::mailbox::Operation::Put, &body)),
            numbered(12, &live::Answer::News.encode()),
        ]
    }

    /// For `mls`.
    pub fn for_mls() -> Vec<Vec<u8>> {
        let (alice, bob) = (&CAST.alice.devices[0], &CAST.bob.devices[0]);
        let package = mls::make_package(bob, START, PACKAGE_MS, false, &mut rng());
        let package = package.expect("a package is made");
        let checked = mls::check_package(alice, &package.public, bob.device(), START);
        let begun = Sending::begin(alice, checked.expect("it is right"), START, &mut rng());
        let (mut sending, welcome) = begun.expect("a group begins");
        let message = sending.seal(alice, b"hello", &mut rng()).expect("it is sealed");
        let joined = mls::join(bob, &package.secret, &welcome, None, START);
        let (receiving, _) = joined.expect("it is joined");
        let secret = package.secret.to_bytes().expect("it can be written");
        vec![
            numbered(0, &package.public),
            numbered(1, &welcome),
            numbered(2, &message),
            numbered(3, &sending.to_bytes()),
            numbered(4, &receiving.to_bytes()),
            numbered(5, &secret),
        ]
    }

    /// For `joining`.
    pub fn joining(queue: &QueueAddress) -> Vec<Vec<u8>> {
        let code = LinkCode {
            key: CAST.alice.devices[0].device(),
            token: [5; 16],
            addresses: vec![],
            mail: Some(CodeMail { queue: queue.clone(), access: "word".to_owned() }),
        };
        let joiner = MailJoiner::new(code, "tablet", None, START, &mut rng());
        let saved = joiner.expect("the code is by mail").save().expect("it can be kept");
        vec![saved.to_vec()]
    }
}
