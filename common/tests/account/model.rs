//! What does the spec say, slowly? The rules of spec 02 once more, read from the page and not from
//! the code: every question goes over all that was ever said. It knows no budgets.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::{Former, Reason, Standing, Untrust},
    ids::EntryId,
};

use crate::notation::{Base, Operation, Said};

/// How every device stands after all that was said, in whatever order.
pub(crate) fn standings(history: &[Operation]) -> BTreeMap<char, Standing> {
    Model { history }.standings()
}

struct Model<'h> {
    history: &'h [Operation],
}

const fn out(reason: Reason, is_final: bool) -> Standing {
    Standing::Former(Former { reason, is_final })
}

impl Model<'_> {
    fn standings(&self) -> BTreeMap<char, Standing> {
        // R5: the highest epoch; two seats of it prove that the recovery key is in two hands.
        let epoch = self.seats().map(|seat| seat.0).max().unwrap();
        let mut seats: Vec<_> = self.seats().filter(|seat| seat.0 == epoch).collect();
        seats.sort_by_key(|seat| seat.1);
        seats.dedup_by_key(|seat| seat.1);
        if let [first, second, ..] = seats.as_slice() {
            let mut all = BTreeMap::new();
            for (_, _, _, dropped) in [first, second] {
                all.extend(dropped.iter().map(|device| (*device, out(Reason::LeftOut, true))));
            }
            for (_, _, devices, _) in [first, second] {
                all.extend(devices.iter().map(|device| (*device, Standing::Disputed)));
            }
            return all;
        }
        let (_, seat, devices, dropped) = seats[0];
        self.behind_seat(Base { seat, lists: Vec::new() }, devices, dropped)
    }

    /// Epoch, id, devices, dropped devices.
    fn seats(&self) -> impl Iterator<Item = (u64, EntryId, &[char], &[char])> {
        self.history.iter().filter_map(|operation| match &operation.said {
            Said::Seat { epoch, devices, dropped } => {
                Some((*epoch, operation.id(), devices.as_slice(), dropped.as_slice()))
            }
            _ => None,
        })
    }

    fn behind_seat(
        &self,
        seat: Base,
        devices: &[char],
        dropped: &[char],
    ) -> BTreeMap<char, Standing> {
        let mut bases: Vec<(Base, Vec<char>)> = vec![(seat, devices.to_vec())];
        let mut gone: BTreeSet<char> = dropped.iter().copied().collect();
        loop {
            let (base, settled) = bases.last().unwrap().clone();
            // R8
            let lists: BTreeSet<Vec<char>> = self.lists_with_quorum(&base, &settled);
            if lists.len() > 1 {
                let mut by_id: Vec<&Vec<char>> = lists.iter().collect();
                by_id.sort_by_key(|list| base.then(list).id());
                let mut all: BTreeMap<char, Standing> = BTreeMap::new();
                let named = by_id[..2].iter().copied().flatten().chain(&settled);
                all.extend(named.map(|device| (*device, Standing::Disputed)));
                all.extend(gone.iter().map(|device| (*device, out(Reason::LeftOut, true))));
                return all;
            }
            let known = |device: &char| {
                settled.contains(device)
                    || self
                        .additions(&base, &settled, &gone)
                        .iter()
                        .any(|a| (a.1, a.2) == (*device, *device))
            };
            match lists.into_iter().next().filter(|list| list.iter().all(known)) {
                Some(list) if bases.len() <= 64 => {
                    gone.extend(settled.iter().filter(|device| !list.contains(device)));
                    bases.push((base.then(&list), list));
                }
                _ => return self.on_last_base(&bases, &gone),
            }
        }
    }

    fn lists_with_quorum(&self, base: &Base, settled: &[char]) -> BTreeSet<Vec<char>> {
        let mut signers: BTreeMap<Vec<char>, BTreeSet<char>> = BTreeMap::new();
        for operation in self.history.iter().filter(|o| o.base.as_ref() == Some(base)) {
            if let Said::List { by, devices } = &operation.said
                && settled.contains(by)
                && !devices.is_empty()
            {
                signers.entry(devices.clone()).or_default().insert(*by);
            }
        }
        signers.retain(|_, by| 2 * by.len() > settled.len());
        signers.into_keys().collect()
    }

    /// R3, R4, R14: inviter, device, authority key, id.
    fn additions(
        &self,
        base: &Base,
        settled: &[char],
        gone: &BTreeSet<char>,
    ) -> BTreeSet<(char, char, char, EntryId)> {
        let mut found = BTreeSet::new();
        for operation in self.history.iter().filter(|o| o.base.as_ref() == Some(base)) {
            if let Said::Add { by, device, claims } = operation.said
                && settled.contains(&by)
                && !settled.contains(&device)
                && !settled.contains(&claims)
                && !gone.contains(&device)
            {
                found.insert((by, device, claims, operation.id()));
            }
        }
        found
    }

    /// R6
    fn additions_that_count(
        &self,
        base: &Base,
        settled: &[char],
        gone: &BTreeSet<char>,
    ) -> Vec<(char, char, char)> {
        let all = self.additions(base, settled, gone);
        let mut places = Vec::new();
        for (by, device, claims, id) in &all {
            let before = all.iter().filter(|(other, .., earlier)| other == by && earlier < id);
            let place = before.count();
            if place < 8 {
                places.push((place, *id, (*by, *device, *claims)));
            }
        }
        places.sort();
        places.truncate(16);
        places.into_iter().map(|(.., addition)| addition).collect()
    }

    fn on_last_base(
        &self,
        bases: &[(Base, Vec<char>)],
        gone: &BTreeSet<char>,
    ) -> BTreeMap<char, Standing> {
        let (base, settled) = bases.last().unwrap();
        let additions = self.additions_that_count(base, settled, gone);
        let added: BTreeSet<char> = additions.iter().map(|(_, device, _)| *device).collect();
        let retired = self.retired(bases, &additions);
        let votes = self.votes(base, settled);
        let against = |device: char| votes.iter().filter(move |vote| vote.1 == device);
        let by_quorum = |device: char| 2 * against(device).count() > settled.len();
        // R7: retired ones have no voice, R10: nor have those that a quorum removed.
        let voices = |device: char| -> Vec<char> {
            let by = against(device).map(|vote| vote.0);
            by.filter(|by| !retired.contains(by) && !by_quorum(*by)).collect()
        };
        let reason = |device: char| {
            let stolen = against(device).any(|vote| vote.2 == Untrust::Stolen);
            if stolen { Reason::Stolen } else { Reason::Removed }
        };
        // R11
        let accused = |device: char| {
            let accusers = voices(device);
            let unaccused = accusers.iter().any(|by| voices(*by).is_empty());
            let answered = accusers.iter().any(|by| voices(*by).contains(&device));
            match (accusers.is_empty(), unaccused && !answered) {
                (true, _) => None,
                (false, true) => Some(out(reason(device), false)),
                (false, false) => Some(Standing::Disputed),
            }
        };
        let mut all: BTreeMap<char, Standing> =
            gone.iter().map(|device| (*device, out(Reason::LeftOut, true))).collect();
        for device in settled.iter().chain(&added).copied() {
            let standing = if retired.contains(&device) {
                out(Reason::Retired, true)
            } else if by_quorum(device) {
                out(reason(device), true)
            } else if settled.contains(&device) {
                accused(device).unwrap_or(Standing::Settled)
            } else {
                // R12; settled devices come first in this loop.
                let inviters: Vec<(char, char)> =
                    additions.iter().filter(|a| a.1 == device).map(|a| (a.0, a.2)).collect();
                brought_in(&inviters, &all, accused(device))
            };
            all.insert(device, standing);
        }
        all
    }

    /// R7: it belonged on the base it names, and has belonged ever since.
    fn retired(
        &self,
        bases: &[(Base, Vec<char>)],
        additions: &[(char, char, char)],
    ) -> BTreeSet<char> {
        let mut retired = BTreeSet::new();
        for operation in self.history {
            let Said::Retire { by } = operation.said else { continue };
            let from = bases.iter().position(|(base, _)| operation.base.as_ref() == Some(base));
            let Some(from) = from else { continue };
            let later_settled = bases[from + 1..].iter().all(|(_, settled)| settled.contains(&by));
            let is_last = from + 1 == bases.len();
            let belongs = bases[from].1.contains(&by)
                || additions.iter().any(|(_, device, claims)| (*device, *claims) == (by, by));
            if later_settled && (!is_last || belongs) {
                retired.insert(by);
            }
        }
        retired
    }

    /// R9: one vote of each settled device about each other one, the gravest.
    fn votes(&self, base: &Base, settled: &[char]) -> Vec<(char, char, Untrust)> {
        let mut votes: BTreeMap<(char, char), Untrust> = BTreeMap::new();
        for operation in self.history.iter().filter(|o| o.base.as_ref() == Some(base)) {
            if let Said::Vote { by, about, why } = operation.said
                && settled.contains(&by)
                && by != about
            {
                let vote = votes.entry((by, about)).or_insert(why);
                *vote = why.max(*vote);
            }
        }
        votes.into_iter().map(|((by, about), why)| (by, about, why)).collect()
    }
}

fn brought_in(
    inviters: &[(char, char)],
    decided: &BTreeMap<char, Standing>,
    accused: Option<Standing>,
) -> Standing {
    let sound: BTreeSet<char> = inviters
        .iter()
        .filter(|(by, _)| decided[by] == Standing::Settled)
        .map(|(_, claims)| *claims)
        .collect();
    let frozen = inviters.iter().any(|(by, _)| decided[by] == Standing::Disputed);
    let for_good =
        |(by, _): &(char, char)| matches!(decided[by], Standing::Former(f) if f.is_final);
    match accused {
        _ if sound.is_empty() && !frozen => out(Reason::WithInviter, inviters.iter().all(for_good)),
        Some(standing) => standing,
        // R4: two authority keys for one device.
        None if sound.len() == 1 => Standing::Added,
        None => Standing::Disputed,
    }
}
