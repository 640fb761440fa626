//! `set`: puts a value under a key.

use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use larder::{Options, Ttl};
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::parse;
use crate::store::{Store, raw};

/// Put a value under a key
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Set {
    key: String,
    /// The value; `-` or none reads it from stdin
    #[arg(allow_hyphen_values = true)]
    value: Option<String>,
    #[arg(long, value_name = "DURATION|never", help = TTL_HELP, value_parser = parse::ttl)]
    ttl: Option<Ttl>,
    #[arg(long, value_name = "DURATION", help = GRACE_HELP, value_parser = parse::duration)]
    grace: Option<Duration>,
    /// Tag to invalidate it by; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Set {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let mut options = Options::new().tags(self.tags.iter().map(String::as_str));
        if let Some(ttl) = self.ttl {
            options = options.ttl(ttl);
        }
        if let Some(grace) = self.grace {
            options = options.grace(grace);
        }
        let value = value(self.value.as_deref())?;
        store
            .entries(raw())?
            .with(store.defaults.clone())
            .with(options)
            .insert(self.key.clone(), value)
            .await?;
        if printer.is_json() {
            printer.json(&json!({ "key": self.key, "stored": true }))?;
        }
        Ok(Answer::Yes)
    }
}

fn value(argument: Option<&str>) -> Result<Bytes, Failure> {
    match argument {
        Some(value) if value != "-" => Ok(Bytes::copy_from_slice(value.as_bytes())),
        _ => {
            let mut content = Vec::new();
            std::io::stdin().lock().read_to_end(&mut content)?;
            Ok(content.into())
        }
    }
}

const TTL_HELP: &str =
    "How long it is fresh, by default as the configuration says, else without end";
const GRACE_HELP: &str =
    "How long after that it is kept as a fallback, by default as the configuration says, else not";

const EXAMPLES: &str = "\
Examples:
  larder set greeting hello --ttl 10m
  larder set page - --ttl 1h --grace 1d --tag shop < page.html";
