//! Which devices speak for an account? Genesis, acknowledgements and device additions (spec 02).
//!
//! An account begins with a [`Genesis`], signed by its recovery key around the acknowledgement of
//! its first device. Further devices come by [`DeviceAdd`], signed by the authority key of a
//! device (or the recovery key) around the acknowledgement of the new device: both sides sign.
//! [`Account::fold`] is a pure function of the set of these envelopes.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::{
    codec::{DecodeError, Reader, Writer},
    crypto,
    envelope::{Payload, Signed, Verified, sign},
    ids::{AccountId, DeviceId, EntryId},
    keys::SigningKey,
    limits::{
        ACCOUNT_DEVICES_MAX, ACCOUNT_ENVELOPE_BYTES_MAX, ACCOUNT_PROOF_BYTES_MAX,
        ACCOUNT_PROOF_ENVELOPES_MAX, OPERATION_PREVIOUS_MAX,
    },
};

/// A device's statement that it belongs to an account; signed by the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAck {
    /// The key that takes the device in: the recovery key, or the authority key of a device.
    pub inviter: [u8; 32],
    /// The device's authority key, which signs account operations.
    pub authority: [u8; 32],
    /// Random bytes; no acknowledgement serves twice.
    pub nonce: [u8; 32],
    /// The account joined; absent in the genesis, which the account is named after.
    pub account: Option<AccountId>,
}

impl Payload for DeviceAck {
    const KIND: u64 = 2;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/device-ack/1";
    const ENVELOPE_BYTES_MAX: usize = 512;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            Ok(Self {
                inviter: m.required(0)?.fixed("inviter")?,
                authority: m.required(1)?.fixed("authority key")?,
                nonce: m.required(2)?.fixed("nonce")?,
                account: m
                    .optional(3)?
                    .map(|r| r.fixed("account").map(AccountId::from_bytes))
                    .transpose()?,
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3 + usize::from(self.account.is_some()));
        writer.uint(0).bytes(&self.inviter);
        writer.uint(1).bytes(&self.authority);
        writer.uint(2).bytes(&self.nonce);
        if let Some(account) = self.account {
            writer.uint(3).bytes(account.as_bytes());
        }
    }
}

/// The beginning of an account; signed by its recovery key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The envelope of the first device's [`DeviceAck`].
    pub first_device: Box<[u8]>,
}

impl Payload for Genesis {
    const KIND: u64 = 1;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/genesis/1";
    const ENVELOPE_BYTES_MAX: usize = ACCOUNT_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let limit = DeviceAck::ENVELOPE_BYTES_MAX;
            Ok(Self { first_device: m.required(0)?.bytes("acknowledgement", limit)?.into() })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(1).uint(0).bytes(&self.first_device);
    }
}

/// An account operation that takes a device in; signed by an authority key or the recovery key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAdd {
    /// The account.
    pub account: AccountId,
    /// The newest operations that the signer knew, ascending.
    pub previous: Vec<EntryId>,
    /// The envelope of the new device's [`DeviceAck`].
    pub device: Box<[u8]>,
}

impl Payload for DeviceAdd {
    const KIND: u64 = 3;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/device-add/1";
    const ENVELOPE_BYTES_MAX: usize = ACCOUNT_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let account = AccountId::from_bytes(m.required(0)?.fixed("account")?);
            let previous =
                m.required(1)?.list("previous operations", OPERATION_PREVIOUS_MAX, |r| {
                    r.fixed("operation").map(EntryId::from_bytes)
                })?;
            if !previous.is_sorted_by(|a, b| a < b) {
                return Err(DecodeError::NotCanonical);
            }
            let limit = DeviceAck::ENVELOPE_BYTES_MAX;
            let device = m.required(2)?.bytes("acknowledgement", limit)?.into();
            Ok(Self { account, previous, device })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3);
        writer.uint(0).bytes(self.account.as_bytes());
        writer.uint(1).array(self.previous.len());
        for operation in &self.previous {
            writer.bytes(operation.as_bytes());
        }
        writer.uint(2).bytes(&self.device);
    }
}

/// The public keys of one device of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceKeys {
    /// Signs entries; names the device.
    pub device: DeviceId,
    /// Signs account operations.
    pub authority: [u8; 32],
}

