//! For whom do we try addresses? For whoever asks by AutoNAT, within bounds (spec 23 R7).
//!
//! libp2p tries them; it bounds that by connection alone. Somebody with many connections could have
//! us dial so much into the void that we dial nobody else any more.

use std::{
    collections::{HashMap, VecDeque},
    task::{Context, Poll, Waker},
};

use either::Either;
use kith_net::{
    address,
    admission::{Refusal, Source},
};
use libp2p::{
    Multiaddr, PeerId,
    autonat::v2::server,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, DialFailure, FromSwarm, ListenFailure,
        NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};

use crate::limits::{PROBES_MAX, PROBES_PER_SOURCE_MAX};

type Action = ToSwarm<server::Event, THandlerInEvent<server::Behaviour>>;

/// Tries addresses.
pub(crate) struct Behaviour {
    inner: server::Behaviour,
    /// Connections of those who can ask.
    sources: HashMap<ConnectionId, Option<Source>>,
    /// Dials that try an address, until their connections have ended, and for whom.
    probes: HashMap<ConnectionId, Option<Source>>,
    actions: VecDeque<Action>,
    refused: u64,
}

impl Behaviour {
    pub(crate) fn new() -> Self {
        Self {
            inner: server::Behaviour::default(),
            sources: HashMap::new(),
            probes: HashMap::new(),
            actions: VecDeque::new(),
            refused: 0,
        }
    }

    /// How often there was no room to try an address.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    fn has_room(&self, source: Option<Source>) -> bool {
        let same = self.probes.values().filter(|other| **other == source).count();
        self.probes.len() < PROBES_MAX && (source.is_none() || same < PROBES_PER_SOURCE_MAX)
    }

    fn drain(&mut self, context: &mut Context<'_>, source: Option<Source>) {
        while let Poll::Ready(action) = self.inner.poll(context) {
            if let ToSwarm::Dial { opts } = &action {
                self.probes.insert(opts.connection_id(), source);
            }
            self.actions.push_back(action);
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = <server::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = server::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.sources.insert(connection, Source::of(local, remote));
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    /// Only what anybody would dial is tried.
    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        _: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let plain =
            |one: &Multiaddr| !address::is_relayed(one) && address::normalise(one).is_some();
        if self.probes.contains_key(&connection) && !addresses.iter().all(plain) {
            return Err(ConnectionDenied::new(Refusal::Limit));
        }
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
        | FromSwarm::DialFailure(DialFailure { connection_id, .. })
        | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) = &event
        {
            self.sources.remove(connection_id);
            self.probes.remove(connection_id);
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        let source = self.sources.get(&connection).copied().unwrap_or(Some(Source::Unknown));
        // This asks for a dial; dropped, it is answered that it did not work.
        if matches!(event, Either::Right(Either::Left(_))) && !self.has_room(source) {
            self.refused += 1;
            return;
        }
        self.inner.on_connection_handler_event(peer, connection, event);
        self.drain(&mut Context::from_waker(Waker::noop()), source);
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ToSwarm<server::Event, THandlerInEvent<Self>>> {
        self.drain(context, Some(Source::Unknown));
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("probing::Behaviour").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> [Multiaddr; 1] {
        [text.parse().unwrap()]
    }

    #[test]
    fn one_source_has_its_share_and_all_have_a_bound() {
        let mut probing = Behaviour::new();
        let source = |number: u8| Some(Source::Network([192, 0, 2, number].into()));
        let mut next = 0;
        let mut probe = |probing: &mut Behaviour, source| {
            next += 1;
            probing.probes.insert(ConnectionId::new_unchecked(next), source);
        };
        for _ in 0..PROBES_PER_SOURCE_MAX {
            assert!(probing.has_room(source(1)));
            probe(&mut probing, source(1));
        }
        assert!(!probing.has_room(source(1)) && probing.has_room(source(2)));
        while probing.probes.len() < PROBES_MAX {
            assert!(probing.has_room(None), "this machine itself has no bound of its own");
            probe(&mut probing, None);
        }
        assert!(!probing.has_room(None) && !probing.has_room(source(2)));
    }

    #[test]
    fn only_what_anybody_would_dial_is_tried() {
        let mut probing = Behaviour::new();
        let (probe, other) = (ConnectionId::new_unchecked(1), ConnectionId::new_unchecked(2));
        probing.probes.insert(probe, None);
        let relayed = format!("/ip4/9.9.9.9/tcp/1/p2p/{}/p2p-circuit", PeerId::random());
        let mut dials = |id, text: &str| {
            let role = Endpoint::Dialer;
            probing.handle_pending_outbound_connection(id, None, &address(text), role).is_ok()
        };
        assert!(dials(probe, "/ip4/9.9.9.9/tcp/1"));
        for text in ["/dns4/example.org/tcp/1", "/ip4/224.0.0.1/udp/1/quic-v1", &relayed] {
            assert!(!dials(probe, text), "{text}");
            assert!(dials(other, text), "no probe: {text}");
        }
    }
}
