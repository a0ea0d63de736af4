//! How does this device take in another one, or come in itself? Codes, guests, and mail (spec 08).

use kith_common::{
    account::Standing,
    frame::Frame,
    ids::{DeviceId, LogId},
    linking::CodeMail,
    mail::QueueAddress,
    service::mailbox::{Operation, PutBody, Stored},
};

use super::{
    Answer, CommandError, Context, Engine, Event, LinkId, Output,
    commands::Outcome,
    devices::{CUT_OFF, NOT_THERE},
};
use crate::{
    limits::{LINK_CODE_BY_MAIL_MS, LINK_CODE_MS, LINK_REPLY_MS},
    linking::{CameByMail, Host, Way},
    mail::{ErrandError, OwnQueue, Purpose, QueueFor, blob_of, read_reply},
    refusal::Refusal,
    store::StoreError,
};

impl Engine {
    pub(super) fn link_device(&mut self, cx: &mut Context<'_>, by_mail: bool) -> Outcome {
        if let Err(why) = takes_in(self.me.account.standing(self.me.device.device())) {
            return Ok(Err(CommandError::NotStanding(why)));
        }
        let served_ms = if by_mail { LINK_CODE_BY_MAIL_MS } else { LINK_CODE_MS };
        let mail = match by_mail.then(|| self.mailbox_for_codes()).transpose() {
            Ok(mailbox) => mailbox,
            Err(error) => return Ok(Err(error)),
        };
        self.close_linking(cx)?;
        let mail = match mail {
            Some(setting) => {
                let until = cx.now.plus_millis(served_ms);
                let place = (setting.url, setting.days);
                let queue = OwnQueue::new(QueueFor::Code { until }, place, cx.uptime, cx.rng);
                queue.save(cx.store)?;
                let code = CodeMail { queue: queue.address.clone(), access: setting.access };
                self.mail.queues.insert(*queue.owner.public(), queue);
                Some(code)
            }
            None => None,
        };
        let host = Host::new((cx.now, cx.uptime), (served_ms, mail), cx.rng);
        host.save(cx.store)?;
        let code = host.code(&self.addresses).encode();
        let id = host.view().id;
        self.linking = Some(host);
        // Whoever shows the code before learns that it is void.
        cx.out.push(Output::Event(Event::Linking));
        Ok(Ok(Answer::LinkCode { code, id, left_ms: served_ms }))
    }

    /// The first mailbox of ours that is known to answer.
    fn mailbox_for_codes(&self) -> Result<kith_common::own::MailboxSetting, CommandError> {
        if self.profile.mailboxes.is_empty() {
            return Err(CommandError::NoMailbox);
        }
        let is_open = |queue: &OwnQueue| queue.is_open && !queue.closing;
        let mut chosen = self.profile.mailboxes.iter();
        let answers = chosen.find(|mailbox| {
            self.mail.queues.values().any(|it| is_open(it) && it.address.url == mailbox.url)
        });
        answers.cloned().ok_or(CommandError::MailboxClosed)
    }

    /// Whether the mailbox has the queue of the code that is shown; `None` if it is none by mail.
    pub fn code_is_open(&self) -> Option<bool> {
        let queue = self.linking.as_ref()?.queue()?;
        Some(self.mail.queues.values().any(|own| own.address == *queue && own.is_open))
    }

    /// The code serves no more, and nothing is kept that would open what was said. Who was taken in
    /// may still write into its queue.
    pub(super) fn close_linking(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let Some(host) = self.linking.take() else { return Ok(()) };
        Host::forget(cx.store)?;
        if host.welcomed().is_none() {
            for queue in self.mail.queues.values_mut() {
                if host.queue() == Some(&queue.address) {
                    queue.closing = true;
                    queue.stir(cx.uptime);
                    queue.save(cx.store)?;
                }
            }
        }
        cx.out.push(Output::Event(Event::Linking));
        Ok(())
    }

