//! `doctor`: whether a store is well, and what would be done about it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use larder_disk::{DiskBackend, DiskConfig, OnCorrupt};
use serde_json::json;

use crate::command::Answer;
use crate::exit::{Failure, with_causes};
use crate::output::{Printer, size};
use crate::store::config;

/// Look whether the store is well, and say what would be done about it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Doctor {
    /// Do it
    #[arg(long)]
    repair: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
struct Finding {
    about: &'static str,
    found: String,
    /// What is or would be done; none if all is well.
    remedy: Option<&'static str>,
    /// Whether all is well now.
    is_well: bool,
}

impl Finding {
    fn well(about: &'static str, found: impl Into<String>) -> Self {
        Self { about, found: found.into(), remedy: None, is_well: true }
    }

    fn ill(about: &'static str, found: impl Into<String>, remedy: &'static str) -> Self {
        Self { about, found: found.into(), remedy: Some(remedy), is_well: false }
    }

    fn mended(mut self, done: io::Result<()>) -> Self {
        match done {
            Ok(()) => self.is_well = true,
            Err(error) => self.found = format!("{}; it cannot be mended: {error}", self.found),
        }
        self
    }
}

impl Doctor {
    pub(crate) fn execute(&self, url: Option<&str>) -> Result<Answer, Failure> {
        let config = config(url)?;
        let findings = self.examine(&config);
        let is_well = findings.iter().all(|finding| finding.is_well);
        let mut printer = Printer::new(self.json);
        Self::print(&findings, &mut printer)?;
        printer.finish()?;
        Ok(is_well.into())
    }

    fn examine(&self, config: &DiskConfig) -> Vec<Finding> {
        let folder = config.folder();
        let shown = folder.display().to_string();
        if !folder.exists() {
            return vec![Finding::well("folder", format!("{shown} is not there yet"))];
        }
        let mut findings = vec![Finding::well("folder", shown)];
        findings.extend(self.modes(folder));
        findings.push(database(config, self.repair));
        findings
    }

    /// Only the owner may read what is cached, or write into it.
    fn modes(&self, folder: &Path) -> Vec<Finding> {
        let files = FILES.iter().map(|name| (folder.join(name), 0o600));
        let all = std::iter::once((folder.to_owned(), 0o700)).chain(files);
        let open: Vec<_> = all.filter(|(path, mode)| is_wider(path, *mode)).collect();
        if open.is_empty() {
            return vec![Finding::well("modes", "only you can read it")];
        }
        open.into_iter().map(|open| self.mode(&open)).collect()
    }

    fn mode(&self, (path, mode): &(PathBuf, u32)) -> Finding {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let found = format!("others than you have rights on {name}");
        let finding = Finding::ill("modes", found, "take them away");
        if !self.repair {
            return finding;
        }
        finding.mended(fs::set_permissions(path, Permissions::from_mode(*mode)))
    }

    fn print(findings: &[Finding], printer: &mut Printer) -> Result<(), Failure> {
        if printer.is_json() {
            return findings.iter().try_for_each(|Finding { about, found, remedy, is_well }| {
                printer.json(&json!({
                    "about": about, "found": found, "remedy": remedy, "ok": is_well,
                }))
            });
        }
        let row = |finding: &Finding| {
            let text = match (finding.remedy, finding.is_well) {
                (None, _) => finding.found.clone(),
                (Some(remedy), true) => format!("{}; done: {remedy}", finding.found),
                (Some(remedy), false) => format!("{}; --repair would: {remedy}", finding.found),
            };
            (finding.about, text)
        };
        printer.table(&findings.iter().map(row).collect::<Vec<_>>())
    }
}

/// Whether it opens, and how much it holds. Without repair a damaged one is left as it is.
fn database(config: &DiskConfig, repair: bool) -> Finding {
    let on_corrupt = if repair { OnCorrupt::SetAside } else { OnCorrupt::Fail };
    let config = config.clone().on_corrupt(on_corrupt).purge_every(None);
    match DiskBackend::open(config).and_then(|backend| backend.usage()) {
        Ok(usage) => {
            let used = size(usage.used_bytes);
            Finding::well("database", format!("it opens; {} records in {used}", usage.records))
        }
        Err(error) => {
            let remedy = "set a damaged database aside and save what can be read of it";
            Finding::ill("database", with_causes(&error), remedy)
        }
    }
}

fn is_wider(path: &Path, mode: u32) -> bool {
    let found = fs::symlink_metadata(path).map(|found| found.permissions().mode() & 0o777);
    found.is_ok_and(|found| found & !mode != 0)
}

const FILES: [&str; 4] = ["larder.db", "larder.db-wal", "larder.db-shm", "larder.lock"];

const EXAMPLES: &str = "\
Exit status: 0 if all is well or has been mended; 1 if not.

Examples:
  larder doctor
  larder doctor --repair
  larder doctor --json --url file:/var/tmp/shop";
