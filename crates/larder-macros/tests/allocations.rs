//! A hit of a cached function allocates nothing, also where its key would.

#![expect(clippy::unused_async, reason = "the function stands for one that waits")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use larder::{Cache, cached};

#[derive(Clone)]
struct Users {
    by_name: Cache<String, u64>,
    by_both: Cache<(String, u64), u64>,
}

impl Users {
    #[cached(cache = self.by_name)]
    async fn by_name(&self, name: &str) -> u64 {
        name.len() as u64
    }

    #[cached(cache = self.by_both)]
    fn by_both(&self, name: &str, id: u64) -> u64 {
        name.len() as u64 + id
    }
}

#[tokio::test]
async fn a_hit_allocates_nothing() {
    let users = Users { by_name: Cache::new(10).unwrap(), by_both: Cache::new(10).unwrap() };
    // The loop runs twice, so that allocations that a thread makes only once are over.
    for _ in 0..2 {
        assert_eq!(users.by_name("a name of some length").await, 21);
        assert_eq!(users.by_both("a name of some length", 1), 22);
    }
    let info = allocation_counter::measure(|| {
        let asked = pin!(users.by_name("a name of some length"));
        assert_eq!(asked.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(21));
        assert_eq!(users.by_both("a name of some length", 1), 22);
    });
    assert_eq!(info.count_total, 0);
}
