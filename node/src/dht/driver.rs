//! What happens in this node's part of the table when?

use std::{
    collections::{BTreeSet, HashMap},
    future::pending,
    net::IpAddr,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Instant,
};

use futures::StreamExt;
use kith_net::{address, admission::Source, dht};
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::ConnectedPoint,
    identify,
    kad::{
        self, GetClosestPeersError, GetRecordOk, PutRecordError, QueryId, QueryResult, Quorum,
        Record,
    },
    swarm::{ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, SwarmEvent},
};
use tokio::{sync::mpsc, time::sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Call, DhtConfig, Found, Numbers,
    limits::{LOOKUPS_MAX, REFRESH, SEEN_MAX, TURN, VISIT_TIME_MAX},
    queries::Queries,
    swarm::{self, Behaviour, Event},
};
use crate::{
    network::Reach,
    route::{is_dead, own_address_towards},
};

/// The task that owns the swarm, while there are bootstraps.
pub(super) struct Driver {
    config: DhtConfig,
    found: mpsc::Sender<Found>,
    calls: mpsc::Receiver<Call>,
    numbers: Arc<Numbers>,
    stop: CancellationToken,
    reach: Reach,
    swarm: Option<Swarm<Behaviour>>,
    connections: HashMap<ConnectionId, Connection>,
    seen: BTreeSet<Multiaddr>,
    queries: Queries,
    refresh_at: Instant,
    turn_at: Instant,
    rotate_at: Instant,
}

struct Connection {
    endpoint: ConnectedPoint,
    /// From which address of ours it leaves.
    leaves_from: Option<IpAddr>,
    since: Instant,
}

#[expect(clippy::large_enum_variant, reason = "lives on the stack for one turn of the loop")]
enum Woken {
    Stop,
    Deadline,
    Call(Call),
    Swarm(SwarmEvent<Event>),
}

impl Driver {
    pub(super) fn new(
        config: DhtConfig,
        found: mpsc::Sender<Found>,
        calls: mpsc::Receiver<Call>,
        numbers: Arc<Numbers>,
        stop: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        Self {
            config,
            found,
            calls,
            numbers,
            stop,
            reach: Reach::default(),
            swarm: None,
            connections: HashMap::new(),
            seen: BTreeSet::new(),
            queries: Queries::default(),
            refresh_at: now,
            turn_at: now,
            rotate_at: now,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.wait().await {
                Woken::Stop => return,
                Woken::Deadline => {}
                Woken::Call(call) => self.call(call),
                Woken::Swarm(event) => self.swarm_event(event).await,
            }
            self.due(Instant::now());
        }
    }

