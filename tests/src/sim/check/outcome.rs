//! Do all honest devices show the same, and what they must? Worlds in which entries may go.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::Account,
    codec::Reader,
    entry::Entry,
    envelope::Signed,
    ids::{DeviceId, EntryId, LogId},
};
use kith_core::{
    contacts::Status,
    engine::Command,
    store::{EntryRow, Position, RecordKind, Store},
};

use super::healing::own_view;
use crate::sim::{
    World,
    reference::{Archive, Deleted, Reference},
};

/// What one node has stored of each log.
type Stored = BTreeMap<LogId, Vec<EntryRow>>;

impl World {
    /// Honest devices that speak for a person, by what honest devices of that person know.
    pub fn standing(&self, person: usize) -> Vec<usize> {
        let honest = |node: &usize| {
            let node = &self.nodes[*node];
            let engine = node.engine.as_ref().filter(|_| node.honest);
            engine.is_some_and(|engine| engine.identity().account.has(node.device))
        };
        self.people[person].nodes.iter().copied().filter(honest).collect()
    }

    /// Waits until all honest devices agree on what they must show.
    ///
    /// # Panics
    /// If they do not.
    pub fn settle_by_reference(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        self.run_ms(1000);
        while let Some(missing) = self.disagreement() {
            assert!(self.now_ms < end_ms, "after {ms} ms: {missing}");
            self.reconcile();
            self.run_ms(5000);
        }
    }

    /// People answer what is asked, and undo what somebody else did to their lists.
    fn reconcile(&mut self) {
        for (one, other) in self.friends.clone() {
            for (one, other) in [(one, other), (other, one)] {
                let account = self.account(other);
                for node in self.standing(one) {
                    match self.nodes[node].engine().contact(account).map(|contact| contact.status) {
                        None => self.add_contact(node, other),
                        Some(Status::Pending) => self.command(node, Command::Accept(account)),
                        Some(Status::Blocked) => self.command(node, Command::Unblock(account)),
                        Some(Status::Requested | Status::Contact | Status::Removed) => {}
                    }
                }
            }
        }
    }

    fn disagreement(&mut self) -> Option<String> {
        let everybody: Vec<Vec<usize>> =
            (0..self.people.len()).map(|person| self.standing(person)).collect();
        if let Some(differing) = self.differing_accounts(&everybody) {
            return Some(differing);
        }
        let stored: BTreeMap<usize, Stored> =
            everybody.iter().flatten().map(|node| (*node, self.stored(*node))).collect();
        let mut archive = std::mem::take(&mut self.archive);
        for row in stored.values().flat_map(BTreeMap::values).flatten() {
            archive.keep(row);
        }
        let found = self.differing_logs(&archive, &everybody, &stored);
        self.archive = archive;
        found
    }

    fn stored(&self, node: usize) -> Stored {
        let mut stored = Stored::new();
        for row in self.nodes[node].all_rows() {
            let signed =
                Signed::<Entry>::decode(&row.envelope).expect("stored envelopes are whole");
            stored.entry(signed.claim().log).or_default().push(row);
        }
        stored
    }

    fn differing_accounts(&self, everybody: &[Vec<usize>]) -> Option<String> {
        for (person, nodes) in everybody.iter().enumerate() {
            let name = &self.people[person].name;
            if nodes.is_empty() {
                return Some(format!("nobody speaks for {name}"));
            }
            let account = self.nodes[nodes[0]].engine().identity().account.clone();
            let view = own_view(self.nodes[nodes[0]].engine());
            for node in nodes {
                let (at, engine) = (&self.nodes[*node].name, self.nodes[*node].engine());
                if engine.identity().account.head() != account.head() {
                    return Some(format!("{at} knows another account"));
                }
                let other = own_view(engine);
                if view != other {
                    return Some(format!("devices of {name} differ: {view}\n{other}"));
                }
            }
            for friend in self.friends_of(person) {
                for node in &everybody[friend] {
                    let (at, engine) = (&self.nodes[*node].name, self.nodes[*node].engine());
                    let known = engine.account_of_contact(account.id());
                    if known.map(Account::head) != Some(account.head()) {
                        return Some(format!("{at} knows another account of {name}"));
                    }
                    let status = engine.contact(account.id()).map(|contact| contact.status);
                    if status != Some(Status::Contact) {
                        return Some(format!("{at} has {name} as {status:?}"));
                    }
                }
            }
        }
        None
    }

