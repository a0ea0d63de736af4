//! What happens when something happens? One machine: an input comes in, outputs come out.
//!
//! ```text
//!   Input ──► handle ──► rules (log, delivery, session, …) ──► Store
//!                 └────► Output, carried out only after the store has committed
//! ```
//!
//! A store error leaves the engine in an unknown state: roll back and open it again from the store.

mod commands;
mod peers;
mod queries;

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    entry::Mark,
    envelope::sign,
    frame::Frame,
    ids::{AccountId, DeviceId, EntryId, LogId},
    share::{ContactCard, SharedId},
    time::{Timestamp, Uptime},
};
use rand_core::CryptoRng;
use thiserror::Error;

pub use crate::session::Identity;
use crate::{
    contacts::{Contact, Contacts, tidy_name},
    conversation::Conversation,
    delivery::DeliveryState,
    dial::Dialer,
    limits::{LINK_REFUSALS_MAX, LINKS_MAX},
    log::Evidence,
    profile::Profile,
    refusal::{Refusal, Refusals},
    session::{Link, LinkWants, Recognition},
    store::{AuthorNumber, Place, RecordKind, Store, StoreError},
    sync::{Outgoing, Overdue},
    warnings::Warnings,
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
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// The contact is there.
    Contact(AccountId),
    /// The message is written.
    Sent(EntryId),
}

/// Why a command was not carried out; says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No such contact.
    #[error("there is no such contact: see `kith contact list`")]
    UnknownContact,
    /// The link is our own.
    #[error("this is your own link: send it to somebody else and use theirs here")]
    OwnLink,
    /// The person is there already.
    #[error("{0} is already on your contact list")]
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
    /// A name without a character.
    #[error("the name is empty: write what to call them")]
    EmptyName,
    /// A message without text.
    #[error("the message is empty: write something")]
    EmptyText,
    /// A message that is too long.
    #[error("the message has {found} bytes, {limit} are allowed: send it in parts or as a file")]
    TextTooLong {
        /// Bytes of the text.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// An answer to a message that is not there.
    #[error("the message to reply to is not in this conversation")]
    UnknownReply,
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
        /// The chain that the messages stand in.
        author: AuthorNumber,
        /// First and last number whose state may have changed.
        seqs: (u64, u64),
    },
    /// A contact is new or has changed.
    Contact(AccountId),
    /// A contact is gone.
    ContactRemoved(SharedId),
}

/// A node without its surroundings.
#[derive(Debug)]
pub struct Engine {
    me: Identity,
    profile: Profile,
    contacts: Contacts,
    recognition: Recognition,
    conversations: BTreeMap<LogId, Conversation>,
    links: BTreeMap<LinkId, Link>,
    dialers: BTreeMap<AccountId, Dialer>,
    addresses: Vec<String>,
    refusals: Refusals,
    warnings: Warnings,
    /// Conversations with something to save or send.
    touched: BTreeSet<LogId>,
}

