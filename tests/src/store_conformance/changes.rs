//! What if entries are replaced, moved, cut off or erased?

use kith_core::store::{Body, EntryRow, LogNumber, Position, RecordKind};

use super::{Outcome, TestStore, entry, place};

/// Every body gives way to every other, larger or smaller, and nothing else changes.
///
/// # Errors
/// If the store fails.
pub(super) fn bodies_come_and_go(test: &mut dyn TestStore) -> Outcome {
    let here = |size: usize| Body::Here(vec![9; size].into());
    let bodies =
        [here(20), Body::Deleted, here(0), Body::Missing, here(61_440), here(3000), here(3001)];
    let (first, mut changed, other) = (entry(1, 1, 1, 10), entry(1, 1, 2, 20), entry(1, 2, 1, 15));
    for row in [&first, &changed, &other] {
        test.store_mut().add_entry(row)?;
    }
    for before in &bodies {
        for after in &bodies {
            for body in [before, after] {
                changed.body = body.clone();
                test.store_mut().replace_entry(&changed)?;
                assert_eq!(test.store().entry(changed.place)?.as_ref(), Some(&changed));
            }
        }
        test.commit()?;
        test.reopen()?;
        let newest = [changed.clone(), other.clone(), first.clone()];
        assert_eq!(test.store().newest(LogNumber(1), None, 10)?, newest);
        assert_eq!(test.store().chain(place(1, 1, 1), 10)?, [first.clone(), changed.clone()]);
    }
    Ok(())
}

/// An entry with another clock is found under that alone: by place, by id and in the order.
///
/// # Errors
/// If the store fails.
pub(super) fn a_moved_entry_is_found_where_it_is(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    for seq in 1..=3 {
        store.add_entry(&entry(1, 1, seq, 10 * seq))?;
        store.add_entry(&entry(2, 1, seq, 10 * seq))?;
    }
    let before = entry(1, 1, 2, 20).position;
    for eff in [35, 5, 30, 20] {
        let moved = EntryRow { position: Position { eff, ..before }, ..entry(1, 1, 2, 20) };
        store.replace_entry(&moved)?;
        let chain = [entry(1, 1, 1, 10), moved.clone(), entry(1, 1, 3, 30)];
        assert_eq!(store.chain(place(1, 1, 1), 10)?, chain, "moved to {eff}");
        assert_eq!(store.entry(moved.place)?.as_ref(), Some(&moved));
        assert_eq!(store.find(LogNumber(1), before.id)?, Some(moved.place));
        let mut order = chain.to_vec();
        order.sort_by_key(|row| core::cmp::Reverse(row.position));
        assert_eq!(store.newest(LogNumber(1), None, 10)?, order, "moved to {eff}");
        let lower: Vec<EntryRow> =
            order.into_iter().filter(|row| row.position < moved.position).collect();
        assert_eq!(store.newest(LogNumber(1), Some(moved.position), 10)?, lower);
    }
    // Another id at the place: the old one leads nowhere.
    let other = EntryRow { position: entry(9, 9, 9, 20).position, ..entry(1, 1, 2, 20) };
    store.replace_entry(&other)?;
    assert_eq!(store.find(LogNumber(1), before.id)?, None);
    assert_eq!(store.find(LogNumber(1), other.position.id)?, Some(other.place));
    assert_eq!(store.find(LogNumber(2), before.id)?, None);
    assert_eq!(store.newest(LogNumber(2), None, 10)?.len(), 3);
    Ok(())
}

/// No entry comes in by being replaced.
///
/// # Errors
/// If the store fails.
pub(super) fn only_what_is_there_is_replaced(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    assert!(store.replace_entry(&entry(1, 1, 1, 10)).is_err());
    store.add_entry(&entry(1, 1, 4, 40))?;
    store.add_entry(&entry(1, 1, 5, 50))?;
    store.truncate_chain(place(1, 1, 5))?;
    for (log, author, seq) in
        [(1, 1, 0), (1, 1, 3), (1, 1, 5), (1, 1, u64::MAX), (1, 2, 4), (2, 1, 4)]
    {
        let row = entry(log, author, seq, 60);
        assert!(store.replace_entry(&row).is_err(), "{:?}", row.place);
        assert_eq!(store.entry(row.place)?, None);
    }
    assert_eq!(store.newest(LogNumber(1), None, 10)?, [entry(1, 1, 4, 40)]);
    Ok(())
}

