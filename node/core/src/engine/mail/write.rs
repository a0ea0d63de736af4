//! What is written to a device that is not there, when, and where is it put?

use std::{cell::Cell, collections::BTreeMap};

use kith_common::{
    crypto,
    entry::Mark,
    envelope::{Signed, sign},
    frame::Frame,
    frontier::Frontier,
    ids::{AccountId, DeviceId, EntryId, LogId},
    limits::{FRAME_FRONTIERS_MAX, LETTER_FRAMES_MAX},
    mail::{Letter, QueueAddress, Sealed},
    service::{
        Code,
        mailbox::{Operation, PutBody, Standing, Status as StatusRequest, Stored},
    },
    time::{Timestamp, Uptime},
};

use super::{Context, Engine};
use crate::{
    contacts::Status,
    conversation::Conversation,
    limits::{
        GROUP_MESSAGES_MAX, GROUP_MS, HAND_ON_MS, LETTER_ENTRIES_BYTES, LETTER_PROOFS_BYTES,
        PACKAGE_MS, PACKAGES_OUT,
    },
    log::Covered,
    mail::{ErrandError, Lane, Outbox, Posted, Posting, Purpose, StoredGroup, blob_of, read_reply},
    mls,
    session::{Introduction, Link},
    store::{EntryRow, StoreError},
    sync,
};

