//! Mallory is a contact of the victim, and has the laptop that was stolen from Alice, another one.
//! Alice has voted the laptop out and settled what is left.
use kith_common::{
    account::{Account, Untrust, acknowledge},
    crypto,
    envelope::sign,
    frame::{ContactRequest, Frame},
    ids::DeviceId,
    keys::SigningKey,
};
use kith_core::{contacts::Status, engine::Command};
use kith_tests::sim::puppet::{Puppet, Victim, victim_transport};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const LAPTOP: usize = 2;

/// Alice's account now, and with what the thief says on the base that was.
fn alice(mallory: &Account) -> (Puppet, Account) {
    let mut puppet = Puppet::new(1);
    let secret = |n: u8| SigningKey::from_seed(&[n; 32]);
    let keys = [puppet.person.authority(0), secret(11), secret(12)];
    let mut old = puppet.person.account.clone();
    for (n, authority) in keys.iter().enumerate().skip(1) {
        let device = secret(20 + n as u8);
        let ack = acknowledge(&device, *keys[0].public(), *authority.public(), [1; 32], old.id());
        let add = old.add_device(&keys[0], &ack).unwrap();
        old = old.join(&[add]).unwrap();
    }
    let all: Vec<DeviceId> = old.devices().collect();
    let list = old.checkpoint(&keys[0], &all).unwrap();
    old = old.join(&[list]).unwrap();
    let device_of =
        |n: usize| old.devices().find(|d| old.authority_of(*d) == Some(*keys[n].public())).unwrap();
    let stolen = device_of(LAPTOP);
    let votes: Vec<_> =
        keys[..2].iter().map(|key| old.untrust(key, stolen, Untrust::Stolen).unwrap()).collect();
    let voted = old.join(&votes).unwrap();
    let left: Vec<DeviceId> = voted.devices().collect();
    let lists: Vec<_> = keys[..2].iter().map(|key| voted.checkpoint(key, &left).unwrap()).collect();
    let now = voted.join(&lists).unwrap();
    assert_eq!(now.devices().len(), 2);
    let absorbs = old.absorb(&keys[LAPTOP], mallory.id(), &[]).unwrap();
    let forged = now.join(&[absorbs]).unwrap();
    puppet.person.account = now;
    (puppet, forged)
}

struct Story {
    victim: Victim,
    alice: Puppet,
    mallory: Puppet,
    said: Vec<Vec<Box<[u8]>>>,
}

fn begin() -> Story {
    let mut mallory = Puppet::new(2);
    mallory.transport[20] = 9;
    let account = mallory.person.account.clone();
    let (alice, forged) = alice(&account);
    let moved = account.move_to(&mallory.person.authority(0), alice.account()).unwrap();
    let moved = account.join(&[moved]).unwrap();
    let said = vec![forged.proof().to_vec(), moved.proof().to_vec()];
    let mut victim = Victim::new();
    victim.add(&alice);
    victim.add(&mallory);
    victim.establish(1, &alice);
    victim.establish(2, &mallory);
    Story { victim, alice, mallory, said }
}

/// A request of somebody nobody has heard of, who says beside it what Mallory wants.
fn stranger_says(story: &mut Story) {
    let stranger = Puppet::new(3);
    let Victim { .. } = story.victim;
    let request = ContactRequest {
        to_account: story.victim.account(),
        to_device: story.victim.device(),
        transport: stranger.transport.clone(),
        audience: victim_transport(3),
        proof: stranger.person.account.proof().to_vec(),
        name: "x".to_owned(),
        greeting: String::new(),
        addresses: vec![],
        absorbed: story.said.clone(),
    };
    let signed = sign(&stranger.key, request);
    let sealed =
        crypto::seal_to(&mut ChaCha8Rng::seed_from_u64(5), story.victim.device(), signed.bytes())
            .unwrap();
    story.victim.link(3, &stranger);
    story.victim.hear(3, Frame::Request { sealed: sealed.into() }.encode());
}

#[test]
fn what_mallory_wrote_is_never_shown_as_alices() {
    let mut story = begin();
    let Story { victim, mallory, alice, said } = &mut story;
    let entry = mallory.entry(victim, None);
    let text = mallory.signed(entry, "it is me, Alice: my new bank account is ...");
    let frame = mallory.entries(victim, vec![text]);
    victim.hear(2, frame);
    victim.hear(2, Frame::Accounts { proofs: said.clone() }.encode());
    let shown = victim.history(alice);
    for message in &shown {
        println!(
            "shown with alice: author is alice {} {:?}",
            message.author == alice.account(),
            message.text
        );
    }
    println!(
        "{:?}",
        victim.node.engine().contact(alice.account()).map(|c| (c.name, c.status, c.validity))
    );
    assert_eq!(shown.len(), 0);
}

#[test]
fn who_removes_mallory_does_not_lose_alice() {
    let mut story = begin();
    let mallory = story.mallory.account();
    story.victim.command(Command::Remove(mallory));
    stranger_says(&mut story);
    let contact = story.victim.node.engine().contact(story.alice.account());
    assert_eq!(contact.map(|c| c.status), Some(Status::Contact));
}

#[test]
fn who_blocks_mallory_does_not_block_alice() {
    let mut story = begin();
    let mallory = story.mallory.account();
    story.victim.command(Command::Block(mallory));
    stranger_says(&mut story);
    let contact = story.victim.node.engine().contact(story.alice.account());
    assert_eq!(contact.map(|c| c.status), Some(Status::Contact));
}
