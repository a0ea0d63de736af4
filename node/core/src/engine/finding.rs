//! Where are others, and where do we leave where we are? (spec 10)

mod by_id;
mod seeking;

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    entry::EntryKind,
    finding::{AddressKey, Day, FindKey, RecordKey, Schedule, next_sequence},
    frame::Frame,
    ids::{AccountId, DeviceId, LogId},
    keys::SigningKey,
    limits::FRAME_RECORDS_MAX,
    share::SharedId,
    time::Uptime,
};

use super::{Context, Engine, LinkId, Output};
use crate::{
    finding::{Announcer, Asked, Search, Target, is_relayed},
    limits::{
        CLOCK_LOOK_MS, CLOCK_SET_MS, PUBLISH_MS, PUBLISH_SPREAD_MS, PUBLISH_WAIT_MS, REKEY_MS,
    },
    refusal::Refusal,
    store::StoreError,
};

/// The time of day at which this node started, as its clock has it now, in milliseconds.
const fn started_at(cx: &Context<'_>) -> u64 {
    cx.now.millis().saturating_sub(cx.uptime.millis())
}

/// What is published together.
#[derive(Default)]
struct Made {
    records: Vec<(RecordKey, Box<[u8]>)>,
    namespaces: Vec<String>,
    sequences: Vec<(RecordKey, u64)>,
}

impl Made {
    fn seal(
        &mut self,
        cx: &mut Context<'_>,
        key: &AddressKey,
        (signer, day): (&SigningKey, Day),
        (addresses, announcer): (&[String], &Announcer),
    ) {
        let at = RecordKey::of(signer.public());
        let sequence = next_sequence(cx.now, announcer.last(at), cx.rng);
        let value = key.seal_record(signer, addresses, (cx.now, sequence), cx.rng);
        self.records.push((at, value));
        self.namespaces.push(key.namespace(day));
        self.sequences.push((at, sequence));
    }
}

/// Which relayed addresses a record names in any case: as many as fit beside a few others.
const RELAYS_FIRST: usize = 2;

impl Engine {
    /// There is somewhere to look for others, or not any more.
    pub(super) fn set_finding(&mut self, cx: &Context<'_>, is_on: bool) {
        if self.finding.is_on != is_on {
            self.finding.is_on = is_on;
            self.finding.searches.clear();
            self.publish_soon(cx.uptime);
            self.rearrange();
        }
    }

    /// Whom we know, or what we have chosen, has changed.
    pub(super) const fn rearrange(&mut self) {
        self.mail.rearrange = true;
        self.finding.rearrange = true;
        self.finding.is_stale = true;
    }

    fn publish_soon(&mut self, uptime: Uptime) {
        let soon = uptime.plus_millis(PUBLISH_WAIT_MS);
        self.finding.publish_at = Some(self.finding.publish_at.map_or(soon, |at| at.min(soon)));
    }

    /// We are elsewhere than before.
    pub(super) fn moved_to(&mut self, cx: &mut Context<'_>, mut addresses: Vec<String>) {
        if self.profile.relay_only {
            addresses.retain(|address| is_relayed(address));
        }
        if self.addresses == addresses {
            return;
        }
        self.addresses = addresses;
        self.tell_addresses(cx);
        if self.finding.is_on {
            self.publish_soon(cx.uptime);
            self.finding.searches.values_mut().for_each(|it| *it = Search::new(cx.uptime));
            let accounts: Vec<AccountId> = self.dialers.keys().copied().collect();
            accounts.into_iter().for_each(|account| self.reach_anew(cx.uptime, account));
        }
    }

    /// Has somebody dialled, if the person's settings let us.
    pub(super) fn dial_at(&self, cx: &mut Context<'_>, mut addresses: Vec<String>) {
        if self.profile.relay_only {
            addresses.retain(|address| is_relayed(address));
        }
        if !addresses.is_empty() {
            cx.out.push(Output::Dial { addresses });
        }
    }

    /// What inputs end with: whoever may find us is told how, and whoever is to be reached is looked
    /// for.
    pub(super) fn settle_finding(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let settings = (self.profile.bootstraps.clone(), self.profile.relay_only);
        if self.finding.told.as_ref() != Some(&settings) {
            let (bootstraps, relay_only) = settings.clone();
            cx.out.push(Output::Reach { bootstraps, relay_only });
            self.finding.told = Some(settings);
            if relay_only {
                let addresses = self.addresses.clone();
                self.moved_to(cx, addresses);
            }
            self.publish_soon(cx.uptime);
        }
        if self.finding.was_findable != self.profile.findable {
            self.finding.was_findable = self.profile.findable;
            self.publish_soon(cx.uptime);
        }
        self.heed_clock(cx);
        if std::mem::take(&mut self.finding.rearrange) && self.finding.is_on && self.belongs() {
            self.arrange_announcing(cx)?;
        }
        if std::mem::take(&mut self.finding.is_stale) {
            self.arrange_searches(cx);
        }
        if self.finding.is_on {
            self.search(cx);
        }
        Ok(())
    }

