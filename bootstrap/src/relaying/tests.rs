//! Do places and circuits keep within their bounds?

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    Swarm, SwarmBuilder, Transport,
    core::muxing::StreamMuxerBox,
    identity::Keypair,
    kad::{self, store::MemoryStore, store::RecordStore},
    quic,
    swarm::{NetworkBehaviour, SwarmEvent},
};
use tokio::{sync::mpsc, time::timeout};

use super::*;
use crate::raw::Raw;

const PATIENCE: Duration = Duration::from_secs(30);
const HOP: &str = "/libp2p/circuit/relay/0.2.0/hop";
const KAD: &str = "/ipfs/kad/1.0.0";
/// Asks for what is under "large".
const GET: [u8; 10] = [9, 8, 1, 18, 5, b'l', b'a', b'r', b'g', b'e'];
/// Bytes of what is there.
const LARGE: usize = 3000;
/// Asks for a place.
const RESERVE: [u8; 3] = [2, 8, 0];

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
struct Protocols {
    relaying: Behaviour,
    kad: kad::Behaviour<MemoryStore>,
}

const BOUNDS: RelayBounds = RelayBounds {
    places_max: 10,
    place_time: Duration::from_secs(2),
    places_per_peer_max: 4,
    circuits_max: 10,
    circuits_per_peer_max: 4,
    circuit_bytes_max: 1 << 20,
    circuit_seconds_max: 60,
};

/// A relay whose places end soon, and what it tells.
async fn relay() -> (Multiaddr, mpsc::Receiver<Event>) {
    let mut swarm: Swarm<Protocols> = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_quic()
        .with_behaviour(|key| {
            let own = key.public().to_peer_id();
            let mut kad = kad::Behaviour::new(own, MemoryStore::new(own));
            kad.set_mode(Some(kad::Mode::Server));
            kad.store_mut().put(kad::Record::new(b"large".to_vec(), vec![7; LARGE])).unwrap();
            Protocols { relaying: Behaviour::new(own, BOUNDS), kad }
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
        .build();
    swarm.listen_on("/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()).unwrap();
    let at = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    let (sender, events) = mpsc::channel(64);
    tokio::spawn(async move {
        loop {
            if let SwarmEvent::Behaviour(ProtocolsEvent::Relaying(event)) =
                swarm.select_next_some().await
            {
                sender.send(event).await.unwrap();
            }
        }
    });
    (at, events)
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
    let event = timeout(PATIENCE, events.recv()).await.unwrap();
    event.expect("the relay goes on")
}

/// ```text
///  a place         renewal asked for, its answer is not read        the place ends    it is read
///  ──────────────────────┬──────────────────────────────────────────────┬────────────────┬──────▶
///                        └ libp2p has accepted                          └ and forgets    └ panics
/// ```
#[tokio::test]
async fn a_renewal_that_is_not_read_until_the_place_has_ended_ends_nothing_else() {
    let (at, mut events) = relay().await;
    let mut config = quic::Config::new(&Keypair::generate_ed25519());
    config.max_connection_data = 4000;
    let transport = quic::tokio::Transport::new(config)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let mut mallory = Raw::connect_by(transport.boxed(), &at, 3).await.unwrap();

    let mut first = mallory.stream(HOP).await.unwrap();
    first.write_all(&RESERVE).await.unwrap();
    first.flush().await.unwrap();
    first.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(matches!(
        next(&mut events).await,
        Event::ReservationReqAccepted { renewed: false, .. }
    ));

    let mut renewal = mallory.stream(HOP).await.unwrap();
    // Two answers are more than what may be on the way to this end.
    let mut stuffed = mallory.stream(KAD).await.unwrap();
    stuffed.write_all(&GET.repeat(2)).await.unwrap();
    stuffed.flush().await.unwrap();
    stuffed.read_exact(&mut [0]).await.unwrap();
    renewal.write_all(&RESERVE).await.unwrap();
    renewal.flush().await.unwrap();
    assert!(matches!(next(&mut events).await, Event::ReservationTimedOut { .. }));

    stuffed.read_exact(&mut [0; 2 * LARGE]).await.unwrap();
    assert!(matches!(
        next(&mut events).await,
        Event::ReservationReqAccepted { renewed: false, .. }
    ));
    assert!(matches!(next(&mut events).await, Event::ReservationTimedOut { .. }));
}

/// Somebody who has come from there.
fn comes(relaying: &mut Behaviour, number: usize, from: &str) -> ConnectionId {
    let id = ConnectionId::new_unchecked(number);
    let endpoint = ConnectedPoint::Listener {
        local_addr: "/ip4/192.0.2.1/tcp/1".parse().unwrap(),
        send_back_addr: format!("/ip4/{from}/tcp/{number}").parse().unwrap(),
    };
    relaying.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
        peer_id: PeerId::random(),
        connection_id: id,
        endpoint: &endpoint,
        failed_addresses: &[],
        other_established: 0,
    }));
    id
}

/// Which connections are to be closed.
fn closed(relaying: &mut Behaviour) -> Vec<ConnectionId> {
    let actions = std::mem::take(&mut relaying.actions);
    let closed = actions.into_iter().filter_map(|action| match action {
        ToSwarm::CloseConnection { connection: CloseConnection::One(id), .. } => Some(id),
        _ => None,
    });
    closed.collect()
}

#[test]
fn one_source_has_its_share_of_places() {
    let mut relaying = Behaviour::new(PeerId::random(), BOUNDS);
    for number in 1..=PLACES_PER_SOURCE_MAX {
        let id = comes(&mut relaying, number, "192.0.2.7");
        relaying.place_taken(Some(id));
    }
    let other = comes(&mut relaying, 1000, "192.0.2.8");
    relaying.place_taken(Some(other));
    assert_eq!(closed(&mut relaying), []);
    let more = comes(&mut relaying, 2000, "192.0.2.7");
    relaying.place_taken(Some(more));
    assert_eq!(closed(&mut relaying), [more]);
    assert_eq!(relaying.refused().places, 1);
    for number in 3000..3100 {
        let here = comes(&mut relaying, number, "127.0.0.1");
        relaying.place_taken(Some(here));
    }
    assert_eq!(closed(&mut relaying), [], "this machine itself has no bound");
}

#[test]
fn one_source_has_its_share_of_circuits() {
    let mut relaying = Behaviour::new(PeerId::random(), BOUNDS);
    let ids = [1, 2].map(|number| comes(&mut relaying, number, "192.0.2.7"));
    let other = comes(&mut relaying, 3, "192.0.2.8");
    for number in 0..CIRCUITS_PER_SOURCE_MAX {
        relaying.circuit_begun(Some(ids[number % 2]));
    }
    relaying.circuit_begun(Some(other));
    assert_eq!(closed(&mut relaying), []);
    assert!(relaying.needs(other) && !relaying.needs(ConnectionId::new_unchecked(9)));
    relaying.circuit_ended(Some(ids[0]));
    relaying.circuit_begun(Some(ids[0]));
    assert_eq!(closed(&mut relaying), []);
    relaying.circuit_begun(Some(ids[1]));
    assert_eq!(closed(&mut relaying), [ids[1]]);
    relaying.circuit_ended(None);
    assert!(relaying.needs(other), "the end of the called end is told once more");
    relaying.circuit_ended(Some(other));
    assert!(!relaying.needs(other));
    assert_eq!(relaying.circuits(), CIRCUITS_PER_SOURCE_MAX + 1);
}
