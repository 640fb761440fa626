//! A look-up without a loader.

use std::sync::Arc;

use larder_core::Result;

use crate::flight::flights::Join;
use crate::flight::info::{FlightInfo, FlightKind};
use crate::flight::outcome::{Landed, Taken};
use crate::key::CacheKey;
use crate::load::leader::Leader;
use crate::load::look::LocalAnswer;
use crate::load::request::Request;
use crate::observe::event::Event;
use crate::support::runtime;
use crate::tier::entry::Content;
use crate::tier::marks::current::Age;
use crate::tier::shared::{Found, Shared};

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Request<K, V> {
    /// Returns a value without a loader: from here, or copied from the shared tier.
    pub(crate) async fn get(self) -> Result<Option<Content<V>>> {
        self.inner.check_open()?;
        for _ in 0..GET_TRIES {
            if let Some(answer) = self.try_get().await? {
                return Ok(answer);
            }
        }
        Ok(self.allowed(None))
    }

    /// Tries once. None if the result of the wait does not count for this caller.
    async fn try_get(&self) -> Result<Option<Option<Content<V>>>> {
        let stale = match self.look_closer().await? {
            LocalAnswer::Serve(content) | LocalAnswer::Renew(content) => {
                self.inner.stats().hit();
                return Ok(Some(Some(content)));
            }
            LocalAnswer::Rest(entry) => Some(entry),
            // A copy that is due to be compared is not served: the authority may know better.
            LocalAnswer::Spent(entry) => {
                entry.metadata.is_copy_trusted(self.inner.now()).then_some(entry)
            }
            LocalAnswer::Nothing => None,
        };
        let Some(shared) = self.inner.stack.below() else { return Ok(Some(self.stale(stale))) };
        let answer = match self.fill(shared).await? {
            Taken::Fresh(content) => {
                self.inner.stats().hit();
                Some(content)
            }
            Taken::Aged(content) | Taken::Stale(content) => self.allowed(Some(content)),
            Taken::Failed(error) if shared.strict => return Err(error),
            Taken::Failed(_) => self.stale(stale),
            Taken::Nothing => self.allowed(None),
            Taken::Again | Taken::Due(_) => return Ok(None),
        };
        Ok(Some(answer))
    }

    /// Copies the key from the shared tier, once for all callers that ask. A load that is under way
    /// is neither waited for nor disturbed.
    async fn fill(&self, shared: &Arc<Shared<V>>) -> Result<Taken<V>> {
        runtime::require()?;
        let follower = match self.join(FlightKind::Fill, FlightInfo::met_by_get) {
            Join::Lead(ticket) => {
                let follower = ticket.follow();
                let leader = Leader { request: self.clone(), ticket };
                self.inner.spawn(leader.fill(Arc::clone(shared)))?;
                follower
            }
            Join::Follow(follower) => follower,
            Join::Left => {
                let key = shared.key(&self.key);
                let find = shared.find(&key, self.inner.local.marks(), Age::Checked, None);
                let found = Box::pin(find).await;
                let landed = match found.map(Found::into_entry) {
                    Ok(Some(entry)) => Landed::found(&entry),
                    Ok(None) => Landed::Miss,
                    Err(error) => {
                        self.inner.tell(&Event::SharedFailed(error.clone()));
                        Landed::Failed(error)
                    }
                };
                return Ok(self.judge_since(self.arrived).take(landed));
            }
        };
        Ok(self.wait(follower).await)
    }
}

/// The number of times that a `get` looks anew, because the flight that it followed does not count
/// for it. A flight that it leads itself always does.
const GET_TRIES: usize = 3;
