//! A small store of byte blobs in the documented layout, correct unless it is given a flaw.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    Backend, Capabilities, Clock, Delete, Error, ErrorKind, Expect, Header, Incarnation, Key, Life,
    NEVER, Outcome, Page, Record, Result, Retime, Scanned, Scope, StoreTime, Version, Write,
    layout,
};
use larder_testkit::ManualClock;
use larder_testkit::conformance::ManualEnv;

/// The one thing that the store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    IgnoresExpectations,
    ReadsTheDead,
    ReadsTheDeadForOneStep,
    TakesTheDeadForThere,
    RetimeMakesAVersion,
    RetimeRevives,
    RefusesWithoutAHeader,
    ScanLeaks,
    ScanFails,
    ScanForgetsHalf,
    ScanTellsNames,
    ReversesAnswers,
    StopsAtARefusal,
    WrapsLives,
    RoundsLivesDown,
    ForgetsTags,
    ForgetsTheAge,
    DeleteSparesLeases,
    DeleteIgnoresVersions,
    TrustsNames,
    JudgesThenWrites,
    PurgesTheLiving,
    ReadsAfterClosing,
    PretendsConditions,
    PretendsScans,
}

pub(crate) struct Toy {
    clock: ManualClock,
    flaw: Flaw,
    judged: AtomicUsize,
    blobs: Mutex<Option<BTreeMap<Bytes, Bytes>>>,
}

/// Returns the toy's environment, with this flaw.
pub(crate) fn flawed(flaw: Flaw) -> ManualEnv {
    ManualEnv::new(move |clock| Toy::new(clock, flaw)).with_resolution(Duration::from_micros(1))
}

type Blobs = BTreeMap<Bytes, Bytes>;

impl Toy {
    pub(crate) fn new(clock: ManualClock, flaw: Flaw) -> Self {
        let blobs = Mutex::new(Some(BTreeMap::new()));
        Self { clock, flaw, judged: AtomicUsize::new(0), blobs }
    }

    fn now(&self) -> StoreTime {
        StoreTime::from_micros(i64::try_from(self.clock.now().as_nanos() / 1_000).unwrap())
    }

    fn with<T>(&self, operation: &'static str, run: impl FnOnce(&mut Blobs) -> T) -> Result<T> {
        let mut blobs = self.blobs.lock().unwrap();
        if self.flaw == Flaw::ReadsAfterClosing && operation == "read" {
            return Ok(run(blobs.get_or_insert_default()));
        }
        blobs.as_mut().map(run).ok_or_else(|| Error::new(ErrorKind::Closed, operation, ""))
    }

    fn decode(&self, blobs: &Blobs, key: &Key) -> Result<Option<Record>> {
        let Some(blob) = blobs.get(key.name()) else { return Ok(None) };
        let key = match self.flaw {
            Flaw::TrustsNames => layout::decode_scanned(key.name_bytes(), blob, self.now())?.0,
            _ => key.clone(),
        };
        layout::decode(&key, blob, self.now()).map(Some)
    }

    fn live(&self, blobs: &Blobs, key: &Key) -> Option<Header> {
        let header = self.decode(blobs, key).ok()??.header;
        let keeps = self.flaw == Flaw::TakesTheDeadForThere;
        (keeps || header.times.life() != Life::Dead).then_some(header)
    }

    fn read_blob(&self, blobs: &Blobs, key: &Key) -> Result<Option<Record>> {
        let step = Duration::from_micros(1);
        Ok(self.decode(blobs, key)?.filter(|record| match self.flaw {
            Flaw::ReadsTheDead => true,
            Flaw::ReadsTheDeadForOneStep => {
                let mut times = record.header.times;
                times.age = times.age.saturating_sub(step);
                times.life() != Life::Dead
            }
            _ => record.header.times.life() != Life::Dead,
        }))
    }

    fn judge(&self, blobs: &Blobs, key: &Key, expect: &Expect) -> Option<Outcome> {
        let live = self.live(blobs, key);
        let is_met = match (expect, &live) {
            _ if self.flaw == Flaw::IgnoresExpectations => true,
            (Expect::Any, _) => true,
            _ if self.flaw == Flaw::PretendsConditions => true,
            (Expect::Absent, live) => live.is_none(),
            (Expect::Version(version, _), Some(header)) => header.version == *version,
            _ => false,
        };
        let told = live.filter(|_| self.flaw != Flaw::RefusesWithoutAHeader).map(Box::new);
        (!is_met).then_some(Outcome::Refused(told))
    }

    fn put(&self, blobs: &mut Blobs, key: &Key, record: &Record) -> Outcome {
        let mut record = record.clone();
        let header = &mut record.header;
        match self.flaw {
            Flaw::ForgetsTags => header.tags.clear(),
            Flaw::ForgetsTheAge => header.times.age = Duration::ZERO,
            Flaw::WrapsLives if header.times.kept_for != NEVER => {
                let wrapped = header.times.kept_for.as_secs() % (31 * 24 * 3_600);
                header.times.kept_for = Duration::from_secs(wrapped.max(1));
            }
            Flaw::RoundsLivesDown if header.times.kept_for != NEVER => {
                let seconds = header.times.kept_for.as_secs();
                header.times.kept_for =
                    if seconds == 0 { NEVER } else { Duration::from_secs(seconds) };
            }
            _ => {}
        }
        match layout::encode(key, &record, self.now()) {
            Ok(blob) => {
                blobs.insert(key.name_bytes(), blob);
                Outcome::Done
            }
            Err(error) => Outcome::Failed(error),
        }
    }

