//! Every duration and limit: its default and its exact range, written out once more, by hand and
//! from what is specified. Whoever changes one changes it here too.

use crate::policy::{Policy, PolicyError};
use crate::sweeps;
use crate::{Owner, OwnerInit};

use super::harness::Fleet;

/// Name, default, least, most.
type Durations = [(&'static str, &'static str, &'static str, &'static str)];
/// Name, default, least, most.
type Counts = [(&'static str, u32, u32, u32)];

const DURATIONS: &Durations = &[
    ("node_provisioning_timeout", "15m", "30s", "1d"),
    ("node_agent_ready_timeout", "15m", "30s", "1d"),
    ("warm_timeout", "30m", "30s", "4h"),
    ("node_stopped_grace", "10m", "1s", "1d"),
    ("node_lifetime", "4h", "1m", "30d"),
    ("node_lifetime_max", "1d", "1m", "90d"),
    ("node_idle_orphan", "45m", "1m", "7d"),
    ("node_error_grace", "10m", "1s", "1d"),
    ("heartbeat_healthy", "3m", "1s", "1h"),
    ("heartbeat_stale", "6m", "1s", "2h"),
    ("workspace_stopped_ttl", "5m", "1s", "30d"),
    ("workspace_idle_timeout", "2h", "30m", "1d"),
    ("workspace_creating_timeout", "30m", "30s", "1d"),
    ("workspace_stopping_timeout", "30m", "30s", "1d"),
    ("workspace_error_ttl", "2h", "1s", "30d"),
    ("workspace_sleeping_ttl", "7d", "1m", "365d"),
    ("session_silence", "15m", "1m", "1d"),
    ("workspace_use_every", "10m", "1s", "30m"),
    ("sweep_orphaned_workspace", "10m", "1s", "1d"),
    ("task_waiting_for_capacity", "2h", "1s", "7d"),
    ("task_node_provisioning", "15m", "1s", "1d"),
    ("task_node_agent_ready", "15m", "1s", "1d"),
    ("task_workspace_dispatch", "10m", "1s", "1d"),
    ("task_workspace_ready", "30m", "1s", "1d"),
    ("task_agent_session", "15m", "1s", "1d"),
    ("task_poll_capacity", "15s", "1s", "1h"),
    ("task_poll_capacity_max", "1m", "1s", "1h"),
    ("task_poll_node_provisioning", "10s", "1s", "1h"),
    ("task_poll_node_agent_ready", "5s", "1s", "1h"),
    ("task_poll_workspace_dispatch", "30s", "1s", "1h"),
    ("task_poll_workspace_dispatch_max", "2m", "1s", "1h"),
    ("task_poll_workspace_ready", "30s", "1s", "1h"),
    ("task_retry_base", "5s", "1s", "1h"),
    ("task_retry_cap", "1m", "1s", "1h"),
    ("task_soft", "4h", "1m", "7d"),
    ("task_hard", "8h", "1m", "30d"),
    ("task_absolute", "1d", "1m", "90d"),
    ("task_silence", "15m", "1s", "1d"),
    ("task_stuck_queued", "20m", "1s", "1d"),
    ("town_tick_busy", "5s", "1s", "1h"),
    ("town_tick_idle", "5m", "1s", "1d"),
    ("town_rig_grace", "5m", "1s", "1d"),
    ("agent_stalled_timeout", "30m", "1s", "7d"),
    ("agent_silence", "15m", "1s", "1d"),
    ("agent_done_ttl", "1h", "1s", "30d"),
    ("credential_ttl", "7d", "1h", "365d"),
    ("credential_retry", "10m", "1s", "1d"),
    ("container_sleep_after", "10m", "1s", "1d"),
    ("container_starting_timeout", "5m", "1s", "1d"),
    ("container_stopping_timeout", "5m", "1s", "1d"),
    ("container_unanswered", "5m", "1s", "1d"),
    ("container_error_wait", "1m", "1s", "1d"),
    ("container_error_ttl", "10m", "1s", "1d"),
    ("container_sleeping_ttl", "7d", "1m", "365d"),
    ("sweep_every", "5m", "1s", "1d"),
    ("sweep_warm_slack", "5m", "1s", "1d"),
    ("sweep_back_off", "1h", "1s", "7d"),
    ("sweep_lost_every", "5m", "1s", "7d"),
    ("provider_scan_every", "1h", "1m", "7d"),
    ("provider_orphan_age", "1h", "1m", "7d"),
    ("sandbox_pooled_ttl", "1h", "1s", "30d"),
    ("sandbox_reserved_ttl", "5m", "1s", "1d"),
    ("sandbox_pending_timeout", "10m", "1s", "1d"),
    ("sandbox_lifetime", "1d", "1m", "30d"),
    ("sandbox_hibernating_timeout", "5m", "1s", "1d"),
    ("sandbox_hibernated_ttl", "7d", "1m", "365d"),
    ("sandbox_waking_timeout", "5m", "1s", "1d"),
    ("sandbox_migration_timeout", "10m", "1s", "1d"),
    ("sandbox_retention", "1h", "1s", "30d"),
    ("usage_tick_every", "20s", "1s", "1h"),
    ("credit_halt_retry", "30s", "1s", "1h"),
    ("worker_heartbeat_timeout", "30s", "1s", "1h"),
    ("worker_scan_every", "1m", "1s", "1h"),
    ("worker_retention", "1h", "1s", "30d"),
];

const COUNTS: &Counts = &[
    ("nodes_per_owner_max", 10, 0, 10_000),
    ("user_nodes_per_owner_max", 100, 0, 10_000),
    ("workspaces_per_node_max", 3, 1, 1_000),
    ("task_attempts_max", 10, 1, 1_000),
    ("towns_per_owner_max", 10, 0, 10_000),
    ("town_rigs_max", 20, 1, 1_000),
    ("town_agents_max", 50, 1, 1_000),
    ("town_beads_max", 200, 1, 10_000),
    ("task_retries_max", 3, 0, 100),
    ("node_busy_percent", 50, 1, 101),
    ("sweep_nodes_max", 25, 1, 10_000),
    ("sweep_workspaces_max", 50, 1, 10_000),
    ("sweep_tasks_max", 100, 1, 10_000),
    ("sweep_towns_max", 50, 1, 10_000),
    ("sweep_lost_max", 100, 1, 10_000),
    ("sweep_orphans_max", 5, 1, 1_000),
    ("sweep_sandboxes_max", 50, 1, 10_000),
    ("sandboxes_per_owner_max", 100, 0, 10_000),
    ("sandboxes_per_worker_max", 500, 1, 10_000),
    ("sandbox_cents_per_hour", 10, 0, 100_000),
    ("sandbox_scale_max", 64, 1, 1_000),
    ("credit_start_cents", 500, 0, 1_000_000),
    ("worker_scans_missed_max", 3, 2, 100),
    ("worker_losses_max", 20, 1, 1_000),
];

const TEXTS: [(&str, &str); 6] = [
    ("default_size", "medium"),
    ("size_small", "cx22"),
    ("size_medium", "cx32"),
    ("size_large", "cx42"),
    ("default_location", "fsn1"),
    ("agent_version", "any"),
];

fn variable(name: &str) -> String {
    format!("SEXTON_{}", name.to_ascii_uppercase())
}

fn with(name: &str, value: &str) -> Result<Policy, PolicyError> {
    let asked = variable(name);
    Policy::from_env(|variable| (variable == asked).then(|| value.to_owned()))
}

/// A duration such as `90s`, in seconds.
fn seconds(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        other => panic!("{other} is no unit"),
    };
    number.parse::<u64>().expect("a number") * unit
}

/// What another setting must not be less or more than.
fn has_a_partner(name: &str) -> bool {
    let partners =
        ["heartbeat_", "task_poll_capacity", "task_poll_workspace_dispatch", "task_retry_"];
    partners.iter().any(|start| name.starts_with(start)) && name != "task_retry_max"
}

/// Tries the ends of a range and what is next to them.
fn try_range(name: &str, range: &[String; 2], beyond: [Option<String>; 2]) {
    for text in range {
        let set = with(name, text);
        let is_partners = set.as_ref().is_err_and(|error| error.why.starts_with("less than"));
        assert!(set.is_ok() || (is_partners && has_a_partner(name)), "{name}={text}: {set:?}");
    }
    for text in beyond.into_iter().flatten() {
        let error = with(name, &text).expect_err(&text);
        assert_eq!((error.variable, error.value), (variable(name), text.clone()));
        assert!(error.why.starts_with("out of range") || error.why.starts_with("not a"), "{text}");
    }
}

#[test]
fn every_default_is_what_is_specified_and_every_range_ends_exactly_there() {
    let defaults = serde_json::to_value(Policy::default()).expect("a policy is written");
    for (name, default, least, most) in DURATIONS {
        let [least, most] = [least, most].map(|text| seconds(text));
        assert_eq!(defaults[name]["secs"].as_u64(), Some(seconds(default)), "{name}");
        assert_eq!(defaults[name]["nanos"].as_u64(), Some(0), "{name}");
        let shown = |seconds: u64| format!("{seconds}s");
        let beyond = [Some(format!("{}s", least - 1)), Some(format!("{}s", most + 1))];
        try_range(name, &[shown(least), shown(most)], beyond);
    }
    for (name, default, least, most) in COUNTS {
        assert_eq!(defaults[name].as_u64(), Some(u64::from(*default)), "{name}");
        let below = least.checked_sub(1).map(|n| n.to_string());
        let above = Some((most + 1).to_string());
        try_range(name, &[least, most].map(ToString::to_string), [below, above]);
    }
    for (name, default) in TEXTS {
        assert_eq!(defaults[name].as_str(), Some(default), "{name}");
    }
    let named = DURATIONS.iter().map(|it| it.0).chain(COUNTS.iter().map(|it| it.0));
    let named: Vec<String> = named.chain(TEXTS.map(|it| it.0)).map(variable).collect();
    assert_eq!(named, Policy::variables());
}

#[test]
fn a_policy_that_was_set_in_code_is_checked_where_it_is_used() {
    let from = |set: fn(&mut Policy)| {
        let mut policy = Policy::default();
        set(&mut policy);
        policy
    };
    let second = std::time::Duration::from_secs(1);
    assert_eq!(Policy::default().check(), Ok(()));
    let bad: [(&str, Policy); 4] = [
        ("SEXTON_WARM_TIMEOUT", Policy { warm_timeout: second, ..Policy::default() }),
        ("SEXTON_HEARTBEAT_STALE", Policy { heartbeat_stale: second, ..Policy::default() }),
        ("SEXTON_WORKSPACES_PER_NODE_MAX", from(|it| it.workspaces_per_node_max = 0)),
        ("SEXTON_DEFAULT_SIZE", from(|it| it.default_size.clear())),
    ];
    for (variable, policy) in bad {
        assert_eq!(policy.check().unwrap_err().variable, variable);
        let mut fleet = Fleet::new();
        let init = OwnerInit { installation: uuid::Uuid::nil(), policy };
        let error = fleet.try_create::<Owner>("owner/bob", &init).unwrap_err();
        assert!(error.to_string().contains(variable), "{error}");
    }
}

#[test]
fn what_is_not_utf_8_is_an_error_and_not_taken_for_nothing() {
    for name in ["agent_version", "warm_timeout", "sweep_tasks_max"] {
        let error = with(name, "any\u{fffd}").unwrap_err();
        assert_eq!((error.variable, error.why.as_str()), (variable(name), "not UTF-8"));
    }
}

#[test]
fn every_sweep_passes_as_often_and_asks_as_many_as_is_specified() {
    let minutes = |minutes: u64| std::time::Duration::from_secs(60 * minutes);
    let of = |name: &str| match name {
        "stale_warm" | "stopped_hand_off" | "max_lifetime" | "idle_orphan" | "error_nodes"
        | "incompatible_agent" => Some(25),
        "orphaned_workspace" | "stale_stopped" | "overdue_workspace" | "silent_session" => Some(50),
        "stuck_task" => Some(100),
        _ => None,
    };
    let mut n = 0;
    for sweep in sweeps::all(&Policy::default()) {
        let every = if sweep.name() == "provider_orphans" { minutes(60) } else { minutes(5) };
        assert_eq!(sweep.every(), every, "{}", sweep.name());
        if let Some(limit) = of(sweep.name()) {
            n += 1;
            assert_eq!(sweep.limit(), limit, "{}", sweep.name());
            assert_eq!(sweep.back_off(), minutes(60), "{}", sweep.name());
        }
    }
    assert_eq!(n, 11);
    assert_eq!(Policy::default().sweep_orphans_max, 5, "machines that nobody owns");
}
