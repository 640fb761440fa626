//! Pipelines: schema, compression and encryption.

use std::fmt::Debug;

use bytes::Bytes;
use larder::backend::{Codec, Error, ErrorKind, Result};
use larder::{Json, Keyring, Lz4, MessagePack, Pipeline, Postcard, Raw, Zstd};

use super::values::{Order, Random};
use super::{MEBIBYTE, alone, decode, keyring, pipelines, refused};

/// The places of the fields in a frame.
const COMPRESSION: usize = 1;
const ENCRYPTION: usize = 2;
const CODEC: usize = 3;
const SCHEMA: usize = 5;
const LENGTH: usize = 9;
const SECRET_ID: usize = 13;
const NONCE: usize = 17;
const SEALED_HEAD: usize = 41;

fn repeated() -> String {
    "leek ".repeat(1_000)
}

fn no_value<V: Debug>(result: Result<V>) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    error
}

#[test]
fn f30_values_of_all_lengths_come_back_through_every_stage() {
    fn come_back<C: Codec<String> + Clone>(codec: &C, largest: usize) {
        let large = "x".repeat(largest);
        let mut random = Random(5);
        let noise: String = (0..100_000).map(|_| char::from(random.byte() & 0x7f)).collect();
        for (name, pipeline) in pipelines(codec.clone()) {
            for text in ["", "x", "leek", &repeated(), &large, &noise] {
                let bytes = pipeline.encode_at(&text.to_owned(), b"place").unwrap();
                assert_eq!(pipeline.decode_at(&bytes, b"place").unwrap(), text, "{name}");
            }
        }
    }
    let _turn = alone();
    come_back(&Raw, MEBIBYTE);
    come_back(&MessagePack, 1 << 16);
    come_back(&Json, 1 << 16);
    come_back(&Postcard, 1 << 16);
}

