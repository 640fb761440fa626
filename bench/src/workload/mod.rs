//! The workloads: each job gives one sample of one contestant, in a process of its own.
//!
//! The [family](crate::family) that asked for a job reads its answer.

mod bytes;
mod churn;
pub mod codec;
pub mod expiry;
mod hits;
mod load;
pub mod races;
pub mod snapshot;
pub mod speed;
pub mod stampede;
mod zipf;

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Count;
use crate::failure::{Failure, Result};
use crate::key::{Key, KeyKind};

/// The names by which a workload can be asked for.
pub const WORKLOADS: &[&str] = &[
    "hit1k",
    "hit100k",
    "zipf95",
    "churn",
    "bytes_per_entry",
    "expiry",
    "load_hit1k",
    "load_zipf",
    "load_miss",
    "stampede1k",
    "stampede10k",
    "stampede1k_threads",
    "codec_record",
    "codec_document",
    "codec_envelope",
    "races",
    "disk",
    "snapshot",
];

/// The properties of entries besides a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// Nothing.
    Plain,
    /// A ttl. Only bytes are told of it.
    Ttl,
    /// A ttl and a tag; stats are counted. In `churn` a ttl and a listener.
    Full,
}

impl Flavour {
    /// Returns the name, as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Ttl => "ttl",
            Self::Full => "full",
        }
    }
}

/// One sample of one contestant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The name of the workload.
    pub workload: String,
    /// The name of the contestant.
    pub contestant: String,
    /// The type of its keys.
    pub key: KeyKind,
    /// The properties of entries besides a value.
    pub flavour: Flavour,
    /// True if the job shall be short.
    pub is_quick: bool,
    /// True if the job counts allocations, which takes an allocator of its own.
    pub counts: bool,
}

impl Job {
    /// Returns a job with `u64` keys and nothing else.
    pub fn plain(workload: &str, contestant: &str, is_quick: bool) -> Self {
        Self {
            workload: workload.to_owned(),
            contestant: contestant.to_owned(),
            key: KeyKind::U64,
            flavour: Flavour::Plain,
            is_quick,
            counts: false,
        }
    }

    /// Returns the contestant's name, and the flavour if it is not plain.
    pub fn label(&self) -> String {
        match self.flavour {
            Flavour::Plain => self.contestant.clone(),
            Flavour::Ttl | Flavour::Full => format!("{}, {}", self.contestant, self.flavour.name()),
        }
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
/// An error if the workload does not exist, or not for this contestant.
pub fn run(job: &Job, count: Option<Count>) -> Result<Value> {
    let figures = match (job.workload.as_str(), job.key) {
        ("expiry", _) => return Ok(serde_json::to_value(expiry::run(job))?),
        ("races", _) => match races::run(job) {
            Some(cases) => return Ok(serde_json::to_value(cases)?),
            None => None,
        },
        ("snapshot_memory", _) => Some(snapshot::run(job)),
        ("stampede1k", _) => stampede::tasks(job, 1_000),
        ("stampede10k", _) => stampede::tasks(job, 10_000),
        ("stampede1k_threads", _) => stampede::threads(job, 1_000),
        ("codec_record" | "codec_document" | "codec_envelope", _) => codec::run(job, count),
        (_, KeyKind::U64) => keyed::<u64>(job, count),
        (_, KeyKind::String) => keyed::<String>(job, count),
    };
    figures.map(|figures| json!(figures)).ok_or_else(|| Failure::Unknown(job.to_string()))
}

fn keyed<K: Key>(job: &Job, count: Option<Count>) -> Option<Vec<f64>> {
    match job.workload.as_str() {
        "bytes_per_entry" => bytes::run::<K>(job, count?),
        "hit1k" => hits::run::<K>(job, 1_000),
        "hit100k" => hits::run::<K>(job, 100_000),
        "zipf95" => zipf::run::<K>(job),
        "churn" => churn::run::<K>(job),
        "load_hit1k" => load::hits::<K>(job, 1_000),
        "load_zipf" => load::zipf::<K>(job),
        "load_miss" => load::misses::<K>(job),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Flavour, Job};
    use crate::key::KeyKind;

    #[test]
    fn a_job_reaches_the_other_process_as_it_was() {
        let job = Job {
            key: KeyKind::String,
            flavour: Flavour::Full,
            ..Job::plain("churn", "moka-future", true)
        };
        let text = serde_json::to_string(&job).expect("it can be written");
        assert_eq!(serde_json::from_str::<Job>(&text).expect("it can be read"), job);
        assert_eq!(job.to_string(), "churn of moka-future, string keys, full");
    }
}