/// Why an account proof was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The genesis is not well-formed.
    #[error("the genesis is not well-formed: {0}")]
    Genesis(DecodeError),
    /// A signature of the genesis does not hold.
    #[error("a signature of the genesis does not hold")]
    Signature,
    /// The first device acknowledged something else.
    #[error("the first device did not acknowledge this account")]
    Acknowledgement,
    /// More envelopes or bytes than an account may have.
    #[error("the account proof has more than {0} envelopes or bytes")]
    TooLarge(usize),
    /// No envelope at all.
    #[error("the account proof is empty")]
    Empty,
}

/// An account as its envelopes prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    id: AccountId,
    recovery: [u8; 32],
    devices: BTreeMap<DeviceId, DeviceKeys>,
    proof: Vec<Box<[u8]>>,
    head: EntryId,
}

impl Account {
    /// Makes a new account with its first device.
    pub fn create(
        recovery: &SigningKey,
        device: &SigningKey,
        authority: &SigningKey,
        nonce: [u8; 32],
    ) -> Self {
        let ack = DeviceAck {
            inviter: *recovery.public(),
            authority: *authority.public(),
            nonce,
            account: None,
        };
        let first_device = sign(device, ack).into_bytes();
        let genesis = sign(recovery, Genesis { first_device }).into_bytes();
        let keys = DeviceKeys { device: device.device(), authority: *authority.public() };
        Self::begun(genesis, *recovery.public(), keys)
    }

    fn begun(genesis: Box<[u8]>, recovery: [u8; 32], first: DeviceKeys) -> Self {
        Self {
            id: AccountId::from_bytes(crypto::hash(b"kith/account/1", &genesis)),
            recovery,
            devices: BTreeMap::from([(first.device, first)]),
            head: EntryId::of(&genesis),
            proof: vec![genesis],
        }
    }

    /// The account that a set of envelopes proves, in whatever order the operations come.
    ///
    /// Operations that do not belong, do not verify, or come from a key that never had authority
    /// are left out: a holder cannot spoil a proof by adding to it.
    ///
    /// # Errors
    /// If the genesis (the first envelope) does not hold or the proof is too large.
    pub fn fold<B: AsRef<[u8]>>(proof: &[B]) -> Result<Self, AccountError> {
        if proof.len() > ACCOUNT_PROOF_ENVELOPES_MAX {
            return Err(AccountError::TooLarge(ACCOUNT_PROOF_ENVELOPES_MAX));
        }
        if proof.iter().map(|bytes| bytes.as_ref().len()).sum::<usize>() > ACCOUNT_PROOF_BYTES_MAX {
            return Err(AccountError::TooLarge(ACCOUNT_PROOF_BYTES_MAX));
        }
        let (genesis, operations) = proof.split_first().ok_or(AccountError::Empty)?;
        let mut account = Self::from_genesis(genesis.as_ref())?;
        let mut additions: Vec<Addition> = operations
            .iter()
            .filter_map(|bytes| Addition::check(bytes.as_ref(), account.id))
            .collect();
        additions.sort_by_key(|addition| addition.id);
        additions.dedup_by_key(|addition| addition.id);
        account.take_in(additions);
        Ok(account)
    }

    fn from_genesis(bytes: &[u8]) -> Result<Self, AccountError> {
        let genesis = Signed::<Genesis>::decode(bytes).map_err(AccountError::Genesis)?;
        let genesis = genesis.verify().map_err(|_| AccountError::Signature)?;
        let ack = Signed::<DeviceAck>::decode(&genesis.value().first_device)
            .map_err(AccountError::Genesis)?
            .verify()
            .map_err(|_| AccountError::Signature)?;
        if ack.value().inviter != *genesis.signer() || ack.value().account.is_some() {
            return Err(AccountError::Acknowledgement);
        }
        let keys = DeviceKeys {
            device: DeviceId::from_bytes(*ack.signer()),
            authority: ack.value().authority,
        };
        let recovery = *genesis.signer();
        Ok(Self::begun(genesis.into_bytes(), recovery, keys))
    }

    /// Takes devices in until nobody with authority vouches for another.
    fn take_in(&mut self, mut waiting: Vec<Addition>) {
        loop {
            let before = waiting.len();
            waiting.retain(|addition| !self.take_in_one(addition));
            if waiting.len() == before {
                return;
            }
        }
    }

