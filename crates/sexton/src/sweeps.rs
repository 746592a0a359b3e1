//! When sweeps pass: one task each, on the host's own thread and not on alarms.
//!
//! A task looks at what its [`Sweeper`] says, sleeps until the pass is due, plans it by reading
//! rows and hands the plan to the sweeper as one message. A pass that fails is made again after
//! `every`; the other sweeps do not notice.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use sexton_core::{ActorId, Error, ErrorKind, Kinds, Switch, Timestamp, query};
use tokio::sync::mpsc;

use crate::arbiter::Shared;
use crate::clock::{TIMER_MAX, rest, wait_for};
use crate::desk::{self, Reply};
use crate::handle::{CallError, Handle};
use crate::sweep::{self, Apply, Pass, Plan, Sweep, Sweeper};
use crate::tally::SweepCounts;

/// Commands that may wait for a sweep. Chosen: operators, not programs, send them.
const COMMANDS_MAX: usize = 16;

type Factory = Arc<dyn Fn() -> Box<dyn Sweep> + Send + Sync>;

/// A sweep before its host is opened.
#[derive(Clone)]
pub(crate) struct SweepPlan {
    pub(crate) name: &'static str,
    factory: Factory,
}

impl fmt::Debug for SweepPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl SweepPlan {
    pub(crate) fn new(factory: Factory) -> Self {
        Self { name: factory().name(), factory }
    }

    /// Refuses a scope that no row can be in.
    pub(crate) fn check(&self, kinds: &Kinds) -> Result<(), Error> {
        sweep::check_scope((self.factory)().as_ref(), kinds)
    }
}

/// What a sweep is told.
enum Command {
    /// Look at the clock and the switch.
    Nudge,
    Plan(Reply<Plan>),
    Pass(Reply<Plan>),
    Apply(Plan, Reply<()>),
    Switch(Switch, Reply<()>),
}

/// Where a sweep takes its commands.
#[derive(Clone, Debug)]
pub(crate) struct SweepDesk {
    name: &'static str,
    commands: mpsc::Sender<Command>,
}

/// A sweep with its end of the desk.
pub(crate) struct Task {
    plan: SweepPlan,
    commands: mpsc::Receiver<Command>,
}

/// A desk and a task for each sweep.
pub(crate) fn desks(plans: Vec<SweepPlan>) -> (BTreeMap<&'static str, SweepDesk>, Vec<Task>) {
    let mut desks = BTreeMap::new();
    let mut tasks = Vec::new();
    for plan in plans {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        desks.insert(plan.name, SweepDesk { name: plan.name, commands });
        tasks.push(Task { plan, commands: receiver });
    }
    (desks, tasks)
}

impl SweepDesk {
    /// Lets it look at the clock again; a command that waits does that too.
    pub(crate) fn nudge(&self) {
        drop(self.commands.try_send(Command::Nudge));
    }

    pub(crate) async fn switch(&self, to: Switch) -> Result<(), Error> {
        self.command(|reply| Command::Switch(to, reply)).await
    }

    pub(crate) async fn plan(&self) -> Result<Plan, Error> {
        self.command(Command::Plan).await
    }

    pub(crate) async fn pass(&self) -> Result<Plan, Error> {
        self.command(Command::Pass).await
    }

    pub(crate) async fn apply(&self, plan: Plan) -> Result<(), Error> {
        self.command(|reply| Command::Apply(plan, reply)).await
    }

    async fn command<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Error> {
        let what = format_args!("commands for the sweep {}", self.name);
        desk::ask(&self.commands, what, command).await
    }
}

