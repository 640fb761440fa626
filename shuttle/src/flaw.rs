//! Flaws: each takes one protection away.

/// A flaw of the model. Each must be found, or the exploration proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A change cuts the flight under the stripe's lock and applies after it.
    CutThenApply,
    /// A change applies first and cuts the flight after it.
    ApplyThenCut,
    /// A load stores even if the table no longer has its flight.
    StoreAlways,
    /// A caller joins any flight it meets.
    FollowAlways,
    /// A leader does not read the engine again.
    NoSecondLook,
    /// A leader that goes away leaves its flight in the table.
    TicketForgotten,
    /// Late tags are stored without asking whether a tag has changed meanwhile.
    LateTagsUnchecked,
    /// Late tags are read after the question whether a tag has changed.
    LateTagsReadLast,
    /// A tag's cell changes before the count of tag changes.
    CellBeforeCount,
    /// An untouched entry is settled up to a count that is read after the entry was judged.
    SettledTooFar,
    /// A conditional insert reads the marks before it has judged that nothing is there.
    SeenBeforeJudged,
    /// A conditional insert reads the marks after it has judged that a value is there.
    SeenAfterJudged,
    /// A write fills the local tier although another write has touched the key.
    FillTouched,
    /// A value from before the load is handed out without being judged again.
    TakenUnjudged,
    /// A follower is polled with a new waker but keeps its first.
    FirstWakerKept,
}
