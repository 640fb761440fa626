//! A memory cache that survives a restart.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::backend::{Codec, Error, ErrorKind, NEVER, Result};
use larder::{Cache, CacheBuilder, Event, FileSink, Load, Sink, Snapshot, Ttl};
use larder_test_support::{Folder, MemorySink, Rig, Told, on, on_all, on_shared, secs};
use larder_testkit::{ManualClock, block_on};

/// A cache with a snapshot in this sink: a new process, to the sink.
fn builder(clock: &ManualClock, sink: &MemorySink) -> CacheBuilder<String, u32> {
    Cache::builder().clock(Arc::new(clock.clone())).snapshot(Snapshot::new(sink.clone()))
}

fn filled(clock: &ManualClock, sink: &MemorySink) -> Cache<String, u32> {
    let cache = builder(clock, sink).build().unwrap();
    for (number, key) in (0_u32..).zip(["a", "b", "c"]) {
        block_on(cache.insert(key.to_owned(), number)).unwrap();
    }
    cache
}

fn get(cache: &Cache<String, u32>, key: &str) -> Option<u32> {
    block_on(cache.get(key)).unwrap()
}

fn failures(told: &Told) -> usize {
    told.count(|event| matches!(event, Event::SnapshotFailed(_)))
}

#[test]
fn c1_1_any_synchronous_sink_persists_an_asynchronous_cache() {
    on(Rig::memory(), &async |rig| {
        let sink = MemorySink::default();
        let cache = builder(&rig.clock, &sink).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        assert_eq!(cache.save().await.unwrap(), 1);
        assert_eq!(cache.blocking().save().unwrap(), 1);
        let again = builder(&rig.clock, &sink).build().unwrap();
        assert_eq!(again.get("a").await.unwrap(), Some(7));
    });
}

#[test]
fn c1_2_what_is_loaded_has_its_value_and_its_deadline_or_none() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let cache = builder(&clock, &sink).grace(secs(5)).build().unwrap();
    block_on(cache.insert("never".into(), 1)).unwrap();
    block_on(cache.with(secs(10)).insert("ten".into(), 2)).unwrap();
    block_on(cache.save()).unwrap();
    clock.advance(secs(4));
    let again = builder(&clock, &sink).grace(secs(5)).build().unwrap();
    let info = |key| block_on(again.entry_info(key)).unwrap().unwrap();
    assert_eq!((info("never").ttl_left, info("never").kept_left), (NEVER, NEVER));
    assert_eq!((info("ten").ttl_left, info("ten").kept_left), (secs(6), secs(11)));
    assert_eq!(info("ten").age, Some(secs(4)));
    assert_eq!((get(&again, "never"), get(&again, "ten")), (Some(1), Some(2)));
}

#[test]
fn c1_3_expired_entries_are_filtered_and_nothing_persisted_is_empty() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let told = Told::default();
    let cache = builder(&clock, &sink).on_event(told.observer()).build().unwrap();
    assert!(cache.is_empty());
    block_on(cache.with(secs(1)).insert("a".into(), 1)).unwrap();
    block_on(cache.with(secs(3)).insert("b".into(), 2)).unwrap();
    block_on(cache.save()).unwrap();
    clock.advance(secs(2));
    let again = builder(&clock, &sink).on_event(told.observer()).build().unwrap();
    assert_eq!((again.len(), get(&again, "b")), (1, Some(2)));
    assert_eq!(failures(&told), 0);
}

#[test]
fn c1_4_the_remaining_life_is_saved_and_what_is_dead_is_not() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let cache = builder(&clock, &sink).build().unwrap();
    block_on(cache.with(secs(10)).insert("a".into(), 1)).unwrap();
    block_on(cache.with(larder::Options::new().tags(["t"])).insert("b".into(), 2)).unwrap();
    block_on(cache.insert("c".into(), 3)).unwrap();
    block_on(cache.invalidate_tag("t")).unwrap();
    clock.advance(secs(4));
    assert_eq!(block_on(cache.save()).unwrap(), 2);
    let again = builder(&clock, &sink).build().unwrap();
    assert_eq!(block_on(again.entry_info("a")).unwrap().unwrap().ttl_left, secs(6));
    assert_eq!((get(&again, "b"), get(&again, "c")), (None, Some(3)));
    block_on(cache.invalidate_all()).unwrap();
    assert_eq!(block_on(cache.save()).unwrap(), 0);
}

