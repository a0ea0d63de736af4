//! From the seat by which checkpoints to which last base? (spec 02 R5, R6, R8, R22)
//!
//! Every step here is monotone: what leads from one base to the next keeps leading there, whatever
//! comes later. Neither a former device nor the holder of its keys can take a checkpoint back.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    absorbing::{Absorption, may_count, names},
    operation::DeviceKeys,
    pool::{Addition, HeldSeat, Pool, all_different},
};
use crate::{
    crypto,
    envelope::{Payload, Verified},
    ids::{AccountId, BaseId, DeviceId, EntryId},
    limits::{
        ACCOUNT_WAY_BYTES_MAX, ACCOUNT_WAY_ENVELOPES_MAX, ADDITIONS_BYTES_MAX, ADDITIONS_MAX,
        ADDITIONS_PER_INVITER_MAX, CHECKPOINTS_MAX,
    },
};

/// More than half of the settled devices.
pub(super) const fn quorum(settled: usize) -> usize {
    settled / 2 + 1
}

/// A base with all that was said on it.
pub(super) struct LastBase {
    pub(super) id: BaseId,
    /// How many checkpoints lie between the seat and it.
    pub(super) step: usize,
    pub(super) settled: BTreeMap<DeviceId, [u8; 32]>,
    /// The bases on the way on which a settled device belonged, the first one where it was added.
    belonged: BTreeMap<DeviceId, BTreeSet<BaseId>>,
    /// Devices that were settled before or are dropped by the seat: they never come in again.
    pub(super) out: BTreeSet<DeviceId>,
    /// Additions that count; none if there is a fork.
    pub(super) additions: Vec<Addition>,
    /// Signatures under two decisions that both have a quorum: nobody decides any more.
    pub(super) fork: Vec<Signature>,
    /// Signatures of a quorum under the account to which this one has moved.
    pub(super) moved: Option<(AccountId, Vec<Signature>)>,
    /// Signatures under decisions on this base that have no quorum.
    pub(super) waiting: Vec<Signature>,
    /// Signatures under decisions on earlier bases that have no quorum: they could come to prove a
    /// fork.
    pub(super) stale: Vec<Signature>,
    /// What led here, ascending: signatures and the additions that they name.
    pub(super) way: BTreeMap<EntryId, Box<[u8]>>,
    /// All absorbs of the way, whether they count or not.
    pub(super) absorptions: Vec<Absorption>,
    /// Accounts from which the way has settled devices.
    pub(super) held: BTreeSet<AccountId>,
    /// Accounts that count as absorbed.
    pub(super) names: BTreeSet<AccountId>,
}

/// What a quorum of a base decides, once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Decision {
    /// These devices are settled from now on.
    List {
        /// The base that the list makes.
        next: BaseId,
        /// The devices.
        devices: Vec<DeviceKeys>,
    },
    /// The account ends, this one goes on for it.
    Move(AccountId),
}

/// One device's signature under a decision.
#[derive(Clone)]
pub(super) struct Signature {
    pub(super) by: DeviceId,
    pub(super) decision: Decision,
    pub(super) id: EntryId,
    pub(super) bytes: Box<[u8]>,
}

impl Signature {
    fn of<T: Payload>(by: DeviceId, signed: Verified<T>, decision: Decision) -> Self {
        Self { by, decision, id: signed.id(), bytes: signed.into_bytes() }
    }

    fn shortest_first(&self) -> (usize, EntryId) {
        (self.bytes.len(), self.id)
    }
}

/// Signatures by what they decide, lists before moves, then by the ids.
type Decisions = BTreeMap<Decision, Vec<Signature>>;

/// Follows the checkpoints from a seat as far as they lead.
pub(super) fn follow(pool: &mut Pool, seat: &HeldSeat) -> LastBase {
    let mut base = LastBase::of(seat);
    let mut budget = Budget::behind(seat);
    for _ in 0..=CHECKPOINTS_MAX {
        let additions = additions_on(pool, &mut base);
        let needed = quorum(base.settled.len());
        let (agreed, waiting): (Decisions, Decisions) =
            decisions_on(pool, &base).into_iter().partition(|(_, by)| signers(by) >= needed);
        let step = match agreed.first_key_value() {
            Some((Decision::List { next, devices }, by)) if agreed.len() == 1 => {
                step(&base, *next, devices, shortest(by, needed), &additions)
            }
            _ => None,
        };
        if let Some(step) = step.filter(|step| budget.take(&step.way)) {
            base.stale.extend(waiting.into_values().flatten());
            base.go(step);
            continue;
        }
        base.end(agreed, waiting);
        base.names = names(seat, &base);
        if base.fork.is_empty() {
            base.additions = counted(additions, &base.names);
        }
        break;
    }
    base
}

