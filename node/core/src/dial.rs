//! When do we try to reach somebody? Soon at first, then ever more seldom, never all at once.

use kith_common::time::Uptime;
use rand_core::CryptoRng;

use crate::limits::{DIAL_MS_MAX, DIAL_MS_MIN};

/// Attempts to reach one contact.
#[derive(Debug)]
pub(crate) struct Dialer {
    next_at: Uptime,
    wait_ms: u64,
    /// Whether somebody is to be reached.
    is_wanted: bool,
}

impl Dialer {
    pub(crate) const fn new(uptime: Uptime) -> Self {
        Self { next_at: uptime, wait_ms: DIAL_MS_MIN, is_wanted: true }
    }

    pub(crate) fn deadline(&self) -> Option<Uptime> {
        self.is_wanted.then_some(self.next_at)
    }

    /// Whether somebody is to be reached.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// All are reached; who leaves soon is waited for as if they had not been.
    pub(crate) const fn rest(&mut self) {
        self.is_wanted = false;
    }

    pub(crate) const fn go_on(&mut self) {
        self.is_wanted = true;
    }

    /// Whether to try now; the next try is twice as far away, with up to a quarter of jitter.
    pub(crate) fn is_due(&mut self, uptime: Uptime, rng: &mut dyn CryptoRng) -> bool {
        if self.next_at > uptime || !self.is_wanted {
            return false;
        }
        let jitter = u64::from(rng.next_u32()) % (self.wait_ms / 4).max(1);
        self.next_at = uptime.plus_millis(self.wait_ms + jitter);
        self.wait_ms = self.wait_ms.saturating_mul(2).min(DIAL_MS_MAX);
        true
    }
}
