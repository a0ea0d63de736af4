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
    /// A frame on its way from an honest node to whoever sits at the other end.
    pub(crate) fn check_entitled(&self, from: usize, to: usize, bytes: &[u8]) {
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        let same = from.account == to.account;
        let shared = |log: LogId| {
            let with = |person: &crate::sim::people::Person| {
                log == LogId::direct(from.account, person.account.id())
            };
            let own = same && (log == LogId::own(from.account) || self.people.iter().any(with));
            own || log == LogId::direct(from.account, to.account)
        };
        let pair = (from.person.min(to.person), from.person.max(to.person));
        let known = || same || self.knows(from.engine(), to.account);
        // One input may bring several words of our other devices: known at first, not at last.
        let was_known = || known() || self.friends.contains(&pair);
        let stands = || from.engine().is_trusted(to.device);
        let frame = Frame::decode(bytes).expect("honest frames are well-formed");
        match frame.expect("honest frames are known") {
            Frame::Hello { .. } | Frame::Request { .. } => {}
            Frame::Join { .. } | Frame::Offer { .. } | Frame::Accept { .. } => {}
            Frame::Certificate { .. } => {
                assert!(was_known(), "a certificate for a stranger");
                assert!(stands(), "a certificate for a device that is out");
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
            Frame::Want { log, .. } => assert!(shared(log), "bodies of another log"),
            Frame::AccountHeads { .. } | Frame::Hints { .. } => {
                assert!(same && stands(), "what we know of others goes to our own devices only");
            }
            Frame::Accounts { proofs } => {
                for proof in proofs {
                    let account = Account::fold(&proof).expect("honest proofs hold").id();
                    let concerned = account == from.account || account == to.account;
                    assert!(concerned || (same && stands()), "an account that is not theirs");
                    assert!(was_known(), "an account for a stranger");
                }
            }
        }
    }

    #[expect(clippy::unused_self, reason = "stands beside its caller")]
    fn knows(&self, engine: &kith_core::engine::Engine, account: AccountId) -> bool {
        engine.contact(account).is_some_and(|contact| contact.status.is_known())
    }
}
