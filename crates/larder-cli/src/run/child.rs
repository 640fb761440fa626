//! The running command: its streams echoed and recorded, signals passed on, its end waited for.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::run::answer::Stream;
use crate::run::echo::{Echo, Sink};
use crate::run::end::End;
use crate::run::recording::{Gap, Recording};
use crate::run::signals::{Signals, send};

/// A command to run.
pub(super) struct Task {
    pub(super) command: Vec<OsString>,
    /// The input of the command; nothing if none.
    pub(super) stdin: Option<Bytes>,
    /// True if stderr is joined into stdout.
    pub(super) merge: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) max_output: u64,
    pub(super) echo: Echo,
}

/// Runs the command to its end. Its output is read on even if it cannot be written here, so that
/// the answer is whole.
pub(super) async fn run(task: Task) -> Ran {
    let unwritten = Mutex::new(None);
    let recording = Mutex::new(Recording::new(task.max_output));
    let mut signals = Signals::listen();
    let (mut child, pipes) = match start(&task) {
        Ok(started) => started,
        Err(error) => {
            let (end, recording) = (End::NotStarted(error), into_inner(recording));
            return Ran { end, recording, unwritten: None };
        }
    };
    let (close, closing) = watch::channel(false);
    let end = {
        let copy = |stream| Copy {
            stream,
            sink: task.echo.sink(stream),
            recording: &recording,
            unwritten: &unwritten,
            closing: closing.clone(),
        };
        let (stdout, stderr) = (copy(Stream::Stdout), copy(Stream::Stderr));
        let mut streams = pin!(async {
            tokio::join!(
                stdout.run(pipes.stdout),
                stderr.run(pipes.stderr),
                feed(pipes.stdin, task.stdin, closing.clone()),
            );
        });
        let mut end = pin!(wait(&mut child, &mut signals, task.timeout));
        tokio::select! {
            end = &mut end => {
                linger(streams, &close).await;
                end
            }
            () = &mut streams => end.await,
        }
    };
    Ran { end, recording: into_inner(recording), unwritten: into_inner(unwritten) }
}

/// The result of running a command.
pub(super) struct Ran {
    pub(super) end: End,
    pub(super) recording: Recording,
    /// The error for which stdout did not take the output, other than a closed pipe.
    pub(super) unwritten: Option<io::Error>,
}

/// Our ends of the command's pipes.
struct Pipes {
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

fn start(task: &Task) -> io::Result<(Child, Pipes)> {
    let (program, arguments) = task.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments);
    command.stdin(if task.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut joined = None;
    if task.merge {
        // With one pipe, the kernel keeps the order.
        let (reader, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer);
        joined = Some(ChildStdout::from_std(OwnedFd::from(reader).into())?);
    } else {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut child = command.spawn()?;
    // The command object keeps writing ends, which would hold the pipe open.
    drop(command);
    let pipes = Pipes {
        stdin: child.stdin.take(),
        stdout: joined.or_else(|| child.stdout.take()),
        stderr: child.stderr.take(),
    };
    Ok((child, pipes))
}

/// Waits for the end, passes signals on, and ends a command that takes too long.
async fn wait(child: &mut Child, signals: &mut Signals, timeout: Option<Duration>) -> End {
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let mut limit = pin!(sleep(timeout.unwrap_or(Duration::MAX)));
    let mut timed_out = false;
    loop {
        tokio::select! {
            biased;
            status = child.wait() => return match status {
                Ok(_) if timed_out => End::TimedOut,
                Ok(status) => status.into(),
                Err(error) => End::Lost(error),
            },
            signal = signals.next() => send(pid, signal),
            () = &mut limit => {
                send(pid, if timed_out { Signal::KILL } else { Signal::TERM });
                timed_out = true;
                limit.as_mut().reset(Instant::now() + KILL_AFTER);
            }
        }
    }
}

/// Reads on after the command's end, because its last output is still in the pipes. Another process
/// that holds the pipes, a grandchild that was left behind, gets a moment.
async fn linger(mut streams: Pin<&mut impl Future<Output = ()>>, close: &watch::Sender<bool>) {
    tokio::select! {
        biased;
        () = &mut streams => return,
        () = sleep(LINGER) => {}
    }
    close.send_replace(true);
    streams.await;
}

/// Gives the command its input. The command may end without reading all of it.
async fn feed(pipe: Option<ChildStdin>, input: Option<Bytes>, mut closing: watch::Receiver<bool>) {
    if let (Some(mut pipe), Some(input)) = (pipe, input) {
        tokio::select! {
            _ = pipe.write_all(&input) => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
    }
}

/// The copying of a stream to our own stream and to the recording.
struct Copy<'a> {
    stream: Stream,
    sink: Sink,
    recording: &'a Mutex<Recording>,
    unwritten: &'a Mutex<Option<io::Error>>,
    closing: watch::Receiver<bool>,
}

impl Copy<'_> {
    async fn run(mut self, source: Option<impl AsyncRead + Unpin>) {
        let Some(mut source) = source else { return };
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut left = MAX_PIPE_BYTES;
        while left > 0 {
            let read = tokio::select! {
                biased;
                read = source.read(&mut buffer) => read.unwrap_or(0),
                _ = self.closing.wait_for(|closing| *closing) => return,
            };
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { return };
            lock(self.recording).push(self.stream, bytes);
            match self.sink.write(bytes).await {
                Ok(()) => {}
                // This closes our end of the pipe, and the command's next write fails as it would
                // have without us in between.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return lock(self.recording).leave_out(Gap::Unread);
                }
                Err(error) => {
                    self.sink = Echo::Silent.sink(self.stream);
                    // Output that stderr does not take is lost, as for any command.
                    if self.stream == Stream::Stdout {
                        *lock(self.unwritten) = Some(error);
                    }
                }
            }
            if *self.closing.borrow() {
                left = left.saturating_sub(read);
            }
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(shared: Mutex<T>) -> T {
    shared.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The time for which pipes are read after the command's end.
const LINGER: Duration = Duration::from_millis(200);
/// The time between TERM and KILL.
const KILL_AFTER: Duration = Duration::from_secs(2);
const BUFFER_BYTES: usize = 64 << 10;
/// The most bytes that a pipe holds: that many may be unread although the command has ended.
const MAX_PIPE_BYTES: usize = 1 << 20;
