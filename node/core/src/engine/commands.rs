//! What happens when a person wants something?

use kith_common::{
    entry::{EntryKind, Text},
    ids::{AccountId, EntryId},
    limits::{ADDRESSES_MAX, GREETING_BYTES_MAX, TEXT_BYTES_MAX},
    own::{Own, Setting},
    share::{ContactCard, SharedId},
};

use super::{Answer, Command, CommandError, Context, Engine, Event, LinkId, Output};
use crate::{
    contacts::{Contact, Status},
    limits::{CONTACTS_MAX, KNOWN_DEVICES_MAX},
    names::chosen_name,
    store::StoreError,
};

pub(super) type Outcome = Result<Result<Answer, CommandError>, StoreError>;

impl Engine {
    pub(super) fn command(&mut self, cx: &mut Context<'_>, command: Command) -> Outcome {
        match command {
            Command::AddContact { card, name, greeting } => self.add(cx, *card, name, &greeting),
            Command::LookFor { id, name, greeting } => {
                self.look_for(cx, id, name.as_deref(), &greeting)
            }
            Command::StopLooking(id) => self.stop_looking(cx, id),
            Command::SetFindable(on) => self.set(cx, Setting::Findable(on)),
            Command::SetRelayOnly(on) => self.set(cx, Setting::RelayOnly(on)),
            Command::SetBootstraps(list) => self.set(cx, Setting::Bootstraps(list)),
            Command::Accept(account) => self.accept(cx, account),
            Command::Block(account) => self.set_status(cx, account, Status::Blocked),
            Command::Unblock(account) => self.unblock(cx, account),
            Command::Remove(account) => self.remove(cx, account),
            Command::Rename(account, name) => self.rename(cx, account, &name),
            Command::Send { to, text, reply_to } => self.send(cx, to, text, reply_to),
            Command::MarkRead(account) => self.mark_read(cx, account),
            Command::SetReadReceipts(on) => self.set(cx, Setting::ReadReceipts(on)),
            Command::SetName(name) => match chosen_name(&name) {
                Ok(name) => self.set(cx, Setting::Name(name)),
                Err(error) => Ok(Err(error.into())),
            },
            Command::KeepDraft { to, text } => self.keep_draft(cx, to, &text),
            Command::SetMailboxes(list) => self.set(cx, Setting::Mailboxes(list)),
            Command::LinkDevice => self.link_device(cx, false),
            Command::LinkDeviceByMail => self.link_device(cx, true),
            Command::CloseLinking(id) => {
                let shown = self.linking.as_ref().map(|host| host.view().id);
                if id.is_none() || id == shown {
                    self.close_linking(cx)?;
                }
                Ok(Ok(Answer::Done))
            }
            Command::LookForOwn(addresses) => {
                self.look_for_own(cx, addresses)?;
                Ok(Ok(Answer::Done))
            }
            Command::ComeByMail(came) => self.come_by_mail(cx, *came),
            Command::ConfirmDevice { check, authority } => {
                self.confirm_device(cx, &check, &authority)
            }
            Command::Settle { devices, authority } => self.settle_devices(cx, &devices, &authority),
            Command::RenameDevice(device, name) => self.rename_device(cx, device, &name),
            Command::Untrust { device, why, since, authority } => {
                self.untrust(cx, (device, why), since, &authority)
            }
            Command::MergeInto { account, key } => self.merge_into(cx, &account, &key),
            Command::AgreeToMerge { authority } => self.agree_to_move(cx, &authority),
            Command::Recover { recovery, keep, without, since } => {
                self.recover(cx, &recovery, (&keep, &without), since)
            }
            Command::Delete { with, entries } => self.delete(cx, with, &entries),
            Command::Clear { with, before, authority } => self.clear(cx, with, before, &authority),
        }
    }

    pub(super) fn add(
        &mut self,
        cx: &mut Context<'_>,
        card: ContactCard,
        name: Option<String>,
        greeting: &str,
    ) -> Outcome {
        let account = card.account.id();
        if account == self.me.account.id() {
            return self.add_own(cx, card);
        }
        if let Some(found) = self.contacts.find(account) {
            return match found.status {
                Status::Pending => self.accept(cx, account),
                Status::Blocked => Ok(Err(CommandError::IsBlocked(found.name.clone()))),
                Status::Removed => Ok(Err(CommandError::UnknownContact)),
                Status::Requested | Status::Contact => {
                    self.refresh(cx, card)?;
                    let name = self.contacts.find(account).map(|contact| contact.name.clone());
                    Ok(Err(CommandError::AlreadyThere(name.unwrap_or_default())))
                }
            };
        }
        if self.contacts.len() >= CONTACTS_MAX {
            return Ok(Err(CommandError::TooManyContacts(CONTACTS_MAX)));
        }
        if !self.contacts.has_room_for(&card.account) {
            return Ok(Err(CommandError::TooManyDevices(KNOWN_DEVICES_MAX)));
        }
        let name = match name.as_deref().map(chosen_name).transpose() {
            Ok(name) => self.contacts.free_name(name.as_ref().unwrap_or(&card.name), account),
            Err(error) => return Ok(Err(error.into())),
        };
        let known = self.contacts.find_any(account).cloned();
        let fresh = Contact::new(card.account.clone(), String::new(), Status::Requested);
        let contact = Contact {
            name,
            status: Status::Requested,
            greeting: shortened(greeting),
            hints: card.addresses,
            ..known.unwrap_or(fresh)
        };
        self.keep_contact(cx, contact)?;
        self.open_conversation(cx, account)?;
        self.hear_knocks(cx, account, card.knocks)?;
        self.reach_anew(cx.uptime, account);
        self.greet_again(cx);
        Ok(Ok(Answer::Contact(account)))
    }