#[test]
fn c1_4_absences_stale_values_tags_and_costs_come_back() {
    on(Rig::memory(), &async |rig| {
        let sink = MemorySink::default();
        let build =
            || builder(&rig.clock, &sink).ttl(secs(9)).grace(secs(9)).absent_ttl(secs(9)).build();
        let cache = build().unwrap();
        let absent = cache.optionally_get_with("none", || async { None }).await.unwrap();
        assert_eq!(absent, None);
        cache.with(larder::Options::new().tags(["t", "u"])).insert("a".into(), 1).await.unwrap();
        cache.insert("b".into(), 2).await.unwrap();
        cache.mark_stale("b").await.unwrap();
        assert_eq!(cache.save().await.unwrap(), 3);
        let again = build().unwrap();
        let found = again.optionally_get_with("none", || async { Some(7) }).await.unwrap();
        assert_eq!(found, None, "known to be absent");
        assert_eq!(again.get("b").await.unwrap(), None);
        let stale = again.with(larder::Options::new().allow_stale(true));
        assert_eq!(stale.get("b").await.unwrap(), Some(2));
        again.invalidate_tag("u").await.unwrap();
        assert_eq!(stale.get("a").await.unwrap(), None);
    });
}

#[test]
fn c1_5_clear_removes_everything_any_number_of_times() {
    let (clock, folder) = (ManualClock::new(), Folder::new());
    let snapshot = Snapshot::file(folder.path().join("a.snapshot"));
    snapshot.clear().unwrap();
    let build = || {
        let builder = Cache::<String, u32>::builder().snapshot(snapshot.clone());
        builder.clock(Arc::new(clock.clone())).build().unwrap()
    };
    let cache = build();
    block_on(cache.insert("a".into(), 1)).unwrap();
    block_on(cache.save()).unwrap();
    for _ in 0..3 {
        snapshot.clear().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(build().is_empty());
    }
    block_on(cache.save()).unwrap();
    assert_eq!(get(&build(), "a"), Some(1));
}

#[test]
fn c1_6_saves_restores_and_clears_of_one_file_at_once_are_safe() {
    let folder = Folder::new();
    let path = folder.path().join("shared.snapshot");
    std::thread::scope(|scope| {
        for number in 0..4_u32 {
            let path = &path;
            scope.spawn(move || {
                for round in 0..25_u32 {
                    let told = Told::default();
                    let snapshot = Snapshot::file(path);
                    let builder = Cache::<u32, (u32, u32)>::builder().snapshot(snapshot.clone());
                    let cache = builder.on_event(told.observer()).build().unwrap();
                    // A save is whole, except for the later changes of others beside it.
                    let get = |key| cache.blocking().get(&key).unwrap();
                    let found: BTreeSet<_> = (0..50).filter_map(get).collect();
                    assert!(found.len() <= 1, "{found:?}");
                    assert_eq!(told.count(|_| true), 0);
                    for key in 0..50 {
                        cache.blocking().insert(key, (number, round)).unwrap();
                    }
                    cache.blocking().save().unwrap();
                    if (number + round) % 7 == 0 {
                        snapshot.clear().unwrap();
                    }
                }
            });
        }
    });
    let left = fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().contains(".new-")), "{names:?}");
}

#[test]
fn c1_7_a_missing_file_is_an_empty_cache() {
    let (folder, told) = (Folder::new(), Told::default());
    let snapshot = Snapshot::file(folder.path().join("deep/er/a.snapshot"));
    let builder = Cache::<String, u32>::builder().snapshot(snapshot);
    let cache = builder.on_event(told.observer()).build().unwrap();
    assert!(cache.is_empty());
    assert_eq!(failures(&told), 0);
    assert!(!folder.path().exists(), "nothing is made before there is something to save");
}

