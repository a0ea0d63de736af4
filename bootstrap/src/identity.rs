//! Who is this bootstrap? Its key stays in the data folder, so that its addresses stay good (spec 23
//! R1).

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use libp2p::identity::Keypair;
use zeroize::Zeroizing;

use crate::error::StartError;

const FILE: &str = "key";
const SEED_BYTES: usize = 32;

/// The key in a data folder; if there is none, a new one is put there first.
///
/// # Errors
/// If it cannot be read or written.
pub(crate) fn in_folder(folder: &Path) -> Result<Keypair, StartError> {
    let path = folder.join(FILE);
    let named = path.display().to_string();
    let failed = |source| StartError::Key { path: named.clone(), source };
    let seed = match read(&path) {
        Ok(seed) => seed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(folder).map_err(failed)?,
        Err(source) => return Err(failed(source)),
    };
    let no_key = || StartError::NoKey(named.clone());
    let seed: &[u8; SEED_BYTES] = seed.as_slice().try_into().map_err(|_| no_key())?;
    Keypair::ed25519_from_bytes(Zeroizing::new(*seed)).map_err(|_| no_key())
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut seed = Zeroizing::new(Vec::with_capacity(SEED_BYTES + 1));
    File::open(path)?.take(SEED_BYTES as u64 + 1).read_to_end(&mut seed)?;
    Ok(seed)
}

/// It appears whole under its name or not at all.
fn make(folder: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut seed = Zeroizing::new(vec![0; SEED_BYTES]);
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let begun = folder.join("key.new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&begun)?;
    file.write_all(&seed)?;
    file.sync_all()?;
    std::fs::rename(&begun, folder.join(FILE))?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_the_same_and_is_nobody_elses_business() {
        let folder = tempfile::tempdir().unwrap();
        let first = in_folder(folder.path()).unwrap();
        assert_eq!(in_folder(folder.path()).unwrap().public(), first.public());
        let other = tempfile::tempdir().unwrap();
        assert_ne!(in_folder(other.path()).unwrap().public(), first.public());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = folder.path().join(FILE).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_one_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for damaged in [&[][..], &[1; 31], &[1; 33]] {
            std::fs::write(folder.path().join(FILE), damaged).unwrap();
            assert!(matches!(in_folder(folder.path()), Err(StartError::NoKey(_))));
        }
    }
}
