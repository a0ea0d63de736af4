//! Does it hold for histories that nobody thought of? `PROPTEST_CASES` says how many are tried.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::{Account, Standing, Untrust},
    ids::{BaseId, EntryId},
    limits::{ACCOUNT_DEVICES_MAX, ACCOUNT_PROOF_BYTES_MAX, ACCOUNT_PROOF_ENVELOPES_MAX},
};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    model,
    notation::{Base, Operation, Said, authority, by_id, folded, id, outcome, proof, standings},
};

const ACCOUNTS: [char; 3] = ['P', 'Q', 'S'];
const LETTERS: [char; 8] = ['a', 'b', 'c', 'd', 'e', 'x', 'y', 'z'];
/// Those of whom some are settled at first.
const FIRST: usize = 4;
/// How much is said, so that all of it fits into one proof.
const HISTORY_MAX: usize = 60;

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// One step of a random history; what it means depends on what was before.
#[derive(Debug, Clone)]
struct Step {
    what: u8,
    by: Index,
    about: Index,
    mask: u8,
    base: Index,
    replica: Index,
    peer: Index,
}

fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (0..32_u8, any::<Index>(), any::<Index>(), any::<u8>(), any::<[Index; 3]>());
    let step = step.prop_map(|(what, by, about, mask, [base, replica, peer])| Step {
        what,
        by,
        about,
        mask,
        base,
        replica,
        peer,
    });
    vec(step, 1..length)
}

fn masked(mask: u8) -> Vec<char> {
    let chosen = LETTERS.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1);
    let chosen: Vec<char> = chosen.map(|(_, letter)| *letter).collect();
    if chosen.is_empty() { vec!['a'] } else { chosen }
}

fn first_seat(mask: u8) -> Operation {
    Operation::seat(0, &masked(mask & ((1 << FIRST) - 1)), &[])
}

/// What a step says on a base whose settled devices are these; often something that counts.
fn said(step: &Step, base: &Base, settled: &[char]) -> Vec<Operation> {
    let any_device = *step.about.get(&LETTERS);
    let by = if step.mask & 7 == 0 { *step.by.get(&LETTERS) } else { *step.by.get(settled) };
    let why = if step.mask & 8 == 0 { Untrust::Removed } else { Untrust::Stolen };
    match step.what {
        0..=4 => {
            let claims = if step.mask > 0xe0 { *step.peer.get(&LETTERS) } else { any_device };
            vec![Operation::add(base, by, any_device, claims)]
        }
        5..=11 => vec![Operation::vote(base, by, any_device, why)],
        12..=13 => vec![Operation::retire(base, any_device)],
        14..=15 => vec![Operation::list(base, by, &changed(settled, step))],
        24..=26 => absorbed(step, base, by, any_device),
        27 => vec![Operation::move_to(base, Some(by), *step.peer.get(&ACCOUNTS))],
        28 if step.mask < 60 => vec![Operation::move_to(base, None, *step.peer.get(&ACCOUNTS))],
        28 => {
            let signers = settled.iter().enumerate().filter(|(at, _)| step.mask >> at & 3 != 0);
            let to = *step.peer.get(&ACCOUNTS[..2]);
            signers.map(|(_, by)| Operation::move_to(base, Some(*by), to)).collect()
        }
        29..=31 => {
            let claims = if step.mask > 0xe0 { *step.peer.get(&LETTERS) } else { any_device };
            vec![Operation::ack(any_device, by, claims)]
        }
        _ => {
            // Some sign together, as many as a mask says.
            let list = changed(settled, step);
            let signers = settled.iter().enumerate().filter(|(at, _)| step.mask >> at & 3 != 0);
            signers.map(|(_, by)| Operation::list(base, *by, &list)).collect()
        }
    }
}

/// A device absorbs an account, with some of its devices, mostly one that acknowledges at once.
fn absorbed(step: &Step, base: &Base, by: char, device: char) -> Vec<Operation> {
    let (from, another) = (*step.peer.get(&ACCOUNTS), *step.replica.get(&LETTERS));
    let devices: &[char] = match step.mask >> 4 & 3 {
        0 => &[],
        1 => &[device],
        _ => &[device, another],
    };
    let absorbs = Operation::absorb(base, by, from, devices);
    if step.mask & 8 == 0 {
        return vec![absorbs];
    }
    vec![absorbs, Operation::ack(device, by, device)]
}

