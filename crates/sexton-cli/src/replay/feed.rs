//! The feed: the actor through which a trace enters, so that each row is taken exactly once.
//!
//! Its state is how many rows were taken; the commands that a row becomes are durable sends of
//! the same turn. So a run that was killed goes on with the first row that was not taken, and
//! neither loses a command nor gives one twice.

use serde::{Deserialize, Serialize};
use sexton::{Actor, ActorId, Handler, Handlers, IdError, Letter, Message, Refusal, Turn};

sexton::lifecycle! {
    /// What the feed can be.
    pub enum FeedStatus {
        /// It takes rows.
        Reading = "reading" [] => [],
    }
}

/// What a run was begun with; a resumed run must be given the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The seed.
    pub seed: u64,
    /// The net that is off.
    pub without: Option<String>,
    /// The most machines for an owner.
    pub nodes_per_owner: u32,
    /// Whether workspaces that lie on no node are sandboxes.
    pub sandboxes: bool,
    /// The first row of the traces, in words.
    pub first_row: String,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {}, ", self.seed)?;
        if let Some(net) = &self.without {
            write!(f, "without {net}, ")?;
        }
        if self.sandboxes {
            f.write_str("with sandboxes, ")?;
        }
        let (nodes, row) = (self.nodes_per_owner, &self.first_row);
        write!(f, "at most {nodes} nodes for an owner, traces that begin with `{row}`")
    }
}

/// How far the traces are played.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Feed {
    /// What the run was begun with.
    pub origin: Origin,
    /// Rows that were taken.
    pub position: u64,
    /// The digest of all rows up to that one: a run goes on with these rows and no others.
    pub digest: String,
}

/// A row, as the commands that it becomes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Take {
    /// The row among all rows of the run, from 1.
    pub position: u64,
    /// The digest of all rows up to this one.
    pub digest: String,
    /// To whom, the message's name, its content.
    pub letters: Vec<(ActorId, String, Vec<u8>)>,
    /// What the trace says of a sandbox, for the log.
    pub said: Option<Said>,
}

/// What the trace says of a sandbox: the text of the event `said`, as JSON. So the log has the
/// trace's word beside the meter's, each at its moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    /// The sandbox's name.
    pub sandbox: String,
    /// Why it has ended; without it the sandbox is ready.
    pub ended: Option<String>,
}

impl Said {
    /// Its name in the log.
    pub(super) const NAME: &'static str = "said";
}

impl Message for Take {
    const NAME: &'static str = "take";
    type Reply = ();
}

/// The one feed of a store.
///
/// # Errors
///
/// None: the name is a good one.
pub(super) fn feed() -> Result<ActorId, IdError> {
    ActorId::new(Feed::KIND, "feed")
}

impl Actor for Feed {
    const KIND: &'static str = "trace";
    type Init = Origin;
    type Status = FeedStatus;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(init: Origin, _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { origin: init, position: 0, digest: String::new() })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Take>();
    }

    fn status(&self) -> FeedStatus {
        FeedStatus::Reading
    }
}

impl Handler<Take> for Feed {
    fn handle(&mut self, message: Take, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if message.position <= self.position {
            return Err(Refusal::new(format!("row {} was taken", message.position)));
        }
        self.position = message.position;
        self.digest = message.digest;
        if let Some(said) = &message.said {
            let text = serde_json::to_string(said).map_err(|it| Refusal::new(it.to_string()))?;
            turn.event(Said::NAME, text);
        }
        for (to, name, bytes) in message.letters {
            turn.post(Letter { to, incarnation: None, name, bytes });
        }
        Ok(())
    }
}
