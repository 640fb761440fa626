//! An entry in a snapshot.
//!
//! Numbers are of seven bits a byte, from the lowest; a life is in microseconds, rounded down. What
//! a flag does not announce is not there.
//!
//! ```text
//! flags    u8      1 known to be absent · 2 fresh without end · 4 kept without end
//!                  8 has a version · 16 has tags · 32 has a cost
//!                  64 a number, whose payload is an i64 from its lowest byte; 128 is refused
//! key      number  its text's length, then the text
//! payload  number  its length, then what the codec made; not if it is absent
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

/// An entry as a snapshot holds it, or as bytes of a block show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    /// None if it is known to be absent.
    pub(super) payload: Option<&'a [u8]>,
    /// Whether the payload is a number, and no codec made it.
    pub(super) is_number: bool,
    /// When the save began: how long it stays fresh, [`NEVER`] without end.
    pub(super) fresh_left: Duration,
    /// The same for how long it is kept, which is no less.
    pub(super) kept_left: Duration,
    pub(super) age: Duration,
    pub(super) idle: Duration,
    /// [`Version::NONE`] without a backend.
    pub(super) version: Version,
    pub(super) tags: Vec<&'a str>,
    pub(super) cost: Duration,
}

impl<'a> Entry<'a> {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.flags());
        put_bytes(out, self.key.as_bytes());
        if let Some(payload) = self.payload {
            put_bytes(out, payload);
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

    /// The next entry; none if the bytes are none.
    pub(super) fn take(input: &mut Input<'a>) -> Option<Self> {
        let flags = input.byte().filter(|flags| flags & !KNOWN == 0)?;
        let has = |flag| flags & flag != 0;
        let key = input.text()?;
        let payload = if has(ABSENT) { None } else { Some(input.bytes()?) };
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
        let is_number = has(NUMBER);
        Some(Self {
            key,
            payload,
            is_number,
            fresh_left,
            kept_left,
            age,
            idle,
            version,
            tags,
            cost,
        })
    }

    fn flags(&self) -> u8 {
        let flags = [
            (ABSENT, self.payload.is_none()),
            (FRESH_NEVER, self.fresh_left == NEVER),
            (KEPT_NEVER, self.kept_left == NEVER),
            (VERSION, self.version != Version::NONE),
            (TAGS, !self.tags.is_empty()),
            (COST, !self.cost.is_zero()),
            (NUMBER, self.is_number),
        ];
        flags.iter().map(|&(flag, is_set)| if is_set { flag } else { 0 }).sum()
    }
}

fn take_micros(input: &mut Input<'_>) -> Option<Duration> {
    input.number().map(Duration::from_micros)
}

fn take_tags<'a>(input: &mut Input<'a>) -> Option<Vec<&'a str>> {
    let count = input.number()?;
    // Each tag is two bytes at least: what is claimed beyond that is not there.
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
const NUMBER: u8 = 64;
const KNOWN: u8 = 127;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use larder_core::{NEVER, Version};

    use super::Entry;
    use crate::snapshot::number::Input;

    fn entry() -> Entry<'static> {
        Entry {
            key: "ada",
            payload: Some(b"1815"),
            is_number: false,
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
        let absent = Entry { payload: None, version: Version::NONE, ..entry() };
        let endless = Entry { fresh_left: NEVER, kept_left: NEVER, tags: Vec::new(), ..entry() };
        let graced = Entry { kept_left: NEVER, cost: Duration::ZERO, ..entry() };
        let number = Entry { payload: Some(&[7; 8]), is_number: true, ..entry() };
        let entries = [entry(), absent, endless, graced, number];
        let mut out = Vec::new();
        for entry in &entries {
            entry.put(&mut out);
        }
        let mut input = Input(&out);
        for entry in &entries {
            assert_eq!(Entry::take(&mut input).as_ref(), Some(entry));
        }
        assert!(input.0.is_empty());
    }

    #[test]
    fn what_is_cut_short_or_flagged_otherwise_is_none() {
        let mut out = Vec::new();
        entry().put(&mut out);
        for length in 0..out.len() {
            assert_eq!(Entry::take(&mut Input(&out[..length])), None);
        }
        out[0] |= 128;
        assert_eq!(Entry::take(&mut Input(&out)), None);
    }
}
