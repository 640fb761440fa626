//! The records of a change log, and their effect on a snapshot's entries.
//!
//! ```text
//! record   u32 length of the body, above zero, little-endian
//!          u32 checksum: the low half of XXH3 of the body
//!          u32 checksum of those 8 bytes: a length that is damaged is not taken for a short log
//!              body: u8 what has changed, then the text of the key or tag
//! ```
//!
//! A log begins with a record of its own kind. A last record that is cut short is a change that was
//! confirmed to nobody: its process was killed meanwhile. Any other record that is not whole is
//! damage.

use std::collections::HashSet;
use std::io::Read;

use larder_core::Result;
use xxhash_rust::xxh3::xxh3_64;

use crate::pattern::Pattern;
use crate::snapshot::failure::{damaged, of_sink};
use crate::snapshot::number::Input;
use crate::snapshot::sink::Sink;
use crate::tier::message::{Message, Text};

/// A record of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogRecord<'a> {
    /// The log begins.
    Begin,
    /// The log goes on in the log of this name, too.
    GoOn(&'a str),
    /// A change has been made.
    Change(Text<'a>),
}

impl<'a> LogRecord<'a> {
    /// The bytes of the record.
    pub(super) fn bytes(self) -> Vec<u8> {
        let (kind, text) = match self {
            Self::Begin => (0, ""),
            Self::GoOn(log) => (1, log),
            Self::Change(Message::Key(key)) => (2, key),
            Self::Change(Message::StaleKey(key)) => (3, key),
            Self::Change(Message::Tag(tag)) => (4, tag),
            Self::Change(Message::StaleTag(tag)) => (5, tag),
            Self::Change(Message::All) => (6, ""),
            Self::Change(Message::StaleAll) => (7, ""),
            Self::Change(Message::Pattern(pattern)) => (8, pattern),
        };
        let mut body = Vec::with_capacity(text.len() + 1);
        body.push(kind);
        body.extend_from_slice(text.as_bytes());
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let head = [length.to_le_bytes(), sum(&body)].concat();
        [&head[..], &sum(&head), &body].concat()
    }

    fn parse(body: &'a [u8]) -> Option<Self> {
        let (kind, text) = body.split_first()?;
        let text = std::str::from_utf8(text).ok()?;
        Some(Self::Change(match kind {
            0 => return Some(Self::Begin),
            1 => return Some(Self::GoOn(text)),
            2 => Message::Key(text),
            3 => Message::StaleKey(text),
            4 => Message::Tag(text),
            5 => Message::StaleTag(text),
            6 => Message::All,
            7 => Message::StaleAll,
            8 => Message::Pattern(text),
            _ => return None,
        }))
    }
}

/// All changes since a snapshot.
#[derive(Debug, Default)]
pub(super) struct Changes {
    all: bool,
    stale_all: bool,
    keys: HashSet<Box<str>>,
    stale_keys: HashSet<Box<str>>,
    tags: HashSet<Box<str>>,
    stale_tags: HashSet<Box<str>>,
    patterns: Vec<Pattern>,
    /// The length of the snapshot's own log.
    pub(super) length: u64,
    /// True if that log ends within a record, so that no record can be appended to it.
    pub(super) is_torn: bool,
}

/// The effect of the changes on a snapshot's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Stale,
    Gone,
}

impl Changes {
    /// Reads the log of this name, and the logs in which it goes on. None if one is missing.
    ///
    /// # Errors
    /// [`Codec`](larder_core::ErrorKind::Codec) if one is damaged: its changes are unknown then,
    /// and the snapshot worth nothing. Else the error of reading.
    pub(super) fn read(sink: &dyn Sink, log: String) -> Result<Option<Self>> {
        let mut changes = Self::default();
        let mut next = vec![log];
        let mut read = HashSet::new();
        while let Some(log) = next.pop() {
            if read.contains(&log) {
                continue;
            }
            let Some(one) = changes.read_one(sink, &log)? else { return Ok(None) };
            if read.is_empty() {
                (changes.length, changes.is_torn) = (one.length, one.is_torn);
            }
            next.extend(one.next);
            read.insert(log);
        }
        Ok(Some(changes))
    }

    /// Returns the effect of the changes on an entry.
    pub(super) fn fate(&self, key: &str, tags: &[&str]) -> Fate {
        if self.all
            || has(&self.keys, key)
            || tags.iter().any(|tag| has(&self.tags, tag))
            || self.patterns.iter().any(|pattern| pattern.matches(key))
        {
            Fate::Gone
        } else if self.stale_all
            || has(&self.stale_keys, key)
            || tags.iter().any(|tag| has(&self.stale_tags, tag))
        {
            Fate::Stale
        } else {
            Fate::Kept
        }
    }

