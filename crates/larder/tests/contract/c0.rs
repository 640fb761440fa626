//! A typed cache over any storage.

use std::time::Duration;

use bytes::Bytes;
use larder::backend::{
    AnyBackend, Backend, Class, Clock, Codec, Error, ErrorKind, Kind, Life, NEVER, Namespace,
    Result,
};
use larder::{Cache, Event, LocalCache, MessagePack, Options, Raw, Ttl};
use larder_test_support::{Rig, Told, entry, on_all, on_shared, secs};
use larder_testkit::{Fault, Operation};

const NANOSECOND: Duration = Duration::from_nanos(1);

const fn just_before(seconds: u64) -> Duration {
    Duration::new(seconds - 1, 999_999_999)
}

#[test]
fn c0_1_a_record_holds_all_that_is_needed_to_judge_it() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(5)).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        rig.advance(4);
        // Where there is a store, another process judges by the record alone.
        let judge = if rig.store.is_some() { rig.builder().build().unwrap() } else { cache };
        let info = judge.entry_info("a").await.unwrap().unwrap();
        assert_eq!((info.life, info.age, info.ttl_left), (Life::Fresh, Some(secs(4)), secs(6)));
        assert_eq!(judge.get("a").await.unwrap(), Some(7));
        if rig.store.is_some() {
            let record = rig.record("a").unwrap();
            let value: u32 = MessagePack.decode(&record.payload).unwrap();
            let times = record.header.times;
            assert_eq!((value, times.age, times.fresh_for), (7, secs(4), secs(10)));
        }
        rig.advance(6);
        assert_eq!(judge.get("a").await.unwrap(), None);
    });
}

#[test]
fn c0_2_all_records_of_one_cache_have_one_codec() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, String>().build().unwrap();
        cache.insert("inserted".into(), "soup".into()).await.unwrap();
        cache.get_with("loaded", || async { "soup".to_owned() }).await.unwrap();
        cache.insert_if_absent("added".into(), "soup".into()).await.unwrap();
        let id = Codec::<String>::id(&MessagePack);
        for key in ["inserted", "loaded", "added"] {
            assert_eq!(rig.record(key).unwrap().header.codec, id);
        }
    });
}

/// A codec that writes text backwards.
struct Backwards;

impl Codec<String> for Backwards {
    fn id(&self) -> u16 {
        0x8007
    }

    fn encode(&self, value: &String) -> Result<Bytes> {
        Ok(Bytes::from(value.chars().rev().collect::<String>()))
    }

    fn decode(&self, bytes: &Bytes) -> Result<String> {
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| Error::new(ErrorKind::Codec, "decode", "not text"))?;
        Ok(text.chars().rev().collect())
    }
}

#[test]
fn c0_3_the_codec_is_pluggable() {
    on_shared(async |rig| {
        let build = || {
            let builder = Cache::<String, String>::builder();
            builder.backend_with(rig.store().clone(), Backwards).build().unwrap()
        };
        build().insert("a".into(), "soup".into()).await.unwrap();
        assert_eq!(rig.record("a").unwrap().payload, "puos");
        assert_eq!(build().get("a").await.unwrap().as_deref(), Some("soup"));
    });
}

async fn round_trip(backend: impl Backend + Clone, codec: impl Codec<String> + Copy) {
    let build = || Cache::<String, String>::builder().backend_with(backend.clone(), codec);
    build().build().unwrap().insert("a".into(), "soup".into()).await.unwrap();
    let other = build().build().unwrap();
    assert_eq!(other.get("a").await.unwrap().as_deref(), Some("soup"));
    assert_eq!(other.get("b").await.unwrap(), None);
}

#[test]
fn c0_4_storage_and_codec_vary_independently() {
    on_shared(async |rig| {
        let store = rig.store();
        round_trip(store.inner().clone(), MessagePack).await;
        round_trip(store.inner().clone(), Raw).await;
        round_trip(store.clone(), MessagePack).await;
        round_trip(AnyBackend::new(store.clone()), Raw).await;
    });
}

/// A codec that encodes short text only.
struct Short;

impl Codec<String> for Short {
    fn id(&self) -> u16 {
        0x8008
    }

    fn encode(&self, value: &String) -> Result<Bytes> {
        let too_long = || Error::new(ErrorKind::Codec, "encode", "too long");
        (value.len() < 5).then(|| Bytes::copy_from_slice(value.as_bytes())).ok_or_else(too_long)
    }

    fn decode(&self, bytes: &Bytes) -> Result<String> {
        Raw.decode(bytes)
    }
}

#[test]
fn c0_5_clear_all_takes_everything_or_says_that_the_storage_cannot() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let entries = (0..50).map(|n| (n.to_string(), n));
        cache.insert_many(entries).await.unwrap().into_result().unwrap();
        assert_eq!(cache.clear("*").await.unwrap(), 50);
        assert_eq!(cache.get("7").await.unwrap(), None);
        if rig.store.is_some() {
            assert!(rig.record("7").is_none());
            rig.store().every(Operation::Scan, Fault::Fail(ErrorKind::Unsupported));
            assert_eq!(cache.clear("*").await.unwrap_err().kind(), ErrorKind::Unsupported);
        }
    });
}

