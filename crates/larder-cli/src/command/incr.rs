//! `incr`: adds to a counter.

use clap::Args;
use larder::Ttl;
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::parse;
use crate::store::{Store, raw};

/// Add to a counter and print the sum
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Incr {
    key: String,
    /// How much; less than nothing takes away
    #[arg(default_value_t = 1, allow_negative_numbers = true)]
    by: i64,
    #[arg(long, value_name = "DURATION|never", help = TTL_HELP, value_parser = parse::ttl)]
    ttl: Option<Ttl>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Incr {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let mut options = store.defaults.clone();
        if let Some(ttl) = self.ttl {
            options = options.ttl(ttl);
        }
        let sum = store.entries(raw())?.with(options).incr(&self.key, self.by).await?;
        printer.result(&json!({ "key": self.key, "value": sum }), &sum.to_string())?;
        Ok(Answer::Yes)
    }
}

const TTL_HELP: &str = "\
How long a counter that begins now lives, by default as the configuration says, else without end";

const EXAMPLES: &str = "\
A counter that is not there begins at 0. Adding does not renew its life.

Examples:
  larder incr visits
  larder incr stock -3
  larder incr attempts --ttl 15m";
