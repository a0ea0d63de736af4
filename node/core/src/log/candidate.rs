//! Is what a peer sent really by its author? Candidates, and the proof of who wrote them.

use kith_common::{
    entry::{self, Entry},
    envelope::{Signed, Verified},
    ids::{DeviceId, EntryId},
    time::Timestamp,
};

use crate::store::Body;

/// An entry that a peer sent: well-formed, its body checked, its author not yet certain.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) id: EntryId,
    pub(crate) device: DeviceId,
    pub(crate) envelope: Envelope,
    /// Whether its own signature was tried and does not hold.
    pub(crate) doubted: bool,
    pub(crate) body: Body,
    /// When it came, if it was here before.
    pub(crate) received_at: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) enum Envelope {
    Authentic(Verified<Entry>),
    Doubtful(Signed<Entry>),
}

impl Candidate {
    pub(crate) const fn entry(&self) -> &Entry {
        match &self.envelope {
            Envelope::Authentic(verified) => verified.value(),
            Envelope::Doubtful(signed) => signed.claim(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let envelope = match &self.envelope {
            Envelope::Authentic(verified) => verified.bytes().len(),
            Envelope::Doubtful(signed) => signed.bytes().len(),
        };
        envelope + self.body.bytes().map_or(0, <[u8]>::len)
    }
}

/// One signature check for each chain in the batch: the newest entry is verified singly, and each
/// older one is authentic because the one behind it names it (spec 03 R4).
pub(super) fn authenticate(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut done: Vec<Candidate> = Vec::with_capacity(candidates.len());
    // Position in `done` of the newest authentic entry of each device in the batch.
    let mut newest: Vec<(DeviceId, usize)> = Vec::new();
    for mut candidate in candidates.into_iter().rev() {
        if let Envelope::Doubtful(signed) = candidate.envelope {
            let at = newest.iter().position(|(device, _)| *device == candidate.device);
            let successor = at.and_then(|at| newest.get(at)).and_then(|(_, at)| done.get(*at));
            candidate.envelope = authenticate_one(signed, candidate.id, successor);
            candidate.doubted = matches!(candidate.envelope, Envelope::Doubtful(_));
            if matches!(candidate.envelope, Envelope::Authentic(_)) {
                match at.and_then(|at| newest.get_mut(at)) {
                    Some(slot) => slot.1 = done.len(),
                    None => newest.push((candidate.device, done.len())),
                }
            }
        }
        done.push(candidate);
    }
    done.reverse();
    done
}

fn authenticate_one(signed: Signed<Entry>, id: EntryId, successor: Option<&Candidate>) -> Envelope {
    let signed = match successor.map(|candidate| &candidate.envelope) {
        Some(Envelope::Authentic(successor)) => match entry::vouched(signed, id, successor) {
            Ok(verified) => return Envelope::Authentic(verified),
            Err(signed) => signed,
        },
        _ => signed,
    };
    match signed.verify() {
        Ok(verified) => Envelope::Authentic(verified),
        Err((_, signed)) => Envelope::Doubtful(signed),
    }
}

pub(super) fn candidate_bytes(candidate: &Candidate) -> Box<[u8]> {
    match &candidate.envelope {
        Envelope::Authentic(verified) => verified.bytes().into(),
        Envelope::Doubtful(signed) => signed.bytes().into(),
    }
}
