//! A store in a folder of its own, spoken to in plain words.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use larder_core::{
    Backend, Class, Delete, Error, Expect, Key, NEVER, Namespace, Outcome, Record, Times, Write,
};
use larder_disk::{DiskBackend, DiskConfig, DiskEvent};
use larder_testkit::block_on;

use crate::child::{pause, tell};
use crate::value;

/// A folder that is removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("larder-disk-fault-{}-{count}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// One whose syncs take no time, where the system has such.
    pub(crate) fn quick() -> Self {
        let (folder, memory) = (Self::new(), Path::new("/dev/shm"));
        let name = folder.path().file_name().unwrap();
        if memory.is_dir() { Self(memory.join(name)) } else { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub(crate) fn config(&self) -> DiskConfig {
        DiskConfig::new(&self.0)
    }

    /// The names in it that begin with this.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A backend, and what it told unasked.
pub(crate) struct Store {
    pub(crate) backend: DiskBackend,
    events: Arc<Mutex<Vec<DiskEvent>>>,
}

impl Store {
    pub(crate) fn open(config: DiskConfig) -> Result<Self, Error> {
        let events = Arc::<Mutex<Vec<_>>>::default();
        let log = Arc::clone(&events);
        let config = config.on_event(move |event| log.lock().unwrap().push(event.clone()));
        Ok(Self { backend: DiskBackend::open(config)?, events })
    }

    pub(crate) fn put(&self, key: &str, version: u64, length: usize) -> Outcome {
        let times = Times::new(NEVER, NEVER);
        self.write(key, Record::value(value::value(key, version, length), times), Expect::Any)
    }

    pub(crate) fn write(&self, text: &str, record: Record, expect: Expect) -> Outcome {
        let write = Write { key: key(text), record, expect };
        block_on(self.backend.write(&[write])).pop().unwrap()
    }

    pub(crate) fn delete(&self, text: &str) -> Outcome {
        let delete = Delete { key: key(text), expect: Expect::Any };
        block_on(self.backend.delete(&[delete])).pop().unwrap()
    }

    pub(crate) fn read(&self, text: &str) -> Result<Option<Record>, Error> {
        block_on(self.backend.read_one(&key(text)))
    }

    /// The version of what is there; panics if that was never written.
    pub(crate) fn get(&self, text: &str) -> Result<Option<u64>, Error> {
        Ok(self.read(text)?.map(|record| value::version(text, &record.payload)))
    }

    /// Does what the writing thread was asked for by nobody who waits.
    pub(crate) fn settle(&self) {
        let _ = block_on(self.backend.purge(0));
    }

    pub(crate) fn events(&self) -> Vec<DiskEvent> {
        self.events.lock().unwrap().clone()
    }
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(&Namespace::new("fault").unwrap(), Class::Entry, text.as_bytes())
}

/// The files of a store, as bytes: to be spoiled, and opened in another folder.
#[derive(Clone)]
pub(crate) struct Files(pub(crate) BTreeMap<String, Vec<u8>>);

impl Files {
    /// Those of a folder that no process of ours has open.
    pub(crate) fn of(folder: &Folder) -> Self {
        let names = folder.names("").into_iter();
        let read = |name: String| {
            let bytes = fs::read(folder.path().join(&name)).unwrap();
            (name, bytes)
        };
        Self(names.map(read).collect())
    }

    pub(crate) fn put_into(&self, folder: &Folder) {
        let _ = fs::remove_dir_all(folder.path());
        fs::DirBuilder::new().mode(0o700).create(folder.path()).unwrap();
        for (name, bytes) in &self.0 {
            let mut options = fs::OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600);
            let mut file = file.open(folder.path().join(name)).unwrap();
            std::io::Write::write_all(&mut file, bytes).unwrap();
        }
    }

    pub(crate) fn database(&mut self) -> &mut Vec<u8> {
        self.0.get_mut("larder.db").unwrap()
    }
}

/// In another process: fills a store and leaves its log unemptied until it is killed.
pub(crate) fn hold(folder: &str) {
    let store = Store::open(DiskConfig::new(folder)).unwrap();
    for number in 0..200 {
        assert!(store.put(&format!("log-{number}"), 1, 300).is_done());
    }
    tell("full");
    loop {
        pause(std::time::Duration::from_secs(1));
    }
}
