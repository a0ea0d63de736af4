//! Which other accounts does an account go on for, and whom does it take in from them?
//! (spec 02 R23, R24)

use std::collections::{BTreeMap, BTreeSet};

use super::{
    chain::LastBase,
    pool::{Addition, HeldSeat},
};
use crate::{
    ids::{AccountId, DeviceId, EntryId},
    limits::ABSORBED_ACCOUNTS_MAX,
};

/// An absorbs whose signature holds, by a settled device of its base.
#[derive(Clone)]
pub(super) struct Absorption {
    pub(super) id: EntryId,
    pub(super) by: DeviceId,
    /// Which base of the way it builds on, from 0.
    pub(super) step: usize,
    pub(super) from: AccountId,
    pub(super) devices: Vec<DeviceId>,
    pub(super) bytes: Box<[u8]>,
}

impl Absorption {
    pub(super) fn shortest_first(&self) -> (usize, EntryId) {
        (self.bytes.len(), self.id)
    }

    fn earliest_first(&self) -> (usize, usize, EntryId) {
        (self.step, self.bytes.len(), self.id)
    }
}

/// The accounts that count as absorbed: those of the seat, those from which the way settles
/// devices, then the first of each signer before the second of any (R23).
///
/// What is left out of the proof later is only what does not count here, so that it comes out the
/// same from the proof.
pub(super) fn names(seat: &HeldSeat, base: &LastBase) -> BTreeSet<AccountId> {
    let mut names = seat.absorbed.clone();
    let mut put = |from: AccountId| {
        if names.len() < ABSORBED_ACCOUNTS_MAX {
            names.insert(from);
        }
    };
    base.held.iter().for_each(|from| put(*from));
    let mut by_signer: BTreeMap<DeviceId, Vec<&Absorption>> = BTreeMap::new();
    for first in firsts(&base.absorptions) {
        if !seat.absorbed.contains(&first.from) && !base.held.contains(&first.from) {
            by_signer.entry(first.by).or_default().push(first);
        }
    }
    let mut ranked: Vec<(usize, EntryId, AccountId)> = Vec::new();
    for of_signer in by_signer.values_mut() {
        of_signer.sort_by_key(|one| (one.step, one.id));
        let places = of_signer.iter().enumerate();
        ranked.extend(places.map(|(rank, one)| (rank, one.id, one.from)));
    }
    ranked.sort_unstable();
    ranked.into_iter().for_each(|(.., from)| put(from));
    names
}

/// Of each signer and account the one on the earliest base, the shortest, the smallest id.
fn firsts(absorptions: &[Absorption]) -> impl Iterator<Item = &Absorption> {
    let mut firsts: BTreeMap<(DeviceId, AccountId), &Absorption> = BTreeMap::new();
    for one in absorptions {
        let place = firsts.entry((one.by, one.from)).or_insert(one);
        if one.earliest_first() < place.earliest_first() {
            *place = one;
        }
    }
    firsts.into_values()
}

/// Those that are worth keeping: one for each signer and account that counts, unless the seat
/// names the account; on the last base one for each signer and device that may still come in.
pub(super) fn worth_keeping<'b>(seat: &HeldSeat, base: &'b LastBase) -> Vec<&'b Absorption> {
    let counts = |one: &&Absorption| base.names.contains(&one.from);
    let mut kept: BTreeMap<(DeviceId, usize, EntryId), &Absorption> = BTreeMap::new();
    let mut keep = |one: &'b Absorption| {
        kept.insert((one.by, one.step, one.id), one);
    };
    let unnamed = |one: &&Absorption| !seat.absorbed.contains(&one.from);
    firsts(&base.absorptions).filter(counts).filter(unnamed).for_each(&mut keep);
    let mut shortest: BTreeMap<(DeviceId, DeviceId), &Absorption> = BTreeMap::new();
    for (device, one) in offers(base) {
        let place = shortest.entry((one.by, device)).or_insert(one);
        if one.shortest_first() < place.shortest_first() {
            *place = one;
        }
    }
    shortest.into_values().for_each(&mut keep);
    kept.into_values().collect()
}

/// Each device that may come in on the last base, with each absorbs that says so and counts; none
/// if there is a fork.
pub(super) fn offers(base: &LastBase) -> impl Iterator<Item = (DeviceId, &Absorption)> {
    let now = base.absorptions.iter().filter(|one| one.step == base.step);
    let counting = now.filter(|one| base.fork.is_empty() && base.names.contains(&one.from));
    counting.flat_map(|one| {
        let devices = one.devices.iter().filter(|device| base.may_come_in(device));
        devices.map(move |device| (*device, one))
    })
}

/// Whether an addition stands on nothing, or on an absorbs that counts.
pub(super) fn may_count(addition: &Addition, names: &BTreeSet<AccountId>) -> bool {
    addition.with.as_ref().is_none_or(|absorption| names.contains(&absorption.from))
}
