//! Faults happen where they were ordered, and nowhere else.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    Backend, Class, Delete, ErrorKind, Expect, Key, NEVER, Namespace, Outcome, Record, Times, Write,
};
use larder_testkit::{Fault, Faulty, ManualClock, Operation, block_on};

#[expect(dead_code, reason = "the flaws are for another test")]
mod toy;

use toy::{Flaw, Toy};

fn faulty() -> (ManualClock, Faulty<Toy>) {
    let clock = ManualClock::new();
    (clock.clone(), Faulty::new(Toy::new(clock.clone(), Flaw::None), Arc::new(clock)))
}

fn key(text: &str) -> Key {
    Key::new(&Namespace::new("shop").unwrap(), Class::Entry, text.as_bytes())
}

fn write(text: &str, payload: &'static str, expect: Expect) -> Write {
    let record = Record::value(Bytes::from(payload), Times::new(NEVER, NEVER));
    Write { key: key(text), record, expect }
}

fn put(backend: &Faulty<Toy>, text: &str, payload: &'static str) -> Outcome {
    block_on(backend.write(&[write(text, payload, Expect::Any)])).remove(0)
}

fn payload(backend: &Faulty<Toy>, text: &str) -> Option<Bytes> {
    block_on(backend.inner().read_one(&key(text))).unwrap().map(|record| record.payload)
}

fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_failed_write_is_not_applied() {
    let (_clock, backend) = faulty();
    backend.nth(Operation::Write, 2, Fault::Fail(ErrorKind::NoSpace));
    assert!(put(&backend, "a", "first").is_done());
    let outcome = put(&backend, "a", "second");
    assert!(matches!(outcome, Outcome::Failed(error) if error.kind() == ErrorKind::NoSpace));
    assert_eq!(payload(&backend, "a").unwrap(), "first");
    assert!(put(&backend, "a", "third").is_done());
}

