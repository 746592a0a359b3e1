//! Watches a run for its plots: machines by status, busy and paid, and what they cost.

use sexton::Timestamp;
use sexton_fleet::catalog::Catalog;
use sexton_fleet::sim_cloud::Billed;
use sexton_sim::World;

use crate::figures::float;
use crate::report::{Cost, Counts, Report};
use crate::series::{Sample, Sampler, Series};

use super::LOOK;
use super::outside::Cloud;

/// Millionths in a whole: prices are counted in them.
const MICRO: f64 = 1_000_000.0;
/// Milliseconds in an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// The plots in the making.
#[derive(Debug)]
pub(super) struct Gauge {
    sampler: Sampler,
    catalog: Option<Catalog>,
    /// What everything cost when that was last added up, and when.
    cost: (f64, Timestamp),
}

impl Gauge {
    /// Nothing watched yet; prices are those of the catalog, if there is one.
    pub(super) fn new(catalog: Option<Catalog>) -> Self {
        Self { sampler: Sampler::new(), catalog, cost: (0.0, Timestamp::MIN) }
    }

    /// Looks at the present moment.
    pub(super) fn look(&mut self, world: &mut World<Cloud>) {
        let taken = self.take(world);
        let at_ms = world.now().as_millis();
        let (rung, lateness_ms) = world.take_alarms();
        for _ in 0..rung {
            self.sampler.alarm(at_ms, lateness_ms);
        }
        self.sampler.record(taken.at(at_ms));
    }

    /// The plots.
    pub(super) fn finish(&mut self, world: &mut World<Cloud>) -> Series {
        let taken = self.take(world);
        let sampler = std::mem::take(&mut self.sampler);
        sampler.finish(taken.at(world.now().as_millis()))
    }

    /// Fills in machine-hours and cost, as the cloud counted them over all runs.
    pub(super) fn bill(&self, world: &mut World<Cloud>, report: &mut Report) {
        let now = world.now();
        let billed = world.outside().sim().billed(now);
        let paid_ms: u64 = billed.values().map(|bill| bill.paid_ms).sum();
        let busy_ms: u64 = billed.values().map(|bill| bill.busy_ms).sum();
        report.machine_hours = float(paid_ms) / HOUR_MS;
        report.busy_machine_hours = float(busy_ms) / HOUR_MS;
        report.cost = cost(&billed, self.catalog.as_ref());
    }

    fn take(&mut self, world: &mut World<Cloud>) -> Taken {
        let statuses = world.tally().statuses.iter();
        let of_nodes = statuses.filter(|((kind, _), n)| kind == "node" && **n > 0);
        let statuses = of_nodes.map(|((_, status), n)| (status.clone(), *n)).collect();
        let now = world.now();
        let sim = world.outside().sim();
        // Adding up is as long as the list of machines: not in every row.
        if self.catalog.is_some() && self.cost.1 + LOOK <= now {
            self.cost = (cost(&sim.billed(now), self.catalog.as_ref()).amount, now);
        }
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let (busy, paid) = (count(sim.n_busy()), count(sim.n_machines()));
        Taken { statuses, busy, paid, cost: self.cost.0 }
    }
}

/// How things stand, without the moment.
struct Taken {
    statuses: Counts,
    busy: u64,
    paid: u64,
    cost: f64,
}

impl Taken {
    fn at(&self, at_ms: i64) -> Sample<'_> {
        Sample {
            at_ms,
            machines_by_status: &self.statuses,
            busy_machines: self.busy,
            paid_machines: self.paid,
            cost: self.cost,
        }
    }
}

/// What the billed machines cost by the catalog: exact prices or none.
fn cost(billed: &Billed, catalog: Option<&Catalog>) -> Cost {
    let mut cost = Cost::default();
    for ((size, location), bill) in billed {
        let found = catalog.and_then(|catalog| catalog.find(location, size));
        match found.and_then(|found| found.price) {
            Some(price) => {
                let hours = float(bill.paid_ms) / HOUR_MS;
                cost.amount += hours * float(price.hour_micros) / MICRO;
                price.currency.code().clone_into(&mut cost.currency);
            }
            None => cost.unpriced += bill.machines,
        }
    }
    cost
}
