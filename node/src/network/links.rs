//! Which links are up, and when are they renewed?
//!
//! The keys of a connection live for an hour. Then the side that dialled it dials again and closes
//! the old connection once the new one is up. Who cannot be reached again that way keeps the old
//! connection for a few more attempts and then loses it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};

use super::{
    LinkId,
    carrier::Closing,
    limits::{ALIASES_MAX, RENEWAL_ATTEMPTS_MAX},
};

/// The links of a node.
#[derive(Debug)]
pub(super) struct Links {
    links: BTreeMap<LinkId, Link>,
    renewal: Duration,
}

/// A link and the connection it lives on.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: ConnectionId,
    pub(super) peer: PeerId,
    pub(super) since: Instant,
    /// Whether it leads through a relay.
    pub(super) relayed: bool,
    /// The address we dialled and others that lead to the same peer; empty if the peer dialled.
    addresses: Vec<Multiaddr>,
    closing: Closing,
    /// The link whose place this one takes.
    replaces: Option<LinkId>,
    renewals_failed: u32,
    /// `None` while it is being renewed.
    renew_at: Option<Instant>,
}

/// What is to be done about an old link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Renew {
    pub(super) link: LinkId,
    pub(super) address: Multiaddr,
}

/// A connection that just got its link.
#[derive(Debug)]
pub(super) struct NewLink {
    pub(super) link: LinkId,
    pub(super) connection: ConnectionId,
    pub(super) peer: PeerId,
    /// The address, if we dialled.
    pub(super) dialled: Option<Multiaddr>,
    /// Whether it leads through a relay.
    pub(super) relayed: bool,
    pub(super) replaces: Option<LinkId>,
    pub(super) closing: Closing,
}

impl Links {
    pub(super) const fn new(renewal: Duration) -> Self {
        Self { links: BTreeMap::new(), renewal }
    }

    /// Adds a link; `random` spreads its renewal.
    pub(super) fn insert(&mut self, new: NewLink, now: Instant, random: u64) {
        let age = match new.dialled {
            Some(_) => jittered(self.renewal, random),
            // The dialling side renews; one that never does is closed in the end.
            None => self.renewal.saturating_mul(2),
        };
        let link = Link {
            connection: new.connection,
            peer: new.peer,
            since: now,
            relayed: new.relayed,
            addresses: new.dialled.into_iter().collect(),
            closing: new.closing,
            replaces: new.replaces,
            renewals_failed: 0,
            renew_at: now.checked_add(age),
        };
        self.links.insert(new.link, link);
    }

    pub(super) fn get(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(super) fn remove(&mut self, link: LinkId) -> Option<Link> {
        self.links.remove(&link)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Forgets all links: their connections are gone.
    pub(super) fn clear(&mut self) {
        self.links.clear();
    }

    pub(super) fn closings(&self) -> impl Iterator<Item = &Closing> {
        self.links.values().map(|link| &link.closing)
    }

    /// Connections whose link takes nothing more.
    pub(super) fn leaving(&self) -> impl Iterator<Item = ConnectionId> {
        let leaving = self.links.values().filter(|link| link.closing.is_closing());
        leaving.map(|link| link.connection)
    }

    pub(super) fn is_dialled(&self, address: &Multiaddr) -> bool {
        self.staying().any(|(_, link)| link.addresses.contains(address))
    }

    pub(super) fn is_connected(&self, peer: PeerId) -> bool {
        self.staying().any(|(_, link)| link.peer == peer)
    }

    /// A link through a relay to this peer.
    pub(super) fn relayed_to(&self, peer: PeerId) -> Option<LinkId> {
        let mut links = self.staying();
        links.find(|(_, link)| link.relayed && link.peer == peer).map(|(id, _)| id)
    }

    /// The address by which we have reached the other end of a link, if we did.
    pub(super) fn address_of(&self, link: LinkId) -> Option<&Multiaddr> {
        self.links.get(&link)?.addresses.first()
    }

    /// Remembers a further address of a peer that we have dialled.
    pub(super) fn alias(&mut self, peer: PeerId, address: Multiaddr) {
        let mut links = self.links.values_mut();
        let dialled = links.find(|link| link.peer == peer && !link.addresses.is_empty());
        if let Some(link) = dialled.filter(|link| link.addresses.len() < ALIASES_MAX) {
            link.addresses.push(address);
        }
    }

    /// The new link is up: the one it replaces can go, if it led to the same peer.
    pub(super) fn up(&mut self, link: LinkId, now: Instant) {
        let Some(new) = self.links.get_mut(&link) else { return };
        let (Some(old), peer) = (new.replaces.take(), new.peer) else { return };
        if !new.relayed {
            self.retire_relayed(peer);
        }
        match self.links.get(&old) {
            Some(old) if old.peer == peer => old.closing.retire.cancel(),
            _ => self.renewal_failed(old, now),
        }
    }

    /// There is a straight link to this peer: those through relays can go.
    pub(super) fn retire_relayed(&self, peer: PeerId) {
        let relayed = self.links.values().filter(|it| it.relayed && it.peer == peer);
        relayed.for_each(|it| it.closing.retire.cancel());
    }

    /// The link has carried enough: renew it now.
    pub(super) fn worn(&mut self, link: LinkId, now: Instant) {
        if let Some(link) = self.links.get_mut(&link)
            && !link.addresses.is_empty()
            && link.renew_at.is_some()
        {
            link.renew_at = Some(now);
        }
    }

    /// A renewal failed: try again soon, a few times.
    pub(super) fn renewal_failed(&mut self, link: LinkId, now: Instant) {
        let wait = self.renewal / 60;
        if let Some(link) = self.links.get_mut(&link) {
            link.renewals_failed += 1;
            link.renew_at = now.checked_add(wait);
        }
    }

    /// The next link to dial anew. Links that cannot or need not be replaced first are closed.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Renew> {
        loop {
            let is_due = |link: &Link| link.renew_at.is_some_and(|at| at <= now);
            let (id, link) = self.staying().find(|(_, link)| is_due(link))?;
            let other = self.staying().any(|(other, link2)| other != id && link2.peer == link.peer);
            let spent = link.renewals_failed >= RENEWAL_ATTEMPTS_MAX;
            let renew = link.addresses.first().filter(|_| !other && !spent).cloned();
            if renew.is_none() {
                link.closing.retire.cancel();
            }
            if let Some(link) = self.links.get_mut(&id) {
                link.renew_at = None;
            }
            if let Some(address) = renew {
                return Some(Renew { link: id, address });
            }
        }
    }

    /// When the next link is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.staying().filter_map(|(_, link)| link.renew_at).min()
    }

