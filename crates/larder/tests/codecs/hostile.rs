//! Hostile bytes are a value or an error, without a panic and in bounded memory.

use bytes::Bytes;
use larder::backend::Codec;
use larder::{Json, MessagePack, Postcard};

use super::values::{Chain, Named, Order, Random, Tree};
use super::{MEBIBYTE, alone, decode_as_everything, formats, refused};

#[test]
fn f31_random_and_mutated_bytes_are_a_value_or_an_error() {
    let _turn = alone();
    let mut random = Random(2);
    for _ in 0..200_000 {
        decode_as_everything(&Bytes::from(random.bytes(48)), MEBIBYTE);
    }
    for _ in 0..10_000 {
        let order = random.order();
        for (_, codec) in formats::<Order>() {
            let mut bytes = codec.encode(&order).unwrap().to_vec();
            random.mutate(&mut bytes);
            decode_as_everything(&Bytes::from(bytes), MEBIBYTE);
        }
    }
}

#[test]
fn f31_random_words_of_json_are_a_value_or_an_error() {
    const WORDS: [&str; 20] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "d83e",
        "\"id\":",
        "\"next\":",
        "\"Next\":",
        "null",
        "-1",
        "1e999",
        "0.",
        "18446744073709551616",
        "true",
        " ",
    ];
    let _turn = alone();
    let mut random = Random(3);
    for _ in 0..200_000 {
        let words = (0..random.below(20)).map(|_| WORDS[random.below(WORDS.len())]);
        let text: String = words.collect();
        decode_as_everything(&Bytes::from(text), MEBIBYTE);
    }
}

#[test]
fn f32_deep_nesting_is_an_error_and_no_stack_overflow() {
    let _turn = alone();
    let next = b"\x81\xa4Next";
    let nestings: [(Refused<'_>, &[&[u8]]); 3] = [
        (
            &refused_as_each(&MessagePack),
            &[&[0x91], &[0x81, 0xc0], next, &[0xdd, 0, 0, 0, 1], b"\x81\xa4next"],
        ),
        (&refused_as_each(&Json), &[b"[", b"{\"Next\":", b"{\"next\":", b"{\"a\":["]),
        (&refused_as_each(&Postcard), &[&[1]]),
    ];
    for (refused, nestings) in nestings {
        for nesting in nestings {
            let mut bytes = nesting.repeat(100_000);
            refused(&bytes);
            bytes.push(0xc0);
            refused(&bytes);
            // So many bytes may be so many numbers.
            decode_as_everything(&Bytes::from(bytes), 16 * MEBIBYTE);
        }
    }
}

/// A check that bytes are refused.
type Refused<'a> = &'a dyn Fn(&[u8]);

fn refused_as_each<C>(codec: &C) -> impl Fn(&[u8])
where
    C: Codec<Tree> + Codec<Chain> + Codec<Named>,
{
    |bytes| {
        refused::<Tree>(codec, bytes);
        refused::<Chain>(codec, bytes);
        refused::<Named>(codec, bytes);
    }
}

#[test]
fn f32_claimed_lengths_allocate_nothing() {
    let _turn = alone();
    let all = [0xff; 4];
    for marker in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
        let bytes = [&[marker], &all[..], &[0; 60]].concat();
        refused::<Vec<u64>>(&MessagePack, &bytes);
        decode_as_everything(&Bytes::from(bytes), 4_096);
    }
    // Each level claims as much as the level below could hold, to be allocated again and again.
    let mut bytes = [0xdd, 0, 0xff, 0xff, 0xff].repeat(127);
    bytes.resize(bytes.len() + 64, 0x90);
    decode_as_everything(&Bytes::from(bytes), 4_096);
}

#[test]
fn f32_claimed_lengths_of_postcard_allocate_little_and_end() {
    let _turn = alone();
    // 2³² − 1 and 2⁶³, each with less behind it than it claims.
    for length in [&b"\xff\xff\xff\xff\x0f"[..], b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"] {
        let bytes = [length, &[0; 60]].concat();
        refused::<Vec<u64>>(&Postcard, &bytes);
        refused::<String>(&Postcard, &bytes);
        refused::<Vec<String>>(&Postcard, &bytes);
        // Units have no bytes that could run out.
        refused::<Vec<()>>(&Postcard, length);
        decode_as_everything(&Bytes::from(bytes), 4_096);
    }
    let units = vec![(); 4_000];
    let bytes = Postcard.encode(&units).unwrap();
    assert_eq!(Codec::<Vec<()>>::decode(&Postcard, &bytes).unwrap(), units);
}
