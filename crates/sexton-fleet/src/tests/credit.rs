//! What sandboxes use is taken from their owner's credit, and at zero they sleep.

use std::time::Duration;

use sexton_core::{Actor, query};

use crate::policy::Policy;
use crate::sim_cloud::HostState;
use crate::{
    AddCredit, Caller, CreditAccount, Debit, Halt, Metered, Owner, Plan, Sandbox, ScaleSandbox,
    SetPlan, UNITS_PER_CENT, WakeSandbox,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, every_way, id};
use super::sandbox_stories::{
    SECOND, assert_over, cents, create, hibernate, intervals, migrate, n_facts, running, sandbox,
    stop, wake,
};

const ACCOUNT: &str = "credit/ada";

fn policy(cents: u32, cents_per_hour: u32) -> Policy {
    Policy {
        credit_start_cents: cents,
        sandbox_cents_per_hour: cents_per_hour,
        ..Policy::default()
    }
}

fn debit(fleet: &mut Fleet, number: u64, cents: u64) -> Result<(), String> {
    let (sandbox, units) = ("s".to_owned(), cents * UNITS_PER_CENT);
    let debit = Debit { sandbox, number, units };
    let result = fleet.say::<CreditAccount, _>("sandbox/s", ACCOUNT, &debit);
    fleet.run(0);
    result
}

/// An operator.
fn olga() -> Caller {
    Caller::operator("olga")
}

fn add_credit(fleet: &mut Fleet, cents: u32) {
    let gift = format!("at {}", fleet.now);
    fleet.tell(AddCredit { caller: olga(), gift, cents });
    fleet.run(SECOND);
}

#[test]
fn a_free_account_begins_with_five_hundred_cents() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "s");
    assert_eq!(fleet.status(ACCOUNT), "active");
    assert_eq!(fleet.rows("credit")[0].record.text("plan"), Some("free"));
    assert_eq!(fleet.rows("credit").len(), 1);
    create(&mut fleet, "t");
    fleet.run(MINUTE);
    assert_eq!(fleet.rows("credit").len(), 1, "one for an owner");
    let parent = fleet.rows("credit")[0].record.parent.clone().unwrap();
    assert_eq!(parent.id, id("owner/ada"));
    assert_eq!(cents(&fleet), 500);
}

#[test]
fn what_was_used_is_debited_to_the_unit() {
    let mut fleet = Fleet::with(policy(500, 100), None).without_sweeps();
    running(&mut fleet, "s");
    fleet.run(HOUR + 7_654);
    stop(&mut fleet, "s");
    fleet.run(MINUTE);
    let ms: u64 = intervals(&fleet, "s").iter().map(|it| it.ms).sum();
    let account = query::state::<CreditAccount>(&*fleet.store, &id(ACCOUNT)).unwrap().unwrap();
    let used = format!("used_units: {},", ms * 100);
    assert!(format!("{account:?}").contains(&used), "{used} in {account:?}");
    let left = format!("units: {},", 500 * UNITS_PER_CENT - ms * 100);
    assert!(format!("{account:?}").contains(&left));
}

#[test]
fn a_debit_that_comes_again_is_debited_once() {
    let mut fleet = Fleet::with(policy(500, 0), None);
    running(&mut fleet, "s");
    debit(&mut fleet, 1, 10).unwrap();
    debit(&mut fleet, 2, 20).unwrap();
    for number in [1, 2, 2, 1] {
        debit(&mut fleet, number, 100).unwrap();
    }
    assert_eq!(cents(&fleet), 470);
    stop(&mut fleet, "s");
    fleet.run(2 * HOUR);
    debit(&mut fleet, 3, 100).unwrap_err();
    assert_eq!(cents(&fleet), 470, "it is gone, and is not debited any more");
}

#[test]
fn debits_that_overtake_each_other_count_once_each() {
    let mut fleet = Fleet::with(policy(500, 0), None);
    running(&mut fleet, "s");
    for number in [3, 1, 3, 5, 2, 2, 1, 4, 5] {
        debit(&mut fleet, number, 10).unwrap();
    }
    assert_eq!(cents(&fleet), 450);
    // One that never comes holds up nothing.
    for number in (7..200).chain(7..200) {
        debit(&mut fleet, number, 1).unwrap();
    }
    assert_eq!(cents(&fleet), 450 - 193);
}

