//! Does a thief lose, whatever the order? One stolen device, everything that it may do, and the
//! owner, who notices after a while.

use kith_common::{
    account::{Standing, Untrust},
    time::Timestamp,
};
use kith_core::{
    contacts::{Status, Validity},
    engine::Command,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_core::Rng;

use super::{
    BEGIN_MS, World,
    malice::Trick,
    network::Weather,
    thief::{FAKES_MAX, Thief},
};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: i64 = 60 * 60 * 1000;
/// Time in which all must agree in the end.
const SETTLE_MS: u64 = 15 * MINUTE_MS;

/// What a thief may do in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// A vote against one of the others, who is believed from then on no more.
    Accuse,
    /// The same, and believed no more since long ago.
    AccuseSince,
    /// A device that never was.
    Fake,
    /// A message, dated now.
    Say,
    /// A message that seems old.
    Backdate,
    /// A message of a fake.
    FakeSays,
    /// Another history.
    Fork,
    /// The device as it was before.
    RollBack,
    /// Frames of others, again; frames that are none.
    Noise,
    /// Some get nothing from the thief.
    Withhold,
    /// Names, statuses, drafts.
    Meddle,
    /// Deletes single messages.
    Delete,
    /// Deletes a conversation, to rest for a day.
    Clear,
    /// Signs a list of devices.
    List,
}

impl Deed {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Accuse,
        Self::AccuseSince,
        Self::Fake,
        Self::Say,
        Self::Backdate,
        Self::FakeSays,
        Self::Fork,
        Self::RollBack,
        Self::Noise,
        Self::Withhold,
        Self::Meddle,
        Self::Delete,
        Self::Clear,
        Self::List,
    ];
}

/// What an owner may do beside voting on the thief.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whim {
    /// Votes on the thief, and believes it no more since some time.
    Since,
    /// Votes against an own device, once.
    Mistake,
    /// Signs a list of the devices that one of them knows.
    List,
    /// Deletes the conversation.
    Clear,
    /// Recovers the account by its words.
    Recover,
    /// The thief and somebody else do not reach each other any more.
    Apart,
}

impl Whim {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Since, Self::Mistake, Self::List, Self::Clear, Self::Recover, Self::Apart];
}

/// A theft from beginning to end, with these deeds.
pub fn run(seed: u64, test: &'static str, deeds: &[Deed]) -> World {
    run_with(seed, test, deeds, &[])
}

/// The same, with an owner who does more than to vote.
pub fn run_with(seed: u64, test: &'static str, deeds: &[Deed], whims: &[Whim]) -> World {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x0074_6869_6566);
    let mut world = World::new(seed, test);
    world.entries_go = true;
    let devices = 2 + pick(&mut rng, 3);
    let alice = world.person("alice", devices);
    let bobs = 1 + pick(&mut rng, 2);
    let bob = world.person("bob", bobs);
    world.run_ms(10);
    world.tell_own_places(alice);
    world.tell_own_places(bob);
    world.befriend(alice, bob);
    world.run_ms(2 * MINUTE_MS);
    let mut play = Play {
        rng,
        alice,
        bob,
        messages: 0,
        forked: false,
        noticed: false,
        mistaken: false,
        decided: false,
    };
    for _ in 0..play.below(8) {
        play.honest_act(&mut world);
    }
    world.run_ms(2 * MINUTE_MS);
    let stolen = world.people[alice].nodes[play.one_of(devices)];
    let mut thief = Thief::new(&mut world, stolen);
    world.weather = play.weather();
    let notices = play.below(20);
    for step in 0..20 + play.below(10) {
        let pause_ms = play.below(8000);
        world.run_ms(pause_ms);
        if play.below(2) == 0 {
            let deed = deeds[play.one_of(deeds.len())];
            play.deed(&mut world, &mut thief, deed);
        } else {
            play.honest_act(&mut world);
        }
        if step >= notices && play.below(3) == 0 {
            play.answer(&mut world, &thief);
        }
        if !whims.is_empty() && play.below(4) == 0 {
            let whim = whims[play.one_of(whims.len())];
            play.whim(&mut world, &thief, whim);
        }
    }
    play.end(&mut world, &thief);
    world
}

