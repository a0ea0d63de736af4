//! What lies between two nodes? Wires with a delay that may lose, double and reorder frames.

use std::collections::BTreeMap;

use kith_core::engine::{Input, LinkId, Output};

use super::{Happening, World, graph};

/// Wires between two nodes: each may dial the other again while it does not know who answers.
const JOINED_MAX: usize = 40;

/// What breaks, and how often; everything off means a perfect network.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Shortest delay of a wire.
    pub latency_ms_min: u64,
    /// How much longer a wire may take.
    pub latency_ms_spread: u64,
    /// Frames in a thousand that are lost.
    pub loss_per_mille: u64,
    /// Frames in a thousand that come twice.
    pub double_per_mille: u64,
    /// Frames in a thousand that overtake or fall behind.
    pub reorder_per_mille: u64,
    /// Frames in a thousand on which their wire breaks.
    pub break_per_mille: u64,
    /// Commits in a thousand that end in a crash, half of them before the commit.
    pub crash_per_mille: u64,
    /// How long inputs are gathered for one commit.
    pub group_ms: u64,
}

/// One end of a wire.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) node: usize,
    pub(crate) link: LinkId,
    pub(crate) transport: Box<[u8]>,
    /// Which run of the node the end belongs to.
    pub(crate) started_ms: u64,
    /// When the newest frame towards this end arrives.
    newest_ms: u64,
    /// Bytes on their way towards this end.
    pub(crate) flying_bytes: usize,
}

/// A connection between two nodes.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) ends: [End; 2],
    pub(crate) is_up: bool,
    /// Swallows everything without anybody noticing.
    pub(crate) is_silent: bool,
    /// Leads through a relay.
    pub(crate) relayed: bool,
    latency_ms: u64,
}

impl Wire {
    pub(crate) fn touches(&self, node: usize) -> bool {
        self.ends.iter().any(|end| end.node == node)
    }

    fn joins(&self, one: usize, other: usize) -> bool {
        self.touches(one) && self.touches(other)
    }
}

impl World {
    pub(crate) fn dial(&mut self, node: usize, addresses: &[String]) {
        for address in addresses {
            let Some((target, relayed)) = self.node_at(address) else { continue };
            if target != node && self.can_reach(node, target, relayed) {
                let joined = |wire: &Wire| wire.is_up && wire.joins(node, target);
                if !self.wires.iter().any(joined) || self.chance(200) {
                    let wire = self.connect(node, target);
                    self.wires[wire].relayed = relayed;
                }
            }
        }
    }

    fn can_reach(&self, one: usize, other: usize, relayed: bool) -> bool {
        let there = |node: usize| self.nodes[node].is_there() && self.nodes[node].connected;
        let apart = self.apart.contains(&(one.min(other), one.max(other)));
        if relayed {
            return there(one) && there(other) && self.is_relaying();
        }
        there(one) && there(other) && !apart && self.side[one] == self.side[other]
    }

    /// Joins two nodes by a wire.
    pub(crate) fn connect(&mut self, one: usize, other: usize) -> usize {
        let joined = self.wires.iter().filter(|wire| wire.is_up && wire.joins(one, other)).count();
        assert!(joined < JOINED_MAX, "{} dials over and over", self.nodes[one].name);
        let wire = self.wires.len();
        let latency_ms =
            1 + self.weather.latency_ms_min + self.below(1 + self.weather.latency_ms_spread);
        let ends = [one, other].map(|node| {
            let transport = (0..38).map(|_| self.below(256).to_le_bytes()[0]).collect();
            let target = &mut self.nodes[node];
            target.next_link += 1;
            let link = LinkId(target.next_link);
            End {
                node,
                link,
                transport,
                started_ms: target.started_ms,
                newest_ms: 0,
                flying_bytes: 0,
            }
        });
        self.wires.push(Wire { ends, is_up: true, is_silent: false, relayed: false, latency_ms });
        for end in 0..2 {
            let in_ms = latency_ms + self.below(latency_ms);
            self.wires[wire].ends[end].newest_ms = self.now_ms + in_ms;
            self.at(in_ms, Happening::Up { wire, end });
        }
        wire
    }

