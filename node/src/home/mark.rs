//! Was this device cut off from its account? A mark in the home folder that outlives the process.

use std::{fs, path::Path};

use super::{HomeError, database, folder};

/// File in the home folder; its text says which of the two it is.
const FILE: &str = "cut-off";
const LOCKED: &str = "locked\n";
const ERASED: &str = "erased\n";
/// What lies in a home beside the keys, the most telling first.
const ENDINGS: [&str; 3] = ["", "-wal", "-shm"];

/// What was done with the home of a device that was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOffMark {
    /// Its node does not start until somebody answers.
    Locked,
    /// Its keys and messages are gone.
    Erased,
}

/// What is known of a home from its mark.
pub fn cut_off(dir: &Path) -> Option<CutOffMark> {
    match fs::read_to_string(dir.join(FILE)).ok()?.as_str() {
        ERASED => Some(CutOffMark::Erased),
        _ => Some(CutOffMark::Locked),
    }
}

/// Refuses a home whose device was cut off; what an interrupted erasure left is erased.
///
/// # Errors
/// If it was.
pub fn must_not_be_cut_off(dir: &Path) -> Result<(), HomeError> {
    match cut_off(dir) {
        None => Ok(()),
        Some(CutOffMark::Locked) => Err(HomeError::Locked),
        Some(CutOffMark::Erased) => {
            erase(dir)?;
            Err(HomeError::Erased)
        }
    }
}

/// Marks the home: its node does not start until somebody answers.
///
/// # Errors
/// If the disk refuses.
pub fn lock_away(dir: &Path) -> Result<(), HomeError> {
    folder::write_private(&dir.join(FILE), LOCKED.as_bytes())
}

/// Takes the mark back.
///
/// # Errors
/// If the disk refuses.
pub fn take_back(dir: &Path) -> Result<(), HomeError> {
    folder::remove(&dir.join(FILE))
}

/// Erases keys and messages. The mark comes first: what is interrupted is finished at the next
/// start.
///
/// # Errors
/// If the disk refuses.
pub fn erase(dir: &Path) -> Result<(), HomeError> {
    folder::write_private(&dir.join(FILE), ERASED.as_bytes())?;
    folder::shred(&folder::key_file(dir))?;
    for ending in ENDINGS {
        let mut name = database(dir).into_os_string();
        name.push(ending);
        folder::remove(name.as_ref())?;
    }
    folder::clear_unfinished(dir).map(drop)
}
