//! Which connections may exist?
//!
//! libp2p's own `connection_limits` keeps an entry for every peer id it ever saw, which a peer can
//! grow without bound by making new ones; this keeps entries for present connections only. It also
//! bounds what one source may take, knows that a second dial to a peer is superfluous, and keeps
//! those apart from each other who do not want their addresses to be seen.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    net::{IpAddr, Ipv6Addr},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, DialFailure, FromSwarm, ListenFailure,
        NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::ConnectionEstablished, dummy,
    },
};

use crate::address;

/// How many connections there may be.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct AdmissionLimits {
    /// Connections that others opened.
    pub incoming_max: u32,
    /// The same from one source, see [`Source`]; this machine itself has no such bound.
    pub incoming_per_source_max: u32,
    /// Connections in their handshake that others opened.
    pub pending_incoming_max: u32,
    /// The same from one source.
    pub pending_per_source_max: u32,
    /// Connections in their handshake that we opened.
    pub pending_outgoing_max: u32,
    /// Connections that we opened.
    pub outgoing_max: u32,
    /// Connections with one peer.
    pub per_peer_max: u32,
}

/// Why a connection may not exist.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// There are as many as there may be.
    #[error("too many connections")]
    Limit,
    /// We have dialled this peer already.
    #[error("already connected")]
    Duplicate,
    /// It would show our address to somebody who is not to see it.
    #[error("only relayed connections are allowed")]
    NotRelayed,
}

/// Admits connections.
#[derive(Debug)]
pub struct Behaviour {
    limits: AdmissionLimits,
    /// Set if all connections but those to these peers lead through them.
    relays_only: Option<BTreeMap<PeerId, BTreeSet<Multiaddr>>>,
    pending_incoming: HashMap<ConnectionId, Option<Source>>,
    pending_outgoing: BTreeSet<ConnectionId>,
    renewals: BTreeSet<ConnectionId>,
    established: HashMap<ConnectionId, Established>,
}

/// Where connections come from.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// An IPv4 address or a /64 of IPv6: what one household has.
    Network(IpAddr),
    /// All that comes through one relay.
    Relay(PeerId),
    /// Whatever cannot be told apart.
    Unknown,
}

#[derive(Copy, Clone, Debug)]
struct Established {
    peer: PeerId,
    relayed: bool,
    /// Set for those that others opened.
    incoming: Option<Option<Source>>,
    /// It is known who is at the other end.
    trusted: bool,
    /// It is being closed and doesn't count as connected any more.
    leaving: bool,
}

impl Source {
    /// The source of a connection by its two addresses; `None` for this very machine, which has no
    /// bound of its own.
    pub fn of(local: &Multiaddr, remote: &Multiaddr) -> Option<Self> {
        if address::is_relayed(local) {
            return Some(address::relay_of(local).map_or(Self::Unknown, Self::Relay));
        }
        let Some(ip) = address::host(remote) else { return Some(Self::Unknown) };
        match ip.to_canonical() {
            ip if ip.is_loopback() => None,
            ip @ IpAddr::V4(_) => Some(Self::Network(ip)),
            IpAddr::V6(ip) => {
                let network = Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX));
                Some(Self::Network(network.into()))
            }
        }
    }
}

