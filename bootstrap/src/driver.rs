//! What happens when? One task owns our libp2p node.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use kith_net::{
    admission::{Refusal, Source},
    bootstrap::Bootstrap,
    dht,
    resolver::{Resolver, resolve},
};
use kith_server::Stop;
use libp2p::{
    Multiaddr, PeerId, Swarm, identify,
    request_response::{Event as Exchange, Message},
    swarm::{
        ConnectionDenied, ConnectionId, DialError, ListenError, SwarmEvent, dial_opts::DialOpts,
    },
};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{
    error::StartError,
    limits::{
        ENDING_TIME_MAX, LISTENING_SETTLES, LISTENING_TIME_MAX, NAMES_PAUSE, SWEEP_PAUSE,
        TURN_PAUSE, VISIT_TIME_MAX,
    },
    listeners::Listeners,
    meeting::{Asking, Meetings},
    metrics::{Counts, Numbers},
    peers::Peers,
    state::State,
    swarm::{Behaviour, Event},
};

type Found = Vec<(PeerId, Vec<Multiaddr>)>;

/// The task that owns our libp2p node.
pub(crate) struct Driver {
    swarm: Swarm<Behaviour>,
    listeners: Listeners,
    meetings: Meetings,
    connections: HashMap<ConnectionId, Connection>,
    named: Named,
    peers: Peers,
    counts: Counts,
    state: Arc<State>,
    sweep_at: Instant,
    hand_on_at: Instant,
}

/// An established connection.
#[derive(Debug)]
struct Connection {
    peer: PeerId,
    remote: Multiaddr,
    source: Option<Source>,
    since: Instant,
}

/// The other bootstraps as the operator named them, and the look for who they are.
pub(crate) struct Named {
    pub(crate) bootstraps: Vec<Bootstrap>,
    pub(crate) resolver: Option<Resolver>,
    look: Option<BoxFuture<'static, Found>>,
    look_at: Option<Instant>,
    /// The first look has ended, or there is nobody to look for.
    is_known: bool,
}

impl Named {
    /// Nobody was looked for yet. Without a resolver, there are no names among them.
    pub(crate) fn new(bootstraps: Vec<Bootstrap>, resolver: Option<Resolver>) -> Self {
        let look_at = (!bootstraps.is_empty()).then(Instant::now);
        Self { is_known: look_at.is_none(), bootstraps, resolver, look: None, look_at }
    }

    /// Begins a look whose time has come. Names can lead somewhere else later.
    fn begin(&mut self, now: Instant) {
        if self.look_at.is_none_or(|at| at > now) {
            return;
        }
        self.look_at = self.resolver.is_some().then(|| now + NAMES_PAUSE);
        let (bootstraps, resolver) = (self.bootstraps.clone(), self.resolver.clone());
        self.look = Some(async move { resolve(&bootstraps, resolver.as_ref()).await }.boxed());
    }

    async fn found(&mut self) -> Found {
        let found = match &mut self.look {
            Some(look) => look.await,
            None => std::future::pending().await,
        };
        self.look = None;
        self.is_known = true;
        found
    }
}

impl Driver {
    /// Waits until it is known where we listen.
    ///
    /// # Errors
    /// If that does not become known.
    pub(crate) async fn start(
        swarm: Swarm<Behaviour>,
        listeners: Listeners,
        meetings: Meetings,
        named: Named,
        state: Arc<State>,
    ) -> Result<Self, StartError> {
        let (own, now) = (*swarm.local_peer_id(), Instant::now());
        let mut driver = Self {
            swarm,
            listeners,
            meetings,
            connections: HashMap::new(),
            named,
            peers: Peers::new(own),
            counts: Counts::default(),
            state,
            sweep_at: now + SWEEP_PAUSE,
            hand_on_at: now,
        };
        let end = Instant::now() + LISTENING_TIME_MAX;
        loop {
            let complete = driver.listeners.are_complete();
            let left = end.saturating_duration_since(Instant::now());
            let patience = if complete { LISTENING_SETTLES.min(left) } else { left };
            match timeout(patience, driver.swarm.select_next_some()).await {
                Ok(event) => driver.swarm_event(event),
                Err(_) if complete => break,
                Err(_) => return Err(StartError::NoAddress),
            }
        }
        driver.tell_addresses();
        driver.tell_numbers();
        Ok(driver)
    }

