//! How does a run begin? Alice and Bob are contacts and have talked; their stores, the frames that
//! Bob sent, and the frames with which he greets again are kept for all runs.

use std::{collections::VecDeque, sync::LazyLock};

use kith_common::time::{Timestamp, Uptime};
use kith_core::{
    engine::{Command, CommandId, Context, Engine, Identity, Input, LinkId, Output},
    store::{StoreError, memory::MemoryStore},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::cast::{CAST, Person};

/// 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// Transport ids of Alice and Bob on the link that every run begins with.
pub const TRANSPORTS: (&[u8], &[u8]) = (b"alice on the first link", b"bob on the first link");

/// What every run begins with.
pub static SETTING: LazyLock<Setting> = LazyLock::new(Setting::new);

/// What every run begins with.
pub struct Setting {
    /// Alice's store.
    pub alice: MemoryStore,
    /// Bob's store.
    pub bob: MemoryStore,
    /// Frames that Bob sent while they became contacts and talked.
    pub genuine: Vec<Vec<u8>>,
    /// Frames with which Bob establishes the session of a run.
    pub greeting: Vec<Vec<u8>>,
}

/// A node that runs: its engine and whatever the engine needs.
pub struct Node {
    /// The engine.
    pub engine: Engine,
    /// Its store; everything is committed after each input.
    pub store: MemoryStore,
    /// Wall-clock time.
    pub now: Timestamp,
    /// Time since the node started.
    pub uptime: Uptime,
    rng: ChaCha8Rng,
}

/// The account and key of a person's phone.
pub fn identity(person: &Person) -> Identity {
    let device = person.devices[0].expose_seed(kith_common::keys::SigningKey::from_seed);
    Identity { account: person.account.clone(), device }
}

impl Node {
    /// Starts the phone of a person.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(person: &Person, name: &str, mut store: MemoryStore, now: Timestamp) -> Self {
        let (mut rng, uptime) = (ChaCha8Rng::seed_from_u64(7), Uptime::from_millis(0));
        let mut cx =
            Context { now, uptime, rng: &mut rng, store: &mut store, out: &mut Vec::new() };
        let engine =
            Engine::open(identity(person), name, &mut cx).expect("what was stored can be opened");
        store.commit();
        Self { engine, store, now, uptime, rng }
    }

    /// Lets the engine handle an input.
    ///
    /// # Errors
    /// If the store fails.
    pub fn handle(&mut self, input: Input) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        let mut cx = Context {
            now: self.now,
            uptime: self.uptime,
            rng: &mut self.rng,
            store: &mut self.store,
            out: &mut out,
        };
        self.engine.handle(&mut cx, input)?;
        self.store.commit();
        Ok(out)
    }

    /// Lets time pass, without a tick.
    pub fn wait(&mut self, ms: u64) {
        self.now = self.now.plus_millis(ms);
        self.uptime = self.uptime.plus_millis(ms);
    }
}

/// Two nodes and what is on its way between them.
struct Pair {
    nodes: [Node; 2],
    link: LinkId,
    coming: VecDeque<(usize, Vec<u8>)>,
    /// What the second node sent.
    sent: Vec<Vec<u8>>,
}

impl Pair {
    fn start(stores: [MemoryStore; 2]) -> Self {
        let [alice, bob] = stores;
        let nodes = [
            Node::start(&CAST.alice, "Alice", alice, START),
            Node::start(&CAST.bob, "Bob", bob, START),
        ];
        Self { nodes, link: LinkId(1), coming: VecDeque::new(), sent: Vec::new() }
    }

    fn handle(&mut self, side: usize, input: Input) {
        let out = self.nodes[side].handle(input).expect("honest nodes do not fail");
        for output in out {
            if let Output::Send { bytes, .. } = output {
                if side == 1 {
                    self.sent.push(bytes.clone());
                }
                self.coming.push_back((1 - side, bytes));
            }
        }
        while let Some((side, bytes)) = self.coming.pop_front() {
            self.handle(side, Input::Frame { link: self.link, bytes });
        }
    }

    fn connect(&mut self, (one, other): (&[u8], &[u8])) {
        for (side, own, peer) in [(0, one, other), (1, other, one)] {
            let out = self.nodes[side]
                .handle(Input::LinkUp {
                    link: self.link,
                    own_transport: own.into(),
                    peer_transport: peer.into(),
                    relayed: false,
                })
                .expect("honest nodes do not fail");
            for output in out {
                let Output::Send { bytes, .. } = output else { continue };
                if side == 1 {
                    self.sent.push(bytes.clone());
                }
                self.coming.push_back((1 - side, bytes));
            }
        }
        self.tick();
    }

    fn command(&mut self, side: usize, command: Command) {
        self.handle(side, Input::Command { id: CommandId(1), command });
        self.tick();
    }

    fn tick(&mut self) {
        for side in [0, 1] {
            self.nodes[side].wait(10);
            self.handle(side, Input::Tick);
        }
    }

    fn say(&mut self, side: usize, text: &str) {
        let to = [CAST.bob.id(), CAST.alice.id()][side];
        self.command(side, Command::Send { to, text: text.to_owned(), reply_to: None });
    }
}

impl Setting {
    fn new() -> Self {
        let mut pair = Pair::start([MemoryStore::new(), MemoryStore::new()]);
        pair.connect((b"alice while they meet", b"bob while they meet"));
        let card = Box::new(pair.nodes[0].engine.card());
        let greeting = "I am Bob".to_owned();
        pair.command(1, Command::AddContact { card, name: None, greeting });
        pair.command(0, Command::Accept(CAST.bob.id()));
        assert!(pair.nodes.iter().all(|node| node.engine.device_count() == 1), "they have met");
        pair.command(1, Command::SetReadReceipts(true));
        for (side, text) in [(1, "hello"), (0, "who is there?"), (1, "Bob"), (1, "your friend")] {
            pair.say(side, text);
        }
        pair.command(1, Command::MarkRead(CAST.alice.id()));
        let genuine = pair.sent;
        let mut again = Pair::start(pair.nodes.map(|node| node.store));
        again.connect(TRANSPORTS);
        assert!(again.nodes.iter().all(|node| node.engine.device_count() == 1), "they meet again");
        let greeting = again.sent;
        let [alice, bob] = again.nodes.map(|node| node.store);
        Self { alice, bob, genuine, greeting }
    }
}
