//! Records of `larder-disk`, through the contract.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::backend::{
    Backend, Class, Expect, Key, NEVER, Namespace, Outcome, Record, Times, Write,
};
use larder_disk::{DiskBackend, DiskConfig};
use tokio::runtime::Builder;

use super::{body, shuffled, text};

/// A store of `larder-disk`, used through the contract.
#[derive(Clone, Debug)]
pub struct Disk {
    backend: DiskBackend,
    namespace: Arc<Namespace>,
    /// The folder of the store.
    pub folder: PathBuf,
}

impl Disk {
    /// Opens the store in the folder, or a new one.
    pub fn open(folder: &Path) -> Self {
        let config = DiskConfig::new(folder).max_bytes(Some(4 << 30));
        let backend = DiskBackend::open(config).expect("it opens");
        let namespace = Arc::new(Namespace::new("b").expect("a short name"));
        Self { backend, namespace, folder: folder.to_owned() }
    }

    /// Returns a store with this many entries of this length.
    pub fn filled(folder: &Path, count: usize, length: usize) -> Self {
        let disk = Self::open(folder);
        let runtime = Builder::new_current_thread().build().expect("it starts");
        for chunk in shuffled(count).chunks(1_000) {
            runtime.block_on(disk.set_all(chunk.iter().copied(), length));
        }
        disk
    }

    /// Returns the key of an entry.
    pub fn key(&self, index: usize) -> Key {
        Key::new(&self.namespace, Class::Entry, text(index).as_bytes())
    }

    /// Reads one entry.
    pub async fn get(&self, index: usize, length: usize) {
        let record = self.backend.read_one(&self.key(index)).await.expect("it is read");
        assert_eq!(record.expect("it is there").payload.len(), length);
    }

    /// Writes one entry.
    pub async fn set(&self, index: usize, length: usize) {
        self.set_all([index], length).await;
    }

    /// Writes many entries at once.
    pub async fn set_all(&self, indices: impl IntoIterator<Item = usize>, length: usize) {
        let write = |index| {
            let record = Record::value(body(index, length).into(), Times::new(NEVER, NEVER));
            Write { key: self.key(index), record, expect: Expect::Any }
        };
        let writes: Vec<_> = indices.into_iter().map(write).collect();
        let outcomes = self.backend.write(&writes).await;
        assert!(outcomes.iter().all(Outcome::is_done));
    }

    /// Returns the bytes of the pages that are in use.
    pub fn used_bytes(&self) -> u64 {
        self.backend.usage().expect("it tells").used_bytes
    }
}