fn pick(rng: &mut ChaCha8Rng, end: usize) -> usize {
    usize::try_from(rng.next_u64() % end.max(1) as u64).unwrap_or(0)
}

struct Play {
    rng: ChaCha8Rng,
    alice: usize,
    bob: usize,
    messages: u64,
    forked: bool,
    noticed: bool,
    mistaken: bool,
    /// The owner has done more than to vote on the thief: what the account is now is open.
    decided: bool,
}

impl Play {
    fn below(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end.max(1)
    }

    fn one_of(&mut self, count: usize) -> usize {
        pick(&mut self.rng, count)
    }

    fn text(&mut self, what: &str) -> String {
        self.messages += 1;
        format!("{what} {}", self.messages)
    }

    fn weather(&mut self) -> Weather {
        let calm = self.below(2) == 0;
        let mut some = |end| if calm { 0 } else { self.below(end) };
        Weather {
            loss_per_mille: some(80),
            double_per_mille: some(60),
            reorder_per_mille: some(100),
            break_per_mille: some(20),
            crash_per_mille: some(15),
            latency_ms_min: 1 + self.below(40),
            latency_ms_spread: self.below(200),
            group_ms: self.below(6),
        }
    }

    /// Somebody honest does what people do.
    fn honest_act(&mut self, world: &mut World) {
        let honest: Vec<usize> = (0..world.nodes.len())
            .filter(|node| world.nodes[*node].honest && world.nodes[*node].joiner.is_none())
            .collect();
        let node = honest[self.one_of(honest.len())];
        let other = if world.nodes[node].person == self.alice { self.bob } else { self.alice };
        let with = world.account(other);
        match self.below(20) {
            0..10 => {
                let text = self.text(&format!("by {}", world.nodes[node].name));
                world.say(node, other, &text);
            }
            10 | 11 => world.command(node, Command::MarkRead(with)),
            12 => {
                let text = self.text("draft");
                world.command(node, Command::KeepDraft { to: with, text });
            }
            13 => {
                let name = self.text("name");
                world.command(node, Command::Rename(with, name));
            }
            14 => world.crash(node),
            15 => world.set_connected(node, false),
            16 | 17 => world.set_connected(node, true),
            18 => self.delete(world, node, other),
            _ => {
                let side = (0..world.nodes.len()).map(|_| u8::from(self.below(2) == 0)).collect();
                let heal = self.below(2) == 0;
                if heal { world.join_network() } else { world.partition(side, false) }
            }
        }
    }

    fn delete(&mut self, world: &mut World, node: usize, other: usize) {
        if !world.nodes[node].is_running() {
            return;
        }
        let with = world.account(other);
        let shown = world.history(node, with, 20);
        if !shown.is_empty() {
            let entries = vec![shown[self.one_of(shown.len())].id];
            world.command(node, Command::Delete { with, entries });
        }
    }

