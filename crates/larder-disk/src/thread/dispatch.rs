//! The dispatch of a read: to the caller's thread while reads are quick, else to a reading thread.

use std::sync::Arc;

use larder_core::{Result, StoreTime};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::{closed, damage, is_busy, is_damage, of_sqlite};
use crate::read::pace::Length;
use crate::shared::Shared;
use crate::store::Store;
use crate::thread::handle::{Handle, thread_ended};
use crate::time::clock::exact;

/// The result of a read on a reading thread.
enum Came<T> {
    Answer(rusqlite::Result<T>),
    /// The store is not the one in the folder, or is damaged: it has to be replaced first.
    Suspect(Arc<Store>, Option<rusqlite::Error>),
}

impl Handle {
    /// Makes a short read, on this thread if the last ones were quick.
    pub(crate) async fn read_short<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: impl Fn(&Connection, StoreTime) -> rusqlite::Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let began = exact();
        if self.shared.pace.is_quick(began) && self.shared.is_present_current(operation)? {
            let read = self.shared.read(operation, &run)?;
            self.shared.pace.note(began, exact());
            if let Ok(answer) = read {
                return Ok(answer);
            }
        }
        self.read_apart(operation, Length::Short, run).await
    }

    /// Reads on a reading thread. If the store has been replaced or is damaged, reads again in the
    /// store that takes its place, three times at most.
    pub(crate) async fn read_apart<T: Send + 'static>(
        &self,
        operation: &'static str,
        length: Length,
        run: impl Fn(&Connection, StoreTime) -> rusqlite::Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let run = Arc::new(run);
        for _ in 0..TRIES {
            match self.hand_over(operation, length, Arc::clone(&run)).await? {
                Came::Answer(read) => return read.map_err(|error| of_sqlite(operation, error)),
                // All reads wait for the replacement: none is made in a database that others have
                // given up.
                Came::Suspect(store, error) => self.check(operation, store, error).await?,
            }
        }
        Err(of_sqlite(operation, damage()))
    }

    async fn hand_over<T: Send + 'static>(
        &self,
        operation: &'static str,
        length: Length,
        run: Arc<impl Fn(&Connection, StoreTime) -> rusqlite::Result<T> + Send + Sync + 'static>,
    ) -> Result<Came<T>> {
        self.start_reader(operation, length)?;
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let errand = Box::new(move || {
            let is_waiting = || !answer.is_closed();
            if is_waiting() {
                let came = shared.read_patiently(operation, length, &*run, is_waiting);
                // The caller may have gone meanwhile.
                let _ = answer.send(came);
            }
        });
        if !self.shared.reads(length).push(errand, 0).await {
            return Err(closed(operation));
        }
        answered.await.map_err(|_| thread_ended(operation))?
    }
}

impl Shared {
    /// Reads on this thread. Tries again where others were in the way, while the caller waits.
    fn read_patiently<T>(
        &self,
        operation: &'static str,
        length: Length,
        run: impl Fn(&Connection, StoreTime) -> rusqlite::Result<T>,
        is_waiting: impl Fn() -> bool,
    ) -> Result<Came<T>> {
        for tries_left in (0..BUSY_TRIES).rev() {
            let began = exact();
            let store = self.present(operation)?;
            if !self.is_current(&store) {
                return Ok(Came::Suspect(store, None));
            }
            match self.read(operation, &run)? {
                Err(error) if is_damage(&error) => return Ok(Came::Suspect(store, Some(error))),
                Err(error) if is_busy(&error) && tries_left > 0 && is_waiting() => {}
                read => {
                    if length == Length::Short {
                        self.pace.note(began, exact());
                    }
                    return Ok(Came::Answer(read));
                }
            }
        }
        Err(thread_ended(operation))
    }
}

const TRIES: usize = 3;
/// Each try waits for a moment.
const BUSY_TRIES: usize = 100;
