//! The folder's lock: shared by writers, exclusive for a process that creates, migrates or
//! replaces.
//!
//! Without the lock a change could be confirmed into a file that has just been set aside.

use std::fs::{File, TryLockError};

use larder_core::{Error, ErrorKind, Result};

use crate::error::of_files;
use crate::folder::Folder;
use crate::time::wait::Until;

/// A lock of a file, released when the guard is dropped. While the folder's lock is held, the
/// database is not replaced.
pub(crate) struct Hold<'a>(&'a File);

impl<'a> Hold<'a> {
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if another process has the lock alone until then.
    pub(crate) fn new(lock: &'a File, until: Until) -> Result<Self> {
        wait(until, || lock.try_lock_shared())?;
        Ok(Self(lock))
    }

    /// Like [`new`](Self::new), without a wait; none if another process has the lock alone.
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
/// The database's write lock goes to the first process that asks when it is free: mostly to the one
/// that has just had it, for the others look a thousand times a second, and it is free for
/// microseconds. A process that waits says so here, and a process that has written for a while lets
/// the waiting ones go first.
#[derive(Debug)]
pub(crate) struct Queue(File);

impl Queue {
    pub(crate) fn open(folder: &Folder) -> Result<Self> {
        folder.queue_file().map(Self).map_err(|error| of_files("open", error))
    }

    /// Joins the queue until the guard is dropped; none if a process tests the queue at this
    /// moment.
    pub(crate) fn join(&self) -> Option<Hold<'_>> {
        Hold::try_new(&self.0).ok().flatten()
    }

    /// True if other processes wait. A process that waits itself must not ask.
    pub(crate) fn is_awaited(&self) -> bool {
        let alone = settle(self.0.try_lock()).map(|locked| locked.map(|()| Hold(&self.0)));
        matches!(alone, Ok(None))
    }
}

/// Takes the folder's lock alone: nobody writes or replaces until the file is closed.
///
/// # Errors
/// [`Unavailable`](ErrorKind::Unavailable) if other processes keep the lock until then.
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

/// Returns none if another process has the lock.
fn settle(locked: Result<(), TryLockError>) -> Result<Option<()>> {
    match locked {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(of_files("lock", error)),
    }
}
