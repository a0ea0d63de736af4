//! How are devices reached that are not there? What the node keeps for the mailbox lane (spec 09).
//!
//! ```text
//!   places   where others can be written to, by their own word
//!   queues   where this device can be written to
//!   lanes    for each other device: sessions, and how far what was put for it goes
//!   errands  requests to mailbox-servers that are under way
//! ```

mod errand;
mod lane;
mod packages;
mod places;
mod queue;

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    ids::{DeviceId, LogId},
    mail::{MailboxUrl, QueueSeed, blob_room},
    service::{Stamp, mailbox::SizeClass},
    time::{Timestamp, Uptime},
};
use rand_core::CryptoRng;

pub use self::errand::{Errand, ErrandError, ErrandId};
pub(crate) use self::{
    errand::{Posting, Purpose, read_reply},
    lane::{Lane, Outbox, Posted, StoredGroup},
    packages::Packages,
    places::{Places, joined, split},
    queue::{OwnQueue, QueueFor, jittered},
};
use crate::{
    limits::PURGE_WAIT_MS,
    store::{Store, StoreError},
};

/// Seals content for a queue, in the smallest class that holds it; `None` if none does.
pub(crate) fn blob_of(
    seed: &QueueSeed,
    content: &[u8],
    rng: &mut dyn CryptoRng,
) -> Option<Box<[u8]>> {
    let class = SizeClass::ALL.into_iter().find(|class| blob_room(class.bytes()) >= content.len());
    seed.seal_blob(content, class?.bytes(), rng).ok().map(Into::into)
}

/// What a request begins with. Of the time only the minute is said: what a clock shows beyond it would
/// tell which queues are one device's.
pub(crate) fn stamp(url: &MailboxUrl, now_ms: u64, rng: &mut dyn CryptoRng) -> Stamp {
    let mut nonce = [0; 16];
    rng.fill_bytes(&mut nonce);
    let time = Timestamp::from_millis(now_ms - now_ms % MINUTE_MS);
    Stamp { audience: url.audience().to_owned(), time, nonce }
}

const MINUTE_MS: u64 = 60_000;

/// Everything the node keeps for the mailbox lane.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) places: Places,
    /// Our queues, by the public half of the owner's key.
    pub(crate) queues: BTreeMap<[u8; 32], OwnQueue>,
    pub(crate) lanes: BTreeMap<DeviceId, Lane>,
    pub(crate) packages: Packages,
    /// What the requests under way are for.
    errands: BTreeMap<ErrandId, Purpose>,
    last_errand: u64,
    /// By how many milliseconds the clocks of servers are ahead of ours.
    clocks: BTreeMap<MailboxUrl, i64>,
    /// What went wrong last at each server of ours.
    pub(crate) troubles: BTreeMap<MailboxUrl, String>,
    /// When keys are looked for next that have served long enough.
    pub(crate) purge_at: Option<Uptime>,
    /// Whether keys have been looked for in this run.
    pub(crate) is_purged: bool,
    /// Whether queues have been seen to in this run.
    pub(crate) is_arranged: bool,
    /// Whom we know, or which mailboxes we use, has changed.
    pub(crate) rearrange: bool,
    /// Devices that may have to be written to.
    pub(crate) stirred: BTreeSet<DeviceId>,
    /// Devices of ours that are out and whose queues we have given up in this run.
    pub(crate) shut_out: BTreeSet<DeviceId>,
    /// Devices whose last link has ended.
    pub(crate) left: BTreeSet<DeviceId>,
    /// Logs of which something has come in or was written.
    pub(crate) stirred_logs: BTreeSet<LogId>,
}

impl Mail {
    pub(crate) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut mail = Self {
            places: Places::load(store)?,
            queues: queue::load(store)?,
            lanes: lane::load(store)?,
            packages: Packages::load(store)?,
            ..Self::default()
        };
        mail.rearrange = true;
        mail.purge_at = mail.has_keys().then(|| Uptime::from_millis(PURGE_WAIT_MS));
        mail.stirred.extend(mail.lanes.keys().copied());
        Ok(mail)
    }

    /// Whether there is anything that has to go some day.
    pub(crate) fn has_keys(&self) -> bool {
        !self.packages.is_empty() || self.lanes.values().any(|lane| !lane.groups.is_empty())
    }

    /// Takes note of what a request is for.
    pub(crate) fn begin(&mut self, purpose: Purpose) -> ErrandId {
        self.last_errand += 1;
        let id = ErrandId(self.last_errand);
        self.errands.insert(id, purpose);
        id
    }

    /// What an answered request was for.
    pub(crate) fn end(&mut self, id: ErrandId) -> Option<Purpose> {
        self.errands.remove(&id)
    }

    /// What a request to a server begins with.
    pub(crate) fn stamp(&self, url: &MailboxUrl, now: Timestamp, rng: &mut dyn CryptoRng) -> Stamp {
        let ahead = self.clocks.get(url).copied().unwrap_or(0);
        stamp(url, now.millis().saturating_add_signed(ahead), rng)
    }

    /// A server has said what time it is there.
    pub(crate) fn set_clock(&mut self, url: &MailboxUrl, theirs_ms: u64, now: Timestamp) {
        let ahead = i128::from(theirs_ms) - i128::from(now.millis());
        self.clocks.insert(url.clone(), i64::try_from(ahead).unwrap_or(0));
    }

    /// A device has said that it has got further: what was full has room again.
    pub(crate) fn moved_on(&mut self, device: DeviceId, uptime: Uptime) {
        // It may be the last that had to know that a queue is given up.
        for queue in self.queues.values_mut().filter(|queue| queue.closing) {
            queue.stir(uptime);
        }
        if let Some(lane) = self.lanes.get_mut(&device) {
            lane.hear();
            self.stirred.insert(device);
        }
    }

    /// When something is to be done, and what.
    pub(crate) fn deadline(&self) -> Option<(Uptime, &'static str)> {
        let queues = self.queues.values().filter_map(|queue| queue.deadline());
        let lanes = self.lanes.values().filter_map(|lane| lane.deadline());
        let queues = queues.map(|at| (at, "mailbox to look into"));
        let purge = self.purge_at.map(|at| (at, "keys that have served"));
        queues.chain(lanes.map(|at| (at, "letter to write"))).chain(purge).min()
    }
}