impl Engine {
    /// Opens the node from its store; `name` counts for a store that is new.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub fn open(me: Identity, name: &str, cx: &mut Context<'_>) -> Result<Self, StoreError> {
        let profile = match Profile::load(cx.store)? {
            Some(profile) => profile,
            None => {
                let profile = Profile::new(tidy_name(name));
                profile.save(cx.store)?;
                profile
            }
        };
        let mut engine = Self {
            me,
            profile,
            contacts: Contacts::load(cx.store)?,
            recognition: Recognition::default(),
            conversations: BTreeMap::new(),
            links: BTreeMap::new(),
            dialers: BTreeMap::new(),
            addresses: Vec::new(),
            refusals: Refusals::default(),
            warnings: Warnings::default(),
            touched: BTreeSet::new(),
        };
        engine.refresh_recognition();
        let people: Vec<AccountId> =
            engine.contacts.iter().map(|contact| contact.account.id()).collect();
        for account in people {
            engine.open_conversation(cx, account)?;
            engine.reach(cx.uptime, account);
        }
        Ok(engine)
    }

    /// Handles one input. Whatever changes is in the store, whatever is to be done in `cx.out`.
    ///
    /// # Errors
    /// If the store cannot be read or written: roll back and open the engine again.
    pub fn handle(&mut self, cx: &mut Context<'_>, input: Input) -> Result<(), StoreError> {
        match input {
            Input::Tick => self.tick(cx)?,
            Input::LinkUp { link, own_transport, peer_transport } => {
                self.link_up(cx, link, own_transport, peer_transport);
            }
            Input::LinkDown { link } => self.link_down(cx, link),
            Input::Frame { link, bytes } => self.frame(cx, link, &bytes)?,
            Input::Listening { addresses } => self.addresses = addresses,
            Input::Command { id, command } => {
                let result = self.command(cx, command)?;
                cx.out.push(Output::Answered { id, result });
            }
        }
        self.settle(cx)
    }

    /// When the engine wants a [`Input::Tick`], and why.
    pub fn deadline(&self) -> Option<(Uptime, &'static str)> {
        let links = self.links.values().flat_map(|link| {
            let outgoing = link.outgoing.values().filter_map(Outgoing::deadline);
            let outgoing = outgoing.map(|at| (at, "no frontier came"));
            link.deadline().map(|at| (at, "link without session")).into_iter().chain(outgoing)
        });
        let frontiers = self.conversations.values().filter_map(Conversation::deadline);
        let dialers = self.dialers.values().map(|dialer| (dialer.deadline(), "contact to reach"));
        links.chain(frontiers.map(|at| (at, "frontier owed"))).chain(dialers).min()
    }

    fn tick(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for id in links {
            self.tick_link(cx, id)?;
        }
        for (account, dialer) in &mut self.dialers {
            let Some(contact) = self.contacts.find(*account) else { continue };
            if dialer.is_due(cx.uptime, cx.rng) && !contact.addresses.is_empty() {
                cx.out.push(Output::Dial { addresses: contact.addresses.clone() });
            }
        }
        let due = |conversation: &Conversation| {
            conversation.deadline().is_some_and(|due| due <= cx.uptime)
        };
        let owed = self.conversations.iter().filter(|(_, c)| due(c)).map(|(id, _)| *id);
        self.touched.extend(owed);
        Ok(())
    }

    fn tick_link(&mut self, cx: &mut Context<'_>, id: LinkId) -> Result<(), StoreError> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        match link.wants(cx.uptime) {
            LinkWants::Nothing => {}
            LinkWants::Hello => self.say_hello(cx, id),
            LinkWants::Close => self.close(cx, id),
        }
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let mut ask = Vec::new();
        for (log, outgoing) in &mut link.outgoing {
            match outgoing.overdue(cx.uptime) {
                Overdue::Nothing => {}
                Overdue::AskFrontier => ask.push(*log),
                Overdue::SendAgain => drop(self.touched.insert(*log)),
            }
        }
        for log in ask {
            self.send_frontier(cx, log, Some(id), true)?;
        }
        Ok(())
    }

    /// What every input ends with: save what changed, send what can be sent.
    fn settle(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        for log in std::mem::take(&mut self.touched) {
            let Some(conversation) = self.conversations.get_mut(&log) else { continue };
            if conversation.log.save(cx.store)? {
                // The first time: the number of the log is taken for good.
                self.profile.save(cx.store)?;
            }
            for (id, link) in &mut self.links {
                let Some(outgoing) = link.outgoing.get_mut(&log) else { continue };
                loop {
                    let entries = outgoing.next_batch(&conversation.log, cx.store, cx.uptime)?;
                    if entries.is_empty() {
                        break;
                    }
                    let bytes = Frame::Entries { log, entries }.encode();
                    cx.out.push(Output::Send { link: *id, bytes });
                }
            }
            if conversation.frontier_is_due(cx.uptime) {
                self.send_frontier(cx, log, None, false)?;
            }
        }
        Ok(())
    }

    /// Sends our frontier of a log on one link, or on all that are entitled to it.
    fn send_frontier(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        only: Option<LinkId>,
        ask: bool,
    ) -> Result<(), StoreError> {
        let Some(conversation) = self.conversations.get(&log) else { return Ok(()) };
        let entitled: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(id, link)| {
                only.is_none_or(|only| only == **id) && link.outgoing.contains_key(&log)
            })
            .map(|(id, _)| *id)
            .collect();
        if entitled.is_empty() {
            return Ok(());
        }
        let frontier = conversation.log.frontier(self.profile.read_receipts, cx.store)?;
        let envelope = sign(&self.me.device, frontier).into_bytes();
        let bytes = Frame::Frontiers { ask, frontiers: vec![envelope] }.encode();
        for link in entitled {
            cx.out.push(Output::Send { link, bytes: bytes.clone() });
        }
        Ok(())
    }

    fn open_conversation(
        &mut self,
        cx: &mut Context<'_>,
        with: AccountId,
    ) -> Result<(), StoreError> {
        let id = LogId::direct(self.me.account.id(), with);
        if self.conversations.contains_key(&id) {
            return Ok(());
        }
        let devices: Vec<DeviceId> =
            self.contacts.find(with).into_iter().flat_map(|c| c.account.devices()).collect();
        let number = if cx.store.record(RecordKind::Log, id.as_bytes())?.is_some() {
            crate::store::LogNumber(0)
        } else {
            self.profile.take_log_number()
        };
        let conversation = Conversation::load(cx.store, id, number, with, devices.into_iter())?;
        self.conversations.insert(id, conversation);
        Ok(())
    }

    /// Begins to try to reach somebody.
    fn reach(&mut self, uptime: Uptime, account: AccountId) {
        let known = self.contacts.find(account).is_some_and(|contact| contact.status.is_known());
        if known && !self.is_online(account) {
            self.dialers.insert(account, Dialer::new(uptime));
        } else {
            self.dialers.remove(&account);
        }
    }

    fn is_online(&self, account: AccountId) -> bool {
        self.links.values().any(|link| link.session.is_some_and(|s| s.account == account))
    }

    /// Whom we recognise on a link follows from whom we know.
    fn refresh_recognition(&mut self) {
        let known = self.contacts.known().flat_map(|contact| contact.account.devices());
        self.recognition.refresh(&self.me.device, known);
        self.warnings.retain(|device| self.recognition.knows(device));
    }

    fn refuse(&mut self, cx: &mut Context<'_>, link: LinkId, refusal: Refusal) {
        self.refusals.count(refusal);
        tracing::debug!(link = link.0, refusal = refusal.name(), "refused");
        let Some(state) = self.links.get_mut(&link) else { return };
        if !refusal.is_harmless() {
            state.refusals = state.refusals.saturating_add(1);
        }
        if matches!(refusal, Refusal::Malformed(_)) || state.refusals > LINK_REFUSALS_MAX {
            self.close(cx, link);
        }
    }

    fn close(&mut self, cx: &mut Context<'_>, link: LinkId) {
        cx.out.push(Output::Close { link });
        self.link_down(cx, link);
    }

    fn link_down(&mut self, cx: &mut Context<'_>, link: LinkId) {
        let Some(gone) = self.links.remove(&link) else { return };
        if let Some(session) = gone.session {
            self.reach(cx.uptime, session.account);
            cx.out.push(Output::Event(Event::Contact(session.account)));
        }
    }

    fn link_up(
        &mut self,
        cx: &mut Context<'_>,
        link: LinkId,
        own_transport: Box<[u8]>,
        peer_transport: Box<[u8]>,
    ) {
        if self.links.len() >= LINKS_MAX {
            self.refusals.count(Refusal::LinksFull);
            cx.out.push(Output::Close { link });
            return;
        }
        let mut state = Link::new(own_transport, peer_transport, cx.uptime);
        let wants = state.wants(cx.uptime);
        self.links.insert(link, state);
        debug_assert_eq!(wants, LinkWants::Hello, "a new link begins with a hello");
        self.say_hello(cx, link);
    }

    fn say_hello(&mut self, cx: &mut Context<'_>, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let hello = link.hello(&self.recognition, cx.rng);
        cx.out.push(Output::Send { link: id, bytes: hello.encode() });
    }

    /// Whom we know has changed: links without a session may now get one.
    fn greet_again(&mut self, cx: &mut Context<'_>) {
        let waiting: Vec<LinkId> =
            self.links.iter().filter(|(_, l)| l.session.is_none()).map(|(id, _)| *id).collect();
        for id in waiting {
            if let Some(link) = self.links.get_mut(&id) {
                link.hello_again(cx.uptime);
                link.requests_sent = false;
                link.wants(cx.uptime);
            }
            self.say_hello(cx, id);
            self.identify(cx, id);
        }
    }

    fn keep_contact(&mut self, cx: &mut Context<'_>, contact: Contact) -> Result<(), StoreError> {
        let account = contact.account.id();
        self.contacts.keep(cx.store, contact)?;
        self.refresh_recognition();
        cx.out.push(Output::Event(Event::Contact(account)));
        Ok(())
    }

    /// A device is proven to lie: the person behind it can no longer be relied on.
    fn convict(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        evidence: &Evidence,
    ) -> Result<(), StoreError> {
        let mut writer = kith_common::codec::Writer::new();
        writer.array(evidence.0.len());
        for envelope in &evidence.0 {
            writer.bytes(envelope);
        }
        cx.store.put_record(RecordKind::Evidence, device.as_bytes(), &writer.finish())?;
        let Some(account) = self.contacts.account_of(device) else { return Ok(()) };
        let Some(contact) = self.contacts.find(account) else { return Ok(()) };
        let validity = crate::contacts::Validity::Compromised;
        self.keep_contact(cx, Contact { validity, ..contact.clone() })
    }
}

/// How far messages of ours have got, for the devices of one contact.
fn state_of(
    conversation: &Conversation,
    devices: &[DeviceId],
    author: DeviceId,
    seq: u64,
) -> DeliveryState {
    let receipts = devices.iter().map(|device| conversation.receipt(*device));
    crate::delivery::state(author, seq, receipts)
}

/// The marks of one device among a frontier's.
fn mark_of(marks: &[Mark], device: DeviceId) -> Option<&Mark> {
    marks.iter().find(|mark| mark.device == device)
}
