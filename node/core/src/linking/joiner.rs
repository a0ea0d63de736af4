//! What does the device do that has read a code? It commits, compares, and is taken in (spec 08).

use kith_common::{
    account::{Account, acknowledge},
    crypto,
    envelope::{Signed, Verified, sign},
    frame::Frame,
    ids::{AccountId, DeviceId},
    keys::SigningKey,
    linking::{JoinRequest, LinkAccept, LinkCode, LinkOffer, check_number, commitment},
    mail::QueueAddress,
};
use rand_core::CryptoRng;

use crate::engine::LinkId;

/// The new device's end.
#[derive(Debug)]
pub struct Joiner {
    pub(super) code: LinkCode,
    pub(super) device: SigningKey,
    pub(super) authority: SigningKey,
    pub(super) opening: [u8; 32],
    pub(super) request: Verified<JoinRequest>,
    pub(super) offered: Option<Offered>,
    /// The account that was acknowledged: it may take the device in while no link is there.
    acknowledged: Option<AccountId>,
    /// The account that the device has, if that is to go over.
    pub(super) brings: Option<Account>,
}

/// What the old device has said, and what was answered.
#[derive(Debug)]
pub(super) struct Offered {
    /// On which link; `None`: by mail.
    link: Option<LinkId>,
    /// Envelope of the offer.
    pub(super) envelope: Box<[u8]>,
    /// Envelope of the consent.
    pub(super) accept: Box<[u8]>,
    /// The old device.
    pub(super) host: DeviceId,
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
        Self::with_keys((code, None), name, keys, None, rng)
    }

    /// The same for a device that has an account, which is to go over into the one of the code.
    pub fn merging(
        code: LinkCode,
        name: &str,
        keys: (SigningKey, SigningKey),
        account: Account,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        Self::with_keys((code, None), name, keys, Some(account), rng)
    }

    pub(super) fn with_keys(
        (code, reply): (LinkCode, Option<QueueAddress>),
        name: &str,
        (device, authority): (SigningKey, SigningKey),
        brings: Option<Account>,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let mut opening = [0; 32];
        rng.fill_bytes(&mut opening);
        let commitment = commitment(&opening, device.device(), authority.public());
        let name = crate::names::tidy_name(name);
        let request = JoinRequest { token: code.token, commitment, name, reply };
        let request = sign(&device, request);
        Self::kept(code, (device, authority), opening, request, brings)
    }

    pub(super) fn kept(
        code: LinkCode,
        (device, authority): (SigningKey, SigningKey),
        opening: [u8; 32],
        request: Verified<JoinRequest>,
        brings: Option<Account>,
    ) -> Self {
        let (offered, acknowledged) = (None, None);
        Self { code, device, authority, opening, request, offered, acknowledged, brings }
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
        self.hear(Some(link), &Frame::decode(bytes).ok()??, rng)
    }

    /// What follows from a frame that came on a link or, without one, by mail.
    pub(super) fn hear(
        &mut self,
        link: Option<LinkId>,
        frame: &Frame,
        rng: &mut dyn CryptoRng,
    ) -> Option<JoinStep> {
        match frame {
            Frame::Offer { sealed } => {
                let envelope = self.device.open(sealed).ok()?;
                match &self.offered {
                    None => self.offer(link, &envelope, rng),
                    Some(before) if *before.envelope == *envelope => self.consent(rng),
                    Some(_) => None,
                }
            }
            Frame::Accounts { proofs } => self.joined(proofs).map(JoinStep::Joined),
            _ => None,
        }
    }

    fn offer(
        &mut self,
        link: Option<LinkId>,
        envelope: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Option<JoinStep> {
        let offer = self.fitting(envelope)?;
        let LinkOffer { account, inviter, .. } = offer.value();
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
        let accept = sign(&self.device, accept).into_bytes();
        self.take_offer(link, &offer, accept);
        self.consent(rng)
    }

    /// An offer to this device, in answer to its request, by a device of the account that it names.
    pub(super) fn fitting(&self, envelope: &[u8]) -> Option<Verified<LinkOffer>> {
        let offer = Signed::<LinkOffer>::decode(envelope).ok()?.verify().ok()?;
        let LinkOffer { account, inviter, proof, request, .. } = offer.value();
        let known = Account::fold(proof).ok()?;
        let old = DeviceId::from_bytes(*offer.signer());
        let fits = known.id() == *account
            && known.has(old)
            && known.authority_of(old) == Some(*inviter)
            && *request == crypto::hash_plain(self.request.bytes())
            && self.acknowledged.is_none_or(|before| before == *account);
        fits.then_some(offer)
    }

    /// Takes note of an offer and what was answered.
    pub(super) fn take_offer(
        &mut self,
        link: Option<LinkId>,
        offer: &Verified<LinkOffer>,
        accept: Box<[u8]>,
    ) {
        let envelope: Box<[u8]> = offer.bytes().into();
        let check = check_number(self.request.bytes(), &envelope, &self.opening);
        let host = DeviceId::from_bytes(*offer.signer());
        self.acknowledged = Some(offer.value().account);
        self.offered = Some(Offered { link, envelope, accept, host, check });
    }

    fn consent(&self, rng: &mut dyn CryptoRng) -> Option<JoinStep> {
        let Offered { accept, check, .. } = self.offered.as_ref()?;
        let sealed = crypto::seal_to(rng, self.code.key, accept).ok()?;
        let frame = Frame::Accept { sealed: sealed.into() }.encode();
        Some(JoinStep::Compare { frame, check: check.clone() })
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

    /// A link is gone: another one may bring a new offer, unless the old device keeps the one that
    /// it has made.
    pub fn link_down(&mut self, link: LinkId) {
        let by_mail = self.request.value().reply.is_some();
        if !by_mail && self.offered.as_ref().is_some_and(|offered| offered.link == Some(link)) {
            self.offered = None;
        }
    }
}
