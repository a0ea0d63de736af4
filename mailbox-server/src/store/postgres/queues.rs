//! What does each request but a put change in PostgreSQL?

use deadpool_postgres::Transaction;
use kith_common::{
    limits::{FETCH_BLOB_BYTES_MAX, FETCH_ITEMS_MAX, REQUEST_AGE_MS_MAX},
    service::{
        Code,
        mailbox::{Days, Fetched, Incarnation, Item, Open, Standing},
    },
    time::Timestamp,
};
use rand_core::UnwrapErr;
use tokio_postgres::Row;

use super::{Shared, notices::CHANNEL, signed, unsigned};
use crate::{
    error::StoreError,
    mailbox::{self, Asked, Queue, Reply, What},
    store::Applied,
};

const MINUTE_MS: u64 = 60_000;

pub(super) const QUEUE_COLUMNS: &str =
    "id, incarnation, days, blobs_max, bytes_max, blobs, bytes, next, marked, seen_day";

/// Key of the advisory lock under which queues are made: a key must be new among owners and writers
/// alike, which no index can say.
const OPEN_LOCK: i64 = 0x6b69_7468_0002;

/// The queues of all replicas.
pub(super) struct Queues<'s> {
    shared: &'s Shared,
}

impl<'s> Queues<'s> {
    pub(super) const fn of(shared: &'s Shared) -> Self {
        Self { shared }
    }

    pub(super) async fn apply(&self, asked: &Asked) -> Result<Applied, StoreError> {
        let now = kith_server::now();
        let mut client = self.shared.client().await?;
        let change = client.transaction().await?;
        let applied = match &asked.what {
            What::Open(open) => self.open(&change, asked, open, now).await?,
            What::Fetch { delete, .. } => delete_items(&change, asked, delete, now).await?,
            What::Status => status(&change, asked, now).await?,
            What::Close => close(&change, asked, now).await?,
            What::Put { .. } => return Err(StoreError::Busy),
        };
        change.commit().await?;
        self.shared.commits.count(1);
        if applied.news {
            self.shared.waiters.wake(applied.queue);
        }
        Ok(applied)
    }

    async fn open(
        &self,
        change: &Transaction<'_>,
        asked: &Asked,
        open: &Open,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        change.execute("SELECT pg_advisory_xact_lock($1)", &[&OPEN_LOCK]).await?;
        let sql = "SELECT count(*), count(*) FILTER (WHERE owner = $1 AND writer = $2) FROM queues
                   WHERE owner IN ($1, $2) OR writer IN ($1, $2)";
        let keys = [asked.signer.as_slice(), open.writer.as_slice()];
        let row =
            change.query_one(&change.prepare_cached(sql).await?, &[&keys[0], &keys[1]]).await?;
        let (met, same): (i64, i64) = (row.get(0), row.get(1));
        if met != same || asked.signer == open.writer {
            return Err(Code::Taken.into());
        }
        let mut queue = if same == 0 {
            if self.shared.totals().await?.queues >= self.shared.bounds.queues_max {
                return Err(Code::NoRoom.into());
            }
            once(change, asked, now).await?;
            let queue = make(change, asked, open, &self.shared.bounds, now).await?;
            self.shared.add(1, 0, 0);
            queue
        } else {
            once(change, asked, now).await?;
            find(change, "owner", asked).await?
        };
        queue.change(open, &self.shared.bounds, now);
        save(change, &queue).await?;
        let card = open.card.as_deref();
        change.execute("UPDATE queues SET card = $2 WHERE id = $1", &[&queue.id, &card]).await?;
        Ok(Applied { reply: Reply::Opened(queue.answer_opened()), queue: queue.id, news: false })
    }

