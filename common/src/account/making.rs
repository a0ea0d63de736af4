//! How does a device say something about its account? Operations on the base of an [`Account`].

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::{
    Account, PendingCheckpoint,
    cut::{Believed, Cut, CutWord},
    merging::{Absorbs, MovedTo},
    operation::{
        Checkpoint, DeviceAck, DeviceAdd, DeviceKeys, DeviceRetire, DeviceUntrust, Genesis, Seat,
        Untrust, acknowledge,
    },
    pool::{all_different, device_of, well_formed},
    standing::{Reason, Standing},
};
use crate::{
    codec::DecodeError,
    crypto,
    envelope::{Signed, Verified, sign},
    ids::{AccountId, BaseId, DeviceId, LogId},
    keys::SigningKey,
    limits::{
        ABSORBED_ACCOUNTS_MAX, ABSORBED_DEVICES_MAX, DROPPED_DEVICES_MAX, SETTLED_DEVICES_MAX,
    },
};

/// Why an operation is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OperationError {
    /// The account has two seats, or two lists with a quorum.
    #[error("nobody decides in this account any more: use the recovery words")]
    Frozen,
    /// The key is of no settled device.
    #[error("this device does not decide in the account yet")]
    NotSettled,
    /// The key is not the recovery key of this account.
    #[error("these are not the recovery words of this account")]
    NotRecovery,
    /// The device is not in the account, or out of it.
    #[error("{0:?} does not belong to the account")]
    Unknown(DeviceId),
    /// The device belongs to the account already.
    #[error("{0:?} belongs to the account already")]
    Known(DeviceId),
    /// The device acknowledged another account or another inviter.
    #[error("{0:?} did not acknowledge this account and this inviter")]
    Acknowledgement(DeviceId),
    /// Two devices have one key, or there are too many or none.
    #[error("the list is empty, too long, or has a key twice")]
    List,
    /// The device has signed another list or move on this base: a second one could end in a fork.
    #[error("this device has signed another list or move already")]
    SignedAnother,
    /// The device has signed a list that names who does not belong, or that too few may sign.
    #[error(
        "this device has signed a list that cannot come about any more: your recovery words decide \
         (`kith account recover`)"
    )]
    SignedInVain,
    /// The list would settle nobody and leave nobody out.
    #[error("these devices decide together already: there is nothing to agree to")]
    Needless,
    /// Too few devices may sign the list.
    #[error(
        "too many of your devices are out or have agreed to other lists. `kith device settle`, \
         without names, agrees to a list that waits; if none can come about, your recovery words \
         decide (`kith account recover`)"
    )]
    NoQuorum,
    /// The account has moved: only a seat leads on from there.
    #[error("this account has moved to {0:?}")]
    Moved(AccountId),
    /// An account does not merge with itself.
    #[error("an account does not merge with itself")]
    Itself,
    /// So many accounts were absorbed that another one would not count.
    #[error("this account has absorbed {0} others, which is as many as there can be")]
    Absorbed(usize),
    /// There is no higher epoch.
    #[error("the last epoch is used up")]
    Epoch,
    /// The device that should be cut is not out of the account.
    #[error("{0:?} is not out of the account")]
    NotFormer(DeviceId),
}

impl Account {
    /// Makes a new account with its first device.
    ///
    /// # Panics
    /// If two of the keys are the same.
    #[expect(clippy::expect_used, reason = "three different keys make an account")]
    pub fn create(
        recovery: &SigningKey,
        device: &SigningKey,
        authority: &SigningKey,
        nonce: [u8; 32],
    ) -> Self {
        let (id, _) = Self::genesis(recovery);
        let ack = acknowledge(device, *recovery.public(), *authority.public(), nonce, id);
        Self::begin(recovery, 0, vec![ack]).expect("three different keys")
    }