    fn is_current(&self, wire: usize, end: usize) -> bool {
        let end = &self.wires[wire].ends[end];
        let node = &self.nodes[end.node];
        node.is_there() && node.started_ms == end.started_ms
    }

    pub(crate) fn wire_up(&mut self, wire: usize, end: usize) {
        if !self.wires[wire].is_up || !self.is_current(wire, end) {
            return;
        }
        let Wire { ends, .. } = &self.wires[wire];
        let (own, peer) = (&ends[end], &ends[1 - end]);
        let (node, link) = (own.node, own.link);
        let own_transport = own.transport.clone();
        let peer_transport = peer.transport.clone();
        self.nodes[node].links.insert(link, (wire, end));
        let relayed = self.wires[wire].relayed;
        self.input(node, Input::LinkUp { link, own_transport, peer_transport, relayed });
    }

    /// The links of a node that lead to another one.
    pub fn links_between(&self, node: usize, other: usize) -> Vec<LinkId> {
        let links = self.nodes[node].links.iter();
        let leads = links.filter(|(_, (wire, end))| self.wires[*wire].ends[1 - end].node == other);
        leads.map(|(link, _)| *link).collect()
    }

    /// One end has noticed that the wire is gone.
    pub(crate) fn wire_down(&mut self, wire: usize, end: usize) {
        let End { node, link, .. } = self.wires[wire].ends[end];
        if self.nodes[node].links.remove(&link).is_some() && self.is_current(wire, end) {
            self.input(node, Input::LinkDown { link });
        }
    }

    pub(crate) fn frame_arrives(&mut self, wire: usize, end: usize, bytes: Vec<u8>) {
        let target = &mut self.wires[wire].ends[end];
        target.flying_bytes = target.flying_bytes.saturating_sub(bytes.len());
        let (node, link) = (target.node, target.link);
        let wire_state = &self.wires[wire];
        let there = wire_state.is_up && !wire_state.is_silent && self.is_current(wire, end);
        if there && self.nodes[node].links.contains_key(&link) {
            self.input(node, Input::Frame { link, bytes });
        }
    }

    /// For each link of a node, whether it knows whose it is, and trusts the device.
    pub(crate) fn others(&self, node: usize) -> BTreeMap<LinkId, (bool, bool)> {
        let Some(engine) = &self.nodes[node].engine else { return BTreeMap::new() };
        let stands = |(link, (wire, end)): (&LinkId, &(usize, usize))| {
            let other = &self.nodes[self.wires[*wire].ends[1 - *end].node];
            let contact = engine.contact(other.account);
            let known = contact.is_some_and(|contact| contact.status.is_known());
            (*link, (known, engine.is_trusted(other.device)))
        };
        self.nodes[node].links.iter().map(stands).collect()
    }

    /// Looks at what a node wants to say, as long as it knows what it knew when it said it: of what
    /// was handled together, where nothing has changed since `before`.
    pub(crate) fn check_said(
        &self,
        node: usize,
        outputs: &[Output],
        together: bool,
        before: &BTreeMap<LinkId, (bool, bool)>,
    ) {
        if !self.nodes[node].honest {
            return;
        }
        let now = self.others(node);
        for output in outputs {
            let Output::Send { link, bytes } = output else { continue };
            if together && before.get(link) != now.get(link) {
                continue;
            }
            let was_trusted = before.get(link).is_some_and(|(_, trusted)| *trusted);
            if let Some((wire, end)) = self.nodes[node].links.get(link) {
                let to = self.wires[*wire].ends[1 - end].node;
                self.check_entitled((node, to), was_trusted, bytes);
            }
        }
    }

