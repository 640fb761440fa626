//! The threads of a store: started when they are first needed, ended with the last clone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use larder_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::error::closed;
use crate::read::pace::Length;
use crate::shared::Shared;
use crate::shared::job::Job;
use crate::shared::queue::Taken;
use crate::store::Store;
use crate::write::writer::Writer;

/// The owner of the threads, which end with the last clone.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    threads: Mutex<Threads>,
    /// Locked while a caller waits for the threads. The threads never take the lock.
    closing: Mutex<()>,
}

#[derive(Default)]
struct Threads {
    writer: Option<JoinHandle<()>>,
    /// Makes long reads, so that short reads need not wait for them.
    reader: Option<JoinHandle<()>>,
    short_reader: Option<JoinHandle<()>>,
    is_closed: bool,
}

impl Handle {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), threads: Mutex::default(), closing: Mutex::default() }
    }

    /// Has a store replaced that is not the one in the folder, or is damaged.
    pub(crate) async fn check(
        &self,
        operation: &'static str,
        store: Arc<Store>,
        error: Option<rusqlite::Error>,
    ) -> Result<()> {
        self.start_writer(operation)?;
        let (answer, answered) = oneshot::channel();
        // The job takes no room, so it never waits for changes that wait for it.
        if !self.shared.writes.push_now(Job::Check(store, error, answer)) {
            return Err(closed(operation));
        }
        answered.await.map_err(|_| thread_ended(operation))?
    }

    pub(crate) fn start_writer(&self, operation: &'static str) -> Result<()> {
        let mut threads = self.lock_threads();
        if threads.is_closed {
            return Err(closed(operation));
        }
        if threads.writer.is_none() {
            let writer = Writer::new(Arc::clone(&self.shared));
            threads.writer = Some(spawn("larder-disk-write", operation, || writer.run())?);
        }
        Ok(())
    }

    pub(crate) fn start_reader(&self, operation: &'static str, length: Length) -> Result<()> {
        let mut threads = self.lock_threads();
        if threads.is_closed {
            return Err(closed(operation));
        }
        let (name, thread) = match length {
            Length::Short => ("larder-disk-read", &mut threads.short_reader),
            Length::Any => ("larder-disk-scan", &mut threads.reader),
        };
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let run = move || {
                let reads = shared.reads(length);
                while let Taken::Jobs(errands, weight) = reads.take(None) {
                    for errand in errands {
                        // If the read panics, its caller finds that the answer will not come.
                        let _ = catch_unwind(AssertUnwindSafe(errand));
                    }
                    reads.done(weight);
                }
            };
            *thread = Some(spawn(name, operation, run)?);
        }
        Ok(())
    }

    /// Does the work that was asked for, and the writing thread's share of upkeep. Waits for the
    /// threads.
    pub(crate) fn close(&self) {
        // A second caller of `close` waits for the first.
        let _one = lock(&self.closing);
        if !self.shared.marks.is_empty() {
            // Noting the uses is worth a moment. Without a thread they are lost, which does no
            // harm.
            let _ = self.start_writer("close");
        }
        let threads = {
            let mut threads = self.lock_threads();
            threads.is_closed = true;
            [threads.short_reader.take(), threads.reader.take(), threads.writer.take()]
        };
        self.shared.writes.close();
        self.shared.reads(Length::Short).close();
        self.shared.reads(Length::Any).close();
        for thread in threads.into_iter().flatten() {
            if thread.thread().id() != thread::current().id() {
                // A thread that panicked has reported that itself.
                let _ = thread.join();
            }
        }
        self.shared.close();
    }

    fn lock_threads(&self) -> MutexGuard<'_, Threads> {
        lock(&self.threads)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// Returns the error for a caller whose answer will not come.
pub(crate) fn thread_ended(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "the thread that was to do it has ended")
}

/// Starts a thread.
pub(crate) fn spawn(
    name: &str,
    operation: &'static str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>> {
    let spawned = thread::Builder::new().name(name.into()).spawn(run);
    spawned.map_err(|error| Error::with_source(ErrorKind::Unavailable, operation, error))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
