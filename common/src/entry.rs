//! What does a log entry say about its place? The signed header and the body beside it (spec 03).
//!
//! The header names the writer's previous entry and what else the writer had seen; the body is
//! named by a salted hash, so that a deleted body cannot be guessed from what remains.

use core::fmt;

use thiserror::Error;

use crate::{
    codec::{DecodeError, Reader, Writer},
    crypto,
    envelope::{Payload, Signed, Verified},
    ids::{AccountId, DeviceId, EntryId, LogId},
    limits::{
        BODY_BYTES_MAX, BODY_SALT_BYTES, ENTRY_ENVELOPE_BYTES_MAX, PARENTS_MAX, SEQ_MAX,
        TEXT_BYTES_MAX,
    },
    time::Hlc,
};

/// A position in a device's chain: its `seq`-th entry and that entry's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The device that wrote the entry.
    pub device: DeviceId,
    /// Number of the entry in the device's chain of this log, from 1.
    pub seq: u64,
    /// Id of the entry.
    pub id: EntryId,
}

impl Mark {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.tuple("mark", 3)?;
        let device = DeviceId::from_bytes(reader.fixed("device")?);
        let seq = read_seq(reader)?;
        Ok(Self { device, seq, id: EntryId::from_bytes(reader.fixed("entry")?) })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.array(3).bytes(self.device.as_bytes());
        writer.uint(self.seq).bytes(self.id.as_bytes());
    }

    /// A list of marks in ascending order: one for each device, or for each history of a device
    /// that wrote several.
    pub(crate) fn read_list(
        reader: &mut Reader<'_>,
        what: &'static str,
        limit: usize,
    ) -> Result<Vec<Self>, DecodeError> {
        let marks = reader.list(what, limit, Self::read)?;
        if marks.is_sorted_by(|a, b| a < b) { Ok(marks) } else { Err(DecodeError::NotCanonical) }
    }

    pub(crate) fn write_list(marks: &[Self], writer: &mut Writer) {
        writer.array(marks.len());
        for mark in marks {
            mark.write(writer);
        }
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}={:?}", self.device, self.seq, self.id)
    }
}

fn read_seq(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match reader.uint_max("sequence number", SEQ_MAX)? {
        0 => Err(DecodeError::Value("sequence number")),
        seq => Ok(seq),
    }
}

/// What an entry is for; unknown kinds are kept and ordered but not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryKind(pub u8);

impl EntryKind {
    /// A text message.
    pub const TEXT: Self = Self(1);
    /// How far a former device's chain is believed (spec 02 R18).
    pub const CUT: Self = Self(2);
    /// Where the writer can be written to while it is not there (spec 09).
    pub const MAILBOX: Self = Self(3);
    /// Under which keys the writer leaves where it is (spec 10).
    pub const ANNOUNCE: Self = Self(4);
    /// Self log: something about a contact (spec 07).
    pub const CONTACT: Self = Self(64);
    /// Self log: how far a log was read.
    pub const READ: Self = Self(65);
    /// Self log: what is deleted.
    pub const DELETE: Self = Self(66);
    /// Self log: a setting.
    pub const SETTING: Self = Self(67);
    /// Self log: what is being written.
    pub const DRAFT: Self = Self(68);
    /// Self log: the name of a device.
    pub const DEVICE: Self = Self(69);

    /// Whether this version shows such entries; others are kept and handed on (spec 03 R11).
    pub const fn is_shown(self) -> bool {
        self.0 == Self::TEXT.0
    }

    /// Whether such entries say where their writer can be reached.
    pub const fn is_signpost(self) -> bool {
        matches!(self.0, 3 | 4)
    }

    /// Whether deleting messages leaves such entries alone (spec 07 R7).
    pub const fn is_kept(self) -> bool {
        matches!(self.0, 2..=4)
    }
}

