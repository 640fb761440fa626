//! The command line: what there is, and to whom it is handed.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::command::{self, Answer};
use crate::exit::{self, Failure};
use crate::output::{Printer, remark};
use crate::run::{self, Run};
use crate::store::Store;

/// A cache for the shell: runs commands once and replays them, and looks into any Larder cache
#[derive(Parser, Debug)]
#[command(name = "larder", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// The store, as `file:FOLDER`; by default `larder` in your cache directory
    #[arg(long, global = true, env = "LARDER_URL", hide_env_values = true)]
    url: Option<String>,
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
    Completions(command::Completions),
    Man(command::Man),
    #[command(name = "__refresh", hide = true)]
    Refresh(Run),
}

/// Whose entries, and for whom the answer is
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// The namespace of the entries; answers of `run` are in `run`
    #[arg(long, default_value = "default", value_name = "NAME")]
    pub(crate) namespace: String,
    /// Print JSON: one object, or one a line for lists
    #[arg(long)]
    pub(crate) json: bool,
}

/// Does what the arguments say; the exit code.
pub(crate) fn main() -> u8 {
    let arguments: Vec<_> = std::env::args_os().collect();
    let Cli { url, command } = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refused(&error, &arguments),
    };
    // An empty variable names no store, as one that is not set.
    let url = url.as_deref().filter(|url| !url.is_empty());
    let result = match command {
        Command::Run(run) => return run::execute(&run, url),
        Command::Refresh(run) => return run::execute_refresh(&run, url),
        Command::Get(get) => over(url, &get.common, async |s, p| get.execute(s, p).await),
        Command::Set(set) => over(url, &set.common, async |s, p| set.execute(s, p).await),
        Command::Delete(delete) => {
            over(url, &delete.common, async |s, p| delete.execute(s, p).await)
        }
        Command::Ttl(ttl) => over(url, &ttl.common, async |s, p| ttl.execute(s, p).await),
        Command::Incr(incr) => over(url, &incr.common, async |s, p| incr.execute(s, p).await),
        Command::Keys(keys) => over(url, &keys.common, async |s, p| keys.execute(s, p).await),
        Command::Count(count) => over(url, &count.common, async |s, p| count.execute(s, p).await),
        Command::Clear(clear) => over(url, &clear.common, async |s, p| clear.execute(s, p).await),
        Command::Tag(tag) => over(url, tag.common(), async |s, p| tag.execute(s, p).await),
        Command::Inspect(inspect) => {
            over(url, &inspect.common, async |s, p| inspect.execute(s, p).await)
        }
        Command::Stats(stats) => over(url, &stats.common, async |s, p| stats.execute(s, p).await),
        Command::Purge(purge) => over(url, &purge.common, async |s, p| purge.execute(s, p).await),
        Command::Doctor(doctor) => doctor.execute(url),
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

/// Opens what the arguments name, has the sub-command answer, and prints it to the end.
fn over(
    url: Option<&str>,
    common: &Common,
    execute: impl AsyncFnOnce(&Store, &mut Printer) -> Result<Answer, Failure>,
) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let store = Store::open(url, &common.namespace)?;
    let mut printer = Printer::new(common.json);
    let answer = runtime.block_on(execute(&store, &mut printer))?;
    printer.finish()?;
    Ok(answer)
}

/// Says what is wrong with the arguments, or what was asked for about them.
fn refused(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let printed = error.print();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match printed {
            Ok(()) => exit::OK,
            Err(error) => Failure::from(error).code(),
        };
    }
    // The code 2 may be the command's own.
    if is_run(arguments) { exit::OWN_FAILURE } else { exit::USAGE }
}

/// Whether the sub-command is `run`, as far as arguments that make no sense tell.
fn is_run(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        if word == "--url" {
            words.next();
        } else if !word.as_encoded_bytes().starts_with(b"-") {
            return word == "run" || word == "__refresh";
        }
    }
    false
}

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
