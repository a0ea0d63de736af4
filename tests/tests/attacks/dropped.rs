//! A contact whose recovery key says of somebody else's device that the account drops it.
use super::forging::merged;
use kith_common::{
    account::{Account, Seat},
    envelope::{Signed, sign},
    frame::Frame,
};
use kith_core::contacts::Status;
use kith_tests::sim::puppet::{Puppet, Victim, frames, victim_transport};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn dropping(mallory: &Puppet, device: kith_common::ids::DeviceId) -> Account {
    let account = &mallory.person.account;
    let seat = account.proof().iter().find_map(|b| Signed::<Seat>::decode(b).ok()).unwrap();
    let seat = Seat { epoch: 1, dropped: vec![device], ..seat.claim().clone() };
    let seat = sign(&mallory.person.recovery(), seat).into_bytes();
    account.join(&[seat]).unwrap()
}

#[test]
fn nobody_drops_the_devices_of_others() {
    let bob = Puppet::new(1);
    let mut mallory = (2..).map(Puppet::new).find(|m| m.account() < bob.account()).unwrap();
    mallory.person.account = dropping(&mallory, bob.key.device());
    println!("{:?}", mallory.person.account.standing(bob.key.device()));
    let mut victim = Victim::new();
    victim.add(&bob);
    victim.add(&mallory);
    victim.link(1, &bob);
    let out = victim.hear(1, bob.hello(victim.device(), &victim_transport(1)));
    let out = frames(&out);
    for frame in &out {
        if let Frame::Accounts { proofs } = frame {
            let ids: Vec<_> = proofs.iter().map(|p| Account::fold(p).unwrap().id()).collect();
            println!("bob's device is told of mallory: {}", ids.contains(&mallory.account()));
        }
    }
    assert!(
        out.iter().any(|f| matches!(f, Frame::Certificate { .. })),
        "bob gets no session any more"
    );
}

/// A friend asked under a new account too, which was not answered yet, and then merged the two.
#[test]
fn a_friend_stays_a_friend_when_the_new_account_had_asked() {
    let (old, new) = (Puppet::new(1), Puppet::new(2));
    let mut victim = Victim::talking_to(&old);
    victim.link(2, &new);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let bytes = new.request(&victim, 2, &mut rng);
    victim.hear(2, bytes);
    assert_eq!(
        victim.node.engine().contact(new.account()).map(|c| c.status),
        Some(Status::Pending)
    );
    let (moved, stays) = merged(&old, &new);
    victim.hear(
        1,
        Frame::Accounts { proofs: vec![stays.proof().to_vec(), moved.proof().to_vec()] }.encode(),
    );
    assert_eq!(victim.node.engine().contact(old.account()).map(|c| c.status), None);
    assert_eq!(
        victim.node.engine().contact(new.account()).map(|c| c.status),
        Some(Status::Contact)
    );
}
