//! Where can this device be written to? Its queues are opened, looked into and given up (spec 20).

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    envelope::{Payload, sign},
    ids::{DeviceId, LogId},
    limits::KNOCKS_PER_LINK_MAX,
    mail::{Card, MailboxUrl, QueueAddress},
    own::MailboxSetting,
    service::{
        Code,
        mailbox::{Close, Days, Fetch, Fetched, Item, Open, Opened, Operation},
    },
    time::Timestamp,
};

use super::{Context, Engine, Event, Output};
use crate::{
    contacts::Status,
    limits::{
        FETCH_PAUSE_MS, KNOCK_BYTES_MAX, KNOCKS_MAX, LINK_BLOBS_MAX, LINK_BYTES_MAX, LINK_MOVES_MS,
        MAIL_LISTEN_MS, MAIL_SPREAD_MS, MARKER_PAUSE_MS, PACKAGE_MS, QUEUE_BLOBS_MAX,
        QUEUE_BYTES_MAX, QUEUE_KEPT_MS,
    },
    mail::{ErrandError, OwnQueue, Purpose, QueueFor, read_reply},
    mls,
    store::StoreError,
};

impl Engine {
    /// Sees to it that there is a queue for each contact at each mailbox, and no other.
    pub(super) fn arrange_mail(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.mail.rearrange) {
            return Ok(());
        }
        let mut wanted: BTreeSet<(QueueFor, MailboxUrl)> = BTreeSet::new();
        let mailboxes = if self.belongs() { self.profile.mailboxes.clone() } else { Vec::new() };
        for MailboxSetting { url, .. } in &mailboxes {
            wanted.insert((QueueFor::Knock, url.clone()));
            wanted.insert((QueueFor::Log(self.own_log()), url.clone()));
            for contact in self.contacts.known() {
                let log = self.log_with(contact.account.id());
                wanted.insert((QueueFor::Log(log), url.clone()));
            }
        }
        let mut logs = BTreeSet::new();
        // A tick that brought this about has gone by.
        let soon = cx.uptime.plus_millis(1);
        let is_first = !std::mem::replace(&mut self.mail.is_arranged, true);
        let outs: BTreeMap<QueueFor, u64> =
            self.mail.queues.values().map(|it| (it.serves, self.outs(it.serves))).collect();
        let readers: BTreeSet<LogId> = self.logs_of_others();
        let blocked: BTreeSet<LogId> = self.logs_of_blocked();
        for queue in self.mail.queues.values_mut() {
            if is_first {
                let spread_ms = u64::from(cx.rng.next_u32()) % MAIL_SPREAD_MS;
                queue.stir(soon.plus_millis(spread_ms));
            }
            // Who is out knows its keys: another one takes its place.
            let is_exposed = outs.get(&queue.serves).is_some_and(|outs| *outs > queue.outs);
            let setting = mailboxes.iter().find(|mailbox| mailbox.url == queue.address.url);
            let is_over = queue.serves.until().map(|until| until <= cx.now);
            let is_wanted = match is_over {
                Some(is_over) => !is_over,
                None => !is_exposed && wanted.remove(&(queue.serves, queue.address.url.clone())),
            };
            let days = setting.map_or(queue.address.days, |it| it.days);
            queue.is_quiet = !is_wanted
                && setting.is_some()
                && matches!(queue.serves, QueueFor::Log(log) if blocked.contains(&log));
            if queue.is_quiet {
                continue;
            }
            let may_change = is_over.is_none();
            // Another word may open what the one before did not.
            let word_changed =
                !queue.is_open && setting.is_some_and(|it| it.access != queue.access);
            let changed = queue.closing || days != queue.address.days || word_changed;
            if may_change && is_wanted && changed {
                (queue.closing, queue.address.days) = (false, days);
                self.mail.troubles.remove(&queue.address.url);
                queue.reopen();
                queue.stir(soon);
                queue.save(cx.store)?;
            } else if !is_wanted && !queue.closing {
                queue.closing = true;
                let is_read = matches!(queue.serves, QueueFor::Log(log) if readers.contains(&log));
                let kept_ms = if is_read { QUEUE_KEPT_MS } else { 0 };
                queue.kept_until = cx.now.plus_millis(kept_ms);
                queue.stir(soon);
                queue.save(cx.store)?;
            }
            if let QueueFor::Log(log) = queue.serves {
                logs.insert(log);
            }
        }
        self.make_queues(cx, wanted, &mailboxes)?;
        self.drop_former(cx)?;
        let chosen = |url: &MailboxUrl| mailboxes.iter().any(|mailbox| mailbox.url == *url);
        self.mail.troubles.retain(|url, _| chosen(url));
        logs.into_iter().try_for_each(|log| self.announce(cx, log))
    }

    fn make_queues(
        &mut self,
        cx: &mut Context<'_>,
        wanted: BTreeSet<(QueueFor, MailboxUrl)>,
        mailboxes: &[MailboxSetting],
    ) -> Result<(), StoreError> {
        for (serves, url) in wanted {
            let days = mailboxes.iter().find(|it| it.url == url).map_or(Days::Seven, |it| it.days);
            let spread = u64::from(cx.rng.next_u32()) % MAIL_SPREAD_MS;
            let at = cx.uptime.plus_millis(spread);
            let mut queue = OwnQueue::new(serves, (url, days), at, cx.rng);
            queue.outs = self.outs(serves);
            queue.save(cx.store)?;
            self.mail.queues.insert(*queue.owner.public(), queue);
        }
        Ok(())
    }

    /// How many devices are out that could write into such a queue before. Of the one for strangers
    /// anybody may know the keys.
    fn outs(&self, serves: QueueFor) -> u64 {
        let QueueFor::Log(log) = serves else { return 0 };
        let with = self.conversations.get(&log).and_then(|it| self.person(it.with));
        let people = [Some(self.own_person()), with.filter(|_| !self.is_own_log(log))];
        let out = people.into_iter().flatten().flat_map(|person| person.former());
        out.filter(|(_, former, _)| former.is_final).count() as u64
    }

    /// Logs in which somebody may read that a queue is given up.
    fn logs_of_others(&self) -> BTreeSet<LogId> {
        if !self.belongs() {
            return BTreeSet::new();
        }
        let known = self.contacts.known().map(|contact| contact.account.id());
        known.flat_map(|account| self.logs_with(account)).chain(self.own_logs()).collect()
    }

    /// Logs with those of whom nothing is to be heard; they may be heard again.
    fn logs_of_blocked(&self) -> BTreeSet<LogId> {
        let blocked = self.contacts.iter().filter(|contact| contact.status == Status::Blocked);
        blocked.map(|contact| self.log_with(contact.account.id())).collect()
    }

    /// Whether everybody who may write into a queue knows where to write instead.
    fn is_given_up(&self, queue: &OwnQueue, now: Timestamp) -> bool {
        let QueueFor::Log(log) = queue.serves else { return true };
        let Some(conversation) = self.conversations.get(&log) else { return true };
        let me = self.me.device.device();
        let (said, is_said) = self
            .mail
            .places
            .said(log, me)
            .map_or((0, false), |place| (place.seq, place.queues.contains(&queue.address)));
        let people = [Some(self.own_person()), self.person(conversation.with)];
        let mut readers = people.into_iter().flatten().flat_map(|person| person.devices());
        let knows = |device: DeviceId| {
            let receipt = conversation.receipt(device);
            device == me || receipt.is_some_and(|receipt| receipt.received(me) >= said)
        };
        queue.kept_until <= now || !is_said && readers.all(knows)
    }

    /// Forgets how to write to devices that speak for nobody any more, and gives up the queues of
    /// those that were ours: what lies there is not for whoever has them now.
    fn drop_former(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let stands = |device: &DeviceId| {
            self.me.account.has(*device) || self.contacts.account_of(*device).is_some()
        };
        let gone = self.mail.lanes.keys().filter(|device| !stands(device));
        for device in gone.copied().collect::<Vec<_>>() {
            self.mail.packages.forget(device, cx.store)?;
            if let Some(lane) = self.mail.lanes.remove(&device) {
                lane.forget(device, cx.store)?;
            }
        }
        let out = self.own_person().former().filter(|(_, former, _)| former.is_final);
        let out: Vec<DeviceId> = out.map(|(device, ..)| device).collect();
        for device in out {
            if device == self.me.device.device() || !self.mail.shut_out.insert(device) {
                continue;
            }
            for queue in self.mail.places.all_of(device) {
                let writer = queue.seed.writer();
                let stamp = self.mail.stamp(&queue.url, cx.now, cx.rng);
                let body = sign(&writer, Close { stamp }).into_bytes().into();
                let errand = (Purpose::CloseOther, &queue.url, *writer.public());
                self.send_errand(cx, errand, (Operation::Close, body, 0));
            }
        }
        Ok(())
    }

    /// The queues for those who share a log that are open, in the order of the person's choice.
    pub(super) fn open_queues(&self, log: LogId) -> Vec<QueueAddress> {
        let serves = |queue: &&OwnQueue| {
            queue.serves == QueueFor::Log(log) && !queue.closing && queue.incarnation.is_some()
        };
        let queues: Vec<&OwnQueue> = self.mail.queues.values().filter(serves).collect();
        let chosen = self.profile.mailboxes.iter();
        chosen
            .filter_map(|it| queues.iter().find(|queue| queue.address.url == it.url))
            .map(|queue| queue.address.clone())
            .collect()
    }

    /// Where strangers can knock.
    pub(in crate::engine) fn knocks(&self) -> Vec<(DeviceId, QueueAddress)> {
        let open = |queue: &&OwnQueue| {
            queue.serves == QueueFor::Knock && !queue.closing && queue.incarnation.is_some()
        };
        let me = self.me.device.device();
        let open = self.mail.queues.values().filter(open);
        open.take(KNOCKS_PER_LINK_MAX).map(|queue| (me, queue.address.clone())).collect()
    }

    /// The next request about a queue.
    pub(super) fn run_queue(
        &mut self,
        cx: &mut Context<'_>,
        key: [u8; 32],
    ) -> Result<(), StoreError> {
        let card = self.last_resort(cx)?;
        if self.waits_for_move(cx, key) {
            return Ok(());
        }
        if let Some(queue) = self.mail.queues.get_mut(&key)
            && !queue.closing
            && queue.serves.until().is_some_and(|until| until <= cx.now)
        {
            queue.closing = true;
            queue.save(cx.store)?;
        }
        let closes = self
            .mail
            .queues
            .get(&key)
            .is_some_and(|queue| queue.closing && self.is_given_up(queue, cx.now));
        // What came meanwhile is taken out first.
        let looks = |queue: &OwnQueue| {
            closes && queue.is_open && !queue.is_empty && cx.now < queue.kept_until
        };
        let looks = self.mail.queues.get(&key).is_some_and(looks);
        let Some(queue) = self.mail.queues.get_mut(&key) else { return Ok(()) };
        queue.wait();
        let fetches = queue.is_open && (!closes || looks);
        if queue.asking || queue.looking && fetches {
            return Ok(());
        }
        let url = queue.address.url.clone();
        if closes && queue.incarnation.is_none() {
            queue.forget(cx.store)?;
            self.mail.queues.remove(&key);
            return Ok(());
        }
        if let Some(chosen) = self.profile.mailboxes.iter().find(|mailbox| mailbox.url == url) {
            // Once it is given up it may have to be opened again.
            queue.access.clone_from(&chosen.access);
        }
        *(if fetches { &mut queue.looking } else { &mut queue.asking }) = true;
        // A look that waits is answered at once if there is anything.
        queue.is_empty |= queue.is_open && !closes;
        let stamp = self.mail.stamp(&url, cx.now, cx.rng);
        let Some(queue) = self.mail.queues.get(&key) else { return Ok(()) };
        let (purpose, request) = if fetches {
            let wait_ms = if looks { 0 } else { MAIL_LISTEN_MS };
            let fetch = Fetch { stamp, delete: queue.taken.clone(), wait_ms };
            (Purpose::Fetch(key), (Operation::Fetch, signed(queue, fetch), wait_ms))
        } else if closes {
            let body = signed(queue, Close { stamp });
            (Purpose::Close(key), (Operation::Close, body, 0))
        } else {
            let access = Some(queue.access.clone()).filter(|word| !word.is_empty());
            let (blobs_max, bytes_max) = match queue.serves {
                QueueFor::Log(_) | QueueFor::Reply { .. } => (QUEUE_BLOBS_MAX, QUEUE_BYTES_MAX),
                QueueFor::Knock => (KNOCKS_MAX, KNOCK_BYTES_MAX),
                QueueFor::Code { .. } => (LINK_BLOBS_MAX, LINK_BYTES_MAX),
            };
            let writer = *queue.address.seed.writer().public();
            let card = Card { package: card };
            let card = Some(queue.address.seed.seal_card(&card, cx.rng).into());
            let days = queue.address.days;
            let open = Open { stamp, writer, days, blobs_max, bytes_max, card, access };
            (Purpose::Open(key), (Operation::Open, signed(queue, open), 0))
        };
        self.send_errand(cx, (purpose, &url, key), request);
        Ok(())
    }

    /// What is for an account into which ours has not gone over yet is not taken out before: it would
    /// be lost.
    fn waits_for_move(&mut self, cx: &Context<'_>, key: [u8; 32]) -> bool {
        let Some(queue) = self.mail.queues.get(&key) else { return false };
        let QueueFor::Reply { account, until } = queue.serves else { return false };
        let waits = until > cx.now && !self.own_person().is(account);
        if waits && let Some(queue) = self.mail.queues.get_mut(&key) {
            queue.go_on(cx.uptime.plus_millis(LINK_MOVES_MS));
        }
        waits
    }

    /// The package for whoever has no other; a new one goes to all queues.
    fn last_resort(&mut self, cx: &mut Context<'_>) -> Result<Box<[u8]>, StoreError> {
        if let Some(package) = self.mail.packages.last_resort(cx.now) {
            return Ok(package.into());
        }
        let package = mls::make_package(&self.me.device, cx.now, PACKAGE_MS, true, cx.rng)
            .map_err(|error| StoreError::new("Making a KeyPackage", error))?;
        self.mail.packages.add(&package, None, cx.now, cx.store)?;
        self.mail.queues.values_mut().for_each(OwnQueue::reopen);
        Ok(package.public)
    }

    pub(super) fn queue_opened(
        &mut self,
        cx: &mut Context<'_>,
        key: [u8; 32],
        reply: Result<Vec<u8>, ErrandError>,
    ) -> Result<(), StoreError> {
        if let Some(queue) = self.mail.queues.get_mut(&key) {
            queue.asking = false;
        }
        let opened = match read_reply(reply, Opened::decode) {
            Ok(opened) => opened,
            Err(error) => return self.queue_failed(cx, key, &error),
        };
        let Some(queue) = self.mail.queues.get_mut(&key) else { return Ok(()) };
        queue.stir(cx.uptime);
        (queue.is_open, queue.is_seen) = (true, false);
        if queue.incarnation != Some(opened.incarnation) {
            queue.incarnation = Some(opened.incarnation);
            queue.taken.clear();
            queue.save(cx.store)?;
        }
        let (serves, url) = (queue.serves, queue.address.url.clone());
        let was_in_trouble = self.mail.troubles.remove(&url).is_some();
        let mut there = self.mail.queues.values().filter(|queue| queue.address.url == url);
        if was_in_trouble || there.all(|queue| queue.is_open || queue.closing) {
            cx.out.push(Output::Event(Event::Account));
        }
        if let QueueFor::Log(log) = serves {
            self.announce(cx, log)?;
        }
        Ok(())
    }

    pub(super) fn queue_fetched(
        &mut self,
        cx: &mut Context<'_>,
        key: [u8; 32],
        reply: Result<Vec<u8>, ErrandError>,
    ) -> Result<(), StoreError> {
        if let Some(queue) = self.mail.queues.get_mut(&key) {
            queue.looking = false;
        }
        let fetched = match read_reply(reply, Fetched::decode) {
            Ok(fetched) => fetched,
            Err(error) => return self.queue_failed(cx, key, &error),
        };
        let Some(queue) = self.mail.queues.get_mut(&key) else { return Ok(()) };
        if queue.incarnation.is_some_and(|known| known != fetched.incarnation) {
            // What a look says that was overtaken, or another server behind the same address.
            queue.reopen();
            if !queue.asking {
                queue.back_off(cx.uptime, cx.rng);
            }
            return Ok(());
        }
        let deleted = std::mem::take(&mut queue.taken);
        let (serves, is_empty) = (queue.serves, fetched.items.is_empty());
        let is_news = fetched.items.iter().all(|item| !deleted.contains(&item.number));
        let pause_ms = if deleted.is_empty() && is_empty { FETCH_PAUSE_MS } else { 0 };
        match (queue.asking, is_news) {
            (true, _) => {}
            (false, true) => queue.go_on(cx.uptime.plus_millis(pause_ms)),
            // It does not delete what it is told to.
            (false, false) => queue.back_off(cx.uptime, cx.rng),
        }
        queue.is_seen |= is_empty;
        let url = queue.address.url.clone();
        if queue.is_quiet {
            // What came stays there: they may be heard again.
            return Ok(());
        }
        queue.incarnation = Some(fetched.incarnation);
        queue.is_empty = is_empty;
        if self.mail.troubles.remove(&url).is_some() {
            cx.out.push(Output::Event(Event::Account));
        }
        for Item { number, blob } in fetched.items {
            match blob {
                Some(blob) => self.take_blob(cx, key, &blob)?,
                None => self.answer_marker(cx, key)?,
            }
            if let Some(queue) = self.mail.queues.get_mut(&key) {
                queue.taken.push(number);
            }
        }
        if let QueueFor::Reply { account, .. } = serves
            && is_empty
            && self.has_announced(LogId::own(account))
        {
            // Whoever still writes into it will hear of the others, and puts it there again.
            self.give_up(cx, key)?;
        }
        Ok(())
    }

    fn give_up(&mut self, cx: &mut Context<'_>, key: [u8; 32]) -> Result<(), StoreError> {
        let Some(queue) = self.mail.queues.get_mut(&key) else { return Ok(()) };
        queue.closing = true;
        queue.stir(cx.uptime);
        queue.save(cx.store)
    }

    /// Somebody had more to say than there was room for: they go on once they know what has come.
    fn answer_marker(&mut self, cx: &mut Context<'_>, key: [u8; 32]) -> Result<(), StoreError> {
        let log = match self.mail.queues.get(&key).map(|queue| queue.serves) {
            Some(QueueFor::Log(log)) => log,
            Some(QueueFor::Reply { account, .. }) => LogId::own(account),
            Some(QueueFor::Code { .. }) => self.own_log(),
            Some(QueueFor::Knock) | None => return Ok(()),
        };
        let Some(queue) = self.mail.queues.get_mut(&key) else { return Ok(()) };
        if cx.uptime < queue.marker_at {
            return Ok(());
        }
        queue.marker_at = cx.uptime.plus_millis(MARKER_PAUSE_MS);
        for device in self.written_about(log) {
            let Some(lane) = self.mail.lanes.get_mut(&device) else { continue };
            if let Some(posted) = lane.posted.get_mut(&log) {
                posted.frontier = None;
                lane.stir(cx.uptime);
            }
        }
        Ok(())
    }

    pub(super) fn queue_closed(
        &mut self,
        cx: &mut Context<'_>,
        key: [u8; 32],
        reply: Result<Vec<u8>, ErrandError>,
    ) -> Result<(), StoreError> {
        let gone = match &reply {
            Ok(_) => true,
            Err(ErrandError::Refused(failure)) => failure.code == Code::UnknownQueue,
            Err(ErrandError::Unreachable(_)) => false,
        };
        let Some(queue) = self.mail.queues.get_mut(&key) else { return Ok(()) };
        queue.asking = false;
        if gone && !queue.closing {
            // Meanwhile it is wanted again.
            queue.reopen();
            queue.go_on(cx.uptime);
        } else if gone {
            queue.forget(cx.store)?;
            self.mail.queues.remove(&key);
        } else {
            queue.back_off(cx.uptime, cx.rng);
        }
        Ok(())
    }

    fn queue_failed(
        &mut self,
        cx: &mut Context<'_>,
        key: [u8; 32],
        error: &ErrandError,
    ) -> Result<(), StoreError> {
        let Some(url) = self.mail.queues.get(&key).map(|queue| queue.address.url.clone()) else {
            return Ok(());
        };
        let code = self.note_failure(cx, &url, error);
        let Some(queue) = self.mail.queues.get_mut(&key) else { return Ok(()) };
        if queue.asking {
            // A look has ended; the answer to what has overtaken it says more.
            return Ok(());
        }
        let was_seen = queue.is_open && queue.is_seen;
        queue.back_off(cx.uptime, cx.rng);
        match code {
            Some(Code::UnknownQueue) => {
                queue.reopen();
                if was_seen {
                    // The server has lost it, or begun anew: it is opened again at once.
                    queue.stir(cx.uptime);
                }
            }
            Some(Code::Taken) if queue.serves.until().is_none() => {
                // Whoever could write into it has closed it, and opened one of their own.
                if let Some(mut queue) = self.mail.queues.remove(&key) {
                    queue.rekey(cx.rng, cx.store)?;
                    self.mail.queues.insert(*queue.owner.public(), queue);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn signed<T: Payload>(queue: &OwnQueue, request: T) -> Vec<u8> {
    sign(&queue.owner, request).into_bytes().into()
}
