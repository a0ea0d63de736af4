//! Two accounts of one person that know each other as contacts, one of them on two devices.
use kith_common::keys::SigningKey;
use kith_tests::sim::World;

const MINUTE: u64 = 60_000;

fn merge(test: &'static str, olds: usize, news: usize) -> (World, usize, usize) {
    let mut world = World::new(5, test);
    world.entries_go = true;
    let (old, new) = (world.person("alice", olds), world.person("alice2", news));
    world.run_ms(10);
    world.tell_own_places(old);
    world.tell_own_places(new);
    world.befriend(old, new);
    world.run_ms(3 * MINUTE);
    let (phone, laptop) = (world.people[old].nodes[0], world.people[new].nodes[0]);
    let key = world.people[old].recovery();
    assert!(world.merge(phone, laptop, Some(key)));
    world.run_ms(20 * MINUTE);
    (world, old, new)
}

fn check(world: &World, old: usize, new: usize) {
    let nodes: Vec<usize> =
        world.people[old].nodes.iter().chain(&world.people[new].nodes).copied().collect();
    let mut wrong = Vec::new();
    for node in &nodes {
        let engine = world.nodes[*node].engine();
        let own = engine.identity().account.id() == world.account(new);
        let contacts = engine.contacts().len();
        if !own
            || contacts != 0
            || engine.absorbed().count() != 1
            || engine.identity().account.devices().len() != nodes.len()
        {
            wrong.push((
                world.nodes[*node].name.clone(),
                own,
                contacts,
                engine.absorbed().count(),
                engine.identity().account.devices().len(),
            ));
        }
    }
    assert!(wrong.is_empty(), "name, uses the new account, contacts, absorbed, devices: {wrong:?}");
}

#[test]
fn the_account_that_stays_has_two_devices() {
    let (world, old, new) = merge("the_account_that_stays_has_two_devices", 1, 2);
    check(&world, old, new);
}

#[test]
fn the_account_that_ends_has_two_devices() {
    let (world, old, new) = merge("the_account_that_ends_has_two_devices", 2, 1);
    check(&world, old, new);
}

/// The words of the account that stays are typed where those of the one that ends are asked for, or
/// the command ends between the join and its last step: it is begun again.
#[test]
fn what_was_left_half_done_can_be_done_again() {
    let mut world = World::new(6, "what_was_left_half_done_can_be_done_again");
    world.entries_go = true;
    let (old, new) = (world.person("alice", 1), world.person("alice2", 1));
    world.run_ms(MINUTE);
    let (phone, laptop) = (world.people[old].nodes[0], world.people[new].nodes[0]);
    let other: SigningKey = world.people[new].recovery();
    assert!(world.merge(phone, laptop, Some(other)));
    world.run_ms(MINUTE);
    println!("{:?}", world.answers.iter().filter(|(n, _)| *n == phone).collect::<Vec<_>>());
    assert_eq!(world.nodes[phone].engine().identity().account.id(), world.account(old));
    let key = world.people[old].recovery();
    let again = world.merge(phone, laptop, Some(key));
    println!(
        "laptop: {:?}",
        world.answers.iter().filter(|(n, a)| *n == laptop && a.is_err()).collect::<Vec<_>>()
    );
    assert!(again, "nobody can finish it");
    world.run_ms(5 * MINUTE);
    assert_eq!(world.nodes[phone].engine().identity().account.id(), world.account(new));
}
