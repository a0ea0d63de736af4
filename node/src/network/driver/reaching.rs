//! How do others reach us, and we them, who are not in our network? Relays, meeting places, straight
//! connections (spec 10).

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    time::Instant,
};

use kith_net::address;
use libp2p::{
    Multiaddr, PeerId,
    core::transport::ListenerId,
    dcutr, identify,
    multiaddr::Protocol,
    rendezvous,
    swarm::{
        ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate,
        dial_opts::{DialOpts, PeerCondition},
    },
};

use super::{
    super::{
        Counter, LinkId, NetworkConfig, Reach,
        dials::{Attempt, Purpose},
        limits::{
            CONFIRMED_MAX, DIRECT_ADDRESSES_MAX, REGISTERED_ADDRESSES_MAX, REGISTRATION_SECONDS,
            REGISTRATIONS_MAX, SEEN_MAX,
        },
        meetings::namespace,
        punch::Due,
        relays,
        swarm::Openness,
    },
    Connection, Driver,
};
use crate::route::is_dead;

/// Who may know where we are.
pub(super) fn openness(reach: &Reach, config: &NetworkConfig) -> Openness {
    match reach {
        Reach { relay_only: true, .. } => Openness::RelayOnly(reach.by_peer()),
        Reach { bootstraps, .. } if bootstraps.is_empty() => Openness::Closed,
        Reach { .. } => Openness::Open { upnp: config.upnp },
    }
}

impl Driver {
    /// Other bootstraps, or another choice of who may know where we are. That needs another
    /// identity: who is not to know our address any more shall not know us by the old one.
    pub(super) async fn set_reach(&mut self, reach: Reach) {
        let before = openness(&self.reach, &self.config);
        self.reach = reach;
        let now = Instant::now();
        let random = RandomState::new();
        let mut count = 0_u64;
        let rank = || {
            count += 1;
            random.hash_one(count)
        };
        for peer in self.relays.choose(&self.reach.bootstraps, now, rank) {
            self.meetings.left(peer);
            self.close_links_to(peer);
        }
        if let Some(autonat) = self.swarm.behaviour_mut().autonat.as_mut() {
            autonat.choose(self.reach.peers());
        }
        if openness(&self.reach, &self.config) != before {
            self.rotate().await;
        }
        self.listening();
    }

