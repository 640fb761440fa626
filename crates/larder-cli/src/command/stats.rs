//! `stats`: prints how much a store holds.

use clap::Args;
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
        let usage = store.backend.usage()?;
        if printer.is_json() {
            printer.json(&json!({
                "namespace": store.name,
                "values": values,
                "records": usage.records,
                "used_bytes": usage.used_bytes,
                "file_bytes": usage.file_bytes,
                "log_bytes": usage.log_bytes,
                "max_bytes": usage.max_bytes,
            }))?;
            return Ok(Answer::Yes);
        }
        printer.table(&[
            ("namespace", store.name.clone()),
            ("values", values.to_string()),
            ("records", format!("{} in all namespaces", usage.records)),
            ("used", size(usage.used_bytes)),
            ("file", size(usage.file_bytes)),
            ("log", size(usage.log_bytes)),
            ("bound", usage.max_bytes.map_or_else(|| "none".to_owned(), size)),
        ])?;
        Ok(Answer::Yes)
    }
}

const EXAMPLES: &str = "\
Records are values, counters, tags and leases, also those that are dead and not purged yet.

Examples:
  larder stats
  larder stats --namespace run --json";