#[test]
fn f30_what_is_over_the_limit_is_neither_written_nor_read() {
    let _turn = alone();
    for (name, pipeline) in pipelines(Raw) {
        let bytes = pipeline.encode(&repeated()).unwrap();
        let narrow = pipeline.max_value_bytes(4_999);
        let error = narrow.encode(&repeated()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{name}");
        refused::<String>(&narrow, &bytes);
    }
}

#[test]
fn only_what_becomes_smaller_is_compressed() {
    let _turn = alone();
    let mut random = Random(6);
    let noise: Bytes = (0..5_000).map(|_| random.byte()).collect();
    let packs = [Pipeline::new(Raw).compress(Zstd::new()), Pipeline::new(Raw).compress(Lz4::new())];
    for (pipeline, id) in packs.into_iter().zip(1..) {
        let bytes = pipeline.encode(&repeated()).unwrap();
        assert_eq!(bytes[COMPRESSION], id);
        assert!(bytes.len() < 100);
        // A value below the threshold, and a value that does not become smaller.
        for value in [Bytes::from("x".repeat(1_023)), noise.clone()] {
            let bytes = pipeline.encode(&value).unwrap();
            assert_eq!((bytes[COMPRESSION], bytes.len()), (0, 13 + value.len()));
            assert_eq!(Codec::<Bytes>::decode(&pipeline, &bytes).unwrap(), value);
        }
    }
}

#[test]
fn levels_out_of_range_are_the_nearest_and_any_level_is_read() {
    let _turn = alone();
    let at = |level| Pipeline::new(Raw).compress(Zstd::new().level(level));
    for level in [i32::MIN, -5, 0, 1, 19, i32::MAX] {
        let bytes = at(level).encode(&repeated()).unwrap();
        assert_eq!(Codec::<String>::decode(&at(3), &bytes).unwrap(), repeated());
    }
}

#[test]
fn f34_another_schema_is_refused() {
    let _turn = alone();
    for (name, pipeline) in pipelines(MessagePack) {
        let bytes = pipeline.encode(&7_u32).unwrap();
        for schema in [0, 2, 4, u32::MAX] {
            let error = no_value(Codec::<u32>::decode(&pipeline.clone().schema(schema), &bytes));
            assert!(error.to_string().contains("schema"), "{name}");
        }
    }
}

#[test]
fn f34_what_one_codec_or_stage_wrote_another_does_not_read() {
    /// Checks that every pair of unlike pipelines refuse each other's bytes, and the codecs inside
    /// too.
    fn kept_apart(codecs: &[Box<dyn Codec<String>>], values: &[String]) {
        for (place, writer) in codecs.iter().enumerate() {
            for value in values {
                let bytes = writer.encode(value).unwrap();
                let others = codecs.iter().enumerate().filter(|(other, _)| *other != place);
                for (_, reader) in others.filter(|(_, reader)| reader.id() == writer.id()) {
                    // No value, or the same value: some values have the bytes that another codec
                    // would also write.
                    let read = reader.decode(&bytes);
                    assert!(read.is_err() || read.unwrap() == *value);
                }
            }
        }
    }
    let _turn = alone();
    let mut codecs: Vec<Box<dyn Codec<String>>> = Vec::new();
    for (_, pipeline) in pipelines(Raw) {
        codecs.push(Box::new(pipeline));
    }
    for (_, pipeline) in pipelines(Json) {
        codecs.push(Box::new(pipeline));
    }
    kept_apart(&codecs, &[String::new(), "7".into(), repeated()]);
    // The ids of codecs and of pipelines around them all differ.
    let ids = [
        Codec::<String>::id(&Raw),
        Codec::<String>::id(&MessagePack),
        Codec::<String>::id(&Json),
        Codec::<String>::id(&Postcard),
        Codec::<String>::id(&Pipeline::new(Raw)),
        Codec::<String>::id(&Pipeline::new(MessagePack)),
        Codec::<String>::id(&Pipeline::new(Json)),
        Codec::<String>::id(&Pipeline::new(Postcard)),
    ];
    assert_eq!(ids, [2, 1, 3, 4, 0x4002, 0x4001, 0x4003, 0x4004]);
    // No pipeline reads the other's bytes, even where only the frame could tell.
    let json = Pipeline::new(Json).encode(&7_u32).unwrap();
    no_value(Codec::<u32>::decode(&Pipeline::new(MessagePack), &json));
    no_value(Codec::<u32>::decode(&Pipeline::new(Json), &Json.encode(&7_u32).unwrap()));
}

#[test]
fn f34_a_forged_label_is_refused() {
    let _turn = alone();
    for (name, pipeline) in pipelines(Raw) {
        // The pipeline also takes a value that is itself a compressor's output.
        let packed = Pipeline::new(Raw).compress(Zstd::new()).encode(&repeated()).unwrap();
        for value in [Bytes::from(repeated()), Bytes::from_static(b"leek"), packed.slice(13..)] {
            let bytes = pipeline.encode(&value).unwrap();
            for place in 0..SECRET_ID {
                for bit in 0..8 {
                    let mut forged = bytes.to_vec();
                    forged[place] ^= 1 << bit;
                    let read = Codec::<Bytes>::decode(&pipeline, &forged.into());
                    assert!(read.is_err(), "{name}: bit {bit} of byte {place}");
                }
            }
            for compression in 0..=u8::MAX {
                let mut forged = bytes.to_vec();
                forged[COMPRESSION] = compression;
                let read = Codec::<Bytes>::decode(&pipeline, &forged.into());
                assert!(read.is_err() || compression == bytes[COMPRESSION], "{name}");
            }
        }
    }
}

#[test]
fn a_pipeline_does_not_go_into_another() {
    let nested = Pipeline::new(Pipeline::new(Raw));
    no_value(nested.encode(&"leek".to_owned()));
    no_value(Codec::<String>::decode(&nested, &Bytes::from_static(b"leek")));
}

#[test]
fn encrypted_bytes_are_nothing_in_another_place_and_no_bit_of_them_may_change() {
    let _turn = alone();
    let pipeline = Pipeline::new(Raw).compress(Lz4::new()).encrypt(keyring());
    for value in [String::new(), "leek".into(), repeated()] {
        let bytes = pipeline.encode_at(&value, b"shop:k:a").unwrap();
        let read = |bytes: Vec<u8>, place: &[u8]| -> Result<String> {
            pipeline.decode_at(&bytes.into(), place)
        };
        assert_eq!(read(bytes.to_vec(), b"shop:k:a").unwrap(), value);
        for place in [&b""[..], b"shop:k:b", b"shop:k:a ", b"shop:k:", b"shop:l:a", b"s:k:a"] {
            no_value(read(bytes.to_vec(), place));
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.to_vec();
                changed[place] ^= 1 << bit;
                no_value(read(changed, b"shop:k:a"));
            }
            no_value(read(bytes[..place].to_vec(), b"shop:k:a"));
        }
        no_value(read([&bytes[..], &[0]].concat(), b"shop:k:a"));
    }
}

#[test]
fn the_place_and_the_head_do_not_run_into_each_other() {
    let _turn = alone();
    let pipeline = Pipeline::new(Raw).encrypt(keyring());
    let bytes = pipeline.encode_at(&"leek".to_owned(), b"place").unwrap();
    // The authenticated bytes, cut in another place: the place has a byte of the frame or the other
    // way.
    let longer = [b"place", &bytes[..1]].concat();
    no_value(Codec::<String>::decode_at(&pipeline, &bytes.slice(1..), &longer));
    let whole = [b"e", &bytes[..]].concat();
    no_value(Codec::<String>::decode_at(&pipeline, &whole.into(), b"plac"));
}

