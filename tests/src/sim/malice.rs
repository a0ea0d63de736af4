//! What can a device do that lies? A real engine keeps the session up; beside it, forged frames.

use kith_common::{
    entry::{Entry, EntryKind, Mark, Text, hash_body},
    envelope::sign,
    frame::{CarriedEntry, Frame, TAG_BYTES},
    frontier::Frontier,
    ids::{DeviceId, EntryId},
    keys::SigningKey,
    limits::{BODY_SALT_BYTES, FRAME_BYTES_MAX},
    time::Hlc,
};
use rand_core::Rng;

use super::World;

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// Another entry with a number that is taken.
    Fork,
    /// An entry that claims to be much older than it is.
    Backdated,
    /// An entry from the day after tomorrow.
    Future,
    /// An entry whose signature is broken.
    BadSignature,
    /// An entry in the victim's name.
    Forged,
    /// A body that its entry does not name.
    WrongBody,
    /// Many entries that name what does not exist.
    PendingFlood,
    /// Somebody else's log.
    OtherLog,
    /// A frontier that claims what was never written, or another entry than was.
    FalseMarks,
    /// A frame cut short.
    Truncated,
    /// A frame that is too large.
    Oversized,
    /// A frame with something behind it.
    Trailing,
    /// Random bytes.
    Garbage,
    /// Frames that others have sent to others.
    Replay,
    /// Many hellos.
    HelloFlood,
    /// Many requests that open for nobody.
    RequestFlood,
}

impl Trick {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Fork,
        Self::Backdated,
        Self::Future,
        Self::BadSignature,
        Self::Forged,
        Self::WrongBody,
        Self::PendingFlood,
        Self::OtherLog,
        Self::FalseMarks,
        Self::Truncated,
        Self::Oversized,
        Self::Trailing,
        Self::Garbage,
        Self::Replay,
        Self::HelloFlood,
        Self::RequestFlood,
    ];
}

/// An entry that is made up, with its body.
pub fn entry_of(key: &SigningKey, mut entry: Entry, text: &str) -> CarriedEntry {
    let text = Text { text: text.to_owned(), reply_to: None };
    let body = text.encode([3; BODY_SALT_BYTES]);
    entry.body_hash = hash_body(&body);
    entry.body_bytes = body.len() as u64;
    CarriedEntry { envelope: sign(key, entry).into_bytes(), body: Some(body.into()) }
}

/// The same entry with its signature broken.
pub fn spoiled(mut entry: CarriedEntry) -> CarriedEntry {
    if let Some(last) = entry.envelope.last_mut() {
        *last ^= 1;
    }
    entry
}

impl World {
    /// From now on a person's devices lie.
    pub fn corrupt(&mut self, person: usize) {
        for node in self.people[person].nodes.clone() {
            self.nodes[node].honest = false;
            self.book.liars.insert(self.nodes[node].device);
        }
    }

    /// Plays a trick on whoever is at the other end of some wire of a node.
    pub fn misbehave(&mut self, node: usize, trick: Trick) {
        let up: Vec<usize> = (0..self.wires.len())
            .filter(|wire| self.wires[*wire].is_up && self.wires[*wire].touches(node))
            .collect();
        if up.is_empty() {
            return;
        }
        let pick = self.below(up.len() as u64);
        let wire = up[usize::try_from(pick).unwrap_or(0)];
        let victim_end = usize::from(self.wires[wire].ends[0].node == node);
        let victim = self.wires[wire].ends[victim_end].node;
        for bytes in self.trick(node, victim, trick) {
            self.carry(wire, victim_end, bytes);
        }
    }

