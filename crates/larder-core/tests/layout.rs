//! The bytes of a record: encoded records come back, and other bytes are an error without harm.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::alloc::System;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use larder_core::layout::{self, COUNTER, LIFE, VERSION};
use larder_core::{
    Class, Epoch, ErrorKind, Header, Key, Kind, NEVER, Namespace, Record, StoreTime, TagVersion,
    Times, Version,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: StoreTime = StoreTime::from_micros(1_800_000_000_000_000);

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound
    }

    fn bytes(&mut self, below: usize) -> Vec<u8> {
        (0..self.below(below)).map(|_| self.next().to_le_bytes()[3]).collect()
    }

    fn version(&mut self) -> Version {
        let (high, low) = (u128::from(self.next()), u128::from(self.next()));
        Version::from_bytes((high << 64 | low).to_le_bytes())
    }

    fn micros(&mut self, below: usize) -> Duration {
        Duration::from_micros(u64::try_from(self.below(below)).unwrap())
    }

    /// Returns a key whose name is plain, or long or odd and therefore a digest.
    fn key(&mut self) -> Key {
        let text = match self.below(3) {
            0 => format!("user:{}", self.next()).into_bytes(),
            1 => self.bytes(40),
            _ => vec![b'x'; 200 + self.below(200)],
        };
        Key::new(&Namespace::new("shop").unwrap(), Class::Entry, &text)
    }

    fn record(&mut self, kind: Kind) -> Record {
        let life = |random: &mut Self| match random.below(4) {
            0 => NEVER,
            1 => Duration::ZERO,
            _ => random.micros(1 << 30),
        };
        let mut times = Times::new(life(self), life(self));
        times.age = self.micros(1 << 20);
        let mut header = Header::new(kind, self.version(), times);
        header.codec = u16::try_from(self.below(1 << 16)).unwrap();
        header.value_type = u32::try_from(self.below(3)).unwrap();
        header.cost = self.micros(1 << 30);
        header.born = StoreTime::from_micros(i64::from_le_bytes(self.next().to_le_bytes()));
        header.epoch = Epoch { hard: self.next(), soft: self.next() };
        header.tags = (0..self.below(4))
            .map(|_| TagVersion {
                name: self.bytes(256).into(),
                hard: self.version(),
                soft: self.version(),
            })
            .collect();
        let payload = match kind {
            Kind::Value => self.bytes(300),
            Kind::Counter => self.next().to_le_bytes().to_vec(),
            _ => Vec::new(),
        };
        Record { header, payload: payload.into() }
    }
}

const KINDS: [Kind; 4] = [Kind::Value, Kind::Absent, Kind::Lease, Kind::Counter];

/// Allocations are counted for the whole process, so the tests of this file run one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[track_caller]
fn refused(key: &Key, bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    assert_eq!(layout::decode(key, &bytes, NOW).unwrap_err().kind(), ErrorKind::Codec);
    let scanned = layout::decode_scanned(key.name_bytes(), &bytes, NOW);
    assert!(scanned.is_err() || scanned.is_ok_and(|(found, _)| found != *key));
}

#[test]
fn every_kind_comes_back_whole() {
    let _turn = alone();
    let mut random = Random(1);
    for round in 0..4_000 {
        let (key, record) = (random.key(), random.record(KINDS[round % 4]));
        let bytes = layout::encode(&key, &record, NOW).unwrap();
        assert_eq!(layout::decode(&key, &bytes, NOW).unwrap(), record);
        let (scanned, header) = layout::decode_scanned(key.name_bytes(), &bytes, NOW).unwrap();
        assert_eq!((&scanned, &header), (&key, &record.header));
        assert_eq!(bytes[VERSION], record.header.version.to_bytes());
    }
}

