//! Which libsodium primitive does what? The one place that calls the bindings.
//!
//! Every function is deterministic: random values are handed in. Key types of the bindings print
//! and compare themselves carelessly, so they never leave this module.

#![expect(clippy::disallowed_types, reason = "the one place that handles the bindings' keys")]

pub mod suite;

use std::sync::OnceLock;

use libsodium_rs::{
    crypto_aead::xchacha20poly1305 as aead, crypto_box, crypto_generichash, crypto_kdf, crypto_kx,
    crypto_pwhash::argon2id, crypto_sign, ensure_init, utils,
};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{ids::DeviceId, keys::Secret};

/// Bytes of a hash and of every symmetric key.
pub const HASH_BYTES: usize = 32;
/// Bytes of an Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;
/// Bytes that sealing adds: a random nonce and the authentication tag.
pub const SEAL_BYTES: usize = 24 + 16;
/// Bytes of a password hashing salt.
pub const PASSWORD_SALT_BYTES: usize = 16;

/// A primitive refused its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The bytes were changed, cut or sealed under another key.
    #[error("the sealed bytes do not open with this key")]
    Open,
    /// The key is not a point that Ed25519 or X25519 may use.
    #[error("the public key is not usable")]
    PublicKey,
    /// A key, a nonce or what is asked for has a wrong length.
    #[error("a key, a nonce or what is asked for has a wrong length")]
    Length,
    /// Password hashing could not get its memory.
    #[error("not enough memory to check the passphrase")]
    Memory,
}

/// `BLAKE2b-256(len(domain) ‖ domain ‖ data)`; the domain is shorter than 256 bytes.
pub fn hash(domain: &[u8], data: &[u8]) -> [u8; HASH_BYTES] {
    hash_parts(domain, &[data])
}

/// As [`hash`], over parts that stand one behind the other.
pub fn hash_parts(domain: &[u8], parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    debug_assert!(domain.len() < 256, "a domain is a short label");
    let mut buffer = [0_u8; 256];
    let head = domain.len() + 1;
    let length = head + parts.iter().map(|part| part.len()).sum::<usize>();
    if let Some(space) = buffer.get_mut(..length) {
        fill(space, domain, parts);
        return hash_plain(space);
    }
    let mut long = vec![0_u8; length];
    fill(&mut long, domain, parts);
    hash_plain(&long)
}

fn fill(space: &mut [u8], domain: &[u8], parts: &[&[u8]]) {
    let length = [u8::try_from(domain.len()).unwrap_or(u8::MAX)];
    let mut rest = space;
    for part in [&length, domain].into_iter().chain(parts.iter().copied()) {
        let (here, behind) = rest.split_at_mut(part.len());
        here.copy_from_slice(part);
        rest = behind;
    }
}

/// BLAKE2b-256 of the bytes alone.
pub fn hash_plain(data: &[u8]) -> [u8; HASH_BYTES] {
    generichash(data, None)
}

/// BLAKE2b-256 keyed with 32 bytes: a message authentication code.
pub fn keyed_hash(key: &Secret<32>, data: &[u8]) -> [u8; HASH_BYTES] {
    key.expose(|key| generichash(data, Some(key)))
}

#[expect(clippy::expect_used, reason = "32 bytes out and a 32-byte key are always allowed")]
fn generichash(data: &[u8], key: Option<&[u8]>) -> [u8; HASH_BYTES] {
    ready();
    let mut state = crypto_generichash::State::new(key, HASH_BYTES).expect("lengths are constant");
    state.update(data);
    let mut out = [0; HASH_BYTES];
    out.copy_from_slice(&state.finalize());
    out
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && utils::memcmp(one, other)
}

/// Verifies an Ed25519 signature by libsodium's rule: strict, cofactorless, no small-order keys.
pub fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
    ready();
    crypto_sign::PublicKey::from_bytes(key)
        .is_ok_and(|key| crypto_sign::verify_detached(signature, message, &key))
}

pub(crate) fn sign_keypair(seed: &[u8; 32]) -> ([u8; 32], Secret<64>) {
    ready();
    let pair = sign_pair(seed);
    let secret = Secret::filled(|bytes| bytes.copy_from_slice(pair.secret_key.as_bytes()));
    (*pair.public_key.as_bytes(), secret)
}

#[expect(clippy::expect_used, reason = "a 32-byte seed always makes a key pair")]
fn sign_pair(seed: &[u8; 32]) -> crypto_sign::KeyPair {
    crypto_sign::keypair_from_seed(seed).expect("the seed has 32 bytes")
}

#[expect(clippy::expect_used, reason = "signing with a well-formed key cannot fail")]
pub(crate) fn sign(secret: &Secret<64>, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
    secret.expose(|bytes| {
        let key = crypto_sign::SecretKey::from_bytes(bytes).expect("the key has 64 bytes");
        crypto_sign::sign_detached(message, &key).expect("libsodium signs every message")
    })
}

