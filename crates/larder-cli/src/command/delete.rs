//! `delete`: deletes keys.

use clap::Args;
use larder::backend::Kind;
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::store::{Store, raw};

/// Delete keys; loads under way do not bring them back
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Delete {
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Delete {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let entries = store.entries(raw())?;
        let mut deleted = 0;
        for key in &self.keys {
            let there = store.record(key).await?;
            let is_value = |kind| matches!(kind, Kind::Value | Kind::Counter);
            deleted += u64::from(there.is_some_and(|record| is_value(record.header.kind)));
            // A key without a record is invalidated, too: a load may be under way.
            entries.invalidate(key).await?;
        }
        printer.result(&json!({ "deleted": deleted }), &deleted.to_string())?;
        Ok(Answer::from(deleted > 0))
    }
}

const EXAMPLES: &str = "\
Prints how many were there. Exit status: 1 if none was.

Examples:
  larder delete greeting
  larder keys 'user:*' | xargs -d '\\n' larder delete";
