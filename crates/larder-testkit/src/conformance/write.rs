//! Writes over anything.

use bytes::Bytes;
use larder_core::{ErrorKind, Expect, Token};

use super::Trial;
use super::check::{done, failed, one_of_each_kind, same, value};

/// A write replaces all that was there: payload, header and life.
pub async fn a_write_replaces_what_was_there(trial: &Trial) {
    let key = trial.key("dish");
    let mut first = value("a long payload");
    first.header.codec = 9;
    trial.put(&key, &first).await;
    let second = value("short");
    trial.put(&key, &second).await;
    same(&trial.found(&key).await, &second, trial.granularity());
}

/// A record of any kind replaces one of any other.
pub async fn every_kind_replaces_every_other(trial: &Trial) {
    let key = trial.key("dish");
    for old in one_of_each_kind() {
        for new in one_of_each_kind() {
            trial.put(&key, &old).await;
            trial.put(&key, &new).await;
            same(&trial.found(&key).await, &new, trial.granularity());
        }
    }
}

/// A repeated write is as good as one: the version was given, not made by the store.
pub async fn a_repeated_write_keeps_its_version(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value("soup"));
    trial.put(&key, &record).await;
    trial.put(&key, &record).await;
    same(&trial.found(&key).await, &record, trial.granularity());
}

/// A token that came with the record from another store is not taken for one of this store.
pub async fn a_foreign_token_is_not_kept(trial: &Trial) {
    let (key, mut record) = (trial.key("dish"), value("soup"));
    let foreign = Token::new(Bytes::from_static(b"not of this store"));
    record.header.token = Some(foreign.clone());
    trial.put(&key, &record).await;
    let header = trial.found(&key).await.header;
    assert_ne!(header.token, Some(foreign));
    done(&trial.delete(&key, Expect::exactly(&header)).await);
}

/// A payload larger than claimed fails with `NoSpace`, and the present record stays.
pub async fn a_payload_beyond_the_largest_is_no_space(trial: &Trial) {
    let Some(largest) = trial.capabilities().max_value_bytes else { return };
    let (key, old) = (trial.key("dish"), value("soup"));
    trial.put(&key, &old).await;
    let outcome = trial.write(&key, &value(vec![7; largest + 1]), Expect::Any).await;
    failed(&outcome, ErrorKind::NoSpace);
    same(&trial.found(&key).await, &old, trial.granularity());
}

/// A payload of the very size that is claimed is stored.
pub async fn a_payload_of_the_largest_size_is_stored(trial: &Trial) {
    let Some(largest) = trial.capabilities().max_value_bytes else { return };
    let (key, record) = (trial.key("dish"), value(vec![7; largest]));
    trial.put(&key, &record).await;
    same(&trial.found(&key).await, &record, trial.granularity());
}
