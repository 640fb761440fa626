//! Folders that go with the test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder_disk::{DiskBackend, DiskConfig};
use larder_testkit::ManualClock;

/// A folder of its own, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("larder-disk-test-{}-{count}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn config(&self) -> DiskConfig {
        DiskConfig::new(&self.0)
    }

    /// A store whose time stands still until the clock is moved, and that frees nothing by itself.
    pub(crate) fn manual(&self, clock: &ManualClock) -> DiskBackend {
        let config = self.config().clock(Arc::new(clock.clone())).purge_every(None);
        DiskBackend::open(config).expect("a store in a fresh folder")
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
