//! What goes into the engine and what comes out? Flat lists, one for each direction.

use kith_common::{
    account::{Account, OperationError, Untrust},
    finding::RecordKey,
    ids::{AccountId, DeviceId, EntryId},
    keys::SigningKey,
    own::MailboxSetting,
    share::{ContactCard, SharedId},
    time::{Timestamp, Uptime},
};
use rand_core::CryptoRng;
use thiserror::Error;

use crate::{
    linking::{CameByMail, CodeId},
    mail::{Errand, ErrandError, ErrandId},
    names::NameError,
    store::{AuthorNumber, LogNumber, Place, Store},
};

/// Names a link for as long as it lives; never used again within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// Names a command until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// Everything the engine may use while it handles one input.
#[expect(missing_debug_implementations, reason = "holds trait objects for the time of one call")]
pub struct Context<'a> {
    /// Wall-clock time.
    pub now: Timestamp,
    /// Time since this run began.
    pub uptime: Uptime,
    /// Randomness.
    pub rng: &'a mut dyn CryptoRng,
    /// The store, inside a transaction.
    pub store: &'a mut dyn Store,
    /// What is to be done after the transaction is committed.
    pub out: &'a mut Vec<Output>,
}

/// Everything that can happen to a node.
#[derive(Debug)]
pub enum Input {
    /// The deadline has come.
    Tick,
    /// A link to another node is up.
    LinkUp {
        /// The link.
        link: LinkId,
        /// Our transport id on it.
        own_transport: Box<[u8]>,
        /// The other's transport id.
        peer_transport: Box<[u8]>,
        /// Whether it leads through a relay.
        relayed: bool,
    },
    /// A link is gone.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// A frame came in.
    Frame {
        /// The link that it came on.
        link: LinkId,
        /// The frame as received.
        bytes: Vec<u8>,
    },
    /// The addresses at which we can be reached have changed.
    Listening {
        /// All of them.
        addresses: Vec<String>,
    },
    /// Whether there is anywhere to look for others: some bootstrap is known.
    Finding {
        /// Whether there is.
        is_on: bool,
    },
    /// A record was found that was asked for.
    Found {
        /// Under which key.
        key: RecordKey,
        /// What lies there; nobody has looked at it.
        value: Vec<u8>,
    },
    /// A mailbox-server has answered, or not.
    Errand {
        /// Which request.
        id: ErrandId,
        /// The body of the answer.
        reply: Result<Vec<u8>, ErrandError>,
    },
    /// A person or program wants something.
    Command {
        /// To be given back with the answer.
        id: CommandId,
        /// What is wanted.
        command: Command,
    },
}

