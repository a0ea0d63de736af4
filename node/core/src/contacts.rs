//! Whom do we know, and how well? One entry for a person, however many devices they have.

use std::collections::BTreeMap;

use kith_common::{
    account::Account,
    codec::{DecodeError, Reader, Writer},
    ids::{AccountId, DeviceId},
    limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, GREETING_BYTES_MAX, NAME_BYTES_MAX},
};
use unicode_normalization::UnicodeNormalization;

use crate::{
    limits::{CONTACTS_MAX, KNOWN_DEVICES_MAX, PENDING_CONTACTS_MAX},
    store::{RecordKind, Store, StoreError},
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
}

impl Status {
    /// The word that people and programs see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Pending => "pending",
            Self::Contact => "contact",
            Self::Blocked => "blocked",
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.uint()? {
            0 => Ok(Self::Requested),
            1 => Ok(Self::Pending),
            2 => Ok(Self::Contact),
            3 => Ok(Self::Blocked),
            _ => Err(DecodeError::Value("status")),
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
    /// What we call them.
    pub name: String,
    /// How far we have got.
    pub status: Status,
    /// Whether we are sure who it is.
    pub validity: Validity,
    /// What was said with the request, ours or theirs.
    pub greeting: String,
    /// Where they may be reached.
    pub addresses: Vec<String>,
    /// What they were before they were blocked.
    pub before_block: Option<Status>,
    /// A request that was never answered has a number, higher than those that came before.
    pub request_number: Option<u64>,
}

impl Contact {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        let optional = [self.before_block.is_some(), self.request_number.is_some()];
        writer.map(7 + optional.map(usize::from).iter().sum::<usize>()).uint(0).uint(1);
        writer.uint(1).array(self.account.proof().len());
        for envelope in self.account.proof() {
            writer.bytes(envelope);
        }
        writer.uint(2).text(&self.name);
        writer.uint(3).uint(self.status as u64);
        writer.uint(4).uint(self.validity as u64);
        writer.uint(5).text(&self.greeting);
        writer.uint(6).array(self.addresses.len());
        for address in &self.addresses {
            writer.text(address);
        }
        if let Some(status) = self.before_block {
            writer.uint(7).uint(status as u64);
        }
        if let Some(number) = self.request_number {
            writer.uint(8).uint(number);
        }
        writer.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.map(|m| {
                if m.required(0)?.uint()? != 1 {
                    return Err(DecodeError::Value("version"));
                }
                let proof = m
                    .required(1)?
                    .list("proof", usize::MAX, |r| r.bytes("envelope", usize::MAX))?;
                let account =
                    Account::fold(&proof).map_err(|_| DecodeError::Value("account proof"))?;
                Ok(Self {
                    account,
                    name: m.required(2)?.text("name", NAME_BYTES_MAX)?.to_owned(),
                    status: Status::read(m.required(3)?)?,
                    validity: match m.required(4)?.uint()? {
                        0 => Validity::Unvalidated,
                        1 => Validity::Validated,
                        2 => Validity::Compromised,
                        _ => return Err(DecodeError::Value("validity")),
                    },
                    greeting: m.required(5)?.text("greeting", GREETING_BYTES_MAX)?.to_owned(),
                    addresses: m.required(6)?.list("addresses", ADDRESSES_MAX, |r| {
                        r.text("address", ADDRESS_BYTES_MAX).map(str::to_owned)
                    })?,
                    before_block: m.optional(7)?.map(Status::read).transpose()?,
                    request_number: m.optional(8)?.map(Reader::uint).transpose()?,
                })
            })
        })
    }
}

/// Everybody we know of.
#[derive(Debug, Default)]
pub struct Contacts {
    people: BTreeMap<AccountId, Contact>,
    devices: BTreeMap<DeviceId, AccountId>,
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
        for device in contact.account.devices() {
            self.devices.insert(device, contact.account.id());
        }
        self.people.insert(contact.account.id(), contact);
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
        self.people.get(&id)
    }

    /// The account that a device speaks for.
    pub fn account_of(&self, device: DeviceId) -> Option<AccountId> {
        self.devices.get(&device).copied()
    }

    /// Everybody, in the order of their account ids.
    pub fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.people.values()
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
        self.people.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// A name like the wanted one that nobody else has: names tell people apart.
    pub(crate) fn free_name(&self, wanted: &str, for_account: AccountId) -> String {
        let taken = |name: &str| {
            let folded = fold_name(name);
            self.iter().any(|c| c.account.id() != for_account && fold_name(&c.name) == folded)
        };
        let wanted = tidy_name(wanted);
        if !taken(&wanted) {
            return wanted;
        }
        (2..)
            .map(|number| {
                let suffix = format!(" {number}");
                let room = NAME_BYTES_MAX.saturating_sub(suffix.len());
                format!("{}{suffix}", cut(&wanted, room))
            })
            .find(|name| !taken(name))
            .unwrap_or(wanted)
    }
}

/// A name as it may be shown: no control characters, no leading or trailing space, not too long.
pub fn tidy_name(name: &str) -> String {
    let clean: String = name.nfc().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
    let clean = cut(clean.trim(), NAME_BYTES_MAX).trim().to_owned();
    // A name that looks like an id would be taken for one.
    let like_an_id = fold_name(&clean).starts_with("kith1");
    if clean.is_empty() || like_an_id { "Unnamed".to_owned() } else { clean }
}

/// What two names have in common if a person may take one for the other: compatibility forms, case
/// and characters that cannot be seen do not count.
pub fn fold_name(name: &str) -> String {
    let folded = name.nfkc().filter(|c| !is_invisible(*c)).flat_map(char::to_lowercase);
    folded.nfkc().collect::<String>().trim().to_owned()
}

/// Characters that are not seen or turn the direction of text around, and could make one name look
/// like another.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The longest start of a text that has at most `bytes` bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kith_common::keys::SigningKey;

    use super::*;
    use crate::store::memory::MemoryStore;

    fn contact(seed: u8, name: &str) -> Contact {
        let key = |n: u8| SigningKey::from_seed(&[n; 32]);
        Contact {
            account: Account::create(&key(seed), &key(seed + 1), &key(seed + 2), [0; 32]),
            name: name.to_owned(),
            status: Status::Requested,
            validity: Validity::Unvalidated,
            greeting: "hello".to_owned(),
            addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()],
            before_block: None,
            request_number: Some(7),
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

    #[test]
    fn names_cannot_play_tricks() {
        assert_eq!(tidy_name("  A\u{202e}li\nce\u{7} "), "Alice");
        assert_eq!(tidy_name("\u{200e}\t"), "Unnamed");
        assert_eq!(tidy_name("kith1qysgelc"), "Unnamed");
        assert_eq!(tidy_name(&"ä".repeat(40)).len(), 64);
    }
}
