//! The time of an operation: lookups, inserts and loads.

use larder_trace::chart::{Bar, BarChart, BarSeries};
use serde_json::json;

use crate::bench::{Bench, figures};
use crate::contestant::{KNOWN, Known, Role, known};
use crate::failure::Result;
use crate::key::KeyKind;
use crate::report::{Report, rounded};
use crate::series::Series;
use crate::table::Table;
use crate::workload::speed::THREADS;
use crate::workload::{Flavour, Job};

/// A workload, and its contestants.
pub struct Workload {
    name: &'static str,
    title: &'static str,
    plain: fn(&Known) -> bool,
    full: fn(&Known) -> bool,
}

/// The workloads of lookups and inserts.
pub const MEMORY: [Workload; 4] = [
    Workload {
        name: "hit1k",
        title: "lookups of 1,000 keys that are there",
        plain: |_| true,
        full: |known| known.has_ttl,
    },
    Workload {
        name: "hit100k",
        title: "lookups of 100,000 keys that are there",
        plain: |_| true,
        full: |known| known.has_ttl,
    },
    Workload {
        name: "zipf95",
        title: "95 % lookups and 5 % inserts, zipf 0.99 over ten times the capacity",
        plain: |known| known.changes(),
        full: |known| known.has_ttl,
    },
    Workload {
        name: "churn",
        title: "inserts that evict; full: with a ttl and a listener",
        plain: |known| known.changes() && known.role != Role::Limit,
        full: |known| known.has_ttl && known.has_listener,
    },
];

/// The workloads of loads.
pub const LOAD: [Workload; 3] = [
    Workload {
        name: "load_hit1k",
        title: "loads of 1,000 keys that are there",
        plain: |known| known.loads(),
        full: |known| known.loads() && known.has_ttl,
    },
    Workload {
        name: "load_zipf",
        title: "loads, zipf 0.99 over ten times the capacity",
        plain: |known| known.loads() && known.role != Role::Limit,
        full: |known| known.loads() && known.has_ttl,
    },
    Workload {
        name: "load_miss",
        title: "loads of keys that are not there, by a loader of 10 µs",
        plain: |known| known.loads() && known.role != Role::Limit,
        full: |known| known.loads() && known.has_ttl,
    },
];

/// Measures these workloads, for both types of keys.
///
/// # Errors
/// An error if one cannot be measured, or results cannot be written.
pub fn run(bench: &Bench, report: &mut Report, workloads: &[Workload]) -> Result {
    for workload in workloads.iter().filter(|workload| bench.has_workload(workload.name)) {
        for key in KeyKind::ALL {
            let jobs = workload.jobs(bench, key);
            let rounds = bench.rounds(7, 2);
            let answers = figures(workload.name, &jobs, rounds)?;
            let results: Vec<_> = (0..THREADS.len())
                .map(|place| Results::new(workload, key, place, &jobs, &answers))
                .collect();
            for results in &results {
                results.report(report)?;
            }
            let name = format!("{}-{}", workload.name, key.name());
            report.chart(&name, &chart(&results, Flavour::Plain))?;
            report.chart(&format!("{name}-full"), &chart(&results, Flavour::Full))?;
        }
    }
    Ok(())
}

impl Workload {
    fn jobs(&self, bench: &Bench, key: KeyKind) -> Vec<Job> {
        let of = |flavour, takes_part: fn(&Known) -> bool| {
            let some = KNOWN.iter().filter(move |known| takes_part(known));
            let some = some.filter(|known| bench.has_contestant(known.name));
            some.map(move |known| Job {
                key,
                flavour,
                ..Job::plain(self.name, known.name, bench.is_quick)
            })
        };
        of(Flavour::Plain, self.plain).chain(of(Flavour::Full, self.full)).collect()
    }
}

/// The results of one workload with one type of keys and one number of threads.
struct Results<'a> {
    workload: &'a Workload,
    key: KeyKind,
    threads: u64,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    job: &'a Job,
    series: Series,
}

impl Row<'_> {
    fn is_peer(&self) -> bool {
        known(&self.job.contestant).is_some_and(|known| known.role == Role::Peer)
    }

    fn is_quick_cache(&self) -> bool {
        self.job.contestant == "quick_cache"
    }

    /// True if the peer is compared with ours in this flavour. quick_cache, which has only the
    /// plain flavour, is also compared with the full one.
    fn stands_beside(&self, flavour: Flavour) -> bool {
        self.is_peer() && (self.job.flavour == flavour || self.is_quick_cache())
    }
}

