//! In which of the visited states an actor can stay for ever, and what else is wrong.
//!
//! The outside world is silent now: no message comes any more. What is left moves fairly: a
//! deadline that stays pending rings, a debt is answered some day, a sweep passes. But how a debt
//! ends is the worst case, each time. So an actor can stay in a set of states for ever if it can
//! go round in them and nothing that is possible in all of them always leads out.

use std::collections::{BTreeMap, BTreeSet};

use crate::actor::Actor;
use crate::status::Status;

use super::explore::{Force, Graph, Move, Spot, Trouble, explore};
use super::model::{Demand, Model};
use super::report::{Cause, Coverage, Edge, Finding, Flaw, Left, Mark, Net};

/// Which nets are under the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nets {
    Both,
    Only(Net),
}

pub(super) fn judge<A: Actor>(model: &Model<A>) -> Coverage {
    let graph = explore(model);
    let mut judge = Judge { model, graph: &graph, findings: Vec::new() };
    let gaps = judge.gaps(Nets::Both, &BTreeSet::new());
    for net in [Net::Deadlines, Net::Sweeps] {
        // What was never given a second net is not said to lack it, unless that is demanded.
        let is_asked = !model.sweeps.is_empty() || model.demands.contains(&Demand::BothNets);
        if is_asked {
            judge.gaps(Nets::Only(net), &gaps);
        }
    }
    judge.polls();
    judge.troubles();
    judge.statuses();
    judge.messages();
    judge.idle_sweeps();
    judge.cut();
    let mut findings = judge.findings;
    findings.sort_by(|a, b| (!a.is_error, a.flaw, &a.about).cmp(&(!b.is_error, b.flaw, &b.about)));
    let left = graph.spots.iter().filter_map(|spot| {
        let why = spot.left.clone().or_else(|| spot.asks.clone())?;
        Some(Left { status: spot.status.to_owned(), why })
    });
    Coverage {
        kind: A::KIND.to_owned(),
        states: graph.spots.len(),
        statuses: A::Status::ALL.iter().map(|status| mark(*status, &graph)).collect(),
        edges: graph.edges.iter().cloned().collect(),
        findings,
        left: left.collect::<BTreeSet<Left>>().into_iter().collect(),
        complete: !graph.is_cut,
    }
}

fn mark<S: Status>(status: S, graph: &Graph) -> Mark {
    let marks = [
        ("holds", status.holds_resources()),
        ("billable", status.is_billable()),
        ("terminal", status.is_terminal()),
    ];
    Mark {
        status: status.name().to_owned(),
        marks: marks.iter().filter(|(_, has)| *has).map(|(mark, _)| (*mark).to_owned()).collect(),
        states: graph.spots.iter().filter(|spot| spot.status == status.name()).count(),
    }
}

struct Judge<'a, A: Actor> {
    model: &'a Model<A>,
    graph: &'a Graph,
    findings: Vec<Finding>,
}

