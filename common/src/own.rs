//! What do a person's devices tell each other? Bodies of the self log (spec 07).
//!
//! The log is an ordinary one with kinds of its own; nobody but the devices of the account gets it.

use crate::{
    codec::{DecodeError, Fields, Reader, Writer},
    entry::{EntryKind, Mark},
    envelope::Payload,
    frame::{read_proof, write_proof},
    ids::{AccountId, DeviceId, EntryId, LogId},
    limits::{
        ACCESS_BYTES_MAX, ADDRESS_BYTES_MAX, BODY_SALT_BYTES, BOOTSTRAPS_MAX,
        CLEAR_ENVELOPE_BYTES_MAX, DELETED_ENTRIES_MAX, FRONTIER_MARKS_MAX, GREETING_BYTES_MAX,
        MAILBOXES_MAX, NAME_BYTES_MAX, REPLACED_MAX, TEXT_BYTES_MAX, URL_BYTES_MAX,
    },
    mail::MailboxUrl,
    service::mailbox::Days,
};

/// What an entry of the self log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// Something about a contact; boxed, for it is the largest.
    Contact(Box<ContactNote>),
    /// How far a log was read.
    Read {
        /// The log.
        log: LogId,
        /// The last entry read of each chain.
        marks: Vec<Mark>,
    },
    /// Single messages are deleted.
    Delete {
        /// The log.
        log: LogId,
        /// Which; at most [`DELETED_ENTRIES_MAX`], ascending.
        entries: Vec<Mark>,
    },
    /// Everything up to some marks is deleted.
    Clear {
        /// Envelope of a [`Clear`].
        clear: Box<[u8]>,
    },
    /// A setting.
    Setting(Setting),
    /// What is being written and not yet sent; empty: nothing.
    Draft {
        /// The log.
        log: LogId,
        /// At most 60,000 bytes.
        text: String,
    },
    /// What the person calls one of their devices.
    DeviceName {
        /// The device.
        device: DeviceId,
        /// 1 to 64 bytes.
        name: String,
    },
}

impl Own {
    /// The log of a contact that this is about.
    pub const fn about(&self) -> Option<LogId> {
        match self {
            Self::Read { log, .. } | Self::Delete { log, .. } | Self::Draft { log, .. } => {
                Some(*log)
            }
            Self::Contact(_) | Self::Clear { .. } | Self::Setting(_) | Self::DeviceName { .. } => {
                None
            }
        }
    }
}

/// A setting of the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// What the person calls themselves, 1 to 64 bytes.
    Name(String),
    /// Whether others learn what was read.
    ReadReceipts(bool),
    /// Where the person's devices can be written to while they are not there.
    Mailboxes(Vec<MailboxSetting>),
    /// Whether strangers who know the id can find the person.
    Findable(bool),
    /// Whether contacts learn relayed addresses alone.
    RelayOnly(bool),
    /// Where to begin looking for others: at most [`BOOTSTRAPS_MAX`] addresses.
    Bootstraps(Vec<String>),
}

/// A mailbox-server that the person has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxSetting {
    /// Where it is.
    pub url: MailboxUrl,
    /// How long it is to keep what is put there.
    pub days: Days,
    /// The word that it wants from those who open queues; at most 64 bytes, may be empty.
    pub access: String,
}

impl MailboxSetting {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.tuple("mailbox", 3)?;
        let url = MailboxUrl::parse(reader.text("url", URL_BYTES_MAX)?)
            .map_err(|_| DecodeError::Value("url"))?;
        let days = Days::of_count(reader.uint()?).ok_or(DecodeError::Value("days"))?;
        Ok(Self { url, days, access: reader.text("access word", ACCESS_BYTES_MAX)?.to_owned() })
    }

    /// Reads a list of at most [`MAILBOXES_MAX`].
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn read_list(reader: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        reader.list("mailboxes", MAILBOXES_MAX, Self::read)
    }

    /// Writes a list.
    pub fn write_list(list: &[Self], writer: &mut Writer) {
        writer.array(list.len());
        for mailbox in list {
            writer.array(3).text(mailbox.url.as_str());
            writer.uint(mailbox.days.count()).text(&mailbox.access);
        }
    }
}

