//! At which places are we to be found, and whom do we look for there? (spec 23 R6)

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use libp2p::{PeerId, rendezvous::Namespace};

use super::limits::{MEETING_TIME, MEETINGS_MAX, NAMESPACES_MAX, REGISTER_PAUSE, REGISTER_RETRY};

/// The places of a node. Each bootstrap has all of them.
#[derive(Debug, Default)]
pub(super) struct Meetings {
    own: BTreeSet<String>,
    wanted: BTreeMap<String, Instant>,
    /// When we register anew, by bootstrap.
    register_at: BTreeMap<PeerId, Instant>,
}

impl Meetings {
    /// We are to be found at these places alone.
    /// Returns those at which we are to be found no more.
    pub(super) fn register(&mut self, namespaces: Vec<String>, now: Instant) -> Vec<Namespace> {
        let own: BTreeSet<String> = namespaces.into_iter().take(NAMESPACES_MAX).collect();
        if own == self.own {
            return Vec::new();
        }
        let before = std::mem::replace(&mut self.own, own);
        self.register_at.values_mut().for_each(|at| *at = now);
        before.difference(&self.own).filter_map(|gone| namespace(gone)).collect()
    }

    /// A registration has failed: soon again.
    pub(super) fn failed(&mut self, peer: PeerId, now: Instant) {
        if let Some(at) = self.register_at.get_mut(&peer) {
            *at = (*at).min(now + REGISTER_RETRY);
        }
    }

    /// Somebody is looked for at a place. Returns whether there was room.
    pub(super) fn look(&mut self, namespace: &str, now: Instant) -> bool {
        self.wanted.retain(|_, until| *until > now);
        if self.wanted.len() >= MEETINGS_MAX && !self.wanted.contains_key(namespace) {
            return false;
        }
        self.wanted.insert(namespace.to_owned(), now + MEETING_TIME);
        true
    }

    /// A bootstrap is there with a place of ours: where to look.
    pub(super) fn arrived(&mut self, peer: PeerId, now: Instant) -> Vec<Namespace> {
        self.register_at.insert(peer, now);
        self.wanted.retain(|_, until| *until > now);
        self.wanted.keys().filter_map(|wanted| namespace(wanted)).collect()
    }

    /// A bootstrap is gone.
    pub(super) fn left(&mut self, peer: PeerId) {
        self.register_at.remove(&peer);
    }

    /// The next bootstrap to register at, with all places.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(PeerId, Vec<Namespace>)> {
        let (peer, at) = self.register_at.iter_mut().find(|(_, at)| **at <= now)?;
        *at = now + REGISTER_PAUSE;
        Some((*peer, self.own.iter().filter_map(|own| namespace(own)).collect()))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.register_at.values().min().copied()
    }

    pub(super) fn reset(&mut self) {
        self.register_at.clear();
    }
}

/// A namespace as the protocol wants it.
pub(super) fn namespace(text: &str) -> Option<Namespace> {
    Namespace::new(text.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_registered_at_each_bootstrap_and_again_when_they_change() {
        let (mut meetings, now, relay) = (Meetings::default(), Instant::now(), PeerId::random());
        meetings.register(vec!["a".to_owned()], now);
        assert!(meetings.take_due(now).is_none(), "nobody is there");
        assert!(meetings.arrived(relay, now).is_empty());
        let (peer, places) = meetings.take_due(now).unwrap();
        assert_eq!((peer, places.len()), (relay, 1));
        assert!(meetings.take_due(now).is_none());
        meetings.register(vec!["a".to_owned()], now);
        assert!(meetings.take_due(now).is_none(), "nothing is new");
        meetings.register(vec!["a".to_owned(), "b".to_owned()], now);
        assert_eq!(meetings.take_due(now).unwrap().1.len(), 2);
        assert_eq!(meetings.deadline(), Some(now + REGISTER_PAUSE));
        meetings.failed(relay, now);
        assert_eq!(meetings.deadline(), Some(now + REGISTER_RETRY));
        let gone = meetings.register(vec!["b".to_owned()], now);
        assert_eq!(gone, [namespace("a").unwrap()]);
        meetings.left(relay);
        assert_eq!(meetings.deadline(), None);
    }

    #[test]
    fn somebody_is_looked_for_at_a_bootstrap_that_comes_soon_after() {
        let (mut meetings, now) = (Meetings::default(), Instant::now());
        for number in 0..MEETINGS_MAX {
            assert!(meetings.look(&number.to_string(), now));
        }
        assert!(!meetings.look("one more", now));
        let soon = now + MEETING_TIME / 2;
        assert_eq!(meetings.arrived(PeerId::random(), soon).len(), MEETINGS_MAX);
        let late = now + MEETING_TIME;
        assert!(meetings.arrived(PeerId::random(), late).is_empty());
        assert!(meetings.look("one more", late));
    }
}
