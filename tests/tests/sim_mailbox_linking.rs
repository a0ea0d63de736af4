//! Does a device come in, and an account go over, if the two devices are never there at once?

use kith_core::{contacts::Status, delivery::DeliveryState};
use kith_tests::sim::World;

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// alice with one device and a mailbox, and bob who is her contact.
struct Story {
    world: World,
    alice: usize,
    bob: usize,
    server: usize,
}

impl Story {
    fn begin(test: &'static str, seed: u64) -> Self {
        let mut world = World::new(seed, test);
        let (alice, bob) = (world.person("alice", 1), world.person("bob", 1));
        let server = world.mailbox();
        world.run_ms(100);
        world.befriend(alice, bob);
        world.settle();
        for node in [alice, bob] {
            world.choose_mailboxes(node, &[server]);
        }
        for number in 0..5 {
            world.say(bob, alice, &format!("bob {number}"));
            world.say(alice, bob, &format!("alice {number}"));
            world.run_ms(1000);
        }
        world.run_ms(MINUTE_MS);
        Self { world, alice, bob, server }
    }

    fn apart(&mut self, nodes: &[usize]) {
        for (at, one) in nodes.iter().enumerate() {
            for other in &nodes[at + 1..] {
                self.world.keep_apart(*one, *other);
            }
        }
    }

    /// The computer starts the one system; the other one is off.
    fn boot(&mut self, on: usize, off: usize, ms: u64) {
        self.world.set_joining(off, false);
        self.world.set_joining(on, true);
        self.world.run_ms(ms);
    }

    /// The old system, in which the person confirms what the new one shows.
    fn boot_old(&mut self, old: usize, new: usize, ms: u64) {
        self.boot(old, new, ms / 2);
        if let Some(check) = self.world.joining_check(new)
            && self.world.guest_checks(old).contains(&check)
        {
            self.world.confirm(old, &check);
        }
        self.world.run_ms(ms / 2);
    }

    fn texts(&self, node: usize, with: usize) -> Vec<String> {
        let shown = self.world.history(node, self.world.account(with), usize::MAX);
        let mut texts: Vec<String> = shown.into_iter().filter_map(|it| it.text).collect();
        texts.sort();
        texts
    }

    fn states(&self, node: usize, with: usize) -> Vec<DeliveryState> {
        let shown = self.world.history(node, self.world.account(with), usize::MAX);
        shown.into_iter().filter_map(|message| message.state).collect()
    }
}

#[test]
fn a_device_comes_in_with_three_starts_of_each_system() {
    let mut story = Story::begin("a_device_comes_in", 1);
    let (old, bob) = (story.alice, story.bob);
    let said = story.texts(old, bob);
    let code = story.world.code_by_mail(old);
    story.world.run_ms(MINUTE_MS);
    let new = story.world.reads_code(old, code);
    story.apart(&[old, new, bob]);
    story.boot(new, old, MINUTE_MS);
    assert_eq!(story.world.joining_check(new), None);
    story.boot_old(old, new, MINUTE_MS);
    story.boot(new, old, MINUTE_MS);
    assert!(story.world.joining_check(new).is_some());
    story.boot_old(old, new, MINUTE_MS);
    story.boot(new, old, MINUTE_MS);
    assert!(!story.world.is_joining(new));
    // What one has, the other has; nobody was there twice.
    assert_eq!(said.len(), 10);
    assert_eq!(story.texts(new, bob), said);
    let contact = story.world.nodes[new].engine().contact(story.world.account(bob)).unwrap();
    assert_eq!(contact.status, Status::Contact);
    let boxes = story.world.nodes[new].engine().mailboxes();
    assert!(boxes.iter().all(|it| it.queues_open == it.queues), "{boxes:?}");
    assert_eq!(boxes.len(), 1);
    // Both systems hear a contact, and the contact hears both.
    story.world.say(bob, story.alice, "to both");
    story.world.say(new, bob, "from the new one");
    story.world.run_ms(MINUTE_MS);
    story.boot(old, new, MINUTE_MS);
    story.boot(new, old, MINUTE_MS);
    story.boot(old, new, MINUTE_MS);
    for (node, other) in [(new, old), (old, new)] {
        story.boot(node, other, MINUTE_MS);
        assert!(story.texts(node, bob).contains(&"to both".to_owned()), "{node}");
        assert!(story.texts(node, bob).contains(&"from the new one".to_owned()), "{node}");
    }
    assert_eq!(story.texts(bob, story.alice).len(), 12);
    story.world.run_ms(MINUTE_MS);
    assert!(story.states(bob, story.alice).iter().all(|it| *it == DeliveryState::DeliveredAll));
}
