//! Why can a home not be made or opened, and what should its owner do?

use std::{io, path::PathBuf};

use kith_common::{
    account::AccountError, codec::DecodeError, crypto::CryptoError, limits::NAME_BYTES_MAX,
};
use kith_core::store::StoreError;
use thiserror::Error;

use super::CONFIRMED_WORDS_MIN;

/// A home could not be made, opened or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HomeError {
    /// The folder holds a home already.
    #[error(
        "{} holds a Kith home already; start it with `kith`, or make another one in an empty \
         folder", .0.display()
    )]
    Exists(PathBuf),
    /// The folder holds a database, but no keys for it.
    #[error(
        "{} holds a database without its keys; put the file `keys` back from your copy, or move \
         the database away and run `kith init` again", .0.display()
    )]
    DatabaseAlone(PathBuf),
    /// The folder holds no home.
    #[error("{} holds no Kith home; run `kith init`", .0.display())]
    Missing(PathBuf),
    /// The passphrase does not open the keys.
    #[error("the passphrase is wrong; try again")]
    WrongPassphrase,
    /// The home has a passphrase and none was given.
    #[error("this home has a passphrase; give it to unlock the home")]
    PassphraseNeeded,
    /// The home has no passphrase and one was given.
    #[error("this home has no passphrase; leave it out (`--no-passphrase`)")]
    PassphraseNotUsed,
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty; choose one, or say `--no-passphrase` to go without")]
    PassphraseEmpty,
    /// The passphrase could not be turned into a key.
    #[error("{0}; close other programs and try again")]
    PassphraseKey(CryptoError),
    /// The name does not fit.
    #[error("the name has {bytes} bytes; choose one of at most {NAME_BYTES_MAX}")]
    NameTooLong {
        /// Its length in UTF-8.
        bytes: usize,
    },
    /// A file or the folder can be read or changed by other people.
    #[error(
        "{} is open to other users of this computer (mode {mode:o}); run `chmod go= {}`",
        .path.display(), .path.display()
    )]
    TooOpen {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file says something impossible.
    #[error("the file `keys` is damaged ({0}); put it back from your copy of the home")]
    Damaged(&'static str),
    /// The key file is not well-formed.
    #[error("the file `keys` is damaged ({0}); put it back from your copy of the home")]
    Malformed(#[from] DecodeError),
    /// The account in the key file does not hold.
    #[error("the file `keys` is damaged ({0}); put it back from your copy of the home")]
    Account(#[from] AccountError),
    /// The key file was written by a later version.
    #[error("a newer Kith wrote this home (version {found}); install the newer version")]
    Newer {
        /// The version found.
        found: u64,
    },
    /// A recovery word is not the one that was shown.
    #[error("word {position} is not the one that was shown; look at your note and try again")]
    WordWrong {
        /// The position asked for, from 1.
        position: u8,
    },
    /// There are 24 recovery words.
    #[error("there is no word {position}; the words are numbered from 1 to 24")]
    WordPosition {
        /// The position asked for.
        position: u8,
    },
    /// Too few words were given to believe that the owner has them all.
    #[error("{given} words were given; give at least {CONFIRMED_WORDS_MIN}")]
    WordsTooFew {
        /// How many were given.
        given: usize,
    },
    /// The recovery words were confirmed and erased before.
    #[error("you confirmed having the recovery words; they are no longer on this device")]
    AlreadyConfirmed,
    /// The disk refused.
    #[error("{doing} {}: {cause}; check the disk and your rights to it", .path.display())]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The database could not be made.
    #[error(transparent)]
    Database(StoreError),
}
