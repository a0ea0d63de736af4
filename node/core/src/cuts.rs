//! How far is a former device believed in a log? What was said of it, one word of each signer
//! (spec 02 R18).

use core::cmp::{Ordering, Reverse};

use kith_common::{
    account::{Account, Cut, CutWord, Last, Standing, combine},
    codec::{Reader, Writer},
    entry::Mark,
    envelope::{Signed, Verified},
    ids::{DeviceId, LogId},
    time::Timestamp,
};

use crate::{
    limits::CUTS_MAX,
    store::{RecordKind, Store, StoreError},
};

/// The cuts of one device in one log.
#[derive(Debug)]
pub(crate) struct Cuts {
    log: LogId,
    device: DeviceId,
    said: Vec<Verified<Cut>>,
}

impl Cuts {
    pub(crate) fn load(
        store: &dyn Store,
        log: LogId,
        device: DeviceId,
    ) -> Result<Self, StoreError> {
        let Some(bytes) = store.record(RecordKind::Cut, &key(log, device))? else {
            return Ok(Self { log, device, said: Vec::new() });
        };
        let envelopes = Reader::all(&bytes, |reader| {
            reader.list("cuts", CUTS_MAX, |r| Signed::<Cut>::decode(r.bytes("cut", usize::MAX)?))
        });
        let envelopes = envelopes.map_err(|error| StoreError::new("Reading cuts", error))?;
        let said = envelopes.into_iter().filter_map(|cut| cut.verify().ok()).collect();
        Ok(Self { log, device, said })
    }

    fn save(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let mut writer = Writer::new();
        writer.array(self.said.len());
        for cut in &self.said {
            writer.bytes(cut.bytes());
        }
        store.put_record(RecordKind::Cut, &key(self.log, self.device), &writer.finish())
    }

    /// Keeps what somebody says who has a word in the account. Returns whether it is new.
    pub(crate) fn keep(
        cut: Verified<Cut>,
        account: &Account,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        let mut cuts = Self::load(store, cut.value().log, cut.value().device)?;
        let is_final = cut.signer() == account.recovery();
        let any = cuts.add(cut, is_final, &|signer| has_word(account, signer));
        if any {
            cuts.save(store)?;
        }
        Ok(any)
    }

    /// Nobody's many words crowd out another's: of each signer one is kept, the one that would
    /// count were there no others.
    fn add(
        &mut self,
        cut: Verified<Cut>,
        is_final: bool,
        has_word: &dyn Fn(&[u8; 32]) -> bool,
    ) -> bool {
        if !has_word(cut.signer()) {
            return false;
        }
        if let Some(known) = self.said.iter_mut().find(|known| known.signer() == cut.signer()) {
            let counts = goes_before(cut.value(), known.value(), is_final);
            if counts {
                *known = cut;
            }
            return counts;
        }
        if self.said.len() >= CUTS_MAX {
            self.said.retain(|known| has_word(known.signer()));
        }
        let has_room = self.said.len() < CUTS_MAX;
        if has_room {
            self.said.push(cut);
        }
        has_room
    }

    /// The cut that counts now: `None` if there is none, `Some(None)` if nothing is believed.
    pub(crate) fn counting(&self, account: &Account) -> Option<Option<Mark>> {
        let words: Vec<_> = self.words(account).collect();
        let mark = |Last { seq, entry, .. }| Mark { device: self.device, seq, id: entry };
        combine(&words).map(|last| last.map(mark))
    }

    /// Since when the device is not believed, if somebody chose that.
    pub(crate) fn since(&self, account: &Account) -> Option<Timestamp> {
        self.words(account).filter_map(|(_, cut)| cut.since).min()
    }

    fn words<'a>(&'a self, account: &'a Account) -> impl Iterator<Item = (CutWord, &'a Cut)> {
        self.said.iter().filter_map(|cut| Some((account.weigh(cut)?, cut.value())))
    }

    /// Whether somebody who decides in the account has cut the device off, however it stands now.
    pub(crate) fn said_by(&self, account: &Account) -> bool {
        let decides = |signer: &[u8; 32]| {
            let settled = |device: &DeviceId| account.standing(*device) == Some(Standing::Settled);
            let mut devices = account.devices().filter(settled);
            account.recovery() == signer
                || devices.any(|device| account.authority_of(device).as_ref() == Some(signer))
        };
        self.said.iter().any(|cut| cut.value().account == account.id() && decides(cut.signer()))
    }
}

/// Whether somebody may have a word in the account, now or once a doubt is resolved.
fn has_word(account: &Account, signer: &[u8; 32]) -> bool {
    let mut devices = account.standings().map(|(device, _)| device);
    account.recovery() == signer
        || devices.any(|device| account.authority_of(device).as_ref() == Some(signer))
}

