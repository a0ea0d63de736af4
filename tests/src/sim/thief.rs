//! What can a thief do who has a device and its passphrase? A real engine, misused.

use kith_common::{
    account::{Untrust, acknowledge},
    entry::{Entry, EntryKind},
    envelope::Signed,
    frame::Frame,
    ids::{DeviceId, LogId},
    keys::SigningKey,
    time::{Hlc, Timestamp},
};
use kith_core::{
    engine::Command,
    store::{EntryRow, memory::MemoryStore},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_core::Rng;

use super::{BEGIN_MS, Node, World, address, book, malice::entry_of};

/// Fakes that one thief makes.
pub const FAKES_MAX: usize = 5;

/// A stolen device.
#[derive(Debug)]
pub struct Thief {
    /// Its node.
    pub node: usize,
    /// Whose it was.
    pub person: usize,
    /// Nodes of the devices that it made up.
    pub fakes: Vec<usize>,
    /// What it was when it was stolen.
    before: MemoryStore,
}

impl Thief {
    /// Somebody takes a device and knows its passphrase.
    pub fn new(world: &mut World, node: usize) -> Self {
        world.nodes[node].honest = false;
        let device = world.nodes[node].device;
        world.book.liars.insert(device);
        let person = world.nodes[node].person;
        Self { node, person, fakes: Vec::new(), before: world.nodes[node].store.clone() }
    }

    /// Says that a device was stolen, and since when.
    pub fn accuse(&self, world: &mut World, node: usize, since_ms: Option<u64>) {
        let authority = world.nodes[self.node].authority();
        let device = world.nodes[node].device;
        let since = since_ms.map(|ms| Timestamp::from_millis(BEGIN_MS + ms));
        let why = Untrust::Stolen;
        world.command(self.node, Command::Untrust { device, why, since, authority });
    }

    /// Takes in a device that never was, with an engine of its own.
    pub fn add_fake(&mut self, world: &mut World) {
        let owner = &world.nodes[self.node];
        let Some(engine) = &owner.engine else { return };
        let authority = owner.authority();
        let mut rng = ChaCha8Rng::seed_from_u64(world.rng.next_u64());
        let (device, own_authority) = (SigningKey::random(&mut rng), SigningKey::random(&mut rng));
        let account = engine.identity().account.clone();
        let inviter = *authority.public();
        let ack = acknowledge(&device, inviter, *own_authority.public(), [9; 32], account.id());
        let Ok(addition) = account.add_device(&authority, &ack) else { return };
        let Ok(grown) = account.join(&[addition]) else { return };
        let owners = world.people[self.person].nodes.clone();
        let mut node = Node::new(&world.people[self.person], self.person, 0, rng);
        node.take_keys(&device, &own_authority);
        node.name = format!("fake.{}", self.fakes.len() + 1);
        node.honest = false;
        node.prove(grown);
        let new = world.nodes.len();
        world.nodes.push(node);
        world.side.push(world.side[self.node]);
        world.book.views.push(book::View::default());
        world.book.liars.insert(device.device());
        self.fakes.push(new);
        world.set_running(new, true);
        let places = owners.into_iter().map(address).collect();
        world.command(new, Command::LookForOwn(places));
    }

    /// Writes a message dated as the thief likes.
    pub fn say(&self, world: &mut World, node: usize, to: usize, text: &str, back_ms: i64) {
        world.nodes[node].skew_ms = -back_ms;
        world.say(node, to, text);
        world.run_ms(10);
        world.nodes[node].skew_ms = 0;
    }

    /// Puts the device back to what it was when it was stolen: it will write its numbers again.
    pub fn roll_back(&self, world: &mut World) {
        world.set_running(self.node, false);
        world.nodes[self.node].store = self.before.clone();
        world.set_running(self.node, true);
    }

    /// Another history, from some entry on, for whoever is at the other end of one wire.
    pub fn fork(&self, world: &mut World, with: usize, text: &str) {
        let log = LogId::direct(world.account(self.person), world.account(with));
        let device = world.nodes[self.node].device;
        let chain = chain_of(&world.nodes[self.node], log, device);
        if chain.is_empty() {
            return;
        }
        let at = usize::try_from(world.below(chain.len() as u64)).unwrap_or(0);
        let (key, now) = (world.nodes[self.node].key(), world.nodes[self.node].clock(world.now_ms));
        let mut entries = Vec::new();
        let mut next = Entry { hlc: Hlc::at(now), kind: EntryKind::TEXT, ..chain[at].clone() };
        for number in 0..=world.below(3) {
            let carried = entry_of(&key, next.clone(), &format!("{text} {number}"));
            let signed = Signed::<Entry>::decode(&carried.envelope).expect("well-formed");
            let (seq, depth) = (next.seq + 1, next.depth + 1);
            next = Entry { seq, depth, prev: Some(signed.id()), parents: vec![], ..next };
            entries.push(carried);
        }
        let bytes = Frame::Entries { log, entries }.encode();
        world.slip(self.node, bytes);
    }
}

impl World {
    /// Puts a frame on some wire of a node.
    pub(crate) fn slip(&mut self, node: usize, bytes: Vec<u8>) {
        let up: Vec<usize> = (0..self.wires.len())
            .filter(|wire| self.wires[*wire].is_up && self.wires[*wire].touches(node))
            .collect();
        if !up.is_empty() {
            let wire = up[usize::try_from(self.below(up.len() as u64)).unwrap_or(0)];
            let end = usize::from(self.wires[wire].ends[0].node == node);
            self.carry(wire, end, bytes);
        }
    }
}

fn chain_of(node: &Node, log: LogId, device: DeviceId) -> Vec<Entry> {
    let entry = |row: EntryRow| {
        let signed = Signed::<Entry>::decode(&row.envelope).ok()?;
        let own = *signed.signer() == *device.as_bytes() && signed.claim().log == log;
        own.then(|| signed.claim().clone())
    };
    node.all_rows().into_iter().filter_map(entry).collect()
}
