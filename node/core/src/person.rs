//! Which accounts are one person? The one in use, and those that it has absorbed (spec 02 R22).

use kith_common::{
    account::{Account, Former, Standing},
    codec::{DecodeError, Reader, Writer},
    ids::{AccountId, DeviceId},
};

use crate::{bygone::Bygone, refusal::Refusal};

/// An account, and its devices that only an older proof names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absorbed {
    /// The account as proven to us.
    pub account: Account,
    /// Devices of it that its newest seat has forgotten.
    pub bygone: Bygone,
}

impl Absorbed {
    /// What proves it, and who once belonged to it.
    pub(crate) fn proofs(&self) -> impl Iterator<Item = Vec<Box<[u8]>>> {
        let older = (!self.bygone.proof().is_empty()).then(|| self.bygone.proof().to_vec());
        std::iter::once(self.account.proof().to_vec()).chain(older)
    }

    fn names(&self, device: DeviceId) -> bool {
        self.account.standing(device).is_some() || self.bygone.has(device)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.array(2).array(self.account.proof().len());
        for envelope in self.account.proof() {
            writer.bytes(envelope);
        }
        self.bygone.write(writer);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.tuple("account", 2)?;
        let proof = reader.list("proof", usize::MAX, |r| r.bytes("envelope", usize::MAX))?;
        let account = Account::fold(&proof).map_err(|_| DecodeError::Value("account proof"))?;
        let bygone = Bygone::read(reader, &account)?;
        Ok(Self { account, bygone })
    }
}

/// A person as far as devices and accounts go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person<'a> {
    pub(crate) account: &'a Account,
    pub(crate) bygone: &'a Bygone,
    pub(crate) absorbed: &'a [Absorbed],
}

impl<'a> Person<'a> {
    /// How a device stands: by the word of the account in use, else of one that it has absorbed.
    pub(crate) fn standing(&self, device: DeviceId) -> Option<Standing> {
        let before = || self.said().into_iter().find_map(|old| old.account.standing(device));
        self.account.standing(device).or_else(before)
    }

    /// Accounts of which the one in use, or another one that it names, says that it goes on for
    /// them. Of one that is only remembered no device stands (spec 02 R26).
    fn said(&self) -> Vec<&'a Absorbed> {
        let mut said: Vec<&'a Absorbed> = Vec::new();
        loop {
            let is_new = |id| !said.iter().any(|known| known.account.id() == id);
            let names = |id| {
                self.account.has_absorbed(id) || said.iter().any(|by| by.account.has_absorbed(id))
            };
            let mut ids = self.absorbed.iter().map(|old| (old.account.id(), old));
            match ids.find(|(id, _)| is_new(*id) && names(*id)) {
                Some((_, next)) => said.push(next),
                None => return said,
            }
        }
    }

    /// Whether a device is or was one of the person's.
    pub(crate) fn names(&self, device: DeviceId) -> bool {
        self.account.standing(device).is_some()
            || self.bygone.has(device)
            || self.absorbed.iter().any(|old| old.names(device))
    }

    /// Whether an account is one of the person's.
    pub(crate) fn is(&self, account: AccountId) -> bool {
        self.account.id() == account || self.absorbed.iter().any(|old| old.account.id() == account)
    }

    /// Whether a device may have written in the name of an account.
    fn speaks_as(&self, device: DeviceId, account: AccountId) -> bool {
        if self.account.id() == account {
            return self.account.standing(device).is_some() || self.bygone.has(device);
        }
        self.absorbed.iter().any(|old| old.account.id() == account && old.names(device))
    }

    /// Devices that stand, those of an absorbed account included that have not come over yet.
    pub(crate) fn devices(&self) -> impl Iterator<Item = DeviceId> + use<'a> {
        let account = self.account;
        let before = self.said().into_iter().flat_map(|old| old.account.devices());
        let before = before.filter(move |device| account.standing(*device).is_none());
        account.devices().chain(before)
    }

    /// Devices that accuse each other.
    pub(crate) fn disputed(&self) -> impl Iterator<Item = DeviceId> + use<'a> {
        let account = self.account;
        let before = self.said().into_iter().flat_map(|old| old.account.disputed());
        let before = before.filter(move |device| account.standing(*device).is_none());
        account.disputed().chain(before)
    }

    /// Devices that are out, with the account whose word that is.
    pub(crate) fn former(&self) -> impl Iterator<Item = (DeviceId, Former, &'a Account)> + use<'a> {
        let account = self.account;
        let of = |account: &'a Account| {
            account.former().map(move |(device, former)| (device, former, account))
        };
        let before = self.absorbed.iter().flat_map(move |old| of(&old.account));
        let before = before.filter(move |(device, ..)| account.standing(*device).is_none());
        of(account).chain(before)
    }

    /// Devices that only older proofs name.
    pub(crate) fn bygone(&self) -> impl Iterator<Item = DeviceId> + use<'a> {
        let account = self.account;
        let before = self.absorbed.iter().flat_map(|old| old.bygone.devices());
        let said = self.said();
        let unsaid = self
            .absorbed
            .iter()
            .filter(move |old| !said.iter().any(|known| known.account.id() == old.account.id()));
        let before = before.chain(unsaid.flat_map(|old| old.account.devices()));
        let before = before.filter(move |device| account.standing(*device).is_none());
        self.bygone.devices().chain(before)
    }

    /// What proves all of it.
    pub(crate) fn proofs(&self) -> Vec<Vec<Box<[u8]>>> {
        let older = (!self.bygone.proof().is_empty()).then(|| self.bygone.proof().to_vec());
        let before = self.absorbed.iter().flat_map(Absorbed::proofs);
        std::iter::once(self.account.proof().to_vec()).chain(older).chain(before).collect()
    }
}

/// Whose a device is: of whoever it speaks for, else of whoever names it. A seat may drop any device
/// without its consent.
pub(crate) fn whose<'a>(
    people: impl IntoIterator<Item = Person<'a>>,
    device: DeviceId,
) -> Option<Person<'a>> {
    let naming: Vec<Person<'a>> =
        people.into_iter().filter(|person| person.names(device)).collect();
    let speaks = |person: &&Person<'_>| {
        let standing = person.standing(device);
        standing.is_some_and(|standing| !matches!(standing, Standing::Former(_)))
    };
    naming.iter().find(speaks).or_else(|| naming.first()).copied()
}

/// Whether a device may write in a log of these people in the name of an account (spec 03 R2).
pub(crate) fn may_write<'a>(
    people: impl IntoIterator<Item = Person<'a>>,
    device: DeviceId,
    account: AccountId,
) -> Result<(), Refusal> {
    match whose(people, device) {
        Some(person) if person.standing(device) == Some(Standing::Disputed) => {
            Err(Refusal::Disputed)
        }
        Some(person) if person.speaks_as(device, account) => Ok(()),
        _ => Err(Refusal::NotEntitled),
    }
}
