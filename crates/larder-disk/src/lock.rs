//! The folder's lock: shared by who writes, alone for who creates, migrates or replaces.
//!
//! Without it a change could be confirmed into a file that has just been set aside.

use std::fs::{File, TryLockError};
use std::time::Duration;

use larder_core::{Error, ErrorKind, Result};

use crate::error::of_files;
use crate::folder::Folder;

/// While it lives, the database is not replaced.
pub(crate) struct Hold<'a>(&'a File);

impl<'a> Hold<'a> {
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if another is alone for longer than this.
    pub(crate) fn new(lock: &'a File, timeout: Duration) -> Result<Self> {
        patiently(timeout, || lock.try_lock_shared())?;
        Ok(Self(lock))
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
pub(crate) fn alone(folder: &Folder, timeout: Duration) -> Result<File> {
    let file = folder.lock_file().map_err(|error| of_files("open", error))?;
    patiently(timeout, || file.try_lock())?;
    Ok(file)
}

fn patiently(
    timeout: Duration,
    mut attempt: impl FnMut() -> Result<(), TryLockError>,
) -> Result<()> {
    let mut left = timeout.as_millis() / STEP.as_millis();
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if left > 0 => pause(STEP),
            Err(TryLockError::WouldBlock) => {
                let message = "another process keeps the store locked";
                return Err(Error::new(ErrorKind::Unavailable, "lock", message));
            }
            Err(TryLockError::Error(error)) => return Err(of_files("lock", error)),
        }
        left -= 1;
    }
}

#[expect(clippy::disallowed_methods, reason = "waits for another process's lock, not for a clock")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// How long to wait before the next look.
pub(crate) const STEP: Duration = Duration::from_millis(5);
