//! `incr`: counts.

use clap::Args;
use larder::Ttl;
use larder::backend::{NEVER, Times};
use larder::ops::Counter;
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::parse;
use crate::store::Store;

/// Add to a counter and print the sum
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Incr {
    key: String,
    /// How much; less than nothing takes away
    #[arg(default_value_t = 1, allow_negative_numbers = true)]
    by: i64,
    /// How long a counter that begins now lives
    #[arg(long, value_name = "DURATION|never", default_value = "never", value_parser = parse::ttl)]
    ttl: Ttl,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Incr {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let life = match self.ttl {
            Ttl::For(life) => life,
            _ => NEVER,
        };
        let counter = Counter::new(store.swap(), store.key(&self.key), Times::new(life, life));
        let sum = counter.add(self.by).await?;
        printer.result(&json!({ "key": self.key, "value": sum }), &sum.to_string())?;
        Ok(Answer::Yes)
    }
}

const EXAMPLES: &str = "\
A counter that is not there begins at 0. Adding does not renew its life.

Examples:
  larder incr visits
  larder incr stock -3
  larder incr attempts --ttl 15m";
