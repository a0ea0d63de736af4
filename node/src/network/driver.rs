//! What does the network do when?
//!
//! One task owns the swarm. It never waits for the engine: what the engine is to be told waits in
//! a bounded outbox, and the links' own tasks wait for themselves.

mod endings;
mod outbox;
mod reaching;

use std::{
    collections::{BTreeSet, HashMap},
    future::pending,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use futures::StreamExt;
use kith_net::address;
use libp2p::{
    Multiaddr, PeerId, Stream, Swarm, TransportError,
    core::{ConnectedPoint, Endpoint},
    mdns,
    swarm::{ConnectionId, DialError, ListenError, SwarmEvent, dial_opts::DialOpts},
};
use tokio::{sync::mpsc, time::sleep_until};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::outbox::Outbox;
use super::{
    Call, Handle, LinkId, NetworkConfig, NetworkError, NetworkEvent, Reach, Shared,
    carrier::{Carrier, Closing, Notice},
    counters::{Counter, denied},
    dials::{Attempt, Dials, Purpose},
    limits::{
        ANNOUNCEMENTS_MAX, DIAL_ADDRESSES_MAX, DIRECT_HEAD_START, NEIGHBOUR_COURTESY, NOTICES_MAX,
        OWN_ADDRESSES_MAX, QUIC_HEAD_START,
    },
    link,
    links::{Links, NewLink},
    listeners::Listeners,
    meetings::Meetings,
    neighbours::{Announced, Neighbours},
    punch::Punches,
    queue,
    relays::Relays,
    swarm::{self, Behaviour, Event},
};
use crate::route::own_address_towards;

/// The task that owns the swarm.
pub(super) struct Driver {
    config: NetworkConfig,
    shared: Arc<Shared>,
    events: mpsc::Sender<NetworkEvent>,
    calls: mpsc::Receiver<Call>,
    notices: mpsc::Receiver<Notice>,
    notices_in: mpsc::Sender<Notice>,
    stop: CancellationToken,
    abandon: CancellationToken,
    carriers: TaskTracker,
    swarm: Swarm<Behaviour>,
    listeners: Listeners,
    connections: HashMap<ConnectionId, Connection>,
    links: Links,
    dials: Dials,
    neighbours: Neighbours,
    own: BTreeSet<Multiaddr>,
    reach: Reach,
    relays: Relays,
    meetings: Meetings,
    punches: Punches,
    /// Direct addresses that are confirmed to lead here.
    confirmed: BTreeSet<Multiaddr>,
    /// Addresses that bootstraps have seen us at.
    seen: BTreeSet<Multiaddr>,
    outbox: Outbox,
    rotate_at: Option<Instant>,
}

/// An established connection.
#[derive(Clone, Debug)]
struct Connection {
    peer: PeerId,
    address: Multiaddr,
    /// Whether we opened it, and are to open the link on it.
    dialled: bool,
    relayed: bool,
    has_link: bool,
    /// From which address of ours it leaves; where that changes the connection is dead.
    leaves_from: Option<IpAddr>,
}

impl Connection {
    fn new(peer: PeerId, endpoint: &ConnectedPoint) -> Self {
        let remote = endpoint.get_remote_address();
        let (dialled, relayed) = match endpoint {
            ConnectedPoint::Dialer { role_override, .. } => {
                (*role_override == Endpoint::Dialer, address::is_relayed(remote))
            }
            ConnectedPoint::Listener { local_addr, .. } => (false, address::is_relayed(local_addr)),
        };
        let address = address::normalise(remote).unwrap_or_else(|| remote.clone());
        let leaves_from = if relayed { None } else { own_address_towards(remote) };
        Self { peer, address, dialled, relayed, has_link: false, leaves_from }
    }
}

/// What wakes the driver.
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one turn of the loop")]
enum Woken {
    Stop,
    Deadline,
    Told,
    Swarm(SwarmEvent<Event>),
    Call(Call),
    Notice(Notice),
}

impl Driver {
    /// Listens; nothing else happens before [`Driver::run`].
    pub(super) fn start(
        config: NetworkConfig,
        shared: Arc<Shared>,
        events: mpsc::Sender<NetworkEvent>,
        calls: mpsc::Receiver<Call>,
        stop: CancellationToken,
    ) -> Result<Self, NetworkError> {
        let reach = config.reach.clone();
        let mut swarm = swarm::build(&config, &reach, &reaching::openness(&reach, &config))?;
        let listeners = Listeners::start(&config.listen, &mut swarm, &shared.counters)?;
        let (notices_in, notices) = mpsc::channel(NOTICES_MAX);
        Ok(Self {
            links: Links::new(config.renewal),
            rotate_at: Instant::now().checked_add(config.rotation),
            config,
            shared,
            events,
            calls,
            notices,
            notices_in,
            stop,
            abandon: CancellationToken::new(),
            carriers: TaskTracker::new(),
            swarm,
            listeners,
            connections: HashMap::new(),
            dials: Dials::default(),
            neighbours: Neighbours::default(),
            own: BTreeSet::new(),
            reach,
            relays: Relays::default(),
            meetings: Meetings::default(),
            punches: Punches::default(),
            confirmed: BTreeSet::new(),
            seen: BTreeSet::new(),
            outbox: Outbox::default(),
        })
    }

    /// Runs until the network is stopped or nobody takes its events.
    pub(super) async fn run(mut self) {
        loop {
            match self.wait().await {
                Woken::Stop => break,
                Woken::Told | Woken::Deadline => {}
                Woken::Swarm(event) => self.swarm_event(event),
                Woken::Call(call) => self.call(call).await,
                Woken::Notice(notice) => self.notice(notice),
            }
            let now = Instant::now();
            if self.rotate_at.is_some_and(|at| at <= now) {
                self.rotate().await;
            }
            self.due(now);
        }
        self.links.closings().for_each(|closing| closing.now.cancel());
        self.end_links().await;
        self.abandon.cancel();
        self.carriers.close();
        self.carriers.wait().await;
    }

    async fn wait(&mut self) -> Woken {
        let deadline = self.deadline();
        let sleep = async {
            match deadline {
                Some(at) => sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        let told = self.outbox.next(Instant::now());
        tokio::select! {
            () = self.stop.cancelled() => Woken::Stop,
            () = self.events.closed() => Woken::Stop,
            permit = self.events.reserve(), if told.is_some() => match (permit, told) {
                (Ok(permit), Some(event)) => {
                    self.outbox.told(&event);
                    permit.send(event);
                    Woken::Told
                }
                _ => Woken::Stop,
            },
            event = self.swarm.select_next_some() => Woken::Swarm(event),
            Some(call) = self.calls.recv() => Woken::Call(call),
            Some(notice) = self.notices.recv() => Woken::Notice(notice),
            () = sleep => Woken::Deadline,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        [
            self.rotate_at,
            self.links.deadline(),
            self.dials.deadline(),
            self.neighbours.deadline(),
            self.relays.deadline(),
            self.meetings.deadline(),
            self.punches.deadline(),
            self.outbox.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn due(&mut self, now: Instant) {
        while let Some(renew) = self.links.take_due(now) {
            tracing::debug!(link = renew.link.0, "renewing");
            self.dial(Attempt { purpose: Purpose::Renew(renew.link), address: renew.address });
        }
        while let Some((address, peer)) = self.neighbours.take_due(now) {
            if !self.links.is_connected(peer) && self.want(address.clone(), now).is_err() {
                self.neighbours.failed(&address, now);
            }
        }
        while let Some(address) = self.dials.take_due(now) {
            if !self.is_known(&address) {
                self.dial(Attempt { purpose: Purpose::Link, address });
            }
        }
        self.reaching_due(now);
    }

    // Dialling

    async fn call(&mut self, call: Call) {
        match call {
            Call::Dial(addresses) => self.dial_all(addresses),
            Call::Reach(reach) => self.set_reach(reach).await,
            Call::Register(namespaces) => self.register(namespaces),
            Call::Meet(namespaces) => self.meet(&namespaces),
            Call::Trust(link, addresses) => self.trust(link, addresses),
        }
    }

    fn dial_all(&mut self, addresses: Vec<String>) {
        let now = Instant::now();
        let mut wanted = BTreeSet::new();
        for text in addresses.into_iter().take(DIAL_ADDRESSES_MAX) {
            match address::parse(&text) {
                Some(address) => drop(wanted.insert(address)),
                None => self.shared.counters.add(Counter::AddressRefused),
            }
        }
        let has_quic = wanted.iter().any(|address| !address::is_tcp(address));
        let has_direct = wanted.iter().any(|address| !address::is_relayed(address));
        for address in wanted {
            let mut due = now;
            if has_direct && address::is_relayed(&address) {
                due += DIRECT_HEAD_START;
            }
            if has_quic && address::is_tcp(&address) {
                due += QUIC_HEAD_START;
            }
            let _ = self.want(address, due);
        }
    }

    fn want(&mut self, address: Multiaddr, due: Instant) -> Result<(), ()> {
        if self.is_known(&address) {
            return Ok(());
        }
        self.dials.want(address, due).map_err(|_| self.shared.counters.add(Counter::DialQueueFull))
    }

    /// Whether the address is connected or our own.
    fn is_known(&self, address: &Multiaddr) -> bool {
        self.links.is_dialled(address)
            || self.listeners.listens_on(address)
            || self.own.contains(address)
    }

    fn dial(&mut self, attempt: Attempt) {
        for connection in self.links.leaving().collect::<Vec<_>>() {
            self.swarm.behaviour_mut().admission.leaving(connection);
        }
        let options = DialOpts::unknown_peer_id().address(attempt.address.clone());
        // A TCP dial from the listening port could not have the same peer twice. QUIC dials all
        // leave from the one socket that listens.
        let tcp = address::is_tcp(&attempt.address) && !address::is_relayed(&attempt.address);
        let options = if tcp { options.allocate_new_port() } else { options }.build();
        let connection = options.connection_id();
        let behaviour = self.swarm.behaviour_mut();
        match attempt.purpose {
            Purpose::Link => behaviour.link.expect(connection),
            Purpose::Renew(_) => {
                behaviour.admission.expect_renewal(connection);
                behaviour.link.expect(connection);
            }
            Purpose::Punch(_) => behaviour.admission.expect_renewal(connection),
        }
        match self.swarm.dial(options) {
            Ok(()) => self.dials.started(connection, attempt),
            Err(error) => self.dial_failed(attempt, None, error),
        }
    }

    fn dial_failed(&mut self, attempt: Attempt, peer: Option<PeerId>, error: DialError) {
        let counter = match error {
            DialError::LocalPeerId { .. } | DialError::NoAddresses => {
                if self.own.len() < OWN_ADDRESSES_MAX {
                    self.own.insert(attempt.address.clone());
                }
                Counter::SelfDial
            }
            DialError::Denied { cause } => denied(&cause, Counter::DialDenied),
            DialError::Transport(errors) => match errors.first() {
                Some((_, TransportError::MultiaddrNotSupported(_))) => Counter::AddressRefused,
                _ => Counter::DialFailed,
            },
            DialError::Aborted
            | DialError::DialPeerConditionFalse(_)
            | DialError::WrongPeerId { .. } => Counter::DialFailed,
        };
        self.shared.counters.add(counter);
        tracing::debug!(?counter, "dial failed");
        match (counter, peer) {
            (Counter::DuplicateLink, Some(peer)) => self.links.alias(peer, attempt.address),
            _ => self.attempt_failed(&attempt),
        }
    }

    fn attempt_failed(&mut self, attempt: &Attempt) {
        let now = Instant::now();
        self.neighbours.failed(&attempt.address, now);
        match attempt.purpose {
            Purpose::Link => {}
            Purpose::Renew(link) => {
                self.shared.counters.add(Counter::RenewalFailed);
                self.links.renewal_failed(link, now);
            }
            Purpose::Punch(peer) => self.punches.failed(peer, now),
        }
    }

    // What the swarm tells

    fn swarm_event(&mut self, event: SwarmEvent<Event>) {
        match event {
            SwarmEvent::Behaviour(event) => self.behaviour_event(event),
            SwarmEvent::ConnectionEstablished { connection_id, peer_id, endpoint, .. } => {
                let connection = Connection::new(peer_id, &endpoint);
                self.connected(connection_id, &connection);
                self.connections.insert(connection_id, connection);
            }
            SwarmEvent::ConnectionClosed { connection_id, peer_id, .. } => {
                self.connections.remove(&connection_id);
                self.disconnected(peer_id);
                if let Some(attempt) = self.dials.ended(connection_id) {
                    self.shared.counters.add(Counter::DialFailed);
                    self.attempt_failed(&attempt);
                }
            }
            SwarmEvent::IncomingConnectionError { error, .. } => {
                self.shared.counters.add(match error {
                    ListenError::Denied { cause } => denied(&cause, Counter::LimitReached),
                    // The dialling end of it is counted.
                    ListenError::LocalPeerId { .. } => return,
                    _ => Counter::HandshakeFailed,
                });
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                if let Some(attempt) = self.dials.ended(connection_id) {
                    self.dial_failed(attempt, peer_id, error);
                } else if let Some(peer) = peer_id.filter(|peer| self.relays.is_dialling(*peer)) {
                    self.relays.failed(peer, Instant::now());
                }
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                if address::is_relayed(&address) {
                    self.reserved(listener_id, &address);
                } else {
                    self.listeners.opened(listener_id, &address);
                    self.moved();
                }
                self.listening();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listeners.closed(&address);
                self.moved();
                self.listening();
            }
            SwarmEvent::ListenerClosed { listener_id, addresses, .. } => {
                if !self.relays.closed(listener_id, Instant::now()) {
                    self.shared.counters.add(Counter::ListenFailed);
                    addresses.iter().for_each(|address| self.listeners.closed(address));
                }
                self.listening();
            }
            SwarmEvent::ExternalAddrConfirmed { address } => self.confirmed(&address),
            SwarmEvent::ExternalAddrExpired { address } => {
                self.unconfirmed(&address);
            }
            SwarmEvent::ListenerError { .. } => self.shared.counters.add(Counter::ListenFailed),
            _ => {}
        }
    }

    fn listening(&mut self) {
        // An address that was ours may now be somebody else's.
        self.own.clear();
        self.shared.relays.store(self.relays.reserved().count(), Ordering::Relaxed);
        self.outbox.listening(self.addresses(), Instant::now());
    }

    fn behaviour_event(&mut self, event: Event) {
        match event {
            Event::Link(link::Event { connection, outcome: Ok(stream) }) => {
                self.open_link(connection, stream);
            }
            Event::Link(link::Event { connection, outcome: Err(failure) }) => {
                self.link_failed(connection, failure);
            }
            Event::Ping(ping) => {
                if ping.result.is_err() {
                    self.shared.counters.add(Counter::PingFailed);
                    self.swarm.close_connection(ping.connection);
                }
            }
            Event::Mdns(mdns::Event::Discovered(found)) => {
                let now = Instant::now();
                for (peer, address) in found {
                    self.discovered(peer, &address, now);
                }
                self.watch_discovery();
            }
            Event::Mdns(mdns::Event::Expired(gone)) => {
                for (peer, address) in gone {
                    if let Some(address) = address::normalise(&address) {
                        self.neighbours.expired(peer, &address);
                    }
                }
            }
            Event::Identify(event) => self.identified(event),
            Event::Rendezvous(event) => self.met(event),
            Event::Punch(event) => self.punched(event),
            Event::Other => {}
        }
    }

    fn link_failed(&mut self, connection: ConnectionId, failure: link::Failure) {
        let punches = self.connections.get(&connection).is_some_and(|it| it.relayed && !it.dialled);
        if failure == link::Failure::TimedOut && punches {
            // It may be there to agree on a straight one; if not, it ends by itself.
            return;
        }
        tracing::debug!(?failure, "connection without link");
        match failure {
            link::Failure::TimedOut => self.shared.counters.add(Counter::OpeningTimedOut),
            link::Failure::SecondStream => self.shared.counters.add(Counter::SecondStream),
            link::Failure::Refused => self.shared.counters.add(Counter::ProtocolRefused),
            link::Failure::Gone => {}
        }
        self.swarm.close_connection(connection);
    }

    fn open_link(&mut self, connection: ConnectionId, stream: Stream) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        known.has_link = true;
        let known = known.clone();
        let attempt = self.dials.ended(connection);
        let link = LinkId::next();
        let limits = &self.config.limits;
        let (queue_in, queue) = queue::bounded(limits.queue_frames_max, limits.queue_bytes_max);
        let closing = Closing::new();
        let handle = Handle { queue: queue_in, closing: closing.clone(), relayed: known.relayed };
        self.shared.links().insert(link, handle);
        let up = NetworkEvent::LinkUp {
            link,
            own_transport: self.swarm.local_peer_id().to_bytes().into(),
            peer_transport: known.peer.to_bytes().into(),
            address: known.address.to_string(),
            relayed: known.relayed,
        };
        let carrier = Carrier {
            link,
            up,
            queue,
            closing: closing.clone(),
            events: self.events.clone(),
            notices: self.notices_in.clone(),
            shared: Arc::clone(&self.shared),
            abandon: self.abandon.clone(),
            stall_timeout: limits.stall_timeout,
            wear_bytes_max: self.config.renewal_bytes,
        };
        let renews = attempt.and_then(|attempt| match attempt.purpose {
            Purpose::Renew(link) => Some(link),
            Purpose::Link | Purpose::Punch(_) => None,
        });
        // A straight link takes the place of one through a relay.
        let straightens = || {
            let straight = known.dialled && !known.relayed;
            straight.then(|| self.links.relayed_to(known.peer)).flatten()
        };
        let new = NewLink {
            link,
            connection,
            peer: known.peer,
            replaces: renews.or_else(straightens),
            dialled: known.dialled.then_some(known.address),
            relayed: known.relayed,
            closing,
        };
        self.links.insert(new, Instant::now(), RandomState::new().hash_one(link));
        tracing::debug!(link = link.0, "link up");
        self.carriers.spawn(carrier.run(stream));
    }

    fn discovered(&mut self, peer: PeerId, found: &Multiaddr, now: Instant) {
        let Some(address) = address::normalise(found) else {
            self.shared.counters.add(Counter::AddressRefused);
            return;
        };
        if peer == *self.swarm.local_peer_id() || self.is_known(&address) {
            return;
        }
        let mut due = now;
        if *self.swarm.local_peer_id() > peer {
            due += NEIGHBOUR_COURTESY;
        }
        if address::is_tcp(&address) {
            due += QUIC_HEAD_START;
        }
        match self.neighbours.announced(peer, &address, due) {
            Announced::New | Announced::Known => {}
            Announced::Full => self.shared.counters.add(Counter::NeighbourRefused),
        }
    }

    /// Switches discovery off when it is flooded: libp2p's list of announcements has no bound.
    fn watch_discovery(&mut self) {
        let mdns = &mut self.swarm.behaviour_mut().mdns;
        let announced = mdns.as_ref().map_or(0, |mdns| mdns.discovered_nodes().len());
        if announced > ANNOUNCEMENTS_MAX {
            *mdns = None.into();
            self.shared.counters.add(Counter::DiscoveryFlooded);
            tracing::warn!("too many announcements in the local network, no longer listening");
        }
    }

    // What links tell

    fn notice(&mut self, notice: Notice) {
        let now = Instant::now();
        match notice {
            Notice::Up(link) => self.links.up(link, now),
            Notice::Worn(link) => self.links.worn(link, now),
            Notice::Ending(link) => {
                let Some(ending) = self.links.get(link) else { return };
                let lasted = now.saturating_duration_since(ending.since);
                self.swarm.behaviour_mut().admission.leaving(ending.connection);
                let peer = ending.peer;
                if !self.links.is_connected(peer) {
                    self.neighbours.link_ended(peer, lasted, now);
                    self.distrust(peer);
                }
            }
            Notice::Done(link) => {
                if let Some(done) = self.links.remove(link) {
                    self.swarm.close_connection(done.connection);
                }
            }
        }
    }
}
