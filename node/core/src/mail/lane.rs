//! How far has this node got with one other device that is not there? (spec 09)

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    entry::Mark,
    ids::{AccountId, DeviceId, EntryId, LogId},
    limits::{
        FRONTIER_MARKS_MAX, GROUP_ID_BYTES_MAX, MAILBOXES_MAX, PACKAGE_BYTES_MAX, WELCOME_BYTES_MAX,
    },
    mail::QueueAddress,
    service::mailbox::Incarnation,
    time::{Timestamp, Uptime},
};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::{
    places::{joined, split},
    queue::jittered,
};
use crate::{
    limits::{
        GROUP_KEPT_MS, GROUP_STATE_BYTES_MAX, GROUPS_READ_MAX, MAIL_MISSES_MAX, MAIL_PROBE_MS_MAX,
        MAIL_PROBE_MS_MIN, MAIL_RETRY_MS_MAX, MAIL_RETRY_MS_MIN, MAIL_SPREAD_MS, STOCK_MAX,
    },
    store::{RecordKind, Store, StoreError},
};

/// A group as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredGroup {
    pub(crate) id: Box<[u8]>,
    /// Its state, as the library wrote it.
    pub(crate) state: Zeroizing<Vec<u8>>,
    /// Since when it is there.
    pub(crate) since: Timestamp,
}

/// The group in which this device writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outbox {
    pub(crate) group: StoredGroup,
    /// What opens the group: goes with every letter until the other has joined.
    pub(crate) welcome: Box<[u8]>,
    pub(crate) joined: bool,
}

/// What was put for a device of one log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Posted {
    /// The last entry of each history.
    pub(crate) marks: Vec<Mark>,
    /// Hash of how far we said to be.
    pub(crate) frontier: Option<[u8; 32]>,
}

impl Posted {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(3).uint(1).array(self.marks.len());
        for mark in &self.marks {
            writer.array(3).bytes(mark.device.as_bytes());
            writer.uint(mark.seq).bytes(mark.id.as_bytes());
        }
        optional(&mut writer, self.frontier.as_ref());
        writer.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.tuple("posted", 3)?;
            reader.uint_max("version", 1)?;
            let marks = reader.list("marks", FRONTIER_MARKS_MAX, |r| {
                r.tuple("mark", 3)?;
                let device = DeviceId::from_bytes(r.fixed("device")?);
                Ok(Mark { device, seq: r.uint()?, id: EntryId::from_bytes(r.fixed("entry")?) })
            })?;
            Ok(Self { marks, frontier: read_optional(reader)? })
        })
    }
}

/// What is kept about one other device.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Whose device it is, as far as we know.
    pub(crate) account: AccountId,
    pub(crate) outbox: Option<Outbox>,
    /// Packages of the other that were not used, the oldest first.
    pub(crate) stock: Vec<Box<[u8]>>,
    /// Groups in which the other writes, the newest last.
    pub(crate) groups: Vec<StoredGroup>,
    /// Names what we said last to prove our own accounts.
    pub(crate) told: Option<EntryId>,
    /// What the other has heard of it, by its own word.
    pub(crate) they_heard: Option<EntryId>,
    /// What the other told last of its accounts.
    pub(crate) heard: Option<EntryId>,
    /// Whether that is to be answered.
    pub(crate) owes_answer: bool,
    /// Whether we have asked it to become a contact.
    pub(crate) asked: bool,
    /// Since when something lies in its mailbox that it has not answered.
    pub(crate) waits_since: Option<Timestamp>,
    /// What its queues were called when something was put there, by the writer's key.
    seen: BTreeMap<[u8; 32], Incarnation>,
    pub(crate) posted: BTreeMap<LogId, Posted>,

    // Of this run only:
    /// How often everything was begun anew: what was put before counts no more.
    pub(crate) round: u64,
    /// Its last-resort package, as its queue has it.
    pub(crate) card: Option<Box<[u8]>>,
    /// Queues in which something lies that was not answered, by the writer's key, and how often each
    /// did not answer.
    lies: BTreeMap<[u8; 32], u32>,
    /// How many of them were looked after since they were all.
    probed: usize,
    /// Packages that were made for it and have not left.
    pub(crate) packages: Vec<Box<[u8]>>,
    /// Which of its queues is tried first.
    pub(crate) at: usize,
    pub(crate) busy: bool,
    /// Its queues that were full, by the writer's key: nothing is put there before something has
    /// arrived.
    pub(crate) full: BTreeSet<[u8; 32]>,
    /// What it asked for, to go with the next letter.
    pub(crate) extra: Vec<Box<[u8]>>,
    /// When its queue had no card that serves.
    no_card_since: Option<Uptime>,
    probe_at: Option<Uptime>,
    probe_ms: u64,
    next_at: Option<Uptime>,
    wait_ms: u64,
}

