//! What does the node know about itself? Its name and settings.

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    limits::NAME_BYTES_MAX,
};

use crate::store::{LogNumber, RecordKind, Store, StoreError};

/// The person's own name and settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What the person calls themselves.
    pub name: String,
    /// Whether others learn what was read.
    pub read_receipts: bool,
    next_log: u32,
}

impl Profile {
    pub(crate) fn new(name: String) -> Self {
        Self { name, read_receipts: false, next_log: 1 }
    }

    /// A number that no log has yet.
    pub(crate) fn take_log_number(&mut self) -> LogNumber {
        let number = self.next_log;
        self.next_log = self.next_log.saturating_add(1);
        LogNumber(number)
    }

    pub(crate) fn load(store: &dyn Store) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = store.record(RecordKind::Profile, b"")? else { return Ok(None) };
        Self::decode(&bytes)
            .map(Some)
            .map_err(|error| StoreError::new("Reading the profile", error))
    }

    pub(crate) fn save(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let mut writer = Writer::new();
        writer.map(4).uint(0).uint(1);
        writer.uint(1).text(&self.name);
        writer.uint(2).bool(self.read_receipts);
        writer.uint(3).uint(u64::from(self.next_log));
        store.put_record(RecordKind::Profile, b"", &writer.finish())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.map(|m| {
                if m.required(0)?.uint()? != 1 {
                    return Err(DecodeError::Value("version"));
                }
                let name = m.required(1)?.text("name", NAME_BYTES_MAX)?.to_owned();
                let read_receipts = m.required(2)?.bool()?;
                let next = m.required(3)?.uint_max("log number", u64::from(u32::MAX))?;
                let next_log = u32::try_from(next).map_err(|_| DecodeError::Value("log number"))?;
                Ok(Self { name, read_receipts, next_log })
            })
        })
    }
}
