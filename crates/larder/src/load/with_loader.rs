//! A look-up with a loader.

use std::hash::Hash;

use larder_core::{Error, ErrorKind, Result};

use crate::flight::chain::{Link, Waiting};
use crate::flight::flights::{Follower, Join, Ticket};
use crate::flight::info::{FlightInfo, FlightKind};
use crate::flight::outcome::{Landed, Taken};
use crate::key::CacheKey;
use crate::load::leader::Leader;
use crate::load::loader::BoxLoader;
use crate::load::look::LocalAnswer;
use crate::load::purpose::{Purpose, Trigger};
use crate::load::request::Request;
use crate::support::runtime;
use crate::tier::entry::Content;

/// The next step of a caller with a loader.
#[expect(clippy::large_enum_variant, reason = "a miss costs the loader's box and no other")]
pub(crate) enum Decision<K: Hash + Eq, V> {
    /// The caller has its answer.
    Answer(Content<V>),
    /// The caller has its answer, which is due to be refreshed.
    Renew(Content<V>),
    /// The caller leads a flight.
    Lead(Leader<K, V>),
    /// The caller follows a flight.
    Follow(Follower<Landed<V>, FlightInfo>),
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Request<K, V> {
    /// Returns a value, from the cache or from the loader.
    pub(crate) async fn load(self, loader: BoxLoader<K, V>) -> Result<Content<V>> {
        self.check()?;
        let mut loader = Some(loader);
        loop {
            let follower = match self.decide().await? {
                Decision::Answer(content) => return Ok(content),
                Decision::Renew(content) => {
                    if let Some(loader) = loader.take() {
                        // Without a runtime there is no refresh, and the value is as good as it
                        // was.
                        let _ = self.start(Trigger::Refresh, loader);
                    }
                    return Ok(content);
                }
                Decision::Lead(lead) => {
                    let loader = loader.take().ok_or_else(gone)?;
                    let follower = lead.ticket.follow();
                    self.inner.spawn(lead.run(loader))?;
                    follower
                }
                Decision::Follow(follower) => follower,
            };
            let _waiting = waiting(&follower)?;
            runtime::require()?;
            if let Some(content) = self.answer(self.wait(follower).await)? {
                return Ok(content);
            }
        }
    }

    /// Starts a load in the background, unless one is under way. True if it has started one.
    pub(crate) fn start(&self, trigger: Trigger, loader: BoxLoader<K, V>) -> Result<bool> {
        let Some(lead) = self.claim(trigger) else { return Ok(false) };
        self.inner.spawn(lead.run(loader))?;
        Ok(true)
    }

    /// Leads the key's flight for a refresh, unless a load is under way.
    pub(crate) fn claim(&self, trigger: Trigger) -> Option<Leader<K, V>> {
        match self.join(FlightKind::Load, FlightInfo::met_by_refresh) {
            Join::Lead(ticket) => Some(self.leader(ticket, trigger)),
            Join::Follow(_) | Join::Left => None,
        }
    }

    /// Looks once, and joins the key's flight if there is no answer.
    pub(crate) async fn decide(&self) -> Result<Decision<K, V>> {
        match self.look_closer().await? {
            LocalAnswer::Serve(content) if self.purpose.takes(&content) => {
                self.inner.stats().hit();
                return Ok(Decision::Answer(content));
            }
            LocalAnswer::Renew(content) if self.purpose.takes(&content) => {
                self.inner.stats().hit();
                return Ok(Decision::Renew(content));
            }
            LocalAnswer::Rest(entry) if self.purpose.takes(&entry.content) => {
                self.inner.stats().stale_hit();
                return Ok(Decision::Answer(entry.content));
            }
            _ => {}
        }
        loop {
            match self.join(FlightKind::Load, FlightInfo::met_by_load) {
                Join::Lead(ticket) => {
                    return Ok(Decision::Lead(self.leader(ticket, self.purpose.trigger)));
                }
                Join::Follow(follower) => {
                    self.inner.stats().coalesced();
                    return Ok(Decision::Follow(follower));
                }
                Join::Left => {}
            }
        }
    }

    /// Returns the result of a wait for a load. None if the caller has to try again.
    pub(crate) fn answer(&self, taken: Taken<V>) -> Result<Option<Content<V>>> {
        let stats = self.inner.stats();
        match taken {
            Taken::Fresh(content) if self.purpose.takes(&content) => {
                stats.miss();
                Ok(Some(content))
            }
            Taken::Stale(content) => {
                stats.stale_hit();
                Ok(Some(content))
            }
            Taken::Failed(error) => {
                stats.miss();
                Err(error)
            }
            Taken::Fresh(_) | Taken::Aged(_) | Taken::Nothing | Taken::Again | Taken::Due(_) => {
                Ok(None)
            }
        }
    }

    fn leader(&self, ticket: Ticket<K, Landed<V>, FlightInfo>, trigger: Trigger) -> Leader<K, V> {
        let purpose = Purpose { trigger, ..self.purpose };
        Leader { request: Self { purpose, ..self.clone() }, ticket }
    }
}

/// Registers that the load this code runs in, if it runs in one, waits for another.
pub(crate) fn waiting<O>(follower: &Follower<O, FlightInfo>) -> Result<Option<Waiting>> {
    let Some(me) = Link::current() else { return Ok(None) };
    follower.info().needed.notify_one();
    me.wait_for(&follower.info().link).map(Some).map_err(|_| {
        let message = "it asked, maybe through others, for the key it loads";
        Error::new(ErrorKind::Reentrant, "load", message)
    })
}

/// The error for a load whose task was dropped with its runtime, or panicked outside of the loader.
pub(crate) fn gone() -> Error {
    let message = "the task that ran it is gone: it panicked, or its runtime has ended";
    Error::new(ErrorKind::Loader, "load", message)
}
