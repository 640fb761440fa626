//! Places where snapshots are kept.

use std::io::{self, Read, Write};

/// Place where a cache keeps its snapshot, and the log of changes since.
///
/// [`FileSink`](crate::FileSink) is one. All calls are synchronous; the cache makes them on threads
/// that may wait, but for an append that [waits](Sink::waits) for nothing. An implementation keeps
/// bytes and looks into none of them.
///
/// # The contract
/// - **Whole or not at all.** After [`replace`](Sink::replace) a reader gets all that was written,
///   or, if it failed or its process died, all of what was there before.
/// - **Appended in order.** [`read_log`](Sink::read_log) finds all bytes that
///   [`append`](Sink::append) has confirmed: at least as long as the machine runs, also if the
///   process is killed.
/// - **Several logs.** A log is named by 32 hexadecimal digits. While a snapshot is replaced there
///   are the logs of the old one and of the new one; the end of [`replace`](Sink::replace) ends that.
/// - **Gone is gone.** An [`append`](Sink::append) does not begin a removed log anew.
/// - A failure is an error, and no panic. [`InvalidInput`](io::ErrorKind::InvalidInput) says that the
///   place must be changed, all else that it may work later.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::io::{self, Read, Write};
/// use std::sync::Mutex;
/// use larder::Sink;
///
/// #[derive(Default)]
/// struct Kept {
///     snapshot: Option<Vec<u8>>,
///     logs: BTreeMap<String, Vec<u8>>,
/// }
///
/// #[derive(Default)]
/// struct MemorySink(Mutex<Kept>);
///
/// impl Sink for MemorySink {
///     fn read(&self) -> io::Result<Option<Box<dyn Read + Send>>> {
///         let snapshot = self.0.lock().unwrap().snapshot.clone();
///         Ok(snapshot.map(|bytes| Box::new(io::Cursor::new(bytes)) as _))
///     }
///
///     fn replace(
///         &self,
///         log: Option<&str>,
///         write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
///     ) -> io::Result<()> {
///         let mut bytes = Vec::new();
///         write(&mut bytes)?;
///         let mut kept = self.0.lock().unwrap();
///         kept.snapshot = Some(bytes);
///         kept.logs.retain(|name, _| Some(name.as_str()) == log);
///         Ok(())
///     }
///
///     fn read_log(&self, log: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
///         let bytes = self.0.lock().unwrap().logs.get(log).cloned();
///         Ok(bytes.map(|bytes| Box::new(io::Cursor::new(bytes)) as _))
///     }
///
///     fn begin(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
///         self.0.lock().unwrap().logs.insert(log.to_owned(), bytes.to_vec());
///         Ok(())
///     }
///
///     fn append(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
///         let mut kept = self.0.lock().unwrap();
///         let log = kept.logs.get_mut(log).ok_or(io::ErrorKind::NotFound)?;
///         log.extend_from_slice(bytes);
///         Ok(())
///     }
///
///     fn clear(&self) -> io::Result<()> {
///         *self.0.lock().unwrap() = Kept::default();
///         Ok(())
///     }
/// }
/// ```
pub trait Sink: Send + Sync + 'static {
    /// Reads the snapshot from its beginning, if there is one.
    ///
    /// # Errors
    /// An error if the snapshot cannot be read.
    fn read(&self) -> io::Result<Option<Box<dyn Read + Send>>>;

    /// Replaces the snapshot by the output of `write`. Then forgets all logs but its own, if it has
    /// one, and those that other processes append to. `write` is called once.
    ///
    /// # Errors
    /// An error if the snapshot cannot be written, and those of `write`: the earlier snapshot stays
    /// then.
    fn replace(
        &self,
        log: Option<&str>,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()>;

    /// Reads the log of this name from its beginning, if there is one.
    ///
    /// # Errors
    /// An error if the log cannot be read.
    fn read_log(&self, log: &str) -> io::Result<Option<Box<dyn Read + Send>>>;

    /// Creates the log of this name, which is new, with these bytes.
    ///
    /// The log outlives a loss of power when this returns, if anything in the sink does: the
    /// snapshot and the log before name it next.
    ///
    /// # Errors
    /// An error if the log cannot be written.
    fn begin(&self, log: &str, bytes: &[u8]) -> io::Result<()>;

    /// Appends to the log of this name. The caller does not check whether the log exists.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) if there is none, else an error if it cannot be
    /// written.
    fn append(&self, log: &str, bytes: &[u8]) -> io::Result<()>;

    /// Returns true if an append may wait for a device. Default: true.
    ///
    /// Then a thread of the cache makes the appends, each with all changes that were made during
    /// the one before. Otherwise each change makes its own, on the thread of its caller.
    fn waits(&self) -> bool {
        true
    }

    /// Forgets the snapshot first, and then its logs. An absent snapshot is no error.
    ///
    /// # Errors
    /// An error if the snapshot cannot be removed.
    fn clear(&self) -> io::Result<()>;
}
