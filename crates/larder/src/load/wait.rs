//! A caller's wait for a flight.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use larder_core::{Error, ErrorKind};

use crate::flight::flights::Follower;
use crate::flight::info::FlightInfo;
use crate::flight::outcome::{Judge, Landed, Taken};
use crate::key::CacheKey;
use crate::load::request::Request;
use crate::observe::event::Event;
use crate::support::runtime::Sleep;
use crate::tier::entry::Entry;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Request<K, V> {
    /// Waits for a flight as long as this caller's own timeouts allow.
    pub(crate) async fn wait(&self, follower: Follower<Landed<V>, FlightInfo>) -> Taken<V> {
        let mut follower = pin!(follower);
        let clock = self.inner.clock();
        let mut soft = pin!(Sleep::new(clock, self.settings.soft_timeout));
        let mut hard = pin!(Sleep::new(clock, self.settings.hard_timeout));
        let mut soft_is_over = false;
        let mut are_marks_checked = false;
        loop {
            let taken = poll_fn(|context| {
                if let Poll::Ready(landed) = follower.as_mut().poll(context) {
                    return Poll::Ready(self.take(&follower, landed, are_marks_checked));
                }
                soft_is_over = soft_is_over || soft.as_mut().poll(context).is_ready();
                let hard_is_over = hard.as_mut().poll(context).is_ready();
                if (soft_is_over || hard_is_over)
                    && let Some(Landed::Stale(offered)) = follower.offered()
                {
                    match self.judge(&follower, are_marks_checked).take_offer(offered) {
                        // A value that this caller may not have is no reason to stop waiting.
                        Taken::Again => {}
                        taken => return Poll::Ready(taken),
                    }
                }
                if hard_is_over {
                    let error = Error::new(ErrorKind::Timeout, "load", "the hard timeout ran out");
                    return Poll::Ready(Taken::Failed(error));
                }
                Poll::Pending
            })
            .await;
            match taken {
                Taken::Due(landed) => self.check_marks_of(&landed).await,
                taken => return taken,
            }
            are_marks_checked = true;
        }
    }

    /// Like [`wait`](Self::wait), without a clock, for a flight that has ended and whose values
    /// need no comparing; else returns the follower again.
    pub(crate) fn take_ended(
        &self,
        mut follower: Follower<Landed<V>, FlightInfo>,
    ) -> Result<Taken<V>, Follower<Landed<V>, FlightInfo>> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut follower).poll(&mut context) {
            Poll::Ready(landed) => match self.take(&follower, landed, false) {
                Taken::Due(_) => Err(follower),
                taken => Ok(taken),
            },
            Poll::Pending => Err(follower),
        }
    }

    /// Asks for the marks of a value, so that the marks known here are those of now. Where the
    /// authority does not answer, the known marks count.
    async fn check_marks_of(&self, landed: &Landed<V>) {
        let Some(entry) = entry(landed) else { return };
        let (marks, names) = (self.inner.local.marks(), entry.generation.names());
        if let Err(error) = Box::pin(self.inner.stack.compare(marks, &names)).await {
            self.inner.tell(&Event::SharedFailed(error));
        }
    }

    fn take(
        &self,
        follower: &Follower<Landed<V>, FlightInfo>,
        landed: Option<Landed<V>>,
        are_marks_checked: bool,
    ) -> Taken<V> {
        let judge = self.judge(follower, are_marks_checked);
        // The flight is abandoned: nobody runs it any more.
        landed.map_or(Taken::Again, |landed| judge.take(landed))
    }

    fn judge(
        &self,
        follower: &Follower<Landed<V>, FlightInfo>,
        are_marks_checked: bool,
    ) -> Judge<'_> {
        Judge { are_marks_checked, ..self.judge_since(follower.info().began()) }
    }
}

fn entry<V>(landed: &Landed<V>) -> Option<&Entry<V>> {
    match landed {
        Landed::Found(entry) | Landed::Stale(entry) | Landed::FellBack(entry, _) => Some(entry),
        Landed::Loaded(_) | Landed::Miss | Landed::Failed(_) => None,
    }
}