impl Behaviour {
    /// Admits within these limits.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self {
            limits,
            relays_only: None,
            pending_incoming: HashMap::new(),
            pending_outgoing: BTreeSet::new(),
            renewals: BTreeSet::new(),
            established: HashMap::new(),
        }
    }

    /// From now on these peers alone are connected directly, and that by us; everybody else through
    /// them, in both directions. A dial by address alone is refused, for it names nobody.
    ///
    /// Connections that exist stay. A dial of somebody else must bring all its addresses: those
    /// that other behaviours would add to it come too late to be refused.
    /// They are connected at these addresses and no others: whoever could name another address for one
    /// of them would be sent our first packets.
    pub fn admit_only(&mut self, relays: BTreeMap<PeerId, BTreeSet<Multiaddr>>) {
        self.relays_only = Some(relays);
    }

    /// How many connections there are that others opened, and that we did.
    pub fn established(&self) -> (usize, usize) {
        let incoming = self.established.values().filter(|one| one.incoming.is_some()).count();
        (incoming, self.established.len() - incoming)
    }

    /// Allows this dial although its peer is connected.
    pub fn expect_renewal(&mut self, connection: ConnectionId) {
        self.renewals.insert(connection);
    }

    /// From now on a new dial to the peer of this connection is no duplicate of it.
    pub fn leaving(&mut self, connection: ConnectionId) {
        if let Some(established) = self.established.get_mut(&connection) {
            established.leaving = true;
        }
    }

    /// It is known now who is at the other end of this connection.
    pub fn trust(&mut self, connection: ConnectionId) {
        if let Some(established) = self.established.get_mut(&connection) {
            established.trusted = true;
        }
    }

    /// Whether a relayed connection to this peer would bring nothing: there is one, or a direct one
    /// whose other end is known. Somebody who is looked for by an id says who they are over a
    /// relayed connection alone.
    pub fn has_met(&self, peer: PeerId) -> bool {
        let mut same = self.established.values().filter(|one| one.peer == peer && !one.leaving);
        same.any(|one| one.relayed || one.trusted)
    }

    fn admit_pending(&self, source: Option<Source>) -> Result<(), Refusal> {
        check(self.pending_incoming.len(), self.limits.pending_incoming_max)?;
        let Some(source) = source else { return Ok(()) };
        let same = self.pending_incoming.values().filter(|other| **other == Some(source)).count();
        check(same, self.limits.pending_per_source_max)
    }

    fn admit_address(&self, peer: Option<PeerId>, address: &Multiaddr) -> Result<(), Refusal> {
        let Some(relays) = &self.relays_only else { return Ok(()) };
        let (seen_by, at) = match address::is_relayed(address) {
            true => (address::relay_of(address), address::without_circuit(address)),
            false => (peer, address::without_peer(address)),
        };
        let known = seen_by.and_then(|seen_by| relays.get(&seen_by));
        // Without an address it is dialled at those that we have told.
        let admits = known.is_some_and(|known| at.is_empty() || known.contains(&at));
        if admits { Ok(()) } else { Err(Refusal::NotRelayed) }
    }

    /// Without addresses, other behaviours will say them: those of somebody who may see ours.
    fn admit_dial(&self, peer: Option<PeerId>, addresses: &[Multiaddr]) -> Result<(), Refusal> {
        check(self.pending_outgoing.len(), self.limits.pending_outgoing_max)?;
        if addresses.is_empty() {
            return self.admit_address(peer, &Multiaddr::empty());
        }
        addresses.iter().try_for_each(|address| self.admit_address(peer, address))
    }

    fn admit_incoming(&self, peer: PeerId, source: Option<Source>) -> Result<(), Refusal> {
        let incoming = || self.established.values().filter_map(|other| other.incoming);
        check(incoming().count(), self.limits.incoming_max)?;
        self.admit_peer(peer)?;
        let Some(source) = source else { return Ok(()) };
        let same = incoming().filter(|other| *other == Some(source)).count();
        check(same, self.limits.incoming_per_source_max)
    }

    /// A direct connection is worth having although there is a relayed one; the other way round only
    /// while it isn't known who is at the other end of the direct one.
    fn admit_outgoing(
        &self,
        connection: ConnectionId,
        peer: PeerId,
        relayed: bool,
    ) -> Result<(), Refusal> {
        let outgoing = || self.established.values().filter(|other| other.incoming.is_none());
        check(outgoing().count(), self.limits.outgoing_max)?;
        let connected = outgoing()
            .filter(|other| other.peer == peer && !other.leaving)
            .any(|other| if relayed { other.relayed || other.trusted } else { !other.relayed });
        if connected && !self.renewals.contains(&connection) {
            return Err(Refusal::Duplicate);
        }
        self.admit_peer(peer)
    }

    fn admit_peer(&self, peer: PeerId) -> Result<(), Refusal> {
        let same = |other: &&Established| other.peer == peer && !other.leaving;
        check(self.established.values().filter(same).count(), self.limits.per_peer_max)
    }

    fn stands(&mut self, event: &ConnectionEstablished<'_>) {
        let (relayed, incoming) = match event.endpoint {
            ConnectedPoint::Dialer { address, .. } => (address::is_relayed(address), None),
            ConnectedPoint::Listener { local_addr, send_back_addr } => {
                let source = Source::of(local_addr, send_back_addr);
                (address::is_relayed(local_addr), Some(source))
            }
        };
        let established =
            Established { peer: event.peer_id, relayed, incoming, trusted: false, leaving: false };
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

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if self.relays_only.is_some() && !address::is_relayed(local) {
            return Err(ConnectionDenied::new(Refusal::NotRelayed));
        }
        let source = Source::of(local, remote);
        self.admit_pending(source).map_err(ConnectionDenied::new)?;
        self.pending_incoming.insert(connection, source);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_incoming.remove(&connection);
        self.admit_incoming(peer, Source::of(local, remote)).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.admit_dial(peer, addresses).map_err(ConnectionDenied::new)?;
        self.pending_outgoing.insert(connection);
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_outgoing.remove(&connection);
        self.admit_address(Some(peer), address).map_err(ConnectionDenied::new)?;
        self.admit_outgoing(connection, peer, address::is_relayed(address))
            .map_err(ConnectionDenied::new)?;
        self.renewals.remove(&connection);
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => self.stands(&event),
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
    use super::*;

    const HERE: &str = "/ip4/192.0.2.1/tcp/4001";

    const THERE: &str = "/ip4/192.0.2.2/tcp/4001";

    fn limits() -> AdmissionLimits {
        AdmissionLimits {
            incoming_max: 4,
            incoming_per_source_max: 2,
            pending_incoming_max: 4,
            pending_per_source_max: 2,
            pending_outgoing_max: 4,
            outgoing_max: 8,
            per_peer_max: 2,
        }
    }

    fn through(relay: PeerId) -> String {
        format!("/ip4/192.0.2.3/tcp/4001/p2p/{relay}/p2p-circuit")
    }

    /// A relay at the two addresses at which it is dialled here.
    fn only(relay: PeerId) -> BTreeMap<PeerId, BTreeSet<Multiaddr>> {
        let at = [THERE, "/ip4/192.0.2.3/tcp/4001"].map(|at| at.parse().unwrap());
        [(relay, at.into())].into()
    }

    struct Case {
        admission: Behaviour,
        next: usize,
    }

    impl Case {
        fn new() -> Self {
            Self::with(limits())
        }

        fn with(limits: AdmissionLimits) -> Self {
            Self { admission: Behaviour::new(limits), next: 0 }
        }

        fn id(&mut self) -> ConnectionId {
            self.next += 1;
            ConnectionId::new_unchecked(self.next)
        }

        fn knock(&mut self, remote: &str) -> Option<ConnectionId> {
            self.knock_at(HERE, remote)
        }

        fn knock_at(&mut self, local: &str, remote: &str) -> Option<ConnectionId> {
            let id = self.id();
            let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
            self.admission.handle_pending_inbound_connection(id, &local, &remote).ok().map(|()| id)
        }

        fn enter(&mut self, remote: &str, peer: PeerId) -> Option<ConnectionId> {
            self.enter_at(HERE, remote, peer)
        }

        fn enter_through(&mut self, relay: PeerId, peer: PeerId) -> Option<ConnectionId> {
            self.enter_at(&through(relay), &format!("/p2p/{peer}"), peer)
        }

        fn enter_at(&mut self, local: &str, remote: &str, peer: PeerId) -> Option<ConnectionId> {
            let id = self.knock_at(local, remote)?;
            let (local_addr, send_back_addr) = (local.parse().unwrap(), remote.parse().unwrap());
            let admitted = self
                .admission
                .handle_established_inbound_connection(id, peer, &local_addr, &send_back_addr)
                .is_ok();
            let endpoint = ConnectedPoint::Listener { local_addr, send_back_addr };
            admitted.then(|| self.stands(id, peer, &endpoint))
        }

        fn dial(&mut self, peer: PeerId, renewal: bool) -> Option<ConnectionId> {
            self.dial_at(THERE, None, peer, renewal)
        }

        fn dial_through(&mut self, relay: PeerId, peer: PeerId) -> Option<ConnectionId> {
            let there = format!("{}/p2p/{peer}", through(relay));
            self.dial_at(&there, Some(peer), peer, false)
        }

        fn dial_at(
            &mut self,
            there: &str,
            expected: Option<PeerId>,
            peer: PeerId,
            renewal: bool,
        ) -> Option<ConnectionId> {
            let id = self.id();
            if renewal {
                self.admission.expect_renewal(id);
            }
            let there: Multiaddr = there.parse().unwrap();
            let (role, port_use) = (Endpoint::Dialer, PortUse::New);
            let at = std::slice::from_ref(&there);
            self.admission.handle_pending_outbound_connection(id, expected, at, role).ok()?;
            let admitted = self
                .admission
                .handle_established_outbound_connection(id, peer, &there, role, port_use)
                .is_ok();
            let endpoint = ConnectedPoint::Dialer { address: there, role_override: role, port_use };
            admitted.then(|| self.stands(id, peer, &endpoint))
        }

        fn stands(&mut self, id: ConnectionId, peer: PeerId, at: &ConnectedPoint) -> ConnectionId {
            self.admission.stands(&ConnectionEstablished {
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
    #[test]
    fn what_comes_through_a_relay_counts_as_the_relays() {
        let mut case = Case::new();
        let (relay, other) = (PeerId::random(), PeerId::random());
        assert!(case.enter_through(relay, PeerId::random()).is_some());
        assert!(case.enter_through(relay, PeerId::random()).is_some());
        assert!(case.enter_through(relay, PeerId::random()).is_none(), "not as this machine");
        assert!(case.enter_through(other, PeerId::random()).is_some());
        let nameless = "/ip4/127.0.0.1/tcp/1/p2p-circuit";
        let source = Source::of(&nameless.parse().unwrap(), &THERE.parse().unwrap());
        assert_eq!(source, Some(Source::Unknown));
        assert_eq!(Source::of(&HERE.parse().unwrap(), &Multiaddr::empty()), source);
        let here = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        assert_eq!(Source::of(&here, &here), None, "this machine itself");
    }

    #[test]
    fn a_direct_dial_improves_on_a_relayed_one_but_not_the_other_way_round() {
        let mut case = Case::with(AdmissionLimits { per_peer_max: 4, ..limits() });
        let (bob, relay) = (PeerId::random(), PeerId::random());
        let relayed = case.dial_through(relay, bob).unwrap();
        assert!(case.dial_through(relay, bob).is_none());
        let direct = case.dial(bob, false).unwrap();
        assert!(case.dial(bob, false).is_none());
        case.admission.trust(direct);
        case.admission.forget(relayed);
        assert!(case.admission.has_met(bob));
        assert!(case.dial_through(relay, bob).is_none());
        case.admission.forget(direct);
        assert!(case.dial_through(relay, bob).is_some());
    }

    #[test]
    fn while_nobody_knows_who_is_at_the_other_end_a_relayed_dial_is_no_duplicate() {
        let mut case = Case::with(AdmissionLimits { per_peer_max: 4, ..limits() });
        let (bob, relay) = (PeerId::random(), PeerId::random());
        let direct = case.dial(bob, false).unwrap();
        assert!(!case.admission.has_met(bob));
        let relayed = case.dial_through(relay, bob).unwrap();
        assert!(case.admission.has_met(bob));
        assert!(case.dial_through(relay, bob).is_none(), "one is enough");
        case.admission.forget(relayed);
        case.admission.trust(direct);
        assert!(case.dial_through(relay, bob).is_none());
        assert!(!case.admission.has_met(PeerId::random()));
    }

    #[test]
    fn relays_alone_see_our_address_if_we_want_it_so() {
        let mut case = Case::new();
        let (relay, stranger, bob) = (PeerId::random(), PeerId::random(), PeerId::random());
        case.admission.admit_only(only(relay));
        assert!(case.dial_at(THERE, Some(relay), relay, false).is_some());
        assert!(case.dial_through(relay, bob).is_some());
        assert!(case.enter_through(relay, bob).is_some());

        // Mallory says that the relay is where she is.
        let lie = "/ip4/192.0.2.66/tcp/4001";
        let through_lie = format!("{lie}/p2p/{relay}/p2p-circuit/p2p/{bob}");
        assert!(case.dial_at(lie, Some(relay), relay, false).is_none());
        assert!(case.dial_at(&through_lie, Some(bob), bob, false).is_none());
        assert!(case.dial_at(THERE, Some(bob), bob, false).is_none());
        assert!(case.dial_at(THERE, None, relay, false).is_none(), "who is there is not known");
        assert!(case.dial_through(stranger, bob).is_none());
        assert!(case.enter(THERE, relay).is_none());
        assert!(case.enter("/ip4/127.0.0.1/tcp/1", bob).is_none());
    }

    #[test]
    fn addresses_that_others_would_add_show_ours_to_nobody_else() {
        let mut case = Case::new();
        let (relay, bob) = (PeerId::random(), PeerId::random());
        case.admission.admit_only(only(relay));
        let mut without_addresses = |peer| {
            let id = case.id();
            let role = Endpoint::Dialer;
            case.admission.handle_pending_outbound_connection(id, peer, &[], role).is_ok()
        };
        assert!(without_addresses(Some(relay)));
        assert!(!without_addresses(Some(bob)) && !without_addresses(None));
        let (mixed, id) = ([through(relay).parse().unwrap(), THERE.parse().unwrap()], case.id());
        let dial = case.admission.handle_pending_outbound_connection(
            id,
            Some(bob),
            &mixed,
            Endpoint::Dialer,
        );
        let refusal = dial.unwrap_err();
        assert_eq!(refusal.downcast_ref::<Refusal>(), Some(&Refusal::NotRelayed));
    }
}
