//! Does an account follow from the set of its envelopes alone?

use std::{collections::BTreeSet, sync::LazyLock};

use kith_common::{
    account::{Account, DeviceAck, DeviceAdd, Genesis},
    envelope::{Signed, sign},
    ids::{AccountId, DeviceId, EntryId},
    keys::SigningKey,
    limits::{ACCOUNT_DEVICES_MAX, ACCOUNT_PROOF_BYTES_MAX, ACCOUNT_PROOF_ENVELOPES_MAX},
};

use crate::source::Source;

/// Signing and authority keys of some devices, and one recovery key.
struct Keys {
    recovery: SigningKey,
    devices: Vec<(SigningKey, SigningKey)>,
}

const DEVICES: u8 = 8;

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let key = |n: u8| SigningKey::from_seed(&[n; 32]);
    Keys {
        recovery: key(0xa0),
        devices: (0..DEVICES).map(|n| (key(0xb0 + n), key(0xc0 + n))).collect(),
    }
});

/// A list of envelopes: each is bytes with their length in front, or a plan that is signed.
pub(crate) fn account_fold(data: &[u8]) {
    let mut source = Source::new(data);
    let genesis = KEYS.genesis();
    let mut proof: Vec<Box<[u8]>> = Vec::new();
    while let Some(kind) = source.byte() {
        if proof.len() > ACCOUNT_PROOF_ENVELOPES_MAX {
            break;
        }
        proof.push(match kind {
            0 => source.bytes().into(),
            1 => genesis.proof()[0].clone(),
            _ => KEYS.planned(genesis.id(), &mut source),
        });
    }
    check(&proof);
}

impl Keys {
    fn genesis(&self) -> Account {
        let (device, authority) = &self.devices[0];
        Account::create(&self.recovery, device, authority, [9; 32])
    }

    /// A key by number: the recovery key, authority keys, or signing keys.
    fn key(&self, number: u8) -> &SigningKey {
        let pair = &self.devices[usize::from(number % DEVICES)];
        match number / DEVICES % 4 {
            0 | 1 => &pair.1,
            2 => &pair.0,
            _ => &self.recovery,
        }
    }

    fn planned(&self, account: AccountId, source: &mut Source<'_>) -> Box<[u8]> {
        let [by, new, authority, flaws] = [0; 4].map(|_: u8| source.byte().unwrap_or(0));
        let flawed = |bit: u8| flaws & bit != 0;
        let other = AccountId::from_bytes([flaws; 32]);
        let by = self.key(by);
        let inviter = if flawed(1) { self.key(flaws) } else { by };
        let acknowledged = match flaws & 6 {
            2 => None,
            4 => Some(other),
            _ => Some(account),
        };
        let ack = DeviceAck {
            inviter: *inviter.public(),
            authority: *self.key(authority).public(),
            nonce: [flaws; 32],
            account: acknowledged,
        };
        let device = sign(&self.devices[usize::from(new % DEVICES)].0, ack).into_bytes();
        if flawed(8) {
            return sign(by, Genesis { first_device: device }).into_bytes();
        }
        let previous = (0..flaws >> 5).map(|n| EntryId::from_bytes([n; 32])).collect();
        let account = if flawed(16) { other } else { account };
        sign(by, DeviceAdd { account, previous, device }).into_bytes()
    }
}

fn check(proof: &[Box<[u8]>]) {
    let Ok(account) = Account::fold(proof) else { return };
    assert!(account.proof().len() <= ACCOUNT_PROOF_ENVELOPES_MAX);
    assert!(account.devices().len() <= ACCOUNT_DEVICES_MAX);
    assert!(account.proof().iter().map(|e| e.len()).sum::<usize>() <= ACCOUNT_PROOF_BYTES_MAX);
    assert_eq!(account.devices().len(), account.proof().len(), "each envelope takes one in");
    assert_eq!(account.proof()[0], proof[0], "the genesis stays in front");
    assert!(account.proof().iter().all(|envelope| proof.contains(envelope)));
    assert_eq!(Account::fold(account.proof()).as_ref(), Ok(&account), "folding again is the same");

    let mut turned = proof.to_vec();
    turned[1..].reverse();
    assert_eq!(Account::fold(&turned).as_ref(), Ok(&account), "order does not matter");
    closed(&account, proof);
}

/// Who is in was vouched for by somebody who is in; who was vouched for is in (spec 02 R5).
fn closed(account: &Account, proof: &[Box<[u8]>]) {
    let counted: Vec<(Signed<DeviceAdd>, Signed<DeviceAck>)> = account.proof()[1..]
        .iter()
        .map(|bytes| addition(bytes, account.id()).expect("what counts is an addition"))
        .collect();
    let mut authorities = BTreeSet::from([*account.recovery(), first_authority(account)]);
    authorities.extend(counted.iter().map(|(_, ack)| ack.claim().authority));
    assert!(counted.iter().all(|(add, _)| authorities.contains(add.signer())));
    let valid = proof.iter().filter_map(|bytes| addition(bytes, account.id()));
    for (_, ack) in valid.filter(|(add, _)| authorities.contains(add.signer())) {
        let is_in = account.has(DeviceId::from_bytes(*ack.signer()));
        assert!(is_in || account.devices().len() == ACCOUNT_DEVICES_MAX);
    }
}

fn first_authority(account: &Account) -> [u8; 32] {
    let genesis = Signed::<Genesis>::decode(&account.proof()[0]).expect("a genesis in front");
    let ack = Signed::<DeviceAck>::decode(&genesis.claim().first_device);
    ack.expect("an acknowledgement inside").claim().authority
}

/// An addition whose two signatures hold and that means this account.
fn addition(bytes: &[u8], account: AccountId) -> Option<(Signed<DeviceAdd>, Signed<DeviceAck>)> {
    let add = Signed::<DeviceAdd>::decode(bytes).ok()?;
    let ack = Signed::<DeviceAck>::decode(&add.claim().device).ok()?;
    let meant = add.signature_holds()
        && ack.signature_holds()
        && add.claim().account == account
        && ack.claim().account == Some(account)
        && ack.claim().inviter == *add.signer();
    meant.then_some((add, ack))
}
