//! The life of a backend: capabilities, purges, dropped calls, closing.

use std::future::poll_fn;
use std::task::Poll;

use larder_core::{Backend, Delete, ErrorKind, Expect, Key, NEVER, Record, Times, Write};

use super::Trial;
use super::check::{HOUR, done, failed, if_supported, same, value, value_for};

/// Capabilities are constant, and names of 250 bytes are always taken.
pub async fn capabilities_are_constant(trial: &Trial) {
    let claimed = trial.capabilities();
    assert!(claimed.max_key_bytes >= 250, "names have up to 250 bytes");
    trial.put(&trial.key("dish"), &value("soup")).await;
    assert_eq!(trial.backend().capabilities(), claimed);
}

/// The incarnation stays while the store lives.
pub async fn the_incarnation_stays(trial: &Trial) {
    let Some(first) = if_supported(trial.backend().incarnation().await) else { return };
    trial.put(&trial.key("dish"), &value("soup")).await;
    trial.pass(trial.moment()).await;
    assert_eq!(trial.backend().incarnation().await.expect("an incarnation"), first);
}

/// A purge spares the living of every kind.
pub async fn a_purge_spares_the_living(trial: &Trial) {
    let keys = trial.keys(3);
    let records = [value("soup"), value_for("salt", NEVER), Record::lease(HOUR)];
    for (key, record) in keys.iter().zip(&records) {
        trial.put(key, record).await;
    }
    if_supported(trial.backend().purge(1_000).await);
    for (key, record) in keys.iter().zip(&records) {
        same(&trial.found(key).await, record, trial.granularity());
        done(&trial.delete(key, Expect::Any).await);
    }
}

/// A purge frees at most as many as it may, the dead stay dead, and it comes to an end.
pub async fn a_purge_keeps_to_its_limit(trial: &Trial) {
    let keys = trial.keys(10);
    for key in &keys {
        trial.put(key, &value_for("soup", trial.moment())).await;
    }
    trial.outlive(trial.moment()).await;
    let Some(freed) = if_supported(trial.backend().purge(0).await) else { return };
    assert_eq!(freed, 0);
    let mut rounds = 0;
    loop {
        let freed = trial.backend().purge(3).await.expect("a purge");
        assert!(freed <= 3, "{freed} freed");
        rounds += 1;
        if freed == 0 || rounds == 1_000 {
            break;
        }
    }
    if trial.resolution().is_some() && trial.capabilities().native_ttl.is_none() {
        assert_eq!(rounds, 5, "ten dead records in rounds of three");
    }
    for key in &keys {
        assert!(trial.read(key).await.is_none());
    }
}

/// A write that was dropped half-way leaves its keys as they were or as asked, and the backend
/// in step.
pub async fn a_dropped_write_is_all_or_nothing(trial: &Trial) {
    let keys = trial.keys(3);
    for polls in 0..6 {
        let (old, new) = (value("old"), value("new and longer"));
        for key in &keys {
            trial.put(key, &old).await;
        }
        let writes: Vec<_> = keys
            .iter()
            .map(|key| Write { key: key.clone(), record: new.clone(), expect: Expect::Any })
            .collect();
        poll_and_drop(trial.backend().write(&writes), polls).await;
        for key in &keys {
            let found = trial.found(key).await;
            let asked = if found.header.version == old.header.version { &old } else { &new };
            same(&found, asked, trial.granularity());
        }
    }
}

/// A read that was dropped half-way leaves the backend in step: the next answers are the next's.
pub async fn a_dropped_read_leaves_no_answer_behind(trial: &Trial) {
    let (one, other) = (trial.key("one"), trial.key("other"));
    trial.put(&one, &value("one")).await;
    trial.put(&other, &value("other")).await;
    for polls in 0..6 {
        poll_and_drop(trial.backend().read_one(&one), polls).await;
        assert_eq!(trial.found(&other).await.payload, "other");
        assert_eq!(trial.found(&one).await.payload, "one");
    }
}

/// A change whose caller has gone is not begun later: a change after `settles_within` stays, also
/// one of another process.
pub async fn a_dropped_write_is_not_begun_later(trial: &Trial) {
    let (backend, other) = (trial.backend(), trial.open_again().await);
    let (keys, last) = (trial.keys(32), trial.key("last"));
    let late = value(vec![b'x'; 32 << 10]);
    let write = |key: &Key| [Write { key: key.clone(), record: late.clone(), expect: Expect::Any }];
    let delete = |key: &Key| Delete { key: key.clone(), expect: Expect::Any };
    let deletes: Vec<_> = keys.iter().map(delete).collect();
    for _ in 0..16 {
        let writes: Vec<_> = keys.iter().map(write).collect();
        // All are asked for before the first caller goes.
        let mut calls: Vec<_> = writes.iter().map(|write| Box::pin(backend.write(write))).collect();
        poll_fn(|cx| {
            calls.retain_mut(|call| call.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(calls);
        trial.pass(trial.capabilities().settles_within).await;
        other.delete(&deletes).await.iter().for_each(done);
        // All jobs in the backend's queue come before this write.
        trial.put(&last, &value("last")).await;
        for (key, read) in keys.iter().zip(other.read(&keys).await) {
            assert!(matches!(read, Ok(None)), "a write came after a later delete of {key:?}");
        }
    }
}

/// After closing, every call fails with `Closed`, key by key, and closing again is done.
pub async fn a_closed_backend_says_so(trial: &Trial) {
    let (keys, record) = (trial.keys(2), value("soup"));
    let backend = trial.backend();
    if if_supported(backend.close().await).is_none() {
        return;
    }
    backend.close().await.expect("twice is once");
    for answer in backend.read(&keys).await {
        assert_eq!(answer.expect_err("closed").kind(), ErrorKind::Closed);
    }
    let [one, _] = &keys[..] else { return };
    let closed = backend.read_one(one).await.expect_err("closed");
    assert_eq!(closed.kind(), ErrorKind::Closed);
    failed(&trial.write(one, &record, Expect::Any).await, ErrorKind::Closed);
    failed(&trial.delete(one, Expect::Any).await, ErrorKind::Closed);
    let times = Times::new(HOUR, HOUR);
    let closed = ErrorKind::Closed;
    if trial.capabilities().conditional {
        failed(&trial.retime(one, record.header.version, times).await, closed);
    }
    if trial.capabilities().scan {
        assert_eq!(backend.scan(b"a", None, 1).await.expect_err("closed").kind(), closed);
    }
    let others = [
        backend.purge(1).await.map(drop),
        backend.clock().await.map(drop),
        backend.incarnation().await.map(drop),
    ];
    for answer in others {
        let kind = answer.expect_err("closed").kind();
        assert!(kind == closed || kind == ErrorKind::Unsupported, "{kind:?}");
    }
}

/// Polls this many times, between which other tasks may run, and drops the future.
async fn poll_and_drop(future: impl Future, polls: usize) {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 || future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
