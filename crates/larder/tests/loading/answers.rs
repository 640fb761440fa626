//! Answers of a loader: absences, unchanged values, lives and tags, and when one is not kept.

use std::sync::Arc;
use std::time::Duration;

use larder::backend::ErrorKind;
use larder::{Event, Load, Loaded, Options};
use larder_test_support::{Told, in_time, on_all, on_shared, secs, settle};

use crate::support::{Refused, Source, gate};

#[test]
fn a_known_absence_is_kept_for_its_own_ttl_and_is_none_for_who_has_a_value() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().absent_ttl(secs(3)).build().unwrap();
        let source = Source::default();
        let find = || {
            let source = source.clone();
            cache.optionally_get_with("a", || async move {
                source.next();
                None
            })
        };
        for _ in 0..3 {
            assert_eq!(find().await.unwrap(), None);
        }
        assert_eq!(source.loads(), 1);
        rig.advance(3);
        assert_eq!(find().await.unwrap(), None);
        assert_eq!(source.loads(), 2);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 3, "a loader that always has one");
        assert_eq!(find().await.unwrap(), Some(3));
    });
}

#[test]
fn without_an_absent_ttl_an_absence_is_not_kept_and_takes_away_what_was_there() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        rig.advance(10);
        let absent = |_| async { Ok::<_, Refused>(Loaded::absent()) };
        assert_eq!(cache.load("a", absent).await.unwrap(), None);
        assert!(!cache.is_known_absent("a").await.unwrap());
        assert!(cache.entry_info("a").await.unwrap().is_none());
        assert!(rig.store.is_none() || rig.record("a").is_none());
    });
}

/// Broken once: the caller's loader was dropped with the load that another process's absence
/// answered.
#[test]
fn who_always_has_a_value_loads_past_the_absence_it_waited_for() {
    on_shared(async |rig| {
        let build = || rig.builder::<String, u32>().absent_ttl(secs(9)).build().unwrap();
        let (cache, other) = (build(), build());
        let gate = gate();
        let opened = Arc::clone(&gate);
        let finder = tokio::spawn(async move {
            let none = || async move {
                opened.acquire().await.unwrap().forget();
                None
            };
            other.optionally_get_with("a", none).await
        });
        settle().await;
        let waiter = tokio::spawn(async move { cache.get_with("a", || async { 7 }).await });
        settle().await;
        gate.add_permits(1);
        assert_eq!(in_time(finder).await.unwrap().unwrap(), None);
        while !waiter.is_finished() {
            rig.clock.advance(Duration::from_millis(50));
            settle().await;
        }
        assert_eq!(waiter.await.unwrap().unwrap(), 7);
    });
}

#[test]
fn not_modified_gives_the_stale_value_a_new_life() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        rig.advance(10);
        let loader = |load: Load<String, u32>| async move {
            assert_eq!((load.key.as_str(), load.stale), ("a", Some(7)));
            Ok::<_, Refused>(Loaded::not_modified())
        };
        assert_eq!(cache.load("a", loader).await.unwrap(), Some(7));
        assert_eq!(cache.entry_info("a").await.unwrap().unwrap().ttl_left, secs(10));
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
        if rig.store.is_some() {
            let other = rig.builder::<String, u32>().build().unwrap();
            assert_eq!(other.get("a").await.unwrap(), Some(7));
        }
    });
}

#[test]
fn not_modified_without_a_stale_value_is_the_loaders_failure() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let loader = |_| async { Ok::<_, Refused>(Loaded::not_modified()) };
        let error = cache.load("a", loader).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Loader);
        assert!(rig.store.is_none() || rig.record("a").is_none());
    });
}

#[test]
fn ttl_and_tags_come_from_the_options_and_from_the_answer() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(100)).build().unwrap();
        let tagged = cache.with(Options::new().tags(["early"]));
        let load = |key: &'static str| {
            let answer =
                |_| async { Ok::<_, Refused>(Loaded::new(7).ttl(secs(9)).tags(["late", "early"])) };
            let tagged = tagged.clone();
            async move { tagged.load(key, answer).await.unwrap() }
        };
        for tag in ["early", "late"] {
            assert_eq!(load("a").await, Some(7));
            let info = cache.entry_info("a").await.unwrap().unwrap();
            let mut tags: Vec<_> = info.tags.iter().map(|tag| &**tag).collect();
            tags.sort_unstable();
            assert_eq!((info.ttl_left, tags), (secs(9), vec!["early", "late"]));
            cache.invalidate_tag("other").await.unwrap();
            assert_eq!(cache.get("a").await.unwrap(), Some(7));
            cache.invalidate_tag(tag).await.unwrap();
            assert_eq!(cache.get("a").await.unwrap(), None);
        }
    });
}

#[test]
fn a_late_tag_is_not_kept_if_any_tag_changed_during_the_load() {
    on_all(async |rig| {
        let told = Told::default();
        let cache = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        let changer =
            if rig.store.is_some() { rig.builder().build().unwrap() } else { cache.clone() };
        let loader = |_| async move {
            changer.invalidate_tag("late").await.unwrap();
            Ok::<_, Refused>(Loaded::new(7).tags(["late"]))
        };
        assert_eq!(cache.load("a", loader).await.unwrap(), Some(7));
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::LoadOvertaken)), 1);
        assert!(rig.store.is_none() || rig.record("a").is_none());
    });
}

#[test]
fn a_load_that_a_change_overtakes_is_answered_not_kept_and_told() {
    on_all(async |rig| {
        let told = Told::default();
        let cache = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        let changer = cache.clone();
        let loader = || async move {
            changer.invalidate("a").await.unwrap();
            1
        };
        assert_eq!(cache.get_with("a", loader).await.unwrap(), 1);
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::LoadOvertaken)), 1);
    });
}