    /// Our own link: it says where our other devices may be.
    fn add_own(&mut self, cx: &mut Context<'_>, card: ContactCard) -> Outcome {
        self.learn(cx, &card.account)?;
        if self.me.account.devices().len() < 2 {
            return Ok(Err(CommandError::OwnLink));
        }
        self.look_for_own(cx, card.addresses)?;
        Ok(Ok(Answer::Contact(card.account.id())))
    }

    /// A link that came again may know better addresses.
    fn refresh(&mut self, cx: &mut Context<'_>, card: ContactCard) -> Result<(), StoreError> {
        let Some(contact) = self.contacts.find(card.account.id()) else { return Ok(()) };
        let mut contact = contact.clone();
        // A contact says itself where it can be written to; nobody has signed what a link says.
        let knocks = if contact.status == Status::Contact { Vec::new() } else { card.knocks };
        let old = std::mem::take(&mut contact.hints);
        contact.hints = card.addresses;
        for address in old {
            if contact.hints.len() < ADDRESSES_MAX && !contact.hints.contains(&address) {
                contact.hints.push(address);
            }
        }
        self.learn(cx, &card.account)?;
        if let Some(known) = self.contacts.find(contact.account.id()) {
            contact.account = known.account.clone();
        }
        let account = contact.account.id();
        self.keep_contact(cx, contact)?;
        self.hear_knocks(cx, account, knocks)?;
        self.reach_anew(cx.uptime, account);
        Ok(())
    }

    pub(super) fn accept(&mut self, cx: &mut Context<'_>, account: AccountId) -> Outcome {
        let Some(contact) = self.contacts.find(account) else {
            return Ok(Err(CommandError::UnknownContact));
        };
        match contact.status {
            Status::Pending => {}
            Status::Blocked => return Ok(Err(CommandError::IsBlocked(contact.name.clone()))),
            _ => return Ok(Err(CommandError::NotPending(contact.name.clone()))),
        }
        self.set_status(cx, account, Status::Contact)
    }

    fn unblock(&mut self, cx: &mut Context<'_>, account: AccountId) -> Outcome {
        match self.contacts.find(account) {
            None => Ok(Err(CommandError::UnknownContact)),
            Some(contact) if contact.status == Status::Blocked => {
                let before = contact.before_block.unwrap_or(Status::Pending);
                self.set_status(cx, account, before)
            }
            Some(_) => Ok(Ok(Answer::Contact(account))),
        }
    }

    fn set_status(&mut self, cx: &mut Context<'_>, account: AccountId, status: Status) -> Outcome {
        let Some(contact) = self.contacts.find(account) else {
            return Ok(Err(CommandError::UnknownContact));
        };
        let comes_in = status.is_known() && !contact.status.is_known();
        if comes_in && !self.contacts.has_room_for(&contact.account) {
            return Ok(Err(CommandError::TooManyDevices(KNOWN_DEVICES_MAX)));
        }
        let before_block = match (status, contact.status) {
            (Status::Blocked, Status::Blocked) => contact.before_block,
            (Status::Blocked, before) => Some(before),
            _ => None,
        };
        let request_number = None;
        let contact = Contact { status, before_block, request_number, ..contact.clone() };
        self.keep_contact(cx, contact)?;
        if status.is_known() {
            self.open_conversation(cx, account)?;
            self.reach_anew(cx.uptime, account);
            self.greet_again(cx);
        } else {
            self.cut_off(cx, account);
        }
        Ok(Ok(Answer::Contact(account)))
    }

