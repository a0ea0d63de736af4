//! Who takes part? The same people with the same keys in every run.

use std::sync::LazyLock;

use kith_common::{
    account::{Account, acknowledge},
    ids::AccountId,
    keys::SigningKey,
};

/// Everybody.
pub static CAST: LazyLock<Cast> = LazyLock::new(|| Cast {
    alice: Person::new(0x10),
    bob: Person::new(0x20),
    carol: Person::new(0x30),
    mallory: Person::new(0x40),
});

/// Everybody who takes part; each has a phone and a tablet.
pub struct Cast {
    /// Whose engine is tested.
    pub alice: Person,
    /// Her contact.
    pub bob: Person,
    /// Somebody whom she could add.
    pub carol: Person,
    /// A stranger.
    pub mallory: Person,
}

/// A person with all keys.
pub struct Person {
    /// The account with its proof.
    pub account: Account,
    /// The recovery key.
    pub recovery: SigningKey,
    /// Signing keys of phone and tablet.
    pub devices: [SigningKey; 2],
    /// Authority keys of phone and tablet.
    pub authorities: [SigningKey; 2],
}

impl Person {
    fn new(seed: u8) -> Self {
        let key = |n: u8| SigningKey::from_seed(&[seed + n; 32]);
        let (recovery, devices, authorities) = (key(0), [key(1), key(2)], [key(3), key(4)]);
        let begun = Account::create(&recovery, &devices[0], &authorities[0], [seed; 32]);
        let (inviter, own) = (*authorities[0].public(), *authorities[1].public());
        let ack = acknowledge(&devices[1], inviter, own, [1; 32], begun.id());
        let add = begun.add_device(&authorities[0], &ack).expect("the phone is settled");
        let account = begun.join(&[add]).expect("the proof holds");
        assert_eq!(account.devices().len(), 2);
        Self { account, recovery, devices, authorities }
    }

    /// The person's name in links.
    pub fn id(&self) -> AccountId {
        self.account.id()
    }
}
