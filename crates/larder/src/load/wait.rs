//! A caller's wait for a flight.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use larder_core::{Error, ErrorKind};

use crate::key::CacheKey;
use crate::load::Request;
use crate::load::about::About;
use crate::load::flight::Follower;
use crate::load::outcome::{Judge, Landed, Taken};
use crate::runtime::Sleep;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Request<K, V> {
    /// Waits for a flight as long as this caller's own timeouts allow. Nothing if nobody runs it any
    /// more.
    pub(crate) async fn wait(&self, follower: Follower<Landed<V>, About>) -> Taken<V> {
        let mut follower = pin!(follower);
        let clock = self.inner.clock();
        let mut soft = pin!(Sleep::new(clock, self.settings.soft_timeout));
        let mut hard = pin!(Sleep::new(clock, self.settings.hard_timeout));
        let mut soft_is_over = false;
        poll_fn(|context| {
            match follower.as_mut().poll(context) {
                Poll::Ready(landed) => return Poll::Ready(self.take(&follower, landed)),
                Poll::Pending => {}
            }
            soft_is_over = soft_is_over || soft.as_mut().poll(context).is_ready();
            let hard_is_over = hard.as_mut().poll(context).is_ready();
            if (soft_is_over || hard_is_over)
                && let Some(Landed::Stale(offered)) = follower.offered()
                && let Some(held) = self.judge(&follower).take_stale(offered)
            {
                return Poll::Ready(Taken::Stale(held));
            }
            if hard_is_over {
                let error = Error::new(ErrorKind::Timeout, "load", "the hard timeout ran out");
                return Poll::Ready(Taken::Failed(error));
            }
            Poll::Pending
        })
        .await
    }

    /// The same for a flight that has ended, without a clock; else the follower again.
    pub(crate) fn take_ended(
        &self,
        mut follower: Follower<Landed<V>, About>,
    ) -> Result<Taken<V>, Follower<Landed<V>, About>> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut follower).poll(&mut context) {
            Poll::Ready(landed) => Ok(self.take(&follower, landed)),
            Poll::Pending => Err(follower),
        }
    }

    fn take(&self, follower: &Follower<Landed<V>, About>, landed: Option<Landed<V>>) -> Taken<V> {
        landed.map_or(Taken::Nothing, |landed| self.judge(follower).take(landed))
    }

    fn judge(&self, follower: &Follower<Landed<V>, About>) -> Judge<'_> {
        self.judge_since(follower.info().began())
    }
}
