//! Changes that depend on the record that is there.

use std::thread;

use larder::backend::{ErrorKind, Kind, Life, Record};
use larder::ops::Step;
use larder_testkit::block_on;

use crate::faulty::{ENDLESS, Fault, Faulty, SECOND, key, life, run, value};

#[test]
fn c2_13_of_concurrent_sets_one_is_done() {
    for backend in Faulty::on_each() {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let swap = backend.swap();
                thread::spawn(move || block_on(swap.set_if_absent(&key(), value("a", ENDLESS))))
            })
            .collect();
        let done = threads.into_iter().map(|t| t.join().unwrap().unwrap());
        assert_eq!(done.filter(|is_done| *is_done).count(), 1);
    }
}

#[test]
fn c2_13_what_is_expired_counts_as_absent() {
    for backend in Faulty::on_each() {
        let set = || block_on(backend.swap().set_if_absent(&key(), value("b", ENDLESS))).unwrap();
        for (fresh_for, kept_for) in [(1, 1), (1, 9)] {
            backend.put(value("a", life(fresh_for, kept_for)));
            assert!(!set());
            backend.clock.advance(SECOND);
            assert!(set());
            assert!(!set());
        }
    }
}

#[test]
fn c2_13_a_lease_and_a_known_absence_count_as_absent_and_are_replaced() {
    for backend in Faulty::on_each() {
        for record in [Record::lease(SECOND), Record::absent(ENDLESS)] {
            backend.put(record);
            assert!(block_on(backend.swap().set_if_absent(&key(), value("a", ENDLESS))).unwrap());
            assert_eq!(backend.there().unwrap().header.kind, Kind::Value);
        }
    }
}

#[test]
fn replace_needs_a_fresh_value() {
    for backend in Faulty::on_each() {
        let replace = || block_on(backend.swap().replace(&key(), value("b", life(1, 9)))).unwrap();
        assert!(!replace());
        backend.put(Record::lease(SECOND));
        assert!(!replace());
        backend.put(value("a", life(1, 9)));
        assert!(replace());
        backend.clock.advance(SECOND);
        assert!(!replace());
    }
}

#[test]
fn compare_and_set_needs_the_very_record() {
    for backend in Faulty::on_each() {
        backend.put(value("a", ENDLESS));
        let read = backend.there().unwrap().header;
        let swap = backend.swap();
        backend.next([Fault::LostAnswer]);
        assert!(block_on(swap.compare_and_set(&key(), &read, value("b", ENDLESS))).unwrap());
        assert!(!block_on(swap.compare_and_set(&key(), &read, value("c", ENDLESS))).unwrap());
        assert_eq!(&backend.there().unwrap().payload[..], b"b");
    }
}

#[test]
fn one_of_many_takers_gets_the_record() {
    for backend in Faulty::on_each() {
        backend.put(value("a", ENDLESS));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let swap = backend.swap();
                thread::spawn(move || block_on(swap.take(&key())).unwrap())
            })
            .collect();
        let taken = threads.into_iter().filter_map(|t| t.join().unwrap()).count();
        assert_eq!(taken, 1);
        assert!(backend.there().is_none());
    }
}

#[test]
fn take_removes_a_lease_and_returns_none() {
    for backend in Faulty::on_each() {
        backend.put(Record::lease(SECOND));
        assert!(block_on(backend.swap().take(&key())).unwrap().is_none());
        assert!(backend.there().is_none(), "the load behind the lease is fenced");
    }
}

#[test]
fn take_does_not_hand_out_what_somebody_else_may_have_got() {
    for backend in Faulty::on_each() {
        backend.put(value("a", ENDLESS));
        backend.next([Fault::LostRequest]);
        assert!(block_on(backend.swap().take(&key())).unwrap().is_some());
        backend.put(value("b", ENDLESS));
        backend.next([Fault::LostAnswer]);
        assert_eq!(block_on(backend.swap().take(&key())).unwrap_err().kind(), ErrorKind::Timeout);
    }
}

