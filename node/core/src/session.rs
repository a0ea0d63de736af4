//! Who is at the other end of a link? Recognition, certificates and contact requests (spec 05).
//!
//! A link begins between two throw-away transport ids. Both sides send tags that only devices they
//! know can recognise; a device shows who it is only to one that it has recognised.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kith_common::{
    account::{Account, TransportCert},
    crypto::{self, PairKeys},
    envelope::{Signed, sign},
    frame::{ContactRequest, Frame, TAG_BYTES},
    ids::{AccountId, DeviceId, LogId},
    keys::{Secret, SigningKey},
    limits::HELLO_TAGS_STEP,
    time::{Timestamp, Uptime},
};
use rand_core::CryptoRng;

use crate::{
    limits::{
        CERTIFICATE_AHEAD_MS_MAX, CERTIFICATE_BEHIND_MS_MAX, CERTIFICATE_MS, HELLO_MS_MIN,
        INTRODUCTIONS_PER_LINK_MAX, KNOWN_DEVICES_MAX, LINK_LASTS_MS, LINK_SURE_MS,
        NEW_REQUESTS_PER_LINK_MAX, SEEK_MS, SEEKS_PER_LINK_MAX, UNKNOWN_LINK_MS_MAX,
    },
    refusal::Refusal,
    sync::Outgoing,
};

/// Our account and the key of this device.
#[derive(Debug)]
pub struct Identity {
    /// The account with its proof.
    pub account: Account,
    /// The key of this device.
    pub device: SigningKey,
}

/// The keys shared with every device that we know. Each takes two X25519 operations, so they are
/// made once: a stranger's hello costs hashes only.
#[derive(Debug, Default)]
pub(crate) struct Recognition {
    keys: BTreeMap<DeviceId, PairKeys>,
}

impl Recognition {
    /// Whom we know has changed.
    pub(crate) fn refresh(&mut self, me: &SigningKey, known: impl Iterator<Item = DeviceId>) {
        let mut before = std::mem::take(&mut self.keys);
        self.keys = known
            .filter_map(|device| {
                let keys = before.remove(&device).or_else(|| me.pair_keys(device).ok())?;
                Some((device, keys))
            })
            .collect();
        debug_assert!(self.keys.len() <= KNOWN_DEVICES_MAX, "every known device has its tag");
    }

    /// Whether the device is one that we know.
    pub(crate) fn knows(&self, device: DeviceId) -> bool {
        self.keys.contains_key(&device)
    }
}

/// A connection to another node, from the first byte to the last.
#[derive(Debug)]
pub(crate) struct Link {
    own: Box<[u8]>,
    peer: Box<[u8]>,
    opened: Uptime,
    hello_at: Uptime,
    hello_wait_ms: u64,
    tags: BTreeSet<[u8; TAG_BYTES]>,
    pub(crate) recognised: Option<DeviceId>,
    pub(crate) session: Option<Session>,
    pub(crate) requests_sent: bool,
    pub(crate) refusals: u32,
    introductions: u32,
    new_requests: u32,
    pub(crate) outgoing: BTreeMap<LogId, Outgoing>,
    /// Logs that may have something to send, in the order of their turns.
    pub(crate) turns: VecDeque<LogId>,
    heard_at: Uptime,
    said_at: Uptime,
    /// Whether it leads through a relay.
    pub(crate) relayed: bool,
    /// Somebody who knows our id was told how to ask us.
    pub(crate) card_sent: bool,
    /// Keys that were looked for since then.
    seeks: (Uptime, u32),
}

/// Whom we talk to: certain once established.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
}

/// What an unestablished link wants at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkWants {
    Nothing,
    Hello,
    Close,
}

impl Link {
    /// Something came from the other end.
    pub(crate) const fn hear(&mut self, uptime: Uptime) {
        self.heard_at = uptime;
    }

    /// Something was handed to the network.
    pub(crate) const fn say(&mut self, uptime: Uptime) {
        self.said_at = uptime;
    }

