//! What can be said about an account? The payloads of its envelopes (spec 02).

use crate::{
    codec::{DecodeError, Reader, Writer},
    envelope::{Payload, Verified, sign},
    ids::{AccountId, BaseId, DeviceId},
    keys::SigningKey,
    limits::{
        ABSORBED_ACCOUNTS_MAX, ACCOUNT_ENVELOPE_BYTES_MAX, ADDITION_ENVELOPE_BYTES_MAX,
        CHECKPOINT_ENVELOPE_BYTES_MAX, DROPPED_DEVICES_MAX, OPERATION_ENVELOPE_BYTES_MAX,
        SETTLED_DEVICES_MAX,
    },
};

/// The beginning of an account; signed by its recovery key. It says nothing else, so that whoever
/// has the recovery key can make it again, byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Genesis;

impl Payload for Genesis {
    const KIND: u64 = 1;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/genesis/1";
    const ENVELOPE_BYTES_MAX: usize = OPERATION_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|_| Ok(Self))
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(0);
    }
}

/// A device's statement that it belongs to an account; signed by the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAck {
    /// The key that takes the device in: the recovery key, or the authority key of a device.
    pub inviter: [u8; 32],
    /// The device's authority key, which signs account operations.
    pub authority: [u8; 32],
    /// Random bytes.
    pub nonce: [u8; 32],
    /// The account joined.
    pub account: AccountId,
}

impl Payload for DeviceAck {
    const KIND: u64 = 2;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/device-ack/1";
    const ENVELOPE_BYTES_MAX: usize = OPERATION_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            Ok(Self {
                inviter: m.required(0)?.fixed("inviter")?,
                authority: m.required(1)?.fixed("authority key")?,
                nonce: m.required(2)?.fixed("nonce")?,
                account: AccountId::from_bytes(m.required(3)?.fixed("account")?),
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(4);
        writer.uint(0).bytes(&self.inviter);
        writer.uint(1).bytes(&self.authority);
        writer.uint(2).bytes(&self.nonce);
        writer.uint(3).bytes(self.account.as_bytes());
    }
}

/// A device's acknowledgement of an account that somebody takes it into.
pub fn acknowledge(
    device: &SigningKey,
    inviter: [u8; 32],
    authority: [u8; 32],
    nonce: [u8; 32],
    account: AccountId,
) -> Verified<DeviceAck> {
    sign(device, DeviceAck { inviter, authority, nonce, account })
}

/// The public keys of one device of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceKeys {
    /// Signs entries; names the device.
    pub device: DeviceId,
    /// Signs account operations.
    pub authority: [u8; 32],
}

impl DeviceKeys {
    /// The keys that a device has acknowledged.
    pub(crate) const fn of(ack: &Verified<DeviceAck>) -> Self {
        Self { device: DeviceId::from_bytes(*ack.signer()), authority: ack.value().authority }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.tuple("device", 2)?;
        let device = DeviceId::from_bytes(reader.fixed("device")?);
        Ok(Self { device, authority: reader.fixed("authority key")? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.array(2).bytes(self.device.as_bytes()).bytes(&self.authority);
    }
}

/// Takes a device in; signed by the authority key of a settled device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAdd {
    /// The account.
    pub account: AccountId,
    /// What the operation builds on.
    pub base: BaseId,
    /// The envelope of the new device's [`DeviceAck`].
    pub device: Box<[u8]>,
}

impl Payload for DeviceAdd {
    const KIND: u64 = 3;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/device-add/1";
    const ENVELOPE_BYTES_MAX: usize = ADDITION_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            Ok(Self {
                account: AccountId::from_bytes(m.required(0)?.fixed("account")?),
                base: BaseId::from_bytes(m.required(1)?.fixed("base")?),
                device: read_ack(m.required(2)?)?,
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3);
        writer.uint(0).bytes(self.account.as_bytes());
        writer.uint(1).bytes(self.base.as_bytes());
        writer.uint(2).bytes(&self.device);
    }
}

fn read_ack(reader: &mut Reader<'_>) -> Result<Box<[u8]>, DecodeError> {
    reader.bytes("acknowledgement", DeviceAck::ENVELOPE_BYTES_MAX).map(Into::into)
}

/// Why a device is voted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Untrust {
    /// It is not wanted any more.
    Removed,
    /// It is in somebody else's hands.
    Stolen,
}

/// A vote against a device; signed by the authority key of a settled device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceUntrust {
    /// The account.
    pub account: AccountId,
    /// What the operation builds on.
    pub base: BaseId,
    /// The device voted against.
    pub device: DeviceId,
    /// Why.
    pub why: Untrust,
}

impl Payload for DeviceUntrust {
    const KIND: u64 = 8;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/device-untrust/1";
    const ENVELOPE_BYTES_MAX: usize = OPERATION_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            Ok(Self {
                account: AccountId::from_bytes(m.required(0)?.fixed("account")?),
                base: BaseId::from_bytes(m.required(1)?.fixed("base")?),
                device: DeviceId::from_bytes(m.required(2)?.fixed("device")?),
                why: match m.required(3)?.uint()? {
                    1 => Untrust::Removed,
                    2 => Untrust::Stolen,
                    _ => return Err(DecodeError::Value("reason")),
                },
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(4);
        writer.uint(0).bytes(self.account.as_bytes());
        writer.uint(1).bytes(self.base.as_bytes());
        writer.uint(2).bytes(self.device.as_bytes());
        writer.uint(3).uint(match self.why {
            Untrust::Removed => 1,
            Untrust::Stolen => 2,
        });
    }
}

/// A device leaves; signed by its own authority key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRetire {
    /// The account.
    pub account: AccountId,
    /// The base from which on it is out.
    pub base: BaseId,
    /// The device.
    pub device: DeviceId,
}

