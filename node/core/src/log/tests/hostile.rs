//! What if somebody writes, deletes or reads to do harm?

use super::*;
use crate::{conversation::Conversation, limits::MISSING_MAX};
use kith_common::time::Uptime;

/// As many devices as a log has chains, none of which ever was.
fn made_up() -> Vec<Mark> {
    let id = EntryId::from_bytes([1; 32]);
    let mark = |number: u16| {
        let mut device = [0xee; 32];
        device[..2].copy_from_slice(&number.to_be_bytes());
        Mark { device: DeviceId::from_bytes(device), seq: 7, id }
    };
    (0..u16::try_from(AUTHORS_MAX).unwrap()).map(mark).collect()
}

fn bodies(holder: &Holder) -> usize {
    holder.rows().iter().filter(|row| row.body.bytes().is_some()).count()
}

fn two() -> Dag {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "");
    dag
}

/// A thief who knows the passphrase has cleared what never was, once. The person clears the
/// conversation later.
#[test]
fn made_up_devices_keep_no_clear_from_counting() {
    let dag = two();
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2", at(HOUR_MS));
    holder.log.clear(&made_up(), &mut holder.store).unwrap();
    holder.log.clear(&[dag.made["a2"].mark], &mut holder.store).unwrap();
    assert_eq!(bodies(&holder), 0, "the texts are still there");
}

/// One entry of the self log, without any passphrase.
#[test]
fn made_up_devices_keep_nothing_unread() {
    let dag = two();
    let mut shown = Vec::new();
    for thief_first in [false, true] {
        let mut holder = Holder::new();
        holder.get(&dag, "a1 a2", at(HOUR_MS));
        let mut words = [vec![dag.made["a2"].mark], made_up()];
        if thief_first {
            words.reverse();
        }
        for marks in words {
            holder.log.mark_read_through(&marks, &holder.store).unwrap();
        }
        shown.push(holder.log.unread(|_| true));
    }
    assert_eq!(shown, [0, 0], "the order in which words came decides");
}

#[test]
fn made_up_devices_keep_no_deletion_from_counting() {
    let dag = two();
    let mut holder = Holder::new();
    holder.get(&dag, "a1", at(HOUR_MS));
    holder.log.delete(&made_up(), &mut holder.store).unwrap();
    // The chain is known here, its second entry has not come yet.
    holder.log.delete(&[dag.made["a2"].mark], &mut holder.store).unwrap();
    holder.get(&dag, "a2", at(HOUR_MS));
    let again = holder.log.take_overlooked_deletions();
    assert!(bodies(&holder) == 1 || again, "what was deleted is shown, and not looked for again");
}

/// ```text
/// a1 ┃ ─► a2 ─► a3       put aside; a thief deletes a2, and is cut off; then a is believed again
/// ```
#[test]
fn what_a_thief_deleted_of_what_was_put_aside_is_asked_for_again() {
    let mut dag = two();
    dag.write("a3", "");
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2 a3", at(HOUR_MS));
    let device = key(b'a').device();
    let cut = Cut { lasts: vec![dag.made["a1"].mark], is_final: false };
    holder.log.cut(device, cut, &mut holder.store).unwrap();
    holder.log.receive_waiting(at(HOUR_MS), &mut holder.store).unwrap();
    holder.log.delete(&[dag.made["a2"].mark], &mut holder.store).unwrap();
    // As `hear_all_again` does it when the thief's words go.
    holder.log.forget_doomed();
    holder.log.want_again(&|_| false, &mut holder.store).unwrap();
    holder.log.trust(device);
    holder.log.receive_waiting(at(HOUR_MS), &mut holder.store).unwrap();
    assert_eq!(holder.shown(&dag), "a1 a2 a3");
    holder.get(&dag, "a1 a2 a3", at(HOUR_MS));
    assert_eq!(bodies(&holder), 3, "it is gone for good, though nobody who is believed deleted it");
}

