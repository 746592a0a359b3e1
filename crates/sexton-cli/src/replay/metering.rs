//! What the meters of sandboxes say, held against what the trace says, and why they differ.
//!
//! Three things of the log that know nothing of each other: the *intervals* that the meters
//! closed are the fleet's time; the *word of the trace* (ready, ended), which the feed left there;
//! and the *transitions*, which say when a sandbox ran. The causes are counted from the last two,
//! so a meter that counts wrongly is a difference that no cause accounts for, and so is a
//! sandbox that stops although the trace has not ended it.

use std::collections::BTreeMap;

use sexton::{ActorId, Event, Timestamp, What};
use sexton_fleet::Interval;

use crate::report::{Comparison, Reason};

use super::feed::Said;
use super::reckoning::{Sum, millis};

/// How a sandbox stands in the log.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    /// Since when it is billed.
    runs: Option<Timestamp>,
    /// What the trace says.
    word: Word,
}

/// What the trace says of a sandbox.
#[derive(Clone, Copy, Debug, Default)]
enum Word {
    /// Nothing yet, in its present life.
    #[default]
    None,
    /// It is ready; it does not run since then.
    Waits(Timestamp),
    /// It is ready, and has run since.
    Ready,
    /// It ended then.
    Ended(Timestamp),
}

/// All sandboxes of a log.
#[derive(Debug, Default)]
pub(super) struct Metering {
    /// When the trace was over.
    last: Timestamp,
    courses: BTreeMap<String, Course>,
    metered_ms: u64,
    waited: Sum,
    never: Sum,
    early: Sum,
    stopping: Sum,
}

impl Metering {
    /// Nothing read yet, of a trace that was over at `last`.
    pub(super) fn until(last: Timestamp) -> Self {
        Self { last, ..Self::default() }
    }

    /// Keeps up with an event of a sandbox, or of the feed.
    pub(super) fn take(&mut self, event: &Event) {
        let at = event.at.min(self.last);
        match &event.what {
            What::Fact { name, text } if name == Said::NAME && event.actor.kind() == "trace" => {
                if let Ok(said) = serde_json::from_str::<Said>(text) {
                    self.said(&said, at);
                }
            }
            What::Fact { name, text } if name == "interval" => {
                if let Ok(interval) = serde_json::from_str::<Interval>(text) {
                    let from = Timestamp::from_millis(interval.from_ms);
                    let to = from + std::time::Duration::from_millis(interval.ms);
                    self.metered_ms += millis(from.min(self.last), to.min(self.last));
                }
            }
            What::Transition { from, to, .. } => match (is_billed(from), is_billed(to)) {
                (false, true) => self.runs(&event.actor, at),
                (true, false) => self.stops((&event.actor, to), at),
                (true, true) | (false, false) => {}
            },
            What::Destroyed { .. } => {
                self.stops((&event.actor, ""), at);
                if let Some(course) = self.courses.remove(event.actor.name()) {
                    self.close(course, at);
                }
            }
            What::Created { .. }
            | What::Destroying { .. }
            | What::Stalled { .. }
            | What::DeadLetter { .. }
            | What::Abandoned { .. }
            | What::Fact { .. } => {}
        }
    }

    fn said(&mut self, said: &Said, at: Timestamp) {
        let name = said.sandbox.as_str();
        let before = self.courses.get(name).copied().unwrap_or_default();
        let word = match (&said.ended, before.word) {
            (None, Word::None | Word::Ended(_)) => {
                self.beyond(before, at);
                if before.runs.is_some() { Word::Ready } else { Word::Waits(at) }
            }
            // Said again it is nothing new.
            (None, Word::Waits(_) | Word::Ready) => before.word,
            (Some(_), _) => {
                self.close(before, at);
                self.beyond(before, at);
                Word::Ended(at)
            }
        };
        self.courses.insert(name.to_owned(), Course { word, ..before });
    }

    fn runs(&mut self, sandbox: &ActorId, at: Timestamp) {
        let course = self.courses.entry(sandbox.name().to_owned()).or_default();
        course.runs = Some(at);
        match course.word {
            Word::Waits(since) => {
                course.word = Word::Ready;
                self.waited.add(millis(since, at));
            }
            // Woken: a life begins of which nothing was said yet.
            Word::Ended(_) => course.word = Word::None,
            Word::None | Word::Ready => {}
        }
    }

