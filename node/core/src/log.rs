//! Which entries belong in, and where? One conversation as a DAG of device chains (spec 03).
//!
//! [`Log::receive`] takes entries from a peer, [`Log::write`] makes one of ours. An entry is
//! accepted when it is authentic, continues its device's chain, and everything it names is there;
//! what comes too early waits in [`pending`], within bounds.

mod candidate;
mod pending;
mod record;
mod rules;

use kith_common::{
    entry::{self, Entry, EntryKind, Mark},
    envelope::{Signed, sign},
    frame::CarriedEntry,
    frontier::Frontier,
    ids::{AccountId, DeviceId, EntryId, LogId},
    keys::SigningKey,
    limits::{FRONTIER_MARKS_MAX, PARENTS_MAX},
    time::{Hlc, Timestamp},
};

pub(crate) use self::candidate::{Candidate, Envelope};
use self::{
    candidate::{authenticate, candidate_bytes},
    pending::Pending,
    rules::{Decision, Entering},
};
use crate::{
    delivery::Reached,
    limits::LATE_MS_MIN,
    refusal::Refusal,
    store::{AuthorNumber, EntryRow, LogNumber, Place, Position, RecordKind, Store, StoreError},
};

/// The newest entry of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) position: Position,
    pub(crate) depth: u64,
}

/// A device that writes in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) device: DeviceId,
    pub(crate) head: Head,
    /// Whether no entry names the head yet.
    pub(crate) is_tip: bool,
    /// How far this account has read the chain.
    pub(crate) read: u64,
    /// Entries behind `read` that are not shown.
    pub(crate) hidden: u64,
}

/// One conversation.
#[derive(Debug)]
pub struct Log {
    id: LogId,
    number: LogNumber,
    authors: Vec<Author>,
    highest: Option<Position>,
    pending: Pending,
    changed: bool,
    is_new: bool,
}

/// What came of entries that a peer sent.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Places of the entries that are stored now, in the order of their coming.
    pub(crate) accepted: Vec<Place>,
    /// What was refused.
    pub(crate) refused: Vec<Refusal>,
    /// How far the sender is now known to have the chains.
    pub(crate) sender_has: Reached,
    /// Devices that are proven to lie, with the evidence.
    pub(crate) liars: Vec<(DeviceId, Evidence)>,
}

/// Why a device is not to be trusted: envelopes that together prove it.
#[derive(Debug)]
pub(crate) struct Evidence(pub(crate) Vec<Box<[u8]>>);

/// What an entry would add to the log, whatever it says.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) account: AccountId,
    pub(crate) account_head: EntryId,
    pub(crate) kind: EntryKind,
    pub(crate) body: Vec<u8>,
}

impl Log {
    /// The log as the store has it, or a new one with this number.
    pub(crate) fn load(
        store: &dyn Store,
        id: LogId,
        number: LogNumber,
    ) -> Result<Self, StoreError> {
        match store.record(RecordKind::Log, id.as_bytes())? {
            Some(value) => record::decode(id, &value)
                .map_err(|error| StoreError::new("Reading the state of a log", error)),
            None => Ok(Self::new(id, number)),
        }
    }

    fn new(id: LogId, number: LogNumber) -> Self {
        Self {
            id,
            number,
            authors: Vec::new(),
            highest: None,
            pending: Pending::default(),
            changed: false,
            is_new: true,
        }
    }

    /// Writes the state of the log if it changed; part of the same transaction as the entries.
    /// Returns whether it was written for the first time.
    pub(crate) fn save(&mut self, store: &mut dyn Store) -> Result<bool, StoreError> {
        if std::mem::take(&mut self.changed) {
            store.put_record(RecordKind::Log, self.id.as_bytes(), &record::encode(self))?;
            return Ok(std::mem::take(&mut self.is_new));
        }
        Ok(false)
    }

    /// The number of the log in the store.
    pub const fn number(&self) -> LogNumber {
        self.number
    }

    /// Entries that wait for what they depend on.
    pub fn pending_count(&self) -> usize {
        self.pending.count()
    }

    /// The device behind an author number.
    pub fn device(&self, author: AuthorNumber) -> Option<DeviceId> {
        self.authors.get(usize::from(author.0)).map(|author| author.device)
    }

    pub(crate) fn authors(&self) -> impl Iterator<Item = (AuthorNumber, &Author)> {
        (0_u16..).map(AuthorNumber).zip(&self.authors)
    }

    fn author(&self, device: DeviceId) -> Option<(AuthorNumber, &Author)> {
        self.authors().find(|(_, author)| author.device == device)
    }

    /// The last number of a device's chain; 0 if it never wrote.
    pub fn last_seq(&self, device: DeviceId) -> u64 {
        self.author(device).map_or(0, |(_, author)| author.head.seq)
    }

    /// Entries by these devices that are shown and that this account has not read.
    pub(crate) fn unread(&self, by: impl Fn(DeviceId) -> bool) -> u64 {
        self.authors
            .iter()
            .filter(|author| by(author.device))
            .map(|author| author.head.seq.saturating_sub(author.read.saturating_add(author.hidden)))
            .sum()
    }

