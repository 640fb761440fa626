//! Values as bytes and back: Larder's codecs beside the crates that they stand on, and the bytes
//! that a record has around its value.

use std::hint::black_box;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use larder::backend::{Class, Codec, Key, NEVER, Namespace, Record, StoreTime, Times, layout};
use larder::{Json, Keyring, Lz4, MessagePack, Pipeline, Postcard, Zstd};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Job, speed};
use crate::{Allocated, Count};

/// The codecs that are measured with a value of ten fields.
pub const RECORD: [&str; 8] = [
    "serde_json",
    "rmp-serde",
    "postcard",
    "larder-json",
    "larder-messagepack",
    "larder-postcard",
    "larder-pipeline",
    "larder-pipeline-encrypted",
];
/// The codecs that are measured with a document of some kilobytes, as JSON.
pub const DOCUMENT: [&str; 7] = [
    "serde_json",
    "serde_json+zstd",
    "serde_json+lz4_flex",
    "larder-json",
    "larder-json+zstd",
    "larder-json+lz4",
    "larder-json+zstd+encrypted",
];
/// The codecs that are measured with the bytes around a value of 100 bytes.
pub const ENVELOPE: [&str; 1] = ["larder-envelope"];

/// A value of ten fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Customer {
    id: u64,
    name: String,
    email: String,
    is_active: bool,
    balance: i64,
    score: f64,
    labels: Vec<String>,
    created: u64,
    country: String,
    note: Option<String>,
}

fn customer(id: u64) -> Customer {
    Customer {
        id,
        name: format!("Customer number {id}"),
        email: format!("customer.{id}@mail.example.org"),
        is_active: !id.is_multiple_of(3),
        balance: -12_345 * id.cast_signed(),
        score: 0.87 / (id as f64 + 1.0),
        labels: ["new", "newsletter", "invoice"].map(str::to_owned).to_vec(),
        created: 1_790_000_000 + id,
        country: "Austria".to_owned(),
        note: Some("calls back on Mondays".to_owned()),
    }
}

/// The meter of a codec: nanoseconds, or allocations.
struct Meter {
    is_quick: bool,
    count: Option<Count>,
}

/// Returns the bytes, then nanoseconds of an encoding and of a decoding, or their allocations if
/// they are counted.
pub fn run(job: &Job, count: Option<Count>) -> Option<Vec<f64>> {
    let meter = Meter { is_quick: job.is_quick, count };
    let name = job.contestant.as_str();
    match job.workload.as_str() {
        "codec_record" => meter.record(name, &customer(7)),
        "codec_document" => meter.document(name, &(0..16).map(customer).collect::<Vec<_>>()),
        "codec_envelope" => Some(meter.envelope()),
        _ => None,
    }
}

impl Meter {
    fn record(&self, name: &str, value: &Customer) -> Option<Vec<f64>> {
        Some(match name {
            "serde_json" => self.json(value),
            "rmp-serde" => self.measure(
                || rmp_serde::to_vec(value).expect("it can be encoded"),
                |bytes| rmp_serde::from_slice::<Customer>(bytes).expect("it can be decoded"),
            ),
            "postcard" => self.measure(
                || postcard::to_stdvec(value).expect("it can be encoded"),
                |bytes| postcard::from_bytes::<Customer>(bytes).expect("it can be decoded"),
            ),
            "larder-json" => self.codec(&Json, value),
            "larder-messagepack" => self.codec(&MessagePack, value),
            "larder-postcard" => self.codec(&Postcard, value),
            "larder-pipeline" => self.codec(&Pipeline::new(MessagePack), value),
            "larder-pipeline-encrypted" => {
                self.codec(&Pipeline::new(MessagePack).encrypt(keyring()), value)
            }
            _ => return None,
        })
    }