#[test]
fn c1_8_a_foreign_truncated_or_corrupt_file_is_an_empty_cache_and_an_event() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    block_on(filled(&clock, &sink).save()).unwrap();
    let whole = sink.bytes();
    let spoilt = |bytes: &[u8]| {
        let sink = sink.left();
        sink.change(|kept| kept.snapshot = Some(bytes.to_vec()));
        sink
    };
    let mut others = vec![Vec::new(), b"a letter to somebody".to_vec(), vec![0; 5_000]];
    others.extend((0..whole.len()).map(|length| whole[..length].to_vec()));
    others.extend((0..whole.len()).map(|place| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        bytes
    }));
    others.push([&whole[..], &[0]].concat());
    for bytes in others {
        let (sink, told) = (spoilt(&bytes), Told::default());
        let cache = builder(&clock, &sink).on_event(told.observer()).build().unwrap();
        assert_eq!((cache.len(), failures(&told)), (0, 1), "{} bytes", bytes.len());
        // The cache is of use all the same, and so is its next snapshot.
        block_on(cache.insert("d".into(), 4)).unwrap();
        block_on(cache.save()).unwrap();
        assert_eq!(get(&builder(&clock, &sink).build().unwrap(), "d"), Some(4));
    }
}

#[test]
fn c1_8_another_caches_snapshot_is_nothing_and_an_event() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    block_on(filled(&clock, &sink).save()).unwrap();
    let told = Told::default();
    let other = || builder(&clock, &sink.left()).on_event(told.observer());
    let schema = Snapshot::new(sink.left()).schema(2);
    let caches = [
        other().namespace("other").build().unwrap(),
        other().snapshot(schema).build().unwrap(),
        other().snapshot_with(Snapshot::new(sink.left()), Decimal).build().unwrap(),
    ];
    assert!(caches.iter().all(Cache::is_empty));
    assert_eq!(failures(&told), 3);
}

#[test]
fn c1_8_a_value_of_another_type_is_left_out_and_told() {
    let (clock, sink, told) = (ManualClock::new(), MemorySink::default(), Told::default());
    block_on(filled(&clock, &sink).save()).unwrap();
    let builder = Cache::<String, Vec<String>>::builder().clock(Arc::new(clock.clone()));
    let cache = builder.snapshot(Snapshot::new(sink)).on_event(told.observer()).build().unwrap();
    assert!(cache.is_empty());
    assert_eq!(told.count(|event| matches!(event, Event::Undecodable(_))), 1);
}

#[test]
fn c1_9_the_file_says_when_it_was_saved_and_how_much_life_is_left() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    clock.set_wall(secs(1_000_000));
    let cache = builder(&clock, &sink).build().unwrap();
    block_on(cache.with(secs(100)).insert("a".into(), 1)).unwrap();
    clock.advance(secs(10));
    block_on(cache.save()).unwrap();
    let bytes = sink.bytes();
    assert_eq!(&bytes[..10], b"LARDSNAP\x01\x00");
    assert_eq!(bytes[16..24], 1_000_010_000_000_u64.to_le_bytes());
    // The clocks of another process begin elsewhere, except for the wall clock.
    let other = ManualClock::new();
    other.advance(secs(77_777));
    other.set_wall(secs(1_000_040));
    let again = builder(&other, &sink).build().unwrap();
    assert_eq!(block_on(again.entry_info("a")).unwrap().unwrap().ttl_left, secs(60));
}

#[test]
fn c1_10_a_file_of_layout_0_still_loads() {
    let sink = MemorySink::with(include_bytes!("../data/v0.snapshot"));
    let (clock, told) = (ManualClock::new(), Told::default());
    // The old snapshot was saved at the beginning of 2026.
    clock.set_wall(secs(1_767_225_600 + 20));
    let cache = builder(&clock, &sink).on_event(told.observer()).build().unwrap();
    assert_eq!((get(&cache, "never"), get(&cache, "minute")), (Some(1), Some(2)));
    assert_eq!((get(&cache, "gone"), cache.len()), (None, 2));
    assert_eq!(block_on(cache.entry_info("minute")).unwrap().unwrap().ttl_left, secs(40));
    assert_eq!(failures(&told), 0);
    // No change can be logged beside it, so it was saved anew.
    assert_eq!(&sink.bytes()[..10], b"LARDSNAP\x01\x00");
    block_on(cache.invalidate("never")).unwrap();
    assert_eq!(get(&builder(&clock, &sink).build().unwrap(), "never"), None);
}

