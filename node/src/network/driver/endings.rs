//! How do links and connections end, all at once?

use std::time::Instant;

use futures::StreamExt;
use libp2p::swarm::SwarmEvent;
use tokio::time::sleep_until;

use super::{
    super::{limits::ENDING_TIMEOUT, swarm},
    Driver, reaching,
};

impl Driver {
    /// Starts anew with another identity on the same ports. The engine redials what it needs.
    pub(super) async fn rotate(&mut self) {
        self.rotate_at = Instant::now().checked_add(self.config.rotation);
        let openness = reaching::openness(&self.reach, &self.config);
        let Ok(swarm) = swarm::build(&self.config, &self.reach, &openness) else {
            tracing::error!("no new transport identity");
            return;
        };
        tracing::debug!("new transport identity");
        self.links.closings().for_each(|closing| closing.retire.cancel());
        self.end_links().await;
        self.listeners.stop(&mut self.swarm);
        self.swarm = swarm;
        self.links.clear();
        self.connections.clear();
        self.dials.reset();
        self.neighbours.reset();
        self.own.clear();
        self.confirmed.clear();
        self.seen.clear();
        self.relays.reset(Instant::now());
        self.meetings.reset();
        self.punches.reset();
        self.listeners.restart(&mut self.swarm, &self.shared.counters).await;
    }

    /// Waits a moment for all links, which are closing, and for their connections.
    pub(super) async fn end_links(&mut self) {
        let deadline = sleep_until((Instant::now() + ENDING_TIMEOUT).into());
        tokio::pin!(deadline);
        while !(self.links.is_empty() && self.connections.is_empty()) {
            tokio::select! {
                () = &mut deadline => break,
                Some(notice) = self.notices.recv() => self.notice(notice),
                event = self.swarm.select_next_some() => match event {
                    SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                        self.swarm.close_connection(connection_id);
                    }
                    SwarmEvent::ConnectionClosed { connection_id, .. } => {
                        self.connections.remove(&connection_id);
                    }
                    _ => {}
                },
            }
        }
    }
}
