//! A thousand messages both ways while either node is killed at random moments.
//!
//! Seed: `KITH_SEED`, or a new one; it is printed.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kith_tests::process::{Api, Message, Person, SendFailed, Setup, Transport, until};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

const MESSAGES_EACH: usize = 500;
const KILLS: usize = 24;
const LONG: Duration = Duration::from_secs(60);

/// What a writer knows about a message after writing it.
#[derive(Debug)]
enum Outcome {
    /// The node answered with this id: the message must be there.
    Taken(String),
    /// No answer came: it may be there or not.
    Unknown,
}

/// The API of a node that is killed and restarted now and then.
#[derive(Debug)]
struct Access {
    api: Mutex<Api>,
    starts: AtomicUsize,
}

impl Access {
    fn new(person: &Person) -> Self {
        Self { api: Mutex::new(person.api().clone()), starts: AtomicUsize::new(0) }
    }

    fn renew(&self, person: &Person) {
        *self.api.lock().unwrap_or_else(PoisonError::into_inner) = person.api().clone();
        self.starts.fetch_add(1, Ordering::SeqCst);
    }

    fn api(&self) -> (Api, usize) {
        let starts = self.starts.load(Ordering::SeqCst);
        (self.api.lock().unwrap_or_else(PoisonError::into_inner).clone(), starts)
    }
}

fn text(writer: &str, number: usize) -> String {
    format!("{writer} {number}")
}

/// Writes all messages of one end; goes on after every restart.
fn write_all(access: &Access, writer: &str, to: &str, written: &AtomicUsize) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for number in 0..MESSAGES_EACH {
        let (api, starts) = access.api();
        let outcome = match api.send(to, &text(writer, number), None) {
            Ok(id) => Outcome::Taken(id),
            Err(SendFailed::NoAnswer) => Outcome::Unknown,
            Err(SendFailed::Refused(reply)) if reply.status == 503 => Outcome::Unknown,
            Err(SendFailed::Refused(reply)) => panic!("{writer} {number} was refused: {reply:?}"),
        };
        if matches!(outcome, Outcome::Unknown) {
            until("the node is back", LONG, || (access.api().1 > starts).then_some(()));
        }
        outcomes.push(outcome);
        written.fetch_add(1, Ordering::SeqCst);
    }
    outcomes
}

/// Kills one of the two at a random moment and starts it again.
fn kill_one(people: [&mut Person; 2], access: [&Access; 2], rng: &mut ChaCha8Rng) {
    let [alice, bob] = people;
    let (victim, other, access) =
        if coin(rng) { (alice, bob, access[0]) } else { (bob, alice, access[1]) };
    // Every other time while the two are certainly connected, so that catching up is cut short.
    if coin(rng) {
        victim.sees(other, "online", true);
    }
    std::thread::sleep(Duration::from_micros(u64::from(rng.next_u32() % 25_000)));
    victim.kill();
    victim.up();
    access.renew(victim);
}

fn coin(rng: &mut ChaCha8Rng) -> bool {
    rng.next_u32().is_multiple_of(2)
}

fn exchange(alice: &mut Person, bob: &mut Person, rng: &mut ChaCha8Rng) -> [Vec<Outcome>; 2] {
    let (at_alice, at_bob) = (Access::new(alice), Access::new(bob));
    let written = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let by_alice = scope.spawn(|| write_all(&at_alice, "alice", "Bob", &written));
        let by_bob = scope.spawn(|| write_all(&at_bob, "bob", "Alice", &written));
        for kill in 0..KILLS {
            // Spread over the exchange; the last ones fall into the catching up after it.
            let moment = (kill + 1) * 2 * MESSAGES_EACH / (KILLS - 3);
            let moment = moment.min(2 * MESSAGES_EACH);
            until("the exchange goes on", LONG, || {
                (written.load(Ordering::SeqCst) >= moment).then_some(())
            });
            kill_one([&mut *alice, &mut *bob], [&at_alice, &at_bob], rng);
        }
        [by_alice, by_bob].map(|writer| writer.join().expect("the writer ends"))
    })
}

/// Nothing that was taken is lost, nothing is there twice, and every writer's order is kept.
fn check(history: &[Message], writer: &str, outcomes: &[Outcome]) {
    let mine: Vec<&Message> = history.iter().filter(|m| m.text.starts_with(writer)).collect();
    let numbers: Vec<usize> = mine
        .iter()
        .map(|m| m.text[writer.len() + 1..].parse().expect("a number stands in the text"))
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{writer}: out of order or doubled: {numbers:?}");
    for (number, outcome) in outcomes.iter().enumerate() {
        let Outcome::Taken(id) = outcome else { continue };
        let found = numbers.binary_search(&number);
        let at = found.unwrap_or_else(|_| panic!("{writer} {number} is lost"));
        assert_eq!(mine[at].id, *id, "{writer} {number} has another id");
    }
}

fn seed() -> u64 {
    let given = std::env::var("KITH_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        u64::from(now.subsec_nanos())
    })
}

fn nothing_is_lost(transport: Transport) {
    let seed = seed();
    println!("KITH_SEED={seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let with = || Setup { transport, ..Setup::default() };
    let mut alice = Person::start_with("Alice", with());
    let mut bob = Person::start_with("Bob", with());
    alice.befriends(&bob);
    let [by_alice, by_bob] = exchange(&mut alice, &mut bob, &mut rng);

    let both = by_alice.iter().chain(&by_bob);
    let unknown = both.filter(|outcome| matches!(outcome, Outcome::Unknown)).count();
    println!("{KILLS} kills, {unknown} of {} sends unanswered", 2 * MESSAGES_EACH);
    let (at_alice, at_bob) = until("both ends agree (KITH_SEED above)", LONG, || {
        let (at_alice, at_bob) = (alice.history(&bob), bob.history(&alice));
        (shown(&at_alice) == shown(&at_bob)).then_some((at_alice, at_bob))
    });
    for history in [&at_alice, &at_bob] {
        check(history, "alice", &by_alice);
        check(history, "bob", &by_bob);
        assert!(history.len() + unknown >= 2 * MESSAGES_EACH);
    }
}

fn shown(history: &[Message]) -> Vec<(&str, &str)> {
    history.iter().map(|message| (message.id.as_str(), message.text.as_str())).collect()
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_over_tcp() {
    nothing_is_lost(Transport::Tcp);
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_over_quic() {
    nothing_is_lost(Transport::Quic);
}
