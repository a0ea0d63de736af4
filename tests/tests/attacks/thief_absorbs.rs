//! A device that was stolen, voted out by a quorum and left out of a checkpoint says, on the old
//! base, that the account has absorbed the thief's own account.
use kith_common::account::{Standing, Untrust, acknowledge};
use kith_core::engine::Command;
use kith_tests::sim::{World, thief::Thief};

const MINUTE: u64 = 60_000;

struct Story {
    world: World,
    alice: usize,
    mallory: usize,
    thief: usize,
}

/// Alice: phone, tablet, laptop, all settled. The laptop is stolen, voted out by the two others,
/// and they settle what is left. Mallory is a contact of Alice (or once was).
fn begin(test: &'static str) -> Story {
    let mut world = World::new(1, test);
    world.entries_go = true;
    let alice = world.person("alice", 3);
    let bob = world.person("bob", 1);
    let mallory = world.person("mallory", 1);
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend(alice, bob);
    world.befriend_later(alice, mallory); // for the checks of the simulator alone
    world.run_ms(2 * MINUTE);
    let [phone, tablet, laptop] = world.people[alice].nodes[..] else { panic!() };
    world.say(phone, bob, "private: alice to bob");
    world.run_ms(MINUTE);
    Thief::new(&mut world, laptop);
    let m = world.people[mallory].nodes[0];
    Thief::new(&mut world, m);
    let device = world.nodes[laptop].key().device();
    for node in [phone, tablet] {
        let authority = world.nodes[node].authority();
        world.command(
            node,
            Command::Untrust { device, why: Untrust::Stolen, since: None, authority },
        );
        world.run_ms(MINUTE);
    }
    let left: Vec<_> = [phone, tablet].map(|n| world.nodes[n].key().device()).into();
    for node in [phone, tablet] {
        let authority = world.nodes[node].authority();
        world.command(node, Command::Settle { devices: left.clone(), authority });
        world.run_ms(MINUTE);
    }
    let account = world.nodes[phone].engine().identity().account.clone();
    assert_eq!(account.devices().collect::<Vec<_>>().len(), 2);
    assert!(matches!(account.standing(device), Some(Standing::Former(f)) if f.is_final));
    Story { world, alice, mallory, thief: laptop }
}

/// The thief, weeks later, with what the laptop knew when it was stolen.
fn absorb(story: &mut Story) {
    let Story { world, alice, mallory, thief } = story;
    // The checks of the simulator stop at the first consequence; here the last one is looked at.
    world.nodes.iter_mut().for_each(|node| node.honest = false);
    let old = world.people[*alice].account.clone(); // three settled devices
    let m1 = world.people[*mallory].nodes[0];
    let (stolen, mkey, mauth) =
        (world.nodes[*thief].authority(), world.nodes[m1].key(), world.nodes[m1].authority());
    let maccount = world.people[*mallory].account.id();
    let absorbs = old.absorb(&stolen, maccount, &[mkey.device()]).unwrap();
    let ack = acknowledge(&mkey, *stolen.public(), *mauth.public(), [3; 32], old.id());
    let forged = old.join(&[absorbs, ack.into_bytes()]).unwrap();
    let key = world.nodes[m1].authority();
    world.command(m1, Command::MergeInto { account: Box::new(forged), key });
    let places = world.people[*alice].nodes[..2].iter().map(|n| format!("sim:{n}")).collect();
    world.command(m1, Command::LookForOwn(places));
    world.run_ms(5 * MINUTE);
    println!("answers {:?}", world.answers.last());
    let phone = world.people[*alice].nodes[0];
    let e = world.nodes[phone].engine();
    println!(
        "phone: absorbed {:?} contact {:?} m moved {:?} online {}",
        e.identity().account.absorbed().collect::<Vec<_>>(),
        e.contact(maccount).map(|c| (c.status, c.online)),
        e.account_of_contact(maccount).map(|a| a.moved_to()),
        e.device_count()
    );
    println!("refusals {:?}", e.refusals());
    let e = world.nodes[m1].engine();
    println!(
        "m1: {:?} {:?} {:?} refusals {:?}",
        e.identity().account.id() == old.id(),
        e.identity().account.standing(mkey.device()),
        e.device_count(),
        e.refusals()
    );
}

#[test]
fn a_device_that_was_voted_out_absorbs_nobody() {
    let mut story = begin("a_device_that_was_voted_out_absorbs_nobody");
    absorb(&mut story);
    let Story { world, alice, mallory, .. } = &story;
    let phone = world.people[*alice].nodes[0];
    let engine = world.nodes[phone].engine();
    let absorbed: Vec<_> = engine.absorbed().map(|a| a.id()).collect();
    assert!(
        !absorbed.contains(&world.account(*mallory)),
        "mallory's account is part of alice at her phone"
    );
}

