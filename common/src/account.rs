//! Which devices speak for a person? (spec 02)
//!
//! An account is a set of signed envelopes: a [`Genesis`], a [`Seat`] of the recovery key that
//! names the first devices, and what these say: [`DeviceAdd`], [`DeviceUntrust`], [`DeviceRetire`]
//! and [`Checkpoint`]; [`MovedTo`] and [`Absorbs`] if two accounts become one. [`Account::fold`] is a
//! pure function of the set; the order never matters.
//!
//! ```text
//!            a quorum signs one list          and again
//!   Seat ───────────────────────► checkpoint ───────────► last base
//!   (recovery key)                                          │ additions, votes, retirements
//!                                                           ▼
//!                                                 standing of every device
//! ```
//!
//! | file | answers |
//! |---|---|
//! | `operation` | what can be said about an account? |
//! | `pool` | which envelopes are there, and which of them hold? |
//! | `chain` | from the seat by which checkpoints to which last base? |
//! | `standing` | who stands on the last base? |
//! | `proof` | which envelopes are kept and handed on? |
//! | `absorbing` | which other accounts does it go on for, and whom does it take in from them? |
//! | `merging` | how do two accounts become one, and which one is it then? |
//! | `making` | how does a device say something about its account? |
//! | `cut` | how far is a former device's chain believed? |
//! | `certificate` | which device stands behind a transport? |
//!
//! **Invariant:** what comes later never takes back a checkpoint; a device counts only with two
//! signatures, its own and that of somebody who may name it; a device that is not settled has no
//! vote.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::{
    codec::DecodeError,
    ids::{AccountId, BaseId, DeviceId, EntryId},
    limits::{ABSORBED_ACCOUNTS_MAX, ACCOUNT_PROOF_BYTES_MAX, ACCOUNT_PROOF_ENVELOPES_MAX},
};

mod absorbing;
mod certificate;
mod chain;
mod cut;
mod lists;
mod making;
mod merging;
mod operation;
mod pool;
mod proof;
mod standing;

pub use self::{
    certificate::TransportCert,
    cut::{Believed, Cut, CutWord, Last},
    making::OperationError,
    merging::{Absorbs, MovedTo, ends_up, merged},
    operation::{
        Checkpoint, DeviceAck, DeviceAdd, DeviceKeys, DeviceRetire, DeviceUntrust, Genesis, Seat,
        Untrust, acknowledge,
    },
    standing::{Former, Reason, Standing, Vote},
};
use self::{
    chain::{Decision, LastBase, Signature, follow, quorum},
    pool::{HeldSeat, Pool},
    proof::{Kept, head, keep},
    standing::{Invitation, Sayings, decide, welcome},
};

/// Why an account proof was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The genesis is not well-formed.
    #[error("the genesis is not well-formed: {0}")]
    Genesis(DecodeError),
    /// The signature of the genesis does not hold.
    #[error("the signature of the genesis does not hold")]
    Signature,
    /// No seat holds.
    #[error("no seat of the account holds")]
    Seat,
    /// More envelopes or bytes than an account may have.
    #[error("the account proof has more than {0} envelopes or bytes")]
    TooLarge(usize),
    /// No envelope at all.
    #[error("the account proof is empty")]
    Empty,
}

/// A list of devices that some have signed and no quorum has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCheckpoint {
    /// The devices that would be settled.
    pub devices: Vec<DeviceKeys>,
    /// Who has signed.
    pub signed: BTreeSet<DeviceId>,
    /// Who could still sign.
    pub missing: BTreeSet<DeviceId>,
    /// How many signatures are needed.
    pub quorum: usize,
}

/// An account to which some would move this one and no quorum would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMove {
    /// The account that would stay.
    pub to: AccountId,
    /// Who has signed.
    pub signed: BTreeSet<DeviceId>,
    /// Who could still sign.
    pub missing: BTreeSet<DeviceId>,
    /// How many signatures are needed.
    pub quorum: usize,
}

