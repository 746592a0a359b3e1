//! A performer of one's own: the containers of towns, as directories and groups of processes.
//!
//! It keeps what the fleet asks of every performer: an effect that comes again does nothing twice,
//! what was stopped or deleted already is done, and nothing is remembered outside of the files.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use sexton::{Builder, EffectId, Failure, Performed, Performer};
use sexton_agent::wire::{Code, Doing, Order, Problem};
use sexton_agent::workspaces::{Call, Workspaces};
use sexton_fleet::{Container, ContainerAnswer, ContainerEffect, ContainerHealth, Fault};
use sexton_providers::workspace_id;

use crate::options::AGENT;

/// The most containers. Chosen.
const CONTAINERS_MAX: usize = 64;
/// How many effects are performed at a time. Chosen: they wait for processes, not for us.
const AT_A_TIME: usize = 4;

/// The containers below one directory.
#[derive(Clone)]
pub(crate) struct Containers {
    all: Arc<Workspaces>,
    command: Vec<String>,
}

impl Containers {
    /// Those that are there, and those that will be: this runs in each.
    pub(crate) fn open(directory: &Path, command: Vec<String>) -> Result<Self, Box<dyn Error>> {
        // This program begins their sessions, too: they outlive it, also while they are halted.
        let this = std::env::current_exe()?.into_os_string();
        let enter = [this, AGENT.into(), "enter".into(), "--".into()];
        let all = Workspaces::open(directory, CONTAINERS_MAX)?.entered_by(enter.to_vec());
        Ok(Self { all: Arc::new(all), command })
    }

    /// Performs for a host what its towns' containers owe.
    pub(crate) fn install(&self, builder: Builder) -> Builder {
        builder.performer::<Container>(self.clone(), AT_A_TIME)
    }

    fn act(&self, of: &EffectId, effect: &ContainerEffect) -> Result<ContainerAnswer, Problem> {
        let (id, call) = (workspace_id(&of.actor), Call::within(of.number));
        match effect {
            ContainerEffect::Start { run, .. } => {
                let run = u32::try_from(*run).unwrap_or(u32::MAX);
                self.all.put(&id, call, Order { run, command: self.command.clone() })?;
                Ok(ContainerAnswer::Started)
            }
            ContainerEffect::Stop { .. } => match self.all.stop(&id, call) {
                Err(error) if error.code != Code::NotFound => Err(error),
                Ok(_) | Err(_) => Ok(ContainerAnswer::Stopped),
            },
            ContainerEffect::Ping { .. } => {
                let runs = self
                    .all
                    .list()?
                    .into_iter()
                    .any(|it| it.id == id && it.doing == Doing::Running);
                let health = if runs { ContainerHealth::Healthy } else { ContainerHealth::Gone };
                Ok(ContainerAnswer::Pong(health))
            }
            ContainerEffect::Delete => {
                self.all.delete(&id, call)?;
                Ok(ContainerAnswer::Deleted)
            }
        }
    }
}

impl Performer<Container> for Containers {
    async fn perform(
        &self,
        id: EffectId,
        effect: ContainerEffect,
        _failures: u32,
    ) -> Performed<ContainerAnswer> {
        let (this, of) = (self.clone(), effect.clone());
        let acted = tokio::task::spawn_blocking(move || this.act(&id, &of)).await;
        let problem = match acted {
            Ok(Ok(answer)) => return Performed::Done(answer),
            Ok(Err(problem)) => problem.to_string(),
            Err(error) => error.to_string(),
        };
        match effect {
            // Whatever was found, a ping is answered: the deletion behind it must not wait.
            ContainerEffect::Ping { .. } => {
                Performed::Done(ContainerAnswer::Pong(ContainerHealth::Unreachable))
            }
            ContainerEffect::Start { .. }
            | ContainerEffect::Stop { .. }
            | ContainerEffect::Delete => {
                let class = Fault::Unknown.name().to_owned();
                Performed::Transient(Failure { class, message: problem })
            }
        }
    }
}