/// What is said about a contact; what is absent stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactNote {
    /// Who.
    pub account: AccountId,
    /// What was known of the account; may be empty.
    pub proof: Vec<Box<[u8]>>,
    /// What we call them, 1 to 64 bytes.
    pub name: Option<String>,
    /// How far we have got: see the table of spec 07.
    pub status: Option<u8>,
    /// What was said with the request.
    pub greeting: Option<String>,
    /// Whether we are sure who it is.
    pub validity: Option<u8>,
    /// The entries whose validity this one replaces, ascending.
    pub replaces: Vec<EntryId>,
}

impl ContactNote {
    /// A note that says nothing yet.
    pub const fn about(account: AccountId) -> Self {
        Self {
            account,
            proof: Vec::new(),
            name: None,
            status: None,
            greeting: None,
            validity: None,
            replaces: Vec::new(),
        }
    }

    fn read(m: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let account = AccountId::from_bytes(m.required(0)?.fixed("account")?);
        let proof = m.optional(1)?.map(|r| not_empty(read_proof(r)?)).transpose()?;
        let name = m.optional(2)?.map(read_name).transpose()?;
        let status = m.optional(3)?.map(|r| read_small(r, "status", 4)).transpose()?;
        let greeting =
            m.optional(4)?.map(|r| r.text("greeting", GREETING_BYTES_MAX)).transpose()?;
        let validity = m.optional(5)?.map(|r| read_small(r, "validity", 2)).transpose()?;
        let replaces = m
            .optional(6)?
            .map(|r| {
                let id = |r: &mut Reader<'_>| r.fixed("entry").map(EntryId::from_bytes);
                not_empty(r.list("replaced", REPLACED_MAX, id)?)
            })
            .transpose()?
            .unwrap_or_default();
        if !replaces.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::NotCanonical);
        }
        let (proof, greeting) = (proof.unwrap_or_default(), greeting.map(str::to_owned));
        Ok(Self { account, proof, name, status, greeting, validity, replaces })
    }

    fn write(&self, writer: &mut Writer) {
        let fields = [
            !self.proof.is_empty(),
            self.name.is_some(),
            self.status.is_some(),
            self.greeting.is_some(),
            self.validity.is_some(),
            !self.replaces.is_empty(),
        ];
        writer.map(1 + fields.iter().filter(|there| **there).count());
        writer.uint(0).bytes(self.account.as_bytes());
        if !self.proof.is_empty() {
            write_proof(writer.uint(1), &self.proof);
        }
        if let Some(name) = &self.name {
            writer.uint(2).text(name);
        }
        if let Some(status) = self.status {
            writer.uint(3).uint(u64::from(status));
        }
        if let Some(greeting) = &self.greeting {
            writer.uint(4).text(greeting);
        }
        if let Some(validity) = self.validity {
            writer.uint(5).uint(u64::from(validity));
        }
        if !self.replaces.is_empty() {
            writer.uint(6).array(self.replaces.len());
            for id in &self.replaces {
                writer.bytes(id.as_bytes());
            }
        }
    }
}

impl Own {
    /// The kind of the entry that carries it.
    pub const fn kind(&self) -> EntryKind {
        match self {
            Self::Contact(_) => EntryKind::CONTACT,
            Self::Read { .. } => EntryKind::READ,
            Self::Delete { .. } | Self::Clear { .. } => EntryKind::DELETE,
            Self::Setting(_) => EntryKind::SETTING,
            Self::Draft { .. } => EntryKind::DRAFT,
            Self::DeviceName { .. } => EntryKind::DEVICE,
        }
    }

