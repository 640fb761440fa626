//! A request for an answer: of all processes that want it at once, one runs the command.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use larder::Load;

use crate::run::Run;
use crate::run::answer::Answer;
use crate::run::child::{self, Ran, Task};
use crate::run::echo::Echo;
use crate::run::end::{End, Unkept};

/// The end of the command, if this process ran it.
#[derive(Clone, Default)]
pub(super) struct Own(Arc<Mutex<Progress>>);

#[derive(Default)]
enum Progress {
    #[default]
    NotBegun,
    Begun,
    Ended(End, Option<Unkept>),
}

impl Own {
    /// True if the command runs or has run here.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(*self.0.lock().unwrap_or_else(PoisonError::into_inner), Progress::NotBegun)
    }

    /// Returns the end of the command, and the reason why its answer is not kept.
    pub(super) fn take(&self) -> Option<(End, Option<Unkept>)> {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *progress) {
            Progress::Ended(end, unkept) => Some((end, unkept)),
            _ => None,
        }
    }

    fn set(&self, progress: Progress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

/// Returns a loader that runs the command, and reports its end to `own`.
pub(super) fn loader(
    run: &Run,
    stdin: Option<Bytes>,
    echo: Echo,
    own: Own,
) -> impl FnOnce(Load<String, Answer>) -> BoxAnswer + Send + use<> {
    let task = task(run, stdin, echo);
    let keep_failures = run.keep_failures;
    move |_| {
        Box::pin(async move {
            own.set(Progress::Begun);
            let Ran { end, recording, unwritten } = child::run(task).await;
            let kept = end.kept(recording, keep_failures);
            own.set(Progress::Ended(end.seen(unwritten), kept.as_ref().err().copied()));
            kept
        })
    }
}

/// Runs the command and keeps nothing.
pub(super) async fn run_uncached(run: &Run, stdin: Option<Bytes>) -> End {
    let task = Task { max_output: 0, ..task(run, stdin, Echo::Live) };
    let Ran { end, unwritten, .. } = child::run(task).await;
    end.seen(unwritten)
}

/// The future of a loader.
type BoxAnswer = std::pin::Pin<Box<dyn Future<Output = Result<Answer, Unkept>> + Send>>;

fn task(run: &Run, stdin: Option<Bytes>, echo: Echo) -> Task {
    Task {
        command: run.command.clone(),
        stdin,
        merge: run.merge,
        timeout: run.timeout,
        max_output: run.max_output,
        echo,
    }
}