/// What a person or program can want.
#[derive(Debug)]
pub enum Command {
    /// Ask somebody to become a contact.
    AddContact {
        /// Their link, read and proven.
        card: Box<ContactCard>,
        /// What to call them, if not what they call themselves.
        name: Option<String>,
        /// What to say with the request.
        greeting: String,
    },
    /// Look for somebody of whom nothing is known but an id, and ask them to become a contact.
    LookFor {
        /// Who.
        id: SharedId,
        /// What to call them, if not what they call themselves.
        name: Option<String>,
        /// What to say with the request.
        greeting: String,
    },
    /// Look for somebody no more.
    StopLooking(SharedId),
    /// Agree to a request.
    Accept(AccountId),
    /// Hear nothing more from somebody.
    Block(AccountId),
    /// Hear from somebody again.
    Unblock(AccountId),
    /// Take somebody off the list; the conversation is kept.
    Remove(AccountId),
    /// Call somebody something else.
    Rename(AccountId, String),
    /// Write a message.
    Send {
        /// To whom.
        to: AccountId,
        /// What.
        text: String,
        /// In answer to what.
        reply_to: Option<EntryId>,
    },
    /// Everything in a conversation has been read.
    MarkRead(AccountId),
    /// Let others see what was read, or not.
    SetReadReceipts(bool),
    /// Call oneself something else.
    SetName(String),
    /// Let strangers who know the id find the person, or not.
    SetFindable(bool),
    /// Tell contacts relayed addresses alone, or not.
    SetRelayOnly(bool),
    /// Choose where all devices of the person begin to look for others; none: nowhere.
    SetBootstraps(Vec<String>),
    /// Choose the mailboxes of all devices of the person; none: have none.
    SetMailboxes(Vec<MailboxSetting>),
    /// Keep what is being written, for all devices of the person.
    KeepDraft {
        /// To whom.
        to: AccountId,
        /// What; empty: nothing.
        text: String,
    },
    /// Show a code with which a new device can join.
    LinkDevice,
    /// The same for one that is never there together with this one: the code names a queue.
    LinkDeviceByMail,
    /// Stop showing it, if it is this one; `None`: whichever it is.
    CloseLinking(Option<CodeId>),
    /// Look for our other devices at these addresses: this device has just joined.
    LookForOwn(Vec<String>),
    /// Go on by mail: this device has just joined so.
    ComeByMail(Box<CameByMail>),
    /// Take in the device that shows this check number.
    ConfirmDevice {
        /// Six digits.
        check: String,
        /// The authority key of this device.
        authority: SigningKey,
    },
    /// Agree to the devices that another device proposes to settle, or propose some.
    Settle {
        /// Which; if none: the list that waits, else all that stand.
        devices: Vec<DeviceId>,
        /// The authority key of this device.
        authority: SigningKey,
    },
    /// Call a device something.
    RenameDevice(DeviceId, String),
    /// Trust a device no longer.
    Untrust {
        /// Which.
        device: DeviceId,
        /// Why.
        why: Untrust,
        /// From when on it is not believed; `None`: from now on.
        since: Option<Timestamp>,
        /// The authority key of this device.
        authority: SigningKey,
    },
    /// Decide with the recovery key which devices the account has from now on, this one included.
    Recover {
        /// The recovery key.
        recovery: SigningKey,
        /// Which devices stay beside this one.
        keep: Vec<DeviceId>,
        /// Accounts that ours has absorbed and that are ours no more.
        without: Vec<AccountId>,
        /// From when on the others are not believed; `None`: from now on.
        since: Option<Timestamp>,
    },
    /// Let our account go over into another one that has taken this device in (spec 02 R22).
    MergeInto {
        /// The account that stays.
        account: Box<Account>,
        /// The authority key of this device, or the recovery key of the account that ends.
        key: SigningKey,
    },
    /// Agree that our account goes over into another one, as another device of ours wants.
    AgreeToMerge {
        /// The authority key of this device.
        authority: SigningKey,
    },
    /// Delete messages on the person's own devices.
    Delete {
        /// In the conversation with whom.
        with: AccountId,
        /// Which.
        entries: Vec<EntryId>,
    },
    /// Delete a conversation on the person's own devices, or its beginning.
    Clear {
        /// In the conversation with whom.
        with: AccountId,
        /// What was sent before then; `None`: everything.
        before: Option<Timestamp>,
        /// The authority key of this device.
        authority: SigningKey,
    },
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// The contact is there.
    Contact(AccountId),
    /// Somebody is looked for.
    Looking(SharedId),
    /// The message is written.
    Sent(EntryId),
    /// The code for a new device.
    LinkCode {
        /// What to show.
        code: String,
        /// Which it is.
        id: CodeId,
        /// How long it serves.
        left_ms: u64,
    },
    /// So many messages are deleted.
    Deleted(usize),
    /// It is decided once more devices have agreed.
    Waits {
        /// How many have.
        have: usize,
        /// How many are needed.
        need: usize,
    },
}