impl<'a> Results<'a> {
    /// Returns the results for the number of threads at this index of an answer.
    fn new(
        workload: &'a Workload,
        key: KeyKind,
        place: usize,
        jobs: &'a [Job],
        answers: &[Vec<Vec<f64>>],
    ) -> Self {
        let series = |rounds: &Vec<Vec<f64>>| {
            Series(rounds.iter().filter_map(|figures| figures.get(place).copied()).collect())
        };
        let rows = jobs.iter().zip(answers.iter().map(series));
        let rows = rows.map(|(job, series)| Row { job, series }).collect();
        Self { workload, key, threads: THREADS[place], rows }
    }

    fn best_peer(&self, flavour: Flavour) -> Option<&Row<'_>> {
        let peers = self.rows.iter().filter(|row| row.stands_beside(flavour));
        peers.min_by(|one, other| one.series.median().total_cmp(&other.series.median()))
    }

    fn report(&self, report: &mut Report) -> Result {
        let columns = ["contestant", "ns", "spread", "Mops", "÷ best peer", "÷ quick_cache"];
        let mut table = Table::new(&columns);
        let quick_cache = self.rows.iter().find(|row| row.is_quick_cache());
        for row in &self.rows {
            let Job { contestant, flavour, .. } = row.job;
            let best = self.best_peer(*flavour);
            let ratios =
                [best, quick_cache].map(|base| base.map(|it| row.series.ratios(&it.series)));
            let (median, (low, high)) = (row.series.median(), row.series.spread());
            let mops = self.threads as f64 * 1e3 / median;
            let cells = [
                row.job.label(),
                format!("{median:.1}"),
                format!("{low:.1}–{high:.1}"),
                format!("{mops:.1}"),
            ];
            let ratio_cells = ratios.iter().map(|ratios| ratio(ratios.as_ref()));
            table.row(cells.into_iter().chain(ratio_cells));
            let median_of =
                |ratios: &Option<Series>| ratios.as_ref().map(|it| rounded(it.median()));
            report.line(&json!({
                "workload": self.workload.name,
                "contestant": contestant,
                "threads": self.threads,
                "key": self.key.name(),
                "ns_per_op": rounded(median),
                "spread": [rounded(low), rounded(high)],
                "flavour": flavour.name(),
                "mops": rounded(mops),
                "best_peer": best.map(|row| &row.job.contestant),
                "ratio_to_best_peer": median_of(&ratios[0]),
                "ratio_to_quick_cache": median_of(&ratios[1]),
            }))?;
        }
        let Self { workload, threads, .. } = self;
        let key = self.key.name();
        let title =
            format!("{}: {}; {key} keys, threads: {threads}", workload.name, workload.title);
        table.print(&title);
        Ok(())
    }
}

fn ratio(ratios: Option<&Series>) -> String {
    ratios.map_or_else(String::new, |ratios| {
        let (low, high) = ratios.spread();
        format!("{:.2} ({low:.2}–{high:.2})", ratios.median())
    })
}

/// Returns a chart of the operations per second of each contestant, with each number of threads.
fn chart(results: &[Results<'_>], flavour: Flavour) -> BarChart {
    let Some(Results { workload, key, rows, .. }) = results.first() else {
        return BarChart::default();
    };
    let is_shown = |row: &&Row<'_>| row.job.flavour == flavour || row.is_quick_cache();
    let series = results.iter().map(|results| {
        let mops = |ns: f64| results.threads as f64 * 1e3 / ns;
        let bar = |row: &Row<'_>| {
            let (low, high) = row.series.spread();
            Some(Bar { value: mops(row.series.median()), spread: Some((mops(high), mops(low))) })
        };
        let name = format!("threads: {}", results.threads);
        BarSeries { name, bars: results.rows.iter().filter(is_shown).map(bar).collect() }
    });
    BarChart {
        title: format!("{}: {}, {} keys", workload.name, workload.title, key.name()),
        y_title: "million operations a second".to_owned(),
        groups: rows.iter().filter(is_shown).map(|row| row.job.label()).collect(),
        series: series.collect(),
        ..BarChart::default()
    }
}
