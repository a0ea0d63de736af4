//! What does a person want to see? Pure reads.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::Account,
    entry::Mark,
    ids::{AccountId, DeviceId, EntryId},
    share::{ContactCard, SharedId},
};

use super::{CommandError, Engine, LinkId, state_of};
use crate::{
    contacts::{Contact, Validity},
    conversation::Conversation,
    delivery::DeliveryState,
    limits::{HISTORY_MAX, WARNINGS_MAX},
    linking::{CodeView, Guest, Host},
    profile::Profile,
    store::{AuthorNumber, LogNumber, Place, Position, Store, StoreError},
    view::{self, ContactView, DeviceView, GuestView, MessageView},
};

impl Engine {
    /// Our account and device.
    pub const fn identity(&self) -> &super::Identity {
        &self.me
    }

    /// Accounts of ours that the one in use has absorbed.
    pub fn absorbed(&self) -> impl Iterator<Item = &Account> {
        self.own_absorbed.iter().map(|absorbed| &absorbed.account)
    }

    /// Our name and settings.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Where we can be reached.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Devices that we have a session with.
    pub fn device_count(&self) -> usize {
        let sessions = self.links.values().filter_map(|link| link.session);
        sessions.map(|session| session.device).collect::<BTreeSet<_>>().len()
    }

    /// How far catching up has got: entries here and entries in all, of the device that has the
    /// most that we lack; `None` while nothing is lacking.
    pub fn catching_up(&self) -> Option<(u64, u64)> {
        let of_link = |link: &crate::session::Link| {
            link.outgoing.iter().fold((0, 0), |(have, all), (log, outgoing)| {
                let progress = self.conversations.get(log).map(|c| outgoing.progress(&c.log));
                let (h, a) = progress.unwrap_or_default();
                (have + h, all + a)
            })
        };
        let behind = self.links.values().map(of_link).filter(|(have, all)| have < all);
        behind.max_by_key(|(have, all)| all - have)
    }

    /// Links in all.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// Entries that wait for what they depend on, over all conversations.
    pub fn pending_count(&self) -> usize {
        self.conversations.values().map(|conversation| conversation.log.pending_count()).sum()
    }

