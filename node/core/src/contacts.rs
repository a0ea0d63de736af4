//! Whom do we know, and how well? One entry for a person, however many devices they have.

mod record;

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::Account,
    codec::{DecodeError, Reader},
    ids::{AccountId, DeviceId, EntryId},
    limits::{ABSORBED_ACCOUNTS_MAX, ADDRESSES_MAX, REPLACED_MAX},
    own::ContactNote,
};

use crate::{
    bygone::Bygone,
    limits::{CONTACTS_MAX, KNOWN_DEVICES_MAX, NOTE_PROOF_BYTES_MAX, PENDING_CONTACTS_MAX},
    names::{fold_name, free_name, tidy_name},
    person::{Absorbed, Person},
    store::{Position, RecordKind, Store, StoreError},
};

/// How far two people have got with knowing each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// We asked them and wait for their answer.
    Requested,
    /// They asked us and wait for our answer.
    Pending,
    /// Both agreed.
    Contact,
    /// We want to hear nothing from them.
    Blocked,
    /// Taken off the list; kept so that an old word does not bring them back.
    Removed,
}

impl Status {
    /// The word that people and programs see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Pending => "pending",
            Self::Contact => "contact",
            Self::Blocked => "blocked",
            Self::Removed => "removed",
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = reader.uint()?;
        let number = u8::try_from(number).map_err(|_| DecodeError::Value("status"))?;
        Self::of(number).ok_or(DecodeError::Value("status"))
    }

    /// The status with this number in the self log (spec 07).
    pub(crate) const fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Requested),
            1 => Some(Self::Pending),
            2 => Some(Self::Contact),
            3 => Some(Self::Blocked),
            4 => Some(Self::Removed),
            _ => None,
        }
    }

    /// Whether their devices recognise us on a link and we them.
    pub const fn is_known(self) -> bool {
        matches!(self, Self::Requested | Self::Contact)
    }
}

/// Whether we are sure whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Validity {
    /// Nobody checked; the name came with a link or request.
    Unvalidated,
    /// Checked through another channel.
    Validated,
    /// There is proof that one of its devices lies.
    Compromised,
}

impl Validity {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = reader.uint()?;
        let number = u8::try_from(number).map_err(|_| DecodeError::Value("validity"))?;
        Self::of(number).ok_or(DecodeError::Value("validity"))
    }

    /// The validity with this number in the self log (spec 07).
    pub(crate) const fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Unvalidated),
            1 => Some(Self::Validated),
            2 => Some(Self::Compromised),
            _ => None,
        }
    }

    /// The word that people and programs see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unvalidated => "unvalidated",
            Self::Validated => "validated",
            Self::Compromised => "compromised",
        }
    }
}

/// A person we know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The account as proven to us.
    pub account: Account,
    /// What we call them, as our devices said it: see [`Contacts::names`].
    pub name: String,
    /// How far we have got.
    pub status: Status,
    /// Whether we are sure who it is, by the word of our devices.
    pub validity: Validity,
    /// What was said with the request, ours or theirs.
    pub greeting: String,
    /// Where they may be reached, by device.
    pub addresses: BTreeMap<DeviceId, Vec<String>>,
    /// Where they may be reached, whichever device it is.
    pub hints: Vec<String>,
    /// What they were before they were blocked.
    pub before_block: Option<Status>,
    /// A request that was never answered has a number, higher than those that came before.
    pub request_number: Option<u64>,
    /// Whether this device has met one of theirs, so that they know it.
    pub met: bool,
    /// Devices of theirs that only an older proof names.
    pub bygone: Bygone,
    /// Accounts of theirs that this one has absorbed.
    pub absorbed: Vec<Absorbed>,
    /// Accounts of ours and theirs whose direct logs belong to the conversation, beside the log of
    /// the two that are in use.
    pub earlier: BTreeSet<(AccountId, AccountId)>,
    /// Whose word what we know is.
    pub words: Words,
}

