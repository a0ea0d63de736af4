//! Who takes part? People with keys that follow from the seed, and their devices.

use kith_common::{
    account::{Account, acknowledge},
    crypto,
    ids::DeviceId,
    keys::SigningKey,
    limits::{ADDITIONS_PER_INVITER_MAX, SETTLED_DEVICES_MAX},
    share::ContactCard,
};

/// What a key is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    Recovery,
    Device(usize),
    Authority(usize),
}

/// The seed of a key.
pub(crate) fn key_seed(seed: u64, person: usize, role: Role) -> [u8; 32] {
    let (role, device) = match role {
        Role::Recovery => (0_u64, 0),
        Role::Device(device) => (1, device as u64),
        Role::Authority(device) => (2, device as u64),
    };
    let numbers = [seed, person as u64, role, device];
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    crypto::hash(b"kith/simulation/1", &bytes)
}

/// A key that follows from the seed.
pub(crate) fn key(seed: u64, person: usize, role: Role) -> SigningKey {
    SigningKey::from_seed(&key_seed(seed, person, role))
}

/// The address of a node.
pub fn address(node: usize) -> String {
    format!("sim:{node}")
}

/// The account with one more device: the first one takes in whom it may, what they are is settled
/// when no more would count, and at last every settled device takes in one.
fn grown(account: Account, device: usize, key: &impl Fn(Role) -> SigningKey) -> Account {
    let account = if [1 + ADDITIONS_PER_INVITER_MAX, SETTLED_DEVICES_MAX].contains(&device) {
        settled(account, key)
    } else {
        account
    };
    let inviter = key(Role::Authority(device.saturating_sub(SETTLED_DEVICES_MAX)));
    let authority = *key(Role::Authority(device)).public();
    let device = key(Role::Device(device));
    let ack = acknowledge(&device, *inviter.public(), authority, [1; 32], account.id());
    let add = account.add_device(&inviter, &ack).expect("the inviter is settled");
    account.join(&[add]).expect("one more fits")
}

fn settled(account: Account, key: &impl Fn(Role) -> SigningKey) -> Account {
    let list: Vec<DeviceId> = account.devices().collect();
    let mut signed = Vec::new();
    for device in 0..SETTLED_DEVICES_MAX {
        signed.extend(account.checkpoint(&key(Role::Authority(device)), &list));
    }
    account.join(&signed).expect("some more fit")
}

/// A person with one account on some devices.
#[derive(Debug, Clone)]
pub struct Person {
    /// What the person is called.
    pub name: String,
    /// The account, with all its devices.
    pub account: Account,
    /// The person's devices among the nodes.
    pub nodes: Vec<usize>,
    pub(crate) seed: u64,
    number: usize,
}

impl Person {
    /// A person whose keys follow from seed and number, with 1 … 32 devices.
    ///
    /// # Panics
    /// If the account has another number of devices.
    pub fn new(seed: u64, number: usize, name: &str, devices: usize, first_node: usize) -> Self {
        let key = |role| key(seed, number, role);
        let (recovery, first) = (key(Role::Recovery), key(Role::Authority(0)));
        let mut account = Account::create(&recovery, &key(Role::Device(0)), &first, [0; 32]);
        for device in 1..devices {
            account = grown(account, device, &key);
        }
        assert_eq!(account.devices().len(), devices);
        Self {
            name: name.to_owned(),
            account,
            nodes: (first_node..first_node + devices).collect(),
            seed,
            number,
        }
    }

    /// The authority key of a device, for those who know the passphrase.
    pub fn authority(&self, device: usize) -> SigningKey {
        key(self.seed, self.number, Role::Authority(device))
    }

    /// The recovery key, for those who have the words.
    pub fn recovery(&self) -> SigningKey {
        key(self.seed, self.number, Role::Recovery)
    }

    /// The account with all devices settled.
    pub fn settle(&mut self) {
        let (seed, number) = (self.seed, self.number);
        let account = std::mem::replace(
            &mut self.account,
            Account::create(
                &key(seed, number, Role::Recovery),
                &key(seed, number, Role::Device(0)),
                &key(seed, number, Role::Authority(0)),
                [0; 32],
            ),
        );
        self.account = settled(account, &|role| key(seed, number, role));
    }

    /// What the person hands to others: the account and the addresses of all devices.
    pub fn card(&self) -> ContactCard {
        ContactCard {
            account: self.account.clone(),
            name: self.name.clone(),
            addresses: self.nodes.iter().copied().map(address).collect(),
            knocks: Vec::new(),
        }
    }
}
