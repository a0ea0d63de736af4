//! Under which keys does a device leave where it is, and what is in there? Records (spec 10).
//!
//! A record lies somewhere in a distributed hash table under a key that changes daily and that only
//! those can compute who were told the public keys of the days, or who know an id. Whoever keeps it
//! sees a signature under a key that it sees this once, and random bytes.

mod id;

use core::fmt;

use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

pub use self::id::FindKey;
use crate::{
    codec::{DecodeError, Reader, Writer},
    crypto::{self, SEAL_BYTES},
    envelope::{Payload, Signed, sign},
    frame::{read_addresses, write_addresses},
    keys::{Secret, SigningKey},
    limits::{
        ADDRESS_BYTES_MAX, ADDRESSES_MAX, ANNOUNCED_DAYS_MAX, BODY_SALT_BYTES, RECORD_AGE_MS_MAX,
        RECORD_BYTES_MAX, RECORD_PLAIN_BYTES, SEQ_MAX,
    },
    time::Timestamp,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const HOUR_MS: u64 = 60 * 60 * 1000;
/// Hours of the first and of the last part of a day in which the day beside it counts too.
const OVERLAP_MS: u64 = 2 * HOUR_MS;
/// Seconds by which sequences are spread.
const SEQUENCE_SPREAD_SECONDS: u64 = 600;
/// Bytes of the length in front of what is padded.
const LENGTH_BYTES: usize = 4;
/// Bytes of a sealed content.
const SEALED_BYTES: usize = SEAL_BYTES + RECORD_PLAIN_BYTES;

/// A day since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub u32);

impl Day {
    /// The day of a moment.
    pub fn of(now: Timestamp) -> Self {
        Self(u32::try_from(now.millis() / DAY_MS).unwrap_or(u32::MAX))
    }

    /// The days that count at a moment: its own first, and the one beside it that is less than two
    /// hours away.
    pub fn around(now: Timestamp) -> Vec<Self> {
        let (Self(day), within) = (Self::of(now), now.millis() % DAY_MS);
        let beside = if within < OVERLAP_MS {
            day.checked_sub(1)
        } else if within >= DAY_MS - OVERLAP_MS {
            day.checked_add(1)
        } else {
            None
        };
        [Some(day), beside].into_iter().flatten().map(Self).collect()
    }

    /// When the days that count change next.
    pub fn next_change(now: Timestamp) -> Timestamp {
        let (begin, within) = (now.millis() / DAY_MS * DAY_MS, now.millis() % DAY_MS);
        let changes = [OVERLAP_MS, DAY_MS - OVERLAP_MS, DAY_MS];
        let next = changes.into_iter().find(|at| within < *at).unwrap_or(DAY_MS);
        Timestamp::from_millis(begin + next)
    }
}

/// Where a record lies: the hash of the key that signed it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey([u8; 32]);

impl RecordKey {
    /// Where records signed with this key lie.
    pub fn of(signer: &[u8; 32]) -> Self {
        Self(crypto::hash(b"kith/dht/1", signer))
    }

    /// A key as received.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "record:{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

/// What lies there: a time, and bytes that only those open who know the key of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The higher one counts.
    pub sequence: u64,
    /// When it is worth nothing any more.
    pub not_after: Timestamp,
    sealed: Box<[u8]>,
}

impl Payload for Record {
    const KIND: u64 = 24;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/record/1";
    const ENVELOPE_BYTES_MAX: usize = RECORD_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let sequence = m.required(0)?.uint_max("sequence", SEQ_MAX)?;
            let not_after = m.required(1)?.uint_max("not after", Timestamp::LAST.millis())?;
            let sealed = m.required(2)?.fixed::<SEALED_BYTES>("sealed")?;
            let not_after = Timestamp::from_millis(not_after);
            Ok(Self { sequence, not_after, sealed: sealed.into() })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3).uint(0).uint(self.sequence);
        writer.uint(1).uint(self.not_after.millis());
        writer.uint(2).bytes(&self.sealed);
    }
}

/// Why a record is not kept or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordRefusal {
    /// It is no record at all.
    #[error("the record is not well-formed ({0})")]
    Malformed(#[from] DecodeError),
    /// It lies under a key that is not its signer's.
    #[error("the record lies under a key that is not its own")]
    Key,
    /// It was not signed by the key that it names.
    #[error("the signature of the record does not hold")]
    Signature,
    /// It has ended, or ends too late.
    #[error("the record has ended, or claims to last for more than a day")]
    Time,
    /// It was not sealed for whoever tries to open it.
    #[error("the record does not open")]
    Sealed,
}

/// A record that may be kept, as far as its keeper can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedRecord {
    /// The higher one counts.
    pub sequence: u64,
    /// When it is worth nothing any more.
    pub not_after: Timestamp,
}

/// Whether a value may be kept under a key, by whoever keeps records.
///
/// # Errors
/// [`RecordRefusal`], the cheapest check first.
pub fn check_record(
    key: &[u8],
    value: &[u8],
    now: Timestamp,
) -> Result<CheckedRecord, RecordRefusal> {
    verify_record(key, value, now).map(|record| {
        let Record { sequence, not_after, .. } = record;
        CheckedRecord { sequence, not_after }
    })
}

