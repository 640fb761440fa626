//! Families of measurements: their jobs, and the reports of the answers.

mod bytes;
mod codec;
mod compare;
mod disk;
mod expiry;
mod races;
mod scratch;
mod snapshot;
mod speed;
mod stampede;

use crate::arguments::{Arguments, Family};
use crate::bench::Bench;
use crate::failure::Result;
use crate::hit_ratio;
use crate::report::Report;

/// Runs the families that are asked for.
///
/// # Errors
/// An error if one cannot be measured, or results cannot be written.
pub fn run(arguments: &Arguments) -> Result {
    let bench = Bench::new(arguments);
    let mut report = Report::new(arguments)?;
    for family in arguments.families() {
        match family {
            Family::Memory => {
                speed::run(&bench, &mut report, &speed::MEMORY)?;
                bytes::run(&bench, &mut report)?;
                expiry::run(&bench, &mut report)?;
            }
            Family::Load => {
                speed::run(&bench, &mut report, &speed::LOAD)?;
                stampede::run(&bench, &mut report)?;
            }
            Family::Codec => codec::run(&bench, &mut report)?,
            Family::Races => races::run(&bench, &mut report)?,
            Family::Disk => disk::run(&bench, &mut report)?,
            Family::Snapshot => snapshot::run(&bench, &mut report)?,
            Family::HitRatio => hit_ratio::run(arguments, &mut report)?,
        }
    }
    Ok(())
}
