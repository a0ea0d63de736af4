//! How does a device join? The two ends of the conversation that the code begins (spec 08).

use kith_common::{
    account::{Account, DeviceAck, acknowledge},
    crypto,
    envelope::{Signed, Verified, sign},
    frame::Frame,
    ids::{AccountId, DeviceId},
    keys::SigningKey,
    linking::{
        JoinRequest, LinkAccept, LinkCode, LinkOffer, TOKEN_BYTES, check_number, commitment,
    },
    time::{Timestamp, Uptime},
};
use rand_core::CryptoRng;

use crate::{
    engine::LinkId,
    limits::{LINK_CODE_MS, LINK_TRIES_MAX},
};

/// Names a code for as long as it serves; says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeId(pub [u8; 8]);

/// A code that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeView {
    /// Which.
    pub id: CodeId,
    /// When it ends.
    pub ends_at: Timestamp,
}

/// The old device's end: a code that is shown, and at most one device that answers it.
#[derive(Debug)]
pub(crate) struct Host {
    key: SigningKey,
    token: [u8; TOKEN_BYTES],
    ends: Uptime,
    ends_at: Timestamp,
    tries: u32,
    guest: Option<Guest>,
    /// The device that was taken in: it may have missed that.
    welcomed: Option<DeviceId>,
}

/// A device that wants to join.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) link: LinkId,
    pub(crate) name: String,
    device: DeviceId,
    request: Verified<JoinRequest>,
    offer: Box<[u8]>,
    /// What it has said once it has opened its commitment.
    pub(crate) accepted: Option<Accepted>,
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
}

impl Host {
    pub(crate) fn new((now, uptime): (Timestamp, Uptime), rng: &mut dyn CryptoRng) -> Self {
        let mut token = [0; TOKEN_BYTES];
        rng.fill_bytes(&mut token);
        let ends = uptime.plus_millis(LINK_CODE_MS);
        let ends_at = Timestamp::from_millis(now.millis().saturating_add(LINK_CODE_MS));
        let key = SigningKey::random(rng);
        Self { key, token, ends, ends_at, tries: 0, guest: None, welcomed: None }
    }

    pub(crate) fn code(&self, addresses: &[String]) -> LinkCode {
        LinkCode { key: self.key.device(), token: self.token, addresses: addresses.to_vec() }
    }

