//! What stands in the file `keys`? Canonical CBOR, version 1, every secret sealed by itself.
//!
//! ```text
//! [1, body: bytes, checksum: BLAKE2b-256 of the body]
//! body = { 0: [0] / [1, passes, memory in bytes, salt],     how the passphrase becomes a key
//!          1: [+ envelope],                                 the account, genesis first
//!          2: sealed master key,      3: sealed device seed,
//!          4: sealed authority seed, ?5: sealed recovery seed,
//!          6: sealed name }
//! ```
//!
//! The checksum tells damage from a wrong passphrase. Each seal has a key of its own field and is
//! bound to the account.

use std::collections::BTreeMap;

use kith_common::{
    account::Account,
    codec::{DecodeError, Fields, Reader, Writer},
    crypto::{self, PasswordCost, SEAL_BYTES},
    keys::Secret,
    limits::{ACCOUNT_ENVELOPE_BYTES_MAX, ACCOUNT_PROOF_ENVELOPES_MAX, NAME_BYTES_MAX},
};
use rand_core::Rng;
use zeroize::Zeroizing;

use super::{HomeError, passphrase::Kdf};
use crate::random::OsRandom;

const VERSION: u64 = 1;
const SEALED_BYTES: usize = 32 + SEAL_BYTES;
/// Passes over the memory: far above any sensible cost, so that a damaged file ends.
const OPERATIONS_MAX: u64 = 64;
/// Memory in bytes: what a small computer may still have.
const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// A sealed secret; the number is its field and names its key for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Part {
    /// The key of the database and of the device seed.
    Master = 2,
    /// Makes the device's signing key.
    Device = 3,
    /// Makes the key that signs account operations.
    Authority = 4,
    /// Makes the recovery key; absent once confirmed.
    Recovery = 5,
    /// What the person called themselves.
    Name = 6,
}

/// The content of the key file.
#[derive(Debug)]
pub(super) struct KeyFile {
    kdf: Kdf,
    account: Account,
    sealed: BTreeMap<Part, Vec<u8>>,
}

impl KeyFile {
    pub(super) const fn new(kdf: Kdf, account: Account) -> Self {
        Self { kdf, account, sealed: BTreeMap::new() }
    }

    pub(super) const fn kdf(&self) -> &Kdf {
        &self.kdf
    }

    pub(super) fn set_kdf(&mut self, kdf: Kdf) {
        self.kdf = kdf;
    }

    pub(super) const fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn into_account(self) -> Account {
        self.account
    }

    pub(super) fn has(&self, part: Part) -> bool {
        self.sealed.contains_key(&part)
    }

    pub(super) fn erase(&mut self, part: Part) {
        self.sealed.remove(&part);
    }

    /// Seals a secret under a key derived from `key` for this part alone.
    pub(super) fn seal(&mut self, part: Part, key: &Secret<32>, secret: &Secret<32>) {
        secret.expose(|bytes| self.seal_bytes(part, key, bytes));
    }

    pub(super) fn seal_name(&mut self, key: &Secret<32>, name: &str) {
        self.seal_bytes(Part::Name, key, name.as_bytes());
    }

    fn seal_bytes(&mut self, part: Part, key: &Secret<32>, bytes: &[u8]) {
        let mut nonce = [0; 24];
        OsRandom::new().fill_bytes(&mut nonce);
        let sealed = crypto::seal(&derived(key, part), nonce, &self.context(), bytes);
        self.sealed.insert(part, sealed);
    }

    pub(super) fn open(&self, part: Part, key: &Secret<32>) -> Result<Secret<32>, HomeError> {
        let plain = self.open_bytes(part, key)?;
        Secret::from_slice(&plain).ok_or(HomeError::Damaged("a key has the wrong size"))
    }

    pub(super) fn open_name(&self, key: &Secret<32>) -> Result<String, HomeError> {
        let plain = self.open_bytes(Part::Name, key)?.to_vec();
        String::from_utf8(plain).map_err(|_| HomeError::Damaged("the name is no text"))
    }

    /// What hangs on the key-encryption key shows whether the passphrase is right; what hangs on
    /// the master key opens after that, or is damaged.
    fn open_bytes(&self, part: Part, key: &Secret<32>) -> Result<Zeroizing<Vec<u8>>, HomeError> {
        let sealed = self.sealed.get(&part).ok_or(HomeError::Damaged("a key is missing"))?;
        crypto::open(&derived(key, part), &self.context(), sealed).map(Zeroizing::new).map_err(
            |_| match part {
                Part::Device | Part::Name => HomeError::Damaged("a sealed value does not open"),
                Part::Master | Part::Authority | Part::Recovery => HomeError::WrongPassphrase,
            },
        )
    }