#[test]
fn c1_11_life_spent_while_the_process_was_down_is_subtracted() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let cache = builder(&clock, &sink).build().unwrap();
    for (key, seconds) in [("a", 9), ("b", 10), ("c", 11)] {
        block_on(cache.with(secs(seconds)).insert(key.into(), 1)).unwrap();
    }
    block_on(cache.save()).unwrap();
    clock.advance(secs(10));
    let again = builder(&clock, &sink).build().unwrap();
    assert_eq!((get(&again, "a"), get(&again, "b"), get(&again, "c")), (None, None, Some(1)));
    assert_eq!(again.len(), 1);
}

#[test]
fn c1_12_the_rest_ends_when_it_would_have_and_never_stays_never() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let cache = builder(&clock, &sink).build().unwrap();
    block_on(cache.with(secs(10)).insert("a".into(), 1)).unwrap();
    block_on(cache.with(Ttl::Never).insert("b".into(), 2)).unwrap();
    block_on(cache.save()).unwrap();
    clock.advance(secs(4));
    let again = builder(&clock, &sink).build().unwrap();
    clock.advance(Duration::from_micros(5_999_999));
    assert_eq!(get(&again, "a"), Some(1));
    clock.advance(Duration::from_micros(1));
    assert_eq!(get(&again, "a"), None);
    clock.advance(secs(1_000_000_000));
    assert_eq!(get(&builder(&clock, &sink).build().unwrap(), "b"), Some(2));
}

#[test]
fn c1_13_a_save_makes_the_folder_and_leaves_one_file_and_its_log() {
    let folder = Folder::new();
    let path = folder.path().join("deep/er/a.snapshot");
    let cache = Cache::<u32, u32>::builder().snapshot(Snapshot::file(&path)).build().unwrap();
    for round in 0..3 {
        cache.blocking().insert(round, round).unwrap();
        cache.blocking().save().unwrap();
        let names = fs::read_dir(path.parent().unwrap()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!((names.len(), names[0].to_str()), (2, Some("a.snapshot")));
        assert!(names[1].to_str().unwrap().starts_with("a.snapshot.log-"));
    }
}

#[test]
fn c1_14_a_failing_save_is_told_and_leaves_the_old_snapshot() {
    let (clock, sink, told) = (ManualClock::new(), MemorySink::default(), Told::default());
    let snapshot = Snapshot::new(sink.clone()).every(secs(10));
    let cache = builder(&clock, &sink).snapshot(snapshot).on_event(told.observer()).build();
    let cache = cache.unwrap();
    block_on(cache.insert("a".into(), 1)).unwrap();
    clock.advance(secs(10));
    let old = sink.bytes();
    sink.change(|kept| kept.room = Some(old.len() - 1));
    let error = block_on(cache.save()).unwrap_err();
    assert_eq!((error.kind(), failures(&told)), (ErrorKind::NoSpace, 1));
    for round in 2..5 {
        clock.advance(secs(10));
        assert_eq!(failures(&told), round, "once for each save");
    }
    assert_eq!((sink.bytes(), get(&cache, "a")), (old, Some(1)));
    sink.change(|kept| kept.room = None);
    clock.advance(secs(10));
    assert_eq!((failures(&told), sink.change(|kept| kept.saves)), (4, 2));
    assert_eq!(get(&builder(&clock, &sink).build().unwrap(), "a"), Some(1));
}

#[test]
fn c1_14_an_encode_error_is_reported_and_the_rest_is_saved() {
    let (clock, sink, told) = (ManualClock::new(), MemorySink::default(), Told::default());
    let build = || {
        let builder = Cache::<String, u32>::builder().clock(Arc::new(clock.clone()));
        let snapshot = Snapshot::new(sink.clone());
        builder.snapshot_with(snapshot, Decimal).on_event(told.observer()).build().unwrap()
    };
    let cache = build();
    for number in [1, Decimal::BAD, Decimal::WORSE, 4] {
        block_on(cache.insert(number.to_string(), number)).unwrap();
    }
    let error = block_on(cache.save()).unwrap_err();
    assert_eq!((error.kind(), failures(&told)), (ErrorKind::Codec, 1));
    let again = build();
    assert_eq!((again.len(), get(&again, "1"), get(&again, "4")), (2, Some(1), Some(4)));
}

#[test]
fn c1_15_a_wall_clock_that_was_stepped_lengthens_no_life() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    clock.set_wall(secs(2_000_000_000));
    let cache = builder(&clock, &sink).build().unwrap();
    block_on(cache.with(secs(100)).insert("a".into(), 1)).unwrap();
    block_on(cache.insert("never".into(), 2)).unwrap();
    block_on(cache.save()).unwrap();
    for (wall, left) in [(0, 100), (1_999_999_999, 100), (2_000_000_000, 100), (2_000_000_099, 1)] {
        clock.set_wall(secs(wall));
        let again = builder(&clock, &sink).build().unwrap();
        let info = block_on(again.entry_info("a")).unwrap().unwrap();
        assert_eq!(info.ttl_left, secs(left), "at {wall}");
    }
    clock.set_wall(Duration::MAX);
    let again = builder(&clock, &sink).build().unwrap();
    assert_eq!((get(&again, "a"), get(&again, "never")), (None, Some(2)));
}

