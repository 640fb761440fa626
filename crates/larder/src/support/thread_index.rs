//! Indexes of threads: small numbers, each for one thread alone, to find data that only it writes.
//!
//! Invariant: no two threads have one index at the same time. A thread gives its index back when it
//! ends, under the lock under which the next thread takes it, so the next one sees all its writes.

use std::cell::Cell;
use std::sync::Mutex;

use crate::support::sync::lock;

/// The number of threads that have an index at once.
pub(crate) const MOST: usize = 128;

/// Returns this thread's index; [`MOST`] or above if all are taken, or the thread is ending.
#[inline]
pub(crate) fn of_this_thread() -> usize {
    match INDEX.get() {
        UNKNOWN => take(),
        index => index,
    }
}

#[cold]
fn take() -> usize {
    let index = LEAVING.try_with(|_| {
        let mut taken = lock(&TAKEN);
        let (index, taken) = taken.iter_mut().enumerate().find(|(_, taken)| !**taken)?;
        *taken = true;
        Some(index)
    });
    let index = index.ok().flatten().unwrap_or(MOST);
    INDEX.set(index);
    index
}

thread_local! {
    // Without a destructor, so that reading it is one load.
    static INDEX: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LEAVING: Leaving = const { Leaving };
}

static TAKEN: Mutex<[bool; MOST]> = Mutex::new([false; MOST]);

const UNKNOWN: usize = usize::MAX;

/// Gives the index back when its thread ends.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        let index = INDEX.replace(MOST);
        if let Some(taken) = lock(&TAKEN).get_mut(index) {
            *taken = false;
        }
    }
}

/// A lock for tests that take all indexes, or need some.
#[cfg(test)]
pub(crate) static ALONE: Mutex<()> = Mutex::new(());

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;

    use super::{ALONE, MOST, of_this_thread};
    use crate::support::sync::lock;

    /// Returns the indexes of so many threads at once.
    fn indexes(threads: usize) -> Vec<usize> {
        let all_there = Barrier::new(threads);
        std::thread::scope(|scope| {
            let sit = || {
                let index = of_this_thread();
                assert_eq!(of_this_thread(), index);
                all_there.wait();
                index
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(sit)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn no_two_threads_have_one_index_and_ended_ones_give_theirs_back() {
        let _alone = lock(&ALONE);
        for _ in 0..50 {
            let indexes = indexes(10);
            assert!(indexes.iter().all(|index| *index < MOST));
            assert_eq!(indexes.iter().collect::<HashSet<_>>().len(), 10);
        }
        let all = indexes(MOST + 10);
        let own: Vec<_> = all.iter().filter(|index| **index < MOST).collect();
        assert!(own.len() < MOST + 10);
        assert_eq!(own.iter().collect::<HashSet<_>>().len(), own.len());
    }
}