    /// The device that was taken in has been heard: it knows that it was.
    pub(super) fn linking_served(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
    ) -> Result<(), StoreError> {
        let is_by_mail = |host: &&Host| host.queue().is_some();
        let welcomed = self.linking.as_ref().filter(is_by_mail).and_then(Host::welcomed);
        if welcomed == Some(device) { self.close_linking(cx) } else { Ok(()) }
    }

    /// A new device wants to join.
    pub(super) fn join(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let Some(device) = self.hear_join(cx, Way::Link(id), sealed)? else {
            self.refuse(cx, id, Refusal::RequestNotForUs);
            return Ok(());
        };
        let host = self.linking.as_ref();
        let answer = host.and_then(|host| host.answer(device, &self.me.account, cx.rng));
        if let Some(frame) = answer {
            cx.out.push(Output::Send { link: id, bytes: frame.encode() });
        }
        Ok(())
    }

    fn hear_join(
        &mut self,
        cx: &mut Context<'_>,
        way: Way,
        sealed: &[u8],
    ) -> Result<Option<DeviceId>, StoreError> {
        let host = self.linking.as_mut().filter(|host| !host.is_over(cx.uptime));
        let Some(host) = host else { return Ok(None) };
        let joined = host.join(way, sealed, (&self.me.account, &self.me.device), cx.rng);
        if joined.is_some() {
            host.save(cx.store)?;
        }
        Ok(joined)
    }

    pub(super) fn link_accept(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        if self.hear_accept(cx, Way::Link(id), sealed)?.is_none() {
            self.refuse(cx, id, Refusal::RequestNotForUs);
        } else if let Some(link) = self.links.get_mut(&id) {
            // The person takes time to compare.
            link.hello_again(cx.uptime);
        }
        Ok(())
    }

    /// Returns who has accepted, and whether it was taken in before.
    fn hear_accept(
        &mut self,
        cx: &mut Context<'_>,
        way: Way,
        sealed: &[u8],
    ) -> Result<Option<(DeviceId, bool)>, StoreError> {
        let account = self.me.account.id();
        let Some(host) = self.linking.as_mut() else { return Ok(None) };
        let before = host.guests().count();
        let accepted = host.accept(way, sealed, account).map(|it| (it.device(), it.is_welcomed()));
        if accepted.is_some() || host.guests().count() != before {
            host.save(cx.store)?;
            cx.out.push(Output::Event(Event::Linking));
        }
        Ok(accepted)
    }

    /// Something came by mail that is no letter, into the queue of a code.
    pub(super) fn hear_guest(
        &mut self,
        cx: &mut Context<'_>,
        queue: &QueueAddress,
        frame: &Frame,
    ) -> Result<(), StoreError> {
        let is_shown = self.linking.as_ref().is_some_and(|host| host.queue() == Some(queue));
        let guest = match frame {
            Frame::Join { sealed } if is_shown => {
                let joined = self.hear_join(cx, Way::Mail, sealed)?;
                joined.filter(|device| !self.has_accepted(*device))
            }
            Frame::Accept { sealed } if is_shown => {
                let accepted = self.hear_accept(cx, Way::Mail, sealed)?;
                accepted.filter(|(_, is_welcomed)| *is_welcomed).map(|(device, _)| device)
            }
            _ => None,
        };
        match (guest, &mut self.linking) {
            (Some(device), Some(host)) => host.owe(device, cx.uptime),
            _ => self.refusals.count(Refusal::RequestNotForUs),
        }
        Ok(())
    }

    /// Whether a guest waits for the person, not for an answer.
    fn has_accepted(&self, device: DeviceId) -> bool {
        let mut guests = self.linking.iter().flat_map(Host::guests);
        guests.any(|guest| guest.device() == device && guest.accepted().is_some())
    }

    /// A device is taken in: it is told so wherever it can hear it.
    pub(super) fn welcome(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        link: Option<LinkId>,
    ) -> Result<(), StoreError> {
        if let Some(host) = &mut self.linking {
            host.welcome(device, cx.uptime);
            host.save(cx.store)?;
        }
        if let Some(link) = link {
            let proofs = vec![self.me.account.proof().to_vec()];
            cx.out.push(Output::Send { link, bytes: Frame::Accounts { proofs }.encode() });
        }
        Ok(())
    }

