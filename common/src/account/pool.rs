//! Which envelopes are there, and which of them hold? Nothing is verified before it could count.
//!
//! A hostile proof is bounded before this point. Here each envelope is decoded once; signatures
//! are checked only on what a settled device (or the recovery key) claims to have signed, at most
//! once for each envelope and once for each acknowledgement in it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    AccountError,
    absorbing::Absorption,
    merging::{Absorbs, MovedTo},
    operation::{
        Checkpoint, DeviceAck, DeviceAdd, DeviceKeys, DeviceRetire, DeviceUntrust, Genesis, Seat,
    },
};
use crate::{
    crypto,
    envelope::{self, Payload, Signed, Verified},
    ids::{AccountId, BaseId, DeviceId, EntryId},
    limits::SETTLED_DEVICES_MAX,
};

/// Envelopes of one account that are well-formed, and name the account.
pub(super) struct Pool {
    pub(super) account: AccountId,
    pub(super) recovery: [u8; 32],
    pub(super) genesis: Box<[u8]>,
    /// Ids of envelopes whose signatures are known to hold.
    known: BTreeSet<EntryId>,
    seats: BTreeMap<u64, Vec<Signed<Seat>>>,
    additions: BTreeMap<BaseId, Vec<Signed<DeviceAdd>>>,
    votes: BTreeMap<BaseId, Vec<Signed<DeviceUntrust>>>,
    checkpoints: BTreeMap<BaseId, Vec<Signed<Checkpoint>>>,
    retirements: Vec<Signed<DeviceRetire>>,
    moves: BTreeMap<BaseId, Vec<Signed<MovedTo>>>,
    absorptions: BTreeMap<BaseId, Vec<Signed<Absorbs>>>,
    /// Acknowledgements that stand alone: they count with an absorbs that names their device.
    acks: Vec<Signed<DeviceAck>>,
}

/// A seat whose signatures hold.
#[derive(Clone)]
pub(super) struct HeldSeat {
    pub(super) id: BaseId,
    pub(super) epoch: u64,
    pub(super) devices: BTreeMap<DeviceId, [u8; 32]>,
    pub(super) dropped: BTreeSet<DeviceId>,
    pub(super) absorbed: BTreeSet<AccountId>,
    pub(super) bytes: Box<[u8]>,
}

/// An addition whose two signatures hold: a device-add, or an acknowledgement with an absorbs.
#[derive(Clone)]
pub(super) struct Addition {
    pub(super) id: EntryId,
    pub(super) by: DeviceId,
    pub(super) keys: DeviceKeys,
    pub(super) bytes: Box<[u8]>,
    /// The absorbs that an acknowledgement stands on.
    pub(super) with: Option<Absorption>,
}

impl Addition {
    /// Which of several serves a checkpoint: a device-add before a pair, for the length of a pair
    /// would depend on which absorbs are known.
    pub(super) fn simplest_first(&self) -> (bool, usize, EntryId) {
        (self.with.is_some(), self.bytes.len(), self.id)
    }

    /// What it takes to prove it.
    pub(super) fn envelopes(&self) -> impl Iterator<Item = (EntryId, &[u8])> {
        let with = self.with.iter().map(|absorption| (absorption.id, &*absorption.bytes));
        [(self.id, &*self.bytes)].into_iter().chain(with)
    }
}

