//! Metrics as the text that Prometheus reads.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};

use crate::catalog::{Metric, Shape};
use crate::metrics::{Family, Metrics, Value};

/// What the text is, for the header of an answer: `OpenMetrics`, which Prometheus reads.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Metrics {
    /// Reads the host, and says it in the text that Prometheus reads: for any server's `/metrics`,
    /// with [`CONTENT_TYPE`].
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    pub async fn render(&self) -> String {
        text(self.read().await)
    }
}

fn text(families: Vec<Family>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Arc::new(Read(families))));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes what is written to it");
    text
}

/// What was read.
#[derive(Debug)]
struct Read(Vec<Family>);

impl Collector for Read {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in self.0.iter().filter(|family| !family.points.is_empty()) {
            let Metric { name, shape, unit, help, .. } = family.metric;
            let unit = (unit == "seconds").then_some(Unit::Seconds);
            // The crate adds what a name must end with.
            let name = name.strip_suffix("_total").unwrap_or(name);
            let name = match unit {
                Some(_) => name.strip_suffix("_seconds").unwrap_or(name),
                None => name,
            };
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), kind(shape))?;
            for point in &family.points {
                if point.labels.is_empty() {
                    encode_value(&mut metric, &point.value)?;
                } else {
                    encode_value(&mut metric.encode_family(&point.labels)?, &point.value)?;
                }
            }
        }
        Ok(())
    }
}

fn kind(shape: Shape) -> MetricType {
    match shape {
        Shape::Counter => MetricType::Counter,
        Shape::Gauge => MetricType::Gauge,
        Shape::Histogram => MetricType::Histogram,
    }
}

fn encode_value(metric: &mut MetricEncoder<'_>, value: &Value) -> Result<(), fmt::Error> {
    match value {
        Value::Count(count) => {
            metric.encode_counter(count, None::<&Exemplar<Vec<(String, String)>, u64>>)
        }
        Value::Level(level) => metric.encode_gauge(level),
        Value::Histogram(histogram) => {
            let ends = histogram.ends.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = ends.zip(histogram.counts.iter().copied()).collect();
            let (sum, total) = (histogram.sum, histogram.total());
            metric.encode_histogram::<Vec<(String, String)>>(sum, total, &buckets, None)
        }
    }
}
