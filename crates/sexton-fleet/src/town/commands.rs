//! What a town is commanded. Whose command it is comes first; nothing is revealed before.

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, Handler, Message, Refusal, Turn};

use crate::caller::{Caller, authorize};
use crate::container::{Care, Container, Reconfigure};

use super::{Bead, BeadStatus, Town, TownReport};

/// The longest name of a rig, an agent or a bead, in bytes. Chosen: names are for people.
const NAME_BYTES_MAX: usize = 100;
/// The longest configuration, in bytes. Chosen: it lies in the state of two actors.
const CONFIG_BYTES_MAX: usize = 64 * 1_024;

macro_rules! command {
    ($(#[$doc:meta])* $name:ident = $text:literal -> $reply:ty { $( $(#[$field_doc:meta])* $field:ident: $type:ty, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub struct $name {
            /// Who asks.
            pub caller: Caller,
            $( $(#[$field_doc])* pub $field: $type, )*
        }

        impl Message for $name {
            const NAME: &'static str = $text;
            type Reply = $reply;
        }
    };
}

command! {
    /// Destroys a town with all that is in it. To the owner, who passes it on, or to the town.
    EndTown = "end_town" -> () {
        /// Which.
        name: String,
        /// Why.
        why: String,
    }
}
command! {
    /// Says what the town's container is started with, from its next start on.
    ConfigureTown = "configure_town" -> () {
        /// What.
        config: String,
    }
}
command! {
    /// Somebody opens a stream: the container is made, or woken, or kept awake.
    OpenStream = "open_stream" -> () {}
}
command! {
    /// Asks what there is; changes nothing and wakes nobody.
    Inspect = "inspect" -> TownReport {}
}
command! {
    /// Adds a rig.
    AddRig = "add_rig" -> () {
        /// Its name.
        rig: String,
    }
}
command! {
    /// Takes a rig away, with the beads that are for it.
    RemoveRig = "remove_rig" -> () {
        /// Its name.
        rig: String,
    }
}
command! {
    /// Makes an agent, and says which actor it is.
    AddAgent = "add_agent" -> ActorId {
        /// What the town calls it.
        agent: String,
    }
}
command! {
    /// Takes an agent off the list: its credential goes at once, it itself after a while.
    RemoveAgent = "remove_agent" -> () {
        /// Its name.
        agent: String,
    }
}
command! {
    /// Adds a bead of work.
    OpenBead = "open_bead" -> () {
        /// Its name.
        bead: String,
        /// The rig that it is for.
        rig: String,
    }
}
command! {
    /// An agent takes a bead.
    StartBead = "start_bead" -> () {
        /// Which.
        bead: String,
        /// The agent.
        agent: String,
    }
}
command! {
    /// A bead is done, or not wanted any more.
    CloseBead = "close_bead" -> () {
        /// Which.
        bead: String,
    }
}

/// A town's name is part of its children's names, so it keeps out what divides those.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let is_good = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.chars().any(|c| c.is_control() || c == '/');
    if is_good {
        return Ok(());
    }
    let why = format!("a name has 1 to {NAME_BYTES_MAX} bytes, no slash and no control character");
    Err(Refusal::new(why))
}

fn check_room(n: usize, max: u32, what: &str) -> Result<(), Refusal> {
    if n < usize::try_from(max).unwrap_or(usize::MAX) {
        return Ok(());
    }
    Err(Refusal::new(format!("{max} {what} are allowed, and exist")))
}

impl Town {
    /// Whether the caller may command this town; an operator's command stands in the log.
    fn authorize(&self, caller: &Caller, what: &str, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(caller, (&self.init.owner, what), turn)
    }
}

impl Handler<EndTown> for Town {
    fn handle(&mut self, message: EndTown, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.authorize(&message.caller, EndTown::NAME, turn)?;
        if message.name != turn.id().name() {
            return Err(Refusal::new(format!("{} is not {}", turn.id(), message.name)));
        }
        turn.destroy(message.why, message.caller.owner);
        Ok(())
    }
}

impl Handler<ConfigureTown> for Town {
    fn handle(&mut self, message: ConfigureTown, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.authorize(&message.caller, ConfigureTown::NAME, turn)?;
        let n_bytes = message.config.len();
        if n_bytes > CONFIG_BYTES_MAX {
            let why = format!("a configuration of {n_bytes} bytes, {CONFIG_BYTES_MAX} are allowed");
            return Err(Refusal::new(why));
        }
        if let Some(container) = &self.container {
            let config = message.config.clone();
            turn.send::<Container, _>(container, &Reconfigure { config });
        }
        self.config = message.config;
        Ok(())
    }
}

impl Handler<OpenStream> for Town {
    fn handle(&mut self, message: OpenStream, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.authorize(&message.caller, OpenStream::NAME, turn)?;
        self.tend(Care::User, turn);
        Ok(())
    }
}

impl Handler<Inspect> for Town {
    fn handle(&mut self, message: Inspect, turn: &mut Turn<Self>) -> Result<TownReport, Refusal> {
        self.authorize(&message.caller, Inspect::NAME, turn)?;
        let beads = self.beads.iter().map(|(name, bead)| (name.clone(), bead.status));
        Ok(TownReport {
            has_work: self.has_work(turn.now()),
            rigs: self.rigs.keys().cloned().collect(),
            agents: self.agents.keys().cloned().collect(),
            beads: beads.collect(),
            closed: self.closed,
        })
    }
}

impl Handler<AddRig> for Town {
    fn handle(&mut self, message: AddRig, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.authorize(&message.caller, AddRig::NAME, turn)?;
        check_name(&message.rig)?;
        if self.rigs.contains_key(&message.rig) {
            return Err(Refusal::new(format!("rig {} exists already", message.rig)));
        }
        check_room(self.rigs.len(), self.init.terms.rigs_max, "rigs")?;
        self.rigs.insert(message.rig, turn.now());
        self.tend(Care::User, turn);
        Ok(())
    }
}

impl Handler<RemoveRig> for Town {
    fn handle(&mut self, message: RemoveRig, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.authorize(&message.caller, RemoveRig::NAME, turn)?;
        if self.rigs.remove(&message.rig).is_none() {
            return Err(Refusal::new(format!("there is no rig {}", message.rig)));
        }
        // Work for a rig that is not there would keep the town awake for ever.
        self.beads.retain(|_, bead| bead.rig != message.rig);
        Ok(())
    }
}

impl Handler<AddAgent> for Town {
    fn handle(&mut self, message: AddAgent, turn: &mut Turn<Self>) -> Result<ActorId, Refusal> {
        self.authorize(&message.caller, AddAgent::NAME, turn)?;
        check_name(&message.agent)?;
        if self.agents.contains_key(&message.agent) {
            return Err(Refusal::new(format!("agent {} exists already", message.agent)));
        }
        check_room(self.agents.len(), self.init.terms.agents_max, "agents")?;
        self.enlist(&message.agent, turn).ok_or_else(|| Refusal::new("its name is no name"))
    }
}

impl Handler<RemoveAgent> for Town {
    fn handle(&mut self, message: RemoveAgent, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.authorize(&message.caller, RemoveAgent::NAME, turn)?;
        if !self.agents.contains_key(&message.agent) {
            return Err(Refusal::new(format!("there is no agent {}", message.agent)));
        }
        self.delist(&message.agent, "taken off the list", turn);
        Ok(())
    }
}

impl Handler<OpenBead> for Town {
    fn handle(&mut self, message: OpenBead, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.authorize(&message.caller, OpenBead::NAME, turn)?;
        check_name(&message.bead)?;
        if !self.rigs.contains_key(&message.rig) {
            return Err(Refusal::new(format!("there is no rig {}", message.rig)));
        }
        if self.beads.contains_key(&message.bead) {
            return Err(Refusal::new(format!("bead {} is not closed", message.bead)));
        }
        check_room(self.beads.len(), self.init.terms.beads_max, "open beads")?;
        let bead = Bead { rig: message.rig, agent: None, status: BeadStatus::Open };
        self.beads.insert(message.bead, bead);
        Ok(())
    }
}

impl Handler<StartBead> for Town {
    fn handle(&mut self, message: StartBead, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.authorize(&message.caller, StartBead::NAME, turn)?;
        if !self.agents.contains_key(&message.agent) {
            return Err(Refusal::new(format!("there is no agent {}", message.agent)));
        }
        let Some(bead) = self.beads.get_mut(&message.bead) else {
            return Err(Refusal::new(format!("there is no open bead {}", message.bead)));
        };
        (bead.agent, bead.status) = (Some(message.agent), BeadStatus::Running);
        Ok(())
    }
}

impl Handler<CloseBead> for Town {
    fn handle(&mut self, message: CloseBead, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.authorize(&message.caller, CloseBead::NAME, turn)?;
        if self.beads.remove(&message.bead).is_none() {
            return Err(Refusal::new(format!("there is no open bead {}", message.bead)));
        }
        self.closed += 1;
        Ok(())
    }
}
