//! Metrics and traces over OTLP, against a collector on loopback: it gets protobuf, and finds in it the spans
//! of the work, the metrics with the numbers that Prometheus would read, and nothing confidential.

#[path = "telemetry/support.rs"]
#[expect(dead_code, reason = "the other tests look at what this one only sends")]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use prost::Message as _;
use sexton_telemetry::Metrics;
use sexton_telemetry::catalog::METRICS;
use sexton_telemetry::otlp::{Otlp, OtlpError};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::support::{SECRET, soon, stage, until};

/// What came: to which path, with which headers, and the message.
#[derive(Clone, Debug)]
struct Came {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// Takes what is sent to it, on a thread of its own.
#[derive(Clone)]
struct Collector {
    endpoint: String,
    came: Arc<Mutex<Vec<Came>>>,
    /// What it answers.
    status: Arc<Mutex<&'static str>>,
}

impl Collector {
    #[expect(
        clippy::disallowed_methods,
        reason = "what is sent must not wait for the test's thread"
    )]
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let status = Arc::new(Mutex::new("200 OK"));
        let collector = Self { endpoint, came: Arc::default(), status };
        let it = collector.clone();
        drop(std::thread::spawn(move || {
            for stream in listener.incoming() {
                let it = it.clone();
                drop(std::thread::spawn(move || it.serve(stream.expect("a connection"))));
            }
        }));
        collector
    }

    /// Answers one request.
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        // A client may open a connection and think better of it.
        if reader.read_line(&mut line).is_err() || line.is_empty() {
            return;
        }
        let path = line.split(' ').nth(1).expect("a request line").to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a header");
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").expect("a length").parse().expect("a number");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let status = *self.status.lock().expect("no panic");
        self.came.lock().expect("no panic").push(Came { path, headers, body });
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        reader.into_inner().write_all(answer.as_bytes()).expect("it waits for the answer");
    }

    fn came(&self, path: &str) -> Vec<Came> {
        let came = self.came.lock().expect("no panic");
        came.iter().filter(|it| it.path == path).cloned().collect()
    }
}

fn text(of: &[KeyValue], key: &str) -> Option<String> {
    let value = of.iter().find(|it| it.key == key)?.value.clone()?.value?;
    if let Text::StringValue(text) = value { Some(text) } else { Some(format!("{value:?}")) }
}

fn holds_secret(body: &[u8]) -> bool {
    body.windows(SECRET.len()).any(|it| it == SECRET.as_bytes())
}

/// The numbers of a message by metric and labels; of a histogram how many it has.
fn numbers(message: &ExportMetricsServiceRequest) -> BTreeMap<String, f64> {
    let mut numbers = BTreeMap::new();
    let metrics = message.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
    for metric in metrics.flat_map(|it| &it.metrics) {
        let name = |of: &[KeyValue]| {
            let labels = of.iter().filter_map(|it| text(of, &it.key));
            format!("{} {}", metric.name, labels.collect::<Vec<_>>().join(" ")).trim().to_owned()
        };
        let points = match metric.data.as_ref().expect("it says something") {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic, "{}", metric.name);
                let cumulative: i32 = AggregationTemporality::Cumulative.into();
                assert_eq!(sum.aggregation_temporality, cumulative);
                &sum.data_points
            }
            Data::Gauge(gauge) => &gauge.data_points,
            Data::Histogram(histogram) => {
                for point in &histogram.data_points {
                    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                    assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
                    let count = u32::try_from(point.count).expect("a test is small");
                    numbers.insert(name(&point.attributes), f64::from(count));
                }
                continue;
            }
            // Whatever else there is, it is none of what is listed, and so it is missed below.
            Data::ExponentialHistogram(_) | Data::Summary(_) => continue,
        };
        for point in points {
            assert!(point.time_unix_nano >= point.start_time_unix_nano);
            let value = match point.value.expect("a number") {
                Number::AsDouble(value) => value,
                Number::AsInt(value) => f64::from(i32::try_from(value).expect("a test is small")),
            };
            numbers.insert(name(&point.attributes), value);
        }
    }
    numbers
}