    pub(super) fn cut_off(&mut self, cx: &mut Context<'_>, account: AccountId) {
        self.dialers.remove(&account);
        let theirs = |link: &crate::session::Link| {
            let recognised = link.recognised.and_then(|device| self.contacts.account_of(device));
            link.session.map(|session| session.account).or(recognised) == Some(account)
        };
        let links: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| theirs(link)).map(|(id, _)| *id).collect();
        for link in links {
            self.close(cx, link);
        }
        self.dialers.remove(&account);
    }

    fn remove(&mut self, cx: &mut Context<'_>, account: AccountId) -> Outcome {
        if self.contacts.find(account).is_none() {
            return Ok(Err(CommandError::UnknownContact));
        }
        self.forget(cx, account)?;
        Ok(Ok(Answer::Done))
    }

    /// Takes somebody off the list.
    pub(super) fn forget(
        &mut self,
        cx: &mut Context<'_>,
        account: AccountId,
    ) -> Result<(), StoreError> {
        let Some(contact) = self.contacts.find(account) else { return Ok(()) };
        let contact = contact.clone();
        let shared = SharedId::of(&contact.account);
        self.cut_off(cx, account);
        if contact.words.are_there() {
            let hints = Vec::new();
            self.keep_contact(cx, Contact { status: Status::Removed, hints, ..contact })?;
        } else {
            for log in self.logs_with(account) {
                self.conversations.remove(&log);
            }
            self.contacts.forget(cx.store, account)?;
        }
        self.refresh_recognition();
        cx.out.push(Output::Event(Event::ContactRemoved(shared)));
        Ok(())
    }

    fn rename(&mut self, cx: &mut Context<'_>, account: AccountId, name: &str) -> Outcome {
        let Some(contact) = self.contacts.find(account) else {
            return Ok(Err(CommandError::UnknownContact));
        };
        let name = match chosen_name(name) {
            Ok(name) => self.contacts.free_name(&name, account),
            Err(error) => return Ok(Err(error.into())),
        };
        let contact = Contact { name, ..contact.clone() };
        self.keep_contact(cx, contact)?;
        Ok(Ok(Answer::Contact(account)))
    }

    fn send(
        &mut self,
        cx: &mut Context<'_>,
        to: AccountId,
        text: String,
        reply_to: Option<EntryId>,
    ) -> Outcome {
        if let Err(error) = self.may_send(to, &text) {
            return Ok(Err(error));
        }
        let log = self.log_with(to);
        if !self.conversations.contains_key(&log) {
            return Ok(Err(CommandError::UnknownContact));
        }
        if let Some(reply_to) = reply_to
            && self.find_message(cx.store, to, reply_to)?.is_none()
        {
            return Ok(Err(CommandError::UnknownReply));
        }
        let body = Text { text, reply_to };
        let (place, position) =
            self.write_entry(cx, log, EntryKind::TEXT, |salt| body.encode(salt))?;
        let id = position.id;
        cx.out.push(Output::Event(Event::Entry { with: to, place }));
        Ok(Ok(Answer::Sent(id)))
    }

    fn may_send(&self, to: AccountId, text: &str) -> Result<(), CommandError> {
        if !self.belongs() {
            return Err(CommandError::NotStanding(
                "this device does not speak for the account: see `kith account show`",
            ));
        }
        let contact = self.contacts.find(to).ok_or(CommandError::UnknownContact)?;
        match contact.status {
            Status::Blocked => return Err(CommandError::IsBlocked(contact.name.clone())),
            Status::Removed => return Err(CommandError::UnknownContact),
            Status::Pending => return Err(CommandError::AcceptFirst(contact.name.clone())),
            Status::Requested | Status::Contact => {}
        }
        if text.trim().is_empty() {
            return Err(CommandError::EmptyText);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(CommandError::TextTooLong { found: text.len(), limit: TEXT_BYTES_MAX });
        }
        Ok(())
    }

    fn mark_read(&mut self, cx: &mut Context<'_>, account: AccountId) -> Outcome {
        let mut known = false;
        for log in self.logs_with(account) {
            let Some(conversation) = self.conversations.get_mut(&log) else { continue };
            known = true;
            if conversation.log.mark_read() {
                self.touched.insert(log);
                if self.profile.read_receipts {
                    conversation.owe_frontier(cx.uptime);
                }
                conversation.owe_read_note(cx.uptime);
                cx.out.push(Output::Event(Event::Contact(account)));
            }
        }
        Ok(if known { Ok(Answer::Done) } else { Err(CommandError::UnknownContact) })
    }

    fn set(&mut self, cx: &mut Context<'_>, setting: Setting) -> Outcome {
        let position = self.tell(cx, &Own::Setting(setting.clone()))?;
        self.profile.take_setting(&setting, position);
        self.profile.save(cx.store)?;
        self.rearrange();
        cx.out.push(Output::Event(Event::Account));
        Ok(Ok(Answer::Done))
    }

    fn keep_draft(&mut self, cx: &mut Context<'_>, to: AccountId, text: &str) -> Outcome {
        let log = self.log_with(to);
        if !self.conversations.contains_key(&log) {
            return Ok(Err(CommandError::UnknownContact));
        }
        if text.len() > TEXT_BYTES_MAX {
            return Ok(Err(CommandError::TextTooLong { found: text.len(), limit: TEXT_BYTES_MAX }));
        }
        if self.draft(to).unwrap_or_default() != text {
            let position = self.tell(cx, &Own::Draft { log, text: text.to_owned() })?;
            self.hear_draft(cx, log, text, position)?;
        }
        Ok(Ok(Answer::Done))
    }
}

/// The start of a greeting that fits.
pub(super) fn shortened(greeting: &str) -> String {
    let mut greeting = greeting.trim().to_owned();
    while greeting.len() > GREETING_BYTES_MAX {
        greeting.pop();
    }
    greeting
}
