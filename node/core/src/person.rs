//! Which accounts are one person? The one in use, and those that it has absorbed (spec 02 R22, R26).

use std::collections::BTreeSet;

use kith_common::{
    account::{Account, Former, Reason, Standing},
    codec::{DecodeError, Reader, Writer},
    ids::{AccountId, DeviceId},
};

use crate::{bygone::Bygone, refusal::Refusal};

/// An account, and its devices that only older proofs name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absorbed {
    /// The account as proven to us.
    pub account: Account,
    /// Devices of it that its newest seat has forgotten.
    pub bygone: Bygone,
}

impl Absorbed {
    /// What proves it, and who once belonged to it.
    fn proofs(&self) -> impl Iterator<Item = Vec<Box<[u8]>>> {
        let older = self.bygone.proofs().map(<[_]>::to_vec);
        std::iter::once(self.account.proof().to_vec()).chain(older)
    }

    /// Takes note of what was known of the account before; what has ended says nothing any more.
    /// Returns whether that is new.
    pub(crate) fn note(&mut self, said: &Account) -> bool {
        let known = &self.account;
        if said.head() == known.head() || said.base() == known.base() {
            return false;
        }
        let goes_on = |joined: Account| joined.base() != known.base();
        if known.join(said.proof()).map_or(true, goes_on) {
            return false;
        }
        self.bygone.note(said, known)
    }

    fn names(&self, device: DeviceId) -> bool {
        self.account.standing(device).is_some() || self.bygone.has(device)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.array(2).array(self.account.proof().len());
        for envelope in self.account.proof() {
            writer.bytes(envelope);
        }
        self.bygone.write(writer);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.tuple("account", 2)?;
        let proof = reader.list("proof", usize::MAX, |r| r.bytes("envelope", usize::MAX))?;
        let account = Account::fold(&proof).map_err(|_| DecodeError::Value("account proof"))?;
        let bygone = Bygone::read(reader, &account)?;
        Ok(Self { account, bygone })
    }
}

/// A device that stood in an absorbed account and may not come in here: until it may.
const LEFT_OUT: Standing = Standing::Former(Former { reason: Reason::LeftOut, is_final: false });

/// A person as far as devices and accounts go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person<'a> {
    pub(crate) account: &'a Account,
    pub(crate) bygone: &'a Bygone,
    pub(crate) absorbed: &'a [Absorbed],
}

impl<'a> Person<'a> {
    /// How a device stands.
    pub(crate) fn standing(&self, device: DeviceId) -> Option<Standing> {
        self.word(device).map(|(standing, _)| standing)
    }

    /// How a device stands, and whose word that is: that of the account in use, else of the last one
    /// on the way there that names it. That it stood there counts while it is invited here.
    fn word(&self, device: DeviceId) -> Option<(Standing, &'a Account)> {
        let account = self.account;
        if let Some(standing) = account.standing(device) {
            return Some((standing, account));
        }
        let old = self.absorbed.iter().map(|old| &old.account);
        let words: Vec<(Standing, &Account)> =
            old.filter_map(|old| Some((old.standing(device)?, old))).collect();
        let names = |id: AccountId| words.iter().any(|(_, old)| old.id() == id);
        // A seat may drop any device without its consent: where it stands goes before.
        let last = words.iter().min_by_key(|(standing, old)| {
            (old.moved_to().is_some_and(names), !standing.stands())
        })?;
        let left_out = last.0.stands() && !account.invites(device);
        Some(if left_out { (LEFT_OUT, account) } else { *last })
    }

    /// Devices that the account in use does not name and one that it has absorbed does, with how
    /// they stand, and whose word that is.
    fn before(&self) -> impl Iterator<Item = (DeviceId, Standing, &'a Account)> + use<'a> {
        let named = self.absorbed.iter().flat_map(|old| old.account.standings());
        let named: BTreeSet<DeviceId> = named.map(|(device, _)| device).collect();
        let person = *self;
        let new = named.into_iter().filter(move |one| person.account.standing(*one).is_none());
        new.filter_map(move |device| person.word(device).map(|(how, by)| (device, how, by)))
    }

    /// Whether a device is or was one of the person's.
    pub(crate) fn names(&self, device: DeviceId) -> bool {
        self.account.standing(device).is_some()
            || self.bygone.has(device)
            || self.absorbed.iter().any(|old| old.names(device))
    }

    /// Whether an account is one of the person's.
    pub(crate) fn is(&self, account: AccountId) -> bool {
        self.account.id() == account || self.absorbed.iter().any(|old| old.account.id() == account)
    }

    /// Whether a device may have written in the name of an account.
    fn speaks_as(&self, device: DeviceId, account: AccountId) -> bool {
        if self.account.id() == account {
            return self.account.standing(device).is_some() || self.bygone.has(device);
        }
        self.absorbed.iter().any(|old| old.account.id() == account && old.names(device))
    }

    /// Devices that stand, those of an absorbed account included that are to come over.
    pub(crate) fn devices(&self) -> impl Iterator<Item = DeviceId> + use<'a> {
        let before = self.before().filter(|(_, standing, _)| standing.stands());
        self.account.devices().chain(before.map(|(device, ..)| device))
    }