/// Which entries of the self log said what is known of a contact (spec 07 R2, R3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Where the entry stands that said the name.
    pub name: Option<Position>,
    /// The status.
    pub status: Option<Position>,
    /// The greeting.
    pub greeting: Option<Position>,
    /// What each entry says of the validity that no later one replaced.
    pub validity: BTreeMap<EntryId, Validity>,
    /// Accounts of this person of which one was not validated when they became one, and whether
    /// somebody who has seen that has said something since. They are named like entries.
    pub doubts: BTreeMap<EntryId, bool>,
}

impl Words {
    /// The most careful of what is said: a warning first, then doubt, then trust.
    pub(crate) fn validity(&self) -> Validity {
        let careful = |validity: &Validity| match validity {
            Validity::Compromised => 2,
            Validity::Unvalidated => 1,
            Validity::Validated => 0,
        };
        let doubts = self.open_doubts().map(|_| Validity::Unvalidated);
        let said = self.validity.values().copied().chain(doubts);
        said.max_by_key(careful).unwrap_or(Validity::Unvalidated)
    }

    fn open_doubts(&self) -> impl Iterator<Item = EntryId> {
        self.doubts.iter().filter(|(_, answered)| !**answered).map(|(id, _)| *id)
    }

    /// What a new word on the validity replaces.
    fn replaced(&self) -> Vec<EntryId> {
        let mut all: Vec<EntryId> =
            self.open_doubts().chain(self.validity.keys().copied()).take(REPLACED_MAX).collect();
        all.sort_unstable();
        all
    }

    /// Whether the self log says anything of the contact.
    pub(crate) fn are_there(&self) -> bool {
        self.status.is_some()
    }
}

impl Contact {
    /// Somebody of whom nothing is known but the account.
    pub(crate) fn new(account: Account, name: String, status: Status) -> Self {
        Self {
            account,
            name,
            status,
            validity: Validity::Unvalidated,
            greeting: String::new(),
            addresses: BTreeMap::new(),
            hints: Vec::new(),
            before_block: None,
            request_number: None,
            met: false,
            bygone: Bygone::default(),
            absorbed: Vec::new(),
            earlier: BTreeSet::new(),
            words: Words::default(),
        }
    }

    /// What our devices must be told when this takes the place of `before`.
    pub(crate) fn note_since(&self, before: Option<&Self>) -> Option<ContactNote> {
        // A request is each device's own, whatever was said of the person before.
        let is_own = |before: &Self| before.status == Status::Pending || !before.words.are_there();
        let unsaid = before.is_none_or(is_own);
        let differs = |same: fn(&Self, &Self) -> bool| {
            unsaid || before.is_some_and(|before| !same(before, self))
        };
        let mut note = ContactNote::about(self.account.id());
        if differs(|a, b| a.name == b.name) {
            note.name = Some(self.name.clone());
        }
        if differs(|a, b| a.status == b.status) {
            note.status = Some(self.status as u8);
        }
        if differs(|a, b| a.greeting == b.greeting) {
            note.greeting = Some(self.greeting.clone());
        }
        if unsaid {
            // Genesis and seat say whom it is about; the rest is handed on apart if it is too much.
            let mut room = NOTE_PROOF_BYTES_MAX;
            for envelope in self.account.proof() {
                let Some(left) = room.checked_sub(envelope.len() + 8) else { break };
                room = left;
                note.proof.push(envelope.clone());
            }
        }
        let said = before.map_or(Validity::Unvalidated, |before| before.validity);
        if said != self.validity {
            note.validity = Some(self.validity as u8);
            note.replaces = self.words.replaced();
        }
        let says = [note.name.is_some(), note.status.is_some(), note.greeting.is_some()];
        (says.contains(&true) || note.validity.is_some()).then_some(note)
    }

