//! Does a node learn whether it can be reached?

use libp2p::{Multiaddr, swarm::SwarmEvent};

use crate::{
    client::{BehaviourEvent, Client},
    service::Service,
};

#[tokio::test]
async fn an_address_that_can_be_reached_is_confirmed() {
    let service = Service::start(&[]).await;
    let mut client = Client::new();
    client.swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let own: Multiaddr = client
        .wait("an address", |event| match event {
            SwarmEvent::NewListenAddr { address, .. } => Some(address.clone()),
            _ => None,
        })
        .await;
    client.connect(service.at.tcp()).await;
    let confirmed = client
        .wait("a confirmation", |event| match event {
            SwarmEvent::ExternalAddrConfirmed { address } => Some(address.clone()),
            _ => None,
        })
        .await;
    assert_eq!(confirmed, own);
    service.stop().await;
}

#[tokio::test]
async fn one_that_cannot_is_not() {
    let service = Service::start(&[]).await;
    let mut client = Client::new();
    // It does not listen, so what the bootstrap sees of it leads nowhere.
    client.connect(service.at.tcp()).await;
    let (tested, result) = client
        .wait("an answer", |event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Autonat(event)) => {
                Some((event.tested_addr.clone(), event.result.is_ok()))
            }
            SwarmEvent::ExternalAddrConfirmed { address } => panic!("{address} was confirmed"),
            _ => None,
        })
        .await;
    assert!(!result, "{tested}");
    service.stop().await;
}
