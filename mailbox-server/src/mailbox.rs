//! What may be done with a queue? The rules of spec 20 as values in, values out.

use bytes::Bytes;
use kith_common::{
    crypto,
    envelope::Verified,
    limits::SEQ_MAX,
    service::{
        self, Code, Failure, Request,
        mailbox::{
            Close, Days, Done, Fetch, Fetched, Incarnation, Open, Opened, Operation, Put, PutBody,
            SizeClass, Standing, Status, Stored,
        },
    },
    time::Timestamp,
};
use kith_server::nonces;
use rand_core::CryptoRng;

use crate::limits::{IDLE_DAYS_MAX, NUMBERS_END};

const HOUR_MS: u64 = 3_600_000;
const DAY_HOURS: u64 = 24;

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Queues in all.
    pub queues_max: u64,
    /// Bytes of blobs in all.
    pub bytes_max: u64,
    /// Blobs in one queue.
    pub queue_blobs_max: u16,
    /// Bytes in one queue.
    pub queue_bytes_max: u64,
}

/// What there is in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Queues.
    pub queues: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of blobs.
    pub bytes: u64,
}

/// A request whose form, audience, time and signature are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who signed it.
    pub signer: [u8; 32],
    /// Names the request, so that it counts once.
    pub seen: u64,
    /// When it was signed.
    pub time: Timestamp,
    /// What is asked.
    pub what: What,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Make or change the signer's queue.
    Open(Box<Open>),
    /// Leave a blob.
    Put {
        /// Its hash.
        hash: [u8; 32],
        /// Its bytes, of a class.
        blob: Bytes,
    },
    /// Delete and take.
    Fetch {
        /// Numbers to delete.
        delete: Vec<u64>,
        /// Milliseconds to wait.
        wait_ms: u64,
    },
    /// Look.
    Status,
    /// Delete the queue.
    Close,
}

impl Asked {
    /// Reads a request and checks all that can be seen without the store.
    ///
    /// # Errors
    /// As [`service::believed`]; `bad-class`, `access`.
    pub fn read(
        operation: Operation,
        body: &Bytes,
        is_audience: impl FnOnce(&str) -> bool,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        match operation {
            Operation::Open => {
                let open = service::believed::<Open>(body, is_audience, now)?;
                Ok(Self::of(&open, What::Open(Box::new(open.value().clone()))))
            }
            Operation::Put => Self::read_put(body, is_audience, now),
            Operation::Fetch => {
                let fetch = service::believed::<Fetch>(body, is_audience, now)?;
                let delete = fetch.value().delete.clone();
                Ok(Self::of(&fetch, What::Fetch { delete, wait_ms: fetch.value().wait_ms }))
            }
            Operation::Status => {
                let status = service::believed::<Status>(body, is_audience, now)?;
                Ok(Self::of(&status, What::Status))
            }
            Operation::Close => {
                let close = service::believed::<Close>(body, is_audience, now)?;
                Ok(Self::of(&close, What::Close))
            }
        }
    }

    fn read_put(
        body: &Bytes,
        is_audience: impl FnOnce(&str) -> bool,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let read = PutBody::decode(body).map_err(|_| Code::Malformed)?;
        SizeClass::of_blob(read.blob.len()).ok_or(Code::BadClass)?;
        let put = service::believed::<Put>(read.put, is_audience, now)?;
        let hash = put.value().hash;
        if crypto::hash_plain(read.blob) != hash {
            return Err(Code::Malformed.into());
        }
        Ok(Self::of(&put, What::Put { hash, blob: body.slice_ref(read.blob) }))
    }

    fn of<T: Request>(request: &Verified<T>, what: What) -> Self {
        let stamp = request.value().stamp();
        let signer = *request.signer();
        Self { signer, seen: nonces::name(&signer, stamp), time: stamp.time, what }
    }

