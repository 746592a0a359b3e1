//! The workspaces of one machine: directories, groups of processes, and what is written of them.
//!
//! ```text
//! <root>/lock                      held while an agent runs
//! <root>/agent.json                who that is, and where it listens
//! <root>/records/<id>.json         what was asked for, and its first process with start time
//! <root>/workspaces/<id>/          its files
//! <root>/tombstones/<id>.json      that it was deleted, and when
//! ```
//!
//! A record is written before anything is made and removed after everything is gone, so a crash
//! anywhere leaves something that the list shows and that a repeated call ends or completes.
//!
//! Whoever calls gives an attempt up when nobody answers, and makes another one. The first may lie
//! in a socket, and be read after all that came behind it. So calls have the number of their
//! effect: what a later one left is not changed by an earlier one (a fencing token, as Kleppmann
//! has it: <https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html>). And an id
//! that was deleted has a tombstone for as long as any token from before it can be valid.

mod runs;
mod tombstones;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::files;
use crate::process::{self, MARK, Process, SESSION_MARK};
use crate::token::{Claims, SKEW_S};
use crate::wire::{COMMAND_BYTES_MAX, Code, Doing, Order, Problem, View, WORDS_MAX, is_id};

pub use self::runs::Over;

use self::runs::Watched;
use self::tombstones::Tombstones;

/// What a workspace sees of the agent's environment: where programs are, and nothing else.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The bits of a file's mode of which a program has one.
const EXECUTABLE: u32 = 0o111;

/// What shall be of a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Running,
    Asleep,
    Stopped,
}

/// Which call it is: of which effect, and until when it may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The number of its effect; see [`Claims::effect`].
    pub effect: u64,
    /// When its token is over, in seconds since 1970. Also what waited for its turn begins no
    /// later: so a tombstone need not be kept for longer.
    pub until_s: u64,
}

impl Call {
    /// A call within one process, for a performer that has its own workspaces: without a token,
    /// and so without an end.
    pub fn within(effect: u64) -> Self {
        Self { effect, until_s: u64::MAX }
    }

    /// The call that a token is for.
    pub(crate) fn of(claims: &Claims) -> Self {
        let until_s = claims.exp.saturating_add(SKEW_S);
        Self { effect: claims.effect.unwrap_or(0), until_s }
    }
}

/// The file of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    order: Order,
    wanted: Wanted,
    /// The last effect of its life that changed it. Records of before have none.
    #[serde(default)]
    effect: u64,
    /// Its first process, from the moment at which it is known.
    process: Option<Process>,
    sessions: BTreeMap<String, Option<Process>>,
    /// The runs of whose end somebody shall be told and was not.
    #[serde(default)]
    watched: BTreeMap<String, Watched>,
    /// The runs that were ended by a call, and when, in seconds since 1970: they do not begin.
    #[serde(default)]
    ceased: BTreeMap<String, u64>,
}

impl Record {
    fn new(order: Order, effect: u64) -> Self {
        Self {
            order,
            wanted: Wanted::Running,
            effect,
            process: None,
            sessions: BTreeMap::new(),
            watched: BTreeMap::new(),
            ceased: BTreeMap::new(),
        }
    }
}

/// The workspaces below one directory.
#[derive(Debug)]
pub struct Workspaces {
    directory: PathBuf,
    /// Apart from the files: a workspace may be called `a.json`.
    records: PathBuf,
    tombstones: Tombstones,
    count_max: usize,
    /// A program and its first words that begins a session of its own and becomes the rest.
    enter: Vec<OsString>,
    /// One change at a time.
    changing: Mutex<()>,
}

fn unavailable(what: &str, error: &io::Error) -> Problem {
    Problem::new(Code::Unavailable, format!("failed to {what}: {error}"))
}

fn missing(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no workspace {id}"))
}

/// What a later effect left is not changed by an earlier one.
fn fence(id: &str, record: &Record, call: Call) -> Result<(), Problem> {
    if record.effect <= call.effect {
        return Ok(());
    }
    let (last, this) = (record.effect, call.effect);
    let why =
        format!("effect {last} of workspace {id} was here already, and this is effect {this}");
    Err(Problem::new(Code::Superseded, why))
}

