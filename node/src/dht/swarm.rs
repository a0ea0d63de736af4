//! What is this node's part in the table made of?

use std::convert::Infallible;

use kith_net::{
    admission::{self, AdmissionLimits},
    dht,
    records::Records,
    yamux,
};
use libp2p::{
    PeerId, Swarm, SwarmBuilder, autonat, identify,
    identity::Keypair,
    kad, memory_connection_limits, noise, ping, quic,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
    tcp,
};

use super::{
    DhtConfig, DhtMode,
    limits::{
        HANDSHAKE_TIMEOUT, IDENTIFY_INTERVAL, IDLE_TIMEOUT, INCOMING_MAX, INCOMING_PER_SOURCE_MAX,
        MEMORY_BYTES_MAX, OUTGOING_MAX, PENDING_INCOMING_MAX, PENDING_OUTGOING_MAX,
        PENDING_PER_SOURCE_MAX, PER_PEER_MAX, QUIC_CONNECTION_BYTES_MAX, QUIC_IDLE_MS_MAX,
        QUIC_STREAM_BYTES_MAX, STREAMS_IN_MAX, STREAMS_NEGOTIATING_MAX, STREAMS_OUT_MAX,
    },
};
use crate::{chosen::Chosen, clock::wall_clock, network::Reach};

/// The protocols. Those that refuse connections come first.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Event")]
pub(super) struct Behaviour {
    admission: admission::Behaviour,
    memory: memory_connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(super) autonat: Toggle<Chosen<autonat::v2::client::Behaviour>>,
    pub(super) kad: dht::Dht,
}

/// What the protocols tell us.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one turn of the loop")]
pub(super) enum Event {
    Identify(identify::Event),
    Kad(kad::Event),
    Ping(ping::Event),
    /// What is confirmed the swarm tells.
    Other,
}

impl From<Infallible> for Event {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<identify::Event> for Event {
    fn from(event: identify::Event) -> Self {
        Self::Identify(event)
    }
}

impl From<kad::Event> for Event {
    fn from(event: kad::Event) -> Self {
        Self::Kad(event)
    }
}

impl From<autonat::v2::client::Event> for Event {
    fn from(_: autonat::v2::client::Event) -> Self {
        Self::Other
    }
}

impl From<ping::Event> for Event {
    fn from(event: ping::Event) -> Self {
        Self::Ping(event)
    }
}

const LIMITS: AdmissionLimits = AdmissionLimits {
    incoming_max: INCOMING_MAX,
    incoming_per_source_max: INCOMING_PER_SOURCE_MAX,
    pending_incoming_max: PENDING_INCOMING_MAX,
    pending_per_source_max: PENDING_PER_SOURCE_MAX,
    pending_outgoing_max: PENDING_OUTGOING_MAX,
    outgoing_max: OUTGOING_MAX,
    per_peer_max: PER_PEER_MAX,
};

/// A part with a new identity that nobody keeps; `None` if encryption cannot be set up.
pub(super) fn build(config: &DhtConfig, reach: &Reach) -> Option<Swarm<Behaviour>> {
    let behaviour = |keypair: &Keypair| behaviour(config, reach, keypair);
    let swarm = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(tcp::Config::new().nodelay(true), noise::Config::new, yamux_config)
        .ok()?
        .with_quic_config(quic_config)
        .with_behaviour(behaviour)
        .ok()?
        .with_swarm_config(|swarm| {
            swarm
                .with_smart_dial()
                .with_max_negotiating_inbound_streams(STREAMS_NEGOTIATING_MAX)
                .with_idle_connection_timeout(IDLE_TIMEOUT)
        })
        .with_connection_timeout(HANDSHAKE_TIMEOUT)
        .build();
    Some(swarm)
}

fn behaviour(config: &DhtConfig, reach: &Reach, keypair: &Keypair) -> Behaviour {
    let own: PeerId = keypair.public().to_peer_id();
    let identify = identify::Config::new("/kith/id/1".to_owned(), keypair.public())
        .with_agent_version("kith".to_owned())
        .with_interval(IDENTIFY_INTERVAL)
        .with_cache_size(0)
        .with_hide_listen_addrs(true);
    let mut admission = admission::Behaviour::new(LIMITS);
    if reach.relay_only {
        admission.admit_only(reach.by_peer());
    }
    let records = Records::new(own, config.records, Box::new(wall_clock));
    let mut kad = dht::behaviour(own, records);
    let serves = config.mode == DhtMode::Auto && !reach.relay_only;
    // By itself it serves as soon as an address of ours is confirmed.
    kad.set_mode((!serves).then_some(kad::Mode::Client));
    for (peer, addresses) in &reach.bootstraps {
        for address in addresses {
            kad.add_address(peer, address.clone());
        }
    }
    Behaviour {
        admission,
        memory: memory_connection_limits::Behaviour::with_max_bytes(MEMORY_BYTES_MAX),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::default(),
        autonat: Toggle::from(serves.then(|| Chosen::new(Default::default(), reach.peers()))),
        kad,
    }
}

const fn yamux_config() -> yamux::Config {
    yamux::Config { incoming_max: STREAMS_IN_MAX, outgoing_max: STREAMS_OUT_MAX }
}

fn quic_config(mut config: quic::Config) -> quic::Config {
    config.handshake_timeout = HANDSHAKE_TIMEOUT;
    config.max_idle_timeout = QUIC_IDLE_MS_MAX;
    config.max_concurrent_stream_limit = STREAMS_IN_MAX.into();
    config.max_stream_data = QUIC_STREAM_BYTES_MAX;
    config.max_connection_data = QUIC_CONNECTION_BYTES_MAX;
    config
}
