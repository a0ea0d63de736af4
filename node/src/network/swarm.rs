//! What is our libp2p node made of?

use std::{convert::Infallible, io, time::Duration};

use libp2p::{
    PeerId, Swarm, SwarmBuilder, identify, identity::Keypair, mdns, memory_connection_limits,
    noise, ping, quic, swarm::NetworkBehaviour, swarm::behaviour::toggle::Toggle, tcp, yamux,
};

use super::{
    NetworkConfig, NetworkError, admission,
    limits::{
        HANDSHAKE_TIMEOUT, IDENTIFY_INTERVAL, PING_INTERVAL, QUIC_CONNECTION_BYTES_MAX,
        QUIC_IDLE_MS_MAX, QUIC_KEEP_ALIVE, QUIC_STREAM_BYTES_MAX, STREAMS_MAX,
        STREAMS_NEGOTIATING_MAX,
    },
    link,
};

/// Identify's name of our protocols.
const IDENTIFY_PROTOCOL: &str = "/kith/id/1";
/// What identify tells about this program: nothing that tells versions or devices apart.
const AGENT: &str = "kith";

/// The protocols of a node. Those that refuse connections come first.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Event")]
pub(super) struct Behaviour {
    pub(super) admission: admission::Behaviour,
    memory: memory_connection_limits::Behaviour,
    pub(super) link: link::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
}

/// What the protocols tell us.
#[derive(Debug)]
pub(super) enum Event {
    Link(link::Event),
    /// Nothing that a peer tells by identify is used.
    Identify,
    Ping(ping::Event),
    Mdns(mdns::Event),
}

impl From<Infallible> for Event {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<link::Event> for Event {
    fn from(event: link::Event) -> Self {
        Self::Link(event)
    }
}

impl From<identify::Event> for Event {
    fn from(_: identify::Event) -> Self {
        Self::Identify
    }
}

impl From<ping::Event> for Event {
    fn from(event: ping::Event) -> Self {
        Self::Ping(event)
    }
}

impl From<mdns::Event> for Event {
    fn from(event: mdns::Event) -> Self {
        Self::Mdns(event)
    }
}

/// A node with a new identity that nobody keeps.
pub(super) fn build(config: &NetworkConfig) -> Result<Swarm<Behaviour>, NetworkError> {
    let transport = |_: noise::Error| NetworkError::Transport;
    let behaviour = |keypair: &Keypair| behaviour(config, keypair);
    let swarm = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(tcp::Config::new().nodelay(true), noise::Config::new, yamux_config)
        .map_err(transport)?
        .with_quic_config(quic_config)
        .with_behaviour(behaviour)
        .map_err(|never| match never {})?
        .with_swarm_config(|swarm| {
            swarm
                .with_max_negotiating_inbound_streams(STREAMS_NEGOTIATING_MAX)
                .with_idle_connection_timeout(Duration::from_secs(1))
        })
        .with_connection_timeout(HANDSHAKE_TIMEOUT)
        .build();
    Ok(swarm)
}

fn behaviour(config: &NetworkConfig, keypair: &Keypair) -> Behaviour {
    let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), keypair.public())
        .with_agent_version(AGENT.to_owned())
        .with_interval(IDENTIFY_INTERVAL)
        .with_cache_size(0)
        .with_hide_listen_addrs(true);
    Behaviour {
        admission: admission::Behaviour::new(config.limits),
        memory: memory_connection_limits::Behaviour::with_max_bytes(config.limits.memory_bytes_max),
        link: link::Behaviour::new(config.limits.opening_timeout),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL)),
        mdns: Toggle::from(config.mdns.then(|| discovery(keypair.public().to_peer_id())).flatten()),
    }
}

fn discovery(peer: PeerId) -> Option<mdns::tokio::Behaviour> {
    let started: io::Result<_> = mdns::tokio::Behaviour::new(mdns::Config::default(), peer);
    started
        .inspect_err(|error| {
            tracing::warn!(kind = ?error.kind(), "no discovery in the local network");
        })
        .ok()
}

fn yamux_config() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(usize::try_from(STREAMS_MAX).unwrap_or(usize::MAX));
    config
}

fn quic_config(mut config: quic::Config) -> quic::Config {
    config.handshake_timeout = HANDSHAKE_TIMEOUT;
    config.max_idle_timeout = QUIC_IDLE_MS_MAX;
    config.keep_alive_interval = QUIC_KEEP_ALIVE;
    config.max_concurrent_stream_limit = STREAMS_MAX;
    config.max_stream_data = QUIC_STREAM_BYTES_MAX;
    config.max_connection_data = QUIC_CONNECTION_BYTES_MAX;
    config
}
