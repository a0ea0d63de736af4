//! What does the device do that shows a code? It answers guests, on links and by mail (spec 08).

use kith_common::{
    account::{Account, DeviceAck},
    crypto,
    envelope::{Signed, Verified, sign},
    frame::Frame,
    ids::{AccountId, DeviceId},
    keys::SigningKey,
    linking::{
        CodeMail, JoinRequest, LinkAccept, LinkCode, LinkOffer, TOKEN_BYTES, check_number,
        commitment,
    },
    mail::QueueAddress,
    time::{Timestamp, Uptime},
};
use rand_core::CryptoRng;

use super::{CodeId, CodeView};
use crate::{
    engine::LinkId,
    limits::{LINK_ANSWER_MS_MIN, LINK_TRIES_MAX, MAIL_RETRY_MS_MAX, MAIL_RETRY_MS_MIN},
};

/// How a guest says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// On a link.
    Link(LinkId),
    /// Through the queue of the code.
    Mail,
}

/// The old device's end: a code that is shown, and the devices that answer it.
#[derive(Debug)]
pub(crate) struct Host {
    pub(super) key: SigningKey,
    pub(super) token: [u8; TOKEN_BYTES],
    pub(super) ends: Uptime,
    pub(super) ends_at: Timestamp,
    pub(super) tries: u32,
    /// Where guests write who are not there.
    pub(super) mail: Option<CodeMail>,
    pub(super) guests: Vec<Guest>,
}

/// A device that wants to join.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(super) link: Option<LinkId>,
    /// Where it is answered by mail.
    pub(super) reply: Option<QueueAddress>,
    pub(super) device: DeviceId,
    pub(super) request: Verified<JoinRequest>,
    pub(super) offer: Box<[u8]>,
    pub(super) stage: Stage,
    pub(super) post: Post,
}

/// How far a guest has come.
#[derive(Debug)]
pub(crate) enum Stage {
    /// It has an offer.
    Offered,
    /// It has opened its commitment: its number can be compared.
    Accepted(Box<Accepted>),
    /// It was taken in, and may have missed that.
    Welcomed,
}

/// A guest that can be taken in.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Its number.
    pub(crate) check: String,
    /// That it belongs to the account.
    pub(crate) ack: Verified<DeviceAck>,
    /// The account that it had until now, which is to go over into this one.
    pub(crate) brings: Option<Account>,
    /// What it said.
    pub(super) envelope: Box<[u8]>,
}

/// When a guest is answered by mail.
#[derive(Debug)]
pub(super) struct Post {
    due: Option<Uptime>,
    is_busy: bool,
    not_before: Uptime,
    wait_ms: u64,
}

impl Post {
    pub(super) const fn new(due: Option<Uptime>) -> Self {
        let not_before = Uptime::from_millis(0);
        Self { due, is_busy: false, not_before, wait_ms: MAIL_RETRY_MS_MIN }
    }
}

impl Host {
    pub(crate) fn new(
        (now, uptime): (Timestamp, Uptime),
        (serves_ms, mail): (u64, Option<CodeMail>),
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let mut token = [0; TOKEN_BYTES];
        rng.fill_bytes(&mut token);
        let ends = uptime.plus_millis(serves_ms);
        let ends_at = Timestamp::from_millis(now.millis().saturating_add(serves_ms));
        let key = SigningKey::random(rng);
        Self { key, token, ends, ends_at, tries: 0, mail, guests: Vec::new() }
    }

    pub(crate) fn code(&self, addresses: &[String]) -> LinkCode {
        LinkCode {
            key: self.key.device(),
            token: self.token,
            addresses: addresses.to_vec(),
            mail: self.mail.clone(),
        }
    }