    fn close_links_to(&mut self, peer: PeerId) {
        let of_peer = self.connections.iter().filter(|(_, it)| it.peer == peer && !it.has_link);
        for connection in of_peer.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.swarm.close_connection(connection);
        }
    }

    /// Where others can reach us, loopback included.
    pub(super) fn addresses(&self) -> Vec<String> {
        let mut direct: Vec<String> = Vec::new();
        if !self.reach.relay_only {
            direct = self.confirmed.iter().map(Multiaddr::to_string).collect();
            for address in self.listeners.list() {
                if !direct.contains(&address) {
                    direct.push(address);
                }
            }
            direct.truncate(DIRECT_ADDRESSES_MAX);
        }
        direct.extend(self.relays.list().iter().map(Multiaddr::to_string));
        direct
    }

    pub(super) fn reaching_due(&mut self, now: Instant) {
        while let Some((peer, addresses)) = self.relays.take_due(now) {
            self.dial_relay(peer, addresses, now);
        }
        while let Some((peer, namespaces)) = self.meetings.take_due(now) {
            for namespace in namespaces {
                let places = &mut self.swarm.behaviour_mut().rendezvous.inner;
                if places.register(namespace, peer, Some(REGISTRATION_SECONDS)).is_err() {
                    // Our relayed address is about to be confirmed.
                    self.meetings.failed(peer, now);
                }
            }
        }
        while let Some((peer, due)) = self.punches.take_due(now) {
            match due {
                Due::Try(address) => {
                    self.dial(Attempt { address, purpose: Purpose::Punch(peer) });
                }
                Due::GiveUp => self.close_spent(peer),
            }
        }
    }

    // Relays

    fn dial_relay(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        let here = self.connections.values().find(|it| it.peer == peer && it.dialled);
        if let Some(at) = here.map(|it| it.address.clone()) {
            self.ask_for_place(peer, &at, now);
            return;
        }
        let options = DialOpts::peer_id(peer).addresses(addresses);
        let options = options.condition(PeerCondition::Always).build();
        if self.swarm.dial(options).is_err() {
            self.relays.failed(peer, now);
        }
    }

    pub(super) fn connected(&mut self, id: ConnectionId, connection: &Connection) {
        let now = Instant::now();
        if connection.dialled && self.relays.is_dialling(connection.peer) {
            self.ask_for_place(connection.peer, &connection.address.clone(), now);
            self.show_tcp(connection);
        }
        // What it was dialled for goes on by itself.
        if self.dials.is_punch(id) {
            self.dials.ended(id);
        }
    }

    /// Has a bootstrap see our TCP port too: others may have no UDP.
    fn show_tcp(&mut self, connection: &Connection) {
        let addresses = self.relays.tcp_addresses(connection.peer);
        if address::is_tcp(&connection.address) || addresses.is_empty() {
            return;
        }
        let options = DialOpts::peer_id(connection.peer).addresses(addresses);
        let options = options.condition(PeerCondition::Always).build();
        self.swarm.behaviour_mut().admission.expect_renewal(options.connection_id());
        let _ = self.swarm.dial(options);
    }

    fn ask_for_place(&mut self, peer: PeerId, at: &Multiaddr, now: Instant) {
        match self.swarm.listen_on(relays::circuit(peer, at)) {
            Ok(listener) => self.relays.asking(peer, listener),
            Err(_) => self.relays.failed(peer, now),
        }
    }

    /// The last connection to a peer may have ended.
    pub(super) fn disconnected(&mut self, peer: PeerId) {
        if self.relays.knows(peer) && !self.connections.values().any(|it| it.peer == peer) {
            self.relays.failed(peer, Instant::now());
            self.meetings.left(peer);
            self.listening();
        }
    }

    /// A relay lets others reach us at this address.
    pub(super) fn reserved(&mut self, listener: ListenerId, at: &Multiaddr) {
        let own = *self.swarm.local_peer_id();
        let whole = match at.iter().last() {
            Some(Protocol::P2pCircuit) => at.clone().with(Protocol::P2p(own)),
            _ => at.clone(),
        };
        let Some(whole) = address::normalise(&whole) else { return };
        let now = Instant::now();
        if let Some(relay) = self.relays.opened(listener, &whole) {
            for namespace in self.meetings.arrived(relay, now) {
                self.discover(namespace, relay);
            }
        }
    }

    /// We have another address, or one less: connections that left from where nothing leaves any
    /// more are dead, which would be noticed late.
    pub(super) fn moved(&mut self) {
        let is_gone =
            |it: &Connection| it.leaves_from.is_some_and(|from| is_dead(&it.address, from));
        let dead = self.connections.iter().filter(|(_, it)| is_gone(it)).map(|(id, _)| *id);
        let dead: Vec<ConnectionId> = dead.collect();
        if !dead.is_empty() {
            // We are seen elsewhere now.
            self.seen.clear();
            self.confirmed.clear();
        }
        for connection in dead {
            self.swarm.close_connection(connection);
        }
        self.relays.hurry(Instant::now());
    }

    // How we are seen

    pub(super) fn identified(&mut self, event: identify::Event) {
        let identify::Event::Received { connection_id, peer_id, info } = event else { return };
        let Some(connection) = self.connections.get(&connection_id) else { return };
        // Dials by TCP leave from another port but to bootstraps.
        let told = connection.dialled && !connection.relayed && self.relays.knows(peer_id);
        let Some(seen) = address::normalise(&info.observed_addr).filter(|_| told) else { return };
        if address::is_relayed(&seen)
            || self.seen.len() >= SEEN_MAX
            || !self.seen.insert(seen.clone())
        {
            return;
        }
        let behaviour = self.swarm.behaviour_mut();
        if let Some(autonat) = behaviour.autonat.as_mut() {
            let candidate = NewExternalAddrCandidate { addr: &seen };
            autonat.inner.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
        }
        if let Some(punch) = behaviour.punch.as_mut() {
            punch.seen_as(&seen);
        }
    }

    /// A direct address leads here, as a bootstrap has tried or the router has promised.
    pub(super) fn confirmed(&mut self, at: &Multiaddr) {
        if address::is_relayed(at) || self.confirmed.len() >= CONFIRMED_MAX {
            return;
        }
        if address::normalise(at).is_some_and(|it| self.confirmed.insert(it)) {
            self.listening();
        }
    }

    pub(super) fn unconfirmed(&mut self, at: &Multiaddr) {
        if address::normalise(at).is_some_and(|it| self.confirmed.remove(&it)) {
            self.listening();
        }
    }

    // Meeting places

    /// We are to be found at these places alone.
    pub(super) fn register(&mut self, namespaces: Vec<String>) {
        let gone = self.meetings.register(namespaces, Instant::now());
        let relays: Vec<PeerId> = self.relays.reserved().collect();
        let places = &mut self.swarm.behaviour_mut().rendezvous.inner;
        for namespace in gone {
            // libp2p would register us there again whenever our addresses change.
            relays.iter().for_each(|relay| places.unregister(namespace.clone(), *relay));
        }
    }

    pub(super) fn meet(&mut self, namespaces: &[String]) {
        let now = Instant::now();
        let relays: Vec<PeerId> = self.relays.reserved().collect();
        for text in namespaces {
            if !self.meetings.look(text, now) {
                self.shared.counters.add(Counter::DialQueueFull);
                return;
            }
            for relay in &relays {
                namespace(text).into_iter().for_each(|it| self.discover(it, *relay));
            }
        }
    }

    fn discover(&mut self, namespace: rendezvous::Namespace, relay: PeerId) {
        let places = &mut self.swarm.behaviour_mut().rendezvous.inner;
        places.discover(Some(namespace), None, Some(REGISTRATIONS_MAX), relay);
    }

    pub(super) fn met(&mut self, event: rendezvous::client::Event) {
        let now = Instant::now();
        let registrations = match event {
            rendezvous::client::Event::Discovered { registrations, .. } => registrations,
            rendezvous::client::Event::RegisterFailed { rendezvous_node, .. } => {
                self.meetings.failed(rendezvous_node, now);
                return;
            }
            _ => return,
        };
        let count = usize::try_from(REGISTRATIONS_MAX).unwrap_or(usize::MAX);
        for registration in registrations.into_iter().take(count) {
            let peer = registration.record.peer_id();
            if peer == *self.swarm.local_peer_id() || self.swarm.behaviour().admission.has_met(peer)
            {
                continue;
            }
            let whole = |at: &Multiaddr| match at.iter().last() {
                Some(Protocol::P2pCircuit) => at.clone().with(Protocol::P2p(peer)),
                _ => at.clone(),
            };
            let told = registration.record.addresses().iter();
            let relayed = told.filter(|at| address::is_relayed(at)).map(whole);
            for at in
                relayed.filter_map(|at| address::normalise(&at)).take(REGISTERED_ADDRESSES_MAX)
            {
                let _ = self.want(at, now);
            }
        }
    }

    // Straight connections

    /// The engine has authenticated whoever is at the other end of a link.
    pub(super) fn trust(&mut self, link: LinkId, addresses: Vec<String>) {
        let Some(known) = self.links.get(link) else { return };
        let (peer, relayed, connection) = (known.peer, known.relayed, known.connection);
        self.swarm.behaviour_mut().admission.trust(connection);
        if !relayed {
            // What was dialled before this was known is of no use any more.
            self.links.retire_relayed(peer);
            self.punches.end(peer);
        }
        let Some(punch) = self.swarm.behaviour_mut().punch.as_mut() else { return };
        punch.trust(peer);
        if !relayed {
            return;
        }
        if let Some(at) = self.links.address_of(link).cloned() {
            self.punches.begin(peer, at, Instant::now());
            // In one network there is no need for it.
            self.dial_all(addresses);
        }
    }

    /// There is no link to a peer any more.
    pub(super) fn distrust(&mut self, peer: PeerId) {
        self.punches.end(peer);
        if let Some(punch) = self.swarm.behaviour_mut().punch.as_mut() {
            punch.forget(peer);
        }
    }

    pub(super) fn punched(&mut self, event: dcutr::Event) {
        let dcutr::Event { remote_peer_id: peer, result } = event;
        let now = Instant::now();
        match result {
            Ok(connection) => {
                self.shared.counters.add(Counter::Punched);
                self.punches.end(peer);
                self.swarm.behaviour_mut().link.open(peer, connection);
            }
            Err(_) => {
                self.shared.counters.add(Counter::PunchFailed);
                self.punches.failed(peer, now);
            }
        }
        self.close_spent(peer);
    }

    /// Closes connections through a relay that were made to agree on a straight one.
    fn close_spent(&mut self, peer: PeerId) {
        let spent = |it: &&Connection| it.peer == peer && it.relayed && !it.has_link;
        let of_peer = self.connections.iter().filter(|(_, it)| spent(it));
        for connection in of_peer.map(|(id, _)| *id).collect::<BTreeSet<_>>() {
            self.swarm.close_connection(connection);
        }
    }
}
