//! What was read, as the message that OTLP has for it.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use sexton::Timestamp;
use sexton::tally;

use crate::catalog::Shape;
use crate::metrics::{Family, Point, Value};

/// Since when, and when, in nanoseconds since 1970.
#[derive(Clone, Copy)]
struct Times {
    began: u64,
    now: u64,
}

/// The message that says what was read of a service; `times` are since when it counts, and now.
pub(super) fn of(
    service: &str,
    families: Vec<Family>,
    times: (Timestamp, Timestamp),
) -> ExportMetricsServiceRequest {
    let times = Times { began: nanos(times.0), now: nanos(times.1) };
    let metrics = families.into_iter().filter(|family| !family.points.is_empty());
    let scope = InstrumentationScope { name: "sexton".to_owned(), ..Default::default() };
    let metrics = ScopeMetrics {
        scope: Some(scope),
        metrics: metrics.map(|family| metric(family, times)).collect(),
        ..Default::default()
    };
    let attributes = vec![attribute("service.name", service)];
    let resource = Resource { attributes, ..Default::default() };
    let all = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![metrics],
        ..Default::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![all] }
}

fn metric(family: Family, times: Times) -> Metric {
    let Family { metric, points } = family;
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let numbers = || points.iter().filter_map(|point| number(point, times)).collect();
    let series = match metric.shape {
        Shape::Counter => {
            Data::Sum(Sum { data_points: numbers(), aggregation_temporality, is_monotonic: true })
        }
        Shape::Gauge => Data::Gauge(Gauge { data_points: numbers() }),
        Shape::Histogram => Data::Histogram(Histogram {
            data_points: points.iter().filter_map(|point| histogram(point, times)).collect(),
            aggregation_temporality,
        }),
    };
    // As units are written there: what is counted has none.
    let unit = match metric.unit {
        "seconds" => "s",
        "bytes" => "By",
        _ => "",
    };
    Metric {
        name: metric.name.to_owned(),
        description: metric.help.to_owned(),
        unit: unit.to_owned(),
        data: Some(series),
        ..Default::default()
    }
}

fn number(point: &Point, times: Times) -> Option<NumberDataPoint> {
    let value = match &point.value {
        Value::Count(count) => Number::AsInt(i64::try_from(*count).unwrap_or(i64::MAX)),
        Value::Level(level) => Number::AsDouble(*level),
        Value::Histogram(_) => return None,
    };
    Some(NumberDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: times.began,
        time_unix_nano: times.now,
        value: Some(value),
        ..Default::default()
    })
}

fn histogram(point: &Point, times: Times) -> Option<HistogramDataPoint> {
    let Value::Histogram(tally::Histogram { ends, counts, sum }) = &point.value else {
        return None;
    };
    Some(HistogramDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: times.began,
        time_unix_nano: times.now,
        count: counts.iter().sum(),
        sum: Some(*sum),
        bucket_counts: counts.clone(),
        explicit_bounds: ends.clone(),
        ..Default::default()
    })
}

fn attributes(point: &Point) -> Vec<KeyValue> {
    point.labels.iter().map(|(label, value)| attribute(label, value)).collect()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Text::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..Default::default() }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0).saturating_mul(1_000_000)
}
