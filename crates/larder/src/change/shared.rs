//! Changes at the authority that depend on what is there, in a bounded loop.

use larder_core::{Error, ErrorKind, Expect, Key, Outcome, Record, Result};

use crate::ops::Step;
use crate::tier::held::Looked;
use crate::tier::marks::current::Age;
use crate::tier::marks::current::names;
use crate::tier::marks::here::Marks;
use crate::tier::shared::{Found, Shared};

/// How often a change is tried over what turns up meanwhile.
const TRIES: usize = 16;

impl<V: Clone + 'static> Shared<V> {
    /// Does what `decide` says about the usable value that is there and its record. There is none
    /// for leases and for what is dead by a mark; the change still replaces exactly that.
    ///
    /// # Errors
    /// The backend's. [`Unavailable`](ErrorKind::Unavailable) if others were faster 16 times.
    pub(crate) async fn change(
        &self,
        key: &Key,
        marks: &Marks,
        mut decide: impl FnMut(Option<(&Looked<V>, &Record)>) -> Result<Step>,
    ) -> Result<(Option<Looked<V>>, bool)> {
        for _ in 0..TRIES {
            // Judged by the marks as they are now: others judge by what they know of this one.
            let found = self.find(key, marks, Age::Now, None).await?;
            let step = decide(match &found {
                Found::Usable(looked, record) => Some((looked, record)),
                _ => None,
            })?;
            let (looked, there) = found.into_parts();
            let expect = there.as_ref().map_or(Expect::Absent, Expect::exactly);
            let outcome = match (step, &there) {
                (Step::Keep, _) => return Ok((looked, false)),
                (Step::Write(record), _) => self.authority.write(key, record, expect).await,
                (Step::Delete, Some(_)) => self.authority.delete(key, expect).await,
                (Step::Retime(times), Some(header)) => {
                    // Those of now: a soft change since it was written leaves it there, stale.
                    let tags = names(header)?;
                    let current = self.authority.current(marks, &tags, Age::Checked).await?;
                    if !self.authority.extend(&current.tags, times.kept_left()).await? {
                        continue;
                    }
                    self.authority.retime(key, header, times).await
                }
                (Step::Delete | Step::Retime(_), None) => return Ok((looked, false)),
            };
            match outcome {
                Outcome::Done => return Ok((looked, true)),
                Outcome::Refused(_) => {}
                Outcome::Failed(error) | Outcome::Unknown(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "change", "others changed the key at every try"))
    }
}
