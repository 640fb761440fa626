//! Forms of functions, and their companions.

use std::fmt;
use std::sync::{Arc, LazyLock};

use larder::{Cache, CacheKey, Reach, cached};

use crate::shop::{Shop, Trouble};
use crate::support::{Rig, everywhere};

#[test]
fn a_function_without_self_and_other_receivers_are_cached() {
    everywhere(async |rig| {
        let shop = Arc::new(Shop::new(&rig));
        assert_eq!(Shop::of(&shop, 1).await, "1, run 1");
        assert_eq!(Shop::of(&shop, 1).await, "1, run 1");
        // `cache` names a skipped parameter, so the companion takes it.
        Shop::of_invalidate(&shop, 1).await.unwrap();
        assert_eq!(shop.shared(1).await, "1, run 2");
        assert_eq!(Arc::clone(&shop).owned(1).await, "1, run 2");
        assert_eq!(Arc::clone(&shop).owned(2).await, "2, run 3");
        assert_eq!(Arc::clone(&shop).owned(2).await, "2, run 3");
    });
}

#[test]
fn companions_bypass_invalidate_and_refresh() {
    everywhere(async |rig| {
        let shop = Shop::new(&rig);
        assert_eq!(shop.plain(1).await, "1, run 1");
        assert_eq!(shop.plain_uncached(1).await, "1, run 2");
        assert_eq!(shop.plain(1).await, "1, run 1");
        assert_eq!(shop.plain_invalidate(1).await.unwrap(), Reach::Confirmed);
        assert_eq!(shop.plain(1).await, "1, run 3");
        assert!(shop.plain_refresh(1).unwrap());
        while shop.cache.get(&shop.plain_key(1)).await.unwrap().as_deref() != Some("1, run 4") {
            tokio::task::yield_now().await;
        }
        assert_eq!(shop.plain(1).await, "1, run 4");
    });
}

#[test]
fn synchronous_functions_are_cached_inside_and_outside_of_tasks() {
    let check = |shop: &Shop| {
        assert_eq!(shop.now(1), Ok("run 1".to_owned()));
        assert_eq!(shop.now(1), Ok("run 1".to_owned()));
        assert_eq!(shop.now(0), Err(Trouble::NotFound));
        assert_eq!(shop.now_uncached(1), Ok("run 2".to_owned()));
        assert!(shop.now_refresh(1).unwrap());
        assert_eq!(shop.now(1), Ok("run 3".to_owned()));
        assert!(shop.now_refresh(0).unwrap_err().loader_error::<Trouble>().is_some());
        shop.now_invalidate(1).unwrap();
        assert_eq!(shop.now(1), Ok("run 4".to_owned()));
    };
    for rig in Rig::all() {
        check(&Shop::new(&rig));
    }
    everywhere(async |rig| check(&Shop::new(&rig)));
}

#[tokio::test]
async fn generics_and_conditions_pass_through() {
    trait Source: Clone + Send + Sync + 'static {
        fn read(&self, id: u64) -> String;
    }

    #[derive(Clone)]
    struct Upper;

    impl Source for Upper {
        fn read(&self, id: u64) -> String {
            format!("UPPER {id}")
        }
    }

    struct Store<S: Source> {
        source: S,
        cache: Arc<Cache<(u64, Vec<u8>), String>>,
    }

    impl<S: Source> Clone for Store<S> {
        fn clone(&self) -> Self {
            Self { source: self.source.clone(), cache: Arc::clone(&self.cache) }
        }
    }

    impl<S: Source> Store<S> {
        #[cached(cache = self.cache, skip(T, N))]
        async fn read<'a, T, const N: usize>(&'a self, id: u64, more: &'a [u8]) -> String
        where
            T: Default + fmt::Display,
        {
            format!("{} {} {N} {}", self.source.read(id), T::default(), more.len())
        }
    }

    #[cached(cache = cache, skip(cache), key = "sum:{first}:{second.inner}")]
    fn sum<T: CacheKey + Into<u64>>(cache: &Cache<String, u64>, first: T, second: Wrapped) -> u64 {
        first.into() + second.inner
    }

    #[derive(Clone)]
    struct Wrapped {
        inner: u64,
    }

    let store = Store { source: Upper, cache: Arc::new(Cache::new(10).unwrap()) };
    assert_eq!(store.read::<u8, 3>(1, &[1, 2]).await, "UPPER 1 0 3 2");
    assert_eq!(store.read_key::<u8, 3>(1, &[1, 2]), (1, vec![1, 2]));
    store.read_invalidate::<u8, 3>(1, &[1, 2]).await.unwrap();
    assert_eq!(store.read::<u8, 4>(1, &[1, 2]).await, "UPPER 1 0 4 2");

    let sums = Cache::new(10).unwrap();
    assert_eq!(sum(&sums, 1_u8, Wrapped { inner: 2 }), 3);
    assert_eq!(sum_key(1_u8, Wrapped { inner: 2 }), "sum:1:2");
    assert_eq!(sums.get("sum:1:2").await.unwrap(), Some(3));
}

#[test]
fn futures_are_send_and_recursion_is_possible() {
    fn cache() -> &'static Cache<u64, u64> {
        static CACHE: LazyLock<Cache<u64, u64>> = LazyLock::new(|| Cache::new(100).unwrap());
        &CACHE
    }

    #[cached(cache = cache())]
    fn fibonacci(n: u64) -> u64 {
        if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
    }

    #[cached(cache = cache())]
    async fn doubled(n: u64) -> u64 {
        tokio::task::yield_now().await;
        2 * n
    }

    fn is_send(future: impl Send) {
        drop(future);
    }

    is_send(doubled(1));
    assert_eq!(fibonacci(50), 12_586_269_025);
    assert_eq!(cache().stats().loads, 51);
}

#[tokio::test]
async fn parameters_may_have_any_name() {
    #[cached(cache = cache, key = "{text}:{key}:{asked}", skip(cache, call, r#type), tags = ["{text}"])]
    async fn one(
        cache: &Cache<String, u8>,
        text: u8,
        key: u8,
        asked: u8,
        call: u8,
        r#type: u8,
    ) -> u8 {
        text + key + asked + call + r#type
    }

    #[cached(cache = this, key = "{answer}:{returns}:{sharing}", skip(this))]
    fn other(this: &Cache<String, u8>, answer: u8, returns: u8, sharing: u8) -> u8 {
        answer + returns + sharing
    }

    let cache = Cache::new(10).unwrap();
    assert_eq!(one(&cache, 1, 2, 3, 4, 5).await, 15);
    assert_eq!(one_key(1, 2, 3), "1:2:3");
    assert!(one_refresh(&cache, 1, 2, 3, 4, 5).unwrap());
    assert_eq!(other(&cache, 3, 2, 1), 6);
    assert_eq!(other_key(3, 2, 1), "3:2:1");
}
