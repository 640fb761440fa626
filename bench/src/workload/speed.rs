//! The time of an operation.
//!
//! Threads wait at a barrier and do as many operations each. The time from the first start to the
//! last end, divided by the operations of one thread, is the average wait of a caller.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::contestant::RUNTIME;

/// The numbers of threads, one after the other.
pub const THREADS: [u64; 3] = [1, 2, 4];

/// The work of one thread at a time.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The thread's number, from zero.
    pub thread: u64,
    /// The number of operations that it has done before.
    pub first: u64,
    /// The number of operations that it does now.
    pub count: u64,
}

impl Span {
    /// Returns the places of a ring that the thread visits. Each thread begins in another quarter.
    pub fn ring(self, length: usize) -> impl Iterator<Item = usize> {
        let start = self.thread * length as u64 / 4 + self.first;
        let start = (start % length as u64) as usize;
        (0..self.count).scan(start, move |place, _| {
            let here = *place;
            *place = if here + 1 == length { 0 } else { here + 1 };
            Some(here)
        })
    }
}

/// Returns nanoseconds per operation, for each number of threads.
pub fn by_threads(is_quick: bool, run: impl Fn(Span) + Sync) -> Vec<f64> {
    let mut done = 0;
    THREADS.map(|threads| measure(threads, sample(is_quick), &mut done, &run)).to_vec()
}

/// Returns nanoseconds per operation of one thread.
pub fn alone(is_quick: bool, run: impl Fn(Span) + Sync) -> f64 {
    measure(1, sample(is_quick), &mut 0, &run)
}

fn sample(is_quick: bool) -> Duration {
    Duration::from_millis(if is_quick { 25 } else { 150 })
}

/// Warms up until the number of operations that fill a sample is known, then does that many.
fn measure(threads: u64, sample: Duration, done: &mut u64, run: &(impl Fn(Span) + Sync)) -> f64 {
    let mut count = 256;
    loop {
        let time = together(threads, *done, count, run);
        *done += count;
        if time >= sample / 4 {
            count = (count as f64 * sample.as_secs_f64() / time.as_secs_f64()) as u64;
            break;
        }
        count *= 2;
    }
    let count = count.max(1);
    let time = together(threads, *done, count, run);
    *done += count;
    time.as_nanos() as f64 / count as f64
}

/// Returns the time from the first start to the last end.
fn together(threads: u64, first: u64, count: u64, run: &(impl Fn(Span) + Sync)) -> Duration {
    let start = Barrier::new(threads as usize);
    let one = |thread| {
        let _entered = RUNTIME.enter();
        start.wait();
        let begun = Instant::now();
        run(Span { thread, first, count });
        (begun, Instant::now())
    };
    let times: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no operation panics")).collect()
    });
    let begun = times.iter().map(|(begun, _)| *begun).min();
    let ended = times.iter().map(|(_, ended)| *ended).max();
    begun.zip(ended).map_or(Duration::ZERO, |(begun, ended)| ended - begun)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Span, THREADS, by_threads, together};

    #[test]
    fn a_ring_goes_on_where_it_was() {
        let span = |thread, first| Span { thread, first, count: 3 };
        assert_eq!(span(0, 0).ring(8).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(span(0, 3).ring(8).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(span(3, 1).ring(8).collect::<Vec<_>>(), [7, 0, 1]);
    }

    #[test]
    fn every_thread_does_as_much() {
        let done = AtomicU64::new(0);
        together(3, 10, 5, &|span: Span| {
            assert_eq!(span.first, 10);
            done.fetch_add(span.count, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 15);
    }

    #[test]
    fn there_is_a_figure_for_each_number_of_threads() {
        let figures = by_threads(true, |span| {
            std::hint::black_box(span.ring(16).map(std::hint::black_box).sum::<usize>());
        });
        assert_eq!(figures.len(), THREADS.len());
        assert!(figures.iter().all(|figure| *figure > 0.0), "{figures:?}");
    }
}
