//! Do people find each other who know no address? Stories with real nodes and real bootstraps.

#![expect(clippy::unwrap_used, reason = "tests and their helpers fail by panicking")]

use kith_tests::process::{Bootstrap, PATIENCE, Person, Setup, multicast_works, until};

#[path = "../../common/net/src/resolver/tests/name_server.rs"]
mod name_server;

fn hears(who: &Person, whom: &Person, text: &str) {
    until(&format!("{} hears {text}", who.name), PATIENCE, || {
        who.history(whom).into_iter().any(|message| message.text == text).then_some(())
    });
}

/// alice and bob, who became contacts by bob's id alone.
fn by_an_id(bootstraps: &[&Bootstrap]) -> [Person; 2] {
    let [alice, bob] =
        ["Alice", "Bob"].map(|name| Person::start_with(name, Setup::beginning_at(bootstraps)));
    let sought = alice.kith(&["contact", "add", &bob.id(), "--greeting", "from the fair"]).json();
    let sought = sought.pointer("/0/id").and_then(|id| id.as_str());
    assert_eq!(sought, Some(bob.id().as_str()));
    bob.sees(&alice, "status", "pending");
    bob.sees(&alice, "greeting", "from the fair");
    bob.kith(&["contact", "accept", "Alice"]).json();
    alice.sees(&bob, "status", "contact");
    [alice, bob]
}

#[test]
fn an_id_is_enough() {
    let bootstrap = Bootstrap::start();
    let [alice, bob] = by_an_id(&[&bootstrap]);
    alice.says(&bob, "there you are");
    hears(&bob, &alice, "there you are");
    bob.says(&alice, "here I am");
    hears(&alice, &bob, "here I am");
    assert_eq!(alice.kith(&["contact", "sought"]).json().as_array().map(Vec::len), Some(0));
}

/// Strangers in one local network are connected, but say over a relay alone who they are.
#[test]
fn neighbours_who_know_an_id_need_not_wait() {
    if !multicast_works() {
        println!("SKIPPED: this machine has no multicast");
        return;
    }
    let bootstrap = Bootstrap::start();
    let setup = Setup { mdns: true, ..Setup::beginning_at(&[&bootstrap]) };
    // Whoever dials first is the one who would have to wait: of several, chance chooses.
    let [alice, others @ ..] =
        ["Alice", "Bob", "Carol", "Dave"].map(|name| Person::start_with(name, setup.clone()));
    until("they are neighbours", PATIENCE, || {
        let links = alice.kith(&["status"]).json()["links"].as_u64();
        (links >= Some(3)).then_some(())
    });
    for other in &others {
        alice.kith(&["contact", "add", &other.id()]).json();
    }
    for other in &others {
        other.sees(&alice, "status", "pending");
        other.kith(&["contact", "accept", "Alice"]).json();
        alice.says(other, "good morning, neighbour");
        hears(other, &alice, "good morning, neighbour");
    }
}

#[test]
fn a_name_stands_for_several_bootstraps() {
    let mut bootstraps = Bootstrap::network(2);
    let texts: Vec<(&str, Vec<String>)> = bootstraps
        .iter()
        .flat_map(Bootstrap::addresses)
        .map(|at| ("_dnsaddr.boot.example.test.", vec![format!("dnsaddr={at}")]))
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_server, at) = runtime.block_on(name_server::name_server(&texts));
    let name = "/dnsaddr/boot.example.test".to_owned();
    let at = at.to_string();
    let arguments = ["--bootstrap", &name, "--name-server", &at, "--no-upnp"];
    let setup = Setup { arguments: arguments.map(str::to_owned).to_vec(), ..Setup::default() };
    let [alice, bob] = ["Alice", "Bob"].map(|name| Person::start_with(name, setup.clone()));
    bootstraps[0].kill();
    alice.kith(&["contact", "add", &bob.id()]).json();
    bob.sees(&alice, "status", "pending");
}

#[test]
fn without_a_bootstrap_an_id_is_refused_with_what_to_do() {
    let alone = Setup { arguments: vec!["--no-built-in".to_owned()], ..Setup::default() };
    let [alice, bob] = ["Alice", "Bob"].map(|name| Person::start_with(name, alone.clone()));
    let refusal = alice.kith(&["contact", "add", &bob.id()]).refusal(1);
    assert!(refusal.contains("kith bootstrap set"), "{refusal}");
}

