//! What do we keep of one conversation? The log, who has received what, and what we owe.

use std::collections::{BTreeMap, BTreeSet};

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
    limits::{
        FRONTIER_MS_MIN, FRONTIERS_KEPT_MAX, READ_NOTE_MS_MIN, RELAY_MS_MIN, WANT_MS_MAX,
        WANT_MS_MIN,
    },
    log::Log,
    store::{LogNumber, RecordKind, Store, StoreError},
};

/// The direct log with one contact, or the self log, which is with ourselves.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) log: Log,
    pub(crate) with: AccountId,
    receipts: BTreeMap<DeviceId, Receipt>,
    frontier: Due,
    /// Whose frontiers have moved and are to be handed on.
    moved: BTreeSet<DeviceId>,
    relay: Due,
    /// Our other devices are to learn what was read here.
    read_note: Due,
    /// Others are to be asked for bodies.
    want: Due,
    want_pause_ms: u64,
}

/// Something that is to be done, but not too often.
#[derive(Debug, Default)]
struct Due {
    at: Option<Uptime>,
    last: Option<Uptime>,
}

impl Due {
    /// At once, unless it has just been done.
    fn owe(&mut self, uptime: Uptime, pause_ms: u64) {
        let soonest = self.last.map_or(uptime, |last| last.plus_millis(pause_ms));
        self.at.get_or_insert(soonest.max(uptime));
    }

    /// Whether it is to be done now.
    fn is_due(&mut self, uptime: Uptime) -> bool {
        let due = self.at.is_some_and(|at| at <= uptime);
        if due {
            self.at = None;
            self.last = Some(uptime);
        }
        due
    }
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
        Ok(Self {
            log,
            with,
            receipts,
            frontier: Due::default(),
            moved: BTreeSet::new(),
            relay: Due::default(),
            read_note: Due::default(),
            want: Due::default(),
            want_pause_ms: WANT_MS_MIN,
        })
    }

    /// Removes the log from the store, with all that is kept of it.
    pub(crate) fn discard(self, store: &mut dyn Store) -> Result<(), StoreError> {
        let id = self.log.id();
        for kind in [RecordKind::Frontier, RecordKind::Cut] {
            for (key, _) in store.records(kind)? {
                if key.starts_with(id.as_bytes()) {
                    store.remove_record(kind, &key)?;
                }
            }
        }
        store.remove_record(RecordKind::Log, id.as_bytes())?;
        self.log.discard(store)
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
        // What a chain that was cut since, or a person who shares no longer what was read, has
        // proven before: the frontiers that say so stay beside.
        let mut together = Receipt::default();
        together.advance(frontier);
        let mut kept = Vec::new();
        if let Some(bytes) = store.record(RecordKind::Frontier, &key)? {
            let older = read_frontiers(&bytes)?.into_iter().rev();
            kept.extend(older.filter(|older| together.advance(older.claim())));
        }
        kept.truncate(FRONTIERS_KEPT_MAX - 1);
        let mut writer = Writer::new();
        writer.array(kept.len() + 1);
        for older in kept.into_iter().rev() {
            writer.bytes(older.bytes());
        }
        writer.bytes(envelope);
        store.put_record(RecordKind::Frontier, &key, &writer.finish())?;
        Ok(true)
    }

    /// Devices that have said how far they are.
    pub(crate) fn receipt_devices(&self) -> impl Iterator<Item = DeviceId> {
        self.receipts.keys().copied()
    }

    /// The envelopes in which a device has said how far it is.
    pub(crate) fn stored_frontiers(
        &self,
        store: &dyn Store,
        device: DeviceId,
    ) -> Result<Vec<Box<[u8]>>, StoreError> {
        match store.record(RecordKind::Frontier, &receipt_key(self.log.id(), device))? {
            Some(bytes) => {
                Ok(read_frontiers(&bytes)?.iter().map(|signed| signed.bytes().into()).collect())
            }
            None => Ok(Vec::new()),
        }
    }

    /// We owe the others our frontier: at once, unless one has just gone out.
    pub(crate) fn owe_frontier(&mut self, uptime: Uptime) {
        self.frontier.owe(uptime, FRONTIER_MS_MIN);
    }

    /// Others are to learn how far a device is.
    pub(crate) fn owe_relay(&mut self, device: DeviceId, uptime: Uptime) {
        self.moved.insert(device);
        self.relay.owe(uptime, RELAY_MS_MIN);
    }

    /// Our other devices are to learn what was read.
    pub(crate) fn owe_read_note(&mut self, uptime: Uptime) {
        self.read_note.owe(uptime, READ_NOTE_MS_MIN);
    }

    /// Whether our other devices have not learned yet what was read; they are told now.
    pub(crate) fn take_read_note(&mut self) -> bool {
        self.read_note.at.take().is_some()
    }

    pub(crate) fn deadline(&self) -> Option<Uptime> {
        [self.frontier.at, self.relay.at, self.read_note.at, self.want.at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether the frontier is to go out now.
    pub(crate) fn frontier_is_due(&mut self, uptime: Uptime) -> bool {
        self.frontier.is_due(uptime)
    }

    /// Whose frontiers are to be handed on now.
    pub(crate) fn take_relay(&mut self, uptime: Uptime) -> BTreeSet<DeviceId> {
        if self.relay.is_due(uptime) { std::mem::take(&mut self.moved) } else { BTreeSet::new() }
    }

    /// Whether others are to be asked for bodies now.
    pub(crate) fn want_is_due(
        &mut self,
        uptime: Uptime,
        store: &dyn Store,
    ) -> Result<bool, StoreError> {
        if self.log.take_lacks_bodies() {
            self.want_pause_ms = WANT_MS_MIN;
            self.want.owe(uptime, WANT_MS_MIN);
        }
        let is_due = self.want.is_due(uptime);
        // Whoever lacks it too may have it later; at last nobody is left to ask.
        if is_due && self.want_pause_ms < WANT_MS_MAX && self.log.missing().next().is_some() {
            if self.want_pause_ms > WANT_MS_MIN {
                self.log.ask_for_others(store)?;
            }
            self.want_pause_ms = self.want_pause_ms.saturating_mul(2);
            self.want.owe(uptime, self.want_pause_ms);
        }
        Ok(is_due)
    }

    /// Whether our other devices are to learn now what was read.
    pub(crate) fn read_note_is_due(&mut self, uptime: Uptime) -> bool {
        self.read_note.is_due(uptime)
    }
}

/// Frontiers of one device, the older one first.
fn read_frontiers(bytes: &[u8]) -> Result<Vec<Signed<Frontier>>, StoreError> {
    let envelope = |reader: &mut Reader<'_>| {
        Signed::decode(reader.bytes("frontier", FRONTIER_ENVELOPE_BYTES_MAX)?)
    };
    Reader::all(bytes, |reader| reader.list("frontiers", FRONTIERS_KEPT_MAX, envelope))
        .map_err(|error| StoreError::new("Reading a stored frontier", error))
}

fn receipt_key(log: LogId, device: DeviceId) -> [u8; 64] {
    let mut key = [0; 64];
    let (left, right) = key.split_at_mut(32);
    left.copy_from_slice(log.as_bytes());
    right.copy_from_slice(device.as_bytes());
    key
}
