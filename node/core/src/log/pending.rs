//! What came too early? Entries that wait for what they depend on, bounded for each author.

use std::{collections::BTreeMap, ops::Bound};

use kith_common::{
    entry,
    ids::{DeviceId, EntryId},
};

use super::{Candidate, Envelope};
use crate::{
    limits::{PENDING_BYTES_MAX, PENDING_ENTRIES_MAX},
    refusal::Refusal,
};

/// Entries in memory only: after a restart, whoever has them offers them again.
#[derive(Debug, Default)]
pub(super) struct Pending {
    waiting: BTreeMap<DeviceId, Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: BTreeMap<(u64, EntryId), Candidate>,
    bytes: usize,
}

impl Waiting {
    fn has_room(&self, bytes: usize) -> bool {
        self.entries.len() < PENDING_ENTRIES_MAX
            && self.bytes.saturating_add(bytes) <= PENDING_BYTES_MAX
    }

    /// Makes room for an authentic entry: a doubtful one may be anybody's.
    fn evict_doubtful(&mut self) -> bool {
        let doubtful = |candidate: &Candidate| matches!(candidate.envelope, Envelope::Doubtful(_));
        let last = self.entries.iter().rev().find(|(_, candidate)| doubtful(candidate));
        let Some(key) = last.map(|(key, _)| *key) else { return false };
        if let Some(gone) = self.entries.remove(&key) {
            self.bytes = self.bytes.saturating_sub(gone.bytes());
        }
        true
    }
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.waiting.values().map(|waiting| waiting.entries.len()).sum()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let entries = self.waiting.values().flat_map(|waiting| waiting.entries.values());
        entries.map(Candidate::bytes).sum()
    }

    #[cfg(test)]
    pub(super) fn authentic_count(&self) -> usize {
        let entries = self.waiting.values().flat_map(|waiting| waiting.entries.values());
        entries.filter(|entry| matches!(entry.envelope, Envelope::Authentic(_))).count()
    }

    pub(super) fn devices(&self) -> Vec<DeviceId> {
        self.waiting.keys().copied().collect()
    }

    /// Lets an entry wait. Returns whether it did not wait before.
    pub(super) fn add(&mut self, candidate: Candidate) -> Result<bool, Refusal> {
        let waiting = self.waiting.entry(candidate.device).or_default();
        let key = (candidate.entry().seq, candidate.id);
        if waiting.entries.contains_key(&key) {
            return Ok(false);
        }
        let authentic = matches!(candidate.envelope, Envelope::Authentic(_));
        while !waiting.has_room(candidate.bytes()) {
            if !authentic || !waiting.evict_doubtful() {
                return Err(Refusal::PendingFull);
            }
        }
        waiting.bytes = waiting.bytes.saturating_add(candidate.bytes());
        waiting.entries.insert(key, candidate);
        waiting.vouch(key);
        Ok(true)
    }

    /// Puts back what was just taken out, bounds unchanged.
    pub(super) fn put_back(&mut self, candidate: Candidate) {
        let waiting = self.waiting.entry(candidate.device).or_default();
        waiting.bytes = waiting.bytes.saturating_add(candidate.bytes());
        waiting.entries.insert((candidate.entry().seq, candidate.id), candidate);
    }

    /// The first entry of a device behind this one, by number.
    pub(super) fn next_after(
        &self,
        device: DeviceId,
        after: Option<(u64, EntryId)>,
    ) -> Option<(u64, EntryId)> {
        let entries = &self.waiting.get(&device)?.entries;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        entries.range((from, Bound::Unbounded)).next().map(|(key, _)| *key)
    }

    /// What an entry that waits says came before it.
    pub(super) fn prev_of(&self, device: DeviceId, key: (u64, EntryId)) -> Option<EntryId> {
        self.waiting.get(&device)?.entries.get(&key)?.entry().prev
    }

    /// Takes out one entry.
    pub(super) fn remove(&mut self, device: DeviceId, key: (u64, EntryId)) -> Option<Candidate> {
        let waiting = self.waiting.get_mut(&device)?;
        let candidate = waiting.entries.remove(&key)?;
        waiting.bytes = waiting.bytes.saturating_sub(candidate.bytes());
        if waiting.entries.is_empty() {
            self.waiting.remove(&device);
        }
        Some(candidate)
    }
}

impl Waiting {
    /// Carries belief backwards along `prev`, from the entry with this key or from one that waits
    /// behind it: the result is the same in whatever order they came (spec 03 R4).
    fn vouch(&mut self, key: (u64, EntryId)) {
        let (seq, id) = key;
        let all =
            (seq + 1, EntryId::from_bytes([0; 32]))..=(seq + 1, EntryId::from_bytes([0xff; 32]));
        let authentic =
            |candidate: &Candidate| matches!(candidate.envelope, Envelope::Authentic(_));
        let mut voucher = match self.entries.get(&key) {
            Some(candidate) if authentic(candidate) => Some(key),
            _ => self
                .entries
                .range(all)
                .find(|(_, behind)| authentic(behind) && behind.entry().prev == Some(id))
                .map(|(key, _)| *key),
        };
        while let Some(key) = voucher {
            voucher = self.vouch_one(key);
        }
    }

    /// Believes the entry that an authentic one names, if it waits and was doubtful.
    fn vouch_one(&mut self, voucher: (u64, EntryId)) -> Option<(u64, EntryId)> {
        let successor = self.entries.get(&voucher)?;
        let below = (voucher.0.checked_sub(1)?, successor.entry().prev?);
        let mut candidate = self.entries.remove(&below)?;
        let Some(Envelope::Authentic(successor)) = self.entries.get(&voucher).map(|c| &c.envelope)
        else {
            self.entries.insert(below, candidate);
            return None;
        };
        let (envelope, changed) = match candidate.envelope {
            Envelope::Authentic(verified) => (Envelope::Authentic(verified), false),
            Envelope::Doubtful(signed) => match entry::vouched(signed, below.1, successor) {
                Ok(verified) => (Envelope::Authentic(verified), true),
                Err(signed) => (Envelope::Doubtful(signed), false),
            },
        };
        candidate.envelope = envelope;
        self.entries.insert(below, candidate);
        changed.then_some(below)
    }
}
