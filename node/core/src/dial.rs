//! When do we try to reach somebody? Soon at first, then ever more seldom, never all at once.

use kith_common::time::Uptime;
use rand_core::CryptoRng;

use crate::limits::{DIAL_MS_MAX, DIAL_MS_MIN};

/// Attempts to reach one contact.
#[derive(Debug)]
pub(crate) struct Dialer {
    next_at: Uptime,
    wait_ms: u64,
}

impl Dialer {
    pub(crate) const fn new(uptime: Uptime) -> Self {
        Self { next_at: uptime, wait_ms: DIAL_MS_MIN }
    }

    pub(crate) const fn deadline(&self) -> Uptime {
        self.next_at
    }

    /// Whether to try now; the next try is twice as far away, with up to a quarter of jitter.
    pub(crate) fn is_due(&mut self, uptime: Uptime, rng: &mut dyn CryptoRng) -> bool {
        if self.next_at > uptime {
            return false;
        }
        let jitter = u64::from(rng.next_u32()) % (self.wait_ms / 4).max(1);
        self.next_at = uptime.plus_millis(self.wait_ms + jitter);
        self.wait_ms = self.wait_ms.saturating_mul(2).min(DIAL_MS_MAX);
        true
    }
}
