//! Where does a node live, and how are its keys kept at rest? A private folder with two files.
//!
//! `store.db` holds everything else and opens with the master key (see [`crate::sqlite`]). `keys`
//! holds the keys, sealed one by one:
//!
//! ```text
//! passphrase ──Argon2id──► key-encryption key ──seals──► master key, authority seed, recovery seed
//!                                 master key ──seals──► device seed, name, store.db
//! ```
//!
//! A device that joins by mail keeps what it has said in a third file, `joining`, sealed by the
//! passphrase, until it is taken in. A running node holds a lock on the empty file `running`.
//!
//! So an unlocked node can chat and read; to sign account operations it must be given the
//! passphrase again, as the authority seed hangs on that alone. The recovery seed stays until its
//! owner has confirmed having the words, and is erased then.

mod error;
mod folder;
mod joining;
mod key_file;
mod mark;
mod passphrase;
mod recovery;
mod running;
#[cfg(test)]
mod tests;
mod words;

use core::fmt;
use std::path::{Path, PathBuf};

use kith_common::{
    account::Account,
    crypto::PasswordCost,
    keys::{Secret, SigningKey},
};
use kith_core::names::chosen_name;
use rand_core::Rng;
use zeroize::Zeroizing;

use self::key_file::{KeyFile, Part};
pub use self::{
    error::HomeError,
    folder::{must_be_free, write_private},
    joining::JoiningFile,
    mark::{CutOffMark, cut_off, erase, lock_away, must_not_be_cut_off, take_back},
    passphrase::Passphrase,
    recovery::{Recovery, confirm_recovery, recovery, recovery_words},
    running::{Running, hold, wait_until_stopped},
};
use crate::{random::OsRandom, sqlite::SqliteStore};

/// Words that a confirmation must name at least; a chance of 2^-33 to guess them.
pub const CONFIRMED_WORDS_MIN: usize = 3;

/// What a running node holds.
#[derive(Debug)]
pub struct UnlockedKeys {
    /// Signs entries; its public half names the device.
    pub device: SigningKey,
    /// Opens the database.
    pub master: Secret<32>,
    /// The account as it was when the home was made.
    pub account: Account,
    /// What the person called themselves when the home was made.
    pub name: String,
}

/// A home that was just made.
pub struct NewHome {
    /// Its keys.
    pub keys: UnlockedKeys,
    /// The recovery key as 24 words, to be written on paper. They can be shown again until
    /// [`confirm_recovery`] erases them.
    pub recovery_words: Vec<String>,
}

impl fmt::Debug for NewHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewHome").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// The path of a home's database.
pub fn database(dir: &Path) -> PathBuf {
    dir.join("store.db")
}

/// Whether a home is there.
pub fn exists(dir: &Path) -> bool {
    folder::key_file(dir).exists()
}

/// Whether a home opens with a passphrase only.
///
/// # Errors
/// If no home is there or its files are damaged or open to others.
pub fn needs_passphrase(dir: &Path) -> Result<bool, HomeError> {
    Ok(read(dir)?.kdf().takes_passphrase())
}

/// Makes a home with a new account, its first device and an empty database.
///
/// # Errors
/// If a home is there already, the folder is open to others, the name is none to choose, or the
/// disk refuses.
pub fn create(
    dir: &Path,
    passphrase: &Passphrase,
    cost: PasswordCost,
    name: &str,
) -> Result<NewHome, HomeError> {
    let name = chosen_name(name)?;
    let rng = &mut OsRandom::new();
    let [recovery, device, authority] = [(); 3].map(|()| SigningKey::random(rng));
    let mut nonce = [0; 32];
    rng.fill_bytes(&mut nonce);
    let account = Account::create(&recovery, &device, &authority, nonce);
    let recovery_seed = seed(&recovery);
    let joined = Joined { account, device, authority };
    let keys = make(dir, (passphrase, cost), joined, Some(&recovery_seed), &name)?;
    Ok(NewHome { keys, recovery_words: words::of(&recovery_seed) })
}

/// A device that has come into an account and has no home yet.
#[derive(Debug)]
pub struct Joined {
    /// The account, which has the device.
    pub account: Account,
    /// The key of the device.
    pub device: SigningKey,
    /// The key by which it signs account operations.
    pub authority: SigningKey,
}

/// Makes the home of a device that has joined an account. It never has the recovery words, and
/// without a name it learns it from another device.
///
/// # Errors
/// As [`create`].
pub fn create_joined(
    dir: &Path,
    passphrase: &Passphrase,
    cost: PasswordCost,
    joined: Joined,
    name: &str,
) -> Result<UnlockedKeys, HomeError> {
    let name = if name.is_empty() { String::new() } else { chosen_name(name)? };
    make(dir, (passphrase, cost), joined, None, &name)
}

