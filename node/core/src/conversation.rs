//! What do we keep of one conversation? The log, who has received what, and what we owe.

use std::collections::BTreeMap;

use kith_common::{
    codec::{Reader, Writer},
    envelope::Signed,
    frontier::Frontier,
    ids::{AccountId, DeviceId, LogId},
    limits::FRONTIER_ENVELOPE_BYTES_MAX,
    time::Uptime,
};

use crate::{
    delivery::Receipt,
    limits::FRONTIER_MS_MIN,
    log::Log,
    store::{LogNumber, RecordKind, Store, StoreError},
};

/// The direct log with one contact.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) log: Log,
    pub(crate) with: AccountId,
    receipts: BTreeMap<DeviceId, Receipt>,
    frontier_due: Option<Uptime>,
    frontier_last: Option<Uptime>,
}

impl Conversation {
    pub(crate) fn load(
        store: &dyn Store,
        id: LogId,
        number: LogNumber,
        with: AccountId,
        devices: impl Iterator<Item = DeviceId>,
    ) -> Result<Self, StoreError> {
        let log = Log::load(store, id, number)?;
        let mut receipts = BTreeMap::new();
        for device in devices {
            if let Some(bytes) = store.record(RecordKind::Frontier, &receipt_key(id, device))? {
                let mut receipt = Receipt::default();
                for frontier in read_frontiers(&bytes)? {
                    receipt.advance(frontier.claim());
                }
                receipts.insert(device, receipt);
            }
        }
        Ok(Self { log, with, receipts, frontier_due: None, frontier_last: None })
    }

    pub(crate) fn receipt(&self, device: DeviceId) -> Option<&Receipt> {
        self.receipts.get(&device)
    }

    /// Takes a verified frontier of a device in. Returns whether it proves anything new.
    pub(crate) fn advance(
        &mut self,
        store: &mut dyn Store,
        device: DeviceId,
        frontier: &Frontier,
        envelope: &[u8],
    ) -> Result<bool, StoreError> {
        let receipt = self.receipts.entry(device).or_default();
        if !receipt.advance(frontier) {
            return Ok(false);
        }
        let key = receipt_key(frontier.log, device);
        let mut kept = Vec::new();
        // Its person shares no longer what was read: the frontier that proved it stays beside.
        if !receipt.has_read(frontier)
            && let Some(bytes) = store.record(RecordKind::Frontier, &key)?
        {
            kept = read_frontiers(&bytes)?;
            kept.retain(|older| receipt.has_read(older.claim()));
            kept.truncate(1);
        }
        let mut writer = Writer::new();
        writer.array(kept.len() + 1);
        for older in kept {
            writer.bytes(older.bytes());
        }
        writer.bytes(envelope);
        store.put_record(RecordKind::Frontier, &key, &writer.finish())?;
        Ok(true)
    }

    /// We owe the others our frontier: at once, unless one has just gone out.
    pub(crate) fn owe_frontier(&mut self, uptime: Uptime) {
        let soonest = self.frontier_last.map_or(uptime, |last| last.plus_millis(FRONTIER_MS_MIN));
        self.frontier_due.get_or_insert(soonest.max(uptime));
    }

    pub(crate) const fn deadline(&self) -> Option<Uptime> {
        self.frontier_due
    }

    /// Whether the frontier is to go out now.
    pub(crate) fn frontier_is_due(&mut self, uptime: Uptime) -> bool {
        let due = self.frontier_due.is_some_and(|due| due <= uptime);
        if due {
            self.frontier_due = None;
            self.frontier_last = Some(uptime);
        }
        due
    }
}

/// Frontiers of one device, the older one first.
fn read_frontiers(bytes: &[u8]) -> Result<Vec<Signed<Frontier>>, StoreError> {
    let envelope = |reader: &mut Reader<'_>| {
        Signed::decode(reader.bytes("frontier", FRONTIER_ENVELOPE_BYTES_MAX)?)
    };
    Reader::all(bytes, |reader| reader.list("frontiers", 2, envelope))
        .map_err(|error| StoreError::new("Reading a stored frontier", error))
}

fn receipt_key(log: LogId, device: DeviceId) -> [u8; 64] {
    let mut key = [0; 64];
    let (left, right) = key.split_at_mut(32);
    left.copy_from_slice(log.as_bytes());
    right.copy_from_slice(device.as_bytes());
    key
}
