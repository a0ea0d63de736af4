//! How does one node bear a hostile peer? A victim with a real engine, and a puppet that says
//! byte for byte what a test wants.

use std::collections::BTreeMap;

use kith_common::{
    account::{Account, TransportCert},
    crypto,
    entry::{Entry, EntryKind, Mark},
    envelope::{Signed, sign},
    frame::{CarriedEntry, ContactRequest, Frame, TAG_BYTES},
    frontier::Frontier,
    ids::{AccountId, DeviceId, EntryId, LogId},
    keys::SigningKey,
    limits::HELLO_TAGS_STEP,
    time::Hlc,
};
use kith_core::{
    engine::{Command, CommandId, Input, LinkId, Output},
    limits::CERTIFICATE_MS,
    view::MessageView,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::{
    BEGIN_MS,
    malice::entry_of,
    node::Node,
    people::{Person, Role, key},
};

/// Keys of all people in these tests follow from this.
const SEED: u64 = 7;

/// A node under attack; every input is committed at once.
#[derive(Debug)]
pub struct Victim {
    /// The node.
    pub node: Node,
    /// Virtual time.
    pub now_ms: u64,
    commands: u64,
}

impl Victim {
    /// alice.phone, started.
    pub fn new() -> Self {
        let person = Person::new(SEED, 0, "alice", 1, 0);
        let mut node = Node::new(&person, 0, 0, ChaCha8Rng::seed_from_u64(SEED));
        node.start(0);
        Self { node, now_ms: 0, commands: 0 }
    }

    /// Hands one input over.
    pub fn feed(&mut self, input: Input) -> Vec<Output> {
        self.now_ms += 1;
        let outputs = self.node.handle(vec![input], self.now_ms);
        self.node.store.commit();
        outputs
    }

    /// Hands a frame over.
    pub fn hear(&mut self, link: u64, bytes: Vec<u8>) -> Vec<Output> {
        self.feed(Input::Frame { link: LinkId(link), bytes })
    }

    /// Carries out a command.
    pub fn command(&mut self, command: Command) -> Vec<Output> {
        self.commands += 1;
        self.feed(Input::Command { id: CommandId(self.commands), command })
    }

    /// A link between the victim and a puppet.
    pub fn link(&mut self, link: u64, puppet: &Puppet) -> Vec<Output> {
        self.feed(Input::LinkUp {
            link: LinkId(link),
            own_transport: victim_transport(link),
            peer_transport: puppet.transport.clone(),
            relayed: false,
        })
    }

    /// Lets time pass; the node ticks when it wants to.
    pub fn wait_ms(&mut self, ms: u64) -> Vec<Output> {
        let end_ms = self.now_ms + ms;
        let mut outputs = Vec::new();
        while let Some(at_ms) = self.node.deadline_ms().filter(|at| *at < end_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            outputs.extend(self.feed(Input::Tick));
        }
        self.now_ms = end_ms;
        outputs
    }

    /// A victim that has the puppet as a contact and talks to it on link 1.
    pub fn talking_to(puppet: &Puppet) -> Self {
        let mut victim = Self::new();
        victim.add(puppet);
        victim.establish(1, puppet);
        victim
    }

    /// Adds a puppet as a contact.
    pub fn add(&mut self, puppet: &Puppet) {
        let card = Box::new(puppet.person.card());
        self.command(Command::AddContact { card, name: None, greeting: "hello".to_owned() });
    }

    /// Opens a link with an honest beginning.
    pub fn establish(&mut self, link: u64, puppet: &Puppet) {
        self.link(link, puppet);
        self.hear(link, puppet.hello(self.device(), &victim_transport(link)));
        let outputs = self.hear(link, puppet.certificate(&victim_transport(link)));
        let begun = frames(&outputs).iter().any(|frame| matches!(frame, Frame::Frontiers { .. }));
        assert!(begun, "a session is there");
    }

    /// The victim's device.
    pub const fn device(&self) -> DeviceId {
        self.node.device
    }

    /// The victim's account.
    pub const fn account(&self) -> AccountId {
        self.node.account
    }

    /// How often something was refused.
    pub fn refused(&self, name: &str) -> u64 {
        self.node.engine().refusals().get(name).copied().unwrap_or(0)
    }

    /// Everything that was refused.
    pub fn refusals(&self) -> BTreeMap<&'static str, u64> {
        self.node.engine().refusals().clone()
    }

    /// What is shown of the conversation with a puppet.
    pub fn history(&self, puppet: &Puppet) -> Vec<MessageView> {
        let page = self.node.engine().history(&self.node.store, puppet.account(), None, 1000);
        page.expect("memory can be read").unwrap_or_default()
    }
}

impl Default for Victim {
    fn default() -> Self {
        Self::new()
    }
}

/// The transport id that the victim has on a link.
pub fn victim_transport(link: u64) -> Box<[u8]> {
    let mut transport = [0xa1; 38];
    transport[..8].copy_from_slice(&link.to_le_bytes());
    transport.into()
}

/// Whether the outputs close a link.
pub fn closes(outputs: &[Output], link: u64) -> bool {
    outputs.contains(&Output::Close { link: LinkId(link) })
}

