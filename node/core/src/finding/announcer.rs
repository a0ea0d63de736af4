//! From what are the keys of our own records made, and who was told them? (spec 10 R5, R6)

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    finding::{AddressKey, AnnounceSecret, Day, RecordKey, Schedule},
    ids::{DeviceId, LogId},
    limits::ACCOUNT_PROOF_ENVELOPES_MAX,
    time::Timestamp,
};
use rand_core::CryptoRng;

use crate::{
    limits::{ANNOUNCED_DAYS_MIN, CONTACTS_MAX},
    store::{RecordKind, Store, StoreError},
};

/// Records of a device that can lie somewhere: of three days, for contacts and for strangers, and two
/// after keys were made anew.
const SEQUENCES_MAX: usize = 8;
/// Seconds after which a record has ended.
const SEQUENCE_SECONDS: u64 = 26 * 3600;
/// Logs in which a schedule can have been told: those with contacts, twice as many for pairs of
/// accounts that were merged, and the self log.
const TOLD_MAX: usize = 2 * CONTACTS_MAX + 16;
/// Devices of others in one log that are remembered: those that proofs of two accounts can name.
const READERS_MAX: usize = 2 * ACCOUNT_PROOF_ENVELOPES_MAX;

/// What a device makes its records with.
#[derive(Debug)]
pub(crate) struct Announcer {
    pub(crate) secret: AnnounceSecret,
    pub(crate) schedule: Schedule,
    /// In which logs it was told, and which devices of others have stood there since.
    pub(crate) told: BTreeMap<LogId, BTreeSet<DeviceId>>,
    /// The last sequence that a record had, by the key that it lay under.
    sequences: BTreeMap<RecordKey, u64>,
}

impl Announcer {
    /// A new one, which nobody knows.
    pub(crate) fn new(today: Day, rng: &mut dyn CryptoRng) -> Self {
        let secret = AnnounceSecret::random(rng);
        let schedule = Schedule::of(&secret, AddressKey::random(rng), today);
        Self { secret, schedule, told: BTreeMap::new(), sequences: BTreeMap::new() }
    }

    /// The sequence of the last record under a key.
    pub(crate) fn last(&self, key: RecordKey) -> u64 {
        self.sequences.get(&key).copied().unwrap_or_default()
    }

    /// Records were made under these keys. Others that may still lie somewhere stay remembered, for
    /// the next under such a key has to be higher.
    pub(crate) fn made(&mut self, made: impl Iterator<Item = (RecordKey, u64)>, now: Timestamp) {
        let now_s = now.millis() / 1000;
        self.sequences.retain(|_, sequence| sequence.abs_diff(now_s) < SEQUENCE_SECONDS);
        self.sequences.extend(made);
        while self.sequences.len() > SEQUENCES_MAX {
            let oldest = self.sequences.iter().min_by_key(|(_, sequence)| **sequence);
            let Some(key) = oldest.map(|(key, _)| *key) else { break };
            self.sequences.remove(&key);
        }
    }

    /// Begins the schedule anew when few days are left. Returns whether it has changed.
    pub(crate) fn refresh(&mut self, today: Day) -> bool {
        let is_early = today < self.schedule.first;
        if !is_early && self.schedule.days_left(today) >= ANNOUNCED_DAYS_MIN {
            return false;
        }
        self.schedule = Schedule::of(&self.secret, self.schedule.addresses.clone(), today);
        true
    }

    pub(crate) fn load(store: &dyn Store) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = store.record(RecordKind::Announcer, b"")? else { return Ok(None) };
        let announcer = Self::decode(&bytes)
            .map_err(|error| StoreError::new("Reading the keys of our records", error))?;
        Ok(Some(announcer))
    }

    pub(crate) fn save(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let mut writer = Writer::new();
        writer.array(6).uint(1);
        self.secret.expose(|secret| {
            writer.bytes(secret);
        });
        self.schedule.addresses.expose(|key| {
            writer.bytes(key);
        });
        writer.uint(u64::from(self.schedule.first.0)).array(self.sequences.len());
        for (key, sequence) in &self.sequences {
            writer.array(2).bytes(key.as_bytes()).uint(*sequence);
        }
        writer.array(self.told.len());
        for (log, readers) in &self.told {
            writer.array(2).bytes(log.as_bytes()).array(readers.len().min(READERS_MAX));
            for device in readers.iter().take(READERS_MAX) {
                writer.bytes(device.as_bytes());
            }
        }
        store.put_record(RecordKind::Announcer, b"", &writer.finish())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.tuple("announcer", 6)?;
            reader.uint_max("version", 1)?;
            let secret = AnnounceSecret::from_bytes(&reader.fixed("secret")?);
            let addresses = AddressKey::from_bytes(reader.fixed("key of addresses")?);
            let first = reader.uint_max("first day", u64::from(u32::MAX))?;
            let first = Day(u32::try_from(first).map_err(|_| DecodeError::Value("first day"))?);
            let sequences = reader.list("sequences", SEQUENCES_MAX, |r| {
                r.tuple("sequence", 2)?;
                Ok((RecordKey::from_bytes(r.fixed("key")?), r.uint()?))
            })?;
            let told = reader.list("told", TOLD_MAX, |r| {
                r.tuple("told", 2)?;
                let log = LogId::from_bytes(r.fixed("log")?);
                let readers = r.list("readers", READERS_MAX, |r| {
                    r.fixed("device").map(DeviceId::from_bytes)
                })?;
                Ok((log, readers.into_iter().collect()))
            })?;
            let schedule = Schedule::of(&secret, addresses, first);
            let (told, sequences) = (told.into_iter().collect(), sequences.into_iter().collect());
            Ok(Self { secret, schedule, told, sequences })
        })
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn what_may_still_lie_somewhere_stays_remembered() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let now = Timestamp::from_millis(1_767_225_600_000);
        let now_s = now.millis() / 1000;
        let key = |number: u8| RecordKey::from_bytes([number; 32]);
        let mut announcer = Announcer::new(Day::of(now), &mut rng);
        announcer.made([(key(1), now_s)].into_iter(), now);
        announcer.made([(key(2), now_s + 1)].into_iter(), now);
        assert_eq!((announcer.last(key(1)), announcer.last(key(2))), (now_s, now_s + 1));
        for number in 3..20 {
            announcer.made([(key(number), now_s + u64::from(number))].into_iter(), now);
        }
        assert_eq!(announcer.sequences.len(), SEQUENCES_MAX);
        assert_eq!(announcer.last(key(19)), now_s + 19);
        let later = now.plus_millis(27 * 60 * 60 * 1000);
        announcer.made(std::iter::empty(), later);
        assert_eq!(announcer.last(key(19)), 0, "it has ended");
    }
}