impl Payload for DeviceRetire {
    const KIND: u64 = 9;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/device-retire/1";
    const ENVELOPE_BYTES_MAX: usize = OPERATION_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            Ok(Self {
                account: AccountId::from_bytes(m.required(0)?.fixed("account")?),
                base: BaseId::from_bytes(m.required(1)?.fixed("base")?),
                device: DeviceId::from_bytes(m.required(2)?.fixed("device")?),
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3);
        writer.uint(0).bytes(self.account.as_bytes());
        writer.uint(1).bytes(self.base.as_bytes());
        writer.uint(2).bytes(self.device.as_bytes());
    }
}

/// One signature on a list of devices that are to be settled; by the authority key of a settled
/// device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The account.
    pub account: AccountId,
    /// What the operation builds on.
    pub base: BaseId,
    /// The devices with their authority keys, ascending.
    pub devices: Vec<DeviceKeys>,
}

impl Payload for Checkpoint {
    const KIND: u64 = 10;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/checkpoint/1";
    const ENVELOPE_BYTES_MAX: usize = CHECKPOINT_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let account = AccountId::from_bytes(m.required(0)?.fixed("account")?);
            let base = BaseId::from_bytes(m.required(1)?.fixed("base")?);
            let devices = m.required(2)?.list("devices", SETTLED_DEVICES_MAX, DeviceKeys::read)?;
            if devices.is_empty() {
                return Err(DecodeError::Value("devices"));
            }
            if !devices.is_sorted_by(|a, b| a.device < b.device) {
                return Err(DecodeError::NotCanonical);
            }
            Ok(Self { account, base, devices })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3);
        writer.uint(0).bytes(self.account.as_bytes());
        writer.uint(1).bytes(self.base.as_bytes());
        writer.uint(2).array(self.devices.len());
        for keys in &self.devices {
            keys.write(writer);
        }
    }
}

/// The devices from which everything else follows; signed by the recovery key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The account.
    pub account: AccountId,
    /// The highest one counts.
    pub epoch: u64,
    /// Envelopes of the [`DeviceAck`]s, in the order of their devices.
    pub devices: Vec<Box<[u8]>>,
    /// Devices that are out, ascending.
    pub dropped: Vec<DeviceId>,
    /// Accounts that this one goes on for, ascending, itself not among them; at most
    /// [`ABSORBED_ACCOUNTS_MAX`].
    pub absorbed: Vec<AccountId>,
}

impl Payload for Seat {
    const KIND: u64 = 11;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/seat/1";
    const ENVELOPE_BYTES_MAX: usize = ACCOUNT_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let account = AccountId::from_bytes(m.required(0)?.fixed("account")?);
            let epoch = m.required(1)?.uint()?;
            let devices = m.required(2)?.list("devices", SETTLED_DEVICES_MAX, read_ack)?;
            if devices.is_empty() {
                return Err(DecodeError::Value("devices"));
            }
            let dropped = m.required(3)?.list("dropped devices", DROPPED_DEVICES_MAX, |r| {
                r.fixed("device").map(DeviceId::from_bytes)
            })?;
            if !dropped.is_sorted_by(|a, b| a < b) {
                return Err(DecodeError::NotCanonical);
            }
            let absorbed = m.optional(4)?.map(|r| read_absorbed(r, account)).transpose()?;
            Ok(Self { account, epoch, devices, dropped, absorbed: absorbed.unwrap_or_default() })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(4 + usize::from(!self.absorbed.is_empty()));
        writer.uint(0).bytes(self.account.as_bytes());
        writer.uint(1).uint(self.epoch);
        writer.uint(2).array(self.devices.len());
        for ack in &self.devices {
            writer.bytes(ack);
        }
        writer.uint(3).array(self.dropped.len());
        for device in &self.dropped {
            writer.bytes(device.as_bytes());
        }
        if !self.absorbed.is_empty() {
            writer.uint(4).array(self.absorbed.len());
            for absorbed in &self.absorbed {
                writer.bytes(absorbed.as_bytes());
            }
        }
    }
}

fn read_absorbed(
    reader: &mut Reader<'_>,
    account: AccountId,
) -> Result<Vec<AccountId>, DecodeError> {
    let absorbed = reader.list("absorbed accounts", ABSORBED_ACCOUNTS_MAX, |r| {
        r.fixed("account").map(AccountId::from_bytes)
    })?;
    if absorbed.is_empty() || absorbed.contains(&account) {
        return Err(DecodeError::Value("absorbed accounts"));
    }
    if absorbed.is_sorted_by(|a, b| a < b) { Ok(absorbed) } else { Err(DecodeError::NotCanonical) }
}