    fn differing_logs(
        &self,
        archive: &Archive,
        everybody: &[Vec<usize>],
        stored: &BTreeMap<usize, Stored>,
    ) -> Option<String> {
        let account = |person: usize| &self.nodes[everybody[person][0]].engine().identity().account;
        let own = (0..everybody.len()).map(|person| (person, person));
        for (one, other) in own.chain(self.friends.iter().copied()) {
            let log = if one == other {
                LogId::own(account(one).id())
            } else {
                LogId::direct(account(one).id(), account(other).id())
            };
            let mut nodes: Vec<usize> = everybody[one].clone();
            nodes.extend(everybody[other].iter().filter(|_| one != other));
            let rows = |node: &usize| stored[node].get(&log).into_iter().flatten();
            let held: BTreeSet<EntryId> =
                nodes.iter().flat_map(rows).map(|row| row.position.id).collect();
            let mut accounts = vec![account(one), account(other)];
            accounts.dedup_by_key(|account| account.id());
            let order = Reference::new(archive, log, accounts, &held).order();
            for node in &nodes {
                let shown: BTreeMap<Position, EntryId> =
                    rows(node).map(|row| (row.position, row.position.id)).collect();
                if shown != order {
                    let difference = self.tell_difference(archive, *node, &shown, &order);
                    return Some(format!("{log:?}: {difference}"));
                }
            }
            if one != other {
                for pair in [(one, other), (other, one)] {
                    let differs = self.differing_lists(archive, pair, &order, everybody, stored);
                    if differs.is_some() {
                        return differs;
                    }
                }
            }
        }
        None
    }

    fn differing_lists(
        &self,
        archive: &Archive,
        (person, with): (usize, usize),
        order: &BTreeMap<Position, EntryId>,
        everybody: &[Vec<usize>],
        stored: &BTreeMap<usize, Stored>,
    ) -> Option<String> {
        let nodes = &everybody[person];
        let account = |person: usize| &self.nodes[everybody[person][0]].engine().identity().account;
        let own = LogId::own(account(person).id());
        let rows = stored[&nodes[0]].get(&own).into_iter().flatten();
        let must_go = Deleted::by(archive, account(person), rows.map(|row| row.position.id));
        // What a thief deleted is gone where it was believed.
        let may_go = Deleted::by_anybody(archive, account(person));
        let by_other = Deleted::by_anybody(archive, account(with));
        let with = account(with).id();
        for node in nodes {
            let at = &self.nodes[*node].name;
            let shown: Vec<EntryId> = self
                .history(*node, with, usize::MAX)
                .into_iter()
                .filter(|m| m.text.is_some())
                .map(|m| m.id)
                .collect();
            if let Some(id) = shown.iter().find(|id| must_go.has(**id, &archive.said[id])) {
                return Some(format!("{at} shows {id:?}, which was deleted"));
            }
            let expected: Vec<EntryId> = order
                .values()
                .copied()
                .filter(|id| {
                    let said = &archive.said[id];
                    // What the other one deleted before it came to a device that is still one of
                    // theirs is gone, too.
                    let never_came = by_other.has(*id, said)
                        && !nodes.iter().any(|node| archive.had.contains(&(*node, *id)));
                    let may_be_gone = may_go.has(*id, said) || never_came;
                    said.text().is_some() && (!may_be_gone || shown.contains(id))
                })
                .collect();
            if shown != expected {
                let missing: Vec<_> = expected
                    .iter()
                    .filter(|id| !shown.contains(id))
                    .map(|id| archive.said[id].text())
                    .collect();
                return Some(format!(
                    "{at} shows {} of {} messages, not {missing:?}",
                    shown.len(),
                    expected.len()
                ));
            }
        }
        None
    }

