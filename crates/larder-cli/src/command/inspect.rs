//! `inspect`: prints all that is known of an entry.

use clap::Args;
use larder::Life;
use larder::backend::{Header, Kind, Record};
use serde_json::json;

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::output::{Printer, seconds, size, span};
use crate::store::{Store, message_pack, raw};

/// Print state, age, life, tags, version, codec and size of an entry
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Inspect {
    key: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Inspect {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let Some(record) = store.record(&self.key).await? else { return Ok(Answer::No) };
        let state = self.state(store, &record.header).await?;
        if printer.is_json() {
            self.print_json(&record, state, printer)?;
        } else {
            self.print_table(&record, state, printer)?;
        }
        Ok(Answer::Yes)
    }

    /// Returns the state in which a read would find the entry, tags and epoch included.
    async fn state(&self, store: &Store, header: &Header) -> Result<&'static str, Failure> {
        let life = match header.kind {
            Kind::Lease => return Ok("loading"),
            Kind::Counter => Some(header.times.life()),
            _ => {
                let info = store.entries(header.codec)?.entry_info(&self.key).await?;
                info.map(|info| info.life)
            }
        };
        Ok(match life {
            Some(Life::Fresh) => "fresh",
            Some(Life::Stale) => "stale",
            Some(Life::Dead) => "dead",
            None => "invalidated",
        })
    }

    fn print_json(
        &self,
        Record { header, payload }: &Record,
        state: &str,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        printer.json(&json!({
            "key": self.key,
            "kind": kind(header),
            "state": state,
            "age_seconds": seconds(header.times.age),
            "fresh_seconds_left": seconds(header.times.fresh_left()),
            "kept_seconds_left": seconds(header.times.kept_left()),
            "load_seconds": seconds(header.cost),
            "tags": tags(header),
            "version": version(header),
            "codec": codec(header),
            "size_bytes": payload.len(),
        }))
    }

    fn print_table(
        &self,
        Record { header, payload }: &Record,
        state: &str,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        printer.table(&[
            ("key", self.key.clone()),
            ("kind", kind(header).to_owned()),
            ("state", state.to_owned()),
            ("age", span(header.times.age)),
            ("fresh for", span(header.times.fresh_left())),
            ("kept for", span(header.times.kept_left())),
            ("load took", span(header.cost)),
            ("tags", tags(header).join(", ")),
            ("version", version(header)),
            ("codec", codec(header)),
            ("size", size(payload.len() as u64)),
        ])
    }
}

fn kind(header: &Header) -> &'static str {
    match header.kind {
        Kind::Value => "value",
        Kind::Absent => "absent",
        Kind::Lease => "lease",
        Kind::Counter => "counter",
        _ => "unknown",
    }
}

fn tags(header: &Header) -> Vec<String> {
    header.tags.iter().map(|tag| String::from_utf8_lossy(&tag.name).into_owned()).collect()
}

fn version(header: &Header) -> String {
    format!("{:032x}", u128::from_be_bytes(header.version.to_bytes()))
}

fn codec(header: &Header) -> String {
    match header.codec {
        0 => "none".to_owned(),
        id if id == message_pack() => "messagepack".to_owned(),
        id if id == raw() => "raw".to_owned(),
        id => id.to_string(),
    }
}

const EXAMPLES: &str = "\
State is fresh, stale (past its ttl, inside grace), invalidated (a tag of its or everything was), or
loading (somebody makes it now). Exit status: 1 if nothing is there.

Examples:
  larder inspect user:7
  larder inspect user:7 --json | jq .age_seconds
  larder inspect prices --namespace run";
