//! Does anybody get a byte that is not meant for them? Looked at when a frame leaves a node.

use kith_common::{
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
        let shared = LogId::direct(from.account, to.account);
        let frame = Frame::decode(bytes).expect("honest frames are well-formed");
        match frame.expect("honest frames are known") {
            Frame::Hello { .. } | Frame::Request { .. } => {}
            Frame::Certificate { .. } => {
                assert!(self.knows(from.engine(), to.account), "a certificate for a stranger");
            }
            Frame::Frontiers { frontiers, .. } => {
                for envelope in frontiers {
                    let frontier = Signed::<Frontier>::decode(&envelope).expect("well-formed");
                    assert_eq!(frontier.claim().log, shared, "a frontier of another log");
                }
            }
            Frame::Entries { log, .. } => {
                assert_eq!(log, shared, "entries of another log");
                assert!(self.knows(from.engine(), to.account), "entries for a stranger");
            }
        }
    }

    #[expect(clippy::unused_self, reason = "stands beside its caller")]
    fn knows(&self, engine: &kith_core::engine::Engine, account: AccountId) -> bool {
        engine.contact(account).is_some_and(|contact| contact.status.is_known())
    }
}
