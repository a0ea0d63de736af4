//! What does a device keep that joins by mail, until it is taken in? One sealed file (spec 08 R15).
//!
//! ```text
//! [1, derivation, sealed: bytes]
//! ```
//!
//! All of it hangs on the passphrase that the home has or will have.

use std::path::{Path, PathBuf};

use kith_common::{
    codec::{Reader, Writer},
    crypto::{self, PasswordCost},
    keys::Secret,
};
use rand_core::Rng;
use zeroize::Zeroizing;

use super::{
    HomeError, Passphrase, folder,
    key_file::{read_kdf, write_kdf},
    passphrase::{self, Kdf},
};
use crate::random::OsRandom;

const VERSION: u64 = 1;
/// Largest file in bytes: a code, proofs of two accounts, and what is to be put, 256 KiB.
const JOINING_BYTES_MAX: usize = 640 * 1024;

const CONTEXT: &[u8] = b"kith/joining/1";

/// The file of a device that joins.
#[derive(Debug)]
pub struct JoiningFile {
    path: PathBuf,
    kdf: Kdf,
    key: Secret<32>,
}

/// A file with what was kept in it.
pub(super) type Kept = (JoiningFile, Zeroizing<Vec<u8>>);

impl JoiningFile {
    /// Begins one, in a folder that is made if need be.
    ///
    /// # Errors
    /// If the folder is open to others, or the disk refuses.
    pub fn begin(
        dir: &Path,
        passphrase: &Passphrase,
        cost: PasswordCost,
    ) -> Result<Self, HomeError> {
        if !super::exists(dir) {
            drop(folder::claim(dir)?);
        }
        let (kdf, key) = passphrase::choose(passphrase, cost, &mut OsRandom::new())?;
        Ok(Self { path: path(dir), kdf, key })
    }

    /// What was kept, if there is something.
    ///
    /// # Errors
    /// If the passphrase is wrong, or the file is damaged or open to others.
    pub fn open(dir: &Path, passphrase: &Passphrase) -> Result<Option<Kept>, HomeError> {
        let path = path(dir);
        let Some(bytes) = folder::read_private(&path, JOINING_BYTES_MAX)? else { return Ok(None) };
        let (kdf, sealed) = decode(&bytes)?;
        let key = passphrase::key(passphrase, &kdf)?;
        let plain = crypto::open(&key, CONTEXT, sealed).map_err(|_| HomeError::WrongPassphrase)?;
        Ok(Some((Self { path, kdf, key }, Zeroizing::new(plain))))
    }

    /// Whether there is one, and whether it opens with a passphrase only.
    ///
    /// # Errors
    /// If it is damaged or open to others.
    pub fn needs_passphrase(dir: &Path) -> Result<Option<bool>, HomeError> {
        let Some(bytes) = folder::read_private(&path(dir), JOINING_BYTES_MAX)? else {
            return Ok(None);
        };
        Ok(Some(decode(&bytes)?.0.takes_passphrase()))
    }

    /// Keeps what is to survive.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn save(&self, plain: &[u8]) -> Result<(), HomeError> {
        let mut nonce = [0; 24];
        OsRandom::new().fill_bytes(&mut nonce);
        let sealed = crypto::seal(&self.key, nonce, CONTEXT, plain);
        let mut writer = Writer::new();
        writer.array(3).uint(VERSION);
        write_kdf(&mut writer, &self.kdf);
        writer.bytes(&sealed);
        folder::write_private(&self.path, &writer.finish())
    }

    /// Erases the file: the device was taken in, or gives up.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn erase(dir: &Path) -> Result<(), HomeError> {
        folder::shred(&path(dir))
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("joining")
}

fn decode(bytes: &[u8]) -> Result<(Kdf, &[u8]), HomeError> {
    let (version, kdf, sealed) = Reader::all(bytes, |reader| {
        reader.tuple("joining", 3)?;
        Ok((reader.uint()?, read_kdf(reader)?, reader.bytes("sealed", JOINING_BYTES_MAX)?))
    })?;
    if version == VERSION { Ok((kdf, sealed)) } else { Err(HomeError::Newer { found: version }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_opens_with_the_passphrase_alone_and_goes_when_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("home");
        let given = |text: &str| Passphrase::Given(Zeroizing::new(text.to_owned()));
        assert!(JoiningFile::open(&dir, &Passphrase::None).unwrap().is_none());
        let cost = PasswordCost { operations: 1, memory_bytes: 8 << 20 };
        let file = JoiningFile::begin(&dir, &given("right"), cost).unwrap();
        file.save(b"a secret that joins").unwrap();
        assert_eq!(JoiningFile::needs_passphrase(&dir).unwrap(), Some(true));
        let on_disk = std::fs::read(path(&dir)).unwrap();
        assert!(!on_disk.windows(6).any(|part| part == b"secret"));
        let wrong = JoiningFile::open(&dir, &given("wrong"));
        assert!(matches!(wrong, Err(HomeError::WrongPassphrase)));
        let (file, plain) = JoiningFile::open(&dir, &given("right")).unwrap().unwrap();
        assert_eq!(*plain, b"a secret that joins");
        file.save(b"further").unwrap();
        let (_, plain) = JoiningFile::open(&dir, &given("right")).unwrap().unwrap();
        assert_eq!(*plain, b"further");
        JoiningFile::erase(&dir).unwrap();
        assert!(JoiningFile::open(&dir, &given("right")).unwrap().is_none());
        super::super::must_be_free(&dir).unwrap();
    }
}
