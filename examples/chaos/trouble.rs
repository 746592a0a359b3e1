//! What is done to whom: kills, pauses, an exhausted quota, a network that drops.
//!
//! The quota is the limit of file size (`RLIMIT_FSIZE`) of the running control plane, set to zero:
//! from then on the system refuses every write to a file with `EFBIG`, as a full quota does with
//! `EDQUOT`. So its store fails, as it does on a full disk, and the control plane has to end by
//! itself: nothing that it could answer then would be kept.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use sexton::clock::Stopwatch;
use sexton_agent::process::Process;

use crate::chance::Chance;
use crate::proxy::Cut;
use crate::world::World;

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    KillPlane,
    PausePlane,
    ClosePlane,
    FillQuota,
    KillAgent,
    PauseAgent,
    CutAgent,
    KillWorkspace,
    PauseWorkspace,
}

/// Each as often as it stands here.
const TROUBLES: [Trouble; 16] = [
    Trouble::KillPlane,
    Trouble::KillPlane,
    Trouble::KillPlane,
    Trouble::PausePlane,
    Trouble::ClosePlane,
    Trouble::FillQuota,
    Trouble::KillAgent,
    Trouble::KillAgent,
    Trouble::KillAgent,
    Trouble::PauseAgent,
    Trouble::PauseAgent,
    Trouble::CutAgent,
    Trouble::CutAgent,
    Trouble::KillWorkspace,
    Trouble::KillWorkspace,
    Trouble::PauseWorkspace,
];

impl Trouble {
    fn name(self) -> &'static str {
        match self {
            Self::KillPlane => "control plane: SIGKILL",
            Self::PausePlane => "control plane: SIGSTOP",
            Self::ClosePlane => "control plane: SIGTERM",
            Self::FillQuota => "control plane: quota full",
            Self::KillAgent => "agent: SIGKILL",
            Self::PauseAgent => "agent: SIGSTOP",
            Self::CutAgent => "agent: network cut",
            Self::KillWorkspace => "workspace: SIGKILL",
            Self::PauseWorkspace => "workspace: SIGSTOP",
        }
    }
}

/// What makes an end of a trouble that lasts.
enum Undo {
    Continue(Process),
    Mend([String; 2]),
}

/// Trouble as it goes on.
pub(crate) struct Troubles {
    chance: Chance,
    clock: Stopwatch,
    next: Duration,
    undo: Vec<(Duration, Undo)>,
    /// Whether the quota of the control plane that runs is full: then it has to end by itself.
    is_full: bool,
    counts: BTreeMap<Trouble, u32>,
}

impl Troubles {
    pub(crate) fn new(chance: Chance) -> Self {
        let clock = Stopwatch::start();
        let (next, undo, counts) = (Duration::from_secs(2), Vec::new(), BTreeMap::new());
        Self { chance, clock, next, undo, is_full: false, counts }
    }

    /// Makes the trouble that is due, and ends what lasted long enough.
    pub(crate) async fn go_on(&mut self, world: &World) -> Result<(), Box<dyn Error>> {
        let now = self.clock.elapsed();
        self.undo_until(now, world)?;
        // Ended by itself, as it has to when its store fails: whoever started it does so again.
        if let Some(status) = world.ended()? {
            if status.code() != Some(1) || !self.is_full {
                return Err(format!("the control plane ended by itself: {status}").into());
            }
            self.is_full = false;
            world.start().await?;
        }
        if now >= self.next {
            let trouble = self.chance.pick(&TROUBLES).copied().unwrap_or(Trouble::KillPlane);
            if self.make(trouble, world).await? {
                *self.counts.entry(trouble).or_default() += 1;
            }
            self.next =
                self.clock.elapsed() + Duration::from_millis(200 + self.chance.below(1_600));
        }
        Ok(())
    }

    /// Undoes everything; the control plane runs afterwards.
    pub(crate) async fn end(&mut self, world: &World) -> Result<(), Box<dyn Error>> {
        self.undo_until(Duration::MAX, world)?;
        // One whose quota is full may not have noticed yet.
        if let Some(plane) = world.plane() {
            plane.signal(Signal::KILL)?;
            world.wait().await?;
        }
        world.start().await
    }