    /// The body with its salt in front.
    pub fn encode(&self, salt: [u8; BODY_SALT_BYTES]) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::Contact(note) => note.write(&mut writer),
            Self::Read { log, marks } => {
                writer.map(2).uint(0).bytes(log.as_bytes());
                Mark::write_list(marks, writer.uint(1));
            }
            Self::Delete { log, entries } => {
                writer.map(2).uint(0).bytes(log.as_bytes());
                Mark::write_list(entries, writer.uint(1));
            }
            Self::Clear { clear } => {
                writer.map(1).uint(2).bytes(clear);
            }
            Self::Setting(Setting::Name(name)) => {
                writer.map(2).uint(0).uint(1).uint(1).text(name);
            }
            Self::Setting(Setting::ReadReceipts(on)) => {
                writer.map(2).uint(0).uint(2).uint(1).bool(*on);
            }
            Self::Setting(Setting::Mailboxes(list)) => {
                MailboxSetting::write_list(list, writer.map(2).uint(0).uint(3).uint(1));
            }
            Self::Setting(Setting::Findable(on)) => {
                writer.map(2).uint(0).uint(4).uint(1).bool(*on);
            }
            Self::Setting(Setting::RelayOnly(on)) => {
                writer.map(2).uint(0).uint(5).uint(1).bool(*on);
            }
            Self::Setting(Setting::Bootstraps(list)) => {
                write_bootstraps(list, writer.map(2).uint(0).uint(6).uint(1));
            }
            Self::Draft { log, text } => {
                writer.map(2).uint(0).bytes(log.as_bytes()).uint(1).text(text);
            }
            Self::DeviceName { device, name } => {
                writer.map(2).uint(0).bytes(device.as_bytes()).uint(1).text(name);
            }
        }
        let mut body = salt.to_vec();
        body.extend_from_slice(&writer.finish());
        body
    }

    /// Reads a body, salt included; `None` for kinds that are not of the self log.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn decode(kind: EntryKind, body: &[u8]) -> Result<Option<Self>, DecodeError> {
        let (_, content) = body.split_at_checked(BODY_SALT_BYTES).ok_or(DecodeError::Malformed)?;
        let read = match kind {
            EntryKind::CONTACT => |m: &mut Fields<'_, '_>| {
                ContactNote::read(m).map(|note| Self::Contact(Box::new(note)))
            },
            EntryKind::READ => |m: &mut Fields<'_, '_>| {
                let log = read_log(m)?;
                let marks = Mark::read_list(m.required(1)?, "marks", FRONTIER_MARKS_MAX)?;
                Ok(Self::Read { log, marks })
            },
            EntryKind::DELETE => Self::read_delete,
            EntryKind::SETTING => |m: &mut Fields<'_, '_>| {
                Ok(Self::Setting(match m.required(0)?.uint()? {
                    1 => Setting::Name(read_name(m.required(1)?)?),
                    2 => Setting::ReadReceipts(m.required(1)?.bool()?),
                    3 => Setting::Mailboxes(MailboxSetting::read_list(m.required(1)?)?),
                    4 => Setting::Findable(m.required(1)?.bool()?),
                    5 => Setting::RelayOnly(m.required(1)?.bool()?),
                    6 => Setting::Bootstraps(read_bootstraps(m.required(1)?)?),
                    _ => return Err(DecodeError::Value("setting")),
                }))
            },
            EntryKind::DRAFT => |m: &mut Fields<'_, '_>| {
                let log = read_log(m)?;
                let text = m.required(1)?.text("draft", TEXT_BYTES_MAX)?.to_owned();
                Ok(Self::Draft { log, text })
            },
            EntryKind::DEVICE => |m: &mut Fields<'_, '_>| {
                let device = DeviceId::from_bytes(m.required(0)?.fixed("device")?);
                Ok(Self::DeviceName { device, name: read_name(m.required(1)?)? })
            },
            _ => return Ok(None),
        };
        Reader::all(content, |reader| reader.map(read)).map(Some)
    }

    fn read_delete(m: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        if let Some(log) = m.optional(0)? {
            let log = LogId::from_bytes(log.fixed("log")?);
            let entries = Mark::read_list(m.required(1)?, "entries", DELETED_ENTRIES_MAX)?;
            return Ok(Self::Delete { log, entries });
        }
        let clear = m.required(2)?.bytes("clear", Clear::ENVELOPE_BYTES_MAX)?.into();
        Ok(Self::Clear { clear })
    }
}

/// Reads addresses of bootstraps, at most [`BOOTSTRAPS_MAX`].
///
/// # Errors
/// If the list is not well-formed.
pub fn read_bootstraps(reader: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    reader.list("bootstraps", BOOTSTRAPS_MAX, |r| {
        r.text("address", ADDRESS_BYTES_MAX).map(str::to_owned)
    })
}

