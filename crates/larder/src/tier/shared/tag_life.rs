//! The lives of tags at the authority.
//!
//! A tag's record dies as other records do. A tag made anew has other versions, so every entry that
//! has the tag is then dead too. A tag must therefore outlive its entries. Before an entry is
//! stored or its life lengthened, its tags' lives are extended, by their versions: a tag that has
//! changed or died since it was read is not extended, and the entry is not stored. Writing the
//! tag's record again instead would bring back a version that another process has changed
//! meanwhile.
//!
//! An extension may cut another one short, if both were computed from the same record. A reader of
//! an entry that finds too little life left extends the tags again; in the worst case the entry
//! dies early.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    Backend as _, Class, Epoch, Expect, Key, NEVER, Outcome, Result, Retime, TagVersion, Times,
    Write,
};

use crate::ops::swap::contended;
use crate::pattern::Pattern;
use crate::support::mutation::{self, Rule};
use crate::support::sync::lock;
use crate::tier::marks::current::{Age, Current};
use crate::tier::marks::here::Marks;
use crate::tier::marks::record::{LEAST_LIFE, mark};
use crate::tier::shared::authority::Authority;
use crate::tier::shared::marks::TRIES;
use crate::tier::shared::scan::Scan;

impl Authority {
    /// Returns the marks as they are now, with tags that live at least this long.
    pub(crate) async fn capture(
        &self,
        marks: &Marks,
        tags: &[Arc<str>],
        life: Duration,
    ) -> Result<Current> {
        for _ in 0..TRIES {
            let current = self.current_for(marks, tags, Age::Now, lasting(life)).await?;
            if self.extend(&current.tags, life).await? {
                return Ok(current);
            }
        }
        Err(contended("extend a tag"))
    }

