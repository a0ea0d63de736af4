//! Two people become contacts and talk, each with a home and a node of their own.

#![expect(clippy::expect_used, reason = "tests and their helpers fail by panicking")]

use std::time::Duration;

use kith_tests::process::{
    Message, PATIENCE, Person, Setup, Transport, bare_command, multicast_works, run, until,
};
use serde_json::Value;

const LONG: Duration = Duration::from_secs(60);

fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}

fn state_of(person: &Person, other: &Person, id: &str) -> String {
    let history = person.history(other);
    let message = history.iter().find(|message| message.id == id).expect("the message is there");
    message.state.clone().expect("a message of one's own has a state")
}

#[test]
fn a_request_is_shown_and_accepted_and_both_can_write() {
    let (alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    bob.asks(&alice, "We met at the library.");
    assert_eq!(bob.contact(&alice)["status"], "requested");
    let asked = alice.contact(&bob);
    assert_eq!(asked["name"], "Bob");
    assert_eq!(asked["greeting"], "We met at the library.");
    assert_eq!(asked["online"], false, "nobody is shown who we are before we agree");

    let early = alice.kith(&["send", "Bob", "too early"]);
    assert!(early.refusal(1).contains("accept the request first"));
    alice.kith(&["contact", "accept", "Bob"]).json();
    bob.sees(&alice, "status", "contact");
    alice.meets(&bob);

    let (at_alice, at_bob) = (alice.api().events(), bob.api().events());
    let hello = alice.kith(&["send", "Bob", "Hello Bob"]).json();
    assert_eq!(at_bob.wait_text("Hello Bob"), hello["id"].as_str().unwrap());
    bob.says(&alice, "Hello Alice");
    at_alice.wait_text("Hello Alice");
    let talk = alice.agrees(&bob, 2, PATIENCE);
    assert_eq!(texts(&talk), ["Hello Bob", "Hello Alice"]);
    assert!(talk[0].author.me && !talk[1].author.me);
    assert_eq!(talk[1].author.name, "Bob");
}

#[test]
fn what_was_written_before_the_answer_arrives_after_it() {
    let (alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    bob.asks(&alice, "");
    let id = bob.says(&alice, "It is me.");
    assert_eq!(state_of(&bob, &alice, &id), "queued");
    let told = bob.api().events();
    alice.kith(&["contact", "accept", "Bob"]).json();
    told.wait_state(&id, "delivered_all");
    assert_eq!(texts(&alice.history(&bob)), ["It is me."]);
}

#[test]
fn a_message_is_queued_then_delivered_then_read() {
    let (mut alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    alice.befriends(&bob);
    alice.down();
    let id = bob.says(&alice, "Are you there?");
    assert_eq!(state_of(&bob, &alice, &id), "queued");
    let told = bob.api().events();
    alice.up();
    told.wait_state(&id, "delivered_all");
    assert_eq!(state_of(&bob, &alice, &id), "delivered_all");
    assert_eq!(alice.contact(&bob)["unread"], 1);

    // Nobody is told what was read before the reader agrees to that.
    alice.kith(&["read", "Bob"]).json();
    assert_eq!(alice.contact(&bob)["unread"], 0);
    let next = bob.says(&alice, "And this?");
    told.wait_state(&next, "delivered_all");
    assert_eq!(state_of(&bob, &alice, &id), "delivered_all");

    let on = alice.kith(&["settings", "--read-receipts", "on"]).json();
    assert_eq!(on["read_receipts"], true);
    alice.kith(&["read", "Bob"]).json();
    told.wait_state(&next, "read");
    assert_eq!(state_of(&bob, &alice, &id), "read");
}

#[test]
fn a_reply_names_what_it_answers() {
    let (alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    alice.befriends(&bob);
    let at_bob = bob.api().events();
    let question = alice.says(&bob, "Tea or coffee?");
    at_bob.wait_text("Tea or coffee?");
    let answer = bob.kith(&["send", "Alice", "Tea", "--reply-to", &question]).json();
    let talk = alice.agrees(&bob, 2, PATIENCE);
    assert_eq!(talk[1].id, answer["id"].as_str().unwrap());
    assert_eq!(talk[1].reply_to.as_deref(), Some(question.as_str()));
    assert_eq!(talk[1].parents, [question]);

    let nowhere = "0".repeat(64);
    let refused = bob.kith(&["send", "Alice", "Tea", "--reply-to", &nowhere]);
    assert!(refused.refusal(1).contains("not in this conversation"));
}

#[test]
fn a_hundred_messages_wait_for_somebody_offline() {
    let (mut alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    bob.befriends(&alice);
    alice.down();
    let sent: Vec<String> = (1..=100).map(|n| format!("message {n}")).collect();
    for text in &sent {
        bob.says(&alice, text);
    }
    alice.up();
    let talk = alice.agrees(&bob, 100, LONG);
    assert_eq!(texts(&talk), sent);
    until("all are delivered", PATIENCE, || {
        let talk = bob.history(&alice);
        talk.iter().all(|m| m.state.as_deref() == Some("delivered_all")).then_some(())
    });
}

fn both_restart_and_go_on(transport: Transport) {
    let with = || Setup { transport, ..Setup::default() };
    let (mut alice, mut bob) =
        (Person::start_with("Alice", with()), Person::start_with("Bob", with()));
    alice.befriends(&bob);
    alice.says(&bob, "before");
    alice.agrees(&bob, 1, PATIENCE);
    alice.down();
    bob.kill();
    bob.up();
    alice.up();
    alice.meets(&bob);
    bob.says(&alice, "after");
    let talk = alice.agrees(&bob, 2, PATIENCE);
    assert_eq!(texts(&talk), ["before", "after"]);
}

#[test]
fn after_both_restarted_they_find_each_other_over_tcp() {
    both_restart_and_go_on(Transport::Tcp);
}

#[test]
fn after_both_restarted_they_find_each_other_over_quic() {
    both_restart_and_go_on(Transport::Quic);
}

#[test]
fn two_who_add_each_other_need_no_answer() {
    let (alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    let (of_alice, of_bob) = (alice.link(), bob.link());
    alice.kith(&["contact", "add", &of_bob]).json();
    // Whichever comes first at Bob, the request or his own wish: both agreed.
    bob.kith(&["contact", "add", &of_alice]).json();
    alice.sees(&bob, "status", "contact");
    bob.sees(&alice, "status", "contact");
    alice.meets(&bob);
    alice.says(&bob, "hello");
    alice.agrees(&bob, 1, PATIENCE);
}

#[test]
fn a_blocked_person_is_neither_heard_nor_seen_until_unblocked() {
    let (alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    bob.befriends(&alice);
    bob.says(&alice, "one");
    alice.agrees(&bob, 1, PATIENCE);
    let blocked = alice.kith(&["contact", "block", "Bob"]).json();
    assert_eq!(blocked["status"], "blocked");
    bob.sees(&alice, "online", false);
    let unheard = bob.says(&alice, "two");
    assert!(alice.kith(&["send", "Bob", "no"]).refusal(1).contains("unblock"));
    assert_eq!(state_of(&bob, &alice, &unheard), "queued");
    assert_eq!(texts(&alice.history(&bob)), ["one"]);

    let told = bob.api().events();
    alice.kith(&["contact", "unblock", "Bob"]).json();
    told.wait_state(&unheard, "delivered_all");
    assert_eq!(texts(&alice.history(&bob)), ["one", "two"]);
}

#[test]
fn a_removed_person_is_gone_and_may_ask_again() {
    let (alice, bob) = (Person::start("Alice"), Person::start("Bob"));
    bob.befriends(&alice);
    bob.says(&alice, "kept");
    alice.agrees(&bob, 1, PATIENCE);
    let told = alice.api().events();
    assert_eq!(bob.contact(&alice)["status"], "contact");
    alice.kith(&["contact", "remove", "Bob"]).json();
    told.wait("the contact is gone", |event| (event["type"] == "contact_removed").then_some(()));
    assert_eq!(alice.contact(&bob), Value::Null);
    bob.sees(&alice, "online", false);
    assert!(alice.kith(&["history", "Bob"]).refusal(1).contains("no such contact"));

    // The removed one still has the contact; the other asks anew and finds the conversation.
    alice.kith(&["contact", "add", &bob.link()]).json();
    alice.sees(&bob, "status", "contact");
    alice.meets(&bob);
    assert_eq!(texts(&alice.history(&bob)), ["kept"]);
}

#[test]
fn an_address_given_by_hand_helps_where_the_link_is_out_of_date() {
    let (mut alice, mut bob) = (Person::start("Alice"), Person::init("Bob", Setup::default()));
    let link = alice.link();
    alice.down();
    alice.moves();
    alice.up();
    bob.more_arguments(&["--peer", &alice.address()]);
    bob.up();
    bob.kith(&["contact", "add", &link]).json();
    alice.sees(&bob, "status", "pending");
    alice.kith(&["contact", "accept", "Bob"]).json();
    alice.meets(&bob);
    alice.says(&bob, "found");
    alice.agrees(&bob, 1, PATIENCE);
}

#[test]
fn neighbours_need_no_address() {
    if !multicast_works() {
        println!("SKIPPED: this machine has no multicast");
        return;
    }
    let with = || Setup { mdns: true, ..Setup::default() };
    let (mut alice, mut bob) =
        (Person::start_with("Alice", with()), Person::start_with("Bob", with()));
    let link = alice.link();
    // Alice's port changes with every start: what the link says is of no use.
    alice.down();
    alice.up();
    bob.kith(&["contact", "add", &link]).json();
    alice.sees(&bob, "status", "pending");
    alice.kith(&["contact", "accept", "Bob"]).json();
    alice.meets(&bob);
    bob.down();
    alice.down();
    alice.up();
    bob.up();
    alice.meets(&bob);
    alice.says(&bob, "hello neighbour");
    alice.agrees(&bob, 1, PATIENCE);
}

#[test]
fn a_passphrase_opens_the_home_and_a_wrong_one_does_not() {
    let passphrase = "correct horse battery staple";
    let with = Setup { passphrase: Some(passphrase.into()), ..Setup::default() };
    let mut alice = Person::init("Alice", with);
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let start = |passphrase_file: Option<&std::path::Path>| {
        let mut command = bare_command();
        command.arg("--json").arg("--home").arg(alice.home());
        if let Some(file) = passphrase_file {
            command.arg("--passphrase-file").arg(file);
        }
        command.args(["run", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"]);
        run(command, "")
    };
    let wrong = start(Some(&file("wrong", "incorrect\n"))).refusal(1);
    assert!(wrong.contains("passphrase is wrong"), "{wrong}");
    let none = start(None).refusal(1);
    assert!(none.contains("--passphrase-file"), "{none}");
    let missing = start(Some(&folder.path().join("missing"))).refusal(1);
    assert!(missing.contains("cannot read"), "{missing}");

    // From the surroundings, then from a file of which only the first line counts.
    alice.up();
    alice.down();
    let right = file("right", &format!("{passphrase}\nnothing\n"));
    alice.unlock_by_file(&right);
    alice.up();
    assert_eq!(alice.kith(&["status"]).json()["name"], "Alice");
}

#[test]
fn a_home_runs_one_node_only() {
    let alice = Person::start("Alice");
    let before = std::fs::read(alice.home().join("api.json")).unwrap();
    let second = run(alice.run_command(), "").refusal(1);
    assert!(second.contains("another Kith has this home open"), "{second}");
    assert_eq!(std::fs::read(alice.home().join("api.json")).unwrap(), before);
    assert_eq!(alice.kith(&["status"]).code, 0, "the first one goes on");
}
