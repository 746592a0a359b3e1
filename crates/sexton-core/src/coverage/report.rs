//! What a check found, as values and as text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What causes a change of status.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cause {
    /// It is born, of the beginning with this name.
    Birth(String),
    /// A message, by its name.
    Message(String),
    /// A message that it sent to itself, by its name.
    Mail(String),
    /// A deadline, as it prints.
    Deadline(String),
    /// The outcome of an effect.
    Outcome(String),
    /// A child of this kind is gone.
    Child(String),
    /// A sweep, by its name, asked for it.
    Sweep(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Birth(name) | Self::Message(name) | Self::Outcome(name) => f.write_str(name),
            Self::Mail(name) => write!(f, "{name} from itself"),
            Self::Deadline(name) => write!(f, "deadline {name}"),
            Self::Child(kind) => write!(f, "{kind} gone"),
            Self::Sweep(name) => write!(f, "sweep {name}"),
        }
    }
}

/// The name that stands for what is before birth.
pub(super) const BIRTH: &str = "(birth)";
/// The name that stands for the end of every life.
pub(super) const DESTROYED: &str = "destroyed";

/// A move from one status to another, or within one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// The status before; `(birth)` if there is none.
    pub from: String,
    /// The status after; `destroyed` once its destruction is committed.
    pub to: String,
    /// What causes it.
    pub cause: Cause,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, cause } = self;
        match cause {
            Cause::Birth(name) if name.is_empty() => write!(f, "{from} -> {to}"),
            Cause::Birth(_)
            | Cause::Message(_)
            | Cause::Mail(_)
            | Cause::Deadline(_)
            | Cause::Outcome(_)
            | Cause::Child(_)
            | Cause::Sweep(_) => write!(f, "{from} -> {to} by {cause}"),
        }
    }
}

/// One of the two nets under what should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Net {
    /// Alarms, with the sweeps paused.
    Deadlines,
    /// Sweeps, with the alarms paused.
    Sweeps,
}

/// What is wrong with a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Flaw {
    /// It can hold something for ever.
    Gap,
    /// It can hold something for ever when this net is the only one.
    GapWithOnly(Net),
    /// A handler panicked, or recorded what cannot be.
    Fails,
    /// A turn was refused because the table has no such transition.
    Lacks,
    /// A deadline is still due after its own turn.
    NoProgress,
    /// Deadlines follow each other for ever, and nothing else comes of it.
    Polls,
    /// A status is terminal, and is marked to hold something.
    TerminalHolds,
    /// It is destroyed while it holds something, and nothing is recorded that releases it.
    ReleasesNothing,
    /// A sweep selects no state that can be reached.
    IdleSweep,
    /// No state with this status can be reached.
    Unreached,
    /// A transition of the table is never taken.
    Untaken,
    /// A message that the kind takes is never sent, or always refused.
    Unheard,
    /// The bounds cut the exploration short: nothing is proven.
    CutShort,
}

impl Flaw {
    fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::GapWithOnly(Net::Deadlines) => "gap without sweeps",
            Self::GapWithOnly(Net::Sweeps) => "gap without alarms",
            Self::Fails => "fails",
            Self::Lacks => "transition not in the table",
            Self::NoProgress => "no progress",
            Self::Polls => "polls for ever",
            Self::TerminalHolds => "terminal and holds",
            Self::ReleasesNothing => "releases nothing",
            Self::IdleSweep => "idle sweep",
            Self::Unreached => "not reached",
            Self::Untaken => "not taken",
            Self::Unheard => "not heard",
            Self::CutShort => "cut short",
        }
    }
}

/// One thing that is wrong, and the way there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub flaw: Flaw,
    /// The status or the sweep that it is about.
    pub about: String,
    /// The shortest way there from birth; empty if there is none to show.
    pub path: Vec<Edge>,
    /// A sentence that says it.
    pub why: String,
    /// Whether it fails the check; what does not is worth knowing.
    pub is_error: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = if self.is_error { "" } else { "note: " };
        write!(f, "{weight}{}: `{}` {}", self.flaw.name(), self.about, self.why)?;
        for edge in &self.path {
            write!(f, "\n    {edge}")?;
        }
        Ok(())
    }
}

/// States that somebody else moves, on purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Left {
    /// Their status.
    pub status: String,
    /// Who moves them, and when.
    pub why: String,
}

/// A status of the table, with its marks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The status.
    pub status: String,
    /// Its marks: `holds`, `billable`, `terminal`.
    pub marks: Vec<String>,
    /// How many states with it were reached.
    pub states: usize,
}

impl Mark {
    /// Whether it has this mark.
    pub fn has(&self, mark: &str) -> bool {
        self.marks.iter().any(|it| it == mark)
    }
}

/// What a check of one kind found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// The kind.
    pub kind: String,
    /// How many states were reached.
    pub states: usize,
    /// The statuses, in the order of the table.
    pub statuses: Vec<Mark>,
    /// How the reached states follow each other, told by status; sorted.
    pub edges: Vec<Edge>,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// What is no gap because somebody else decides.
    pub left: Vec<Left>,
    /// Whether every state within the model was visited.
    pub complete: bool,
}

impl Coverage {
    /// Whether nothing is wrong that fails the check.
    pub fn is_covered(&self) -> bool {
        !self.findings.iter().any(|finding| finding.is_error)
    }

    /// For one line in a test.
    ///
    /// # Panics
    ///
    /// With the whole report, if a finding is an error.
    pub fn assert_covered(&self) {
        assert!(self.is_covered(), "the lifecycle of `{}` is not covered\n{self}", self.kind);
    }

    /// The findings of one flaw.
    pub fn found(&self, flaw: Flaw) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.flaw == flaw)
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |is_error| self.findings.iter().filter(|it| it.is_error == is_error).count();
        let (n_errors, n_notes) = (count(true), count(false));
        let verdict = match (self.complete, n_errors) {
            (false, _) => "cut short, nothing is proven",
            (true, 0) => "covered",
            (true, _) => "not covered",
        };
        let (kind, states, n_edges) = (&self.kind, self.states, self.edges.len());
        write!(f, "{kind}: {verdict}; {states} states, {n_edges} edges, ")?;
        write!(f, "{n_errors} errors, {n_notes} notes")?;
        for finding in &self.findings {
            write!(f, "\n  {finding}")?;
        }
        for Left { status, why } in &self.left {
            write!(f, "\n  left: `{status}`: {why}")?;
        }
        Ok(())
    }
}
