//! A store in a folder of its own, with short calls for the tests.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::sync::{Arc, Mutex};

use larder_core::{
    Backend, Class, Delete, Error, Expect, Key, NEVER, Namespace, Outcome, Record, Times, Write,
};
use larder_disk::{DiskBackend, DiskConfig, DiskEvent};
pub(crate) use larder_test_support::Folder;
use larder_testkit::block_on;

use crate::child::{pause, tell};
use crate::value;

/// A backend, and the events that it reported.
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

    /// Returns the version of the present value; panics if that value was never written.
    pub(crate) fn get(&self, text: &str) -> Result<Option<u64>, Error> {
        Ok(self.read(text)?.map(|record| value::version(text, &record.payload)))
    }

    /// Waits until the writing thread has done the work that no caller waits for.
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
    /// Reads the files of a folder that no process of ours has open.
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

/// Runs in another process: fills a store and leaves its log as it is until it is killed.
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
