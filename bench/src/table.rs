//! Tables in markdown.

use std::fmt;

use crate::rounds::Series;

/// Rows under a heading. The first column is text, the others are numbers.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
            })
            .collect();
        for (line, row) in self.rows.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 {
                    write!(f, "| {cell:<width$} ")?;
                } else {
                    write!(f, "| {cell:>width$} ")?;
                }
            }
            writeln!(f, "|")?;
            if line == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let dashes = "-".repeat(*width);
                    write!(f, "|{}{}", &format!(" {dashes}"), if column == 0 { " " } else { ":" })?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

/// The series beside the first of them: medians, spread, and ratios round by round. The ratio of
/// the fastest samples is what is left when other programs disturb as little as they can.
#[must_use]
pub fn ratios(unit: &str, series: &[Series]) -> Table {
    let mut table =
        Table::new(&["engine", unit, "spread", "ratio", "spread of ratio", "ratio of fastest"]);
    let Some(baseline) = series.first() else { return table };
    let (fastest, _) = baseline.spread();
    for one in series {
        let (smallest, largest) = one.spread();
        let (ratio, lowest, highest) = one.ratio(baseline);
        table.row([
            one.name.clone(),
            format!("{:.1}", one.median()),
            format!("{smallest:.1}–{largest:.1}"),
            format!("{ratio:.2}"),
            format!("{lowest:.2}–{highest:.2}"),
            format!("{:.2}", smallest / fastest),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_table_is_aligned_markdown() {
        let mut table = Table::new(&["engine", "ns"]);
        table.row(["a".to_owned(), "12.5".to_owned()]);
        let expected = "| engine |   ns |\n| ------ | ----:|\n| a      | 12.5 |\n";
        assert_eq!(table.to_string(), expected);
    }
}
