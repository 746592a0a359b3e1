//! The fleet in virtual time: the real engine, a store in memory, the simulated cloud.
//!
//! Goal: every thing that the fleet began ends with its tombstone and no machine at the cloud,
//! with deadlines alone, with sweeps alone, and through restarts; and what somebody outside
//! decides about ends when he says so and not before.

mod harness;
mod harness_says;
mod stage;
mod nodes;
mod tasks;
mod external;
mod nets;
mod restarts;
mod machines;
mod claims;
mod placements;
mod workspaces;
mod reopen;
mod sessions;
mod passes;
mod harness_towns;
mod towns;
mod town_containers;
mod town_agents;
mod town_ends;
mod town_nets;
mod sandbox_stories;
mod sandbox_wakes;
mod sandboxes;
mod races;
mod credit;
mod workers;
mod sandbox_index;
mod coverage;
mod steps;
mod retries;
mod selection;
mod flows;
mod policies;
mod senders;
mod operators;
mod owned;
mod waiting;
mod terms;
mod harness_leaks;
mod leaks;
