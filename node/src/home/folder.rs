//! How are the home's files written so that nobody else reads them and no crash halves them?

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use super::{CutOffMark, HomeError, cut_off, database};

/// Largest key file in bytes: an account proof of 64 KiB and sealed keys, with room to grow.
const KEY_FILE_BYTES_MAX: u64 = 128 * 1024;

pub(super) fn key_file(dir: &Path) -> PathBuf {
    dir.join("keys")
}

/// Refuses a folder that holds a home or part of one.
///
/// # Errors
/// If it does, or cannot be looked at.
pub fn must_be_free(dir: &Path) -> Result<(), HomeError> {
    if exists(&key_file(dir))? {
        return Err(HomeError::Exists(dir.into()));
    }
    if exists(&database(dir))? {
        return Err(HomeError::DatabaseAlone(dir.into()));
    }
    Ok(())
}

/// Makes the folder, or takes one that holds no home and is closed to others. Who else wants to make
/// a home there waits until what is returned is dropped, and then finds it taken.
pub(super) fn claim(dir: &Path) -> Result<impl Sized + use<>, HomeError> {
    // Whoever makes a home there now may have its database already, and no keys yet.
    if exists(&key_file(dir))? {
        return Err(HomeError::Exists(dir.into()));
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(disk("Making", dir))?;
    let lock = lock(dir)?;
    must_be_free(dir)?;
    let empty = fs::read_dir(dir).map_err(disk("Reading", dir))?.next().is_none();
    if empty { make_private(dir) } else { check_private(dir) }?;
    Ok(lock)
}

/// Reads the key file of a home that is closed to others.
pub(super) fn read(dir: &Path) -> Result<Vec<u8>, HomeError> {
    let path = key_file(dir);
    if !exists(&path)? {
        return Err(missing(dir));
    }
    for path in [dir, &path, &database(dir)] {
        if exists(path)? {
            check_private(path)?;
        }
    }
    let file = File::open(&path).map_err(disk("Opening", &path))?;
    let mut bytes = Vec::new();
    file.take(KEY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(disk("Reading", &path))?;
    if bytes.len() as u64 > KEY_FILE_BYTES_MAX {
        return Err(HomeError::Damaged("it is too large"));
    }
    Ok(bytes)
}

/// Reads a file that is closed to others; `None` if there is none.
pub(super) fn read_private(path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, HomeError> {
    if !exists(path)? {
        return Ok(None);
    }
    check_private(path)?;
    let file = File::open(path).map_err(disk("Opening", path))?;
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(disk("Reading", path))?;
    if bytes.len() > bytes_max {
        Err(HomeError::Damaged("it is too large"))
    } else {
        Ok(Some(bytes))
    }
}

/// Waits until nobody else changes this home, and keeps others waiting until it is dropped: what
/// was read is still there when it is written back.
#[cfg(unix)]
pub(super) fn lock(dir: &Path) -> Result<impl Sized + use<>, HomeError> {
    let folder = File::open(dir).map_err(disk("Opening", dir))?;
    folder.lock().map_err(disk("Locking", dir))?;
    Ok(folder)
}

/// Elsewhere a folder cannot be locked.
#[cfg(not(unix))]
pub(super) fn lock(_dir: &Path) -> Result<impl Sized + use<>, HomeError> {
    Ok(())
}

/// Writes a file that only its owner can read, in one step: after a crash it is the old one or the
/// new one. The old one is overwritten.
///
/// # Errors
/// If the disk refuses.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    let old = OpenOptions::new().write(true).open(path).ok();
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    remove(&new)?;
    private_file(&new)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(disk("Writing", &new))?;
    rename(&new, path)?;
    if let Some(old) = old {
        overwrite(&old).map_err(disk("Overwriting the old", path))?;
    }
    Ok(())
}

/// Gives a file another name and waits until the disk has it.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), HomeError> {
    fs::rename(from, to).map_err(disk("Renaming", from))?;
    #[cfg(unix)]
    if let Some(dir) = to.parent() {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(disk("Writing", dir))?;
    }
    Ok(())
}

/// Removes what an interrupted `create` left; returns where the next one may make its database.
pub(super) fn clear_unfinished(dir: &Path) -> Result<PathBuf, HomeError> {
    let new = dir.join("store.db.new");
    remove(&new)?;
    remove(&dir.join("store.db.new-wal"))?;
    Ok(new)
}

/// Why there is no home.
pub(super) fn missing(dir: &Path) -> HomeError {
    match cut_off(dir) {
        Some(CutOffMark::Erased) => HomeError::Erased,
        Some(CutOffMark::Locked) | None => HomeError::Missing(dir.into()),
    }
}

/// Overwrites a file and removes it; one that has another name too is somebody's copy.
pub(super) fn shred(path: &Path) -> Result<(), HomeError> {
    let file = OpenOptions::new().write(true).open(path).ok();
    remove(path)?;
    file.map_or(Ok(()), |file| overwrite(&file).map_err(disk("Overwriting", path)))
}

pub(super) fn remove(path: &Path) -> Result<(), HomeError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(disk("Removing", path)(cause)),
        _ => Ok(()),
    }
}

fn exists(path: &Path) -> Result<bool, HomeError> {
    path.try_exists().map_err(disk("Looking for", path))
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Overwrites a file that has lost its name; one that has another name is somebody's copy.
#[cfg(unix)]
fn overwrite(mut file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let about = file.metadata()?;
    if about.nlink() > 0 {
        return Ok(());
    }
    io::copy(&mut io::repeat(0).take(about.len()), &mut file)?;
    file.sync_all()
}

#[cfg(not(unix))]
fn overwrite(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn make_private(path: &Path) -> Result<(), HomeError> {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(disk("Closing", path))
}

#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), HomeError> {
    use std::os::unix::fs::PermissionsExt;

    let about = fs::metadata(path).map_err(disk("Looking at", path))?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(HomeError::TooOpen { path: path.into(), mode }) }
}

/// Elsewhere a user's own folders are closed to others by default.
#[cfg(not(unix))]
fn make_private(_path: &Path) -> Result<(), HomeError> {
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_path: &Path) -> Result<(), HomeError> {
    Ok(())
}

pub(super) fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HomeError {
    move |cause| HomeError::Disk { doing, path: path.into(), cause }
}
