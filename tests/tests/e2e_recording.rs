//! Somebody records a link, and later has a full copy of both homes with all their keys: what does
//! the recording tell? Nothing: the link's keys come from keys that existed for that link alone.
//!
//! Tried here: to find what was said, or any piece of an entry, in the recording; to open the Noise
//! handshake (XX: the first key comes from two ephemeral keys) with every key of both homes, in all
//! pairs as static and ephemeral key and from both ends; to open the frames behind it with these
//! keys as they are.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use kith::{
    home::{self, Passphrase},
    sqlite::SqliteStore,
};
use kith_common::share::ContactCard;
use kith_tests::{
    past,
    process::{PATIENCE, Person, Setup, Transport, until},
};
use libsodium_rs::{
    crypto_aead::chacha20poly1305_ietf::{Key, Nonce, decrypt},
    crypto_sign,
};
use serde_json::Value;

const PASSPHRASE: &str = "eleven idle eels";
const PATTERN: &str = "Noise_XX_25519_ChaChaPoly_SHA256";
/// The shortest piece of an entry that is looked for.
const PIECE_BYTES: usize = 16;
/// Larger than a frame of Noise can be.
const FRAME_BYTES_MAX: usize = 1 << 16;
/// Frames that are tried, and the counts that they might have.
const FRAMES_TRIED: usize = 16;

/// What went over a link: from who called, and back.
#[derive(Clone, Default)]
struct Recording([Arc<Mutex<Vec<u8>>>; 2]);

impl Recording {
    fn heard(&self, way: usize) -> Vec<u8> {
        self.0[way].lock().unwrap().clone()
    }
}

/// Carries one connection to a port and writes everything down; gives its own port.
fn recorded(port: u16) -> (u16, Recording) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let recording = Recording::default();
    let kept = recording.clone();
    std::thread::spawn(move || {
        let (caller, _) = listener.accept().unwrap();
        let called = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let back = (called.try_clone().unwrap(), caller.try_clone().unwrap());
        let [there, here] = kept.0;
        std::thread::spawn(move || carry(back.0, back.1, &here));
        carry(caller, called, &there);
    });
    (own, recording)
}

