//! Listing by prefix.

use std::collections::BTreeMap;

use larder_core::{Backend, Class, ErrorKind, Expect, Header, Key, Write};

use super::Trial;
use super::check::{assert_duration, done, one_of_each_kind, value, value_for};
use super::keys::NEIGHBOURS;

/// A scan meets every live record under the prefix, with its header, and nothing else.
pub async fn a_scan_meets_every_kind(trial: &Trial) {
    let records = one_of_each_kind();
    for record in &records {
        trial.put(&trial.key(format!("{:?}", record.header.kind)), record).await;
    }
    let met = scan(trial, trial.namespace("suite").prefix(), 2).await;
    assert_eq!(met.len(), records.len(), "{met:?}");
    for record in &records {
        let header = met.get(&trial.key(format!("{:?}", record.header.kind))).expect("it is met");
        assert_eq!(header.kind, record.header.kind);
        assert_eq!(header.version, record.header.version);
        let lives = (header.times.kept_for, record.header.times.kept_for);
        assert_duration(lives.0, lives.1, trial.granularity());
    }
}

/// A scan of nothing ends with nothing.
pub async fn a_scan_of_nothing_ends(trial: &Trial) {
    assert!(scan(trial, trial.namespace("nobody").prefix(), 10).await.is_empty());
}

/// A scan skips deleted and dead records.
pub async fn a_scan_skips_the_deleted_and_the_dead(trial: &Trial) {
    let (kept, gone, dead) = (trial.key("kept"), trial.key("gone"), trial.key("dead"));
    trial.put(&kept, &value("soup")).await;
    trial.put(&gone, &value("soup")).await;
    trial.put(&dead, &value_for("soup", trial.moment())).await;
    done(&trial.delete(&gone, Expect::Any).await);
    trial.outlive(trial.moment()).await;
    let met = scan(trial, trial.namespace("suite").prefix(), 10).await;
    assert_eq!(met.keys().collect::<Vec<_>>(), [&kept]);
}

/// A scan tells the full key of records that are named by a digest.
pub async fn a_scan_tells_full_keys(trial: &Trial) {
    let texts = [&b"plain"[..], b"a b", b"\0", &[b'x'; 5_000]];
    for text in texts {
        trial.put(&trial.key(text), &value("soup")).await;
    }
    let met = scan(trial, trial.namespace("suite").prefix(), 10).await;
    assert_eq!(met.len(), texts.len());
    for text in texts {
        assert!(met.contains_key(&trial.key(text)), "{}", text.escape_ascii());
    }
}

/// A scan of a namespace never meets a neighbour, whatever their names.
pub async fn a_scan_never_meets_a_neighbour(trial: &Trial) {
    for name in NEIGHBOURS {
        for key in neighbour_keys(trial, name) {
            trial.put(&key, &value(name)).await;
        }
    }
    for name in NEIGHBOURS {
        let met = scan(trial, trial.namespace(name).prefix(), 2).await;
        assert_eq!(met.into_keys().collect::<Vec<_>>(), neighbour_keys(trial, name), "{name:?}");
    }
}

/// A scan of a class meets that class alone.
pub async fn a_scan_keeps_to_its_class(trial: &Trial) {
    let namespace = trial.namespace("suite");
    for class in [Class::Entry, Class::Tag, Class::Lock] {
        trial.put(&Key::new(&namespace, class, b"dish"), &value("soup")).await;
    }
    let met = scan(trial, &namespace.class_prefix(Class::Tag), 10).await;
    let tag = Key::new(&namespace, Class::Tag, b"dish");
    assert_eq!(met.into_keys().collect::<Vec<_>>(), [tag]);
}

/// Records that are there all along are met, while others come and go between the pages.
pub async fn a_scan_meets_what_stays_while_others_come_and_go(trial: &Trial) {
    let staying: Vec<_> = (0..2_500).map(|index| trial.key(format!("stays-{index}"))).collect();
    let passing: Vec<_> = (0..500).map(|index| trial.key(format!("goes-{index}"))).collect();
    put_all(trial, &staying).await;
    put_all(trial, &passing).await;
    let namespace = trial.namespace("suite");
    let (mut met, mut cursor, mut page_count) = (BTreeMap::new(), None, 0_usize);
    loop {
        let page = trial.backend().scan(namespace.prefix(), cursor, 100).await.expect("a page");
        // A cursor may be the name of the last record of a page: that record is deleted, if it may.
        if let Some(last) = page.records.last().filter(|last| passing.contains(&last.key)) {
            done(&trial.delete(&last.key, Expect::Any).await);
        }
        for scanned in page.records {
            assert!(scanned.key.name().starts_with(namespace.prefix()), "{:?}", scanned.key);
            met.insert(scanned.key, scanned.header);
        }
        if let Some(key) = passing.get(page_count) {
            done(&trial.delete(key, Expect::Any).await);
        }
        trial.put(&trial.key(format!("comes-{page_count}")), &value("soup")).await;
        page_count += 1;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        assert!(page_count < 50_000, "the scan does not end");
    }
    assert!(page_count > 1, "2,500 records are more than one page of 100");
    let missed = staying.iter().filter(|key| !met.contains_key(key)).count();
    assert_eq!(missed, 0, "records that were there all along were missed");
}

/// Without the capability, a scan fails with `Unsupported`.
pub async fn a_scan_is_unsupported(trial: &Trial) {
    trial.put(&trial.key("dish"), &value("soup")).await;
    let answer = trial.backend().scan(trial.namespace("suite").prefix(), None, 10).await;
    assert_eq!(answer.expect_err("no scan is claimed").kind(), ErrorKind::Unsupported);
}

/// Returns the records on all pages of a scan.
pub(super) async fn scan(trial: &Trial, prefix: &[u8], limit: usize) -> BTreeMap<Key, Header> {
    let (mut met, mut cursor) = (BTreeMap::new(), None);
    for _ in 0..50_000 {
        let page = trial.backend().scan(prefix, cursor, limit).await.expect("a page");
        met.extend(page.records.into_iter().map(|scanned| (scanned.key, scanned.header)));
        cursor = page.next;
        if cursor.is_none() {
            return met;
        }
    }
    panic!("the scan does not end");
}

async fn put_all(trial: &Trial, keys: &[Key]) {
    for chunk in keys.chunks(500) {
        let writes: Vec<_> = chunk
            .iter()
            .map(|key| Write { key: key.clone(), record: value("soup"), expect: Expect::Any })
            .collect();
        trial.backend().write(&writes).await.iter().for_each(done);
    }
}

fn neighbour_keys(trial: &Trial, name: &str) -> Vec<Key> {
    let namespace = trial.namespace(name);
    [&b"1"[..], b"2", b"3"].map(|text| Key::new(&namespace, Class::Entry, text)).into()
}
