//! What came too early? Entries that wait for what they depend on, bounded for each author.

use std::collections::BTreeMap;

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

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.waiting.values().map(|waiting| waiting.entries.len()).sum()
    }

    pub(super) fn devices(&self) -> Vec<DeviceId> {
        self.waiting.keys().copied().collect()
    }

    /// Lets an entry wait.
    pub(super) fn add(&mut self, candidate: Candidate) -> Result<(), Refusal> {
        let waiting = self.waiting.entry(candidate.device).or_default();
        let key = (candidate.entry().seq, candidate.id);
        let bytes = waiting.bytes.saturating_add(candidate.bytes());
        if waiting.entries.contains_key(&key) {
            return Ok(());
        }
        if waiting.entries.len() >= PENDING_ENTRIES_MAX || bytes > PENDING_BYTES_MAX {
            return Err(Refusal::PendingFull);
        }
        waiting.bytes = bytes;
        waiting.entries.insert(key, candidate);
        Ok(())
    }

    /// Puts back what was just taken out, bounds unchanged.
    pub(super) fn put_back(&mut self, candidate: Candidate) {
        let waiting = self.waiting.entry(candidate.device).or_default();
        waiting.bytes = waiting.bytes.saturating_add(candidate.bytes());
        waiting.entries.insert((candidate.entry().seq, candidate.id), candidate);
    }

    /// Takes out an entry with this number, the authentic ones first.
    pub(super) fn remove(&mut self, device: DeviceId, seq: u64) -> Option<Candidate> {
        let waiting = self.waiting.get_mut(&device)?;
        let lowest = EntryId::from_bytes([0; 32]);
        let highest = EntryId::from_bytes([0xff; 32]);
        let key = waiting
            .entries
            .range((seq, lowest)..=(seq, highest))
            .min_by_key(|(_, candidate)| matches!(candidate.envelope, Envelope::Doubtful(_)))
            .map(|(key, _)| *key)?;
        let candidate = waiting.entries.remove(&key)?;
        waiting.bytes = waiting.bytes.saturating_sub(candidate.bytes());
        if waiting.entries.is_empty() {
            self.waiting.remove(&device);
        }
        Some(candidate)
    }

    /// Believes a doubtful entry if an authentic successor that waits behind it names it.
    pub(super) fn vouch_for(&self, mut candidate: Candidate) -> Candidate {
        let Envelope::Doubtful(signed) = candidate.envelope else { return candidate };
        let next = signed.claim().seq + 1;
        let from = (next, EntryId::from_bytes([0; 32]));
        let to = (next, EntryId::from_bytes([0xff; 32]));
        let successor = self
            .waiting
            .get(&candidate.device)
            .into_iter()
            .flat_map(|waiting| waiting.entries.range(from..=to))
            .find_map(|(_, candidate_behind)| match &candidate_behind.envelope {
                Envelope::Authentic(verified) if verified.value().prev == Some(candidate.id) => {
                    Some(verified)
                }
                _ => None,
            });
        candidate.envelope = match successor {
            None => Envelope::Doubtful(signed),
            Some(successor) => match entry::vouched(signed, candidate.id, successor) {
                Ok(verified) => Envelope::Authentic(verified),
                Err(signed) => Envelope::Doubtful(signed),
            },
        };
        candidate
    }

    /// Forgets what waits below a number: its place is taken.
    pub(super) fn forget_below(&mut self, device: DeviceId, seq: u64) {
        let Some(waiting) = self.waiting.get_mut(&device) else { return };
        waiting.entries = waiting.entries.split_off(&(seq, EntryId::from_bytes([0; 32])));
        waiting.bytes = waiting.entries.values().map(Candidate::bytes).sum();
        if waiting.entries.is_empty() {
            self.waiting.remove(&device);
        }
    }
}