    fn take_in_one(&mut self, addition: &Addition) -> bool {
        let authorised = addition.by == self.recovery
            || self.devices.values().any(|keys| keys.authority == addition.by);
        let fits = self.devices.len() < ACCOUNT_DEVICES_MAX;
        if !authorised || !fits || self.devices.contains_key(&addition.keys.device) {
            return false;
        }
        self.devices.insert(addition.keys.device, addition.keys);
        self.proof.push(addition.bytes.clone());
        let mut ids: Vec<EntryId> = self.proof.iter().map(|bytes| EntryId::of(bytes)).collect();
        ids.sort_unstable();
        let parts: Vec<&[u8]> = ids.iter().map(|id| &id.as_bytes()[..]).collect();
        self.head = EntryId::from_bytes(crypto::hash_parts(b"kith/account-head/1", &parts));
        true
    }

    /// The account's name.
    pub const fn id(&self) -> AccountId {
        self.id
    }

    /// The public half of the recovery key.
    pub const fn recovery(&self) -> &[u8; 32] {
        &self.recovery
    }

    /// The devices that speak for the account, in the order of their ids.
    pub fn devices(&self) -> impl ExactSizeIterator<Item = DeviceId> {
        self.devices.keys().copied()
    }

    /// Whether a device speaks for the account.
    pub fn has(&self, device: DeviceId) -> bool {
        self.devices.contains_key(&device)
    }

    /// The envelopes that prove the account, genesis first.
    pub fn proof(&self) -> &[Box<[u8]>] {
        &self.proof
    }

    /// Names what is known of the account: the genesis' id, or a digest over all operations.
    pub const fn head(&self) -> EntryId {
        self.head
    }
}

/// A device addition whose two signatures hold; whether its signer may is not yet decided.
struct Addition {
    id: EntryId,
    by: [u8; 32],
    keys: DeviceKeys,
    bytes: Box<[u8]>,
}

impl Addition {
    fn check(bytes: &[u8], account: AccountId) -> Option<Self> {
        let add = Signed::<DeviceAdd>::decode(bytes).ok()?.verify().ok()?;
        let ack: Verified<DeviceAck> = Signed::decode(&add.value().device).ok()?.verify().ok()?;
        let meant = add.value().account == account
            && ack.value().account == Some(account)
            && ack.value().inviter == *add.signer();
        meant.then(|| Self {
            id: add.id(),
            by: *add.signer(),
            keys: DeviceKeys {
                device: DeviceId::from_bytes(*ack.signer()),
                authority: ack.value().authority,
            },
            bytes: add.into_bytes(),
        })
    }
}

/// A device's certificate for the throw-away key of its transport; shown inside an encrypted link
/// to devices that it knows, and nowhere else (spec 05).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportCert {
    /// The transport id (libp2p peer id) that the device uses.
    pub transport: Box<[u8]>,
    /// The transport id that it talks to: the certificate serves on one link only.
    pub audience: Box<[u8]>,
    /// Milliseconds since the Unix epoch after which the certificate is void.
    pub not_after: u64,
}

