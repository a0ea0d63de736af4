//! What do the rules say of a candidate? Pure decisions about one entry (spec 03 R3–R7, R13).

use kith_common::{
    entry::{Entry, Mark},
    ids::DeviceId,
    limits::HISTORIES_MAX,
    time::Timestamp,
};

use super::{Candidate, Chain, Envelope, Head, Log};
use crate::{
    limits::CLOCK_AHEAD_MS_MAX,
    refusal::Refusal,
    store::{AuthorNumber, Place, Position, Store, StoreError},
};

/// What to do with a candidate.
pub(super) enum Decision {
    Accept(Entering),
    Wait,
    Refuse(Refusal),
    /// It is there already.
    Known(Place),
}

/// Where an entry goes.
pub(super) struct Entering {
    pub(super) place: Place,
    pub(super) position: Position,
    /// Whether a chain begins with it, and which one it branched off.
    pub(super) begins: Option<Begins>,
    /// What it names that lies beyond a cut, or that there was no room for.
    pub(super) absent: Vec<Mark>,
}

pub(super) struct Begins {
    pub(super) base: Option<AuthorNumber>,
    /// The envelope that it contradicts.
    pub(super) rival: Option<Box<[u8]>>,
}

/// How far a former device is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Nobody has cut it yet: what was held or vouched for counts, through this number.
    Held(u64),
    Cut(Cut),
}

/// On each history through an entry, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) lasts: Vec<Mark>,
    /// Whether the device is out for good: what lies beyond is erased, else put aside.
    pub(crate) is_final: bool,
}

/// What an entry names beside the one before.
struct Parents {
    heads: Vec<Head>,
    /// Those that lie beyond a cut, or that there was no room for.
    absent: Vec<Mark>,
}

impl Limit {
    pub(super) fn through(&self) -> u64 {
        match self {
            Self::Held(seq) => *seq,
            Self::Cut(cut) => cut.lasts.iter().map(|mark| mark.seq).max().unwrap_or(0),
        }
    }
}

impl Log {
    /// What the rules say of a candidate.
    pub(super) fn decide(
        &self,
        candidate: &Candidate,
        now: Timestamp,
        store: &dyn Store,
    ) -> Result<Decision, StoreError> {
        let entry = candidate.entry();
        let mark = Mark { device: candidate.device, seq: entry.seq, id: candidate.id };
        if let Some((author, _)) = self.named(&mark, store)? {
            return Ok(Decision::Known(Place { log: self.number, author, seq: mark.seq }));
        }
        if self.is_beyond_cut(&mark, store)? {
            return Ok(Decision::Refuse(Refusal::BeyondCut));
        }
        if matches!(candidate.envelope, Envelope::Doubtful(_)) {
            return Ok(Decision::Wait);
        }
        if self.limits.get(&candidate.device).is_some_and(|limit| mark.seq > limit.through()) {
            return Ok(Decision::Wait);
        }
        let Some((place, begins)) = self.continues(candidate, store)? else {
            return Ok(Decision::Wait);
        };
        let place = match place {
            Ok(place) => place,
            Err(refusal) => return Ok(Decision::Refuse(refusal)),
        };
        self.decide_place(candidate, (place, begins), now, store)
    }

    fn decide_place(
        &self,
        candidate: &Candidate,
        (place, begins): (Place, Option<Begins>),
        now: Timestamp,
        store: &dyn Store,
    ) -> Result<Decision, StoreError> {
        let entry = candidate.entry();
        let before = match entry.prev {
            Some(id) => {
                self.named(&Mark { device: candidate.device, seq: entry.seq - 1, id }, store)?
            }
            None => None,
        };
        let Some(Parents { heads, absent }) = self.parents(entry, store)? else {
            return Ok(Decision::Wait);
        };
        let below = before.into_iter().map(|(_, head)| head).chain(heads);
        let eff =
            below.fold(entry.hlc.bits(), |eff, head| eff.max(head.position.eff.saturating_add(1)));
        if entry.hlc.time() > now.plus_millis(CLOCK_AHEAD_MS_MAX) {
            return Ok(Decision::Refuse(Refusal::AheadOfClock));
        }
        let position = Position { eff, id: candidate.id };
        Ok(Decision::Accept(Entering { place, position, begins, absent }))
    }