    /// How often each thing was refused.
    pub const fn refusals(&self) -> &BTreeMap<&'static str, u64> {
        self.refusals.counters()
    }

    /// Sentences about contacts whose devices need a person's attention, at most
    /// [`WARNINGS_MAX`].
    pub fn warnings(&self) -> Vec<String> {
        let mut names = self.contacts.names();
        let warned = self.contacts.known().filter_map(|contact| {
            let warning = self.warnings.gravest(contact.account.devices())?;
            let name = names.remove(&contact.account.id())?;
            Some(warning.about(&name).to_string())
        });
        warned.take(WARNINGS_MAX).collect()
    }

    /// Whether a device speaks for us or for a contact, as far as we know.
    pub fn is_trusted(&self, device: DeviceId) -> bool {
        self.me.account.has(device) || self.contacts.account_of(device).is_some()
    }

    /// Where a contact's devices were reached, or are said to be.
    pub fn addresses_of(&self, account: AccountId) -> Vec<String> {
        let contact = self.contacts.find(account);
        contact.into_iter().flat_map(|it| it.addresses.values().flatten()).cloned().collect()
    }

    /// What is known of a contact's account.
    pub fn account_of_contact(&self, account: AccountId) -> Option<&Account> {
        self.contacts.find(account).map(|contact| &contact.account)
    }

    /// Our devices, those that are out included: those that stand first, then by name.
    pub fn devices(&self) -> Vec<DeviceView> {
        let me = self.me.device.device();
        let online: BTreeSet<DeviceId> =
            self.links.values().filter_map(|link| Some(link.session?.device)).collect();
        let view = |(device, standing)| DeviceView {
            device,
            name: self.profile.device_name(device).map(str::to_owned),
            standing,
            is_this: device == me,
            online: device == me || online.contains(&device),
        };
        let named = self.me.account.standings().map(|(device, how)| (device, Some(how)));
        let is_out = |device| {
            let was_named = self.own_bygone.has(device) && !self.me.account.invites(device);
            was_named && !self.is_forgotten(device)
        };
        let out = |device| self.own_person().standing(device).filter(|_| is_out(device));
        let away = self.away().into_iter().map(|device| (device, out(device)));
        let mut devices: Vec<DeviceView> = named.chain(away).map(view).collect();
        let is_out = |view: &DeviceView| view.standing.is_some_and(|standing| !standing.stands());
        devices.sort_by_key(|view| (is_out(view), view.name.clone(), view.device));
        devices
    }

    /// The code for a new device that serves now.
    pub fn link_code(&self) -> Option<CodeView> {
        self.linking.as_ref().map(Host::view)
    }

    /// The devices that have answered the code and want to join.
    pub fn guests(&self) -> Vec<GuestView> {
        let Some(host) = &self.linking else { return Vec::new() };
        let view = |guest: &Guest| {
            let brings = guest.accepted().and_then(|accepted| accepted.brings.as_ref());
            GuestView {
                code: host.view().id,
                name: guest.name().to_owned(),
                check: guest.accepted().map(|accepted| accepted.check.clone()),
                brings: brings.map(|it| (SharedId::of(it).encode(), it.devices().len())),
            }
        };
        host.guests().map(view).collect()
    }

    /// What we hand to somebody who wants to be our contact.
    pub fn card(&self) -> ContactCard {
        ContactCard {
            account: self.me.account.clone(),
            name: self.profile.name.clone(),
            addresses: self.addresses.clone(),
            knocks: self.knocks(),
        }
    }

    /// Everybody on the list, by name.
    pub fn contacts(&self) -> Vec<ContactView> {
        let mut names = self.contacts.names();
        let mut view = |contact: &Contact| {
            let name = names.remove(&contact.account.id());
            self.view_contact(contact, name)
        };
        let mut list: Vec<ContactView> = self.contacts.iter().map(&mut view).collect();
        list.sort_by_key(|contact| (contact.name.to_lowercase(), contact.account));
        list
    }

    /// One contact.
    pub fn contact(&self, account: AccountId) -> Option<ContactView> {
        let contact = self.contacts.find(account)?;
        Some(self.view_contact(contact, self.contacts.names().remove(&account)))
    }

    fn view_contact(&self, contact: &Contact, name: Option<String>) -> ContactView {
        let account = contact.account.id();
        let person = contact.person();
        let theirs: BTreeSet<DeviceId> = person.devices().collect();
        let logs = self.logs_with(account);
        let unread = logs.iter().filter_map(|log| self.conversations.get(log));
        let unread = unread.map(|c| c.log.unread(|device| theirs.contains(&device))).sum();
        ContactView {
            account,
            shared: SharedId::of(&contact.account).encode(),
            name: name.unwrap_or_else(|| contact.name.clone()),
            status: contact.status,
            validity: if contact.account.is_disputed() {
                Validity::Compromised
            } else {
                contact.validity
            },
            devices: contact.account.devices().collect(),
            disputed: contact.account.disputed().collect(),
            draft: self.draft(account).map(str::to_owned),
            online: self.is_online(account),
            links: self.links_to(account),
            unread,
            greeting: contact.greeting.clone(),
            warning: self.warnings.gravest(contact.account.devices()),
        }
    }

    fn links_to(&self, account: AccountId) -> Vec<LinkId> {
        let theirs = |session: crate::session::Session| session.account == account;
        let links = self.links.iter().filter(|(_, link)| link.session.is_some_and(theirs));
        links.map(|(id, _)| *id).collect()
    }

    /// At most `limit` messages below one (or from the end), in the order shown, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read. Inside: if there is no such contact or message.
    pub fn history(
        &self,
        store: &dyn Store,
        with: AccountId,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Result<Vec<MessageView>, CommandError>, StoreError> {
        let numbers = self.numbers_with(with);
        if numbers.is_empty() {
            return Ok(Err(CommandError::UnknownContact));
        }
        let below = match before.map(|id| self.find_message(store, with, id)).transpose()? {
            None => None,
            Some(Some(place)) => store.entry(place)?.map(|row| row.position),
            Some(None) => return Ok(Err(CommandError::UnknownMessage)),
        };
        let limit = limit.clamp(1, HISTORY_MAX);
        let mut messages = Vec::new();
        for number in numbers {
            messages.extend(self.newest_of(store, with, (number, below), limit)?);
        }
        // People with several accounts have several logs, each in its order.
        messages.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
        messages.truncate(limit);
        Ok(Ok(messages.into_iter().rev().map(|(_, message)| message).collect()))
    }

    /// The newest messages of one log below a position, the newest first.
    fn newest_of(
        &self,
        store: &dyn Store,
        with: AccountId,
        (number, mut below): (LogNumber, Option<Position>),
        limit: usize,
    ) -> Result<Vec<(Position, MessageView)>, StoreError> {
        let mut messages = Vec::new();
        let mut rows_read = 1;
        while messages.len() < limit {
            // Entries that are not shown must not cost a query each.
            let rows = store.newest(number, below, (limit - messages.len()).max(rows_read))?;
            rows_read = HISTORY_MAX;
            let Some(last) = rows.last() else { break };
            below = Some(last.position);
            for row in rows {
                let position = row.position;
                messages.extend(self.view_message(with, row)?.map(|message| (position, message)));
            }
        }
        Ok(messages)
    }

    /// The numbers of the logs of a conversation, of the one in which we write first.
    fn numbers_with(&self, with: AccountId) -> Vec<LogNumber> {
        let logs = self.logs_with(with);
        let open = logs.iter().filter_map(|log| self.conversations.get(log));
        open.map(|conversation| conversation.log.number()).collect()
    }

    /// Where a message of a conversation stands, or `None`.
    pub(super) fn find_message(
        &self,
        store: &dyn Store,
        with: AccountId,
        id: EntryId,
    ) -> Result<Option<Place>, StoreError> {
        for number in self.numbers_with(with) {
            if let Some(place) = store.find(number, id)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// One message.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn message(
        &self,
        store: &dyn Store,
        with: AccountId,
        place: Place,
    ) -> Result<Option<MessageView>, StoreError> {
        match store.entry(place)? {
            Some(row) => self.view_message(with, row),
            None => Ok(None),
        }
    }

    fn view_message(
        &self,
        with: AccountId,
        row: crate::store::EntryRow,
    ) -> Result<Option<MessageView>, StoreError> {
        let Some(conversation) = self.conversation_of(row.place.log) else { return Ok(None) };
        if !self.trash.is_empty() {
            let device = view::open(&row)?.device;
            let mark = Mark { device, seq: row.place.seq, id: row.position.id };
            if self.is_hidden(conversation.log.id(), &mark) {
                return Ok(None);
            }
        }
        let own = self.own_person();
        let state = |device, seq| self.delivery(conversation, device, seq);
        let message = view::message(row, |account| own.is(account), state)?;
        // Whoever has several accounts is shown as one person.
        Ok(message.map(|message| MessageView {
            author: if message.mine { self.me.account.id() } else { with },
            ..message
        }))
    }

    fn delivery(&self, conversation: &Conversation, author: DeviceId, seq: u64) -> DeliveryState {
        let contact = self.contacts.find_any(conversation.with);
        let devices: Vec<DeviceId> =
            contact.into_iter().flat_map(|contact| contact.account.devices()).collect();
        state_of(conversation, &devices, author, seq)
    }

    /// The states of the newest `limit` messages of a chain between two numbers.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn states(
        &self,
        store: &dyn Store,
        (log, author): (LogNumber, AuthorNumber),
        (first, last): (u64, u64),
        limit: usize,
    ) -> Result<Vec<(EntryId, DeliveryState)>, StoreError> {
        let Some(conversation) = self.conversation_of(log) else { return Ok(Vec::new()) };
        let Some(device) = conversation.log.device(author) else { return Ok(Vec::new()) };
        let first = first.max(last.saturating_sub(limit as u64 - 1));
        let count = usize::try_from((last + 1).saturating_sub(first)).unwrap_or(limit).min(limit);
        let from = Place { log, author, seq: first };
        let rows = store.chain(from, count)?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let state = self.delivery(conversation, device, row.place.seq);
                (row.position.id, state)
            })
            .collect())
    }

    /// Where every entry of a conversation stands, in order; for checks.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn positions(
        &self,
        store: &dyn Store,
        with: AccountId,
    ) -> Result<Vec<Position>, StoreError> {
        let mut positions = Vec::new();
        for number in self.numbers_with(with) {
            let rows = store.newest(number, None, usize::MAX)?;
            positions.extend(rows.into_iter().map(|row| row.position));
        }
        positions.sort_unstable();
        Ok(positions)
    }
}
