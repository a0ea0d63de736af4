//! What if there is more to remember than there is room for?

use super::*;
use crate::{
    limits::{DOOMED_MAX, MISSING_MAX},
    store::RecordKind,
};

/// `a1 ─► a2 ─► …`
fn chain(count: usize) -> (Dag, Vec<String>) {
    let mut dag = Dag::default();
    let names: Vec<String> = (1..=count).map(|seq| format!("a{seq}")).collect();
    for name in &names {
        dag.write(name, "");
    }
    (dag, names)
}

fn without_bodies(entries: Vec<CarriedEntry>) -> Vec<CarriedEntry> {
    entries.into_iter().map(|entry| CarriedEntry { body: None, ..entry }).collect()
}

fn lacking(holder: &Holder) -> usize {
    holder.rows().iter().filter(|row| row.body == Body::Missing).count()
}

fn reload(holder: &mut Holder) {
    holder.log.save(&mut holder.store).unwrap();
    holder.log = Log::load(&holder.store, LOG, holder.log.number()).unwrap();
}

/// Whoever they came from had deleted all; somebody else has them all.
#[test]
fn bodies_beyond_the_bound_are_asked_for_when_there_is_room() {
    let (dag, names) = chain(2 * MISSING_MAX + 500);
    let mut holder = Holder::new();
    holder.receive(without_bodies(dag.batch(&names.join(" "))), at(HOUR_MS));
    let mut rounds = 0;
    while lacking(&holder) > 0 {
        let asked: Vec<u64> = holder.log.missing().map(|(_, seq)| seq).collect();
        assert!((1..=MISSING_MAX).contains(&asked.len()), "{} are asked for", asked.len());
        let bodies: Vec<String> = asked.iter().take(400).map(|seq| format!("a{seq}")).collect();
        holder.log.take_lacks_bodies();
        holder.get(&dag, &bodies.join(" "), at(HOUR_MS));
        let more = holder.log.missing().next().is_some();
        assert_eq!(holder.log.take_lacks_bodies(), more, "they are asked for soon");
        reload(&mut holder);
        rounds += 1;
        assert!(rounds < 20);
    }
    assert_eq!(holder.log.missing().count(), 0);
}

/// Of the first ones nobody has a body any more.
#[test]
fn bodies_that_nobody_has_keep_no_others_waiting() {
    let (dag, names) = chain(MISSING_MAX + 500);
    let mut holder = Holder::new();
    holder.receive(without_bodies(dag.batch(&names.join(" "))), at(HOUR_MS));
    let last = dag.made[names.last().unwrap()].mark.seq;
    for round in 0.. {
        assert!(round < 3, "the last ones were never asked for");
        if holder.log.missing().any(|(_, seq)| seq == last) {
            break;
        }
        holder.log.ask_for_others(&holder.store).unwrap();
    }
    // It comes later, when others are asked for.
    holder.log.ask_for_others(&holder.store).unwrap();
    holder.get(&dag, names.last().unwrap(), at(HOUR_MS));
    assert_eq!(lacking(&holder), MISSING_MAX + 499);
}

#[test]
fn deletions_beyond_the_bound_are_heard_again_when_there_is_room() {
    let (dag, names) = chain(DOOMED_MAX + 10);
    let marks: Vec<Mark> = names.iter().map(|name| dag.made[name].mark).collect();
    let mut holder = Holder::new();
    holder.log.delete(&marks, &mut holder.store).unwrap();
    assert!(!holder.log.take_overlooked_deletions(), "there is no room yet");
    reload(&mut holder);
    let record = holder.store.record(RecordKind::Log, LOG.as_bytes()).unwrap().unwrap();
    assert!(record.len() < 64 * 1024, "{} bytes", record.len());
    holder.get(&dag, &names.join(" "), at(HOUR_MS));
    let whole =
        |holder: &Holder| holder.rows().iter().filter(|row| row.body.bytes().is_some()).count();
    assert_eq!(whole(&holder), 10);
    assert!(holder.log.take_overlooked_deletions());
    assert!(!holder.log.take_overlooked_deletions(), "once");
    holder.log.delete(&marks, &mut holder.store).unwrap();
    assert_eq!(whole(&holder), 0);
}

/// A stolen device speaks of devices that never were.
#[test]
fn what_is_said_of_unknown_devices_is_bounded() {
    let mut holder = Holder::new();
    let id = EntryId::from_bytes([1; 32]);
    for number in 0..10_000_u32 {
        let mut device = [0; 32];
        device[..4].copy_from_slice(&number.to_be_bytes());
        let mark = Mark { device: DeviceId::from_bytes(device), seq: 7, id };
        holder.log.mark_read_through(&[mark], &holder.store).unwrap();
        holder.log.delete(&[mark], &mut holder.store).unwrap();
        holder.log.clear(&[mark], &mut holder.store).unwrap();
    }
    holder.log.save(&mut holder.store).unwrap();
    let record = holder.store.record(RecordKind::Log, LOG.as_bytes()).unwrap().unwrap();
    assert!(record.len() < 128 * 1024, "{} bytes", record.len());
}
