//! The node of the account that ends is started again between going over and hearing the other
//! account's self log.
use kith_common::account::acknowledge;
use kith_core::engine::Command;
use kith_tests::sim::World;

const MINUTE: u64 = 60_000;

fn names(restart: bool, test: &'static str) -> (String, String) {
    let mut world = World::new(8, test);
    world.entries_go = true;
    let (old, new) = (world.person("alice", 1), world.person("alice2", 1));
    world.run_ms(MINUTE);
    let (phone, laptop) = (world.people[old].nodes[0], world.people[new].nodes[0]);
    world.command(laptop, Command::SetName("Work".to_owned()));
    world.run_ms(MINUTE);
    world.command(phone, Command::SetName("Home".to_owned()));
    world.run_ms(MINUTE);
    world.set_running(laptop, false);
    let account = world.people[new].account.clone();
    let (inviter, device, authority) =
        (world.nodes[laptop].authority(), world.nodes[phone].key(), world.nodes[phone].authority());
    let absorbs = account.absorb(&inviter, world.account(old), &[device.device()]).unwrap();
    let ack = acknowledge(&device, *inviter.public(), *authority.public(), [3; 32], account.id());
    let stays = account.join(&[absorbs, ack.into_bytes()]).unwrap();
    world.command(phone, Command::MergeInto { account: Box::new(stays), key: authority });
    world.command(phone, Command::LookForOwn(vec![format!("sim:{laptop}")]));
    world.run_ms(1000);
    assert_eq!(world.nodes[phone].engine().identity().account.id(), world.account(new));
    if restart {
        world.set_running(phone, false);
        world.set_running(phone, true);
    }
    world.nodes.iter_mut().for_each(|node| node.honest = false);
    world.set_running(laptop, true);
    world.run_ms(10 * MINUTE);
    assert_eq!(world.nodes[laptop].engine().identity().account.devices().len(), 2);
    let name = |node: usize| world.nodes[node].engine().profile().name.clone();
    (name(phone), name(laptop))
}

#[test]
fn the_name_is_that_of_the_account_that_stays() {
    assert_eq!(
        names(false, "the_name_is_that_of_the_account_that_stays"),
        ("Work".to_owned(), "Work".to_owned())
    );
}

#[test]
fn so_it_is_after_a_start() {
    assert_eq!(names(true, "so_it_is_after_a_start"), ("Work".to_owned(), "Work".to_owned()));
}
