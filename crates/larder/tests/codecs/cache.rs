//! Codecs and pipelines under a cache over SQLite.

use bytes::Bytes;
use larder::backend::{
    Backend, Class, Codec, ErrorKind, Expect, Key, Namespace, Outcome, Record, Write,
};
use larder::{
    Cache, CacheBuilder, Event, Json, Keyring, MessagePack, Pipeline, Postcard, Raw, Zstd,
};
use larder_disk::{DiskBackend, DiskConfig};
use larder_test_support::{Folder, Told, entry, in_time, secs};
use larder_testkit::block_on;

use super::values::{Order, Random};
use super::{MEBIBYTE, Value, alone, keyring, pipelines};

/// A store on disk, opened anew by each process.
struct Host(Folder);

impl Host {
    fn new() -> Self {
        Self(Folder::new())
    }

    /// A value has at most a quarter of 8 MiB.
    fn open(&self) -> DiskBackend {
        DiskBackend::open(DiskConfig::new(self.0.path()).max_bytes(Some(8 << 20))).unwrap()
    }

    fn builder<V>(&self, codec: impl Codec<V>) -> CacheBuilder<String, V>
    where
        V: Clone + Send + Sync + 'static,
    {
        Cache::builder().backend_with(self.open(), codec).ttl(secs(3_600))
    }

    fn process<V>(&self, codec: impl Codec<V>) -> Cache<String, V>
    where
        V: Clone + Send + Sync + 'static,
    {
        self.builder(codec).build().unwrap()
    }

    /// Returns the value that a process reads that starts now, and the number of its events of
    /// undecodable bytes.
    async fn read<V>(&self, codec: impl Codec<V>, key: &str) -> (Option<V>, usize)
    where
        V: Clone + Send + Sync + 'static,
    {
        let told = Told::default();
        let cache = self.builder(codec).on_event(told.observer()).build().unwrap();
        let value = cache.get(key).await.unwrap();
        (value, told.count(|event| matches!(event, Event::Undecodable(_))))
    }

    fn record(&self, key: &str) -> Option<Record> {
        block_on(self.open().read_one(&entry(key))).unwrap()
    }

    fn write(&self, key: Key, record: Record) {
        let write = Write { key, record, expect: Expect::Any };
        assert!(block_on(self.open().write(&[write])).iter().all(Outcome::is_done));
    }
}

fn on(body: impl AsyncFn(Host)) {
    let _turn = alone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(in_time(body(Host::new())));
}

fn noise(length: usize) -> Bytes {
    let mut random = Random(8);
    (0..length).map(|_| random.byte()).collect()
}

#[test]
fn what_one_process_writes_another_reads_through_every_codec_and_stage() {
    async fn come_back<C>(host: &Host, codec: C)
    where
        C: Codec<Order> + Clone,
    {
        let order = Random(9).order();
        for (stage, pipeline) in pipelines(codec.clone()) {
            let first = host.process(pipeline.clone());
            first.insert(stage.into(), order.clone()).await.unwrap();
            assert_eq!(host.read(pipeline, stage).await, (Some(order.clone()), 0), "{stage}");
        }
        host.process(codec.clone()).insert("plain".into(), order.clone()).await.unwrap();
        assert_eq!(host.read(codec, "plain").await, (Some(order.clone()), 0));
    }
    on(async |host| {
        come_back(&host, MessagePack).await;
        come_back(&host, Json).await;
        come_back(&host, Postcard).await;
    });
}

#[test]
fn f30_what_the_store_does_not_take_takes_away_what_was_there() {
    on(async |host| {
        let wide = pipelines(Raw).map(|(_, pipeline)| pipeline);
        let narrow = wide.clone().map(|pipeline| pipeline.max_value_bytes(2 * MEBIBYTE));
        for pipeline in wide.into_iter().chain(narrow) {
            let builder = || host.builder(pipeline.clone());
            let cache = builder().build().unwrap();
            for length in [0, 1, MEBIBYTE] {
                cache.insert("a".into(), noise(length)).await.unwrap();
                let other = builder().build().unwrap();
                assert_eq!(other.get("a").await.unwrap(), Some(noise(length)));
            }
            let error = cache.insert("a".into(), noise(2 * MEBIBYTE + 1)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoSpace);
            assert_eq!(cache.get("a").await.unwrap(), None);
            assert!(host.record("a").is_none());
        }
    });
}