#[test]
fn c0_6_clear_expired_frees_what_is_dead_or_says_that_the_storage_cannot() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let lives = (0..50).map(|n| (n.to_string(), n, secs(if n < 20 { 5 } else { 50 })));
        cache.insert_many(lives).await.unwrap().into_result().unwrap();
        assert_eq!(cache.purge().await.unwrap(), 0);
        rig.advance(5);
        let freed = cache.purge().await.unwrap();
        let is_on_disk = rig.name == "memory over SQLite";
        assert_eq!(freed, if is_on_disk { 20 } else { 0 }, "memory has freed it unasked");
        assert_eq!((cache.purge().await.unwrap(), cache.count("*").await.unwrap()), (0, 30));
        if rig.store.is_some() {
            rig.store().every(Operation::Purge, Fault::Fail(ErrorKind::Unsupported));
            assert_eq!(cache.purge().await.unwrap_err().kind(), ErrorKind::Unsupported);
        }
    });
}

#[test]
fn c0_7_a_value_is_encoded_first_and_an_encode_error_stores_nothing() {
    on_shared(async |rig| {
        let told = Told::default();
        let cache = Cache::<String, String>::builder()
            .clock(std::sync::Arc::new(rig.clock.clone()))
            .backend_with(rig.store().clone(), Short)
            .on_event(told.observer())
            .build()
            .unwrap();
        cache.insert("a".into(), "soup".into()).await.unwrap();
        rig.advance(3);
        assert_eq!(rig.record("a").unwrap().header.times.age, secs(3), "stamped when it was set");
        rig.store().forget_calls();
        let error = cache.insert("b".into(), "casserole".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(rig.record("b").is_none());
        assert_eq!(rig.store().count(Operation::Write), 0);
        assert_eq!(cache.get("b").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::NotStored(_))), 1);
    });
}

#[test]
fn c0_8_never_is_a_ttl() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        cache.with(Ttl::Never).insert("a".into(), 7).await.unwrap();
        rig.advance(100 * 365 * 86_400);
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
        assert_eq!(cache.entry_info("a").await.unwrap().unwrap().ttl_left, NEVER);
    });
    let local = LocalCache::<u8, u8>::builder().capacity(9).ttl(secs(10)).build().unwrap();
    local.insert_with(1, 7, Ttl::Never);
    assert_eq!(local.entry_info(&1).unwrap().ttl_left, NEVER);
}

#[test]
fn c0_9_no_record_is_none() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(cache.peek("a").await.unwrap(), None);
        assert!(cache.entry_info("a").await.unwrap().is_none());
    });
    assert_eq!(LocalCache::<String, u32>::new(9).get("a"), None);
}

#[test]
fn c0_10_age_equal_to_ttl_is_a_miss() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        let other = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        cache.get_with("b", || async { 8 }).await.unwrap();
        rig.clock.advance(secs(10).checked_sub(rig.tick).unwrap());
        let seen = (cache.get("a").await.unwrap(), cache.get("b").await.unwrap());
        assert_eq!(seen, (Some(7), Some(8)));
        assert_eq!(other.get("a").await.unwrap(), rig.store.is_some().then_some(7));
        rig.clock.advance(rig.tick);
        assert_eq!((cache.get("a").await.unwrap(), cache.get("b").await.unwrap()), (None, None));
        assert_eq!(other.get("a").await.unwrap(), None);
    });
    let rig = Rig::memory();
    let builder = LocalCache::<String, u32>::builder().capacity(9).ttl(secs(10));
    let local = builder.clock(std::sync::Arc::new(rig.clock.clone())).build().unwrap();
    local.insert("a".into(), 7);
    rig.clock.advance(just_before(10));
    assert_eq!(local.get("a"), Some(7));
    rig.clock.advance(NANOSECOND);
    assert_eq!(local.get("a"), None);
}

#[test]
fn c0_11_without_a_ttl_every_read_is_a_hit() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        for _ in 0..100 {
            rig.advance(86_400 * 365);
            assert_eq!(cache.get("a").await.unwrap(), Some(7));
        }
        assert_eq!(cache.stats().misses, 0);
    });
}

#[test]
fn c0_12_reading_an_expired_record_returns_none_and_deletes_nothing() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        rig.advance(20);
        for _ in 0..3 {
            assert_eq!(cache.get("a").await.unwrap(), None);
            assert_eq!(cache.peek("a").await.unwrap(), None);
            assert!(!cache.contains_key("a").await.unwrap());
        }
        assert_eq!(cache.with(Options::new().allow_stale(true)).get("a").await.unwrap(), Some(7));
        assert_eq!(cache.entry_info("a").await.unwrap().unwrap().life, Life::Stale);
        if let Some(store) = &rig.store {
            assert_eq!(store.count(Operation::Delete), 0);
            assert_eq!(rig.record("a").unwrap().header.kind, Kind::Value);
        }
    });
}

