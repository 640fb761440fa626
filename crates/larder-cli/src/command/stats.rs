//! `stats`: prints how much a store holds.

use std::collections::BTreeMap;

use clap::Args;
use larder_disk::DiskBackend;
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::{Printer, size};
use crate::store::Store;

/// Print how much the store and the namespace hold
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Stats {
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Stats {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let values = store.names()?.count("*").await?;
        let usage = store.disk.as_ref().map(DiskBackend::usage).transpose()?;
        if printer.is_json() {
            let mut fields =
                BTreeMap::from([("namespace", json!(store.name)), ("values", json!(values))]);
            if let Some(usage) = usage {
                fields.extend([
                    ("records", json!(usage.records)),
                    ("used_bytes", json!(usage.used_bytes)),
                    ("file_bytes", json!(usage.file_bytes)),
                    ("log_bytes", json!(usage.log_bytes)),
                    ("max_bytes", json!(usage.max_bytes)),
                ]);
            }
            printer.json(&fields)?;
            return Ok(Answer::Yes);
        }
        let mut rows = vec![("namespace", store.name.clone()), ("values", values.to_string())];
        if let Some(usage) = usage {
            rows.extend([
                ("records", format!("{} in all namespaces", usage.records)),
                ("used", size(usage.used_bytes)),
                ("file", size(usage.file_bytes)),
                ("log", size(usage.log_bytes)),
                ("bound", usage.max_bytes.map_or_else(|| "none".to_owned(), size)),
            ]);
        }
        printer.table(&rows)?;
        Ok(Answer::Yes)
    }
}

const EXAMPLES: &str = "\
Records are values, counters, tags and leases, also those that are dead and not purged yet.

Examples:
  larder stats
  larder stats --namespace run --json";
