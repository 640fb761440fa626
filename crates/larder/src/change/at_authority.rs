//! Changes at the authority that depend on the record that is there, in a bounded loop.

use larder_core::{Key, Record, Result};

use crate::ops::Step;
use crate::ops::swap::contended;
use crate::tier::entry::Entry;
use crate::tier::marks::current::{Age, names};
use crate::tier::marks::here::Marks;
use crate::tier::shared::{Found, Shared};

impl<V: Clone + 'static> Shared<V> {
    /// Takes the step that `decide` chooses for the usable value that is there and its record. A
    /// lease and a record dead by a mark have no usable value; the change still replaces exactly
    /// that record.
    ///
    /// # Errors
    /// The backend's. [`Unavailable`](larder_core::ErrorKind::Unavailable) if others were faster 16
    /// times.
    pub(crate) async fn change(
        &self,
        key: &Key,
        marks: &Marks,
        mut decide: impl FnMut(Option<(&Entry<V>, &Record)>) -> Result<Step>,
    ) -> Result<(Option<Entry<V>>, bool)> {
        let mut attempts = self.authority.swap().attempts(key).await?;
        while attempts.next().await {
            // The marks are asked for now: the marks that this process knows may be older than a
            // change that another process has made.
            let found = self.find(key, marks, Age::Now, None).await?;
            let step = decide(match &found {
                Found::Usable(entry, record) => Some((entry, record)),
                _ => None,
            })?;
            let (entry, there) = found.into_parts();
            match (&step, &there) {
                (Step::Keep, _) | (Step::Delete | Step::Retime(_), None) => {
                    return Ok((entry, false));
                }
                (Step::Retime(times), Some(header)) => {
                    // These are the marks of now: a soft change since the record was written leaves
                    // it there, stale.
                    let tags = names(header)?;
                    let current = self.authority.current(marks, &tags, Age::Checked).await?;
                    if !self.authority.extend(&current.tags, times.kept_left()).await? {
                        continue;
                    }
                }
                (Step::Write(_), _) | (Step::Delete, Some(_)) => {}
            }
            if attempts.apply(self.authority.remote.backend(), there.as_ref(), &step).await? {
                return Ok((entry, true));
            }
        }
        Err(contended("change"))
    }
}
