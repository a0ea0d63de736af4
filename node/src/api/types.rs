//! What do requests and answers look like? JSON shapes, kept apart from the engine's values.

pub mod account;

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use data_encoding::HEXLOWER;
use kith_common::{ids::EntryId, time::Timestamp};
use kith_core::{
    engine::Engine,
    view::{ContactView, GuestView, MessageView},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A one-time token from the address that the node printed.
#[derive(Deserialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct OpenSession {
    /// The part behind `#t=`.
    pub token: String,
}

/// A session of the page.
#[derive(Serialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct SessionInfo {
    /// To be sent as `X-CSRF` with everything but GET.
    pub csrf: String,
    /// What the person calls themselves.
    pub name: String,
    /// The account as a shared string.
    pub account: String,
}

/// A fresh address of the page.
#[derive(Serialize, Deserialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Launch {
    /// Opens the page once, within ten minutes.
    pub web: String,
}

/// A question that only the node of a home can answer.
#[derive(Debug, Deserialize, IntoParams)]
pub struct ProofQuery {
    /// 32 fresh random bytes, in hex.
    pub nonce: String,
}

/// That the node knows the programs' key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// BLAKE2b-256 of `kith/api-proof/1` and the nonce, keyed with the 32 bytes of the key, in hex.
    pub proof: String,
}

/// How the node is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// What the person calls themselves.
    pub name: String,
    /// The account as a shared string.
    pub account: String,
    /// This device, in hex.
    pub device: String,
    /// Version of the program.
    pub version: &'static str,
    /// Where others can reach the node.
    pub listening: Vec<String>,
    /// Devices of contacts that are connected.
    pub peers: usize,
    /// Connections in all.
    pub links: usize,
    /// Entries that wait for what they depend on.
    pub pending_entries: usize,
    /// Whether the recovery words were confirmed on this device.
    pub recovery_confirmed: bool,
    /// Where the recovery words are: `here` (until they are confirmed), `confirmed`, or `elsewhere`
    /// (never on this device: it joined the account, or its own became part of this one).
    pub recovery: &'static str,
    /// Whether the home has a passphrase, to be given where one is asked for.
    pub takes_passphrase: bool,
    /// Whether others learn what was read.
    pub read_receipts: bool,
    /// Whether the web page was built into this program.
    pub page_built: bool,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// Sentences about what a person should put right, at most 10.
    pub warnings: Vec<String>,
    /// How far catching up has got; absent while nothing is lacking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catching_up: Option<CatchingUp>,
    /// What was refused since the start, by kind.
    pub refusals: BTreeMap<&'static str, u64>,
}

/// Entries that another device has.
#[derive(Debug, Serialize, ToSchema)]
pub struct CatchingUp {
    /// How many of them are here.
    pub here: u64,
    /// How many there are.
    pub all: u64,
}

/// Settings of the node.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// Whether others learn what was read.
    pub read_receipts: bool,
}

/// What unlocks the keys.
#[derive(Deserialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Unlock {
    /// Empty for a node that is kept without one.
    #[serde(default)]
    pub passphrase: String,
}

/// The recovery words.
#[derive(Serialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct RecoveryWords {
    /// 24 words, in order.
    pub words: Vec<String>,
}

/// Proof that the recovery words were written down.
#[derive(Deserialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct ConfirmRecovery {
    /// Empty for a node that is kept without one.
    #[serde(default)]
    pub passphrase: String,
    /// At least three words by their positions, from 1.
    pub words: BTreeMap<String, String>,
}

/// What to hand to somebody who wants to be a contact.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invite {
    /// The link: account, devices and current addresses.
    pub link: String,
    /// The account as a shared string.
    pub account: String,
    /// Where the link is as a QR code.
    pub qr_svg_path: &'static str,
}

/// Whom to ask to become a contact.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AddContact {
    /// Their link.
    pub link: String,
    /// What to call them, if not what they call themselves.
    #[serde(default)]
    pub name: Option<String>,
    /// What to say with the request.
    #[serde(default)]
    pub greeting: Option<String>,
}

/// What to call a contact.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Rename {
    /// The new name.
    pub name: String,
}

/// A person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Contact {
    /// What we call them.
    pub name: String,
    /// The account as a shared string.
    pub account: String,
    /// `requested`, `pending`, `contact` or `blocked`.
    pub status: &'static str,
    /// `unvalidated`, `validated` or `compromised`.
    pub validity: &'static str,
    /// Their devices, in hex.
    pub devices: Vec<String>,
    /// Whether one of their devices is connected.
    pub online: bool,
    /// `direct`, or `relayed` while all connections lead through relays.
    pub connection: Option<&'static str>,
    /// Messages not yet read.
    pub unread: u64,
    /// Their devices that accuse each other, in hex: nobody knows who is who.
    pub disputed: Vec<String>,
    /// What is being written to them, on whichever device.
    pub draft: Option<String>,
    /// The newest message.
    pub last_message: Option<LastMessage>,
    /// What was said with the request.
    pub greeting: Option<String>,
    /// A sentence about what a person should put right.
    pub warning: Option<String>,
}

/// The newest message of a conversation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LastMessage {
    /// What is said.
    pub text: String,
    /// When, RFC 3339.
    pub sent_at: String,
    /// Whether the person wrote it, on whichever device.
    pub me: bool,
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
pub struct HistoryQuery {
    /// How many at most; 50 if not given, 1,000 at most.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Only those above this one, by its id.
    #[serde(default)]
    pub before: Option<String>,
}

/// A message to write.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewMessage {
    /// What to say; at most 60,000 bytes.
    pub text: String,
    /// The id of the message that this one answers.
    #[serde(default)]
    pub reply_to: Option<String>,
}