/// The settled devices with one more or one less.
fn changed(settled: &[char], step: &Step) -> Vec<char> {
    let letter = *step.about.get(&LETTERS);
    let mut list = settled.to_vec();
    if list.contains(&letter) && list.len() > 1 {
        list.retain(|other| *other != letter);
    } else {
        list.push(letter);
    }
    by_id(&list)
}

/// All that was ever said, and every base that it could have made.
struct World {
    seats: BTreeMap<EntryId, Vec<char>>,
    bases: Vec<Base>,
    history: Vec<Operation>,
}

impl World {
    fn new(first: u8) -> Self {
        let mut world = Self { seats: BTreeMap::new(), bases: Vec::new(), history: Vec::new() };
        world.sit(first_seat(first));
        world
    }

    fn sit(&mut self, seat: Operation) {
        if let Said::Seat { devices, .. } = &seat.said {
            self.seats.insert(seat.id(), devices.clone());
            self.bases.push(Base { seat: seat.id(), lists: Vec::new() });
            self.history.push(seat);
        }
    }

    fn settled(&self, base: &Base) -> Vec<char> {
        base.lists.last().cloned().unwrap_or_else(|| self.seats[&base.seat].clone())
    }

    fn say(&mut self, base: &Base, said: Vec<Operation>) {
        for operation in &said {
            if let Said::List { devices, .. } = &operation.said {
                let next = base.then(devices);
                if !self.bases.contains(&next) {
                    self.bases.push(next);
                }
            }
        }
        self.history.extend(said);
    }

    /// Everything said by everybody, each on some base that a list could have made.
    fn random(first: u8, steps: &[Step]) -> Self {
        let mut world = Self::new(first);
        for step in steps {
            if world.history.len() > HISTORY_MAX {
                break;
            }
            if step.what == 23 && step.mask < 60 {
                let epoch = u64::from(step.mask % 3);
                let absorbed = &ACCOUNTS[..usize::from(step.mask % 2)];
                world.sit(Operation::seat_absorbing(epoch, &masked(step.mask), &[], absorbed));
                continue;
            }
            let base = chosen(&world.bases, step).clone();
            let said = said(step, &base, &world.settled(&base));
            world.say(&base, said);
        }
        world
    }
}

/// Mostly the last one.
fn chosen<'b>(bases: &'b [Base], step: &Step) -> &'b Base {
    if step.mask & 0x30 == 0 { step.base.get(bases) } else { bases.last().unwrap() }
}

fn is_bounded(account: &Account) -> bool {
    let bytes: usize = account.proof().iter().map(|envelope| envelope.len()).sum();
    account.proof().len() <= ACCOUNT_PROOF_ENVELOPES_MAX
        && bytes <= ACCOUNT_PROOF_BYTES_MAX
        && account.devices().len() <= ACCOUNT_DEVICES_MAX
}

/// Who holds an account and has been on these bases.
#[derive(Clone)]
struct Replica {
    account: Account,
    reached: Vec<Base>,
}

impl Replica {
    fn join(&mut self, envelopes: &[Box<[u8]>], bases: &[Base]) {
        self.account = self.account.join(envelopes).unwrap();
        let now = bases.iter().find(|base| self.account.base() == Some(base.id()));
        if let Some(base) = now.filter(|base| !self.reached.contains(base)) {
            self.reached.push(base.clone());
        }
    }
}

/// Whether something said on a base is kept by those who are there: a device retires where it is
/// known to belong, and acknowledges where it was just named; nobody keeps a stranger's word.
fn is_heard(world: &World, by: &Replica, base: &Base, said: &Operation) -> bool {
    let names = |operation: &Operation, signer: char, one: char| {
        matches!(&operation.said, Said::Absorb { by, devices, .. }
            if *by == signer && devices.contains(&one))
    };
    let here = |operation: &&Operation| operation.base.as_ref() == Some(base);
    match &said.said {
        Said::Retire { by: one } => {
            by.account.authority_of(id(*one)) == Some(*authority(*one).public())
        }
        // What a device acknowledged on an earlier base is not kept for this one.
        Said::Absorb { by: signer, devices, .. } => {
            let elsewhere = world.history.iter().filter(|operation| !here(operation));
            let again = |o: &Operation| devices.iter().any(|one| names(o, *signer, *one));
            !elsewhere.into_iter().any(again)
        }
        Said::Ack { device, by: signer, claims } => {
            let said_here = world.history.iter().filter(here);
            let mut naming = said_here.filter(|o| names(o, *signer, *device));
            let new = by.account.standing(id(*device)).is_none_or(|how| how == Standing::Added);
            let is_free = !world.settled(base).contains(claims);
            let known = naming.any(|absorbs| by.account.proof().contains(&absorbs.bytes));
            by.account.base() == Some(base.id()) && new && is_free && known
        }
        _ => true,
    }
}

