//! Is everything hostile refused, counted under its name, and bounded? One node, one puppet.

use kith_common::{
    account::TransportCert,
    entry::{Entry, EntryKind, Mark},
    frame::{CarriedEntry, Frame, TAG_BYTES},
    ids::{DeviceId, EntryId, LogId},
    limits::{FRAME_BYTES_MAX, SEQ_MAX},
    time::Hlc,
};
use kith_core::{
    contacts::{Status, Validity},
    delivery::DeliveryState,
    engine::{Answer, Command, Output},
    limits::{
        CERTIFICATE_MS, LINK_REFUSALS_MAX, LINKS_MAX, PENDING_ENTRIES_MAX, UNKNOWN_LINK_MS_MAX,
    },
};
use kith_tests::sim::{
    BEGIN_MS,
    malice::spoiled,
    puppet::{Puppet, Victim, closes, frames, victim_transport},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn pair() -> (Victim, Puppet) {
    let mallory = Puppet::new(1);
    (Victim::talking_to(&mallory), mallory)
}

/// The only thing refused, once; the link stays.
#[track_caller]
fn refused_once(victim: &Victim, name: &'static str) {
    assert_eq!(victim.refusals(), [(name, 1)].into());
    assert_eq!(victim.node.engine().device_count(), 1);
}

fn chain(mallory: &Puppet, victim: &Victim, length: usize) -> Vec<CarriedEntry> {
    let mut chain: Vec<CarriedEntry> = Vec::new();
    for number in 0..length {
        let entry = mallory.entry(victim, chain.last());
        chain.push(mallory.signed(entry, &format!("number {number}")));
    }
    chain
}

fn mark(device: DeviceId, seq: u64, id: [u8; 32]) -> Mark {
    Mark { device, seq, id: EntryId::from_bytes(id) }
}

#[test]
fn what_is_not_well_formed_ends_the_link() {
    let whole = {
        let (victim, mallory) = pair();
        mallory.entries(&victim, chain(&mallory, &victim, 1))
    };
    let cut = whole[..whole.len() - 1].to_vec();
    let longer = [whole.as_slice(), &[0]].concat();
    // The length of the array of entries, in two bytes where one is enough.
    let at = whole.windows(2).position(|pair| pair == [0x01, 0x81]).unwrap();
    let roundabout = [&whole[..=at], &[0x98, 0x01], &whole[at + 2..]].concat();
    let huge = vec![0; FRAME_BYTES_MAX + 1];
    let unknown = vec![0x82, 0x18, 0x64, 0xa0];
    let empty = Vec::new();
    for bytes in [cut, longer, roundabout, huge, unknown, empty] {
        let (mut victim, _) = pair();
        let outputs = victim.hear(1, bytes);
        assert!(closes(&outputs, 1));
        assert_eq!(victim.refusals(), [("malformed", 1)].into());
        assert_eq!(victim.node.engine().link_count(), 0);
        // What comes after is not even looked at.
        assert!(victim.hear(1, whole.clone()).is_empty());
        assert_eq!(victim.node.talk_count(), 0);
    }
}

#[test]
fn every_prefix_and_every_flipped_bit_of_a_frame_is_survived() {
    let mallory = Puppet::new(1);
    let mut victim = Victim::talking_to(&mallory);
    let log = mallory.log(&victim);
    let frontier = mallory.frontier(&victim, vec![mark(mallory.key.device(), 1, [1; 32])], vec![]);
    let entries = chain(&mallory, &victim, 2);
    let whole = [
        mallory.hello(victim.device(), &victim_transport(1)),
        mallory.certificate(&victim_transport(1)),
        mallory.request(&victim, 1, &mut ChaCha8Rng::seed_from_u64(1)),
        frontier,
        Frame::Entries { log, entries }.encode(),
    ];
    let mut link = 1;
    for frame in whole {
        let prefixes = (0..frame.len()).step_by(7).map(|end| frame[..end].to_vec());
        let flipped = (0..frame.len()).step_by(3).map(|at| {
            let mut frame = frame.clone();
            frame[at] ^= 1 << (at % 8);
            frame
        });
        for bytes in prefixes.chain(flipped).collect::<Vec<_>>() {
            let outputs = victim.hear(link, bytes);
            if closes(&outputs, link) {
                link += 1;
                victim.establish(link, &mallory);
            }
        }
    }
    // Whatever got through is as it was written.
    for message in victim.history(&mallory) {
        assert!(["number 0", "number 1"].contains(&message.text.unwrap().as_str()));
    }
    assert!(victim.node.talk_count() <= 2);
    assert!(victim.node.engine().pending_count() <= PENDING_ENTRIES_MAX);
}

#[test]
fn a_broken_signature_waits_and_convicts_nobody() {
    let (mut victim, mallory) = pair();
    let entry = chain(&mallory, &victim, 1).remove(0);
    victim.hear(1, mallory.entries(&victim, vec![spoiled(entry.clone())]));
    assert_eq!(victim.node.engine().pending_count(), 1);
    assert_eq!(victim.refusals(), [].into());
    // The true one is taken, the broken one waits for one that names it.
    victim.hear(1, mallory.entries(&victim, vec![entry]));
    assert_eq!((victim.node.talk_count(), victim.node.engine().pending_count()), (1, 1));
    assert_eq!(victim.refusals(), [].into());
    let contact = victim.node.engine().contact(mallory.account()).unwrap();
    assert_eq!(contact.validity, Validity::Unvalidated);
}

#[test]
fn two_entries_with_one_number_make_the_contact_compromised() {
    let (mut victim, mallory) = pair();
    let entries = chain(&mallory, &victim, 3);
    victim.hear(1, mallory.entries(&victim, entries.clone()));
    let rival = mallory.signed(mallory.entry(&victim, entries.get(1)), "another third");
    victim.hear(1, mallory.entries(&victim, vec![rival]));
    // Both histories are kept: somebody honest may have answered either.
    assert_eq!(victim.node.talk_count(), 4);
    let contact = victim.node.engine().contact(mallory.account()).unwrap();
    assert_eq!(contact.validity, Validity::Compromised);
    // That survives a restart.
    victim.node.start(victim.now_ms);
    let contact = victim.node.engine().contact(mallory.account()).unwrap();
    assert_eq!(contact.validity, Validity::Compromised);
}

#[test]
fn an_own_frontier_that_contradicts_the_own_chain_convicts() {
    let (mut victim, mallory) = pair();
    victim.hear(1, mallory.entries(&victim, chain(&mallory, &victim, 2)));
    let lie = vec![mark(mallory.key.device(), 1, [9; 32])];
    victim.hear(1, mallory.frontier(&victim, lie, vec![]));
    refused_once(&victim, "fork");
    let contact = victim.node.engine().contact(mallory.account()).unwrap();
    assert_eq!(contact.validity, Validity::Compromised);
}

#[test]
fn clocks_of_the_future_are_held_and_of_the_past_are_late() {
    let (mut victim, mallory) = pair();
    let now = victim.node.clock(victim.now_ms);
    let day_ms = 24 * 60 * 60 * 1000;
    let future =
        Entry { hlc: Hlc::at(now.plus_millis(day_ms + 60_000)), ..mallory.entry(&victim, None) };
    let future = mallory.signed(future, "from tomorrow");
    victim.hear(1, mallory.entries(&victim, vec![future.clone()]));
    refused_once(&victim, "ahead_of_clock");
    assert_eq!(victim.node.talk_count(), 0);
    victim.wait_ms(60_000);
    victim.hear(1, mallory.entries(&victim, vec![future.clone()]));
    assert_eq!(victim.node.talk_count(), 1);
    let past = Entry { hlc: Hlc::from_bits(1), ..mallory.entry(&victim, Some(&future)) };
    victim.hear(1, mallory.entries(&victim, vec![mallory.signed(past, "from long ago")]));
    let shown = victim.history(&mallory);
    // It stands behind what it follows, whatever it says.
    assert_eq!(shown[1].text.as_deref(), Some("from long ago"));
    assert_eq!(shown.len(), 2);
}

#[test]
fn what_a_peer_says_of_the_time_does_not_stop_us_from_writing() {
    let (mut victim, mallory) = pair();
    let ahead = victim.node.clock(victim.now_ms + 1).plus_millis(24 * 60 * 60 * 1000);
    let hlc = Hlc::from_bits(Hlc::at(ahead).bits() | 0xffff);
    let entry = Entry { hlc, ..mallory.entry(&victim, None) };
    victim.hear(1, mallory.entries(&victim, vec![mallory.signed(entry, "edge of time")]));
    assert_eq!(victim.node.talk_count(), 1);
    // Our clock is put right by a minute, backwards.
    victim.node.skew_ms = -60_000;
    for _ in 0..3 {
        victim.command(Command::Send {
            to: mallory.account(),
            text: "still here".to_owned(),
            reply_to: None,
        });
    }
    let shown = victim.history(&mallory);
    assert_eq!(shown.len(), 4);
    assert_eq!(shown[0].text.as_deref(), Some("edge of time"));
}

#[test]
fn a_kind_that_we_do_not_know_is_neither_unread_nor_the_last_message() {
    let (mut victim, mallory) = pair();
    let text = mallory.signed(mallory.entry(&victim, None), "a text");
    let kind = EntryKind(200);
    let unknown = Entry { kind, ..mallory.entry(&victim, Some(&text)) };
    let unknown = mallory.signed(unknown, "from the future");
    victim.hear(1, mallory.entries(&victim, vec![text, unknown]));
    assert_eq!(victim.node.talk_count(), 2);
    let engine = victim.node.engine();
    assert_eq!(engine.contact(mallory.account()).unwrap().unread, 1);
    let last = engine.history(&victim.node.store, mallory.account(), None, 1).unwrap().unwrap();
    assert_eq!(last.last().unwrap().text.as_deref(), Some("a text"));
}

#[test]
fn entries_of_other_logs_and_in_other_names_are_refused() {
    let (mut victim, mallory) = pair();
    let elsewhere = LogId::from_bytes([5; 32]);
    let entry = mallory.entry(&victim, None);
    let other = mallory.signed(Entry { log: elsewhere, ..entry.clone() }, "elsewhere");
    victim.hear(1, mallory.entries(&victim, vec![other.clone()]));
    assert_eq!(victim.refusals(), [("other_log", 1)].into());
    victim.hear(1, Frame::Entries { log: elsewhere, entries: vec![other] }.encode());
    assert_eq!(victim.refused("no_session"), 1);
    // Its own device for somebody else's account, and a stranger's device for its own.
    let account = victim.account();
    let usurped = mallory.signed(Entry { account, ..entry.clone() }, "as alice");
    let stranger = Puppet::new(2).signed(entry.clone(), "by a stranger");
    victim.hear(1, mallory.entries(&victim, vec![usurped, stranger]));
    assert_eq!(victim.refused("not_entitled"), 2);
    // In the victim's own name: the signature does not hold, so nothing comes of it.
    let forged = spoiled(victim_entry(&victim, entry));
    victim.hear(1, mallory.entries(&victim, vec![forged]));
    assert_eq!(victim.node.talk_count(), 0);
    victim.command(Command::Send {
        to: mallory.account(),
        text: "mine".to_owned(),
        reply_to: None,
    });
    assert_eq!(victim.history(&mallory).len(), 1);
}

fn victim_entry(victim: &Victim, entry: Entry) -> CarriedEntry {
    let entry = Entry { account: victim.account(), ..entry };
    kith_tests::sim::malice::entry_of(&victim.node.key(), entry, "in your name")
}

#[test]
fn wrong_places_and_bodies_are_refused() {
    let (mut victim, mallory) = pair();
    let entry = mallory.entry(&victim, None);
    let parents = vec![mark(mallory.key.device(), 1, [1; 32])];
    let own_parent = mallory.signed(Entry { parents, ..entry }, "names itself");
    victim.hear(1, mallory.entries(&victim, vec![own_parent]));
    refused_once(&victim, "bad_place");
    let mut body = mallory.signed(entry, "one thing");
    body.body = Some([1; 40].into());
    victim.hear(1, mallory.entries(&victim, vec![body]));
    assert_eq!(victim.refused("bad_body"), 1);
    assert_eq!(victim.node.talk_count(), 0);
}

#[test]
fn a_flood_of_entries_that_wait_is_bounded() {
    let (mut victim, mallory) = pair();
    for round in 0..20_u8 {
        let flood: Vec<CarriedEntry> = (0..200_u8)
            .map(|number| {
                let parents = vec![mark(victim.device(), 1, [number; 32])];
                let entry = Entry { parents, seq: 2, ..mallory.entry(&victim, None) };
                let prev = Some(EntryId::from_bytes([round; 32]));
                mallory.signed(Entry { prev, ..entry }, &format!("{number}"))
            })
            .collect();
        // An honest device whose clock is far ahead does the same: the link stands.
        assert!(!closes(&victim.hear(1, mallory.entries(&victim, flood)), 1));
        assert!(victim.node.engine().pending_count() <= PENDING_ENTRIES_MAX);
    }
    assert_eq!(victim.node.engine().pending_count(), PENDING_ENTRIES_MAX);
    assert!(victim.refused("pending_full") >= u64::from(LINK_REFUSALS_MAX));
    assert_eq!(victim.node.talk_count(), 0);
    // What waits does not keep the next from being taken.
    victim.hear(1, mallory.entries(&victim, chain(&mallory, &victim, 1)));
    assert_eq!(victim.node.talk_count(), 1);
}

#[test]
fn ticks_do_not_follow_false_marks() {
    let (mut victim, mallory) = pair();
    let (own, theirs) = (victim.device(), mallory.key.device());
    // It has received what was never written.
    for seq in [1, 5, SEQ_MAX] {
        let lie = vec![mark(own, seq, [9; 32])];
        victim.hear(1, mallory.frontier(&victim, lie.clone(), lie));
    }
    for number in 0..6 {
        victim.command(Command::Send {
            to: mallory.account(),
            text: format!("number {number}"),
            reply_to: None,
        });
    }
    let states = |victim: &Victim| -> Vec<DeliveryState> {
        victim.history(&mallory).iter().filter_map(|message| message.state).collect()
    };
    assert_eq!(states(&victim), [DeliveryState::Queued; 6]);
    // It names another entry than was written.
    victim.hear(1, mallory.frontier(&victim, vec![mark(own, 3, [9; 32])], vec![]));
    assert_eq!(states(&victim), [DeliveryState::Queued; 6]);
    // The truth counts.
    let third = victim.history(&mallory)[2].id;
    let truth = vec![Mark { device: own, seq: 3, id: third }];
    victim.hear(1, mallory.frontier(&victim, truth, vec![]));
    let true_states = [[DeliveryState::DeliveredAll; 3], [DeliveryState::Queued; 3]].concat();
    assert_eq!(states(&victim), true_states);
    // It speaks of a device that nobody knows.
    let unknown = DeviceId::from_bytes([1; 32]);
    victim.hear(1, mallory.frontier(&victim, vec![mark(unknown, 3, [9; 32])], vec![]));
    assert_eq!(states(&victim), true_states);
    assert_eq!(
        victim.node.engine().contact(mallory.account()).unwrap().validity,
        Validity::Unvalidated,
        "a wrong mark about another device convicts nobody"
    );
    assert!(victim.refused("fork") >= 4, "{:?}", victim.refusals());
    assert_ne!(own, theirs);
}

#[test]
fn frontiers_of_strangers_do_not_count() {
    let (mut victim, mallory) = pair();
    let sent = victim.command(Command::Send {
        to: mallory.account(),
        text: "to mallory".to_owned(),
        reply_to: None,
    });
    let id = sent.iter().find_map(|output| match output {
        Output::Answered { result: Ok(Answer::Sent(id)), .. } => Some(*id),
        _ => None,
    });
    let received = vec![Mark { device: victim.device(), seq: 1, id: id.unwrap() }];
    // Signed by somebody who is not in the log, and by the victim itself.
    let stranger = Puppet { person: mallory.person.clone(), ..Puppet::new(2) };
    victim.hear(1, stranger.frontier(&victim, received.clone(), vec![]));
    refused_once(&victim, "not_entitled");
    let key = victim.node.key();
    let myself = Puppet { key, person: mallory.person.clone(), transport: [0; 8].into() };
    victim.hear(1, myself.frontier(&victim, received, vec![]));
    assert_eq!(victim.history(&mallory)[0].state, Some(DeliveryState::Queued));
}

#[test]
fn a_certificate_serves_on_its_link_only() {
    let mallory = Puppet::new(1);
    let mut victim = Victim::new();
    victim.add(&mallory);
    let certificate = mallory.certificate(&victim_transport(1));
    // Replayed on another link, by somebody else, by the same transport id.
    victim.link(2, &mallory);
    victim.hear(2, mallory.hello(victim.device(), &victim_transport(2)));
    victim.hear(2, certificate.clone());
    assert_eq!(victim.refusals(), [("bad_certificate", 1)].into());
    // Without having been recognised.
    victim.link(1, &mallory);
    victim.hear(1, certificate.clone());
    assert_eq!(victim.refused("bad_certificate"), 2);
    assert_eq!(victim.node.engine().device_count(), 0);
    // Expired, for another transport id, of another account, by another device.
    victim.hear(1, mallory.hello(victim.device(), &victim_transport(1)));
    let fine = TransportCert {
        transport: mallory.transport.clone(),
        audience: victim_transport(1),
        not_after: BEGIN_MS + CERTIFICATE_MS,
    };
    let other = Puppet::new(2);
    victim.add(&other);
    for wrong in [
        mallory.certificate_of(
            TransportCert { not_after: 5, ..fine.clone() },
            &mallory.person.account,
        ),
        mallory.certificate_of(
            TransportCert { transport: [1; 38].into(), ..fine.clone() },
            &mallory.person.account,
        ),
        mallory.certificate_of(fine.clone(), &other.person.account),
        other.certificate_of(fine.clone(), &mallory.person.account),
        other.certificate_of(fine, &other.person.account),
    ] {
        victim.hear(1, wrong);
        assert_eq!(victim.node.engine().device_count(), 0);
    }
    assert_eq!(victim.refusals(), [("bad_certificate", 6), ("clocks_apart", 1)].into());
    // The true one still serves.
    victim.hear(1, certificate);
    assert_eq!(victim.node.engine().device_count(), 1);
}

#[test]
fn only_a_known_device_warns_of_clocks_and_only_when_something_is_new() {
    let day_ms = 24 * 60 * 60 * 1000;
    let (mallory, stranger) = (Puppet::new(1), Puppet::new(2));
    let mut victim = Victim::new();
    victim.add(&mallory);
    let late = |puppet: &Puppet, link, days: u64| {
        let cert = TransportCert {
            transport: puppet.transport.clone(),
            audience: victim_transport(link),
            not_after: BEGIN_MS + CERTIFICATE_MS - days * day_ms,
        };
        puppet.certificate_of(cert, &puppet.person.account)
    };
    victim.link(2, &stranger);
    victim.hear(2, stranger.hello(victim.device(), &victim_transport(2)));
    assert!(victim.hear(2, late(&stranger, 2, 5)).is_empty());
    assert_eq!(victim.node.engine().warnings(), [""; 0]);
    victim.link(1, &mallory);
    victim.hear(1, mallory.hello(victim.device(), &victim_transport(1)));
    let told = [5, 5, 5, 6].map(|days| {
        let outputs = victim.hear(1, late(&mallory, 1, days));
        outputs.iter().filter(|output| matches!(output, Output::Event(_))).count()
    });
    assert_eq!(told, [1, 0, 0, 1]);
    assert_eq!(victim.refusals(), [("bad_certificate", 1), ("clocks_apart", 4)].into());
    assert_eq!(victim.node.engine().warnings().len(), 1);
    victim.command(Command::Block(mallory.account()));
    assert_eq!(victim.node.engine().warnings(), [""; 0]);
}

#[test]
fn nothing_is_said_or_taken_before_a_session() {
    let mallory = Puppet::new(1);
    let mut victim = Victim::new();
    victim.link(1, &mallory);
    victim.hear(1, mallory.entries(&victim, chain(&mallory, &victim, 1)));
    victim.hear(1, mallory.frontier(&victim, vec![], vec![]));
    assert_eq!(victim.refusals(), [("no_session", 2)].into());
    let outputs = victim.hear(1, mallory.hello(victim.device(), &victim_transport(1)));
    assert!(frames(&outputs).is_empty(), "a stranger is told nothing: {outputs:?}");
    assert_eq!(victim.node.talk_count(), 0);
    // A link without a session ends.
    assert!(closes(&victim.wait_ms(UNKNOWN_LINK_MS_MAX + 5000), 1));
    assert_eq!(victim.node.engine().link_count(), 0);
}

#[test]
fn a_flood_of_hellos_and_requests_leaves_nothing_behind() {
    let mallory = Puppet::new(1);
    let mut victim = Victim::new();
    victim.link(1, &mallory);
    let mut said = 0;
    for number in 0..300_u64 {
        let mut tags = vec![[0; TAG_BYTES]; 64];
        tags[0][..8].copy_from_slice(&number.to_le_bytes());
        said += victim.hear(1, Frame::Hello { tags }.encode()).len();
        let sealed = [number.to_le_bytes()[0]; 200].into();
        said += victim.hear(1, Frame::Request { sealed }.encode()).len();
    }
    assert!(said <= 2, "a flood is not answered");
    assert!(victim.refused("request_not_for_us") > 0);
    assert_eq!(victim.node.engine().contacts(), []);
    assert!(victim.node.engine().link_count() <= 1);
}

#[test]
fn hellos_on_one_link_are_bounded() {
    let (mut victim, mallory) = pair();
    let hello = mallory.hello(victim.device(), &victim_transport(1));
    let mut answered = 0;
    for _ in 0..500 {
        answered += frames(&victim.hear(1, hello.clone())).len();
    }
    assert!(answered < 200, "{answered} certificates signed for one link");
    assert!(victim.refused("too_many_introductions") > 0);
    assert_eq!(victim.node.engine().link_count(), 0);
}

#[test]
fn links_are_bounded() {
    let mallory = Puppet::new(1);
    let mut victim = Victim::new();
    for link in 1..=LINKS_MAX as u64 {
        victim.link(link, &mallory);
    }
    let outputs = victim.link(5000, &mallory);
    assert!(closes(&outputs, 5000));
    assert_eq!(victim.refusals(), [("links_full", 1)].into());
    assert_eq!(victim.node.engine().link_count(), LINKS_MAX);
}

#[test]
fn replays_change_nothing() {
    let (mut victim, mallory) = pair();
    let entries = mallory.entries(&victim, chain(&mallory, &victim, 5));
    victim.hear(1, entries.clone());
    let shown = victim.history(&mallory);
    for _ in 0..50 {
        victim.hear(1, entries.clone());
    }
    assert_eq!(victim.history(&mallory), shown);
    assert_eq!(victim.refusals(), [].into());
}

#[test]
fn a_blocked_contact_gets_nothing_and_gives_nothing() {
    let (mut victim, mallory) = pair();
    let outputs = victim.command(Command::Block(mallory.account()));
    assert!(closes(&outputs, 1));
    victim.link(2, &mallory);
    let hello = mallory.hello(victim.device(), &victim_transport(2));
    let outputs = victim.hear(2, hello);
    assert!(frames(&outputs).is_empty(), "{outputs:?}");
    victim.hear(2, mallory.certificate(&victim_transport(2)));
    victim.hear(2, mallory.entries(&victim, chain(&mallory, &victim, 1)));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    victim.hear(2, mallory.request(&victim, 2, &mut rng));
    assert_eq!(victim.node.engine().device_count(), 0);
    assert_eq!(victim.node.talk_count(), 0);
    let contact = victim.node.engine().contact(mallory.account()).unwrap();
    assert_eq!(contact.status, Status::Blocked);
}
