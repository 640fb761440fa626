//! Caches over memory alone and over memory and SQLite.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use larder::{Cache, CacheBuilder, CacheKey};
use larder_disk::{DiskBackend, DiskConfig};

/// A folder of one test, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir();
        let path = path.join(format!("larder-macros-test-{}-{number}", std::process::id()));
        // What an earlier process of this number may have left.
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn disk(&self) -> DiskBackend {
        DiskBackend::open(DiskConfig::new(&self.0).purge_every(None)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A set-up: memory, with SQLite below it if there is a folder.
#[derive(Debug)]
pub(crate) struct Rig(Option<Folder>);

impl Rig {
    pub(crate) fn all() -> [Self; 2] {
        [Self::memory(), Self(Some(Folder::new()))]
    }

    pub(crate) fn memory() -> Self {
        Self(None)
    }

    pub(crate) fn builder<K: CacheKey>(&self) -> CacheBuilder<K, String> {
        match &self.0 {
            None => Cache::builder(),
            Some(folder) => Cache::builder().backend(folder.disk()),
        }
    }

    pub(crate) fn cache<K: CacheKey>(&self) -> Cache<K, String> {
        self.builder().build().unwrap()
    }
}

/// Runs a test on a runtime of one thread and on one of several, over all set-ups.
pub(crate) fn everywhere<T: AsyncFn(Rig)>(test: T) {
    let builders = [tokio::runtime::Builder::new_current_thread(), {
        let mut several = tokio::runtime::Builder::new_multi_thread();
        several.worker_threads(2);
        several
    }];
    for mut builder in builders {
        let runtime = builder.enable_all().build().unwrap();
        for rig in Rig::all() {
            runtime.block_on(test(rig));
        }
    }
}
