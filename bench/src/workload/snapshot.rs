//! A cache with a snapshot: the memory that a save and a restore need, and the making of both.
//!
//! The memory is the most by which the process grew while it ran; for a restore, without the memory
//! of the cache in the end.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use larder::{Cache, Raw, Snapshot};
use rustix::fs::{Advice, fadvise};

use super::Job;
use crate::process::{peak, resident};

/// Returns the number of entries.
pub const fn entries(is_quick: bool) -> u64 {
    if is_quick { 100_000 } else { 1_000_000 }
}

/// Returns the bytes of memory above the cache, of a save and of a restore.
pub fn run(job: &Job) -> Vec<f64> {
    let name = format!("larder-bench-memory-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let (path, entries) = (folder.join("cache.snapshot"), entries(job.is_quick));
    let cache = filled(&path, entries);
    let (_, most, before) = peak(|| cache.blocking().save().expect("it can be saved"));
    let save = most.saturating_sub(before);
    drop(cache);
    let (cache, most, _) = peak(|| open(&path, entries));
    let restore = most.saturating_sub(resident());
    assert_eq!(cache.len() as u64, entries, "all of them are back");
    drop(cache);
    fs::remove_dir_all(folder).expect("it can be removed");
    vec![save as f64, restore as f64]
}

/// Opens a cache that begins with the snapshot.
pub fn open(path: &Path, entries: u64) -> Cache<u64, Vec<u8>> {
    // The capacity is more than enough, because the parts of a cache are never filled evenly.
    let builder = Cache::builder().capacity(entries + entries / 10);
    builder.snapshot_with(Snapshot::file(path), Raw).build().expect("it is valid")
}

/// Returns a cache with this many entries of 100 bytes.
pub fn filled(path: &Path, entries: u64) -> Cache<u64, Vec<u8>> {
    let cache = open(path, entries);
    for key in 0..entries {
        cache.blocking().insert(key, vec![key as u8; 100]).expect("it is open");
    }
    cache
}

/// Writes a new file in place of another, so that it survives a power failure.
pub fn write(path: &Path, bytes: &[u8]) {
    let part = path.with_extension("part");
    let mut file = File::create(&part).expect("it can be created");
    file.write_all(bytes).and_then(|()| file.sync_all()).expect("it can be written");
    fs::rename(&part, path).expect("it can be renamed");
    let folder = path.parent().expect("it is in a folder");
    File::open(folder).and_then(|folder| folder.sync_all()).expect("it can be synced");
}

/// Drops the file's pages, or makes sure that they are in memory.
pub fn prepare(path: &Path, is_cold: bool) {
    if is_cold {
        let file = File::open(path).expect("it is there");
        file.sync_all().expect("it can be synced");
        fadvise(&file, 0, None, Advice::DontNeed).expect("pages can be dropped");
    } else {
        drop(fs::read(path).expect("it is there"));
    }
}
