//! `man`: prints the manual page.

use std::io::Write as _;

use clap::{Args, CommandFactory as _};

use crate::cli::Cli;
use crate::command::Answer;
use crate::exit::Failure;

/// Print the manual page of larder, or of one of its sub-commands
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Man {
    /// The sub-command
    command: Option<String>,
}

impl Man {
    pub(crate) fn execute(&self) -> Result<Answer, Failure> {
        let mut all = Cli::command();
        // This names the sub-commands in full, and gives them the options of all.
        all.build();
        let command = match &self.command {
            None => all,
            Some(name) => match all.find_subcommand(name) {
                Some(command) => command.clone().name(format!("larder-{name}").leak() as &str),
                None => return Err(Failure::Usage(format!("there is no sub-command {name}"))),
            },
        };
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
        Ok(Answer::Yes)
    }
}

const EXAMPLES: &str = "\
Examples:
  larder man | man -l -
  larder man run > larder-run.1";
