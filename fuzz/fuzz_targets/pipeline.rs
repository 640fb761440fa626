//! Codecs and pipelines: any bytes decode to a value or an error, and a value comes back.

#![no_main]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::LazyLock;

use bytes::Bytes;
use larder::backend::{Codec, ErrorKind};
use larder::{Json, Keyring, Lz4, MessagePack, Pipeline, Postcard, Raw, Zstd};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};

const PLACE: &[u8] = b"fuzz:k:place";
const MAX_VALUE_BYTES: usize = 1 << 20;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    note: Option<String>,
    lines: Vec<(String, i64)>,
    by_name: BTreeMap<String, u128>,
    state: State,
    parent: Option<Box<Order>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Open,
    Sent { at: u32 },
    Split(Vec<State>),
    Next(Box<State>),
}

// The first byte says which codec, which stages and which type.
fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let bytes = Bytes::copy_from_slice(bytes);
    let stage = usize::from(choice >> 2 & 7);
    match choice & 3 {
        0 => serde(&STAGES.0[stage], choice, &bytes),
        1 => serde(&STAGES.1[stage], choice, &bytes),
        2 => serde(&STAGES.2[stage], choice, &bytes),
        _ => {
            one::<Bytes, _>(&STAGES.3[stage], &bytes);
            one::<String, _>(&STAGES.3[stage], &bytes);
            changed(&STAGES.3[stage], &bytes);
        }
    }
});

/// Every codec without a pipeline, then in one of all stages.
enum Stage<C> {
    Plain(C),
    Pipeline(Pipeline<C>),
}

type Stages<C> = [Stage<C>; 8];

type All = (Stages<MessagePack>, Stages<Json>, Stages<Postcard>, Stages<Raw>);

static STAGES: LazyLock<All> =
    LazyLock::new(|| (stages(MessagePack), stages(Json), stages(Postcard), stages(Raw)));

fn stages<C: Clone>(codec: C) -> Stages<C> {
    let (zstd, lz4) = (Zstd::new().level(1).threshold_bytes(1), Lz4::new().threshold_bytes(1));
    let keyring = Keyring::new(1, [(1, [1; 32]), (2, [2; 32])]).expect("it has its current one");
    let pipeline = Pipeline::new(codec.clone()).max_value_bytes(MAX_VALUE_BYTES);
    [
        Stage::Plain(codec),
        Stage::Pipeline(pipeline.clone()),
        Stage::Pipeline(pipeline.clone().schema(1)),
        Stage::Pipeline(pipeline.clone().compress(zstd)),
        Stage::Pipeline(pipeline.clone().compress(lz4)),
        Stage::Pipeline(pipeline.clone().encrypt(keyring.clone())),
        Stage::Pipeline(pipeline.clone().compress(zstd).encrypt(keyring.clone())),
        Stage::Pipeline(pipeline.compress(lz4).encrypt(keyring)),
    ]
}

fn serde<C>(stage: &Stage<C>, choice: u8, bytes: &Bytes)
where
    C: Codec<Order> + Codec<Vec<u8>> + Codec<Vec<Option<()>>> + Codec<State> + Codec<String>,
{
    match choice >> 5 {
        0 => one::<Order, C>(stage, bytes),
        1 => one::<State, C>(stage, bytes),
        2 => one::<String, C>(stage, bytes),
        3 => one::<Vec<Option<()>>, C>(stage, bytes),
        _ => one::<Vec<u8>, C>(stage, bytes),
    }
}

fn codec<V, C: Codec<V>>(stage: &Stage<C>) -> &dyn Codec<V> {
    match stage {
        Stage::Plain(codec) => codec,
        Stage::Pipeline(pipeline) => pipeline,
    }
}

fn one<V: Debug + PartialEq + 'static, C: Codec<V>>(stage: &Stage<C>, bytes: &Bytes) {
    let codec = codec::<V, C>(stage);
    let value = match codec.decode_at(bytes, PLACE) {
        Ok(value) => value,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Codec),
    };
    // A value that is too deep in another form of the same type cannot be: the bytes were not.
    let again = codec.encode_at(&value, PLACE).expect("what was decoded can be encoded");
    assert_eq!(codec.decode_at(&again, PLACE).expect("what was encoded can be decoded"), value);
}

/// The bytes as a value: it comes back, and no byte of what is encrypted may change.
fn changed(stage: &Stage<Raw>, value: &Bytes) {
    let codec = codec::<Bytes, Raw>(stage);
    let Ok(encoded) = codec.encode_at(value, PLACE) else { return };
    assert_eq!(&codec.decode_at(&encoded, PLACE).expect("what was encoded can be decoded"), value);
    let Some(&last) = value.last() else { return };
    let mut changed = encoded.to_vec();
    let place = usize::from(last) % changed.len();
    changed[place] ^= value[0] | 1;
    let read = codec.decode_at(&changed.into(), PLACE);
    let is_encrypted = matches!(stage, Stage::Pipeline(_)) && encoded.get(2) == Some(&1);
    assert!(!is_encrypted || read.is_err());
}