    /// The account of a recovery key, and the genesis that begins it.
    pub fn genesis(recovery: &SigningKey) -> (AccountId, Box<[u8]>) {
        let genesis = sign(recovery, Genesis).into_bytes();
        (AccountId::from_bytes(crypto::hash(b"kith/account/1", &genesis)), genesis)
    }

    /// Genesis and a seat of some epoch: a new account, or one of which only the recovery key is
    /// left.
    ///
    /// # Errors
    /// If a device acknowledged another account, or the list is not well-formed.
    pub fn begin(
        recovery: &SigningKey,
        epoch: u64,
        acks: Vec<Verified<DeviceAck>>,
    ) -> Result<Self, OperationError> {
        let (id, genesis) = Self::genesis(recovery);
        let seat = signed_seat(recovery, id, epoch, acks, Vec::new(), Vec::new())?;
        Self::fold(&[genesis, seat]).map_err(|_| OperationError::List)
    }

    /// Takes a device in that has acknowledged the account towards this authority key.
    ///
    /// # Errors
    /// If this device does not decide, or the other may not come in.
    pub fn add_device(
        &self,
        authority: &SigningKey,
        ack: &Verified<DeviceAck>,
    ) -> Result<Box<[u8]>, OperationError> {
        let (base, _) = self.decider(authority)?;
        let keys = DeviceKeys::of(ack);
        let DeviceAck { inviter, account, .. } = ack.value();
        if *account != self.id() || inviter != authority.public() {
            return Err(OperationError::Acknowledgement(keys.device));
        }
        self.may_come_in(keys.device)?;
        let settled = self.settled.iter();
        let settled =
            settled.map(|(d, authority)| DeviceKeys { device: *d, authority: *authority });
        if !all_different(settled.chain([keys]), *self.recovery()) {
            return Err(OperationError::List);
        }
        let add = DeviceAdd { account: self.id(), base, device: ack.bytes().into() };
        Ok(sign(authority, add).into_bytes())
    }

    /// Votes against a device.
    ///
    /// # Errors
    /// If this device does not decide, or the other is neither in the account nor invited.
    pub fn untrust(
        &self,
        authority: &SigningKey,
        device: DeviceId,
        why: Untrust,
    ) -> Result<Box<[u8]>, OperationError> {
        let (base, by) = self.decider(authority)?;
        let known = self.standing(device).is_some() || self.invites(device);
        if device == by || !known {
            return Err(OperationError::Unknown(device));
        }
        let vote = DeviceUntrust { account: self.id(), base, device, why };
        Ok(sign(authority, vote).into_bytes())
    }

    /// Leaves. What this device has taken in goes with it unless a checkpoint has settled it.
    ///
    /// # Errors
    /// If the account has no base, or the key is not the authority key of the device.
    pub fn retire(
        &self,
        authority: &SigningKey,
        device: DeviceId,
    ) -> Result<Box<[u8]>, OperationError> {
        let base = self.base().ok_or(OperationError::Frozen)?;
        if self.authority_of(device) != Some(*authority.public()) {
            return Err(OperationError::Unknown(device));
        }
        let retire = DeviceRetire { account: self.id(), base, device };
        Ok(sign(authority, retire).into_bytes())
    }

    /// Signs a list of devices that are to be settled. A device signs one list or move on one base.
    ///
    /// # Errors
    /// If this device does not decide or has signed another one, if the account has moved, or one
    /// of the others does not belong.
    pub fn checkpoint(
        &self,
        authority: &SigningKey,
        devices: &[DeviceId],
    ) -> Result<Box<[u8]>, OperationError> {
        let (base, by) = self.decider(authority)?;
        if let Some(to) = self.moved {
            return Err(OperationError::Moved(to));
        }
        let devices = self.keys_of(devices)?;
        if !well_formed(&devices, *self.recovery()) {
            return Err(OperationError::List);
        }
        if self.lists_by(by).any(|list| list.devices != devices) || self.moves_by(by).count() > 0 {
            return Err(OperationError::SignedAnother);
        }
        let checkpoint = Checkpoint { account: self.id(), base, devices };
        Ok(sign(authority, checkpoint).into_bytes())
    }

