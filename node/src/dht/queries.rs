//! What is being asked for, and what is to be left again?

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

use kith_common::finding::RecordKey;
use libp2p::kad::QueryId;

use super::limits::{
    AGAIN, KEYS_WAITING_MAX, OWN_MAX, QUERIES_MAX, RETRY_MAX, RETRY_MIN, VALUES_MAX,
};

/// What the table is asked.
#[derive(Debug, Default)]
pub(super) struct Queries {
    waiting: VecDeque<RecordKey>,
    asked: HashMap<QueryId, Asked>,
    own: BTreeMap<RecordKey, Own>,
    /// Which of our records a query leaves.
    leaving: HashMap<QueryId, RecordKey>,
}

#[derive(Debug)]
struct Asked {
    key: RecordKey,
    since: Instant,
    /// Values that were told already.
    told: BTreeSet<Vec<u8>>,
}

#[derive(Debug)]
struct Own {
    value: Box<[u8]>,
    at: Instant,
    wait: Duration,
}

impl Queries {
    /// Takes keys to ask for; those that wait or are asked for already come once.
    pub(super) fn search(&mut self, keys: Vec<RecordKey>) {
        for key in keys {
            let known = self.waiting.contains(&key) || self.asked.values().any(|it| it.key == key);
            if !known && self.waiting.len() < KEYS_WAITING_MAX {
                self.waiting.push_back(key);
            }
        }
    }

    /// The next key to ask for, while not too many are.
    pub(super) fn next_key(&mut self) -> Option<RecordKey> {
        if self.asked.len() < QUERIES_MAX { self.waiting.pop_front() } else { None }
    }

    pub(super) fn asking(&mut self, query: QueryId, key: RecordKey, now: Instant) {
        self.asked.insert(query, Asked { key, since: now, told: BTreeSet::new() });
    }

    /// Something was found. Returns the key, and since when it was asked for if this is the first,
    /// if it is to be told: each value once, a few at most.
    pub(super) fn found(
        &mut self,
        query: QueryId,
        value: &[u8],
    ) -> Option<(RecordKey, Option<Instant>)> {
        let asked = self.asked.get_mut(&query)?;
        let since = asked.told.is_empty().then_some(asked.since);
        let is_news = asked.told.len() < VALUES_MAX && asked.told.insert(value.to_vec());
        is_news.then_some((asked.key, since))
    }

    /// These are our records now.
    pub(super) fn publish(&mut self, records: Vec<(RecordKey, Box<[u8]>)>, now: Instant) {
        self.own = records
            .into_iter()
            .take(OWN_MAX)
            .map(|(key, value)| (key, Own { value, at: now, wait: RETRY_MIN }))
            .collect();
    }

    /// The next record to leave now: first it is asked who is near its key.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<RecordKey> {
        let (key, own) = self.own.iter_mut().find(|(_, own)| own.at <= now)?;
        own.at = now + AGAIN;
        Some(*key)
    }

    /// This query asks who is near the key of a record of ours, or leaves it there.
    pub(super) fn leaving(&mut self, query: QueryId, key: RecordKey) {
        self.leaving.insert(query, key);
    }

    /// It has been answered who is near: the record to leave there.
    pub(super) fn near(&mut self, query: QueryId) -> Option<(RecordKey, Vec<u8>)> {
        let key = self.leaving.remove(&query)?;
        self.own.get(&key).map(|own| (key, own.value.to_vec()))
    }

    /// A query has ended; whether somebody took the record that it left.
    pub(super) fn ended(&mut self, query: QueryId, taken: bool, now: Instant) {
        self.asked.remove(&query);
        let Some(own) = self.leaving.remove(&query).and_then(|key| self.own.get_mut(&key)) else {
            return;
        };
        if taken {
            own.wait = RETRY_MIN;
        } else {
            own.at = now + own.wait;
            own.wait = own.wait.saturating_mul(2).min(RETRY_MAX);
        }
    }

    /// When the next record is to be left.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.own.values().map(|own| own.at).min()
    }

    /// There is another table, or another way into it: everything is left and asked for anew.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        let asked: Vec<RecordKey> = self.asked.drain().map(|(_, it)| it.key).collect();
        self.search(asked);
        self.leaving.clear();
        for own in self.own.values_mut() {
            (own.at, own.wait) = (now, RETRY_MIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> RecordKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        RecordKey::from_bytes(bytes)
    }

    #[test]
    fn keys_wait_once_each_and_not_too_many() {
        let mut queries = Queries::default();
        queries.search(vec![key(1), key(1), key(2)]);
        queries.search((0..2 * KEYS_WAITING_MAX).map(key).collect());
        assert_eq!(queries.waiting.len(), KEYS_WAITING_MAX);
        assert_eq!(queries.next_key(), Some(key(1)));
        assert_eq!(queries.next_key(), Some(key(2)));
    }

    #[test]
    fn records_are_left_again_and_sooner_if_nobody_took_them() {
        let (mut queries, now) = (Queries::default(), Instant::now());
        let records = (0..2 * OWN_MAX).map(|n| (key(n), Box::from([1_u8]))).collect();
        queries.publish(records, now);
        let mut taken = 0;
        while queries.take_due(now).is_some() {
            taken += 1;
        }
        assert_eq!(taken, OWN_MAX);
        assert_eq!(queries.deadline(), Some(now + AGAIN));
        queries.begin_anew(now);
        assert_eq!(queries.deadline(), Some(now));
        queries.publish(Vec::new(), now);
        assert_eq!(queries.deadline(), None);
    }
}
