//! Whose entries remain though the newest seat does not name their device? Known by an older proof.
//!
//! A recovery on a new device may name no other device, for it knows of none. What the old devices
//! wrote is still theirs: whoever knew the account before keeps the proof of that, and hands it on.

use std::collections::BTreeSet;

use kith_common::{
    account::Account,
    codec::{DecodeError, Reader, Writer},
    ids::{AccountId, DeviceId},
};

/// Devices of an account that its newest seat has forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bygone {
    proof: Vec<Box<[u8]>>,
    devices: BTreeSet<DeviceId>,
    /// Accounts for which the account went on then, if the newest seat knows none of those devices
    /// that stood.
    absorbed: BTreeSet<AccountId>,
}

impl Bygone {
    /// Takes note of what was known of an account before. Returns whether that names more.
    pub(crate) fn note(&mut self, older: &Account, newest: &Account) -> bool {
        let forgotten = |device: &DeviceId| newest.standing(*device).is_none();
        let named: BTreeSet<DeviceId> =
            older.standings().map(|(device, _)| device).filter(forgotten).collect();
        if named.len() <= self.devices.len() {
            return false;
        }
        self.proof = older.proof().to_vec();
        self.devices = named;
        // Who knows some of them may have left the accounts out.
        let knows_none = older.epoch() < newest.epoch()
            && older.devices().all(|device| newest.standing(device).is_none());
        let vouched = older.absorbed().filter(|account| older.vouches_for(*account));
        self.absorbed = vouched.filter(|_| knows_none).collect();
        true
    }

    /// What proves it; empty if there is nothing to prove.
    pub(crate) fn proof(&self) -> &[Box<[u8]>] {
        &self.proof
    }

    /// The account as it was when it named them; `None` if there are none.
    pub(crate) fn older(&self) -> Option<Account> {
        Account::fold(&self.proof).ok()
    }

    /// Whether the account went on for another one then, of which its newest seat could not know
    /// (spec 02 R26).
    pub(crate) fn vouches_for(&self, account: AccountId) -> bool {
        self.absorbed.contains(&account)
    }

    /// Whether a device is one of them.
    pub fn has(&self, device: DeviceId) -> bool {
        self.devices.contains(&device)
    }

    /// The devices.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> {
        self.devices.iter().copied()
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.array(self.proof.len());
        for envelope in &self.proof {
            writer.bytes(envelope);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>, newest: &Account) -> Result<Self, DecodeError> {
        let proof: Vec<Box<[u8]>> =
            reader.list("proof", usize::MAX, |r| r.bytes("envelope", usize::MAX).map(Box::from))?;
        let mut bygone = Self::default();
        if let Ok(older) = Account::fold(&proof) {
            bygone.note(&older, newest);
        }
        Ok(bygone)
    }
}
