//! The suite is fair: a store that can do little, and says so, passes it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use larder_core::{
    AnyBackend, Backend, BoxFuture, Capabilities, Delete, Error, ErrorKind, Expect, Key, NEVER,
    Outcome, Record, Result, Retime, Scope, Write,
};
use larder_testkit::conformance::{Env, ManualEnv};
use larder_testkit::{ManualClock, conformance};

#[expect(dead_code, reason = "the flaws are for another test")]
mod toy;

use toy::{Flaw, Toy};

/// A store without conditions or scans. It takes at most 1,000 bytes and lives in whole seconds,
/// and supports none of the optional calls.
struct Modest(Toy);

impl Modest {
    fn new(clock: ManualClock) -> Self {
        Self(Toy::new(clock, Flaw::None))
    }

    async fn one(&self, write: &Write) -> Outcome {
        if write.expect != Expect::Any {
            return Outcome::Failed(unsupported("write"));
        }
        if write.record.payload.len() > MAX_BYTES {
            return Outcome::Failed(Error::new(ErrorKind::NoSpace, "write", "too large"));
        }
        let mut write = write.clone();
        let times = &mut write.record.header.times;
        times.kept_for = whole_seconds(times.kept_for);
        times.fresh_for = whole_seconds(times.fresh_for);
        self.0.write(&[write]).await.pop().unwrap()
    }
}

impl Backend for Modest {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Scope::Network)
            .without_conditional()
            .without_scan()
            .with_max_value_bytes(MAX_BYTES)
            .with_native_ttl(Duration::from_secs(1))
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        self.0.read(keys).await
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for write in writes {
            outcomes.push(self.one(write).await);
        }
        outcomes
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        retimes.iter().map(|_| Outcome::Failed(unsupported("retime"))).collect()
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        if deletes.iter().any(|delete| delete.expect != Expect::Any) {
            return deletes.iter().map(|_| Outcome::Failed(unsupported("delete"))).collect();
        }
        self.0.delete(deletes).await
    }
}

/// An environment that moves the time, and tells the suite that time passes by itself.
struct Vague(ManualEnv);

impl Env for Vague {
    fn open(&self) -> BoxFuture<'_, AnyBackend> {
        self.0.open()
    }

    fn pass(&self, duration: Duration) -> BoxFuture<'_, ()> {
        self.0.pass(duration)
    }
}

conformance!(modest, Vague(ManualEnv::new(Modest::new)));
conformance!(capable, Vague(ManualEnv::new(|clock| Toy::new(clock, Flaw::None))));

fn whole_seconds(life: Duration) -> Duration {
    let nanos = life.subsec_nanos();
    if life == NEVER || nanos == 0 { life } else { Duration::from_secs(life.as_secs() + 1) }
}

fn unsupported(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, operation, "modest")
}

const MAX_BYTES: usize = 1_000;
