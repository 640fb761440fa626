//! Saves a cache: on demand, at its end, and every so often.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use larder_core::{BoxFuture, Error, ErrorKind, Result, Timestamp};

use crate::key::CacheKey;
use crate::observe::event::{Event, Observer};
use crate::snapshot::block::BlockWriter;
use crate::snapshot::encode::encode;
use crate::snapshot::entry::{Payload, SavedEntry};
use crate::snapshot::failure::{guarded, of_sink};
use crate::snapshot::header::Header;
use crate::snapshot::journal::{Journal, name};
use crate::snapshot::notes::Notes;
use crate::snapshot::restore::{Restored, restore};
use crate::snapshot::{RestoredEntry, SnapshotConfig};
use crate::support::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::support::sync::thread::Thread;
use crate::support::sync::{Arc, Mutex, MutexGuard, lock};
use crate::tier::entry::{Content, Metadata};
use crate::tier::local::LocalTier;
use crate::tier::local::persist::{EntryCopy, Refill};
use crate::tier::message::{ChangeListener, Ending, Message, Text};

/// Saves a cache to its snapshot, and logs its changes.
pub(crate) struct Keeper<K, V> {
    pub(super) local: Arc<LocalTier<K, Content<V>, Metadata>>,
    form: SnapshotConfig<V>,
    notes: Notes,
    observer: Observer,
    /// Locked while a save runs.
    saving: Mutex<()>,
    /// True if the cache is closed. A closed cache has forgotten its entries, and must not be saved
    /// then.
    is_closed: AtomicBool,
    pub(super) every: Option<Duration>,
    /// The time at which the next save is due, in nanoseconds of the cache's clock.
    due: AtomicU64,
    is_wanted: AtomicBool,
    pub(super) thread: Mutex<Option<Thread>>,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Keeper<K, V> {
    /// Restores the snapshot into a tier that `local` makes. A tier is dropped if that fails
    /// half-way, and `local` makes another. A failure is no error; the observer is told.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for a clock that does not know the wall clock's time.
    pub(crate) fn open(
        form: SnapshotConfig<V>,
        every: Option<Duration>,
        observer: Observer,
        local: impl Fn() -> Arc<LocalTier<K, Content<V>, Metadata>>,
        put: impl Fn(&mut Refill<'_, K, Content<V>, Metadata>, RestoredEntry<K, V>),
    ) -> Result<Arc<Self>> {
        let mut tier = local();
        let now = tier.clock().now();
        let wall = tier.clock().wall().ok_or_else(no_wall)?;
        let mut refill = tier.refill();
        let restored = restore(&form, wall, &mut |returned| put(&mut refill, returned));
        if let Err(error) = &restored {
            observer.tell(&Event::SnapshotFailed(error.clone()));
            tier = local();
        }
        if let Ok(Some(Restored { refused: Some(error), .. })) = &restored {
            observer.tell(&Event::Undecodable(error.clone()));
        }
        let sink = Arc::clone(&form.sink);
        let (journal, must_save) = match restored {
            _ if !form.is_alone => (Journal::idle(sink), false),
            Ok(None) => (Journal::idle(sink), false),
            Ok(Some(Restored { changes: Some((log, changes)), must_save, .. })) => {
                (Journal::after(sink, log, &changes), must_save)
            }
            Ok(Some(Restored { must_save, .. })) => (Journal::sealed(sink), must_save),
            Err(_) => (Journal::sealed(sink), false),
        };
        let keeper = Arc::new(Self {
            due: AtomicU64::new(now.after(every.unwrap_or(Duration::MAX)).as_nanos()),
            local: tier,
            form,
            notes: Notes::new(journal),
            observer,
            saving: Mutex::new(()),
            is_closed: AtomicBool::new(false),
            every,
            is_wanted: AtomicBool::new(false),
            thread: Mutex::new(None),
        });
        if must_save {
            // A change cannot be logged beside the restored snapshot. It stays until this save
            // replaces it. If this save fails, the observer has been told, and the first change
            // removes the snapshot.
            let _ = keeper.save();
        }
        keeper.keep_saved();
        Ok(keeper)
    }

    /// Returns the local tier that is saved.
    pub(crate) fn local(&self) -> Arc<LocalTier<K, Content<V>, Metadata>> {
        Arc::clone(&self.local)
    }

    /// Saves the present entries. Returns their number.
    ///
    /// # Errors
    /// An error that keeps the snapshot from being written: the old one stays. With
    /// [`Codec`](ErrorKind::Codec) some entries could not be encoded and were left out; the rest is
    /// saved.
    pub(crate) fn save(&self) -> Result<u64> {
        let saving = lock(&self.saving);
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, "save", "the cache has been closed"));
        }
        let saved = self.save_under(&saving);
        drop(saving);
        self.told(saved)
    }

    /// Saves for the last time before the cache forgets everything.
    pub(crate) fn finish(&self) -> Result<()> {
        let saving = lock(&self.saving);
        if self.is_closed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let saved = self.save_under(&saving);
        self.is_closed.store(true, Ordering::SeqCst);
        drop(saving);
        self.told(saved).map(drop)
    }

    /// Allows saves again, after the cache has been opened again.
    pub(crate) fn resume(&self) {
        self.is_closed.store(false, Ordering::SeqCst);
    }

    /// The grace of an entry that lives without end, once it comes back stale.
    pub(crate) const fn grace(&self) -> Duration {
        self.form.grace
    }

    /// True if changes have to be logged: no other authority knows of them.
    pub(crate) fn notes(&self) -> bool {
        self.form.is_alone
    }

    /// Saves if a save is due.
    pub(super) fn save_if_due(&self) {
        let is_closed = self.is_closed.load(Ordering::SeqCst);
        if self.every.is_some() && !is_closed && self.until_due().is_zero() {
            // The observer has been told of an error.
            let _ = self.save();
        }
    }

    pub(super) fn until_due(&self) -> Duration {
        if self.is_wanted.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        Timestamp::from_nanos(self.due.load(Ordering::Relaxed)).since(self.local.clock().now())
    }

    pub(super) fn tell(&self, event: &Event) {
        self.observer.tell(event);
    }

    fn wake(&self) {
        if let Some(thread) = &*lock(&self.thread) {
            thread.unpark();
        }
    }

    /// Tells the observer of a failure, under no lock: the observer may save, too.
    fn told(&self, saved: Result<u64>) -> Result<u64> {
        saved.inspect_err(|error| self.observer.tell(&Event::SnapshotFailed(error.clone())))
    }

    /// Saves without telling the observer.
    fn save_under(&self, _saving: &MutexGuard<'_, ()>) -> Result<u64> {
        self.is_wanted.store(false, Ordering::Relaxed);
        let due = self.local.clock().now().after(self.every.unwrap_or(Duration::MAX));
        self.due.store(due.as_nanos(), Ordering::Relaxed);
        self.write()
    }

    fn write(&self) -> Result<u64> {
        let failed = |error| of_sink("save", error);
        // In this order: the time between the two lines counts as downtime.
        let saved = self.local.clock().wall().ok_or_else(no_wall)?;
        let began = self.local.clock().now();
        // The save's log begins before the first entry is read.
        let log = if self.form.is_alone { self.notes.turn()? } else { 0 };
        let hashes = self.local.hottest();
        let header = Header {
            codec: self.form.codec.id(),
            schema: self.form.schema,
            saved,
            entries: hashes.len() as u64,
            log,
            namespace: self.form.namespace.clone(),
        };
        let (mut count, mut refused) = (0, None);
        // Hashes of several keys. All their keys are written where the hash is first met.
        let shared = Mutex::new(HashSet::new());
        let keys = |hash| {
            let keys = self.local.keys_by_hash(hash);
            let is_first = keys.len() < 2 || lock(&shared).insert(hash);
            if is_first { keys } else { Vec::new() }
        };
        let mut write = |out: &mut dyn io::Write| {
            let seed = header.write(out)?;
            let mut blocks = BlockWriter::new(out, seed);
            let put = |hash, key: &K, bytes: &mut Vec<u8>| self.put(hash, key, began, bytes);
            refused = encode(&hashes, keys, put, |block| blocks.write(block))?;
            count = blocks.finish()?;
            Ok(())
        };
        let own = self.form.is_alone.then(|| name(log));
        self.form.sink.replace(own.as_deref(), &mut write).map_err(failed)?;
        if self.form.is_alone && !self.notes.settle(log) {
            return Err(Error::new(ErrorKind::Unavailable, "save", LOST));
        }
        refused.map_or(Ok(count), Err)
    }

    /// Appends the entry of this key, if it is still there.
    ///
    /// # Errors
    /// The error of the codec or of the key.
    fn put(&self, hash: u64, key: &K, began: Timestamp, bytes: &mut Vec<u8>) -> Result<bool> {
        let copied = self.local.copy_since(hash, key, began);
        let Some(EntryCopy { candidate, idle }) = copied else { return Ok(false) };
        let form = &self.form;
        let text = guarded("save", || Ok(key.to_text()))?;
        let encoded = match &candidate.value {
            Content::Value(value) => {
                guarded("save", || form.codec.encode_at(value, &form.place(&text)))?
            }
            Content::Absent | Content::Counter(_) => Bytes::new(),
        };
        if encoded.len() + text.len() > LARGEST {
            return Err(Error::new(ErrorKind::NoSpace, "save", "an entry is larger than 1 GiB"));
        }
        let metadata = candidate.metadata.as_ref();
        // An entry that was written after the save began has no longer life than it began with.
        let from = metadata.map_or(began, |metadata| metadata.written_at.max(began));
        let tags = candidate.generation.names();
        let entry = SavedEntry {
            key: &text,
            payload: match &candidate.value {
                Content::Value(_) => Payload::Value(&encoded),
                Content::Absent => Payload::Absent,
                Content::Counter(number) => Payload::Counter(*number),
            },
            fresh_left: candidate.fresh_until.since(from),
            kept_left: candidate.kept_until.since(from),
            age: metadata.map_or(Duration::ZERO, |metadata| began.since(metadata.written_at)),
            idle,
            version: metadata.map_or(larder_core::Version::NONE, |metadata| metadata.version),
            tags: tags.iter().map(|tag| &**tag).collect(),
            cost: metadata.map_or(Duration::ZERO, |metadata| metadata.cost),
        };
        entry.put(bytes);
        Ok(true)
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> ChangeListener for Keeper<K, V> {
    /// Logs the change, which has been made here, so that no snapshot brings back what it removed.
    fn ended(&self, change: Text<'_>, ending: Ending) -> Option<BoxFuture<'_, bool>> {
        let change = match (ending, change) {
            (Ending::Unchanged, _) => return None,
            (Ending::Gone, Message::StaleKey(key)) => Message::Key(key),
            (Ending::Gone | Ending::Confirmed | Ending::Unconfirmed, change) => change,
        };
        let ticket = self.notes.note(change);
        Some(Box::pin(async move {
            let noted = self.notes.noted(ticket).await;
            if let Some(error) = noted.failure {
                self.observer.tell(&Event::SnapshotFailed(error));
            }
            if noted.is_long && !self.is_wanted.swap(true, Ordering::Relaxed) {
                self.wake();
            }
            !noted.is_lost
        }))
    }
}

fn no_wall() -> Error {
    let message = "a snapshot takes a clock that knows the wall clock's time";
    Error::new(ErrorKind::Unsupported, "snapshot", message)
}

const LOST: &str = "a change during the save could not be noted";

/// The largest key and payload of an entry, in bytes.
const LARGEST: usize = 1 << 30;
