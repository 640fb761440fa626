//! A caller's wait for a flight.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use larder_core::{Error, ErrorKind};

use crate::clock::LocalClock;
use crate::load::flight::Follower;
use crate::options::Settings;
use crate::runtime::Sleep;

/// How a caller's wait for a flight ended.
pub(crate) enum Waited<O> {
    /// With its outcome.
    Landed(O),
    /// With what the leader held out: the caller's soft or hard timeout came first.
    Offered(O),
    /// Without: nobody flies it any more.
    Abandoned,
    /// Without: the caller's hard timeout came first.
    TimedOut(Error),
}

/// Waits for a flight as long as this caller's own timeouts allow.
pub(crate) async fn follow<O: Clone, I>(
    follower: Follower<O, I>,
    clock: &LocalClock,
    settings: &Settings,
) -> Waited<O> {
    let mut follower = pin!(follower);
    let mut soft = pin!(Sleep::new(clock, settings.soft_timeout));
    let mut hard = pin!(Sleep::new(clock, settings.hard_timeout));
    let mut soft_is_over = false;
    poll_fn(|context| {
        match follower.as_mut().poll(context) {
            Poll::Ready(Some(outcome)) => return Poll::Ready(Waited::Landed(outcome)),
            Poll::Ready(None) => return Poll::Ready(Waited::Abandoned),
            Poll::Pending => {}
        }
        soft_is_over = soft_is_over || soft.as_mut().poll(context).is_ready();
        let hard_is_over = hard.as_mut().poll(context).is_ready();
        let is_tired = soft_is_over || hard_is_over;
        if let Some(offered) = is_tired.then(|| follower.offered()).flatten() {
            return Poll::Ready(Waited::Offered(offered));
        }
        if hard_is_over {
            let error = Error::new(ErrorKind::Timeout, "load", "the hard timeout ran out");
            return Poll::Ready(Waited::TimedOut(error));
        }
        Poll::Pending
    })
    .await
}
