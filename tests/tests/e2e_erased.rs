//! What was deleted is in no file of the home, comes back from nobody, and is still the other's.

#![expect(clippy::unwrap_used, reason = "tests and their helpers fail by panicking")]

use std::{collections::BTreeSet, path::Path};

use kith::{
    home::{self, Passphrase},
    sqlite::SqliteStore,
};
use kith_tests::{
    past,
    process::{PATIENCE, Person, until},
};

/// As short as a piece of a sealed row may be that is looked for.
const PIECE_BYTES: usize = 16;

fn texts(person: &Person, with: &str) -> Vec<String> {
    person.api().history(with).into_iter().map(|message| message.text).collect()
}

#[track_caller]
fn shows(person: &Person, with: &str, wanted: &[String]) {
    until(&format!("{} shows {wanted:?}", person.name), PATIENCE, || {
        (texts(person, with) == wanted).then_some(())
    });
}

fn files(home: &Path) -> Vec<(String, Vec<u8>)> {
    let file =
        |path: std::path::PathBuf| (path.display().to_string(), std::fs::read(&path).unwrap());
    home.read_dir().unwrap().map(|entry| file(entry.unwrap().path())).collect()
}

/// The sealed rows of a home whose node does not run.
fn sealed(home: &Path) -> BTreeSet<Vec<u8>> {
    let connection = rusqlite::Connection::open(home::database(home)).unwrap();
    let mut statement = connection.prepare("SELECT sealed FROM entries").unwrap();
    let rows = statement.query_map((), |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Everything that a home holds, opened with its master key.
fn opened(home: &Path) -> Vec<Vec<u8>> {
    let keys = home::unlock(home, &Passphrase::None).unwrap();
    let store = SqliteStore::open(&home::database(home), &keys.master).unwrap();
    let mut all = past::records(&store);
    for row in past::rows(&store).into_iter().flatten() {
        all.push(row.envelope.into());
        all.extend(row.body.into_bytes().map(Into::into));
    }
    all
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// How many places in the files of a home hold a piece of these rows.
fn found(home: &Path, rows: &BTreeSet<Vec<u8>>) -> usize {
    let pieces: BTreeSet<&[u8]> = rows.iter().flat_map(|row| row.windows(PIECE_BYTES)).collect();
    let places = |bytes: &[u8]| bytes.windows(PIECE_BYTES).filter(|w| pieces.contains(w)).count();
    files(home).iter().map(|(_, bytes)| places(bytes)).sum()
}

/// Stops the node and looks for what is to be gone: the rows as they lay there, and the texts in
/// whatever the master key opens and in every file.
#[track_caller]
fn gone_from(person: &mut Person, before: &BTreeSet<Vec<u8>>, texts: &[String]) {
    if person.is_up() {
        person.down();
    }
    let home = person.home();
    let now = sealed(&home);
    let gone: BTreeSet<Vec<u8>> = before.difference(&now).cloned().collect();
    assert!(gone.len() >= texts.len(), "{} rows are other ones", gone.len());
    assert_eq!(found(&home, &gone), 0, "nothing of the sealed rows is left");
    assert!(found(&home, &now) > 0, "the search finds what is there");
    let opened = opened(&home);
    assert!(opened.len() > 10, "the key opens the home");
    for text in texts {
        assert!(!opened.iter().any(|value| holds(value, text.as_bytes())), "{text} can be opened");
        for (name, bytes) in files(&home) {
            assert!(!holds(&bytes, text.as_bytes()), "{text} is in {name}");
        }
        assert!(!person.log().contains(text), "{text} is in the log");
    }
}

#[test]
fn deleted_texts_are_nowhere_and_stay_so() {
    let (mut alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    alice.befriends(&bob);
    let mut tablet = alice.gets("tablet");
    let (mut said, mut ids) = (Vec::new(), Vec::new());
    for number in 0..8 {
        for (from, to) in [(&alice, &bob), (&bob, &alice)] {
            let text = format!("a herring of {} with the number {number}", from.name);
            ids.push(from.says(to, &text));
            let id = ids.last().unwrap();
            let there = || alice.api().has("Bob", id) && bob.api().has("Alice", id);
            until("both have it", PATIENCE, || there().then_some(()));
            said.push(text);
        }
    }
    shows(&tablet, "Bob", &said);
    tablet.down();
    let tablets = sealed(&tablet.home());

    alice.down();
    let mut before = sealed(&alice.home());
    alice.up();
    let mut left = said.clone();
    let mut deleted = Vec::new();
    let time = alice.kith(&["history", "Bob"]).json()[8]["sent_at"].as_str().unwrap().to_owned();
    let steps: [(&[&str], std::ops::Range<usize>); 4] = [
        (&[&ids[10]], 10..11),
        (&[&ids[13]], 12..13),
        (&["--before", &time], 0..8),
        (&["--all"], 0..6),
    ];
    for (what, range) in steps {
        let arguments: Vec<&str> = ["delete", "Bob"].iter().chain(what).copied().collect();
        alice.kith(&arguments).json();
        deleted.extend(left.drain(range));
        shows(&alice, "Bob", &left);
        gone_from(&mut alice, &before, &deleted);
        before.extend(sealed(&alice.home()));
        // Bob has all of it; whatever he offers, it does not come back.
        alice.up();
        alice.meets(&bob);
        let id = bob.says(&alice, "are you there?");
        until("they have synced", PATIENCE, || alice.api().has("Bob", &id).then_some(()));
        left.push("are you there?".to_owned());
        said.push("are you there?".to_owned());
        shows(&alice, "Bob", &left);
        if what[0] == "--all" {
            break;
        }
        alice.kith(&["delete", "Bob", &id]).json();
        left.pop();
    }
    assert_eq!(deleted.len(), 16);
    // The tablet has slept through all this, with everything in its database. It hides what was
    // deleted in bulk; the person does not wait for a day.
    tablet.up();
    shows(&tablet, "Bob", &left);
    tablet.kith(&["delete", "Bob", "--all"]).json();
    shows(&tablet, "Bob", &[]);
    gone_from(&mut tablet, &tablets, &deleted);
    shows(&alice, "Bob", &[]);
    gone_from(&mut alice, &before, &deleted);
    shows(&bob, "Alice", &said);
}
