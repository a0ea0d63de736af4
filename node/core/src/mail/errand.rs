//! Which requests to mailbox-servers are under way, and what for?

use core::fmt;
use std::collections::BTreeMap;

use kith_common::{
    ids::{DeviceId, EntryId, LogId},
    mail::{MailboxUrl, QueueAddress},
    service::{Failure, mailbox::Operation},
};

use super::Posted;

/// Names a request until it is answered; never used again within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrandId(pub u64);

/// A request to a mailbox-server, to be made once.
#[derive(Clone, PartialEq, Eq)]
pub struct Errand {
    /// To be given back with the answer.
    pub id: ErrandId,
    /// The server.
    pub url: MailboxUrl,
    /// What is asked.
    pub operation: Operation,
    /// The body of the request.
    pub body: Vec<u8>,
    /// Names the queue: requests about different ones go on connections of their own.
    pub queue: [u8; 32],
    /// How long the server may wait before it answers, in milliseconds.
    pub wait_ms: u64,
    /// Whether the address is the person's own choice, not somebody else's word.
    pub own: bool,
    /// Whether it does not wait until a look into the same queue, which is under way, has ended.
    pub overtakes: bool,
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errand({}, {:?}, {} bytes)", self.id.0, self.operation, self.body.len())
    }
}

/// Why a request brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrandError {
    /// No answer, or one that is none. The text is for the person.
    Unreachable(String),
    /// The server refused.
    Refused(Failure),
}

/// What a request is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// Make a queue of ours, or put it right.
    Open([u8; 32]),
    /// Look into it.
    Fetch([u8; 32]),
    /// Give it up.
    Close([u8; 32]),
    /// How to write to a device, and whether what was put is still there.
    Status(DeviceId, QueueAddress),
    /// Something put for a device.
    Put(DeviceId, Box<Posting>),
    /// What a device is told that has read our code.
    Answer(DeviceId),
    /// Give up the queue of a device that does not stand any more; nobody waits for the answer.
    CloseOther,
}

/// What stands in a letter, for when it is stored.
#[derive(Debug)]
pub(crate) struct Posting {
    pub(crate) to: QueueAddress,
    /// The round of the lane in which it was put.
    pub(crate) round: u64,
    pub(crate) logs: BTreeMap<LogId, Posted>,
    /// What it tells of our own accounts.
    pub(crate) told: EntryId,
    /// Whether it asks somebody to become a contact.
    pub(crate) asks: bool,
}

/// What a server answered; what is no answer counts as none.
pub(crate) fn read_reply<T, E: fmt::Display>(
    reply: Result<Vec<u8>, ErrandError>,
    decode: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, ErrandError> {
    let bytes = reply?;
    decode(&bytes).map_err(|error| {
        ErrandError::Unreachable(format!("it answered something else ({error}): is it a mailbox?"))
    })
}
