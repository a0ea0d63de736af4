//! Does an account follow from the set of its envelopes alone?

use std::{collections::BTreeSet, sync::LazyLock};

use kith_common::{
    account::{
        Absorbs, Account, Checkpoint, DeviceAck, DeviceAdd, DeviceKeys, DeviceRetire,
        DeviceUntrust, MovedTo, Seat, Standing, Untrust,
    },
    crypto,
    envelope::{Signed, sign},
    ids::{AccountId, BaseId, DeviceId, EntryId},
    keys::SigningKey,
    limits::{
        ABSORBED_ACCOUNTS_MAX, ACCOUNT_DEVICES_MAX, ACCOUNT_PROOF_BYTES_MAX,
        ACCOUNT_PROOF_ENVELOPES_MAX,
    },
};

use crate::source::Source;

/// Signing and authority keys of some devices, and one recovery key.
struct Keys {
    recovery: SigningKey,
    devices: Vec<(SigningKey, SigningKey)>,
    account: AccountId,
    genesis: Box<[u8]>,
}

const DEVICES: u8 = 8;

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let key = |n: u8| SigningKey::from_seed(&[n; 32]);
    let recovery = key(0xa0);
    let (account, genesis) = Account::genesis(&recovery);
    let devices = (0..DEVICES).map(|n| (key(0xb0 + n), key(0xc0 + n))).collect();
    Keys { recovery, devices, account, genesis }
});

/// A list of envelopes: each is bytes with their length in front, or a plan that is signed.
/// The genesis stands in front, unless the first byte is 255.
pub(crate) fn account_fold(data: &[u8]) {
    let mut source = Source::new(data);
    let mut history = History { bases: Vec::new(), proof: vec![KEYS.genesis.clone()] };
    while let Some(kind) = source.byte() {
        if history.proof.len() > ACCOUNT_PROOF_ENVELOPES_MAX {
            break;
        }
        match kind {
            0 => history.proof.push(source.bytes().into()),
            255 => history.proof.clear(),
            _ => history.plan(kind, &mut source),
        }
    }
    check(&history.proof);
}

/// What was said, and the bases that it could have made.
struct History {
    bases: Vec<BaseId>,
    proof: Vec<Box<[u8]>>,
}

impl History {
    fn plan(&mut self, kind: u8, source: &mut Source<'_>) {
        let [by, about, other, at] = [0; 4].map(|_: u8| source.byte().unwrap_or(0));
        let number = usize::from(at) % self.bases.len().max(1);
        let base = self.bases.get(number).copied();
        let base = base.unwrap_or_else(|| BaseId::from_bytes([at; 32]));
        let bytes = match kind % 8 {
            0 => KEYS.seat(by % 3, about, other),
            1 => KEYS.addition(base, by, about, other),
            2 => {
                let why = if other & 1 == 0 { Untrust::Removed } else { Untrust::Stolen };
                let (account, device) = (KEYS.account, KEYS.device(about));
                sign(KEYS.key(by), DeviceUntrust { account, base, device, why }).into_bytes()
            }
            3 => {
                let (account, device) = (KEYS.account, KEYS.device(about));
                sign(KEYS.key(by), DeviceRetire { account, base, device }).into_bytes()
            }
            4 => {
                let checkpoint = KEYS.list(base, about);
                self.bases.push(next(&checkpoint));
                sign(KEYS.key(by), checkpoint).into_bytes()
            }
            5 => {
                let (account, to) = (KEYS.account, another(other));
                sign(KEYS.key(by), MovedTo { account, base, to }).into_bytes()
            }
            6 => {
                let taken = KEYS.masked(about);
                let devices = taken.iter().map(|(device, _)| device.device()).collect();
                let from = another(other);
                let absorbs = Absorbs { account: KEYS.account, base, from, devices };
                sign(KEYS.key(by), absorbs).into_bytes()
            }
            // An acknowledgement that stands alone.
            _ => KEYS.flawed_ack(KEYS.key(by), about, other),
        };
        if kind.is_multiple_of(8) {
            self.bases.push(BaseId::from_bytes(*EntryId::of(&bytes).as_bytes()));
        }
        self.proof.push(bytes);
    }
}

/// Another account, not so many that most differ.
fn another(number: u8) -> AccountId {
    AccountId::from_bytes([number.max(1); 32])
}

/// The base that a list makes (spec 02 R8).
fn next(checkpoint: &Checkpoint) -> BaseId {
    let mut text = [*checkpoint.account.as_bytes(), *checkpoint.base.as_bytes()].concat();
    for keys in &checkpoint.devices {
        text.extend_from_slice(keys.device.as_bytes());
        text.extend_from_slice(&keys.authority);
    }
    BaseId::from_bytes(crypto::hash(b"kith/checkpoint/1", &text))
}

impl Keys {
    /// A key by number: mostly authority keys, or signing keys, or the recovery key.
    fn key(&self, number: u8) -> &SigningKey {
        let pair = &self.devices[usize::from(number % DEVICES)];
        match number / DEVICES {
            0..=15 => &pair.1,
            16..=23 => &pair.0,
            _ => &self.recovery,
        }
    }

