//! Who takes part? People with keys that follow from the seed, and their devices.

use core::ops::Range;

use kith_common::{
    account::{Account, DeviceAck, DeviceAdd},
    crypto,
    envelope::sign,
    keys::SigningKey,
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

/// The node behind an address.
pub(crate) fn node_at(address: &str) -> Option<usize> {
    address.strip_prefix("sim:")?.parse().ok()
}

/// A person with one account on some devices.
#[derive(Debug, Clone)]
pub struct Person {
    /// What the person is called.
    pub name: String,
    /// The account, with all its devices.
    pub account: Account,
    /// The person's devices among the nodes.
    pub nodes: Range<usize>,
    pub(crate) seed: u64,
}

impl Person {
    /// A person whose keys follow from seed and number, with 1 … 32 devices.
    ///
    /// # Panics
    /// If the account has another number of devices.
    pub fn new(seed: u64, number: usize, name: &str, devices: usize, first_node: usize) -> Self {
        let key = |role| key(seed, number, role);
        let (recovery, first) = (key(Role::Recovery), key(Role::Authority(0)));
        let account = Account::create(&recovery, &key(Role::Device(0)), &first, [0; 32]);
        let mut proof = account.proof().to_vec();
        for device in 1..devices {
            let ack = DeviceAck {
                inviter: *first.public(),
                authority: *key(Role::Authority(device)).public(),
                nonce: [1; 32],
                account: Some(account.id()),
            };
            let device = sign(&key(Role::Device(device)), ack).into_bytes();
            let add = DeviceAdd { account: account.id(), previous: vec![], device };
            proof.push(sign(&first, add).into_bytes());
        }
        let account = Account::fold(&proof).expect("the proof holds");
        assert_eq!(account.devices().len(), devices);
        Self { name: name.to_owned(), account, nodes: first_node..first_node + devices, seed }
    }

    /// What the person hands to others: the account and the addresses of all devices.
    pub fn card(&self) -> ContactCard {
        ContactCard {
            account: self.account.clone(),
            name: self.name.clone(),
            addresses: self.nodes.clone().map(address).collect(),
        }
    }
}
