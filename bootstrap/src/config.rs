//! How is a bootstrap set up?

use std::time::Duration;

use clap::Args;
use kith_net::{admission::AdmissionLimits, records::RecordLimits};
use kith_server::{Service, config::Hidden};
use serde::{Deserialize, Serialize};

use crate::limits::{
    CIRCUITS_PER_PEER_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX, CONNECTIONS_PER_SOURCE_MAX,
    DIALLED_MAX, DIALLING_MAX, HANDSHAKES_MAX, HANDSHAKES_PER_SOURCE_MAX, PLACE_TIME,
    PLACES_PER_PEER_MAX, RECORDS_PER_SOURCE_MAX,
};

/// What is fixed about the service.
pub const SERVICE: Service = Service {
    name: "bootstrap",
    about: "Opt-in Kith service: lets nodes find each other, relays for them, keeps sealed records",
    listen: "127.0.0.1:8451",
    health: "127.0.0.1:9451",
    secrets: &["turn-secret"],
};

/// What is printed at the start.
pub const USAGE: &str = "Choose it in a node with `kith bootstrap set ADDRESS`, by an address above at which others \
                         reach this computer; --help lists the settings, --print-config shows those \
                         in use.";

/// Settings of the bootstrap.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// Where nodes connect, over QUIC and TCP; port 0 takes any free one. IPv6 addresses are left
    /// out on machines without IPv6.
    #[arg(
        long,
        value_name = "MULTIADDR",
        env = "KITH_P2P",
        value_delimiter = ',',
        default_values_t = [
            "/ip4/0.0.0.0/udp/8450/quic-v1".to_owned(),
            "/ip4/0.0.0.0/tcp/8450".to_owned(),
            "/ip6/::/udp/8450/quic-v1".to_owned(),
            "/ip6/::/tcp/8450".to_owned(),
        ]
    )]
    pub p2p: Vec<String>,
    /// Where others reach it; without any, all addresses of this machine are told.
    #[arg(long, value_name = "MULTIADDR", env = "KITH_ADDRESS", value_delimiter = ',')]
    pub address: Vec<String>,
    /// Other bootstraps: /ip4/.../p2p/PEER, /ip6/.../p2p/PEER or /dnsaddr/HOST.
    #[arg(long, value_name = "BOOTSTRAP", env = "KITH_PEER", value_delimiter = ',')]
    pub peer: Vec<String>,
    /// A TURN server for calls: "turn:HOST:3478?transport=udp".
    #[arg(long, value_name = "URL", env = "KITH_TURN_URL", value_delimiter = ',')]
    pub turn_url: Vec<String>,
    /// The secret that it shares with the TURN server (static-auth-secret of coturn).
    #[arg(long, value_name = "WORD", env = "KITH_TURN_SECRET", hide_env_values = true)]
    pub turn_secret: Option<Hidden>,
    /// Records that are kept.
    #[arg(long, value_name = "N", env = "KITH_RECORDS_MAX", default_value_t = 200_000)]
    pub records_max: u32,
    /// Nodes for which it relays.
    #[arg(long, value_name = "N", env = "KITH_PLACES_MAX", default_value_t = 4096)]
    pub places_max: u32,
    /// Connections that it relays at one time; 0 relays none.
    #[arg(long, value_name = "N", env = "KITH_CIRCUITS_MAX", default_value_t = 2048)]
    pub circuits_max: u32,
    /// MiB that one relayed connection may carry.
    #[arg(long, value_name = "MIB", env = "KITH_CIRCUIT_MIB", default_value_t = 64)]
    pub circuit_mib: u32,
    /// Minutes that one relayed connection may last.
    #[arg(long, value_name = "MINUTES", env = "KITH_CIRCUIT_MINUTES", default_value_t = 120)]
    pub circuit_minutes: u32,
    /// Registrations at meeting places.
    #[arg(long, value_name = "N", env = "KITH_REGISTRATIONS_MAX", default_value_t = 50_000)]
    pub registrations_max: u32,
    /// MiB of resident memory from which on nobody is let in.
    #[arg(long, value_name = "MIB", env = "KITH_MEMORY_MIB", default_value_t = 1024)]
    pub memory_mib: u32,
}

/// How much may be relayed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelayBounds {
    pub(crate) places_max: usize,
    pub(crate) place_time: Duration,
    pub(crate) places_per_peer_max: usize,
    pub(crate) circuits_max: usize,
    pub(crate) circuits_per_peer_max: usize,
    pub(crate) circuit_bytes_max: u64,
    pub(crate) circuit_seconds_max: u32,
}

impl Settings {
    pub(crate) fn records(&self) -> RecordLimits {
        RecordLimits {
            records_max: whole(self.records_max),
            per_source_max: RECORDS_PER_SOURCE_MAX,
        }
    }

    pub(crate) fn relay(&self) -> RelayBounds {
        RelayBounds {
            places_max: whole(self.places_max),
            place_time: PLACE_TIME,
            places_per_peer_max: PLACES_PER_PEER_MAX,
            circuits_max: whole(self.circuits_max),
            circuits_per_peer_max: CIRCUITS_PER_PEER_MAX,
            // To libp2p 0 means that there is no bound.
            circuit_bytes_max: u64::from(self.circuit_mib.max(1)) << 20,
            circuit_seconds_max: self.circuit_minutes.max(1).saturating_mul(60),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        whole(self.memory_mib).saturating_mul(1 << 20)
    }
}

/// Who is let in.
pub(crate) const ADMISSION: AdmissionLimits = AdmissionLimits {
    incoming_max: CONNECTIONS_MAX,
    incoming_per_source_max: CONNECTIONS_PER_SOURCE_MAX,
    pending_incoming_max: HANDSHAKES_MAX,
    pending_per_source_max: HANDSHAKES_PER_SOURCE_MAX,
    pending_outgoing_max: DIALLING_MAX,
    outgoing_max: DIALLED_MAX,
    per_peer_max: CONNECTIONS_PER_PEER_MAX,
};

fn whole(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
