//! Numbers that many callers add to.

use std::thread;
use std::time::Duration;

use larder::backend::{ErrorKind, NEVER, Record, Times};
use larder_testkit::block_on;

use crate::faulty::{ENDLESS, Fault, Faulty, SECOND, life, run, value};

#[test]
fn c2_12_a_counter_adds_signed_and_starts_at_zero() {
    for backend in Faulty::on_each() {
        let counter = backend.counter(ENDLESS);
        assert_eq!(block_on(counter.get()).unwrap(), 0);
        for (by, sum) in [(0, 0), (7, 7), (-10, -3), (i64::MAX, i64::MAX - 3)] {
            assert_eq!(block_on(counter.add(by)).unwrap(), sum);
            assert_eq!(block_on(counter.get()).unwrap(), sum);
        }
    }
}

#[test]
fn c2_12_an_overflow_is_an_error_and_changes_nothing() {
    for backend in Faulty::on_each() {
        for (start, by) in [(i64::MAX, 1), (i64::MIN, -1), (-2, i64::MIN)] {
            backend.put(Record::counter(start, ENDLESS));
            let before = backend.there();
            let error = block_on(backend.counter(ENDLESS).add(by)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(backend.there(), before);
        }
    }
}

#[test]
fn c2_12_a_value_is_a_typed_error_and_stays() {
    for backend in Faulty::on_each() {
        backend.put(value("7", ENDLESS));
        let before = backend.there();
        let counter = backend.counter(ENDLESS);
        assert_eq!(block_on(counter.add(1)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(block_on(counter.get()).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(backend.there(), before);
    }
}

#[test]
fn c2_12_what_counts_as_missing_starts_anew() {
    for backend in Faulty::on_each() {
        let counter = backend.counter(life(10, 20));
        let missing = [
            Record::lease(SECOND),
            Record::absent(ENDLESS),
            Record::counter(5, Times::new(Duration::ZERO, NEVER)),
        ];
        for record in missing {
            backend.put(record);
            assert_eq!(block_on(counter.get()).unwrap(), 0);
            assert_eq!(block_on(counter.add(2)).unwrap(), 2);
            assert_eq!(backend.there().unwrap().header.times, life(10, 20));
        }
    }
}

#[test]
fn c2_12_adding_keeps_the_life_and_makes_a_new_version() {
    for backend in Faulty::on_each() {
        let counter = backend.counter(life(10, 20));
        block_on(counter.add(1)).unwrap();
        let first = backend.there().unwrap().header.version;
        backend.clock.advance(SECOND * 9);
        block_on(counter.add(1)).unwrap();
        assert_ne!(backend.there().unwrap().header.version, first);
        backend.clock.advance(SECOND);
        assert_eq!(block_on(counter.get()).unwrap(), 0);
    }
}

#[test]
fn c2_12_of_concurrent_adds_none_is_lost() {
    let backend = Faulty::new();
    let nodes = [backend.counter(ENDLESS), backend.counter(ENDLESS)];
    let threads: Vec<_> = nodes
        .iter()
        .cycle()
        .take(8)
        .cloned()
        .map(|counter| {
            thread::spawn(move || {
                (0..500).map(|_| block_on(counter.add(3)).unwrap()).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut sums: Vec<i64> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    sums.sort_unstable();
    assert!(sums.iter().copied().eq((1..=4_000).map(|n| n * 3)), "each sum is seen once");
}

#[test]
fn c2_12_a_lost_answer_never_counts_twice() {
    for backend in Faulty::on_each() {
        let counter = backend.counter(ENDLESS);
        let cases = [
            vec![Fault::LostAnswer],
            vec![Fault::LostRequest],
            vec![Fault::LostRequest, Fault::LostRequest, Fault::LostAnswer, Fault::LostAnswer],
            vec![Fault::Refused, Fault::LostAnswer],
            vec![Fault::LostAnswer; 16],
        ];
        for (sum, faults) in (1..).zip(cases) {
            backend.next(faults.clone());
            assert_eq!(run(&backend.clock, counter.add(1)).unwrap(), sum, "{faults:?}");
            assert_eq!(block_on(counter.get()).unwrap(), sum, "{faults:?}");
        }
    }
}

#[test]
fn c2_12_a_lost_answer_that_nothing_can_tell_is_an_error() {
    for backend in Faulty::on_each() {
        let counter = backend.counter(ENDLESS);
        block_on(counter.add(1)).unwrap();
        backend.next([Fault::LostAndReplaced]);
        assert_eq!(block_on(counter.add(1)).unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(block_on(counter.get()).unwrap(), 1_000);
    }
}

#[test]
fn c2_12_requests_lost_without_end_are_an_error_and_count_nothing() {
    for backend in Faulty::on_each() {
        let counter = backend.counter(ENDLESS);
        backend.next(vec![Fault::LostRequest; 20]);
        let error = run(&backend.clock, counter.add(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(backend.faults.lock().unwrap().len(), 4);
        assert_eq!(block_on(counter.get()).unwrap(), 0);
    }
}
