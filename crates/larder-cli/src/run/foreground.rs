//! The part of `larder run` that its caller waits for.

use std::io::{self, Read as _};
use std::time::Duration;

use bytes::Bytes;
use larder::{Error, ErrorKind, Life};

use crate::exit::{OWN_FAILURE, PIPE_CLOSED, TIMED_OUT, with_causes};
use crate::output::{remark, span};
use crate::run::answer::Answer;
use crate::run::answers::{Answers, Kept, RETRY_AFTER};
use crate::run::echo::Echo;
use crate::run::end::{End, Unkept};
use crate::run::load::{Own, loader, run_uncached};
use crate::run::recording::Gap;
use crate::run::{Run, key, refresh};

/// Runs or replays the command. Returns the exit code.
pub(crate) fn execute(run: &Run, url: Option<&str>) -> u8 {
    let prepared = stdin(run).and_then(|stdin| Ok((stdin, runtime()?)));
    let (stdin, runtime) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            remark(&error.to_string());
            return OWN_FAILURE;
        }
    };
    let code = runtime.block_on(async {
        match open(run, url, stdin.as_deref()) {
            Ok((key, answers)) => Foreground { run, url, stdin, key, answers }.answer().await,
            Err(error) => {
                remark(&format!("without a cache: {}", with_causes(&error)));
                told(run, &run_uncached(run, stdin).await)
            }
        }
    });
    // The work is done. A thread may still be writing to a pipe that nobody reads.
    runtime.shutdown_background();
    code
}

/// Returns the command's input.
pub(super) fn stdin(run: &Run) -> io::Result<Option<Bytes>> {
    if !run.stdin {
        return Ok(None);
    }
    let mut content = Vec::new();
    io::stdin().lock().read_to_end(&mut content)?;
    Ok(Some(content.into()))
}

/// Returns a runtime on this thread.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Returns the key, and the answers of the store.
pub(super) fn open(
    run: &Run,
    url: Option<&str>,
    stdin: Option<&[u8]>,
) -> larder::Result<(String, Answers)> {
    let no_folder = |error| Error::with_source(ErrorKind::Unavailable, "working directory", error);
    let key = key::of(run, stdin).map_err(no_folder)?;
    Ok((key, Answers::open(run, url)?))
}

struct Foreground<'a> {
    run: &'a Run,
    url: Option<&'a str>,
    stdin: Option<Bytes>,
    key: String,
    answers: Answers,
}

impl Foreground<'_> {
    async fn answer(&self) -> u8 {
        match self.answers.look(&self.key).await {
            Ok(Some(kept)) => self.replay_kept(&kept).await,
            // An error of this read is reported if the load meets it.
            Ok(None) | Err(_) => self.load().await,
        }
    }

    async fn replay_kept(&self, kept: &Kept) -> u8 {
        let age = span(kept.age);
        self.verbose(&format!("replayed, {age} old"));
        let is_due = self.run.refresh_after.is_some_and(|after| kept.age >= after);
        if kept.life != Life::Fresh || is_due {
            self.refresh().await;
        }
        replay(&kept.answer)
    }

    /// Starts a refresh of the answer, unless one failed a moment ago.
    async fn refresh(&self) {
        if let Some((status, age)) = self.answers.last_failure(&self.key).await {
            self.verbose(&format!("its refresh failed with status {status}, {} ago", span(age)));
            if age < RETRY_AFTER {
                return;
            }
        }
        if let Err(error) = refresh::start(self.run, self.url, self.stdin.as_deref()) {
            self.verbose(&format!("it cannot be refreshed: {error}"));
        }
    }

    async fn load(&self) -> u8 {
        let own = Own::default();
        let loader = loader(self.run, self.stdin.clone(), Echo::Live, own.clone());
        let mut load = std::pin::pin!(self.answers.cache.load(&self.key, loader));
        let limit = self.run.timeout.unwrap_or(Duration::MAX);
        let answered = match tokio::time::timeout(limit, &mut load).await {
            Ok(answered) => answered,
            // The command's own timeout ends the load.
            Err(_) if own.has_begun() => load.await,
            Err(_) => {
                self.verbose("another process took longer than the timeout");
                return TIMED_OUT;
            }
        };
        match (own.take(), answered) {
            (Some((end, unkept)), _) => self.tell_own(&end, unkept).await,
            (None, Ok(Some(answer))) => {
                self.verbose("another process ran it");
                replay(&answer)
            }
            (None, other) => {
                match other.err() {
                    Some(error) if error.kind() == ErrorKind::Loader => {
                        self.verbose("another process ran it, and it failed");
                    }
                    error => {
                        let error = error.map(|error| with_causes(&error));
                        let error = error.or_else(|| self.answers.trouble()).unwrap_or_default();
                        remark(&format!("without a cache: {error}"));
                    }
                }
                told(self.run, &run_uncached(self.run, self.stdin.clone()).await)
            }
        }
    }

    async fn tell_own(&self, end: &End, unkept: Option<Unkept>) -> u8 {
        match unkept {
            Some(unkept @ Unkept::Gap(Gap::TooLong)) => remark(&format!("not kept: {unkept}")),
            Some(_) => self.verbose(&format!("not kept: {end}")),
            None => match self.answers.trouble() {
                Some(trouble) => remark(&format!("not kept: {trouble}")),
                None if self.answers.is_overtaken() => {
                    self.verbose("not kept: a change, or another process's answer, came first");
                }
                None => self.verbose(&format!("kept for {}", span(self.run.ttl()))),
            },
        }
        self.answers.tidy().await;
        // The load's lease must go before this process ends, or other processes would wait for it.
        let _ = self.answers.cache.close().await;
        told(self.run, end)
    }

    fn verbose(&self, text: &str) {
        if self.run.verbose {
            remark(text);
        }
    }
}

/// Returns the exit code of a command that was run here. Prints a remark if it could not be run.
fn told(run: &Run, end: &End) -> u8 {
    if let End::Unwritten(error) = end {
        remark(&format!("stdout: {error}"));
    }
    if let End::NotStarted(error) | End::Lost(error) = end {
        let program = run.command.first().map(|program| program.to_string_lossy());
        remark(&format!("{}: {error}", program.unwrap_or_default()));
    }
    end.die_of_interrupt();
    end.code()
}

fn replay(answer: &Answer) -> u8 {
    match answer.replay() {
        Ok(()) => answer.status,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => PIPE_CLOSED,
        Err(error) => {
            remark(&format!("stdout: {error}"));
            OWN_FAILURE
        }
    }
}
