//! How much may this node's part in the table hold, and how long may it wait?

use std::time::Duration;

/// What it was asked to do and has not looked at yet.
pub(super) const CALLS_MAX: usize = 64;
/// Records that are being asked for at one time: each asks up to three servers at once.
pub(super) const QUERIES_MAX: usize = 32;
/// Keys that wait to be asked for: two days of five hundred devices.
pub(super) const KEYS_WAITING_MAX: usize = 1024;
/// Different values under one key that are told: an honest device leaves one, and whoever lies near
/// the key may add some.
pub(super) const VALUES_MAX: usize = 8;
/// Lookups whose time is remembered.
pub(super) const LOOKUPS_MAX: usize = 64;
/// Records of ours: two days, for contacts and for strangers.
pub(super) const OWN_MAX: usize = 8;
/// Time after which our records are left again: servers come and go.
pub(super) const AGAIN: Duration = Duration::from_secs(30 * 60);
/// First wait before a record is left again that nobody took.
pub(super) const RETRY_MIN: Duration = Duration::from_secs(2);
/// Longest wait before a record is left again that nobody took.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(300);
/// Time between two rounds of looking for servers near us.
pub(super) const REFRESH: Duration = Duration::from_secs(10 * 60);
/// Time between two looks at what has ended and what is to be handed on.
pub(super) const TURN: Duration = Duration::from_secs(1);

/// Connections that others opened, while it serves.
pub(super) const INCOMING_MAX: u32 = 128;
/// The same from one source.
pub(super) const INCOMING_PER_SOURCE_MAX: u32 = 16;
/// Connections in their handshake that others opened.
pub(super) const PENDING_INCOMING_MAX: u32 = 32;
/// The same from one source.
pub(super) const PENDING_PER_SOURCE_MAX: u32 = 8;
/// Connections in their handshake that we opened.
pub(super) const PENDING_OUTGOING_MAX: u32 = 128;
/// Connections that we opened.
pub(super) const OUTGOING_MAX: u32 = 256;
/// Connections with one peer: one each way, and one to try an address of ours.
pub(super) const PER_PEER_MAX: u32 = 4;
/// Resident memory of the process from which on no connection is made or taken.
pub(super) const MEMORY_BYTES_MAX: usize = 1 << 30;
/// Streams of one connection that the other end opened.
pub(super) const STREAMS_IN_MAX: u16 = 16;
/// Streams of one connection that we opened: questions are asked at once.
pub(super) const STREAMS_OUT_MAX: u16 = 48;
/// Streams of one connection that are being negotiated.
pub(super) const STREAMS_NEGOTIATING_MAX: usize = 8;
/// Time for a transport handshake.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time without any stream after which a connection ends: the next question often comes soon.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Life of a connection that somebody else opened: who keeps streams open for nothing has no place
/// for ever.
pub(super) const VISIT_TIME_MAX: Duration = Duration::from_secs(5 * 60);
/// Time between two identify exchanges of a connection.
pub(super) const IDENTIFY_INTERVAL: Duration = Duration::from_secs(3600);
/// QUIC flow control window of a stream: records are small.
pub(super) const QUIC_STREAM_BYTES_MAX: u32 = 64 << 10;
/// QUIC flow control window of a connection.
pub(super) const QUIC_CONNECTION_BYTES_MAX: u32 = 256 << 10;
/// Silence after which a QUIC connection is dead.
pub(super) const QUIC_IDLE_MS_MAX: u32 = 30_000;
/// Addresses that bootstraps have seen us at.
pub(super) const SEEN_MAX: usize = 8;
