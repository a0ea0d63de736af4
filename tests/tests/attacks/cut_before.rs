//! What does a stolen device say that was cut off long ago, before a conversation began or accounts
//! became one?
use super::forging::{carol_vouches, carol_vouches_for};
use kith_common::{account::Untrust, time::Timestamp};
use kith_core::engine::Command;
use kith_tests::sim::World;

const MINUTE: u64 = 60_000;

/// Two devices say that a third one is stolen.
fn put_out(world: &mut World, by: [usize; 2], stolen: usize, since: Option<Timestamp>) {
    let device = world.nodes[stolen].key().device();
    world.set_running(stolen, false);
    for node in by {
        let authority = world.nodes[node].authority();
        let why = Untrust::Stolen;
        world.command(node, Command::Untrust { device, why, since, authority });
        world.run_ms(2 * MINUTE);
    }
}

/// Two devices sign a list of those that there are.
fn settle(world: &mut World, by: [usize; 2]) {
    for node in by {
        let authority = world.nodes[node].authority();
        world.command(node, Command::Settle { devices: vec![], authority });
        world.run_ms(MINUTE);
    }
}

/// Carol asks the person, who says hello on one device.
fn begin_with_carol(world: &mut World, (person, carol): (usize, usize), on: usize) {
    world.add_contact(world.people[carol].nodes[0], person);
    world.run_ms(MINUTE);
    let with = world.account(carol);
    world.command(on, Command::Accept(with));
    world.run_ms(2 * MINUTE);
    world.say(on, carol, "hello");
    world.run_ms(MINUTE);
}

fn only_hello_is_shown(world: &World, on: usize, carol: usize) {
    let history = world.history(on, world.account(carol), 100);
    let shown: Vec<_> = history.into_iter().map(|message| (message.mine, message.text)).collect();
    assert_eq!(shown, [(true, Some("hello".to_owned()))]);
}

/// The laptop was taken in, is stolen, put out by both others and forgotten by the list that they sign.
#[test]
fn nothing_of_a_forgotten_stolen_device_counts_in_a_conversation_begun_later() {
    let mut world =
        World::new(4, "nothing_of_a_forgotten_stolen_device_counts_in_a_conversation_begun_later");
    world.entries_go = true;
    let (alice, carol) = (world.person("alice", 2), world.person("carol", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend_later(alice, carol);
    world.run_ms(2 * MINUTE);
    let [phone, tablet] = world.people[alice].nodes[..] else { panic!() };
    let laptop = world.link_device(phone).expect("linked");
    world.run_ms(2 * MINUTE);
    put_out(&mut world, [phone, tablet], laptop, None);
    settle(&mut world, [phone, tablet]);
    begin_with_carol(&mut world, (alice, carol), phone);
    carol_vouches(&mut world, (alice, carol), (laptop, phone));
    world.run_ms(MINUTE);
    only_hello_is_shown(&world, phone, carol);
}

/// The laptop was put out, and forgotten or not; then the account went over into another one.
fn after_a_merge(test: &'static str, forgotten: bool) {
    let mut world = World::new(4, test);
    world.entries_go = true;
    let devices = if forgotten { 2 } else { 3 };
    let (old, new) = (world.person("alice", devices), world.person("alice2", 1));
    let carol = world.person("carol", 1);
    world.run_ms(10);
    world.tell_own_places(old);
    world.befriend_later(new, carol);
    world.run_ms(2 * MINUTE);
    let (phone, tablet) = (world.people[old].nodes[0], world.people[old].nodes[1]);
    let other = world.people[new].nodes[0];
    let laptop = if forgotten {
        let added = world.link_device(phone).expect("linked");
        world.run_ms(2 * MINUTE);
        added
    } else {
        world.people[old].nodes[2]
    };
    put_out(&mut world, [phone, tablet], laptop, None);
    if forgotten {
        settle(&mut world, [phone, tablet]);
    }
    let key = world.people[old].recovery();
    let ended = world.account(old);
    assert!(world.merge(phone, other, Some(key)));
    world.run_ms(30 * MINUTE);
    begin_with_carol(&mut world, (new, carol), other);
    carol_vouches_for(&mut world, ended, (new, carol), (laptop, other));
    world.run_ms(MINUTE);
    only_hello_is_shown(&world, other, carol);
}

#[test]
fn who_was_put_out_before_a_merge_counts_in_no_conversation_begun_later() {
    let test = "who_was_put_out_before_a_merge_counts_in_no_conversation_begun_later";
    after_a_merge(test, false);
}

#[test]
fn who_was_forgotten_before_a_merge_counts_in_no_conversation_begun_later() {
    let test = "who_was_forgotten_before_a_merge_counts_in_no_conversation_begun_later";
    after_a_merge(test, true);
}

/// The laptop was taken in and wrote; then it was stolen, and the thief wrote.
#[test]
fn what_was_cut_stays_so_after_a_merge_though_the_device_is_forgotten() {
    let mut world =
        World::new(4, "what_was_cut_stays_so_after_a_merge_though_the_device_is_forgotten");
    world.entries_go = true;
    let (old, new) = (world.person("alice", 2), world.person("alice2", 1));
    let carol = world.person("carol", 1);
    world.run_ms(10);
    world.tell_own_places(old);
    world.befriend(old, carol);
    world.run_ms(3 * MINUTE);
    let [phone, tablet] = world.people[old].nodes[..] else { panic!() };
    let (other, carols) = (world.people[new].nodes[0], world.people[carol].nodes[0]);
    let laptop = world.link_device(phone).expect("linked");
    world.run_ms(2 * MINUTE);
    world.say(laptop, carol, "mine");
    world.run_ms(MINUTE);
    let since = world.nodes[phone].clock(world.now_ms());
    world.run_ms(MINUTE);
    world.say(laptop, carol, "the thief's");
    world.run_ms(MINUTE);
    put_out(&mut world, [phone, tablet], laptop, Some(since));
    settle(&mut world, [phone, tablet]);
    let key = world.people[old].recovery();
    assert!(world.merge(phone, other, Some(key)));
    world.run_ms(30 * MINUTE);
    for node in [phone, tablet, other, carols] {
        let with = if node == carols { new } else { carol };
        let history = world.history(node, world.account(with), 100);
        let shown: Vec<_> = history.into_iter().filter_map(|message| message.text).collect();
        assert_eq!(shown, ["mine"], "{}", world.nodes[node].name);
    }
}
