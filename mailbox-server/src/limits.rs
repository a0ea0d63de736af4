//! How much is too much for a mailbox-server? Bounds that no configuration changes.

use std::time::Duration;

/// Requests that wait for the store: 1,024 of 4 KiB are 4 MiB, larger ones are in the budget of
/// bodies.
pub const JOBS_WAITING_MAX: usize = 1024;
/// Requests that share a commit: enough that the disk's share of each is small, few enough that the
/// first does not wait long.
pub const COMMIT_JOBS_MAX: usize = 256;
/// Bytes of blobs that share a commit: 4 of the largest.
pub const COMMIT_BYTES_MAX: usize = 4 << 20;
/// Blobs that one sweep deletes: about 27 ms of work.
pub const SWEEP_BLOBS_MAX: usize = 1000;
/// Queues that one sweep gives up.
pub const SWEEP_IDLE_MAX: usize = 100;
/// Remembered requests that one sweep of PostgreSQL forgets.
pub const SWEEP_NONCES_MAX: u64 = 10_000;
/// Blobs that are looked at in a sweep at the price of deleting one.
pub const SWEEP_LOOKED_AT: i64 = 16;
/// Time between two sweeps that find little.
pub const SWEEP_PAUSE: Duration = Duration::from_secs(30);
/// Days after which a queue goes whose owner does not come.
pub const IDLE_DAYS_MAX: u64 = 30;
/// Numbers of a queue stay below this, so that queue and number make one 64-bit key.
pub const NUMBERS_END: u64 = 1 << 32;
/// Largest message to the server on a WebSocket in bytes: a blob of 64 KiB with everything around
/// it. The server holds it before it knows what it is, for each connection.
pub const LIVE_BYTES_MAX: usize = 66 * 1024;
/// Bytes that a WebSocket reads at a time; each connection has a buffer of this size.
pub const LIVE_BUFFER_BYTES: usize = 2 * 1024;
/// Time between two pings on a WebSocket, so that proxies keep it open.
pub const PING_PAUSE: Duration = Duration::from_secs(45);
/// Pings without any sign of life after which a WebSocket is closed.
pub const PINGS_UNANSWERED_MAX: u8 = 2;
/// Pages of 4 KiB in the log of SQLite before they are carried over into the file: 64 MiB. Pages of
/// indexes are written by many puts, and carried over once.
pub const LOG_PAGES: i64 = 16_384;
/// KiB of pages that the writer of the embedded store keeps in memory.
pub const CACHE_KIB: i64 = 4096;
/// Tasks that commit puts to PostgreSQL: while one waits for the disk, the other collects.
pub const COMMITTERS: usize = 2;
/// Threads that read the embedded store beside the one that writes.
pub const READERS: usize = 2;
/// Connections to PostgreSQL of one replica.
pub const POSTGRES_CONNECTIONS: usize = 8;
/// Time to wait for a connection to PostgreSQL, and for the answer to a statement.
pub const POSTGRES_TIME_MAX: Duration = Duration::from_secs(10);
/// Pause before a lost connection for notices is made again.
pub const LISTEN_PAUSE: Duration = Duration::from_millis(500);
/// Time after which a replica counts again what all replicas store.
pub const TOTALS_TIME_MAX: Duration = Duration::from_secs(10);
