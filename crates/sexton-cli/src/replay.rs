//! The main job: recorded event lists through real actors on a real store, in virtual time.
//!
//! ```text
//! TRACE... --> row --> lives (whose, which name) --> script --> feed --> owner --> node, task
//!                                                      |                             |
//!                                                      +--> cloud <--- effects ------+
//! ```
//!
//! A row is played when everything before it has happened. When the trace is over the run goes
//! on until all that must go has gone, or until [`TAIL`] has passed: what is left then leaked.

mod feed;
mod gauge;
mod lives;
mod metering;
mod outside;
mod reckoning;
mod sandboxes;
mod script;
mod stores;
mod verdict;
mod windows;

use std::path::Path;
use std::time::Duration;

use sexton::{
    ActorId, Call, Error, ErrorKind, Kinds, Limits, Request, Store, Switch, Timestamp, query,
};
use sexton_fleet::catalog::Catalog;
use sexton_fleet::policy::Policy;
use sexton_fleet::sim_cloud::{CloudError, SimCloud};
use sexton_fleet::{Owner, OwnerInit, Reaper, ReaperInit, sweeps};
use sexton_sim::{Hasher, World, WorldError, state_hash};

use crate::args::{Net, ReplayArgs};
use crate::progress::Progress;
use crate::report::{Effects, Lateness, RefusedRow, Report};
use crate::series::Series;
use crate::trace::{Entry as TraceEntry, Row, TraceError, TraceEvent, TraceKind, Traces};

use self::feed::{Feed, Origin, Take, feed};
use self::gauge::Gauge;
use self::lives::{Lives, Part, SessionStep};
use self::outside::Cloud;
use self::script::{Subject, script};
use self::stores::Opened;
use self::verdict::Standing;
use self::windows::Windows;

/// How long a run may go on when the trace is over. Chosen: longer than the longest bound of the
/// policy that must end something (24 h and the sweeps' back-off), so what is left then stays.
const TAIL: Duration = Duration::from_secs(4 * 24 * 60 * 60);
/// How often it is looked whether all that must go has gone. Chosen: a sweep's period.
const LOOK: Duration = Duration::from_secs(5 * 60);
/// The most things that the cloud does in one row; numbers them over all rows.
const STEPS_PER_ROW_MAX: u64 = 4;
/// How often the progress is shown, in rows. Chosen: cheap, and often enough for an eye.
const ROWS_PER_UPDATE: u64 = 64;

/// Why a replay has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The traces cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The runtime, its store or the simulated cloud failed.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The file of the simulated cloud cannot be used.
    #[error("{file} cannot be used")]
    Cloud {
        /// Which file.
        file: String,
        /// Why.
        source: CloudError,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] Error),
    /// Something that the run was given cannot be used.
    #[error("{0}")]
    Input(String),
}

/// How a replay ended.
#[derive(Debug)]
pub enum Outcome {
    /// To its end; the report says how.
    Ended(Box<Report>),
    /// After the commits that it was to stop after: the process should abort.
    Stopped,
}

/// Replays traces as the arguments say; `policy_of` reads the environment's settings.
///
/// # Errors
///
/// [`ReplayError`] for bad input, and if the store or the disk fails. Nothing that is stored
/// already is lost.
pub fn run(
    args: &ReplayArgs,
    policy_of: impl Fn(&str) -> Option<String>,
    clock: impl Fn() -> f64,
) -> Result<Outcome, ReplayError> {
    let traces = Traces::open(&args.traces)?;
    let catalog = match &args.catalog {
        Some(path) => Some(
            Catalog::load(path)
                .map_err(|error| ReplayError::Input(format!("{}: {error}", path.display())))?,
        ),
        None => None,
    };
    let mut policy =
        Policy::from_env(policy_of).map_err(|error| ReplayError::Input(error.to_string()))?;
    policy.nodes_per_owner_max = args.nodes_per_owner;
    sandboxes::set_terms(&mut policy);
    let opened = stores::open(args.store.as_ref(), args.resume)?;
    match play(args, (policy, catalog), (traces, &opened), &clock) {
        Err(ReplayError::World(WorldError::Stopped)) => Ok(Outcome::Stopped),
        played => Ok(Outcome::Ended(Box::new(played?))),
    }
}

