//! What if a device is believed no further?

use super::*;

impl Holder {
    fn cut(&mut self, device: u8, last: Option<Mark>) -> bool {
        self.cut_for(device, Cut { lasts: last.into_iter().collect(), is_final: true })
    }

    /// The device may still answer.
    fn suspect(&mut self, device: u8, last: Option<Mark>) -> bool {
        self.cut_for(device, Cut { lasts: last.into_iter().collect(), is_final: false })
    }

    fn cut_for(&mut self, device: u8, cut: Cut) -> bool {
        let any = self.log.cut(key(device).device(), cut, &mut self.store).unwrap();
        let received = self.log.receive_waiting(at(HOUR_MS), &mut self.store).unwrap();
        any || !received.accepted.is_empty()
    }

    fn trust(&mut self, device: u8) {
        self.log.trust(key(device).device());
        self.log.receive_waiting(at(HOUR_MS), &mut self.store).unwrap();
    }

    fn a_day_passes(&mut self) {
        self.log.receive_waiting(at(26 * HOUR_MS), &mut self.store).unwrap();
    }

    /// Entries that were put aside, as the store has them.
    fn aside(&self) -> usize {
        let shelves = [1 << 31, 3 << 30].map(|bits| LogNumber(self.log.number().0 | bits));
        let rows = |shelf| self.store.newest(shelf, None, usize::MAX).unwrap().len();
        shelves.into_iter().map(rows).sum()
    }
}

/// Whatever comes first, entries or cut, the same is shown.
fn same_in_every_order(dag: &Dag, through: Option<Mark>, batches: &[&str], shown: &str) {
    let ways = [(false, false), (false, true), (true, false), (true, true)];
    for cut_at in 0..=batches.len() {
        for (reversed, is_final) in ways {
            let cut = Cut { lasts: through.into_iter().collect(), is_final };
            let mut holder = Holder::new();
            let mut order: Vec<&str> = batches.to_vec();
            if reversed {
                order.reverse();
            }
            for (number, batch) in order.iter().enumerate() {
                if number == cut_at {
                    holder.cut_for(b'a', cut.clone());
                }
                holder.get(dag, batch, at(HOUR_MS));
            }
            if cut_at == order.len() {
                holder.cut_for(b'a', cut);
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
            assert_eq!(loaded.shelves, holder.log.shelves);
            assert_eq!(loaded.absent, holder.log.absent);
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

/// ```text
/// a1 ─► a2 ┃ ─► a3 ─► a4        the accusation is answered: a is believed again
///              ╲     ╲
///                ► b1  ╲        b1 came before, c1 while a3 and a4 were put aside
///                        ► c1
/// ```
#[test]
fn who_answers_gets_back_what_was_put_aside() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a3", "").write_at("b1", "a3", 1);
    dag.write("a4", "").write_at("c1", "a4", 2);
    let mut other = Holder::new();
    other.get(&dag, "a1 a2 a3 b1 a4 c1", at(HOUR_MS));
    for last in [None, Some(dag.made["a2"].mark)] {
        let mut holder = Holder::new();
        holder.get(&dag, "a1 a2 a3", at(HOUR_MS));
        holder.get(&dag, "b1 a4", at(2 * HOUR_MS));
        assert!(holder.suspect(b'a', last));
        let shown = if last.is_some() { "b1 a1 a2" } else { "b1" };
        assert_eq!(holder.shown(&dag), shown);
        holder.get(&dag, "c1", at(HOUR_MS));
        assert_eq!(holder.aside(), if last.is_some() { 2 } else { 4 });
        holder.log.save(&mut holder.store).unwrap();
        holder.log = Log::load(&holder.store, LOG, holder.log.number()).unwrap();
        holder.trust(b'a');
        assert_eq!(holder.aside(), 0);
        let positions = |holder: &Holder| -> Vec<_> {
            holder.rows().into_iter().map(|row| (row.position, row.depth)).collect()
        };
        assert_eq!(positions(&holder), positions(&other));
        let times: Vec<_> = holder.rows().into_iter().map(|row| row.received_at).collect();
        assert!(times.contains(&at(2 * HOUR_MS)), "it came when it came: {times:?}");
        let tips = |holder: &Holder| -> Vec<bool> {
            holder.log.chains.iter().map(|chain| chain.is_tip).collect()
        };
        assert_eq!(tips(&holder), [false, true, true]);
    }
}

#[test]
fn what_was_put_aside_goes_once_that_is_decided() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a3", "");
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2 a3", at(HOUR_MS));
    holder.suspect(b'a', None);
    assert_eq!((holder.shown(&dag).as_str(), holder.aside()), ("", 3));
    // Further than was said at first, but not all.
    assert!(holder.suspect(b'a', Some(dag.made["a1"].mark)));
    assert_eq!((holder.shown(&dag).as_str(), holder.aside()), ("a1", 2));
    assert!(holder.cut(b'a', Some(dag.made["a2"].mark)));
    assert_eq!((holder.shown(&dag).as_str(), holder.aside()), ("a1 a2", 1));
    holder.a_day_passes();
    assert_eq!((holder.shown(&dag).as_str(), holder.aside()), ("a1 a2", 0));
    holder.trust(b'a');
    assert_eq!(holder.shown(&dag), "a1 a2");
}

#[test]
fn what_was_deleted_stays_deleted_through_all_of_it() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "");
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2", at(HOUR_MS));
    holder.log.delete(&[dag.made["a1"].mark], &mut holder.store).unwrap();
    holder.suspect(b'a', None);
    holder.trust(b'a');
    let bodies: Vec<bool> = holder.rows().iter().map(|row| row.body == Body::Deleted).collect();
    assert_eq!(bodies, [true, false]);
}

