//! Support for cached functions.

use larder_core::Result;

use crate::cache::{Cache, FIND, VALUE};
use crate::key::CacheKey;
use crate::load::loader::{BoxLoader, Ended, Load};
use crate::load::purpose::{Purpose, Trigger};
use crate::load::request::Request;
use crate::lookup::Lookup;
use crate::options::Options;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Returns the value here under the key, without asking for the options; else a request under
    /// them.
    pub(crate) fn here_or_request<Q: ?Sized + Lookup<K>>(
        &self,
        key: &Q,
        finds: bool,
        options: impl FnOnce() -> Options,
    ) -> Result<Option<V>, Box<Request<K, V>>> {
        let purpose = purpose(finds);
        match self.hit(key, purpose) {
            Ok(content) => Ok(content.into_option()),
            Err(hash) => Err(Box::new(self.with(options()).request(hash, key.to_key(), purpose))),
        }
    }

    /// Runs a request here, on this thread, to the end.
    pub(crate) fn obtain_here<Q: ?Sized + Lookup<K>>(
        key: &Q,
        request: Request<K, V>,
        loader: impl FnOnce(Load<K, V>) -> Ended<V>,
    ) -> Result<Option<V>> {
        let view = Self { inner: request.inner, settings: request.settings };
        Ok(view.blocking().obtain(key, request.purpose, loader)?.into_option())
    }

    /// Starts a load in the background. True if it has started one.
    pub(crate) fn renew<Q: ?Sized + Lookup<K>>(
        &self,
        key: &Q,
        loader: BoxLoader<K, V>,
    ) -> Result<bool> {
        let request = self.request(self.inner.local.hash(key), key.to_key(), FIND);
        request.check()?;
        request.start(Trigger::Force, loader)
    }

    /// Loads on this thread, unless a load is under way. True if it has loaded.
    pub(crate) fn renew_here<Q: ?Sized + Lookup<K>>(
        &self,
        key: &Q,
        loader: impl FnOnce(Load<K, V>) -> Ended<V>,
    ) -> Result<bool> {
        self.blocking().renew(key, FIND, loader)
    }
}

/// Returns the purpose of a function's loads. Functions name their tags beforehand; only some can
/// find that there is no value.
const fn purpose(finds: bool) -> Purpose {
    if finds { FIND } else { VALUE }
}
