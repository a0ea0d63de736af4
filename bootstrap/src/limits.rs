//! How much is too much for a bootstrap? Bounds that no configuration changes.
//!
//! What it can take in all, with the bounds of [`Settings`](crate::config::Settings) as they are:
//!
//! | what | MiB |
//! |---|---|
//! | records: 200,000 of 1 KiB, and 0.3 KiB around each | 250 |
//! | registrations: 50,000 of 2 KiB at most, and 0.3 KiB around each; most have 0.5 KiB | 110 |
//! | connections: 5,120 with 40 KiB of state and buffers each | 200 |
//! | circuits: 2,048 with two buffers of 8 KiB | 32 |
//!
//! What waits in the windows of streams comes on top, while somebody does not read what was sent to
//! him: 256 KiB for a stream, 512 KiB for a circuit, so 128 MiB for those of one source; 1 MiB for a
//! connection of QUIC, 12 MiB for the streams that the other end of TCP opened. Several sources that
//! do it together reach the memory bound, from which on nobody is let in.

use std::time::Duration;

/// Connections that others opened (spec 23 R9).
pub const CONNECTIONS_MAX: u32 = 4096;
/// The same of one source.
pub const CONNECTIONS_PER_SOURCE_MAX: u32 = 64;
/// Connections in their handshake that others opened.
pub const HANDSHAKES_MAX: u32 = 256;
/// The same of one source.
pub const HANDSHAKES_PER_SOURCE_MAX: u32 = 16;
/// Connections with one peer: four with a place (R5), one at which its address is tried, and old
/// ones that nobody knows yet to be dead.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 8;
/// Connections that we opened: to servers that are asked for something, and for trying addresses.
pub const DIALLED_MAX: u32 = 1024;
/// Connections that we are opening: [`PROBES_MAX`], and as many for queries.
pub const DIALLING_MAX: u32 = 256;
/// Streams of one connection that the other end opened (R9): [`CIRCUITS_PER_PEER_MAX`] that it calls
/// others by, identify, ping, queries, meeting places and probes.
pub const STREAMS_MAX: u16 = 48;
/// Streams of one connection of TCP that we opened: [`CIRCUITS_PER_PEER_MAX`] to who is called over
/// us, and identify, ping, queries and a probe. What is more waits. QUIC leaves that to the other end.
pub const OUR_STREAMS_MAX: u16 = 40;
/// Streams of one connection that are being negotiated.
pub const STREAMS_NEGOTIATING_MAX: usize = 8;
/// Bytes that wait in one stream of QUIC: at 100 ms this still carries 2.5 MB/s.
pub const STREAM_BYTES_MAX: u32 = 256 * 1024;
/// Bytes that wait in all streams of one connection of QUIC.
pub const CONNECTION_BYTES_MAX: u32 = 1 << 20;
/// Silence after which a QUIC connection is dead.
pub const SILENCE_MS_MAX: u32 = 60_000;
/// Silence after which QUIC says something: below the 30 s of common address translators.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Time for a handshake.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Time after which a connection without any stream is closed (R9).
pub const IDLE_TIME_MAX: Duration = Duration::from_secs(10);
/// Life of a connection that neither has a place nor carries anything for others, whatever streams
/// it keeps open: a node that wants something asks for it within that time, or comes again.
pub const VISIT_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// Time between two pings of a connection.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Time between two identify exchanges of a connection.
pub const IDENTIFY_INTERVAL: Duration = Duration::from_secs(3600);

/// Records of one source (R3).
pub const RECORDS_PER_SOURCE_MAX: usize = 1024;
/// Time between two looks for records and registrations that have ended (R3).
pub const SWEEP_PAUSE: Duration = Duration::from_secs(30);

/// Life of a place (R5); a node asks for it again before it ends.
pub const PLACE_TIME: Duration = Duration::from_secs(3600);
/// Places of one peer, each on a connection of its own.
pub const PLACES_PER_PEER_MAX: usize = 4;
/// Places of one source: one for each connection that it may have.
pub const PLACES_PER_SOURCE_MAX: usize = 64;
/// Circuits of one peer.
pub const CIRCUITS_PER_PEER_MAX: usize = 32;
/// Circuits that one source has opened: an eighth of all, so that it cannot have them all.
pub const CIRCUITS_PER_SOURCE_MAX: usize = 256;

/// Namespaces in which one peer is registered (R6).
pub const NAMESPACES_PER_PEER_MAX: usize = 16;
/// Registrations of one source: those of 64 peers.
pub const REGISTRATIONS_PER_SOURCE_MAX: usize = 1024;
/// Registrations in one namespace; of more the oldest goes. It belongs to one device, of which an
/// old transport id or two may still be there.
pub const REGISTRATIONS_PER_NAMESPACE_MAX: usize = 32;
/// Bytes of a namespace: twice what spec 10 makes of them.
pub const NAMESPACE_BYTES_MAX: usize = 64;
/// Bytes of a registration: sixteen relayed addresses of 115 bytes each.
pub const REGISTRATION_BYTES_MAX: usize = 2048;
/// Life of a registration in seconds.
pub const REGISTRATION_SECONDS_MAX: u64 = 2 * 60 * 60;
/// Bytes of a request about meeting places: a registration and its namespace.
pub const MEETING_BYTES_MAX: usize = REGISTRATION_BYTES_MAX + NAMESPACE_BYTES_MAX + 64;
/// Requests of one connection that are being read or answered.
pub const MEETING_STREAMS_MAX: usize = 4;
/// Time for such a request.
pub const MEETING_TIME_MAX: Duration = Duration::from_secs(10);

/// Addresses that are being tried for others (R7).
pub const PROBES_MAX: usize = 128;
/// The same for one source.
pub const PROBES_PER_SOURCE_MAX: usize = 8;

/// Other bootstraps that are named.
pub const PEERS_MAX: usize = 16;
/// Wait before a bootstrap is dialled again that was not there; doubles with every attempt.
pub const PEER_WAIT_MIN: Duration = Duration::from_secs(5);
/// Longest wait before a bootstrap is dialled again, whether it was there or not.
pub const PEER_WAIT_MAX: Duration = Duration::from_secs(300);
/// Time between two looks at what names stand for; answers of name servers last as long as they say.
pub const NAMES_PAUSE: Duration = Duration::from_secs(60);
/// Addresses of this machine that are told.
pub const OWN_ADDRESSES_MAX: usize = 16;

/// Life of TURN credentials in seconds (R8).
pub const TURN_SECONDS: u64 = 12 * 60 * 60;

/// Time between two turns at which numbers are read off and records handed on.
pub const TURN_PAUSE: Duration = Duration::from_millis(250);
/// Time without change after which the addresses of this machine are known: a system lists all of
/// its interfaces within a millisecond.
pub const LISTENING_SETTLES: Duration = Duration::from_millis(50);
/// Time for a listener to say where it listens.
pub const LISTENING_TIME_MAX: Duration = Duration::from_secs(5);
/// Time for connections to end when the service stops.
pub const ENDING_TIME_MAX: Duration = Duration::from_secs(2);