#[test]
fn secrets_are_replaced_without_losing_what_is_stored() {
    let _turn = alone();
    let ring = |current, ids: &[u8]| {
        let secrets = ids.iter().map(|&id| (u32::from(id), [id; 32]));
        Pipeline::new(Raw).encrypt(Keyring::new(current, secrets).unwrap())
    };
    let (old, both) = (ring(1, &[1]), ring(1, &[1, 2]));
    let (turned, new) = (ring(2, &[1, 2]), ring(2, &[2]));
    let value = "leek".to_owned();
    let before = old.encode(&value).unwrap();
    let after = turned.encode(&value).unwrap();
    assert_eq!((before[SECRET_ID], after[SECRET_ID]), (1, 2));
    for pipeline in [&old, &both, &turned] {
        assert_eq!(Codec::<String>::decode(pipeline, &before).unwrap(), value);
    }
    for pipeline in [&both, &turned, &new] {
        assert_eq!(Codec::<String>::decode(pipeline, &after).unwrap(), value);
    }
    let error = no_value(Codec::<String>::decode(&new, &before));
    assert!(error.to_string().contains("not in the key ring"));
    no_value(Codec::<String>::decode(&old, &after));
    // Another secret under the same id, and the id of another secret.
    let other = Pipeline::new(Raw).encrypt(Keyring::new(1, [(1, [9; 32])]).unwrap());
    no_value(Codec::<String>::decode(&other, &before));
    let mut renamed = before.to_vec();
    renamed[SECRET_ID] = 2;
    no_value(Codec::<String>::decode(&turned, &renamed.into()));
}

#[test]
fn a_key_ring_has_its_current_secret_and_each_id_once() {
    let none: [(u32, [u8; 32]); 0] = [];
    let kind = |ring: Result<Keyring>| ring.unwrap_err().kind();
    assert_eq!(kind(Keyring::new(1, none)), ErrorKind::InvalidInput);
    assert_eq!(kind(Keyring::new(1, [(2, [2; 32])])), ErrorKind::InvalidInput);
    assert_eq!(kind(Keyring::new(1, [(1, [1; 32]), (1, [2; 32])])), ErrorKind::InvalidInput);
}

#[test]
fn secrets_and_values_show_nowhere() {
    let _turn = alone();
    let secret = *b"thirty-two bytes that are secret";
    let pipeline = Pipeline::new(Raw).encrypt(Keyring::new(1, [(1, secret)]).unwrap());
    let bytes = pipeline.encode(&"in the clear".to_owned()).unwrap();
    let error = no_value(Codec::<String>::decode_at(&pipeline, &bytes, b"elsewhere"));
    let shown = format!("{pipeline:?} {error} {error:?} {:?}", pipeline.clone());
    for word in ["thirty", "bytes that", "116, 104", "7468", "clear", "elsewhere"] {
        assert!(!shown.contains(word), "{shown}");
    }
    let held = bytes.windows(5).any(|part| part == b"clear" || part == b"thirt");
    assert!(!held);
}

#[test]
fn equal_values_are_encrypted_to_other_bytes_each_time() {
    let _turn = alone();
    let pipeline = Pipeline::new(Raw).encrypt(keyring());
    let one = pipeline.encode(&repeated()).unwrap();
    let other = pipeline.encode(&repeated()).unwrap();
    assert_ne!(one[NONCE..SEALED_HEAD], other[NONCE..SEALED_HEAD]);
    assert_ne!(one[SEALED_HEAD..], other[SEALED_HEAD..]);
}

#[test]
fn f31_random_and_mutated_frames_are_a_value_or_an_error() {
    let _turn = alone();
    let mut random = Random(4);
    let codecs = pipelines(MessagePack);
    let heads = codecs
        .clone()
        .map(|(_, pipeline)| pipeline.encode(&"leek".to_owned()).unwrap()[..SECRET_ID].to_vec());
    for round in 0..600_000 {
        let (_, pipeline) = &codecs[round % codecs.len()];
        let mut bytes = random.bytes(48);
        // Most frames have a valid head, so that the random bytes come to the stages.
        if round % 4 != 0 {
            let mut head = heads[round % codecs.len()].clone();
            head[COMPRESSION] = u8::try_from(random.below(3)).unwrap();
            head[LENGTH] = random.byte();
            head[LENGTH + 2] = u8::try_from(random.below(2)).unwrap();
            bytes.splice(0..0, head);
        }
        decode::<Order>(pipeline, &Bytes::from(bytes), 16 * MEBIBYTE);
    }
    for _ in 0..10_000 {
        let order = random.order();
        for (_, pipeline) in &codecs {
            let mut bytes = pipeline.encode(&order).unwrap().to_vec();
            random.mutate(&mut bytes);
            decode::<Order>(pipeline, &Bytes::from(bytes), 16 * MEBIBYTE);
        }
    }
}

#[test]
fn heads_are_where_the_documentation_says() {
    let _turn = alone();
    let pipeline = Pipeline::new(MessagePack).schema(0x0403_0201).encrypt(keyring());
    let bytes = pipeline.encode(&7_u8).unwrap();
    assert_eq!(bytes[0], 1);
    assert_eq!((bytes[COMPRESSION], bytes[ENCRYPTION]), (0, 1));
    assert_eq!(bytes[CODEC..SCHEMA], [1, 0]);
    assert_eq!(bytes[SCHEMA..LENGTH], [1, 2, 3, 4]);
    assert_eq!(bytes[LENGTH..SECRET_ID], [1, 0, 0, 0]);
    assert_eq!(bytes[SECRET_ID..NONCE], [7, 0, 0, 0]);
    assert_eq!(bytes.len(), SEALED_HEAD + 1 + 16);
}
