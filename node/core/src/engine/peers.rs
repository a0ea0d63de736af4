//! Who is at the other end? Hellos, certificates and contact requests (spec 05).

use std::collections::{BTreeMap, btree_map::Entry};

use kith_common::{
    account::Account,
    frame::Frame,
    ids::{AccountId, DeviceId, LogId},
    limits::FRAME_HINTS_MAX,
    share::SharedId,
};

use super::{Context, Engine, Event, LinkId, Output, accounts::with};
use crate::{
    contacts::{Contact, Status, Validity},
    finding::is_relayed,
    limits::{KNOWN_DEVICES_MAX, REQUESTS_PER_LINK_MAX},
    log::Evidence,
    person::whose,
    refusal::Refusal,
    session::{Introduction, Link, Session},
    store::{RecordKind, StoreError},
    warnings::Warning,
};

impl Engine {
    pub(super) fn frame(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let frame = Frame::decode(bytes);
        if let Ok(Some(Frame::Entries { log, entries })) = frame {
            return self.gather(cx, id, log, entries);
        }
        self.take_gathered(cx)?;
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        match frame {
            Err(error) => self.refuse(cx, id, error.into()),
            Ok(None) => {}
            Ok(Some(frame)) if introduces(&frame, link) && !link.may_introduce() => {
                self.refuse(cx, id, Refusal::TooManyIntroductions);
            }
            Ok(Some(frame)) => self.take_frame(cx, id, frame)?,
        }
        Ok(())
    }

    fn take_frame(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        frame: Frame,
    ) -> Result<(), StoreError> {
        match frame {
            Frame::Hello { tags } => {
                if let Some(link) = self.links.get_mut(&id) {
                    link.keep_tags(tags);
                }
                self.identify(cx, id);
            }
            Frame::Certificate { cert, proof, addresses } => {
                self.certificate(cx, id, &cert, &proof, addresses)?;
            }
            Frame::Request { sealed } => self.request(cx, id, &sealed)?,
            Frame::Frontiers { ask, frontiers } => self.frontiers(cx, id, ask, &frontiers)?,
            Frame::Entries { log, entries } => self.gather(cx, id, log, entries)?,
            Frame::Accounts { proofs } => self.accounts(cx, id, &proofs)?,
            Frame::AccountHeads { heads } => self.heads(cx, id, &heads),
            Frame::Want { log, entries } => self.wanted(cx, id, log, &entries)?,
            Frame::Join { sealed } => self.join(cx, id, &sealed)?,
            Frame::Accept { sealed } => self.link_accept(cx, id, &sealed)?,
            // An offer is for a device that has no engine yet.
            Frame::Offer { .. } => self.refuse(cx, id, Refusal::RequestNotForUs),
            Frame::Hints { devices } => self.hints(cx, id, devices)?,
            Frame::Packages { packages } => self.hear_packages(cx, id, packages)?,
            Frame::Seek { tokens } => self.sought_by(cx, id, &tokens),
            Frame::Records { records } => self.hear_records(cx, id, &records),
            Frame::Who { proof } => self.asked_who(cx, id, &proof),
            Frame::Card { sealed } => self.hear_card(cx, id, &sealed)?,
        }
        Ok(())
    }

