//! Snapshots: a memory cache that survives a restart.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use larder_core::{Codec, Result, Version};

use crate::snapshot::failure::of_sink;
use crate::snapshot::file::FileSink;
use crate::snapshot::sink::Sink;
use crate::support::sync::Arc;
use crate::tier::entry::Content;

pub(crate) use crate::snapshot::keeper::Keeper;

mod block;
mod encode;
mod entry;
mod failure;
pub(crate) mod file;
mod header;
mod journal;
mod keeper;
mod log;
mod notes;
mod number;
mod private;
mod restore;
pub(crate) mod sink;
mod timer;
mod v0;

/// Place and schedule of a cache's saves.
///
/// A cache built with it begins with what was saved, less the time that has passed since by the wall
/// clock, and is saved on [`save`](crate::Cache::save), on [`close`](crate::Cache::close) and, if
/// asked for, [every](Snapshot::every) so often. Dropping the last handle saves nothing.
///
/// A snapshot that is missing, damaged or another cache's means an empty cache, and an
/// [`Event`](crate::Event) unless it is missing.
///
/// ```
/// use std::time::Duration;
/// use larder::{Cache, Snapshot};
///
/// # let folder = std::env::temp_dir().join(format!("larder-doc-snapshot-{}", std::process::id()));
/// # let path = folder.join("users.snapshot");
/// let snapshot = Snapshot::file(&path).every(Duration::from_secs(60));
/// let users = Cache::<u64, String>::builder().snapshot(snapshot.clone()).build()?;
/// users.blocking().insert(1815, "Ada".to_owned())?;
/// users.blocking().save()?;
/// drop(users);
///
/// let users = Cache::<u64, String>::builder().snapshot(snapshot).build()?;
/// assert_eq!(users.blocking().get(&1815)?.as_deref(), Some("Ada"));
/// # drop(users);
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<_, larder::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Snapshot {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) every: Option<Duration>,
    pub(crate) schema: u32,
}

impl Snapshot {
    /// A snapshot in this file, which belongs to the cache, and in files beside it.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(FileSink::new(path))
    }

    /// A snapshot in a sink.
    pub fn new(sink: impl Sink) -> Self {
        Self { sink: Arc::new(sink), every: None, schema: 0 }
    }

    /// Time from one automatic save to the next. Default: never.
    ///
    /// With it a save also begins when 8 MiB of changes have been logged since the last. Once there
    /// are 16 MiB, the logs of saves that failed included, all that is saved is gone until the next.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = Some(interval);
        self
    }

    /// Number for the form of the values. Values saved under another number are ignored. Default 0.
    pub fn schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }

    /// Removes the saved snapshot. An absent snapshot is no error.
    ///
    /// # Errors
    /// The sink's error, if the snapshot cannot be removed.
    pub fn clear(&self) -> Result<()> {
        self.sink.clear().map_err(|error| of_sink("clear", error))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("every", &self.every)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// The identity of a snapshot, and the form of its values.
pub(crate) struct SnapshotConfig<V> {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) codec: Arc<dyn Codec<V>>,
    pub(crate) schema: u32,
    pub(crate) namespace: String,
    /// The bytes that the places of all its values begin with.
    pub(crate) prefix: Vec<u8>,
    /// True if there is no backend that copies are compared with. Then changes are logged.
    pub(crate) is_alone: bool,
    /// The grace of entries that live without end and were made stale.
    pub(crate) grace: Duration,
}

impl<V> SnapshotConfig<V> {
    /// The place of an entry's value, for codecs that bind bytes to it.
    pub(crate) fn place(&self, key: &str) -> Vec<u8> {
        [self.prefix.as_slice(), key.as_bytes()].concat()
    }
}

/// An entry of a snapshot, with the life that is left.
pub(crate) struct RestoredEntry<K, V> {
    pub(crate) key: K,
    pub(crate) content: Content<V>,
    pub(crate) fresh_left: Duration,
    /// The time for which it is kept; more than zero.
    pub(crate) kept_left: Duration,
    pub(crate) age: Duration,
    pub(crate) idle: Duration,
    pub(crate) version: Version,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) cost: Duration,
    /// The number of uses that the engine is told of.
    pub(crate) uses: u64,
    /// The number of entries before it, and how many more the snapshot announces.
    pub(crate) number: u64,
    pub(crate) more: u64,
}
