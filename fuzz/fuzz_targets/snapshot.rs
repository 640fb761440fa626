//! The bytes of a snapshot and of its log: any bytes are a cache, and what is in it can be saved.

#![no_main]

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use larder::{Cache, Sink, Snapshot};
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

// The first byte says whether the bytes are a whole snapshot, or the bodies of its blocks and of its
// log, whose checks are put right.
fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let kept = match choice % 4 {
        0 => Kept { snapshot: Some(bytes.to_vec()), logs: BTreeMap::new() },
        1 => framed(&[], &[bytes]),
        2 => framed(&[bytes], &[]),
        _ => {
            let middle = bytes.len() / 2;
            framed(&[&bytes[..middle]], &bytes[middle..].chunks(16).collect::<Vec<_>>())
        }
    };
    let sink = Memory(Arc::new(Mutex::new(kept)));
    let open = || {
        let builder = Cache::<String, Option<String>>::builder().capacity(64);
        builder.snapshot(Snapshot::new(sink.clone())).build().expect("damage is no error")
    };
    let cache = open();
    let keys = |cache: &Cache<_, _>| -> Vec<String> {
        let keys = cache.blocking().keys("*").expect("it is a pattern");
        keys.map(|key| key.expect("memory does not fail")).collect()
    };
    let before = keys(&cache);
    cache.blocking().save().expect("what was restored can be saved");
    drop(cache);
    // Lives may end meanwhile, and nothing else may turn up.
    assert!(keys(&open()).iter().all(|key| before.contains(key)));
});

/// A snapshot of these blocks, and a log of these records.
fn framed(blocks: &[&[u8]], records: &[&[u8]]) -> Kept {
    let log = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128;
    let mut out = b"LARDSNAP".to_vec();
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&0_u32.to_le_bytes());
    out.extend_from_slice(&1_767_225_600_000_000_u64.to_le_bytes());
    out.extend_from_slice(&1_u64.to_le_bytes());
    out.extend_from_slice(&log.to_le_bytes());
    out.extend_from_slice(&6_u16.to_le_bytes());
    out.extend_from_slice(b"larder");
    let mut seed = xxh3_64(&out);
    out.extend_from_slice(&seed.to_le_bytes());
    for body in blocks.iter().filter(|body| !body.is_empty()) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&xxh3_64_with_seed(body, seed).to_le_bytes());
        out.extend_from_slice(body);
        seed = seed.wrapping_add(1);
    }
    let count = 1_u64.to_le_bytes();
    out.extend_from_slice(&0_u32.to_le_bytes());
    out.extend_from_slice(&xxh3_64_with_seed(&count, seed).to_le_bytes());
    out.extend_from_slice(&count);

    let mut written = Vec::new();
    let begin: &[&[u8]] = &[&[0]];
    for body in begin.iter().chain(records).filter(|body| !body.is_empty()) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let mut head = length.to_le_bytes().to_vec();
        head.extend_from_slice(&xxh3_64(body).to_le_bytes()[..4]);
        let check = xxh3_64(&head).to_le_bytes();
        head.extend_from_slice(&check[..4]);
        written.extend_from_slice(&head);
        written.extend_from_slice(body);
    }
    let logs = BTreeMap::from([(format!("{log:032x}"), written)]);
    Kept { snapshot: Some(out), logs }
}

#[derive(Clone)]
struct Memory(Arc<Mutex<Kept>>);

struct Kept {
    snapshot: Option<Vec<u8>>,
    logs: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    fn with<R>(&self, change: impl FnOnce(&mut Kept) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Memory {
    fn read(&self) -> io::Result<Option<Box<dyn Read + Send>>> {
        Ok(self.with(|kept| kept.snapshot.clone()).map(boxed))
    }

    fn replace(
        &self,
        log: Option<&str>,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        self.with(|kept| {
            kept.snapshot = Some(bytes);
            kept.logs.retain(|name, _| Some(name.as_str()) == log);
        });
        Ok(())
    }

    fn read_log(&self, log: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        Ok(self.with(|kept| kept.logs.get(log).cloned()).map(boxed))
    }

    fn begin(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(|kept| drop(kept.logs.insert(log.to_owned(), bytes.to_vec())));
        Ok(())
    }

    fn append(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(|kept| {
            kept.logs.get_mut(log).ok_or(io::ErrorKind::NotFound)?.extend_from_slice(bytes);
            Ok(())
        })
    }

    fn clear(&self) -> io::Result<()> {
        self.with(|kept| *kept = Kept { snapshot: None, logs: BTreeMap::new() });
        Ok(())
    }
}

fn boxed(bytes: Vec<u8>) -> Box<dyn Read + Send> {
    Box::new(Cursor::new(bytes))
}