#[test]
fn only_an_operator_adds_credit_and_sets_the_plan() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "s");
    let add = |caller| AddCredit { caller, gift: "g".to_owned(), cents: 9 };
    let pro = |caller| SetPlan { caller, plan: Plan::Pro };
    fleet.call::<Owner, _>("owner/ada", add(ada())).unwrap_err();
    fleet.call::<Owner, _>("owner/ada", pro(ada())).unwrap_err();
    fleet.call::<CreditAccount, _>(ACCOUNT, add(ada())).unwrap_err();
    fleet.call::<CreditAccount, _>(ACCOUNT, pro(ada())).unwrap_err();
    assert_eq!((cents(&fleet), fleet.rows("credit")[0].record.text("plan")), (500, Some("free")));
    fleet.call::<Owner, _>("owner/ada", pro(olga())).unwrap();
    fleet.run(SECOND);
    assert_eq!(fleet.rows("credit")[0].record.text("plan"), Some("pro"));
}

#[test]
fn credit_never_goes_below_zero() {
    let mut fleet = Fleet::with(policy(5, 0), None);
    running(&mut fleet, "s");
    debit(&mut fleet, 1, 1_000).unwrap();
    assert_eq!(cents(&fleet), 0);
    add_credit(&mut fleet, 7);
    assert_eq!(cents(&fleet), 7);
}

#[test]
fn a_pro_account_is_not_debited_and_not_halted() {
    let mut fleet = Fleet::with(policy(5, 0), None);
    running(&mut fleet, "s");
    fleet.tell(SetPlan { caller: olga(), plan: Plan::Pro });
    fleet.run(SECOND);
    debit(&mut fleet, 1, 1_000).unwrap();
    fleet.run(MINUTE);
    assert_eq!((cents(&fleet), fleet.status(ACCOUNT).as_str()), (5, "active"));
    assert_eq!(fleet.status("sandbox/s"), "running");
    assert_eq!(fleet.rows("credit")[0].record.number("used_cents"), Some(1_000));
}

#[test]
fn at_zero_every_sandbox_of_the_owner_hibernates_and_the_halt_is_said_once() {
    every_way(|fleet| {
        running(fleet, "s");
        create(fleet, "t");
        fleet.run(15 * SECOND);
        debit(fleet, 100, 500).expect("on this account");
        assert_eq!(fleet.status(ACCOUNT), "halting");
        debit(fleet, 101, 1).expect("on this account");
        fleet.run(2 * MINUTE);
        assert_eq!(fleet.statuses("sandbox"), ["hibernated", "hibernated"]);
        assert_eq!(fleet.status(ACCOUNT), "halted");
        assert_eq!(n_facts(fleet, ACCOUNT, "halted"), 1);
        assert_eq!(fleet.cloud.sandboxes().count(), 0);
        fleet.destroy("sandbox/s");
        fleet.destroy("sandbox/t");
        fleet.run(5 * MINUTE);
        assert_over(fleet, "s", "stopped");
        assert_over(fleet, "t", "stopped");
    });
}

#[test]
fn credit_that_runs_out_by_use_halts_too() {
    let mut fleet = Fleet::with(policy(1, 360), None);
    running(&mut fleet, "s");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.status("sandbox/s"), "hibernated");
    assert_eq!((fleet.status(ACCOUNT).as_str(), cents(&fleet)), ("halted", 0));
}

#[test]
fn a_halt_is_owed_until_the_last_sandbox_hibernates() {
    let policy = Policy { sandbox_hibernating_timeout: Duration::from_secs(7_200), ..policy(5, 0) };
    let mut fleet = Fleet::with(policy, None);
    running(&mut fleet, "s");
    fleet.cloud.set_host("here", HostState::Silent).unwrap();
    debit(&mut fleet, 1, 5).unwrap();
    fleet.run(HOUR);
    assert_eq!(fleet.status(ACCOUNT), "halting", "it runs still");
    assert_eq!(fleet.rows("credit")[0].record.number("running"), Some(1));
    fleet.cloud.set_host("here", HostState::Up).unwrap();
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status(ACCOUNT), "halted");
    assert_eq!(n_facts(&fleet, ACCOUNT, "halted"), 1);
}

