//! Reads return what was written.

use std::time::Duration;

use bytes::Bytes;
use larder_core::{Backend, Epoch, Kind, Record, StoreTime, TagVersion, Times, Version};

use super::Trial;
use super::check::{HOUR, one_of_each_kind, same, value};

/// A key that was never written reads as nothing.
pub async fn an_unknown_key_reads_as_nothing(trial: &Trial) {
    assert!(trial.read(&trial.key("nobody")).await.is_none());
}

/// A record of each kind comes back as that kind.
pub async fn every_kind_comes_back(trial: &Trial) {
    for record in one_of_each_kind() {
        let key = trial.key(format!("{:?}", record.header.kind));
        trial.put(&key, &record).await;
        same(&trial.found(&key).await, &record, trial.granularity());
    }
}

/// All of a header comes back: born, cost, codec, epoch, tags with both versions.
pub async fn a_whole_header_comes_back(trial: &Trial) {
    let mut record = value("soup");
    let header = &mut record.header;
    header.times = Times { age: Duration::from_secs(5), fresh_for: HOUR / 2, kept_for: HOUR };
    header.born = StoreTime::from_micros(1_234_567_890_123_456);
    header.cost = Duration::from_micros(123_456);
    header.codec = 0x8003;
    header.value_type = 0xFFFF_FFFE;
    header.epoch = Epoch { hard: u64::MAX, soft: 1 << 63 };
    header.tags = vec![tag("menu"), tag(""), tag("\0 \r\n%_*'\"")];
    let key = trial.key("soup");
    trial.put(&key, &record).await;
    same(&trial.found(&key).await, &record, trial.granularity());
}

/// Hundreds of tags come back, also names of 255 bytes.
pub async fn many_tags_come_back(trial: &Trial) {
    let mut record = value("soup");
    record.header.tags = (0..300).map(|index| tag(&format!("{index:0255}"))).collect();
    let key = trial.key("soup");
    trial.put(&key, &record).await;
    same(&trial.found(&key).await, &record, trial.granularity());
}

/// An empty payload is a value, not nothing.
pub async fn an_empty_payload_is_a_value(trial: &Trial) {
    let key = trial.key("empty");
    trial.put(&key, &value("")).await;
    let read = trial.found(&key).await;
    assert_eq!(read.header.kind, Kind::Value);
    assert!(read.payload.is_empty());
}

/// A known absence is told from nothing.
pub async fn a_known_absence_is_told_from_nothing(trial: &Trial) {
    let key = trial.key("known");
    trial.put(&key, &Record::absent(Times::new(HOUR, HOUR))).await;
    assert_eq!(trial.found(&key).await.header.kind, Kind::Absent);
    assert!(trial.read(&trial.key("unknown")).await.is_none());
}

/// A payload may hold any byte.
pub async fn every_byte_survives(trial: &Trial) {
    let bytes: Vec<u8> = (0..=u8::MAX).chain([0, 0, b'\r', b'\n', 0xff]).collect();
    let (key, record) = (trial.key("bytes"), value(bytes));
    trial.put(&key, &record).await;
    same(&trial.found(&key).await, &record, trial.granularity());
}

/// A payload of 1 MiB, or the largest that is claimed, comes back.
pub async fn a_large_payload_comes_back(trial: &Trial) {
    let length = trial.capabilities().max_value_bytes.unwrap_or(1 << 20).min(1 << 20);
    let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
    let (key, record) = (trial.key("large"), value(bytes));
    trial.put(&key, &record).await;
    same(&trial.found(&key).await, &record, trial.granularity());
}

/// A read of one key and a batch of that key answer the same.
pub async fn read_one_agrees_with_read(trial: &Trial) {
    let (there, nowhere, record) = (trial.key("there"), trial.key("nowhere"), value("soup"));
    trial.put(&there, &record).await;
    for key in [there, nowhere] {
        let one = trial.read(&key).await;
        let batch = trial.backend().read(std::slice::from_ref(&key)).await;
        assert_eq!(batch.len(), 1, "one answer for one key");
        let of_batch = batch.into_iter().next().and_then(Result::ok).flatten();
        assert_eq!(one.is_some(), of_batch.is_some());
        if let (Some(one), Some(of_batch)) = (one, of_batch) {
            assert_eq!(one.header.version, of_batch.header.version);
            assert_eq!(one.payload, of_batch.payload);
        }
    }
}

/// Reading changes nothing, however often.
pub async fn reading_changes_nothing(trial: &Trial) {
    let (key, record) = (trial.key("soup"), value("soup"));
    trial.put(&key, &record).await;
    for _ in 0..5 {
        same(&trial.found(&key).await, &record, trial.granularity());
    }
}

fn tag(name: &str) -> TagVersion {
    let name = Bytes::copy_from_slice(name.as_bytes());
    TagVersion { name, hard: Version::next(), soft: Version::next() }
}
