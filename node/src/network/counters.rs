//! What was refused or went wrong, and how often?

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use kith_net::admission::Refusal;
use libp2p::swarm::ConnectionDenied;

macro_rules! counters {
    ($($variant:ident => $name:literal,)*) => {
        /// One kind of refusal.
        #[derive(Copy, Clone, Debug, Eq, PartialEq)]
        pub(super) enum Counter { $($variant,)* }

        impl Counter {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        /// How often each kind of refusal happened since the start.
        #[derive(Debug, Default)]
        pub(super) struct Counters([AtomicU64; [$(Counter::$variant,)*].len()]);
    };
}

counters! {
    AddressRefused => "address_refused",
    DialDenied => "dial_denied",
    DialFailed => "dial_failed",
    DialQueueFull => "dial_queue_full",
    DiscoveryFlooded => "discovery_flooded",
    DuplicateLink => "duplicate_link",
    FrameEmpty => "frame_empty",
    FrameOversized => "frame_oversized",
    FrameStalled => "frame_stalled",
    FrameTruncated => "frame_truncated",
    HandshakeFailed => "handshake_failed",
    LimitReached => "limit_reached",
    ListenFailed => "listen_failed",
    MemoryLimitReached => "memory_limit_reached",
    NeighbourRefused => "neighbour_refused",
    OpeningTimedOut => "opening_timed_out",
    PingFailed => "ping_failed",
    ProtocolRefused => "protocol_refused",
    PunchFailed => "punch_failed",
    Punched => "punched",
    QueueFull => "queue_full",
    RenewalFailed => "renewal_failed",
    SecondStream => "second_stream",
    SelfDial => "self_dial",
    SlowPeer => "slow_peer",
}

impl Counters {
    pub(super) fn add(&self, counter: Counter) {
        if let Some(count) = self.0.get(counter as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        Counter::ALL.iter().map(|counter| counter.name()).zip(counts).collect()
    }
}

/// What a connection that was not admitted counts as.
pub(super) fn denied(cause: &ConnectionDenied, otherwise: Counter) -> Counter {
    match cause.downcast_ref::<Refusal>() {
        Some(Refusal::Limit) => Counter::LimitReached,
        Some(Refusal::Duplicate) => Counter::DuplicateLink,
        Some(Refusal::NotRelayed) => otherwise,
        None if is_memory(cause) => Counter::MemoryLimitReached,
        None => otherwise,
    }
}

fn is_memory(cause: &ConnectionDenied) -> bool {
    use libp2p::memory_connection_limits::MemoryUsageLimitExceeded;
    cause.downcast_ref::<MemoryUsageLimitExceeded>().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_own_place_and_name() {
        let counters = Counters::default();
        for counter in Counter::ALL {
            counters.add(*counter);
        }
        let snapshot = counters.snapshot();
        assert_eq!(snapshot.len(), Counter::ALL.len());
        assert!(snapshot.values().all(|count| *count == 1));
    }
}