    /// Reads one log, if it is there.
    fn read_one(&mut self, sink: &dyn Sink, log: &str) -> Result<Option<Log>> {
        let failed = |error| of_sink("restore", error);
        let Some(input) = sink.read_log(log).map_err(failed)? else { return Ok(None) };
        let mut bytes = Vec::new();
        input.take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
        let mut input = Input(&bytes);
        let (mut next, mut is_torn) = (Vec::new(), false);
        let mut has_begun = false;
        while !input.0.is_empty() {
            let Some(body) = take_record(&mut input)? else {
                is_torn = true;
                break;
            };
            match LogRecord::parse(body).ok_or_else(damaged)? {
                LogRecord::Begin => has_begun = true,
                LogRecord::GoOn(log) => next.push(log.to_owned()),
                LogRecord::Change(change) => self.note(change)?,
            }
        }
        let length = bytes.len() as u64;
        if length >= LONGEST {
            return Err(damaged());
        }
        // A log that was removed, and that another process has appended to since, does not count.
        Ok(has_begun.then_some(Log { length, is_torn, next }))
    }

    fn note(&mut self, change: Text<'_>) -> Result<()> {
        match change {
            Message::Key(key) => drop(self.keys.insert(key.into())),
            Message::StaleKey(key) => drop(self.stale_keys.insert(key.into())),
            Message::Tag(tag) => drop(self.tags.insert(tag.into())),
            Message::StaleTag(tag) => drop(self.stale_tags.insert(tag.into())),
            Message::Pattern(pattern) => {
                self.patterns.push(Pattern::parse(pattern).map_err(|_| damaged())?);
            }
            Message::All => self.all = true,
            Message::StaleAll => self.stale_all = true,
        }
        Ok(())
    }
}

/// The facts that one log states about itself.
struct Log {
    length: u64,
    is_torn: bool,
    /// The names of the logs in which it goes on.
    next: Vec<String>,
}

/// Returns the body of the next record. None if it is cut short.
fn take_record<'a>(input: &mut Input<'a>) -> Result<Option<&'a [u8]>> {
    let Some(head) = input.take(8) else { return Ok(None) };
    let Some(head_sum) = input.array::<4>() else { return Ok(None) };
    let mut parts = Input(head);
    let (Some(length), Some(body_sum)) = (parts.array(), parts.array::<4>()) else {
        return Ok(None);
    };
    if sum(head) != head_sum {
        return Err(damaged());
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    let Some(body) = input.take(length) else { return Ok(None) };
    if sum(body) == body_sum { Ok(Some(body)) } else { Err(damaged()) }
}

fn sum(bytes: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = xxh3_64(bytes).to_le_bytes();
    [a, b, c, d]
}

fn has(set: &HashSet<Box<str>>, text: &str) -> bool {
    !set.is_empty() && set.contains(text)
}

/// A length that no log can reach, its longest record included.
const LONGEST: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::{LogRecord, take_record};
    use crate::snapshot::number::Input;
    use crate::tier::message::Message;

    #[test]
    fn records_come_back_and_what_is_cut_short_is_told_from_damage() {
        let all = [
            LogRecord::Begin,
            LogRecord::GoOn("log"),
            LogRecord::Change(Message::Key("ada")),
            LogRecord::Change(Message::StaleKey("")),
            LogRecord::Change(Message::Tag("a")),
            LogRecord::Change(Message::StaleTag("b")),
            LogRecord::Change(Message::Pattern("a*")),
            LogRecord::Change(Message::All),
            LogRecord::Change(Message::StaleAll),
        ];
        let bytes: Vec<u8> = all.iter().flat_map(|record| record.bytes()).collect();
        let mut input = Input(&bytes);
        for record in all {
            assert_eq!(LogRecord::parse(take_record(&mut input).unwrap().unwrap()), Some(record));
        }
        let record = LogRecord::Change(Message::Key("ada")).bytes();
        for length in 0..record.len() {
            assert_eq!(take_record(&mut Input(&record[..length])).unwrap(), None);
        }
        for place in 0..record.len() {
            let mut spoilt = record.clone();
            spoilt[place] ^= 1;
            assert!(take_record(&mut Input(&spoilt)).is_err());
        }
    }
}
