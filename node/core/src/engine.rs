//! What happens when something happens? One machine: an input comes in, outputs come out.
//!
//! ```text
//!   Input ──► handle ──► rules (log, delivery, session, …) ──► Store
//!                 └────► Output, carried out only after the store has committed
//! ```
//!
//! A store error leaves the engine in an unknown state: roll back and open it again from the store.

mod accounts;
mod carried_out;
mod commands;
mod deletion;
mod devices;
mod exchange;
mod finding;
mod io;
mod linking;
mod mail;
mod merging;
mod own;
mod peers;
mod queries;
mod reaching;

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::Account,
    entry::Mark,
    ids::{AccountId, DeviceId, EntryId, LogId},
    time::Uptime,
};

pub use self::io::{
    Answer, Command, CommandError, CommandId, Context, Event, Input, LinkId, Output,
};
use self::{deletion::Trash, exchange::Gathered};
pub use crate::session::Identity;
use crate::{
    bygone::Bygone,
    contacts::{Contact, Contacts},
    conversation::Conversation,
    delivery::DeliveryState,
    dial::Dialer,
    finding::Finding,
    limits::{KNOWN_DEVICES_MAX, LINK_REFUSALS_MAX, LINKS_MAX},
    linking::Host,
    mail::Mail,
    names::tidy_name,
    person::{Absorbed, Person},
    profile::Profile,
    refusal::{Refusal, Refusals},
    session::{Link, LinkWants, Recognition},
    store::{LogNumber, Position, RecordKind, StoreError},
    sync::{Outgoing, Overdue},
    warnings::Warnings,
};

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
    /// Where our other devices were reached.
    own_places: BTreeMap<DeviceId, Vec<String>>,
    /// Where they may be, whichever it is.
    own_hints: Vec<String>,
    /// Where devices may be of which we have heard nothing else yet.
    hinted: BTreeMap<DeviceId, Vec<String>>,
    /// Devices of ours that only older proofs name.
    own_bygone: Bygone,
    /// Accounts of ours that the one in use has absorbed.
    own_absorbed: Vec<Absorbed>,
    /// Accounts that ours names as going over into it, or it into them, which is not decided yet.
    relatives: BTreeMap<AccountId, Account>,
    /// Devices of these that only older proofs name.
    relatives_bygone: BTreeMap<AccountId, Bygone>,
    /// Whether another device of ours has met this one, so that it knows it.
    own_met: bool,
    /// A code for a new device is shown.
    linking: Option<Host>,
    drafts: BTreeMap<LogId, (Position, String)>,
    /// Logs that our devices have spoken of and that are not open here.
    unheard: BTreeSet<LogId>,
    trash: BTreeMap<EntryId, Trash>,
    refusals: Refusals,
    warnings: Warnings,
    mail: Mail,
    finding: Finding,
    /// Conversations with something to save or send.
    touched: BTreeSet<LogId>,
    /// Somebody is new here: our other devices may know more of their account.
    owes_heads: bool,
    /// Entries to which the next frame may add.
    gathered: Option<Gathered>,
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
            own_places: BTreeMap::new(),
            own_hints: Vec::new(),
            hinted: BTreeMap::new(),
            own_bygone: Bygone::default(),
            own_absorbed: Vec::new(),
            relatives: BTreeMap::new(),
            relatives_bygone: BTreeMap::new(),
            own_met: false,
            linking: None,
            drafts: BTreeMap::new(),
            unheard: BTreeSet::new(),
            trash: BTreeMap::new(),
            refusals: Refusals::default(),
            warnings: Warnings::default(),
            mail: Mail::load(cx.store)?,
            finding: Finding::load(cx.store)?,
            touched: BTreeSet::new(),
            owes_heads: false,
            gathered: None,
        };
        engine.load_own_account(cx)?;
        let own = engine.me.account.id();
        engine.linking = Host::load(cx.store, own, (cx.now, cx.uptime))?;
        engine.load_drafts(cx)?;
        engine.load_unheard(cx)?;
        engine.load_trash(cx)?;
        engine.refresh_recognition();
        for log in engine.own_logs() {
            engine.open_log(cx, log, own)?;
        }
        let people: Vec<AccountId> =
            engine.contacts.all().map(|contact| contact.account.id()).collect();
        for account in people {
            engine.open_conversation(cx, account)?;
            engine.reach(cx.uptime, account);
        }
        engine.reach(cx.uptime, own);
        engine.notice_own_standing(cx);
        Ok(engine)
    }

    /// Handles one input. Whatever changes is in the store, whatever is to be done in `cx.out`.
    ///
    /// # Errors
    /// If the store cannot be read or written: roll back and open the engine again.
    pub fn handle(&mut self, cx: &mut Context<'_>, input: Input) -> Result<(), StoreError> {
        self.handle_all(cx, [input])
    }

    /// Handles what has come together: logs are saved, and others told, once for all of it. All of
    /// it is in memory at one time.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub fn handle_all(
        &mut self,
        cx: &mut Context<'_>,
        inputs: impl IntoIterator<Item = Input>,
    ) -> Result<(), StoreError> {
        for input in inputs {
            if !matches!(input, Input::Frame { .. }) {
                self.take_gathered(cx)?;
            }
            self.take(cx, input)?;
        }
        self.take_gathered(cx)?;
        self.settle(cx)?;
        for output in cx.out.iter() {
            if let Output::Send { link, .. } = output
                && let Some(link) = self.links.get_mut(link)
            {
                link.say(cx.uptime);
            }
        }
        Ok(())
    }

    fn take(&mut self, cx: &mut Context<'_>, input: Input) -> Result<(), StoreError> {
        match input {
            Input::Tick => self.tick(cx)?,
            Input::LinkUp { link, own_transport, peer_transport, relayed } => {
                self.link_up(cx, link, own_transport, peer_transport);
                if let Some(link) = self.links.get_mut(&link) {
                    link.relayed = relayed;
                }
            }
            Input::LinkDown { link } => self.link_down(cx, link),
            Input::Frame { link, bytes } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.hear(cx.uptime);
                }
                self.frame(cx, link, &bytes)?;
            }
            Input::Listening { addresses } => self.moved_to(cx, addresses),
            Input::Finding { is_on } => self.set_finding(cx, is_on),
            Input::Found { key, value } => self.found(cx, key, &value),
            Input::Errand { id, reply } => self.errand_done(cx, id, reply)?,
            Input::Command { id, command } => {
                let result = self.command(cx, command)?;
                cx.out.push(Output::Answered { id, result });
            }
        }
        Ok(())
    }

    /// When the engine wants a [`Input::Tick`], and why.
    pub fn deadline(&self) -> Option<(Uptime, &'static str)> {
        let links = self.links.values().flat_map(|link| {
            let outgoing = link.outgoing.values().filter_map(Outgoing::deadline);
            let outgoing = outgoing.map(|at| (at, "no frontier came"));
            link.deadline().map(|at| (at, "link without session")).into_iter().chain(outgoing)
        });
        let frontiers = self.conversations.values().filter_map(Conversation::deadline);
        let dialers = self.dialers.values().filter_map(Dialer::deadline);
        let dialers = dialers.map(|at| (at, "contact to reach"));
        let linking = self.linking.iter().map(|host| (host.deadline(), "code for a new device"));
        let trash = self.trash_at().map(|at| (at, "something deleted is to be erased"));
        let owed = frontiers.map(|at| (at, "frontier owed"));
        let mail = self.mail.deadline().into_iter().chain(self.finding.deadline());
        links.chain(owed).chain(dialers).chain(linking).chain(trash).chain(mail).min()
    }

    fn tick(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for id in links {
            self.tick_link(cx, id)?;
        }
        self.dial(cx);
        if self.linking.as_ref().is_some_and(|host| host.is_over(cx.uptime)) {
            self.close_linking(cx)?;
        }
        self.answer_guests(cx);
        if self.trash_at().is_some_and(|at| at <= cx.uptime) {
            self.empty_trash(cx)?;
        }
        let due = |conversation: &Conversation| {
            conversation.deadline().is_some_and(|due| due <= cx.uptime)
        };
        let owed = self.conversations.iter().filter(|(_, c)| due(c)).map(|(id, _)| *id);
        self.touched.extend(owed);
        self.tick_finding(cx)?;
        self.tick_mail(cx)
    }

    fn tick_link(&mut self, cx: &mut Context<'_>, id: LinkId) -> Result<(), StoreError> {
        let is_guest = self.linking.as_ref().is_some_and(|host| host.has_guest_on(id));
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        match link.wants(cx.uptime) {
            LinkWants::Nothing => {}
            LinkWants::Hello => self.say_hello(cx, id),
            // A person compares numbers.
            LinkWants::Close if is_guest => link.hello_again(cx.uptime),
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

    /// What inputs end with: save what changed, send what can be sent.
    fn settle(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        for log in std::mem::take(&mut self.touched) {
            let Some(conversation) = self.conversations.get_mut(&log) else { continue };
            if conversation.log.save(cx.store)? {
                // The first time: the number of the log is taken for good.
                self.profile.save(cx.store)?;
            }
            let renumbered = conversation.log.take_renumbered();
            if conversation.log.take_overlooked_deletions() {
                self.hear_about(cx, log)?;
            }
            if renumbered {
                self.ask_again(cx, log)?;
            }
            self.links.values_mut().for_each(|link| link.queue(log));
            self.mail.stirred_logs.insert(log);
            let Some(conversation) = self.conversations.get_mut(&log) else { continue };
            let read_note = conversation.read_note_is_due(cx.uptime);
            if conversation.want_is_due(cx.uptime, cx.store)? {
                self.want_of_all(cx, log)?;
            }
            let Some(conversation) = self.conversations.get_mut(&log) else { continue };
            if conversation.frontier_is_due(cx.uptime) {
                self.send_frontier(cx, log, None, false)?;
            }
            self.relay_frontiers(cx, log)?;
            if read_note {
                self.tell_read(cx, log)?;
            }
        }
        self.send_entries(cx)?;
        self.settle_mail(cx)?;
        self.settle_finding(cx)?;
        if std::mem::take(&mut self.owes_heads) {
            let own = self.me.account.id();
            let ours = |link: &Link| link.session.is_some_and(|session| session.account == own);
            let links: Vec<LinkId> =
                self.links.iter().filter(|(_, link)| ours(link)).map(|(id, _)| *id).collect();
            for link in links {
                self.send_heads(cx, link);
            }
        }
        // What was told to our other devices in between.
        if self.touched.is_empty() { Ok(()) } else { self.settle(cx) }
    }

    fn open_conversation(
        &mut self,
        cx: &mut Context<'_>,
        with: AccountId,
    ) -> Result<(), StoreError> {
        for log in self.logs_with(with) {
            self.open_log(cx, log, with)?;
        }
        Ok(())
    }

    /// The log in which we write to somebody.
    fn log_with(&self, with: AccountId) -> LogId {
        LogId::direct(self.me.account.id(), with)
    }

    /// All logs of the conversation with somebody, the one in which we write first.
    fn logs_with(&self, with: AccountId) -> Vec<LogId> {
        let contact = self.contacts.find_any(with);
        let pairs = contact.into_iter().flat_map(|contact| &contact.earlier);
        // Both may have gone over while apart, each writing to the account that it knew.
        let (mut ours, mut theirs) = (vec![self.me.account.id()], vec![with]);
        for (own, other) in pairs {
            ours.push(*own);
            theirs.push(*other);
        }
        let mut logs = Vec::new();
        for (own, other) in ours.iter().flat_map(|own| theirs.iter().map(move |other| (own, other)))
        {
            let log = LogId::direct(*own, *other);
            if !logs.contains(&log) {
                logs.push(log);
            }
        }
        logs
    }

    /// The conversation whose entries have this number in the store.
    fn conversation_of(&self, number: LogNumber) -> Option<&Conversation> {
        self.conversations.values().find(|conversation| conversation.log.number() == number)
    }

    fn open_log(
        &mut self,
        cx: &mut Context<'_>,
        id: LogId,
        with: AccountId,
    ) -> Result<(), StoreError> {
        if self.conversations.contains_key(&id) {
            return Ok(());
        }
        let me = self.me.device.device();
        let own = self.own_person().devices().filter(|device| *device != me);
        let theirs = self.contacts.find_any(with).into_iter().flat_map(|c| c.person().devices());
        let devices: Vec<DeviceId> = own.chain(theirs).collect();
        let number = if cx.store.record(RecordKind::Log, id.as_bytes())?.is_some() {
            LogNumber(0)
        } else {
            self.profile.take_log_number()
        };
        let mut conversation = Conversation::load(cx.store, id, number, with, devices.into_iter())?;
        if conversation.log.has_untold_reads() {
            conversation.owe_read_note(cx.uptime);
        }
        self.conversations.insert(id, conversation);
        self.refresh_limits(cx, id)?;
        // Our other devices may have it already.
        let own = self.me.account.id();
        let links: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.session.is_some_and(|session| session.account == own))
            .map(|(link, _)| *link)
            .collect();
        for link in links {
            self.share_logs(cx, link, &[id])?;
        }
        self.hear_what_waited(cx, id)
    }

    /// Whom we recognise on a link follows from whom we know: also those who are out or disputed,
    /// so that they learn of it.
    fn refresh_recognition(&mut self) {
        let me = self.me.device.device();
        let people: Vec<Person<'_>> = std::iter::once(self.own_person())
            .chain(self.contacts.known().map(Contact::person))
            .collect();
        let standing = people.iter().flat_map(Person::devices);
        let others = people
            .iter()
            .flat_map(|person| person.disputed().chain(person.former().map(|(device, ..)| device)));
        let bygone = people.iter().flat_map(|person| person.bygone().map(|(device, _)| device));
        let known = standing.chain(others).chain(bygone).filter(|device| *device != me);
        let known: Vec<DeviceId> = known.take(KNOWN_DEVICES_MAX).collect();
        self.recognition.refresh(&self.me.device, known.into_iter());
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
        if self.linking.as_mut().is_some_and(|host| host.leave(link)) {
            cx.out.push(Output::Event(Event::Linking));
        }
        if let Some(session) = gone.session {
            if !self.is_linked(session.device) {
                if gone.has_lasted(cx.uptime) {
                    self.dialers.remove(&session.account);
                }
                self.reach(cx.uptime, session.account);
                if gone.has_arrived(cx.uptime) {
                    self.mail.left.insert(session.device);
                } else {
                    self.mail.stirred.insert(session.device);
                }
            }
            let own = session.account == self.me.account.id();
            let event = if own { Event::Account } else { Event::Contact(session.account) };
            cx.out.push(Output::Event(event));
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
