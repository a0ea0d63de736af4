//! What is around Alice's engine? Links, a genuine Bob, forgers, and time.

use std::collections::{BTreeMap, VecDeque};

use kith_common::{
    codec::Reader,
    entry::{Entry, Mark},
    envelope::Signed,
    finding::RecordKey,
    frame::{CarriedEntry, Frame},
    ids::{DeviceId, LogId},
    share::{ContactCard, SharedId},
    time::Timestamp,
};
use kith_core::{
    engine::{Command, CommandId, Event, Input, LinkId, Output},
    limits::{LINKS_MAX, PENDING_ENTRIES_MAX},
    store::{AuthorNumber, EntryRow, LogNumber, Place, Store, memory::MemoryStore},
};

use super::{
    checks,
    forge::{self, Ends, Forge, Known},
    operation::{Edit, EntryPlan, Operation},
    setting::{Node, SETTING, START, TRANSPORTS},
};
use crate::cast::{CAST, Person};

/// The link on which Bob is when a run begins.
const BOBS_LINK: LinkId = LinkId(1);
const MINUTE_MS: i64 = 60_000;
const DECADE_MS: u64 = 10 * 365 * 24 * 60 * 60 * 1000;
/// Frames that wait to be carried to Bob.
const WAITING_MAX: usize = 64;
/// Floods in one run: each costs as much as all the rest.
const FLOODS_MAX: u8 = 2;
/// Entries in a small flood, and in a large one, which is more than may wait.
const FLOOD_SMALL: u16 = 40;
const FLOOD_LARGE: u16 = 1040;
/// Counts from here on ask for a large flood.
const LARGE: u16 = 0xff00;
/// Above this many stored entries the whole history is checked at the end only.
const OFTEN_MAX: usize = 100;

pub(super) struct World {
    node: Node,
    links: BTreeMap<LinkId, Ends>,
    next_link: u64,
    forge: Forge,
    /// The true time; Alice's wall clock may differ.
    time: Timestamp,
    ahead_minutes: i16,
    bob: Option<Node>,
    bobs_store: MemoryStore,
    to_bob: VecDeque<Vec<u8>>,
    from_bob: VecDeque<Vec<u8>>,
    states: checks::States,
    /// Whether a frontier has proved something since that was checked.
    delivered: bool,
    floods: u8,
    /// Keys of records that Alice asks for.
    sought: Vec<RecordKey>,
    /// What Bob left.
    left: Vec<(RecordKey, Box<[u8]>)>,
}

impl World {
    /// Alice's node, started again, with Bob's phone on the first link.
    pub(super) fn new() -> Self {
        let mut world = Self {
            node: Node::start(&CAST.alice, "Alice", SETTING.alice.clone(), START),
            links: BTreeMap::new(),
            next_link: BOBS_LINK.0,
            forge: Forge::default(),
            time: START,
            ahead_minutes: 0,
            bob: None,
            bobs_store: SETTING.bob.clone(),
            to_bob: VecDeque::new(),
            from_bob: VecDeque::new(),
            states: checks::States::new(),
            delivered: false,
            floods: 0,
            sought: Vec::new(),
            left: Vec::new(),
        };
        world.learn();
        world.greet();
        assert_eq!(world.node.engine.device_count(), 1, "the session stands");
        world
    }

    /// Everything that is stored exists for the forgers.
    fn learn(&mut self) {
        for number in 0..4 {
            let rows = self.node.store.newest(LogNumber(number), None, usize::MAX);
            for row in rows.expect("the store can be read").iter().rev() {
                self.learn_one(row.place);
            }
        }
    }

    /// What the phones wrote themselves exists too where no event announces it: in Alice's self log,
    /// and what they tell each other about themselves.
    fn learn_silent(&mut self) {
        let (alice, bob) = (&CAST.alice, &CAST.bob);
        let bobs_store = self.bob.as_ref().map_or(&self.bobs_store, |bob| &bob.store);
        let of_alice = (0..4).map(|number| forge::log_with(forge::person(number)));
        let of_alice = of_alice.chain([LogId::own(alice.id())]);
        let logs = of_alice.map(|log| (&self.node.store, alice, log));
        for (store, writer, log) in logs.chain([(bobs_store, bob, forge::log_with(bob))]) {
            for row in checks::rows_of(store, log) {
                let signed = Signed::<Entry>::decode(&row.envelope);
                let signed = signed.expect("what is stored is well-formed");
                if *signed.signer() == *writer.devices[0].public() {
                    self.forge.silent(&signed);
                }
            }
        }
    }