    async fn wait(&mut self) -> Woken {
        let deadline = self.deadline();
        let sleep = async {
            match deadline {
                Some(at) => sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        let event = async {
            match &mut self.swarm {
                Some(swarm) => swarm.select_next_some().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => Woken::Stop,
            call = self.calls.recv() => call.map_or(Woken::Stop, Woken::Call),
            event = event => Woken::Swarm(event),
            () = sleep => Woken::Deadline,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.swarm.as_ref()?;
        let queries = self.queries.deadline();
        [self.refresh_at, self.turn_at, self.rotate_at].into_iter().chain(queries).min()
    }

    fn call(&mut self, call: Call) {
        match call {
            Call::Reach(reach) => {
                if reach != self.reach {
                    self.reach = reach;
                    self.begin();
                }
            }
            Call::Publish(records) => self.queries.publish(records, Instant::now()),
            Call::Search(keys) => self.queries.search(keys),
        }
    }

    /// Begins anew, with another identity.
    fn begin(&mut self) {
        let now = Instant::now();
        self.connections.clear();
        self.seen.clear();
        self.numbers.serves.store(0, Ordering::Relaxed);
        self.swarm = None;
        self.rotate_at = now + self.config.rotation;
        self.refresh_at = now;
        self.queries.begin_anew(now);
        if self.reach.bootstraps.is_empty() {
            return;
        }
        let Some(mut swarm) = swarm::build(&self.config, &self.reach) else {
            tracing::error!("no part in the table: encryption cannot be set up");
            return;
        };
        for at in &self.config.listen {
            if swarm.listen_on(address::with_port(at, 0)).is_err() {
                tracing::debug!("the table does not listen at one of the addresses");
            }
        }
        self.swarm = Some(swarm);
    }

    fn due(&mut self, now: Instant) {
        if self.swarm.is_some() && self.rotate_at <= now {
            self.begin();
        }
        self.end_visits(now);
        let Some(swarm) = &mut self.swarm else { return };
        let kad = &mut swarm.behaviour_mut().kad;
        if self.refresh_at <= now {
            self.refresh_at = now + REFRESH;
            let _ = kad.bootstrap();
        }
        if self.turn_at <= now {
            self.turn_at = now + TURN;
            kad.store_mut().sweep();
            dht::take_turn(kad);
            let refused: u64 = kad.store_mut().refused().map(|(_, count)| count).sum();
            self.numbers.refused.store(refused, Ordering::Relaxed);
            self.numbers.kept.store(kad.store_mut().len() as u64, Ordering::Relaxed);
            let peers: usize = kad.kbuckets().map(|bucket| bucket.num_entries()).sum();
            self.numbers.peers.store(peers as u64, Ordering::Relaxed);
        }
        while let Some(key) = self.queries.take_due(now) {
            let query = kad.get_closest_peers(key.as_bytes().to_vec());
            self.queries.leaving(query, key);
        }
        while let Some(key) = self.queries.next_key() {
            let query = kad.get_record(key.as_bytes().to_vec().into());
            self.queries.asking(query, key, now);
        }
    }

    /// Closes what others keep open for too long.
    fn end_visits(&mut self, now: Instant) {
        let Some(swarm) = &mut self.swarm else { return };
        for (id, connection) in &self.connections {
            let age = now.saturating_duration_since(connection.since);
            if connection.endpoint.is_listener() && age >= VISIT_TIME_MAX {
                swarm.close_connection(*id);
            }
        }
    }

    async fn swarm_event(&mut self, event: SwarmEvent<Event>) {
        match event {
            SwarmEvent::Behaviour(Event::Kad(event)) => self.kad_event(event).await,
            SwarmEvent::Behaviour(Event::Identify(identify::Event::Received {
                connection_id,
                peer_id,
                info,
            })) => self.identified(connection_id, peer_id, &info),
            SwarmEvent::Behaviour(Event::Ping(ping)) => {
                if ping.result.is_err()
                    && let Some(swarm) = &mut self.swarm
                {
                    swarm.close_connection(ping.connection);
                }
            }
            SwarmEvent::ConnectionEstablished { connection_id, endpoint, .. } => {
                let leaves_from = own_address_towards(endpoint.get_remote_address());
                let connection = Connection { endpoint, leaves_from, since: Instant::now() };
                self.connections.insert(connection_id, connection);
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                self.connections.remove(&connection_id);
            }
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => self.moved(),
            _ => {}
        }
    }

    /// We have another address, or one less: what left from where nothing leaves any more is dead.
    fn moved(&mut self) {
        let Some(swarm) = &mut self.swarm else { return };
        for (id, connection) in &self.connections {
            let remote = connection.endpoint.get_remote_address();
            if connection.leaves_from.is_some_and(|from| is_dead(remote, from)) {
                swarm.close_connection(*id);
            }
        }
    }

    fn identified(&mut self, connection: ConnectionId, peer: PeerId, info: &identify::Info) {
        let Some(Connection { endpoint, .. }) = self.connections.get(&connection) else { return };
        let Some(swarm) = &mut self.swarm else { return };
        let behaviour = swarm.behaviour_mut();
        if info.protocols.contains(&dht::PROTOCOL) {
            let at = endpoint.get_remote_address();
            dht::add_told(&mut behaviour.kad, peer, at, &info.listen_addrs);
        }
        let is_bootstrap = self.reach.bootstraps.iter().any(|(known, _)| *known == peer);
        if !is_bootstrap || !endpoint.is_dialer() || self.seen.len() >= SEEN_MAX {
            return;
        }
        let Some(seen) = address::normalise(&info.observed_addr) else { return };
        if let Some(autonat) = behaviour.autonat.as_mut()
            && self.seen.insert(seen.clone())
        {
            let candidate = NewExternalAddrCandidate { addr: &seen };
            autonat.inner.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
        }
    }

    async fn kad_event(&mut self, event: kad::Event) {
        if let Some(swarm) = &mut self.swarm {
            let connections = &self.connections;
            let source = |id: ConnectionId| {
                let Some(connection) = connections.get(&id) else {
                    return Some(Source::Unknown);
                };
                match &connection.endpoint {
                    ConnectedPoint::Listener { local_addr, send_back_addr } => {
                        Source::of(local_addr, send_back_addr)
                    }
                    ConnectedPoint::Dialer { address, .. } => {
                        Source::of(&Multiaddr::empty(), address)
                    }
                }
            };
            dht::heed(&mut swarm.behaviour_mut().kad, &event, source);
        }
        match event {
            kad::Event::OutboundQueryProgressed { id, result, step, .. } => {
                self.progressed(id, result, step.last).await;
            }
            kad::Event::ModeChanged { new_mode } => {
                let serves = u64::from(new_mode == kad::Mode::Server);
                self.numbers.serves.store(serves, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    async fn progressed(&mut self, query: QueryId, result: QueryResult, is_last: bool) {
        let taken = match &result {
            QueryResult::PutRecord(Ok(_)) => true,
            QueryResult::PutRecord(Err(
                PutRecordError::QuorumFailed { success, .. }
                | PutRecordError::Timeout { success, .. },
            )) => !success.is_empty(),
            _ => false,
        };
        if let QueryResult::GetRecord(Ok(GetRecordOk::FoundRecord(found))) = &result
            && let Some((key, since)) = self.queries.found(query, &found.record.value)
        {
            self.took(since);
            self.numbers.found.fetch_add(1, Ordering::Relaxed);
            let _ = self.found.send(Found { key, value: found.record.value.clone() }).await;
        }
        if !is_last {
            return;
        }
        if let QueryResult::GetClosestPeers(near) = result {
            let near = near.map_or_else(
                |error| match error {
                    GetClosestPeersError::Timeout { peers, .. } => peers,
                },
                |near| near.peers,
            );
            self.leave(query, near.into_iter().map(|peer| peer.peer_id));
        } else {
            self.queries.ended(query, taken, Instant::now());
        }
    }

    /// Remembers how long a lookup took.
    fn took(&self, since: Option<Instant>) {
        let Some(since) = since else { return };
        let took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut lookups = self.numbers.lookups_ms.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.push_back(took_ms);
        while lookups.len() > LOOKUPS_MAX {
            lookups.pop_front();
        }
    }

    /// Leaves a record with the servers near its key, and with all bootstraps. Kademlia's own way
    /// would say with each record who publishes it.
    fn leave(&mut self, query: QueryId, near: impl Iterator<Item = PeerId>) {
        let Some((key, value)) = self.queries.near(query) else { return };
        let Some(swarm) = &mut self.swarm else { return };
        let bootstraps = self.reach.bootstraps.iter().map(|(peer, _)| *peer);
        // Nodes that hide their addresses ask bootstraps alone.
        let mut all: Vec<PeerId> = bootstraps.collect();
        all.extend(near.filter(|peer| !self.reach.bootstraps.iter().any(|(one, _)| one == peer)));
        let record = Record::new(key.as_bytes().to_vec(), value);
        let kad = &mut swarm.behaviour_mut().kad;
        // With a lower quorum libp2p stops at the first who takes it.
        let query = kad.put_record_to(record, all.into_iter(), Quorum::All);
        self.queries.leaving(query, key);
    }
}
