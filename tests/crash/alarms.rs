//! Alarms: due, replaced, gone, failing, late, far away.

use std::time::Duration;

use sexton::Limits;
use sexton_tests::{Do, Habit, alarm, is_buried, state, status, was_stalled};

use crate::script::{Scenario, scenario};

pub(crate) fn all() -> Vec<Scenario> {
    [ringing(), failing()].into_iter().flatten().collect()
}

fn ringing() -> Vec<Scenario> {
    vec![
        scenario("a deadline is due")
            .create(0, "a")
            .tell(1, "a", Do::Remind(60))
            .ends(|world| assert_eq!((state(world, "a").count, alarm(world, "a")), (1, None))),
        scenario("a deadline is replaced by a later one")
            .create(0, "a")
            .tell(1, "a", Do::Remind(60))
            .tell(30, "a", Do::Remind(700))
            .ends(|world| {
                assert_eq!((state(world, "a").count, alarm(world, "a")), (0, Some(730_000)));
            }),
        scenario("a deadline is replaced by an earlier one")
            .create(0, "a")
            .tell(1, "a", Do::Remind(7_000))
            .tell(30, "a", Do::Remind(60))
            .ends(|world| assert_eq!((state(world, "a").count, alarm(world, "a")), (1, None))),
        scenario("a deadline is gone")
            .create(0, "a")
            .tell(1, "a", Do::Stop)
            .tell(200, "a", Do::Start)
            .ends(|world| {
                assert_eq!((status(world, "a").as_str(), alarm(world, "a")), ("running", None));
            }),
        scenario("a deadline destroys").create(0, "a").tell(1, "a", Do::Stop).ends(|world| {
            assert!(is_buried(world, "a"));
            assert!(world.outside().things().machines.is_empty());
        }),
        scenario("a machine is destroyed when its deadline is due")
            .create(0, "a")
            .pause_alarms(1)
            .tell(1, "a", Do::Stop)
            .destroy(301, "a")
            .resume_alarms(301)
            .at_once()
            .ends(|world| assert!(is_buried(world, "a"))),
        scenario("two deadlines of one moment")
            .create(0, "a")
            .tell(1, "a", Do::Stop)
            .tell(11, "a", Do::Remind(290))
            .ends(|world| {
                assert!(is_buried(world, "a"));
                assert!(world.outside().things().machines.is_empty());
            }),
        scenario("a deadline beyond what is kept in memory")
            .limits(Limits { alarm_horizon: Duration::from_secs(300), ..Limits::default() })
            .create(0, "a")
            .tell(1, "a", Do::Remind(3_000))
            .until(3_600)
            .ends(|world| assert_eq!((state(world, "a").count, alarm(world, "a")), (1, None))),
        scenario("alarms are paused for a while")
            .create(0, "a")
            .pause_alarms(0)
            .tell(1, "a", Do::Remind(60))
            .resume_alarms(200)
            .ends(|world| assert_eq!((state(world, "a").count, alarm(world, "a")), (1, None))),
        scenario("a deadline of somebody who is not in memory")
            .create(0, "a")
            .tell(1, "a", Do::Remind(60))
            .evict(10)
            .ends(|world| assert_eq!(state(world, "a").count, 1)),
    ]
}

/// How long a deadline that failed is put off depends on the processes that ended meanwhile: each
/// counts as an attempt that failed.
fn failing() -> Vec<Scenario> {
    vec![
        scenario("a deadline refuses until it is mended")
            .create_with(0, "a", Habit::Refuses)
            .tell(1, "a", Do::Stop)
            .tell(310, "a", Do::Habit(Habit::Good))
            .ends_otherwise()
            .ends(|world| assert!(is_buried(world, "a"))),
        scenario("a deadline panics until it is mended")
            .create_with(0, "a", Habit::Panics)
            .tell(1, "a", Do::Stop)
            .tell(310, "a", Do::Habit(Habit::Good))
            .ends_otherwise()
            .ends(|world| assert!(is_buried(world, "a"))),
        scenario("a deadline moves and gets nowhere")
            .create_with(0, "a", Habit::Moves)
            .tell(1, "a", Do::Stop)
            .tell(305, "a", Do::Start)
            .ends(|world| {
                // Tried at 301 and 303 seconds.
                assert_eq!((state(world, "a").count, alarm(world, "a")), (2, None));
            }),
        scenario("a deadline fails until it is stalled")
            .create_with(0, "a", Habit::Refuses)
            .tell(1, "a", Do::Stop)
            .tell(400, "a", Do::Habit(Habit::Good))
            .until(900)
            .ends_otherwise()
            .ends(|world| assert!(was_stalled(world, "a") && is_buried(world, "a"))),
        scenario("a failing deadline beside one that does not fail")
            .create_with(0, "a", Habit::Refuses)
            .tell(1, "a", Do::Stop)
            .tell(11, "a", Do::Remind(290))
            .tell(320, "a", Do::Start)
            .ends(|world| {
                assert_eq!((state(world, "a").count, status(world, "a").as_str()), (1, "running"));
            }),
    ]
}
