//! Ten thousand random operations against a model of a few lines.

use std::collections::BTreeMap;
use std::time::Duration;

use larder_core::{
    Backend, Class, Delete, Expect, Header, Key, Kind, Life, NEVER, Outcome, Record, Retime, Times,
    Version, Write,
};

use super::check::{HOUR, if_supported, same};
use super::{Trial, scan};

/// Random operations on a dozen keys answer as a simple model does, time included.
pub async fn random_operations_agree_with_a_model(trial: &Trial) {
    for seed in 1..=SEEDS {
        let mut walk = Walk::new(trial, seed);
        for step in 0..STEPS {
            walk.step().await;
            if step % 100 == 0 {
                walk.compare_all().await;
            }
        }
        walk.clean_up().await;
    }
}

/// The contract for one key: the present record, and the time of its write.
struct Slot {
    record: Record,
    written: Duration,
}

struct Walk<'a> {
    trial: &'a Trial,
    seed: u64,
    random: Random,
    keys: Vec<Key>,
    now: Duration,
    slots: BTreeMap<Key, Slot>,
    /// Versions of earlier records, for expectations that come too late.
    past: Vec<Version>,
}

impl<'a> Walk<'a> {
    fn new(trial: &'a Trial, seed: u64) -> Self {
        let namespace = trial.namespace(&seed.to_string());
        let text = |index: usize| {
            if index.is_multiple_of(3) { format!("{index} odd") } else { index.to_string() }
        };
        let keys = (0..12)
            .map(|index| Key::new(&namespace, Class::Entry, text(index).as_bytes()))
            .collect();
        let random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
        let (now, slots, past) = (Duration::ZERO, BTreeMap::new(), Vec::new());
        Self { trial, seed, random, keys, now, slots, past }
    }

    async fn step(&mut self) {
        match self.random.below(10) {
            0..=2 => self.compare_some().await,
            3..=5 => self.write().await,
            6 | 7 => self.delete().await,
            8 => self.retime().await,
            _ => self.pass().await,
        }
    }

    async fn write(&mut self) {
        let mut writes = Vec::new();
        for key in self.some_keys() {
            let (record, expect) = (self.record(), self.expect(&key));
            writes.push(Write { key, record, expect });
        }
        let outcomes = self.trial.backend().write(&writes).await;
        assert_eq!(outcomes.len(), writes.len());
        for (write, outcome) in writes.into_iter().zip(outcomes) {
            if self.judge(&write.key, &write.expect, outcome) {
                self.past.push(write.record.header.version);
                self.slots.insert(write.key, Slot { record: write.record, written: self.now });
            }
        }
    }

    async fn delete(&mut self) {
        let mut deletes = Vec::new();
        for key in self.some_keys() {
            let expect = self.expect(&key);
            deletes.push(Delete { key, expect });
        }
        let outcomes = self.trial.backend().delete(&deletes).await;
        assert_eq!(outcomes.len(), deletes.len());
        for (delete, outcome) in deletes.into_iter().zip(outcomes) {
            if self.judge(&delete.key, &delete.expect, outcome) {
                self.slots.remove(&delete.key);
            }
        }
    }

    async fn retime(&mut self) {
        if !self.trial.capabilities().conditional {
            return;
        }
        let mut retimes = Vec::new();
        for key in self.some_keys() {
            let (version, times) = (self.version(&key), self.times());
            retimes.push(Retime { key, version, token: None, times });
        }
        let outcomes = self.trial.backend().retime(&retimes).await;
        assert_eq!(outcomes.len(), retimes.len());
        for (retime, outcome) in retimes.into_iter().zip(outcomes) {
            let is_done = self.judge(&retime.key, &Expect::Version(retime.version, None), outcome);
            if let Some(slot) = self.slots.get_mut(&retime.key).filter(|_| is_done) {
                slot.record.header.times = retime.times;
                slot.written = self.now;
            }
        }
    }

    async fn pass(&mut self) {
        if self.trial.resolution().is_some() {
            let passed = Duration::from_secs(self.random.below(8));
            self.trial.pass(passed).await;
            self.now += passed;
            if_supported(self.trial.backend().purge(2).await);
        }
    }

    async fn compare_some(&mut self) {
        let keys = self.some_keys();
        self.compare(&keys).await;
    }

