//! What is believed of a stolen device, when some were behind, some lied, and some have left?
use super::{
    forging::carol_vouches,
    story::{MINUTE, Story},
};
use kith_common::{
    account::{Cut, Untrust},
    entry::{Entry, EntryKind, Text, hash_body},
    envelope::{Signed, sign},
    frame::{CarriedEntry, Frame},
    ids::{EntryId, LogId},
    time::{Hlc, Timestamp},
};
use kith_core::{
    delivery::DeliveryState,
    engine::{Command, Input},
};

/// A bag with phone and laptop is stolen; the thief knows the passphrase of the laptop and says there,
/// with the ordinary command, that the phone was never to be believed. The owner cuts both off on the
/// tablet, the phone first, chooses no time anywhere, and recovers with the words.
fn a_bag_is_stolen(test: &'static str, thief_accuses: bool) {
    let mut s = Story::new(test);
    let said = ["one", "two", "three"];
    s.say_all(s.phone, &said);
    assert_eq!(s.shown(s.tablet), said);
    s.world.set_running(s.phone, false);
    if thief_accuses {
        s.untrust(s.laptop, s.phone, Some(Timestamp::from_millis(1)));
        s.world.run_ms(MINUTE);
        assert!(s.shown(s.tablet).is_empty(), "put aside, for now");
    }
    s.untrust(s.tablet, s.phone, None);
    s.untrust(s.tablet, s.laptop, None);
    s.world.run_ms(MINUTE);
    let recovery = s.world.people[s.alice].recovery();
    let command = Command::Recover { recovery, keep: vec![], without: vec![], since: None };
    s.world.command(s.tablet, command);
    s.world.set_running(s.laptop, false);
    s.world.run_ms(10 * MINUTE);
    assert_eq!([s.tablet, s.carols].map(|node| s.shown(node)), [said, said]);
}

#[test]
fn control_without_the_thiefs_time_all_is_there() {
    a_bag_is_stolen("control_without_the_thiefs_time_all_is_there", false);
}

#[test]
fn a_thiefs_time_is_not_signed_by_the_owner() {
    a_bag_is_stolen("a_thiefs_time_is_not_signed_by_the_owner", true);
}

/// The laptop wrote while the tablet was off; the phone has all. Then it is stolen and the thief writes.
/// The person says so on the phone, without a time; then on the tablet, which has nothing, with one.
fn the_one_with_a_time_speaks_last(test: &'static str, phone_repeats: bool) {
    let mut s = Story::new(test);
    s.world.set_running(s.tablet, false);
    let said = ["one", "two", "three"];
    s.say_all(s.laptop, &said);
    let since = s.world.nodes[s.phone].clock(s.world.now_ms());
    s.world.run_ms(MINUTE);
    s.say_all(s.laptop, &["thief"]);
    s.world.set_running(s.laptop, false);
    s.untrust(s.phone, s.laptop, None);
    s.world.run_ms(MINUTE);
    s.world.set_running(s.tablet, true);
    s.world.run_ms(MINUTE);
    s.untrust(s.tablet, s.laptop, Some(since));
    s.world.run_ms(10 * MINUTE);
    if phone_repeats {
        s.untrust(s.phone, s.laptop, Some(since));
        s.world.run_ms(10 * MINUTE);
    }
    let now = [s.phone, s.tablet, s.carols].map(|node| s.shown(node));
    assert_eq!(now, [said, said, said], "the phone had all of it before that time");
}

#[test]
fn what_the_first_voice_had_before_a_time_chosen_later_stays() {
    let test = "what_the_first_voice_had_before_a_time_chosen_later_stays";
    the_one_with_a_time_speaks_last(test, false);
}

#[test]
fn control_if_the_first_voice_repeats_the_time_all_is_there() {
    let test = "control_if_the_first_voice_repeats_the_time_all_is_there";
    the_one_with_a_time_speaks_last(test, true);
}

/// The phone cuts the laptop off and goes off. The thief writes on; the tablet hears him, and later of
/// the vote. The owner makes it final by the second vote.
#[test]
fn a_second_vote_brings_nothing_back_that_was_written_after_the_first() {
    let mut s = Story::new("a_second_vote_brings_nothing_back");
    let said = ["one", "two"];
    s.say_all(s.laptop, &said);
    // The phone is somewhere without a network.
    s.world.set_connected(s.phone, false);
    s.world.run_ms(MINUTE);
    s.untrust(s.phone, s.laptop, None);
    s.world.run_ms(10 * MINUTE);
    s.say_all(s.laptop, &["thief"]);
    s.world.run_ms(10 * MINUTE);
    s.world.set_running(s.laptop, false);
    s.world.set_connected(s.phone, true);
    s.world.run_ms(10 * MINUTE);
    let before = [s.phone, s.tablet, s.carols].map(|node| s.shown(node));
    assert_eq!(before, [said, said, said], "one vote has ended it");
    s.untrust(s.tablet, s.laptop, None);
    s.world.run_ms(10 * MINUTE);
    let now = [s.phone, s.tablet, s.carols].map(|node| s.shown(node));
    assert_eq!(now, [said, said, said], "the second vote has brought the thief's words back");
}

