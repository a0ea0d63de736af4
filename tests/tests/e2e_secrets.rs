//! What was said, by whom and with which keys stands neither in a log nor readable in a home.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::path::{Path, PathBuf};

use kith::home::{self, Passphrase};
use kith_tests::process::{PATIENCE, Person, Setup, Transport, free_port};
use serde_json::Value;

const PASSPHRASE: &str = "seventeen silver swans";
const TEXTS: [&str; 3] =
    ["The heron stands in the reeds.", "Ein Reiher? Wo?", "\u{1f9a2} behind the mill"];
const GREETING: &str = "We met at the lighthouse";

/// Something that may stand nowhere, and what it is.
struct Needle {
    what: String,
    bytes: Vec<u8>,
}

fn needle(what: &str, bytes: impl AsRef<[u8]>) -> Needle {
    let bytes = bytes.as_ref().to_vec();
    assert!(bytes.len() >= 4, "{what} is too short to be found by chance only");
    Needle { what: what.to_owned(), bytes }
}

/// A key as bytes and in the ways in which it might be written.
fn key_needles(what: &str, key: &[u8]) -> Vec<Needle> {
    use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};

    // A list of numbers is what a derived `Debug` makes of it.
    let list = format!("{key:?}");
    vec![
        needle(what, key),
        needle(what, HEXLOWER.encode(key)),
        needle(what, HEXLOWER.encode(key).to_uppercase()),
        needle(what, BASE64URL_NOPAD.encode(key)),
        needle(what, BASE64.encode(key).trim_end_matches('=')),
        needle(what, list.trim_matches(['[', ']'])),
    ]
}

fn found<'n>(haystack: &[u8], needles: &'n [Needle]) -> Vec<&'n str> {
    let is_in = |needle: &&Needle| haystack.windows(needle.bytes.len()).any(|w| w == needle.bytes);
    needles.iter().filter(is_in).map(|needle| needle.what.as_str()).collect()
}

