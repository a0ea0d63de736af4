//! The command line as others may rely on it: shapes of answers, exit codes, sentences.

#![expect(clippy::panic, reason = "tests and their helpers fail by panicking")]

use std::process::Stdio;

use kith_tests::process::{Events, Message, PATIENCE, Person, Setup, bare_command, run, until};
use serde_json::{Value, json};

const DONE: i32 = 0;
const REFUSED: i32 = 1;
const USAGE: i32 = 2;
const NOT_RUNNING: i32 = 3;

/// Fails unless the object has these fields, each of the kind named after the colon.
#[track_caller]
fn has_shape(object: &Value, fields: &str) {
    for field in fields.split_whitespace() {
        let (name, kind) = field.split_once(':').unwrap_or((field, "text"));
        let value = object.get(name).unwrap_or_else(|| panic!("{name} is missing: {object}"));
        let fits = match kind {
            "text" => value.is_string(),
            "maybe" => value.is_string() || value.is_null(),
            "number" => value.is_u64(),
            "bool" => value.is_boolean(),
            "texts" => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            "object" => value.is_object(),
            _ => panic!("no such kind: {kind}"),
        };
        assert!(fits, "{name} is not {kind}: {value}");
    }
}

const CONTACT: &str =
    "name account status validity devices:texts online:bool unread:number warning:maybe";
const MESSAGE: &str = "id author:object text reply_to:maybe sent_at received_at state:maybe \
    late:bool parents:texts";

