//! What does a person want to see? Pure reads.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::Account,
    entry::Mark,
    ids::{AccountId, DeviceId, EntryId, LogId},
    share::{ContactCard, SharedId},
};

use super::{CommandError, Engine, state_of};
use crate::{
    contacts::{Contact, Validity},
    delivery::DeliveryState,
    limits::{HISTORY_MAX, WARNINGS_MAX},
    profile::Profile,
    store::{AuthorNumber, Place, Position, Store, StoreError},
    view::{self, ContactView, DeviceView, GuestView, MessageView},
};

impl Engine {
    /// Our account and device.
    pub const fn identity(&self) -> &super::Identity {
        &self.me
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
        let warned = self.contacts.known().filter_map(|contact| {
            let warning = self.warnings.gravest(contact.account.devices())?;
            Some(warning.about(&contact.name).to_string())
        });
        warned.take(WARNINGS_MAX).collect()
    }

    /// Whether a device speaks for us or for a contact, as far as we know.
    pub fn is_trusted(&self, device: DeviceId) -> bool {
        self.me.account.has(device) || self.contacts.account_of(device).is_some()
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
        let mut devices: Vec<DeviceView> = self
            .me
            .account
            .standings()
            .map(|(device, standing)| DeviceView {
                device,
                name: self.profile.device_name(device).map(str::to_owned),
                standing,
                is_this: device == me,
                online: device == me || online.contains(&device),
            })
            .collect();
        devices.sort_by_key(|view| (!view.standing.stands(), view.name.clone(), view.device));
        devices
    }

    /// The device that wants to join, if one answered the code.
    pub fn guest(&self) -> Option<GuestView> {
        let guest = self.linking.as_ref()?.guest()?;
        let check = guest.accepted.as_ref().map(|(check, _)| check.clone());
        Some(GuestView { name: guest.name.clone(), check })
    }

    /// What we hand to somebody who wants to be our contact.
    pub fn card(&self) -> ContactCard {
        ContactCard {
            account: self.me.account.clone(),
            name: self.profile.name.clone(),
            addresses: self.addresses.clone(),
        }
    }

    /// Everybody on the list, by name.
    pub fn contacts(&self) -> Vec<ContactView> {
        let mut list: Vec<ContactView> =
            self.contacts.iter().map(|contact| self.view_contact(contact)).collect();
        list.sort_by_key(|contact| (contact.name.to_lowercase(), contact.account));
        list
    }

    /// One contact.
    pub fn contact(&self, account: AccountId) -> Option<ContactView> {
        self.contacts.find(account).map(|contact| self.view_contact(contact))
    }

    fn view_contact(&self, contact: &Contact) -> ContactView {
        let account = contact.account.id();
        let log = LogId::direct(self.me.account.id(), account);
        let unread = self.conversations.get(&log).map_or(0, |conversation| {
            conversation.log.unread(|device| contact.account.has(device))
        });
        ContactView {
            account,
            shared: SharedId::of(&contact.account).encode(),
            name: contact.name.clone(),
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
            unread,
            greeting: contact.greeting.clone(),
            warning: self.warnings.gravest(contact.account.devices()),
        }
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
        let log = LogId::direct(self.me.account.id(), with);
        let Some(conversation) = self.conversations.get(&log) else {
            return Ok(Err(CommandError::UnknownContact));
        };
        let number = conversation.log.number();
        let mut below = match before {
            None => None,
            Some(id) => {
                let place = store.find(number, id)?;
                match place.map(|place| store.entry(place)).transpose()?.flatten() {
                    Some(row) => Some(row.position),
                    None => return Ok(Err(CommandError::UnknownMessage)),
                }
            }
        };
        let limit = limit.clamp(1, HISTORY_MAX);
        let mut messages = Vec::new();
        let mut rows_read = 1;
        while messages.len() < limit {
            // Entries that are not shown must not cost a query each.
            let rows = store.newest(number, below, (limit - messages.len()).max(rows_read))?;
            rows_read = HISTORY_MAX;
            let Some(last) = rows.last() else { break };
            below = Some(last.position);
            for row in rows {
                messages.extend(self.view_message(with, row)?);
            }
        }
        messages.truncate(limit);
        messages.reverse();
        Ok(Ok(messages))
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
        let log = LogId::direct(self.me.account.id(), with);
        if !self.trash.is_empty() {
            let device = view::open(&row)?.device;
            let mark = Mark { device, seq: row.place.seq, id: row.position.id };
            if self.is_hidden(log, &mark) {
                return Ok(None);
            }
        }
        view::message(row, self.me.account.id(), |device, seq| self.delivery(with, device, seq))
    }

    fn delivery(&self, with: AccountId, author: DeviceId, seq: u64) -> DeliveryState {
        let log = LogId::direct(self.me.account.id(), with);
        let devices: Vec<DeviceId> =
            self.contacts.find_any(with).into_iter().flat_map(|c| c.account.devices()).collect();
        self.conversations.get(&log).map_or(DeliveryState::Queued, |conversation| {
            state_of(conversation, &devices, author, seq)
        })
    }

    /// The states of the newest `limit` messages of a chain between two numbers.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn states(
        &self,
        store: &dyn Store,
        with: AccountId,
        author: AuthorNumber,
        (first, last): (u64, u64),
        limit: usize,
    ) -> Result<Vec<(EntryId, DeliveryState)>, StoreError> {
        let log = LogId::direct(self.me.account.id(), with);
        let Some(conversation) = self.conversations.get(&log) else { return Ok(Vec::new()) };
        let Some(device) = conversation.log.device(author) else { return Ok(Vec::new()) };
        let first = first.max(last.saturating_sub(limit as u64 - 1));
        let count = usize::try_from((last + 1).saturating_sub(first)).unwrap_or(limit).min(limit);
        let from = Place { log: conversation.log.number(), author, seq: first };
        let rows = store.chain(from, count)?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let state = self.delivery(with, device, row.place.seq);
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
        let log = LogId::direct(self.me.account.id(), with);
        let Some(conversation) = self.conversations.get(&log) else { return Ok(Vec::new()) };
        let rows = store.newest(conversation.log.number(), None, usize::MAX)?;
        Ok(rows.into_iter().rev().map(|row| row.position).collect())
    }
}
