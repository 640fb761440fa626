//! Records to write, and checks of answers.

use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    ErrorKind, Expect, Header, Kind, NEVER, Outcome, Record, Result, Times, Version,
};

/// A life that no run of the suite outlasts and that leaves no store full for ever.
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// A value that lives for an hour.
pub(super) fn value(payload: impl AsRef<[u8]>) -> Record {
    value_for(payload, HOUR)
}

/// A value with this life.
pub(super) fn value_for(payload: impl AsRef<[u8]>, life: Duration) -> Record {
    Record::value(Bytes::copy_from_slice(payload.as_ref()), Times::new(life, life))
}

/// One record of each kind, living for an hour.
pub(super) fn one_of_each_kind() -> [Record; 4] {
    let times = Times::new(HOUR, HOUR);
    [value("soup"), Record::absent(times), Record::lease(HOUR), Record::counter(-7, times)]
}

/// Expects this version, without a token.
pub(super) fn version(record: &Record) -> Expect {
    Expect::Version(record.header.version, None)
}

/// Returns the answer of a call that a store may do without; none if it does.
#[track_caller]
pub(super) fn if_supported<T>(answer: Result<T>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) if error.kind() == ErrorKind::Unsupported => None,
        Err(error) => panic!("neither done nor unsupported: {error:?}"),
    }
}

#[track_caller]
pub(super) fn done(outcome: &Outcome) {
    assert!(outcome.is_done(), "not done: {outcome:?}");
}

#[track_caller]
pub(super) fn refused(outcome: Outcome) -> Option<Header> {
    match outcome {
        Outcome::Refused(current) => current.map(|header| *header),
        other => panic!("not refused: {other:?}"),
    }
}

/// Asserts that the change was refused because of this record.
#[track_caller]
pub(super) fn refused_by(outcome: Outcome, current: &Record) {
    let header = refused(outcome).expect("a refusal tells what is there");
    assert_eq!(header.kind, current.header.kind, "the kind of what is there");
    assert_eq!(header.version, current.header.version, "the version of what is there");
    assert_ne!(header.version, Version::NONE);
    assert_life(&header.times, &current.header.times, Duration::ZERO);
}

/// Asserts that the change was refused, and that no record is there.
#[track_caller]
pub(super) fn refused_by_nothing(outcome: Outcome) {
    let current = refused(outcome);
    assert!(current.is_none(), "nothing live is there, and yet: {current:?}");
}

#[track_caller]
pub(super) fn failed(outcome: &Outcome, kind: ErrorKind) {
    match outcome {
        Outcome::Failed(error) => assert_eq!(error.kind(), kind, "{error:?}"),
        other => panic!("not failed: {other:?}"),
    }
}

/// Asserts that a read record is the written one, but for the token and the time that passed.
#[track_caller]
pub(super) fn same(read: &Record, written: &Record, granularity: Duration) {
    let (got, gave) = (&read.header, &written.header);
    assert_eq!(got.kind, gave.kind, "kind");
    assert_eq!(got.version, gave.version, "version");
    assert_eq!(got.born, gave.born, "born");
    assert_eq!(got.cost, gave.cost, "cost");
    assert_eq!(got.codec, gave.codec, "codec");
    assert_eq!(got.value_type, gave.value_type, "value type");
    assert_eq!(got.epoch, gave.epoch, "epoch");
    assert_eq!(got.tags, gave.tags, "tags");
    assert_life(&got.times, &gave.times, granularity);
    assert_eq!(read.payload.len(), written.payload.len(), "length of the payload");
    assert!(read.payload == written.payload, "the payload differs");
    if got.kind == Kind::Counter {
        assert_eq!(read.as_counter(), written.as_counter(), "number");
    }
}

#[track_caller]
fn assert_life(got: &Times, gave: &Times, granularity: Duration) {
    assert!(got.age >= gave.age, "younger than written: {got:?} {gave:?}");
    assert_duration(got.fresh_for, gave.fresh_for, granularity);
    assert_duration(got.kept_for, gave.kept_for, granularity);
}

/// Asserts that both are equal, or rounded up by less than a microsecond or the granularity.
#[track_caller]
pub(super) fn assert_duration(got: Duration, gave: Duration, granularity: Duration) {
    if gave == NEVER {
        assert_eq!(got, NEVER, "for ever stays for ever");
        return;
    }
    let slack = granularity.max(Duration::from_micros(1));
    assert!(got >= gave, "a life is never cut short: {got:?} of {gave:?}");
    assert!(got.saturating_sub(gave) < slack, "a life is never lengthened: {got:?} of {gave:?}");
}