/// The sequence of a new record: the time in seconds less up to ten minutes by chance, so that records
/// of two days made at once have nothing in common; but more than that of the record before it under
/// the same key.
pub fn next_sequence(now: Timestamp, before: u64, rng: &mut dyn CryptoRng) -> u64 {
    let early = u64::from(rng.next_u32()) % SEQUENCE_SPREAD_SECONDS;
    let sequence = (now.millis() / 1000).saturating_sub(early);
    sequence.max(before.saturating_add(1)).min(SEQ_MAX)
}

/// Where a record lies if it was signed by the key that it names.
///
/// # Errors
/// If it is not well-formed.
pub fn key_of_record(value: &[u8]) -> Result<RecordKey, RecordRefusal> {
    Ok(RecordKey::of(Signed::<Record>::decode(value)?.signer()))
}

fn verify_record(key: &[u8], value: &[u8], now: Timestamp) -> Result<Record, RecordRefusal> {
    let signed = Signed::<Record>::decode(value)?;
    if RecordKey::of(signed.signer()).as_bytes() != key {
        return Err(RecordRefusal::Key);
    }
    let not_after = signed.claim().not_after;
    if not_after <= now || not_after > now.plus_millis(RECORD_AGE_MS_MAX) {
        return Err(RecordRefusal::Time);
    }
    let verified = signed.verify().map_err(|_| RecordRefusal::Signature)?;
    Ok(verified.into_value())
}

/// The key that opens where a device is; whoever has it can also compute the places where it meets
/// others.
#[derive(Clone, PartialEq, Eq)]
pub struct AddressKey([u8; 32]);

impl AddressKey {
    /// A new one.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// One that was made before.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes to a writer.
    pub fn expose<R>(&self, reader: impl FnOnce(&[u8; 32]) -> R) -> R {
        reader(&self.0)
    }

    fn secret(&self) -> Secret<32> {
        Secret::copied(&self.0)
    }

    /// Makes a record of addresses, as many as fit, which are given in the order of their worth.
    pub fn seal_record(
        &self,
        signer: &SigningKey,
        addresses: &[String],
        (now, sequence): (Timestamp, u64),
        rng: &mut dyn CryptoRng,
    ) -> Box<[u8]> {
        let mut nonce = [0; 24];
        rng.fill_bytes(&mut nonce);
        let plain = padded(addresses);
        let sealed =
            crypto::seal(&self.secret(), nonce, &record_context(signer.public()), &plain).into();
        let not_after = Timestamp::from_millis(now.millis() / HOUR_MS * HOUR_MS + 23 * HOUR_MS);
        let record = Record { sequence, not_after, sealed };
        sign(signer, record).into_bytes()
    }

    /// Opens a record found under a key.
    ///
    /// # Errors
    /// [`RecordRefusal`] if it may not be used or was not sealed with this key.
    pub fn open_record(
        &self,
        key: RecordKey,
        value: &[u8],
        now: Timestamp,
    ) -> Result<Found, RecordRefusal> {
        let signer = *Signed::<Record>::decode(value)?.signer();
        let record = verify_record(key.as_bytes(), value, now)?;
        let plain = crypto::open(&self.secret(), &record_context(&signer), &record.sealed)
            .map_err(|_| RecordRefusal::Sealed)?;
        let (length, rest) = plain.split_first_chunk().ok_or(RecordRefusal::Sealed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (content, padding) = rest.split_at_checked(length).ok_or(RecordRefusal::Sealed)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(RecordRefusal::Sealed);
        }
        let addresses = Reader::all(content, |r| r.map(|m| read_addresses(m.required(0)?)))?;
        Ok(Found { sequence: record.sequence, not_after: record.not_after, addresses })
    }

    /// What asks for the record under a key on one link, from the transport id of who asks to that of
    /// who answers: only who has the key of addresses can make it or recognise it.
    pub fn seek_token(&self, key: RecordKey, asker: &[u8], answerer: &[u8]) -> [u8; 32] {
        let parts = [b"kith/seek/1".as_slice(), &key.0, asker, answerer];
        crypto::keyed_hash(&self.secret(), &in_parts(&parts))
    }

    /// The namespace in which the device registers on a day, and where it is looked for.
    pub fn namespace(&self, day: Day) -> String {
        let mut message = b"\x0bkith/meet/1".to_vec();
        message.extend_from_slice(&u64::from(day.0).to_be_bytes());
        let hash = crypto::keyed_hash(&self.secret(), &message);
        data_encoding::HEXLOWER.encode(hash.split_at(16).0)
    }
}

impl fmt::Debug for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressKey(hidden)")
    }
}

impl Drop for AddressKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What a record says to whoever may open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The higher one counts.
    pub sequence: u64,
    /// When it is worth nothing any more.
    pub not_after: Timestamp,
    /// Where the device is.
    pub addresses: Vec<String>,
}