    /// Devices that accuse each other.
    pub(crate) fn disputed(&self) -> impl Iterator<Item = DeviceId> + use<'a> {
        let before = self.before().filter(|(_, standing, _)| *standing == Standing::Disputed);
        self.account.disputed().chain(before.map(|(device, ..)| device))
    }

    /// Devices that are out, with the account whose word that is.
    pub(crate) fn former(&self) -> impl Iterator<Item = (DeviceId, Former, &'a Account)> + use<'a> {
        let account = self.account;
        let before = self.before().filter_map(|(device, standing, by)| match standing {
            Standing::Former(former) => Some((device, former, by)),
            Standing::Settled | Standing::Added | Standing::Disputed => None,
        });
        account.former().map(move |(device, former)| (device, former, account)).chain(before)
    }

    /// Devices that only older proofs name, with the account whose proofs these are.
    pub(crate) fn bygone(&self) -> impl Iterator<Item = (DeviceId, &'a Account)> + use<'a> {
        let person = *self;
        let of = |account, bygone: &'a Bygone| bygone.devices().map(move |one| (one, account));
        let before = self.absorbed.iter().flat_map(move |old| of(&old.account, &old.bygone));
        let before = before.filter(move |(device, _)| !person.bygone.has(*device));
        let all = of(self.account, self.bygone).chain(before);
        all.filter(move |(device, _)| person.standing(*device).is_none())
    }

    /// Devices that are out, those that only older proofs name included.
    pub(crate) fn past(&self) -> impl Iterator<Item = DeviceId> + use<'a> {
        self.former().map(|(device, ..)| device).chain(self.bygone().map(|(device, _)| device))
    }

    /// What proves all of it.
    pub(crate) fn proofs(&self) -> Vec<Vec<Box<[u8]>>> {
        let older = self.bygone.proofs().map(<[_]>::to_vec);
        let before = self.absorbed.iter().flat_map(Absorbed::proofs);
        std::iter::once(self.account.proof().to_vec()).chain(older).chain(before).collect()
    }
}

/// Whose a device is: of whoever it speaks for, else of whoever names it. A seat may drop any device
/// without its consent.
pub(crate) fn whose<'a>(
    people: impl IntoIterator<Item = Person<'a>>,
    device: DeviceId,
) -> Option<Person<'a>> {
    let naming: Vec<Person<'a>> =
        people.into_iter().filter(|person| person.names(device)).collect();
    let speaks = |person: &&Person<'_>| {
        let standing = person.standing(device);
        standing.is_some_and(|standing| !matches!(standing, Standing::Former(_)))
    };
    naming.iter().find(speaks).or_else(|| naming.first()).copied()
}

/// Whether a device may write in a log of these people in the name of an account (spec 03 R2).
pub(crate) fn may_write<'a>(
    people: impl IntoIterator<Item = Person<'a>>,
    device: DeviceId,
    account: AccountId,
) -> Result<(), Refusal> {
    match whose(people, device) {
        Some(person) if person.standing(device) == Some(Standing::Disputed) => {
            Err(Refusal::Disputed)
        }
        Some(person) if person.speaks_as(device, account) => Ok(()),
        _ => Err(Refusal::NotEntitled),
    }
}

#[cfg(test)]
mod tests {
    use kith_common::{
        account::{Account, Former, Reason, Standing, Untrust, acknowledge},
        ids::DeviceId,
        keys::SigningKey,
    };

    use super::{Absorbed, Person, may_write};
    use crate::{bygone::Bygone, refusal::Refusal};

    fn key(number: u8) -> SigningKey {
        SigningKey::from_seed(&[number; 32])
    }

