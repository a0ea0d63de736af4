//! What does a mailbox-server answer? (spec 20)

use super::{Days, Incarnation, SizeClass, read_blobs_max, read_card};
use crate::{
    codec::{DecodeError, Reader, Writer},
    limits::{BLOB_BYTES_MAX, FETCH_ITEMS_MAX, FETCHED_BYTES_MAX, SEQ_MAX},
};

/// The answer to an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Which life of the queue this is.
    pub incarnation: Incarnation,
    /// Blobs that it may hold, from 1.
    pub blobs_max: u16,
    /// Bytes that it may hold.
    pub bytes_max: u64,
}

impl Opened {
    /// Reads the answer.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.map(|m| {
                let incarnation = read_incarnation(m.required(0)?)?;
                let blobs_max = read_blobs_max(m.required(1)?)?;
                let bytes_max = m.required(2)?.uint_max("bytes at most", SEQ_MAX)?;
                Ok(Self { incarnation, blobs_max, bytes_max })
            })
        })
    }

    /// Writes the answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(3).uint(0).bytes(self.incarnation.as_bytes());
        writer.uint(1).uint(u64::from(self.blobs_max)).uint(2).uint(self.bytes_max);
        writer.finish()
    }
}

/// The answer to a put: the blob is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Which life of the queue this is.
    pub incarnation: Incarnation,
}

impl Stored {
    /// Reads the answer.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.map(|m| Ok(Self { incarnation: read_incarnation(m.required(0)?)? }))
        })
    }

    /// Writes the answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(1).uint(0).bytes(self.incarnation.as_bytes());
        writer.finish()
    }
}

/// One thing in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its place, from 1.
    pub number: u64,
    /// The blob; none is the mark that somebody had more than there was room for (R7).
    pub blob: Option<Box<[u8]>>,
}

/// The answer to a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Which life of the queue this is.
    pub incarnation: Incarnation,
    /// The oldest items, ascending by number; at most 512 and, unless it is one, 1 MiB.
    pub items: Vec<Item>,
    /// Whether there are more.
    pub more: bool,
}

impl Fetched {
    /// Reads the answer.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > FETCHED_BYTES_MAX {
            let found = bytes.len() as u64;
            let limit = FETCHED_BYTES_MAX as u64;
            return Err(DecodeError::TooLarge { what: "fetched", found, limit });
        }
        Reader::all(bytes, |reader| {
            reader.map(|m| {
                let incarnation = read_incarnation(m.required(0)?)?;
                let items = m.required(1)?.list("items", FETCH_ITEMS_MAX, read_item)?;
                if !items.is_sorted_by(|one, other| one.number < other.number) {
                    return Err(DecodeError::NotCanonical);
                }
                Ok(Self { incarnation, items, more: m.required(2)?.bool()? })
            })
        })
    }

    /// Writes the answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(3).uint(0).bytes(self.incarnation.as_bytes());
        writer.uint(1).array(self.items.len());
        for item in &self.items {
            writer.array(1 + usize::from(item.blob.is_some())).uint(item.number);
            if let Some(blob) = &item.blob {
                writer.bytes(blob);
            }
        }
        writer.uint(2).bool(self.more);
        writer.finish()
    }
}

fn read_item(reader: &mut Reader<'_>) -> Result<Item, DecodeError> {
    let length = reader.array("item", 2)?;
    if length == 0 {
        return Err(DecodeError::Value("item"));
    }
    let number = reader.uint_max("number", SEQ_MAX)?;
    if length == 1 {
        return Ok(Item { number, blob: None });
    }
    let blob = reader.bytes("blob", BLOB_BYTES_MAX)?;
    SizeClass::of_blob(blob.len()).ok_or(DecodeError::Value("blob"))?;
    Ok(Item { number, blob: Some(blob.into()) })
}

/// The answer to a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which life of the queue this is.
    pub incarnation: Incarnation,
    /// How long blobs are kept.
    pub days: Days,
    /// What the owner shows writers.
    pub card: Option<Box<[u8]>>,
}

impl Standing {
    /// Reads the answer.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.map(|m| {
                let incarnation = read_incarnation(m.required(0)?)?;
                let days = Days::read(m.required(1)?)?;
                let card = m.optional(2)?.map(read_card).transpose()?;
                Ok(Self { incarnation, days, card })
            })
        })
    }

    /// Writes the answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(2 + usize::from(self.card.is_some()));
        writer.uint(0).bytes(self.incarnation.as_bytes()).uint(1).uint(self.days.count());
        if let Some(card) = &self.card {
            writer.uint(2).bytes(card);
        }
        writer.finish()
    }
}

/// The answer to a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done;

impl Done {
    /// Reads the answer.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| reader.map(|_| Ok(Self)))
    }

    /// Writes the answer.
    pub fn encode(self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(0);
        writer.finish()
    }
}

fn read_incarnation(reader: &mut Reader<'_>) -> Result<Incarnation, DecodeError> {
    reader.fixed("incarnation").map(Incarnation)
}