/// The two keys that a pair of devices shares, one for each direction (libsodium `crypto_kx`
/// on the X25519 forms of their signing keys).
#[derive(Debug)]
pub struct PairKeys {
    /// For what we send.
    pub send: Secret<32>,
    /// For what we receive.
    pub receive: Secret<32>,
}

pub(crate) fn pair_keys(
    own: DeviceId,
    secret: &Secret<64>,
    other: DeviceId,
) -> Result<PairKeys, CryptoError> {
    let own_public = kx_public(own)?;
    let other_public = kx_public(other)?;
    let scalar = exchange_scalar(secret)?;
    let own_secret =
        crypto_kx::SecretKey::from_bytes(&*scalar).map_err(|_| CryptoError::PublicKey)?;
    let keys = if own < other {
        crypto_kx::client_session_keys(&own_public, &own_secret, &other_public)
    } else {
        crypto_kx::server_session_keys(&own_public, &own_secret, &other_public)
    }
    .map_err(|_| CryptoError::PublicKey)?;
    let (send, receive) = (Zeroizing::new(keys.tx), Zeroizing::new(keys.rx));
    Ok(PairKeys { send: Secret::copied(&send), receive: Secret::copied(&receive) })
}

fn kx_public(device: DeviceId) -> Result<crypto_kx::PublicKey, CryptoError> {
    crypto_kx::PublicKey::from_bytes(&exchange_point(device)?).map_err(|_| CryptoError::PublicKey)
}

fn exchange_point(device: DeviceId) -> Result<[u8; 32], CryptoError> {
    ready();
    let key = crypto_sign::PublicKey::from_bytes(device.as_bytes())
        .map_err(|_| CryptoError::PublicKey)?;
    crypto_sign::ed25519_pk_to_curve25519(&key).map_err(|_| CryptoError::PublicKey)
}

fn exchange_scalar(secret: &Secret<64>) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    secret.expose(|bytes| {
        crypto_sign::SecretKey::from_bytes(bytes)
            .and_then(|key| crypto_sign::ed25519_sk_to_curve25519(&key))
            .map(Zeroizing::new)
            .map_err(|_| CryptoError::PublicKey)
    })
}

/// Seals a message so that only the device opens it: libsodium's sealed box (`crypto_box_seal`),
/// its ephemeral key drawn from `rng`.
///
/// # Errors
/// [`CryptoError::PublicKey`] if the device's key cannot be used for X25519.
pub fn seal_to(
    rng: &mut dyn CryptoRng,
    recipient: DeviceId,
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let point = exchange_point(recipient)?;
    let recipient =
        crypto_box::PublicKey::from_bytes(&point).map_err(|_| CryptoError::PublicKey)?;
    let mut seed = Zeroizing::new([0_u8; 32]);
    rng.fill_bytes(&mut *seed);
    let ephemeral = crypto_box::KeyPair::from_seed(&*seed).map_err(|_| CryptoError::PublicKey)?;
    let nonce = sealed_box_nonce(ephemeral.public_key.as_bytes(), &point);
    let boxed = crypto_box::seal(message, &nonce, &recipient, &ephemeral.secret_key)
        .map_err(|_| CryptoError::PublicKey)?;
    let mut out = ephemeral.public_key.as_bytes().to_vec();
    out.extend_from_slice(&boxed);
    Ok(out)
}

#[expect(clippy::expect_used, reason = "24 bytes are an allowed hash length")]
fn sealed_box_nonce(ephemeral: &[u8; 32], recipient: &[u8; 32]) -> crypto_box::Nonce {
    let mut state = crypto_generichash::State::new(None, 24).expect("the length is constant");
    state.update(ephemeral);
    state.update(recipient);
    let mut nonce = [0; 24];
    nonce.copy_from_slice(&state.finalize());
    crypto_box::Nonce::from_bytes_exact(nonce)
}

pub(crate) fn open_from_anyone(
    own: DeviceId,
    secret: &Secret<64>,
    sealed: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let point = exchange_point(own)?;
    let scalar = exchange_scalar(secret)?;
    let public = crypto_box::PublicKey::from_bytes(&point).map_err(|_| CryptoError::PublicKey)?;
    let secret = crypto_box::SecretKey::from_bytes(&*scalar).map_err(|_| CryptoError::PublicKey)?;
    crypto_box::open_sealed_box(sealed, &public, &secret).map_err(|_| CryptoError::Open)
}

