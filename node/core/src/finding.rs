//! How are devices found that may be anywhere? What the node keeps for that (spec 10).
//!
//! ```text
//!   announcer  from what the keys of our own records are made
//!   schedules  under which keys others leave theirs, by their own word
//!   searches   for whom records are asked for, and when again
//!   sought     people of whom nothing is known but an id
//!   records    what was found lately, for our other devices and contacts
//! ```

mod announcer;
mod records;
mod schedules;
mod search;

use std::collections::BTreeMap;

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    finding::{AddressKey, FindKey, RecordKey},
    ids::DeviceId,
    limits::{GREETING_BYTES_MAX, NAME_BYTES_MAX},
    share::SharedId,
    time::Uptime,
};

pub(crate) use self::{
    announcer::Announcer, records::Records, schedules::Schedules, search::Search,
};
use crate::{
    limits::DIALLED_RECORDS_MAX,
    store::{RecordKind, Store, StoreError},
};

/// Whether an address leads through a relay.
pub(crate) fn is_relayed(address: &str) -> bool {
    address.contains("/p2p-circuit")
}

/// Whom a search is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A device of a contact or of our own.
    Device(DeviceId),
    /// Somebody of whom nothing is known but an id.
    Person(SharedId),
}

/// Somebody who is looked for by an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// What to call them, if not what they call themselves.
    pub name: Option<String>,
    /// What to say with the request.
    pub greeting: String,
}

/// A key that was asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// For whom.
    pub(crate) target: Target,
    /// What opens records there.
    pub(crate) addresses: AddressKey,
    /// Sequences of the records that were dialled since it was asked for last.
    pub(crate) dialled: Vec<u64>,
}

impl Asked {
    /// Whether a record with this sequence is to be dialled.
    pub(crate) fn is_new(&mut self, sequence: u64) -> bool {
        let is_new = self.dialled.len() < DIALLED_RECORDS_MAX && !self.dialled.contains(&sequence);
        if is_new {
            self.dialled.push(sequence);
        }
        is_new
    }
}

/// Everything the node keeps for finding others.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    /// Whether there is anywhere to look: without bootstraps nothing is said or asked.
    pub(crate) is_on: bool,
    pub(crate) announcer: Option<Announcer>,
    pub(crate) schedules: Schedules,
    pub(crate) searches: BTreeMap<Target, Search>,
    pub(crate) sought: BTreeMap<SharedId, Sought>,
    pub(crate) records: Records,
    /// Our own records, as they were published last.
    pub(crate) own: Vec<Box<[u8]>>,
    /// What is asked for, for whom, and what opens it.
    pub(crate) asked: BTreeMap<RecordKey, Asked>,
    /// When our own records are made anew.
    pub(crate) publish_at: Option<Uptime>,
    /// When keys were made anew because of what others did, and when they may be again.
    pub(crate) rekeyed_at: Option<Uptime>,
    pub(crate) rekey_at: Option<Uptime>,
    /// Whom we know has changed.
    pub(crate) rearrange: bool,
    /// Who is to be reached has changed.
    pub(crate) is_stale: bool,
    /// The settings that the surroundings have been told.
    pub(crate) told: Option<(Vec<String>, bool)>,
    /// Whether strangers could find us when that was looked at last.
    pub(crate) was_findable: bool,
    /// The time of day at which this node started, by the clock as it stood when we published last.
    pub(crate) clock_of_records: Option<u64>,
    /// When to look at the clock again.
    pub(crate) look_at_clock: Option<Uptime>,
}

impl Finding {
    pub(crate) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut sought = BTreeMap::new();
        for (key, value) in store.records(RecordKind::Sought)? {
            let Ok(id) = <[u8; 48]>::try_from(key.as_slice()) else { continue };
            let wanted = Sought::decode(&value)
                .map_err(|error| StoreError::new("Reading who is looked for", error))?;
            sought.insert(SharedId::from_bytes(&id), wanted);
        }
        Ok(Self {
            announcer: Announcer::load(store)?,
            schedules: Schedules::load(store)?,
            sought,
            rearrange: true,
            is_stale: true,
            ..Self::default()
        })
    }

    /// When something is to be done, and what.
    pub(crate) fn deadline(&self) -> Option<(Uptime, &'static str)> {
        if !self.is_on {
            return None;
        }
        let searches = self.searches.values().map(|it| (it.deadline(), "somebody to look for"));
        let publish = self.publish_at.map(|at| (at, "our records to publish"));
        let rekey = self.rekey_at.map(|at| (at, "our keys to make anew"));
        let clock = self.look_at_clock.map(|at| (at, "whether the clock was set"));
        searches.chain(publish).chain(rekey).chain(clock).min()
    }

    /// The key of somebody who is sought, if they have one today.
    pub(crate) fn find_keys(&self) -> impl Iterator<Item = (SharedId, FindKey)> {
        self.sought.keys().map(|id| (*id, FindKey::of(id)))
    }
}

impl Sought {
    pub(crate) fn save(&self, id: &SharedId, store: &mut dyn Store) -> Result<(), StoreError> {
        let mut writer = Writer::new();
        writer.array(3).uint(1).text(self.name.as_deref().unwrap_or_default());
        writer.text(&self.greeting);
        store.put_record(RecordKind::Sought, &id.to_bytes(), &writer.finish())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.tuple("sought", 3)?;
            reader.uint_max("version", 1)?;
            let name = reader.text("name", NAME_BYTES_MAX)?;
            let name = (!name.is_empty()).then(|| name.to_owned());
            let greeting = reader.text("greeting", GREETING_BYTES_MAX)?.to_owned();
            Ok(Self { name, greeting })
        })
    }
}
