//! Codecs: what goes in comes out, and hostile bytes are an error without harm.

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
use larder::{MessagePack, Raw};
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MEBIBYTE: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    note: Option<String>,
    lines: Vec<Line>,
    by_name: BTreeMap<String, i32>,
    state: State,
    weight: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line(String, i64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Open,
    Sent { at: u32 },
    Split(Vec<State>),
}

/// Types that recurse in each of the ways in which a decoder can.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tree(Vec<Tree>);
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Chain {
    End,
    Next(Box<Chain>),
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Named {
    next: Option<Box<Named>>,
}

/// What it does not know is walked all the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nothing {}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn text(&mut self) -> String {
        (0..self.below(40)).map(|_| ['a', '\0', '\u{e9}', '\u{1F980}'][self.below(4)]).collect()
    }

    fn order(&mut self) -> Order {
        Order {
            id: self.0 >> self.below(64),
            note: (self.below(2) == 0).then(|| self.text()),
            lines: (0..self.below(20)).map(|_| Line(self.text(), -1 << self.below(63))).collect(),
            by_name: (0..self.below(5))
                .map(|n| (self.text(), -i32::try_from(n).unwrap()))
                .collect(),
            state: self.state(4),
            weight: 1.5,
        }
    }

    fn state(&mut self, depth: usize) -> State {
        match self.below(if depth == 0 { 2 } else { 3 }) {
            0 => State::Open,
            1 => State::Sent { at: 70_000 },
            _ => State::Split((0..self.below(3)).map(|_| self.state(depth - 1)).collect()),
        }
    }
}

/// Counts are of the whole process, so its tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Decodes as every type and codec; what one decode may allocate is bounded.
fn decode_as_everything(bytes: &Bytes, most: usize) {
    fn one<V: 'static>(codec: &impl Codec<V>, bytes: &Bytes, most: usize) {
        let region = Region::new(ALLOCATOR);
        let result = codec.decode(bytes).map(drop);
        let allocated = region.change().bytes_allocated;
        assert!(allocated <= most, "{allocated} bytes for {} bytes", bytes.len());
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Codec);
        }
    }
    one::<Order>(&MessagePack, bytes, most);
    one::<Tree>(&MessagePack, bytes, most);
    one::<Chain>(&MessagePack, bytes, most);
    one::<Named>(&MessagePack, bytes, most);
    one::<Nothing>(&MessagePack, bytes, most);
    one::<Vec<u64>>(&MessagePack, bytes, most);
    one::<BTreeMap<String, Option<f32>>>(&MessagePack, bytes, most);
    one::<String>(&Raw, bytes, most);
    one::<Vec<u8>>(&Raw, bytes, most);
    one::<Bytes>(&Raw, bytes, most);
}

#[track_caller]
fn refused<V: Debug + 'static>(codec: &impl Codec<V>, bytes: &[u8]) {
    let error = codec.decode(&Bytes::copy_from_slice(bytes)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
}

#[test]
fn values_come_back_and_nothing_may_follow_or_be_missing() {
    let _turn = alone();
    let mut random = Random(1);
    for _ in 0..500 {
        let order = random.order();
        let bytes = MessagePack.encode(&order).unwrap();
        assert_eq!(Codec::<Order>::decode(&MessagePack, &bytes).unwrap(), order);
        refused::<Order>(&MessagePack, &[&bytes[..], &[0xc0]].concat());
        refused::<Order>(&MessagePack, &bytes[..random.below(bytes.len())]);
    }
}

#[test]
fn extreme_numbers_texts_and_containers_come_back() {
    fn comes_back<V>(value: &V)
    where
        V: Serialize + for<'de> Deserialize<'de> + PartialEq + Debug + Send + Sync + 'static,
    {
        let bytes = MessagePack.encode(value).unwrap();
        assert_eq!(Codec::<V>::decode(&MessagePack, &bytes).unwrap(), *value);
    }
    let _turn = alone();
    comes_back(&());
    comes_back(&(u8::MAX, u16::MAX, u32::MAX, u64::MAX, i8::MIN, i16::MIN, i32::MIN, i64::MIN));
    comes_back(&(u128::MAX, i128::MIN));
    comes_back(&(f32::MIN, f64::MAX, true, '\u{10FFFF}'));
    for length in [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        comes_back(&"x".repeat(length));
        comes_back(&vec![None::<u8>; length]);
        comes_back(&(0..length).map(|n| (n, n)).collect::<BTreeMap<_, _>>());
    }
}

#[test]
fn fields_may_come_and_go() {
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
    let bytes = MessagePack.encode(&Old { a: 7, gone: "x".into() }).unwrap();
    assert_eq!(Codec::<New>::decode(&MessagePack, &bytes).unwrap(), New { more: vec![], a: 7 });
}

#[test]
fn f31_random_and_mutated_bytes_are_a_value_or_an_error() {
    let _turn = alone();
    let mut random = Random(2);
    for _ in 0..200_000 {
        let bytes: Vec<u8> = (0..random.below(48)).map(|_| random.byte()).collect();
        decode_as_everything(&Bytes::from(bytes), MEBIBYTE);
    }
    for _ in 0..10_000 {
        let mut bytes = MessagePack.encode(&random.order()).unwrap().to_vec();
        for _ in 0..=random.below(4) {
            let place = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[place] = random.byte(),
                1 => bytes.truncate(place.max(1)),
                _ => bytes.insert(place, random.byte()),
            }
        }
        decode_as_everything(&Bytes::from(bytes), MEBIBYTE);
    }
}

#[test]
fn f32_deep_nesting_is_an_error_and_no_stack_overflow() {
    let _turn = alone();
    let nestings: [&[u8]; 5] = [
        &[0x91],
        &[0x81, 0xc0],
        &[0x81, 0xa4, b'N', b'e', b'x', b't'],
        &[0xdd, 0, 0, 0, 1],
        &[0x81, 0xa4, b'n', b'e', b'x', b't'],
    ];
    for nesting in nestings {
        let mut bytes = nesting.repeat(100_000);
        bytes.push(0xc0);
        refused::<Tree>(&MessagePack, &bytes);
        refused::<Chain>(&MessagePack, &bytes);
        refused::<Named>(&MessagePack, &bytes);
        decode_as_everything(&Bytes::from(bytes), MEBIBYTE);
    }
}

#[test]
fn f32_what_is_too_deep_to_read_is_not_written() {
    let _turn = alone();
    let chain = |length| (0..length).fold(Chain::End, |end, _| Chain::Next(Box::new(end)));
    let bytes = MessagePack.encode(&chain(128)).unwrap();
    assert_eq!(Codec::<Chain>::decode(&MessagePack, &bytes).unwrap(), chain(128));
    assert_eq!(MessagePack.encode(&chain(129)).unwrap_err().kind(), ErrorKind::Codec);
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
fn f34_codecs_have_ids_that_tell_them_apart() {
    assert_eq!(Codec::<String>::id(&MessagePack), 1);
    assert_eq!(Codec::<Order>::id(&MessagePack), 1);
    assert_eq!(Codec::<Bytes>::id(&Raw), 2);
    assert_eq!(Codec::<Vec<u8>>::id(&Raw), 2);
    assert_eq!(Codec::<String>::id(&Raw), 2);
}

#[test]
fn an_error_does_not_quote_the_value() {
    let _turn = alone();
    let bytes = MessagePack.encode(&"secret".to_owned()).unwrap();
    let error = Codec::<u32>::decode(&MessagePack, &bytes).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
}