    /// Makes tags live at least this long, in one call for all that do not. Returns false if one of
    /// them has changed or died since this version of it was read.
    pub(crate) async fn extend(&self, tags: &[TagVersion], life: Duration) -> Result<bool> {
        if tags.is_empty() || life.is_zero() || !mutation::holds(Rule::ExtendTags) {
            return Ok(true);
        }
        let began = self.remote.clock.now();
        let mut short = self.ending_within(tags, life);
        let mut names = HashSet::with_capacity(short.len());
        short.retain(|tag| names.insert(&tag.name));
        if short.is_empty() {
            return Ok(true);
        }
        let life = lasting(life);
        let outcomes = self.retime_tags(&short, life).await;
        let mut table = lock(&self.table);
        let mut are_extended = true;
        for (tag, outcome) in short.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Done => table.lasts(tag, began.after(life)),
                Outcome::Refused(_) => are_extended = false,
                Outcome::Failed(error) | Outcome::Unknown(error) => return Err(error),
            }
        }
        Ok(are_extended || !mutation::holds(Rule::RefusedExtension))
    }

    /// Extends the tags of an entry that was read, if their lives have been cut short. If that
    /// fails, the entry dies early.
    pub(crate) async fn keep_tags(&self, tags: &[TagVersion], left: Duration) {
        let _ = self.extend(tags, left).await;
    }

    /// True if all these tags are known to live at least this long.
    pub(crate) fn outlive(&self, tags: &[TagVersion], life: Duration) -> bool {
        self.ending_within(tags, life).is_empty()
    }

    fn ending_within<'a>(&self, tags: &'a [TagVersion], life: Duration) -> Vec<&'a TagVersion> {
        lock(&self.table).ending_before(tags, self.remote.clock.now().after(life))
    }

    /// Gives an end to tags that live without end and that no entry has any more. An entry that is
    /// stored meanwhile has an hour in which its readers extend its tags again.
    ///
    /// # Errors
    /// Errors of the backend: some of the tags may then have an end.
    pub(crate) async fn end_unnamed(&self) -> Result<()> {
        let capabilities = self.remote.backend().capabilities();
        if !capabilities.scan || !capabilities.conditional {
            return Ok(());
        }
        let mut tags = Scan::of(self, Class::Tag, Pattern::parse("*")?);
        loop {
            let (mut endless, mut is_last) = (HashMap::new(), false);
            while !is_last && endless.len() < ENDED_AT_ONCE {
                let page = tags.page(self).await?;
                is_last = page.is_none();
                let page = page.into_iter().flatten();
                let page = page.filter(|met| met.header.times.kept_for == NEVER);
                endless.extend(page.filter_map(|met| {
                    let tag = met.header.tags.into_iter().next()?;
                    Some((tag.name.clone(), tag))
                }));
            }
            self.end(endless).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Gives an end to each of these tags that no entry has.
    async fn end(&self, mut tags: HashMap<Bytes, TagVersion>) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let mut entries = Scan::new(self, Pattern::parse("*")?);
        while let Some(page) = entries.page(self).await? {
            for name in page.iter().flat_map(|met| &met.header.tags).map(|tag| &tag.name) {
                tags.remove(name);
            }
        }
        let tags: Vec<_> = tags.into_values().collect();
        for tags in tags.chunks(ENDED_AT_ONCE) {
            let began = self.remote.clock.now();
            let tags: Vec<_> = tags.iter().collect();
            let outcomes = self.retime_tags(&tags, LEAST_LIFE).await;
            let mut table = lock(&self.table);
            for (tag, outcome) in tags.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Done => table.lasts(tag, began.after(LEAST_LIFE)),
                    // The tag has changed, and that change has given it an end.
                    Outcome::Refused(_) => {}
                    Outcome::Failed(error) | Outcome::Unknown(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn retime_tags(&self, tags: &[&TagVersion], life: Duration) -> Vec<Outcome> {
        let times = Times::new(life, life);
        let key = |tag: &TagVersion| Key::new(self.remote.namespace(), Class::Tag, &tag.name);
        if !mutation::holds(Rule::ExtendByVersion) {
            let again = |tag: &&TagVersion| {
                let record = mark(vec![(*tag).clone()], Epoch::NONE, life);
                Write { key: key(tag), record, expect: Expect::Any }
            };
            return self.remote.backend().write(&tags.iter().map(again).collect::<Vec<_>>()).await;
        }
        let retime = |tag: &&TagVersion| Retime {
            key: key(tag),
            // A tag's soft version is the version of its record.
            version: tag.soft,
            token: None,
            times,
        };
        self.remote.backend().retime(&tags.iter().map(retime).collect::<Vec<_>>()).await
    }
}

/// The number of tags that one walk over all entries looks for.
const ENDED_AT_ONCE: usize = 10_000;

/// Returns the life that a tag gets for an entry of this life. It is rounded up, so that a tag is
/// seldom extended, and is at most four times as long, unless that is below the shortest life of a
/// tag.
fn lasting(life: Duration) -> Duration {
    let nanos = life.as_nanos().saturating_mul(2).next_power_of_two();
    let lasting = u64::try_from(nanos).map_or(NEVER, Duration::from_nanos);
    lasting.max(LEAST_LIFE)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use larder_core::NEVER;

    use super::lasting;
    use crate::tier::marks::record::LEAST_LIFE;

    #[test]
    fn a_tag_lives_at_most_four_times_as_long_as_its_entry_and_at_least_twice() {
        for seconds in [1_800_u64, 1_801, 3_600, 86_400, 1_000_003, 31_536_000] {
            let life = Duration::from_secs(seconds);
            assert!(lasting(life) >= life * 2 && lasting(life) <= life * 4, "{seconds}");
        }
    }

    #[test]
    fn a_tag_of_a_short_entry_lives_an_hour_and_of_an_endless_one_without_end() {
        assert_eq!(lasting(Duration::from_millis(1)), LEAST_LIFE);
        assert_eq!(lasting(NEVER), NEVER);
    }
}