    /// Shows who we are if we recognise the other end; else asks it whether it is somebody whose
    /// contact we want to be, or who does not know this device yet.
    pub(super) fn identify(&mut self, cx: &mut Context<'_>, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(device) = link.recognise(&self.recognition) else {
            if !link.requests_sent {
                link.requests_sent = true;
                self.send_requests(cx, id);
                self.ask_who(cx, id);
            }
            return;
        };
        let Some((account, stands)) = self.owner(device) else { return };
        if stands && self.belongs() {
            self.say_absorbed(cx, id);
            let Some(link) = self.links.get(&id) else { return };
            let certificate = link.certificate(&self.me, &self.addresses, cx.now);
            cx.out.push(Output::Send { link: id, bytes: certificate.encode() });
        } else {
            // One of us is out or disputed: no more than what proves it.
            let own = self.me.account.id();
            self.send_proofs(cx, id, account);
            if account != own && !self.belongs() {
                self.send_proofs(cx, id, own);
            }
        }
    }

    /// Whose device this is or was, and whether it speaks for the account now.
    fn owner(&self, device: DeviceId) -> Option<(AccountId, bool)> {
        let people =
            std::iter::once(self.own_person()).chain(self.contacts.known().map(Contact::person));
        whose(people, device).map(|person| (person.account.id(), person.account.has(device)))
    }

    /// What somebody says of accounts, on a link whose other end was recognised.
    fn accounts(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        proofs: &[Vec<Box<[u8]>>],
    ) -> Result<(), StoreError> {
        let known =
            self.links.get(&id).is_some_and(|l| l.session.is_some() || l.recognised.is_some());
        if !known {
            self.refuse(cx, id, Refusal::NoSession);
            return Ok(());
        }
        self.learn_accounts(cx, proofs)
    }

    fn send_requests(&self, cx: &mut Context<'_>, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        if !self.belongs() {
            return;
        }
        let wanted = |contact: &&Contact| match contact.status {
            Status::Requested => true,
            Status::Contact => !contact.met,
            Status::Pending | Status::Blocked | Status::Removed => false,
        };
        let mut to: Vec<(AccountId, DeviceId, &str)> = Vec::new();
        for contact in self.contacts.iter().filter(wanted) {
            let greeting = contact.greeting.as_str();
            let id = contact.account.id();
            to.extend(contact.account.devices().map(|device| (id, device, greeting)));
        }
        if !self.own_met {
            let own = self.me.account.id();
            let others = self.me.account.devices().filter(|d| *d != self.me.device.device());
            to.extend(others.map(|device| (own, device, "")));
        }
        // Devices of an absorbed account that have not come over: they may not know of it.
        for absorbed in &self.own_absorbed {
            let left = absorbed.account.devices().filter(|d| !self.me.account.has(*d));
            to.extend(left.map(|device| (absorbed.account.id(), device, "")));
        }
        let absorbed = self.short_proofs_of_absorbed();
        // More than one link may carry: each begins somewhere else, so that all get their turn.
        let begin = usize::try_from(cx.rng.next_u32()).unwrap_or(0) % to.len().max(1);
        to.rotate_left(begin);
        for (account, device, greeting) in to.into_iter().take(REQUESTS_PER_LINK_MAX) {
            let introduction = Introduction {
                name: self.profile.name.clone(),
                greeting: greeting.to_owned(),
                addresses: self.addresses.clone(),
                absorbed: absorbed.clone(),
            };
            if let Some(request) = link.request(&self.me, (account, device), introduction, cx.rng) {
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
        let Some(link) = self.links.get(&id) else { return Ok(()) };
        let (device, said) = match link.check_certificate(cert, proof, cx.now) {
            Ok(proven) => proven,
            Err(refusal) => {
                if let (Refusal::ClocksApart { days }, Some(device)) = (refusal, link.recognised) {
                    self.warn(cx, device, Some(Warning::ClocksApart { days }));
                }
                self.refuse(cx, id, refusal);
                return Ok(());
            }
        };
        let account = said.id();
        if self.own_person().is(account) && account != self.me.account.id()
            || self.contacts.current(account) != account
        {
            // It does not know yet into which account its own has gone over.
            self.learn(cx, &said)?;
            if let Some((current, _)) = self.owner(device) {
                self.send_proofs(cx, id, current);
            }
            return Ok(());
        }
        if let Some(session) = link.session {
            // It says where it is now.
            let same = session == Session { account, device };
            return if same { self.meet(cx, account, device, addresses) } else { Ok(()) };
        }
        let own = account == self.me.account.id();
        if !own && !self.contacts.find(account).is_some_and(|c| c.status.is_known()) {
            self.refuse(cx, id, Refusal::Certificate);
            return Ok(());
        }
        self.learn(cx, &said)?;
        let Some(known) = self.account(account) else { return Ok(()) };
        let fits = own || self.contacts.has_room_for(&with(known, said.proof()));
        let older = self.has_more_proofs(account);
        if (known.head() != said.head() || older) && fits {
            // They do not know all of their own account.
            self.send_proofs(cx, id, account);
        }
        if !known.has(device) || !self.belongs() {
            self.refuse(cx, id, Refusal::Certificate);
            return Ok(());
        }
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.session = Some(Session { account, device });
        let straight = |at: &&String| !self.profile.relay_only && !is_relayed(at);
        let straight = addresses.iter().filter(straight).cloned().collect();
        cx.out.push(Output::Trust { link: id, addresses: straight });
        self.warn(cx, device, (!fits).then_some(Warning::TooManyDevices));
        self.meet(cx, account, device, addresses)?;
        self.begin_sync(cx, id, account)
    }

    /// A device is there that knows us: the person behind it has agreed.
    pub(super) fn meet(
        &mut self,
        cx: &mut Context<'_>,
        account: AccountId,
        device: DeviceId,
        addresses: Vec<String>,
    ) -> Result<(), StoreError> {
        let news = vec![(device, addresses.clone())];
        if account == self.me.account.id() {
            self.own_met = true;
            self.linking_served(cx, device)?;
            if !addresses.is_empty() && self.own_places.get(&device) != Some(&addresses) {
                self.own_places.insert(device, addresses);
                self.save_own_account(cx)?;
            }
            cx.out.push(Output::Event(Event::Account));
        } else if let Some(contact) = self.contacts.find(account).cloned() {
            let mut met = Contact { status: Status::Contact, met: true, ..contact.clone() };
            met.addresses.retain(|device, _| met.account.has(*device));
            if !addresses.is_empty() {
                met.addresses.insert(device, addresses);
            }
            if met == contact {
                cx.out.push(Output::Event(Event::Contact(account)));
            } else {
                self.keep_contact(cx, met)?;
            }
        }
        self.hint(cx, news);
        self.reach(cx.uptime, account);
        Ok(())
    }

    /// We can be reached elsewhere than before: everybody on a session learns it.
    pub(super) fn tell_addresses(&self, cx: &mut Context<'_>) {
        for (id, link) in &self.links {
            if link.session.is_some() {
                let certificate = link.certificate(&self.me, &self.addresses, cx.now);
                cx.out.push(Output::Send { link: *id, bytes: certificate.encode() });
            }
        }
    }

    /// Tells our other devices where somebody was reached.
    fn hint(&self, cx: &mut Context<'_>, devices: Vec<(DeviceId, Vec<String>)>) {
        let own = self.me.account.id();
        let news = devices.into_iter().filter(|(_, addresses)| !addresses.is_empty());
        let devices: Vec<(DeviceId, Vec<String>)> = news.collect();
        if devices.is_empty() {
            return;
        }
        let bytes = Frame::Hints { devices }.encode();
        for (id, link) in &self.links {
            if link.session.is_some_and(|session| session.account == own) {
                cx.out.push(Output::Send { link: *id, bytes: bytes.clone() });
            }
        }
    }

    /// Everything we know of where others are, for a device of ours.
    pub(super) fn send_hints(&self, cx: &mut Context<'_>, link: LinkId) {
        let mut devices: Vec<(DeviceId, Vec<String>)> =
            self.own_places.clone().into_iter().collect();
        for contact in self.contacts.known() {
            devices.extend(contact.addresses.clone());
            // What came with a link may lead to any of them.
            if contact.addresses.is_empty() && !contact.hints.is_empty() {
                let first = contact.account.devices().next();
                devices.extend(first.map(|device| (device, contact.hints.clone())));
            }
        }
        for part in devices.chunks(FRAME_HINTS_MAX) {
            let bytes = Frame::Hints { devices: part.to_vec() }.encode();
            cx.out.push(Output::Send { link, bytes });
        }
    }

    /// Another device of ours says where others are.
    fn hints(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        devices: Vec<(DeviceId, Vec<String>)>,
    ) -> Result<(), StoreError> {
        let own = self.me.account.id();
        let session = self.links.get(&id).and_then(|link| link.session);
        if session.is_none_or(|session| session.account != own) {
            self.refuse(cx, id, Refusal::NoSession);
            return Ok(());
        }
        let mut is_news = false;
        let mut by_contact: BTreeMap<AccountId, Vec<(DeviceId, Vec<String>)>> = BTreeMap::new();
        for (device, addresses) in devices {
            if device == self.me.device.device() || addresses.is_empty() {
                continue;
            }
            if self.me.account.has(device) {
                if let Entry::Vacant(place) = self.own_places.entry(device) {
                    place.insert(addresses);
                    is_news = true;
                }
            } else if let Some(account) = self.contacts.account_of(device) {
                by_contact.entry(account).or_default().push((device, addresses));
            } else if self.hinted.len() < KNOWN_DEVICES_MAX {
                self.hinted.insert(device, addresses);
            }
        }
        for (account, news) in by_contact {
            let Some(mut contact) = self.contacts.find(account).cloned() else { continue };
            let before = contact.addresses.clone();
            for (device, addresses) in news {
                contact.addresses.entry(device).or_insert(addresses);
            }
            if contact.addresses != before {
                self.store_contact(cx, contact)?;
                self.reach_anew(cx.uptime, account);
            }
        }
        if is_news {
            self.save_own_account(cx)?;
            self.reach_anew(cx.uptime, own);
        }
        Ok(())
    }

    /// What was said of a contact's devices before the contact was known.
    pub(super) fn take_hints(&mut self, contact: &mut Contact) {
        for device in contact.account.devices() {
            if let Some(addresses) = self.hinted.remove(&device) {
                contact.addresses.entry(device).or_insert(addresses);
            }
        }
    }

    /// Keeps or takes back what the person is to be told about a known device.
    fn warn(&mut self, cx: &mut Context<'_>, device: DeviceId, warning: Option<Warning>) {
        let Some(account) = self.contacts.account_of(device) else { return };
        if self.warnings.set(device, warning) {
            cx.out.push(Output::Event(Event::Contact(account)));
        }
    }

    fn request(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let Some(link) = self.links.get(&id) else { return Ok(()) };
        let (account, mut introduction) = match link.open_request(&self.me, sealed) {
            Ok(opened) => opened,
            Err(refusal) => {
                self.refuse(cx, id, refusal);
                return Ok(());
            }
        };
        if !introduction.absorbed.is_empty() {
            // Somebody who is known may be asking under another account.
            introduction.absorbed.push(account.proof().to_vec());
            self.learn_accounts(cx, &introduction.absorbed)?;
        }
        if account.id() == self.me.account.id() {
            // A device of ours that this one did not know.
            self.learn(cx, &account)?;
            return Ok(());
        }
        match self.contacts.find(account.id()) {
            Some(known) => self.asked_again(cx, &known.clone(), &account, introduction),
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
        let name = self.contacts.free_name(&introduction.name, account_id);
        let number = self.contacts.next_request_number();
        let known = self.contacts.find_any(account_id).cloned();
        let contact = Contact {
            greeting: introduction.greeting,
            hints: introduction.addresses,
            request_number: Some(number),
            status: Status::Pending,
            name,
            ..known.unwrap_or_else(|| Contact::new(account, String::new(), Status::Pending))
        };
        // Our other devices are asked themselves; they are told once the person has answered.
        let shared = SharedId::of(&contact.account);
        self.store_contact(cx, contact)?;
        self.open_conversation(cx, account_id)?;
        if self.forget_sought(cx, shared)?.is_some() {
            // Both looked for each other: both agree.
            drop(self.accept(cx, account_id)?);
        }
        Ok(())
    }

    fn asked_again(
        &mut self,
        cx: &mut Context<'_>,
        known: &Contact,
        said: &Account,
        introduction: Introduction,
    ) -> Result<(), StoreError> {
        if known.status == Status::Blocked {
            return Ok(());
        }
        let id = said.id();
        self.learn(cx, said)?;
        let Some(known) = self.contacts.find(id).cloned() else { return Ok(()) };
        match known.status {
            // Both asked: both agree.
            Status::Requested => {
                self.keep_contact(cx, Contact { status: Status::Contact, ..known })?;
            }
            Status::Pending | Status::Contact => {
                let hints = introduction.addresses;
                if !hints.is_empty() && hints != known.hints {
                    self.store_contact(cx, Contact { hints, ..known })?;
                }
            }
            Status::Blocked | Status::Removed => {}
        }
        self.greet_again(cx);
        Ok(())
    }

    /// The logs that are shared with a device of this account.
    pub(super) fn shared_logs(&self, account: AccountId) -> Vec<LogId> {
        if account == self.me.account.id() {
            // First what says whom we know.
            let own = self.own_logs();
            let others = self.conversations.keys().filter(|log| !own.contains(log)).copied();
            own.iter().copied().chain(others).collect()
        } else {
            self.logs_with(account)
        }
    }

    /// A device is proven to lie: the person behind it can no longer be relied on.
    pub(super) fn convict(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        evidence: &Evidence,
    ) -> Result<(), StoreError> {
        if cx.store.record(RecordKind::Evidence, device.as_bytes())?.is_some() {
            return Ok(());
        }
        let mut writer = kith_common::codec::Writer::new();
        writer.array(evidence.0.len());
        for envelope in &evidence.0 {
            writer.bytes(envelope);
        }
        cx.store.put_record(RecordKind::Evidence, device.as_bytes(), &writer.finish())?;
        let Some(account) = self.contacts.account_of(device) else { return Ok(()) };
        let Some(contact) = self.contacts.find(account) else { return Ok(()) };
        if contact.validity == Validity::Compromised {
            return Ok(());
        }
        let validity = Validity::Compromised;
        self.keep_contact(cx, Contact { validity, ..contact.clone() })
    }
}

/// Whether a frame is one of those that anybody may send, and that cost us something.
const fn introduces(frame: &Frame, link: &Link) -> bool {
    match frame {
        Frame::Hello { .. }
        | Frame::Certificate { .. }
        | Frame::Accounts { .. }
        | Frame::Request { .. }
        | Frame::Join { .. }
        | Frame::Accept { .. } => true,
        _ => link.session.is_none(),
    }
}