/// A sandbox whose hibernation fails once: the checkpoint is asked of the wrong host.
fn fail_once(fleet: &mut Fleet) {
    running(fleet, "s");
    fleet.cloud.set_host("here", HostState::Gone).expect("in memory");
    debit(fleet, 1, 5).expect("on this account");
    fleet.run(6 * SECOND);
}

#[test]
fn a_hibernation_that_fails_is_asked_for_again_by_the_deadline_or_by_the_sweep() {
    for fleet in [
        Fleet::with(policy(5, 0), None).without_sweeps(),
        Fleet::with(policy(5, 0), None).without_alarms(),
    ] {
        let mut fleet = fleet;
        fail_once(&mut fleet);
        fleet.run(20 * MINUTE);
        assert!(n_facts(&fleet, "sandbox/s", "hibernation_failed") > 2);
        assert_eq!(fleet.status(ACCOUNT), "halting");
        stop(&mut fleet, "s");
        fleet.run(6 * MINUTE);
        assert_eq!(fleet.status(ACCOUNT), "halted");
        assert_over(&fleet, "s", "stopped");
    }
}

#[test]
fn credit_resumes_and_whoever_wants_may_wake() {
    every_way(|fleet| {
        running(fleet, "s");
        debit(fleet, 100, 500).expect("on this account");
        fleet.run(MINUTE);
        let wake_it = || WakeSandbox { caller: ada(), name: "s".to_owned(), on: None };
        fleet.call::<Sandbox, _>("sandbox/s", wake_it()).expect_err("there is no credit");
        add_credit(fleet, 300);
        assert_eq!(fleet.status(ACCOUNT), "active");
        assert_eq!(n_facts(fleet, ACCOUNT, "resumed"), 1);
        fleet.run(MINUTE);
        assert_eq!(fleet.status("sandbox/s"), "hibernated", "nobody asked for it");
        wake(fleet, "s");
        fleet.run(15 * SECOND);
        assert_eq!(fleet.status("sandbox/s"), "running");
        debit(fleet, 200, 300).expect("on this account");
        fleet.run(MINUTE);
        assert_eq!(n_facts(fleet, ACCOUNT, "halted"), 2, "once for each time");
        assert_eq!(fleet.status("sandbox/s"), "hibernated");
    });
}

#[test]
fn a_sandbox_that_is_made_or_woken_in_a_halt_goes_to_sleep() {
    let mut fleet = Fleet::with(policy(5, 0), None);
    running(&mut fleet, "s");
    hibernate(&mut fleet, "s");
    fleet.run(15 * SECOND);
    debit(&mut fleet, 1, 5).unwrap();
    assert_eq!(fleet.status(ACCOUNT), "halted");
    create(&mut fleet, "t");
    wake(&mut fleet, "s");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.statuses("sandbox"), ["hibernated", "hibernated"]);
    assert_eq!(fleet.status(ACCOUNT), "halted");
}

#[test]
fn a_wake_that_was_under_way_when_credit_ran_out_ends_in_sleep() {
    let mut fleet = Fleet::with(policy(5, 0), None);
    running(&mut fleet, "s");
    hibernate(&mut fleet, "s");
    fleet.run(15 * SECOND);
    wake(&mut fleet, "s");
    debit(&mut fleet, 1, 5).unwrap();
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.status("sandbox/s"), "hibernated");
    assert_eq!(fleet.status(ACCOUNT), "halted");
    assert_eq!(fleet.cloud.checkpoints().count(), 1, "that of the first sleep is gone");
}

#[test]
fn a_halt_ends_a_migration_and_leaves_no_copy() {
    let mut fleet = Fleet::with(policy(5, 0), None);
    running(&mut fleet, "s");
    migrate(&mut fleet, "s");
    fleet.run(10 * SECOND);
    debit(&mut fleet, 1, 5).unwrap();
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status("sandbox/s"), "hibernated");
    assert_eq!(fleet.cloud.copies().count(), 0);
    assert_eq!(fleet.status(ACCOUNT), "halted");
}

