//! Machines that are processes: each is an agent on a loopback port, with a directory as its disk.
//!
//! ```text
//! <root>/lock                       held while machines are counted
//! <root>/<machine>.lock             one change of a machine at a time, whoever makes it
//! <root>/<machine>/machine.json     what was asked for: written before anything is started
//! <root>/<machine>/token            by which the agent calls back
//! <root>/<machine>/disk/            the agent's own: agent.json, workspaces
//! <root>/<machine>/log, log.1       what the agent says, and said before
//! ```
//!
//! The files say what should be there, and the system says what runs: an agent is known by its
//! number *and* start time (its own `agent.json`), and by a mark in its environment, so that one
//! is found that was started and never written down, and a stranger with a reused number is left
//! alone. Agents outlive the control plane; the next one finds them here.
//!
//! This provider is also what starts a machine's agent again, as the system of a real one would:
//! whoever looks for a machine whose agent died gets one whose agent runs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sexton::clock::{Clock, Stopwatch, WallClock};
use sexton::{ActorRef, Timestamp};
use sexton_agent::files;
use sexton_agent::process::{self, Process};
use sexton_agent::server::Presence;
use sexton_fleet::{Fault, Machine};

use crate::agents::digest;
use crate::platform::Platform;
use crate::provider::{Listing, Made, Order, Provider, ProviderError};

/// The variable that marks an agent: the path of its machine's directory.
const MARK: &str = "SEXTON_MACHINE";
/// How long an agent may take to listen. Chosen: it takes milliseconds, on a busy machine more.
const STARTING: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(5);
/// The longest log of an agent, in bytes; one as long lies beside it. Chosen: days of an agent that
/// is not heard, and some gigabytes for a thousand machines.
const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// What an agent sees of the control plane's environment: where programs are, and nothing else.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How machines on this machine are made.
#[derive(Clone, Debug)]
pub struct Local {
    /// Where they lie.
    pub root: PathBuf,
    /// The installation whose machines these are.
    pub installation: String,
    /// The agent: a program and the arguments before its own.
    pub agent: Vec<String>,
    /// Where agents call back, if anywhere.
    pub callbacks: Option<String>,
    /// How often they say that they live.
    pub heartbeat: Duration,
    /// The most machines.
    pub machines_max: usize,
}

/// Machines that are processes.
#[derive(Clone, Debug)]
pub struct LocalProcesses {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    local: Local,
    platform: Arc<Platform>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    owner: ActorRef,
    installation: String,
    size: String,
    location: String,
    created_at: Timestamp,
    /// The key that signed the agent's token.
    kid: String,
}

fn failed(what: &str, path: &Path, source: io::Error) -> ProviderError {
    let message = format!("failed to {what} {}", path.display());
    ProviderError::because(Fault::Unknown, message, source)
}

impl LocalProcesses {
    /// The machines below a directory, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`ProviderError`] if the directory cannot be used, or no agent is named.
    pub fn open(local: Local, platform: Arc<Platform>) -> Result<Self, ProviderError> {
        if local.agent.is_empty() {
            return Err(ProviderError::new(Fault::Invalid, "no program is named as the agent"));
        }
        let made = fs::create_dir_all(&local.root).and_then(|()| local.root.canonicalize());
        // The marks of what runs are paths: one path, whatever led there.
        let root = made.map_err(|error| failed("make", &local.root, error))?;
        Ok(Self { shared: Arc::new(Shared { local: Local { root, ..local }, platform }) })
    }

    /// Starts the agents again that died, one after the other, and says how many machines have no
    /// agent all the same; the log says why. For whoever stands for the system of these machines:
    /// every few seconds.
    ///
    /// # Errors
    ///
    /// [`ProviderError`] if the machines cannot be listed.
    pub async fn tend(&self) -> Result<usize, ProviderError> {
        let listing = self.list().await?;
        let mut n_without = 0;
        for made in listing.machines {
            if let Err(error) = self.get(&made.owner).await {
                n_without += 1;
                tracing::warn!(target: "sexton", machine = made.machine.id, %error, "no agent");
            }
        }
        Ok(n_without)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let shared = Arc::clone(&self.shared);
        let ended = tokio::task::spawn_blocking(move || work(&shared)).await;
        ended.map_err(|error| ProviderError::because(Fault::Network, "the call fell", error))?
    }
}

