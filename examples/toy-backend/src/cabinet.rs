//! The backend.

use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use larder_core::{
    Backend, Capabilities, Delete, Error, ErrorKind, Expect, Header, Incarnation, Key, Life,
    Outcome, Page, Record, Result, Retime, Scanned, Scope, StoreTime, Version, Write, layout,
};

use crate::drawer::{Blobs, Drawer, is_full};

/// Records in the files of a folder.
pub struct Cabinet {
    folder: PathBuf,
    now: Box<dyn Fn() -> StoreTime + Send + Sync>,
    incarnation: Incarnation,
    is_closed: AtomicBool,
}

impl Cabinet {
    /// Opens the cabinet in this folder, which is created if it is missing. The cabinet uses this
    /// clock.
    ///
    /// All processes that share the folder have to have the same clock.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) for a folder that cannot be used.
    pub fn open(
        folder: impl Into<PathBuf>,
        now: impl Fn() -> StoreTime + Send + Sync + 'static,
    ) -> Result<Self> {
        let folder = folder.into();
        make_folder(&folder).map_err(fault)?;
        let made = Drawer::new(&folder, "incarnation").change(incarnation).map_err(fault)?;
        Ok(Self {
            folder,
            now: Box::new(now),
            incarnation: made,
            is_closed: AtomicBool::new(false),
        })
    }

    fn now(&self) -> StoreTime {
        (self.now)()
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "cabinet", "it has been closed"));
        }
        Ok(())
    }

    /// Returns the drawer of this number.
    fn drawer(&self, number: u8) -> Drawer {
        Drawer::new(&self.folder, &format!("{number:02x}"))
    }

    /// Returns the record under the key, if it lives.
    fn live(&self, blobs: &Blobs, key: &Key) -> Result<Option<Record>> {
        let Some(blob) = blobs.get(key.name()) else { return Ok(None) };
        // A copy is decoded, because a record refers to its bytes and must not keep the whole
        // drawer.
        let record = layout::decode(key, &Bytes::copy_from_slice(blob), self.now())?;
        Ok(Some(record).filter(|record| record.header.times.life() != Life::Dead))
    }

    fn find(&self, key: &Key) -> Result<Option<Record>> {
        self.check_open()?;
        let blobs = self.drawer(number(key)).read().map_err(fault)?;
        self.live(&blobs, key)
    }

    /// Judges and applies a change in one step. A blob that cannot be decoded counts as nothing.
    fn change(
        &self,
        key: &Key,
        expect: &Expect,
        apply: impl FnOnce(&mut Blobs, Option<Record>) -> Result<()>,
    ) -> Outcome {
        if let Err(error) = self.check_open() {
            return Outcome::Failed(error);
        }
        let step = self.drawer(number(key)).change(|blobs| {
            let live = self.live(blobs, key).unwrap_or_default();
            if !is_met(expect, live.as_ref()) {
                return Outcome::Refused(live.map(|record| Box::new(record.header)));
            }
            apply(blobs, live).map_or_else(Outcome::Failed, |()| Outcome::Done)
        });
        step.unwrap_or_else(|error| Outcome::Failed(fault(error)))
    }

    /// Returns the key and header of a blob that can be decoded.
    fn scanned(&self, name: &Bytes, blob: &Bytes) -> Option<(Key, Header)> {
        let name = Bytes::copy_from_slice(name);
        layout::decode_scanned(name, blob, self.now()).ok()
    }

    fn is_dead(&self, name: &Bytes, blob: &Bytes) -> bool {
        let scanned = self.scanned(name, blob);
        scanned.is_some_and(|(_, header)| header.times.life() == Life::Dead)
    }
}