/// The signed header of a log entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The log that the entry stands in.
    pub log: LogId,
    /// The account of the writer.
    pub account: AccountId,
    /// Number of the entry in its device's chain of this log, from 1.
    pub seq: u64,
    /// The device's entry before this one; absent exactly when `seq` is 1.
    pub prev: Option<EntryId>,
    /// Entries of other devices that the writer had seen and nobody had yet joined.
    pub parents: Vec<Mark>,
    /// 1 more than the largest depth among `prev` and `parents`.
    pub depth: u64,
    /// The writer's hybrid logical clock.
    pub hlc: Hlc,
    /// What the writer knew of its own account.
    pub account_head: EntryId,
    /// What the entry is for.
    pub kind: EntryKind,
    /// `H("kith/body/1", body)`, the body with its salt in front.
    pub body_hash: [u8; 32],
    /// Bytes of the body, salt included.
    pub body_bytes: u64,
}

impl Payload for Entry {
    const KIND: u64 = 5;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/entry/1";
    const ENVELOPE_BYTES_MAX: usize = ENTRY_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let log = LogId::from_bytes(m.required(0)?.fixed("log")?);
            let account = AccountId::from_bytes(m.required(1)?.fixed("account")?);
            let seq = read_seq(m.required(2)?)?;
            let prev =
                m.optional(3)?.map(|r| r.fixed("entry").map(EntryId::from_bytes)).transpose()?;
            if prev.is_some() != (seq > 1) {
                return Err(DecodeError::Value("previous entry"));
            }
            let parents = Mark::read_list(m.required(4)?, "parents", PARENTS_MAX)?;
            let depth = m.required(5)?.uint_max("depth", SEQ_MAX)?;
            let hlc = Hlc::from_bits(m.required(6)?.uint()?);
            let account_head = EntryId::from_bytes(m.required(7)?.fixed("account head")?);
            let kind = m.required(8)?.uint_max("kind", u64::from(u8::MAX))?;
            let body_hash = m.required(9)?.fixed("body hash")?;
            let body_bytes = m.required(10)?.uint_max("body", BODY_BYTES_MAX as u64)?;
            Ok(Self {
                log,
                account,
                seq,
                prev,
                parents,
                depth,
                hlc,
                account_head,
                kind: EntryKind(u8::try_from(kind).map_err(|_| DecodeError::Value("kind"))?),
                body_hash,
                body_bytes,
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(10 + usize::from(self.prev.is_some()));
        writer.uint(0).bytes(self.log.as_bytes());
        writer.uint(1).bytes(self.account.as_bytes());
        writer.uint(2).uint(self.seq);
        if let Some(prev) = self.prev {
            writer.uint(3).bytes(prev.as_bytes());
        }
        writer.uint(4);
        Mark::write_list(&self.parents, writer);
        writer.uint(5).uint(self.depth);
        writer.uint(6).uint(self.hlc.bits());
        writer.uint(7).bytes(self.account_head.as_bytes());
        writer.uint(8).uint(u64::from(self.kind.0));
        writer.uint(9).bytes(&self.body_hash);
        writer.uint(10).uint(self.body_bytes);
    }
}

/// The chain rule: an entry is authentic if an authentic one of the same device names it through
/// `prev`, because the id covers the signature (spec 03 R4). `id` is the predecessor's own id.
pub fn vouched(
    entry: Signed<Entry>,
    id: EntryId,
    successor: &Verified<Entry>,
) -> Result<Verified<Entry>, Signed<Entry>> {
    debug_assert_eq!(entry.id(), id, "the id is computed from the bytes");
    let named = successor.value().prev == Some(id)
        && successor.signer() == entry.signer()
        && successor.value().log == entry.claim().log;
    if named { Ok(entry.believed()) } else { Err(entry) }
}

/// Why a body was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is not the body that the header names.
    #[error("the body is not the one that was signed")]
    Hash,
    /// It does not say what its kind must say.
    #[error("the body is not well-formed: {0}")]
    Decode(#[from] DecodeError),
}

/// Checks a body against the header that names it.
///
/// # Errors
/// [`BodyError::Hash`] if length or hash differ.
pub fn check_body(entry: &Entry, body: &[u8]) -> Result<(), BodyError> {
    if body.len() as u64 == entry.body_bytes && hash_body(body) == entry.body_hash {
        Ok(())
    } else {
        Err(BodyError::Hash)
    }
}

/// The hash by which a header names its body.
pub fn hash_body(body: &[u8]) -> [u8; 32] {
    crypto::hash(b"kith/body/1", body)
}

/// The body of a text message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What is said; 1 to 60,000 bytes.
    pub text: String,
    /// The message that this one answers.
    pub reply_to: Option<EntryId>,
}

