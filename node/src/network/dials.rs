//! Which addresses are being dialled, and which are next?

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};

use super::{
    LinkId,
    limits::{DIALS_RUNNING_MAX, DIALS_WAITING_MAX},
};

/// A dial that is under way until its link is up or has failed.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) address: Multiaddr,
    pub(super) purpose: Purpose,
}

/// What somebody is dialled for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// A link.
    Link,
    /// A link in the place of this one.
    Renew(LinkId),
    /// A connection through a relay, on which a straight one to this peer is agreed.
    Punch(PeerId),
}

/// The dials of a node: each address at most once.
#[derive(Debug, Default)]
pub(super) struct Dials {
    waiting: BTreeMap<Multiaddr, Instant>,
    running: HashMap<ConnectionId, Attempt>,
}

/// There is no room for another address.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) struct Full;

impl Dials {
    /// Dials an address when `due`, unless it waits or is being dialled already.
    pub(super) fn want(&mut self, address: Multiaddr, due: Instant) -> Result<(), Full> {
        if self.is_running(&address) {
            return Ok(());
        }
        if let Some(at) = self.waiting.get_mut(&address) {
            *at = due.min(*at);
            return Ok(());
        }
        if self.waiting.len() >= DIALS_WAITING_MAX {
            return Err(Full);
        }
        self.waiting.insert(address, due);
        Ok(())
    }

    /// The next address that may be dialled now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Multiaddr> {
        if self.deadline()? > now {
            return None;
        }
        let address = self.waiting.iter().min_by_key(|(_, at)| **at)?.0.clone();
        self.waiting.remove(&address);
        Some(address)
    }

    /// When the next address is due; `None` while nothing may be dialled.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let may = self.running.len() < DIALS_RUNNING_MAX;
        self.waiting.values().min().copied().filter(|_| may)
    }

    pub(super) fn started(&mut self, connection: ConnectionId, attempt: Attempt) {
        self.running.insert(connection, attempt);
    }

    /// Ends an attempt, for better or worse.
    pub(super) fn ended(&mut self, connection: ConnectionId) -> Option<Attempt> {
        self.running.remove(&connection)
    }

    /// Whether a connection was dialled to agree on a straight one.
    pub(super) fn is_punch(&self, connection: ConnectionId) -> bool {
        let attempt = self.running.get(&connection);
        attempt.is_some_and(|attempt| matches!(attempt.purpose, Purpose::Punch(_)))
    }

    /// Ends all attempts: their connections are gone.
    pub(super) fn reset(&mut self) {
        self.running.clear();
    }

    fn is_running(&self, address: &Multiaddr) -> bool {
        self.running.values().any(|attempt| attempt.address == *address)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(port: usize) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()
    }

    fn attempt(port: usize) -> Attempt {
        Attempt { address: address(port), purpose: Purpose::Link }
    }

    #[test]
    fn an_address_is_dialled_once_at_a_time() {
        let (mut dials, now) = (Dials::default(), Instant::now());
        let id = ConnectionId::new_unchecked(1);
        dials.want(address(1), now).unwrap();
        dials.want(address(1), now).unwrap();
        assert_eq!(dials.take_due(now), Some(address(1)));
        assert_eq!(dials.take_due(now), None);
        dials.started(id, attempt(1));
        dials.want(address(1), now).unwrap();
        assert_eq!(dials.take_due(now), None);
        assert_eq!(dials.ended(id).unwrap().address, address(1));
        dials.want(address(1), now).unwrap();
        assert_eq!(dials.take_due(now), Some(address(1)));
    }

    #[test]
    fn the_earliest_comes_first_and_none_before_its_time() {
        let (mut dials, now) = (Dials::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        dials.want(address(1), later).unwrap();
        dials.want(address(2), now).unwrap();
        assert_eq!(dials.take_due(now), Some(address(2)));
        assert_eq!(dials.take_due(now), None);
        assert_eq!(dials.deadline(), Some(later));
        assert_eq!(dials.take_due(later), Some(address(1)));
    }

    #[test]
    fn both_queues_are_bounded() {
        let (mut dials, now) = (Dials::default(), Instant::now());
        for port in 1..=DIALS_WAITING_MAX {
            dials.want(address(port), now).unwrap();
        }
        assert_eq!(dials.want(address(0), now), Err(Full));
        for running in 0..DIALS_RUNNING_MAX {
            assert!(dials.take_due(now).is_some());
            dials.started(ConnectionId::new_unchecked(running), attempt(60_000 + running));
        }
        assert_eq!(dials.take_due(now), None);
        assert_eq!(dials.deadline(), None);
    }
}