/// Seen to fail: with gauges sent as counters, with buckets that were sums already, with a layer that asks for
/// no spans, without a header, and with the last spans not sent at the end.
#[tokio::test]
async fn a_collector_gets_the_spans_and_the_metrics_of_the_work() {
    let collector = Collector::new();
    let otlp = Otlp::new(format!("{}/", collector.endpoint), "post-office").header("x-key", "k-7");
    let (layer, traces) = otlp.traces().unwrap();
    tracing_subscriber::registry().with(layer).try_init().expect("the only one of this process");
    let stage = stage().await;
    stage.work().await;
    let metrics = Metrics::new(&stage.host);
    soon(otlp.push().unwrap().push(&metrics)).await.unwrap();
    soon(stage.host.close()).await.unwrap();
    traces.close().unwrap();

    let sent = collector.came("/v1/metrics");
    assert_eq!((sent.len(), sent[0].headers["x-key"].as_str()), (1, "k-7"));
    assert_eq!(sent[0].headers["content-type"], "application/x-protobuf");
    let message = ExportMetricsServiceRequest::decode(sent[0].body.as_slice()).unwrap();
    let resource = message.resource_metrics[0].resource.as_ref().unwrap();
    assert_eq!(text(&resource.attributes, "service.name").as_deref(), Some("post-office"));
    let numbers = numbers(&message);
    let expected = [
        ("sexton_open", 1.0),
        ("sexton_turns_total parcel request committed", 10.0),
        ("sexton_debts_older parcel 10m", 1.0),
        ("sexton_actors_stalled parcel", 2.0),
        ("sexton_alarm_lateness_seconds", 7.0),
        ("sexton_sweep_asked_total forgotten", 2.0),
    ];
    for (name, value) in expected {
        assert_eq!(numbers.get(name), Some(&value), "{name}: {numbers:#?}");
    }
    let names: BTreeSet<&str> =
        numbers.keys().map(|name| name.split(' ').next().unwrap_or(name)).collect();
    assert_eq!(names, METRICS.iter().map(|it| it.name).collect());

    let sent = collector.came("/v1/traces");
    let mut spans = Vec::new();
    for came in &sent {
        assert!(!holds_secret(&came.body));
        assert_eq!(came.headers["x-key"], "k-7");
        let message = ExportTraceServiceRequest::decode(came.body.as_slice()).unwrap();
        for of in message.resource_spans {
            let resource = of.resource.unwrap();
            assert_eq!(text(&resource.attributes, "service.name").as_deref(), Some("post-office"));
            spans.extend(of.scope_spans.into_iter().flat_map(|it| it.spans));
        }
    }
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let wanted = BTreeSet::from(["effect", "flush", "turn"]);
    assert!(names.is_superset(&wanted), "{names:?}");
    // The store's own may end before or after the last are sent.
    assert!(names.difference(&wanted).all(|name| *name == "checkpoint"), "{names:?}");
    let of = |name: &str, key: &str, value: &str| {
        let named = spans.iter().filter(|span| span.name == name);
        named.filter(|span| text(&span.attributes, key).as_deref() == Some(value)).count()
    };
    assert_eq!(of("effect", "outcome", "transient"), 6);
    assert_eq!((of("turn", "cause", "Label"), of("turn", "cause", "deadline")), (3, 7));
    let label =
        spans.iter().find(|span| text(&span.attributes, "cause").as_deref() == Some("Label"));
    let label = &label.unwrap().attributes;
    assert_eq!(text(label, "kind").as_deref(), Some("parcel"));
    assert_eq!(text(label, "actor").as_deref(), Some("parcel/a"));
}

/// Seen to fail: with an answer that was not looked at, and with a loop that went on without end.
#[tokio::test]
async fn a_collector_that_refuses_or_is_away_is_said_and_a_closed_host_is_the_last_word() {
    let collector = Collector::new();
    let otlp = Otlp::new(&collector.endpoint, "post-office");
    let stage = stage().await;
    let (metrics, push) = (Metrics::new(&stage.host), otlp.push().unwrap());
    *collector.status.lock().unwrap() = "503 Service Unavailable";
    let refused = soon(push.push(&metrics)).await.unwrap_err();
    assert!(matches!(refused, OtlpError::Refused { status: 503, .. }), "{refused}");
    // Nobody listens on the port of discarding.
    let away = Otlp::new("http://127.0.0.1:9", "post-office").push().unwrap();
    let unreached = soon(away.push(&metrics)).await.unwrap_err();
    assert!(matches!(unreached, OtlpError::Unreached { .. }), "{unreached}");

    let pushing = async {
        soon(push.keep_pushing(&metrics, Duration::from_millis(5))).await;
    };
    let closing = async {
        until(async || collector.came("/v1/metrics").len() >= 3).await;
        *collector.status.lock().unwrap() = "200 OK";
        soon(stage.host.close()).await.unwrap();
    };
    tokio::join!(pushing, closing);
    let last = collector.came("/v1/metrics").pop().unwrap();
    let message = ExportMetricsServiceRequest::decode(last.body.as_slice()).unwrap();
    assert_eq!(numbers(&message).get("sexton_open"), Some(&0.0));
}
