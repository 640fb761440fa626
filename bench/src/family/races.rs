//! Loads that are overtaken by a change.

use serde_json::json;

use crate::bench::{Bench, answers};
use crate::failure::{Failure, Result};
use crate::report::Report;
use crate::table::Table;
use crate::workload::Job;
use crate::workload::races::{CONTESTANTS, Case};

/// Runs the rounds of every contestant once.
///
/// # Errors
/// An error if one cannot be measured, or results cannot be written.
pub fn run(bench: &Bench, report: &mut Report) -> Result {
    if !bench.has_workload(NAME) {
        return Ok(());
    }
    let some = CONTESTANTS.iter().filter(|name| bench.has_contestant(name));
    let jobs: Vec<_> = some.map(|name| Job::plain(NAME, name, bench.is_quick)).collect();
    let answers = answers(NAME, &jobs, 1)?;
    let mut table = Table::new(&["contestant and case", "rounds", "resurrected"]);
    for (job, answer) in jobs.iter().zip(answers.into_iter().flatten()) {
        let cases: Vec<Case> = serde_json::from_value(answer).map_err(Failure::from)?;
        for Case { name, rounds, resurrected, waits } in cases {
            let waits_for = if waits { ", which waits for the load" } else { "" };
            table.row([
                format!("{}: {name}{waits_for}", job.contestant),
                rounds.to_string(),
                resurrected.to_string(),
            ]);
            report.line(&json!({
                "contestant": job.contestant,
                "case": name,
                "rounds": rounds,
                "resurrected": resurrected,
                "waits": waits,
            }))?;
        }
    }
    table.print("races: old values brought back by a load that a change has overtaken");
    Ok(())
}

const NAME: &str = "races";
