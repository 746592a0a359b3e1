//! Processes that cannot be mistaken for later ones with the same number.
//!
//! A number alone says nothing: the system gives it out again. A process is its number, the
//! moment at which it started (`/proc/<pid>/stat`, field 22) and the boot in which it did. Before
//! a signal is sent the process is held by a descriptor and looked at again, so that between the
//! look and the signal nobody else can have got the number.
//!
//! What belongs together carries a mark in its environment, which children inherit: that also
//! finds those whose parent is gone, and those that left the group. It is never written to a log.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid,
};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::wire::RunEnd;

/// The variable that marks what belongs to a workspace: the path of its directory.
pub const MARK: &str = "SEXTON_WORKSPACE";
/// The variable that marks what belongs to one run inside a workspace: the path and its id.
pub const SESSION_MARK: &str = "SEXTON_SESSION";
/// How often a group that keeps making processes is ended again. Chosen: 5 ms apart, this is five
/// seconds, and one round ends all but those that were being made.
const ROUNDS_MAX: u32 = 1_000;
const ROUND: Duration = Duration::from_millis(5);

/// One process, for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it started, in the system's ticks since boot.
    pub started: u64,
    /// The boot in which it did.
    pub boot: String,
}

/// What the system says of a number.
struct Stat {
    state: char,
    group: i32,
    threads: u64,
    started: u64,
}

impl Stat {
    /// Whether it has ended. One whose first thread has ended and another has not holds its files
    /// and its port still: it has not.
    fn is_over(&self) -> bool {
        matches!(self.state, 'Z' | 'X') && self.threads <= 1
    }
}

fn stat(pid: i32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name of the program stands in brackets and may hold brackets itself.
fn parse(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        group: fields.get(2)?.parse().ok()?,
        threads: fields.get(17)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

fn boot() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

impl Process {
    /// The process that has this number now, also one that has ended and was not waited for.
    pub fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        Some(Self { pid, started: stat(pid)?.started, boot: boot() })
    }

    fn look(&self) -> Option<Stat> {
        stat(self.pid).filter(|it| it.started == self.started && self.boot == boot())
    }

    /// Whether it runs; one that ended and was not waited for does not.
    pub fn is_alive(&self) -> bool {
        self.look().is_some_and(|it| !it.is_over())
    }

    /// Sends a signal to this process and no other; whether there was one to send it to.
    ///
    /// # Errors
    ///
    /// What the system said, if it refused.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(false) };
        let held = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(held) => held,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        // From here on the number is looked at again, and the descriptor is of whom it was then.
        if !self.is_alive() {
            return Ok(false);
        }
        match pidfd_send_signal(&held, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the end of a child of ours, so that it does not stay as a zombie. Of others, nothing.
    pub fn reap(&self) {
        let end = self.take_end();
        tracing::trace!(target: "sexton", pid = self.pid, ?end, "over");
    }

    /// As [`reap`](Self::reap), and how it ended, which is said once; of others, and of one that
    /// runs, nothing.
    pub fn take_end(&self) -> Option<RunEnd> {
        let is_over = self.look().is_some_and(|it| it.is_over());
        let pid = Pid::from_raw(self.pid).filter(|_| is_over)?;
        // Not a child of ours: whoever started it will.
        let (_, status) = waitpid(Some(pid), WaitOptions::NOHANG).ok()??;
        let exited = status.exit_status().map(RunEnd::Exited);
        exited.or_else(|| status.terminating_signal().map(RunEnd::Signalled))
    }
}

/// All processes that may be seen, with what the system says of each.
fn all() -> io::Result<Vec<(i32, Stat)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        found.extend(stat(pid).map(|stat| (pid, stat)));
    }
    Ok(found)
}

/// A mark, as it stands in an environment.
fn mark(variable: &str, value: &OsStr) -> Vec<u8> {
    let mut mark = OsString::from(variable);
    mark.push("=");
    mark.push(value);
    mark.into_vec()
}

fn carries(pid: i32, is_ours: &impl Fn(&[u8]) -> bool) -> bool {
    // Another user's cannot be read, and is not ours.
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(is_ours)
}

fn found(is_ours: impl Fn(&[u8]) -> bool, leader: Option<&Process>) -> io::Result<Vec<Process>> {
    let boot = boot();
    // The number of a group is not given out again while the leader runs.
    let group = leader.filter(|leader| leader.is_alive()).map(|leader| leader.pid);
    let mut members = Vec::new();
    for (pid, stat) in all()? {
        let is_member = group == Some(stat.group) || carries(pid, &is_ours);
        if is_member && !stat.is_over() {
            members.push(Process { pid, started: stat.started, boot: boot.clone() });
        }
    }
    Ok(members)
}