/// An account as its envelopes prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    id: AccountId,
    recovery: [u8; 32],
    epoch: u64,
    /// The seat; `None` if there are two.
    seat: Option<BaseId>,
    /// What operations build on; `None` if nobody decides.
    base: Option<BaseId>,
    settled: BTreeMap<DeviceId, [u8; 32]>,
    /// Authority keys of added devices.
    added: BTreeMap<DeviceId, [u8; 32]>,
    standings: BTreeMap<DeviceId, Standing>,
    votes: Vec<Vote>,
    pending: Vec<PendingCheckpoint>,
    /// Where it has moved by the word of the recovery key, and of a quorum.
    last_word: Option<AccountId>,
    moved: Option<AccountId>,
    pending_moves: Vec<PendingMove>,
    absorbed: BTreeSet<AccountId>,
    /// Devices of absorbed accounts that may come in and are not there.
    invited: BTreeSet<DeviceId>,
    proof: Vec<Box<[u8]>>,
    head: EntryId,
}

impl Account {
    /// The account that a set of envelopes proves: the genesis, then the others in any order.
    ///
    /// What does not belong, does not verify or does not count is left out: a holder cannot spoil
    /// a proof by adding to it.
    ///
    /// # Errors
    /// If the genesis or every seat does not hold, or the proof is too large.
    pub fn fold<B: AsRef<[u8]>>(proof: &[B]) -> Result<Self, AccountError> {
        bounded(proof)?;
        Self::of(Pool::read(proof, BTreeSet::new())?)
    }

    /// The account with what somebody else knows of it (R17).
    ///
    /// # Errors
    /// If there is more than a proof may hold.
    pub fn join<B: AsRef<[u8]>>(&self, envelopes: &[B]) -> Result<Self, AccountError> {
        bounded(envelopes)?;
        let own = self.proof.iter().map(|bytes| &**bytes);
        let both: Vec<&[u8]> = own.chain(envelopes.iter().map(AsRef::as_ref)).collect();
        // Our own were verified before.
        let known = self.proof.iter().map(|bytes| EntryId::of(bytes)).collect();
        Self::of(Pool::read(&both, known)?)
    }

    fn of(mut pool: Pool) -> Result<Self, AccountError> {
        let seats = pool.seats();
        match seats.as_slice() {
            [] => Err(AccountError::Seat),
            [seat] => {
                let last_word = pool.last_word(seat);
                let base = follow(&mut pool, seat);
                let kept = keep(&mut pool, seat, &base, last_word.as_ref());
                let to = last_word.map(|word| word.value().to);
                Ok(Self::on_base(&pool, seat, base, kept, to))
            }
            [first, ..] => Ok(Self::in_two_hands(pool, first.epoch, &seats)),
        }
    }

    /// Two seats of one epoch: the recovery key is in two hands (R5).
    fn in_two_hands(pool: Pool, epoch: u64, seats: &[HeldSeat]) -> Self {
        let dropped = seats.iter().flat_map(|seat| &seat.dropped);
        let mut standings: BTreeMap<DeviceId, Standing> =
            dropped.map(|device| (*device, LEFT_OUT)).collect();
        let named = seats.iter().flat_map(|seat| seat.devices.keys());
        standings.extend(named.map(|device| (*device, Standing::Disputed)));
        let proof: Vec<Box<[u8]>> =
            [pool.genesis].into_iter().chain(seats.iter().map(|seat| seat.bytes.clone())).collect();
        let absorbed: BTreeSet<AccountId> =
            seats.iter().flat_map(|seat| &seat.absorbed).copied().collect();
        Self {
            id: pool.account,
            recovery: pool.recovery,
            epoch,
            seat: None,
            base: None,
            settled: BTreeMap::new(),
            added: BTreeMap::new(),
            standings,
            votes: Vec::new(),
            pending: Vec::new(),
            last_word: None,
            moved: None,
            pending_moves: Vec::new(),
            absorbed: absorbed.into_iter().take(ABSORBED_ACCOUNTS_MAX).collect(),
            invited: BTreeSet::new(),
            head: head(&proof),
            proof,
        }
    }

