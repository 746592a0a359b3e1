//! A specification of the runtime in plain words of the language: what a turn may lead to.
//!
//! It shares no code with what it specifies and imports nothing of it. Given what an actor is and
//! what comes to it, it says everything that the actor may be afterwards and everything that it
//! sends; whatever else the runtime does is wrong. It knows nothing of keys, batches or engines.

use std::collections::BTreeMap;

/// What can be asked of the scripted actors, by a call or by a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Count so many more.
    Add(u64),
    /// Send somebody the same wish.
    Tell(String, u64),
    /// Have a child of that name.
    Beget(String),
    /// Count so many more at that moment.
    Remind(i64, u64),
    /// Be reminded then, and refuse each time.
    Nag(i64),
    /// Be reminded of nothing any more.
    Forget,
    /// Owe an effect more.
    Owe,
    /// Go to that phase.
    Go(Phase),
    /// Change everything, then refuse or fall over.
    Spoil,
    /// Go away for good.
    Die,
}

/// The phases, in the order of their table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Idle,
    Busy,
    Spent,
}

/// What lies in an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Letter {
    Wish(Wish),
    /// Be born, as a child of the sender.
    Birth(String),
    /// Go, from that parent.
    End(String),
    /// A child is gone, or never was.
    Gone,
    /// The runtime's own: go on with what was begun.
    GoOn,
}

/// What comes to an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Birth,
    Wish(Wish),
    End,
    Letter(Letter),
    Alarm,
    /// The effect was done, or failed for good.
    Outcome(bool),
    /// An operator gives up an effect, if it is owed.
    GivenUp,
    /// Nothing that concerns its state: a failure that may pass, an operator.
    Other,
}

/// What an actor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Being {
    Alive(Life),
    Buried,
}

/// How far its end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Not,
    Begun,
    /// What it holds is being released.
    Released,
}

/// A life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) parent: Option<String>,
    pub(crate) count: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) gone: u64,
    pub(crate) phase: Phase,
    /// When, how many, and whether it will refuse.
    pub(crate) reminders: Vec<(i64, u64, bool)>,
    /// Effects that are not settled.
    pub(crate) owes: usize,
    pub(crate) end: End,
}

impl Life {
    fn new(parent: Option<String>) -> Self {
        Self {
            parent,
            count: 0,
            done: 0,
            failed: 0,
            gone: 0,
            phase: Phase::Idle,
            reminders: Vec::new(),
            owes: 1,
            end: End::Not,
        }
    }

    /// The same, whose end has begun at the latest now.
    fn ending(&self) -> Self {
        let end = if self.end == End::Not { End::Begun } else { self.end };
        Self { end, ..self.clone() }
    }
}

/// What may follow: what it is then, and what it sends to whom.
pub(crate) type After = (Option<Being>, Vec<(String, Letter)>);

/// All actors that ever were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    beings: BTreeMap<String, Being>,
}

impl Model {
    pub(crate) fn get(&self, name: &str) -> Option<&Being> {
        self.beings.get(name)
    }

    pub(crate) fn set(&mut self, name: &str, being: Option<Being>) {
        match being {
            Some(being) => self.beings.insert(name.to_owned(), being),
            None => self.beings.remove(name),
        };
    }

    /// Everything that may follow when this comes to that actor at that moment.
    pub(crate) fn after(&self, name: &str, now: i64, input: &Input) -> Vec<After> {
        match self.beings.get(name) {
            None => vec![unborn(name, input)],
            // Nothing that arrives at a tombstone changes anything.
            Some(Being::Buried) => vec![(Some(Being::Buried), Vec::new())],
            Some(Being::Alive(life)) => {
                let next = alive((name, life), now, input);
                next.into_iter().flat_map(go_on).collect()
            }
        }
    }
}

fn unborn(name: &str, input: &Input) -> After {
    let born = |parent| (Some(Being::Alive(Life::new(parent))), Vec::new());
    match input {
        Input::Birth => born(None),
        Input::Letter(Letter::Birth(parent)) if parent != name => born(Some(parent.clone())),
        Input::Wish(_)
        | Input::End
        | Input::Letter(_)
        | Input::Alarm
        | Input::Outcome(_)
        | Input::GivenUp
        | Input::Other => (None, Vec::new()),
    }
}

