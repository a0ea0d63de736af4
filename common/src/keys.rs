//! Who may sign, and how are secrets kept? In guarded memory, wiped on drop, never printed.

use core::fmt;

use libsodium_rs::utils::vec_utils::{SecureVec, secure_vec};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    crypto::{self, CryptoError, PairKeys, SIGNATURE_BYTES},
    ids::DeviceId,
};

/// `N` secret bytes in libsodium's guarded memory: between two forbidden pages, locked out of
/// swap where the system allows it, overwritten when dropped.
pub struct Secret<const N: usize>(SecureVec<u8>);

// The allocation belongs to this value alone, is never written after it is made, and libsodium
// frees it from any thread (`munmap` of its pages); nothing in it is tied to a thread.
#[expect(unsafe_code, reason = "libsodium-rs leaves its allocation without Send and Sync")]
unsafe impl<const N: usize> Send for Secret<N> {}
#[expect(unsafe_code, reason = "only shared references to bytes that never change are given out")]
unsafe impl<const N: usize> Sync for Secret<N> {}

impl<const N: usize> Secret<N> {
    /// Fresh random bytes.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self::filled(|bytes| rng.fill_bytes(bytes))
    }

    /// A copy of bytes whose original the caller wipes.
    pub fn copied(bytes: &[u8; N]) -> Self {
        Self::filled(|space| space.copy_from_slice(bytes))
    }

    /// A copy of bytes whose original the caller wipes; `None` if there are not `N` of them.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == N).then(|| Self::filled(|space| space.copy_from_slice(bytes)))
    }

    #[expect(clippy::expect_used, reason = "a node without memory for keys cannot go on")]
    pub(crate) fn filled(fill: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = secure_vec(N).expect("guarded memory for a key");
        fill(&mut bytes);
        Self(bytes)
    }

    /// Lends the bytes to `reader`. Every use of a secret stands behind this word.
    pub fn expose<R>(&self, reader: impl FnOnce(&[u8]) -> R) -> R {
        reader(&self.0)
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        crypto::equal(&self.0, &other.0)
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// An Ed25519 key pair of a device, of its authority, or of an account's recovery.
pub struct SigningKey {
    public: [u8; 32],
    secret: Secret<64>,
}

impl SigningKey {
    /// A new key pair.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self::from_seed(&seed)
    }

    /// The key pair of a seed (RFC 8032).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let (public, secret) = crypto::sign_keypair(seed);
        Self { public, secret }
    }

    /// The seed, to be sealed or written down.
    pub fn expose_seed<R>(&self, reader: impl FnOnce(&[u8; 32]) -> R) -> R {
        self.secret.expose(|bytes| {
            let mut seed = [0; 32];
            seed.copy_from_slice(bytes.split_at(32).0);
            let result = reader(&seed);
            seed.zeroize();
            result
        })
    }

    /// The public half.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The public half as a device's name.
    pub const fn device(&self) -> DeviceId {
        DeviceId::from_bytes(self.public)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        crypto::sign(&self.secret, message)
    }

    /// Signs what MLS signs, and nothing else: `SignContent` of RFC 9420 §5.1.2 begins with the
    /// length of a label and `MLS 1.0 `, which no envelope does (01). `None` for other bytes.
    pub fn sign_mls(&self, content: &[u8]) -> Option<[u8; SIGNATURE_BYTES]> {
        let (length, rest) = content.split_first()?;
        let short = *length < 64 && rest.len() >= usize::from(*length);
        (short && rest.starts_with(b"MLS 1.0 ")).then(|| self.sign(content))
    }

    /// The keys shared with another device.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`] if the other's key is of small order or no point at all.
    pub fn pair_keys(&self, other: DeviceId) -> Result<PairKeys, CryptoError> {
        crypto::pair_keys(self.device(), &self.secret, other)
    }

    /// Opens a sealed box made by [`crypto::seal_to`] for this device.
    ///
    /// # Errors
    /// [`CryptoError::Open`] if it was not made for this device or was changed.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        crypto::open_from_anyone(self.device(), &self.secret, sealed)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.public;
        write!(f, "SigningKey({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print_themselves() {
        let key = SigningKey::from_seed(&[0xab; 32]);
        let seed_shown = "abababab";
        assert!(!format!("{key:?}").contains(seed_shown));
        assert_eq!(format!("{:?}", Secret::copied(&[0xab; 32])), "Secret(..)");
    }

    #[test]
    fn what_is_signed_for_mls_is_nothing_else() {
        let key = SigningKey::from_seed(&[5; 32]);
        assert!(key.sign_mls(b"\x15MLS 1.0 KeyPackageTBS\x02ab").is_some());
        assert!(key.sign_mls(b"").is_none());
        assert!(key.sign_mls(b"\x15MLS 1.0 Key").is_none());
        assert!(key.sign_mls(b"\x84jSignature1MLS 1.0 ").is_none());
    }

    #[test]
    fn a_seed_gives_the_same_key_again() {
        let key = SigningKey::from_seed(&[5; 32]);
        let seed = key.expose_seed(|seed| *seed);
        assert_eq!(seed, [5; 32]);
        assert_eq!(SigningKey::from_seed(&seed).public(), key.public());
    }
}
