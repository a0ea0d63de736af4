//! Where does the node keep what it knows? A small synchronous store, seen through a trait.
//!
//! The engine reads and writes while it handles one input; whoever drives it opens a transaction
//! before, commits after, and only then carries out the outputs. Two implementations exist: memory
//! (here) and SQLite (in the node). One conformance suite in `tests` runs on both.

pub mod memory;

use core::fmt;

use kith_common::{ids::EntryId, time::Timestamp};
use thiserror::Error;

/// The store could not do its work: disk full, file damaged, wrong key. Never a peer's fault.
#[derive(Debug, Error)]
#[error("{doing}: {cause}")]
pub struct StoreError {
    doing: &'static str,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    /// An error with what was being done when it came up.
    pub fn new(
        doing: &'static str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { doing, cause: cause.into() }
    }
}

/// A small local number that stands for a log in the store, so that rows stay short.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogNumber(pub u32);

impl fmt::Debug for LogNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log#{}", self.0)
    }
}

/// A small local number that stands for a device among the authors of one log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuthorNumber(pub u16);

impl fmt::Debug for AuthorNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "author#{}", self.0)
    }
}

/// Which entry: the `seq`-th of an author in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The log.
    pub log: LogNumber,
    /// The author.
    pub author: AuthorNumber,
    /// Number in the author's chain, from 1.
    pub seq: u64,
}

/// Where an entry stands in the order that everybody shows (spec 03 R7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Effective clock: the entry's own, raised above everything it depends on.
    pub eff: u64,
    /// Decides between entries with the same effective clock.
    pub id: EntryId,
}

/// A stored entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// Which entry.
    pub place: Place,
    /// Where it is shown.
    pub position: Position,
    /// Its depth in the DAG.
    pub depth: u64,
    /// When this device stored it.
    pub received_at: Timestamp,
    /// Whether it came in above what was already shown, long after it was written.
    pub late: bool,
    /// The envelope as received.
    pub envelope: Box<[u8]>,
    /// What the entry says.
    pub body: Body,
}

/// The body of a stored entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Salt and content.
    Here(Box<[u8]>),
    /// Whoever handed the entry on had deleted it; somebody else may still have it.
    Missing,
    /// This account has deleted it: it is never taken again.
    Deleted,
}

impl Body {
    /// Salt and content, if they are here.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Here(bytes) => Some(bytes),
            Self::Missing | Self::Deleted => None,
        }
    }

    /// Salt and content, if they are here.
    pub fn into_bytes(self) -> Option<Box<[u8]>> {
        match self {
            Self::Here(bytes) => Some(bytes),
            Self::Missing | Self::Deleted => None,
        }
    }
}

/// Kinds of small records. The number names the kind on disk for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RecordKind {
    /// The node's own profile; one record with an empty key.
    Profile = 1,
    /// A contact, by account id.
    Contact = 2,
    /// The state of a log, by log id.
    Log = 3,
    /// The newest frontier of a device in a log, by log id and device id.
    Frontier = 4,
    /// A setting, by its name.
    Setting = 5,
    /// Evidence against a device, by device id.
    Evidence = 6,
    /// What is known of our own account; one record with an empty key.
    Account = 7,
    /// What is being written, by log id.
    Draft = 8,
    /// Cuts of a device in a log, by log id and device id.
    Cut = 9,
    /// What rests before it is erased, by the id of the entry that ordered it.
    Trash = 10,
    /// Our devices have spoken of a log that is not open here, by log id; the value is empty.
    Unheard = 11,
    /// Where a device can be written to, by log id and device id.
    Place = 12,
    /// A queue of ours, by the public half of its owner's key.
    Queue = 13,
    /// How far letters to a device have got, by device id.
    Lane = 14,
    /// What was put for a device of a log, by log id and device id.
    Posted = 15,
    /// A KeyPackage of ours with its private half, by its reference.
    Package = 16,
    /// A code for a new device that serves by mail: one record with an empty key, and two for each
    /// device that answers it, by its id and a number.
    Linking = 17,
    /// Under which keys a device leaves where it is, by log id and device id.
    Schedule = 18,
    /// From what this device makes such keys; one record with an empty key.
    Announcer = 19,
    /// Somebody who is looked for by an id, by the id.
    Sought = 20,
}

/// A key and its value.
pub type Record = (Vec<u8>, Vec<u8>);

/// Everything the engine keeps. Reading never changes anything.
///
/// An implementation keeps what was written since the last commit visible to reads, and may lose
/// it in a crash; what was committed survives. Keys are at most 64 bytes, values at most 512 KiB:
/// five groups of 64 KiB and packages of one other device, the largest, are below that.
pub trait Store {
    /// A record, or `None`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn record(&self, kind: RecordKind, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// All records of a kind with their keys, in no particular order.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn records(&self, kind: RecordKind) -> Result<Vec<Record>, StoreError>;

    /// Writes a record over what was there.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn put_record(&mut self, kind: RecordKind, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes a record if it is there.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn remove_record(&mut self, kind: RecordKind, key: &[u8]) -> Result<(), StoreError>;

    /// Adds an entry whose place is free; the engine adds each author's entries in sequence. The
    /// first one of an author may have any number.
    ///
    /// # Errors
    /// If the place is taken or not the next, or the store cannot be written.
    fn add_entry(&mut self, row: &EntryRow) -> Result<(), StoreError>;

    /// Writes an entry over the one at its place: another position or body. What was there before
    /// is not to be found on the disk once this is committed and [`erased`](Self::erase).
    ///
    /// # Errors
    /// If nothing stands at the place or the store cannot be written.
    fn replace_entry(&mut self, row: &EntryRow) -> Result<(), StoreError>;

    /// Removes the entries of an author from a sequence number to the end of the chain.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn truncate_chain(&mut self, from: Place) -> Result<(), StoreError>;

    /// Asks that, with the next commit, what was replaced or removed is overwritten wherever the
    /// store keeps it: copies in a journal too.
    fn erase(&mut self);

    /// The same within a minute of use, and when the store is closed: for what is replaced often.
    fn erase_soon(&mut self);

    /// The entry at a place, or `None`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn entry(&self, place: Place) -> Result<Option<EntryRow>, StoreError>;

    /// Where an entry with this id stands in a log, or `None`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn find(&self, log: LogNumber, id: EntryId) -> Result<Option<Place>, StoreError>;

    /// At most `limit` entries of an author from a sequence number on, ascending.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn chain(&self, from: Place, limit: usize) -> Result<Vec<EntryRow>, StoreError>;

    /// At most `limit` entries of a log below a position (or from the end), newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn newest(
        &self,
        log: LogNumber,
        below: Option<Position>,
        limit: usize,
    ) -> Result<Vec<EntryRow>, StoreError>;
}
