//! Keys of any bytes and length stay apart.

use bytes::Bytes;
use larder_core::{Backend, Class, ErrorKind, Expect, Key};

use super::Trial;
use super::check::{done, refused_by_nothing, same, value, version};

/// Keys of any bytes round-trip: empty, control characters, emoji, invalid UTF-8, patterns.
pub async fn odd_keys_round_trip(trial: &Trial) {
    let odd: [&[u8]; 16] = [
        b"",
        b"x",
        b" ",
        b"a b",
        b"\0",
        b"a\0b",
        b"a\r\nset x 0 0 1\r\n",
        b"\x7f",
        b"%",
        b"_",
        b"*",
        b"'; --",
        b"\\",
        "\u{1f372}".as_bytes(),
        b"\xff\xfe",
        b"a:b",
    ];
    round_trip(trial, odd.iter().map(|text| trial.key(text)).collect()).await;
}

/// Keys up to 1 MiB round-trip, on both sides of the length where names become digests.
pub async fn long_keys_round_trip(trial: &Trial) {
    let lengths = [180, 199, 200, 201, 249, 250, 251, 64 << 10, 1 << 20];
    let keys = lengths.iter().map(|&length| trial.key(vec![b'x'; length])).collect();
    round_trip(trial, keys).await;
}

/// Two long keys with a common beginning stay apart.
pub async fn long_keys_with_a_common_beginning_stay_apart(trial: &Trial) {
    let keys = [&b"1"[..], b"2", b"", b" "].map(|end| {
        let mut text = vec![b'x'; 1_000];
        text.extend_from_slice(end);
        trial.key(text)
    });
    round_trip(trial, keys.into()).await;
}

/// Keys that differ in case, in composition or by one character of any kind stay apart.
pub async fn similar_keys_stay_apart(trial: &Trial) {
    let similar =
        ["a", "A", "a.", "\u{e9}", "e\u{301}", "E\u{301}", "1", "01", "a/b", "a\\b", "a//b"];
    round_trip(trial, similar.iter().map(|text| trial.key(text)).collect()).await;
}

/// The same text in other classes and namespaces is another key.
pub async fn classes_and_namespaces_stay_apart(trial: &Trial) {
    let classes = [Class::Entry, Class::Tag, Class::Sequence, Class::Epoch, Class::Lock];
    let mut keys = Vec::new();
    for name in NEIGHBOURS {
        let namespace = trial.namespace(name);
        keys.extend(classes.map(|class| Key::new(&namespace, class, b"dish")));
    }
    round_trip(trial, keys).await;
}

/// Another full key's record under the same name is an error of kind `Codec`, for its key alone.
pub async fn another_keys_record_is_a_codec_error(trial: &Trial) {
    let (key, stranger, other) = (hashed(trial), stranger(trial), trial.key("other"));
    trial.put(&stranger, &value("theirs")).await;
    trial.put(&other, &value("other")).await;
    let mut answers = trial.backend().read(&[key, other]).await.into_iter();
    let error = answers.next().expect("an answer").expect_err("never another key's value");
    assert_eq!(error.kind(), ErrorKind::Codec);
    let found = answers.next().expect("an answer").expect("the other key is not affected");
    assert_eq!(found.expect("a record").payload, "other");
}

/// A write with `Any` over another full key's record is done.
pub async fn another_keys_record_is_overwritten(trial: &Trial) {
    let (key, stranger, record) = (hashed(trial), stranger(trial), value("ours"));
    trial.put(&stranger, &value("theirs")).await;
    trial.put(&key, &record).await;
    same(&trial.found(&key).await, &record, trial.granularity());
}

/// Another full key's record counts as nothing: `Absent` is met and its version refused.
pub async fn another_keys_record_counts_as_nothing(trial: &Trial) {
    let (key, stranger, record) = (hashed(trial), stranger(trial), value("ours"));
    let theirs = value("theirs");
    trial.put(&stranger, &theirs).await;
    refused_by_nothing(trial.write(&key, &record, version(&theirs)).await);
    done(&trial.write(&key, &record, Expect::Absent).await);
    same(&trial.found(&key).await, &record, trial.granularity());
}

/// Names that are patterns, prefixes or quotes somewhere.
pub(super) const NEIGHBOURS: [&str; 10] =
    ["a", "ab", "a*", "a?", "[a]", "a:b", "\\a", "%", "_", ""];

/// Writes all records before the first is read, so that a clash is found.
async fn round_trip(trial: &Trial, keys: Vec<Key>) {
    let records: Vec<_> = (0..keys.len()).map(|index| value(index.to_string())).collect();
    for (key, record) in keys.iter().zip(&records) {
        trial.put(key, record).await;
    }
    for (key, record) in keys.iter().zip(&records) {
        same(&trial.found(key).await, record, trial.granularity());
    }
    for key in &keys {
        done(&trial.delete(key, Expect::Any).await);
        assert!(trial.read(key).await.is_none(), "{key:?}");
    }
}

fn hashed(trial: &Trial) -> Key {
    trial.key("a key with spaces")
}

/// Returns a key with the name of the hashed key, as if two keys had one digest.
fn stranger(trial: &Trial) -> Key {
    let full = trial.key("another key with spaces").full().to_vec();
    Key::from_stored(hashed(trial).name_bytes(), Some(Bytes::from(full)))
}
