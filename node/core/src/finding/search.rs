//! When is somebody looked for again? Soon at first, then ever more seldom (spec 10 R12, R13).

use kith_common::time::Uptime;
use rand_core::CryptoRng;

use crate::limits::{SEARCH_MS_MAX, SEARCH_MS_MIN, SEEK_MS, SEEK_WAIT_MS};

/// A search that goes on until somebody is reached.
#[derive(Debug)]
pub(crate) struct Search {
    next_at: Uptime,
    wait_ms: u64,
    seek_at: Uptime,
}

impl Search {
    pub(crate) const fn new(uptime: Uptime) -> Self {
        Self { next_at: uptime, wait_ms: SEARCH_MS_MIN, seek_at: uptime.plus_millis(SEEK_WAIT_MS) }
    }

    pub(crate) fn deadline(&self) -> Uptime {
        self.next_at.min(self.seek_at)
    }

    /// Whether records are to be asked for now; the next time is twice as far away.
    pub(crate) fn is_due(&mut self, uptime: Uptime, rng: &mut dyn CryptoRng) -> bool {
        if self.next_at > uptime {
            return false;
        }
        let jitter = u64::from(rng.next_u32()) % (self.wait_ms / 4).max(1);
        self.next_at = uptime.plus_millis(self.wait_ms + jitter);
        self.wait_ms = self.wait_ms.saturating_mul(2).min(SEARCH_MS_MAX);
        true
    }

    /// Whether those with whom there is a session are to be asked now.
    pub(crate) fn seeks(&mut self, uptime: Uptime) -> bool {
        if self.seek_at > uptime {
            return false;
        }
        self.seek_at = uptime.plus_millis(SEEK_MS);
        true
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn the_waits_double_up_to_their_end() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut search = Search::new(Uptime::from_millis(0));
        let mut now = Uptime::from_millis(0);
        let mut waits = Vec::new();
        for _ in 0..12 {
            assert!(search.is_due(now, &mut rng));
            assert!(!search.is_due(now, &mut rng));
            waits.push(search.next_at.millis() - now.millis());
            now = search.next_at;
        }
        for (wait, least) in waits.iter().zip([1_000, 2_000, 4_000, 8_000, 16_000]) {
            assert!((least..least * 5 / 4).contains(wait), "{waits:?}");
        }
        assert!(waits[11] >= SEARCH_MS_MAX && waits[11] <= SEARCH_MS_MAX * 5 / 4);
    }

    #[test]
    fn others_are_asked_only_after_a_while() {
        let mut search = Search::new(Uptime::from_millis(0));
        assert!(!search.seeks(Uptime::from_millis(SEEK_WAIT_MS - 1)));
        assert!(search.seeks(Uptime::from_millis(SEEK_WAIT_MS)));
        assert!(!search.seeks(Uptime::from_millis(SEEK_WAIT_MS + 1)));
    }
}
