//! Sandboxes in a replay: which rows are of one, on what terms they live, what is told the fleet.
//!
//! ```text
//! create --> pooled     ready --> reserved, started, runs     reopened --> wakes, or a new one
//!                       end --> hibernates, deleted after a while; or stops, if it did not run
//! ```
//!
//! What the trace began only the trace ends, so the terms that could end what runs are endless
//! here. What the trace has ended sleeps for as long as a stopped workspace is kept, and for as
//! long as a waking may take: so one that is woken in time is not deleted while it wakes.
//!
//! Each owner has a worker of his own, which is never silent. A sandbox costs nothing, so that
//! no credit ever runs out: the meter counts all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sexton::{
    Actor as _, ActorId, ActorRef, Entry, Error, Letter, Refusal, Request, Status as _, Store,
    query,
};
use sexton_fleet::policy::Policy;
use sexton_fleet::sim_cloud::{HostState, SimCloud};
use sexton_fleet::{
    CreateSandbox, Depth, HibernateSandbox, Owner, ReserveSandbox, Sandbox, SandboxSpec,
    SandboxStart, SandboxStatus, StartSandbox, StopSandbox, WakeSandbox, Worker, WorkerInit,
    WorkerTerms,
};

use crate::report::Leak;
use crate::trace::{Info, TraceEvent, TraceKind};

use super::ReplayError;
use super::feed::Said;
use super::lives::{Lives, Part, id_of, life_number};
use super::script::{Script, Subject, owner};

/// Longer than any trace is: a hundred years is the latest time of a row.
const ENDLESS: Duration = Duration::from_secs(200 * 366 * 24 * 60 * 60);
/// Who reserves the sandboxes of a trace.
const HOLDER: &str = "trace";
/// The fewest sandboxes that a pass of a sweep may ask. Chosen: a trace ends any number at once, and
/// with sweeps alone each is asked twice: 6,000 an hour.
const SWEPT: u32 = 1_000;
/// The word of a row that is of a sandbox.
const MARK: &str = "sandbox";

/// Whether a row that begins a workspace says that it is a sandbox.
pub(super) fn is_marked(more: &Info) -> bool {
    let is_no = |value: &str| ["0", "no", "false"].contains(&value);
    more.word() == Some(MARK)
        || more.value("as") == Some(MARK)
        || more.value(MARK).is_some_and(|value| !is_no(value))
}

/// Makes the terms those of sandboxes that a trace begins and ends.
pub(super) fn set_terms(policy: &mut Policy) {
    policy.sandbox_pooled_ttl = ENDLESS;
    policy.sandbox_lifetime = ENDLESS;
    policy.sandbox_hibernated_ttl = policy.workspace_stopped_ttl + policy.sandbox_waking_timeout;
    // Nothing is debited, so nothing has to be counted on the way.
    policy.usage_tick_every = ENDLESS;
    policy.sandbox_cents_per_hour = 0;
    policy.credit_start_cents = policy.credit_start_cents.max(1);
    policy.sandboxes_per_owner_max = u32::MAX;
    policy.sweep_sandboxes_max = policy.sweep_sandboxes_max.max(SWEPT);
    policy.sandboxes_per_worker_max = u32::MAX;
}

/// The worker of an owner's sandboxes, and what it is made with if it is not there: one that is
/// never silent.
///
/// # Errors
///
/// What the store says.
pub(super) fn worker(
    store: &dyn Store,
    owner: &ActorId,
    policy: &Policy,
) -> Result<Option<(ActorId, Request)>, ReplayError> {
    let id = ActorId::new(Worker::KIND, owner.name());
    let id = id.map_err(|error| ReplayError::Input(error.to_string()))?;
    if query::entry(store, &id)?.is_some() {
        return Ok(None);
    }
    let terms = WorkerTerms { silence: ENDLESS, ..WorkerTerms::of(policy) };
    let init = WorkerInit { owner: owner.name().to_owned(), terms };
    Ok(Some((id, Request::create::<Worker>(&init, Box::new(drop))?)))
}

/// How the sandbox of a row stands before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is none, or it has ended.
    #[default]
    Over,
    /// It waits until it is ready.
    Pooled,
    /// It runs.
    Runs,
    /// It is on its way to run.
    Starts,
}

/// Says how a sandbox stands.
///
/// # Errors
///
/// What the store says.
pub(super) fn standing(store: &dyn Store, actor: &ActorId) -> Result<Standing, Error> {
    let Some(sandbox) = query::state::<Sandbox>(store, actor)? else { return Ok(Standing::Over) };
    Ok(if sandbox.status().is_terminal() {
        Standing::Over
    } else if sandbox.is_pooled() {
        Standing::Pooled
    } else if sandbox.can_hibernate() {
        Standing::Runs
    } else {
        Standing::Starts
    })
}

/// Says what a row of a sandbox becomes.
///
/// # Errors
///
/// [`Refusal`] if a command cannot be written.
pub(super) fn script(subject: &Subject<'_>, script: &mut Script) -> Result<(), Refusal> {
    let is_ready = subject.row.event == TraceEvent::Ready;
    let why = subject.why();
    match (subject.part, &why) {
        (Part::Begin(_), _) => begin(subject, SandboxStart::Pooled, script)?,
        // It ran before the trace began.
        (Part::BeginBefore(_), None) => begin(subject, SandboxStart::Now, script)?,
        // It was over before anything could be begun: there is nothing to say of it.
        (Part::BeginBefore(_), Some(_)) => return Ok(()),
        (Part::Middle(_) | Part::End(_), Some(why)) => end(subject, why, script)?,
        (Part::Middle(_) | Part::End(_), None) if is_ready => make_ready(subject, script)?,
        (Part::Middle(_) | Part::End(_), None) => {}
    }
    if is_ready || why.is_some() {
        script.said = Some(Said { sandbox: subject.name(), ended: why });
    }
    Ok(())
}

