//! The refresh of an answer behind the caller's back, in a process that outlives the caller.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::pin::Pin;
use std::process::{Command, Stdio};

use bytes::Bytes;
use larder::backend::Version;
use larder::{Life, Load, Loaded, Result};

use crate::exit::{OK, OWN_FAILURE};
use crate::run::answer::Answer;
use crate::run::answers::{Answers, RETRY_AFTER};
use crate::run::echo::Echo;
use crate::run::end::Unkept;
use crate::run::foreground::{open, runtime, stdin};
use crate::run::load::{Own, loader};
use crate::run::{Run, arguments};

/// The name of the hidden sub-command.
pub(crate) const COMMAND: &str = "__refresh";

/// Starts the refresh and does not wait for it.
///
/// The refresh is this program again, in a process group of its own, which an interrupt from the
/// terminal does not reach. It has none of our streams: a program that reads those to the end would
/// wait for it.
pub(super) fn start(run: &Run, url: Option<&str>, input: Option<&[u8]>) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    // A URL from the environment is in the refresh's environment as well.
    if let Some(url) =
        url.filter(|&url| std::env::var_os("LARDER_URL").is_none_or(|own| own != url))
    {
        command.args(["--url", url]);
    }
    command.arg(COMMAND).args(arguments::of(run));
    command.stdin(match input {
        Some(input) => Stdio::from(unnamed_file(input)?),
        None => Stdio::null(),
    });
    command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().map(drop)
}

/// Refreshes, in the process that was started for it. Returns the exit code, which nobody sees.
pub(crate) fn execute(run: &Run, url: Option<&str>) -> u8 {
    let Ok((stdin, runtime)) = stdin(run).and_then(|stdin| Ok((stdin, runtime()?))) else {
        return OWN_FAILURE;
    };
    let refreshed = runtime.block_on(refresh(run, url, stdin));
    runtime.shutdown_background();
    refreshed.map_or(OWN_FAILURE, |()| OK)
}

async fn refresh(run: &Run, url: Option<&str>, stdin: Option<Bytes>) -> Result<()> {
    let (key, answers) = open(run, url, stdin.as_deref())?;
    if standing(run, &answers, &key).await? != RefreshState::Due {
        return Ok(());
    }
    // Each has a store of its own. The one that judges has no copies of records that this one has
    // read, and closing the one that loads waits for the end of the load.
    let (_, judging) = open(run, url, stdin.as_deref())?;
    let (_, loading) = open(run, url, stdin.as_deref())?;
    let loader = make_anew(run, stdin, key.clone(), judging);
    loading.cache.refresh(&key, loader)?;
    loading.cache.close().await?;
    answers.tidy().await;
    Ok(())
}

/// The present state of an answer that was found to be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RefreshState {
    Due,
    /// Another process has refreshed it.
    Fresh,
    /// Another process has failed to refresh it, or the answer is gone.
    Resting,
}

async fn standing(run: &Run, answers: &Answers, key: &str) -> Result<RefreshState> {
    if answers.last_failure(key).await.is_some_and(|(_, age)| age < RETRY_AFTER) {
        return Ok(RefreshState::Resting);
    }
    let Some(kept) = answers.look(key).await? else { return Ok(RefreshState::Resting) };
    let is_aged = run.refresh_after.is_some_and(|after| kept.age >= after);
    Ok(if kept.life != Life::Fresh || is_aged { RefreshState::Due } else { RefreshState::Fresh })
}

/// Returns a loader that runs the command, and notes its end.
///
/// Of all processes that find the answer due, one at a time comes to run the loader: the load's
/// lease keeps the others away. A process that comes after another's end finds out here, and leaves
/// the answer alone that the other has just made.
fn make_anew(
    run: &Run,
    stdin: Option<Bytes>,
    key: String,
    answers: Answers,
) -> impl FnOnce(Load<String, Answer>) -> BoxLoaded + Send + use<> {
    let (run, own) = (run.clone(), Own::default());
    let load_it = loader(&run, stdin, Echo::Silent, own.clone());
    move |load| {
        Box::pin(async move {
            match standing(&run, &answers, &key).await.unwrap_or(RefreshState::Due) {
                RefreshState::Due => {}
                RefreshState::Fresh => return Ok(Loaded::not_modified()),
                RefreshState::Resting => return Err(Unkept::Resting),
            }
            let answer = load_it(load).await;
            if let Some((end, unkept)) = own.take() {
                answers.note_refresh(&key, unkept.map(|_| end.code())).await;
            }
            answer.map(Loaded::new)
        })
    }
}

/// The future of such a loader.
type BoxLoaded = Pin<Box<dyn Future<Output = std::result::Result<Loaded<Answer>, Unkept>> + Send>>;

/// Creates a file with this content and no name, which only the process that has it open can read.
fn unnamed_file(content: &[u8]) -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("larder-stdin-{}", Version::next()));
    let mut file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}
