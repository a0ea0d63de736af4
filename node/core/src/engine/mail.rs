//! How is somebody reached who is not there? Mailboxes, ours and others' (spec 09).
//!
//! Nothing here says what is delivered: a letter carries what a link would, and only signed
//! frontiers count (spec 04 R6).

mod draft;
mod own;
mod read;
mod write;

use kith_common::{
    entry::EntryKind,
    frame::Frame,
    ids::{AccountId, DeviceId, LogId},
    limits::MAILBOXES_MAX,
    mail::{Announcement, MailboxUrl, QueueAddress},
    own::MailboxSetting,
    service::{Code, mailbox::Operation},
};

use super::{Context, Engine, Event, LinkId, Output};
use crate::{
    limits::{MAIL_WAIT_MS, PURGE_MS},
    mail::{Errand, ErrandError, ErrandId, Lane, OwnQueue, Posted, Purpose, QueueFor},
    mls,
    refusal::Refusal,
    session::Session,
    store::{Place, StoreError},
    view::{self, MailboxView},
};

impl Engine {
    /// A request was answered, or came to nothing.
    pub(super) fn errand_done(
        &mut self,
        cx: &mut Context<'_>,
        id: ErrandId,
        reply: Result<Vec<u8>, ErrandError>,
    ) -> Result<(), StoreError> {
        match self.mail.end(id) {
            Some(Purpose::Open(queue)) => self.queue_opened(cx, queue, reply),
            Some(Purpose::Fetch(queue)) => self.queue_fetched(cx, queue, reply),
            Some(Purpose::Close(queue)) => self.queue_closed(cx, queue, reply),
            Some(Purpose::Status(device, queue)) => self.lane_status(cx, device, &queue, reply),
            Some(Purpose::Put(device, posting)) => self.lane_posted(cx, device, *posting, reply),
            Some(Purpose::Answer(device)) => self.guest_answered(cx, device, reply),
            Some(Purpose::CloseOther) | None => Ok(()),
        }
    }

    /// Has a request made.
    pub(super) fn send_errand(
        &mut self,
        cx: &mut Context<'_>,
        (purpose, url, queue): (Purpose, &MailboxUrl, [u8; 32]),
        (operation, body, wait_ms): (Operation, Vec<u8>, u64),
    ) {
        let id = self.mail.begin(purpose);
        let chosen = self.profile.mailboxes.iter().any(|mailbox| mailbox.url == *url);
        let mut queues = self.mail.queues.values();
        let own = chosen || queues.any(|queue| queue.address.url == *url);
        let url = url.clone();
        let looking = self.mail.queues.get(&queue).is_some_and(|queue| queue.looking);
        let overtakes = looking && operation != Operation::Fetch;
        let errand = Errand { id, url, operation, body, queue, wait_ms, own, overtakes };
        cx.out.push(Output::Errand(errand));
    }

    /// The log that we write to somebody in, ourselves included.
    fn log_shared_with(&self, account: AccountId) -> LogId {
        if account == self.me.account.id() { self.own_log() } else { self.log_with(account) }
    }

    /// Why a server refused, if it did; what it says of its clock is heeded.
    fn refusal_code(
        &mut self,
        cx: &Context<'_>,
        url: &MailboxUrl,
        error: &ErrandError,
    ) -> Option<Code> {
        let ErrandError::Refused(failure) = error else { return None };
        if let (Code::Stale, Some(theirs)) = (failure.code, failure.value) {
            self.mail.set_clock(url, theirs, cx.now);
        }
        Some(failure.code)
    }

    /// What a failed request says of a server. Returns the refusal, if there is one.
    pub(super) fn note_failure(
        &mut self,
        cx: &mut Context<'_>,
        url: &MailboxUrl,
        error: &ErrandError,
    ) -> Option<Code> {
        let code = self.refusal_code(cx, url, error);
        let trouble = match error {
            ErrandError::Unreachable(why) => why.clone(),
            ErrandError::Refused(failure) => failure.sentence.clone().into_owned(),
        };
        if !matches!(code, Some(Code::UnknownQueue | Code::Stale | Code::Replayed)) {
            let is_news = self.mail.troubles.get(url) != Some(&trouble);
            self.mail.troubles.insert(url.clone(), trouble);
            if is_news && self.profile.mailboxes.iter().any(|mailbox| mailbox.url == *url) {
                cx.out.push(Output::Event(Event::Account));
            }
        }
        code
    }

