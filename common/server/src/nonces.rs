//! Was this request seen before? (spec 20 R4) A bounded memory of what still could be replayed.

use std::collections::{BTreeMap, HashSet};

use kith_common::{
    crypto,
    limits::REQUEST_AGE_MS_MAX,
    service::{NONCE_BYTES, Stamp},
    time::Timestamp,
};

use crate::limits::NONCES_MAX;

const MINUTE_MS: u64 = 60_000;

/// What was seen, by the minute in which it was signed.
#[derive(Debug, Default)]
pub struct Nonces {
    minutes: BTreeMap<u64, HashSet<u64>>,
    count: usize,
}

impl Nonces {
    /// Remembers a request whose time is right; false if it was seen before.
    pub fn first_time(&mut self, seen: u64, time: Timestamp, now: Timestamp) -> bool {
        let oldest = now.millis().saturating_sub(REQUEST_AGE_MS_MAX) / MINUTE_MS;
        while self.minutes.first_key_value().is_some_and(|(minute, _)| *minute < oldest) {
            self.forget_oldest();
        }
        let minute = self.minutes.entry(time.millis() / MINUTE_MS).or_default();
        if !minute.insert(seen) {
            return false;
        }
        self.count += 1;
        while self.count > NONCES_MAX {
            self.forget_oldest();
        }
        true
    }

    fn forget_oldest(&mut self) {
        if let Some((_, gone)) = self.minutes.pop_first() {
            self.count -= gone.len();
        }
    }
}

/// Names a request of a signer in 64 bits: among two million, one in nine trillion is refused
/// without reason.
pub fn name(signer: &[u8; 32], stamp: &Stamp) -> u64 {
    let mut both = [0; 32 + NONCE_BYTES];
    let (left, right) = both.split_at_mut(32);
    left.copy_from_slice(signer);
    right.copy_from_slice(&stamp.nonce);
    let mut first = [0; 8];
    first.copy_from_slice(crypto::hash(b"kith/request-seen/1", &both).split_at(8).0);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_once_and_is_forgotten_when_it_is_stale() {
        let mut nonces = Nonces::default();
        let at = |minutes: u64| Timestamp::from_millis(minutes * MINUTE_MS);
        assert!(nonces.first_time(1, at(100), at(100)));
        assert!(!nonces.first_time(1, at(100), at(105)));
        assert!(nonces.first_time(2, at(106), at(106)));
        assert_eq!(nonces.count, 1, "the first is stale now");
    }

    #[test]
    fn a_flood_takes_bounded_memory() {
        let mut nonces = Nonces::default();
        let (early, late) = (Timestamp::from_millis(0), Timestamp::from_millis(2 * MINUTE_MS));
        assert!(nonces.first_time(u64::MAX, early, late));
        for n in 0..NONCES_MAX as u64 {
            assert!(nonces.first_time(n, late, late));
        }
        assert_eq!(nonces.count, NONCES_MAX);
    }
}
