//! Do messages reach people who are never online together? Stories with real nodes and a real
//! mailbox-server; wherever it matters, never do both nodes run.

use kith_tests::process::{Mailbox, PATIENCE, Person, until};

/// What both have said while they became contacts.
const BEFORE: [&str; 2] = ["Alice is ready", "Bob is ready"];

fn texts<'t>(more: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    more.into_iter().map(str::to_owned).collect()
}

fn contacts(mailboxes: &[&Mailbox]) -> [Person; 2] {
    let urls: Vec<String> = mailboxes.iter().map(|mailbox| mailbox.url()).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    Person::contacts_by_mail(["Alice", "Bob"], &urls)
}

#[test]
fn who_is_never_online_with_the_other_gets_everything_in_order_and_once() {
    let mailbox = Mailbox::start();
    let [mut alice, mut bob] = contacts(&[&mailbox]);
    alice.up();
    let mut said = texts(BEFORE);
    let numbers: Vec<String> = (1..=20).map(|number| format!("number {number}")).collect();
    for number in &numbers[..19] {
        alice.says(&bob, number);
    }
    mailbox.gets(|| alice.says(&bob, &numbers[19]));
    said.extend(numbers);
    alice.down();

    bob.up();
    bob.shows(&alice, &said);
    mailbox.gets(|| bob.says(&alice, "all there"));
    said.push("all there".to_owned());
    bob.down();

    alice.up();
    alice.shows(&bob, &said);
    alice.is_heard_by(&bob);
    mailbox.gets(|| alice.says(&bob, "good"));
    said.push("good".to_owned());
    alice.down();

    bob.up();
    bob.is_heard_by(&alice);
    bob.shows(&alice, &said);
    mailbox.holds(0);
}

#[test]
fn strangers_become_contacts_without_ever_meeting() {
    let mailbox = Mailbox::start();
    let [mut alice, mut bob] = ["Alice", "Bob"].map(Person::with_mail);
    alice.chooses(&[&mailbox.url()]);
    alice.down();
    bob.chooses(&[&mailbox.url()]);
    let link = bob.link();
    bob.down();

    alice.up();
    mailbox.gets(|| {
        alice.kith(&["contact", "add", &link, "--greeting", "It is me"]).json();
        alice.says(&bob, "before the answer");
    });
    alice.sees(&bob, "status", "requested");
    alice.down();

    bob.up();
    bob.sees(&alice, "status", "pending");
    bob.sees(&alice, "greeting", "It is me");
    mailbox.gets(|| {
        bob.kith(&["contact", "accept", "Alice"]).json();
        bob.says(&alice, "welcome");
    });
    bob.down();

    alice.up();
    alice.sees(&bob, "status", "contact");
    let welcome = || alice.history(&bob).into_iter().any(|message| message.text == "welcome");
    until("the answer is there", PATIENCE, || welcome().then_some(()));
    mailbox.gets(|| alice.says(&bob, "thank you"));
    alice.down();

    bob.up();
    let at_bob = until("all is there", PATIENCE, || {
        let history = bob.history(&alice);
        (history.len() == 3).then_some(history)
    });
    bob.is_heard_by(&alice);
    mailbox.gets(|| bob.says(&alice, "see you"));
    bob.down();
    let said: Vec<String> = at_bob.into_iter().map(|message| message.text).collect();
    assert_eq!(said, ["before the answer", "welcome", "thank you"]);

    alice.up();
    alice.is_heard_by(&bob);
    alice.shows(&bob, &texts(said.iter().map(String::as_str).chain(["see you"])));
}
