//! Who may hold a connection now? So many at a time, in the order of asking.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Room for so many connections.
#[derive(Debug)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    waiting: watch::Sender<usize>,
}

/// Room for one connection, until it is dropped; `None` once the node stops.
pub(super) type Slot = Option<OwnedSemaphorePermit>;

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), waiting: watch::Sender::new(0) }
    }

    /// Waits for room. Meanwhile whoever keeps a connection without need is asked to let it go.
    pub(super) async fn take(&self) -> Slot {
        if let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(slot);
        }
        let _waits = Waits::begin(&self.waiting);
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Returns as soon as somebody waits for room.
    pub(super) async fn wanted(&self) {
        let mut waiting = self.waiting.subscribe();
        if waiting.wait_for(|count| *count > 0).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

struct Waits<'a>(&'a watch::Sender<usize>);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count += 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
