//! How do many puts share a commit in PostgreSQL? Each step is one statement for all of them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use deadpool_postgres::Transaction;
use kith_common::service::{Code, mailbox::Stored};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{
    Shared,
    notices::CHANNEL,
    queues::{QUEUE_COLUMNS, nonce, read_queue},
    signed,
};
use crate::{
    error::StoreError,
    limits::{COMMIT_BYTES_MAX, COMMIT_JOBS_MAX},
    mailbox::{Asked, Queue, Reply, Verdict, What},
    store::Applied,
};

/// A put that waits for its commit.
pub(super) struct PutJob {
    pub(super) asked: Asked,
    pub(super) answer: oneshot::Sender<Result<Applied, StoreError>>,
}

/// Commits what comes until nothing comes any more.
pub(super) async fn commit_all(shared: Arc<Shared>, jobs: Arc<Mutex<mpsc::Receiver<PutJob>>>) {
    loop {
        let batch = collect(&mut *jobs.lock().await).await;
        if batch.is_empty() {
            return;
        }
        let asked: Vec<&Asked> = batch.iter().map(|job| &job.asked).collect();
        let done = commit(&shared, &asked).await;
        shared.commits.count(batch.len());
        let done = done.unwrap_or_else(|error| {
            error.failure();
            batch.iter().map(|_| Err(StoreError::Busy)).collect()
        });
        for (job, applied) in batch.into_iter().zip(done) {
            if let Ok(Applied { queue, news: true, .. }) = applied {
                shared.waiters.wake(queue);
            }
            let _ = job.answer.send(applied);
        }
    }
}

async fn collect(jobs: &mut mpsc::Receiver<PutJob>) -> Vec<PutJob> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut next = jobs.recv().await;
    while let Some(job) = next {
        bytes += job.asked.blob_bytes();
        batch.push(job);
        let room = batch.len() < COMMIT_JOBS_MAX && bytes < COMMIT_BYTES_MAX;
        next = if room { jobs.try_recv().ok() } else { None };
    }
    batch
}

type Done = Vec<Result<Applied, StoreError>>;

async fn commit(shared: &Shared, asked: &[&Asked]) -> Result<Done, StoreError> {
    let bytes_in_all = shared.totals().await?.bytes;
    let mut client = shared.client().await?;
    let change = client.transaction().await?;
    let mut batch = Batch { bytes_in_all, ..Batch::read(&change, asked).await? };
    let done: Done = asked.iter().map(|asked| batch.decide(asked, shared)).collect();
    batch.write(&change).await?;
    change.commit().await?;
    shared.add(0, batch.blobs, batch.bytes_in_all - bytes_in_all);
    Ok(done)
}

/// What the puts of one commit meet and leave.
#[derive(Default)]
struct Batch {
    queues: BTreeMap<[u8; 32], Queue>,
    first_seen: HashSet<i64>,
    there: HashSet<(i64, Vec<u8>)>,
    bytes_in_all: u64,
    blobs: u64,
    rows: Rows,
}

/// New rows, by column.
#[derive(Default)]
struct Rows {
    queue: Vec<i64>,
    number: Vec<i64>,
    end_hour: Vec<i64>,
    hash: Vec<Option<Vec<u8>>>,
    bytes: Vec<Option<Bytes>>,
}

