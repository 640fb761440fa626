//! The arguments that stand for a run.

use std::ffi::OsString;
use std::time::Duration;

use larder::backend::NEVER;

use crate::run::{Run, length};

/// Returns the arguments of this run.
pub(super) fn of(run: &Run) -> Vec<OsString> {
    let mut arguments = Arguments(Vec::new());
    match run.ttl.map(length) {
        Some(NEVER) => arguments.value("--ttl", "never"),
        length => arguments.duration("--ttl", length),
    }
    arguments.duration("--grace", run.grace);
    arguments.duration("--refresh-after", run.refresh_after);
    arguments.duration("--timeout", run.timeout);
    arguments.duration("--lease", Some(run.lease));
    arguments.value("--max-output", run.max_output.to_string());
    run.key.iter().for_each(|key| arguments.value("--key", key));
    run.namespace.iter().for_each(|name| arguments.value("--namespace", name));
    run.tags.iter().for_each(|tag| arguments.value("--tag", tag));
    run.env.iter().for_each(|name| arguments.value("--env", name));
    arguments.flag("--any-cwd", run.any_cwd);
    arguments.flag("--stdin", run.stdin);
    arguments.flag("--merge", run.merge);
    arguments.flag("--keep-failures", run.keep_failures);
    arguments.flag("--verbose", run.verbose);
    arguments.0.push("--".into());
    arguments.0.extend(run.command.iter().cloned());
    arguments.0
}

struct Arguments(Vec<OsString>);

impl Arguments {
    /// Adds a name and a value as one word, because a value may begin with a dash.
    fn value(&mut self, name: &str, value: impl Into<OsString>) {
        let mut word = OsString::from(name);
        word.push("=");
        word.push(value.into());
        self.0.push(word);
    }

    fn duration(&mut self, name: &str, duration: Option<Duration>) {
        if let Some(duration) = duration {
            self.value(name, humantime::format_duration(duration).to_string());
        }
    }

    fn flag(&mut self, name: &str, is_set: bool) {
        if is_set {
            self.0.push(name.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser;

    use super::of;
    use crate::cli::{Cli, Command};

    fn parse(arguments: impl IntoIterator<Item = OsString>) -> crate::run::Run {
        let all = ["larder".into(), "run".into()].into_iter().chain(arguments);
        match Cli::try_parse_from(all).unwrap().command {
            Command::Run(run) => run,
            _ => unreachable!("it is a run"),
        }
    }

    #[test]
    fn a_run_comes_back_from_its_arguments() {
        let lines = [
            "-- true",
            "--ttl never --namespace shop -- true",
            "--ttl 1h30m --grace 250ms --refresh-after 5m1s --timeout 2s --lease 3s --max-output 1KiB -- a -b --ttl 3s",
            "--key=-k --tag a --tag b --env X --env Y --any-cwd --stdin --merge --keep-failures -v -- a --",
        ];
        for line in lines {
            let run = parse(line.split(' ').map(OsString::from));
            assert_eq!(parse(of(&run)), run, "{line}");
        }
    }
}