#[test]
fn c0_13_expiry_is_the_same_on_every_storage() {
    let rows = std::cell::RefCell::new(Vec::new());
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(5)).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        let stale = cache.with(Options::new().allow_stale(true));
        let mut row = Vec::new();
        let steps = [secs(0), just_before(10), NANOSECOND, just_before(5), NANOSECOND];
        for step in steps {
            rig.clock.advance(step);
            row.push((cache.get("a").await.unwrap(), stale.get("a").await.unwrap()));
        }
        rows.borrow_mut().push(row);
    });
    let (fresh, stale, dead) = ((Some(7), Some(7)), (None, Some(7)), (None, None));
    for row in rows.into_inner() {
        assert_eq!(row, [fresh, fresh, stale, stale, dead]);
    }
}

#[test]
fn c0_14_age_and_remaining_life_can_be_read_back() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(5)).build().unwrap();
        let other = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        let start = rig.clock.now();
        for (age, left) in [(3, 7), (9, 1), (12, 0)] {
            rig.clock.advance_to(start.after(secs(age)));
            let readers = if rig.store.is_some() { vec![&cache, &other] } else { vec![&cache] };
            for reader in readers {
                let info = reader.entry_info("a").await.unwrap().unwrap();
                assert_eq!((info.age, info.ttl_left), (Some(secs(age)), secs(left)));
                assert_eq!(info.kept_left, secs(15 - age));
            }
        }
        rig.advance(3);
        assert!(cache.entry_info("a").await.unwrap().is_none());
    });
}

#[test]
fn c0_14_what_a_tag_made_stale_has_no_life_left() {
    on_all(async |rig| {
        let tagged = Options::new().tags(["t"]).ttl(secs(10)).grace(secs(5));
        let cache = rig.builder::<String, u32>().defaults(tagged).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        cache.mark_tag_stale("t").await.unwrap();
        let info = cache.entry_info("a").await.unwrap().unwrap();
        assert_eq!((info.life, info.ttl_left), (Life::Stale, secs(0)));
        assert_eq!(info.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["t"]);
    });
}

#[test]
fn c0_15_a_decode_failure_is_a_miss_and_an_event_or_in_strict_mode_the_error() {
    on_shared(async |rig| {
        let told = Told::default();
        let lenient = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        let strict = rig.builder::<String, u32>().strict(true).build().unwrap();
        let text = Cache::<String, String>::builder();
        let text = text.backend_with(rig.store().clone(), MessagePack).build().unwrap();

        // The codec's own failure: text where a number is expected.
        text.insert("a".into(), "soup".into()).await.unwrap();
        assert_eq!(lenient.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::Undecodable(_))), 1);
        assert_eq!(strict.get("a").await.unwrap_err().kind(), ErrorKind::Codec);

        // The store's failure: damaged bytes.
        rig.store().damage(&entry("b")).await;
        assert_eq!(lenient.get("b").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::Undecodable(_))), 2);
        assert_eq!(strict.get("b").await.unwrap_err().kind(), ErrorKind::Codec);

        // A load replaces both, for both caches.
        for key in ["a", "b"] {
            assert_eq!(lenient.get_with(key, || async { 7 }).await.unwrap(), 7);
            assert_eq!(strict.get(key).await.unwrap(), Some(7));
        }
    });
}

#[test]
fn c0_15_a_damaged_read_is_no_reason_to_delete() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        rig.builder::<String, u32>().build().unwrap().insert("a".into(), 7).await.unwrap();
        let meant = entry("a");
        rig.store().every_where(Operation::Read, Fault::Corrupt, move |key| *key == meant);
        assert_eq!(cache.get("a").await.unwrap(), None);
        rig.store().clear();
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
    });
}

#[test]
fn c0_16_a_value_that_means_nothing_is_told_from_a_miss() {
    on_all(async |rig| {
        let cache = rig.builder::<String, Option<u32>>().build().unwrap();
        assert_eq!(cache.get("a").await.unwrap(), None);
        cache.insert("a".into(), None).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), Some(None));
        assert!(cache.contains_key("a").await.unwrap());
        let other = rig.builder::<String, Option<u32>>().build().unwrap();
        assert_eq!(other.get("a").await.unwrap(), rig.store.is_some().then_some(None));
        let namespace = Namespace::new("larder").unwrap();
        if rig.store.is_some() {
            let prefix = namespace.class_prefix(Class::Entry);
            let page = rig.store().inner().scan(&prefix, None, 10).await.unwrap();
            assert_eq!(page.records.len(), 1);
        }
    });
    let local = LocalCache::<String, Option<u32>>::new(9);
    local.insert("a".into(), None);
    assert_eq!((local.get("a"), local.get("b")), (Some(None), None));
}
