//! Is what came told, closed and counted as it must be?

use std::sync::Mutex;

use kith_net::records::RecordLimits;
use kith_server::DataFolder;
use libp2p::identity::Keypair;
use tempfile::TempDir;

use super::*;
use crate::{
    config::RelayBounds,
    limits::PLACE_TIME,
    metrics::Numbers,
    raw::Raw,
    swarm::{Setup, build},
};

const PATIENCE: Duration = Duration::from_secs(30);
const HOP: &str = "/libp2p/circuit/relay/0.2.0/hop";

async fn driver() -> (Driver, Multiaddr, TempDir) {
    let (data, key) = (tempfile::tempdir().unwrap(), Keypair::generate_ed25519());
    let state = Arc::new(State {
        _folder: DataFolder::hold(data.path()).unwrap(),
        own: key.public().to_peer_id(),
        peers: Vec::new(),
        turn: None,
        addresses: Mutex::default(),
        numbers: Mutex::new(Numbers::default()),
    });
    let setup = Setup {
        records: RecordLimits::NODE,
        relay: RelayBounds {
            places_max: 10,
            place_time: PLACE_TIME,
            places_per_peer_max: 4,
            circuits_max: 10,
            circuits_per_peer_max: 4,
            circuit_bytes_max: 1 << 20,
            circuit_seconds_max: 60,
        },
        memory_bytes_max: usize::MAX,
        internet_only: false,
    };
    let mut swarm = build(&key, &[], &setup).unwrap();
    let wanted = ["/ip4/127.0.0.1/tcp/0".to_owned()];
    let listeners = Listeners::start(&wanted, Vec::new(), &mut swarm).unwrap();
    let named = Named::new(Vec::new(), None);
    let driver = Driver::start(swarm, listeners, Meetings::new(10), named, state).await.unwrap();
    let at = driver.listeners.told()[0].clone();
    (driver, at, data)
}

impl Driver {
    async fn until(&mut self, is: impl Fn(&Self) -> bool) {
        let reached = async {
            while !is(self) {
                let event = self.swarm.select_next_some().await;
                self.swarm_event(event);
            }
        };
        timeout(PATIENCE, reached).await.unwrap();
    }
}

#[tokio::test]
async fn who_only_stays_is_shown_out_but_not_who_has_a_place() {
    let (mut driver, at, _data) = driver().await;
    let visits = tokio::spawn(async move {
        let mut idler = Raw::connect(&at, 1).await.unwrap();
        let silent = idler.stream("/kith/kad/1").await.unwrap();
        let mut resident = Raw::connect(&at, 1).await.unwrap();
        let mut asking = resident.stream(HOP).await.unwrap();
        futures::AsyncWriteExt::write_all(&mut asking, &[2, 8, 0]).await.unwrap();
        futures::AsyncWriteExt::flush(&mut asking).await.unwrap();
        (idler, silent, resident, asking)
    });
    driver.until(|driver| driver.swarm.behaviour().relaying.places() == 1).await;
    assert_eq!(driver.connections.len(), 2);
    let since = driver.connections.values().map(|connection| connection.since).max().unwrap();
    driver.end_visits(since + VISIT_TIME_MAX - Duration::from_secs(60));
    assert_eq!(driver.swarm.connected_peers().count(), 2);
    driver.end_visits(since + VISIT_TIME_MAX);
    driver.until(|driver| driver.connections.len() == 1).await;
    assert_eq!(driver.swarm.behaviour().relaying.places(), 1);
    visits.abort();
}

#[tokio::test]
async fn addresses_that_change_are_told() {
    let (mut driver, at, _data) = driver().await;
    assert_eq!(driver.swarm.external_addresses().collect::<Vec<_>>(), [&at]);
    let listener = driver.swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    driver.listeners.expect(listener);
    driver.until(|driver| driver.listeners.told().len() == 2).await;
    assert_eq!(driver.swarm.external_addresses().count(), 2);
    assert_eq!(driver.state.addresses().len(), 2);
    driver.swarm.remove_listener(listener);
    driver.until(|driver| driver.listeners.told().len() == 1).await;
    assert_eq!(driver.swarm.external_addresses().collect::<Vec<_>>(), [&at]);
}
