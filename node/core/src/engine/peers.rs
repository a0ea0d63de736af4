//! What happens when another node says something?

use kith_common::{
    account::Account,
    entry::Mark,
    envelope::Signed,
    frame::{CarriedEntry, Frame},
    frontier::Frontier,
    ids::{AccountId, DeviceId, LogId},
};

use super::{Context, Engine, Event, LinkId, Output, mark_of};
use crate::{
    contacts::{Contact, Status, Validity},
    delivery::reached,
    limits::REQUESTS_PER_LINK_MAX,
    log::Evidence,
    refusal::Refusal,
    session::{Introduction, Link, Session},
    store::StoreError,
    sync::Outgoing,
    warnings::Warning,
};

impl Engine {
    pub(super) fn frame(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        match Frame::decode(bytes) {
            Err(error) => self.refuse(cx, id, error.into()),
            Ok(None) => {}
            Ok(Some(Frame::Hello { .. } | Frame::Request { .. })) if !link.may_introduce() => {
                self.refuse(cx, id, Refusal::TooManyIntroductions);
            }
            Ok(Some(Frame::Hello { tags })) => {
                link.keep_tags(tags);
                self.identify(cx, id);
            }
            Ok(Some(Frame::Certificate { cert, proof, addresses })) => {
                self.certificate(cx, id, &cert, &proof, addresses)?;
            }
            Ok(Some(Frame::Request { sealed })) => self.request(cx, id, &sealed)?,
            Ok(Some(Frame::Frontiers { ask, frontiers })) => {
                self.frontiers(cx, id, ask, &frontiers)?;
            }
            Ok(Some(Frame::Entries { log, entries })) => self.entries(cx, id, log, entries)?,
        }
        Ok(())
    }

