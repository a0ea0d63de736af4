//! Who else is in the distributed hash table? Servers of the test's own, which answer as they like
//! and remember everything that they are given.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, SwarmBuilder, identify,
    kad::{
        self, ProviderRecord, Record, RecordKey,
        store::{RecordStore, Result},
    },
    noise, ping,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a server was given to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Under which key.
    pub key: Vec<u8>,
    /// What.
    pub value: Vec<u8>,
    /// Who is named as publisher.
    pub publisher: Option<PeerId>,
}

/// How a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// With what it was given last.
    Truly,
    /// With something else, whatever is asked.
    Falsely,
    /// That it has nothing.
    Nothing,
}

/// A server in the table; it ends when dropped.
#[derive(Debug)]
pub struct TableServer {
    seen: Arc<Mutex<Vec<Seen>>>,
    peer: PeerId,
    _stop: DropGuard,
}

impl TableServer {
    /// One that has got to know a bootstrap.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(bootstrap: &str, answers: Answers) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let stop = CancellationToken::new();
        let (ready, come) = mpsc::channel();
        let address: Multiaddr = bootstrap.parse().expect("the address of a bootstrap");
        let (kept, stopped) = (Arc::clone(&seen), stop.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let run = serve(address, Store { answers, seen: kept, last: Vec::new() }, ready);
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = run => {}
                    () = stopped.cancelled() => {}
                }
            });
        });
        let peer =
            come.recv_timeout(super::PATIENCE).expect("the server is known to the bootstrap");
        Self { seen, peer, _stop: stop.drop_guard() }
    }

    /// Who it is.
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// Everything that it was given so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    kad: kad::Behaviour<Store>,
}

async fn serve(bootstrap: Multiaddr, store: Store, ready: mpsc::Sender<PeerId>) {
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(|key| {
            let own = key.public().to_peer_id();
            let protocol = libp2p::StreamProtocol::new("/kith/kad/1");
            let mut kad = kad::Behaviour::with_config(own, store, kad::Config::new(protocol));
            kad.set_mode(Some(kad::Mode::Server));
            let identify = identify::Config::new("/kith/id/1".to_owned(), key.public());
            let identify = identify::Behaviour::new(identify);
            Behaviour { identify, ping: ping::Behaviour::default(), kad }
        })
        .expect("no behaviour fails")
        .with_swarm_config(|swarm| {
            swarm.with_idle_connection_timeout(std::time::Duration::from_secs(3600))
        })
        .build();
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("it listens");
    let mut is_told = false;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { address, .. } => {
                swarm.add_external_address(address);
                swarm.dial(bootstrap.clone()).expect("the bootstrap is dialled");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) => {
                for address in info.listen_addrs {
                    swarm.behaviour_mut().kad.add_address(&peer_id, address);
                }
            }
            // By then the other end has heard of us too.
            SwarmEvent::Behaviour(BehaviourEvent::Ping(_)) if !is_told => {
                is_told = true;
                let _ = ready.send(*swarm.local_peer_id());
            }
            _ => {}
        }
    }
}

struct Store {
    answers: Answers,
    seen: Arc<Mutex<Vec<Seen>>>,
    last: Vec<Record>,
}

impl RecordStore for Store {
    type RecordsIter<'a> = std::iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = std::iter::Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, key: &RecordKey) -> Option<Cow<'_, Record>> {
        match self.answers {
            Answers::Nothing => None,
            Answers::Truly => self.last.iter().find(|it| it.key == *key).map(Cow::Borrowed),
            Answers::Falsely => {
                let other = self.last.iter().find(|it| it.key != *key);
                let value = other.map_or_else(|| vec![7; 955], |it| it.value.clone());
                Some(Cow::Owned(Record::new(key.clone(), value)))
            }
        }
    }

    fn put(&mut self, record: Record) -> Result<()> {
        let seen = Seen {
            key: record.key.to_vec(),
            value: record.value.clone(),
            publisher: record.publisher,
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        self.last.retain(|it| it.key != record.key);
        self.last.push(record);
        Ok(())
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        std::iter::empty()
    }

    fn add_provider(&mut self, _: ProviderRecord) -> Result<()> {
        Ok(())
    }

    fn providers(&self, _: &RecordKey) -> Vec<ProviderRecord> {
        Vec::new()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        std::iter::empty()
    }

    fn remove_provider(&mut self, _: &RecordKey, _: &PeerId) {}
}