    /// Runs until the service stops.
    pub(crate) async fn run(mut self, stop: Stop) {
        let mut turns = interval(TURN_PAUSE);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.stopped() => break,
                event = self.swarm.select_next_some() => self.swarm_event(event),
                found = self.named.found() => self.peers.learned(found, Instant::now()),
                _ = turns.tick() => self.turn(Instant::now()),
            }
        }
        self.end().await;
    }

    fn turn(&mut self, now: Instant) {
        self.named.begin(now);
        while let Some((peer, addresses)) = self.peers.take_due(now) {
            self.dial(peer, addresses, now);
        }
        if self.hand_on_at <= now {
            self.hand_on_at = now + Duration::from_secs(1);
            dht::take_turn(&mut self.swarm.behaviour_mut().dht);
        }
        if self.sweep_at <= now {
            self.sweep_at = now + SWEEP_PAUSE;
            self.swarm.behaviour_mut().dht.store_mut().sweep();
            self.meetings.sweep(now);
            self.end_visits(now);
        }
        self.tell_numbers();
    }

    // Connections

    fn dial(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        let options = DialOpts::peer_id(peer).addresses(addresses).build();
        match self.swarm.dial(options) {
            Ok(()) => {}
            Err(DialError::DialPeerConditionFalse(_)) => self.peers.connected(peer, now),
            Err(_) => self.peers.failed(peer, now),
        }
    }

    /// Closes connections that are there for nothing.
    fn end_visits(&mut self, now: Instant) {
        let over = self.connections.iter().filter(|(id, connection)| {
            now.saturating_duration_since(connection.since) >= VISIT_TIME_MAX
                && !self.swarm.behaviour().relaying.needs(**id)
        });
        for id in over.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.swarm.close_connection(id);
        }
    }

    fn swarm_event(&mut self, event: SwarmEvent<Event>) {
        match event {
            SwarmEvent::Behaviour(event) => self.behaviour_event(event),
            SwarmEvent::ConnectionEstablished { connection_id, peer_id, endpoint, .. } => {
                let remote = endpoint.get_remote_address().clone();
                let source = Source::of(&Multiaddr::empty(), &remote);
                let connection =
                    Connection { peer: peer_id, remote, source, since: Instant::now() };
                self.peers.connected(peer_id, connection.since);
                self.connections.insert(connection_id, connection);
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                self.connections.remove(&connection_id);
            }
            SwarmEvent::IncomingConnectionError { error, .. } => match error {
                ListenError::Denied { cause } => self.denied(&cause),
                _ => self.counts.handshakes_failed += 1,
            },
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                if let DialError::Denied { cause } = &error {
                    self.denied(cause);
                }
                if let Some(peer) = peer_id {
                    self.peers.failed(peer, Instant::now());
                }
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.retell(|listeners| listeners.opened(listener_id, &address));
            }
            SwarmEvent::ExpiredListenAddr { listener_id, address } => {
                self.retell(|listeners| listeners.closed(listener_id, &address));
            }
            SwarmEvent::ListenerClosed { listener_id, addresses, .. } => {
                tracing::error!("a listener has ended");
                for address in addresses {
                    self.retell(|listeners| listeners.closed(listener_id, &address));
                }
            }
            _ => {}
        }
    }

    fn denied(&mut self, cause: &ConnectionDenied) {
        match cause.downcast_ref::<Refusal>() {
            Some(_) => self.counts.connections_refused += 1,
            None => self.counts.memory_full += 1,
        }
    }

    // Protocols

    fn behaviour_event(&mut self, event: Event) {
        match event {
            Event::Identify(event) => self.identified(*event),
            Event::Ping(ping) => {
                if ping.result.is_err() {
                    self.swarm.close_connection(ping.connection);
                }
            }
            Event::Dht(event) => {
                let (connections, peers) = (&self.connections, &self.peers);
                let source_of = |connection| source_of(connections, peers, connection);
                dht::heed(&mut self.swarm.behaviour_mut().dht, &event, source_of);
            }
            Event::Meeting(event) => self.met(event),
            Event::Relaying | Event::Probing => {}
        }
    }

    /// Servers come into the routing table.
    fn identified(&mut self, event: identify::Event) {
        let identify::Event::Received { connection_id, peer_id, info } = event else { return };
        let Some(connection) = self.connections.get(&connection_id) else { return };
        if info.protocols.contains(&dht::PROTOCOL) {
            let dht = &mut self.swarm.behaviour_mut().dht;
            dht::add_told(dht, peer_id, &connection.remote, &info.listen_addrs);
        }
    }

    fn met(&mut self, event: crate::meeting::Event) {
        let Exchange::Message {
            peer,
            connection_id,
            message: Message::Request { request, channel, .. },
        } = event
        else {
            return;
        };
        let source = source_of(&self.connections, &self.peers, connection_id);
        let asking = Asking { peer, source, now: Instant::now() };
        if let Some(answer) = self.meetings.answer(asking, request) {
            // Whoever asked may be gone.
            let _ = self.swarm.behaviour_mut().meeting.send_response(channel, answer);
        }
    }

    // Telling

    fn retell(&mut self, change: impl FnOnce(&mut Listeners) -> bool) {
        let before = self.listeners.told().to_vec();
        if !change(&mut self.listeners) {
            return;
        }
        for address in &before {
            self.swarm.remove_external_address(address);
        }
        for address in self.listeners.told() {
            self.swarm.add_external_address(address.clone());
        }
        self.tell_addresses();
    }

    fn tell_addresses(&self) {
        self.state.tell_addresses(self.listeners.told());
    }

    fn tell_numbers(&mut self) {
        let is_ready =
            self.listeners.is_any_left() && self.named.is_known && self.peers.are_tried();
        let meetings = &self.meetings;
        let peers = self.connections.values().filter(|one| self.peers.contains(one.peer)).count();
        let behaviour = self.swarm.behaviour_mut();
        let (incoming, outgoing) = behaviour.admission.established();
        let servers = behaviour.dht.kbuckets().map(|bucket| bucket.num_entries()).sum();
        let numbers = Numbers {
            is_ready,
            incoming,
            outgoing,
            peers,
            servers,
            counts: self.counts,
            records: behaviour.dht.store_mut().len(),
            records_refused: behaviour.dht.store_mut().refused().collect(),
            places: behaviour.relaying.places(),
            circuits: behaviour.relaying.circuits(),
            relaying_refused: behaviour.relaying.refused(),
            probes_refused: behaviour.probing.refused(),
            registrations: meetings.len(),
            registrations_refused: meetings.refused().collect(),
        };
        self.state.tell_numbers(numbers);
    }

    // Ending

    /// Closes all connections, so that the other ends know at once.
    async fn end(&mut self) {
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closing = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        let _ = timeout(ENDING_TIME_MAX, closing).await;
    }
}

/// Where something comes from. Other bootstraps of the operator have no bound of their own: they
/// hand on what came from many sources.
fn source_of(
    connections: &HashMap<ConnectionId, Connection>,
    peers: &Peers,
    connection: ConnectionId,
) -> Option<Source> {
    let Some(connection) = connections.get(&connection) else { return Some(Source::Unknown) };
    connection.source.filter(|_| !peers.contains(connection.peer))
}

#[cfg(test)]
mod tests;