impl<A: Actor> Judge<'_, A> {
    fn is_holding(spot: &Spot) -> bool {
        let status = A::Status::ALL.iter().find(|status| status.name() == spot.status);
        status.is_some_and(|status| status.holds_resources() && !status.is_terminal())
    }

    /// Whether it must be left some day.
    fn must_end(&self, spot: &Spot) -> bool {
        let is_passing = self.model.passing.contains(spot.status);
        Self::is_holding(spot) || is_passing || spot.asks.is_some()
    }

    fn spot(&self, at: usize) -> &Spot {
        &self.graph.spots[at]
    }

    /// The moves of a state that need nobody outside, with these nets.
    fn own_moves(&self, at: usize, nets: Nets) -> Vec<&Move> {
        let moves = &self.graph.moves[at];
        let first = |force| {
            let of_it = moves.iter().filter(|it| it.force == force && it.is_settled);
            of_it.map(|it| it.delay_ms).min().unwrap_or(i64::MAX)
        };
        // A sweep that would only come after something else moved on does not count.
        let sweeps_until = match nets {
            Nets::Both => first(Force::Deadline).min(first(Force::Sweep)),
            Nets::Only(_) => first(Force::Sweep),
        };
        let is_own = |it: &&Move| match it.force {
            Force::Outside => false,
            Force::Owed => true,
            Force::Deadline => nets != Nets::Only(Net::Sweeps),
            Force::Sweep => nets != Nets::Only(Net::Deadlines) && it.delay_ms <= sweeps_until,
        };
        moves.iter().filter(is_own).collect()
    }

    /// The statuses in which something can be held for ever.
    fn gaps(&mut self, nets: Nets, known: &BTreeSet<&'static str>) -> BTreeSet<&'static str> {
        let is_inside = |at: usize| {
            let spot = self.spot(at);
            self.must_end(spot) && spot.left.is_none() && !known.contains(spot.status)
        };
        let mut found: BTreeMap<&'static str, (usize, String)> = BTreeMap::new();
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        for part in self.parts(nets, &is_inside) {
            let Some(stay) = self.stay(nets, &part) else { continue };
            // The states are numbered in the order of their distance from birth.
            let Some(first) = part.iter().min() else { continue };
            let status = self.spot(*first).status;
            *counts.entry(status).or_default() += part.len();
            let entry = found.entry(status).or_insert((*first, String::new()));
            if entry.1.is_empty() || *first < entry.0 {
                *entry = (*first, self.say(nets, *first, &stay));
            }
        }
        let is_demanded = self.model.demands.contains(&Demand::BothNets);
        for (status, (first, why)) in &found {
            let states = match counts.get(status) {
                Some(1) | None => String::new(),
                Some(n) => format!(" ({n} states)"),
            };
            let (flaw, is_error) = match nets {
                Nets::Both => (Flaw::Gap, true),
                Nets::Only(net) => (Flaw::GapWithOnly(net), is_demanded),
            };
            self.findings.push(Finding {
                flaw,
                about: (*status).to_owned(),
                path: self.graph.path(*first),
                why: format!("{why}{states}"),
                is_error,
            });
        }
        found.into_keys().collect()
    }

    /// Sets of states in which each can reach each, among those that are inside.
    fn parts(&self, nets: Nets, is_inside: &dyn Fn(usize) -> bool) -> Vec<BTreeSet<usize>> {
        let next = |at: usize| -> Vec<usize> {
            let moves = self.own_moves(at, nets);
            moves.iter().filter_map(|it| it.to).filter(|to| is_inside(*to)).collect()
        };
        let inside: Vec<usize> = (0..self.graph.spots.len()).filter(|at| is_inside(*at)).collect();
        let forth: BTreeMap<usize, Vec<usize>> = inside.iter().map(|at| (*at, next(*at))).collect();
        strongly_connected(&forth)
    }

    /// How it can stay in these states for ever; `None` if it cannot.
    fn stay(&self, nets: Nets, part: &BTreeSet<usize>) -> Option<Stay> {
        let mut causes = BTreeSet::new();
        let mut inside = BTreeSet::new();
        let mut always: Option<BTreeSet<(Force, &str)>> = None;
        for at in part {
            let moves = self.own_moves(*at, nets);
            for it in moves.iter().filter(|it| it.to.is_some_and(|to| part.contains(&to))) {
                causes.insert(it.cause.clone());
                inside.insert((it.force, it.mover.as_str()));
            }
            let here = moves.iter().map(|it| (it.force, it.mover.as_str())).collect();
            always = Some(match always {
                None => here,
                Some(before) => before.intersection(&here).copied().collect(),
            });
        }
        let always = always.unwrap_or_default();
        if causes.is_empty() {
            // One state that nothing leads back to: it stays only if nothing leads out either.
            return always.is_empty().then_some(Stay::Stuck);
        }
        let is_forced = always.iter().any(|mover| !inside.contains(mover));
        // Who asks somebody else goes round on purpose, as long as it is he who makes the moves.
        let is_asking = part.iter().all(|at| self.spot(*at).asks.is_some())
            && inside.iter().any(|(force, _)| [Force::Deadline, Force::Sweep].contains(force));
        (!is_forced && !is_asking).then_some(Stay::Round(causes))
    }

    fn say(&self, nets: Nets, at: usize, stay: &Stay) -> String {
        let spot = self.spot(at);
        let holds = match &spot.asks {
            Some(whom) if !Self::is_holding(spot) => format!("must keep asking ({whom})"),
            None if !Self::is_holding(spot) => "must pass".to_owned(),
            Some(_) | None => format!("holds {}", self.model.what),
        };
        let alone = match nets {
            Nets::Both => "",
            Nets::Only(Net::Deadlines) => "without sweeps, ",
            Nets::Only(Net::Sweeps) => "without alarms, ",
        };
        match stay {
            Stay::Round(causes) => {
                let causes: Vec<String> = causes.iter().map(Cause::to_string).collect();
                format!("{alone}{holds} for ever, round and round by {}", causes.join(", "))
            }
            Stay::Stuck => {
                let vain = |force, none: &str| {
                    let of_it = spot.vain.iter().filter(|(it, _)| *it == force);
                    let said: Vec<&str> = of_it.map(|(_, what)| what.as_str()).collect();
                    if said.is_empty() { none.to_owned() } else { said.join(", ") }
                };
                let mut reasons = Vec::new();
                if nets != Nets::Only(Net::Sweeps) {
                    reasons.push(vain(Force::Deadline, "no deadline"));
                }
                reasons.push(vain(Force::Owed, "no debt"));
                if nets != Nets::Only(Net::Deadlines) {
                    reasons.push(vain(Force::Sweep, "no sweep selects it"));
                }
                format!("{alone}{holds}; {}", reasons.join(", "))
            }
        }
    }

    /// Deadlines that follow each other for ever where nothing is held.
    fn polls(&mut self) {
        let is_inside = |at: usize| {
            let spot = self.spot(at);
            !self.must_end(spot) && spot.left.is_none()
        };
        let mut found: BTreeMap<&'static str, Finding> = BTreeMap::new();
        for part in self.parts(Nets::Both, &is_inside) {
            let Some(Stay::Round(causes)) = self.stay(Nets::Both, &part) else { continue };
            let is_poll = causes.iter().any(|cause| matches!(cause, Cause::Deadline(_)));
            let Some(first) = part.iter().min().filter(|_| is_poll) else { continue };
            let causes: Vec<String> = causes.iter().map(Cause::to_string).collect();
            let status = self.spot(*first).status;
            found.entry(status).or_insert_with(|| Finding {
                flaw: Flaw::Polls,
                about: status.to_owned(),
                path: self.graph.path(*first),
                why: format!("is never quiet: {} for ever", causes.join(", ")),
                is_error: true,
            });
        }
        self.findings.extend(found.into_values());
    }

    fn troubles(&mut self) {
        for ((flaw, about), Trouble { at, last, why }) in &self.graph.troubles {
            let mut path = at.map(|at| self.graph.path(at)).unwrap_or_default();
            path.extend(last.clone());
            self.findings.push(Finding {
                flaw: *flaw,
                about: about.clone(),
                path,
                why: why.clone(),
                is_error: true,
            });
        }
    }

    /// The table against what was reached.
    fn statuses(&mut self) {
        let is_error = self.model.demands.contains(&Demand::WholeTable);
        let ends = self.graph.edges.iter().flat_map(|it| [it.from.as_str(), it.to.as_str()]);
        let reached: BTreeSet<&str> = ends.collect();
        let mut findings = Vec::new();
        let mut note = |flaw, about: &str, why: String, is_error| {
            let about = about.to_owned();
            findings.push(Finding { flaw, about, path: Vec::new(), why, is_error });
        };
        for status in A::Status::ALL {
            let name = status.name();
            let excuse = self.model.unreached.get(name);
            if status.is_terminal() && status.holds_resources() {
                let why = format!("holds {}, and nothing follows it", self.model.what);
                note(Flaw::TerminalHolds, name, why, true);
            }
            match (reached.contains(name), excuse) {
                (false, None) => {
                    note(Flaw::Unreached, name, "is never reached".to_owned(), is_error);
                }
                (true, Some(_)) => {
                    let why = "is reached, and the model says that it is not".to_owned();
                    note(Flaw::Unreached, name, why, is_error);
                }
                (true, None) | (false, Some(_)) => {}
            }
            for next in status.next().iter().map(|next| next.name()) {
                let is_excused =
                    [name, next].iter().any(|it| self.model.unreached.contains_key(it));
                if !is_excused && reached.contains(name) && !self.is_taken(name, next) {
                    note(Flaw::Untaken, name, format!("never becomes `{next}`"), is_error);
                }
            }
        }
        self.findings.extend(findings);
    }

    /// The messages of the kind against what was taken.
    fn messages(&mut self) {
        if !self.model.demands.contains(&Demand::EveryMessage) {
            return;
        }
        let graph = self.graph;
        for name in graph.messages.iter().filter(|name| !graph.taken.contains(**name)) {
            self.findings.push(Finding {
                flaw: Flaw::Unheard,
                about: (*name).to_owned(),
                path: Vec::new(),
                why: "is never sent, or always refused".to_owned(),
                is_error: true,
            });
        }
    }

    fn is_taken(&self, from: &str, to: &str) -> bool {
        self.graph.edges.iter().any(|it: &Edge| it.from == from && it.to == to)
    }

    fn idle_sweeps(&mut self) {
        for sweep in &self.model.sweeps {
            if !self.graph.selected.contains(sweep.name()) {
                self.findings.push(Finding {
                    flaw: Flaw::IdleSweep,
                    about: sweep.name().to_owned(),
                    path: Vec::new(),
                    why: format!("selects no `{}` that can be", A::KIND),
                    is_error: true,
                });
            }
        }
    }

    fn cut(&mut self) {
        if self.graph.is_cut {
            let states = self.graph.spots.len();
            let why = format!(
                "has more than {states} states, or grows by itself: nothing is proven; bound the \
                 model (ignoring, remembering, messages_max) or raise states_max"
            );
            let (flaw, about) = (Flaw::CutShort, A::KIND.to_owned());
            self.findings.push(Finding { flaw, about, path: Vec::new(), why, is_error: true });
        }
    }
}

