//! Records by name, the sum of their payloads, and the order in which they die.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use larder_core::{
    Delete, Error, ErrorKind, Expect, Header, Key, Life, NEVER, Outcome, Page, Record, Result,
    Retime, Scanned, Timestamp, Write,
};

/// Invariant: `bytes` is the sum of the payloads, `deaths` the records that have a last moment.
#[derive(Default)]
pub(super) struct Store {
    pub(super) records: BTreeMap<Bytes, Stored>,
    pub(super) deaths: BTreeSet<(Timestamp, Bytes)>,
    pub(super) bytes: usize,
    pub(super) max_bytes: Option<usize>,
    pub(super) is_closed: bool,
}

impl Store {
    pub(super) fn read(&self, now: Timestamp, key: &Key) -> Result<Option<Record>> {
        let Some(stored) = self.records.get(key.name()).filter(|stored| stored.is_live(now)) else {
            return Ok(None);
        };
        if stored.key != *key {
            return Err(Error::new(ErrorKind::Codec, "read", "another key's record"));
        }
        Ok(Some(Record { header: stored.header(now), payload: stored.record.payload.clone() }))
    }

    pub(super) fn write(&mut self, now: Timestamp, write: &Write) -> Outcome {
        if let Err(refused) = self.judge(now, &write.key, &write.expect) {
            return refused;
        }
        let record = &write.record;
        if record.header.times.life() == Life::Dead {
            self.remove(write.key.name());
            return Outcome::Done;
        }
        if !self.has_room(now, &write.key, record.payload.len()) {
            return Outcome::Failed(Error::new(ErrorKind::NoSpace, "write", "the store is full"));
        }
        self.put(write.key.name_bytes(), Stored::new(now, &write.key, record.clone()));
        Outcome::Done
    }

    pub(super) fn retime(&mut self, now: Timestamp, retime: &Retime) -> Outcome {
        let expect = Expect::Version(retime.version, None);
        if let Err(refused) = self.judge(now, &retime.key, &expect) {
            return refused;
        }
        if let Some(mut stored) = self.remove(retime.key.name()) {
            stored.record.header.times = retime.times;
            stored.written = now;
            if retime.times.life() != Life::Dead {
                self.put(retime.key.name_bytes(), stored);
            }
        }
        Outcome::Done
    }

    pub(super) fn delete(&mut self, now: Timestamp, delete: &Delete) -> Outcome {
        if let Err(refused) = self.judge(now, &delete.key, &delete.expect) {
            return refused;
        }
        self.remove(delete.key.name());
        Outcome::Done
    }

    /// Judges an expectation. Dead records and other keys' records count as nothing.
    fn judge(&self, now: Timestamp, key: &Key, expect: &Expect) -> Result<(), Outcome> {
        let current =
            self.records.get(key.name()).filter(|stored| stored.is_live(now) && stored.key == *key);
        let is_met = match (expect, current) {
            (Expect::Any, _) | (Expect::Absent, None) => true,
            (Expect::Version(version, _), Some(stored)) => stored.record.header.version == *version,
            _ => false,
        };
        if is_met {
            return Ok(());
        }
        Err(Outcome::Refused(current.map(|stored| Box::new(stored.header(now)))))
    }

    fn has_room(&mut self, now: Timestamp, key: &Key, payload: usize) -> bool {
        let Some(max) = self.max_bytes else { return true };
        let fits = |store: &Self| {
            let old = store.records.get(key.name()).map_or(0, |stored| stored.record.payload.len());
            (store.bytes - old).checked_add(payload).is_some_and(|bytes| bytes <= max)
        };
        fits(self) || {
            self.purge(now, usize::MAX);
            fits(self)
        }
    }

    pub(super) fn scan(
        &self,
        now: Timestamp,
        prefix: &[u8],
        cursor: Option<&Bytes>,
        limit: usize,
    ) -> Page {
        let start = match cursor {
            Some(last) => Bound::Excluded(&last[..]),
            None => Bound::Included(prefix),
        };
        let mut page = Page::default();
        let named = self.records.range::<[u8], _>((start, Bound::Unbounded));
        for (name, stored) in named.take_while(|(name, _)| name.starts_with(prefix)) {
            if stored.is_live(now) {
                let (key, header) = (stored.key.clone(), stored.header(now));
                page.records.push(Scanned { key, header });
            }
            if page.records.len() >= limit.max(1) {
                page.next = Some(name.clone());
                break;
            }
        }
        page
    }

    pub(super) fn purge(&mut self, now: Timestamp, limit: usize) -> usize {
        let mut count = 0;
        while count < limit {
            let Some((_, name)) = self.deaths.first().filter(|(death, _)| *death <= now) else {
                break;
            };
            let name = name.clone();
            self.remove(&name);
            count += 1;
        }
        count
    }

    fn put(&mut self, name: Bytes, stored: Stored) {
        self.remove(&name);
        self.bytes += stored.record.payload.len();
        if let Some(death) = stored.death() {
            self.deaths.insert((death, name.clone()));
        }
        self.records.insert(name, stored);
    }

    fn remove(&mut self, name: &[u8]) -> Option<Stored> {
        let (name, stored) = self.records.remove_entry(name)?;
        self.bytes -= stored.record.payload.len();
        if let Some(death) = stored.death() {
            self.deaths.remove(&(death, name));
        }
        Some(stored)
    }
}

/// A record as it was written, and the time of the write.
pub(super) struct Stored {
    written: Timestamp,
    key: Key,
    pub(super) record: Record,
}

impl Stored {
    fn new(now: Timestamp, key: &Key, mut record: Record) -> Self {
        // A token that the record has belongs to another store.
        record.header.token = None;
        Self { written: now, key: key.clone(), record }
    }

    fn header(&self, now: Timestamp) -> Header {
        let mut header = self.record.header.clone();
        header.times.age = header.times.age.saturating_add(now.since(self.written));
        header
    }

    fn is_live(&self, now: Timestamp) -> bool {
        self.death().is_none_or(|death| now < death)
    }

    /// Returns the first moment at which the record is dead; none if it lives for ever.
    fn death(&self) -> Option<Timestamp> {
        let left = self.record.header.times.kept_left();
        (left != NEVER).then(|| self.written.after(left))
    }
}
