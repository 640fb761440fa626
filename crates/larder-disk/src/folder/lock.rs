//! The folder's lock: shared by who writes, alone for who creates, migrates or replaces.
//!
//! Without it a change could be confirmed into a file that has just been set aside.

use std::fs::{File, TryLockError};

use larder_core::{Error, ErrorKind, Result};

use crate::error::of_files;
use crate::folder::Folder;
use crate::time::wait::Until;

/// A lock of a file, until the guard goes. While it is the folder's, the database is not replaced.
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
        // The lock ends with the file at the latest.
        let _ = self.0.unlock();
    }
}

/// The queue of processes that wait to write: each of them has a shared lock of the queue's file.
///
/// The database's write lock goes to whoever asks first when it is free: mostly to the process that has
/// just had it, for the others look a thousand times a second, and it is free for microseconds. So
/// whoever waits says so here, and whoever has written for a while lets them go first.
#[derive(Debug)]
pub(crate) struct Queue(File);

impl Queue {
    pub(crate) fn open(folder: &Folder) -> Result<Self> {
        folder.queue_file().map(Self).map_err(|error| of_files("open", error))
    }

    /// Says that somebody waits, until the guard goes; none for the moment in which another looks.
    pub(crate) fn join(&self) -> Option<Hold<'_>> {
        Hold::try_new(&self.0).ok().flatten()
    }

    /// Whether others wait. Not to be asked by who waits himself.
    pub(crate) fn is_awaited(&self) -> bool {
        let alone = settle(self.0.try_lock()).map(|locked| locked.map(|()| Hold(&self.0)));
        matches!(alone, Ok(None))
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
