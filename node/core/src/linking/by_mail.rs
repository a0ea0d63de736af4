//! How does a device join while the other one is not there? It writes into the queue of the code and
//! looks into one of its own, at the same server; both may be switched off in between (spec 08).

use std::collections::BTreeSet;

use kith_common::{
    account::Account,
    codec::{DecodeError, Reader, Writer},
    envelope::{Payload, Signed, sign},
    frame::{Frame, read_proof, write_proof},
    ids::{AccountId, DeviceId},
    keys::SigningKey,
    limits::{
        BLOB_BYTES_MAX, LINK_ACCEPT_BYTES_MAX, LINK_CODE_CHARS_MAX, LINK_MESSAGE_BYTES_MAX,
        LINK_OFFER_BYTES_MAX, PACKAGE_BYTES_MAX,
    },
    linking::{CodeMail, JoinRequest, LinkCode, LinkOffer},
    mail::{Card, QueueAddress, QueueSeed, Sealed},
    service::{
        Code, Stamp,
        mailbox::{Close, Fetch, Fetched, Incarnation, Item, Open, Opened, Operation, PutBody},
    },
    time::{Timestamp, Uptime},
};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::{JoinStep, Joiner};
use crate::{
    engine::LinkId,
    limits::{
        LINK_AGAIN_MS_MIN, LINK_LOOK_MS, MAIL_LISTEN_MS, MAIL_RETRY_MS_MAX, MAIL_RETRY_MS_MIN,
        PACKAGE_MS, PACKAGE_SECRET_BYTES_MAX, QUEUE_BLOBS_MAX, QUEUE_BYTES_MAX,
    },
    mail::{self, Errand, ErrandError, ErrandId, blob_of, jittered, read_reply},
    mls::{self, Package, PackageSecret},
};

/// Why no joining by mail was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MailJoinError {
    /// The code names no queue.
    #[error("this code does not serve by mail: make one with `kith device link --by-mail`")]
    NoMail,
    /// Keys were not made, or nothing could be sealed to the code.
    #[error("the code is damaged: make a new one with `kith device link --by-mail`")]
    Seal,
}

/// With what a device that was taken in by mail goes on: it can be written to at once, and write.
#[derive(Debug)]
pub struct CameByMail {
    /// The account that has taken it in.
    pub account: AccountId,
    /// The device that did.
    pub host: DeviceId,
    /// Where that one can be written to until it has said otherwise.
    pub to: QueueAddress,
    /// The word that the server wants from who opens queues; may be empty.
    pub access: String,
    /// The key of the queue in which this device was answered.
    pub owner: SigningKey,
    /// The queue.
    pub reply: QueueAddress,
    /// What stands on its card.
    pub package: Package,
    /// When that was made.
    pub made: Timestamp,
}

/// A joiner with a queue of its own. It is to be saved before what it asks for is carried out.
#[derive(Debug)]
pub struct MailJoiner {
    joiner: Joiner,
    mail: CodeMail,
    owner: SigningKey,
    reply: QueueAddress,
    package: Package,
    made: Timestamp,
    /// What is to lie in the queue of the code.
    post: Box<[u8]>,

    // Of this run only:
    is_posted: bool,
    is_open: bool,
    starts_over: bool,
    incarnation: Option<Incarnation>,
    taken: BTreeSet<u64>,
    ahead_ms: i64,
    last_errand: u64,
    putting: Turn,
    looking: Turn,
    trouble: Option<String>,
}

/// When the next request is made about one of the two queues.
#[derive(Debug)]
struct Turn {
    errand: Option<(ErrandId, Operation)>,
    at: Uptime,
    wait_ms: u64,
}

impl Turn {
    const fn new() -> Self {
        Self { errand: None, at: Uptime::from_millis(0), wait_ms: MAIL_RETRY_MS_MIN }
    }

    fn is_due(&self, uptime: Uptime) -> bool {
        self.errand.is_none() && self.at <= uptime
    }

