//! Functions that take turns in this process, beside the first of them.

use serde_json::json;

use crate::bench::progress;
use crate::failure::Result;
use crate::report::{Report, rounded};
use crate::series::interleave;
use crate::table::Table;

/// Something that gives one sample each time.
pub struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Contender<'a> {
    /// One by this name.
    pub fn new(name: &'static str, run: impl FnMut() -> f64 + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// Lets them take turns for so many rounds and tells of medians, spreads and ratios to the first;
/// the ratio of the fastest samples is what is left when other programs disturb as little as they
/// can.
///
/// # Errors
/// If results cannot be written.
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
