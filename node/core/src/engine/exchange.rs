//! What does each side have, and what does it get? Frontiers and entries of the logs (spec 04).

use kith_common::{
    account::Standing,
    entry::Mark,
    envelope::{Signed, sign},
    frame::{CarriedEntry, Frame},
    frontier::Frontier,
    ids::{AccountId, DeviceId, LogId},
    limits::{FRAME_ENTRIES_MAX, FRAME_FRONTIERS_MAX},
};

use super::{Context, Engine, Event, LinkId, Output, mark_of};
use crate::{
    contacts::Contact,
    limits::{SYNC_FRAME_BYTES, SYNC_TURN_FRAMES},
    log::{Evidence, Received},
    person::{Person, may_write, whose},
    refusal::Refusal,
    session::Link,
    store::{Place, StoreError},
    sync::Outgoing,
};

/// Entries of one log that came one behind the other on one link.
#[derive(Debug)]
pub(super) struct Gathered {
    link: LinkId,
    log: LogId,
    entries: Vec<CarriedEntry>,
}

impl Engine {
    pub(super) fn begin_sync(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        account: AccountId,
    ) -> Result<(), StoreError> {
        let own = account == self.me.account.id();
        if !own {
            self.open_conversation(cx, account)?;
        }
        let logs = self.shared_logs(account);
        if own {
            self.send_heads(cx, id);
            self.send_hints(cx, id);
        }
        self.send_packages(cx, id)?;
        self.send_own_records(cx, id);
        self.share_logs(cx, id, &logs)
    }

