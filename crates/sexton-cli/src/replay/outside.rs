//! The simulated cloud as the world outside of a virtual world.

use sexton::{ActorId, Answer, Call, EffectId, Owed, Store, Timestamp};
use sexton_fleet::sim_cloud::{Callback, CallbackKind, CloudError, SimCloud};
use sexton_fleet::{AgentDown, AgentUp, Lost, Node, Ready};
use sexton_sim::{Outside, WorldError};

/// The cloud, and the calls of its machines that are not durable yet.
#[derive(Debug)]
pub struct Cloud {
    cloud: SimCloud,
    /// Calls that were handed in: acknowledged when they are durable.
    handed_in: Vec<Callback>,
}

impl Cloud {
    /// A cloud whose calls were all acknowledged.
    pub fn new(cloud: SimCloud) -> Self {
        Self { cloud, handed_in: Vec::new() }
    }

    /// The cloud itself.
    pub fn sim(&mut self) -> &mut SimCloud {
        &mut self.cloud
    }
}

fn outside(error: CloudError) -> WorldError {
    WorldError::Outside(error.to_string())
}

impl Outside for Cloud {
    fn perform(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        store: &dyn Store,
    ) -> Result<(), WorldError> {
        self.cloud.perform(now, owed, store).map_err(outside)
    }

    fn take_due(&mut self, now: Timestamp) -> Result<Option<(EffectId, Answer)>, WorldError> {
        self.cloud.take_due(now).map_err(outside)
    }

    fn take_call(&mut self, now: Timestamp) -> Result<Option<(ActorId, Call)>, WorldError> {
        let Some(callback) = self.cloud.take_callback(now).map_err(outside)? else {
            return Ok(None);
        };
        let id = callback.node.id.clone();
        let epoch = callback.node.incarnation;
        let call = match &callback.kind {
            CallbackKind::Ready => Call::new::<Node, _>(Ready { epoch }, Box::new(drop)),
            CallbackKind::Up => Call::new::<Node, _>(AgentUp { epoch }, Box::new(drop)),
            CallbackKind::Down => Call::new::<Node, _>(AgentDown { epoch }, Box::new(drop)),
            CallbackKind::Lost(class) => {
                let class = class.clone();
                Call::new::<Node, _>(Lost { epoch, class }, Box::new(drop))
            }
        };
        self.handed_in.push(callback);
        Ok(Some((id, call)))
    }

    fn flushed(&mut self) -> Result<(), WorldError> {
        for callback in std::mem::take(&mut self.handed_in) {
            self.cloud.acknowledge(&callback).map_err(outside)?;
        }
        Ok(())
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.cloud.next_due()
    }
}
