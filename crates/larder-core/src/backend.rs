//! What a store must do to carry a cache.

use bytes::Bytes;

use crate::{
    Capabilities, Error, ErrorKind, Header, Incarnation, Key, Record, Result, StoreTime, Times,
    Token, Version,
};

/// What a write or delete demands of the record that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: it is done whatever is there.
    Any,
    /// That nothing is there, or only what is dead by the store's clock.
    Absent,
    /// That a live record of this version is there.
    ///
    /// The token is what the same read returned; a store that has tokens checks it first.
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
    /// Where.
    pub key: Key,
    /// What.
    pub record: Record,
    /// Over what.
    pub expect: Expect,
}

/// A record to delete.
#[derive(Clone, Debug)]
pub struct Delete {
    /// Where.
    pub key: Key,
    /// Only if it is this one.
    pub expect: Expect,
}

/// A new life for a record that keeps its version.
#[derive(Clone, Debug)]
pub struct Retime {
    /// Where.
    pub key: Key,
    /// The version that must be there.
    pub version: Version,
    /// The token that came with it.
    pub token: Option<Token>,
    /// Its age and life from now on.
    pub times: Times,
}

/// What became of one write, delete or retime.
#[derive(Clone, Debug)]
#[must_use]
pub enum Outcome {
    /// It is applied. A delete of nothing is done too.
    Done,
    /// The expectation was not met, and nothing changed; the header of what is there, or none if
    /// nothing live is.
    Refused(Option<Box<Header>>),
    /// Surely not applied.
    Failed(Error),
    /// It may be applied, now or later: the answer was lost.
    Unknown(Error),
}

impl Outcome {
    /// Whether it is applied.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// A live record that a scan met.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// Its key, the full one also where the name is a digest.
    pub key: Key,
    /// Its header.
    pub header: Header,
}

/// One page of a scan.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Live records, leases included, in no particular order.
    pub records: Vec<Scanned>,
    /// Where the next page begins; none after the last.
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
///   [`Capabilities::settles_within`] or never. Otherwise it would undo what others were told is
///   done.
///
/// Implementations write plain `async fn`s; `capabilities`, `read`, `write`, `retime` and `delete` are
/// enough. A wrapper passes everything on, which `#[deny(clippy::missing_trait_methods)]` sees to.
/// `larder_testkit::conformance!` runs the suite.
pub trait Backend: Send + Sync + 'static {
    /// What it can do. Constant over its life, but for the largest value where others may change the
    /// bound of the store.
    fn capabilities(&self) -> Capabilities;

    /// The live records under these keys.
    fn read(&self, keys: &[Key]) -> impl Future<Output = Vec<Result<Option<Record>>>> + Send;

    /// The live record under this key. Defaults to a batch of one.
    fn read_one(&self, key: &Key) -> impl Future<Output = Result<Option<Record>>> + Send {
        async move { self.read(std::slice::from_ref(key)).await.pop().unwrap_or(Ok(None)) }
    }

    /// Stores records, each if its expectation is met.
    fn write(&self, writes: &[Write]) -> impl Future<Output = Vec<Outcome>> + Send;

    /// Gives live records a new life, each if its version is there. The version stays.
    fn retime(&self, retimes: &[Retime]) -> impl Future<Output = Vec<Outcome>> + Send;

    /// Deletes records, each if its expectation is met. Works when the store is full.
    fn delete(&self, deletes: &[Delete]) -> impl Future<Output = Vec<Outcome>> + Send;

    /// One page of the live records whose name begins with `prefix`: about `limit`, from `cursor`.
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

    /// Frees the room of at most `limit` dead records; how many it was.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) by default: for a store that frees its dead itself.
    fn purge(&self, limit: usize) -> impl Future<Output = Result<usize>> + Send {
        let _ = limit;
        async { Err(unsupported("purge")) }
    }

    /// The store's clock, now.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) by default: for a store that tells no time.
    fn clock(&self) -> impl Future<Output = Result<StoreTime>> + Send {
        async { Err(unsupported("clock")) }
    }

    /// The store's present incarnation. Connects to the store, if that is still to be done.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) by default: for a store that has none.
    fn incarnation(&self) -> impl Future<Output = Result<Incarnation>> + Send {
        async { Err(unsupported("incarnation")) }
    }

    /// Gives up connections and files. Twice is once. Later calls fail with
    /// [`Closed`](crate::ErrorKind::Closed).
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
