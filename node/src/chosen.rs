//! A protocol that asks chosen peers alone.

use std::{
    collections::HashSet,
    task::{Context, Poll},
};

use either::Either;
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
    },
};

/// A protocol that others may answer us on any connection that they open, and that we speak on ours to
/// chosen peers alone: libp2p would ask whoever offers it.
#[derive(Debug)]
pub(crate) struct Chosen<B> {
    pub(crate) inner: B,
    peers: HashSet<PeerId>,
}

impl<B> Chosen<B> {
    pub(crate) fn new(inner: B, peers: impl Iterator<Item = PeerId>) -> Self {
        Self { inner, peers: peers.collect() }
    }

    /// From now on these; connections that are there stay as they are.
    pub(crate) fn choose(&mut self, peers: impl Iterator<Item = PeerId>) {
        self.peers = peers.collect();
    }
}

type Inner<B> = <B as NetworkBehaviour>::ConnectionHandler;

impl<B> NetworkBehaviour for Chosen<B>
where
    B: NetworkBehaviour,
    Inner<B>: ConnectionHandler,
{
    type ConnectionHandler = Either<Inner<B>, dummy::ConnectionHandler>;
    type ToSwarm = B::ToSwarm;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_inbound_connection(connection, peer, local, remote)
            .map(Either::Left)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.peers.contains(&peer) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.inner
            .handle_established_outbound_connection(connection, peer, address, role, port_use)
            .map(Either::Left)
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
        match event {
            Either::Left(event) => {
                self.inner.on_connection_handler_event(peer, connection, event);
            }
            Either::Right(never) => match never {},
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx).map(|to_swarm| to_swarm.map_in(Either::Left))
    }
}
