//! Programs that a task starts. Each writes its own log, and all end with the run.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long a server may take until it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the end of a script is looked for.
const POLL: Duration = Duration::from_millis(20);
/// A script bounds itself; this is for one that hangs before it can.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(180);

/// A command whose process is killed when this one ends, however that happens. Must be started from the main thread, which
/// is the one whose end counts.
pub(crate) fn bound_to_us(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .stdin(Stdio::null());
    for proxy in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env_remove(proxy);
    }
    command
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Server {
    /// Starts a server and waits until it prints `ready` on a separate line. Returns its output until then, too.
    pub(crate) fn start(name: &str, mut command: Command, folder: &Path) -> Result<(Self, String)> {
        let mut server = Self::spawn(name, &mut command, folder, true)?;
        let output = server
            .child
            .stdout
            .take()
            .ok_or_else(|| Error::Unexpected(format!("{name} has no output")))?;
        let mut log = append(&server.log)?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output)
                .lines()
                .map_while(std::result::Result::ok)
            {
                // Nobody listens any more once it was ready; the log goes on. A log that cannot be written is no reason to stop.
                let _ = writeln!(log, "{line}");
                let _ = sender.send(line);
            }
        });
        let deadline = Instant::now() + READY_TIMEOUT;
        let mut seen = String::new();
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.trim() == "ready" => return Ok((server, seen)),
                Ok(line) => {
                    seen.push_str(&line);
                    seen.push('\n');
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    return Err(server.unready("was not ready in time"));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(server.unready("ended before it was ready"));
                }
            }
        }
    }

    /// Starts a server and waits until `accepts` returns true.
    pub(crate) fn start_until(
        name: &str,
        mut command: Command,
        folder: &Path,
        accepts: impl Fn() -> bool,
    ) -> Result<Self> {
        let mut server = Self::spawn(name, &mut command, folder, false)?;
        let deadline = Instant::now() + READY_TIMEOUT;
        while !accepts() {
            if server.has_ended() {
                return Err(server.unready("ended before it was ready"));
            }
            if Instant::now() >= deadline {
                return Err(server.unready("was not ready in time"));
            }
            thread::sleep(POLL);
        }
        Ok(server)
    }

    /// Starts a server with its messages, and unless `is_read` its output too, in its log.
    fn spawn(name: &str, command: &mut Command, folder: &Path, is_read: bool) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let mut file = append(&log)?;
        writeln!(file, "{command:?}").map_err(Error::io("writing", &log))?;
        command.stderr(file.try_clone().map_err(Error::io("opening", &log))?);
        if is_read {
            command.stdout(Stdio::piped())
        } else {
            command.stdout(file)
        };
        let child = command.spawn().map_err(Error::io("starting", name))?;
        Ok(Self {
            name: name.into(),
            log,
            child,
        })
    }

    /// Its process id, which is the program's own.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn unready(&self, what: &str) -> Error {
        Error::Unexpected(format!("{} {what}\n{}", self.name, tail(&self.log)))
    }

    /// A server must survive what the clients do to it, and no task of it may have panicked.
    pub(crate) fn check(&mut self) -> Result<()> {
        if self.has_ended() {
            return Err(self.unready("ended unasked"));
        }
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        if log.contains("panicked at") {
            Err(self.unready("panicked"))
        } else {
            Ok(())
        }
    }
}

impl Server {
    /// Ends it with SIGKILL, and waits for that.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program that comes to an end by itself; killed when dropped before.
pub(crate) struct Script {
    name: String,
    log: PathBuf,
    child: Child,
    deadline: Instant,
    limit: Duration,
}

/// Runs a script to its end.
pub(crate) fn script(name: &str, command: Command, folder: &Path) -> Result<()> {
    Script::start(name, command, folder)?.finish().map(drop)
}

impl Script {
    /// Starts a script; all that it prints goes to its log.
    pub(crate) fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = append(&log)?;
        command
            .stderr(file.try_clone().map_err(Error::io("opening", &log))?)
            .stdout(file);
        let child = command.spawn().map_err(Error::io("starting", name))?;
        Ok(Self {
            name: name.into(),
            log,
            child,
            deadline: Instant::now() + SCRIPT_TIMEOUT,
            limit: SCRIPT_TIMEOUT,
        })
    }

    /// The same, with so long to its end from now on.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        (self.deadline, self.limit) = (Instant::now() + limit, limit);
        self
    }

    /// Waits for its end, which must be a good one. Gives its log.
    pub(crate) fn finish(self) -> Result<String> {
        self.finish_with(&[0])
    }

    /// Waits for its end, which must be with one of these exit statuses. Gives its log.
    pub(crate) fn finish_with(mut self, allowed: &[i32]) -> Result<String> {
        let status: Option<ExitStatus> = loop {
            let status = self.child.try_wait();
            match status.map_err(Error::io("waiting for", &self.name))? {
                Some(status) => break Some(status),
                None if Instant::now() >= self.deadline => break None,
                None => thread::sleep(POLL),
            }
        };
        let what = match status {
            Some(status) if status.code().is_some_and(|code| allowed.contains(&code)) => {
                return fs::read_to_string(&self.log).map_err(Error::io("reading", &self.log));
            }
            Some(status) => status.to_string(),
            None => format!("no end after {} s", self.limit.as_secs()),
        };
        let (name, tail) = (&self.name, tail(&self.log));
        Err(Error::Unexpected(format!("{name}: {what}\n{tail}")))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It has ended by itself, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn append(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(Error::io("opening", path))
}

/// The last lines of a log, and where the rest is.
fn tail(log: &Path) -> String {
    const LINES: usize = 25;
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines
        .iter()
        .skip(lines.len().saturating_sub(LINES))
        .map(|line| format!("      {line}\n"));
    format!(
        "      (log: {})\n{}",
        log.display(),
        last.collect::<String>()
    )
}