    #[cfg(test)]
    pub(super) fn moved_to(self, account: Account) -> Self {
        Self { account, ..self }
    }

    #[cfg(test)]
    pub(super) fn exchange(&mut self, one: Part, other: Part) {
        let (kept, moved) = (self.sealed.remove(&one), self.sealed.remove(&other));
        self.sealed.extend(moved.map(|sealed| (one, sealed)));
        self.sealed.extend(kept.map(|sealed| (other, sealed)));
    }

    fn context(&self) -> Vec<u8> {
        let mut context = b"kith/home-key/1".to_vec();
        context.extend_from_slice(self.account.id().as_bytes());
        context
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let body = self.encode_body();
        let mut writer = Writer::new();
        writer.array(3).uint(VERSION).bytes(&body).bytes(&checksum(&body));
        writer.finish()
    }

    fn encode_body(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(2 + self.sealed.len()).uint(0);
        write_kdf(&mut writer, &self.kdf);
        writer.uint(1).array(self.account.proof().len());
        for envelope in self.account.proof() {
            writer.bytes(envelope);
        }
        for (part, sealed) in &self.sealed {
            writer.uint(*part as u64).bytes(sealed);
        }
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HomeError> {
        let (version, body, sum) = Reader::all(bytes, |reader| {
            reader.tuple("key file", 3)?;
            let version = reader.uint()?;
            Ok((version, reader.bytes("body", bytes.len())?, reader.fixed("checksum")?))
        })?;
        if version != VERSION {
            return Err(HomeError::Newer { found: version });
        }
        if checksum(body) != sum {
            return Err(HomeError::Damaged("its checksum is wrong"));
        }
        let (kdf, proof, sealed) = Reader::all(body, |reader| reader.map(read_body))?;
        Ok(Self { kdf, account: Account::fold(&proof)?, sealed })
    }
}

type Body<'b> = (Kdf, Vec<&'b [u8]>, BTreeMap<Part, Vec<u8>>);

fn read_body<'b>(fields: &mut Fields<'_, 'b>) -> Result<Body<'b>, DecodeError> {
    let kdf = read_kdf(fields.required(0)?)?;
    let proof = fields.required(1)?.list("account", ACCOUNT_PROOF_ENVELOPES_MAX, |reader| {
        reader.bytes("envelope", ACCOUNT_ENVELOPE_BYTES_MAX)
    })?;
    let mut sealed = BTreeMap::new();
    for part in [Part::Master, Part::Device, Part::Authority] {
        let key: [u8; SEALED_BYTES] = fields.required(part as u64)?.fixed("sealed key")?;
        sealed.insert(part, key.to_vec());
    }
    if let Some(reader) = fields.optional(Part::Recovery as u64)? {
        sealed.insert(Part::Recovery, reader.fixed::<SEALED_BYTES>("sealed key")?.to_vec());
    }
    let name = fields.required(Part::Name as u64)?.bytes("name", NAME_BYTES_MAX + SEAL_BYTES)?;
    sealed.insert(Part::Name, name.to_vec());
    Ok((kdf, proof, sealed))
}

pub(super) fn write_kdf(writer: &mut Writer, kdf: &Kdf) {
    match kdf {
        Kdf::None => writer.array(1).uint(0),
        Kdf::Argon2id { cost, salt } => {
            writer.array(4).uint(1).uint(cost.operations).uint(cost.memory_bytes).bytes(salt)
        }
    };
}

pub(super) fn read_kdf(reader: &mut Reader<'_>) -> Result<Kdf, DecodeError> {
    let length = reader.array("derivation", 4)?;
    match (reader.uint()?, length) {
        (0, 1) => Ok(Kdf::None),
        (1, 4) => Ok(Kdf::Argon2id {
            cost: PasswordCost {
                operations: reader.uint_max("passes", OPERATIONS_MAX)?,
                memory_bytes: reader.uint_max("memory", MEMORY_BYTES_MAX)?,
            },
            salt: reader.fixed("salt")?,
        }),
        _ => Err(DecodeError::Value("derivation")),
    }
}

fn derived(key: &Secret<32>, part: Part) -> Secret<32> {
    crypto::derive(key, b"kithkeys", part as u64)
}

fn checksum(body: &[u8]) -> [u8; 32] {
    crypto::hash(b"kith/home-keys/1", body)
}
