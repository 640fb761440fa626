//! `cargo xtask test contract`: every row of the contract, with its backends and its result.

use std::collections::{BTreeMap, BTreeSet};

use crate::step::{Failure, Result, output_of, say};

/// The number of rows in each section.
const ROWS: [u32; 5] = [16, 17, 19, 12, 9];
const ARGUMENTS: [&str; 9] = [
    "test",
    "--package",
    "larder",
    "--test",
    "contract",
    "--",
    "--nocapture",
    "--test-threads",
    "2",
];

/// The results of a row.
#[derive(Default)]
struct Row {
    tests: u32,
    failed: Vec<String>,
    places: BTreeSet<String>,
}

type Number = (u32, u32);

pub(crate) fn run() -> Result {
    let (text, is_success) = output_of("cargo", &ARGUMENTS, &[("LARDER_CONTRACT", "1")])?;
    let rows = read(&text);
    print(&rows);
    let missing: Vec<String> = numbers()
        .filter(|number| !rows.contains_key(number))
        .map(|(section, row)| format!("{section}.{row}"))
        .collect();
    let failed: Vec<&String> = rows.values().flat_map(|row| &row.failed).collect();
    if !missing.is_empty() {
        return Err(Failure::new(1, format!("no test for {}", missing.join(", "))));
    }
    if !failed.is_empty() || !is_success {
        say(&text);
        return Err(Failure::new(1, format!("failed: {failed:?}")));
    }
    say(&format!("{} rows, all proved", rows.len()));
    Ok(())
}

fn numbers() -> impl Iterator<Item = Number> {
    (0..).zip(ROWS).flat_map(|(section, rows)| (1..=rows).map(move |row| (section, row)))
}

fn read(output: &str) -> BTreeMap<Number, Row> {
    let mut rows: BTreeMap<Number, Row> = BTreeMap::new();
    for line in output.lines() {
        if let Some((test, place)) =
            line.split("contract: ").nth(1).and_then(|l| l.split_once(" on "))
            && let Some(number) = number(test)
        {
            rows.entry(number).or_default().places.insert(place.to_owned());
        }
        let Some((test, end)) = line.strip_prefix("test ").and_then(|l| l.split_once(" ... "))
        else {
            continue;
        };
        let Some(number) = number(test) else { continue };
        let row = rows.entry(number).or_default();
        row.tests += 1;
        if !end.ends_with("ok") {
            row.failed.push(test.to_owned());
        }
    }
    rows
}

/// Returns the number in a test's name: `c2::c2_13_…` is row 2.13.
fn number(test: &str) -> Option<Number> {
    let name = test.rsplit("::").next()?.strip_prefix('c')?;
    let mut parts = name.split('_');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn print(rows: &BTreeMap<Number, Row>) {
    say(&format!("{:<6}{:>5}  {:<8}{}", "row", "tests", "result", "ran on"));
    for ((section, row), found) in rows {
        let result = if found.failed.is_empty() { "passed" } else { "FAILED" };
        let places: Vec<&str> = found.places.iter().map(String::as_str).collect();
        let places = match (places.is_empty(), section) {
            (false, _) => places.join(", "),
            (true, 1) => "memory with a snapshot".to_owned(),
            // The row is not about stored data.
            (true, _) => "no backend".to_owned(),
        };
        let number = format!("{section}.{row}");
        say(&format!("{number:<6}{:>5}  {result:<8}{places}", found.tests));
    }
}
