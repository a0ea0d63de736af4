//! What do the rules say of a candidate? Pure decisions about one entry (spec 03 R3–R7).

use kith_common::{entry::Entry, ids::DeviceId, time::Timestamp};

use super::{Candidate, Envelope, Head, Log};
use crate::{
    limits::{AUTHORS_MAX, CLOCK_AHEAD_MS_MAX},
    refusal::Refusal,
    store::{AuthorNumber, EntryRow, Place, Position, Store, StoreError},
};

/// What to do with a candidate.
pub(super) enum Decision {
    Accept(Entering),
    Wait,
    Refuse(Refusal),
    /// It is there already.
    Known,
    Fork(Box<[u8]>),
}

/// Where an entry goes.
pub(super) struct Entering {
    pub(super) place: Place,
    pub(super) position: Position,
}

impl Log {
    /// What the rules say of a candidate (spec 03 R3–R7).
    pub(super) fn decide(
        &self,
        candidate: &Candidate,
        now: Timestamp,
        store: &dyn Store,
    ) -> Result<Decision, StoreError> {
        let entry = candidate.entry();
        let author = self.author(candidate.device);
        let head = author.map(|(_, author)| author.head);
        let last = head.map_or(0, |head| head.seq);
        if entry.seq <= last {
            return self.decide_known(candidate, store);
        }
        if entry.seq > last + 1 || matches!(candidate.envelope, Envelope::Doubtful(_)) {
            return Ok(Decision::Wait);
        }
        if entry.prev != head.map(|head| head.position.id) {
            let rival = self.stored(candidate.device, last, store)?;
            return Ok(rival.map_or(Decision::Wait, |row| Decision::Fork(row.envelope)));
        }
        let Some(parents) = self.parents(entry, store)? else { return Ok(Decision::Wait) };
        let below = head.into_iter().chain(parents);
        let (eff, depth) = below.fold((entry.hlc.bits(), 1), |(eff, depth), head| {
            (eff.max(head.position.eff.saturating_add(1)), depth.max(head.depth + 1))
        });
        if entry.depth != depth {
            return Ok(Decision::Refuse(Refusal::Place));
        }
        if entry.hlc.time() > now.plus_millis(CLOCK_AHEAD_MS_MAX) {
            return Ok(Decision::Refuse(Refusal::AheadOfClock));
        }
        let number = match author {
            Some((number, _)) => number,
            None if self.authors.len() >= AUTHORS_MAX => {
                return Ok(Decision::Refuse(Refusal::AuthorsFull));
            }
            None => AuthorNumber(u16::try_from(self.authors.len()).unwrap_or(u16::MAX)),
        };
        let place = Place { log: self.number, author: number, seq: entry.seq };
        let position = Position { eff, id: candidate.id };
        Ok(Decision::Accept(Entering { place, position }))
    }

    fn decide_known(
        &self,
        candidate: &Candidate,
        store: &dyn Store,
    ) -> Result<Decision, StoreError> {
        let Some(row) = self.stored(candidate.device, candidate.entry().seq, store)? else {
            return Ok(Decision::Wait);
        };
        if row.position.id == candidate.id {
            return Ok(Decision::Known);
        }
        Ok(match &candidate.envelope {
            Envelope::Authentic(_) => Decision::Fork(row.envelope),
            Envelope::Doubtful(_) => Decision::Refuse(Refusal::Signature),
        })
    }

    fn stored(
        &self,
        device: DeviceId,
        seq: u64,
        store: &dyn Store,
    ) -> Result<Option<EntryRow>, StoreError> {
        match self.author(device) {
            Some((author, _)) => store.entry(Place { log: self.number, author, seq }),
            None => Ok(None),
        }
    }

    /// The parents as stored; `None` if one is not there.
    fn parents(&self, entry: &Entry, store: &dyn Store) -> Result<Option<Vec<Head>>, StoreError> {
        let mut parents = Vec::with_capacity(entry.parents.len());
        for mark in &entry.parents {
            let Some((author, known)) = self.author(mark.device) else { return Ok(None) };
            let head = if mark.seq == known.head.seq {
                Some(known.head)
            } else {
                let row = store.entry(Place { log: self.number, author, seq: mark.seq })?;
                row.map(|row| Head { seq: mark.seq, position: row.position, depth: row.depth })
            };
            match head.filter(|head| head.position.id == mark.id) {
                Some(head) => parents.push(head),
                None => return Ok(None),
            }
        }
        Ok(Some(parents))
    }
}