#[test]
fn c1_16_a_smaller_cache_gets_the_hottest_and_recency_survives() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let build = |capacity, sink: &MemorySink| {
        let builder = Cache::<u32, u32>::builder().clock(Arc::new(clock.clone()));
        builder.capacity(capacity).snapshot(Snapshot::new(sink.clone())).build().unwrap()
    };
    let cache = build(1_000, &sink);
    let at = |cache: &Cache<u32, u32>, key| block_on(cache.get(&key)).unwrap();
    for key in 0..100 {
        block_on(cache.insert(key, key)).unwrap();
    }
    clock.advance(secs(10));
    for key in (0..100).step_by(10) {
        assert_eq!(at(&cache, key), Some(key));
        clock.advance(secs(1));
    }
    block_on(cache.save()).unwrap();
    // The entries used last are there, whatever the order of the inserts was.
    let small = build(10, &sink);
    let kept: Vec<u32> = (0..100).filter(|&key| at(&small, key).is_some()).collect();
    assert_eq!(kept, (0..100).step_by(10).collect::<Vec<_>>());
    // The next snapshot of a cache that nobody has read has the same order.
    let (middle, next) = (build(1_000, &sink), MemorySink::default());
    block_on(middle.save()).unwrap();
    next.change(|kept| *kept = sink.change(|kept| kept.clone()));
    let smaller = build(5, &next);
    let kept: Vec<u32> = (0..100).filter(|&key| at(&smaller, key).is_some()).collect();
    assert_eq!(kept, [50, 60, 70, 80, 90]);
}

#[test]
fn c1_16_an_idle_time_goes_on_while_the_process_is_down() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let build = || builder(&clock, &sink).tti(secs(10)).build().unwrap();
    let cache = build();
    block_on(cache.insert("a".into(), 1)).unwrap();
    clock.advance(secs(5));
    block_on(cache.insert("b".into(), 2)).unwrap();
    block_on(cache.save()).unwrap();
    clock.advance(secs(6));
    let again = build();
    assert_eq!((get(&again, "a"), get(&again, "b")), (None, Some(2)));
}

#[test]
fn c1_16_over_a_backend_what_is_restored_is_compared_first() {
    on_shared(async |rig| {
        let sink = MemorySink::default();
        let build = || {
            let snapshot = Snapshot::new(sink.clone());
            rig.builder::<String, u32>().snapshot(snapshot).build().unwrap()
        };
        let cache = build();
        for (key, value) in [("same", 1), ("changed", 2), ("gone", 3)] {
            cache.insert(key.into(), value).await.unwrap();
        }
        assert_eq!(cache.save().await.unwrap(), 3);
        let other = rig.builder::<String, u32>().build().unwrap();
        other.insert("changed".into(), 20).await.unwrap();
        other.invalidate("gone").await.unwrap();
        let again = build();
        assert_eq!(again.len(), 3);
        assert_eq!(again.get("same").await.unwrap(), Some(1));
        assert_eq!(again.get("changed").await.unwrap(), Some(20));
        assert_eq!(again.get("gone").await.unwrap(), None);
        // Without the backend the snapshot is worth nothing, since no change was logged.
        let told = Told::default();
        let alone = builder(&rig.clock, &sink).on_event(told.observer()).build().unwrap();
        assert_eq!((alone.len(), failures(&told)), (0, 1));
    });
}