/// Writes what [`read_bootstraps`] reads.
pub fn write_bootstraps(list: &[String], writer: &mut Writer) {
    writer.array(list.len());
    for address in list {
        writer.text(address);
    }
}

fn read_log(m: &mut Fields<'_, '_>) -> Result<LogId, DecodeError> {
    Ok(LogId::from_bytes(m.required(0)?.fixed("log")?))
}

/// A list without anything in it is left out: a body has one form.
fn not_empty<T>(list: Vec<T>) -> Result<Vec<T>, DecodeError> {
    if list.is_empty() { Err(DecodeError::Value("empty list")) } else { Ok(list) }
}

fn read_name(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    match reader.text("name", NAME_BYTES_MAX)? {
        "" => Err(DecodeError::Value("name")),
        name => Ok(name.to_owned()),
    }
}

fn read_small(reader: &mut Reader<'_>, what: &'static str, max: u64) -> Result<u8, DecodeError> {
    let value = reader.uint_max(what, max)?;
    u8::try_from(value).map_err(|_| DecodeError::Value(what))
}

/// An order to delete everything up to some marks; signed by an authority key. Of a self log, which
/// loses nothing, it says how far the orders of devices that were put out were carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clear {
    /// The account.
    pub account: AccountId,
    /// The log.
    pub log: LogId,
    /// The last entry of each chain that goes.
    pub through: Vec<Mark>,
}

impl Payload for Clear {
    const KIND: u64 = 13;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/clear/1";
    const ENVELOPE_BYTES_MAX: usize = CLEAR_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let account = AccountId::from_bytes(m.required(0)?.fixed("account")?);
            let log = LogId::from_bytes(m.required(1)?.fixed("log")?);
            let through = Mark::read_list(m.required(2)?, "marks", FRONTIER_MARKS_MAX)?;
            Ok(Self { account, log, through })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3).uint(0).bytes(self.account.as_bytes());
        writer.uint(1).bytes(self.log.as_bytes());
        Mark::write_list(&self.through, writer.uint(2));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(n: u8) -> Mark {
        Mark {
            device: DeviceId::from_bytes([n; 32]),
            seq: u64::from(n),
            id: EntryId::from_bytes([n; 32]),
        }
    }

    #[test]
    fn bodies_come_back() {
        let log = LogId::from_bytes([1; 32]);
        let account = AccountId::from_bytes([2; 32]);
        let full = ContactNote {
            account,
            proof: vec![[7; 200].into()],
            name: Some("Bob".to_owned()),
            status: Some(2),
            greeting: Some(String::new()),
            validity: Some(1),
            replaces: vec![EntryId::from_bytes([3; 32])],
        };
        for own in [
            Own::Contact(Box::new(ContactNote::about(account))),
            Own::Contact(Box::new(full)),
            Own::Read { log, marks: vec![mark(1), mark(2)] },
            Own::Delete { log, entries: vec![mark(3)] },
            Own::Clear { clear: [4; 100].into() },
            Own::Setting(Setting::Name("Alice".to_owned())),
            Own::Setting(Setting::ReadReceipts(true)),
            Own::Draft { log, text: String::new() },
            Own::DeviceName { device: DeviceId::from_bytes([5; 32]), name: "phone".to_owned() },
        ] {
            let body = own.encode([9; BODY_SALT_BYTES]);
            assert_eq!(Own::decode(own.kind(), &body), Ok(Some(own)));
        }
        assert_eq!(Own::decode(EntryKind::TEXT, &[0; 40]), Ok(None));
    }

    #[test]
    fn a_name_has_a_character() {
        let body = Own::Setting(Setting::Name(String::new())).encode([0; BODY_SALT_BYTES]);
        assert!(Own::decode(EntryKind::SETTING, &body).is_err());
    }

    proptest! {
        #[test]
        fn decoding_anything_never_panics(kind: u8, bytes: Vec<u8>) {
            let _ = Own::decode(EntryKind(kind), &bytes);
        }
    }
}
