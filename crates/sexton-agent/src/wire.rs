//! What goes over the wire: bodies, answers and errors.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest id of a workspace or a run. Chosen: a name of the fleet and its life fit.
pub const ID_BYTES_MAX: usize = 128;
/// The most words of a command, and the most bytes of all of them. Chosen: far below the system's.
pub const WORDS_MAX: usize = 256;
/// See [`WORDS_MAX`].
pub const COMMAND_BYTES_MAX: usize = 32 * 1024;

/// What a workspace shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Which making it is: asked again with the same number, what runs already is the answer.
    pub run: u32,
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// What a workspace is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Its first process runs.
    Running,
    /// It was put to sleep.
    Asleep,
    /// It was stopped, and nothing of it runs.
    Stopped,
    /// Its first process ended by itself.
    Ended,
}

/// A workspace as the agent sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Its id.
    pub id: String,
    /// Which making it is.
    pub run: u32,
    /// The last effect of its life that changed it; see [`Claims::effect`].
    ///
    /// [`Claims::effect`]: crate::token::Claims::effect
    pub effect: u64,
    /// What it is doing.
    pub doing: Doing,
    /// Its first process, while that runs.
    pub pid: Option<i32>,
    /// Where its files are.
    pub directory: String,
    /// The runs inside it that have not ended.
    pub sessions: Vec<String>,
}

/// How the agent is: the only answer that needs no token, so it says nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// The agent's version.
    pub version: String,
}

/// How busy a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Of its processors, in percent.
    pub cpu: u8,
    /// Of its memory, in percent.
    pub memory: u8,
}

/// What an agent calls back with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The node's life.
    pub epoch: u32,
    /// The agent's version.
    pub version: String,
    /// How busy the machine is, if it was measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub load: Option<Load>,
}

/// Whom a run inside a workspace is for, as the control plane calls it: said again when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Which of its lives.
    pub epoch: u32,
}

/// What a run inside a workspace shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Who is told when it ends by itself; without it, nobody.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub about: Option<About>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// While no agent of ours was its parent: it is over, and nothing else is known.
    Unseen,
}

/// What an agent calls back with when a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// The node's life.
    pub epoch: u32,
    /// Whom the run was for.
    pub about: About,
    /// How it ended.
    pub end: RunEnd,
}

/// What went wrong; match on this, never on the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No token, or one that is not valid now. Nothing took effect.
    Unauthorized,
    /// A token for something else. Nothing took effect.
    Forbidden,
    /// The request is wrong, and is wrong again when it is asked again. Nothing runs; of a command
    /// that cannot be started the workspace is listed, as ended, until it is deleted.
    Invalid,
    /// The body is too long. Nothing took effect.
    TooLarge,
    /// There is no such workspace or path. Nothing took effect.
    NotFound,
    /// It contradicts what is there. Nothing took effect.
    Conflict,
    /// It was deleted, and nothing is made by that id again. Nothing took effect.
    Gone,
    /// A later effect of the same life was here already: this call was given up long ago, and
    /// nobody waits for its answer. Nothing took effect.
    Superseded,
    /// There are as many workspaces as may be. Nothing took effect.
    Full,
    /// It took too long, or the system refused. It may have taken effect; ask again.
    Unavailable,
}

/// An error, as the agent answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{message}")]
pub struct Problem {
    /// What went wrong.
    pub code: Code,
    /// The same for people. It never has a token in it.
    pub message: String,
}

impl Problem {
    /// An error.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Whether this is the id of a workspace: no path can be made of it.
///
/// # Example
///
/// ```
/// use sexton_agent::wire::is_id;
///
/// assert!(is_id("w-1.1"));
/// assert!(!is_id("..") && !is_id(".hidden") && !is_id("a/b") && !is_id(""));
/// ```
pub fn is_id(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    begins && text.len() <= ID_BYTES_MAX && text.bytes().all(is_part)
}
