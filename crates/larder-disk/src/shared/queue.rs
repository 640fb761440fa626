//! Work for a thread, from callers that wait without blocking.
//!
//! Invariant: the weights of the jobs that wait and of those that run never exceed [`ROOM`], except
//! for one job that is heavier alone.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

/// A bounded queue into one thread.
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    ready: Condvar,
    room: Semaphore,
}

struct State<J> {
    waiting: Vec<(J, u32)>,
    is_closed: bool,
}

/// The result of taking jobs from the queue.
pub(crate) enum Taken<J> {
    /// All waiting jobs, in order, and their weight.
    Jobs(Vec<J>, u32),
    /// No job came in time.
    Idle,
    /// No job will come any more.
    Closed,
}

impl<J> Queue<J> {
    pub(crate) fn new() -> Self {
        let state = State { waiting: Vec::new(), is_closed: false };
        let room = Semaphore::new(ROOM as usize);
        Self { state: Mutex::new(state), ready: Condvar::new(), room }
    }

    /// Puts a job in when there is room for this many bytes. True if the job will be done.
    ///
    /// # Cancel safety
    /// A call that is dropped before it has put the job in leaves nothing behind.
    pub(crate) async fn push(&self, job: J, bytes: usize) -> bool {
        let weight = u32::try_from(bytes / BYTES_PER_WEIGHT + 1).unwrap_or(ROOM).min(ROOM);
        let Ok(permit) = self.room.acquire_many(weight).await else { return false };
        permit.forget();
        self.put(job, weight)
    }

    /// Puts a job in that takes no room. True if the job will be done.
    pub(crate) fn push_now(&self, job: J) -> bool {
        self.put(job, 0)
    }

    fn put(&self, job: J, weight: u32) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            return false;
        }
        state.waiting.push((job, weight));
        drop(state);
        self.ready.notify_one();
        true
    }

    /// Takes all waiting jobs. Blocks this thread until there is a job, at most for this time.
    pub(crate) fn take(&self, timeout: Option<Duration>) -> Taken<J> {
        let is_empty = |state: &mut State<J>| state.waiting.is_empty() && !state.is_closed;
        let state = self.lock();
        let mut state = match timeout {
            Some(timeout) => {
                self.ready
                    .wait_timeout_while(state, timeout, is_empty)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => self.ready.wait_while(state, is_empty).unwrap_or_else(PoisonError::into_inner),
        };
        let jobs = std::mem::take(&mut state.waiting);
        match (jobs.is_empty(), state.is_closed) {
            (true, true) => Taken::Closed,
            (true, false) => Taken::Idle,
            (false, _) => {
                let weight = jobs.iter().map(|(_, weight)| weight).sum();
                Taken::Jobs(jobs.into_iter().map(|(job, _)| job).collect(), weight)
            }
        }
    }

    /// Gives back the room of jobs that were taken and are done.
    pub(crate) fn done(&self, weight: u32) {
        self.room.add_permits(weight as usize);
    }

    /// Takes no more jobs. Waiting jobs are still done.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.room.close();
        self.ready.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const ROOM: u32 = 2_048;
const BYTES_PER_WEIGHT: usize = 1 << 16;
