//! One backend as a tier: its names, its time and its calls, each of which ends within a time
//! limit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder_core::{
    AnyBackend, Backend, Class, Delete, Error, ErrorKind, Expect, Header, Key, Namespace, Outcome,
    Record, Result, Retime, StoreTime, Times, Timestamp, Version, Write,
};

use crate::layer::Untimed;
use crate::support::clock::LocalClock;
use crate::support::runtime::{Sleep, before};
use crate::support::sync::lock;

/// The time for which one sample of the store's clock is used.
const CLOCK_SAMPLE: Duration = Duration::from_secs(60);
/// The longest time that a sample may take. A slower one is too inexact.
const CLOCK_ERROR: Duration = Duration::from_millis(500);

/// A backend, with the names of this cache's records in it.
pub(crate) struct Remote {
    backend: AnyBackend,
    namespace: Namespace,
    mangler: Option<Mangler>,
    pub(crate) clock: LocalClock,
    /// The time limit of one call of the backend. The backend is wrapped in a layer that keeps to
    /// it.
    pub(crate) timeout: Duration,
    sample: Arc<Mutex<Option<Sample>>>,
}

/// Makes an entry's name at the backend from its key's text.
pub(crate) type Mangler = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// The time at which the store's clock was asked, and its answer.
type Sample = (Timestamp, Option<StoreTime>);

impl Remote {
    pub(crate) fn new(
        backend: Untimed,
        namespace: Namespace,
        mangler: Option<Mangler>,
        clock: LocalClock,
        timeout: Duration,
    ) -> Self {
        let backend = backend(clock.clone(), timeout);
        Self { backend, namespace, mangler, clock, timeout, sample: Arc::default() }
    }

    /// Returns this tier, asked through `backend`.
    pub(super) fn through(&self, backend: impl Backend) -> Self {
        Self {
            backend: AnyBackend::new(backend),
            namespace: self.namespace.clone(),
            mangler: self.mangler.clone(),
            clock: self.clock.clone(),
            sample: Arc::clone(&self.sample),
            ..*self
        }
    }

    pub(crate) fn key(&self, class: Class, text: &str) -> Key {
        match &self.mangler {
            Some(mangle) if class == Class::Entry => {
                let (text, mangled) = (text.as_bytes(), mangle(text));
                Key::mangled(&self.namespace, class, text, mangled.as_bytes())
            }
            _ => Key::new(&self.namespace, class, text.as_bytes()),
        }
    }

    /// Returns the name beside an entry where a load over this version leaves its lease.
    ///
    /// The name contains the entry's own name: a mangled key stays mangled.
    pub(crate) fn beside(&self, entry: &Key, version: Version) -> Key {
        let class = self.namespace.class_prefix(Class::Entry);
        let name = entry.name().strip_prefix(class.as_slice()).unwrap_or(entry.name());
        let mut text = format!("{:032x}", u128::from_be_bytes(version.to_bytes())).into_bytes();
        text.extend_from_slice(name);
        Key::new(&self.namespace, Class::Refresh, &text)
    }

    pub(crate) const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(crate) fn backend(&self) -> &AnyBackend {
        &self.backend
    }

    pub(crate) async fn read(&self, key: &Key) -> Result<Option<Record>> {
        self.backend.read_one(key).await
    }

    pub(crate) async fn read_many(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        self.backend.read(keys).await
    }

    pub(crate) async fn write(&self, key: &Key, record: Record, expect: Expect) -> Outcome {
        let write = Write { key: key.clone(), record, expect };
        one("write", self.backend.write(std::slice::from_ref(&write)).await)
    }

    pub(crate) async fn delete(&self, key: &Key, expect: Expect) -> Outcome {
        let delete = Delete { key: key.clone(), expect };
        one("delete", self.backend.delete(std::slice::from_ref(&delete)).await)
    }

    pub(crate) async fn retime(&self, key: &Key, header: &Header, times: Times) -> Outcome {
        let (version, token) = (header.version, header.token.clone());
        let retime = Retime { key: key.clone(), version, token, times };
        one("retime", self.backend.retime(std::slice::from_ref(&retime)).await)
    }

    /// Makes the backend connect.
    pub(crate) async fn connect(&self) -> Result<()> {
        unless_lacking(self.backend.incarnation().await.map(drop))
    }

    /// Frees at most this many dead records of the store and returns their number. The error of a
    /// store that cannot do so is returned.
    pub(crate) async fn purge(&self, limit: usize) -> Result<usize> {
        self.backend.purge(limit).await
    }

    pub(crate) async fn close(&self) -> Result<()> {
        unless_lacking(self.backend.close().await)
    }

    /// Returns the store's clock, reckoned from a sample that is at most a minute old. Zero if the
    /// store did not answer within half a second; it is not asked again within the minute.
    pub(crate) async fn store_now(&self) -> StoreTime {
        let now = self.clock.now();
        let sample = *lock(&self.sample);
        let mut sample = sample.filter(|(at, _)| now.since(*at) < CLOCK_SAMPLE);
        if sample.is_none() {
            let asked = before(Sleep::new(&self.clock, CLOCK_ERROR), self.backend.clock()).await;
            sample = Some((now, asked.and_then(Result::ok)));
            *lock(&self.sample) = sample;
        }
        let (at, told) = sample.unwrap_or((now, None));
        told.map_or_else(StoreTime::default, |time| later(time, now.since(at)))
    }
}

/// Turns the error of an optional call that the store does not support into success.
fn unless_lacking(answer: Result<()>) -> Result<()> {
    match answer {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        answer => answer,
    }
}

fn one(operation: &'static str, mut outcomes: Vec<Outcome>) -> Outcome {
    outcomes.pop().unwrap_or_else(|| {
        let message = "the backend did not answer for the key";
        Outcome::Unknown(Error::new(ErrorKind::Unavailable, operation, message))
    })
}

fn later(time: StoreTime, by: Duration) -> StoreTime {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    StoreTime::from_micros(time.as_micros().saturating_add(micros))
}
