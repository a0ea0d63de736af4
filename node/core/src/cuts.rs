//! What is believed of a former device in a log? What was said of it, at most four words of each
//! signer (spec 02 R18).

use kith_common::{
    account::{Account, Believed, Cut, CutWord, Standing},
    codec::{Reader, Writer},
    envelope::{Signed, Verified},
    ids::{AccountId, DeviceId, LogId},
    time::Timestamp,
};

use crate::{
    limits::{CUT_SIGNERS_MAX, CUTS_PER_SIGNER_MAX},
    store::{RecordKind, Store, StoreError},
};

/// The cuts of one device in one log, by an account.
#[derive(Debug)]
pub(crate) struct Cuts {
    key: [u8; 96],
    /// Ascending by signer and time.
    said: Vec<Verified<Cut>>,
}

impl Cuts {
    pub(crate) fn load(
        store: &dyn Store,
        account: AccountId,
        (log, device): (LogId, DeviceId),
    ) -> Result<Self, StoreError> {
        let key = key(account, log, device);
        let Some(bytes) = store.record(RecordKind::Cut, &key)? else {
            return Ok(Self { key, said: Vec::new() });
        };
        let envelopes = Reader::all(&bytes, |reader| {
            let read = |r: &mut Reader<'_>| Signed::<Cut>::decode(r.bytes("cut", usize::MAX)?);
            reader.list("cuts", CUT_SIGNERS_MAX * CUTS_PER_SIGNER_MAX, read)
        });
        let envelopes = envelopes.map_err(|error| StoreError::new("Reading cuts", error))?;
        let said = envelopes.into_iter().filter_map(|cut| cut.verify().ok()).collect();
        Ok(Self { key, said })
    }

    fn save(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let mut writer = Writer::new();
        writer.array(self.said.len());
        for cut in &self.said {
            writer.bytes(cut.bytes());
        }
        store.put_record(RecordKind::Cut, &self.key, &writer.finish())
    }

    /// Keeps what somebody says who has a word in the account. Returns whether it is new.
    pub(crate) fn keep(
        cut: Verified<Cut>,
        account: &Account,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        let about = (cut.value().log, cut.value().device);
        let mut cuts = Self::load(store, cut.value().account, about)?;
        let any = cut.value().account == account.id() && cuts.add(cut, account);
        if any {
            cuts.save(store)?;
        }
        Ok(any)
    }

    /// Nobody's many words crowd out another's.
    fn add(&mut self, cut: Verified<Cut>, account: &Account) -> bool {
        if !has_word(account, cut.signer()) || !self.has_room_for(&cut, account) {
            return false;
        }
        let (signer, since) = (*cut.signer(), cut.value().since);
        let of_signer = |known: &Verified<Cut>| *known.signer() == signer;
        let same = self.said.iter().position(|k| of_signer(k) && k.value().since == since);
        match same.and_then(|at| self.said.get_mut(at)) {
            Some(known) if known.value().lasts < cut.value().lasts => *known = cut,
            Some(_) => return false,
            None => {
                self.said.push(cut);
                self.said.sort_by_key(|known| (*known.signer(), known.value().since));
            }
        }
        let own = self.said.iter().enumerate().filter(|(_, known)| of_signer(known));
        let own: Vec<usize> = own.map(|(at, _)| at).collect();
        let middle = own.get(CUTS_PER_SIGNER_MAX / 2);
        // Of more, those in the middle go.
        match middle.filter(|_| own.len() > CUTS_PER_SIGNER_MAX) {
            Some(at) => self.said.remove(*at).value().since != since,
            None => true,
        }
    }

    /// Whoever says something that does not count makes room for who does.
    fn has_room_for(&mut self, cut: &Verified<Cut>, account: &Account) -> bool {
        let knows = self.said.iter().any(|known| known.signer() == cut.signer());
        let mut signers: Vec<&[u8; 32]> = self.said.iter().map(Verified::signer).collect();
        signers.dedup();
        if knows || signers.len() < CUT_SIGNERS_MAX {
            return true;
        }
        let counts = account.weigh(cut).is_some();
        let before = self.said.len();
        self.said.retain(|known| {
            has_word(account, known.signer()) && !(counts && account.weigh(known).is_none())
        });
        self.said.len() < before
    }

