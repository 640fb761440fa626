//! Many entries that expire at once.

use serde_json::json;

use crate::bench::{Bench, answers};
use crate::failure::{Failure, Result};
use crate::report::Report;
use crate::table::Table;
use crate::workload::Job;
use crate::workload::expiry::{Answer, Lookups};

/// Measures the expiry a few times. Each result shows how calm the machine was.
///
/// # Errors
/// An error if it cannot be measured, or results cannot be written.
pub fn run(bench: &Bench, report: &mut Report) -> Result {
    if !bench.has_workload(NAME) || !bench.has_contestant(CONTESTANT) {
        return Ok(());
    }
    let jobs = [Job::plain(NAME, CONTESTANT, bench.is_quick)];
    let answers = answers(NAME, &jobs, bench.rounds(5, 1))?;
    let columns = [
        "lookups",
        "gone after",
        "count",
        "p50",
        "p99",
        "p99.9",
        "p99.99",
        "max",
        "over 1 ms",
        "preempted",
    ];
    let mut table = Table::new(&columns);
    let mut expired = 0;
    for (run, answer) in (1..).zip(answers.into_iter().flatten()) {
        let answer: Answer = serde_json::from_value(answer).map_err(Failure::from)?;
        expired = answer.entries;
        row(&mut table, format!("run {run}, before"), "-".to_owned(), &answer.before);
        let gone = format!("{:.0} ms", answer.gone_ms);
        row(&mut table, format!("run {run}, while they leave"), gone, &answer.during);
        report.line(&json!({
            "workload": NAME,
            "contestant": CONTESTANT,
            "entries": answer.entries,
            "gone_ms": answer.gone_ms,
            "before": answer.before,
            "during": answer.during,
        }))?;
    }
    let title = format!("{NAME}: {expired} entries expire at once, lookups of others in µs");
    table.print(&title);
    Ok(())
}

fn row(table: &mut Table, name: String, gone: String, lookups: &Lookups) {
    let Lookups { count, micros, over_1_ms, preempted } = lookups;
    let times = micros.iter().map(|time| format!("{time:.2}"));
    let counts = [over_1_ms, preempted].map(ToString::to_string);
    table.row([name, gone, count.to_string()].into_iter().chain(times).chain(counts));
}

const NAME: &str = "expiry";
const CONTESTANT: &str = "larder-local";
