//! What does the network do when?
//!
//! One task owns the swarm. It never waits for the engine: what the engine is to be told waits in
//! a bounded outbox, and the links' own tasks wait for themselves.

use std::{
    collections::{BTreeSet, HashMap},
    future::pending,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Instant,
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Stream, Swarm, TransportError, mdns,
    swarm::{
        ConnectionDenied, ConnectionId, DialError, ListenError, SwarmEvent, dial_opts::DialOpts,
    },
};
use tokio::{sync::mpsc, time::sleep_until};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Handle, LinkId, NetworkConfig, NetworkError, NetworkEvent, Shared, address,
    admission::Refusal,
    carrier::{Carrier, Closing, Notice},
    counters::Counter,
    dials::{Attempt, Dials},
    limits::{
        ANNOUNCEMENTS_MAX, DIAL_ADDRESSES_MAX, ENDING_TIMEOUT, LISTENING_SETTLES,
        NEIGHBOUR_COURTESY, NOTICES_MAX, OWN_ADDRESSES_MAX, QUIC_HEAD_START,
    },
    link,
    links::{Links, NewLink},
    listeners::Listeners,
    neighbours::{Announced, Neighbours},
    queue,
    swarm::{self, Behaviour, Event},
};

/// The task that owns the swarm.
pub(super) struct Driver {
    config: NetworkConfig,
    shared: Arc<Shared>,
    events: mpsc::Sender<NetworkEvent>,
    calls: mpsc::Receiver<Vec<String>>,
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
    outbox: Outbox,
    rotate_at: Option<Instant>,
}

/// An established connection.
#[derive(Clone, Debug)]
struct Connection {
    peer: PeerId,
    address: Multiaddr,
    dialled: bool,
}

/// What wakes the driver.
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one turn of the loop")]
enum Woken {
    Stop,
    Deadline,
    Told,
    Swarm(SwarmEvent<Event>),
    Call(Vec<String>),
    Notice(Notice),
}

