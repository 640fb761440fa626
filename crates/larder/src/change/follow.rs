//! The local step of a change that the authority was asked for.

use std::hash::Hash;

use larder_core::Header;

use crate::flight::flights::WriteMark;
use crate::flight::info::FlightInfo;
use crate::flight::outcome::Landed;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::lookup::Lookup;
use crate::ops::edit::Edit;
use crate::options::Settings;
use crate::pattern::Pattern;
use crate::support::mutation::{self, Rule};
use crate::tier::entry::{Content, Metadata};
use crate::tier::local::Candidate;
use crate::tier::marks::current::MarkChange;
use crate::tier::message::Message;

/// The local step of a change, chosen by the answer of the authority.
pub(crate) enum Follow<K: Hash + Eq, V> {
    /// The step that every process makes that is told of the change.
    Apply(Known),
    /// The copy of the new value is put, unless another change has touched the key since the write
    /// began. None where nothing is kept.
    Put(WriteMark<K, Landed<V>, FlightInfo>, Option<Candidate<Content<V>, Metadata>>),
    /// The copy is removed, and loads under way go on: the loads are not wrong, and the copy may
    /// be.
    Forget,
    /// No step: the authority has changed nothing.
    Nothing,
}

/// The part of a change that only its own process knows.
#[derive(Default)]
pub(crate) struct Known {
    /// The options of the call.
    pub(crate) settings: Option<Settings>,
    /// The mark as it was written. None if it was not written, or that is not known.
    pub(crate) mark: Option<Header>,
}

impl Known {
    pub(crate) const fn options(settings: Settings) -> Self {
        Self { settings: Some(settings), mark: None }
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    pub(super) fn follow<Q: ?Sized + Lookup<K>>(
        &self,
        message: Message<&Q, &str>,
        follow: Follow<K, V>,
    ) {
        match (follow, message) {
            (Follow::Apply(known), message) => self.apply(message, known),
            (Follow::Put(write, candidate), Message::Key(key)) => {
                let (hash, key) = (self.local.hash(key), key.to_key());
                // A candidate that is not put ends out here, where its end may call the cache.
                let mut candidate = candidate;
                let dropped = write.finish(|untouched| {
                    let untouched = untouched || !mutation::holds(Rule::InsertUntouched);
                    match candidate.take_if(|_| untouched) {
                        Some(candidate) => (None, self.local.put(hash, key, candidate)),
                        None => self.local.remove(hash, &key),
                    }
                });
                drop(dropped);
            }
            (Follow::Forget, Message::Key(key)) => {
                let hash = self.local.hash(key);
                drop(self.flights.hold(hash, || self.local.remove(hash, key)));
            }
            (Follow::Put(..) | Follow::Forget | Follow::Nothing, _) => {}
        }
    }

    /// Makes a change in the local tier, of this process or of another: no later read here returns
    /// the earlier value, and no load under way brings it back.
    pub(crate) fn apply<Q: ?Sized + Lookup<K>>(&self, message: Message<&Q, &str>, known: Known) {
        let Known { settings, mark } = known;
        let (marks, mark) = (self.local.marks(), mark.as_ref());
        match message {
            Message::Key(key) => self.drop_here(key),
            Message::StaleKey(key) => {
                drop(self.edit_here(key, settings.as_ref(), Edit::MarkStale));
            }
            Message::Tag(tag) => self.stack.tag_changed(marks, tag, MarkChange::Hard, mark),
            Message::StaleTag(tag) => self.stack.tag_changed(marks, tag, MarkChange::Soft, mark),
            Message::All => self.stack.epoch_changed(marks, MarkChange::Hard, mark),
            Message::StaleAll => self.stack.epoch_changed(marks, MarkChange::Soft, mark),
            Message::Pattern(pattern) => {
                if let Ok(pattern) = Pattern::parse(pattern) {
                    self.clear_here(&pattern, false);
                }
            }
        }
    }

    /// Removes the key here, and its flight from the table.
    pub(super) fn drop_here<Q: ?Sized + Lookup<K>>(&self, key: &Q) {
        let hash = self.local.hash(key);
        let dropped = self.flights.change(hash, key, || self.local.remove(hash, key));
        drop(dropped);
    }
}
