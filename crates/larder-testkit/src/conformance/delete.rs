//! Deletes.

use larder_core::{Expect, Version};

use super::Trial;
use super::check::{
    done, one_of_each_kind, refused_by, refused_by_nothing, same, value, value_for, version,
};

/// A deleted record of any kind, leases included, is gone.
pub async fn a_deleted_record_is_gone(trial: &Trial) {
    for record in one_of_each_kind() {
        let key = trial.key(format!("{:?}", record.header.kind));
        trial.put(&key, &record).await;
        done(&trial.delete(&key, Expect::Any).await);
        assert!(trial.read(&key).await.is_none());
    }
}

/// A delete of nothing is done, once and twice.
pub async fn a_delete_of_nothing_is_done(trial: &Trial) {
    let key = trial.key("nobody");
    done(&trial.delete(&key, Expect::Any).await);
    done(&trial.delete(&key, Expect::Any).await);
}

/// A delete leaves other keys alone, also those whose name it begins.
pub async fn a_delete_leaves_other_keys_alone(trial: &Trial) {
    let (kept, record) = (trial.key("dishes"), value("soup"));
    trial.put(&kept, &record).await;
    trial.put(&trial.key("dish"), &value("gone")).await;
    done(&trial.delete(&trial.key("dish"), Expect::Any).await);
    same(&trial.found(&kept).await, &record, trial.granularity());
}

/// A key can be written again after its delete.
pub async fn a_deleted_key_can_be_written_again(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value("new"));
    trial.put(&key, &value("old")).await;
    done(&trial.delete(&key, Expect::Any).await);
    trial.put(&key, &record).await;
    same(&trial.found(&key).await, &record, trial.granularity());
}

/// A delete of the version that is there is done, with and without its token.
pub async fn a_delete_of_that_version_is_done(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value("soup"));
    trial.put(&key, &record).await;
    done(&trial.delete(&key, version(&record)).await);
    assert!(trial.read(&key).await.is_none());
    trial.put(&key, &value("again")).await;
    let header = trial.found(&key).await.header;
    done(&trial.delete(&key, Expect::exactly(&header)).await);
    assert!(trial.read(&key).await.is_none());
}

/// A delete of another version is refused, with the header of the present record, which stays.
pub async fn a_delete_of_another_version_is_refused(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value("soup"));
    trial.put(&key, &record).await;
    let other = Expect::Version(Version::next(), None);
    refused_by(trial.delete(&key, other).await, &record);
    same(&trial.found(&key).await, &record, trial.granularity());
}

/// A delete of a version where nothing is, or only the dead, is refused with no header.
pub async fn a_delete_of_a_version_over_nothing_is_refused(trial: &Trial) {
    let key = trial.key("dish");
    let other = Expect::Version(Version::next(), None);
    refused_by_nothing(trial.delete(&key, other).await);
    let record = value_for("soup", trial.moment());
    trial.put(&key, &record).await;
    trial.outlive(trial.moment()).await;
    refused_by_nothing(trial.delete(&key, version(&record)).await);
}

/// A delete that expects nothing is refused by a record, and done where nothing is.
pub async fn a_delete_expecting_nothing_spares_a_record(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value("soup"));
    done(&trial.delete(&key, Expect::Absent).await);
    trial.put(&key, &record).await;
    refused_by(trial.delete(&key, Expect::Absent).await, &record);
    same(&trial.found(&key).await, &record, trial.granularity());
}
