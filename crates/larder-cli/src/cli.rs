//! The command line: its options and sub-commands, and the call of the chosen one.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::command::{self, Answer};
use crate::exit::{self, Failure};
use crate::output::{Printer, remark};
use crate::run::{self, Run};
use crate::store::{Store, Target};

/// A cache for the shell: runs commands once and replays them, looks into any Larder cache, and says
/// how large one has to be
#[derive(Parser, Debug)]
#[command(name = "larder", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// The store, as `file:FOLDER`; by default `larder` in your cache directory
    #[arg(long, global = true, env = "LARDER_URL", hide_env_values = true)]
    url: Option<String>,
    /// A TOML file that says `url`, `namespace`, `ttl` and `grace`, as programs are configured, or
    /// `FILE#table` of a larger one; what the other options say comes first
    #[arg(long, global = true, env = "LARDER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Run(Run),
    Get(command::Get),
    Set(command::Set),
    Delete(command::Delete),
    Ttl(command::SetTtl),
    Incr(command::Incr),
    Keys(command::Keys),
    Count(command::Count),
    Clear(command::Clear),
    Tag(command::Tag),
    Inspect(command::Inspect),
    Stats(command::Stats),
    Purge(command::Purge),
    Doctor(command::Doctor),
    Replay(command::Replay),
    Completions(command::Completions),
    Man(command::Man),
    #[command(name = "__refresh", hide = true)]
    Refresh(Run),
}

/// Whose entries, and for whom the answer is
#[derive(Args, Debug)]
pub(crate) struct Common {
    #[arg(long, value_name = "NAME", help = NAMESPACE_HELP)]
    pub(crate) namespace: Option<String>,
    /// Print JSON: one object, or one a line for lists
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the sub-command that the arguments name. Returns the exit code.
pub(crate) fn main() -> u8 {
    let arguments: Vec<_> = std::env::args_os().collect();
    let Cli { url, config, command } = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refused(&error, &arguments),
    };
    let is_run = matches!(command, Command::Run(_) | Command::Refresh(_));
    let target = match Target::new(url.as_deref(), config.as_deref()) {
        Ok(target) => target,
        Err(failure) => {
            remark(&failure.to_string());
            return if is_run { exit::OWN_FAILURE } else { failure.code() };
        }
    };
    let (url, over) = (target.url(), Over(&target));
    let result = match command {
        Command::Run(run) => return run::execute(&run.over(&target), url),
        Command::Refresh(run) => return run::execute_refresh(&run.over(&target), url),
        Command::Get(get) => over.run(&get.common, async |s, p| get.execute(s, p).await),
        Command::Set(set) => over.run(&set.common, async |s, p| set.execute(s, p).await),
        Command::Delete(delete) => {
            over.run(&delete.common, async |s, p| delete.execute(s, p).await)
        }
        Command::Ttl(ttl) => over.run(&ttl.common, async |s, p| ttl.execute(s, p).await),
        Command::Incr(incr) => over.run(&incr.common, async |s, p| incr.execute(s, p).await),
        Command::Keys(keys) => over.run(&keys.common, async |s, p| keys.execute(s, p).await),
        Command::Count(count) => over.run(&count.common, async |s, p| count.execute(s, p).await),
        Command::Clear(clear) => over.run(&clear.common, async |s, p| clear.execute(s, p).await),
        Command::Tag(tag) => over.run(tag.common(), async |s, p| tag.execute(s, p).await),
        Command::Inspect(inspect) => {
            over.run(&inspect.common, async |s, p| inspect.execute(s, p).await)
        }
        Command::Stats(stats) => over.run(&stats.common, async |s, p| stats.execute(s, p).await),
        Command::Purge(purge) => over.run(&purge.common, async |s, p| purge.execute(s, p).await),
        Command::Doctor(doctor) => doctor.execute(url),
        Command::Replay(replay) => replay.execute(),
        Command::Completions(completions) => completions.execute(),
        Command::Man(man) => man.execute(),
    };
    match result {
        Ok(Answer::Yes) => exit::OK,
        Ok(Answer::No) => exit::NO,
        Err(failure) => {
            if !failure.is_silent() {
                remark(&failure.to_string());
            }
            failure.code()
        }
    }
}

/// Sub-commands over one store.
struct Over<'a>(&'a Target);

impl Over<'_> {
    /// Opens the store that the arguments name, runs the sub-command, and prints all of its result.
    fn run(
        &self,
        common: &Common,
        execute: impl AsyncFnOnce(&Store, &mut Printer) -> Result<Answer, Failure>,
    ) -> Result<Answer, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let store = Store::open(self.0, common.namespace.as_deref())?;
        let mut printer = Printer::new(common.json);
        let answer = runtime.block_on(execute(&store, &mut printer))?;
        printer.finish()?;
        Ok(answer)
    }
}

/// Prints what is wrong with the arguments, or the help that was asked for.
fn refused(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let printed = error.print();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match printed {
            Ok(()) => exit::OK,
            Err(error) => Failure::from(error).code(),
        };
    }
    // The command of `run` may itself end with the code 2.
    if is_run(arguments) { exit::OWN_FAILURE } else { exit::USAGE }
}

/// True if the sub-command is `run`, as far as arguments that could not be parsed tell.
fn is_run(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        if word == "--url" || word == "--config" {
            words.next();
        } else if !word.as_encoded_bytes().starts_with(b"-") {
            return word == "run" || word == "__refresh";
        }
    }
    false
}

const NAMESPACE_HELP: &str = "\
The namespace of the entries, by default the configuration's, else `default`; answers of `run` are in the configuration's, else in `run`";

const EXAMPLES: &str = "\
Exit status: 0 done or yes; 1 nothing there or no; 2 the arguments make no sense; 3 the store cannot
be used. `run` ends as the command does.

Examples:
  larder run --ttl 10m -- cargo metadata --format-version 1
  larder set greeting hello --ttl 1h && larder get greeting
  larder incr visits
  larder keys 'user:*'
  larder --url file:/var/tmp/shop inspect user:7 --json";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_whole() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_sub_command_has_examples() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("larder "), "{}", command.get_name());
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
