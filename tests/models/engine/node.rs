//! The actor of the story: what it owes, when it ends by itself, whom it makes and writes to.

use serde::{Deserialize, Serialize};
use sexton::{
    Actor, ActorId, Deadlines, Handler, Handlers, Kinds, Message, Outcome, Refusal, Timestamp, Turn,
};

/// Why everybody goes, and by whose wish: always the same, since nothing depends on it.
pub(crate) const WHY: &str = "over";
pub(crate) const BY: &str = "somebody";

sexton::lifecycle! {
    /// What a node can be.
    pub(crate) enum Phase {
        /// What it needs outside is being made.
        Making = "making" [holds] => [Ready],
        /// It is there.
        Ready = "ready" [holds] => [],
    }
}

/// An actor with an effect at its birth, one at its end, and a deadline, each if it is to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Node {
    phase: Phase,
    habit: Habit,
}

/// What a node begins with, and keeps.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Habit {
    /// Whether something is made outside for it.
    pub(crate) makes: bool,
    /// What it does at its end.
    pub(crate) end: End,
    /// When it goes by itself.
    pub(crate) ends_at: Option<Timestamp>,
}

/// What a node does when it is destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// Nothing.
    #[default]
    Silent,
    /// It releases what there is outside.
    Releases,
}

/// Work outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    Make,
    Release,
}

impl Actor for Node {
    const KIND: &'static str = "node";
    type Init = Habit;
    type Status = Phase;
    type Deadline = ();
    type Effect = Work;
    type Answer = ();

    fn create(init: Habit, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        let habit = init;
        if habit.makes {
            turn.effect(&Work::Make);
        }
        let phase = if habit.makes { Phase::Making } else { Phase::Ready };
        Ok(Self { phase, habit })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Beget>().message::<Tell>().message::<Note>();
    }

    fn status(&self) -> Phase {
        self.phase
    }

    fn deadlines(&self, due: &mut Deadlines<()>) {
        if let Some(at) = self.habit.ends_at {
            due.at(at, ());
        }
    }

    fn on_deadline(&mut self, _due: (), turn: &mut Turn<Self>) -> Result<(), Refusal> {
        turn.destroy(WHY, BY);
        Ok(())
    }

    fn on_outcome(
        &mut self,
        effect: &Work,
        outcome: Outcome<()>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match (effect, outcome) {
            (Work::Make, Outcome::Done(())) => self.phase = Phase::Ready,
            (Work::Release, Outcome::Done(())) => {}
            (_, Outcome::Failed(_)) => turn.destroy(WHY, BY),
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        if self.habit.end == End::Releases {
            turn.effect(&Work::Release);
        }
    }
}

/// Have a child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Beget(pub(crate) String, pub(crate) Habit);

/// Send a note to another node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tell(pub(crate) String);

/// A message that only says that it came.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Note;

impl Message for Beget {
    const NAME: &'static str = "beget";
    type Reply = ();
}

impl Message for Tell {
    const NAME: &'static str = "tell";
    type Reply = ();
}

impl Message for Note {
    const NAME: &'static str = "note";
    type Reply = ();
}

impl Handler<Beget> for Node {
    fn handle(&mut self, message: Beget, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        turn.create::<Self>(&message.0, &message.1);
        Ok(())
    }
}

impl Handler<Tell> for Node {
    fn handle(&mut self, message: Tell, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        turn.send::<Self, _>(&id(&message.0), &Note);
        Ok(())
    }
}

impl Handler<Note> for Node {
    fn handle(&mut self, _note: Note, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        turn.event("noted", "");
        Ok(())
    }
}

/// The id of a node.
pub(crate) fn id(name: &str) -> ActorId {
    ActorId::new(Node::KIND, name).expect("a good name")
}

/// The kinds of the story.
pub(crate) fn kinds() -> Kinds {
    Kinds::new().with::<Node>()
}
