//! Regressions: the line above each test tells what was broken.

use std::borrow::Cow;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use larder::{
    Cache, CacheBuilder, CacheKey, ErrorKind, Event, FileSink, MemoryBackend, Options, Reach, Sink,
    Snapshot, Ttl,
};
use larder_test_support::{Folder, MemorySink};
use larder_testkit::ManualClock;

use crate::store::Store;

/// A folder that could not be read was taken for one that is not there: no file was removed, and a
/// change that could not be logged was confirmed.
#[test]
fn clear_says_so_if_it_cannot_know_whether_there_is_a_snapshot() {
    let (folder, link) = (Folder::new(), Folder::new());
    Snapshot::file(folder.path().join("a.snapshot")).clear().unwrap();
    let path = link.path().join("a.snapshot");
    fs::create_dir(folder.path()).unwrap();
    symlink(folder.path(), link.path()).unwrap();
    let first = Store::open(&path);
    first.put(1, 1, 100);
    first.save().unwrap();
    let store = Store::open(&path);

    // The link leads in a circle for a while.
    fs::remove_file(link.path()).unwrap();
    symlink(link.path(), link.path()).unwrap();
    let error = Snapshot::file(&path).clear().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(store.cache.blocking().invalidate(&1).unwrap(), Reach::Local);
    fs::remove_file(link.path()).unwrap();
    symlink(folder.path(), link.path()).unwrap();
    assert_eq!(Store::open(&path).get(1), Some(1), "as it was told");
    assert_eq!(store.cache.blocking().invalidate(&2).unwrap(), Reach::Confirmed);
    assert_eq!(Store::open(&path).get(1), None);
    fs::remove_file(link.path()).unwrap();
}

/// A log that another process had removed was made anew without its beginning, and the change was
/// confirmed though no snapshot knew of it.
#[test]
fn a_change_whose_log_another_process_has_removed_removes_the_snapshot() {
    let folder = Folder::new();
    let path = folder.path().join("a.snapshot");
    let first = Store::open(&path);
    first.put(1, 1, 100);
    first.save().unwrap();
    drop(first);
    let (old, new) = (Store::open(&path), Store::open(&path));
    new.save().unwrap();
    assert_eq!(old.cache.blocking().invalidate(&1).unwrap(), Reach::Confirmed);
    assert_eq!(Store::open(&path).get(1), None);
    assert_eq!(old.events().len(), 0);
    // Both can be saved again.
    new.put(2, 2, 100);
    new.save().unwrap();
    assert_eq!(Store::open(&path).get(2), Some(2));
    old.save().unwrap();
    assert_eq!(Store::open(&path).get(2), None);
}

