//! Saving a cache and beginning with what was saved, beside writing and reading the same bytes.
//!
//! Both sides write a new file, sync it and rename it; *cold* reads have the file's pages dropped
//! before. The memory is what the process grew by at most while it ran, in a process of its own;
//! of a restore, without what the cache has in the end.
//!
//! `--rounds` (7), `--entries` (1,000,000), `--folder` (the temporary one).

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use larder::{Cache, Raw, Snapshot};
use larder_bench::{Contender, Table, again, asked, interleave, number, peak, ratios, resident};
use rustix::fs::{Advice, fadvise};

fn main() {
    let entries = number("entries", 1_000_000);
    if let Some(what) = asked("memory") {
        let path = PathBuf::from(asked("path").expect("there is a path"));
        println!("{}", if what == "save" { save_peak(&path, entries) } else { load_peak(&path) });
        return;
    }
    let parent = asked("folder").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = parent.join(format!("larder-bench-snapshot-{}", std::process::id()));
    let path = folder.join("cache.snapshot");
    let rounds = number("rounds", 7) as usize;

    let cache = filled(&path, entries);
    cache.blocking().save().expect("it can be saved");
    let bytes = fs::read(&path).expect("it is there");
    let size = bytes.len();
    println!("### {entries} entries, u64 keys, 100-byte values: {} MB\n", size / 1_000_000);

    let other = folder.join("same");
    let writing = interleave(
        rounds,
        vec![
            Contender::new("std::fs, written and synced", || time(|| write(&other, &bytes))),
            Contender::new("Cache::save", || time(|| cache.blocking().save().expect("saved"))),
        ],
    );
    println!("{}", ratios("ms", &writing));
    drop(cache);

    fs::write(&other, &bytes).expect("it is written");
    drop(bytes);
    for is_cold in [false, true] {
        let name = if is_cold { "cold" } else { "warm" };
        let read = || {
            prepare(&other, is_cold);
            time(|| black_box(fs::read(&other).expect("it is there").len()))
        };
        let restore = || {
            prepare(&path, is_cold);
            let mut cache = None;
            let taken = time(|| cache = Some(open(&path, entries)));
            assert_eq!(cache.map_or(0, |cache| cache.len() as u64), entries);
            taken
        };
        let reading = interleave(
            rounds,
            vec![
                Contender::new(format!("std::fs, read {name}"), read),
                Contender::new(format!("a cache restored {name}"), restore),
            ],
        );
        println!("{}", ratios("ms", &reading));
    }

    let mut table = Table::new(&["memory above the cache, MiB", "at most"]);
    for what in ["save", "restore"] {
        let path = path.to_str().expect("it is text");
        let asked = ["--memory", what, "--path", path, "--entries", &entries.to_string()];
        table.row([what.to_owned(), again(&asked).trim().to_owned()]);
    }
    println!("{table}");
    fs::remove_dir_all(folder).expect("it can be removed");
}

fn open(path: &Path, entries: u64) -> Cache<u64, Vec<u8>> {
    // More than enough: the parts of a cache are never filled evenly.
    let builder = Cache::builder().capacity(entries + entries / 10);
    builder.snapshot_with(Snapshot::file(path), Raw).build().expect("it is valid")
}

fn filled(path: &Path, entries: u64) -> Cache<u64, Vec<u8>> {
    let cache = open(path, entries);
    for key in 0..entries {
        cache.blocking().insert(key, vec![key as u8; 100]).expect("it is open");
    }
    cache
}

fn write(path: &Path, bytes: &[u8]) {
    let part = path.with_extension("part");
    let mut file = File::create(&part).expect("it can be created");
    file.write_all(bytes).and_then(|()| file.sync_all()).expect("it can be written");
    fs::rename(&part, path).expect("it can be renamed");
    let folder = path.parent().expect("it is in a folder");
    File::open(folder).and_then(|folder| folder.sync_all()).expect("it can be synced");
}

/// Drops the file's pages, or makes sure that they are there.
fn prepare(path: &Path, is_cold: bool) {
    if is_cold {
        let file = File::open(path).expect("it is there");
        file.sync_all().expect("it can be synced");
        fadvise(&file, 0, None, Advice::DontNeed).expect("pages can be dropped");
    } else {
        drop(fs::read(path).expect("it is there"));
    }
}

/// Milliseconds.
fn time<R>(run: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    black_box(run());
    start.elapsed().as_secs_f64() * 1_000.0
}

fn save_peak(path: &Path, entries: u64) -> String {
    let path = path.with_extension("peak");
    let cache = filled(&path, entries);
    let (_, most, before) = peak(|| cache.blocking().save().expect("it can be saved"));
    mebibytes(most.saturating_sub(before))
}

fn load_peak(path: &Path) -> String {
    let (cache, most, _) = peak(|| open(path, number("entries", 1_000_000)));
    let after = resident();
    drop(cache);
    mebibytes(most.saturating_sub(after))
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}