/// A history of the stolen laptop in the log with Carol that begins anew and is longer than the true one.
fn rival(s: &Story, count: u64) -> (LogId, Vec<CarriedEntry>) {
    let (log, key) = (s.world.log(s.alice, s.carol), s.world.nodes[s.laptop].key());
    let mut entries: Vec<CarriedEntry> = Vec::new();
    for seq in 1..=count {
        let text = format!("thief {seq}");
        let body = Text { text, reply_to: None }.encode([1; 16]);
        let entry = Entry {
            log,
            account: s.world.account(s.alice),
            seq,
            prev: entries.last().map(|entry| EntryId::of(&entry.envelope)),
            parents: vec![],
            depth: seq,
            hlc: Hlc::at(s.world.nodes[s.laptop].clock(s.world.now_ms())),
            account_head: EntryId::from_bytes([0; 32]),
            kind: EntryKind::TEXT,
            body_hash: hash_body(&body),
            body_bytes: body.len() as u64,
        };
        let envelope = sign(&key, entry).into_bytes();
        entries.push(CarriedEntry { envelope, body: Some(body.into()) });
    }
    (log, entries)
}

/// The thief writes the laptop's history anew, longer than it was; the owner cuts the laptop off on both
/// other devices.
fn a_longer_history(test: &'static str, count: u64, with_since: bool) {
    let mut s = Story::new(test);
    let said = ["one", "two", "three"];
    s.say_all(s.laptop, &said);
    let since = s.world.nodes[s.phone].clock(s.world.now_ms());
    s.world.run_ms(MINUTE);
    s.world.nodes.iter_mut().for_each(|node| node.honest = false);
    let (log, entries) = rival(&s, count);
    for link in s.world.links_between(s.phone, s.laptop) {
        let bytes = Frame::Entries { log, entries: entries.clone() }.encode();
        s.world.input(s.phone, Input::Frame { link, bytes });
    }
    s.world.run_ms(MINUTE);
    s.world.set_running(s.laptop, false);
    for by in [s.phone, s.tablet] {
        s.untrust(by, s.laptop, with_since.then_some(since));
        s.world.run_ms(2 * MINUTE);
    }
    s.world.run_ms(26 * 60 * MINUTE);
    for node in [s.phone, s.tablet, s.carols] {
        let shown = s.shown(node);
        assert!(said.iter().all(|text| shown.iter().any(|shown| shown == text)), "{shown:?}");
    }
}

#[test]
fn control_a_shorter_false_history_replaces_nothing() {
    a_longer_history("control_a_shorter_false_history_replaces_nothing", 2, false);
}

#[test]
fn control_with_a_time_a_longer_false_history_replaces_nothing() {
    a_longer_history("control_with_a_time_a_longer_false_history", 9, true);
}

#[test]
fn a_longer_false_history_does_not_replace_the_true_one() {
    a_longer_history("a_longer_false_history_does_not_replace", 9, false);
}

/// The thief shows Carol alone four beginnings before she has heard anything of the laptop. Then the
/// owner cuts it off, and the true history counts.
#[test]
fn four_false_beginnings_keep_no_true_history_from_a_contact() {
    let mut s = Story::new("four_false_beginnings");
    s.world.set_running(s.carols, false);
    let said = ["one", "two", "three"];
    s.say_all(s.laptop, &said);
    s.world.nodes.iter_mut().for_each(|node| node.honest = false);
    for node in [s.phone, s.tablet, s.laptop] {
        s.world.set_running(node, false);
    }
    s.world.nodes[s.laptop].store = Default::default();
    s.world.set_running(s.carols, true);
    s.world.run_ms(1000);
    let (log, key) = (s.world.log(s.alice, s.carol), s.world.nodes[s.laptop].key());
    s.world.set_running(s.phone, true);
    // As soon as there is a link, before anything else has come: the phone's link stands for the thief's.
    let mut entries = Vec::new();
    for number in 0..4_u64 {
        let (_, mut one) = rival(&s, 1);
        let signed = Signed::<Entry>::decode(&one[0].envelope).unwrap();
        let mut entry = signed.claim().clone();
        entry.depth = 1 + number;
        one[0].envelope = sign(&key, entry).into_bytes();
        entries.extend(one);
    }
    let mut done = false;
    for _ in 0..200_000 {
        s.world.run_ms(1);
        let links = s.world.links_between(s.carols, s.phone);
        if s.world.nodes[s.carols].engine().refusals().len() > 1000 {
            break;
        }
        for link in links {
            let bytes = Frame::Entries { log, entries: entries.clone() }.encode();
            s.world.input(s.carols, Input::Frame { link, bytes });
        }
        let shown = s.shown(s.carols);
        if !shown.is_empty() {
            done = true;
            break;
        }
    }
    assert!(done);
    s.world.run_ms(MINUTE);
    s.world.set_running(s.tablet, true);
    s.world.run_ms(MINUTE);
    for by in [s.phone, s.tablet] {
        s.untrust(by, s.laptop, None);
        s.world.run_ms(2 * MINUTE);
    }
    s.world.run_ms(26 * 60 * MINUTE);
    // What was received before counts beside it: no time was chosen.
    for node in [s.phone, s.tablet, s.carols] {
        let shown = s.shown(node);
        assert!(said.iter().all(|text| shown.iter().any(|shown| shown == text)), "{shown:?}");
    }
}