    /// Takes in what one of our devices says, whose entry stands at `position`.
    pub(crate) fn take_note(&mut self, note: &ContactNote, position: Position) {
        let newer = |word: &mut Option<Position>| {
            let newer = word.is_none_or(|word| word <= position);
            if newer {
                *word = Some(position);
            }
            newer
        };
        if let Some(name) = note.name.as_ref().filter(|_| newer(&mut self.words.name)) {
            self.name = tidy_name(name);
        }
        if let Some(greeting) = note.greeting.as_ref().filter(|_| newer(&mut self.words.greeting)) {
            self.greeting.clone_from(greeting);
        }
        let status = note.status.and_then(Status::of);
        if let Some(status) = status.filter(|_| newer(&mut self.words.status)) {
            self.before_block = match (status, self.status) {
                (Status::Blocked, Status::Blocked) => self.before_block,
                (Status::Blocked, before) => Some(before),
                _ => None,
            };
            self.status = status;
            self.request_number = None;
        }
        if let Some(validity) = note.validity.and_then(Validity::of) {
            for replaced in &note.replaces {
                self.words.validity.remove(replaced);
                if let Some(answered) = self.words.doubts.get_mut(replaced) {
                    *answered = true;
                }
            }
            self.words.validity.insert(position.id, validity);
            self.validity = self.words.validity();
        }
    }

    /// Their accounts and devices.
    pub(crate) fn person(&self) -> Person<'_> {
        Person { account: &self.account, bygone: &self.bygone, absorbed: &self.absorbed }
    }

    /// The same person under the account that has absorbed this one; `known` is what we knew under
    /// that one. Nobody becomes better known by it.
    pub(crate) fn merged(self, stays: &Account, known: Option<Self>) -> Self {
        let mut merged =
            known.unwrap_or_else(|| Self::new(stays.clone(), self.name.clone(), self.status));
        let was_there = merged.words.are_there();
        if !was_there || self.words.name > merged.words.name {
            merged.name = self.name;
        }
        // Nobody is blocked, removed or made a stranger again by what another account of theirs was.
        let nearer = |status: Status| match status {
            Status::Contact => 3,
            Status::Requested => 2,
            Status::Pending => 1,
            Status::Blocked | Status::Removed => 0,
        };
        let blocked = merged.status == Status::Blocked;
        if !blocked && (!was_there || nearer(self.status) > nearer(merged.status)) {
            merged.status = self.status;
            merged.before_block = self.before_block;
        }
        if !was_there || self.words.greeting > merged.words.greeting {
            merged.greeting = self.greeting;
        }
        if merged.status != Status::Pending {
            merged.request_number = None;
        }
        merged.words.join((stays.id(), self.account.id()), self.words);
        merged.validity = merged.words.validity();
        merged.met |= self.met;
        for (device, addresses) in self.addresses {
            merged.addresses.entry(device).or_insert(addresses);
        }
        for hint in self.hints {
            if merged.hints.len() < ADDRESSES_MAX && !merged.hints.contains(&hint) {
                merged.hints.push(hint);
            }
        }
        merged.earlier.extend(self.earlier);
        let gone = Absorbed { account: self.account, bygone: self.bygone };
        for absorbed in self.absorbed.into_iter().chain([gone]) {
            let is_new = !merged.person().is(absorbed.account.id());
            if is_new && merged.absorbed.len() < ABSORBED_ACCOUNTS_MAX {
                merged.absorbed.push(absorbed);
            }
        }
        merged
    }

    /// All places where they may be reached.
    pub fn places(&self) -> impl Iterator<Item = &String> {
        self.addresses.values().flatten().chain(&self.hints)
    }
}

impl Words {
    /// What was said of two accounts of one person. Who was not validated as both is not validated:
    /// that stands under the account's id until somebody who has seen it replaces it.
    fn join(&mut self, (own, others): (AccountId, AccountId), other: Self) {
        for (account, words) in [(own, self.clone()), (others, other.clone())] {
            if words.validity() != Validity::Validated {
                self.doubts.insert(EntryId::from_bytes(*account.as_bytes()), false);
            }
        }
        for (doubt, answered) in other.doubts {
            self.doubts.entry(doubt).or_insert(answered);
        }
        self.name = self.name.max(other.name);
        self.status = self.status.max(other.status);
        self.greeting = self.greeting.max(other.greeting);
        self.validity.extend(other.validity);
    }

    /// Nothing has been said: the self log is read again. What merging said stays.
    pub(crate) fn forget(&mut self) {
        let doubts = std::mem::take(&mut self.doubts).into_keys();
        *self = Self { doubts: doubts.map(|doubt| (doubt, false)).collect(), ..Self::default() };
    }
}

