//! Which envelopes prove an account, and which are left out? (spec 02 R15)

use std::collections::{BTreeMap, BTreeSet};

use super::{
    absorbing::{offers, worth_keeping},
    chain::{LastBase, Signature},
    merging::MovedTo,
    operation::DeviceUntrust,
    pool::{HeldSeat, Pool},
    standing::Vote,
};
use crate::{
    crypto,
    envelope::Verified,
    ids::{AccountId, DeviceId, EntryId},
    limits::{ACCOUNT_BASE_BYTES_MAX, ACCOUNT_BASE_ENVELOPES_MAX, VOTES_PER_DEVICE_MAX},
};

/// What is kept of all that was said on the last base, and the proof that holds it.
pub(super) struct Kept {
    pub(super) retired: BTreeSet<DeviceId>,
    pub(super) votes: Vec<Vote>,
    pub(super) waiting: Vec<Signature>,
    pub(super) absorbed: BTreeSet<AccountId>,
    /// Devices that may come in by an absorbs on the last base, with those who say so.
    pub(super) invited: BTreeMap<DeviceId, BTreeSet<DeviceId>>,
    pub(super) proof: Vec<Box<[u8]>>,
}

/// Something that one device said, and that may have to give way.
struct Saying {
    rank: usize,
    id: EntryId,
    bytes: Box<[u8]>,
    what: What,
}

enum What {
    Retirement(DeviceId),
    Vote(Vote),
    Absorbs(AccountId),
    Waiting(Signature),
    Stale,
}

/// Chooses what is kept of a base and those before it.
pub(super) fn keep(
    pool: &mut Pool,
    seat: &HeldSeat,
    base: &LastBase,
    last_word: Option<&Verified<MovedTo>>,
) -> Kept {
    let mut kept = Kept {
        retired: BTreeSet::new(),
        votes: Vec::new(),
        waiting: Vec::new(),
        absorbed: &seat.absorbed | &(&base.held & &base.names),
        invited: BTreeMap::new(),
        proof: Vec::new(),
    };
    let mut room = Room {
        taken: base.way.clone(),
        envelopes: ACCOUNT_BASE_ENVELOPES_MAX,
        bytes: ACCOUNT_BASE_BYTES_MAX,
    };
    if let Some(word) = last_word {
        room.take(word.id(), word.bytes());
    }
    let moved = base.moved.iter().flat_map(|(_, signatures)| signatures);
    for signature in moved.chain(&base.fork) {
        room.take(signature.id, &signature.bytes);
    }
    for addition in &base.additions {
        for (id, bytes) in addition.envelopes() {
            room.take(id, bytes);
        }
        kept.absorbed.extend(addition.with.as_ref().map(|absorption| absorption.from));
    }
    for saying in sayings(pool, seat, base) {
        if room.take(saying.id, &saying.bytes) {
            match saying.what {
                What::Retirement(device) => kept.retired.extend([device]),
                What::Vote(vote) => kept.votes.push(vote),
                What::Absorbs(from) => kept.absorbed.extend([from]),
                What::Waiting(signature) => kept.waiting.push(signature),
                What::Stale => {}
            }
        }
    }
    kept.votes.sort_unstable();
    for (device, one) in offers(base).filter(|(_, one)| room.taken.contains_key(&one.id)) {
        kept.invited.entry(device).or_default().insert(one.by);
    }
    kept.proof = [pool.genesis.clone(), seat.bytes.clone()].into();
    kept.proof.extend(room.taken.into_values());
    kept
}

/// A digest over the ids of all in a proof (R16).
pub(super) fn head(proof: &[Box<[u8]>]) -> EntryId {
    let mut ids: Vec<EntryId> = proof.iter().map(|bytes| EntryId::of(bytes)).collect();
    ids.sort_unstable();
    let parts: Vec<&[u8]> = ids.iter().map(|id| &id.as_bytes()[..]).collect();
    EntryId::from_bytes(crypto::hash_parts(b"kith/account-head/1", &parts))
}

/// What was taken so far, ascending, and how much there is still room for.
struct Room {
    taken: BTreeMap<EntryId, Box<[u8]>>,
    envelopes: usize,
    bytes: usize,
}

impl Room {
    /// Whether an envelope is in. One that serves twice takes its room once.
    fn take(&mut self, id: EntryId, bytes: &[u8]) -> bool {
        if self.taken.contains_key(&id) {
            return true;
        }
        let fits = self.envelopes > 0 && bytes.len() <= self.bytes;
        if fits {
            self.envelopes -= 1;
            self.bytes -= bytes.len();
            self.taken.insert(id, bytes.into());
        }
        fits
    }
}

/// All that could be kept, in the order in which it is: the first of each device before the second
/// of any. Of one device its retirement comes first, then its votes, its absorbs, what it would
/// decide.
fn sayings(pool: &mut Pool, seat: &HeldSeat, base: &LastBase) -> Vec<Saying> {
    let mut by_device: BTreeMap<DeviceId, Vec<Saying>> = BTreeMap::new();
    let mut put = |by, id, bytes: &[u8], what| {
        let of_device = by_device.entry(by).or_default();
        of_device.push(Saying { rank: of_device.len(), id, bytes: bytes.into(), what });
    };
    if base.fork.is_empty() {
        for (device, retire) in pool.retirements(|keys, from| base.retires(keys, from)) {
            put(device, retire.id(), retire.bytes(), What::Retirement(device));
        }
        for (vote, signed) in votes(pool, base) {
            put(vote.by, signed.id(), signed.bytes(), What::Vote(vote));
        }
    }
    for absorption in worth_keeping(seat, base) {
        put(absorption.by, absorption.id, &absorption.bytes, What::Absorbs(absorption.from));
    }
    for signature in by_id(&base.waiting) {
        put(signature.by, signature.id, &signature.bytes, What::Waiting(signature.clone()));
    }
    for signature in by_id(&base.stale) {
        put(signature.by, signature.id, &signature.bytes, What::Stale);
    }
    let mut sayings: Vec<Saying> = by_device.into_values().flatten().collect();
    sayings.sort_by_key(|saying| (saying.rank, saying.id));
    sayings
}

fn by_id(signatures: &[Signature]) -> Vec<&Signature> {
    let mut sorted: Vec<&Signature> = signatures.iter().collect();
    sorted.sort_by_key(|signature| signature.id);
    sorted
}

/// One vote of each settled device about each other device, those about settled devices first.
fn votes(pool: &mut Pool, base: &LastBase) -> Vec<(Vote, Verified<DeviceUntrust>)> {
    let mut best: BTreeMap<(DeviceId, bool, DeviceId), (Vote, Verified<DeviceUntrust>)> =
        BTreeMap::new();
    for (by, signed) in pool.votes(base.id, &base.settled) {
        let DeviceUntrust { device: about, why, .. } = *signed.value();
        let place = (by, !base.settled.contains_key(&about), about);
        let graver = best.get(&place).is_none_or(|(other, kept)| {
            (why, core::cmp::Reverse(signed.id())) > (other.why, core::cmp::Reverse(kept.id()))
        });
        if by != about && graver {
            best.insert(place, (Vote { by, about, why }, signed));
        }
    }
    let mut count: BTreeMap<DeviceId, usize> = BTreeMap::new();
    let first = best.into_values().filter(|(vote, _)| {
        let count = count.entry(vote.by).or_default();
        *count += 1;
        *count <= VOTES_PER_DEVICE_MAX
    });
    first.collect()
}
