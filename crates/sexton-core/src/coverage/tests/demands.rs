//! What a model may demand beyond that nothing is held for ever.

use super::super::{Coverage, Flaw, Model};
use super::{ALL, Expire, Habit, Stop, Watch, model, overdue, stoppable};

/// Waits for somebody else, whom it asks every ten seconds.
fn waiting(watch: Model<Watch>) -> Model<Watch> {
    watch
        .ignoring(&["looks"])
        .asking(|seen| (seen.row().status == "watching").then(|| "whoever is watched".to_owned()))
}

#[test]
fn whoever_must_keep_asking_may_go_round_and_may_not_stand_still() {
    let watch = || Model::<Watch>::new().birth("", ()).message::<Stop>(|_| vec![Stop]);
    let coverage = waiting(watch()).check();
    assert_eq!(coverage.found(Flaw::Polls).count() + coverage.found(Flaw::Gap).count(), 0);
    let left: Vec<_> = coverage.left.iter().map(|it| it.why.as_str()).collect();
    assert_eq!(left, ["whoever is watched"]);
    let mute = waiting(watch()).without_deadline(|_| true).check();
    let gap = mute.found(Flaw::Gap).next().unwrap();
    let why = "must keep asking (whoever is watched); no deadline, no debt, no sweep selects it";
    assert_eq!((gap.about.as_str(), gap.why.as_str()), ("watching", why));
}

#[test]
fn a_status_that_holds_nothing_and_must_pass_is_judged_like_one_that_holds() {
    let watch = || Model::<Watch>::new().birth("", ()).message::<Stop>(|_| vec![Stop]);
    let coverage = watch().ignoring(&["looks"]).passing(&["over"]).check();
    let gap = coverage.found(Flaw::Gap).next().unwrap();
    assert!(gap.to_string().starts_with("gap: `over` must pass; no deadline"), "{coverage}");
    let round = watch().ignoring(&["looks"]).passing(&["watching"]).check();
    let gap = round.found(Flaw::Gap).next().unwrap();
    assert!(gap.why.starts_with("must pass for ever, round and round by deadline Poll"), "{round}");
}

#[test]
fn a_message_that_the_model_never_sends_or_that_is_always_refused_is_told() {
    let coverage = model(Habit::None).every_message().check();
    let unheard = |coverage: &Coverage| -> Vec<String> {
        coverage.found(Flaw::Unheard).map(|it| it.about.clone()).collect()
    };
    assert_eq!(unheard(&coverage), ["expire", "stop"]);
    let refused = model(Habit::None).message::<Expire>(|_| vec![Expire]).every_message();
    let refused = refused.message::<Stop>(|seen| {
        if seen.row().status == "creating" { vec![Stop] } else { Vec::new() }
    });
    assert_eq!(unheard(&refused.check()), ["expire", "stop"]);
    let heard = stoppable(Habit::None).sweeps(overdue(ALL)).every_message().check();
    assert_eq!(unheard(&heard), [""; 0], "sweeps ask it to expire");
}
