//! One person, several devices: linking, everything on each, any holder delivers, deletion.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests and their helpers fail by panicking"
)]

use kith_tests::process::{PATIENCE, Person, Setup, until};
use serde_json::{Value, json};

const REFUSED: i32 = 1;

/// The contacts as they are on every device: what depends on the moment is left out.
fn contacts(person: &Person) -> Value {
    let mut list = person.api().get("/api/contacts").value();
    for contact in list.as_array_mut().unwrap() {
        contact.as_object_mut().unwrap().remove("online");
    }
    list
}

fn texts(person: &Person, with: &str) -> Vec<String> {
    person.api().history(with).into_iter().map(|message| message.text).collect()
}

#[track_caller]
fn shows(person: &Person, with: &str, wanted: &[&str]) {
    until(&format!("{with}: {wanted:?}"), PATIENCE, || {
        (texts(person, with) == wanted).then_some(())
    });
}

#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, one: impl Fn() -> T, other: impl Fn() -> T) {
    until(what, PATIENCE, || (one() == other()).then_some(()));
}

#[test]
fn a_new_device_gets_everything() {
    let alice = Person::start("Alice");
    let (bob, carol) = (Person::start("Bob"), Person::start("Carol"));
    alice.befriends(&bob);
    alice.befriends(&carol);
    for number in 0..30 {
        alice.says(&bob, &format!("to Bob {number}"));
        carol.says(&alice, &format!("from Carol {number}"));
    }
    let last = bob.says(&alice, "read by Alice");
    until("Bob's word is there", PATIENCE, || alice.api().has("Bob", &last).then_some(()));
    alice.agrees(&carol, 30, PATIENCE);
    alice.kith(&["read", "Bob"]).json();
    alice.kith(&["contact", "rename", "Carol", "Carola"]).json();
    alice.kith(&["settings", "--read-receipts", "on"]).json();
    alice.kith(&["account", "name", "Alice A."]).json();
    let draft = alice.api().put("/api/contacts/Bob/draft", &json!({ "text": "what I wanted" }));
    draft.value();

    let tablet = alice.gets("tablet");
    same("the contacts", || contacts(&alice), || contacts(&tablet));
    for with in ["Bob", "Carola"] {
        let ids = |person: &Person| {
            let messages = person.api().history(with);
            messages.into_iter().map(|m| (m.id, m.text, m.author.me)).collect::<Vec<_>>()
        };
        same(with, || ids(&alice), || ids(&tablet));
    }
    let list = contacts(&tablet);
    assert_eq!((&list[0]["unread"], &list[0]["draft"]), (&json!(0), &json!("what I wanted")));
    assert_eq!((&list[1]["name"], &list[1]["unread"]), (&json!("Carola"), &json!(30)));
    assert_eq!(tablet.kith(&["settings"]).json()["read_receipts"], true);
    same(
        "the account",
        || alice.kith(&["account", "show"]).json()["name"].clone(),
        || tablet.kith(&["account", "show"]).json()["name"].clone(),
    );

    // Both write, both read, and contacts see one person with two devices.
    tablet.meets(&bob);
    let id = tablet.says(&bob, "from the tablet");
    until("the phone has it too", PATIENCE, || alice.api().has("Bob", &id).then_some(()));
    until("and so has Bob", PATIENCE, || bob.api().has("Alice", &id).then_some(()));
    assert_eq!(bob.contact(&alice)["devices"].as_array().unwrap().len(), 2);
    let devices = tablet.kith(&["device", "list"]).json();
    assert_eq!(devices.as_array().unwrap().len(), 2);
    for device in devices.as_array().unwrap() {
        assert_eq!(device["standing"], "settled");
        assert_eq!(device["online"], true);
        assert_eq!(device["is_this"], device["device"] == tablet.init["device"]);
    }
}

