//! One person, two accounts: `kith account merge` with real processes.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests and their helpers fail by panicking"
)]

use kith_tests::process::{PATIENCE, Person, until};
use serde_json::{Value, json};

const REFUSED: i32 = 1;

fn texts(person: &Person, with: &str) -> Vec<String> {
    person.api().history(with).into_iter().map(|message| message.text).collect()
}

#[track_caller]
fn shows(person: &Person, with: &str, wanted: &[&str]) {
    until(&format!("{}: {with}: {wanted:?}", person.name), PATIENCE, || {
        let contacts = person.api().get("/api/contacts").value();
        let known = contacts.as_array()?.iter().any(|contact| contact["name"] == with);
        (known && texts(person, with) == wanted).then_some(())
    });
}

fn account(person: &Person) -> Value {
    person.kith(&["account", "show"]).json()
}

fn words(person: &Person) -> String {
    let words = person.init["recovery_words"].as_array().unwrap().iter();
    words.map(|word| word.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn two_accounts_become_one() {
    let (old, mut new) = (Person::start("Alice"), Person::start("Alice at work"));
    let (bob, carol) = (Person::start("Bob"), Person::start("Carol"));
    old.befriends(&bob);
    new.befriends(&bob);
    old.befriends(&carol);
    old.says(&bob, "from the old account");
    shows(&bob, "Alice", &["from the old account"]);
    new.says(&bob, "from the new one");
    shows(&bob, "Alice at work", &["from the new one"]);
    carol.says(&old, "a secret");
    shows(&old, "Carol", &["a secret"]);

    let merging = old.begins_merging_into(&new, "");
    let answer = merging.confirmed_by(&new);
    assert_eq!(answer["merged"], true);
    assert_eq!(answer["account"], new.init["account"]);
    assert_eq!(answer["device"], old.init["device"]);

    // Both devices are of one account and show everything.
    for device in [&old, &new] {
        until("one account", PATIENCE, || {
            let shown = account(device);
            let devices = shown["devices"].as_array()?.len();
            (shown["account"] == new.init["account"] && devices == 2).then_some(())
        });
        assert_eq!(account(device)["absorbed"], json!([old.init["account"]]));
        shows(device, "Bob", &["from the old account", "from the new one"]);
        shows(device, "Carol", &["a secret"]);
    }
    // Bob and Carol learn it by themselves: one contact, one conversation.
    until("Bob knows one Alice", PATIENCE, || {
        let contacts = bob.kith(&["contact", "list"]).json();
        let contacts = contacts.as_array()?;
        let one = contacts.len() == 1
            && contacts[0]["account"] == new.init["account"]
            && contacts[0]["devices"].as_array()?.len() == 2;
        one.then_some(())
    });
    let alice = bob.kith(&["contact", "list"]).json()[0]["name"].as_str().unwrap().to_owned();
    shows(&bob, &alice, &["from the old account", "from the new one"]);
    until("Carol too", PATIENCE, || {
        let shown = carol.kith(&["contact", "show", "Alice"]).json();
        (shown["account"] == new.init["account"]).then_some(())
    });
    shows(&carol, "Alice", &["a secret"]);
    assert_eq!(carol.kith(&["contact", "show", "Alice"]).json()["validity"], "unvalidated");

    // It goes on as one, also when the device that had the contact is gone, and after a start.
    drop(old);
    new.says(&carol, "it is me, from another device");
    shows(&carol, "Alice", &["a secret", "it is me, from another device"]);
    new.down();
    carol.api().send("Alice", "good to know", None).unwrap();
    new.up();
    shows(&new, "Carol", &["a secret", "it is me, from another device", "good to know"]);
    let refused = new.kith(&["account", "merge", "--agree"]).refusal(REFUSED);
    assert!(refused.contains("kith account merge"), "{refused}");
}

#[test]
fn the_words_of_an_account_that_ended_are_offered_no_more() {
    let (mut old, new) = (Person::start("Alice"), Person::start("Alice at work"));
    assert_eq!(old.begins_merging_into(&new, "").confirmed_by(&new)["merged"], true);
    let words = words(&old);
    let shown = old.kith(&["status"]).json();
    assert_eq!(
        (&shown["recovery"], &shown["recovery_confirmed"]),
        (&json!("elsewhere"), &json!(false))
    );
    let word = |at: usize| format!("{at}={}", words.split(' ').nth(at - 1).unwrap());
    let confirm = ["recovery", "confirm", &word(1), &word(2), &word(3)];
    for refused in [old.kith(&["recovery", "show"]), old.kith(&confirm)] {
        let refused = refused.refusal(REFUSED);
        assert!(refused.contains("became part of another one"), "{refused}");
    }
    let refused = old.api().post("/api/recovery/show", &json!({}));
    assert_eq!(refused.code(), "recovery_ended");
    assert_eq!(new.kith(&["status"]).json()["recovery"], "here");
    for device in [&old, &new] {
        let refused = device.kith_reading(&["account", "recover"], &words).refusal(REFUSED);
        assert!(refused.contains("became part of this one"), "{refused}");
    }
    let link = new.link();
    let anew = ["--no-passphrase", "account", "recover", "--link", &link];
    let refused = old.without_home().kith_reading(&anew, &words).refusal(REFUSED);
    assert!(refused.contains("became part of another one"), "{refused}");
    old.down();
    let refused = old.kith(&["recovery", "show"]).refusal(REFUSED);
    assert!(refused.contains("became part of another one"), "{refused}");
}

#[test]
fn an_account_of_two_devices_merges_by_both_or_by_the_words() {
    let (phone, laptop, bob) = (Person::start("Alice"), Person::start("Al"), Person::start("Bob"));
    phone.befriends(&bob);
    phone.says(&bob, "hello");
    let tablet = phone.gets("tablet");
    shows(&tablet, "Bob", &["hello"]);
    let answer = phone.begins_merging_into(&laptop, "").confirmed_by(&laptop);
    assert_eq!(
        (&answer["merged"], &answer["agreed"], &answer["needed"]),
        (&json!(false), &json!(1), &json!(2))
    );
    until("the tablet sees that it is asked", PATIENCE, || {
        let merging = account(&tablet)["merging"].clone();
        (merging["needed"] == 2).then_some(())
    });
    // Until then nothing has changed.
    assert_eq!(account(&phone)["account"], phone.init["account"]);
    assert_eq!(tablet.kith(&["account", "merge", "--agree"]).json()["merged"], true);
    for device in [&phone, &tablet, &laptop] {
        until("three devices of one account", PATIENCE, || {
            let shown = account(device);
            let devices = shown["devices"].as_array()?.len();
            (shown["account"] == laptop.init["account"] && devices == 3).then_some(())
        });
        shows(device, "Bob", &["hello"]);
    }
    // The account that stays goes over once more, by its words, while its node does not run.
    let last = Person::start("Alicia");
    let mut laptop = laptop;
    laptop.down();
    let merging = laptop.begins_merging_into(&last, &words(&laptop));
    assert_eq!(merging.confirmed_by(&last)["merged"], true);
    laptop.up();
    for device in [&laptop, &phone, &tablet, &last] {
        until("four devices of the last account", PATIENCE, || {
            let shown = account(device);
            let devices = shown["devices"].as_array()?.len();
            (shown["account"] == last.init["account"] && devices == 4).then_some(())
        });
        shows(device, "Bob", &["hello"]);
    }
}

/// Every device is gone, and Carol knew the old account only: the words of the one that stays bring
/// both back.
fn back_with_what_was_absorbed(with_own_link: bool) {
    let (old, new, carol) = (Person::start("Alice"), Person::start("Al"), Person::start("Carol"));
    old.befriends(&carol);
    carol.says(&old, "to the old account");
    shows(&old, "Carol", &["to the old account"]);
    assert_eq!(old.begins_merging_into(&new, "").confirmed_by(&new)["merged"], true);
    shows(&new, "Carol", &["to the old account"]);
    until("Carol knows the account that stays", PATIENCE, || {
        (carol.contact(&new)["devices"].as_array()?.len() == 2).then_some(())
    });
    let (own_link, words, absorbed) = (new.link(), words(&new), json!([old.init["account"]]));
    let mut back = new.without_home();
    drop((old, new));
    let link = carol.link();
    let mut arguments = vec!["--no-passphrase", "account", "recover", "--link", &link];
    if with_own_link {
        arguments.extend(["--link", &own_link]);
    }
    back.init = back.kith_reading(&arguments, &words).json();
    back.up();
    shows(&back, "Carol", &["to the old account"]);
    assert_eq!(account(&back)["absorbed"], absorbed);
    back.says(&carol, "back again");
    let all = ["to the old account", "back again"];
    until("Carol has it", PATIENCE, || (texts(&carol, "Alice") == all).then_some(()));
    // The next device that comes learns it too: it is said again.
    let tablet = back.gets("tablet");
    shows(&tablet, "Carol", &all);
    assert_eq!(account(&tablet)["absorbed"], absorbed);
}

#[test]
fn the_words_alone_bring_back_what_was_absorbed() {
    back_with_what_was_absorbed(false);
}

#[test]
fn the_words_and_an_old_link_bring_back_what_was_absorbed() {
    back_with_what_was_absorbed(true);
}

#[test]
fn the_words_leave_an_account_out() {
    let (other, mut mine) = (Person::start("Mallory"), Person::start("Alice"));
    let (bob, carol) = (Person::start("Bob"), Person::start("Carol"));
    mine.befriends(&bob);
    other.befriends(&carol);
    assert_eq!(other.begins_merging_into(&mine, "").confirmed_by(&mine)["merged"], true);
    shows(&mine, "Carol", &[]);
    until("Bob sees both devices", PATIENCE, || {
        (bob.contact(&mine)["devices"].as_array()?.len() == 2).then_some(())
    });
    let theirs = other.init["account"].as_str().unwrap();
    let arguments = ["account", "recover", "--without", &theirs[..12]];
    let from_there = other.kith_reading(&arguments, &words(&mine)).refusal(REFUSED);
    assert!(from_there.contains("came from that account"), "{from_there}");
    let unknown = ["account", "recover", "--without", mine.init["account"].as_str().unwrap()];
    let unknown = mine.kith_reading(&unknown, &words(&mine)).refusal(REFUSED);
    assert!(unknown.contains("kith account show"), "{unknown}");
    assert_eq!(account(&mine)["absorbed"], json!([theirs]), "nothing has changed so far");
    let after = mine.kith_reading(&arguments, &words(&mine)).json();
    assert_eq!(after["absorbed"], json!([]));
    let standing =
        |device: &Value| device["standing"] == "settled" || device["standing"] == "added";
    let stand = after["devices"].as_array().unwrap().iter().filter(|device| standing(device));
    assert_eq!(stand.count(), 1);
    // What only the other account knew is gone, and stays so.
    mine.down();
    mine.up();
    assert_eq!(account(&mine)["absorbed"], json!([]));
    let contacts = mine.kith(&["contact", "list"]).json();
    let names: Vec<&Value> = contacts.as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(names, ["Bob"]);
    until("Bob sees one device", PATIENCE, || {
        (bob.contact(&mine)["devices"] == json!([mine.device()])).then_some(())
    });
    let id = mine.says(&bob, "alone again");
    until("Bob has it", PATIENCE, || bob.api().has("Alice", &id).then_some(()));
}

#[test]
fn wrong_words_are_refused_before_anything_is_sent() {
    let (phone, laptop) = (Person::start("Alice"), Person::start("Al"));
    let code = laptop.kith(&["device", "link"]).json()["code"].as_str().unwrap().to_owned();
    let merge = ["account", "merge", &code, "--words"];
    let refused = phone.kith_reading(&merge, &words(&laptop)).refusal(REFUSED);
    assert!(refused.contains("not the recovery words of this account"), "{refused}");
    assert!(refused.contains("--words"), "what to do: {refused}");
    let refused = phone.kith_reading(&merge, "").refusal(REFUSED);
    assert!(refused.contains("no recovery words were given"), "{refused}");
    // The code still serves, and nobody has asked.
    assert_eq!(laptop.kith(&["device", "pending"]).json(), json!([]));
    assert_eq!(account(&laptop)["devices"].as_array().unwrap().len(), 1);
}

#[test]
fn a_code_of_the_same_account_is_refused_at_once() {
    let phone = Person::start("Alice");
    let code = phone.kith(&["device", "link"]).json()["code"].as_str().unwrap().to_owned();
    let refused = phone.kith(&["account", "merge", &code]).refusal(REFUSED);
    assert!(refused.contains("of this very account"), "{refused}");
}

/// Before anybody confirms, both sides are told what is lost.
#[test]
fn what_a_merge_deletes_is_said_before_it_is_confirmed() {
    let (phone, laptop) = (Person::start("Alice"), Person::start("Al"));
    let merging = phone.begins_merging_into(&laptop, "");
    let shown = until("the number is there", PATIENCE, || {
        let shown = laptop.tells(&["device", "pending"]);
        shown.contains(&merging.check).then_some(shown)
    });
    assert!(shown.contains("is deleted on every device"), "{shown}");
    let told = laptop.tells(&["device", "confirm", &merging.check]);
    assert!(told.contains("is deleted on every device"), "{told}");
    until("they are one", PATIENCE, || {
        (account(&phone)["account"] == laptop.init["account"]).then_some(())
    });
}
