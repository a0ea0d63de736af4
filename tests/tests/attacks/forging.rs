//! What can be made with the keys of a stolen device, or of two accounts that become one?
use kith_common::{
    account::Account,
    entry::{Entry, EntryKind, Mark, Text, hash_body},
    envelope::{Signed, sign},
    frame::{CarriedEntry, Frame},
    frontier::Frontier,
    ids::{AccountId, DeviceId, EntryId, LogId},
    own::Own,
    time::Hlc,
};
use kith_core::{engine::Input, store::EntryRow};
use kith_tests::sim::{World, puppet::Puppet};

pub(crate) fn opened(row: &EntryRow) -> (DeviceId, EntryId, Entry) {
    let signed = Signed::<Entry>::decode(&row.envelope).unwrap();
    (DeviceId::from_bytes(*signed.signer()), signed.id(), signed.claim().clone())
}

/// What a stolen device says in the self log of an account, behind what `to` has of it.
pub(crate) fn own_words(
    world: &World,
    (stolen, to): (usize, usize),
    account: AccountId,
    owns: &[Own],
) -> (LogId, Vec<CarriedEntry>) {
    let (log, key) = (LogId::own(account), world.nodes[stolen].key());
    let rows = world.nodes[to].all_rows();
    let mine = rows.iter().map(opened).filter(|(d, _, e)| *d == key.device() && e.log == log);
    let mut last = mine.max_by_key(|(.., e)| e.seq).map(|(_, id, e)| (id, e.seq));
    let mut entries = Vec::new();
    for own in owns {
        let body = own.encode([4; 16]);
        let seq = last.map_or(1, |(_, seq)| seq + 1);
        let entry = Entry {
            log,
            account,
            seq,
            prev: last.map(|(id, _)| id),
            parents: vec![],
            depth: seq,
            hlc: Hlc::at(world.nodes[stolen].clock(world.now_ms())),
            account_head: EntryId::from_bytes([0; 32]),
            kind: own.kind(),
            body_hash: hash_body(&body),
            body_bytes: body.len() as u64,
        };
        let signed = sign(&key, entry);
        last = Some((signed.id(), seq));
        entries.push(CarriedEntry { envelope: signed.into_bytes(), body: Some(body.into()) });
    }
    (log, entries)
}

/// A stolen device writes to Carol, whose device says that it has that, and shows both to another
/// device of the person.
pub(crate) fn carol_vouches(world: &mut World, people: (usize, usize), devices: (usize, usize)) {
    let account = world.account(people.0);
    carol_vouches_for(world, account, people, devices);
}

/// The same in the name of an account that the person has, or had.
pub(crate) fn carol_vouches_for(
    world: &mut World,
    account: AccountId,
    (alice, carol): (usize, usize),
    (stolen, to): (usize, usize),
) {
    let (carols, key) = (world.people[carol].nodes[0], world.nodes[stolen].key());
    let log: LogId = world.log(alice, carol);
    let body = Text { text: "I owe you a million".to_owned(), reply_to: None }.encode([1; 16]);
    let entry = Entry {
        log,
        account,
        seq: 1,
        prev: None,
        parents: vec![],
        depth: 1,
        hlc: Hlc::at(world.nodes[stolen].clock(world.now_ms())),
        account_head: EntryId::from_bytes([0; 32]),
        kind: EntryKind::TEXT,
        body_hash: hash_body(&body),
        body_bytes: body.len() as u64,
    };
    let signed = sign(&key, entry);
    let mark = Mark { device: key.device(), seq: 1, id: signed.id() };
    let frontier = Frontier { log, received: vec![mark], read: vec![] };
    let frontier = sign(&world.nodes[carols].key(), frontier).into_bytes();
    let entries = vec![CarriedEntry { envelope: signed.into_bytes(), body: Some(body.into()) }];
    world.nodes.iter_mut().for_each(|node| node.honest = false);
    for link in world.links_between(to, carols) {
        let frontiers = Frame::Frontiers { ask: false, frontiers: vec![frontier.clone()] };
        let entries = Frame::Entries { log, entries: entries.clone() };
        for bytes in [frontiers.encode(), entries.encode()] {
            world.input(to, Input::Frame { link, bytes });
        }
    }
}

/// One account goes over into another one: what it says, and what the other one says.
pub(crate) fn merged(old: &Puppet, new: &Puppet) -> (Account, Account) {
    let moved = old.person.account.move_to(&old.person.authority(0), new.account()).unwrap();
    let moved = old.person.account.join(&[moved]).unwrap();
    let absorbs = new.person.account.absorb(&new.person.authority(0), old.account(), &[]).unwrap();
    (moved, new.person.account.join(&[absorbs]).unwrap())
}
