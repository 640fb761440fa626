//! Values that describe themselves: key, version, length, check, and a body that follows from them.

use bytes::Bytes;

/// Returns the value of this version of this key, of about this length.
pub(crate) fn value(key: &str, version: u64, length: usize) -> Bytes {
    let body = body(key, version, length);
    let check = body.iter().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(*byte) + 1)
    });
    let mut value = format!("{key}|{version}|{length}|{check}|").into_bytes();
    value.extend(body);
    Bytes::from(value)
}

/// Returns the version in a value; panics unless every byte is that of a value of this key.
pub(crate) fn version(key: &str, bytes: &[u8]) -> u64 {
    let mut parts = bytes.splitn(5, |byte| *byte == b'|').map(String::from_utf8_lossy);
    let of_key = parts.next().unwrap();
    assert_eq!(of_key, key, "another key's value");
    let mut number = || parts.next().unwrap().parse::<u64>().unwrap();
    let (version, length) = (number(), number());
    let whole = value(key, version, usize::try_from(length).unwrap());
    assert!(whole == bytes, "a torn value of {key}, version {version}");
    version
}

fn body(key: &str, version: u64, length: usize) -> Vec<u8> {
    let seed = key.bytes().fold(version, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut body = vec![0; length];
    random.fill(&mut body);
    body
}

#[test]
#[should_panic(expected = "torn")]
fn a_torn_value_is_noticed() {
    let mut torn = value("k", 7, 300).to_vec();
    *torn.last_mut().unwrap() ^= 1;
    version("k", &torn);
}
