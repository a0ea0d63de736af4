//! Why does a bootstrap not start?

use std::io;

use thiserror::Error;

/// Why it does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address to listen on is neither QUIC nor TCP.
    #[error(
        "--p2p {0} is nowhere to listen: write /ip4/ADDRESS/udp/PORT/quic-v1 or \
         /ip4/ADDRESS/tcp/PORT (or ip6)"
    )]
    ListenUnsupported(String),
    /// An address cannot be listened on.
    #[error("listening on {address}: choose another port with --p2p, or 0 for any free one")]
    Listen {
        /// As it was given.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A listener did not say where it listens.
    #[error("this machine has none of the addresses of --p2p")]
    NoAddress,
    /// An address at which others are to connect is none.
    #[error(
        "--address {0} is nowhere to connect to: write /ip4/ADDRESS/udp/PORT/quic-v1 or \
         /ip4/ADDRESS/tcp/PORT (or ip6)"
    )]
    Address(String),
    /// Too much is given.
    #[error("there may be {max} of {setting} at most")]
    TooMany {
        /// The flag.
        setting: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// Another bootstrap is named in an unknown form.
    #[error("--peer {0}: {1}")]
    Peer(String, kith_net::bootstrap::NoBootstrap),
    /// A TURN server is named without a secret, or a secret without a server.
    #[error("--turn-url and --turn-secret belong together: give both, or neither")]
    Turn,
    /// The encryption of connections cannot be set up.
    #[error("the encryption of connections cannot be set up")]
    Encryption,
    /// The key cannot be read or written.
    #[error("the key of this bootstrap in {path}")]
    Key {
        /// Where it is.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file of the key holds no key.
    #[error(
        "{0} holds no key: put a copy of the old file there, or delete it, which changes all \
         addresses of this bootstrap"
    )]
    NoKey(String),
}