/// A save whose log was cleared meanwhile was reported as done, and its snapshot was worth nothing.
#[test]
fn a_save_that_is_cleared_meanwhile_fails() {
    let folder = Folder::new();
    let sink = FileSink::new(folder.path().join("a.snapshot"));
    let log = "0123456789abcdef0123456789abcdef";
    sink.begin(log, b"begun").unwrap();
    let saved = sink.replace(Some(log), &mut |out| {
        sink.clear()?;
        out.write_all(b"LARDSNAP")
    });
    assert_eq!(saved.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(sink.read().unwrap().is_none());
    assert_eq!(folder.names(""), [""; 0]);
}

/// A file of somebody's whose name begins like that of a log was removed.
#[test]
fn files_that_are_only_named_alike_stay() {
    let folder = Folder::new();
    let path = folder.path().join("a.snapshot");
    let store = Store::open(&path);
    store.put(1, 1, 100);
    store.save().unwrap();
    let others = ["a.snapshot.log-2026-01-01", "a.snapshot.new-", "a.snapshot.log-0123"];
    for name in others {
        fs::write(folder.path().join(name), "somebody's").unwrap();
    }
    store.save().unwrap();
    drop(store);
    Snapshot::file(&path).clear().unwrap();
    let mut left = others.to_vec();
    left.sort_unstable();
    assert_eq!(folder.names(""), left);
}

/// A snapshot that had to be saved at once was cleared before the new one was written: on a full
/// disk none was left.
#[test]
fn what_is_restored_stays_until_the_next_is_written() {
    let sink = MemorySink::with(include_bytes!("../data/v0.snapshot"));
    sink.change(|kept| kept.room = Some(0));
    let build = |told: &Arc<Mutex<Vec<Event>>>| {
        let (clock, told) = (ManualClock::new(), Arc::clone(told));
        clock.set_wall(Duration::from_secs(1_767_225_600 + 20));
        let builder = Cache::<String, u32>::builder().clock(Arc::new(clock));
        let builder = builder.on_event(move |event| told.lock().unwrap().push(event.clone()));
        builder.snapshot(Snapshot::new(sink.clone())).build().unwrap()
    };
    let told = Arc::<Mutex<Vec<Event>>>::default();
    for round in 1..4 {
        let cache = build(&told);
        assert_eq!(cache.blocking().get("never").unwrap(), Some(1));
        assert_eq!(told.lock().unwrap().len(), round);
        assert!(cache.blocking().save().is_err());
        told.lock().unwrap().pop();
        assert!(sink.bytes().starts_with(b"LARDSNAP\0\0"));
    }
    let cache = build(&told);
    sink.change(|kept| kept.room = None);
    assert_eq!(cache.blocking().save().unwrap(), 2);
    cache.blocking().invalidate("never").unwrap();
    assert_eq!(build(&told).blocking().get("never").unwrap(), None);
    assert_eq!(build(&told).blocking().get("minute").unwrap(), Some(2));
}

/// The observer was told of a failed save under its lock: one that saved or closed hung for ever.
#[test]
fn an_observer_may_save_and_close() {
    let sink = MemorySink::default();
    sink.change(|kept| kept.room = Some(0));
    let (own, told) = (Arc::new(OnceLock::<Cache<u64, u64>>::new()), Arc::new(AtomicU32::new(0)));
    let (this, count) = (Arc::clone(&own), Arc::clone(&told));
    let builder = Cache::builder().on_event(move |event| {
        assert!(matches!(event, Event::SnapshotFailed(_)));
        if let Some(cache) = this.get()
            && count.fetch_add(1, Ordering::SeqCst) == 0
        {
            assert_eq!(cache.blocking().save().unwrap_err().kind(), ErrorKind::NoSpace);
            assert_eq!(cache.blocking().close().unwrap_err().kind(), ErrorKind::NoSpace);
        }
    });
    own.set(builder.snapshot(Snapshot::new(sink)).build().unwrap()).unwrap();
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        ended.send(own.get().unwrap().blocking().save().unwrap_err().kind())
    });
    assert_eq!(end.recv_timeout(Duration::from_secs(60)).expect("it hangs"), ErrorKind::NoSpace);
    assert_eq!(told.load(Ordering::SeqCst), 3);
}

/// An entry that `mark_stale` had removed, for want of a grace or because it is known to be absent,
/// came back after a crash as stale.
#[test]
fn what_mark_stale_has_removed_does_not_come_back() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let cache = words(&clock, &sink).ttl(secs(10)).grace(secs(10)).build().unwrap();
    let none = || None::<u32>;
    assert_eq!(cache.blocking().optionally_get_with("absent", none).unwrap(), None);
    let ten = Options::new().grace(secs(10));
    // An entry without end gets its grace from the call that marks it.
    let endless = ten.clone().ttl(Ttl::Never);
    let options =
        [Options::new().grace(secs(0)), endless.clone(), endless, ten.clone(), ten.clone()];
    for (key, options) in ["none", "short", "endless", "own", "other"].into_iter().zip(options) {
        cache.with(options).blocking().insert(key.to_owned(), 1).unwrap();
    }
    cache.blocking().save().unwrap();
    for (key, grace) in [("absent", 10), ("none", 10), ("short", 5), ("endless", 10), ("own", 5)] {
        cache.with(Options::new().grace(secs(grace))).blocking().mark_stale(key).unwrap();
    }
    let killed = words(&clock, &sink.left()).ttl(secs(10)).grace(secs(10)).build().unwrap();
    let stale = killed.with(Options::new().allow_stale(true));
    let found = [("none", None), ("short", None), ("endless", Some(1)), ("own", Some(1))];
    for (key, found) in found.into_iter().chain([("other", Some(1))]) {
        assert_eq!(stale.blocking().get(key).unwrap(), found, "{key}");
    }
    assert_eq!(killed.blocking().get("own").unwrap(), None);
    let some = || Some(7);
    assert_eq!(killed.blocking().optionally_get_with("absent", some).unwrap(), Some(7));
}

/// With each restart the grace of an entry that had been made stale began anew.
#[test]
fn a_grace_does_not_begin_anew_with_a_restart() {
    for ttl in [Ttl::Never, Ttl::For(secs(10))] {
        let (clock, sink) = (ManualClock::new(), MemorySink::default());
        let build = || words(&clock, &sink).ttl(ttl).grace(secs(100)).build().unwrap();
        let cache = build();
        cache.blocking().insert("a".to_owned(), 1).unwrap();
        cache.blocking().save().unwrap();
        cache.blocking().mark_all_stale().unwrap();
        for (seconds, found) in [(0, Some(1)), (60, Some(1)), (39, Some(1)), (1, None)] {
            clock.advance(secs(seconds));
            let stale = build().with(Options::new().allow_stale(true));
            assert_eq!(stale.blocking().get("a").unwrap(), found, "{ttl:?}, {seconds}");
        }
    }
}