    pub(crate) fn view(&self) -> CodeView {
        let hash = crypto::hash(b"kith/link-code/1", self.key.device().as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(hash.split_at(8).0);
        CodeView { id: CodeId(id), ends_at: self.ends_at }
    }

    /// The queue of the code, if it is one by mail.
    pub(crate) fn queue(&self) -> Option<&QueueAddress> {
        self.mail.as_ref().map(|mail| &mail.queue)
    }

    /// When something is to be done: somebody is to be answered, or the code ends.
    pub(crate) fn deadline(&self) -> Uptime {
        let posts = self.guests.iter().map(|guest| &guest.post).filter(|post| !post.is_busy);
        posts.filter_map(|post| post.due).fold(self.ends, Uptime::min)
    }

    /// Those who have not been taken in.
    pub(crate) fn guests(&self) -> impl Iterator<Item = &Guest> {
        self.guests.iter().filter(|guest| !guest.is_welcomed())
    }

    /// Whether somebody on this link is a guest.
    pub(crate) fn has_guest_on(&self, link: LinkId) -> bool {
        self.guests().any(|guest| guest.link == Some(link))
    }

    /// The device that was taken in.
    pub(crate) fn welcomed(&self) -> Option<DeviceId> {
        self.guests.iter().find(|guest| guest.is_welcomed()).map(|guest| guest.device)
    }

    /// Whether the code serves no more.
    pub(crate) fn is_over(&self, uptime: Uptime) -> bool {
        self.ends <= uptime || self.tries > LINK_TRIES_MAX
    }

    /// Where a device can be written to that was taken in.
    pub(crate) fn reply_of_welcomed(&self, device: DeviceId) -> Option<&QueueAddress> {
        let is_it = |guest: &&Guest| guest.is_welcomed() && guest.device == device;
        self.guests.iter().find(is_it)?.reply.as_ref()
    }

    /// A guest is taken in: the code serves it alone from now on.
    pub(crate) fn welcome(&mut self, device: DeviceId, uptime: Uptime) {
        self.guests.retain(|guest| guest.device == device);
        if let Some(guest) = self.guests.first_mut() {
            guest.stage = Stage::Welcomed;
            guest.offer = Box::default();
            guest.post = Post::new(guest.reply.is_some().then_some(uptime));
        }
    }

    /// A link is gone. Who can be written to stays. Returns whether a guest was on it.
    pub(crate) fn leave(&mut self, link: LinkId) -> bool {
        let was_there = self.has_guest_on(link);
        self.guests.retain(|guest| {
            guest.link != Some(link) || guest.reply.is_some() || guest.is_welcomed()
        });
        let here = self.guests.iter_mut().filter(|guest| guest.link == Some(link));
        here.for_each(|guest| guest.link = None);
        was_there
    }

    /// Hears a join. Returns which guest is to be answered; `None` for what is to be met with
    /// silence. The same request gets the same offer, so that it can be repeated.
    pub(crate) fn join(
        &mut self,
        way: Way,
        sealed: &[u8],
        me: (&Account, &SigningKey),
        rng: &mut dyn CryptoRng,
    ) -> Option<DeviceId> {
        let opened = self.key.open(sealed).ok()?;
        let request = Signed::<JoinRequest>::decode(&opened).ok()?.verify().ok()?;
        let JoinRequest { token, reply, .. } = request.value();
        if !crypto::equal(token, &self.token) {
            return None;
        }
        let reply = reply.clone().filter(|_| self.mail.is_some());
        // What is asked of this server goes to no other.
        let elsewhere = |reply: &QueueAddress| self.queue().is_some_and(|own| own.url != reply.url);
        if reply.as_ref().is_some_and(elsewhere) || way == Way::Mail && reply.is_none() {
            return None;
        }
        let device = DeviceId::from_bytes(*request.signer());
        let again = |guest: &&mut Guest| {
            guest.device == device
                && (guest.is_welcomed()
                    || guest.reply.is_some() && guest.request.bytes() == request.bytes())
        };
        if let Some(guest) = self.guests.iter_mut().find(again) {
            if let Way::Link(link) = way {
                guest.link = Some(link);
            }
            return Some(device);
        }
        let taken = self.mail.is_none() && !self.guests.is_empty();
        if taken || self.welcomed().is_some() || !self.takes_another() {
            return None;
        }
        let offer = offer(me, &request, rng)?;
        let link = if let Way::Link(link) = way { Some(link) } else { None };
        let (stage, post) = (Stage::Offered, Post::new(None));
        self.guests.retain(|guest| guest.device != device);
        self.guests.push(Guest { link, reply, device, request, offer, stage, post });
        Some(device)
    }

    /// Counts one more try. Guests who wait can come in even if there is none left.
    fn takes_another(&mut self) -> bool {
        if self.tries >= LINK_TRIES_MAX && !self.guests.is_empty() {
            return false;
        }
        self.tries += 1;
        self.tries <= LINK_TRIES_MAX
    }

    /// What a guest is told now.
    pub(crate) fn answer(
        &self,
        device: DeviceId,
        account: &Account,
        rng: &mut dyn CryptoRng,
    ) -> Option<Frame> {
        let guest = self.guests.iter().find(|guest| guest.device == device)?;
        if guest.is_welcomed() {
            return Some(Frame::Accounts { proofs: vec![account.proof().to_vec()] });
        }
        let sealed = crypto::seal_to(rng, device, &guest.offer).ok()?;
        Some(Frame::Offer { sealed: sealed.into() })
    }

    /// A guest opens its commitment, perhaps again. Returns which one; `None` if what it says fits
    /// nothing, which ends its join.
    pub(crate) fn accept(
        &mut self,
        way: Way,
        sealed: &[u8],
        account: AccountId,
    ) -> Option<&mut Guest> {
        let opened = self.key.open(sealed).ok();
        let by = opened.as_ref().and_then(|opened| {
            let accept = Signed::<LinkAccept>::decode(opened).ok()?.verify().ok()?;
            Some(DeviceId::from_bytes(*accept.signer()))
        });
        let at = self.guests.iter().position(|guest| match way {
            Way::Link(link) => guest.link == Some(link),
            Way::Mail => guest.reply.is_some() && Some(guest.device) == by,
        })?;
        let guest = self.guests.get_mut(at)?;
        match (&guest.stage, opened) {
            (Stage::Welcomed, Some(_)) => {}
            (Stage::Accepted(before), Some(opened)) if *before.envelope == *opened => {}
            (Stage::Offered, Some(opened)) => match guest.open(&opened, account) {
                Some(accepted) => guest.stage = Stage::Accepted(Box::new(accepted)),
                None => {
                    self.guests.remove(at);
                    return None;
                }
            },
            (Stage::Offered, None) => {
                self.guests.remove(at);
                return None;
            }
            (Stage::Accepted(_) | Stage::Welcomed, _) => return None,
        }
        self.guests.get_mut(at)
    }

    /// The device that shows this number, if it is one.
    pub(crate) fn confirmed(&self, check: &str) -> Option<&Guest> {
        let digits: String = check.chars().filter(char::is_ascii_digit).collect();
        let shows = |guest: &&Guest| guest.accepted().is_some_and(|it| it.check == digits);
        let mut found = self.guests().filter(shows);
        found.next().filter(|_| found.next().is_none())
    }

    /// A guest is to be answered by mail, if it can be; not more often than sensible.
    pub(crate) fn owe(&mut self, device: DeviceId, uptime: Uptime) {
        if let Some(guest) = self.guests.iter_mut().find(|guest| guest.device == device)
            && guest.reply.is_some()
        {
            guest.post.due = Some(uptime.max(guest.post.not_before));
            guest.post.wait_ms = MAIL_RETRY_MS_MIN;
        }
    }

    /// Who is to be answered by mail now, and where. They count as being answered.
    pub(crate) fn take_due(&mut self, uptime: Uptime) -> Vec<(DeviceId, QueueAddress)> {
        let mut due = Vec::new();
        for guest in &mut self.guests {
            let post = &mut guest.post;
            if let Some(reply) = guest.reply.clone()
                && !post.is_busy
                && post.due.is_some_and(|at| at <= uptime)
            {
                (post.is_busy, post.due) = (true, None);
                post.not_before = uptime.plus_millis(LINK_ANSWER_MS_MIN);
                due.push((guest.device, reply));
            }
        }
        due
    }

    /// What was put for a guest is there, or not: then it is put again, ever later.
    pub(crate) fn answered(&mut self, device: DeviceId, is_there: bool, uptime: Uptime) {
        let Some(guest) = self.guests.iter_mut().find(|guest| guest.device == device) else {
            return;
        };
        let post = &mut guest.post;
        post.is_busy = false;
        if !is_there && post.due.is_none() {
            post.due = Some(uptime.plus_millis(post.wait_ms));
            post.wait_ms = post.wait_ms.saturating_mul(2).min(MAIL_RETRY_MS_MAX);
        }
    }
}

impl Guest {
    pub(crate) const fn link(&self) -> Option<LinkId> {
        self.link
    }