impl Lane {
    pub(crate) const fn new(account: AccountId) -> Self {
        Self {
            account,
            outbox: None,
            stock: Vec::new(),
            groups: Vec::new(),
            told: None,
            they_heard: None,
            heard: None,
            owes_answer: false,
            asked: false,
            waits_since: None,
            seen: BTreeMap::new(),
            posted: BTreeMap::new(),
            round: 0,
            lies: BTreeMap::new(),
            probed: 0,
            packages: Vec::new(),
            card: None,
            at: 0,
            busy: false,
            full: BTreeSet::new(),
            extra: Vec::new(),
            no_card_since: None,
            probe_at: None,
            probe_ms: 0,
            next_at: None,
            wait_ms: MAIL_RETRY_MS_MIN,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Uptime> {
        self.next_at.filter(|_| !self.busy)
    }

    /// Something may have to be written, at a moment; waits that have grown stay.
    pub(crate) fn stir(&mut self, at: Uptime) {
        if self.wait_ms == MAIL_RETRY_MS_MIN || self.next_at.is_none() {
            self.next_at = Some(self.next_at.map_or(at, |before| before.min(at)));
        }
    }

    /// The other has said something: there is room again, and no reason to wait longer.
    pub(crate) fn hear(&mut self) {
        self.full.clear();
        self.wait_ms = MAIL_RETRY_MS_MIN;
    }

    /// What is next comes at this moment, or when something new happens.
    pub(crate) const fn rest(&mut self, until: Option<Uptime>) {
        self.next_at = until;
    }

    /// It went well.
    pub(crate) const fn go_on(&mut self, uptime: Uptime) {
        self.busy = false;
        self.wait_ms = MAIL_RETRY_MS_MIN;
        self.next_at = Some(uptime);
    }

    /// It did not: another queue is tried, ever later.
    pub(crate) fn back_off(&mut self, uptime: Uptime, rng: &mut dyn CryptoRng) {
        self.at = self.at.wrapping_add(1);
        self.slow_down(uptime, rng);
    }

    /// What is next comes ever later, until something is heard.
    pub(crate) fn slow_down(&mut self, uptime: Uptime, rng: &mut dyn CryptoRng) {
        self.busy = false;
        self.next_at = Some(uptime.plus_millis(jittered(self.wait_ms, rng)));
        self.wait_ms = self.wait_ms.saturating_mul(2).min(MAIL_RETRY_MS_MAX);
    }

    /// What its queue has for who wants to begin, if that serves.
    pub(crate) fn set_card(&mut self, card: Option<Box<[u8]>>, uptime: Uptime) {
        self.no_card_since = card.is_none().then_some(uptime);
        self.card = card;
    }

    /// Whether its queue had nothing to begin with, a short time ago.
    pub(crate) fn card_was_refused(&self, uptime: Uptime) -> bool {
        self.no_card_since.is_some_and(|since| uptime < since.plus_millis(MAIL_RETRY_MS_MIN))
    }

    /// When it is to be looked whether what was put is still there.
    pub(crate) const fn probe_at(&self) -> Option<Uptime> {
        self.probe_at
    }

    /// Something was put, or has gone on: it is looked after a first pause.
    pub(crate) const fn probe_later(&mut self, uptime: Uptime) {
        self.probe_ms = MAIL_PROBE_MS_MIN;
        self.probe_at = Some(uptime.plus_millis(self.probe_ms));
    }

    /// The queue that is to be looked after now, of those that the other has: all in which something
    /// lies in turn, each time later than before. What was put before this run is looked after at
    /// once: who is there for minutes only would never look otherwise.
    pub(crate) fn probe_due(
        &mut self,
        queues: &[QueueAddress],
        uptime: Uptime,
        rng: &mut dyn CryptoRng,
    ) -> Option<QueueAddress> {
        let spread_ms = u64::from(rng.next_u32()) % MAIL_SPREAD_MS;
        let at = *self.probe_at.get_or_insert(uptime.plus_millis(spread_ms));
        if at > uptime {
            return None;
        }
        let lies = |queue: &&QueueAddress| self.lies.contains_key(queue.seed.writer().public());
        let lying: Vec<&QueueAddress> = queues.iter().filter(lies).collect();
        let next = lying.get(self.probed).or(lying.first()).copied().or(queues.first());
        self.probed = if self.probed + 1 < lying.len() { self.probed + 1 } else { 0 };
        let pause_ms = if self.probed > 0 {
            spread_ms
        } else {
            let next_ms = self.probe_ms.saturating_mul(2);
            self.probe_ms = next_ms.clamp(MAIL_PROBE_MS_MIN, MAIL_PROBE_MS_MAX);
            self.probe_ms
        };
        self.probe_at = Some(uptime.plus_millis(pause_ms));
        next.cloned()
    }

    /// A queue answered under this name. Returns whether it is another life of it than the one in
    /// which something was put: that is gone.
    pub(crate) fn meets(&mut self, writer: [u8; 32], incarnation: Incarnation) -> bool {
        if self.seen.len() >= 2 * MAILBOXES_MAX && !self.seen.contains_key(&writer) {
            self.seen.clear();
        }
        self.seen.insert(writer, incarnation).is_some_and(|before| before != incarnation)
    }

    /// Nothing that was put counts any more: it is put again, in a new group.
    pub(crate) fn begin_anew(
        &mut self,
        device: DeviceId,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        self.round += 1;
        // Where nothing was put since, the group has served nobody yet: packages are not used up.
        if !self.posted.is_empty() || self.told.is_some() || self.asked {
            self.outbox = None;
        } else if let Some(outbox) = &mut self.outbox {
            outbox.joined = false;
        }
        for log in std::mem::take(&mut self.posted).into_keys() {
            store.remove_record(RecordKind::Posted, &joined(log, device))?;
        }
        self.lies.clear();
        // Whatever is answered now was asked before.
        self.busy = false;
        self.told = None;
        self.asked = false;
        self.waits_since = None;
        self.full.clear();
        self.save(device, store)
    }

    /// The other has put something that was here already: it does not know how far we are.
    pub(crate) fn owe_word(
        &mut self,
        log: LogId,
        device: DeviceId,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        if let Some(posted) = self.posted.get_mut(&log)
            && posted.frontier.take().is_some()
        {
            store.put_record(RecordKind::Posted, &joined(log, device), &posted.encode())?;
        }
        Ok(())
    }

    /// Something was put into the queue with this writer's key.
    pub(crate) fn put_at(&mut self, writer: [u8; 32]) {
        self.lies.insert(writer, 0);
    }

    /// Everything that was put was answered.
    pub(crate) fn nothing_lies(&mut self) {
        self.lies.clear();
    }

    /// Whether something lies in the queue with this writer's key.
    pub(crate) fn lies_in(&self, writer: [u8; 32]) -> bool {
        self.lies.contains_key(&writer)
    }

    /// A queue does not answer. Returns whether something lies there and that has happened so often
    /// that it counts as gone.
    pub(crate) fn misses(&mut self, writer: [u8; 32]) -> bool {
        let Some(misses) = self.lies.get_mut(&writer) else { return false };
        *misses += 1;
        *misses >= MAIL_MISSES_MAX
    }

    /// Forgets groups in which nothing was opened for long: what was left out in them stays closed.
    /// Returns whether there were any.
    pub(crate) fn purge(&mut self, now: Timestamp) -> bool {
        let before = self.groups.len();
        self.groups.retain(|group| now < group.since.plus_millis(GROUP_KEPT_MS));
        self.groups.len() < before
    }

    /// Something was put; marks say how far all is now that was.
    pub(crate) fn post(
        &mut self,
        device: DeviceId,
        logs: BTreeMap<LogId, Posted>,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        for (log, later) in logs {
            let posted = self.posted.entry(log).or_default();
            if !later.marks.is_empty() {
                posted.marks = later.marks;
            }
            posted.frontier = later.frontier.or(posted.frontier);
            store.put_record(RecordKind::Posted, &joined(log, device), &posted.encode())?;
        }
        Ok(())
    }

    /// Takes in a package of the other's.
    pub(crate) fn keep_package(&mut self, package: Box<[u8]>) {
        if !self.stock.contains(&package) {
            self.stock.push(package);
            let over = self.stock.len().saturating_sub(STOCK_MAX);
            self.stock.drain(..over);
        }
    }

    /// Keeps a group in which the other writes; the oldest gives way.
    pub(crate) fn keep_group(&mut self, group: StoredGroup) {
        self.groups.retain(|known| known.id != group.id);
        self.groups.push(group);
        let over = self.groups.len().saturating_sub(GROUPS_READ_MAX);
        self.groups.drain(..over);
    }

    pub(crate) fn save(&self, device: DeviceId, store: &mut dyn Store) -> Result<(), StoreError> {
        let mut writer = Writer::new();
        writer.array(12).uint(1).bytes(self.account.as_bytes());
        match &self.outbox {
            None => drop(writer.array(0)),
            Some(outbox) => {
                write_group(writer.array(3), &outbox.group);
                writer.bytes(&outbox.welcome).bool(outbox.joined);
            }
        }
        writer.array(self.stock.len());
        for package in &self.stock {
            writer.bytes(package);
        }
        writer.array(self.groups.len());
        for group in &self.groups {
            write_group(&mut writer, group);
        }
        for told in [&self.told, &self.they_heard, &self.heard] {
            optional(&mut writer, told.as_ref().map(EntryId::as_bytes));
        }
        writer.bool(self.owes_answer).bool(self.asked);
        match self.waits_since {
            Some(since) => drop(writer.array(1).uint(since.millis())),
            None => drop(writer.array(0)),
        }
        writer.array(self.seen.len());
        for (queue, incarnation) in &self.seen {
            writer.array(2).bytes(queue).bytes(incarnation.as_bytes());
        }
        let mut value = writer.finish();
        let put = store.put_record(RecordKind::Lane, device.as_bytes(), &value);
        value.zeroize();
        // What was used up must not be found on the disk.
        store.erase_soon();
        put
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.tuple("lane", 12)?;
            reader.uint_max("version", 1)?;
            let mut lane = Self::new(AccountId::from_bytes(reader.fixed("account")?));
            if reader.array("outbox", 3)? > 0 {
                let group = read_group(reader)?;
                let welcome = reader.bytes("welcome", WELCOME_BYTES_MAX)?.into();
                lane.outbox = Some(Outbox { group, welcome, joined: reader.bool()? });
            }
            lane.stock = reader.list("stock", STOCK_MAX, |r| {
                r.bytes("package", PACKAGE_BYTES_MAX).map(Into::into)
            })?;
            lane.groups = reader.list("groups", GROUPS_READ_MAX, read_group)?;
            for told in [&mut lane.told, &mut lane.they_heard, &mut lane.heard] {
                *told = read_optional(reader)?.map(EntryId::from_bytes);
            }
            lane.owes_answer = reader.bool()?;
            lane.asked = reader.bool()?;
            if reader.array("since", 1)? > 0 {
                lane.waits_since = Some(Timestamp::from_millis(reader.uint()?));
            }
            let seen = reader.list("seen", 2 * MAILBOXES_MAX, |r| {
                r.tuple("queue", 2)?;
                Ok((r.fixed("writer")?, Incarnation::from_bytes(r.fixed("incarnation")?)))
            })?;
            lane.seen = seen.into_iter().collect();
            // Some of what was put there may not have been answered.
            lane.lies = lane.seen.keys().map(|writer| (*writer, 0)).collect();
            Ok(lane)
        })
    }

