//! The local step of a change: all there is without a shared authority, the last step with one.

use larder_core::{Error, ErrorKind, Life, Outcome, Result, Timestamp, Version};

use crate::change::reach::Reach;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::lookup::Lookup;
use crate::observe::event::Event;
use crate::ops::edit::{Edit, Edited};
use crate::options::{Settings, Ttl};
use crate::snapshot::Ticket;
use crate::support::random;
use crate::tier::freshness::lives;
use crate::tier::held::{Held, Looked, Note};
use crate::tier::shared::Shared;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// A value as an insert makes it, where the local tier is the authority.
    pub(crate) fn born(&self, settings: &Settings, held: Held<V>) -> Looked<V> {
        let now = self.now();
        let (fresh_for, kept_for) = lives(settings, Ttl::Default, now, random::unit);
        let looked = Looked {
            held,
            life: Life::Fresh,
            is_marked: false,
            fresh_until: now.after(fresh_for),
            kept_until: now.after(kept_for),
            note: Note::new(Version::NONE, now),
            seen: self.local.marks().see(settings.tags()),
        };
        looked.with_refresh(settings)
    }

    /// Puts a value, cutting the key's flight; one without a life takes away what is there.
    pub(crate) fn put_now(&self, hash: u64, key: &K, looked: Looked<V>) -> Ticket {
        let draft = self.draft(key, looked);
        let put = || self.local.put(hash, key.clone(), draft);
        let dropped = self.flights.change(hash, key, put);
        drop(dropped);
        self.note_gone(key)
    }

    pub(crate) fn put_where(
        &self,
        hash: u64,
        key: &K,
        settings: &Settings,
        value: V,
        wanted: impl Fn(Option<&V>) -> bool,
    ) -> Option<Ticket> {
        // What is not put is dropped out here, where its end may call the cache.
        let mut draft = Some(self.draft(key, self.born(settings, Held::Value(value))));
        let wanted = |there: Option<&Held<V>>| match there {
            Some(Held::Value(value)) => wanted(Some(value)),
            _ => wanted(None),
        };
        let put = || self.local.put_if(hash, key, &mut draft, settings.tags(), wanted);
        let done = self.flights.change_if(hash, key, put);
        done.map(|_| self.note_gone(key))
    }

    /// Drops the key here, cutting its flight.
    pub(crate) fn drop_now<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Ticket {
        self.drop_here(hash, key);
        self.note_gone(key)
    }

    /// The same without noting it beside a snapshot: there is none, or its caller does.
    pub(crate) fn drop_here<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) {
        let dropped = self.flights.change(hash, key, || self.local.remove(hash, key));
        drop(dropped);
    }

    /// Makes an edit here; what it was done to, and the note of it.
    pub(crate) fn change_now<Q: ?Sized + Lookup<K>>(
        &self,
        hash: u64,
        key: &Q,
        settings: &Settings,
        edit: Edit,
    ) -> (Option<Looked<V>>, Ticket) {
        let apply = || {
            let now = self.now();
            let there = self.outline(hash, key);
            let subject = there.as_ref().map(|there| there.subject(now));
            let edited = edit.of(subject, settings.grace);
            // A copy that is not returned would end under the stripe's lock.
            let fits = subject.is_some_and(|it| edit.fits(&it));
            let looked = fits.then(|| self.look(hash, key)).flatten();
            let dropped = match edited {
                Edited::Kept => None,
                Edited::Removed => Some(self.local.remove(hash, key).1),
                Edited::Stale(times) | Edited::Retimed(times) => there.map(|mut there| {
                    there.fresh_until = now.after(times.fresh_left());
                    there.kept_until = now.after(times.kept_left());
                    there.note.written_at = now.before(times.age);
                    self.retime(hash, key, &there.with_refresh(settings))
                }),
            };
            // The settings give an entry without end its grace, here and in a snapshot.
            let is_endless = looked.as_ref().is_some_and(|it| it.fresh_until == Timestamp::FAR);
            let is_stale = matches!(edited, Edited::Stale(_));
            (looked, dropped, is_stale && (!is_endless || settings.grace >= self.endless_grace()))
        };
        let (looked, dropped, is_kept) = match edit {
            // What a load under way brings is older than the mark; a change of life is no reason
            // to refuse it.
            Edit::Remove | Edit::MarkStale => self.flights.change(hash, key, apply),
            Edit::SetTtl(_) | Edit::Touch | Edit::Revive(_) => self.flights.hold(hash, apply),
        };
        drop(dropped);
        // Whether or not it is here: a snapshot may have it.
        let noted = match edit {
            Edit::Remove | Edit::SetTtl(_) | Edit::Revive(_) => self.note_gone(key),
            // As stale it would come back for a grace of its own.
            Edit::MarkStale if is_kept => self.note_stale(key),
            Edit::MarkStale => self.note_gone(key),
            // It only lengthens a life.
            Edit::Touch => Ticket::needless(),
        };
        (looked, noted)
    }

    /// What the authority's answer to a change means.
    pub(crate) fn reach(&self, shared: &Shared<V>, outcome: Outcome) -> Result<Reach> {
        match outcome {
            Outcome::Done => Ok(Reach::Confirmed),
            Outcome::Refused(_) => self.unreached(shared, refused()),
            Outcome::Failed(error) | Outcome::Unknown(error) => self.unreached(shared, error),
        }
    }

    /// A change that the authority did not confirm.
    pub(crate) fn unreached(&self, shared: &Shared<V>, error: Error) -> Result<Reach> {
        self.tell(&Event::NotConfirmed(error.clone()));
        if shared.strict { Err(error) } else { Ok(Reach::Local) }
    }
}

/// A backend that refused an unconditional change has not made it, whatever its reason.
pub(crate) fn refused() -> Error {
    Error::new(ErrorKind::Unavailable, "change", "the backend refused an unconditional change")
}
