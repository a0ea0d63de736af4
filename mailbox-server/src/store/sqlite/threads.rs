//! Who touches the file? One thread writes, and commits for many at once; two read.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use futures::future::BoxFuture;
use kith_common::{service::mailbox::Fetched, time::Timestamp};
use rand_core::UnwrapErr;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use super::tables::{self, Tables};
use crate::{
    error::StoreError,
    limits::{COMMIT_BYTES_MAX, COMMIT_JOBS_MAX, JOBS_WAITING_MAX, READERS, SWEEP_BLOBS_MAX},
    mailbox::{Asked, Bounds, Totals},
    metrics::Commits,
    store::{Applied, Store, Waiters},
};

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

enum Write {
    Apply(Asked, Answer<Applied>),
    Sweep(Timestamp, Answer<bool>),
    Totals(Answer<Totals>),
    Prove(Answer<()>),
}

struct Read {
    queue: i64,
    of: Fetched,
    answer: Answer<Fetched>,
}

/// The embedded store.
#[derive(Debug)]
pub struct Sqlite {
    write: Mutex<Option<mpsc::Sender<Write>>>,
    reads: Mutex<Vec<mpsc::Sender<Read>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    waiters: Waiters,
    commits: Arc<Commits>,
}

impl Sqlite {
    /// Opens the file and starts the threads.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn open(path: &Path, bounds: Bounds) -> Result<Self, StoreError> {
        let tables = Tables::open(path, bounds)?;
        let (waiters, commits) = (Waiters::default(), Arc::new(Commits::default()));
        let (write, jobs) = mpsc::channel(JOBS_WAITING_MAX);
        let writer = Writer { tables, waiters: waiters.clone(), commits: Arc::clone(&commits) };
        let mut threads = vec![named("writer", move || writer.run(jobs))?];
        let mut reads = Vec::new();
        for _ in 0..READERS {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(path, flags)?;
            let (read, jobs) = mpsc::channel(JOBS_WAITING_MAX);
            threads.push(named("reader", move || run_reader(&db, jobs))?);
            reads.push(read);
        }
        Ok(Self {
            write: Mutex::new(Some(write)),
            reads: Mutex::new(reads),
            threads: Mutex::new(threads),
            waiters,
            commits,
        })
    }

    fn send(&self, job: Write) -> Result<(), StoreError> {
        let write = self.write.lock().unwrap_or_else(PoisonError::into_inner);
        write.as_ref().and_then(|write| write.try_send(job).ok()).ok_or(StoreError::Busy)
    }

    fn send_read(&self, job: Read) -> Result<(), StoreError> {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let idlest = reads.iter().max_by_key(|read| read.capacity());
        idlest.and_then(|read| read.try_send(job).ok()).ok_or(StoreError::Busy)
    }
}

fn named(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|_| StoreError::Busy)
}

async fn answered<T>(
    sent: Result<(), StoreError>,
    answer: oneshot::Receiver<Result<T, StoreError>>,
) -> Result<T, StoreError> {
    sent?;
    answer.await.unwrap_or(Err(StoreError::Busy))
}

impl Store for Sqlite {
    fn apply(&self, asked: Asked) -> BoxFuture<'_, Result<Applied, StoreError>> {
        let (answer, here) = oneshot::channel();
        Box::pin(answered(self.send(Write::Apply(asked, answer)), here))
    }

    fn items(&self, queue: i64, of: Fetched) -> BoxFuture<'_, Result<Fetched, StoreError>> {
        let (answer, here) = oneshot::channel();
        Box::pin(answered(self.send_read(Read { queue, of, answer }), here))
    }

    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        let (answer, here) = oneshot::channel();
        Box::pin(answered(self.send(Write::Sweep(now, answer)), here))
    }

    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        let (answer, here) = oneshot::channel();
        Box::pin(answered(self.send(Write::Totals(answer)), here))
    }

    fn prove(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let (answer, here) = oneshot::channel();
        Box::pin(answered(self.send(Write::Prove(answer)), here))
    }

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    fn commits(&self) -> &Commits {
        &self.commits
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        drop(self.write.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = std::mem::take(&mut *threads);
        Box::pin(async move {
            let ended = move || threads.into_iter().for_each(|thread| drop(thread.join()));
            let _ = tokio::task::spawn_blocking(ended).await;
        })
    }
}