fn friends() -> (Person, Person) {
    let (alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    alice.befriends(&bob);
    (alice, bob)
}

fn is_hex(value: &Value, characters: usize) -> bool {
    let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    value.as_str().is_some_and(|text| text.len() == characters && text.bytes().all(digit))
}

#[test]
fn init_answers_with_account_device_and_words() {
    let alice = Person::init("Alice", Setup::default());
    has_shape(&alice.init, "account device recovery_words:texts");
    assert!(alice.init["account"].as_str().unwrap().starts_with("kith1"));
    assert!(is_hex(&alice.init["device"], 64));
    assert_eq!(alice.init["recovery_words"].as_array().unwrap().len(), 24);

    let again = alice.kith(&["--no-passphrase", "init", "--name", "Alice"]).refusal(REFUSED);
    assert!(again.contains("holds a Kith home already"), "{again}");
}

#[test]
fn init_needs_a_word_about_the_passphrase_and_a_name() {
    let folder = tempfile::TempDir::new().unwrap();
    let kith = |arguments: &[&str], passphrase: Option<&str>| {
        let mut command = bare_command();
        command.arg("--json").arg("--home").arg(folder.path().join("home")).args(arguments);
        command.envs(passphrase.map(|passphrase| ("KITH_PASSPHRASE", passphrase)));
        run(command, "")
    };
    let unsaid = kith(&["init", "--name", "Alice"], None).refusal(REFUSED);
    assert!(unsaid.contains("--passphrase-file") && unsaid.contains("--no-passphrase"), "{unsaid}");
    let empty = kith(&["init", "--name", "Alice"], Some("")).refusal(REFUSED);
    assert!(empty.contains("--no-passphrase"), "{empty}");
    assert_eq!(kith(&["init", "--no-passphrase"], None).code, USAGE);
    let long = "n".repeat(65);
    let long = kith(&["init", "--no-passphrase", "--name", &long], None).refusal(REFUSED);
    assert!(long.contains("65 bytes"), "{long}");
    assert!(!folder.path().join("home/keys").exists(), "nothing was made");
}

#[test]
fn run_without_a_home_says_what_to_do() {
    let folder = tempfile::TempDir::new().unwrap();
    for command_line in [&["run"][..], &[]] {
        let mut command = bare_command();
        command.arg("--json").arg("--home").arg(folder.path().join("home")).args(command_line);
        let refusal = run(command, "").refusal(REFUSED);
        assert!(refusal.contains("kith init --name"), "{refusal}");
    }
}

#[test]
fn run_says_where_it_is_and_refuses_what_it_cannot_do() {
    let mut alice = Person::start("Alice");
    let ready = &alice.node().ready;
    has_shape(ready, "web api listening:texts");
    let api = ready["api"].as_str().unwrap();
    assert!(ready["web"].as_str().unwrap().starts_with(&format!("{api}/#t=")));
    assert_eq!(ready["listening"], json!([alice.address()]));

    let bob = Person::init("Bob", Setup::default());
    let start = |arguments: &[&str]| {
        bob.kith(&[&["run", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"], arguments].concat())
    };
    let taken = alice.address();
    for (arguments, says) in [
        (["--api", "0.0.0.0:0"], "loopback only"),
        (["--api", api.trim_start_matches("http://")], "Listening on"),
        (["--listen", &taken], "cannot listen"),
        (["--listen", "/ip4/127.0.0.1"], "is neither"),
    ] {
        let refusal = start(&arguments).refusal(REFUSED);
        assert!(refusal.contains(says), "{arguments:?}: {refusal}");
    }
    assert_eq!(start(&["--listen", "nonsense"]).code, USAGE);
    assert_eq!(start(&["--api", "nonsense"]).code, USAGE);
    alice.down();
}

#[test]
fn without_a_node_everything_else_exits_with_three() {
    let mut alice = Person::init("Alice", Setup::default());
    let commands: [&[&str]; 11] = [
        &["status"],
        &["stop"],
        &["web"],
        &["invite"],
        &["contact", "list"],
        &["contact", "add", "kith1"],
        &["send", "Bob", "hi"],
        &["history", "Bob"],
        &["read", "Bob"],
        &["watch"],
        &["settings"],
    ];
    let all_refuse = |alice: &Person| {
        for command in commands {
            let refusal = alice.kith(command).refusal(NOT_RUNNING);
            assert!(refusal.contains("kith run"), "{command:?}: {refusal}");
        }
    };
    all_refuse(&alice);
    // What a killed node leaves behind is not taken for a running one.
    alice.up();
    alice.kill();
    assert!(alice.home().join("api.json").exists());
    all_refuse(&alice);
    // Nor is another program that has taken the port since.
    let stale = alice.home().join("api.json");
    let mut bob = Person::start("Bob");
    let lent = std::fs::read_to_string(bob.home().join("api.json")).unwrap();
    let mut access: Value = serde_json::from_str(&lent).unwrap();
    access["key"] = json!("A".repeat(43));
    std::fs::write(stale, access.to_string()).unwrap();
    all_refuse(&alice);
    bob.down();
    assert!(!bob.home().join("api.json").exists(), "a node that stops takes its key away");
}

#[test]
fn wrong_usage_exits_with_two() {
    let alice = Person::start("Alice");
    for command in [
        &["frobnicate"][..],
        &["passphrase", "the new one"],
        &["send", "Bob"],
        &["contact"],
        &["history", "Bob", "--limit", "many"],
        &["settings", "--read-receipts", "maybe"],
        &["status", "--no-passphrase", "--passphrase-file", "x"],
    ] {
        assert_eq!(alice.kith(command).code, USAGE, "{command:?}");
    }
    let help = alice.kith(&["--help"]);
    assert_eq!(help.code, DONE);
    assert!(help.out.contains("3 the node is not running"));
}

#[test]
fn refusals_exit_with_one_and_say_what_to_do() {
    let (alice, bob) = friends();
    let own = alice.link();
    let long = "x".repeat(60_001);
    let nowhere = "0".repeat(64);
    for (command, says) in [
        (&["send", "Carol", "hi"][..], "kith contact list"),
        (&["contact", "show", "kith1qqqqqqqq"], "kith contact list"),
        (&["contact", "accept", "Bob"], "has not asked"),
        (&["contact", "add", &own], "your own link"),
        (&["contact", "add", &bob.link()], "already on your contact list"),
        (&["contact", "add", "nonsense"], "link"),
        (&["send", "Bob", ""], "write something"),
        (&["send", "Bob", &long], "60001 bytes"),
        (&["send", "Bob", "hi", "--reply-to", "7"], "kith history"),
        (&["history", "Bob", "--before", &nowhere], "not in this conversation"),
    ] {
        let refusal = alice.kith(command).refusal(REFUSED);
        assert!(refusal.contains(says), "{command:?}: {refusal}");
    }
}

#[test]
fn answers_have_the_shapes_that_programs_rely_on() {
    let (alice, bob) = friends();
    let status = alice.kith(&["status"]).json();
    has_shape(&status, "name account device version listening:texts peers:number links:number");
    has_shape(&status, "pending_entries:number recovery_confirmed:bool read_receipts:bool");
    has_shape(&status, "page_built:bool uptime_seconds:number warnings:texts refusals:object");
    assert_eq!((&status["name"], &status["peers"]), (&json!("Alice"), &json!(1)));
    assert_eq!(status["account"], alice.init["account"]);
    assert_eq!(status["device"], alice.init["device"]);
    has_shape(&alice.kith(&["web"]).json(), "web");
    let drawn = alice.kith(&["invite", "--qr"]);
    has_shape(&drawn.json(), "link");
    assert!(drawn.err.contains('█'), "the code is drawn beside the answer");
    assert!(drawn.json()["link"].as_str().unwrap().starts_with("kith:kith1"));

    let list = alice.kith(&["contact", "list"]).json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    has_shape(&list[0], CONTACT);
    assert_eq!(list[0]["account"], bob.init["account"]);
    assert_eq!(list[0]["devices"], json!([bob.init["device"]]));
    let account = bob.init["account"].as_str().unwrap();
    for name in ["bob", account, &account[..12]] {
        has_shape(&alice.kith(&["contact", "show", name]).json(), CONTACT);
    }
    let renamed = alice.kith(&["contact", "rename", "Bob", "Robert"]).json();
    assert_eq!(renamed["name"], "Robert");

    let sent = alice.kith_reading(&["send", "Robert", "-"], "from\nstandard input\n").json();
    assert!(is_hex(&sent["id"], 64));
    until("the message arrives", PATIENCE, || (bob.history(&alice).len() == 1).then_some(()));
    let history = alice.kith(&["history", "Robert"]).json();
    has_shape(&history[0], MESSAGE);
    has_shape(&history[0]["author"], "account name validity");
    assert_eq!(history[0]["text"], "from\nstandard input");
    let theirs = bob.kith(&["history", "Alice"]).json();
    has_shape(&theirs[0], MESSAGE);
    assert_eq!((&theirs[0]["id"], &theirs[0]["state"]), (&sent["id"], &Value::Null));
    assert_eq!(bob.kith(&["read", "Alice"]).json(), json!({}));
    assert_eq!(bob.kith(&["settings"]).json(), json!({ "read_receipts": false }));
    for action in ["block", "unblock"] {
        has_shape(&alice.kith(&["contact", action, "Robert"]).json(), CONTACT);
    }
    assert_eq!(alice.kith(&["contact", "remove", "Robert"]).json(), json!({}));
    assert_eq!(alice.kith(&["contact", "list"]).json(), json!([]));
}

#[test]
fn history_pages_beyond_what_one_question_gives() {
    let (alice, bob) = friends();
    let ids: Vec<String> = (0..1030).map(|n| alice.says(&bob, &n.to_string())).collect();
    let history = |arguments: &[&str]| -> Vec<String> {
        let answer = alice.kith(&[&["history", "Bob"], arguments].concat()).json();
        let messages: Vec<Message> = serde_json::from_value(answer).unwrap();
        messages.into_iter().map(|message| message.id).collect()
    };
    assert_eq!(history(&[]), ids[980..], "fifty, unless told otherwise");
    assert_eq!(history(&["--limit", "1"]), ids[1029..]);
    assert_eq!(history(&["--limit", "0"]), [""; 0]);
    assert_eq!(history(&["--limit", "1010"]), ids[20..]);
    assert_eq!(history(&["--limit", "5000"]), ids);
    assert_eq!(history(&["--limit", "3", "--before", &ids[10]]), ids[7..10]);
    assert_eq!(history(&["--limit", "5000", "--before", &ids[1029]]), ids[..1029]);
    assert_eq!(history(&["--before", &ids[0]]), [""; 0]);
}

#[test]
fn watch_tells_one_event_a_line_until_the_node_stops() {
    let (mut alice, bob) = friends();
    let mut command = alice.command();
    command.arg("watch").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut watch = command.spawn().unwrap();
    let events = Events::read(watch.stdout.take().unwrap());
    // The stream says nothing when it begins: knock until it is heard.
    let mut knocks = 0;
    until("the stream runs", PATIENCE, || {
        knocks += 1;
        bob.says(&alice, &format!("knock {knocks}"));
        events.soon(|event| event["type"] == "message").then_some(())
    });
    let id = alice.says(&bob, "hello");
    events.wait("the message", |event| {
        let own = event["type"] == "message" && event["message"]["id"] == id.as_str();
        own.then(|| {
            has_shape(event, "contact message:object");
            has_shape(&event["message"], MESSAGE);
        })
    });
    events.wait_state(&id, "delivered_all");
    alice.kith(&["contact", "rename", "Bob", "Robert"]).json();
    events.wait("the contact", |event| {
        let renamed = event["type"] == "contact" && event["contact"]["name"] == "Robert";
        renamed.then(|| has_shape(&event["contact"], CONTACT))
    });
    alice.kith(&["contact", "remove", "Robert"]).json();
    events.wait("the removal", |event| {
        (event["type"] == "contact_removed").then(|| has_shape(event, "account"))
    });
    alice.down();
    events.wait_end();
    assert!(watch.wait().unwrap().success());
}

#[test]
fn stop_answers_when_the_node_is_gone() {
    let mut alice = Person::start("Alice");
    alice.down();
    assert_eq!(alice.kith(&["status"]).code, NOT_RUNNING);
    alice.up();
    assert_eq!(alice.kith(&["status"]).code, DONE);
}

#[cfg(unix)]
#[test]
fn a_service_manager_stops_it_in_order() {
    let mut alice = Person::start("Alice");
    alice.node().terminate();
    alice.has_stopped();
    assert!(!alice.home().join("api.json").exists());
    alice.up();
}

#[test]
fn recovery_words_are_shown_until_they_are_confirmed() {
    let alice = Person::start("Alice");
    let words = alice.init["recovery_words"].clone();
    assert_eq!(alice.kith(&["recovery", "show"]).json(), json!({ "words": words }));
    let word = |position: usize| format!("{position}={}", words[position - 1].as_str().unwrap());
    let wrong = alice.kith(&["recovery", "confirm", &word(3), &word(11), "20=none-such"]);
    assert!(wrong.refusal(REFUSED).contains("word 20"));
    let few = alice.kith(&["recovery", "confirm", &word(3), &word(11)]);
    assert!(few.refusal(REFUSED).contains("at least 3"));
    assert_eq!(alice.kith(&["status"]).json()["recovery_confirmed"], false);
    let confirmed = alice.kith(&["recovery", "confirm", &word(3), &word(11), &word(20)]);
    assert_eq!(confirmed.json(), json!({}));
    assert_eq!(alice.kith(&["status"]).json()["recovery_confirmed"], true);
    assert!(alice.kith(&["recovery", "show"]).refusal(REFUSED).contains("no longer"));
}

#[test]
fn a_passphrase_is_changed_while_the_node_runs_and_taken_away() {
    let old = Setup { passphrase: Some("the old one".to_owned()), ..Setup::default() };
    let mut alice = Person::start_with("Alice", old);
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (new, wrong) = (file("new", "the new one\nelse\n"), file("wrong", "a guess"));
    let change = &["passphrase", "--new-passphrase-file", &new];
    let refused = alice.kith(&[&change[..], &["--passphrase-file", &wrong]].concat());
    assert!(refused.refusal(REFUSED).contains("the passphrase is wrong"));
    let empty = ["passphrase", "--new-passphrase-file", &file("empty", "\n")];
    assert!(alice.kith(&empty).refusal(REFUSED).contains("is empty"));
    let unsaid = alice.kith(&["passphrase"]).refusal(REFUSED);
    assert!(unsaid.contains("--new-passphrase-file"), "{unsaid}");
    assert_eq!(alice.kith(&[&change[..], &["--no-passphrase"]].concat()).code, USAGE);
    assert!(alice.kith(&["recovery", "show"]).code == DONE, "nothing has changed so far");

    assert_eq!(alice.kith(change).json(), json!({}));
    assert_eq!(alice.kith(&["status"]).code, DONE, "the node has not noticed");
    let refused = alice.kith(&["recovery", "show"]).refusal(REFUSED);
    assert!(refused.contains("the passphrase is wrong"), "{refused}");
    alice.down();
    let refused = run(alice.run_command(), "").refusal(REFUSED);
    assert!(refused.contains("the passphrase is wrong"), "{refused}");
    alice.unlock_by_file(std::path::Path::new(&new));
    alice.up();
    alice.down();

    let shown = |alice: &Person| alice.kith(&["recovery", "show", "--no-passphrase"]);
    assert!(shown(&alice).refusal(REFUSED).contains("has a passphrase"));
    let without = ["passphrase", "--passphrase-file", &new, "--no-passphrase"];
    assert_eq!(alice.kith(&without).json(), json!({}));
    assert_eq!(shown(&alice).json()["words"], alice.init["recovery_words"]);
}

#[test]
fn people_get_lines_that_cannot_move_their_cursor() {
    let (alice, bob) = friends();
    alice.says(&bob, "ring \u{7}\u{1b}[2J done");
    bob.agrees(&alice, 1, PATIENCE);
    let shown = |arguments: &[&str]| {
        let mut command = bare_command();
        command.arg("--home").arg(bob.home()).args(arguments);
        run(command, "")
    };
    let history = shown(&["history", "Alice"]);
    assert!(history.out.contains("Alice [unvalidated]: ring \u{fffd}\u{fffd}[2J done"));
    let refused = shown(&["send", "Carol", "hi"]);
    assert_eq!((refused.code, refused.out.as_str()), (REFUSED, ""));
    assert!(refused.err.starts_with("kith: there is no such contact"), "{}", refused.err);
}
