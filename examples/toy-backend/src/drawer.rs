//! One file of the cabinet.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use bytes::{Buf as _, Bytes};

/// Records as bytes, by name.
pub(crate) type Blobs = BTreeMap<Bytes, Bytes>;

/// A file that holds some of the records. It is only ever replaced as a whole.
pub(crate) struct Drawer {
    file: PathBuf,
    draft: PathBuf,
    lock: PathBuf,
}

impl Drawer {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let path = |extension| folder.join(name).with_extension(extension);
        Self { file: path("drawer"), draft: path("draft"), lock: path("lock") }
    }

    /// Reads the content. A file is renamed into place, so a reader sees the old one or the new
    /// one.
    pub(crate) fn read(&self) -> io::Result<Blobs> {
        match fs::read(&self.file) {
            Ok(bytes) => Ok(parse(bytes.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Blobs::new()),
            Err(error) => Err(error),
        }
    }

    /// Changes the content, in one step for all threads and all processes.
    pub(crate) fn change<T>(&self, run: impl FnOnce(&mut Blobs) -> T) -> io::Result<T> {
        let lock = File::options().create(true).truncate(false).write(true).open(&self.lock);
        let lock = match lock {
            // On a full disk a drawer that was never used is empty, and a delete is done.
            Err(error) if is_full(&error) && !self.file.try_exists()? => {
                let mut blobs = Blobs::new();
                let answer = run(&mut blobs);
                return if blobs.is_empty() { Ok(answer) } else { Err(error) };
            }
            lock => lock?,
        };
        // The lock ends when it is dropped: by this function, or by the system if the process dies.
        lock.lock()?;
        let before = self.read()?;
        let mut blobs = before.clone();
        let answer = run(&mut blobs);
        if blobs != before {
            self.replace(&blobs, blobs.len() < before.len())?;
        }
        Ok(answer)
    }

    fn replace(&self, blobs: &Blobs, is_smaller: bool) -> io::Result<()> {
        if blobs.is_empty() {
            return remove(&self.file);
        }
        match self.write_draft(blobs).and_then(|()| fs::rename(&self.draft, &self.file)) {
            // A delete must work when the disk is full: then the whole drawer is removed.
            Err(error) if is_smaller && is_full(&error) => {
                remove(&self.draft)?;
                remove(&self.file)
            }
            done => done,
        }
    }

    fn write_draft(&self, blobs: &Blobs) -> io::Result<()> {
        let mut bytes = Vec::new();
        for piece in blobs.iter().flat_map(|(name, blob)| [name, blob]) {
            let length = u32::try_from(piece.len()).map_err(|_| ErrorKind::FileTooLarge)?;
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(piece);
        }
        File::create(&self.draft)?.write_all(&bytes)
    }
}

/// Parses names and blobs, each behind its length. Damaged bytes end the drawer.
fn parse(mut bytes: Bytes) -> Blobs {
    let mut blobs = Blobs::new();
    while let (Some(name), Some(blob)) = (piece(&mut bytes), piece(&mut bytes)) {
        blobs.insert(name, blob);
    }
    blobs
}

fn piece(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
