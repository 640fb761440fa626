//! A folder of one test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use larder_core::{Clock, StoreTime};
use toy_backend::Cabinet;

/// A folder that is removed when this is dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("larder-toy-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // An earlier process with this id may have left a folder.
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    /// Returns the cabinet in the folder, by this clock.
    pub(crate) fn cabinet(&self, clock: impl Clock) -> Cabinet {
        let now = move || StoreTime::from_micros((clock.now().as_nanos() / 1_000).cast_signed());
        Cabinet::open(&self.0, now).expect("a folder in the temporary one")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