/// Parts of at most 255 bytes, each behind its length.
fn in_parts(parts: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::with_capacity(192);
    for part in parts {
        message.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        message.extend_from_slice(part);
    }
    message
}

fn record_context(signer: &[u8; 32]) -> Vec<u8> {
    [Record::DOMAIN.as_bytes(), signer].concat()
}

/// The first addresses that fit, with their length in front and zeros behind.
fn padded(addresses: &[String]) -> Vec<u8> {
    let mut fitting: Vec<String> = Vec::new();
    let mut content = encoded(&fitting);
    for address in addresses.iter().filter(|address| address.len() <= ADDRESS_BYTES_MAX) {
        if fitting.len() == ADDRESSES_MAX {
            break;
        }
        fitting.push(address.clone());
        let longer = encoded(&fitting);
        if longer.len() + LENGTH_BYTES > RECORD_PLAIN_BYTES {
            fitting.pop();
        } else {
            content = longer;
        }
    }
    let length = u32::try_from(content.len()).unwrap_or_default();
    let mut plain = length.to_be_bytes().to_vec();
    plain.extend_from_slice(&content);
    plain.resize(RECORD_PLAIN_BYTES, 0);
    plain
}

fn encoded(addresses: &[String]) -> Vec<u8> {
    let mut writer = Writer::new();
    write_addresses(writer.map(1).uint(0), addresses);
    writer.finish()
}

/// From what a device makes the keys of its days.
#[derive(Debug)]
pub struct AnnounceSecret(Secret<32>);

impl AnnounceSecret {
    /// A new one.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// One that was made before.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Secret::copied(bytes))
    }

    /// Gives the bytes to a writer.
    pub fn expose<R>(&self, reader: impl FnOnce(&[u8]) -> R) -> R {
        self.0.expose(reader)
    }

    /// The key that signs on a day.
    pub fn key(&self, day: Day) -> SigningKey {
        signing_key(&crypto::derive(&self.0, b"announce", u64::from(day.0)))
    }
}

fn signing_key(seed: &Secret<32>) -> SigningKey {
    SigningKey::from_seed(&copy_of(seed))
}

/// The bytes of a derived key, wiped when they are dropped.
fn copy_of(secret: &Secret<32>) -> Zeroizing<[u8; 32]> {
    let mut copy = Zeroizing::new([0; 32]);
    secret.expose(|bytes| copy.copy_from_slice(bytes));
    copy
}

/// What an entry of kind [`ANNOUNCE`](crate::entry::EntryKind::ANNOUNCE) says: where its writer
/// leaves records. The last one of a device counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What opens them.
    pub addresses: AddressKey,
    /// The first day that has a key.
    pub first: Day,
    /// The public keys of the days; none: no records are left any more.
    pub keys: Vec<[u8; 32]>,
}

impl Schedule {
    /// The keys of as many days as may be announced.
    pub fn of(secret: &AnnounceSecret, addresses: AddressKey, first: Day) -> Self {
        let days = (first.0..=u32::MAX).take(ANNOUNCED_DAYS_MAX);
        let keys = days.map(|day| *secret.key(Day(day)).public()).collect();
        Self { addresses, first, keys }
    }

    /// Where the record of a day lies.
    pub fn key(&self, day: Day) -> Option<RecordKey> {
        let at = day.0.checked_sub(self.first.0)?;
        self.keys.get(usize::try_from(at).ok()?).map(RecordKey::of)
    }

    /// Days from `day` on that have a key.
    pub fn days_left(&self, day: Day) -> usize {
        let past = day.0.saturating_sub(self.first.0);
        self.keys.len().saturating_sub(usize::try_from(past).unwrap_or(usize::MAX))
    }

    /// The body with its salt in front.
    pub fn encode(&self, salt: [u8; BODY_SALT_BYTES]) -> Vec<u8> {
        let mut body = salt.to_vec();
        body.extend_from_slice(&self.to_bytes());
        body
    }

    /// Reads a body, salt included.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (_, content) = body.split_at_checked(BODY_SALT_BYTES).ok_or(DecodeError::Malformed)?;
        Self::from_bytes(content)
    }

    /// The content without salt.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(3).uint(0);
        self.addresses.expose(|key| {
            writer.bytes(key);
        });
        writer.uint(1).uint(u64::from(self.first.0));
        writer.uint(2).bytes(self.keys.as_flattened());
        writer.finish()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn from_bytes(content: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(content, |reader| {
            reader.map(|m| {
                let addresses = AddressKey::from_bytes(m.required(0)?.fixed("key of addresses")?);
                let first = m.required(1)?.uint_max("first day", u64::from(u32::MAX))?;
                let first = Day(u32::try_from(first).map_err(|_| DecodeError::Value("first day"))?);
                let keys = m.required(2)?.bytes("announce keys", ANNOUNCED_DAYS_MAX * 32)?;
                let (keys, rest) = keys.as_chunks::<32>();
                if !rest.is_empty() {
                    return Err(DecodeError::Value("announce keys"));
                }
                Ok(Self { addresses, first, keys: keys.to_vec() })
            })
        })
    }
}

#[cfg(test)]
mod tests;
