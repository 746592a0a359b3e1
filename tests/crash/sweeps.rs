//! Sweeps: they ask once, no more than they may, and end things when alarms do not.

use sexton::sweep::{Look, Sweep};
use sexton::{Error, Letter, Refusal, RowView};
use sexton_tests::{Do, Machine, is_buried, state, status};

use crate::script::{Scenario, Yard, scenario};

/// Asks whoever is stopped.
struct Stopped {
    limit: usize,
    ask: Do,
}

impl Sweep for Stopped {
    fn name(&self) -> &'static str {
        "stopped"
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("machine", "stopped")]
    }

    fn select(&self, _row: &RowView, _look: &Look<'_>) -> Result<Option<String>, Error> {
        Ok(Some("it is stopped".to_owned()))
    }

    fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        Letter::new::<Machine, Do>(&row.id, &self.ask)
    }
}

fn counting(limit: usize) -> Vec<Box<dyn Sweep>> {
    vec![Box::new(Stopped { limit, ask: Do::Count })]
}

fn counts(world: &Yard) -> [u64; 3] {
    ["a", "b", "c"].map(|name| state(world, name).count)
}

/// Three machines of which some are stopped; without alarms, so that they stay so.
fn three(name: &'static str) -> Scenario {
    scenario(name)
        .pause_alarms(0)
        .at_once()
        .create(0, "a")
        .create(0, "b")
        .create(0, "c")
        .tell(1, "a", Do::Stop)
        .tell(1, "b", Do::Stop)
}

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        three("a sweep asks once")
            .swept(|| counting(10))
            .tell(900, "a", Do::Start)
            .tell(900, "b", Do::Start)
            .resume_alarms(901)
            .until(1_000)
            .ends(|world| assert_eq!(counts(world), [1, 1, 0])),
        three("a sweep asks no more than its limit in one pass")
            .swept(|| counting(1))
            .tell(400, "a", Do::Start)
            .tell(400, "b", Do::Start)
            .resume_alarms(401)
            .until(500)
            .ends(|world| assert_eq!(counts(world), [1, 0, 0])),
        scenario("a sweep ends what no alarm ends")
            .swept(|| vec![Box::new(Stopped { limit: 10, ask: Do::Die })])
            .pause_alarms(0)
            .at_once()
            .create(0, "a")
            .create(0, "b")
            .tell(1, "a", Do::Stop)
            .resume_alarms(590)
            .ends(|world| {
                assert!(is_buried(world, "a"));
                assert_eq!(status(world, "b"), "running");
                assert_eq!(world.outside().things().machines.len(), 1);
            }),
        scenario("a sweep asks somebody whose deadline is due, too")
            .swept(|| vec![Box::new(Stopped { limit: 10, ask: Do::Die })])
            .create(0, "a")
            .tell(0, "a", Do::Stop)
            .ends(|world| {
                assert!(is_buried(world, "a"));
                assert!(world.outside().things().machines.is_empty());
            }),
    ]
}
