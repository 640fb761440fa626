//! The application's cache manager.

use larder::backend::{ErrorKind, NEVER};
use larder::{Cache, Event, LocalCache, Reach, Ttl};
use larder_test_support::{Told, entry, on_all, on_shared, secs};
use larder_testkit::{Fault, Operation};

#[test]
fn c2_1_get_is_the_value_or_none_if_missing_or_expired() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        assert_eq!(cache.get("a").await.unwrap(), None);
        cache.insert("a".into(), 7).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
        rig.advance(10);
        assert_eq!(cache.get("a").await.unwrap(), None);
    });
}

#[test]
fn c2_2_a_write_has_its_own_ttl_or_the_default() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        assert_eq!(cache.insert("a".into(), 1).await.unwrap(), Reach::Confirmed);
        cache.with(secs(3)).insert("b".into(), 2).await.unwrap();
        cache.with(secs(3)).with(Ttl::Default).insert("c".into(), 3).await.unwrap();
        rig.advance(3);
        assert_eq!(cache.get("a").await.unwrap(), Some(1));
        assert_eq!(cache.get("b").await.unwrap(), None);
        assert_eq!(cache.get("c").await.unwrap(), Some(3));
        rig.advance(7);
        assert_eq!((cache.get("a").await.unwrap(), cache.get("c").await.unwrap()), (None, None));
    });
}

#[test]
fn c2_2_a_backends_failure_is_told_and_no_error_but_in_strict_mode() {
    on_shared(async |rig| {
        let told = Told::default();
        let lenient = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        let strict = rig.builder::<String, u32>().strict(true).build().unwrap();
        rig.store().every(Operation::Write, Fault::Fail(ErrorKind::Unavailable));
        assert_eq!(lenient.insert("a".into(), 7).await.unwrap(), Reach::Local);
        assert_eq!(told.count(|event| matches!(event, Event::NotConfirmed(_))), 1);
        let error = strict.insert("a".into(), 7).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    });
}

#[test]
fn c2_3_a_delete_tells_whether_there_was_something() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        let other = rig.builder::<String, u32>().build().unwrap();
        assert_eq!(cache.remove("a").await.unwrap(), None);
        cache.insert("a".into(), 7).await.unwrap();
        assert_eq!(cache.remove("a").await.unwrap(), Some(7));
        assert_eq!(cache.remove("a").await.unwrap(), None);
        assert_eq!(other.get("a").await.unwrap(), None);
        cache.insert("a".into(), 8).await.unwrap();
        if rig.store.is_some() {
            assert_eq!(other.remove("a").await.unwrap(), Some(8), "from the store");
        } else {
            rig.advance(10);
        }
        assert_eq!(cache.remove("a").await.unwrap(), None);
    });
    let local = LocalCache::<String, u32>::new(9);
    local.insert("a".into(), 7);
    assert_eq!((local.remove("a"), local.remove("a")), (Some(7), None));
}

#[test]
fn c2_3_of_all_who_remove_at_once_one_gets_the_value() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let cache = cache.clone();
                tokio::spawn(async move { cache.remove("a").await.unwrap() })
            })
            .collect();
        let mut taken = 0;
        for task in tasks {
            taken += usize::from(task.await.unwrap() == Some(7));
        }
        assert_eq!(taken, 1);
    });
}

#[test]
fn c2_4_exists_means_there_and_not_expired() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(9)).build().unwrap();
        assert!(!cache.contains_key("a").await.unwrap());
        cache.insert("a".into(), 7).await.unwrap();
        assert!(cache.contains_key("a").await.unwrap());
        let other = rig.builder::<String, u32>().build().unwrap();
        assert_eq!(other.contains_key("a").await.unwrap(), rig.store.is_some());
        rig.advance(10);
        assert!(!cache.contains_key("a").await.unwrap());
        assert!(!other.contains_key("a").await.unwrap());
    });
}

#[test]
fn c2_5_clear_takes_what_a_glob_means_or_everything_and_tells_how_many() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        let other = rig.builder::<String, u32>().namespace("other").build().unwrap();
        other.insert("user:1".into(), 1).await.unwrap();
        for key in ["user:1", "user:2", "team:1"] {
            cache.insert(key.into(), 1).await.unwrap();
        }
        cache.with(secs(5)).insert("user:short".into(), 1).await.unwrap();
        rig.advance(5);
        assert_eq!(cache.clear("user:*").await.unwrap(), 2, "one had expired");
        assert_eq!(cache.get("team:1").await.unwrap(), Some(1));
        assert_eq!(cache.clear("*").await.unwrap(), 1);
        assert_eq!(cache.clear("*").await.unwrap(), 0);
        assert_eq!(other.get("user:1").await.unwrap(), Some(1));
    });
}