#[test]
fn the_payload_shares_the_buffer() {
    let _turn = alone();
    let mut random = Random(2);
    let (key, record) = (random.key(), random.record(Kind::Counter));
    let bytes = layout::encode(&key, &record, NOW).unwrap();
    let decoded = layout::decode(&key, &bytes, NOW).unwrap();
    assert_eq!(decoded.payload.as_ptr(), bytes[COUNTER].as_ptr());
}

#[test]
fn every_single_flipped_bit_is_detected() {
    let _turn = alone();
    let mut random = Random(3);
    for round in 0..24 {
        let (key, record) = (random.key(), random.record(KINDS[round % 4]));
        let bytes = layout::encode(&key, &record, NOW).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            refused(&key, flipped);
        }
    }
}

#[test]
fn every_truncation_and_every_byte_too_many_is_an_error() {
    let _turn = alone();
    let mut random = Random(4);
    for round in 0..40 {
        let (key, record) = (random.key(), random.record(KINDS[round % 4]));
        let bytes = layout::encode(&key, &record, NOW).unwrap();
        for length in 0..bytes.len() {
            refused(&key, bytes[..length].to_vec());
        }
        refused(&key, [&bytes[..], &[0]].concat());
    }
}

#[test]
fn bytes_of_another_key_are_refused() {
    let _turn = alone();
    let mut random = Random(5);
    for round in 0..1_000 {
        let (one, other) = (random.key(), random.key());
        let bytes = layout::encode(&one, &random.record(KINDS[round % 4]), NOW).unwrap();
        if one != other {
            assert!(layout::decode(&other, &bytes, NOW).is_err());
        }
    }
}

#[test]
fn parts_of_two_records_of_one_key_do_not_fit_together() {
    let _turn = alone();
    let mut random = Random(6);
    let key = random.key();
    let mut record = random.record(Kind::Value);
    record.header.tags = vec![TagVersion {
        name: Bytes::from_static(b"tag"),
        hard: random.version(),
        soft: random.version(),
    }];
    let mut other = record.clone();
    other.header.version = random.version();
    other.header.times.fresh_for += Duration::from_secs(1);
    other.header.tags[0].hard = random.version();
    let bytes = layout::encode(&key, &record, NOW).unwrap();
    let others = layout::encode(&key, &other, NOW).unwrap();
    let tags = bytes.len() - 37..bytes.len();
    for part in [VERSION, LIFE, tags] {
        let mut mixed = bytes.to_vec();
        mixed[part.clone()].copy_from_slice(&others[part]);
        refused(&key, mixed);
    }
}

#[test]
fn a_spliced_life_is_the_same_as_a_new_encoding() {
    let _turn = alone();
    let mut random = Random(7);
    for round in 0..1_000 {
        let (key, mut record) = (random.key(), random.record(KINDS[round % 4]));
        let later = StoreTime::from_micros(NOW.as_micros() + 5_000_000);
        let mut bytes = layout::encode(&key, &record, NOW).unwrap().to_vec();
        record.header.times = random.record(Kind::Value).header.times;
        let life = layout::life(record.header.version, &record.header.times, later);
        bytes[LIFE].copy_from_slice(&life);
        assert_eq!(bytes, layout::encode(&key, &record, later).unwrap());
        assert_eq!(layout::decode(&key, &bytes.into(), later).unwrap(), record);
    }
}

#[test]
fn the_age_grows_by_the_stores_clock_and_is_never_negative() {
    let _turn = alone();
    let key = Random(8).key();
    let record = Record::absent(Times::new(NEVER, NEVER));
    let bytes = layout::encode(&key, &record, NOW).unwrap();
    for (moved, age) in [(0, 0), (7, 7), (-7, 0), (i64::MIN / 2, 0)] {
        let at = StoreTime::from_micros(NOW.as_micros().saturating_add(moved));
        let times = layout::decode(&key, &bytes, at).unwrap().header.times;
        assert_eq!(times.age, Duration::from_micros(age));
    }
}

