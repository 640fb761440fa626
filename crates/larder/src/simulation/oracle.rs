//! The events of a history, and the judgement of them.

use std::time::Duration;

use larder_core::{ErrorKind, Timestamp};

/// One of the two caches.
pub(super) type Node = usize;

/// A moment of a history. No two events share one.
pub(super) type Moment = u32;

/// All events that are judged.
#[derive(Default)]
pub(super) struct Oracle {
    now: Moment,
    /// The number that the loaders' source shows. Every change makes a new one before it begins.
    source: u32,
    values: Vec<Value>,
    changes: Vec<Change>,
    violation: Option<String>,
    log: Option<Vec<String>>,
}

/// A value that a caller may get.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) key: u64,
    /// The node that made the value.
    pub(super) node: Node,
    /// The origin: the source's number as its loader saw it, or the change that inserted the value.
    origin: Origin,
    is_tagged: bool,
    /// The time when the store last took it, or a node that cannot reach the store: its life began
    /// by then.
    stored: Option<(Moment, Timestamp)>,
    /// True if a call has given it another life, which may be shorter.
    is_retimed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Origin {
    Load { source: u32 },
    Insert { change: usize },
}

/// The scope of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Key(u64),
    Tag,
    All,
}

/// The force of a change: whether the entries it hits may still be served as a fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    Hard,
    Soft,
}

#[derive(Debug)]
struct Change {
    node: Node,
    scope: Scope,
    force: Force,
    source: u32,
    began: Moment,
    /// The moment at which it returned, with any result.
    ended: Option<Moment>,
    /// The moment at which it was confirmed.
    confirmed: Option<(Moment, Timestamp)>,
}

/// A read, from its beginning on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) node: Node,
    pub(super) key: u64,
    pub(super) began: Moment,
    pub(super) time: Timestamp,
    /// True if the read takes a stale value.
    pub(super) takes_stale: bool,
    /// The time for which a value may be served after it was stored.
    pub(super) longest: Option<Duration>,
}

/// The times after which a node knows another node's changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) key: Duration,
    pub(super) marks: Duration,
}

impl Value {
    /// Returns the moment at which it was stored last, which tells its versions apart.
    pub(super) fn stored_at(&self) -> Option<Moment> {
        self.stored.map(|(moment, _)| moment)
    }
}

impl Change {
    fn is_about(&self, value: &Value) -> bool {
        match self.scope {
            Scope::Key(key) => key == value.key,
            Scope::Tag => value.is_tagged,
            Scope::All => true,
        }
    }
}

impl Oracle {
    pub(super) fn with_log(mut self) -> Self {
        self.log = Some(Vec::new());
        self
    }

