//! Threads against each other: of those that expect the same, one is done.

use std::sync::Barrier;
use std::thread;

use larder_core::{Expect, Outcome, Record, Times};

use super::Trial;
use super::check::{HOUR, done, refused, value, value_for, version};

/// Of eight writers that expect `Absent`, one is done and the others are refused by it.
pub fn one_of_eight_first_writes_wins(trial: &Trial) {
    for round in 0..ROUNDS {
        let key = trial.key(round.to_string());
        one_wins(|_| {
            let record = value("soup");
            let outcome = trial.wait(trial.write(&key, &record, Expect::Absent));
            (record, outcome)
        });
    }
}

/// Of eight writers that expect one version, one is done and the others are refused by it.
pub fn one_of_eight_replacements_wins(trial: &Trial) {
    for round in 0..ROUNDS {
        let (key, old) = (trial.key(round.to_string()), value("old"));
        trial.wait(trial.put(&key, &old));
        one_wins(|_| {
            let record = value("new");
            let outcome = trial.wait(trial.write(&key, &record, version(&old)));
            (record, outcome)
        });
    }
}

/// Of eight writers that take over a dead lease, one gets it.
pub fn one_of_eight_takes_a_dead_lease(trial: &Trial) {
    let keys = trial.keys(ROUNDS);
    for key in &keys {
        trial.wait(trial.put(key, &Record::lease(trial.moment())));
    }
    trial.wait(trial.outlive(trial.moment()));
    for key in &keys {
        one_wins(|_| {
            let lease = Record::lease(HOUR);
            let outcome = trial.wait(trial.write(key, &lease, Expect::Absent));
            (lease, outcome)
        });
    }
}

/// Of eight deletes of one version, one is done and the others find nothing.
pub fn one_of_eight_deletes_wins(trial: &Trial) {
    for round in 0..ROUNDS {
        let (key, record) = (trial.key(round.to_string()), value("soup"));
        trial.wait(trial.put(&key, &record));
        let outcomes = race(|_| trial.wait(trial.delete(&key, version(&record))));
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_done()).count(), 1);
        for outcome in outcomes.into_iter().filter(|outcome| !outcome.is_done()) {
            assert!(refused(outcome).is_none());
        }
    }
}

/// Whichever comes first, a delete and a result over a lease leave nothing.
pub fn a_delete_always_beats_the_result(trial: &Trial) {
    for round in 0..ROUNDS {
        let (key, lease) = (trial.key(round.to_string()), Record::lease(HOUR));
        trial.wait(trial.put(&key, &lease));
        race(|index| {
            if index == 0 {
                done(&trial.wait(trial.delete(&key, Expect::Any)));
            } else {
                let outcome = trial.wait(trial.write(&key, &value("old"), version(&lease)));
                assert!(matches!(outcome, Outcome::Done | Outcome::Refused(_)), "{outcome:?}");
            }
        });
        assert!(trial.wait(trial.read(&key)).is_none(), "an invalidated value came back");
    }
}

/// Whichever comes first, a delete and a retime leave nothing.
pub fn a_delete_always_beats_a_retime(trial: &Trial) {
    for round in 0..ROUNDS {
        let (key, record) = (trial.key(round.to_string()), value("soup"));
        trial.wait(trial.put(&key, &record));
        race(|index| {
            if index == 0 {
                done(&trial.wait(trial.delete(&key, Expect::Any)));
            } else {
                let times = Times::new(HOUR, 2 * HOUR);
                let _ = trial.wait(trial.retime(&key, record.header.version, times));
            }
        });
        assert!(trial.wait(trial.read(&key)).is_none(), "a deleted record came back");
    }
}

/// A reader never meets half of a record: payload and header are of one write.
pub fn a_reader_never_meets_half_a_record(trial: &Trial) {
    let key = trial.key("dish");
    let largest =
        trial.capabilities().max_value_bytes.map_or(5_000, |bytes| (bytes / 16).clamp(1, 5_000));
    race(|index| {
        for round in 0..ROUNDS {
            if index % 2 == 0 {
                let length = 1 + (index + round * 97) % largest;
                let mut record = value_for("", HOUR);
                record.payload = record.header.version.to_bytes().repeat(length).into();
                trial.wait(trial.put(&key, &record));
            } else if let Some(read) = trial.wait(trial.read(&key)) {
                let version = read.header.version.to_bytes();
                assert!(!read.payload.is_empty());
                assert!(read.payload.chunks(16).all(|chunk| chunk == version), "a torn record");
            }
        }
    });
}

/// Checks that one attempt is done, and that each of the others is refused by that one.
fn one_wins(attempt: impl Fn(usize) -> (Record, Outcome) + Sync) {
    let attempts = race(attempt);
    let mut winners = attempts.iter().filter(|(_, outcome)| outcome.is_done());
    let (winner, _) = winners.next().expect("one is done");
    assert!(winners.next().is_none(), "two are done");
    let version = winner.header.version;
    for (_, outcome) in attempts.into_iter().filter(|(_, outcome)| !outcome.is_done()) {
        let current = refused(outcome).expect("a refusal tells what is there");
        assert_eq!(current.version, version);
    }
}

/// Runs one job on each of the threads, which begin together.
pub(super) fn race<T: Send>(job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|index| {
                let (job, barrier) = (&job, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    job(index)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread's own checks")).collect()
    })
}

pub(super) const THREADS: usize = 8;
const ROUNDS: usize = 40;