#[test]
fn mark_stale_keeps_the_payload_under_a_new_version() {
    for backend in Faulty::on_each() {
        backend.put(value("a", life(10, 60)));
        backend.clock.advance(SECOND);
        let before = backend.there().unwrap();
        assert!(block_on(backend.swap().mark_stale(&key())).unwrap());
        let after = backend.there().unwrap();
        assert_eq!(after.payload, before.payload);
        assert_ne!(after.header.version, before.header.version);
        assert_eq!(after.header.times.life(), Life::Stale);
        assert_eq!(after.header.times.kept_left(), SECOND * 50, "its own grace");
    }
}

#[test]
fn mark_stale_deletes_a_lease() {
    for backend in Faulty::on_each() {
        assert!(!block_on(backend.swap().mark_stale(&key())).unwrap());
        backend.put(Record::lease(SECOND));
        assert!(!block_on(backend.swap().mark_stale(&key())).unwrap());
        assert!(backend.there().is_none());
    }
}

#[test]
fn lives_change_and_versions_stay() {
    for backend in Faulty::on_each() {
        let swap = backend.swap();
        backend.put(value("a", life(10, 20)));
        let version = backend.there().unwrap().header.version;
        backend.clock.advance(SECOND * 9);
        backend.next([Fault::LostAnswer]);
        assert!(block_on(swap.touch(&key())).unwrap());
        assert_eq!(backend.there().unwrap().header.times, life(10, 20));
        assert!(block_on(swap.set_life(&key(), life(1, 5))).unwrap());
        backend.clock.advance(SECOND * 2);
        assert!(!block_on(swap.touch(&key())).unwrap(), "it is stale");
        assert!(!block_on(swap.set_life(&key(), life(1, 5))).unwrap(), "it is stale");
        assert!(block_on(swap.revive(&key(), life(3, 3))).unwrap());
        assert_eq!(backend.there().unwrap().header.times, life(3, 3));
        assert_eq!(backend.there().unwrap().header.version, version);
        backend.clock.advance(SECOND * 3);
        assert!(!block_on(swap.revive(&key(), ENDLESS)).unwrap(), "it is dead");
        backend.put(Record::lease(SECOND));
        assert!(!block_on(swap.revive(&key(), ENDLESS)).unwrap(), "a lease is no value");
    }
}

#[test]
fn a_retime_of_nothing_is_an_error() {
    for backend in Faulty::on_each() {
        let swap = backend.swap();
        let error = block_on(swap.update(&key(), |_| Ok(Step::Retime(ENDLESS)))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn what_is_written_late_is_as_old_as_the_call() {
    for backend in Faulty::on_each() {
        backend.next([Fault::LostRequest]);
        let swap = backend.swap();
        assert!(block_on(swap.set_if_absent(&key(), value("a", life(9, 9)))).unwrap());
        let times = backend.there().unwrap().header.times;
        assert_eq!(times.kept_left() + SECOND / 2, life(9, 9).kept_for);
    }
}

#[test]
fn contention_without_end_is_unavailable_after_sixteen_tries() {
    for backend in Faulty::on_each() {
        backend.put(value("a", life(10, 60)));
        backend.next(vec![Fault::Refused; 20]);
        let error = run(&backend.clock, backend.swap().mark_stale(&key())).unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true));
        assert_eq!(backend.faults.lock().unwrap().len(), 4);
    }
}

#[test]
fn a_backend_without_conditional_writes_is_unsupported() {
    let backend = Faulty::without_conditional();
    let swap = backend.swap();
    let errors = [
        block_on(swap.set_if_absent(&key(), value("a", ENDLESS))).unwrap_err(),
        block_on(swap.take(&key())).unwrap_err(),
        block_on(swap.touch(&key())).unwrap_err(),
        block_on(backend.counter(ENDLESS).add(1)).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn its_futures_can_be_sent_between_threads() {
    fn is_send(_: impl Send) {}
    let backend = Faulty::new();
    is_send(backend.swap().update(&key(), |_| Ok(Step::Delete)));
    is_send(backend.counter(ENDLESS).add(1));
}
