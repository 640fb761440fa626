//! A cache with a snapshot in a file, and simple calls for it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use larder::{Cache, Event, Raw, Snapshot};

/// A cache of bytes, and its events.
pub(crate) struct Store {
    pub(crate) cache: Cache<u64, Vec<u8>>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Store {
    pub(crate) fn open(path: impl Into<PathBuf>) -> Self {
        Self::with(Snapshot::file(path))
    }

    pub(crate) fn with(snapshot: Snapshot) -> Self {
        let events = Arc::<Mutex<Vec<_>>>::default();
        let log = Arc::clone(&events);
        let builder =
            Cache::builder().on_event(move |event| log.lock().unwrap().push(event.clone()));
        let cache = builder.capacity(1_000_000).snapshot_with(snapshot, Raw).build().unwrap();
        Self { cache, events }
    }

    pub(crate) fn put(&self, key: u64, version: u64, length: usize) -> larder::Reach {
        self.cache.blocking().insert(key, value(key, version, length)).unwrap()
    }

    /// Returns the version of the value that is there. Panics if that was never written.
    pub(crate) fn get(&self, key: u64) -> Option<u64> {
        self.cache.blocking().get(&key).unwrap().map(|bytes| version(key, &bytes))
    }

    pub(crate) fn save(&self) -> larder::Result<u64> {
        self.cache.blocking().save()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }
}

/// Returns bytes that encode their key and version in every place.
pub(crate) fn value(key: u64, version: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(key ^ version.rotate_left(32));
    let mut bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
    bytes.extend(version.to_le_bytes());
    bytes
}

fn version(key: u64, bytes: &[u8]) -> u64 {
    let (_, end) = bytes.split_at(bytes.len() - 8);
    let version = u64::from_le_bytes(end.try_into().unwrap());
    assert_eq!(bytes, value(key, version, bytes.len() - 8), "torn");
    version
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
