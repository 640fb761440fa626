//! Messages: changes as the neighbours of a cache are told of them.

use larder_core::BoxFuture;

use crate::key::CacheKey;
use crate::lookup::Lookup;

/// A change as the neighbours get it: a snapshot, another tier, another process. `K` names a key,
/// `S` a tag or a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<K, S> {
    /// The key has another value, or none.
    Key(K),
    /// The key's value is stale.
    StaleKey(K),
    /// All entries with the tag are gone.
    Tag(S),
    /// All entries with the tag are stale.
    StaleTag(S),
    /// All entries whose keys match the pattern are gone.
    Pattern(S),
    /// Everything is gone.
    All,
    /// Everything is stale.
    StaleAll,
}

impl<K, S> Message<K, S> {
    /// Returns this change with keys and texts of other types.
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

    /// Returns this change, borrowed.
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
    /// Returns this change for a task that outlives its caller.
    pub(crate) fn to_owned<K: CacheKey>(self) -> Message<K, String>
    where
        Q: Lookup<K>,
    {
        self.map(Lookup::to_key, str::to_owned)
    }

    /// Returns this change with the key's text, by which neighbours know the key.
    pub(crate) fn to_text<K: CacheKey>(self) -> Message<String, String>
    where
        Q: Lookup<K>,
    {
        self.map(|key| key.to_key().to_text().into_owned(), str::to_owned)
    }
}

impl Message<String, String> {
    /// Returns this change, borrowed.
    pub(crate) fn by_text(&self) -> Text<'_> {
        self.as_ref().map(String::as_str, |text| text)
    }
}

/// A message as its listeners get it.
pub(crate) type Text<'a> = Message<&'a str, &'a str>;

/// The end of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The authority and the local tier have the change.
    Confirmed,
    /// The same, and the entry is gone: it could not be kept as stale.
    Gone,
    /// The local tier has the change; the authority may or may not.
    Unconfirmed,
    /// No change that neighbours would have to know has been made.
    Unchanged,
}

/// A neighbour that is told of each change of a cache: before its first step and after its last.
pub(crate) trait ChangeListener: Send + Sync {
    /// A change begins. The authority has not been asked for it.
    fn began(&self, _change: Text<'_>) {}

    /// The change is over, and the local tier has followed it.
    ///
    /// The future's result says whether this listener has the change for sure; the caller's change
    /// is not confirmed before that. None where there is nothing to wait for.
    fn ended(&self, change: Text<'_>, ending: Ending) -> Option<BoxFuture<'_, bool>>;
}
