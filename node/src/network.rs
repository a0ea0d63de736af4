//! How do frames get from this device to another one?
//!
//! The network carries opaque frames between nodes over QUIC and TCP. It knows nothing about
//! accounts or devices: whoever is on the other end of a link proves itself inside the frames.
//!
//! | file | answers |
//! |---|---|
//! | `swarm` | what is our libp2p node made of? |
//! | `link` | how do two nodes get the one stream of their link? |
//! | `links` | which links are up, and when are they renewed? |
//! | `relays` | through which bootstraps can others reach us? |
//! | `meetings` | at which places are we to be found, and who is looked for there? |
//! | `punch` | with whom is a straight connection tried? |
//! | `quiet` | what may a protocol know of where we are? |
//! | `listeners` | where do we listen? |
//! | `frames` | how do frames become bytes and frames again? |
//! | `queue` | what waits to be written? |
//! | `carrier` | what happens on a link from its first frame to its last? |
//! | `dials` | which of them are next? |
//! | `neighbours` | who is in the local network? |
//! | `driver` | what happens when? |
//! | `counters` | what was refused? |
//! | `limits` | how much is too much? |
//!
//! Which connections may exist and which addresses we dial is in `kith_net`.
//!
//! **Invariant:** for every link `LinkUp`, its frames in order and `LinkDown`, each once.
//! **Invariant:** no log line holds an address, a transport id or the contents of a frame.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use kith_common::limits::FRAME_BYTES_MAX;
use kith_net::admission::AdmissionLimits;
pub use libp2p::{Multiaddr, PeerId};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

mod carrier;
mod counters;
mod dials;
mod driver;
mod frames;
mod limits;
mod link;
mod links;
mod listeners;
mod meetings;
mod neighbours;
mod punch;
mod queue;
mod quiet;
mod relays;
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
    /// Whether the router is asked to let others in, when bootstraps are used.
    pub upnp: bool,
    /// Who may learn where we are, before anything is said of bootstraps.
    pub reach: Reach,
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
            upnp: false,
            reach: Reach::default(),
            renewal: limits::RENEWAL,
            renewal_bytes: limits::RENEWAL_BYTES,
            rotation: limits::ROTATION,
            limits: NetworkLimits::default(),
        }
    }
}

/// How others are to reach us, and who may learn where we are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reach {
    /// Bootstraps, which relay and say how we are seen; none: nobody is asked for help.
    pub bootstraps: Vec<(PeerId, Vec<Multiaddr>)>,
    /// Whether nobody but they and relays may learn our addresses.
    pub relay_only: bool,
}

impl Reach {
    /// The bootstraps.
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.bootstraps.iter().map(|(peer, _)| *peer)
    }

    /// At which addresses each bootstrap may be dialled.
    pub(crate) fn by_peer(&self) -> BTreeMap<PeerId, BTreeSet<Multiaddr>> {
        let of = |(peer, at): &(PeerId, Vec<Multiaddr>)| (*peer, at.iter().cloned().collect());
        self.bootstraps.iter().map(of).collect()
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

impl From<NetworkLimits> for AdmissionLimits {
    fn from(limits: NetworkLimits) -> Self {
        Self {
            incoming_max: limits.incoming_max,
            incoming_per_source_max: limits.incoming_per_source_max,
            pending_incoming_max: limits.pending_incoming_max,
            pending_per_source_max: limits.pending_per_source_max,
            pending_outgoing_max: limits.pending_outgoing_max,
            outgoing_max: limits.outgoing_max,
            per_peer_max: limits.per_peer_max,
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
        /// Whether it leads through a relay.
        relayed: bool,
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

/// What the driver is asked to do.
#[derive(Debug)]
enum Call {
    Dial(Vec<String>),
    Reach(Reach),
    Register(Vec<String>),
    Meet(Vec<String>),
    Trust(LinkId, Vec<String>),
}

/// A running network. Dropping it stops it too, in the background.
#[derive(Debug)]
pub struct Network {
    shared: Arc<Shared>,
    calls: mpsc::Sender<Call>,
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
        let (calls, inbox) = mpsc::channel(limits::CALLS_MAX);
        let driver =
            driver::Driver::start(config, Arc::clone(&shared), events, inbox, stop.clone())?;
        let driver = Mutex::new(Some(tokio::spawn(driver.run())));
        Ok(Self { shared, calls, driver, _dropped: stop.clone().drop_guard(), stop })
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
        self.call(Call::Dial(addresses));
    }

    /// From now on others reach us like this.
    pub async fn reach(&self, reach: Reach) {
        // A network that has stopped is reached by nobody.
        let _ = self.calls.send(Call::Reach(reach)).await;
    }

    /// From now on we are to be found at these places, and no others.
    pub fn register(&self, namespaces: Vec<String>) {
        self.call(Call::Register(namespaces));
    }

    /// Dials whoever is at one of these places now, or comes there soon.
    pub fn meet(&self, namespaces: Vec<String>) {
        self.call(Call::Meet(namespaces));
    }

    /// Whoever is at the other end is who it should be, and may be at these addresses: if the link
    /// leads through a relay a straight one is tried, which then takes its place.
    pub fn trust(&self, link: LinkId, addresses: Vec<String>) {
        self.call(Call::Trust(link, addresses));
    }

    fn call(&self, call: Call) {
        if self.calls.try_send(call).is_err() {
            self.shared.counters.add(Counter::DialQueueFull);
        }
    }

    /// Whether a link leads through a relay; `None` if it is gone.
    pub fn is_relayed(&self, link: LinkId) -> Option<bool> {
        self.shared.links().get(&link).map(|handle| handle.relayed)
    }

    /// Bootstraps through which others can reach us now.
    pub fn relay_count(&self) -> usize {
        self.shared.relays.load(Ordering::Relaxed)
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
    relays: AtomicUsize,
    counters: Counters,
}

/// A link as its users see it.
#[derive(Debug)]
struct Handle {
    queue: QueueSender,
    closing: Closing,
    relayed: bool,
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
