//! With whom do we try to make a straight connection? DCUtR, with devices we have authenticated.
//!
//! libp2p's DCUtR tells whoever is at the other end of a relayed connection how we are seen, at
//! once. Strangers reach us through relays exactly because they are not to learn that. So it takes
//! part only in connections that begin after the engine has said who is there.

use std::{
    collections::{BTreeMap, HashSet},
    task::{Context, Poll},
    time::Instant,
};

use either::Either;
use kith_net::address;
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    dcutr,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate,
        THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
    },
};

use super::limits::{PUNCH_TIMEOUT, PUNCH_WAITS, PUNCHES_MAX};

/// DCUtR for those who are trusted.
pub(super) struct Gate {
    inner: dcutr::Behaviour,
    trusted: HashSet<PeerId>,
}

impl Gate {
    pub(super) fn new(own: PeerId) -> Self {
        Self { inner: dcutr::Behaviour::new(own), trusted: HashSet::new() }
    }

    /// From now on a straight connection to this peer may be tried.
    pub(super) fn trust(&mut self, peer: PeerId) {
        self.trusted.insert(peer);
    }

    /// There is no link to this peer any more.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.trusted.remove(&peer);
    }

    /// A bootstrap has said how we are seen.
    pub(super) fn seen_as(&mut self, address: &Multiaddr) {
        let candidate = NewExternalAddrCandidate { addr: address };
        self.inner.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
    }

    fn admits(&self, peer: PeerId, address: &Multiaddr) -> bool {
        !address::is_relayed(address) || self.trusted.contains(&peer)
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = <dcutr::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = dcutr::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.admits(peer, local) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.admits(peer, address) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.inner.on_connection_handler_event(peer, connection, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}

/// When straight connections are tried.
#[derive(Debug, Default)]
pub(super) struct Punches(BTreeMap<PeerId, Punch>);

#[derive(Debug)]
struct Punch {
    /// The relayed address by which we have reached the peer.
    address: Multiaddr,
    attempts: usize,
    /// When it is tried, or has been tried long enough.
    at: Instant,
    is_tried: bool,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Due {
    /// Dial this relayed address once more.
    Try(Multiaddr),
    /// The other end has not answered: what was dialled for it can go.
    GiveUp,
}

impl Punches {
    /// A peer that we reached through a relay is trusted now.
    pub(super) fn begin(&mut self, peer: PeerId, address: Multiaddr, now: Instant) {
        if self.0.len() < PUNCHES_MAX {
            let at = now + PUNCH_WAITS.first().copied().unwrap_or_default();
            self.0.entry(peer).or_insert(Punch { address, attempts: 0, at, is_tried: false });
        }
    }

    /// The next one that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(PeerId, Due)> {
        let (peer, punch) = self.0.iter_mut().find(|(_, punch)| punch.at <= now)?;
        let peer = *peer;
        if punch.is_tried {
            self.failed(peer, now);
            return Some((peer, Due::GiveUp));
        }
        (punch.at, punch.is_tried) = (now + PUNCH_TIMEOUT, true);
        punch.attempts += 1;
        Some((peer, Due::Try(punch.address.clone())))
    }

    /// It has failed: again later, a few times.
    pub(super) fn failed(&mut self, peer: PeerId, now: Instant) {
        let Some(punch) = self.0.get_mut(&peer) else { return };
        match PUNCH_WAITS.get(punch.attempts) {
            Some(wait) if punch.is_tried => (punch.at, punch.is_tried) = (now + *wait, false),
            Some(_) => {}
            None => drop(self.0.remove(&peer)),
        }
    }

    /// It need not be tried any more.
    pub(super) fn end(&mut self, peer: PeerId) {
        self.0.remove(&peer);
    }

    pub(super) fn reset(&mut self) {
        self.0.clear();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().map(|punch| punch.at).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_few_attempts_and_no_more() {
        let (mut punches, bob, mut now) = (Punches::default(), PeerId::random(), Instant::now());
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
        punches.begin(bob, address.clone(), now);
        let mut attempts = 0;
        while let Some(at) = punches.deadline() {
            assert!(at > now);
            assert_eq!(punches.take_due(now), None);
            now = at;
            assert_eq!(punches.take_due(now), Some((bob, Due::Try(address.clone()))));
            attempts += 1;
            if attempts == 2 {
                // Nobody answers.
                now += PUNCH_TIMEOUT;
                assert_eq!(punches.take_due(now), Some((bob, Due::GiveUp)));
            } else {
                punches.failed(bob, now);
            }
        }
        assert_eq!(attempts, PUNCH_WAITS.len());
        let total: Duration = PUNCH_WAITS.iter().sum();
        assert!(total < Duration::from_secs(60));
    }
}
