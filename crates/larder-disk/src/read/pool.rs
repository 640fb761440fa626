//! The pool of connections that read, one at a time each, and mostly the same one for a thread.
//!
//! A thread uses its own slot each time, so that threads neither wait for each other nor share the
//! pages that a connection remembers. A slot in use is skipped.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::store::Store;

/// The connections that read, at most [`SLOTS`].
#[derive(Default)]
pub(crate) struct Readers {
    slots: [Mutex<Option<Slot>>; SLOTS],
}

struct Slot {
    /// The generation of the store. A connection to another generation is of no use.
    generation: u64,
    store: Arc<Store>,
    connection: Connection,
}

impl Readers {
    /// Reads through a connection to the store of this generation, which `present` returns.
    ///
    /// The inner error is the database's, the outer one that of `present`.
    pub(crate) fn read<T, E>(
        &self,
        generation: u64,
        present: impl FnOnce() -> Result<Arc<Store>, E>,
        run: impl FnOnce(&Store, &Connection) -> rusqlite::Result<T>,
    ) -> Result<rusqlite::Result<T>, E> {
        let mut place = self.own_or_free();
        let slot = match place.take() {
            Some(slot) if slot.generation == generation => slot,
            _ => {
                let store = present()?;
                match store.reader() {
                    Ok(connection) => Slot { generation, store, connection },
                    Err(error) => return Ok(Err(error)),
                }
            }
        };
        let slot = place.insert(slot);
        let read = run(&slot.store, &slot.connection);
        if read.is_err() {
            // The error may be the connection's fault.
            *place = None;
        }
        Ok(read)
    }

    /// Closes all connections, each after its read has ended.
    pub(crate) fn close(&self) {
        for slot in &self.slots {
            *lock(slot) = None;
        }
    }

    /// Locks the thread's own slot, else one that is not in use, else its own after a wait.
    fn own_or_free(&self) -> MutexGuard<'_, Option<Slot>> {
        let own = OWN.with(|own| *own);
        let (before, after) = self.slots.split_at(own);
        let free = after.iter().chain(before).find_map(|slot| slot.try_lock().ok());
        free.unwrap_or_else(|| lock(after.first().unwrap_or(&self.slots[0])))
    }
}

fn lock(slot: &Mutex<Option<Slot>>) -> MutexGuard<'_, Option<Slot>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static OWN: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS
    };
}

const SLOTS: usize = 16;
