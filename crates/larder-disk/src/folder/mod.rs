//! The folder of a store: its names, marker and rights, its locks, its quarantine, its reserve.
//!
//! The folder is made 0700 and files 0600, whatever the process's umask. A folder or file that
//! belongs to another user, a symbolic link in the place of either, and a folder into which others
//! can write are refused; a folder with files of other programs is refused and left as it is.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind as IoKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use larder_core::{Error, ErrorKind, Result};
use rustix::fs::OFlags;

use crate::error::of_files;

pub(crate) mod identity;
pub(crate) mod lock;
pub(crate) mod quarantine;
pub(crate) mod reserve;

/// The name of the database.
pub(crate) const DATABASE: &str = "larder.db";
/// The prefix of databases that are not complete yet.
pub(crate) const UNFINISHED: &str = "larder.new-";
/// The prefix of databases in quarantine.
pub(crate) const QUARANTINED: &str = "larder.damaged-";
/// SQLite's files beside a database.
pub(crate) const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Locked shared by writers, alone by a process that creates, migrates or replaces the database.
const LOCK: &str = "larder.lock";
/// Locked shared by processes that wait for a writer.
const QUEUE: &str = "larder.queue";
/// A file that takes up room which deletes may need.
pub(crate) const RESERVE: &str = "larder.reserve";
/// The marker that backup programs know (the cache directory tagging specification); ours has a
/// second line.
const MARKER: &str = "CACHEDIR.TAG";
const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55\n";
const OURS: &str = "# A cache of Larder: https://crates.io/crates/larder-disk\n";

