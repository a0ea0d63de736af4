//! Who feeds the engine and carries out what it says? One thread that owns engine and store.
//!
//! Everything that happens comes through one bounded channel. What is waiting is handled together
//! in one transaction; only after the commit are outputs carried out.

mod handle;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use kith_common::{
    account::Account,
    ids::{AccountId, EntryId},
    keys::{Secret, SigningKey},
    share::SharedId,
    time::Uptime,
};
use kith_core::{
    delivery::DeliveryState,
    engine::{
        Answer, Command, CommandError, CommandId, Context, Engine, Event, Identity, Input, LinkId,
        Output,
    },
    profile::Profile,
    store::{Store, StoreError},
    view::{GuestView, MessageView},
};
use kith_net::records::RecordLimits;
use thiserror::Error;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::{
    clock::wall_clock,
    dht::{Dht, DhtConfig, Found},
    finding::{FindingConfig, Guide},
    mail::{Answered, Carrier, MailConfig, Reach},
    network::{self, Network, NetworkEvent},
    random::OsRandom,
    sqlite::SqliteStore,
};

/// Inputs that may wait for the engine; more make their senders wait.
const WORK_MAX: usize = 256;
/// Inputs handled in one transaction: enough to share the cost of a commit under load.
const BATCH_MAX: usize = 64;
/// Bytes of frames from which on a transaction takes no more: a thousand messages share a commit,
/// and its other end sends on while the next ones are handled.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// Notices that a slow listener may lag behind before it has to start over.
const NOTICES_MAX: usize = 1024;
/// New messages of one batch that are told one by one; more make listeners start over.
const NOTICES_PER_BATCH_MAX: usize = 200;
/// Pause before the store is tried again after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// How long the first address of our own may take.
const ADDRESSES_PATIENCE: Duration = Duration::from_secs(1);
/// Pause between attempts to reach the addresses given by hand.
const PEERS_PAUSE: Duration = Duration::from_secs(10);
/// Time for links to end in order when the node stops: two round trips for most.
const LINKS_END: Duration = Duration::from_secs(1);

/// The node has stopped, or its store has failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The engine's thread has ended.
    #[error("the node is stopping")]
    Stopped,
    /// The store did not take or give what was needed.
    #[error("the node's storage failed ({0}): check the disk, then try again")]
    Storage(String),
}

impl From<StoreError> for NodeError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.to_string())
    }
}

/// Something that has happened, as it is told to listeners.
#[derive(Debug, Clone)]
pub enum Notice {
    /// A new message in a conversation.
    Message {
        /// With whom.
        with: AccountId,
        /// The message.
        message: Box<MessageView>,
    },
    /// Messages of ours have got further.
    States {
        /// With whom.
        with: AccountId,
        /// Which ones, and how far.
        states: Vec<(EntryId, DeliveryState)>,
    },
    /// A contact is new or has changed.
    Contact(AccountId),
    /// A contact is gone.
    ContactRemoved(SharedId),
    /// Our own account has changed: devices, names, who may decide.
    Account,
    /// Who is looked for by an id has changed.
    Sought,
    /// A device wants to join, or has gone away.
    Linking(Option<GuestView>),
    /// Messages of a conversation were deleted or took other places.
    Rewritten(AccountId),
    /// This device speaks no longer for the account.
    CutOff {
        /// Whether nothing can undo it.
        is_final: bool,
    },
    /// Too much has happened to tell: look at everything again.
    Resync,
}

pub use self::handle::{CutOff, NodeHandle};

type Reply<T> = oneshot::Sender<Result<T, NodeError>>;
type Question = Box<dyn FnOnce(&Engine, &dyn Store) + Send>;

enum Work {
    Network(NetworkEvent),
    Mail(Answered),
    Found(Found),
    Command(Command, Reply<Result<Answer, CommandError>>),
    Question(Question),
    Stop,
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Network(NetworkEvent::Frame { bytes, .. }) => bytes.len(),
            Self::Mail(answered) => answered.bytes(),
            Self::Found(found) => found.value.len(),
            _ => 0,
        }
    }
}

