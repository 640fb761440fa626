//! `get`: prints the value under a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use larder::MessagePack;
use larder::backend::{Codec as _, Kind, Record};
use serde_json::{Value, json};

use crate::cli::Common;
use crate::command::Answer;
use crate::exit::Failure;
use crate::json::Json;
use crate::output::Printer;
use crate::store::{Store, message_pack};

/// Print the value under a key
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Get {
    key: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Get {
    pub(crate) async fn execute(
        &self,
        store: &Store,
        printer: &mut Printer,
    ) -> Result<Answer, Failure> {
        let Some(shown) = self.find(store).await? else { return Ok(Answer::No) };
        if printer.is_json() {
            printer.json(&json!({ "key": self.key, "value": shown.into_json() }))?;
        } else {
            printer.bytes(&shown.into_bytes())?;
        }
        Ok(Answer::Yes)
    }

    async fn find(&self, store: &Store) -> Result<Option<Shown>, Failure> {
        let Some(record) = store.record(&self.key).await? else { return Ok(None) };
        if record.header.kind == Kind::Counter {
            return Ok(store.names()?.counter(&self.key).await?.map(Shown::Number));
        }
        let Record { header, .. } = record;
        if header.kind != Kind::Value {
            return Ok(None);
        }
        let Some(bytes) = store.entries(header.codec)?.get(&self.key).await? else {
            return Ok(None);
        };
        if header.codec != message_pack() {
            return Ok(Some(Shown::Bytes(bytes)));
        }
        let Json(value) = MessagePack.decode(&bytes)?;
        Ok(Some(Shown::Structure(value)))
    }
}

/// A value in a form that can be printed.
enum Shown {
    Bytes(Bytes),
    Number(i64),
    Structure(Value),
}

impl Shown {
    fn into_bytes(self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(number) => number.to_string().into(),
            Self::Structure(value) => value.to_string().into(),
        }
    }

    /// Returns text as text, and other bytes as an object that says so.
    fn into_json(self) -> Value {
        match self {
            Self::Bytes(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => text.into(),
                Err(_) => json!({ "base64": STANDARD.encode(&bytes) }),
            },
            Self::Number(number) => number.into(),
            Self::Structure(value) => value,
        }
    }
}

const EXAMPLES: &str = "\
The value is printed as it is; what a program has stored in MessagePack is printed as JSON.
Exit status: 1 if no fresh value is there.

Examples:
  larder get greeting
  larder --url file:/var/tmp/shop get user:7 --namespace users --json";
