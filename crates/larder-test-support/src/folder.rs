//! A folder of one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use larder_disk::DiskConfig;

/// A path for a new folder, which is removed when this value is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Returns a path in the system's temporary folder, where no file is yet.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// Returns a path where syncs take no time, on systems that have one.
    pub fn quick() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory) } else { Self::new() }
    }

    fn below(parent: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("larder-test-{}-{number}", std::process::id()));
        // An earlier process with this id may have left a folder.
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path as text, for the arguments of another process.
    pub fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Returns the configuration of a store on disk in this folder.
    pub fn config(&self) -> DiskConfig {
        DiskConfig::new(&self.0)
    }

    /// Returns the sorted names of the folder's files that contain this part.
    pub fn names(&self, part: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.contains(part)).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