    /// Which request it is.
    pub const fn operation(&self) -> Operation {
        match self.what {
            What::Open(_) => Operation::Open,
            What::Put { .. } => Operation::Put,
            What::Fetch { .. } => Operation::Fetch,
            What::Status => Operation::Status,
            What::Close => Operation::Close,
        }
    }

    /// Bytes of the blob that it brings.
    pub fn blob_bytes(&self) -> usize {
        if let What::Put { blob, .. } = &self.what { blob.len() } else { 0 }
    }

    /// Whether it says the access word, if one is wanted.
    ///
    /// # Errors
    /// `access`.
    pub fn may_open(&self, access: Option<&str>) -> Result<(), Failure> {
        let (What::Open(open), Some(word)) = (&self.what, access) else { return Ok(()) };
        let said = open.access.as_deref().unwrap_or_default();
        if crypto::equal(said.as_bytes(), word.as_bytes()) {
            Ok(())
        } else {
            Err(Code::Access.into())
        }
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To an open.
    Opened(Opened),
    /// To a put.
    Stored(Stored),
    /// To a fetch.
    Fetched(Fetched),
    /// To a status.
    Standing(Standing),
    /// To a close.
    Done,
    /// To a put for which there was no room: it is refused, but the mark that it left is kept.
    Marked,
}

impl Reply {
    /// The bytes of the answer.
    ///
    /// # Errors
    /// `full` if only a mark was left.
    pub fn answer(&self) -> Result<Vec<u8>, Failure> {
        Ok(match self {
            Self::Opened(opened) => opened.encode(),
            Self::Stored(stored) => stored.encode(),
            Self::Fetched(fetched) => fetched.encode(),
            Self::Standing(standing) => standing.encode(),
            Self::Done => Done.encode(),
            Self::Marked => return Err(Code::Full.into()),
        })
    }
}

/// A queue as it is stored, without what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Internal and random, below 2^31.
    pub id: i64,
    /// Which life it is.
    pub incarnation: Incarnation,
    /// How long blobs are kept.
    pub days: Days,
    /// Blobs at most.
    pub blobs_max: u16,
    /// Bytes at most.
    pub bytes_max: u64,
    /// Blobs that are there, without marks.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Number of the next item.
    pub next: u64,
    /// Whether a mark was left since there was room.
    pub marked: bool,
    /// Day on which the owner last came.
    pub seen_day: u64,
}

/// What a put comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Store it with this number.
    Store(u64),
    /// It is there.
    Already,
    /// Refuse it, and leave a mark with this number.
    Mark(u64),
    /// Refuse it.
    Refuse(Code),
}

impl Queue {
    /// A new queue of somebody who opens one.
    pub fn opened(open: &Open, bounds: &Bounds, now: Timestamp, rng: &mut dyn CryptoRng) -> Self {
        let mut incarnation = [0; 16];
        rng.fill_bytes(&mut incarnation);
        let mut queue = Self {
            id: i64::from(rng.next_u32() >> 1),
            incarnation: Incarnation::from_bytes(incarnation),
            days: open.days,
            blobs_max: 1,
            bytes_max: 0,
            blobs: 0,
            bytes: 0,
            next: 1,
            marked: false,
            seen_day: day(now),
        };
        queue.change(open, bounds, now);
        queue
    }

    /// Takes over what an open says, as far as it is granted.
    pub fn change(&mut self, open: &Open, bounds: &Bounds, now: Timestamp) {
        self.days = open.days;
        self.blobs_max = open.blobs_max.min(bounds.queue_blobs_max);
        self.bytes_max = open.bytes_max.min(bounds.queue_bytes_max).min(SEQ_MAX);
        self.seen_day = day(now);
    }