    pub(super) fn tick_mail(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let due = |at: Option<kith_common::time::Uptime>| at.is_some_and(|at| at <= cx.uptime);
        let queues = self.mail.queues.iter().filter(|(_, queue)| due(queue.deadline()));
        let queues: Vec<[u8; 32]> = queues.map(|(key, _)| *key).collect();
        let lanes = self.mail.lanes.iter().filter(|(_, lane)| due(lane.deadline()));
        let lanes: Vec<DeviceId> = lanes.map(|(device, _)| *device).collect();
        for queue in queues {
            self.run_queue(cx, queue)?;
        }
        for device in lanes {
            self.run_lane(cx, device)?;
        }
        let all_seen = || self.mail.queues.values().all(|it| it.is_seen || it.is_quiet);
        let is_early = !self.mail.is_purged && !self.mail.queues.is_empty() && all_seen();
        if self.mail.purge_at.is_some_and(|at| at <= cx.uptime || is_early) {
            self.purge_keys(cx)?;
        }
        Ok(())
    }

    /// Forgets what could open what was recorded long ago, whether there are mailboxes or not.
    fn purge_keys(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        self.mail.is_purged = true;
        self.mail.packages.purge(cx.now, cx.store)?;
        for (device, lane) in &mut self.mail.lanes {
            if lane.purge(cx.now) {
                lane.save(*device, cx.store)?;
            }
        }
        self.mail.purge_at = self.mail.has_keys().then(|| cx.uptime.plus_millis(PURGE_MS));
        Ok(())
    }

    /// What inputs end with: whoever may lack something now is looked at soon.
    pub(super) fn settle_mail(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        self.arrange_mail(cx)?;
        if self.mail.purge_at.is_none() && self.mail.has_keys() {
            self.mail.purge_at = Some(cx.uptime.plus_millis(PURGE_MS));
        }
        for device in std::mem::take(&mut self.mail.left) {
            self.lane_takes_over(cx, device)?;
        }
        let logs = std::mem::take(&mut self.mail.stirred_logs);
        let mut stirred = std::mem::take(&mut self.mail.stirred);
        for log in logs {
            stirred.extend(self.written_about(log));
        }
        for device in stirred {
            if let Some((account, _)) = self.written_to(device) {
                let lane = self.mail.lanes.entry(device).or_insert_with(|| Lane::new(account));
                lane.stir(cx.uptime.plus_millis(MAIL_WAIT_MS));
            }
        }
        Ok(())
    }

    /// Devices that can be written to and share a log.
    fn written_about(&self, log: LogId) -> Vec<DeviceId> {
        let Some(with) = self.conversations.get(&log).map(|c| c.with) else { return Vec::new() };
        let own = self.own_logs();
        let shared = if self.is_own_log(log) { Vec::new() } else { self.logs_with(with) };
        let logs = own.iter().chain(&shared);
        let me = self.me.device.device();
        logs.flat_map(|log| self.mail.places.devices(*log)).filter(|device| *device != me).collect()
    }

    /// Whose device it is and where it can be written to, if it is to be written to at all: it
    /// speaks for somebody we know, and is not there.
    fn written_to(&self, device: DeviceId) -> Option<(AccountId, Vec<QueueAddress>)> {
        if device == self.me.device.device() || self.is_linked(device) {
            return None;
        }
        let account = self.letter_owner(device)?;
        let is_own = account == self.me.account.id();
        let logs = if is_own { self.own_logs() } else { self.logs_with(account) };
        let queues = self.mail.places.of(device, &logs);
        (!queues.is_empty()).then_some((account, queues))
    }

    /// Entries say where devices can be written to, or looked for.
    pub(super) fn hear_signposts(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        places: &[Place],
    ) -> Result<(), StoreError> {
        for place in places {
            let Some(row) = cx.store.entry(*place)? else { continue };
            let opened = view::open(&row)?;
            let Some(body) = row.body.bytes() else { continue };
            let (seq, hlc) = (place.seq, opened.entry.hlc.bits());
            let key = (log, opened.device);
            if opened.entry.kind == EntryKind::ANNOUNCE {
                self.hear_schedule(cx, key, (seq, hlc), body)?;
                continue;
            }
            let Ok(said) = Announcement::decode(body) else { continue };
            if self.mail.places.take(key, (seq, hlc), said.queues, cx.store)? {
                self.mail.stirred.insert(opened.device);
                if let Some(lane) = self.mail.lanes.get_mut(&opened.device) {
                    // What lies elsewhere may never be looked for again.
                    lane.begin_anew(opened.device, cx.store)?;
                    lane.go_on(cx.uptime);
                }
            }
        }
        Ok(())
    }

