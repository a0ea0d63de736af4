//! What does the distributed hash table learn, and what can it do? Real nodes and bootstraps, and
//! servers that watch or lie.

#![expect(clippy::indexing_slicing, reason = "a test stops at the first thing that is wrong")]

use std::collections::BTreeSet;

use kith_tests::process::{Answers, Bootstrap, PATIENCE, Person, Seen, Setup, TableServer, until};

fn hears(who: &Person, whom: &Person, text: &str) {
    until(&format!("{} hears {text}", who.name), PATIENCE, || {
        who.history(whom).into_iter().any(|message| message.text == text).then_some(())
    });
}

/// The clock of the programs stands so many days ahead.
fn days_ahead(days: u32) -> Vec<(String, String)> {
    if days == 0 {
        return Vec::new();
    }
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    assert!(std::path::Path::new(library).exists(), "libfaketime is missing: install it first");
    let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        of("LD_PRELOAD", library),
        of("FAKETIME", &format!("+{days}d")),
        of("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]
}

/// One day in which everybody is there, as somebody sees it who is given every record.
fn a_day(people: &mut [Person], days: u32) -> Vec<Seen> {
    let bootstrap = Bootstrap::start_with(Vec::new(), &[], &days_ahead(days));
    let observer = TableServer::start(&bootstrap.addresses()[0], Answers::Truly);
    for person in people.iter_mut() {
        person.begins_at(&[&bootstrap]);
        person.surrounded_by(days_ahead(days));
        person.up();
    }
    if days == 0 {
        let (alice, bob) = (&people[0], &people[1]);
        alice.befriends(bob);
    }
    // Of each of three people a record for strangers, and of those who know each other one more.
    until("all records are left", PATIENCE, || {
        let keys: BTreeSet<Vec<u8>> = observer.seen().into_iter().map(|it| it.key).collect();
        (keys.len() >= 5).then_some(())
    });
    let seen = observer.seen();
    for person in people.iter_mut() {
        person.down();
    }
    let strangers: Vec<&Seen> = seen.iter().filter(|it| it.publisher.is_some()).collect();
    assert!(strangers.is_empty(), "somebody is named as publisher: {strangers:?}");
    seen
}

fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).filter(|(a, b)| a == b).count()
}

#[test]
fn who_keeps_every_record_sees_no_id_and_links_no_two_days() {
    let mut people: Vec<Person> =
        ["Alice", "Bob", "Carol"].map(|name| Person::init(name, Setup::default())).into();
    let first = a_day(&mut people, 0);
    let second = a_day(&mut people, 1);
    let keys =
        |seen: &[Seen]| -> BTreeSet<Vec<u8>> { seen.iter().map(|it| it.key.clone()).collect() };
    // Near midnight a record counts for both days.
    let both = keys(&first).intersection(&keys(&second)).count();
    assert!(both <= 5, "{both} keys are those of the day before");
    let names: Vec<Vec<u8>> = people.iter().flat_map(Person::ids).collect();
    assert!(names.len() >= 9, "each has an account, a recovery key and a device");
    for Seen { key, value, .. } in first.iter().chain(&second) {
        for name in &names {
            let part = &name[..16];
            let is_there = |bytes: &[u8]| bytes.windows(16).any(|window| window == part);
            assert!(!is_there(key) && !is_there(value), "an id is in what is kept");
        }
    }
    // Any two records of two days share what the format fixes, and by chance one byte in 256.
    let sizes: BTreeSet<usize> = first.iter().chain(&second).map(|it| it.value.len()).collect();
    assert_eq!(sizes.len(), 1, "all have one size");
    let mut same: Vec<usize> = Vec::new();
    for one in &first {
        for other in second.iter().filter(|other| other.key != one.key) {
            same.push(shared(&one.value, &other.value));
        }
    }
    let (least, most) = (same.iter().min().copied(), same.iter().max().copied());
    let (least, most) = (least.unwrap_or_default(), most.unwrap_or_default());
    println!("{} pairs of records of two days share {least} to {most} bytes", same.len());
    assert!(most - least <= 24, "some pairs share more than others: {least} to {most}");
}

/// alice and bob have both moved, and everybody who keeps their records lies or has nothing.
fn eclipsed(bootstrap: &Bootstrap, with_carol: bool) {
    let mut people: Vec<Person> = ["Alice", "Bob", "Carol"]
        .map(|name| Person::start_with(name, Setup::beginning_at(&[bootstrap])))
        .into();
    people[0].befriends(&people[1]);
    if with_carol {
        people[0].befriends(&people[2]);
        people[1].befriends(&people[2]);
    }
    let liars: Vec<TableServer> = (0..24)
        .map(|number| {
            let answers = if number % 2 == 0 { Answers::Falsely } else { Answers::Nothing };
            TableServer::start(&bootstrap.addresses()[0], answers)
        })
        .collect();
    for person in &mut people[..2] {
        person.down();
        person.moves();
    }
    people[0].up();
    people[1].up();
    people[0].says(&people[1], "through the eclipse");
    hears(&people[1], &people[0], "through the eclipse");
    until("the liars are given records", PATIENCE, || {
        liars.iter().any(|liar| !liar.seen().is_empty()).then_some(())
    });
}

#[test]
fn where_all_who_keep_a_record_lie_a_place_to_meet_at_is_enough() {
    let bootstrap = Bootstrap::start_with(Vec::new(), &["--records-max", "0"], &[]);
    eclipsed(&bootstrap, false);
}

#[test]
fn where_all_who_keep_a_record_lie_a_contact_of_both_is_enough() {
    let arguments = ["--records-max", "0", "--registrations-max", "0"];
    let bootstrap = Bootstrap::start_with(Vec::new(), &arguments, &[]);
    eclipsed(&bootstrap, true);
}
