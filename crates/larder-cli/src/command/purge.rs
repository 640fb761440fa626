//! `purge`: frees the room of dead entries.

use clap::Args;
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::store::Store;

/// Free the room of expired entries in all namespaces, and of invalidated ones in one
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Purge {
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Purge {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let purged = store.names()?.purge().await?;
        printer.result(&json!({ "purged": purged }), &purged.to_string())?;
        Ok(Answer::Yes)
    }
}

const EXAMPLES: &str = "\
Expired entries are freed in all namespaces. Entries that a tag's invalidation or a program's
`invalidate_all` has ended are freed in the namespace that is meant. Prints how many records were
freed. It need not be called: dead entries are never served, and every run that keeps an answer
frees some that have expired.

Examples:
  larder purge
  larder purge --namespace run";
