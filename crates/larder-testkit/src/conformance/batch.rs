//! Batches: one answer per key, in order, each key judged alone.

use larder_core::{Backend, Delete, Expect, Retime, Times, Version, Write};

use super::Trial;
use super::check::{HOUR, assert_duration, done, refused_by, same, value, version};

/// Answers to a read come in the order of the keys, one for each, found or not.
pub async fn read_answers_come_in_order(trial: &Trial) {
    let keys: Vec<_> = (0..60).rev().map(|index| trial.key(index.to_string())).collect();
    for (index, key) in keys.iter().enumerate().filter(|(index, _)| index % 3 != 0) {
        trial.put(key, &value(index.to_string())).await;
    }
    let answers = trial.backend().read(&keys).await;
    assert_eq!(answers.len(), keys.len(), "one answer for each key");
    for (index, answer) in answers.into_iter().enumerate() {
        let payload = answer.expect("an answer").map(|record| record.payload);
        let expected = (index % 3 != 0).then(|| index.to_string());
        assert_eq!(payload.as_deref(), expected.as_deref().map(str::as_bytes), "answer {index}");
    }
}

/// A batch of writes is judged key by key: a refusal spoils no other, and answers keep the order.
pub async fn writes_are_judged_one_by_one(trial: &Trial) {
    let (keys, old, new) = (trial.keys(6), value("old"), value("new"));
    for key in keys.iter().step_by(2) {
        trial.put(key, &old).await;
    }
    let writes = keys.iter().map(|key| Write {
        key: key.clone(),
        record: new.clone(),
        expect: Expect::Absent,
    });
    let outcomes = trial.backend().write(&writes.collect::<Vec<_>>()).await;
    assert_eq!(outcomes.len(), keys.len(), "one answer for each key");
    for (index, (key, outcome)) in keys.iter().zip(outcomes).enumerate() {
        if index % 2 == 0 {
            refused_by(outcome, &old);
            same(&trial.found(key).await, &old, trial.granularity());
        } else {
            done(&outcome);
            same(&trial.found(key).await, &new, trial.granularity());
        }
    }
}

/// A batch of deletes is judged key by key, with answers in order.
pub async fn deletes_are_judged_one_by_one(trial: &Trial) {
    let (keys, record) = (trial.keys(6), value("soup"));
    for key in &keys {
        trial.put(key, &record).await;
    }
    let other = Expect::Version(Version::next(), None);
    let deletes: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| {
            let expect = if index % 2 == 0 { other.clone() } else { version(&record) };
            Delete { key: key.clone(), expect }
        })
        .collect();
    let outcomes = trial.backend().delete(&deletes).await;
    assert_eq!(outcomes.len(), keys.len(), "one answer for each key");
    for (index, (key, outcome)) in keys.iter().zip(outcomes).enumerate() {
        if index % 2 == 0 {
            refused_by(outcome, &record);
        } else {
            done(&outcome);
        }
        assert_eq!(trial.read(key).await.is_some(), index % 2 == 0, "key {index}");
    }
}

/// A batch of retimes is judged key by key, with answers in order.
pub async fn retimes_are_judged_one_by_one(trial: &Trial) {
    let (keys, record) = (trial.keys(6), value("soup"));
    for key in &keys {
        trial.put(key, &record).await;
    }
    let retimes: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| {
            let version = if index % 2 == 0 { Version::next() } else { record.header.version };
            Retime { key: key.clone(), version, token: None, times: Times::new(HOUR, 2 * HOUR) }
        })
        .collect();
    let outcomes = trial.backend().retime(&retimes).await;
    assert_eq!(outcomes.len(), keys.len(), "one answer for each key");
    for (index, (key, outcome)) in keys.iter().zip(outcomes).enumerate() {
        let life = if index % 2 == 0 { HOUR } else { 2 * HOUR };
        if index % 2 == 0 {
            refused_by(outcome, &record);
        } else {
            done(&outcome);
        }
        let kept_for = trial.found(key).await.header.times.kept_for;
        assert_duration(kept_for, life, trial.granularity());
    }
}

/// An unconditional batch writes and deletes every key.
pub async fn a_thousand_keys_in_one_call(trial: &Trial) {
    let keys = trial.keys(1_000);
    let writes: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| {
            let record = value(index.to_string());
            Write { key: key.clone(), record, expect: Expect::Any }
        })
        .collect();
    let outcomes = trial.backend().write(&writes).await;
    assert_eq!(outcomes.len(), keys.len(), "one answer for each key");
    outcomes.iter().for_each(done);
    let answers = trial.backend().read(&keys).await;
    assert_eq!(answers.len(), keys.len(), "one answer for each key");
    for (answer, write) in answers.into_iter().zip(&writes) {
        let found = answer.expect("an answer").expect("a record");
        same(&found, &write.record, trial.granularity());
    }
    let deletes: Vec<_> =
        keys.iter().map(|key| Delete { key: key.clone(), expect: Expect::Any }).collect();
    let outcomes = trial.backend().delete(&deletes).await;
    assert_eq!(outcomes.len(), keys.len(), "one answer for each key");
    outcomes.iter().for_each(done);
    let answers = trial.backend().read(&keys).await;
    assert!(answers.into_iter().all(|answer| matches!(answer, Ok(None))));
}

/// An empty call answers with nothing.
pub async fn an_empty_call_answers_with_nothing(trial: &Trial) {
    assert!(trial.backend().read(&[]).await.is_empty());
    assert!(trial.backend().write(&[]).await.is_empty());
    assert!(trial.backend().retime(&[]).await.is_empty());
    assert!(trial.backend().delete(&[]).await.is_empty());
}