/// ```text
/// a1 ─► a2 ─► a3 ┃
///   ╲─► a2′                    below the cut by its number, and not on the way to it
/// ```
#[test]
fn what_leads_elsewhere_is_beyond_the_cut_whenever_it_comes() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a2'", "").write("a3", "").write("b1", "a2'");
    let batches = ["a1", "a2", "a2'", "a3", "b1"];
    same_in_every_order(&dag, Some(dag.made["a3"].mark), &batches, "a1 a2 a3 b1");
}

/// ```text
/// a1 ─► a2 ┃ ─► a3 ─► a4
///                  ╲
///                    ► b1 ─► b2      b2 is the cut, and all who had a3 and a4 have dropped them
/// ```
#[test]
fn a_cut_is_heard_though_its_entry_waits_for_what_it_cuts() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a3", "").write("b1", "a3").write("a4", "");
    dag.write_with("b2", "", |entry| entry.kind = EntryKind::CUT);
    let mut holder = Holder::new();
    let received = holder.get(&dag, "a1 a2 b1 b2", at(HOUR_MS));
    assert_eq!((holder.shown(&dag).as_str(), received.cuts.len()), ("a1 a2", 1));
    assert_eq!(holder.get(&dag, "b2", at(HOUR_MS)).cuts.len(), 0, "it is not said twice");
    assert!(holder.cut(b'a', Some(dag.made["a2"].mark)));
    assert_eq!(holder.shown(&dag), "a1 a2 b1 b2");
}

#[test]
fn a_cut_is_not_deleted_with_the_conversation() {
    let mut dag = Dag::default();
    dag.write("a1", "").write_with("a2", "", |entry| entry.kind = EntryKind::CUT);
    let mut holder = Holder::new();
    holder.get(&dag, "a1", at(HOUR_MS));
    holder.log.clear(&[dag.made["a2"].mark], &mut holder.store).unwrap();
    // Whether it comes before or afterwards.
    let received = holder.get(&dag, "a2", at(HOUR_MS));
    assert_eq!(received.cuts.len(), 1);
    holder.log.clear(&[dag.made["a2"].mark], &mut holder.store).unwrap();
    let kept: Vec<bool> = holder.rows().iter().map(|row| row.body.bytes().is_some()).collect();
    assert_eq!(kept, [false, true]);
}

/// ```text
/// a1 ─► a2 ─► a3              a2 is deleted; the first cut believes a1, the second one a3
/// ```
#[test]
fn what_was_deleted_stays_deleted_if_it_goes_and_comes_again() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a3", "");
    for suspected in [false, true] {
        let mut holder = Holder::new();
        holder.get(&dag, "a1 a2 a3", at(HOUR_MS));
        holder.log.delete(&[dag.made["a2"].mark], &mut holder.store).unwrap();
        let first = Some(dag.made["a1"].mark);
        if suspected {
            holder.suspect(b'a', first);
        }
        holder.cut(b'a', first);
        holder.a_day_passes();
        assert_eq!((holder.shown(&dag).as_str(), holder.aside()), ("a1", 0));
        holder.cut(b'a', Some(dag.made["a3"].mark));
        holder.get(&dag, "a2 a3", at(HOUR_MS));
        let here: Vec<bool> = holder.rows().iter().map(|row| row.body.bytes().is_some()).collect();
        assert_eq!(here, [true, false, true], "suspected before: {suspected}");
    }
}

