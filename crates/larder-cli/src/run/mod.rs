//! `run`: runs a command once and replays it.
//!
//! ```text
//!  key ──► kept? ──fresh─────────────► replay
//!   │        └────stale, or of age───► refresh (a process of its own), replay
//!   └──► load under a lease ──ours────► child, echoed and recorded ──► kept if it succeeded
//!                           └─others'─► wait, replay
//! ```

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use larder::Ttl;
use larder::backend::NEVER;

use crate::parse;
use crate::store::Target;

mod answer;
mod answers;
mod arguments;
mod child;
mod echo;
mod end;
mod foreground;
mod key;
mod load;
mod recording;
mod refresh;
mod signals;

pub(crate) use foreground::execute;
pub(crate) use refresh::execute as execute_refresh;

/// Run a command once, then replay its output and exit status
#[derive(Args, Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = EXAMPLES)]
pub(crate) struct Run {
    /// How long the answer is replayed without being asked for again
    ///
    /// By default what the URL or the configuration says, else 10 minutes.
    #[arg(long, value_name = "DURATION|never", value_parser = parse::ttl)]
    pub(crate) ttl: Option<Ttl>,
    /// How long after that the old answer is given at once while a new one is made behind
    ///
    /// By default what the URL or the configuration says, else not at all.
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    pub(crate) grace: Option<Duration>,
    /// Age from which an answer that is still fresh is also made anew behind
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    pub(crate) refresh_after: Option<Duration>,
    /// Key in place of the digest of command, folder, environment and user
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Namespace of the answer, by default that of the URL or the configuration, else `run`
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Tag of the answer, for `larder tag invalidate`; may be repeated
    #[arg(long = "tag", value_name = "TAG", value_parser = parse::tag)]
    pub(crate) tags: Vec<String>,
    /// Environment variable whose value the answer depends on; may be repeated
    #[arg(long, value_name = "NAME", value_parser = parse::variable)]
    pub(crate) env: Vec<OsString>,
    /// The answer does not depend on the working directory
    #[arg(long)]
    pub(crate) any_cwd: bool,
    /// Give stdin to the command; the answer depends on its content
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Join stderr into stdout, in exact order
    #[arg(long)]
    pub(crate) merge: bool,
    /// End the command after this time, with status 124
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Keep answers whose exit status is not 0 as well
    #[arg(long)]
    pub(crate) keep_failures: bool,
    /// Longest output that is kept; more passes through
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse::size)]
    pub(crate) max_output: u64,
    /// How long others wait for a runner that was killed or stopped
    #[arg(long, hide = true, default_value = "10s", value_parser = parse::lease)]
    pub(crate) lease: Duration,
    /// Say on stderr where the answer comes from
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

impl Run {
    /// Returns this run with the target's settings, or defaults, where the arguments leave them
    /// open.
    pub(crate) fn over(self, target: &Target) -> Self {
        let namespace = self.namespace.or_else(|| target.namespace.clone());
        Self {
            ttl: Some(self.ttl.or(target.ttl).unwrap_or(TTL)),
            grace: Some(self.grace.or(target.grace).unwrap_or_default()),
            namespace: Some(namespace.unwrap_or_else(|| NAMESPACE.to_owned())),
            ..self
        }
    }

    /// Returns the time for which an answer is fresh, [`NEVER`] for ever.
    fn ttl(&self) -> Duration {
        length(self.ttl.unwrap_or(TTL))
    }

    fn grace(&self) -> Duration {
        self.grace.unwrap_or_default()
    }

    /// Returns the namespace of kept answers.
    fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or(NAMESPACE)
    }
}

/// Returns the length of a life; [`NEVER`] without end.
fn length(ttl: Ttl) -> Duration {
    if let Ttl::For(length) = ttl { length } else { NEVER }
}

const TTL: Ttl = Ttl::For(Duration::from_secs(600));
const NAMESPACE: &str = "run";

const EXAMPLES: &str = "\
Exit status: the command's own; 128 + n if signal n ended it; 124 after --timeout; 125 if larder
itself failed; 126 if the command cannot be run; 127 if it was not found.

Examples:
  larder run --ttl 10m -- cargo metadata --format-version 1
  larder run --ttl 1m --grace 1h -- gh pr list     # after a minute: the old list at once
  larder run --env AWS_PROFILE -- aws s3 ls        # one answer for each profile
  git diff | larder run --stdin --any-cwd -- ./explain
  larder run --key prices --tag shop -- ./prices   # larder tag invalidate shop --namespace run";
