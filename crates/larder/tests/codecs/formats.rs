//! Values come back from their bytes as they were.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use larder::backend::{Codec, ErrorKind};
use larder::{Json, MessagePack, Postcard, Raw};
use serde::{Deserialize, Serialize};

use super::values::{Chain, Order, Random, chain};
use super::{Value, alone, formats, refused};

#[test]
fn values_come_back_and_nothing_may_follow_or_be_missing() {
    let _turn = alone();
    let mut random = Random(1);
    for _ in 0..500 {
        let order = random.order();
        for (name, codec) in formats::<Order>() {
            let bytes = codec.encode(&order).unwrap();
            assert_eq!(codec.decode(&bytes).unwrap(), order, "{name}");
            refused(codec.as_ref(), &[&bytes[..], &[0xc0]].concat());
            refused(codec.as_ref(), &bytes[..random.below(bytes.len())]);
        }
    }
}

#[test]
fn extreme_numbers_texts_and_containers_come_back() {
    fn comes_back<V: Value + PartialEq>(value: &V) {
        for (name, codec) in formats::<V>() {
            let bytes = codec.encode(value).unwrap();
            assert_eq!(codec.decode(&bytes).unwrap(), *value, "{name}");
        }
    }
    let _turn = alone();
    comes_back(&());
    comes_back(&(u8::MAX, u16::MAX, u32::MAX, u64::MAX, i8::MIN, i16::MIN, i32::MIN, i64::MIN));
    comes_back(&(u128::MAX, i128::MIN));
    comes_back(&(f32::MIN, f64::MAX, true, '\u{10FFFF}'));
    // A number that is read without care has another last digit.
    comes_back(&(5e-324, 2.225_073_858_507_201e-308, 9_007_199_254_740_993.5_f64, 0.1_f32));
    for length in [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        comes_back(&"x".repeat(length));
        comes_back(&vec![None::<u8>; length]);
        comes_back(&(0..length).map(|n| (n, n)).collect::<BTreeMap<_, _>>());
    }
}

#[test]
fn fields_may_come_and_go_where_they_have_names() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        a: u8,
        gone: String,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        #[serde(default)]
        more: Vec<u8>,
        a: u8,
    }
    let _turn = alone();
    let old = Old { a: 7, gone: "x".into() };
    let bytes = MessagePack.encode(&old).unwrap();
    assert_eq!(Codec::<New>::decode(&MessagePack, &bytes).unwrap(), New { more: vec![], a: 7 });
    let bytes = Json.encode(&old).unwrap();
    assert_eq!(Codec::<New>::decode(&Json, &bytes).unwrap(), New { more: vec![], a: 7 });
}

#[test]
fn what_a_format_has_no_form_for_is_not_encoded() {
    let _turn = alone();
    let by_list = BTreeMap::from([(vec![1_u8], 1_u8)]);
    assert_eq!(Json.encode(&by_list).unwrap_err().kind(), ErrorKind::Codec);
    let bytes = Json.encode(&f64::NAN).unwrap();
    refused::<f64>(&Json, &bytes);
}

#[test]
fn f32_what_is_too_deep_to_read_is_not_written() {
    let _turn = alone();
    let bytes = MessagePack.encode(&chain(128)).unwrap();
    assert_eq!(Codec::<Chain>::decode(&MessagePack, &bytes).unwrap(), chain(128));
    assert_eq!(MessagePack.encode(&chain(129)).unwrap_err().kind(), ErrorKind::Codec);
    let bytes = Json.encode(&chain(127)).unwrap();
    assert_eq!(Codec::<Chain>::decode(&Json, &bytes).unwrap(), chain(127));
    assert_eq!(Json.encode(&chain(128)).unwrap_err().kind(), ErrorKind::Codec);
}

#[test]
fn f32_postcard_reads_back_what_is_not_too_deep() {
    let _turn = alone();
    // The end of the chain counts too: each link is a value of an enum.
    let bytes = Postcard.encode(&chain(127)).unwrap();
    assert_eq!(Codec::<Chain>::decode(&Postcard, &bytes).unwrap(), chain(127));
    refused::<Chain>(&Postcard, &Postcard.encode(&chain(128)).unwrap());
}

#[test]
fn f34_codecs_have_ids_that_tell_them_apart() {
    assert_eq!(Codec::<String>::id(&MessagePack), 1);
    assert_eq!(Codec::<Order>::id(&MessagePack), 1);
    assert_eq!(Codec::<Bytes>::id(&Raw), 2);
    assert_eq!(Codec::<Vec<u8>>::id(&Raw), 2);
    assert_eq!(Codec::<String>::id(&Raw), 2);
    assert_eq!(Codec::<Order>::id(&Json), 3);
    assert_eq!(Codec::<Order>::id(&Postcard), 4);
}

#[test]
fn an_error_does_not_quote_the_value() {
    fn quotes_nothing<V: Debug + 'static>(bytes: &Bytes, codec: &dyn Codec<V>) {
        let error = codec.decode(bytes).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
    let _turn = alone();
    for (position, (_, writer)) in formats::<String>().into_iter().enumerate() {
        let bytes = writer.encode(&"secret".to_owned()).unwrap();
        quotes_nothing(&bytes, formats::<Vec<char>>()[position].1.as_ref());
    }
}
