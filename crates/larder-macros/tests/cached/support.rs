//! Caches over memory alone and over memory and SQLite.

use larder::{Cache, CacheBuilder, CacheKey};
use larder_disk::DiskBackend;
use larder_test_support::Folder;

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
            Some(folder) => {
                let config = folder.config().purge_every(None);
                Cache::builder().backend(DiskBackend::open(config).unwrap())
            }
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
