//! A device that comes in late shows every conversation as the old one does, message by message.

#![expect(clippy::unwrap_used, reason = "tests and their helpers fail by panicking")]

use std::time::Duration;

use kith_tests::{
    past::{self, CONVERSATIONS, contact},
    process::{PATIENCE, Person, Setup, until},
};
use serde_json::Value;

/// A month of the channel takes seconds; other tests may run beside it.
const LONG: Duration = Duration::from_secs(120);

fn history(person: &Person, name: &str) -> Vec<Value> {
    let all = person.kith(&["history", name, "--limit", "1000000"]).json();
    let mut messages: Vec<Value> = all.as_array().unwrap().clone();
    for message in &mut messages {
        // When this device got it is its own affair.
        message.as_object_mut().unwrap().remove("received_at");
        message.as_object_mut().unwrap().remove("late");
    }
    messages
}

/// `KITH_CHAT` names a longer chat than the one day of `tests/data`.
#[test]
fn a_fresh_device_shows_the_same_histories() {
    let said = past::chat();
    let mut phone = Person::init("Alice", Setup::default());
    past::fill(&phone.home(), &said);
    phone.up();
    let tablet = phone.gets("tablet");
    let newest = |name: &str| phone.api().history(name).pop().unwrap().id;
    for number in 0..CONVERSATIONS {
        let name = contact(number);
        let id = newest(&name);
        until(&name, LONG, || tablet.api().has(&name, &id).then_some(()));
    }
    // How far messages have got is learned from the phone too, a moment after the messages.
    for number in 0..CONVERSATIONS {
        let name = contact(number);
        until(&name, PATIENCE, || {
            (phone.api().history(&name) == tablet.api().history(&name)).then_some(())
        });
    }
    let mut count = 0;
    for number in 0..CONVERSATIONS {
        let name = contact(number);
        let (old, new) = (history(&phone, &name), history(&tablet, &name));
        assert!(old.len() > 1, "{name} has a history");
        assert_eq!(old.len(), new.len(), "{name}");
        for (old, new) in old.iter().zip(&new) {
            assert_eq!(old, new, "{name}");
        }
        count += new.len();
    }
    assert_eq!(count, said.len(), "no message of the chat is missing");
}
