//! Marks: the versions of tags, of everything, and of the tags' sequence.

pub(crate) mod current;
pub(crate) mod here;
pub(crate) mod known;
pub(crate) mod record;