    /// Says that the account ends and that another one goes on for it: with the recovery key alone,
    /// or with the authority keys of a quorum. A device signs one list or move on one base.
    ///
    /// # Errors
    /// If the key does not decide or has signed another one, if that has been decided already, or
    /// if both are the same account.
    pub fn move_to(&self, key: &SigningKey, to: AccountId) -> Result<Box<[u8]>, OperationError> {
        let is_last_word = key.public() == self.recovery();
        let base = if is_last_word {
            self.seat.ok_or(OperationError::Frozen)?
        } else {
            let (base, by) = self.decider(key)?;
            if self.moves_by(by).any(|other| other != to) || self.lists_by(by).count() > 0 {
                return Err(OperationError::SignedAnother);
            }
            base
        };
        if to == self.id() {
            return Err(OperationError::Itself);
        }
        match if is_last_word { self.last_word } else { self.moved_to() } {
            Some(moved) => Err(OperationError::Moved(moved)),
            None => Ok(sign(key, MovedTo { account: self.id(), base, to }).into_bytes()),
        }
    }

    /// Says that the account goes on for another one, and takes in those of its devices that have
    /// acknowledged, or will acknowledge, this account towards this authority key; at most
    /// [`ABSORBED_DEVICES_MAX`]. Each acknowledgement is then handed on beside it.
    ///
    /// # Errors
    /// If this device does not decide, one of the others may not come in, or the account has
    /// absorbed as many as it can.
    pub fn absorb(
        &self,
        authority: &SigningKey,
        other: AccountId,
        devices: &[DeviceId],
    ) -> Result<Box<[u8]>, OperationError> {
        let (base, _) = self.decider(authority)?;
        if other == self.id() {
            return Err(OperationError::Itself);
        }
        if self.absorbed.len() >= ABSORBED_ACCOUNTS_MAX && !self.has_absorbed(other) {
            return Err(OperationError::Absorbed(self.absorbed.len()));
        }
        let mut devices = devices.to_vec();
        devices.sort_unstable();
        if devices.len() > ABSORBED_DEVICES_MAX || !devices.is_sorted_by(|a, b| a < b) {
            return Err(OperationError::List);
        }
        devices.iter().try_for_each(|device| self.may_come_in(*device))?;
        let absorbs = Absorbs { account: self.id(), base, from: other, devices };
        Ok(sign(authority, absorbs).into_bytes())
    }

    /// Replaces everything by these devices: known ones by their old acknowledgements, new ones by
    /// new ones. All others that are known are dropped; who is invited and kept can be invited
    /// again. What was absorbed stays so.
    ///
    /// # Errors
    /// If the key is another account's, or one of the devices never acknowledged this account.
    pub fn seat(
        &self,
        recovery: &SigningKey,
        keep: &[DeviceId],
        new: Vec<Verified<DeviceAck>>,
    ) -> Result<Box<[u8]>, OperationError> {
        let absorbed: Vec<AccountId> = self.absorbed().collect();
        self.seat_absorbing(recovery, keep, new, &absorbed)
    }

    /// As [`seat`](Self::seat), going on for these accounts and no others: a thief may have named
    /// some, and a holder may remember more than the proof does.
    ///
    /// # Errors
    /// As [`seat`](Self::seat), or if there are more than [`ABSORBED_ACCOUNTS_MAX`], one of them
    /// twice, or this account itself.
    pub fn seat_absorbing(
        &self,
        recovery: &SigningKey,
        keep: &[DeviceId],
        new: Vec<Verified<DeviceAck>>,
        absorbed: &[AccountId],
    ) -> Result<Box<[u8]>, OperationError> {
        self.seat_without(recovery, keep, new, absorbed, &[])
    }

