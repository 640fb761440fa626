//! Codecs: values come back as they were, and hostile bytes are an error without harm.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what helps a test panics like the test"
)]

use std::alloc::System;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use larder::backend::{Codec, ErrorKind};
use larder::{Json, Keyring, Lz4, MessagePack, Pipeline, Postcard, Raw, Zstd};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use self::values::{Chain, Named, Nothing, Order, Tree};

mod bombs;
mod cache;
mod formats;
mod golden;
mod hostile;
mod pipelines;
mod values;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

pub(crate) const MEBIBYTE: usize = 1 << 20;

/// A lock for all tests: the allocations are counted for the whole process, so one test runs at a
/// time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The traits of the serde values under test.
pub(crate) trait Value:
    Serialize + DeserializeOwned + Debug + Send + Sync + 'static
{
}

impl<V: Serialize + DeserializeOwned + Debug + Send + Sync + 'static> Value for V {}

/// Returns the formats of any serde value, by name.
pub(crate) fn formats<V: Value>() -> [(&'static str, Box<dyn Codec<V>>); 3] {
    [
        ("MessagePack", Box::new(MessagePack)),
        ("JSON", Box::new(Json)),
        ("postcard", Box::new(Postcard)),
    ]
}

/// Returns the secrets that tests encrypt with.
pub(crate) fn keyring() -> Keyring {
    Keyring::new(7, [(7, [7; 32])]).unwrap()
}

/// Returns a codec in pipelines of all stages, by name. They compress all values that are not
/// empty.
pub(crate) fn pipelines<C: Clone>(codec: C) -> [(&'static str, Pipeline<C>); 6] {
    let (zstd, lz4) = (Zstd::new().threshold_bytes(1), Lz4::new().threshold_bytes(1));
    let pipeline = Pipeline::new(codec).schema(3);
    [
        ("schema", pipeline.clone()),
        ("zstd", pipeline.clone().compress(zstd)),
        ("lz4", pipeline.clone().compress(lz4)),
        ("encrypted", pipeline.clone().encrypt(keyring())),
        ("zstd and encrypted", pipeline.clone().compress(zstd).encrypt(keyring())),
        ("lz4 and encrypted", pipeline.compress(lz4).encrypt(keyring())),
    ]
}

/// Decodes as every type and format. One decode may allocate at most `most` bytes.
pub(crate) fn decode_as_everything(bytes: &Bytes, most: usize) {
    fn each<V: Value>(bytes: &Bytes, most: usize) {
        for (_, codec) in formats::<V>() {
            decode(codec.as_ref(), bytes, most);
        }
    }
    each::<Order>(bytes, most);
    each::<Tree>(bytes, most);
    each::<Chain>(bytes, most);
    each::<Named>(bytes, most);
    each::<Nothing>(bytes, most);
    each::<Vec<u64>>(bytes, most);
    each::<BTreeMap<String, Option<f32>>>(bytes, most);
    decode::<String>(&Raw, bytes, most);
    decode::<Vec<u8>>(&Raw, bytes, most);
    decode::<Bytes>(&Raw, bytes, most);
}

/// Decodes to a value or an error that says so, in bounded memory.
#[track_caller]
pub(crate) fn decode<V: 'static>(codec: &dyn Codec<V>, bytes: &Bytes, most: usize) {
    let region = Region::new(ALLOCATOR);
    let result = codec.decode(bytes).map(drop);
    let allocated = region.change().bytes_allocated;
    assert!(allocated <= most, "{allocated} bytes for {} bytes", bytes.len());
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::Codec);
    }
}

#[track_caller]
pub(crate) fn refused<V: Debug + 'static>(codec: &dyn Codec<V>, bytes: &[u8]) {
    let error = codec.decode(&Bytes::copy_from_slice(bytes)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
}
