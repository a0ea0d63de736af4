//! Does a node stay small and awake for a reason?

use kith_core::limits::PENDING_ENTRIES_MAX;

use crate::sim::World;

/// Bytes that may be on their way on one wire: a window for one log, frames that were sent again
/// and what else is said.
const FLYING_BYTES_MAX: usize = 4 << 20;
/// Devices that may write in one log of the simulation.
const AUTHORS: usize = 12;

impl World {
    /// After a commit.
    pub(crate) fn check_bounds(&self, node: usize, ticked: bool) {
        let state = &self.nodes[node];
        let engine = state.engine();
        let logs = state.store_logs();
        let pending = engine.pending_count();
        assert!(pending <= PENDING_ENTRIES_MAX * AUTHORS * logs, "{pending} entries wait");
        let (links, open) = (engine.link_count(), state.links.len());
        assert!(links <= open, "{}: {links} links kept, {open} open", state.name);
        if ticked && let Some((at, why)) = engine.deadline() {
            let at_ms = state.started_ms + at.millis();
            assert!(at_ms > self.now_ms, "{}: a tick did not help: {why}", state.name);
        }
    }

    /// When a frame sets off towards one end of a wire.
    pub(crate) fn check_flying(&self, wire: usize, end: usize) {
        let wire = &self.wires[wire];
        let bytes = wire.ends[end].flying_bytes;
        let from = &self.nodes[wire.ends[1 - end].node];
        assert!(!from.honest || bytes <= FLYING_BYTES_MAX, "{}: {bytes} bytes fly", from.name);
    }
}
