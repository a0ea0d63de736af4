//! What is asked of a mailbox-server? Five requests, each signed (spec 20).

use super::{Days, read_blobs_max, read_card};
use crate::{
    codec::{DecodeError, Reader, Writer},
    crypto,
    envelope::{Payload, sign},
    keys::SigningKey,
    limits::{
        ACCESS_BYTES_MAX, BLOB_BYTES_MAX, FETCH_ENVELOPE_BYTES_MAX, FETCH_ITEMS_MAX,
        FETCH_WAIT_MS_MAX, OPEN_ENVELOPE_BYTES_MAX, SEQ_MAX, SHORT_ENVELOPE_BYTES_MAX,
    },
    service::{Request, Stamp, some_text},
};

/// Makes a queue, or changes it; signed by the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// For whom, when, which.
    pub stamp: Stamp,
    /// Public key of those who may write.
    pub writer: [u8; 32],
    /// How long blobs are kept.
    pub days: Days,
    /// Blobs at most, from 1.
    pub blobs_max: u16,
    /// Bytes at most.
    pub bytes_max: u64,
    /// What writers are shown; 1 to 16,384 bytes.
    pub card: Option<Box<[u8]>>,
    /// The server's access word; 1 to 64 bytes.
    pub access: Option<String>,
}

impl Payload for Open {
    const KIND: u64 = 19;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/mailbox-open/1";
    const ENVELOPE_BYTES_MAX: usize = OPEN_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let stamp = Stamp::read(m)?;
            let writer = m.required(3)?.fixed("writer")?;
            let days = Days::read(m.required(4)?)?;
            let blobs_max = read_blobs_max(m.required(5)?)?;
            let bytes_max = m.required(6)?.uint_max("bytes at most", SEQ_MAX)?;
            let card = m.optional(7)?.map(read_card).transpose()?;
            let access = m
                .optional(8)?
                .map(|r| some_text(r, "access word", ACCESS_BYTES_MAX))
                .transpose()?;
            Ok(Self { stamp, writer, days, blobs_max, bytes_max, card, access })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(7 + usize::from(self.card.is_some()) + usize::from(self.access.is_some()));
        self.stamp.write(writer);
        writer.uint(3).bytes(&self.writer).uint(4).uint(self.days.count());
        writer.uint(5).uint(u64::from(self.blobs_max)).uint(6).uint(self.bytes_max);
        if let Some(card) = &self.card {
            writer.uint(7).bytes(card);
        }
        if let Some(access) = &self.access {
            writer.uint(8).text(access);
        }
    }
}

/// Leaves a blob; signed by the writer. The blob stands beside it, see [`PutBody`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// For whom, when, which.
    pub stamp: Stamp,
    /// BLAKE2b-256 of the blob.
    pub hash: [u8; 32],
}

impl Payload for Put {
    const KIND: u64 = 20;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/mailbox-put/1";
    const ENVELOPE_BYTES_MAX: usize = SHORT_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let stamp = Stamp::read(m)?;
            Ok(Self { stamp, hash: m.required(3)?.fixed("hash")? })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(4);
        self.stamp.write(writer);
        writer.uint(3).bytes(&self.hash);
    }
}

/// The body of a put: the envelope of [`Put`] and the blob, lent from the bytes as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutBody<'b> {
    /// Envelope of the [`Put`].
    pub put: &'b [u8],
    /// The blob; whether its size and hash are right is for the reader to see.
    pub blob: &'b [u8],
}

impl<'b> PutBody<'b> {
    /// Signs a put of the blob; the body as it is sent.
    pub fn signed(key: &SigningKey, stamp: Stamp, blob: &[u8]) -> Vec<u8> {
        let put = sign(key, Put { stamp, hash: crypto::hash_plain(blob) });
        PutBody { put: put.bytes(), blob }.encode()
    }

    /// Reads the body, copying nothing.
    ///
    /// # Errors
    /// If it is not canonical or larger than allowed.
    pub fn decode(bytes: &'b [u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.tuple("put", 2)?;
            let put = reader.bytes("envelope", Put::ENVELOPE_BYTES_MAX)?;
            Ok(Self { put, blob: reader.bytes("blob", BLOB_BYTES_MAX)? })
        })
    }

    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(2).bytes(self.put).bytes(self.blob);
        writer.finish()
    }
}

/// Deletes what is stored and takes what is there; signed by the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// For whom, when, which.
    pub stamp: Stamp,
    /// Numbers to delete, ascending; at most 512.
    pub delete: Vec<u64>,
    /// Milliseconds to wait if there is nothing; at most 60,000.
    pub wait_ms: u64,
}

impl Payload for Fetch {
    const KIND: u64 = 21;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/mailbox-fetch/1";
    const ENVELOPE_BYTES_MAX: usize = FETCH_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let stamp = Stamp::read(m)?;
            let delete = m
                .required(3)?
                .list("numbers", FETCH_ITEMS_MAX, |r| r.uint_max("number", SEQ_MAX))?;
            if !delete.is_sorted_by(|one, other| one < other) {
                return Err(DecodeError::NotCanonical);
            }
            let wait_ms = m.required(4)?.uint_max("wait", FETCH_WAIT_MS_MAX)?;
            Ok(Self { stamp, delete, wait_ms })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(5);
        self.stamp.write(writer);
        writer.uint(3).array(self.delete.len());
        for number in &self.delete {
            writer.uint(*number);
        }
        writer.uint(4).uint(self.wait_ms);
    }
}

macro_rules! only_stamped {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $domain:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// For whom, when, which.
            pub stamp: Stamp,
        }

        impl Payload for $name {
            const KIND: u64 = $kind;
            const VERSION: u64 = 1;
            const DOMAIN: &'static str = $domain;
            const ENVELOPE_BYTES_MAX: usize = SHORT_ENVELOPE_BYTES_MAX;

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.map(|m| Ok(Self { stamp: Stamp::read(m)? }))
            }

            fn write(&self, writer: &mut Writer) {
                writer.map(3);
                self.stamp.write(writer);
            }
        }
    };
}

only_stamped!(
    /// Asks whether the queue is still the same; signed by the writer.
    Status, 22, "kith/mailbox-status/1"
);
only_stamped!(
    /// Deletes the queue with all that is in it; signed by the owner or the writer.
    Close, 23, "kith/mailbox-close/1"
);

macro_rules! requests {
    ($($name:ident),*) => {
        $(impl Request for $name {
            fn stamp(&self) -> &Stamp {
                &self.stamp
            }
        })*
    };
}

requests!(Open, Put, Fetch, Status, Close);
