//! `purge`: frees the room of what is dead.

use clap::Args;
use larder::backend::Backend as _;
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::store::Store;

/// Free the room of entries that are dead, in all namespaces
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
        let mut purged = 0;
        loop {
            let page = store.backend.purge(PAGE).await?;
            purged += page;
            if page < PAGE {
                break;
            }
        }
        printer.result(&json!({ "purged": purged }), &purged.to_string())?;
        Ok(Answer::Yes)
    }
}

const PAGE: usize = 1_000;

const EXAMPLES: &str = "\
Prints how many there were. It need not be called: dead entries are never served, and every run that
keeps an answer frees some.

Examples:
  larder purge";