    pub(crate) const fn device(&self) -> DeviceId {
        self.device
    }

    pub(crate) fn name(&self) -> &str {
        &self.request.value().name
    }

    pub(crate) const fn is_welcomed(&self) -> bool {
        matches!(self.stage, Stage::Welcomed)
    }

    /// What it has said once it has opened its commitment.
    pub(crate) fn accepted(&self) -> Option<&Accepted> {
        if let Stage::Accepted(accepted) = &self.stage { Some(accepted) } else { None }
    }

    pub(super) fn open(&self, opened: &[u8], account: AccountId) -> Option<Accepted> {
        let accept = Signed::<LinkAccept>::decode(opened).ok()?.verify().ok()?;
        let ack = Signed::<DeviceAck>::decode(&accept.value().acknowledgement).ok()?;
        let ack = ack.verify().ok()?;
        let opening = &accept.value().opening;
        let kept = commitment(opening, self.device, &ack.value().authority)
            == self.request.value().commitment;
        let same = accept.signer() == self.device.as_bytes()
            && ack.signer() == self.device.as_bytes()
            && ack.value().account == account;
        let check = check_number(self.request.bytes(), &self.offer, opening);
        let proof = &accept.value().brings;
        let brings = if proof.is_empty() { None } else { Some(Account::fold(proof).ok()?) };
        let own = |brought: &Account| {
            brought.id() != account
                && brought.has(self.device)
                && brought.authority_of(self.device) == Some(ack.value().authority)
        };
        let fits = kept && same && brings.as_ref().is_none_or(own);
        fits.then_some(Accepted { check, ack, brings, envelope: opened.into() })
    }
}

fn offer(
    (account, key): (&Account, &SigningKey),
    request: &Verified<JoinRequest>,
    rng: &mut dyn CryptoRng,
) -> Option<Box<[u8]>> {
    let mut nonce = [0; 32];
    rng.fill_bytes(&mut nonce);
    let offer = LinkOffer {
        account: account.id(),
        inviter: account.authority_of(key.device())?,
        nonce,
        proof: account.proof().to_vec(),
        request: crypto::hash_plain(request.bytes()),
    };
    Some(sign(key, offer).into_bytes())
}