#[test]
fn c2_6_get_many_holds_only_the_keys_that_were_found() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        cache.with(secs(5)).insert("short".into(), 2).await.unwrap();
        rig.advance(5);
        let found = cache.get_many(["a", "short", "none", "a"]).await.unwrap();
        assert_eq!(found.into_result().unwrap(), [("a".to_owned(), 1)].into());
    });
}

#[test]
fn c2_7_set_many_has_a_ttl_for_each_and_tells_how_many_were_stored() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let ttls = [Ttl::Never, Ttl::For(secs(5)), Ttl::For(secs(10))];
        let entries = ["a", "b", "c"].map(str::to_owned).into_iter().zip(ttls);
        let stored = cache.insert_many(entries.map(|(key, ttl)| (key, 1, ttl))).await.unwrap();
        assert_eq!(stored.len(), 3);
        rig.advance(5);
        assert_eq!(cache.get_many(["a", "b", "c"]).await.unwrap().len(), 2);
        rig.advance(5);
        assert_eq!(cache.get_many(["a", "b", "c"]).await.unwrap().len(), 1);
    });
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().strict(true).build().unwrap();
        let fault = Fault::Fail(ErrorKind::Unavailable);
        rig.store().every_where(Operation::Write, fault, |key| *key == entry("b"));
        let entries = ["a", "b", "c"].map(|key| (key.to_owned(), 1));
        let stored = cache.insert_many(entries).await.unwrap();
        assert_eq!((stored.len(), stored.failures().count()), (2, 1), "partial success");
    });
}

#[test]
fn c2_8_delete_many_tells_how_many_were_deleted() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let entries = ["a", "b"].map(|key| (key.to_owned(), 1));
        assert_eq!(cache.insert_many(entries).await.unwrap().len(), 2);
        assert_eq!(cache.remove_many(["a", "b", "c"]).await.unwrap().len(), 2);
        assert_eq!(cache.remove_many(["a", "b", "c"]).await.unwrap().len(), 0);
    });
}

#[test]
fn c2_9_exists_many_has_an_answer_for_every_key() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        let answers = cache.contains_many(["a", "b"]).await.unwrap().into_result().unwrap();
        assert_eq!(answers, [("a".to_owned(), true), ("b".to_owned(), false)].into());
    });
}

#[test]
fn c2_10_keys_are_counted_by_a_glob() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        for key in ["user:1", "user:2", "user:30", "team:1", "a*"] {
            cache.insert(key.into(), 1).await.unwrap();
        }
        for (glob, count) in
            [("*", 5), ("user:?", 2), ("user:[^1]*", 2), ("team", 0), ("a\\*", 1), ("", 0)]
        {
            assert_eq!(cache.count(glob).await.unwrap(), count, "{glob}");
        }
    });
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        rig.store().every(Operation::Scan, Fault::Fail(ErrorKind::Unsupported));
        assert_eq!(cache.count("*").await.unwrap_err().kind(), ErrorKind::Unsupported);
    });
}

#[test]
fn c2_11_get_or_set_is_the_present_value_or_the_stored_one() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let set =
            async |value| cache.with(secs(10)).get_with("a", move || async move { value }).await;
        assert_eq!((set(1).await.unwrap(), set(2).await.unwrap()), (1, 1));
        rig.advance(10);
        assert_eq!(set(3).await.unwrap(), 3);
    });
}

#[test]
fn c2_12_increments_are_atomic_and_a_value_that_is_no_number_stays() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let other = rig.builder::<String, u32>().build().unwrap();
        let other = if rig.store.is_some() { other } else { cache.clone() };
        let tasks: Vec<_> = (0..20)
            .map(|task| {
                let cache = if task % 2 == 0 { cache.clone() } else { other.clone() };
                tokio::spawn(async move { cache.incr("n", 1 - task % 3).await.unwrap() })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(cache.counter("n").await.unwrap(), Some(1));
        assert_eq!(cache.incr("from nothing", -4).await.unwrap(), -4);
        cache.insert("text".into(), 7).await.unwrap();
        assert_eq!(cache.incr("text", 1).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(cache.get("text").await.unwrap(), Some(7));
    });
}