    fn undo_until(&mut self, now: Duration, world: &World) -> Result<(), Box<dyn Error>> {
        let (due, later) = self.undo.drain(..).partition(|(at, _)| *at <= now);
        self.undo = later;
        let due: Vec<(Duration, Undo)> = due;
        for (_, undo) in due {
            match undo {
                Undo::Continue(process) => drop(process.signal(Signal::CONT)?),
                Undo::Mend(whom) => whom.iter().for_each(|whom| world.network.set(whom, None)),
            }
        }
        Ok(())
    }

    /// Whether there was anybody to whom it could be done.
    async fn make(&mut self, trouble: Trouble, world: &World) -> Result<bool, Box<dyn Error>> {
        match trouble {
            Trouble::KillPlane | Trouble::ClosePlane => {
                let signal =
                    if trouble == Trouble::KillPlane { Signal::KILL } else { Signal::TERM };
                let Some(plane) = world.plane() else { return Ok(false) };
                // One that is halted would not hear the other signal.
                plane.signal(Signal::CONT)?;
                plane.signal(signal)?;
                world.wait().await?;
                self.is_full = false;
                world.start().await?;
                Ok(true)
            }
            Trouble::FillQuota => {
                let plane = world.plane().and_then(|plane| Pid::from_raw(plane.pid));
                let full = Rlimit { current: Some(0), ..getrlimit(Resource::Fsize) };
                self.is_full = plane.is_some();
                plane.map(|pid| prlimit(Some(pid), Resource::Fsize, full)).transpose()?;
                Ok(plane.is_some())
            }
            Trouble::PausePlane => self.pause(world.plane(), 3_000),
            Trouble::PauseAgent => {
                let agent = self.chance.pick(&world.agents()?).cloned();
                self.pause(agent, 6_000)
            }
            Trouble::PauseWorkspace => {
                let process = self.chance.pick(&world.workspaces()?).cloned();
                self.pause(process, 4_000)
            }
            Trouble::KillAgent => self.kill(&world.agents()?),
            Trouble::KillWorkspace => self.kill(&world.workspaces()?),
            Trouble::CutAgent => Ok(self.cut(world)),
        }
    }

    fn kill(&mut self, among: &[Process]) -> Result<bool, Box<dyn Error>> {
        match self.chance.pick(among) {
            Some(process) => Ok(process.signal(Signal::KILL)?),
            None => Ok(false),
        }
    }

    fn pause(&mut self, whom: Option<Process>, ms_max: u64) -> Result<bool, Box<dyn Error>> {
        let Some(process) = whom else { return Ok(false) };
        let is_done = process.signal(Signal::STOP)?;
        let until = self.until(ms_max);
        self.undo.push((until, Undo::Continue(process)));
        Ok(is_done)
    }

    fn cut(&mut self, world: &World) -> bool {
        let Some((node, presence)) = self.chance.pick(&world.presences()).cloned() else {
            return false;
        };
        let cut = if self.chance.below(2) == 0 { Cut::Drops } else { Cut::Swallows };
        let whom = [node, presence.address.port().to_string()];
        for whom in &whom {
            world.network.set(whom, Some(cut));
        }
        let until = self.until(8_000);
        self.undo.push((until, Undo::Mend(whom)));
        true
    }

    fn until(&mut self, ms_max: u64) -> Duration {
        self.clock.elapsed() + Duration::from_millis(300 + self.chance.below(ms_max))
    }

    /// How much was done, in a line.
    pub(crate) fn line(&self) -> String {
        format!("{} troubles", self.counts.values().sum::<u32>())
    }

    /// How much of what was done.
    pub(crate) fn table(&self) -> String {
        let line = |(trouble, n): (&Trouble, &u32)| format!("{:<28}{n:>6}", trouble.name());
        self.counts.iter().map(line).collect::<Vec<String>>().join("\n")
    }
}
