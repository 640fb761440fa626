//! `tag`: invalidates all entries with a tag.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::store::{Store, raw};

/// Invalidate entries by their tags
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tag {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Drop everything that has one of these tags, however many entries that are
    #[command(after_help = EXAMPLES)]
    Invalidate {
        #[arg(required = true, value_name = "TAG")]
        tags: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
}

impl Tag {
    pub(crate) fn common(&self) -> &Common {
        let Action::Invalidate { common, .. } = &self.action;
        common
    }

    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let Action::Invalidate { tags, .. } = &self.action;
        let entries = store.entries(raw())?;
        for tag in tags {
            entries.invalidate_tag(tag).await?;
        }
        if printer.is_json() {
            printer.json(&json!({ "invalidated": tags }))?;
        }
        Ok(Answer::Yes)
    }
}

const EXAMPLES: &str = "\
Examples:
  larder tag invalidate shop
  larder tag invalidate prices stock --namespace run";
