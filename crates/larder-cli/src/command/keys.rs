//! `keys`: lists the keys with a value.

use clap::Args;
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::parse;
use crate::store::Store;

/// List the keys under which a value is, fresh or stale
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Keys {
    /// Which: `*` any text, `?` one character, `[a-c]` one of them, `[^x]` another, `\` as it is
    #[arg(value_name = "GLOB", value_parser = parse::pattern)]
    pattern: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Keys {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let names = store.names()?;
        let mut keys = names.keys(self.pattern.as_deref().unwrap_or("*"))?;
        while let Some(key) = keys.next().await? {
            if printer.is_json() {
                printer.json(&json!({ "key": key }))?;
            } else {
                printer.key(&key)?;
            }
        }
        Ok(Answer::Yes)
    }
}

const EXAMPLES: &str = "\
In no order, one a line; with --json also keys with line breaks are told apart.

Examples:
  larder keys
  larder keys 'user:[0-9]*'
  larder keys --namespace run";
