//! How do requests get to mailbox-servers? HTTP, with a connection for each queue (spec 20).
//!
//! ```text
//!   driver ── Errand ──► dispatcher ──► courier of a queue ──► its connection
//!      ▲                                      │
//!      └─────────────── Answered ◄────────────┘
//! ```
//!
//! A server learns no more than it must: connections are never shared between queues, TLS sessions
//! are not resumed, and requests have no header that tells one node from another. Nothing of
//! addresses, keys and bodies is logged.

mod connection;
mod courier;
mod info;
mod limits;
mod place;
mod slots;
#[cfg(test)]
mod tests;
mod tls;

use core::fmt;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use kith_common::{mail::MailboxUrl, service::mailbox::Operation};
use kith_core::{
    engine::Input,
    mail::{Errand, ErrandError, ErrandId},
};
use tokio::{
    runtime::Handle,
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, error::TrySendError},
    },
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

pub use self::info::{Info, InfoError};
pub(crate) use self::place::leads_here;
use self::{
    connection::Connector,
    courier::Job,
    limits::{ERRAND_BYTES_MAX, ERRANDS_MAX, FETCHES_READ_MAX, LISTENING_MAX, WRITING_MAX},
    slots::Slots,
};

/// How mailbox-servers are reached.
#[derive(Debug, Clone, Default)]
pub struct MailConfig {
    /// A PEM file with root certificates, besides those that everybody knows.
    pub more_roots: Option<PathBuf>,
    /// Whether servers that others have named may be in networks of our own.
    pub takes_private: bool,
}

/// What came of a request.
pub(crate) struct Answered {
    run: u64,
    id: ErrandId,
    reply: Result<Vec<u8>, ErrandError>,
    /// Room for what was read, given back once it is handled.
    _room: Option<OwnedSemaphorePermit>,
}

impl Answered {
    /// Bytes of the answer.
    pub(crate) fn bytes(&self) -> usize {
        self.reply.as_ref().map_or(0, Vec::len)
    }
}

/// What all requests share.
pub struct Reach {
    connector: Connector,
    listening: Slots,
    writing: Slots,
    fetches: Arc<Semaphore>,
}

impl Reach {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// If the file with root certificates is none.
    pub fn new(config: &MailConfig) -> anyhow::Result<Self> {
        let tls = tls::connector(config.more_roots.as_deref())?;
        Ok(Self {
            connector: Connector::new(tls, config.takes_private),
            listening: Slots::new(LISTENING_MAX),
            writing: Slots::new(WRITING_MAX),
            fetches: Arc::new(Semaphore::new(FETCHES_READ_MAX)),
        })
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reach")
    }
}

/// Carries out the requests of one engine after another, until it is dropped.
pub(crate) struct Carrier {
    reach: Arc<Reach>,
    runtime: Handle,
    answers: mpsc::Sender<Answered>,
    run: u64,
    jobs: mpsc::Sender<Job>,
    count: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    returned: Vec<Answered>,
    _dispatcher: AbortOnDropHandle<()>,
}

impl Carrier {
    /// Starts on the runtime of the caller; what comes of requests goes to `answers`.
    pub(crate) fn start(reach: Arc<Reach>, answers: mpsc::Sender<Answered>) -> Self {
        Self::start_on(Handle::current(), reach, answers, 0)
    }

    fn start_on(
        runtime: Handle,
        reach: Arc<Reach>,
        answers: mpsc::Sender<Answered>,
        run: u64,
    ) -> Self {
        // Never full: each job carries a permit.
        let (jobs, inbox) = mpsc::channel(ERRANDS_MAX);
        let dispatcher = runtime.spawn(dispatch(Arc::clone(&reach), inbox, (run, answers.clone())));
        Self {
            reach,
            runtime,
            answers,
            run,
            jobs,
            count: Arc::new(Semaphore::new(ERRANDS_MAX)),
            bytes: Arc::new(Semaphore::new(ERRAND_BYTES_MAX)),
            returned: Vec::new(),
            _dispatcher: AbortOnDropHandle::new(dispatcher),
        }
    }