/// Everybody we know of.
#[derive(Debug, Default)]
pub struct Contacts {
    people: BTreeMap<AccountId, Contact>,
    devices: BTreeMap<DeviceId, AccountId>,
    /// Accounts that others have absorbed.
    aliases: BTreeMap<AccountId, AccountId>,
}

impl Contacts {
    pub(crate) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut contacts = Self::default();
        for (_, value) in store.records(RecordKind::Contact)? {
            let contact = Contact::decode(&value)
                .map_err(|error| StoreError::new("Reading a contact", error))?;
            contacts.take(contact);
        }
        Ok(contacts)
    }

    fn take(&mut self, contact: Contact) {
        let id = contact.account.id();
        self.devices.retain(|_, account| *account != id);
        self.devices.extend(contact.account.devices().map(|device| (device, id)));
        let absorbed = contact.absorbed.iter().map(|absorbed| (absorbed.account.id(), id));
        self.aliases.retain(|_, current| *current != id);
        self.aliases.extend(absorbed);
        self.people.insert(id, contact);
    }

    /// Keeps a contact, new or changed.
    pub(crate) fn keep(
        &mut self,
        store: &mut dyn Store,
        contact: Contact,
    ) -> Result<(), StoreError> {
        let id = contact.account.id();
        store.put_record(RecordKind::Contact, id.as_bytes(), &contact.encode())?;
        self.take(contact);
        Ok(())
    }

    pub(crate) fn forget(
        &mut self,
        store: &mut dyn Store,
        id: AccountId,
    ) -> Result<(), StoreError> {
        store.remove_record(RecordKind::Contact, id.as_bytes())?;
        self.people.remove(&id);
        self.devices.retain(|_, account| *account != id);
        Ok(())
    }

    /// The contact with this account.
    pub fn find(&self, id: AccountId) -> Option<&Contact> {
        self.people.get(&id).filter(|contact| contact.status != Status::Removed)
    }

    /// The account in use of the person who has or had this one.
    pub(crate) fn current(&self, id: AccountId) -> AccountId {
        self.aliases.get(&id).copied().unwrap_or(id)
    }

    /// The contact with this account, on the list or not.
    pub(crate) fn find_any(&self, id: AccountId) -> Option<&Contact> {
        self.people.get(&id)
    }

    /// Everybody, on the list or not.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Contact> {
        self.people.values()
    }

    /// The account that a device speaks for.
    pub fn account_of(&self, device: DeviceId) -> Option<AccountId> {
        self.devices.get(&device).copied()
    }

    /// Everybody, in the order of their account ids.
    pub fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.people.values().filter(|contact| contact.status != Status::Removed)
    }

    /// Everybody whose devices we recognise on a link.
    pub fn known(&self) -> impl Iterator<Item = &Contact> {
        self.iter().filter(|contact| contact.status.is_known())
    }

    /// Whether all devices of an account can be known beside those of everybody else.
    pub(crate) fn has_room_for(&self, account: &Account) -> bool {
        let others = self.known().filter(|contact| contact.account.id() != account.id());
        let devices: usize = others.map(|contact| contact.account.devices().len()).sum();
        devices + account.devices().len() <= KNOWN_DEVICES_MAX
    }

    /// Whether another request can wait for its answer.
    pub(crate) fn has_room_for_request(&self) -> bool {
        let pending = self.iter().filter(|contact| contact.status == Status::Pending).count();
        pending < PENDING_CONTACTS_MAX && self.len() < CONTACTS_MAX
    }

    /// The request that has waited longest and was never answered.
    pub(crate) fn oldest_request(&self) -> Option<AccountId> {
        let waiting = self.iter().filter(|contact| contact.status == Status::Pending);
        let oldest =
            waiting.filter(|c| c.request_number.is_some()).min_by_key(|c| c.request_number);
        oldest.map(|contact| contact.account.id())
    }

    /// The number of the next request.
    pub(crate) fn next_request_number(&self) -> u64 {
        let newest = self.iter().filter_map(|contact| contact.request_number).max();
        newest.unwrap_or(0).saturating_add(1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A name like the wanted one that nobody else has: names tell people apart.
    pub(crate) fn free_name(&self, wanted: &str, for_account: AccountId) -> String {
        let others = self.names().into_iter().filter(|(account, _)| *account != for_account);
        let taken: BTreeSet<String> = others.map(|(_, name)| fold_name(&name)).collect();
        free_name(wanted, &|name| taken.contains(name))
    }

    /// What everybody is shown as. Two devices of ours may have given one name to two people: the
    /// one of whom it was said first keeps it, whichever was heard first.
    pub fn names(&self) -> BTreeMap<AccountId, String> {
        let mut people: Vec<&Contact> = self.iter().collect();
        people.sort_by_key(|contact| {
            let word = contact.words.name;
            (word.is_none(), word, contact.account.id())
        });
        let mut taken = BTreeSet::new();
        let named = people.into_iter().map(|contact| {
            let name = free_name(&contact.name, &|name| taken.contains(name));
            taken.insert(fold_name(&name));
            (contact.account.id(), name)
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use kith_common::keys::SigningKey;

    use super::*;
    use crate::store::memory::MemoryStore;

    fn contact(seed: u8, name: &str) -> Contact {
        let key = |n: u8| SigningKey::from_seed(&[n; 32]);
        let account = Account::create(&key(seed), &key(seed + 1), &key(seed + 2), [0; 32]);
        let addresses = vec!["/ip4/127.0.0.1/tcp/1".to_owned()];
        Contact {
            greeting: "hello".to_owned(),
            addresses: account.devices().map(|device| (device, addresses.clone())).collect(),
            hints: addresses,
            request_number: Some(7),
            ..Contact::new(account, name.to_owned(), Status::Requested)
        }
    }

    #[test]
    fn contacts_survive_in_the_store() {
        let mut store = MemoryStore::new();
        let mut contacts = Contacts::default();
        let (bob, carol) = (contact(1, "Bob"), contact(10, "Carol"));
        contacts.keep(&mut store, bob.clone()).unwrap();
        contacts.keep(&mut store, carol.clone()).unwrap();
        contacts.forget(&mut store, carol.account.id()).unwrap();
        let loaded = Contacts::load(&store).unwrap();
        assert_eq!(loaded.iter().cloned().collect::<Vec<_>>(), vec![bob.clone()]);
        let device = bob.account.devices().next().unwrap();
        assert_eq!(loaded.account_of(device), Some(bob.account.id()));
        assert_eq!(loaded.account_of(carol.account.devices().next().unwrap()), None);
    }

    #[test]
    fn nobody_gets_the_name_of_another() {
        let mut store = MemoryStore::new();
        let mut contacts = Contacts::default();
        contacts.keep(&mut store, contact(1, "Bob")).unwrap();
        let other = contact(10, "x").account.id();
        assert_eq!(contacts.free_name("bob", other), "bob 2");
        assert_eq!(contacts.free_name("Bobby", other), "Bobby");
        let own = contact(1, "x").account.id();
        assert_eq!(contacts.free_name("Bob", own), "Bob");
        for look_alike in ["BO\u{200b}B", "Ｂｏｂ", "b\u{ad}ob\u{feff}"] {
            assert!(contacts.free_name(look_alike, other).ends_with(" 2"), "{look_alike:?}");
        }
        contacts.keep(&mut store, contact(20, "Zoë")).unwrap();
        assert_eq!(contacts.free_name("ZOE\u{308}", other), "ZOË 2");
    }

    /// Two devices of ours name two people alike, and each hears of the other's later.
    #[test]
    fn what_people_are_shown_as_does_not_hang_on_what_was_heard_first() {
        let said = |seed: u8, eff: u64| {
            let mut contact = contact(seed, "Bob");
            contact.words.name = Some(Position { eff, id: EntryId::from_bytes([seed; 32]) });
            contact
        };
        let (first, second) = (said(10, 1), said(1, 2));
        let ids = [&first, &second].map(|contact| contact.account.id());
        for order in [[&first, &second], [&second, &first]] {
            let mut store = MemoryStore::new();
            let mut contacts = Contacts::default();
            for contact in order {
                contacts.keep(&mut store, contact.clone()).unwrap();
            }
            assert_eq!(ids.map(|id| contacts.names()[&id].clone()), ["Bob", "Bob 2"]);
        }
    }
}
