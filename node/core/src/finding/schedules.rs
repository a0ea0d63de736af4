//! Under which keys do others leave where they are? The last word of each device (spec 10 R5).

use std::collections::BTreeMap;

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    finding::Schedule,
    ids::{DeviceId, LogId},
    limits::ANNOUNCED_DAYS_MAX,
};

use crate::{
    mail::{joined, split},
    store::{RecordKind, Store, StoreError},
};

/// What a device has said in one log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    /// Number of the entry in the device's chain.
    seq: u64,
    /// Its clock: the later of two logs counts.
    hlc: u64,
    schedule: Schedule,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Schedules(BTreeMap<(LogId, DeviceId), Said>);

impl Schedules {
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut schedules = BTreeMap::new();
        for (key, value) in store.records(RecordKind::Schedule)? {
            let Some(key) = split(&key) else { continue };
            let said = Said::decode(&value)
                .map_err(|error| StoreError::new("Reading where a device is looked for", error))?;
            schedules.insert(key, said);
        }
        Ok(Self(schedules))
    }

    /// Takes in an entry of a device. Returns whether it is newer than what was known.
    pub(crate) fn take(
        &mut self,
        key: (LogId, DeviceId),
        (seq, hlc): (u64, u64),
        schedule: Schedule,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        if self.0.get(&key).is_some_and(|known| known.seq >= seq) {
            return Ok(false);
        }
        let said = Said { seq, hlc, schedule };
        store.put_record(RecordKind::Schedule, &joined(key.0, key.1), &said.encode())?;
        self.0.insert(key, said);
        Ok(true)
    }

    /// What a device said last in one log.
    pub(crate) fn said(&self, log: LogId, device: DeviceId) -> Option<&Schedule> {
        self.0.get(&(log, device)).map(|said| &said.schedule)
    }

    /// What counts of a device for those who share these logs.
    pub(crate) fn of(&self, device: DeviceId, logs: &[LogId]) -> Option<&Schedule> {
        let said = logs.iter().filter_map(|log| self.0.get(&(*log, device)));
        said.max_by_key(|said| said.hlc).map(|said| &said.schedule)
    }
}

impl Said {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(4).uint(1).uint(self.seq).uint(self.hlc).bytes(&self.schedule.to_bytes());
        writer.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.tuple("schedule", 4)?;
            reader.uint_max("version", 1)?;
            let (seq, hlc) = (reader.uint()?, reader.uint()?);
            let schedule = reader.bytes("schedule", ANNOUNCED_DAYS_MAX * 32 + 64)?;
            Ok(Self { seq, hlc, schedule: Schedule::from_bytes(schedule)? })
        })
    }
}
