//! A stranger asks whose account is as large as an account may be.
use kith_common::{
    account::{Account, Untrust, acknowledge},
    crypto,
    entry::Entry,
    envelope::{Signed, sign},
    frame::{ContactRequest, Frame},
    ids::DeviceId,
    keys::SigningKey,
};
use kith_core::engine::{Command, Event, Output};
use kith_tests::sim::puppet::{Puppet, Victim, victim_transport};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn size(account: &Account) -> usize {
    account.proof().iter().map(|e| e.len()).sum()
}

fn large(puppet: &Puppet) -> Account {
    let recovery = SigningKey::from_seed(&[99; 32]);
    let device = |n: u8| {
        if n == 0 {
            SigningKey::from_seed(&puppet.key.expose_seed(|s| *s))
        } else {
            SigningKey::from_seed(&[n; 32])
        }
    };
    let authority = |n: u8| SigningKey::from_seed(&[100 + n; 32]);
    let (id, _) = Account::genesis(&recovery);
    let acks = (0..16)
        .map(|n| acknowledge(&device(n), *recovery.public(), *authority(n).public(), [0; 32], id))
        .collect();
    let mut account = Account::begin(&recovery, 0, acks).unwrap();
    let ids: Vec<DeviceId> = (0..16).map(|n| device(n).device()).collect();
    for settled in [16, 16, 9] {
        let list = &ids[..settled];
        let signed: Vec<_> = (0..16)
            .filter_map(|n| account.checkpoint(&authority(n), list).ok())
            .take(account.devices().len() / 2 + 1)
            .collect();
        let next = account.join(&signed).unwrap();
        println!(
            "step of {settled}: {} -> {} base changed {}",
            size(&account),
            size(&next),
            next.base() != account.base()
        );
        account = next;
    }
    // Lists without a quorum.
    let base = account.clone();
    for n in 0..9_u8 {
        for without in 1..5_usize {
            let list: Vec<DeviceId> = ids[..9]
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != without)
                .map(|(_, id)| *id)
                .collect();
            if usize::from(n) / 2 == without - 1 {
                account = account.join(&[base.checkpoint(&authority(n), &list).unwrap()]).unwrap();
            }
        }
    }
    // Sixteen more, and votes about them.
    for n in 30..46_u8 {
        let inviter = authority((n - 30) % 9);
        let ack = acknowledge(&device(n), *inviter.public(), *authority(n).public(), [0; 32], id);
        if let Ok(add) = account.add_device(&inviter, &ack) {
            account = account.join(&[add]).unwrap();
        }
    }
    for n in 0..9 {
        let votes: Vec<_> = (30..46_u8)
            .filter_map(|about| {
                account.untrust(&authority(n), device(about).device(), Untrust::Stolen).ok()
            })
            .collect();
        account = account.join(&votes).unwrap();
    }
    account
}

fn request(victim: &Victim, asker: &Puppet, link: u64) -> Vec<u8> {
    let request = ContactRequest {
        to_account: victim.account(),
        to_device: victim.device(),
        transport: asker.transport.clone(),
        audience: victim_transport(link),
        proof: asker.person.account.proof().to_vec(),
        name: "x".to_owned(),
        greeting: "g".repeat(1024),
        addresses: vec![],
        absorbed: vec![],
    };
    let signed = sign(&asker.key, request);
    let sealed =
        crypto::seal_to(&mut ChaCha8Rng::seed_from_u64(link), victim.device(), signed.bytes())
            .unwrap();
    Frame::Request { sealed: sealed.into() }.encode()
}

#[test]
fn the_largest_account_fits_into_the_self_log() {
    let stranger = Puppet::new(1);
    let account = large(&stranger);
    println!(
        "proof: {} bytes in {} envelopes, asker stands: {}",
        size(&account),
        account.proof().len(),
        account.has(stranger.key.device())
    );
    let mut asker = stranger;
    asker.person.account = account;
    let mut victim = Victim::new();
    victim.link(1, &asker);
    let bytes = request(&victim, &asker, 1);
    let out = victim.hear(1, bytes);
    println!("asked: {}", out.iter().any(|o| matches!(o, Output::Event(Event::Contact(_)))));
    for row in victim.node.all_rows() {
        let read = Signed::<Entry>::decode(&row.envelope);
        assert!(read.is_ok(), "an entry of our own that nobody can read: {:?}", read.err());
    }
    // Anything that reads the self log must still work.
    victim.command(Command::Accept(asker.account()));
}

/// What the node does next that reads its own log: here, a start after a deletion was ordered.
#[test]
fn the_node_goes_on_with_it() {
    let stranger = Puppet::new(1);
    let account = large(&stranger);
    let friend = Puppet::new(2);
    let mut asker = stranger;
    asker.person.account = account;
    let mut victim = Victim::talking_to(&friend);
    let entry = friend.entry(&victim, None);
    let entry = friend.signed(entry, "hello");
    let id = Signed::<Entry>::decode(&entry.envelope).unwrap().id();
    let frame = friend.entries(&victim, vec![entry]);
    victim.hear(1, frame);
    victim.link(2, &asker);
    let bytes = request(&victim, &asker, 2);
    victim.hear(2, bytes);
    // `handle` panics in the simulator on a store error; in the node it rolls back and opens again.
    victim.command(Command::Delete { with: friend.account(), entries: vec![id] });
}
