//! Where can others be written to? The last word of each device in each log (spec 09 R2).

use std::collections::BTreeMap;

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    ids::{DeviceId, LogId},
    mail::QueueAddress,
};

use crate::store::{RecordKind, Store, StoreError};

/// Where a device can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the entry that says so in the device's chain; 0 if it came in a link or letter.
    pub(crate) seq: u64,
    /// Its clock: the later of two logs counts.
    pub(crate) hlc: u64,
    pub(crate) queues: Vec<QueueAddress>,
    /// What its last letter said, or a link: where it can be tried if that fails.
    pub(crate) replies: Vec<QueueAddress>,
}

impl Place {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(5).uint(1).uint(self.seq).uint(self.hlc);
        QueueAddress::write_list(&self.queues, &mut writer);
        QueueAddress::write_list(&self.replies, &mut writer);
        writer.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.tuple("place", 5)?;
            reader.uint_max("version", 1)?;
            let (seq, hlc) = (reader.uint()?, reader.uint()?);
            let queues = QueueAddress::read_list(reader)?;
            Ok(Self { seq, hlc, queues, replies: QueueAddress::read_list(reader)? })
        })
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<(LogId, DeviceId), Place>);

impl Places {
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut places = BTreeMap::new();
        for (key, value) in store.records(RecordKind::Place)? {
            let Some((log, device)) = split(&key) else { continue };
            let place = Place::decode(&value)
                .map_err(|error| StoreError::new("Reading where a device is written to", error))?;
            places.insert((log, device), place);
        }
        Ok(Self(places))
    }

    /// Takes in an entry of a device, which replaces what it said before. Returns whether it is newer
    /// than what was known.
    pub(crate) fn take(
        &mut self,
        key: (LogId, DeviceId),
        (seq, hlc): (u64, u64),
        queues: Vec<QueueAddress>,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        let known = self.0.get(&key);
        if known.is_some_and(|known| known.seq >= seq) {
            return Ok(false);
        }
        self.keep(key, Place { seq, hlc, queues, replies: Vec::new() }, store)?;
        Ok(true)
    }

    /// Takes in what a letter or a link says. Returns whether that is news.
    pub(crate) fn take_reply(
        &mut self,
        key: (LogId, DeviceId),
        replies: Vec<QueueAddress>,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        let known = self.0.get(&key).cloned();
        let known =
            known.unwrap_or(Place { seq: 0, hlc: 0, queues: Vec::new(), replies: Vec::new() });
        if known.replies == replies || known.queues == replies {
            return Ok(false);
        }
        self.keep(key, Place { replies, ..known }, store)?;
        Ok(true)
    }

    fn keep(
        &mut self,
        (log, device): (LogId, DeviceId),
        place: Place,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        store.put_record(RecordKind::Place, &joined(log, device), &place.encode())?;
        self.0.insert((log, device), place);
        Ok(())
    }

    /// What a device said last in one log.
    pub(crate) fn said(&self, log: LogId, device: DeviceId) -> Option<&Place> {
        self.0.get(&(log, device))
    }

    /// Where a device can be written to by those who share these logs.
    pub(crate) fn of(&self, device: DeviceId, logs: &[LogId]) -> Vec<QueueAddress> {
        let said = logs.iter().filter_map(|log| self.0.get(&(*log, device)));
        let said = said.max_by_key(|place| (place.seq > 0, place.hlc));
        said.into_iter()
            .flat_map(|place| place.queues.iter().chain(&place.replies))
            .cloned()
            .collect()
    }

    /// All queues of a device, whoever may write into them.
    pub(crate) fn all_of(&self, device: DeviceId) -> Vec<QueueAddress> {
        let said = self.0.iter().filter(|((_, of), _)| *of == device);
        said.flat_map(|(_, place)| place.queues.iter().chain(&place.replies).cloned()).collect()
    }

    /// Devices that have said something in a log.
    pub(crate) fn devices<'a>(&'a self, log: LogId) -> impl Iterator<Item = DeviceId> + 'a {
        let first = (log, DeviceId::from_bytes([0; 32]));
        self.0.range(first..).take_while(move |((of, _), _)| *of == log).map(|((_, d), _)| *d)
    }
}

/// A record about a device and a log, or the other way round.
pub(crate) fn joined(log: LogId, device: DeviceId) -> [u8; 64] {
    let mut key = [0; 64];
    let (left, right) = key.split_at_mut(32);
    left.copy_from_slice(log.as_bytes());
    right.copy_from_slice(device.as_bytes());
    key
}

pub(crate) fn split(key: &[u8]) -> Option<(LogId, DeviceId)> {
    let (log, device) = key.split_first_chunk()?;
    Some((LogId::from_bytes(*log), DeviceId::from_bytes(device.try_into().ok()?)))
}