#[test]
fn c1_1_it_is_saved_at_its_end_and_on_an_interval_and_ends_with_its_handle() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let saves = || sink.change(|kept| kept.saves);
    let snapshot = Snapshot::new(sink.clone()).every(secs(10));
    let cache = builder(&clock, &sink).snapshot(snapshot.clone()).build().unwrap();
    block_on(cache.insert("a".into(), 1)).unwrap();
    clock.advance(secs(9));
    assert_eq!(saves(), 0);
    clock.advance(secs(1));
    assert_eq!(saves(), 1);
    clock.advance(secs(10));
    assert_eq!(saves(), 2);
    block_on(cache.insert("b".into(), 2)).unwrap();
    block_on(cache.close()).unwrap();
    block_on(cache.close()).unwrap();
    assert_eq!(saves(), 3);
    assert_eq!(block_on(cache.save()).unwrap_err().kind(), ErrorKind::Closed);
    clock.advance(secs(100));
    assert_eq!(saves(), 3);
    let again = builder(&clock, &sink).snapshot(snapshot).build().unwrap();
    assert_eq!((get(&again, "a"), get(&again, "b")), (Some(1), Some(2)));
    drop(again);
    clock.advance(secs(100));
    assert_eq!(saves(), 3, "what is dropped is not saved");
}

#[test]
fn c1_13_a_confirmed_change_is_not_undone_by_a_crash() {
    type Change = fn(&Cache<String, u32>);
    let changes: [(&str, Change, &[&str]); 9] = [
        ("invalidate", |cache| block_on(cache.invalidate("a")).map(|_| ()).unwrap(), &["a"]),
        ("remove", |cache| block_on(cache.remove("b")).map(|_| ()).unwrap(), &["b"]),
        ("insert", |cache| block_on(cache.insert("a".into(), 9)).map(|_| ()).unwrap(), &["a"]),
        ("replace", |cache| block_on(cache.replace("c".into(), 9)).map(|_| ()).unwrap(), &["c"]),
        ("set_ttl", |cache| block_on(cache.set_ttl("c", secs(1))).map(|_| ()).unwrap(), &["c"]),
        ("mark_stale", |cache| block_on(cache.mark_stale("a")).map(|_| ()).unwrap(), &["a"]),
        ("tag", |cache| block_on(cache.invalidate_tag("t")).map(|_| ()).unwrap(), &["t"]),
        ("soft tag", |cache| block_on(cache.mark_tag_stale("t")).map(|_| ()).unwrap(), &["t"]),
        (
            "all",
            |cache| block_on(cache.invalidate_all()).map(|_| ()).unwrap(),
            &["a", "b", "c", "t"],
        ),
    ];
    for (name, change, gone) in changes {
        let (clock, sink, told) = (ManualClock::new(), MemorySink::default(), Told::default());
        let cache = filled(&clock, &sink);
        block_on(cache.with(larder::Options::new().tags(["t"])).insert("t".into(), 5)).unwrap();
        block_on(cache.save()).unwrap();
        change(&cache);
        // The changes hold also if nobody has restored the snapshot in between, and in a second
        // life.
        let killed = sink.left();
        for _ in 0..2 {
            let again = builder(&clock, &killed).on_event(told.observer()).build().unwrap();
            for key in ["a", "b", "c", "t"] {
                assert_eq!(get(&again, key).is_none(), gone.contains(&key), "{name}: {key}");
            }
            block_on(again.invalidate("nothing")).unwrap();
        }
        assert_eq!(failures(&told), 0);
    }
}