    fn staying(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        let staying = self.links.iter().filter(|(_, link)| !link.closing.is_closing());
        staying.map(|(id, link)| (*id, link))
    }
}

/// The interval give or take a tenth.
fn jittered(interval: Duration, random: u64) -> Duration {
    let thousandths = 900 + u32::try_from(random % 201).unwrap_or(100);
    interval.checked_mul(thousandths).map_or(interval, |product| product / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn there() -> Multiaddr {
        "/ip4/192.0.2.1/tcp/1".parse().unwrap()
    }

    fn add(
        links: &mut Links,
        id: u64,
        peer: PeerId,
        dialled: bool,
        replaces: Option<u64>,
        now: Instant,
    ) -> Closing {
        let closing = Closing::new();
        let new = NewLink {
            link: LinkId(id),
            connection: ConnectionId::new_unchecked(usize::try_from(id).unwrap()),
            peer,
            dialled: dialled.then(there),
            relayed: false,
            replaces: replaces.map(LinkId),
            closing: closing.clone(),
        };
        links.insert(new, now, 100);
        closing
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        assert_eq!(jittered(HOUR, 0), HOUR * 9 / 10);
        assert_eq!(jittered(HOUR, 200), HOUR * 11 / 10);
        assert_eq!(jittered(HOUR, 201), HOUR * 9 / 10);
    }

    #[test]
    fn the_dialling_side_makes_before_it_breaks() {
        let (mut links, bob, now) = (Links::new(HOUR), PeerId::random(), Instant::now());
        let old = add(&mut links, 1, bob, true, None, now);
        assert_eq!(links.take_due(now + HOUR - Duration::from_secs(1)), None);
        let due = Renew { link: LinkId(1), address: there() };
        assert_eq!(links.take_due(now + HOUR), Some(due));
        assert!(!old.is_closing());
        let new = add(&mut links, 2, bob, true, Some(1), now + HOUR);
        links.up(LinkId(2), now + HOUR);
        assert!(old.is_closing() && !new.is_closing());
        assert!(links.is_connected(bob) && links.is_dialled(&there()));
    }

    #[test]
    fn failed_renewals_end_in_a_close() {
        let (mut links, mut now) = (Links::new(HOUR), Instant::now());
        let old = add(&mut links, 1, PeerId::random(), true, None, now);
        for _ in 0..RENEWAL_ATTEMPTS_MAX {
            now = links.deadline().unwrap();
            assert!(links.take_due(now).is_some());
            assert_eq!(links.deadline(), None);
            links.renewal_failed(LinkId(1), now);
        }
        now = links.deadline().unwrap();
        assert!(!old.is_closing());
        assert_eq!(links.take_due(now), None);
        assert!(old.is_closing());
        assert!(!links.is_dialled(&there()));
    }

    #[test]
    fn a_new_link_to_somebody_else_replaces_nothing() {
        let (mut links, now) = (Links::new(HOUR), Instant::now());
        let old = add(&mut links, 1, PeerId::random(), true, None, now);
        links.worn(LinkId(1), now);
        assert!(links.take_due(now).is_some());
        add(&mut links, 2, PeerId::random(), true, Some(1), now);
        links.up(LinkId(2), now);
        assert!(!old.is_closing());
        assert_eq!(links.deadline(), Some(now + HOUR / 60));
    }

    #[test]
    fn of_two_links_the_old_one_just_goes() {
        let (mut links, bob, now) = (Links::new(HOUR), PeerId::random(), Instant::now());
        let ours = add(&mut links, 1, bob, true, None, now);
        let theirs = add(&mut links, 2, bob, false, None, now);
        assert_eq!(links.take_due(now + HOUR), None);
        assert!(ours.is_closing() && !theirs.is_closing());
    }

    #[test]
    fn a_peer_that_never_renews_is_closed_late() {
        let (mut links, now) = (Links::new(HOUR), Instant::now());
        let theirs = add(&mut links, 1, PeerId::random(), false, None, now);
        links.worn(LinkId(1), now);
        assert_eq!(links.deadline(), Some(now + 2 * HOUR));
        assert_eq!(links.take_due(now + 2 * HOUR), None);
        assert!(theirs.is_closing());
    }
}
