//! The entries of any cache come back with the life that is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use larder::backend::NEVER;
use larder::{Cache, Options, Snapshot, Ttl};
use larder_test_support::MemorySink;
use larder_testkit::{ManualClock, block_on};

type Key = (String, Option<i64>, Vec<u8>);

fn build(clock: &ManualClock, sink: &MemorySink) -> Cache<Key, Vec<String>> {
    let builder = Cache::builder().clock(Arc::new(clock.clone())).capacity(100_000);
    builder.snapshot(Snapshot::new(sink.clone())).build().unwrap()
}

fn text(random: &mut fastrand::Rng) -> String {
    let alphabet = ['a', ':', '%', '\n', '\0', 'é', '𝄞', '-', '='];
    (0..random.usize(0..6)).map(|_| *random.choice(&alphabet[..]).unwrap()).collect()
}

#[test]
fn random_caches_come_back_as_they_were() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (clock, sink) = (ManualClock::new(), MemorySink::default());
        let cache = build(&clock, &sink);
        let mut keys = Vec::new();
        for _ in 0..random.usize(0..400) {
            let bytes = (0..random.usize(0..4)).map(|_| random.u8(..)).collect();
            let key = (text(&mut random), random.bool().then(|| random.i64(..)), bytes);
            let value: Vec<String> = (0..random.usize(0..5)).map(|_| text(&mut random)).collect();
            let ttl = match random.u8(0..3) {
                0 => Ttl::Never,
                _ => Ttl::For(Duration::from_micros(random.u64(1..1 << 34))),
            };
            let mut options = Options::new().ttl(ttl);
            if random.bool() {
                options = options.grace(Duration::from_micros(random.u64(0..1 << 34)));
            }
            let tags: Vec<String> = (0..random.usize(0..4)).map(|n| format!("{n}")).collect();
            keys.push(key.clone());
            block_on(cache.with(options.tags(tags)).insert(key, value)).unwrap();
            clock.advance(Duration::from_micros(random.u64(0..1 << 26)));
        }
        let saved = block_on(cache.save()).unwrap();
        let down = Duration::from_micros(random.u64(0..1 << 33));
        clock.advance(down);
        let again = build(&clock, &sink);
        let (before, after) = (infos(&cache, &keys), infos(&again, &keys));
        assert_eq!(before, after, "seed {seed}");
        assert!(after.len() as u64 <= saved);
    }
}

type Info = (Vec<String>, Duration, Duration, Vec<Arc<str>>);

/// Returns the metadata and values of these entries.
fn infos(cache: &Cache<Key, Vec<String>>, keys: &[Key]) -> BTreeMap<Key, Info> {
    let stale = cache.with(Options::new().allow_stale(true));
    let mut infos = BTreeMap::new();
    for key in keys {
        let Some(info) = block_on(cache.entry_info(key)).unwrap() else { continue };
        let value = block_on(stale.get(key)).unwrap().unwrap();
        assert!(info.ttl_left == NEVER || info.ttl_left <= info.kept_left);
        infos.insert(key.clone(), (value, info.ttl_left, info.kept_left, info.tags));
    }
    infos
}
