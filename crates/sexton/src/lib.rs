//! Runs: the host on actix and tokio; clock, mailboxes, timers, effects, sweeps.
