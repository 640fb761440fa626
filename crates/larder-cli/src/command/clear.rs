//! `clear`: deletes all keys, or those that a pattern matches.

use clap::Args;
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::parse;
use crate::store::Store;

/// Delete everything in a namespace, or the keys that a glob means
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Clear {
    /// Which, as for `keys`; without it everything
    #[arg(value_name = "GLOB", value_parser = parse::pattern)]
    pattern: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Clear {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let cleared = store.names()?.clear(self.pattern.as_deref().unwrap_or("*")).await?;
        printer.result(&json!({ "cleared": cleared }), &cleared.to_string())?;
        Ok(Answer::Yes)
    }
}

const EXAMPLES: &str = "\
Prints how many there were. Other namespaces are not touched.

Examples:
  larder clear
  larder clear 'user:*'
  larder clear --namespace run     # forget all answers of `larder run`";
