//! Where do records lie, and who keeps them? This node's part in the distributed hash table.
//!
//! It has an identity, connections and a port of its own. Whoever knows an id learns from a relayed
//! address under which transport id links are made; under that id nothing in the table must lead to
//! where we live (spec 10 R8).
//!
//! | file | answers |
//! |---|---|
//! | `driver` | what happens when? |
//! | `swarm` | what is this part of the node made of? |
//! | `queries` | what is being asked for, and what is to be left again? |
//! | `limits` | how much is too much? |
//!
//! **Invariant:** nothing that is found is believed here: whoever asked opens it.

mod driver;
mod limits;
mod queries;
mod swarm;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kith_common::finding::RecordKey;
use kith_net::records::RecordLimits;
use libp2p::Multiaddr;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::network::Reach;

/// How this node takes part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DhtMode {
    /// Keeps records of others once it can be reached.
    #[default]
    Auto,
    /// Asks and leaves records, as a phone should.
    Client,
}

/// What the node's part in the table is asked to be.
#[derive(Clone, Debug)]
pub struct DhtConfig {
    /// Addresses to listen on, of the form of the network's; their ports do not count.
    pub listen: Vec<Multiaddr>,
    /// How it takes part.
    pub mode: DhtMode,
    /// Age at which its identity is thrown away.
    pub rotation: Duration,
    /// How many records of others it keeps.
    pub records: RecordLimits,
}

/// A record was found that was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Under which key.
    pub key: RecordKey,
    /// What lies there.
    pub value: Vec<u8>,
}

/// What the driver is asked to do.
#[derive(Debug)]
enum Call {
    Reach(Reach),
    Publish(Vec<(RecordKey, Box<[u8]>)>),
    Search(Vec<RecordKey>),
}

/// Numbers of this part, for people and tests.
#[derive(Debug, Default)]
struct Numbers {
    kept: AtomicU64,
    peers: AtomicU64,
    serves: AtomicU64,
    found: AtomicU64,
    refused: AtomicU64,
    /// How long the last lookups took that found something, in milliseconds.
    lookups_ms: Mutex<VecDeque<u64>>,
}

/// The node's part in the table. Dropping it ends it.
#[derive(Debug)]
pub struct Dht {
    calls: mpsc::Sender<Call>,
    numbers: Arc<Numbers>,
    stop: CancellationToken,
    _driver: AbortOnDropHandle<()>,
}

impl Dht {
    /// Starts on the runtime of the caller; nothing is connected before [`Dht::reach`]. What is
    /// found goes to `found`.
    pub fn start(config: DhtConfig, found: mpsc::Sender<Found>) -> Self {
        let (calls, inbox) = mpsc::channel(limits::CALLS_MAX);
        let (numbers, stop) = (Arc::<Numbers>::default(), CancellationToken::new());
        let driver = driver::Driver::new(config, found, inbox, Arc::clone(&numbers), stop.clone());
        let driver: JoinHandle<()> = tokio::spawn(driver.run());
        Self { calls, numbers, stop, _driver: AbortOnDropHandle::new(driver) }
    }

    /// From now on these bootstraps lead into the table; without any there is no part in it.
    pub async fn reach(&self, reach: Reach) {
        let _ = self.calls.send(Call::Reach(reach)).await;
    }

    /// Leaves these records, and no others, and leaves them again from time to time.
    pub fn publish(&self, records: Vec<(RecordKey, Box<[u8]>)>) {
        self.call(Call::Publish(records));
    }

    /// Asks once for records.
    pub fn search(&self, keys: Vec<RecordKey>) {
        self.call(Call::Search(keys));
    }

    /// Ends.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// What there is, by name.
    pub fn numbers(&self) -> [(&'static str, u64); 5] {
        let Numbers { kept, peers, serves, found, refused, .. } = &*self.numbers;
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        [
            ("dht_records_kept", of(kept)),
            ("dht_servers_known", of(peers)),
            ("dht_serves", of(serves)),
            ("dht_records_found", of(found)),
            ("dht_records_refused", of(refused)),
        ]
    }

    /// How long the last lookups took that found something, in milliseconds.
    pub fn lookups_ms(&self) -> Vec<u64> {
        let lookups = self.numbers.lookups_ms.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.iter().copied().collect()
    }

    fn call(&self, call: Call) {
        if self.calls.try_send(call).is_err() {
            tracing::debug!("the table has too much to do");
        }
    }
}
