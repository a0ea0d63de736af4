//! How is a history written down as text?
//!
//! Letters are devices, capitals are other accounts. What a device says builds on the base that was reached last.
//!
//! | text | meaning |
//! |---|---|
//! | `R1{ab\|t}` | seat of epoch 1: a and b settled, t dropped; what follows builds on it |
//! | `a+xy` | a adds x and y |
//! | `a+x(y)` | a adds x, which claims y's authority key |
//! | `a→tu`, `a⇒t` | a votes t and u out, a says that t is stolen |
//! | `-a` | a retires |
//! | `a:{ab}`, `ab:{ab}` | a, or a and b, sign a list |
//! | `ab~Q` | a and b sign that the account moves to the account Q; `!~Q`: the recovery key |
//! | `a*P`, `a*P(xy)` | a absorbs the account P, and takes in its devices x and y |
//! | `x@a`, `x@a(y)` | x acknowledges towards a, and claims y's authority key |
//! | `R1{ab\|t;P}` | a seat that goes on for P; `R1{ab;P}` |
//! | `>{ab}`, `<` | what follows builds on the base that this list makes, on the one before |
//!
//! Standings: `a` settled, `+x` added, `?t` disputed, `-t` out until it answers, `!t` out for good;
//! `@x` invited, `*P` absorbed, `~Q` moved to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use kith_common::{
    account::{
        Absorbs, Account, Checkpoint, DeviceAck, DeviceAdd, DeviceKeys, DeviceRetire,
        DeviceUntrust, MovedTo, Seat, Standing, Untrust, acknowledge,
    },
    crypto,
    envelope::{Verified, sign},
    ids::{AccountId, BaseId, DeviceId, EntryId},
    keys::SigningKey,
};

/// Signing and authority key of each letter: guarded memory is dear, so each is made once.
static KEYS: LazyLock<BTreeMap<char, [SigningKey; 2]>> = LazyLock::new(|| {
    let key =
        |label: &[u8], letter: char| SigningKey::from_seed(&crypto::hash(label, &[letter as u8]));
    ('a'..='z').map(|l| (l, [key(b"a device", l), key(b"an authority", l)])).collect()
});

static RECOVERY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[0xaa; 32]));

static GENESIS: LazyLock<(AccountId, Box<[u8]>)> = LazyLock::new(|| Account::genesis(&RECOVERY));

pub(crate) fn recovery() -> &'static SigningKey {
    &RECOVERY
}

pub(crate) fn device(letter: char) -> &'static SigningKey {
    &KEYS[&letter][0]
}

pub(crate) fn authority(letter: char) -> &'static SigningKey {
    &KEYS[&letter][1]
}

pub(crate) fn id(letter: char) -> DeviceId {
    device(letter).device()
}

pub(crate) fn account() -> AccountId {
    GENESIS.0
}

/// Another account.
pub(crate) fn other(capital: char) -> AccountId {
    AccountId::from_bytes(crypto::hash(b"another account", &[capital as u8]))
}

pub(crate) fn keys(letter: char) -> DeviceKeys {
    DeviceKeys { device: id(letter), authority: *authority(letter).public() }
}

pub(crate) fn ack(letter: char, inviter: &SigningKey, claims: char) -> Verified<DeviceAck> {
    let claimed = *authority(claims).public();
    acknowledge(device(letter), *inviter.public(), claimed, [letter as u8; 32], account())
}

/// Letters in the order of their device ids.
pub(crate) fn by_id(letters: &[char]) -> Vec<char> {
    let mut sorted = letters.to_vec();
    sorted.sort_by_key(|letter| id(*letter));
    sorted.dedup();
    sorted
}

/// A base as those who build on it know it: the seat, then the lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Base {
    pub(crate) seat: EntryId,
    pub(crate) lists: Vec<Vec<char>>,
}

impl Base {
    /// As `docs/spec` names it.
    pub(crate) fn id(&self) -> BaseId {
        self.lists.iter().fold(BaseId::from_bytes(*self.seat.as_bytes()), |base, list| {
            let mut text = [*account().as_bytes(), *base.as_bytes()].concat();
            for letter in list {
                text.extend_from_slice(id(*letter).as_bytes());
                text.extend_from_slice(authority(*letter).public());
            }
            BaseId::from_bytes(crypto::hash(b"kith/checkpoint/1", &text))
        })
    }

