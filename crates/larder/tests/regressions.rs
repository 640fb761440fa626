//! Regressions: the line above each test tells what was broken.

use std::future::poll_fn;
use std::hash::{Hash, Hasher};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::Context;
use std::time::Duration;

use larder::backend::{
    Backend, BoxFuture, Class, Clock, Expect, Key, NEVER, Namespace, Outcome, Record, Times,
    Timestamp, Write,
};
use larder::{Cache, ErrorKind, Event, Life, Loaded, LocalCache, Options};
use larder_test_support::{Rig, Told, entry, on_all, on_shared, secs, settle};
use larder_testkit::{Fault, Operation};
use serde::{Deserialize, Serialize};

/// Any change of any tag cut the flights of all keys.
#[test]
fn a_tag_that_a_load_cannot_have_does_not_cut_its_flight() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let loads = Arc::new(AtomicU32::new(0));
        let (open, gate) = tokio::sync::watch::channel(false);
        let ask = |cache: Cache<String, u32>| {
            let (loads, mut gate) = (Arc::clone(&loads), gate.clone());
            let loader = || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                gate.wait_for(|open| *open).await.unwrap();
                7
            };
            tokio::spawn(async move { cache.get_with("a", loader).await })
        };
        let first = ask(cache.clone());
        settle().await;
        cache.invalidate_tag("other").await.unwrap();
        let second = ask(cache.clone());
        settle().await;
        open.send(true).unwrap();
        assert_eq!(first.await.unwrap().unwrap() + second.await.unwrap().unwrap(), 14);
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
    });
}

/// The tags that only the first answer had named were lost with the second.
#[test]
fn not_modified_keeps_the_tags_of_the_earlier_answer() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        let first = |_| async { Ok::<_, std::io::Error>(Loaded::new(7).tags(["t"])) };
        assert_eq!(cache.load("a", first).await.unwrap(), Some(7));
        rig.advance(10);
        let again = |_| async { Ok::<_, std::io::Error>(Loaded::not_modified()) };
        assert_eq!(cache.load("a", again).await.unwrap(), Some(7));
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
        cache.invalidate_tag("t").await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), None);
    });
}

/// A damaged epoch was never made anew: nothing could be inserted or read any more.
#[test]
fn damaged_marks_are_made_anew() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let tagged = cache.with(Options::new().tags(["t"]));
        tagged.insert("a".into(), 1).await.unwrap();
        let namespace = Namespace::new("larder").unwrap();
        for (class, text) in [(Class::Epoch, ""), (Class::Tag, "t")] {
            rig.store().damage(&Key::new(&namespace, class, text.as_bytes())).await;
        }
        rig.advance(1);
        tagged.insert("a".into(), 2).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), Some(2));
        assert_eq!(rig.builder::<String, u32>().build().unwrap().get("a").await.unwrap(), Some(2));
    });
}

/// An own soft change forgot what was known, and with it another process's hard change.
#[test]
fn an_own_soft_change_does_not_hide_anothers_hard_one() {
    on_shared(async |rig| {
        let build = || rig.builder::<String, u32>().grace(secs(600)).local_ttl(NEVER);
        let (cache, other) = (build().build().unwrap(), build().build().unwrap());
        let tagged = cache.with(Options::new().tags(["t"]));
        tagged.insert("a".into(), 1).await.unwrap();
        tagged.insert("b".into(), 1).await.unwrap();
        other.invalidate_tag("t").await.unwrap();
        cache.mark_tag_stale("t").await.unwrap();
        assert!(cache.entry_info("a").await.unwrap().is_none());
        other.insert("c".into(), 1).await.unwrap();
        assert_eq!(cache.get("c").await.unwrap(), Some(1));
        other.invalidate_all().await.unwrap();
        cache.mark_all_stale().await.unwrap();
        let failing = || async { Err::<u32, _>("down") };
        let error = cache.try_get_with("c", failing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Loader);
    });
}

/// A known absence was touched, and given a ttl, as if it were a value.
#[test]
fn a_known_absence_has_no_life_to_change() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().absent_ttl(secs(60)).build().unwrap();
        assert_eq!(cache.optionally_get_with("a", || async { None }).await.unwrap(), None);
        assert!(cache.is_known_absent("a").await.unwrap());
        assert!(!cache.touch("a").await.unwrap());
        assert!(!cache.set_ttl("a", secs(5)).await.unwrap());
        assert_eq!(cache.revive("a", secs(5)).await.unwrap(), None);
    });
}

