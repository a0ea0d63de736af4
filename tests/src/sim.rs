//! Do the promises hold for a whole network? Many real engines, one thread, virtual time, one seed.
//!
//! ```text
//!   plan (what people do) ──► World ──► nodes: engine + store + clock
//!                               │  ▲
//!   weather (what breaks) ──────┘  └──── checks, after every commit and after healing
//! ```
//!
//! Nothing here waits, draws randomness of its own or looks at a real clock: a seed fails again.
//! Links lose, double and reorder single frames, which is harsher than any real transport.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a simulation stops at the first thing that is wrong"
)]

pub mod book;
pub mod check;
pub mod finding;
pub mod graph;
pub mod irc;
pub mod joining;
pub mod joining_by_mail;
pub mod logs;
pub mod mailbox;
pub mod malice;
pub mod network;
pub mod node;
pub mod people;
pub mod plan;
pub mod puppet;
pub mod reference;
pub mod seeds;
pub mod theft;
pub mod thief;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kith_common::{
    finding::RecordKey,
    ids::{AccountId, DeviceId, EntryId, LogId},
};
use kith_core::{
    engine::{Answer, Command, CommandError, CommandId, Event, Input, Output},
    mail::{Errand, ErrandError, ErrandId},
    store::Store,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_core::Rng;

pub use self::people::address;
use self::{
    book::Book,
    mailbox::{Mailbox, Waiting},
    network::{Weather, Wire},
    node::Node,
    people::{Person, Role, key_seed},
    reference::Archive,
};

/// 2026-01-01T00:00:00Z in milliseconds: when every simulation begins.
pub const BEGIN_MS: u64 = 1_767_225_600_000;

/// What happens at some moment.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A node handles what has come in, in one transaction.
    Work(usize),
    /// A node's deadline may have come.
    Wake(usize),
    /// A node starts.
    Start(usize),
    /// A wire is up at one of its ends.
    Up { wire: usize, end: usize },
    /// A frame arrives at one end of a wire.
    Frame { wire: usize, end: usize, bytes: Vec<u8> },
    /// One end notices that a wire is gone.
    Down { wire: usize, end: usize },
    /// A request reaches a mailbox-server.
    Errand { node: usize, started_ms: u64, errand: Box<Errand> },
    /// A record was found.
    Found { node: usize, started_ms: u64, key: RecordKey, value: Vec<u8> },
    /// A request that waits at a mailbox-server may have waited long enough.
    Mail,
    /// An answer of a mailbox-server comes.
    Answer { node: usize, started_ms: u64, id: ErrandId, reply: Result<Vec<u8>, ErrandError> },
}

/// People, their nodes, the wires between them, and what must be true of all that.
#[derive(Debug)]
pub struct World {
    seed: u64,
    test: &'static str,
    pub(crate) now_ms: u64,
    pub(crate) rng: ChaCha8Rng,
    queue: BTreeMap<(u64, u64), Happening>,
    ordinal: u64,
    /// Everybody.
    pub people: Vec<Person>,
    /// Every device, by the number in its address.
    pub nodes: Vec<Node>,
    pub(crate) wires: Vec<Wire>,
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) waiting: Vec<Waiting>,
    /// Whose queue it is into which a key may write.
    pub(crate) queue_owners: BTreeMap<[u8; 32], usize>,
    /// Blobs on their way to mailbox-servers, for those who replay them.
    pub(crate) recorded: Vec<Vec<u8>>,
    /// Letters that were stored by a mailbox-server.
    pub letters_put: u64,
    /// Where records lie, if they can be left anywhere.
    pub(crate) table: Option<finding::Table>,
    /// What breaks.
    pub weather: Weather,
    /// Groups that cannot reach each other, by node; all the same when the network is whole.
    pub(crate) side: Vec<u8>,
    /// Nodes that do not reach each other, the lower number first.
    apart: BTreeSet<(usize, usize)>,
    /// Every entry that was ever committed.
    pub book: Book,
    /// Pairs of people who want to be contacts of each other, the lower number first.
    pub(crate) friends: BTreeSet<(usize, usize)>,
    /// Devices of which people had given up that they come in, with their people.
    pub(crate) ghosts: Vec<(usize, DeviceId)>,
    /// Who are one person by merging their accounts.
    pub(crate) one: BTreeSet<(usize, usize)>,
    /// Frames seen lately, for those who replay them.
    pub(crate) overheard: VecDeque<Vec<u8>>,
    /// Frames handed to the network by honest nodes.
    pub frames_sent: u64,
    /// Entries may go again and change their places: only what all show in the end is compared.
    pub entries_go: bool,
    /// Every entry that anybody ever sent or stored, where they may go.
    pub archive: Archive,
    /// What came of commands, newest last.
    pub answers: Vec<(usize, Result<Answer, CommandError>)>,
    traced: bool,
    commands: u64,
    /// Texts of send commands that are not answered.
    asked: BTreeMap<(usize, u64), String>,
}