/// Whatever runs with this mark, and the group of the first process that had it.
///
/// # Errors
///
/// What the system said, if processes cannot be listed.
pub fn members(of: (&str, &OsStr), leader: Option<&Process>) -> io::Result<Vec<Process>> {
    let mark = mark(of.0, of.1);
    found(|entry| entry == mark, leader)
}

/// Whatever runs with a mark that is a path below `root`.
///
/// # Errors
///
/// As [`members`].
pub fn members_below(variable: &str, root: &Path) -> io::Result<Vec<Process>> {
    let mut mark = mark(variable, root.as_os_str());
    mark.push(b'/');
    found(|entry| entry.starts_with(&mark), None)
}

/// Ends everything that `members` finds, until it finds nothing.
///
/// # Errors
///
/// What the system said, or that something was still there after five seconds: nothing is
/// concluded then, and the call can be repeated.
pub fn end(members: impl Fn() -> io::Result<Vec<Process>>) -> io::Result<()> {
    for _ in 0..ROUNDS_MAX {
        let left = members()?;
        if left.is_empty() {
            return Ok(());
        }
        for process in &left {
            process.signal(Signal::KILL)?;
        }
        clock::pause(ROUND);
        left.iter().for_each(Process::reap);
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "processes are left that do not end"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    /// A child that is ended with its test, however that ends.
    struct Guarded(Child);

    impl Drop for Guarded {
        fn drop(&mut self) {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }

    fn guarded(of: &[&str], directory: &Path) -> Guarded {
        let mut command = Command::new(of[0]);
        command.args(&of[1..]).env(MARK, directory).process_group(0);
        Guarded(command.spawn().expect("it starts"))
    }

    fn sleeper(directory: &Path) -> Guarded {
        guarded(&["sleep", "600"], directory)
    }

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let text = "12 (a) S ) b) Z 1 7 12 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 9 9";
        let stat = parse(text).unwrap();
        assert_eq!((stat.state, stat.group, stat.threads, stat.started), ('Z', 7, 1, 4711));
        assert!(parse("12 (a) S 1").is_none());
    }

    /// A killed agent counted as dead while its other threads held its lock and its port: the
    /// next one was refused both, and its machine had none for a while.
    #[test]
    fn a_process_with_a_thread_that_has_not_ended_is_not_over() {
        let text = |state: char, threads: u32| {
            format!("12 (a) {state} 1 7 12 0 -1 4 0 0 0 0 0 0 0 0 20 0 {threads} 0 4711 9 9")
        };
        let is_over = |state, threads| parse(&text(state, threads)).unwrap().is_over();
        assert!(is_over('Z', 1) && is_over('X', 0));
        assert!(!is_over('Z', 2) && !is_over('S', 1) && !is_over('T', 3));
    }

    #[test]
    fn a_reused_number_is_never_signalled() {
        let directory = tempfile::tempdir().unwrap();
        let child = sleeper(directory.path());
        let process = Process::of(child.0.id()).unwrap();
        let earlier = Process { started: process.started - 1, ..process.clone() };
        let of_another_boot = Process { boot: "another".to_owned(), ..process.clone() };
        for other in [&earlier, &of_another_boot] {
            assert!(!other.is_alive());
            assert!(!other.signal(Signal::KILL).unwrap());
            assert_eq!(other.take_end(), None);
        }
        assert!(process.is_alive());
        assert!(process.signal(Signal::KILL).unwrap());
        while process.is_alive() {
            clock::pause(ROUND);
        }
        assert_eq!(process.take_end(), Some(RunEnd::Signalled(9)));
        assert_eq!(process.take_end(), None, "an end is taken once");
        assert!(!process.signal(Signal::KILL).unwrap());
    }

    #[test]
    fn what_left_its_group_is_found_by_its_mark_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let (ours, others) = (directory.path().join("a"), directory.path().join("ab"));
        let mut stranger = sleeper(&others);
        let mut leader = guarded(&["sh", "-c", "setsid sleep 600 & wait"], &ours);
        let first = Process::of(leader.0.id()).unwrap();
        // The shell has forked twice by then: `setsid` and what it becomes.
        while members((MARK, ours.as_os_str()), None).unwrap().len() < 2 {
            clock::pause(ROUND);
        }
        first.signal(Signal::KILL).unwrap();
        leader.0.wait().unwrap();
        assert!(
            !members((MARK, ours.as_os_str()), None).unwrap().is_empty(),
            "the child outlived its parent"
        );
        end(|| members((MARK, ours.as_os_str()), Some(&first))).unwrap();
        assert!(members((MARK, ours.as_os_str()), None).unwrap().is_empty());
        assert_eq!(members_below(MARK, directory.path()).unwrap().len(), 1, "the stranger");
        end(|| members_below(MARK, directory.path())).unwrap();
        assert!(stranger.0.wait().is_err(), "whatever is ended and ours is waited for");
    }
}