fn make(
    dir: &Path,
    (passphrase, cost): (&Passphrase, PasswordCost),
    joined: Joined,
    recovery: Option<&Secret<32>>,
    name: &str,
) -> Result<UnlockedKeys, HomeError> {
    let _claimed = folder::claim(dir)?;
    let rng = &mut OsRandom::new();
    let (kdf, kek) = passphrase::choose(passphrase, cost, rng)?;
    let master = Secret::random(rng);
    let Joined { account, device, authority } = joined;
    let mut keys = KeyFile::new(kdf, account.clone());
    keys.seal(Part::Master, &kek, &master);
    keys.seal(Part::Device, &master, &seed(&device));
    keys.seal(Part::Authority, &kek, &seed(&authority));
    if let Some(recovery) = recovery {
        keys.seal(Part::Recovery, &kek, recovery);
    }
    keys.seal_name(&master, name);
    create_database(dir, &master)?;
    take_back(dir)?;
    write(dir, &keys)?;
    Ok(UnlockedKeys { device, master, account, name: name.to_owned() })
}

/// The recovery key from its 24 words.
///
/// # Errors
/// If they are not 24, or not those of a key.
pub fn recovery_key(words: &str) -> Result<SigningKey, HomeError> {
    words::read(words).map(|seed| signing_key(&seed))
}

/// Opens the keys that a running node needs.
///
/// # Errors
/// If no home is there, the passphrase is wrong, or the files are damaged or open to others.
pub fn unlock(dir: &Path, passphrase: &Passphrase) -> Result<UnlockedKeys, HomeError> {
    let keys = read(dir)?;
    let kek = passphrase::key(passphrase, keys.kdf())?;
    let master = keys.open(Part::Master, &kek)?;
    let device = signing_key(&keys.open(Part::Device, &master)?);
    let name = keys.open_name(&master)?;
    let account = keys.into_account();
    if !account.has(device.device()) {
        return Err(HomeError::Damaged("the device is not one of the account"));
    }
    Ok(UnlockedKeys { device, master, account, name })
}

/// Opens the key that signs account operations. Use it and drop it.
///
/// # Errors
/// As [`unlock`].
pub fn authority(dir: &Path, passphrase: &Passphrase) -> Result<SigningKey, HomeError> {
    let keys = read(dir)?;
    let kek = passphrase::key(passphrase, keys.kdf())?;
    Ok(signing_key(&keys.open(Part::Authority, &kek)?))
}

/// Seals the keys under another passphrase, in one step: after a crash either the old one or the new
/// one opens them all. A running node goes on. Copies of the home made before still open with the old
/// one.
///
/// # Errors
/// As [`unlock`].
pub fn change_passphrase(
    dir: &Path,
    old: &Passphrase,
    new: &Passphrase,
    cost: PasswordCost,
) -> Result<(), HomeError> {
    must_be_there(dir)?;
    let _lock = folder::lock(dir)?;
    let mut keys = read(dir)?;
    let old_kek = passphrase::key(old, keys.kdf())?;
    let (kdf, kek) = passphrase::choose(new, cost, &mut OsRandom::new())?;
    for part in [Part::Master, Part::Authority, Part::Recovery] {
        if keys.has(part) {
            let secret = keys.open(part, &old_kek)?;
            keys.seal(part, &kek, &secret);
        }
    }
    keys.set_kdf(kdf);
    write(dir, &keys)
}

fn must_be_there(dir: &Path) -> Result<(), HomeError> {
    if exists(dir) { Ok(()) } else { Err(folder::missing(dir)) }
}

fn read(dir: &Path) -> Result<KeyFile, HomeError> {
    KeyFile::decode(&folder::read(dir)?)
}

fn write(dir: &Path, keys: &KeyFile) -> Result<(), HomeError> {
    write_private(&folder::key_file(dir), &keys.encode())
}

/// The database is complete before it gets its name, and the keys are written last: a folder with
/// keys is a whole home.
fn create_database(dir: &Path, master: &Secret<32>) -> Result<(), HomeError> {
    let new = folder::clear_unfinished(dir)?;
    drop(SqliteStore::create(&new, master).map_err(HomeError::Database)?);
    folder::rename(&new, &database(dir))
}

fn seed(key: &SigningKey) -> Secret<32> {
    key.expose_seed(Secret::copied)
}

fn signing_key(seed: &Secret<32>) -> SigningKey {
    seed.expose(|bytes| {
        let mut copy = Zeroizing::new([0; 32]);
        copy.copy_from_slice(bytes);
        SigningKey::from_seed(&copy)
    })
}
