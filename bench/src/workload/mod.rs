//! What is measured: each job gives one sample of one contestant, in a process of its own.
//!
//! What a job answers is read by the [family](crate::family) that asked for it.

mod churn;
mod hits;
mod load;
pub mod speed;
mod zipf;

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Count;
use crate::failure::{Failure, Result};
use crate::key::{Key, KeyKind};

/// The names that a workload can be asked for by.
pub const WORKLOADS: &[&str] =
    &["hit1k", "hit100k", "zipf95", "churn", "load_hit1k", "load_zipf", "load_miss"];

/// What entries have besides a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// Nothing.
    Plain,
    /// A ttl and a tag; stats are counted. In `churn` a ttl and a listener.
    Full,
}

impl Flavour {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Full => "full",
        }
    }
}

/// One sample of one contestant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What is done.
    pub workload: String,
    /// Who does it.
    pub contestant: String,
    /// The type of its keys.
    pub key: KeyKind,
    /// What entries have besides a value.
    pub flavour: Flavour,
    /// Whether it shall be short.
    pub is_quick: bool,
}

impl Job {
    /// Whether it counts what is allocated.
    pub fn counts(&self) -> bool {
        false
    }

    fn unknown(&self) -> Failure {
        Failure::Unknown(self.to_string())
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, contestant, key, flavour, .. } = self;
        write!(f, "{workload} of {contestant}, {} keys, {}", key.name(), flavour.name())
    }
}

/// Does a job.
///
/// # Errors
/// If there is no such workload, or not for this contestant.
pub fn run(job: &Job, _count: Option<Count>) -> Result<Value> {
    match job.key {
        KeyKind::U64 => keyed::<u64>(job),
        KeyKind::String => keyed::<String>(job),
    }
}

fn keyed<K: Key>(job: &Job) -> Result<Value> {
    let figures = match job.workload.as_str() {
        "hit1k" => hits::run::<K>(job, 1_000),
        "hit100k" => hits::run::<K>(job, 100_000),
        "zipf95" => zipf::run::<K>(job),
        "churn" => churn::run::<K>(job),
        "load_hit1k" => load::hits::<K>(job, 1_000),
        "load_zipf" => load::zipf::<K>(job),
        "load_miss" => load::misses::<K>(job),
        _ => None,
    };
    figures.map(|figures| json!(figures)).ok_or_else(|| job.unknown())
}

#[cfg(test)]
mod tests {
    use super::{Flavour, Job};
    use crate::key::KeyKind;

    #[test]
    fn a_job_reaches_the_other_process_as_it_was() {
        let job = Job {
            workload: "churn".to_owned(),
            contestant: "moka-future".to_owned(),
            key: KeyKind::String,
            flavour: Flavour::Full,
            is_quick: true,
        };
        let text = serde_json::to_string(&job).expect("it can be written");
        assert_eq!(serde_json::from_str::<Job>(&text).expect("it can be read"), job);
        assert_eq!(job.to_string(), "churn of moka-future, string keys, full");
    }
}
