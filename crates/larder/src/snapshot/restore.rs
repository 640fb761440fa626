//! Restores a snapshot: entries that are whole, belong to this cache, and have a life left.

use std::io::Read;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use larder_core::{Error, ErrorKind, NEVER, Result, Version};

use crate::key::CacheKey;
use crate::snapshot::block::BlockReader;
use crate::snapshot::entry::{Payload, SavedEntry};
use crate::snapshot::failure::{damaged, foreign, guarded, of_sink};
use crate::snapshot::header::{Begun, Header};
use crate::snapshot::journal::name;
use crate::snapshot::log::{Changes, Fate};
use crate::snapshot::number::Input;
use crate::snapshot::v0::ReaderV0;
use crate::snapshot::{RestoredEntry, SnapshotConfig};
use crate::support::sync::Arc;
use crate::tier::entry::Content;

/// The result of a restore.
pub(super) struct Restored {
    /// The log and the changes in it. None over a backend, which knows better.
    pub(super) changes: Option<(u128, Changes)>,
    /// True if no change can be logged beside the snapshot: it must be replaced before there is
    /// one.
    pub(super) must_save: bool,
    /// The reason why some entries were left out, if any were.
    pub(super) refused: Option<Error>,
}

/// Gives the sink's entries to `give`, those used last first. None if the sink has no snapshot.
///
/// # Errors
/// An error that makes the snapshot worth nothing. Entries that were given until then are not to be
/// kept.
pub(super) fn restore<K: CacheKey, V: 'static>(
    form: &SnapshotConfig<V>,
    wall: Duration,
    give: &mut dyn FnMut(RestoredEntry<K, V>),
) -> Result<Option<Restored>> {
    let Some((begun, input, changes)) = begin(form)? else { return Ok(None) };
    let (header, seed) = match begun {
        Begun::V0 => return restore_v0(form, wall, input, give).map(Some),
        Begun::V1(header, seed) => (header, seed),
    };
    let mut blocks = BlockReader::new(input, seed);
    let mut giver = Giver::new(form, give, wall, header.saved, header.entries);
    while let Some(body) = blocks.next(giver.number)? {
        giver.block(&body, changes.as_ref())?;
    }
    let refused = giver.refused;
    let must_save = changes.as_ref().is_some_and(|changes| changes.is_torn);
    let changes = changes.map(|changes| (header.log, changes));
    Ok(Some(Restored { changes, must_save, refused }))
}

/// A snapshot's beginning, the rest of it, and the changes since.
type Opened = (Begun, Box<dyn Read + Send>, Option<Changes>);

/// Opens the snapshot, if there is one, and reads its log.
fn begin<V: 'static>(form: &SnapshotConfig<V>) -> Result<Option<Opened>> {
    let mut missing = None;
    loop {
        let read = form.sink.read().map_err(|error| of_sink("restore", error))?;
        let Some(mut input) = read else { return Ok(None) };
        let begun = Header::read(&mut input)?;
        let Begun::V1(header, _) = &begun else { return Ok(Some((begun, input, None))) };
        form.judge(header)?;
        if !form.is_alone {
            return Ok(Some((begun, input, None)));
        }
        match Changes::read(&*form.sink, name(header.log))? {
            Some(changes) => return Ok(Some((begun, input, Some(changes)))),
            // Another process has replaced the snapshot meanwhile, and removed the old one's log.
            None if missing != Some(header.log) => missing = Some(header.log),
            None => return Err(foreign("the log of the changes since is missing")),
        }
    }
}

fn restore_v0<K: CacheKey, V: 'static>(
    form: &SnapshotConfig<V>,
    wall: Duration,
    input: impl Read,
    give: &mut dyn FnMut(RestoredEntry<K, V>),
) -> Result<Restored> {
    let mut reader = ReaderV0::new(input);
    let header = reader.header()?;
    if header.codec != form.codec.id() {
        return Err(foreign(OTHER_CODEC));
    }
    let mut giver = Giver::new(form, give, wall, header.saved, header.entries.into());
    for _ in 0..header.entries {
        reader.entry(|entry, payload| giver.entry(&entry, payload, Fate::Kept))?;
    }
    let refused = giver.refused;
    reader.finish()?;
    Ok(Restored { changes: None, must_save: true, refused })
}

impl<V: 'static> SnapshotConfig<V> {
    /// Refuses a snapshot of another cache.
    fn judge(&self, header: &Header) -> Result<()> {
        if header.namespace != self.namespace {
            return Err(foreign("another namespace's"));
        }
        if header.codec != self.codec.id() {
            return Err(foreign(OTHER_CODEC));
        }
        if header.schema != self.schema {
            return Err(foreign("values of another schema"));
        }
        if self.is_alone && header.log == 0 {
            return Err(foreign("what was saved over a backend can only be compared with one"));
        }
        Ok(())
    }
}