    /// If the clock was set, or time went by while this computer slept, records lie under the wrong
    /// day.
    fn heed_clock(&mut self, cx: &Context<'_>) {
        let Some(before) = self.finding.clock_of_records else { return };
        if self.finding.is_on && started_at(cx).abs_diff(before) > CLOCK_SET_MS {
            self.finding.clock_of_records = Some(started_at(cx));
            self.finding.rearrange = true;
            self.finding.searches.values_mut().for_each(|it| *it = Search::new(cx.uptime));
            self.publish_soon(cx.uptime);
        }
    }

    pub(super) fn tick_finding(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        if !self.finding.is_on {
            return Ok(());
        }
        if self.finding.look_at_clock.is_none_or(|at| at <= cx.uptime) {
            self.finding.look_at_clock = Some(cx.uptime.plus_millis(CLOCK_LOOK_MS));
        }
        if self.finding.rekey_at.is_some_and(|at| at <= cx.uptime) {
            self.finding.rekey_at = None;
            self.finding.rearrange = true;
        }
        if self.finding.publish_at.is_some_and(|at| at <= cx.uptime) {
            self.publish(cx)?;
        }
        Ok(())
    }

    // Telling who may find us

    /// Tells in every log that we share with somebody under which keys our records lie.
    fn arrange_announcing(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let today = Day::of(cx.now);
        let own = self.own_log();
        let mut logs: BTreeMap<LogId, BTreeSet<DeviceId>> = BTreeMap::new();
        for contact in self.contacts.known() {
            let log = self.log_with(contact.account.id());
            if self.conversations.contains_key(&log) {
                logs.insert(log, self.readers_of(log));
            }
        }
        if self.me.account.devices().len() > 1 && self.conversations.contains_key(&own) {
            logs.insert(own, self.readers_of(own));
        }
        let before = self.finding.announcer.take();
        let is_over = before.as_ref().is_some_and(|before| self.has_left(cx, before, &logs));
        let mut announcer = match before.filter(|_| !is_over) {
            Some(announcer) => announcer,
            // Somebody who knows the keys is to find us no more.
            None => Announcer::new(today, cx.rng),
        };
        if announcer.refresh(today) {
            announcer.told.clear();
        }
        let mut untold = Vec::new();
        let mut is_changed = is_over;
        for (log, readers) in logs {
            let told = announcer.told.entry(log).or_insert_with(|| {
                untold.push(log);
                BTreeSet::new()
            });
            is_changed |= !readers.is_subset(told);
            told.extend(readers);
        }
        if is_changed || !untold.is_empty() {
            announcer.save(cx.store)?;
        }
        let schedule = announcer.schedule.clone();
        self.finding.announcer = Some(announcer);
        if is_over {
            self.publish_soon(cx.uptime);
        }
        if untold.is_empty() {
            return Ok(());
        }
        let me = self.me.device.device();
        for log in untold {
            if self.finding.schedules.said(log, me) != Some(&schedule) {
                let body = |salt| schedule.encode(salt);
                let (place, _) = self.write_entry(cx, log, EntryKind::ANNOUNCE, body)?;
                self.hear_signposts(cx, log, &[place])?;
            }
        }
        self.publish_soon(cx.uptime);
        Ok(())
    }

    /// Whether somebody knows our keys who is not to know them any more. Who leaves our person is
    /// shut out at once; what becomes of the devices of others, which they decide, once in a while.
    fn has_left(
        &mut self,
        cx: &Context<'_>,
        announcer: &Announcer,
        logs: &BTreeMap<LogId, BTreeSet<DeviceId>>,
    ) -> bool {
        let own = self.own_person();
        let own: BTreeSet<DeviceId> = own.past().chain(own.disputed()).collect();
        let mut has_left = false;
        for (log, told) in &announcer.told {
            let Some(now) = logs.get(log) else { return true };
            let mut gone = told.difference(now).peekable();
            has_left |= gone.peek().is_some();
            if gone.any(|device| own.contains(device)) {
                return true;
            }
        }
        let next = self.finding.rekeyed_at.map(|at| at.plus_millis(REKEY_MS));
        self.finding.rekey_at = next.filter(|at| has_left && *at > cx.uptime);
        if has_left && self.finding.rekey_at.is_none() {
            self.finding.rekeyed_at = Some(cx.uptime);
            return true;
        }
        false
    }

