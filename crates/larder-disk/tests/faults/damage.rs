//! F02, F03, F04: bytes that nobody wrote are never taken for a value, and the rest is kept.

use std::fs;
use std::time::Duration;

use larder_core::ErrorKind;
use larder_disk::DiskEvent;

use crate::child::{Child, Watch, tell};
use crate::store::{Files, Folder, Store};

/// Makes a store of small, middling and large values under plain and hashed keys, closed.
fn mixed() -> Files {
    let folder = Folder::quick();
    let store = Store::open(folder.config()).unwrap();
    for (key, length) in mixed_keys() {
        assert!(store.put(&key, 1, length).is_done());
    }
    drop(store);
    Files::of(&folder)
}

fn mixed_keys() -> Vec<(String, usize)> {
    let small = (0..60).map(|number| (format!("small-{number}"), 46));
    let hashed = (0..10).map(|number| (format!("a hashed key {number}"), 500));
    let middling = (0..10).map(|number| (format!("middling-{number}"), 6_000));
    let large = [("large".to_owned(), 200_000)];
    small.chain(hashed).chain(middling).chain(large).collect()
}

/// Opens spoiled files: every key is a miss or right, and the store works afterwards.
fn judge(files: &Files, folder: &Folder, what: &str) -> Option<Store> {
    files.put_into(folder);
    let watch = Watch::start();
    let opened = Store::open(folder.config());
    assert!(watch.passed() < Duration::from_secs(5), "{what}: opened too late");
    let store = match opened {
        Ok(store) => store,
        // One clear error tells whose database it is, or of which version.
        Err(error) => {
            let is_clear = matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput);
            assert!(is_clear, "{what}: {error:?}");
            return None;
        }
    };
    let mut damaged = 0;
    for (key, _) in mixed_keys() {
        match store.get(&key) {
            Ok(Some(version)) => assert_eq!(version, 1, "{what}"),
            Ok(None) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Codec, "{what}: {error:?}");
                damaged += 1;
                store.settle();
                let again = store.get(&key);
                assert!(again.as_ref().is_ok_and(Option::is_none), "{what}: {again:?} again");
            }
        }
    }
    let events = store.events();
    let told = events.iter().filter(|event| **event == DiskEvent::Damaged).count();
    let is_set_aside = events.iter().any(|event| matches!(event, DiskEvent::SetAside { .. }));
    assert!(told == damaged || is_set_aside && told < damaged, "{what}: {events:?}");
    let outcome = store.put("small-0", 2, 46);
    assert!(outcome.is_done(), "{what}: {outcome:?}");
    assert_eq!(store.get("small-0").unwrap(), Some(2), "{what}");
    Some(store)
}

fn truncate(lengths: impl Iterator<Item = usize>) {
    let (whole, folder) = (mixed(), Folder::quick());
    for length in lengths {
        let mut files = whole.clone();
        files.database().truncate(length);
        assert!(judge(&files, &folder, &format!("cut at {length}")).is_some());
    }
}

#[test]
fn f02_a_database_cut_short_anywhere_is_a_miss_or_right() {
    let length = mixed().database().len();
    let mut random = fastrand::Rng::with_seed(2);
    let anywhere = (0..200).map(|_| random.usize(0..length)).collect::<Vec<_>>();
    let edges = (0..=length / 4_096).flat_map(|page| [page * 4_096, page * 4_096 + 1]);
    truncate(edges.filter(|cut| *cut < length).chain(0..110).chain(anywhere));
}

#[test]
#[ignore = "takes minutes"]
fn f02_a_database_cut_short_at_thousands_of_places_is_a_miss_or_right() {
    let length = mixed().database().len();
    // Cut at every byte of the header and of one record's page, and at every seventh elsewhere.
    truncate((0..100).chain(16_384..20_480).chain((0..length.min(60_000)).step_by(7)));
}

/// Runs in a process of its own, so that the measured memory is that of this test only.
pub(crate) fn flip(seed: u64, count: usize) {
    let (whole, folder) = (mixed(), Folder::quick());
    let mut random = fastrand::Rng::with_seed(seed);
    judge(&whole, &folder, "whole").unwrap();
    let before = peak_memory();
    for round in 0..count {
        let mut files = whole.clone();
        let database = files.database();
        // Half of the flips are where the structure is, the others anywhere.
        let end = if round % 2 == 0 { database.len() } else { 14 * 4_096 };
        let (place, bit) = (random.usize(0..end), random.u8(0..8));
        database[place] ^= 1 << bit;
        let is_refusable = (60..64).contains(&place) || (68..72).contains(&place);
        let judged = judge(&files, &folder, &format!("bit {bit} of byte {place}"));
        assert!(judged.is_some() || is_refusable, "bit {bit} of byte {place} refused");
    }
    tell(peak_memory() - before);
}

/// Returns the peak memory in kilobytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn f03_a_thousand_flipped_bits_are_misses_in_little_memory() {
    let flippers = [3, 4].map(|seed| Child::start("flip", &[&seed.to_string(), "500"]));
    for flipper in flippers {
        let told = flipper.succeed();
        let kilobytes: u64 = told.first().unwrap().parse().unwrap();
        assert!(kilobytes <= 64 << 10, "{kilobytes} kB");
    }
}

#[test]
fn f03_a_flipped_bit_in_the_log_is_a_miss_or_right() {
    let (origin, folder) = (Folder::quick(), Folder::quick());
    let mut holder = Child::start("hold", &[origin.text()]);
    assert_eq!(holder.hear().unwrap(), "full");
    holder.kill();
    let whole = Files::of(&origin);
    assert!(whole.0["larder.db-wal"].len() > 100_000);
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..150 {
        let mut files = whole.clone();
        let log = files.0.get_mut("larder.db-wal").unwrap();
        let place = random.usize(0..log.len());
        log[place] ^= 1 << random.u8(0..8);
        files.put_into(&folder);
        let store = Store::open(folder.config()).unwrap();
        let found = (0..200).filter(|number| {
            store.get(&format!("log-{number}")).unwrap().is_some_and(|version| version == 1)
        });
        // Records that were committed earlier are there: the log is in order.
        let found = found.collect::<Vec<_>>();
        assert_eq!(found, (0..found.len()).collect::<Vec<_>>());
    }
}
