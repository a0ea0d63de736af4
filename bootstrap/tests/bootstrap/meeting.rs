//! Do those find each other who know the same place?

use libp2p::{
    PeerId,
    rendezvous::{ErrorCode, Namespace, client::Event as Rendezvous},
    swarm::SwarmEvent,
};

use crate::{
    client::{BehaviourEvent, Client},
    service::Service,
};

const HERE: &str = "00112233445566778899aabbccddeeff";

fn namespace(text: &str) -> Namespace {
    Namespace::new(text.to_owned()).unwrap()
}

async fn registers(client: &mut Client, at: PeerId, text: &str) -> Result<u64, ErrorCode> {
    let place = namespace(text);
    client.swarm.behaviour_mut().rendezvous.register(place, at, None).unwrap();
    client
        .wait("a registration", |event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Rendezvous(event)) => match event {
                Rendezvous::Registered { ttl, .. } => Some(Ok(*ttl)),
                Rendezvous::RegisterFailed { error, .. } => Some(Err(*error)),
                _ => None,
            },
            _ => None,
        })
        .await
}

async fn discovers(
    client: &mut Client,
    at: PeerId,
    place: Option<Namespace>,
) -> Result<Vec<PeerId>, ErrorCode> {
    client.swarm.behaviour_mut().rendezvous.discover(place, None, None, at);
    client
        .wait("an answer", |event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Rendezvous(event)) => match event {
                Rendezvous::Discovered { registrations, .. } => {
                    Some(Ok(registrations.iter().map(|one| one.record.peer_id()).collect()))
                }
                Rendezvous::DiscoverFailed { error, .. } => Some(Err(*error)),
                _ => None,
            },
            _ => None,
        })
        .await
}

#[tokio::test]
async fn those_find_each_other_who_know_the_place() {
    let service = Service::start(&[]).await;
    let mut alice = Client::connected(&service.at.quic()).await;
    alice.swarm.add_external_address("/ip4/192.0.2.1/tcp/4001".parse().unwrap());
    let at = service.at.peer;
    assert_eq!(registers(&mut alice, at, HERE).await, Ok(7200));
    assert_eq!(registers(&mut alice, at, HERE).await, Ok(7200), "again, while it is there");
    assert_eq!(service.at.until("kith_registrations", |count| count > 0).await, 1);
    let mut bob = Client::connected(&service.at.quic()).await;
    assert_eq!(discovers(&mut bob, at, Some(namespace(HERE))).await, Ok(vec![alice.peer]));
    assert_eq!(discovers(&mut bob, at, Some(namespace("there"))).await, Ok(vec![]));
    let all = discovers(&mut bob, at, None).await;
    assert_eq!(all, Err(ErrorCode::InvalidNamespace), "nobody is told of all places");
    alice.swarm.behaviour_mut().rendezvous.unregister(namespace(HERE), at);
    let alice = alice.run();
    service.at.until("kith_registrations", |count| count == 0).await;
    alice.abort();
    service.stop().await;
}

#[tokio::test]
async fn a_peer_has_so_many_places_and_the_service_too() {
    let service = Service::start(&["--registrations-max=17"]).await;
    let mut clients =
        [Client::connected(&service.at.quic()).await, Client::connected(&service.at.quic()).await];
    for client in &mut clients {
        client.swarm.add_external_address("/ip4/192.0.2.1/tcp/4001".parse().unwrap());
    }
    let (at, [alice, bob]) = (service.at.peer, &mut clients);
    for number in 0..16 {
        assert!(registers(alice, at, &number.to_string()).await.is_ok());
    }
    assert_eq!(registers(alice, at, "16").await, Err(ErrorCode::Unavailable));
    service.at.until_refused("registration", "peer_full", |count| count == 1).await;
    assert!(registers(bob, at, "0").await.is_ok());
    assert_eq!(registers(bob, at, "1").await, Err(ErrorCode::Unavailable));
    service.at.until_refused("registration", "full", |count| count == 1).await;
    let long = registers(bob, at, &"x".repeat(65)).await;
    assert_eq!(long, Err(ErrorCode::InvalidNamespace));
    service.stop().await;
}
