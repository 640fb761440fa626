//! Memory over disk: processes that share a folder read each other's changes.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use larder::backend::{
    Backend, Codec, Error, ErrorKind, Expect, Life, NEVER, Outcome, Record, Result, Times, Write,
};
use larder::ops::{Counter, Swap};
use larder::{Cache, CacheBuilder, MessagePack, Options, Reach, SystemClock, Tier};
use larder_disk::{DiskBackend, DiskConfig};
use larder_test_support::{Folder, entry, in_time, secs};
use larder_testkit::{ManualClock, block_on};
use tokio::sync::Semaphore;

/// A folder, and the clock of all processes that share it.
struct Host {
    folder: Folder,
    clock: ManualClock,
}

impl Host {
    fn new() -> Self {
        Self { folder: Folder::new(), clock: ManualClock::new() }
    }

    /// Opens the store as another process does.
    fn open(&self) -> DiskBackend {
        let config = DiskConfig::new(self.folder.path()).purge_every(None);
        DiskBackend::open(config.clock(Arc::new(self.clock.clone()))).unwrap()
    }

    /// A cache of another process.
    fn builder(&self, codec: impl Codec<String>) -> CacheBuilder<String, String> {
        let builder = Cache::builder().clock(Arc::new(self.clock.clone()));
        builder.backend_with(self.open(), codec).ttl(secs(10)).grace(secs(5))
    }

    fn process(&self) -> Cache<String, String> {
        self.builder(MessagePack).build().unwrap()
    }

    fn record(&self) -> Record {
        block_on(self.open().read_one(&entry("a"))).unwrap().unwrap()
    }
}

/// A codec that counts its decodes.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Counting {
    fn decoded(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Codec<String> for Counting {
    fn id(&self) -> u16 {
        Codec::<String>::id(&MessagePack)
    }

    fn encode(&self, value: &String) -> Result<Bytes> {
        MessagePack.encode(value)
    }

    fn decode(&self, bytes: &Bytes) -> Result<String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        MessagePack.decode(bytes)
    }
}

/// A codec that writes down the place of each value before its bytes.
struct Placing;

impl Codec<String> for Placing {
    fn id(&self) -> u16 {
        0x8001
    }

    fn encode(&self, _: &String) -> Result<Bytes> {
        unreachable!("a cache says where")
    }

    fn decode(&self, _: &Bytes) -> Result<String> {
        unreachable!("a cache says where")
    }

    fn encode_at(&self, value: &String, place: &[u8]) -> Result<Bytes> {
        Ok([place, value.as_bytes()].concat().into())
    }

    fn decode_at(&self, bytes: &Bytes, place: &[u8]) -> Result<String> {
        let moved = || Error::new(ErrorKind::Codec, "decode", "moved");
        let value = bytes.strip_prefix(place).ok_or_else(moved)?;
        Ok(String::from_utf8(value.to_vec()).unwrap())
    }
}

fn on(body: impl AsyncFn(Host)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(in_time(body(Host::new())));
}

#[test]
fn a_copy_in_memory_has_the_life_that_is_left_on_disk() {
    on(async |host| {
        host.process().insert("a".into(), "soup".into()).await.unwrap();
        for age in 1..10 {
            host.clock.advance(secs(1));
            // Another process, or this one started again.
            let other = host.process();
            assert_eq!(other.get("a").await.unwrap().as_deref(), Some("soup"));
            let info = other.entry_info("a").await.unwrap().unwrap();
            assert_eq!((info.tier, info.life), (Tier::Local, Life::Fresh));
            assert_eq!((info.age, info.ttl_left), (Some(secs(age)), secs(10 - age)));
            assert_eq!(info.kept_left, secs(15 - age));
        }
        let other = host.process();
        assert_eq!(other.get("a").await.unwrap().as_deref(), Some("soup"));
        host.clock.advance(secs(1));
        assert_eq!(other.get("a").await.unwrap(), None, "it is not younger for being copied");
        let stale = other.with(Options::new().allow_stale(true));
        assert_eq!(stale.get("a").await.unwrap().as_deref(), Some("soup"));
        host.clock.advance(secs(5));
        assert_eq!(stale.get("a").await.unwrap(), None);
    });
}

