//! What is counted? Connections, what is kept and relayed, and what was refused, by kind.

use kith_net::records;
use kith_server::metrics::Page;

use crate::{meeting, relaying};

/// What only the driver sees.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) connections_refused: u64,
    pub(crate) handshakes_failed: u64,
    pub(crate) memory_full: u64,
}

/// All numbers at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    /// Somebody can be served.
    pub(crate) is_ready: bool,
    pub(crate) incoming: usize,
    pub(crate) outgoing: usize,
    /// Connections with bootstraps that the operator has named.
    pub(crate) peers: usize,
    /// Servers in the routing table.
    pub(crate) servers: usize,
    pub(crate) counts: Counts,
    pub(crate) records: usize,
    pub(crate) records_refused: Vec<(records::Refusal, u64)>,
    pub(crate) places: usize,
    pub(crate) circuits: usize,
    pub(crate) relaying_refused: relaying::Refused,
    pub(crate) probes_refused: u64,
    pub(crate) registrations: usize,
    pub(crate) registrations_refused: Vec<(meeting::Refusal, u64)>,
}

impl Numbers {
    /// Writes everything.
    pub(crate) fn write(&self, page: &mut Page) {
        let connections = "kith_p2p_connections";
        page.metric(connections, "gauge", "Connections of nodes and servers, by who opened them.");
        page.value(connections, "opened_by=\"others\"", self.incoming as u64);
        page.value(connections, "opened_by=\"us\"", self.outgoing as u64);
        for (name, help, value) in [
            ("kith_p2p_peers", "Connections with the bootstraps that were named.", self.peers),
            ("kith_p2p_servers", "Servers in the routing table.", self.servers),
            ("kith_records", "Records.", self.records),
            ("kith_places", "Nodes for which is relayed.", self.places),
            ("kith_circuits", "Relayed connections.", self.circuits),
            ("kith_registrations", "Registrations at meeting places.", self.registrations),
        ] {
            page.single(name, "gauge", help, value as u64);
        }
        let refused = "kith_refused_total";
        page.metric(refused, "counter", "What was refused, by kind.");
        for (kind, why, count) in self.refused() {
            page.value(refused, &format!("kind=\"{kind}\",why=\"{why}\""), count);
        }
    }

    fn refused(&self) -> Vec<(&'static str, String, u64)> {
        let records = self.records_refused.iter();
        let records = records.map(|(why, count)| ("record", why.to_string(), *count));
        let registrations = self.registrations_refused.iter();
        let registrations =
            registrations.map(|(why, count)| ("registration", why.to_string(), *count));
        let relaying = self.relaying_refused;
        let others = [
            ("connection", "bound", self.counts.connections_refused),
            ("connection", "memory", self.counts.memory_full),
            ("connection", "handshake", self.counts.handshakes_failed),
            ("place", "bound", relaying.places),
            ("circuit", "bound", relaying.circuits),
            ("circuit", "nobody", relaying.nobody),
            ("probe", "bound", self.probes_refused),
        ];
        let others = others.into_iter().map(|(kind, why, count)| (kind, why.to_owned(), count));
        records.chain(registrations).chain(others).collect()
    }
}