    fn on_base(
        pool: &Pool,
        seat: &HeldSeat,
        base: LastBase,
        kept: Kept,
        last_word: Option<AccountId>,
    ) -> Self {
        let mut invitations: BTreeMap<DeviceId, Vec<Invitation>> = BTreeMap::new();
        for addition in &base.additions {
            let by = (addition.by, addition.keys.authority);
            invitations.entry(addition.keys.device).or_default().push(by);
        }
        let mut standings: BTreeMap<DeviceId, Standing> =
            base.out.iter().map(|device| (*device, LEFT_OUT)).collect();
        if base.fork.is_empty() {
            standings.extend(decide(&Sayings {
                settled: &base.settled.keys().copied().collect(),
                added: &invitations,
                invited: &kept.invited,
                retired: &kept.retired,
                votes: &kept.votes,
            }));
        } else {
            let lists = base.fork.iter().flat_map(|signed| match &signed.decision {
                Decision::List { devices, .. } => devices.as_slice(),
                Decision::Move(_) => &[],
            });
            let named = lists.map(|keys| &keys.device).chain(base.settled.keys());
            named.for_each(|device| {
                standings.entry(*device).or_insert(Standing::Disputed);
            });
        }
        let (pending, pending_moves) = pending(&base.settled, kept.waiting);
        Self {
            id: pool.account,
            recovery: pool.recovery,
            epoch: seat.epoch,
            seat: Some(seat.id),
            base: base.fork.is_empty().then_some(base.id),
            added: authorities(&invitations, &standings),
            invited: welcome(&kept.invited, &standings),
            standings,
            pending,
            last_word,
            moved: base.moved.map(|(to, _)| to),
            pending_moves,
            absorbed: kept.absorbed,
            settled: base.settled,
            votes: kept.votes,
            head: head(&kept.proof),
            proof: kept.proof,
        }
    }

    /// The account's name.
    pub const fn id(&self) -> AccountId {
        self.id
    }

    /// The public half of the recovery key.
    pub const fn recovery(&self) -> &[u8; 32] {
        &self.recovery
    }

    /// How often the recovery key has spoken, as it counts itself.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the next operation builds on; `None` if only the recovery key can decide.
    pub const fn base(&self) -> Option<BaseId> {
        self.base
    }

    /// Names what is known of the account: a digest over all envelopes of the proof.
    pub const fn head(&self) -> EntryId {
        self.head
    }

    /// The envelopes that prove the account, genesis first.
    pub fn proof(&self) -> &[Box<[u8]>] {
        &self.proof
    }

    /// How a device stands; `None` if the account never named it, or has forgotten it.
    pub fn standing(&self, device: DeviceId) -> Option<Standing> {
        self.standings.get(&device).copied()
    }

    /// How every device stands, in the order of their ids.
    pub fn standings(&self) -> impl ExactSizeIterator<Item = (DeviceId, Standing)> {
        self.standings.iter().map(|(device, standing)| (*device, *standing))
    }

    /// The devices that speak for the account, in the order of their ids.
    pub fn devices(&self) -> impl ExactSizeIterator<Item = DeviceId> {
        let standing = self.standings().filter(|(_, standing)| standing.stands());
        standing.map(|(device, _)| device).collect::<Vec<_>>().into_iter()
    }

    /// Whether a device speaks for the account.
    pub fn has(&self, device: DeviceId) -> bool {
        self.standing(device).is_some_and(Standing::stands)
    }

    /// The devices that are frozen until somebody decides.
    pub fn disputed(&self) -> impl Iterator<Item = DeviceId> {
        let disputed = self.standings().filter(|(_, standing)| *standing == Standing::Disputed);
        disputed.map(|(device, _)| device)
    }

    /// Whether any device is frozen.
    pub fn is_disputed(&self) -> bool {
        self.disputed().next().is_some()
    }

    /// The devices that are out, and why.
    pub fn former(&self) -> impl Iterator<Item = (DeviceId, Former)> {
        self.standings().filter_map(|(device, standing)| match standing {
            Standing::Former(former) => Some((device, former)),
            Standing::Settled | Standing::Added | Standing::Disputed => None,
        })
    }

    /// The authority key of a device of the last base; `None` also if two are claimed for it.
    pub fn authority_of(&self, device: DeviceId) -> Option<[u8; 32]> {
        self.settled.get(&device).or_else(|| self.added.get(&device)).copied()
    }

