//! Other processes: this test's own program, which plays another role.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A process that ends with its handle.
pub(crate) struct Child {
    process: std::process::Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Child {
    /// Starts a process in this role.
    pub(crate) fn start(role: &str, arguments: &[&str]) -> Self {
        Self::start_with(role, arguments, |_| {})
    }

    pub(crate) fn start_with(
        role: &str,
        arguments: &[&str],
        set_up: impl FnOnce(&mut Command),
    ) -> Self {
        Self::run(Command::new(program()), role, arguments, set_up)
    }

    /// Starts a process that may mount what nobody else sees.
    pub(crate) fn start_apart(role: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.arg("--mount").arg(program());
        Self::run(command, role, arguments, |_| {})
    }

    fn run(
        mut command: Command,
        role: &str,
        arguments: &[&str],
        set_up: impl FnOnce(&mut Command),
    ) -> Self {
        command.args(["child::processes_play_their_roles", "--exact", "--nocapture"]);
        command.env(ROLE, role).env(ARGUMENTS, arguments.join("\n"));
        command.stdout(Stdio::piped());
        set_up(&mut command);
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// What it tells next; none when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| {
            // The harness does not end its own line first.
            line.split_once(MARK).map(|(_, told)| told.to_owned())
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Kills it, and hears what it had told.
    pub(crate) fn kill(mut self) -> Vec<String> {
        let _ = self.process.kill();
        self.process.wait().unwrap();
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// Waits for its end; what it told.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        let told = std::iter::from_fn(|| self.hear()).collect();
        (self.process.wait().unwrap(), told)
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn succeed(self) -> Vec<String> {
        let (status, told) = self.end();
        assert!(status.success(), "{status}: {told:?}");
        told
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> std::path::PathBuf {
    std::env::current_exe().unwrap()
}

/// Tells the parent something.
pub(crate) fn tell(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{what}").unwrap();
    out.flush().unwrap();
}

#[expect(clippy::disallowed_methods, reason = "other processes run on in real time")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Real time that has passed.
pub(crate) struct Watch(std::time::Instant);

impl Watch {
    #[expect(clippy::disallowed_methods, reason = "limits of the faults are in real time")]
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn passed(&self) -> Duration {
        self.0.elapsed()
    }
}

fn play(role: &str, arguments: &[&str]) {
    match (role, arguments) {
        ("greet", [name]) => tell(format_args!("hello {name}")),
        ("write", [folder, seed]) => crate::kills::write(folder, seed.parse().unwrap()),
        ("create", [folder]) => crate::kills::create(folder),
        ("flip", [seed, count]) => {
            crate::damage::flip(seed.parse().unwrap(), count.parse().unwrap());
        }
        ("fill", [folder, size]) => crate::space::fill(folder, size.parse().unwrap()),
        ("crowd out", [folder]) => crate::space::crowd_out(folder),
        ("seal", [folder]) => crate::folders::seal(folder),
        ("mask", [folder, mask]) => {
            crate::folders::mask(folder, u32::from_str_radix(mask, 8).unwrap());
        }
        ("give away", [folder]) => crate::folders::give_away(folder),
        ("bustle", [folder, seed]) => crate::crowds::bustle(folder, seed.parse().unwrap()),
        ("work", [folder]) => crate::crowds::work(folder),
        ("endure", [folder, lifted]) => crate::calls::endure(folder, lifted),
        ("wait", [folder, stall]) => crate::stalls::wait(folder, stall),
        ("hold", [folder]) => crate::store::hold(folder),
        ("witness", [folder]) => crate::ruins::witness(folder),
        ("press", [folder, seed, max, share]) => {
            let [max, share] = [max, share].map(|bytes| bytes.parse().unwrap());
            crate::bound::press(folder, seed.parse().unwrap(), max, share);
        }
        _ => panic!("no such role"),
    }
}

/// Every role is played by this test's process, told by its environment.
#[test]
fn processes_play_their_roles() {
    if let Some(role) = std::env::var_os(ROLE) {
        let arguments = std::env::var_os(ARGUMENTS).unwrap().into_string().unwrap();
        let arguments: Vec<&str> = arguments.split('\n').collect();
        return play(role.to_str().unwrap(), &arguments);
    }
    assert_eq!(Child::start("greet", &["you"]).succeed(), ["hello you"]);
}

const ROLE: &str = "LARDER_DISK_TEST_ROLE";
const ARGUMENTS: &str = "LARDER_DISK_TEST_ARGUMENTS";
const MARK: &str = "@";