    /// What counts now; `None` if nobody has decided.
    pub(crate) fn believed(&self, account: &Account) -> Option<Believed> {
        let word = |cut| Some((account.weigh(cut)?, cut.value()));
        let words: Vec<(CutWord, &Cut)> = self.said.iter().filter_map(word).collect();
        Believed::by(&words)
    }

    /// Since when the device is not believed, by those who decide and satisfy a condition.
    pub(crate) fn since(
        &self,
        account: &Account,
        condition: impl Fn(&[u8; 32]) -> bool,
    ) -> Option<Timestamp> {
        let decides = |cut: &&Verified<Cut>| {
            condition(cut.signer())
                && account.weigh(cut).is_some_and(|word| word != CutWord::Witness)
        };
        self.said.iter().filter(decides).map(|cut| cut.value().since).min()
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
        || devices.any(|device| {
            device.as_bytes() == signer || account.authority_of(device).as_ref() == Some(signer)
        })
}

fn key(account: AccountId, log: LogId, device: DeviceId) -> [u8; 96] {
    let mut key = [0; 96];
    let parts = [log.as_bytes(), device.as_bytes(), account.as_bytes()];
    for (slot, part) in key.chunks_exact_mut(32).zip(parts) {
        slot.copy_from_slice(part);
    }
    key
}

#[cfg(test)]
mod tests {
    use kith_common::{
        account::{Last, Untrust, acknowledge},
        envelope::sign,
        ids::EntryId,
        keys::SigningKey,
    };

    use super::*;
    use crate::store::memory::MemoryStore;

    const LOG: LogId = LogId::from_bytes([3; 32]);
    const STOLEN: DeviceId = DeviceId::from_bytes([2; 32]);

    /// Signing, authority and recovery keys.
    fn key(number: u8, what: u8) -> SigningKey {
        let mut seed = [number; 32];
        seed[0] = what;
        SigningKey::from_seed(&seed)
    }

    /// An account of settled devices and of as many as these have taken in, the first with this
    /// number; and all keys that have a word.
    fn account_of(first: u8, settled: u8, added: u8) -> (Account, Vec<SigningKey>) {
        let recovery = key(first, 3);
        let (id, _) = Account::genesis(&recovery);
        let ack = |number: u8, inviter: &SigningKey| {
            let (device, authority) = (key(number, 1), *key(number, 2).public());
            acknowledge(&device, *inviter.public(), authority, [number; 32], id)
        };
        let acks = (first..first + settled).map(|number| ack(number, &recovery)).collect();
        let mut account = Account::begin(&recovery, 0, acks).unwrap();
        for number in 0..added {
            let by = key(first + number % settled, 2);
            let addition = account.add_device(&by, &ack(first + settled + number, &by)).unwrap();
            account = account.join(&[addition]).unwrap();
        }
        let devices = first..first + settled + added;
        let keys = devices.flat_map(|number| [key(number, 2), key(number, 1)]);
        (account, std::iter::once(recovery).chain(keys).collect())
    }

    fn cut(by: &SigningKey, account: &Account, (seq, since): (u64, u64)) -> Verified<Cut> {
        let (entry, received) = (EntryId::from_bytes([7; 32]), Timestamp::from_millis(since - 1));
        let last = (seq > 0).then_some(Last { seq, entry, received });
        let (lasts, since) = (last.into_iter().collect(), Timestamp::from_millis(since));
        sign(by, Cut { account: account.id(), log: LOG, device: STOLEN, lasts, since })
    }

    fn empty(account: &Account) -> Cuts {
        Cuts { key: super::key(account.id(), LOG, STOLEN), said: Vec::new() }
    }