impl Driver {
    /// Listens; nothing else happens before [`Driver::run`].
    pub(super) fn start(
        config: NetworkConfig,
        shared: Arc<Shared>,
        events: mpsc::Sender<NetworkEvent>,
        calls: mpsc::Receiver<Vec<String>>,
        stop: CancellationToken,
    ) -> Result<Self, NetworkError> {
        let mut swarm = swarm::build(&config)?;
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
                Woken::Call(addresses) => self.call(addresses),
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
            Some(addresses) = self.calls.recv() => Woken::Call(addresses),
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
            self.outbox.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn due(&mut self, now: Instant) {
        while let Some(renew) = self.links.take_due(now) {
            tracing::debug!(link = renew.link.0, "renewing");
            self.dial(Attempt { address: renew.address, renews: Some(renew.link) });
        }
        while let Some((address, peer)) = self.neighbours.take_due(now) {
            if !self.links.is_connected(peer) && self.want(address.clone(), now).is_err() {
                self.neighbours.failed(&address, now);
            }
        }
        while let Some(address) = self.dials.take_due(now) {
            if !self.is_known(&address) {
                self.dial(Attempt { address, renews: None });
            }
        }
    }

    // Dialling

    fn call(&mut self, addresses: Vec<String>) {
        let now = Instant::now();
        let mut wanted = BTreeSet::new();
        for text in addresses.into_iter().take(DIAL_ADDRESSES_MAX) {
            match address::parse(&text) {
                Some(address) => drop(wanted.insert(address)),
                None => self.shared.counters.add(Counter::AddressRefused),
            }
        }
        let has_quic = wanted.iter().any(|address| !address::is_tcp(address));
        for address in wanted {
            let late = has_quic && address::is_tcp(&address);
            let _ = self.want(address, if late { now + QUIC_HEAD_START } else { now });
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
        let tcp = address::is_tcp(&attempt.address);
        let options = if tcp { options.allocate_new_port() } else { options }.build();
        let connection = options.connection_id();
        if attempt.renews.is_some() {
            self.swarm.behaviour_mut().admission.expect_renewal(connection);
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
        if let Some(link) = attempt.renews {
            self.shared.counters.add(Counter::RenewalFailed);
            self.links.renewal_failed(link, now);
        }
    }

    // What the swarm tells

    fn swarm_event(&mut self, event: SwarmEvent<Event>) {
        match event {
            SwarmEvent::Behaviour(event) => self.behaviour_event(event),
            SwarmEvent::ConnectionEstablished { connection_id, peer_id, endpoint, .. } => {
                let remote = endpoint.get_remote_address();
                let address = address::normalise(remote).unwrap_or_else(|| remote.clone());
                let dialled = endpoint.is_dialer();
                let connection = Connection { peer: peer_id, address, dialled };
                self.connections.insert(connection_id, connection);
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                self.connections.remove(&connection_id);
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
                }
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.listeners.opened(listener_id, &address);
                self.listening();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listeners.closed(&address);
                self.listening();
            }
            SwarmEvent::ListenerClosed { addresses, .. } => {
                self.shared.counters.add(Counter::ListenFailed);
                addresses.iter().for_each(|address| self.listeners.closed(address));
                self.listening();
            }
            SwarmEvent::ListenerError { .. } => self.shared.counters.add(Counter::ListenFailed),
            _ => {}
        }
    }

    fn listening(&mut self) {
        // An address that was ours may now be somebody else's.
        self.own.clear();
        self.outbox.listening(self.listeners.list(), Instant::now());
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
            Event::Identify => {}
        }
    }

    fn link_failed(&mut self, connection: ConnectionId, failure: link::Failure) {
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
        let Some(known) = self.connections.get(&connection).cloned() else { return };
        let attempt = self.dials.ended(connection);
        let link = LinkId::next();
        let limits = &self.config.limits;
        let (queue_in, queue) = queue::bounded(limits.queue_frames_max, limits.queue_bytes_max);
        let closing = Closing::new();
        let handle = Handle { queue: queue_in, closing: closing.clone() };
        self.shared.links().insert(link, handle);
        let up = NetworkEvent::LinkUp {
            link,
            own_transport: self.swarm.local_peer_id().to_bytes().into(),
            peer_transport: known.peer.to_bytes().into(),
            address: known.address.to_string(),
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
        let new = NewLink {
            link,
            connection,
            peer: known.peer,
            dialled: known.dialled.then_some(known.address),
            replaces: attempt.and_then(|attempt| attempt.renews),
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
                if !self.links.is_connected(ending.peer) {
                    self.neighbours.link_ended(ending.peer, lasted, now);
                }
            }
            Notice::Done(link) => {
                if let Some(done) = self.links.remove(link) {
                    self.swarm.close_connection(done.connection);
                }
            }
        }
    }

    // Endings

    /// Starts anew with another identity on the same ports. The engine redials what it needs.
    async fn rotate(&mut self) {
        self.rotate_at = Instant::now().checked_add(self.config.rotation);
        let Ok(swarm) = swarm::build(&self.config) else {
            tracing::error!("no new transport identity");
            return;
        };
        tracing::debug!("new transport identity");
        self.links.closings().for_each(|closing| closing.retire.cancel());
        self.end_links().await;
        self.listeners.stop(&mut self.swarm);
        self.swarm = swarm;
        self.links.clear();
        self.connections.clear();
        self.dials.reset();
        self.neighbours.reset();
        self.own.clear();
        self.listeners.restart(&mut self.swarm, &self.shared.counters).await;
    }

    /// Waits a moment for all links, which are closing, and for their connections.
    async fn end_links(&mut self) {
        let deadline = sleep_until((Instant::now() + ENDING_TIMEOUT).into());
        tokio::pin!(deadline);
        while !(self.links.is_empty() && self.connections.is_empty()) {
            tokio::select! {
                () = &mut deadline => break,
                Some(notice) = self.notices.recv() => self.notice(notice),
                event = self.swarm.select_next_some() => match event {
                    SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                        self.swarm.close_connection(connection_id);
                    }
                    SwarmEvent::ConnectionClosed { connection_id, .. } => {
                        self.connections.remove(&connection_id);
                    }
                    _ => {}
                },
            }
        }
    }
}

fn denied(cause: &ConnectionDenied, otherwise: Counter) -> Counter {
    match cause.downcast_ref::<Refusal>() {
        Some(Refusal::Limit) => Counter::LimitReached,
        Some(Refusal::Duplicate) => Counter::DuplicateLink,
        None if is_memory(cause) => Counter::MemoryLimitReached,
        None => otherwise,
    }
}

fn is_memory(cause: &ConnectionDenied) -> bool {
    use libp2p::memory_connection_limits::MemoryUsageLimitExceeded;
    cause.downcast_ref::<MemoryUsageLimitExceeded>().is_some()
}

/// What the engine is still to be told, apart from links: the latest only.
#[derive(Debug, Default)]
struct Outbox {
    listening: Option<(Instant, Vec<String>)>,
    listening_told: Vec<String>,
}

impl Outbox {
    /// Addresses come one by one: they are told together, when there has been no change for a bit.
    fn listening(&mut self, addresses: Vec<String>, now: Instant) {
        self.listening = Some((now + LISTENING_SETTLES, addresses));
    }

    fn next(&mut self, now: Instant) -> Option<NetworkEvent> {
        self.listening.take_if(|(_, addresses)| *addresses == self.listening_told);
        let settled = self.listening.as_ref().filter(|(at, _)| *at <= now);
        settled.map(|(_, addresses)| NetworkEvent::Listening { addresses: addresses.clone() })
    }

    fn told(&mut self, event: &NetworkEvent) {
        if let NetworkEvent::Listening { addresses } = event {
            self.listening_told.clone_from(addresses);
            self.listening = None;
        }
    }

    /// When a list that is not told yet has settled; afterwards only the engine is waited for.
    fn deadline(&self) -> Option<Instant> {
        let (at, _) = self.listening.as_ref()?;
        (*at > Instant::now()).then_some(*at)
    }
}
