//! What if a device writes two histories? Both are kept, by everybody, in one order.

use super::*;

/// Whatever comes first, the same is shown, and the writer is convicted.
fn converges(dag: &Dag, orders: &[&[&str]], waits: usize) -> String {
    let mut all: Vec<String> = Vec::new();
    for order in orders {
        let mut holder = Holder::new();
        for batch in *order {
            holder.get(dag, batch, at(HOUR_MS));
        }
        assert!(holder.liars.contains(&key(b'a').device()), "{order:?}");
        assert!(holder.refused.is_empty(), "{order:?}: {:?}", holder.refused);
        assert_eq!(holder.log.pending_count(), waits, "{order:?}");
        holder.log.save(&mut holder.store).unwrap();
        let loaded = Log::load(&holder.store, LOG, holder.log.number()).unwrap();
        assert_eq!(loaded.chains, holder.log.chains);
        all.push(holder.shown(dag));
    }
    assert!(all.iter().all(|shown| *shown == all[0]), "{all:?}");
    all.swap_remove(0)
}

/// ```text
/// a1 ─► a2
///   ╲─► a2′
/// ```
#[test]
fn both_histories_are_shown_whichever_comes_first() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a2'", "");
    let orders: &[&[&str]] = &[
        &["a1 a2", "a2'"],
        &["a1 a2'", "a2"],
        &["a1 a2 a2'"],
        &["a2", "a2'", "a1"],
        &["a2' a2", "a1"],
    ];
    assert_eq!(converges(&dag, orders, 0), "a1 a2 a2'");
}

/// ```text
/// a1
/// a1′
/// ```
#[test]
fn two_beginnings_are_two_histories() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a1'", "");
    assert_eq!(converges(&dag, &[&["a1", "a1'"], &["a1'", "a1"], &["a1' a1"]], 0), "a1 a1'");
}

/// ```text
/// a1 ─► a2 ────► a3
///   ╲─► a2′ ─► a3′
///         ╲
///           ► b1 (an honest answer to the second history)
/// ```
#[test]
fn an_honest_answer_to_either_history_is_never_stuck() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a2'", "").write("a3", "").write("a3'", "");
    dag.write("b1", "a2'");
    let orders: &[&[&str]] = &[
        &["a1 a2 a3", "b1", "a2' a3'"],
        &["b1", "a3'", "a2'", "a1", "a3", "a2"],
        &["a1 a2' b1", "a2 a3", "a3'"],
    ];
    assert_eq!(converges(&dag, orders, 0), "a1 a2 a2' a3 a3' b1");
}

/// ```text
/// a1 ─► a2
///   ╲─► a2′ ─► a3′        a2′ is withheld
/// ```
#[test]
fn a_successor_of_a_rival_convicts_while_it_waits() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a2'", "").write("a3'", "");
    converges(&dag, &[&["a1 a2", "a3'"], &["a3'", "a1", "a2", "a3'"]], 1);
}

#[test]
fn whoever_says_how_far_it_is_gets_the_other_history() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a2'", "").write("a3'", "");
    let (mut one, mut other) = (Holder::new(), Holder::new());
    one.get(&dag, "a1 a2", at(HOUR_MS));
    other.get(&dag, "a1 a2' a3'", at(HOUR_MS));
    // The other's frontier names a history that we do not have: it has nothing of ours for sure.
    let covered = one.log.covered(&other.log.heads(), &one.store).unwrap();
    assert_eq!(covered, Covered::from([(AuthorNumber(0), 2)]), "further than we are");
    let covered = other.log.covered(&one.log.heads(), &other.store).unwrap();
    assert_eq!(covered, Covered::new());
    one.get(&dag, "a1 a2' a3'", at(HOUR_MS));
    let covered = one.log.covered(&other.log.heads(), &one.store).unwrap();
    assert_eq!(covered, Covered::from([(AuthorNumber(0), 1), (AuthorNumber(1), 3)]));
}

/// Else the other history would be put again and again for who is not there.
#[test]
fn marks_of_both_histories_stay_beside_each_other() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a2'", "").write("a3'", "");
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2", at(HOUR_MS));
    let first = holder.log.heads();
    holder.get(&dag, "a2' a3'", at(HOUR_MS));
    let both = holder.log.heads();
    let second: Vec<Mark> = both.iter().copied().filter(|mark| !first.contains(mark)).collect();
    let joined = holder.log.joined_marks(&first, second.clone(), &holder.store).unwrap();
    assert_eq!(joined.len(), 2);
    let covered = |marks: &[Mark]| holder.log.covered(marks, &holder.store).unwrap();
    assert_eq!(covered(&joined), covered(&both));
    let again = holder.log.joined_marks(&joined, second, &holder.store).unwrap();
    assert_eq!(covered(&again), covered(&both), "what was said before is not said twice");
    assert_eq!(again.len(), 2);
}

#[test]
fn a_device_has_a_bounded_number_of_histories() {
    let mut holder = Holder::new();
    for rival in 0..10 {
        let mut dag = Dag::default();
        dag.write_with("a1", "", |entry| entry.hlc = Hlc::at(at(1000 + rival)));
        holder.get(&dag, "a1", at(HOUR_MS));
    }
    assert_eq!(holder.store.entry_count(), kith_common::limits::HISTORIES_MAX);
    assert_eq!(holder.refused, [Refusal::Fork; 6]);
}
