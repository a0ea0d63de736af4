//! Through which bootstraps can others reach us?
//!
//! A node keeps a connection and a reserved place at a few of them, chosen by chance. One that fails
//! waits, ever longer, and another one takes its turn.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use kith_net::address;
use libp2p::{Multiaddr, PeerId, core::transport::ListenerId, multiaddr::Protocol};

use super::limits::{
    RELAY_ADDRESSES_MAX, RELAY_QUIC_HEAD_START, RELAY_WAIT_MAX, RELAY_WAIT_MIN,
    RELAYED_ADDRESSES_MAX, RELAYS_MAX,
};

/// The bootstraps of a node.
#[derive(Debug, Default)]
pub(super) struct Relays(BTreeMap<PeerId, Relay>);

#[derive(Debug)]
struct Relay {
    addresses: Vec<Multiaddr>,
    /// Decides whose turn it is.
    rank: u64,
    state: State,
    wait: Duration,
}

#[derive(Debug)]
enum State {
    /// Not before then.
    Waiting(Instant),
    /// By QUIC, and from then on by TCP too. How bootstraps see our QUIC port is how others may reach
    /// it straight.
    Dialling(Option<Instant>),
    /// Connected, and asked for a place.
    Asking(ListenerId),
    /// Others reach us by these addresses.
    Reserved(ListenerId, BTreeSet<Multiaddr>),
}

impl Relays {
    /// Takes over a new list; `rank` makes numbers by chance. Whoever stays keeps what it has.
    pub(super) fn choose(
        &mut self,
        bootstraps: &[(PeerId, Vec<Multiaddr>)],
        now: Instant,
        mut rank: impl FnMut() -> u64,
    ) -> Vec<PeerId> {
        let mut before = std::mem::take(&mut self.0);
        for (peer, addresses) in bootstraps {
            let mut relay = before.remove(peer).unwrap_or_else(|| Relay {
                addresses: Vec::new(),
                rank: rank(),
                state: State::Waiting(now),
                wait: RELAY_WAIT_MIN,
            });
            relay.addresses.clone_from(addresses);
            self.0.insert(*peer, relay);
        }
        before.into_keys().collect()
    }

    /// Whether the peer is a bootstrap of ours.
    pub(super) fn knows(&self, peer: PeerId) -> bool {
        self.0.contains_key(&peer)
    }

    /// Those with a place of ours.
    pub(super) fn reserved(&self) -> impl Iterator<Item = PeerId> {
        let reserved = self.0.iter().filter(|(_, it)| matches!(it.state, State::Reserved(..)));
        reserved.map(|(peer, _)| *peer)
    }

