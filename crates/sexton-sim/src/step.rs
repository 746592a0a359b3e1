//! What a simulation can do next, as one line of text each: a run is a list of these.
//!
//! A step says all that chance decided, so a list is played again without any chance; a step that
//! cannot be done where it stands is passed over. That is what makes a list shrinkable.

use std::fmt;
use std::str::FromStr;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Somebody asks something; the scenario makes it from this number.
    Ask(u64),
    /// An engine takes what lies in its mailbox next: a request, mail from another engine, an
    /// answer, a switch.
    Take(u16),
    /// An engine does what is due next: a mail, an alarm.
    Turn(u16),
    /// An engine hands out the effects that are due.
    Hand(u16),
    /// One of the effects that were handed out is performed, and this becomes of it.
    Begin(u64, Fate),
    /// One of the answers that are under way arrives in its mailbox.
    Answer(u64),
    /// An engine works for as long as a host lets it at once: several turns, then effects.
    Slice(u16),
    /// All that was submitted is made durable.
    Flush,
    /// The store is slow: no flush ends within so many steps.
    Slow(u64),
    /// The flush fails: nobody knows what the disk holds. The process ends, so many of the
    /// batches since the last flush survive.
    FailFlush(u64),
    /// The process is killed; so many of the batches since the last flush survive.
    Crash(u64),
    /// The store cannot be read once, in the middle of an engine's next thing; the process ends.
    FailRead(u16, u64),
    /// A process that was taken for dead goes on for one turn, and tries to write it; all of its
    /// engines in turn, until one has something to write.
    Ghost,
    /// The sweep with this number passes, if it is time.
    Pass(u64),
    /// A sweep's look at the store fails on its way, after so many reads.
    FailPass(u64, u64),
    /// Nothing happens until something is due.
    Wait,
    /// The clock goes on, or back, by so many milliseconds.
    Jump(i64),
    /// Every actor leaves the memory of its engine.
    Evict,
    /// A switch is turned.
    Switch(Lever),
    /// The process ends in order, and the next version of the program goes on, or the last again.
    Upgrade,
}

/// What becomes of an effect that is performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done, and the answer says so.
    Done,
    /// It is done, and the answer is lost: a timeout says nothing of it.
    Lost,
    /// It is not done, for a reason that may pass.
    Transient,
    /// It is not done, and never will be.
    Permanent,
    /// It is done, and the answer comes twice.
    Twice,
    /// It is done, and the answer comes so many milliseconds later.
    Late(u64),
}

/// What an operator can turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lever {
    /// No alarm rings.
    AlarmsOff,
    /// Alarms ring.
    AlarmsOn,
    /// No effect is handed out.
    EffectsOff,
    /// Effects are handed out.
    EffectsOn,
}

impl Step {
    /// How many batches survive if the process ends at this step, where that is decided here.
    pub(crate) fn survivors(&self) -> Option<u64> {
        match self {
            Self::FailFlush(kept) | Self::FailRead(_, kept) | Self::Crash(kept) => Some(*kept),
            Self::Ask(_)
            | Self::Take(_)
            | Self::Turn(_)
            | Self::Hand(_)
            | Self::Begin(..)
            | Self::Slice(_)
            | Self::Answer(_)
            | Self::Flush
            | Self::Slow(_)
            | Self::Ghost
            | Self::Pass(_)
            | Self::FailPass(..)
            | Self::Wait
            | Self::Jump(_)
            | Self::Evict
            | Self::Switch(_)
            | Self::Upgrade => None,
        }
    }
}