    /// The votes on the last base.
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// The lists that wait for a quorum, those with most signatures first.
    pub fn pending_checkpoints(&self) -> &[PendingCheckpoint] {
        &self.pending
    }

    /// The account that goes on for this one, by the word of the recovery key or of a quorum (R22).
    /// Whether that account agrees is for [`merged`] to say.
    pub fn moved_to(&self) -> Option<AccountId> {
        self.last_word.or(self.moved)
    }

    /// The accounts to which some would move this one, those with most signatures first.
    pub fn pending_moves(&self) -> &[PendingMove] {
        &self.pending_moves
    }

    /// The accounts that this one goes on for, ascending, at most [`ABSORBED_ACCOUNTS_MAX`] (R23).
    /// Whether they have moved here is for [`merged`] to say.
    pub fn absorbed(&self) -> impl ExactSizeIterator<Item = AccountId> {
        self.absorbed.iter().copied()
    }

    /// Whether a device of an absorbed account that is not there may come in: a settled device that
    /// stands names it on the last base, and nothing is held against it (R24).
    pub fn invites(&self, device: DeviceId) -> bool {
        self.invited.contains(&device)
    }

    /// The devices that may come in and are not there, ascending.
    pub fn invited(&self) -> impl ExactSizeIterator<Item = DeviceId> {
        self.invited.iter().copied()
    }

    /// Whether this account goes on for another one.
    pub fn has_absorbed(&self, other: AccountId) -> bool {
        self.absorbed.contains(&other)
    }
}

const LEFT_OUT: Standing = Standing::Former(Former { reason: Reason::LeftOut, is_final: true });

fn bounded<B: AsRef<[u8]>>(proof: &[B]) -> Result<(), AccountError> {
    if proof.len() > ACCOUNT_PROOF_ENVELOPES_MAX {
        return Err(AccountError::TooLarge(ACCOUNT_PROOF_ENVELOPES_MAX));
    }
    if proof.iter().map(|bytes| bytes.as_ref().len()).sum::<usize>() > ACCOUNT_PROOF_BYTES_MAX {
        return Err(AccountError::TooLarge(ACCOUNT_PROOF_BYTES_MAX));
    }
    Ok(())
}

/// The authority key of each added device of which all sound inviters say the same; those of
/// devices without a sound inviter too, if all say the same.
fn authorities(
    invitations: &BTreeMap<DeviceId, Vec<Invitation>>,
    standings: &BTreeMap<DeviceId, Standing>,
) -> BTreeMap<DeviceId, [u8; 32]> {
    let one = |list: &[Invitation]| {
        let stands = |by: &DeviceId| standings.get(by).is_some_and(|standing| standing.stands());
        let mut sound: BTreeSet<[u8; 32]> =
            list.iter().filter(|(by, _)| stands(by)).map(|(_, authority)| *authority).collect();
        if sound.is_empty() {
            sound = list.iter().map(|(_, authority)| *authority).collect();
        }
        sound.pop_first().filter(|_| sound.is_empty())
    };
    invitations.iter().filter_map(|(device, list)| Some((*device, one(list)?))).collect()
}

/// The decisions that wait, those with most signatures first.
fn pending(
    settled: &BTreeMap<DeviceId, [u8; 32]>,
    waiting: Vec<Signature>,
) -> (Vec<PendingCheckpoint>, Vec<PendingMove>) {
    let mut signers: BTreeMap<Decision, BTreeSet<DeviceId>> = BTreeMap::new();
    for Signature { by, decision, .. } in waiting {
        signers.entry(decision).or_default().insert(by);
    }
    let mut signers: Vec<(Decision, BTreeSet<DeviceId>)> = signers.into_iter().collect();
    signers.sort_by_key(|(_, signed)| core::cmp::Reverse(signed.len()));
    let quorum = quorum(settled.len());
    let (mut lists, mut moves) = (Vec::new(), Vec::new());
    for (decision, signed) in signers {
        let missing = settled.keys().filter(|device| !signed.contains(device)).copied().collect();
        match decision {
            Decision::List { devices, .. } => {
                lists.push(PendingCheckpoint { devices, signed, missing, quorum });
            }
            Decision::Move(to) => moves.push(PendingMove { to, signed, missing, quorum }),
        }
    }
    (lists, moves)
}
