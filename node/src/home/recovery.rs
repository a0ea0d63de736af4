//! Where are the recovery words? On this device, with their owner, or never here.

use std::{collections::BTreeMap, path::Path};

use kith_common::{ids::AccountId, keys::Secret};

use super::{
    CONFIRMED_WORDS_MIN, HomeError, folder,
    key_file::{KeyFile, Part},
    must_be_there,
    passphrase::{self, Passphrase},
    read, words, write,
};

/// Where the recovery words of the account in use are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// On this device, until their owner confirms having them.
    Here,
    /// Their owner has them: they were confirmed, or given, here.
    Confirmed,
    /// They were never on this device, which joined the account or came over from another one.
    Elsewhere,
}

impl Recovery {
    /// The name for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Confirmed => "confirmed",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// Where the recovery words are, on a device that uses an account now.
///
/// # Errors
/// If no home is there or its files are damaged or open to others.
pub fn recovery(dir: &Path, in_use: AccountId) -> Result<Recovery, HomeError> {
    Ok(of(&read(dir)?, in_use))
}

/// The 24 recovery words of the account in use. Those of an account that has become part of it are
/// not shown: they bring nothing back.
///
/// # Errors
/// As [`unlock`](super::unlock); if the words are not on this device.
pub fn recovery_words(
    dir: &Path,
    passphrase: &Passphrase,
    in_use: AccountId,
) -> Result<Vec<String>, HomeError> {
    open(&read(dir)?, passphrase, in_use).map(|seed| words::of(&seed))
}

/// Checks that the owner has the recovery words and erases them here. `given` maps positions from
/// 1 to the words there; at least [`CONFIRMED_WORDS_MIN`], chosen by whoever asks.
///
/// The old file is overwritten too, as far as the file system allows.
///
/// # Errors
/// As [`recovery_words`]; if a word is wrong, or too few are given.
pub fn confirm_recovery(
    dir: &Path,
    passphrase: &Passphrase,
    in_use: AccountId,
    given: &BTreeMap<u8, String>,
) -> Result<(), HomeError> {
    if given.len() < CONFIRMED_WORDS_MIN {
        return Err(HomeError::WordsTooFew { given: given.len() });
    }
    must_be_there(dir)?;
    let _lock = folder::lock(dir)?;
    let mut keys = read(dir)?;
    words::check(&open(&keys, passphrase, in_use)?, given)?;
    keys.erase(Part::Recovery);
    write(dir, &keys)
}

fn of(keys: &KeyFile, in_use: AccountId) -> Recovery {
    let begun = keys.account();
    // Whoever begins an account or brings it back is alone then; who joins is not.
    let joined = begun.devices().len() > 1;
    match keys.has(Part::Recovery) {
        _ if begun.id() != in_use => Recovery::Elsewhere,
        true => Recovery::Here,
        false if joined => Recovery::Elsewhere,
        false => Recovery::Confirmed,
    }
}

/// The recovery seed if it is still there; a wrong passphrase is refused in any case.
fn open(
    keys: &KeyFile,
    passphrase: &Passphrase,
    in_use: AccountId,
) -> Result<Secret<32>, HomeError> {
    let kek = passphrase::key(passphrase, keys.kdf())?;
    keys.open(Part::Master, &kek)?;
    match of(keys, in_use) {
        Recovery::Here => keys.open(Part::Recovery, &kek),
        Recovery::Confirmed => Err(HomeError::AlreadyConfirmed),
        Recovery::Elsewhere if keys.account().id() != in_use => Err(HomeError::WordsEnded),
        Recovery::Elsewhere => Err(HomeError::WordsElsewhere),
    }
}
