//! Where can this device be written to? Its own queues, one for each contact and server (spec 20).

use std::collections::BTreeMap;

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    ids::{AccountId, LogId},
    keys::SigningKey,
    limits::{ACCESS_BYTES_MAX, URL_BYTES_MAX},
    mail::{MailboxUrl, QueueAddress, QueueSeed},
    service::mailbox::{Days, Incarnation},
    time::{Timestamp, Uptime},
};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::{
    limits::{MAIL_RETRY_MS_MAX, MAIL_RETRY_MS_MIN},
    store::{RecordKind, Store, StoreError},
};

/// Who may write into a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QueueFor {
    /// Those who share a log with us: a contact's devices, or our own.
    Log(LogId),
    /// Whoever has our link and wants to become a contact.
    Knock,
    /// Whoever has a code of ours for a new device, and the one that it brought in.
    Code {
        /// When it is given up.
        until: Timestamp,
    },
    /// The device that has taken this one in, until this one can be written to elsewhere.
    Reply {
        /// The account to which that one belongs.
        account: AccountId,
        /// When it is given up.
        until: Timestamp,
    },
}

impl QueueFor {
    /// When it is given up, if that is known.
    pub(crate) const fn until(self) -> Option<Timestamp> {
        match self {
            Self::Log(_) | Self::Knock => None,
            Self::Code { until } | Self::Reply { until, .. } => Some(until),
        }
    }
}

/// A queue of ours.
#[derive(Debug)]
pub(crate) struct OwnQueue {
    pub(crate) owner: SigningKey,
    pub(crate) address: QueueAddress,
    pub(crate) serves: QueueFor,
    /// The word that the server wants, if it is none of the person's choice.
    pub(crate) access: String,
    /// What the server called it last; `None`: it is not open yet.
    pub(crate) incarnation: Option<Incarnation>,
    /// It is to be given up.
    pub(crate) closing: bool,
    /// Until when it is looked into all the same: whoever may write has not learned of it yet.
    pub(crate) kept_until: Timestamp,
    /// Whether the server has it, as far as this run knows, with the card that counts now.
    pub(crate) is_open: bool,
    /// It is left alone: nobody wants to hear what lies there, and may want to again.
    pub(crate) is_quiet: bool,
    /// Whether nothing lay there when it was looked into last.
    pub(crate) is_empty: bool,
    /// Whether it was found empty since it was opened.
    pub(crate) is_seen: bool,
    /// When a marker is answered again.
    pub(crate) marker_at: Uptime,
    /// How many devices that may write into it were out when it was made.
    pub(crate) outs: u64,
    /// Whether a look is under way.
    pub(crate) looking: bool,
    /// Whether another request is under way.
    pub(crate) asking: bool,
    /// `None`: when what is under way has ended.
    next_at: Option<Uptime>,
    wait_ms: u64,
    /// Numbers of what is stored here and can be deleted there, ascending.
    pub(crate) taken: Vec<u64>,
}

impl OwnQueue {
    pub(crate) fn new(
        serves: QueueFor,
        (url, days): (MailboxUrl, Days),
        at: Uptime,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let address = QueueAddress { url, seed: QueueSeed::random(rng), days };
        let owner = SigningKey::random(rng);
        Self { next_at: Some(at), ..Self::kept(owner, address, serves) }
    }