/// An entry that a mark had made stale was said to be revived, and stayed stale.
#[test]
fn what_a_mark_has_made_stale_is_not_revived() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        cache.with(Options::new().tags(["t"])).insert("a".into(), 1).await.unwrap();
        cache.mark_tag_stale("t").await.unwrap();
        assert_eq!(cache.revive("a", secs(10)).await.unwrap(), None);
        let info = cache.entry_info("a").await.unwrap().unwrap();
        assert_eq!((info.life, info.ttl_left), (Life::Stale, secs(0)));
    });
}

/// Touching an entry gave it the grace of the handle that touched it.
#[test]
fn touch_keeps_the_grace_of_the_entry() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        cache.with(Options::new().grace(secs(600))).insert("a".into(), 1).await.unwrap();
        rig.advance(5);
        assert!(cache.touch("a").await.unwrap());
        let info = cache.entry_info("a").await.unwrap().unwrap();
        assert_eq!((info.ttl_left, info.kept_left), (secs(10), secs(610)));
    });
}

/// With an interval of zero every read asked the store again, and then said there was no value.
#[test]
fn a_check_of_marks_at_every_read_still_serves_from_memory() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().tag_check(secs(0)).build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        rig.store().forget_calls();
        for _ in 0..10 {
            assert_eq!(cache.get("a").await.unwrap(), Some(1));
        }
        // The reads are one question for the epoch each, and none for the entry.
        assert_eq!(rig.store().count(Operation::Read), 10);
    });
}

/// A loader that lost the race for the lease ran beside the winner's fresh value.
#[test]
fn a_refused_lease_is_looked_at_again() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        // The insert makes the marks, so that the lease is the next write.
        cache.insert("b".into(), 1).await.unwrap();
        rig.store().next(Operation::Write, Fault::Hold);
        let asking = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_with("a", || async { 2 }).await }
        });
        rig.store().until_held(1).await;
        let codec = rig.record("b").unwrap();
        let mut record = Record::value(codec.payload.clone(), Times::new(NEVER, NEVER));
        record.header.codec = codec.header.codec;
        record.header.epoch = codec.header.epoch;
        let write = Write { key: entry("a"), record, expect: Expect::Any };
        assert!(rig.store().inner().write(&[write]).await.iter().all(Outcome::is_done));
        rig.store().release_all();
        assert_eq!(asking.await.unwrap().unwrap(), 1);
        assert_eq!(cache.stats().loads, 0);
    });
}

/// The task's budget of steps ended, and the blocking call waited for the task to yield.
#[test]
fn a_task_blocks_as_often_as_it_likes() {
    for rig in Rig::all() {
        let (done, is_done) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.unwrap().block_on(async {
                let cache = rig.builder::<String, u32>().build().unwrap();
                for number in 0..1_000 {
                    cache.blocking().insert("a".into(), number).unwrap();
                    let loaded = cache.blocking().get_with(&number.to_string(), || number);
                    assert_eq!(loaded.unwrap(), number);
                }
            });
            done.send(()).unwrap();
        });
        assert_eq!(is_done.recv_timeout(secs(60)), Ok(()), "it hangs");
        thread.join().unwrap();
    }
}

/// A warm-up of keys that were all there was one poll: no other task ran meanwhile.
#[test]
fn a_warm_up_lets_other_tasks_run() {
    on_all(async |rig| {
        let cache = rig.builder::<u64, u64>().capacity(10_000).build().unwrap();
        for key in 0..5_000 {
            cache.insert(key, key).await.unwrap();
        }
        for at_once in [1, 10_000] {
            let loader = |_| async { Ok::<u64, std::io::Error>(0) };
            let warm = cache.warm_up(0..5_000, at_once, loader, |_| {});
            let (mut warm, mut turns) = (pin!(warm), 0);
            let turn = |context: &mut Context<'_>| {
                turns += 1;
                warm.as_mut().poll(context)
            };
            assert_eq!(poll_fn(turn).await.unwrap().present, 5_000);
            // The number of turns depends on how fast the machine is.
            assert!(turns > 1, "{turns}");
        }
    });
}

