//! What can those sign who have a key? Entries, frontiers, greetings: true ones and false ones.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::TransportCert,
    crypto,
    entry::{Entry, EntryKind, Mark, Text, hash_body},
    envelope::{Signed, sign},
    frame::{CarriedEntry, ContactRequest, Frame, TAG_BYTES},
    frontier::Frontier,
    ids::{AccountId, DeviceId, EntryId, LogId},
    keys::SigningKey,
    limits::{BODY_BYTES_MAX, BODY_SALT_BYTES, PARENTS_MAX, SEQ_MAX},
    time::{Hlc, Timestamp},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::operation::{EntryPlan, MarkPlan};
use crate::{
    cast::{CAST, Person},
    envelope::{unsigned, with_header},
};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const NOWHERE: EntryId = EntryId::from_bytes([0x77; 32]);
/// Devices that can sign, by number.
const DEVICES: u8 = 5;

/// Transport ids of a link: Alice's and the other end's.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    pub(super) own: Box<[u8]>,
    pub(super) peer: Box<[u8]>,
}

/// A device that can sign.
#[derive(Clone, Copy)]
pub(super) struct Device {
    pub(super) person: &'static Person,
    pub(super) key: &'static SigningKey,
}

/// Bob's phone and tablet, Alice's tablet, Mallory's phone, and the phone under test itself.
pub(super) fn device(number: u8) -> Device {
    let cast = &*CAST;
    let (person, at) = match number % DEVICES {
        0 => (&cast.bob, 0),
        1 => (&cast.bob, 1),
        2 => (&cast.alice, 1),
        3 => (&cast.mallory, 0),
        _ => (&cast.alice, 0),
    };
    Device { person, key: &person.devices[at] }
}

pub(super) fn log_with(person: &Person) -> LogId {
    LogId::direct(CAST.alice.id(), person.id())
}

/// An entry that exists.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) log: LogId,
    pub(super) mark: Mark,
    pub(super) depth: u64,
    pub(super) carried: CarriedEntry,
}

/// Who an entry claims to be by, and whether that is certain.
#[derive(Debug, Clone)]
struct Claim {
    log: LogId,
    device: DeviceId,
    prev: Option<EntryId>,
    holds: bool,
}

/// Everything that was signed.
#[derive(Debug, Default)]
pub(super) struct Forge {
    pub(super) known: Vec<Known>,
    claims: BTreeMap<EntryId, Claim>,
}

impl Forge {
    fn last(&self, log: LogId, device: DeviceId) -> Option<&Known> {
        self.known.iter().rev().find(|known| known.log == log && known.mark.device == device)
    }

    fn at(&self, log: LogId, device: DeviceId, seq: u64) -> Option<&Known> {
        self.known
            .iter()
            .rev()
            .find(|known| known.log == log && known.mark.device == device && known.mark.seq == seq)
    }

    /// Signs an entry.
    pub(super) fn entry(&mut self, plan: &EntryPlan, now: Timestamp) -> (LogId, CarriedEntry) {
        let Device { person, key } = device(plan.device);
        let flawed = |bit: u8| plan.flaws & bit != 0;
        let mallorys = flawed(64) || person.id() == CAST.mallory.id();
        let log = log_with(if mallorys { &CAST.mallory } else { &CAST.bob });
        let last = self.last(log, key.device()).map_or(0, |known| known.mark.seq);
        let seq = match plan.seq {
            0..=0x9f => last + 1,
            0xa0..=0xaf => last.max(1),
            0xb0..=0xbf => 1,
            0xc0..=0xef => last + 2 + u64::from(plan.seq & 15),
            _ => SEQ_MAX - u64::from(plan.seq & 15),
        };
        let (prev, below) = self.before(log, key.device(), seq, plan.prev);
        let (parents, beside) = self.parents(log, key.device(), plan.parents);
        let body = self.body(plan.body);
        let entry = Entry {
            log: if flawed(2) { LogId::from_bytes([plan.flaws; 32]) } else { log },
            account: if flawed(4) { CAST.carol.id() } else { person.id() },
            seq,
            prev,
            parents,
            depth: match plan.depth {
                0..=0xbf => 1 + below.max(beside),
                0xc0..=0xdf => u64::from(plan.depth & 31),
                _ => SEQ_MAX - u64::from(plan.depth & 31),
            },
            hlc: clock(plan.hlc, now),
            account_head: person.account.head(),
            kind: if plan.kind < 0xc0 { EntryKind::TEXT } else { EntryKind(plan.kind) },
            body_hash: if flawed(32) { [plan.flaws; 32] } else { hash_body(&body) },
            body_bytes: body.len() as u64,
        };
        let depth = entry.depth;
        let log_signed = entry.log;
        let mut envelope = sign(key, entry).into_bytes().into_vec();
        if flawed(1) {
            *envelope.last_mut().expect("an envelope is not empty") ^= 1;
        }
        if flawed(8) {
            envelope = with_header(&envelope, &[0xa1, 0x18, 0x80, 0x00]);
        }
        let id = EntryId::of(&envelope);
        let body = (!flawed(16)).then(|| body.into());
        let carried = CarriedEntry { envelope: envelope.into(), body };
        let mark = Mark { device: key.device(), seq, id };
        let known = Known { log: log_signed, mark, depth, carried: carried.clone() };
        self.keep(known, prev, !flawed(1));
        (log, carried)
    }

