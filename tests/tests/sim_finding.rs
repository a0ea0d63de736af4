//! Do people find each other who have moved, who know an id alone, or around whom everybody lies?

use std::collections::BTreeSet;

use kith_common::{account::Untrust, finding::RecordKey, share::SharedId};
use kith_core::{contacts::Status, engine::Command, limits::SOUGHT_MAX};
use kith_tests::sim::World;

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

fn world(test: &'static str, seed: u64) -> World {
    let mut world = World::new(seed, test);
    world.with_table();
    world
}

/// alice and bob, contacts of each other, one device each.
fn alice_and_bob(test: &'static str) -> (World, usize, usize) {
    let mut world = world(test, 1);
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    world.run_ms(100);
    world.befriend(alice, bob);
    world.settle();
    (world, alice, bob)
}

fn texts(world: &World, node: usize, with: usize) -> Vec<String> {
    let shown = world.history(node, world.account(with), usize::MAX);
    shown.into_iter().filter_map(|message| message.text).collect()
}

fn hears(world: &mut World, from: usize, to: usize, text: &str, within_ms: u64) {
    world.say(from, to, text);
    let is_there = |w: &World| texts(w, to, from).iter().any(|said| said == text);
    world.run_until(within_ms, text, is_there);
}

fn both_move_while_off(world: &mut World, one: usize, other: usize) {
    for node in [one, other] {
        world.set_running(node, false);
    }
    world.run_ms(MINUTE_MS);
    for node in [one, other] {
        world.move_away(node);
        world.set_running(node, true);
    }
}

#[test]
fn two_who_have_both_moved_find_each_other() {
    let (mut world, alice, bob) = alice_and_bob("two_who_have_both_moved");
    for round in 0..4 {
        both_move_while_off(&mut world, alice, bob);
        hears(&mut world, alice, bob, &format!("round {round}"), 30 * SECOND_MS);
    }
    // Day after day the keys are others, and after a month so is the schedule.
    for day in 0..70 {
        world.run_ms(DAY_MS);
        if day % 5 == 0 {
            both_move_while_off(&mut world, alice, bob);
            hears(&mut world, bob, alice, &format!("day {day}"), 30 * SECOND_MS);
        }
    }
}

#[test]
fn without_records_and_places_they_do_not() {
    let (mut world, alice, bob) = alice_and_bob("without_records_and_places");
    world.table().lies = true;
    world.table().no_places = true;
    both_move_while_off(&mut world, alice, bob);
    world.say(alice, bob, "into the void");
    world.run_ms(HOUR_MS);
    assert_eq!(texts(&world, bob, alice), [""; 0], "else the other tests show nothing");
    world.table().lies = false;
    world.run_until(15 * MINUTE_MS, "found at last", |w| texts(w, bob, alice).len() == 1);
}

#[test]
fn a_place_to_meet_at_is_enough() {
    let (mut world, alice, bob) = alice_and_bob("a_place_to_meet_at");
    world.table().lies = true;
    both_move_while_off(&mut world, alice, bob);
    hears(&mut world, alice, bob, "at the place", 30 * SECOND_MS);
}

#[test]
fn a_contact_of_both_is_enough_where_all_records_are_eclipsed() {
    let mut world = world("a_contact_of_both", 3);
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    let carol = world.person("carol", 1);
    world.run_ms(100);
    for (one, other) in [(alice, bob), (alice, carol), (bob, carol)] {
        world.befriend(one, other);
    }
    world.settle();
    world.table().lies = true;
    world.table().no_places = true;
    // Carol stays where she is, so both reach her.
    both_move_while_off(&mut world, alice, bob);
    hears(&mut world, alice, bob, "by carol's word", 2 * MINUTE_MS);
}

#[test]
fn who_has_moved_while_running_is_found_within_seconds() {
    let (mut world, alice, bob) = alice_and_bob("moved_while_running");
    for round in 0..5 {
        let (moves, stays) = if round % 2 == 0 { (alice, bob) } else { (bob, alice) };
        world.move_away(moves);
        hears(&mut world, stays, moves, &format!("round {round}"), 10 * SECOND_MS);
    }
}

