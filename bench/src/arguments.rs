//! The command line.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, ValueEnum, error::ErrorKind};

use crate::contestant::KNOWN;
use crate::workload::WORKLOADS;

/// Measures Larder beside the caches that people use now.
#[derive(Clone, Debug, Parser)]
#[command(name = "larder-bench")]
pub struct Arguments {
    /// What is measured; everything if nothing is named
    #[arg(value_enum, value_name = "FAMILY")]
    pub families: Vec<Family>,
    /// Shorter samples and fewer rounds: to see whether it works, not how fast
    #[arg(long)]
    pub quick: bool,
    /// Writes one object a line into this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draws charts into this folder
    #[arg(long, value_name = "DIR")]
    pub plot: Option<PathBuf>,
    /// Contestants and workloads by name, with commas between; the others take no part
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub only: Vec<String>,
    /// How often everything is measured
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: Option<u32>,
    /// Recorded traces for `hit-ratio`: files, or folders of files
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub traces: Vec<PathBuf>,
    /// A Python that has the package diskcache, which then takes part in `disk`
    #[arg(long, value_name = "PYTHON")]
    pub diskcache: Option<String>,
    /// Measures one sample and prints it: how the program starts itself
    #[arg(long, hide = true)]
    pub job: Option<String>,
}

/// A family of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Family {
    /// Lookups and inserts, bytes of an entry, and many entries that expire at once
    Memory,
    /// Loads, and many callers of one
    Load,
    /// Which share of lookups finds its key, over recorded traces and synthetic ones
    HitRatio,
    /// Records on disk beside SQLite by itself
    Disk,
    /// Values as bytes, and the bytes around them
    Codec,
    /// Saving a cache, and beginning with what was saved
    Snapshot,
    /// Loads that are overtaken by a change
    Races,
}

impl Arguments {
    /// Returns the arguments of this process. Ends the process with a message if they make no
    /// sense.
    pub fn read() -> Self {
        Self::judged(Self::parse()).unwrap_or_else(|error| error.exit())
    }

    /// The families to run, in order.
    pub fn families(&self) -> Vec<Family> {
        let all = Family::value_variants().iter().copied();
        all.filter(|family| self.families.is_empty() || self.families.contains(family)).collect()
    }

    fn judged(self) -> Result<Self, clap::Error> {
        if let Some(path) = self.traces.iter().find(|path| !path.exists()) {
            let message = format!("there is no {}", path.display());
            return Err(Self::command().error(ErrorKind::InvalidValue, message));
        }
        match self.only.iter().find(|name| !is_known(name)) {
            Some(name) => {
                let contestants = KNOWN.map(|known| known.name).join(", ");
                let message = format!(
                    "there is no {name}\n\ncontestants: {contestants}\nworkloads: {}",
                    WORKLOADS.join(", ")
                );
                Err(Self::command().error(ErrorKind::InvalidValue, message))
            }
            None => Ok(self),
        }
    }
}

fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|known| known.name == name) || WORKLOADS.contains(&name)
}

#[cfg(test)]
mod tests {
    use clap::{Parser, ValueEnum};

    use super::{Arguments, Family};

    fn parsed(line: &str) -> Result<Arguments, clap::Error> {
        let words = std::iter::once("larder-bench").chain(line.split_whitespace());
        Arguments::try_parse_from(words).and_then(Arguments::judged)
    }

    #[test]
    fn no_family_is_every_family() {
        let all = parsed("--quick").expect("it is understood").families();
        assert_eq!(all, Family::value_variants());
    }

    #[test]
    fn families_run_once_and_in_order() {
        let some = parsed("races memory races").expect("it is understood").families();
        assert_eq!(some, [Family::Memory, Family::Races]);
    }

    #[test]
    fn names_are_separated_by_commas() {
        let only = parsed("load --only moka,load_hit1k --rounds 3").expect("it is understood");
        assert_eq!((only.only.len(), only.rounds), (2, Some(3)));
    }

    #[test]
    fn what_is_unknown_is_said() {
        let message = |line| parsed(line).expect_err("it is not understood").to_string();
        assert!(message("speed").contains("'speed'"));
        assert!(message("memory --only mocha").contains("there is no mocha"));
        assert!(message("memory --rounds 0").contains("0 is not in"));
    }
}