    pub(crate) fn view(&self) -> CodeView {
        let hash = crypto::hash(b"kith/link-code/1", self.key.device().as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(hash.split_at(8).0);
        CodeView { id: CodeId(id), ends_at: self.ends_at }
    }

    pub(crate) const fn ends(&self) -> Uptime {
        self.ends
    }

    pub(crate) const fn guest(&self) -> Option<&Guest> {
        self.guest.as_ref()
    }

    /// Whether the code serves no more.
    pub(crate) fn is_over(&self, uptime: Uptime) -> bool {
        self.ends <= uptime || self.tries > LINK_TRIES_MAX
    }

    /// The guest is taken in: the code serves it alone from now on.
    pub(crate) fn welcome(&mut self, device: DeviceId) {
        self.guest = None;
        self.welcomed = Some(device);
    }

    /// The guest is gone. Returns whether there was one on this link.
    pub(crate) fn leave(&mut self, link: LinkId) -> bool {
        let gone = self.guest.as_ref().is_some_and(|guest| guest.link == link);
        if gone {
            self.guest = None;
        }
        gone
    }

    /// Answers a join with an offer; `None` for what is to be met with silence.
    pub(crate) fn join(
        &mut self,
        link: LinkId,
        sealed: &[u8],
        me: (&Account, &SigningKey),
        rng: &mut dyn CryptoRng,
    ) -> Option<Frame> {
        let opened = self.key.open(sealed).ok()?;
        let request = Signed::<JoinRequest>::decode(&opened).ok()?.verify().ok()?;
        if !crypto::equal(&request.value().token, &self.token) || self.guest.is_some() {
            return None;
        }
        if let Some(welcomed) = self.welcomed {
            let again = request.signer() == welcomed.as_bytes();
            return again.then(|| Frame::Accounts { proofs: vec![me.0.proof().to_vec()] });
        }
        self.tries += 1;
        if self.tries > LINK_TRIES_MAX {
            return None;
        }
        let (account, key) = me;
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let offer = LinkOffer {
            account: account.id(),
            inviter: account.authority_of(key.device())?,
            nonce,
            proof: account.proof().to_vec(),
            request: crypto::hash_plain(request.bytes()),
        };
        let offer = sign(key, offer).into_bytes();
        let device = DeviceId::from_bytes(*request.signer());
        let sealed = crypto::seal_to(rng, device, &offer).ok()?;
        let name = request.value().name.clone();
        self.guest = Some(Guest { link, name, device, request, offer, accepted: None });
        Some(Frame::Offer { sealed: sealed.into() })
    }

    /// The guest opens its commitment. Returns whether its number can be shown now.
    pub(crate) fn accept(&mut self, link: LinkId, sealed: &[u8], account: AccountId) -> bool {
        let Some(guest) = self.guest.as_mut().filter(|g| g.link == link && g.accepted.is_none())
        else {
            return false;
        };
        guest.accepted = self.key.open(sealed).ok().and_then(|opened| guest.open(&opened, account));
        if guest.accepted.is_none() {
            self.guest = None;
            return false;
        }
        true
    }

    /// The acknowledgement of the device that shows this number.
    pub(crate) fn confirmed(&self, check: &str) -> Option<&Guest> {
        let digits: String = check.chars().filter(char::is_ascii_digit).collect();
        let shows = |guest: &&Guest| guest.accepted.as_ref().is_some_and(|it| it.check == digits);
        self.guest.as_ref().filter(shows)
    }
}

impl Guest {
    fn open(&self, opened: &[u8], account: AccountId) -> Option<Accepted> {
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
        fits.then_some(Accepted { check, ack, brings })
    }
}

/// The new device's end.
#[derive(Debug)]
pub struct Joiner {
    code: LinkCode,
    device: SigningKey,
    authority: SigningKey,
    opening: [u8; 32],
    request: Verified<JoinRequest>,
    offered: Option<Offered>,
    /// The account that was acknowledged: it may take the device in while no link is there.
    acknowledged: Option<AccountId>,
    /// The account that the device has, if that is to go over.
    brings: Option<Account>,
}

#[derive(Debug)]
struct Offered {
    link: LinkId,
    check: String,
}

/// What the new device does next.
#[derive(Debug)]
pub enum JoinStep {
    /// Send this on the link, and show the number to the person.
    Compare {
        /// An accept.
        frame: Vec<u8>,
        /// Six digits.
        check: String,
    },
    /// The account has taken the device in.
    Joined(Box<Account>),
    /// The code is of the account that the device has: nothing can go over.
    SameAccount,
}

impl Joiner {
    /// Makes the keys of a device that has read a code.
    pub fn new(code: LinkCode, name: &str, rng: &mut dyn CryptoRng) -> Self {
        let keys = (SigningKey::random(rng), SigningKey::random(rng));
        Self::with_keys(code, name, keys, None, rng)
    }

    /// The same for a device that has an account, which is to go over into the one of the code.
    pub fn merging(
        code: LinkCode,
        name: &str,
        keys: (SigningKey, SigningKey),
        account: Account,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        Self::with_keys(code, name, keys, Some(account), rng)
    }

    fn with_keys(
        code: LinkCode,
        name: &str,
        (device, authority): (SigningKey, SigningKey),
        brings: Option<Account>,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let mut opening = [0; 32];
        rng.fill_bytes(&mut opening);
        let commitment = commitment(&opening, device.device(), authority.public());
        let name = crate::names::tidy_name(name);
        let request = sign(&device, JoinRequest { token: code.token, commitment, name });
        Self {
            code,
            device,
            authority,
            opening,
            request,
            offered: None,
            acknowledged: None,
            brings,
        }
    }

    /// The code that was read.
    pub const fn code(&self) -> &LinkCode {
        &self.code
    }

    /// The signing and the authority key of the new device.
    pub fn into_keys(self) -> (SigningKey, SigningKey) {
        (self.device, self.authority)
    }

    /// What to say on a link that is up.
    pub fn hello(&self, rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        let sealed = crypto::seal_to(rng, self.code.key, self.request.bytes()).ok()?;
        Some(Frame::Join { sealed: sealed.into() }.encode())
    }