    /// The next one to dial now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(PeerId, Vec<Multiaddr>)> {
        if self.deadline()? > now {
            return None;
        }
        let is_late = |relay: &Relay| matches!(relay.state, State::Dialling(Some(at)) if at <= now);
        let is_due = |relay: &Relay| matches!(relay.state, State::Waiting(at) if at <= now);
        let late = self.0.iter_mut().find(|(_, relay)| is_late(relay)).map(|(peer, _)| *peer);
        let due = || {
            let due = self.0.iter().filter(|(_, relay)| is_due(relay));
            due.min_by_key(|(_, relay)| relay.rank).map(|(peer, _)| *peer)
        };
        let peer = late.or_else(due)?;
        let relay = self.0.get_mut(&peer)?;
        let (tcp, quic): (Vec<Multiaddr>, Vec<Multiaddr>) =
            relay.addresses.iter().cloned().partition(address::is_tcp);
        let by_tcp = quic.is_empty() || is_late(relay);
        let then = (!by_tcp && !tcp.is_empty()).then(|| now + RELAY_QUIC_HEAD_START);
        relay.state = State::Dialling(then);
        Some((peer, if by_tcp { tcp } else { quic }))
    }

    /// When the next one is due, unless there are enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = |relay: &Relay| match relay.state {
            State::Waiting(at) => Some(at),
            _ => None,
        };
        let late = self.0.values().filter_map(|relay| match relay.state {
            State::Dialling(then) => then,
            _ => None,
        });
        let busy = self.0.values().filter(|relay| waits(relay).is_none()).count();
        let due = self.0.values().filter_map(waits).min().filter(|_| busy < RELAYS_MAX);
        late.chain(due).min()
    }

    /// Whether a connection to this peer is what was wanted.
    pub(super) fn is_dialling(&self, peer: PeerId) -> bool {
        self.0.get(&peer).is_some_and(|relay| matches!(relay.state, State::Dialling(_)))
    }

    /// Where a bootstrap is reached by TCP.
    pub(super) fn tcp_addresses(&self, peer: PeerId) -> Vec<Multiaddr> {
        let relay = self.0.get(&peer).into_iter();
        relay.flat_map(|relay| &relay.addresses).filter(|at| address::is_tcp(at)).cloned().collect()
    }

    /// A place is being asked for.
    pub(super) fn asking(&mut self, peer: PeerId, listener: ListenerId) {
        if let Some(relay) = self.0.get_mut(&peer) {
            relay.state = State::Asking(listener);
        }
    }

    /// Others can reach us at this address. Returns the bootstrap if it is the first such address.
    pub(super) fn opened(&mut self, id: ListenerId, at: &Multiaddr) -> Option<PeerId> {
        let found = self.0.iter_mut().find(|(_, relay)| relay.state.listener() == Some(id));
        let (peer, relay) = found?;
        match &mut relay.state {
            State::Reserved(_, addresses) => {
                if addresses.len() < RELAY_ADDRESSES_MAX {
                    addresses.insert(at.clone());
                }
                None
            }
            _ => {
                relay.state = State::Reserved(id, BTreeSet::from([at.clone()]));
                relay.wait = RELAY_WAIT_MIN;
                Some(*peer)
            }
        }
    }

    /// A place is gone. Returns whether it was one of these.
    pub(super) fn closed(&mut self, id: ListenerId, now: Instant) -> bool {
        let peer = self.0.iter().find(|(_, relay)| relay.state.listener() == Some(id));
        let Some(peer) = peer.map(|(peer, _)| *peer) else { return false };
        self.failed(peer, now);
        true
    }

    /// A bootstrap was not reached, or is gone.
    pub(super) fn failed(&mut self, peer: PeerId, now: Instant) {
        if let Some(relay) = self.0.get_mut(&peer) {
            match &mut relay.state {
                State::Dialling(Some(then)) => {
                    *then = now;
                    return;
                }
                State::Waiting(_) => {}
                state => *state = State::Waiting(now + relay.wait),
            }
            relay.wait = relay.wait.saturating_mul(2).min(RELAY_WAIT_MAX);
        }
    }

    /// We are elsewhere: everything is tried at once.
    pub(super) fn hurry(&mut self, now: Instant) {
        for relay in self.0.values_mut() {
            relay.wait = RELAY_WAIT_MIN;
            if let State::Waiting(at) = &mut relay.state {
                *at = now;
            }
        }
    }

    /// All connections are gone.
    pub(super) fn reset(&mut self, now: Instant) {
        for relay in self.0.values_mut() {
            relay.state = State::Waiting(now);
            relay.wait = RELAY_WAIT_MIN;
        }
    }

    /// Where others reach us: of each relay one address for QUIC and one for TCP.
    pub(super) fn list(&self) -> Vec<Multiaddr> {
        let mut list = Vec::new();
        for relay in self.0.values() {
            let State::Reserved(_, addresses) = &relay.state else { continue };
            let tcp = |at: &&Multiaddr| address::is_tcp(at);
            list.extend(addresses.iter().find(|at| !tcp(at)).cloned());
            list.extend(addresses.iter().find(tcp).cloned());
        }
        list.truncate(RELAYED_ADDRESSES_MAX);
        list
    }
}

impl State {
    const fn listener(&self) -> Option<ListenerId> {
        match self {
            Self::Asking(id) | Self::Reserved(id, _) => Some(*id),
            Self::Waiting(_) | Self::Dialling(_) => None,
        }
    }
}

