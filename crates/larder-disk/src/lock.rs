//! The folder's lock: shared by who writes, alone for who creates, migrates or replaces.
//!
//! Without it a change could be confirmed into a file that has just been set aside.

use std::fs::{File, TryLockError};

use larder_core::{Error, ErrorKind, Result};

use crate::error::of_files;
use crate::folder::Folder;
use crate::wait::Until;

/// While it lives, the database is not replaced.
pub(crate) struct Hold<'a>(&'a File);

impl<'a> Hold<'a> {
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if another is alone for longer than this.
    pub(crate) fn new(lock: &'a File, until: Until) -> Result<Self> {
        wait(until, || lock.try_lock_shared())?;
        Ok(Self(lock))
    }

    /// The same at once; none if another is alone.
    pub(crate) fn try_new(lock: &'a File) -> Result<Option<Self>> {
        Ok(settle(lock.try_lock_shared())?.map(|()| Self(lock)))
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        // It goes with the file at the latest.
        let _ = self.0.unlock();
    }
}

/// The folder's lock, with nobody writing and nobody else replacing, until the file is closed.
///
/// # Errors
/// [`Unavailable`](ErrorKind::Unavailable) if others keep it for longer than this.
pub(crate) fn alone(folder: &Folder, until: Until) -> Result<File> {
    let file = folder.lock_file().map_err(|error| of_files("open", error))?;
    wait(until, || file.try_lock())?;
    Ok(file)
}

fn wait(until: Until, mut attempt: impl FnMut() -> Result<(), TryLockError>) -> Result<()> {
    let locked = until.wait_for(|| settle(attempt()).transpose());
    locked.unwrap_or_else(|| {
        let message = "another process keeps the store locked";
        Err(Error::new(ErrorKind::Unavailable, "lock", message))
    })
}

/// None if others have it.
fn settle(locked: Result<(), TryLockError>) -> Result<Option<()>> {
    match locked {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(of_files("lock", error)),
    }
}