fn additions_on(pool: &mut Pool, base: &mut LastBase) -> Vec<Addition> {
    let recovery = pool.recovery;
    let may_name = |keys: &DeviceKeys| {
        let settled = base.settled.iter();
        let settled =
            settled.map(|(d, authority)| DeviceKeys { device: *d, authority: *authority });
        all_different(settled.chain([*keys]), recovery) && !base.out.contains(&keys.device)
    };
    let absorptions = pool.absorptions(base.id, &base.settled, base.step);
    let mut additions = pool.additions(base.id, &base.settled, may_name);
    additions.extend(pool.taken_in(&absorptions, &base.settled, may_name));
    base.absorptions.extend(absorptions);
    additions
}

fn decisions_on(pool: &mut Pool, base: &LastBase) -> Decisions {
    let mut decisions = Decisions::new();
    let mut put = |signature: Signature| {
        decisions.entry(signature.decision.clone()).or_default().push(signature);
    };
    for (by, signed) in pool.checkpoints(base.id, &base.settled) {
        let devices = signed.value().devices.clone();
        let next = next_base(pool.account, base.id, &devices);
        put(Signature::of(by, signed, Decision::List { next, devices }));
    }
    for (by, signed) in pool.moves(base.id, &base.settled) {
        let decision = Decision::Move(signed.value().to);
        put(Signature::of(by, signed, decision));
    }
    decisions
}

fn signers(signatures: &[Signature]) -> usize {
    signatures.iter().map(|signature| signature.by).collect::<BTreeSet<_>>().len()
}

/// One signature of each signer, as many as needed: the same ones in whatever order they came.
fn shortest(signatures: &[Signature], needed: usize) -> Vec<Signature> {
    let mut all = signatures.to_vec();
    all.sort_by_cached_key(Signature::shortest_first);
    let mut seen = BTreeSet::new();
    all.retain(|signature| seen.insert(signature.by));
    all.truncate(needed);
    all
}

/// Names the base that a list of settled devices makes.
pub(super) fn next_base(account: AccountId, base: BaseId, list: &[DeviceKeys]) -> BaseId {
    let mut parts: Vec<&[u8]> = vec![account.as_bytes(), base.as_bytes()];
    for keys in list {
        parts.extend([&keys.device.as_bytes()[..], &keys.authority]);
    }
    BaseId::from_bytes(crypto::hash_parts(b"kith/checkpoint/1", &parts))
}

struct Step {
    id: BaseId,
    list: Vec<DeviceKeys>,
    way: BTreeMap<EntryId, Box<[u8]>>,
    held: Vec<AccountId>,
}

/// What leads to the base of a list on which a quorum agrees; `None` if it names a device that
/// nobody added.
fn step(
    base: &LastBase,
    id: BaseId,
    list: &[DeviceKeys],
    signatures: Vec<Signature>,
    additions: &[Addition],
) -> Option<Step> {
    let mut way: BTreeMap<EntryId, Box<[u8]>> =
        signatures.into_iter().map(|signature| (signature.id, signature.bytes)).collect();
    let mut held = Vec::new();
    for keys in list {
        if base.settled.get(&keys.device) == Some(&keys.authority) {
            continue;
        }
        let naming = additions.iter().filter(|addition| addition.keys == *keys);
        let addition = naming.min_by_key(|addition| addition.simplest_first())?;
        way.extend(addition.envelopes().map(|(id, bytes)| (id, bytes.into())));
        held.extend(addition.with.as_ref().map(|absorption| absorption.from));
    }
    Some(Step { id, list: list.to_vec(), way, held })
}

impl LastBase {
    fn of(seat: &HeldSeat) -> Self {
        Self {
            id: seat.id,
            step: 0,
            settled: seat.devices.clone(),
            belonged: BTreeMap::new(),
            out: seat.dropped.clone(),
            additions: Vec::new(),
            fork: Vec::new(),
            moved: None,
            waiting: Vec::new(),
            stale: Vec::new(),
            way: BTreeMap::new(),
            absorptions: Vec::new(),
            held: BTreeSet::new(),
            names: BTreeSet::new(),
        }
    }

