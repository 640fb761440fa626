//! F18: keys, weighers and loaders that panic.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use larder::{CacheKey, LocalCache, Reach};
use larder_test_support::{in_time, on_all, secs};
use larder_testkit::ManualClock;

/// A key whose user code panics when its fuse has burnt down.
#[derive(Clone, Debug)]
struct Touchy(u32, Arc<Fuse>);

#[derive(Debug, Default)]
struct Fuse {
    /// The calls until the panic; zero is never.
    left: AtomicU32,
}

impl Fuse {
    fn burn(&self) {
        let burn = |left: u32| left.checked_sub(1);
        let before = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, burn);
        assert!(before != Ok(1), "expected");
    }

    /// Sets the panic to this call. True if the one before never came.
    fn light(&self, calls: u32) -> bool {
        self.left.swap(calls, Ordering::SeqCst) != 0
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        self.1.burn();
        self.0 == other.0
    }
}

impl Eq for Touchy {}

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.burn();
        self.0.hash(state);
    }
}

impl CacheKey for Touchy {
    fn to_text(&self) -> Cow<'_, str> {
        self.1.burn();
        Cow::Owned(self.0.to_string())
    }

    fn from_text(text: &str) -> Option<Self> {
        u32::from_text(text).map(|number| Self(number, Arc::default()))
    }
}

#[test]
fn f18_a_key_that_panics_at_any_call_breaks_nothing() {
    on_all(async |rig| {
        let fuse = Arc::new(Fuse::default());
        let key = Touchy(7, Arc::clone(&fuse));
        // A lease that a panic left is not waited for, because the clock stands still.
        let cache = rig.builder::<Touchy, u32>().wait_for_leases(false).build().unwrap();
        for calls in 1.. {
            assert!(calls < 200);
            cache.invalidate(&key).await.unwrap();
            fuse.light(calls);
            let ask = || {
                let (cache, key) = (cache.clone(), key.clone());
                tokio::spawn(async move {
                    let loader = || async {
                        tokio::task::yield_now().await;
                        1
                    };
                    cache.get_with(&key, loader).await
                })
            };
            let tasks = [ask(), ask(), ask()];
            for task in tasks {
                // A caller whose key panics has a panic or an error, all others the value.
                if let Ok(Ok(value)) = in_time(task).await {
                    assert_eq!(value, 1);
                }
            }
            let changed = tokio::spawn({
                let (cache, key) = (cache.clone(), key.clone());
                async move { cache.insert(key, 2).await }
            });
            drop(in_time(changed).await);
            let was_lit = fuse.light(0);
            assert_eq!(in_time(cache.insert(key.clone(), 3)).await.unwrap(), Reach::Confirmed);
            assert_eq!(cache.get(&key).await.unwrap(), Some(3));
            cache.invalidate(&key).await.unwrap();
            assert_eq!(in_time(cache.get_with(&key, || async { 4 })).await.unwrap(), 4);
            if was_lit {
                break;
            }
        }
    });
}

#[test]
fn f18_a_key_that_panics_breaks_no_local_cache() {
    let fuse = Arc::new(Fuse::default());
    let key = Touchy(7, Arc::clone(&fuse));
    let local = LocalCache::<Touchy, u32>::new(100);
    for calls in 1.. {
        assert!(calls < 200);
        local.invalidate(&key);
        fuse.light(calls);
        let _ = catch_unwind(AssertUnwindSafe(|| local.get_with(&key, || 1)));
        let _ = catch_unwind(AssertUnwindSafe(|| local.insert(key.clone(), 2)));
        let was_lit = fuse.light(0);
        local.insert(key.clone(), 3);
        assert_eq!(local.get(&key), Some(3));
        local.invalidate(&key);
        assert_eq!(local.get_with(&key, || 4), 4);
        if was_lit {
            break;
        }
    }
}

/// A comparison that panics while an entry is put must not leave two entries under one key.
#[test]
fn f18_a_key_that_panics_is_never_there_twice() {
    let fuse = Arc::new(Fuse::default());
    let key = Touchy(7, Arc::clone(&fuse));
    let local = LocalCache::<Touchy, u32>::new(100);
    for calls in 1.. {
        assert!(calls < 200);
        local.insert(key.clone(), 1);
        fuse.light(calls);
        let _ = catch_unwind(AssertUnwindSafe(|| local.insert(key.clone(), 2)));
        let _ = catch_unwind(AssertUnwindSafe(|| local.touch(&key)));
        let _ = catch_unwind(AssertUnwindSafe(|| local.remove(&key)));
        let was_lit = fuse.light(0);
        assert!(local.len() <= 1);
        local.insert(key.clone(), 3);
        assert_eq!(local.get(&key), Some(3));
        assert_eq!(local.remove(&key), Some(3));
        assert_eq!((local.get(&key), local.len()), (None, 0));
        if was_lit {
            break;
        }
    }
}

/// A copy that panics under a shard's lock leaves the shard to the others.
#[test]
fn f18_a_value_that_panics_when_it_is_copied_breaks_no_other_entry() {
    #[derive(Debug)]
    struct Uncopied(bool);
    impl Clone for Uncopied {
        fn clone(&self) -> Self {
            assert!(!self.0, "expected");
            Self(false)
        }
    }
    let clock = ManualClock::new();
    let local = LocalCache::builder().capacity(2).clock(Arc::new(clock.clone())).ttl(secs(10));
    let local: LocalCache<u32, Uncopied> = local.grace(secs(60)).build().unwrap();
    local.insert(1, Uncopied(true));
    local.insert(2, Uncopied(false));
    assert!(catch_unwind(AssertUnwindSafe(|| local.get(&1))).is_err());
    clock.advance(secs(11));
    assert!(catch_unwind(AssertUnwindSafe(|| local.get_stale(&1))).is_err());
    assert!(local.get_stale(&2).is_some());
    local.insert(1, Uncopied(false));
    assert!(local.get(&1).is_some());
}

/// Broken once: the new value was in the store, and the old one was still served from memory.
#[test]
fn f18_a_weigher_that_panics_keeps_no_old_value() {
    on_all(async |rig| {
        let heavy = |_: &String, value: &u32| {
            assert!(*value < 100, "expected");
            1
        };
        let cache = rig.builder::<String, u32>().weigher(heavy).build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        assert_eq!(cache.insert("a".into(), 100).await.unwrap(), Reach::Confirmed);
        assert_eq!(cache.get("a").await.unwrap(), rig.store.is_some().then_some(100));
        cache.invalidate("a").await.unwrap();
        for _ in 0..2 {
            assert_eq!(cache.get_with("a", || async { 100 }).await.unwrap(), 100);
        }
        cache.insert("a".into(), 2).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), Some(2));
        assert!(cache.stats().rejected >= 2);
    });
}

#[test]
fn f18_a_loader_that_panics_leaves_the_local_cache_to_the_next() {
    let local = LocalCache::<u8, u32>::new(9);
    let panics = AssertUnwindSafe(|| local.get_with(&1, || panic!("expected")));
    assert!(catch_unwind(panics).is_err());
    assert_eq!(local.get_with(&1, || 2), 2);
}
