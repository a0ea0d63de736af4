//! What may a protocol know of where we are, and claim about it?
//!
//! identify tells everybody who connects which addresses of ours are confirmed, and takes anybody's
//! word for how we are seen; rendezvous registers all of them. Behind this they know relayed
//! addresses at most, and claim nothing: the driver takes the word of bootstraps alone.

use std::task::{Context, Poll};

use kith_net::address;
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
    },
};

/// Which addresses a protocol may know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Knows {
    /// None.
    Nothing,
    /// Those that lead through relays.
    Relayed,
}

/// A protocol that is told less.
#[derive(Debug)]
pub(super) struct Quiet<B> {
    pub(super) inner: B,
    knows: Knows,
}

impl<B> Quiet<B> {
    pub(super) const fn new(inner: B, knows: Knows) -> Self {
        Self { inner, knows }
    }

    fn passes(&self, address: &Multiaddr) -> bool {
        self.knows == Knows::Relayed && address::is_relayed(address)
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Quiet<B> {
    type ConnectionHandler = B::ConnectionHandler;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(connection, peer, addresses, role)
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
        match &event {
            FromSwarm::ExternalAddrConfirmed(told) if !self.passes(told.addr) => {}
            FromSwarm::ExternalAddrExpired(told) if !self.passes(told.addr) => {}
            _ => self.inner.on_swarm_event(event),
        }
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
        loop {
            match self.inner.poll(cx) {
                Poll::Ready(ToSwarm::NewExternalAddrCandidate(_)) => {}
                polled => return polled,
            }
        }
    }
}