    /// Begins to sync logs on a link: how far we are, and who else has said how far they are.
    pub(super) fn share_logs(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        logs: &[LogId],
    ) -> Result<(), StoreError> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if link.session.is_none() {
            return Ok(());
        }
        for log in logs {
            link.outgoing.entry(*log).or_insert_with(|| Outgoing::new(cx.uptime));
        }
        let mut frontiers = Vec::new();
        for log in logs {
            let Some(conversation) = self.conversations.get(log) else { continue };
            let frontier = conversation.log.frontier(self.profile.read_receipts, cx.store)?;
            frontiers.push(sign(&self.me.device, frontier).into_bytes());
            self.want_missing(cx, id, *log)?;
        }
        send_frontiers(cx, id, true, &frontiers);
        Ok(())
    }

    /// Hands on what others have said to a device that has just shown that it knows the log.
    fn hand_on_frontiers(
        &self,
        cx: &mut Context<'_>,
        id: LinkId,
        log: LogId,
    ) -> Result<(), StoreError> {
        let session = self.links.get(&id).and_then(|link| link.session);
        let Some(session) = session else { return Ok(()) };
        let Some(conversation) = self.conversations.get(&log) else { return Ok(()) };
        let mut frontiers = Vec::new();
        for device in conversation.receipt_devices() {
            if self.is_news_for(device, session.account) {
                frontiers.extend(conversation.stored_frontiers(cx.store, device)?);
            }
        }
        send_frontiers(cx, id, false, &frontiers);
        Ok(())
    }

    /// Whether a device's frontier says something to a device of this account: what was received
    /// concerns the other side's messages.
    fn is_news_for(&self, device: DeviceId, account: AccountId) -> bool {
        self.person(account).is_some_and(|person| person.standing(device).is_none())
    }

    /// Begins to sync a log anew on every link: nobody knows any more what the other ends have.
    pub(super) fn ask_again(&mut self, cx: &mut Context<'_>, log: LogId) -> Result<(), StoreError> {
        for link in self.links.values_mut() {
            if let Some(outgoing) = link.outgoing.get_mut(&log) {
                *outgoing = Outgoing::new(cx.uptime);
            }
        }
        self.send_frontier(cx, log, None, true)
    }

    /// Sends our frontier of a log on one link, or on all that are entitled to it.
    pub(super) fn send_frontier(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        only: Option<LinkId>,
        ask: bool,
    ) -> Result<(), StoreError> {
        let Some(conversation) = self.conversations.get(&log) else { return Ok(()) };
        let entitled: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(id, link)| {
                only.is_none_or(|only| only == **id) && link.outgoing.contains_key(&log)
            })
            .map(|(id, _)| *id)
            .collect();
        if entitled.is_empty() {
            return Ok(());
        }
        let frontier = conversation.log.frontier(self.profile.read_receipts, cx.store)?;
        let envelope = sign(&self.me.device, frontier).into_bytes();
        let bytes = Frame::Frontiers { ask, frontiers: vec![envelope] }.encode();
        for link in entitled {
            cx.out.push(Output::Send { link, bytes: bytes.clone() });
        }
        Ok(())
    }

    /// Hands on the frontiers of others that have moved.
    pub(super) fn relay_frontiers(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
    ) -> Result<(), StoreError> {
        let Some(conversation) = self.conversations.get_mut(&log) else { return Ok(()) };
        let moved = conversation.take_relay(cx.uptime);
        let Some(conversation) = self.conversations.get(&log) else { return Ok(()) };
        for device in moved {
            let frontiers = conversation.stored_frontiers(cx.store, device)?;
            if frontiers.is_empty() {
                continue;
            }
            let bytes = Frame::Frontiers { ask: false, frontiers }.encode();
            for (id, link) in &self.links {
                let Some(session) = link.session else { continue };
                if link.outgoing.contains_key(&log) && self.is_news_for(device, session.account) {
                    cx.out.push(Output::Send { link: *id, bytes: bytes.clone() });
                }
            }
        }
        Ok(())
    }

    pub(super) fn frontiers(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        ask: bool,
        frontiers: &[Box<[u8]>],
    ) -> Result<(), StoreError> {
        if self.links.get(&id).is_none_or(|link| link.session.is_none()) {
            self.refuse(cx, id, Refusal::NoSession);
            return Ok(());
        }
        for envelope in frontiers {
            match self.frontier(cx, id, envelope)? {
                Ok(log) if ask => {
                    if let Some(conversation) = self.conversations.get_mut(&log) {
                        conversation.owe_frontier(cx.uptime);
                        self.touched.insert(log);
                    }
                }
                Ok(_) => {}
                Err(refusal) => self.refuse(cx, id, refusal),
            }
        }
        Ok(())
    }

    /// One frontier: of the device at the other end, or handed on for another. Returns its log.
    fn frontier(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        envelope: &[u8],
    ) -> Result<Result<LogId, Refusal>, StoreError> {
        let frontier = match Signed::<Frontier>::decode(envelope) {
            Ok(signed) => match signed.verify() {
                Ok(verified) => verified,
                Err(_) => return Ok(Err(Refusal::Signature)),
            },
            Err(error) => return Ok(Err(error.into())),
        };
        let device = DeviceId::from_bytes(*frontier.signer());
        let log = frontier.value().log;
        let Some(with) = self.conversations.get(&log).map(|c| c.with) else {
            return Ok(Err(self.unknown_log(id)));
        };
        let Some(link) = self.links.get(&id) else { return Ok(Ok(log)) };
        let Some(session) = link.session.filter(|_| link.outgoing.contains_key(&log)) else {
            return Ok(Err(self.unknown_log(id)));
        };
        let people = [Some(self.own_person()), self.person(with)];
        let person = whose(people.into_iter().flatten(), device);
        match person.map(|person| person.standing(device)) {
            None => return Ok(Err(Refusal::NotEntitled)),
            Some(Some(Standing::Disputed)) => return Ok(Err(Refusal::Disputed)),
            Some(Some(standing)) if standing.stands() => {}
            Some(_) => return Ok(Err(Refusal::BeyondCut)),
        }
        let mut marks = Vec::with_capacity(frontier.value().received.len());
        let Some(conversation) = self.conversations.get(&log) else { return Ok(Ok(log)) };
        for mark in &frontier.value().received {
            let own = mark.device == self.me.device.device();
            let unwritten = own && mark.seq > conversation.log.last_seq(mark.device);
            if unwritten || conversation.log.contradicts(mark, cx.store)? {
                if own || mark.device == device {
                    return self.contradiction(cx, log, device, mark, envelope);
                }
                // Another history of somebody else: its entries will come.
                continue;
            }
            marks.push(*mark);
        }
        for mark in &frontier.value().read {
            if conversation.log.contradicts(mark, cx.store)?
                && mark.device == self.me.device.device()
            {
                return self.contradiction(cx, log, device, mark, envelope);
            }
        }
        let covered = conversation.log.covered(&frontier.value().received, cx.store)?;
        if session.device == device
            && let Some(link) = self.links.get_mut(&id)
            && let others = link.flying_bytes_beside(log)
            && let Some(outgoing) = link.outgoing.get_mut(&log)
        {
            let first = !outgoing.has_heard();
            outgoing.frontier(covered, others, cx.uptime);
            outgoing.promise(&frontier.value().received);
            self.touched.insert(log);
            if first {
                self.hand_on_frontiers(cx, id, log)?;
            }
        }
        if let Some(conversation) = self.conversations.get_mut(&log)
            && conversation.log.vouch(&marks)
        {
            let received = conversation.log.receive_waiting(cx.now, cx.store)?;
            self.came_in(cx, log, None, received)?;
        }
        let frontier = Frontier { received: marks, ..frontier.value().clone() };
        self.deliver(cx, log, device, &frontier, envelope)?;
        Ok(Ok(log))
    }

    /// A device of ours may know of somebody whom we do not know yet; nobody else may.
    fn unknown_log(&self, id: LinkId) -> Refusal {
        let own = self.me.account.id();
        let session = self.links.get(&id).and_then(|link| link.session);
        if session.is_some_and(|session| session.account == own) {
            Refusal::UnknownLog
        } else {
            Refusal::NotEntitled
        }
    }

    /// A frontier names another entry than the one that is stored, or one of ours that was never
    /// written: no tick may follow from it. If its signer speaks of its own
    /// chain, it has signed two entries with one number: proof enough.
    fn contradiction(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        device: DeviceId,
        mark: &Mark,
        envelope: &[u8],
    ) -> Result<Result<LogId, Refusal>, StoreError> {
        let Some(conversation) = self.conversations.get(&log) else { return Ok(Ok(log)) };
        if mark.device == device
            && let Some(row) = conversation.log.any_at(mark.device, mark.seq, cx.store)?
        {
            self.convict(cx, device, &Evidence(vec![envelope.into(), row.envelope]))?;
        }
        Ok(Err(Refusal::Fork))
    }

    /// What a frontier proves about messages of our account.
    fn deliver(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        device: DeviceId,
        frontier: &Frontier,
        envelope: &[u8],
    ) -> Result<(), StoreError> {
        let own: Vec<DeviceId> = self.own_person().devices().collect();
        let Some(conversation) = self.conversations.get_mut(&log) else { return Ok(()) };
        let reached = |conversation: &super::Conversation| -> Vec<(u64, u64)> {
            let receipt = conversation.receipt(device);
            own.iter().map(|d| receipt.map_or((0, 0), |r| (r.received(*d), r.read(*d)))).collect()
        };
        let before = reached(conversation);
        if !conversation.advance(cx.store, device, frontier, envelope)? {
            return Ok(());
        }
        conversation.owe_relay(device, cx.uptime);
        self.mail.moved_on(device, cx.uptime);
        let Some(conversation) = self.conversations.get(&log) else { return Ok(()) };
        let after = reached(conversation);
        let (with, number) = (conversation.with, conversation.log.number());
        for (at, writer) in own.iter().enumerate() {
            let (Some(before), Some(after)) = (before.get(at), after.get(at)) else { continue };
            let chain = conversation.log.chains().find(|(_, chain)| chain.device == *writer);
            if let Some((author, _)) = chain
                && after != before
                && mark_of(&frontier.received, *writer).is_some()
            {
                let first = if after.1 > before.1 { before.1 } else { before.0 } + 1;
                let seqs = (first, after.0.max(after.1));
                cx.out.push(Output::Event(Event::Delivery { with, log: number, author, seqs }));
            }
        }
        Ok(())
    }

    /// Lets entries wait for those that came right behind them: one signature serves for more.
    pub(super) fn gather(
        &mut self,
        cx: &mut Context<'_>,
        link: LinkId,
        log: LogId,
        entries: Vec<CarriedEntry>,
    ) -> Result<(), StoreError> {
        if let Some(gathered) = &mut self.gathered
            && (gathered.link, gathered.log) == (link, log)
        {
            gathered.entries.extend(entries);
            return Ok(());
        }
        self.take_gathered(cx)?;
        if self.links.contains_key(&link) {
            self.gathered = Some(Gathered { link, log, entries });
        }
        Ok(())
    }

    /// Takes in the entries that waited for more.
    pub(super) fn take_gathered(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        match self.gathered.take() {
            Some(Gathered { link, log, entries }) => self.entries(cx, link, log, entries),
            None => Ok(()),
        }
    }

    fn entries(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        log: LogId,
        entries: Vec<CarriedEntry>,
    ) -> Result<(), StoreError> {
        let Some(with) = self.conversations.get(&log).map(|c| c.with) else {
            self.refuse(cx, id, Refusal::NoSession);
            return Ok(());
        };
        let entitled = self.links.get(&id).is_some_and(|link| link.outgoing.contains_key(&log));
        if !entitled {
            self.refuse(cx, id, Refusal::NoSession);
            return Ok(());
        }
        // As `person` says it, but for the borrow of the conversation.
        let own = Person {
            account: &self.me.account,
            bygone: &self.own_bygone,
            absorbed: &self.own_absorbed,
        };
        let theirs = self.contacts.find_any(with).map(Contact::person);
        let writers = |device: DeviceId, account: AccountId| {
            may_write([Some(own), theirs].into_iter().flatten(), device, account)
        };
        let Some(conversation) = self.conversations.get_mut(&log) else { return Ok(()) };
        let received = conversation.log.receive(entries, &writers, cx.now, cx.store)?;
        conversation.owe_frontier(cx.uptime);
        self.touched.insert(log);
        self.came_in(cx, log, Some(id), received)
    }

    /// Sends what the other ends lack, some frames of each log in turn, while links have room.
    pub(super) fn send_entries(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        for (id, link) in &mut self.links {
            while link.has_room()
                && let Some(log) = link.turns.pop_front()
            {
                let Some(conversation) = self.conversations.get(&log) else { continue };
                for _ in 0..SYNC_TURN_FRAMES {
                    let entries = link.next_batch(&conversation.log, cx.store, cx.uptime)?;
                    if entries.is_empty() {
                        break;
                    }
                    link.queue(log);
                    let bytes = Frame::Entries { log, entries }.encode();
                    cx.out.push(Output::Send { link: *id, bytes });
                }
            }
        }
        Ok(())
    }

    /// Entries have come in, from a link or from among those that waited.
    pub(super) fn came_in(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        link: Option<LinkId>,
        received: Received,
    ) -> Result<(), StoreError> {
        let Some(with) = self.conversations.get(&log).map(|c| c.with) else { return Ok(()) };
        let outgoing = link.and_then(|id| self.links.get_mut(&id)?.outgoing.get_mut(&log));
        if let Some(outgoing) = outgoing {
            outgoing.note(&received.sender_has);
        }
        // Where something has gone there may be room for what was not offered.
        if !received.accepted.is_empty() || received.trimmed {
            self.touched.insert(log);
            if let Some(conversation) = self.conversations.get_mut(&log) {
                conversation.owe_frontier(cx.uptime);
            }
        }
        for (device, evidence) in &received.liars {
            self.convict(cx, *device, evidence)?;
        }
        for refusal in received.refused {
            if let Some(id) = link {
                self.refuse(cx, id, refusal);
            }
        }
        if self.is_own_log(log) {
            self.hear(cx, &received.accepted)?;
            self.hear(cx, &received.filled)?;
        } else {
            for place in received.accepted.iter().chain(&received.filled) {
                cx.out.push(Output::Event(Event::Entry { with, place: *place }));
            }
        }
        if received.trimmed {
            self.rewritten(cx, log)?;
        }
        self.hear_signposts(cx, log, &received.signposts)?;
        for cut in received.cuts {
            self.hear_cut(cx, log, &cut)?;
        }
        Ok(())
    }

    /// Asks everybody who shares a log for bodies that have not come.
    pub(super) fn want_of_all(&self, cx: &mut Context<'_>, log: LogId) -> Result<(), StoreError> {
        let shares = |link: &Link| link.outgoing.contains_key(&log);
        let links: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| shares(link)).map(|(id, _)| *id).collect();
        for link in links {
            self.want_missing(cx, link, log)?;
        }
        Ok(())
    }

    /// Asks the other end for bodies that nobody has handed on.
    pub(super) fn want_missing(
        &self,
        cx: &mut Context<'_>,
        link: LinkId,
        log: LogId,
    ) -> Result<(), StoreError> {
        let Some(conversation) = self.conversations.get(&log) else { return Ok(()) };
        let number = conversation.log.number();
        let mut entries = Vec::new();
        for (author, seq) in conversation.log.missing().take(FRAME_ENTRIES_MAX) {
            let row = cx.store.entry(Place { log: number, author, seq })?;
            let device = conversation.log.device(author);
            entries.extend(row.zip(device).map(|(row, device)| Mark {
                device,
                seq,
                id: row.position.id,
            }));
        }
        entries.sort_unstable();
        if !entries.is_empty() {
            cx.out.push(Output::Send { link, bytes: Frame::Want { log, entries }.encode() });
        }
        Ok(())
    }

    /// Hands over bodies that the other end lacks.
    pub(super) fn wanted(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        log: LogId,
        marks: &[Mark],
    ) -> Result<(), StoreError> {
        let entitled = self.links.get(&id).is_some_and(|link| link.outgoing.contains_key(&log));
        let conversation = self.conversations.get(&log).filter(|_| entitled);
        let Some(conversation) = conversation else {
            let refusal = self.unknown_log(id);
            self.refuse(cx, id, refusal);
            return Ok(());
        };
        let number = conversation.log.number();
        let mut entries = Vec::new();
        let mut bytes = 0;
        for mark in marks {
            let Some((author, _)) = conversation.log.named(mark, cx.store)? else { continue };
            let row = cx.store.entry(Place { log: number, author, seq: mark.seq })?;
            let Some(row) = row.filter(|row| row.body.bytes().is_some()) else { continue };
            let carried = CarriedEntry { envelope: row.envelope, body: row.body.into_bytes() };
            bytes += carried.frame_bytes();
            entries.push(carried);
            // One frame for one request: who lacks more asks again.
            if bytes >= SYNC_FRAME_BYTES {
                break;
            }
        }
        if !entries.is_empty() {
            let bytes = Frame::Entries { log, entries }.encode();
            cx.out.push(Output::Send { link: id, bytes });
        }
        Ok(())
    }
}

fn send_frontiers(cx: &mut Context<'_>, link: LinkId, ask: bool, envelopes: &[Box<[u8]>]) {
    for part in envelopes.chunks(FRAME_FRONTIERS_MAX) {
        let bytes = Frame::Frontiers { ask, frontiers: part.to_vec() }.encode();
        cx.out.push(Output::Send { link, bytes });
    }
}
