//! Where does randomness come from? The operating system, through libsodium.

use core::convert::Infallible;

use libsodium_rs::{ensure_init, random};
use rand_core::{TryCryptoRng, TryRng};

/// The operating system's generator. It has no state of its own: two of them share nothing and
/// never repeat each other.
#[derive(Debug)]
pub struct OsRandom(());

impl OsRandom {
    /// The generator, ready for use.
    #[expect(clippy::expect_used, reason = "without randomness nothing can go on")]
    pub fn new() -> Self {
        ensure_init().expect("libsodium starts");
        Self(())
    }
}

impl Default for OsRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl TryRng for OsRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(random::u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        random::fill_bytes(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, space: &mut [u8]) -> Result<(), Infallible> {
        random::fill_bytes(space);
        Ok(())
    }
}

impl TryCryptoRng for OsRandom {}

#[cfg(test)]
mod tests {
    use rand_core::{CryptoRng, Rng};

    use super::*;

    #[test]
    fn it_serves_wherever_keys_are_made_and_never_repeats() {
        let mut random = OsRandom::new();
        let rng: &mut dyn CryptoRng = &mut random;
        let (mut one, mut other) = ([0; 32], [0; 32]);
        rng.fill_bytes(&mut one);
        rng.fill_bytes(&mut other);
        assert_ne!(one, other);
        assert_ne!(OsRandom::new().next_u64(), OsRandom::new().next_u64());
    }
}
