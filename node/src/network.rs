//! How do frames get from this device to another one?
//!
//! The network carries opaque frames between nodes over QUIC and TCP. It knows nothing about
//! accounts or devices: whoever is on the other end of a link proves itself inside the frames.
//!
//! | file | answers |
//! |---|---|
//! | `swarm` | what is our libp2p node made of? |
//! | `admission` | which connections may exist? |
//! | `link` | how do two nodes get the one stream of their link? |
//! | `links` | which links are up, and when are they renewed? |
//! | `listeners` | where do we listen? |
//! | `frames` | how do frames become bytes and frames again? |
//! | `queue` | what waits to be written? |
//! | `carrier` | what happens on a link from its first frame to its last? |
//! | `address` | which addresses do we dial? |
//! | `dials` | which of them are next? |
//! | `neighbours` | who is in the local network? |
//! | `driver` | what happens when? |
//! | `counters` | what was refused? |
//! | `limits` | how much is too much? |
//!
//! **Invariant:** for every link `LinkUp`, its frames in order and `LinkDown`, each once.
//! **Invariant:** no log line holds an address, a transport id or the contents of a frame.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kith_common::limits::FRAME_BYTES_MAX;
pub use libp2p::Multiaddr;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

mod address;
mod admission;
mod carrier;
mod counters;
mod dials;
mod driver;
mod frames;
mod limits;
mod link;
mod links;
mod listeners;
mod neighbours;
mod queue;
mod swarm;

use carrier::Closing;
use counters::{Counter, Counters};
use queue::{PushError, QueueSender};

/// Names a link; never used again within a process.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LinkId(pub u64);

impl LinkId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What the network is asked to be.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Addresses to listen on, TCP or QUIC; port 0 means any, and is kept over rotations.
    pub listen: Vec<Multiaddr>,
    /// Whether to look for other nodes in the local network and to be found there.
    pub mdns: bool,
    /// Age at which the dialling side replaces a connection, give or take a tenth.
    pub renewal: Duration,
    /// Bytes in both directions after which it is replaced earlier.
    pub renewal_bytes: u64,
    /// Age at which the transport identity is thrown away and all links end.
    pub rotation: Duration,
    /// Bounds.
    pub limits: NetworkLimits,
}

impl NetworkConfig {
    /// Listens on these addresses, without discovery in the local network.
    pub fn new(listen: Vec<Multiaddr>) -> Self {
        Self {
            listen,
            mdns: false,
            renewal: limits::RENEWAL,
            renewal_bytes: limits::RENEWAL_BYTES,
            rotation: limits::ROTATION,
            limits: NetworkLimits::default(),
        }
    }
}

/// How much the network may hold and how long it waits.
#[derive(Copy, Clone, Debug)]
pub struct NetworkLimits {
    /// Frames waiting to be written to one link.
    pub queue_frames_max: usize,
    /// Bytes of frames waiting to be written to one link.
    pub queue_bytes_max: usize,
    /// Connections that others opened.
    pub incoming_max: u32,
    /// The same from one IPv4 address or one /64 of IPv6; this machine itself has no such bound.
    pub incoming_per_source_max: u32,
    /// Connections in their handshake that others opened.
    pub pending_incoming_max: u32,
    /// The same from one source.
    pub pending_per_source_max: u32,
    /// Connections in their handshake that we opened.
    pub pending_outgoing_max: u32,
    /// Connections that we opened.
    pub outgoing_max: u32,
    /// Connections with one peer.
    pub per_peer_max: u32,
    /// Resident bytes of the process from which on connections are refused.
    pub memory_bytes_max: usize,
    /// Time for a connection to open its link.
    pub opening_timeout: Duration,
    /// Time without progress after which a peer is too slow.
    pub stall_timeout: Duration,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            queue_frames_max: limits::QUEUE_FRAMES_MAX,
            queue_bytes_max: limits::QUEUE_BYTES_MAX,
            incoming_max: limits::INCOMING_MAX,
            incoming_per_source_max: limits::INCOMING_PER_SOURCE_MAX,
            pending_incoming_max: limits::PENDING_INCOMING_MAX,
            pending_per_source_max: limits::PENDING_PER_SOURCE_MAX,
            pending_outgoing_max: limits::PENDING_OUTGOING_MAX,
            outgoing_max: limits::OUTGOING_MAX,
            per_peer_max: limits::PER_PEER_MAX,
            memory_bytes_max: limits::MEMORY_BYTES_MAX,
            opening_timeout: limits::OPENING_TIMEOUT,
            stall_timeout: limits::STALL_TIMEOUT,
        }
    }
}

/// What happened. `Debug` shows neither addresses nor transport ids nor contents.
#[derive(Clone, Eq, PartialEq)]
pub enum NetworkEvent {
    /// A link is up: its frames follow, then `LinkDown`.
    LinkUp {
        /// The link.
        link: LinkId,
        /// Our transport id (the bytes of a libp2p peer id) on this link.
        own_transport: Box<[u8]>,
        /// The peer's transport id, proven by the handshake.
        peer_transport: Box<[u8]>,
        /// The address that we dialled, or where the peer's dial came from, which is often no
        /// address to dial.
        address: String,
    },
    /// A frame arrived.
    Frame {
        /// The link that it came on.
        link: LinkId,
        /// Its bytes, at least one and at most `FRAME_BYTES_MAX`.
        bytes: Vec<u8>,
    },
    /// A link is gone; frames that were queued for it may be lost.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// The addresses we listen on have changed; these are all, loopback included.
    Listening {
        /// Addresses to dial, without peer ids, in order.
        addresses: Vec<String>,
    },
}

