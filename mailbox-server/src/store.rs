//! Where are queues kept? What a store can do, whichever database it is.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::BoxFuture;
use kith_common::{service::mailbox::Fetched, time::Timestamp};
use tokio::sync::{
    Notify,
    futures::{Notified, OwnedNotified},
};

use crate::{
    error::StoreError,
    mailbox::{Asked, Reply, Totals},
    metrics::Commits,
};

pub mod postgres;
pub mod sqlite;

/// What was done, and which queue it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The answer; of a fetch, without items.
    pub reply: Reply,
    /// Internal number of the queue.
    pub queue: i64,
    /// Whether something has come into it.
    pub news: bool,
}

/// A store of queues.
pub trait Store: Send + Sync + 'static {
    /// Does what is asked; when it resolves, it is durable. A fetch deletes, but takes nothing yet.
    fn apply(&self, asked: Asked) -> BoxFuture<'_, Result<Applied, StoreError>>;

    /// The oldest items of a queue; `of` says which incarnation is meant.
    fn items(&self, queue: i64, of: Fetched) -> BoxFuture<'_, Result<Fetched, StoreError>>;

    /// Deletes a batch of what is over; whether there may be more.
    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Counts what there is.
    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>>;

    /// Whether something can be stored, tried out.
    fn prove(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Who waits for news.
    fn waiters(&self) -> &Waiters;

    /// Sizes of commits.
    fn commits(&self) -> &Commits;

    /// Finishes what was begun, and takes nothing new.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Those who wait until something comes into a queue.
#[derive(Debug, Clone, Default)]
pub struct Waiters(Arc<Mutex<HashMap<i64, Waited>>>);

#[derive(Debug, Default)]
struct Waited {
    notify: Arc<Notify>,
    waiters: usize,
}

impl Waiters {
    /// A place among those who wait; what comes from now on is not missed.
    pub fn wait(&self, queue: i64) -> Waiter {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = all.entry(queue).or_default();
        waited.waiters += 1;
        let notify = Arc::clone(&waited.notify);
        Waiter { waiters: self.clone(), queue, notify }
    }

    /// Wakes who waits for this queue.
    pub fn wake(&self, queue: i64) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waited) = all.get(&queue) {
            waited.notify.notify_waiters();
        }
    }

    /// Wakes everybody: news may have been missed.
    pub fn wake_all(&self) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().for_each(|waited| waited.notify.notify_waiters());
    }
}

/// One who waits.
#[derive(Debug)]
pub struct Waiter {
    waiters: Waiters,
    queue: i64,
    notify: Arc<Notify>,
}

impl Waiter {
    /// Resolves when something comes after this was called, whether it was polled or not.
    pub fn news(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

/// What comes after this was made, for who asks later.
#[derive(Debug)]
pub struct News {
    notified: Pin<Box<OwnedNotified>>,
    _waiter: Waiter,
}

impl News {
    /// Begins to listen.
    pub fn of(waiter: Waiter) -> Self {
        let notified = Box::pin(Arc::clone(&waiter.notify).notified_owned());
        Self { notified, _waiter: waiter }
    }

    /// Resolves when something has come.
    pub async fn come(&mut self) {
        self.notified.as_mut().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut all = self.waiters.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waited) = all.get_mut(&self.queue) else { return };
        waited.waiters -= 1;
        if waited.waiters == 0 {
            all.remove(&self.queue);
        }
    }
}