#[test]
fn an_id_alone_leads_to_a_request_and_then_to_a_conversation() {
    let mut world = world("an_id_alone", 4);
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    world.run_ms(2 * SECOND_MS);
    let id = SharedId::of(&world.people[bob].account);
    let greeting = "met you at the fair".to_owned();
    world.command(alice, Command::LookFor { id, name: None, greeting });
    let with = world.account(alice);
    let asked = move |w: &World| {
        w.nodes[bob].engine().contact(with).map(|contact| contact.status) == Some(Status::Pending)
    };
    world.run_until(30 * SECOND_MS, "bob is asked", asked);
    assert_eq!(world.nodes[bob].engine().contacts()[0].greeting, "met you at the fair");
    assert_eq!(world.nodes[alice].engine().sought().count(), 0);
    world.command(bob, Command::Accept(world.account(alice)));
    world.befriend_later(alice, bob);
    hears(&mut world, alice, bob, "there you are", 30 * SECOND_MS);
    world.settle();
}

#[test]
fn a_request_by_an_id_is_answered_days_later_when_both_are_elsewhere() {
    let mut world = world("a_request_by_an_id_days_later", 11);
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    world.run_ms(2 * SECOND_MS);
    let id = SharedId::of(&world.people[bob].account);
    world.command(alice, Command::LookFor { id, name: None, greeting: String::new() });
    let with = world.account(alice);
    let asked = move |w: &World| w.nodes[bob].engine().contact(with).is_some();
    world.run_until(30 * SECOND_MS, "bob is asked", asked);
    both_move_while_off(&mut world, alice, bob);
    world.run_ms(3 * DAY_MS);
    both_move_while_off(&mut world, alice, bob);
    world.run_ms(MINUTE_MS);
    world.command(bob, Command::Accept(world.account(alice)));
    world.befriend_later(alice, bob);
    hears(&mut world, bob, alice, "better late than never", 15 * MINUTE_MS);
}

#[test]
fn an_id_is_answered_through_relays_alone() {
    let mut world = world("an_id_is_answered_through_relays_alone", 12);
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    world.run_ms(2 * SECOND_MS);
    world.table().no_relays = true;
    world.move_away(bob);
    world.run_ms(DAY_MS);
    let id = SharedId::of(&world.people[bob].account);
    world.command(alice, Command::LookFor { id, name: None, greeting: String::new() });
    // Somebody who suspects where he lives dials him straight.
    world.connects(alice, bob);
    world.run_ms(MINUTE_MS);
    assert_eq!(world.nodes[alice].engine().sought().count(), 1, "no card came");
    assert!(world.nodes[bob].engine().contact(world.account(alice)).is_none());
}

#[test]
fn an_id_waits_for_somebody_who_is_away_and_over_a_restart() {
    let mut world = world("an_id_waits", 5);
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    world.run_ms(2 * SECOND_MS);
    world.set_running(bob, false);
    let id = SharedId::of(&world.people[bob].account);
    world.command(alice, Command::LookFor { id, name: None, greeting: String::new() });
    world.run_ms(DAY_MS);
    world.set_running(alice, false);
    world.run_ms(MINUTE_MS);
    world.set_running(alice, true);
    world.run_ms(HOUR_MS);
    world.set_running(bob, true);
    let with = world.account(alice);
    let asked = move |w: &World| w.nodes[bob].engine().contact(with).is_some();
    world.run_until(20 * MINUTE_MS, "bob is asked", asked);
}

#[test]
fn who_is_not_findable_is_not_found_by_an_id_but_by_contacts() {
    let (mut world, alice, bob) = alice_and_bob("who_is_not_findable");
    let carol = world.person("carol", 1);
    world.command(bob, Command::SetFindable(false));
    // What was left before ends within a day.
    world.run_ms(DAY_MS + HOUR_MS);
    let id = SharedId::of(&world.people[bob].account);
    world.command(carol, Command::LookFor { id, name: None, greeting: String::new() });
    world.run_ms(DAY_MS);
    assert!(world.nodes[bob].engine().contact(world.account(carol)).is_none());
    both_move_while_off(&mut world, alice, bob);
    hears(&mut world, alice, bob, "still here", 30 * SECOND_MS);
}

/// Records that a node has left so far.
fn left_by(world: &mut World, node: usize) -> Vec<(RecordKey, Vec<u8>)> {
    let of_node = world.table().seen.iter().filter(|(of, ..)| *of == node);
    of_node.map(|(_, key, value)| (*key, value.clone())).collect()
}

