//! Watches a run for its plots: machines by status, busy and paid, and what they cost.

use sexton_fleet::catalog::Catalog;
use sexton_fleet::sim_cloud::Billed;
use sexton_sim::{World, WorldError};

use crate::figures::float;
use crate::report::{Cost, Counts, Report};
use crate::series::{Sample, Sampler, Series};

use super::outside::Cloud;

/// Millionths in a whole: prices are counted in them.
const MICRO: f64 = 1_000_000.0;
/// Milliseconds in an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// The plots in the making.
#[derive(Debug)]
pub struct Gauge {
    sampler: Sampler,
    catalog: Option<Catalog>,
    alarms_seen: u64,
}

impl Gauge {
    /// Nothing watched yet; prices are those of the catalog, if there is one.
    pub fn new(catalog: Option<Catalog>) -> Self {
        Self { sampler: Sampler::new(), catalog, alarms_seen: 0 }
    }

    /// Looks at the present moment.
    ///
    /// # Errors
    ///
    /// None at present: what it looks at is in memory.
    pub fn look(&mut self, world: &mut World<Cloud>) -> Result<(), WorldError> {
        let sample = taken(world, self.catalog.as_ref());
        let at_ms = world.now().as_millis();
        let (rung, lateness_ms) = world.take_alarms();
        for _ in 0..rung {
            self.sampler.alarm(at_ms, lateness_ms);
        }
        self.alarms_seen += rung;
        self.sampler.record(sample.at(at_ms));
        Ok(())
    }

    /// The plots.
    pub fn finish(&mut self, world: &mut World<Cloud>) -> Series {
        let sample = taken(world, self.catalog.as_ref());
        let sampler = std::mem::replace(&mut self.sampler, Sampler::new());
        sampler.finish(sample.at(world.now().as_millis()))
    }

    /// Fills in machine-hours and cost, as the cloud counted them over all runs.
    pub fn bill(&self, world: &mut World<Cloud>, series: &Series, report: &mut Report) {
        let now = world.now();
        let cloud = world.outside().sim();
        let billed = cloud.billed(now);
        let paid_ms: u64 = billed.iter().map(|billed| billed.paid_ms).sum();
        report.machine_hours = float(paid_ms) / HOUR_MS;
        report.busy_machine_hours = float(cloud.busy_ms(now)) / HOUR_MS;
        report.cost = cost(&billed, self.catalog.as_ref());
        if series.points.is_empty() {
            report.notes.push("nothing happened, so there is nothing to plot".to_owned());
        }
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

fn taken(world: &mut World<Cloud>, catalog: Option<&Catalog>) -> Taken {
    let of_nodes = world.tally().statuses.iter().filter(|((kind, _), n)| kind == "node" && **n > 0);
    let statuses = of_nodes.map(|((_, status), n)| (status.clone(), *n)).collect();
    let now = world.now();
    let cloud = world.outside().sim();
    let cost = catalog.map_or(0.0, |catalog| cost(&cloud.billed(now), Some(catalog)).amount);
    Taken { statuses, busy: cloud.n_busy(), paid: cloud.n_machines(), cost }
}

/// What the billed machines cost by the catalog: exact prices or none.
fn cost(billed: &[Billed], catalog: Option<&Catalog>) -> Cost {
    let mut cost = Cost::default();
    for item in billed {
        let price = catalog.and_then(|catalog| catalog.find(&item.location, &item.size));
        match price {
            Some(found) => {
                let hours = float(item.paid_ms) / HOUR_MS;
                cost.amount += hours * float(found.price_per_hour_micros) / MICRO;
                found.currency.clone_into(&mut cost.currency);
            }
            None => cost.unpriced += item.machines,
        }
    }
    cost
}
