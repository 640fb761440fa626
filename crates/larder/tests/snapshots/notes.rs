//! Logging of changes where an append waits for a device: the callers that wait, and their answers.

use std::io::{self, Read, Write};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use larder::{Cache, Reach, Sink, Snapshot};
use larder_test_support::MemorySink;

/// A sink whose appends wait while it is closed.
#[derive(Clone, Default)]
struct GatedSink {
    sink: MemorySink,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

#[derive(Default)]
struct Gate {
    is_closed: bool,
    waiting: usize,
    appends: usize,
}

impl GatedSink {
    fn set_closed(&self, is_closed: bool) {
        self.gate.0.lock().unwrap().is_closed = is_closed;
        self.gate.1.notify_all();
    }

    fn appends(&self) -> usize {
        self.gate.0.lock().unwrap().appends
    }

    async fn until_waiting(&self) {
        while self.gate.0.lock().unwrap().waiting == 0 {
            tokio::task::yield_now().await;
        }
    }

    fn open(&self) -> Cache<u64, u64> {
        Cache::builder().snapshot(Snapshot::new(self.clone())).build().unwrap()
    }

    /// Restores the state that a process leaves that is killed now.
    fn left(&self) -> Cache<u64, u64> {
        Cache::builder().snapshot(Snapshot::new(self.sink.left())).build().unwrap()
    }
}

impl Sink for GatedSink {
    fn read(&self) -> io::Result<Option<Box<dyn Read + Send>>> {
        self.sink.read()
    }

    fn replace(
        &self,
        log: Option<&str>,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        self.sink.replace(log, write)
    }

    fn read_log(&self, log: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        self.sink.read_log(log)
    }

    fn begin(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
        self.sink.begin(log, bytes)
    }

    fn append(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
        let (gate, changed) = &*self.gate;
        let mut gate = gate.lock().unwrap();
        gate.waiting += 1;
        // The limit ends the wait of a failing test.
        let limit = Duration::from_secs(10);
        gate = changed.wait_timeout_while(gate, limit, |gate| gate.is_closed).unwrap().0;
        gate.waiting -= 1;
        gate.appends += 1;
        drop(gate);
        self.sink.append(log, bytes)
    }

    fn clear(&self) -> io::Result<()> {
        self.sink.clear()
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
}

/// Begins a change that nobody waits for.
fn abandon(change: impl Future<Output = larder::Result<Reach>>) {
    assert!(pin!(change).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// Broken once: each change was synced on its task's thread, one after the other.
#[test]
fn no_thread_of_a_task_waits_for_a_note_and_changes_share_the_next_append() {
    run(async {
        let sink = GatedSink::default();
        let cache = sink.open();
        cache.insert(0, 0).await.unwrap();
        cache.save().await.unwrap();
        let before = sink.appends();
        sink.set_closed(true);
        let insert = |key| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.insert(key, key).await })
        };
        let first = insert(1);
        sink.until_waiting().await;
        let others: Vec<_> = (2..100).map(insert).collect();
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert_eq!(cache.get(&99).await.unwrap(), Some(99), "the tasks go on");
        assert!(!first.is_finished(), "a change is confirmed once it is noted");
        assert!(others.iter().all(|insert| !insert.is_finished()));
        sink.set_closed(false);
        for insert in std::iter::once(first).chain(others) {
            assert_eq!(insert.await.unwrap().unwrap(), Reach::Confirmed);
        }
        assert_eq!(sink.appends() - before, 2);
    });
}

#[test]
fn a_change_whose_caller_has_gone_is_noted() {
    run(async {
        let sink = GatedSink::default();
        let cache = sink.open();
        cache.insert(1, 1).await.unwrap();
        cache.save().await.unwrap();
        sink.set_closed(true);
        abandon(cache.insert(1, 2));
        sink.set_closed(false);
        // The second change is confirmed after the first is logged.
        cache.insert(2, 2).await.unwrap();
        assert_eq!(sink.left().get(&1).await.unwrap(), None);
    });
}

#[test]
fn a_cache_that_is_closed_has_saved_what_was_not_noted_yet() {
    run(async {
        let sink = GatedSink::default();
        let cache = sink.open();
        cache.insert(1, 1).await.unwrap();
        cache.save().await.unwrap();
        sink.set_closed(true);
        abandon(cache.insert(1, 2));
        abandon(cache.insert(3, 3));
        sink.until_waiting().await;
        let closing = tokio::spawn(async move { cache.close().await });
        tokio::task::yield_now().await;
        sink.set_closed(false);
        closing.await.unwrap().unwrap();
        let left = sink.left();
        assert_eq!(left.get(&1).await.unwrap(), Some(2));
        assert_eq!(left.get(&3).await.unwrap(), Some(3));
    });
}

#[test]
fn a_note_that_cannot_be_written_is_told_to_each_who_waits() {
    run(async {
        let sink = GatedSink::default();
        let cache = sink.open();
        cache.insert(1, 1).await.unwrap();
        cache.save().await.unwrap();
        sink.sink.change(|kept| kept.is_stuck = true);
        let change = |key| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.invalidate(&key).await.unwrap() })
        };
        for change in [change(1), change(2), change(3)] {
            assert_eq!(change.await.unwrap(), Reach::Local);
        }
        sink.sink.change(|kept| kept.is_stuck = false);
        assert_eq!(cache.invalidate(&1).await.unwrap(), Reach::Confirmed);
        assert_eq!(sink.left().get(&1).await.unwrap(), None);
    });
}
