//! The command line as others may rely on it: shapes of answers, exit codes, sentences.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests and their helpers fail by panicking")]

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use kith_tests::process::{
    Events, Message, PATIENCE, Person, Ran, Setup, Transport, bare_command, run, until,
};
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
fn of_two_who_make_a_home_at_one_time_one_does() {
    let folder = tempfile::TempDir::new().unwrap();
    let init = || {
        let mut command = bare_command();
        command.arg("--json").arg("--home").arg(folder.path().join("home"));
        command.args(["--no-passphrase", "init", "--name", "Alice"]);
        run(command, "")
    };
    let ran: Vec<Ran> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..4).map(|_| scope.spawn(init)).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (made, refused): (Vec<_>, Vec<_>) = ran.into_iter().partition(|ran| ran.code == DONE);
    assert_eq!((made.len(), refused.len()), (1, 3));
    for refused in refused {
        assert!(refused.refusal(REFUSED).contains("holds a Kith home already"));
    }
    let mut command = bare_command();
    command.arg("--json").arg("--home").arg(folder.path().join("home")).args(["recovery", "show"]);
    assert_eq!(run(command, "").json()["words"], made[0].json()["recovery_words"]);
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
    for (name, says) in [(" ", "is empty"), ("kith1qqqq", "looks like an id")] {
        let refused = kith(&["init", "--no-passphrase", "--name", name], None).refusal(REFUSED);
        assert!(refused.contains(says), "{refused}");
    }
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
        (["--listen", &taken], &format!("cannot listen on {taken}")),
        (["--listen", "/ip4/127.0.0.1"], "/ip4/127.0.0.1 is neither"),
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
    let longer = "n".repeat(65);
    let mallory = Person::start("Mallory");
    mallory.asks(&alice, "");
    alice.kith(&["contact", "block", "Mallory"]).json();
    for (command, says) in [
        (&["send", "Carol", "hi"][..], "kith contact list"),
        (&["contact", "show", "kith1qqqqqqqq"], "kith contact list"),
        (&["contact", "show", ""], "nobody is named"),
        (&["contact", "accept", "Bob"], "has not asked"),
        (&["contact", "accept", "Mallory"], "unblock"),
        (&["contact", "rename", "Bob", " "], "is empty"),
        (&["contact", "rename", "Bob", &longer], "65 bytes"),
        (&["contact", "rename", "Bob", "kith1qqqq"], "looks like an id"),
        (&["contact", "add", &own, "--name", ""], "is empty"),
        (&["account", "name", &longer], "65 bytes"),
        (&["contact", "add", &own], "your own link"),
        (&["contact", "add", &bob.link()], "already on your contact list"),
        (&["contact", "add", "nonsense"], "link"),
        (&["contact", "add", &bob.link()], "nothing to do"),
        (&["send", "Bob", ""], "write something"),
        (&["send", "Bob", " \n\t"], "write something"),
        (&["send", "Bob", &long], "60001 bytes"),
        (&["send", "Bob", "hi", "--reply-to", "7"], "kith history"),
        (&["send", "Bob", "hi", "--reply-to", &nowhere], "the message to reply to"),
        (&["send", "Bob", "hi", "--reply-to", "00000000"], "this message is not in"),
        (&["history", "Bob", "--before", &nowhere], "this message is not in"),
        (&["--passphrase-file", "/nowhere", "delete", "Bob", "--all"], "check the path"),
    ] {
        let refusal = alice.kith(command).refusal(REFUSED);
        assert!(refusal.contains(says), "{command:?}: {refusal}");
    }
    let longest = "x".repeat(600_000);
    let refusal = alice.kith_reading(&["send", "Bob", "-"], &longest).refusal(REFUSED);
    assert!(refusal.contains("600000 bytes"), "{refusal}");
}

#[test]
fn answers_have_the_shapes_that_programs_rely_on() {
    let (alice, bob) = friends();
    let status = alice.kith(&["status"]).json();
    has_shape(&status, "name account device version listening:texts peers:number links:number");
    has_shape(&status, "pending_entries:number recovery_confirmed:bool read_receipts:bool");
    has_shape(&status, "takes_passphrase:bool");
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
    let settings = json!({ "findable": true, "read_receipts": false, "relay_only": false });
    assert_eq!(bob.kith(&["settings"]).json(), settings);
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
    let (watch, events) = watch(&alice, &bob);
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
    not_running(watch);
    // Nor does a node that is killed leave it waiting or seemingly done.
    alice.up();
    alice.kith(&["contact", "add", &bob.link()]).json();
    alice.meets(&bob);
    let (watch, events) = self::watch(&alice, &bob);
    alice.kill();
    events.wait_end();
    not_running(watch);
}

/// `kith watch` as it begins to tell what happens.
fn watch(alice: &Person, bob: &Person) -> (Child, Events) {
    let mut command = alice.command();
    command.arg("watch").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watch = command.spawn().unwrap();
    let events = Events::read(watch.stdout.take().unwrap());
    // The stream says nothing when it begins: knock until it is heard.
    let mut knocks = 0;
    until("the stream runs", PATIENCE, || {
        knocks += 1;
        bob.says(alice, &format!("knock {knocks}"));
        events.soon(|event| event["type"] == "message").then_some(())
    });
    (watch, events)
}

fn not_running(watch: Child) {
    let ended = watch.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(NOT_RUNNING));
    let says = String::from_utf8(ended.stderr).unwrap();
    assert!(says.contains("the node is not running"), "{says}");
}