fn begin(subject: &Subject<'_>, start: SandboxStart, script: &mut Script) -> Result<(), Refusal> {
    let (owner, caller, name) = (owner(subject)?, subject.caller(), subject.name());
    let letter = if subject.is_asleep {
        Letter::new::<Owner, _>(&owner, &WakeSandbox { caller, name, on: None })?
    } else {
        let spec = SandboxSpec { start, worker: owner.name().to_owned(), scale: 1 };
        Letter::new::<Owner, _>(&owner, &CreateSandbox { caller, name, spec })?
    };
    script.letters.push(letter);
    Ok(())
}

fn make_ready(subject: &Subject<'_>, script: &mut Script) -> Result<(), Refusal> {
    if subject.standing != Standing::Pooled {
        return Ok(());
    }
    let (owner, caller, name) = (owner(subject)?, subject.caller(), subject.name());
    let holder = || HOLDER.to_owned();
    let reserve = ReserveSandbox { caller: caller.clone(), name: name.clone(), holder: holder() };
    script.letters.push(Letter::new::<Owner, _>(&owner, &reserve)?);
    let start = StartSandbox { caller, name, holder: holder() };
    script.letters.push(Letter::new::<Owner, _>(&owner, &start)?);
    Ok(())
}

/// What runs is put to sleep, and may be opened again; what does not run has nothing to keep.
fn end(subject: &Subject<'_>, why: &str, script: &mut Script) -> Result<(), Refusal> {
    let (owner, caller, name) = (owner(subject)?, subject.caller(), subject.name());
    let letter = match subject.standing {
        Standing::Over => return Ok(()),
        Standing::Runs => {
            let depth = Depth::Deep;
            Letter::new::<Owner, _>(&owner, &HibernateSandbox { caller, name, depth })?
        }
        Standing::Pooled | Standing::Starts => {
            let why = why.to_owned();
            Letter::new::<Owner, _>(&owner, &StopSandbox { caller, name, why })?
        }
    };
    script.letters.push(letter);
    Ok(())
}

/// The sandboxes that should be gone, by id, with their status: all but the one that each open
/// id has now.
///
/// # Errors
///
/// What the store says.
pub(super) fn overdue(
    store: &dyn Store,
    lives: &Lives,
    overdue: &mut BTreeMap<String, String>,
) -> Result<(), Error> {
    let mut latest: BTreeMap<String, (u64, ActorId)> = BTreeMap::new();
    let mut ended = BTreeSet::new();
    let over = [SandboxStatus::Stopped, SandboxStatus::Error, SandboxStatus::Failed];
    let over = over.map(SandboxStatus::name);
    query::rows_of_kind(store, Sandbox::KIND, |row| {
        let (id, life) = (id_of(row.id.name()), life_number(row.id.name()));
        let is_over = row.status == sexton::DESTROYING || over.contains(&row.status.as_str());
        if is_over || !lives.is_open(TraceKind::Workspace, &id) {
            ended.insert(row.id.clone());
        }
        let is_later = latest.get(&id).is_none_or(|(known, _)| *known < life);
        if is_later {
            latest.insert(id, (life, row.id.clone()));
        }
        overdue.insert(row.id.to_string(), row.status);
        Ok(())
    })?;
    for (_, id) in latest.into_values() {
        if !ended.contains(&id) {
            overdue.remove(id.as_str());
        }
    }
    Ok(())
}

/// What lies on hosts of sandboxes that do not live any more.
///
/// # Errors
///
/// What the store says.
pub(super) fn leaks(
    store: &dyn Store,
    cloud: &SimCloud,
    leaks: &mut Vec<Leak>,
) -> Result<(), Error> {
    let instances = cloud.sandboxes().map(|(of, _)| ("what runs", of));
    let checkpoints = cloud.checkpoints().map(|((of, _), _)| ("a checkpoint", of));
    let copies = cloud.copies().map(|((of, _), _)| ("a copy", of));
    for (what, of) in instances.chain(checkpoints).chain(copies) {
        if !lives(store, of)? {
            let reason = format!("no live actor owns it: {what} of {of}");
            leaks.push(Leak { id: of.to_string(), reason });
        }
    }
    Ok(())
}

fn lives(store: &dyn Store, of: &ActorRef) -> Result<bool, Error> {
    Ok(match query::entry(store, &of.id)? {
        Some(Entry::Alive(record)) => record.incarnation == of.incarnation,
        Some(Entry::Tombstone(_)) | None => false,
    })
}

/// Says that the host of a worker works.
pub(super) fn host(cloud: &mut SimCloud, worker: &ActorId) -> Result<(), ReplayError> {
    let set = cloud.set_host(worker.name(), HostState::Up);
    Ok(set.map_err(super::outside::outside)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_marked_by_a_word_or_by_a_pair() {
        for more in ["sandbox", "sandbox;size=2", "size=2;sandbox", "as=sandbox", "a=b;sandbox=1"] {
            assert!(is_marked(&Info::new(more)), "{more}");
        }
        for more in ["", "sandboxes", "size=sandbox", "as=workspace", "sandbox=no", "capacity"] {
            assert!(!is_marked(&Info::new(more)), "{more}");
        }
    }
}
