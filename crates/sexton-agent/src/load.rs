//! How busy the machine is: its processors since the last look, and its memory now.

use std::fs;

use crate::wire::Load;

/// What the system counted at one moment, in its ticks, over all processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    all: u64,
}

/// Measures the load of this machine.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    last: Option<Ticks>,
}

impl Meter {
    /// The load since the last look; nothing at the first one, nor where the system does not say.
    pub fn read(&mut self) -> Option<Load> {
        let now = ticks(&fs::read_to_string("/proc/stat").ok()?)?;
        let last = self.last.replace(now)?;
        let all = now.all.checked_sub(last.all)?;
        // Waiting for a disk may be counted back by a tick.
        let idle = now.idle.saturating_sub(last.idle).min(all);
        let memory = memory(&fs::read_to_string("/proc/meminfo").ok()?)?;
        Some(Load { cpu: percent(all - idle, all)?, memory })
    }
}

/// A part in percent; of nothing there is none.
fn percent(part: u64, all: u64) -> Option<u8> {
    u8::try_from(part.checked_mul(100)?.checked_div(all)?).ok()
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; what
/// follows them is counted in them already.
fn ticks(text: &str) -> Option<Ticks> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().take(8);
    let fields: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
    let idle = fields.get(3)? + fields.get(4)?;
    Some(Ticks { idle, all: fields.iter().sum() })
}

/// How much memory cannot be had, in percent.
fn memory(text: &str) -> Option<u8> {
    let of = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    let (all, free) = (of("MemTotal")?, of("MemAvailable")?);
    percent(all.saturating_sub(free), all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let text = "cpu  100 5 45 800 50 0 0 0 7 7\ncpu0 1 2 3 4\n";
        assert_eq!(ticks(text), Some(Ticks { idle: 850, all: 1_000 }));
        assert_eq!(ticks("cpu0 1 2 3 4 5\n"), None);
        assert_eq!(ticks("cpu  1 2\n"), None);
        let text = "MemTotal:       2000 kB\nMemFree:  1 kB\nMemAvailable:    500 kB\n";
        assert_eq!(memory(text), Some(75));
        assert_eq!(memory("MemTotal: 2000 kB\n"), None);
        assert_eq!((percent(1, 3), percent(3, 3), percent(0, 0)), (Some(33), Some(100), None));
    }

    #[test]
    fn a_load_is_of_the_time_between_two_looks() {
        let mut meter = Meter::default();
        assert_eq!(meter.read(), None, "the first look is a beginning");
        // Until the system's clock has ticked.
        while meter.read().is_none() {
            std::thread::yield_now();
        }
        let last = meter.last.expect("it looked");
        meter.last = Some(Ticks { idle: last.idle.saturating_sub(1_000_000), ..last });
        meter.last = meter.last.map(|it| Ticks { all: it.all.saturating_sub(1_000_000), ..it });
        let load = meter.read().expect("time has passed");
        assert!(load.cpu <= 100 && load.memory <= 100, "{load:?}");
    }
}