impl Fate {
    const PLAIN: [(Self, &'static str); 5] = [
        (Self::Done, "done"),
        (Self::Lost, "lost"),
        (Self::Transient, "transient"),
        (Self::Permanent, "permanent"),
        (Self::Twice, "twice"),
    ];
}

impl Lever {
    const ALL: [(Self, &'static str); 4] = [
        (Self::AlarmsOff, "alarms-off"),
        (Self::AlarmsOn, "alarms-on"),
        (Self::EffectsOff, "effects-off"),
        (Self::EffectsOn, "effects-on"),
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(n) => write!(f, "ask {n}"),
            Self::Turn(part) => write!(f, "turn {part}"),
            Self::Take(part) => write!(f, "take {part}"),
            Self::Hand(part) => write!(f, "hand {part}"),
            Self::Slice(part) => write!(f, "slice {part}"),
            Self::Begin(n, Fate::Late(ms)) => write!(f, "begin {n} late {ms}"),
            Self::Begin(n, fate) => {
                let name = Fate::PLAIN.iter().find(|(it, _)| it == fate).map_or("done", |it| it.1);
                write!(f, "begin {n} {name}")
            }
            Self::Answer(n) => write!(f, "answer {n}"),
            Self::Flush => f.write_str("flush"),
            Self::Slow(steps) => write!(f, "slow {steps}"),
            Self::FailFlush(kept) => write!(f, "fail-flush {kept}"),
            Self::Crash(kept) => write!(f, "crash {kept}"),
            Self::FailRead(part, after) => write!(f, "fail-read {part} {after}"),
            Self::Ghost => f.write_str("ghost"),
            Self::Pass(n) => write!(f, "pass {n}"),
            Self::FailPass(n, after) => write!(f, "fail-pass {n} {after}"),
            Self::Wait => f.write_str("wait"),
            Self::Jump(ms) => write!(f, "jump {ms}"),
            Self::Evict => f.write_str("evict"),
            Self::Switch(lever) => {
                let name = Lever::ALL.iter().find(|(it, _)| it == lever).map_or("", |it| it.1);
                write!(f, "switch {name}")
            }
            Self::Upgrade => f.write_str("upgrade"),
        }
    }
}

/// A line that is no step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no step of a simulation")]
pub struct NoStep(String);

impl FromStr for Step {
    type Err = NoStep;

    fn from_str(line: &str) -> Result<Self, NoStep> {
        let words: Vec<&str> = line.split_whitespace().collect();
        read(&words).ok_or_else(|| NoStep(line.to_owned()))
    }
}

fn read(words: &[&str]) -> Option<Step> {
    Some(match words {
        ["ask", n] => Step::Ask(n.parse().ok()?),
        ["turn", part] => Step::Turn(part.parse().ok()?),
        ["take", part] => Step::Take(part.parse().ok()?),
        ["hand", part] => Step::Hand(part.parse().ok()?),
        ["slice", part] => Step::Slice(part.parse().ok()?),
        ["begin", n, "late", ms] => Step::Begin(n.parse().ok()?, Fate::Late(ms.parse().ok()?)),
        ["begin", n, fate] => {
            let fate = Fate::PLAIN.iter().find(|(_, name)| name == fate)?.0;
            Step::Begin(n.parse().ok()?, fate)
        }
        ["answer", n] => Step::Answer(n.parse().ok()?),
        ["flush"] => Step::Flush,
        ["slow", steps] => Step::Slow(steps.parse().ok()?),
        ["fail-flush", kept] => Step::FailFlush(kept.parse().ok()?),
        ["crash", kept] => Step::Crash(kept.parse().ok()?),
        ["fail-read", part, after] => Step::FailRead(part.parse().ok()?, after.parse().ok()?),
        ["ghost"] => Step::Ghost,
        ["pass", n] => Step::Pass(n.parse().ok()?),
        ["fail-pass", n, after] => Step::FailPass(n.parse().ok()?, after.parse().ok()?),
        ["wait"] => Step::Wait,
        ["jump", ms] => Step::Jump(ms.parse().ok()?),
        ["evict"] => Step::Evict,
        ["switch", lever] => Step::Switch(Lever::ALL.iter().find(|(_, name)| name == lever)?.0),
        ["upgrade"] => Step::Upgrade,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_can_be_written_and_read() {
        let mut steps = vec![
            Step::Ask(u64::MAX),
            Step::Turn(2),
            Step::Take(0),
            Step::Hand(1),
            Step::Slice(1),
            Step::Begin(1, Fate::Late(70)),
            Step::Answer(3),
            Step::Flush,
            Step::Slow(30),
            Step::FailFlush(9),
            Step::Crash(0),
            Step::FailRead(1, 7),
            Step::Ghost,
            Step::Pass(4),
            Step::FailPass(4, 2),
            Step::Wait,
            Step::Jump(-5),
            Step::Evict,
            Step::Upgrade,
        ];
        steps.extend(Fate::PLAIN.iter().map(|(fate, _)| Step::Begin(0, *fate)));
        steps.extend(Lever::ALL.iter().map(|(lever, _)| Step::Switch(*lever)));
        for step in steps {
            assert_eq!(step.to_string().parse(), Ok(step));
        }
        let error = "crash soon".parse::<Step>().unwrap_err();
        assert_eq!(error.to_string(), "`crash soon` is no step of a simulation");
    }
}