#[test]
fn nobody_comes_in_without_the_right_number() {
    let alice = Person::start("Alice");
    let joining = alice.begins("tablet");
    let wrong = if joining.check == "000000" { "000001" } else { "000000" };
    let refused = alice.kith(&["device", "confirm", wrong]).refusal(REFUSED);
    assert!(refused.contains("compare again"), "{refused}");
    assert_eq!(alice.kith(&["device", "list"]).json().as_array().unwrap().len(), 1);
    joining.gives_up();
    until("the device has gone", PATIENCE, || {
        (alice.kith(&["device", "pending"]).json() == json!([])).then_some(())
    });
    // The old code serves another try, and a new one makes it void.
    let again = alice.begins("tablet");
    let tablet = again.confirmed_by(&alice);
    assert_eq!(tablet.init["account"], alice.init["account"]);
    assert_ne!(tablet.init["device"], alice.init["device"]);

    let into_a_home = alice.kith(&["--no-passphrase", "device", "join", "kith-device:x"]);
    assert!(into_a_home.refusal(REFUSED).contains("holds a Kith home already"));
    let nonsense = alice.without_home().kith(&["--no-passphrase", "device", "join", "nonsense"]);
    assert!(nonsense.refusal(REFUSED).contains("kith device link"));
    let unknown = alice.kith(&["device", "rename", "toaster", "x"]).refusal(REFUSED);
    assert!(unknown.contains("kith device list"), "{unknown}");
}

#[test]
fn account_operations_need_the_passphrase() {
    let setup = Setup { passphrase: Some("the right one".to_owned()), ..Setup::default() };
    let alice = Person::start_with("Alice", setup);
    let joining = alice.begins("tablet");
    let body = |passphrase: &str| json!({ "check": joining.check, "passphrase": passphrase });
    let confirm = |passphrase: &str| alice.api().post("/api/account/confirm", &body(passphrase));
    until("the number is there", PATIENCE, || {
        (alice.api().get("/api/account/pending").value() != json!([])).then_some(())
    });
    let refused = confirm("");
    assert_eq!((refused.status, refused.code()), (403, "passphrase_needed"));
    let refused = confirm("a guess");
    assert_eq!((refused.status, refused.code()), (403, "wrong_passphrase"));
    assert_eq!(alice.kith(&["device", "list"]).json().as_array().unwrap().len(), 1);
    let mut tablet = joining.confirmed_by(&alice);
    tablet.up();
    same(
        "both know both",
        || alice.kith(&["device", "list"]).json().as_array().unwrap().len(),
        || tablet.kith(&["device", "list"]).json().as_array().unwrap().len(),
    );
    // The words were never on the tablet.
    for status in [tablet.kith(&["status"]).json(), tablet.kith(&["account", "show"]).json()] {
        let recovery = (&status["recovery_confirmed"], &status["recovery"]);
        assert_eq!(recovery, (&json!(false), &json!("elsewhere")));
    }
    let refused = tablet.kith(&["recovery", "show"]).refusal(REFUSED);
    assert!(refused.contains("never on this device"), "{refused}");
    let refused =
        tablet.api().post("/api/recovery/show", &json!({ "passphrase": "the right one" }));
    assert_eq!(refused.code(), "recovery_elsewhere");
}

/// Two people with two devices each, who all know each other.
struct Four {
    a1: Person,
    a2: Person,
    b1: Person,
    b2: Person,
}

impl Four {
    fn start() -> Self {
        let (a1, b1) = (Person::start("Alice"), Person::start("Bob"));
        a1.befriends(&b1);
        let (a2, b2) = (a1.gets("tablet"), b1.gets("laptop"));
        let known = |person: &Person, other: &str| {
            let contact = person.api().get(&format!("/api/contacts/{other}"));
            contact.body["devices"].as_array().map(Vec::len) == Some(2)
        };
        until("all know all", PATIENCE, || {
            let alices = [&a1, &a2].iter().all(|alice| known(alice, "Bob"));
            let bobs = [&b1, &b2].iter().all(|bob| known(bob, "Alice"));
            let met = |p: &Person| p.api().get("/api/status").value()["peers"] == json!(3);
            (alices && bobs && [&a1, &a2, &b1, &b2].iter().all(|p| met(p))).then_some(())
        });
        Self { a1, a2, b1, b2 }
    }