    /// Decides about a blob (R6, R7) and counts it.
    pub fn put(
        &mut self,
        bytes: usize,
        already: bool,
        bytes_in_all: u64,
        bounds: &Bounds,
    ) -> Verdict {
        let bytes = bytes as u64;
        if already {
            return Verdict::Already;
        }
        if self.next >= NUMBERS_END {
            return Verdict::Refuse(Code::Full);
        }
        if self.blobs >= u64::from(self.blobs_max) || self.bytes + bytes > self.bytes_max {
            if self.marked {
                return Verdict::Refuse(Code::Full);
            }
            self.marked = true;
            return Verdict::Mark(self.number());
        }
        if bytes_in_all + bytes > bounds.bytes_max {
            return Verdict::Refuse(Code::NoRoom);
        }
        self.marked = false;
        self.blobs += 1;
        self.bytes += bytes;
        Verdict::Store(self.number())
    }

    const fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// What is answered to an open.
    pub const fn answer_opened(&self) -> Opened {
        let Self { incarnation, blobs_max, bytes_max, .. } = *self;
        Opened { incarnation, blobs_max, bytes_max }
    }

    /// The hour in which a blob ends that comes now.
    pub const fn end_hour(&self, now: Timestamp) -> u64 {
        hour(now) + self.days.count() * DAY_HOURS + 1
    }
}

/// The hour of a time; blobs that end in it or before are over.
pub const fn hour(time: Timestamp) -> u64 {
    time.millis() / HOUR_MS
}

/// The day of a time.
pub const fn day(time: Timestamp) -> u64 {
    hour(time) / DAY_HOURS
}

/// The last day on which an owner may have come whose queue goes now (R9).
pub const fn idle_day(now: Timestamp) -> u64 {
    day(now).saturating_sub(IDLE_DAYS_MAX + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { queues_max: 1, bytes_max: 10_000, queue_blobs_max: 2, queue_bytes_max: 9000 };

    fn queue() -> Queue {
        Queue {
            id: 1,
            incarnation: Incarnation::from_bytes([1; 16]),
            days: Days::One,
            blobs_max: 2,
            bytes_max: 9000,
            blobs: 0,
            bytes: 0,
            next: 1,
            marked: false,
            seen_day: 0,
        }
    }

    #[test]
    fn a_full_queue_is_marked_once_until_there_was_room() {
        let mut queue = queue();
        let put = |queue: &mut Queue, bytes| queue.put(bytes, false, 0, &BOUNDS);
        assert_eq!(put(&mut queue, 4096), Verdict::Store(1));
        assert_eq!(put(&mut queue, 16_384), Verdict::Mark(2));
        assert_eq!(put(&mut queue, 16_384), Verdict::Refuse(Code::Full));
        assert_eq!(put(&mut queue, 4096), Verdict::Store(3));
        assert_eq!(put(&mut queue, 4096), Verdict::Mark(4));
        assert_eq!((queue.blobs, queue.bytes), (2, 8192));
        assert_eq!(queue.put(4096, true, 0, &BOUNDS), Verdict::Already);
    }

    #[test]
    fn a_full_server_takes_nothing_and_leaves_no_mark() {
        let (mut queue, before) = (queue(), queue());
        assert_eq!(queue.put(4096, false, 9000, &BOUNDS), Verdict::Refuse(Code::NoRoom));
        assert_eq!(queue, before);
    }

    #[test]
    fn numbers_end_before_keys_run_together() {
        let mut queue = Queue { next: NUMBERS_END - 1, ..queue() };
        assert_eq!(queue.put(4096, false, 0, &BOUNDS), Verdict::Store(NUMBERS_END - 1));
        assert_eq!(queue.put(4096, false, 0, &BOUNDS), Verdict::Refuse(Code::Full));
    }

    #[test]
    fn blobs_end_after_their_days_and_queues_after_thirty() {
        let now = Timestamp::from_millis(100 * DAY_HOURS * HOUR_MS + HOUR_MS - 1);
        let ends = Timestamp::from_millis(queue().end_hour(now) * HOUR_MS);
        assert!(ends.millis() - now.millis() >= DAY_HOURS * HOUR_MS, "never too early");
        assert!(ends.millis() - now.millis() <= (DAY_HOURS + 1) * HOUR_MS);
        assert_eq!(idle_day(now), 69, "who came on day 70 is thirty days away");
    }
}