impl Batch {
    async fn read(change: &Transaction<'_>, asked: &[&Asked]) -> Result<Self, StoreError> {
        let mut batch = Self::default();
        let writers: Vec<&[u8]> = asked.iter().map(|asked| asked.signer.as_slice()).collect();
        // Locked in the order of their numbers: two replicas cannot wait for each other.
        let sql = format!(
            "SELECT {QUEUE_COLUMNS}, writer FROM queues WHERE writer = ANY($1)
             ORDER BY id FOR UPDATE"
        );
        for row in change.query(&change.prepare_cached(&sql).await?, &[&writers]).await? {
            let writer: &[u8] = row.get(10);
            let writer = writer.try_into().map_err(|_| StoreError::Stored("writer"))?;
            batch.queues.insert(writer, read_queue(&row)?);
        }
        let now = kith_server::now();
        let known = asked.iter().filter(|asked| batch.queues.contains_key(&asked.signer));
        let (seen, ends): (Vec<i64>, Vec<i64>) = known.map(|asked| nonce(asked, now)).unzip();
        let sql = "INSERT INTO nonces (seen, ends) SELECT * FROM unnest($1::bigint[], $2::bigint[])
                   ON CONFLICT DO NOTHING RETURNING seen";
        for row in change.query(&change.prepare_cached(sql).await?, &[&seen, &ends]).await? {
            batch.first_seen.insert(row.get(0));
        }
        let wanted = asked.iter().filter_map(|asked| match &asked.what {
            What::Put { hash, .. } => {
                batch.queues.get(&asked.signer).map(|queue| (queue.id, hash.as_slice()))
            }
            _ => None,
        });
        let (queues, hashes): (Vec<i64>, Vec<&[u8]>) = wanted.unzip();
        let sql = "SELECT blobs.queue, blobs.hash FROM blobs
                   JOIN unnest($1::bigint[], $2::bytea[]) AS wanted (queue, hash)
                   ON blobs.queue = wanted.queue AND blobs.hash = wanted.hash";
        for row in change.query(&change.prepare_cached(sql).await?, &[&queues, &hashes]).await? {
            batch.there.insert((row.get(0), row.get(1)));
        }
        Ok(batch)
    }

    fn decide(&mut self, asked: &Asked, shared: &Shared) -> Result<Applied, StoreError> {
        let now = kith_server::now();
        let queue = self.queues.get_mut(&asked.signer).ok_or(Code::UnknownQueue)?;
        if !self.first_seen.remove(&asked.seen.cast_signed()) {
            return Err(Code::Replayed.into());
        }
        let What::Put { hash, blob } = &asked.what else { return Err(StoreError::Busy) };
        let already = self.there.contains(&(queue.id, hash.to_vec()));
        let verdict = queue.put(blob.len(), already, self.bytes_in_all, &shared.bounds);
        let stored = Reply::Stored(Stored { incarnation: queue.incarnation });
        let (number, kept, reply) = match verdict {
            Verdict::Store(number) => (number, true, stored),
            Verdict::Mark(number) => (number, false, Reply::Marked),
            Verdict::Refuse(code) => return Err(code.into()),
            Verdict::Already => {
                return Ok(Applied { reply: stored, queue: queue.id, news: false });
            }
        };
        self.rows.queue.push(queue.id);
        self.rows.number.push(signed(number));
        self.rows.end_hour.push(signed(queue.end_hour(now)));
        self.rows.hash.push(kept.then(|| hash.to_vec()));
        self.rows.bytes.push(kept.then(|| blob.clone()));
        if kept {
            self.there.insert((queue.id, hash.to_vec()));
            self.bytes_in_all += blob.len() as u64;
            self.blobs += 1;
        }
        Ok(Applied { reply, queue: queue.id, news: true })
    }

    async fn write(&self, change: &Transaction<'_>) -> Result<(), StoreError> {
        let rows = &self.rows;
        if rows.queue.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO blobs (queue, number, end_hour, hash, bytes) SELECT * FROM
                   unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])";
        let bytes: Vec<Option<&[u8]>> = rows.bytes.iter().map(Option::as_deref).collect();
        change
            .execute(
                &change.prepare_cached(sql).await?,
                &[&rows.queue, &rows.number, &rows.end_hour, &rows.hash, &bytes],
            )
            .await?;
        let changed: Vec<&Queue> = self.queues.values().collect();
        let column = |of: fn(&Queue) -> u64| -> Vec<i64> {
            changed.iter().map(|queue| signed(of(queue))).collect()
        };
        let ids: Vec<i64> = changed.iter().map(|queue| queue.id).collect();
        let marked: Vec<bool> = changed.iter().map(|queue| queue.marked).collect();
        let sql = "UPDATE queues SET blobs = new.blobs, bytes = new.bytes, next = new.next,
                   marked = new.marked FROM unnest($1::bigint[], $2::bigint[], $3::bigint[],
                   $4::bigint[], $5::boolean[]) AS new (id, blobs, bytes, next, marked)
                   WHERE queues.id = new.id";
        let (blobs, bytes, next) =
            (column(|queue| queue.blobs), column(|queue| queue.bytes), column(|queue| queue.next));
        change
            .execute(&change.prepare_cached(sql).await?, &[&ids, &blobs, &bytes, &next, &marked])
            .await?;
        let mut news = rows.queue.clone();
        news.sort_unstable();
        news.dedup();
        let said = news.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        change.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &said]).await?;
        Ok(())
    }
}
