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
