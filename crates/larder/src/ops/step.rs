//! One step of a change.

use larder_core::{Record, Times};

/// Action on the record that an update found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Leaves the record as it is.
    Keep,
    /// Writes this record over the one that is there.
    Write(Record),
    /// Gives the record this life from now on, and leaves its version.
    Retime(Times),
    /// Deletes the record.
    Delete,
}
