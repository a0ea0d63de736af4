//! What does the spec say, slowly? The rules of spec 02 once more, read from the page and not from
//! the code: every question goes over all that was ever said. It knows no budgets.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::{Former, Reason, Standing, Untrust},
    ids::EntryId,
};

use crate::notation::{Base, Operation, Outcome, Said, other};

/// How it comes out after all that was said, in whatever order.
pub(crate) fn outcome(history: &[Operation]) -> Outcome {
    Model { history }.outcome()
}

/// What a quorum of a base has decided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Decision {
    List(Vec<char>),
    Move(char),
}

/// A seat as it was said.
struct SaidSeat<'h> {
    epoch: u64,
    id: EntryId,
    devices: &'h [char],
    dropped: &'h [char],
    absorbed: &'h [char],
}

struct Model<'h> {
    history: &'h [Operation],
}

const fn out(reason: Reason, is_final: bool) -> Standing {
    Standing::Former(Former { reason, is_final })
}

impl Model<'_> {
    fn outcome(&self) -> Outcome {
        // R5: the highest epoch; two seats of it prove that the recovery key is in two hands.
        let epoch = self.seats().map(|seat| seat.epoch).max().unwrap();
        let mut seats: Vec<_> = self.seats().filter(|seat| seat.epoch == epoch).collect();
        seats.sort_by_key(|seat| seat.id);
        seats.dedup_by_key(|seat| seat.id);
        if let [first, second, ..] = seats.as_slice() {
            let mut all = BTreeMap::new();
            for seat in [first, second] {
                let out = seat.dropped.iter().map(|device| (*device, out(Reason::LeftOut, true)));
                all.extend(out);
            }
            let named = first.devices.iter().chain(second.devices);
            all.extend(named.map(|device| (*device, Standing::Disputed)));
            let absorbed = first.absorbed.iter().chain(second.absorbed).copied().collect();
            let invited = BTreeSet::new();
            return Outcome { standings: all, invited, absorbed, moved: None };
        }
        self.behind_seat(&seats[0])
    }

    fn seats(&self) -> impl Iterator<Item = SaidSeat<'_>> {
        self.history.iter().filter_map(|operation| match &operation.said {
            Said::Seat { epoch, devices, dropped, absorbed } => {
                Some(SaidSeat { epoch: *epoch, id: operation.id(), devices, dropped, absorbed })
            }
            _ => None,
        })
    }

    fn behind_seat(&self, said: &SaidSeat<'_>) -> Outcome {
        let seat = Base { seat: said.id, lists: Vec::new() };
        let mut bases: Vec<(Base, Vec<char>)> = vec![(seat.clone(), said.devices.to_vec())];
        let mut gone: BTreeSet<char> = said.dropped.iter().copied().collect();
        let nobody = BTreeSet::new();
        let ((standings, invited), by_quorum) = loop {
            let (base, settled) = bases.last().unwrap().clone();
            // R8, R22
            let decisions = self.decisions(&base, &settled);
            if decisions.len() > 1 {
                break ((Self::frozen(&base, &settled, &gone, &decisions), nobody), None);
            }
            let known = |device: &char| {
                settled.contains(device)
                    || self
                        .additions(&base, &settled, &gone)
                        .iter()
                        .any(|a| (a.1, a.2) == (*device, *device))
            };
            match decisions.into_iter().next() {
                Some(Decision::List(list)) if list.iter().all(known) && bases.len() <= 64 => {
                    gone.extend(settled.iter().filter(|device| !list.contains(device)));
                    bases.push((base.then(&list), list));
                }
                Some(Decision::Move(to)) => break (self.on_last_base(&bases, &gone), Some(to)),
                _ => break (self.on_last_base(&bases, &gone), None),
            }
        };
        let mut absorbed: BTreeSet<char> = said.absorbed.iter().copied().collect();
        absorbed.extend(bases.iter().flat_map(|(base, settled)| self.absorbed_on(base, settled)));
        Outcome { standings, invited, absorbed, moved: self.last_word(&seat).or(by_quorum) }
    }

    /// R8: everybody who takes part in the first two decisions.
    fn frozen(
        base: &Base,
        settled: &[char],
        gone: &BTreeSet<char>,
        decisions: &BTreeSet<Decision>,
    ) -> BTreeMap<char, Standing> {
        let lists = decisions.iter().filter_map(|decision| match decision {
            Decision::List(list) => Some(list),
            Decision::Move(_) => None,
        });
        let mut by_id: Vec<&Vec<char>> = lists.collect();
        by_id.sort_by_key(|list| base.then(list).id());
        by_id.truncate(2);
        let mut all: BTreeMap<char, Standing> = BTreeMap::new();
        let named = by_id.into_iter().flatten().chain(settled);
        all.extend(named.map(|device| (*device, Standing::Disputed)));
        all.extend(gone.iter().map(|device| (*device, out(Reason::LeftOut, true))));
        all
    }

    fn decisions(&self, base: &Base, settled: &[char]) -> BTreeSet<Decision> {
        let mut signers: BTreeMap<Decision, BTreeSet<char>> = BTreeMap::new();
        for operation in self.history.iter().filter(|o| o.base.as_ref() == Some(base)) {
            let (by, decision) = match &operation.said {
                Said::List { by, devices } if !devices.is_empty() => {
                    (*by, Decision::List(devices.clone()))
                }
                Said::Move { by: Some(by), to } => (*by, Decision::Move(*to)),
                _ => continue,
            };
            if settled.contains(&by) {
                signers.entry(decision).or_default().insert(by);
            }
        }
        signers.retain(|_, by| 2 * by.len() > settled.len());
        signers.into_keys().collect()
    }

    /// R22: the recovery key on the seat.
    fn last_word(&self, seat: &Base) -> Option<char> {
        let words = self.history.iter().filter_map(|operation| match operation.said {
            Said::Move { by: None, to } if operation.base.as_ref() == Some(seat) => Some(to),
            _ => None,
        });
        words.min_by_key(|to| other(*to))
    }

    /// R23
    fn absorbed_on(&self, base: &Base, settled: &[char]) -> BTreeSet<char> {
        let said = self.history.iter().filter(|o| o.base.as_ref() == Some(base));
        let absorbed = said.filter_map(|operation| match operation.said {
            Said::Absorb { by, from, .. } if settled.contains(&by) => Some(from),
            _ => None,
        });
        absorbed.collect()
    }

    /// R24: whether a settled device names a device in an absorbs on a base.
    fn takes_in(&self, base: &Base, by: char, device: char) -> bool {
        self.history.iter().filter(|o| o.base.as_ref() == Some(base)).any(|operation| {
            matches!(&operation.said, Said::Absorb { by: signer, devices, .. }
                if *signer == by && devices.contains(&device))
        })
    }

    /// R3, R4, R14: inviter, device, authority key, id.
    fn additions(
        &self,
        base: &Base,
        settled: &[char],
        gone: &BTreeSet<char>,
    ) -> BTreeSet<(char, char, char, EntryId)> {
        let mut found = BTreeSet::new();
        for operation in self.history {
            let (by, device, claims) = match operation.said {
                Said::Add { by, device, claims } if operation.base.as_ref() == Some(base) => {
                    (by, device, claims)
                }
                Said::Ack { device, by, claims } if self.takes_in(base, by, device) => {
                    (by, device, claims)
                }
                _ => continue,
            };
            if settled.contains(&by)
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
    ) -> (BTreeMap<char, Standing>, BTreeSet<char>) {
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
        // R24: who is named and not there stands in nothing but what is held against it.
        let mut invited = BTreeSet::new();
        for (by, device) in self.named(base, settled) {
            if settled.contains(&device) || gone.contains(&device) || added.contains(&device) {
                continue;
            }
            let quorum = by_quorum(device).then(|| out(reason(device), true));
            if let Some(standing) = quorum.or_else(|| accused(device)) {
                all.insert(device, standing);
            } else if all[&by] == Standing::Settled {
                invited.insert(device);
            }
        }
        (all, invited)
    }

    /// R24: whom a settled device names in an absorbs on a base, and which one.
    fn named(&self, base: &Base, settled: &[char]) -> BTreeSet<(char, char)> {
        let said = self.history.iter().filter(|o| o.base.as_ref() == Some(base));
        let named = said.flat_map(|operation| match &operation.said {
            Said::Absorb { by, devices, .. } if settled.contains(by) => {
                devices.iter().map(|device| (*by, *device)).collect()
            }
            _ => Vec::new(),
        });
        named.collect()
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
