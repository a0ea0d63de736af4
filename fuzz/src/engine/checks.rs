//! What must hold after whatever happened?

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    entry::{self, Entry},
    envelope::Signed,
    finding::check_record,
    frame::Frame,
    ids::{DeviceId, EntryId, LogId},
    limits::{
        ADDRESSES_MAX, BODY_BYTES_MAX, BOOTSTRAPS_MAX, ENTRY_ENVELOPE_BYTES_MAX, FETCH_WAIT_MS_MAX,
        FRAME_BYTES_MAX, FRAME_ENTRIES_MAX, FRONTIER_ENVELOPE_BYTES_MAX, HELLO_TAGS_MAX,
        PUT_BODY_BYTES_MAX, REQUEST_ENVELOPE_BYTES_MAX,
    },
};
use kith_core::{
    delivery::DeliveryState,
    engine::{Event, Output},
    limits::{
        PENDING_ENTRIES_MAX, REQUESTS_PER_LINK_MAX, SYNC_FRAME_BYTES, SYNC_PROBE_BYTES,
        SYNC_WINDOW_BYTES,
    },
    store::{AuthorNumber, EntryRow, LogNumber, Store, memory::MemoryStore},
};

use super::{
    forge::{account_of, person},
    setting::Node,
};
use crate::cast::CAST;

/// Devices of the cast that Alice's logs may hear from.
const DEVICES_MAX: usize = 8;
/// Logs that one run may begin, with room.
const LOGS: u32 = 8;
/// Frontiers in one frame, each of which may be answered.
const ANSWERS_MAX: usize = 4;
/// Bytes that one input may make the engine send on one link.
const LINK_BYTES_MAX: usize = SYNC_WINDOW_BYTES
    + SYNC_PROBE_BYTES
    + 2 * (SYNC_FRAME_BYTES + ENTRY_ENVELOPE_BYTES_MAX + BODY_BYTES_MAX)
    + HELLO_TAGS_MAX * 16
    + ANSWERS_MAX * FRONTIER_ENVELOPE_BYTES_MAX
    + (1 + REQUESTS_PER_LINK_MAX) * REQUEST_ENVELOPE_BYTES_MAX;
/// What one input may make known beside entries.
const EVENTS_MAX: usize = FRAME_ENTRIES_MAX + 64;

/// What the engine wants done is well-formed and bounded.
pub(super) fn outputs(node: &Node, out: &[Output], links: usize) {
    let (mut bytes_sent, mut entries) = (0, 0);
    for output in out {
        match output {
            Output::Send { bytes, .. } => {
                bytes_sent += bytes.len();
                assert!(bytes.len() <= FRAME_BYTES_MAX);
                let frame = Frame::decode(bytes).expect("what we send is well-formed");
                assert_eq!(frame.expect("of our version").encode(), *bytes);
            }
            Output::Dial { addresses } => {
                assert!(!addresses.is_empty() && addresses.len() <= ADDRESSES_MAX);
            }
            Output::Event(Event::Entry { with, place }) => {
                entries += 1;
                node.engine.message(&node.store, *with, *place).expect("the store can be read");
            }
            Output::Event(Event::Delivery { log, author, seqs, .. }) => {
                let states = node.engine.states(&node.store, (*log, *author), *seqs, 100);
                assert!(states.expect("the store can be read").len() <= 100);
            }
            Output::Errand(errand) => {
                assert!(
                    errand.body.len() <= PUT_BODY_BYTES_MAX && errand.wait_ms <= FETCH_WAIT_MS_MAX
                );
            }
            Output::Reach { bootstraps, .. } => assert!(bootstraps.len() <= BOOTSTRAPS_MAX),
            Output::Publish { records, .. } => {
                for (key, record) in records {
                    let checked = check_record(key.as_bytes(), record, node.now);
                    checked.expect("what we leave is kept");
                }
            }
            Output::Trust { addresses, .. } => assert!(addresses.len() <= ADDRESSES_MAX),
            Output::Event(_)
            | Output::Close { .. }
            | Output::Answered { .. }
            | Output::Search { .. } => {}
        }
    }
    assert!(bytes_sent <= (links + 1) * LINK_BYTES_MAX, "{bytes_sent} bytes on {links} links");
    assert!(entries <= FRAME_ENTRIES_MAX + DEVICES_MAX * PENDING_ENTRIES_MAX);
    assert!(out.len() <= entries + EVENTS_MAX + 32 * (links + 1), "{} outputs", out.len());
}

/// What the engine holds in memory is bounded, and what it shows is in order.
pub(super) fn state(node: &Node) {
    assert!(node.engine.pending_count() <= DEVICES_MAX * PENDING_ENTRIES_MAX);
    for number in 0..4 {
        let positions = node.engine.positions(&node.store, person(number).id());
        let positions = positions.expect("the store can be read");
        assert!(positions.is_sorted_by(|a, b| a < b), "positions ascend");
    }
}

/// History can be read in small pages and in one large one, and says the same.
pub(super) fn history(node: &Node) {
    for contact in node.engine.contacts() {
        let read = |before, limit| {
            let read = node.engine.history(&node.store, contact.account, before, limit);
            read.expect("the store can be read")
        };
        let whole = read(None, usize::MAX).expect("a contact has a conversation");
        assert!(contact.unread <= node.store.entry_count() as u64);
        let mut paged = Vec::new();
        while paged.len() < whole.len() {
            let before = paged.last().map(|message: &kith_core::view::MessageView| message.id);
            let page = read(before, 7).expect("the message is there");
            assert!(!page.is_empty() && page.len() <= 7);
            paged.extend(page.into_iter().rev());
        }
        paged.truncate(whole.len());
        paged.reverse();
        assert_eq!(paged, whole);
        assert!(read(Some(EntryId::from_bytes([1; 32])), 1).is_err());
    }
}