#[test]
fn c1_14_a_change_that_cannot_be_noted_removes_the_snapshot_or_is_local_only() {
    let (clock, sink, told) = (ManualClock::new(), MemorySink::default(), Told::default());
    block_on(filled(&clock, &sink).save()).unwrap();
    let cache = builder(&clock, &sink).on_event(told.observer()).build().unwrap();
    sink.change(|kept| kept.is_stuck = true);
    assert_eq!(block_on(cache.invalidate("a")).unwrap(), larder::Reach::Local);
    assert_eq!(failures(&told), 1);
    sink.change(|kept| kept.is_stuck = false);
    assert_eq!(block_on(cache.invalidate("b")).unwrap(), larder::Reach::Confirmed);
    assert!(sink.change(|kept| kept.snapshot.is_none()));
    block_on(cache.save()).unwrap();
    let again = builder(&clock, &sink).build().unwrap();
    assert_eq!((get(&again, "a"), get(&again, "c")), (None, Some(2)));
}

#[test]
fn c1_9_a_clock_without_a_wall_clock_and_an_interval_of_nothing_are_refused() {
    #[derive(Debug)]
    struct Bare(ManualClock);

    impl larder::backend::Clock for Bare {
        fn now(&self) -> larder::backend::Timestamp {
            self.0.now()
        }

        fn sleep(&self, duration: Duration) -> larder::backend::BoxFuture<'static, ()> {
            self.0.sleep(duration)
        }
    }

    let clock = Arc::new(Bare(ManualClock::new()));
    let builder = Cache::<u32, u32>::builder().clock(clock);
    let built = builder.snapshot(Snapshot::new(MemorySink::default())).build();
    assert_eq!(built.unwrap_err().kind(), ErrorKind::Unsupported);
    let _: &dyn Sink = &FileSink::new("a.snapshot");
    let hasty = Snapshot::new(MemorySink::default()).every(secs(0));
    let built = Cache::<u32, u32>::builder().snapshot(hasty).build();
    assert_eq!(built.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// A codec of numbers as text. Two numbers have none.
struct Decimal;

impl Decimal {
    const BAD: u32 = 2;
    const WORSE: u32 = 3;
}

impl Codec<u32> for Decimal {
    fn id(&self) -> u16 {
        0x8001
    }

    fn encode(&self, value: &u32) -> Result<bytes::Bytes> {
        match *value {
            Self::BAD => Err(Error::new(ErrorKind::Codec, "encode", "no such number")),
            Self::WORSE => panic!("no such number at all"),
            _ => Ok(value.to_string().into()),
        }
    }

    fn decode(&self, bytes: &bytes::Bytes) -> Result<u32> {
        let text = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
        text.ok_or_else(|| Error::new(ErrorKind::Codec, "decode", "no number"))
    }
}

#[test]
fn c1_4_counters_come_back_and_a_count_is_not_undone() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let cache = builder(&clock, &sink).build().unwrap();
    assert_eq!(block_on(cache.with(secs(10)).incr("n", 7)).unwrap(), 7);
    block_on(cache.incr("m", -1)).unwrap();
    assert_eq!(block_on(cache.save()).unwrap(), 2);
    clock.advance(secs(4));
    let again = builder(&clock, &sink).build().unwrap();
    let count = |key| block_on(again.counter(key)).unwrap();
    assert_eq!((count("n"), count("m"), get(&again, "n")), (Some(7), Some(-1), None));
    assert_eq!(block_on(again.incr("n", 1)).unwrap(), 8);
    let killed = builder(&clock, &sink.left()).build().unwrap();
    assert_eq!(block_on(killed.counter("n")).unwrap(), None, "not seven again");
    assert_eq!(block_on(killed.counter("m")).unwrap(), Some(-1));
    clock.advance(secs(6));
    assert_eq!(count("n"), None);
}

#[test]
fn c1_13_what_a_pattern_has_cleared_does_not_come_back() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let cache = builder(&clock, &sink).capacity(10).build().unwrap();
    for number in 0..10 {
        block_on(cache.insert(format!("a{number}"), number)).unwrap();
    }
    block_on(cache.save()).unwrap();
    // By now memory has other entries: the cleared ones are in the snapshot alone.
    for number in 0..10 {
        for _ in 0..5 {
            block_on(cache.insert(format!("b{number}"), number)).unwrap();
        }
    }
    block_on(cache.clear("a*")).unwrap();
    let killed = builder(&clock, &sink.left()).build().unwrap();
    assert!(killed.is_empty());
}