    #[test]
    fn a_cut_is_remembered_while_who_said_it_decides() {
        let (begun, keys) = account_of(1, 1, 0);
        let said_by = |by: &SigningKey, account: &Account, of: &Account| {
            Cuts { said: vec![cut(by, of, (0, 1))], ..empty(of) }.said_by(account)
        };
        let stranger = account_of(9, 1, 0).0;
        let decides = keys.iter().map(|key| said_by(key, &begun, &begun));
        assert_eq!(
            decides.collect::<Vec<_>>(),
            [true, true, false],
            "recovery, authority, signing"
        );
        assert!(!said_by(&key(4, 2), &begun, &begun));
        assert!(!said_by(&keys[0], &begun, &stranger));
        // However the device stands that was cut: it may have been invited by somebody else.
        let authority = &keys[1];
        let absorbs = begun.absorb(authority, stranger.id(), &[STOLEN]).unwrap();
        let inviting = begun.join(&[absorbs]).unwrap();
        assert!(inviting.invites(STOLEN) && said_by(authority, &inviting, &begun));
        let retired = begun.retire(authority, key(1, 1).device()).unwrap();
        let retired = begun.join(&[retired]).unwrap();
        assert!(!said_by(authority, &retired, &begun));
    }

    #[test]
    fn whoever_says_much_crowds_out_nobody() {
        let (account, keys) = account_of(10, 16, 16);
        let mut cuts = empty(&account);
        for since in 1..100 {
            cuts.add(cut(&keys[1], &account, (1, since)), &account);
        }
        assert_eq!(cuts.said.len(), CUTS_PER_SIGNER_MAX);
        for key in &keys {
            for since in [200, 300] {
                assert!(cuts.add(cut(key, &account, (1, since)), &account));
            }
        }
        assert!(!cuts.add(cut(&key(200, 2), &account, (1, 5)), &account), "a stranger");
        assert_eq!(cuts.said.len(), 2 * CUT_SIGNERS_MAX + 2);
    }

    /// Sixty devices have come and gone, and each has said something.
    #[test]
    fn who_has_gone_makes_room_for_who_stands() {
        let (account, keys) = account_of(10, 16, 16);
        let mut cuts = empty(&account);
        let (before, mut of_others) = account_of(90, 16, 16);
        of_others[0] = key(10, 3);
        cuts.said = of_others.iter().map(|key| cut(key, &account, (1, 5))).collect();
        assert_eq!((cuts.said.len(), before.devices().count()), (CUT_SIGNERS_MAX, 32));
        assert!(cuts.add(cut(&keys[1], &account, (2, 7)), &account));
        assert_eq!(cuts.said.len(), 2, "and the recovery key");
    }

    #[test]
    fn of_one_signer_the_first_and_the_last_times_are_kept_whatever_came_first() {
        let (account, keys) = account_of(1, 1, 0);
        let words = [(4, 10), (9, 20), (7, 30), (3, 40), (5, 50), (0, 60), (8, 20)];
        for first in 0..words.len() {
            let mut cuts = empty(&account);
            for step in 0..words.len() {
                cuts.add(cut(&keys[1], &account, words[(first + step) % words.len()]), &account);
            }
            let seq = |cut: &Verified<Cut>| cut.value().lasts.first().map_or(0, |last| last.seq);
            let kept = cuts.said.iter().map(|cut| (seq(cut), cut.value().since.millis()));
            assert_eq!(kept.collect::<Vec<_>>(), [(4, 10), (9, 20), (5, 50), (0, 60)], "{first}");
        }
    }

    /// Mallory, a contact with 32 devices, says of Alice's stolen device what does not count, in the
    /// log of the two.
    #[test]
    fn a_contact_crowds_out_nothing_that_the_owner_said() {
        let mut store = MemoryStore::new();
        let (alice, own) = account_of(10, 2, 0);
        let (mallory, others) = account_of(100, 16, 16);
        let stolen = key(11, 1).device();
        let vote = alice.untrust(&own[1], stolen, Untrust::Stolen).unwrap();
        let alice = alice.join(&[vote]).unwrap();
        let said = Believed { lasts: Vec::new(), since: Timestamp::from_millis(5) };
        let said_by_alice = alice.cut(&own[1], LOG, stolen, said.clone()).unwrap();
        assert!(Cuts::keep(said_by_alice, &alice, &mut store).unwrap());
        for signer in &others {
            let since = Timestamp::from_millis(1);
            let cut = Cut { account: mallory.id(), log: LOG, device: stolen, lasts: vec![], since };
            Cuts::keep(sign(signer, cut), &mallory, &mut store).unwrap();
        }
        let cuts = Cuts::load(&store, alice.id(), (LOG, stolen)).unwrap();
        assert_eq!(cuts.believed(&alice), Some(said));
    }
}
