//! Failures: they are shared, reported, or avoided by calls without the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder::{Cache, ErrorKind, MemoryBackend, cached};
use larder_testkit::{Fault, Faulty, ManualClock, Operation};
use tokio::sync::Barrier;

use crate::shop::{Answer, Boxed, HOUR, Runs, Shop, Trouble};
use crate::support::{Rig, everywhere};

#[tokio::test]
async fn callers_who_meet_share_one_run_and_its_failure() {
    #[derive(Clone)]
    struct Slow(Cache<u64, String>, Runs, Arc<Barrier>);

    impl Slow {
        #[cached(cache = self.0)]
        async fn answer(&self, id: u64) -> Answer<String> {
            self.1.one_more();
            self.2.wait().await;
            if id == 0 { Err(Trouble::NotFound) } else { Ok(id.to_string()) }
        }

        #[cached(cache = self.0)]
        async fn boxed(&self, id: u64) -> Result<String, Boxed> {
            self.1.one_more();
            self.2.wait().await;
            Err(std::io::Error::other(format!("no {id}")).into())
        }
    }

    let slow = Slow(Cache::new(10).unwrap(), Runs::default(), Arc::new(Barrier::new(2)));
    let all_wait = |coalesced: u64| {
        let slow = slow.clone();
        async move {
            while slow.0.stats().coalesced < coalesced {
                tokio::task::yield_now().await;
            }
            slow.2.wait().await;
        }
    };
    let calls = || (slow.answer(1), slow.answer(1), slow.answer(1));
    let (a, b, c) = calls();
    let (a, b, c, ()) = tokio::join!(a, b, c, all_wait(2));
    assert_eq!([a, b, c], ["1", "1", "1"].map(|text| Ok(text.to_owned())));
    assert_eq!(slow.1.count(), 1);

    // An error that can be cloned comes to all callers as it was.
    let (a, b, ()) = tokio::join!(slow.answer(0), slow.answer(0), all_wait(3));
    assert_eq!([a, b], [Err(Trouble::NotFound), Err(Trouble::NotFound)]);
    assert_eq!(slow.1.count(), 2);

    // Any other error comes only to the caller that has run the function; the others get Larder's.
    let (a, b, ()) = tokio::join!(slow.boxed(2), slow.boxed(2), all_wait(4));
    let (own, told) = (a.unwrap_err(), b.unwrap_err());
    assert!(own.downcast_ref::<std::io::Error>().is_some());
    let told = told.downcast_ref::<larder::Error>().unwrap();
    assert_eq!(told.kind(), ErrorKind::Loader);
    assert_eq!(std::error::Error::source(told).unwrap().to_string(), "no 2");
    assert_eq!(slow.1.count(), 3);
}

#[test]
fn what_the_cache_fails_in_is_told_or_goes_straight() {
    everywhere(async |rig| {
        let shop = Shop::new(&rig);
        shop.cache.close().await.unwrap();
        assert_eq!(shop.plain(1).await, "1, run 1");
        assert_eq!(shop.plain(1).await, "1, run 2");
        assert_eq!(shop.maybe(1).await.as_deref(), Some("1"));
        assert_eq!(shop.answer(1).await, Err(Trouble::Cache(ErrorKind::Closed)));
        assert_eq!(shop.now(1), Err(Trouble::Cache(ErrorKind::Closed)));
        assert_eq!(shop.plain_refresh(1).unwrap_err().kind(), ErrorKind::Closed);
    });
}

#[tokio::test]
async fn a_panic_is_a_failure_where_there_is_one_and_a_panic_where_not() {
    #[cached(cache = cache, skip(cache))]
    async fn answer(cache: &Cache<u64, u64>, id: u64) -> Answer<u64> {
        assert!(id > 0, "as the test wants it");
        Ok(id)
    }

    #[cached(cache = cache, skip(cache))]
    async fn plain(cache: Cache<u64, u64>, id: u64) -> u64 {
        assert!(id > 0, "as the test wants it");
        id
    }

    let cache = Cache::new(10).unwrap();
    assert_eq!(answer(&cache, 0).await, Err(Trouble::Cache(ErrorKind::Loader)));
    let ended = tokio::spawn(plain(cache.clone(), 0)).await;
    assert!(ended.unwrap_err().is_panic());
    assert_eq!(plain(cache, 1).await, 1);
}

#[tokio::test]
async fn an_outage_is_told_or_goes_straight() {
    let clock = Arc::new(ManualClock::new());
    let store = Faulty::new(MemoryBackend::new(clock.clone()), clock.clone());
    let builder = Cache::builder().strict(true).clock(clock).backend(store.clone());
    let shop = Shop { cache: builder.build().unwrap(), ..Shop::new(&Rig::memory()) };
    assert_eq!(shop.answer(1).await, Ok("1".to_owned()));
    for operation in [Operation::Read, Operation::Write, Operation::Clock] {
        store.every(operation, Fault::Fail(ErrorKind::Unavailable));
    }
    assert_eq!(shop.answer(2).await, Err(Trouble::Cache(ErrorKind::Unavailable)));
    assert_eq!(shop.now(2), Err(Trouble::Cache(ErrorKind::Unavailable)));
    let runs = shop.runs.count();
    assert_eq!(shop.plain(2).await, format!("2, run {}", runs + 1));
    assert_eq!(shop.plain(2).await, format!("2, run {}", runs + 2));
    store.clear();
    assert_eq!(shop.answer(2).await, Ok("2".to_owned()));
}

#[tokio::test]
async fn inside_grace_a_failure_is_answered_by_what_was() {
    #[cached(cache = cache, skip(cache, is_well), ttl = Duration::from_secs(10), grace = HOUR)]
    async fn reading(cache: &Cache<u64, u64>, is_well: &Arc<AtomicBool>, id: u64) -> Answer<u64> {
        if is_well.load(Ordering::SeqCst) { Ok(id) } else { Err(Trouble::NotFound) }
    }

    let (clock, is_well) = (Arc::new(ManualClock::new()), Arc::new(AtomicBool::new(true)));
    let cache = Cache::builder().clock(clock.clone()).build().unwrap();
    assert_eq!(reading(&cache, &is_well, 1).await, Ok(1));
    is_well.store(false, Ordering::SeqCst);
    clock.advance(Duration::from_secs(11));
    assert_eq!(reading(&cache, &is_well, 1).await, Ok(1));
    clock.advance(HOUR * 2);
    assert_eq!(reading(&cache, &is_well, 1).await, Err(Trouble::NotFound));
}