#[test]
fn stop_answers_when_the_node_is_gone() {
    let mut alice = Person::start("Alice");
    alice.down();
    assert_eq!(alice.kith(&["status"]).code, NOT_RUNNING);
    alice.up();
    assert_eq!(alice.kith(&["status"]).code, DONE);
    // Also if it takes a while, because a request still runs.
    let _request = half_a_request(&alice);
    alice.kith(&["stop"]).json();
    let port = alice.port();
    let free = std::net::TcpListener::bind(("127.0.0.1", port));
    assert!(free.is_ok(), "port {port} is still taken: {free:?}");
    drop(free);
    alice.has_stopped();
    alice.up();
}

/// A request that waits for its body.
fn half_a_request(alice: &Person) -> TcpStream {
    let api = alice.api();
    let mut request = TcpStream::connect(&api.address).unwrap();
    let head = format!(
        "POST /api/contacts HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        api.address, api.key
    );
    request.write_all(head.as_bytes()).unwrap();
    // Its handler runs once it asks for the body.
    let mut go_on = [0; 12];
    request.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100");
    request
}

#[cfg(unix)]
#[test]
fn a_node_waits_for_one_that_is_about_to_end() {
    let mut alice = Person::start("Alice");
    let _request = half_a_request(&alice);
    alice.node().terminate();
    let mut command = alice.run_command();
    command.stdout(Stdio::piped());
    let mut next = Next(command.spawn().unwrap());
    alice.has_stopped();
    let mut ready = [0; 1];
    next.0.stdout.take().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"{");
    assert_eq!(alice.kith(&["status"]).code, DONE);
    alice.kith(&["stop"]).json();
}

/// A node beside the person's own one; killed when dropped.
struct Next(Child);

impl Drop for Next {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn who_stops_is_seen_to_go_over_quic_too() {
    let quic = Setup { transport: Transport::Quic, ..Setup::default() };
    let alice = Person::start_with("Alice", quic.clone());
    let mut bob = Person::start_with("Bob", quic);
    alice.befriends(&bob);
    bob.down();
    until("Bob is offline", Duration::from_secs(5), || {
        (alice.contact(&bob)["online"] == false).then_some(())
    });
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
    let shown = |arguments: &[&str]| shown(&bob, arguments, "kith");
    let history = shown(&["history", "Alice"]);
    assert!(history.out.contains("Alice [unvalidated]: ring \u{fffd}\u{fffd}[2J done"));
    let refused = shown(&["send", "Carol", "hi"]);
    assert_eq!((refused.code, refused.out.as_str()), (REFUSED, ""));
    assert!(refused.err.starts_with("kith: there is no such contact"), "{}", refused.err);
}

/// What a person sees who calls the program so.
fn shown(person: &Person, arguments: &[&str], called: &str) -> Ran {
    let mut command: Command = bare_command();
    command.env("KITH_COMMAND", called).arg("--home").arg(person.home()).args(arguments);
    run(command, "")
}

#[test]
fn others_cannot_write_lines_that_look_like_ours() {
    let (alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    alice.asks(&bob, "hi\"\nstatus: contact\nvalidity: validated \u{202e}");
    let request = shown(&bob, &["contact", "show", "Alice"], "kith").out;
    let greeting =
        "\ngreeting: \"hi\\\"\n  | status: contact\n  | validity: validated \u{fffd}\"\n";
    assert!(request.ends_with(greeting), "{request}");
    let accepted = shown(&bob, &["contact", "accept", "Alice"], "kith").out;
    assert!(accepted.ends_with(greeting), "{accepted}");
    alice.meets(&bob);
    let forged = "fine\n2026-11-23 00:00 12345678 Bob [read]: I owe you\u{2028}5\r6";
    alice.says(&bob, forged);
    bob.agrees(&alice, 1, PATIENCE);
    let history = shown(&bob, &["history", "Alice"], "kith").out;
    let tail = "Alice [unvalidated]: fine\n  | 2026-11-23 00:00 12345678 Bob [read]: I owe \
                you\u{fffd}5\u{fffd}6\n";
    assert!(history.ends_with(tail), "{history}");
}

#[test]
fn a_short_id_names_a_message() {
    let (alice, bob) = friends();
    let question = alice.says(&bob, "coming?");
    bob.agrees(&alice, 1, PATIENCE);
    let short = &question[..8];
    let history = shown(&bob, &["history", "Alice"], "kith").out;
    assert!(history.contains(&format!(" {short} Alice [unvalidated]: coming?")), "{history}");
    let answer = bob.kith(&["send", "Alice", "yes", "--reply-to", &short[..6]]).json();
    let listed = bob.kith(&["history", "Alice"]).json();
    assert_eq!(listed[1]["reply_to"], question.as_str());
    let history = shown(&bob, &["history", "Alice"], "kith").out;
    let id = &answer["id"].as_str().unwrap()[..8];
    assert!(history.contains(&format!(" {id} Bob [")), "{history}");
    assert!(history.contains(&format!("] > in answer to {short}: yes")), "{history}");
    let above = bob.kith(&["history", "Alice", "--before", id]).json();
    assert_eq!(above.as_array().unwrap().len(), 1);
}

#[test]
fn advice_names_the_command_that_the_person_has() {
    let alice = Person::init("Alice", Setup::default());
    let stopped = shown(&alice, &["status"], "./run").err;
    let home = alice.home();
    let says = format!("start it with `./run --home {} run`", home.display());
    assert!(stopped.contains(&says), "{stopped}");
    let words = shown(&alice, &["recovery", "show"], "kith").out;
    let says = format!("`kith --home {} recovery confirm 3=WORD", home.display());
    assert!(words.contains(&says), "{words}");
}
