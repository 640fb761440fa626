//! The command `larder`: runs a command once and replays it, and looks into caches.
//!
//! ```text
//!  cli ──► command/*   one file for each sub-command: arguments → library calls → output
//!     │       ├─► store, scan    the cache that is meant, and all of its keys
//!     │       └─► output         what is printed: for people, for pipes, as JSON
//!     └──► run/*       key → replay what is kept, or child → recording → replay for the others
//! ```

use std::process::ExitCode;

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
