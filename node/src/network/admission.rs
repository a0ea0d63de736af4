//! Which connections may exist?
//!
//! libp2p's own `connection_limits` keeps an entry for every peer id it ever saw, which a peer can
//! grow without bound by making new ones; this keeps entries for present connections only. It also
//! bounds what one source may take, and knows that a second dial to a peer is superfluous.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    net::{IpAddr, Ipv6Addr},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, DialFailure, FromSwarm, ListenFailure,
        NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::ConnectionEstablished, dummy,
    },
};

use super::{NetworkLimits, address};

/// Why a connection may not exist.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    /// There are as many as there may be.
    #[error("too many connections")]
    Limit,
    /// We have dialled this peer already.
    #[error("already connected")]
    Duplicate,
}

/// Admits connections.
#[derive(Debug)]
pub(super) struct Behaviour {
    limits: NetworkLimits,
    pending_incoming: HashMap<ConnectionId, Option<Source>>,
    pending_outgoing: BTreeSet<ConnectionId>,
    renewals: BTreeSet<ConnectionId>,
    established: HashMap<ConnectionId, Established>,
}

/// Where connections come from: an IPv4 address or a /64 of IPv6, what one household has.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
struct Source(IpAddr);

#[derive(Copy, Clone, Debug)]
struct Established {
    peer: PeerId,
    /// Set for those that others opened.
    incoming: Option<Option<Source>>,
    /// It is being closed and doesn't count as connected any more.
    leaving: bool,
}

impl Behaviour {
    pub(super) fn new(limits: NetworkLimits) -> Self {
        Self {
            limits,
            pending_incoming: HashMap::new(),
            pending_outgoing: BTreeSet::new(),
            renewals: BTreeSet::new(),
            established: HashMap::new(),
        }
    }

    /// Allows this dial although its peer is connected.
    pub(super) fn expect_renewal(&mut self, connection: ConnectionId) {
        self.renewals.insert(connection);
    }

    /// From now on a new dial to the peer of this connection is no duplicate of it.
    pub(super) fn leaving(&mut self, connection: ConnectionId) {
        if let Some(established) = self.established.get_mut(&connection) {
            established.leaving = true;
        }
    }

    fn admit_pending(&self, source: Option<Source>) -> Result<(), Refusal> {
        check(self.pending_incoming.len(), self.limits.pending_incoming_max)?;
        let Some(source) = source else { return Ok(()) };
        let same = self.pending_incoming.values().filter(|other| **other == Some(source)).count();
        check(same, self.limits.pending_per_source_max)
    }

    fn admit_incoming(&self, peer: PeerId, source: Option<Source>) -> Result<(), Refusal> {
        let incoming = || self.established.values().filter_map(|other| other.incoming);
        check(incoming().count(), self.limits.incoming_max)?;
        self.admit_peer(peer)?;
        let Some(source) = source else { return Ok(()) };
        let same = incoming().filter(|other| *other == Some(source)).count();
        check(same, self.limits.incoming_per_source_max)
    }

    fn admit_outgoing(&self, connection: ConnectionId, peer: PeerId) -> Result<(), Refusal> {
        let outgoing = || self.established.values().filter(|other| other.incoming.is_none());
        check(outgoing().count(), self.limits.outgoing_max)?;
        let connected = outgoing().any(|other| other.peer == peer && !other.leaving);
        if connected && !self.renewals.contains(&connection) {
            return Err(Refusal::Duplicate);
        }
        self.admit_peer(peer)
    }

    fn admit_peer(&self, peer: PeerId) -> Result<(), Refusal> {
        let same = |other: &&Established| other.peer == peer && !other.leaving;
        check(self.established.values().filter(same).count(), self.limits.per_peer_max)
    }

    fn established(&mut self, event: &ConnectionEstablished<'_>) {
        let incoming =
            event.endpoint.is_listener().then(|| source(event.endpoint.get_remote_address()));
        let established = Established { peer: event.peer_id, incoming, leaving: false };
        self.established.insert(event.connection_id, established);
    }

    fn forget(&mut self, connection: ConnectionId) {
        self.pending_incoming.remove(&connection);
        self.pending_outgoing.remove(&connection);
        self.renewals.remove(&connection);
        self.established.remove(&connection);
    }
}

fn check(count: usize, max: u32) -> Result<(), Refusal> {
    let below = u32::try_from(count).is_ok_and(|count| count < max);
    if below { Ok(()) } else { Err(Refusal::Limit) }
}

