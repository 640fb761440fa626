//! The summary of the cells: tables, lines and charts.

use larder_trace::chart::{LineChart, Scale, Series};
use serde_json::{Value, json};

use super::contestant::CONTESTANTS;
use super::replay::{Cell, Outcome};
use crate::table::Table;

/// Returns titles and tables: one for each trace, and all of them together.
pub fn tables(cells: &[Cell]) -> Vec<(String, Table)> {
    let of_trace = |cells: &[Cell]| (format!("hit ratio, {}, %", title(cells)), of_trace(cells));
    let recorded: Vec<_> = cells.iter().filter(|cell| cell.is_recorded).cloned().collect();
    let made: Vec<_> = cells.iter().filter(|cell| !cell.is_recorded).cloned().collect();
    let together = [("recorded", &recorded[..]), ("synthetic", &made), ("all", cells)];
    let together = together.into_iter().filter(|(_, cells)| !cells.is_empty());
    let together =
        together.map(|(what, cells)| (format!("hit ratio, {what} traces"), standing(cells)));
    by_trace(cells).map(of_trace).chain(together).collect()
}

/// Returns the standing of each contestant over these cells.
///
/// The best is the best of the peers and the local tier that held no more than they may: hits in
/// room beyond the capacity show no better policy.
pub fn standing(cells: &[Cell]) -> Table {
    let mut table = Table::new(&[
        "contestant",
        "mean hit ratio, %",
        "mean of hit ÷ optimum",
        "mean gap to best, points",
        "worst gap, points",
        "worst overshoot, %",
    ]);
    for (place, contestant) in CONTESTANTS.iter().enumerate() {
        let outcomes = || cells.iter().map(move |cell| (cell, &cell.outcomes[place]));
        let gap = |(cell, outcome): (&Cell, &Outcome)| (best(cell) - outcome.hit_ratio) * 100.0;
        let worst = outcomes().map(gap).fold(f64::NEG_INFINITY, f64::max);
        let over = |(cell, outcome): (&Cell, &Outcome)| {
            (outcome.most_held as f64 / cell.capacity as f64 - 1.0).max(0.0) * 100.0
        };
        table.row([
            contestant.name.to_owned(),
            format!("{:.2}", mean(outcomes().map(|(_, outcome)| outcome.hit_ratio * 100.0))),
            format!("{:.3}", mean(outcomes().map(|(cell, outcome)| of_optimum(cell, outcome)))),
            format!("{:.2}", mean(outcomes().map(gap))),
            format!("{worst:.2}"),
            format!("{:.1}", outcomes().map(over).fold(0.0, f64::max)),
        ]);
    }
    table
}

/// Returns one object for each contestant in each cell, the optimum among them.
pub fn lines(cells: &[Cell]) -> impl Iterator<Item = Value> {
    cells.iter().flat_map(|cell| {
        let line = move |contestant: &str, hit_ratio: f64, most_held: usize| {
            json!({
                "workload": "hit_ratio",
                "trace": cell.trace,
                "share": cell.share,
                "capacity": cell.capacity,
                "contestant": contestant,
                "hit_ratio": (hit_ratio * 1e6).round() / 1e6,
                "most_held": most_held,
            })
        };
        let outcomes = cell.outcomes.iter();
        let outcomes =
            outcomes.map(move |one| line(one.contestant.name, one.hit_ratio, one.most_held));
        std::iter::once(line("optimum", cell.optimum, cell.capacity)).chain(outcomes)
    })
}

/// Returns a picture for each trace, and the name of its file without the ending.
pub fn charts(cells: &[Cell]) -> Vec<(String, String)> {
    let chart = |cells: &[Cell]| {
        let line = |name: &str, ratio: &dyn Fn(&Cell) -> f64| Series {
            name: name.to_owned(),
            points: cells.iter().map(|cell| (cell.capacity as f64, ratio(cell) * 100.0)).collect(),
        };
        let drawn = CONTESTANTS.iter().enumerate().filter(|(_, one)| DRAWN.contains(&one.name));
        let drawn =
            drawn.map(|(place, one)| line(one.name, &|cell| cell.outcomes[place].hit_ratio));
        let series = std::iter::once(line("optimum", &|cell| cell.optimum)).chain(drawn).collect();
        LineChart {
            title: format!("Hit ratio, {}", title(cells)),
            x_title: "capacity, entries".into(),
            y_title: "hits, % of accesses".into(),
            x_scale: Scale::Logarithmic,
            y_scale: Scale::Linear,
            series,
        }
    };
    let name = |cells: &[Cell]| format!("hit-ratio-{}", title(cells).replace(' ', "-"));
    by_trace(cells).map(|cells| (name(cells), chart(cells).to_svg())).collect()
}

