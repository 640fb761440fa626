//! All keys of a namespace that a pattern means.

use bytes::Bytes;
use larder::backend::{Backend as _, Class, Epoch, Header, Key, Kind};
use larder::{Cache, Options, Pattern};

use crate::exit::Failure;
use crate::store::Store;

/// The entries of a store's namespace.
pub(crate) struct Scan<'a> {
    store: &'a Store,
    pattern: Option<&'a Pattern>,
}

/// An entry or a lease that a scan met.
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) text: String,
    pub(crate) header: Header,
}

impl<'a> Scan<'a> {
    /// The entries that the pattern means; all of them without one.
    pub(crate) fn new(store: &'a Store, pattern: Option<&'a Pattern>) -> Self {
        Self { store, pattern }
    }

    /// Hands over what is there, page by page, leases included. A record that is written meanwhile
    /// may be met or not.
    pub(crate) async fn all(
        &self,
        mut each: impl AsyncFnMut(Vec<Found>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for prefix in self.prefixes() {
            let mut cursor = None;
            loop {
                let page = self.store.backend.scan(&prefix, cursor, PAGE).await?;
                let found = page.records.into_iter().filter_map(|record| {
                    let text = record.key.text(&self.store.namespace)?;
                    let text = std::str::from_utf8(text).ok()?.to_owned();
                    let is_meant = self.pattern.is_none_or(|pattern| pattern.matches(&text));
                    is_meant.then_some(Found { key: record.key, text, header: record.header })
                });
                each(found.collect()).await?;
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Hands over the keys under which a value or a counter is, fresh or stale.
    pub(crate) async fn values(
        &self,
        mut each: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut judge = Judge { store: self.store, epoch: self.epoch().await?, caches: Vec::new() };
        self.all(async |page| {
            for found in page {
                if judge.is_value(&found).await? {
                    each(&found.text)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// The namespace's present epoch, if it has one.
    async fn epoch(&self) -> Result<Option<Epoch>, Failure> {
        let key = Key::new(&self.store.namespace, Class::Epoch, b"");
        Ok(self.store.backend.read_one(&key).await?.map(|record| record.header.epoch))
    }

    /// What the names of these entries begin with: those that are the key itself, and those that
    /// are a digest of a long or odd one.
    fn prefixes(&self) -> [Vec<u8>; 2] {
        let class = self.store.namespace.class_prefix(Class::Entry);
        let literal = self.pattern.map(Pattern::literal_prefix).unwrap_or_default();
        // A name that holds the whole key has neither spaces nor control characters.
        let plain: &[u8] = literal.as_bytes();
        let end = plain.iter().position(|&byte| byte <= b' ' || byte == 0x7f);
        let plain = plain.get(..end.unwrap_or(plain.len())).unwrap_or_default();
        [[class.as_slice(), b":", plain].concat(), [class.as_slice(), b"#"].concat()]
    }
}

/// Tells values from what a change of a tag or of everything has taken away.
struct Judge<'a> {
    store: &'a Store,
    /// None makes nothing sure.
    epoch: Option<Epoch>,
    /// For each codec that was met.
    caches: Vec<(u16, Cache<String, Bytes>)>,
}

impl Judge<'_> {
    async fn is_value(&mut self, found: &Found) -> Result<bool, Failure> {
        match found.header.kind {
            Kind::Counter => Ok(true),
            Kind::Value
                if found.header.tags.is_empty() && self.epoch == Some(found.header.epoch) =>
            {
                Ok(true)
            }
            // Its marks have to be asked for.
            Kind::Value => Ok(self.cache(found.header.codec)?.contains_key(&found.text).await?),
            _ => Ok(false),
        }
    }

    fn cache(&mut self, codec: u16) -> Result<Cache<String, Bytes>, Failure> {
        if let Some((_, cache)) = self.caches.iter().find(|(known, _)| *known == codec) {
            return Ok(cache.clone());
        }
        let cache = self.store.entries(codec)?.with(Options::new().allow_stale(true));
        self.caches.push((codec, cache.clone()));
        Ok(cache)
    }
}

const PAGE: usize = 1_000;