struct Writer {
    tables: Tables,
    waiters: Waiters,
    commits: Arc<Commits>,
}

type Applying = (Result<Applied, StoreError>, Answer<Applied>);

impl Writer {
    fn run(mut self, mut jobs: mpsc::Receiver<Write>) {
        while let Some(first) = jobs.blocking_recv() {
            match first {
                Write::Apply(asked, answer) => self.commit(asked, answer, &mut jobs),
                other => self.other(other),
            }
        }
    }

    /// Applies what is waiting, commits once, then answers.
    fn commit(&mut self, asked: Asked, answer: Answer<Applied>, jobs: &mut mpsc::Receiver<Write>) {
        let (mut done, mut bytes, mut behind): (Vec<Applying>, _, _) = (Vec::new(), 0, None);
        let mut ready = self.tables.begin();
        let mut next = Some((asked, answer));
        while let Some((asked, answer)) = next.take() {
            bytes += asked.blob_bytes();
            let applied = if ready.is_ok() { self.apply(&asked) } else { Err(StoreError::Busy) };
            if matches!(&applied, Err(error) if !matches!(error, StoreError::Refused(_))) {
                ready = ready.and(Err(StoreError::Busy));
            }
            done.push((applied, answer));
            if done.len() < COMMIT_JOBS_MAX && bytes < COMMIT_BYTES_MAX {
                match jobs.try_recv() {
                    Ok(Write::Apply(asked, answer)) => next = Some((asked, answer)),
                    Ok(other) => behind = Some(other),
                    Err(_) => {}
                }
            }
        }
        let committed = ready.and_then(|()| self.tables.commit());
        self.commits.count(done.len());
        self.finish(done, committed);
        if let Some(other) = behind {
            self.other(other);
        }
    }

    fn apply(&mut self, asked: &Asked) -> Result<Applied, StoreError> {
        self.tables.apply(asked, kith_server::now(), &mut UnwrapErr(getrandom::SysRng))
    }

    fn finish(&mut self, done: Vec<Applying>, committed: Result<(), StoreError>) {
        if let Err(error) = committed {
            error.failure();
            for (applied, answer) in done {
                let _ = answer.send(applied.and(Err(StoreError::Busy)));
            }
            if let Err(error) = self.tables.roll_back() {
                error.failure();
            }
            return;
        }
        for (applied, answer) in done {
            if let Ok(Applied { queue, news: true, .. }) = applied {
                self.waiters.wake(queue);
            }
            let _ = answer.send(applied);
        }
    }

    fn other(&mut self, job: Write) {
        match job {
            Write::Sweep(now, answer) => {
                let _ = answer.send(self.sweep(now));
            }
            Write::Totals(answer) => {
                let _ = answer.send(Ok(self.tables.totals()));
            }
            Write::Prove(answer) => {
                let _ = answer.send(self.together(|tables| tables.touch()));
            }
            Write::Apply(_, answer) => {
                let _ = answer.send(Err(StoreError::Busy));
            }
        }
    }

    fn sweep(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        self.together(|tables| tables.sweep(now, SWEEP_BLOBS_MAX))
    }

    /// Does something durably, or not at all.
    fn together<T>(
        &mut self,
        act: impl FnOnce(&mut Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.tables.begin()?;
        let done = act(&mut self.tables);
        let done = done.and_then(|done| self.tables.commit().map(|()| done));
        if done.is_err() {
            self.tables.roll_back()?;
        }
        done
    }
}

fn run_reader(db: &Connection, mut jobs: mpsc::Receiver<Read>) {
    while let Some(Read { queue, of, answer }) = jobs.blocking_recv() {
        let _ = answer.send(tables::items(db, queue, of));
    }
}
