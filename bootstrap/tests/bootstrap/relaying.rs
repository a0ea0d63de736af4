//! Do those meet over a bootstrap who cannot connect, and no more than it wants to carry?

use libp2p::{
    Multiaddr, PeerId,
    multiaddr::Protocol,
    ping, relay,
    swarm::{
        ConnectionId, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};

use crate::{
    client::{BehaviourEvent, Client, Made},
    service::{At, Service},
};

/// Reaches whoever has a place, through the bootstrap.
fn through(at: &At, peer: PeerId) -> Multiaddr {
    at.quic().with(Protocol::P2pCircuit).with(Protocol::P2p(peer))
}

/// A node that has asked for a place; whether it has got one.
async fn with_place(at: &At) -> (Client, bool) {
    let mut client = Client::new();
    let listener = client.swarm.listen_on(at.tcp().with(Protocol::P2pCircuit)).unwrap();
    let has_place = client
        .wait("a place", |event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Relay(
                relay::client::Event::ReservationReqAccepted { .. },
            )) => Some(true),
            SwarmEvent::ListenerClosed { listener_id, .. } if *listener_id == listener => {
                Some(false)
            }
            _ => None,
        })
        .await;
    (client, has_place)
}

async fn hears_ping(client: &mut Client, on: ConnectionId) {
    client
        .wait("a ping", |event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                connection,
                result: Ok(_),
                ..
            })) if *connection == on => Some(()),
            _ => None,
        })
        .await;
}

/// Dials through the bootstrap; whether that worked.
async fn reaches(client: &mut Client, at: &At, peer: PeerId) -> bool {
    let address = through(at, peer);
    client.swarm.dial(address).unwrap();
    client
        .wait("the other end", |event| match event {
            SwarmEvent::ConnectionEstablished { peer_id, .. } if *peer_id == peer => Some(true),
            SwarmEvent::OutgoingConnectionError { peer_id, .. } if *peer_id == Some(peer) => {
                Some(false)
            }
            _ => None,
        })
        .await
}

#[tokio::test]
async fn two_nodes_talk_over_a_circuit() {
    let service = Service::start(&[]).await;
    let (bob, has_place) = with_place(&service.at).await;
    assert!(has_place);
    service.at.until("kith_places", |places| places == 1).await;
    let (there, bob) = (through(&service.at, bob.peer), bob.run());
    let mut alice = Client::new();
    let circuit = alice.connect(there).await;
    hears_ping(&mut alice, circuit).await;
    assert_eq!(service.at.until("kith_circuits", |circuits| circuits == 1).await, 1);
    drop(alice);
    service.at.until("kith_circuits", |circuits| circuits == 0).await;
    bob.abort();
    service.at.until("kith_places", |places| places == 0).await;
    service.stop().await;
}

#[tokio::test]
async fn places_and_circuits_are_bounded() {
    let service = Service::start(&["--places-max=1", "--circuits-max=1"]).await;
    let (bob, has_place) = with_place(&service.at).await;
    assert!(has_place);
    let (carol, has_place) = with_place(&service.at).await;
    assert!(!has_place);
    service.at.until_refused("place", "bound", |count| count == 1).await;
    assert_eq!(service.at.numbers().await["kith_places"], 1);
    let (bob_id, bob) = (bob.peer, bob.run());
    let mut alice = Client::new();
    assert!(!reaches(&mut alice, &service.at, carol.peer).await, "she has no place");
    service.at.until_refused("circuit", "nobody", |count| count == 1).await;
    assert!(reaches(&mut alice, &service.at, bob_id).await);
    let mut dave = Client::new();
    assert!(!reaches(&mut dave, &service.at, bob_id).await);
    service.at.until_refused("circuit", "bound", |count| count == 1).await;
    bob.abort();
    service.stop().await;
}

#[tokio::test]
async fn a_circuit_carries_so_much_and_no_more() {
    let service = Service::start(&["--circuit-mib=1"]).await;
    let (mut bob, _) = with_place(&service.at).await;
    bob.swarm.behaviour_mut().kad.set_mode(Some(libp2p::kad::Mode::Server));
    let (bob_id, bob) = (bob.peer, bob.run());
    let mut alice = Client::new();
    alice.connect(through(&service.at, bob_id)).await;
    // Each of these goes there and comes back.
    let large = |number: u8| Made { key: vec![number; 32], value: vec![number; 30_000] };
    let mut went = 0;
    while went < 100 && alice.offer(&large(went), bob_id).await {
        went += 1;
    }
    assert!((10..20).contains(&went), "{went} of 60 kB each in a MiB");
    service.at.until("kith_circuits", |circuits| circuits == 0).await;
    assert!(!alice.swarm.is_connected(&bob_id));
    bob.abort();
    service.stop().await;
}

/// With libp2p's own yamux, the seventeenth circuit would end the connection that has the place.
#[tokio::test]
async fn nobody_is_called_out_of_his_place() {
    let service = Service::start(&[]).await;
    let (bob, has_place) = with_place(&service.at).await;
    assert!(has_place);
    let (bob_id, bob) = (bob.peer, bob.run());
    let mut callers = Vec::new();
    for _ in 0..3 {
        let mut alice = Client::connected(&service.at.quic()).await;
        for _ in 0..8 {
            let options = DialOpts::peer_id(bob_id)
                .addresses(vec![through(&service.at, bob_id)])
                .condition(PeerCondition::Always)
                .build();
            let dialled = options.connection_id();
            alice.swarm.dial(options).unwrap();
            alice
                .wait("a circuit", |event| match event {
                    SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                        (*connection_id == dialled).then_some(())
                    }
                    _ => None,
                })
                .await;
        }
        callers.push(alice.run());
    }
    service.at.until("kith_circuits", |circuits| circuits == 24).await;
    assert_eq!(service.at.numbers().await["kith_places"], 1);
    callers.iter().for_each(|caller| caller.abort());
    service.at.until("kith_circuits", |circuits| circuits == 0).await;
    assert_eq!(service.at.numbers().await["kith_places"], 1);
    bob.abort();
    service.stop().await;
}
