//! Which records do we keep for others?
//!
//! Whatever offers a record (a peer, our own program, libp2p on its own account), it goes through
//! one check, [`check_record`], which lets nothing pass but what spec 10 R1 accepts. What libp2p
//! says about a record beside its key and value is not looked at: a record says itself when it
//! ends, and nobody is its publisher.
//!
//! **Invariant:** what is here was checked; there are never more than the limits allow, in all and
//! of one source; no provider is here.

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map::Entry},
    time::{Duration, Instant},
};

use kith_common::{
    finding::{CheckedRecord, RecordRefusal, check_record},
    time::Timestamp,
};
use libp2p::{
    PeerId,
    kad::{
        KBucketDistance, KBucketKey, ProviderRecord, Record, RecordKey,
        store::{Error, RecordStore, Result as StoreResult},
    },
};
use thiserror::Error;

use crate::{
    admission::Source,
    limits::{HAND_ON_MS, HAND_ON_SPREAD_MS, NODE_RECORDS_MAX, NODE_RECORDS_PER_SOURCE_MAX},
};

/// Tells the time.
pub type Clock = Box<dyn Fn() -> Timestamp + Send>;

/// How many records there may be.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct RecordLimits {
    /// In all.
    pub records_max: usize,
    /// Of one source; this machine itself has no such bound.
    pub per_source_max: usize,
}

impl RecordLimits {
    /// What a node keeps.
    pub const NODE: Self =
        Self { records_max: NODE_RECORDS_MAX, per_source_max: NODE_RECORDS_PER_SOURCE_MAX };
}

/// What became of a record that was kept.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Kept {
    /// There was none under its key.
    New,
    /// It took the place of an older one.
    Newer,
    /// It was here already.
    Known,
}

