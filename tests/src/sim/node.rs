//! What is one device? A real engine, a store that survives, a clock that may be wrong.

use std::collections::BTreeMap;

use kith_common::{
    account::Account,
    entry::{Entry, EntryKind},
    envelope::Signed,
    ids::{AccountId, DeviceId, LogId},
    keys::SigningKey,
    time::{Timestamp, Uptime},
};
use kith_core::{
    engine::{Context, Engine, Identity, Input, LinkId, Output},
    linking::{Joiner, MailJoiner},
    store::{AuthorNumber, EntryRow, LogNumber, Place, Store, memory::MemoryStore},
};
use rand_chacha::ChaCha8Rng;

use super::{
    BEGIN_MS,
    people::{Person, Role, key_seed},
};

/// More logs and authors than any simulated node has.
const NUMBERS: u16 = 80;

/// What a device's keys follow from.
struct Keys {
    device: [u8; 32],
    authority: [u8; 32],
}

impl Keys {
    fn device(&self) -> SigningKey {
        SigningKey::from_seed(&self.device)
    }
}

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "keys of {:?}", self.device().device())
    }
}

/// A device of a person.
#[derive(Debug)]
pub struct Node {
    /// `alice.phone` or the like.
    pub name: String,
    /// Whose device it is.
    pub person: usize,
    /// Whether nobody has tampered with it.
    pub honest: bool,
    /// The engine while the node runs.
    pub engine: Option<Engine>,
    /// What survives.
    pub store: MemoryStore,
    /// How far the device's clock is ahead of the true time.
    pub skew_ms: i64,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) inbox: Vec<Input>,
    /// Whether somebody wants it to run.
    pub(crate) wanted: bool,
    pub(crate) connected: bool,
    pub(crate) started_ms: u64,
    /// How often it has moved.
    pub(crate) place: u64,
    pub(crate) wake_at_ms: Option<u64>,
    pub(crate) next_link: u64,
    /// Which wire and end a link is.
    pub(crate) links: BTreeMap<LinkId, (usize, usize)>,
    proven: Account,
    keys: Keys,
    /// A device that has read a code and is not yet taken in.
    pub(crate) joiner: Option<Joiner>,
    /// A device that has read a code by mail, while it runs.
    pub(crate) mail_joiner: Option<MailJoiner>,
    /// What survives of it when it is switched off.
    pub(crate) joining: Vec<u8>,
    /// Where its code said that other devices are: told whenever it starts, as a home keeps it until
    /// its node has it.
    pub(crate) code_places: Vec<String>,
    /// Whether its account is to go over once the device has been taken in, and the key by which;
    /// without one the program ends before it comes so far.
    pub(crate) merges_by: Option<Option<SigningKey>>,
    pub(crate) rng: ChaCha8Rng,
    /// How many entries of each chain have been looked at, and the number of the last one.
    seen: BTreeMap<(u32, u16), (u64, u64)>,
}

impl Node {
    pub(crate) fn new(person: &Person, number: usize, device: usize, rng: ChaCha8Rng) -> Self {
        let keys = Keys {
            device: key_seed(person.seed, number, Role::Device(device)),
            authority: key_seed(person.seed, number, Role::Authority(device)),
        };
        let kind = ["phone", "tablet", "laptop", "watch"];
        Self {
            name: format!("{}.{}", person.name, kind[device % kind.len()]),
            person: number,
            honest: true,
            engine: None,
            store: MemoryStore::new(),
            skew_ms: 0,
            account: person.account.id(),
            device: keys.device().device(),
            inbox: Vec::new(),
            wanted: true,
            connected: true,
            started_ms: 0,
            place: 0,
            wake_at_ms: None,
            next_link: 0,
            links: BTreeMap::new(),
            proven: person.account.clone(),
            keys,
            joiner: None,
            mail_joiner: None,
            joining: Vec::new(),
            code_places: Vec::new(),
            merges_by: None,
            rng,
            seen: BTreeMap::new(),
        }
    }

    /// The device's key, for those who misuse it.
    pub fn key(&self) -> SigningKey {
        self.keys.device()
    }

    /// The device's authority key, for those who know the passphrase.
    pub fn authority(&self) -> SigningKey {
        SigningKey::from_seed(&self.keys.authority)
    }

    /// The device has keys of its own, and an account that has taken it in.
    pub(crate) fn take_keys(&mut self, device: &SigningKey, authority: &SigningKey) {
        let (device, authority) =
            (device.expose_seed(|seed| *seed), authority.expose_seed(|seed| *seed));
        self.keys = Keys { device, authority };
        self.device = self.keys.device().device();
    }

    /// What the node takes its account to be when it starts for the first time.
    pub(crate) fn prove(&mut self, account: Account) {
        self.proven = account;
    }

    /// Whether the engine runs.
    pub const fn is_running(&self) -> bool {
        self.engine.is_some()
    }

