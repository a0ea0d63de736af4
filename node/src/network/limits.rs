//! How much may the network hold, and how long may it wait?

use std::time::Duration;

/// Frames waiting to be written to one link: a burst of one engine step fits, some for each of a
/// thousand conversations.
pub(super) const QUEUE_FRAMES_MAX: usize = 4096;
/// Bytes waiting to be written to one link: four frames of the largest size, and twice what the
/// engine sends of entries before it is answered.
pub(super) const QUEUE_BYTES_MAX: usize = 4 << 20;
/// Bytes written at once, unless a single frame is larger.
pub(super) const BATCH_BYTES: usize = 64 * 1024;
/// Bytes a frame grows by while it arrives, so that a length alone costs nothing.
pub(super) const CHUNK_BYTES: usize = 16 * 1024;

/// Established connections that others opened.
pub(super) const INCOMING_MAX: u32 = 256;
/// Established connections that others opened from one source (address, or /64 of IPv6).
pub(super) const INCOMING_PER_SOURCE_MAX: u32 = 64;
/// Connections in their handshake that others opened.
pub(super) const PENDING_INCOMING_MAX: u32 = 64;
/// The same from one source: a quarter, so that one source cannot lock the others out.
pub(super) const PENDING_PER_SOURCE_MAX: u32 = 16;
/// Connections in their handshake that we opened.
pub(super) const PENDING_OUTGOING_MAX: u32 = 64;
/// Established connections that we opened.
pub(super) const OUTGOING_MAX: u32 = 512;
/// Connections with one peer: simultaneous dials, or the old and the new one of a renewal; and one
/// through a relay beside a straight one, twice while that is being made.
pub(super) const PER_PEER_MAX: u32 = 4;
/// Resident memory of the process from which on no connection is made or taken.
pub(super) const MEMORY_BYTES_MAX: usize = 1 << 30;

/// Streams of one connection that the other end opened: link, identify, ping; of a relay, connections
/// of others through it, which whoever knows us can call.
pub(super) const STREAMS_IN_MAX: u16 = 48;
/// Streams of one connection that we opened: the same, and connections to others through a relay.
pub(super) const STREAMS_OUT_MAX: u16 = 48;
/// Streams of one connection that are being negotiated.
pub(super) const STREAMS_NEGOTIATING_MAX: usize = 8;
/// QUIC flow control window of a stream: at 100 ms this still carries 10 MB/s.
pub(super) const QUIC_STREAM_BYTES_MAX: u32 = 1 << 20;
/// QUIC flow control window of a connection: the link's stream and the small ones.
pub(super) const QUIC_CONNECTION_BYTES_MAX: u32 = 5 << 18;
/// Silence after which a QUIC connection is dead.
pub(super) const QUIC_IDLE_MS_MAX: u32 = 60_000;
/// Silence after which QUIC says something: below the 30 s of common address translators.
pub(super) const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Addresses that wait to be dialled.
pub(super) const DIALS_WAITING_MAX: usize = 256;
/// Dials at once; half the pending connections, which leaves room for renewals.
pub(super) const DIALS_RUNNING_MAX: usize = 32;
/// What the network was asked to do and has not looked at yet: one engine step dials everybody.
pub(super) const CALLS_MAX: usize = 256;
/// Addresses in one call of `dial`.
pub(super) const DIAL_ADDRESSES_MAX: usize = 64;
/// Head start of QUIC over TCP when both are known: more than two round trips for most.
pub(super) const QUIC_HEAD_START: Duration = Duration::from_millis(300);
/// Further addresses remembered for a link, so that they are not dialled again.
pub(super) const ALIASES_MAX: usize = 16;
/// Addresses remembered as our own.
pub(super) const OWN_ADDRESSES_MAX: usize = 64;

/// Addresses found in the local network and not given up.
pub(super) const NEIGHBOURS_MAX: usize = 64;
/// Announcements in the local network after which discovery is switched off as flooded.
pub(super) const ANNOUNCEMENTS_MAX: usize = 1024;
/// Wait before a neighbour is dialled again; doubles with every attempt.
pub(super) const NEIGHBOUR_WAIT_MIN: Duration = Duration::from_secs(5);
/// Longest wait before a neighbour is dialled again.
pub(super) const NEIGHBOUR_WAIT_MAX: Duration = Duration::from_secs(600);
/// Attempts after which a neighbour is forgotten until it is announced anew.
pub(super) const NEIGHBOUR_ATTEMPTS_MAX: u32 = 8;
/// Of two neighbours the one with the larger id waits this long for the other one's dial.
pub(super) const NEIGHBOUR_COURTESY: Duration = Duration::from_secs(2);

