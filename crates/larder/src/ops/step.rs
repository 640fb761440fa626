//! One step of a change.

use larder_core::{Record, Times};

/// What to do about the record that is there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Leave it.
    Keep,
    /// Write this over it.
    Write(Record),
    /// Give it this life from now on, and leave its version.
    Retime(Times),
    /// Delete it.
    Delete,
}
