//! What remains of devices that were off, have left or were put out?
use super::forging::{carol_vouches, own_words};
use kith_common::{
    account::Untrust,
    frame::{CarriedEntry, Frame},
    ids::{EntryId, LogId},
    own::Own,
    time::Timestamp,
};
use kith_core::{
    engine::{Command, Input},
    limits::CONTACTS_MAX,
    store::{RecordKind, Store as _},
};
use kith_tests::sim::World;

const MINUTE: u64 = 60_000;

/// Drafts of somebody who has a device, but no passphrase, for conversations that never were.
fn drafts(world: &World, stolen: usize, to: usize) -> (LogId, Vec<CarriedEntry>) {
    let about = |number: u64| {
        let mut about = [0xee; 32];
        about[..8].copy_from_slice(&number.to_be_bytes());
        Own::Draft { log: LogId::from_bytes(about), text: "x".to_owned() }
    };
    let owns: Vec<Own> = (0..CONTACTS_MAX as u64).map(about).collect();
    own_words(world, (stolen, to), world.nodes[to].engine().identity().account.id(), &owns)
}

/// The laptop is stolen and says much; it is cut off before all of that. Later Bob asks only the
/// phone, which keeps a draft for him.
fn a_draft_after(test: &'static str, thief_speaks: bool) {
    let mut world = World::new(5, test);
    world.entries_go = true;
    let (alice, bob) = (world.person("alice", 3), world.person("bob", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend_later(alice, bob);
    world.run_ms(3 * MINUTE);
    let [phone, tablet, laptop] = world.people[alice].nodes[..] else { panic!() };
    let bobs = world.people[bob].nodes[0];
    let since = world.nodes[phone].clock(world.now_ms());
    world.run_ms(MINUTE);
    if thief_speaks {
        let (log, entries) = drafts(&world, laptop, phone);
        world.nodes[laptop].honest = false;
        for link in world.links_between(phone, laptop) {
            let bytes = Frame::Entries { log, entries: entries.clone() }.encode();
            world.input(phone, Input::Frame { link, bytes });
        }
        world.run_ms(MINUTE);
    }
    let device = world.nodes[laptop].key().device();
    world.set_running(laptop, false);
    for node in [phone, tablet] {
        let authority = world.nodes[node].authority();
        let (why, since) = (Untrust::Stolen, Some(since));
        world.command(node, Command::Untrust { device, why, since, authority });
        world.run_ms(2 * MINUTE);
    }
    let waits = |world: &World, node: usize| {
        world.nodes[node].store.records(RecordKind::Unheard).unwrap().len()
    };
    println!("unheard: {} and {}", waits(&world, phone), waits(&world, tablet));
    world.set_running(tablet, false);
    world.add_contact(bobs, alice);
    world.run_ms(MINUTE);
    let with = world.account(bob);
    world.command(phone, Command::KeepDraft { to: with, text: "who are you?".to_owned() });
    world.run_ms(MINUTE);
    world.set_running(bobs, false);
    world.set_running(tablet, true);
    world.run_ms(2 * MINUTE);
    world.command(phone, Command::Accept(with));
    world.run_ms(2 * MINUTE);
    let draft = world.nodes[tablet].engine().draft(with);
    assert_eq!(draft, Some("who are you?"), "what the phone said is never heard on the tablet");
}

#[test]
fn a_draft_is_heard_later() {
    a_draft_after("a_draft_is_heard_later", false);
}

#[test]
fn a_draft_is_heard_later_though_a_thief_has_spoken() {
    a_draft_after("a_draft_is_heard_later_though_a_thief_has_spoken", true);
}

/// The laptop wrote to Carol while the tablet was off; the phone has it all. It is stolen, and
/// the person says so on the tablet first, then on the phone.
fn what_was_said_before(test: &'static str, with_since: bool, phone_has_heard: bool, seen: bool) {
    let mut world = World::new(6, test);
    world.entries_go = true;
    let (alice, carol) = (world.person("alice", 3), world.person("carol", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend(alice, carol);
    world.run_ms(3 * MINUTE);
    let [phone, tablet, laptop] = world.people[alice].nodes[..] else { panic!() };
    let carols = world.people[carol].nodes[0];
    let said = ["one", "two", "three"];
    if !seen {
        world.set_running(tablet, false);
    }
    for text in said {
        world.say(laptop, carol, text);
        world.run_ms(MINUTE);
        world.set_running(tablet, false);
    }
    let since: Timestamp = world.nodes[phone].clock(world.now_ms());
    let since = with_since.then_some(since);
    world.run_ms(MINUTE);
    let shown = |world: &World, node: usize| -> Vec<String> {
        let with = if node == carols { alice } else { carol };
        let history = world.history(node, world.account(with), 100);
        history.into_iter().filter_map(|message| message.text).collect()
    };
    for node in [phone, carols] {
        assert_eq!(shown(&world, node), said, "before the theft");
    }
    for node in [laptop, phone, carols] {
        world.set_running(node, false);
    }
    let device = world.nodes[laptop].key().device();
    let untrust = |world: &mut World, node: usize| {
        let authority = world.nodes[node].authority();
        let why = Untrust::Stolen;
        world.command(node, Command::Untrust { device, why, since, authority });
    };
    // Nobody else is there.
    world.set_running(tablet, true);
    world.run_ms(1000);
    untrust(&mut world, tablet);
    world.run_ms(MINUTE);
    if !phone_has_heard {
        world.set_running(tablet, false);
    }
    world.set_running(phone, true);
    world.run_ms(MINUTE);
    untrust(&mut world, phone);
    world.run_ms(MINUTE);
    for node in [tablet, carols] {
        world.set_running(node, true);
    }
    world.run_ms(10 * MINUTE);
    let now = [phone, tablet, carols].map(|node| shown(&world, node));
    assert_eq!(now, [said, said, said], "the phone had it all, and the thief had none of it");
}

#[test]
fn what_was_said_before_a_theft_stays_if_a_time_is_chosen() {
    let test = "what_was_said_before_a_theft_stays_if_a_time_is_chosen";
    what_was_said_before(test, true, false, false);
}

#[test]
fn what_was_said_before_a_theft_stays_if_a_time_is_chosen_and_heard() {
    let test = "what_was_said_before_a_theft_stays_if_a_time_is_chosen_and_heard";
    what_was_said_before(test, true, true, false);
}

#[test]
fn what_was_said_before_a_theft_stays_if_both_speak_unheard() {
    let test = "what_was_said_before_a_theft_stays_if_both_speak_unheard";
    what_was_said_before(test, false, false, false);
}

#[test]
fn what_was_said_before_a_theft_stays_if_the_second_voice_has_heard_the_first() {
    let test = "what_was_said_before_a_theft_stays_if_the_second_voice_has_heard_the_first";
    what_was_said_before(test, false, true, false);
}

/// The tablet has seen the first message.
#[test]
fn what_was_said_before_a_theft_stays_if_the_one_who_speaks_is_behind() {
    let test = "what_was_said_before_a_theft_stays_if_the_one_who_speaks_is_behind";
    what_was_said_before(test, true, false, true);
}

#[test]
fn what_was_said_before_a_theft_stays_if_the_one_who_speaks_is_behind_and_heard() {
    let test = "what_was_said_before_a_theft_stays_if_the_one_who_speaks_is_behind_and_heard";
    what_was_said_before(test, true, true, true);
}

/// The phone deleted what Carol had said, over some days; later it was given away. A new device
/// joins.
fn a_new_device_shows_nothing_deleted(test: &'static str, by_clearing: bool, phone_leaves: bool) {
    let mut world = World::new(8, test);
    world.entries_go = true;
    let (alice, carol) = (world.person("alice", 2), world.person("carol", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend(alice, carol);
    world.run_ms(3 * MINUTE);
    let [phone, tablet] = world.people[alice].nodes[..] else { panic!() };
    let carols = world.people[carol].nodes[0];
    for number in 0..60 {
        world.say(carols, alice, &format!("number {number}"));
        world.run_ms(1000);
    }
    world.run_ms(MINUTE);
    let with = world.account(carol);
    if by_clearing {
        let authority = world.nodes[phone].authority();
        world.command(phone, Command::Clear { with, before: None, authority });
        world.run_ms(26 * 60 * MINUTE);
    } else {
        let all: Vec<EntryId> = world.history(phone, with, 100).iter().map(|m| m.id).collect();
        for some in all.chunks(20) {
            world.command(phone, Command::Delete { with, entries: some.to_vec() });
            world.run_ms(26 * 60 * MINUTE);
        }
    }
    for node in [phone, tablet] {
        assert_eq!(world.nodes[node].bodies(), 0, "deleted on {}", world.nodes[node].name);
    }
    if phone_leaves {
        world.set_running(phone, false);
        let recovery = world.people[alice].recovery();
        world.command(
            tablet,
            Command::Recover { recovery, keep: vec![], without: vec![], since: None },
        );
        world.run_ms(5 * MINUTE);
    }
    let new = world.link_device(tablet).expect("linked");
    world.run_ms(10 * MINUTE);
    let shown = world.history(new, with, 100).len();
    world.run_ms(26 * 60 * MINUTE);
    let later = world.history(new, with, 100).len();
    let bodies = [tablet, new].map(|node| world.nodes[node].bodies());
    println!("shown {shown}, a day later {later}, bodies {bodies:?}");
    assert_eq!((shown, later, bodies), (0, 0, [0, 0]));
}

#[test]
fn what_was_deleted_one_by_one_is_not_on_a_new_device() {
    let test = "what_was_deleted_one_by_one_is_not_on_a_new_device";
    a_new_device_shows_nothing_deleted(test, false, false);
}

#[test]
fn what_a_device_deleted_that_has_left_is_not_on_a_new_device() {
    let test = "what_a_device_deleted_that_has_left_is_not_on_a_new_device";
    a_new_device_shows_nothing_deleted(test, false, true);
}

#[test]
fn what_was_cleared_is_not_on_a_new_device() {
    a_new_device_shows_nothing_deleted("what_was_cleared_is_not_on_a_new_device", true, false);
}

#[test]
fn what_a_device_cleared_that_has_left_is_not_on_a_new_device() {
    let test = "what_a_device_cleared_that_has_left_is_not_on_a_new_device";
    a_new_device_shows_nothing_deleted(test, true, true);
}

/// The phone is stolen by somebody who knows the passphrase. He clears all; hours later it is out.
#[test]
fn what_a_thief_cleared_hours_ago_is_on_a_new_device() {
    let mut world = World::new(8, "what_a_thief_cleared_hours_ago_is_on_a_new_device");
    let (alice, carol) = many_texts(&mut world, 60);
    let [phone, tablet] = world.people[alice].nodes[..] else { panic!() };
    let with = world.account(carol);
    let authority = world.nodes[phone].authority();
    world.command(phone, Command::Clear { with, before: None, authority });
    world.run_ms(20 * 60 * MINUTE);
    recover(&mut world, alice, phone, tablet);
    let new = world.link_device(tablet).expect("linked");
    world.run_ms(50 * 60 * MINUTE);
    let shown = [tablet, new].map(|node| world.history(node, with, 100).len());
    assert_eq!(shown, [60, 60]);
}

/// One device after the other is replaced.
#[test]
fn what_was_deleted_stays_so_however_often_devices_are_replaced() {
    for by_clearing in [false, true] {
        let mut world =
            World::new(8, "what_was_deleted_stays_so_however_often_devices_are_replaced");
        let (alice, carol) = many_texts(&mut world, 60);
        let [phone, tablet] = world.people[alice].nodes[..] else { panic!() };
        let with = world.account(carol);
        if by_clearing {
            let authority = world.nodes[phone].authority();
            world.command(phone, Command::Clear { with, before: None, authority });
            world.run_ms(26 * 60 * MINUTE);
        } else {
            let all = world.history(phone, with, 100);
            let all: Vec<EntryId> = all.iter().map(|message| message.id).collect();
            for some in all.chunks(20) {
                world.command(phone, Command::Delete { with, entries: some.to_vec() });
                world.run_ms(26 * 60 * MINUTE);
            }
        }
        let (mut old, mut stays) = (phone, tablet);
        for round in 0..3 {
            recover(&mut world, alice, old, stays);
            let new = world.link_device(stays).expect("linked");
            world.run_ms(26 * 60 * MINUTE);
            assert_eq!(world.history(new, with, 100).len(), 0, "{round}, {by_clearing}");
            (old, stays) = (stays, new);
        }
    }
}

fn many_texts(world: &mut World, count: usize) -> (usize, usize) {
    world.entries_go = true;
    let (alice, carol) = (world.person("alice", 2), world.person("carol", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend(alice, carol);
    world.run_ms(3 * MINUTE);
    let carols = world.people[carol].nodes[0];
    for number in 0..count {
        world.say(carols, alice, &format!("number {number}"));
        world.run_ms(1000);
    }
    world.run_ms(MINUTE);
    (alice, carol)
}

fn recover(world: &mut World, person: usize, without: usize, by: usize) {
    world.set_running(without, false);
    let recovery = world.people[person].recovery();
    let command = Command::Recover { recovery, keep: vec![], without: vec![], since: None };
    world.command(by, command);
    world.run_ms(5 * MINUTE);
}

/// Devices come and go: each was taken in, wrote, and was removed before the next one came, and each
/// time the others settled what they have.
fn a_new_device_after(test: &'static str, come_and_go: usize) {
    let mut world = World::new(9, test);
    world.entries_go = true;
    let (alice, bob) = (world.person("alice", 2), world.person("bob", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend(alice, bob);
    world.run_ms(3 * MINUTE);
    let [phone, tablet] = world.people[alice].nodes[..] else { panic!() };
    let bobs = world.people[bob].nodes[0];
    for number in 0..come_and_go {
        let added = world.link_device(phone).expect("linked");
        world.run_ms(2 * MINUTE);
        world.say(added, bob, &format!("from number {number}"));
        world.run_ms(MINUTE);
        world.say(bobs, alice, &format!("answer {number}"));
        world.run_ms(MINUTE);
        let device = world.nodes[added].key().device();
        world.set_running(added, false);
        for node in [phone, tablet] {
            let authority = world.nodes[node].authority();
            let (why, since) = (Untrust::Removed, None);
            world.command(node, Command::Untrust { device, why, since, authority });
            world.run_ms(MINUTE);
        }
        for node in [phone, tablet] {
            let authority = world.nodes[node].authority();
            world.command(node, Command::Settle { devices: vec![], authority });
            world.run_ms(MINUTE);
        }
    }
    let new = world.link_device(phone).expect("linked");
    world.run_ms(30 * MINUTE);
    let shown = |world: &World, node: usize| -> Vec<String> {
        let with = if node == bobs { alice } else { bob };
        let history = world.history(node, world.account(with), 100);
        history.into_iter().filter_map(|message| message.text).collect()
    };
    let all = [phone, tablet, bobs, new].map(|node| shown(&world, node));
    println!("{:?}", world.nodes[new].engine().refusals());
    assert_eq!(all, [(); 4].map(|()| all[0].clone()));
    assert_eq!(all[0].len(), 2 * come_and_go);
}

#[test]
fn a_new_device_shows_what_a_removed_one_wrote() {
    a_new_device_after("a_new_device_shows_what_a_removed_one_wrote", 1);
}

#[test]
fn a_new_device_shows_what_two_removed_ones_wrote() {
    a_new_device_after("a_new_device_shows_what_two_removed_ones_wrote", 2);
}

/// A device was taken in, wrote, was removed and is forgotten; then the account goes over into
/// another one, which has never heard of it.
#[test]
fn after_a_merge_all_show_what_a_forgotten_device_wrote() {
    let mut world = World::new(10, "after_a_merge_all_show_what_a_forgotten_device_wrote");
    world.entries_go = true;
    let (old, new) = (world.person("alice", 2), world.person("alice2", 1));
    let bob = world.person("bob", 1);
    world.run_ms(10);
    world.tell_own_places(old);
    world.befriend(old, bob);
    world.run_ms(3 * MINUTE);
    let [phone, tablet] = world.people[old].nodes[..] else { panic!() };
    let (laptop, bobs) = (world.people[new].nodes[0], world.people[bob].nodes[0]);
    let added = world.link_device(phone).expect("linked");
    world.run_ms(2 * MINUTE);
    world.say(added, bob, "from the added one");
    world.run_ms(MINUTE);
    world.say(bobs, old, "answer");
    world.run_ms(MINUTE);
    let device = world.nodes[added].key().device();
    world.set_running(added, false);
    for node in [phone, tablet] {
        let authority = world.nodes[node].authority();
        let (why, since) = (Untrust::Removed, None);
        world.command(node, Command::Untrust { device, why, since, authority });
        world.run_ms(MINUTE);
    }
    for node in [phone, tablet] {
        let authority = world.nodes[node].authority();
        world.command(node, Command::Settle { devices: vec![], authority });
        world.run_ms(MINUTE);
    }
    let key = world.people[old].recovery();
    assert!(world.merge(phone, laptop, Some(key)));
    world.run_ms(30 * MINUTE);
    let shown = |world: &World, node: usize| -> Vec<String> {
        let with = if node == bobs { new } else { bob };
        let history = world.history(node, world.account(with), 100);
        history.into_iter().filter_map(|message| message.text).collect()
    };
    let all = [phone, tablet, bobs, laptop].map(|node| shown(&world, node));
    println!("{:?}", world.nodes[laptop].engine().refusals());
    assert_eq!(all, [(); 4].map(|()| vec!["from the added one".to_owned(), "answer".to_owned()]));
}

/// A contact joins who has never met the device that is forgotten, through a new device.
#[test]
fn a_contacts_new_device_shows_what_a_forgotten_device_wrote() {
    let mut world = World::new(11, "a_contacts_new_device_shows_what_a_forgotten_device_wrote");
    world.entries_go = true;
    let (alice, bob) = (world.person("alice", 2), world.person("bob", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend(alice, bob);
    world.run_ms(3 * MINUTE);
    let [phone, tablet] = world.people[alice].nodes[..] else { panic!() };
    let bobs = world.people[bob].nodes[0];
    let added = world.link_device(phone).expect("linked");
    world.run_ms(2 * MINUTE);
    world.say(added, bob, "from the added one");
    world.run_ms(MINUTE);
    world.say(bobs, alice, "answer");
    world.run_ms(MINUTE);
    let device = world.nodes[added].key().device();
    world.set_running(added, false);
    for node in [phone, tablet] {
        let authority = world.nodes[node].authority();
        let (why, since) = (Untrust::Removed, None);
        world.command(node, Command::Untrust { device, why, since, authority });
        world.run_ms(MINUTE);
    }
    for node in [phone, tablet] {
        let authority = world.nodes[node].authority();
        world.command(node, Command::Settle { devices: vec![], authority });
        world.run_ms(MINUTE);
    }
    for node in [phone, tablet] {
        world.set_running(node, false);
    }
    let new = world.link_device(bobs).expect("linked");
    world.run_ms(30 * MINUTE);
    let history = world.history(new, world.account(alice), 100);
    let all: Vec<String> = history.into_iter().filter_map(|message| message.text).collect();
    println!("{:?}", world.nodes[new].engine().refusals());
    assert_eq!(all, ["from the added one", "answer"]);
}

/// Carol became a contact when the laptop was long cut off. She helps the thief.
#[test]
fn nothing_of_a_stolen_device_counts_in_a_conversation_begun_later() {
    let mut world =
        World::new(4, "nothing_of_a_stolen_device_counts_in_a_conversation_begun_later");
    world.entries_go = true;
    let (alice, carol) = (world.person("alice", 3), world.person("carol", 1));
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend_later(alice, carol);
    world.run_ms(2 * MINUTE);
    let [phone, tablet, laptop] = world.people[alice].nodes[..] else { panic!() };
    let carols = world.people[carol].nodes[0];
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
    world.add_contact(carols, alice);
    world.run_ms(MINUTE);
    let with = world.account(carol);
    world.command(phone, Command::Accept(with));
    world.run_ms(2 * MINUTE);
    world.say(phone, carol, "hello");
    world.run_ms(MINUTE);
    carol_vouches(&mut world, (alice, carol), (laptop, phone));
    world.run_ms(MINUTE);
    let shown: Vec<_> = world
        .history(phone, world.account(carol), 100)
        .into_iter()
        .map(|m| (m.mine, m.text))
        .collect();
    assert_eq!(shown, [(true, Some("hello".to_owned()))]);
}