/// ```text
/// a1 ┃ ─► a2 ┃ ─► a3          out for good, and the word that believes more comes later
/// ```
#[test]
fn a_later_cut_that_believes_more_needs_nobody_to_hand_it_on_again() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a3", "");
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2 a3", at(HOUR_MS));
    holder.cut(b'a', Some(dag.made["a1"].mark));
    assert_eq!((holder.shown(&dag).as_str(), holder.aside()), ("a1", 2));
    holder.log.save(&mut holder.store).unwrap();
    holder.log = Log::load(&holder.store, LOG, holder.log.number()).unwrap();
    holder.cut(b'a', Some(dag.made["a2"].mark));
    assert_eq!((holder.shown(&dag).as_str(), holder.aside()), ("a1 a2", 1));
    assert!(holder.rows().iter().all(|row| row.body.bytes().is_some()));
}

/// ```text
/// a1 ┃ ─► a2 ─► a3 ─► a4          a2 is deleted, then everything through a3
/// ```
#[test]
fn what_is_deleted_while_it_is_put_aside_is_gone_at_once() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a3", "").write("a4", "");
    let mark = |name: &str| dag.made[name].mark;
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2 a3 a4", at(HOUR_MS));
    holder.suspect(b'a', Some(mark("a1")));
    let whole = |holder: &Holder| {
        let numbers = [0, 1 << 31, 3 << 30].map(|bits| LogNumber(holder.log.number().0 | bits));
        let rows = |number| holder.store.newest(number, None, usize::MAX).unwrap();
        let rows = numbers.into_iter().flat_map(rows);
        rows.filter(|row| row.body.bytes().is_some()).count()
    };
    assert_eq!((holder.aside(), whole(&holder)), (3, 4));
    holder.log.delete(&[mark("a2")], &mut holder.store).unwrap();
    assert_eq!(whole(&holder), 3);
    holder.log.clear(&[mark("a3")], &mut holder.store).unwrap();
    assert_eq!(whole(&holder), 1, "a1 and a3 are gone too");
    holder.trust(b'a');
    assert_eq!(holder.shown(&dag), "a1 a2 a3 a4");
    assert_eq!(whole(&holder), 1);
}

/// ```text
/// a1 ─► a2 ─► a3 ┃            a3 answers b1, and b1 answers what only the thief's helper has
///   ╲─► a2′ ─► b1
/// ```
#[test]
fn a_cut_that_waits_for_an_answer_to_what_it_cuts_does_not_wait_for_ever() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a2'", "").write("b1", "a2'").write("a3", "b1");
    let last = Some(dag.made["a3"].mark);
    for batches in [&["a1 a2", "b1", "a3"][..], &["a3", "b1", "a1", "a2"], &["a1 a2 b1 a3"]] {
        for cut_at in 0..=batches.len() {
            let mut holder = Holder::new();
            for (number, batch) in batches.iter().enumerate() {
                if number == cut_at {
                    holder.suspect(b'a', last);
                }
                holder.get(&dag, batch, at(HOUR_MS));
            }
            if cut_at == batches.len() {
                holder.suspect(b'a', last);
            }
            assert_eq!(holder.shown(&dag), "a1 a2 b1 a3", "{batches:?}, cut at {cut_at}");
        }
    }
}

/// ```text
/// a1 ─► a2 ─► a3 ┃     what the person wrote; the cut names a3
/// a1 … four others      what a thief made at that number, shown to this holder before
/// ```
#[test]
fn four_forged_histories_do_not_keep_the_believed_one_out() {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("a3", "").write("b1", "a3").write("b2", "");
    let last = dag.made["a3"].mark;
    for cut_first in [false, true] {
        for forged in [1, 4] {
            let mut holder = Holder::new();
            for rival in 0..forged {
                let mut other = Dag::default();
                other.write_with("a1", "", |entry| entry.hlc = Hlc::at(at(2000 + rival)));
                holder.get(&other, "a1", at(HOUR_MS));
            }
            if cut_first {
                holder.cut(b'a', Some(last));
            }
            for _ in 0..3 {
                holder.get(&dag, "a1 a2 a3 b1 b2", at(HOUR_MS));
            }
            holder.cut(b'a', Some(last));
            for _ in 0..3 {
                holder.get(&dag, "a1 a2 a3 b1 b2", at(HOUR_MS));
            }
            holder.a_day_passes();
            holder.get(&dag, "a1 a2 a3 b1 b2", at(27 * HOUR_MS));
            assert_eq!(
                holder.shown(&dag),
                "a1 a2 a3 b1 b2",
                "{forged} forged, cut first: {cut_first}; ? is forged"
            );
        }
    }
}