    async fn compare_all(&mut self) {
        self.compare(&self.keys).await;
        if self.trial.capabilities().scan {
            let namespace = self.trial.namespace(&self.seed.to_string());
            let met = scan::scan(self.trial, namespace.prefix(), 5).await;
            let live: Vec<_> = self.keys.iter().filter(|key| self.live(key).is_some()).collect();
            assert_eq!(met.len(), live.len(), "a scan meets the live, seed {}", self.seed);
            assert!(live.into_iter().all(|key| met.contains_key(key)), "seed {}", self.seed);
        }
    }

    async fn compare(&self, keys: &[Key]) {
        let answers = self.trial.backend().read(keys).await;
        assert_eq!(answers.len(), keys.len());
        for (key, answer) in keys.iter().zip(answers) {
            match (answer.expect("an answer"), self.live(key)) {
                (None, None) => {}
                (Some(read), Some(live)) => same(&read, &live, self.trial.granularity()),
                (read, live) => panic!("seed {}: read {read:?} for {live:?}", self.seed),
            }
        }
    }

    async fn clean_up(&self) {
        for key in &self.keys {
            assert!(self.trial.delete(key, Expect::Any).await.is_done());
        }
    }

    /// Checks the outcome against the model. True if the change is done.
    fn judge(&self, key: &Key, expect: &Expect, outcome: Outcome) -> bool {
        let live = self.live(key).map(|record| record.header);
        let is_met = match (expect, &live) {
            (Expect::Any, _) | (Expect::Absent, None) => true,
            (Expect::Version(version, _), Some(header)) => header.version == *version,
            _ => false,
        };
        let seed = self.seed;
        match outcome {
            Outcome::Done => {
                assert!(is_met, "seed {seed}: done over {live:?}, expected {expect:?}");
            }
            Outcome::Refused(current) => {
                assert!(!is_met, "seed {seed}: refused over {live:?}, expected {expect:?}");
                let told = current.map(|header| (header.kind, header.version));
                let there = live.map(|header: Header| (header.kind, header.version));
                assert_eq!(told, there, "seed {seed}: a refusal tells what is there");
            }
            other => panic!("seed {seed}: neither done nor refused: {other:?}"),
        }
        is_met
    }

    fn live(&self, key: &Key) -> Option<Record> {
        let slot = self.slots.get(key)?;
        let mut record = slot.record.clone();
        let age = &mut record.header.times.age;
        *age = age.saturating_add(self.now.saturating_sub(slot.written));
        (record.header.times.life() != Life::Dead).then_some(record)
    }

    fn some_keys(&mut self) -> Vec<Key> {
        let count = 1 + self.random.below(3);
        let mut keys: Vec<_> = (0..count).filter_map(|_| self.random.pick(&self.keys)).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    fn expect(&mut self, key: &Key) -> Expect {
        if !self.trial.capabilities().conditional {
            return Expect::Any;
        }
        match self.random.below(4) {
            0 => Expect::Any,
            1 => Expect::Absent,
            _ => Expect::Version(self.version(key), None),
        }
    }

    /// Returns a version, mostly the present one.
    fn version(&mut self, key: &Key) -> Version {
        let present = self.slots.get(key).map(|slot| slot.record.header.version);
        match self.random.below(4) {
            0 => self.random.pick(&self.past).unwrap_or_else(Version::next),
            _ => present.unwrap_or_else(Version::next),
        }
    }

    fn record(&mut self) -> Record {
        let times = self.times();
        let number = i64::try_from(self.random.below(100)).unwrap_or_default();
        let mut record = match self.random.below(6) {
            0 => Record::absent(times),
            1 => Record::lease(times.kept_for),
            2 => Record::counter(number, times),
            _ => Record::value(number.to_string().repeat(20).into(), times),
        };
        if record.header.kind == Kind::Value {
            record.header.codec = u16::try_from(number).unwrap_or_default();
        }
        record
    }

    /// Returns random lives, of seconds only where the trial moves the time.
    fn times(&mut self) -> Times {
        if self.trial.resolution().is_none() || self.random.below(4) == 0 {
            return Times::new(HOUR, if self.random.below(2) == 0 { NEVER } else { 2 * HOUR });
        }
        let mut seconds = |limit| Duration::from_secs(self.random.below(limit));
        Times { age: seconds(5), fresh_for: seconds(20), kept_for: seconds(40) }
    }
}

/// Xorshift with a multiplication at the end. Every run has the same numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % limit
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let count = u64::try_from(from.len()).ok().filter(|&count| count > 0)?;
        from.get(usize::try_from(self.below(count)).ok()?).cloned()
    }
}

const SEEDS: u64 = 10;
const STEPS: usize = 1_000;