    pub(super) fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(format!("{:4} {}", self.now, line()));
        }
    }

    pub(super) fn log(&mut self) -> Vec<String> {
        self.log.take().unwrap_or_default()
    }

    pub(super) fn value(&self, value: u64) -> Value {
        self.values[usize::try_from(value).expect("it was made here")]
    }

    /// Makes the value of a loader that reads its source.
    pub(super) fn read_source(&mut self, node: Node, key: u64, is_tagged: bool) -> u64 {
        let origin = Origin::Load { source: self.source };
        self.make(Value { key, node, origin, is_tagged, stored: None, is_retimed: false })
    }

    /// True if a loader with this stale value would make the same value.
    pub(super) fn is_unmodified(&self, stale: u64, is_tagged: bool) -> bool {
        let stale = self.value(stale);
        stale.is_tagged == is_tagged
            && matches!(stale.origin, Origin::Load { source } if source == self.source)
    }

    /// Stores a value at this time, at the latest: in the store, or in a node on its own.
    pub(super) fn store(&mut self, value: u64, time: Timestamp) {
        let now = self.tick();
        let index = usize::try_from(value).expect("it was made here");
        if let Some(value) = self.values.get_mut(index) {
            let latest = value.stored.map_or(time, |(_, earlier)| earlier.max(time));
            value.stored = Some((now, latest));
        }
    }

    /// Ends all changes: no task is left, and each has ended, also if nobody waited for it.
    pub(super) fn settle(&mut self) {
        let now = self.tick();
        for change in &mut self.changes {
            change.ended.get_or_insert(now);
        }
    }

    /// Gives a value another life at this time, no longer than the first.
    pub(super) fn retime(&mut self, value: u64, time: Timestamp) {
        self.store(value, time);
        let index = usize::try_from(value).expect("it was made here");
        if let Some(value) = self.values.get_mut(index) {
            value.is_retimed = true;
        }
    }

    /// Begins a change.
    pub(super) fn begin(&mut self, node: Node, scope: Scope, force: Force) -> usize {
        self.source += 1;
        let (source, began) = (self.source, self.tick());
        let (ended, confirmed) = (None, None);
        self.changes.push(Change { node, scope, force, source, began, ended, confirmed });
        self.changes.len() - 1
    }

    /// Makes the value that a change inserts.
    pub(super) fn insert(&mut self, change: usize, key: u64, is_tagged: bool) -> u64 {
        let node = self.changes[change].node;
        let origin = Origin::Insert { change };
        self.make(Value { key, node, origin, is_tagged, stored: None, is_retimed: false })
    }

    /// Ends a change. `confirmed` if it promises something.
    pub(super) fn end(&mut self, change: usize, confirmed: bool, time: Timestamp) {
        let now = self.tick();
        let change = &mut self.changes[change];
        change.ended = Some(now);
        change.confirmed = confirmed.then_some((now, time));
    }

    /// Judges a value that a read returns.
    pub(super) fn judge(&mut self, read: Read, value: u64, bounds: Bounds) {
        self.tick();
        let found = self.value(value);
        if found.key != read.key {
            self.blame(|| format!("{read:?} yields another key's {found:?}"));
        }
        let end = found.stored.zip(read.longest);
        if end.is_some_and(|((_, stored), longest)| read.time >= stored.after(longest)) {
            self.blame(|| format!("{read:?} yields {value} = {found:?} after its life"));
        }
        let broken = self.changes.iter().find(|change| {
            let promised = change.confirmed.is_some_and(|(moment, time)| {
                let bound =
                    if matches!(change.scope, Scope::Key(_)) { bounds.key } else { bounds.marks };
                let is_known = change.node == read.node || read.time.since(time) >= bound;
                moment < read.began && is_known
            });
            promised
                && (change.force == Force::Hard || !read.takes_stale)
                && self.is_older(&found, change)
        });
        if let Some(change) = broken {
            let text = format!("{read:?} yields {value} = {found:?}, after {change:?}");
            self.blame(|| text);
        }
    }

    fn is_older(&self, value: &Value, change: &Change) -> bool {
        change.is_about(value)
            && match value.origin {
                Origin::Load { source } => source < change.source,
                Origin::Insert { change: insert } => {
                    let insert = &self.changes[insert];
                    insert.source != change.source
                        && end_of(insert, value).is_some_and(|end| end < change.began)
                }
            }
    }

    /// True if this value is a node's own insert. Once the insert is over, the node has that value
    /// or none, as long as the authority has it.
    pub(super) fn is_inserted_by(&self, node: Node, value: u64) -> bool {
        let value = self.value(value);
        value.node == node && matches!(value.origin, Origin::Insert { .. })
    }

    /// Returns an insert whose value is still there, fresh, when a change begins, and stays until
    /// it ends: it was confirmed before, and no other change has overlapped or followed it.
    pub(super) fn surely_there(&self, change: usize, key: u64) -> Option<usize> {
        let asking = &self.changes[change];
        let is_still_there = |value: &Value, insert: usize| {
            let is_before = |other: &Change, moment| other.ended.is_some_and(|end| end < moment);
            let inserted = &self.changes[insert];
            inserted.confirmed.is_some_and(|(moment, _)| moment < asking.began)
                && self.changes.iter().enumerate().all(|(index, other)| {
                    let is_one_of_them = index == insert || index == change;
                    let may_hit = other.scope == Scope::All
                        || other.scope == Scope::Tag
                        || other.is_about(value);
                    is_one_of_them || !may_hit || is_before(other, inserted.began)
                })
        };
        let mut candidates =
            self.values.iter().filter(|value| value.key == key && !value.is_retimed);
        candidates.find_map(|value| match value.origin {
            Origin::Insert { change: insert } if insert != change => {
                is_still_there(value, insert).then_some(insert)
            }
            _ => None,
        })
    }

    /// Judges the failure of a call.
    pub(super) fn fail(&mut self, what: &str, kind: ErrorKind, allowed: &[ErrorKind]) {
        self.tick();
        self.note(|| format!("{what} fails: {kind:?}"));
        if !allowed.contains(&kind) {
            self.blame(|| format!("{what} fails with {kind:?}"));
        }
    }

    pub(super) fn blame(&mut self, text: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let text = text();
            self.note(|| format!("VIOLATION {text}"));
            self.violation = Some(text);
        }
    }

    pub(super) fn violation(&self) -> Option<String> {
        self.violation.clone()
    }

    fn make(&mut self, value: Value) -> u64 {
        self.tick();
        self.values.push(value);
        let made = self.values.len() as u64 - 1;
        self.note(|| format!("value {made} is {value:?}"));
        made
    }
}

/// Returns the moment at which an insert was surely over. An insert whose answer was lost may be
/// taken by the store when its caller has long gone. Then it is as new as that.
fn end_of(insert: &Change, value: &Value) -> Option<Moment> {
    if let Some((moment, _)) = insert.confirmed {
        return Some(moment);
    }
    let ended = insert.ended?;
    Some(value.stored.map_or(ended, |(moment, _)| moment.max(ended)))
}
