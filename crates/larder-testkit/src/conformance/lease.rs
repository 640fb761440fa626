//! Leases, which fence loads and make locks.

use bytes::Bytes;
use larder_core::{Epoch, Expect, Record, TagVersion, Times, Version};

use super::Trial;
use super::check::{HOUR, done, refused_by, refused_by_nothing, same, value, version};

/// A result is written over its own lease.
pub async fn a_result_is_written_over_its_lease(trial: &Trial) {
    let (key, lease, result) = (trial.key("dish"), Record::lease(HOUR), value("soup"));
    done(&trial.write(&key, &lease, Expect::Absent).await);
    done(&trial.write(&key, &result, version(&lease)).await);
    same(&trial.found(&key).await, &result, trial.granularity());
}

/// A lease that was deleted refuses its result: an invalidated key stays without a value.
pub async fn a_deleted_lease_refuses_its_result(trial: &Trial) {
    let (key, lease) = (trial.key("dish"), Record::lease(HOUR));
    done(&trial.write(&key, &lease, Expect::Absent).await);
    done(&trial.delete(&key, Expect::Any).await);
    refused_by_nothing(trial.write(&key, &value("old"), version(&lease)).await);
    assert!(trial.read(&key).await.is_none());
}

/// A lease keeps the marks that its load stands on, also one that replaces a value.
pub async fn a_lease_keeps_its_marks(trial: &Trial) {
    let (key, stale, mut lease) = (trial.key("dish"), value("stale"), Record::lease(HOUR));
    let name = Bytes::from_static(b"kitchen");
    lease.header.epoch = Epoch { hard: 7, soft: 9 };
    lease.header.tags = vec![TagVersion { name, hard: Version::next(), soft: Version::next() }];
    done(&trial.write(&key, &stale, Expect::Any).await);
    done(&trial.write(&key, &lease, version(&stale)).await);
    same(&trial.found(&key).await, &lease, trial.granularity());
}

/// A lease refuses the result of the lease before it.
pub async fn a_second_lease_refuses_the_first_result(trial: &Trial) {
    let key = trial.key("dish");
    let (first, second) = (Record::lease(HOUR), Record::lease(HOUR));
    done(&trial.write(&key, &first, Expect::Absent).await);
    done(&trial.delete(&key, Expect::Any).await);
    done(&trial.write(&key, &second, Expect::Absent).await);
    refused_by(trial.write(&key, &value("old"), version(&first)).await, &second);
    done(&trial.write(&key, &value("new"), version(&second)).await);
}

/// A dead lease is free to take, and refuses the result of its holder.
pub async fn a_dead_lease_is_free_to_take(trial: &Trial) {
    let (key, slow) = (trial.key("dish"), Record::lease(trial.moment()));
    done(&trial.write(&key, &slow, Expect::Absent).await);
    trial.outlive(trial.moment()).await;
    refused_by_nothing(trial.write(&key, &value("late"), version(&slow)).await);
    let next = Record::lease(HOUR);
    done(&trial.write(&key, &next, Expect::Absent).await);
    refused_by(trial.write(&key, &value("late"), version(&slow)).await, &next);
}

/// A renewed lease outlives its first length, and is still the holder's.
pub async fn a_renewed_lease_is_still_held(trial: &Trial) {
    let (key, lease) = (trial.key("lock"), Record::lease(trial.moment()));
    done(&trial.write(&key, &lease, Expect::Absent).await);
    let times = Times::new(HOUR, HOUR);
    done(&trial.retime(&key, lease.header.version, times).await);
    trial.outlive(trial.moment()).await;
    let outcome = trial.write(&key, &Record::lease(HOUR), Expect::Absent).await;
    assert!(!outcome.is_done(), "the lock was taken from its holder");
    done(&trial.delete(&key, version(&lease)).await);
}

/// A lease released by its version is free, and a second release is refused.
pub async fn a_released_lease_is_free(trial: &Trial) {
    let (key, first, second) = (trial.key("lock"), Record::lease(HOUR), Record::lease(HOUR));
    done(&trial.write(&key, &first, Expect::Absent).await);
    done(&trial.delete(&key, version(&first)).await);
    done(&trial.write(&key, &second, Expect::Absent).await);
    refused_by(trial.delete(&key, version(&first)).await, &second);
    same(&trial.found(&key).await, &second, trial.granularity());
}