/// The task of one sweep; ends with its host.
pub(crate) async fn run(shared: Arc<Shared>, task: Task) {
    let Task { plan, mut commands } = task;
    let (sweep, id) = ((plan.factory)(), sweep::sweeper(plan.name));
    let id = match id {
        Ok(id) => id,
        Err(error) => {
            tracing::error!(target: "sexton", name = plan.name, %error, "not a sweep's name");
            return;
        }
    };
    let broom = Broom { sweep, handle: Handle::new(Arc::clone(&shared), id), shared };
    let mut not_before = Timestamp::MIN;
    let mut switch = Switch::On;
    loop {
        let wait = match switch {
            Switch::On => broom.pass_if_due(&mut not_before).await,
            Switch::Paused => TIMER_MAX,
        };
        let command = tokio::select! {
            command = commands.recv() => command,
            () = rest(wait) => Some(Command::Nudge),
        };
        match command {
            None => return,
            Some(Command::Nudge) => {}
            // Whoever asked may have gone.
            Some(Command::Switch(to, reply)) => {
                switch = to;
                drop(reply.send(Ok(())));
            }
            Some(Command::Plan(reply)) => drop(reply.send(broom.plan().await)),
            Some(Command::Pass(reply)) => drop(reply.send(broom.pass().await)),
            Some(Command::Apply(plan, reply)) => drop(reply.send(broom.apply(plan).await)),
        }
    }
}

/// A sweep with what it needs for a pass.
struct Broom {
    sweep: Box<dyn Sweep>,
    handle: Handle<Sweeper>,
    shared: Arc<Shared>,
}

impl Broom {
    fn id(&self) -> &ActorId {
        self.handle.id()
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn count(&self, count: impl FnOnce(&SweepCounts)) {
        if let Some(counts) = self.shared.tallies.sweep(self.sweep.name()) {
            count(counts);
        }
    }

    /// Makes the pass if it is due, and says how long to wait for the next.
    async fn pass_if_due(&self, not_before: &mut Timestamp) -> Duration {
        let now = self.now();
        if *not_before > now && not_before.since(now) <= self.sweep.every() {
            return wait_for(now, *not_before);
        }
        let result = match self.sweeper().await {
            Ok(sweeper) => match sweeper.due_at(now, self.sweep.every()) {
                due if due > now => return wait_for(now, due),
                _ => self.pass().await,
            },
            Err(error) => Err(error),
        };
        match result {
            Ok(plan) => {
                let (examined, asked) = (plan.examined, plan.asks.len());
                tracing::info!(target: "sexton", sweep = %self.id(), examined, asked, "pass");
            }
            Err(error) => {
                tracing::error!(target: "sexton", sweep = %self.id(), %error, "no pass");
                *not_before = now + self.sweep.every();
                self.count(SweepCounts::fail);
            }
        }
        wait_for(now, now + self.sweep.every())
    }

    /// What the sweep remembers; its sweeper is made if there is none.
    async fn sweeper(&self) -> Result<Sweeper, Error> {
        let found = query::state::<Sweeper>(&*self.shared.store, self.id())?;
        if let Some(sweeper) = found {
            return Ok(sweeper);
        }
        let created = self.handle.create((self.now(), self.sweep.back_off())).await;
        created.map_err(CallError::into_error)?;
        self.handle.state().await
    }

    /// What a pass would ask. A panic in the user's code ends this pass and nothing else.
    async fn plan(&self) -> Result<Plan, Error> {
        let sweeper = self.sweeper().await?;
        let plan = || sweep::plan(&*self.sweep, &sweeper, self.now(), &*self.shared.store);
        catch_unwind(AssertUnwindSafe(plan)).unwrap_or_else(|_| {
            let message = format!("{} panicked while it looked at rows", self.id());
            Err(Error::new(ErrorKind::Refused, message))
        })
    }

    /// Plans a pass and makes it, in one turn of the sweeper.
    async fn pass(&self) -> Result<Plan, Error> {
        let plan = self.plan().await?;
        let pass = Pass::of(plan.clone(), self.now() + self.sweep.every());
        self.handle.call(pass).await.map_err(CallError::into_error)?;
        self.count(|counts| counts.pass(plan.examined, plan.failed, plan.asks.len()));
        Ok(plan)
    }

    /// Asks what a plan says, in one turn of the sweeper.
    async fn apply(&self, plan: Plan) -> Result<(), Error> {
        let n_asks = plan.asks.len();
        let apply = Apply::of(plan, &*self.sweep)?;
        drop(self.sweeper().await?);
        self.handle.call(apply).await.map_err(CallError::into_error)?;
        self.count(|counts| counts.ask(n_asks));
        Ok(())
    }
}
