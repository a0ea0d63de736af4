//! What a peer sent: what of it comes in, what waits, and what it proves.

use kith_common::{
    entry::{self, Entry, EntryKind, Mark},
    envelope::Signed,
    frame::CarriedEntry,
    ids::{AccountId, DeviceId},
    time::Timestamp,
};

use super::{
    Candidate, Chain, Covered, Envelope, Head, Log,
    candidate::{authenticate, candidate_bytes},
    rules::{Decision, Entering},
};
use crate::{
    limits::LATE_MS_MIN,
    refusal::Refusal,
    store::{Body, EntryRow, Place, Store, StoreError},
    view,
};

/// What came of entries that a peer sent.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Places of the entries that are stored now, in the order of their coming.
    pub(crate) accepted: Vec<Place>,
    /// Places whose bodies were missing and are there now.
    pub(crate) filled: Vec<Place>,
    /// What was refused.
    pub(crate) refused: Vec<Refusal>,
    /// How far the sender is now known to have the chains.
    pub(crate) sender_has: Covered,
    /// Devices that are proven to lie, with the evidence.
    pub(crate) liars: Vec<(DeviceId, Evidence)>,
    /// What was said of how far devices are believed, also in entries that wait: they may wait for
    /// what nobody has any more because of this very word.
    pub(crate) cuts: Vec<SaidCut>,
    /// Where devices can be written to, by their own word.
    pub(crate) signposts: Vec<Place>,
    /// Whether entries that were shown have gone, or changed their places.
    pub(crate) trimmed: bool,
}

/// Why a device is not to be trusted: envelopes that together prove it.
#[derive(Debug)]
pub(crate) struct Evidence(pub(crate) Vec<Box<[u8]>>);

/// The body of an entry that says how far a device is believed.
#[derive(Debug)]
pub(crate) struct SaidCut {
    pub(crate) account: AccountId,
    pub(crate) body: Box<[u8]>,
}

impl SaidCut {
    fn of(entry: &Entry, body: &Body) -> Option<Self> {
        let body = body.bytes().filter(|_| entry.kind == EntryKind::CUT)?;
        Some(Self { account: entry.account, body: body.into() })
    }
}

/// May this device write in the name of this account? The refusal says why not.
pub(crate) type Writers<'a> = dyn Fn(DeviceId, AccountId) -> Result<(), Refusal> + 'a;

impl Log {
    /// Takes in what a peer sent. `writers` says who may write.
    pub(crate) fn receive(
        &mut self,
        entries: Vec<CarriedEntry>,
        writers: &Writers<'_>,
        now: Timestamp,
        store: &mut dyn Store,
    ) -> Result<Received, StoreError> {
        let mut received = Received::default();
        let candidates = authenticate(self.read(entries, writers, &mut received));
        for candidate in &candidates {
            self.vouched_by(candidate);
        }
        let mut waiting = Vec::new();
        for candidate in candidates {
            let (device, seq, id) = (candidate.device, candidate.entry().seq, candidate.id);
            let authentic = matches!(candidate.envelope, Envelope::Authentic(_));
            match self.take(candidate, now, store, &mut received)? {
                Some(place) => self.cover(&mut received.sender_has, place.author, place.seq),
                None if authentic => waiting.push(Mark { device, seq, id }),
                None => {}
            }
        }
        self.drain(now, store, &mut received)?;
        for mark in waiting {
            if let Some((number, _)) = self.named(&mark, store)? {
                self.cover(&mut received.sender_has, number, mark.seq);
            }
        }
        self.reorder_if_needed(store, &mut received)?;
        if !received.filled.is_empty() {
            self.look_for_missing(store)?;
        }
        Ok(received)
    }

    /// What waited or was put aside may come in: limits have changed.
    pub(crate) fn receive_waiting(
        &mut self,
        now: Timestamp,
        store: &mut dyn Store,
    ) -> Result<Received, StoreError> {
        let mut received = Received::default();
        self.readmit(now, store, &mut received)?;
        self.drain(now, store, &mut received)?;
        self.reorder_if_needed(store, &mut received)?;
        Ok(received)
    }

    fn reorder_if_needed(
        &mut self,
        store: &mut dyn Store,
        received: &mut Received,
    ) -> Result<(), StoreError> {
        if std::mem::take(&mut self.disordered) {
            self.reorder(store)?;
            received.trimmed = true;
        }
        Ok(())
    }