    /// An account of the devices with these numbers; the authority key is one higher, the recovery
    /// key two higher than the first.
    fn begun(numbers: &[u8]) -> Account {
        let recovery = key(numbers[0] + 2);
        let (id, _) = Account::genesis(&recovery);
        let ack = |number: &u8| {
            let authority = *key(number + 1).public();
            acknowledge(&key(*number), *recovery.public(), authority, [*number; 32], id)
        };
        Account::begin(&recovery, 0, numbers.iter().map(ack).collect()).unwrap()
    }

    fn id(number: u8) -> DeviceId {
        key(number).device()
    }

    fn absorbed(accounts: &[&Account]) -> Vec<Absorbed> {
        let one = |account: &&Account| Absorbed {
            account: (*account).clone(),
            bygone: Bygone::default(),
        };
        accounts.iter().map(one).collect()
    }

    fn standing(account: &Account, absorbed: &[Absorbed], device: u8) -> Option<Standing> {
        let person = Person { account, bygone: &Bygone::default(), absorbed };
        let standing = person.standing(id(device));
        // All lists say the same.
        let device = id(device);
        let stands = standing.is_some_and(Standing::stands);
        let is_out = matches!(standing, Some(Standing::Former(_)));
        assert_eq!(person.devices().any(|one| one == device), stands);
        assert_eq!(person.former().any(|(one, ..)| one == device), is_out);
        assert!(!person.bygone().any(|(one, _)| one == device));
        standing
    }

    const OUT: Standing = Standing::Former(Former { reason: Reason::LeftOut, is_final: false });

    /// ```text
    ///   old {20 30} ── moved to ──► stays {10}, which invites 30 or does not
    /// ```
    #[test]
    fn who_has_not_come_over_counts_while_it_is_invited() {
        let (old, stays) = (begun(&[20, 30]), begun(&[10, 40]));
        let absorbs = stays.absorb(&key(11), old.id(), &[id(30)]).unwrap();
        let stays = stays.join(&[absorbs]).unwrap();
        let before = absorbed(&[&old]);
        assert_eq!(standing(&stays, &before, 30), Some(Standing::Settled));
        assert_eq!(standing(&stays, &before, 20), Some(OUT), "nobody has asked it");
        let vote = stays.untrust(&key(41), id(30), Untrust::Stolen).unwrap();
        let voted = stays.join(&[vote]).unwrap();
        let stolen = Former { reason: Reason::Stolen, is_final: false };
        assert_eq!(standing(&voted, &before, 30), Some(Standing::Former(stolen)));
        let list = [11, 41].map(|by| stays.checkpoint(&key(by), &[id(10), id(40)]).unwrap());
        let settled = voted.join(&list).unwrap();
        assert_eq!(settled.standing(id(30)), None);
        assert_eq!(standing(&settled, &before, 30), Some(OUT), "forgotten, and not asked again");
        // It is held and not refused, for what it wrote before may be wanted.
        let person = Person { account: &settled, bygone: &Bygone::default(), absorbed: &before };
        assert_eq!(may_write([person], id(30), old.id()), Ok(()));
        assert_eq!(may_write([person], id(50), old.id()), Err(Refusal::NotEntitled));
    }

    /// ```text
    ///   old {20 30} ──► middle {10}, where 30 was voted out ──► stays {50}, which invites 30
    /// ```
    #[test]
    fn on_a_chain_the_last_word_counts() {
        let (old, middle, stays) = (begun(&[20, 30]), begun(&[10]), begun(&[50]));
        let moved = old.move_to(&key(22), middle.id()).unwrap();
        let old = old.join(&[moved]).unwrap();
        let absorbs = middle.absorb(&key(11), old.id(), &[id(30)]).unwrap();
        let middle = middle.join(&[absorbs]).unwrap();
        let vote = middle.untrust(&key(11), id(30), Untrust::Stolen).unwrap();
        let middle = middle.join(&[vote]).unwrap();
        let absorbs = stays.absorb(&key(51), old.id(), &[id(30)]).unwrap();
        let stays = stays.join(&[absorbs]).unwrap();
        for order in [[&old, &middle], [&middle, &old]] {
            let found = standing(&stays, &absorbed(&order), 30);
            assert!(matches!(found, Some(Standing::Former(f)) if f.reason == Reason::Stolen));
        }
        // Whoever is absorbed too may drop whom it likes.
        let liar = begun(&[60]);
        let drops = liar.seat_without(&key(62), &[id(60)], vec![], &[], &[id(30)]).unwrap();
        let liar = liar.join(&[drops]).unwrap();
        let old = begun(&[20, 30]);
        for order in [[&old, &liar], [&liar, &old]] {
            let found = standing(&stays, &absorbed(&order), 30);
            assert_eq!(found, Some(Standing::Settled));
        }
    }
}
