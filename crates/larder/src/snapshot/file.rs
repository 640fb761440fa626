//! Snapshots in files.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use larder_core::Version;
use xxhash_rust::xxh3::xxh3_64;

use crate::snapshot::header::MAGIC;
use crate::snapshot::private::{
    create_folder, create_new, create_to_append, is_removed, judge_folder, open_to_append,
    open_to_read, sync_folder,
};
use crate::snapshot::sink::Sink;
use crate::support::sync::{Arc, Mutex, lock};

/// A snapshot in a file, its logs in others beside it.
///
/// Its folder is made if it is missing. On Unix the folder is made for its owner alone (0700), the
/// files too (0600), whatever the umask; links in the place of a file, files of other users and a
/// folder into which others can write are refused.
///
/// A save writes a new file beside the old one, syncs it and renames it, so a crash at any moment
/// leaves one of the two. What a process that was killed leaves behind goes with the next save. Any
/// number of processes may use one path: each save is whole, and the last one stays.
///
/// Another program's file at the path is never lost: a save renames it first.
///
/// A change is written into the log by the time it is confirmed, so it outlives the process; with
/// [`durable`](Self::durable) it outlives a loss of power too. The log belongs to the process's own
/// snapshot: the one that it has restored or saved last. A snapshot that another process has saved
/// meanwhile knows nothing of the change; where that process has removed the log, the change
/// removes the snapshot.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    is_durable: bool,
    /// The logs that are appended to. They are locked, so that other processes leave them alone.
    logs: Mutex<Vec<(String, Arc<File>)>>,
}

impl FileSink {
    /// A snapshot at this path, by the working directory as it is now.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let path = std::path::absolute(&path).unwrap_or(path);
        Self { path, is_durable: false, logs: Mutex::new(Vec::new()) }
    }

    /// Syncs the log before a change is confirmed. Each takes as long as the disk does; those that
    /// are made meanwhile share the next sync.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.is_durable = true;
        self
    }

    fn folder(&self) -> io::Result<&Path> {
        let no_folder = || io::Error::new(ErrorKind::InvalidInput, "the path names no file");
        self.path.file_name().and_then(|_| self.path.parent()).ok_or_else(no_folder)
    }

    /// Returns the text that the names of the files beside the snapshot begin with.
    fn stem(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        // The limit leaves space for a suffix in the 255 bytes that most file systems give a name.
        let fits = name.len() <= 200 && self.path.file_name().is_some_and(|own| *own == *name);
        if fits { name.into_owned() } else { format!("larder-{:016x}", xxh3_64(name.as_bytes())) }
    }

    fn log_path(&self, log: &str) -> io::Result<PathBuf> {
        Ok(self.folder()?.join(format!("{}{LOG}{log}", self.stem())))
    }

    fn prepare(&self) -> io::Result<()> {
        create_folder(self.folder()?)?;
        judge_folder(self.folder()?)
    }

    /// Creates a new file that no other process takes for one of a dead process.
    fn create_unfinished(&self) -> io::Result<(PathBuf, File)> {
        loop {
            let name = format!("{}{UNFINISHED}{}", self.stem(), Version::next());
            let path = self.folder()?.join(name);
            let file = create_new(&path)?;
            // Where there are no locks, nobody removes unlocked files either.
            let _ = file.lock();
            if !is_removed(&file)? {
                return Ok((path, file));
            }
        }
    }

    /// Removes our files of this kind that no process has locked, except `but`. Returns the first
    /// failure.
    fn remove_dead(&self, kind: &str, but: &str) -> io::Result<()> {
        let beginning = format!("{}{kind}", self.stem());
        let mut result = Ok(());
        for entry in fs::read_dir(self.folder()?)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_meant = |rest: &str| is_unique(rest) && rest != but;
            let is_meant = name.strip_prefix(&beginning).is_some_and(is_meant);
            if is_meant {
                result = result.and(remove_unless_held(&entry.path()));
            }
        }
        result
    }

    fn open_log(&self, log: &str, open: fn(&Path) -> io::Result<File>) -> io::Result<Arc<File>> {
        let path = self.log_path(log)?;
        let file = loop {
            let file = open(&path)?;
            let _ = file.lock_shared();
            if !is_removed(&file)? {
                break Arc::new(file);
            }
        };
        let mut logs = lock(&self.logs);
        logs.push((log.to_owned(), Arc::clone(&file)));
        // The log of the snapshot and the log of the running save are kept; others are not written
        // again.
        let spare = logs.len().saturating_sub(2);
        logs.drain(..spare);
        Ok(file)
    }

    /// Returns the log, if it is open.
    fn held(&self, log: &str) -> Option<Arc<File>> {
        let logs = lock(&self.logs);
        logs.iter().find(|(name, _)| name == log).map(|(_, file)| Arc::clone(file))
    }

    /// Refuses a log that is open no longer, or has been removed.
    fn check_log(&self, log: &str) -> io::Result<()> {
        let file = self.held(log).ok_or_else(no_log)?;
        if is_removed(&file)? { Err(no_log()) } else { Ok(()) }
    }

    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)?;
        if self.is_durable { file.sync_data() } else { Ok(()) }
    }

    fn rename(&self, unfinished: &Path) -> io::Result<()> {
        if self.has_snapshot()? == Some(false) {
            let name = format!("{}{OTHER}{}", self.stem(), Version::next());
            let aside = self.folder()?.join(name);
            fs::rename(&self.path, aside)?;
        }
        fs::rename(unfinished, &self.path)
    }

    /// True if the file at the path is a snapshot, or empty. None if there is no file.
    fn has_snapshot(&self) -> io::Result<Option<bool>> {
        let Some(file) = present(open_to_read(&self.path))? else { return Ok(None) };
        let mut beginning = Vec::new();
        file.take(MAGIC.len() as u64).read_to_end(&mut beginning)?;
        Ok(Some(beginning.is_empty() || beginning == MAGIC))
    }
}