/// Turns a snapshot's entries into entries for a cache.
struct Giver<'a, K, V> {
    form: &'a SnapshotConfig<V>,
    give: &'a mut dyn FnMut(RestoredEntry<K, V>),
    /// The time that no process has counted.
    downtime: Duration,
    expected: u64,
    number: u64,
    /// True if the codec's values keep the bytes that they are given.
    is_keeping: bool,
    refused: Option<Error>,
    key: PhantomData<K>,
}

impl<'a, K: CacheKey, V: 'static> Giver<'a, K, V> {
    fn new(
        form: &'a SnapshotConfig<V>,
        give: &'a mut dyn FnMut(RestoredEntry<K, V>),
        wall: Duration,
        saved: Duration,
        expected: u64,
    ) -> Self {
        // A wall clock that was stepped back lengthens no life.
        let downtime = wall.saturating_sub(saved);
        let (number, is_keeping, refused, key) = (0, false, None, PhantomData);
        Self { form, give, downtime, expected, number, is_keeping, refused, key }
    }

    fn block(&mut self, body: &Bytes, changes: Option<&Changes>) -> Result<()> {
        let mut input = Input(body);
        while !input.0.is_empty() {
            let entry = SavedEntry::take(&mut input).ok_or_else(damaged)?;
            let fate = changes.map_or(Fate::Kept, |changes| changes.fate(entry.key, &entry.tags));
            self.entry(&entry, body, fate);
        }
        Ok(())
    }

    fn entry(&mut self, entry: &SavedEntry<'_>, body: &Bytes, fate: Fate) {
        let number = self.number;
        self.number += 1;
        let Some((fresh_left, kept_left)) = self.lives(entry, fate) else { return };
        let key = guarded("restore", || K::from_text(entry.key).ok_or_else(no_key));
        let content = match entry.payload {
            Payload::Value(payload) => self.decode(entry.key, payload, body).map(Content::Value),
            Payload::Absent => Ok(Content::Absent),
            Payload::Counter(number) => Ok(Content::Counter(number)),
        };
        match key.and_then(|key| Ok((key, content?))) {
            Ok((key, content)) => (self.give)(RestoredEntry {
                key,
                content,
                fresh_left,
                kept_left,
                age: entry.age.saturating_add(self.downtime),
                idle: entry.idle.saturating_add(self.downtime),
                version: if self.form.is_alone { Version::NONE } else { entry.version },
                tags: entry.tags.iter().map(|&tag| Arc::from(tag)).collect(),
                cost: entry.cost,
                // The first half of the entries was used more than the rest.
                uses: u64::from(number < self.expected / 2),
                number,
                more: self.expected.saturating_sub(number),
            }),
            Err(error) => drop(self.refused.get_or_insert(error)),
        }
    }

    /// Returns the life that is left of an entry. None if none is left.
    fn lives(&self, entry: &SavedEntry<'_>, fate: Fate) -> Option<(Duration, Duration)> {
        let left = |life| if life == NEVER { NEVER } else { self.downtime_off(life) };
        let (fresh, kept) = (left(entry.fresh_left), left(entry.kept_left));
        let (fresh, kept) = match fate {
            Fate::Kept => (fresh, kept),
            Fate::Gone => return None,
            // Nobody knows when the entry became stale: with each restart its grace would begin
            // anew.
            Fate::Stale if entry.fresh_left == NEVER => (Duration::ZERO, left(self.form.grace)),
            Fate::Stale => {
                let grace = entry.kept_left.saturating_sub(entry.fresh_left);
                (Duration::ZERO, kept.min(left(grace)))
            }
        };
        (!kept.is_zero()).then_some((fresh, kept))
    }

    fn downtime_off(&self, life: Duration) -> Duration {
        life.saturating_sub(self.downtime)
    }

    fn decode(&mut self, key: &str, payload: &[u8], body: &Bytes) -> Result<V> {
        let (codec, place) = (&self.form.codec, self.form.place(key));
        if !self.is_keeping {
            let value = guarded("restore", || codec.decode_at(&body.slice_ref(payload), &place))?;
            // A value that keeps a part of the block would keep all of it, for as long as it lives.
            if body.is_unique() {
                return Ok(value);
            }
            self.is_keeping = true;
        }
        guarded("restore", || codec.decode_at(&Bytes::copy_from_slice(payload), &place))
    }
}

fn no_key() -> Error {
    Error::new(ErrorKind::Codec, "restore", "a key's text is none of this type")
}

const OTHER_CODEC: &str = "another codec wrote it";
