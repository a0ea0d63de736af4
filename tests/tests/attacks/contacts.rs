//! What strangers and contacts can do to the list of contacts.
use super::forging::merged;
use kith_common::{
    account::Account,
    crypto,
    envelope::sign,
    frame::{ContactRequest, Frame},
};
use kith_core::{
    contacts::{Status, Validity},
    engine::Command,
    store::{RecordKind, Store},
};
use kith_tests::sim::puppet::{Puppet, Victim, victim_transport};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn request(
    victim: &Victim,
    asker: &Puppet,
    account: &Account,
    link: u64,
    absorbed: Vec<Vec<Box<[u8]>>>,
) -> Vec<u8> {
    let request = ContactRequest {
        to_account: victim.account(),
        to_device: victim.device(),
        transport: asker.transport.clone(),
        audience: victim_transport(link),
        proof: account.proof().to_vec(),
        name: "x".to_owned(),
        greeting: String::new(),
        addresses: vec![],
        absorbed,
    };
    let signed = sign(&asker.key, request);
    let sealed =
        crypto::seal_to(&mut ChaCha8Rng::seed_from_u64(link), victim.device(), signed.bytes())
            .unwrap();
    Frame::Request { sealed: sealed.into() }.encode()
}

fn records(victim: &Victim) -> (usize, usize) {
    let records = victim.node.store.records(RecordKind::Contact).unwrap();
    (records.len(), records.iter().map(|(_, value)| value.len()).sum())
}

/// Three accounts of a stranger that go over into each other in a ring.
#[test]
fn a_ring_of_accounts_does_not_grow() {
    let mut victim = Victim::new();
    let puppets = [1, 2, 3].map(Puppet::new);
    let accounts: Vec<Account> = (0..3)
        .map(|n| {
            let (own, authority) = (&puppets[n].person.account, puppets[n].person.authority(0));
            let (before, next) = (&puppets[(n + 2) % 3], &puppets[(n + 1) % 3]);
            let absorbs = own.absorb(&authority, before.account(), &[]).unwrap();
            let moved = own.move_to(&authority, next.account()).unwrap();
            own.join(&[absorbs, moved]).unwrap()
        })
        .collect();
    let said: Vec<_> = accounts.iter().map(|a| a.proof().to_vec()).collect();
    victim.link(1, &puppets[0]);
    victim.hear(1, request(&victim, &puppets[0], &puppets[0].person.account, 1, vec![]));
    let mut sizes = Vec::new();
    for round in 0..40 {
        let link = 2 + round;
        victim.link(link, &puppets[0]);
        let bytes = request(&victim, &puppets[0], &accounts[0], link, said[1..].to_vec());
        for _ in 0..5 {
            victim.hear(link, bytes.clone());
        }
        sizes.push(records(&victim).1);
    }
    println!("bytes of contact records: {sizes:?}");
    assert!(sizes[39] < 2 * sizes[1] + 10_000, "{sizes:?}");
}

/// Strangers ask and give way to others.
#[test]
fn who_gave_way_leaves_nothing_behind() {
    let mut victim = Victim::new();
    let mut counts = Vec::new();
    for n in 1..400_usize {
        let stranger = Puppet::new(n);
        let link = n as u64;
        victim.link(link, &stranger);
        victim.hear(link, request(&victim, &stranger, &stranger.person.account, link, vec![]));
        victim.feed(kith_core::engine::Input::LinkDown { link: kith_core::engine::LinkId(link) });
        counts.push((records(&victim).0, victim.node.store.entry_count()));
    }
    println!("{:?} {:?} {:?}", counts[99], counts[199], counts[398]);
    assert!(counts[398].0 < 250, "records of strangers who gave way: {:?}", counts[398]);
}

/// A contact was proven to lie and is removed; it asks again.
#[test]
fn a_liar_who_was_removed_is_still_a_liar() {
    let mallory = Puppet::new(1);
    let mut victim = Victim::talking_to(&mallory);
    for text in ["one", "another"] {
        let entry = mallory.entry(&victim, None);
        let entry = mallory.signed(entry, text);
        let frame = mallory.entries(&victim, vec![entry]);
        victim.hear(1, frame);
    }
    let validity =
        |victim: &Victim| victim.node.engine().contact(mallory.account()).map(|c| c.validity);
    assert_eq!(validity(&victim), Some(Validity::Compromised));
    victim.command(Command::Remove(mallory.account()));
    victim.link(2, &mallory);
    let bytes = request(&victim, &mallory, &mallory.person.account, 2, vec![]);
    victim.hear(2, bytes);
    assert_eq!(validity(&victim), Some(Validity::Compromised));
}

/// Somebody whose account went over into another one is removed and asks again: what was said under
/// the old account is still theirs, now and after a start.
#[test]
fn who_merged_and_was_removed_keeps_the_old_logs() {
    let (old, new) = (Puppet::new(1), Puppet::new(2));
    let mut victim = Victim::talking_to(&old);
    let entry = old.entry(&victim, None);
    let entry = old.signed(entry, "from the old account");
    let frame = old.entries(&victim, vec![entry]);
    victim.hear(1, frame);
    let (moved, stays) = merged(&old, &new);
    victim.hear(
        1,
        Frame::Accounts { proofs: vec![stays.proof().to_vec(), moved.proof().to_vec()] }.encode(),
    );
    assert_eq!(victim.history(&new).len(), 1);
    victim.command(Command::Remove(new.account()));
    victim.link(2, &new);
    let bytes = request(&victim, &new, &stays, 2, vec![moved.proof().to_vec()]);
    victim.hear(2, bytes);
    assert_eq!(
        victim.node.engine().contact(new.account()).map(|c| c.status),
        Some(Status::Pending)
    );
    victim.command(Command::Accept(new.account()));
    assert_eq!(victim.history(&new).len(), 1, "at once");
}

/// Bob knew both accounts and tidied up: the old one, which is not used any more, went last.
#[test]
fn who_removed_the_old_account_keeps_the_new_one() {
    let (old, new) = (Puppet::new(1), Puppet::new(2));
    let mut victim = Victim::talking_to(&old);
    victim.add(&new);
    victim.establish(2, &new);
    victim.command(Command::Remove(old.account()));
    let (moved, stays) = merged(&old, &new);
    victim.hear(
        2,
        Frame::Accounts { proofs: vec![stays.proof().to_vec(), moved.proof().to_vec()] }.encode(),
    );
    assert_eq!(
        victim.node.engine().contact(new.account()).map(|c| c.status),
        Some(Status::Contact)
    );
}