/// What a node is made of.
#[derive(Debug)]
pub struct NodeParts {
    /// The account with its proof.
    pub account: Account,
    /// The key of this device.
    pub device: SigningKey,
    /// The key that seals the store.
    pub master: Secret<32>,
    /// The store's file.
    pub database: PathBuf,
    /// What the person calls themselves; counts for a new store.
    pub name: String,
    /// How to reach others.
    pub network: network::NetworkConfig,
    /// Addresses to try besides those of contacts.
    pub peers: Vec<String>,
    /// How to reach mailbox-servers.
    pub mail: MailConfig,
    /// How others are found.
    pub finding: FindingConfig,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    /// Talks to it.
    pub handle: NodeHandle,
    thread: std::thread::JoinHandle<()>,
}

impl Node {
    /// Opens the store, starts the network and the engine's thread.
    ///
    /// # Errors
    /// If the store cannot be opened or an address cannot be listened on.
    pub async fn start(parts: NodeParts) -> anyhow::Result<Self> {
        let store = SqliteStore::open(&parts.database, &parts.master)?;
        let reach = Arc::new(Reach::new(&parts.mail)?);
        let (work, inbox) = mpsc::channel(WORK_MAX);
        let (events, mut from_network) = mpsc::channel(WORK_MAX);
        let (found, from_dht) = mpsc::channel(WORK_MAX);
        let dht = DhtConfig {
            listen: parts.network.listen.clone(),
            mode: parts.finding.dht,
            rotation: parts.network.rotation,
            records: RecordLimits::NODE,
        };
        let mut config = parts.network;
        // Nobody learns an address of ours before we know whether anybody may.
        config.reach.relay_only = Profile::load(&store)?.is_some_and(|known| known.relay_only);
        let network = Arc::new(Network::start(config, events).await?);
        let dht = Arc::new(Dht::start(dht, found));
        let guide = Guide::start(parts.finding, Arc::clone(&network), Arc::clone(&dht));
        tokio::spawn(hand_on(from_dht, work.clone(), Work::Found));
        let (notices, _) = broadcast::channel(NOTICES_MAX);
        let (cut_off, _) = watch::channel(None);
        let handle = NodeHandle {
            work: work.clone(),
            notices: notices.clone(),
            cut_off: cut_off.clone(),
            network: Arc::clone(&network),
            dht: Arc::clone(&dht),
            reach: Arc::clone(&reach),
        };
        // What is answered waits with whoever was asked until it can be handled.
        let (answers, from_mail) = mpsc::channel(1);
        tokio::spawn(hand_on(from_mail, work.clone(), Work::Mail));
        let mail = Carrier::start(reach, answers);
        let (addresses, early) = first_addresses(&mut from_network).await;
        tokio::spawn(async move {
            for event in early {
                if work.send(Work::Network(event)).await.is_err() {
                    return;
                }
            }
            hand_on(from_network, work, Work::Network).await;
        });
        let mut driver = Driver {
            identity: Identity { account: parts.account, device: parts.device },
            name: parts.name,
            store,
            network,
            dht,
            guide,
            told: Vec::new(),
            mail,
            notices,
            cut_off,
            peers: parts.peers,
            started: Instant::now(),
            waiting: BTreeMap::new(),
            commands: 0,
            links: std::collections::BTreeSet::new(),
            addresses,
        };
        let engine = driver.open()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || runtime.block_on(driver.run(engine, inbox)))?;
        Ok(Self { handle, thread })
    }

    /// Stops the engine; what was handled is durable. Then ends the links, so that others notice.
    pub async fn stop(self) {
        self.handle.stop().await;
        let thread = self.thread;
        if tokio::task::spawn_blocking(move || thread.join()).await.is_err() {
            tracing::error!("the engine's thread did not end in order");
        }
        self.handle.dht.stop();
        if tokio::time::timeout(LINKS_END, self.handle.network.shutdown()).await.is_err() {
            tracing::debug!("not every link has ended in time");
        }
    }
}

