//! Does honest traffic flow while strangers do what they can against a node, and what does that cost?

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::time::{Duration, Instant};

use kith_net::address::split_peer;
use kith_tests::process::{Bootstrap, PATIENCE, Person, Setup, until};
use libp2p::{
    Multiaddr, PeerId,
    kad::{self, QueryResult},
    multiaddr::Protocol,
    swarm::SwarmEvent,
};

use crate::{
    client::{BehaviourEvent, Client, made},
    crowd::{BOGUS, be_slow, bogus, goes_on, hang_around, offer_bogus},
};

#[path = "../../bootstrap/tests/bootstrap/client.rs"]
#[expect(dead_code, reason = "shared with the tests of the bootstrap, which use all of it")]
mod client;
#[path = "../../bootstrap/tests/bootstrap/crowd.rs"]
mod crowd;
#[path = "../../bootstrap/tests/bootstrap/raw.rs"]
mod raw;

/// Connections to where a node takes links, and to its place in the table.
const CONNECTIONS: [usize; 2] = [800, 200];
/// What all of this may cost in KiB.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// The servers that a bootstrap knows.
async fn servers(bootstrap: &Multiaddr) -> Vec<kad::PeerInfo> {
    let mut client = Client::connected(bootstrap).await;
    let query = client.swarm.behaviour_mut().kad.get_closest_peers(vec![7; 32]);
    let servers = client.wait("servers", |event| match event {
        SwarmEvent::Behaviour(BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed {
            id,
            result: QueryResult::GetClosestPeers(result),
            ..
        })) if *id == query => Some(result.as_ref().unwrap().peers.clone()),
        _ => None,
    });
    servers.await
}

/// Where the one node serves that has come to a bootstrap, by TCP.
async fn serving(bootstrap: &Multiaddr) -> (PeerId, Multiaddr) {
    let (own, _) = split_peer(bootstrap).unwrap();
    let found = servers(bootstrap).await;
    let [node] = &found.iter().filter(|server| server.peer_id != own).collect::<Vec<_>>()[..]
    else {
        panic!("{found:?}");
    };
    let is_tcp = |at: &&Multiaddr| at.iter().any(|part| matches!(part, Protocol::Tcp(_)));
    let at = node.addrs.iter().find(is_tcp).unwrap();
    (node.peer_id, at.clone().with_p2p(node.peer_id).unwrap())
}

#[test]
fn honest_traffic_flows_while_a_node_is_flooded() {
    let bootstrap = Bootstrap::start();
    // By TCP alone, so that what is seen of Alice is where she listens.
    let is_tcp = |at: &&String| at.contains("/tcp/");
    let at_bootstrap = bootstrap.addresses().iter().find(is_tcp).unwrap();
    let arguments = ["--bootstrap", at_bootstrap, "--no-upnp"].map(str::to_owned).to_vec();
    let setup = Setup { arguments, ..Setup::default() };
    let at_bootstrap = at_bootstrap.parse().unwrap();
    let alice = Person::start_with("Alice", setup.clone());
    until("Alice serves", PATIENCE, || {
        (alice.kith(&["bootstrap", "show"]).json()["serves"] == true).then_some(())
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let (peer, table) = runtime.block_on(serving(&at_bootstrap));
    let mut bob = Person::start_with("Bob", setup);
    alice.befriends(&bob);
    let before_kib = alice.node().resident_kib();

    let _inside = runtime.enter();
    let mut honest = runtime.block_on(Client::connected(&table));
    let mut floods = runtime.block_on(offer_bogus(&table, peer));
    let (_, plain) = split_peer(&table).unwrap();
    let mut crowd = hang_around(&alice.address().parse().unwrap(), CONNECTIONS[0]);
    let mut other_crowd = hang_around(&plain, CONNECTIONS[1]);
    let _slow = be_slow(&plain);

    let (mut most_kib, mut rounds, mut slowest) = (before_kib, 0, Duration::ZERO);
    while goes_on(&mut floods) || goes_on(&mut crowd) || goes_on(&mut other_crowd) {
        let begin = Instant::now();
        alice.says(&bob, "in the crowd");
        bob.says(&alice, "me too");
        rounds += 1;
        alice.agrees(&bob, rounds * 2, PATIENCE);
        slowest = slowest.max(begin.elapsed());
        let record = made(1000 + u32::try_from(rounds).unwrap(), 1);
        let found = runtime.block_on(async {
            assert!(honest.offer(&record, peer).await, "a record of somebody honest is kept");
            honest.look(&record.key).await
        });
        assert!(found.contains(&record.value), "and found");
        if rounds == 10 {
            bob.kill();
            bob.up();
        }
        most_kib = most_kib.max(alice.node().resident_kib());
    }
    println!(
        "{BOGUS} bogus records, {CONNECTIONS:?} connections let in; {rounds} messages each way, the \
         slowest round took {slowest:?}; resident KiB: {before_kib} before, {most_kib} at most, {} at \
         the end",
        alice.node().resident_kib()
    );
    assert!(rounds > 10, "Bob came back in the middle of it");
    for number in 0..3 {
        let bogus = bogus(number);
        let found = runtime.block_on(honest.look(&bogus.key));
        assert!(!found.contains(&bogus.value), "a bogus record is kept");
    }
    assert!(most_kib - before_kib < GROWTH_KIB_MAX, "{before_kib} KiB grew to {most_kib}");
}
