//! Rounds in which loads of one cache race with changes of another.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::backend::ErrorKind;
use larder::{Cache, CacheBuilder, Loaded, Options};
use larder_disk::{DiskBackend, DiskConfig};
use larder_test_support::Refused;

use crate::changer::{Changer, DEEDS, LATE_TAG, MARK_STALE, with_tags};
use crate::witness::Witness;

pub(crate) fn racers() -> CacheBuilder<u64, Witness> {
    let (grace, ttl) = (Duration::from_secs(60), Duration::from_secs(600));
    Cache::builder().grace(grace).ttl(ttl).backend_timeout(grace)
}

pub(crate) fn disk(folder: &Path) -> DiskBackend {
    DiskBackend::open(DiskConfig::new(folder)).unwrap()
}

/// A cache over this folder that compares at each read, so that it is never behind another one.
pub(crate) fn own_of(folder: &Path) -> Cache<u64, Witness> {
    let builder = racers().local_ttl(Duration::ZERO).tag_check(Duration::ZERO);
    builder.backend(disk(folder)).build().unwrap()
}

/// Returns the answer of a load. None if it shared one whose loader refused.
pub(crate) fn answered<T>(result: larder::Result<T>) -> Option<T> {
    match result {
        Ok(answer) => Some(answer),
        Err(error) => {
            // The failure may be one that another cache of the store has left.
            assert_eq!(error.kind(), ErrorKind::Loader, "{error:?}");
            None
        }
    }
}

/// The subject of a round: one key, and the source of its value.
#[derive(Clone)]
struct Race {
    /// The cache whose loads race.
    cache: Cache<u64, Witness>,
    /// The cache whose changes race with them: the same one, or another.
    changer: Changer,
    deed: usize,
    key: u64,
    truth: Arc<AtomicU64>,
}

impl Race {
    /// Reads the source as a loader does: at its start, with the answer some time later.
    async fn read(self) -> Witness {
        let version = self.truth.load(Ordering::SeqCst);
        for _ in 0..fastrand::usize(..6) {
            tokio::task::yield_now().await;
        }
        Witness::new(self.key, version)
    }

    fn read_now(&self) -> Witness {
        let version = self.truth.load(Ordering::SeqCst);
        for _ in 0..fastrand::usize(..6) {
            std::thread::yield_now();
        }
        Witness::new(self.key, version)
    }

    async fn ask(self, verb: usize) {
        let (race, cache, key) = (self.clone(), self.cache.clone(), self.key);
        let source = self.clone();
        let late = |_| async { Ok::<_, Refused>(Loaded::new(source.read().await).tags(["late"])) };
        let witness = match verb {
            0 => answered(cache.get_with(&key, || race.read()).await),
            1 => {
                let loader = || async { Ok::<_, Refused>(race.read().await) };
                answered(cache.try_get_with(&key, loader).await)
            }
            LOAD_LATE => answered(cache.load(&key, late).await).flatten(),
            3 => {
                let loader = || async { Some(race.read().await) };
                answered(cache.optionally_get_with(&key, loader).await).flatten()
            }
            REFRESH_LATE => {
                cache.refresh(&key, late).unwrap();
                None
            }
            5 => answered(cache.blocking().get_with(&key, || race.read_now())),
            _ => cache.get(&key).await.unwrap(),
        };
        if let Some(witness) = witness {
            witness.version(key);
        }
    }

    /// Changes the source, and then the cache. Returns the oldest version that may be read from
    /// then on, if the change is confirmed.
    async fn change(self) -> Option<u64> {
        let version = self.truth.fetch_add(1, Ordering::SeqCst) + 1;
        self.changer.change(self.deed, self.key, version).await.then_some(version)
    }

    /// Prepares the earlier state: no value, or an old value, maybe in the store alone.
    async fn prepare(&self) {
        self.cache.invalidate(&self.key).await.unwrap();
        if self.deed == LATE_TAG || fastrand::bool() {
            return;
        }
        let now = self.truth.load(Ordering::SeqCst);
        self.cache.insert(self.key, Witness::new(self.key, now)).await.unwrap();
        if fastrand::bool() {
            self.cache.set_ttl(&self.key, Duration::from_secs(300)).await.unwrap();
        }
        if fastrand::bool() {
            self.cache.mark_stale(&self.key).await.unwrap();
        }
    }