#[test]
fn a_device_that_was_voted_out_brings_nobody_in() {
    let mut story = begin("a_device_that_was_voted_out_brings_nobody_in");
    absorb(&mut story);
    let (alice, mallory) = (story.alice, story.mallory);
    let world = &mut story.world;
    let [phone, tablet] = world.people[alice].nodes[..2] else { panic!() };
    let m1 = world.people[mallory].nodes[0];
    let mdevice = world.nodes[m1].key().device();
    println!("before: {:?}", world.nodes[phone].engine().identity().account.standing(mdevice));
    // Alice agrees to something about her devices on her phone (confirming a new one does the same).
    let authority = world.nodes[phone].authority();
    world.command(phone, Command::Settle { devices: vec![], authority });
    world.run_ms(10 * MINUTE);
    let standing = world.nodes[phone].engine().identity().account.standing(mdevice);
    println!(
        "after settling once: {standing:?} m1 account is alice's: {}",
        world.nodes[m1].engine().identity().account.id() == world.account(alice)
    );
    // She and her tablet settle all devices that they see.
    for node in [phone, tablet] {
        let authority = world.nodes[node].authority();
        world.command(node, Command::Settle { devices: vec![], authority });
        world.run_ms(MINUTE);
    }
    world.run_ms(5 * MINUTE);
    let after = world.nodes[phone].engine().identity().account.standing(mdevice);
    println!("after settling: {after:?}");
    let shown: Vec<_> =
        world.history(m1, world.account(1), 100).into_iter().filter_map(|m| m.text).collect();
    println!("mallory's node shows of alice and bob: {shown:?}");
    assert!(!standing.is_some_and(Standing::stands), "{standing:?}: mallory's device is alice's");
}

/// The words, which are to end every theft in one operation, say it again, and the next device that
/// is confirmed or settled lets the thief in.
#[test]
fn the_words_bring_no_thief_in() {
    let mut story = begin("the_words_bring_no_thief_in");
    absorb(&mut story);
    let (alice, mallory) = (story.alice, story.mallory);
    let world = &mut story.world;
    let [phone, tablet] = world.people[alice].nodes[..2] else { panic!() };
    let mdevice = world.nodes[world.people[mallory].nodes[0]].key().device();
    let recovery = world.people[alice].recovery();
    let keep = vec![world.nodes[tablet].key().device()];
    world.command(phone, Command::Recover { recovery, keep, without: vec![], since: None });
    world.run_ms(MINUTE);
    let authority = world.nodes[phone].authority();
    world.command(phone, Command::Settle { devices: vec![], authority });
    world.run_ms(10 * MINUTE);
    let account = world.nodes[phone].engine().identity().account.clone();
    assert_eq!(account.epoch(), 1);
    let standing = account.standing(mdevice);
    assert!(!standing.is_some_and(Standing::stands), "{standing:?}: mallory's device is alice's");
}

/// Nobody has noticed yet: the laptop stands, and what it absorbs is one with Alice for everybody.
/// The words leave it out, and say so to all who believed it.
#[test]
fn the_words_leave_out_what_a_thief_absorbed() {
    let mut world = World::new(2, "the_words_leave_out_what_a_thief_absorbed");
    world.entries_go = true;
    let (alice, bob) = (world.person("alice", 3), world.person("bob", 1));
    let mallory = world.person("mallory", 1);
    world.run_ms(10);
    world.tell_own_places(alice);
    world.befriend(alice, bob);
    world.befriend(bob, mallory);
    world.run_ms(2 * MINUTE);
    let [phone, tablet, laptop] = world.people[alice].nodes[..] else { panic!() };
    let (bobs, m1) = (world.people[bob].nodes[0], world.people[mallory].nodes[0]);
    world.nodes.iter_mut().for_each(|node| node.honest = false);
    let key = world.nodes[m1].authority();
    assert!(world.merge(m1, laptop, Some(key)), "the thief confirms");
    world.run_ms(5 * MINUTE);
    let theirs = world.account(mallory);
    let is_one = |world: &World, node: usize| {
        let engine = world.nodes[node].engine();
        engine.absorbed().any(|account| account.id() == theirs)
    };
    assert!(is_one(&world, phone) && is_one(&world, tablet), "nobody has noticed");
    assert_eq!(world.nodes[bobs].engine().contacts().len(), 1, "nor has bob");

    let (recovery, keep) = (world.people[alice].recovery(), world.nodes[tablet].key().device());
    let without = vec![theirs];
    world.command(phone, Command::Recover { recovery, keep: vec![keep], without, since: None });
    world.run_ms(5 * MINUTE);
    let mdevice = world.nodes[m1].key().device();
    for node in [phone, tablet] {
        assert!(!is_one(&world, node), "{}", world.nodes[node].name);
        let account = &world.nodes[node].engine().identity().account;
        assert!(matches!(account.standing(mdevice), Some(Standing::Former(f)) if f.is_final));
    }
    // What is said from now on is none of mallory's business, at bob's either.
    world.say(phone, bob, "from the phone");
    world.run_ms(MINUTE);
    world.say(bobs, alice, "to the phone");
    world.run_ms(5 * MINUTE);
    let texts = |world: &World, node: usize| -> Vec<String> {
        let history = world.history(node, world.account(if node == bobs { alice } else { bob }), 9);
        history.into_iter().filter_map(|message| message.text).collect()
    };
    for node in [phone, tablet, bobs] {
        assert_eq!(texts(&world, node), ["from the phone", "to the phone"]);
    }
    for node in [m1, laptop] {
        assert!(texts(&world, node).is_empty(), "{}", world.nodes[node].name);
    }
    for node in [phone, tablet, bobs] {
        world.set_running(node, false);
        world.set_running(node, true);
    }
    world.run_ms(MINUTE);
    assert!(!is_one(&world, phone) && !is_one(&world, tablet));
}