/// A thief who stands says of the phone, which stands too, that it was never to be believed. Weeks later
/// the person gives the phone away; then the thief is found and cut off.
#[test]
fn what_a_thief_said_before_does_not_outlast_him() {
    let mut s = Story::new("what_a_thief_said_before_does_not_outlast_him");
    let said = ["one", "two", "three"];
    s.say_all(s.phone, &said);
    s.world.nodes.iter_mut().for_each(|node| node.honest = false);
    // The laptop says it as a cut in the log with Carol.
    let (log, account) = (s.world.log(s.alice, s.carol), s.world.account(s.alice));
    let device = s.world.nodes[s.phone].key().device();
    let since = Timestamp::from_millis(1);
    let authority = s.world.nodes[s.laptop].authority();
    let cut = Cut { account, log, device, lasts: vec![], since };
    let body = [&[1; 16][..], sign(&authority, cut).bytes()].concat();
    let entry = Entry {
        log,
        account,
        seq: 1,
        prev: None,
        parents: vec![],
        depth: 1,
        hlc: Hlc::at(s.world.nodes[s.laptop].clock(s.world.now_ms())),
        account_head: EntryId::from_bytes([0; 32]),
        kind: EntryKind::CUT,
        body_hash: hash_body(&body),
        body_bytes: body.len() as u64,
    };
    let envelope = sign(&s.world.nodes[s.laptop].key(), entry).into_bytes();
    let entries = vec![CarriedEntry { envelope, body: Some(body.into()) }];
    for link in s.world.links_between(s.tablet, s.laptop) {
        let bytes = Frame::Entries { log, entries: entries.clone() }.encode();
        s.world.input(s.tablet, Input::Frame { link, bytes });
    }
    s.world.run_ms(MINUTE);
    assert_eq!(s.shown(s.tablet), said);
    s.world.set_running(s.phone, false);
    s.untrust(s.tablet, s.phone, None);
    s.world.run_ms(MINUTE);
    s.world.set_running(s.laptop, false);
    s.untrust(s.tablet, s.laptop, None);
    s.world.run_ms(10 * MINUTE);
    assert_eq!([s.tablet, s.carols].map(|node| s.shown(node)), [said, said]);
}

/// The laptop wrote while the tablet was off; the phone has it all. The thief accuses the phone first,
/// which answers; the tablet, which has nothing of it, decides.
#[test]
fn who_decides_a_dispute_and_is_behind_takes_nothing_away() {
    let mut s = Story::new("who_decides_a_dispute_and_is_behind");
    s.world.set_running(s.tablet, false);
    let said = ["one", "two", "three"];
    s.say_all(s.laptop, &said);
    s.world.nodes[s.laptop].honest = false;
    s.untrust(s.laptop, s.phone, None);
    s.world.run_ms(MINUTE);
    s.untrust(s.phone, s.laptop, None);
    s.world.run_ms(MINUTE);
    s.world.set_running(s.laptop, false);
    s.world.set_running(s.tablet, true);
    s.world.run_ms(1000);
    s.untrust(s.tablet, s.laptop, None);
    s.world.run_ms(5 * MINUTE);
    s.world.run_ms(26 * 60 * MINUTE);
    let now = [s.phone, s.tablet, s.carols].map(|node| s.shown(node));
    assert_eq!(now, [said, said, said], "the phone had it all, and has voted too");
}

