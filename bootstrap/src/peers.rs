//! Which other bootstraps are dialled, and when?

use std::{collections::BTreeMap, time::Instant};

use libp2p::{Multiaddr, PeerId};

use crate::limits::{PEER_WAIT_MAX, PEER_WAIT_MIN};

/// The bootstraps that the operator has named.
#[derive(Debug)]
pub(crate) struct Peers {
    own: PeerId,
    others: BTreeMap<PeerId, Other>,
}

#[derive(Debug)]
struct Other {
    addresses: Vec<Multiaddr>,
    attempts: u32,
    /// `None` while it is being dialled.
    next_at: Option<Instant>,
    was_tried: bool,
}

impl Peers {
    /// None yet.
    pub(crate) fn new(own: PeerId) -> Self {
        Self { own, others: BTreeMap::new() }
    }

    /// Takes what is now known of them; those that are not named any more are forgotten. If there
    /// are none at all, name servers were not reached.
    pub(crate) fn learned(&mut self, found: Vec<(PeerId, Vec<Multiaddr>)>, now: Instant) {
        if found.is_empty() {
            return;
        }
        let mut old = std::mem::take(&mut self.others);
        for (peer, addresses) in found.into_iter().filter(|(peer, _)| *peer != self.own) {
            let new = || Other {
                addresses: Vec::new(),
                attempts: 0,
                next_at: Some(now),
                was_tried: false,
            };
            let mut other = old.remove(&peer).unwrap_or_else(new);
            other.addresses = addresses;
            self.others.insert(peer, other);
        }
    }

    /// Whether the operator has named it.
    pub(crate) fn contains(&self, peer: PeerId) -> bool {
        self.others.contains_key(&peer)
    }

    /// Whether every one of them was dialled at least once.
    pub(crate) fn are_tried(&self) -> bool {
        self.others.values().all(|other| other.was_tried)
    }

    /// The next one that is to be dialled now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(PeerId, Vec<Multiaddr>)> {
        let is_due = |other: &Other| other.next_at.is_some_and(|at| at <= now);
        let (peer, other) = self.others.iter_mut().find(|(_, other)| is_due(other))?;
        other.next_at = None;
        Some((*peer, other.addresses.clone()))
    }

    /// It is connected; whether it still is will be seen later.
    pub(crate) fn connected(&mut self, peer: PeerId, now: Instant) {
        let Some(other) = self.others.get_mut(&peer) else { return };
        other.attempts = 0;
        other.was_tried = true;
        other.next_at = Some(now + PEER_WAIT_MAX);
    }

    /// It was not there.
    pub(crate) fn failed(&mut self, peer: PeerId, now: Instant) {
        let Some(other) = self.others.get_mut(&peer) else { return };
        let wait = PEER_WAIT_MIN.saturating_mul(1 << other.attempts.min(16));
        other.attempts += 1;
        other.was_tried = true;
        other.next_at = Some(now + wait.min(PEER_WAIT_MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_that_is_away_is_dialled_ever_more_seldom() {
        let (bob, mut now) = (PeerId::random(), Instant::now());
        let mut peers = Peers::new(PeerId::random());
        peers.learned(vec![(bob, vec![])], now);
        assert!(!peers.are_tried() && peers.contains(bob));
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert_eq!(peers.take_due(now), Some((bob, vec![])));
            assert_eq!(peers.take_due(now + PEER_WAIT_MAX), None, "not while it is being dialled");
            peers.failed(bob, now);
            assert!(peers.are_tried());
            let mut wait = Duration::ZERO;
            while peers.others[&bob].next_at.unwrap() > now + wait {
                wait += Duration::from_secs(1);
            }
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        peers.connected(bob, now);
        assert_eq!(peers.take_due(now + PEER_WAIT_MIN), None);
        assert!(peers.take_due(now + PEER_WAIT_MAX).is_some());
        peers.failed(bob, now);
        assert!(peers.take_due(now + PEER_WAIT_MIN).is_some(), "begins anew");
    }

    #[test]
    fn who_is_not_named_any_more_is_forgotten_and_we_are_nobody_else() {
        let (own, bob, carol) = (PeerId::random(), PeerId::random(), PeerId::random());
        let mut peers = Peers::new(own);
        let now = Instant::now();
        assert!(peers.are_tried(), "nobody is");
        peers.learned(vec![(own, vec![]), (bob, vec![])], now);
        peers.take_due(now);
        peers.connected(bob, now);
        peers.learned(vec![(bob, vec![]), (carol, vec![])], now);
        assert_eq!(peers.take_due(now), Some((carol, vec![])));
        peers.learned(vec![(carol, vec![])], now);
        assert!(!peers.contains(bob) && !peers.contains(own));
    }
}
