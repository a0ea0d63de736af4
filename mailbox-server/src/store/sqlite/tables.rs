//! What do the tables of the embedded store hold, and what does each request change in them?

use std::path::Path;

use bytes::Bytes;
use kith_common::{
    limits::{FETCH_BLOB_BYTES_MAX, FETCH_ITEMS_MAX},
    service::{
        Code, Failure,
        mailbox::{Days, Fetched, Incarnation, Item, Open, Operation, Standing, Stored},
    },
    time::Timestamp,
};
use kith_server::nonces::Nonces;
use rand_core::CryptoRng;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    error::StoreError,
    limits::{CACHE_KIB, LOG_PAGES, SWEEP_IDLE_MAX, SWEEP_LOOKED_AT},
    mailbox::{self, Asked, Bounds, Queue, Reply, Totals, Verdict, What},
    store::Applied,
};

/// A blob's key is its queue, then its number: a queue's blobs lie together, in order, without an
/// index. Blobs of queues that are gone are swept in batches; `gone` knows which. `ends` knows which
/// queues may have blobs that end in an hour: an index of blobs would be one more page in the log for
/// every put.
const SCHEMA: &str = "
CREATE TABLE queues (
  id INTEGER PRIMARY KEY, owner BLOB NOT NULL UNIQUE, writer BLOB NOT NULL UNIQUE,
  incarnation BLOB NOT NULL, days INTEGER NOT NULL, blobs_max INTEGER NOT NULL,
  bytes_max INTEGER NOT NULL, blobs INTEGER NOT NULL, bytes INTEGER NOT NULL,
  next INTEGER NOT NULL, marked INTEGER NOT NULL, seen_day INTEGER NOT NULL, card BLOB
) STRICT;
CREATE INDEX queues_seen ON queues (seen_day);
CREATE TABLE blobs (
  id INTEGER PRIMARY KEY, end_hour INTEGER NOT NULL, hash BLOB, bytes BLOB
) STRICT;
CREATE INDEX blobs_hash ON blobs (hash) WHERE hash IS NOT NULL;
CREATE TABLE gone (
  queue INTEGER PRIMARY KEY, blobs INTEGER NOT NULL, bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE ends (
  end_hour INTEGER NOT NULL, queue INTEGER NOT NULL, PRIMARY KEY (end_hour, queue)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 2;
";

const FROM_VERSION_1: &str = "
CREATE TABLE ends (
  end_hour INTEGER NOT NULL, queue INTEGER NOT NULL, PRIMARY KEY (end_hour, queue)
) STRICT, WITHOUT ROWID;
INSERT INTO ends SELECT DISTINCT end_hour, id >> 32 FROM blobs;
DROP INDEX blobs_end;
PRAGMA user_version = 2;
";

const SCHEMA_VERSION: i64 = 2;

const QUEUE_COLUMNS: &str =
    "id, incarnation, days, blobs_max, bytes_max, blobs, bytes, next, marked, seen_day";

/// The queues and what is in them.
#[derive(Debug)]
pub struct Tables {
    db: Connection,
    nonces: Nonces,
    bounds: Bounds,
    totals: Totals,
}

impl Tables {
    /// Tables that are gone when they are dropped.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn in_memory(bounds: Bounds) -> Result<Self, StoreError> {
        Self::on(Connection::open_in_memory()?, bounds)
    }

    /// Tables in a file.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn open(path: &Path, bounds: Bounds) -> Result<Self, StoreError> {
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        db.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        db.pragma_update(None, "journal_size_limit", LOG_PAGES * 4096)?;
        Self::on(db, bounds)
    }

    fn on(db: Connection, bounds: Bounds) -> Result<Self, StoreError> {
        db.set_prepared_statement_cache_capacity(32);
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0 => db.execute_batch(&format!("BEGIN; {SCHEMA} COMMIT;"))?,
            1 => db.execute_batch(&format!("BEGIN; {FROM_VERSION_1} COMMIT;"))?,
            SCHEMA_VERSION => {}
            _ => return Err(StoreError::Newer),
        }
        let mut tables = Self { db, nonces: Nonces::default(), bounds, totals: Totals::default() };
        tables.count()?;
        Ok(tables)
    }

    fn count(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT count(*), coalesce(sum(blobs), 0), coalesce(sum(bytes), 0) FROM";
        let read = |row: &Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?].map(unsigned));
        let [queues, blobs, bytes] = self.db.query_row(&format!("{sql} queues"), [], read)?;
        let [_, gone_blobs, gone_bytes] = self.db.query_row(&format!("{sql} gone"), [], read)?;
        self.totals = Totals { queues, blobs: blobs + gone_blobs, bytes: bytes + gone_bytes };
        Ok(())
    }

    /// What there is.
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// Begins what is done together or not at all.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn begin(&self) -> Result<(), StoreError> {
        Ok(self.db.prepare_cached("BEGIN")?.execute([]).map(drop)?)
    }

    /// Makes durable what was done.
    ///
    /// # Errors
    /// If that is not possible; then nothing was done.
    pub fn commit(&self) -> Result<(), StoreError> {
        Ok(self.db.prepare_cached("COMMIT")?.execute([]).map(drop)?)
    }

    /// Writes something that changes nothing; durable with [`commit`](Self::commit).
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn touch(&self) -> Result<(), StoreError> {
        Ok(self.db.pragma_update(None, "user_version", SCHEMA_VERSION)?)
    }

    /// Undoes everything since [`begin`](Self::begin).
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn roll_back(&mut self) -> Result<(), StoreError> {
        if !self.db.is_autocommit() {
            self.db.execute_batch("ROLLBACK")?;
        }
        self.count()
    }

    /// Does what is asked. A fetch deletes, but takes nothing yet.
    ///
    /// # Errors
    /// What the rules refuse, then nothing was changed; or that the file cannot be used.
    pub fn apply(
        &mut self,
        asked: &Asked,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Applied, StoreError> {
        match &asked.what {
            What::Open(open) => self.open_queue(asked, open, now, rng),
            What::Put { hash, blob } => self.put(asked, hash, blob, now),
            What::Fetch { delete, .. } => self.delete(asked, delete, now),
            What::Status => self.status(asked, now),
            What::Close => self.close_queue(asked, now),
        }
    }

    fn once(&mut self, asked: &Asked, now: Timestamp) -> Result<(), StoreError> {
        if self.nonces.first_time(asked.seen, asked.time, now) {
            Ok(())
        } else {
            Err(Code::Replayed.into())
        }
    }

    fn queue(&self, key: &str, signer: &[u8; 32]) -> Result<Queue, StoreError> {
        let sql = format!("SELECT {QUEUE_COLUMNS} FROM queues WHERE {key} = ?1");
        let mut find = self.db.prepare_cached(&sql)?;
        let found = find.query_row([signer.as_slice()], |row| Ok(read_queue(row))).optional()?;
        found.unwrap_or_else(|| Err(Code::UnknownQueue.into()))
    }

    fn save(&self, queue: &Queue) -> Result<(), StoreError> {
        let sql = "UPDATE queues SET days = ?2, blobs_max = ?3, bytes_max = ?4, blobs = ?5,
                   bytes = ?6, next = ?7, marked = ?8, seen_day = ?9 WHERE id = ?1";
        self.db.prepare_cached(sql)?.execute(params![
            queue.id,
            signed(queue.days.count()),
            queue.blobs_max,
            signed(queue.bytes_max),
            signed(queue.blobs),
            signed(queue.bytes),
            signed(queue.next),
            queue.marked,
            signed(queue.seen_day),
        ])?;
        Ok(())
    }

    fn open_queue(
        &mut self,
        asked: &Asked,
        open: &Open,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Applied, StoreError> {
        let sql = "SELECT count(*), coalesce(sum(owner = ?1 AND writer = ?2), 0) FROM queues
                   WHERE owner IN (?1, ?2) OR writer IN (?1, ?2)";
        let keys = params![asked.signer.as_slice(), open.writer.as_slice()];
        let (met, same): (i64, i64) =
            self.db.prepare_cached(sql)?.query_row(keys, |row| Ok((row.get(0)?, row.get(1)?)))?;
        if met != same || asked.signer == open.writer {
            return Err(Code::Taken.into());
        }
        let queue = if same == 0 {
            if self.totals.queues >= self.bounds.queues_max {
                return Err(Code::NoRoom.into());
            }
            self.once(asked, now)?;
            self.totals.queues += 1;
            self.make(asked, open, now, rng)?
        } else {
            self.once(asked, now)?;
            let mut queue = self.queue("owner", &asked.signer)?;
            queue.change(open, &self.bounds, now);
            self.save(&queue)?;
            queue
        };
        let sql = "UPDATE queues SET card = ?2 WHERE id = ?1";
        self.db.prepare_cached(sql)?.execute(params![queue.id, open.card.as_deref()])?;
        Ok(Applied { reply: Reply::Opened(queue.answer_opened()), queue: queue.id, news: false })
    }

    fn make(
        &self,
        asked: &Asked,
        open: &Open,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Queue, StoreError> {
        let mut queue = Queue::opened(open, &self.bounds, now, rng);
        let sql = "SELECT EXISTS (SELECT 1 FROM queues WHERE id = ?1)
                   OR EXISTS (SELECT 1 FROM gone WHERE queue = ?1)";
        while self.db.prepare_cached(sql)?.query_row([queue.id], |row| row.get::<_, bool>(0))? {
            queue.id = i64::from(rng.next_u32() >> 1);
        }
        let sql = "INSERT INTO queues (id, owner, writer, incarnation, days, blobs_max, bytes_max,
                   blobs, bytes, next, marked, seen_day)
                   VALUES (?1, ?2, ?3, ?4, 0, 0, 0, 0, 0, 0, 0, 0)";
        self.db.prepare_cached(sql)?.execute(params![
            queue.id,
            asked.signer.as_slice(),
            open.writer.as_slice(),
            queue.incarnation.as_bytes().as_slice(),
        ])?;
        self.save(&queue)?;
        Ok(queue)
    }

    fn put(
        &mut self,
        asked: &Asked,
        hash: &[u8; 32],
        blob: &[u8],
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let mut queue = self.queue("writer", &asked.signer)?;
        self.once(asked, now)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM blobs WHERE hash = ?1 AND id BETWEEN ?2 AND ?3)";
        let (first, last) = keys(queue.id);
        let already = self
            .db
            .prepare_cached(sql)?
            .query_row(params![hash.as_slice(), first, last], |row| row.get(0))?;
        let stored = Reply::Stored(Stored { incarnation: queue.incarnation });
        let (number, kept, reply) =
            match queue.put(blob.len(), already, self.totals.bytes, &self.bounds) {
                Verdict::Store(number) => (number, Some((hash, blob)), stored),
                Verdict::Mark(number) => (number, None, Reply::Marked),
                Verdict::Refuse(code) => return Err(code.into()),
                Verdict::Already => {
                    return Ok(Applied { reply: stored, queue: queue.id, news: false });
                }
            };
        let (hash, bytes) = kept.unzip();
        let sql = "INSERT INTO blobs (id, end_hour, hash, bytes) VALUES (?1, ?2, ?3, ?4)";
        let end_hour = signed(queue.end_hour(now));
        let hash = hash.map(<[u8; 32]>::as_slice);
        let key = first + signed(number);
        self.db.prepare_cached(sql)?.execute(params![key, end_hour, hash, bytes])?;
        let sql = "INSERT OR IGNORE INTO ends (end_hour, queue) VALUES (?1, ?2)";
        self.db.prepare_cached(sql)?.execute([end_hour, queue.id])?;
        self.save(&queue)?;
        if let Some(bytes) = bytes {
            self.totals.blobs += 1;
            self.totals.bytes += bytes.len() as u64;
        }
        Ok(Applied { reply, queue: queue.id, news: true })
    }

    fn delete(
        &mut self,
        asked: &Asked,
        delete: &[u64],
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let mut queue = self.queue("owner", &asked.signer)?;
        self.once(asked, now)?;
        let today = mailbox::day(now);
        let mut changed = queue.seen_day != today;
        queue.seen_day = today;
        let (first, last) = keys(queue.id);
        for number in delete {
            let key = signed(*number).saturating_add(first);
            if key > last || *number == 0 {
                continue;
            }
            let sql = "DELETE FROM blobs WHERE id = ?1 RETURNING length(bytes)";
            let gone: Option<Option<i64>> =
                self.db.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?;
            if let Some(Some(bytes)) = gone {
                changed = true;
                queue.blobs = queue.blobs.saturating_sub(1);
                queue.bytes = queue.bytes.saturating_sub(unsigned(bytes));
                self.uncount(gone.flatten());
            }
        }
        if changed {
            self.save(&queue)?;
        }
        let fetched = Fetched { incarnation: queue.incarnation, items: vec![], more: false };
        Ok(Applied { reply: Reply::Fetched(fetched), queue: queue.id, news: false })
    }

    fn status(&mut self, asked: &Asked, now: Timestamp) -> Result<Applied, StoreError> {
        let queue = self.queue("writer", &asked.signer)?;
        self.once(asked, now)?;
        let sql = "SELECT card FROM queues WHERE id = ?1";
        let card: Option<Vec<u8>> =
            self.db.prepare_cached(sql)?.query_row([queue.id], |row| row.get(0))?;
        let Queue { incarnation, days, .. } = queue;
        let standing = Standing { incarnation, days, card: card.map(Into::into) };
        Ok(Applied { reply: Reply::Standing(standing), queue: queue.id, news: false })
    }

    fn close_queue(&mut self, asked: &Asked, now: Timestamp) -> Result<Applied, StoreError> {
        let queue = match self.queue("owner", &asked.signer) {
            Err(StoreError::Refused(_)) => self.queue("writer", &asked.signer)?,
            found => found?,
        };
        self.once(asked, now)?;
        self.forget(queue.id)?;
        Ok(Applied { reply: Reply::Done, queue: queue.id, news: true })
    }

    fn forget(&mut self, queue: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO gone SELECT id, blobs, bytes FROM queues WHERE id = ?1";
        self.db.prepare_cached(sql)?.execute([queue])?;
        self.db.prepare_cached("DELETE FROM queues WHERE id = ?1")?.execute([queue])?;
        self.totals.queues = self.totals.queues.saturating_sub(1);
        Ok(())
    }

    /// Deletes at most `blobs_max` blobs that are over, as many of queues that are gone, and gives
    /// up queues whose owner is away for long; whether there may be more.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sweep(&mut self, now: Timestamp, blobs_max: usize) -> Result<bool, StoreError> {
        let limit = signed(blobs_max as u64);
        let over = self.sweep_over(signed(mailbox::hour(now)), limit)?;
        let idle = format!("SELECT id FROM queues WHERE seen_day <= ?1 LIMIT {SWEEP_IDLE_MAX}");
        let idle = self.ids(&idle, signed(mailbox::idle_day(now)))?;
        for queue in &idle {
            self.forget(*queue)?;
        }
        let left = self.sweep_gone(limit)?;
        Ok(over || idle.len() >= SWEEP_IDLE_MAX || left)
    }

    /// Deletes blobs that are over, queue by queue. Days of a queue may have changed, so that what
    /// ends first need not stand first: all of it is looked at.
    fn sweep_over(&mut self, hour: i64, mut limit: i64) -> Result<bool, StoreError> {
        while limit > 0 {
            let sql = "SELECT end_hour, queue FROM ends WHERE end_hour <= ?1
                       ORDER BY end_hour, queue LIMIT 1";
            let pair = |row: &Row<'_>| Ok([row.get(0)?, row.get(1)?]);
            let found = self.db.prepare_cached(sql)?.query_row([hour], pair).optional()?;
            let Some([ends, queue]) = found else { return Ok(false) };
            let (first, last) = keys(queue);
            let sql = "DELETE FROM blobs WHERE id IN
                       (SELECT id FROM blobs WHERE id BETWEEN ?1 AND ?2 AND end_hour <= ?3 LIMIT ?4)
                       RETURNING id, length(bytes)";
            let over = self.removed(sql, &[first, last, hour, limit])?;
            let left = self.uncount_in(queue, &over)?;
            limit -= signed(over.len() as u64);
            if limit > 0 {
                let sql = "DELETE FROM ends WHERE end_hour = ?1 AND queue = ?2";
                self.db.prepare_cached(sql)?.execute([ends, queue])?;
                limit -= 1 + left / SWEEP_LOOKED_AT;
            }
        }
        Ok(true)
    }

    /// Counts what was removed from a queue; how many blobs are left in it.
    fn uncount_in(&self, queue: i64, removed: &[(i64, Option<i64>)]) -> Result<i64, StoreError> {
        let bytes: i64 = removed.iter().filter_map(|(_, bytes)| *bytes).sum();
        let blobs = removed.iter().filter(|(_, bytes)| bytes.is_some()).count() as u64;
        let mut left = 0;
        for (table, key) in [("queues", "id"), ("gone", "queue")] {
            let sql = format!(
                "UPDATE {table} SET blobs = blobs - ?2, bytes = bytes - ?3 WHERE {key} = ?1
                 RETURNING blobs"
            );
            let mut update = self.db.prepare_cached(&sql)?;
            let found = update.query_row([queue, signed(blobs), bytes], |row| row.get(0));
            left += found.optional()?.unwrap_or(0);
        }
        Ok(left)
    }

    fn sweep_gone(&mut self, limit: i64) -> Result<bool, StoreError> {
        let Some(queue) = self.ids("SELECT queue FROM gone WHERE queue >= ?1 LIMIT 1", 0)?.pop()
        else {
            return Ok(false);
        };
        let (first, last) = keys(queue);
        let sql = "DELETE FROM blobs WHERE id IN
                   (SELECT id FROM blobs WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)
                   RETURNING id, length(bytes)";
        let removed = self.removed(sql, &[first, last, limit])?;
        if signed(removed.len() as u64) < limit {
            self.db.prepare_cached("DELETE FROM gone WHERE queue = ?1")?.execute([queue])?;
        } else {
            self.uncount_in(queue, &removed)?;
        }
        Ok(true)
    }

    fn removed(&mut self, sql: &str, with: &[i64]) -> Result<Vec<(i64, Option<i64>)>, StoreError> {
        let removed = {
            let mut delete = self.db.prepare_cached(sql)?;
            let rows = delete.query_map(rusqlite::params_from_iter(with), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect::<Result<Vec<(i64, Option<i64>)>, _>>()?
        };
        for (_, bytes) in &removed {
            self.uncount(*bytes);
        }
        Ok(removed)
    }

    fn uncount(&mut self, bytes: Option<i64>) {
        if let Some(bytes) = bytes {
            self.totals.blobs = self.totals.blobs.saturating_sub(1);
            self.totals.bytes = self.totals.bytes.saturating_sub(unsigned(bytes));
        }
    }

    fn ids(&self, sql: &str, argument: i64) -> Result<Vec<i64>, StoreError> {
        let mut find = self.db.prepare_cached(sql)?;
        Ok(find.query_map([argument], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }
}

/// Answers a request as the server does, all at once and without waiting for anything.
///
/// # Errors
/// The refusal that a client gets.
pub fn answer(
    tables: &mut Tables,
    audience: &str,
    now: Timestamp,
    operation: Operation,
    body: &Bytes,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, Failure> {
    let asked = Asked::read(operation, body, |named| named == audience, now)?;
    match together(tables, &asked, now, rng) {
        Ok(reply) => reply.answer(),
        Err(error) => {
            let _ = tables.roll_back();
            Err(error.failure())
        }
    }
}

fn together(
    tables: &mut Tables,
    asked: &Asked,
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<Reply, StoreError> {
    tables.begin()?;
    let Applied { reply, queue, .. } = tables.apply(asked, now, rng)?;
    tables.commit()?;
    match reply {
        Reply::Fetched(of) => items(&tables.db, queue, of).map(Reply::Fetched),
        reply => Ok(reply),
    }
}

/// The oldest items of a queue.
pub(super) fn items(db: &Connection, queue: i64, of: Fetched) -> Result<Fetched, StoreError> {
    let sql = "SELECT id, length(bytes), bytes FROM blobs WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
    let (first, last) = keys(queue);
    let mut find = db.prepare_cached(sql)?;
    let mut rows = find.query([first, last])?;
    let mut fetched = Fetched { items: Vec::new(), more: false, ..of };
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        bytes += row.get::<_, Option<i64>>(1)?.map_or(0, unsigned);
        let some = !fetched.items.is_empty();
        if some && (fetched.items.len() >= FETCH_ITEMS_MAX || bytes > FETCH_BLOB_BYTES_MAX as u64) {
            fetched.more = true;
            break;
        }
        let number = unsigned(row.get::<_, i64>(0)? - first);
        let blob = row.get_ref(2)?.as_blob_or_null().map_err(|_| StoreError::Stored("blob"))?;
        fetched.items.push(Item { number, blob: blob.map(Into::into) });
    }
    Ok(fetched)
}

/// The first key of a queue, of no blob, and its last.
const fn keys(queue: i64) -> (i64, i64) {
    (queue << 32, queue << 32 | 0xffff_ffff)
}

fn read_queue(row: &Row<'_>) -> Result<Queue, StoreError> {
    let days = Days::of_count(unsigned(row.get(2)?)).ok_or(StoreError::Stored("days"))?;
    Ok(Queue {
        id: row.get(0)?,
        incarnation: Incarnation::from_bytes(row.get(1)?),
        days,
        blobs_max: row.get(3)?,
        bytes_max: unsigned(row.get(4)?),
        blobs: unsigned(row.get(5)?),
        bytes: unsigned(row.get(6)?),
        next: unsigned(row.get(7)?),
        marked: row.get(8)?,
        seen_day: unsigned(row.get(9)?),
    })
}

/// SQLite's integers have a sign; nothing here reaches 2^63.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
