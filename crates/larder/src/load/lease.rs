//! What a load must still hold at the authority when it commits.
//!
//! Before a loader runs, the authority holds something to compare with: the record that is there, or
//! else a lease that the load leaves. Whoever changes the key takes that away, and the commit is
//! refused. A commit never expects "absent": what was absent before the load may have been written
//! and deleted meanwhile.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{
    Error, ErrorKind, Expect, Header, Key, Kind, Life, Outcome, Record, Result, StoreTime,
    Timestamp, Version,
};

use crate::load::renewal::Term;
use crate::options::Settings;
use crate::random;
use crate::rule::{Rule, holds};
use crate::runtime::Sleep;
use crate::tier::held::Looked;
use crate::tier::mark::{Age, Current};
use crate::tier::shared::Shared;
use crate::tier::tag::Marks;

/// Polls of another's lease: the first wait and the longest.
const FIRST_POLL: Duration = Duration::from_millis(5);
const LONGEST_POLL: Duration = Duration::from_millis(100);
/// How often a lease is tried over what turns up meanwhile.
const TRIES: usize = 16;

/// A load's fence at the authority, and the marks as they were before the loader ran.
pub(crate) struct Lease {
    /// What the commit is written over.
    pub(crate) expect: Expect,
    /// Whether it is a lease of our own, to be removed if the load fails.
    pub(crate) own: bool,
    /// The life that each renewal gives it; none if it outlives its load by itself.
    pub(crate) renewed: Option<Duration>,
    pub(crate) current: Current,
    /// The tag sequence, read only where the loader may name tags.
    pub(crate) sequence: Option<Version>,
    /// When the load began, by the store's clock.
    pub(crate) born: StoreTime,
}

/// What an attempt to fence a load comes to.
pub(crate) enum Fenced<V> {
    /// The load may run. Beside the fence, the usable value that is there.
    Held(Lease, Option<Looked<V>>),
    /// Another process's load answers it.
    Answered(Looked<V>),
    /// Another process is loading the key, which is enough.
    Left,
}

/// What a load wants fenced.
pub(crate) struct Wanted<'a> {
    pub(crate) key: &'a Key,
    pub(crate) settings: &'a Settings,
    pub(crate) late_tags: bool,
    /// Whether a known absence is no answer.
    pub(crate) past_absence: bool,
    pub(crate) others: Others,
    /// How long a lease lives at most; none if this load cannot renew it.
    pub(crate) lease_limit: Option<Duration>,
}

/// What to do where another process holds the key's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// Wait for its load.
    Wait,
    /// Load too: the first result is kept.
    Race,
    /// Leave the key to it.
    Leave,
}

impl Wanted<'_> {
    fn is_answered_by<V>(&self, looked: &Looked<V>) -> bool {
        looked.life == Life::Fresh && !(self.past_absence && looked.held.is_absent())
    }
}

