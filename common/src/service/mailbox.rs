//! What is said to a mailbox-server, and what does it answer? (spec 20)

use core::fmt;

use crate::{
    codec::{DecodeError, Reader},
    limits::{
        CARD_BYTES_MAX, FETCH_ENVELOPE_BYTES_MAX, OPEN_ENVELOPE_BYTES_MAX, PUT_BODY_BYTES_MAX,
        SHORT_ENVELOPE_BYTES_MAX,
    },
};

pub mod live;
mod reply;
mod request;

pub use reply::{Done, Fetched, Item, Opened, Standing, Stored};
pub use request::{Close, Fetch, Open, Put, PutBody, Status};

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Make a queue, or change it.
    Open,
    /// Leave a blob.
    Put,
    /// Take what is there, and delete what was stored.
    Fetch,
    /// Ask whether the queue is still the same.
    Status,
    /// Delete the queue.
    Close,
}

impl Operation {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Open, Self::Put, Self::Fetch, Self::Status, Self::Close];

    /// Its path on the server.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Open => "/v1/mailbox/open",
            Self::Put => "/v1/mailbox/put",
            Self::Fetch => "/v1/mailbox/fetch",
            Self::Status => "/v1/mailbox/status",
            Self::Close => "/v1/mailbox/close",
        }
    }

    /// Largest body of a request in bytes.
    pub const fn body_bytes_max(self) -> usize {
        match self {
            Self::Open => OPEN_ENVELOPE_BYTES_MAX,
            Self::Put => PUT_BODY_BYTES_MAX,
            Self::Fetch => FETCH_ENVELOPE_BYTES_MAX,
            Self::Status | Self::Close => SHORT_ENVELOPE_BYTES_MAX,
        }
    }
}

/// The sizes that a blob can have (R1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SizeClass {
    /// 4 KiB.
    Kib4,
    /// 16 KiB.
    Kib16,
    /// 64 KiB.
    Kib64,
    /// 256 KiB.
    Kib256,
    /// 1 MiB.
    Mib1,
}

impl SizeClass {
    /// All of them, ascending.
    pub const ALL: [Self; 5] = [Self::Kib4, Self::Kib16, Self::Kib64, Self::Kib256, Self::Mib1];

    /// Bytes of a blob.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Kib4 => 4 << 10,
            Self::Kib16 => 16 << 10,
            Self::Kib64 => 64 << 10,
            Self::Kib256 => 256 << 10,
            Self::Mib1 => 1 << 20,
        }
    }

    /// The smallest that holds this many bytes.
    pub fn fitting(bytes: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|class| bytes <= class.bytes())
    }

    /// The one that has exactly this many bytes.
    pub fn of_blob(bytes: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|class| bytes == class.bytes())
    }
}

/// How long blobs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Days {
    /// One day.
    One,
    /// Seven days.
    Seven,
}

impl Days {
    /// Their number.
    pub const fn count(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Seven => 7,
        }
    }

    /// So many of them, if that is allowed.
    pub const fn of_count(count: u64) -> Option<Self> {
        match count {
            1 => Some(Self::One),
            7 => Some(Self::Seven),
            _ => None,
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::of_count(reader.uint()?).ok_or(DecodeError::Value("days"))
    }
}

/// Names one life of a queue: another one means that what was there is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation([u8; 16]);

impl Incarnation {
    /// The incarnation with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "incarnation:{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

fn read_blobs_max(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
    let found = reader.uint_max("blobs at most", u64::from(u16::MAX))?;
    u16::try_from(found).ok().filter(|n| *n > 0).ok_or(DecodeError::Value("blobs at most"))
}

fn read_card(reader: &mut Reader<'_>) -> Result<Box<[u8]>, DecodeError> {
    let card = reader.bytes("card", CARD_BYTES_MAX)?;
    if card.is_empty() { Err(DecodeError::Value("card")) } else { Ok(card.into()) }
}

#[cfg(test)]
mod tests;