/// Three holders say things where they are, or were, and meet now and then.
fn gossip(first: u8, steps: &[Step]) -> (World, Vec<Replica>) {
    let mut world = World::new(first);
    let account = folded(&world.history);
    let mut replicas = vec![Replica { account, reached: world.bases.clone() }; 3];
    for step in steps {
        if world.history.len() > HISTORY_MAX {
            break;
        }
        let at = step.replica.index(replicas.len());
        if step.mask & 0x40 == 0 {
            let other = step.peer.get(&replicas).account.proof().to_vec();
            replicas[at].join(&other, &world.bases);
        }
        if step.what == 23 && step.mask < 60 {
            let epoch = replicas[at].account.epoch() + 1;
            let mut absorbed: Vec<char> = ACCOUNTS[..usize::from(step.mask & 3)].to_vec();
            absorbed.truncate(2);
            let seat = Operation::seat_absorbing(epoch, &masked(step.mask), &[], &absorbed);
            world.sit(seat.clone());
            replicas[at].join(&[seat.bytes], &world.bases);
            continue;
        }
        let base = chosen(&replicas[at].reached, step).clone();
        let said = said(step, &base, &world.settled(&base));
        // One by one, or all at once where nothing has to be heard first.
        if step.mask & 0x80 == 0 || said.iter().any(|one| matches!(one.said, Said::Ack { .. })) {
            for one in said {
                if is_heard(&world, &replicas[at], &base, &one) {
                    replicas[at].join(core::slice::from_ref(&one.bytes), &world.bases);
                    world.say(&base, vec![one]);
                }
            }
        } else {
            let said: Vec<Operation> = said
                .into_iter()
                .filter(|one| is_heard(&world, &replicas[at], &base, one))
                .collect();
            let bytes: Vec<Box<[u8]>> = said.iter().map(|one| one.bytes.clone()).collect();
            world.say(&base, said);
            replicas[at].join(&bytes, &world.bases);
        }
    }
    (world, replicas)
}

/// Honest devices and thieves, fewer than half; the thieves do anything, at last the honest vote.
fn theft(steps: &[Step], honest: &[char], thieves: &[char]) -> (World, Account) {
    let mut world = World { seats: BTreeMap::new(), bases: Vec::new(), history: Vec::new() };
    world.sit(Operation::seat(0, &[honest, thieves].concat(), &[]));
    let base = world.bases[0].clone();
    for step in steps.iter().take(HISTORY_MAX / 2) {
        let base = chosen(&world.bases, step).clone();
        let mut of_thief = step.clone();
        of_thief.mask |= 7;
        let mut said = said(&of_thief, &base, thieves);
        // The thief has no keys but his own and those of his fakes.
        said.retain(|one| !honest.contains(&speaker(one)) && speaker(one) != '!');
        world.say(&base, said);
        if step.what < 3 {
            let by = *step.by.get(honest);
            let fake = LETTERS[5 + usize::from(step.what)];
            world.say(&base, vec![Operation::vote(&base, by, fake, Untrust::Removed)]);
        }
    }
    for by in honest {
        let votes = thieves.iter().map(|t| Operation::vote(&base, *by, *t, Untrust::Stolen));
        world.history.extend(votes);
    }
    let account = folded(&world.history);
    (world, account)
}

