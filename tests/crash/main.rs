//! Crash at every operation of the store: pass one counts what a scenario asks of its store, pass
//! two lets each of that go wrong in each way and recovers, pass three lets two go wrong.
//!
//! Goal: wherever a process ends, the next one brings every scenario to its end (G1, G2, G4 to G11):
//! its own assertions hold, nothing that lies in the store is due, the audit holds at every crash
//! and at the end, and the state is that of a telling in which nothing went wrong (G13).
//!
//! The last chapter spoils what the engine writes, and sees it noticed. Seen to fail, too, with
//! the engine itself broken (`tests/mutations.txt`): a child leaves out the notice to its parent
//! that it is gone; a debt is removed at its first attempt; mail stays in the inbox when it was
//! taken; recovery forgets mail; a tombstone leaves the alarm.

mod script;

mod alarms;
mod births;
mod controls;
mod effects;
mod lives;
mod mail;
mod sweeps;
mod trees;

use std::fmt::Write as _;
use std::panic;
use std::sync::Once;

use sexton_sim::Crashed;

use crate::script::Scenario;

/// How many pairs of crashes are tried of one scenario at most. Chosen: all pairs of writes of
/// scenarios with up to sixty of them, and every test takes some seconds.
const PAIRS_MAX: u64 = 3_600;
/// The same for the largest tree, which has several times as many.
const PAIRS_OF_TREE_MAX: u64 = 200;

/// What a group of scenarios tries at least: how many scenarios, single crashes, pairs of them.
struct AtLeast(usize, u64, u64);

const BIRTHS: AtLeast = AtLeast(12, 700, 3_000);
const ALARMS: AtLeast = AtLeast(15, 800, 2_800);
const ONES: AtLeast = AtLeast(6, 250, 750);
const CHAINS: AtLeast = AtLeast(2, 270, 2_300);
const CHILDREN: AtLeast = AtLeast(2, 250, 2_000);
const FAMILIES: AtLeast = AtLeast(4, 400, 2_250);
const HELD_UP: AtLeast = AtLeast(3, 300, 1_800);
const LARGE: AtLeast = AtLeast(1, 500, 300);
const EFFECTS: AtLeast = AtLeast(13, 600, 2_000);
const MAIL: AtLeast = AtLeast(13, 750, 3_200);
const SWEEPS: AtLeast = AtLeast(4, 400, 2_600);
const LIVES: AtLeast = AtLeast(7, 550, 2_900);

/// What all groups together try at least; each holds itself to its own line.
const ALL: [AtLeast; 12] = [
    BIRTHS, ALARMS, ONES, CHAINS, CHILDREN, FAMILIES, HELD_UP, LARGE, EFFECTS, MAIL, SWEEPS, LIVES,
];

/// Crashes every scenario of a group everywhere. Returns a table of what was tried.
fn crash(scenarios: &[Scenario], pairs_max: u64, at_least: &AtLeast) -> String {
    quietly();
    let mut table = String::from("operations: writes + reads | singles | pairs | scenario\n");
    let mut all = Crashed::default();
    let mut failed = String::new();
    for scenario in scenarios {
        match scenario.crash(pairs_max) {
            Ok(it) => {
                let Crashed { writes, reads, singles, pairs, .. } = it;
                let name = scenario.name;
                writeln!(table, "{writes:4} + {reads:4} | {singles:5} | {pairs:6} | {name}")
                    .expect("a text");
                all.singles += singles;
                all.pairs += pairs;
            }
            Err(error) => writeln!(failed, "{}: {error}", scenario.name).expect("a text"),
        }
    }
    let n = scenarios.len();
    writeln!(table, "{n} scenarios, {} singles, {} pairs", all.singles, all.pairs).expect("a text");
    assert!(failed.is_empty(), "{failed}");
    let AtLeast(scenarios, singles, pairs) = *at_least;
    assert!(n >= scenarios && all.singles >= singles && all.pairs >= pairs, "{table}");
    table
}

/// Leaves out the panics of machines that are told to: there are thousands.
fn quietly() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |it| {
            let is_told = it.location().is_some_and(|at| at.file().ends_with("machine.rs"));
            if !is_told {
                before(it);
            }
        }));
    });
}

#[test]
fn births_end_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&births::all(), PAIRS_MAX, &BIRTHS));
}

#[test]
fn alarms_ring_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&alarms::all(), PAIRS_MAX, &ALARMS));
}

#[test]
fn whoever_goes_goes_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&trees::ones(), PAIRS_MAX, &ONES));
}

#[test]
fn families_go_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&trees::families()[4..], PAIRS_MAX, &FAMILIES));
}

#[test]
fn chains_go_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&trees::families()[..2], PAIRS_MAX, &CHAINS));
}

#[test]
fn children_go_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&trees::families()[2..4], PAIRS_MAX, &CHILDREN));
}

#[test]
fn whoever_is_held_up_goes_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&trees::held_up(), PAIRS_MAX, &HELD_UP));
}

#[test]
fn a_large_tree_goes_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&[trees::tree()], PAIRS_OF_TREE_MAX, &LARGE));
}

#[test]
fn effects_are_paid_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&effects::all(), PAIRS_MAX, &EFFECTS));
}

#[test]
fn mail_is_taken_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&mail::all(), PAIRS_MAX, &MAIL));
}

#[test]
fn sweeps_pass_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&sweeps::all(), PAIRS_MAX, &SWEEPS));
}

#[test]
fn later_lives_and_newer_programs_go_on_as_if_nothing_had_gone_wrong() {
    println!("{}", crash(&lives::all(), PAIRS_MAX, &LIVES));
}

#[test]
fn stopped_after_any_commit_it_ends_as_if_never_stopped() {
    let crashed = trees::family().crash(0).expect("it holds");
    assert!(crashed.commits > 25 && crashed.singles > 4 * crashed.commits, "{crashed:?}");
}

#[test]
fn stopped_again_while_it_recovers_it_ends_as_if_never_stopped() {
    let crashed = trees::family().crash(PAIRS_MAX).expect("it holds");
    assert!(crashed.pairs > crashed.writes * crashed.writes, "{crashed:?}");
}

#[test]
fn enough_is_tried() {
    let total = |of: fn(&AtLeast) -> u64| ALL.iter().map(of).sum::<u64>();
    assert!(ALL.iter().map(|it| it.0).sum::<usize>() >= 40);
    assert!(total(|it| it.1) >= 2_000);
    assert!(total(|it| it.2) >= 20_000);
}
