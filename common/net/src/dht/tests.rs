//! Do servers keep, hand on and find what they should, and nothing else?

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use kith_common::{
    finding::{AddressKey, RecordKey},
    keys::SigningKey,
    time::Timestamp,
};
use libp2p::{
    Swarm, SwarmBuilder,
    kad::{Mode, RoutingUpdate},
    swarm::SwarmEvent,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::time::timeout;

use super::*;
use crate::{limits::HAND_ON_MS, records::RecordLimits};

const NOW_MS: u64 = 1_800_000_000_000;

/// A server whose clock is ours.
struct Server {
    swarm: Swarm<Dht>,
    peer: PeerId,
    at: Multiaddr,
    now: Arc<AtomicU64>,
}

impl Server {
    async fn start() -> Self {
        let now = Arc::new(AtomicU64::new(NOW_MS));
        let clock = Arc::clone(&now);
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_quic()
            .with_behaviour(|key| {
                let own = key.public().to_peer_id();
                let clock = Box::new(move || Timestamp::from_millis(clock.load(Ordering::SeqCst)));
                behaviour(own, Records::new(own, RecordLimits::NODE, clock))
            })
            .unwrap()
            .with_swarm_config(|config| {
                config.with_idle_connection_timeout(Duration::from_secs(60))
            })
            .build();
        swarm.behaviour_mut().set_mode(Some(Mode::Server));
        swarm.listen_on("/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()).unwrap();
        let at = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        Self { peer: *swarm.local_peer_id(), swarm, at, now }
    }

    /// One event, heeded.
    async fn goes_on(&mut self) {
        if let SwarmEvent::Behaviour(event) = self.swarm.select_next_some().await {
            heed(self.swarm.behaviour_mut(), &event, |_| None);
        }
    }

    fn dht(&mut self) -> &mut Dht {
        self.swarm.behaviour_mut()
    }

    /// Addresses that it would tell of another server.
    fn told(&mut self, peer: PeerId) -> Vec<Multiaddr> {
        let Some(bucket) = self.dht().kbucket(peer) else { return Vec::new() };
        let there = bucket.iter().find(|entry| *entry.node.key.preimage() == peer);
        there.map(|entry| entry.node.value.iter().cloned().collect()).unwrap_or_default()
    }
}

fn record() -> (Vec<u8>, Box<[u8]>) {
    let signer = SigningKey::from_seed(&[1; 32]);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let now = Timestamp::from_millis(NOW_MS);
    let when = (now, now.millis() / 1000);
    let value = AddressKey::from_bytes([1; 32]).seal_record(&signer, &[], when, &mut rng);
    (RecordKey::of(signer.public()).as_bytes().to_vec(), value)
}

#[tokio::test]
async fn what_is_kept_is_handed_on_to_servers_that_came_later() {
    let (mut old, mut new) = (Server::start().await, Server::start().await);
    let (key, value) = record();
    old.dht().store_mut().offer(&key, &value, None).unwrap();
    let (peer, at) = (new.peer, new.at.clone());
    add_told(old.dht(), peer, &at, std::slice::from_ref(&at));
    take_turn(old.dht());
    assert_eq!(old.dht().iter_queries().count(), 0, "it is not its turn yet");
    old.now.fetch_add(HAND_ON_MS, Ordering::SeqCst);
    take_turn(old.dht());
    let handed_on = async {
        while new.dht().store_mut().value(&key).is_none() {
            tokio::select! {
                () = old.goes_on() => {}
                () = new.goes_on() => {}
            }
        }
    };
    timeout(Duration::from_secs(30), handed_on).await.unwrap();
    assert_eq!(new.dht().store_mut().value(&key), Some(&*value));
}

#[tokio::test]
async fn a_server_tells_addresses_of_itself_alone() {
    let mut server = Server::start().await;
    let other = PeerId::random();
    let parsed = |text: &str| text.parse::<Multiaddr>().unwrap();
    let connected = parsed("/ip4/192.0.2.7/tcp/51000");
    let told: Vec<_> = [
        "/ip4/192.0.2.8/tcp/4001",
        "/ip4/192.0.2.7/tcp/4001",
        "/ip4/192.0.2.7/tcp/4001/ws",
        "/ip4/10.0.0.1/tcp/4001",
        "/dns4/example.org/tcp/4001",
    ]
    .map(parsed)
    .into();
    add_told(server.dht(), other, &connected, &told);
    assert_eq!(server.told(other), [parsed(&format!("/ip4/192.0.2.7/tcp/4001/p2p/{other}"))]);

    let (relay, relayed) = (PeerId::random(), PeerId::random());
    let circuit = parsed(&format!("/ip4/192.0.2.7/tcp/4001/p2p/{relay}/p2p-circuit"));
    add_told(server.dht(), relayed, &circuit, &told);
    assert!(server.told(relayed).is_empty());
}

#[tokio::test]
async fn a_server_has_few_addresses() {
    let mut server = Server::start().await;
    let other = PeerId::random();
    for port in 1..20 {
        let address = format!("/ip4/192.0.2.7/tcp/{port}").parse().unwrap();
        assert_eq!(server.dht().add_address(&other, address), RoutingUpdate::Success);
        server.goes_on().await;
    }
    assert_eq!(server.told(other).len(), SERVER_ADDRESSES_MAX);
}