/// Whether one cut counts before another of the same signer: 02 R18.
fn goes_before(one: &Cut, other: &Cut, is_final: bool) -> bool {
    let since = |cut: &Cut| cut.since.unwrap_or(Timestamp::LAST);
    let last = |cut: &Cut| cut.last.map(|last| (last.seq, Reverse(last.entry)));
    match since(one).cmp(&since(other)) {
        _ if is_final => one.last < other.last,
        Ordering::Equal => last(one) > last(other),
        earlier => earlier.is_lt(),
    }
}

fn key(log: LogId, device: DeviceId) -> [u8; 64] {
    let mut key = [0; 64];
    let (left, right) = key.split_at_mut(32);
    left.copy_from_slice(log.as_bytes());
    right.copy_from_slice(device.as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use kith_common::{
        envelope::sign,
        ids::{AccountId, EntryId},
        keys::SigningKey,
    };

    use super::*;

    fn cut(signer: u8, seq: u64, since: Option<u64>) -> Verified<Cut> {
        let (entry, received) = (EntryId::from_bytes([7; 32]), Timestamp::from_millis(seq));
        let last = (seq > 0).then_some(Last { seq, entry, received });
        let since = since.map(Timestamp::from_millis);
        let device = DeviceId::from_bytes([2; 32]);
        let (account, log) = (AccountId::from_bytes([1; 32]), LogId::from_bytes([3; 32]));
        sign(&SigningKey::from_seed(&[signer; 32]), Cut { account, log, device, last, since })
    }

    fn empty() -> Cuts {
        let (log, device) = (LogId::from_bytes([3; 32]), DeviceId::from_bytes([2; 32]));
        Cuts { log, device, said: Vec::new() }
    }

    #[test]
    fn a_cut_is_remembered_while_who_said_it_decides() {
        let key = |number| SigningKey::from_seed(&[number; 32]);
        let begun = Account::create(&key(1), &key(2), &key(3), [0; 32]);
        let said_by = |signer: u8, account: &Account, of: AccountId| {
            let made = cut(signer, 0, None).value().clone();
            let made = sign(&key(signer), Cut { account: of, ..made });
            Cuts { said: vec![made], ..empty() }.said_by(account)
        };
        let id = begun.id();
        for (signer, counts) in [(1, true), (2, false), (3, true), (4, false)] {
            assert_eq!(said_by(signer, &begun, id), counts, "{signer}");
            assert!(!said_by(signer, &begun, AccountId::from_bytes([9; 32])));
        }
        // However the device stands that was cut: it may have been invited by somebody else.
        let other = AccountId::from_bytes([8; 32]);
        let device = cut(3, 0, None).value().device;
        let absorbs = begun.absorb(&key(3), other, &[device]).unwrap();
        let inviting = begun.join(&[absorbs]).unwrap();
        assert!(inviting.invites(device) && said_by(3, &inviting, id));
        let retired = begun.join(&[begun.retire(&key(3), key(2).device()).unwrap()]).unwrap();
        assert!(!said_by(3, &retired, id));
    }

    #[test]
    fn whoever_says_much_crowds_out_nobody() {
        let mut cuts = empty();
        for seq in 0..100 {
            cuts.add(cut(1, seq, None), false, &|_| true);
        }
        assert!(cuts.add(cut(2, 5, None), false, &|_| true));
        assert_eq!(cuts.said.len(), 2);
        assert!(!cuts.add(cut(3, 5, None), false, &|_| false), "a stranger");
        // Whoever has no word any more makes room.
        for signer in 3..=u8::MAX {
            cuts.add(cut(signer, 5, None), false, &|_| true);
        }
        assert_eq!(cuts.said.len(), CUTS_MAX);
        let only = *cut(9, 0, None).signer();
        let last = *cut(255, 0, None).signer();
        assert!(cuts.add(cut(255, 5, None), false, &|signer| *signer == only || *signer == last));
        assert_eq!(cuts.said.len(), 2);
    }

    #[test]
    fn of_one_signer_the_word_is_kept_that_counts_whatever_came_first() {
        let words = [
            (4, None),
            (9, None),
            (7, Some(8)),
            (3, Some(6)),
            (5, Some(6)),
            (0, Some(6)),
            (0, None),
        ];
        let mut kept = Vec::new();
        for first in 0..words.len() {
            let mut cuts = empty();
            for step in 0..words.len() {
                let (seq, since) = words[(first + step) % words.len()];
                cuts.add(cut(1, seq, since), false, &|_| true);
            }
            let Cut { last, since, .. } = cuts.said[0].value();
            kept.push((last.map(|last| last.seq), since.map(|since| since.millis())));
        }
        assert_eq!(kept, vec![(Some(5), Some(6)); words.len()]);
        let mut cuts = empty();
        for seq in [4, 9, 0] {
            cuts.add(cut(1, seq, None), false, &|_| true);
        }
        assert_eq!(cuts.said[0].value().last.map(|last| last.seq), Some(9));
        let mut cuts = empty();
        for seq in [4, 2, 9] {
            cuts.add(cut(1, seq, None), true, &|_| true);
        }
        assert_eq!(cuts.said[0].value().last.map(|last| last.seq), Some(2), "the recovery key");
    }
}