#[test]
fn extreme_lives_are_rounded_up_and_stay_what_they_are() {
    let _turn = alone();
    let key = Random(9).key();
    let finite = Duration::from_micros(u64::MAX - 1);
    let micro = Duration::from_micros(1);
    let cases = [
        (Duration::from_nanos(1), micro),
        (micro, micro),
        (Duration::ZERO, Duration::ZERO),
        (NEVER, NEVER),
        (NEVER.saturating_sub(Duration::from_nanos(1)), finite),
        (Duration::from_micros(u64::MAX), finite),
    ];
    for (given, kept) in cases {
        let record = Record::lease(given);
        let bytes = layout::encode(&key, &record, NOW).unwrap();
        assert_eq!(layout::decode(&key, &bytes, NOW).unwrap().header.times.kept_for, kept);
    }
    let mut old = Record::lease(NEVER);
    old.header.times.age = NEVER;
    let bytes = layout::encode(&key, &old, NOW).unwrap();
    let times = layout::decode(&key, &bytes, NOW).unwrap().header.times;
    assert!(times.age >= Duration::from_micros(u64::MAX / 2));
}

#[test]
fn what_has_no_form_is_a_typed_error() {
    let _turn = alone();
    let key = Random(10).key();
    let tag = |length: usize| TagVersion {
        name: vec![b'x'; length].into(),
        hard: Version::NONE,
        soft: Version::NONE,
    };
    let mut record = Record::absent(Times::new(NEVER, NEVER));
    record.header.tags = vec![tag(256)];
    let error = layout::encode(&key, &record, NOW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    record.header.tags = vec![tag(0); 65_536];
    let error = layout::encode(&key, &record, NOW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    record.header.tags.pop();
    let bytes = layout::encode(&key, &record, NOW).unwrap();
    assert_eq!(layout::decode(&key, &bytes, NOW).unwrap(), record);
}

/// Decodes the bytes for a plain and for a hashed key, and bounds the bytes that may be allocated.
fn decode_within_bounds(bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    let plain = Key::new(&Namespace::new("shop").unwrap(), Class::Entry, b"a");
    let hashed = Key::new(&Namespace::new("shop").unwrap(), Class::Entry, b"a b");
    let region = Region::new(ALLOCATOR);
    for key in [&plain, &hashed] {
        if let Err(error) = layout::decode(key, &bytes, NOW) {
            assert_eq!(error.kind(), ErrorKind::Codec);
        }
        drop(layout::decode_scanned(key.name_bytes(), &bytes, NOW));
    }
    let allocated = region.change().bytes_allocated;
    assert!(allocated <= 4_096 + 32 * bytes.len(), "{allocated} for {}", bytes.len());
}

#[test]
fn f31_random_and_mutated_bytes_are_a_record_or_an_error() {
    let _turn = alone();
    let mut random = Random(11);
    for _ in 0..200_000 {
        // Half of them get past the magic.
        let mut bytes = random.bytes(160);
        if random.below(2) == 0 && bytes.len() > 6 {
            bytes[..6].copy_from_slice(&[b'L', b'R', b'D', 1, 1, 0]);
        }
        decode_within_bounds(bytes);
    }
    for round in 0..10_000 {
        let (key, record) = (random.key(), random.record(KINDS[round % 4]));
        let mut bytes = layout::encode(&key, &record, NOW).unwrap().to_vec();
        for _ in 0..=random.below(4) {
            let place = random.below(bytes.len());
            bytes[place] = random.next().to_le_bytes()[2];
        }
        decode_within_bounds(bytes);
    }
}

#[test]
fn f32_claimed_lengths_allocate_nothing() {
    let _turn = alone();
    let mut random = Random(12);
    let key = random.key();
    let mut record = random.record(Kind::Value);
    record.header.tags =
        vec![TagVersion { name: Bytes::new(), hard: random.version(), soft: random.version() }];
    let bytes = layout::encode(&key, &record, NOW).unwrap();
    let tags = bytes.len() - 35..bytes.len() - 33;
    for lengths in [80..84, 84..88, tags] {
        let mut bytes = bytes.to_vec();
        bytes[lengths].fill(0xff);
        decode_within_bounds(bytes);
    }
}

/// One record per kind, as the layout's first release wrote them. They are decoded for ever.
#[test]
fn released_bytes_are_read_and_written_the_same() {
    let _turn = alone();
    for (record, key, hex) in released() {
        let bytes = layout::encode(&key, &record, NOW).unwrap();
        let mut written = String::new();
        for byte in &bytes {
            write!(written, "{byte:02x}").unwrap();
        }
        assert_eq!(written, hex, "{:?}", record.header.kind);
        assert_eq!(layout::decode(&key, &bytes, NOW).unwrap(), record);
    }
}

fn released() -> Vec<(Record, Key, String)> {
    let shop = Namespace::new("shop").unwrap();
    let plain = Key::new(&shop, Class::Entry, b"user:7");
    let odd = Key::new(&shop, Class::Entry, b"user 7");
    let version = |number: u8| Version::from_bytes([number; 16]);
    let times =
        Times { age: Duration::from_secs(1), fresh_for: Duration::from_secs(60), kept_for: NEVER };
    let header = |kind, number| Header::new(kind, version(number), times);
    let mut value =
        Record { header: header(Kind::Value, 0x11), payload: Bytes::from_static(b"soup") };
    value.header.codec = 2;
    value.header.cost = Duration::from_millis(250);
    value.header.born = StoreTime::from_micros(NOW.as_micros() - 1_000_000);
    value.header.epoch = Epoch { hard: 0x0102_0304_0506_0708, soft: 9 };
    value.header.tags = vec![TagVersion {
        name: Bytes::from_static(b"menu"),
        hard: version(0x22),
        soft: version(0x33),
    }];
    let absent = Record { header: header(Kind::Absent, 0x44), payload: Bytes::new() };
    let lease = Record { header: header(Kind::Lease, 0x55), payload: Bytes::new() };
    let number = (-2_i64).to_le_bytes().to_vec();
    let counter = Record { header: header(Kind::Counter, 0x66), payload: number.into() };
    vec![
        (value, odd, VALUE.concat()),
        (absent, plain.clone(), ABSENT.concat()),
        (lease, plain.clone(), LEASE.concat()),
        (counter, plain, COUNTER_RECORD.concat()),
    ]
}

// The bytes are split as the table of the layout is: kind, version, life, cost to epoch, lengths
// and check, payload, key, tags.
const VALUE: [&str; 8] = [
    "4c52440101030200",
    "11111111111111111111111111111111",
    "c03d8928176506000087930300000000ffffffffffffffff8bc119df",
    "90d00300c03d89281765060008070605040302010900000000000000",
    "040000000d0000004f475fd6a82870e0",
    "736f7570",
    "73686f703a6b3a757365722037",
    "0100046d656e752222222222222222222222222222222233333333333333333333333333333333",
];
const ABSENT: [&str; 5] = [
    "4c52440102000000",
    "44444444444444444444444444444444",
    "c03d8928176506000087930300000000ffffffffffffffffb369e027",
    "00000000000000000000000000000000000000000000000000000000",
    "0000000000000000b16ed7913a73d569",
];
const LEASE: [&str; 5] = [
    "4c52440103000000",
    "55555555555555555555555555555555",
    "c03d8928176506000087930300000000ffffffffffffffff16657305",
    "00000000000000000000000000000000000000000000000000000000",
    "0000000000000000754bde041d0cec8e",
];
const COUNTER_RECORD: [&str; 6] = [
    "4c52440104000000",
    "66666666666666666666666666666666",
    "c03d8928176506000087930300000000ffffffffffffffff9d4f14df",
    "00000000000000000000000000000000000000000000000000000000",
    "0800000000000000be3da3d6d3d120fa",
    "feffffffffffffff",
];