    fn tell_difference(
        &self,
        archive: &Archive,
        node: usize,
        shown: &BTreeMap<Position, EntryId>,
        order: &BTreeMap<Position, EntryId>,
    ) -> String {
        let name = |id: &EntryId| {
            let said = &archive.said[id];
            let by = self.node_of(said.device).map_or("somebody", |node| &self.nodes[node].name);
            let what = said.text().unwrap_or_else(|| format!("{:?}", said.entry.kind));
            let what: String = what.chars().take(40).collect();
            format!("{by} {} {what}", said.entry.seq)
        };
        let has: BTreeSet<&EntryId> = shown.values().collect();
        let must: BTreeSet<&EntryId> = order.values().collect();
        let lacks: Vec<String> = must.difference(&has).map(|id| name(id)).collect();
        let more: Vec<String> = has.difference(&must).map(|id| name(id)).collect();
        let at = &self.nodes[node].name;
        if lacks.is_empty() && more.is_empty() {
            return format!("{at} has entries in another order");
        }
        let refused = self.nodes[node].engine().refusals();
        format!("{at} lacks {lacks:?} and has {more:?}; it refused {refused:?}")
    }

    /// Everything that honest devices were told to write is there, and nobody holds them for liars.
    ///
    /// # Panics
    /// If not.
    pub fn check_honest_words(&self) {
        for person in 0..self.people.len() {
            for node in self.standing(person) {
                let state = &self.nodes[node];
                for (key, value) in state.store.records(RecordKind::Evidence).expect("memory") {
                    let device = DeviceId::from_bytes(key.try_into().expect("a device"));
                    let accused =
                        self.node_of(device).filter(|accused| self.nodes[*accused].honest);
                    if let Some(accused) = accused {
                        let proof = self.tell_evidence(&value);
                        panic!(
                            "{} holds {} for a liar: {proof}",
                            state.name, self.nodes[accused].name
                        );
                    }
                }
            }
        }
        for (id, (node, text)) in &self.archive.sent {
            let writer = &self.nodes[*node];
            if !writer.honest {
                continue;
            }
            let stands = self.standing(writer.person).contains(node);
            // Nobody can have what its writer had no time to hand on before it was cut off.
            let Some(said) = self.archive.said.get(id) else {
                assert!(!stands, "{}: {text:?} is gone", writer.name);
                continue;
            };
            for person in 0..self.people.len() {
                let concerned = person == writer.person
                    || said.entry.log == LogId::direct(writer.account, self.account(person));
                for other in self.standing(person) {
                    let has = self
                        .stored(other)
                        .get(&said.entry.log)
                        .is_some_and(|rows| rows.iter().any(|row| row.position.id == *id));
                    let other = &self.nodes[other].name;
                    assert!(
                        has || !concerned || !stands,
                        "{other} has lost {text:?} by {}",
                        writer.name
                    );
                }
            }
        }
    }

    fn tell_evidence(&self, value: &[u8]) -> String {
        let envelopes = Reader::all(value, |r| {
            r.list("evidence", 9, |r| r.bytes("envelope", usize::MAX).map(<[u8]>::to_vec))
        });
        let told = envelopes.unwrap_or_default().into_iter().map(|envelope| {
            let id = EntryId::of(&envelope);
            let said = self.archive.said.get(&id);
            format!("{:?}", said.map(|said| (said.entry.seq, said.text(), said.entry.kind)))
        });
        told.collect::<Vec<_>>().join(" and ")
    }
}