/// The frames among outputs.
pub fn frames(outputs: &[Output]) -> Vec<Frame> {
    let frames = outputs.iter().filter_map(|output| match output {
        Output::Send { bytes, .. } => Frame::decode(bytes).ok().flatten(),
        _ => None,
    });
    frames.collect()
}

/// Somebody with keys and no scruples.
#[derive(Debug)]
pub struct Puppet {
    /// The person behind it.
    pub person: Person,
    /// The key of its device.
    pub key: SigningKey,
    /// What it calls itself on every link.
    pub transport: Box<[u8]>,
}

impl Puppet {
    /// A puppet with keys of its own; `number` tells puppets apart, from 1.
    pub fn new(number: usize) -> Self {
        let person = Person::new(SEED, number, "mallory", 1, number);
        let mut transport = [0xb2; 38];
        transport[..8].copy_from_slice(&number.to_le_bytes());
        Self { person, key: key(SEED, number, Role::Device(0)), transport: transport.into() }
    }

    /// Its account.
    pub fn account(&self) -> AccountId {
        self.person.account.id()
    }

    /// Its log with a victim.
    pub fn log(&self, victim: &Victim) -> LogId {
        LogId::direct(self.account(), victim.account())
    }

    /// A hello that the victim recognises on a link where it has this transport id.
    pub fn hello(&self, victim: DeviceId, audience: &[u8]) -> Vec<u8> {
        let keys = self.key.pair_keys(victim).expect("a usable key");
        let mut message = Vec::new();
        for part in [b"kith/hello/1".as_slice(), &self.transport, audience] {
            message.push(u8::try_from(part.len()).expect("short"));
            message.extend_from_slice(part);
        }
        let hash = crypto::keyed_hash(&keys.send, &message);
        let mut tags = vec![[0; TAG_BYTES]; HELLO_TAGS_STEP];
        tags[0].copy_from_slice(&hash[..TAG_BYTES]);
        Frame::Hello { tags }.encode()
    }

    /// A certificate for one link.
    pub fn certificate(&self, audience: &[u8]) -> Vec<u8> {
        let cert = TransportCert {
            transport: self.transport.clone(),
            audience: audience.into(),
            not_after: BEGIN_MS + CERTIFICATE_MS,
        };
        self.certificate_of(cert, &self.person.account)
    }

    /// A certificate that says what a test wants.
    pub fn certificate_of(&self, cert: TransportCert, account: &Account) -> Vec<u8> {
        let cert = sign(&self.key, cert).into_bytes();
        Frame::Certificate { cert, proof: account.proof().to_vec(), addresses: vec![] }.encode()
    }

    /// A contact request to a victim on a link.
    pub fn request(&self, victim: &Victim, link: u64, rng: &mut ChaCha8Rng) -> Vec<u8> {
        let request = ContactRequest {
            to_account: victim.account(),
            to_device: victim.device(),
            transport: self.transport.clone(),
            audience: victim_transport(link),
            proof: self.person.account.proof().to_vec(),
            name: self.person.name.clone(),
            greeting: "let me in".to_owned(),
            addresses: vec![],
            absorbed: vec![],
        };
        let signed = sign(&self.key, request);
        let sealed = crypto::seal_to(rng, victim.device(), signed.bytes());
        Frame::Request { sealed: sealed.expect("a usable key").into() }.encode()
    }

    /// An entry behind another one of its own, in its log with the victim.
    pub fn entry(&self, victim: &Victim, previous: Option<&CarriedEntry>) -> Entry {
        let previous = previous.map(|carried| {
            let signed = Signed::<Entry>::decode(&carried.envelope).expect("well-formed");
            (signed.id(), signed.claim().clone())
        });
        Entry {
            log: self.log(victim),
            account: self.account(),
            seq: previous.as_ref().map_or(1, |(_, entry)| entry.seq + 1),
            prev: previous.as_ref().map(|(id, _)| *id),
            parents: vec![],
            depth: previous.as_ref().map_or(1, |(_, entry)| entry.depth + 1),
            hlc: Hlc::at(victim.node.clock(victim.now_ms)),
            account_head: EntryId::from_bytes([0; 32]),
            kind: EntryKind::TEXT,
            body_hash: [0; 32],
            body_bytes: 0,
        }
    }

    /// An entry, signed.
    pub fn signed(&self, entry: Entry, text: &str) -> CarriedEntry {
        entry_of(&self.key, entry, text)
    }

    /// Entries of its log with the victim.
    pub fn entries(&self, victim: &Victim, entries: Vec<CarriedEntry>) -> Vec<u8> {
        Frame::Entries { log: self.log(victim), entries }.encode()
    }

    /// A frontier of its log with the victim.
    pub fn frontier(&self, victim: &Victim, received: Vec<Mark>, read: Vec<Mark>) -> Vec<u8> {
        let frontier = Frontier { log: self.log(victim), received, read };
        let frontiers = vec![sign(&self.key, frontier).into_bytes()];
        Frame::Frontiers { ask: false, frontiers }.encode()
    }
}