    /// Writes to guests who are not there.
    pub(super) fn answer_guests(&mut self, cx: &mut Context<'_>) {
        let due = self.linking.as_mut().map(|host| host.take_due(cx.uptime)).unwrap_or_default();
        for (device, reply) in due {
            let host = self.linking.as_ref();
            let answer = host.and_then(|host| host.answer(device, &self.me.account, cx.rng));
            let blob = answer.and_then(|frame| blob_of(&reply.seed, &frame.encode(), cx.rng));
            let Some(blob) = blob else { continue };
            let stamp = self.mail.stamp(&reply.url, cx.now, cx.rng);
            let writer = reply.seed.writer();
            let body = PutBody::signed(&writer, stamp, &blob);
            let errand = (Purpose::Answer(device), &reply.url, *writer.public());
            self.send_errand(cx, errand, (Operation::Put, body, 0));
        }
    }

    /// What was put for a guest is stored, or not. Letters to it come after its welcome.
    pub(super) fn guest_answered(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        reply: Result<Vec<u8>, ErrandError>,
    ) -> Result<(), StoreError> {
        let Some(host) = &mut self.linking else { return Ok(()) };
        let stored = read_reply(reply, Stored::decode);
        host.answered(device, stored.is_ok(), cx.uptime);
        let Some(place) = host.reply_of_welcomed(device).cloned() else { return Ok(()) };
        match stored {
            Ok(stored) => {
                let writer = *place.seed.writer().public();
                if let Some(lane) = self.mail.lanes.get_mut(&device)
                    && lane.meets(writer, stored.incarnation)
                {
                    lane.begin_anew(device, cx.store)?;
                }
                let key = (self.own_log(), device);
                self.mail.places.take_reply(key, vec![place], cx.store)?;
                self.mail.stirred.insert(device);
            }
            Err(error) => drop(self.note_failure(cx, &place.url, &error)),
        }
        Ok(())
    }

    /// This device was taken in by mail: it can be written to at once, and knows where to write.
    pub(super) fn come_by_mail(&mut self, cx: &mut Context<'_>, came: CameByMail) -> Outcome {
        let CameByMail { account, host, to, access, owner, reply, package, made } = came;
        let log = LogId::own(account);
        if self.mail.queues.contains_key(owner.public()) || self.has_announced(log) {
            return Ok(Ok(Answer::Done));
        }
        if self.mail.places.said(log, host).is_none() {
            self.mail.places.take_reply((log, host), vec![to], cx.store)?;
        }
        self.mail.packages.add(&package, None, made, cx.store)?;
        let until = cx.now.plus_millis(LINK_REPLY_MS);
        let mut queue = OwnQueue::kept(owner, reply, QueueFor::Reply { account, until });
        queue.access = access;
        queue.save(cx.store)?;
        self.mail.queues.insert(*queue.owner.public(), queue);
        self.mail.stirred.insert(host);
        Ok(Ok(Answer::Done))
    }

    /// Whether this device has said in a log where it can be written to.
    pub(super) fn has_announced(&self, log: LogId) -> bool {
        let said = self.mail.places.said(log, self.me.device.device());
        said.is_some_and(|place| place.seq > 0 && !place.queues.is_empty())
    }
}

/// Whether a device that stands so can take others in; else what its person is told. A code of
/// another one could never be confirmed.
const fn takes_in(standing: Option<Standing>) -> Result<(), &'static str> {
    match standing {
        Some(Standing::Settled) => Ok(()),
        Some(Standing::Added) => Err(
            "this device does not decide yet, so it cannot take another one in: make the code on a \
             device that decides, or first have those agree to this one by `kith device settle`",
        ),
        Some(Standing::Disputed) => Err(
            "this device is disputed, so it cannot take another one in until that is decided: see \
             `kith account show`",
        ),
        Some(Standing::Former(_)) => Err(CUT_OFF),
        None => Err(NOT_THERE),
    }
}
