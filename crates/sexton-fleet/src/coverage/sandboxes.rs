//! A sandbox, the account that pays for it, and the worker that it runs on.

use std::time::Duration;

use sexton_core::coverage::{Model, Seen};
use sexton_core::{ActorRef, Outcome};

use crate::credit::{Admit, CreditAccount, CreditInit, Debit, Discharge, Metered, Plan};
use crate::fault::Fault;
use crate::owner::{
    AddCredit, HibernateSandbox, MigrateSandbox, Owner, ReserveSandbox, ScaleSandbox, SetPlan,
    StartSandbox, StopSandbox, WakeSandbox,
};
use crate::policy::Policy;
use crate::sandbox::{
    Depth, Exited, Halt, Migrated, MigrationFailed, Resume, Sandbox, SandboxEffect, SandboxExit,
    SandboxInit, SandboxSpec, SandboxStart, SandboxTerms, Scaled, TurnedAway, UNITS_PER_CENT,
    WorkerLost,
};
use crate::sweeps;
use crate::worker::{
    Arrive, Depart, EndWorker, RegistryScan, Worker, WorkerAnswer, WorkerBeat, WorkerEffect,
    WorkerInit, WorkerTerms,
};

use super::{LOST, OWNER, caller, failure, id, is_lost, life, operator};

const HOUR: Duration = Duration::from_secs(3_600);
/// Longer than any of them looks back but by a deadline, which is told apart by when it is due.
const SHORT: Duration = Duration::from_secs(61);
const WORKERS: [&str; 2] = ["w1", "w2"];

/// A sandbox that is started at once, one of the pool, and one that was left behind; it
/// hibernates and migrates at most a few times, and its use is counted once while it runs. Three
/// messages come to each, at any times.
pub fn sandbox(policy: &Policy) -> Model<Sandbox> {
    let terms = SandboxTerms { lifetime: 3 * HOUR, tick: 2 * HOUR, ..SandboxTerms::of(policy) };
    let init = |start| {
        let spec = SandboxSpec { start, worker: WORKERS[0].to_owned(), scale: 1 };
        SandboxInit { owner: OWNER.to_owned(), spec, terms }
    };
    let owner = id::<Owner>(OWNER);
    let model = Model::<Sandbox>::new()
        .holding("a machine's share")
        .birth_of("", owner.clone(), init(SandboxStart::Now))
        .birth_of("for the pool", owner, init(SandboxStart::Pooled))
        .birth_of("left behind", id::<Owner>(LOST), init(SandboxStart::Pooled))
        .buried(is_lost)
        .outcomes(|effect| {
            let both = || vec![Outcome::Done(()), Outcome::Failed(failure(Fault::Network))];
            match effect {
                SandboxEffect::Start { .. }
                | SandboxEffect::Stop { .. }
                | SandboxEffect::Hibernate { .. }
                | SandboxEffect::Wake { .. }
                | SandboxEffect::DeleteCheckpoint { .. }
                | SandboxEffect::Migrate { .. }
                | SandboxEffect::CutOver { .. }
                | SandboxEffect::DeleteCopy { .. } => both(),
            }
        })
        .passing(&["pooled", "reserved", "stopped", "error", "failed"])
        .messages_max(3)
        .debts_max(2)
        .remembering(SHORT)
        // What was used is only counted here, and judged by the account.
        .ignoring(&["total_ms", "closed", "unsent", "debits", "why"])
        .sweeps(sweeps::all(policy))
        .both_nets()
        .every_message()
        .whole_table();
    sandbox_callbacks(sandbox_commands(model))
}

fn name(seen: &Seen<'_, Sandbox>) -> String {
    seen.me().id.name().to_owned()
}

fn sandbox_commands(model: Model<Sandbox>) -> Model<Sandbox> {
    let holder = || "h".to_owned();
    model
        .message::<ReserveSandbox>(move |seen| {
            vec![ReserveSandbox { caller: caller(), name: name(seen), holder: holder() }]
        })
        .message::<StartSandbox>(move |seen| {
            vec![StartSandbox { caller: caller(), name: name(seen), holder: holder() }]
        })
        .message::<StopSandbox>(|seen| {
            vec![StopSandbox { caller: caller(), name: name(seen), why: "over".to_owned() }]
        })
        .message::<HibernateSandbox>(|seen| {
            let (checkpoints, _) = seen.state().n_begun();
            let depths = [Depth::Paused, Depth::Deep].into_iter().filter(|_| checkpoints == 0);
            let hibernate = |depth| HibernateSandbox { caller: caller(), name: name(seen), depth };
            depths.map(hibernate).collect()
        })
        .message::<WakeSandbox>(|seen| {
            let wake = |on| WakeSandbox { caller: caller(), name: name(seen), on };
            vec![wake(None), wake(Some(WORKERS[1].to_owned()))]
        })
        .message::<MigrateSandbox>(|seen| {
            let (_, migrations) = seen.state().n_begun();
            let to = WORKERS.into_iter().filter(|_| migrations == 0).map(str::to_owned);
            to.map(|to| MigrateSandbox { caller: caller(), name: name(seen), to }).collect()
        })
        .message::<ScaleSandbox>(|seen| {
            vec![ScaleSandbox { caller: caller(), name: name(seen), scale: 1 }]
        })
}