fn play(
    args: &ReplayArgs,
    with: (Policy, Option<Catalog>),
    from: (Traces, &Opened),
    clock: &impl Fn() -> f64,
) -> Result<Report, ReplayError> {
    let (traces, opened) = from;
    let mut replay = Replay::begin(args, with, (opened, first_row(args)?), clock())?;
    replay.play(traces, clock)?;
    let series = replay.series();
    let report = replay.report(clock())?;
    if let Some(directory) = &args.report {
        report
            .write(directory, &series)
            .map_err(|error| ReplayError::Input(format!("{}: {error}", directory.display())))?;
    }
    Ok(report)
}

struct Replay<'a> {
    args: &'a ReplayArgs,
    world: World<Cloud>,
    store: std::sync::Arc<dyn Store>,
    spec: String,
    policy: Policy,
    installation: uuid::Uuid,
    feed: ActorId,
    /// The first row of the traces, by which a run that goes on knows them again.
    first_row: String,
    /// Whether the cloud's file was not there before this run.
    is_cloud_new: bool,
    /// The moment of the last row that was played.
    last_row_at: Timestamp,
    /// Rows that were taken before this run, and the digest of all rows up to the last of them.
    taken: (u64, String),
    /// Of all rows so far.
    digest: Hasher,
    lives: Lives,
    windows: Windows,
    gauge: Gauge,
    report: Report,
    began_s: f64,
}

impl<'a> Replay<'a> {
    fn begin(
        args: &'a ReplayArgs,
        with: (Policy, Option<Catalog>),
        from: (&Opened, String),
        began_s: f64,
    ) -> Result<Self, ReplayError> {
        let ((policy, catalog), (opened, first_row)) = (with, from);
        let is_cloud_new = opened.cloud.as_ref().is_some_and(|file| !file.exists());
        let cloud = SimCloud::open(opened.cloud.as_deref(), args.seed).map_err(|source| {
            let file = opened.cloud.as_deref().unwrap_or(Path::new("memory"));
            ReplayError::Cloud { file: file.display().to_string(), source }
        })?;
        let kinds = kinds();
        let limits =
            Limits { alarm_horizon: Duration::from_secs(24 * 60 * 60), ..Limits::default() };
        let store = std::sync::Arc::clone(&opened.store);
        let mut world =
            World::open(std::sync::Arc::clone(&store), kinds, limits, Cloud::new(cloud))?;
        if let Some(commits) = args.stop_after {
            world.stop_after(commits);
        }
        if args.without == Some(Net::Alarms) {
            world.engine().switch_alarms(Switch::Paused);
        }
        let feed = feed().map_err(|error| ReplayError::Input(error.to_string()))?;
        let mut replay = Self {
            args,
            world,
            store,
            spec: opened.spec.to_string(),
            policy,
            // The same for every run with this seed: names and hashes must not differ.
            installation: uuid::Uuid::from_u64_pair(0x7365_7874_6f6e_0000, args.seed),
            feed,
            first_row,
            is_cloud_new,
            last_row_at: Timestamp::ZERO,
            taken: (0, String::new()),
            digest: Hasher::default(),
            lives: Lives::new(if args.sandboxes {
                lives::Sandboxes::OnNoNode
            } else {
                lives::Sandboxes::Marked
            }),
            windows: Windows::default(),
            gauge: Gauge::new(catalog),
            report: Report::default(),
            began_s,
        };
        replay.prepare()?;
        Ok(replay)
    }

    /// Makes the actors that a run needs before its first row, unless they are there.
    fn prepare(&mut self) -> Result<(), ReplayError> {
        let origin = Origin {
            seed: self.args.seed,
            without: self.args.without.map(|net| net.name().to_owned()),
            nodes_per_owner: self.args.nodes_per_owner,
            sandboxes: self.args.sandboxes,
            first_row: self.first_row.clone(),
        };
        match query::state::<Feed>(self.store.as_ref(), &self.feed)? {
            Some(state) if state.origin != origin => {
                return Err(ReplayError::Input(format!(
                    "the run on {} was begun with {}, and cannot go on with {origin}",
                    self.spec, state.origin
                )));
            }
            Some(_) if self.is_cloud_new => {
                return Err(ReplayError::Input(format!(
                    "the file {}.cloud of the simulated cloud is missing: a run cannot go on \
                     without it",
                    self.spec.trim_start_matches("sled:")
                )));
            }
            Some(state) => self.taken = (state.position, state.digest),
            None => {
                let request = Request::create::<Feed>(&origin, Box::new(drop))?;
                let feed = self.feed.clone();
                self.world.request(&feed, request)?;
            }
        }
        if self.args.without != Some(Net::Sweeps) {
            self.prepare_sweeps()?;
        }
        Ok(())
    }

