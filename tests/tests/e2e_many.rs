//! Do many find each other when most of what helped them is gone? Real nodes and real bootstraps on
//! one machine: two of three bootstraps and a third of the nodes are killed, the others have moved.
//!
//! `KITH_NODES` says how many; 12 if it does not, 50 in the slow checks.

#![expect(clippy::indexing_slicing, reason = "a test stops at the first thing that is wrong")]

use std::time::{Duration, Instant};

use kith_tests::process::{Bootstrap, Person, Setup, until};

/// Time for everything that many processes do on two cores.
const PATIENCE: Duration = Duration::from_secs(180);

fn count() -> usize {
    std::env::var("KITH_NODES").ok().and_then(|count| count.parse().ok()).unwrap_or(12)
}

/// Each is a contact of the next and of the one seven further on.
fn pairs(count: usize) -> Vec<(usize, usize)> {
    let of = |one: usize| [(one, (one + 1) % count), (one, (one + 7) % count)];
    let mut pairs: Vec<(usize, usize)> =
        (0..count).flat_map(of).map(|(one, other)| (one.min(other), one.max(other))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn has_heard(who: &Person, whom: &Person, text: &str) -> bool {
    who.history(whom).into_iter().any(|message| message.text == text)
}

/// Everybody writes to everybody they know, and is heard.
fn all_hear(people: &[Person], pairs: &[(usize, usize)], text: &str) -> Duration {
    let begin = Instant::now();
    for (one, other) in pairs {
        people[*one].says(&people[*other], text);
        people[*other].says(&people[*one], text);
    }
    for (one, other) in pairs {
        let (one, other) = (&people[*one], &people[*other]);
        let what = format!("{} and {} hear {text}", one.name, other.name);
        until(&what, PATIENCE, || {
            (has_heard(one, other, text) && has_heard(other, one, text)).then_some(())
        });
    }
    begin.elapsed()
}

fn percentile(sorted: &[u64], hundredths: usize) -> u64 {
    let at = (sorted.len() * hundredths).div_ceil(100).max(1) - 1;
    sorted.get(at).copied().unwrap_or_default()
}

#[test]
fn every_pair_that_is_left_connects() {
    let count = count();
    let mut bootstraps = Bootstrap::network(3);
    let mut setup = Setup::beginning_at(&bootstraps.iter().collect::<Vec<_>>());
    // Reached as by most: what a bootstrap sees of a node is where it listens.
    setup.arguments.extend(["--listen", "/ip4/127.0.0.1/udp/0/quic-v1"].map(str::to_owned));
    let mut people: Vec<Person> =
        (0..count).map(|number| Person::start_with(&format!("P{number}"), setup.clone())).collect();
    let pairs = pairs(count);
    for (one, other) in &pairs {
        for (asks, asked) in [(one, other), (other, one)] {
            let link = people[*asked].link();
            people[*asks].kith(&["contact", "add", &link]).json();
        }
    }
    let first = all_hear(&people, &pairs, "before");
    let shown = |person: &Person| person.kith(&["bootstrap", "show"]).json();
    for person in &people {
        let what = format!("{} serves in the table", person.name);
        until(&what, PATIENCE, || (shown(person)["serves"] == true).then_some(()));
    }
    for bootstrap in &mut bootstraps[..2] {
        bootstrap.kill();
    }
    let stays = |number: usize| !number.is_multiple_of(3);
    let left: Vec<(usize, usize)> =
        pairs.iter().copied().filter(|(one, other)| stays(*one) && stays(*other)).collect();
    assert!(left.len() > count / 4, "{} pairs are left", left.len());
    for person in people.iter_mut().step_by(3) {
        person.kill();
    }
    let meanwhile = all_hear(&people, &left, "meanwhile");

    // Those who are left have all moved, and know no address of each other any more.
    people.iter_mut().for_each(Person::kill);
    for (_, person) in people.iter_mut().enumerate().filter(|(number, _)| stays(*number)) {
        person.moves();
        person.up();
    }
    let after = all_hear(&people, &left, "after");
    let mut lookups: Vec<u64> = Vec::new();
    for (_, person) in people.iter().enumerate().filter(|(number, _)| stays(*number)) {
        let took = shown(person)["lookups_ms"].as_array().cloned().unwrap_or_default();
        lookups.extend(took.iter().filter_map(serde_json::Value::as_u64));
    }
    lookups.sort_unstable();
    assert!(!lookups.is_empty(), "nobody was looked up");
    println!(
        "{count} nodes: {} pairs hear each other in {:.1} s; of them {} with one bootstrap and two thirds \
         of the nodes in {:.1} s, and when all have moved in {:.1} s; {} lookups, p50 {} ms, p99 {} ms",
        pairs.len(),
        first.as_secs_f64(),
        left.len(),
        meanwhile.as_secs_f64(),
        after.as_secs_f64(),
        lookups.len(),
        percentile(&lookups, 50),
        percentile(&lookups, 99),
    );
}