    /// Writes in two steps. In between it waits for another writer to judge, so the flaw always
    /// shows.
    fn write_in_two_steps(&self, writes: &[Write]) -> Vec<Outcome> {
        let judged = self.each("write", writes, |blobs, write| {
            self.judge(blobs, &write.key, &write.expect).unwrap_or(Outcome::Done)
        });
        let count = self.judged.fetch_add(1, Ordering::Relaxed) + 1;
        let is_alone = |_: &usize| self.judged.load(Ordering::Relaxed) == count;
        (0..10_000).take_while(is_alone).for_each(|_| std::thread::yield_now());
        let write = |(write, outcome): (&Write, Outcome)| match outcome {
            Outcome::Done => self
                .with("write", |blobs| self.put(blobs, &write.key, &write.record))
                .unwrap_or_else(Outcome::Failed),
            other => other,
        };
        writes.iter().zip(judged).map(write).collect()
    }

    fn each<C>(
        &self,
        operation: &'static str,
        changes: &[C],
        apply: impl Fn(&mut Blobs, &C) -> Outcome,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for change in changes {
            let outcome = self.with(operation, |blobs| apply(blobs, change));
            outcomes.push(outcome.unwrap_or_else(Outcome::Failed));
            if self.flaw == Flaw::StopsAtARefusal && !outcomes.last().unwrap().is_done() {
                break;
            }
        }
        let lost = || Outcome::Failed(Error::new(ErrorKind::Unavailable, operation, ""));
        outcomes.resize_with(changes.len(), lost);
        if self.flaw == Flaw::ReversesAnswers {
            outcomes.reverse();
        }
        outcomes
    }
}

impl Backend for Toy {
    fn capabilities(&self) -> Capabilities {
        let all = Capabilities::new(Scope::Process);
        match self.flaw {
            Flaw::PretendsConditions => all.without_conditional(),
            Flaw::PretendsScans => all.without_scan(),
            _ => all,
        }
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        let read = |key| self.with("read", |blobs| self.read_blob(blobs, key)).flatten();
        let mut answers: Vec<_> = keys.iter().map(read).collect();
        if self.flaw == Flaw::ReversesAnswers {
            answers.reverse();
        }
        answers
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        if self.flaw == Flaw::JudgesThenWrites {
            return self.write_in_two_steps(writes);
        }
        self.each("write", writes, |blobs, write| {
            self.judge(blobs, &write.key, &write.expect)
                .unwrap_or_else(|| self.put(blobs, &write.key, &write.record))
        })
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        self.each("retime", retimes, |blobs, retime| {
            let Ok(Some(mut record)) = self.decode(blobs, &retime.key) else {
                return Outcome::Refused(None);
            };
            let expect = Expect::Version(retime.version, None);
            let revives =
                self.flaw == Flaw::RetimeRevives && record.header.version == retime.version;
            if let Some(refused) = self.judge(blobs, &retime.key, &expect).filter(|_| !revives) {
                return refused;
            }
            record.header.times = retime.times;
            if self.flaw == Flaw::RetimeMakesAVersion {
                record.header.version = Version::next();
            }
            self.put(blobs, &retime.key, &record)
        })
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        self.each("delete", deletes, |blobs, delete| {
            let is_lease = self
                .live(blobs, &delete.key)
                .is_some_and(|header| header.kind == larder_core::Kind::Lease);
            if self.flaw == Flaw::DeleteSparesLeases && is_lease {
                return Outcome::Done;
            }
            let refused = self.judge(blobs, &delete.key, &delete.expect);
            refused.filter(|_| self.flaw != Flaw::DeleteIgnoresVersions).unwrap_or_else(|| {
                blobs.remove(delete.key.name());
                Outcome::Done
            })
        })
    }

    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        if self.flaw == Flaw::ScanFails {
            return Err(Error::new(ErrorKind::Unsupported, "scan", ""));
        }
        // Without its colon, a namespace's prefix also begins its neighbours' names.
        let leaks = self.flaw == Flaw::ScanLeaks;
        let prefix = if leaks { prefix.strip_suffix(b":").unwrap_or(prefix) } else { prefix };
        self.with("scan", |blobs| {
            let mut page = Page::default();
            let after = cursor.as_ref();
            for (name, blob) in blobs.iter().filter(|(name, _)| after.is_none_or(|a| *name > a)) {
                if !name.starts_with(prefix) {
                    continue;
                }
                if page.records.len() == limit {
                    page.next = page.records.last().map(|last: &Scanned| last.key.name_bytes());
                    break;
                }
                let (key, header) = layout::decode_scanned(name.clone(), blob, self.now())?;
                let key = match self.flaw {
                    Flaw::ScanTellsNames => Key::from_stored(name.clone(), None),
                    _ => key,
                };
                if header.times.life() != Life::Dead {
                    page.records.push(Scanned { key, header });
                }
            }
            if self.flaw == Flaw::ScanForgetsHalf && page.next.is_some() {
                page.next = None;
            }
            Ok(page)
        })?
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        self.with("purge", |blobs| {
            let dead: Vec<_> = blobs
                .iter()
                .filter(|(name, blob)| {
                    let scanned = layout::decode_scanned((*name).clone(), blob, self.now());
                    self.flaw == Flaw::PurgesTheLiving
                        || scanned.is_ok_and(|(_, header)| header.times.life() == Life::Dead)
                })
                .map(|(name, _)| name.clone())
                .take(limit)
                .collect();
            for name in &dead {
                blobs.remove(name);
            }
            dead.len()
        })
    }

    async fn clock(&self) -> Result<StoreTime> {
        self.with("clock", |_| self.now())
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        self.with("incarnation", |_| Incarnation::new(7))
    }

    async fn close(&self) -> Result<()> {
        *self.blobs.lock().unwrap() = None;
        Ok(())
    }
}
