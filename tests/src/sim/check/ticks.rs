//! Do ticks claim more than is so? A tick is held against what the recipients have committed.

use kith_common::ids::{AccountId, EntryId};
use kith_core::{
    delivery::DeliveryState,
    engine::{Event, Output},
    view::MessageView,
};

use crate::sim::World;

/// Newest messages looked at when a node learns that something got further.
const NEWEST: usize = 40;

impl World {
    pub(crate) fn check_ticks_if_told(&mut self, node: usize, outputs: &[Output]) {
        for output in outputs {
            if let Output::Event(Event::Delivery { with, .. }) = output {
                self.check_ticks(node, *with, NEWEST);
            }
        }
    }

    /// Looks at the newest messages of a conversation.
    pub(crate) fn check_ticks(&mut self, node: usize, with: AccountId, newest: usize) {
        let Some(person) = self.people.iter().position(|p| p.account.id() == with) else { return };
        let mut devices = self.people[person].nodes.clone();
        if !self.nodes[node].honest || devices.iter().any(|device| !self.nodes[*device].honest) {
            return;
        }
        // A device that nobody has told of is not waited for.
        let Some(contact) = self.nodes[node].engine().contact(with) else { return };
        devices.retain(|device| contact.devices.contains(&self.nodes[*device].device));
        for MessageView { id, state, .. } in self.history(node, with, newest) {
            let Some(state) = state else { continue };
            let known = &self.book.entries[&id];
            let holders =
                devices.iter().filter(|device| self.book.views[**device].has(known)).count();
            let read = devices.iter().any(|device| self.book.views[*device].read.contains(&id));
            let proven = match state {
                DeliveryState::Queued => true,
                DeliveryState::Delivered => holders > 0,
                DeliveryState::DeliveredAll => holders == devices.len(),
                DeliveryState::Read => holders > 0 && read,
            };
            let name = &self.nodes[node].name;
            assert!(proven, "{name} shows {state:?} for {id:?}, {holders} devices have it");
            let before = self.book.views[node].ticks.insert(id, (devices.len(), state));
            let before =
                before.filter(|(count, _)| *count >= devices.len()).map(|(_, state)| state);
            assert!(before <= Some(state), "{name}: {id:?} went back from {before:?} to {state:?}");
        }
    }

    /// The newest messages that a node shows, oldest first.
    pub fn history(&self, node: usize, with: AccountId, newest: usize) -> Vec<MessageView> {
        let node = &self.nodes[node];
        let (mut all, mut before): (Vec<MessageView>, Option<EntryId>) = (Vec::new(), None);
        while all.len() < newest {
            let page = node.engine().history(&node.store, with, before, newest - all.len());
            let Ok(page) = page.expect("memory can be read") else { break };
            let Some(first) = page.first() else { break };
            before = Some(first.id);
            all.splice(0..0, page);
        }
        all
    }
}
