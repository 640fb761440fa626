//! The bytes of a record: any bytes decode to a record or an error, and a record comes back.

#![no_main]

use bytes::Bytes;
use larder::backend::{Class, Key, Namespace, StoreTime, layout};
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

// The first byte says which key, and whether the checks are put right before the bytes are read.
fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let Ok(namespace) = Namespace::new("fuzz") else { return };
    let text: &[u8] = if choice & 1 == 0 { b"plain" } else { b"with a blank" };
    let key = Key::new(&namespace, Class::Entry, text);
    let mut bytes = bytes.to_vec();
    if choice & 2 != 0 {
        put_right(&key, &mut bytes);
    }
    read(&key, &Bytes::from(bytes));
    let _ = layout::decode_tags(input);
});

fn read(key: &Key, bytes: &Bytes) {
    let now = StoreTime::from_micros(1_000_000);
    let _ = layout::decode_scanned(key.name_bytes(), bytes, now);
    let Ok(record) = layout::decode(key, bytes, now) else { return };
    let again = layout::encode(key, &record, now).expect("what was stored can be stored");
    let again = layout::decode(key, &again, now).expect("what was written can be read");
    // A time in the future reads as now, and a life is kept to the microsecond: once it was
    // written anew, nothing changes any more.
    assert_eq!(again, record);
    let tags = &record.header.tags;
    let mut encoded = Vec::new();
    layout::encode_tags(&mut encoded, tags).expect("what was stored can be stored");
    assert_eq!(&layout::decode_tags(&encoded).expect("what was written can be read"), tags);
}

/// Makes the bytes what they claim to be, as far as they reach: magic number and both checks.
fn put_right(key: &Key, bytes: &mut [u8]) {
    if bytes.len() < layout::FIXED_BYTES {
        return;
    }
    bytes[..4].copy_from_slice(b"LRD\x01");
    let life = xxh3_64(&bytes[8..48]).to_le_bytes();
    bytes[48..52].copy_from_slice(&life[..4]);
    let mut check = Xxh3::new();
    check.update(key.full());
    for range in [0..24, 52..88, layout::FIXED_BYTES..bytes.len()] {
        check.update(&bytes[range]);
    }
    bytes[88..96].copy_from_slice(&check.digest().to_le_bytes());
}