struct Driver {
    identity: Identity,
    name: String,
    store: SqliteStore,
    network: Arc<Network>,
    dht: Arc<Dht>,
    guide: Guide,
    /// What came of outputs at once.
    told: Vec<Input>,
    mail: Carrier,
    notices: broadcast::Sender<Notice>,
    cut_off: watch::Sender<Option<CutOff>>,
    peers: Vec<String>,
    started: Instant,
    waiting: BTreeMap<CommandId, Reply<Result<Answer, CommandError>>>,
    commands: u64,
    links: std::collections::BTreeSet<LinkId>,
    addresses: Vec<String>,
}

impl Driver {
    async fn run(mut self, mut engine: Engine, mut inbox: mpsc::Receiver<Work>) {
        let mut next_peers = tokio::time::Instant::now();
        loop {
            let deadline = self.deadline(&engine, next_peers);
            let first = match tokio::time::timeout_at(deadline, inbox.recv()).await {
                Ok(Some(Work::Stop) | None) => return,
                Ok(Some(work)) => Some(work),
                Err(_) => None,
            };
            if !self.peers.is_empty() && next_peers <= tokio::time::Instant::now() {
                next_peers = tokio::time::Instant::now() + PEERS_PAUSE;
                self.network.dial(self.peers.clone());
            }
            let mut batch: Vec<Work> = first.into_iter().collect();
            let mut bytes: usize = batch.iter().map(Work::bytes).sum();
            while batch.len() < BATCH_MAX
                && bytes < BATCH_BYTES_MAX
                && let Ok(work) = inbox.try_recv()
            {
                bytes += work.bytes();
                batch.push(work);
            }
            let stop = batch.iter().any(|work| matches!(work, Work::Stop));
            engine = match self.turn(engine, batch) {
                Ok(engine) => engine,
                Err(error) => match self.recover(&error, &mut inbox).await {
                    Some(engine) => engine,
                    None => return,
                },
            };
            if stop {
                return;
            }
        }
    }

    fn deadline(&self, engine: &Engine, next_peers: tokio::time::Instant) -> tokio::time::Instant {
        if self.mail.has_returned() || !self.told.is_empty() {
            return tokio::time::Instant::now();
        }
        let at = engine.deadline().map(|(at, _)| self.started + Duration::from_millis(at.millis()));
        let peers = (!self.peers.is_empty()).then_some(next_peers);
        let far = tokio::time::Instant::now() + Duration::from_secs(3600);
        at.map(tokio::time::Instant::from_std).into_iter().chain(peers).min().unwrap_or(far)
    }

    /// Handles a batch in one transaction and carries out what came of it.
    fn turn(&mut self, mut engine: Engine, batch: Vec<Work>) -> Result<Engine, StoreError> {
        let mut out = Vec::new();
        let mut questions = Vec::new();
        let mut inputs = Vec::with_capacity(batch.len());
        inputs.append(&mut self.told);
        let returned = self.mail.returned();
        inputs.extend(returned.into_iter().filter_map(|answered| self.mail.input(answered)));
        for work in batch {
            match work {
                Work::Network(event) => inputs.extend(self.network_input(event)),
                Work::Command(command, reply) => {
                    self.commands += 1;
                    let id = CommandId(self.commands);
                    self.waiting.insert(id, reply);
                    inputs.push(Input::Command { id, command });
                }
                Work::Mail(answered) => inputs.extend(self.mail.input(answered)),
                Work::Found(Found { key, value }) => inputs.push(Input::Found { key, value }),
                Work::Question(question) => questions.push(question),
                Work::Stop => {}
            }
        }
        self.store.begin()?;
        self.with_context(&mut out, |cx| engine.handle_all(cx, inputs))?;
        if engine.deadline().is_some_and(|(at, _)| at <= self.uptime()) {
            self.with_context(&mut out, |cx| engine.handle(cx, Input::Tick))?;
        }
        self.store.commit()?;
        self.carry_out(&engine, out);
        for question in questions {
            question(&engine, &self.store);
        }
        Ok(engine)
    }

