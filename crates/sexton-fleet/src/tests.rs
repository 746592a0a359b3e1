//! The fleet in virtual time: the real engine, a store in memory, the simulated cloud.
//!
//! Goal: every thing that the fleet began ends with its tombstone and no machine at the cloud,
//! with deadlines alone, with sweeps alone, and through restarts; and what somebody outside
//! decides about ends when he says so and not before.

mod harness;
mod nodes;
mod tasks;
mod external;
mod nets;
mod restarts;
mod steps;
mod retries;
mod selection;
mod policies;
