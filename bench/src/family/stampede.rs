//! Many callers of one absent key.

use larder_trace::chart::{Bar, BarChart, BarSeries};
use serde_json::json;

use crate::bench::{Bench, figures};
use crate::failure::Result;
use crate::report::{Report, rounded};
use crate::series::Series;
use crate::table::Table;
use crate::workload::Job;
use crate::workload::stampede::{TASKS, THREADS};

/// Measures stampedes of tasks and of threads.
///
/// # Errors
/// An error if one cannot be measured, or results cannot be written.
pub fn run(bench: &Bench, report: &mut Report) -> Result {
    stampede(bench, report, "stampede1k", &TASKS, "1,000 tasks")?;
    stampede(bench, report, "stampede10k", &TASKS, "10,000 tasks")?;
    stampede(bench, report, "stampede1k_threads", &THREADS, "1,000 threads")
}

fn stampede(
    bench: &Bench,
    report: &mut Report,
    workload: &str,
    contestants: &[&str],
    callers: &str,
) -> Result {
    if !bench.has_workload(workload) {
        return Ok(());
    }
    let some = contestants.iter().filter(|name| bench.has_contestant(name));
    let jobs: Vec<_> = some.map(|name| Job::plain(workload, name, bench.is_quick)).collect();
    let answers = figures(workload, &jobs, bench.rounds(5, 2))?;
    let of = |answers: &[Vec<f64>], place: usize| {
        Series(answers.iter().filter_map(|answer| answer.get(place).copied()).collect())
    };
    let place = jobs.iter().position(|job| job.contestant == "quick_cache");
    let quick_cache = place.map(|place| of(&answers[place], P99));
    let columns = [
        "contestant",
        "stampedes",
        "loads",
        "p50, ms",
        "p99, ms",
        "spread",
        "max, ms",
        "÷ quick_cache",
    ];
    let mut table = Table::new(&columns);
    let mut bars = Vec::new();
    for (job, answers) in jobs.iter().zip(&answers) {
        let [stampedes, loads] = [0, 1].map(|place| of(answers, place).0.iter().sum::<f64>());
        let [p50, p99, max] = [2, P99, 4].map(|place| of(answers, place));
        let (low, high) = p99.spread();
        let ratio = quick_cache.as_ref().map(|base| p99.ratios(base).median());
        table.row([
            job.contestant.clone(),
            format!("{stampedes:.0}"),
            format!("{loads:.0}"),
            format!("{:.1}", p50.median()),
            format!("{:.1}", p99.median()),
            format!("{low:.1}–{high:.1}"),
            format!("{:.1}", max.spread().1),
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        ]);
        bars.push(Some(Bar { value: p99.median(), spread: Some((low, high)) }));
        report.line(&json!({
            "workload": workload,
            "contestant": job.contestant,
            "rounds": stampedes,
            "loads": loads,
            "p50_ms": rounded(p50.median()),
            "p99_ms": rounded(p99.median()),
            "spread": [rounded(low), rounded(high)],
            "max_ms": rounded(max.spread().1),
            "ratio_to_quick_cache": ratio.map(rounded),
        }))?;
    }
    let title = format!("{callers} want one key whose load takes 10 ms");
    table.print(&format!("{workload}: {title}"));
    let chart = BarChart {
        title,
        y_title: "wait of the caller at 99 %, ms".to_owned(),
        groups: jobs.iter().map(|job| job.contestant.clone()).collect(),
        series: vec![BarSeries { name: "p99".to_owned(), bars }],
        ..BarChart::default()
    };
    report.chart(workload, &chart)
}

/// The index of the number in an answer.
const P99: usize = 3;