    pub(crate) fn kept(owner: SigningKey, address: QueueAddress, serves: QueueFor) -> Self {
        Self {
            owner,
            address,
            serves,
            access: String::new(),
            incarnation: None,
            closing: false,
            kept_until: Timestamp::from_millis(0),
            is_open: false,
            is_quiet: false,
            is_empty: false,
            is_seen: false,
            marker_at: Uptime::from_millis(0),
            outs: 0,
            looking: false,
            asking: false,
            next_at: Some(Uptime::from_millis(0)),
            wait_ms: MAIL_RETRY_MS_MIN,
            taken: Vec::new(),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Uptime> {
        self.next_at.filter(|_| !self.is_quiet)
    }

    /// What is next waits for an answer.
    pub(crate) const fn wait(&mut self) {
        self.next_at = None;
    }

    /// It is to be seen at a moment what is next.
    pub(crate) const fn stir(&mut self, uptime: Uptime) {
        self.next_at = Some(uptime);
    }

    /// It went well: the next request may follow.
    pub(crate) const fn go_on(&mut self, uptime: Uptime) {
        self.stir(uptime);
        self.wait_ms = MAIL_RETRY_MS_MIN;
    }

    /// It did not go well: the next request waits, ever longer, with a quarter of jitter.
    pub(crate) fn back_off(&mut self, uptime: Uptime, rng: &mut dyn CryptoRng) {
        self.stir(uptime.plus_millis(jittered(self.wait_ms, rng)));
        self.wait_ms = self.wait_ms.saturating_mul(2).min(MAIL_RETRY_MS_MAX);
    }

    /// The server does not have it as it should be.
    pub(crate) const fn reopen(&mut self) {
        self.is_open = false;
    }

    /// Somebody else has its keys: it gets others, and is another queue from now on.
    pub(crate) fn rekey(
        &mut self,
        rng: &mut dyn CryptoRng,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        self.forget(store)?;
        self.owner = SigningKey::random(rng);
        self.address.seed = QueueSeed::random(rng);
        self.incarnation = None;
        self.taken.clear();
        self.reopen();
        self.save(store)
    }

    pub(crate) fn save(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let mut writer = Writer::new();
        writer.array(11).uint(1);
        self.owner.expose_seed(|seed| {
            writer.bytes(seed);
        });
        writer.text(self.address.url.as_str());
        self.address.seed.expose(|seed| {
            writer.bytes(seed);
        });
        writer.uint(self.address.days.count());
        match self.serves {
            QueueFor::Knock => writer.array(0),
            QueueFor::Log(log) => writer.array(1).bytes(log.as_bytes()),
            QueueFor::Code { until } => writer.array(2).uint(until.millis()).array(0),
            QueueFor::Reply { account, until } => {
                writer.array(2).uint(until.millis()).array(1).bytes(account.as_bytes())
            }
        };
        match &self.incarnation {
            Some(incarnation) => writer.array(1).bytes(incarnation.as_bytes()),
            None => writer.array(0),
        };
        writer.bool(self.closing).uint(self.kept_until.millis()).text(&self.access).uint(self.outs);
        let mut value = writer.finish();
        let put = store.put_record(RecordKind::Queue, self.owner.public(), &value);
        value.zeroize();
        put
    }

    pub(crate) fn forget(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        store.remove_record(RecordKind::Queue, self.owner.public())?;
        // What opens letters that somebody may have recorded must not be found on the disk.
        store.erase_soon();
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.tuple("queue", 11)?;
            reader.uint_max("version", 1)?;
            let mut seed: [u8; 32] = reader.fixed("owner")?;
            let owner = SigningKey::from_seed(&seed);
            seed.zeroize();
            let url = MailboxUrl::parse(reader.text("url", URL_BYTES_MAX)?)
                .map_err(|_| DecodeError::Value("url"))?;
            let seed = QueueSeed::from_bytes(reader.fixed("seed")?);
            let days = Days::of_count(reader.uint()?).ok_or(DecodeError::Value("days"))?;
            let serves = match reader.array("whom", 2)? {
                0 => QueueFor::Knock,
                1 => QueueFor::Log(LogId::from_bytes(reader.fixed("log")?)),
                _ => {
                    let until = Timestamp::from_millis(reader.uint()?);
                    match reader.array("account", 1)? {
                        0 => QueueFor::Code { until },
                        _ => {
                            let account = AccountId::from_bytes(reader.fixed("account")?);
                            QueueFor::Reply { account, until }
                        }
                    }
                }
            };
            let incarnation = match reader.array("incarnation", 1)? {
                0 => None,
                _ => Some(Incarnation::from_bytes(reader.fixed("incarnation")?)),
            };
            let closing = reader.bool()?;
            let kept_until = Timestamp::from_millis(reader.uint()?);
            let access = reader.text("access word", ACCESS_BYTES_MAX)?.to_owned();
            let outs = reader.uint()?;
            let address = QueueAddress { url, seed, days };
            let kept = Self::kept(owner, address, serves);
            Ok(Self { incarnation, closing, kept_until, access, outs, ..kept })
        })
    }
}

/// A wait with a quarter of jitter.
pub(crate) fn jittered(wait_ms: u64, rng: &mut dyn CryptoRng) -> u64 {
    wait_ms + u64::from(rng.next_u32()) % (wait_ms / 4).max(1)
}

pub(super) fn load(store: &dyn Store) -> Result<BTreeMap<[u8; 32], OwnQueue>, StoreError> {
    let mut queues = BTreeMap::new();
    for (_, value) in store.records(RecordKind::Queue)? {
        let queue = OwnQueue::decode(&value)
            .map_err(|error| StoreError::new("Reading a queue of ours", error))?;
        queues.insert(*queue.owner.public(), queue);
    }
    Ok(queues)
}