#[test]
fn c2_13_set_if_not_exists_is_atomic_and_takes_the_expired_for_absent() {
    on_all(async |rig| {
        let cache = rig.builder::<String, usize>().ttl(secs(10)).grace(secs(9)).build().unwrap();
        let other = rig.builder::<String, usize>().ttl(secs(10)).build().unwrap();
        let tasks: Vec<_> = (0..64)
            .map(|number| {
                let is_other = rig.store.is_some() && number % 2 == 0;
                let cache = if is_other { other.clone() } else { cache.clone() };
                tokio::spawn(async move { cache.insert_if_absent("a".into(), number).await })
            })
            .collect();
        let mut winners = Vec::new();
        for (number, task) in tasks.into_iter().enumerate() {
            if task.await.unwrap().unwrap() {
                winners.push(number);
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(cache.get("a").await.unwrap(), Some(winners[0]));
        rig.advance(10);
        assert!(cache.insert_if_absent("a".into(), 99).await.unwrap(), "stale is absent");
        assert!(!cache.insert_if_absent("a".into(), 100).await.unwrap());
        assert_eq!(cache.get("a").await.unwrap(), Some(99));
    });
    let local = LocalCache::<String, u32>::new(9);
    assert!(local.insert_if_absent("a".into(), 7, Ttl::Default));
    assert!(!local.insert_if_absent("a".into(), 8, Ttl::Default));
    assert_eq!(local.get("a"), Some(7));
}

#[test]
fn c2_14_the_ttl_is_absent_endless_or_what_remains() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("never".into(), 1).await.unwrap();
        cache.with(secs(10)).insert("ten".into(), 2).await.unwrap();
        rig.advance(4);
        let (mut answers, mut infos) = (Vec::new(), Vec::new());
        for key in ["none", "never", "ten"] {
            answers.push(cache.ttl(key).await.unwrap());
            infos.push(cache.entry_info(key).await.unwrap().map(|info| info.ttl_left));
        }
        assert_eq!(answers, [None, Some(Ttl::Never), Some(Ttl::For(secs(6)))]);
        assert_eq!(infos, [None, Some(NEVER), Some(secs(6))]);
    });
}

#[test]
fn c2_15_a_new_ttl_is_refused_for_what_is_absent_or_expired() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        assert!(!cache.set_ttl("a", secs(5)).await.unwrap());
        cache.insert("a".into(), 7).await.unwrap();
        assert!(cache.set_ttl("a", secs(20)).await.unwrap());
        rig.advance(15);
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
        let other = rig.builder::<String, u32>().build().unwrap();
        assert_eq!(other.get("a").await.unwrap(), rig.store.is_some().then_some(7));
        assert!(cache.set_ttl("a", Ttl::Never).await.unwrap());
        rig.advance(1_000);
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
        assert!(cache.set_ttl("a", secs(1)).await.unwrap());
        rig.advance(1);
        assert!(!cache.set_ttl("a", secs(5)).await.unwrap(), "stale, though still kept");
        assert_eq!(cache.get("a").await.unwrap(), None);
    });
    let local = LocalCache::<String, u32>::new(9);
    assert!(!local.set_ttl("a", secs(5)));
    local.insert("a".into(), 7);
    assert!(local.set_ttl("a", secs(5)));
}

#[test]
fn c2_15_a_ttl_of_zero_takes_the_entry_away() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        assert!(cache.set_ttl("a", secs(0)).await.unwrap());
        assert!(cache.entry_info("a").await.unwrap().is_none());
    });
}

/// Runs an application's calls of a cache manager, over any set-up.
async fn manage(cache: &Cache<String, u32>) -> (u64, u64, Option<u32>) {
    cache.insert("a".into(), 1).await.unwrap();
    cache.with(secs(60)).insert("b".into(), 2).await.unwrap();
    cache.incr("n", 3).await.unwrap();
    let count = cache.count("*").await.unwrap();
    (count, cache.clear("[an]").await.unwrap(), cache.get("b").await.unwrap())
}

#[test]
fn c2_16_implementations_are_interchangeable_behind_one_type() {
    on_all(async |rig| {
        let cache: Cache<String, u32> = rig.builder().build().unwrap();
        assert_eq!(manage(&cache).await, (3, 2, Some(2)));
    });
}
