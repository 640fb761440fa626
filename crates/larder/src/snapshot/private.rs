//! Files and folders that nobody else can enter, whatever the process's umask. Files and folders
//! that others can enter are refused.

#[cfg(unix)]
pub(super) use unix::{
    create_folder, create_new, create_to_append, is_removed, judge_folder, open_to_append,
    open_to_read, sync_folder,
};

#[cfg(not(unix))]
pub(super) use other::{
    create_folder, create_new, create_to_append, is_removed, judge_folder, open_to_append,
    open_to_read, sync_folder,
};

#[cfg(unix)]
mod unix {
    use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    use rustix::fs::OFlags;

    pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        let is_missing = |path: &&Path| path.symlink_metadata().is_err();
        let missing: Vec<_> = path.ancestors().take_while(is_missing).collect();
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        // A umask that takes rights from the owner would leave a folder that the owner cannot
        // enter.
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
        missing.iter().filter_map(|path| path.parent()).try_for_each(sync_folder)
    }

    /// Refuses a folder in which others could put files of theirs in the place of ours.
    pub(crate) fn judge_folder(path: &Path) -> io::Result<()> {
        let found = path.metadata()?;
        if !found.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        if found.uid() != own_id() {
            return Err(refused("the folder belongs to another user"));
        }
        if found.mode() & 0o022 != 0 {
            return Err(refused("others can write into the folder: take that from them first"));
        }
        Ok(())
    }

    pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
        judge_name(path)?;
        judged(private(OpenOptions::new().read(true)).open(path)?)
    }

    pub(crate) fn create_new(path: &Path) -> io::Result<File> {
        restricted(private(OpenOptions::new().write(true).create_new(true)).open(path)?)
    }

    pub(crate) fn create_to_append(path: &Path) -> io::Result<File> {
        restricted(private(OpenOptions::new().append(true).create_new(true)).open(path)?)
    }

    pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
        judge_name(path)?;
        restricted(judged(private(OpenOptions::new().append(true)).open(path)?)?)
    }

    /// True if the file has no name any more.
    pub(crate) fn is_removed(file: &File) -> io::Result<bool> {
        Ok(file.metadata()?.nlink() == 0)
    }

    /// Makes the folder's names outlive a loss of power.
    pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// Refuses a link before it is followed: without this the system's error says little.
    fn judge_name(path: &Path) -> io::Result<()> {
        judge(&path.symlink_metadata()?)
    }

    fn judged(file: File) -> io::Result<File> {
        judge(&file.metadata()?)?;
        Ok(file)
    }

    fn judge(found: &Metadata) -> io::Result<()> {
        if !found.is_file() {
            return Err(refused("one of the snapshot's names is a link, a folder or a device"));
        }
        if found.uid() != own_id() {
            return Err(refused("one of the snapshot's files belongs to another user"));
        }
        Ok(())
    }

    fn restricted(file: File) -> io::Result<File> {
        if file.metadata()?.mode() & 0o777 != 0o600 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(file)
    }

    fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        // The flags keep the open from waiting for the other end, should the file be a pipe.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed())
    }

    fn own_id() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn refused(message: &'static str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, message)
    }
}

/// On other systems a folder's files get the folder's access rights.
#[cfg(not(unix))]
mod other {
    use std::fs::{self, File, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    pub(crate) fn judge_folder(path: &Path) -> io::Result<()> {
        let is_folder = path.metadata()?.is_dir();
        if is_folder { Ok(()) } else { Err(io::Error::from(io::ErrorKind::NotADirectory)) }
    }

    pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    pub(crate) fn create_new(path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    pub(crate) fn create_to_append(path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).create_new(true).open(path)
    }

    pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).open(path)
    }

    pub(crate) fn is_removed(_file: &File) -> io::Result<bool> {
        Ok(false)
    }

    pub(crate) fn sync_folder(_path: &Path) -> io::Result<()> {
        Ok(())
    }
}
