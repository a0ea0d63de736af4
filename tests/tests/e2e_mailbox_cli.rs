//! How do people choose mailboxes, have several, and run one at home? The command line as others may
//! rely on it.

#![expect(clippy::unwrap_used, reason = "tests and their helpers fail by panicking")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use kith_tests::process::{Events, Mailbox, PATIENCE, Person, free_port, until};
use serde_json::{Value, json};

const REFUSED: i32 = 1;
const USAGE: i32 = 2;
const NOT_RUNNING: i32 = 3;

fn texts(said: &[&str]) -> Vec<String> {
    said.iter().map(ToString::to_string).collect()
}

#[test]
fn a_mailbox_is_chosen_shown_and_given_up() {
    let mailbox = Mailbox::start();
    let mut alice = Person::with_mail("Alice");
    assert_eq!(alice.kith(&["mailbox", "show"]).json(), json!([]));
    assert!(alice.tells(&["mailbox", "show"]).contains("You have no mailbox"));

    let chosen = alice.kith(&["mailbox", "set", &mailbox.url(), "--days", "1"]).json();
    assert_eq!(chosen[0]["url"], mailbox.url());
    alice.has_open_queues();
    let shown = alice.kith(&["mailbox", "show"]).json();
    let expected = json!([{ "url": mailbox.url(), "days": 1, "queues": 2, "queues_open": 2 }]);
    assert_eq!(shown, expected);
    assert!(alice.tells(&["mailbox", "show"]).contains(" 1 day   open"));
    let days: i64 =
        mailbox.database().query_row("SELECT max(days) FROM queues", [], |row| row.get(0)).unwrap();
    assert_eq!(days, 1);

    assert_eq!(alice.kith(&["mailbox", "none"]).json(), json!([]));
    until("its queues are gone", PATIENCE, || (mailbox.queues() == 0).then_some(()));
    alice.down();
    let stopped = alice.kith(&["mailbox", "show"]).refusal(NOT_RUNNING);
    assert!(stopped.contains("kith run"), "{stopped}");
}

#[test]
fn what_is_no_mailbox_is_refused() {
    let alice = Person::with_mail("Alice");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let refused = alice.kith(&["mailbox", "set", &nobody]).refusal(REFUSED);
    assert!(refused.contains("nothing answers at this address"), "{refused}");

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", other.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut caller in other.incoming().map_while(Result::ok) {
            let _ = caller.read(&mut [0; 4096]);
            let _ = caller.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n<html/>");
        }
    });
    let refused = alice.kith(&["mailbox", "set", &url]).refusal(REFUSED);
    assert!(refused.contains("no mailbox"), "{refused}");

    alice.kith(&["mailbox", "set", "ftp://mail.example.org"]).refusal(REFUSED);
    alice.kith(&["mailbox", "set", "none", &nobody]).refusal(USAGE);
    assert_eq!(alice.kith(&["mailbox", "show"]).json(), json!([]));

    let chosen = alice.kith(&["mailbox", "set", &nobody, "--force"]).json();
    assert_eq!(chosen[0]["url"], nobody);
    let trouble = until("it says what is wrong", PATIENCE, || {
        let shown = alice.kith(&["mailbox", "show"]).json();
        shown[0]["trouble"].as_str().map(str::to_owned)
    });
    assert!(trouble.contains("nothing answers"), "{trouble}");
    assert!(alice.tells(&["mailbox", "show"]).contains("does not work"));
}

#[test]
fn who_does_not_say_the_access_word_has_no_queue() {
    let mailbox = Mailbox::start_with("warn", &["--access", "swordfish"]);
    let alice = Person::with_mail("Alice");
    let refused = alice.kith(&["mailbox", "set", &mailbox.url()]).refusal(REFUSED);
    assert!(refused.contains("--access") || refused.contains("word"), "{refused}");
    alice.kith(&["mailbox", "set", &mailbox.url(), "--access", "pike", "--force"]).json();
    until("it says what is wrong", PATIENCE, || {
        alice.kith(&["mailbox", "show"]).json()[0]["trouble"].as_str().map(drop)
    });
    assert_eq!(mailbox.queues(), 0);
    alice.kith(&["mailbox", "set", &mailbox.url(), "--access", "swordfish"]).json();
    alice.has_open_queues();
    assert!(!alice.log().contains("swordfish") && !mailbox.log().contains("swordfish"));
}

#[test]
fn where_the_first_of_two_mailboxes_is_away_the_second_serves() {
    let (mut first, second) = (Mailbox::start(), Mailbox::start());
    let urls = [first.url(), second.url()];
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let [mut alice, mut bob] = Person::contacts_by_mail(["Alice", "Bob"], &urls);
    first.kill();
    alice.up();
    second.gets(|| alice.says(&bob, "by the second"));
    alice.down();

    bob.up();
    bob.shows(&alice, &texts(&["Alice is ready", "Bob is ready", "by the second"]));
    second.gets(|| bob.says(&alice, "the same way back"));
    bob.down();

    first.up();
    alice.up();
    alice.is_heard_by(&bob);
    assert_eq!(first.puts(), 0, "the first had nothing to do with it");
    first.gets(|| alice.says(&bob, "by the first"));
}

/// `kith mailbox host`, stopped when dropped.
struct Host {
    child: Child,
    lines: Events,
}

impl Host {
    fn start(person: &Person, arguments: &[&str]) -> Self {
        let mut command = person.command();
        command.args(["mailbox", "host"]).args(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = Events::read(child.stdout.take().unwrap());
        Self { child, lines }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // In order, so that the server that it runs ends with it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

#[test]
fn one_command_runs_a_mailbox_at_home() {
    let [mut alice, mut bob] = ["Alice", "Bob"].map(Person::with_mail);
    alice.befriends(&bob);
    let listen = format!("127.0.0.1:{}", free_port());
    let host = Host::start(&bob, &["--listen", &listen]);
    let told: Value = host.lines.wait("it says where it is", |line| Some(line.clone()));
    let url = format!("http://{listen}");
    assert_eq!(told, json!({ "url": url, "listening": url, "chosen": true }));
    bob.has_open_queues();
    bob.is_known_to(&alice);
    bob.down();

    alice.says(&bob, "left at Bob's home");
    let said = texts(&["Bob is ready", "left at Bob's home"]);
    let database = bob.home().join("mailbox").join("mailbox.sqlite");
    until("a letter lies there", PATIENCE, || {
        let database = rusqlite::Connection::open(&database).unwrap();
        let count = "SELECT count(*) FROM blobs";
        (database.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap() > 0).then_some(())
    });
    alice.down();
    bob.up();
    bob.shows(&alice, &said);
    drop(host);
    assert!(std::net::TcpStream::connect(&listen).is_err(), "the server ended with the command");
}
