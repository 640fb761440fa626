//! Counters.

use larder_core::{Expect, Key, NEVER, Outcome, Record, Times};

use super::Trial;
use super::check::{HOUR, done, value};
use super::race::{THREADS, race};

/// A counter keeps its number from one end of `i64` to the other.
pub async fn a_counter_keeps_its_number(trial: &Trial) {
    for number in [0, 1, -1, i64::MIN, i64::MAX] {
        let key = trial.key(number.to_string());
        trial.put(&key, &Record::counter(number, Times::new(NEVER, NEVER))).await;
        assert_eq!(trial.found(&key).await.as_counter(), Some(number));
        done(&trial.delete(&key, Expect::Any).await);
    }
}

/// Eight bytes of a value are no counter, and a counter is no value.
pub async fn a_counter_is_told_from_a_value(trial: &Trial) {
    let (number, bytes) = (trial.key("number"), trial.key("bytes"));
    trial.put(&number, &Record::counter(7, Times::new(HOUR, HOUR))).await;
    trial.put(&bytes, &value(7_i64.to_le_bytes())).await;
    assert_eq!(trial.found(&number).await.as_counter(), Some(7));
    assert_eq!(trial.found(&bytes).await.as_counter(), None);
}

/// A counter raised by eight threads loses nothing.
pub fn a_raised_counter_loses_nothing(trial: &Trial) {
    let key = trial.key("count");
    race(|_| {
        for _ in 0..RAISES {
            trial.wait(raise(trial, &key));
        }
    });
    let count = trial.wait(trial.found(&key)).as_counter();
    assert_eq!(count, i64::try_from(THREADS * RAISES).ok());
}

async fn raise(trial: &Trial, key: &Key) {
    loop {
        let current = trial.read(key).await;
        let number = current.as_ref().and_then(Record::as_counter).unwrap_or_default();
        let expect = current.map_or(Expect::Absent, |record| Expect::exactly(&record.header));
        let raised = Record::counter(number + 1, Times::new(HOUR, HOUR));
        match trial.write(key, &raised, expect).await {
            Outcome::Done => return,
            Outcome::Refused(_) => {}
            other => panic!("neither done nor refused: {other:?}"),
        }
    }
}

const RAISES: usize = 25;