    pub(crate) fn then(&self, list: &[char]) -> Self {
        let mut next = self.clone();
        next.lists.push(by_id(list));
        next
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Seat {
        epoch: u64,
        devices: Vec<char>,
        dropped: Vec<char>,
        absorbed: Vec<char>,
    },
    Add {
        by: char,
        device: char,
        claims: char,
    },
    Vote {
        by: char,
        about: char,
        why: Untrust,
    },
    Retire {
        by: char,
    },
    List {
        by: char,
        devices: Vec<char>,
    },
    /// By nobody: the recovery key.
    Move {
        by: Option<char>,
        to: char,
    },
    Absorb {
        by: char,
        from: char,
        devices: Vec<char>,
    },
    Ack {
        device: char,
        by: char,
        claims: char,
    },
}

/// Something said on a base; a seat builds on nothing.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) said: Said,
    pub(crate) base: Option<Base>,
    pub(crate) bytes: Box<[u8]>,
}

impl Operation {
    pub(crate) fn seat(epoch: u64, devices: &[char], dropped: &[char]) -> Self {
        Self::seat_absorbing(epoch, devices, dropped, &[])
    }

    pub(crate) fn seat_absorbing(
        epoch: u64,
        devices: &[char],
        dropped: &[char],
        absorbed: &[char],
    ) -> Self {
        let (devices, dropped) = (by_id(devices), by_id(dropped));
        let mut absorbed = absorbed.to_vec();
        absorbed.sort_by_key(|one| other(*one));
        absorbed.dedup();
        let seat = Seat {
            account: account(),
            epoch,
            devices: devices.iter().map(|d| ack(*d, recovery(), *d).into_bytes()).collect(),
            dropped: dropped.iter().map(|device| id(*device)).collect(),
            absorbed: absorbed.iter().map(|one| other(*one)).collect(),
        };
        let bytes = sign(recovery(), seat).into_bytes();
        Self { said: Said::Seat { epoch, devices, dropped, absorbed }, base: None, bytes }
    }

    pub(crate) fn add(base: &Base, by: char, device: char, claims: char) -> Self {
        let by_key = authority(by);
        let device_ack = ack(device, by_key, claims).into_bytes();
        let add = DeviceAdd { account: account(), base: base.id(), device: device_ack };
        Self::on(base, Said::Add { by, device, claims }, sign(by_key, add).into_bytes())
    }

    pub(crate) fn vote(base: &Base, by: char, about: char, why: Untrust) -> Self {
        let vote = DeviceUntrust { account: account(), base: base.id(), device: id(about), why };
        Self::on(base, Said::Vote { by, about, why }, sign(authority(by), vote).into_bytes())
    }

    pub(crate) fn retire(base: &Base, by: char) -> Self {
        let retire = DeviceRetire { account: account(), base: base.id(), device: id(by) };
        Self::on(base, Said::Retire { by }, sign(authority(by), retire).into_bytes())
    }

    pub(crate) fn list(base: &Base, by: char, devices: &[char]) -> Self {
        let devices = by_id(devices);
        let list = devices.iter().map(|device| keys(*device)).collect();
        let checkpoint = Checkpoint { account: account(), base: base.id(), devices: list };
        let bytes = sign(authority(by), checkpoint).into_bytes();
        Self::on(base, Said::List { by, devices }, bytes)
    }

    pub(crate) fn move_to(base: &Base, by: Option<char>, to: char) -> Self {
        let moved = MovedTo { account: account(), base: base.id(), to: other(to) };
        let bytes = sign(by.map_or(recovery(), authority), moved).into_bytes();
        Self::on(base, Said::Move { by, to }, bytes)
    }

    pub(crate) fn absorb(base: &Base, by: char, from: char, devices: &[char]) -> Self {
        let devices = by_id(devices);
        let taken = devices.iter().map(|device| id(*device)).collect();
        let absorbs =
            Absorbs { account: account(), base: base.id(), from: other(from), devices: taken };
        let bytes = sign(authority(by), absorbs).into_bytes();
        Self::on(base, Said::Absorb { by, from, devices }, bytes)
    }

    /// It builds on nothing.
    pub(crate) fn ack(device: char, by: char, claims: char) -> Self {
        let bytes = ack(device, authority(by), claims).into_bytes();
        Self { said: Said::Ack { device, by, claims }, base: None, bytes }
    }

    fn on(base: &Base, said: Said, bytes: Box<[u8]>) -> Self {
        Self { said, base: Some(base.clone()), bytes }
    }

    pub(crate) fn id(&self) -> EntryId {
        EntryId::of(&self.bytes)
    }
}

/// What a text says.
pub(crate) fn history(text: &str) -> Vec<Operation> {
    let mut said = Vec::new();
    let mut bases: Vec<Base> = Vec::new();
    for word in text.split_whitespace() {
        if let Some(list) = word.strip_prefix('>') {
            let next = bases.last().expect("a seat before").then(&letters(list));
            bases.push(next);
        } else if word == "<" {
            bases.pop();
        } else if let Some(rest) = word.strip_prefix('R') {
            let (epoch, named) = rest.split_once('{').expect("a list behind the epoch");
            let (named, absorbed) = named.split_once(';').unwrap_or((named, ""));
            let (devices, dropped) = named.split_once('|').unwrap_or((named, ""));
            let epoch = epoch.parse().expect("a number");
            let (devices, dropped) = (letters(devices), letters(dropped));
            let seat = Operation::seat_absorbing(epoch, &devices, &dropped, &capitals(absorbed));
            bases = vec![Base { seat: seat.id(), lists: Vec::new() }];
            said.push(seat);
        } else {
            sentence(word, bases.last().expect("a seat before"), &mut said);
        }
    }
    said
}