#[test]
fn both_move_while_off_and_two_of_three_bootstraps_die() {
    let mut bootstraps = Bootstrap::network(3);
    let [mut alice, mut bob] = by_an_id(&bootstraps.iter().collect::<Vec<_>>());
    for (round, bootstrap) in bootstraps[..2].iter_mut().enumerate() {
        bootstrap.kill();
        for person in [&mut alice, &mut bob] {
            person.down();
            person.moves();
        }
        alice.up();
        bob.up();
        let text = format!("round {round}");
        alice.says(&bob, &text);
        hears(&bob, &alice, &text);
    }
}

/// Each of what a bootstrap offers is enough to find somebody who has moved.
#[test]
fn records_alone_are_enough_and_so_are_places_and_so_is_what_needs_no_relay() {
    for without in ["--registrations-max", "--records-max", "--circuits-max"] {
        let bootstrap = Bootstrap::start_with(Vec::new(), &[without, "0"], &[]);
        let [mut alice, mut bob] = ["Alice", "Bob"]
            .map(|name| Person::start_with(name, Setup::beginning_at(&[&bootstrap])));
        alice.befriends(&bob);
        for person in [&mut alice, &mut bob] {
            person.down();
            person.moves();
        }
        bob.up();
        alice.up();
        alice.says(&bob, without);
        hears(&bob, &alice, without);
    }
}

#[test]
fn relay_only_keeps_addresses_from_contacts() {
    let bootstrap = Bootstrap::start();
    let [mut alice, mut bob] =
        ["Alice", "Bob"].map(|name| Person::start_with(name, Setup::beginning_at(&[&bootstrap])));
    alice.kith(&["settings", "--relay-only", "on"]).json();
    until("alice is reached through the relay alone", PATIENCE, || {
        let status = alice.kith(&["status"]).json();
        let all = status["listening"].as_array().cloned().unwrap_or_default();
        let relayed =
            |at: &serde_json::Value| at.as_str().is_some_and(|at| at.contains("p2p-circuit"));
        (!all.is_empty() && all.iter().all(relayed)).then_some(())
    });
    let own = format!("tcp/{}", alice.port());
    bob.kith(&["contact", "add", &alice.id()]).json();
    alice.sees(&bob, "status", "pending");
    alice.kith(&["contact", "accept", "Bob"]).json();
    bob.says(&alice, "hello");
    hears(&alice, &bob, "hello");
    assert_eq!(bob.connection("Alice").as_deref(), Some("relayed"));
    assert_eq!(alice.connection("Bob").as_deref(), Some("relayed"));
    for person in [&mut alice, &mut bob] {
        person.down();
    }
    let database = std::fs::read_dir(bob.home()).expect("a home").flatten();
    assert!(database.count() > 0);
    bob.up();
    alice.up();
    bob.says(&alice, "again");
    hears(&alice, &bob, "again");
    assert_eq!(bob.connection("Alice").as_deref(), Some("relayed"));
    let link = alice.link();
    assert!(!link.contains(&own), "the link tells no address either");
}

#[test]
fn who_does_not_want_to_be_found_by_an_id_is_not() {
    let bootstrap = Bootstrap::start();
    let [alice, bob] =
        ["Alice", "Bob"].map(|name| Person::init(name, Setup::beginning_at(&[&bootstrap])));
    let [mut alice, mut bob] = [alice, bob];
    bob.up();
    bob.kith(&["settings", "--findable", "off"]).json();
    let id = bob.id();
    bob.down();
    bob.up();
    alice.up();
    alice.kith(&["contact", "add", &id]).json();
    until("alice has looked", PATIENCE, || {
        let finding = alice.kith(&["bootstrap", "show"]).json();
        (finding["relays"].as_u64() > Some(0)).then_some(())
    });
    // Time enough for what takes a second when he may be found.
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(
        bob.kith(&["contact", "list"]).json().as_array().map(Vec::len),
        Some(0),
        "he was asked"
    );
    alice.kith(&["contact", "forget", &id]).json();
    assert_eq!(alice.kith(&["contact", "sought"]).json().as_array().map(Vec::len), Some(0));
}