/// ```text
/// a1 ─► a2
///   ╲─► a2′ (claims to be of tomorrow)
///          ╲
///            ► b1
/// ```
#[test]
fn a_device_that_was_suspected_and_is_believed_again_changes_no_order() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write_at("a2'", "", 20 * HOUR_MS);
    dag.write_at("b1", "a2'", 3000).write_at("c1", "", 4000);
    let mut other = Holder::new();
    other.get(&dag, "a1 a2 a2' b1 c1", at(HOUR_MS));
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2", at(HOUR_MS));
    let device = key(b'a').device();
    let cut = Cut { lasts: vec![dag.made["a1"].mark], is_final: false };
    holder.log.cut(device, cut, &mut holder.store).unwrap();
    holder.get(&dag, "b1 c1", at(HOUR_MS));
    holder.log.trust(device);
    holder.log.receive_waiting(at(HOUR_MS), &mut holder.store).unwrap();
    holder.get(&dag, "a2'", at(HOUR_MS));
    assert_eq!(holder.shown(&dag), other.shown(&dag));
}

/// A conversation of more entries without bodies than can be asked for at once.
fn lacking(count: usize) -> (Dag, Conversation, MemoryStore) {
    let mut dag = Dag::default();
    let names: Vec<String> = (1..=count).map(|seq| format!("a{seq}")).collect();
    for name in &names {
        dag.write(name, "");
    }
    let mut store = MemoryStore::new();
    let with = account(b'a');
    let mut conversation =
        Conversation::load(&store, LOG, LogNumber(1), with, std::iter::empty()).unwrap();
    let entries = dag.batch(&names.join(" ")).into_iter();
    let entries = entries.map(|entry| CarriedEntry { body: None, ..entry }).collect();
    conversation.log.receive(entries, &|_, _| Ok(()), at(HOUR_MS), &mut store).unwrap();
    (dag, conversation, store)
}

/// How often others are asked for bodies within a time.
fn asked(conversation: &mut Conversation, store: &MemoryStore, hours: u64) -> usize {
    let mut now = Uptime::from_millis(0);
    let mut count = 0;
    while now.millis() < hours * HOUR_MS {
        // A node looks after each input, and when something is due.
        count += usize::from(conversation.want_is_due(now, store).unwrap());
        match conversation.deadline() {
            Some(at) if at > now => now = at,
            Some(_) => {}
            None => break,
        }
    }
    count
}

/// Nobody has them any more: the other person has cleared the conversation too.
#[test]
fn bodies_that_nobody_has_are_asked_for_ever_more_seldom() {
    for count in [MISSING_MAX, MISSING_MAX + 1] {
        let (_, mut conversation, store) = lacking(count);
        let asked = asked(&mut conversation, &store, 24);
        assert!(asked < 50, "{count} are lacking: asked {asked} times in a day");
    }
}

/// The node starts anew; of the first thousand bodies nobody has one, somebody has the others.
#[test]
fn after_a_restart_others_are_asked_for_too() {
    let (_, mut conversation, mut store) = lacking(MISSING_MAX + 500);
    conversation.log.save(&mut store).unwrap();
    let with = account(b'a');
    let mut conversation =
        Conversation::load(&store, LOG, LogNumber(1), with, std::iter::empty()).unwrap();
    let mut now = Uptime::from_millis(0);
    let mut all = BTreeSet::new();
    while now.millis() < 24 * HOUR_MS {
        conversation.want_is_due(now, &store).unwrap();
        all.extend(conversation.log.missing());
        let Some(at) = conversation.deadline().filter(|at| *at > now) else { break };
        now = at;
    }
    assert_eq!(all.len(), MISSING_MAX + 500, "the others are never asked for");
}

/// ```text
/// a1 ─► a2
///   ╲─► a2′      deleted
/// ```
#[test]
fn what_is_deleted_before_it_comes_is_that_and_nothing_else() {
    let mut dag = two();
    dag.write("a2'", "");
    let mut shown = Vec::new();
    for before in ["a1 a2 a2'", "a1", "a1 a2"] {
        let mut holder = Holder::new();
        holder.get(&dag, before, at(HOUR_MS));
        holder.log.delete(&[dag.made["a2'"].mark], &mut holder.store).unwrap();
        holder.get(&dag, "a1 a2 a2'", at(HOUR_MS));
        let rows = holder.rows();
        let whole = rows.iter().filter(|row| row.body.bytes().is_some());
        shown.push(whole.map(|row| dag.name_of(row.position.id)).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(shown, ["a1 a2", "a1 a2", "a1 a2"]);
}
