//! How long and how many: every duration and limit of the fleet, with its default and its range.
//!
//! Each is settable from code and from the environment variable of the same name in capitals,
//! prefixed `SEXTON_`. A value that does not parse or is out of its range is an error that names
//! the variable; nothing is silently replaced. Actors never look here: what they need is handed
//! down to them when they are created, and lies in their state.

use std::fmt::{self, Debug};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Why a policy could not be read from the environment.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{variable}=`{value}`: {why}")]
pub struct PolicyError {
    /// The variable's name.
    pub variable: String,
    /// What it was set to.
    pub value: String,
    /// What is wrong with that.
    pub why: String,
}

macro_rules! policy {
    (
        durations { $( $(#[$d_doc:meta])* $d:ident = $d_default:expr, $d_min:expr, $d_max:expr; )* }
        counts { $( $(#[$c_doc:meta])* $c:ident = $c_default:expr, $c_min:expr, $c_max:expr; )* }
        texts { $( $(#[$t_doc:meta])* $t:ident = $t_default:expr; )* }
    ) => {
        /// Every duration and limit of the fleet.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Policy {
            $( $(#[$d_doc])* pub $d: Duration, )*
            $( $(#[$c_doc])* pub $c: u32, )*
            $( $(#[$t_doc])* pub $t: String, )*
        }

        impl Default for Policy {
            fn default() -> Self {
                Self {
                    $( $d: Duration::from_secs($d_default), )*
                    $( $c: $c_default, )*
                    $( $t: String::from($t_default), )*
                }
            }
        }

        impl Policy {
            /// The names of all settings, as they are called in the environment.
            pub fn variables() -> Vec<String> {
                [$( stringify!($d), )* $( stringify!($c), )* $( stringify!($t), )*]
                    .map(variable)
                    .to_vec()
            }

            /// The defaults with what `lookup` knows of them in place. What is not UTF-8 it hands
            /// over with the replacement character in it, and is told so.
            ///
            /// # Errors
            ///
            /// [`PolicyError`] names the first variable whose value does not parse or is out of
            /// its range.
            ///
            /// # Example
            ///
            /// ```
            /// use std::time::Duration;
            /// use sexton_fleet::policy::Policy;
            ///
            /// let lookup = |name: &str| (name == "SEXTON_WARM_TIMEOUT").then(|| "90s".to_owned());
            /// let policy = Policy::from_env(lookup).expect("in range");
            /// assert_eq!(policy.warm_timeout, Duration::from_secs(90));
            ///
            /// let short = |name: &str| (name == "SEXTON_WARM_TIMEOUT").then(|| "1s".to_owned());
            /// let error = Policy::from_env(short).expect_err("too short");
            /// assert_eq!(error.variable, "SEXTON_WARM_TIMEOUT");
            /// ```
            pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, PolicyError> {
                let mut policy = Self::default();
                $( if let Some(set) = set(&lookup, stringify!($d), |text| {
                    duration(text, [$d_min, $d_max])
                })? { policy.$d = set; } )*
                $( if let Some(set) = set(&lookup, stringify!($c), |text| {
                    count(text, [$c_min, $c_max])
                })? { policy.$c = set; } )*
                $( if let Some(set) = set(&lookup, stringify!($t), word)? { policy.$t = set; } )*
                policy.check_pairs()?;
                Ok(policy)
            }

            /// Whether no value is below its least and none contradicts another. Longer and more
            /// than its range is what a program may decide for itself, which shorter is not: that
            /// would destroy what is in use.
            pub(crate) fn check_least(&self) -> Result<(), PolicyError> {
                $( within((stringify!($d), &Shown(self.$d)), [
                    &Shown(Duration::from_secs($d_min)),
                    &Shown(self.$d.max(Duration::from_secs($d_max))),
                ])?; )*
                $( within((stringify!($c), &self.$c), [&$c_min, &self.$c.max($c_max)])?; )*
                $( if let Err(why) = word(&self.$t) {
                    let (variable, value) = (variable(stringify!($t)), self.$t.clone());
                    return Err(PolicyError { variable, value, why });
                } )*
                self.check_pairs()
            }

            /// Whether every value is within its range, also one that was set in code.
            ///
            /// # Errors
            ///
            /// [`PolicyError`] names the first that is not.
            pub fn check(&self) -> Result<(), PolicyError> {
                $( within((stringify!($d), &Shown(self.$d)), [
                    &Shown(Duration::from_secs($d_min)), &Shown(Duration::from_secs($d_max)),
                ])?; )*
                $( within((stringify!($c), &self.$c), [&$c_min, &$c_max])?; )*
                $( if let Err(why) = word(&self.$t) {
                    let (variable, value) = (variable(stringify!($t)), self.$t.clone());
                    return Err(PolicyError { variable, value, why });
                } )*
                self.check_pairs()
            }
        }
    };
}

policy! {
    durations {
        /// How long a create call may take until there is a machine.
        node_provisioning_timeout = 15 * MINUTE, 30 * SECOND, DAY;
        /// How long the agent of a machine may take until it is ready.
        node_agent_ready_timeout = 15 * MINUTE, 30 * SECOND, DAY;
        /// How long a node without workspace and claim stays warm.
        warm_timeout = 30 * MINUTE, 30 * SECOND, 4 * HOUR;
        /// How long a stopped node waits until it is destroyed.
        node_stopped_grace = 10 * MINUTE, SECOND, DAY;
        /// The age at which a node without active workspace is destroyed.
        node_lifetime = 4 * HOUR, MINUTE, 30 * DAY;
        /// The age at which a node is destroyed although it has workspaces, none of them active.
        node_lifetime_max = DAY, MINUTE, 90 * DAY;
        /// How long a running node may stay without workspace and claim; also how recent the
        /// activity must be that saves an old node.
        node_idle_orphan = 45 * MINUTE, MINUTE, 7 * DAY;
        /// How long a node in error is kept.
        node_error_grace = 10 * MINUTE, SECOND, DAY;
        /// The age of a heartbeat up to which an agent counts as healthy.
        heartbeat_healthy = 180 * SECOND, SECOND, HOUR;
        /// The age of a heartbeat up to which an agent that is not healthy counts as stale.
        heartbeat_stale = 360 * SECOND, SECOND, 2 * HOUR;
        /// How long a stopped workspace is kept.
        workspace_stopped_ttl = 5 * MINUTE, SECOND, 30 * DAY;
        /// How long a workspace may be idle until it is stopped.
        workspace_idle_timeout = 2 * HOUR, 30 * MINUTE, DAY;
        /// How long a workspace may take until it runs.
        workspace_creating_timeout = 30 * MINUTE, 30 * SECOND, DAY;
        /// How long a workspace may take to stop.
        workspace_stopping_timeout = 30 * MINUTE, 30 * SECOND, DAY;
        /// How long a workspace in error is kept.
        workspace_error_ttl = 2 * HOUR, SECOND, 30 * DAY;
        /// How long a sleeping workspace is kept.
        workspace_sleeping_ttl = 7 * DAY, MINUTE, 365 * DAY;
        /// How long a session may be silent until its workspace counts as idle.
        session_silence = 15 * MINUTE, MINUTE, DAY;
        /// How often a workspace that is touched tells its node so.
        workspace_use_every = 10 * MINUTE, SECOND, 30 * MINUTE;
        /// How long ago a task must have ended whose workspace is still active.
        sweep_orphaned_workspace = 10 * MINUTE, SECOND, DAY;
        /// How long a task may wait for capacity.
        task_waiting_for_capacity = 2 * HOUR, SECOND, 7 * DAY;
        /// How long a task may wait for its node's machine.
        task_node_provisioning = 15 * MINUTE, SECOND, DAY;
        /// How long a task may wait for the agent of its node.
        task_node_agent_ready = 15 * MINUTE, SECOND, DAY;
        /// How long a task may wait until its node takes it.
        task_workspace_dispatch = 10 * MINUTE, SECOND, DAY;
        /// How long a task may wait for its workspace to run.
        task_workspace_ready = 30 * MINUTE, SECOND, DAY;
        /// How long a task may wait for its session to begin.
        task_agent_session = 15 * MINUTE, SECOND, DAY;
        /// How soon a task that waits for capacity asks its owner; doubles from poll to poll.
        task_poll_capacity = 15 * SECOND, SECOND, HOUR;
        /// How seldom it asks at most.
        task_poll_capacity_max = 60 * SECOND, SECOND, HOUR;
        /// How often a task asks for its node's machine.
        task_poll_node_provisioning = 10 * SECOND, SECOND, HOUR;
        /// How often a task asks for the agent of its node.
        task_poll_node_agent_ready = 5 * SECOND, SECOND, HOUR;
        /// How soon a task asks whether its node took it; doubles from poll to poll.
        task_poll_workspace_dispatch = 30 * SECOND, SECOND, HOUR;
        /// How seldom it asks at most.
        task_poll_workspace_dispatch_max = 120 * SECOND, SECOND, HOUR;
        /// How often a task asks for its workspace.
        task_poll_workspace_ready = 30 * SECOND, SECOND, HOUR;
        /// The wait before a task's retry number `n`, counted from one, is this times 2^n.
        task_retry_base = 5 * SECOND, SECOND, HOUR;
        /// The longest wait before a task's retry.
        task_retry_cap = 60 * SECOND, SECOND, HOUR;
        /// How long a task may be in progress without a sign of life.
        task_soft = 4 * HOUR, MINUTE, 7 * DAY;
        /// How long a task may be in progress at all.
        task_hard = 8 * HOUR, MINUTE, 30 * DAY;
        /// How old a task may become, whatever it does.
        task_absolute = DAY, MINUTE, 90 * DAY;
        /// How long ago a sign of life may be.
        task_silence = 15 * MINUTE, SECOND, DAY;
        /// How long a task waits for the first answer to its search for a node.
        task_stuck_queued = 20 * MINUTE, SECOND, DAY;
        /// How often a town with active work ticks.
        town_tick_busy = 5 * SECOND, SECOND, HOUR;
        /// How often a town without active work ticks.
        town_tick_idle = 5 * MINUTE, SECOND, DAY;
        /// How long after its newest rig a town without active work still pings its container.
        town_rig_grace = 5 * MINUTE, SECOND, DAY;
        /// How long a stalled agent counts as active work; it is given up then.
        agent_stalled_timeout = 30 * MINUTE, SECOND, 7 * DAY;
        /// How long a working agent may be silent until it counts as stalled.
        agent_silence = 15 * MINUTE, SECOND, DAY;
        /// How long an agent that is done is kept.
        agent_done_ttl = HOUR, SECOND, 30 * DAY;
        /// How old an agent's credential may become until it is replaced.
        credential_ttl = 7 * DAY, HOUR, 365 * DAY;
        /// How long after a refusal a credential is asked for again.
        credential_retry = 10 * MINUTE, SECOND, DAY;
        /// How long after the last activity a container is put to sleep.
        container_sleep_after = 10 * MINUTE, SECOND, DAY;
        /// How long a container may take to start.
        container_starting_timeout = 5 * MINUTE, SECOND, DAY;
        /// How long a container may take to stop.
        container_stopping_timeout = 5 * MINUTE, SECOND, DAY;
        /// How long a container may leave a ping without answer.
        container_unanswered = 5 * MINUTE, SECOND, DAY;
        /// How long a container in error waits until it is started again.
        container_error_wait = MINUTE, SECOND, DAY;
        /// How long a container in error that nobody needs is kept.
        container_error_ttl = 10 * MINUTE, SECOND, DAY;
        /// How long a container that sleeps is kept.
        container_sleeping_ttl = 7 * DAY, MINUTE, 365 * DAY;
        /// How often the sweeps pass.
        sweep_every = 5 * MINUTE, SECOND, DAY;
        /// How much longer than its own deadline a warm node is left alone by its sweep.
        sweep_warm_slack = 5 * MINUTE, SECOND, DAY;
        /// How long an item that a sweep asked is left alone.
        sweep_back_off = HOUR, SECOND, 7 * DAY;
        /// How often the sweep for actors without a parent passes, which looks at every row.
        sweep_lost_every = 5 * MINUTE, SECOND, 7 * DAY;
        /// How often the provider is searched for machines that nobody owns.
        provider_scan_every = HOUR, MINUTE, 7 * DAY;
        /// The age from which on a machine that nobody owns is an orphan.
        provider_orphan_age = HOUR, MINUTE, 7 * DAY;
        /// How long a sandbox is kept ready for whoever may need one.
        sandbox_pooled_ttl = HOUR, SECOND, 30 * DAY;
        /// How long a sandbox out of the pool is kept for one holder.
        sandbox_reserved_ttl = 5 * MINUTE, SECOND, DAY;
        /// How long a sandbox may take until it runs.
        sandbox_pending_timeout = 10 * MINUTE, SECOND, DAY;
        /// How long a sandbox may run at a stretch.
        sandbox_lifetime = DAY, MINUTE, 30 * DAY;
        /// How long a sandbox may take to hibernate.
        sandbox_hibernating_timeout = 5 * MINUTE, SECOND, DAY;
        /// How long a hibernated sandbox is kept.
        sandbox_hibernated_ttl = 7 * DAY, MINUTE, 365 * DAY;
        /// How long a sandbox may take to wake.
        sandbox_waking_timeout = 5 * MINUTE, SECOND, DAY;
        /// How old a migration may become.
        sandbox_migration_timeout = 10 * MINUTE, SECOND, DAY;
        /// How long the row of a sandbox that ended is kept.
        sandbox_retention = HOUR, SECOND, 30 * DAY;
        /// How often the use of a sandbox is counted against its owner's credit.
        usage_tick_every = 20 * SECOND, SECOND, HOUR;
        /// How often a halt asks the sandboxes again that still run.
        credit_halt_retry = 30 * SECOND, SECOND, HOUR;
        /// How long a worker may be silent until it is suspect.
        worker_heartbeat_timeout = 30 * SECOND, SECOND, HOUR;
        /// How often a suspect worker is looked at, and how often those on it are given up.
        worker_scan_every = MINUTE, SECOND, HOUR;
        /// How long the row of a worker that is gone is kept.
        worker_retention = HOUR, SECOND, 30 * DAY;
    }
    counts {
        /// The most managed nodes of an owner.
        nodes_per_owner_max = 10, 0, 10_000;
        /// The most nodes of an owner whose machines are his own.
        user_nodes_per_owner_max = 100, 0, 10_000;
        /// The most active workspaces of a node.
        workspaces_per_node_max = 3, 1, 1_000;
        /// The most placements that a task tries.
        task_attempts_max = 10, 1, 1_000;
        /// The most towns of an owner.
        towns_per_owner_max = 10, 0, 10_000;
        /// The most rigs of a town.
        town_rigs_max = 20, 1, 1_000;
        /// The most agents of a town.
        town_agents_max = 50, 1, 1_000;
        /// The most beads of a town that are not closed.
        town_beads_max = 200, 1, 10_000;
        /// The most retries of what failed in a task and may work later.
        task_retries_max = 3, 0, 100;
        /// The share of processor or memory in use, in percent, from which on a running node
        /// gets no further workspace.
        node_busy_percent = 50, 1, 101;
        /// The most nodes that one pass of a sweep asks.
        sweep_nodes_max = 25, 1, 10_000;
        /// The most workspaces that one pass of a sweep asks.
        sweep_workspaces_max = 50, 1, 10_000;
        /// The most tasks that one pass of a sweep asks.
        sweep_tasks_max = 100, 1, 10_000;
        /// The most towns, containers and agents that one pass of a sweep asks.
        sweep_towns_max = 50, 1, 10_000;
        /// The most actors without a parent that one pass of a sweep asks.
        sweep_lost_max = 100, 1, 10_000;
        /// The most machines that one scan of the provider deletes.
        sweep_orphans_max = 5, 1, 1_000;
        /// The most sandboxes that one pass of a sweep asks.
        sweep_sandboxes_max = 50, 1, 10_000;
        /// The most sandboxes of an owner, those included whose row is kept.
        sandboxes_per_owner_max = 100, 0, 10_000;
        /// The most sandboxes of a worker.
        sandboxes_per_worker_max = 500, 1, 10_000;
        /// What one unit of a sandbox's scale costs, in cents an hour.
        sandbox_cents_per_hour = 10, 0, 100_000;
        /// The largest scale of a sandbox.
        sandbox_scale_max = 64, 1, 1_000;
        /// What a free account begins with, in cents.
        credit_start_cents = 500, 0, 1_000_000;
        /// How many scans in a row must miss a sandbox of a suspect worker until it is given up.
        worker_scans_missed_max = 3, 2, 100;
        /// The most sandboxes of a worker that are given up in one pass.
        worker_losses_max = 20, 1, 1_000;
    }
    texts {
        /// The size of machines that the fleet makes, where nobody named one: a word, below
        /// which there are smaller ones to fall back to, or the provider's name.
        default_size = "medium";
        /// What the provider calls `small`.
        size_small = "cx22";
        /// What the provider calls `medium`.
        size_medium = "cx32";
        /// What the provider calls `large`.
        size_large = "cx42";
        /// The location of machines that the fleet makes, where nobody named one.
        default_location = "fsn1";
        /// The version that agents must have; an idle node with another is destroyed. `any` is
        /// every version.
        agent_version = "any";
    }
}

impl Policy {
    /// What must not be less than something else.
    fn check_pairs(&self) -> Result<(), PolicyError> {
        let pairs = [
            ("heartbeat_healthy", self.heartbeat_healthy, "heartbeat_stale", self.heartbeat_stale),
            (
                "task_poll_capacity",
                self.task_poll_capacity,
                "task_poll_capacity_max",
                self.task_poll_capacity_max,
            ),
            (
                "task_poll_workspace_dispatch",
                self.task_poll_workspace_dispatch,
                "task_poll_workspace_dispatch_max",
                self.task_poll_workspace_dispatch_max,
            ),
            ("task_retry_base", self.task_retry_base, "task_retry_cap", self.task_retry_cap),
        ];
        for (less, least, more, value) in pairs {
            if value < least {
                let why = format!("less than {}, which is {}", variable(less), Shown(least));
                let (variable, value) = (variable(more), Shown(value).to_string());
                return Err(PolicyError { variable, value, why });
            }
        }
        Ok(())
    }
}

/// A duration as it is written in the environment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shown(Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs_f64())
    }
}

fn within<T: PartialOrd + fmt::Display>(of: (&str, &T), range: [&T; 2]) -> Result<(), PolicyError> {
    let ((field, value), [min, max]) = (of, range);
    if value >= min && value <= max {
        return Ok(());
    }
    let why = format!("out of range: {min} to {max} are allowed");
    Err(PolicyError { variable: variable(field), value: value.to_string(), why })
}

fn variable(field: &str) -> String {
    format!("SEXTON_{}", field.to_ascii_uppercase())
}

fn set<T>(
    lookup: &impl Fn(&str) -> Option<String>,
    field: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, PolicyError> {
    let variable = variable(field);
    let Some(value) = lookup(&variable) else { return Ok(None) };
    if value.contains(char::REPLACEMENT_CHARACTER) {
        return Err(PolicyError { variable, value, why: "not UTF-8".to_owned() });
    }
    match parse(value.trim()) {
        Ok(set) => Ok(Some(set)),
        Err(why) => Err(PolicyError { variable, value, why }),
    }
}

/// Reads `1800s`, `30m`, `4h` or `7d`.
fn duration(text: &str, range_s: [u64; 2]) -> Result<Duration, String> {
    let [min_s, max_s] = range_s;
    let form = || "not a duration such as 90s, 30m, 4h or 7d".to_owned();
    let unit_s = match text.chars().last().ok_or_else(form)? {
        's' => SECOND,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        _ => return Err(form()),
    };
    let number: u64 = match text[..text.len() - 1].parse() {
        Ok(number) => number,
        Err(error) => return Err(format!("{}: {error}", form())),
    };
    let seconds = number.checked_mul(unit_s).ok_or_else(form)?;
    if !(min_s..=max_s).contains(&seconds) {
        return Err(format!("out of range: {min_s}s to {max_s}s are allowed"));
    }
    Ok(Duration::from_secs(seconds))
}

fn count(text: &str, range: [u32; 2]) -> Result<u32, String> {
    let [min, max] = range;
    let number: u32 = match text.parse() {
        Ok(number) => number,
        Err(error) => return Err(format!("not a whole number: {error}")),
    };
    if !(min..=max).contains(&number) {
        return Err(format!("out of range: {min} to {max} are allowed"));
    }
    Ok(number)
}

fn word(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("empty".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Policy, PolicyError> {
        Policy::from_env(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn what_is_not_set_keeps_its_default() {
        assert_eq!(Policy::from_env(|_| None), Ok(Policy::default()));
    }

    #[test]
    fn units_are_seconds_minutes_hours_and_days() {
        for text in ["1800s", "30m"] {
            assert_eq!(with("SEXTON_WARM_TIMEOUT", text), Ok(Policy::default()));
        }
        let policy = with("SEXTON_WORKSPACE_SLEEPING_TTL", "2d").unwrap();
        assert_eq!(policy.workspace_sleeping_ttl, Duration::from_secs(2 * DAY));
        assert_eq!(with("SEXTON_NODES_PER_OWNER_MAX", "3").unwrap().nodes_per_owner_max, 3);
    }

    #[test]
    fn what_does_not_parse_or_fit_is_an_error_that_names_the_variable() {
        let cases = [
            ("SEXTON_WARM_TIMEOUT", "29s"),
            ("SEXTON_WARM_TIMEOUT", "5h"),
            ("SEXTON_WARM_TIMEOUT", "30"),
            ("SEXTON_WARM_TIMEOUT", ""),
            ("SEXTON_WARM_TIMEOUT", "-3m"),
            ("SEXTON_WARM_TIMEOUT", "99999999999999999999m"),
            ("SEXTON_WORKSPACE_IDLE_TIMEOUT", "29m"),
            ("SEXTON_WORKSPACES_PER_NODE_MAX", "0"),
            ("SEXTON_WORKSPACES_PER_NODE_MAX", "three"),
            ("SEXTON_DEFAULT_SIZE", ""),
        ];
        for (name, value) in cases {
            let error = with(name, value).unwrap_err();
            assert_eq!((error.variable.as_str(), error.value.as_str()), (name, value));
        }
    }
}