/// The time was read before the entry was found: a copy that had come meanwhile, stale already, was
/// served as fresh.
#[test]
fn an_entry_is_judged_by_the_time_at_which_it_is_found() {
    /// A clock that is moved by hand, and calls nobody then.
    #[derive(Debug, Default)]
    struct Hand(AtomicU64);
    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::ZERO.after(secs(self.0.load(Ordering::SeqCst)))
        }
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    /// A key that takes this many seconds to find.
    #[derive(Clone)]
    struct Slow(Arc<Hand>, Arc<AtomicU64>);
    impl PartialEq for Slow {
        fn eq(&self, _: &Self) -> bool {
            self.0.0.fetch_add(self.1.load(Ordering::SeqCst), Ordering::SeqCst);
            true
        }
    }
    impl Eq for Slow {}
    impl Hash for Slow {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }

    let (clock, seconds) = (Arc::<Hand>::default(), Arc::default());
    let key = Slow(Arc::clone(&clock), Arc::clone(&seconds));
    let builder = LocalCache::builder().capacity(9).ttl(secs(10)).grace(secs(60));
    let cache = builder.clock(clock).build().unwrap();
    cache.insert(key.clone(), 1);
    let life = || cache.entry_info(&key).unwrap().life;
    assert_eq!(life(), Life::Fresh);
    seconds.store(10, Ordering::SeqCst);
    assert_eq!(life(), Life::Stale);
}

/// Caches of users and of products over one store, both in the default namespace, read each other's
/// entries.
#[test]
fn a_value_of_another_type_is_no_value_and_neither_is_its_absence() {
    on_shared(async |rig| {
        let users = rig.builder::<u64, User>().absent_ttl(secs(60)).build().unwrap();
        let products = rig.builder::<u64, Product>().build().unwrap();
        let ada = User { name: "Ada".to_owned() };
        users.insert(7, ada.clone()).await.unwrap();
        assert_eq!(products.get(&7).await.unwrap(), None);
        assert!(!products.contains_key(&7).await.unwrap());
        assert_eq!(users.get(&7).await.unwrap(), Some(ada));

        assert_eq!(users.optionally_get_with(&8, || async { None }).await.unwrap(), None);
        let soup = || async { Product { name: "soup".to_owned() } };
        assert_eq!(products.get_with(&8, soup).await.unwrap().name, "soup");
        let others = rig.builder::<u64, User>().build().unwrap();
        assert_eq!(others.get(&8).await.unwrap(), None);
    });
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    name: String,
}

/// An event said that the old value was deleted, and it was served.
#[test]
fn what_a_refused_value_was_to_replace_is_deleted_or_the_failure_is_told() {
    on_shared(async |rig| {
        let told = Told::default();
        let builder = rig.builder::<String, u32>().on_event(told.observer()).ttl(secs(10));
        let cache = builder.grace(secs(60)).build().unwrap();
        let is_meant = |key: &Key| *key == entry("a");
        let full = Fault::Fail(ErrorKind::NoSpace);
        for deletes_fail in [true, false] {
            for (round, how) in ["insert", "replace", "load"].into_iter().enumerate() {
                cache.insert("a".into(), 1).await.unwrap();
                if how == "load" {
                    rig.advance(10);
                }
                rig.store().every_where(Operation::Write, full, is_meant);
                if deletes_fail {
                    rig.store().every_where(Operation::Delete, full, is_meant);
                }
                let error = match how {
                    "insert" => cache.insert("a".into(), 2).await.map(drop).err(),
                    "replace" => cache.replace("a".into(), 2).await.map(drop).err(),
                    _ => cache.get_with("a", || async { 2 }).await.map(drop).err(),
                };
                if let Some(error) = &error {
                    assert_eq!(error.kind(), ErrorKind::NoSpace, "{how}");
                    let says_so = error.to_string().contains("could not be deleted");
                    assert_eq!(says_so, deletes_fail, "{how}: {error}");
                }
                assert_eq!(error.is_none(), how == "load");
                let count = |is: fn(&Event) -> bool| told.count(is);
                let confirmed_not = if deletes_fail { round + 1 } else { 3 };
                assert_eq!(count(|event| matches!(event, Event::NotConfirmed(_))), confirmed_not);
                let not_stored = if deletes_fail { round + 1 } else { round + 4 };
                assert_eq!(count(|event| matches!(event, Event::NotStored(_))), not_stored);
                assert_eq!(rig.record("a").is_some(), deletes_fail, "{how}");
                rig.store().clear();
            }
        }
    });
}
