//! The core's primitives in cipher suite 3 (`MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519`),
//! which others know: only the key encapsulation differs.

use kith_common::keys::SigningKey;
use kith_core::mls::provider::{Kdf, ProviderError, Random, Suite};
use libsodium_rs::crypto_scalarmult::curve25519;
use mls_rs::{
    CipherSuite, CryptoProvider,
    crypto::{HpkePublicKey, HpkeSecretKey},
};
use mls_rs_crypto_hpke::dhkem::DhKem;
use mls_rs_crypto_traits::{DhType, SamplingMethod};

/// X25519 of libsodium.
#[derive(Debug, Clone, Copy)]
pub(crate) struct X25519<'a>(&'a Random);

impl DhType for X25519<'_> {
    type Error = ProviderError;

    fn dh(&self, secret: &HpkeSecretKey, public: &HpkePublicKey) -> Result<Vec<u8>, ProviderError> {
        curve25519::scalarmult(secret, public)
            .map(Vec::from)
            .map_err(|_| ProviderError::Unsupported)
    }

    fn generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), ProviderError> {
        let secret = HpkeSecretKey::from(self.0.bytes(32)?.to_vec());
        let public = self.to_public(&secret)?;
        Ok((secret, public))
    }

    fn to_public(&self, secret: &HpkeSecretKey) -> Result<HpkePublicKey, ProviderError> {
        curve25519::scalarmult_base(secret)
            .map(|public| public.to_vec().into())
            .map_err(|_| ProviderError::Unsupported)
    }

    // Any other way derives other keys from an update path than everybody else.
    fn bitmask_for_rejection_sampling(&self) -> SamplingMethod {
        SamplingMethod::HpkeWithoutBitmask
    }

    fn secret_key_size(&self) -> usize {
        32
    }

    fn public_key_size(&self) -> usize {
        32
    }

    fn public_key_validate(&self, key: &HpkePublicKey) -> Result<(), ProviderError> {
        (key.len() == 32).then_some(()).ok_or(ProviderError::Unsupported)
    }
}

pub(crate) type ClassicSuite<'a> = Suite<'a, DhKem<X25519<'a>, Kdf>>;

/// Suite 3 of a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Classic<'a> {
    pub(crate) signer: &'a SigningKey,
    pub(crate) random: &'a Random,
}

impl<'a> Classic<'a> {
    pub(crate) fn suite(&self) -> ClassicSuite<'a> {
        let kem = DhKem::new(X25519(self.random), Kdf, 0x20, 32);
        Suite::new(CipherSuite::CURVE25519_CHACHA, kem, self.signer, self.random)
    }
}

impl<'a> CryptoProvider for Classic<'a> {
    type CipherSuiteProvider = ClassicSuite<'a>;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        vec![CipherSuite::CURVE25519_CHACHA]
    }

    fn cipher_suite_provider(&self, id: CipherSuite) -> Option<ClassicSuite<'a>> {
        (id == CipherSuite::CURVE25519_CHACHA).then(|| self.suite())
    }
}