/// What hosts, workers and the account say.
fn sandbox_callbacks(model: Model<Sandbox>) -> Model<Sandbox> {
    let why = || "the model says so".to_owned();
    let model = model
        .message::<Exited>(move |seen| {
            let (class, lost) = ("oom".to_owned(), SandboxExit::Lost { why: why() });
            let ends = [SandboxExit::Done, SandboxExit::Failed { class }, lost];
            ends.map(|end| Exited { epoch: seen.epoch(), end }).into()
        })
        .message::<Scaled>(|seen| vec![Scaled { epoch: seen.epoch(), scale: 1 }])
        .message::<Migrated>(|seen| vec![Migrated { epoch: seen.epoch(), migration: 1 }])
        .message::<MigrationFailed>(|seen| {
            vec![MigrationFailed { epoch: seen.epoch(), migration: 1, class: "x".to_owned() }]
        })
        .message_from::<Halt>(id::<CreditAccount>(OWNER), |seen| {
            let (checkpoints, _) = seen.state().n_begun();
            if checkpoints < 2 { vec![Halt { round: 1 }] } else { Vec::new() }
        })
        .message_from::<Resume>(id::<CreditAccount>(OWNER), |_| vec![Resume { round: 1 }]);
    WORKERS.into_iter().fold(model, |model, name| {
        let (me, worker) = (id::<Worker>(name), move || name.to_owned());
        model
            .message_from::<TurnedAway>(me.clone(), move |_| {
                vec![TurnedAway { worker: worker(), why: why() }]
            })
            .message_from::<WorkerLost>(me, move |_| {
                vec![WorkerLost { worker: worker(), why: why() }]
            })
    })
}

/// An account that is spent from its beginning, one that has a cent, and one that was left
/// behind; of two sandboxes, each with two debits.
pub fn credit(policy: &Policy) -> Model<CreditAccount> {
    let init = |cents| {
        let policy = Policy { credit_start_cents: cents, ..policy.clone() };
        CreditInit::of(OWNER, "s1", &policy)
    };
    let owner = id::<Owner>(OWNER);
    let sandboxes = || ["s1", "s2"].map(str::to_owned).into_iter();
    let model = Model::<CreditAccount>::new()
        .birth_of("spent", owner.clone(), init(0))
        .birth_of("with a cent", owner.clone(), init(1))
        .birth_of("left behind", id::<Owner>(LOST), init(1))
        .buried(is_lost)
        .message_from::<Admit>(owner.clone(), move |_| {
            sandboxes().map(|sandbox| Admit { sandbox }).collect()
        })
        .message_from::<Discharge>(owner, move |_| {
            sandboxes().map(|sandbox| Discharge { sandbox }).collect()
        })
        .message::<AddCredit>(|seen| {
            let is_spent = seen.row().record.number("cents") == Some(0);
            let add = AddCredit { caller: operator(), cents: 1, gift: "g".to_owned() };
            if is_spent { vec![add] } else { Vec::new() }
        })
        .message::<SetPlan>(|_| {
            [Plan::Free, Plan::Pro].map(|plan| SetPlan { caller: operator(), plan }).into()
        })
        .asking(|seen| {
            (seen.row().status == "halting")
                .then(|| "his sandboxes that run are asked until none does".to_owned())
        })
        .ignoring(&["used_units", "round"])
        .remembering(SHORT)
        .sweeps(sweeps::all(policy))
        .both_nets()
        .every_message()
        .whole_table();
    ["s1", "s2"].into_iter().fold(model, |model, name| {
        let (me, sandbox) = (id::<Sandbox>(name), move || name.to_owned());
        model
            .message_from::<Metered>(me.clone(), move |_| {
                [true, false].map(|is_running| Metered { sandbox: sandbox(), is_running }).into()
            })
            .message_from::<Debit>(me, move |_| {
                let units = UNITS_PER_CENT;
                [1, 2].map(|number| Debit { sandbox: sandbox(), number, units }).into()
            })
    })
}

/// A worker with two sandboxes, of which one scan may miss each.
pub fn worker(policy: &Policy) -> Model<Worker> {
    let terms =
        WorkerTerms { sandboxes_max: 2, missed_max: 2, losses_max: 1, ..WorkerTerms::of(policy) };
    let model = Model::<Worker>::new()
        .birth("", WorkerInit { owner: OWNER.to_owned(), terms })
        .message::<WorkerBeat>(|seen| {
            [0, 1].map(|late| WorkerBeat { epoch: seen.epoch() + late }).into()
        })
        .message::<EndWorker>(|_| vec![EndWorker { caller: caller(), why: "over".to_owned() }])
        .outcomes(|effect| {
            let mut outcomes = vec![Outcome::Failed(failure(Fault::Network))];
            match effect {
                WorkerEffect::Probe => {
                    let answers = [WorkerAnswer::Exists, WorkerAnswer::Gone];
                    outcomes.extend(answers.map(Outcome::Done));
                }
                WorkerEffect::Scan => {
                    let scanned = |complete, present: Vec<ActorRef>| {
                        let scan = RegistryScan { complete, listed: 3, present };
                        Outcome::Done(WorkerAnswer::Scanned(scan))
                    };
                    let one = || vec![life::<Sandbox>("s1")];
                    outcomes.extend([
                        scanned(false, Vec::new()),
                        scanned(true, Vec::new()),
                        scanned(true, one()),
                    ]);
                }
            }
            outcomes
        })
        .remembering(SHORT)
        .passing(&["active", "gone"])
        .asking(|seen| {
            (seen.row().status == "suspect").then(|| {
                "whoever runs the host lets it be heard, or its provider says that it is gone"
                    .into()
            })
        })
        .sweeps(sweeps::all(policy))
        .both_nets()
        .every_message()
        .whole_table();
    ["s1", "s2", "s3"].into_iter().fold(model, |model, name| {
        let me = || life::<Sandbox>(name);
        model
            .message_from::<Arrive>(me().id, move |_| vec![Arrive { sandbox: me() }])
            .message_from::<Depart>(me().id, move |_| vec![Depart { sandbox: me() }])
    })
}