    fn trick(&mut self, node: usize, victim: usize, trick: Trick) -> Vec<Vec<u8>> {
        let log = self.log(self.nodes[node].person, self.nodes[victim].person);
        let entries = |entries| vec![Frame::Entries { log, entries }.encode()];
        match trick {
            Trick::PendingFlood => entries(self.flood(node, victim)),
            Trick::FalseMarks => vec![self.false_marks(node, victim)],
            Trick::OtherLog => self.other_logs(node, victim),
            Trick::Truncated | Trick::Oversized | Trick::Trailing | Trick::Garbage => {
                vec![self.malformed(trick)]
            }
            Trick::Replay => self.overheard.iter().cloned().collect(),
            Trick::HelloFlood => (0..50)
                .map(|_| Frame::Hello { tags: vec![self.random::<TAG_BYTES>(); 64] }.encode())
                .collect(),
            Trick::RequestFlood => (0..50)
                .map(|_| Frame::Request { sealed: self.random::<200>().into() }.encode())
                .collect(),
            _ => entries(vec![self.bad_entry(node, victim, trick)]),
        }
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// The entry that would come next in a device's chain, as the victim has it.
    fn next_entry(&self, node: usize, victim: usize) -> Entry {
        let (own, other) = (&self.nodes[node], self.nodes[victim].person);
        let log = self.log(own.person, other);
        let view = self.book.views[victim].logs.get(&log);
        let last = view
            .into_iter()
            .flat_map(|view| view.values())
            .map(|id| &self.book.entries[id])
            .filter(|known| known.device == own.device)
            .max_by_key(|known| known.entry.seq);
        Entry {
            log,
            account: own.account,
            seq: last.map_or(1, |last| last.entry.seq + 1),
            prev: last.map(|last| last.position.id),
            parents: vec![],
            depth: last.map_or(1, |last| last.entry.depth + 1),
            hlc: Hlc::at(own.clock(self.now_ms)),
            account_head: EntryId::from_bytes([0; 32]),
            kind: EntryKind::TEXT,
            body_hash: [0; 32],
            body_bytes: 0,
        }
    }

    fn bad_entry(&mut self, node: usize, victim: usize, trick: Trick) -> CarriedEntry {
        let mut key = self.nodes[node].key();
        let mut entry = self.next_entry(node, victim);
        match trick {
            Trick::Fork if entry.seq > 1 => {
                let id = entry.prev.expect("not the first");
                let taken = &self.book.entries[&id].entry;
                entry = Entry { hlc: entry.hlc, ..taken.clone() };
            }
            Trick::Backdated => entry.hlc = Hlc::from_bits(1),
            Trick::Future => {
                let ahead = self.nodes[victim].clock(self.now_ms).plus_millis(48 * 60 * 60 * 1000);
                entry.hlc = Hlc::at(ahead);
            }
            Trick::Forged => {
                entry = Entry { account: self.nodes[victim].account, ..entry };
                key = self.nodes[victim].key();
            }
            _ => {}
        }
        let text = format!("forged {}", self.below(u64::MAX));
        let mut carried = entry_of(&key, entry, &text);
        if trick == Trick::WrongBody {
            carried.body = Some([5; 40].into());
        }
        if matches!(trick, Trick::BadSignature | Trick::Forged) {
            carried = spoiled(carried);
        }
        carried
    }

    fn flood(&mut self, node: usize, victim: usize) -> Vec<CarriedEntry> {
        let key = self.nodes[node].key();
        let other = self.nodes[victim].device;
        let next = self.next_entry(node, victim);
        (0..300)
            .map(|_| {
                let id = EntryId::from_bytes(self.random());
                let entry = match self.below(2) {
                    0 => Entry { seq: next.seq + 2, prev: Some(id), ..next.clone() },
                    _ => {
                        let parents = vec![Mark { device: other, seq: 1 + self.below(99), id }];
                        Entry { parents, ..next.clone() }
                    }
                };
                entry_of(&key, entry, "flood")
            })
            .collect()
    }

    fn other_logs(&mut self, node: usize, victim: usize) -> Vec<Vec<u8>> {
        let key = self.nodes[node].key();
        let next = self.next_entry(node, victim);
        let mut frames = Vec::new();
        for (one, other) in self.friends.clone() {
            let log = self.log(one, other);
            let entry = entry_of(&key, Entry { log, ..next.clone() }, "elsewhere");
            for claimed in [log, next.log] {
                let entries = vec![entry.clone()];
                frames.push(Frame::Entries { log: claimed, entries }.encode());
            }
        }
        frames
    }

    fn false_marks(&mut self, node: usize, victim: usize) -> Vec<u8> {
        let log = self.log(self.nodes[node].person, self.nodes[victim].person);
        let device = match self.below(3) {
            0 => self.nodes[node].device,
            1 => self.nodes[victim].device,
            _ => DeviceId::from_bytes(self.random()),
        };
        let seq = 1 + self.below(20);
        let mark = Mark { device, seq, id: EntryId::from_bytes(self.random()) };
        let frontier = Frontier { log, received: vec![mark], read: vec![mark] };
        let frontiers = vec![sign(&self.nodes[node].key(), frontier).into_bytes()];
        Frame::Frontiers { ask: self.chance(500), frontiers }.encode()
    }

    fn malformed(&mut self, trick: Trick) -> Vec<u8> {
        let mut bytes = self.overheard.back().cloned().unwrap_or_else(|| vec![0x82, 1]);
        match trick {
            Trick::Truncated => {
                let length = self.below(bytes.len() as u64);
                bytes.truncate(usize::try_from(length).unwrap_or(0));
            }
            Trick::Oversized => bytes.resize(FRAME_BYTES_MAX + 1, 0),
            Trick::Trailing => bytes.push(0),
            _ => bytes = self.random::<100>().to_vec(),
        }
        bytes
    }
}
