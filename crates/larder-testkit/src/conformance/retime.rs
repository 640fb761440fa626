//! New lives for records that keep their version.

use std::time::Duration;

use larder_core::{Expect, NEVER, Times, Version};

use super::Trial;
use super::check::{
    HOUR, done, one_of_each_kind, refused_by, refused_by_nothing, same, value, value_for, version,
};

/// Retime changes the life and nothing else: version, payload and header stay.
pub async fn retime_changes_the_life_alone(trial: &Trial) {
    for mut record in one_of_each_kind() {
        record.header.codec = 0x8003;
        let key = trial.key(format!("{:?}", record.header.kind));
        trial.put(&key, &record).await;
        let times = Times { age: HOUR, fresh_for: 2 * HOUR, kept_for: 3 * HOUR };
        done(&trial.retime(&key, record.header.version, times).await);
        record.header.times = times;
        same(&trial.found(&key).await, &record, trial.granularity());
    }
}

/// A retimed record still meets its version.
pub async fn a_retimed_record_meets_its_version(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value("soup"));
    trial.put(&key, &record).await;
    let times = Times::new(2 * HOUR, 2 * HOUR);
    done(&trial.retime(&key, record.header.version, times).await);
    done(&trial.write(&key, &value("new"), version(&record)).await);
}

/// Retime refuses another version, with the header of the present record, whose life stays.
pub async fn retime_refuses_another_version(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value("soup"));
    trial.put(&key, &record).await;
    for other in [Version::next(), Version::NONE] {
        refused_by(trial.retime(&key, other, Times::new(NEVER, NEVER)).await, &record);
    }
    same(&trial.found(&key).await, &record, trial.granularity());
}

/// Retime of nothing is refused with no header, and writes nothing.
pub async fn retime_refuses_nothing(trial: &Trial) {
    let key = trial.key("dish");
    refused_by_nothing(trial.retime(&key, Version::next(), Times::new(HOUR, HOUR)).await);
    assert!(trial.read(&key).await.is_none());
}

/// The dead are not called back: retime refuses them with no header.
pub async fn retime_refuses_the_dead(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value_for("soup", trial.moment()));
    trial.put(&key, &record).await;
    trial.outlive(trial.moment()).await;
    refused_by_nothing(trial.retime(&key, record.header.version, Times::new(HOUR, HOUR)).await);
    assert!(trial.read(&key).await.is_none());
}

/// A longer life keeps a record beyond its first end.
pub async fn retime_lengthens_a_life(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value_for("soup", trial.moment()));
    trial.put(&key, &record).await;
    done(&trial.retime(&key, record.header.version, Times::new(HOUR, HOUR)).await);
    trial.outlive(trial.moment()).await;
    assert_eq!(trial.found(&key).await.header.version, record.header.version);
}

/// A shorter life ends a record before its first end.
pub async fn retime_shortens_a_life(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value_for("soup", HOUR));
    trial.put(&key, &record).await;
    let times = Times::new(trial.moment(), trial.moment());
    done(&trial.retime(&key, record.header.version, times).await);
    trial.outlive(trial.moment()).await;
    assert!(trial.read(&key).await.is_none());
}

/// A life that is over on arrival ends the record at once.
pub async fn retime_can_end_a_life_at_once(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value("soup"));
    trial.put(&key, &record).await;
    let over = Times::new(Duration::ZERO, Duration::ZERO);
    done(&trial.retime(&key, record.header.version, over).await);
    assert!(trial.read(&key).await.is_none());
    done(&trial.write(&key, &value("new"), Expect::Absent).await);
}

/// A life becomes one without end, and back.
pub async fn retime_to_for_ever_and_back(trial: &Trial) {
    let (key, mut record) = (trial.key("dish"), value("soup"));
    trial.put(&key, &record).await;
    for life in [NEVER, HOUR] {
        done(&trial.retime(&key, record.header.version, Times::new(life, life)).await);
        record.header.times = Times::new(life, life);
        same(&trial.found(&key).await, &record, trial.granularity());
    }
}
