//! Mutations: the simulator takes away each rule of coherence, to see that the damage is found.

/// A rule whose absence must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A load commits only over its lease or the version it saw.
    Lease,
    /// A change is applied here after the authority has it.
    LocalAfterAuthority,
    /// Only a flight that is valid now is joined.
    JoinValid,
    /// A flight is joined only while it is younger than the bounds for other processes' changes.
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
    /// A tag's life is extended by the tag's version, and the tag is never written again.
    ExtendByVersion,
    /// Where the extension is refused, no entry is stored.
    RefusedExtension,
    /// A tag is forgotten only while no entry, load or fetch in this process has it.
    ForgetUnheld,
    /// An answer is trusted from the time of the question, not from the time when it came.
    TrustedSinceAsked,
    /// A load over a value that may be served leaves a lease beside it.
    LeaseBeside,
    /// A load reads the key again after it has left that lease.
    SecondLook,
}

/// True if the rule is in force: always, but in a simulation that takes it away.
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
