//! A list of steps that breaks a promise, made short: what can be left out is left out.
//!
//! # Algorithm
//!
//! Delta debugging (Zeller, Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002):
//! ever smaller pieces of the list are left out as long as the same promise still breaks.

use sexton::audit::Broken;

use crate::run::{Run, replay};
use crate::scenario::Scenario;
use crate::step::Step;

/// A list from which no piece can be left out any more, or which was tried often enough.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The steps.
    pub steps: Vec<Step>,
    /// The promise that they break.
    pub failure: Broken,
    /// How often a list was tried.
    pub tries: u32,
}

/// Makes the list of a failed run short, with at most so many tries; `None` if the run did not
/// fail, or does not fail when it is played again (then the scenario is not deterministic).
pub fn shrink(
    scenario: &dyn Fn() -> Box<dyn Scenario>,
    run: &Run,
    tries_max: u32,
) -> Option<Shrunk> {
    let promise = run.failure.as_ref()?.promise;
    let fails = |steps: &[Step]| {
        let again = replay(scenario().as_mut(), run.parts, steps, &mut |_| ());
        let is_same = again.failure.as_ref().is_some_and(|failure| failure.promise == promise);
        is_same.then_some(again)
    };
    let mut best = fails(&run.steps)?;
    let mut tries = 1;
    let mut piece = best.steps.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut is_shorter = false;
        while at < best.steps.len() && tries < tries_max {
            let end = (at + piece).min(best.steps.len());
            let rest = [&best.steps[..at], &best.steps[end..]].concat();
            tries += 1;
            match fails(&rest) {
                Some(shorter) if shorter.steps.len() < best.steps.len() => {
                    best = shorter;
                    is_shorter = true;
                }
                Some(_) | None => at = end,
            }
        }
        if tries >= tries_max || (piece == 1 && !is_shorter) {
            break;
        }
        piece = if piece == 1 { 1 } else { piece.div_ceil(2) };
    }
    Some(Shrunk { steps: best.steps, failure: best.failure?, tries })
}
