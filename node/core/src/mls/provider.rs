//! How does the MLS library compute? With libsodium alone, from random bytes that were handed in.
//!
//! The device's key never enters the library: what it asks to sign is signed here.

use std::sync::atomic::{AtomicU64, Ordering};

use kith_common::{
    crypto::{self, CryptoError, suite},
    keys::SigningKey,
};
use mls_rs::CipherSuite;
use mls_rs_core::{
    crypto::{
        CipherSuiteProvider, CryptoProvider, HpkeCiphertext, HpkePsk, HpkePublicKey, HpkeSecretKey,
        SignaturePublicKey, SignatureSecretKey,
    },
    error::IntoAnyError,
};
use mls_rs_crypto_hpke::{
    context::{ContextR, ContextS},
    hpke::{Hpke, HpkeError},
};
use mls_rs_crypto_traits::{AeadType, KdfType, KemResult, KemType};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

/// `MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519`.
pub const XWING_SUITE: CipherSuite = CipherSuite::new(0x004D);

/// A computation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// By a primitive.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// By HPKE (RFC 9180).
    #[error("HPKE refused its input")]
    Hpke,
    /// A signature does not hold.
    #[error("a signature does not hold")]
    Signature,
    /// It is not among what a device does.
    #[error("a device does not do that")]
    Unsupported,
}

impl IntoAnyError for ProviderError {}

impl From<HpkeError> for ProviderError {
    fn from(_: HpkeError) -> Self {
        Self::Hpke
    }
}

/// Random bytes of one operation, expanded from 32.
pub struct Random {
    seed: Zeroizing<[u8; 32]>,
    drawn: AtomicU64,
}

impl Random {
    /// Draws the 32 bytes.
    pub fn draw(rng: &mut dyn CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self { seed, drawn: AtomicU64::new(0) }
    }

    /// For what needs none, or throws away whatever it makes of them.
    pub(crate) fn none() -> Self {
        Self { seed: Zeroizing::new([0; 32]), drawn: AtomicU64::new(0) }
    }

    /// The next bytes.
    ///
    /// # Errors
    /// Never for lengths that fit the memory.
    pub fn bytes(&self, count: usize) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        suite::stream(&self.seed, self.drawn.fetch_add(1, Ordering::Relaxed), count)
    }
}

impl core::fmt::Debug for Random {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Random(..)")
    }
}

/// ChaCha20-Poly1305 for HPKE.
#[derive(Debug, Clone, Copy)]
pub struct Aead;

impl AeadType for Aead {
    type Error = ProviderError;

    fn aead_id(&self) -> u16 {
        3
    }

    fn seal(
        &self,
        key: &[u8],
        plain: &[u8],
        context: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>, ProviderError> {
        Ok(suite::aead_seal(key, nonce, context.unwrap_or_default(), plain)?)
    }

    fn open(
        &self,
        key: &[u8],
        sealed: &[u8],
        context: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>, ProviderError> {
        let mut plain = suite::aead_open(key, nonce, context.unwrap_or_default(), sealed)?;
        Ok(core::mem::take(&mut *plain))
    }

    fn key_size(&self) -> usize {
        suite::AEAD_KEY_BYTES
    }

    fn nonce_size(&self) -> usize {
        suite::AEAD_NONCE_BYTES
    }
}

/// HKDF with SHA-256 for HPKE.
#[derive(Debug, Clone, Copy)]
pub struct Kdf;

impl KdfType for Kdf {
    type Error = ProviderError;

    fn kdf_id(&self) -> u16 {
        1
    }

    fn expand(&self, key: &[u8], info: &[u8], bytes: usize) -> Result<Vec<u8>, ProviderError> {
        Ok(core::mem::take(&mut *suite::hkdf_expand(key, info, bytes)?))
    }

    fn extract(&self, salt: &[u8], material: &[u8]) -> Result<Vec<u8>, ProviderError> {
        Ok(suite::hkdf_extract(salt, material)?.to_vec())
    }

    fn extract_size(&self) -> usize {
        crypto::HASH_BYTES
    }
}

/// X-Wing (draft-connolly-cfrg-xwing-kem) for HPKE.
#[derive(Debug, Clone, Copy)]
pub struct XWing<'a>(pub &'a Random);

impl KemType for XWing<'_> {
    type Error = ProviderError;