    /// Whether what was said has arrived, if the link ends now: something came after it, or the link
    /// would have ended before.
    pub(crate) fn has_arrived(&self, uptime: Uptime) -> bool {
        self.said_at < self.heard_at || uptime >= self.said_at.plus_millis(LINK_SURE_MS)
    }

    pub(crate) fn new(own: Box<[u8]>, peer: Box<[u8]>, uptime: Uptime) -> Self {
        Self {
            own,
            peer,
            opened: uptime,
            hello_at: uptime,
            hello_wait_ms: HELLO_MS_MIN,
            tags: BTreeSet::new(),
            recognised: None,
            session: None,
            requests_sent: false,
            refusals: 0,
            introductions: 0,
            new_requests: 0,
            outgoing: BTreeMap::new(),
            turns: VecDeque::new(),
            heard_at: uptime,
            said_at: uptime,
            relayed: false,
            card_sent: false,
            seeks: (uptime, 0),
        }
    }

    /// Whether the other end stayed long enough to be dialled at once when it is gone.
    pub(crate) fn has_lasted(&self, uptime: Uptime) -> bool {
        self.opened.plus_millis(LINK_LASTS_MS) <= uptime
    }

    /// When the link wants something by itself; never, once a session is established.
    pub(crate) fn deadline(&self) -> Option<Uptime> {
        let end = self.opened.plus_millis(UNKNOWN_LINK_MS_MAX);
        self.session.is_none().then(|| self.hello_at.min(end))
    }

    pub(crate) fn wants(&mut self, uptime: Uptime) -> LinkWants {
        if self.session.is_some() {
            LinkWants::Nothing
        } else if self.opened.plus_millis(UNKNOWN_LINK_MS_MAX) <= uptime {
            LinkWants::Close
        } else if self.hello_at <= uptime {
            self.hello_at = uptime.plus_millis(self.hello_wait_ms);
            self.hello_wait_ms = self.hello_wait_ms.saturating_mul(2);
            LinkWants::Hello
        } else {
            LinkWants::Nothing
        }
    }

    /// Says hello again at once: whom we know has changed.
    pub(crate) fn hello_again(&mut self, uptime: Uptime) {
        self.hello_at = uptime;
        self.hello_wait_ms = HELLO_MS_MIN;
        self.opened = uptime;
    }

    /// Whom we know, as tags, padded so that their number says little.
    pub(crate) fn hello(&self, known: &Recognition, rng: &mut dyn CryptoRng) -> Frame {
        let tag_for = |keys: &PairKeys| tag(&keys.send, &self.own, &self.peer);
        let mut tags: Vec<[u8; TAG_BYTES]> = known.keys.values().map(tag_for).collect();
        let padded = tags.len().max(1).next_multiple_of(HELLO_TAGS_STEP);
        tags.resize_with(padded, || {
            let mut random = [0; TAG_BYTES];
            rng.fill_bytes(&mut random);
            random
        });
        tags.sort_unstable();
        Frame::Hello { tags }
    }

    /// Counts a hello or request. Returns whether it is to be looked at.
    pub(crate) fn may_introduce(&mut self) -> bool {
        self.introductions = self.introductions.saturating_add(1);
        self.introductions <= INTRODUCTIONS_PER_LINK_MAX
    }

    /// Counts a request of somebody new. Returns whether it is to be taken.
    pub(crate) fn may_ask(&mut self) -> bool {
        self.new_requests = self.new_requests.saturating_add(1);
        self.new_requests <= NEW_REQUESTS_PER_LINK_MAX
    }

    /// Counts keys that are looked for. Returns whether they are to be looked at.
    pub(crate) fn may_seek(&mut self, tokens: usize, uptime: Uptime) -> bool {
        let (since, count) = &mut self.seeks;
        if since.plus_millis(SEEK_MS) <= uptime {
            (*since, *count) = (uptime, 0);
        }
        *count = count.saturating_add(u32::try_from(tokens).unwrap_or(u32::MAX));
        *count <= SEEKS_PER_LINK_MAX
    }

