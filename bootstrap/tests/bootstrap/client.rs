//! A node as far as a bootstrap sees it, by libp2p's own parts, honest or not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use kith_common::{
    finding::{AddressKey, RecordKey},
    keys::SigningKey,
    time::Timestamp,
};
use kith_net::{address::split_peer, dht};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, autonat, identify,
    identity::Keypair,
    kad::{self, QueryResult, Quorum, store::MemoryStore, store::MemoryStoreConfig},
    noise, ping, relay, rendezvous,
    swarm::{ConnectionId, NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::time::timeout;

/// Long enough for a slow machine; only a test that fails waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) kad: kad::Behaviour<MemoryStore>,
    pub(crate) relay: relay::client::Behaviour,
    pub(crate) rendezvous: rendezvous::client::Behaviour,
    pub(crate) autonat: autonat::v2::client::Behaviour,
}

pub(crate) type Event = SwarmEvent<BehaviourEvent>;

pub(crate) struct Client {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) peer: PeerId,
}

impl Client {
    pub(crate) fn new() -> Self {
        let swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::new().nodelay(true), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_quic()
            .with_relay_client(noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(behaviour)
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
            .build();
        Self { peer: *swarm.local_peer_id(), swarm }
    }

    /// Connected with a server of records, whose address ends with its peer id.
    pub(crate) async fn connected(server: &Multiaddr) -> Self {
        let mut client = Self::new();
        client.connect(server.clone()).await;
        client.know(server);
        client
    }

    /// Knows a server of records.
    pub(crate) fn know(&mut self, server: &Multiaddr) {
        let (peer, _) = split_peer(server).unwrap();
        self.swarm.behaviour_mut().kad.add_address(&peer, server.clone());
    }

    pub(crate) async fn connect(&mut self, address: Multiaddr) -> ConnectionId {
        let options = DialOpts::from(address);
        let dialled = options.connection_id();
        self.swarm.dial(options).unwrap();
        self.wait("a connection", |event| match event {
            SwarmEvent::ConnectionEstablished { connection_id, .. }
                if *connection_id == dialled =>
            {
                Some(())
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. }
                if *connection_id == dialled =>
            {
                panic!("not connected: {error}")
            }
            _ => None,
        })
        .await;
        dialled
    }

    /// Waits for an event.
    pub(crate) async fn wait<T>(
        &mut self,
        what: &str,
        mut find: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                let event = self.swarm.select_next_some().await;
                if let Some(found) = find(&event) {
                    return found;
                }
            }
        };
        match timeout(PATIENCE, found).await {
            Ok(found) => found,
            Err(_) => panic!("waited for {what} in vain"),
        }
    }

    /// Goes on by itself.
    pub(crate) fn run(mut self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                self.swarm.select_next_some().await;
            }
        })
    }

    /// Puts a record where the table says it belongs; whether any server took it.
    pub(crate) async fn publish(&mut self, made: &Made) -> bool {
        let record = kad::Record::new(made.key.clone(), made.value.clone());
        let query = self.swarm.behaviour_mut().kad.put_record(record, Quorum::One).unwrap();
        self.put(query).await
    }

    /// Puts a record to one server.
    pub(crate) async fn offer(&mut self, made: &Made, to: PeerId) -> bool {
        let record = kad::Record::new(made.key.clone(), made.value.clone());
        let to = [to].into_iter();
        let query = self.swarm.behaviour_mut().kad.put_record_to(record, to, Quorum::One);
        self.put(query).await
    }

    async fn put(&mut self, query: kad::QueryId) -> bool {
        self.wait("a put", |event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed {
                id,
                result: QueryResult::PutRecord(result),
                ..
            })) if *id == query => Some(result.is_ok()),
            _ => None,
        })
        .await
    }

    /// What servers say is under a key.
    pub(crate) async fn look(&mut self, key: &[u8]) -> Vec<Vec<u8>> {
        let query = self.swarm.behaviour_mut().kad.get_record(kad::RecordKey::new(&key));
        let mut found = Vec::new();
        self.wait("an answer", |event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed {
                id,
                result: QueryResult::GetRecord(result),
                step,
                ..
            })) if *id == query => {
                if let Ok(kad::GetRecordOk::FoundRecord(one)) = result {
                    found.push(one.record.value.clone());
                }
                step.last.then_some(())
            }
            _ => None,
        })
        .await;
        found
    }
}

fn behaviour(key: &Keypair, relay: relay::client::Behaviour) -> Behaviour {
    let own = key.public().to_peer_id();
    let mut config = kad::Config::new(dht::PROTOCOL);
    config
        .set_max_packet_size(64 * 1024)
        .set_periodic_bootstrap_interval(None)
        .set_query_timeout(Duration::from_secs(15));
    let store = MemoryStore::with_config(
        own,
        MemoryStoreConfig { max_records: 100_000, ..MemoryStoreConfig::default() },
    );
    let identify = identify::Config::new("/kith/id/1".to_owned(), key.public());
    Behaviour {
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_secs(1))),
        kad: kad::Behaviour::with_config(own, store, config),
        relay,
        rendezvous: rendezvous::client::Behaviour::new(key.clone()),
        autonat: autonat::v2::client::Behaviour::default(),
    }
}

/// A record, or what pretends to be one.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// The record of a device with this number.
pub(crate) fn made(device: u32, sequence: u64) -> Made {
    made_at(device, sequence, now())
}

pub(crate) fn now() -> Timestamp {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    Timestamp::from_millis(millis.try_into().unwrap())
}

pub(crate) fn made_at(device: u32, sequence: u64, now: Timestamp) -> Made {
    let mut seed = [9; 32];
    seed[..4].copy_from_slice(&device.to_be_bytes());
    let (signer, addresses) = (SigningKey::from_seed(&seed), AddressKey::from_bytes(seed));
    let mut rng = ChaCha20Rng::seed_from_u64(sequence);
    let sequence = now.millis() / 1000 + sequence + 1;
    let value = addresses.seal_record(&signer, &[], (now, sequence), &mut rng);
    Made { key: RecordKey::of(signer.public()).as_bytes().to_vec(), value: value.into() }
}