    fn device(&self, number: u8) -> DeviceId {
        self.devices[usize::from(number % DEVICES)].0.device()
    }

    fn masked(&self, mask: u8) -> Vec<&(SigningKey, SigningKey)> {
        let mut chosen: Vec<_> =
            self.devices.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).collect();
        chosen.sort_by_key(|(_, (device, _))| device.device());
        chosen.truncate(if mask == 0 { 0 } else { 8 });
        chosen.into_iter().map(|(_, pair)| pair).collect()
    }

    fn ack(&self, device: &SigningKey, authority: &SigningKey, by: &SigningKey) -> Box<[u8]> {
        let ack = DeviceAck {
            inviter: *by.public(),
            authority: *authority.public(),
            nonce: [9; 32],
            account: self.account,
        };
        sign(device, ack).into_bytes()
    }

    fn seat(&self, epoch: u8, mask: u8, dropped: u8) -> Box<[u8]> {
        let pairs = self.masked(mask);
        let devices = pairs.iter().map(|(device, own)| self.ack(device, own, &self.recovery));
        let seat = Seat {
            account: self.account,
            epoch: epoch.into(),
            devices: devices.collect(),
            dropped: self
                .masked(dropped & !mask)
                .iter()
                .map(|(device, _)| device.device())
                .collect(),
            absorbed: (1..=dropped >> 6).map(another).collect(),
        };
        sign(&self.recovery, seat).into_bytes()
    }

    fn addition(&self, base: BaseId, by: u8, new: u8, flaws: u8) -> Box<[u8]> {
        let by = self.key(by);
        let device = self.flawed_ack(by, new, flaws);
        let account =
            if flaws & 24 == 24 { AccountId::from_bytes([flaws; 32]) } else { self.account };
        sign(by, DeviceAdd { account, base, device }).into_bytes()
    }

    fn flawed_ack(&self, by: &SigningKey, new: u8, flaws: u8) -> Box<[u8]> {
        let (device, own) = &self.devices[usize::from(new % DEVICES)];
        let authority = if flaws & 1 == 0 { own } else { self.key(flaws) };
        let inviter = if flaws & 2 == 0 { by } else { self.key(flaws) };
        let mut device = self.ack(device, authority, inviter);
        if flaws & 4 != 0 {
            *device.last_mut().expect("an acknowledgement is long") ^= 1;
        }
        device
    }

    fn list(&self, base: BaseId, mask: u8) -> Checkpoint {
        let keys = |(device, authority): &&(SigningKey, SigningKey)| DeviceKeys {
            device: device.device(),
            authority: *authority.public(),
        };
        let devices = self.masked(mask.max(1)).iter().map(keys).collect();
        Checkpoint { account: self.account, base, devices }
    }
}

fn check(proof: &[Box<[u8]>]) {
    let Ok(account) = Account::fold(proof) else { return };
    assert!(account.proof().len() <= ACCOUNT_PROOF_ENVELOPES_MAX);
    assert!(account.devices().len() <= ACCOUNT_DEVICES_MAX);
    assert!(account.proof().iter().map(|e| e.len()).sum::<usize>() <= ACCOUNT_PROOF_BYTES_MAX);
    assert!(
        account.absorbed().len() <= ABSORBED_ACCOUNTS_MAX && !account.has_absorbed(account.id())
    );
    assert_ne!(account.moved_to(), Some(account.id()));
    assert_eq!(account.proof()[0], proof[0], "the genesis stays in front");
    assert!(account.proof().iter().all(|envelope| proof.contains(envelope)));
    assert_eq!(Account::fold(account.proof()).as_ref(), Ok(&account), "folding again is the same");

    let mut turned = proof.to_vec();
    turned[1..].reverse();
    assert_eq!(Account::fold(&turned).as_ref(), Ok(&account), "order does not matter");
    assert_eq!(account.join(proof).as_ref(), Ok(&account), "nothing is learned twice");
    signed_twice(&account);
    if account.base().is_none() {
        assert_eq!(account.devices().len(), 0, "nobody stands while nobody decides");
    }
}

/// Who stands has acknowledged the account, in a seat or an addition of somebody else (R3).
fn signed_twice(account: &Account) {
    let mut acknowledged = BTreeSet::new();
    let mut put = |bytes: &[u8]| {
        let ack = Signed::<DeviceAck>::decode(bytes).expect("what counts is well-formed");
        assert!(ack.signature_holds() && ack.claim().account == account.id());
        acknowledged.insert(DeviceId::from_bytes(*ack.signer()));
    };
    for bytes in &account.proof()[1..] {
        if let Ok(seat) = Signed::<Seat>::decode(bytes) {
            assert!(seat.signature_holds() && seat.signer() == account.recovery());
            seat.claim().devices.iter().for_each(|ack| put(ack));
        } else if let Ok(add) = Signed::<DeviceAdd>::decode(bytes) {
            assert!(add.signature_holds());
            put(&add.claim().device);
        } else if Signed::<DeviceAck>::decode(bytes).is_ok() {
            put(bytes);
        }
    }
    assert!(account.devices().all(|device| acknowledged.contains(&device)));
    let settled = account.standings().filter(|(_, how)| *how == Standing::Settled);
    assert!(settled.count() <= 16);
}
