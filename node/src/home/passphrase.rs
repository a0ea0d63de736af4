//! What unlocks the keys? A passphrase through Argon2id, or nothing at all.

use core::fmt;

use kith_common::{
    crypto::{self, PASSWORD_SALT_BYTES, PasswordCost},
    keys::Secret,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::HomeError;

/// What its owner gives to unlock a home.
pub enum Passphrase {
    /// Nothing: whoever can read the files has the keys.
    None,
    /// A passphrase, its bytes as typed.
    Given(Zeroizing<String>),
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "Passphrase::None",
            Self::Given(_) => "Passphrase::Given(..)",
        })
    }
}

/// How the key-encryption key is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kdf {
    /// From nothing: the key is public.
    None,
    /// From a passphrase.
    Argon2id { cost: PasswordCost, salt: [u8; PASSWORD_SALT_BYTES] },
}

impl Kdf {
    /// Whether a passphrase is part of the way to the key.
    pub(super) const fn takes_passphrase(&self) -> bool {
        match self {
            Self::None => false,
            Self::Argon2id { .. } => true,
        }
    }
}

/// A new key-encryption key and how to make it again.
pub(super) fn choose(
    passphrase: &Passphrase,
    cost: PasswordCost,
    rng: &mut dyn CryptoRng,
) -> Result<(Kdf, Secret<32>), HomeError> {
    let kdf = match passphrase {
        Passphrase::None => Kdf::None,
        Passphrase::Given(text) if text.is_empty() => return Err(HomeError::PassphraseEmpty),
        Passphrase::Given(_) => {
            let mut salt = [0; PASSWORD_SALT_BYTES];
            rng.fill_bytes(&mut salt);
            Kdf::Argon2id { cost, salt }
        }
    };
    let key = key(passphrase, &kdf)?;
    Ok((kdf, key))
}

/// The key-encryption key, if the right kind of passphrase was given; whether it is the right one
/// shows when something is opened.
pub(super) fn key(passphrase: &Passphrase, kdf: &Kdf) -> Result<Secret<32>, HomeError> {
    match (passphrase, kdf) {
        (Passphrase::None, Kdf::None) => {
            Ok(Secret::copied(&crypto::hash(b"kith/no-passphrase/1", &[])))
        }
        (Passphrase::Given(text), Kdf::Argon2id { cost, salt }) => {
            crypto::key_from_password(text.as_bytes(), salt, *cost)
                .map_err(HomeError::PassphraseKey)
        }
        (Passphrase::None, Kdf::Argon2id { .. }) => Err(HomeError::PassphraseNeeded),
        (Passphrase::Given(_), Kdf::None) => Err(HomeError::PassphraseNotUsed),
    }
}