    #[track_caller]
    fn run(&mut self, a1: bool, a2: bool, b1: bool, b2: bool) {
        let wanted = [a1, a2, b1, b2];
        let all = [&mut self.a1, &mut self.a2, &mut self.b1, &mut self.b2];
        for (person, wanted) in all.into_iter().zip(wanted) {
            match (person.is_up(), wanted) {
                (false, true) => person.up(),
                (true, false) => person.down(),
                _ => {}
            }
            assert_eq!(person.is_up(), wanted);
        }
    }
}

/// Who hands a message on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    A1,
    B1,
    B2,
    A1AndB1,
}

#[test]
fn whoever_holds_a_message_delivers_it() {
    let mut four = Four::start();
    let mut story = |number: usize, b2_from: From, a2_from: From| {
        let text = format!("story {number}: B2 from {b2_from:?}, A2 from {a2_from:?}");
        // A1 alone writes.
        four.run(true, false, false, false);
        let id = four.a1.says(&four.b1, &text);
        let has = |person: &Person, with: &str| {
            let what = format!("{text}: {} has it", person.name);
            until(&what, PATIENCE, || person.api().has(with, &id).then_some(()));
        };
        // B1 comes online and gets it from A1.
        four.run(true, false, true, false);
        has(&four.b1, "Alice");
        // B2 comes online and gets it from A1, from B1, or from whoever is first.
        match b2_from {
            From::A1 => four.run(true, false, false, true),
            From::B1 => four.run(false, false, true, true),
            _ => four.run(true, false, true, true),
        }
        has(&four.b2, "Alice");
        // A1 goes; A2 comes online and gets its own person's message from the recipient.
        match a2_from {
            From::B1 => four.run(false, true, true, false),
            _ => four.run(false, true, false, true),
        }
        has(&four.a2, "Bob");
        let own = four.a2.history(&four.b1).into_iter().find(|message| message.id == id);
        assert!(own.is_some_and(|message| message.author.me && message.text == text));
    };
    let mut number = 0;
    for b2_from in [From::A1, From::B1, From::A1AndB1] {
        for a2_from in [From::B1, From::B2] {
            number += 1;
            story(number, b2_from, a2_from);
        }
    }
    four.run(true, true, true, true);
    let of = |person: &Person, other: &Person| texts(person, &other.name);
    assert_eq!(of(&four.a1, &four.b1).len(), 6);
    same("A1 and A2", || of(&four.a1, &four.b1), || of(&four.a2, &four.b1));
    same("A1 and B1", || of(&four.a1, &four.b1), || of(&four.b1, &four.a1));
    same("A1 and B2", || of(&four.a1, &four.b1), || of(&four.b2, &four.a1));
}

#[test]
fn a_message_reaches_all_online_devices_of_both() {
    let four = Four::start();
    let events: Vec<_> =
        [&four.a2, &four.b1, &four.b2].iter().map(|person| person.api().events()).collect();
    four.a1.says(&four.b1, "to all of us");
    for stream in events {
        stream.wait_text("to all of us");
    }
}