/// What follows the cut is gone however it is looked for; its places are free for others.
///
/// # Errors
/// If the store fails.
pub(super) fn a_chain_is_cut_and_goes_on(test: &mut dyn TestStore) -> Outcome {
    let store = test.store_mut();
    for seq in 1..=5 {
        store.add_entry(&entry(1, 1, seq, 10 * seq))?;
        store.add_entry(&entry(1, 2, seq, 10 * seq + 1))?;
        store.add_entry(&entry(2, 1, seq, 10 * seq))?;
    }
    store.truncate_chain(place(1, 1, 3))?;
    for from in [3, 6, u64::MAX] {
        store.truncate_chain(place(1, 1, from))?;
    }
    store.truncate_chain(place(1, 3, 1))?;
    assert_eq!(store.chain(place(1, 1, 1), 10)?, [entry(1, 1, 1, 10), entry(1, 1, 2, 20)]);
    for seq in 3..=5 {
        assert_eq!(store.entry(place(1, 1, seq))?, None);
        assert_eq!(store.find(LogNumber(1), entry(1, 1, seq, 0).position.id)?, None);
    }
    assert_eq!(store.chain(place(1, 2, 1), 10)?.len(), 5);
    assert_eq!(store.chain(place(2, 1, 1), 10)?.len(), 5);
    assert_eq!(store.newest(LogNumber(1), None, 10)?.len(), 7);
    for seq in [1, 2, 4, 6] {
        assert!(store.add_entry(&entry(1, 1, seq, 99)).is_err(), "seq {seq}");
    }
    let other = EntryRow { position: entry(9, 9, 9, 33).position, ..entry(1, 1, 3, 33) };
    store.add_entry(&other)?;
    store.add_entry(&entry(1, 1, 4, 44))?;
    assert_eq!(store.chain(place(1, 1, 3), 10)?, [other.clone(), entry(1, 1, 4, 44)]);
    assert_eq!(store.find(LogNumber(1), other.position.id)?, Some(other.place));
    assert_eq!(store.newest(LogNumber(1), Some(entry(1, 2, 4, 41).position), 1)?, [other]);
    Ok(())
}

/// A chain of which nothing is left is like one that never was.
///
/// # Errors
/// If the store fails.
pub(super) fn a_chain_cut_to_nothing_begins_anywhere(test: &mut dyn TestStore) -> Outcome {
    for (from, next) in [(1, 1), (4, 9), (0, 2)] {
        test.begin()?;
        let store = test.store_mut();
        store.truncate_chain(place(1, 1, 0))?;
        for seq in 4..=6 {
            store.add_entry(&entry(1, 1, seq, seq))?;
        }
        test.commit()?;
        test.begin()?;
        let store = test.store_mut();
        store.truncate_chain(place(1, 1, from))?;
        assert_eq!(store.chain(place(1, 1, 0), 10)?, []);
        assert_eq!(store.newest(LogNumber(1), None, 10)?, []);
        store.add_entry(&entry(1, 1, next, 50))?;
        store.add_entry(&entry(1, 1, next + 1, 60))?;
        test.commit()?;
        assert_eq!(test.store().chain(place(1, 1, 0), 10)?.len(), 2);
    }
    Ok(())
}