    /// Checks that no read finds an older value.
    async fn check(&self, least: u64, told: &str) {
        for is_changer in [false, true, false] {
            let found = if is_changer {
                self.changer.get(self.key).await
            } else {
                let found = self.cache.get(&self.key).await.unwrap();
                found.map(|witness| witness.version(self.key))
            };
            assert!(found.is_none_or(|version| version >= least), "{told}: {found:?} of {least}");
            tokio::task::yield_now().await;
        }
    }

    /// Runs callers that come after the change, and do not wait where a value is handed out to
    /// them.
    async fn take(&self, least: u64, told: &str) {
        let mut caches = vec![&self.cache, &self.cache];
        if let Changer::Here(changer) = &self.changer {
            caches.insert(1, changer);
        }
        for cache in caches {
            let hurried = with_tags(cache, self.deed);
            let hurried = hurried.with(Options::new().soft_timeout(Duration::ZERO));
            let asked = self.clone();
            let loader = move || async move {
                let witness = asked.read().await;
                if fastrand::bool() { Err(Refused) } else { Ok(witness) }
            };
            if let Ok(witness) = hurried.try_get_with(&self.key, loader).await {
                let version = witness.version(self.key);
                assert!(version >= least, "{told}: {version} of {least} is handed out");
            }
        }
    }

    async fn run(self, verb: usize, loads: usize, told: &str) {
        self.prepare().await;
        let loads: Vec<_> = (0..loads).map(|_| tokio::spawn(self.clone().ask(verb))).collect();
        for _ in 0..fastrand::usize(..4) {
            tokio::task::yield_now().await;
        }
        let least = tokio::spawn(self.clone().change()).await.unwrap();
        if let Some(least) = least {
            self.check(least, told).await;
            if self.deed != MARK_STALE {
                self.take(least, told).await;
            }
        }
        for load in loads {
            load.await.unwrap();
        }
        if let Some(least) = least {
            self.check(least, told).await;
            let now = self.truth.load(Ordering::SeqCst);
            let loaded = self.changer.load(self.deed, self.key, now).await;
            assert!(loaded.is_none_or(|version| version >= least), "{told}: {loaded:?}");
            self.check(least, told).await;
        }
    }
}

async fn in_time(run: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(Duration::from_secs(60), run).await.is_ok()
}

/// Lets loads of one cache race with changes. Real threads race, so time is real as well.
pub(crate) fn race(cache: &Cache<u64, Witness>, changer: &Changer, rounds: usize) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_time().build().unwrap();
    // One source for all rounds: a refresh may outlive its round, and reads what is true then.
    let sources: Vec<_> = (0..8).map(|key| (key, Arc::new(AtomicU64::new(1)))).collect();
    for round in 0..rounds {
        let (deed, is_even) = (round % DEEDS, round % 2 == 0);
        // A tag that only the answer names is changed against loads that name it.
        let verb = match deed {
            LATE_TAG if is_even => LOAD_LATE,
            LATE_TAG => REFRESH_LATE,
            _ => fastrand::usize(..VERBS),
        };
        let (key, truth) = fastrand::choice(&sources).cloned().unwrap();
        let cache = with_tags(cache, deed);
        let race = Race { cache, changer: changer.clone(), deed, key, truth };
        let told = format!("verb {verb}, deed {deed}, round {round}");
        let run = race.run(verb, round % 3 + 1, &told);
        let is_in_time = runtime.block_on(in_time(run));
        if !is_in_time {
            // The hanging part may be the other process, whose answer a thread waits for.
            runtime.shutdown_background();
            panic!("{told}: it hangs");
        }
    }
    // No flight or task is left behind.
    runtime.block_on(async {
        cache.close().await.unwrap();
        changer.close().await;
    });
}

const VERBS: usize = 7;
const LOAD_LATE: usize = 2;
const REFRESH_LATE: usize = 4;
