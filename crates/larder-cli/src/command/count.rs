//! `count`: prints the number of keys with a value.

use clap::Args;
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::parse;
use crate::store::Store;

/// Count the keys under which a value is, fresh or stale
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Count {
    /// Which, as for `keys`
    #[arg(value_name = "GLOB", value_parser = parse::pattern)]
    pattern: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Count {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let count = store.names()?.count(self.pattern.as_deref().unwrap_or("*")).await?;
        printer.result(&json!({ "count": count }), &count.to_string())?;
        Ok(Answer::Yes)
    }
}

const EXAMPLES: &str = "\
Examples:
  larder count
  larder count 'user:*' --json";
