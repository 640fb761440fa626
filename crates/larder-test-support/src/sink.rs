//! A sink in memory, as a user would write one. It can be made to fail.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex};

use larder::Sink;

/// A sink whose clones share their content.
#[derive(Clone, Debug, Default)]
pub struct MemorySink(Arc<Mutex<Kept>>);

/// The content of a [`MemorySink`], and the faults that it has.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The bytes of the last snapshot.
    pub snapshot: Option<Vec<u8>>,
    /// The bytes of each log by its name.
    pub logs: BTreeMap<String, Vec<u8>>,
    /// The number of snapshots that were saved.
    pub saves: usize,
    /// The most bytes that a snapshot may have.
    pub room: Option<usize>,
    /// True if appending and removing fail.
    pub is_stuck: bool,
}

impl MemorySink {
    /// Returns a sink with a copy of the content, as a killed process leaves it.
    #[must_use]
    pub fn left(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }

    /// Reads or changes the content.
    pub fn change<R>(&self, change: impl FnOnce(&mut Kept) -> R) -> R {
        change(&mut self.0.lock().unwrap())
    }

    /// Returns the bytes of the last snapshot; panics if there is none.
    pub fn bytes(&self) -> Vec<u8> {
        self.change(|kept| kept.snapshot.clone()).unwrap()
    }

    /// Returns a sink with these bytes and no log.
    pub fn with(bytes: &[u8]) -> Self {
        let sink = Self::default();
        sink.change(|kept| kept.snapshot = Some(bytes.to_vec()));
        sink
    }
}

impl Sink for MemorySink {
    fn read(&self) -> io::Result<Option<Box<dyn Read + Send>>> {
        Ok(self.change(|kept| kept.snapshot.clone()).map(boxed))
    }

    fn replace(
        &self,
        log: Option<&str>,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        self.change(|kept| {
            if kept.room.is_some_and(|room| room < bytes.len()) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            kept.snapshot = Some(bytes);
            kept.saves += 1;
            kept.logs.retain(|name, _| Some(name.as_str()) == log);
            Ok(())
        })
    }

    fn read_log(&self, log: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        Ok(self.change(|kept| kept.logs.get(log).cloned()).map(boxed))
    }

    fn begin(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
        self.change(|kept| {
            if kept.is_stuck {
                return Err(io::ErrorKind::StorageFull.into());
            }
            kept.logs.insert(log.to_owned(), bytes.to_vec());
            Ok(())
        })
    }

    fn append(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
        self.change(|kept| {
            if kept.is_stuck {
                return Err(io::ErrorKind::StorageFull.into());
            }
            kept.logs.get_mut(log).ok_or(io::ErrorKind::NotFound)?.extend_from_slice(bytes);
            Ok(())
        })
    }

    fn clear(&self) -> io::Result<()> {
        self.change(|kept| {
            if kept.is_stuck {
                return Err(io::ErrorKind::ReadOnlyFilesystem.into());
            }
            kept.snapshot = None;
            kept.logs.clear();
            Ok(())
        })
    }
}

fn boxed(bytes: Vec<u8>) -> Box<dyn Read + Send> {
    Box::new(Cursor::new(bytes))
}
