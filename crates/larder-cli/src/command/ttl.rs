//! `ttl`: prints how long an entry is fresh, or gives it a new life.

use std::time::Duration;

use clap::Args;
use larder::backend::{Kind, NEVER, Times};
use larder::{Life, Ttl};
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::{Printer, seconds, span};
use crate::parse;
use crate::store::Store;

/// Print how long an entry is still fresh, or give it a new life
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SetTtl {
    key: String,
    /// The new life, from now on
    #[arg(value_name = "DURATION|never", value_parser = parse::ttl)]
    new: Option<Ttl>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl SetTtl {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        match self.new {
            Some(ttl) => {
                let is_changed = self.change(store, ttl).await?;
                if printer.is_json() {
                    printer.json(&json!({ "key": self.key, "changed": is_changed }))?;
                }
                Ok(is_changed.into())
            }
            None => self.show(store, printer).await,
        }
    }

    async fn show(&self, store: &Store, printer: &mut Printer) -> Result<Answer, Failure> {
        let Some(left) = self.left(store).await? else { return Ok(Answer::No) };
        printer.result(&json!({ "key": self.key, "ttl_seconds": seconds(left) }), &span(left))?;
        Ok(Answer::Yes)
    }

    /// Returns the time for which the entry is still fresh; none if it is not.
    async fn left(&self, store: &Store) -> Result<Option<Duration>, Failure> {
        let Some(record) = store.record(&self.key).await? else { return Ok(None) };
        match record.header.kind {
            Kind::Counter => Ok(store.names()?.ttl(&self.key).await?.map(|ttl| match ttl {
                Ttl::For(left) => left,
                _ => NEVER,
            })),
            Kind::Value => {
                let info = store.entries(record.header.codec)?.entry_info(&self.key).await?;
                Ok(info.filter(|info| info.life == Life::Fresh).map(|info| info.ttl_left))
            }
            _ => Ok(None),
        }
    }

    /// Gives the entry this life. False if there was no fresh entry.
    async fn change(&self, store: &Store, ttl: Ttl) -> Result<bool, Failure> {
        let Some(record) = store.record(&self.key).await? else { return Ok(false) };
        let is_changed = match record.header.kind {
            Kind::Counter => {
                let numbers = store.names()?;
                if numbers.ttl(&self.key).await?.is_none() {
                    return Ok(false);
                }
                let life = match ttl {
                    Ttl::For(life) => life,
                    _ => NEVER,
                };
                let times = Times::new(life, life);
                let is_changed = store.swap().set_life(&store.key(&self.key), times).await?;
                if is_changed {
                    // The swap knows no tags. A read of the counter makes its tags live as long as
                    // the counter.
                    numbers.counter(&self.key).await?;
                }
                is_changed
            }
            _ => store.entries(record.header.codec)?.set_ttl(&self.key, ttl).await?,
        };
        Ok(is_changed)
    }
}

const EXAMPLES: &str = "\
Exit status: 1 if no fresh entry is there.

Examples:
  larder ttl greeting
  larder ttl greeting 1h
  larder ttl greeting never";
