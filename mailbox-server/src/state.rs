//! What do all requests share, and how is one answered?

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use kith_common::service::{
    Code, Failure,
    mailbox::{Fetched, Operation},
};
use kith_server::{DataFolder, Health, Stop, config::Hidden, http::Budget, metrics::Page};
use tokio::time::{Instant, timeout_at};

use crate::{
    limits::SWEEP_PAUSE,
    mailbox::{Asked, Bounds, Reply, Totals, What},
    metrics::Metrics,
    store::{Applied, News, Store},
};

/// Shared by all requests.
pub(crate) struct State {
    pub(crate) store: Arc<dyn Store>,
    /// Keeps other servers away from the data.
    pub(crate) _folder: Option<DataFolder>,
    pub(crate) names: Vec<String>,
    pub(crate) access: Option<Hidden>,
    pub(crate) bounds: Bounds,
    pub(crate) coming: Budget,
    pub(crate) going: Budget,
    pub(crate) metrics: Metrics,
    pub(crate) stop: Stop,
    pub(crate) totals: Mutex<Totals>,
}

/// What a WebSocket remembers.
#[derive(Default)]
pub(crate) struct Session {
    /// Whose requests it carries.
    pub(crate) signer: Option<[u8; 32]>,
    /// Where news are awaited, after a fetch that waited for nothing.
    pub(crate) news: Option<News>,
}

impl State {
    /// Answers a request in bytes.
    pub(crate) async fn answer(
        &self,
        operation: Operation,
        body: Bytes,
        host: &str,
        session: Option<&mut Session>,
    ) -> Result<Bytes, Failure> {
        let answered = self.answer_uncounted(operation, body, host, session).await;
        self.metrics.count(operation, &answered);
        answered
    }

    async fn answer_uncounted(
        &self,
        operation: Operation,
        body: Bytes,
        host: &str,
        mut session: Option<&mut Session>,
    ) -> Result<Bytes, Failure> {
        let now = kith_server::now();
        let asked = Asked::read(operation, &body, |named| self.is_named(named, host), now)?;
        drop(body);
        if let Some(session) = session.as_deref_mut()
            && *session.signer.get_or_insert(asked.signer) != asked.signer
        {
            return Err(Code::OtherQueue.into());
        }
        asked.may_open(self.access.as_ref().map(Hidden::expose))?;
        let wait_ms = if let What::Fetch { wait_ms, .. } = asked.what { wait_ms } else { 0 };
        let Applied { reply, queue, .. } =
            self.store.apply(asked).await.map_err(|error| error.failure())?;
        let reply = match reply {
            Reply::Fetched(of) => {
                let watch = session.filter(|_| wait_ms == 0);
                Reply::Fetched(Box::pin(self.fetch(queue, of, wait_ms, watch)).await?)
            }
            reply => reply,
        };
        let bytes = reply.answer()?;
        drop(reply);
        self.going.hold(bytes).await
    }

    fn is_named(&self, named: &str, host: &str) -> bool {
        if self.names.is_empty() {
            named.bytes().eq(host.bytes().map(|byte| byte.to_ascii_lowercase()))
        } else {
            self.names.iter().any(|name| name == named)
        }
    }

    /// Takes what is there; waits if that is nothing.
    async fn fetch(
        &self,
        queue: i64,
        of: Fetched,
        wait_ms: u64,
        watch: Option<&mut Session>,
    ) -> Result<Fetched, Failure> {
        let items = |of| self.store.items(queue, of);
        if let Some(session) = watch {
            // Before it is looked, so that nothing comes in between.
            session.news = Some(News::of(self.store.waiters().wait(queue)));
            return items(of).await.map_err(|error| error.failure());
        }
        if wait_ms == 0 {
            return items(of).await.map_err(|error| error.failure());
        }
        let deadline = Instant::now() + Duration::from_millis(wait_ms);
        let waiter = self.store.waiters().wait(queue);
        let _waiting = self.metrics.waiting.enter();
        loop {
            let news = waiter.news();
            let found = items(of.clone()).await.map_err(|error| error.failure())?;
            if !found.items.is_empty() {
                return Ok(found);
            }
            tokio::select! {
                woken = timeout_at(deadline, news) => if woken.is_err() { return Ok(found) },
                () = self.stop.stopped() => return Ok(found),
            }
        }
    }

    /// Sweeps until the service stops.
    pub(crate) async fn sweep(self: Arc<Self>) {
        loop {
            let more = match self.store.sweep(kith_server::now()).await {
                Ok(more) => more,
                Err(error) => {
                    error.failure();
                    false
                }
            };
            if let Ok(totals) = self.store.totals().await {
                *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = totals;
            }
            // One batch at a time: requests that wait come in between.
            let pause = if more { Duration::from_millis(1) } else { SWEEP_PAUSE };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.stopped() => return,
            }
        }
    }
}

impl Health for State {
    fn ready(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            self.store.prove().await?;
            let totals = self.store.totals().await?;
            *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = totals;
            Ok(())
        })
    }

    fn measure(&self, page: &mut Page) {
        let totals = *self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        self.metrics.write(page, self.store.commits(), &totals);
    }

    fn finish(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
}