#[test]
fn who_chooses_to_be_findable_is_so_at_once() {
    let mut world = world("findable_at_once", 14);
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    world.run_ms(2 * SECOND_MS);
    world.command(bob, Command::SetFindable(false));
    world.run_ms(DAY_MS);
    let before = left_by(&mut world, bob).len();
    world.run_ms(MINUTE_MS);
    assert_eq!(left_by(&mut world, bob).len(), before);
    world.command(bob, Command::SetFindable(true));
    world.run_ms(5 * SECOND_MS);
    let after = left_by(&mut world, bob).len();
    assert!(after > before, "his record is there: {before} and {after}");
    let id = SharedId::of(&world.people[bob].account);
    world.command(alice, Command::LookFor { id, name: None, greeting: String::new() });
    let asked = |w: &World| w.nodes[bob].engine().contact(w.account(alice)).is_some();
    world.run_until(MINUTE_MS, "bob is asked", asked);
}

#[test]
fn who_removes_the_only_contact_leaves_them_nothing_new() {
    let (mut world, alice, bob) = alice_and_bob("the_only_contact");
    world.command(alice, Command::SetFindable(false));
    world.run_ms(MINUTE_MS);
    let before = world.table().of_places(alice);
    assert!(before > 0, "she can be met by Bob");
    world.command(alice, Command::Remove(world.account(bob)));
    world.run_ms(5 * SECOND_MS);
    assert_eq!(world.table().of_places(alice), 0, "she is at no place that he knows");
}

#[test]
fn a_clock_that_is_set_leaves_records_anew() {
    let (mut world, alice, _) = alice_and_bob("a_clock_that_is_set");
    world.nodes[alice].skew_ms = -3 * i64::try_from(DAY_MS).unwrap_or_default();
    world.run_ms(5 * HOUR_MS);
    let before = left_by(&mut world, alice).len();
    world.nodes[alice].skew_ms = 0;
    world.run_ms(6 * MINUTE_MS);
    assert!(left_by(&mut world, alice).len() > before, "those of today are there");
}

#[test]
fn two_who_look_for_each_other_are_contacts_at_once() {
    let mut world = world("two_who_look_for_each_other", 6);
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    world.run_ms(2 * SECOND_MS);
    for (one, other) in [(alice, bob), (bob, alice)] {
        let id = SharedId::of(&world.people[other].account);
        world.command(one, Command::LookFor { id, name: None, greeting: String::new() });
    }
    world.befriend_later(alice, bob);
    let status = |w: &World, node: usize, with: usize| {
        w.nodes[node].engine().contact(w.account(with)).map(|contact| contact.status)
    };
    world.run_until(MINUTE_MS, "both agree", |w| {
        status(w, alice, bob) == Some(Status::Contact)
            && status(w, bob, alice) == Some(Status::Contact)
    });
}

#[test]
fn a_removed_contact_finds_nobody_any_more() {
    let mut world = world("a_removed_contact", 7);
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    let mallory = world.person("mallory", 1);
    world.run_ms(100);
    world.befriend(alice, bob);
    world.befriend(alice, mallory);
    world.settle();
    world.command(alice, Command::Remove(world.account(mallory)));
    world.run_ms(MINUTE_MS);
    both_move_while_off(&mut world, alice, bob);
    let before = world.nodes[mallory].next_link_number();
    hears(&mut world, bob, alice, "the two of us", 30 * SECOND_MS);
    world.run_ms(DAY_MS);
    assert_eq!(world.nodes[mallory].next_link_number(), before, "she is not even dialled");
    both_move_while_off(&mut world, alice, bob);
    hears(&mut world, alice, bob, "and again", 30 * SECOND_MS);
}