    /// The devices of others that read in a log.
    fn readers_of(&self, log: LogId) -> BTreeSet<DeviceId> {
        let with = self.conversations.get(&log).and_then(|it| self.person(it.with));
        let people = [Some(self.own_person()), with.filter(|_| !self.is_own_log(log))];
        let all = people.into_iter().flatten().flat_map(|person| person.devices());
        all.filter(|device| *device != self.me.device.device()).collect()
    }

    /// A device says under which keys it leaves where it is.
    pub(super) fn hear_schedule(
        &mut self,
        cx: &mut Context<'_>,
        key: (LogId, DeviceId),
        word: (u64, u64),
        body: &[u8],
    ) -> Result<(), StoreError> {
        let Ok(schedule) = Schedule::decode(body) else { return Ok(()) };
        if self.finding.schedules.take(key, word, schedule, cx.store)? {
            self.finding.searches.remove(&Target::Device(key.1));
            self.finding.is_stale = true;
        }
        Ok(())
    }

    // Saying where we are

    /// Makes our records anew, and says when again.
    fn publish(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let change_ms = Day::next_change(cx.now).millis().saturating_sub(cx.now.millis());
        // Not all devices of the world at once: an hour is half of what days overlap.
        let spread_ms = u64::from(cx.rng.next_u32()) % PUBLISH_SPREAD_MS;
        let pause_ms = PUBLISH_MS.min(change_ms) + spread_ms;
        self.finding.publish_at = Some(cx.uptime.plus_millis(pause_ms));
        self.finding.clock_of_records = Some(started_at(cx));
        if !self.belongs() {
            return Ok(());
        }
        self.finding.rearrange = true;
        let days = Day::around(cx.now);
        self.finding.own.clear();
        let addresses = self.in_order_of_worth();
        let Some(mut announcer) = self.finding.announcer.take() else { return Ok(()) };
        let mut made = Made::default();
        if !addresses.is_empty() && !announcer.told.is_empty() {
            let key = &announcer.schedule.addresses;
            for day in &days {
                let signer = announcer.secret.key(*day);
                made.seal(cx, key, (&signer, *day), (&addresses, &announcer));
            }
            self.finding.own = made.records.iter().map(|(_, value)| value.clone()).collect();
        }
        self.make_for_strangers(cx, &days, &announcer, &mut made);
        let Made { records, namespaces, sequences } = made;
        announcer.made(sequences.into_iter(), cx.now);
        announcer.save(cx.store)?;
        self.finding.announcer = Some(announcer);
        cx.out.push(Output::Publish { records, namespaces });
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        links.into_iter().for_each(|link| self.send_own_records(cx, link));
        Ok(())
    }

    /// Where we are, for those who may know: two relays first, for they always fit; then what may be
    /// dialled straight, other machines' addresses before this one's.
    fn in_order_of_worth(&self) -> Vec<String> {
        let (relayed, straight): (Vec<_>, Vec<_>) =
            self.addresses.iter().cloned().partition(|address| is_relayed(address));
        let (here, elsewhere): (Vec<_>, Vec<_>) = straight
            .into_iter()
            .partition(|at| at.starts_with("/ip4/127.") || at.starts_with("/ip6/::1/"));
        let (first, rest) = relayed.split_at(relayed.len().min(RELAYS_FIRST));
        [first, &elsewhere, rest, &here].concat()
    }

    /// Says on a session where our records lie, so that others can hand them on.
    pub(super) fn send_own_records(&self, cx: &mut Context<'_>, id: LinkId) {
        let is_session = self.links.get(&id).is_some_and(|link| link.session.is_some());
        if is_session && self.finding.is_on && !self.finding.own.is_empty() {
            let records = self.finding.own.iter().take(FRAME_RECORDS_MAX).cloned().collect();
            cx.out.push(Output::Send { link: id, bytes: Frame::Records { records }.encode() });
        }
    }

    // Looking for others