/// Replaced, cut and added again, in one transaction that does not count: all as before.
///
/// # Errors
/// If the store fails.
pub(super) fn a_rollback_takes_changes_back(test: &mut dyn TestStore) -> Outcome {
    test.begin()?;
    for seq in 7..=12 {
        test.store_mut().add_entry(&entry(1, 1, seq, 10 * seq))?;
    }
    test.commit()?;
    let chain = test.store().chain(place(1, 1, 1), 10)?;
    let newest = test.store().newest(LogNumber(1), None, 10)?;
    test.begin()?;
    let store = test.store_mut();
    for (body, eff) in [(Body::Here(vec![1; 9000].into()), 200), (Body::Deleted, 1)] {
        let row = entry(1, 1, 8, eff);
        store.replace_entry(&EntryRow { body, ..row })?;
    }
    store.truncate_chain(place(1, 1, 10))?;
    store.add_entry(&entry(1, 1, 10, 300))?;
    store.replace_entry(&entry(1, 1, 10, 310))?;
    store.truncate_chain(place(1, 1, 7))?;
    store.add_entry(&entry(1, 1, 20, 5))?;
    store.erase();
    assert_eq!(store.newest(LogNumber(1), None, 10)?, [entry(1, 1, 20, 5)]);
    test.rollback()?;
    assert_eq!(test.store().chain(place(1, 1, 1), 10)?, chain);
    assert_eq!(test.store().newest(LogNumber(1), None, 10)?, newest);
    let id = entry(1, 1, 8, 0).position.id;
    assert_eq!(test.store().find(LogNumber(1), id)?, Some(place(1, 1, 8)));
    assert_eq!(test.store().find(LogNumber(1), entry(1, 1, 20, 0).position.id)?, None);
    test.begin()?;
    assert!(test.store_mut().add_entry(&entry(1, 1, 21, 400)).is_err());
    assert!(test.store_mut().add_entry(&entry(1, 1, 10, 400)).is_err());
    test.store_mut().add_entry(&entry(1, 1, 13, 400))?;
    test.commit()
}

/// A replacement and a cut are as durable as what was added, and as lost without a commit.
///
/// # Errors
/// If the store fails.
pub(super) fn changes_survive_a_commit_only(test: &mut dyn TestStore) -> Outcome {
    test.begin()?;
    for seq in 1..=9 {
        test.store_mut().add_entry(&entry(1, 1, seq, 10 * seq))?;
    }
    test.commit()?;
    let before = test.store().newest(LogNumber(1), None, 10)?;
    for erase in [false, true] {
        test.begin()?;
        test.store_mut().replace_entry(&entry(1, 1, 1, 500))?;
        test.store_mut().truncate_chain(place(1, 1, 5))?;
        if erase {
            test.store_mut().erase();
        }
        test.reopen()?;
        assert_eq!(test.store().newest(LogNumber(1), None, 10)?, before);
    }
    test.begin()?;
    test.store_mut().replace_entry(&entry(1, 1, 1, 500))?;
    test.store_mut().truncate_chain(place(1, 1, 3))?;
    test.commit()?;
    test.reopen()?;
    let kept = [entry(1, 1, 1, 500), entry(1, 1, 2, 20)];
    assert_eq!(test.store().newest(LogNumber(1), None, 10)?, kept);
    assert!(test.store_mut().add_entry(&entry(1, 1, 10, 600)).is_err());
    test.store_mut().add_entry(&entry(1, 1, 3, 600))?;
    test.commit()
}

/// With or without anything to erase, in a transaction or not, again and again.
///
/// # Errors
/// If the store fails.
pub(super) fn erasing_touches_nothing_else(test: &mut dyn TestStore) -> Outcome {
    test.store_mut().erase();
    test.commit()?;
    for key in 0..50 {
        test.store_mut().put_record(RecordKind::Log, &[key], &[key; 700])?;
    }
    for round in 1..=4 {
        test.begin()?;
        let store = test.store_mut();
        store.put_record(RecordKind::Setting, b"round", &[1; 3000])?;
        store.add_entry(&entry(1, 1, round, round))?;
        store.add_entry(&entry(1, 2, 2 * round - 1, round))?;
        store.add_entry(&entry(1, 2, 2 * round, round))?;
        store.truncate_chain(place(1, 2, 2 * round))?;
        store.add_entry(&entry(1, 2, 2 * round, round + 100))?;
        let deleted = EntryRow { body: Body::Deleted, ..entry(1, 1, round, round) };
        store.replace_entry(&deleted)?;
        store.remove_record(RecordKind::Setting, b"round")?;
        store.erase();
        test.commit()?;
        assert_eq!(test.store().newest(LogNumber(1), None, 100)?.len() as u64, 3 * round);
        assert_eq!(test.store().entry(deleted.place)?, Some(deleted));
        assert_eq!(test.store().records(RecordKind::Setting)?, []);
        assert_eq!(test.store().records(RecordKind::Log)?.len(), 50);
        assert_eq!(test.store().record(RecordKind::Log, &[7])?, Some(vec![7; 700]));
        if round == 2 {
            test.store_mut().erase();
            test.commit()?;
            test.reopen()?;
        }
    }
    Ok(())
}
