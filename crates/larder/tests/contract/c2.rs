//! The application's cache manager.

use larder::backend::{ErrorKind, NEVER};
use larder::{Event, LocalCache, Reach, Ttl};
use larder_testkit::{Fault, Operation};

use crate::support::{Told, on_all, on_shared, secs};

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
        let mut answers = Vec::new();
        for key in ["none", "never", "ten"] {
            answers.push(cache.entry_info(key).await.unwrap().map(|info| info.ttl_left));
        }
        assert_eq!(answers, [None, Some(NEVER), Some(secs(6))]);
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
