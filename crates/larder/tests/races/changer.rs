//! Who makes the changes that loads race with: a cache of this process, or another process.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use larder::{Cache, Options, Reach};

use crate::race::{answered, own_of};
use crate::witness::Witness;

/// How many kinds of changes there are.
pub(crate) const DEEDS: usize = 9;
/// A change that leaves what was there to be served, stale.
pub(crate) const MARK_STALE: usize = 5;
/// The change of a tag that only loaders' answers name.
pub(crate) const LATE_TAG: usize = 7;

#[derive(Clone)]
pub(crate) enum Changer {
    Here(Cache<u64, Witness>),
    There(Arc<Mutex<Process>>),
}

impl Changer {
    /// Makes the change, to this version where it stores something; whether it is confirmed.
    pub(crate) async fn change(&self, deed: usize, key: u64, version: u64) -> bool {
        match self {
            Self::Here(cache) => change(&with_tags(cache, deed), deed, key, version).await,
            Self::There(process) => {
                asked(process, format!("change {deed} {key} {version}")).await == Some(1)
            }
        }
    }

    /// The version that it finds.
    pub(crate) async fn get(&self, key: u64) -> Option<u64> {
        match self {
            Self::Here(cache) => cache.get(&key).await.unwrap().map(|witness| witness.version(key)),
            Self::There(process) => asked(process, format!("get 0 {key} 0")).await,
        }
    }

    /// The version that it gets where a loader would give this one.
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

/// What a caller names who makes this change, or loads what it will end.
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

/// A process that does what its parent writes, line by line.
pub(crate) struct Process {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts this test's program again.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["changer::another_process_obeys", "--exact", "--nocapture"]);
        command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { orders: child.stdin.take().unwrap(), child, answers }
    }

    fn ask(&mut self, order: &str) -> Option<u64> {
        writeln!(self.orders, "{order}").unwrap();
        let answers = self.answers.by_ref().map(Result::unwrap);
        // The harness writes lines of its own, and does not end them.
        let mut answers = answers.filter_map(|line| Some(line.split_once(MARK)?.1.to_owned()));
        answers.next().expect("the other process answers").parse().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn asked(process: &Arc<Mutex<Process>>, order: String) -> Option<u64> {
    let process = Arc::clone(process);
    tokio::task::spawn_blocking(move || process.lock().unwrap().ask(&order)).await.unwrap()
}

/// The other process's life, if this is it.
#[test]
fn another_process_obeys() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let cache = own_of(Path::new(&folder));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let mut words = order.split(' ');
        let verb = words.next().unwrap();
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        let (deed, key, version) = (usize::try_from(number()).unwrap(), number(), number());
        let changer = Changer::Here(cache.clone());
        let answer = runtime.block_on(async {
            match verb {
                "change" => Some(u64::from(changer.change(deed, key, version).await)),
                "load" => changer.load(deed, key, version).await,
                "close" => {
                    changer.close().await;
                    None
                }
                _ => changer.get(key).await,
            }
        });
        let told = answer.map_or_else(|| "none".to_owned(), |answer| answer.to_string());
        println!("{MARK}{told}");
    }
}

const FOLDER: &str = "LARDER_RACES_FOLDER";
const MARK: &str = "@";