#[test]
fn a_halt_that_arrives_after_its_resume_changes_nothing() {
    let mut fleet = Fleet::with(policy(5, 0), None);
    running(&mut fleet, "s");
    debit(&mut fleet, 1, 5).unwrap();
    fleet.run(MINUTE);
    add_credit(&mut fleet, 5);
    fleet.say::<Sandbox, _>(ACCOUNT, "sandbox/s", &Halt { round: 1 }).unwrap();
    wake(&mut fleet, "s");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("sandbox/s"), "running");
    assert!(format!("{:?}", sandbox(&fleet, "s")).contains("is_halted: false"));
}

#[test]
fn one_that_says_it_runs_makes_a_halted_account_halting_again() {
    let mut fleet = Fleet::with(policy(5, 0), None);
    running(&mut fleet, "s");
    debit(&mut fleet, 1, 5).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status(ACCOUNT), "halted");
    let metered = Metered { sandbox: "s".to_owned(), is_running: true };
    fleet.say::<CreditAccount, _>("sandbox/s", ACCOUNT, &metered).unwrap();
    assert_eq!(fleet.status(ACCOUNT), "halting");
    fleet.run(0);
    assert_eq!(fleet.status(ACCOUNT), "halted", "asked, it says that it does not");
}

#[test]
fn the_scale_is_priced_from_the_moment_of_its_change() {
    let mut fleet = Fleet::with(policy(500, 100), None);
    running(&mut fleet, "s");
    let bigger = ScaleSandbox { caller: ada(), name: "s".to_owned(), scale: 3 };
    fleet.run(5 * SECOND);
    fleet.tell(bigger);
    fleet.run(5 * SECOND);
    stop(&mut fleet, "s");
    fleet.run(SECOND);
    let used: u64 = intervals(&fleet, "s").iter().map(|it| it.ms * u64::from(it.scale) * 100).sum();
    let account = query::state::<CreditAccount>(&*fleet.store, &id(ACCOUNT)).unwrap().unwrap();
    assert!(format!("{account:?}").contains(&format!("used_units: {used},")), "{used}");
}

#[test]
fn use_that_was_counted_late_is_debited_for_two_intervals_and_metered_in_full() {
    let mut fleet = Fleet::with(policy(500, 3_600), None).without_alarms().without_sweeps();
    running(&mut fleet, "s");
    fleet.run(HOUR);
    stop(&mut fleet, "s");
    fleet.run(MINUTE);
    let ms: u64 = intervals(&fleet, "s").iter().map(|it| it.ms).sum();
    assert!(ms > 3_600_000);
    assert_eq!(cents(&fleet), 500 - 20, "the first tick: one interval at a cent a second");
}

#[test]
fn somebody_elses_credit_is_not_touched() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "s");
    let eve = Caller::owner("eve");
    let add = AddCredit { caller: eve.clone(), gift: "a".to_owned(), cents: 9 };
    fleet.call::<CreditAccount, _>(ACCOUNT, add).unwrap_err();
    let plan = SetPlan { caller: eve, plan: Plan::Pro };
    fleet.call::<CreditAccount, _>(ACCOUNT, plan).unwrap_err();
    assert_eq!(CreditAccount::KIND, "credit");
}

#[test]
fn a_gift_that_comes_again_is_added_once_also_after_a_restart() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "s");
    let before = cents(&fleet);
    let add = |fleet: &mut Fleet, gift: String| {
        let add = AddCredit { caller: olga(), gift, cents: 7 };
        fleet.call::<CreditAccount, _>(ACCOUNT, add)
    };
    add(&mut fleet, "a".to_owned()).unwrap();
    fleet.restart();
    add(&mut fleet, "a".to_owned()).unwrap();
    assert_eq!(cents(&fleet), before + 7);
    add(&mut fleet, String::new()).unwrap_err();
    add(&mut fleet, "x".repeat(65)).unwrap_err();
    for n in 1..100 {
        add(&mut fleet, format!("a{n}")).unwrap();
    }
    add(&mut fleet, "a".to_owned()).unwrap();
    assert_eq!(cents(&fleet), before + 700, "a hundred are known by their names");
}
