//! Where do nodes leave records, and who relays? Bootstraps and everybody who serves, as one.
//!
//! Here a node can move: then nobody reaches it at its old address. Its relayed address is new
//! whenever it starts, as transport ids are.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::finding::{RecordKey, check_record};
use kith_core::engine::Input;

use super::{Happening, World, address};

/// What records are asked of.
#[derive(Debug, Default)]
pub struct Table {
    /// Everything that was ever put, for those who watch.
    pub seen: Vec<(usize, RecordKey, Vec<u8>)>,
    records: BTreeMap<RecordKey, (u64, Vec<u8>)>,
    places: BTreeMap<String, BTreeSet<usize>>,
    /// Everybody near a record answers with something else, or not at all.
    pub lies: bool,
    /// Nobody meets at any place.
    pub no_places: bool,
    /// Nobody relays.
    pub no_relays: bool,
}

impl Table {
    /// At how many places a node can be met.
    pub fn of_places(&self, node: usize) -> usize {
        self.places.values().filter(|there| there.contains(&node)).count()
    }
}

/// An address that leads through a relay to this run of a node.
fn relayed(world: &World, node: usize) -> String {
    format!("relay/p2p-circuit/sim:{node}@{}", world.nodes[node].started_ms)
}

impl World {
    /// From now on records can be left and found, and everybody knows a bootstrap.
    pub fn with_table(&mut self) {
        self.table = Some(Table::default());
    }

    /// Where records lie.
    ///
    /// # Panics
    /// If there is no such place in this world.
    pub fn table(&mut self) -> &mut Table {
        self.table.as_mut().expect("this world has a table")
    }

    /// What a node takes for its addresses.
    pub(crate) fn addresses_of(&self, node: usize) -> Vec<String> {
        let direct = match self.nodes[node].place {
            0 => address(node),
            place => format!("{}@{place}", address(node)),
        };
        let relays = self.table.as_ref().is_some_and(|table| !table.no_relays);
        let mut all = vec![direct];
        all.extend(relays.then(|| relayed(self, node)));
        all
    }

    /// Two nodes are joined by a direct wire, wherever they are.
    pub fn connects(&mut self, one: usize, other: usize) {
        self.connect(one, other);
    }

    /// A node gets another address; its links break.
    pub fn move_away(&mut self, node: usize) {
        self.nodes[node].place += 1;
        self.cut_wires(|wire| wire.touches(node));
        if self.nodes[node].is_running() {
            let addresses = self.addresses_of(node);
            self.input(node, Input::Listening { addresses });
        }
    }

    /// The node that is at an address now, and whether a relay leads there.
    pub(crate) fn node_at(&self, address: &str) -> Option<(usize, bool)> {
        let (rest, is_relayed) = match address.strip_prefix("relay/p2p-circuit/") {
            Some(rest) => (rest, true),
            None => (address, false),
        };
        let rest = rest.strip_prefix("sim:")?;
        let (node, place) = rest.split_once('@').unwrap_or((rest, "0"));
        let (node, place): (usize, u64) = (node.parse().ok()?, place.parse().ok()?);
        let there = self.nodes.get(node)?;
        let is_here = if is_relayed { there.started_ms } else { there.place };
        (is_here == place).then_some((node, is_relayed))
    }

    pub(crate) fn is_relaying(&self) -> bool {
        self.table.as_ref().is_some_and(|table| !table.no_relays)
    }

    pub(crate) fn publish(
        &mut self,
        node: usize,
        records: Vec<(RecordKey, Box<[u8]>)>,
        namespaces: Vec<String>,
    ) {
        let now = self.nodes[node].clock(self.now_ms);
        let honest = self.nodes[node].honest;
        let Some(table) = &mut self.table else { return };
        for (key, value) in records {
            let checked = check_record(key.as_bytes(), &value, now);
            assert!(!honest || checked.is_ok(), "a record that nobody keeps: {checked:?}");
            let Ok(checked) = checked else { continue };
            table.seen.push((node, key, value.to_vec()));
            if table.records.get(&key).is_none_or(|(sequence, _)| *sequence < checked.sequence) {
                table.records.insert(key, (checked.sequence, value.into()));
            }
        }
        for there in table.places.values_mut() {
            there.remove(&node);
        }
        for namespace in namespaces {
            table.places.entry(namespace).or_default().insert(node);
        }
    }

    pub(crate) fn search(&mut self, node: usize, keys: &[RecordKey], namespaces: &[String]) {
        let Some(table) = &self.table else { return };
        if !self.nodes[node].connected {
            return;
        }
        let mut found = Vec::new();
        for key in keys {
            let honest = table.records.get(key).filter(|_| !table.lies);
            let mut others = table.records.iter().filter(|(other, _)| table.lies && *other != key);
            let lie = others.next().map(|(_, record)| record);
            found.extend(honest.or(lie).map(|(_, value)| (*key, value.clone())));
        }
        let there = namespaces.iter().filter_map(|it| table.places.get(it)).flatten();
        let there = there.copied().filter(|_| !table.no_places);
        let mut meets: Vec<usize> = there.filter(|it| *it != node).collect();
        meets.sort_unstable();
        meets.dedup();
        for (key, value) in found {
            let in_ms = 20 + self.below(80);
            let started_ms = self.nodes[node].started_ms;
            self.at(in_ms, Happening::Found { node, started_ms, key, value });
        }
        let addresses: Vec<String> = meets.into_iter().map(|other| relayed(self, other)).collect();
        self.dial(node, &addresses);
    }
}
