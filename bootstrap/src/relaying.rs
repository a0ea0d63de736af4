//! Whom do we relay for? For whoever has a place here, within bounds (spec 23 R5).
//!
//! libp2p relays; this stands around it for what it lacks. It counts places and circuits by source.
//! And it mends what would end the whole process: libp2p forgets a connection when its place ends,
//! and panics if a renewal that is still under way, because the peer does not read, is done after
//! that.

use std::{
    collections::{HashMap, VecDeque},
    task::{Context, Poll, Waker},
};

use kith_net::admission::Source;
use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    relay::{self, Event, Status, StatusCode},
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm,
        NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::ConnectionEstablished,
    },
};

use crate::{
    config::RelayBounds,
    limits::{CIRCUITS_PER_SOURCE_MAX, PLACES_PER_SOURCE_MAX},
};

type Action = ToSwarm<Event, THandlerInEvent<relay::Behaviour>>;

/// Relays.
pub(crate) struct Behaviour {
    inner: relay::Behaviour,
    connections: HashMap<ConnectionId, Connection>,
    actions: VecDeque<Action>,
    refused: Refused,
}

#[derive(Debug)]
struct Connection {
    peer: PeerId,
    source: Option<Source>,
    /// Others can reach it through us.
    has_place: bool,
    /// Circuits that it has opened.
    circuits: usize,
}

/// How often somebody was refused.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Refused {
    pub(crate) places: u64,
    pub(crate) circuits: u64,
    /// Who is wanted has no place.
    pub(crate) nobody: u64,
}

impl Behaviour {
    pub(crate) fn new(own: PeerId, bounds: RelayBounds) -> Self {
        let config = relay::Config {
            max_reservations: bounds.places_max,
            // It refuses when there is one more than that already.
            max_reservations_per_peer: bounds.places_per_peer_max.saturating_sub(1),
            reservation_duration: bounds.place_time,
            reservation_rate_limiters: Vec::new(),
            max_circuits: bounds.circuits_max,
            max_circuits_per_peer: bounds.circuits_per_peer_max.saturating_sub(1),
            max_circuit_duration: std::time::Duration::from_secs(bounds.circuit_seconds_max.into()),
            max_circuit_bytes: bounds.circuit_bytes_max,
            circuit_src_rate_limiters: Vec::new(),
        };
        let mut inner = relay::Behaviour::new(own, config);
        inner.set_status(Some(Status::Enable));
        Self {
            inner,
            connections: HashMap::new(),
            actions: VecDeque::new(),
            refused: Refused::default(),
        }
    }

    /// How many places are taken.
    pub(crate) fn places(&self) -> usize {
        self.connections.values().filter(|connection| connection.has_place).count()
    }

    /// How many circuits there are.
    pub(crate) fn circuits(&self) -> usize {
        self.connections.values().map(|connection| connection.circuits).sum()
    }

    pub(crate) fn refused(&self) -> Refused {
        self.refused
    }

    /// Whether a connection has a place, or carries anything for others.
    pub(crate) fn needs(&self, connection: ConnectionId) -> bool {
        let known = self.connections.get(&connection);
        known.is_some_and(|connection| connection.has_place || connection.circuits > 0)
    }

    /// Takes all that libp2p wants to be done, and what it tells about a connection.
    fn drain(&mut self, context: &mut Context<'_>, of: Option<ConnectionId>) {
        while let Poll::Ready(action) = self.inner.poll(context) {
            if let ToSwarm::GenerateEvent(event) = &action {
                self.heed(event, of);
            }
            self.actions.push_back(action);
        }
    }

    fn heed(&mut self, event: &Event, of: Option<ConnectionId>) {
        match event {
            Event::ReservationReqAccepted { .. } => self.place_taken(of),
            Event::ReservationTimedOut { .. } => self.place_ended(of),
            Event::ReservationReqDenied { .. } => self.refused.places += 1,
            Event::CircuitReqAccepted { .. } => self.circuit_begun(of),
            Event::CircuitClosed { .. } => self.circuit_ended(of),
            Event::CircuitReqDenied { status: StatusCode::NoReservation, .. } => {
                self.refused.nobody += 1;
            }
            Event::CircuitReqDenied { .. } => self.refused.circuits += 1,
            _ => {}
        }
    }

    fn place_taken(&mut self, of: Option<ConnectionId>) {
        let Some((id, connection)) = known(&mut self.connections, of) else { return };
        connection.has_place = true;
        let source = connection.source;
        let same = |other: &&Connection| other.has_place && other.source == source;
        if source.is_some()
            && self.connections.values().filter(same).count() > PLACES_PER_SOURCE_MAX
        {
            self.refused.places += 1;
            self.close(id);
        }
    }

    /// libp2p has forgotten the connection: it is told of it again.
    fn place_ended(&mut self, of: Option<ConnectionId>) {
        let Some((id, connection)) = known(&mut self.connections, of) else { return };
        connection.has_place = false;
        let nowhere = ConnectedPoint::Listener {
            local_addr: Multiaddr::empty(),
            send_back_addr: Multiaddr::empty(),
        };
        self.inner.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: connection.peer,
            connection_id: id,
            endpoint: &nowhere,
            failed_addresses: &[],
            other_established: 0,
        }));
    }

    fn circuit_begun(&mut self, of: Option<ConnectionId>) {
        let Some((id, connection)) = known(&mut self.connections, of) else { return };
        connection.circuits += 1;
        let Some(source) = connection.source else { return };
        let same = self.connections.values().filter(|other| other.source == Some(source));
        if same.map(|other| other.circuits).sum::<usize>() > CIRCUITS_PER_SOURCE_MAX {
            self.refused.circuits += 1;
            self.close(id);
        }
    }

    /// If the called end leaves, libp2p tells it twice: when that connection closes, and when the
    /// opener's has noticed. The second counts, which names the opener's.
    fn circuit_ended(&mut self, of: Option<ConnectionId>) {
        let Some((_, connection)) = known(&mut self.connections, of) else { return };
        connection.circuits = connection.circuits.saturating_sub(1);
    }

    fn close(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(&id) {
            let (peer_id, connection) = (connection.peer, CloseConnection::One(id));
            self.actions.push_back(ToSwarm::CloseConnection { peer_id, connection });
        }
    }

    fn entered(&mut self, event: &ConnectionEstablished<'_>) {
        let source = match event.endpoint {
            ConnectedPoint::Dialer { address, .. } => Source::of(&Multiaddr::empty(), address),
            ConnectedPoint::Listener { local_addr, send_back_addr } => {
                Source::of(local_addr, send_back_addr)
            }
        };
        let connection = Connection { peer: event.peer_id, source, has_place: false, circuits: 0 };
        self.connections.insert(event.connection_id, connection);
    }
}

fn known(
    connections: &mut HashMap<ConnectionId, Connection>,
    of: Option<ConnectionId>,
) -> Option<(ConnectionId, &mut Connection)> {
    of.and_then(|id| connections.get_mut(&id).map(|connection| (id, connection)))
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = <relay::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
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
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionEstablished(event) = &event {
            self.entered(event);
        }
        let left = match &event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.connections.remove(connection_id);
                true
            }
            _ => false,
        };
        self.inner.on_swarm_event(event);
        if left {
            self.drain(&mut Context::from_waker(Waker::noop()), None);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.inner.on_connection_handler_event(peer, connection, event);
        self.drain(&mut Context::from_waker(Waker::noop()), Some(connection));
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        self.drain(context, None);
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("relaying::Behaviour").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
