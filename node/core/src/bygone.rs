//! Whose entries remain though the newest seat does not name their device? Known by older proofs.
//!
//! A recovery on a new device may name no other device, for it knows of none, and a checkpoint forgets
//! who was only added. What the old devices wrote is still theirs: whoever knew the account before
//! keeps the proofs of that, and hands them on.

use std::{cmp::Reverse, collections::BTreeSet};

use kith_common::{
    account::{Account, Reason, Standing},
    codec::{DecodeError, Reader, Writer},
    ids::{AccountId, DeviceId, EntryId},
};

use crate::limits::{OLDER_PROOF_BYTES_MAX, OLDER_PROOFS_MAX};

/// Devices of an account that its newest seat has forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bygone {
    /// The account as it was when it named them: of later seats first.
    kept: Vec<Account>,
    devices: BTreeSet<DeviceId>,
    /// Accounts for which the account went on then, if no later seat knows those devices that stood.
    absorbed: BTreeSet<AccountId>,
}

/// What an older proof says that the newest one does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    /// A device was there.
    Named(DeviceId),
    /// It was out.
    Out(DeviceId),
    /// The account went on for another one.
    Absorbed(AccountId),
}

impl Bygone {
    /// Takes note of what was known of an account before. Returns whether other proofs are kept now.
    pub(crate) fn note(&mut self, older: &Account, newest: &Account) -> bool {
        let before: Vec<EntryId> = self.kept.iter().map(Account::head).collect();
        if !before.contains(&older.head()) && names_more(older, newest) {
            self.kept.push(older.clone());
        }
        self.choose(newest);
        self.kept.iter().map(Account::head).ne(before)
    }

    /// Keeps the proofs that say what no other one says, as many as there is room for. Which these
    /// are does not depend on the order in which they came, while there is room for all.
    fn choose(&mut self, newest: &Account) {
        let known = std::mem::take(self).kept;
        let mut all: Vec<(BTreeSet<Word>, Account)> =
            known.into_iter().map(|older| (words(&older, newest), older)).collect();
        all.sort_by_key(|(words, older)| {
            (Reverse(older.epoch()), Reverse(words.len()), older.head())
        });
        let (mut said, mut bytes) = (BTreeSet::new(), 0);
        for (words, older) in all {
            let size = older.proof().iter().map(|envelope| envelope.len()).sum::<usize>();
            let has_room =
                self.kept.len() < OLDER_PROOFS_MAX && bytes + size <= OLDER_PROOF_BYTES_MAX;
            if words.is_subset(&said) || !has_room {
                continue;
            }
            bytes += size;
            self.take(&words, older);
            said.extend(words);
        }
    }

    fn take(&mut self, words: &BTreeSet<Word>, older: Account) {
        // A later seat that knows some of them may have left the accounts out.
        let mut later = self.kept.iter().filter(|later| later.epoch() > older.epoch());
        let is_last = later.all(|later| knows_none(later, &older));
        for word in words {
            match word {
                Word::Named(device) => drop(self.devices.insert(*device)),
                Word::Absorbed(account) if is_last => drop(self.absorbed.insert(*account)),
                Word::Absorbed(_) | Word::Out(_) => {}
            }
        }
        self.kept.push(older);
    }

    /// What proves it: one proof beside the other.
    pub(crate) fn proofs(&self) -> impl Iterator<Item = &[Box<[u8]>]> {
        self.kept.iter().map(Account::proof)
    }

    /// Whether the account went on for another one then, of which its newest seat could not know
    /// (spec 02 R26).
    pub(crate) fn vouches_for(&self, account: AccountId) -> bool {
        self.absorbed.contains(&account)
    }

    /// Whether a device is one of them.
    pub fn has(&self, device: DeviceId) -> bool {
        self.devices.contains(&device)
    }

    /// Whether a device was there under the seat of this epoch, and nothing says that it was out.
    pub(crate) fn has_unaccused(&self, device: DeviceId, epoch: u64) -> bool {
        self.all_say(device, epoch, |standing| !matches!(standing, Standing::Former(_)))
    }

    /// The same, and nothing says that it was accused; it may have gone by its own word.
    pub(crate) fn went_in_peace(&self, device: DeviceId, epoch: u64) -> bool {
        self.all_say(device, epoch, |standing| match standing {
            Standing::Former(former) => former.reason == Reason::Retired,
            _ => standing.stands(),
        })
    }

    /// Whether proofs of this epoch name a device, and all of them say this of it.
    fn all_say(&self, device: DeviceId, epoch: u64, what: impl Fn(Standing) -> bool) -> bool {
        let of_seat = self.kept.iter().filter(|older| older.epoch() == epoch);
        let mut words = of_seat.filter_map(|older| older.standing(device)).peekable();
        words.peek().is_some() && words.all(what)
    }

    /// The account as it was when it named them.
    pub(crate) fn kept(&self) -> &[Account] {
        &self.kept
    }

