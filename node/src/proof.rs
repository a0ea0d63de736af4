//! How does the node show that it is the one of this home before it is told anything?
//!
//! Whoever asks sends a fresh nonce; only who holds the key of the access file can answer it. So a
//! program that took the port of a killed node gets neither the key nor what was to be done.

use kith_common::{crypto, keys::Secret};

/// Bytes of a nonce, drawn at random for each question.
pub const NONCE_BYTES: usize = 32;
const DOMAIN: &[u8] = b"kith/api-proof/1";

/// `BLAKE2b-256(key, domain ‖ nonce)`; the domain has a fixed length.
pub fn of(key: &Secret<32>, nonce: &[u8; NONCE_BYTES]) -> [u8; crypto::HASH_BYTES] {
    crypto::keyed_hash(key, &[DOMAIN, nonce].concat())
}

/// Whether a proof is right, in constant time.
pub fn holds(key: &Secret<32>, nonce: &[u8; NONCE_BYTES], proof: &[u8]) -> bool {
    crypto::equal(&of(key, nonce), proof)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_one_key_and_one_nonce() {
        let (key, other) = (Secret::copied(&[1; 32]), Secret::copied(&[2; 32]));
        let proof = of(&key, &[3; 32]);
        assert!(holds(&key, &[3; 32], &proof));
        assert!(!holds(&key, &[4; 32], &proof));
        assert!(!holds(&other, &[3; 32], &proof));
        assert!(!holds(&key, &[3; 32], &proof[..31]));
        assert!(!holds(&key, &[3; 32], &[]));
    }
}