/// An entry that was loaded during a long save had that much more of a life, if the wall clock was
/// set back afterwards.
#[test]
fn what_is_written_during_a_save_lives_no_longer_than_it_did() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    clock.set_wall(secs(1_000));
    let slow = SlowSink { sink: sink.clone(), meanwhile: Mutex::new(None) };
    let slow = Arc::new(slow);
    let builder = words(&clock, &sink).snapshot(Snapshot::new(Shared(Arc::clone(&slow))));
    let cache = builder.ttl(secs(10)).grace(secs(100)).build().unwrap();
    cache.blocking().get_with("a", || 1).unwrap();
    clock.advance(secs(20));
    let (own, time) = (cache.clone(), clock.clone());
    *slow.meanwhile.lock().unwrap() = Some(Box::new(move || {
        time.advance(secs(70));
        own.blocking().get_with("a", || 2).unwrap();
    }));
    cache.blocking().save().unwrap();
    clock.set_wall(secs(1_000));
    let again = words(&clock, &sink).ttl(secs(10)).grace(secs(100)).build().unwrap();
    assert_eq!(again.blocking().get("a").unwrap(), Some(2));
    assert_eq!(again.blocking().entry_info("a").unwrap().unwrap().ttl_left, secs(10));
}

/// Broken once: a number of a snapshot was believed although the backend knew nothing of it.
#[test]
fn a_restored_number_is_asked_for_where_there_is_a_backend() {
    let (clock, sink) = (ManualClock::new(), MemorySink::default());
    let alone = words(&clock, &sink).build().unwrap();
    assert_eq!(alone.blocking().incr("hits", 1).unwrap(), 1);
    alone.blocking().save().unwrap();
    let backend = MemoryBackend::new(Arc::new(clock.clone()));
    let over = words(&clock, &sink).backend(backend).build().unwrap();
    let over = over.blocking();
    assert_eq!(over.counter("hits").unwrap(), None);
    assert!(!over.contains_key("hits").unwrap());
    assert_eq!(over.ttl("hits").unwrap(), None);
}

/// A cache with a snapshot in this sink: a new process, to the sink.
fn words(clock: &ManualClock, sink: &MemorySink) -> CacheBuilder<String, u32> {
    Cache::builder().clock(Arc::new(clock.clone())).snapshot(Snapshot::new(sink.clone()))
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A sink in memory that calls a function while a snapshot is written.
struct SlowSink {
    sink: MemorySink,
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

struct Shared(Arc<SlowSink>);

impl Sink for Shared {
    fn read(&self) -> io::Result<Option<Box<dyn Read + Send>>> {
        self.0.sink.read()
    }

    fn replace(
        &self,
        log: Option<&str>,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let meanwhile = self.0.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        self.0.sink.replace(log, write)
    }

    fn read_log(&self, log: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        self.0.sink.read_log(log)
    }

    fn begin(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.sink.begin(log, bytes)
    }

    fn append(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.sink.append(log, bytes)
    }

    fn clear(&self) -> io::Result<()> {
        self.0.sink.clear()
    }
}

/// Of the keys with one hash one was saved, and all were counted.
#[test]
fn all_keys_of_a_coarse_hash_come_back() {
    let folder = Folder::new();
    let snapshot = Snapshot::file(folder.path().join("orders.snapshot"));
    let open = || Cache::<Order, u32>::builder().snapshot(snapshot.clone()).build().unwrap();
    let orders = || (0..100).map(|number| Order { shop: number % 2, number });
    let cache = open();
    for order in orders() {
        cache.blocking().insert(order.clone(), order.number).unwrap();
    }
    assert_eq!(cache.blocking().save().unwrap(), 100);
    let cache = open();
    for order in orders() {
        assert_eq!(cache.blocking().get(&order).unwrap(), Some(order.number));
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Order {
    shop: u32,
    number: u32,
}

impl Hash for Order {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shop.hash(state);
    }
}

impl CacheKey for Order {
    fn to_text(&self) -> Cow<'_, str> {
        format!("{}:{}", self.shop, self.number).into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let (shop, number) = text.split_once(':')?;
        Some(Self { shop: shop.parse().ok()?, number: number.parse().ok()? })
    }
}
