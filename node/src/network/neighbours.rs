//! Who is in the local network, and when do we try to reach them again?
//!
//! Everybody can announce anything there. So the list is bounded, every attempt doubles the wait
//! for the next one, and who fails again and again is forgotten until announced anew.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, PeerId};

use super::limits::{
    NEIGHBOUR_ATTEMPTS_MAX, NEIGHBOUR_WAIT_MAX, NEIGHBOUR_WAIT_MIN, NEIGHBOURS_MAX,
};

/// The announced addresses.
#[derive(Debug, Default)]
pub(super) struct Neighbours(BTreeMap<Multiaddr, Neighbour>);

#[derive(Debug)]
struct Neighbour {
    peer: PeerId,
    attempts: u32,
    /// `None` while it is being dialled or connected.
    next_at: Option<Instant>,
}

/// What an announcement meant.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Announced {
    New,
    Known,
    Full,
}

impl Neighbours {
    /// Takes an announcement; a new address is dialled when `due`.
    pub(super) fn announced(
        &mut self,
        peer: PeerId,
        address: &Multiaddr,
        due: Instant,
    ) -> Announced {
        let full = self.0.len() >= NEIGHBOURS_MAX;
        match self.0.get_mut(address) {
            Some(known) if known.peer == peer => Announced::Known,
            Some(known) => {
                *known = Neighbour { peer, attempts: 0, next_at: Some(due) };
                Announced::New
            }
            None if full => Announced::Full,
            None => {
                let neighbour = Neighbour { peer, attempts: 0, next_at: Some(due) };
                self.0.insert(address.clone(), neighbour);
                Announced::New
            }
        }
    }

    /// Forgets an address that is announced no more, unless another peer has it now.
    pub(super) fn expired(&mut self, peer: PeerId, address: &Multiaddr) {
        if self.0.get(address).is_some_and(|neighbour| neighbour.peer == peer) {
            self.0.remove(address);
        }
    }

    /// The next address that may be dialled now, and whose it is.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Multiaddr, PeerId)> {
        let is_due = |neighbour: &Neighbour| neighbour.next_at.is_some_and(|at| at <= now);
        let (address, neighbour) = self.0.iter_mut().find(|(_, neighbour)| is_due(neighbour))?;
        neighbour.next_at = None;
        Some((address.clone(), neighbour.peer))
    }

    /// When the next address is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().filter_map(|neighbour| neighbour.next_at).min()
    }

    /// A dial failed: try again later, or forget it.
    pub(super) fn failed(&mut self, address: &Multiaddr, now: Instant) {
        let Some(neighbour) = self.0.get_mut(address) else { return };
        if neighbour.wait(now) {
            self.0.remove(address);
        }
    }

    /// A link with a peer ended: reach the peer again, the sooner the longer the link lasted.
    pub(super) fn link_ended(&mut self, peer: PeerId, lasted: Duration, now: Instant) {
        self.0.retain(|_, neighbour| {
            if neighbour.peer != peer || neighbour.next_at.is_some() {
                return true;
            }
            if lasted >= NEIGHBOUR_WAIT_MAX {
                neighbour.attempts = 0;
            }
            !neighbour.wait(now)
        });
    }

    /// Forgets everybody.
    pub(super) fn reset(&mut self) {
        self.0.clear();
    }
}

impl Neighbour {
    /// Sets the next attempt; returns whether there were too many.
    fn wait(&mut self, now: Instant) -> bool {
        let wait = NEIGHBOUR_WAIT_MIN.saturating_mul(1 << self.attempts.min(16));
        self.attempts += 1;
        self.next_at = Some(now + wait.min(NEIGHBOUR_WAIT_MAX));
        self.attempts > NEIGHBOUR_ATTEMPTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: usize) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()
    }

    fn start() -> (Neighbours, Instant, PeerId) {
        (Neighbours::default(), Instant::now(), PeerId::random())
    }

    #[test]
    fn the_list_is_bounded() {
        let (mut neighbours, now, mallory) = start();
        for port in 0..NEIGHBOURS_MAX {
            assert_eq!(neighbours.announced(mallory, &address(port), now), Announced::New);
        }
        assert_eq!(neighbours.announced(mallory, &address(9999), now), Announced::Full);
        assert_eq!(neighbours.announced(mallory, &address(1), now), Announced::Known);
    }

    #[test]
    fn failing_ones_are_tried_ever_more_seldom_and_then_forgotten() {
        let (mut neighbours, mut now, bob) = start();
        neighbours.announced(bob, &address(1), now);
        let mut waits = Vec::new();
        while let Some((due, _)) = neighbours.take_due(now) {
            assert_eq!(neighbours.deadline(), None, "not while it is being dialled");
            neighbours.failed(&due, now);
            if let Some(next) = neighbours.deadline() {
                waits.push(next.duration_since(now).as_secs());
                now = next;
            }
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600]);
        assert_eq!(neighbours.announced(bob, &address(1), now), Announced::New);
    }

    #[test]
    fn a_neighbour_whose_link_ended_is_reached_again() {
        let (mut neighbours, now, bob) = start();
        neighbours.announced(bob, &address(1), now);
        neighbours.take_due(now).unwrap();
        neighbours.link_ended(PeerId::random(), NEIGHBOUR_WAIT_MAX, now);
        assert_eq!(neighbours.deadline(), None);
        neighbours.link_ended(bob, NEIGHBOUR_WAIT_MAX, now);
        assert_eq!(neighbours.deadline(), Some(now + NEIGHBOUR_WAIT_MIN));
    }

    #[test]
    fn an_address_goes_to_whoever_announces_it() {
        let (mut neighbours, now, bob) = start();
        let bob_again = PeerId::random();
        neighbours.announced(bob, &address(1), now);
        assert_eq!(neighbours.announced(bob_again, &address(1), now), Announced::New);
        neighbours.expired(bob, &address(1));
        assert_eq!(neighbours.take_due(now), Some((address(1), bob_again)));
        neighbours.expired(bob_again, &address(1));
        assert_eq!(neighbours.announced(bob, &address(1), now), Announced::New);
    }
}
