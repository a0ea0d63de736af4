//! How many requests to mailbox-servers are made at a time, and how long may they take?

use std::time::Duration;

use kith_common::{
    limits::{CARD_BYTES_MAX, FETCHED_BYTES_MAX},
    service::mailbox::Operation,
};

/// Connections that look into own queues. A queue waits on its connection, so this is how many are
/// looked into without a break; with more queues they take turns. Together with
/// [`WRITING_MAX`] a quarter of the 1,024 open files of common systems.
pub(super) const LISTENING_MAX: usize = 192;
/// Connections for everything else, so that no letter waits for a queue that is being looked into.
pub(super) const WRITING_MAX: usize = 64;
/// Requests that are under way or wait: the queues of a thousand contacts at four mailboxes, and as
/// many letters.
pub(super) const ERRANDS_MAX: usize = 8192;
/// Bytes of their bodies: 64 of the largest, or four thousand letters of the usual size.
pub(super) const ERRAND_BYTES_MAX: usize = 64 << 20;
/// Answers to fetches that are read, or wait to be handled, at a time: 16 MiB.
pub(super) const FETCHES_READ_MAX: usize = 16;
/// Names that are looked up at a time: each takes a thread of the system's resolver.
pub(super) const LOOKUPS_MAX: usize = 16;
/// Addresses of one name that are tried.
pub(super) const ADDRESSES_MAX: usize = 8;

/// Time to find, reach and recognise a server.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one of several addresses of a name, before the next one is tried.
pub(super) const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for an answer beyond what the server was asked to wait: a MiB in either direction on a line
/// of half a Mbit/s.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a connection is kept for the queue's next request: people who talk write within it, and
/// nothing longer than this is worth a connection.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer's head, and of what is read ahead of its body.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;
/// Headers of an answer.
pub(super) const HEADERS_MAX: usize = 64;
/// Bytes of a refusal, and of short answers: a code, a sentence of 256 bytes, extensions.
pub(super) const SHORT_BYTES_MAX: usize = 2 << 10;
/// Bytes of what a server says of itself.
pub(super) const INFO_BYTES_MAX: usize = 16 << 10;

/// Bytes of the answer to a request.
pub(super) const fn answer_bytes_max(operation: Operation) -> usize {
    match operation {
        Operation::Fetch => FETCHED_BYTES_MAX,
        Operation::Status => CARD_BYTES_MAX + SHORT_BYTES_MAX,
        Operation::Open | Operation::Put | Operation::Close => SHORT_BYTES_MAX,
    }
}