/// Time for a transport handshake.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a link to open its stream.
pub(super) const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// Time without progress after which a peer is too slow: inside a frame, or while we write.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for what is queued to leave when a link is closed in order.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for all links to end when the network stops or changes its identity.
pub(super) const ENDING_TIMEOUT: Duration = Duration::from_millis(2500);
/// Time between two pings of an otherwise idle connection.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Time between two identify exchanges of a connection; nothing we tell changes.
pub(super) const IDENTIFY_INTERVAL: Duration = Duration::from_secs(3600);

/// Life of a connection and of its keys.
pub(super) const RENEWAL: Duration = Duration::from_secs(3600);
/// Bytes carried after which a connection is renewed early.
pub(super) const RENEWAL_BYTES: u64 = 1 << 30;
/// Failed renewals after which the old connection is closed without a new one.
pub(super) const RENEWAL_ATTEMPTS_MAX: u32 = 3;
/// Life of a transport identity.
pub(super) const ROTATION: Duration = Duration::from_secs(24 * 3600);
/// Attempts to get a listening port back after a rotation.
pub(super) const REBIND_ATTEMPTS_MAX: u32 = 50;
/// Time between two such attempts: QUIC lets go after three probe timeouts.
pub(super) const REBIND_WAIT: Duration = Duration::from_millis(100);

/// Time without change after which the listening addresses are told: a system lists all of its
/// interfaces within a millisecond.
pub(super) const LISTENING_SETTLES: Duration = Duration::from_millis(10);
/// Messages between the tasks of links and the driver.
pub(super) const NOTICES_MAX: usize = 64;

/// Bootstraps at which a place is kept: losing all but one loses nothing.
pub(super) const RELAYS_MAX: usize = 4;
/// Addresses that one relay may say to have.
pub(super) const RELAY_ADDRESSES_MAX: usize = 8;
/// Relayed addresses that others are told: two of each relay, and room for as many others.
pub(super) const RELAYED_ADDRESSES_MAX: usize = 6;
/// Direct addresses that others are told: with the relayed ones they fit a certificate.
pub(super) const DIRECT_ADDRESSES_MAX: usize = 10;
/// Head start of QUIC over TCP towards bootstraps: several round trips.
pub(super) const RELAY_QUIC_HEAD_START: Duration = Duration::from_millis(700);
/// First wait before a bootstrap is tried again.
pub(super) const RELAY_WAIT_MIN: Duration = Duration::from_secs(1);
/// Longest wait before a bootstrap is tried again.
pub(super) const RELAY_WAIT_MAX: Duration = Duration::from_secs(300);
/// Head start of direct addresses over relayed ones (spec 10 R11).
pub(super) const DIRECT_HEAD_START: Duration = Duration::from_millis(500);
/// Waits before each attempt to make a straight connection: the other end needs a moment to know us
/// too, and address translators forget.
pub(super) const PUNCH_WAITS: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_secs(5), Duration::from_secs(30)];
/// Time for an attempt: the other end is asked, and then up to three dials of ten seconds each.
pub(super) const PUNCH_TIMEOUT: Duration = Duration::from_secs(40);
/// Peers with whom straight connections are tried at one time.
pub(super) const PUNCHES_MAX: usize = 256;
/// Addresses that bootstraps have seen us at.
pub(super) const SEEN_MAX: usize = 16;
/// Addresses confirmed to lead here.
pub(super) const CONFIRMED_MAX: usize = 8;
/// Places to meet at that are looked into at one time: those of 64 devices and of ids.
pub(super) const MEETINGS_MAX: usize = 256;
/// Places at which we are to be found: of two days, for contacts and for strangers.
pub(super) const NAMESPACES_MAX: usize = 8;
/// How long somebody is looked for at a place.
pub(super) const MEETING_TIME: Duration = Duration::from_secs(30);
/// Registrations of one place that are looked at.
pub(super) const REGISTRATIONS_MAX: u64 = 16;
/// Addresses of one registration that are dialled.
pub(super) const REGISTERED_ADDRESSES_MAX: usize = 4;
/// Life of a registration in seconds: the shortest that the protocol knows.
pub(super) const REGISTRATION_SECONDS: u64 = 2 * 3600;
/// Wait before a registration that failed is tried again.
pub(super) const REGISTER_RETRY: Duration = Duration::from_secs(10);
/// Time between two registrations at a place.
pub(super) const REGISTER_PAUSE: Duration = Duration::from_secs(3600);
