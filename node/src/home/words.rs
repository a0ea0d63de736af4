//! How does a person write the recovery key down? 24 English words (BIP 39).

use core::fmt;
use std::collections::BTreeMap;

use bip39::Mnemonic;
use kith_common::keys::Secret;

use super::HomeError;

/// The recovery key as words, to be shown once and written on paper.
pub struct RecoveryWords(Secret<32>);

impl RecoveryWords {
    pub(super) const fn new(seed: Secret<32>) -> Self {
        Self(seed)
    }

    /// Lends the 24 words, in order, to `reader`.
    #[expect(clippy::expect_used, reason = "32 bytes always make 24 words")]
    pub fn expose<R>(&self, reader: impl FnOnce(&[&'static str]) -> R) -> R {
        self.0.expose(|seed| {
            let mnemonic = Mnemonic::from_entropy(seed).expect("the seed has 32 bytes");
            reader(&mnemonic.words().collect::<Vec<_>>())
        })
    }

    /// Checks words by their positions from 1; case and surrounding space do not count.
    pub(super) fn check(&self, given: &BTreeMap<u8, String>) -> Result<(), HomeError> {
        self.expose(|words| {
            given.iter().try_for_each(|(position, word)| {
                let position = *position;
                let right = usize::from(position)
                    .checked_sub(1)
                    .and_then(|index| words.get(index))
                    .ok_or(HomeError::WordPosition { position })?;
                if word.trim().eq_ignore_ascii_case(right) {
                    Ok(())
                } else {
                    Err(HomeError::WordWrong { position })
                }
            })
        })
    }
}

impl fmt::Debug for RecoveryWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryWords(..)")
    }
}