    /// As [`seat_absorbing`](Self::seat_absorbing), and drops these devices too, whether they are
    /// known or not: such as were to come over and shall not, and those of accounts that are left
    /// out, which ends that they are one with this one (R26).
    ///
    /// # Errors
    /// As [`seat_absorbing`](Self::seat_absorbing).
    pub fn seat_without(
        &self,
        recovery: &SigningKey,
        keep: &[DeviceId],
        new: Vec<Verified<DeviceAck>>,
        absorbed: &[AccountId],
        without: &[DeviceId],
    ) -> Result<Box<[u8]>, OperationError> {
        let mut known = self.acknowledgements();
        let mut acks = new;
        for device in keep.iter().filter(|device| !self.invites(**device)) {
            acks.push(known.remove(device).ok_or(OperationError::Unknown(*device))?);
        }
        let named =
            |device: &DeviceId| acks.iter().any(|ack| DeviceKeys::of(ack).device == *device);
        let invited = self.invited.iter().filter(|device| !keep.contains(device));
        let known = self.standings.keys().chain(invited).chain(without);
        let dropped: BTreeSet<DeviceId> = known.filter(|device| !named(device)).copied().collect();
        let mut dropped: Vec<DeviceId> = dropped.into_iter().collect();
        // If there are too many, those that were out before are forgotten first.
        let was_out = |device| matches!(self.standing(device), Some(Standing::Former(_)));
        dropped.sort_by_key(|device| !without.contains(device) && was_out(*device));
        dropped.truncate(DROPPED_DEVICES_MAX);
        dropped.sort_unstable();
        let epoch = self.epoch.checked_add(1).ok_or(OperationError::Epoch)?;
        signed_seat(recovery, self.id(), epoch, acks, dropped, absorbed.to_vec())
    }

    /// Says what is believed of a former device: decides it, or witnesses if the key signs entries.
    ///
    /// # Errors
    /// If the device is not former, or the key is not one that may say so.
    pub fn cut(
        &self,
        key: &SigningKey,
        log: LogId,
        device: DeviceId,
        believed: Believed,
    ) -> Result<Verified<Cut>, OperationError> {
        let Believed { lasts, since } = believed;
        let cut = sign(key, Cut { account: self.id(), log, device, lasts, since });
        if !self.is_out(device) {
            return Err(OperationError::NotFormer(device));
        }
        self.weigh(&cut).map(|_| cut).ok_or(OperationError::NotSettled)
    }

    /// Whose word a cut is, if it counts (R18).
    pub fn weigh(&self, cut: &Verified<Cut>) -> Option<CutWord> {
        let Cut { account, device, .. } = *cut.value();
        if account != self.id() || !self.is_out(device) {
            return None;
        }
        if cut.signer() == self.recovery() {
            return Some(CutWord::Recovery);
        }
        let stands = |device| self.standing(device).is_some_and(Standing::stands);
        if stands(DeviceId::from_bytes(*cut.signer())) {
            return Some(CutWord::Witness);
        }
        let by = device_of(&self.settled, cut.signer())?;
        stands(by).then_some(CutWord::Device)
    }

    /// Whether a device is former, or not named: it may have been, and forgotten (R14).
    fn is_out(&self, device: DeviceId) -> bool {
        match self.standing(device) {
            None => !self.invites(device),
            Some(standing) => matches!(standing, Standing::Former(_)),
        }
    }

    /// Whether a cut counts.
    pub fn accepts_cut(&self, cut: &Verified<Cut>) -> bool {
        self.weigh(cut).is_some()
    }

    /// The base to build on and the settled device of an authority key.
    fn decider(&self, authority: &SigningKey) -> Result<(BaseId, DeviceId), OperationError> {
        let base = self.base().ok_or(OperationError::Frozen)?;
        let by = device_of(&self.settled, authority.public()).ok_or(OperationError::NotSettled)?;
        Ok((base, by))
    }

