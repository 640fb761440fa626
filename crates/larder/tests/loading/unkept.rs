//! Values that cannot be decoded, encoded or stored: each is reported, and none leaves an older
//! one.

use std::sync::Arc;

use bytes::Bytes;
use larder::backend::{Backend, Codec, Error, ErrorKind, Result};
use larder::{Cache, Event, MemoryBackend, MessagePack, Raw};
use larder_test_support::{Rig, Told, entry, on, on_shared, secs};

use crate::support::stale_too;

#[test]
fn f34_what_another_codec_wrote_is_a_miss_and_an_event() {
    on_shared(async |rig| {
        let told = Told::default();
        let build = || Cache::<String, String>::builder().clock(Arc::new(rig.clock.clone()));
        let raw = build().backend_with(rig.store().clone(), Raw).build().unwrap();
        raw.insert("a".into(), "soup".into()).await.unwrap();
        let packed = build().backend_with(rig.store().clone(), MessagePack);
        let packed = packed.on_event(told.observer()).build().unwrap();
        assert_eq!(packed.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::Undecodable(_))), 1);
        assert_eq!(packed.get_with("a", || async { "stew".into() }).await.unwrap(), "stew");
        rig.advance(10);
        assert_eq!(raw.get("a").await.unwrap(), None);
    });
}

/// A codec that refuses odd numbers, and panics over numbers above a hundred.
struct Even;

impl Codec<u32> for Even {
    fn id(&self) -> u16 {
        0x8009
    }

    fn encode(&self, value: &u32) -> Result<Bytes> {
        assert!(*value <= 100, "expected");
        if value % 2 == 1 {
            return Err(Error::new(ErrorKind::Codec, "encode", "odd"));
        }
        Ok(Bytes::copy_from_slice(&value.to_le_bytes()))
    }

    fn decode(&self, bytes: &Bytes) -> Result<u32> {
        let bytes = bytes[..].try_into();
        bytes.map(u32::from_le_bytes).map_err(|_| Error::new(ErrorKind::Codec, "decode", "short"))
    }
}

/// Broken once: a panic of the codec left the lease, and the caller was told that the cache was
/// closed.
#[test]
fn a_value_that_cannot_be_encoded_takes_away_what_was_there() {
    on_shared(async |rig| {
        let told = Told::default();
        let cache = Cache::<String, u32>::builder()
            .clock(Arc::new(rig.clock.clone()))
            .backend_with(rig.store().clone(), Even)
            .ttl(secs(10))
            .grace(secs(60))
            .on_event(told.observer())
            .build()
            .unwrap();
        for (round, value) in [3, 101].into_iter().enumerate() {
            for is_load in [false, true] {
                cache.insert("a".into(), 2).await.unwrap();
                rig.advance(10);
                if is_load {
                    assert_eq!(
                        cache.get_with("a", move || async move { value }).await.unwrap(),
                        value
                    );
                } else {
                    let error = cache.insert("a".into(), value).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Codec);
                }
                assert!(rig.record("a").is_none(), "round {round}, load {is_load}");
                assert_eq!(stale_too(&cache).get("a").await.unwrap(), None);
            }
        }
        assert_eq!(told.count(|event| matches!(event, Event::NotStored(_))), 4);
    });
}

/// Broken once: a load's value for which the store had no space left the stale one there.
#[test]
fn a_value_that_the_store_has_no_room_for_takes_away_what_was_there() {
    on(Rig::memory(), &async |rig: Rig| {
        let told = Told::default();
        let memory = MemoryBackend::new(Arc::new(rig.clock.clone())).with_max_bytes(10);
        let cache = Cache::<String, Vec<u8>>::builder()
            .clock(Arc::new(rig.clock.clone()))
            .backend_with(memory.clone(), Raw)
            .ttl(secs(10))
            .grace(secs(60))
            .on_event(told.observer())
            .build()
            .unwrap();
        for is_load in [false, true] {
            cache.insert("a".into(), vec![1; 5]).await.unwrap();
            rig.advance(10);
            if is_load {
                let large = || async { vec![2; 20] };
                assert_eq!(cache.get_with("a", large).await.unwrap(), [2; 20]);
            } else {
                let error = cache.insert("a".into(), vec![2; 20]).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NoSpace);
            }
            let there = memory.read_one(&entry("a")).await.unwrap();
            assert!(there.is_none(), "load {is_load}");
            assert_eq!(stale_too(&cache).get("a").await.unwrap(), None);
        }
        assert_eq!(told.count(|event| matches!(event, Event::NotStored(_))), 2);
    });
}