#[test]
fn what_is_deleted_is_gone_on_own_devices_only() {
    let (alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    alice.befriends(&bob);
    let tablet = alice.gets("tablet");
    tablet.meets(&bob);
    let ids: Vec<String> = (0..4).map(|n| alice.says(&bob, &format!("message {n}"))).collect();
    let answer = bob.says(&alice, "an answer");
    for (person, with) in [(&alice, "Bob"), (&tablet, "Bob"), (&bob, "Alice")] {
        until("all is there", PATIENCE, || {
            (texts(person, with).len() == 5 && person.api().has(with, &answer)).then_some(())
        });
    }
    let events = tablet.api().events();
    let deleted = alice.kith(&["delete", "Bob", &ids[1], &answer]).json();
    assert_eq!(deleted, json!({ "deleted": 2 }));
    events.wait("the conversation is to be read again", |event| {
        (event["type"] == "rewritten" && event["contact"] == bob.init["account"]).then_some(())
    });
    let left = ["message 0", "message 2", "message 3"];
    shows(&alice, "Bob", &left);
    shows(&tablet, "Bob", &left);
    assert_eq!(texts(&bob, "Alice").len(), 5, "Bob keeps what is his");

    // The rest: gone here, hidden there. What Bob says afterwards is shown again.
    let deleted = tablet.kith(&["delete", "Bob", "--all"]).json();
    assert_eq!(deleted, json!({ "deleted": 3 }));
    bob.says(&alice, "and now?");
    for person in [&tablet, &alice] {
        shows(person, "Bob", &["and now?"]);
    }
    assert_eq!(texts(&bob, "Alice").len(), 6);
    let unknown = alice.kith(&["delete", "Bob", &"0".repeat(64)]).refusal(REFUSED);
    assert!(unknown.contains("not in this conversation"), "{unknown}");
}

#[test]
fn a_bulk_deletion_rests_on_the_other_devices() {
    let (alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    alice.befriends(&bob);
    let tablet = alice.gets("tablet");
    let ids: Vec<String> = (0..60).map(|n| alice.says(&bob, &n.to_string())).collect();
    until("the tablet has them", PATIENCE, || (texts(&tablet, "Bob").len() == 60).then_some(()));
    let too_many = [&["delete", "Bob"], &ids.iter().map(String::as_str).collect::<Vec<_>>()[..50]];
    let refused = alice.kith(&too_many.concat()).refusal(REFUSED);
    assert!(refused.contains("only 49"), "{refused}");
    let before = alice.kith(&["delete", "Bob", "--before", "2001-01-01T00:00:00Z"]).json();
    assert_eq!(before, json!({ "deleted": 0 }));
    let all = alice.kith(&["delete", "Bob", "--all"]).json();
    assert_eq!(all, json!({ "deleted": 60 }));
    shows(&alice, "Bob", &[]);
    shows(&tablet, "Bob", &[]);
}

/// The names of an object's fields.
fn fields(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn answers_about_devices_have_the_shapes_that_programs_rely_on() {
    let alice = Person::start("Alice");
    let events = alice.api().events();
    let drawn = alice.kith(&["device", "link", "--qr"]);
    assert!(drawn.err.contains('█'), "the code is drawn beside the answer");
    let code = drawn.json();
    assert_eq!(fields(&code), ["code", "id", "seconds_left"]);
    assert!(code["code"].as_str().unwrap().starts_with("kith-device:"));
    assert_eq!(alice.kith(&["device", "pending"]).json(), json!([]));
    let joining = alice.begins("tablet");
    let check = events.wait("the number is told", |event| {
        let guest = event.get("guest").filter(|_| event["type"] == "linking")?;
        Some(guest.get("check")?.as_str()?.to_owned())
    });
    assert_eq!(check, joining.check);
    let pending = alice.kith(&["device", "pending"]).json();
    let shown = alice.api().get("/api/account/link").value();
    let expected =
        json!([{ "check": check, "name": "tablet", "brings": null, "code": shown["id"] }]);
    assert_eq!(pending, expected);
    let tablet = joining.confirmed_by(&alice);
    assert_eq!(fields(&tablet.init), ["account", "device"]);
    events.wait("the account has changed", |event| (event["type"] == "account").then_some(()));

    let account = alice.kith(&["account", "show"]).json();
    let expected = [
        "absorbed",
        "account",
        "devices",
        "disputed",
        "frozen",
        "id",
        "merging",
        "name",
        "proposals",
        "recovery",
        "recovery_confirmed",
        "to_settle",
    ];
    assert_eq!(fields(&account), expected);
    assert_eq!(account["account"], alice.init["account"]);
    let devices = alice.kith(&["device", "list"]).json();
    assert_eq!(account["devices"], devices);
    let expected = ["device", "is_final", "is_this", "name", "online", "reason", "standing"];
    assert_eq!(fields(&devices[0]), expected);
    let renamed = alice.kith(&["device", "rename", "TABLET", "Slate"]).json();
    let named = renamed["devices"].as_array().unwrap().iter().find(|d| d["name"] == "Slate");
    assert_eq!(named.unwrap()["device"], tablet.init["device"]);
    let taken = alice.kith(&["device", "rename", alice.device(), "slate"]).refusal(REFUSED);
    assert!(taken.contains("choose another name"), "{taken}");
    let short = &tablet.device()[..3];
    let short = alice.kith(&["device", "rename", short, "Slate"]).refusal(REFUSED);
    assert!(short.contains("at least 4 characters"), "{short}");
    alice.kith(&["device", "rename", &tablet.device()[..4], "Slate"]).json();
    for wrong in [
        &["device", "untrust", "Slate"][..],
        &["device", "untrust", "Slate", "--stolen", "--removed"],
        &["device", "untrust", "Slate", "--stolen", "--since", "yesterday"],
        &["delete", "Bob"],
        &["delete", "Bob", "--all", "--before", "1h"],
    ] {
        assert_eq!(alice.kith(wrong).code, 2, "{wrong:?}");
    }
    let own = alice.kith(&["device", "untrust", alice.device(), "--stolen"]).refusal(REFUSED);
    assert!(own.contains("the device you are using"), "{own}");
}

#[test]
fn a_device_that_does_not_decide_says_what_to_do() {
    let phone = Person::start("Alice");
    let (_laptop, tablet) = (phone.gets("laptop"), phone.gets("tablet"));
    let refused = tablet.kith(&["device", "link"]).refusal(REFUSED);
    assert!(refused.contains("kith device settle"), "{refused}");
    let shown = phone.tells(&["device", "list"]);
    assert!(shown.contains("tablet does not decide yet"), "{shown}");
    phone.kith(&["device", "untrust", "tablet", "--removed"]).json();
    let shown = phone.tells(&["device", "list"]);
    let id = &tablet.device()[..8];
    assert!(shown.contains("tablet is out, but may still answer"), "{shown}");
    assert!(shown.contains("device untrust") && shown.contains(id), "{shown}");
}

#[test]
fn a_late_word_about_a_code_ends_no_other_one() {
    let alice = Person::start("Alice");
    let (api, events) = (alice.api(), alice.api().events());
    let shown = || api.get("/api/account/link").value();
    assert_eq!(shown(), json!({ "id": null, "is_open": null, "seconds_left": 0 }));
    let make = || api.post("/api/account/link", &json!({})).value();
    let (first, second) = (make(), make());
    assert_ne!(first["id"], second["id"]);
    assert_eq!((&first["seconds_left"], &second["seconds_left"]), (&json!(600), &json!(600)));
    let told = |code: &Value| {
        events.wait("the code that serves", |event| {
            (event["type"] == "linking" && event["code"] == *code).then_some(())
        });
    };
    told(&second["id"]);
    let close = |code: &Value| {
        let path = format!("/api/account/link/{}", code["id"].as_str().unwrap());
        api.delete(&path).value();
    };
    close(&first);
    assert_eq!(shown()["id"], second["id"]);
    assert!((1..=600).contains(&shown()["seconds_left"].as_u64().unwrap()));
    close(&second);
    told(&Value::Null);
    assert_eq!(shown()["id"], Value::Null);
}
