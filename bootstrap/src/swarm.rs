//! What is our libp2p node made of?

use std::io;

use kith_net::{
    admission, dht,
    records::{RecordLimits, Records},
    yamux,
};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport, autonat,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, OrTransport, global_only},
        upgrade::Version,
    },
    identify,
    identity::Keypair,
    kad, memory_connection_limits, noise, ping, quic, relay,
    swarm::{Config, NetworkBehaviour},
    tcp,
};

use crate::{
    config::{ADMISSION, RelayBounds},
    error::StartError,
    limits::{
        CONNECTION_BYTES_MAX, HANDSHAKE_TIME_MAX, IDENTIFY_INTERVAL, IDLE_TIME_MAX, KEEP_ALIVE,
        OUR_STREAMS_MAX, PING_INTERVAL, SILENCE_MS_MAX, STREAM_BYTES_MAX, STREAMS_MAX,
        STREAMS_NEGOTIATING_MAX,
    },
    meeting, probing, relaying,
};

/// Identify's name of our protocols.
const IDENTIFY_PROTOCOL: &str = "/kith/id/1";
/// What identify tells about this program: the same as a node.
const AGENT: &str = "kith";

/// The protocols of a bootstrap. Those that refuse connections come first.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Event")]
pub(crate) struct Behaviour {
    pub(crate) admission: admission::Behaviour,
    memory: memory_connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(crate) dht: dht::Dht,
    pub(crate) relaying: relaying::Behaviour,
    pub(crate) probing: probing::Behaviour,
    pub(crate) meeting: meeting::Behaviour,
}

/// What the protocols tell us.
#[derive(Debug)]
pub(crate) enum Event {
    Identify(Box<identify::Event>),
    Ping(ping::Event),
    Dht(Box<kad::Event>),
    /// Nothing to be done, but something to be counted.
    Relaying,
    /// Whether an address could be reached is told to whoever asked, by libp2p.
    Probing,
    Meeting(meeting::Event),
}

impl From<std::convert::Infallible> for Event {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<identify::Event> for Event {
    fn from(event: identify::Event) -> Self {
        Self::Identify(Box::new(event))
    }
}

impl From<ping::Event> for Event {
    fn from(event: ping::Event) -> Self {
        Self::Ping(event)
    }
}

impl From<kad::Event> for Event {
    fn from(event: kad::Event) -> Self {
        Self::Dht(Box::new(event))
    }
}

impl From<relay::Event> for Event {
    fn from(_: relay::Event) -> Self {
        Self::Relaying
    }
}

impl From<autonat::v2::server::Event> for Event {
    fn from(_: autonat::v2::server::Event) -> Self {
        Self::Probing
    }
}

impl From<meeting::Event> for Event {
    fn from(event: meeting::Event) -> Self {
        Self::Meeting(event)
    }
}

/// How our libp2p node is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) records: RecordLimits,
    pub(crate) relay: RelayBounds,
    pub(crate) memory_bytes_max: usize,
    /// Nobody is dialled who is not on the internet.
    pub(crate) internet_only: bool,
}

/// Our libp2p node.
///
/// # Errors
/// If encryption cannot be set up.
pub(crate) fn build(
    key: &Keypair,
    addresses: &[Multiaddr],
    setup: &Setup,
) -> Result<Swarm<Behaviour>, StartError> {
    let own = key.public().to_peer_id();
    let config = Config::with_tokio_executor()
        .with_max_negotiating_inbound_streams(STREAMS_NEGOTIATING_MAX)
        .with_idle_connection_timeout(IDLE_TIME_MAX);
    let transport = transport(key, setup.internet_only)?;
    let mut swarm = Swarm::new(transport, behaviour(key, setup), own, config);
    for address in addresses {
        swarm.add_external_address(address.clone());
    }
    Ok(swarm)
}

fn behaviour(key: &Keypair, setup: &Setup) -> Behaviour {
    let own = key.public().to_peer_id();
    let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), key.public())
        .with_agent_version(AGENT.to_owned())
        .with_interval(IDENTIFY_INTERVAL)
        .with_cache_size(0)
        .with_hide_listen_addrs(true);
    let mut dht = dht::behaviour(own, Records::new(own, setup.records, Box::new(kith_server::now)));
    dht.set_mode(Some(kad::Mode::Server));
    Behaviour {
        admission: admission::Behaviour::new(ADMISSION),
        memory: memory_connection_limits::Behaviour::with_max_bytes(setup.memory_bytes_max),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL)),
        dht,
        relaying: relaying::Behaviour::new(own, setup.relay),
        probing: probing::Behaviour::new(),
        meeting: meeting::behaviour(),
    }
}

type Connections = Boxed<(PeerId, StreamMuxerBox)>;

fn transport(key: &Keypair, internet_only: bool) -> Result<Connections, StartError> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key).map_err(|_| StartError::Encryption)?)
        .multiplex(yamux::Config { incoming_max: STREAMS_MAX, outgoing_max: OUR_STREAMS_MAX })
        .timeout(HANDSHAKE_TIME_MAX)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let quic = quic::tokio::Transport::new(quic_config(key))
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let both = OrTransport::new(quic, tcp).map(|either, _| either.into_inner());
    Ok(if internet_only {
        global_only::Transport::new(both).map_err(io::Error::other).boxed()
    } else {
        both.boxed()
    })
}

fn quic_config(key: &Keypair) -> quic::Config {
    let mut config = quic::Config::new(key);
    config.handshake_timeout = HANDSHAKE_TIME_MAX;
    config.max_idle_timeout = SILENCE_MS_MAX;
    config.keep_alive_interval = KEEP_ALIVE;
    config.max_concurrent_stream_limit = STREAMS_MAX.into();
    config.max_stream_data = STREAM_BYTES_MAX;
    config.max_connection_data = CONNECTION_BYTES_MAX;
    config
}
