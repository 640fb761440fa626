//! The sub-commands other than `run`: one file each.

mod clear;
mod completions;
mod count;
mod delete;
mod doctor;
mod get;
mod incr;
mod inspect;
mod keys;
mod man;
mod purge;
mod replay;
mod set;
mod stats;
mod tag;
mod ttl;

pub(crate) use clear::Clear;
pub(crate) use completions::Completions;
pub(crate) use count::Count;
pub(crate) use delete::Delete;
pub(crate) use doctor::Doctor;
pub(crate) use get::Get;
pub(crate) use incr::Incr;
pub(crate) use inspect::Inspect;
pub(crate) use keys::Keys;
pub(crate) use man::Man;
pub(crate) use purge::Purge;
pub(crate) use replay::Replay;
pub(crate) use set::Set;
pub(crate) use stats::Stats;
pub(crate) use tag::Tag;
pub(crate) use ttl::SetTtl;

/// The result of a sub-command, for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The work is done, or the answer is yes.
    Yes,
    /// There was no entry, or the answer is no.
    No,
}

impl From<bool> for Answer {
    fn from(is_yes: bool) -> Self {
        if is_yes { Self::Yes } else { Self::No }
    }
}
