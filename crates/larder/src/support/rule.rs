//! The rules of coherence that the simulator takes away one by one, to see the damage found.

/// A rule whose absence must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A load commits only over its lease or the version it saw.
    Lease,
    /// A change is applied here after the authority has it.
    LocalAfterAuthority,
    /// Only a flight that is valid now is joined.
    JoinValid,
    /// A flight is joined only while it is younger than the bounds of what others have done.
    JoinYoung,
    /// A value from before a load is judged again when a caller takes it.
    JudgedWhenTaken,
    /// A tag's sequence is written before the tag.
    SequenceFirst,
    /// A late tag is refused if the sequence has changed.
    LateTags,
    /// A fetched mark is not installed over this process's own change.
    InstallGuard,
    /// An insert fills the local tier only if nothing else has changed the key.
    InsertUntouched,
    /// A fill is stored only while its flight is in the table.
    FillFenced,
    /// A tag's life is extended before an entry that would outlive it is stored or lengthened.
    ExtendTags,
    /// It is extended by the tag's version, and the tag is never written again.
    ExtendByVersion,
    /// Where the extension is refused, nothing is stored.
    RefusedExtension,
    /// A tag is forgotten only while nobody in this process holds it.
    ForgetUnheld,
    /// What is read is trusted from when it was asked for, not from when the answer came.
    TrustedSinceAsked,
    /// A load over a value that may be served leaves a lease beside it.
    LeaseBeside,
    /// After it has left that lease, a load looks at the key again.
    SecondLook,
}

/// Whether the rule is in force: always, but in a simulation that takes it away.
#[cfg(not(test))]
pub(crate) const fn holds(_rule: Rule) -> bool {
    true
}

#[cfg(test)]
pub(crate) use tested::{holds, without};

#[cfg(test)]
mod tested {
    use std::cell::Cell;

    use super::Rule;

    thread_local! {
        static REMOVED: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    pub(crate) fn holds(rule: Rule) -> bool {
        REMOVED.get() != Some(rule)
    }

    /// Runs without the rule, on this thread.
    pub(crate) fn without<R>(rule: Rule, run: impl FnOnce() -> R) -> R {
        REMOVED.set(Some(rule));
        let result = run();
        REMOVED.set(None);
        result
    }
}