fn speaker(operation: &Operation) -> char {
    match operation.said {
        Said::Add { by, .. }
        | Said::Vote { by, .. }
        | Said::Retire { by }
        | Said::List { by, .. }
        | Said::Absorb { by, .. }
        // What a device acknowledges counts by the word of whoever named it.
        | Said::Ack { by, .. } => by,
        Said::Move { by, .. } => by.unwrap_or('!'),
        Said::Seat { .. } => '!',
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn it_comes_out_as_the_model_says(first: u8, steps in steps(40)) {
        let history = World::random(first, &steps).history;
        let (real, wanted) = (outcome(&folded(&history)), model::outcome(&history));
        prop_assert_eq!(real.shown(), wanted.shown());
        prop_assert_eq!(real, wanted);
    }

    #[test]
    fn the_order_and_repetition_do_not_matter(
        first: u8,
        (steps, order) in steps(40).prop_flat_map(|s| (Just(s), vec(any::<u64>(), 80))),
    ) {
        let history = World::random(first, &steps).history;
        let account = folded(&history);
        let mut keyed: Vec<_> = order.iter().cycle().zip(&history).collect();
        keyed.sort_by_key(|(key, _)| **key);
        let mut shuffled: Vec<Operation> = keyed.into_iter().map(|(_, o)| o.clone()).collect();
        shuffled.extend(history.iter().take(9).cloned());
        prop_assert_eq!(&folded(&shuffled), &account);
        prop_assert!(is_bounded(&account));
    }

    #[test]
    fn what_is_left_out_did_not_count(first: u8, steps in steps(40)) {
        let history = World::random(first, &steps).history;
        let account = folded(&history);
        prop_assert_eq!(&Account::fold(account.proof()).unwrap(), &account);
        prop_assert_eq!(&account.join(account.proof()).unwrap(), &account);
        prop_assert_eq!(&account.join(&proof(&history)).unwrap(), &account);
        prop_assert_eq!(&folded(&history[..1]).join(account.proof()).unwrap(), &account);
    }

    #[test]
    fn holders_agree_when_they_have_met(first: u8, steps in steps(40)) {
        let (world, replicas) = gossip(first, &steps);
        let joined = |order: [usize; 3]| {
            let [one, two, three] = order.map(|at| &replicas[at].account);
            one.join(two.proof()).unwrap().join(three.proof()).unwrap()
        };
        let all = joined([0, 1, 2]);
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            prop_assert_eq!(&joined(order), &all);
        }
        let right = replicas[1].account.join(replicas[2].account.proof()).unwrap();
        prop_assert_eq!(&replicas[0].account.join(right.proof()).unwrap(), &all);
        prop_assert_eq!(outcome(&folded(&world.history)).shown(), outcome(&all).shown());
        prop_assert_eq!(&folded(&world.history), &all);
        prop_assert_eq!(outcome(&all), model::outcome(&world.history));
    }

    #[test]
    fn a_minority_of_thieves_loses_when_the_honest_have_voted(steps in steps(30), two: bool) {
        let (honest, thieves): (&[char], &[char]) =
            if two { (&['a', 'b', 'c'], &['d', 'e']) } else { (&['a', 'b'], &['d']) };
        let (world, account) = theft(&steps, honest, thieves);
        for device in honest {
            prop_assert_eq!(account.standing(id(*device)), Some(Standing::Settled));
        }
        prop_assert_eq!(account.devices().len(), honest.len());
        prop_assert_eq!(account.moved_to(), None);
        // Before that it may be frozen or theirs for a while; a seat ends it at once.
        let seat = Operation::seat(1, honest, thieves);
        for length in 1..=world.history.len() {
            let mut history = world.history[..length].to_vec();
            history.push(seat.clone());
            let stand: BTreeSet<_> = folded(&history).devices().collect();
            prop_assert_eq!(stand, honest.iter().map(|device| id(*device)).collect());
        }
    }

    #[test]
    fn who_is_not_settled_changes_nothing(first: u8, steps in steps(30), noise in steps(30)) {
        let world = World::random(first, &steps);
        let account = folded(&world.history);
        let Some(now) = world.bases.iter().find(|base| account.base() == Some(base.id())) else {
            return Ok(());
        };
        let settled = world.settled(now);
        let others: Vec<char> = LETTERS.into_iter().filter(|one| !settled.contains(one)).collect();
        if others.is_empty() {
            return Ok(());
        }
        let mut added = Vec::new();
        for step in &noise {
            let mut step = step.clone();
            step.mask |= 7;
            let said = said(&step, now, &others);
            added.extend(said.into_iter().filter(|operation| {
                others.contains(&speaker(operation)) && !matches!(operation.said, Said::Retire { .. })
            }));
        }
        let bytes: Vec<Box<[u8]>> = added.into_iter().map(|operation| operation.bytes).collect();
        for some in bytes.chunks(HISTORY_MAX) {
            prop_assert_eq!(&account.join(some).unwrap(), &account);
        }
    }

    #[test]
    fn one_device_cannot_change_what_was_decided_before(steps in steps(30)) {
        // a, b and t settled; then a and b settle themselves without t.
        let mut world = World::new(0);
        world.sit(Operation::seat(1, &['a', 'b', 'e'], &[]));
        let seat = world.bases[1].clone();
        let decided = ['a', 'b'].map(|by| Operation::list(&seat, by, &['a', 'b'])).to_vec();
        world.say(&seat, decided);
        let account = folded(&world.history);
        for step in &steps {
            let base = chosen(&world.bases, step).clone();
            let mut of_thief = step.clone();
            of_thief.mask |= 7;
            let mut said = said(&of_thief, &base, &['e']);
            said.retain(|operation| speaker(operation) == 'e');
            world.say(&base, said);
        }
        let after = folded(&world.history);
        prop_assert_eq!(standings(&after), standings(&account));
        prop_assert_eq!(after.base(), account.base());
        prop_assert_eq!(after.moved_to(), None);
    }
}

