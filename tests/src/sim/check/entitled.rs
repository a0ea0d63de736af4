//! Does anybody get a byte that is not meant for them? Looked at when a frame leaves a node.

use kith_common::{
    account::Account,
    envelope::Signed,
    frame::Frame,
    frontier::Frontier,
    ids::{AccountId, LogId},
};

use crate::sim::World;

impl World {
    /// A frame on its way from an honest node to whoever sits at the other end, trusted before what
    /// made the node say it or not.
    pub(crate) fn check_entitled(
        &self,
        (from, to): (usize, usize),
        was_trusted: bool,
        bytes: &[u8],
    ) {
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        let (ours, theirs) = (self.accounts_of(from.person), self.accounts_of(to.person));
        let same = ours == theirs;
        let direct = |log: LogId, theirs: &[AccountId]| {
            let with =
                |own: &AccountId| theirs.iter().any(|other| log == LogId::direct(*own, *other));
            ours.iter().any(with)
        };
        let everybody: Vec<AccountId> =
            self.people.iter().map(|person| person.account.id()).collect();
        let shared = |log: LogId| {
            let own = same && ours.iter().any(|account| log == LogId::own(*account));
            own || (same && direct(log, &everybody)) || direct(log, &theirs)
        };
        let known = || same || theirs.iter().any(|account| self.knows(from.engine(), *account));
        // One input may bring several words of our other devices: known at first, not at last.
        let friends = |(one, other): &(usize, usize)| {
            let pair = (self.accounts_of(*one), self.accounts_of(*other));
            pair == (ours.clone(), theirs.clone()) || pair == (theirs.clone(), ours.clone())
        };
        let was_known = || known() || self.friends.iter().any(friends);
        let stands = || from.engine().is_trusted(to.device);
        let frame = Frame::decode(bytes).expect("honest frames are well-formed");
        match frame.expect("honest frames are known") {
            Frame::Hello { .. } | Frame::Request { .. } => {}
            Frame::Join { .. } | Frame::Offer { .. } | Frame::Accept { .. } => {}
            Frame::Certificate { .. } => {
                assert!(was_known(), "a certificate for a stranger");
                // One input may bring several accounts: it was given before the last one.
                assert!(
                    was_trusted || stands(),
                    "a certificate by {} for {}, which is out",
                    from.name,
                    to.name
                );
            }
            Frame::Frontiers { frontiers, .. } => {
                for envelope in frontiers {
                    let frontier = Signed::<Frontier>::decode(&envelope).expect("well-formed");
                    assert!(shared(frontier.claim().log), "a frontier of another log");
                }
                assert!(stands(), "a frontier for a device that is out");
            }
            Frame::Entries { log, .. } => {
                assert!(shared(log), "entries of another log");
                assert!(known(), "entries for a stranger");
                assert!(stands(), "entries for a device that is out");
            }
            Frame::Packages { .. } => {
                assert!(known() && stands(), "packages for a stranger or a device that is out");
            }
            Frame::Who { .. } | Frame::Card { .. } => {}
            Frame::Seek { .. } | Frame::Records { .. } => {
                assert!(known() && stands(), "records for a stranger or a device that is out");
            }
            Frame::Want { log, .. } => assert!(shared(log), "bodies of another log"),
            Frame::AccountHeads { .. } | Frame::Hints { .. } => {
                assert!(same && stands(), "what we know of others goes to our own devices only");
            }
            Frame::Accounts { proofs } => {
                for proof in proofs {
                    let account = Account::fold(&proof).expect("honest proofs hold").id();
                    let concerned = ours.contains(&account) || theirs.contains(&account);
                    assert!(concerned || (same && stands()), "an account that is not theirs");
                    assert!(was_known(), "an account for a stranger");
                }
            }
        }
    }

    /// All accounts of a person, those included that are one by merging.
    fn accounts_of(&self, person: usize) -> Vec<AccountId> {
        let one = |other: &usize| {
            *other == person
                || self.one.contains(&(person, *other))
                || self.one.contains(&(*other, person))
        };
        (0..self.people.len()).filter(one).map(|person| self.account(person)).collect()
    }

    #[expect(clippy::unused_self, reason = "stands beside its caller")]
    fn knows(&self, engine: &kith_core::engine::Engine, account: AccountId) -> bool {
        engine.contact(account).is_some_and(|contact| contact.status.is_known())
    }
}