#[test]
fn c1_17_a_warm_up_loads_what_is_missing_so_many_at_once() {
    on_all(async |rig| {
        let cache = rig.builder::<u64, u64>().build().unwrap();
        cache.insert(3, 33).await.unwrap();
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let most_at_once = Arc::clone(&most);
        let loader = move |load: Load<u64, u64>| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most_at_once));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                running.fetch_sub(1, Ordering::SeqCst);
                if load.key % 10 == 9 { Err(std::io::Error::other("no")) } else { Ok(load.key) }
            }
        };
        let mut told = Vec::new();
        let warm = cache.warm_up(0..50, 4, loader.clone(), |warm| told.push(warm.done())).await;
        let warm = warm.unwrap();
        assert_eq!((warm.loaded, warm.present, warm.failed.len()), (44, 1, 5));
        assert_eq!(told, (1..=50).collect::<Vec<u64>>());
        assert_eq!(most.load(Ordering::SeqCst), 4);
        assert_eq!(warm.failed[0].0, 9);
        assert_eq!(warm.failed[0].1.kind(), ErrorKind::Loader);
        assert_eq!(cache.get(&3).await.unwrap(), Some(33));
        assert_eq!(cache.get(&48).await.unwrap(), Some(48));
        let again = cache.warm_up(0..50, 100, loader.clone(), |_| {}).await.unwrap();
        assert_eq!((again.loaded, again.present, again.failed.len()), (0, 45, 5));
        let none = cache.warm_up(0..50, 0, loader, |_| {}).await;
        assert_eq!(none.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn c1_17_hits_misses_and_sizes_are_counted() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    block_on(filled(&clock, &sink).save()).unwrap();
    let cache = builder(&clock, &sink).build().unwrap();
    assert_eq!((cache.len(), cache.weight()), (3, 3));
    assert_eq!(cache.stats(), larder::Stats::default(), "what is restored is no hit");
    assert_eq!((get(&cache, "a"), get(&cache, "z")), (Some(0), None));
    assert_eq!((cache.stats().hits, cache.stats().misses), (1, 1));
}

#[test]
fn c1_1_a_cache_that_is_opened_again_is_saved_again_and_one_that_is_not_enabled_never() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let saves = || sink.change(|kept| kept.saves);
    let snapshot = Snapshot::new(sink.clone()).every(secs(10));
    let cache = builder(&clock, &sink).snapshot(snapshot.clone()).build().unwrap();
    block_on(cache.insert("a".into(), 1)).unwrap();
    block_on(cache.close()).unwrap();
    clock.advance(secs(20));
    assert_eq!(saves(), 1);
    assert!(block_on(cache.connect()).unwrap());
    block_on(cache.insert("b".into(), 2)).unwrap();
    clock.advance(secs(20));
    assert_eq!(saves(), 2);
    let off = builder(&clock, &sink).snapshot(snapshot).enabled(false).build().unwrap();
    block_on(off.insert("c".into(), 3)).unwrap();
    assert_eq!((block_on(off.save()).unwrap(), saves()), (0, 2));
}

/// The bytes of a snapshot are documented, and stay as they are.
#[test]
fn c1_10_a_file_of_layout_1_is_decoded_for_ever() {
    let sink = MemorySink::with(include_bytes!("../data/v1.snapshot"));
    let log = include_bytes!("../data/v1.log").to_vec();
    sink.change(|kept| drop(kept.logs.insert("0123456789abcdef0123456789abcdef".into(), log)));
    let (clock, told) = (ManualClock::new(), Told::default());
    clock.set_wall(secs(1_767_225_600 + 20));
    let cache = builder(&clock, &sink).on_event(told.observer()).build().unwrap();
    assert_eq!(failures(&told), 0);
    assert_eq!((get(&cache, "never"), get(&cache, "minute")), (Some(1), Some(2)));
    assert_eq!((get(&cache, "changed"), get(&cache, "tagged")), (None, None));
    let info = block_on(cache.entry_info("minute")).unwrap().unwrap();
    assert_eq!((info.ttl_left, info.kept_left, info.age), (secs(40), secs(70), Some(secs(25))));
    assert_eq!(info.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["a", "b"]);
}