    /// Our transport id on this link, and the other's.
    pub(crate) fn transports(&self) -> (&[u8], &[u8]) {
        (&self.own, &self.peer)
    }

    pub(crate) fn keep_tags(&mut self, tags: Vec<[u8; TAG_BYTES]>) {
        self.tags = tags.into_iter().collect();
    }

    /// The first known device whose tag the other end has sent.
    pub(crate) fn recognise(&mut self, known: &Recognition) -> Option<DeviceId> {
        if self.recognised.is_none() && !self.tags.is_empty() {
            let ours = |keys: &PairKeys| tag(&keys.receive, &self.peer, &self.own);
            let found = known.keys.iter().find(|(_, keys)| self.tags.contains(&ours(keys)));
            self.recognised = found.map(|(device, _)| *device);
        }
        self.recognised
    }

    /// Who we are; only for a device that was recognised.
    pub(crate) fn certificate(&self, me: &Identity, addresses: &[String], now: Timestamp) -> Frame {
        let cert = TransportCert {
            transport: self.own.clone(),
            audience: self.peer.clone(),
            not_after: now.plus_millis(CERTIFICATE_MS).millis(),
        };
        Frame::Certificate {
            cert: sign(&me.device, cert).into_bytes(),
            proof: me.account.proof().to_vec(),
            addresses: addresses.to_vec(),
        }
    }

    /// The device and account that a certificate proves, if it is the recognised one's.
    pub(crate) fn check_certificate(
        &self,
        cert: &[u8],
        proof: &[Box<[u8]>],
        now: Timestamp,
    ) -> Result<(DeviceId, Account), Refusal> {
        let cert = Signed::<TransportCert>::decode(cert)?;
        let cert = cert.verify().map_err(|_| Refusal::Signature)?;
        let device = DeviceId::from_bytes(*cert.signer());
        let account = Account::fold(proof)?;
        let TransportCert { transport, audience, not_after } = cert.value();
        let serves = *transport == self.peer
            && *audience == self.own
            && self.recognised == Some(device)
            && account.has(device);
        if !serves {
            return Err(Refusal::Certificate);
        }
        check_clock(not_after.saturating_sub(CERTIFICATE_MS), now.millis())?;
        Ok((device, account))
    }

    /// A contact request that only `device` can open, and only on this link.
    pub(crate) fn request(
        &self,
        me: &Identity,
        to: (AccountId, DeviceId),
        introduction: Introduction,
        rng: &mut dyn CryptoRng,
    ) -> Option<Frame> {
        let request = ContactRequest {
            to_account: to.0,
            to_device: to.1,
            transport: self.own.clone(),
            audience: self.peer.clone(),
            proof: me.account.proof().to_vec(),
            absorbed: introduction.absorbed,
            name: introduction.name,
            greeting: introduction.greeting,
            addresses: introduction.addresses,
        };
        let signed = sign(&me.device, request);
        let sealed = crypto::seal_to(rng, to.1, signed.bytes()).ok()?;
        Some(Frame::Request { sealed: sealed.into() })
    }

    /// Opens a contact request: the account that asks, and what it says.
    pub(crate) fn open_request(
        &self,
        me: &Identity,
        sealed: &[u8],
    ) -> Result<(Account, Introduction), Refusal> {
        let opened = me.device.open(sealed).map_err(|_| Refusal::RequestNotForUs)?;
        // Whatever is wrong inside, the sender learns no more than from a box for somebody else.
        let request =
            Signed::<ContactRequest>::decode(&opened).map_err(|_| Refusal::RequestNotForUs)?;
        let request = request.verify().map_err(|_| Refusal::RequestNotForUs)?;
        let device = DeviceId::from_bytes(*request.signer());
        let request = request.value();
        let account = Account::fold(&request.proof).map_err(|_| Refusal::RequestNotForUs)?;
        let meant = request.to_account == me.account.id()
            && request.to_device == me.device.device()
            && request.transport == self.peer
            && request.audience == self.own
            && account.has(device);
        if !meant {
            return Err(Refusal::RequestNotForUs);
        }
        let introduction = Introduction {
            name: request.name.clone(),
            greeting: request.greeting.clone(),
            addresses: request.addresses.clone(),
            absorbed: request.absorbed.clone(),
        };
        Ok((account, introduction))
    }
}

