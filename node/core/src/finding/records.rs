//! Which records were found lately? They are handed to others who know their keys (spec 10 R13).

use std::collections::BTreeMap;

use kith_common::{
    finding::{AddressKey, RecordKey},
    time::Timestamp,
};

use crate::limits::RECORDS_KEPT_MAX;

#[derive(Debug)]
struct Kept {
    addresses: AddressKey,
    sequence: u64,
    not_after: Timestamp,
    value: Box<[u8]>,
}

/// Records of others that we could open, the newest under each key.
#[derive(Debug, Default)]
pub(crate) struct Records(BTreeMap<RecordKey, Kept>);

impl Records {
    /// Keeps a record, unless a newer one is there or there is no room.
    pub(crate) fn keep(
        &mut self,
        (key, addresses): (RecordKey, &AddressKey),
        (sequence, not_after): (u64, Timestamp),
        value: &[u8],
        now: Timestamp,
    ) {
        if self.0.get(&key).is_some_and(|kept| kept.sequence >= sequence) {
            return;
        }
        if self.0.len() >= RECORDS_KEPT_MAX && !self.0.contains_key(&key) {
            self.0.retain(|_, kept| kept.not_after > now);
            if self.0.len() >= RECORDS_KEPT_MAX {
                return;
            }
        }
        let addresses = addresses.clone();
        self.0.insert(key, Kept { addresses, sequence, not_after, value: value.into() });
    }

    /// The records that are asked for, while they are worth something, by tokens from one transport
    /// id to another.
    pub(crate) fn sought(
        &self,
        tokens: &[[u8; 32]],
        (asker, answerer): (&[u8], &[u8]),
        now: Timestamp,
    ) -> impl Iterator<Item = &[u8]> {
        let current = self.0.iter().filter(move |(_, kept)| kept.not_after > now);
        let sought = current.filter(move |(key, kept)| {
            tokens.contains(&kept.addresses.seek_token(**key, asker, answerer))
        });
        sought.map(|(_, kept)| &*kept.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_counts_and_there_is_an_end() {
        let (mut records, now) = (Records::default(), Timestamp::from_millis(1000));
        let key = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            RecordKey::from_bytes(bytes)
        };
        let later = now.plus_millis(1000);
        let addresses = AddressKey::from_bytes([1; 32]);
        let token = |asker: &[u8]| addresses.seek_token(key(0), asker, b"me");
        let found = |records: &Records, token, now| {
            records.sought(&[token], (b"you", b"me"), now).map(Vec::from).next()
        };
        records.keep((key(0), &addresses), (5, later), b"new", now);
        records.keep((key(0), &addresses), (4, later), b"old", now);
        assert_eq!(found(&records, token(b"you"), now), Some(b"new".to_vec()));
        assert_eq!(found(&records, token(b"you"), later), None);
        assert_eq!(found(&records, token(b"another"), now), None, "of another link");
        let guess = AddressKey::from_bytes([2; 32]).seek_token(key(0), b"you", b"me");
        assert_eq!(found(&records, guess, now), None, "of somebody who saw the record alone");
        for n in 1..2 * RECORDS_KEPT_MAX {
            records.keep((key(n), &addresses), (1, later), b"", now);
        }
        assert_eq!(records.0.len(), RECORDS_KEPT_MAX);
        let much_later = later.plus_millis(1);
        records.keep((key(9_999_999), &addresses), (1, much_later.plus_millis(1)), b"", much_later);
        assert_eq!(records.0.len(), 1, "what has ended makes room");
    }
}
