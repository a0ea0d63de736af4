//! What do people do, and what breaks meanwhile? Everything follows from the seed.

use core::ops::Range;

use kith_common::ids::EntryId;
use kith_core::engine::Command;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_core::Rng;

use super::{World, malice::Trick, network::Weather};

const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
const HOUR_MS: i64 = 60 * 60 * 1000;

/// Everything that one seed does, from the first hello to silence.
pub fn run(seed: u64, test: &'static str) -> World {
    play(seed, test, false)
}

/// The same, and new devices come in meanwhile.
pub fn run_growing(seed: u64, test: &'static str) -> World {
    play(seed, test, true)
}

/// People who know each other and never meet again: everything goes by mail, through mailboxes that
/// fail and lose what they have.
pub fn run_by_mail(seed: u64, test: &'static str) -> World {
    let mut world = World::new(seed, test);
    let mut plan = Plan::of(seed);
    plan.by_mail = true;
    plan.gather(&mut world);
    let weather = std::mem::take(&mut world.weather);
    world.settle();
    for _ in 0..=plan.below(2) {
        world.mailbox();
    }
    for person in 0..world.people.len() {
        let node = plan.pick(&world.people[person].nodes.clone());
        plan.choose(&mut world, node);
    }
    world.run_ms(60_000);
    world.weather = weather;
    world.keep_all_apart();
    for _ in 0..plan.below(plan.steps) {
        let pause_ms = plan.pick(&[100, 2_000, 10_000, 60_000, 600_000]);
        let pause_ms = plan.below(pause_ms);
        world.run_ms(pause_ms);
        plan.act(&mut world);
    }
    world.settle_by_mail();
    if plan.below(4) == 0 {
        world.settle();
        // A mailbox that was away is tried again within half an hour; what lies there is answered.
        world.run_ms(60 * 60 * 1000);
        world.check_silence();
    }
    world
}

fn play(seed: u64, test: &'static str, grows: bool) -> World {
    let mut world = World::new(seed, test);
    let mut plan = Plan::of(seed);
    plan.grows = grows;
    plan.gather(&mut world);
    for _ in 0..plan.below(plan.steps) {
        let pause_ms = plan.below(2500);
        world.run_ms(pause_ms);
        plan.act(&mut world);
    }
    world.settle();
    if plan.below(4) == 0 {
        world.restart_all();
    }
    if plan.mallory.is_none() {
        world.check_silence();
    }
    world
}

/// Random choices about one simulation.
struct Plan {
    rng: ChaCha8Rng,
    steps: u64,
    mallory: Option<usize>,
    messages: u64,
    grows: bool,
    by_mail: bool,
}

impl Plan {
    fn of(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed ^ 0x706c_616e);
        Self { rng, steps: 60, mallory: None, messages: 0, grows: false, by_mail: false }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end.max(1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let index = self.below(from.len() as u64);
        from[usize::try_from(index).unwrap_or(0)]
    }

    fn one_of(&mut self, range: Range<usize>) -> usize {
        range.start + usize::try_from(self.below(range.len() as u64)).unwrap_or(0)
    }

    /// People, who knows whom, and the weather.
    fn gather(&mut self, world: &mut World) {
        let weather = self.weather();
        let people = 2 + self.one_of(0..3);
        for name in &NAMES[..people] {
            let devices = self.pick(&[1, 1, 2, 3]);
            world.person(name, devices);
        }
        for node in 0..world.nodes.len() {
            world.nodes[node].skew_ms = self.skew();
        }
        if self.below(3) == 0 && !self.by_mail {
            let mallory = world.person("mallory", 1);
            world.corrupt(mallory);
            self.mallory = Some(mallory);
        }
        world.run_ms(10);
        for person in 0..world.people.len() {
            world.tell_own_places(person);
        }
        // Linking writes down where the others are; only then may a device crash.
        world.run_ms(10);
        world.weather = weather;
        let everybody = world.people.len();
        for one in 1..everybody {
            let other = self.one_of(0..one);
            self.introduce(world, one, other);
            let again = self.one_of(0..everybody);
            if again != one && self.below(2) == 0 {
                self.introduce(world, one, again);
            }
        }
        if self.below(2) == 0 {
            world.run_ms(5000);
        }
    }

    /// Both ask, or one asks and the other has yet to answer.
    fn introduce(&mut self, world: &mut World, one: usize, other: usize) {
        world.befriend_later(one, other);
        for (one, other) in [(one, other), (other, one)] {
            match self.below(3) {
                0 => world.ask(one, other),
                1 => {
                    let node = self.pick(&world.people[one].nodes.clone());
                    world.add_contact(node, other);
                }
                _ => {}
            }
        }
    }

    fn weather(&mut self) -> Weather {
        let calm = self.below(3) == 0;
        let mut some = |end| if calm { 0 } else { self.below(end) };
        Weather {
            loss_per_mille: some(150),
            double_per_mille: some(100),
            reorder_per_mille: some(200),
            break_per_mille: some(20),
            crash_per_mille: some(30),
            latency_ms_min: 1 + self.below(40),
            latency_ms_spread: self.below(200),
            group_ms: self.below(6),
        }
    }

    /// No two clocks are more than a day apart.
    fn skew(&mut self) -> i64 {
        let wide = i64::try_from(self.below(22)).unwrap_or(0) - 11;
        self.pick(&[0, 0, 0, wide * HOUR_MS, wide * 60_000])
    }