fn of_trace(cells: &[Cell]) -> Table {
    let sizes = cells.iter().map(|cell| format!("{} ({} %)", cell.capacity, cell.share * 100.0));
    let sizes: Vec<String> = sizes.collect();
    let columns = std::iter::once("contestant").chain(sizes.iter().map(String::as_str));
    let mut table = Table::new(&columns.collect::<Vec<_>>());
    let row = |name: &str, ratio: &dyn Fn(&Cell) -> String| -> Vec<String> {
        std::iter::once(name.to_owned()).chain(cells.iter().map(ratio)).collect()
    };
    table.row(row("optimum", &|cell| format!("{:.2}", cell.optimum * 100.0)));
    for (place, contestant) in CONTESTANTS.iter().enumerate() {
        table.row(row(contestant.name, &|cell| {
            let outcome = cell.outcomes[place];
            // The mark is for hits in more room than the capacity.
            let over = if is_held(cell, &outcome) { "" } else { " *" };
            format!("{:.2}{over}", outcome.hit_ratio * 100.0)
        }));
    }
    table
}

fn by_trace(cells: &[Cell]) -> impl Iterator<Item = &[Cell]> {
    cells.chunk_by(|one, next| one.trace == next.trace)
}

fn title(cells: &[Cell]) -> &str {
    cells.first().map_or("", |cell| cell.trace.as_str())
}

fn best(cell: &Cell) -> f64 {
    let rivals = cell.outcomes.iter().filter(|outcome| is_held(cell, outcome));
    rivals.map(|outcome| outcome.hit_ratio).fold(0.0, f64::max)
}

const fn is_held(cell: &Cell, outcome: &Outcome) -> bool {
    outcome.most_held <= cell.capacity
}

fn of_optimum(cell: &Cell, outcome: &Outcome) -> f64 {
    if cell.optimum == 0.0 { 1.0 } else { outcome.hit_ratio / cell.optimum }
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = numbers.fold((0_u32, 0.0), |(count, sum), one| (count + 1, sum + one));
    if count == 0 { f64::NAN } else { sum / f64::from(count) }
}

/// The contestants that are drawn: as many lines as can be told apart.
const DRAWN: [&str; 5] = ["larder-local", "quick_cache", "moka", "foyer-s3fifo", "lru"];

#[cfg(test)]
mod tests {
    use super::{charts, lines, standing, tables};
    use crate::hit_ratio::contestant::CONTESTANTS;
    use crate::hit_ratio::replay::{Cell, Outcome};

    fn cell(share: f64, ratio: impl Fn(&str) -> (f64, usize)) -> Cell {
        let outcome = |contestant: &super::super::contestant::Contestant| {
            let (hit_ratio, most_held) = ratio(contestant.name);
            Outcome { contestant: *contestant, hit_ratio, most_held }
        };
        Cell {
            trace: "made".into(),
            is_recorded: false,
            share,
            capacity: 100,
            optimum: 0.8,
            outcomes: CONTESTANTS.iter().map(outcome).collect(),
        }
    }

    #[test]
    fn the_best_is_who_kept_to_the_capacity() {
        let cells = [cell(0.1, |name| match name {
            "moka-lazy" => (0.7, 150),
            "lru" => (0.5, 100),
            _ => (0.4, 100),
        })];
        let standing = standing(&cells).to_string();
        let row = |name: &str| {
            let row = standing.lines().find(|row| row.starts_with(&format!("| {name} "))).unwrap();
            row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()[2..7].to_vec()
        };
        assert_eq!(row("lru"), ["50.00", "0.625", "0.00", "0.00", "0.0"]);
        assert_eq!(row("quick_cache"), ["40.00", "0.500", "10.00", "10.00", "0.0"]);
        assert_eq!(row("moka-lazy"), ["70.00", "0.875", "-20.00", "-20.00", "50.0"]);
    }

    #[test]
    fn every_outcome_is_a_line_and_every_trace_a_table_and_a_chart() {
        let cells = [cell(0.1, |_| (0.5, 100)), cell(0.2, |_| (0.5, 100))];
        assert_eq!(lines(&cells).count(), 2 * (1 + CONTESTANTS.len()));
        let line = lines(&cells).nth(2).unwrap();
        assert_eq!(line["contestant"], "quick_cache");
        assert_eq!((line["share"].as_f64(), line["hit_ratio"].as_f64()), (Some(0.1), Some(0.5)));
        assert_eq!(tables(&cells).len(), 3);
        let charts = charts(&cells);
        assert_eq!((charts.len(), charts[0].0.as_str()), (1, "hit-ratio-made"));
        assert!(charts[0].1.starts_with("<svg"));
    }
}
