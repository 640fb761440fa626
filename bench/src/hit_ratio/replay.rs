//! The replay of every trace through every contestant at every size.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder_trace::optima;

use super::contestant::{CONTESTANTS, Contestant};
use super::subject::Subject;

/// One trace at one size.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The trace.
    pub trace: String,
    /// True if the trace was recorded.
    pub is_recorded: bool,
    /// The capacity as a share of the distinct keys.
    pub share: f64,
    /// The capacity.
    pub capacity: usize,
    /// The most that the hit ratio of any cache can be.
    pub optimum: f64,
    /// The outcomes of the contestants, in their order.
    pub outcomes: Vec<Outcome>,
}

/// The outcome of a contestant.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The contestant.
    pub contestant: Contestant,
    /// Hits in all accesses.
    pub hit_ratio: f64,
    /// The most entries that the cache was found to hold.
    pub most_held: usize,
}

/// Replays all traces, with as many jobs at a time as there are processors.
///
/// `progress` is called with the number of accesses done since its last call, [`work`] in all.
pub fn replay(subjects: &[Subject], progress: &(dyn Fn(usize) + Sync)) -> Vec<Cell> {
    let cells = subjects.iter().flat_map(|subject| SHARES.map(|share| (subject, share)));
    let cells: Vec<_> = cells.collect();
    let outcomes = in_parallel(cells.len() * CONTESTANTS.len(), |job| {
        let (subject, share) = cells[job / CONTESTANTS.len()];
        let capacity = capacity(subject, share);
        play(subject, capacity, CONTESTANTS[job % CONTESTANTS.len()], progress)
    });
    let best = in_parallel(subjects.len(), |number| {
        let subject = &subjects[number];
        optima(&subject.trace, &SHARES.map(|share| capacity(subject, share)), &mut |_| ())
    });
    let cells = cells.into_iter().zip(best.into_iter().flatten());
    let outcomes = outcomes.chunks(CONTESTANTS.len());
    let cell = |(((subject, share), hits), outcomes): ((_, u64), &[Outcome])| {
        let (subject, share): (&Subject, f64) = (subject, share);
        let accesses = subject.trace.ids().len();
        Cell {
            trace: subject.name.clone(),
            is_recorded: subject.is_recorded,
            share,
            capacity: capacity(subject, share),
            optimum: hits as f64 / accesses as f64,
            outcomes: outcomes.to_vec(),
        }
    };
    cells.zip(outcomes).map(cell).collect()
}

/// Returns the number of accesses that [`replay`] makes of these traces.
pub fn work(subjects: &[Subject]) -> u64 {
    let accesses: usize = subjects.iter().map(|subject| subject.trace.ids().len()).sum();
    (accesses * SHARES.len() * CONTESTANTS.len()) as u64
}

fn capacity(subject: &Subject, share: f64) -> usize {
    ((f64::from(subject.trace.distinct()) * share) as usize).max(1)
}

fn play(
    subject: &Subject,
    capacity: usize,
    contestant: Contestant,
    progress: &(dyn Fn(usize) + Sync),
) -> Outcome {
    let mut cache = (contestant.new)(capacity);
    let ids = subject.trace.ids();
    let (mut hits, mut most_held) = (0_u64, 0);
    // Between two of these pieces the cache is at rest, and is asked how much it holds.
    for ids in ids.chunks(ids.len().div_ceil(LOOKS).max(1)) {
        hits += ids.iter().map(|id| u64::from(cache.access(*id))).sum::<u64>();
        most_held = most_held.max(cache.len());
        progress(ids.len());
    }
    Outcome { contestant, hit_ratio: hits as f64 / ids.len() as f64, most_held }
}

/// Returns the results of these jobs, in order.
fn in_parallel<R: Send>(jobs: usize, run: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(jobs)));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    if job >= jobs {
                        return;
                    }
                    let result = run(job);
                    done.lock().expect("no job panics with the lock").push((job, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no job panics with the lock");
    done.sort_by_key(|(job, _)| *job);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The sizes, as shares of the distinct keys.
const SHARES: [f64; 5] = [0.01, 0.05, 0.1, 0.2, 0.4];
/// The number of times in a replay that a cache is asked how much it holds.
const LOOKS: usize = 100;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use larder_trace::synthetic::zipf;

    use super::{Subject, replay, work};

    #[test]
    fn nobody_beats_the_optimum_and_the_local_tier_keeps_to_its_capacity() {
        let trace = zipf(0.9, 2_000, 20_000, 1);
        let subjects = [Subject { name: "zipf".into(), is_recorded: false, trace }];
        let done = AtomicU64::new(0);
        let count = |accesses| _ = done.fetch_add(accesses as u64, Ordering::Relaxed);
        let cells = replay(&subjects, &count);
        assert_eq!((cells.len(), done.into_inner()), (5, work(&subjects)));
        for (cell, outcome) in
            cells.iter().flat_map(|cell| cell.outcomes.iter().map(move |one| (cell, one)))
        {
            let name = outcome.contestant.name;
            let held = outcome.most_held <= cell.capacity;
            assert!(!held || outcome.hit_ratio <= cell.optimum, "{name}");
            assert!(held || name != "larder-local", "{name}");
            assert!(outcome.hit_ratio > 0.1, "{name}: {}", outcome.hit_ratio);
        }
    }
}