    fn stops(&mut self, of: (&ActorId, &str), at: Timestamp) {
        let (sandbox, to) = of;
        let Some(course) = self.courses.get_mut(sandbox.name()) else { return };
        let before = *course;
        course.runs = None;
        // Said to be ready while it still fell asleep: it waits until it is awake again. Of one
        // that ends although the trace has not ended it, nothing accounts for the rest.
        if matches!(before.word, Word::Ready) && to == "hibernated" {
            course.word = Word::Waits(at);
        }
        self.beyond(before, at);
    }

    /// Counts up to now what runs although the trace does not have it ready.
    fn beyond(&mut self, course: Course, at: Timestamp) {
        let Some(since) = course.runs else { return };
        match course.word {
            Word::None => self.early.add(millis(since, at)),
            Word::Ended(over) => self.stopping.add(millis(over, at)),
            Word::Waits(_) | Word::Ready => {}
        }
    }

    /// Counts what was waited for in vain.
    fn close(&mut self, course: Course, at: Timestamp) {
        if let Word::Waits(since) = course.word {
            self.never.add(millis(since, at));
        }
    }

    /// The comparison with the trace's own time, and how many it left open. What is open is
    /// counted up to the end of the trace.
    pub(super) fn finish(mut self, of_trace: (u64, u64)) -> Comparison {
        let (trace_ms, open_at_end) = of_trace;
        let last = self.last;
        for course in std::mem::take(&mut self.courses).into_values() {
            self.close(course, last);
            if let Some(since) = course.runs {
                self.metered_ms += millis(since, last);
                self.beyond(course, last);
            }
        }
        let explained: Vec<Reason> = vec![
            self.waited.cause("waited until it ran"),
            self.never.cause("ended before it ran"),
            self.early.beyond("ran before the trace had it ready"),
            self.stopping.beyond("was still stopping when the trace had ended it"),
        ];
        Comparison::new((trace_ms, self.metered_ms), open_at_end, explained)
    }
}

fn is_billed(status: &str) -> bool {
    ["running", "migrating"].contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(actor: &str, at_ms: i64, what: What) -> Event {
        let actor = ActorId::parse(actor).expect("an id");
        Event { actor, incarnation: 1, number: 1, at: Timestamp::from_millis(at_ms), what }
    }

    fn said(at_ms: i64, ended: Option<&str>) -> Event {
        let said = Said { sandbox: "s".to_owned(), ended: ended.map(str::to_owned) };
        let text = serde_json::to_string(&said).expect("texts can be written");
        event("trace/feed", at_ms, What::Fact { name: Said::NAME.to_owned(), text })
    }

    fn becomes(at_ms: i64, from: &str, to: &str) -> Event {
        let [from, to, cause] = [from, to, "test"].map(str::to_owned);
        event("sandbox/s", at_ms, What::Transition { from, to, cause })
    }

    fn interval(at_ms: i64, from_ms: i64, ms: u64) -> Event {
        let interval = Interval { number: 1, from_ms, ms, scale: 1, total_ms: ms };
        let text = serde_json::to_string(&interval).expect("numbers can be written");
        event("sandbox/s", at_ms, What::Fact { name: "interval".to_owned(), text })
    }

    fn unexplained(events: &[Event], last_ms: i64, trace_ms: u64) -> i64 {
        let mut metering = Metering::until(Timestamp::from_millis(last_ms));
        for event in events {
            metering.take(event);
        }
        metering.finish((trace_ms, 0)).unexplained_ms
    }

    #[test]
    fn a_sandbox_that_waits_runs_and_stops_late_is_explained_and_cut_at_the_end_of_the_trace() {
        let life = [
            said(100, None),
            becomes(130, "pending", "running"),
            said(500, Some("deleted")),
            interval(540, 130, 410),
            becomes(540, "running", "hibernated"),
        ];
        assert_eq!(unexplained(&life, 1_000, 400), 0);
        assert_eq!(unexplained(&life, 520, 400), 0, "the trace is over while it stops");
        assert_eq!(unexplained(&life[..2], 300, 200), 0, "it is not seen to end");
        assert_eq!(unexplained(&life[..1], 300, 200), 0, "it never ran");
    }

    #[test]
    fn a_wrong_meter_and_an_end_that_the_trace_does_not_know_are_not_explained() {
        let life = |ms| {
            let (ready, runs) = (said(100, None), becomes(130, "pending", "running"));
            let (closed, ends) = (interval(330, 130, ms), becomes(330, "running", "stopped"));
            [ready, runs, closed, ends, said(500, Some("deleted"))]
        };
        // It ended 170 ms before the trace ended it.
        assert_eq!(unexplained(&life(200), 1_000, 400), -170);
        assert_eq!(unexplained(&life(199), 1_000, 400), -171);
    }
}
