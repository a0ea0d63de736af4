//! Alice and Bob both merge two accounts while the other is away, and write before they hear of it.
use kith_tests::sim::World;

const MINUTE: u64 = 60_000;

#[test]
fn what_is_written_while_both_merge_arrives() {
    let mut world = World::new(9, "what_is_written_while_both_merge_arrives");
    world.entries_go = true;
    let [a_old, a_new, b_old, b_new] =
        ["alice", "alice2", "bob", "bob2"].map(|name| world.person(name, 1));
    world.run_ms(10);
    world.befriend(a_old, b_old);
    world.run_ms(2 * MINUTE);
    let node = |world: &World, person: usize| world.people[person].nodes[0];
    let [a1, a2, b1, b2] = [a_old, a_new, b_old, b_new].map(|person| node(&world, person));
    world.say(a1, b_old, "before");
    world.run_ms(MINUTE);
    for bobs in [b1, b2] {
        world.set_running(bobs, false);
    }
    let key = world.people[a_old].recovery();
    assert!(world.merge(a1, a2, Some(key)));
    world.run_ms(3 * MINUTE);
    world.say(a1, b_old, "alice crossing");
    world.run_ms(MINUTE);
    for alices in [a1, a2] {
        world.set_running(alices, false);
    }
    for bobs in [b1, b2] {
        world.set_running(bobs, true);
    }
    world.run_ms(MINUTE);
    let key = world.people[b_old].recovery();
    assert!(world.merge(b1, b2, Some(key)));
    world.run_ms(3 * MINUTE);
    world.say(b1, a_old, "bob crossing");
    world.run_ms(MINUTE);
    for alices in [a1, a2] {
        world.set_running(alices, true);
    }
    world.run_ms(30 * MINUTE);
    let shown = |at: usize, with: usize| -> Vec<String> {
        world.history(at, world.account(with), 100).into_iter().filter_map(|m| m.text).collect()
    };
    println!("alice {:?} {:?}", shown(a1, b_new), shown(a2, b_new));
    println!("bob {:?} {:?}", shown(b1, a_new), shown(b2, a_new));
    for node in [a1, b1] {
        println!("{:?}", world.nodes[node].engine().refusals());
    }
    for (at, with) in [(a1, b_new), (a2, b_new), (b1, a_new), (b2, a_new)] {
        assert_eq!(shown(at, with).len(), 3, "{}", world.nodes[at].name);
    }
}