    fn kem_id(&self) -> u16 {
        0x647a
    }

    fn generate_deterministic(
        &self,
        seed: &[u8],
    ) -> Result<(HpkeSecretKey, HpkePublicKey), ProviderError> {
        let (mut secret, public) = suite::xwing_keypair(seed)?;
        Ok((core::mem::take(&mut *secret).into(), public.into()))
    }

    fn generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), ProviderError> {
        self.generate_deterministic(&self.0.bytes(suite::XWING_SECRET_BYTES)?)
    }

    fn public_key_validate(&self, key: &HpkePublicKey) -> Result<(), ProviderError> {
        let length = key.len() == suite::XWING_PUBLIC_BYTES;
        length.then_some(()).ok_or(ProviderError::Crypto(CryptoError::Length))
    }

    fn encap(&self, key: &HpkePublicKey) -> Result<KemResult, ProviderError> {
        let random = self.0.bytes(suite::XWING_ENCAPSULATION_BYTES)?;
        let (ciphertext, mut shared) = suite::xwing_encapsulate(key, &random)?;
        Ok(KemResult::new(core::mem::take(&mut *shared), ciphertext))
    }

    fn decap(
        &self,
        ciphertext: &[u8],
        secret: &HpkeSecretKey,
        _: &HpkePublicKey,
    ) -> Result<Vec<u8>, ProviderError> {
        Ok(core::mem::take(&mut *suite::xwing_decapsulate(ciphertext, secret)?))
    }

    fn seed_length_for_derive(&self) -> usize {
        suite::XWING_SECRET_BYTES
    }
}

/// The X-Wing suite of a device.
#[derive(Debug, Clone, Copy)]
pub struct Provider<'a> {
    /// Who signs.
    pub signer: &'a SigningKey,
    /// Random bytes of this operation.
    pub random: &'a Random,
}

impl<'a> CryptoProvider for Provider<'a> {
    type CipherSuiteProvider = Suite<'a, XWing<'a>>;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        vec![XWING_SUITE]
    }

    fn cipher_suite_provider(&self, id: CipherSuite) -> Option<Self::CipherSuiteProvider> {
        (id == XWING_SUITE).then(|| Suite::new(id, XWing(self.random), self.signer, self.random))
    }
}

/// A cipher suite of this key encapsulation with ChaCha20-Poly1305, SHA-256 and Ed25519.
#[derive(Clone)]
pub struct Suite<'a, K: KemType> {
    id: CipherSuite,
    hpke: Hpke<K, Kdf, Aead>,
    signer: &'a SigningKey,
    random: &'a Random,
}

impl<K: KemType> core::fmt::Debug for Suite<'_, K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Suite").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<'a, K: KemType> Suite<'a, K> {
    /// The suite with this number.
    pub fn new(id: CipherSuite, kem: K, signer: &'a SigningKey, random: &'a Random) -> Self {
        Self { id, hpke: Hpke::new(kem, Kdf, Some(Aead)), signer, random }
    }
}

