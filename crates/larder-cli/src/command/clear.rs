//! `clear`: takes everything away, or all that a pattern means.

use clap::Args;
use larder::Pattern;
use larder::backend::{Backend as _, Delete, Expect, Kind, Outcome};
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::parse;
use crate::scan::{Found, Scan};
use crate::store::{Store, raw};

/// Delete everything in a namespace, or the keys that a glob means
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Clear {
    /// Which, as for `keys`; without it everything
    #[arg(value_name = "GLOB", value_parser = parse::pattern)]
    pattern: Option<Pattern>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Clear {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        if self.pattern.is_none() {
            // At once and for all; what follows frees the room.
            store.entries(raw())?.invalidate_all().await?;
        }
        let mut cleared = 0_u64;
        let scan = Scan::new(store, self.pattern.as_ref());
        scan.all(async |page| {
            let is_value =
                |found: &&Found| matches!(found.header.kind, Kind::Value | Kind::Counter);
            cleared += page.iter().filter(is_value).count() as u64;
            delete(store, page).await
        })
        .await?;
        printer.result(&json!({ "cleared": cleared }), &cleared.to_string())?;
        Ok(Answer::Yes)
    }
}

/// Deletes leases as well: a load that is under way keeps nothing.
async fn delete(store: &Store, page: Vec<Found>) -> Result<(), Failure> {
    let delete = |found: Found| Delete { key: found.key, expect: Expect::Any };
    let deletes: Vec<_> = page.into_iter().map(delete).collect();
    for outcome in store.backend.delete(&deletes).await {
        if let Outcome::Failed(error) | Outcome::Unknown(error) = outcome {
            return Err(error.into());
        }
    }
    Ok(())
}

const EXAMPLES: &str = "\
Prints how many there were. Other namespaces are not touched.

Examples:
  larder clear
  larder clear 'user:*'
  larder clear --namespace run     # forget all answers of `larder run`";
