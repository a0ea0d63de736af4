//! What is over, in PostgreSQL? One replica at a time deletes it, in bounded batches.

use deadpool_postgres::Transaction;
use kith_common::time::Timestamp;

use super::{Shared, queues::forget, signed};
use crate::{
    error::StoreError,
    limits::{SWEEP_BLOBS_MAX, SWEEP_IDLE_MAX, SWEEP_NONCES_MAX},
    mailbox,
};

/// Key of the advisory lock of the replica that sweeps.
const SWEEP_LOCK: i64 = 0x6b69_7468_0003;

/// Deletes one batch; whether there may be more.
pub(super) async fn sweep(shared: &Shared, now: Timestamp) -> Result<bool, StoreError> {
    let mut client = shared.client().await?;
    let change = client.transaction().await?;
    let mine = change.query_one("SELECT pg_try_advisory_xact_lock($1)", &[&SWEEP_LOCK]).await?;
    if !mine.get::<_, bool>(0) {
        return Ok(false);
    }
    let ends = signed(now.millis());
    let sql = "DELETE FROM nonces WHERE seen IN
               (SELECT seen FROM nonces WHERE ends < $1 ORDER BY ends LIMIT $2)";
    let nonces = change.execute(sql, &[&ends, &signed(SWEEP_NONCES_MAX)]).await?;
    let over = sweep_over(&change, now).await?;
    let sql = "SELECT id FROM queues WHERE seen_day <= $1 ORDER BY id LIMIT $2 FOR UPDATE";
    let (day, limit) = (signed(mailbox::idle_day(now)), signed(SWEEP_IDLE_MAX as u64));
    let idle = change.query(sql, &[&day, &limit]).await?;
    let idle: Vec<i64> = idle.iter().map(|row| row.get(0)).collect();
    forget(&change, &idle).await?;
    let left = sweep_gone(&change).await?;
    change.commit().await?;
    Ok(nonces >= SWEEP_NONCES_MAX
        || over >= SWEEP_BLOBS_MAX
        || idle.len() >= SWEEP_IDLE_MAX
        || left)
}

async fn sweep_over(change: &Transaction<'_>, now: Timestamp) -> Result<usize, StoreError> {
    let (hour, limit) = (signed(mailbox::hour(now)), signed(SWEEP_BLOBS_MAX as u64));
    let sql = "SELECT queue, number FROM blobs WHERE end_hour <= $1 ORDER BY end_hour LIMIT $2";
    let rows = change.query(sql, &[&hour, &limit]).await?;
    let (queues, numbers): (Vec<i64>, Vec<i64>) =
        rows.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1))).unzip();
    if queues.is_empty() {
        return Ok(0);
    }
    // In the order of their numbers, as puts lock them.
    let sql = "SELECT 1 FROM queues WHERE id = ANY($1) ORDER BY id FOR UPDATE";
    change.execute(sql, &[&queues]).await?;
    let sql = "WITH over AS (
                 DELETE FROM blobs USING unnest($1::bigint[], $2::bigint[]) AS old (queue, number)
                 WHERE blobs.queue = old.queue AND blobs.number = old.number
                 RETURNING blobs.queue, octet_length(bytes) AS length
               ), less AS (
                 SELECT queue, count(length) AS blobs, coalesce(sum(length), 0)::bigint AS bytes
                 FROM over GROUP BY queue
               ), of_gone AS (
                 UPDATE gone SET blobs = gone.blobs - less.blobs, bytes = gone.bytes - less.bytes
                 FROM less WHERE gone.queue = less.queue
               )
               UPDATE queues SET blobs = queues.blobs - less.blobs, bytes = queues.bytes - less.bytes
               FROM less WHERE queues.id = less.queue";
    change.execute(sql, &[&queues, &numbers]).await?;
    Ok(rows.len())
}

async fn sweep_gone(change: &Transaction<'_>) -> Result<bool, StoreError> {
    let Some(row) = change.query_opt("SELECT queue FROM gone LIMIT 1 FOR UPDATE", &[]).await?
    else {
        return Ok(false);
    };
    let (queue, limit): (i64, i64) = (row.get(0), signed(SWEEP_BLOBS_MAX as u64));
    let sql = "DELETE FROM blobs WHERE queue = $1 AND number IN
               (SELECT number FROM blobs WHERE queue = $1 LIMIT $2) RETURNING octet_length(bytes)";
    let removed = change.query(sql, &[&queue, &limit]).await?;
    if removed.len() < SWEEP_BLOBS_MAX {
        change.execute("DELETE FROM gone WHERE queue = $1", &[&queue]).await?;
        return Ok(true);
    }
    let lengths = removed.iter().filter_map(|row| row.get::<_, Option<i32>>(0)).map(i64::from);
    let (blobs, bytes) = lengths.fold((0_i64, 0_i64), |(n, sum), length| (n + 1, sum + length));
    let sql = "UPDATE gone SET blobs = blobs - $2, bytes = bytes - $3 WHERE queue = $1";
    change.execute(sql, &[&queue, &blobs, &bytes]).await?;
    Ok(true)
}
