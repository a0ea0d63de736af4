//! What does a sealed row say, and where does it open? Formats of version 2.
//!
//! Every row is sealed with XChaCha20-Poly1305 under a random nonce. The associated data names the
//! table and the columns beside it, so a row opens only where it was written. Look-up columns are
//! keyed hashes: without the master key an id can neither be read nor recognised.

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    crypto::{self, CryptoError},
    ids::EntryId,
    keys::Secret,
    time::Timestamp,
};
use kith_core::store::{Body, EntryRow, Place, Position, RecordKind, StoreError};
use rand_core::Rng;
use thiserror::Error;

use crate::random::OsRandom;

/// Bytes of the keyed hash that a record is looked up by.
pub(super) const RECORD_NAME_BYTES: usize = 16;

const PURPOSE: &[u8; 8] = b"kithstor";
const VERSION: u64 = 2;
const BODY_HERE: u64 = 0;
const BODY_MISSING: u64 = 1;
const BODY_DELETED: u64 = 2;
const CHECK: &[u8] = b"kith/store/1";

/// Where an entry's row stands: the columns its seal is bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryPlace {
    pub(super) place: Place,
    pub(super) eff: u64,
}

/// Why a row could not be read.
#[derive(Debug, Error)]
enum RowError {
    #[error("a row was changed, moved or written under another key; the database is damaged")]
    Open(#[from] CryptoError),
    #[error("a row is not of this version's form: {0}")]
    Decode(#[from] DecodeError),
}

/// The keys of one database, all derived from its master key.
#[derive(Debug)]
pub(super) struct RowKeys {
    check: Secret<32>,
    records: Secret<32>,
    record_names: Secret<32>,
    entries: Secret<32>,
    entry_names: Secret<32>,
}

impl RowKeys {
    pub(super) fn new(master: &Secret<32>) -> Self {
        let key = |number| crypto::derive(master, PURPOSE, number);
        Self {
            check: key(1),
            records: key(2),
            record_names: key(3),
            entries: key(4),
            entry_names: key(5),
        }
    }

    /// A value that opens under the same master key only.
    pub(super) fn check_value(&self) -> Vec<u8> {
        crypto::seal(&self.check, nonce(), CHECK, &[])
    }

    /// Whether the value was made under this master key.
    pub(super) fn check_opens(&self, value: &[u8]) -> bool {
        crypto::open(&self.check, CHECK, value).is_ok()
    }

    pub(super) fn record_name(&self, kind: RecordKind, key: &[u8]) -> [u8; RECORD_NAME_BYTES] {
        let mut named = Vec::with_capacity(1 + key.len());
        named.push(kind as u8);
        named.extend_from_slice(key);
        first_bytes(&crypto::keyed_hash(&self.record_names, &named))
    }

    pub(super) fn entry_name(&self, id: EntryId) -> i64 {
        i64::from_be_bytes(first_bytes(&crypto::keyed_hash(&self.entry_names, id.as_bytes())))
    }

    pub(super) fn seal_record(
        &self,
        kind: RecordKind,
        name: &[u8; RECORD_NAME_BYTES],
        key: &[u8],
        value: &[u8],
    ) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(3).uint(VERSION).bytes(key).bytes(value);
        crypto::seal(&self.records, nonce(), &record_context(kind, name), &writer.finish())
    }

    pub(super) fn open_record(
        &self,
        kind: RecordKind,
        name: &[u8; RECORD_NAME_BYTES],
        sealed: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
        crypto::open(&self.records, &record_context(kind, name), sealed)
            .map_err(RowError::Open)
            .and_then(|plain| Ok(read_record(&plain)?))
            .map_err(|cause| StoreError::new("Reading a record", cause))
    }

    pub(super) fn seal_entry(&self, place: EntryPlace, row: &EntryRow) -> Vec<u8> {
        crypto::seal(&self.entries, nonce(), &entry_context(place), &write_entry(row))
    }

    pub(super) fn open_entry(
        &self,
        place: EntryPlace,
        sealed: &[u8],
    ) -> Result<EntryRow, StoreError> {
        crypto::open(&self.entries, &entry_context(place), sealed)
            .map_err(RowError::Open)
            .and_then(|plain| Ok(read_entry(place, &plain)?))
            .map_err(|cause| StoreError::new("Reading an entry", cause))
    }
}

/// `[version, id, depth, received at, late, envelope, state of the body, ? body]`.
fn write_entry(row: &EntryRow) -> Vec<u8> {
    let state = match row.body {
        Body::Here(_) => BODY_HERE,
        Body::Missing => BODY_MISSING,
        Body::Deleted => BODY_DELETED,
    };
    let body = row.body.bytes();
    let mut writer = Writer::new();
    writer.array(7 + usize::from(body.is_some()));
    writer.uint(VERSION).bytes(row.position.id.as_bytes());
    writer.uint(row.depth).uint(row.received_at.millis()).bool(row.late);
    writer.bytes(&row.envelope).uint(state);
    if let Some(body) = body {
        writer.bytes(body);
    }
    writer.finish()
}

fn read_entry(
    EntryPlace { place, eff }: EntryPlace,
    plain: &[u8],
) -> Result<EntryRow, DecodeError> {
    let limit = plain.len();
    Reader::all(plain, |reader| {
        let fields = reader.array("entry row", 8)?;
        read_version(reader)?;
        let id = EntryId::from_bytes(reader.fixed("entry id")?);
        Ok(EntryRow {
            place,
            position: Position { eff, id },
            depth: reader.uint()?,
            received_at: Timestamp::from_millis(reader.uint()?),
            late: reader.bool()?,
            envelope: reader.bytes("envelope", limit)?.into(),
            body: match (reader.uint()?, fields) {
                (BODY_HERE, 8) => Body::Here(reader.bytes("body", limit)?.into()),
                (BODY_MISSING, 7) => Body::Missing,
                (BODY_DELETED, 7) => Body::Deleted,
                _ => return Err(DecodeError::Value("body of an entry row")),
            },
        })
    })
}

fn read_record(plain: &[u8]) -> Result<(Vec<u8>, Vec<u8>), DecodeError> {
    let limit = plain.len();
    Reader::all(plain, |reader| {
        reader.tuple("record", 3)?;
        read_version(reader)?;
        let key = reader.bytes("key", limit)?.to_vec();
        Ok((key, reader.bytes("value", limit)?.to_vec()))
    })
}

fn read_version(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match reader.uint()? {
        VERSION => Ok(()),
        _ => Err(DecodeError::Value("version of a row")),
    }
}

/// `1 ‖ log ‖ author ‖ seq ‖ eff`, big-endian.
fn entry_context(EntryPlace { place, eff }: EntryPlace) -> [u8; 23] {
    let mut context = [1; 23];
    let [_, rest @ ..] = &mut context;
    let parts: [&[u8]; 4] = [
        &place.log.0.to_be_bytes(),
        &place.author.0.to_be_bytes(),
        &place.seq.to_be_bytes(),
        &eff.to_be_bytes(),
    ];
    for (space, byte) in rest.iter_mut().zip(parts.into_iter().flatten()) {
        *space = *byte;
    }
    context
}

/// `2 ‖ kind ‖ name`.
fn record_context(kind: RecordKind, name: &[u8; RECORD_NAME_BYTES]) -> [u8; 18] {
    let mut context = [2; 18];
    let [_, kind_space, rest @ ..] = &mut context;
    *kind_space = kind as u8;
    rest.copy_from_slice(name);
    context
}

fn first_bytes<const N: usize>(hash: &[u8; crypto::HASH_BYTES]) -> [u8; N] {
    let mut first = [0; N];
    for (space, byte) in first.iter_mut().zip(hash) {
        *space = *byte;
    }
    first
}

fn nonce() -> [u8; 24] {
    let mut nonce = [0; 24];
    OsRandom::new().fill_bytes(&mut nonce);
    nonce
}
