//! Namespaces keep tenants of one store apart, whatever their names and keys are.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use larder::backend::{
    AnyBackend, Backend, Class, Delete, Expect, Key, NEVER, Namespace, Outcome, Record, Times,
    Write,
};
use larder::{Cache, CacheBuilder, MemoryBackend, Options, Reach, SystemClock};
use larder_disk::{DiskBackend, DiskConfig};
use larder_test_support::{Folder, Rig, in_time, on_shared, secs};

/// Names that each have a special meaning: to glob, to LIKE, or to the layout of names.
const NAMESPACES: [&str; 13] =
    ["a", "ab", "a*", "a?", "[a]", "a:b", "\\a", "%", "_", "", "a%3Ab", "a:", "'; --"];
/// More than one page of any store.
const MANY: usize = 25_000;
const NEIGHBOURS: usize = 1_000;
const PAGE: usize = 1_000;

fn namespace(name: &str) -> Namespace {
    Namespace::new(name).unwrap()
}

async fn write_many(rig: &Rig, name: &str, count: usize) {
    let namespace = namespace(name);
    let write = |number: usize| Write {
        key: Key::new(&namespace, Class::Entry, number.to_string().as_bytes()),
        record: Record::value(Bytes::from_static(b"soup"), Times::new(NEVER, NEVER)),
        expect: Expect::Any,
    };
    for first in (0..count).step_by(PAGE) {
        let writes: Vec<_> = (first..count.min(first + PAGE)).map(write).collect();
        assert!(rig.store().write(&writes).await.iter().all(Outcome::is_done));
    }
}

/// Returns the keys of a namespace, and checks that all are its own.
async fn scan(rig: &Rig, name: &str) -> HashSet<Key> {
    let (namespace, mut keys, mut cursor) = (namespace(name), HashSet::new(), None);
    loop {
        let page = rig.store().scan(namespace.prefix(), cursor, PAGE).await.unwrap();
        for scanned in page.records {
            assert!(scanned.key.text(&namespace).is_some(), "{:?} in {name:?}", scanned.key);
            keys.insert(scanned.key);
        }
        cursor = page.next;
        if cursor.is_none() {
            return keys;
        }
    }
}

/// Deletes a namespace page by page, while it is scanned.
async fn clear(rig: &Rig, name: &str) -> usize {
    let (namespace, mut count, mut cursor) = (namespace(name), 0, None);
    loop {
        let page = rig.store().scan(namespace.prefix(), cursor, PAGE).await.unwrap();
        let delete = |key| Delete { key, expect: Expect::Any };
        let deletes: Vec<_> = page.records.into_iter().map(|scanned| delete(scanned.key)).collect();
        count += deletes.len();
        assert!(rig.store().delete(&deletes).await.iter().all(Outcome::is_done));
        cursor = page.next;
        if cursor.is_none() {
            return count;
        }
    }
}

#[test]
fn f29_a_namespace_is_scanned_and_cleared_to_its_end_and_no_further() {
    on_shared(async |rig| {
        let large = NAMESPACES[0];
        write_many(&rig, large, MANY).await;
        for name in &NAMESPACES[1..] {
            write_many(&rig, name, NEIGHBOURS).await;
        }
        assert_eq!(scan(&rig, large).await.len(), MANY);
        for (cleared, name) in NAMESPACES.iter().enumerate() {
            let count = if *name == large { MANY } else { NEIGHBOURS };
            assert_eq!(clear(&rig, name).await, count, "{name:?}");
            for (place, neighbour) in NAMESPACES.iter().enumerate() {
                let left = if place > cleared { NEIGHBOURS } else { 0 };
                assert_eq!(scan(&rig, neighbour).await.len(), left, "{neighbour:?} by {name:?}");
            }
        }
    });
}

#[test]
fn f29_invalidating_everything_ends_at_the_namespace() {
    on_shared(async |rig| {
        let build = |name: &str| rig.builder::<String, u32>().namespace(name).build().unwrap();
        let caches = NAMESPACES.map(build);
        for cache in &caches {
            cache.with(Options::new().tags(["t"])).insert("k".into(), 7).await.unwrap();
            cache.insert("other".into(), 8).await.unwrap();
        }
        for (ended, cache) in caches.iter().enumerate() {
            assert_eq!(cache.invalidate_tag("t").await.unwrap(), Reach::Confirmed);
            assert_eq!(build(NAMESPACES[ended]).get("other").await.unwrap(), Some(8));
            assert_eq!(cache.invalidate_all().await.unwrap(), Reach::Confirmed);
            for (place, name) in NAMESPACES.iter().enumerate() {
                let is_there = place > ended;
                let reader = build(name);
                assert_eq!(reader.get("k").await.unwrap(), is_there.then_some(7), "{name:?}");
                assert_eq!(reader.get("other").await.unwrap(), is_there.then_some(8), "{name:?}");
            }
        }
    });
}