/// How far Alice's messages have got, by contact and by entry.
pub(super) type States = BTreeMap<EntryId, (usize, DeliveryState)>;

/// No frontier takes back what another proved (spec 04 R6), unless there are more devices now.
pub(super) fn delivery(node: &Node, states: &mut States) {
    for contact in node.engine.contacts() {
        let devices = contact.devices.len();
        let history = node.engine.history(&node.store, contact.account, None, usize::MAX);
        for message in history.expect("the store can be read").expect("there is a conversation") {
            let Some(state) = message.state else { continue };
            let before = states.insert(message.id, (devices, state));
            if let Some((of, before)) = before.filter(|(of, _)| *of == devices) {
                assert!(before <= state, "{before:?} with {of} devices became {state:?}");
            }
        }
    }
}

/// Every stored entry may stand where it stands (spec 03).
pub(super) fn logs(store: &MemoryStore, authentic: &BTreeSet<EntryId>) {
    for number in 0..LOGS {
        log(&rows(store, LogNumber(number)), authentic);
    }
}

/// The entries of a log in the order shown.
pub(super) fn rows(store: &MemoryStore, number: LogNumber) -> Vec<EntryRow> {
    let mut rows = store.newest(number, None, usize::MAX).expect("the store can be read");
    rows.reverse();
    rows
}

/// The entries of the log of this name in the order shown; none if there is no such log.
pub(crate) fn rows_of(store: &MemoryStore, log: LogId) -> Vec<EntryRow> {
    let of_log = |row: &EntryRow| {
        Signed::<Entry>::decode(&row.envelope).is_ok_and(|signed| signed.claim().log == log)
    };
    let mut logs = (0..LOGS).map(|number| rows(store, LogNumber(number)));
    logs.find(|rows| rows.first().is_some_and(of_log)).unwrap_or_default()
}

/// What the slow reading knows of an entry above.
struct Above {
    device: DeviceId,
    seq: u64,
    eff: u64,
}

/// Reads the entries in the order shown; each finds above itself whatever it names.
fn log(rows: &[EntryRow], authentic: &BTreeSet<EntryId>) {
    let mut above: BTreeMap<EntryId, Above> = BTreeMap::new();
    let mut chains: BTreeMap<AuthorNumber, (DeviceId, EntryId)> = BTreeMap::new();
    for row in rows {
        let signed = Signed::<Entry>::decode(&row.envelope).expect("what is stored is well-formed");
        let (entry, device) = (signed.claim(), DeviceId::from_bytes(*signed.signer()));
        assert_eq!(signed.id(), row.position.id);
        assert_eq!(account_of(device), Some(entry.account), "the writer may write");
        if let Some(body) = row.body.bytes() {
            assert_eq!(entry::check_body(entry, body), Ok(()));
        }
        assert!(authentic.contains(&signed.id()), "the writer is certain");
        if let Some((writer, before)) = chains.insert(row.place.author, (device, signed.id())) {
            assert_eq!(writer, device, "a chain has one writer");
            assert_eq!(entry.prev, Some(before), "the chain has no gap");
        } else if let Some(prev) = entry.prev {
            let branch = above.get(&prev).expect("a fork branches off what is stored");
            assert_eq!(branch.device, device);
        }
        let mut named: Vec<&Above> = Vec::new();
        for parent in &entry.parents {
            let found = above.get(&parent.id).expect("parents stand above");
            assert_eq!((found.device, found.seq), (parent.device, parent.seq));
            assert_ne!(parent.device, device);
            named.push(found);
        }
        let prev = entry.prev.map(|prev| above.get(&prev).expect("the previous one stands above"));
        let seq = prev.map_or(0, |prev| prev.seq) + 1;
        assert_eq!((entry.seq, row.place.seq), (seq, seq));
        named.extend(prev);
        assert_eq!(row.depth, entry.depth);
        let eff = named.iter().map(|above| above.eff + 1).fold(entry.hlc.bits(), u64::max);
        assert_eq!(row.position.eff, eff);
        above.insert(signed.id(), Above { device, seq, eff });
    }
    let mut of_device: BTreeMap<DeviceId, usize> = BTreeMap::new();
    for (device, _) in chains.values() {
        *of_device.entry(*device).or_default() += 1;
    }
    assert!(of_device.values().all(|chains| *chains <= kith_common::limits::HISTORIES_MAX));
}

/// A node that starts again knows what it knew.
pub(super) fn same(before: &Node, after: &Node) {
    let shown = |node: &Node| {
        let mut contacts = node.engine.contacts();
        // Who is there, and whose clock is far off, is seen anew.
        for contact in &mut contacts {
            (contact.online, contact.warning) = (false, None);
            contact.links.clear();
        }
        contacts
    };
    assert_eq!(shown(before), shown(after));
    let (profile, again) = (before.engine.profile(), after.engine.profile());
    assert_eq!((&profile.name, profile.read_receipts), (&again.name, again.read_receipts));
    for number in 0..4 {
        let account = person(number).id();
        let read = |node: &Node| {
            let history = node.engine.history(&node.store, account, None, usize::MAX);
            history.expect("the store can be read")
        };
        assert_eq!(read(before), read(after));
    }
    assert_eq!(after.engine.pending_count(), 0);
    assert_eq!(after.engine.identity().account.id(), CAST.alice.id());
}
