//! Alice has a phone, a tablet and a laptop, of which the laptop will be stolen; Carol has one device.
use kith_common::{account::Untrust, time::Timestamp};
use kith_core::engine::Command;
use kith_tests::sim::World;

pub(crate) const MINUTE: u64 = 60_000;

pub(crate) struct Story {
    pub(crate) world: World,
    pub(crate) alice: usize,
    pub(crate) carol: usize,
    pub(crate) phone: usize,
    pub(crate) tablet: usize,
    pub(crate) laptop: usize,
    pub(crate) carols: usize,
}

impl Story {
    pub(crate) fn new(test: &'static str) -> Self {
        let mut world = World::new(6, test);
        world.entries_go = true;
        let (alice, carol) = (world.person("alice", 3), world.person("carol", 1));
        world.run_ms(10);
        world.tell_own_places(alice);
        world.befriend(alice, carol);
        world.run_ms(3 * MINUTE);
        let [phone, tablet, laptop] = world.people[alice].nodes[..] else { panic!() };
        let carols = world.people[carol].nodes[0];
        Self { world, alice, carol, phone, tablet, laptop, carols }
    }

    /// Texts of the conversation as a device shows it.
    pub(crate) fn shown(&self, node: usize) -> Vec<String> {
        let with = if node == self.carols { self.alice } else { self.carol };
        let history = self.world.history(node, self.world.account(with), usize::MAX);
        history.into_iter().filter_map(|message| message.text).collect()
    }

    /// One device of Alice's calls another one stolen.
    pub(crate) fn untrust(&mut self, by: usize, whom: usize, since: Option<Timestamp>) {
        let device = self.world.nodes[whom].key().device();
        let authority = self.world.nodes[by].authority();
        let why = Untrust::Stolen;
        self.world.command(by, Command::Untrust { device, why, since, authority });
    }

    /// One device of Alice's writes to Carol, a minute apart.
    pub(crate) fn say_all(&mut self, by: usize, texts: &[&str]) {
        for text in texts {
            self.world.say(by, self.carol, text);
            self.world.run_ms(MINUTE);
        }
    }
}
