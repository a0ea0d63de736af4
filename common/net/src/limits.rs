//! How much is too much for all who speak libp2p?

use std::{num::NonZeroUsize, time::Duration};

/// Addresses that one name may stand for (spec 23).
pub const NAME_ADDRESSES_MAX: usize = 32;
/// Characters of a host name: 253 of DNS, less `_dnsaddr.` in front of it.
pub const HOST_CHARACTERS_MAX: usize = 244;
/// Time for one question to a name server.
pub const NAME_TIME_MAX: Duration = Duration::from_secs(5);
/// Time for all names together: two questions, one after the other.
pub const NAMES_TIME_MAX: Duration = Duration::from_secs(10);
/// Answers of name servers that are remembered: one for each bootstrap, and some change.
pub const NAMES_REMEMBERED_MAX: u64 = 32;

/// Servers to which a record goes (spec 23 R4).
pub const REPLICAS: NonZeroUsize = NonZeroUsize::new(20).unwrap();
/// Disjoint paths of a query: one liar on each of them is needed to hide something.
pub const PATHS: NonZeroUsize = NonZeroUsize::new(3).unwrap();
/// Time of a query with all that it asks.
pub const QUERY_TIME_MAX: Duration = Duration::from_secs(10);
/// Time for one answer: a server that is slower is not waited for, the next one is asked.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(4);
/// Addresses of one server in the routing table: QUIC and TCP, IPv4 and IPv6.
pub const SERVER_ADDRESSES_MAX: usize = 4;
/// Bytes of a message between servers. The largest answer is a record of 1,024 bytes, its key, and
/// 20 servers, each with 40 bytes of peer id and four addresses of up to 75 with their headers:
/// 1,100 + 20 · 350 = 8,100. Twice that leaves room for servers that list more.
pub const PACKET_BYTES_MAX: usize = 16 * 1024;
/// Life of a record for libp2p; the record itself says when it ends.
pub const RECORD_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Records that a node keeps: 4,096 · 1.3 KiB are 5 MiB (spec 23 R3).
pub const NODE_RECORDS_MAX: usize = 4096;
/// Records of one source that a node keeps.
pub const NODE_RECORDS_PER_SOURCE_MAX: usize = 128;

/// Time until a record is handed on (spec 23 R4).
pub const HAND_ON_MS: u64 = 60 * 60 * 1000;
/// Spread of that time, so that of those who keep a record one is first.
pub const HAND_ON_SPREAD_MS: u64 = 15 * 60 * 1000;
/// Records that are being handed on: 16 begun every second make 57,600 an hour. Of 20 servers that
/// keep one, one or two do it, so that is enough for 200,000 with much to spare.
pub const HANDING_ON_MAX: usize = 16;