/// Why a command was not carried out; says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No such contact.
    #[error("there is no such contact: see `kith contact list`")]
    UnknownContact,
    /// An id alone, and nowhere to look for whose it is.
    #[error(
        "looking for somebody by an id alone needs a bootstrap: choose one with `kith bootstrap set \
         ADDRESS`, or ask for the whole link"
    )]
    NoBootstrap,
    /// Too many are looked for.
    #[error("{0} people are looked for already: stop looking for one of them first")]
    TooManySought(usize),
    /// The link is our own.
    #[error("this is your own link: send it to somebody else and use theirs here")]
    OwnLink,
    /// The person is there already.
    #[error("{0} is already on your contact list: nothing to do")]
    AlreadyThere(String),
    /// The person is blocked.
    #[error("{0} is blocked: unblock first")]
    IsBlocked(String),
    /// There is no request to agree to.
    #[error("{0} has not asked to be a contact, or is one already")]
    NotPending(String),
    /// They asked and wait for our answer.
    #[error("{0} waits for your answer: accept the request first")]
    AcceptFirst(String),
    /// The list is full.
    #[error("the contact list is full ({0}): remove somebody first")]
    TooManyContacts(usize),
    /// More devices than can be known.
    #[error("your contacts have too many devices ({0} fit): remove somebody first")]
    TooManyDevices(usize),
    /// A name that is none to choose.
    #[error("{0}")]
    Name(#[from] NameError),
    /// A message without text.
    #[error("the message is empty: write something")]
    EmptyText,
    /// A message that is too long.
    #[error("the message has {found} bytes, {limit} are allowed: send it in parts")]
    TextTooLong {
        /// Bytes of the text.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// An answer to a message that is not there.
    #[error("the message to reply to is not in this conversation: see `kith history`")]
    UnknownReply,
    /// A message that is not there.
    #[error("this message is not in this conversation: see `kith history`")]
    UnknownMessage,
    /// A code by mail, without a mailbox.
    #[error("you have no mailbox yet: choose one first with `kith mailbox set URL`")]
    NoMailbox,
    /// A code by mail, while no mailbox answers.
    #[error("none of your mailboxes has answered yet: see `kith mailbox show`, then try again")]
    MailboxClosed,
    /// No device shows this number.
    #[error("no new device shows the number {0}: compare again, or make a new code")]
    UnknownCheck(String),
    /// No such device.
    #[error("there is no such device: see `kith device list`")]
    UnknownDevice,
    /// The device is this one.
    #[error("this is the device you are using: cut it off from another one")]
    ThisDevice,
    /// The key is of another device.
    #[error("the passphrase opened the keys of another device")]
    OtherKey,
    /// An account operation was not made.
    #[error("{0}")]
    Operation(#[from] OperationError),
    /// The device has signed another list, of these devices.
    #[error(
        "this device has agreed that these decide: {0}. It can agree to no other list before: agree \
         to this one on your other devices (`kith device settle` there)"
    )]
    Agreed(String),
    /// The device has signed a list that cannot come about, of these devices.
    #[error(
        "this device has agreed that these decide: {0}. That cannot come about any more: begin anew \
         with your recovery words (`kith account recover`)"
    )]
    AgreedInVain(String),
    /// This device does not speak for the account.
    #[error("{0}")]
    NotStanding(&'static str),
    /// The other account has not taken this one in.
    #[error("the other account has not taken this one in: confirm there first")]
    NotAbsorbed,
    /// An account that is to be left out and was never absorbed.
    #[error("that account is not one with yours: see `kith account show`")]
    UnknownAbsorbed,
    /// An account that is to be left out is the one that this device came from.
    #[error(
        "this device came from that account: leave it out on a device that did not, or on a new \
         computer"
    )]
    CameFromThere,
    /// The words are those of an account that this one has absorbed.
    #[error(
        "these are the recovery words of an account that became part of this one, and decide nothing \
         any more: give those of the account that stays, which are on paper or on a device of it"
    )]
    EndedWords,
    /// Another device of the person has this name.
    #[error("another device of yours is called {0}: choose another name")]
    DeviceNameTaken(String),
    /// There is nothing to agree to.
    #[error("no device of yours has begun to merge this account: `kith account merge` begins")]
    NoMerge,
    /// More single deletions than a day may have.
    #[error(
        "only {0} messages can be deleted one by one in a day: delete a whole conversation, or what \
         is before some time, with the passphrase"
    )]
    TooManyDeletions(usize),
    /// The other's device has lied: nothing is sent.
    #[error("nothing came of it: {0}")]
    Failed(&'static str),
}

/// Everything a node does to the outside, in order, after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a frame; if that cannot be done, the link is to be closed.
    Send {
        /// The link.
        link: LinkId,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// Close a link.
    Close {
        /// The link.
        link: LinkId,
    },
    /// Make a request to a mailbox-server, and hand back what came of it.
    Errand(Errand),
    /// From now on others are looked for like this; followed by [`Input::Finding`].
    Reach {
        /// What the person has chosen.
        bootstraps: Vec<String>,
        /// Whether nothing but relays and bootstraps may learn our addresses.
        relay_only: bool,
    },
    /// Leave these records, and no others, where those find them who know their keys.
    Publish {
        /// Key and record.
        records: Vec<(RecordKey, Box<[u8]>)>,
        /// Places to meet at.
        namespaces: Vec<String>,
    },
    /// Ask once for records; what is found comes as [`Input::Found`]. Whoever is at one of the places
    /// is dialled.
    Search {
        /// Keys of records.
        keys: Vec<RecordKey>,
        /// Places to meet at.
        namespaces: Vec<String>,
    },
    /// The device at the other end is who it should be: a straight connection may be tried.
    Trust {
        /// The link.
        link: LinkId,
        /// Where it can be dialled straight, by its own word.
        addresses: Vec<String>,
    },
    /// Try to reach somebody at these addresses.
    Dial {
        /// Where.
        addresses: Vec<String>,
    },
    /// A command is answered.
    Answered {
        /// The command.
        id: CommandId,
        /// What came of it.
        result: Result<Answer, CommandError>,
    },
    /// Something that a person or program wants to know.
    Event(Event),
}

/// Something that a person or program wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A new entry stands in a conversation.
    Entry {
        /// With whom.
        with: AccountId,
        /// Which entry.
        place: Place,
    },
    /// Messages of ours have got further.
    Delivery {
        /// With whom.
        with: AccountId,
        /// The log that they stand in.
        log: LogNumber,
        /// The chain that they stand in.
        author: AuthorNumber,
        /// First and last number whose state may have changed.
        seqs: (u64, u64),
    },
    /// A contact is new or has changed.
    Contact(AccountId),
    /// A contact is gone.
    ContactRemoved(SharedId),
    /// Our own account has changed: devices, their names, who may decide.
    Account,
    /// Who is looked for by an id has changed.
    Sought,
    /// A device that wants to join shows a check number, or has gone away.
    Linking,
    /// Messages of a conversation were deleted or took other places.
    Rewritten(AccountId),
    /// This device speaks no longer for the account.
    CutOff {
        /// Whether nothing can undo it.
        is_final: bool,
    },
}