    /// The oldest items of a queue: their lengths first, so that no more is read than is answered.
    pub(super) async fn items(&self, queue: i64, of: Fetched) -> Result<Fetched, StoreError> {
        let client = self.shared.client().await?;
        let sql = "SELECT number, octet_length(bytes) FROM blobs WHERE queue = $1
                   ORDER BY number LIMIT $2";
        let limit = signed(FETCH_ITEMS_MAX as u64 + 1);
        let rows = client.query(&client.prepare_cached(sql).await?, &[&queue, &limit]).await?;
        let (mut last, mut bytes, mut taken) = (0_i64, 0_u64, 0_usize);
        for row in &rows {
            bytes += row.get::<_, Option<i32>>(1).map_or(0, |length| unsigned(length.into()));
            if taken > 0 && (taken >= FETCH_ITEMS_MAX || bytes > FETCH_BLOB_BYTES_MAX as u64) {
                break;
            }
            (last, taken) = (row.get(0), taken + 1);
        }
        let more = taken < rows.len();
        if taken == 0 {
            return Ok(Fetched { items: Vec::new(), more, ..of });
        }
        let sql =
            "SELECT number, bytes FROM blobs WHERE queue = $1 AND number <= $2 ORDER BY number";
        let rows = client.query(&client.prepare_cached(sql).await?, &[&queue, &last]).await?;
        let item = |row: &Row| Item {
            number: unsigned(row.get(0)),
            blob: row.get::<_, Option<&[u8]>>(1).map(Into::into),
        };
        Ok(Fetched { items: rows.iter().map(item).collect(), more, ..of })
    }
}

/// Remembers a request on all replicas.
async fn once(change: &Transaction<'_>, asked: &Asked, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO nonces (seen, ends) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let (seen, ends) = nonce(asked, now);
    let inserted = change.execute(&change.prepare_cached(sql).await?, &[&seen, &ends]).await?;
    if inserted == 1 { Ok(()) } else { Err(Code::Replayed.into()) }
}

/// Name of a request, and the minute from which it is stale on every clock that may be off.
pub(super) fn nonce(asked: &Asked, now: Timestamp) -> (i64, i64) {
    let last = asked.time.millis().max(now.millis());
    let ends = (last + 2 * REQUEST_AGE_MS_MAX).next_multiple_of(MINUTE_MS);
    (asked.seen.cast_signed(), signed(ends))
}

async fn find(change: &Transaction<'_>, key: &str, asked: &Asked) -> Result<Queue, StoreError> {
    let sql = format!("SELECT {QUEUE_COLUMNS} FROM queues WHERE {key} = $1 FOR UPDATE");
    let signer = asked.signer.as_slice();
    let found = change.query_opt(&change.prepare_cached(&sql).await?, &[&signer]).await?;
    found.map_or_else(|| Err(Code::UnknownQueue.into()), |row| read_queue(&row))
}

pub(super) fn read_queue(row: &Row) -> Result<Queue, StoreError> {
    let incarnation: &[u8] = row.get(1);
    let incarnation = incarnation.try_into().map_err(|_| StoreError::Stored("incarnation"))?;
    let blobs_max: i64 = row.get(3);
    Ok(Queue {
        id: row.get(0),
        incarnation: Incarnation::from_bytes(incarnation),
        days: Days::of_count(unsigned(row.get(2))).ok_or(StoreError::Stored("days"))?,
        blobs_max: u16::try_from(blobs_max).map_err(|_| StoreError::Stored("blobs at most"))?,
        bytes_max: unsigned(row.get(4)),
        blobs: unsigned(row.get(5)),
        bytes: unsigned(row.get(6)),
        next: unsigned(row.get(7)),
        marked: row.get(8),
        seen_day: unsigned(row.get(9)),
    })
}

async fn make(
    change: &Transaction<'_>,
    asked: &Asked,
    open: &Open,
    bounds: &mailbox::Bounds,
    now: Timestamp,
) -> Result<Queue, StoreError> {
    let sql = "INSERT INTO queues (id, owner, writer, incarnation, days, blobs_max, bytes_max,
               blobs, bytes, next, marked, seen_day)
               SELECT $1, $2, $3, $4, 1, 1, 0, 0, 0, 1, false, 0
               WHERE NOT EXISTS (SELECT 1 FROM gone WHERE queue = $1)
               ON CONFLICT (id) DO NOTHING";
    let insert = change.prepare_cached(sql).await?;
    loop {
        let queue = Queue::opened(open, bounds, now, &mut UnwrapErr(getrandom::SysRng));
        let (owner, writer) = (asked.signer.as_slice(), open.writer.as_slice());
        let incarnation = queue.incarnation.as_bytes().as_slice();
        if change.execute(&insert, &[&queue.id, &owner, &writer, &incarnation]).await? == 1 {
            return Ok(queue);
        }
    }
}

