//! One case's view of the store: names of its own, and single-key forms of the calls.

use std::fmt;
use std::time::Duration;

use larder_core::{
    AnyBackend, Backend, Capabilities, Class, Delete, Expect, Key, Namespace, Outcome, Record,
    Retime, Times, Version, Write,
};

use crate::conformance::Env;
use crate::conformance::check::{done, value};

/// One case's view of the store.
///
/// Its methods panic where the store answers with an error, which fails the case.
pub struct Trial {
    // The field is before the environment: dropping a driver may need its runtime.
    backend: AnyBackend,
    env: Box<dyn Env>,
    mark: String,
}

impl Trial {
    /// Opens the store.
    pub(super) fn open(env: impl Env) -> Self {
        let mut opened = None;
        env.run(Box::pin(async { opened = Some(env.open().await) }));
        let backend = opened.expect("the environment runs a task to its end");
        // Stores outlive a run, and the cases of one run share them.
        let mark = format!("{:032x}-", u128::from_be_bytes(Version::next().to_bytes()));
        Self { backend, env: Box::new(env), mark }
    }

    /// Returns the backend on trial.
    #[must_use]
    pub fn backend(&self) -> &AnyBackend {
        &self.backend
    }

    /// Opens the store once more, as another process does. Where each opening makes a store of its
    /// own, returns the backend on trial.
    pub async fn open_again(&self) -> AnyBackend {
        let (key, other) = (self.key("opened again"), self.env.open().await);
        self.put(&key, &value("here")).await;
        if matches!(other.read_one(&key).await, Ok(Some(_))) { other } else { self.backend.clone() }
    }

    /// Returns the capabilities that the backend claims.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.backend.capabilities()
    }

    /// Returns a namespace that only this trial uses.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Namespace {
        let marked = format!("{}{name}", self.mark);
        Namespace::new(&marked).expect("the suite's names are short")
    }

    /// Returns the key of an entry that only this trial uses.
    #[must_use]
    pub fn key(&self, text: impl AsRef<[u8]>) -> Key {
        Key::new(&self.namespace("suite"), Class::Entry, text.as_ref())
    }

    /// Returns that many different keys.
    #[must_use]
    pub fn keys(&self, count: usize) -> Vec<Key> {
        (0..count).map(|index| self.key(index.to_string())).collect()
    }

    /// Runs a future to its end on this thread.
    pub fn wait<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        let mut answer = None;
        self.env.run(Box::pin(async { answer = Some(future.await) }));
        answer.expect("the environment runs a task to its end")
    }

    /// Lets the store's time pass.
    pub async fn pass(&self, duration: Duration) {
        self.env.pass(duration).await;
    }

    /// Lets time pass until a record of this life is surely dead.
    pub async fn outlive(&self, life: Duration) {
        self.pass(life.saturating_add(self.granularity())).await;
    }

    /// Returns the smallest step of the clock, if the trial moves it.
    #[must_use]
    pub fn resolution(&self) -> Option<Duration> {
        self.env.resolution()
    }

    /// Returns the granularity of the store's expiry.
    #[must_use]
    pub fn granularity(&self) -> Duration {
        self.capabilities().native_ttl.unwrap_or_default()
    }

    /// Returns a life that outlasts a few calls and is short enough to wait for.
    #[must_use]
    pub fn moment(&self) -> Duration {
        match self.resolution() {
            Some(_) => Duration::from_secs(10),
            None => (2 * self.granularity()).max(Duration::from_secs(1)),
        }
    }

    /// Reads the live record under a key.
    pub async fn read(&self, key: &Key) -> Option<Record> {
        match self.backend.read_one(key).await {
            Ok(record) => record,
            Err(error) => panic!("a read failed: {error}"),
        }
    }

    /// Reads the live record under a key that must hold one.
    pub async fn found(&self, key: &Key) -> Record {
        self.read(key).await.expect("a live record is read")
    }

    /// Writes one record.
    pub async fn write(&self, key: &Key, record: &Record, expect: Expect) -> Outcome {
        let write = Write { key: key.clone(), record: record.clone(), expect };
        only(self.backend.write(&[write]).await)
    }

    /// Writes one record over anything, which must be done.
    pub async fn put(&self, key: &Key, record: &Record) {
        done(&self.write(key, record, Expect::Any).await);
    }

    /// Gives one record a new life.
    pub async fn retime(&self, key: &Key, version: Version, times: Times) -> Outcome {
        let retime = Retime { key: key.clone(), version, token: None, times };
        only(self.backend.retime(&[retime]).await)
    }

    /// Deletes one record.
    pub async fn delete(&self, key: &Key, expect: Expect) -> Outcome {
        only(self.backend.delete(&[Delete { key: key.clone(), expect }]).await)
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").field("backend", &self.backend).finish_non_exhaustive()
    }
}

fn only(outcomes: Vec<Outcome>) -> Outcome {
    let [outcome] = <[Outcome; 1]>::try_from(outcomes).expect("one answer for one key");
    outcome
}