impl<K: KemType + Clone> CipherSuiteProvider for Suite<'_, K> {
    type Error = ProviderError;
    type HpkeContextS = ContextS<Kdf, Aead>;
    type HpkeContextR = ContextR<Kdf, Aead>;

    fn cipher_suite(&self) -> CipherSuite {
        self.id
    }

    fn hash(&self, data: &[u8]) -> Result<Vec<u8>, ProviderError> {
        Ok(suite::sha256(data).to_vec())
    }

    fn mac(&self, key: &[u8], data: &[u8]) -> Result<Vec<u8>, ProviderError> {
        Ok(suite::hmac_sha256(key, data)?.to_vec())
    }

    fn aead_seal(
        &self,
        key: &[u8],
        plain: &[u8],
        context: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>, ProviderError> {
        Aead.seal(key, plain, context, nonce)
    }

    fn aead_open(
        &self,
        key: &[u8],
        sealed: &[u8],
        context: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        Ok(suite::aead_open(key, nonce, context.unwrap_or_default(), sealed)?)
    }

    fn aead_key_size(&self) -> usize {
        suite::AEAD_KEY_BYTES
    }

    fn aead_nonce_size(&self) -> usize {
        suite::AEAD_NONCE_BYTES
    }

    fn kdf_extract(
        &self,
        salt: &[u8],
        material: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        Ok(Zeroizing::new(suite::hkdf_extract(salt, material)?.to_vec()))
    }

    fn kdf_expand(
        &self,
        key: &[u8],
        info: &[u8],
        bytes: usize,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        Ok(suite::hkdf_expand(key, info, bytes)?)
    }

    fn kdf_extract_size(&self) -> usize {
        crypto::HASH_BYTES
    }

    fn hpke_seal(
        &self,
        to: &HpkePublicKey,
        info: &[u8],
        context: Option<&[u8]>,
        plain: &[u8],
    ) -> Result<HpkeCiphertext, ProviderError> {
        Ok(self.hpke.seal(to, info, None, context, plain)?)
    }

    fn hpke_seal_psk(
        &self,
        _: &HpkePublicKey,
        _: &[u8],
        _: Option<&[u8]>,
        _: &[u8],
        _: HpkePsk<'_>,
    ) -> Result<HpkeCiphertext, ProviderError> {
        Err(ProviderError::Unsupported)
    }

    fn hpke_open(
        &self,
        sealed: &HpkeCiphertext,
        secret: &HpkeSecretKey,
        public: &HpkePublicKey,
        info: &[u8],
        context: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        Ok(self.hpke.open(sealed, secret, public, info, None, context)?)
    }

    fn hpke_open_psk(
        &self,
        _: &HpkeCiphertext,
        _: &HpkeSecretKey,
        _: &HpkePublicKey,
        _: &[u8],
        _: Option<&[u8]>,
        _: HpkePsk<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        Err(ProviderError::Unsupported)
    }

    fn hpke_setup_s(
        &self,
        to: &HpkePublicKey,
        info: &[u8],
    ) -> Result<(Vec<u8>, Self::HpkeContextS), ProviderError> {
        Ok(self.hpke.setup_sender(to, info, None)?)
    }

    fn hpke_setup_r(
        &self,
        ciphertext: &[u8],
        secret: &HpkeSecretKey,
        public: &HpkePublicKey,
        info: &[u8],
    ) -> Result<Self::HpkeContextR, ProviderError> {
        Ok(self.hpke.setup_receiver(ciphertext, secret, public, info, None)?)
    }

    fn kem_derive(&self, material: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), ProviderError> {
        if self.id != XWING_SUITE {
            return Ok(self.hpke.derive(material)?);
        }
        // X-Wing has its own way (draft-connolly-cfrg-xwing-kem §5.6), not that of RFC 9180 §7.1.3.
        let (mut secret, public) =
            suite::xwing_keypair(&suite::shake256(material, suite::XWING_SECRET_BYTES)?)?;
        Ok((core::mem::take(&mut *secret).into(), public.into()))
    }

    fn kem_generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), ProviderError> {
        Ok(self.hpke.generate()?)
    }

    fn kem_public_key_validate(&self, key: &HpkePublicKey) -> Result<(), ProviderError> {
        Ok(self.hpke.public_key_validate(key)?)
    }

    fn random_bytes(&self, out: &mut [u8]) -> Result<(), ProviderError> {
        out.copy_from_slice(&self.random.bytes(out.len())?);
        Ok(())
    }

    fn signature_key_generate(
        &self,
    ) -> Result<(SignatureSecretKey, SignaturePublicKey), ProviderError> {
        Err(ProviderError::Unsupported)
    }

    fn signature_key_derive_public(
        &self,
        _: &SignatureSecretKey,
    ) -> Result<SignaturePublicKey, ProviderError> {
        Ok(self.signer.public().to_vec().into())
    }

    fn sign(&self, _: &SignatureSecretKey, content: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let signature = self.signer.sign_mls(content).ok_or(ProviderError::Unsupported)?;
        Ok(signature.to_vec())
    }

    fn verify(
        &self,
        key: &SignaturePublicKey,
        signature: &[u8],
        content: &[u8],
    ) -> Result<(), ProviderError> {
        let (Ok(key), Ok(signature)) = (key[..].try_into(), signature.try_into()) else {
            return Err(ProviderError::Signature);
        };
        crypto::verify(key, content, signature).then_some(()).ok_or(ProviderError::Signature)
    }
}
