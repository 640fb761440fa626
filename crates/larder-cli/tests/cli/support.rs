//! A store in a folder of its own, and commands over it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use larder_test_support::Folder;
pub(crate) use larder_test_support::pause;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A temporary folder that goes with the test: `store` in it is the cache, the rest is the test's.
pub(crate) struct Bench(Folder);

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        fs::create_dir(folder.path()).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Returns `larder` over this bench's store, in its folder, with nothing on stdin.
    pub(crate) fn larder<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.arg("--url").arg(format!("file:{}", self.store().display()));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.env_remove("LARDER_URL");
        command
    }

    /// Returns the output of `larder` for these words.
    pub(crate) fn say(&self, words: &str) -> Output {
        self.larder(words.split_whitespace()).output().unwrap()
    }

    /// Returns `larder run` with these options, of a script.
    pub(crate) fn run(&self, options: &str, script: &str) -> Command {
        let mut command = self.larder(["run"]);
        command.args(options.split_whitespace()).args(["--", "sh", "-c", script]);
        command
    }

    /// Returns how often a script of [`counted`](Self::counted) has run.
    pub(crate) fn runs(&self) -> usize {
        fs::read(self.path("runs")).map_or(0, |runs| runs.len())
    }

    /// Returns the script with a first step that counts its runs.
    pub(crate) fn counted(&self, script: &str) -> String {
        format!("printf x >> '{}'; {script}", self.path("runs").display())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A refresh that nobody waits for would create the folder again.
        for _ in 0..100 {
            if !self.is_in_use() {
                break;
            }
            pause(Duration::from_millis(50));
        }
    }
}

impl Bench {
    /// True if a process was started over this bench's store, where the system tells.
    fn is_in_use(&self) -> bool {
        let store = self.store().into_os_string().into_encoded_bytes();
        let names_it = |process: std::io::Result<fs::DirEntry>| {
            let line = fs::read(process.ok()?.path().join("cmdline")).ok()?;
            line.windows(store.len()).any(|part| part == store).then_some(())
        };
        fs::read_dir("/proc").is_ok_and(|mut processes| processes.find_map(names_it).is_some())
    }
}

/// A process that is ended with the test.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self(Some(child))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.as_ref().unwrap().id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    pub(crate) fn wait(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Returns the time as it passes for processes.
#[expect(clippy::disallowed_methods, reason = "other processes pass real time")]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Waits until the condition is true. Fails if it never is.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        pause(Duration::from_millis(10));
    }
}

/// True if any file below the folder holds these bytes.
pub(crate) fn is_anywhere(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let content = fs::read(entry.unwrap().path()).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

impl Bench {
    /// Returns the exit code and the output.
    pub(crate) fn tell(&self, words: &str) -> (i32, String) {
        let output = self.say(words);
        (output.status.code().unwrap(), text(&output.stdout).to_owned())
    }

    /// Returns the lines of an answer in JSON.
    pub(crate) fn json(&self, words: &str) -> Vec<Value> {
        let (_, output) = self.tell(&format!("{words} --json"));
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(crate) fn ok(output: &str) -> (i32, String) {
    (0, output.to_owned())
}

pub(crate) fn no() -> (i32, String) {
    (1, String::new())
}
