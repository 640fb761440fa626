//! The shared tier with types: turns records into values and back.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    Backend, Class, Codec, Error, ErrorKind, Header, Key, Kind, Life, Record, Result, Times,
    Timestamp, Version,
};

use crate::key::CacheKey;
use crate::observe::event::{Event, Observer};
use crate::support::mutation::{self, Rule};
use crate::support::sync::lock;
use crate::tier::entry::{Content, Entry, Metadata};
use crate::tier::marks::current::{Age, Current, life, marks_due, names};
use crate::tier::marks::here::Marks;
use crate::tier::shared::authority::Authority;

pub(crate) mod authority;
mod marks;
mod purge;
pub(crate) mod remote;
pub(crate) mod scan;
mod tag_life;

/// The authority and the codec of its values.
pub(crate) struct Shared<V> {
    pub(crate) authority: Authority,
    codec: Arc<dyn Codec<V>>,
    value_type: u32,
    /// The time for which a local copy may be used without being compared.
    pub(crate) local_cap: Duration,
    /// True if damage and outages are errors and not misses.
    pub(crate) strict: bool,
    observer: Observer,
    ended: Arc<Mutex<Ended>>,
}

/// The authority's record under a key, judged.
pub(crate) enum Found<V> {
    /// A value or an absence, fresh or stale, as the local tier may keep it, and its record.
    Usable(Entry<V>, Record),
    /// Nothing to serve, but a record to write over: a lease, a counter, dead by a mark, or
    /// undecodable.
    Unusable(Header),
    /// Nothing at all.
    Nothing,
}

/// Leases of loads that have ended here: no caller of this process waits for them.
#[derive(Default)]
struct Ended {
    /// Leases that are being taken back.
    present: HashSet<Version>,
    /// The last leases that were taken back. A read that began before that may still bring one.
    past: VecDeque<Version>,
}

/// The number of leases that are known after they were taken back. One that is forgotten too early
/// makes a load share the failure of the load before it.
const PAST: usize = 256;

/// Leases whose loads have ended here.
pub(crate) struct EndedLeases {
    ended: Arc<Mutex<Ended>>,
    leases: Vec<Version>,
}

impl Drop for EndedLeases {
    fn drop(&mut self) {
        let mut ended = lock(&self.ended);
        for lease in &self.leases {
            ended.present.remove(lease);
        }
        ended.past.extend(&self.leases);
        let surplus = ended.past.len().saturating_sub(PAST);
        ended.past.drain(..surplus);
    }
}

impl<V> Found<V> {
    /// Returns the entry that can be served, and the header of the record to write over.
    pub(crate) fn into_parts(self) -> (Option<Entry<V>>, Option<Header>) {
        match self {
            Self::Usable(entry, record) => (Some(entry), Some(record.header)),
            Self::Unusable(header) => (None, Some(header)),
            Self::Nothing => (None, None),
        }
    }

    /// Returns the entry that can be served.
    pub(crate) fn into_entry(self) -> Option<Entry<V>> {
        match self {
            Self::Usable(entry, _) => Some(entry),
            _ => None,
        }
    }
}

