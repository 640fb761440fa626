//! The memory of an entry.

use larder_trace::chart::{Bar, BarChart, BarSeries};
use serde_json::json;

use crate::bench::{Bench, figures};
use crate::contestant::{KNOWN, Role};
use crate::failure::Result;
use crate::key::KeyKind;
use crate::report::{Report, rounded};
use crate::table::Table;
use crate::workload::{Flavour, Job};

/// Measures all contestants that can be written to, once: the allocator counts the same each time.
///
/// # Errors
/// An error if one cannot be measured, or results cannot be written.
pub fn run(bench: &Bench, report: &mut Report) -> Result {
    if !bench.has_workload(NAME) {
        return Ok(());
    }
    for key in KeyKind::ALL {
        let jobs = jobs(bench, key);
        let answers = figures(NAME, &jobs, 1)?;
        let columns = ["contestant", "allocated", "resident", "entries kept", "empty, KiB"];
        let mut table = Table::new(&columns);
        let mut bars = Vec::new();
        for (job, answers) in jobs.iter().zip(&answers) {
            let Some([allocated, resident, kept, empty]) = answers.first().map(Vec::as_slice)
            else {
                continue;
            };
            let name = job.label();
            table.row([
                name.clone(),
                format!("{allocated:.0}"),
                format!("{resident:.0}"),
                format!("{kept:.0}"),
                format!("{:.0}", empty / 1024.0),
            ]);
            bars.push((name, *resident));
            report.line(&json!({
                "workload": NAME,
                "contestant": job.contestant,
                "key": key.name(),
                "flavour": job.flavour.name(),
                "allocated_bytes": rounded(*allocated),
                "resident_bytes": rounded(*resident),
                "entries": kept,
                "empty_bytes": empty,
            }))?;
        }
        let key = key.name();
        let title = format!("{NAME}: bytes that an entry takes with its value of 100; {key} keys");
        table.print(&title);
        report.chart(&format!("{NAME}-{key}"), &chart(key, bars))?;
    }
    Ok(())
}

fn jobs(bench: &Bench, key: KeyKind) -> Vec<Job> {
    let flavours = [Flavour::Plain, Flavour::Ttl, Flavour::Full];
    let known = KNOWN.iter().filter(|known| known.changes() && bench.has_contestant(known.name));
    let all = known.flat_map(|known| flavours.map(|flavour| (known, flavour)));
    // Only Larder has tags.
    let some = all.filter(|(known, flavour)| match flavour {
        Flavour::Plain => true,
        Flavour::Ttl => known.has_ttl,
        Flavour::Full => known.role == Role::Larder,
    });
    some.map(|(known, flavour)| Job {
        key,
        flavour,
        counts: true,
        ..Job::plain(NAME, known.name, bench.is_quick)
    })
    .collect()
}

fn chart(key: &str, bars: Vec<(String, f64)>) -> BarChart {
    let (groups, values): (Vec<_>, Vec<_>) = bars.into_iter().unzip();
    let bar = |value| Some(Bar { value, spread: None });
    BarChart {
        title: format!("Bytes of an entry with a value of 100, {key} keys"),
        y_title: "resident bytes".to_owned(),
        groups,
        series: vec![BarSeries {
            name: "resident".to_owned(),
            bars: values.into_iter().map(bar).collect(),
        }],
        ..BarChart::default()
    }
}

const NAME: &str = "bytes_per_entry";
