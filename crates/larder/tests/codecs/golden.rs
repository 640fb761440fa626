//! Bytes that were released are decoded for ever.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use larder::backend::Codec;
use larder::{Json, MessagePack, Pipeline, Postcard};

use super::values::{Line, Order, State};
use super::{Value, alone, formats, pipelines};

const PLACE: &[u8] = b"larder:k:order";

fn order() -> Order {
    Order {
        id: u64::MAX - 1,
        note: Some("no leeks \u{1F96C} today".to_owned()),
        lines: (0..40).map(|line| Line("onion".to_owned(), -line)).collect(),
        by_name: BTreeMap::from([("soup".to_owned(), -1), (String::new(), i32::MAX)]),
        state: State::Split(vec![State::Open, State::Sent { at: 70_000 }]),
        weight: 0.1,
    }
}

fn path(name: &str) -> PathBuf {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    data.join(format!("{}.bin", name.replace(' ', "-")))
}

/// Every codec and pipeline, by the name of its file.
fn codecs<V: Value>() -> Vec<(String, Box<dyn Codec<V>>)> {
    fn of<C: Codec<V> + Clone, V>(format: &str, codec: C) -> Vec<(String, Box<dyn Codec<V>>)> {
        let named = |(stage, pipeline): (&str, Pipeline<C>)| -> (String, Box<dyn Codec<V>>) {
            (format!("frame-1-{stage}-{format}"), Box::new(pipeline))
        };
        pipelines(codec).into_iter().map(named).collect()
    }
    let plain = formats().into_iter().map(|(name, codec)| (name.to_lowercase(), codec));
    let mut all: Vec<_> = plain.collect();
    all.extend(of("messagepack", MessagePack));
    all.extend(of("json", Json));
    all.extend(of("postcard", Postcard));
    all
}

#[test]
fn released_bytes_are_decoded() {
    let _turn = alone();
    for (name, codec) in codecs::<Order>() {
        let bytes = Bytes::from(std::fs::read(path(&name)).unwrap());
        assert_eq!(codec.decode_at(&bytes, PLACE).unwrap(), order(), "{name}");
    }
}

#[test]
fn bytes_that_are_neither_compressed_nor_encrypted_are_written_as_they_were_released() {
    let _turn = alone();
    let is_plain =
        |name: &str| !name.contains("zstd") && !name.contains("lz4") && !name.contains("encrypted");
    for (name, codec) in codecs::<Order>().into_iter().filter(|(name, _)| is_plain(name)) {
        assert_eq!(codec.encode(&order()).unwrap(), std::fs::read(path(&name)).unwrap(), "{name}");
    }
}

/// Run by hand when a layout is added: writes missing files and changes no other.
#[test]
#[ignore = "it writes the files that the other tests read"]
fn missing_files_are_written() {
    for (name, codec) in codecs::<Order>() {
        if !path(&name).exists() {
            std::fs::write(path(&name), codec.encode_at(&order(), PLACE).unwrap()).unwrap();
        }
        assert!(path(&name).exists());
    }
}