impl<V: 'static> Shared<V> {
    pub(crate) fn new(
        authority: Authority,
        codec: Arc<dyn Codec<V>>,
        local_cap: Duration,
        strict: bool,
        observer: Observer,
    ) -> Self {
        let (value_type, ended) = (codec.value_type(), Arc::default());
        Self { authority, codec, value_type, local_cap, strict, observer, ended }
    }

    /// Notes that the loads of these leases have ended, until the returned guard is dropped.
    pub(crate) fn note_ended(&self, leases: Vec<Version>) -> EndedLeases {
        lock(&self.ended).present.extend(leases.iter().copied());
        EndedLeases { ended: Arc::clone(&self.ended), leases }
    }

    /// True if the lease belongs to a load that has ended here.
    pub(crate) fn is_ended(&self, lease: Version) -> bool {
        let ended = lock(&self.ended);
        ended.present.contains(&lease) || ended.past.contains(&lease)
    }

    /// Returns this tier, asked through `backend`.
    pub(crate) fn through(&self, backend: impl Backend) -> Self {
        Self {
            authority: self.authority.through(backend),
            codec: Arc::clone(&self.codec),
            observer: self.observer.clone(),
            ended: Arc::clone(&self.ended),
            ..*self
        }
    }

    /// The key's name at the authority.
    pub(crate) fn key(&self, key: &impl CacheKey) -> Key {
        self.authority.remote.key(Class::Entry, &key.to_text())
    }

    /// Reads the key and judges its record, by marks of this age. `known` is a local copy: it is
    /// not decoded again.
    ///
    /// Damaged bytes count as nothing, with an event.
    ///
    /// # Errors
    /// An error of reading the authority or its marks; in strict mode also damaged bytes.
    pub(crate) async fn find(
        &self,
        key: &Key,
        marks: &Marks,
        age: Age,
        known: Option<&Entry<V>>,
    ) -> Result<Found<V>>
    where
        V: Clone,
    {
        let began = self.authority.remote.clock.now();
        let record = match self.authority.remote.read(key).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(Found::Nothing),
            Err(error) if error.kind() == ErrorKind::Codec => {
                self.undecodable(error)?;
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(error),
        };
        if matches!(record.header.kind, Kind::Lease | Kind::Counter) {
            return Ok(Found::Unusable(record.header));
        }
        let names = match names(&record.header) {
            Ok(names) => names,
            Err(error) => {
                self.undecodable(error)?;
                return Ok(Found::Unusable(record.header));
            }
        };
        let current = self.authority.judging(marks, &names, age, &record.header, began).await?;
        let life = life(&record.header, &current);
        if life == Life::Dead {
            return Ok(Found::Unusable(record.header));
        }
        self.authority.keep_tags(&current.tags, record.header.times.kept_left()).await;
        let known = known.filter(|known| known.metadata.version == record.header.version);
        let content = match known
            .map_or_else(|| self.decode(key, &record), |known| Ok(known.content.clone()))
        {
            Ok(content) => content,
            Err(error) => {
                self.undecodable(error)?;
                return Ok(Found::Unusable(record.header));
            }
        };
        let mut entry = self.entry(content, life, &record.header, &current, began);
        if let Some(known) = known {
            // The record does not know how the entry's loads have fared here.
            entry.metadata.failures = known.metadata.failures;
            entry.metadata.retry_at = known.metadata.retry_at;
        }
        Ok(Found::Usable(entry, record))
    }

    /// True if this codec wrote the value, and the value has this cache's type, or none.
    pub(crate) fn is_own(&self, header: &Header) -> bool {
        let types = (header.value_type, self.value_type);
        let is_of_type = types.0 == 0 || types.1 == 0 || types.0 == types.1;
        is_of_type && (header.kind != Kind::Value || header.codec == self.codec.id())
    }

    fn undecodable(&self, error: Error) -> Result<()> {
        if self.strict {
            return Err(error);
        }
        self.observer.tell(&Event::Undecodable(error));
        Ok(())
    }

    /// Returns the entry that the local tier may keep of this record, read or written since
    /// `began`.
    pub(crate) fn entry(
        &self,
        content: Content<V>,
        life: Life,
        header: &Header,
        current: &Current,
        began: Timestamp,
    ) -> Entry<V> {
        let times = &header.times;
        let mut metadata = Metadata::new(header.version, began.before(times.age));
        metadata.cost = header.cost;
        metadata.marks_due = marks_due(current.checked, self.authority.tag_check);
        let verified = if mutation::holds(Rule::TrustedSinceAsked) {
            began
        } else {
            self.authority.remote.clock.now()
        };
        metadata.copy_due = verified.after(self.local_cap);
        // A record that a mark has made stale is stale here from the start: the entry's own marks
        // are those of now.
        let is_marked = life != Life::Fresh && times.life() == Life::Fresh;
        let fresh_left = if is_marked { Duration::ZERO } else { times.fresh_left() };
        let lives = (fresh_left, times.kept_left());
        let entry = Entry::new(content, metadata, began, lives, current.generation.clone());
        Entry { life, is_marked, ..entry }
    }

    /// Makes a record of this value for this key.
    ///
    /// # Errors
    /// [`Codec`](ErrorKind::Codec) if it cannot be encoded, [`NoSpace`](ErrorKind::NoSpace) if the
    /// backend does not take values of its size.
    pub(crate) fn record(
        &self,
        key: &Key,
        content: &Content<V>,
        times: Times,
        current: &Current,
    ) -> Result<Record> {
        let mut record = match content {
            Content::Value(value) => Record::value(self.encode(key, value)?, times),
            Content::Absent => Record::absent(times),
            Content::Counter(number) => Record::counter(*number, times),
        };
        record.header.codec =
            if matches!(content, Content::Value(_)) { self.codec.id() } else { 0 };
        record.header.value_type =
            if matches!(content, Content::Counter(_)) { 0 } else { self.value_type };
        record.header.epoch = current.epoch;
        record.header.tags.clone_from(&current.tags);
        Ok(record)
    }

    fn decode(&self, key: &Key, record: &Record) -> Result<Content<V>> {
        match record.header.kind {
            Kind::Value if self.is_own(&record.header) => {
                let decode = || self.codec.decode_at(&record.payload, key.full());
                guarded("decode", decode).map(Content::Value)
            }
            Kind::Absent if self.is_own(&record.header) => Ok(Content::Absent),
            _ => Err(Error::new(ErrorKind::Codec, "decode", FOREIGN)),
        }
    }

    fn encode(&self, key: &Key, value: &V) -> Result<Bytes> {
        let payload = guarded("encode", || self.codec.encode_at(value, key.full()))?;
        let limit = self.authority.remote.backend().capabilities().max_value_bytes;
        if limit.is_some_and(|limit| payload.len() > limit) {
            let message = "the value is larger than the backend takes";
            return Err(Error::new(ErrorKind::NoSpace, "encode", message));
        }
        Ok(payload)
    }
}

const FOREIGN: &str = "the key has a value of another type, codec or kind: caches that hold different \
    things need a namespace each";

/// Runs a codec. A panic of the codec counts as its failure: the load's lease must still be given
/// up.
fn guarded<T>(operation: &'static str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = |_| Err(Error::new(ErrorKind::Codec, operation, "the codec panicked"));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(panicked)
}
