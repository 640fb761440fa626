//! A walk over the records of one class in a namespace, page by page.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use larder_core::{Backend as _, Class, Header, Key, Kind, Life, Result};

use crate::pattern::Pattern;
use crate::tier::marks::current::{Age, life, names};
use crate::tier::marks::here::Marks;
use crate::tier::shared::authority::Authority;

/// A walk over the records that a pattern matches. Leases are among them. A record that is written
/// meanwhile may be met or not; a record that is there all the while is met at least once.
#[derive(Clone)]
pub(crate) struct Scan {
    pattern: Pattern,
    /// The beginnings of the names that are still to be walked.
    prefixes: Vec<Vec<u8>>,
    cursor: Option<Bytes>,
}

/// A record that a walk has met.
pub(crate) struct Met {
    pub(crate) key: Key,
    /// The user's key as text.
    pub(crate) text: String,
    pub(crate) header: Header,
}

impl Met {
    /// True if the record is one that a user has stored: a value or a number.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self.header.kind, Kind::Value | Kind::Counter)
    }
}

impl Scan {
    /// Begins a walk over the entries that a pattern matches.
    pub(crate) fn new(authority: &Authority, pattern: Pattern) -> Self {
        Self::of(authority, Class::Entry, pattern)
    }

    /// Begins a walk over the records of one class that a pattern matches.
    pub(super) fn of(authority: &Authority, class: Class, pattern: Pattern) -> Self {
        let class = authority.remote.namespace().class_prefix(class);
        // A name that contains the whole key has neither spaces nor control characters.
        let literal = pattern.literal_prefix().as_bytes();
        let plain = literal.iter().take_while(|&&byte| byte > b' ' && byte != 0x7f).copied();
        let whole = class.iter().copied().chain([b':']).chain(plain).collect();
        // Digests and mangled names say nothing of their keys.
        let named = |mark: u8| [class.as_slice(), &[mark]].concat();
        Self { pattern, prefixes: vec![named(b'~'), named(b'#'), whole], cursor: None }
    }

    /// Returns the next page, which may be empty; none after the last.
    pub(crate) async fn page(&mut self, authority: &Authority) -> Result<Option<Vec<Met>>> {
        let Some(prefix) = self.prefixes.last() else { return Ok(None) };
        let page = authority.remote.backend().scan(prefix, self.cursor.take(), PAGE).await?;
        self.cursor = page.next;
        if self.cursor.is_none() {
            self.prefixes.pop();
        }
        let meant = page.records.into_iter().filter_map(|record| {
            let text = record.key.text(authority.remote.namespace())?;
            let text = std::str::from_utf8(text).ok()?.to_owned();
            let header = record.header;
            self.pattern.matches(&text).then_some(Met { key: record.key, text, header })
        });
        Ok(Some(meant.collect()))
    }
}

impl Authority {
    /// Returns the lives of these records, by their times and by their marks.
    pub(crate) async fn lives(&self, marks: &Marks, records: &[Met]) -> Result<Vec<Life>> {
        let mut lives = Vec::with_capacity(records.len());
        let mut left = records;
        while !left.is_empty() {
            let mut tags = BTreeSet::new();
            let count = left.iter().take_while(|met| {
                let has_room = tags.len() < TAGS_AT_ONCE;
                if has_room {
                    tags.extend(names(&met.header).unwrap_or_default());
                }
                has_room
            });
            let (some, others) = left.split_at(count.count());
            let tags: Vec<Arc<str>> = tags.into_iter().collect();
            let current = self.current(marks, &tags, Age::Checked).await?;
            lives.extend(some.iter().map(|met| life(&met.header, &current)));
            left = others;
        }
        Ok(lives)
    }
}

/// The number of tags from which on no further record joins the records that are judged together.
const TAGS_AT_ONCE: usize = 1_000;

const PAGE: usize = 1_000;