/// What one device lacks, as far as one letter carries it.
#[derive(Debug, Default)]
struct Draft {
    frames: Vec<Box<[u8]>>,
    logs: BTreeMap<LogId, Posted>,
    asks: bool,
    /// Whether there is any reason to write.
    is_due: bool,
    /// When something is to be handed on that its writer may still put.
    later: Option<Timestamp>,
}

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
        let Some(to) = queues.get(lane.at % queues.len()).cloned() else { return Ok(()) };
        if self.is_overdue(cx, device, &to)?
            && let Some(lane) = self.mail.lanes.get_mut(&device)
        {
            lane.begin_anew(device, cx.store)?;
        }
        let draft = self.draft_for(cx, device, account)?;
        let may_put = self.mail.lanes.get(&device).is_some_and(|lane| !lane.full);
        if !draft.is_due || !may_put {
            return self.wait_for_answer(cx, device, &to, draft.later);
        }
        if self.begin_group_if_needed(cx, device)? {
            return self.ask_for_card(cx, device, to);
        }
        self.put_letter(cx, device, to, draft)
    }

    /// Whether what lies in somebody's mailbox has lain there so long that it is put again.
    fn is_overdue(
        &self,
        cx: &Context<'_>,
        device: DeviceId,
        to: &QueueAddress,
    ) -> Result<bool, StoreError> {
        let Some(since) = self.mail.lanes.get(&device).and_then(|lane| lane.waits_since) else {
            return Ok(false);
        };
        Ok(since.plus_millis(half_life_ms(to)) <= cx.now && self.is_awaited(cx, device)?)
    }

    /// Whether the other has not answered yet to what was put.
    fn is_awaited(&self, cx: &Context<'_>, device: DeviceId) -> Result<bool, StoreError> {
        let Some(lane) = self.mail.lanes.get(&device) else { return Ok(false) };
        let asking =
            self.contacts.find(lane.account).is_some_and(|c| c.status == Status::Requested);
        if lane.asked && asking {
            return Ok(true);
        }
        let head = self.me.account.head();
        if lane.told_head.is_some() && lane.their_head != Some(head) {
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
        to: &QueueAddress,
        later: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let awaited = self.is_awaited(cx, device)?;
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return Ok(()) };
        let later = later.map(|at| {
            let left_ms = at.millis().saturating_sub(cx.now.millis());
            cx.uptime.plus_millis(left_ms.max(1_000))
        });
        if !awaited && !lane.full {
            lane.rest(later);
            if lane.waits_since.take().is_some() {
                lane.save(device, cx.store)?;
            }
            return Ok(());
        }
        let since = *lane.waits_since.get_or_insert(cx.now);
        let end = since.plus_millis(half_life_ms(to)).millis();
        let left_ms = end.saturating_sub(cx.now.millis()).max(1_000);
        if lane.probe_is_due(cx.uptime) {
            return self.ask_for_card(cx, device, to.clone());
        }
        let end = cx.uptime.plus_millis(left_ms);
        lane.rest([Some(end), lane.probe_at(), later].into_iter().flatten().min());
        Ok(())
    }

    /// What a device lacks.
    fn draft_for(
        &self,
        cx: &mut Context<'_>,
        device: DeviceId,
        account: AccountId,
    ) -> Result<Draft, StoreError> {
        let mut draft = Draft::default();
        let Some(lane) = self.mail.lanes.get(&device) else { return Ok(draft) };
        let asking = self.contacts.find(account).filter(|c| c.status == Status::Requested);
        if let Some(contact) = asking {
            // The answer needs a way back, if there is to be one.
            let is_ready = self.profile.mailboxes.is_empty()
                || !self.open_queues(self.log_with(account)).is_empty();
            if !lane.asked && is_ready {
                draft.frames.extend(self.request_for(cx, device, account, &contact.greeting));
                draft.asks = true;
                draft.is_due = true;
            }
            return Ok(draft);
        }
        let told = self.fingerprint(account);
        if lane.told_head != Some(told) || lane.their_head != Some(self.me.account.head()) {
            self.draft_proofs(device, &mut draft);
        }
        draft.is_due |= lane.told_head != Some(told);
        draft.is_due |= !lane.extra.is_empty();
        draft.frames.extend(lane.extra.iter().cloned());
        let mut room = LETTER_ENTRIES_BYTES;
        let mut frontiers: Vec<Box<[u8]>> = Vec::new();
        for log in self.shared_logs(account) {
            let frames = draft.frames.len() + frontiers.len().div_ceil(FRAME_FRONTIERS_MAX);
            if room == 0 || frames + 2 >= LETTER_FRAMES_MAX {
                // The rest goes with the next letter.
                break;
            }
            let Some(conversation) = self.conversations.get(&log) else { continue };
            let put = lane.posted.get(&log);
            let ((entries, marks), later) =
                self.entries_for(cx, conversation, (device, account), put, room)?;
            draft.later = [draft.later, later].into_iter().flatten().min();
            room = room.saturating_sub(entries.iter().map(|e| e.frame_bytes()).sum());
            let word = self.own_word(log, account);
            let is_news = word.is_some() && put.and_then(|put| put.frontier) != word;
            if entries.is_empty() && !is_news {
                continue;
            }
            draft.is_due = true;
            if !entries.is_empty() {
                draft.frames.push(Frame::Entries { log, entries }.encode().into());
            }
            let frontier = conversation.log.frontier(self.profile.read_receipts, cx.store)?;
            frontiers.push(sign(&self.me.device, frontier).into_bytes());
            draft.logs.insert(log, Posted { marks, frontier: word });
        }
        for part in frontiers.chunks(FRAME_FRONTIERS_MAX) {
            let frame = Frame::Frontiers { ask: false, frontiers: part.to_vec() };
            draft.frames.push(frame.encode().into());
        }
        Ok(draft)
    }

    /// What proves our own accounts, as far as a letter carries it.
    fn draft_proofs(&self, device: DeviceId, draft: &mut Draft) {
        let mut room = LETTER_PROOFS_BYTES;
        for proofs in self.proofs_for(Some(device), self.me.account.id()) {
            let frame = Frame::Accounts { proofs }.encode();
            if frame.len() > room && !draft.frames.is_empty() {
                break;
            }
            room = room.saturating_sub(frame.len());
            draft.frames.push(frame.into());
        }
    }

    fn request_for(
        &self,
        cx: &mut Context<'_>,
        device: DeviceId,
        account: AccountId,
        greeting: &str,
    ) -> Option<Box<[u8]>> {
        let introduction = Introduction {
            name: self.profile.name.clone(),
            greeting: greeting.to_owned(),
            addresses: self.addresses.clone(),
            absorbed: self.short_proofs_of_absorbed(),
        };
        let link = self.letter_link(device, cx.uptime);
        let request = link.request(&self.me, (account, device), introduction, cx.rng)?;
        Some(request.encode().into())
    }

    /// What stands for a link when a letter is written or read: its ends are the two devices.
    pub(super) fn letter_link(&self, device: DeviceId, uptime: Uptime) -> Link {
        let own = self.me.device.device();
        Link::new(own.as_bytes().as_slice().into(), device.as_bytes().as_slice().into(), uptime)
    }

    /// What says how much we know of our own accounts, to a device of this one.
    pub(super) fn fingerprint(&self, account: AccountId) -> EntryId {
        let mut heads: Vec<&[u8]> = Vec::new();
        let own = self.own_person();
        let proofs = own.proofs();
        let relatives = self.relatives.values().filter(|_| account == self.me.account.id());
        let relatives: Vec<Vec<Box<[u8]>>> = relatives.map(|it| it.proof().to_vec()).collect();
        for envelope in proofs.iter().chain(&relatives).flatten() {
            heads.push(envelope);
        }
        EntryId::from_bytes(crypto::hash_parts(b"kith/told/1", &heads))
    }

    /// How far we are with what devices of somebody have written: they may put it again as long as
    /// they do not know.
    pub(super) fn own_word(&self, log: LogId, account: AccountId) -> Option<[u8; 32]> {
        let conversation = self.conversations.get(&log)?;
        let person = self.person(account)?;
        let me = self.me.device.device();
        let theirs = |mark: &Mark| mark.device != me && person.standing(mark.device).is_some();
        let heads: Vec<Mark> = conversation.log.heads().into_iter().filter(theirs).collect();
        if heads.is_empty() {
            return None;
        }
        let ids: Vec<&[u8]> = heads.iter().map(|mark| mark.id.as_bytes().as_slice()).collect();
        Some(crypto::hash_parts(b"kith/word/1", &ids))
    }

    /// Entries of a log that a device lacks, each after what it depends on.
    fn entries_for(
        &self,
        cx: &Context<'_>,
        conversation: &Conversation,
        (device, account): (DeviceId, AccountId),
        put: Option<&Posted>,
        room: usize,
    ) -> Result<(sync::Batch, Option<Timestamp>), StoreError> {
        let mut has = covered_by(conversation, device, cx)?;
        // A new device of ours gets everything at once: who wrote it may never come.
        let is_new = has.is_empty() && account == self.me.account.id();
        let marks = put.map_or(&[][..], |put| &put.marks);
        for (author, seq) in conversation.log.covered(marks, cx.store)? {
            let known = has.entry(author).or_default();
            *known = (*known).max(seq);
        }
        let me = self.me.device.device();
        let now = cx.now;
        let later = Cell::new(None);
        let may_go = |author: DeviceId, row: &EntryRow| {
            let at = row.received_at.plus_millis(HAND_ON_MS);
            let goes = author == me || is_new || at <= now;
            if !goes {
                later.set(Some(later.get().map_or(at, |before: Timestamp| before.min(at))));
            }
            goes
        };
        let log = &conversation.log;
        let batch = sync::entries_above(log, cx.store, &has, (&may_go, device), room)?;
        Ok((batch, later.get()))
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
        let begun = mls::Sending::begin(&self.me.device, package, cx.now, cx.rng)
            .map_err(|error| StoreError::new("Beginning a group", error))?;
        let (group, welcome) = begun;
        let id = group.id().as_bytes().as_slice().into();
        let group = StoredGroup { id, state: group.to_bytes(), since: cx.now };
        lane.outbox = Some(Outbox { group, welcome: welcome.into(), joined: false });
        lane.save(device, cx.store)?;
        Ok(false)
    }

    fn ask_for_card(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        to: QueueAddress,
    ) -> Result<(), StoreError> {
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return Ok(()) };
        if lane.card_was_refused(cx.uptime) {
            lane.back_off(cx.uptime, cx.rng);
            return Ok(());
        }
        lane.busy = true;
        let stamp = self.mail.stamp(&to.url, cx.now, cx.rng);
        let writer = to.seed.writer();
        let body = sign(&writer, StatusRequest { stamp }).into_bytes().into();
        let url = to.url.clone();
        let purpose = Purpose::Status(device, to);
        self.send_errand(cx, (purpose, &url, *writer.public()), (Operation::Status, body, 0));
        Ok(())
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
        if lane.meets(writer, standing.incarnation) {
            lane.begin_anew(device, cx.store)?;
        }
        let card = standing.card.and_then(|card| to.seed.open_card(&card).ok());
        let card = card.map(|card| card.package);
        let me = &self.me.device;
        let serves =
            card.as_ref().is_some_and(|card| mls::check_package(me, card, device, cx.now).is_ok());
        lane.full = false;
        lane.set_card(card.filter(|_| serves), cx.uptime);
        if serves || lane.outbox.is_some() || !lane.stock.is_empty() {
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
        let Some(head) = told else { return Ok(()) };
        let packages = self.packages_for(cx, device)?;
        let Some(lane) = self.mail.lanes.get(&device) else { return Ok(()) };
        let Some(outbox) = &lane.outbox else { return Ok(()) };
        let theirs = self.account(lane.account).map(kith_common::account::Account::head);
        let reply = if outbox.joined { Vec::new() } else { self.open_queues(self.reply_log(lane)) };
        let letter = Letter {
            from: (self.me.account.id(), self.me.device.device()),
            to: (lane.account, device),
            frames: draft.frames,
            packages,
            joined: lane.groups.iter().map(|group| group.id.clone()).collect(),
            head: theirs,
            reply,
        };
        let welcome = (!outbox.joined).then(|| outbox.welcome.clone());
        let mut group = mls::Sending::from_bytes(&outbox.group.state)
            .map_err(|error| StoreError::new("Opening a group", error))?;
        let message = group
            .seal(&self.me.device, &letter.encode(), cx.rng)
            .map_err(|error| StoreError::new("Sealing a letter", error))?;
        let state = group.to_bytes();
        let content = Sealed { welcome, message: message.into() }.encode();
        let Some(blob) = blob_of(&to.seed, &content, cx.rng) else {
            return Err(StoreError::new("Sealing a letter", "it is too large"));
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
        let posting = Posting { to, logs: draft.logs, head, asks: draft.asks };
        let purpose = Purpose::Put(device, Box::new(posting));
        self.send_errand(cx, (purpose, &url, *writer.public()), (Operation::Put, body, 0));
        Ok(())
    }

    /// The log whose queues are for those who answer on a lane.
    fn reply_log(&self, lane: &Lane) -> LogId {
        if lane.account == self.me.account.id() {
            self.own_log()
        } else {
            self.log_with(lane.account)
        }
    }

    /// Packages with which a device can begin groups later, if it may have used up those it had.
    fn packages_for(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
    ) -> Result<Vec<Box<[u8]>>, StoreError> {
        let mut packages = Vec::new();
        // Without a queue of ours nobody has use for them.
        if self.profile.mailboxes.is_empty() {
            return Ok(packages);
        }
        for _ in self.mail.packages.with(device)..PACKAGES_OUT {
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
            Err(error) => return self.lane_failed(cx, device, &posting.to, &error),
        };
        let writer = *posting.to.seed.writer().public();
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return Ok(()) };
        lane.go_on(cx.uptime);
        if lane.meets(writer, stored.incarnation) {
            // What was put before is gone.
            return lane.begin_anew(device, cx.store);
        }
        lane.told_head = Some(posting.head);
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
        let code = match error {
            ErrandError::Refused(failure) => {
                if let (Code::Stale, Some(theirs)) = (failure.code, failure.value) {
                    self.mail.set_clock(&to.url, theirs, cx.now);
                }
                Some(failure.code)
            }
            ErrandError::Unreachable(_) => None,
        };
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return Ok(()) };
        lane.back_off(cx.uptime, cx.rng);
        match code {
            // What was put there is gone; its owner opens it again.
            Some(Code::UnknownQueue) => lane.begin_anew(device, cx.store),
            Some(Code::Full) => {
                lane.full = true;
                lane.probe_later(cx.uptime);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// After half of the time for which a server keeps something it is put again.
const fn half_life_ms(to: &QueueAddress) -> u64 {
    to.days.count() * 24 * 60 * 60 * 1000 / 2
}

/// What a device has, by its own word.
fn covered_by(
    conversation: &Conversation,
    device: DeviceId,
    cx: &Context<'_>,
) -> Result<Covered, StoreError> {
    let mut covered = Covered::new();
    for envelope in conversation.stored_frontiers(cx.store, device)? {
        let Ok(frontier) = Signed::<Frontier>::decode(&envelope) else { continue };
        for (author, seq) in conversation.log.covered(&frontier.claim().received, cx.store)? {
            let known = covered.entry(author).or_default();
            *known = (*known).max(seq);
        }
    }
    Ok(covered)
}