fn carry(mut from: TcpStream, mut to: TcpStream, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        kept.lock().unwrap().extend_from_slice(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// The frames of Noise behind the plain words with which a connection begins.
fn noise(recorded: &[u8]) -> Vec<Vec<u8>> {
    let word = b"/noise\n";
    let at = recorded.windows(word.len()).position(|window| window == word).unwrap();
    let (mut rest, mut frames) = (&recorded[at + word.len()..], Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let Some((frame, behind)) = behind.split_at_checked(u16::from_be_bytes(*length).into())
        else {
            break;
        };
        frames.push(frame.to_vec());
        rest = behind;
    }
    frames
}

/// All keys of a home, as they are and as keys of the exchange.
fn keys_of(person: &Person) -> Vec<[u8; 32]> {
    let given = || Passphrase::Given(PASSPHRASE.to_owned().into());
    let keys = home::unlock(&person.home(), &given()).unwrap();
    let words: Vec<&str> = person.init["recovery_words"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let authority = home::authority(&person.home(), &given()).unwrap();
    let recovery = home::recovery_key(&words.join(" ")).unwrap();
    let mut found = vec![keys.master.expose(|key| key.try_into().unwrap())];
    for key in [keys.device, authority, recovery] {
        let seed = key.expose_seed(|seed| <[u8; 32]>::try_from(&seed[..]).unwrap());
        let pair = crypto_sign::keypair_from_seed(&seed).unwrap();
        found.push(seed);
        found.push(crypto_sign::ed25519_sk_to_curve25519(&pair.secret_key).unwrap());
    }
    found
}

/// The three messages of a handshake.
struct Handshake([Vec<u8>; 3]);

impl Handshake {
    /// Whether one who has these keys opens what the other end said.
    fn opens(&self, fixed: &[u8; 32], ephemeral: &[u8; 32]) -> bool {
        let builder = || {
            snow::Builder::new(PATTERN.parse().unwrap())
                .local_private_key(fixed)
                .unwrap()
                .fixed_ephemeral_key_for_testing_only(ephemeral)
        };
        let (mut space, mut other) = (vec![0; FRAME_BYTES_MAX], vec![0; FRAME_BYTES_MAX]);
        let mut caller = builder().build_initiator().unwrap();
        caller.write_message(&[], &mut space).unwrap();
        let as_caller = caller.read_message(&self.0[1], &mut other).is_ok();
        let mut called = builder().build_responder().unwrap();
        called.read_message(&self.0[0], &mut space).unwrap();
        called.write_message(&[], &mut space).unwrap();
        as_caller || called.read_message(&self.0[2], &mut other).is_ok()
    }

    /// One between two ends whose keys are known.
    fn known(fixed: &[u8; 32], ephemeral: &[u8; 32]) -> Self {
        let builder = || snow::Builder::new(PATTERN.parse().unwrap());
        let caller = builder().local_private_key(fixed).unwrap();
        let caller = caller.fixed_ephemeral_key_for_testing_only(ephemeral);
        let mut caller = caller.build_initiator().unwrap();
        let mut called = builder().local_private_key(&[3; 32]).unwrap().build_responder().unwrap();
        let mut space = vec![0; FRAME_BYTES_MAX];
        let mut say = |from: &mut snow::HandshakeState, to: &mut snow::HandshakeState| {
            let length = from.write_message(&[], &mut space).unwrap();
            let said = space[..length].to_vec();
            to.read_message(&said, &mut space).unwrap();
            said
        };
        let first = say(&mut caller, &mut called);
        let second = say(&mut called, &mut caller);
        Self([first, second, say(&mut caller, &mut called)])
    }
}

/// A talk over a recorded link; both nodes have ended.
/// Talks of which one at least must go over the link that is recorded.
const TALKS_MAX: usize = 5;

fn talk() -> (Person, Person, Vec<String>, Recording) {
    let setup = || Setup { passphrase: Some(PASSPHRASE.to_owned()), ..Setup::default() };
    let mut alice = Person::start_with("Alice Nightingale", setup());
    let mut bob = Person::start_with("Bob Thistlethwaite", setup());
    let (port, recording) = recorded(alice.port());
    let mut card = ContactCard::decode(&alice.link()).unwrap();
    card.addresses = vec![Transport::Tcp.address(port)];
    bob.kith(&["contact", "add", &card.encode(), "--greeting", "It is me, Bob"]).json();
    alice.sees(&bob, "status", "pending");
    alice.kith(&["contact", "accept", &bob.name]).json();
    bob.sees(&alice, "status", "contact");
    alice.meets(&bob);
    let texts: Vec<String> =
        (0..20).map(|number| format!("secret number {number} of a long talk")).collect();
    for text in &texts {
        let id = alice.says(&bob, text);
        until("Bob has it", PATIENCE, || bob.api().has(&alice.name, &id).then_some(()));
    }
    for person in [&mut alice, &mut bob] {
        person.down();
    }
    (alice, bob, texts, recording)
}

fn pieces(person: &Person) -> BTreeSet<Vec<u8>> {
    let given = Passphrase::Given(PASSPHRASE.to_owned().into());
    let keys = home::unlock(&person.home(), &given).unwrap();
    let store = SqliteStore::open(&home::database(&person.home()), &keys.master).unwrap();
    let mut pieces = BTreeSet::new();
    for row in past::rows(&store).into_iter().flatten() {
        let body = row.body.into_bytes().unwrap_or_default();
        for bytes in [row.envelope, body] {
            pieces.extend(bytes.windows(PIECE_BYTES).map(<[u8]>::to_vec));
        }
    }
    pieces
}

#[test]
fn a_recording_is_not_opened_by_any_key_of_the_homes() {
    // Alice may dial Bob too, and of two links one stays.
    let (alice, bob, ways) = (0..TALKS_MAX)
        .map(|_| {
            let (alice, bob, texts, recording) = talk();
            let said: usize = texts.iter().map(String::len).sum();
            (alice, bob, [recording.heard(0), recording.heard(1)], said)
        })
        .find(|(.., ways, said)| ways[1].len() > said + 20 * 250)
        .map(|(alice, bob, ways, _)| (alice, bob, ways))
        .expect("one of some talks went over the recorded link");

    // Nothing readable, and no piece of an entry.
    let known: BTreeSet<Vec<u8>> = pieces(&alice).union(&pieces(&bob)).cloned().collect();
    assert!(known.len() > 5000, "there are entries to look for");
    for way in &ways {
        let found = way.windows(PIECE_BYTES).filter(|piece| known.contains(*piece)).count();
        assert_eq!(found, 0, "pieces of entries");
        let names = [&alice.name, &bob.name, "It is me", "secret number"];
        for text in names {
            let is_there = way.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!is_there, "{text} is readable");
        }
    }

    // The attempt succeeds where the keys of the link are known.
    let (fixed, ephemeral) = ([1; 32], [2; 32]);
    let open = Handshake::known(&fixed, &ephemeral);
    assert!(open.opens(&fixed, &ephemeral));
    assert!(open.opens(&[9; 32], &ephemeral), "the ephemeral key alone opens the first answer");
    assert!(!open.opens(&fixed, &[9; 32]));

    let [there, back] = [noise(&ways[0]), noise(&ways[1])];
    assert!(there.len() > 10 && back.len() > 20, "frames were recorded");
    assert_eq!(there[0].len(), 32, "a handshake begins with an ephemeral key");
    let handshake = Handshake([there[0].clone(), back[0].clone(), there[1].clone()]);
    let keys = [keys_of(&alice), keys_of(&bob)].concat();
    assert_eq!(keys.len(), 14);
    for fixed in &keys {
        for ephemeral in &keys {
            assert!(!handshake.opens(fixed, ephemeral), "a key of a home opens the handshake");
        }
    }
    let frames = there[2..].iter().take(FRAMES_TRIED).chain(back[1..].iter().take(FRAMES_TRIED));
    for frame in frames {
        for key in keys.iter().map(|key| Key::from_bytes(key).unwrap()) {
            for count in 0..FRAMES_TRIED as u64 {
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&count.to_le_bytes());
                let opened = decrypt(frame, None, &Nonce::from_bytes(nonce), &key);
                assert!(opened.is_err(), "a key of a home opens a frame");
            }
        }
    }
}