#[test]
fn f33_bytes_that_name_code_run_nothing() {
    async fn a_miss<V: Value + Clone + PartialEq>(host: &Host, key: &str) {
        for undecodable in [
            host.read::<V>(MessagePack, key).await,
            host.read::<V>(Json, key).await,
            host.read::<V>(Postcard, key).await,
            host.read::<V>(Pipeline::new(MessagePack), key).await,
            host.read::<V>(Pipeline::new(Postcard).encrypt(keyring()), key).await,
        ] {
            assert_eq!(undecodable, (None, 1));
        }
    }
    on(async |host| {
        let trace = host.0.path().join("trace");
        // A pickle that runs a command when it is loaded, and its likes in JSON.
        let pickle = format!("cos\nsystem\n(S'touch {}'\ntR.", trace.display());
        let tagged =
            format!(r#"{{"!!python/object/apply:os.system":["touch {}"]}}"#, trace.display());
        host.process(Raw).insert("a".into(), "leek".to_owned()).await.unwrap();
        for payload in [pickle, tagged] {
            for id in [1, 2, 3, 4, 0x4001, 0x4004] {
                let mut record = host.record("a").unwrap();
                record.payload = payload.clone().into();
                record.header.codec = id;
                host.write(entry("a"), record);
                a_miss::<Order>(&host, "a").await;
                a_miss::<Vec<u64>>(&host, "a").await;
            }
        }
        assert!(!trace.exists());
    });
}

#[test]
fn f34_what_another_codec_stage_or_schema_wrote_is_a_miss() {
    on(async |host| {
        let value = "7".to_owned();
        host.process(Raw).insert("a".into(), value.clone()).await.unwrap();
        assert_eq!(host.read::<String>(MessagePack, "a").await, (None, 1));
        assert_eq!(host.read::<u32>(Json, "a").await, (None, 1));
        assert_eq!(host.read::<String>(Pipeline::new(Raw), "a").await, (None, 1));
        let sealed = || Pipeline::new(Raw).encrypt(keyring());
        assert_eq!(host.read::<String>(sealed(), "a").await, (None, 1));
        host.process(sealed()).insert("a".into(), value.clone()).await.unwrap();
        assert_eq!(host.read::<String>(Raw, "a").await, (None, 1));
        assert_eq!(host.read::<String>(Pipeline::new(Raw), "a").await, (None, 1));
        assert_eq!(host.read::<String>(sealed().schema(1), "a").await, (None, 1));
        assert_eq!(host.read::<String>(sealed(), "a").await, (Some(value), 0));
    });
}

#[test]
fn f34_a_forged_record_is_a_miss() {
    on(async |host| {
        let sealed = || Pipeline::new(Raw).compress(Zstd::new()).encrypt(keyring());
        let value = "leek ".repeat(1_000);
        host.process(sealed()).insert("a".into(), value.clone()).await.unwrap();
        let there = host.record("a").unwrap();
        // The record is moved to another key, to another namespace, or under another codec's id.
        let copy = || Record { header: there.header.clone(), payload: there.payload.clone() };
        host.write(entry("b"), copy());
        assert_eq!(host.read::<String>(sealed(), "b").await, (None, 1));
        let told = Told::default();
        let other = || host.builder::<String>(sealed()).namespace("other");
        other().build().unwrap().insert("a".into(), "stew".into()).await.unwrap();
        let key = Key::new(&Namespace::new("other").unwrap(), Class::Entry, b"a");
        let mut record = block_on(host.open().read_one(&key)).unwrap().unwrap();
        record.payload = there.payload.clone();
        host.write(key, record);
        let other = other().on_event(told.observer()).build().unwrap();
        assert_eq!(other.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::Undecodable(_))), 1);
        for (place, byte) in [(0, 2), (1, 0), (1, 2), (2, 0), (3, 1), (5, 1), (13, 8), (60, 0)] {
            let mut forged = copy();
            let mut bytes = forged.payload.to_vec();
            bytes[place] = byte;
            forged.payload = bytes.into();
            host.write(entry("a"), forged);
            assert_eq!(host.read::<String>(sealed(), "a").await, (None, 1), "byte {place}");
        }
        host.write(entry("a"), copy());
        assert_eq!(host.read::<String>(sealed(), "a").await, (Some(value), 0));
    });
}

#[test]
fn secrets_are_replaced_while_processes_run() {
    on(async |host| {
        let ring = |current, ids: &[u8]| {
            let secrets = ids.iter().map(|&id| (u32::from(id), [id; 32]));
            Pipeline::new(MessagePack).encrypt(Keyring::new(current, secrets).unwrap())
        };
        let value = "leek".to_owned();
        host.process(ring(1, &[1])).insert("old".into(), value.clone()).await.unwrap();
        host.process(ring(2, &[1, 2])).insert("new".into(), value.clone()).await.unwrap();
        // First all processes know the new secret, then all use it, then none knows the old one.
        assert_eq!(host.read(ring(1, &[1, 2]), "new").await, (Some(value.clone()), 0));
        assert_eq!(host.read(ring(2, &[1, 2]), "old").await, (Some(value.clone()), 0));
        assert_eq!(host.read::<String>(ring(2, &[2]), "old").await, (None, 1));
        let last = host.process::<String>(ring(2, &[2]));
        assert_eq!(last.get_with("old", || async { "stew".into() }).await.unwrap(), "stew");
        assert_eq!(host.read(ring(2, &[2]), "old").await, (Some("stew".to_owned()), 0));
    });
}

#[test]
fn a_strict_cache_says_of_a_forged_record_nothing_but_that_it_is_one() {
    on(async |host| {
        let sealed = || Pipeline::new(Raw).encrypt(keyring());
        host.process(sealed()).insert("hidden".into(), "leek".to_owned()).await.unwrap();
        let strict = host.builder::<String>(sealed().schema(1)).strict(true).build().unwrap();
        let error = strict.get("hidden").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("leek") && !shown.contains("hidden"), "{shown}");
    });
}