    /// What a trusted device names counts, if a former device wrote it.
    fn vouched_by(&mut self, candidate: &Candidate) {
        let trusted = !self.limits.contains_key(&candidate.device);
        if trusted && matches!(candidate.envelope, Envelope::Authentic(_)) {
            self.vouch(&candidate.entry().parents);
        }
    }

    /// Everything that can be checked about an entry alone, but for its signature.
    fn read(
        &self,
        entries: Vec<CarriedEntry>,
        writers: &Writers<'_>,
        received: &mut Received,
    ) -> Vec<Candidate> {
        let mut candidates = Vec::with_capacity(entries.len());
        for carried in entries {
            match self.read_one(carried, writers) {
                Ok(candidate) => candidates.push(candidate),
                Err(refusal) => received.refused.push(refusal),
            }
        }
        candidates
    }

    fn read_one(&self, carried: CarriedEntry, writers: &Writers<'_>) -> Result<Candidate, Refusal> {
        let signed = Signed::<Entry>::from_bytes(carried.envelope)?;
        let device = DeviceId::from_bytes(*signed.signer());
        let entry = signed.claim();
        if entry.log != self.id {
            return Err(Refusal::OtherLog);
        }
        writers(device, entry.account)?;
        if entry.parents.iter().any(|parent| parent.device == device) {
            return Err(Refusal::Place);
        }
        if let Some(body) = &carried.body {
            entry::check_body(entry, body).map_err(|_| Refusal::Body)?;
        }
        let id = signed.id();
        let envelope = Envelope::Doubtful(signed);
        let body = carried.body.map_or(Body::Missing, Body::Here);
        Ok(Candidate { id, device, envelope, doubted: false, body, received_at: None })
    }

    /// Returns where the candidate stands, if it is stored.
    fn take(
        &mut self,
        candidate: Candidate,
        now: Timestamp,
        store: &mut dyn Store,
        received: &mut Received,
    ) -> Result<Option<Place>, StoreError> {
        match self.decide(&candidate, now, store)? {
            Decision::Accept(entering) => {
                let place = entering.place;
                self.note_fork(&candidate, &entering, received);
                let (device, mark) = (candidate.device, candidate.id);
                received.accepted.push(place);
                received.cuts.extend(SaidCut::of(candidate.entry(), &candidate.body));
                if candidate.entry().kind.is_signpost() {
                    received.signposts.push(place);
                }
                self.accept(candidate, entering, now, store)?;
                if self.is_cut_at(device, |last| last.id == mark) {
                    received.trimmed |= self.trim(device, store)?;
                }
                Ok(Some(place))
            }
            Decision::Known(place) => {
                self.fill(place, candidate.body, store, received)?;
                Ok(Some(place))
            }
            Decision::Wait => {
                let evidence = self.fork_behind(&candidate, store)?;
                let device = candidate.device;
                let cut = SaidCut::of(candidate.entry(), &candidate.body);
                match self.pending.add(candidate) {
                    Ok(true) => {
                        received.liars.extend(evidence.map(|proof| (device, proof)));
                        received.cuts.extend(cut);
                    }
                    Ok(false) => {}
                    Err(refusal) => received.refused.push(refusal),
                }
                Ok(None)
            }
            Decision::Refuse(refusal) => {
                received.refused.push(refusal);
                Ok(None)
            }
        }
    }

    fn note_fork(&self, candidate: &Candidate, entering: &Entering, received: &mut Received) {
        let rival = entering.begins.as_ref().and_then(|begins| begins.rival.clone());
        if let Some(rival) = rival {
            let evidence = Evidence(vec![rival, candidate_bytes(candidate)]);
            received.liars.push((candidate.device, evidence));
        }
    }

    /// Whether the previous entry that an authentic candidate names contradicts the one stored.
    fn fork_behind(
        &self,
        candidate: &Candidate,
        store: &dyn Store,
    ) -> Result<Option<Evidence>, StoreError> {
        let Envelope::Authentic(verified) = &candidate.envelope else { return Ok(None) };
        let Some(prev) = verified.value().prev else { return Ok(None) };
        let seq = verified.value().seq - 1;
        let mark = Mark { device: candidate.device, seq, id: prev };
        if !self.contradicts(&mark, store)? {
            return Ok(None);
        }
        let stored = self.any_at(candidate.device, seq, store)?;
        Ok(stored.map(|row| Evidence(vec![row.envelope, verified.bytes().into()])))
    }

