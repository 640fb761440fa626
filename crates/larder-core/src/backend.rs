//! The trait that a store implements to carry a cache.

use bytes::Bytes;

use crate::{
    Capabilities, Error, ErrorKind, Header, Incarnation, Key, Record, Result, StoreTime, Times,
    Token, Version,
};

/// The condition on the present record under which a write or delete is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No condition: the change is applied whatever record is there.
    Any,
    /// No live record: there is none, or only one that is dead by the store's clock.
    Absent,
    /// A live record of this version, and with this token if there is one.
    ///
    /// The token is the one that the same read returned; a store that has tokens checks it first.
    Version(Version, Option<Token>),
}

impl Expect {
    /// Expects the record that this header came from.
    #[must_use]
    pub fn exactly(header: &Header) -> Self {
        Self::Version(header.version, header.token.clone())
    }
}

/// A record to write.
#[derive(Clone, Debug)]
pub struct Write {
    /// The key to write.
    pub key: Key,
    /// The record to store.
    pub record: Record,
    /// The condition on the record that the write replaces.
    pub expect: Expect,
}

/// A record to delete.
#[derive(Clone, Debug)]
pub struct Delete {
    /// The key to delete.
    pub key: Key,
    /// The condition on the record that the delete removes.
    pub expect: Expect,
}

/// A new life for a record that keeps its version.
#[derive(Clone, Debug)]
pub struct Retime {
    /// The key of the record.
    pub key: Key,
    /// The version that must be there.
    pub version: Version,
    /// The token that came with the version.
    pub token: Option<Token>,
    /// The record's age and life from now on.
    pub times: Times,
}

/// The outcome of one write, delete or retime.
#[derive(Clone, Debug)]
#[must_use]
pub enum Outcome {
    /// The change was applied. A delete of nothing is done too.
    Done,
    /// The expectation was not met, and nothing changed. Holds the header of the live record that
    /// is there, or none if nothing live is.
    Refused(Option<Box<Header>>),
    /// An error occurred; the change was surely not applied.
    Failed(Error),
    /// The answer was lost; the change may be applied, now or later.
    Unknown(Error),
}

impl Outcome {
    /// Returns true if the change was applied.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// A live record that a scan met.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The full key of the record, also where the name is a digest.
    pub key: Key,
    /// The header of the record.
    pub header: Header,
}

/// One page of a scan.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Live records, leases included, in no particular order.
    pub records: Vec<Scanned>,
    /// The cursor of the next page; none after the last.
    pub next: Option<Bytes>,
}

/// A store of versioned records.
///
/// # The contract
/// - **Atomic expectations.** An [`Expect`]ation is judged and the change applied in one step: of
///   any number of concurrent writes that expect the same, one is done and the others are refused.
///   A store that cannot do it declares `conditional: false` and fails such writes with
///   [`Unsupported`](crate::ErrorKind::Unsupported).
/// - **Dead is absent.** A record whose age has reached `kept_for` by the store's clock is nothing:
///   a read returns none, `Absent` is met, `Version` is refused. Reading does not delete.
/// - **The store's clock.** A write's age is turned into an instant of the store's clock, a read's
///   age is reckoned back from it, counted from when the read was sent: an age is never too small.
/// - **Versions.** A write stores the version it was given; `retime` keeps the one that is there.
///   A store without versions of its own compares the record's.
/// - **Order.** Answers come in the order of the arguments, one for each. The keys of one call are
///   all different. An empty call answers with nothing and does nothing.
/// - **Failures.** [`Outcome::Failed`] is surely not applied; when in doubt it is
///   [`Outcome::Unknown`]. Bytes that cannot be decoded are an error of kind
///   [`Codec`](crate::ErrorKind::Codec) for their key alone, and a write over them with `Any` or
///   `Absent` is done.
/// - **Cancel safety.** A dropped future leaves each key as it was or as asked, never in between,
///   and the connection in step.
/// - **Nothing is begun late.** A change whose future was dropped, as a timeout does, is not begun
///   later: a queue below asks whether the caller still waits at the last moment before the change,
///   where nobody else can change the key any more. A change that has been sent lands within
///   [`Capabilities::settles_within`] or never. Otherwise it would undo changes that others were
///   told are done.
///
/// Implementations write plain `async fn`s; `capabilities`, `read`, `write`, `retime` and `delete` are
/// enough. A wrapper passes everything on, which `#[deny(clippy::missing_trait_methods)]` sees to.
/// `larder_testkit::conformance!` runs the suite.
pub trait Backend: Send + Sync + 'static {
    /// Returns the capabilities of the backend. They are constant over its life, but for the
    /// largest value where others may change the bound of the store.
    fn capabilities(&self) -> Capabilities;

    /// Reads the live records under these keys.
    fn read(&self, keys: &[Key]) -> impl Future<Output = Vec<Result<Option<Record>>>> + Send;

    /// Reads the live record under this key. Defaults to a batch of one.
    fn read_one(&self, key: &Key) -> impl Future<Output = Result<Option<Record>>> + Send {
        async move { self.read(std::slice::from_ref(key)).await.pop().unwrap_or(Ok(None)) }
    }

    /// Stores records, each if its expectation is met.
    fn write(&self, writes: &[Write]) -> impl Future<Output = Vec<Outcome>> + Send;

    /// Gives live records a new life, each if its version is there. The version stays.
    fn retime(&self, retimes: &[Retime]) -> impl Future<Output = Vec<Outcome>> + Send;

    /// Deletes records, each if its expectation is met. Works when the store is full.
    fn delete(&self, deletes: &[Delete]) -> impl Future<Output = Vec<Outcome>> + Send;

    /// Lists one page of the live records whose name begins with `prefix`. The page holds about
    /// `limit` records, from `cursor`.
    ///
    /// A record that is there during the whole scan is met at least once.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without the capability, which is the default.
    fn scan(
        &self,
        prefix: &[u8],
        cursor: Option<Bytes>,
        limit: usize,
    ) -> impl Future<Output = Result<Page>> + Send {
        let _ = (prefix, cursor, limit);
        async { Err(unsupported("scan")) }
    }

    /// Frees the room of at most `limit` dead records. Returns how many it was.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) by default: for a store that frees its dead itself.
    fn purge(&self, limit: usize) -> impl Future<Output = Result<usize>> + Send {
        let _ = limit;
        async { Err(unsupported("purge")) }
    }

    /// Reads the store's clock, now.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) by default: for a store that tells no time.
    fn clock(&self) -> impl Future<Output = Result<StoreTime>> + Send {
        async { Err(unsupported("clock")) }
    }

    /// Returns the store's present incarnation. Connects to the store, if that is still to be done.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) by default: for a store that has none.
    fn incarnation(&self) -> impl Future<Output = Result<Incarnation>> + Send {
        async { Err(unsupported("incarnation")) }
    }

    /// Gives up connections and files. A second call does nothing more. Later calls of other
    /// methods fail with [`Closed`](crate::ErrorKind::Closed).
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) by default: for a store without either.
    fn close(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(unsupported("close")) }
    }
}

fn unsupported(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, operation, "the store does not have it")
}