fn letters(text: &str) -> Vec<char> {
    text.chars().filter(char::is_ascii_lowercase).collect()
}

fn capitals(text: &str) -> Vec<char> {
    text.chars().filter(char::is_ascii_uppercase).collect()
}

fn sentence(word: &str, base: &Base, said: &mut Vec<Operation>) {
    if let Some(by) = word.strip_prefix('-') {
        said.extend(letters(by).into_iter().map(|by| Operation::retire(base, by)));
        return;
    }
    if let Some(to) = word.strip_prefix("!~") {
        said.extend(capitals(to).into_iter().map(|to| Operation::move_to(base, None, to)));
        return;
    }
    let at = word
        .find(['→', '⇒', '+', ':', '~', '*', '@'])
        .unwrap_or_else(|| panic!("no such word: {word}"));
    let (by, rest) = word.split_at(at);
    let sign = rest.chars().next().expect("found above");
    for by in letters(by) {
        match sign {
            ':' => said.push(Operation::list(base, by, &letters(rest))),
            '~' => said.push(Operation::move_to(base, Some(by), capitals(rest)[0])),
            '*' => said.push(Operation::absorb(base, by, capitals(rest)[0], &letters(rest))),
            '@' => {
                let (towards, claims) = (letters(rest)[0], letters(rest).get(1).copied());
                said.push(Operation::ack(by, towards, claims.unwrap_or(by)));
            }
            '+' if rest.contains('(') => {
                let both = letters(rest);
                said.push(Operation::add(base, by, both[0], both[1]));
            }
            '+' => {
                said.extend(letters(rest).iter().map(|new| Operation::add(base, by, *new, *new)));
            }
            _ => {
                let why = if sign == '⇒' { Untrust::Stolen } else { Untrust::Removed };
                let about = letters(rest);
                said.extend(about.iter().map(|about| Operation::vote(base, by, *about, why)));
            }
        }
    }
}

/// The proof that holds all of it.
pub(crate) fn proof(history: &[Operation]) -> Vec<Box<[u8]>> {
    [GENESIS.1.clone()].into_iter().chain(history.iter().map(|said| said.bytes.clone())).collect()
}

pub(crate) fn folded(history: &[Operation]) -> Account {
    Account::fold(&proof(history)).expect("a seat that holds")
}

fn names() -> BTreeMap<DeviceId, char> {
    ('a'..='z').map(|letter| (id(letter), letter)).collect()
}

/// The standings of an account, by letters.
pub(crate) fn standings(account: &Account) -> BTreeMap<char, Standing> {
    let names = names();
    account.standings().map(|(device, standing)| (names[&device], standing)).collect()
}

/// How an account comes out: how every device stands, who may come in, what it has absorbed, where
/// it has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) standings: BTreeMap<char, Standing>,
    pub(crate) invited: BTreeSet<char>,
    pub(crate) absorbed: BTreeSet<char>,
    pub(crate) moved: Option<char>,
}

pub(crate) fn outcome(account: &Account) -> Outcome {
    let accounts: BTreeMap<AccountId, char> = ('A'..='Z').map(|one| (other(one), one)).collect();
    let letters = names();
    Outcome {
        standings: standings(account),
        invited: account.invited().map(|device| letters[&device]).collect(),
        absorbed: account.absorbed().map(|one| accounts[&one]).collect(),
        moved: account.moved_to().map(|to| accounts[&to]),
    }
}

impl Outcome {
    pub(crate) fn shown(&self) -> BTreeSet<String> {
        let mut all = shown(&self.standings);
        all.extend(self.invited.iter().map(|device| format!("@{device}")));
        all.extend(self.absorbed.iter().map(|one| format!("*{one}")));
        all.extend(self.moved.iter().map(|to| format!("~{to}")));
        all
    }
}

pub(crate) fn shown(standings: &BTreeMap<char, Standing>) -> BTreeSet<String> {
    let show = |(letter, standing): (&char, &Standing)| match standing {
        Standing::Settled => letter.to_string(),
        Standing::Added => format!("+{letter}"),
        Standing::Disputed => format!("?{letter}"),
        Standing::Former(former) if former.is_final => format!("!{letter}"),
        Standing::Former(_) => format!("-{letter}"),
    };
    standings.iter().map(show).collect()
}
