//! What is our libp2p node made of?

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    io,
    time::Duration,
};

use kith_net::{admission, yamux};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, autonat, dcutr, identify, identity::Keypair, mdns,
    memory_connection_limits, noise, ping, quic, relay, rendezvous, swarm::NetworkBehaviour,
    swarm::behaviour::toggle::Toggle, tcp, upnp,
};

use super::{
    NetworkConfig, NetworkError, Reach,
    limits::{
        HANDSHAKE_TIMEOUT, IDENTIFY_INTERVAL, PING_INTERVAL, QUIC_CONNECTION_BYTES_MAX,
        QUIC_IDLE_MS_MAX, QUIC_KEEP_ALIVE, QUIC_STREAM_BYTES_MAX, STREAMS_IN_MAX,
        STREAMS_NEGOTIATING_MAX, STREAMS_OUT_MAX,
    },
    link, punch,
    quiet::{Knows, Quiet},
};
use crate::chosen::Chosen;

/// Identify's name of our protocols.
const IDENTIFY_PROTOCOL: &str = "/kith/id/1";
/// What identify tells about this program: nothing that tells versions or devices apart.
const AGENT: &str = "kith";

/// Who may know where we are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Openness {
    /// Nobody is asked for help, nobody is told.
    Closed,
    /// Bootstraps help others to reach us; contacts are told everything.
    Open {
        /// Whether the router is asked to let others in.
        upnp: bool,
    },
    /// Bootstraps and relays alone learn our addresses.
    RelayOnly(BTreeMap<PeerId, BTreeSet<Multiaddr>>),
}

/// The protocols of a node. Those that refuse connections come first.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Event")]
pub(super) struct Behaviour {
    pub(super) admission: admission::Behaviour,
    memory: memory_connection_limits::Behaviour,
    pub(super) link: link::Behaviour,
    relay: relay::client::Behaviour,
    identify: Quiet<identify::Behaviour>,
    ping: ping::Behaviour,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(super) rendezvous: Quiet<rendezvous::client::Behaviour>,
    pub(super) autonat: Toggle<Chosen<autonat::v2::client::Behaviour>>,
    upnp: Toggle<upnp::tokio::Behaviour>,
    pub(super) punch: Toggle<punch::Gate>,
}

/// What the protocols tell us.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one turn of the loop")]
pub(super) enum Event {
    Link(link::Event),
    Identify(identify::Event),
    Ping(ping::Event),
    Mdns(mdns::Event),
    Rendezvous(rendezvous::client::Event),
    Punch(dcutr::Event),
    /// Addresses that are confirmed are told by the swarm; reservations by their listeners.
    Other,
}

impl From<Infallible> for Event {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

macro_rules! events {
    ($($variant:ident($event:ty),)*) => {
        $(impl From<$event> for Event {
            fn from(event: $event) -> Self {
                Self::$variant(event)
            }
        })*
    };
}

events! {
    Link(link::Event),
    Identify(identify::Event),
    Ping(ping::Event),
    Mdns(mdns::Event),
    Rendezvous(rendezvous::client::Event),
    Punch(dcutr::Event),
}

macro_rules! ignored {
    ($($event:ty,)*) => {
        $(impl From<$event> for Event {
            fn from(_: $event) -> Self {
                Self::Other
            }
        })*
    };
}

ignored! {
    relay::client::Event,
    autonat::v2::client::Event,
    upnp::Event,
}

/// A node with a new identity that nobody keeps.
pub(super) fn build(
    config: &NetworkConfig,
    reach: &Reach,
    openness: &Openness,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let transport = |_: noise::Error| NetworkError::Transport;
    let behaviour = |keypair: &Keypair, relay| behaviour(config, reach, openness, keypair, relay);
    let swarm = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(tcp::Config::new().nodelay(true), noise::Config::new, yamux_config)
        .map_err(transport)?
        .with_quic_config(quic_config)
        .with_relay_client(noise::Config::new, yamux_config)
        .map_err(transport)?
        .with_behaviour(behaviour)
        .map_err(|never| match never {})?
        .with_swarm_config(|swarm| {
            swarm
                .with_smart_dial()
                .with_max_negotiating_inbound_streams(STREAMS_NEGOTIATING_MAX)
                .with_idle_connection_timeout(Duration::from_secs(1))
        })
        .with_connection_timeout(HANDSHAKE_TIMEOUT)
        .build();
    Ok(swarm)
}

fn behaviour(
    config: &NetworkConfig,
    reach: &Reach,
    openness: &Openness,
    keypair: &Keypair,
    relay: relay::client::Behaviour,
) -> Behaviour {
    let own = keypair.public().to_peer_id();
    let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), keypair.public())
        .with_agent_version(AGENT.to_owned())
        .with_interval(IDENTIFY_INTERVAL)
        .with_cache_size(0)
        .with_hide_listen_addrs(true);
    let mut admission = admission::Behaviour::new(config.limits.into());
    if let Openness::RelayOnly(relays) = openness {
        admission.admit_only(relays.clone());
    }
    let is_open = matches!(openness, Openness::Open { .. });
    let finds = config.mdns && !matches!(openness, Openness::RelayOnly(_));
    let upnp = *openness == Openness::Open { upnp: true };
    Behaviour {
        admission,
        memory: memory_connection_limits::Behaviour::with_max_bytes(config.limits.memory_bytes_max),
        link: link::Behaviour::new(config.limits.opening_timeout),
        relay,
        identify: Quiet::new(identify::Behaviour::new(identify), Knows::Nothing),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL)),
        mdns: Toggle::from(finds.then(|| discovery(own)).flatten()),
        rendezvous: Quiet::new(rendezvous::client::Behaviour::new(keypair.clone()), Knows::Relayed),
        autonat: Toggle::from(is_open.then(|| Chosen::new(Default::default(), reach.peers()))),
        upnp: Toggle::from(upnp.then(upnp::tokio::Behaviour::default)),
        punch: Toggle::from(is_open.then(|| punch::Gate::new(own))),
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

const fn yamux_config() -> yamux::Config {
    yamux::Config { incoming_max: STREAMS_IN_MAX, outgoing_max: STREAMS_OUT_MAX }
}

fn quic_config(mut config: quic::Config) -> quic::Config {
    config.handshake_timeout = HANDSHAKE_TIMEOUT;
    config.max_idle_timeout = QUIC_IDLE_MS_MAX;
    config.keep_alive_interval = QUIC_KEEP_ALIVE;
    config.max_concurrent_stream_limit = STREAMS_IN_MAX.into();
    config.max_stream_data = QUIC_STREAM_BYTES_MAX;
    config.max_connection_data = QUIC_CONNECTION_BYTES_MAX;
    config
}
