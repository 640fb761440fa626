//! The purpose of a load.

use crate::tier::entry::Content;

/// The reason for a load, and the contents that count as its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    pub(crate) trigger: Trigger,
    /// A known absence is no answer: the loader always has a value.
    pub(crate) past_absence: bool,
    /// The loader's answer may name tags.
    pub(crate) late_tags: bool,
}

impl Purpose {
    /// True if this content answers the caller, were it fresh.
    pub(crate) fn takes<V>(self, content: &Content<V>) -> bool {
        !(self.past_absence && content.is_absent())
    }
}

/// The reason why a load begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// A caller needs a value.
    Miss,
    /// A fresh value is old enough to be refreshed.
    Refresh,
    /// A caller asked for a new value, whatever is stored.
    Force,
}