    pub(crate) fn send(&mut self, node: usize, link: LinkId, bytes: Vec<u8>) {
        let Some((wire, end)) = self.nodes[node].links.get(&link).copied() else { return };
        if !self.wires[wire].is_up {
            return;
        }
        if self.nodes[node].honest {
            self.frames_sent += 1;
            self.tell(node, || format!("on {wire} says {}", graph::frame(&bytes)));
        }
        self.overheard.push_back(bytes.clone());
        if self.overheard.len() > 64 {
            self.overheard.pop_front();
        }
        if self.chance(self.weather.break_per_mille) {
            self.cut(wire);
            return;
        }
        if self.chance(self.weather.loss_per_mille) {
            return;
        }
        if self.chance(self.weather.double_per_mille) {
            self.carry(wire, 1 - end, bytes.clone());
        }
        self.carry(wire, 1 - end, bytes);
    }

    /// Puts a frame on its way to one end of a wire.
    pub(crate) fn carry(&mut self, wire: usize, end: usize, bytes: Vec<u8>) {
        if self.entries_go {
            self.archive.hear(&bytes);
        }
        let latency_ms = self.wires[wire].latency_ms;
        let reordered = self.chance(self.weather.reorder_per_mille);
        let extra = if reordered { self.below(4 * latency_ms + 20) } else { 0 };
        let now_ms = self.now_ms;
        let target = &mut self.wires[wire].ends[end];
        let mut at_ms = now_ms + latency_ms;
        if !reordered {
            at_ms = at_ms.max(target.newest_ms);
            target.newest_ms = at_ms;
        }
        target.flying_bytes += bytes.len();
        self.check_flying(wire, end);
        self.at(at_ms + extra - now_ms, Happening::Frame { wire, end, bytes });
    }

    /// One end closes; the other notices a little later.
    pub(crate) fn close(&mut self, node: usize, link: LinkId) {
        let Some((wire, end)) = self.nodes[node].links.remove(&link) else { return };
        self.wires[wire].is_up = false;
        let latency_ms = self.wires[wire].latency_ms;
        self.at(latency_ms, Happening::Down { wire, end: 1 - end });
    }

    /// Breaks a wire: both ends notice a little later.
    pub(crate) fn cut(&mut self, wire: usize) {
        self.wires[wire].is_up = false;
        for end in 0..2 {
            let in_ms = self.below(2000);
            self.at(in_ms, Happening::Down { wire, end });
        }
    }

    pub(crate) fn cut_wires(&mut self, which: impl Fn(&Wire) -> bool) {
        let cut: Vec<usize> = (0..self.wires.len())
            .filter(|w| self.wires[*w].is_up && which(&self.wires[*w]))
            .collect();
        for wire in cut {
            self.cut(wire);
        }
    }

    /// Splits the network: nodes with different numbers cannot reach each other. Wires across
    /// break, or stay up and swallow everything.
    pub fn partition(&mut self, side: Vec<u8>, silently: bool) {
        self.side = side;
        let side = self.side.clone();
        let across = |wire: &Wire| side[wire.ends[0].node] != side[wire.ends[1].node];
        if silently {
            for wire in self.wires.iter_mut().filter(|wire| wire.is_up) {
                wire.is_silent = across(wire);
            }
        } else {
            self.cut_wires(across);
        }
    }

    /// Two nodes do not reach each other until [`heal`](Self::heal).
    pub fn keep_apart(&mut self, one: usize, other: usize) {
        self.apart.insert((one.min(other), one.max(other)));
        self.cut_wires(|wire| wire.joins(one, other));
    }

    /// No two nodes reach each other.
    pub fn keep_all_apart(&mut self) {
        for one in 0..self.nodes.len() {
            for other in one + 1..self.nodes.len() {
                self.keep_apart(one, other);
            }
        }
    }

    /// Makes the network whole again.
    pub fn join_network(&mut self) {
        self.partition(vec![0; self.nodes.len()], true);
    }
}