impl Pool {
    /// Reads the envelopes, genesis first; those in `known` were verified before.
    pub(super) fn read<B: AsRef<[u8]>>(
        proof: &[B],
        known: BTreeSet<EntryId>,
    ) -> Result<Self, AccountError> {
        let (genesis, operations) = proof.split_first().ok_or(AccountError::Empty)?;
        let genesis = Signed::<Genesis>::decode(genesis.as_ref()).map_err(AccountError::Genesis)?;
        let genesis = genesis.verify().map_err(|_| AccountError::Signature)?;
        let mut pool = Self {
            account: AccountId::from_bytes(crypto::hash(b"kith/account/1", genesis.bytes())),
            recovery: *genesis.signer(),
            genesis: genesis.into_bytes(),
            known,
            seats: BTreeMap::new(),
            additions: BTreeMap::new(),
            votes: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            retirements: Vec::new(),
            moves: BTreeMap::new(),
            absorptions: BTreeMap::new(),
            acks: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        for bytes in operations {
            if seen.insert(EntryId::of(bytes.as_ref())) {
                pool.put(bytes.as_ref());
            }
        }
        Ok(pool)
    }

    fn put(&mut self, bytes: &[u8]) {
        let meant = self.account;
        match envelope::kind(bytes) {
            Ok(Seat::KIND) => {
                if let Some(seat) = decoded::<Seat>(bytes, |seat| seat.account == meant) {
                    self.seats.entry(seat.claim().epoch).or_default().push(seat);
                }
            }
            Ok(DeviceAdd::KIND) => {
                if let Some(add) = decoded::<DeviceAdd>(bytes, |add| add.account == meant) {
                    self.additions.entry(add.claim().base).or_default().push(add);
                }
            }
            Ok(DeviceUntrust::KIND) => {
                if let Some(vote) = decoded::<DeviceUntrust>(bytes, |v| v.account == meant) {
                    self.votes.entry(vote.claim().base).or_default().push(vote);
                }
            }
            Ok(Checkpoint::KIND) => {
                if let Some(signed) = decoded::<Checkpoint>(bytes, |c| c.account == meant) {
                    self.checkpoints.entry(signed.claim().base).or_default().push(signed);
                }
            }
            Ok(DeviceRetire::KIND) => {
                if let Some(retire) = decoded::<DeviceRetire>(bytes, |r| r.account == meant) {
                    self.retirements.push(retire);
                }
            }
            Ok(MovedTo::KIND) => {
                if let Some(moved) = decoded::<MovedTo>(bytes, |m| m.account == meant) {
                    self.moves.entry(moved.claim().base).or_default().push(moved);
                }
            }
            Ok(Absorbs::KIND) => {
                if let Some(absorbs) = decoded::<Absorbs>(bytes, |a| a.account == meant) {
                    self.absorptions.entry(absorbs.claim().base).or_default().push(absorbs);
                }
            }
            Ok(DeviceAck::KIND) => {
                self.acks.extend(decoded::<DeviceAck>(bytes, |ack| ack.account == meant));
            }
            _ => {}
        }
    }

    fn held<T: Payload>(&self, signed: Signed<T>) -> Option<Verified<T>> {
        if self.known.contains(&signed.id()) {
            return Some(signed.believed());
        }
        signed.verify().ok()
    }

    /// The seats of the highest epoch, at most two, those with the smallest ids (R5).
    pub(super) fn seats(&mut self) -> Vec<HeldSeat> {
        while let Some((_, mut seats)) = self.seats.pop_last() {
            seats.sort_by_cached_key(Signed::id);
            let held: Vec<HeldSeat> =
                seats.into_iter().filter_map(|seat| self.seat(seat)).take(2).collect();
            if !held.is_empty() {
                return held;
            }
        }
        Vec::new()
    }

    /// A seat that is well-formed and whose signatures hold, those of its devices included.
    fn seat(&self, seat: Signed<Seat>) -> Option<HeldSeat> {
        if *seat.signer() != self.recovery {
            return None;
        }
        let known = self.known.contains(&seat.id());
        let acks: Vec<Signed<DeviceAck>> = seat
            .claim()
            .devices
            .iter()
            .map(|ack| Signed::decode(ack).ok())
            .collect::<Option<_>>()?;
        let keys: Vec<DeviceKeys> = acks
            .iter()
            .map(|ack| DeviceKeys {
                device: DeviceId::from_bytes(*ack.signer()),
                authority: ack.claim().authority,
            })
            .collect();
        let meant = acks.iter().all(|ack| ack.claim().account == self.account);
        let dropped: BTreeSet<DeviceId> = seat.claim().dropped.iter().copied().collect();
        let back = keys.iter().any(|keys| dropped.contains(&keys.device));
        if !meant || back || !well_formed(&keys, self.recovery) {
            return None;
        }
        let seat = self.held(seat)?;
        if !known && !acks.iter().all(Signed::signature_holds) {
            return None;
        }
        Some(HeldSeat {
            id: BaseId::from_bytes(*seat.id().as_bytes()),
            epoch: seat.value().epoch,
            devices: keys.iter().map(|keys| (keys.device, keys.authority)).collect(),
            dropped,
            absorbed: seat.value().absorbed.iter().copied().collect(),
            bytes: seat.into_bytes(),
        })
    }

    /// The additions on a base by its settled devices (R3), whatever device they name.
    pub(super) fn additions(
        &mut self,
        base: BaseId,
        settled: &BTreeMap<DeviceId, [u8; 32]>,
        may_name: impl Fn(&DeviceKeys) -> bool,
    ) -> Vec<Addition> {
        let found = self.additions.remove(&base).unwrap_or_default();
        found.into_iter().filter_map(|add| self.addition(add, settled, &may_name)).collect()
    }

    fn addition(
        &self,
        add: Signed<DeviceAdd>,
        settled: &BTreeMap<DeviceId, [u8; 32]>,
        may_name: impl Fn(&DeviceKeys) -> bool,
    ) -> Option<Addition> {
        let by = device_of(settled, add.signer())?;
        let ack = Signed::<DeviceAck>::decode(&add.claim().device).ok()?;
        let keys = DeviceKeys {
            device: DeviceId::from_bytes(*ack.signer()),
            authority: ack.claim().authority,
        };
        let meant = ack.claim().account == self.account && ack.claim().inviter == *add.signer();
        if !meant || !may_name(&keys) {
            return None;
        }
        let known = self.known.contains(&add.id());
        let add = self.held(add)?;
        if !known && !ack.signature_holds() {
            return None;
        }
        Some(Addition { id: add.id(), by, keys, bytes: add.into_bytes(), with: None })
    }

    /// The absorbs on a base, which is so many steps from the seat, by its settled devices (R23).
    pub(super) fn absorptions(
        &mut self,
        base: BaseId,
        settled: &BTreeMap<DeviceId, [u8; 32]>,
        step: usize,
    ) -> Vec<Absorption> {
        let found = self.absorptions.remove(&base).unwrap_or_default();
        let held = self.by_settled(found, settled).into_iter();
        let read = held.map(|(by, absorbs)| {
            let Absorbs { from, devices, .. } = absorbs.value().clone();
            Absorption { id: absorbs.id(), by, step, from, devices, bytes: absorbs.into_bytes() }
        });
        read.collect()
    }

    /// The additions by these absorbs: each an acknowledgement towards the signer of one that names
    /// its device (R24).
    pub(super) fn taken_in(
        &mut self,
        absorptions: &[Absorption],
        settled: &BTreeMap<DeviceId, [u8; 32]>,
        may_name: impl Fn(&DeviceKeys) -> bool,
    ) -> Vec<Addition> {
        let mut additions = Vec::new();
        if absorptions.is_empty() {
            return additions;
        }
        for ack in core::mem::take(&mut self.acks) {
            let keys = DeviceKeys {
                device: DeviceId::from_bytes(*ack.signer()),
                authority: ack.claim().authority,
            };
            let by = device_of(settled, &ack.claim().inviter);
            let naming = absorptions
                .iter()
                .filter(|one| by == Some(one.by) && one.devices.contains(&keys.device));
            let with = naming.min_by_key(|one| one.shortest_first()).filter(|_| may_name(&keys));
            if let Some(with) = with {
                // What was forged is dropped, so that it is looked at once.
                if !self.known.contains(&ack.id()) && !ack.signature_holds() {
                    continue;
                }
                self.known.insert(ack.id());
                let (by, bytes) = (with.by, ack.bytes().into());
                let with = Some(with.clone());
                additions.push(Addition { id: ack.id(), by, keys, bytes, with });
            }
            self.acks.push(ack);
        }
        additions
    }

    /// The signatures under targets on a base by its settled devices, with the signer.
    pub(super) fn moves(
        &mut self,
        base: BaseId,
        settled: &BTreeMap<DeviceId, [u8; 32]>,
    ) -> Vec<(DeviceId, Verified<MovedTo>)> {
        let found = self.moves.remove(&base).unwrap_or_default();
        self.by_settled(found, settled)
    }

    /// Where the recovery key says that the account has moved, on this seat; of several targets the
    /// smallest id, of several envelopes the shortest, then the smallest id (R22).
    pub(super) fn last_word(&self, seat: &HeldSeat) -> Option<Verified<MovedTo>> {
        let on_seat = self.moves.get(&seat.id)?.iter();
        let mut found: Vec<_> = on_seat.filter(|one| *one.signer() == self.recovery).collect();
        found.sort_by_cached_key(|one| (one.claim().to, one.bytes().len(), one.id()));
        found.into_iter().find_map(|one| self.held(one.clone()))
    }

    /// The votes on a base by its settled devices, with the voter.
    pub(super) fn votes(
        &mut self,
        base: BaseId,
        settled: &BTreeMap<DeviceId, [u8; 32]>,
    ) -> Vec<(DeviceId, Verified<DeviceUntrust>)> {
        let found = self.votes.remove(&base).unwrap_or_default();
        self.by_settled(found, settled)
    }

    /// The signatures under lists on a base by its settled devices, with the signer.
    pub(super) fn checkpoints(
        &mut self,
        base: BaseId,
        settled: &BTreeMap<DeviceId, [u8; 32]>,
    ) -> Vec<(DeviceId, Verified<Checkpoint>)> {
        let mut found = self.checkpoints.remove(&base).unwrap_or_default();
        found.retain(|signed| well_formed(&signed.claim().devices, self.recovery));
        self.by_settled(found, settled)
    }

    fn by_settled<T: Payload>(
        &self,
        found: Vec<Signed<T>>,
        settled: &BTreeMap<DeviceId, [u8; 32]>,
    ) -> Vec<(DeviceId, Verified<T>)> {
        found
            .into_iter()
            .filter_map(|signed| Some((device_of(settled, signed.signer())?, self.held(signed)?)))
            .collect()
    }

    /// The retirements that count (R7), one for each device.
    pub(super) fn retirements(
        &mut self,
        counts: impl Fn(&DeviceKeys, BaseId) -> bool,
    ) -> BTreeMap<DeviceId, Verified<DeviceRetire>> {
        let mut kept = BTreeMap::new();
        let mut found = core::mem::take(&mut self.retirements);
        found.sort_by_cached_key(Signed::id);
        for retire in found {
            let keys = DeviceKeys { device: retire.claim().device, authority: *retire.signer() };
            if !kept.contains_key(&keys.device) && counts(&keys, retire.claim().base) {
                kept.extend(self.held(retire).map(|retire| (keys.device, retire)));
            }
        }
        kept
    }
}

fn decoded<T: Payload>(bytes: &[u8], meant: impl Fn(&T) -> bool) -> Option<Signed<T>> {
    Signed::<T>::decode(bytes).ok().filter(|signed| meant(signed.claim()))
}

/// The settled device with this authority key.
pub(super) fn device_of(
    settled: &BTreeMap<DeviceId, [u8; 32]>,
    authority: &[u8; 32],
) -> Option<DeviceId> {
    settled.iter().find(|(_, own)| *own == authority).map(|(device, _)| *device)
}

/// Whether a list could be settled: ascending, few enough, and no key twice (R4).
pub(super) fn well_formed(list: &[DeviceKeys], recovery: [u8; 32]) -> bool {
    let ascending = list.is_sorted_by(|a, b| a.device < b.device);
    let size = (1..=SETTLED_DEVICES_MAX).contains(&list.len());
    ascending && size && all_different(list.iter().copied(), recovery)
}

/// Whether no key is of two, the recovery key included.
pub(super) fn all_different(
    mut list: impl Iterator<Item = DeviceKeys>,
    recovery: [u8; 32],
) -> bool {
    let mut keys = BTreeSet::from([recovery]);
    list.all(|one| keys.insert(*one.device.as_bytes()) && keys.insert(one.authority))
}
