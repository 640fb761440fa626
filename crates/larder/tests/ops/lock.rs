//! Exclusion between all processes that reach the backend.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use larder::backend::{Clock, ErrorKind, NEVER, Result};
use larder::ops::Lock;
use larder_testkit::block_on;

use crate::faulty::{Fault, Faulty, SECOND, key, run};

fn try_lock(backend: &Faulty, length: Duration) -> Result<Option<Lock<Faulty>>> {
    let clock = Arc::new(backend.clock.clone());
    block_on(Lock::try_acquire(backend.clone(), clock, key(), length))
}

#[test]
fn c3_5_a_lock_excludes_until_it_is_released() {
    for backend in Faulty::on_each() {
        let lock = try_lock(&backend, SECOND).unwrap().unwrap();
        assert!(try_lock(&backend, SECOND).unwrap().is_none());
        assert!(block_on(lock.release()).unwrap());
        assert!(try_lock(&backend, SECOND).unwrap().is_some());
    }
}

#[test]
fn c3_5_a_lock_that_is_dropped_runs_out() {
    for backend in Faulty::on_each() {
        drop(try_lock(&backend, SECOND).unwrap());
        backend.clock.advance(SECOND.saturating_sub(backend.rig.tick));
        assert!(try_lock(&backend, SECOND).unwrap().is_none());
        backend.clock.advance(backend.rig.tick);
        assert!(try_lock(&backend, SECOND).unwrap().is_some());
    }
}

#[test]
fn c3_5_the_holder_counts_from_before_it_asked() {
    for backend in Faulty::on_each() {
        backend.next([Fault::Slow]);
        let mut lock = try_lock(&backend, SECOND * 10).unwrap().unwrap();
        assert_eq!(lock.left(), SECOND * 9);
        backend.next([Fault::Slow]);
        assert!(block_on(lock.renew()).unwrap());
        assert_eq!(lock.left(), SECOND * 9);
        assert!(lock.left() < backend.there().unwrap().header.times.kept_left());
    }
}

#[test]
fn c3_5_a_refused_renewal_means_that_the_lock_is_lost() {
    for backend in Faulty::on_each() {
        let mut lock = try_lock(&backend, SECOND * 2).unwrap().unwrap();
        backend.clock.advance(SECOND);
        backend.next([Fault::LostAnswer]);
        assert!(block_on(lock.renew()).unwrap());
        assert_eq!(lock.left(), SECOND * 2);
        backend.clock.advance(SECOND * 2);
        let other = try_lock(&backend, SECOND).unwrap().unwrap();
        assert!(!block_on(lock.renew()).unwrap());
        assert_eq!(lock.left(), Duration::ZERO);
        assert!(!block_on(lock.release()).unwrap());
        assert_eq!(other.left(), SECOND);
        assert!(backend.there().is_some(), "the other's lock is left alone");
    }
}

#[test]
fn c3_5_a_lost_answer_takes_the_lock_once() {
    for backend in Faulty::on_each() {
        backend.next([Fault::LostAnswer]);
        let lock = try_lock(&backend, SECOND).unwrap().unwrap();
        assert!(try_lock(&backend, SECOND).unwrap().is_none());
        assert!(block_on(lock.release()).unwrap());
    }
}

#[test]
fn c3_5_waiting_ends_with_the_lock_or_with_the_patience() {
    for backend in Faulty::on_each() {
        let acquire = |patience| {
            let clock = Arc::new(backend.clock.clone());
            run(&backend.clock, Lock::acquire(backend.clone(), clock, key(), SECOND, patience))
        };
        let _held = try_lock(&backend, SECOND * 5).unwrap().unwrap();
        let start = backend.clock.now();
        assert_eq!(acquire(SECOND).unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(backend.clock.now().since(start), SECOND);
        let lock = acquire(SECOND * 10).unwrap();
        let waited = backend.clock.now().since(start);
        assert!(waited >= SECOND * 5 && waited <= SECOND * 6, "{waited:?}");
        assert_eq!(lock.left(), SECOND);
    }
}

#[test]
fn c3_5_a_lock_needs_a_finite_length() {
    for length in [Duration::ZERO, NEVER] {
        let error = try_lock(&Faulty::new(), length).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn c3_5_a_backend_without_conditional_writes_is_unsupported() {
    let backend = Faulty::without_conditional();
    assert_eq!(try_lock(&backend, SECOND).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn c3_6_a_lock_excludes_threads_of_one_process() {
    for backend in Faulty::on_each() {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let backend = backend.clone();
                thread::spawn(move || try_lock(&backend, SECOND).unwrap())
            })
            .collect();
        let held = threads.into_iter().filter_map(|t| t.join().unwrap()).count();
        assert_eq!(held, 1);
    }
}

#[test]
fn its_futures_can_be_sent_between_threads() {
    fn is_send(_: impl Send) {}
    let backend = Faulty::new();
    let clock = Arc::new(backend.clock.clone());
    is_send(Lock::acquire(backend, clock, key(), SECOND, SECOND));
}