    /// What follows from a frame; `None` if nothing does.
    pub fn handle(
        &mut self,
        link: LinkId,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Option<JoinStep> {
        match Frame::decode(bytes).ok()?? {
            Frame::Offer { sealed } if self.offered.is_none() => self.offer(link, &sealed, rng),
            Frame::Accounts { proofs } => self.joined(&proofs).map(JoinStep::Joined),
            _ => None,
        }
    }

    fn offer(&mut self, link: LinkId, sealed: &[u8], rng: &mut dyn CryptoRng) -> Option<JoinStep> {
        let envelope = self.device.open(sealed).ok()?;
        let offer = Signed::<LinkOffer>::decode(&envelope).ok()?.verify().ok()?;
        let LinkOffer { account, inviter, proof, request, .. } = offer.value();
        let known = Account::fold(proof).ok()?;
        let old = DeviceId::from_bytes(*offer.signer());
        let fits = known.id() == *account
            && known.has(old)
            && known.authority_of(old) == Some(*inviter)
            && *request == crypto::hash_plain(self.request.bytes())
            && self.acknowledged.is_none_or(|before| before == *account);
        if !fits {
            return None;
        }
        if self.brings.as_ref().is_some_and(|own| own.id() == *account) {
            return Some(JoinStep::SameAccount);
        }
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let ack = acknowledge(&self.device, *inviter, *self.authority.public(), nonce, *account);
        let brings = self.brings.as_ref().map(|account| account.proof().to_vec());
        let accept = LinkAccept {
            opening: self.opening,
            acknowledgement: ack.into_bytes(),
            brings: brings.unwrap_or_default(),
        };
        let accept = sign(&self.device, accept);
        let sealed = crypto::seal_to(rng, self.code.key, accept.bytes()).ok()?;
        let check = check_number(self.request.bytes(), &envelope, &self.opening);
        self.offered = Some(Offered { link, check: check.clone() });
        self.acknowledged = Some(*account);
        Some(JoinStep::Compare { frame: Frame::Accept { sealed: sealed.into() }.encode(), check })
    }

    fn joined(&self, proofs: &[Vec<Box<[u8]>>]) -> Option<Box<Account>> {
        let acknowledged = self.acknowledged?;
        let mut accounts = proofs.iter().filter_map(|proof| Account::fold(proof).ok());
        let joined =
            |account: &Account| account.id() == acknowledged && account.has(self.device.device());
        accounts.find(joined).map(Box::new)
    }

    /// The number that both devices show, once there is one.
    pub fn check(&self) -> Option<&str> {
        self.offered.as_ref().map(|offered| offered.check.as_str())
    }

    /// A link is gone: another one may bring a new offer.
    pub fn link_down(&mut self, link: LinkId) {
        if self.offered.as_ref().is_some_and(|offered| offered.link == link) {
            self.offered = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;

    const LINK: LinkId = LinkId(1);

    struct Old {
        account: Account,
        device: SigningKey,
        authority: SigningKey,
        host: Host,
        rng: ChaCha8Rng,
    }

    fn old() -> Old {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let [recovery, device, authority] = [(); 3].map(|()| SigningKey::random(&mut rng));
        let account = Account::create(&recovery, &device, &authority, [0; 32]);
        let host = Host::new((Timestamp::from_millis(0), Uptime::from_millis(0)), &mut rng);
        Old { account, device, authority, host, rng }
    }

    impl Old {
        fn code(&self) -> LinkCode {
            self.host.code(&["/ip4/127.0.0.1/tcp/1".to_owned()])
        }

        fn join(&mut self, joiner: &Joiner) -> Option<Frame> {
            let hello = joiner.hello(&mut self.rng).unwrap();
            let Some(Frame::Join { sealed }) = Frame::decode(&hello).unwrap() else {
                panic!("a joiner begins with a join");
            };
            self.host.join(LINK, &sealed, (&self.account, &self.device), &mut self.rng)
        }

        /// The numbers that both show.
        fn compare(&mut self, joiner: &mut Joiner) -> Option<(String, String)> {
            let offer = self.join(joiner)?.encode();
            let Some(JoinStep::Compare { frame, check }) =
                joiner.handle(LINK, &offer, &mut self.rng)
            else {
                return None;
            };
            let Some(Frame::Accept { sealed }) = Frame::decode(&frame).unwrap() else {
                panic!("a joiner answers with an accept");
            };
            assert!(self.host.accept(LINK, &sealed, self.account.id()));
            let shown = self.host.guest()?.accepted.as_ref()?.check.clone();
            Some((shown, check))
        }

        fn confirm(&mut self, check: &str) -> Vec<u8> {
            let ack = &self.host.confirmed(check).unwrap().accepted.as_ref().unwrap().ack;
            let device = DeviceId::from_bytes(*ack.signer());
            let addition = self.account.add_device(&self.authority, ack).unwrap();
            self.account = self.account.join(&[addition]).unwrap();
            self.host.welcome(device);
            Frame::Accounts { proofs: vec![self.account.proof().to_vec()] }.encode()
        }
    }

    fn joiner(old: &mut Old) -> Joiner {
        let code = old.code();
        Joiner::new(code, "tablet", &mut old.rng)
    }

    #[test]
    fn both_show_one_number_and_the_device_belongs() {
        let mut old = old();
        let mut new = joiner(&mut old);
        let (one, other) = old.compare(&mut new).unwrap();
        assert_eq!(one, other);
        assert!(old.host.confirmed("no number").is_none());
        let (left, right) = one.split_at(3);
        let welcome = old.confirm(&format!("{left} {right}"));
        let Some(JoinStep::Joined(account)) = new.handle(LINK, &welcome, &mut old.rng) else {
            panic!("the new device sees itself in the account");
        };
        let (device, authority) = new.into_keys();
        assert_eq!(account.authority_of(device.device()), Some(*authority.public()));
    }

    #[test]
    fn a_welcome_that_was_lost_is_said_again_to_that_device_only() {
        let mut old = old();
        let mut new = joiner(&mut old);
        let (check, _) = old.compare(&mut new).unwrap();
        let _lost = old.confirm(&check);
        new.link_down(LINK);
        let other = joiner(&mut old);
        assert!(old.join(&other).is_none());
        let again = old.join(&new).unwrap().encode();
        assert!(matches!(new.handle(LinkId(2), &again, &mut old.rng), Some(JoinStep::Joined(_))));
    }

    #[test]
    fn somebody_who_joins_with_the_code_shows_another_number() {
        let (mut first, mut again) = (old(), old());
        again.rng = ChaCha8Rng::seed_from_u64(2);
        let (mut new, mut thief) = (joiner(&mut first), joiner(&mut again));
        let (honest, _) = first.compare(&mut new).unwrap();
        let (stolen, _) = again.compare(&mut thief).unwrap();
        assert_ne!(honest, stolen);
    }

    /// Who stands between hands on what it likes: what it changes does not open or fit.
    #[test]
    fn nothing_of_one_conversation_serves_in_another() {
        let (mut one, mut other) = (old(), old());
        other.rng = ChaCha8Rng::seed_from_u64(2);
        other.host = Host::new((Timestamp::from_millis(0), Uptime::from_millis(0)), &mut other.rng);
        let new = joiner(&mut one);
        assert!(other.join(&new).is_none(), "sealed to another code");
        let mut new = joiner(&mut one);
        let mut second = joiner(&mut one);
        let offer = one.join(&new).unwrap().encode();
        assert!(second.handle(LINK, &offer, &mut one.rng).is_none(), "an offer to another device");
        assert!(one.join(&second).is_none(), "one guest at a time");
        let Some(JoinStep::Compare { frame, .. }) = new.handle(LINK, &offer, &mut one.rng) else {
            panic!("its own offer is taken");
        };
        let Some(Frame::Accept { sealed }) = Frame::decode(&frame).unwrap() else { panic!() };
        assert!(!one.host.accept(LinkId(7), &sealed, one.account.id()), "on another link");
        assert!(
            !one.host.accept(LINK, &sealed, AccountId::from_bytes([1; 32])),
            "of another account"
        );
        assert!(one.host.guest().is_none(), "what does not fit ends the join");
    }

    #[test]
    fn a_code_ends_after_some_tries_and_some_time() {
        let mut old = old();
        for _ in 0..LINK_TRIES_MAX {
            let new = joiner(&mut old);
            assert!(old.join(&new).is_some());
            assert!(old.host.leave(LINK));
        }
        let new = joiner(&mut old);
        assert!(old.join(&new).is_none());
        assert!(old.host.is_over(Uptime::from_millis(0)));
        assert!(
            Host::new((Timestamp::from_millis(0), Uptime::from_millis(0)), &mut old.rng)
                .is_over(Uptime::from_millis(LINK_CODE_MS))
        );
        let mut code = old.code();
        code.token = [0; TOKEN_BYTES];
        let guessed = Joiner::new(code, "x", &mut old.rng);
        old.host = Host::new((Timestamp::from_millis(0), Uptime::from_millis(0)), &mut old.rng);
        assert!(old.join(&guessed).is_none());
    }
}
