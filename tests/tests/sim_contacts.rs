//! Who gets on the list of contacts, and how many? One node, and strangers who ask.

use kith_common::limits::{ACCOUNT_DEVICES_MAX, HELLO_TAGS_MAX};
use kith_core::{
    contacts::Status,
    engine::{Command, CommandError, Event, Output},
    limits::{CONTACTS_MAX, PENDING_CONTACTS_MAX},
};
use kith_tests::sim::{
    people::Person,
    puppet::{Puppet, Victim},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// A stranger asks on a link of their own, with the stranger's number.
fn ask(victim: &mut Victim, stranger: &Puppet, link: u64) -> Vec<Output> {
    let mut rng = ChaCha8Rng::seed_from_u64(link);
    victim.link(link, stranger);
    let request = stranger.request(victim, link, &mut rng);
    victim.hear(link, request)
}

fn status(victim: &Victim, stranger: &Puppet) -> Option<Status> {
    victim.node.engine().contact(stranger.account()).map(|contact| contact.status)
}

fn pending(victim: &Victim) -> usize {
    let contacts = victim.node.engine().contacts();
    contacts.iter().filter(|contact| contact.status == Status::Pending).count()
}

fn error_of(outputs: &[Output]) -> Option<&CommandError> {
    outputs.iter().find_map(|output| match output {
        Output::Answered { result, .. } => result.as_ref().err(),
        _ => None,
    })
}

#[test]
fn a_link_brings_two_requests_at_most() {
    let mut victim = Victim::new();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let first = Puppet::new(1);
    victim.link(1, &first);
    for number in 1..=5 {
        let stranger = Puppet { transport: first.transport.clone(), ..Puppet::new(number) };
        let request = stranger.request(&victim, 1, &mut rng);
        // Twice: the second changes nothing.
        victim.hear(1, request.clone());
        victim.hear(1, request);
    }
    assert_eq!(pending(&victim), 2);
    assert_eq!(victim.refusals(), [("too_many_requests", 6)].into());
    // The next link begins anew.
    ask(&mut victim, &Puppet::new(6), 2);
    assert_eq!(pending(&victim), 3);
}

#[test]
fn the_oldest_unanswered_request_gives_way() {
    const { assert!(PENDING_CONTACTS_MAX < CONTACTS_MAX) };
    let strangers: Vec<Puppet> = (1..=PENDING_CONTACTS_MAX + 20).map(Puppet::new).collect();
    let [accepted, blocked, unblocked, asked] = [0, 1, 2, 3].map(|at| &strangers[at]);
    let mut victim = Victim::new();
    victim.add(asked);
    for (link, stranger) in (1..).zip([accepted, blocked, unblocked]) {
        ask(&mut victim, stranger, link);
    }
    victim.command(Command::Accept(accepted.account()));
    victim.command(Command::Block(blocked.account()));
    victim.command(Command::Block(unblocked.account()));
    victim.command(Command::Unblock(unblocked.account()));
    let mut removed = 0;
    for (link, stranger) in (100..).zip(&strangers[4..]) {
        if link == 150 {
            victim.node.start(victim.now_ms);
        }
        let outputs = ask(&mut victim, stranger, link);
        let gone = |output: &&Output| matches!(output, Output::Event(Event::ContactRemoved(_)));
        removed += outputs.iter().filter(gone).count();
    }
    assert_eq!(pending(&victim), PENDING_CONTACTS_MAX);
    assert_eq!(victim.refusals(), [].into());
    // 116 asked after the one that was unblocked: 99 of them have room beside it.
    assert_eq!(removed, 17);
    let there: Vec<bool> =
        strangers[4..].iter().map(|stranger| status(&victim, stranger).is_some()).collect();
    assert_eq!(there, [vec![false; 17], vec![true; 99]].concat(), "the oldest ones are gone");
    let kept = [accepted, blocked, unblocked, asked].map(|stranger| status(&victim, stranger));
    let expected = [Status::Contact, Status::Blocked, Status::Pending, Status::Requested];
    assert_eq!(kept, expected.map(Some));
    // Who gave way may ask again.
    ask(&mut victim, &strangers[4], 1000);
    assert_eq!(status(&victim, &strangers[4]), Some(Status::Pending));
}

#[test]
fn a_request_serves_on_its_link_and_for_its_device_only() {
    let (stranger, mut rng) = (Puppet::new(2), ChaCha8Rng::seed_from_u64(1));
    let mut victim = Victim::new();
    victim.link(1, &stranger);
    victim.link(2, &stranger);
    let request = stranger.request(&victim, 1, &mut rng);
    victim.hear(2, request.clone());
    assert_eq!(victim.refusals(), [("request_not_for_us", 1)].into());
    assert_eq!(victim.node.engine().contacts(), []);
    victim.hear(1, request);
    assert_eq!(victim.node.engine().contacts().len(), 1);
}

/// Asks somebody with that many devices to become a contact.
fn add(victim: &mut Victim, number: usize, devices: usize) -> Option<CommandError> {
    let card = Box::new(Person::new(7, number, "somebody", devices, 0).card());
    let outputs = victim.command(Command::AddContact { card, name: None, greeting: String::new() });
    error_of(&outputs).cloned()
}

fn devices(victim: &Victim) -> usize {
    victim.node.engine().contacts().iter().map(|contact| contact.devices.len()).sum()
}

#[test]
fn a_contact_with_more_devices_than_fit_keeps_those_that_are_known() {
    let mut victim = Victim::new();
    let mallory = Puppet::new(1);
    victim.add(&mallory);
    for number in 2..=HELLO_TAGS_MAX / ACCOUNT_DEVICES_MAX {
        assert_eq!(add(&mut victim, number, ACCOUNT_DEVICES_MAX), None);
    }
    assert_eq!(add(&mut victim, 1000, ACCOUNT_DEVICES_MAX - 1), None);
    assert_eq!(devices(&victim), HELLO_TAGS_MAX);
    let grown = Person::new(7, 1, "mallory", 2, 0);
    assert_eq!(grown.account.id(), mallory.account());
    let mallory = Puppet { person: grown, ..mallory };
    victim.establish(1, &mallory);
    assert_eq!(devices(&victim), HELLO_TAGS_MAX);
    assert_eq!(victim.refusals(), [("devices_full", 1)].into());
    let warnings = victim.node.engine().warnings();
    assert!(warnings[0].contains("remove somebody"), "{warnings:?}");
    // Once there is room, the next session brings the other device.
    let somebody = Person::new(7, 2, "somebody", 1, 0).account.id();
    victim.command(Command::Remove(somebody));
    victim.establish(2, &mallory);
    assert_eq!(victim.node.engine().contact(mallory.account()).unwrap().devices.len(), 2);
    assert_eq!(victim.node.engine().warnings(), [""; 0]);
}

#[test]
fn every_known_device_has_its_tag_in_a_hello() {
    let mut victim = Victim::new();
    for number in 1..=HELLO_TAGS_MAX / ACCOUNT_DEVICES_MAX {
        assert_eq!(add(&mut victim, number, ACCOUNT_DEVICES_MAX), None);
    }
    let error = add(&mut victim, 1000, 1).expect("there is no room for another one's devices");
    assert!(error.to_string().contains("remove somebody"), "{error}");
    assert_eq!(devices(&victim), HELLO_TAGS_MAX);
    // A stranger may ask, but cannot be accepted before there is room.
    let stranger = Puppet::new(2000);
    ask(&mut victim, &stranger, 1);
    let outputs = victim.command(Command::Accept(stranger.account()));
    assert_eq!(error_of(&outputs), Some(&error));
    assert_eq!(status(&victim, &stranger), Some(Status::Pending));
    let somebody = Person::new(7, 1, "somebody", 1, 0).account.id();
    victim.command(Command::Block(somebody));
    let outputs = victim.command(Command::Accept(stranger.account()));
    assert_eq!(error_of(&outputs), None);
    let outputs = victim.command(Command::Unblock(somebody));
    assert_eq!(error_of(&outputs), Some(&error));
}