    /// Shows who we are if we recognise the other end; else asks it whether it is somebody whose
    /// contact we want to be.
    pub(super) fn identify(&mut self, cx: &mut Context<'_>, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.recognise(&self.recognition).is_some() {
            let certificate = link.certificate(&self.me, &self.addresses, cx.now);
            cx.out.push(Output::Send { link: id, bytes: certificate.encode() });
        } else if !link.requests_sent {
            link.requests_sent = true;
            self.send_requests(cx, id);
        }
    }

    fn send_requests(&self, cx: &mut Context<'_>, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let wanted = self.contacts.iter().filter(|contact| contact.status == Status::Requested);
        let to = wanted
            .flat_map(|contact| contact.account.devices().map(move |device| (contact, device)));
        let mut to: Vec<_> = to.collect();
        // More than one link may carry: each begins somewhere else, so that all get their turn.
        let begin = usize::try_from(cx.rng.next_u32()).unwrap_or(0) % to.len().max(1);
        to.rotate_left(begin);
        for (contact, device) in to.into_iter().take(REQUESTS_PER_LINK_MAX) {
            let introduction = Introduction {
                name: self.profile.name.clone(),
                greeting: contact.greeting.clone(),
                addresses: self.addresses.clone(),
            };
            let to = (contact.account.id(), device);
            if let Some(request) = link.request(&self.me, to, introduction, cx.rng) {
                cx.out.push(Output::Send { link: id, bytes: request.encode() });
            }
        }
    }

    fn certificate(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        cert: &[u8],
        proof: &[Box<[u8]>],
        addresses: Vec<String>,
    ) -> Result<(), StoreError> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if link.session.is_some() {
            return Ok(());
        }
        let (device, account) = match link.check_certificate(cert, proof, cx.now) {
            Ok(proven) => proven,
            Err(refusal) => {
                if let (Refusal::ClocksApart { days }, Some(device)) = (refusal, link.recognised) {
                    self.warn(cx, device, Some(Warning::ClocksApart { days }));
                }
                self.refuse(cx, id, refusal);
                return Ok(());
            }
        };
        let account_id = account.id();
        let known = self.contacts.find(account_id).filter(|contact| contact.status.is_known());
        let Some(contact) = known.cloned() else {
            self.refuse(cx, id, Refusal::Certificate);
            return Ok(());
        };
        link.session = Some(Session { account: account_id, device });
        self.meet(cx, device, contact, account, addresses)?;
        self.begin_sync(cx, id, account_id)
    }

    /// A contact's device is there: it recognised us, so the person has agreed.
    fn meet(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        contact: Contact,
        account: Account,
        addresses: Vec<String>,
    ) -> Result<(), StoreError> {
        let mut proof = contact.account.proof().to_vec();
        proof.extend(account.proof().iter().skip(1).cloned());
        let mut account = Account::fold(&proof).unwrap_or_else(|_| contact.account.clone());
        let fits = self.contacts.has_room_for(&account);
        if !fits {
            self.refusals.count(Refusal::DevicesFull);
            account = contact.account.clone();
        }
        self.warn(cx, device, (!fits).then_some(Warning::TooManyDevices));
        let addresses = if addresses.is_empty() { contact.addresses.clone() } else { addresses };
        let met = Contact { account, addresses, status: Status::Contact, ..contact.clone() };
        self.dialers.remove(&met.account.id());
        if met == contact {
            cx.out.push(Output::Event(Event::Contact(met.account.id())));
            Ok(())
        } else {
            self.keep_contact(cx, met)
        }
    }

    /// Keeps or takes back what the person is to be told about a known device.
    fn warn(&mut self, cx: &mut Context<'_>, device: DeviceId, warning: Option<Warning>) {
        let Some(account) = self.contacts.account_of(device) else { return };
        if self.warnings.set(device, warning) {
            cx.out.push(Output::Event(Event::Contact(account)));
        }
    }

    fn begin_sync(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        account: AccountId,
    ) -> Result<(), StoreError> {
        self.open_conversation(cx, account)?;
        let log = LogId::direct(self.me.account.id(), account);
        if let Some(link) = self.links.get_mut(&id) {
            link.outgoing.insert(log, Outgoing::new(cx.uptime));
        }
        self.send_frontier(cx, log, Some(id), true)
    }

    fn request(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let Some(link) = self.links.get(&id) else { return Ok(()) };
        let (account, introduction) = match link.open_request(&self.me, sealed) {
            Ok(opened) => opened,
            Err(refusal) => {
                self.refuse(cx, id, refusal);
                return Ok(());
            }
        };
        match self.contacts.find(account.id()) {
            Some(known) => self.asked_again(cx, known.clone(), introduction),
            None => self.asked(cx, id, account, introduction),
        }
    }

    fn asked(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        account: Account,
        introduction: Introduction,
    ) -> Result<(), StoreError> {
        if !self.links.get_mut(&id).is_some_and(Link::may_ask) {
            self.refuse(cx, id, Refusal::TooManyRequests);
            return Ok(());
        }
        if !self.contacts.has_room_for_request() {
            let Some(oldest) = self.contacts.oldest_request() else {
                self.refuse(cx, id, Refusal::RequestsFull);
                return Ok(());
            };
            self.forget(cx, oldest)?;
        }
        let account_id = account.id();
        let contact = Contact {
            name: self.contacts.free_name(&introduction.name, account_id),
            account,
            status: Status::Pending,
            validity: Validity::Unvalidated,
            greeting: introduction.greeting,
            addresses: introduction.addresses,
            before_block: None,
            request_number: Some(self.contacts.next_request_number()),
        };
        self.keep_contact(cx, contact)?;
        self.open_conversation(cx, account_id)
    }

    fn asked_again(
        &mut self,
        cx: &mut Context<'_>,
        known: Contact,
        introduction: Introduction,
    ) -> Result<(), StoreError> {
        match known.status {
            Status::Blocked => Ok(()),
            // Both asked: both agree.
            Status::Requested => {
                self.keep_contact(cx, Contact { status: Status::Contact, ..known })?;
                self.greet_again(cx);
                Ok(())
            }
            Status::Pending | Status::Contact => {
                let addresses = introduction.addresses;
                if addresses.is_empty() || addresses == known.addresses {
                    return Ok(());
                }
                self.keep_contact(cx, Contact { addresses, ..known })
            }
        }
    }

    fn frontiers(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        ask: bool,
        frontiers: &[Box<[u8]>],
    ) -> Result<(), StoreError> {
        if self.links.get(&id).is_none_or(|link| link.session.is_none()) {
            self.refuse(cx, id, Refusal::NoSession);
            return Ok(());
        }
        for envelope in frontiers {
            if let Err(refusal) = self.frontier(cx, id, envelope)? {
                self.refuse(cx, id, refusal);
            }
        }
        if ask {
            let logs: Vec<LogId> = self
                .links
                .get(&id)
                .map(|link| link.outgoing.keys().copied().collect())
                .unwrap_or_default();
            for log in logs {
                if let Some(conversation) = self.conversations.get_mut(&log) {
                    conversation.owe_frontier(cx.uptime);
                    self.touched.insert(log);
                }
            }
        }
        Ok(())
    }

    /// One frontier: of the device at the other end, or handed on for another of its account.
    fn frontier(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        envelope: &[u8],
    ) -> Result<Result<(), Refusal>, StoreError> {
        let frontier = match Signed::<Frontier>::decode(envelope) {
            Ok(signed) => match signed.verify() {
                Ok(verified) => verified,
                Err(_) => return Ok(Err(Refusal::Signature)),
            },
            Err(error) => return Ok(Err(error.into())),
        };
        let device = DeviceId::from_bytes(*frontier.signer());
        let log = frontier.value().log;
        let Some(link) = self.links.get_mut(&id) else { return Ok(Ok(())) };
        let Some(conversation) = self.conversations.get_mut(&log) else {
            return Ok(Err(Refusal::NotEntitled));
        };
        let Some(outgoing) = link.outgoing.get_mut(&log) else {
            return Ok(Err(Refusal::NotEntitled));
        };
        let own = self.me.account.has(device);
        if !own && self.contacts.account_of(device) != Some(conversation.with) {
            return Ok(Err(Refusal::NotEntitled));
        }
        for mark in frontier.value().received.iter().chain(&frontier.value().read) {
            let unwritten = mark.device == self.me.device.device()
                && mark.seq > conversation.log.last_seq(mark.device);
            if unwritten || conversation.log.contradicts(mark, cx.store)? {
                return self.contradiction(cx, log, device, mark, envelope);
            }
        }
        if link.session.is_some_and(|session| session.device == device) {
            outgoing.frontier(reached(&frontier.value().received), cx.uptime);
            self.touched.insert(log);
        }
        self.deliver(cx, log, device, frontier.value(), envelope)?;
        Ok(Ok(()))
    }

    /// A frontier names another entry than the one that is stored, or one of ours that was never
    /// written: no tick may follow from it. If its signer speaks of its own
    /// chain, it has signed two entries with one number: proof enough.
    fn contradiction(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        device: DeviceId,
        mark: &Mark,
        envelope: &[u8],
    ) -> Result<Result<(), Refusal>, StoreError> {
        if mark.device == device
            && let Some(stored) = self.stored_envelope(cx, log, mark)?
        {
            self.convict(cx, device, &Evidence(vec![envelope.into(), stored]))?;
        }
        Ok(Err(Refusal::Fork))
    }

    fn stored_envelope(
        &self,
        cx: &Context<'_>,
        log: LogId,
        mark: &Mark,
    ) -> Result<Option<Box<[u8]>>, StoreError> {
        let Some(conversation) = self.conversations.get(&log) else { return Ok(None) };
        let author = conversation.log.authors().find(|(_, a)| a.device == mark.device);
        let Some((author, _)) = author else { return Ok(None) };
        let log = conversation.log.number();
        let row = cx.store.entry(crate::store::Place { log, author, seq: mark.seq })?;
        Ok(row.map(|row| row.envelope))
    }

    /// What a frontier proves about our own messages.
    fn deliver(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        device: DeviceId,
        frontier: &Frontier,
        envelope: &[u8],
    ) -> Result<(), StoreError> {
        let Some(conversation) = self.conversations.get_mut(&log) else { return Ok(()) };
        let own = self.me.device.device();
        let before = conversation
            .receipt(device)
            .map_or((0, 0), |receipt| (receipt.received(own), receipt.read(own)));
        if !conversation.advance(cx.store, device, frontier, envelope)? {
            return Ok(());
        }
        let after = conversation
            .receipt(device)
            .map_or((0, 0), |receipt| (receipt.received(own), receipt.read(own)));
        let author = conversation.log.authors().find(|(_, author)| author.device == own);
        if let Some((author, _)) = author
            && after != before
            && mark_of(&frontier.received, own).is_some()
        {
            let first = if after.1 > before.1 { before.1 } else { before.0 } + 1;
            let seqs = (first, after.0.max(after.1));
            cx.out.push(Output::Event(Event::Delivery { with: conversation.with, author, seqs }));
        }
        Ok(())
    }

    fn entries(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        log: LogId,
        entries: Vec<CarriedEntry>,
    ) -> Result<(), StoreError> {
        let outgoing = self.links.get_mut(&id).and_then(|link| link.outgoing.get_mut(&log));
        let Some((conversation, outgoing)) = self.conversations.get_mut(&log).zip(outgoing) else {
            self.refuse(cx, id, Refusal::NoSession);
            return Ok(());
        };
        let (with, me, contacts) = (conversation.with, &self.me.account, &self.contacts);
        let account_of = |device: DeviceId| {
            if me.has(device) {
                return Some(me.id());
            }
            contacts.account_of(device).filter(|account| *account == with)
        };
        let received = conversation.log.receive(entries, &account_of, cx.now, cx.store)?;
        outgoing.note(&received.sender_has);
        conversation.owe_frontier(cx.uptime);
        self.touched.insert(log);
        for place in received.accepted {
            cx.out.push(Output::Event(Event::Entry { with, place }));
        }
        for (device, evidence) in &received.liars {
            self.convict(cx, *device, evidence)?;
        }
        for refusal in received.refused {
            self.refuse(cx, id, refusal);
        }
        Ok(())
    }
}