/// Whether the other's clock is near enough to ours; both in milliseconds since 1970 UTC.
fn check_clock(theirs: u64, ours: u64) -> Result<(), Refusal> {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    let (ahead, behind) = (theirs.saturating_sub(ours), ours.saturating_sub(theirs));
    if ahead <= CERTIFICATE_AHEAD_MS_MAX && behind <= CERTIFICATE_BEHIND_MS_MAX {
        return Ok(());
    }
    Err(Refusal::ClocksApart { days: ahead.max(behind).saturating_add(DAY_MS / 2) / DAY_MS })
}

/// What somebody says about themselves in a contact request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Introduction {
    pub(crate) name: String,
    pub(crate) greeting: String,
    pub(crate) addresses: Vec<String>,
    /// What proves accounts that theirs has absorbed.
    pub(crate) absorbed: Vec<Vec<Box<[u8]>>>,
}

/// A tag that only two devices can make, for one direction of one link.
fn tag(key: &Secret<32>, sender: &[u8], receiver: &[u8]) -> [u8; TAG_BYTES] {
    let mut message = Vec::with_capacity(160);
    for part in [b"kith/hello/1".as_slice(), sender, receiver] {
        message.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        message.extend_from_slice(part);
    }
    let hash = crypto::keyed_hash(key, &message);
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(hash.split_at(TAG_BYTES).0);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;
    const HOUR_MS: u64 = 60 * 60 * 1000;

    fn identity(seed: u8) -> Identity {
        let key = |n: u8| SigningKey::from_seed(&[n; 32]);
        let account = Account::create(&key(seed), &key(seed + 1), &key(seed + 2), [0; 32]);
        Identity { account, device: key(seed + 1) }
    }

    /// Bob's end of a link on which he has recognised alice, and her end.
    fn recognised(alice: &Identity, bob: &Identity) -> (Link, Link) {
        let end =
            |own: &[u8], peer: &[u8]| Link::new(own.into(), peer.into(), Uptime::from_millis(0));
        let (alices, mut bobs) = (end(b"a", b"b"), end(b"b", b"a"));
        bobs.recognised = Some(alice.device.device());
        assert!(bob.account.has(bob.device.device()));
        (bobs, alices)
    }

    /// What bob makes of alice's certificate when her clock is this much ahead of his.
    fn check(ahead_ms: i64) -> Result<(), Refusal> {
        let (alice, bob) = (identity(1), identity(10));
        let (bobs, alices) = recognised(&alice, &bob);
        let hers = Timestamp::from_millis(NOW_MS.saturating_add_signed(ahead_ms));
        let Frame::Certificate { cert, proof, .. } = alices.certificate(&alice, &[], hers) else {
            panic!("not a certificate")
        };
        let proven = bobs.check_certificate(&cert, &proof, Timestamp::from_millis(NOW_MS));
        proven.map(|(device, _)| assert_eq!(device, alice.device.device()))
    }

    #[test]
    fn clocks_may_differ_by_two_days_either_way() {
        let hours = |hours: i64| hours * i64::try_from(HOUR_MS).unwrap();
        for fine in [hours(-48), hours(-30), 0, hours(25), hours(48)] {
            assert_eq!(check(fine), Ok(()), "{fine} ms ahead");
        }
        for (wrong, days) in [
            (hours(-48) - 1, 2),
            (hours(48) + 1, 2),
            (hours(60), 3),
            (hours(24 * 400), 400),
            (hours(-24 * 400), 400),
        ] {
            assert_eq!(check(wrong), Err(Refusal::ClocksApart { days }), "{wrong} ms ahead");
        }
        assert!(check_clock(u64::MAX, 0).is_err());
    }
}