/// The same, but the person recovers on the tablet and keeps the phone.
#[test]
fn a_recovery_on_a_device_that_is_behind_takes_nothing_from_one_that_is_kept() {
    let mut s = Story::new("a_recovery_on_a_device_that_is_behind");
    s.world.set_running(s.tablet, false);
    let said = ["one", "two", "three"];
    s.say_all(s.laptop, &said);
    s.world.set_running(s.laptop, false);
    s.world.set_running(s.phone, false);
    s.world.set_running(s.carols, false);
    s.world.set_running(s.tablet, true);
    s.world.run_ms(1000);
    let recovery = s.world.people[s.alice].recovery();
    let keep = vec![s.world.nodes[s.phone].key().device()];
    s.world.command(s.tablet, Command::Recover { recovery, keep, without: vec![], since: None });
    s.world.run_ms(MINUTE);
    s.world.set_running(s.phone, true);
    s.world.set_running(s.carols, true);
    s.world.run_ms(26 * 60 * MINUTE);
    let now = [s.phone, s.tablet, s.carols].map(|node| s.shown(node));
    assert_eq!(now, [said, said, said], "the phone had it all, and stands");
}

/// The laptop was stolen and put out by phone and tablet. Over the years these two are replaced. Then
/// Carol, who was a contact all the time, helps the thief.
fn years_later(test: &'static str, replaced: usize) {
    let mut s = Story::new(test);
    s.say_all(s.phone, &["hello"]);
    s.world.set_running(s.laptop, false);
    for by in [s.phone, s.tablet] {
        s.untrust(by, s.laptop, None);
        s.world.run_ms(2 * MINUTE);
    }
    let settle = |s: &mut Story, nodes: &[usize]| {
        for node in nodes {
            let authority = s.world.nodes[*node].authority();
            s.world.command(*node, Command::Settle { devices: vec![], authority });
            s.world.run_ms(2 * MINUTE);
        }
    };
    let mut nodes = vec![s.phone, s.tablet];
    settle(&mut s, &nodes);
    s.world.run_ms(30 * 60 * MINUTE);
    for _ in 0..replaced {
        let new = s.world.link_device(nodes[1]).expect("linked");
        s.world.run_ms(5 * MINUTE);
        settle(&mut s, &nodes);
        let old = nodes.remove(0);
        nodes.push(new);
        let device = s.world.nodes[old].key().device();
        s.world.set_running(old, false);
        for node in nodes.clone() {
            let authority = s.world.nodes[node].authority();
            let (why, since) = (Untrust::Removed, None);
            s.world.command(node, Command::Untrust { device, why, since, authority });
            s.world.run_ms(2 * MINUTE);
        }
        settle(&mut s, &nodes);
        s.world.run_ms(30 * 60 * MINUTE);
    }
    let to = nodes[1];
    assert!(!s.world.links_between(to, s.carols).is_empty());
    assert_eq!(s.shown(to), ["hello"]);
    carol_vouches(&mut s.world, (s.alice, s.carol), (s.laptop, to));
    s.world.run_ms(10 * MINUTE);
    assert_eq!(s.shown(to), ["hello"], "the cut is gone with those who said it");
}

#[test]
fn control_a_cut_outlasts_one_of_those_who_said_it() {
    years_later("control_a_cut_outlasts_one_of_those_who_said_it", 1);
}

#[test]
fn a_cut_outlasts_those_who_said_it() {
    years_later("a_cut_outlasts_those_who_said_it", 2);
}

/// Something that both have received is taken back; what is said afterwards is seen to arrive.
#[test]
fn what_is_said_after_something_was_taken_back_is_ticked() {
    let mut s = Story::new("what_is_said_after_something_was_taken_back_is_ticked");
    let since = s.world.nodes[s.phone].clock(s.world.now_ms());
    s.world.run_ms(MINUTE);
    s.say_all(s.laptop, &["thief"]);
    s.untrust(s.phone, s.laptop, Some(since));
    s.untrust(s.tablet, s.laptop, Some(since));
    s.world.set_running(s.laptop, false);
    s.world.run_ms(MINUTE);
    assert!(s.shown(s.carols).is_empty());
    s.say_all(s.phone, &["four"]);
    s.world.say(s.carols, s.alice, "five");
    s.world.run_ms(MINUTE);
    for (node, with, text) in [(s.phone, s.carol, "four"), (s.carols, s.alice, "five")] {
        for restarted in [false, true] {
            let history = s.world.history(node, s.world.account(with), 10);
            let message = history.iter().find(|message| message.text.as_deref() == Some(text));
            let state = message.and_then(|message| message.state);
            assert_eq!(state, Some(DeliveryState::DeliveredAll), "{text}, restarted: {restarted}");
            s.world.set_running(node, false);
            s.world.set_running(node, true);
            s.world.run_ms(1000);
        }
    }
}