impl Provider for LocalProcesses {
    fn installation(&self) -> &str {
        &self.shared.local.installation
    }

    async fn create(&self, order: &Order) -> Result<Made, ProviderError> {
        let order = order.clone();
        self.blocking(move |shared| shared.create(&order)).await
    }

    async fn get(&self, owner: &ActorRef) -> Result<Option<Made>, ProviderError> {
        let owner = owner.clone();
        self.blocking(move |shared| shared.get(&owner)).await
    }

    async fn delete(&self, owner: &ActorRef) -> Result<(), ProviderError> {
        let owner = owner.clone();
        self.blocking(move |shared| shared.delete(&owner)).await
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        self.blocking(Shared::list).await
    }
}

/// Held while something is looked at and changed; given back when it is dropped.
struct Lock {
    _file: File,
    path: PathBuf,
    /// The machine that it is for; where that is gone, so is the lock.
    machine: Option<PathBuf>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let is_over = self.machine.as_ref().is_some_and(|machine| !machine.exists());
        if is_over && let Err(error) = files::remove(&self.path) {
            let path = self.path.display();
            tracing::warn!(target: "sexton", %path, %error, "a lock of no machine stays");
        }
    }
}

/// By processes as well as by threads: a control plane that was thought dead may not be.
fn lock(path: PathBuf, machine: Option<PathBuf>) -> Result<Lock, ProviderError> {
    let attempt = || -> io::Result<Option<File>> {
        let file = File::create(&path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        // Whoever held it may have removed it: then it keeps nobody out any more.
        let is_it = fs::metadata(&path).is_ok_and(|it| {
            file.metadata().is_ok_and(|held| (held.dev(), held.ino()) == (it.dev(), it.ino()))
        });
        Ok(is_it.then_some(file))
    };
    loop {
        match attempt() {
            Ok(Some(file)) => return Ok(Lock { _file: file, path, machine }),
            Ok(None) => {}
            Err(error) => return Err(failed("lock", &path, error)),
        }
    }
}

impl Shared {
    /// While machines are counted, so that there are no more than may be.
    fn lock_all(&self) -> Result<Lock, ProviderError> {
        lock(self.local.root.join("lock"), None)
    }

    /// While one machine is changed. An agent takes its time to start or to end, and nobody who
    /// wants another machine waits for that.
    fn lock_one(machine: &Path) -> Result<Lock, ProviderError> {
        lock(machine.with_extension("lock"), Some(machine.to_owned()))
    }

    fn directory(&self, owner: &ActorRef) -> PathBuf {
        let name = digest(&format!("{}\n{owner}", self.local.installation));
        self.local.root.join(format!("m-{name}"))
    }

    fn note(directory: &Path) -> Result<Option<Note>, ProviderError> {
        let path = directory.join("machine.json");
        files::read_json(&path).map_err(|error| failed("read", &path, error))
    }

    fn presence(directory: &Path) -> Result<Option<Presence>, ProviderError> {
        let disk = directory.join("disk");
        Presence::read(&disk).map_err(|error| failed("read agent.json in", &disk, error))
    }

    fn made(directory: &Path, note: &Note, address: Option<SocketAddr>) -> Made {
        let name = directory.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let address = address.map_or_else(|| "none".to_owned(), |address| address.to_string());
        Made {
            machine: Machine { id: name.to_owned(), address },
            owner: note.owner.clone(),
            created_at: note.created_at,
        }
    }

    fn create(&self, order: &Order) -> Result<Made, ProviderError> {
        let directory = self.directory(&order.owner);
        let _lock = Self::lock_one(&directory)?;
        let note = match Self::note(&directory)? {
            Some(note) => note,
            None => self.begin(&directory, order)?,
        };
        let address = self.rouse(&directory, note.clone())?;
        Ok(Self::made(&directory, &note, Some(address)))
    }

    /// Writes down what will be there: from here on it is listed.
    fn begin(&self, directory: &Path, order: &Order) -> Result<Note, ProviderError> {
        let _lock = self.lock_all()?;
        let n_machines = self.directories()?.len();
        if n_machines >= self.local.machines_max {
            let message = format!("there are {n_machines} machines, and no more may be");
            return Err(ProviderError::new(Fault::Capacity, message));
        }
        let made = fs::create_dir_all(directory.join("disk"));
        made.map_err(|error| failed("make", directory, error))?;
        let note = Note {
            owner: order.owner.clone(),
            installation: self.local.installation.clone(),
            size: order.size.clone(),
            location: order.location.clone(),
            created_at: WallClock.now(),
            kid: String::new(),
        };
        Self::write_note(directory, &note)?;
        Ok(note)
    }

    fn write_note(directory: &Path, note: &Note) -> Result<(), ProviderError> {
        let path = directory.join("machine.json");
        files::write_json(&path, note).map_err(|error| failed("write", &path, error))
    }

    /// The address of the machine's agent, which is started if it does not run.
    fn rouse(&self, directory: &Path, mut note: Note) -> Result<SocketAddr, ProviderError> {
        if note.kid != self.platform.kid() {
            let of = (note.owner.id.name(), note.owner.incarnation);
            let unsigned = |error| {
                ProviderError::because(Fault::Auth, "no token can be made for the agent", error)
            };
            let token = self.platform.for_callbacks(of).map_err(unsigned)?;
            let path = directory.join("token");
            let written = files::write(&path, token.as_bytes());
            written.map_err(|error| failed("write", &path, error))?;
            note.kid = self.platform.kid();
            Self::write_note(directory, &note)?;
        }
        Self::cut_log(directory)?;
        let before = Self::presence(directory)?;
        if let Some(presence) = &before {
            presence.process.reap();
            if presence.process.is_alive() {
                return Ok(presence.address);
            }
        }
        // Where it was before, if that is free still: whoever knows the address keeps it.
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let at_first = before.map_or(anywhere, |presence| presence.address);
        for listen in [at_first, anywhere] {
            let mut child = self.start(directory, &note, listen)?;
            if let Some(address) = Self::wait(directory, &mut child)? {
                return Ok(address);
            }
        }
        let log = directory.join("log");
        let message = format!("the agent did not begin to listen; see {}", log.display());
        Err(ProviderError::new(Fault::Unknown, message))
    }

    /// A log that is too long is put aside and begun anew. Its agent goes on with the same file,
    /// at whose end it writes, wherever that is; what it says in between is lost.
    fn cut_log(directory: &Path) -> Result<(), ProviderError> {
        let path = directory.join("log");
        let is_long = fs::metadata(&path).is_ok_and(|it| it.len() > LOG_BYTES_MAX);
        if !is_long {
            return Ok(());
        }
        let cut = fs::copy(&path, directory.join("log.1"))
            .and_then(|_| File::options().write(true).open(&path)?.set_len(0));
        cut.map_err(|error| failed("cut", &path, error))
    }

    fn start(
        &self,
        directory: &Path,
        note: &Note,
        listen: SocketAddr,
    ) -> Result<Child, ProviderError> {
        let local = &self.local;
        let [program, arguments @ ..] = local.agent.as_slice() else {
            unreachable!("it was checked that there is one")
        };
        let log = File::options().create(true).append(true).open(directory.join("log"));
        let log = log.map_err(|error| failed("write the log in", directory, error))?;
        let mut command = Command::new(program);
        command.args(arguments).args(["serve", "--listen", &listen.to_string()]);
        command.args(["--node", note.owner.id.name(), "--issuer", self.platform.issuer()]);
        command.args(["--epoch", &note.owner.incarnation.to_string()]);
        command.arg("--root").arg(directory.join("disk"));
        command.arg("--keys").arg(self.platform.keys());
        if let Some(url) = &local.callbacks {
            let every = format!("{}ms", local.heartbeat.as_millis());
            command.args(["--callbacks", url, "--heartbeat", &every]);
            command.arg("--callback-token").arg(directory.join("token"));
        }
        // A session of its own: what is typed at the control plane does not end its machines, and
        // the system does not end them with it while they are halted.
        command.args(["--own-session"]).env_clear().env("PATH", PATH).env(MARK, directory);
        command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let spawned = command.spawn();
        spawned.map_err(|error| failed("start the agent", Path::new(program), error))
    }

    /// Waits until an agent listens: this one, or one that a crashed control plane started.
    fn wait(directory: &Path, child: &mut Child) -> Result<Option<SocketAddr>, ProviderError> {
        let waiting = Stopwatch::start();
        while waiting.elapsed() < STARTING {
            let presence = Self::presence(directory)?;
            if let Some(presence) = presence.filter(|it| it.process.is_alive()) {
                return Ok(Some(presence.address));
            }
            let ended = child.try_wait();
            let ended = ended.map_err(|error| failed("wait for the agent in", directory, error))?;
            // Ended because another agent runs there that does not listen yet: waited for.
            if ended.is_some() && Self::agents(directory)?.is_empty() {
                return Ok(None);
            }
            sexton_agent::clock::pause(LOOK);
        }
        Ok(None)
    }

    fn agents(directory: &Path) -> Result<Vec<Process>, ProviderError> {
        let found = process::members((MARK, directory.as_os_str()), None);
        found.map_err(|error| failed("look for the agent of", directory, error))
    }

    fn get(&self, owner: &ActorRef) -> Result<Option<Made>, ProviderError> {
        let directory = self.directory(owner);
        let _lock = Self::lock_one(&directory)?;
        let Some(note) = Self::note(&directory)? else { return Ok(None) };
        let address = self.rouse(&directory, note.clone())?;
        Ok(Some(Self::made(&directory, &note, Some(address))))
    }

    fn delete(&self, owner: &ActorRef) -> Result<(), ProviderError> {
        let directory = self.directory(owner);
        let _lock = Self::lock_one(&directory)?;
        // Files first: they name the agent. What is marked is ended also without them.
        let presence = Self::presence(&directory)?.map(|presence| presence.process);
        let end = |members: &dyn Fn() -> io::Result<Vec<Process>>| {
            process::end(members).map_err(|error| failed("end what runs in", &directory, error))
        };
        // The agent first, so that it starts nothing more.
        end(&|| process::members((MARK, directory.as_os_str()), presence.as_ref()))?;
        let workspaces = directory.join("disk").join("workspaces");
        end(&|| process::members_below(process::MARK, &workspaces))?;
        if let Some(process) = presence {
            process.reap();
        }
        // The note goes last: a crash before that leaves a machine that is listed.
        for part in ["disk", "token", "log", "log.1", "machine.json"] {
            let path = directory.join(part);
            files::remove(&path).map_err(|error| failed("remove", &path, error))?;
        }
        files::remove(&directory).map_err(|error| failed("remove", &directory, error))
    }

    fn directories(&self) -> Result<Vec<PathBuf>, ProviderError> {
        let all = || -> io::Result<Vec<PathBuf>> {
            let mut found = Vec::new();
            for entry in fs::read_dir(&self.local.root)? {
                let path = entry?.path();
                found.extend(path.is_dir().then_some(path));
            }
            Ok(found)
        };
        all().map_err(|error| failed("list", &self.local.root, error))
    }

    /// What is written down and what runs; nobody is started for a list.
    fn list(&self) -> Result<Listing, ProviderError> {
        let mut machines = Vec::new();
        for directory in self.directories()? {
            // One without a note was never begun: nothing runs there.
            let Some(note) = Self::note(&directory)? else { continue };
            if note.installation == self.local.installation {
                let presence = Self::presence(&directory)?;
                let address = presence.map(|presence| presence.address);
                machines.push(Self::made(&directory, &note, address));
            }
        }
        Ok(Listing { complete: true, machines })
    }
}