    /// Whoever is to be reached, is not there and has said how to be found, is looked for.
    fn arrange_searches(&mut self, cx: &Context<'_>) {
        let mut wanted: BTreeSet<Target> = BTreeSet::new();
        if self.finding.is_on && self.belongs() {
            let me = self.me.device.device();
            let linked: BTreeSet<DeviceId> =
                self.links.values().filter_map(|link| Some(link.session?.device)).collect();
            let today = Day::of(cx.now);
            for (account, _) in self.dialers.iter().filter(|(_, dialer)| dialer.is_wanted()) {
                let Some(known) = self.account(*account) else { continue };
                let has_said = |device| {
                    let logs = self.logs_of(*account);
                    let schedule = self.finding.schedules.of(device, &logs);
                    schedule.is_some_and(|schedule| schedule.days_left(today) > 0)
                };
                if !known.devices().any(|device| device != me && has_said(device)) {
                    // Nobody has said yet how to be found: by the id that everybody may know.
                    wanted.insert(Target::Person(SharedId::of(known)));
                }
                let logs = self.logs_of(*account);
                let missing = known.devices().filter(|it| *it != me && !linked.contains(it));
                let found = missing.filter(|device| {
                    let schedule = self.finding.schedules.of(*device, &logs);
                    schedule.is_some_and(|schedule| schedule.days_left(today) > 0)
                });
                wanted.extend(found.map(Target::Device));
            }
            wanted.extend(self.finding.sought.keys().copied().map(Target::Person));
        }
        let finding = &mut self.finding;
        finding.searches.retain(|target, _| wanted.contains(target));
        finding.asked.retain(|_, asked| wanted.contains(&asked.target));
        for target in wanted {
            finding.searches.entry(target).or_insert_with(|| Search::new(cx.uptime));
        }
    }

    /// The logs that we share with somebody, whose word on themselves counts.
    fn logs_of(&self, account: AccountId) -> Vec<LogId> {
        if account == self.me.account.id() { self.own_logs() } else { self.logs_with(account) }
    }

    fn search(&mut self, cx: &mut Context<'_>) {
        let mut due = Vec::new();
        let mut seek = Vec::new();
        for (target, search) in &mut self.finding.searches {
            if search.is_due(cx.uptime, cx.rng) {
                due.push(*target);
            }
            if search.seeks(cx.uptime)
                && let Target::Device(device) = target
            {
                seek.push(*device);
            }
        }
        let (mut keys, mut namespaces) = (Vec::new(), Vec::new());
        for target in due {
            let places = self.places_to_look(cx, target);
            // Keys of other days are of no use any more.
            self.finding.asked.retain(|_, asked| asked.target != target);
            for (key, addresses) in places.0 {
                let dialled = Vec::new();
                self.finding.asked.insert(key, Asked { target, addresses, dialled });
                keys.push(key);
            }
            namespaces.extend(places.1);
        }
        if !keys.is_empty() || !namespaces.is_empty() {
            cx.out.push(Output::Search { keys, namespaces });
        }
        self.ask_around(cx, &seek);
    }

    /// Under which keys somebody's records may lie now, with what opens them, and where they meet
    /// others.
    fn places_to_look(
        &self,
        cx: &Context<'_>,
        target: Target,
    ) -> (Vec<(RecordKey, AddressKey)>, Vec<String>) {
        let days = Day::around(cx.now);
        match target {
            Target::Device(device) => {
                let account = self.letter_owner(device);
                let logs = account.map(|account| self.logs_of(account)).unwrap_or_default();
                let Some(schedule) = self.finding.schedules.of(device, &logs) else {
                    return (Vec::new(), Vec::new());
                };
                let keys = days.iter().filter_map(|day| schedule.key(*day));
                let keys = keys.map(|key| (key, schedule.addresses.clone())).collect();
                (keys, days.iter().map(|day| schedule.addresses.namespace(*day)).collect())
            }
            Target::Person(id) => {
                let find = FindKey::of(&id);
                let addresses = find.addresses();
                let keys = days.iter().flat_map(|day| find.keys(*day));
                let keys = keys.map(|key| (key, addresses.clone())).collect();
                (keys, days.iter().map(|day| addresses.namespace(*day)).collect())
            }
        }
    }

    /// Somebody has answered what was asked for.
    pub(super) fn found(&mut self, cx: &mut Context<'_>, key: RecordKey, value: &[u8]) {
        let Some(asked) = self.finding.asked.get_mut(&key) else { return };
        let is_person = matches!(asked.target, Target::Person(_));
        match asked.addresses.open_record(key, value, cx.now) {
            Ok(mut found) => {
                // What somebody says again and again is dialled once each time that we ask.
                if !asked.is_new(found.sequence) {
                    return;
                }
                if is_person {
                    found.addresses.retain(|address| is_relayed(address));
                } else {
                    let age = (found.sequence, found.not_after);
                    self.finding.records.keep((key, &asked.addresses), age, value, cx.now);
                }
                self.dial_at(cx, found.addresses);
            }
            Err(refusal) => {
                tracing::debug!(%refusal, "a record that was found");
                self.refusals.count(Refusal::Record);
            }
        }
    }

    /// Our id, by which strangers may find us.
    fn own_id(&self) -> SharedId {
        SharedId::of(&self.me.account)
    }
}
