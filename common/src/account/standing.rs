//! Who stands on the last base? Values in, values out (spec 02 R9–R14).

use std::collections::{BTreeMap, BTreeSet};

use super::{chain::quorum, operation::Untrust};
use crate::ids::DeviceId;

/// How a device stands in its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Named by the seat or a checkpoint: it belongs and decides.
    Settled,
    /// Taken in by a settled device: it belongs.
    Added,
    /// Frozen until a quorum or the recovery key decides.
    Disputed,
    /// Out. What it wrote before its cut remains.
    Former(Former),
}

/// Why a device is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Former {
    /// What happened.
    pub reason: Reason,
    /// Whether no answer can undo it: a quorum, a checkpoint, the device itself or the recovery
    /// key has decided, not one voice.
    pub is_final: bool,
}

/// What put a device out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Votes that call it unwanted.
    Removed,
    /// Votes of which one at least calls it stolen.
    Stolen,
    /// Its own word.
    Retired,
    /// A checkpoint that does not name it, or a seat that drops it.
    LeftOut,
    /// Whoever took it in is out.
    WithInviter,
}

impl Standing {
    /// Whether a device that stands so speaks for the account.
    pub const fn stands(self) -> bool {
        matches!(self, Self::Settled | Self::Added)
    }

    const fn former(reason: Reason, is_final: bool) -> Self {
        Self::Former(Former { reason, is_final })
    }
}

/// A settled device's word against another device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    /// Who votes.
    pub by: DeviceId,
    /// Against whom.
    pub about: DeviceId,
    /// Why.
    pub why: Untrust,
}

/// A device that was taken in: by whom, with which authority key.
pub(super) type Invitation = (DeviceId, [u8; 32]);

/// What is said on the last base.
pub(super) struct Sayings<'a> {
    pub(super) settled: &'a BTreeSet<DeviceId>,
    /// Devices that were added, with who took them in.
    pub(super) added: &'a BTreeMap<DeviceId, Vec<Invitation>>,
    /// Devices that an absorbs names, with who signed it; they may be added or not.
    pub(super) invited: &'a BTreeMap<DeviceId, BTreeSet<DeviceId>>,
    pub(super) retired: &'a BTreeSet<DeviceId>,
    pub(super) votes: &'a [Vote],
}

/// How each device of the last base stands.
pub(super) fn decide(said: &Sayings<'_>) -> BTreeMap<DeviceId, Standing> {
    let mut decided = BTreeMap::new();
    for device in said.settled {
        let standing = said.decided_by_itself_or_quorum(*device);
        decided.insert(
            *device,
            standing.or_else(|| said.accused(*device)).unwrap_or(Standing::Settled),
        );
    }
    for (device, invitations) in said.added {
        let standing = said.decided_by_itself_or_quorum(*device);
        let standing = standing.unwrap_or_else(|| said.brought_in(*device, invitations, &decided));
        decided.insert(*device, standing);
    }
    // Who is not there yet can be voted out, and is nothing else.
    for device in said.invited.keys().filter(|device| !said.added.contains_key(device)) {
        let standing = said.decided_by_itself_or_quorum(*device);
        decided.extend(standing.or_else(|| said.accused(*device)).map(|how| (*device, how)));
    }
    decided
}

/// Devices that are not there and may come in: whoever invites one stands, and nothing is held
/// against it (R24).
pub(super) fn welcome(
    invited: &BTreeMap<DeviceId, BTreeSet<DeviceId>>,
    decided: &BTreeMap<DeviceId, Standing>,
) -> BTreeSet<DeviceId> {
    let stands = |by: &DeviceId| decided.get(by).is_some_and(|standing| standing.stands());
    let new = invited.iter().filter(|(device, _)| !decided.contains_key(device));
    let sound = new.filter(|(_, inviters)| inviters.iter().any(stands));
    sound.map(|(device, _)| *device).collect()
}

impl Sayings<'_> {
    fn votes_against(&self, device: DeviceId) -> impl Iterator<Item = &Vote> {
        self.votes.iter().filter(move |vote| vote.about == device)
    }

    fn has_quorum_against(&self, device: DeviceId) -> bool {
        self.votes_against(device).count() >= quorum(self.settled.len())
    }

    /// R7, R10.
    fn decided_by_itself_or_quorum(&self, device: DeviceId) -> Option<Standing> {
        if self.retired.contains(&device) {
            return Some(Standing::former(Reason::Retired, true));
        }
        let votes = self.votes_against(device);
        self.has_quorum_against(device).then(|| Standing::former(reason(votes), true))
    }

    /// Whether the device's votes count where there is no quorum.
    fn has_a_voice(&self, device: DeviceId) -> bool {
        !self.retired.contains(&device) && !self.has_quorum_against(device)
    }

    fn accusers(&self, device: DeviceId) -> Vec<DeviceId> {
        let voices = self.votes_against(device).map(|vote| vote.by);
        voices.filter(|by| self.has_a_voice(*by)).collect()
    }

    /// R11: removed by one voice, unless it is answered.
    fn accused(&self, device: DeviceId) -> Option<Standing> {
        let accusers = self.accusers(device);
        if accusers.is_empty() {
            return None;
        }
        let unaccused = accusers.iter().any(|by| self.accusers(*by).is_empty());
        let answered = accusers.iter().any(|by| self.accusers(*by).contains(&device));
        if unaccused && !answered {
            Some(Standing::former(reason(self.votes_against(device)), false))
        } else {
            Some(Standing::Disputed)
        }
    }

    /// R12: what a device brought in goes with it.
    fn brought_in(
        &self,
        device: DeviceId,
        invitations: &[Invitation],
        decided: &BTreeMap<DeviceId, Standing>,
    ) -> Standing {
        let by = |wanted: fn(&Standing) -> bool| {
            invitations.iter().filter(move |(by, _)| decided.get(by).is_some_and(wanted))
        };
        let sound: BTreeSet<[u8; 32]> =
            by(|standing| standing.stands()).map(|(_, authority)| *authority).collect();
        let frozen = by(|standing| *standing == Standing::Disputed).count() > 0;
        if sound.is_empty() && !frozen {
            let lasting = by(|standing| matches!(standing, Standing::Former(f) if f.is_final));
            return Standing::former(Reason::WithInviter, lasting.count() == invitations.len());
        }
        match self.accused(device) {
            Some(standing) => standing,
            // Two authority keys for one device: somebody lies about it (R4).
            None if sound.len() == 1 => Standing::Added,
            None => Standing::Disputed,
        }
    }
}

fn reason<'v>(mut votes: impl Iterator<Item = &'v Vote>) -> Reason {
    if votes.any(|vote| vote.why == Untrust::Stolen) { Reason::Stolen } else { Reason::Removed }
}