    /// The place behind the candidate's previous entry: at the end of a chain, or at the beginning
    /// of a branch; `None` if the previous entry is not there.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn continues(
        &self,
        candidate: &Candidate,
        store: &dyn Store,
    ) -> Result<Option<(Result<Place, Refusal>, Option<Begins>)>, StoreError> {
        let (device, seq) = (candidate.device, candidate.entry().seq);
        let place = |author| Place { log: self.number, author, seq };
        let base = match candidate.entry().prev {
            None => None,
            Some(id) => match self.named(&Mark { device, seq: seq - 1, id }, store)? {
                Some((author, _)) => Some(author),
                None => return Ok(None),
            },
        };
        let ends = |chain: &Chain| chain.head.seq + 1 == seq;
        if let Some(author) = base
            && self.chain(author).is_some_and(ends)
        {
            return Ok(Some((Ok(place(author)), None)));
        }
        if self.histories(device) >= HISTORIES_MAX {
            return Ok(Some((Err(Refusal::Fork), None)));
        }
        let Some(author) = self.number_for(device) else {
            return Ok(Some((Err(Refusal::AuthorsFull), None)));
        };
        let rival = self.any_at(device, seq, store)?.map(|row| row.envelope);
        Ok(Some((Ok(place(author)), Some(Begins { base, rival }))))
    }

    /// The parents of an entry; `None` if one is to be waited for.
    fn parents(&self, entry: &Entry, store: &dyn Store) -> Result<Option<Parents>, StoreError> {
        let mut heads = Vec::with_capacity(entry.parents.len());
        let mut absent = Vec::new();
        for mark in &entry.parents {
            match self.named(mark, store)? {
                Some((_, head)) => heads.push(head),
                // Beyond a cut: it counts for nothing, here and everywhere.
                None if self.is_beyond_cut(mark, store)? => absent.push(*mark),
                // It may never come in, here; what answers it does.
                None if self.is_full_for(mark.device) => absent.push(*mark),
                None => return Ok(None),
            }
        }
        Ok(Some(Parents { heads, absent }))
    }

    /// Whether an entry that is not stored lies beyond the cut of its device: behind each entry that
    /// it names, or on another history than the one that leads to it.
    fn is_beyond_cut(&self, mark: &Mark, store: &dyn Store) -> Result<bool, StoreError> {
        let Some(Limit::Cut(Cut { lasts, .. })) = self.limits.get(&mark.device) else {
            return Ok(false);
        };
        for last in lasts {
            let is_beyond = mark.seq > last.seq
                || (mark.seq == last.seq && mark.id != last.id)
                || self.named(last, store)?.is_some()
                || self.is_off_the_way(mark, *last, store)?;
            if !is_beyond {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether an entry that is not stored is on another history than the one that leads to an entry
    /// that waits, perhaps for this very answer.
    fn is_off_the_way(
        &self,
        mark: &Mark,
        last: Mark,
        store: &dyn Store,
    ) -> Result<bool, StoreError> {
        let mut at = last;
        while let Some(prev) = self.pending.prev_of(at.device, (at.seq, at.id)) {
            at = Mark { seq: at.seq - 1, id: prev, ..at };
            if at.seq == mark.seq {
                return Ok(at.id != mark.id);
            }
            if self.named(&at, store)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a device is out for good.
    pub(super) fn is_out(&self, device: DeviceId) -> bool {
        matches!(self.limits.get(&device), Some(Limit::Cut(Cut { is_final: true, .. })))
    }

    /// How far a former device is believed in this log, if it is one.
    pub(crate) fn limit(&self, device: DeviceId) -> Option<&Limit> {
        self.limits.get(&device)
    }

    /// Whether a cut names an entry of the device that satisfies a condition.
    pub(super) fn is_cut_at(&self, device: DeviceId, condition: impl Fn(&Mark) -> bool) -> bool {
        matches!(self.limits.get(&device), Some(Limit::Cut(cut)) if cut.lasts.iter().any(condition))
    }
}