#[test]
fn one_voice_is_enough_to_be_shut_out_and_others_make_no_more_than_one_change_an_hour() {
    let mut world = world("one_voice_is_enough", 12);
    let (alice, bob) = (world.person("alice", 2), world.person("bob", 1));
    world.run_ms(100);
    world.tell_own_places(alice);
    world.befriend(alice, bob);
    world.run_ms(5 * MINUTE_MS);
    let accuse = |world: &mut World, by: usize, about: usize| {
        let person = &world.people[alice];
        let (node, authority) = (person.nodes[by], person.authority(by));
        let device = world.nodes[world.people[alice].nodes[about]].key().device();
        let why = Untrust::Stolen;
        world.command(node, Command::Untrust { device, why, since: None, authority });
        world.run_ms(MINUTE_MS);
    };
    let bobs = world.people[bob].nodes[0];
    let keys = |world: &mut World| -> BTreeSet<RecordKey> {
        let of_bob = world.table().seen.iter().filter(|(node, ..)| *node == bobs);
        of_bob.map(|(_, key, _)| *key).collect()
    };
    let today = keys(&mut world);
    accuse(&mut world, 0, 1);
    let then = keys(&mut world);
    assert!(then.len() > today.len(), "the accused device cannot look for Bob any more");
    accuse(&mut world, 1, 0);
    assert_eq!(keys(&mut world), then, "not twice in an hour");
    world.run_ms(HOUR_MS);
    assert!(keys(&mut world).len() > then.len(), "but then");
}

#[test]
fn relay_only_tells_nobody_where_one_is() {
    let (mut world, alice, bob) = alice_and_bob("relay_only");
    world.command(alice, Command::SetRelayOnly(true));
    world.run_ms(MINUTE_MS);
    world.set_running(bob, false);
    world.move_away(alice);
    world.run_ms(MINUTE_MS);
    world.set_running(bob, true);
    hears(&mut world, bob, alice, "through the relay", 30 * SECOND_MS);
    let known = world.nodes[bob].engine().addresses_of(world.account(alice));
    assert!(!known.is_empty() && known.iter().all(|at| at.contains("/p2p-circuit")), "{known:?}");
    // Without relays there is no way, although she could be dialled.
    world.table().no_relays = true;
    world.set_running(alice, false);
    world.run_ms(MINUTE_MS);
    world.set_running(alice, true);
    world.say(alice, bob, "not heard");
    world.run_ms(HOUR_MS);
    assert!(!texts(&world, bob, alice).contains(&"not heard".to_owned()));
}

#[test]
fn who_watches_the_table_links_no_two_days() {
    let mut world = world("who_watches_the_table", 8);
    let people: Vec<usize> = ["alice", "bob", "carol"].map(|name| world.person(name, 1)).into();
    world.run_ms(100);
    world.befriend(people[0], people[1]);
    world.settle();
    world.run_ms(3 * DAY_MS);
    let ids: Vec<Vec<u8>> = people
        .iter()
        .flat_map(|person| {
            let shared = SharedId::of(&world.people[*person].account);
            [world.account(*person).as_bytes().to_vec(), shared.recovery.to_vec()]
        })
        .collect();
    let devices = world.nodes.iter().map(|node| node.key().public().to_vec());
    let names: Vec<Vec<u8>> = ids.into_iter().chain(devices).collect();
    let seen = &world.table().seen;
    assert!(seen.len() > 30, "{} records", seen.len());
    let sizes: BTreeSet<usize> = seen.iter().map(|(.., value)| value.len()).collect();
    assert_eq!(sizes.len(), 1, "all have one size");
    for (_, _, value) in seen {
        for name in &names {
            assert!(!value.windows(16).any(|part| part == &name[..16]), "an id in a record");
        }
    }
    // Two records share runs of bytes only where all of them do: the fixed parts of the format.
    let shared = |one: &[u8], other: &[u8]| one.iter().zip(other).filter(|(a, b)| a == b).count();
    for (at, (of, key, value)) in seen.iter().enumerate() {
        for (with, other, second) in &seen[at + 1..] {
            if key == other {
                continue;
            }
            let same = shared(value, second);
            let bound = 110 + (value.len() - 110) / 20;
            assert!(same < bound, "{of} and {with} share {same} bytes");
        }
    }
}

#[test]
fn looking_is_bounded() {
    let mut world = world("looking_is_bounded", 9);
    let alice = world.person("alice", 1);
    world.run_ms(SECOND_MS);
    for number in 0..40_u8 {
        let id = SharedId { recovery: [number; 32], checksum: [number; 16] };
        world.command(alice, Command::LookFor { id, name: None, greeting: String::new() });
    }
    world.run_ms(HOUR_MS);
    assert_eq!(world.nodes[alice].engine().sought().count(), SOUGHT_MAX);
}
