//! Traces as files, and files that are no traces.
#![expect(clippy::unwrap_used, reason = "what cannot be written or read fails the test")]

use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use larder_trace::{Error, Format, Trace};

/// A file that is removed after the test.
struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let name = format!("larder-trace-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn packed(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn read(content: &[u8]) -> Result<Vec<u32>, Error> {
    read_as(content, Format::Any)
}

fn read_as(content: &[u8], format: Format) -> Result<Vec<u32>, Error> {
    Trace::read_from(content, format).map(|trace| trace.ids().to_vec())
}

fn words(ids: &[u32]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_le_bytes()).collect()
}

#[test]
fn the_content_says_what_it_is() {
    let (ids, text) = (words(&[7, 9, 7, u32::MAX]), b"user:1\nuser:2\r\n\nuser:1\nzo\xc3\xab");
    let large: Vec<u8> = (0..90_000).flat_map(|line| format!("é{line}\n").into_bytes()).collect();
    for packing in [packed, <[u8]>::to_vec] {
        assert_eq!(read(&packing(&ids)).unwrap(), [0, 1, 0, 2]);
        assert_eq!(read(&packing(text)).unwrap(), [0, 1, 0, 2]);
        assert_eq!(read(&packing(&large)).unwrap(), (0..90_000).collect::<Vec<u32>>());
        let file = TestFile::new("any", &packing(&ids));
        let trace = Trace::read(&file.0).unwrap();
        assert_eq!((trace.ids(), trace.distinct()), (&[0, 1, 0, 2][..], 3));
    }
    let parts = [packed(&ids), packed(&ids)].concat();
    assert_eq!(read(&parts).unwrap(), [0, 1, 0, 2, 0, 1, 0, 2]);
}

#[test]
fn who_knows_better_says_so() {
    assert_eq!(read(b"aaaabbbb").unwrap(), [0]);
    assert_eq!(read_as(b"aaaabbbb", Format::Ids).unwrap(), [0, 1]);
    assert_eq!(read_as(b"\x01\n\x02\n\x01\n", Format::Lines).unwrap(), [0, 1, 0]);
    assert_eq!(read_as(&packed(b"aaaabbbb"), Format::Ids).unwrap(), [0, 1]);
}

#[test]
fn what_is_no_trace_is_an_error_of_its_kind() {
    for none in [&b""[..], &packed(b""), b"\n\n\r\n"] {
        assert!(matches!(read(none), Err(Error::Empty)), "{none:?}");
    }
    assert!(matches!(read(&[0, 1, 2, 3, 4]), Err(Error::Torn { bytes: 5 })));
    assert!(matches!(read(&packed(&[0; 7])), Err(Error::Torn { bytes: 7 })));
    let long = vec![b'x'; 3 << 20];
    assert!(matches!(read(&[b"a\n", &long[..]].concat()), Err(Error::LongLine { line: 2 })));
    let whole = packed(&words(&(0..10_000).collect::<Vec<u32>>()));
    for cut in [4, 11, whole.len() / 2, whole.len() - 1] {
        assert!(matches!(read(&whole[..cut]), Err(Error::Unreadable(_))), "{cut}");
    }
    let missing = Trace::read(&std::env::temp_dir().join("larder-trace-missing"));
    let error = missing.unwrap_err();
    assert!(matches!(&error, Error::Unreadable(_)));
    assert!(error.to_string().starts_with("the trace cannot be read: "), "{error}");
    assert!(Trace::read(&std::env::temp_dir()).is_err());
}

#[test]
fn no_bytes_make_it_panic() {
    let mut random = fastrand::Rng::with_seed(3);
    let whole = packed(&words(&(0..2_000).collect::<Vec<u32>>()));
    for _ in 0..2_000 {
        let mut damaged = whole.clone();
        for _ in 0..random.usize(1..4) {
            let place = random.usize(..damaged.len());
            damaged[place] = random.u8(..);
        }
        damaged.truncate(random.usize(..=whole.len()));
        let _ = read(&damaged);
        let noise: Vec<u8> = (0..random.usize(..64)).map(|_| random.u8(..)).collect();
        let _ = read(&noise);
    }
}
