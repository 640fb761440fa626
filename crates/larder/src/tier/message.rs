//! Messages: what a change makes wrong elsewhere, for the neighbours that have to be told.

use larder_core::BoxFuture;

use crate::key::CacheKey;
use crate::lookup::Lookup;

/// A change as its neighbours see it: a snapshot, another tier, another process. `K` names a key, `S`
/// a tag or a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<K, S> {
    /// The key has another value, or none.
    Key(K),
    /// The key's value is stale.
    StaleKey(K),
    /// Whatever has the tag is gone.
    Tag(S),
    /// Whatever has the tag is stale.
    StaleTag(S),
    /// Whatever has a key that the pattern means is gone.
    Pattern(S),
    /// Everything is gone.
    All,
    /// Everything is stale.
    StaleAll,
}

impl<K, S> Message<K, S> {
    /// The same change, with keys and texts of other types.
    pub(crate) fn map<L, T>(
        self,
        key: impl FnOnce(K) -> L,
        text: impl FnOnce(S) -> T,
    ) -> Message<L, T> {
        match self {
            Self::Key(name) => Message::Key(key(name)),
            Self::StaleKey(name) => Message::StaleKey(key(name)),
            Self::Tag(tag) => Message::Tag(text(tag)),
            Self::StaleTag(tag) => Message::StaleTag(text(tag)),
            Self::Pattern(pattern) => Message::Pattern(text(pattern)),
            Self::All => Message::All,
            Self::StaleAll => Message::StaleAll,
        }
    }

    /// The same change, borrowed.
    pub(crate) fn as_ref(&self) -> Message<&K, &str>
    where
        S: AsRef<str>,
    {
        match self {
            Self::Key(key) => Message::Key(key),
            Self::StaleKey(key) => Message::StaleKey(key),
            Self::Tag(tag) => Message::Tag(tag.as_ref()),
            Self::StaleTag(tag) => Message::StaleTag(tag.as_ref()),
            Self::Pattern(pattern) => Message::Pattern(pattern.as_ref()),
            Self::All => Message::All,
            Self::StaleAll => Message::StaleAll,
        }
    }
}

impl<Q: ?Sized> Message<&Q, &str> {
    /// The same change, for a task that outlives its caller.
    pub(crate) fn to_owned<K: CacheKey>(self) -> Message<K, String>
    where
        Q: Lookup<K>,
    {
        self.map(Lookup::to_key, str::to_owned)
    }

    /// The same change with the key's text, which is what neighbours know it by.
    pub(crate) fn to_text<K: CacheKey>(self) -> Message<String, String>
    where
        Q: Lookup<K>,
    {
        self.map(|key| key.to_key().to_text().into_owned(), str::to_owned)
    }
}

impl Message<String, String> {
    /// The same change, borrowed.
    pub(crate) fn by_text(&self) -> Text<'_> {
        self.as_ref().map(String::as_str, |text| text)
    }
}

/// A message as its listeners get it.
pub(crate) type Text<'a> = Message<&'a str, &'a str>;

/// How a change has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The authority and the local tier have it.
    Confirmed,
    /// The local tier has it; the authority may or may not.
    Unconfirmed,
    /// Nothing has changed that neighbours would have to know.
    Unchanged,
}

/// A neighbour that is told of each change of a cache: before anything of it is done, and when all of
/// it is done.
pub(crate) trait ChangeListener: Send + Sync {
    /// A change begins. The authority has not been asked for it.
    fn began(&self, _change: Text<'_>) {}

    /// The change that has begun is over, and the local tier has followed it. The message may say more
    /// than the one at its beginning: of an entry that cannot be kept as stale, that it is gone.
    ///
    /// The answer says whether this listener has the change for sure; the caller's change is not
    /// confirmed before that. None where there is nothing to wait for.
    fn ended(&self, change: Text<'_>, ending: Ending) -> Option<BoxFuture<'_, bool>>;
}
