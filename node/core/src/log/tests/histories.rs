//! What if a device writes more histories than there is room for?

use super::*;

/// A liar begins five times; two holders keep different four. Somebody honest answers the one that
/// only the first has.
#[test]
fn an_honest_answer_to_one_of_five_histories_is_shown_by_everybody() {
    let mut dag = Dag::default();
    let rivals = ["a1", "a1'", "a1''", "a1'''", "a1''''"];
    for (number, name) in rivals.iter().enumerate() {
        dag.write_at(name, "", 1000 + number as u64);
    }
    dag.write("b1", "a1''''").write("b2", "");
    let [mut one, mut other] = [Holder::new(), Holder::new()];
    one.get(&dag, "a1'''' a1 a1' a1'' b1 b2", at(HOUR_MS));
    other.get(&dag, "a1 a1' a1'' a1'''", at(HOUR_MS));
    other.get(&dag, "a1'''' a1 a1' a1'' b1 b2", at(HOUR_MS));
    let honest = |holder: &Holder| holder.log.last_seq(key(b'b').device());
    assert_eq!((honest(&one), honest(&other)), (2, 2));
}

/// ```text
/// a1   a1   a1   a1      four beginnings are here
/// a1 ─► a2 ─► b1 ─► b2   a fifth, and an answer to it that comes first
/// ```
#[test]
fn an_honest_answer_to_what_follows_a_fifth_history_is_shown() {
    let mut holder = Holder::new();
    for rival in 0..4 {
        let mut dag = Dag::default();
        dag.write_with("a1", "", |entry| entry.hlc = Hlc::at(at(2000 + rival)));
        holder.get(&dag, "a1", at(HOUR_MS));
    }
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "");
    dag.write("b1", "a2").write("b2", "");
    holder.get(&dag, "b1 b2", at(HOUR_MS));
    assert_eq!(holder.log.last_seq(key(b'b').device()), 2, "nobody knows whether it ever comes");
    holder.get(&dag, "a1 a2", at(HOUR_MS));
    assert_eq!(holder.refused, [Refusal::Fork]);
}

/// ```text
/// a1   a1   a1   a1      four beginnings are here
/// a1 ─► a2 ─► a3         one of them goes on, late by its clock
///              ╲
///               ► b1     comes first
/// ```
#[test]
fn what_follows_one_of_four_histories_may_come_after_its_answer() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write_at("a3", "", HOUR_MS).write_at("b1", "a3", 5000);
    let [mut one, mut other] = [Holder::new(), Holder::new()];
    for holder in [&mut one, &mut other] {
        for rival in 0..3 {
            let mut dag = Dag::default();
            dag.write_with("a1", "", |entry| entry.hlc = Hlc::at(at(100 + rival)));
            holder.get(&dag, "a1", at(HOUR_MS));
        }
        holder.get(&dag, "a1", at(HOUR_MS));
    }
    one.get(&dag, "a2 a3 b1", at(HOUR_MS));
    assert_eq!(other.get(&dag, "b1", at(HOUR_MS)).accepted.len(), 1);
    assert!(other.get(&dag, "a2 a3", at(HOUR_MS)).trimmed, "it changes its place");
    assert_eq!((one.shown(&dag), other.shown(&dag)), ("? ? ? a1 a2 a3 b1".into(), one.shown(&dag)));
    assert_eq!(one.log.heads(), other.log.heads());
    let tips = |holder: &Holder| holder.log.tips(key(b'o').device()).len();
    assert_eq!((tips(&one), tips(&other)), (4, 4));
}

/// A thief who had the account for a while wrote with 32 devices four histories each. The recovery words
/// have put them all out, and nothing of them is believed. A new device writes, at once or later.
#[test]
fn a_recovered_person_can_write_again() {
    let mut full = Holder::new();
    let devices: Vec<u8> = (b'A'..=b'Z').chain(b'!'..=b'&').collect();
    for (device, rival) in devices.iter().flat_map(|device| [0, 1, 2, 3].map(|n| (*device, n))) {
        let mut dag = Dag::default();
        let name = format!("{}1", device as char);
        dag.write_with(&name, "", |entry| entry.hlc = Hlc::at(at(1000 + rival)));
        full.get(&dag, &name, at(HOUR_MS));
    }
    // The last one is for what this device writes.
    assert_eq!(full.rows().len(), AUTHORS_MAX - 1);
    let mut dag = Dag::default();
    dag.write("a1", "").write("b1", "a1");
    full.get(&dag, "a1", at(HOUR_MS));
    assert_eq!(full.refused, [Refusal::AuthorsFull; 2]);
    for device in &devices {
        let cut = Cut { lasts: vec![], is_final: true };
        full.log.cut(key(*device).device(), cut, &mut full.store).unwrap();
    }
    for hours in [1, 26] {
        full.log.receive_waiting(at(hours * HOUR_MS), &mut full.store).unwrap();
        full.get(&dag, "a1 b1", at(hours * HOUR_MS));
        full.write(if hours == 1 { b'c' } else { b'd' }, at(hours * HOUR_MS));
    }
    assert_eq!(full.shown(&dag), "a1 b1 ? ?");
    assert!(full.log.take_renumbered(), "others are asked what they have");
    assert_eq!(full.log.chains().count(), AUTHORS_MAX);
    full.log.save(&mut full.store).unwrap();
    assert_eq!(Log::load(&full.store, LOG, LogNumber(1)).unwrap().chains, full.log.chains);
}
