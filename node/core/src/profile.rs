//! What does the node know about itself? Its name and settings, and what its devices are called.

use std::collections::BTreeMap;

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    ids::{DeviceId, EntryId},
    limits::NAME_BYTES_MAX,
    own::{MailboxSetting, Setting, read_bootstraps, write_bootstraps},
};

use crate::{
    limits::NAMED_DEVICES_MAX,
    store::{LogNumber, Position, RecordKind, Store, StoreError},
};

/// Version 1 was of accounts with one device, 2 knew the newest name only.
const VERSION: u64 = 3;

/// The person's own name and settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What the person calls themselves.
    pub name: String,
    /// The name that this device began with: it counts while the self log says nothing.
    first_name: String,
    /// Whether others learn what was read.
    pub read_receipts: bool,
    /// Where our devices can be written to while they are not there, the preferred place first.
    pub mailboxes: Vec<MailboxSetting>,
    /// Whether strangers who know the id can find the person.
    pub findable: bool,
    /// Whether contacts learn relayed addresses alone.
    pub relay_only: bool,
    /// Where to begin looking for others.
    pub bootstraps: Vec<String>,
    /// Where the entries stand that said these six (spec 07 R2).
    words: [Option<Position>; 6],
    device_names: BTreeMap<DeviceId, (Position, String)>,
    next_log: u32,
}

impl Profile {
    pub(crate) fn new(name: String) -> Self {
        Self {
            first_name: name.clone(),
            name,
            read_receipts: false,
            mailboxes: Vec::new(),
            findable: true,
            relay_only: false,
            bootstraps: Vec::new(),
            words: [None; 6],
            device_names: BTreeMap::new(),
            next_log: 1,
        }
    }

    /// A number that no log has yet.
    pub(crate) fn take_log_number(&mut self) -> LogNumber {
        let number = self.next_log;
        self.next_log = self.next_log.saturating_add(1);
        LogNumber(number)
    }

    /// Whether the self log says what the person calls themselves.
    pub(crate) const fn is_told(&self) -> bool {
        self.words[0].is_some()
    }

    /// Takes in what an entry at this position says. Returns whether anything changed.
    pub(crate) fn take_setting(&mut self, setting: &Setting, position: Position) -> bool {
        let [name, receipts, mailboxes, findable, relay_only, bootstraps] = &mut self.words;
        let word = match setting {
            Setting::Name(_) => name,
            Setting::ReadReceipts(_) => receipts,
            Setting::Mailboxes(_) => mailboxes,
            Setting::Findable(_) => findable,
            Setting::RelayOnly(_) => relay_only,
            Setting::Bootstraps(_) => bootstraps,
        };
        if word.is_some_and(|word| word > position) {
            return false;
        }
        *word = Some(position);
        match setting {
            Setting::Name(name) => self.name = crate::names::tidy_name(name),
            Setting::ReadReceipts(on) => self.read_receipts = *on,
            Setting::Mailboxes(list) => self.mailboxes.clone_from(list),
            Setting::Findable(on) => self.findable = *on,
            Setting::RelayOnly(on) => self.relay_only = *on,
            Setting::Bootstraps(list) => self.bootstraps.clone_from(list),
        }
        true
    }

    /// Takes in what an entry at this position calls a device. Returns whether anything changed.
    pub(crate) fn name_device(&mut self, device: DeviceId, name: &str, position: Position) -> bool {
        let known = self.device_names.get(&device);
        let full = known.is_none() && self.device_names.len() >= NAMED_DEVICES_MAX;
        if full || known.is_some_and(|(word, _)| *word > position) {
            return false;
        }
        self.device_names.insert(device, (position, crate::names::tidy_name(name)));
        true
    }

    /// What a device is called, if anything.
    pub fn device_name(&self, device: DeviceId) -> Option<&str> {
        self.device_names.get(&device).map(|(_, name)| name.as_str())
    }

    /// Another account is in use: what its self log says of name and settings counts, whenever it
    /// was said.
    pub(crate) const fn begin_anew(&mut self) {
        self.words = [None; 6];
    }

    /// Forgets what was said: the self log is read again.
    pub(crate) fn forget_words(&mut self) {
        if !self.first_name.is_empty() {
            self.name.clone_from(&self.first_name);
        }
        self.read_receipts = false;
        self.mailboxes.clear();
        (self.findable, self.relay_only) = (true, false);
        self.bootstraps.clear();
        self.words = [None; 6];
        self.device_names.clear();
    }

