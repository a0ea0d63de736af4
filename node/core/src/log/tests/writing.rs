//! Does what we write and keep name what it must?

use super::*;

/// ```text
/// a1 ─► a2
/// ```
/// One sender has only a2, another only a1.
#[test]
fn a_sender_has_what_it_sent_and_not_what_others_sent() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "");
    let mut holder = Holder::new();
    holder.get(&dag, "a2", at(HOUR_MS));
    let second = holder.get(&dag, "a1", at(HOUR_MS));
    assert_eq!(second.accepted.len(), 2);
    assert_eq!(second.sender_has, Covered::from([(AuthorNumber(0), 1)]));
}

#[test]
fn a_log_has_a_bounded_number_of_writers() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("b1", "");
    let mut holder = Holder::new();
    for device in 0..u8::try_from(AUTHORS_MAX - 2).unwrap() {
        let device = DeviceId::from_bytes([device; 32]);
        holder.log.chains.push(Chain::new(device, 1, None));
    }
    holder.get(&dag, "a1 b1", at(HOUR_MS));
    assert_eq!(holder.store.entry_count(), 1);
    assert_eq!(holder.refused, [Refusal::AuthorsFull]);
    // There is room for what this device writes.
    assert_eq!(holder.write(b'c', at(HOUR_MS)).seq, 1);
    assert_eq!(holder.write(b'c', at(HOUR_MS)).seq, 2);
}

/// ```text
/// a1 ─► own₁ ─► own₂
/// b1 ─►       ╱
/// c1 ────────►
/// ```
#[test]
fn our_entry_names_everything_that_nobody_named() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("b1", "").write("c1", "");
    let mut holder = Holder::new();
    holder.get(&dag, "a1 b1", at(HOUR_MS));
    let marks = |names: &str| {
        let mut marks: Vec<Mark> =
            names.split_whitespace().map(|name| dag.made[name].mark).collect();
        marks.sort_unstable();
        marks
    };
    let first = holder.write(b'o', at(HOUR_MS));
    assert_eq!((first.parents, first.depth, first.seq), (marks("a1 b1"), 2, 1));
    holder.get(&dag, "c1", at(HOUR_MS));
    let second = holder.write(b'o', at(HOUR_MS));
    assert_eq!((second.parents, second.depth, second.seq), (marks("c1"), 3, 2));
    assert!(holder.write(b'o', at(HOUR_MS)).parents.is_empty());
    let eff: Vec<u64> = holder.rows().iter().map(|row| row.position.eff).collect();
    assert!(eff.is_sorted_by(|a, b| a < b), "of one moment, yet one behind the other");
}

/// Twelve devices write, then we write twice: eight are named first, the rest then.
#[test]
fn our_entry_names_at_most_eight() {
    let mut dag = Dag::default();
    let names: Vec<String> =
        (b'a'..b'a' + 12).map(|device| format!("{}1", device as char)).collect();
    for name in &names {
        dag.write(name, "");
    }
    let mut holder = Holder::new();
    holder.get(&dag, &names.join(" "), at(HOUR_MS));
    let (first, second) = (holder.write(b'o', at(HOUR_MS)), holder.write(b'o', at(HOUR_MS)));
    assert_eq!((first.parents.len(), second.parents.len()), (PARENTS_MAX, 4));
    let mut named: Vec<Mark> = first.parents.into_iter().chain(second.parents).collect();
    named.sort_unstable();
    let mut all: Vec<Mark> = dag.made.values().map(|made| made.mark).collect();
    all.sort_unstable();
    assert_eq!(named, all);
}

/// ```text
/// a1 ─► a2 ─► a3
///    ╲
///     ► b1
/// ```
#[test]
fn a_log_comes_back_from_the_store_as_it_was() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("b1", "a1").write("a2", "").write("a3", "");
    let mut holder = Holder::new();
    holder.get(&dag, "a1 b1", at(HOUR_MS));
    assert!(holder.log.mark_read());
    assert!(!holder.log.mark_read());
    holder.get(&dag, "a2", at(HOUR_MS));
    holder.log.save(&mut holder.store).unwrap();
    let mut loaded = Log::load(&holder.store, LOG, LogNumber(9)).unwrap();
    assert_eq!(loaded.number(), holder.log.number());
    assert_eq!(loaded.chains, holder.log.chains);
    assert_eq!(loaded.highest, holder.log.highest);
    assert_eq!(loaded.unread(|device| device == key(b'a').device()), 1);
    std::mem::swap(&mut loaded, &mut holder.log);
    holder.get(&dag, "a3", at(HOUR_MS));
    assert_eq!(holder.shown(&dag), "a1 b1 a2 a3");
}

/// ```text
/// a1 ─► a2 ─► a3          a2 is the last one read
/// ```
#[test]
fn a_frontier_says_what_is_stored_and_read() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a3", "").write("a2'", "");
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2", at(HOUR_MS));
    holder.log.mark_read();
    holder.get(&dag, "a3", at(HOUR_MS));
    let frontier = |with_read| holder.log.frontier(with_read, &holder.store).unwrap();
    let (a2, a3) = (dag.made["a2"].mark, dag.made["a3"].mark);
    assert_eq!(frontier(true), Frontier { log: LOG, received: vec![a3], read: vec![a2] });
    assert_eq!(frontier(false), Frontier { log: LOG, received: vec![a3], read: vec![] });
    let contradicts = |mark: &Mark| holder.log.contradicts(mark, &holder.store).unwrap();
    assert!(!contradicts(&a2) && !contradicts(&a3));
    assert!(contradicts(&dag.made["a2'"].mark));
    assert!(contradicts(&Mark { seq: 3, ..a2 }));
    assert!(!contradicts(&Mark { seq: 4, ..a2 }));
}
