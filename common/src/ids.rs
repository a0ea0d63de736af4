//! How are people, devices, logs and entries named? A newtype of 32 bytes for each.

use core::fmt;

use crate::crypto;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $label:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [a, b, c, d, ..] = self.0;
                write!(f, concat!($label, ":{:02x}{:02x}{:02x}{:02x}"), a, b, c, d)
            }
        }
    };
}

id!(
    /// Names a person: the hash of the account's genesis envelope (spec 02).
    AccountId,
    "account"
);
id!(
    /// Names one installation: its Ed25519 signing key.
    DeviceId,
    "device"
);
id!(
    /// Names what the operations of an account build on: a seat or a checkpoint (spec 02).
    BaseId,
    "base"
);
id!(
    /// Names a conversation (spec 03).
    LogId,
    "log"
);
id!(
    /// Names one signed entry or operation: BLAKE2b-256 of the whole envelope, signature included.
    EntryId,
    "entry"
);

impl LogId {
    /// The direct log of two accounts; the same from both sides.
    pub fn direct(one: AccountId, other: AccountId) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        let mut both = [0_u8; 64];
        let (left, right) = both.split_at_mut(32);
        left.copy_from_slice(low.as_bytes());
        right.copy_from_slice(high.as_bytes());
        Self(crypto::hash(b"kith/direct/1", &both))
    }

    /// The log that the devices of one account share with nobody else (spec 07).
    pub fn own(account: AccountId) -> Self {
        Self(crypto::hash(b"kith/self/1", account.as_bytes()))
    }
}

impl EntryId {
    /// The id of an envelope as received.
    pub fn of(envelope: &[u8]) -> Self {
        Self(crypto::hash_plain(envelope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_log_has_one_name_from_both_sides() {
        let (alice, bob) = (AccountId::from_bytes([1; 32]), AccountId::from_bytes([2; 32]));
        assert_eq!(LogId::direct(alice, bob), LogId::direct(bob, alice));
        assert_ne!(LogId::direct(alice, bob), LogId::direct(alice, alice));
    }

    #[test]
    fn debug_is_short() {
        assert_eq!(format!("{:?}", DeviceId::from_bytes([0x3f; 32])), "device:3f3f3f3f");
    }
}