fn check(order: &[String]) -> Result<(), Problem> {
    let n_bytes: usize = order.iter().map(String::len).sum();
    let is_whole = order.first().is_some_and(|program| !program.is_empty());
    let has_zero = order.iter().any(|word| word.contains('\0'));
    if !is_whole || has_zero || order.len() > WORDS_MAX || n_bytes > COMMAND_BYTES_MAX {
        let why = format!(
            "a command is 1 to {WORDS_MAX} words and {COMMAND_BYTES_MAX} bytes, without zeros"
        );
        return Err(Problem::new(Code::Invalid, why));
    }
    Ok(())
}

/// Whoever enters says too late that there is no such program: it is looked for before.
fn check_program(program: &str, files: &Path) -> Result<(), Problem> {
    let is_program = |path: PathBuf| {
        let metadata = fs::metadata(path);
        metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & EXECUTABLE != 0)
    };
    let is_there = if program.contains('/') {
        is_program(files.join(program))
    } else {
        PATH.split(':').any(|place| is_program(Path::new(place).join(program)))
    };
    if is_there {
        return Ok(());
    }
    let why = format!("failed to start `{program}`: there is no such program");
    Err(Problem::new(Code::Invalid, why))
}

impl Workspaces {
    /// Those that lie in `root`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn open(root: &Path, count_max: usize) -> io::Result<Self> {
        let (directory, records) = (root.join("workspaces"), root.join("records"));
        fs::create_dir_all(&directory)?;
        fs::create_dir_all(&records)?;
        // The mark of what runs in it is its path: one path, whatever led there.
        let directory = directory.canonicalize()?;
        let tombstones = Tombstones::open(root)?;
        let (enter, changing) = (Vec::new(), Mutex::new(()));
        Ok(Self { directory, records, tombstones, count_max, enter, changing })
    }

    /// The same, with a program and its first words through which every process of theirs is
    /// started: it begins a session of its own and becomes the words that follow, as
    /// `sexton-agent enter --` does. Without it the system ends what sleeps when this process
    /// ends: it does that to whatever is halted and has nobody left in its session to wake it.
    pub fn entered_by(self, enter: Vec<OsString>) -> Self {
        Self { enter, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else changes anything; by then a call may be over.
    fn change(&self, call: Call) -> Result<MutexGuard<'_, ()>, Problem> {
        let change = self.lock();
        if call.until_s < clock::now_s() {
            let why = "the token's time was over when it was this call's turn";
            return Err(Problem::new(Code::Unauthorized, why));
        }
        Ok(change)
    }

    fn files(&self, id: &str) -> Result<PathBuf, Problem> {
        if is_id(id) {
            return Ok(self.directory.join(id));
        }
        Err(Problem::new(Code::Invalid, "an id is 1 to 128 letters, digits, `-`, `_` and `.`"))
    }

    fn record(&self, id: &str) -> PathBuf {
        self.records.join(format!("{id}.json"))
    }

    fn load(&self, id: &str) -> Result<Option<Record>, Problem> {
        files::read_json(&self.record(id)).map_err(|error| unavailable("read a record", &error))
    }

    /// The record of what is there and was changed by no later effect than this.
    fn expect(&self, id: &str, call: Call) -> Result<Record, Problem> {
        self.files(id)?;
        let record = self.load(id)?.ok_or_else(|| missing(id))?;
        fence(id, &record, call)?;
        Ok(record)
    }

    fn store(&self, id: &str, record: &Record) -> Result<(), Problem> {
        let written = files::write_json(&self.record(id), record);
        written.map_err(|error| unavailable("write a record", &error))
    }

    fn ids(&self) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.records)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            ids.extend(id.filter(|id| is_id(id)).map(str::to_owned));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    fn members(&self, id: &str, leader: Option<&Process>) -> io::Result<Vec<Process>> {
        process::members((MARK, self.directory.join(id).as_os_str()), leader)
    }

    fn view(&self, id: &str, record: &Record) -> View {
        if let Some(process) = &record.process {
            process.reap();
        }
        let alive = record.process.as_ref().filter(|it| it.is_alive());
        let doing = match record.wanted {
            Wanted::Stopped => Doing::Stopped,
            Wanted::Asleep if alive.is_some() => Doing::Asleep,
            Wanted::Running if alive.is_some() => Doing::Running,
            Wanted::Asleep | Wanted::Running => Doing::Ended,
        };
        // How a run ended is for the watch to see: it is taken once.
        let is_alive = |it: &Option<Process>| it.as_ref().is_some_and(Process::is_alive);
        let sessions = record.sessions.iter().filter(|(_, process)| is_alive(process));
        let sessions = sessions.map(|(session, _)| session.clone()).collect();
        let directory = self.directory.join(id).display().to_string();
        let pid = alive.map(|it| it.pid);
        let (id, run, effect) = (id.to_owned(), record.order.run, record.effect);
        View { id, run, effect, doing, pid, directory, sessions }
    }

    /// Every workspace, in order of ids.
    ///
    /// # Errors
    ///
    /// [`Code::Unavailable`] if a file cannot be read: a list is whole or none.
    pub fn list(&self) -> Result<Vec<View>, Problem> {
        let ids = self.ids().map_err(|error| unavailable("list the workspaces", &error))?;
        let mut views = Vec::new();
        for id in ids {
            // One that was deleted meanwhile is not there.
            views.extend(self.load(&id)?.map(|record| self.view(&id, &record)));
        }
        Ok(views)
    }

    /// Makes a workspace, or makes one run again; also says whether anything was started.
    ///
    /// # Errors
    ///
    /// [`Code::Invalid`], [`Code::Gone`] if it was deleted, [`Code::Superseded`] if a later effect
    /// was here already, [`Code::Conflict`] if a later making is there, [`Code::Full`],
    /// [`Code::Unauthorized`] if it came too late, [`Code::Unavailable`].
    ///
    /// # Durability
    ///
    /// Asked again with the same number it finds what the first call left, also after a crash of
    /// the agent: a process that runs is never started twice.
    pub fn put(&self, id: &str, call: Call, order: Order) -> Result<(View, bool), Problem> {
        let files = self.files(id)?;
        check(&order.command)?;
        let _change = self.change(call)?;
        self.tombstones.refuse(id)?;
        let record = self.load(id)?;
        if let Some(record) = &record {
            fence(id, record, call)?;
        }
        let mut record = match record {
            Some(record) if record.order.run > order.run => {
                let why = format!("workspace {id} is at run {} already", record.order.run);
                return Err(Problem::new(Code::Conflict, why));
            }
            Some(record) => {
                let is_same = record.order.run == order.run && record.wanted != Wanted::Stopped;
                let view = self.view(id, &record);
                if is_same && view.pid.is_some() {
                    self.store(id, &Record { effect: call.effect, ..record })?;
                    return Ok((View { effect: call.effect, ..view }, false));
                }
                Record { order, wanted: Wanted::Running, effect: call.effect, ..record }
            }
            None => {
                self.check_room()?;
                Record::new(order, call.effect)
            }
        };
        self.end_all(id, &mut record)?;
        self.store(id, &record)?;
        fs::create_dir_all(&files).map_err(|error| unavailable("make a directory", &error))?;
        self.start(id, &mut record)?;
        Ok((self.view(id, &record), true))
    }

    fn check_room(&self) -> Result<(), Problem> {
        let ids = self.ids().map_err(|error| unavailable("count the workspaces", &error))?;
        if ids.len() < self.count_max {
            return Ok(());
        }
        let why = format!("there are {} workspaces, and no more may be", self.count_max);
        Err(Problem::new(Code::Full, why))
    }

    /// Starts the first process, of whose kind nothing runs.
    fn start(&self, id: &str, record: &mut Record) -> Result<(), Problem> {
        let process = self.spawn(id, &record.order.command, None)?;
        record.process = Some(process);
        self.store(id, record)
    }

    fn spawn(
        &self,
        id: &str,
        words: &[String],
        session: Option<&OsStr>,
    ) -> Result<Process, Problem> {
        let files = self.directory.join(id);
        let [program, arguments @ ..] = words else { unreachable!("a command was checked") };
        let mut command = if let Some((enter, first)) = self.enter.split_first() {
            check_program(program, &files)?;
            let mut command = Command::new(enter);
            command.args(first).arg(program);
            command
        } else {
            let mut command = Command::new(program);
            command.process_group(0);
            command
        };
        command.args(arguments).current_dir(&files);
        command.env_clear().env("PATH", PATH).env("HOME", &files).env(MARK, &files);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(session) = session {
            command.env(SESSION_MARK, session);
        }
        // Dropped without a wait: it is found by its number and start time, and reaped by them.
        let child = command.spawn().map_err(|error| {
            Problem::new(Code::Invalid, format!("failed to start `{program}`: {error}"))
        })?;
        Process::of(child.id())
            .ok_or_else(|| Problem::new(Code::Unavailable, "the process ended before it was seen"))
    }

    /// Ends everything that runs of a workspace.
    fn end_all(&self, id: &str, record: &mut Record) -> Result<(), Problem> {
        let leader = record.process.take();
        let ended = process::end(|| self.members(id, leader.as_ref()));
        ended.map_err(|error| unavailable("end the processes", &error))?;
        let sessions = record.sessions.values().flatten();
        leader.iter().chain(sessions).for_each(Process::reap);
        Ok(())
    }

    /// Ends everything of a workspace for good: processes, files, record. No such thing is done;
    /// whether there was one is said. A deletion is the last effect of a life, whatever was before
    /// it: none supersedes it.
    ///
    /// # Errors
    ///
    /// [`Code::Invalid`], [`Code::Unauthorized`] if it came too late, [`Code::Unavailable`].
    ///
    /// # Durability
    ///
    /// The tombstone comes first, and the record goes last: a crash in between leaves a workspace
    /// that is still listed, and that no other call makes again.
    pub fn delete(&self, id: &str, call: Call) -> Result<bool, Problem> {
        let files = self.files(id)?;
        let _change = self.change(call)?;
        let record = self.load(id)?;
        let was_there = record.is_some() || files.exists();
        self.tombstones.put(id)?;
        let order = Order { run: 0, command: Vec::new() };
        self.end_all(id, &mut record.unwrap_or_else(|| Record::new(order, call.effect)))?;
        files::remove(&files).map_err(|error| unavailable("remove the files", &error))?;
        files::remove(&self.record(id)).map_err(|error| unavailable("remove a record", &error))?;
        Ok(was_there)
    }

    /// Ends what runs in a workspace and keeps its files.
    ///
    /// # Errors
    ///
    /// [`Code::NotFound`], [`Code::Superseded`] if a later effect was here already,
    /// [`Code::Unauthorized`] if it came too late, [`Code::Unavailable`].
    pub fn stop(&self, id: &str, call: Call) -> Result<View, Problem> {
        let _change = self.change(call)?;
        let mut record = self.expect(id, call)?;
        self.end_all(id, &mut record)?;
        (record.wanted, record.effect) = (Wanted::Stopped, call.effect);
        self.store(id, &record)?;
        Ok(self.view(id, &record))
    }

    /// Halts every process of a workspace where it is.
    ///
    /// # Errors
    ///
    /// [`Code::Conflict`] if it does not run; otherwise as [`stop`](Self::stop).
    pub fn sleep(&self, id: &str, call: Call) -> Result<View, Problem> {
        self.signal((id, call), Signal::STOP, Wanted::Asleep)
    }

    /// Lets every process of a workspace go on.
    ///
    /// # Errors
    ///
    /// As [`sleep`](Self::sleep).
    pub fn wake(&self, id: &str, call: Call) -> Result<View, Problem> {
        self.signal((id, call), Signal::CONT, Wanted::Running)
    }

    fn signal(&self, of: (&str, Call), signal: Signal, wanted: Wanted) -> Result<View, Problem> {
        let (id, call) = of;
        let _change = self.change(call)?;
        let mut record = self.expect(id, call)?;
        if self.view(id, &record).pid.is_none() {
            return Err(Problem::new(Code::Conflict, format!("workspace {id} does not run")));
        }
        (record.wanted, record.effect) = (wanted, call.effect);
        self.store(id, &record)?;
        let all = || -> io::Result<()> {
            for process in self.members(id, record.process.as_ref())? {
                process.signal(signal)?;
            }
            Ok(())
        };
        all().map_err(|error| unavailable("signal the processes", &error))?;
        Ok(self.view(id, &record))
    }

    /// Ends what runs in a workspace and starts it again, on the same files; once for an effect,
    /// however often it is attempted.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop).
    pub fn recover(&self, id: &str, call: Call) -> Result<View, Problem> {
        let _change = self.change(call)?;
        let mut record = self.expect(id, call)?;
        let view = self.view(id, &record);
        if record.effect == call.effect && view.doing == Doing::Running {
            return Ok(view);
        }
        self.end_all(id, &mut record)?;
        (record.wanted, record.effect) = (Wanted::Running, call.effect);
        self.store(id, &record)?;
        self.start(id, &mut record)?;
        Ok(self.view(id, &record))
    }
}
