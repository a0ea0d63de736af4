//! How do two accounts become one, and which one is it then? (spec 02 R22–R25)

use std::collections::{BTreeMap, BTreeSet};

use super::{Account, operation::Seat};
use crate::{
    codec::{DecodeError, Reader, Writer},
    envelope::{Payload, Signed},
    ids::{AccountId, BaseId, DeviceId},
    limits::{ABSORBED_DEVICES_MAX, ABSORBS_ENVELOPE_BYTES_MAX, OPERATION_ENVELOPE_BYTES_MAX},
};

/// The account ends and another one goes on for it; signed by its recovery key on its seat, or by
/// the authority key of a settled device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedTo {
    /// The account that ends.
    pub account: AccountId,
    /// What the operation builds on.
    pub base: BaseId,
    /// The account that stays, another one.
    pub to: AccountId,
}

impl Payload for MovedTo {
    const KIND: u64 = 17;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/moved-to/1";
    const ENVELOPE_BYTES_MAX: usize = OPERATION_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let account = AccountId::from_bytes(m.required(0)?.fixed("account")?);
            let base = BaseId::from_bytes(m.required(1)?.fixed("base")?);
            let to = AccountId::from_bytes(m.required(2)?.fixed("account that stays")?);
            another(account, to, "account that stays")?;
            Ok(Self { account, base, to })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3);
        writer.uint(0).bytes(self.account.as_bytes());
        writer.uint(1).bytes(self.base.as_bytes());
        writer.uint(2).bytes(self.to.as_bytes());
    }
}

/// The account goes on for another one, and takes some of its devices in; signed by the authority
/// key of a settled device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absorbs {
    /// The account that stays.
    pub account: AccountId,
    /// What the operation builds on.
    pub base: BaseId,
    /// The account that ends, another one.
    pub from: AccountId,
    /// Devices of it that come in once they have acknowledged the account that stays, ascending;
    /// at most [`ABSORBED_DEVICES_MAX`].
    pub devices: Vec<DeviceId>,
}

impl Payload for Absorbs {
    const KIND: u64 = 18;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/absorbs/1";
    const ENVELOPE_BYTES_MAX: usize = ABSORBS_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let account = AccountId::from_bytes(m.required(0)?.fixed("account")?);
            let base = BaseId::from_bytes(m.required(1)?.fixed("base")?);
            let from = AccountId::from_bytes(m.required(2)?.fixed("account that ends")?);
            another(account, from, "account that ends")?;
            let devices = m.required(3)?.list("devices", ABSORBED_DEVICES_MAX, |r| {
                r.fixed("device").map(DeviceId::from_bytes)
            })?;
            if !devices.is_sorted_by(|a, b| a < b) {
                return Err(DecodeError::NotCanonical);
            }
            Ok(Self { account, base, from, devices })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(4);
        writer.uint(0).bytes(self.account.as_bytes());
        writer.uint(1).bytes(self.base.as_bytes());
        writer.uint(2).bytes(self.from.as_bytes());
        writer.uint(3).array(self.devices.len());
        for device in &self.devices {
            writer.bytes(device.as_bytes());
        }
    }
}

/// No account merges with itself.
fn another(account: AccountId, other: AccountId, what: &'static str) -> Result<(), DecodeError> {
    if account == other { Err(DecodeError::Value(what)) } else { Ok(()) }
}

impl Account {
    /// Whether somebody who speaks for this account says that it goes on for another one: the
    /// recovery key, or a device that stands. Who was cut off takes no account in (R26).
    pub fn vouches_for(&self, ended: AccountId) -> bool {
        let stands = |signer: &[u8; 32]| {
            self.devices().any(|device| self.authority_of(device).as_ref() == Some(signer))
        };
        self.proof().iter().any(|bytes| {
            if let Ok(absorbs) = Signed::<Absorbs>::decode(bytes) {
                absorbs.claim().from == ended && stands(absorbs.signer())
            } else {
                let seat = Signed::<Seat>::decode(bytes);
                seat.is_ok_and(|seat| seat.claim().absorbed.contains(&ended))
            }
        })
    }

    /// Whether the recovery key has ended it that this account goes on for another one: the newest
    /// seat does not name it, and drops a device of it (R26).
    pub fn leaves_out(&self, other: &Self) -> bool {
        let seats = self.proof().iter().filter_map(|bytes| Signed::<Seat>::decode(bytes).ok());
        let dropped: Vec<DeviceId> = seats.flat_map(|seat| seat.claim().dropped.clone()).collect();
        let drops = dropped.iter().any(|device| other.standing(*device).is_some());
        drops && !self.has_absorbed(other.id())
    }
}

/// Whether the first account is now another name of the second (R25): it has moved there, and the
/// second has absorbed it.
pub fn merged(ends: &Account, stays: &Account) -> bool {
    ends.moved_to() == Some(stays.id()) && stays.has_absorbed(ends.id())
}

/// Which of these accounts each of them ends up as (R25): itself, or the last one of a chain, or of
/// a ring the smallest id. The order does not matter. Takes a few steps for each account; how many
/// there are is for the caller to bound.
///
/// Of two of one id the one of the higher epoch is meant, then that of the smaller head.
pub fn ends_up<'a>(
    accounts: impl IntoIterator<Item = &'a Account>,
) -> BTreeMap<AccountId, AccountId> {
    let mut known: BTreeMap<AccountId, &Account> = BTreeMap::new();
    for account in accounts {
        let place = known.entry(account.id()).or_insert(account);
        let newest = |one: &Account| (core::cmp::Reverse(one.epoch()), one.head());
        if newest(account) < newest(place) {
            *place = account;
        }
    }
    let next: BTreeMap<AccountId, AccountId> = known
        .values()
        .filter_map(|ends| {
            let stays = known.get(&ends.moved_to()?)?;
            merged(ends, stays).then(|| (ends.id(), stays.id()))
        })
        .collect();
    let mut found = BTreeMap::new();
    for id in known.keys() {
        walk(*id, &next, &mut found);
    }
    found
}

/// Walks from an account until it meets what is known already, or an end, or its own way again.
fn walk(
    from: AccountId,
    next: &BTreeMap<AccountId, AccountId>,
    found: &mut BTreeMap<AccountId, AccountId>,
) {
    let (mut way, mut on_way, mut at) = (Vec::new(), BTreeSet::new(), from);
    let end = loop {
        if let Some(end) = found.get(&at) {
            break *end;
        }
        if !on_way.insert(at) {
            // A ring: from where it was met first to here.
            let ring = way.iter().skip_while(|id| **id != at);
            break ring.min().copied().unwrap_or(at);
        }
        way.push(at);
        match next.get(&at) {
            Some(further) => at = *further,
            None => break at,
        }
    };
    found.extend(way.into_iter().map(|id| (id, end)));
}