/// ```text
///   seat {a b t} ── t says 30 × 100 things ── a and b still get through
/// ```
#[test]
fn a_flood_from_one_signer_leaves_room_for_the_others() {
    let seat = Operation::seat(0, &['a', 'b', 't'], &[]);
    let base = Base { seat: seat.id(), lists: Vec::new() };
    let mut account = folded(&[seat]);
    for round in 0..30_u8 {
        let flood: Vec<Box<[u8]>> = (0..100_u8).map(|n| flooding(&base, round, n)).collect();
        account = account.join(&flood).unwrap();
        assert!(is_bounded(&account), "round {round}");
    }
    let votes = ['a', 'b'].map(|by| Operation::vote(&base, by, 't', Untrust::Stolen).bytes);
    account = account.join(&votes[..1]).unwrap();
    account = account.join(&votes[1..]).unwrap();
    assert_eq!(account.devices().collect::<BTreeSet<_>>(), [id('a'), id('b')].into());
    let stolen = Operation::seat(1, &['a', 'b'], &['t']).bytes;
    assert_eq!(account.join(&[stolen]).unwrap().proof().len(), 2, "a seat throws it away");
}

/// Votes, lists and additions of t about devices that nobody knows, with as many bytes as may be.
fn flooding(base: &Base, round: u8, n: u8) -> Box<[u8]> {
    use crate::notation::account;
    use kith_common::{
        account::{Checkpoint, DeviceAdd, DeviceKeys, DeviceUntrust, acknowledge},
        envelope::sign,
        ids::DeviceId,
        keys::SigningKey,
    };

    let of_thief = authority('t');
    let unknown = DeviceId::from_bytes([round; 32].map(|byte| byte ^ n));
    let base: BaseId = base.id();
    match n % 4 {
        0 => {
            let list: BTreeSet<DeviceKeys> = (0..16_u8)
                .map(|m| DeviceKeys {
                    device: DeviceId::from_bytes([m ^ n; 32]),
                    authority: [0x80 ^ m ^ round; 32],
                })
                .collect();
            let devices = list.into_iter().collect();
            sign(of_thief, Checkpoint { account: account(), base, devices }).into_bytes()
        }
        1 => {
            let fake = SigningKey::from_seed(&[round.wrapping_mul(100).wrapping_add(n); 32]);
            let ack = acknowledge(&fake, *of_thief.public(), [n; 32], [round; 32], account());
            let device = ack.into_bytes();
            sign(of_thief, DeviceAdd { account: account(), base, device }).into_bytes()
        }
        _ => {
            let why = Untrust::Stolen;
            let vote = DeviceUntrust { account: account(), base, device: unknown, why };
            sign(of_thief, vote).into_bytes()
        }
    }
}