impl<V: Clone + 'static> Shared<V> {
    /// Fences a load over the record that is there.
    pub(crate) async fn fence(
        &self,
        marks: &Marks,
        wanted: &Wanted<'_>,
        mut looked: Option<Looked<V>>,
        mut there: Option<Header>,
    ) -> Result<Fenced<V>> {
        let began = self.authority.clock.now();
        let mut poll = FIRST_POLL;
        for _ in 0..TRIES {
            while let Some(header) = there.take_if(|header| header.kind == Kind::Lease) {
                if wanted.others == Others::Leave {
                    return Ok(Fenced::Left);
                }
                if wanted.others == Others::Race || self.has_waited(began, wanted.settings) {
                    let expect = Expect::exactly(&header);
                    let lease = self.hold(marks, wanted, expect, false).await?;
                    return Ok(Fenced::Held(lease, looked));
                }
                self.sleep_jittered(poll, &header).await;
                poll = (poll * 2).min(LONGEST_POLL);
                let found = self.find(wanted.key, marks, Age::Checked, None).await?;
                (looked, there) = found.into_parts();
                if let Some(answer) = looked.take_if(|looked| wanted.is_answered_by(looked)) {
                    return Ok(Fenced::Answered(answer));
                }
            }
            if let Some(header) = &there {
                let lease = self.hold(marks, wanted, Expect::exactly(header), false).await?;
                return Ok(Fenced::Held(lease, looked));
            }
            if !holds(Rule::Lease) {
                let lease = self.hold(marks, wanted, Expect::Absent, false).await?;
                return Ok(Fenced::Held(lease, None));
            }
            let hard_timeout = wanted.settings.hard_timeout;
            let term = Term::new(hard_timeout, self.authority.timeout, wanted.lease_limit);
            let lease = Record::lease(term.length);
            let expect = Expect::Version(lease.header.version, None);
            match self.authority.write(wanted.key, lease, Expect::Absent).await {
                Outcome::Done => {
                    return match self.hold(marks, wanted, expect.clone(), true).await {
                        Ok(mut lease) => {
                            lease.renewed = term.is_renewed.then_some(term.length);
                            Ok(Fenced::Held(lease, None))
                        }
                        Err(error) => {
                            let _ = self.authority.delete(wanted.key, expect).await;
                            Err(error)
                        }
                    };
                }
                Outcome::Refused(_) => {
                    // Whoever was faster may have the answer.
                    let found = self.find(wanted.key, marks, Age::Checked, None).await?;
                    (looked, there) = found.into_parts();
                    if let Some(answer) = looked.take_if(|looked| wanted.is_answered_by(looked)) {
                        return Ok(Fenced::Answered(answer));
                    }
                }
                Outcome::Failed(error) => return Err(error),
                Outcome::Unknown(error) => {
                    // It may be there, and then others would wait for it.
                    let _ = self.authority.delete(wanted.key, expect).await;
                    return Err(error);
                }
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "lease", "others changed the key at every try"))
    }

    /// Captures the marks, from the authority and not from what is known here.
    async fn hold(
        &self,
        marks: &Marks,
        wanted: &Wanted<'_>,
        expect: Expect,
        own: bool,
    ) -> Result<Lease> {
        let tags = wanted.settings.tags();
        let current = self.authority.current(marks, tags, Age::Now).await?;
        let mut sequence = None;
        if wanted.late_tags {
            sequence = Some(self.authority.sequence().await?);
        }
        let born = self.authority.store_now().await;
        Ok(Lease { expect, own, renewed: None, current, sequence, born })
    }

    /// The marks with tags that only the loader's answer named. None if any tag of the namespace
    /// has changed since the fence.
    pub(crate) async fn with_late_tags(
        &self,
        marks: &Marks,
        lease: &Lease,
        late: &[Arc<str>],
    ) -> Result<Option<Current>> {
        if late.is_empty() {
            return Ok(Some(lease.current.clone()));
        }
        let added = self.authority.current(marks, late, Age::Now).await?;
        // The versions first and the sequence second: what changes in between shows.
        let sequence = self.authority.sequence().await?;
        if holds(Rule::LateTags) && lease.sequence != Some(sequence) {
            return Ok(None);
        }
        let mut current = lease.current.clone();
        current.add_tags(added.tags, &added.seen);
        Ok(Some(current))
    }

    /// Takes back a lease whose load came to nothing. One that is lost has run out or been taken.
    pub(crate) async fn give_up(&self, key: &Key, lease: &Lease) {
        if lease.own {
            let _ = self.authority.delete(key, lease.expect.clone()).await;
        }
    }

    fn has_waited(&self, began: Timestamp, settings: &Settings) -> bool {
        self.authority.clock.now().since(began) >= settings.hard_timeout
    }

    async fn sleep_jittered(&self, poll: Duration, lease: &Header) {
        let poll = poll.mul_f64(0.5 + random::unit());
        let left = lease.times.kept_left().max(Duration::from_millis(1));
        Sleep::new(&self.authority.clock, poll.min(left)).await;
    }
}
