//! One protection each, taken away.

/// What the model does wrong. Each must be found, or the exploration proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A change cuts the flight under the stripe's lock and applies after it.
    CutThenApply,
    /// A change applies first and cuts the flight after it.
    ApplyThenCut,
    /// A load stores whether or not the table still holds its flight.
    StoreAlways,
    /// A caller joins any flight it meets.
    FollowAlways,
    /// A leader does not look in the engine again.
    NoSecondLook,
    /// A leader that goes away leaves its flight in the table.
    TicketForgotten,
    /// Late tags are stored without asking whether a tag has changed meanwhile.
    LateTagsUnchecked,
    /// Late tags are read after asking whether a tag has changed.
    LateTagsReadLast,
    /// A tag's cell changes before the count of tag changes.
    CellBeforeCount,
    /// What is untouched is settled up to a count that is read after it was judged.
    SettledTooFar,
    /// A conditional insert sees the marks before it has judged that nothing is there.
    SeenBeforeJudged,
    /// A conditional insert sees the marks after it has judged that something is there.
    SeenAfterJudged,
    /// A write fills the local tier although another has touched the key.
    FillTouched,
    /// A value from before the load is handed out without being judged again.
    TakenUnjudged,
    /// A follower is polled with a new waker but keeps its first.
    FirstWakerKept,
}
