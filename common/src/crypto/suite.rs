//! What does MLS take from libsodium? The primitives of one cipher suite, over bytes: X-Wing,
//! ChaCha20-Poly1305 (RFC 8439), HKDF and HMAC with SHA-256 (RFC 5869, RFC 2104), SHAKE256.

use libsodium_rs::{
    crypto_aead::chacha20poly1305_ietf as aead, crypto_auth::hmacsha256, crypto_hash,
    crypto_kdf::hkdf::sha256 as hkdf, crypto_kem::xwing, crypto_stream, crypto_stream::chacha20,
    crypto_xof::shake256,
};
use zeroize::Zeroizing;

use super::{CryptoError, ready};

/// Bytes of a key of ChaCha20-Poly1305.
pub const AEAD_KEY_BYTES: usize = 32;
/// Bytes of a nonce of ChaCha20-Poly1305.
pub const AEAD_NONCE_BYTES: usize = 12;
/// Bytes of an X-Wing public key: ML-KEM-768 and X25519.
pub const XWING_PUBLIC_BYTES: usize = xwing::PUBLICKEYBYTES;
/// Bytes of an X-Wing private key, which is the seed of both halves.
pub const XWING_SECRET_BYTES: usize = xwing::SECRETKEYBYTES;
/// Bytes of an X-Wing ciphertext.
pub const XWING_CIPHERTEXT_BYTES: usize = xwing::CIPHERTEXTBYTES;
/// Random bytes that one encapsulation takes.
pub const XWING_ENCAPSULATION_BYTES: usize = xwing::ENCAPSULATIONSEEDBYTES;

/// SHA-256.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    ready();
    crypto_hash::hash_sha256(data)
}

/// HMAC-SHA-256.
///
/// # Errors
/// [`CryptoError::Length`] if the key has not 32 bytes.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> Result<[u8; 32], CryptoError> {
    ready();
    let key = hmacsha256::Key::from_bytes(key).map_err(|_| CryptoError::Length)?;
    hmacsha256::auth(data, &key).map_err(|_| CryptoError::Length)
}

/// HKDF-Extract with SHA-256.
///
/// # Errors
/// Never for lengths that fit the memory.
pub fn hkdf_extract(salt: &[u8], material: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    ready();
    let key = hkdf::extract(Some(salt), material).map_err(|_| CryptoError::Length)?;
    Ok(Zeroizing::new(*key.as_bytes()))
}

/// HKDF-Expand with SHA-256.
///
/// # Errors
/// [`CryptoError::Length`] if the key has not 32 bytes or more than 8,160 are asked for.
pub fn hkdf_expand(
    key: &[u8],
    info: &[u8],
    bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    ready();
    let key = hkdf::Prk::from_slice(key).map_err(|_| CryptoError::Length)?;
    hkdf::expand(bytes, Some(info), &key).map(Zeroizing::new).map_err(|_| CryptoError::Length)
}

/// The first bytes of SHAKE256.
///
/// # Errors
/// [`CryptoError::Length`] if none or too many are asked for.
pub fn shake256(data: &[u8], bytes: usize) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    ready();
    shake256::hash(data, bytes).map(Zeroizing::new).map_err(|_| CryptoError::Length)
}

/// Seals with ChaCha20-Poly1305; the tag stands behind. A nonce serves once for each key.
///
/// # Errors
/// [`CryptoError::Length`] if key or nonce have a wrong length.
pub fn aead_seal(
    key: &[u8],
    nonce: &[u8],
    context: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let (key, nonce) = aead_key(key, nonce)?;
    aead::encrypt(plain, Some(context), &nonce, &key).map_err(|_| CryptoError::Length)
}

/// Opens what [`aead_seal`] made.
///
/// # Errors
/// [`CryptoError::Open`] if anything differs, [`CryptoError::Length`] as for sealing.
pub fn aead_open(
    key: &[u8],
    nonce: &[u8],
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let (key, nonce) = aead_key(key, nonce)?;
    aead::decrypt(sealed, Some(context), &nonce, &key)
        .map(Zeroizing::new)
        .map_err(|_| CryptoError::Open)
}

fn aead_key(key: &[u8], nonce: &[u8]) -> Result<(aead::Key, aead::Nonce), CryptoError> {
    ready();
    let key = aead::Key::from_bytes(key).map_err(|_| CryptoError::Length)?;
    let nonce = aead::Nonce::try_from_slice(nonce).map_err(|_| CryptoError::Length)?;
    Ok((key, nonce))
}

/// The X-Wing key pair of a seed: private half (the seed), public half.
///
/// # Errors
/// [`CryptoError::Length`] if the seed has not [`XWING_SECRET_BYTES`].
pub fn xwing_keypair(seed: &[u8]) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), CryptoError> {
    ready();
    let pair = xwing::KeyPair::from_seed(seed).map_err(|_| CryptoError::Length)?;
    let secret = Zeroizing::new(pair.secret_key.as_bytes().to_vec());
    Ok((secret, pair.public_key.as_bytes().to_vec()))
}

