//! How do several replicas keep queues together? In PostgreSQL; whoever stores tells the others.

use std::{
    ops::DerefMut,
    sync::{Arc, Mutex, PoisonError},
};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use futures::future::BoxFuture;
use kith_common::{service::mailbox::Fetched, time::Timestamp};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use tokio_postgres::{Config, NoTls};
use tokio_util::sync::CancellationToken;

use self::{puts::PutJob, queues::Queues};
use crate::{
    error::StoreError,
    limits::{
        COMMITTERS, JOBS_WAITING_MAX, POSTGRES_CONNECTIONS, POSTGRES_TIME_MAX, TOTALS_TIME_MAX,
    },
    mailbox::{Asked, Bounds, Totals, What},
    metrics::Commits,
    store::{Applied, Store, Waiters},
};

mod notices;
mod puts;
mod queues;
mod sweep;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Key of the advisory lock under which tables are made or changed.
const MIGRATION_LOCK: i64 = 0x6b69_7468_0001;

/// The store of several replicas.
#[derive(Debug)]
pub struct Postgres {
    shared: Arc<Shared>,
    puts: Mutex<Option<mpsc::Sender<PutJob>>>,
    tasks: Mutex<JoinSet<()>>,
    stop: CancellationToken,
}

/// What the tasks of a replica share.
#[derive(Debug)]
pub(crate) struct Shared {
    pool: Pool,
    bounds: Bounds,
    waiters: Waiters,
    commits: Commits,
    /// What all replicas store, as it was a moment ago, and what this one added since.
    totals: Mutex<(Totals, Instant)>,
}

impl Postgres {
    /// Connects, makes or changes the tables, and starts the tasks.
    ///
    /// # Errors
    /// If PostgreSQL cannot be reached with these settings or holds something else.
    pub async fn connect(settings: &str, bounds: Bounds) -> anyhow::Result<Self> {
        let mut config: Config = settings.parse()?;
        let time_ms = POSTGRES_TIME_MAX.as_millis();
        let said = config.get_options().unwrap_or_default();
        let options = format!(
            "{said} -c synchronous_commit=on -c statement_timeout={time_ms} \
             -c idle_in_transaction_session_timeout={time_ms}"
        );
        config.options(options).connect_timeout(POSTGRES_TIME_MAX);
        config.application_name("kith-mailbox");
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), NoTls, recycling);
        let pool = Pool::builder(manager)
            .max_size(POSTGRES_CONNECTIONS)
            .wait_timeout(Some(POSTGRES_TIME_MAX))
            .create_timeout(Some(POSTGRES_TIME_MAX))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()?;
        migrate(&mut pool.get().await?).await?;
        let shared = Arc::new(Shared {
            pool,
            bounds,
            waiters: Waiters::default(),
            commits: Commits::default(),
            totals: Mutex::new((Totals::default(), Instant::now())),
        });
        shared.count().await?;
        let (puts, jobs) = mpsc::channel(JOBS_WAITING_MAX);
        let jobs = Arc::new(tokio::sync::Mutex::new(jobs));
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        for _ in 0..COMMITTERS {
            tasks.spawn(puts::commit_all(Arc::clone(&shared), Arc::clone(&jobs)));
        }
        tasks.spawn(notices::listen(config, shared.waiters.clone(), stop.clone()));
        let (puts, tasks) = (Mutex::new(Some(puts)), Mutex::new(tasks));
        Ok(Self { shared, puts, tasks, stop })
    }

    fn send(&self, job: PutJob) -> Result<(), StoreError> {
        let puts = self.puts.lock().unwrap_or_else(PoisonError::into_inner);
        puts.as_ref().and_then(|puts| puts.try_send(job).ok()).ok_or(StoreError::Busy)
    }
}

async fn migrate(client: &mut Object) -> anyhow::Result<()> {
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    let inner: &mut tokio_postgres::Client = client.deref_mut().deref_mut();
    let migrated = embedded::migrations::runner().run_async(inner).await;
    client.execute("SELECT pg_advisory_unlock($1)", &[&MIGRATION_LOCK]).await?;
    migrated?;
    Ok(())
}

impl Shared {
    async fn client(&self) -> Result<Object, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// Counts what all replicas store.
    async fn count(&self) -> Result<Totals, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM queues), sum(blobs)::bigint, sum(bytes)::bigint
                   FROM (SELECT blobs, bytes FROM queues UNION ALL SELECT blobs, bytes FROM gone
                         UNION ALL SELECT 0, 0) AS all_of_them";
        let client = self.client().await?;
        let row = client.query_one(&client.prepare_cached(sql).await?, &[]).await?;
        let totals = Totals {
            queues: unsigned(row.get(0)),
            blobs: unsigned(row.get(1)),
            bytes: unsigned(row.get(2)),
        };
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = (totals, Instant::now());
        Ok(totals)
    }

    /// What all replicas store, not older than a few seconds.
    async fn totals(&self) -> Result<Totals, StoreError> {
        let (totals, counted) = *self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.elapsed() > TOTALS_TIME_MAX { self.count().await } else { Ok(totals) }
    }

    fn add(&self, queues: u64, blobs: u64, bytes: u64) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.0.queues += queues;
        totals.0.blobs += blobs;
        totals.0.bytes += bytes;
    }
}

impl Store for Postgres {
    fn apply(&self, asked: Asked) -> BoxFuture<'_, Result<Applied, StoreError>> {
        if matches!(asked.what, What::Put { .. }) {
            let (answer, here) = oneshot::channel();
            let sent = self.send(PutJob { asked, answer });
            return Box::pin(async move {
                sent?;
                here.await.unwrap_or(Err(StoreError::Busy))
            });
        }
        Box::pin(async move { Queues::of(&self.shared).apply(&asked).await })
    }

    fn items(&self, queue: i64, of: Fetched) -> BoxFuture<'_, Result<Fetched, StoreError>> {
        Box::pin(async move { Queues::of(&self.shared).items(queue, of).await })
    }

    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(sweep::sweep(&self.shared, now))
    }

    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        Box::pin(self.shared.count())
    }

    fn prove(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            Ok(self.shared.client().await?.query_one("SELECT 1", &[]).await.map(drop)?)
        })
    }

    fn waiters(&self) -> &Waiters {
        &self.shared.waiters
    }

    fn commits(&self) -> &Commits {
        &self.shared.commits
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.stop.cancel();
        drop(self.puts.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tasks = std::mem::take(&mut *tasks);
        Box::pin(async move {
            while tasks.join_next().await.is_some() {}
            self.shared.pool.close();
        })
    }
}

/// PostgreSQL's integers have a sign; nothing here reaches 2^63.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
