//! How do two engines talk in a test that wants nothing else? A pair with a perfect link.

#![expect(clippy::expect_used, reason = "a harness tells what failed by panicking")]

use kith_common::{
    account::{Account, acknowledge},
    frame::{CarriedEntry, Frame},
    ids::{AccountId, LogId},
    keys::SigningKey,
    share::ContactCard,
    time::{Timestamp, Uptime},
};
use kith_core::{
    engine::{Command, CommandId, Context, Engine, Identity, Input, LinkId, Output},
    store::{LogNumber, Store, memory::MemoryStore},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// 2026-01-01T00:00:00Z in milliseconds.
const START: u64 = 1_767_225_600_000;

/// Ten thousand inputs a second: about what a busy engine handles.
const INPUTS_PER_MS: u64 = 10;

/// A store that takes transactions; both implementations do.
pub trait Transactions: Store {
    /// Begins a transaction.
    fn begin_transaction(&mut self);
    /// Keeps what was written.
    fn commit_transaction(&mut self);
}

impl Transactions for MemoryStore {
    fn begin_transaction(&mut self) {}

    fn commit_transaction(&mut self) {
        self.commit();
    }
}

impl Transactions for kith::sqlite::SqliteStore {
    fn begin_transaction(&mut self) {
        self.begin().expect("the store begins");
    }

    fn commit_transaction(&mut self) {
        self.commit().expect("the store commits");
    }
}

/// One engine with its store.
#[derive(Debug)]
pub struct Side<S> {
    /// The engine.
    pub engine: Engine,
    /// Its store.
    pub store: S,
    rng: ChaCha8Rng,
    now: u64,
    handled: u64,
}

/// A person whose keys come from one letter.
pub fn identity(name: u8) -> Identity {
    let key = |n: u8| SigningKey::from_seed(&[n; 32]);
    let account = Account::create(&key(name | 0x40), &key(name), &key(name | 0x80), [name; 32]);
    Identity { account, device: key(name) }
}

/// One account with two devices: an old one and one that has just come in.
pub fn devices() -> [Identity; 2] {
    let key = |n: u8| SigningKey::from_seed(&[n; 32]);
    let (recovery, phone, phones, tablet) = (key(0x31), key(0x32), key(0x33), key(0x34));
    let begun = Account::create(&recovery, &phone, &phones, [1; 32]);
    let (inviter, own) = (*phones.public(), *key(0x35).public());
    let ack = acknowledge(&tablet, inviter, own, [2; 32], begun.id());
    let add = begun.add_device(&phones, &ack).expect("the phone is settled");
    let account = begun.join(&[add]).expect("the proof holds");
    [phone, tablet].map(|device| Identity { account: account.clone(), device })
}

impl<S: Transactions> Side<S> {
    /// A node that has just started.
    pub fn new(name: u8, store: S) -> Self {
        Self::of(identity(name), store)
    }

    /// A device that has just started.
    pub fn of(identity: Identity, mut store: S) -> Self {
        let device = identity.device.device();
        let [a, b, c, d, ..] = *device.as_bytes();
        let mut rng = ChaCha8Rng::seed_from_u64(u32::from_be_bytes([a, b, c, d]).into());
        store.begin_transaction();
        let mut cx = Context {
            now: Timestamp::from_millis(START),
            uptime: Uptime::from_millis(0),
            rng: &mut rng,
            store: &mut store,
            out: &mut Vec::new(),
        };
        let engine = Engine::open(identity, "name", &mut cx).expect("a new store opens");
        store.commit_transaction();
        Self { engine, store, rng, now: START, handled: 0 }
    }

    /// Handles one input in its own transaction.
    pub fn handle(&mut self, input: Input) -> Vec<Output> {
        self.handle_all(vec![input])
    }

    /// Handles what came together in one transaction.
    pub fn handle_all(&mut self, inputs: Vec<Input>) -> Vec<Output> {
        self.store.begin_transaction();
        let before = self.handled / INPUTS_PER_MS;
        self.handled += inputs.len() as u64;
        self.now += self.handled / INPUTS_PER_MS - before;
        let mut out = Vec::new();
        let mut cx = Context {
            now: Timestamp::from_millis(self.now),
            uptime: Uptime::from_millis(self.now - START),
            rng: &mut self.rng,
            store: &mut self.store,
            out: &mut out,
        };
        self.engine.handle_all(&mut cx, inputs).expect("the store works");
        self.store.commit_transaction();
        out
    }

    /// Lets time pass; what is due then is done.
    pub fn pass(&mut self, ms: u64) -> Vec<Output> {
        self.now += ms;
        self.handle(Input::Tick)
    }

    /// Carries a command out.
    pub fn command(&mut self, command: Command) -> Vec<Output> {
        self.handle(Input::Command { id: CommandId(0), command })
    }

    /// Makes somebody a contact who has us as theirs too.
    pub fn befriend(&mut self, card: ContactCard) {
        self.befriend_as(card, "somebody");
    }

    /// The same, under a name.
    pub fn befriend_as(&mut self, card: ContactCard, name: &str) {
        let account = card.account.id();
        self.command(Command::AddContact {
            card: Box::new(card),
            name: Some(name.to_owned()),
            greeting: String::new(),
        });
        assert!(self.engine.contact(account).is_some(), "the contact is there");
    }

    /// Our account.
    pub fn account(&self) -> AccountId {
        self.engine.identity().account.id()
    }
}

/// Joins two nodes by a link and lets them talk until both are silent.
pub fn join<A: Transactions, B: Transactions>(a: &mut Side<A>, b: &mut Side<B>, link: LinkId) {
    let up = |own: &[u8], peer: &[u8]| Input::LinkUp {
        link,
        own_transport: own.into(),
        peer_transport: peer.into(),
        relayed: false,
    };
    let mut to_b = frames(a.handle(up(b"transport a", b"transport b")));
    let mut to_a = frames(b.handle(up(b"transport b", b"transport a")));
    talk(a, b, link, &mut to_a, &mut to_b);
}

/// Carries frames until none is under way.
pub fn talk<A: Transactions, B: Transactions>(
    a: &mut Side<A>,
    b: &mut Side<B>,
    link: LinkId,
    to_a: &mut Vec<Vec<u8>>,
    to_b: &mut Vec<Vec<u8>>,
) {
    while !to_a.is_empty() || !to_b.is_empty() {
        for bytes in std::mem::take(to_b) {
            to_a.extend(frames(b.handle(Input::Frame { link, bytes })));
        }
        // What is owed after a pause goes out too.
        to_a.extend(frames(b.pass(10)));
        for bytes in std::mem::take(to_a) {
            to_b.extend(frames(a.handle(Input::Frame { link, bytes })));
        }
        to_b.extend(frames(a.pass(10)));
    }
}

/// The frames among outputs.
pub fn frames(outputs: Vec<Output>) -> Vec<Vec<u8>> {
    outputs
        .into_iter()
        .filter_map(|output| match output {
            Output::Send { bytes, .. } => Some(bytes),
            _ => None,
        })
        .collect()
}

/// The conversation: a node's first log is its own, the second the one with its first contact.
pub const CONVERSATION: LogNumber = LogNumber(2);

/// All entries of the conversation, in order, cut into frames.
pub fn entry_frames<S: Transactions>(
    side: &Side<S>,
    with: AccountId,
    entries_per_frame: usize,
) -> Vec<Vec<u8>> {
    let log = LogId::direct(side.account(), with);
    let mut rows = side.store.newest(CONVERSATION, None, usize::MAX).expect("the store reads");
    rows.reverse();
    let carried: Vec<CarriedEntry> = rows
        .into_iter()
        .map(|row| CarriedEntry { envelope: row.envelope, body: row.body.into_bytes() })
        .collect();
    carried
        .chunks(entries_per_frame)
        .map(|entries| Frame::Entries { log, entries: entries.to_vec() }.encode())
        .collect()
}
