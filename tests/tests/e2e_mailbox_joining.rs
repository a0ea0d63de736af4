//! Can a person's second device come in, and two accounts become one, though the devices are never
//! on at once, as with two systems on one computer? Real nodes and a real mailbox-server, which is
//! killed between any two steps.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests and their helpers fail by panicking"
)]

use kith_tests::process::{Mailbox, PATIENCE, Person, until};
use serde_json::{Value, json};

fn shows(person: &Person, with: &str, texts: &[&str]) {
    until(&format!("{}: {with}: {texts:?}", person.name), PATIENCE, || {
        let contacts = person.api().get("/api/contacts").value();
        let known = contacts.as_array()?.iter().any(|contact| contact["name"] == with);
        let history = person.api().history(with).into_iter().map(|message| message.text);
        (known && history.eq(texts.iter().copied())).then_some(())
    });
}

fn has_devices(person: &Person, count: usize) {
    until("its devices are known", PATIENCE, || {
        let shown = person.kith(&["account", "show"]).json();
        (shown["devices"].as_array()?.len() == count).then_some(())
    });
}

fn number(said: &Value) -> String {
    assert_eq!(said["waiting"], true, "{said}");
    said["check"].as_str().unwrap().to_owned()
}

#[test]
fn a_device_comes_in_without_ever_meeting_another() {
    let mut mailbox = Mailbox::start();
    let [mut first, mut bob] = Person::contacts_by_mail(["Alice", "Bob"], &[&mailbox.url()]);
    let mut said = vec!["Alice is ready", "Bob is ready"];
    first.up();
    first.has_open_queues();
    let code = first.code_by_mail();
    first.down();
    mailbox.restart();

    let mut second = first.without_home();
    let join = ["device", "join", "--no-passphrase", "--name", "tablet"];
    let begun = second.goes_on_by_mail(&[&join[..], &[&code]].concat());
    assert_eq!(begun, json!({ "waiting": true, "check": null }));
    mailbox.restart();
    first.up();
    mailbox.gets(|| ());
    first.down();
    mailbox.restart();
    let check = number(&second.goes_on_by_mail(&join[..3]));
    mailbox.restart();
    first.up();
    mailbox.gets(|| first.confirms(&check));
    first.down();
    mailbox.restart();
    let joined = second.goes_on_by_mail(&join[..3]);
    assert_eq!(joined["account"], first.init["account"]);
    second.init = joined;

    second.up();
    second.has_open_queues();
    shows(&second, "Bob", &said);
    mailbox.gets(|| second.says(&bob, "from the tablet"));
    said.push("from the tablet");
    second.down();
    mailbox.restart();

    first.up();
    has_devices(&first, 2);
    shows(&first, "Bob", &said);
    first.down();
    bob.up();
    shows(&bob, "Alice", &said);
    mailbox.gets_in(2, || bob.says(&first, "to both"));
    said.push("to both");
    bob.down();
    for device in [&mut first, &mut second] {
        device.up();
        shows(device, "Bob", &said);
        device.down();
    }
}

#[test]
fn two_accounts_become_one_without_ever_meeting() {
    let mut mailbox = Mailbox::start();
    let url = mailbox.url();
    let mut bob = Person::with_mail("Bob");
    let [mut old, mut new] = ["Alice", "Alice at work"].map(Person::with_mail);
    old.befriends(&bob);
    for person in [&old, &new, &bob] {
        person.chooses(&[&url]);
    }
    old.is_known_to(&bob);
    bob.is_known_to(&old);
    bob.down();
    old.down();
    let mut said = vec!["Alice is ready", "Bob is ready"];
    let code = new.code_by_mail();
    new.down();
    mailbox.restart();

    let merge = ["account", "merge"];
    let begun = old.goes_on_by_mail(&[&merge[..], &[&code]].concat());
    assert_eq!(begun, json!({ "waiting": true, "check": null }));
    mailbox.restart();
    new.up();
    mailbox.gets(|| ());
    new.down();
    mailbox.restart();
    let check = number(&old.goes_on_by_mail(&merge));
    mailbox.restart();
    new.up();
    mailbox.gets(|| new.confirms(&check));
    new.down();
    mailbox.restart();
    let merged = old.goes_on_by_mail(&merge);
    assert_eq!((&merged["merged"], &merged["account"]), (&json!(true), &new.init["account"]));

    old.up();
    mailbox.gets(|| has_devices(&old, 2));
    old.down();
    mailbox.restart();
    new.up();
    has_devices(&new, 2);
    until("the other account is part of it", PATIENCE, || {
        let shown = new.kith(&["account", "show"]).json();
        (shown["absorbed"] == json!([old.init["account"]])).then_some(())
    });
    shows(&new, "Bob", &said);
    mailbox.gets(|| new.says(&bob, "from the other account"));
    said.push("from the other account");
    new.down();

    bob.up();
    until("Bob knows one Alice", PATIENCE, || {
        let contacts = bob.kith(&["contact", "list"]).json();
        let contacts = contacts.as_array()?;
        (contacts.len() == 1 && contacts[0]["account"] == new.init["account"]).then_some(())
    });
    let alice = bob.kith(&["contact", "list"]).json()[0]["name"].as_str().unwrap().to_owned();
    shows(&bob, &alice, &said);
    bob.down();
}