    fn network_input(&mut self, event: NetworkEvent) -> Option<Input> {
        match event {
            NetworkEvent::LinkUp { link, own_transport, peer_transport, relayed, .. } => {
                let link = LinkId(link.0);
                self.links.insert(link);
                Some(Input::LinkUp { link, own_transport, peer_transport, relayed })
            }
            NetworkEvent::Frame { link, bytes } => {
                Some(Input::Frame { link: LinkId(link.0), bytes })
            }
            NetworkEvent::LinkDown { link } => {
                let link = LinkId(link.0);
                self.links.remove(&link);
                Some(Input::LinkDown { link })
            }
            NetworkEvent::Listening { addresses } => {
                self.addresses.clone_from(&addresses);
                Some(Input::Listening { addresses })
            }
        }
    }

    fn with_context<T>(
        &mut self,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        let (now, uptime) = (wall_clock(), self.uptime());
        let mut rng = OsRandom::new();
        act(&mut Context { now, uptime, rng: &mut rng, store: &mut self.store, out })
    }

    fn uptime(&self) -> Uptime {
        let millis = self.started.elapsed().as_millis();
        Uptime::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    fn carry_out(&mut self, engine: &Engine, outputs: Vec<Output>) {
        let mut events = Vec::new();
        for output in outputs {
            match output {
                Output::Send { link, bytes } => {
                    let link = network::LinkId(link.0);
                    if self.network.send(link, bytes).is_err() {
                        self.network.close(link);
                    }
                }
                Output::Close { link } => self.network.close(network::LinkId(link.0)),
                Output::Dial { addresses } => self.network.dial(addresses),
                Output::Errand(errand) => self.mail.send(errand),
                Output::Reach { bootstraps, relay_only } => {
                    let is_on = self.guide.choose(&bootstraps, relay_only);
                    self.told.push(Input::Finding { is_on });
                }
                Output::Publish { records, namespaces } => {
                    self.dht.publish(records);
                    self.network.register(namespaces);
                }
                Output::Search { keys, namespaces } => {
                    self.dht.search(keys);
                    self.network.meet(namespaces);
                }
                Output::Trust { link, addresses } => {
                    self.network.trust(network::LinkId(link.0), addresses);
                }
                Output::Answered { id, result } => {
                    if let Some(reply) = self.waiting.remove(&id) {
                        let _ = reply.send(Ok(result));
                    }
                }
                Output::Event(event) => events.push(event),
            }
        }
        for event in &events {
            if let Event::CutOff { is_final } = *event {
                self.cut_off.send_replace(Some(CutOff { is_final }));
            }
        }
        if self.notices.receiver_count() > 0 && !events.is_empty() {
            self.tell(engine, &events);
        }
    }

    fn tell(&self, engine: &Engine, events: &[Event]) {
        if events.len() > NOTICES_PER_BATCH_MAX {
            let _ = self.notices.send(Notice::Resync);
            return;
        }
        for event in events {
            match self.notice(engine, event) {
                Ok(Some(notice)) => drop(self.notices.send(notice)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "a listener could not be told what happened");
                    let _ = self.notices.send(Notice::Resync);
                    return;
                }
            }
        }
    }

