//! `doctor`: prints whether a store is well, and what a repair would do.

use clap::Args;
use larder_disk::{DiskConfig, DiskUsage, Examine, Finding, Report, examine};
use serde_json::{Value, json};

use crate::backend::config;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::{Printer, size};
use crate::store::refused;

/// Look whether the store is well, and say what would be done about it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Doctor {
    /// Do it
    #[arg(long)]
    repair: bool,
    /// Print JSON, one object
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(crate) fn execute(&self, url: Option<&str>) -> Result<Answer, Failure> {
        let config = config(url)?;
        let how = if self.repair { Examine::Repair } else { Examine::Look };
        let report = examine(&config, how).map_err(|error| refused(config.folder(), &error))?;
        let mut printer = Printer::new(self.json);
        if printer.is_json() {
            printer.json(&in_json(&config, &report))?;
        } else {
            printer.table(&in_words(&config, &report))?;
        }
        printer.finish()?;
        Ok(report.is_well().into())
    }
}

fn in_words(config: &DiskConfig, report: &Report) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("folder", config.folder().display().to_string()),
        ("database", database(report.usage.as_ref(), report.is_well())),
    ];
    rows.extend(report.set_aside.iter().map(|path| ("set aside", path.display().to_string())));
    rows.extend(report.findings.iter().map(|finding| ("found", found(finding))));
    if report.findings.is_empty() {
        rows.push(("found", "nothing wrong".to_owned()));
    }
    rows
}

fn database(usage: Option<&DiskUsage>, is_well: bool) -> String {
    match usage {
        Some(usage) => format!("{} records in {}", usage.records, size(usage.used_bytes)),
        None if is_well => "not there yet".to_owned(),
        None => "cannot be read".to_owned(),
    }
}

fn found(finding: &Finding) -> String {
    let (problem, remedy) = (&finding.problem, finding.problem.remedy());
    let done = if finding.is_mended { "done" } else { "--repair would" };
    format!("{problem}; {done}: {remedy}")
}

fn in_json(config: &DiskConfig, report: &Report) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "problem": finding.problem.to_string(),
            "remedy": finding.problem.remedy(),
            "mended": finding.is_mended,
        })
    };
    let set_aside = report.set_aside.iter().map(|path| path.display().to_string());
    json!({
        "folder": config.folder().display().to_string(),
        "ok": report.is_well(),
        "schema": report.schema,
        "records": report.usage.map(|usage| usage.records),
        "used_bytes": report.usage.map(|usage| usage.used_bytes),
        "file_bytes": report.usage.map(|usage| usage.file_bytes),
        "log_bytes": report.usage.map(|usage| usage.log_bytes),
        "max_bytes": report.usage.and_then(|usage| usage.max_bytes),
        "set_aside": set_aside.collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

const EXAMPLES: &str = "\
Other processes may use the store meanwhile. It reads all of the store, and checks each record.
Exit status: 0 if all is well or has been mended; 1 if not.

Examples:
  larder doctor
  larder doctor --repair
  larder doctor --json --url file:/var/tmp/shop";
