//! Changes: what is done to an entry, at the authority first and then here.

pub(crate) mod insert;
mod local;
mod note;
pub(crate) mod reach;
mod shared;
