//! Who gets what proves somebody's accounts, and does all of it arrive?
#![expect(clippy::expect_used, reason = "a test stops at the first thing that is wrong")]

use std::collections::BTreeSet;

use kith_common::{
    account::{Account, acknowledge},
    frame::Frame,
    ids::{AccountId, EntryId},
    keys::SigningKey,
    limits::{ABSORBED_ACCOUNTS_MAX, FRAME_ACCOUNTS_MAX},
};
use kith_core::engine::{Answer, Command, Output};
use kith_tests::sim::{
    people::Person,
    puppet::{Puppet, Victim, frames},
};

fn key(number: usize, role: u8) -> SigningKey {
    let mut seed = [role; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    SigningKey::from_seed(&seed)
}

/// An account of one device that never was.
fn account(number: usize) -> Account {
    Account::create(&key(number, 1), &key(number, 2), &key(number, 3), [0; 32])
}

fn own(victim: &Victim) -> Account {
    victim.node.engine().identity().account.clone()
}

fn says(victim: &mut Victim, link: u64, accounts: &[&Account]) -> Vec<Output> {
    let proofs = accounts.iter().map(|account| account.proof().to_vec()).collect();
    victim.hear(link, Frame::Accounts { proofs }.encode())
}

/// The accounts, each with the head that its proof gives, frame by frame.
fn told(outputs: &[Output]) -> Vec<Vec<(AccountId, EntryId)>> {
    let proofs = frames(outputs).into_iter().filter_map(|frame| match frame {
        Frame::Accounts { proofs } => Some(proofs),
        _ => None,
    });
    let named = |proof: &Vec<Box<[u8]>>| {
        let account = Account::fold(proof).expect("a proof holds");
        (account.id(), account.head())
    };
    proofs.map(|proofs| proofs.iter().map(named).collect()).collect()
}

/// Sixteen accounts have become one with Alice's, and her newest seat does not know an older device.
#[test]
fn all_that_proves_a_person_arrives() {
    let puppet = Puppet::new(1);
    let mut victim = Victim::talking_to(&puppet);
    let authority = victim.node.authority();
    let before = own(&victim);
    let ack =
        acknowledge(&key(99, 2), *authority.public(), *key(99, 3).public(), [0; 32], before.id());
    let older = before.join(&[before.add_device(&authority, &ack).unwrap()]).unwrap();
    says(&mut victim, 1, &[&older]);
    let recovery = Person::new(7, 0, "alice", 1, 0).recovery();
    let ack = acknowledge(
        &victim.node.key(),
        *recovery.public(),
        *authority.public(),
        [1; 32],
        before.id(),
    );
    let mut newest = Account::begin(&recovery, 5, vec![ack]).unwrap();
    let ended: Vec<Account> = (0..ABSORBED_ACCOUNTS_MAX)
        .map(|number| {
            let account = account(number);
            let moved = account.move_to(&key(number, 1), before.id()).unwrap();
            account.join(&[moved]).unwrap()
        })
        .collect();
    for account in &ended {
        newest = newest.join(&[newest.absorb(&authority, account.id(), &[]).unwrap()]).unwrap();
    }
    says(&mut victim, 1, &[&newest]);
    let mut outputs = Vec::new();
    for account in &ended {
        outputs.extend(says(&mut victim, 1, &[account]));
    }
    assert_eq!(victim.node.engine().absorbed().count(), ABSORBED_ACCOUNTS_MAX);

    // Somebody who comes back is told everything.
    victim.link(2, &puppet);
    let hello = puppet.hello(victim.device(), &kith_tests::sim::puppet::victim_transport(2));
    let told = told(&victim.hear(2, hello));
    let all: BTreeSet<(AccountId, EntryId)> = told.iter().flatten().copied().collect();
    for account in ended.iter().chain([&newest, &older]) {
        assert!(all.contains(&(account.id(), account.head())), "{:?} is missing", account.id());
    }
    for part in &told {
        assert!(part.len() <= FRAME_ACCOUNTS_MAX, "{} proofs", part.len());
        assert_eq!(part[0], (newest.id(), newest.head()), "each part says into which they went");
    }
}

/// One of two devices has agreed to merge: that is nobody's business yet.
#[test]
fn contacts_learn_of_a_merge_when_it_holds() {
    let puppet = Puppet::new(1);
    let mut victim = Victim::talking_to(&puppet);
    let (authority, device) = (victim.node.authority(), victim.node.key());
    let alone = own(&victim);
    let other = (key(50, 2), key(50, 3));
    let ack = acknowledge(&other.0, *authority.public(), *other.1.public(), [0; 32], alone.id());
    let two = alone.join(&[alone.add_device(&authority, &ack).unwrap()]).unwrap();
    let list: Vec<_> = two.devices().collect();
    let two = two.join(&[two.checkpoint(&authority, &list).unwrap()]).unwrap();
    says(&mut victim, 1, &[&two]);
    assert_eq!(own(&victim).devices().len(), 2);

    let stays = account(60);
    let absorbs = stays.absorb(&key(60, 3), two.id(), &[device.device()]).unwrap();
    let inviter = *key(60, 3).public();
    let ack = acknowledge(&device, inviter, *authority.public(), [2; 32], stays.id());
    let stays = stays.join(&[absorbs, ack.into_bytes()]).unwrap();
    let merge = Command::MergeInto { account: Box::new(stays.clone()), key: authority };
    let mut outputs = victim.command(merge);
    let waits = |output: &Output| {
        matches!(output, Output::Answered { result: Ok(Answer::Waits { have: 1, need: 2 }), .. })
    };
    assert!(outputs.iter().any(waits), "{outputs:?}");
    outputs.extend(victim.wait_ms(60_000));
    victim.link(2, &puppet);
    let hello = puppet.hello(victim.device(), &kith_tests::sim::puppet::victim_transport(2));
    outputs.extend(victim.hear(2, hello));
    let names =
        |outputs: &[Output]| told(outputs).iter().flatten().any(|(id, _)| *id == stays.id());
    assert!(!told(&outputs).is_empty(), "the contact hears of the account");
    assert!(!names(&outputs), "but not of the other one");

    let agreed = own(&victim).move_to(&other.1, stays.id()).unwrap();
    let agreed = own(&victim).join(&[agreed]).unwrap();
    says(&mut victim, 1, &[&agreed]);
    assert_eq!(own(&victim).id(), stays.id());
    victim.link(3, &puppet);
    let hello = puppet.hello(victim.device(), &kith_tests::sim::puppet::victim_transport(3));
    assert!(names(&victim.hear(3, hello)), "now it holds");
}
