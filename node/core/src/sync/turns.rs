//! Which log has its turn on a link, and how much of the window? (spec 04 R5)
//!
//! What arrives gets the window. Logs of which nobody knows yet whether they arrive share a part of
//! it; those of which nothing is taken have a small room of their own, so they delay no other.

use kith_common::{frame::CarriedEntry, ids::LogId, time::Uptime};

use super::{Outgoing, Taking};
use crate::{
    limits::{SYNC_PROBE_BYTES, SYNC_UNKNOWN_BYTES, SYNC_WINDOW_BYTES, SYNC_WINDOW_BYTES_FIRST},
    log::Log,
    session::Link,
    store::{Store, StoreError},
};

/// Bytes on their way, by what becomes of their logs.
#[derive(Debug, Default)]
struct Load {
    something: usize,
    unknown: usize,
    nothing: usize,
    /// Logs with bytes among the unknown ones.
    unknown_logs: usize,
}

impl Load {
    fn of(link: &Link) -> Self {
        let mut load = Self::default();
        for outgoing in link.outgoing.values().filter(|outgoing| outgoing.flying_bytes > 0) {
            match outgoing.taking {
                Taking::Something => load.something += outgoing.flying_bytes,
                Taking::Nothing => load.nothing += outgoing.flying_bytes,
                Taking::Unknown => {
                    load.unknown += outgoing.flying_bytes;
                    load.unknown_logs += 1;
                }
            }
        }
        load
    }

    /// Whether more of a log may set off.
    fn has_room_for(&self, outgoing: &Outgoing) -> bool {
        let has_window = self.something + self.unknown < SYNC_WINDOW_BYTES;
        match outgoing.taking {
            Taking::Something => has_window,
            Taking::Unknown => has_window && self.unknown < SYNC_UNKNOWN_BYTES,
            Taking::Nothing => self.nothing < SYNC_PROBE_BYTES,
        }
    }
}

impl Link {
    /// A log may have something to send here.
    pub(crate) fn queue(&mut self, log: LogId) {
        if self.outgoing.contains_key(&log) && !self.turns.contains(&log) {
            self.turns.push_back(log);
        }
    }

    /// Whether more entries may set off. The log that has its turn is the first one then.
    pub(crate) fn has_room(&mut self) -> bool {
        if self.turns.is_empty() {
            return false;
        }
        let load = Load::of(self);
        let may_go = |log: &LogId| self.outgoing.get(log).is_none_or(|o| load.has_room_for(o));
        let Some(at) = self.turns.iter().position(may_go) else { return false };
        let Some(log) = self.turns.remove(at) else { return false };
        self.turns.push_front(log);
        let begins = |log: &LogId| {
            let outgoing = self.outgoing.get(log);
            outgoing.is_some_and(|o| o.taking == Taking::Unknown && o.flying_bytes == 0)
        };
        let beginning = self.turns.iter().filter(|log| begins(log)).count();
        let share = SYNC_UNKNOWN_BYTES / (load.unknown_logs + beginning).max(1);
        if let Some(outgoing) = self.outgoing.get_mut(&log) {
            outgoing.share_bytes = share.min(SYNC_WINDOW_BYTES_FIRST);
        }
        true
    }

    /// Bytes of entries of other logs than this one that are on their way.
    pub(crate) fn flying_bytes_beside(&self, log: LogId) -> usize {
        let others = self.outgoing.iter().filter(|(other, _)| **other != log);
        others.map(|(_, outgoing)| outgoing.flying_bytes()).sum()
    }

    /// The next entries of a log to send here; empty if there is nothing to send, or no room.
    pub(crate) fn next_batch(
        &mut self,
        log: &Log,
        store: &dyn Store,
        uptime: Uptime,
    ) -> Result<Vec<CarriedEntry>, StoreError> {
        let load = Load::of(self);
        let others = self.flying_bytes_beside(log.id());
        match self.outgoing.get_mut(&log.id()) {
            Some(outgoing) if load.has_room_for(outgoing) => {
                outgoing.next_batch(log, store, others, uptime)
            }
            _ => Ok(Vec::new()),
        }
    }
}