/// What an actor that lives may be next, before its destruction goes on.
fn alive(of: (&str, &Life), now: i64, input: &Input) -> Vec<(Life, Vec<(String, Letter)>)> {
    let (name, life) = of;
    let as_it_was = || vec![(life.clone(), Vec::new())];
    match input {
        Input::Wish(wish) | Input::Letter(Letter::Wish(wish)) if life.end == End::Not => {
            wished((name, life), now, wish).map_or_else(as_it_was, |after| vec![after])
        }
        Input::End => vec![(life.ending(), Vec::new())],
        Input::Letter(Letter::End(from)) => {
            let is_parent = life.parent.as_ref() == Some(from);
            let next = if is_parent { life.ending() } else { life.clone() };
            vec![(next, Vec::new())]
        }
        // Of those that are due any may be first; one that refuses leaves all as it was.
        Input::Alarm if life.end == End::Not => {
            let due = life.reminders.iter().enumerate().filter(|(_, (at, ..))| *at <= now);
            due.map(|(index, (_, more, refuses))| {
                (rung(life, index, (*more, *refuses)), Vec::new())
            })
            .collect()
        }
        Input::Outcome(is_done) => {
            let (done, failed) = (u64::from(*is_done), u64::from(!*is_done));
            let mut next = life.clone();
            next.done += done;
            next.failed += failed;
            next.owes = life.owes.saturating_sub(1);
            // A release that fails for good stays owed, and nobody hears of it.
            let kept = if *is_done { Vec::new() } else { as_it_was() };
            [vec![(next, Vec::new())], kept].concat()
        }
        Input::GivenUp => {
            let next = Life { owes: life.owes.saturating_sub(1), ..life.clone() };
            vec![(next, Vec::new()), (life.clone(), Vec::new())]
        }
        Input::Letter(Letter::Gone) => {
            vec![(Life { gone: life.gone + 1, ..life.clone() }, Vec::new())]
        }
        Input::Birth
        | Input::Wish(_)
        | Input::Alarm
        | Input::Letter(Letter::Wish(_) | Letter::Birth(_) | Letter::GoOn)
        | Input::Other => as_it_was(),
    }
}

fn rung(life: &Life, index: usize, reminder: (u64, bool)) -> Life {
    let mut next = life.clone();
    let (more, refuses) = reminder;
    if !refuses {
        next.reminders.remove(index);
        next.count += more;
    }
    next
}

/// What granting a wish leads to; `None` if it is refused.
fn wished(of: (&str, &Life), now: i64, wish: &Wish) -> Option<(Life, Vec<(String, Letter)>)> {
    let (name, life) = of;
    let mut next = life.clone();
    let mut sent = Vec::new();
    match wish {
        Wish::Add(more) => next.count += more,
        Wish::Tell(to, more) => sent.push((to.clone(), Letter::Wish(Wish::Add(*more)))),
        Wish::Beget(child) => sent.push((child.clone(), Letter::Birth(name.to_owned()))),
        Wish::Remind(after, more) => next.reminders.push((now + after, *more, false)),
        Wish::Nag(after) => next.reminders.push((now + after, 0, true)),
        Wish::Forget => next.reminders.clear(),
        Wish::Owe => next.owes += 1,
        Wish::Go(to) => {
            let is_in_table = matches!(
                (life.phase, to),
                (Phase::Idle, Phase::Busy) | (Phase::Busy, Phase::Idle | Phase::Spent)
            );
            if life.phase != *to && !is_in_table {
                return None;
            }
            next.phase = *to;
        }
        Wish::Spoil => return None,
        Wish::Die => next = life.ending(),
    }
    Some((next, sent))
}

/// A destruction goes on by itself: it releases once, and buries when nothing is owed.
fn go_on(from: (Life, Vec<(String, Letter)>)) -> Vec<After> {
    let (life, sent) = from;
    let mut after = vec![(Some(Being::Alive(life.clone())), sent.clone())];
    match life.end {
        End::Begun => {
            let released = Life { end: End::Released, owes: life.owes + 1, ..life };
            after.push((Some(Being::Alive(released)), sent));
        }
        End::Released if life.owes == 0 => after.push((Some(Being::Buried), sent)),
        End::Not | End::Released => {}
    }
    after
}