    fn deed(&mut self, world: &mut World, thief: &mut Thief, deed: Deed) {
        let with = world.account(self.bob);
        let node = thief.node;
        match deed {
            Deed::Accuse => self.accuse(world, thief, None),
            Deed::AccuseSince => {
                let since = self.below(world.now_ms());
                self.accuse(world, thief, Some(since));
            }
            Deed::Fake if thief.fakes.len() < FAKES_MAX => thief.add_fake(world),
            Deed::Say => {
                let text = self.text("thief");
                thief.say(world, node, self.bob, &text, 0);
            }
            Deed::Backdate => {
                let text = self.text("thief, backdated");
                let back_ms = i64::try_from(self.below(100)).unwrap_or(0) * HOUR_MS;
                thief.say(world, node, self.bob, &text, back_ms);
            }
            Deed::Fake | Deed::FakeSays => {
                if !thief.fakes.is_empty() {
                    let fake = thief.fakes[self.one_of(thief.fakes.len())];
                    let text = self.text("fake");
                    thief.say(world, fake, self.bob, &text, 0);
                }
            }
            Deed::Fork => {
                self.forked = true;
                let text = self.text("thief, forked");
                thief.fork(world, self.bob, &text);
            }
            Deed::RollBack => {
                self.forked = true;
                thief.roll_back(world);
            }
            Deed::Noise => {
                let tricks = [Trick::Replay, Trick::Garbage, Trick::Truncated, Trick::HelloFlood];
                let trick = tricks[self.one_of(tricks.len())];
                world.misbehave(node, trick);
            }
            Deed::Withhold => {
                let away = self.below(2) == 0;
                world.set_connected(node, !away);
            }
            Deed::Meddle => {
                let text = self.text("meddled");
                let command = match self.below(4) {
                    0 => Command::Rename(with, text),
                    1 => Command::Block(with),
                    2 => Command::SetName(text),
                    _ => Command::KeepDraft { to: with, text },
                };
                world.command(node, command);
            }
            Deed::Delete => self.delete(world, node, self.bob),
            Deed::Clear => {
                let authority = world.nodes[node].authority();
                let clear = Command::Clear { with, before: None, authority };
                world.command(node, clear);
            }
            Deed::List => {
                let authority = world.nodes[node].authority();
                world.command(node, Command::Settle { devices: vec![], authority });
            }
        }
    }

    fn accuse(&mut self, world: &mut World, thief: &Thief, since_ms: Option<u64>) {
        let owners = world.people[self.alice].nodes.clone();
        for owner in owners {
            if owner != thief.node && self.below(2) == 0 {
                thief.accuse(world, owner, since_ms);
            }
        }
    }

    /// The owner votes on one of the devices that are left.
    fn answer(&mut self, world: &mut World, thief: &Thief) {
        let owners = world.people[self.alice].nodes.clone();
        let node = owners[self.one_of(owners.len())];
        if node != thief.node {
            self.noticed = true;
            let since = None;
            vote(world, node, thief.node, since);
        }
    }

    fn whim(&mut self, world: &mut World, thief: &Thief, whim: Whim) {
        let owners = world.people[self.alice].nodes.clone();
        let honest: Vec<usize> = owners.into_iter().filter(|node| *node != thief.node).collect();
        let node = honest[self.one_of(honest.len())];
        let authority = world.nodes[node].authority();
        let with = world.account(self.bob);
        self.decided |= !matches!(whim, Whim::Clear | Whim::Apart | Whim::Since);
        match whim {
            Whim::Since => {
                let since = self.some_time(world);
                vote(world, node, thief.node, Some(since));
            }
            Whim::Mistake => {
                let about = honest[self.one_of(honest.len())];
                if about != node && !std::mem::replace(&mut self.mistaken, true) {
                    vote(world, node, about, None);
                }
            }
            Whim::List => {
                world.command(node, Command::Settle { devices: vec![], authority });
            }
            Whim::Clear => {
                world.command(node, Command::Clear { with, before: None, authority });
            }
            Whim::Recover => {
                let recovery = world.people[self.alice].recovery();
                let keep = honest.iter().map(|node| world.nodes[*node].device).collect();
                let since = (self.below(2) == 0).then(|| self.some_time(world));
                world.command(node, Command::Recover { recovery, keep, without: vec![], since });
            }
            Whim::Apart => {
                let other = self.one_of(world.nodes.len());
                world.keep_apart(thief.node, other);
            }
        }
    }

    fn some_time(&mut self, world: &World) -> Timestamp {
        Timestamp::from_millis(BEGIN_MS + self.below(world.now_ms()))
    }

