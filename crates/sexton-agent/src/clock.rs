//! The agent's clock: it runs alone on its machine, so time enters here and not in the host.
#![expect(clippy::disallowed_methods, reason = "this is where the agent's time enters")]
#![expect(clippy::disallowed_types, reason = "this is where the agent's time enters")]

use std::time::{Duration, SystemTime};

/// Seconds since 1970, as tokens count.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Waits in a task.
pub async fn rest(wait: Duration) {
    tokio::time::sleep(wait).await;
}

/// Waits in a thread that may block: for a process to be gone, a few milliseconds at a time.
pub fn pause(wait: Duration) {
    std::thread::sleep(wait);
}