impl Sink for FileSink {
    fn read(&self) -> io::Result<Option<Box<dyn Read + Send>>> {
        if present(judge_folder(self.folder()?))?.is_none() {
            return Ok(None);
        }
        let _ = self.remove_dead(UNFINISHED, "");
        Ok(present(open_to_read(&self.path))?.map(boxed))
    }

    fn replace(
        &self,
        log: Option<&str>,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        self.prepare()?;
        // Dead files go also where this save will fail: it may need their space.
        let _ = self.remove_dead(UNFINISHED, "");
        let (path, mut file) = self.create_unfinished()?;
        let written = write(&mut file).and_then(|()| file.sync_all());
        let _folder = lock_folder(self.folder()?);
        // Another cache with this sink may have cleared the log.
        let kept = written.and_then(|()| log.map_or(Ok(()), |log| self.check_log(log)));
        let renamed = kept.and_then(|()| self.rename(&path));
        if renamed.is_err() {
            let _ = fs::remove_file(&path);
            return renamed;
        }
        // The folder is synced before the old log goes: a disk may keep the later of two changes
        // and lose the earlier.
        sync_folder(self.folder()?)?;
        lock(&self.logs).retain(|(name, _)| Some(name.as_str()) == log);
        // A log that stays takes space, and goes with the next save.
        let _ = self.remove_dead(LOG, log.unwrap_or_default());
        Ok(())
    }

    fn read_log(&self, log: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        Ok(present(open_to_read(&self.log_path(log)?))?.map(boxed))
    }

    fn begin(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
        self.prepare()?;
        let file = self.open_log(log, create_to_append)?;
        // A snapshot, or the log before, will name this log: both are worth nothing without it.
        let written = (&*file).write_all(bytes).and_then(|()| file.sync_data());
        let begun = written.and_then(|()| sync_folder(self.folder()?));
        if begun.is_err() {
            lock(&self.logs).retain(|(name, _)| name != log);
            let _ = fs::remove_file(self.log_path(log)?);
        }
        begun
    }

    fn append(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
        let file = if let Some(file) = self.held(log) {
            file
        } else {
            judge_folder(self.folder()?)?;
            self.open_log(log, open_to_append)?
        };
        if is_removed(&file)? {
            return Err(no_log());
        }
        self.write(&file, bytes)
    }

    fn waits(&self) -> bool {
        self.is_durable
    }

    fn clear(&self) -> io::Result<()> {
        lock(&self.logs).clear();
        let folder = self.folder()?;
        // Only a folder that is surely missing is surely without a snapshot.
        let Some(found) = present(fs::metadata(folder))? else { return Ok(()) };
        if !found.is_dir() {
            return Ok(());
        }
        let _folder = lock_folder(folder);
        if self.has_snapshot()? == Some(true) {
            present(fs::remove_file(&self.path))?;
        }
        self.remove_dead(LOG, "")?;
        self.remove_dead(UNFINISHED, "")?;
        sync_folder(folder)
    }
}

/// Returns none for a file that is not there, or no longer.
fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Locks the folder, which keeps a snapshot and its log together: a process that has just replaced
/// the snapshot and ended must not lose its log to a process that replaced the snapshot before.
/// Where folders cannot be locked, a snapshot is lost now and then.
fn lock_folder(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    folder.lock().ok()?;
    Some(folder)
}

fn no_log() -> io::Error {
    io::Error::new(ErrorKind::NotFound, "the log of the changes is gone")
}

/// True if the text is a suffix of our files' names.
fn is_unique(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn boxed(file: File) -> Box<dyn Read + Send> {
    Box::new(file)
}

fn remove_unless_held(path: &Path) -> io::Result<()> {
    let file = match open_to_read(path) {
        Ok(file) => file,
        // None of our files has such a type: somebody has put it there.
        Err(error) if error.kind() == ErrorKind::InvalidInput => return Ok(()),
        Err(error) => return present(Err(error)).map(|_: Option<()>| ()),
    };
    match file.try_lock() {
        Ok(()) => present(fs::remove_file(path)).map(drop),
        // Another process writes the file. Where there are no locks, any file may be in use.
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => Ok(()),
    }
}

const UNFINISHED: &str = ".new-";
const LOG: &str = ".log-";
const OTHER: &str = ".other-";