macro_rules! refusals {
    ($($(#[$about:meta])* $variant:ident => $name:literal,)*) => {
        /// Why a record was not kept.
        #[derive(Copy, Clone, Debug, Eq, Error, PartialEq)]
        pub enum Refusal {
            $($(#[$about])* #[error($name)] $variant,)*
        }

        impl Refusal {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name, for counting.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        #[derive(Debug, Default)]
        struct Counters([u64; [$(Refusal::$variant,)*].len()]);
    };
}

refusals! {
    /// It is no record at all.
    Malformed => "malformed",
    /// It lies under a key that is not its signer's.
    Key => "wrong_key",
    /// Its signature does not hold.
    Signature => "signature",
    /// It has ended, or ends too late.
    Time => "time",
    /// Another one under its key is newer, or as new and was here first.
    Older => "older",
    /// Of its source there are as many as there may be.
    Source => "source_full",
    /// There is no room, and no other is farther from us.
    Far => "far",
    /// It says who has something, which nobody asks for here.
    Provider => "provider",
}

impl From<RecordRefusal> for Refusal {
    fn from(refusal: RecordRefusal) -> Self {
        match refusal {
            RecordRefusal::Key => Self::Key,
            RecordRefusal::Signature => Self::Signature,
            RecordRefusal::Time => Self::Time,
            _ => Self::Malformed,
        }
    }
}

/// Keeps records, those that lie nearest to our own id.
pub struct Records {
    own: KBucketKey<PeerId>,
    limits: RecordLimits,
    clock: Clock,
    /// By distance from us: the last is the first to go.
    kept: BTreeMap<KBucketDistance, Held>,
    sources: BTreeMap<Source, usize>,
    refused: Counters,
}

#[derive(Debug)]
struct Held {
    key: RecordKey,
    value: Box<[u8]>,
    checked: CheckedRecord,
    source: Option<Source>,
    hand_on_at: Timestamp,
    /// Somebody else has handed it on in our place.
    spared: bool,
}

impl Records {
    /// Keeps records for the peer with this id.
    pub fn new(own: PeerId, limits: RecordLimits, clock: Clock) -> Self {
        let (kept, sources) = (BTreeMap::new(), BTreeMap::new());
        Self { own: own.into(), limits, clock, kept, sources, refused: Counters::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How often each kind of refusal happened.
    pub fn refused(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL.iter().copied().zip(self.refused.0.iter().copied())
    }

    /// The record under a key, if it has not ended.
    pub fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.held(key, (self.clock)()).map(|held| &*held.value)
    }

    /// Keeps a record that a source offers; `None` is this machine itself.
    ///
    /// # Errors
    /// [`Refusal`]; it was counted.
    pub fn offer(
        &mut self,
        key: &[u8],
        value: &[u8],
        source: Option<Source>,
    ) -> Result<Kept, Refusal> {
        let kept = self.keep(key, value, source);
        kept.inspect_err(|refusal| self.count(*refusal))
    }

    /// Refuses a provider.
    pub fn refuse_provider(&mut self) -> Refusal {
        self.count(Refusal::Provider);
        Refusal::Provider
    }

    /// Forgets what has ended.
    pub fn sweep(&mut self) {
        let now = (self.clock)();
        let ended: Vec<_> = self.kept.iter().filter(|(_, held)| !held.lasts(now)).collect();
        let ended: Vec<_> = ended.into_iter().map(|(distance, _)| *distance).collect();
        for distance in ended {
            self.forget(distance);
        }
    }

    /// Records that it is time to hand on, at most this many; not again before an hour has gone by.
    pub fn take_due(&mut self, max: usize) -> Vec<Record> {
        let now = (self.clock)();
        let due = self.kept.iter_mut();
        let due = due.filter(|(_, held)| held.hand_on_at <= now && held.lasts(now)).take(max);
        due.map(|(distance, held)| {
            held.hand_on_at = next_turn(distance, now);
            held.spared = false;
            held.record(now)
        })
        .collect()
    }

    fn held(&self, key: &[u8], now: Timestamp) -> Option<&Held> {
        self.kept.get(&self.distance(key)).filter(|held| held.lasts(now))
    }

    fn distance(&self, key: &[u8]) -> KBucketDistance {
        self.own.distance(&KBucketKey::from(RecordKey::new(&key)))
    }

    fn keep(&mut self, key: &[u8], value: &[u8], source: Option<Source>) -> Result<Kept, Refusal> {
        let (now, distance) = ((self.clock)(), self.distance(key));
        if self.is_known(distance, value, now) {
            return Ok(Kept::Known);
        }
        let checked = check_record(key, value, now)?;
        let old = self.kept.get(&distance).filter(|held| held.lasts(now));
        if old.is_some_and(|old| old.checked.sequence >= checked.sequence) {
            return Err(Refusal::Older);
        }
        let kept = if old.is_some() { Kept::Newer } else { Kept::New };
        self.room(distance, source)?;
        self.forget(distance);
        if let Some(source) = source {
            *self.sources.entry(source).or_default() += 1;
        }
        let held = Held {
            key: RecordKey::new(&key),
            value: value.into(),
            checked,
            source,
            hand_on_at: next_turn(&distance, now),
            spared: false,
        };
        self.kept.insert(distance, held);
        Ok(kept)
    }

    /// Whether exactly this is here. Who sends it has sent it to others too, so that our own turn to
    /// hand it on can pass; but never twice, or somebody could keep us from it for ever.
    fn is_known(&mut self, distance: KBucketDistance, value: &[u8], now: Timestamp) -> bool {
        let Some(held) = self.kept.get_mut(&distance) else { return false };
        if *held.value != *value || !held.lasts(now) {
            return false;
        }
        if !held.spared {
            held.spared = true;
            held.hand_on_at = next_turn(&distance, now);
        }
        true
    }

    /// Makes room for a record at this distance.
    fn room(&mut self, distance: KBucketDistance, source: Option<Source>) -> Result<(), Refusal> {
        let old = self.kept.get(&distance);
        if let Some(source) = source
            && old.and_then(|old| old.source) != Some(source)
            && self.sources.get(&source).is_some_and(|count| *count >= self.limits.per_source_max)
        {
            return Err(Refusal::Source);
        }
        if old.is_some() || self.kept.len() < self.limits.records_max {
            return Ok(());
        }
        match self.kept.last_key_value().map(|(farthest, _)| *farthest) {
            Some(farthest) if farthest > distance => {
                self.forget(farthest);
                Ok(())
            }
            _ => Err(Refusal::Far),
        }
    }

    fn forget(&mut self, distance: KBucketDistance) {
        let Some(held) = self.kept.remove(&distance) else { return };
        let Some(source) = held.source else { return };
        if let Entry::Occupied(mut count) = self.sources.entry(source) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    fn count(&mut self, refusal: Refusal) {
        if let Some(count) = self.refused.0.get_mut(refusal as usize) {
            *count += 1;
        }
    }
}

impl Held {
    fn lasts(&self, now: Timestamp) -> bool {
        self.checked.not_after > now
    }

    /// As libp2p has it: it forgets the record too when its time has come.
    fn record(&self, now: Timestamp) -> Record {
        let left_ms = self.checked.not_after.millis().saturating_sub(now.millis());
        let expires = Instant::now().checked_add(Duration::from_millis(left_ms));
        Record { expires, ..Record::new(self.key.clone(), self.value.to_vec()) }
    }
}

/// In about an hour; those who keep the same record have different distances from it.
fn next_turn(distance: &KBucketDistance, now: Timestamp) -> Timestamp {
    let spread = distance.0.low_u64() % HAND_ON_SPREAD_MS;
    now.plus_millis(HAND_ON_MS - spread)
}

impl RecordStore for Records {
    type RecordsIter<'a> = Box<dyn Iterator<Item = Cow<'a, Record>> + 'a>;
    type ProvidedIter<'a> = std::iter::Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, key: &RecordKey) -> Option<Cow<'_, Record>> {
        let now = (self.clock)();
        self.held(key.as_ref(), now).map(|held| Cow::Owned(held.record(now)))
    }

    /// Keeps what our own program publishes. If others lie nearer, it goes out all the same.
    fn put(&mut self, record: Record) -> StoreResult<()> {
        // What we hand on is here: that is nobody else's doing.
        let held = self.held(record.key.as_ref(), (self.clock)());
        if held.is_some_and(|held| *held.value == *record.value) {
            return Ok(());
        }
        match self.offer(record.key.as_ref(), &record.value, None) {
            Ok(_) | Err(Refusal::Far) => Ok(()),
            Err(_) => Err(Error::ValueTooLarge),
        }
    }

    fn remove(&mut self, key: &RecordKey) {
        self.forget(self.distance(key.as_ref()));
    }

    fn records(&self) -> Self::RecordsIter<'_> {
        let now = (self.clock)();
        let held = self.kept.values().filter(move |held| held.lasts(now));
        Box::new(held.map(move |held| Cow::Owned(held.record(now))))
    }

    fn add_provider(&mut self, _: ProviderRecord) -> StoreResult<()> {
        self.refuse_provider();
        Err(Error::MaxProvidedKeys)
    }

    fn providers(&self, _: &RecordKey) -> Vec<ProviderRecord> {
        Vec::new()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        std::iter::empty()
    }

    fn remove_provider(&mut self, _: &RecordKey, _: &PeerId) {}
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Records({} of {})", self.len(), self.limits.records_max)
    }
}

#[cfg(test)]
mod tests;