/// A folder that has been checked and found safe.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens the folder at this path, and creates it if it is missing.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is unsafe or another program's,
    /// [`Unavailable`](ErrorKind::Unavailable) if it cannot be created or read.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        create(path).map_err(|error| of_files("open", error))?;
        judge(path)?;
        // SQLite refuses links anywhere in a path; those above the folder are its owner's business.
        let path = path.canonicalize().map_err(|error| of_files("open", error))?;
        let folder = Self { path };
        folder.judge_names()?;
        Ok(folder)
    }

    fn judge_names(&self) -> Result<()> {
        for name in [DATABASE, LOCK, QUEUE, RESERVE, MARKER] {
            judge_file(&self.join(name))?;
        }
        for companion in COMPANIONS {
            judge_file(&self.join(&format!("{DATABASE}{companion}")))?;
        }
        if self.is_foreign().map_err(|error| of_files("open", error))? {
            return Err(unsafe_folder("the folder holds files of something else than Larder"));
        }
        Ok(())
    }

    /// Returns the folder at this path as it is, safe or not, if there is one.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the path is no folder, or another user's.
    pub(crate) fn present(path: &Path) -> Result<Option<Self>> {
        let found = match path.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
            Err(error) => return Err(of_files("open", error)),
        };
        judge_kind(&found)?;
        let folder = Self { path: path.canonicalize().map_err(|error| of_files("open", error))? };
        folder.judge_names()?;
        Ok(Some(folder))
    }

    /// Returns the paths of the store's files that exist.
    pub(crate) fn own_files(&self) -> std::io::Result<Vec<PathBuf>> {
        let is_own = |name: &String| name == MARKER || is_ours(name);
        Ok(self.names()?.iter().filter(|name| is_own(name)).map(|name| self.join(name)).collect())
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn has_database(&self) -> bool {
        self.database().symlink_metadata().is_ok()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.join(DATABASE)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.join(&format!("{DATABASE}-wal"))
    }

    /// Opens the file whose locks keep a replacement of the database apart from writes into it.
    pub(crate) fn lock_file(&self) -> std::io::Result<File> {
        self.file_of_locks(LOCK)
    }

    pub(crate) fn queue_file(&self) -> std::io::Result<File> {
        self.file_of_locks(QUEUE)
    }

    fn file_of_locks(&self, name: &str) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        let file = private(&mut options).open(self.join(name))?;
        if file.metadata()?.mode() & 0o777 != 0o600 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        Ok(file)
    }

    /// Creates a new file that no other user can open.
    pub(crate) fn create_file(&self, name: &str) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let file = private(&mut options).open(self.join(name))?;
        // With a umask that removes the owner's rights, the owner could not open the file.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }

    /// Returns the time by the file system's clock, in microseconds since 1970.
    ///
    /// The clock belongs to the host of the files: a process with a clock of its own gets the same
    /// time.
    pub(crate) fn file_system_now(&self) -> std::io::Result<i64> {
        let mut file = self.lock_file()?;
        file.write_all(b"\n")?;
        // `std` is not used: libraries that fake a process's clock also fake its times of files.
        Ok(modified(&rustix::fs::fstat(&file)?))
    }

    /// Returns the time at which the database or its log was last written, by the file system's
    /// clock, in microseconds since 1970.
    pub(crate) fn last_written(&self) -> std::io::Result<i64> {
        let written = |name: &str| match rustix::fs::stat(self.join(name)) {
            Ok(stat) => Ok(stat.st_mtime.saturating_mul(1_000_000)),
            Err(rustix::io::Errno::NOENT) => Ok(i64::MIN),
            Err(error) => Err(std::io::Error::from(error)),
        };
        Ok(written(DATABASE)?.max(written(&format!("{DATABASE}-wal"))?))
    }

    /// Removes databases that were never completed: their makers have ended. The caller has the
    /// lock.
    pub(crate) fn remove_unfinished(&self) -> std::io::Result<()> {
        for name in self.names()?.iter().filter(|name| name.starts_with(UNFINISHED)) {
            fs::remove_file(self.join(name))?;
        }
        Ok(())
    }

    /// Removes a database of one of our names, and SQLite's files beside it.
    pub(crate) fn remove_database(&self, name: &str) -> std::io::Result<()> {
        for part in [""].into_iter().chain(COMPANIONS) {
            match fs::remove_file(self.join(&format!("{name}{part}"))) {
                Err(error) if error.kind() != IoKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the names in the folder. The conversion to text never changes a name of ours.
    pub(crate) fn names(&self) -> std::io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.path)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Marks the folder as a store's, unless it is marked already.
    pub(crate) fn mark(&self) -> std::io::Result<()> {
        if self.is_marked()? {
            return Ok(());
        }
        let name = format!("{UNFINISHED}{}-marker", unique());
        let mut file = self.create_file(&name)?;
        file.write_all(SIGNATURE.as_bytes())?;
        file.write_all(OURS.as_bytes())?;
        drop(file);
        fs::rename(self.join(&name), self.join(MARKER))
    }

    pub(crate) fn is_marked(&self) -> std::io::Result<bool> {
        let mut options = OpenOptions::new();
        options.read(true);
        let file = match private(&mut options).open(self.join(MARKER)) {
            Ok(file) => file,
            Err(error) if error.kind() == IoKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut text = Vec::new();
        file.take(4_096).read_to_end(&mut text)?;
        Ok(text.windows(OURS.len()).any(|line| line == OURS.as_bytes()))
    }

    /// True if the folder holds files that no store of ours has, and is not marked as a store.
    fn is_foreign(&self) -> std::io::Result<bool> {
        Ok(!self.names()?.iter().all(|name| is_ours(name)) && !self.is_marked()?)
    }
}

/// True if no other program has files of this name. The marker is not among them: others use it.
fn is_ours(name: &str) -> bool {
    let companion = name.strip_prefix(DATABASE);
    [LOCK, QUEUE, RESERVE].contains(&name)
        || companion.is_some_and(|rest| rest.is_empty() || COMPANIONS.contains(&rest))
        || name.starts_with(UNFINISHED)
        || name.starts_with(QUARANTINED)
}

/// Returns a part of a name that no other process and no other call uses. Process ids would not do:
/// containers that share a folder have the same ones.
pub(crate) fn unique() -> String {
    larder_core::Version::next().to_string()
}

fn modified(stat: &rustix::fs::Stat) -> i64 {
    let micros = i64::try_from(stat.st_mtime_nsec / 1_000).unwrap_or(0);
    stat.st_mtime.saturating_mul(1_000_000).saturating_add(micros)
}

fn create(path: &Path) -> std::io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // With a umask that removes the owner's rights, the owner could not enter the folder.
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

fn judge(path: &Path) -> Result<()> {
    let found = path.symlink_metadata().map_err(|error| of_files("open", error))?;
    judge_kind(&found)?;
    if found.mode() & 0o022 != 0 {
        return Err(unsafe_folder("others can write into the folder: take that from them first"));
    }
    Ok(())
}

fn judge_kind(found: &fs::Metadata) -> Result<()> {
    if found.is_symlink() {
        return Err(unsafe_folder("the folder is a symbolic link"));
    }
    if !found.is_dir() {
        return Err(unsafe_folder("there is a file where the folder should be"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(unsafe_folder("the folder belongs to another user"));
    }
    Ok(())
}

fn judge_file(path: &Path) -> Result<()> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == IoKind::NotFound => return Ok(()),
        Err(error) => return Err(of_files("open", error)),
    };
    if !found.is_file() {
        return Err(unsafe_folder("one of the store's names is a link, a folder or a device"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(unsafe_folder("one of the store's files belongs to another user"));
    }
    Ok(())
}

pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    options.mode(0o600).custom_flags(flags)
}

fn unsafe_folder(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, "open", message)
}