    fn learn_one(&mut self, place: Place) {
        let row = self.node.store.entry(place).expect("the store can be read");
        let row = row.expect("what is announced is stored");
        let signed = Signed::<Entry>::decode(&row.envelope).expect("what is stored is well-formed");
        let device = DeviceId::from_bytes(*signed.signer());
        let mark = Mark { device, seq: place.seq, id: row.position.id };
        if !self.forge.known.iter().any(|known| known.mark == mark) {
            let carried =
                CarriedEntry { envelope: row.envelope.clone(), body: row.body.into_bytes() };
            self.forge.learn(Known { log: signed.claim().log, mark, depth: row.depth, carried });
        }
    }

    /// Bob's phone connects and greets as it once did.
    fn greet(&mut self) {
        let link = self.link_up(TRANSPORTS.0, TRANSPORTS.1);
        for bytes in &SETTING.greeting {
            self.input(Input::Frame { link, bytes: bytes.clone() });
        }
    }

    fn link_up(&mut self, own: &[u8], peer: &[u8]) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.links.insert(link, Ends { own: own.into(), peer: peer.into() });
        self.input(Input::LinkUp {
            link,
            own_transport: own.into(),
            peer_transport: peer.into(),
            relayed: false,
        });
        link
    }

    /// Hands an input to Alice's engine and checks the rules.
    fn input(&mut self, input: Input) {
        let links = self.links.len();
        let asked = matches!(input, Input::Command { .. });
        let out = self.node.handle(input).expect("a store in memory does not fail");
        checks::outputs(&self.node, &out, links);
        let answers = out.iter().filter(|output| matches!(output, Output::Answered { .. })).count();
        assert_eq!(answers, usize::from(asked), "each command is answered once");
        for output in out {
            match output {
                Output::Send { link, bytes } => {
                    assert!(
                        self.links.contains_key(&link),
                        "nothing is sent on a link that is down"
                    );
                    if link == self.bobs_link() && self.to_bob.len() < WAITING_MAX {
                        self.to_bob.push_back(bytes);
                    }
                }
                Output::Close { link } => {
                    assert!(self.links.remove(&link).is_some(), "a link is closed once");
                }
                Output::Event(Event::Entry { place, .. }) => self.learn_one(place),
                Output::Event(Event::Delivery { .. }) => self.delivered = true,
                Output::Search { keys, .. } => {
                    self.sought.extend(keys);
                    let over = self.sought.len().saturating_sub(WAITING_MAX);
                    self.sought.drain(..over);
                }
                _ => {}
            }
        }
        assert_eq!(self.node.engine.link_count(), self.links.len());
        assert!(self.node.engine.device_count() <= self.links.len());
        assert!(self.links.len() <= LINKS_MAX);
        checks::state(&self.node);
    }

    /// The newest link to Bob's genuine engine.
    fn bobs_link(&self) -> LinkId {
        let bobs = self.links.iter().rev().find(|(_, ends)| *ends.peer == *TRANSPORTS.1);
        bobs.map_or(BOBS_LINK, |(link, _)| *link)
    }

    fn link(&self, number: u8) -> LinkId {
        let index = usize::from(number).checked_rem(self.links.len());
        index.and_then(|index| self.links.keys().nth(index)).copied().unwrap_or(LinkId(0))
    }

    fn frame(&mut self, link: u8, frame: &Frame) {
        self.bytes(link, frame.encode());
    }

    fn bytes(&mut self, link: u8, bytes: Vec<u8>) {
        let link = self.link(link);
        self.input(Input::Frame { link, bytes });
    }

    pub(super) fn carry_out(&mut self, operation: Operation) {
        match operation {
            Operation::Tick { ms } => self.tick(u64::from(ms)),
            Operation::Clock { minutes } => {
                self.ahead_minutes = minutes;
                self.set_clock();
            }
            Operation::Raw { link, bytes } => self.bytes(link, bytes.0),
            Operation::Changed { link, frame, edits } => {
                let bytes = changed(self.genuine(frame), &edits);
                self.bytes(link, bytes);
            }
            Operation::Entries { link, entries } => self.entries(link, &entries),
            Operation::Again { link, which, bare } => self.again(link, &which, bare),
            Operation::Flood { link, device, count, manner } => {
                self.flood(link, device, count, manner);
            }
            Operation::Frontier { link, device, manner, received, read } => {
                let frame = self.forge.frontier(device, manner, &received, &read);
                self.frame(link, &frame);
            }
            Operation::LinkUp { peer } => {
                let transport = [peer; 20];
                self.link_up(b"alice on another link", &transport);
            }
            Operation::LinkDown { link } => {
                let link = self.link(link);
                self.links.remove(&link);
                self.input(Input::LinkDown { link });
            }
            Operation::Listening { count } => {
                let addresses = forge::addresses(count % 17);
                self.input(Input::Listening { addresses });
            }
            Operation::Finding { is_on } => {
                self.input(Input::Finding { is_on });
                self.bob(Input::Listening { addresses: forge::addresses(3) });
                self.bob(Input::Finding { is_on });
            }
            Operation::Found { key, record, edits } => self.found(key, record, &edits),
            Operation::Restart { backup } => self.restart(backup),
            other => self.talk(other),
        }
        if std::mem::take(&mut self.delivered) && self.node.store.entry_count() <= OFTEN_MAX {
            checks::delivery(&self.node, &mut self.states);
        }
    }

    /// Operations in which somebody introduces themselves or wants something.
    fn talk(&mut self, operation: Operation) {
        match operation {
            Operation::Hello { link, device, others } => {
                let Some(ends) = self.ends(link) else { return };
                self.frame(link, &forge::hello(device, others, &ends));
            }
            Operation::Certificate { link, device, flaws } => {
                let Some(ends) = self.ends(link) else { return };
                self.frame(link, &forge::certificate(device, flaws, &ends, self.time));
            }
            Operation::Request { link, device, flaws, text } => {
                let Some(ends) = self.ends(link) else { return };
                let text = String::from_utf8_lossy(&text.0);
                if let Some(request) = forge::request(device, flaws, &text, &ends) {
                    self.frame(link, &request);
                }
            }
            Operation::Command { what, person, choice, text } => {
                let text = String::from_utf8_lossy(&text.0).into_owned();
                let command = self.command(what, forge::person(person), choice, text);
                self.input(Input::Command { id: CommandId(1), command });
            }
            Operation::Peer { what, text } => {
                let text = String::from_utf8_lossy(&text.0).into_owned();
                let command = self.command(what, &CAST.alice, what, text);
                self.bob(Input::Command { id: CommandId(1), command });
            }
            Operation::Carry { count, fate } => self.carry(count, fate),
            _ => {}
        }
    }

    fn ends(&self, link: u8) -> Option<Ends> {
        self.links.get(&self.link(link)).cloned()
    }

    fn tick(&mut self, ms: u64) {
        self.time = self.time.plus_millis(ms);
        self.node.wait(ms);
        self.set_clock();
        self.input(Input::Tick);
        let deadline = self.node.engine.deadline();
        assert!(
            deadline.is_none_or(|(at, _)| at > self.node.uptime),
            "after a tick there is nothing left to do: {deadline:?} at {:?}",
            self.node.uptime
        );
        if let Some(bob) = &mut self.bob {
            bob.wait(ms);
            self.bob(Input::Tick);
        }
    }

    fn set_clock(&mut self) {
        let ahead_ms = i64::from(self.ahead_minutes) * MINUTE_MS;
        let now = self.time.millis().saturating_add_signed(ahead_ms);
        self.node.now = Timestamp::from_millis(now);
    }

    fn genuine(&self, number: u8) -> Vec<u8> {
        let frames: Vec<&Vec<u8>> =
            SETTING.genuine.iter().chain(&SETTING.greeting).chain(&self.from_bob).collect();
        frames[usize::from(number) % frames.len()].clone()
    }

    fn entries(&mut self, link: u8, plans: &[EntryPlan]) {
        let made: Vec<(LogId, CarriedEntry)> =
            plans.iter().map(|plan| self.forge.entry(plan, self.time)).collect();
        let Some((log, _)) = made.first() else { return };
        let log = *log;
        let entries = made.into_iter().map(|(_, carried)| carried).collect();
        self.frame(link, &Frame::Entries { log, entries });
    }

    fn again(&mut self, link: u8, which: &[u8], bare: bool) {
        let chosen: Vec<&Known> = which.iter().filter_map(|n| self.forge.pick(*n)).collect();
        let Some(log) = chosen.first().map(|known| known.log) else { return };
        let entries = chosen
            .into_iter()
            .map(|known| CarriedEntry {
                envelope: known.carried.envelope.clone(),
                body: known.carried.body.clone().filter(|_| !bare),
            })
            .collect();
        self.frame(link, &Frame::Entries { log, entries });
    }

    fn found(&mut self, key: u8, record: u8, edits: &[Edit]) {
        let index = usize::from(record).checked_rem(self.left.len());
        let left = index.and_then(|index| self.left.get(index)).cloned();
        let (own, value) =
            left.unwrap_or_else(|| (RecordKey::from_bytes([record; 32]), [0; 4].into()));
        let index = usize::from(key).checked_rem(self.sought.len()).filter(|_| key != 0xff);
        let key = index.and_then(|index| self.sought.get(index)).copied().unwrap_or(own);
        self.input(Input::Found { key, value: changed(value.into(), edits) });
    }

    fn flood(&mut self, link: u8, device: u8, count: u16, manner: u8) {
        self.floods += 1;
        if self.floods > FLOODS_MAX {
            return;
        }
        let count = if count < LARGE { 1 + count % FLOOD_SMALL } else { FLOOD_LARGE };
        let (log, mut entries) = self.forge.flood(device, count, manner & 1 != 0);
        let first = entries.remove(0);
        if manner & 2 != 0 {
            entries.reverse();
        }
        let size = if manner & 4 != 0 { 20 } else { 500 };
        let before = self.node.engine.pending_count();
        for batch in entries.chunks(size) {
            self.frame(link, &Frame::Entries { log, entries: batch.to_vec() });
        }
        assert!(self.node.engine.pending_count() <= before + PENDING_ENTRIES_MAX);
        if manner & 8 != 0 {
            self.frame(link, &Frame::Entries { log, entries: vec![first] });
        }
    }

    fn command(&self, what: u8, person: &Person, choice: u8, text: String) -> Command {
        let account = person.id();
        match what % 13 {
            0 => Command::Send {
                to: account,
                text: match choice {
                    0xfe => "x".repeat(60_000),
                    0xff => "x".repeat(60_001),
                    _ => text,
                },
                reply_to: self.forge.pick(choice).filter(|_| choice > 0x80).map(|k| k.mark.id),
            },
            1 => Command::AddContact {
                card: Box::new(ContactCard {
                    account: person.account.clone(),
                    name: text.chars().take(16).collect(),
                    addresses: forge::addresses(choice % 17),
                    knocks: Vec::new(),
                }),
                name: (choice & 32 != 0).then(|| text.clone()),
                greeting: text,
            },
            2 => Command::Accept(account),
            3 => Command::Block(account),
            4 => Command::Unblock(account),
            5 => Command::Remove(account),
            6 => Command::Rename(account, text),
            7 => Command::MarkRead(account),
            8 => Command::SetReadReceipts(choice & 1 != 0),
            9 => Command::LookFor { id: SharedId::of(&person.account), name: None, greeting: text },
            10 => Command::StopLooking(SharedId::of(&person.account)),
            11 => Command::SetFindable(choice & 1 != 0),
            _ => Command::SetRelayOnly(choice & 1 != 0),
        }
    }

    /// Hands an input to Bob's engine, which is started when it is first needed.
    fn bob(&mut self, input: Input) {
        if self.bob.is_none() {
            let mut bob = Node::start(&CAST.bob, "Bob", self.bobs_store.clone(), self.time);
            let out = bob.handle(Input::LinkUp {
                link: BOBS_LINK,
                own_transport: TRANSPORTS.1.into(),
                peer_transport: TRANSPORTS.0.into(),
                relayed: false,
            });
            self.bob = Some(bob);
            self.bob_said(out.expect("a store in memory does not fail"));
        }
        if let Some(bob) = &mut self.bob {
            let out = bob.handle(input).expect("a store in memory does not fail");
            checks::state(bob);
            self.bob_said(out);
        }
    }

    fn bob_said(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { bytes, .. } if self.from_bob.len() < WAITING_MAX => {
                    self.from_bob.push_back(bytes);
                }
                Output::Publish { records, .. } => {
                    self.left.extend(records);
                    let over = self.left.len().saturating_sub(WAITING_MAX);
                    self.left.drain(..over);
                }
                _ => {}
            }
        }
    }

    /// Carries frames both ways; one in eight may meet a fate.
    fn carry(&mut self, count: u8, fate: u8) {
        for step in 0..count % 32 {
            let meets_fate = fate != 0 && step % 8 == fate & 7;
            let change = |mut bytes: Vec<u8>| {
                if meets_fate {
                    let at = usize::from(fate) * 31 % bytes.len().max(1);
                    bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1);
                }
                bytes
            };
            let times = match fate >> 6 {
                0 if meets_fate => 0,
                1 if meets_fate => 2,
                _ => 1,
            };
            if let Some(bytes) = self.to_bob.pop_front() {
                for _ in 0..times {
                    let bytes = if fate >> 6 == 2 { change(bytes.clone()) } else { bytes.clone() };
                    self.bob(Input::Frame { link: BOBS_LINK, bytes });
                }
            }
            if let Some(bytes) = self.from_bob.pop_front() {
                for _ in 0..times {
                    let bytes = if fate >> 6 == 3 { change(bytes.clone()) } else { bytes.clone() };
                    let link = self.bobs_link();
                    self.input(Input::Frame { link, bytes });
                }
            }
        }
    }

    /// Alice's node starts again, with what it had stored or from the beginning of the run.
    fn restart(&mut self, backup: bool) {
        self.check();
        let store = if backup { SETTING.alice.clone() } else { self.node.store.clone() };
        let again = Node::start(&CAST.alice, "Alice", store, self.node.now);
        if backup {
            self.states.clear();
        } else {
            checks::same(&self.node, &again);
        }
        self.node = again;
        self.links.clear();
        if let Some(bob) = self.bob.take() {
            self.bobs_store = bob.store;
        }
        self.to_bob.clear();
        self.from_bob.clear();
        self.greet();
    }

    fn check(&mut self) {
        self.learn_silent();
        checks::delivery(&self.node, &mut self.states);
        checks::history(&self.node);
        checks::logs(&self.node.store, &self.forge.authentic());
        for (_, evidence) in
            self.node.store.records(kith_core::store::RecordKind::Evidence).expect("memory is read")
        {
            let envelopes =
                Reader::all(&evidence, |r| r.list("evidence", 2, |r| r.bytes("envelope", 1 << 16)));
            assert!(!envelopes.expect("evidence is well-formed").is_empty());
        }
    }

    pub(super) fn finish(mut self) {
        self.check();
        let rows = checks::rows_of(&self.node.store, forge::log_with(&CAST.bob));
        let signed = |row: &EntryRow| {
            Signed::<Entry>::decode(&row.envelope).is_ok_and(|entry| entry.signature_holds())
        };
        // A chain whose newest entry only a refused one makes certain cannot be handed on.
        let newest: BTreeMap<AuthorNumber, &EntryRow> =
            rows.iter().map(|row| (row.place.author, row)).collect();
        if rows.len() <= OFTEN_MAX && newest.into_values().all(signed) {
            Self::hand_on(&rows, rows.len().is_multiple_of(2));
        }
    }

    /// Another holder of the log takes in the headers that this one has, as sync brings them or one
    /// by one from the end, and shows the same.
    fn hand_on(rows: &[EntryRow], at_once: bool) {
        let mut other = Self::new();
        other.time = START.plus_millis(DECADE_MS);
        other.set_clock();
        let carried = |row: &EntryRow| CarriedEntry { envelope: row.envelope.clone(), body: None };
        let log = forge::log_with(&CAST.bob);
        if at_once {
            let entries = rows.iter().map(carried).collect();
            other.frame(0, &Frame::Entries { log, entries });
        } else {
            for row in rows.iter().rev() {
                other.frame(0, &Frame::Entries { log, entries: vec![carried(row)] });
            }
        }
        let shown = checks::rows_of(&other.node.store, log);
        let positions = |rows: &[EntryRow]| -> Vec<_> {
            rows.iter().map(|row| (row.position, row.depth)).collect()
        };
        assert_eq!(positions(&shown), positions(rows), "every holder shows the same");
        assert_eq!(other.node.engine.pending_count(), 0);
    }
}

fn changed(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        let at = usize::from(edit.at) % (bytes.len() + 1);
        match edit.what % 5 {
            0 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= edit.byte),
            1 => bytes.insert(at, edit.byte),
            2 => drop(bytes.drain(at..(at + usize::from(edit.byte)).min(bytes.len()))),
            3 => bytes.truncate(at),
            _ => {
                let end = (at + usize::from(edit.byte)).min(bytes.len());
                bytes.extend_from_within(at..end);
            }
        }
    }
    bytes
}
