//! Why can a home not be made or opened, and what should its owner do?

use std::{io, path::PathBuf};

use kith_common::{account::AccountError, codec::DecodeError, crypto::CryptoError};
use kith_core::{names::NameError, store::StoreError};
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
    /// Another device has cut this one off, and nobody has answered.
    #[error(
        "another device of yours has cut this one off, so it is locked: if that was you, leave it \
         so. If not, answer with `kith account contest`, or decide alone with \
         `kith account recover` and your recovery words"
    )]
    Locked,
    /// This device was cut off for good.
    #[error(
        "this device was cut off from its account for good, so its keys and messages were erased: \
         join again with `kith device join CODE`, or bring the account back with \
         `kith account recover` and your recovery words"
    )]
    Erased,
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
    /// The name is none to choose.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A node runs on this home.
    #[error("another Kith has this home open; stop it with `kith stop`, or use another home")]
    InUse,
    /// The node was asked to stop and has not done so.
    #[error("the node has not ended yet; look at it with `kith status`, or end its process")]
    StillStopping,
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
    /// There are more or fewer words than a recovery key has.
    #[error("{given} words were given; the recovery words are 24: give them all, in order")]
    WordsCount {
        /// How many were given.
        given: usize,
    },
    /// A word that no recovery key has.
    #[error("word {position} is none that was ever shown; look for a letter that is wrong")]
    WordUnknown {
        /// Its position, from 1.
        position: usize,
    },
    /// The words are words, but not those of a key.
    #[error("these words do not fit together; look for one that is wrong or in a wrong place")]
    WordsUnfit,
    /// The recovery words were confirmed and erased before.
    #[error("you confirmed having the recovery words; they are no longer on this device")]
    AlreadyConfirmed,
    /// This device has joined the account, and never had its recovery words.
    #[error(
        "the recovery words were never on this device: they are on paper, or on the device on which \
         this account was begun"
    )]
    WordsElsewhere,
    /// The account that was begun here has become part of another one.
    #[error(
        "the account that was begun on this device became part of another one, and its recovery \
         words bring nothing back: those that count are of the account that stays, on paper or on \
         the device on which that was begun"
    )]
    WordsEnded,
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