/// How an actor can stay where it is.
enum Stay {
    /// Nothing moves it.
    Stuck,
    /// These move it, and never out.
    Round(BTreeSet<Cause>),
}

/// The strongly connected components of a graph (Kosaraju), without recursion.
fn strongly_connected(forth: &BTreeMap<usize, Vec<usize>>) -> Vec<BTreeSet<usize>> {
    let mut back: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, to) in forth.iter().flat_map(|(from, all)| all.iter().map(move |to| (*from, *to))) {
        back.entry(to).or_default().push(from);
    }
    let mut finished = Vec::new();
    let mut seen = BTreeSet::new();
    for root in forth.keys() {
        walk(*root, forth, &mut seen, &mut finished);
    }
    let mut seen = BTreeSet::new();
    let mut parts = Vec::new();
    for root in finished.iter().rev() {
        let mut part = Vec::new();
        walk(*root, &back, &mut seen, &mut part);
        if !part.is_empty() {
            parts.push(part.into_iter().collect());
        }
    }
    parts
}

/// Adds all that can be reached from `root` and was not seen, each behind what it leads to.
fn walk(
    root: usize,
    next: &BTreeMap<usize, Vec<usize>>,
    seen: &mut BTreeSet<usize>,
    finished: &mut Vec<usize>,
) {
    if !seen.insert(root) {
        return;
    }
    let mut open = vec![(root, 0)];
    while let Some((at, place)) = open.pop() {
        match next.get(&at).and_then(|all| all.get(place)) {
            Some(to) => {
                open.push((at, place + 1));
                if seen.insert(*to) {
                    open.push((*to, 0));
                }
            }
            None => finished.push(at),
        }
    }
}
