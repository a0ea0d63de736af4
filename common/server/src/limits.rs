//! How much is too much for any service? Bounds that no configuration changes.

use std::time::Duration;

/// Time for the head of a request to come, and of silence between two requests of a connection.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// Time for a TLS handshake: four round trips of a bad mobile network.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of the head of a request: the least that hyper allows, and what is read ahead of a body.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Headers of a request; common programs and proxies send twenty.
pub const HEADERS_MAX: usize = 64;
/// Time that a body or an answer may take on top of what [`BYTES_PER_SECOND_MIN`] allows it.
pub const TRANSFER_GRACE: Duration = Duration::from_secs(10);
/// How fast a client must take and give, so that 1 MiB holds memory for 74 s at most.
pub const BYTES_PER_SECOND_MIN: u64 = 16 * 1024;
/// Bytes that are read or written without asking the [`Budget`](crate::http::Budget): as much as
/// the buffer that each connection has anyway.
pub const FREE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a body for which room is taken at one time, and that must come within
/// [`TRANSFER_GRACE`].
pub const PIECE_BYTES: usize = 64 * 1024;
/// KiB of larger bodies, or of larger answers, that are in memory at one time: 128 MiB, 128 of the
/// largest.
pub const BUDGET_KIB: usize = 128 * 1024;
/// Time for running requests to end when a service stops.
pub const ENDING_TIME_MAX: Duration = Duration::from_secs(5);
/// Pause before it is looked again whether a data folder is free.
pub const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Pause after the system has refused a connection: it is short of something.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Addresses whose requests are counted at one time, 100 bytes each; those that are silent are
/// forgotten first, and while more are busy than fit, new ones share one count.
pub const ADDRESSES_COUNTED_MAX: usize = 65_536;
/// Hops that are looked at in a header of a proxy.
pub const HOPS_MAX: usize = 16;
/// Requests that are remembered against replay, 20 bytes each, so 40 MiB; under a flood the oldest
/// minute goes first.
pub const NONCES_MAX: usize = 1 << 21;