    fn before(&self, log: LogId, device: DeviceId, seq: u64, plan: u8) -> (Option<EntryId>, u64) {
        let before = seq.checked_sub(1).and_then(|seq| self.at(log, device, seq));
        let depth = before.map_or(0, |known| known.depth);
        let id = match plan {
            0..=0xdf => before.map_or(NOWHERE, |known| known.mark.id),
            0xe0..=0xef => self.pick(plan).map_or(NOWHERE, |known| known.mark.id),
            _ => NOWHERE,
        };
        ((seq > 1).then_some(id), depth)
    }

    fn parents(&self, log: LogId, own: DeviceId, plan: u8) -> (Vec<Mark>, u64) {
        let mut parents = BTreeMap::new();
        let mut deepest = 0;
        for number in (0..DEVICES).filter(|number| plan & (1 << number) != 0) {
            let other = device(number).key.device();
            let found = if plan & 32 != 0 { self.at(log, other, 1) } else { self.last(log, other) };
            let Some(found) = found.filter(|_| other != own || plan & 128 != 0) else { continue };
            let mut mark = found.mark;
            if plan & 64 != 0 {
                mark.id = NOWHERE;
            }
            parents.insert(other, mark);
            deepest = deepest.max(found.depth);
        }
        (parents.into_values().take(PARENTS_MAX).collect(), deepest)
    }

    fn body(&self, plan: u8) -> Vec<u8> {
        let text = |text: String, reply_to| Text { text, reply_to }.encode([plan; BODY_SALT_BYTES]);
        match plan % 8 {
            1 if plan > 0xf0 => vec![plan; BODY_BYTES_MAX],
            1 => text("long ".repeat(usize::from(plan)), None),
            2 => [plan; 40].to_vec(),
            3 => text("an answer".to_owned(), self.pick(plan).map(|known| known.mark.id)),
            4 => vec![plan; usize::from(plan) % BODY_SALT_BYTES],
            5 => {
                let mut body = vec![plan; BODY_SALT_BYTES];
                body.extend_from_slice(&[0xa2, 0x00, 0x61, b'x', 0x18, 0x80, 0x00]);
                body
            }
            6 => text(String::new(), None),
            7 => text("an answer to nothing".to_owned(), Some(NOWHERE)),
            _ => text(format!("text {plan}"), None),
        }
    }

    /// An entry that was not made here exists.
    pub(super) fn learn(&mut self, known: Known) {
        if self.claims.contains_key(&known.mark.id) {
            self.known.push(known);
            return;
        }
        let signed = Signed::<Entry>::decode(&known.carried.envelope);
        let signed = signed.expect("what is stored is well-formed");
        let (prev, holds) = (signed.claim().prev, signed.signature_holds());
        self.keep(known, prev, holds);
    }

    /// An entry exists that no event announces.
    pub(super) fn silent(&mut self, signed: &Signed<Entry>) {
        let (entry, device) = (signed.claim(), DeviceId::from_bytes(*signed.signer()));
        let holds = signed.signature_holds();
        let claim = Claim { log: entry.log, device, prev: entry.prev, holds };
        self.claims.insert(signed.id(), claim);
    }

    fn keep(&mut self, known: Known, prev: Option<EntryId>, holds: bool) {
        let claim = Claim { log: known.log, device: known.mark.device, prev, holds };
        self.claims.insert(known.mark.id, claim);
        self.known.push(known);
    }

