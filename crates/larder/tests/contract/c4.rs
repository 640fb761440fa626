//! Get-or-set, and lives that begin again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder::backend::NEVER;
use larder::{ErrorKind, LocalCache, Ttl};
use larder_test_support::{on_all, secs};

#[test]
fn c4_1_the_blocking_view_has_the_same_verbs() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let view = cache.blocking();
        view.insert("a".into(), 1).unwrap();
        assert_eq!((view.get("a").unwrap(), cache.get("a").await.unwrap()), (Some(1), Some(1)));
        cache.insert("b".into(), 2).await.unwrap();
        assert_eq!(view.get_many(["a", "b"]).unwrap().len(), 2);
        assert_eq!((view.remove("b").unwrap(), cache.get("b").await.unwrap()), (Some(2), None));
    });
}

#[test]
fn c4_4_get_has_a_default_or_fails_when_asked_to() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        assert_eq!(cache.get_or("a", 3).await.unwrap(), 3);
        assert_eq!(cache.get("a").await.unwrap(), None, "a default is not stored");
        assert_eq!(cache.get_or_err("a").await.unwrap_err().kind(), ErrorKind::NotFound);
        cache.insert("a".into(), 1).await.unwrap();
        let found = (cache.get_or("a", 3).await.unwrap(), cache.get_or_err("a").await.unwrap());
        assert_eq!(found, (1, 1));
        rig.advance(10);
        assert_eq!(cache.get_or_err("a").await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn c4_5_get_or_set_takes_a_value_a_function_or_an_asynchronous_function_of_the_key() {
    on_all(async |rig| {
        let cache = rig.builder::<String, String>().build().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            // A plain value.
            cache.insert_if_absent("value".into(), "value!".into()).await.unwrap();
            assert_eq!(cache.get("value").await.unwrap().unwrap(), "value!");
            // A function of the key.
            let counted = Arc::clone(&calls);
            let made = cache.blocking().load("function", |load| {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok::<_, std::fmt::Error>(format!("{}!", load.key))
            });
            assert_eq!(made.unwrap().unwrap(), "function!");
            // An asynchronous one.
            let counted = Arc::clone(&calls);
            let loader = |load: larder::Load<String, String>| async move {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok::<_, std::fmt::Error>(format!("{}!", load.key))
            };
            assert_eq!(cache.load("async", loader).await.unwrap().unwrap(), "async!");
        }
        assert_eq!(calls.load(Ordering::SeqCst), 2, "each once");
    });
}

#[test]
fn c4_6_the_default_ttl_holds_and_never_overrides_it() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(300)).build().unwrap();
        cache.get_with("default", || async { 1 }).await.unwrap();
        cache.with(Ttl::Never).get_with("never", || async { 2 }).await.unwrap();
        let left = cache.entry_info("default").await.unwrap().unwrap().ttl_left;
        assert_eq!(left, secs(300));
        assert_eq!(cache.entry_info("never").await.unwrap().unwrap().ttl_left, NEVER);
        rig.advance(300);
        assert_eq!(cache.get("default").await.unwrap(), None);
        assert_eq!(cache.get("never").await.unwrap(), Some(2));
    });
}

#[test]
fn c4_7_removing_tells_for_each_key_whether_it_existed() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        for keys in [&["a", "b"][..], &["a", "c"]] {
            cache.insert("a".into(), 1).await.unwrap();
            cache.insert("b".into(), 2).await.unwrap();
            let removed = cache.remove_many(keys.iter().copied()).await.unwrap();
            assert_eq!(removed.len() == keys.len(), keys[1] == "b");
            assert_eq!(cache.get("a").await.unwrap(), None, "removed either way");
        }
    });
}

#[test]
fn c4_8_revive_gives_an_expired_entry_a_new_life_and_returns_its_value() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        assert_eq!(cache.revive("a", secs(5)).await.unwrap(), None, "absent");
        cache.insert("a".into(), 7).await.unwrap();
        rig.advance(30);
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(cache.revive("a", secs(5)).await.unwrap(), Some(7));
        rig.advance(4);
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
        let other = rig.builder::<String, u32>().build().unwrap();
        assert_eq!(other.get("a").await.unwrap(), rig.store.is_some().then_some(7));
        rig.advance(1);
        assert_eq!(cache.get("a").await.unwrap(), None);
        rig.advance(60);
        assert_eq!(cache.revive("a", secs(5)).await.unwrap(), None, "dead");
        assert_eq!(cache.get("a").await.unwrap(), None);
    });
}

#[test]
fn c4_8_touch_begins_the_same_life_again() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        assert!(!cache.touch("a").await.unwrap());
        cache.insert("a".into(), 7).await.unwrap();
        for _ in 0..5 {
            rig.advance(9);
            assert!(cache.touch("a").await.unwrap());
        }
        assert_eq!(cache.entry_info("a").await.unwrap().unwrap().ttl_left, secs(10));
        rig.advance(10);
        assert!(!cache.touch("a").await.unwrap());
    });
}

#[test]
fn c4_9_an_empty_value_is_a_value() {
    on_all(async |rig| {
        let text = rig.builder::<String, String>().build().unwrap();
        text.insert("a".into(), String::new()).await.unwrap();
        assert_eq!(text.get("a").await.unwrap().as_deref(), Some(""));
        let list = rig.builder::<String, Vec<u8>>().namespace("list").build().unwrap();
        assert_eq!(list.get_with("a", || async { Vec::new() }).await.unwrap(), [0; 0]);
        assert!(list.contains_key("a").await.unwrap());
        if rig.store.is_some() {
            let other = rig.builder::<String, String>().build().unwrap();
            assert_eq!(other.get("a").await.unwrap().as_deref(), Some(""));
        }
    });
    let local = LocalCache::<String, String>::new(9);
    local.insert("a".into(), String::new());
    assert_eq!(local.get("a").as_deref(), Some(""));
}