/// Seals bytes at rest with XChaCha20-Poly1305; `context` is authenticated, not stored.
/// The nonce stands in front; it must be random.
#[expect(clippy::expect_used, reason = "encryption with a 32-byte key cannot fail")]
pub fn seal(key: &Secret<32>, nonce: [u8; 24], context: &[u8], plain: &[u8]) -> Vec<u8> {
    ready();
    let boxed = key.expose(|key| {
        let key = aead::Key::from_bytes(key).expect("the key has 32 bytes");
        aead::encrypt(plain, Some(context), &aead::Nonce::from_bytes(nonce), &key)
            .expect("libsodium encrypts every message")
    });
    let mut out = Vec::with_capacity(nonce.len() + boxed.len());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&boxed);
    out
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`CryptoError::Open`] if key, context or bytes differ.
pub fn open(key: &Secret<32>, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    ready();
    let (nonce, boxed) = sealed.split_at_checked(24).ok_or(CryptoError::Open)?;
    let nonce = aead::Nonce::try_from_slice(nonce).map_err(|_| CryptoError::Open)?;
    key.expose(|key| {
        let key = aead::Key::from_bytes(key).map_err(|_| CryptoError::Open)?;
        aead::decrypt(boxed, Some(context), &nonce, &key).map_err(|_| CryptoError::Open)
    })
}

/// Derives a key for one purpose from a master key (libsodium `crypto_kdf`).
#[expect(clippy::expect_used, reason = "lengths are constant")]
pub fn derive(master: &Secret<32>, purpose: &[u8; 8], number: u64) -> Secret<32> {
    ready();
    master.expose(|master| {
        let master = crypto_kdf::Key::from_slice(master).expect("the key has 32 bytes");
        let derived = crypto_kdf::derive_from_key(32, number, purpose, &master)
            .expect("32 bytes may be derived");
        Secret::from_slice(&Zeroizing::new(derived)).expect("32 bytes were derived")
    })
}

/// Cost of Argon2id: passes over the memory and bytes of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Passes over the memory.
    pub operations: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

impl PasswordCost {
    /// 3 passes over 256 MiB: libsodium's "moderate" level, about a second on a small machine.
    pub const MODERATE: Self = Self { operations: 3, memory_bytes: 256 << 20 };
    /// 2 passes over 64 MiB: libsodium's "interactive" level.
    pub const INTERACTIVE: Self = Self { operations: 2, memory_bytes: 64 << 20 };
}

/// Makes a key from a passphrase with Argon2id (RFC 9106, version 1.3, one lane).
///
/// # Errors
/// [`CryptoError::Memory`] if the memory cannot be had or the cost is out of libsodium's range.
pub fn key_from_password(
    password: &[u8],
    salt: &[u8; PASSWORD_SALT_BYTES],
    cost: PasswordCost,
) -> Result<Secret<32>, CryptoError> {
    ready();
    let memory = usize::try_from(cost.memory_bytes).map_err(|_| CryptoError::Memory)?;
    let key = argon2id::pwhash(32, password, salt, cost.operations, memory)
        .map(Zeroizing::new)
        .map_err(|_| CryptoError::Memory)?;
    Secret::from_slice(&key).ok_or(CryptoError::Memory)
}

#[expect(clippy::expect_used, reason = "without libsodium nothing can go on")]
fn ready() {
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(|| ensure_init().expect("libsodium starts"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;

    #[test]
    fn hashing_separates_domains_and_joins_parts() {
        assert_ne!(hash(b"a", b"bc"), hash(b"ab", b"c"));
        assert_eq!(hash(b"a", b"bc"), hash_parts(b"a", &[b"b", b"c"]));
        let long = vec![7; 1000];
        assert_eq!(hash(b"a", &long), hash_parts(b"a", &[&long[..500], &long[500..]]));
    }

    #[test]
    fn sealing_is_bound_to_key_context_and_bytes() {
        let key = Secret::copied(&[1; 32]);
        let sealed = seal(&key, [2; 24], b"row", b"hello");
        assert_eq!(sealed.len(), 5 + SEAL_BYTES);
        assert_eq!(open(&key, b"row", &sealed).as_deref(), Ok(&b"hello"[..]));
        assert_eq!(open(&key, b"other", &sealed), Err(CryptoError::Open));
        assert_eq!(open(&Secret::copied(&[3; 32]), b"row", &sealed), Err(CryptoError::Open));
        assert_eq!(open(&key, b"row", &sealed[..20]), Err(CryptoError::Open));
    }

    #[test]
    fn a_sealed_box_is_libsodiums() {
        let bob = SigningKey::from_seed(&[9; 32]);
        let point = exchange_point(bob.device()).unwrap();
        let theirs = crypto_box::seal_box(
            b"from libsodium",
            &crypto_box::PublicKey::from_bytes(&point).unwrap(),
        )
        .unwrap();
        assert_eq!(bob.open(&theirs).unwrap(), b"from libsodium");
    }

    #[test]
    fn directions_have_different_keys_and_meet() {
        let (alice, bob) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let ours = alice.pair_keys(bob.device()).unwrap();
        let theirs = bob.pair_keys(alice.device()).unwrap();
        assert!(ours.send == theirs.receive);
        assert!(ours.receive == theirs.send);
        assert!(ours.send != ours.receive);
    }

    #[test]
    fn a_small_order_key_shares_nothing() {
        let alice = SigningKey::from_seed(&[1; 32]);
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(alice.pair_keys(DeviceId::from_bytes(identity)).is_err());
    }
}