async fn save(change: &Transaction<'_>, queue: &Queue) -> Result<(), StoreError> {
    let sql = "UPDATE queues SET days = $2, blobs_max = $3, bytes_max = $4, blobs = $5, bytes = $6,
               next = $7, marked = $8, seen_day = $9 WHERE id = $1";
    let numbers = [
        queue.days.count(),
        u64::from(queue.blobs_max),
        queue.bytes_max,
        queue.blobs,
        queue.bytes,
        queue.next,
        queue.seen_day,
    ];
    let [days, blobs_max, bytes_max, blobs, bytes, next, seen_day] = numbers.map(signed);
    change
        .execute(
            &change.prepare_cached(sql).await?,
            &[
                &queue.id,
                &days,
                &blobs_max,
                &bytes_max,
                &blobs,
                &bytes,
                &next,
                &queue.marked,
                &seen_day,
            ],
        )
        .await?;
    Ok(())
}

async fn delete_items(
    change: &Transaction<'_>,
    asked: &Asked,
    delete: &[u64],
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let mut queue = find(change, "owner", asked).await?;
    once(change, asked, now).await?;
    let today = mailbox::day(now);
    let mut changed = queue.seen_day != today;
    queue.seen_day = today;
    if !delete.is_empty() {
        let numbers: Vec<i64> = delete.iter().copied().map(signed).collect();
        let sql = "DELETE FROM blobs WHERE queue = $1 AND number = ANY($2)
                   RETURNING octet_length(bytes)";
        let gone = change.query(&change.prepare_cached(sql).await?, &[&queue.id, &numbers]).await?;
        for bytes in gone.iter().filter_map(|row| row.get::<_, Option<i32>>(0)) {
            changed = true;
            queue.blobs = queue.blobs.saturating_sub(1);
            queue.bytes = queue.bytes.saturating_sub(unsigned(bytes.into()));
        }
    }
    if changed {
        save(change, &queue).await?;
    }
    let fetched = Fetched { incarnation: queue.incarnation, items: vec![], more: false };
    Ok(Applied { reply: Reply::Fetched(fetched), queue: queue.id, news: false })
}

async fn status(
    change: &Transaction<'_>,
    asked: &Asked,
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let queue = find(change, "writer", asked).await?;
    once(change, asked, now).await?;
    let row = change.query_one("SELECT card FROM queues WHERE id = $1", &[&queue.id]).await?;
    let card = row.get::<_, Option<&[u8]>>(0).map(Into::into);
    let Queue { incarnation, days, .. } = queue;
    let standing = Standing { incarnation, days, card };
    Ok(Applied { reply: Reply::Standing(standing), queue: queue.id, news: false })
}

async fn close(
    change: &Transaction<'_>,
    asked: &Asked,
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let queue = match find(change, "owner", asked).await {
        Err(StoreError::Refused(_)) => find(change, "writer", asked).await?,
        found => found?,
    };
    once(change, asked, now).await?;
    forget(change, &[queue.id]).await?;
    let said = queue.id.to_string();
    change.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &said]).await?;
    Ok(Applied { reply: Reply::Done, queue: queue.id, news: true })
}

/// Deletes queues; what is in them is swept.
pub(super) async fn forget(change: &Transaction<'_>, queues: &[i64]) -> Result<(), StoreError> {
    let sql = "WITH gone_now AS (DELETE FROM queues WHERE id = ANY($1) RETURNING id, blobs, bytes)
               INSERT INTO gone SELECT * FROM gone_now";
    change.execute(&change.prepare_cached(sql).await?, &[&queues]).await?;
    Ok(())
}
