//! Frees the authority's records that marks have ended: a backend knows nothing of marks.

use std::collections::BTreeSet;
use std::sync::Arc;

use larder_core::{
    Backend as _, Class, Delete, Epoch, Expect, Kind, Life, Outcome, Result, Timestamp,
};

use crate::pattern::Pattern;
use crate::tier::marks::current::{Current, life, names};
use crate::tier::marks::here::Generation;
use crate::tier::marks::record::lost_if_damaged;
use crate::tier::shared::authority::Authority;
use crate::tier::shared::scan::{Met, Scan};

impl Authority {
    /// Deletes the entries of the namespace that a change of the epoch or of a tag has ended, and
    /// returns their number. Deletes none where the backend cannot list keys.
    ///
    /// Each is deleted by its version, so a record that takes its place meanwhile stays. Leases are
    /// left to their loads, and end by themselves.
    pub(crate) async fn purge_ended(&self) -> Result<u64> {
        if !self.remote.backend().capabilities().scan {
            return Ok(0);
        }
        let mut deleted = 0;
        let mut scan = Scan::new(self, Pattern::parse("*")?);
        while let Some(mut page) = scan.page(self).await? {
            page.retain(|met| met.header.kind != Kind::Lease);
            deleted += self.delete_ended(&page).await?;
        }
        Ok(deleted)
    }

    async fn delete_ended(&self, page: &[Met]) -> Result<u64> {
        let marks = self.marks_of(page).await?;
        let is_ended = |met: &&Met| life(&met.header, &marks) == Life::Dead;
        let delete =
            |met: &Met| Delete { key: met.key.clone(), expect: Expect::exactly(&met.header) };
        let deletes: Vec<_> = page.iter().filter(is_ended).map(delete).collect();
        if deletes.is_empty() {
            return Ok(0);
        }
        let mut count = 0;
        for outcome in self.remote.backend().delete(&deletes).await {
            match outcome {
                Outcome::Done => count += 1,
                Outcome::Refused(_) => {}
                Outcome::Failed(error) | Outcome::Unknown(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// Reads the marks of these records after the records were read: by an earlier answer, records
    /// stored under newer marks would be deleted. Missing marks are not made here: their records
    /// are dead.
    async fn marks_of(&self, page: &[Met]) -> Result<Current> {
        let tags: BTreeSet<Arc<str>> =
            page.iter().flat_map(|met| names(&met.header).unwrap_or_default()).collect();
        let mut keys = vec![self.remote.key(Class::Epoch, "")];
        keys.extend(tags.iter().map(|tag| self.remote.key(Class::Tag, tag)));
        let mut headers = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MARKS_AT_ONCE) {
            for read in self.remote.read_many(keys).await {
                headers.push(lost_if_damaged(read)?);
            }
        }
        let mut headers = headers.into_iter();
        let epoch = headers.next().flatten().map_or(Epoch::NONE, |header| header.epoch);
        let tags = headers.flatten().flat_map(|header| header.tags).collect();
        Ok(Current { epoch, tags, generation: Generation::default(), checked: Timestamp::ZERO })
    }
}

const MARKS_AT_ONCE: usize = 1_000;
