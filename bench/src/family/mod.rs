//! Families of measurements: which jobs there are, and what is told of their answers.

mod speed;

use crate::arguments::{Arguments, Family};
use crate::bench::Bench;
use crate::failure::Result;
use crate::report::Report;

/// Runs those that are asked for.
///
/// # Errors
/// If one cannot be measured, or results cannot be written.
pub fn run(arguments: &Arguments) -> Result {
    let bench = Bench::new(arguments);
    let mut report = Report::new(arguments)?;
    for family in arguments.families() {
        match family {
            Family::Memory => speed::run(&bench, &mut report, &speed::MEMORY)?,
            Family::Load => speed::run(&bench, &mut report, &speed::LOAD)?,
            _ => {}
        }
    }
    Ok(())
}
