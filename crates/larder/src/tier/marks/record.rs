//! The records of marks.
//!
//! A mark's record has no payload. A tag's header names the tag's own versions, of which the soft
//! one is the record's version too; the epoch's header has the epoch; the sequence is its record's
//! version. A refused write therefore already tells the mark that is there.

use std::time::Duration;

use bytes::Bytes;
use larder_core::{Epoch, ErrorKind, Header, NEVER, Record, Result, TagVersion, Times, Version};

/// The shortest life of a tag: longer than a load may take, and longer than a change may be on its
/// way.
pub(crate) const LEAST_LIFE: Duration = Duration::from_secs(3_600);

/// Returns a mark's header, or none if its bytes are damaged.
pub(crate) fn lost_if_damaged(read: Result<Option<Record>>) -> Result<Option<Header>> {
    match read {
        Err(error) if error.kind() == ErrorKind::Codec => Ok(None),
        read => Ok(read?.map(|record| record.header)),
    }
}

pub(crate) fn mark(tags: Vec<TagVersion>, epoch: Epoch, life: Duration) -> Record {
    let mut record = Record::value(Bytes::new(), Times::new(life, life));
    record.header.tags = tags;
    record.header.epoch = epoch;
    record
}

/// Makes a tag's record: a new one that lives this long, or a soft change of the one that is there,
/// which lives at least as long as that one would have.
pub(crate) fn tag_mark(tag: &str, there: Option<&Header>, life: Duration) -> Record {
    let kept = there.and_then(|header| header.tags.first()).map(|tag| tag.hard);
    let left = there.map_or(Duration::ZERO, |header| header.times.kept_left());
    let (hard, soft) = (kept.unwrap_or_else(Version::next), Version::next());
    let name = Bytes::copy_from_slice(tag.as_bytes());
    let mut record = mark(vec![TagVersion { name, hard, soft }], Epoch::NONE, life.max(left));
    record.header.version = soft;
    record
}

pub(crate) fn epoch_mark(there: Option<&Header>) -> Record {
    let drawn = Version::next().to_number();
    let hard = there.map_or(drawn, |header| header.epoch.hard);
    mark(Vec::new(), Epoch { hard, soft: drawn }, NEVER)
}