    fn act(&mut self, world: &mut World) {
        let node = self.one_of(0..world.nodes.len());
        if self.by_mail && self.below(5) == 0 {
            self.trouble_mail(world, node);
            return;
        }
        match self.below(100) {
            0..40 => self.say(world, node, 1),
            40..46 => self.say(world, node, 12),
            46..54 => self.read(world, node),
            54..58 => world.set_running(node, false),
            58..64 => world.set_running(node, true),
            64..67 => world.set_connected(node, false),
            67..72 => world.set_connected(node, true),
            72..75 => world.crash(node),
            75..83 if self.by_mail => {}
            75..79 => self.split(world),
            79..83 => world.join_network(),
            83..86 => world.nodes[node].skew_ms = self.skew(),
            86..88 => {
                let on = self.below(2) == 0;
                world.command(node, Command::SetReadReceipts(on));
            }
            88..90 => self.turn_away(world, node),
            90..92 => world.run_ms(90_000),
            92..95 => self.own_word(world, node),
            95 => self.link(world, node),
            _ => {
                let Some(mallory) = self.mallory else { return };
                for _ in 0..=self.below(4) {
                    let trick = self.pick(&Trick::ALL);
                    world.misbehave(world.people[mallory].nodes[0], trick);
                }
            }
        }
    }

    /// The person behind a node chooses some of the mailboxes.
    fn choose(&mut self, world: &mut World, node: usize) {
        let all: Vec<usize> = (0..world.mailboxes.len()).collect();
        let mut some: Vec<usize> = all.iter().copied().filter(|_| self.below(2) == 0).collect();
        if some.is_empty() {
            some = all;
        }
        world.choose_mailboxes(node, &some);
    }

    /// Mailboxes go down, come back, forget everything; somebody chooses others.
    fn trouble_mail(&mut self, world: &mut World, node: usize) {
        let server = self.one_of(0..world.mailboxes.len());
        match self.below(10) {
            0..3 => world.set_mailbox(server, false),
            3..6 => world.set_mailbox(server, true),
            6..8 => world.wipe_mailbox(server),
            8 => self.choose(world, node),
            _ => world.run_ms(3 * 60 * 60 * 1000),
        }
    }

    fn say(&mut self, world: &mut World, node: usize, count: u64) {
        let person = world.nodes[node].person;
        let others = world.friends_of(person);
        if others.is_empty() {
            return;
        }
        let to = self.pick(&others);
        for _ in 0..count {
            self.messages += 1;
            let mut text = format!("message {} by {}", self.messages, world.nodes[node].name);
            if self.below(60) == 0 {
                text.push_str(&" long".repeat(self.one_of(1..11_000)));
            }
            let reply_to = self.something_seen(world, node, to);
            world.reply(node, to, &text, reply_to);
        }
    }

    /// Now and then a message that the node shows, to be answered.
    fn something_seen(&mut self, world: &World, node: usize, with: usize) -> Option<EntryId> {
        if !world.nodes[node].is_running() || self.below(3) > 0 {
            return None;
        }
        let shown = world.history(node, world.account(with), 10);
        (!shown.is_empty()).then(|| shown[self.one_of(0..shown.len())].id)
    }

    fn read(&mut self, world: &mut World, node: usize) {
        let others = world.friends_of(world.nodes[node].person);
        if !others.is_empty() {
            let with = world.account(self.pick(&others));
            world.command(node, Command::MarkRead(with));
        }
    }

    fn split(&mut self, world: &mut World) {
        let side = (0..world.nodes.len()).map(|_| u8::from(self.below(2) == 0)).collect();
        let silently = self.below(2) == 0;
        world.partition(side, silently);
    }

    /// Something that all devices of the person must agree on in the end.
    fn own_word(&mut self, world: &mut World, node: usize) {
        self.messages += 1;
        let others = world.friends_of(world.nodes[node].person);
        let text = format!("word {}", self.messages);
        let command = match self.below(3) {
            0 => Command::SetName(text),
            1 => {
                let siblings = world.people[world.nodes[node].person].nodes.clone();
                let device = world.nodes[self.pick(&siblings)].device;
                Command::RenameDevice(device, text)
            }
            _ if others.is_empty() => return,
            _ => {
                let text = if self.below(3) == 0 { String::new() } else { text };
                Command::KeepDraft { to: world.account(self.pick(&others)), text }
            }
        };
        world.command(node, command);
    }

    /// A new device comes in.
    fn link(&mut self, world: &mut World, node: usize) {
        let (person, there) = (world.nodes[node].person, world.nodes[node].is_running());
        let few = world.people[person].nodes.len() < 4;
        if self.grows && there && few && world.nodes[node].honest && self.below(3) == 0 {
            world.link_device(node);
        }
    }

    /// Blocks, unblocks, removes or renames somebody; they find together again in the end.
    fn turn_away(&mut self, world: &mut World, node: usize) {
        let others = world.friends_of(world.nodes[node].person);
        if others.is_empty() {
            return;
        }
        let with = world.account(self.pick(&others));
        let command = match self.below(5) {
            0 => Command::Block(with),
            1 | 2 => Command::Unblock(with),
            3 => Command::Remove(with),
            _ => Command::Rename(with, "somebody".to_owned()),
        };
        world.command(node, command);
    }
}
