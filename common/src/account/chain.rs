//! From the seat by which checkpoints to which last base? (spec 02 R5, R6, R8)
//!
//! Every step here is monotone: what leads from one base to the next keeps leading there, whatever
//! comes later. Neither a former device nor the holder of its keys can take a checkpoint back.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    operation::{Checkpoint, DeviceKeys},
    pool::{Addition, HeldSeat, Pool, all_different},
};
use crate::{
    crypto,
    envelope::Verified,
    ids::{AccountId, BaseId, DeviceId, EntryId},
    limits::{
        ACCOUNT_WAY_BYTES_MAX, ACCOUNT_WAY_ENVELOPES_MAX, ADDITIONS_MAX, ADDITIONS_PER_INVITER_MAX,
        CHECKPOINTS_MAX,
    },
};

/// More than half of the settled devices.
pub(super) const fn quorum(settled: usize) -> usize {
    settled / 2 + 1
}

/// A base with all that was said on it.
pub(super) struct LastBase {
    pub(super) id: BaseId,
    pub(super) settled: BTreeMap<DeviceId, [u8; 32]>,
    /// The bases on the way on which a settled device belonged, the first one where it was added.
    belonged: BTreeMap<DeviceId, BTreeSet<BaseId>>,
    /// Devices that were settled before or are dropped by the seat: they never come in again.
    pub(super) out: BTreeSet<DeviceId>,
    /// Additions that count; none if there is a fork.
    pub(super) additions: Vec<Addition>,
    /// Signatures under two lists that both have a quorum: nobody decides any more.
    pub(super) fork: Vec<Signature>,
    /// Signatures under lists on this base that have no quorum.
    pub(super) waiting: Vec<Signature>,
    /// Signatures under lists on earlier bases that have no quorum: they could come to prove a fork.
    pub(super) stale: Vec<Signature>,
    /// What led here: signatures and the additions that they name.
    pub(super) way: Vec<Box<[u8]>>,
}

/// One device's signature under a list.
#[derive(Clone)]
pub(super) struct Signature {
    pub(super) by: DeviceId,
    pub(super) checkpoint: Verified<Checkpoint>,
}

impl Signature {
    fn shortest_first(&self) -> (usize, EntryId) {
        (self.checkpoint.bytes().len(), self.checkpoint.id())
    }
}

/// Signatures by the base that their list would make.
type Lists = BTreeMap<BaseId, Vec<Signature>>;

/// Follows the checkpoints from a seat as far as they lead.
pub(super) fn follow(pool: &mut Pool, seat: &HeldSeat) -> LastBase {
    let mut base = LastBase {
        id: seat.id,
        settled: seat.devices.clone(),
        belonged: BTreeMap::new(),
        out: seat.dropped.clone(),
        additions: Vec::new(),
        fork: Vec::new(),
        waiting: Vec::new(),
        stale: Vec::new(),
        way: Vec::new(),
    };
    let mut budget = Budget::behind(seat);
    for _ in 0..=CHECKPOINTS_MAX {
        let additions = additions_on(pool, &base);
        let lists = lists_on(pool, &base);
        let needed = quorum(base.settled.len());
        let (agreed, mut waiting): (Lists, Lists) =
            lists.into_iter().partition(|(_, by)| signers(by) >= needed);
        let step = match agreed.len() {
            1 => agreed.first_key_value().and_then(|(id, signatures)| {
                step(&base, *id, shortest(signatures, needed), &additions)
            }),
            _ => None,
        };
        if let Some(step) = step.filter(|step| budget.take(&step.way)) {
            base.stale.extend(waiting.into_values().flatten());
            base.go(step);
            continue;
        }
        if agreed.len() > 1 {
            let two = agreed.values().take(2);
            base.fork = two.flat_map(|signatures| shortest(signatures, needed)).collect();
            let rest = agreed.iter().skip(2);
            waiting.extend(rest.map(|(id, signatures)| (*id, shortest(signatures, needed))));
        } else {
            waiting.extend(agreed);
        }
        base.waiting = waiting.into_values().flatten().collect();
        if base.fork.is_empty() {
            base.additions = counted(additions);
        }
        break;
    }
    base
}

fn additions_on(pool: &mut Pool, base: &LastBase) -> Vec<Addition> {
    let recovery = pool.recovery;
    pool.additions(base.id, &base.settled, |keys| {
        let settled = base.settled.iter();
        let settled =
            settled.map(|(d, authority)| DeviceKeys { device: *d, authority: *authority });
        all_different(settled.chain([*keys]), recovery) && !base.out.contains(&keys.device)
    })
}

fn lists_on(pool: &mut Pool, base: &LastBase) -> Lists {
    let mut lists = Lists::new();
    for (by, checkpoint) in pool.checkpoints(base.id, &base.settled) {
        let next = next_base(pool.account, base.id, &checkpoint.value().devices);
        lists.entry(next).or_default().push(Signature { by, checkpoint });
    }
    lists
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
    way: Vec<Box<[u8]>>,
}

/// What leads to the base of a list on which a quorum agrees; `None` if it names a device that
/// nobody added.
fn step(
    base: &LastBase,
    id: BaseId,
    signatures: Vec<Signature>,
    additions: &[Addition],
) -> Option<Step> {
    let list = signatures.first()?.checkpoint.value().devices.clone();
    let mut way: Vec<Box<[u8]>> =
        signatures.into_iter().map(|signature| signature.checkpoint.into_bytes()).collect();
    for keys in &list {
        if base.settled.get(&keys.device) == Some(&keys.authority) {
            continue;
        }
        let naming = additions.iter().filter(|addition| addition.keys == *keys);
        let addition = naming.min_by_key(|addition| (addition.bytes.len(), addition.id))?;
        way.push(addition.bytes.clone());
    }
    Some(Step { id, list, way })
}

impl LastBase {
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
        self.way.extend(step.way);
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

    fn take(&mut self, way: &[Box<[u8]>]) -> bool {
        let bytes: usize = way.iter().map(|envelope| envelope.len()).sum();
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
/// each inviter before the second of any, then by their ids (R6).
fn counted(mut additions: Vec<Addition>) -> Vec<Addition> {
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
    ranked.into_iter().map(|(_, addition)| addition).collect()
}
