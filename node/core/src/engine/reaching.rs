//! Whom do we try to reach, and where may they be? (spec 05 R4a)

use std::collections::BTreeSet;

use kith_common::{
    ids::{AccountId, DeviceId},
    time::Uptime,
};

use super::{Context, Engine};
use crate::dial::Dialer;

impl Engine {
    pub(super) fn dial(&mut self, cx: &mut Context<'_>) {
        let mut due = Vec::new();
        for (account, dialer) in &mut self.dialers {
            if dialer.is_due(cx.uptime, cx.rng) {
                due.push(*account);
            }
        }
        for account in due {
            let addresses = self.places_of(account);
            self.dial_at(cx, addresses);
        }
    }

    /// Where devices of an account may be that we have no session with.
    pub(super) fn places_of(&self, account: AccountId) -> Vec<String> {
        let (known, hints) = if account == self.me.account.id() {
            (&self.own_places, &self.own_hints)
        } else if let Some(contact) = self.contacts.find(account) {
            (&contact.addresses, &contact.hints)
        } else {
            return Vec::new();
        };
        let (there, missing): (Vec<_>, Vec<_>) =
            known.iter().partition(|(device, _)| self.is_linked(**device));
        // Where those are that we have, the others are not; a hint may lead to any of them.
        let mut seen: BTreeSet<&String> = there.into_iter().flat_map(|(_, at)| at).collect();
        let places = missing.into_iter().flat_map(|(_, at)| at).chain(hints);
        places.filter(|place| seen.insert(place)).cloned().collect()
    }

    /// Tries to reach all devices of somebody, or goes on trying.
    pub(super) fn reach(&mut self, uptime: Uptime, account: AccountId) {
        self.finding.is_stale = true;
        let known = account == self.me.account.id()
            || self.contacts.find(account).is_some_and(|contact| contact.status.is_known());
        if !known {
            self.dialers.remove(&account);
        } else if !self.is_reached(account) {
            self.dialers.entry(account).or_insert_with(|| Dialer::new(uptime)).go_on();
        } else if let Some(dialer) = self.dialers.get_mut(&account) {
            dialer.rest();
        }
    }

    /// Tries anew: there is reason to think that it works now.
    pub(super) fn reach_anew(&mut self, uptime: Uptime, account: AccountId) {
        self.dialers.remove(&account);
        self.reach(uptime, account);
    }

    /// Whether there is a session with every device of an account. Disputed ones of ours get none,
    /// and are looked for all the same: one of them may have the vote that decides.
    pub(super) fn is_reached(&self, account: AccountId) -> bool {
        let online = |device| device == self.me.device.device() || self.is_linked(device);
        let own = account == self.me.account.id();
        self.account(account).is_none_or(|known| {
            known.devices().all(online) && (!own || known.disputed().all(online))
        })
    }

    /// Whether there is a session with a device.
    pub(super) fn is_linked(&self, device: DeviceId) -> bool {
        self.links.values().any(|link| link.session.is_some_and(|s| s.device == device))
    }

    pub(super) fn is_online(&self, account: AccountId) -> bool {
        self.links.values().any(|link| link.session.is_some_and(|s| s.account == account))
    }
}
