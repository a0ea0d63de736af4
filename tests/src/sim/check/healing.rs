//! Does everything come right in the end? Once nothing breaks any more, every message is
//! everywhere, in one order, ticked, and then there is silence.

use std::collections::BTreeMap;

use kith_common::ids::{EntryId, LogId};
use kith_core::{
    contacts::Status,
    delivery::DeliveryState,
    engine::{Command, Engine},
    view::MessageView,
};

use crate::sim::{World, network::Weather};

/// Time in which everything must have come right: the longest waits for a dial, a hello and a
/// repetition together are three minutes.
const HEALING_MS: u64 = 10 * 60 * 1000;
/// The same where everything goes by mail: what was lost is noticed after six hours at most.
const MAIL_MS: u64 = 12 * 60 * 60 * 1000;
/// Until then every message is ticked too: an answer that its server forgot is said again once
/// half of the seven days of a queue are over (09 R11).
const MAIL_TICKS_MS: u64 = 4 * 24 * 60 * 60 * 1000;
/// Messages looked at to see whether ticks have come.
const NEWEST: usize = 400;

impl World {
    /// Nothing breaks from now on; everybody is there.
    pub fn heal(&mut self) {
        self.weather = Weather { group_ms: self.weather.group_ms, ..Weather::default() };
        self.join_network();
        self.apart.clear();
        // What is said once on a link is not said again, and a real link loses nothing without
        // breaking.
        self.cut_wires(|_| true);
        for node in 0..self.nodes.len() {
            self.set_connected(node, true);
            self.set_running(node, true);
        }
        self.cut_ghosts();
    }

    /// Heals, waits until everything has come right, and checks all there is.
    ///
    /// # Panics
    /// If it does not come right in ten minutes.
    pub fn settle(&mut self) {
        self.heal();
        // What people have just asked for is carried out first.
        self.run_ms(100);
        self.settle_within(HEALING_MS);
    }

    /// Nothing breaks any more, but nobody meets anybody: everything comes right by mail alone.
    ///
    /// # Panics
    /// If not every message is everywhere in twelve hours, and ticked in four days.
    pub fn settle_by_mail(&mut self) {
        self.weather = Weather { group_ms: self.weather.group_ms, ..Weather::default() };
        for server in 0..self.mailboxes.len() {
            self.set_mailbox(server, true);
        }
        for node in 0..self.nodes.len() {
            self.set_connected(node, true);
            self.set_running(node, true);
        }
        self.run_while(MAIL_MS, Self::unsettled);
        self.settle_within(MAIL_TICKS_MS);
    }

    /// As [`settle`](Self::settle), without healing and in a time of one's own.
    ///
    /// # Panics
    /// If it does not come right.
    pub fn settle_within(&mut self, ms: u64) {
        self.run_while(ms, |world| world.unsettled().or_else(|| world.unticked()));
        self.check_all();
    }

    /// Goes on as long as something is missing, for so many milliseconds at most.
    fn run_while(&mut self, ms: u64, missing: impl Fn(&Self) -> Option<String>) {
        let end_ms = self.now_ms() + ms;
        while let Some(missing) = missing(self) {
            assert!(self.now_ms() < end_ms, "after {ms} ms: {missing}");
            self.nudge();
            self.run_ms(2000);
        }
    }

