//! What is the engine still to be told, apart from links? The latest only.

use std::time::Instant;

use super::super::{NetworkEvent, limits::LISTENING_SETTLES};

/// What the engine is still to be told, apart from links: the latest only.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    listening: Option<(Instant, Vec<String>)>,
    listening_told: Vec<String>,
}

impl Outbox {
    /// Addresses come one by one: they are told together, when there has been no change for a bit.
    pub(super) fn listening(&mut self, addresses: Vec<String>, now: Instant) {
        self.listening = Some((now + LISTENING_SETTLES, addresses));
    }

    pub(super) fn next(&mut self, now: Instant) -> Option<NetworkEvent> {
        self.listening.take_if(|(_, addresses)| *addresses == self.listening_told);
        let settled = self.listening.as_ref().filter(|(at, _)| *at <= now);
        settled.map(|(_, addresses)| NetworkEvent::Listening { addresses: addresses.clone() })
    }

    pub(super) fn told(&mut self, event: &NetworkEvent) {
        if let NetworkEvent::Listening { addresses } = event {
            self.listening_told.clone_from(addresses);
            self.listening = None;
        }
    }

    /// When a list that is not told yet has settled; afterwards only the engine is waited for.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (at, _) = self.listening.as_ref()?;
        (*at > Instant::now()).then_some(*at)
    }
}
