//! What if a device is believed no further?

use super::*;

impl Holder {
    fn cut(&mut self, device: u8, through: Option<Mark>) -> bool {
        self.log.cut(key(device).device(), through, &mut self.store).unwrap()
    }
}

/// Whatever comes first, entries or cut, the same is shown.
fn same_in_every_order(dag: &Dag, through: Option<Mark>, batches: &[&str], shown: &str) {
    for cut_at in 0..=batches.len() {
        for reversed in [false, true] {
            let mut holder = Holder::new();
            let mut order: Vec<&str> = batches.to_vec();
            if reversed {
                order.reverse();
            }
            for (number, batch) in order.iter().enumerate() {
                if number == cut_at {
                    holder.cut(b'a', through);
                }
                holder.get(dag, batch, at(HOUR_MS));
            }
            if cut_at == order.len() {
                holder.cut(b'a', through);
            }
            // Everything is offered once more, as by another holder.
            for batch in &order {
                holder.get(dag, batch, at(HOUR_MS));
            }
            assert_eq!(holder.shown(dag), shown, "cut at {cut_at}, reversed: {reversed}");
            holder.log.save(&mut holder.store).unwrap();
            let loaded = Log::load(&holder.store, LOG, holder.log.number()).unwrap();
            assert_eq!(loaded.chains, holder.log.chains);
            assert_eq!(loaded.limits, holder.log.limits);
        }
    }
}

/// ```text
/// a1 ─► a2 ┃ ─► a3 ─► a4
///         ╲  ╲
///          ► b1 ► b2          b2 answers what is beyond the cut
/// ```
#[test]
fn what_is_beyond_goes_and_what_answered_it_stays() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("b1", "a2").write("a3", "");
    dag.write("b2", "a3").write("a4", "");
    let batches = ["a1 a2", "b1", "a3", "b2", "a4"];
    same_in_every_order(&dag, Some(dag.made["a2"].mark), &batches, "a1 a2 b1 b2");
    same_in_every_order(&dag, None, &batches, "b1 b2");
}

/// ```text
/// a1 ─► a2 ┃ ─► a3 (claims to be of tomorrow)
///                  ╲
///                    ► b1
/// c1 (an hour later)
/// ```
#[test]
fn what_answered_it_stands_where_it_would_without_it() {
    let mut dag = Dag::default();
    dag.write_at("a1", "", 1000).write_at("a2", "", 2000).write_at("a3", "", 20 * HOUR_MS);
    dag.write_at("b1", "a3", 3000).write_at("c1", "", 4000);
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2 a3 b1 c1", at(HOUR_MS));
    assert_eq!(holder.shown(&dag), "a1 a2 c1 a3 b1");
    assert!(holder.cut(b'a', Some(dag.made["a2"].mark)));
    assert_eq!(holder.shown(&dag), "a1 a2 b1 c1");
    let batches = ["a1 a2 a3", "b1", "c1"];
    same_in_every_order(&dag, Some(dag.made["a2"].mark), &batches, "a1 a2 b1 c1");
}

/// ```text
/// a1 ─► a2 ─► a3
///   ╲─► a2′ ┃ ─► a3′          the cut names the second history
/// ```
#[test]
fn a_cut_names_the_history_that_counts() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a2'", "").write("a3", "").write("a3'", "");
    let batches = ["a1", "a2 a3", "a2'", "a3'"];
    same_in_every_order(&dag, Some(dag.made["a2'"].mark), &batches, "a1 a2'");
}

/// ```text
/// a1 ─► a2 ─► a3              held: a1
///         ╲
///           ► b1
/// ```
#[test]
fn without_a_cut_what_was_held_or_answered_counts() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("b1", "a2").write("a3", "");
    let mut holder = Holder::new();
    holder.get(&dag, "a1", at(HOUR_MS));
    holder.log.hold(key(b'a').device());
    holder.get(&dag, "a2 a3", at(HOUR_MS));
    assert_eq!((holder.shown(&dag).as_str(), holder.log.pending_count()), ("a1", 2));
    holder.get(&dag, "b1", at(HOUR_MS));
    assert_eq!((holder.shown(&dag).as_str(), holder.log.pending_count()), ("a1 a2 b1", 1));
    // Somebody trusted has the rest.
    assert!(holder.log.vouch(&[dag.made["a3"].mark]));
    holder.log.receive_waiting(at(HOUR_MS), &mut holder.store).unwrap();
    assert_eq!(holder.shown(&dag), "a1 a2 b1 a3");
    assert!(holder.refused.is_empty());
}

/// A former device does not vouch for itself, nor one former device for another.
#[test]
fn former_devices_vouch_for_nobody() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("c1", "a1");
    let mut holder = Holder::new();
    holder.log.hold(key(b'a').device());
    holder.log.hold(key(b'c').device());
    holder.get(&dag, "a1 c1", at(HOUR_MS));
    assert_eq!(holder.shown(&dag), "");
}

#[test]
fn what_is_beyond_is_refused_without_blame() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "");
    let mut holder = Holder::new();
    holder.cut(b'a', Some(dag.made["a1"].mark));
    holder.get(&dag, "a1 a2", at(HOUR_MS));
    assert_eq!(holder.refused, [Refusal::BeyondCut]);
    assert!(Refusal::BeyondCut.is_harmless());
    assert_eq!(holder.shown(&dag), "a1");
}