    /// Every node ends and starts again; what they show is the same.
    pub fn restart_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.set_running(node, false);
            self.set_running(node, true);
        }
        for node in 0..self.nodes.len() {
            let shown: Vec<EntryId> =
                self.nodes[node].all_rows().iter().map(|row| row.position.id).collect();
            let committed: usize = self.book.views[node].logs.values().map(BTreeMap::len).sum();
            assert_eq!(shown.len(), committed, "a restart has lost entries");
        }
        self.settle();
    }

    /// Once everything is there, nobody has anything to say.
    pub fn check_silence(&mut self) {
        self.run_ms(2 * 60 * 1000);
        let before = self.frames_sent;
        self.run_ms(60 * 60 * 1000);
        let after = self.frames_sent;
        assert_eq!(after, before, "frames sent though everybody has everything");
    }

    fn pairs(&self) -> Vec<(usize, usize)> {
        let both = self.friends.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]);
        both.filter(|(one, other)| self.is_honest(*one) && self.is_honest(*other)).collect()
    }

    fn is_honest(&self, person: usize) -> bool {
        self.people[person].nodes.iter().all(|node| self.nodes[*node].honest)
    }

    /// People look at their lists: they answer requests, and ask again where a crash lost it.
    fn nudge(&mut self) {
        for (one, other) in self.pairs() {
            let account = self.account(other);
            for node in self.people[one].nodes.clone() {
                let Some(engine) = &self.nodes[node].engine else { continue };
                match engine.contact(account).map(|contact| contact.status) {
                    None => self.add_contact(node, other),
                    Some(Status::Pending) => self.command(node, Command::Accept(account)),
                    Some(Status::Blocked) => self.command(node, Command::Unblock(account)),
                    Some(Status::Requested | Status::Contact | Status::Removed) => {}
                }
            }
        }
    }

    /// Whether all devices of a person say the same in their own log.
    fn differing(&self) -> Option<String> {
        for person in self.people.iter().filter(|person| person.nodes.len() > 1) {
            let own = LogId::own(person.account.id());
            let all = self.book.count(own);
            for node in person.nodes.iter().copied().filter(|node| self.nodes[*node].honest) {
                let has = self.book.views[node].logs.get(&own).map_or(0, BTreeMap::len);
                if has != all {
                    let name = &self.nodes[node].name;
                    return Some(format!("{name} has {has} of {all} entries of the self log"));
                }
            }
            let engines = person.nodes.iter().filter_map(|node| self.nodes[*node].engine.as_ref());
            let views: Vec<String> = engines.map(own_view).collect();
            if views.iter().any(|view| *view != views[0]) {
                return Some(format!("devices of {} differ: {views:#?}", person.name));
            }
        }
        None
    }

    /// What is not right yet.
    fn unsettled(&self) -> Option<String> {
        if let Some(differing) = self.differing() {
            return Some(differing);
        }
        for (one, other) in self.pairs() {
            let (with, log) = (self.account(other), self.log(one, other));
            for node in self.people[one].nodes.clone() {
                let state = &self.nodes[node];
                let name = &state.name;
                let Some(engine) = &state.engine else { return Some(format!("{name} is off")) };
                let status = engine.contact(with).map(|contact| contact.status);
                if status != Some(Status::Contact) {
                    return Some(format!("{name} has {} as {status:?}", self.people[other].name));
                }
                let has = self.book.views[node].logs.get(&log).map_or(0, |log| log.len());
                let all = self.book.count(log);
                if has != all {
                    return Some(format!("{name} has {has} of {all} entries of {log:?}"));
                }
            }
        }
        None
    }

    /// Which of the newest messages is not ticked yet.
    fn unticked(&self) -> Option<String> {
        for (one, other) in self.pairs() {
            let with = self.account(other);
            for node in self.people[one].nodes.iter().copied() {
                let newest = self.history(node, with, NEWEST);
                if let Some(message) = newest.iter().find(|message| !is_ticked(message)) {
                    let name = &self.nodes[node].name;
                    return Some(format!("{name}: {:?} is {:?}", message.id, message.state));
                }
            }
        }
        None
    }

    fn check_all(&mut self) {
        for (one, other) in self.pairs() {
            let (with, log) = (self.account(other), self.log(one, other));
            for node in self.people[one].nodes.clone() {
                self.check_ticks(node, with, usize::MAX);
                let shown = self.history(node, with, usize::MAX);
                let state = &self.nodes[node];
                let engine = state.engine();
                let expected: Vec<EntryId> = self.book.views[node]
                    .logs
                    .get(&log)
                    .into_iter()
                    .flat_map(|log| log.values().copied())
                    .filter(|id| self.book.entries[id].text.is_some())
                    .collect();
                let ids: Vec<EntryId> = shown.iter().map(|message| message.id).collect();
                assert_eq!(ids, expected, "shown is not what is stored");
                let positions = engine.positions(&state.store, with).expect("memory can be read");
                assert!(positions.is_sorted_by(|a, b| a < b));
                assert!(positions.len() >= ids.len());
                for message in &shown {
                    let known = &self.book.entries[&message.id];
                    assert_eq!(message.text, known.text);
                    assert_eq!(message.reply_to, known.reply_to);
                    assert_eq!(message.mine, known.entry.account == state.account);
                    assert!(is_ticked(message), "{:?} is {:?}", message.id, message.state);
                }
            }
        }
    }
}

fn is_ticked(message: &MessageView) -> bool {
    message.state.is_none_or(|state| state >= DeliveryState::DeliveredAll)
}

/// What every device of a person must show alike.
pub(crate) fn own_view(engine: &Engine) -> String {
    let contacts: Vec<String> = engine
        .contacts()
        .iter()
        // Each device is asked itself (07 R5), and many requests make room for new ones.
        .filter(|c| c.status != Status::Pending)
        .map(|c| {
            let draft = c.draft.as_deref().unwrap_or_default();
            let (name, greeting) = (&c.name, &c.greeting);
            format!("{name} {:?} {:?} {} {greeting} {draft}", c.status, c.validity, c.unread)
        })
        .collect();
    let mut devices: Vec<String> = engine
        .devices()
        .iter()
        .map(|d| format!("{:?} {:?} {:?}", d.device, d.name, d.standing))
        .collect();
    devices.sort();
    let profile = engine.profile();
    format!("{} {} {contacts:?} {devices:?}", profile.name, profile.read_receipts)
}
