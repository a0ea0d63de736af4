//! Do a person's devices agree on who decides, in whatever order they are asked?

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests and their helpers fail by panicking"
)]

use kith_tests::process::{PATIENCE, Person, bare_command, until};
use serde_json::{Value, json};

const REFUSED: i32 = 1;

fn account(person: &Person) -> Value {
    person.kith(&["account", "show"]).json()
}

/// What `kith account show` says to a person.
fn shown(person: &Person) -> String {
    let mut command = bare_command();
    command.arg("--home").arg(person.home()).args(["account", "show"]);
    let out = command.output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

fn standing(person: &Person, device: &Person) -> Value {
    let devices = account(person)["devices"].clone();
    let found = devices.as_array().unwrap().iter().find(|one| one["device"] == device.device());
    found.map(|one| one["standing"].clone()).unwrap_or_default()
}

#[track_caller]
fn stands(person: &Person, device: &Person, wanted: &str) {
    until(&format!("the device is {wanted}"), PATIENCE, || {
        (standing(person, device) == wanted).then_some(())
    });
}

/// Until a device knows of as many lists with another one's signature.
#[track_caller]
fn hears(person: &Person, signer: &Person) {
    until("a list has come", PATIENCE, || {
        let lists = account(person)["proposals"].clone();
        let signed = |list: &Value| {
            list["signed"].as_array()?.contains(&signer.device().into()).then_some(())
        };
        lists.as_array()?.iter().find_map(signed)
    });
}

/// A phone and a laptop that decide, and a tablet that was added.
fn three() -> (Person, Person, Person) {
    let phone = Person::start("Alice");
    phone.kith(&["device", "rename", phone.device(), "phone"]).json();
    let laptop = phone.gets("laptop");
    let tablet = phone.gets("tablet");
    stands(&laptop, &tablet, "added");
    (phone, laptop, tablet)
}

#[test]
fn who_follows_the_advice_agrees_to_the_list_that_waits() {
    let (phone, laptop, tablet) = three();
    phone.kith(&["device", "settle"]).json();
    let watch = phone.gets("watch");
    hears(&laptop, &phone);
    stands(&laptop, &watch, "added");
    let said = shown(&laptop);
    for wanted in [
        "To decide together: laptop, phone, tablet\n",
        "1 of 2 have agreed: phone\n",
        "kith device settle: laptop\n",
        "to be linked anew: watch\n",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }

    // The phone is bound, and says by what.
    let refused = phone.kith(&["device", "settle"]).refusal(REFUSED);
    assert!(refused.contains("these decide: laptop, phone, tablet."), "{refused}");
    assert!(refused.contains("agree to this one on your other devices"), "{refused}");

    assert_eq!(laptop.kith(&["device", "settle"]).json()["proposals"], json!([]));
    for person in [&phone, &laptop, &tablet] {
        stands(person, &tablet, "settled");
    }

    // Once all decide, another list would do nothing but bind.
    let refused = phone.kith(&["device", "settle"]).refusal(REFUSED);
    assert!(refused.contains("nothing to agree to"), "{refused}");
    let all = ["device", "settle", "phone", "laptop", "tablet"];
    assert!(phone.kith(&all).refusal(REFUSED).contains("nothing to agree to"));
    assert_eq!(account(&phone)["proposals"], json!([]));
}

#[test]
fn a_list_that_names_a_removed_device_is_not_offered() {
    let (phone, laptop, tablet) = three();
    phone.kith(&["device", "settle"]).json();
    hears(&laptop, &phone);
    for person in [&phone, &laptop] {
        person.kith(&["device", "untrust", "tablet", "--removed"]).json();
        stands(&laptop, &tablet, "former");
    }
    let list = account(&laptop)["proposals"][0].clone();
    assert_eq!((&list["possible"], &account(&laptop)["to_settle"]), (&json!(false), &json!([])));
    assert!(!shown(&laptop).contains("decide together"), "{}", shown(&laptop));
    // The phone is bound to what cannot come about, and it takes two.
    let refused = laptop.kith(&["device", "settle"]).refusal(REFUSED);
    assert!(refused.contains("kith account recover"), "{refused}");
    let refused = phone.kith(&["device", "settle"]).refusal(REFUSED);
    assert!(refused.contains("these decide: laptop, phone, tablet. That cannot"), "{refused}");
    assert!(shown(&phone).contains("cannot come about any more"), "{}", shown(&phone));
}