    /// Everything is read. Returns whether anything changed.
    pub(crate) fn mark_read(&mut self) -> bool {
        let before = self.changed;
        self.changed = false;
        for author in &mut self.authors {
            self.changed |= author.read < author.head.seq;
            author.read = author.head.seq;
            author.hidden = 0;
        }
        let any = self.changed;
        self.changed |= before;
        any
    }

    /// How far this device has received, and read if that is shared.
    pub(crate) fn frontier(
        &self,
        with_read: bool,
        store: &dyn Store,
    ) -> Result<Frontier, StoreError> {
        let mut received = Vec::with_capacity(self.authors.len());
        let mut read = Vec::new();
        for (number, author) in self.authors().take(FRONTIER_MARKS_MAX) {
            let (device, seq) = (author.device, author.head.seq);
            received.push(Mark { device, seq, id: author.head.position.id });
            if with_read && author.read > 0 {
                let id = if author.read == seq {
                    Some(author.head.position.id)
                } else {
                    let place = Place { log: self.number, author: number, seq: author.read };
                    store.entry(place)?.map(|row| row.position.id)
                };
                read.extend(id.map(|id| Mark { device, seq: author.read, id }));
            }
        }
        received.sort_unstable();
        read.sort_unstable();
        Ok(Frontier { log: self.id, received, read })
    }

    /// Whether a mark contradicts what is stored: the same number with another id.
    pub(crate) fn contradicts(&self, mark: &Mark, store: &dyn Store) -> Result<bool, StoreError> {
        let Some((number, author)) = self.author(mark.device) else { return Ok(false) };
        if mark.seq > author.head.seq {
            return Ok(false);
        }
        if mark.seq == author.head.seq {
            return Ok(mark.id != author.head.position.id);
        }
        let place = Place { log: self.number, author: number, seq: mark.seq };
        Ok(store.entry(place)?.is_some_and(|row| row.position.id != mark.id))
    }

    /// Writes an entry of our own: it names everything that nobody has named yet (spec 03 R8).
    pub(crate) fn write(
        &mut self,
        key: &SigningKey,
        now: Timestamp,
        draft: Draft,
        store: &mut dyn Store,
    ) -> Result<(Place, EntryId), StoreError> {
        let device = key.device();
        let own = self.author(device).map(|(_, author)| author.head);
        let parents = self.tips(device);
        let depth = parents.iter().map(|(_, depth)| *depth).chain(own.map(|head| head.depth)).max();
        let entry = Entry {
            log: self.id,
            account: draft.account,
            seq: own.map_or(0, |head| head.seq) + 1,
            prev: own.map(|head| head.position.id),
            parents: parents.into_iter().map(|(mark, _)| mark).collect(),
            depth: depth.map_or(1, |depth| depth + 1),
            hlc: Hlc::at(now),
            account_head: draft.account_head,
            kind: draft.kind,
            body_hash: entry::hash_body(&draft.body),
            body_bytes: draft.body.len() as u64,
        };
        let signed = sign(key, entry);
        let id = signed.id();
        let candidate = Candidate {
            id,
            device,
            envelope: Envelope::Authentic(signed),
            doubted: false,
            body: Some(draft.body.into()),
        };
        match self.decide(&candidate, now, store)? {
            Decision::Accept(entering) => {
                let place = entering.place;
                self.accept(candidate, entering, now, store)?;
                Ok((place, id))
            }
            _ => Err(StoreError::new("Writing a message", "the log's own state is inconsistent")),
        }
    }

    /// Heads of other devices that no entry names, the newest [`PARENTS_MAX`], with their depths.
    fn tips(&self, except: DeviceId) -> Vec<(Mark, u64)> {
        let mut tips: Vec<&Author> =
            self.authors.iter().filter(|a| a.is_tip && a.device != except).collect();
        tips.sort_by_key(|author| std::cmp::Reverse(author.head.position));
        tips.truncate(PARENTS_MAX);
        tips.sort_by_key(|author| author.device);
        tips.into_iter()
            .map(|author| {
                let Head { seq, position, depth } = author.head;
                (Mark { device: author.device, seq, id: position.id }, depth)
            })
            .collect()
    }

    /// Takes in what a peer sent. `account_of` says for which of the log's accounts a device
    /// speaks, if for any.
    pub(crate) fn receive(
        &mut self,
        entries: Vec<CarriedEntry>,
        account_of: &dyn Fn(DeviceId) -> Option<AccountId>,
        now: Timestamp,
        store: &mut dyn Store,
    ) -> Result<Received, StoreError> {
        let mut received = Received::default();
        let candidates = self.read(entries, account_of, &mut received);
        for candidate in authenticate(candidates) {
            let (device, seq) = (candidate.device, candidate.entry().seq);
            if self.take(candidate, now, store, &mut received)? {
                let slot = received.sender_has.entry(device).or_default();
                *slot = (*slot).max(seq);
            }
        }
        self.drain(now, store, &mut received)?;
        Ok(received)
    }