    fn prepare_sweeps(&mut self) -> Result<(), ReplayError> {
        let reaper = ActorId::new("reaper", &self.installation.to_string())
            .map_err(|error| ReplayError::Input(error.to_string()))?;
        if query::entry(self.store.as_ref(), &reaper)?.is_none() {
            let init = ReaperInit::of(self.installation, &self.policy);
            self.world.request(&reaper, Request::create::<Reaper>(&init, Box::new(drop))?)?;
        }
        for sweep in sweeps::all(&self.policy) {
            self.world.add_sweep(sweep)?;
        }
        Ok(())
    }

    fn play(&mut self, mut traces: Traces, clock: &impl Fn() -> f64) -> Result<(), ReplayError> {
        let progress = Progress::new(traces.bytes_total(), !self.args.json);
        let mut position = 0;
        while let Some(entry) = traces.next() {
            position += 1;
            match entry? {
                TraceEntry::Row(row) => self.play_row(position, &row)?,
                TraceEntry::Refused(refused) => self.refuse((&refused).into()),
            }
            if position % ROWS_PER_UPDATE == 0 {
                let turns = turns_per_second(&self.world, clock() - self.began_s);
                let live = self.world.tally().live.get("node").copied().unwrap_or(0);
                progress.update(traces.bytes_read(), position, turns, live);
            }
        }
        if position < self.taken.0 {
            let taken = self.taken.0;
            return Err(ReplayError::Input(format!(
                "the traces have {position} rows, and the run on {} has taken {taken}: it goes on \
                 with the traces that it was begun with",
                self.spec
            )));
        }
        self.report.events_read = position;
        self.wind_down()?;
        progress.finish();
        Ok(())
    }

    /// That the rows up to the last one that was taken are those that were taken.
    fn is_known(&mut self, position: u64, row: &Row) -> Result<(), ReplayError> {
        let Row { at_ms, kind, id, parent, event, info: more, .. } = row;
        let text = format!("{:?}", (at_ms, kind, id, parent, event, more));
        self.digest.add(text.as_bytes());
        let (taken, digest) = &self.taken;
        if position == *taken && self.digest.text() != *digest {
            return Err(ReplayError::Input(format!(
                "{}, line {}: up to here these are not the rows that the run on {} has taken: it \
                 goes on with the traces that it was begun with",
                row.file, row.line, self.spec
            )));
        }
        Ok(())
    }

    fn refuse(&mut self, row: RefusedRow) {
        self.report.events_refused.add(row);
    }

    fn play_row(&mut self, position: u64, row: &Row) -> Result<(), ReplayError> {
        self.is_known(position, row)?;
        let part = match self.lives.take(row) {
            Ok(part) => part,
            Err(reason) => {
                let file = row.file.to_string();
                self.refuse(RefusedRow { file, line: row.line, reason });
                return Ok(());
            }
        };
        self.windows.take(row, &part);
        self.last_row_at = Timestamp::from_millis(row.at_ms);
        if position <= self.taken.0 {
            return Ok(());
        }
        self.advance_to(Timestamp::from_millis(row.at_ms))?;
        let Some((actor, node)) = self.names(row, &part)? else { return Ok(()) };
        let (asleep, session) = self.comes_back(row, &part, &actor)?;
        let is_asleep = asleep.is_some();
        let actor = asleep.unwrap_or(actor);
        let node = node.map(|node| node.name().to_owned());
        let standing = if life_of(&part).is_sandbox {
            sandboxes::standing(self.store.as_ref(), &actor)?
        } else {
            sandboxes::Standing::default()
        };
        let subject =
            Subject { row, part: &part, actor: &actor, node, is_asleep, session, standing };
        let script = script(&subject).map_err(|refusal| {
            ReplayError::Input(format!("{}, line {}: {refusal}", row.file, row.line))
        })?;
        let now = self.world.now();
        for (step, number) in script.steps.into_iter().zip(position * STEPS_PER_ROW_MAX..) {
            let sim = self.world.outside().sim();
            sim.script(number, &actor, &step, now).map_err(outside::outside)?;
        }
        if script.letters.is_empty() && script.said.is_none() {
            return Ok(());
        }
        self.greet(life_of(&part))?;
        let letters = script.letters.into_iter();
        let letters = letters.map(|letter| (letter.to, letter.name, letter.bytes)).collect();
        let take = Take { position, digest: self.digest.text(), letters, said: script.said };
        let feed = self.feed.clone();
        self.world.request(&feed, Request::Call(Call::new::<Feed, _>(take, Box::new(drop))))?;
        Ok(())
    }