#[test]
fn processes_over_one_folder_load_a_stale_value_once() {
    on(async |host| {
        host.process().insert("a".into(), "old".into()).await.unwrap();
        host.clock.advance(secs(11));
        let (loads, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let load = |process: Cache<String, String>| {
            let (loads, gate) = (Arc::clone(&loads), Arc::clone(&gate));
            let loader = || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                "new".to_owned()
            };
            tokio::spawn(async move { process.get_with("a", loader).await })
        };
        let loading: Vec<_> = (0..8).map(|_| load(host.process())).collect();
        tokio::time::sleep(Duration::from_millis(200)).await;
        gate.add_permits(8);
        while !loading.iter().all(tokio::task::JoinHandle::is_finished) {
            host.clock.advance(Duration::from_millis(5));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for loading in loading {
            assert_eq!(loading.await.unwrap().unwrap(), "new");
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_copy_in_memory_has_the_version_on_disk() {
    on(async |host| {
        let first = host.process();
        first.insert("a".into(), "soup".into()).await.unwrap();
        let written = host.record();
        let codec = Counting::default();
        let second = host.builder(codec.clone()).local_ttl(secs(2)).build().unwrap();
        for _ in 0..3 {
            assert_eq!(second.get("a").await.unwrap().as_deref(), Some("soup"));
            host.clock.advance(secs(2));
        }
        assert_eq!(codec.decoded(), 1, "a copy of this version is compared, not decoded again");
        assert_eq!(host.record().header.version, written.header.version, "a copy writes nothing");
        first.insert("a".into(), "stew".into()).await.unwrap();
        assert_eq!(second.get("a").await.unwrap().as_deref(), Some("stew"));
        assert_eq!(codec.decoded(), 2);
        // A change that expects the copy's version finds it.
        assert!(second.set_ttl("a", secs(60)).await.unwrap());
        assert_eq!(first.get("a").await.unwrap().as_deref(), Some("stew"));
        host.clock.advance(secs(30));
        assert_eq!(host.process().get("a").await.unwrap().as_deref(), Some("stew"));
    });
}

#[test]
fn a_codec_is_told_the_full_key_as_the_place_of_what_it_writes_and_reads() {
    on(async |host| {
        let (first, second) = (host.builder(Placing), host.builder(Placing));
        let (first, second) = (first.build().unwrap(), second.build().unwrap());
        // The name of the second is a digest: its place is the key all the same.
        for key in ["a", "a b"] {
            first.insert(key.into(), "soup".into()).await.unwrap();
            let record = host.open().read_one(&entry(key)).await.unwrap().unwrap();
            assert_eq!(record.payload, format!("larder:k:{key}soup"));
            assert_eq!(second.get(key).await.unwrap().as_deref(), Some("soup"));
        }
        second.get_with("loaded", || async { "stew".into() }).await.unwrap();
        assert!(second.insert_if_absent("added".into(), "stew".into()).await.unwrap());
        for key in ["loaded", "added"] {
            assert_eq!(first.get(key).await.unwrap().as_deref(), Some("stew"));
        }
        // A record that is copied under another name is worth nothing there.
        let record = host.open().read_one(&entry("a")).await.unwrap().unwrap();
        let copy = Write { key: entry("b"), record, expect: Expect::Any };
        assert!(host.open().write(&[copy]).await.iter().all(Outcome::is_done));
        assert_eq!(first.get("b").await.unwrap(), None);
    });
}

#[test]
fn a_process_that_starts_again_believes_what_the_disk_says_now() {
    on(async |host| {
        let first = host.process();
        let tagged = first.with(Options::new().tags(["t"]));
        for (change, left) in [("none", true), ("key", false), ("tag", false), ("all", false)] {
            tagged.insert("a".into(), "soup".into()).await.unwrap();
            let second = host.process();
            assert_eq!(second.get("a").await.unwrap().as_deref(), Some("soup"));
            second.close().await.unwrap();
            match change {
                "key" => drop(first.invalidate("a").await.unwrap()),
                "tag" => drop(first.invalidate_tag("t").await.unwrap()),
                "all" => drop(first.invalidate_all().await.unwrap()),
                _ => {}
            }
            let second = host.process();
            assert_eq!(second.get("a").await.unwrap().is_some(), left, "{change}");
        }
    });
}

#[test]
fn c2_12_of_concurrent_adds_by_two_processes_none_is_lost() {
    let folder = Folder::new();
    let clock = || Arc::new(SystemClock);
    // A refused try sleeps, so time is real.
    let counters = [(); 2].map(|()| {
        let disk = DiskBackend::open(DiskConfig::new(folder.path())).unwrap();
        Counter::new(Swap::new(disk, clock()), entry("a"), Times::new(NEVER, NEVER))
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let add = |counter: Counter<DiskBackend>| async move {
        let mut sums = Vec::new();
        for _ in 0..50 {
            sums.push(counter.add(3).await.unwrap());
        }
        sums
    };
    let tasks: Vec<_> = counters
        .iter()
        .cycle()
        .take(8)
        .map(|counter| runtime.spawn(add(counter.clone())))
        .collect();
    let all = async {
        let mut sums = Vec::new();
        for task in tasks {
            sums.extend(task.await.unwrap());
        }
        sums
    };
    let mut sums = runtime.block_on(in_time(all));
    sums.sort_unstable();
    assert!(sums.iter().copied().eq((1..=400).map(|n| n * 3)), "each sum is seen once");
}

/// Broken once: a change that the first cache had given up waited for the lock in its queue, and
/// was applied after the second cache's confirmed invalidation.
#[test]
fn an_insert_that_timed_out_is_not_applied_after_anothers_confirmed_invalidation() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    runtime.block_on(in_time(async {
        let folder = Folder::new();
        let process = || {
            let disk = DiskBackend::open(DiskConfig::new(folder.path())).unwrap();
            let builder = Cache::<u64, String>::builder().backend(disk);
            builder.backend_timeout(Duration::from_millis(200)).build().unwrap()
        };
        let (one, two) = (process(), process());
        one.insert(0, "first".into()).await.unwrap();
        two.insert(0, "first".into()).await.unwrap();
        let program = rusqlite::Connection::open(folder.path().join("larder.db")).unwrap();
        for key in 1..9 {
            program.execute_batch("BEGIN IMMEDIATE").unwrap();
            assert_eq!(one.insert(key, "old".into()).await.unwrap(), Reach::Local);
            let invalidated =
                async { while two.invalidate(&key).await.unwrap() != Reach::Confirmed {} };
            let unlocked = async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                program.execute_batch("ROLLBACK").unwrap();
            };
            tokio::join!(invalidated, unlocked);
            // The pause gives time to other changes that waited for the lock.
            tokio::time::sleep(Duration::from_millis(150)).await;
            assert_eq!(two.get(&key).await.unwrap(), None, "key {key}");
            assert_eq!(process().get(&key).await.unwrap(), None, "key {key}");
        }
        assert_eq!(one.insert(1, "new".into()).await.unwrap(), Reach::Confirmed);
        assert_eq!(process().get(&1).await.unwrap().as_deref(), Some("new"));
    }));
}