impl Text {
    /// The body with its salt in front.
    pub fn encode(&self, salt: [u8; BODY_SALT_BYTES]) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(1 + usize::from(self.reply_to.is_some()));
        writer.uint(0).text(&self.text);
        if let Some(reply_to) = self.reply_to {
            writer.uint(1).bytes(reply_to.as_bytes());
        }
        let mut body = salt.to_vec();
        body.extend_from_slice(&writer.finish());
        body
    }

    /// Reads a body, salt included.
    ///
    /// # Errors
    /// If it is not well-formed, or the text is empty or too long.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (_, content) = body.split_at_checked(BODY_SALT_BYTES).ok_or(DecodeError::Malformed)?;
        Reader::all(content, |reader| {
            reader.map(|m| {
                let text = m.required(0)?.text("text", TEXT_BYTES_MAX)?.to_owned();
                if text.is_empty() {
                    return Err(DecodeError::Value("text"));
                }
                let reply_to = m
                    .optional(1)?
                    .map(|r| r.fixed("entry").map(EntryId::from_bytes))
                    .transpose()?;
                Ok(Self { text, reply_to })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{envelope::sign, keys::SigningKey};

    fn entry(seq: u64, prev: Option<EntryId>) -> Entry {
        Entry {
            log: LogId::from_bytes([1; 32]),
            account: AccountId::from_bytes([2; 32]),
            seq,
            prev,
            parents: vec![],
            depth: seq,
            hlc: Hlc::from_bits(77),
            account_head: EntryId::from_bytes([3; 32]),
            kind: EntryKind::TEXT,
            body_hash: [4; 32],
            body_bytes: 20,
        }
    }

    #[test]
    fn the_first_entry_has_no_previous_one_and_others_have() {
        let key = SigningKey::from_seed(&[1; 32]);
        let id = EntryId::from_bytes([9; 32]);
        for (seq, prev, fine) in
            [(1, None, true), (2, Some(id), true), (1, Some(id), false), (2, None, false)]
        {
            let bytes = sign(&key, entry(seq, prev)).into_bytes();
            assert_eq!(Signed::<Entry>::decode(&bytes).is_ok(), fine, "{seq} {prev:?}");
        }
    }

    #[test]
    fn an_authentic_successor_vouches_for_what_it_names_and_nothing_else() {
        let (alice, mallory) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let first = sign(&alice, entry(1, None));
        let second = sign(&alice, entry(2, Some(first.id())));
        let decoded = || Signed::<Entry>::decode(first.bytes()).unwrap();
        assert_eq!(vouched(decoded(), first.id(), &second), Ok(first.clone()));
        let foreign = sign(&mallory, entry(2, Some(first.id())));
        assert!(vouched(decoded(), first.id(), &foreign).is_err());
        let stranger = sign(&alice, entry(2, Some(EntryId::from_bytes([8; 32]))));
        assert!(vouched(decoded(), first.id(), &stranger).is_err());
    }

    #[test]
    fn parents_are_ordered_and_bounded() {
        let key = SigningKey::from_seed(&[1; 32]);
        let mark = |n: u8| Mark {
            device: DeviceId::from_bytes([n; 32]),
            seq: 1,
            id: EntryId::from_bytes([n; 32]),
        };
        for (parents, fine) in [
            (vec![mark(1), mark(2)], true),
            (vec![mark(2), mark(1)], false),
            (vec![mark(1), mark(1)], false),
            ((0..9).map(mark).collect(), false),
        ] {
            let bytes = sign(&key, Entry { parents, ..entry(1, None) }).into_bytes();
            assert_eq!(Signed::<Entry>::decode(&bytes).is_ok(), fine);
        }
    }

    proptest! {
        #[test]
        fn texts_come_back(text in ".{1,200}", salt: [u8; BODY_SALT_BYTES], reply: Option<[u8; 32]>) {
            let message = Text { text, reply_to: reply.map(EntryId::from_bytes) };
            let body = message.encode(salt);
            prop_assert_eq!(Text::decode(&body), Ok(message));
        }

        #[test]
        fn decoding_anything_never_panics(bytes: Vec<u8>) {
            let _ = Text::decode(&bytes);
            let _ = Signed::<Entry>::decode(&bytes);
        }
    }
}