    fn end(&mut self, world: &mut World, thief: &Thief) {
        world.heal();
        world.run_ms(MINUTE_MS);
        let owners = world.people[self.alice].nodes.clone();
        let mut honest: Vec<usize> =
            owners.iter().copied().filter(|node| *node != thief.node).collect();
        for node in &honest {
            vote(world, *node, thief.node, None);
            let pause_ms = self.below(5000);
            world.run_ms(pause_ms);
        }
        world.run_ms(MINUTE_MS);
        if self.decided {
            // Whom the others have put out for good by mistake is no device of hers any more.
            honest.retain(|node| !is_out(world, *node));
        }
        if honest.is_empty() {
            // She has put out every device of hers: the words alone are left, on a new one.
            return;
        }
        if self.decided || 2 * honest.len() <= owners.len() {
            self.recover(world, thief, &honest);
        }
        world.settle_by_reference(SETTLE_MS);
        self.check(world, thief, &honest);
    }

    /// Nobody has a majority: contacts are warned, and the words decide.
    fn recover(&self, world: &mut World, thief: &Thief, honest: &[usize]) {
        // A device that was not reached is tried again within a minute and a quarter.
        world.run_ms(2 * MINUTE_MS);
        let at_owner = world.nodes[honest[0]].engine();
        let disputed = at_owner.identity().account.is_disputed();
        // Whom the thief has blocked hears nothing, until the owner sees it.
        let bob = at_owner.contact(world.account(self.bob));
        let met = bob.is_some_and(|contact| contact.status == Status::Contact);
        for node in world.standing(self.bob) {
            let contact = world.nodes[node].engine().contact(world.account(self.alice));
            if let Some(contact) = contact.filter(|_| disputed && met) {
                let at = &world.nodes[node].name;
                assert_eq!(contact.validity, Validity::Compromised, "{at} is not warned");
            }
        }
        let recovery = world.people[self.alice].recovery();
        let keep = honest.iter().map(|node| world.nodes[*node].device).collect();
        world.command(honest[0], Command::Recover { recovery, keep, without: vec![], since: None });
        assert!(!honest.contains(&thief.node));
    }

    fn check(&self, world: &World, thief: &Thief, honest: &[usize]) {
        let at = world.nodes[honest[0]].engine();
        let account = &at.identity().account;
        let standing: Vec<usize> = account
            .devices()
            .map(|device| world.node_of(device).expect("every device has a node"))
            .collect();
        for node in honest {
            assert!(standing.contains(node), "{} is out", world.nodes[*node].name);
        }
        assert_eq!(standing.len(), honest.len(), "somebody else is in: {standing:?}");
        for node in thief.fakes.iter().chain([&thief.node]) {
            let standing = account.standing(world.nodes[*node].device);
            let out = matches!(standing, None | Some(Standing::Former(_)));
            assert!(out, "{} is {standing:?}", world.nodes[*node].name);
        }
        world.check_honest_words();
        for node in world.standing(self.bob) {
            let contact = world.nodes[node].engine().contact(world.account(self.alice));
            let validity = contact.expect("they know each other").validity;
            assert!(self.forked || validity != Validity::Compromised, "nothing is clear again");
        }
    }
}

/// Whether a device knows that it is out for good.
fn is_out(world: &World, node: usize) -> bool {
    let at = &world.nodes[node];
    let standing = at.engine().identity().account.standing(at.device);
    !matches!(standing, Some(Standing::Former(former)) if !former.is_final)
        && !standing.is_some_and(|standing| standing.stands() || standing == Standing::Disputed)
}

fn vote(world: &mut World, by: usize, about: usize, since: Option<Timestamp>) {
    let (device, authority) = (world.nodes[about].device, world.nodes[by].authority());
    let why = Untrust::Stolen;
    world.command(by, Command::Untrust { device, why, since, authority });
}
