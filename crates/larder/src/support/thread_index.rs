//! Seats: small numbers that threads have to themselves, to find what only they write.
//!
//! Invariant: no two threads have one seat at the same time. A thread gives its seat back when it
//! ends, under the lock under which the next one takes it, so that one sees all this one wrote.

use std::cell::Cell;
use std::sync::Mutex;

use crate::support::sync::lock;

/// How many threads have a seat at once.
pub(crate) const SEATS: usize = 128;

/// This thread's seat; [`SEATS`] or above if all are taken, or the thread is ending.
#[inline]
pub(crate) fn of_this_thread() -> usize {
    match SEAT.get() {
        UNKNOWN => take(),
        seat => seat,
    }
}

#[cold]
fn take() -> usize {
    let seat = LEAVING.try_with(|_| {
        let mut taken = lock(&TAKEN);
        let (seat, taken) = taken.iter_mut().enumerate().find(|(_, taken)| !**taken)?;
        *taken = true;
        Some(seat)
    });
    let seat = seat.ok().flatten().unwrap_or(SEATS);
    SEAT.set(seat);
    seat
}

thread_local! {
    // Without a destructor, so that finding it is one load.
    static SEAT: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LEAVING: Leaving = const { Leaving };
}

static TAKEN: Mutex<[bool; SEATS]> = Mutex::new([false; SEATS]);

const UNKNOWN: usize = usize::MAX;

/// Gives the seat back when its thread ends.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        let seat = SEAT.replace(SEATS);
        if let Some(taken) = lock(&TAKEN).get_mut(seat) {
            *taken = false;
        }
    }
}

/// For tests that take all seats, or need some.
#[cfg(test)]
pub(crate) static ALONE: Mutex<()> = Mutex::new(());

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;

    use super::{ALONE, SEATS, of_this_thread};
    use crate::support::sync::lock;

    /// The seats of so many threads at once.
    fn seats(threads: usize) -> Vec<usize> {
        let all_there = Barrier::new(threads);
        std::thread::scope(|scope| {
            let sit = || {
                let seat = of_this_thread();
                assert_eq!(of_this_thread(), seat);
                all_there.wait();
                seat
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(sit)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn no_two_threads_have_one_seat_and_those_that_end_give_theirs_back() {
        let _alone = lock(&ALONE);
        for _ in 0..50 {
            let seats = seats(10);
            assert!(seats.iter().all(|seat| *seat < SEATS));
            assert_eq!(seats.iter().collect::<HashSet<_>>().len(), 10);
        }
        let all = seats(SEATS + 10);
        let own: Vec<_> = all.iter().filter(|seat| **seat < SEATS).collect();
        assert!(own.len() < SEATS + 10);
        assert_eq!(own.iter().collect::<HashSet<_>>().len(), own.len());
    }
}