impl Payload for TransportCert {
    const KIND: u64 = 4;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/transport-cert/1";
    const ENVELOPE_BYTES_MAX: usize = crate::limits::CERTIFICATE_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let limit = crate::limits::TRANSPORT_ID_BYTES_MAX;
        reader.map(|m| {
            Ok(Self {
                transport: m.required(0)?.bytes("transport id", limit)?.into(),
                audience: m.required(1)?.bytes("transport id", limit)?.into(),
                not_after: m.required(2)?.uint()?,
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3);
        writer.uint(0).bytes(&self.transport);
        writer.uint(1).bytes(&self.audience);
        writer.uint(2).uint(self.not_after);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Keys {
        device: SigningKey,
        authority: SigningKey,
    }

    fn keys(name: u8) -> Keys {
        Keys {
            device: SigningKey::from_seed(&[name; 32]),
            authority: SigningKey::from_seed(&[name ^ 0x80; 32]),
        }
    }

    fn recovery() -> SigningKey {
        SigningKey::from_seed(&[0x7f; 32])
    }

    fn genesis(first: &Keys) -> Account {
        Account::create(&recovery(), &first.device, &first.authority, [0; 32])
    }

    fn add(account: AccountId, by: &SigningKey, new: &Keys) -> Box<[u8]> {
        let ack = DeviceAck {
            inviter: *by.public(),
            authority: *new.authority.public(),
            nonce: [1; 32],
            account: Some(account),
        };
        let device = sign(&new.device, ack).into_bytes();
        sign(by, DeviceAdd { account, previous: vec![], device }).into_bytes()
    }

    #[test]
    fn a_genesis_proves_its_account() {
        let made = genesis(&keys(1));
        let read = Account::fold(made.proof()).unwrap();
        assert_eq!(read, made);
        assert!(read.has(keys(1).device.device()));
    }

    #[test]
    fn a_genesis_needs_both_signatures() {
        let (alice, mallory) = (keys(1), keys(2));
        // Mallory wraps the acknowledgement that Alice's device gave to another recovery key.
        let ack = DeviceAck {
            inviter: *recovery().public(),
            authority: *alice.authority.public(),
            nonce: [0; 32],
            account: None,
        };
        let first_device = sign(&alice.device, ack).into_bytes();
        let stolen = sign(&mallory.device, Genesis { first_device }).into_bytes();
        assert_eq!(Account::fold(&[stolen]), Err(AccountError::Acknowledgement));
    }

    #[test]
    fn a_device_comes_in_through_one_that_has_authority() {
        let (phone, tablet, stranger) = (keys(1), keys(2), keys(3));
        let account = genesis(&phone);
        let mut proof = account.proof().to_vec();
        proof.push(add(account.id(), &phone.authority, &tablet));
        proof.push(add(account.id(), &stranger.authority, &stranger));
        proof.push(add(AccountId::from_bytes([9; 32]), &phone.authority, &stranger));
        let folded = Account::fold(&proof).unwrap();
        assert!(folded.has(tablet.device.device()));
        assert!(!folded.has(stranger.device.device()));
        assert_ne!(folded.head(), account.head());
    }

    #[test]
    fn an_acknowledgement_serves_its_inviter_only() {
        let (phone, tablet) = (keys(1), keys(2));
        let account = genesis(&phone);
        let ack = DeviceAck {
            inviter: [5; 32],
            authority: *tablet.authority.public(),
            nonce: [1; 32],
            account: Some(account.id()),
        };
        let device = sign(&tablet.device, ack).into_bytes();
        let operation = DeviceAdd { account: account.id(), previous: vec![], device };
        let mut proof = account.proof().to_vec();
        proof.push(sign(&phone.authority, operation).into_bytes());
        assert_eq!(Account::fold(&proof).unwrap().devices().len(), 1);
    }

    #[test]
    fn a_proof_is_bounded() {
        let account = genesis(&keys(1));
        let many = vec![account.proof()[0].clone(); ACCOUNT_PROOF_ENVELOPES_MAX + 1];
        assert!(matches!(Account::fold(&many), Err(AccountError::TooLarge(_))));
        assert_eq!(Account::fold::<Box<[u8]>>(&[]), Err(AccountError::Empty));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_order_of_operations_does_not_matter(order in Just((0..4_usize).collect::<Vec<_>>()).prop_shuffle()) {
            let people: Vec<Keys> = (1..6).map(keys).collect();
            let account = genesis(&people[0]);
            // A chain: each device is taken in by the one before it.
            let operations: Vec<Box<[u8]>> = (1..5)
                .map(|n| add(account.id(), &people[n - 1].authority, &people[n]))
                .collect();
            let mut straight = account.proof().to_vec();
            straight.extend(operations.iter().cloned());
            let mut shuffled = account.proof().to_vec();
            shuffled.extend(order.iter().map(|at| operations[*at].clone()));
            let (straight, shuffled) = (Account::fold(&straight).unwrap(), Account::fold(&shuffled).unwrap());
            prop_assert_eq!(straight.devices().collect::<Vec<_>>(), shuffled.devices().collect::<Vec<_>>());
            prop_assert_eq!(straight.devices().len(), 5);
            prop_assert_eq!(straight.head(), shuffled.head());
        }

        #[test]
        fn decoding_anything_never_panics(bytes: Vec<u8>) {
            let _ = Account::fold(&[&bytes]);
            let _ = Signed::<DeviceAdd>::decode(&bytes);
        }
    }
}
