//! What does a person see? Values made from the engine's state and the store, for interfaces.

use kith_common::{
    account::Standing,
    entry::{Entry, Text},
    envelope::Signed,
    ids::{AccountId, DeviceId, EntryId},
    time::Timestamp,
};

use crate::{
    contacts::{Status, Validity},
    delivery::DeliveryState,
    engine::LinkId,
    linking::CodeId,
    store::{Body, EntryRow, StoreError},
    warnings::Warning,
};

/// A contact as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactView {
    /// The account.
    pub account: AccountId,
    /// The account as a shared string.
    pub shared: String,
    /// What we call them.
    pub name: String,
    /// How far we have got with knowing each other.
    pub status: Status,
    /// Whether we are sure who it is.
    pub validity: Validity,
    /// Their devices that speak for them.
    pub devices: Vec<DeviceId>,
    /// Their devices that accuse each other: until that is decided, nobody knows who is who.
    pub disputed: Vec<DeviceId>,
    /// What is being written to them, on whichever device.
    pub draft: Option<String>,
    /// Whether one of their devices is connected.
    pub online: bool,
    /// The links on which they are.
    pub links: Vec<LinkId>,
    /// Messages of theirs not yet read.
    pub unread: u64,
    /// What was said with the request.
    pub greeting: String,
    /// What the person is to be told about their devices.
    pub warning: Option<Warning>,
}

/// A device of ours as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceView {
    /// The device.
    pub device: DeviceId,
    /// What the person calls it.
    pub name: Option<String>,
    /// How it stands in the account; `None`: it is one of an absorbed account that has not come over
    /// yet.
    pub standing: Option<Standing>,
    /// Whether it is the one that is asked.
    pub is_this: bool,
    /// Whether there is a session with it.
    pub online: bool,
}

/// A device that wants to join, as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestView {
    /// The code that it has read.
    pub code: CodeId,
    /// What it calls itself.
    pub name: String,
    /// The number that it shows too; `None` until it has answered.
    pub check: Option<String>,
    /// The account that it brings along, as a shared string, and how many devices that has.
    pub brings: Option<(String, usize)>,
}

/// A message as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    /// The entry.
    pub id: EntryId,
    /// The account of the writer.
    pub author: AccountId,
    /// Whether we wrote it.
    pub mine: bool,
    /// What is said; `None` if the body is gone or not readable.
    pub text: Option<String>,
    /// The message that this one answers.
    pub reply_to: Option<EntryId>,
    /// When the writer says it was written.
    pub sent_at: Timestamp,
    /// When it was stored here.
    pub received_at: Timestamp,
    /// How far it got; `None` for what others wrote.
    pub state: Option<DeliveryState>,
    /// Whether it came in above what was already shown.
    pub late: bool,
    /// What the writer had seen last, the own previous entry included.
    pub parents: Vec<EntryId>,
}

/// What a stored entry says about itself.
pub(crate) struct Opened {
    pub(crate) entry: Entry,
    pub(crate) device: DeviceId,
}

pub(crate) fn open(row: &EntryRow) -> Result<Opened, StoreError> {
    let signed = Signed::<Entry>::decode(&row.envelope)
        .map_err(|error| StoreError::new("Reading a stored entry", error))?;
    Ok(Opened { device: DeviceId::from_bytes(*signed.signer()), entry: signed.claim().clone() })
}

/// A row as a message; `None` for kinds that are not shown.
pub(crate) fn message(
    row: EntryRow,
    is_own: impl FnOnce(AccountId) -> bool,
    state: impl FnOnce(DeviceId, u64) -> DeliveryState,
) -> Result<Option<MessageView>, StoreError> {
    let Opened { entry, device } = open(&row)?;
    if !entry.kind.is_shown() || row.body == Body::Deleted {
        return Ok(None);
    }
    let text = row.body.bytes().and_then(|body| Text::decode(body).ok());
    let mine = is_own(entry.account);
    let parents = entry.prev.into_iter().chain(entry.parents.iter().map(|mark| mark.id));
    Ok(Some(MessageView {
        id: row.position.id,
        author: entry.account,
        mine,
        reply_to: text.as_ref().and_then(|text| text.reply_to),
        text: text.map(|text| text.text),
        sent_at: entry.hlc.time(),
        received_at: row.received_at,
        state: mine.then(|| state(device, entry.seq)),
        late: row.late,
        parents: parents.collect(),
    }))
}

/// A mailbox that the person has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxView {
    /// Where it is.
    pub url: String,
    /// Days that it keeps what is put there.
    pub days: u64,
    /// Queues that are open there.
    pub queues_open: usize,
    /// Queues that are to be there.
    pub queues: usize,
    /// What went wrong last, if that is not over.
    pub trouble: Option<String>,
}
