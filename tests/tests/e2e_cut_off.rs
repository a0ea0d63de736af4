//! A device is stolen, wrongly accused or lost: locked, erased, refused by contacts, brought back.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests and their helpers fail by panicking"
)]

use kith_tests::process::{PATIENCE, Person, run, until};
use serde_json::{Value, json};

const REFUSED: i32 = 1;
const USAGE: i32 = 2;
const NOT_RUNNING: i32 = 3;

fn account(person: &Person) -> Value {
    person.api().get("/api/account").value()
}

/// How a device stands, as another one sees it.
fn standing(person: &Person, device: &Person) -> String {
    let devices = account(person)["devices"].clone();
    let found = devices.as_array().unwrap().iter().find(|d| d["device"] == device.device());
    found.map(|d| d["standing"].as_str().unwrap().to_owned()).unwrap_or_default()
}

#[track_caller]
fn stands(person: &Person, device: &Person, wanted: &str) {
    until(&format!("the device is {wanted}"), PATIENCE, || {
        (standing(person, device) == wanted).then_some(())
    });
}

fn texts(person: &Person, with: &str) -> Vec<String> {
    person.api().history(with).into_iter().map(|message| message.text).collect()
}

fn words(person: &Person) -> String {
    let words = person.init["recovery_words"].as_array().unwrap().iter();
    words.map(|word| word.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

/// What `kith run` says of a home that cannot run.
#[track_caller]
fn does_not_start(person: &Person, says: &str) {
    let refusal = run(person.run_command(), "").refusal(REFUSED);
    assert!(refusal.contains(says), "{refusal}");
}

fn files(person: &Person) -> Vec<String> {
    let entries = std::fs::read_dir(person.home()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn two_of_three_erase_the_third_and_contacts_refuse_it() {
    let (phone, bob) = (Person::start("Alice"), Person::start("Bob"));
    phone.befriends(&bob);
    let laptop = phone.gets("laptop");
    let mut stolen = phone.gets("stolen");
    for (one, other) in [(&phone, &stolen), (&laptop, &stolen), (&stolen, &phone)] {
        stands(one, other, if other.device() == stolen.device() { "added" } else { "settled" });
    }
    // Two decide: both must agree that three do.
    phone.kith(&["device", "settle"]).json();
    until("the laptop learns of the proposal", PATIENCE, || {
        (account(&laptop)["proposals"][0]["signed"] == json!([phone.device()])).then_some(())
    });
    laptop.kith(&["device", "settle"]).json();
    for person in [&phone, &laptop, &stolen] {
        stands(person, &stolen, "settled");
    }
    stolen.meets(&bob);
    stolen.says(&bob, "before the theft");
    for (person, with) in [(&bob, "Alice"), (&phone, "Bob"), (&laptop, "Bob")] {
        until("what was written before is there", PATIENCE, || {
            (texts(person, with) == ["before the theft"]).then_some(())
        });
    }

    // The thief writes where nobody hears it.
    let (mut phone, mut laptop, mut bob) = (phone, laptop, bob);
    for person in [&mut phone, &mut laptop, &mut bob] {
        person.down();
    }
    stolen.says(&bob, "from the thief");
    stolen.down();
    for person in [&mut phone, &mut laptop, &mut bob] {
        person.up();
    }
    phone.kith(&["device", "untrust", "stolen", "--stolen"]).json();
    stands(&laptop, &stolen, "former");
    let prefix = &stolen.device()[..8];
    laptop.kith(&["device", "untrust", prefix, "--stolen"]).json();
    until("it is out for good", PATIENCE, || {
        let devices = account(&phone)["devices"].clone();
        let found = devices.as_array()?.iter().find(|d| d["device"] == stolen.device())?.clone();
        (found["is_final"] == true && found["reason"] == "stolen").then_some(())
    });
    until("Bob knows", PATIENCE, || {
        let devices = bob.contact(&phone)["devices"].clone();
        (devices.as_array().map(Vec::len) == Some(2)).then_some(())
    });

    stolen.up();
    stolen.is_cut_off();
    assert!(stolen.log().contains("cut off from its account for good"), "{}", stolen.log());
    let left = files(&stolen);
    let secret = |name: &String| name.starts_with("keys") || name.starts_with("store.db");
    assert!(!left.iter().any(secret), "{left:?}");
    does_not_start(&stolen, "keys and messages were erased");
    let said = phone.says(&bob, "it was stolen");
    until("Bob has it", PATIENCE, || bob.api().has("Alice", &said).then_some(()));
    for (person, with) in [(&bob, "Alice"), (&phone, "Bob"), (&laptop, "Bob")] {
        until("the thief's word is nowhere", PATIENCE, || {
            (texts(person, with) == ["before the theft", "it was stolen"]).then_some(())
        });
    }
    // The folder is free for a new device.
    let passphrase = stolen.kith(&["--no-passphrase", "init", "--name", "Somebody"]);
    assert_eq!(passphrase.code, 0, "{}", passphrase.err);
}

#[test]
fn one_voice_locks_and_an_answer_freezes_both() {
    let mut phone = Person::start("Alice");
    let mut bob = Person::start("Bob");
    phone.befriends(&bob);
    let mut tablet = phone.gets("tablet");
    tablet.meets(&bob);
    phone.kith(&["device", "untrust", "tablet", "--removed", "--since", "1s"]).json();
    tablet.is_cut_off();
    assert!(tablet.log().contains("kith account contest"), "{}", tablet.log());
    does_not_start(&tablet, "has cut this one off");
    assert_eq!(tablet.kith(&["status"]).code, NOT_RUNNING);
    assert!(files(&tablet).contains(&"keys".to_owned()), "nothing is erased by one voice");
    until("Bob knows one device", PATIENCE, || {
        (bob.contact(&phone)["devices"].as_array().map(Vec::len) == Some(1)).then_some(())
    });

    assert_eq!(tablet.kith(&["account", "contest"]).json(), json!({ "disputed": true }));
    tablet.up();
    for person in [&phone, &tablet] {
        stands(person, &tablet, "disputed");
        stands(person, &phone, "disputed");
    }
    bob.sees(&phone, "validity", "compromised");
    let refused = phone.kith(&["send", "Bob", "hello?"]).refusal(REFUSED);
    assert!(refused.contains("kith account show"), "{refused}");

    let refused = phone.kith(&["device", "link"]).refusal(REFUSED);
    assert!(refused.contains("disputed"), "{refused}");

    // The recovery words decide, in one step; but nobody is trusted again without a word.
    let unsaid = phone.kith_reading(&["account", "recover"], &words(&phone)).refusal(USAGE);
    assert!(unsaid.contains("tablet") && unsaid.contains("--keep-all"), "{unsaid}");
    let wrong = phone.kith_reading(&["account", "recover", "--untrust", "tablet"], "one two");
    assert!(wrong.refusal(REFUSED).contains("24"));
    let arguments = ["account", "recover", "--untrust", "tablet"];
    let decided = phone.kith_reading(&arguments, &words(&phone)).json();
    assert_eq!((&decided["disputed"], &decided["frozen"]), (&json!(false), &json!(false)));
    tablet.is_cut_off();
    does_not_start(&tablet, "erased");
    bob.sees(&phone, "validity", "unvalidated");
    let said = phone.says(&bob, "all is well");
    until("Bob has it", PATIENCE, || bob.api().has("Alice", &said).then_some(()));
    for person in [&mut phone, &mut bob] {
        person.down();
    }
}

#[test]
fn a_locked_device_takes_the_account_back_with_the_words() {
    let (mut phone, bob) = (Person::start("Alice"), Person::start("Bob"));
    phone.befriends(&bob);
    let mut tablet = phone.gets("tablet");
    tablet.meets(&bob);
    tablet.kith(&["device", "untrust", phone.device(), "--stolen"]).json();
    phone.is_cut_off();
    does_not_start(&phone, "kith account recover");
    let answer =
        phone.kith_reading(&["account", "recover", "--untrust-others"], &words(&phone)).json();
    assert_eq!(answer["device"], phone.init["device"]);
    phone.up();
    stands(&phone, &phone, "settled");
    stands(&phone, &tablet, "former");
    // The two do not look for each other any more: the tablet hears it from Bob.
    tablet.is_cut_off();
    does_not_start(&tablet, "erased");
}

#[test]
fn the_words_keep_who_was_accused_if_their_owner_says_so() {
    let phone = Person::start("Alice");
    let mut tablet = phone.gets("tablet");
    phone.kith(&["device", "untrust", "tablet", "--stolen"]).json();
    tablet.is_cut_off();
    // The node that runs asks, and so does what decides in its place.
    for device in [&phone, &tablet] {
        let unsaid = device.kith_reading(&["account", "recover"], &words(&phone)).refusal(USAGE);
        assert!(unsaid.contains("--untrust-others"), "{unsaid}");
    }
    let both = ["account", "recover", "--keep-all", "--untrust-others"];
    assert_eq!(phone.kith_reading(&both, &words(&phone)).code, USAGE);
    let kept = phone.kith_reading(&["account", "recover", "--keep-all"], &words(&phone)).json();
    for device in kept["devices"].as_array().unwrap() {
        assert_eq!(device["standing"], "settled", "{device}");
    }
    // Nobody is accused any more: nothing is left to say.
    phone.kith_reading(&["account", "recover"], &words(&phone)).json();
}

#[test]
fn the_words_bring_the_account_back_when_every_device_is_gone() {
    back_by_words(true);
}

/// Nothing is left but the words: a contact still has the proof of who wrote the history.
#[test]
fn the_words_alone_bring_account_and_history_back() {
    back_by_words(false);
}

fn back_by_words(with_own_link: bool) {
    let bob = Person::start("Bob");
    let lost = Person::start("Alice");
    lost.befriends(&bob);
    lost.says(&bob, "before the fire");
    bob.says(&lost, "I heard it");
    lost.agrees(&bob, 2, PATIENCE);
    let (own_link, words) = (lost.link(), words(&lost));
    let mut new = lost.without_home();
    drop(lost);

    let nonsense = new.kith_reading(&["--no-passphrase", "account", "recover"], "not my words");
    assert!(nonsense.refusal(REFUSED).contains("3 words were given"));
    let recover = ["--no-passphrase", "account", "recover"];
    let empty = new.kith_reading(&recover, "\n").refusal(REFUSED);
    assert!(empty.contains("on standard input"), "{empty}");
    let since = new.kith_reading(&[&recover[..], &["--since", "2h"]].concat(), &words);
    let since = since.refusal(REFUSED);
    assert!(since.contains("kith account recover --since"), "{since}");
    let untrust = new.kith_reading(&[&recover[..], &["--untrust", "phone"]].concat(), &words);
    let untrust = untrust.refusal(REFUSED);
    assert!(untrust.contains("all other devices go"), "{untrust}");

    let link = bob.link();
    let mut arguments = vec!["--no-passphrase", "account", "recover", "--link", &link];
    if with_own_link {
        arguments.extend(["--link", &own_link]);
    }
    new.init = new.kith_reading(&arguments, &words).json();
    new.up();
    new.meets(&bob);
    if with_own_link {
        assert_eq!(account(&new)["name"], "Alice");
    }
    assert_eq!(account(&new)["recovery_confirmed"], true);
    until("Bob knows the new device alone", PATIENCE, || {
        (bob.contact(&new)["devices"] == json!([new.device()])).then_some(())
    });
    until("the history is back", PATIENCE, || {
        (texts(&new, "Bob") == ["before the fire", "I heard it"]).then_some(())
    });
    let mine: Vec<bool> = new.history(&bob).iter().map(|message| message.author.me).collect();
    assert_eq!(mine, [true, false]);
    let id = new.says(&bob, "it is me");
    until("Bob has it", PATIENCE, || bob.api().has("Alice", &id).then_some(()));
    let id = bob.says(&new, "welcome back");
    until("it arrives", PATIENCE, || new.api().has("Bob", &id).then_some(()));
}

#[test]
fn what_a_thief_wrote_before_it_was_noticed_vanishes_everywhere() {
    let (phone, bob) = (Person::start("Alice"), Person::start("Bob"));
    phone.befriends(&bob);
    let mut tablet = phone.gets("tablet");
    tablet.meets(&bob);
    let everybody = [(&phone, "Bob"), (&bob, "Alice")];
    let has = |id: &str| {
        for (person, with) in everybody {
            until("it is there", PATIENCE, || person.api().has(with, id).then_some(()));
        }
    };
    has(&tablet.says(&bob, "still mine"));
    has(&phone.says(&bob, "where is my tablet?"));
    let id = tablet.says(&bob, "send me money");
    has(&id);
    let history = phone.kith(&["history", "Bob"]).json();
    let of = |at: usize| history[at]["received_at"].as_str().unwrap().to_owned();
    assert!(of(0) < of(2) && history[2]["id"] == id.as_str());
    let since = of(2);
    phone.kith(&["device", "untrust", "tablet", "--stolen", "--since", &since]).json();
    tablet.is_cut_off();
    for (person, with) in everybody {
        until("the thief's word is gone", PATIENCE, || {
            (texts(person, with) == ["still mine", "where is my tablet?"]).then_some(())
        });
    }
}
