//! The command line of the agent.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::callbacks::Callbacks;
use crate::clock;
use crate::files;
use crate::keys::{OwnKey, PublicKeys};
use crate::server::{self, Config};
use crate::token::Mint;

/// Runs the agent of a machine, and makes what it is tried out with.
#[derive(Debug, Parser)]
#[command(name = "sexton-agent", version)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Serves until SIGTERM or SIGINT; workspaces go on.
    Serve(Box<Serve>),
    /// Adds a key to a file of public keys; those that are there end a while later.
    Key(Key),
    /// Prints a token for an agent, signed with a private key.
    Token(Token),
    /// Begins a session of its own and becomes another program.
    #[command(hide = true)]
    Enter(Enter),
}

#[derive(Debug, Args)]
struct Enter {
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

#[derive(Debug, Args)]
struct Serve {
    /// Where to listen; port 0 takes any, and `agent.json` in the root says which.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The directory of the workspaces.
    #[arg(long)]
    root: PathBuf,
    /// The name of the node.
    #[arg(long)]
    node: String,
    /// Which of the node's lives it is.
    #[arg(long, default_value_t = 1)]
    epoch: u32,
    /// Who signs the tokens.
    #[arg(long, default_value = "sexton")]
    issuer: String,
    /// The file of the platform's public keys; read again when it changes.
    #[arg(long)]
    keys: PathBuf,
    /// The most workspaces.
    #[arg(long, default_value_t = 16)]
    workspaces_max: usize,
    /// What to measure and say: not for a machine that is shared with other agents.
    #[arg(long, value_enum, requires = "callbacks")]
    measure: Option<Measure>,
    /// In a session of its own: for whoever starts it and may end before it.
    #[arg(long)]
    own_session: bool,
    /// Where to call back: `http://control-plane/callbacks`.
    #[arg(long, requires = "callback_token")]
    callbacks: Option<String>,
    /// The file of the token for that; read each time.
    #[arg(long)]
    callback_token: Option<PathBuf>,
    /// How often to say that it lives.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    heartbeat: Duration,
}

/// What an agent measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// How busy the machine is.
    Load,
}

#[derive(Debug, Args)]
struct Key {
    /// The file of keys; made if it is not there.
    #[arg(long)]
    file: PathBuf,
    /// The key's id.
    #[arg(long)]
    kid: String,
    /// The private key, a PEM file (PKCS #8); made if it is not there. Only its public half goes
    /// into the file of keys.
    #[arg(long)]
    private: PathBuf,
    /// How long the keys before it are valid still.
    #[arg(long, default_value = "2h", value_parser = humantime::parse_duration)]
    overlap: Duration,
}

#[derive(Debug, Args)]
struct Token {
    /// The private key, a PEM file.
    #[arg(long)]
    key: PathBuf,
    /// The key's id.
    #[arg(long)]
    kid: String,
    /// Who signs.
    #[arg(long, default_value = "sexton")]
    issuer: String,
    /// For which node.
    #[arg(long)]
    node: String,
    /// For which of its lives.
    #[arg(long, default_value_t = 1)]
    epoch: u32,
    /// For which workspace; without it, for what is of none.
    #[arg(long, requires = "effect")]
    workspace: Option<String>,
    /// For which effect of its life. One below the last that was here (`effect` in the list) is
    /// refused, and the same again is one more attempt.
    #[arg(long, requires = "workspace")]
    effect: Option<u64>,
    /// How long it is valid; at most an hour.
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration)]
    life: Duration,
}

type Done = Result<(), Box<dyn Error>>;

impl Serve {
    /// `first` are the words of this program's own that precede the command.
    fn run(self, first: &[OsString]) -> Done {
        if self.own_session {
            enter()?;
        }
        let mut enter = vec![std::env::current_exe()?.into_os_string()];
        enter.extend(first.iter().cloned().chain(["enter", "--"].map(OsString::from)));
        let Self { callbacks, callback_token, heartbeat: every, measure, .. } = self;
        let is_measuring = measure == Some(Measure::Load);
        let callbacks = callbacks.zip(callback_token);
        let config = Config {
            listen: self.listen,
            root: self.root,
            node: self.node,
            epoch: self.epoch,
            issuer: self.issuer,
            keys: self.keys,
            workspaces_max: self.workspaces_max,
            enter,
            callbacks: callbacks.map(|(url, token)| Callbacks { url, token, every, is_measuring }),
        };
        actix_web::rt::System::new().block_on(server::run(config))?;
        Ok(())
    }
}

/// A file that must be there, with its name in the error.
fn read(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    std::fs::read(path)
        .map_err(|error| format!("failed to read {}: {error}", path.display()).into())
}

/// An error of the system, with the name of the file that it is about.
fn about(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("failed to use {}: {error}", path.display())
}

impl Key {
    fn run(self) -> Done {
        let key = if self.private.exists() {
            OwnKey::read(&self.kid, &read(&self.private)?)?
        } else {
            let key = OwnKey::generate(&self.kid)?;
            files::write(&self.private, &key.private).map_err(about(&self.private))?;
            key
        };
        let mut keys: PublicKeys =
            files::read_json(&self.file).map_err(about(&self.file))?.unwrap_or_default();
        let until = clock::now_s() + self.overlap.as_secs();
        keys.rotate(key.public, until);
        files::write_json(&self.file, &keys).map_err(about(&self.file))?;
        Ok(())
    }
}

impl Token {
    fn run(self) -> Done {
        let mint = Mint::new(&self.issuer, &self.kid, &read(&self.key)?)?;
        let of = (self.node.as_str(), self.epoch);
        let workspace = self.workspace.as_deref().zip(self.effect);
        let token = mint.for_agent(of, workspace, self.life)?;
        writeln!(io::stdout(), "{token}")?;
        Ok(())
    }
}

/// Begins a session of this process's own. Whoever leads a group already cannot, and stays.
fn enter() -> io::Result<()> {
    match rustix::process::setsid() {
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Enter {
    /// Returns only if it could not become the other program.
    fn run(self) -> Done {
        enter()?;
        let (program, rest) = self.words.split_first().ok_or("there is no program")?;
        Err(Command::new(program).args(rest).exec().into())
    }
}

/// An error and what led to it, on one line each.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}\n  because {error}");
        cause = error.source();
    }
    text
}

/// Does what this program's command line says; see [`run`].
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Does what a command line says, whose first word is the program's name: for a program that is
/// an agent, too, when it is started as one. What it logs goes to standard error: by `RUST_LOG`, or what
/// an operator needs.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    // What stands between this program's name and the command that is handed over.
    let n_first = std::env::args_os().len().saturating_sub(words.len());
    let first: Vec<OsString> = std::env::args_os().skip(1).take(n_first).collect();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Refused only where a program that embeds this has a log already.
    drop(log.try_init());
    let done = match Options::parse_from(words).what {
        What::Serve(serve) => serve.run(&first),
        What::Enter(enter) => enter.run(),
        What::Key(key) => key.run(),
        What::Token(token) => token.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "sexton-agent: {}", chain(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}
