//! What has ever been committed, and where? The slow, obvious account that every node is held to.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    entry::{Entry, EntryKind, Text},
    envelope::Signed,
    ids::{DeviceId, EntryId, LogId},
};
use kith_core::{
    delivery::DeliveryState,
    store::{EntryRow, Position},
};

/// An entry as it says itself, and where it must stand.
#[derive(Debug, Clone)]
pub struct Known {
    /// The log.
    pub log: LogId,
    /// Who wrote it.
    pub device: DeviceId,
    /// The signed header.
    pub entry: Entry,
    /// Everything it depends on.
    pub below: Vec<EntryId>,
    /// Where it must stand.
    pub position: Position,
    /// What it says.
    pub text: Option<String>,
    /// What it answers.
    pub reply_to: Option<EntryId>,
    /// Whether its writer is honest.
    pub honest: bool,
}

/// What one node has committed.
#[derive(Debug, Default)]
pub struct View {
    /// Entries of each log, in the order that the node shows.
    pub logs: BTreeMap<LogId, BTreeMap<Position, EntryId>>,
    /// Entries that were in the store when somebody read everything.
    pub read: BTreeSet<EntryId>,
    /// How far its own messages had got when it was last looked at, and for how many devices.
    pub(crate) ticks: BTreeMap<EntryId, (usize, DeliveryState)>,
}

impl View {
    /// Whether the node has committed an entry.
    pub fn has(&self, known: &Known) -> bool {
        self.logs.get(&known.log).is_some_and(|log| log.contains_key(&known.position))
    }
}

/// Every committed entry of the world.
#[derive(Debug, Default)]
pub struct Book {
    /// The entries.
    pub entries: BTreeMap<EntryId, Known>,
    /// By node.
    pub views: Vec<View>,
    /// Devices that anybody may lie for.
    pub(crate) liars: BTreeSet<DeviceId>,
    chains: BTreeMap<(LogId, DeviceId, u64), EntryId>,
    texts: BTreeMap<String, EntryId>,
    /// How often each device was told to write something that it has not yet written.
    told: BTreeMap<(DeviceId, LogId, String), u64>,
    /// Entries of each log by honest devices.
    counts: BTreeMap<LogId, usize>,
}

impl Book {
    /// A device is told to write something.
    pub(crate) fn tell(&mut self, device: DeviceId, log: LogId, text: &str) {
        *self.told.entry((device, log, text.to_owned())).or_default() += 1;
    }

    /// Takes down what a node has committed, and checks that it stands where it must.
    pub(crate) fn commit(&mut self, node: usize, honest: bool, row: &EntryRow) {
        let id = row.position.id;
        assert_eq!(id, EntryId::of(&row.envelope), "an entry is named by its bytes");
        if !self.entries.contains_key(&id) {
            self.discover(row);
        }
        let known = &self.entries[&id];
        if honest {
            assert_eq!(row.position, known.position, "the order differs between devices");
            for below in known.below.iter().chain(&known.reply_to) {
                let Some(below) = self.entries.get(below) else {
                    assert!(!known.honest, "a reply to something that never was");
                    continue;
                };
                assert!(
                    !known.honest || below.position < known.position,
                    "an entry stands above what it depends on or answers"
                );
            }
            if known.honest {
                assert_eq!(text_of(&known.entry, row).0, known.text, "the text has changed");
            }
        }
        let log = self.views[node].logs.entry(known.log).or_default();
        assert!(log.insert(row.position, id).is_none(), "an entry is there twice");
    }

    fn discover(&mut self, row: &EntryRow) {
        let signed = Signed::<Entry>::decode(&row.envelope).expect("stored envelopes are whole");
        let device = DeviceId::from_bytes(*signed.signer());
        let honest = !self.liars.contains(&device);
        assert!(!honest || signed.signature_holds(), "a forged entry was stored");
        let entry = signed.claim();
        let id = row.position.id;
        let below: Vec<EntryId> =
            entry.prev.into_iter().chain(entry.parents.iter().map(|mark| mark.id)).collect();
        let eff = below.iter().fold(entry.hlc.bits(), |eff, below| {
            let below = self.entries.get(below).expect("what an entry depends on comes first");
            eff.max(below.position.eff + 1)
        });
        let (text, reply_to) = text_of(entry, row);
        if honest {
            let rival = self.chains.insert((entry.log, device, entry.seq), id);
            assert_eq!(rival, None, "an honest device wrote two entries with one number");
            assert!(row.body.bytes().is_some(), "an honest device's entries have their bodies");
        }
        if let Some(text) = text.clone().filter(|_| honest) {
            self.texts.insert(text.clone(), id);
            let told = self.told.get_mut(&(device, entry.log, text)).filter(|times| **times > 0);
            *told.expect("one command made two messages") -= 1;
        }
        *self.counts.entry(entry.log).or_default() += usize::from(honest);
        let known = Known {
            log: entry.log,
            device,
            entry: entry.clone(),
            below,
            position: Position { eff, id },
            text,
            reply_to,
            honest,
        };
        self.entries.insert(id, known);
    }

    /// Everything that a node has in a log was read there.
    pub(crate) fn read(&mut self, node: usize, log: LogId) {
        let view = &mut self.views[node];
        let ids: Vec<EntryId> =
            view.logs.get(&log).into_iter().flat_map(|log| log.values().copied()).collect();
        view.read.extend(ids);
    }

    /// Entries of a log by honest devices.
    pub fn honest_in(&self, log: LogId) -> impl Iterator<Item = (&EntryId, &Known)> {
        self.entries.iter().filter(move |(_, known)| known.log == log && known.honest)
    }

    /// How many entries of a log honest devices have written.
    pub fn count(&self, log: LogId) -> usize {
        self.counts.get(&log).copied().unwrap_or(0)
    }

    /// The newest entry with a text.
    pub fn find(&self, text: &str) -> Option<EntryId> {
        self.texts.get(text).copied()
    }
}

/// What an entry says to people, and what it answers.
fn text_of(entry: &Entry, row: &EntryRow) -> (Option<String>, Option<EntryId>) {
    let body = row.body.bytes().filter(|_| entry.kind == EntryKind::TEXT);
    let body = body.and_then(|body| Text::decode(body).ok());
    body.map_or((None, None), |body| (Some(body.text), body.reply_to))
}