    /// The devices.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> {
        self.devices.iter().copied()
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.array(self.kept.len());
        for older in &self.kept {
            writer.array(older.proof().len());
            for envelope in older.proof() {
                writer.bytes(envelope);
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>, newest: &Account) -> Result<Self, DecodeError> {
        let proofs = reader.list("older proofs", usize::MAX, |r| {
            r.list("proof", usize::MAX, |r| r.bytes("envelope", usize::MAX).map(Box::<[u8]>::from))
        })?;
        let kept = proofs.iter().filter_map(|proof| Account::fold(proof).ok()).collect();
        let mut bygone = Self { kept, ..Self::default() };
        bygone.choose(newest);
        Ok(bygone)
    }
}

/// Whether an account names none of the devices that stood when it was like the older one.
fn knows_none(newer: &Account, older: &Account) -> bool {
    older.devices().all(|device| newer.standing(device).is_none())
}

fn names_more(older: &Account, newest: &Account) -> bool {
    older.standings().any(|(device, _)| newest.standing(device).is_none())
}

fn words(older: &Account, newest: &Account) -> BTreeSet<Word> {
    let mut words = BTreeSet::new();
    for (device, standing) in older.standings() {
        if newest.standing(device).is_some() {
            continue;
        }
        words.insert(Word::Named(device));
        if matches!(standing, Standing::Former(_)) {
            words.insert(Word::Out(device));
        }
    }
    // Who knows some of them may have left the accounts out.
    if !words.is_empty() && older.epoch() < newest.epoch() && knows_none(newest, older) {
        let vouched = older.absorbed().filter(|account| older.vouches_for(*account));
        words.extend(vouched.map(Word::Absorbed));
    }
    words
}

#[cfg(test)]
mod tests {
    use kith_common::{
        account::{Account, Untrust, acknowledge},
        ids::DeviceId,
        keys::SigningKey,
    };

    use super::Bygone;
    use crate::limits::{OLDER_PROOF_BYTES_MAX, OLDER_PROOFS_MAX};

    fn key(number: u8) -> SigningKey {
        SigningKey::from_seed(&[number; 32])
    }

    fn id(number: u8) -> DeviceId {
        key(number).device()
    }

    fn authority(number: u8) -> SigningKey {
        key(number + 1)
    }

    /// An account of one device, 10.
    fn begun() -> Account {
        let (account, _) = Account::genesis(&key(2));
        let ack =
            acknowledge(&key(10), *key(2).public(), *authority(10).public(), [10; 32], account);
        Account::begin(&key(2), 0, vec![ack]).unwrap()
    }

    fn added(account: &Account, number: u8) -> Account {
        let by = authority(10);
        let authority = *authority(number).public();
        let ack = acknowledge(&key(number), *by.public(), authority, [number; 32], account.id());
        account.join(&[account.add_device(&by, &ack).unwrap()]).unwrap()
    }

    fn voted_out(account: &Account, number: u8) -> Account {
        let vote = account.untrust(&authority(10), id(number), Untrust::Stolen).unwrap();
        account.join(&[vote]).unwrap()
    }

    /// The account goes on with these devices and no other one.
    fn settled(account: &Account, numbers: &[u8]) -> Account {
        let stay: Vec<DeviceId> = numbers.iter().map(|number| id(*number)).collect();
        account.join(&[account.checkpoint(&authority(10), &stay).unwrap()]).unwrap()
    }

    fn noted(older: &[&Account], newest: &Account) -> Bygone {
        let mut bygone = Bygone::default();
        for older in older {
            bygone.note(older, newest);
        }
        bygone
    }

    #[test]
    fn one_proof_is_kept_for_each_device_that_is_forgotten() {
        let first = added(&begun(), 20);
        let second = added(&settled(&first, &[10]), 30);
        let third = added(&settled(&second, &[10]), 40);
        let newest = settled(&third, &[10]);
        let bygone = noted(&[&first, &second, &third], &newest);
        for number in [20, 30, 40] {
            assert!(newest.standing(id(number)).is_none() && bygone.has(id(number)));
        }
        assert_eq!(bygone.proofs().count(), 3);
        let other = noted(&[&third, &first, &second, &first], &newest);
        assert_eq!(bygone, other, "in whatever order they come");
        let mut again = bygone;
        assert!(!again.note(&first, &newest) && !again.note(&newest, &newest));
    }

    #[test]
    fn that_a_device_was_out_when_it_was_forgotten_is_kept() {
        let stood = added(&added(&begun(), 20), 30);
        let out = voted_out(&stood, 20);
        let newest = settled(&out, &[10]);
        for order in [[&stood, &out], [&out, &stood]] {
            let bygone = noted(&order, &newest);
            assert_eq!(bygone.proofs().count(), 1, "the graver one says all");
            assert!(bygone.has(id(20)) && !bygone.has_unaccused(id(20), 0));
            assert!(bygone.has(id(30)) && bygone.has_unaccused(id(30), 0));
            assert!(!bygone.has_unaccused(id(30), 1), "under that seat nothing names it");
        }
    }

    #[test]
    fn of_too_many_as_many_are_kept_as_there_is_room_for() {
        let newest = settled(&added(&begun(), 12), &[10, 12]);
        let older: Vec<Account> = (0..20).map(|number| added(&begun(), 20 + 3 * number)).collect();
        let mut all: Vec<&Account> = older.iter().collect();
        let bygone = noted(&all, &newest);
        assert_eq!(bygone.proofs().count(), OLDER_PROOFS_MAX);
        all.reverse();
        assert_eq!(bygone, noted(&all, &newest));
        let bytes: usize = bygone.proofs().flatten().map(|envelope| envelope.len()).sum();
        assert!(bytes <= OLDER_PROOF_BYTES_MAX);
    }
}