    fn notice(&self, engine: &Engine, event: &Event) -> Result<Option<Notice>, StoreError> {
        Ok(match *event {
            Event::Entry { with, place } => engine
                .message(&self.store, with, place)?
                .map(|message| Notice::Message { with, message: Box::new(message) }),
            Event::Delivery { with, log, author, seqs } => {
                let limit = NOTICES_PER_BATCH_MAX;
                let states = engine.states(&self.store, (log, author), seqs, limit)?;
                Some(Notice::States { with, states })
            }
            Event::Contact(account) => Some(Notice::Contact(account)),
            Event::ContactRemoved(shared) => Some(Notice::ContactRemoved(shared)),
            Event::Account => Some(Notice::Account),
            Event::Sought => Some(Notice::Sought),
            Event::Linking => {
                let guests = engine.guests().into_iter();
                Some(Notice::Linking(guests.rev().find(|guest| guest.check.is_some())))
            }
            Event::Rewritten(with) => Some(Notice::Rewritten(with)),
            Event::CutOff { is_final } => Some(Notice::CutOff { is_final }),
        })
    }

    /// After a failure of the store: nothing of the batch counts, and the engine starts over.
    /// Until the engine is open again, whoever asks is told why nothing is done.
    async fn recover(
        &mut self,
        error: &StoreError,
        inbox: &mut mpsc::Receiver<Work>,
    ) -> Option<Engine> {
        tracing::error!(%error, "the store failed; opening it again");
        for (_, reply) in std::mem::take(&mut self.waiting) {
            let _ = reply.send(Err(NodeError::Storage(error.to_string())));
        }
        for link in std::mem::take(&mut self.links) {
            self.network.close(network::LinkId(link.0));
        }
        self.mail.begin_anew();
        self.told.clear();
        loop {
            let failure = match self.store.rollback().and_then(|()| self.open()) {
                Ok(engine) => return Some(engine),
                Err(error) => error.to_string(),
            };
            tracing::error!(failure, "the store still fails");
            let again = tokio::time::Instant::now() + RETRY;
            while let Ok(work) = tokio::time::timeout_at(again, inbox.recv()).await {
                match work {
                    None | Some(Work::Stop) => return None,
                    Some(Work::Command(_, reply)) => {
                        let _ = reply.send(Err(NodeError::Storage(failure.clone())));
                    }
                    Some(Work::Network(event)) => drop(self.network_input(event)),
                    Some(Work::Question(_) | Work::Mail(_) | Work::Found(_)) => {}
                }
            }
        }
    }

    fn open(&mut self) -> Result<Engine, StoreError> {
        let device = self.identity.device.expose_seed(SigningKey::from_seed);
        let me = Identity { account: self.identity.account.clone(), device };
        let (name, addresses) = (self.name.clone(), self.addresses.clone());
        let mut out = Vec::new();
        self.store.begin()?;
        let engine = self.with_context(&mut out, |cx| {
            let mut engine = Engine::open(me, &name, cx)?;
            engine.handle(cx, Input::Listening { addresses })?;
            Ok::<_, StoreError>(engine)
        })?;
        self.store.commit()?;
        self.carry_out(&engine, out);
        Ok(engine)
    }
}

/// Has what comes handled in its turn, until the engine ends.
async fn hand_on<T>(mut from: mpsc::Receiver<T>, work: mpsc::Sender<Work>, as_work: fn(T) -> Work) {
    while let Some(event) = from.recv().await {
        if work.send(as_work(event)).await.is_err() {
            return;
        }
    }
}

/// Where we can be reached, before we tell anybody who we are: our addresses go with that. What
/// else came meanwhile is given too.
async fn first_addresses(
    from_network: &mut mpsc::Receiver<NetworkEvent>,
) -> (Vec<String>, Vec<NetworkEvent>) {
    let mut early = Vec::new();
    let end = tokio::time::Instant::now() + ADDRESSES_PATIENCE;
    while early.len() < BATCH_MAX
        && let Ok(Some(event)) = tokio::time::timeout_at(end, from_network.recv()).await
    {
        match event {
            NetworkEvent::Listening { addresses } => return (addresses, early),
            other => early.push(other),
        }
    }
    (Vec::new(), early)
}
