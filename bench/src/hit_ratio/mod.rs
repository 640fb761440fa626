//! The share of lookups that find their key, beside the most that any cache can have.
//!
//! The traces are recorded ones in files, and always synthetic ones, at 1, 5, 10, 20 and 40 % of
//! the distinct keys.

mod contestant;
mod replay;
mod subject;
mod summary;

use crate::arguments::Arguments;
use crate::bench::progress;
use crate::failure::{Failure, Result};
use crate::report::Report;

/// Replays all traces through all contestants. No rounds are needed, because nothing is timed.
///
/// # Errors
/// An error if a trace cannot be read, or results cannot be written.
pub fn run(arguments: &Arguments, report: &mut Report) -> Result {
    let recorded = subject::recorded(&arguments.traces);
    let mut subjects = recorded.map_err(|(path, error)| Failure::Trace(path, error))?;
    subjects.extend(subject::synthetic(arguments.quick));
    let bar = progress("hit-ratio", replay::work(&subjects));
    let cells = replay::replay(&subjects, &|accesses| bar.inc(accesses as u64));
    bar.finish_and_clear();
    for (title, table) in summary::tables(&cells) {
        table.print(&title);
    }
    for line in summary::lines(&cells) {
        report.line(&line)?;
    }
    for (name, chart) in summary::charts(&cells) {
        report.picture(&name, &chart)?;
    }
    Ok(())
}
