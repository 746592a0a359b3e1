//! One row of an event list: what happened to what, and when.

use std::fmt;
use std::sync::Arc;

/// What an event happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TraceKind {
    /// A machine at a cloud.
    Node,
    /// A workspace of an owner.
    Workspace,
    /// A task run.
    Task,
}

impl TraceKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::Node, Self::Workspace, Self::Task];

    /// Its word in a trace.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Workspace => "workspace",
            Self::Task => "task",
        }
    }

    /// The kind with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == word)
    }
}

impl fmt::Display for TraceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TraceEvent {
    /// A machine was asked for.
    Request,
    /// A machine began to boot.
    Boot,
    /// A machine or workspace can be used.
    Ready,
    /// A machine stopped answering.
    Down,
    /// A machine answers again.
    Up,
    /// A machine or workspace was deleted.
    Delete,
    /// A machine or task went away without being asked to.
    Lost,
    /// A machine or workspace could not be made, or a task ended badly.
    Failed,
    /// A workspace was asked for.
    Create,
    /// A workspace was given up.
    Cancelled,
    /// A workspace that had ended lives again.
    Reopened,
    /// A task began.
    Start,
    /// A task ended well.
    Finish,
    /// A task ran into its limit.
    Timeout,
}

impl TraceEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[
        Self::Request,
        Self::Boot,
        Self::Ready,
        Self::Down,
        Self::Up,
        Self::Delete,
        Self::Lost,
        Self::Failed,
        Self::Create,
        Self::Cancelled,
        Self::Reopened,
        Self::Start,
        Self::Finish,
        Self::Timeout,
    ];

    /// Its word in a trace.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Boot => "boot",
            Self::Ready => "ready",
            Self::Down => "down",
            Self::Up => "up",
            Self::Delete => "delete",
            Self::Lost => "lost",
            Self::Failed => "failed",
            Self::Create => "create",
            Self::Cancelled => "cancelled",
            Self::Reopened => "reopened",
            Self::Start => "start",
            Self::Finish => "finish",
            Self::Timeout => "timeout",
        }
    }

    /// The event with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == word)
    }

    /// Whether it can happen to something of this kind.
    pub const fn belongs_to(self, kind: TraceKind) -> bool {
        match self {
            Self::Request | Self::Boot | Self::Down | Self::Up => matches!(kind, TraceKind::Node),
            Self::Ready | Self::Delete => matches!(kind, TraceKind::Node | TraceKind::Workspace),
            Self::Lost => matches!(kind, TraceKind::Node | TraceKind::Task),
            Self::Failed => true,
            Self::Create | Self::Cancelled | Self::Reopened => {
                matches!(kind, TraceKind::Workspace)
            }
            Self::Start | Self::Finish | Self::Timeout => matches!(kind, TraceKind::Task),
        }
    }

    /// Whether it ends a life.
    pub const fn is_end(self) -> bool {
        match self {
            Self::Delete
            | Self::Lost
            | Self::Failed
            | Self::Cancelled
            | Self::Finish
            | Self::Timeout => true,
            Self::Request
            | Self::Boot
            | Self::Ready
            | Self::Down
            | Self::Up
            | Self::Create
            | Self::Reopened
            | Self::Start => false,
        }
    }
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What else a row says: `key=value` pairs joined by `;`, or a single word, or nothing.
///
/// # Example
///
/// ```
/// use sexton_cli::trace::Info;
///
/// let size = Info::new("size=cx33;location=fsn1");
/// assert_eq!((size.value("location"), size.word()), (Some("fsn1"), None));
/// let class = Info::new("quota");
/// assert_eq!((class.value("quota"), class.word()), (None, Some("quota")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info(String);

impl Info {
    /// Keeps a text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it stands in the trace.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of the first pair with this key.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.pairs().find_map(|(it, value)| (it == key).then_some(value))
    }

    /// The first part that is not a pair, such as the class of a failure.
    pub fn word(&self) -> Option<&str> {
        self.0.split(';').map(str::trim).find(|part| !part.is_empty() && !part.contains('='))
    }

    /// Every pair, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split(';').filter_map(|part| part.split_once('=')).map(|(k, v)| (k.trim(), v.trim()))
    }
}

/// A row that means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The file, as it was given.
    pub file: Arc<str>,
    /// Its line in that file; the header is line 1.
    pub line: u64,
    /// Milliseconds since the trace began.
    pub at_ms: i64,
    /// What it happened to.
    pub kind: TraceKind,
    /// Which one.
    pub id: String,
    /// What that belongs to; need not have been in the trace.
    pub parent: Option<String>,
    /// What happened.
    pub event: TraceEvent,
    /// What else is known.
    pub info: Info,
}

/// A whole row that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The file, as it was given.
    pub file: Arc<str>,
    /// Its line in that file; the header is line 1.
    pub line: u64,
    /// Milliseconds since the trace began.
    pub at_ms: i64,
    /// Why it cannot be played.
    pub reason: Refusal,
}

/// Why a row cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Neither node, nor workspace, nor task.
    #[error("unknown kind `{0}`")]
    UnknownKind(String),
    /// No event has this word.
    #[error("unknown event `{0}`")]
    UnknownEvent(String),
    /// The event is known, but happens to other kinds.
    #[error("a {kind} has no event `{event}`")]
    ForeignEvent {
        /// What it is said to have happened to.
        kind: TraceKind,
        /// What is said to have happened.
        event: TraceEvent,
    },
    /// Nobody knows what it happened to.
    #[error("the id is empty")]
    EmptyId,
    /// The id or the parent is too long for a name.
    #[error("the {field} has {bytes} bytes, more than {max}", max = super::ID_BYTES_MAX)]
    Long {
        /// `id` or `parent`.
        field: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// The id or the parent cannot be printed on a line.
    #[error("the {0} has a control character")]
    Control(&'static str),
}