    fn document(&self, name: &str, value: &Vec<Customer>) -> Option<Vec<f64>> {
        let json = || serde_json::to_vec(value).expect("it can be encoded");
        let parse = |bytes: &[u8]| {
            serde_json::from_slice::<Vec<Customer>>(bytes).expect("it can be decoded")
        };
        Some(match name {
            "serde_json" => self.json(value),
            "serde_json+zstd" => {
                // The contexts are kept, as an application that cares for speed does.
                let compressor = zstd::bulk::Compressor::new(3).map(Mutex::new).expect("level 3");
                let decompressor = zstd::bulk::Decompressor::new().map(Mutex::new);
                let decompressor = decompressor.expect("it needs no dictionary");
                let length = json().len();
                self.measure(
                    || lock(&compressor).compress(&json()).expect("it can be compressed"),
                    |bytes| {
                        parse(&lock(&decompressor).decompress(bytes, length).expect("it is whole"))
                    },
                )
            }
            "serde_json+lz4_flex" => self.measure(
                || lz4_flex::compress_prepend_size(&json()),
                |bytes| parse(&lz4_flex::decompress_size_prepended(bytes).expect("it is whole")),
            ),
            "larder-json" => self.codec(&Json, value),
            "larder-json+zstd" => self.codec(&Pipeline::new(Json).compress(Zstd::new()), value),
            "larder-json+lz4" => self.codec(&Pipeline::new(Json).compress(Lz4::new()), value),
            "larder-json+zstd+encrypted" => {
                let pipeline = Pipeline::new(Json).compress(Zstd::new());
                self.codec(&pipeline.encrypt(keyring()), value)
            }
            _ => return None,
        })
    }

    fn envelope(&self) -> Vec<f64> {
        let namespace = Namespace::new("bench").expect("a short name");
        let key = Key::new(&namespace, Class::Entry, b"customer:000000000000007");
        let record = Record::value(Bytes::from(vec![7; PAYLOAD]), Times::new(NEVER, NEVER));
        let now = StoreTime::from_micros(1_790_000_000_000_000);
        let mut figures = self.measure(
            || layout::encode(&key, &record, now).expect("it is small enough"),
            |bytes| layout::decode(&key, bytes, now).expect("it is whole"),
        );
        figures[0] -= PAYLOAD as f64;
        figures
    }

    fn json<T: Serialize + DeserializeOwned + Sync>(&self, value: &T) -> Vec<f64> {
        self.measure(
            || serde_json::to_vec(value).expect("it can be encoded"),
            |bytes| serde_json::from_slice::<T>(bytes).expect("it can be decoded"),
        )
    }

    fn codec<T: Sync>(&self, codec: &impl Codec<T>, value: &T) -> Vec<f64> {
        self.measure(
            || codec.encode(value).expect("it can be encoded"),
            |bytes| codec.decode(bytes).expect("it can be decoded"),
        )
    }

    fn measure<B: AsRef<[u8]> + Sync, T>(
        &self,
        encode: impl Fn() -> B + Sync,
        decode: impl Fn(&B) -> T + Sync,
    ) -> Vec<f64> {
        let bytes = encode();
        let length = bytes.as_ref().len() as f64;
        vec![
            length,
            self.each(|| drop(black_box(encode()))),
            self.each(|| drop(black_box(decode(&bytes)))),
        ]
    }

    /// Returns the cost of one run.
    fn each(&self, run: impl Fn() + Sync) -> f64 {
        let runs = |count| (0..count).for_each(|_| run());
        match self.count {
            None => speed::alone(self.is_quick, |span| runs(span.count)),
            Some(count) => {
                // Buffers that are used again are allocated the first time.
                runs(10);
                let Allocated { allocations: before, .. } = count();
                runs(COUNTED);
                let Allocated { allocations: after, .. } = count();
                (after - before) as f64 / COUNTED as f64
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics under it")
}

fn keyring() -> Keyring {
    Keyring::new(1, [(1, [7; 32])]).expect("a secret of its own")
}

const PAYLOAD: usize = 100;
const COUNTED: u64 = 1_000;
