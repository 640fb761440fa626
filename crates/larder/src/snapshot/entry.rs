//! An entry in a snapshot.
//!
//! Numbers are of seven bits a byte, from the lowest; a life is in microseconds, rounded down. A
//! field that no flag announces is not there.
//!
//! ```text
//! flags    u8      1 known to be absent · 2 fresh without end · 4 kept without end
//!                  8 has a version · 16 has tags · 32 has a cost · 64 a counter; others are refused
//! key      number  its text's length, then the text
//! payload  number  its length, then what the codec made; not if it is absent; of a counter 8 bytes
//!                  alone, with a sign, little-endian
//! fresh    number  the life left; not if it is without end
//! kept     number  how much longer it is kept than fresh; not if either is without end
//! age      number  since its write
//! idle     number  since its last use
//! version  16      of the record it is a copy of
//! tags     number  how many, then each with its length
//! cost     number  what its load took
//! ```

use std::time::Duration;

use larder_core::{NEVER, Version};

use crate::snapshot::header::micros;
use crate::snapshot::number::{Input, put, put_bytes};

/// An entry as a snapshot stores it, or as the bytes of a block show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SavedEntry<'a> {
    pub(super) key: &'a str,
    pub(super) payload: Payload<'a>,
    /// The time for which it stays fresh, from the beginning of the save; [`NEVER`] without end.
    pub(super) fresh_left: Duration,
    /// The time for which it is kept, from the beginning of the save; no less than `fresh_left`.
    pub(super) kept_left: Duration,
    pub(super) age: Duration,
    pub(super) idle: Duration,
    /// The version of the record that it copies; [`Version::NONE`] without a backend.
    pub(super) version: Version,
    pub(super) tags: Vec<&'a str>,
    pub(super) cost: Duration,
}

/// The content under the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    /// The codec's bytes of a value.
    Value(&'a [u8]),
    /// The key is known to be absent.
    Absent,
    Counter(i64),
}

impl<'a> SavedEntry<'a> {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.flags());
        put_bytes(out, self.key.as_bytes());
        match self.payload {
            Payload::Value(payload) => put_bytes(out, payload),
            Payload::Absent => {}
            Payload::Counter(number) => out.extend_from_slice(&number.to_le_bytes()),
        }
        if self.fresh_left != NEVER {
            put(out, micros(self.fresh_left));
            if self.kept_left != NEVER {
                put(out, micros(self.kept_left).saturating_sub(micros(self.fresh_left)));
            }
        }
        put(out, micros(self.age));
        put(out, micros(self.idle));
        if self.version != Version::NONE {
            out.extend_from_slice(&self.version.to_bytes());
        }
        if !self.tags.is_empty() {
            put(out, self.tags.len() as u64);
            self.tags.iter().for_each(|tag| put_bytes(out, tag.as_bytes()));
        }
        if !self.cost.is_zero() {
            put(out, micros(self.cost));
        }
    }

    /// Returns the next entry. None if the bytes are no entry.
    pub(super) fn take(input: &mut Input<'a>) -> Option<Self> {
        let flags = input.byte().filter(|flags| flags & !KNOWN == 0)?;
        let has = |flag| flags & flag != 0;
        let key = input.text()?;
        let payload = match (has(ABSENT), has(COUNTER)) {
            (false, false) => Payload::Value(input.bytes()?),
            (true, false) => Payload::Absent,
            (false, true) => Payload::Counter(i64::from_le_bytes(input.array()?)),
            (true, true) => return None,
        };
        let (fresh_left, kept_left) = if has(FRESH_NEVER) {
            (NEVER, NEVER)
        } else {
            let fresh = Duration::from_micros(input.number()?);
            let grace = if has(KEPT_NEVER) { NEVER } else { take_micros(input)? };
            (fresh, fresh.saturating_add(grace))
        };
        let (age, idle) = (take_micros(input)?, take_micros(input)?);
        let version =
            if has(VERSION) { Version::from_bytes(input.array()?) } else { Version::NONE };
        let tags = if has(TAGS) { take_tags(input)? } else { Vec::new() };
        let cost = if has(COST) { take_micros(input)? } else { Duration::ZERO };
        Some(Self { key, payload, fresh_left, kept_left, age, idle, version, tags, cost })
    }

    fn flags(&self) -> u8 {
        let flags = [
            (ABSENT, self.payload == Payload::Absent),
            (COUNTER, matches!(self.payload, Payload::Counter(_))),
            (FRESH_NEVER, self.fresh_left == NEVER),
            (KEPT_NEVER, self.kept_left == NEVER),
            (VERSION, self.version != Version::NONE),
            (TAGS, !self.tags.is_empty()),
            (COST, !self.cost.is_zero()),
        ];
        flags.iter().map(|&(flag, is_set)| if is_set { flag } else { 0 }).sum()
    }
}

fn take_micros(input: &mut Input<'_>) -> Option<Duration> {
    input.number().map(Duration::from_micros)
}

fn take_tags<'a>(input: &mut Input<'a>) -> Option<Vec<&'a str>> {
    let count = input.number()?;
    // Each tag is two bytes at least: a count beyond that is damage.
    if count > input.0.len() as u64 / 2 {
        return None;
    }
    (0..count).map(|_| input.text().filter(|tag| (1..=255).contains(&tag.len()))).collect()
}

const ABSENT: u8 = 1;
const FRESH_NEVER: u8 = 2;
const KEPT_NEVER: u8 = 4;
const VERSION: u8 = 8;
const TAGS: u8 = 16;
const COST: u8 = 32;
const COUNTER: u8 = 64;
const KNOWN: u8 = 127;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use larder_core::{NEVER, Version};

    use super::{ABSENT, COUNTER, Payload, SavedEntry};
    use crate::snapshot::number::Input;

    fn entry() -> SavedEntry<'static> {
        SavedEntry {
            key: "ada",
            payload: Payload::Value(b"1815"),
            fresh_left: Duration::from_secs(60),
            kept_left: Duration::from_secs(90),
            age: Duration::from_secs(5),
            idle: Duration::from_millis(300),
            version: Version::from_bytes([7; 16]),
            tags: vec!["a", "b"],
            cost: Duration::from_micros(9),
        }
    }

    #[test]
    fn entries_come_back() {
        let absent = SavedEntry { payload: Payload::Absent, version: Version::NONE, ..entry() };
        let endless =
            SavedEntry { fresh_left: NEVER, kept_left: NEVER, tags: Vec::new(), ..entry() };
        let graced = SavedEntry { kept_left: NEVER, cost: Duration::ZERO, ..entry() };
        let counter = SavedEntry { payload: Payload::Counter(-7), ..entry() };
        let entries = [entry(), absent, counter, endless, graced];
        let mut out = Vec::new();
        for entry in &entries {
            entry.put(&mut out);
        }
        let mut input = Input(&out);
        for entry in &entries {
            assert_eq!(SavedEntry::take(&mut input).as_ref(), Some(entry));
        }
        assert!(input.0.is_empty());
    }

    #[test]
    fn what_is_cut_short_or_flagged_otherwise_is_none() {
        let mut out = Vec::new();
        entry().put(&mut out);
        for length in 0..out.len() {
            assert_eq!(SavedEntry::take(&mut Input(&out[..length])), None);
        }
        for flags in [out[0] | 128, out[0] | ABSENT | COUNTER] {
            out[0] = flags;
            assert_eq!(SavedEntry::take(&mut Input(&out)), None);
        }
    }
}