/// A tenant, and the expected entries of its cache: all that it has written and not removed.
struct Tenant {
    name: String,
    cache: Cache<String, String>,
    truth: HashMap<String, Truth>,
    written: u64,
}

struct Truth {
    value: String,
    is_tagged: bool,
}

impl Tenant {
    fn new(name: &str, backend: AnyBackend) -> Self {
        // A small memory, so that most reads reach the store.
        let builder: CacheBuilder<String, String> = Cache::builder().capacity(4);
        let builder = builder.namespace(name).backend_timeout(secs(60)).backend(backend);
        let (name, cache) = (name.to_owned(), builder.build().unwrap());
        Self { name, cache, truth: HashMap::new(), written: 0 }
    }

    /// Does so many random operations, and checks that each read returns the tenant's own last
    /// write.
    async fn live(mut self, ops: usize, keys: Arc<[String]>) -> Self {
        for _ in 0..ops {
            let key = fastrand::choice(&*keys).unwrap().clone();
            match fastrand::u32(..1_000) {
                0..300 => self.insert(key).await,
                300..350 => self.load(key).await,
                350..420 => {
                    let removed = self.cache.remove(&key).await.unwrap();
                    assert_eq!(removed, self.truth.remove(&key).map(|truth| truth.value));
                }
                420..450 => {
                    assert_eq!(self.cache.invalidate(&key).await.unwrap(), Reach::Confirmed);
                    self.truth.remove(&key);
                }
                450..455 => {
                    assert_eq!(self.cache.invalidate_tag("t").await.unwrap(), Reach::Confirmed);
                    self.truth.retain(|_, truth| !truth.is_tagged);
                }
                455 => {
                    assert_eq!(self.cache.invalidate_all().await.unwrap(), Reach::Confirmed);
                    self.truth.clear();
                }
                _ => self.read(&key).await,
            }
        }
        for key in &*keys {
            self.read(key).await;
        }
        self
    }

    fn next_value(&mut self) -> String {
        self.written += 1;
        format!("{:?} {}", self.name, self.written)
    }

    async fn insert(&mut self, key: String) {
        let (value, is_tagged) = (self.next_value(), fastrand::bool());
        let tags = Options::new().tags(is_tagged.then_some("t"));
        self.cache.with(tags).insert(key.clone(), value.clone()).await.unwrap();
        self.truth.insert(key, Truth { value, is_tagged });
    }

    async fn load(&mut self, key: String) {
        let new = self.next_value();
        let loaded = new.clone();
        let value = self.cache.get_with(&key, || async { loaded }).await.unwrap();
        let truth = self.truth.entry(key).or_insert(Truth { value: new, is_tagged: false });
        assert_eq!(value, truth.value);
    }

    async fn read(&self, key: &str) {
        let expected = self.truth.get(key).map(|truth| truth.value.clone());
        assert_eq!(self.cache.get(key).await.unwrap(), expected, "{key:?} of {:?}", self.name);
    }
}

/// Keys that look like names of the other tenant, or of records that are no entries.
fn hostile_keys() -> Arc<[String]> {
    let looks = [
        "",
        "x",
        "k:x",
        "a:k:x",
        ":k:x",
        "b:k:x",
        "%3Ab:k:x",
        "t",
        "t:t",
        "e",
        "s",
        "%",
        "_",
        "*",
        "?",
        "[x]",
        "\\",
        "'",
        "\"; --",
        "\0",
        "x\0",
        "x ",
        "\n",
        "X",
        "é",
        "e\u{301}",
        "\u{1F980}",
    ];
    let long = ["x".repeat(240), "x".repeat(300), format!("{}y", "x".repeat(299))];
    looks.map(str::to_owned).into_iter().chain(long).collect()
}

/// Runs tenants beside each other whose names begin with each other.
fn live(names: [&str; 2], ops: usize, open: impl Fn() -> AnyBackend) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let keys = hostile_keys();
    let tenants = names.map(|name| Tenant::new(name, open()));
    let lives = tenants.map(|tenant| runtime.spawn(tenant.live(ops, Arc::clone(&keys))));
    for life in lives {
        let tenant = runtime.block_on(in_time(life)).unwrap();
        assert!(tenant.written > 0);
    }
}

const TENANTS: [[&str; 2]; 4] = [["a", "a:b"], ["a%3Ab", "a:b"], ["", ":"], ["%", "_"]];

#[test]
fn f36_tenants_of_one_store_in_memory_never_meet() {
    for names in TENANTS {
        let store = MemoryBackend::new(Arc::new(SystemClock));
        live(names, 25_000, || AnyBackend::new(store.clone()));
    }
}

#[test]
fn f36_tenants_of_one_folder_never_meet() {
    for names in TENANTS {
        let folder = Folder::new();
        // Each tenant opens the folder for itself, as another process does.
        let open = || AnyBackend::new(DiskBackend::open(DiskConfig::new(folder.path())).unwrap());
        live(names, 2_500, open);
    }
}