    /// What is stored, if anything is.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn load(store: &dyn Store) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = store.record(RecordKind::Profile, b"")? else { return Ok(None) };
        Self::decode(&bytes)
            .map(Some)
            .map_err(|error| StoreError::new("Reading the profile", error))
    }

    pub(crate) fn save(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let mut writer = Writer::new();
        writer.map(9).uint(0).uint(VERSION);
        writer.uint(1).text(&self.name);
        writer.uint(2).bool(self.read_receipts);
        writer.uint(3).uint(u64::from(self.next_log));
        let [name, receipts, mailboxes, findable, relay_only, bootstraps] = self.words;
        writer.uint(4).array(2);
        write_word(&mut writer, name);
        write_word(&mut writer, receipts);
        writer.uint(5).array(self.device_names.len());
        for (device, (position, name)) in &self.device_names {
            writer.array(3).bytes(device.as_bytes()).text(name);
            write_position(&mut writer, *position);
        }
        writer.uint(6).text(&self.first_name);
        write_word(writer.uint(7).array(2), mailboxes);
        MailboxSetting::write_list(&self.mailboxes, &mut writer);
        writer.uint(8).array(6);
        write_word(&mut writer, findable);
        write_word(&mut writer, relay_only);
        write_word(&mut writer, bootstraps);
        writer.bool(self.findable).bool(self.relay_only);
        write_bootstraps(&self.bootstraps, &mut writer);
        store.put_record(RecordKind::Profile, b"", &writer.finish())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.map(|m| {
                if m.required(0)?.uint()? != VERSION {
                    return Err(DecodeError::Value("version"));
                }
                let name = m.required(1)?.text("name", NAME_BYTES_MAX)?.to_owned();
                let read_receipts = m.required(2)?.bool()?;
                let next = m.required(3)?.uint_max("log number", u64::from(u32::MAX))?;
                let next_log = u32::try_from(next).map_err(|_| DecodeError::Value("log number"))?;
                let words = m.required(4)?;
                words.tuple("words", 2)?;
                let (name_word, receipts_word) = (read_word(words)?, read_word(words)?);
                let names = m.required(5)?.list("devices", NAMED_DEVICES_MAX, |r| {
                    r.tuple("device", 3)?;
                    let device = DeviceId::from_bytes(r.fixed("device")?);
                    let name = r.text("name", NAME_BYTES_MAX)?.to_owned();
                    Ok((device, (read_position(r)?, name)))
                })?;
                let device_names = names.into_iter().collect();
                let first_name = m.required(6)?.text("first name", NAME_BYTES_MAX)?.to_owned();
                // Absent where no mailbox could be chosen yet.
                let (mailboxes_word, mailboxes) = match m.optional(7)? {
                    None => (None, Vec::new()),
                    Some(reader) => {
                        reader.tuple("mailboxes", 2)?;
                        (read_word(reader)?, MailboxSetting::read_list(reader)?)
                    }
                };
                let mut profile = Self {
                    first_name,
                    read_receipts,
                    mailboxes,
                    device_names,
                    next_log,
                    ..Self::new(name)
                };
                // Absent where nobody could be found yet.
                let finding = m.optional(8)?.map(|r| profile.read_finding(r)).transpose()?;
                let [findable, relay_only, bootstraps] = finding.unwrap_or_default();
                profile.words =
                    [name_word, receipts_word, mailboxes_word, findable, relay_only, bootstraps];
                Ok(profile)
            })
        })
    }
}

impl Profile {
    fn read_finding(
        &mut self,
        reader: &mut Reader<'_>,
    ) -> Result<[Option<Position>; 3], DecodeError> {
        reader.tuple("finding", 6)?;
        let words = [read_word(reader)?, read_word(reader)?, read_word(reader)?];
        self.findable = reader.bool()?;
        self.relay_only = reader.bool()?;
        self.bootstraps = read_bootstraps(reader)?;
        Ok(words)
    }
}

fn write_position(writer: &mut Writer, position: Position) {
    writer.array(2).uint(position.eff).bytes(position.id.as_bytes());
}

fn read_position(reader: &mut Reader<'_>) -> Result<Position, DecodeError> {
    reader.tuple("position", 2)?;
    let eff = reader.uint()?;
    Ok(Position { eff, id: EntryId::from_bytes(reader.fixed("entry")?) })
}

fn write_word(writer: &mut Writer, word: Option<Position>) {
    match word {
        Some(position) => write_position(writer.array(1), position),
        None => drop(writer.array(0)),
    }
}

fn read_word(reader: &mut Reader<'_>) -> Result<Option<Position>, DecodeError> {
    match reader.array("word", 1)? {
        0 => Ok(None),
        _ => read_position(reader).map(Some),
    }
}