    /// The way ends here: nothing was decided, or a move, or twice (R8, R22).
    fn end(&mut self, agreed: Decisions, mut waiting: Decisions) {
        let needed = quorum(self.settled.len());
        match agreed.first_key_value() {
            Some(_) if agreed.len() > 1 => {
                let two = agreed.values().take(2);
                self.fork = two.flat_map(|signatures| shortest(signatures, needed)).collect();
                let rest = agreed.into_iter().skip(2);
                waiting.extend(rest.map(|(what, by)| (what, shortest(&by, needed))));
            }
            Some((Decision::Move(to), signatures)) => {
                self.moved = Some((*to, shortest(signatures, needed)));
            }
            _ => waiting.extend(agreed),
        }
        self.waiting = waiting.into_values().flatten().collect();
    }

    /// Whether a device could be added here.
    pub(super) fn may_come_in(&self, device: &DeviceId) -> bool {
        !self.settled.contains_key(device) && !self.out.contains(device)
    }

    /// Whether a device may retire from a base (R7): from the last one if it belongs there, from
    /// an earlier one if it has belonged ever since.
    pub(super) fn retires(&self, keys: &DeviceKeys, from: BaseId) -> bool {
        if self.settled.get(&keys.device) == Some(&keys.authority) {
            let belonged = self.belonged.get(&keys.device);
            return from == self.id || belonged.is_some_and(|bases| bases.contains(&from));
        }
        from == self.id && self.additions.iter().any(|addition| addition.keys == *keys)
    }

    fn go(&mut self, step: Step) {
        for keys in &step.list {
            self.belonged.entry(keys.device).or_default().insert(self.id);
        }
        let settled = step.list.iter().map(|keys| (keys.device, keys.authority)).collect();
        let before = core::mem::replace(&mut self.settled, settled);
        self.out.extend(before.into_keys().filter(|device| !self.settled.contains_key(device)));
        self.id = step.id;
        self.step += 1;
        self.way.extend(step.way);
        self.held.extend(step.held);
    }
}

/// How much the way may still grow.
struct Budget {
    steps: usize,
    envelopes: usize,
    bytes: usize,
}

impl Budget {
    fn behind(seat: &HeldSeat) -> Self {
        Self {
            steps: CHECKPOINTS_MAX,
            envelopes: ACCOUNT_WAY_ENVELOPES_MAX,
            bytes: ACCOUNT_WAY_BYTES_MAX.saturating_sub(seat.bytes.len()),
        }
    }

    fn take(&mut self, way: &BTreeMap<EntryId, Box<[u8]>>) -> bool {
        let bytes: usize = way.values().map(|envelope| envelope.len()).sum();
        let fits = self.steps > 0 && way.len() <= self.envelopes && bytes <= self.bytes;
        if fits {
            self.steps -= 1;
            self.envelopes -= way.len();
            self.bytes -= bytes;
        }
        fits
    }
}

/// The additions on a base that count: of each inviter those with the smallest ids; the first of
/// each inviter before the second of any, then by their ids, as many as there is room for (R6).
fn counted(mut additions: Vec<Addition>, names: &BTreeSet<AccountId>) -> Vec<Addition> {
    additions.retain(|addition| may_count(addition, names));
    additions.sort_by_key(|addition| addition.id);
    let mut ranks: BTreeMap<DeviceId, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, Addition)> = additions
        .into_iter()
        .map(|addition| {
            let rank = ranks.entry(addition.by).or_default();
            *rank += 1;
            (*rank, addition)
        })
        .filter(|(rank, _)| *rank <= ADDITIONS_PER_INVITER_MAX)
        .collect();
    ranked.sort_by_key(|(rank, addition)| (*rank, addition.id));
    ranked.truncate(ADDITIONS_MAX);
    let (mut bytes, mut taken) = (ADDITIONS_BYTES_MAX, BTreeSet::new());
    ranked.retain(|(_, addition)| {
        let new = addition.envelopes().filter(|(id, _)| !taken.contains(id));
        let needed: usize = new.map(|(_, envelope)| envelope.len()).sum();
        let fits = needed <= bytes;
        if fits {
            bytes -= needed;
            taken.extend(addition.envelopes().map(|(id, _)| id));
        }
        fits
    });
    ranked.into_iter().map(|(_, addition)| addition).collect()
}