    /// A link says where devices of an account can be asked while they are not there.
    pub(super) fn hear_knocks(
        &mut self,
        cx: &mut Context<'_>,
        account: AccountId,
        knocks: Vec<(DeviceId, QueueAddress)>,
    ) -> Result<(), StoreError> {
        for (device, lane) in &mut self.mail.lanes {
            // Whoever is asked anew is asked by letter too.
            if lane.account == account {
                lane.asked = false;
                self.mail.stirred.insert(*device);
            }
        }
        let log = self.log_with(account);
        let devices: std::collections::BTreeSet<DeviceId> =
            knocks.iter().map(|(device, _)| *device).collect();
        for device in devices {
            let of_device = knocks.iter().filter(|(of, _)| *of == device);
            let queues = of_device.map(|(_, queue)| queue.clone()).take(MAILBOXES_MAX).collect();
            if self.mail.places.take_reply((log, device), queues, cx.store)? {
                self.mail.stirred.insert(device);
            }
        }
        Ok(())
    }

    /// Says in a log where this device can be written to, if that is news.
    fn announce(&mut self, cx: &mut Context<'_>, log: LogId) -> Result<(), StoreError> {
        if !self.conversations.contains_key(&log) || !self.belongs() {
            return Ok(());
        }
        let queues = self.open_queues(log);
        let waits = |queue: &OwnQueue| queue.serves == QueueFor::Log(log) && !queue.closing;
        if queues.is_empty() && self.mail.queues.values().any(waits) {
            // What was said before counts until there is something better.
            return Ok(());
        }
        let me = self.me.device.device();
        let said = self.mail.places.said(log, me);
        if said.map_or(&[][..], |place| &place.queues) == queues {
            return Ok(());
        }
        let said = Announcement { queues };
        let (place, _) = self.write_entry(cx, log, EntryKind::MAILBOX, |salt| said.encode(salt))?;
        self.hear_signposts(cx, log, &[place])
    }

    /// The mailboxes that the person has chosen, and how we get on with them.
    pub fn mailboxes(&self) -> Vec<MailboxView> {
        let view = |mailbox: &MailboxSetting| {
            let ours = self
                .mail
                .queues
                .values()
                .filter(|queue| queue.address.url == mailbox.url && !queue.closing);
            let (open, all) = ours
                .fold((0, 0), |(open, all), queue| (open + usize::from(queue.is_open), all + 1));
            MailboxView {
                url: mailbox.url.as_str().to_owned(),
                days: mailbox.days.count(),
                queues_open: open,
                queues: all,
                trouble: self.mail.troubles.get(&mailbox.url).cloned(),
            }
        };
        self.profile.mailboxes.iter().map(view).collect()
    }

    /// Hands packages to the device at the other end, so that its first letter needs no last resort.
    pub(super) fn send_packages(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
    ) -> Result<(), StoreError> {
        let session = self.links.get(&id).and_then(|link| link.session);
        let Some(session) = session else { return Ok(()) };
        let packages = self.packages_for(cx, session.device)?;
        if !packages.is_empty() {
            let bytes = Frame::Packages { packages }.encode();
            cx.out.push(Output::Send { link: id, bytes });
        }
        Ok(())
    }

    /// The device at the other end has handed packages to this one.
    pub(super) fn hear_packages(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        packages: Vec<Box<[u8]>>,
    ) -> Result<(), StoreError> {
        let session = self.links.get(&id).and_then(|link| link.session);
        let Some(Session { account, device }) = session else {
            self.refuse(cx, id, Refusal::NoSession);
            return Ok(());
        };
        let lane = self.mail.lanes.entry(device).or_insert_with(|| Lane::new(account));
        for package in packages {
            if mls::check_package(&self.me.device, &package, device, cx.now).is_ok() {
                lane.keep_package(package);
            }
        }
        lane.save(device, cx.store)
    }

    /// Whether there is a group in which another device's letters could be opened.
    pub fn reads_letters(&self) -> bool {
        self.mail.lanes.values().any(|lane| !lane.groups.is_empty())
    }

    /// A link to a device is gone: from now on letters are written to it. What was said on the link
    /// need not be said again.
    pub(super) fn lane_takes_over(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
    ) -> Result<(), StoreError> {
        let Some((account, _)) = self.written_to(device) else { return Ok(()) };
        let told = self.fingerprint(account);
        let mut logs = std::collections::BTreeMap::new();
        for log in self.shared_logs(account) {
            let Some(frontier) = self.own_word(log, account) else { continue };
            let posted = Posted { marks: Vec::new(), frontier: Some(frontier) };
            logs.insert(log, posted);
        }
        let lane = self.mail.lanes.entry(device).or_insert_with(|| Lane::new(account));
        logs.retain(|log, posted| {
            lane.posted.get(log).is_none_or(|known| known.frontier != posted.frontier)
        });
        lane.post(device, logs, cx.store)?;
        if lane.told != Some(told) || lane.they_heard != Some(told) {
            (lane.told, lane.they_heard) = (Some(told), Some(told));
            lane.save(device, cx.store)?;
        }
        self.mail.stirred.insert(device);
        Ok(())
    }
}
