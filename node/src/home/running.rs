//! Does a node run on this home? It holds a lock that ends with its process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use super::{HomeError, folder::disk};

/// The file that is locked, empty. It is never removed: two nodes could then lock two files.
const FILE: &str = "running";
/// How long a node that stops may take: five seconds for requests that still run, one for links.
const STOPPING: Duration = Duration::from_secs(8);
/// Pause before the lock is tried again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Keeps other nodes away from a home until it is dropped, or the process ends.
#[derive(Debug)]
pub struct Running(#[expect(dead_code, reason = "locked for as long as it is open")] File);

/// Takes a home for a node; waits for one that is about to end.
///
/// # Errors
/// If another node goes on, or the disk refuses.
pub fn hold(dir: &Path) -> Result<Running, HomeError> {
    hold_within(dir, STOPPING)
}

fn hold_within(dir: &Path, patience: Duration) -> Result<Running, HomeError> {
    let path = dir.join(FILE);
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(disk("Opening", &path))?;
    let end = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Running(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < end => sleep(LOOK_AGAIN),
            Err(TryLockError::WouldBlock) => return Err(HomeError::InUse),
            Err(TryLockError::Error(cause)) => return Err(disk("Locking", &path)(cause)),
        }
    }
}

/// Waits until no node runs on a home.
///
/// # Errors
/// If one still does after the time that it may take to stop, or the disk refuses.
pub fn wait_until_stopped(dir: &Path) -> Result<(), HomeError> {
    match hold_within(dir, STOPPING) {
        Err(HomeError::InUse) => Err(HomeError::StillStopping),
        held => held.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_holds_a_home_and_the_next_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = hold(folder.path()).unwrap();
        let second = hold_within(folder.path(), Duration::ZERO);
        assert!(matches!(second, Err(HomeError::InUse)));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| hold(folder.path()));
            drop(first);
            second.join().unwrap().unwrap();
        });
        wait_until_stopped(folder.path()).unwrap();
    }
}