    const fn next(&mut self, at: Uptime) {
        (self.at, self.wait_ms) = (at, MAIL_RETRY_MS_MIN);
    }

    fn back_off(&mut self, uptime: Uptime, rng: &mut dyn CryptoRng) {
        self.at = uptime.plus_millis(jittered(self.wait_ms, rng));
        self.wait_ms = self.wait_ms.saturating_mul(2).min(MAIL_RETRY_MS_MAX);
    }

    fn ends(&mut self, id: ErrandId) -> Option<Operation> {
        self.errand.take_if(|(under_way, _)| *under_way == id).map(|(_, operation)| operation)
    }
}

impl MailJoiner {
    /// Makes a device that has read a code, with these keys or new ones; an account that it brings
    /// along is to go over into the one of the code.
    ///
    /// # Errors
    /// If the code names no queue or makes no sense.
    pub fn new(
        code: LinkCode,
        name: &str,
        old: Option<((SigningKey, SigningKey), Account)>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, MailJoinError> {
        let mail = code.mail.clone().ok_or(MailJoinError::NoMail)?;
        let CodeMail { queue: QueueAddress { url, days, .. }, .. } = &mail;
        let reply = QueueAddress { url: url.clone(), seed: QueueSeed::random(rng), days: *days };
        let owner = SigningKey::random(rng);
        let (keys, brings) = match old {
            Some((keys, account)) => (keys, Some(account)),
            None => ((SigningKey::random(rng), SigningKey::random(rng)), None),
        };
        let joiner = Joiner::with_keys((code, Some(reply.clone())), name, keys, brings, rng);
        let package = mls::make_package(&joiner.device, now, PACKAGE_MS, true, rng);
        let package = package.map_err(|_| MailJoinError::Seal)?;
        let hello = joiner.hello(rng).ok_or(MailJoinError::Seal)?;
        let post = blob_of(&mail.queue.seed, &hello, rng).ok_or(MailJoinError::Seal)?;
        Ok(Self::kept((joiner, mail), (owner, reply), (package, now), post))
    }

    fn kept(
        (joiner, mail): (Joiner, CodeMail),
        (owner, reply): (SigningKey, QueueAddress),
        (package, made): (Package, Timestamp),
        post: Box<[u8]>,
    ) -> Self {
        Self {
            joiner,
            mail,
            owner,
            reply,
            package,
            made,
            post,
            is_posted: false,
            is_open: false,
            starts_over: false,
            incarnation: None,
            taken: BTreeSet::new(),
            ahead_ms: 0,
            last_errand: 0,
            putting: Turn::new(),
            looking: Turn::new(),
            trouble: None,
        }
    }

    /// What to say on a link that is up, should the other device be there.
    pub fn hello(&self, rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        self.joiner.hello(rng)
    }

    /// What follows from a frame that came on a link; `None` if nothing does.
    pub fn handle_frame(
        &mut self,
        (link, bytes): (LinkId, &[u8]),
        uptime: Uptime,
        rng: &mut dyn CryptoRng,
    ) -> Option<JoinStep> {
        let step = self.joiner.handle(link, bytes, rng);
        self.put_next(step.as_ref(), uptime, rng);
        step
    }

    /// The code that was read.
    pub const fn code(&self) -> &LinkCode {
        &self.joiner.code
    }

    /// The number that both devices show, once there is one.
    pub fn check(&self) -> Option<&str> {
        self.joiner.check()
    }

    /// Whether the other device finds what it needs even if this one is switched off now.
    pub const fn is_posted(&self) -> bool {
        self.is_posted
    }

    /// What went wrong last with the mailbox.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// When [`poll`](Self::poll) has something to ask for.
    pub fn deadline(&self) -> Option<Uptime> {
        let turns = [&self.putting, &self.looking];
        turns.into_iter().filter(|turn| turn.errand.is_none()).map(|turn| turn.at).min()
    }

    /// Requests that are due.
    pub fn poll(
        &mut self,
        (now, uptime): (Timestamp, Uptime),
        rng: &mut dyn CryptoRng,
    ) -> Vec<Errand> {
        let mut due = Vec::new();
        if self.looking.is_due(uptime) {
            let stamp = self.stamp(now, rng);
            let (operation, body, wait_ms) = self.look(stamp, rng);
            let id = self.begin();
            self.looking.errand = Some((id, operation));
            due.push(self.errand(id, (operation, body, wait_ms), *self.owner.public()));
        }
        if self.is_open && self.putting.is_due(uptime) {
            let writer = self.mail.queue.seed.writer();
            let stamp = self.stamp(now, rng);
            let body = PutBody::signed(&writer, stamp, &self.post);
            let id = self.begin();
            self.putting.errand = Some((id, Operation::Put));
            due.push(self.errand(id, (Operation::Put, body, 0), *writer.public()));
        }
        due
    }

    /// The next request about the queue of this device.
    fn look(&self, stamp: Stamp, rng: &mut dyn CryptoRng) -> (Operation, Vec<u8>, u64) {
        if self.starts_over {
            return (Operation::Close, self.signed(Close { stamp }), 0);
        }
        if self.is_open {
            let delete = self.taken.iter().copied().collect();
            let fetch = Fetch { stamp, delete, wait_ms: MAIL_LISTEN_MS };
            return (Operation::Fetch, self.signed(fetch), MAIL_LISTEN_MS);
        }
        let card = Card { package: self.package.public.clone() };
        let open = Open {
            stamp,
            writer: *self.reply.seed.writer().public(),
            days: self.reply.days,
            blobs_max: QUEUE_BLOBS_MAX,
            bytes_max: QUEUE_BYTES_MAX,
            card: Some(self.reply.seed.seal_card(&card, rng).into()),
            access: Some(self.mail.access.clone()).filter(|word| !word.is_empty()),
        };
        (Operation::Open, self.signed(open), 0)
    }

    fn signed<T: Payload>(&self, request: T) -> Vec<u8> {
        sign(&self.owner, request).into_bytes().into()
    }

    const fn begin(&mut self) -> ErrandId {
        self.last_errand += 1;
        ErrandId(self.last_errand)
    }

    fn errand(
        &self,
        id: ErrandId,
        (operation, body, wait_ms): (Operation, Vec<u8>, u64),
        queue: [u8; 32],
    ) -> Errand {
        let url = self.reply.url.clone();
        Errand { id, url, operation, body, queue, wait_ms, own: true, overtakes: false }
    }

    fn stamp(&self, now: Timestamp, rng: &mut dyn CryptoRng) -> Stamp {
        mail::stamp(&self.reply.url, now.millis().saturating_add_signed(self.ahead_ms), rng)
    }

    /// A request was answered, or came to nothing.
    pub fn handle(
        &mut self,
        (id, reply): (ErrandId, Result<Vec<u8>, ErrandError>),
        (now, uptime): (Timestamp, Uptime),
        rng: &mut dyn CryptoRng,
    ) -> Option<JoinStep> {
        if self.putting.ends(id).is_some() {
            self.put_answered(reply, (now, uptime), rng);
            return None;
        }
        let answer = match self.looking.ends(id)? {
            Operation::Open => read_reply(reply, Opened::decode).map(|opened| {
                self.opened(opened.incarnation, uptime);
                None
            }),
            Operation::Close => reply.map(|_| {
                self.closed(uptime);
                None
            }),
            _ => {
                read_reply(reply, Fetched::decode).map(|fetched| self.fetched(fetched, uptime, rng))
            }
        };
        match answer {
            Ok(step) => {
                self.trouble = None;
                step
            }
            Err(error) => {
                if self.note(&error, now) == Some(Code::UnknownQueue) {
                    self.closed(uptime);
                } else {
                    self.looking.back_off(uptime, rng);
                }
                None
            }
        }
    }

    fn put_answered(
        &mut self,
        reply: Result<Vec<u8>, ErrandError>,
        (now, uptime): (Timestamp, Uptime),
        rng: &mut dyn CryptoRng,
    ) {
        match reply {
            Ok(_) => {
                self.is_posted = true;
                // It may be lost later: what lies there already is not stored twice.
                self.putting.wait_ms = self.putting.wait_ms.max(LINK_AGAIN_MS_MIN);
                self.putting.back_off(uptime, rng);
            }
            Err(error) => {
                self.is_posted = false;
                self.note(&error, now);
                self.putting.back_off(uptime, rng);
            }
        }
    }

    fn opened(&mut self, incarnation: Incarnation, uptime: Uptime) {
        self.is_open = true;
        self.looking.next(uptime);
        if self.incarnation.replace(incarnation).is_some_and(|before| before != incarnation) {
            // What was answered is gone: it is asked for again.
            self.taken.clear();
            self.putting.next(uptime);
        }
    }

    /// The queue is not there: it is made anew.
    fn closed(&mut self, uptime: Uptime) {
        (self.is_open, self.starts_over) = (false, false);
        self.taken.clear();
        self.looking.next(uptime);
    }

    fn fetched(
        &mut self,
        fetched: Fetched,
        uptime: Uptime,
        rng: &mut dyn CryptoRng,
    ) -> Option<JoinStep> {
        self.taken.clear();
        let (mut step, is_empty) = (None, fetched.items.is_empty());
        for Item { number, blob } in fetched.items {
            let content = blob.and_then(|blob| self.reply.seed.open_blob(&blob).ok());
            let content = content.unwrap_or_default();
            if let Ok(Some(frame)) = Frame::decode(&content) {
                let next = self.joiner.hear(None, &frame, rng);
                let is_joined = matches!(step, Some(JoinStep::Joined(_)));
                step = if is_joined { step } else { next.or(step) };
            } else if Sealed::decode(&content).is_ok() {
                // A letter is for the node that this device will be.
                continue;
            }
            self.taken.insert(number);
        }
        self.put_next(step.as_ref(), uptime, rng);
        // Letters may hide what is looked for.
        self.starts_over = fetched.more && self.taken.is_empty();
        let news = is_empty || !self.taken.is_empty() || self.starts_over;
        self.looking.next(if news { uptime } else { uptime.plus_millis(LINK_LOOK_MS) });
        step
    }

    /// The consent takes the place of the request.
    fn put_next(&mut self, step: Option<&JoinStep>, uptime: Uptime, rng: &mut dyn CryptoRng) {
        if let Some(JoinStep::Compare { frame, .. }) = step
            && let Some(post) = blob_of(&self.mail.queue.seed, frame, rng)
        {
            (self.post, self.is_posted) = (post, false);
            // An answer that is still to come is about something else.
            self.putting.errand = None;
            self.putting.next(uptime);
        }
    }

    /// Takes note of what went wrong. Returns the refusal, if it is one.
    fn note(&mut self, error: &ErrandError, now: Timestamp) -> Option<Code> {
        match error {
            ErrandError::Unreachable(why) => {
                self.trouble = Some(why.clone());
                None
            }
            ErrandError::Refused(failure) => {
                if let (Code::Stale, Some(theirs)) = (failure.code, failure.value) {
                    let ahead = i128::from(theirs) - i128::from(now.millis());
                    self.ahead_ms = i64::try_from(ahead).unwrap_or(0);
                }
                self.trouble = Some(failure.sentence.clone().into_owned());
                Some(failure.code)
            }
        }
    }

    /// The account has taken the device in: its keys, and with what it goes on.
    pub fn into_parts(self) -> Option<((SigningKey, SigningKey), CameByMail)> {
        let Self { joiner, mail, owner, reply, package, made, .. } = self;
        let offered = joiner.offered.as_ref()?;
        let offer = Signed::<LinkOffer>::decode(&offered.envelope).ok()?;
        let (account, host) = (offer.claim().account, offered.host);
        let CodeMail { queue: to, access } = mail;
        let came = CameByMail { account, host, to, access, owner, reply, package, made };
        Some((joiner.into_keys(), came))
    }

    /// Everything that must survive; as secret as the device.
    ///
    /// # Errors
    /// If the package cannot be written.
    pub fn save(&self) -> Result<Zeroizing<Vec<u8>>, mls::MlsError> {
        let secret = self.package.secret.to_bytes()?;
        let Joiner { code, device, authority, opening, request, offered, brings, .. } =
            &self.joiner;
        let mut writer = Writer::new();
        writer.array(12).uint(1).text(&code.encode());
        for key in [device, authority, &self.owner] {
            key.expose_seed(|seed| {
                writer.bytes(seed);
            });
        }
        writer.bytes(opening).bytes(request.bytes());
        match offered {
            Some(offered) => {
                writer.array(2).bytes(&offered.envelope).bytes(&offered.accept);
            }
            None => drop(writer.array(0)),
        }
        write_proof(&mut writer, brings.as_ref().map_or(&[], Account::proof));
        writer.array(3).bytes(&self.package.public).bytes(&secret).uint(self.made.millis());
        writer.bytes(&self.post).bool(self.is_posted);
        Ok(Zeroizing::new(writer.finish()))
    }

    /// What was saved.
    ///
    /// # Errors
    /// If it is something else.
    pub fn load(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.tuple("joining", 12)?;
            reader.uint_max("version", 1)?;
            let code = LinkCode::decode(reader.text("code", LINK_CODE_CHARS_MAX)?)
                .map_err(|_| DecodeError::Value("code"))?;
            let mail = code.mail.clone().ok_or(DecodeError::Value("code"))?;
            let keys = (read_key(reader)?, read_key(reader)?);
            let owner = read_key(reader)?;
            let opening = reader.fixed("opening")?;
            let damaged = |_| DecodeError::Value("request");
            let request = reader.bytes("request", LINK_MESSAGE_BYTES_MAX)?;
            let request = Signed::<JoinRequest>::decode(request)?.verify().map_err(damaged)?;
            let reply = request.value().reply.clone().ok_or(DecodeError::Value("request"))?;
            let offered = match reader.array("offer", 2)? {
                0 => None,
                2 => Some((
                    reader.bytes("offer", LINK_OFFER_BYTES_MAX)?,
                    reader.bytes("accept", LINK_ACCEPT_BYTES_MAX)?,
                )),
                _ => return Err(DecodeError::Value("offer")),
            };
            let proof = read_proof(reader)?;
            let brings = match proof.is_empty() {
                true => None,
                false => Some(Account::fold(&proof).map_err(|_| DecodeError::Value("account"))?),
            };
            let mut joiner = Joiner::kept(code, keys, opening, request, brings);
            if let Some((offer, accept)) = offered {
                let offer = joiner.fitting(offer).ok_or(DecodeError::Value("offer"))?;
                joiner.take_offer(None, &offer, accept.into());
            }
            reader.tuple("package", 3)?;
            let public = reader.bytes("package", PACKAGE_BYTES_MAX)?.into();
            let secret = reader.bytes("secret", PACKAGE_SECRET_BYTES_MAX)?;
            let secret =
                PackageSecret::from_bytes(secret).map_err(|_| DecodeError::Value("secret"))?;
            let package = (Package { public, secret }, Timestamp::from_millis(reader.uint()?));
            let post = reader.bytes("post", BLOB_BYTES_MAX)?.into();
            let is_posted = reader.bool()?;
            let kept = Self::kept((joiner, mail), (owner, reply), package, post);
            Ok(Self { is_posted, ..kept })
        })
    }
}

fn read_key(reader: &mut Reader<'_>) -> Result<SigningKey, DecodeError> {
    let mut seed: [u8; 32] = reader.fixed("key")?;
    let key = SigningKey::from_seed(&seed);
    seed.zeroize();
    Ok(key)
}
