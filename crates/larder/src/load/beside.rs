//! The lease beside a value: one load among processes where a value may still be served.
//!
//! A value that is stale, or due to be refreshed, stays in its place while it is loaded anew, so it
//! cannot be the lease. The load leaves a lease beside it, named by the key and the value's
//! version, and is fenced over that version. The lease only saves work: the version decides whether
//! the result is kept, so a load whose lease is lost goes on. A change of the key does not touch
//! the lease: the version is gone then, and nobody asks for its lease any more.
//!
//! A load that fails leaves a known absence in the lease's place until the next load may begin.
//! Other processes that meet it serve the value that is there and load nothing.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use larder_core::{ErrorKind, Expect, Header, Key, Kind, NEVER, Outcome, Record, Result};

use crate::load::fence::{Lease, OwnLease, Successor, Term};
use crate::load::fencing::{Fenced, Fencing, Others, Step, TRIES, lease_record};
use crate::load::foreign::Poll;
use crate::support::mutation::{self, Rule};
use crate::tier::entry::Entry;
use crate::tier::shared::Found;

/// A record is replaced this long before it dies, or after half of the life that it has left.
const AHEAD: Duration = Duration::from_secs(1);

/// The result of an attempt to leave a lease beside a value.
enum Beside {
    /// The load may run. It has no lease if none can be left, or if the wait for another's is over.
    Run(Option<OwnLease>),
    /// Another process's load has failed. The duration is how long the next load waits.
    Failed(Duration),
    /// Another process's lease, which was waited for, is gone.
    Gone,
    Left,
}

/// The way to treat a record where the lease is to be written.
enum Way {
    /// Write over the record.
    Over,
    End(Beside),
}

impl<V: Clone + 'static> Fencing<'_, V> {
    /// Fences a load over a record that others may go on serving.
    pub(crate) async fn fence_beside(
        &self,
        mut entry: Option<Entry<V>>,
        mut header: Header,
    ) -> Result<Step<V>> {
        let own = match self.leave_beside(entry.as_ref(), &header).await? {
            Beside::Run(own) => own,
            Beside::Failed(left) => return Ok(Step::Done(Fenced::Failed(entry, left))),
            Beside::Left => return Ok(Step::Done(Fenced::Left)),
            Beside::Gone => {
                let found = self.find(entry.as_ref()).await?;
                return Ok(Step::Again(found));
            }
        };
        let take_back = |own: &Option<OwnLease>| own.clone().into_iter().for_each(self.take_back);
        if own.is_some() && mutation::holds(Rule::SecondLook) {
            // The version may have been loaded and its lease deleted before this lease was written.
            let found = self.find(entry.as_ref()).await;
            match found.inspect_err(|_| take_back(&own))? {
                Found::Usable(again, record) if record.header.version == header.version => {
                    (entry, header) = (Some(again), record.header);
                }
                Found::Unusable(again)
                    if again.version == header.version && again.kind == Kind::Counter => {}
                other => {
                    take_back(&own);
                    return Ok(Step::Again(other));
                }
            }
        }
        let held = self.hold(Expect::exactly(&header), own.clone()).await;
        let mut lease = held.inspect_err(|_| take_back(&own))?;
        lease.successor = self.successor(&header, &lease);
        Ok(Step::Done(Fenced::Taken(Box::new(lease), entry)))
    }

    /// Writes a lease beside this version, or waits for another process's.
    async fn leave_beside(&self, entry: Option<&Entry<V>>, header: &Header) -> Result<Beside> {
        if self.others == Others::Race
            || self.is_out_of_patience()
            || !mutation::holds(Rule::LeaseBeside)
        {
            return Ok(Beside::Run(None));
        }
        let key = self.shared.authority.remote.beside(self.key, header.version);
        let term = self.term();
        let record = Record::lease(term.length);
        let version = record.header.version;
        let own = |is_answered| OwnLease { key: key.clone(), version, term, is_answered };
        let mut over = Expect::Absent;
        for _ in 0..TRIES {
            let there = match self.shared.authority.remote.write(&key, record.clone(), over).await {
                Outcome::Done => return Ok(Beside::Run(Some(own(true)))),
                Outcome::Refused(there) => there,
                // One timeout is enough: the next step would time out again.
                Outcome::Failed(error) if error.kind() == ErrorKind::Timeout => return Err(error),
                Outcome::Unknown(error) if error.kind() == ErrorKind::Timeout => {
                    (self.take_back)(own(false));
                    return Err(error);
                }
                Outcome::Failed(_) => return Ok(Beside::Run(None)),
                // The lease may have been written.
                Outcome::Unknown(_) => return Ok(Beside::Run(Some(own(false)))),
            };
            over = match there {
                // The other record has run out in between.
                None => Expect::Absent,
                Some(there) => match self.meet_beside(&key, entry, &there).await? {
                    Way::Over => Expect::exactly(&there),
                    Way::End(beside) => return Ok(beside),
                },
            };
        }
        Ok(Beside::Run(None))
    }

    /// Returns what another process's lease or failure beside the version means for this load.
    async fn meet_beside(
        &self,
        key: &Key,
        entry: Option<&Entry<V>>,
        there: &Header,
    ) -> Result<Way> {
        let is_fallback = entry.is_some_and(self.is_fallback);
        if there.kind != Kind::Lease {
            let left = there.times.kept_left();
            return Ok(match self.others {
                _ if self.is_forced => Way::Over,
                _ if is_fallback => Way::End(Beside::Failed(left)),
                Others::Leave => Way::End(Beside::Left),
                // Nothing can be served, and no caller has waited for that load.
                Others::Wait | Others::Race => Way::Over,
            });
        }
        if self.shared.is_ended(there.version) {
            return Ok(Way::Over);
        }
        if self.others == Others::Leave {
            return Ok(Way::End(Beside::Left));
        }
        self.outlast_beside(key, there.clone()).await.map(Way::End)
    }

    /// Waits for the end of another process's lease beside the version, and reads nothing else.
    async fn outlast_beside(&self, key: &Key, mut lease: Header) -> Result<Beside> {
        let mut poll = Poll::new();
        loop {
            poll.pause(&self.shared.authority.remote.clock, &lease).await;
            match self.shared.authority.remote.read(key).await? {
                None => return Ok(Beside::Gone),
                Some(there) if there.header.kind != Kind::Lease => {
                    return Ok(Beside::Failed(there.header.times.kept_left()));
                }
                Some(_) if self.is_out_of_patience() => return Ok(Beside::Run(None)),
                Some(there) => lease = there.header,
            }
        }
    }

    /// Makes the lease that replaces a record which dies before its load has to end.
    fn successor(&self, header: &Header, lease: &Lease) -> Option<Successor> {
        let left = header.times.kept_left();
        let longest =
            Term::new(self.settings.hard_timeout, self.shared.authority.remote.timeout, None)
                .length;
        // A load that runs on its caller's thread can do nothing meanwhile.
        let is_counter = header.kind == Kind::Counter;
        if is_counter || self.lease_limit.is_none() || left == NEVER || left > longest {
            return None;
        }
        let term = self.term();
        let at = self
            .shared
            .authority
            .remote
            .clock
            .now()
            .after(left.saturating_sub(AHEAD.min(left / 2)));
        let record = lease_record(term, &lease.current);
        let (is_sent, is_answered) = (AtomicBool::new(false), AtomicBool::new(false));
        Some(Successor { record, at, term, is_sent, is_answered })
    }
}
