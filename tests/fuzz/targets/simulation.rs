//! Any order of steps: scripted actors under faults, each turn held against the model.
//!
//! The bytes are the steps, where a seed would have chosen them: what chance draws seldom, such as
//! three crashes in a row, is one change of an input away.

use sexton_sim::{Fate, Lever, Probes, Step, replay, shrink};

use crate::input::Input;

/// The most steps of an input. Chosen: a run costs some milliseconds.
const STEPS_MAX: usize = 120;
/// The most lists that are tried to make a failure short.
const TRIES_MAX: u32 = 400;

/// Plays the bytes as steps; panics with the shortened list if a promise breaks.
pub fn simulation(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let parts = 1 + u16::from(input.byte() % 3);
    let mut steps = Vec::new();
    while !input.is_empty() && steps.len() < STEPS_MAX {
        steps.push(step(&mut input));
    }
    let run = replay(&mut Probes::new(), parts, &steps, &mut |_| ());
    if run.failure.is_some() {
        let short = shrink(&|| Box::new(Probes::new()), &run, TRIES_MAX);
        let steps = short.as_ref().map_or(&run.steps, |short| &short.steps);
        let lines: Vec<String> = steps.iter().map(ToString::to_string).collect();
        let broken = short.as_ref().map(|short| &short.failure).or(run.failure.as_ref());
        let broken = broken.map(ToString::to_string).unwrap_or_default();
        let text = lines.join("\n");
        assert!(run.is_clean(), "{broken}\nwith {parts} engines, after these steps:\n{text}");
    }
    run.turns > 0
}

/// The step that the next bytes say; the more common ones are said by more bytes.
fn step(input: &mut Input<'_>) -> Step {
    let what = input.byte();
    let number = u64::from(input.byte());
    let part = u16::from(what % 3);
    match what {
        // The scenario makes what is asked from a number: few of them, so that actors meet.
        0..=79 => Step::Ask((u64::from(what) << 8) | number),
        80..=119 => Step::Turn(part),
        120..=149 => Step::Take(part),
        150..=159 => Step::Hand(part),
        160..=183 => Step::Begin(number, fate(number, input)),
        184..=203 => Step::Answer(number),
        204..=219 => Step::Flush,
        220..=229 => Step::Wait,
        230..=235 => Step::Crash(number % 12),
        236..=238 => Step::FailFlush(number % 12),
        239..=241 => Step::FailRead(part, number % 12),
        242..=244 => Step::Jump(jump(number)),
        245..=247 => Step::Ghost,
        248 | 249 => Step::Evict,
        250..=253 => Step::Switch(
            [Lever::AlarmsOff, Lever::AlarmsOn, Lever::EffectsOff, Lever::EffectsOn]
                [usize::from(what - 250)],
        ),
        _ => Step::Upgrade,
    }
}

fn fate(number: u64, input: &mut Input<'_>) -> Fate {
    match number % 8 {
        0 => Fate::Lost,
        1 => Fate::Transient,
        2 => Fate::Permanent,
        3 => Fate::Twice,
        4 => Fate::Late(u64::from(input.short()) * 10),
        _ => Fate::Done,
    }
}

/// Up to two hours, on or back.
fn jump(number: u64) -> i64 {
    let ms = i64::try_from(number >> 1).unwrap_or(0) * 56_000;
    if number.is_multiple_of(2) { ms } else { -ms }
}
