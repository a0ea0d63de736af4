//! A device that is linked after accounts have merged shows what the others show.
use kith_tests::sim::World;

const MINUTE: u64 = 60_000;

fn story(test: &'static str, theirs: bool, carols_there: bool) {
    let mut world = World::new(10, test);
    world.entries_go = true;
    let [one, two, carol] = ["alice", "alice2", "carol"].map(|name| world.person(name, 1));
    world.run_ms(10);
    world.befriend(one, carol);
    world.run_ms(2 * MINUTE);
    let [phone, laptop, carols] = [one, two, carol].map(|person| world.people[person].nodes[0]);
    world.say(phone, carol, "before");
    world.say(carols, one, "answer");
    world.run_ms(MINUTE);
    let key = world.people[one].recovery();
    assert!(world.merge(phone, laptop, Some(key)));
    world.run_ms(5 * MINUTE);
    world.say(carols, two, "after");
    world.say(laptop, carol, "from the laptop");
    world.run_ms(2 * MINUTE);
    // Carol or Alice gets a new device.
    let (old, with) = if theirs { (carols, two) } else { (laptop, carol) };
    if !carols_there {
        let others = if theirs { vec![phone, laptop] } else { vec![carols] };
        others.into_iter().for_each(|node| world.set_running(node, false));
    }
    let new = world.link_device(old).expect("linked");
    for minutes in [1, 9] {
        world.run_ms(minutes * MINUTE);
        println!(
            "{:?} {:?}",
            world
                .history(new, world.account(with), 100)
                .into_iter()
                .map(|m| (m.mine, m.text.unwrap_or_default()))
                .collect::<Vec<_>>(),
            world.nodes[new].engine().refusals()
        );
    }
    let shown = world.history(new, world.account(with), 100).len();
    let contacts = world.nodes[new].engine().contacts().len();
    assert_eq!((shown, contacts), (4, 1));
}

#[test]
fn a_new_device_of_whoever_merged() {
    story("a_new_device_of_whoever_merged", false, true);
}
#[test]
fn a_new_device_of_whoever_merged_alone() {
    story("a_new_device_of_whoever_merged_alone", false, false);
}
#[test]
fn a_new_device_of_a_contact() {
    story("a_new_device_of_a_contact", true, true);
}
#[test]
fn a_new_device_of_a_contact_alone() {
    story("a_new_device_of_a_contact_alone", true, false);
}
