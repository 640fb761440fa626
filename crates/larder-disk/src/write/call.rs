//! The calls whose changes go into one transaction, and which of them are still waited for.

use larder_core::{Error, Outcome, StoreTime};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::record::change::Change;

/// A caller and the number of its changes.
pub(crate) struct Call {
    pub(crate) count: usize,
    pub(crate) answer: oneshot::Sender<Vec<Outcome>>,
}

/// One change on its way, and the index of its call among the calls.
pub(crate) struct Item {
    pub(crate) call: usize,
    pub(crate) change: Change,
    pub(crate) asked: StoreTime,
    pub(crate) outcome: Option<Outcome>,
}

impl Item {
    /// True if the caller still waits.
    pub(crate) fn is_waited_for(&self, calls: &[Call]) -> bool {
        calls.get(self.call).is_some_and(|call| !call.answer.is_closed())
    }
}

/// Applies changes, except those whose callers have gone. Each call is judged here, inside the
/// transaction: others that change the keys have to wait for its end, so a change that its caller
/// has given up never lands after theirs.
pub(crate) fn apply(
    calls: &[Call],
    items: &mut [Item],
    connection: &Connection,
    now: StoreTime,
) -> rusqlite::Result<()> {
    let mut judged = None;
    for item in items {
        let is_waiting = match judged {
            Some((call, is_waiting)) if call == item.call => is_waiting,
            _ => item.is_waited_for(calls),
        };
        judged = Some((item.call, is_waiting));
        item.outcome = None;
        if is_waiting {
            item.outcome = Some(item.change.apply(connection, item.asked.min(now), now)?);
        }
    }
    Ok(())
}

pub(crate) fn fail(items: &mut [Item], outcome: impl Fn(Error) -> Outcome, error: &Error) {
    for item in items {
        item.outcome = Some(outcome(error.clone()));
    }
}