    /// Has a request made. If too many wait, it comes back at once.
    pub(crate) fn send(&mut self, errand: Errand) {
        let id = errand.id;
        let bytes = u32::try_from(errand.body.len()).unwrap_or(u32::MAX);
        let one = Arc::clone(&self.count).try_acquire_owned();
        let room = one
            .and_then(|one| Ok((one, Arc::clone(&self.bytes).try_acquire_many_owned(bytes)?)))
            .ok();
        let sent = room.is_some_and(|room| self.jobs.try_send(Job { errand, _room: room }).is_ok());
        if !sent {
            let reply = Err(ErrandError::Unreachable(FULL.to_owned()));
            self.returned.push(Answered { run: self.run, id, reply, _room: None });
        }
    }

    /// Whether requests have come back.
    pub(crate) const fn has_returned(&self) -> bool {
        !self.returned.is_empty()
    }

    /// Requests for which there was no room.
    pub(crate) fn returned(&mut self) -> Vec<Answered> {
        std::mem::take(&mut self.returned)
    }

    /// What the engine is told of an answer; nothing, if an engine before it had asked.
    pub(crate) fn input(&self, answered: Answered) -> Option<Input> {
        let Answered { run, id, reply, .. } = answered;
        (run == self.run).then_some(Input::Errand { id, reply })
    }

    /// The engine begins anew, and numbers its requests from the beginning.
    pub(crate) fn begin_anew(&mut self) {
        let (runtime, reach) = (self.runtime.clone(), Arc::clone(&self.reach));
        *self = Self::start_on(runtime, reach, self.answers.clone(), self.run + 1);
    }
}

const FULL: &str = "more waits to be sent than there is room for: it is tried again by itself";

/// What must not share a connection: the queue, whether its address is our own choice, and what does
/// not wait for a look to end.
type Line = (MailboxUrl, [u8; 32], bool, bool);

/// Gives each queue its courier.
async fn dispatch(
    reach: Arc<Reach>,
    mut inbox: mpsc::Receiver<Job>,
    (run, answers): (u64, mpsc::Sender<Answered>),
) {
    let mut lines: BTreeMap<Line, mpsc::Sender<Job>> = BTreeMap::new();
    let mut couriers = JoinSet::new();
    let start = |couriers: &mut JoinSet<_>, line: Line, listens, jobs| {
        let (reach, answers) = (Arc::clone(&reach), answers.clone());
        couriers.spawn(async move {
            let jobs = courier::run(reach, listens, jobs, (run, answers)).await;
            (line, listens, jobs)
        });
    };
    loop {
        tokio::select! {
            job = inbox.recv() => {
                let Some(job) = job else { return };
                let Errand { url, queue, own, overtakes, operation, .. } = &job.errand;
                let line = (url.clone(), *queue, *own, *overtakes);
                let listens = !overtakes && matches!(operation, Operation::Open | Operation::Fetch);
                let unsent = match lines.get(&line) {
                    Some(jobs) => jobs.try_send(job).err().map(TrySendError::into_inner),
                    None => Some(job),
                };
                if let Some(job) = unsent {
                    let (jobs, inbox) = mpsc::channel(ERRANDS_MAX);
                    let _ = jobs.try_send(job);
                    lines.insert(line.clone(), jobs);
                    start(&mut couriers, line, listens, inbox);
                }
            }
            Some(ended) = couriers.join_next() => match ended {
                Ok((line, listens, jobs)) if !jobs.is_empty() => {
                    start(&mut couriers, line, listens, jobs);
                }
                Ok((line, ..)) => drop(lines.remove(&line)),
                Err(_) => tracing::error!("a request to a mailbox did not end in order"),
            },
        }
    }
}