/// Makes a shared secret for the holder of an X-Wing key, and the ciphertext that carries it,
/// from [`XWING_ENCAPSULATION_BYTES`] random bytes.
///
/// # Errors
/// [`CryptoError::Length`], or [`CryptoError::PublicKey`] if the key is none.
pub fn xwing_encapsulate(
    public: &[u8],
    random: &[u8],
) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), CryptoError> {
    ready();
    let public = xwing::PublicKey::from_bytes(public).map_err(|_| CryptoError::Length)?;
    let seed = xwing::EncapsulationSeed::from_bytes(random).map_err(|_| CryptoError::Length)?;
    let (ciphertext, shared) =
        xwing::encapsulate_deterministic(&public, &seed).map_err(|_| CryptoError::PublicKey)?;
    Ok((ciphertext.as_bytes().to_vec(), Zeroizing::new(shared.as_bytes().to_vec())))
}

/// The shared secret that a ciphertext carries. One that was changed gives another secret.
///
/// # Errors
/// [`CryptoError::Length`], or [`CryptoError::Open`] if its X25519 half is of small order.
pub fn xwing_decapsulate(
    ciphertext: &[u8],
    secret: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    ready();
    let ciphertext = xwing::Ciphertext::from_bytes(ciphertext).map_err(|_| CryptoError::Length)?;
    let secret = xwing::SecretKey::from_bytes(secret).map_err(|_| CryptoError::Length)?;
    xwing::decapsulate(&ciphertext, &secret)
        .map(|shared| Zeroizing::new(shared.as_bytes().to_vec()))
        .map_err(|_| CryptoError::Open)
}

/// Bytes that look random to whoever has not the seed: the ChaCha20 stream with this number.
///
/// # Errors
/// Never for lengths that fit the memory.
pub fn stream(
    seed: &[u8; 32],
    number: u64,
    bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    ready();
    let key = crypto_stream::Key::from_slice(seed).map_err(|_| CryptoError::Length)?;
    let nonce = chacha20::Nonce::from_bytes(number.to_be_bytes());
    chacha20::stream(bytes, &nonce, &key).map(Zeroizing::new).map_err(|_| CryptoError::Length)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        HEXLOWER.decode(hex.as_bytes()).unwrap()
    }

    #[test]
    fn hkdf_is_that_of_rfc_5869() {
        let key = hkdf_extract(&bytes("000102030405060708090a0b0c"), &[0x0b; 22]).unwrap();
        let out = hkdf_expand(&*key, &bytes("f0f1f2f3f4f5f6f7f8f9"), 42).unwrap();
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                        34007208d5b887185865";
        assert_eq!(*out, bytes(expected));
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let tag = hmac_sha256(&key, b"what do ya want for nothing?").unwrap();
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(tag.to_vec(), bytes(expected));
        assert_eq!(hmac_sha256(b"Jefe", b""), Err(CryptoError::Length));
    }

    #[test]
    fn what_is_sealed_opens_only_unchanged() {
        let sealed = aead_seal(&[1; 32], &[2; 12], b"context", b"hello").unwrap();
        assert_eq!(&*aead_open(&[1; 32], &[2; 12], b"context", &sealed).unwrap(), b"hello");
        assert_eq!(aead_open(&[1; 32], &[2; 12], b"", &sealed), Err(CryptoError::Open));
        assert_eq!(aead_open(&[1; 32], &[2; 12], b"", b"short"), Err(CryptoError::Open));
        assert_eq!(aead_seal(&[1; 31], &[2; 12], b"", b""), Err(CryptoError::Length));
    }

    #[test]
    fn x_wing_gives_both_ends_one_secret() {
        let (secret, public) = xwing_keypair(&[7; 32]).unwrap();
        let (ciphertext, shared) = xwing_encapsulate(&public, &[9; 64]).unwrap();
        assert_eq!(ciphertext.len(), XWING_CIPHERTEXT_BYTES);
        assert_eq!(xwing_decapsulate(&ciphertext, &secret).unwrap(), shared);
        assert_eq!(xwing_encapsulate(&public[1..], &[9; 64]), Err(CryptoError::Length));
        assert_eq!(xwing_decapsulate(&ciphertext[1..], &secret), Err(CryptoError::Length));
    }

    #[test]
    fn streams_differ_by_number_and_are_the_same_again() {
        let one = stream(&[3; 32], 1, 80).unwrap();
        assert_eq!(one, stream(&[3; 32], 1, 80).unwrap());
        assert_ne!(one, stream(&[3; 32], 2, 80).unwrap());
        assert_eq!(one[..10], stream(&[3; 32], 1, 10).unwrap()[..]);
    }
}