impl World {
    /// An empty world with perfect links; `test` is named when it fails.
    pub fn new(seed: u64, test: &'static str) -> Self {
        logs::watch();
        Self {
            seed,
            test,
            now_ms: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            queue: BTreeMap::new(),
            ordinal: 0,
            people: Vec::new(),
            nodes: Vec::new(),
            wires: Vec::new(),
            mailboxes: Vec::new(),
            waiting: Vec::new(),
            queue_owners: BTreeMap::new(),
            recorded: Vec::new(),
            letters_put: 0,
            table: None,
            weather: Weather::default(),
            side: Vec::new(),
            apart: BTreeSet::new(),
            book: Book::default(),
            friends: BTreeSet::new(),
            one: BTreeSet::new(),
            overheard: VecDeque::new(),
            frames_sent: 0,
            entries_go: false,
            archive: Archive::default(),
            answers: Vec::new(),
            ghosts: Vec::new(),
            traced: std::env::var_os("KITH_TRACE").is_some(),
            commands: 0,
            asked: BTreeMap::new(),
        }
    }

    /// Milliseconds since the world began.
    pub const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Tells what happens, if `KITH_TRACE` is set.
    pub(crate) fn tell(&self, node: usize, what: impl FnOnce() -> String) {
        if self.traced {
            let what: String = what().chars().take(120).collect();
            eprintln!("{:>9} {:<14} {what}", self.now_ms, self.nodes[node].name);
        }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end.max(1)
    }

    /// The world's randomness, for what a test decides.
    pub const fn rng_for_tests(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }

