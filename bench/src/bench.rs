//! The settings of a run: the number of rounds, and the workloads and contestants that take part.

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::arguments::Arguments;
use crate::contestant::known;
use crate::failure::{Failure, Result};
use crate::process;
use crate::series::turns;
use crate::workload::{Job, WORKLOADS};

/// A run of some families.
#[derive(Debug)]
pub struct Bench {
    /// True if the run shall be short.
    pub is_quick: bool,
    /// A Python that has diskcache.
    pub python: Option<String>,
    rounds: Option<u32>,
    only: Vec<String>,
}

impl Bench {
    /// Returns the run that the command line asks for.
    pub fn new(arguments: &Arguments) -> Self {
        Self {
            is_quick: arguments.quick,
            python: arguments.diskcache.clone(),
            rounds: arguments.rounds,
            only: arguments.only.clone(),
        }
    }

    /// Returns the number of rounds, if these are the usual ones.
    pub fn rounds(&self, usual: usize, quick: usize) -> usize {
        let default = if self.is_quick { quick } else { usual };
        self.rounds.map_or(default, |rounds| rounds as usize)
    }

    /// True if this workload takes part.
    pub fn has_workload(&self, name: &str) -> bool {
        self.allows(name, |name| WORKLOADS.contains(&name))
    }

    /// True if this contestant takes part.
    pub fn has_contestant(&self, name: &str) -> bool {
        self.allows(name, |name| known(name).is_some())
    }

    fn allows(&self, name: &str, is_of_this_kind: impl Fn(&str) -> bool) -> bool {
        let mut named = self.only.iter().filter(|name| is_of_this_kind(name)).peekable();
        named.peek().is_none() || named.any(|one| one == name)
    }
}

/// Does all jobs in every round, one after the other. Returns the answers to each job by rounds.
///
/// # Errors
/// An error if one of them fails.
pub fn answers(title: &str, jobs: &[Job], rounds: usize) -> Result<Vec<Vec<Value>>> {
    let progress = progress(title, (rounds * jobs.len()) as u64);
    let mut answers = vec![Vec::new(); jobs.len()];
    for turn in turns(rounds, jobs.len()) {
        progress.set_message(jobs[turn].to_string());
        answers[turn].push(process::answer(&jobs[turn])?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(answers)
}

/// Like [`answers`], for jobs that answer with numbers.
///
/// # Errors
/// An error if one of them fails or answers something else.
pub fn figures(title: &str, jobs: &[Job], rounds: usize) -> Result<Vec<Vec<Vec<f64>>>> {
    let answers = self::answers(title, jobs, rounds)?;
    let numbers = |answer| serde_json::from_value(answer).map_err(Failure::from);
    let of_job = |answers: Vec<Value>| answers.into_iter().map(numbers).collect();
    answers.into_iter().map(of_job).collect()
}

/// Returns a bar on standard error, or a hidden one where that is no terminal.
pub fn progress(title: &str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let template = "{prefix} {wide_bar} {pos}/{len} {eta} {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_prefix(title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::Bench;

    fn only(names: &[&str]) -> Bench {
        let only = names.iter().map(ToString::to_string).collect();
        Bench { is_quick: false, python: None, rounds: None, only }
    }

    #[test]
    fn who_names_contestants_gets_all_workloads() {
        let bench = only(&["moka", "lru"]);
        assert!(bench.has_contestant("lru") && !bench.has_contestant("foyer"));
        assert!(bench.has_workload("hit1k") && bench.has_workload("churn"));
    }

    #[test]
    fn who_names_nothing_gets_everything() {
        assert!(only(&[]).has_contestant("lru") && only(&[]).has_workload("churn"));
    }

    #[test]
    fn workloads_and_contestants_can_be_named_together() {
        let bench = only(&["moka", "churn"]);
        assert!(bench.has_contestant("moka") && !bench.has_contestant("lru"));
        assert!(bench.has_workload("churn") && !bench.has_workload("hit1k"));
    }

    #[test]
    fn rounds_that_are_asked_for_count() {
        let bench = |is_quick, rounds| Bench { is_quick, rounds, ..only(&[]) };
        assert_eq!(bench(false, None).rounds(7, 2), 7);
        assert_eq!(bench(true, None).rounds(7, 2), 2);
        assert_eq!(bench(true, Some(5)).rounds(7, 2), 5);
    }
}