impl fmt::Debug for NetworkEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkUp { link, .. } => write!(f, "LinkUp({})", link.0),
            Self::Frame { link, bytes } => write!(f, "Frame({}, {} bytes)", link.0, bytes.len()),
            Self::LinkDown { link } => write!(f, "LinkDown({})", link.0),
            Self::Listening { addresses } => write!(f, "Listening({} addresses)", addresses.len()),
        }
    }
}

/// Why the network cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// An address to listen on is neither TCP nor QUIC.
    #[error("listen address {position} is neither /ip…/tcp/… nor /ip…/udp/…/quic-v1")]
    ListenUnsupported {
        /// Its place in the configuration, from 0.
        position: usize,
    },
    /// An address cannot be listened on, for instance because its port is taken.
    #[error("cannot listen on address {position} of the configuration")]
    Listen {
        /// Its place in the configuration, from 0.
        position: usize,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The encryption of the transport cannot be set up.
    #[error("cannot set up the encryption of connections")]
    Transport,
}

/// Why a frame was not queued.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendError {
    /// The link is gone or about to go.
    #[error("the link is down")]
    Down,
    /// Too much waits for the peer to read: close the link.
    #[error("the peer reads too slowly")]
    Full,
    /// The frame is empty or larger than `FRAME_BYTES_MAX`.
    #[error("a frame of {bytes} bytes is not allowed")]
    Size {
        /// Its length in bytes.
        bytes: usize,
    },
}

/// A running network. Dropping it stops it too, in the background.
#[derive(Debug)]
pub struct Network {
    shared: Arc<Shared>,
    dials: mpsc::Sender<Vec<String>>,
    driver: Mutex<Option<JoinHandle<()>>>,
    stop: CancellationToken,
    _dropped: DropGuard,
}

impl Network {
    /// Listens and starts; needs a tokio runtime. Give `events` a small capacity: the network
    /// waits for the receiver, and every frame on the way may be a MiB.
    ///
    /// # Errors
    /// If an address cannot be listened on. IPv6 addresses are left out on machines without IPv6,
    /// as long as another address works.
    #[expect(clippy::unused_async, reason = "the signature says that a runtime is needed")]
    pub async fn start(
        config: NetworkConfig,
        events: mpsc::Sender<NetworkEvent>,
    ) -> Result<Self, NetworkError> {
        let shared = Arc::new(Shared::default());
        let stop = CancellationToken::new();
        let (dials, calls) = mpsc::channel(limits::DIAL_CALLS_MAX);
        let driver =
            driver::Driver::start(config, Arc::clone(&shared), events, calls, stop.clone())?;
        let driver = Mutex::new(Some(tokio::spawn(driver.run())));
        Ok(Self { shared, dials, driver, _dropped: stop.clone().drop_guard(), stop })
    }

    /// Queues a frame; never waits. A frame that was queued can still be lost with its link.
    ///
    /// # Errors
    /// If the link is down, the queue is full or the frame has no allowed size. After
    /// [`SendError::Full`] the caller should close the link.
    pub fn send(&self, link: LinkId, frame: Vec<u8>) -> Result<(), SendError> {
        let bytes = frame.len();
        if bytes == 0 || bytes > FRAME_BYTES_MAX {
            return Err(SendError::Size { bytes });
        }
        let queue = self.shared.links().get(&link).map(|handle| handle.queue.clone());
        match queue.ok_or(SendError::Down)?.push(frame) {
            Ok(()) => Ok(()),
            Err(PushError::Closed) => Err(SendError::Down),
            Err(PushError::Full) => {
                self.shared.counters.add(Counter::QueueFull);
                Err(SendError::Full)
            }
        }
    }

    /// Closes a link: what is queued has a moment to leave, `LinkDown` follows.
    pub fn close(&self, link: LinkId) {
        if let Some(handle) = self.shared.links().remove(&link) {
            handle.closing.now.cancel();
        }
    }

    /// Dials these addresses, of one peer or of many; never waits. Addresses that are no TCP or
    /// QUIC addresses are ignored, and so are those being dialled or connected already. Nothing is
    /// told about dials that fail.
    pub fn dial(&self, addresses: Vec<String>) {
        if self.dials.try_send(addresses).is_err() {
            self.shared.counters.add(Counter::DialQueueFull);
        }
    }

    /// How often each kind of refusal happened since the start.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.shared.counters.snapshot()
    }

    /// Closes all links, giving queued frames a moment to leave, and stops. No event follows. Who
    /// asks again does not wait.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(driver) = driver else { return };
        if driver.await.is_err() {
            tracing::error!("the network driver ended abnormally");
        }
    }
}

/// What the callers of the network share with its tasks.
#[derive(Debug, Default)]
struct Shared {
    links: Mutex<BTreeMap<LinkId, Handle>>,
    counters: Counters,
}

/// A link as its users see it.
#[derive(Debug)]
struct Handle {
    queue: QueueSender,
    closing: Closing,
}

impl Shared {
    fn links(&self) -> MutexGuard<'_, BTreeMap<LinkId, Handle>> {
        // The map is whole after every statement, whatever happened to the thread.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, link: LinkId, counter: Option<Counter>) {
        self.links().remove(&link);
        if let Some(counter) = counter {
            self.counters.add(counter);
        }
    }
}
