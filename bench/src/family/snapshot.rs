//! Saving a cache and restoring it, beside writing and reading the same bytes.
//!
//! Both sides write a new file, sync it and rename it; for *cold* reads the file's pages are
//! dropped before. All run in this process, alternately in each round; the memory is measured in
//! processes of their own.

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use serde_json::json;

use super::compare::{Contender, compare};
use super::scratch::Scratch;
use crate::bench::{Bench, figures};
use crate::failure::{Failure, Result};
use crate::report::{Report, rounded};
use crate::table::Table;
use crate::workload::Job;
use crate::workload::snapshot::{entries, filled, open, prepare, write};

/// Compares saves, then restores, then reports the memory.
///
/// # Errors
/// An error if it cannot be measured, or results cannot be written.
pub fn run(bench: &Bench, report: &mut Report) -> Result {
    if !bench.has_workload(NAME) {
        return Ok(());
    }
    let folder = Scratch::new(NAME)?;
    let path = folder.path.join("cache.snapshot");
    let (entries, rounds) = (entries(bench.is_quick), bench.rounds(7, 2));
    let cache = filled(&path, entries);
    cache.blocking().save().expect("it can be saved");
    let bytes = fs::read(&path).map_err(|error| Failure::File(path.clone(), error))?;

    let other = folder.path.join("same");
    let save = || cache.blocking().save().expect("it can be saved");
    let writing = vec![
        Contender::new("std::fs, written and synced", || time(|| write(&other, &bytes))),
        Contender::new("Cache::save", || time(save)),
    ];
    let title = format!("{entries} entries of 100 bytes, {} MB, saved", bytes.len() / 1_000_000);
    compare(report, rounds, NAME, &title, "ms", writing)?;
    drop(cache);

    fs::write(&other, &bytes).map_err(|error| Failure::File(other.clone(), error))?;
    drop(bytes);
    for (is_cold, how) in [(false, "pages in memory"), (true, "pages dropped before")] {
        let read = || {
            prepare(&other, is_cold);
            time(|| fs::read(&other).expect("it is there").len())
        };
        let restore = || {
            prepare(&path, is_cold);
            let mut cache = None;
            let taken = time(|| cache = Some(open(&path, entries)));
            assert_eq!(cache.map_or(0, |cache| cache.len() as u64), entries);
            taken
        };
        let reading = vec![
            Contender::new("std::fs, read", read),
            Contender::new("CacheBuilder::build", restore),
        ];
        compare(report, rounds, NAME, &format!("restored, {how}"), "ms", reading)?;
    }
    memory(bench, report)
}

fn memory(bench: &Bench, report: &mut Report) -> Result {
    let jobs = [Job::plain("snapshot_memory", "larder-cache", bench.is_quick)];
    let answers = figures("snapshot_memory", &jobs, 1)?;
    let mut table = Table::new(&["memory above the cache", "at most, MiB"]);
    for (what, bytes) in ["save", "restore"].into_iter().zip(answers.iter().flatten().flatten()) {
        let mebibytes = bytes / f64::from(1 << 20);
        table.row([what.to_owned(), format!("{mebibytes:.1}")]);
        report.line(&json!({
            "workload": "snapshot_memory",
            "contestant": "larder-cache",
            "case": what,
            "mebibytes": rounded(mebibytes),
        }))?;
    }
    table.print("snapshot: memory");
    Ok(())
}

/// Returns the milliseconds that a run takes.
fn time<R>(run: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    black_box(run());
    start.elapsed().as_secs_f64() * 1_000.0
}

const NAME: &str = "snapshot";