    /// A body that was missing.
    fn fill(
        &mut self,
        place: Place,
        body: Body,
        store: &mut dyn Store,
        received: &mut Received,
    ) -> Result<(), StoreError> {
        let is_missing = self.missing.contains(&(place.author, place.seq));
        if let Body::Here(_) = body
            && (is_missing || self.overlooked.missing)
            && let Some(row) = store.entry(place)?.filter(|row| row.body == Body::Missing)
        {
            self.missing.remove(&(place.author, place.seq));
            let entry = view::open(&row)?.entry;
            received.cuts.extend(SaidCut::of(&entry, &body));
            if entry.kind.is_signpost() {
                received.signposts.push(place);
            }
            store.replace_entry(&EntryRow { body, ..row })?;
            received.filled.push(place);
            self.changed = true;
        }
        Ok(())
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
                progress |= self.drain_device(device, now, store, received)?;
            }
        }
        Ok(())
    }

    /// Tries everything of a device that might come in now. Returns whether anything did.
    fn drain_device(
        &mut self,
        device: DeviceId,
        now: Timestamp,
        store: &mut dyn Store,
        received: &mut Received,
    ) -> Result<bool, StoreError> {
        let mut progress = false;
        let mut after = None;
        while let Some(key) = self.pending.next_after(device, after) {
            if key.0 > self.last_seq(device) + 1 {
                break;
            }
            after = Some(key);
            let Some(candidate) = self.pending.remove(device, key) else { break };
            if matches!(self.decide(&candidate, now, store)?, Decision::Wait) {
                let evidence = self.fork_behind(&candidate, store)?;
                received.liars.extend(evidence.map(|proof| (device, proof)));
                self.pending.put_back(candidate);
                continue;
            }
            let doubted = candidate.doubted.then(|| candidate_bytes(&candidate));
            if self.take(candidate, now, store, received)?.is_some() {
                progress = true;
                // Its own signature does not hold, yet its author built on it.
                received.liars.extend(doubted.map(|bytes| (device, Evidence(vec![bytes]))));
            }
        }
        Ok(progress)
    }

    pub(super) fn accept(
        &mut self,
        candidate: Candidate,
        entering: Entering,
        now: Timestamp,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let Envelope::Authentic(verified) = candidate.envelope else { return Ok(()) };
        let Entering { place, position, begins, absent } = entering;
        self.note_absent(&absent);
        let named = self.absent.get(&candidate.device);
        self.disordered |= named.is_some_and(|through| place.seq <= *through);
        let entry = verified.value();
        let (depth, hlc) = (entry.depth, entry.hlc);
        for parent in &entry.parents {
            let named =
                |c: &&mut Chain| c.device == parent.device && c.head.position.id == parent.id;
            if let Some(chain) = self.chains.iter_mut().find(named) {
                chain.is_tip = false;
            }
        }
        if let Some(begins) = begins {
            self.begin(place.author, Chain::new(candidate.device, place.seq, begins.base));
        }
        let above_shown = self.highest.is_some_and(|highest| position < highest);
        let received_at = candidate.received_at.unwrap_or(now);
        let late = above_shown && hlc.time().plus_millis(LATE_MS_MIN) <= received_at;
        // What was deleted never takes a cut along: others must still hear it.
        let mark = Mark { device: candidate.device, seq: place.seq, id: position.id };
        let is_doomed = self.take_doomed(&mark) && !entry.kind.is_kept();
        let body = if is_doomed { Body::Deleted } else { candidate.body };
        if body == Body::Missing {
            self.miss(place);
        }
        let hidden = !entry.kind.is_shown() || body == Body::Deleted;
        let is_read = self.reads.get(&candidate.device).is_some_and(|goal| place.seq <= *goal);
        self.remember(place.author);
        if let Some(chain) = self.chain_mut(place.author) {
            chain.head = Head { seq: place.seq, position, depth };
            chain.is_tip = true;
            chain.hidden += u64::from(hidden);
            if is_read {
                (chain.read, chain.hidden) = (place.seq, 0);
            }
        }
        self.highest = self.highest.max(Some(position));
        self.changed = true;
        store.add_entry(&EntryRow {
            place,
            position,
            depth,
            received_at,
            late,
            envelope: verified.into_bytes(),
            body,
        })
    }
}