/// Keys that only this person's home may hold, sealed.
fn keys_of(person: &Person) -> Vec<Needle> {
    let passphrase = || Passphrase::Given(PASSPHRASE.to_owned().into());
    let keys = home::unlock(&person.home(), &passphrase()).unwrap();
    let authority = home::authority(&person.home(), &passphrase()).unwrap();
    let mut needles = Vec::new();
    keys.device.expose_seed(|seed| needles.extend(key_needles("the device's key", seed)));
    authority.expose_seed(|seed| needles.extend(key_needles("the authority's key", seed)));
    keys.master.expose(|master| needles.extend(key_needles("the master key", master)));
    let words: Vec<&str> = person.init["recovery_words"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    needles.extend(words.windows(2).map(|pair| needle("recovery words", pair.join(" "))));
    needles.push(needle("the passphrase", PASSPHRASE));
    needles
}

/// What programs and the page get in with; new with every start.
fn access_of(person: &Person) -> Vec<Needle> {
    let ready = &person.node().ready;
    let token = ready["web"].as_str().unwrap().split_once("#t=").unwrap().1;
    let mut needles = vec![needle("the page's token", token)];
    for (what, text) in [("the programs' key", &person.api().key), ("a token", &token.to_owned())] {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        needles.extend(key_needles(what, &bytes));
    }
    needles
}

/// Who talks, where, and what is said.
fn talk_of(people: &[&Person]) -> Vec<Needle> {
    let mut needles: Vec<Needle> = TEXTS.iter().map(|text| needle("a text", text)).collect();
    needles.push(needle("the greeting", GREETING));
    for person in people {
        needles.push(needle("a name", &person.name));
        let account = person.init["account"].as_str().unwrap();
        needles.push(needle("an account", &account[..16]));
    }
    needles
}

fn addresses_of(people: &[&Person], ports: &[u16]) -> Vec<Needle> {
    let own = people.iter().map(|person| person.port());
    let ports = own.chain(ports.iter().copied());
    // Bare, the digits could be a fraction of a second.
    let ports = ports.flat_map(|port| [' ', ':', '/', '='].map(|before| format!("{before}{port}")));
    let ports = ports.map(|port| needle("a port", port));
    let hosts = ["127.0.0.1", "/ip4/"].map(|host| needle("an address", host));
    hosts.into_iter().chain(ports).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Fails if a file of the home holds any of this; `api.json` has its own key and address.
fn home_hides(person: &Person, needles: &[Needle]) {
    let files = files(&person.home());
    assert!(files.len() >= 2, "keys and database at least");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        if file.ends_with("api.json") {
            continue;
        }
        assert_eq!(found(&bytes, needles), [""; 0], "in {}", file.display());
    }
}

/// A talk with everything that could be told: refusals, a kill, a restart, reads and a reply.
fn talk(alice: &mut Person, bob: &mut Person) -> Vec<Needle> {
    let mut access = [access_of(alice), access_of(bob)].into_iter().flatten().collect::<Vec<_>>();
    bob.asks(alice, GREETING);
    alice.kith(&["contact", "accept", &bob.name]).json();
    alice.meets(bob);
    alice.kith(&["settings", "--read-receipts", "on"]).json();
    let first = bob.says(alice, TEXTS[0]);
    alice.agrees(bob, 1, PATIENCE);
    alice.api().send(&bob.name, TEXTS[1], Some(&first)).unwrap();
    alice.kith(&["read", &bob.name]).json();
    alice.agrees(bob, 2, PATIENCE);
    alice.kith(&["send", &alice.name, TEXTS[1]]).refusal(1);
    alice.kith(&["contact", "add", TEXTS[1]]).refusal(1);
    alice.kith(&["web"]).json();
    bob.kill();
    bob.up();
    alice.meets(bob);
    access.extend(access_of(bob));
    bob.says(alice, TEXTS[2]);
    alice.agrees(bob, 3, PATIENCE);
    access
}

#[test]
fn neither_log_nor_home_tells() {
    let quic = free_port();
    let with = |arguments: &[String]| Setup {
        passphrase: Some(PASSPHRASE.into()),
        arguments: arguments.to_vec(),
        log: "trace",
        ..Setup::default()
    };
    let mut alice = Person::start_with("Zebedee-Quillfeather", with(&[]));
    let arguments = ["--listen".to_owned(), Transport::Quic.address(quic)];
    let mut bob = Person::start_with("Ottoline Marchbanks", with(&arguments));
    let access = talk(&mut alice, &mut bob);
    let keys = [keys_of(&alice), keys_of(&bob)].into_iter().flatten().collect::<Vec<_>>();
    let people = talk_of(&[&alice, &bob]);
    let addresses = addresses_of(&[&alice, &bob], &[quic]);

    // While the nodes run, after one was killed, and after one ended in order.
    for person in [&alice, &bob] {
        let shown = std::fs::read(person.home().join("api.json")).unwrap();
        assert!(!found(&shown, &access).is_empty(), "where something stands it is found");
        for needles in [&access, &keys, &people, &addresses] {
            home_hides(person, needles);
        }
    }
    alice.kill();
    bob.down();
    for person in [&alice, &bob] {
        for needles in [&access, &keys, &people, &addresses] {
            home_hides(person, needles);
        }
        let log = person.log();
        assert!(log.contains(" TRACE ") || log.contains(" DEBUG "), "the log tells something");
        for needles in [&access, &keys, &people, &addresses] {
            assert_eq!(found(log.as_bytes(), needles), [""; 0], "in a log of\n{log}");
        }
    }
}

#[test]
fn a_needle_is_found_where_it_is() {
    let needles = key_needles("a key", &[7; 32]);
    let stack = format!("{:?} {}", [7; 32], "07".repeat(32));
    assert_eq!(found(stack.as_bytes(), &needles).len(), 2 + 1, "as list and twice as hex");
    assert_eq!(found(b"7, 7", &needles), [""; 0]);
}
