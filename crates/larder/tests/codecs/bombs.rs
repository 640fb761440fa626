//! Small bytes that claim or unpack to large ones.

use bytes::Bytes;
use larder::backend::Codec;
use larder::{Lz4, Pipeline, Raw, Zstd};
use stats_alloc::Region;

use super::{ALLOCATOR, MEBIBYTE, alone, pipelines, refused};

/// A frame of zstd that says how long it is and unpacks to as many zeros, in blocks of one byte.
fn zstd_bomb(length: usize) -> Vec<u8> {
    const BLOCK: usize = 128 << 10;
    let blocks = length / BLOCK;
    // The magic number; a length of 8 bytes follows, and a window of 128 KiB.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x38];
    bomb.extend_from_slice(&u64::try_from(length).unwrap().to_le_bytes());
    for block in 1..=blocks {
        let head = BLOCK << 3 | 1 << 1 | usize::from(block == blocks);
        bomb.extend_from_slice(&head.to_le_bytes()[..3]);
        bomb.push(0);
    }
    bomb
}

/// A block of LZ4 that unpacks to as many zeros, or a few more.
fn lz4_bomb(length: usize) -> Vec<u8> {
    // A literal, then a match that goes one back and is as long as 255 to a byte make it.
    let mut bomb = vec![0x1f, 0, 1, 0];
    bomb.resize(bomb.len() + length / 255, 0xff);
    bomb.extend_from_slice(&[0, 0x50, 0, 0, 0, 0, 0]);
    bomb
}

/// A frame of Raw with this body, that claims this length.
fn frame(compression: u8, length: usize, body: &[u8]) -> Bytes {
    let mut frame = vec![1, compression, 0, 2, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
    frame.extend_from_slice(body);
    frame.into()
}

#[track_caller]
fn refused_in_little_memory(pipeline: &Pipeline<Raw>, frame: &Bytes) {
    let region = Region::new(ALLOCATOR);
    assert!(Codec::<Bytes>::decode(pipeline, frame).is_err());
    let allocated = region.change().bytes_allocated;
    assert!(allocated < MEBIBYTE, "{allocated} bytes");
}

#[test]
fn f32_a_bomb_of_800_mib_in_25_kb_is_refused_before_it_goes_off() {
    let _turn = alone();
    let pipeline = Pipeline::new(Raw).compress(Zstd::new());
    let large = 800 * MEBIBYTE;
    let bomb = zstd_bomb(large);
    assert!(bomb.len() < 26_000);
    // The frame as it is; with a smaller claim than its content; and with a limit that does not
    // apply.
    refused_in_little_memory(&pipeline, &frame(1, large, &bomb));
    refused_in_little_memory(&pipeline, &frame(1, MEBIBYTE / 2, &bomb));
    let wide = pipeline.clone().max_value_bytes(usize::MAX);
    refused_in_little_memory(&wide, &frame(1, MEBIBYTE / 2, &bomb));
    // The same kind of frame is read where it is small, so the size is the reason to refuse it.
    let small = frame(1, MEBIBYTE, &zstd_bomb(MEBIBYTE));
    let read: Bytes = pipeline.decode(&small).unwrap();
    assert!(read.len() == MEBIBYTE && read.iter().all(|&byte| byte == 0));
}

#[test]
fn f32_a_bomb_of_lz4_is_refused_before_it_goes_off() {
    let _turn = alone();
    let pipeline = Pipeline::new(Raw).compress(Lz4::new());
    let bomb = lz4_bomb(800 * MEBIBYTE);
    refused_in_little_memory(&pipeline, &frame(2, 800 * MEBIBYTE, &bomb));
    refused_in_little_memory(&pipeline, &frame(2, MEBIBYTE / 2, &bomb));
    let bomb = lz4_bomb(510);
    let length = (1..2_000)
        .find(|&length| Codec::<Bytes>::decode(&pipeline, &frame(2, length, &bomb)).is_ok());
    assert_eq!(length, Some(1 + 4 + 15 + 510 + 5));
}

#[test]
fn f32_claimed_lengths_of_frames_allocate_nothing() {
    let _turn = alone();
    // 2³² − 1, and the most that the limit still allows: neither fits the few bytes that are there.
    for length in [u32::MAX as usize, 64 * MEBIBYTE] {
        for (_, pipeline) in pipelines(Raw) {
            for compression in 0..=2 {
                let pipeline = pipeline.clone().schema(0).max_value_bytes(64 * MEBIBYTE);
                refused_in_little_memory(&pipeline, &frame(compression, length, &[0; 60]));
                let bomb = &zstd_bomb(64 * MEBIBYTE)[..60];
                refused_in_little_memory(&pipeline, &frame(compression, length, bomb));
            }
        }
    }
    // The length 2⁶³, as zstd's own header claims it.
    let mut claim = zstd_bomb(MEBIBYTE);
    claim[6..14].copy_from_slice(&(1_u64 << 63).to_le_bytes());
    let pipeline = Pipeline::new(Raw).compress(Zstd::new());
    refused_in_little_memory(&pipeline, &frame(1, MEBIBYTE, &claim));
}

#[test]
fn nothing_may_follow_what_is_compressed() {
    let _turn = alone();
    let value = "leek ".repeat(1_000);
    for (_, pipeline) in pipelines(Raw) {
        let bytes = pipeline.encode(&value).unwrap();
        // Bytes behind the frame, and a skippable frame of zstd, which a reader of streams passes
        // over.
        for more in [&[0][..], b"\x50\x2a\x4d\x18\0\0\0\0"] {
            refused::<String>(&pipeline, &[&bytes[..], more].concat());
        }
    }
}