    /// Everything that can be checked about an entry alone, but for its signature.
    fn read(
        &self,
        entries: Vec<CarriedEntry>,
        account_of: &dyn Fn(DeviceId) -> Option<AccountId>,
        received: &mut Received,
    ) -> Vec<Candidate> {
        let mut candidates = Vec::with_capacity(entries.len());
        for carried in entries {
            match self.read_one(carried, account_of) {
                Ok(candidate) => candidates.push(candidate),
                Err(refusal) => received.refused.push(refusal),
            }
        }
        candidates
    }

    fn read_one(
        &self,
        carried: CarriedEntry,
        account_of: &dyn Fn(DeviceId) -> Option<AccountId>,
    ) -> Result<Candidate, Refusal> {
        let signed = Signed::<Entry>::from_bytes(carried.envelope)?;
        let device = DeviceId::from_bytes(*signed.signer());
        let entry = signed.claim();
        if entry.log != self.id {
            return Err(Refusal::OtherLog);
        }
        if account_of(device) != Some(entry.account) {
            return Err(Refusal::NotEntitled);
        }
        if entry.parents.iter().any(|parent| parent.device == device) {
            return Err(Refusal::Place);
        }
        if let Some(body) = &carried.body {
            entry::check_body(entry, body).map_err(|_| Refusal::Body)?;
        }
        let id = signed.id();
        let envelope = Envelope::Doubtful(signed);
        Ok(Candidate { id, device, envelope, doubted: false, body: carried.body })
    }

    /// Returns whether whoever sent the candidate has the chain up to it.
    fn take(
        &mut self,
        candidate: Candidate,
        now: Timestamp,
        store: &mut dyn Store,
        received: &mut Received,
    ) -> Result<bool, StoreError> {
        match self.decide(&candidate, now, store)? {
            Decision::Accept(entering) => {
                received.accepted.push(entering.place);
                self.accept(candidate, entering, now, store)?;
                return Ok(true);
            }
            Decision::Known => return Ok(true),
            Decision::Wait => {
                let authentic = matches!(candidate.envelope, Envelope::Authentic(_));
                match self.pending.add(candidate) {
                    Ok(()) => return Ok(authentic),
                    Err(refusal) => received.refused.push(refusal),
                }
            }
            Decision::Refuse(refusal) => received.refused.push(refusal),
            Decision::Fork(other) => {
                received.refused.push(Refusal::Fork);
                let device = candidate.device;
                if let Envelope::Authentic(verified) = candidate.envelope {
                    let evidence = Evidence(vec![other, verified.into_bytes()]);
                    received.liars.push((device, evidence));
                }
            }
        }
        Ok(false)
    }

    /// Takes in what waited for entries that are there now.
    fn drain(
        &mut self,
        now: Timestamp,
        store: &mut dyn Store,
        received: &mut Received,
    ) -> Result<(), StoreError> {
        let mut progress = !self.pending.is_empty();
        while progress {
            progress = false;
            for device in self.pending.devices() {
                let next = self.last_seq(device) + 1;
                while let Some(candidate) = self.pending.remove(device, next) {
                    if matches!(self.decide(&candidate, now, store)?, Decision::Wait) {
                        self.pending.put_back(candidate);
                        break;
                    }
                    let doubted = candidate.doubted.then(|| candidate_bytes(&candidate));
                    let before = received.accepted.len();
                    self.take(candidate, now, store, received)?;
                    if received.accepted.len() > before {
                        progress = true;
                        // Its own signature does not hold, yet its author built on it.
                        received.liars.extend(doubted.map(|bytes| (device, Evidence(vec![bytes]))));
                        break;
                    }
                }
                // What is left at places now taken is known, or proves a fork.
                let last = self.last_seq(device);
                for candidate in self.pending.take_through(device, last) {
                    self.take(candidate, now, store, received)?;
                }
            }
        }
        Ok(())
    }

    fn accept(
        &mut self,
        candidate: Candidate,
        entering: Entering,
        now: Timestamp,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let Envelope::Authentic(verified) = candidate.envelope else { return Ok(()) };
        let Entering { place, position } = entering;
        let entry = verified.value();
        let (depth, hlc, hidden) = (entry.depth, entry.hlc, u64::from(!entry.kind.is_shown()));
        for parent in &entry.parents {
            if let Some(author) = self.authors.iter_mut().find(|a| a.device == parent.device) {
                author.is_tip &= author.head.seq != parent.seq;
            }
        }
        let above_shown = self.highest.is_some_and(|highest| position < highest);
        let late = above_shown && hlc.time().plus_millis(LATE_MS_MIN) <= now;
        let head = Head { seq: place.seq, position, depth };
        match self.authors.get_mut(usize::from(place.author.0)) {
            Some(author) => {
                author.head = head;
                author.is_tip = true;
                author.hidden += hidden;
            }
            None => {
                let device = candidate.device;
                self.authors.push(Author { device, head, is_tip: true, read: 0, hidden });
            }
        }
        self.highest = self.highest.max(Some(position));
        self.changed = true;
        store.add_entry(&EntryRow {
            place,
            position,
            depth,
            received_at: now,
            late,
            envelope: verified.into_bytes(),
            body: candidate.body,
        })
    }
}

#[cfg(test)]
mod tests;
