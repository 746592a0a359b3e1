//! The progress bar of a replay: how much of the traces is read, and how fast it goes.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::figures::{decimal, grouped};

/// What the bar looks like; its length is the size of the traces on the disk.
const TEMPLATE: &str = "{bar:30} {percent:>3} %  {msg}  {elapsed} (left: {eta})";

/// A progress bar on the standard error; nothing if that is not a terminal.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Shows a bar for `bytes_total` bytes of traces, unless it is not `enabled`.
    ///
    /// # Panics
    ///
    /// Never: the template is a constant that the tests parse.
    pub fn new(bytes_total: u64, enabled: bool) -> Self {
        let target = if enabled {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template(TEMPLATE).expect("the template is well formed");
        let shown = ProgressBar::with_draw_target(Some(bytes_total), target);
        Self(shown.with_style(style.progress_chars("=> ")))
    }

    /// Says how far it is. Cheap enough for every few events, not for every turn.
    pub fn update(&self, bytes_read: u64, events: u64, turns_per_second: f64, live_machines: u64) {
        if self.0.is_hidden() {
            return;
        }
        self.0.set_position(bytes_read);
        self.0.set_message(message(events, turns_per_second, live_machines));
    }

    /// Takes the bar away, so that the summary stands alone.
    pub fn finish(self) {
        self.0.finish_and_clear();
    }
}

fn message(events: u64, turns_per_second: f64, live_machines: u64) -> String {
    format!(
        "{} events, {} turns/s, {} machines",
        grouped(events),
        decimal(turns_per_second, 0),
        grouped(live_machines)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_that_is_not_enabled_is_hidden_and_takes_everything() {
        let progress = Progress::new(100, false);
        assert!(progress.0.is_hidden());
        progress.update(200, 5, f64::NAN, 0);
        progress.finish();
    }

    #[test]
    fn the_message_says_events_speed_and_machines() {
        assert_eq!(message(12_345, 6_789.4, 3), "12,345 events, 6,789 turns/s, 3 machines");
    }
}
