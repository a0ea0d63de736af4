//! When is something written to a device that is not there, and where is it put?

use kith_common::{
    envelope::sign,
    ids::DeviceId,
    mail::{Letter, QueueAddress, Sealed},
    service::{
        Code,
        mailbox::{Operation, PutBody, Standing, Status as StatusRequest, Stored},
    },
    time::Timestamp,
};

use super::{
    Context, Engine,
    draft::{Draft, covered_by},
};
use crate::{
    contacts::Status,
    limits::{GROUP_MESSAGES_MAX, GROUP_MS, PACKAGE_MS},
    mail::{ErrandError, Outbox, Posting, Purpose, StoredGroup, blob_of, read_reply},
    mls,
    store::StoreError,
};

impl Engine {
    /// Looks at one device that is not there.
    pub(super) fn run_lane(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
    ) -> Result<(), StoreError> {
        let reach = self.written_to(device);
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return Ok(()) };
        let Some((account, queues)) = reach.filter(|_| !lane.busy) else {
            lane.rest(None);
            return Ok(());
        };
        lane.account = account;
        let (before, from) = queues.split_at(lane.at % queues.len());
        let mut in_turn = from.iter().chain(before);
        let to = in_turn.find(|to| !lane.full.contains(to.seed.writer().public())).cloned();
        if self.is_overdue(cx, device, &queues)?
            && let Some(lane) = self.mail.lanes.get_mut(&device)
        {
            // The other may have lost what opens the group.
            lane.outbox = None;
            lane.begin_anew(device, cx.store)?;
        }
        let draft = self.draft_for(cx, device, account)?;
        let Some(to) = to.filter(|_| draft.is_due) else {
            return self.wait_for_answer(cx, device, &queues, draft.later);
        };
        if self.begin_group_if_needed(cx, device)? {
            let lane = self.mail.lanes.get_mut(&device);
            if let Some(lane) = lane.filter(|lane| lane.card_was_refused(cx.uptime)) {
                lane.back_off(cx.uptime, cx.rng);
                return Ok(());
            }
            self.ask_status(cx, device, to);
            return Ok(());
        }
        self.put_letter(cx, device, to, draft)
    }

    /// Whether what lies in somebody's mailbox has lain there so long that it is put again.
    fn is_overdue(
        &self,
        cx: &Context<'_>,
        device: DeviceId,
        queues: &[QueueAddress],
    ) -> Result<bool, StoreError> {
        let Some(since) = self.mail.lanes.get(&device).and_then(|lane| lane.waits_since) else {
            return Ok(false);
        };
        Ok(since.plus_millis(half_life_ms(queues)) <= cx.now && self.is_awaited(cx, device)?)
    }

    /// Whether the other has not answered yet to what was put.
    fn is_awaited(&self, cx: &Context<'_>, device: DeviceId) -> Result<bool, StoreError> {
        let Some(lane) = self.mail.lanes.get(&device) else { return Ok(false) };
        let asking =
            self.contacts.find(lane.account).is_some_and(|c| c.status == Status::Requested);
        if lane.asked && asking {
            return Ok(true);
        }
        if lane.told.is_some() && lane.they_heard != lane.told {
            return Ok(true);
        }
        for (log, posted) in &lane.posted {
            let Some(conversation) = self.conversations.get(log) else { continue };
            let has = covered_by(conversation, device, cx)?;
            let put = conversation.log.covered(&posted.marks, cx.store)?;
            if put.iter().any(|(author, seq)| has.get(author).is_none_or(|have| have < seq)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// There is nothing to write: looks now and then whether what was put is still there.
    fn wait_for_answer(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        queues: &[QueueAddress],
        later: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let awaited = self.is_awaited(cx, device)?;
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return Ok(()) };
        let later = later.map(|at| {
            let left_ms = at.millis().saturating_sub(cx.now.millis());
            cx.uptime.plus_millis(left_ms.max(1_000))
        });
        if !awaited && lane.full.is_empty() {
            lane.rest(later);
            lane.nothing_lies();
            if lane.waits_since.take().is_some() {
                lane.save(device, cx.store)?;
            }
            return Ok(());
        }
        let since = *lane.waits_since.get_or_insert(cx.now);
        let end = since.plus_millis(half_life_ms(queues)).millis();
        let left_ms = end.saturating_sub(cx.now.millis()).max(1_000);
        if let Some(queue) = lane.probe_due(queues, cx.uptime, cx.rng) {
            self.ask_status(cx, device, queue);
            return Ok(());
        }
        let end = cx.uptime.plus_millis(left_ms);
        lane.rest([Some(end), lane.probe_at(), later].into_iter().flatten().min());
        Ok(())
    }

    /// Sees to it that there is a group to write in. Returns whether a card is needed for that.
    fn begin_group_if_needed(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
    ) -> Result<bool, StoreError> {
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return Ok(false) };
        let is_spent = |outbox: &Outbox| {
            mls::Sending::from_bytes(&outbox.group.state)
                .map_or(true, |group| group.sealed() >= GROUP_MESSAGES_MAX)
        };
        if lane.outbox.as_ref().is_some_and(is_spent) {
            lane.outbox = None;
        }
        let is_stale = |outbox: &Outbox| outbox.group.since.plus_millis(GROUP_MS) <= cx.now;
        if lane.outbox.as_ref().is_some_and(|outbox| !is_stale(outbox)) {
            return Ok(false);
        }
        let mut package = None;
        while !lane.stock.is_empty() && package.is_none() {
            let oldest = lane.stock.remove(0);
            package = mls::check_package(&self.me.device, &oldest, device, cx.now).ok();
        }
        let package = match (package, &lane.card) {
            (Some(package), _) => Some(package),
            (None, None) => return Ok(true),
            (None, Some(card)) => mls::check_package(&self.me.device, card, device, cx.now).ok(),
        };
        let Some(package) = package else {
            // The group that is there goes on serving, if there is one.
            return Ok(lane.outbox.is_none());
        };
        let begun = mls::Sending::begin(&self.me.device, package, cx.now, cx.rng);
        let Ok((group, welcome)) = begun else {
            // What was handed to us is of no use: another package is asked for, later.
            lane.set_card(None, cx.uptime);
            return Ok(lane.outbox.is_none());
        };
        let id = group.id().as_bytes().as_slice().into();
        let group = StoredGroup { id, state: group.to_bytes(), since: cx.now };
        lane.outbox = Some(Outbox { group, welcome: welcome.into(), joined: false });
        lane.save(device, cx.store)?;
        Ok(false)
    }

    /// Asks for the card of a queue, and whether it is still the same.
    fn ask_status(&mut self, cx: &mut Context<'_>, device: DeviceId, to: QueueAddress) {
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return };
        lane.busy = true;
        let stamp = self.mail.stamp(&to.url, cx.now, cx.rng);
        let writer = to.seed.writer();
        let body = sign(&writer, StatusRequest { stamp }).into_bytes().into();
        let url = to.url.clone();
        let purpose = Purpose::Status(device, to);
        self.send_errand(cx, (purpose, &url, *writer.public()), (Operation::Status, body, 0));
    }

    pub(super) fn lane_status(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        to: &QueueAddress,
        reply: Result<Vec<u8>, ErrandError>,
    ) -> Result<(), StoreError> {
        let standing = match read_reply(reply, Standing::decode) {
            Ok(standing) => standing,
            Err(error) => return self.lane_failed(cx, device, to, &error),
        };
        let writer = *to.seed.writer().public();
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return Ok(()) };
        let is_another = lane.meets(writer, standing.incarnation);
        if is_another {
            lane.begin_anew(device, cx.store)?;
        }
        let card = standing.card.and_then(|card| to.seed.open_card(&card).ok());
        let card = card.map(|card| card.package);
        let me = &self.me.device;
        let serves =
            card.as_ref().is_some_and(|card| mls::check_package(me, card, device, cx.now).is_ok());
        lane.full.remove(&writer);
        lane.set_card(card.filter(|_| serves), cx.uptime);
        if is_another {
            // Whoever runs it could have everything put again and again.
            lane.slow_down(cx.uptime, cx.rng);
        } else if serves || lane.outbox.is_some() || !lane.stock.is_empty() {
            lane.go_on(cx.uptime);
        } else {
            // Nothing there to begin with: its owner was away for long.
            lane.back_off(cx.uptime, cx.rng);
        }
        lane.save(device, cx.store)
    }

    fn put_letter(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        to: QueueAddress,
        draft: Draft,
    ) -> Result<(), StoreError> {
        let told = self.mail.lanes.get(&device).map(|lane| self.fingerprint(lane.account));
        let Some(told) = told else { return Ok(()) };
        let made = self.packages_for(cx, device)?;
        if let Some(lane) = self.mail.lanes.get_mut(&device) {
            lane.packages.extend(made);
        }
        let Some(lane) = self.mail.lanes.get(&device) else { return Ok(()) };
        let Some(outbox) = &lane.outbox else { return Ok(()) };
        // Who is asked anew may know queues only that were given up.
        let reply = if outbox.joined && !draft.asks {
            Vec::new()
        } else {
            self.open_queues(self.log_shared_with(lane.account))
        };
        let letter = Letter {
            from: (self.me.account.id(), self.me.device.device()),
            to: (lane.account, device),
            frames: draft.frames,
            packages: lane.packages.clone(),
            joined: lane.groups.iter().map(|group| group.id.clone()).collect(),
            heard: lane.heard,
            reply,
            told: draft.tells.then_some(told),
        };
        let welcome = (!outbox.joined).then(|| outbox.welcome.clone());
        let mut group = mls::Sending::from_bytes(&outbox.group.state)
            .map_err(|error| StoreError::new("Opening a group", error))?;
        let message = group.seal(&self.me.device, &letter.encode(), cx.rng).ok();
        let state = group.to_bytes();
        let content = message.map(|message| Sealed { welcome, message: message.into() }.encode());
        let Some(blob) = content.and_then(|content| blob_of(&to.seed, &content, cx.rng)) else {
            debug_assert!(false, "a letter fits the largest blob");
            tracing::error!("a letter was too large");
            if let Some(lane) = self.mail.lanes.get_mut(&device) {
                lane.extra.clear();
                lane.back_off(cx.uptime, cx.rng);
            }
            return Ok(());
        };
        if let Some(lane) = self.mail.lanes.get_mut(&device) {
            if let Some(outbox) = &mut lane.outbox {
                outbox.group.state = state;
            }
            lane.extra.clear();
            lane.busy = true;
            lane.save(device, cx.store)?;
        }
        let stamp = self.mail.stamp(&to.url, cx.now, cx.rng);
        let writer = to.seed.writer();
        let body = PutBody::signed(&writer, stamp, &blob);
        let url = to.url.clone();
        let round = self.mail.lanes.get(&device).map_or(0, |lane| lane.round);
        let posting = Posting { to, round, logs: draft.logs, told, asks: draft.asks };
        let purpose = Purpose::Put(device, Box::new(posting));
        self.send_errand(cx, (purpose, &url, *writer.public()), (Operation::Put, body, 0));
        Ok(())
    }

    /// Packages with which a device can begin groups later, if it may have used up those it had.
    pub(super) fn packages_for(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
    ) -> Result<Vec<Box<[u8]>>, StoreError> {
        let mut packages = Vec::new();
        // Without a queue of ours nobody has use for them.
        if self.profile.mailboxes.is_empty() {
            return Ok(packages);
        }
        for _ in 0..self.mail.packages.wanted_by(device, cx.now) {
            let package = mls::make_package(&self.me.device, cx.now, PACKAGE_MS, false, cx.rng)
                .map_err(|error| StoreError::new("Making a KeyPackage", error))?;
            self.mail.packages.add(&package, Some(device), cx.now, cx.store)?;
            packages.push(package.public);
        }
        Ok(packages)
    }

    pub(super) fn lane_posted(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        posting: Posting,
        reply: Result<Vec<u8>, ErrandError>,
    ) -> Result<(), StoreError> {
        let stored = match read_reply(reply, Stored::decode) {
            Ok(stored) => stored,
            Err(error) => {
                let round = self.mail.lanes.get(&device).map(|lane| lane.round);
                let counts = round == Some(posting.round);
                return if counts {
                    self.lane_failed(cx, device, &posting.to, &error)
                } else {
                    Ok(())
                };
            }
        };
        let writer = *posting.to.seed.writer().public();
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return Ok(()) };
        if lane.round != posting.round {
            // Meanwhile everything was begun anew, perhaps for another queue.
            return Ok(());
        }
        lane.packages.clear();
        if lane.meets(writer, stored.incarnation) {
            // What was put before is gone. Whoever runs it could have it put again and again.
            lane.begin_anew(device, cx.store)?;
            lane.slow_down(cx.uptime, cx.rng);
            return Ok(());
        }
        lane.go_on(cx.uptime);
        lane.put_at(writer);
        lane.told = Some(posting.told);
        lane.owes_answer = false;
        lane.asked |= posting.asks;
        lane.waits_since.get_or_insert(cx.now);
        lane.probe_later(cx.uptime);
        lane.post(device, posting.logs, cx.store)?;
        lane.save(device, cx.store)
    }

    fn lane_failed(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        to: &QueueAddress,
        error: &ErrandError,
    ) -> Result<(), StoreError> {
        let code = self.refusal_code(cx, &to.url, error);
        let has_others = self.written_to(device).is_some_and(|(_, queues)| queues.len() > 1);
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return Ok(()) };
        lane.back_off(cx.uptime, cx.rng);
        let writer = *to.seed.writer().public();
        match code {
            // What was put there is gone; its owner opens it again.
            Some(Code::UnknownQueue) if lane.lies_in(writer) => lane.begin_anew(device, cx.store),
            Some(Code::Full) => {
                lane.full.insert(writer);
                Ok(())
            }
            None if lane.misses(writer) && has_others => lane.begin_anew(device, cx.store),
            _ => Ok(()),
        }
    }
}

/// After half of the time for which a server keeps something it is put again: it may be the server that
/// keeps it shortest.
fn half_life_ms(queues: &[QueueAddress]) -> u64 {
    let days = queues.iter().map(|queue| queue.days.count()).min().unwrap_or(1);
    days * 24 * 60 * 60 * 1000 / 2
}
