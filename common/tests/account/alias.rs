//! Which account does each one end up as?

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::{Account, ends_up, merged},
    ids::AccountId,
    keys::SigningKey,
};
use proptest::prelude::*;

/// Accounts of one device each, whose moves and absorbs are drawn.
fn accounts(moves: &[usize], absorbs: &[(usize, usize)]) -> Vec<Account> {
    let key = |n: usize, of: u8| SigningKey::from_seed(&[u8::try_from(n).unwrap() << 2 | of; 32]);
    let alone = |n: usize| Account::create(&key(n, 1), &key(n, 2), &key(n, 3), [0; 32]);
    let begun: Vec<Account> = (0..moves.len()).map(alone).collect();
    let grown = begun.iter().enumerate().map(|(at, account)| {
        let own = key(at, 3);
        let mut more = Vec::new();
        for (_, ends) in absorbs.iter().filter(|(stays, ends)| *stays == at && *ends != at) {
            more.push(account.absorb(&own, begun[*ends].id(), &[]).unwrap());
        }
        if let Some(to) = begun.get(moves[at]).filter(|_| moves[at] != at) {
            more.push(account.move_to(&own, to.id()).unwrap());
        }
        account.join(&more).unwrap()
    });
    grown.collect()
}

#[test]
fn chains_and_rings_end_in_one_account() {
    let named = |all: &[Account]| -> Vec<usize> {
        let ends = ends_up(all);
        let at = |id: AccountId| all.iter().position(|one| one.id() == id).unwrap();
        all.iter().map(|one| at(ends[&one.id()])).collect()
    };
    let none = usize::MAX;
    // Both sides, one side, the other one.
    let both = accounts(&[1, none], &[(1, 0)]);
    assert!(merged(&both[0], &both[1]) && !merged(&both[1], &both[0]));
    assert_eq!(named(&both), [1, 1]);
    assert_eq!(named(&accounts(&[1, none], &[])), [0, 1]);
    assert_eq!(named(&accounts(&[none, none], &[(1, 0)])), [0, 1]);
    assert_eq!(named(&both[..1]), [0], "who is not known is not followed");
    // A chain, and one that is broken.
    assert_eq!(named(&accounts(&[1, 2, none], &[(1, 0), (2, 1)])), [2, 2, 2]);
    assert_eq!(named(&accounts(&[1, 2, none], &[(1, 0)])), [1, 1, 2]);
    // Rings of two and three, and what leads into one.
    let smallest =
        |all: &[Account], of: &[usize]| of.iter().copied().min_by_key(|at| all[*at].id()).unwrap();
    let two = accounts(&[1, 0], &[(1, 0), (0, 1)]);
    assert_eq!(named(&two), [smallest(&two, &[0, 1]); 2]);
    let all = accounts(&[1, 2, 0, 0, none], &[(1, 0), (2, 1), (0, 2), (0, 3)]);
    let end = smallest(&all, &[0, 1, 2]);
    assert_eq!(named(&all), [end, end, end, end, 4]);
}

#[test]
fn of_two_of_one_id_the_newer_one_is_meant() {
    let both = accounts(&[1, usize::MAX], &[(1, 0)]);
    let recovery = SigningKey::from_seed(&[1; 32]);
    let device = both[0].devices().collect::<Vec<_>>();
    let back = both[0].join(&[both[0].seat(&recovery, &device, vec![]).unwrap()]).unwrap();
    let all = [both[0].clone(), both[1].clone(), back];
    assert_eq!(ends_up(&all)[&both[0].id()], both[0].id());
    assert_eq!(ends_up(all.iter().rev()), ends_up(&all));
}

/// The same, slowly: who can be reached from whom.
fn slowly(all: &[Account]) -> BTreeMap<AccountId, AccountId> {
    let reached = |from: &Account| -> BTreeSet<AccountId> {
        let mut seen = BTreeSet::from([from.id()]);
        for _ in all {
            let known = seen.clone();
            for ends in all.iter().filter(|one| known.contains(&one.id())) {
                seen.extend(all.iter().filter(|stays| merged(ends, stays)).map(Account::id));
            }
        }
        seen
    };
    let reach: BTreeMap<AccountId, BTreeSet<AccountId>> =
        all.iter().map(|one| (one.id(), reached(one))).collect();
    // The end: whom everybody reaches who is reached from here.
    let end = |of: &BTreeSet<AccountId>| {
        *of.iter().find(|one| of.iter().all(|another| reach[another].contains(one))).unwrap()
    };
    reach.iter().map(|(from, of)| (*from, end(of))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everybody_ends_up_as_the_slow_way_says(
        moves in proptest::collection::vec(0..8_usize, 1..7),
        extra in proptest::collection::vec((0..7_usize, 0..7_usize), 0..8),
        without in 0..9_usize,
    ) {
        // Most targets agree.
        let count = moves.len();
        let mut absorbs: BTreeSet<(usize, usize)> =
            moves.iter().enumerate().map(|(ends, stays)| (*stays, ends)).collect();
        absorbs.extend(extra);
        absorbs.retain(|(stays, ends)| *stays < count && *ends < count && *stays != without);
        let absorbs: Vec<_> = absorbs.into_iter().collect();
        let all = accounts(&moves, &absorbs);
        let ends = ends_up(&all);
        prop_assert_eq!(&ends, &slowly(&all));
        let mut turned = all.clone();
        turned.reverse();
        turned.extend(all.iter().take(2).cloned());
        prop_assert_eq!(&ends_up(&turned), &ends);
        for end in ends.values() {
            prop_assert_eq!(ends[end], *end, "once more is the same");
        }
        let left = all.iter().filter(|one| ends[&one.id()] == one.id());
        let left = ends_up(left);
        prop_assert!(left.iter().all(|(from, end)| from == end), "nothing is left to merge");
    }
}