    /// Whether something that happens so many times in a thousand happens now.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && self.below(1000) < per_mille
    }

    /// A person with this many devices; returns the person's number. The devices start at once.
    pub fn person(&mut self, name: &str, devices: usize) -> usize {
        let number = self.people.len();
        let mut person = Person::new(self.seed, number, name, devices, self.nodes.len());
        if devices > 1 {
            person.settle();
        }
        for (device, node) in person.nodes.iter().copied().enumerate() {
            let rng = ChaCha8Rng::seed_from_u64(self.rng.next_u64());
            self.nodes.push(Node::new(&person, number, device, rng));
            self.side.push(0);
            self.book.views.push(book::View::default());
            self.at(0, Happening::Start(node));
        }
        self.people.push(person);
        number
    }

    /// Two people want to be contacts: every device of either adds the other.
    pub fn befriend(&mut self, one: usize, other: usize) {
        self.friends.insert((one.min(other), one.max(other)));
        self.ask(one, other);
        self.ask(other, one);
    }

    /// Two people will be contacts of each other once everything has come right.
    pub fn befriend_later(&mut self, one: usize, other: usize) {
        self.friends.insert((one.min(other), one.max(other)));
    }

    /// The people whose contact a person is or will be.
    pub fn friends_of(&self, person: usize) -> Vec<usize> {
        let others = self.friends.iter().filter_map(|(one, other)| match person {
            _ if *one == person => Some(*other),
            _ if *other == person => Some(*one),
            _ => None,
        });
        others.collect()
    }

    /// Every device of one person asks another to become a contact.
    pub fn ask(&mut self, one: usize, other: usize) {
        for node in self.people[one].nodes.clone() {
            self.add_contact(node, other);
        }
    }

    /// One device asks another person to become a contact.
    pub fn add_contact(&mut self, node: usize, other: usize) {
        let mut card = Box::new(self.people[other].card());
        let engines =
            self.people[other].nodes.iter().filter_map(|at| self.nodes[*at].engine.as_ref());
        card.knocks = engines.flat_map(|engine| engine.card().knocks).take(4).collect();
        let greeting = format!("greeting of {}", self.nodes[node].name);
        self.command(node, Command::AddContact { card, name: None, greeting });
    }

    /// The account of a person.
    pub fn account(&self, person: usize) -> AccountId {
        self.people[person].account.id()
    }

    /// The log of two people.
    pub fn log(&self, one: usize, other: usize) -> LogId {
        LogId::direct(self.account(one), self.account(other))
    }

    /// Hands a command to a node.
    pub fn command(&mut self, node: usize, command: Command) {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.tell(node, || format!("is told to {command:?}"));
        if let Command::Send { to, text, .. } = &command {
            let Node { account, device, .. } = self.nodes[node];
            self.book.tell(device, LogId::direct(account, *to), text);
            self.asked.insert((node, id.0), text.clone());
        }
        self.input(node, Input::Command { id, command });
    }

    /// Writes a message from a node to a person.
    pub fn say(&mut self, node: usize, to: usize, text: &str) {
        self.reply(node, to, text, None);
    }

    /// Writes an answer from a node to a person.
    pub fn reply(&mut self, node: usize, to: usize, text: &str, reply_to: Option<EntryId>) {
        let to = self.account(to);
        self.command(node, Command::Send { to, text: text.to_owned(), reply_to });
    }

    pub(crate) fn at(&mut self, in_ms: u64, happening: Happening) {
        self.ordinal += 1;
        self.queue.insert((self.now_ms + in_ms, self.ordinal), happening);
    }

    /// Lets something come in at a node, to be handled with whatever else comes at the same time.
    pub fn input(&mut self, node: usize, input: Input) {
        let within = self.below(1 + self.weather.group_ms);
        if self.nodes[node].joiner.is_some() {
            self.joiner_hears(node, input);
            return;
        }
        let target = &mut self.nodes[node];
        if !target.is_running() {
            return;
        }
        target.inbox.push(input);
        if target.inbox.len() == 1 {
            self.at(within, Happening::Work(node));
        }
    }

    /// Lets virtual time pass.
    pub fn run_ms(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while self.step(end) {}
        self.now_ms = end;
    }

    /// Lets virtual time pass until something is so, looking once a second.
    ///
    /// # Panics
    /// If it is not so after `ms`.
    pub fn run_until(&mut self, ms: u64, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = self.now_ms + ms;
        while !is_so(self) {
            assert!(self.now_ms < end, "after {ms} ms, still not so: {what}");
            self.run_ms(1000.min(end - self.now_ms));
        }
    }

    fn step(&mut self, end_ms: u64) -> bool {
        let Some(first) = self.queue.first_entry() else { return false };
        if first.key().0 > end_ms {
            return false;
        }
        let ((at_ms, _), happening) = first.remove_entry();
        self.now_ms = at_ms;
        match happening {
            Happening::Work(node) => self.work(node),
            Happening::Wake(node) => self.wake(node),
            Happening::Start(node) => self.start(node),
            Happening::Up { wire, end } => self.wire_up(wire, end),
            Happening::Frame { wire, end, bytes } => self.frame_arrives(wire, end, bytes),
            Happening::Down { wire, end } => self.wire_down(wire, end),
            Happening::Errand { node, started_ms, errand } => {
                self.errand_arrives(node, started_ms, *errand);
            }
            Happening::Found { node, started_ms, key, value } => {
                if self.nodes[node].started_ms == started_ms {
                    self.input(node, Input::Found { key, value });
                }
            }
            Happening::Mail => self.wake_waiting(),
            Happening::Answer { node, started_ms, id, reply } => {
                self.errand_answered(node, started_ms, id, reply);
            }
        }
        true
    }

    fn wake(&mut self, node: usize) {
        let now_ms = self.now_ms;
        if self.nodes[node].wake_at_ms != Some(now_ms) {
            return;
        }
        self.nodes[node].wake_at_ms = None;
        if self.nodes[node].mail_joiner.is_some() {
            self.poll_joiner(node);
            return;
        }
        self.input(node, Input::Tick);
    }

    /// Handles a node's inbox, together or one by one: many inputs, one commit, then the outputs;
    /// or a crash between.
    fn work(&mut self, node: usize) {
        if !self.nodes[node].is_running() {
            return;
        }
        let inputs = std::mem::take(&mut self.nodes[node].inbox);
        let ticked = matches!(inputs.last(), Some(Input::Tick));
        let read: Vec<AccountId> = inputs.iter().filter_map(read_by).collect();
        let crash = self.chance(self.weather.crash_per_mille);
        let before_commit = crash && self.chance(500);
        let mut outputs = Vec::new();
        let together = inputs.len() > 1 && self.chance(500);
        let parts =
            if together { vec![inputs] } else { inputs.into_iter().map(|i| vec![i]).collect() };
        for part in parts {
            let before = self.others(node);
            let out = self.nodes[node].handle(part, self.now_ms);
            self.check_said(node, &out, together, &before);
            if !together && self.nodes[node].honest {
                self.check_written_to(node, &out);
            }
            outputs.extend(out);
        }
        if before_commit {
            self.tell(node, || "crashes before the commit".to_owned());
            self.nodes[node].store.rollback();
            self.crash(node);
            return;
        }
        self.nodes[node].store.commit();
        self.committed(node, &read);
        if crash {
            self.tell(node, || "crashes after the commit".to_owned());
            self.crash(node);
            return;
        }
        self.check_bounds(node, ticked);
        if !self.entries_go {
            self.check_ticks_if_told(node, &outputs);
        }
        for output in outputs {
            self.carry_out(node, output);
        }
        self.set_alarm(node);
        logs::no_errors();
    }

    fn set_alarm(&mut self, node: usize) {
        let now_ms = self.now_ms;
        let Some(at_ms) = self.nodes[node].deadline_ms() else { return };
        let at_ms = at_ms.max(now_ms);
        if self.nodes[node].wake_at_ms.is_none_or(|set| set < now_ms || at_ms < set) {
            self.nodes[node].wake_at_ms = Some(at_ms);
            self.at(at_ms - now_ms, Happening::Wake(node));
        }
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::Send { link, bytes } => self.send(node, link, bytes),
            Output::Close { link } => self.close(node, link),
            Output::Dial { addresses } => self.dial(node, &addresses),
            Output::Errand(errand) => self.run_errand(node, errand),
            Output::Reach { .. } => {
                let is_on = self.table.is_some();
                self.input(node, Input::Finding { is_on });
            }
            Output::Publish { records, namespaces } => self.publish(node, records, namespaces),
            Output::Search { keys, namespaces } => self.search(node, &keys, &namespaces),
            Output::Trust { .. } => {}
            Output::Answered { id, result } => {
                self.tell(node, || format!("answers {result:?}"));
                let text = self.asked.remove(&(node, id.0));
                self.answers.push((node, result.clone()));
                if let (Some(text), Ok(Answer::Sent(entry))) = (text, result) {
                    if self.entries_go && self.nodes[node].honest {
                        self.archive.sent.insert(entry, (node, text.clone()));
                    }
                    let known = self.book.entries.get(&entry).filter(|_| !self.entries_go);
                    let said = known.and_then(|known| known.text.clone());
                    assert!(self.entries_go || said == Some(text), "an answered message is there");
                }
            }
            Output::Event(Event::Entry { place, .. }) if self.entries_go => {
                let state = &self.nodes[node];
                let row = state.store.entry(place).expect("memory can be read");
                if let Some(row) = row.filter(|row| state.honest && row.body.bytes().is_some()) {
                    self.archive.had.insert((node, row.position.id));
                }
            }
            Output::Event(_) => {}
        }
    }

    /// A node ends without warning and comes back later.
    pub fn crash(&mut self, node: usize) {
        self.stop(node);
        let in_ms = 50 + self.below(20_000);
        if self.nodes[node].wanted {
            self.at(in_ms, Happening::Start(node));
        }
    }

    /// Ends a node; it comes back only by [`start`](Self::set_running).
    fn stop(&mut self, node: usize) {
        self.tell(node, || "ends".to_owned());
        self.nodes[node].stop();
        self.cut_wires(|wire| wire.touches(node));
    }

    /// Every device of a person learns where the others are.
    pub fn tell_own_places(&mut self, person: usize) {
        if self.people[person].nodes.len() > 1 {
            for node in self.people[person].nodes.clone() {
                self.add_contact(node, person);
            }
        }
    }

    fn start(&mut self, node: usize) {
        if self.nodes[node].is_running() || !self.nodes[node].wanted {
            return;
        }
        self.tell(node, || "starts".to_owned());
        self.nodes[node].start(self.now_ms);
        self.committed(node, &[]);
        let addresses = self.addresses_of(node);
        self.input(node, Input::Listening { addresses });
        let places = self.nodes[node].code_places.clone();
        if !places.is_empty() {
            self.command(node, Command::LookForOwn(places));
        }
        self.go_on_by_mail(node);
        self.set_alarm(node);
    }

    /// Switches a node on or off.
    pub fn set_running(&mut self, node: usize, on: bool) {
        self.nodes[node].wanted = on;
        if on {
            self.start(node);
        } else {
            self.stop(node);
        }
    }

    /// Connects a node with the network or takes it off; it keeps running.
    pub fn set_connected(&mut self, node: usize, on: bool) {
        self.nodes[node].connected = on;
        if !on {
            self.cut_wires(|wire| wire.touches(node));
        }
    }

    /// What was committed goes into the book, where it is checked.
    fn committed(&mut self, node: usize, read: &[AccountId]) {
        if self.entries_go {
            return;
        }
        let rows = self.nodes[node].new_rows();
        for row in rows {
            self.tell(node, || format!("has {:?}", row.position));
            self.book.commit(node, self.nodes[node].honest, &row);
        }
        let own = self.nodes[node].account;
        for with in read {
            self.book.read(node, LogId::direct(own, *with));
        }
    }
}

/// The seeds of all keys of a person: what nobody may ever see.
pub fn secrets(world: &World, person: usize) -> Vec<[u8; 32]> {
    let devices = 0..world.people[person].nodes.len();
    let roles = devices.flat_map(|device| [Role::Device(device), Role::Authority(device)]);
    roles.chain([Role::Recovery]).map(|role| key_seed(world.seed, person, role)).collect()
}

const fn read_by(input: &Input) -> Option<AccountId> {
    match input {
        Input::Command { command: Command::MarkRead(account), .. } => Some(*account),
        _ => None,
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, test, now_ms, .. } = self;
            eprintln!("{}", graph::draw(&self.book, &self.nodes));
            eprintln!("failed {now_ms} ms after the beginning; the same again:");
            eprintln!("SEED={seed} KITH_SEEDS=1 cargo nextest run -p kith-tests {test}");
        }
    }
}
