//! Functions that run alternately in this process, compared with the first of them.

use serde_json::json;

use crate::bench::progress;
use crate::failure::Result;
use crate::report::{Report, rounded};
use crate::series::interleave;
use crate::table::Table;

/// A function that returns one sample each time.
pub struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Contender<'a> {
    /// Returns the contender of this name.
    pub fn new(name: &'static str, run: impl FnMut() -> f64 + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// Runs them alternately for this many rounds. Reports medians, spreads and ratios to the first;
/// the ratio of the fastest samples is the one that other programs disturb least.
///
/// # Errors
/// An error if results cannot be written.
pub fn compare(
    report: &mut Report,
    rounds: usize,
    workload: &str,
    title: &str,
    unit: &str,
    mut contenders: Vec<Contender<'_>>,
) -> Result {
    let bar = progress(title, ((rounds + 1) * contenders.len()) as u64);
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let mut runs: Vec<Box<dyn FnMut() -> f64 + '_>> = Vec::new();
    for contender in &mut contenders {
        let bar = bar.clone();
        runs.push(Box::new(move || {
            bar.inc(1);
            (contender.run)()
        }));
    }
    let series = interleave(rounds, &mut runs);
    bar.finish_and_clear();
    let columns = ["contestant", unit, "spread", "ratio", "spread of ratio", "ratio of fastest"];
    let mut table = Table::new(&columns);
    for (name, one) in names.iter().zip(&series) {
        let ratios = one.ratios(&series[0]);
        let ((low, high), (lowest, highest)) = (one.spread(), ratios.spread());
        table.row([
            (*name).to_owned(),
            format!("{:.1}", one.median()),
            format!("{low:.1}–{high:.1}"),
            format!("{:.2}", ratios.median()),
            format!("{lowest:.2}–{highest:.2}"),
            format!("{:.2}", low / series[0].spread().0),
        ]);
        report.line(&json!({
            "workload": workload,
            "case": title,
            "contestant": name,
            "unit": unit,
            "median": rounded(one.median()),
            "spread": [rounded(low), rounded(high)],
            "ratio_to_first": rounded(ratios.median()),
        }))?;
    }
    table.print(&format!("{workload}: {title}"));
    Ok(())
}