    /// Removes what is kept of a device.
    pub(crate) fn forget(&self, device: DeviceId, store: &mut dyn Store) -> Result<(), StoreError> {
        for log in self.posted.keys() {
            store.remove_record(RecordKind::Posted, &joined(*log, device))?;
        }
        store.remove_record(RecordKind::Lane, device.as_bytes())?;
        store.erase_soon();
        Ok(())
    }
}

fn write_group(writer: &mut Writer, group: &StoredGroup) {
    writer.array(3).bytes(&group.id).bytes(&group.state).uint(group.since.millis());
}

fn read_group(reader: &mut Reader<'_>) -> Result<StoredGroup, DecodeError> {
    reader.tuple("group", 3)?;
    let id = reader.bytes("group id", GROUP_ID_BYTES_MAX)?.into();
    let state = Zeroizing::new(reader.bytes("group", GROUP_STATE_BYTES_MAX)?.to_vec());
    Ok(StoredGroup { id, state, since: Timestamp::from_millis(reader.uint()?) })
}

fn optional(writer: &mut Writer, value: Option<&[u8; 32]>) {
    match value {
        Some(value) => drop(writer.array(1).bytes(value)),
        None => drop(writer.array(0)),
    }
}

fn read_optional(reader: &mut Reader<'_>) -> Result<Option<[u8; 32]>, DecodeError> {
    match reader.array("optional", 1)? {
        0 => Ok(None),
        _ => reader.fixed("value").map(Some),
    }
}

pub(super) fn load(store: &dyn Store) -> Result<BTreeMap<DeviceId, Lane>, StoreError> {
    let failed = |error| StoreError::new("Reading how far letters have got", error);
    let mut lanes = BTreeMap::new();
    for (key, mut value) in store.records(RecordKind::Lane)? {
        let Ok(device) = <[u8; 32]>::try_from(key) else { continue };
        let lane = Lane::decode(&value);
        value.zeroize();
        // How far letters have got follows anew from what comes; nobody may stop the node by it.
        if let Ok(lane) = lane {
            lanes.insert(DeviceId::from_bytes(device), lane);
        }
    }
    for (key, value) in store.records(RecordKind::Posted)? {
        let Some((log, device)) = split(&key) else { continue };
        if let Some(lane) = lanes.get_mut(&device) {
            lane.posted.insert(log, Posted::decode(&value).map_err(failed)?);
        }
    }
    Ok(lanes)
}
