//! How does a person write the recovery key down? 24 English words (BIP 39).

use std::collections::BTreeMap;

use bip39::{Language, Mnemonic};
use kith_common::keys::Secret;
use zeroize::Zeroizing;

use super::HomeError;

const COUNT: usize = 24;

/// The words of a seed, in order.
#[expect(clippy::expect_used, reason = "32 bytes always make 24 words")]
pub(super) fn of(seed: &Secret<32>) -> Vec<String> {
    let mnemonic = seed.expose(Mnemonic::from_entropy).expect("the seed has 32 bytes");
    mnemonic.words().map(str::to_owned).collect()
}

/// The seed of 24 words; case and blanks do not count.
pub(super) fn read(text: &str) -> Result<Secret<32>, HomeError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.len() != COUNT {
        return Err(HomeError::WordsCount { given: words.len() });
    }
    let text = Zeroizing::new(words.join(" ").to_lowercase());
    let mnemonic =
        Mnemonic::parse_in_normalized(Language::English, &text).map_err(|error| match error {
            bip39::Error::UnknownWord(at) => HomeError::WordUnknown { position: at + 1 },
            _ => HomeError::WordsUnfit,
        })?;
    Secret::from_slice(&Zeroizing::new(mnemonic.to_entropy())).ok_or(HomeError::WordsUnfit)
}

/// Checks words by their positions from 1; case and surrounding space do not count.
pub(super) fn check(seed: &Secret<32>, given: &BTreeMap<u8, String>) -> Result<(), HomeError> {
    let words = of(seed);
    for (position, word) in given {
        let position = *position;
        let right = usize::from(position)
            .checked_sub(1)
            .and_then(|index| words.get(index))
            .ok_or(HomeError::WordPosition { position })?;
        if !word.trim().eq_ignore_ascii_case(right) {
            return Err(HomeError::WordWrong { position });
        }
    }
    Ok(())
}
