//! Expectations of a write, judged by the store.

use larder_core::{ErrorKind, Expect, Times, Version};

use super::Trial;
use super::check::{
    HOUR, done, failed, one_of_each_kind, refused, refused_by, refused_by_nothing, same, value,
    version,
};

/// `Absent` is met where nothing is.
pub async fn absent_is_met_by_nothing(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value("soup"));
    done(&trial.write(&key, &record, Expect::Absent).await);
    same(&trial.found(&key).await, &record, trial.granularity());
}

/// `Absent` is refused by a live record of any kind, with its header, and nothing changes.
pub async fn absent_is_refused_by_every_kind(trial: &Trial) {
    for current in one_of_each_kind() {
        let key = trial.key(format!("{:?}", current.header.kind));
        trial.put(&key, &current).await;
        refused_by(trial.write(&key, &value("late"), Expect::Absent).await, &current);
        same(&trial.found(&key).await, &current, trial.granularity());
    }
}

/// `Version` is met by a live record of that version, of any kind.
pub async fn version_is_met_by_that_version(trial: &Trial) {
    for current in one_of_each_kind() {
        let key = trial.key(format!("{:?}", current.header.kind));
        trial.put(&key, &current).await;
        let new = value("new");
        done(&trial.write(&key, &new, version(&current)).await);
        same(&trial.found(&key).await, &new, trial.granularity());
    }
}

/// `Version` with the token that the read returned is met.
pub async fn version_is_met_with_its_token(trial: &Trial) {
    let (key, new) = (trial.key("dish"), value("new"));
    trial.put(&key, &value("old")).await;
    let header = trial.found(&key).await.header;
    done(&trial.write(&key, &new, Expect::exactly(&header)).await);
    refused_by(trial.write(&key, &value("late"), Expect::exactly(&header)).await, &new);
}

/// `Version` is refused by another version, with the header of the present record.
pub async fn version_is_refused_by_another_version(trial: &Trial) {
    let (key, current) = (trial.key("dish"), value("soup"));
    trial.put(&key, &current).await;
    for other in [Version::next(), Version::NONE] {
        let outcome = trial.write(&key, &value("late"), Expect::Version(other, None)).await;
        refused_by(outcome, &current);
    }
    same(&trial.found(&key).await, &current, trial.granularity());
}

/// `Version` is refused where nothing is, with no header, and nothing is written.
pub async fn version_is_refused_by_nothing(trial: &Trial) {
    let key = trial.key("dish");
    for version in [Version::next(), Version::NONE] {
        let outcome = trial.write(&key, &value("late"), Expect::Version(version, None)).await;
        refused_by_nothing(outcome);
    }
    assert!(trial.read(&key).await.is_none());
}

/// A version that was overwritten is refused, even by the same payload.
pub async fn an_overwritten_version_is_refused(trial: &Trial) {
    let (key, old, new) = (trial.key("dish"), value("soup"), value("soup"));
    trial.put(&key, &old).await;
    trial.put(&key, &new).await;
    refused_by(trial.write(&key, &value("late"), version(&old)).await, &new);
}

/// A version that was deleted is refused, also after another was written there.
pub async fn a_deleted_version_is_refused(trial: &Trial) {
    let (key, old, new) = (trial.key("dish"), value("old"), value("new"));
    trial.put(&key, &old).await;
    done(&trial.delete(&key, Expect::Any).await);
    refused_by_nothing(trial.write(&key, &value("late"), version(&old)).await);
    trial.put(&key, &new).await;
    refused_by(trial.write(&key, &value("late"), version(&old)).await, &new);
}

/// A refusal tells the age of the present record, never too small.
pub async fn a_refusal_tells_the_age(trial: &Trial) {
    let (key, mut record) = (trial.key("dish"), value("soup"));
    record.header.times = Times { age: HOUR / 2, fresh_for: HOUR, kept_for: HOUR };
    trial.put(&key, &record).await;
    trial.pass(trial.moment()).await;
    let header = refused(trial.write(&key, &value("late"), Expect::Absent).await);
    let age = header.expect("a refusal tells what is there").times.age;
    assert!(age >= HOUR / 2 + trial.moment(), "too young: {age:?}");
    assert!(age < HOUR, "too old: {age:?}");
}

/// Without the capability, conditional writes fail with `Unsupported` and change nothing.
pub async fn conditional_writes_are_unsupported(trial: &Trial) {
    let (key, current) = (trial.key("dish"), value("soup"));
    let outcome = trial.write(&key, &value("new"), Expect::Absent).await;
    failed(&outcome, ErrorKind::Unsupported);
    assert!(trial.read(&key).await.is_none());
    trial.put(&key, &current).await;
    for expect in [Expect::Absent, version(&current)] {
        failed(&trial.write(&key, &value("new"), expect).await, ErrorKind::Unsupported);
    }
    same(&trial.found(&key).await, &current, trial.granularity());
}

/// Without the capability, conditional deletes and retimes fail with `Unsupported`.
pub async fn conditional_deletes_and_retimes_are_unsupported(trial: &Trial) {
    let (key, current) = (trial.key("dish"), value("soup"));
    trial.put(&key, &current).await;
    for expect in [Expect::Absent, version(&current)] {
        failed(&trial.delete(&key, expect).await, ErrorKind::Unsupported);
    }
    let times = Times::new(HOUR * 2, HOUR * 2);
    let outcome = trial.retime(&key, current.header.version, times).await;
    failed(&outcome, ErrorKind::Unsupported);
    same(&trial.found(&key).await, &current, trial.granularity());
}