    /// Entries that are certain by their own signature or by an entry that is (spec 03 R4).
    pub(super) fn authentic(&self) -> BTreeSet<EntryId> {
        let holds = self.claims.iter().filter(|(_, claim)| claim.holds);
        let mut rest: Vec<EntryId> = holds.map(|(id, _)| *id).collect();
        let mut authentic = BTreeSet::new();
        while let Some(id) = rest.pop() {
            let Some(claim) = self.claims.get(&id).filter(|_| authentic.insert(id)) else {
                continue;
            };
            let named = claim.prev.and_then(|prev| Some((prev, self.claims.get(&prev)?)));
            let own =
                named.filter(|(_, named)| (named.device, named.log) == (claim.device, claim.log));
            rest.extend(own.map(|(prev, _)| prev));
        }
        authentic
    }

    /// Any entry that exists.
    pub(super) fn pick(&self, number: u8) -> Option<&Known> {
        let index = usize::from(number).checked_rem(self.known.len())?;
        self.known.iter().rev().nth(index)
    }

    /// A chain behind what a device has written; only the last entry may be signed. The first one
    /// is kept back.
    pub(super) fn flood(
        &mut self,
        number: u8,
        count: u16,
        signed: bool,
    ) -> (LogId, Vec<CarriedEntry>) {
        let Device { person, key } = device(number);
        let mallorys = person.id() == CAST.mallory.id();
        let log = log_with(if mallorys { &CAST.mallory } else { &CAST.bob });
        let last = self.last(log, key.device());
        let first = last.map_or(0, |known| known.mark.seq) + 1;
        let mut prev = last.map(|known| known.mark.id);
        let below = last.map_or(0, |known| known.depth);
        let mut entries = Vec::new();
        for seq in first..first + u64::from(count) + 1 {
            let entry = Entry {
                log,
                account: person.id(),
                seq,
                prev: prev.filter(|_| seq > 1),
                parents: Vec::new(),
                depth: below + 1 + (seq - first),
                hlc: Hlc::ZERO,
                account_head: person.account.head(),
                kind: EntryKind::TEXT,
                body_hash: [0; 32],
                body_bytes: 0,
            };
            let holds = signed && seq == first + u64::from(count);
            let claim = Claim { log, device: key.device(), prev: entry.prev, holds };
            let envelope: Box<[u8]> = if holds {
                sign(key, entry).into_bytes()
            } else {
                unsigned(key.public(), &entry).into()
            };
            let id = EntryId::of(&envelope);
            self.claims.insert(id, claim);
            prev = Some(id);
            entries.push(CarriedEntry { envelope, body: None });
        }
        (log, entries)
    }

    /// Signs a frontier.
    pub(super) fn frontier(
        &self,
        number: u8,
        manner: u8,
        received: &[MarkPlan],
        read: &[MarkPlan],
    ) -> Frame {
        let Device { person, key } = device(number);
        let mallorys = manner & 2 != 0 || person.id() == CAST.mallory.id();
        let log = if manner & 4 == 0 {
            log_with(if mallorys { &CAST.mallory } else { &CAST.bob })
        } else {
            LogId::from_bytes([manner; 32])
        };
        let frontier = Frontier { log, received: self.marks(received), read: self.marks(read) };
        let envelope = sign(key, frontier).into_bytes();
        let frontiers = vec![envelope; 1 + usize::from(manner >> 6)];
        Frame::Frontiers { ask: manner & 1 != 0, frontiers }
    }

    fn marks(&self, plans: &[MarkPlan]) -> Vec<Mark> {
        let mut marks = BTreeMap::new();
        for plan in plans {
            let Some(known) = self.pick(plan.entry) else { continue };
            let mut mark = known.mark;
            match plan.flaws {
                0..=0xbf => {}
                0xc0..=0xcf => mark.id = NOWHERE,
                0xd0..=0xdf => mark.seq = (mark.seq + u64::from(plan.flaws & 15)).min(SEQ_MAX),
                0xe0..=0xef => mark.seq = SEQ_MAX,
                _ => mark.device = DeviceId::from_bytes([plan.flaws; 32]),
            }
            marks.insert(mark.device, mark);
        }
        marks.into_values().collect()
    }
}