#[test]
fn a_write_whose_answer_is_lost_is_applied() {
    let (_clock, backend) = faulty();
    backend.next(Operation::Write, Fault::LoseAnswer);
    assert!(matches!(put(&backend, "a", "soup"), Outcome::Unknown(_)));
    assert_eq!(payload(&backend, "a").unwrap(), "soup");
    backend.next(Operation::Clock, Fault::LoseAnswer);
    assert_eq!(block_on(backend.clock()).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn a_late_write_is_applied_when_it_is_released() {
    let (_clock, backend) = faulty();
    backend.next(Operation::Write, Fault::ApplyLate);
    assert!(matches!(put(&backend, "a", "late"), Outcome::Unknown(_)));
    assert!(put(&backend, "a", "early").is_done());
    assert_eq!(backend.late(), 1);
    assert!(block_on(backend.release_late()).iter().all(Outcome::is_done));
    assert_eq!(payload(&backend, "a").unwrap(), "late");
    assert_eq!(backend.late(), 0);
}

#[test]
fn orders_for_the_next_call_queue_up() {
    let (_clock, backend) = faulty();
    backend.next(Operation::Write, Fault::Fail(ErrorKind::Timeout));
    backend.next(Operation::Write, Fault::LoseAnswer);
    assert!(matches!(put(&backend, "a", "1"), Outcome::Failed(_)));
    assert!(matches!(put(&backend, "a", "2"), Outcome::Unknown(_)));
    assert!(put(&backend, "a", "3").is_done());
}

#[test]
fn a_fault_for_some_keys_spares_the_others() {
    let (_clock, backend) = faulty();
    let meant = key("b");
    let fault = Fault::Fail(ErrorKind::Unavailable);
    backend.every_where(Operation::Write, fault, move |key| *key == meant);
    let writes = ["a", "b", "c"].map(|text| write(text, "soup", Expect::Any));
    for _ in 0..2 {
        let outcomes = block_on(backend.write(&writes));
        assert_eq!(outcomes.iter().map(Outcome::is_done).collect::<Vec<_>>(), [true, false, true]);
    }
    assert!(payload(&backend, "b").is_none());
    backend.clear();
    assert!(put(&backend, "b", "soup").is_done());
}

#[test]
fn held_calls_are_released_in_any_order() {
    let (_clock, backend) = faulty();
    backend.every(Operation::Write, Fault::Hold);
    let (one, other) = ([write("a", "one", Expect::Any)], [write("a", "other", Expect::Any)]);
    let mut one = Box::pin(backend.write(&one));
    let mut other = Box::pin(backend.write(&other));
    assert!(poll(one.as_mut()).is_pending());
    assert!(poll(other.as_mut()).is_pending());
    block_on(backend.until_held(2));
    let ids: Vec<_> = backend.held().iter().map(|held| held.id).collect();
    assert!(backend.release(ids[1]));
    assert!(poll(one.as_mut()).is_pending());
    assert!(poll(other.as_mut()).is_ready());
    assert_eq!(payload(&backend, "a").unwrap(), "other");
    backend.release_all();
    assert!(poll(one.as_mut()).is_ready());
    assert_eq!(payload(&backend, "a").unwrap(), "one");
    assert!(!backend.release(ids[0]), "it is held no longer");
}

#[test]
fn a_held_answer_is_of_the_time_before() {
    let (_clock, backend) = faulty();
    assert!(put(&backend, "a", "old").is_done());
    backend.next(Operation::Read, Fault::HoldAnswer);
    let key = key("a");
    let mut read = Box::pin(backend.read_one(&key));
    assert!(poll(read.as_mut()).is_pending());
    assert!(put(&backend, "a", "new").is_done());
    backend.release_all();
    let Poll::Ready(Ok(Some(record))) = poll(read.as_mut()) else { panic!("it was released") };
    assert_eq!(record.payload, "old");
}

#[test]
fn a_dropped_call_is_held_no_longer_and_not_applied() {
    let (_clock, backend) = faulty();
    backend.next(Operation::Write, Fault::Hold);
    let writes = [write("a", "soup", Expect::Any)];
    let mut held = Box::pin(backend.write(&writes));
    assert!(poll(held.as_mut()).is_pending());
    assert_eq!(backend.held().len(), 1);
    drop(held);
    assert!(backend.held().is_empty());
    assert!(payload(&backend, "a").is_none());
}

#[test]
fn a_delay_waits_on_the_clock() {
    let (clock, backend) = faulty();
    backend.next(Operation::Delete, Fault::Delay(Duration::from_secs(5)));
    assert!(put(&backend, "a", "soup").is_done());
    let deletes = [Delete { key: key("a"), expect: Expect::Any }];
    let mut delete = Box::pin(backend.delete(&deletes));
    assert!(poll(delete.as_mut()).is_pending());
    assert_eq!(clock.sleepers(), 1);
    clock.advance(Duration::from_secs(5));
    assert!(poll(delete.as_mut()).is_ready());
    assert!(payload(&backend, "a").is_none());
}

#[test]
fn a_duplicate_is_applied_twice_and_answered_once() {
    let (_clock, backend) = faulty();
    backend.next(Operation::Write, Fault::Duplicate);
    let writes = [write("a", "soup", Expect::Absent)];
    let outcomes = block_on(backend.write(&writes));
    assert!(outcomes[0].is_done(), "the first answer is heard");
    assert_eq!(outcomes.len(), 1);
}

#[test]
fn records_are_lost_damaged_and_corrupted() {
    let (_clock, backend) = faulty();
    let key = key("a");
    let read = || block_on(backend.read_one(&key));
    assert!(put(&backend, "a", "soup").is_done());
    backend.next(Operation::Read, Fault::Corrupt);
    assert_eq!(read().unwrap_err().kind(), ErrorKind::Codec);
    assert!(read().unwrap().is_some(), "the record itself is whole");
    block_on(backend.lose(&key));
    assert!(read().unwrap().is_none());
    block_on(backend.damage(&key));
    assert_eq!(read().unwrap_err().kind(), ErrorKind::Codec);
    let outcomes = block_on(backend.write(&[write("a", "again", Expect::Absent)]));
    assert!(outcomes[0].is_done());
    assert!(read().unwrap().is_some());
}

#[test]
fn the_log_tells_every_call() {
    let (_clock, backend) = faulty();
    assert!(put(&backend.clone(), "a", "soup").is_done());
    drop(block_on(backend.read(&[key("a"), key("b")])));
    drop(block_on(backend.purge(1)));
    let calls = backend.calls();
    let operations: Vec<_> = calls.iter().map(|call| call.operation).collect();
    assert_eq!(operations, [Operation::Write, Operation::Read, Operation::Purge]);
    assert_eq!(calls[1].keys, [key("a"), key("b")]);
    backend.forget_calls();
    assert_eq!(backend.count(Operation::Read), 0);
}
