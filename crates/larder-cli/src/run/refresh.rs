//! Making an answer anew behind the caller's back, in a process that outlives it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use larder::backend::Version;
use larder::{Life, Options, Result};

use crate::exit::{OK, OWN_FAILURE};
use crate::run::answers::{Answers, RETRY_AFTER};
use crate::run::echo::Echo;
use crate::run::foreground::{open, runtime, stdin};
use crate::run::load::{Own, loader};
use crate::run::{Run, arguments};

/// The hidden sub-command.
pub(crate) const COMMAND: &str = "__refresh";

/// Starts the refresh and does not wait for it.
///
/// It is this program again, in a process group of its own, which an interrupt from the terminal
/// does not reach. It has none of our streams: whoever reads them to the end would wait for it.
pub(super) fn start(run: &Run, url: Option<&str>, input: Option<&[u8]>) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    // What came from the environment is there for the refresh as well.
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

/// Refreshes, in the process that was started for it; the exit code, which nobody sees.
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
    if !is_due(run, &answers, &key).await? {
        return Ok(());
    }
    // A store of its own, without copies of what this one has looked at. It knows when an answer has
    // come of age, so under its lease it finds what another process has made anew meanwhile.
    let (_, loading) = open(run, url, stdin.as_deref())?;
    let options = Options::new();
    let cache = loading.cache.with(match run.refresh_after {
        Some(after) => options.refresh_after(after),
        None => options,
    });
    let own = Own::default();
    let loaded = cache.load(&key, loader(run, stdin, Echo::Silent, own.clone())).await;
    // To close it is to wait for a load that goes on behind.
    cache.close().await?;
    if let Some((end, unkept)) = own.take() {
        answers.note_refresh(&key, unkept.map(|_| end.code())).await;
    }
    answers.tidy().await;
    loaded.map(drop)
}

/// Whether nobody has refreshed it, or failed to, since it was found to be due.
async fn is_due(run: &Run, answers: &Answers, key: &str) -> Result<bool> {
    if answers.last_failure(key).await.is_some_and(|(_, age)| age < RETRY_AFTER) {
        return Ok(false);
    }
    let kept = answers.look(key).await?;
    Ok(kept.is_some_and(|kept| {
        kept.life != Life::Fresh || run.refresh_after.is_some_and(|after| kept.age >= after)
    }))
}

/// A file with this content and no name, which only who has it open can read.
fn unnamed_file(content: &[u8]) -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("larder-stdin-{}", Version::next()));
    let mut file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}
