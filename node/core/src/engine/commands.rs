//! What happens when a person wants something?

use kith_common::{
    entry::{EntryKind, Text},
    ids::{AccountId, EntryId, LogId},
    limits::{ADDRESSES_MAX, BODY_SALT_BYTES, GREETING_BYTES_MAX, TEXT_BYTES_MAX},
    share::{ContactCard, SharedId},
};

use super::{Answer, Command, CommandError, Context, Engine, Event, LinkId, Output};
use crate::{
    contacts::{Contact, Status, Validity, tidy_name},
    limits::{CONTACTS_MAX, KNOWN_DEVICES_MAX},
    log::Draft,
    store::StoreError,
};

type Outcome = Result<Result<Answer, CommandError>, StoreError>;

impl Engine {
    pub(super) fn command(&mut self, cx: &mut Context<'_>, command: Command) -> Outcome {
        match command {
            Command::AddContact { card, name, greeting } => self.add(cx, *card, name, &greeting),
            Command::Accept(account) => self.accept(cx, account),
            Command::Block(account) => self.set_status(cx, account, Status::Blocked),
            Command::Unblock(account) => self.unblock(cx, account),
            Command::Remove(account) => self.remove(cx, account),
            Command::Rename(account, name) => self.rename(cx, account, &name),
            Command::Send { to, text, reply_to } => self.send(cx, to, text, reply_to),
            Command::MarkRead(account) => self.mark_read(cx, account),
            Command::SetReadReceipts(on) => self.set_read_receipts(cx, on),
        }
    }

    fn add(
        &mut self,
        cx: &mut Context<'_>,
        card: ContactCard,
        name: Option<String>,
        greeting: &str,
    ) -> Outcome {
        let account = card.account.id();
        if account == self.me.account.id() {
            return Ok(Err(CommandError::OwnLink));
        }
        if let Some(found) = self.contacts.find(account) {
            return match found.status {
                Status::Pending => self.accept(cx, account),
                Status::Blocked => Ok(Err(CommandError::IsBlocked(found.name.clone()))),
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
        let name = self.contacts.free_name(name.as_deref().unwrap_or(&card.name), account);
        let contact = Contact {
            account: card.account,
            name,
            status: Status::Requested,
            validity: Validity::Unvalidated,
            greeting: shortened(greeting),
            addresses: card.addresses,
            before_block: None,
            request_number: None,
        };
        self.keep_contact(cx, contact)?;
        self.open_conversation(cx, account)?;
        self.reach(cx.uptime, account);
        self.greet_again(cx);
        Ok(Ok(Answer::Contact(account)))
    }

    /// A link that came again may know better addresses.
    fn refresh(&mut self, cx: &mut Context<'_>, card: ContactCard) -> Result<(), StoreError> {
        let Some(contact) = self.contacts.find(card.account.id()) else { return Ok(()) };
        let mut contact = contact.clone();
        let old = std::mem::take(&mut contact.addresses);
        contact.addresses = card.addresses;
        for address in old {
            if contact.addresses.len() < ADDRESSES_MAX && !contact.addresses.contains(&address) {
                contact.addresses.push(address);
            }
        }
        let account = contact.account.id();
        self.keep_contact(cx, contact)?;
        self.reach(cx.uptime, account);
        Ok(())
    }

    fn accept(&mut self, cx: &mut Context<'_>, account: AccountId) -> Outcome {
        let Some(contact) = self.contacts.find(account) else {
            return Ok(Err(CommandError::UnknownContact));
        };
        if contact.status != Status::Pending {
            return Ok(Err(CommandError::NotPending(contact.name.clone())));
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
            self.reach(cx.uptime, account);
            self.greet_again(cx);
        } else {
            self.cut_off(cx, account);
        }
        Ok(Ok(Answer::Contact(account)))
    }

    fn cut_off(&mut self, cx: &mut Context<'_>, account: AccountId) {
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
        let shared = SharedId::of(&contact.account);
        self.cut_off(cx, account);
        self.contacts.forget(cx.store, account)?;
        self.refresh_recognition();
        self.conversations.remove(&LogId::direct(self.me.account.id(), account));
        cx.out.push(Output::Event(Event::ContactRemoved(shared)));
        Ok(())
    }

    fn rename(&mut self, cx: &mut Context<'_>, account: AccountId, name: &str) -> Outcome {
        let Some(contact) = self.contacts.find(account) else {
            return Ok(Err(CommandError::UnknownContact));
        };
        if name.trim().is_empty() {
            return Ok(Err(CommandError::EmptyName));
        }
        let name = self.contacts.free_name(&tidy_name(name), account);
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
        let log = LogId::direct(self.me.account.id(), to);
        let Some(conversation) = self.conversations.get_mut(&log) else {
            return Ok(Err(CommandError::UnknownContact));
        };
        if let Some(reply_to) = reply_to
            && cx.store.find(conversation.log.number(), reply_to)?.is_none()
        {
            return Ok(Err(CommandError::UnknownReply));
        }
        let mut salt = [0; BODY_SALT_BYTES];
        cx.rng.fill_bytes(&mut salt);
        let draft = Draft {
            account: self.me.account.id(),
            account_head: self.me.account.head(),
            kind: EntryKind::TEXT,
            body: Text { text, reply_to }.encode(salt),
        };
        let (place, id) = conversation.log.write(&self.me.device, cx.now, draft, cx.store)?;
        self.touched.insert(log);
        cx.out.push(Output::Event(Event::Entry { with: to, place }));
        Ok(Ok(Answer::Sent(id)))
    }

    fn may_send(&self, to: AccountId, text: &str) -> Result<(), CommandError> {
        let contact = self.contacts.find(to).ok_or(CommandError::UnknownContact)?;
        match contact.status {
            Status::Blocked => return Err(CommandError::IsBlocked(contact.name.clone())),
            Status::Pending => return Err(CommandError::AcceptFirst(contact.name.clone())),
            Status::Requested | Status::Contact => {}
        }
        if text.is_empty() {
            return Err(CommandError::EmptyText);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(CommandError::TextTooLong { found: text.len(), limit: TEXT_BYTES_MAX });
        }
        Ok(())
    }

    fn mark_read(&mut self, cx: &mut Context<'_>, account: AccountId) -> Outcome {
        let log = LogId::direct(self.me.account.id(), account);
        let Some(conversation) = self.conversations.get_mut(&log) else {
            return Ok(Err(CommandError::UnknownContact));
        };
        if conversation.log.mark_read() {
            self.touched.insert(log);
            if self.profile.read_receipts {
                conversation.owe_frontier(cx.uptime);
            }
            cx.out.push(Output::Event(Event::Contact(account)));
        }
        Ok(Ok(Answer::Done))
    }

    fn set_read_receipts(&mut self, cx: &mut Context<'_>, on: bool) -> Outcome {
        self.profile.read_receipts = on;
        self.profile.save(cx.store)?;
        Ok(Ok(Answer::Done))
    }
}

/// The start of a greeting that fits.
fn shortened(greeting: &str) -> String {
    let mut greeting = greeting.trim().to_owned();
    while greeting.len() > GREETING_BYTES_MAX {
        greeting.pop();
    }
    greeting
}