/// The address to listen at for connections through a relay.
pub(super) fn circuit(relay: PeerId, at: &Multiaddr) -> Multiaddr {
    let plain: Multiaddr = at.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect();
    plain.with(Protocol::P2p(relay)).with(Protocol::P2pCircuit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bootstraps(count: usize) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let at = |n: usize| format!("/ip4/192.0.2.{n}/tcp/1").parse().unwrap();
        (0..count).map(|n| (PeerId::random(), vec![at(n)])).collect()
    }

    fn chosen(count: usize, now: Instant) -> Relays {
        let (mut relays, mut rank) = (Relays::default(), 0);
        relays.choose(&bootstraps(count), now, || {
            rank += 1;
            rank
        });
        relays
    }

    fn all_due(relays: &mut Relays, now: Instant) -> Vec<PeerId> {
        std::iter::from_fn(|| relays.take_due(now)).map(|(peer, _)| peer).collect()
    }

    #[test]
    fn a_few_are_used_and_another_takes_the_turn_of_one_that_fails() {
        let now = Instant::now();
        let mut relays = chosen(RELAYS_MAX + 2, now);
        let first = all_due(&mut relays, now);
        assert_eq!(first.len(), RELAYS_MAX);
        assert_eq!(relays.deadline(), None, "there are enough");
        relays.failed(first[0], now);
        let next = all_due(&mut relays, now);
        assert_eq!(next.len(), 1);
        assert_ne!(next[0], first[0]);
    }

    #[test]
    fn one_that_fails_again_and_again_waits_ever_longer() {
        let mut now = Instant::now();
        let mut relays = chosen(1, now);
        let mut waits = Vec::new();
        for _ in 0..12 {
            let (peer, _) = relays.take_due(now).unwrap();
            relays.failed(peer, now);
            let at = relays.deadline().unwrap();
            waits.push(at.duration_since(now));
            now = at;
        }
        assert_eq!(waits[0], RELAY_WAIT_MIN);
        assert_eq!(waits[1], 2 * RELAY_WAIT_MIN);
        assert_eq!(*waits.last().unwrap(), RELAY_WAIT_MAX);
        relays.hurry(now);
        assert_eq!(relays.deadline(), Some(now));
    }

    #[test]
    fn quic_comes_first_and_tcp_soon_or_when_that_fails() {
        let now = Instant::now();
        let both = ["/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.1/udp/1/quic-v1"];
        let both: Vec<Multiaddr> = both.iter().map(|at| at.parse().unwrap()).collect();
        for fails in [false, true] {
            let (mut relays, peer) = (Relays::default(), PeerId::random());
            relays.choose(&[(peer, both.clone())], now, || 1);
            assert_eq!(relays.take_due(now), Some((peer, vec![both[1].clone()])));
            assert_eq!(relays.take_due(now), None);
            let then = if fails { now } else { now + RELAY_QUIC_HEAD_START };
            if fails {
                relays.failed(peer, now);
            }
            assert_eq!(relays.take_due(then), Some((peer, vec![both[0].clone()])));
            relays.failed(peer, then);
            assert_eq!(relays.deadline(), Some(then + RELAY_WAIT_MIN));
        }
    }

    #[test]
    fn a_place_gives_an_address_each_for_quic_and_tcp() {
        let now = Instant::now();
        let mut relays = chosen(1, now);
        let (peer, _) = relays.take_due(now).unwrap();
        let id = ListenerId::next();
        relays.asking(peer, id);
        let all = ["/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.1/udp/1/quic-v1", "/ip4/10.0.0.1/tcp/1"];
        let all = all.map(|at| circuit(peer, &at.parse().unwrap()));
        assert_eq!(relays.opened(id, &all[0]), Some(peer));
        assert_eq!(relays.opened(id, &all[1]), None);
        assert_eq!(relays.opened(id, &all[2]), None);
        assert_eq!(relays.list().len(), 2);
        assert_eq!(relays.reserved().collect::<Vec<_>>(), [peer]);
        assert!(relays.closed(id, now));
        assert!(relays.list().is_empty() && !relays.closed(id, now));
    }

    #[test]
    fn whoever_stays_in_the_list_keeps_its_place() {
        let now = Instant::now();
        let (mut relays, list) = (Relays::default(), bootstraps(2));
        relays.choose(&list, now, || 1);
        let (peer, _) = relays.take_due(now).unwrap();
        relays.asking(peer, ListenerId::next());
        let rest: Vec<_> = list.iter().filter(|(it, _)| *it == peer).cloned().collect();
        let gone = relays.choose(&rest, now, || 1);
        assert_eq!(gone.len(), 1);
        assert_eq!(relays.deadline(), None, "it is still asked");
    }
}