/// The source of an address; `None` for this very machine, which has no bound of its own.
fn source(remote: &Multiaddr) -> Option<Source> {
    let ip = address::host(remote)?.to_canonical();
    if ip.is_loopback() {
        return None;
    }
    Some(Source(match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }))
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let source = source(remote);
        self.admit_pending(source).map_err(ConnectionDenied::new)?;
        self.pending_incoming.insert(connection, source);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_incoming.remove(&connection);
        self.admit_incoming(peer, source(remote)).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        check(self.pending_outgoing.len(), self.limits.pending_outgoing_max)
            .map_err(ConnectionDenied::new)?;
        self.pending_outgoing.insert(connection);
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_outgoing.remove(&connection);
        self.admit_outgoing(connection, peer).map_err(ConnectionDenied::new)?;
        self.renewals.remove(&connection);
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => self.established(&event),
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
            | FromSwarm::DialFailure(DialFailure { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.forget(connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use libp2p::core::ConnectedPoint;

    use super::*;

    const HERE: &str = "/ip4/192.0.2.1/tcp/4001";

    fn limits() -> NetworkLimits {
        NetworkLimits {
            incoming_max: 4,
            incoming_per_source_max: 2,
            pending_incoming_max: 4,
            pending_per_source_max: 2,
            ..NetworkLimits::default()
        }
    }

    struct Case {
        admission: Behaviour,
        next: usize,
    }

    impl Case {
        fn new() -> Self {
            Self { admission: Behaviour::new(limits()), next: 0 }
        }

        fn id(&mut self) -> ConnectionId {
            self.next += 1;
            ConnectionId::new_unchecked(self.next)
        }

        fn knock(&mut self, remote: &str) -> Option<ConnectionId> {
            let id = self.id();
            let here = HERE.parse().unwrap();
            self.admission
                .handle_pending_inbound_connection(id, &here, &remote.parse().unwrap())
                .ok()
                .map(|()| id)
        }

        fn enter(&mut self, remote: &str, peer: PeerId) -> Option<ConnectionId> {
            let id = self.knock(remote)?;
            let (here, remote) = (HERE.parse().unwrap(), remote.parse().unwrap());
            let admitted = self
                .admission
                .handle_established_inbound_connection(id, peer, &here, &remote)
                .is_ok();
            let endpoint = ConnectedPoint::Listener { local_addr: here, send_back_addr: remote };
            admitted.then(|| self.stands(id, peer, &endpoint))
        }

        fn dial(&mut self, peer: PeerId, renewal: bool) -> Option<ConnectionId> {
            let id = self.id();
            if renewal {
                self.admission.expect_renewal(id);
            }
            let there: Multiaddr = "/ip4/192.0.2.2/tcp/4001".parse().unwrap();
            let (role, port_use) = (Endpoint::Dialer, PortUse::New);
            self.admission
                .handle_pending_outbound_connection(id, None, std::slice::from_ref(&there), role)
                .unwrap();
            let admitted = self
                .admission
                .handle_established_outbound_connection(id, peer, &there, role, port_use)
                .is_ok();
            let endpoint = ConnectedPoint::Dialer { address: there, role_override: role, port_use };
            admitted.then(|| self.stands(id, peer, &endpoint))
        }

        fn stands(&mut self, id: ConnectionId, peer: PeerId, at: &ConnectedPoint) -> ConnectionId {
            self.admission.established(&ConnectionEstablished {
                peer_id: peer,
                connection_id: id,
                endpoint: at,
                failed_addresses: &[],
                other_established: 0,
            });
            id
        }
    }

    #[test]
    fn one_source_cannot_lock_the_others_out() {
        let mut case = Case::new();
        let mallory = "/ip6/2001:db8::1/tcp/1";
        let mallory_again = "/ip6/2001:db8::ffff/tcp/2";
        assert!(case.knock(mallory).is_some());
        assert!(case.knock(mallory_again).is_some());
        assert!(case.knock(mallory).is_none());
        assert!(case.knock("/ip4/192.0.2.7/tcp/1").is_some());
        assert!(case.knock("/ip4/192.0.2.8/tcp/1").is_some());
        assert!(case.knock("/ip4/192.0.2.9/tcp/1").is_none());
    }

    #[test]
    fn established_connections_are_bounded_and_leave_nothing_behind() {
        let mut case = Case::new();
        let first = case.enter("/ip4/192.0.2.7/tcp/1", PeerId::random()).unwrap();
        assert!(case.enter("/ip4/192.0.2.7/tcp/2", PeerId::random()).is_some());
        assert!(case.enter("/ip4/192.0.2.7/tcp/3", PeerId::random()).is_none());
        case.admission.forget(first);
        assert!(case.enter("/ip4/192.0.2.7/tcp/3", PeerId::random()).is_some());
        assert_eq!(case.admission.established.len(), 2);
        assert!(case.admission.pending_incoming.is_empty());
    }

    #[test]
    fn a_second_dial_is_a_duplicate_unless_it_renews() {
        let mut case = Case::new();
        let bob = PeerId::random();
        let old = case.dial(bob, false).unwrap();
        assert!(case.dial(bob, false).is_none());
        assert!(case.dial(bob, true).is_some());
        assert!(case.dial(bob, true).is_none(), "never more than two");
        case.admission.leaving(old);
        assert!(case.dial(bob, true).is_some());
    }

    #[test]
    fn simultaneous_dials_may_both_stand() {
        let mut case = Case::new();
        let bob = PeerId::random();
        assert!(case.enter("/ip4/192.0.2.7/tcp/1", bob).is_some());
        assert!(case.dial(bob, false).is_some());
        assert!(case.enter("/ip4/192.0.2.7/tcp/2", bob).is_none());
    }
}