impl Backend for Cabinet {
    /// A full disk may cost a drawer, so the store may drop live records.
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Scope::Host).with_eviction()
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        keys.iter().map(|key| self.find(key)).collect()
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        let write = |Write { key, record, expect }: &Write| {
            // The record is encoded before the wait for the drawer, so that its age is never too
            // small.
            let blob = match layout::encode(key, record, self.now()) {
                Ok(blob) => blob,
                Err(error) => return Outcome::Failed(error),
            };
            self.change(key, expect, |blobs, _| {
                blobs.insert(key.name_bytes(), blob);
                Ok(())
            })
        };
        writes.iter().map(write).collect()
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        let retime = |Retime { key, version, times, .. }: &Retime| {
            let sent = self.now();
            self.change(key, &Expect::Version(*version, None), |blobs, live| {
                let Some(mut record) = live else { return Ok(()) };
                record.header.times = *times;
                blobs.insert(key.name_bytes(), layout::encode(key, &record, sent)?);
                Ok(())
            })
        };
        retimes.iter().map(retime).collect()
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        let delete = |Delete { key, expect }: &Delete| {
            self.change(key, expect, |blobs, _| {
                blobs.remove(key.name());
                Ok(())
            })
        };
        deletes.iter().map(delete).collect()
    }

    /// Scans the drawers. The cursor is a drawer's number and the last name that was met in it.
    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        self.check_open()?;
        let (first, mut after) = match cursor.as_deref().and_then(<[u8]>::split_first) {
            Some((number, name)) => (*number, Bytes::copy_from_slice(name)),
            None => (0, Bytes::new()),
        };
        let mut page = Page::default();
        for number in first..DRAWERS {
            let blobs = self.drawer(number).read().map_err(fault)?;
            let begun = std::mem::take(&mut after);
            for (name, blob) in blobs.range(begun.clone()..).filter(|(name, _)| **name > begun) {
                if page.records.len() >= limit.max(1) {
                    return Ok(page);
                }
                page.next = Some([&[number], &name[..]].concat().into());
                let scanned = self.scanned(name, blob).filter(|_| name.starts_with(prefix));
                let live = scanned.filter(|(_, header)| header.times.life() != Life::Dead);
                page.records.extend(live.map(|(key, header)| Scanned { key, header }));
            }
        }
        page.next = None;
        Ok(page)
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        self.check_open()?;
        let mut freed = 0;
        for number in 0..DRAWERS {
            let free = |blobs: &mut Blobs| {
                let dead = blobs.iter().filter(|(name, blob)| self.is_dead(name, blob));
                let names: Vec<_> =
                    dead.map(|(name, _)| name.clone()).take(limit - freed).collect();
                names.iter().filter(|name| blobs.remove(*name).is_some()).count()
            };
            freed += self.drawer(number).change(free).map_err(fault)?;
        }
        Ok(freed)
    }

    async fn clock(&self) -> Result<StoreTime> {
        self.check_open().map(|()| self.now())
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        self.check_open().map(|()| self.incarnation)
    }

    async fn close(&self) -> Result<()> {
        self.is_closed.store(true, Ordering::Release);
        Ok(())
    }
}

impl fmt::Debug for Cabinet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cabinet").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// True if the live record meets the expectation.
fn is_met(expect: &Expect, live: Option<&Record>) -> bool {
    match (expect, live) {
        (Expect::Any, _) | (Expect::Absent, None) => true,
        (Expect::Version(version, _), Some(live)) => live.header.version == *version,
        (Expect::Absent, Some(_)) | (Expect::Version(..), None) => false,
    }
}

/// Returns the number of a name's drawer by FNV-1a, which no release of the standard library
/// changes.
fn number(key: &Key) -> u8 {
    let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let hash = key.name().iter().fold(0x811c_9dc5, mix);
    let [low, ..] = (hash ^ (hash >> 16)).to_le_bytes();
    low % DRAWERS
}

/// Returns the store's random number. The first call draws it.
fn incarnation(blobs: &mut Blobs) -> Incarnation {
    let draw = || Bytes::copy_from_slice(&Version::next().to_bytes());
    let drawn = blobs.entry(Bytes::from_static(b"id")).or_insert_with(draw);
    let id = drawn.iter().fold(0, |id, byte| id << 8 | u128::from(*byte));
    Incarnation::new(id)
}

/// Creates the folder, readable for its owner alone.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Maps a file's error to the kind that tells a caller what to do.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn fault(error: io::Error) -> Error {
    let kind = if is_full(&error) { ErrorKind::NoSpace } else { ErrorKind::Unavailable };
    // The text names only the kind of the error: a path may be a secret.
    Error::new(kind, "cabinet", error.kind().to_string())
}

/// The number of drawers. With more, the files to rewrite are shorter, and more have to be scanned.
const DRAWERS: u8 = 64;