    /// Whether a device may be added here.
    fn may_come_in(&self, device: DeviceId) -> Result<(), OperationError> {
        match self.standing(device) {
            None => Ok(()),
            Some(Standing::Former(former)) if former.reason == Reason::WithInviter => Ok(()),
            Some(Standing::Former(_)) => Err(OperationError::Unknown(device)),
            Some(_) => Err(OperationError::Known(device)),
        }
    }

    /// A list of devices that belong, in their order.
    pub(super) fn keys_of(&self, devices: &[DeviceId]) -> Result<Vec<DeviceKeys>, OperationError> {
        let keys = |device: &DeviceId| {
            let authority = self.authority_of(*device).filter(|_| self.has(*device));
            let authority = authority.ok_or(OperationError::Unknown(*device))?;
            Ok(DeviceKeys { device: *device, authority })
        };
        let mut keys: Vec<DeviceKeys> = devices.iter().map(keys).collect::<Result<_, _>>()?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// The lists that wait with this device's signature.
    pub(super) fn lists_by(&self, by: DeviceId) -> impl Iterator<Item = &PendingCheckpoint> {
        self.pending.iter().filter(move |list| list.signed.contains(&by))
    }

    /// The targets that wait with this device's signature.
    pub(super) fn moves_by(&self, by: DeviceId) -> impl Iterator<Item = AccountId> {
        let signed = self.pending_moves.iter().filter(move |moving| moving.signed.contains(&by));
        signed.map(|moving| moving.to)
    }

    /// The acknowledgements in the proof, by device.
    fn acknowledgements(&self) -> BTreeMap<DeviceId, Verified<DeviceAck>> {
        let mut found = BTreeMap::new();
        let mut put = |bytes: &[u8]| -> Result<(), DecodeError> {
            // The proof was verified with all that is in it.
            let ack = Signed::<DeviceAck>::decode(bytes)?.believed();
            let keys = DeviceKeys::of(&ack);
            if self.authority_of(keys.device).is_none_or(|own| own == keys.authority) {
                found.insert(keys.device, ack);
            }
            Ok(())
        };
        for bytes in self.proof() {
            if let Ok(seat) = Signed::<Seat>::decode(bytes) {
                let _ = seat.claim().devices.iter().try_for_each(|ack| put(ack));
            } else if let Ok(add) = Signed::<DeviceAdd>::decode(bytes) {
                let _ = put(&add.claim().device);
            } else {
                // One that stands alone, or no acknowledgement at all.
                let _ = put(bytes);
            }
        }
        found
    }
}

fn signed_seat(
    recovery: &SigningKey,
    account: AccountId,
    epoch: u64,
    mut acks: Vec<Verified<DeviceAck>>,
    dropped: Vec<DeviceId>,
    mut absorbed: Vec<AccountId>,
) -> Result<Box<[u8]>, OperationError> {
    if Account::genesis(recovery).0 != account {
        return Err(OperationError::NotRecovery);
    }
    acks.sort_by_key(|ack| DeviceKeys::of(ack).device);
    if let Some(ack) = acks.iter().find(|ack| ack.value().account != account) {
        return Err(OperationError::Acknowledgement(DeviceKeys::of(ack).device));
    }
    let keys: Vec<DeviceKeys> = acks.iter().map(DeviceKeys::of).collect();
    if keys.len() > SETTLED_DEVICES_MAX || !well_formed(&keys, *recovery.public()) {
        return Err(OperationError::List);
    }
    absorbed.sort_unstable();
    if absorbed.contains(&account) {
        return Err(OperationError::Itself);
    }
    if absorbed.len() > ABSORBED_ACCOUNTS_MAX || !absorbed.is_sorted_by(|a, b| a < b) {
        return Err(OperationError::List);
    }
    let devices = acks.into_iter().map(Verified::into_bytes).collect();
    Ok(sign(recovery, Seat { account, epoch, devices, dropped, absorbed }).into_bytes())
}
