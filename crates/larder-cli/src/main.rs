//! The command `larder`: runs a command once and replays it, and looks into caches.
//!
//! ```text
//!  cli ──► command/*   one file for each sub-command: arguments → library calls → output
//!     │       ├─► store    the cache that is meant, and all of its keys ──► backend   opens its URL
//!     │       └─► output   the printed text: for people, for pipes, as JSON
//!     └──► run/*       key → replay of the answer, or child → recording → replay for the others
//! ```

use std::process::ExitCode;

mod backend;
mod cli;
mod command;
mod exit;
mod json;
mod output;
mod parse;
mod run;
mod store;

fn main() -> ExitCode {
    ExitCode::from(cli::main())
}
