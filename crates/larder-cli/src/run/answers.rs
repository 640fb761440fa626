//! The answers that are kept, and the refreshes of them that failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use larder::backend::{Backend as _, NEVER};
use larder::{Cache, EntryInfo, Event, Life, MessagePack, Options, Result};

use crate::exit::with_causes;
use crate::run::Run;
use crate::run::answer::Answer;
use crate::store::Store;

/// The answers of one store.
pub(super) struct Answers {
    pub(super) cache: Cache<String, Answer>,
    /// The exit status of each answer's last refresh, if that failed.
    failures: Cache<String, u8>,
    store: Store,
    trouble: Trouble,
}

/// The last problem beside an answer.
#[derive(Clone, Default)]
struct Trouble {
    last: Arc<Mutex<Option<String>>>,
    is_overtaken: Arc<AtomicBool>,
}

/// A kept answer.
pub(super) struct Kept {
    pub(super) answer: Answer,
    pub(super) age: Duration,
    pub(super) life: Life,
}

impl Answers {
    /// Opens the store, for answers with the lives that the run names.
    pub(super) fn open(run: &Run, url: Option<&str>) -> Result<Self> {
        // A store that others keep busy must cost a moment only, not as long as the command.
        let store = Store::open_within(url, run.namespace(), BUSY_TIMEOUT)?;
        let trouble = Trouble::default();
        let observer = trouble.clone();
        let cache = store.cache_with(MessagePack, |builder| {
            let builder = builder.ttl(run.ttl()).grace(run.grace()).lease_limit(run.lease);
            builder.on_event(move |event| observer.note(event))
        })?;
        // A command may take any time.
        let options = Options::new().hard_timeout(NEVER);
        let cache = cache.with(options.tags(run.tags.iter().map(String::as_str)));
        let noted_for = run.ttl().saturating_add(run.grace());
        let failures = store
            .with_namespace(FAILURES)?
            .cache_with(MessagePack, |builder| builder.ttl(noted_for))?;
        Ok(Self { cache, failures, store, trouble })
    }

    /// Returns the answer under the key, also past its ttl.
    pub(super) async fn look(&self, key: &str) -> Result<Option<Kept>> {
        let stale = self.cache.with(Options::new().allow_stale(true));
        let Some(answer) = stale.get(key).await? else { return Ok(None) };
        let info = stale.entry_info(key).await?;
        Ok(info.map(|EntryInfo { age, life, .. }| Kept {
            answer,
            age: age.unwrap_or_default(),
            life,
        }))
    }

    /// Returns the status and the age of the key's last refresh, if that failed.
    pub(super) async fn last_failure(&self, key: &str) -> Option<(u8, Duration)> {
        let name = self.failure_of(key);
        let status = self.failures.get(&name).await.ok().flatten()?;
        let info = self.failures.entry_info(&name).await.ok().flatten()?;
        Some((status, info.age.unwrap_or_default()))
    }

    /// Notes the end of the key's refresh.
    pub(super) async fn note_refresh(&self, key: &str, failed: Option<u8>) {
        let _ = match failed {
            Some(status) => self.failures.insert(self.failure_of(key), status).await,
            None => self.failures.invalidate(&self.failure_of(key)).await,
        };
    }

    /// Returns the key for the failure of an answer's refresh: the full key of the answer's record,
    /// which names the namespace, too.
    fn failure_of(&self, key: &str) -> String {
        String::from_utf8_lossy(self.store.key(key).full()).into_owned()
    }

    /// Frees some of the room of dead records: no process lives long enough to do it by itself.
    pub(super) async fn tidy(&self) {
        let _ = self.store.backend.purge(PURGED_AT_ONCE).await;
    }

    /// True if an answer was not kept because a change, or another process's answer, came first.
    pub(super) fn is_overtaken(&self) -> bool {
        self.trouble.is_overtaken.load(Ordering::Relaxed)
    }

    /// Returns the last problem of the store, if there was one.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Trouble {
    fn note(&self, event: &Event) {
        let text = match event {
            Event::LoadOvertaken => return self.is_overtaken.store(true, Ordering::Relaxed),
            Event::SharedFailed(error) | Event::NotStored(error) | Event::NotConfirmed(error) => {
                with_causes(error)
            }
            _ => return,
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

/// The time after a failed refresh before the next may begin.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The namespace of the failed refreshes of all namespaces. A name made from the answer's own could
/// exceed the limit on a namespace's length.
const FAILURES: &str = "run-failures";
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
const PURGED_AT_ONCE: usize = 1_000;