    /// Whether the node can be reached by others.
    pub(crate) const fn is_there(&self) -> bool {
        self.engine.is_some() || self.joiner.is_some()
    }

    /// The engine.
    ///
    /// # Panics
    /// If the node does not run.
    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the node runs")
    }

    /// How many links the node has had.
    pub const fn next_link_number(&self) -> u64 {
        self.next_link
    }

    /// What the device takes for the time.
    pub const fn clock(&self, now_ms: u64) -> Timestamp {
        Timestamp::from_millis((BEGIN_MS + now_ms).saturating_add_signed(self.skew_ms))
    }

    /// Opens the engine from what survived.
    ///
    /// # Panics
    /// If the store cannot be read.
    pub fn start(&mut self, now_ms: u64) {
        self.started_ms = now_ms;
        self.wake_at_ms = None;
        let me = Identity { account: self.proven.clone(), device: self.key() };
        let mut cx = Context {
            now: self.clock(now_ms),
            uptime: Uptime::from_millis(0),
            rng: &mut self.rng,
            store: &mut self.store,
            out: &mut Vec::new(),
        };
        let name = self.name.split('.').next().unwrap_or_default();
        let engine = Engine::open(me, name, &mut cx).expect("the store can be read");
        self.store.commit();
        self.engine = Some(engine);
    }

    pub(crate) fn stop(&mut self) {
        self.engine = None;
        self.mail_joiner = None;
        self.inbox.clear();
        self.wake_at_ms = None;
    }

    /// Handles inputs that came together without committing.
    pub(crate) fn handle(&mut self, inputs: Vec<Input>, now_ms: u64) -> Vec<Output> {
        let mut out = Vec::new();
        let now = self.clock(now_ms);
        let Some(engine) = &mut self.engine else { return out };
        let mut cx = Context {
            now,
            uptime: Uptime::from_millis(now_ms - self.started_ms),
            rng: &mut self.rng,
            store: &mut self.store,
            out: &mut out,
        };
        engine.handle_all(&mut cx, inputs).expect("nothing a peer does breaks the store");
        out
    }

    /// When the engine wants to be woken, in the world's time.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        let (at, _) = self.engine.as_ref()?.deadline()?;
        Some(self.started_ms + at.millis())
    }

    /// Entries that were committed since this was asked last, in the order of the store.
    pub(crate) fn new_rows(&mut self) -> Vec<EntryRow> {
        let before: u64 = self.seen.values().map(|(count, _)| count).sum();
        let count = self.store.entry_count() as u64;
        assert!(count >= before, "{}: committed entries are gone", self.name);
        let mut rows = Vec::new();
        if count == before {
            return rows;
        }
        for (log, author) in (0..NUMBERS).flat_map(|log| (0..24).map(move |author| (log, author))) {
            let seen = self.seen.entry((u32::from(log), author)).or_default();
            let from = Place {
                log: LogNumber(u32::from(log)),
                author: AuthorNumber(author),
                seq: seen.1 + 1,
            };
            let new = self.store.chain(from, usize::MAX).expect("memory can be read");
            seen.0 += new.len() as u64;
            seen.1 = new.last().map_or(seen.1, |row| row.place.seq);
            rows.extend(new);
        }
        rows.sort_by_key(|row| row.position);
        let after: u64 = self.seen.values().map(|(count, _)| count).sum();
        assert_eq!(after, count, "{}: entries beyond the numbers looked at", self.name);
        rows
    }

    /// How many entries are stored beside those of the self log.
    pub fn talk_count(&self) -> usize {
        let own = LogId::own(self.account);
        let rows = self.all_rows();
        let log = |row: &EntryRow| Signed::<Entry>::decode(&row.envelope).map(|e| e.claim().log);
        rows.iter().filter(|row| log(row) != Ok(own)).count()
    }

    /// How many texts are stored.
    pub fn bodies(&self) -> usize {
        let rows = self.all_rows();
        let kind = |row: &EntryRow| Signed::<Entry>::decode(&row.envelope).map(|e| e.claim().kind);
        let text = |row: &&EntryRow| kind(row) == Ok(EntryKind::TEXT) && row.body.bytes().is_some();
        rows.iter().filter(text).count()
    }

    /// How many logs have entries, at least one.
    pub(crate) fn store_logs(&self) -> usize {
        let logs = self.seen.iter().filter(|((_, author), (count, _))| *author == 0 && *count > 0);
        logs.count() + 1
    }

    /// All committed entries, in the order of the store.
    pub fn all_rows(&self) -> Vec<EntryRow> {
        let logs = (0..u32::from(NUMBERS)).map(LogNumber);
        logs.flat_map(|log| {
            let mut rows = self.store.newest(log, None, usize::MAX).expect("memory can be read");
            rows.reverse();
            rows
        })
        .collect()
    }
}