/// A message that was written.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sent {
    /// Its id.
    pub id: String,
}

/// Who wrote a message.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Author {
    /// The account as a shared string.
    pub account: String,
    /// What we call them.
    pub name: String,
    /// `unvalidated`, `validated` or `compromised`.
    pub validity: &'static str,
    /// Whether it is us.
    pub me: bool,
}

/// A message, as everybody in the conversation sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Message {
    /// Its id, in hex.
    pub id: String,
    /// Who wrote it.
    pub author: Author,
    /// What is said; empty if it was deleted.
    pub text: String,
    /// The id of the message that this one answers.
    pub reply_to: Option<String>,
    /// When the writer says it was written, RFC 3339.
    pub sent_at: String,
    /// When it came to this device, RFC 3339.
    pub received_at: String,
    /// `queued`, `delivered`, `delivered_all` or `read`; null for what others wrote.
    pub state: Option<&'static str>,
    /// Whether it came in above what was already shown.
    pub late: bool,
    /// Ids of the entries that its writer had seen last.
    pub parents: Vec<String>,
}

/// The state of a message.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MessageState {
    /// The message.
    pub id: String,
    /// `queued`, `delivered`, `delivered_all` or `read`.
    pub state: &'static str,
}

/// Something that has happened.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happening {
    /// A new message.
    Message {
        /// With whom, as a shared string.
        contact: String,
        /// The message.
        message: Box<Message>,
        /// Messages of theirs not yet read, this one included.
        unread: u64,
    },
    /// Messages of ours have got further.
    State {
        /// With whom, as a shared string.
        contact: String,
        /// Which ones.
        messages: Vec<MessageState>,
    },
    /// A contact is new or has changed.
    Contact {
        /// The contact.
        contact: Box<Contact>,
    },
    /// A contact is gone.
    ContactRemoved {
        /// The account as a shared string.
        account: String,
    },
    /// Our own account has changed: devices, names, settings, who may decide.
    Account {},
    /// Who is looked for by an id has changed.
    Sought {},
    /// A device wants to join, or has gone away.
    Linking {
        /// The device, once it shows its number.
        guest: Option<Guest>,
        /// The code that serves now; every other one is void.
        code: Option<String>,
    },
    /// Messages of a conversation were deleted or took other places: read it again.
    Rewritten {
        /// With whom, as a shared string.
        contact: String,
    },
    /// This device was cut off from the account: the node ends.
    CutOff {
        /// Whether nothing can undo it; the home is erased then.
        is_final: bool,
    },
    /// Too much has happened: look at everything again.
    Resync {},
}

/// A device that wants to join.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Guest {
    /// Six digits that the device must show too.
    pub check: String,
    /// What it calls itself.
    pub name: String,
    /// The account that it brings along, if that is to merge into this one.
    pub brings: Option<Brought>,
    /// The id of the code that it has read.
    pub code: String,
}

/// An account that is to merge into this one.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Brought {
    /// The account as a shared string.
    pub account: String,
    /// How many devices it has.
    pub devices: usize,
}

/// Nothing to say.
#[derive(Debug, Serialize, ToSchema)]
pub struct Done {}

/// A time as RFC 3339 in UTC, with milliseconds.
pub fn rfc3339(time: Timestamp) -> String {
    // The largest time the formatter takes is the end of the year 9999.
    const LAST: u64 = 253_402_300_799_999;
    let since = Duration::from_millis(time.millis().min(LAST));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

/// An id in hex.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// An entry id from hex.
pub fn entry_id(text: &str) -> Option<EntryId> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
    <[u8; 32]>::try_from(bytes).ok().map(EntryId::from_bytes)
}

/// A device that wants to join, once it shows its number.
pub fn guest(view: GuestView) -> Option<Guest> {
    let brings = view.brings.map(|(account, devices)| Brought { account, devices });
    let code = hex(&view.code.0);
    view.check.map(|check| Guest { check, name: view.name, brings, code })
}

/// A contact without its newest message.
pub fn contact(
    view: &ContactView,
    connection: Option<&'static str>,
    last_message: Option<LastMessage>,
) -> Contact {
    Contact {
        name: view.name.clone(),
        account: view.shared.clone(),
        status: view.status.word(),
        validity: view.validity.word(),
        devices: view.devices.iter().map(|device| hex(device.as_bytes())).collect(),
        online: view.online,
        connection,
        unread: view.unread,
        disputed: view.disputed.iter().map(|device| hex(device.as_bytes())).collect(),
        draft: view.draft.clone(),
        last_message,
        greeting: Some(view.greeting.clone()).filter(|greeting| !greeting.is_empty()),
        warning: view.warning.map(|warning| warning.about(&view.name).to_string()),
    }
}

/// A message with the names that go with it.
pub fn message(engine: &Engine, with: &ContactView, view: MessageView) -> Message {
    let author = if view.mine {
        let card = engine.card();
        Author {
            account: kith_common::share::SharedId::of(&card.account).encode(),
            name: card.name,
            validity: kith_core::contacts::Validity::Validated.word(),
            me: true,
        }
    } else {
        Author {
            account: with.shared.clone(),
            name: with.name.clone(),
            validity: with.validity.word(),
            me: false,
        }
    };
    Message {
        id: hex(view.id.as_bytes()),
        author,
        text: view.text.unwrap_or_default(),
        reply_to: view.reply_to.map(|id| hex(id.as_bytes())),
        sent_at: rfc3339(view.sent_at),
        received_at: rfc3339(view.received_at),
        state: view.state.map(kith_core::delivery::DeliveryState::word),
        late: view.late,
        parents: view.parents.iter().map(|id| hex(id.as_bytes())).collect(),
    }
}