fn clock(plan: u8, now: Timestamp) -> Hlc {
    let some = u64::from(plan & 31);
    match plan {
        0..=0x9f => Hlc::at(now),
        0xa0..=0xbf => Hlc::at(Timestamp::from_millis(now.millis() - some * MINUTE_MS)),
        0xc0..=0xdf => Hlc::at(now.plus_millis(some * HOUR_MS)),
        _ => Hlc::from_bits(u64::MAX >> (2 * some)),
    }
}

/// A hello with the tag that a device sends to Alice's phone (spec 05 R6), among others.
pub(super) fn hello(number: u8, others: u8, ends: &Ends) -> Frame {
    let sender = device(number).key;
    let mut tags = vec![[others; TAG_BYTES]; usize::from(others)];
    if let Ok(keys) = sender.pair_keys(CAST.alice.devices[0].device()) {
        let mut message = Vec::new();
        for part in [b"kith/hello/1".as_slice(), &ends.peer, &ends.own] {
            message.push(u8::try_from(part.len()).expect("transport ids are short"));
            message.extend_from_slice(part);
        }
        let hash = crypto::keyed_hash(&keys.send, &message);
        tags.push(*hash.first_chunk().expect("a hash is longer than a tag"));
    }
    Frame::Hello { tags }
}

/// A device's certificate for a link.
pub(super) fn certificate(number: u8, flaws: u8, ends: &Ends, now: Timestamp) -> Frame {
    let Device { person, key } = device(number);
    let flawed = |bit: u8| flaws & bit != 0;
    let cert = TransportCert {
        transport: if flawed(1) { ends.own.clone() } else { ends.peer.clone() },
        audience: if flawed(2) { ends.peer.clone() } else { ends.own.clone() },
        not_after: if flawed(4) { u64::MAX >> (flaws >> 3) } else { now.millis() + HOUR_MS },
    };
    let mut cert = sign(key, cert).into_bytes();
    if flawed(8) {
        let at = usize::from(flaws) % cert.len();
        cert[at] ^= 1;
    }
    Frame::Certificate { cert, proof: proof(person, flaws), addresses: addresses(flaws >> 4) }
}

/// A sealed contact request to Alice's phone.
pub(super) fn request(number: u8, flaws: u8, text: &str, ends: &Ends) -> Option<Frame> {
    let Device { person, key } = device(number);
    let flawed = |bit: u8| flaws & bit != 0;
    let name: String = text.chars().take(16).collect();
    let request = ContactRequest {
        to_account: if flawed(1) { person.id() } else { CAST.alice.id() },
        to_device: CAST.alice.devices[usize::from(flawed(2))].device(),
        transport: if flawed(4) { ends.own.clone() } else { ends.peer.clone() },
        audience: ends.own.clone(),
        proof: proof(person, flaws),
        name,
        greeting: text.chars().take(256).collect(),
        addresses: addresses(flaws >> 4),
        absorbed: vec![],
    };
    let mut rng = ChaCha8Rng::seed_from_u64(u64::from(flaws));
    let signed = sign(key, request);
    let to = CAST.alice.devices[0].device();
    let sealed = crypto::seal_to(&mut rng, to, signed.bytes()).ok()?;
    Some(Frame::Request { sealed: sealed.into() })
}

/// A person's proof: whole, cut short, doubled, or another's.
fn proof(person: &Person, flaws: u8) -> Vec<Box<[u8]>> {
    let whole = person.account.proof();
    match flaws >> 5 {
        1 => whole[..1].to_vec(),
        2 => [whole, &whole[1..]].concat(),
        3 => CAST.carol.account.proof().to_vec(),
        4 => Vec::new(),
        _ => whole.to_vec(),
    }
}

pub(super) fn addresses(count: u8) -> Vec<String> {
    (0..count).map(|n| format!("/ip4/127.0.0.1/tcp/{n}")).collect()
}

/// The person with a number.
pub(super) fn person(number: u8) -> &'static Person {
    match number % 4 {
        0 => &CAST.bob,
        1 => &CAST.mallory,
        2 => &CAST.carol,
        _ => &CAST.alice,
    }
}

/// The account that a device of the cast speaks for.
pub(super) fn account_of(device: DeviceId) -> Option<AccountId> {
    let everybody = [&CAST.alice, &CAST.bob, &CAST.carol, &CAST.mallory];
    everybody.into_iter().find(|person| person.account.has(device)).map(Person::id)
}