    /// The earlier life of a workspace that comes back with this row, and the session of a task.
    fn comes_back(
        &mut self,
        row: &Row,
        part: &Part,
        actor: &ActorId,
    ) -> Result<(Option<ActorId>, Option<SessionStep>), ReplayError> {
        let store = self.store.as_ref();
        if row.event == TraceEvent::Reopened {
            let kept = (self.world.now(), self.policy.workspace_stopped_ttl);
            return Ok((self.lives.asleep(store, (&row.id, life_of(part)), kept)?, None));
        }
        if row.kind == TraceKind::Task {
            return Ok((None, self.lives.session(store, (part, actor))?));
        }
        Ok((None, None))
    }

    /// The actor that plays the row's thing and the node that it must be on; `None` if the row
    /// was refused, because its id makes no name.
    fn names(
        &mut self,
        row: &Row,
        part: &Part,
    ) -> Result<Option<(ActorId, Option<ActorId>)>, ReplayError> {
        let store = self.store.as_ref();
        let life = life_of(part);
        let has_begun = !matches!(part, Part::Begin(_) | Part::BeginBefore(_));
        let actor = if life.is_sandbox && has_begun {
            self.lives.begun_last(store, &row.id)
        } else {
            self.lives.present(store, life.actor_kind(row.kind), &row.id)
        };
        let node = life.node.as_deref();
        let node = node.map(|node| self.lives.present(store, "node", node)).transpose();
        match actor.and_then(|actor| Ok((actor, node?))) {
            Ok(names) => Ok(Some(names)),
            Err(error) if error.kind() == ErrorKind::Refused => {
                self.lives.forget(row.kind, &row.id);
                self.windows.forget(row);
                let (file, reason) = (row.file.to_string(), error.to_string());
                self.refuse(RefusedRow { file, line: row.line, reason });
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Creates the owner of a life, unless he is there, and what his sandboxes run on.
    fn greet(&mut self, life: &lives::Life) -> Result<(), ReplayError> {
        let id = ActorId::new("owner", &life.owner);
        let id = id.map_err(|error| ReplayError::Input(error.to_string()))?;
        if query::entry(self.store.as_ref(), &id)?.is_none() {
            let init = OwnerInit { installation: self.installation, policy: self.policy.clone() };
            self.world.request(&id, Request::create::<Owner>(&init, Box::new(drop))?)?;
        }
        if life.is_sandbox
            && let Some((worker, request)) =
                sandboxes::worker(self.store.as_ref(), &id, &self.policy)?
        {
            // The host first: whoever finds the worker need not ask for its host.
            sandboxes::host(self.world.outside().sim(), &worker)?;
            self.world.request(&worker, request)?;
        }
        Ok(())
    }

    /// Lets time pass until all that must go has gone.
    ///
    /// It is looked only at moments of the grid, so that a run that was killed ends at the same
    /// moment as one that was not, with the same sweeps behind it.
    fn wind_down(&mut self) -> Result<(), ReplayError> {
        let over = self.last_row_at + TAIL;
        let mut look_at = look_from(self.world.now().max(self.last_row_at));
        loop {
            self.advance_to(look_at)?;
            if self.standing()?.overdue.is_empty() || self.world.now() >= over {
                break;
            }
            look_at = next_look(look_at);
        }
        self.world.flush()?;
        Ok(())
    }

    /// Lets time pass, with a look now and then, so that the plots have no holes.
    fn advance_to(&mut self, to: Timestamp) -> Result<(), ReplayError> {
        while next_look(self.world.now()) < to {
            self.world.advance_to(next_look(self.world.now()))?;
            self.gauge.look(&mut self.world);
        }
        self.world.advance_to(to)?;
        self.gauge.look(&mut self.world);
        Ok(())
    }

    fn standing(&mut self) -> Result<Standing, ReplayError> {
        let now = self.world.now();
        let machines = self.world.outside().sim().machines(now);
        let down = machines.filter(|it| it.is_down).map(|it| it.owner.id.name().to_owned());
        let down = down.collect();
        Ok(verdict::standing(self.store.as_ref(), &self.lives, &down)?)
    }

    fn series(&mut self) -> Series {
        self.gauge.finish(&mut self.world)
    }

    fn report(mut self, now_s: f64) -> Result<Report, ReplayError> {
        let mut report = std::mem::take(&mut self.report);
        report.traces = self.args.traces.iter().map(|path| path.display().to_string()).collect();
        report.seed = self.args.seed;
        report.without = self.args.without.map(|net| net.name().to_owned());
        report.resumed = self.args.resume;
        self.count(&mut report, now_s);
        verdict::census(self.store.as_ref(), &mut report)?;
        let of_trace = (&self.windows, self.last_row_at);
        reckoning::reckon(self.store.as_ref(), of_trace, &mut report)?;
        let standing = self.standing()?;
        if standing.n_waiting > 0 {
            report.notes.push(format!(
                "kept by machines that the trace left unreachable, and no leak: {}",
                crate::figures::counted(standing.n_waiting, "workspace", "workspaces")
            ));
        }
        let now = self.world.now();
        let cloud = self.world.outside().sim();
        report.leaks = verdict::leaks(self.store.as_ref(), (cloud, now), &standing)?;
        let broken = sexton::audit::audit(self.store.as_ref(), &kinds(), 100)?;
        report.audit_violations = broken.iter().map(ToString::to_string).collect();
        report.state_hash = state_hash(self.store.as_ref())?;
        report.trace_hash = (!self.args.resume).then(|| self.world.trace_hash());
        self.gauge.bill(&mut self.world, &mut report);
        self.store.close()?;
        report.store_bytes = self.store.figures().bytes;
        report.store = self.spec;
        report.directory = self.args.report.as_ref().map(|path| path.display().to_string());
        if self.args.resume {
            report.notes.push(
                "turns, commits, flushes, alarms, effects, peaks and plots are of this run only; \
                 what is left, how things ended, machine-hours and cost are of all runs"
                    .to_owned(),
            );
        }
        Ok(report)
    }

    /// What this run did.
    fn count(&self, report: &mut Report, now_s: f64) {
        let tally = self.world.tally();
        report.turns = tally.turns;
        report.commits = tally.commits;
        report.flushes = self.store.figures().flushes;
        report.alarms_rung = tally.alarms_rung;
        report.alarm_lateness_ms = Lateness {
            p50: tally.lateness(500),
            p99: tally.lateness(990),
            max: tally.lateness(1_000),
        };
        report.effects =
            Effects { performed: tally.performed, retried: tally.retried, open_at_end: 0 };
        report.events_published = tally.published;
        report.resurrections = tally.resurrections;
        report.peak.clone_from(&tally.peak);
        report.virtual_seconds = seconds(self.world.now().as_millis());
        report.wall_seconds = now_s - self.began_s;
        report.turns_per_second = turns_per_second(&self.world, report.wall_seconds);
    }
}

/// What the first row of the traces says, in words.
fn first_row(args: &ReplayArgs) -> Result<String, TraceError> {
    let first = Traces::open(&args.traces)?.next().transpose()?;
    Ok(match first {
        Some(TraceEntry::Row(row)) => {
            format!("{} {} {} at {} ms", row.kind, row.id, row.event, row.at_ms)
        }
        Some(TraceEntry::Refused(row)) => format!("a refused row at {} ms", row.at_ms),
        None => "no row".to_owned(),
    })
}

/// All kinds that a replay's store holds.
pub(crate) fn kinds() -> Kinds {
    sweeps::kinds().with::<Feed>()
}

fn life_of(part: &Part) -> &lives::Life {
    match part {
        Part::Begin(life) | Part::BeginBefore(life) | Part::Middle(life) | Part::End(life) => life,
    }
}

/// The first moment of the grid that is not before `now`.
fn look_from(now: Timestamp) -> Timestamp {
    next_look(Timestamp::from_millis(now.as_millis() - 1))
}

/// The next moment at which a run is looked at: on a grid, so that a resumed run looks at the
/// same moments.
fn next_look(now: Timestamp) -> Timestamp {
    let look_ms = i64::try_from(LOOK.as_millis()).unwrap_or(1);
    Timestamp::from_millis((now.as_millis().div_euclid(look_ms) + 1) * look_ms)
}

fn seconds(millis: i64) -> f64 {
    crate::figures::float_signed(millis) / 1_000.0
}

fn turns_per_second(world: &World<Cloud>, wall_s: f64) -> f64 {
    crate::figures::float(world.tally().turns) / wall_s.max(1e-9)
}
