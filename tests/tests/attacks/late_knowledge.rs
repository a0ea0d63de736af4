//! What a device hears of others only after it needed it.

use super::forging::carol_vouches;
use kith_common::account::Untrust;
use kith_core::engine::Command;
use kith_tests::sim::World;

const MINUTE: u64 = 60_000;

/// Alice's laptop came after Bob had her as a contact. Bob's new device joins while none of hers
/// is there.
#[test]
fn a_new_device_gets_what_later_devices_of_contacts_wrote() {
    let mut world = World::new(4, "a_new_device_gets_what_later_devices_of_contacts_wrote");
    let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
    world.run_ms(10);
    world.befriend(alice, bob);
    world.run_ms(MINUTE);
    let (phone, bobs) = (world.people[alice].nodes[0], world.people[bob].nodes[0]);
    let laptop = world.link_device(phone).expect("linked");
    world.run_ms(MINUTE);
    for n in 0..10 {
        world.say(laptop, bob, &format!("from the laptop {n}"));
        world.run_ms(1000);
    }
    world.run_ms(MINUTE);
    assert_eq!(world.history(bobs, world.account(alice), 100).len(), 10);
    for node in [phone, laptop] {
        world.set_running(node, false);
    }
    let new = world.link_device(bobs).expect("linked");
    for minutes in [1, 5, 15, 30] {
        world.run_ms(minutes * MINUTE);
        println!(
            "after {minutes} more minutes: {} messages, {:?}",
            world.history(new, world.account(alice), 100).len(),
            world.nodes[new].engine().refusals()
        );
    }
    assert_eq!(world.history(new, world.account(alice), 100).len(), 10);
}

/// The stolen laptop has never written to Carol. She helps the thief.
#[test]
fn nothing_of_a_stolen_device_counts_where_it_had_said_nothing() {
    let mut world = World::new(4, "nothing_of_a_stolen_device_counts");
    world.entries_go = true;
    let (alice, carol) = (world.person("alice", 3), world.person("carol", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend(alice, carol);
    world.run_ms(2 * MINUTE);
    let [phone, tablet, laptop] = world.people[alice].nodes[..] else { panic!() };
    world.say(phone, carol, "hello");
    world.run_ms(MINUTE);
    let device = world.nodes[laptop].key().device();
    world.set_running(laptop, false);
    for node in [phone, tablet] {
        let authority = world.nodes[node].authority();
        world.command(
            node,
            Command::Untrust { device, why: Untrust::Stolen, since: None, authority },
        );
        world.run_ms(2 * MINUTE);
    }
    carol_vouches(&mut world, (alice, carol), (laptop, phone));
    world.run_ms(MINUTE);
    let shown: Vec<_> = world
        .history(phone, world.account(carol), 100)
        .into_iter()
        .map(|m| (m.mine, m.text))
        .collect();
    assert_eq!(shown.len(), 1);
}
