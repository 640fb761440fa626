//! The maker of the changes that loads race with: a cache of this process, or another process.

use std::sync::{Arc, Mutex};

use larder::{Cache, Options, Reach};
use larder_test_support::Child;

use crate::race::answered;
use crate::witness::Witness;

/// The number of kinds of changes.
pub(crate) const DEEDS: usize = 9;
/// A change that leaves the earlier value to be served, stale.
pub(crate) const MARK_STALE: usize = 5;
/// The change of a tag that only loaders' answers name.
pub(crate) const LATE_TAG: usize = 7;

#[derive(Clone)]
pub(crate) enum Changer {
    Here(Cache<u64, Witness>),
    There(Arc<Mutex<Child>>),
}

impl Changer {
    /// Makes the change, to this version where it stores a value. True if the change is confirmed.
    pub(crate) async fn change(&self, deed: usize, key: u64, version: u64) -> bool {
        match self {
            Self::Here(cache) => change(&with_tags(cache, deed), deed, key, version).await,
            Self::There(process) => {
                asked(process, format!("change {deed} {key} {version}")).await == Some(1)
            }
        }
    }

    /// Returns the version that it finds.
    pub(crate) async fn get(&self, key: u64) -> Option<u64> {
        match self {
            Self::Here(cache) => cache.get(&key).await.unwrap().map(|witness| witness.version(key)),
            Self::There(process) => asked(process, format!("get 0 {key} 0")).await,
        }
    }

    /// Returns the version that it gets where a loader would give this one.
    pub(crate) async fn load(&self, deed: usize, key: u64, version: u64) -> Option<u64> {
        match self {
            Self::Here(cache) => load(&with_tags(cache, deed), key, version).await,
            Self::There(process) => asked(process, format!("load {deed} {key} {version}")).await,
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Here(cache) => cache.close().await.unwrap(),
            Self::There(process) => assert_eq!(asked(process, "close 0 0 0".into()).await, None),
        }
    }
}

/// Returns the cache with the tags of a caller that makes this change, or loads a value that it
/// will end.
pub(crate) fn with_tags(cache: &Cache<u64, Witness>, deed: usize) -> Cache<u64, Witness> {
    cache.with(Options::new().tags(if deed == LATE_TAG { vec![] } else { vec!["known"] }))
}

async fn change(cache: &Cache<u64, Witness>, deed: usize, key: u64, version: u64) -> bool {
    let new = Witness::new(key, version);
    match deed {
        0 => cache.invalidate(&key).await.unwrap() == Reach::Confirmed,
        1 => {
            cache.remove(&key).await.unwrap();
            true
        }
        2 => cache.insert(key, new).await.unwrap() == Reach::Confirmed,
        3 => cache.insert_if_absent(key, new).await.unwrap(),
        4 => cache.replace(key, new).await.unwrap(),
        MARK_STALE => {
            cache.mark_stale(&key).await.unwrap();
            true
        }
        6 => cache.invalidate_tag("known").await.unwrap() == Reach::Confirmed,
        LATE_TAG => cache.invalidate_tag("late").await.unwrap() == Reach::Confirmed,
        _ => cache.invalidate_all().await.unwrap() == Reach::Confirmed,
    }
}

async fn load(cache: &Cache<u64, Witness>, key: u64, version: u64) -> Option<u64> {
    let loader = move || async move { Witness::new(key, version) };
    let came = cache.get_with(&key, loader).await;
    answered(came).map(|witness| witness.version(key))
}

async fn asked(process: &Arc<Mutex<Child>>, order: String) -> Option<u64> {
    let process = Arc::clone(process);
    let ask = move || {
        let mut process = process.lock().unwrap();
        process.say(&order);
        process.hear().expect("the other process answers").parse().ok()
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}
